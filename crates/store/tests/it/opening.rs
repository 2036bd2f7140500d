//! Opening, and what is found there.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use bartizan_engine::ports::store::{RunStatus, Store};
use bartizan_store::{Durability, OpenError, Options, Sqlite};
use rusqlite::Connection;

use crate::support::{
    TestClock, ann, at, options, run, running, said, session, sqlite, stateless, turn,
};

fn refused(directory: &Path) -> OpenError {
    match Sqlite::open(directory, options(), TestClock::new()) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Works on the file as another program would.
fn tamper(directory: &Path, sql: &str) {
    Connection::open(directory.join(Sqlite::FILE)).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    for durability in [Durability::Normal, Durability::Full] {
        let options = Options { durability, ..options() };
        let store = Sqlite::open(directory.path(), options, TestClock::new()).unwrap();
        store.finish_turn(turn(session(&ann(), "s", 1), "hello")).await.unwrap();
    }
    let store = sqlite(directory.path(), &TestClock::new());
    assert_eq!(said(&*store, &ann(), "s").await.len(), 4);
}

#[tokio::test]
async fn only_the_owner_of_the_process_can_read_it() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/b");
    let store = sqlite(&directory, &TestClock::new());
    store.finish_turn(stateless(&ann(), 1)).await.unwrap();
    assert_eq!(mode(&directory), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert_eq!(files, 4, "database, log, its index, lock");
    drop(store);

    // A file that others could read is closed to them.
    let file = directory.join(Sqlite::FILE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let _store = sqlite(&directory, &TestClock::new());
    assert_eq!(mode(&file), 0o600);
}

#[tokio::test]
async fn a_second_server_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(directory.path(), &TestClock::new());
    let error = refused(directory.path());
    let expected = format!("in use by process {}", std::process::id());
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(error.to_string().contains(&expected), "{error}");
    drop(store);
    sqlite(directory.path(), &TestClock::new());
}

#[tokio::test]
async fn runs_of_a_dead_process_are_interrupted() {
    let directory = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let begun = running(run(&ann(), Some("s"), 1));
    let ended = stateless(&ann(), 1);
    let ended_run = ended.run.clone();
    {
        let store = sqlite(directory.path(), &clock);
        store.begin_run(&begun).await.unwrap();
        store.finish_turn(ended).await.unwrap();
    }
    clock.set(60);
    let store = sqlite(directory.path(), &clock);
    let found = store.run(&ann(), begun.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.finished_at), (RunStatus::Interrupted, Some(at(60))));
    assert_eq!(store.run(&ann(), ended_run.id).await.unwrap(), Some(ended_run));
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(sqlite(directory.path(), &TestClock::new()));
    tamper(directory.path(), "PRAGMA user_version = 4711");
    let before = fs::read(directory.path().join(Sqlite::FILE)).unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Newer { found: 4711, .. }), "{error:?}");
    assert!(error.to_string().contains("newer Bartizan"), "{error}");
    assert!(before == fs::read(directory.path().join(Sqlite::FILE)).unwrap(), "it was changed");
}

#[test]
fn another_programs_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    tamper(directory.path(), "CREATE TABLE theirs (a)");
    let before = fs::read(directory.path().join(Sqlite::FILE)).unwrap();
    let error = refused(directory.path());
    assert!(before == fs::read(directory.path().join(Sqlite::FILE)).unwrap(), "it was changed");
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(Sqlite::FILE);
    let text = "Dear diary, ".repeat(1000);
    fs::write(&file, &text).unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_directory_that_is_none_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("file");
    fs::write(&path, "").unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Directory { .. }), "{error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn a_file_that_another_program_holds_is_locked() {
    let directory = tempfile::tempdir().unwrap();
    drop(sqlite(directory.path(), &TestClock::new()));
    let other = Connection::open(directory.path().join(Sqlite::FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    other.execute_batch("ROLLBACK").unwrap();
    sqlite(directory.path(), &TestClock::new());
}

/// The tables as a new file has them: a migration that changes an old one must be seen.
#[test]
fn the_schema_is_the_one_released() {
    let directory = tempfile::tempdir().unwrap();
    drop(sqlite(directory.path(), &TestClock::new()));
    let connection = Connection::open(directory.path().join(Sqlite::FILE)).unwrap();
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .unwrap();
    let names: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        names,
        [
            "messages",
            "probe",
            "runs",
            "runs_by_end",
            "runs_by_session",
            "runs_running",
            "sessions",
            "sessions_by_use",
            "sessions_to_look_at"
        ]
    );
    // Every table is strict.
    let loose: i64 = connection
        .query_row(
            "SELECT count(*) FROM pragma_table_list
             WHERE schema = 'main' AND name NOT LIKE 'sqlite%' AND strict = 0",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(loose, 0);
}

/// The statements that delete find their rows by an index: a sweep must not read the whole file.
#[test]
fn sweeps_use_their_indexes() {
    let directory = tempfile::tempdir().unwrap();
    drop(sqlite(directory.path(), &TestClock::new()));
    let connection = Connection::open(directory.path().join(Sqlite::FILE)).unwrap();
    let plan = |sql: &str| -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let lines = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        lines.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    let expected = [
        (
            "SELECT id FROM sessions WHERE look_at IS NOT NULL AND look_at <= 5 LIMIT 1",
            "sessions_to_look_at",
        ),
        (
            "SELECT id FROM runs WHERE kept = 0 AND finished_at IS NOT NULL AND finished_at <= 5",
            "runs_by_end",
        ),
        (
            "DELETE FROM runs WHERE tenant = 'a' AND subject = 'b' AND session_id = 'c' AND kept = 0",
            "runs_by_session",
        ),
        ("UPDATE runs SET status = 'interrupted' WHERE status = 'running'", "runs_running"),
        (
            "SELECT id FROM sessions WHERE tenant = 'a' AND subject = 'b' AND (updated_at, id) < (5, 'x') ORDER BY updated_at DESC, id DESC LIMIT 3",
            "sessions_by_use",
        ),
    ];
    for (sql, index) in expected {
        let plan = plan(sql);
        assert!(plan.contains(index) && !plan.contains("SCAN"), "{sql}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}

#[tokio::test]
async fn the_store_may_be_shared() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = sqlite(directory.path(), &TestClock::new());
    let other = Arc::clone(&store);
    drop(store);
    other.ready().await.unwrap();
}
