//! Many turns at once.

use std::sync::Arc;

use bartizan_engine::ports::store::{Store, StoreError};

use crate::support::{TestClock, ann, existing, id, in_memory, said, session, sqlite, turn};

/// Turns of one session and of many, some refused, all through the same commits.
async fn many_turns_at_once(store: Arc<dyn Store>) {
    store.create_session(session(&ann(), "shared", 1)).await.unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|number: usize| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let question = format!("question {number}");
                match number % 4 {
                    0 => {
                        let missing = existing(turn(session(&ann(), "missing", 1), &question));
                        let refused = store.finish_turn(missing).await;
                        assert!(matches!(refused, Err(StoreError::NoSession)), "{refused:?}");
                    }
                    1 => {
                        let own = session(&ann(), &format!("own{number}"), 1);
                        store.finish_turn(turn(own, &question)).await.unwrap();
                    }
                    _ => {
                        let shared = existing(turn(session(&ann(), "shared", 1), &question));
                        store.finish_turn(shared).await.unwrap();
                        // Durable means that it can be read now.
                        assert!(said(&*store, &ann(), "shared").await.contains(&question));
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let messages = store.messages(&ann(), &id("shared"), usize::MAX).await.unwrap();
    let sequences: Vec<_> = messages.iter().map(|stored| stored.sequence).collect();
    assert_eq!(sequences, (1..=200).collect::<Vec<_>>());
    for pair in messages.chunks(2) {
        assert_eq!(pair[0].run_id, pair[1].run_id, "a turn's messages lie together");
    }
    assert_eq!(store.sessions(&ann(), 1000, None).await.unwrap().len(), 51);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    many_turns_at_once(sqlite(directory.path(), &TestClock::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_memory_as_well() {
    many_turns_at_once(in_memory(&TestClock::new())).await;
}

/// A session deleted while turns are written to it: each turn is there whole or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deleting_under_running_turns() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(directory.path(), &TestClock::new());
    for _ in 0..20 {
        store.create_session(session(&ann(), "s", 1)).await.unwrap();
        let turns: Vec<_> = (0..20)
            .map(|_| {
                let store = Arc::clone(&store);
                let turn = existing(turn(session(&ann(), "s", 1), "hello"));
                tokio::spawn(async move { (turn.run.id, store.finish_turn(turn).await) })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(store.delete_session(&ann(), &id("s")).await.unwrap());
        for turn in turns {
            let (run, outcome) = turn.await.unwrap();
            assert!(matches!(outcome, Ok(()) | Err(StoreError::NoSession)), "{outcome:?}");
            assert_eq!(store.run(&ann(), run).await.unwrap(), None);
        }
        assert_eq!(store.messages(&ann(), &id("s"), 9).await.unwrap(), []);
    }
}
