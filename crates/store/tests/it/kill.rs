//! `kill -9` at any moment loses no acknowledged turn and leaves a file that opens.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use bartizan_engine::ports::store::{RunStatus, Store};
use bartizan_store::Sqlite;
use rusqlite::Connection;

use crate::support::{TestClock, ann, id, running, said, session, sqlite, turn};

/// Names the directory to the child, and makes it one.
const DIRECTORY: &str = "BARTIZAN_STORE_KILL_TEST_DIRECTORY";

/// Processes killed.
const KILLS: u64 = 25;

/// Callers at work in each of them.
const CALLERS: usize = 4;

#[test]
fn no_acknowledged_turn_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for kill in 0..KILLS {
        // Spread over opening, first turns and full work.
        let alive = Duration::from_millis(5 + (kill * 7919) % 180);
        let new = run_and_kill(directory.path(), kill, alive);
        check(directory.path(), &new);
        acknowledged.extend(new);
    }
    // What an earlier process acknowledged, a later one did not undo.
    check(directory.path(), &acknowledged);
    assert!(acknowledged.len() > 200, "only {} turns were written", acknowledged.len());
    println!("{} acknowledged turns outlived {KILLS} kills", acknowledged.len());
}

/// Starts this test program as the child, kills it, and returns what it had acknowledged.
fn run_and_kill(directory: &Path, kill: u64, alive: Duration) -> Vec<String> {
    #[allow(clippy::disallowed_methods, reason = "the server starts no process; this test does")]
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env("KILL", kill.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        let turns = lines.filter_map(|line| line.strip_prefix("turn ").map(str::to_owned));
        turns.collect::<Vec<_>>()
    });
    thread::sleep(alive);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

fn check(directory: &Path, acknowledged: &[String]) {
    if !directory.join(Sqlite::FILE).exists() {
        assert!(acknowledged.is_empty());
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = sqlite(directory, &TestClock::new());
        let mut sessions = BTreeMap::<&str, BTreeSet<String>>::new();
        for name in acknowledged {
            let (session, number) = name.rsplit_once('/').unwrap();
            sessions.entry(session).or_default().insert(format!("turn {number}"));
        }
        for (session, turns) in sessions {
            let said = said(&*store, &ann(), session).await;
            assert_eq!(said.len() % 2, 0, "{session} holds half a turn");
            let said = said.into_iter().collect();
            let lost: Vec<_> = turns.difference(&said).collect();
            assert!(lost.is_empty(), "{session} lost {lost:?}");
        }
    });
    let connection = Connection::open(directory.join(Sqlite::FILE)).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    // Counts and contents agree, and nobody is still said to be running.
    let wrong: i64 = connection
        .query_row(
            "SELECT (SELECT count(*) FROM sessions WHERE message_count <> (
                        SELECT count(*) FROM messages WHERE messages.tenant = sessions.tenant
                            AND messages.subject = sessions.subject
                            AND session_id = sessions.id))
                  + (SELECT count(*) FROM runs WHERE status = 'running')
                  + (SELECT count(*) FROM messages WHERE NOT EXISTS (
                        SELECT 1 FROM runs WHERE runs.tenant = messages.tenant
                            AND runs.subject = messages.subject AND runs.id = run_id
                            AND status = 'completed'))",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(wrong, 0);
}

/// The process that is killed: writes turns for ever, and says so after each.
#[test]
#[ignore = "started and killed by no_acknowledged_turn_is_lost"]
fn child() {
    #[allow(clippy::disallowed_methods, reason = "how the parent tells its child where to work")]
    let (directory, kill) = (std::env::var_os(DIRECTORY), std::env::var("KILL"));
    let Some(directory) = directory else { return };
    let kill = kill.unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store = sqlite(Path::new(&directory), &TestClock::new());
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| tokio::spawn(work(Arc::clone(&store), format!("{kill}-{caller}"))))
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
    });
}

async fn work(store: Arc<Sqlite>, name: String) {
    for number in 0_u64.. {
        let turn = turn(session(&ann(), &name, 1), &format!("turn {number}"));
        let begun = running(turn.run.clone());
        assert_eq!(begun.status, RunStatus::Running);
        store.begin_run(&begun).await.unwrap();
        store.finish_turn(turn).await.unwrap();
        // One write, so that a kill cannot leave half a line that reads as another turn.
        let line = format!("turn {name}/{number}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
        if number % 50 == 49 {
            // Deletions are cut short as well.
            let other = format!("{name}-passing");
            store.create_session(session(&ann(), &other, 1)).await.unwrap();
            store.delete_session(&ann(), &id(&other)).await.unwrap();
        }
    }
}
