//! The bound of the store in memory.

use std::{sync::Arc, time::Duration};

use bartizan_engine::{
    message::{Message, Role},
    ports::store::{Store, StoreError},
};
use bartizan_store::{Memory, memory};

use crate::support::{TestClock, ann, id, session, stateless, turn};

fn small() -> Arc<Memory> {
    let options =
        memory::Options { max_bytes: 100_000, run_time_to_live: Duration::from_secs(1000) };
    Memory::new(TestClock::new(), options)
}

#[tokio::test]
async fn the_session_longest_unused_goes_first() {
    let store = small();
    let long = "x".repeat(5_000);
    for number in 0..100 {
        let name = format!("s{number}");
        store.finish_turn(turn(session(&ann(), &name, number), &long)).await.unwrap();
        // This one stays in use.
        if number % 5 == 0 {
            store.finish_turn(turn(session(&ann(), "busy", number), "hi")).await.unwrap();
        }
    }
    let left = store.sessions(&ann(), 1000, None).await.unwrap();
    let left: Vec<_> = left.iter().map(|session| session.id.as_str()).collect();
    assert!((3..8).contains(&left.len()), "{left:?}");
    assert!(left.contains(&"busy"), "{left:?}");
    assert!(left.contains(&"s99"), "{left:?}");
    assert_eq!(store.messages(&ann(), &id("s0"), 9).await.unwrap(), []);
}

#[tokio::test]
async fn loose_runs_go_before_sessions() {
    let store = small();
    store.finish_turn(turn(session(&ann(), "s", 0), "hi")).await.unwrap();
    let first = stateless(&ann(), 1);
    let first_run = first.run.id;
    store.finish_turn(first).await.unwrap();
    for second in 2..1000 {
        store.finish_turn(stateless(&ann(), second)).await.unwrap();
    }
    assert_eq!(store.run(&ann(), first_run).await.unwrap(), None);
    assert!(store.session(&ann(), &id("s")).await.unwrap().is_some());
}

#[tokio::test]
async fn what_does_not_fit_at_all_is_refused() {
    let store = small();
    store.finish_turn(turn(session(&ann(), "s", 0), "hi")).await.unwrap();
    let mut large = turn(session(&ann(), "s", 1), "");
    large.messages = vec![Message::text(Role::User, "x".repeat(200_000))];
    let refused = store.finish_turn(large).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert_eq!(store.messages(&ann(), &id("s"), 9).await.unwrap().len(), 2);
}
