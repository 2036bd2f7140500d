//! Disk full, database locked, damaged, gone: the turn fails, the store stays, and works again
//! when the cause is gone.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use bartizan_engine::{
    message::{Message, Role},
    ports::store::{Store, StoreError},
};
use bartizan_store::{OpenError, Options, Sqlite};
use rusqlite::Connection;

use crate::support::{TestClock, ann, id, options, said, session, sqlite, turn};

/// Longer than an answer of `ready` holds.
async fn forget_last_probe() {
    tokio::time::sleep(Duration::from_millis(1050)).await;
}

/// Turns until one fails; how many did not.
async fn fill(store: &dyn Store) -> (usize, StoreError) {
    for number in 0..100_000 {
        let turn = turn(session(&ann(), &format!("s{number}"), 1), &"x".repeat(2000));
        if let Err(error) = store.finish_turn(turn).await {
            return (number, error);
        }
    }
    panic!("it never got full");
}

#[tokio::test]
async fn a_full_quota_fails_turns_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { max_bytes: Some(400_000), ..options() };
    let store = Sqlite::open(directory.path(), options, TestClock::new()).unwrap();
    store.ready().await.unwrap();
    let (written, error) = fill(&*store).await;
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    assert!(written > 10, "{written}");
    forget_last_probe().await;
    let ready = store.ready().await;
    assert!(matches!(ready, Err(StoreError::Full(_))), "{ready:?}");
    // What was acknowledged can be read, and the turn that failed left nothing.
    for number in 0..written {
        assert_eq!(said(&*store, &ann(), &format!("s{number}")).await.len(), 2);
    }
    assert_eq!(store.session(&ann(), &id(&format!("s{written}"))).await.unwrap(), None);
    // Room is made by deleting, and then all is well again.
    for number in 0..written / 2 {
        assert!(store.delete_session(&ann(), &id(&format!("s{number}"))).await.unwrap());
    }
    store.finish_turn(turn(session(&ann(), "again", 1), "hello")).await.unwrap();
    forget_last_probe().await;
    store.ready().await.unwrap();
}

/// A turn that is too large fails alone, not those that share its commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_turn_too_large_takes_no_other_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { max_bytes: Some(1_000_000), ..options() };
    let store = Sqlite::open(directory.path(), options, TestClock::new()).unwrap();
    for round in 0..10 {
        let tasks: Vec<_> = (0..12)
            .map(|number| {
                let store = Arc::clone(&store);
                let mut turn = turn(session(&ann(), &format!("s{round}-{number}"), 1), "hi");
                let large = number % 4 == 0;
                if large {
                    turn.messages = vec![Message::text(Role::User, "x".repeat(2_000_000))];
                }
                tokio::spawn(async move { (large, store.finish_turn(turn).await) })
            })
            .collect();
        for task in tasks {
            let (large, outcome) = task.await.unwrap();
            if large {
                assert!(matches!(outcome, Err(StoreError::Full(_))), "{outcome:?}");
            } else {
                outcome.unwrap();
            }
        }
    }
    assert_eq!(store.sessions(&ann(), 1000, None).await.unwrap().len(), 90);
}

/// A file system of 3 MB that is really full; needs root and a kernel that mounts.
#[tokio::test]
async fn a_full_disk_fails_turns_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_mounted) = Tmpfs::mount(directory.path(), "size=3m") else {
        eprintln!("skipped: mounting a file system is not permitted here");
        return;
    };
    let ballast = directory.path().join("ballast");
    // More than half, so that the log finds room to be folded once this is gone.
    fs::write(&ballast, vec![1; 1_700_000]).unwrap();
    {
        let store = sqlite(directory.path(), &TestClock::new());
        let (written, error) = fill(&*store).await;
        assert!(matches!(error, StoreError::Full(_)), "{error:?}");
        let ready = store.ready().await;
        assert!(matches!(ready, Err(StoreError::Full(_))), "{ready:?}");
        fs::remove_file(&ballast).unwrap();
        store.finish_turn(turn(session(&ann(), "again", 1), "hello")).await.unwrap();
        forget_last_probe().await;
        store.ready().await.unwrap();
        for number in 0..written {
            assert_eq!(said(&*store, &ann(), &format!("s{number}")).await.len(), 2);
        }
    }
    // A full disk at the start is told in so many words.
    let elsewhere = directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let mut ballast = fs::File::create(directory.path().join("ballast")).unwrap();
    while std::io::Write::write_all(&mut ballast, &[1; 4096]).is_ok() {}
    let Err(error) = Sqlite::open(&elsewhere, options(), TestClock::new()) else {
        panic!("it opened on a full disk")
    };
    assert!(matches!(error, OpenError::Full { .. }), "{error:?}");
}

#[tokio::test]
async fn a_lock_held_elsewhere_fails_turns_until_it_is_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(directory.path(), &TestClock::new());
    store.create_session(session(&ann(), "s", 1)).await.unwrap();
    let other = Connection::open(directory.path().join(Sqlite::FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = store.finish_turn(turn(session(&ann(), "s", 1), "hello")).await;
    assert!(matches!(refused, Err(StoreError::Locked(_))), "{refused:?}");
    let ready = store.ready().await;
    assert!(matches!(ready, Err(StoreError::Locked(_))), "{ready:?}");
    // Reading goes on.
    assert!(store.session(&ann(), &id("s")).await.unwrap().is_some());
    other.execute_batch("ROLLBACK").unwrap();
    store.finish_turn(turn(session(&ann(), "s", 1), "hello")).await.unwrap();
    forget_last_probe().await;
    store.ready().await.unwrap();
}

#[tokio::test]
async fn a_deleted_file_takes_no_more_turns() {
    for name in [Sqlite::FILE, "bartizan.sqlite-wal"] {
        let directory = tempfile::tempdir().unwrap();
        let store = sqlite(directory.path(), &TestClock::new());
        store.finish_turn(turn(session(&ann(), "s", 1), "hello")).await.unwrap();
        let (file, aside) = (directory.path().join(name), directory.path().join("aside"));
        fs::rename(&file, &aside).unwrap();
        let refused = store.finish_turn(turn(session(&ann(), "s", 1), "lost")).await;
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
        assert!(store.ready().await.unwrap_err().to_string().contains("moved"));
        // Another file of the same name is not the one that is open.
        fs::write(&file, "").unwrap();
        forget_last_probe().await;
        assert!(store.ready().await.unwrap_err().to_string().contains("replaced"));
        fs::rename(&aside, &file).unwrap();
        store.finish_turn(turn(session(&ann(), "s", 1), "found")).await.unwrap();
        forget_last_probe().await;
        store.ready().await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_file_fails_the_call_and_not_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(Sqlite::FILE);
    let clock = TestClock::new();
    {
        let store = sqlite(directory.path(), &clock);
        for number in 0..200 {
            let turn = turn(session(&ann(), &format!("s{number}"), 1), &"x".repeat(500));
            store.finish_turn(turn).await.unwrap();
        }
    }
    // Every page but the first two dozen, so that the file opens.
    let length = fs::metadata(&file).unwrap().len();
    let handle = OpenOptions::new().write(true).open(&file).unwrap();
    let start = 24 * 4096;
    let garbage = vec![0xA5; usize::try_from(length - start).unwrap()];
    handle.write_all_at(&garbage, start).unwrap();
    drop(handle);

    let store = sqlite(directory.path(), &clock);
    let mut damaged = 0;
    for number in 0..200 {
        let name = format!("s{number}");
        match store.messages(&ann(), &id(&name), 9).await {
            Ok(_) => {}
            Err(StoreError::Damaged(_)) => damaged += 1,
            Err(other) => panic!("{other:?}"),
        }
        match store.finish_turn(turn(session(&ann(), &name, 2), "hello")).await {
            Ok(()) => {}
            Err(StoreError::Damaged(_)) => damaged += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(damaged > 0);
    // Wherever the probe's own row came to lie.
    for _ in 0..2 {
        forget_last_probe().await;
        let ready = store.ready().await;
        assert!(matches!(ready, Err(StoreError::Damaged(_))), "{ready:?}");
    }
}

/// A row that does not read says where and never what: it holds people's words.
#[tokio::test]
async fn a_row_that_does_not_read_is_damage_without_its_text() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(directory.path(), &TestClock::new());
    let turn = turn(session(&ann(), "s", 1), "hello");
    let run = turn.run.id;
    store.finish_turn(turn).await.unwrap();
    let other = Connection::open(directory.path().join(Sqlite::FILE)).unwrap();
    other
        .execute_batch(
            "UPDATE messages SET parts = '[{\"type\": \"my secret\"}]';
             UPDATE runs SET events = '[{\"type\": \"my secret\"}]', status = 'my secret';",
        )
        .unwrap();
    let errors = [
        store.messages(&ann(), &id("s"), 9).await.unwrap_err(),
        store.run_events(&ann(), run, 0).await.unwrap_err(),
        store.run(&ann(), run).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    store.ready().await.expect("the file itself is sound");
}

/// A mounted file system, unmounted when dropped.
struct Tmpfs<'path>(&'path Path);

impl<'path> Tmpfs<'path> {
    fn mount(path: &'path Path, options: &str) -> Option<Self> {
        let status =
            command("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).output();
        status.ok().filter(|output| output.status.success()).map(|_| Self(path))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        // Lazily: a failing test may still have files open.
        let _ = command("umount").arg("-l").arg(self.0).output();
    }
}

#[allow(clippy::disallowed_methods, reason = "the server starts no process; this test does")]
fn command(program: &str) -> Command {
    Command::new(program)
}
