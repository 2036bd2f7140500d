//! What the port promises, asked of every store.

use std::{collections::BTreeMap, sync::Arc};

use bartizan_engine::{
    event::{Execution, StopReason, TurnEvent},
    failure::FailureCode,
    identity::RunId,
    message::{Media, MediaKind, MediaSource, Message, Part, Role, ToolCall, ToolResult},
    owner::Owner,
    ports::store::{RunStatus, Store, StoreError},
    usage::Usage,
};
use serde_json::json;

use crate::support::{
    RUN_TIME_TO_LIVE, TestClock, ann, at, existing, id, in_memory, logged, run, running, said,
    session, sqlite, stateless, turn,
};

/// Runs each function as a test of each store.
macro_rules! conform {
    ($($name:ident),* $(,)?) => {
        mod in_sqlite {
            $(#[tokio::test]
            async fn $name() {
                let clock = super::TestClock::new();
                let directory = tempfile::tempdir().unwrap();
                let store = super::sqlite(directory.path(), &clock);
                super::$name(store.as_ref(), &clock).await;
            })*
        }
        mod in_memory {
            $(#[tokio::test]
            async fn $name() {
                let clock = super::TestClock::new();
                let store = super::in_memory(&clock);
                super::$name(store.as_ref(), &clock).await;
            })*
        }
    };
}

conform!(
    a_session_is_found_as_it_was_made,
    a_session_is_made_once,
    sessions_come_last_used_first_page_by_page,
    a_turn_adds_messages_in_order,
    a_turn_makes_its_session,
    a_turn_moves_only_the_times_of_its_session,
    a_turn_on_a_missing_session_writes_nothing,
    a_turn_of_a_deleted_session_is_not_another_sessions_of_that_name,
    every_kind_of_content_comes_back,
    a_run_is_found_from_its_beginning,
    events_come_after_the_one_named,
    what_is_anothers_does_not_exist,
    deletion_takes_everything,
    an_expired_session_does_not_exist,
    a_sweep_deletes_what_has_expired,
    a_shorter_life_is_a_shorter_life,
    loose_runs_live_for_a_set_time,
    a_turn_that_makes_no_sense_is_refused,
    it_is_ready,
);

async fn a_session_is_found_as_it_was_made(store: &dyn Store, _: &Arc<TestClock>) {
    let mut made = session(&ann(), "s", 5);
    made.expires_at = Some(at(500));
    made.message_count = 77;
    store.create_session(made.clone()).await.unwrap();
    made.message_count = 0;
    assert_eq!(store.session(&ann(), &id("s")).await.unwrap(), Some(made));
    assert_eq!(store.session(&ann(), &id("other")).await.unwrap(), None);
}

async fn a_session_is_made_once(store: &dyn Store, _: &Arc<TestClock>) {
    store.create_session(session(&ann(), "s", 1)).await.unwrap();
    let again = store.create_session(session(&ann(), "s", 2)).await;
    assert!(matches!(again, Err(StoreError::Exists)), "{again:?}");
    assert_eq!(store.session(&ann(), &id("s")).await.unwrap().unwrap().created_at, at(1));
}

async fn sessions_come_last_used_first_page_by_page(store: &dyn Store, _: &Arc<TestClock>) {
    for (name, second) in [("a", 1), ("b", 2), ("c", 2), ("d", 3), ("e", 4)] {
        store.create_session(session(&ann(), name, second)).await.unwrap();
    }
    store.finish_turn(turn(session(&ann(), "a", 9), "hello")).await.unwrap();
    let names = async |limit, after: Option<&str>| {
        let after = after.map(id);
        let found = store.sessions(&ann(), limit, after.as_ref()).await.unwrap();
        found.into_iter().map(|session| session.id.to_string()).collect::<String>()
    };
    assert_eq!(names(9, None).await, "aedcb");
    assert_eq!(names(2, None).await, "ae");
    assert_eq!(names(2, Some("e")).await, "dc");
    assert_eq!(names(2, Some("c")).await, "b");
    assert_eq!(names(2, Some("b")).await, "");
    assert_eq!(names(0, None).await, "");
    assert_eq!(names(2, Some("nobody")).await, "");
    assert_eq!(names(usize::MAX, None).await, "aedcb");
}

async fn a_turn_adds_messages_in_order(store: &dyn Store, clock: &Arc<TestClock>) {
    let first = turn(session(&ann(), "s", 1), "one");
    let first_run = first.run.id;
    store.finish_turn(first).await.unwrap();
    clock.set(2);
    store.finish_turn(turn(session(&ann(), "s", 2), "two")).await.unwrap();
    assert_eq!(said(store, &ann(), "s").await, ["one", "You said: one", "two", "You said: two"]);
    let stored = store.messages(&ann(), &id("s"), 3).await.unwrap();
    assert_eq!(stored.iter().map(|stored| stored.sequence).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(stored[0].run_id, first_run);
    assert_eq!(stored[0].created_at, at(1));
    assert_eq!(stored[2].created_at, at(2));
    assert_eq!(store.messages(&ann(), &id("s"), 0).await.unwrap(), []);
    assert_eq!(store.messages(&ann(), &id("other"), 9).await.unwrap(), []);
    assert_eq!(store.session(&ann(), &id("s")).await.unwrap().unwrap().message_count, 4);
}

async fn a_turn_makes_its_session(store: &dyn Store, _: &Arc<TestClock>) {
    let made = session(&ann(), "s", 3);
    store.finish_turn(turn(made.clone(), "hello")).await.unwrap();
    let found = store.session(&ann(), &id("s")).await.unwrap().unwrap();
    assert_eq!(found.message_count, 2);
    assert_eq!(found.metadata, made.metadata);
}

async fn a_turn_moves_only_the_times_of_its_session(store: &dyn Store, _: &Arc<TestClock>) {
    store.create_session(session(&ann(), "s", 3)).await.unwrap();
    let mut change = session(&ann(), "s", 7);
    change.expires_at = Some(at(70));
    change.agent = "other/agent".into();
    change.metadata = BTreeMap::new();
    store.finish_turn(turn(change, "hello")).await.unwrap();
    let mut expected = session(&ann(), "s", 3);
    expected.updated_at = at(7);
    expected.expires_at = Some(at(70));
    expected.message_count = 2;
    assert_eq!(store.session(&ann(), &id("s")).await.unwrap(), Some(expected));
}

async fn a_turn_of_a_deleted_session_is_not_another_sessions_of_that_name(
    store: &dyn Store,
    _: &Arc<TestClock>,
) {
    store.create_session(session(&ann(), "s", 1)).await.unwrap();
    let turn = existing(turn(session(&ann(), "s", 1), "of the old one"));
    assert!(store.delete_session(&ann(), &id("s")).await.unwrap());
    store.create_session(session(&ann(), "s", 2)).await.unwrap();
    let refused = store.finish_turn(turn).await;
    assert!(matches!(refused, Err(StoreError::NoSession)), "{refused:?}");
    assert_eq!(said(store, &ann(), "s").await, [""; 0]);
}

async fn a_turn_on_a_missing_session_writes_nothing(store: &dyn Store, _: &Arc<TestClock>) {
    store.create_session(session(&ann(), "s", 1)).await.unwrap();
    let turn = existing(turn(session(&ann(), "s", 2), "too late"));
    let begun = running(turn.run.clone());
    store.begin_run(&begun).await.unwrap();
    assert!(store.delete_session(&ann(), &id("s")).await.unwrap());
    let refused = store.finish_turn(turn).await;
    assert!(matches!(refused, Err(StoreError::NoSession)), "{refused:?}");
    assert_eq!(store.session(&ann(), &id("s")).await.unwrap(), None);
    assert_eq!(store.run(&ann(), begun.id).await.unwrap(), None);
    // The name is free again, and nothing of before comes with it.
    store.create_session(session(&ann(), "s", 3)).await.unwrap();
    assert_eq!(store.messages(&ann(), &id("s"), 9).await.unwrap(), []);
}

async fn every_kind_of_content_comes_back(store: &dyn Store, _: &Arc<TestClock>) {
    let call = ToolCall {
        id: "call_1".into(),
        name: "look_up".into(),
        arguments: json!({"q": "naïve 🏰 \" \\ \u{0} \n", "n": [1, 2.5, null, -3]}),
        provider_state: vec!["opaque".into()],
    };
    let result = ToolResult {
        call_id: "call_1".into(),
        name: "look_up".into(),
        content: json!({"rows": [{"a": true}]}),
        is_error: true,
    };
    let media = |source| Media {
        kind: MediaKind::Image,
        mime_type: "image/png".into(),
        source,
        name: Some("a.png".into()),
    };
    let mut cut = Message::new(
        Role::Assistant,
        vec![Part::Text { text: "Let me".into() }, Part::ToolCall(call.clone())],
    );
    cut.complete = false;
    let usage = Usage {
        input_tokens: 1,
        output_tokens: 2,
        cached_tokens: 3,
        reasoning_tokens: 4,
        cost_usd: Some(0.25),
    };
    let mut turn = turn(session(&ann(), "s", 1), "");
    turn.messages = vec![
        Message::text(Role::System, ""),
        Message::new(
            Role::User,
            vec![
                Part::Text { text: "'; DROP TABLE messages; --".into() },
                Part::Media(media(MediaSource::Base64("aGk=".into()))),
                Part::Media(media(MediaSource::Url("https://example.com/a.png".into()))),
            ],
        ),
        cut,
        Message::new(Role::Tool, vec![Part::ToolResult(result.clone())]),
        Message::new(Role::Assistant, Vec::new()),
    ];
    turn.events = logged([
        TurnEvent::Started {
            run_id: turn.run.id,
            session_id: Some(id("s")),
            agent: "a/b".into(),
            model: "m".into(),
            mock: true,
        },
        TurnEvent::Text { delta: "{\"type\":\"text\"}".into() },
        TurnEvent::Text { delta: String::new() },
        TurnEvent::Reasoning { delta: "hm".into() },
        TurnEvent::ToolCall { call, execution: Execution::Client },
        TurnEvent::ToolResult { result },
        TurnEvent::Media { media: media(MediaSource::Url("https://example.com".into())) },
        TurnEvent::Usage { usage },
        TurnEvent::Failed {
            code: FailureCode::ModelInterrupted,
            message: "cut".into(),
            retry_after_seconds: Some(7),
        },
    ]);
    turn.run.status = RunStatus::Failed;
    turn.run.stop_reason = Some(StopReason::Other("why \"not\"".into()));
    turn.run.failure = Some((FailureCode::ModelInterrupted, "cut".into()));
    turn.run.usage = usage;
    let expected = turn.clone();
    store.finish_turn(turn).await.unwrap();

    let stored = store.messages(&ann(), &id("s"), 99).await.unwrap();
    let messages: Vec<_> = stored.into_iter().map(|stored| stored.message).collect();
    assert_eq!(messages, expected.messages);
    let events = store.run_events(&ann(), expected.run.id, 0).await.unwrap();
    assert_eq!(events, expected.events.iter().map(|event| (**event).clone()).collect::<Vec<_>>());
    assert_eq!(store.run(&ann(), expected.run.id).await.unwrap(), Some(expected.run));
}

async fn a_run_is_found_from_its_beginning(store: &dyn Store, _: &Arc<TestClock>) {
    let turn = turn(session(&ann(), "s", 4), "hello");
    let begun = running(turn.run.clone());
    store.begin_run(&begun).await.unwrap();
    assert_eq!(store.run(&ann(), begun.id).await.unwrap(), Some(begun.clone()));
    assert_eq!(store.run_events(&ann(), begun.id, 0).await.unwrap(), []);
    let finished = turn.run.clone();
    store.finish_turn(turn).await.unwrap();
    assert_eq!(store.run(&ann(), begun.id).await.unwrap(), Some(finished.clone()));
    // To begin it again takes nothing back.
    store.begin_run(&begun).await.unwrap();
    assert_eq!(store.run(&ann(), begun.id).await.unwrap(), Some(finished));
    assert_eq!(store.run(&ann(), RunId::new()).await.unwrap(), None);
}

async fn events_come_after_the_one_named(store: &dyn Store, _: &Arc<TestClock>) {
    let turn = turn(session(&ann(), "s", 4), "hello");
    let run = turn.run.id;
    store.finish_turn(turn).await.unwrap();
    for (after, expected) in [(0, vec![1, 2, 3]), (1, vec![2, 3]), (3, vec![]), (u64::MAX, vec![])]
    {
        let events = store.run_events(&ann(), run, after).await.unwrap();
        assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), expected);
    }
}

async fn what_is_anothers_does_not_exist(store: &dyn Store, _: &Arc<TestClock>) {
    let turn = turn(session(&ann(), "s", 1), "secret");
    let run = turn.run.id;
    store.finish_turn(turn).await.unwrap();
    let others = [("acme", "bob"), ("other", "ann"), ("ann", "acme"), ("acmeann", ""), ("", "")];
    for (tenant, subject) in others {
        let other = Owner { tenant: tenant.into(), subject: subject.into() };
        assert_eq!(store.session(&other, &id("s")).await.unwrap(), None);
        assert_eq!(store.sessions(&other, 9, None).await.unwrap(), []);
        assert_eq!(store.sessions(&other, 9, Some(&id("s"))).await.unwrap(), []);
        assert_eq!(store.messages(&other, &id("s"), 9).await.unwrap(), []);
        assert_eq!(store.run(&other, run).await.unwrap(), None);
        assert_eq!(store.run_events(&other, run, 0).await.unwrap(), []);
        assert!(!store.delete_session(&other, &id("s")).await.unwrap());
        let refused =
            store.finish_turn(existing(self::turn(session(&other, "s", 1), "mine"))).await;
        assert!(matches!(refused, Err(StoreError::NoSession)), "{refused:?}");
        // The same name is another session.
        store.create_session(session(&other, "s", 1)).await.unwrap();
        assert!(store.delete_session(&other, &id("s")).await.unwrap());
    }
    assert_eq!(said(store, &ann(), "s").await, ["secret", "You said: secret"]);
}

async fn deletion_takes_everything(store: &dyn Store, _: &Arc<TestClock>) {
    let turn = turn(session(&ann(), "s", 1), "hello");
    let kept = turn.run.id;
    store.finish_turn(turn).await.unwrap();
    let begun = running(run(&ann(), Some("s"), 1));
    store.begin_run(&begun).await.unwrap();
    // A turn that failed before it had anything to say.
    let mut silent = self::turn(session(&ann(), "s", 1), "");
    silent.messages.clear();
    let failed = silent.run.id;
    store.finish_turn(silent).await.unwrap();
    let stays = self::turn(session(&ann(), "t", 1), "stays");
    let stays_run = stays.run.id;
    store.finish_turn(stays).await.unwrap();

    assert!(store.delete_session(&ann(), &id("s")).await.unwrap());
    assert!(!store.delete_session(&ann(), &id("s")).await.unwrap());
    assert_eq!(store.session(&ann(), &id("s")).await.unwrap(), None);
    assert_eq!(store.messages(&ann(), &id("s"), 9).await.unwrap(), []);
    for run in [kept, begun.id, failed] {
        assert_eq!(store.run(&ann(), run).await.unwrap(), None);
        assert_eq!(store.run_events(&ann(), run, 0).await.unwrap(), []);
    }
    assert!(store.run(&ann(), stays_run).await.unwrap().is_some());
    assert_eq!(said(store, &ann(), "t").await, ["stays", "You said: stays"]);
}

async fn an_expired_session_does_not_exist(store: &dyn Store, clock: &Arc<TestClock>) {
    let mut short = session(&ann(), "s", 1);
    short.expires_at = Some(at(10));
    let turn = turn(short, "old");
    let run = turn.run.id;
    store.finish_turn(turn).await.unwrap();
    clock.set(9);
    assert!(store.session(&ann(), &id("s")).await.unwrap().is_some());
    clock.set(10);
    assert_eq!(store.session(&ann(), &id("s")).await.unwrap(), None);
    assert_eq!(store.sessions(&ann(), 9, None).await.unwrap(), []);
    assert_eq!(store.messages(&ann(), &id("s"), 9).await.unwrap(), []);
    assert_eq!(store.run(&ann(), run).await.unwrap(), None);
    assert_eq!(store.run_events(&ann(), run, 0).await.unwrap(), []);
    let refused = store.finish_turn(existing(self::turn(session(&ann(), "s", 10), "late"))).await;
    assert!(matches!(refused, Err(StoreError::NoSession)), "{refused:?}");
    assert!(!store.delete_session(&ann(), &id("s")).await.unwrap());
    // Its name is free, and nothing of it comes back with the name.
    store.create_session(session(&ann(), "s", 11)).await.unwrap();
    assert_eq!(store.messages(&ann(), &id("s"), 9).await.unwrap(), []);
    assert_eq!(store.run(&ann(), run).await.unwrap(), None);

    let mut again = session(&ann(), "t", 11);
    again.expires_at = Some(at(20));
    store.finish_turn(self::turn(again, "old")).await.unwrap();
    clock.set(20);
    store.finish_turn(self::turn(session(&ann(), "t", 20), "new")).await.unwrap();
    assert_eq!(said(store, &ann(), "t").await, ["new", "You said: new"]);
}

async fn a_sweep_deletes_what_has_expired(store: &dyn Store, clock: &Arc<TestClock>) {
    let until = |name: &str, end: i64| {
        let mut session = session(&ann(), name, 1);
        session.expires_at = Some(at(end));
        session
    };
    for number in 0..450 {
        store.create_session(until(&format!("s{number}"), 10)).await.unwrap();
    }
    let last = turn(until("last", 10), "hello");
    let run = last.run.id;
    store.finish_turn(last).await.unwrap();
    store.create_session(until("later", 20)).await.unwrap();
    store.create_session(session(&ann(), "forever", 1)).await.unwrap();
    // Used again, and so prolonged.
    store.create_session(until("prolonged", 10)).await.unwrap();
    store.finish_turn(turn(until("prolonged", 30), "hello")).await.unwrap();

    assert_eq!(store.sweep(at(9)).await.unwrap(), 0);
    assert_eq!(store.sweep(at(10)).await.unwrap(), 451);
    assert_eq!(store.sweep(at(10)).await.unwrap(), 0);
    let left = store.sessions(&ann(), 1000, None).await.unwrap();
    let left: Vec<_> = left.iter().map(|session| session.id.as_str()).collect();
    assert_eq!(left, ["prolonged", "later", "forever"]);
    assert_eq!(store.run(&ann(), run).await.unwrap(), None);
    assert_eq!(store.sweep(at(20)).await.unwrap(), 1);
    assert_eq!(store.sweep(at(1_000_000)).await.unwrap(), 1);
    clock.set(1_000_000);
    assert_eq!(store.sessions(&ann(), 9, None).await.unwrap().len(), 1);
}

async fn a_shorter_life_is_a_shorter_life(store: &dyn Store, _: &Arc<TestClock>) {
    let mut long = session(&ann(), "s", 1);
    long.expires_at = Some(at(1000));
    store.finish_turn(turn(long.clone(), "hello")).await.unwrap();
    long.expires_at = Some(at(10));
    store.finish_turn(turn(long.clone(), "hello")).await.unwrap();
    assert_eq!(store.sweep(at(10)).await.unwrap(), 1);
    long.expires_at = None;
    store.finish_turn(turn(long.clone(), "hello")).await.unwrap();
    assert_eq!(store.sweep(at(2000)).await.unwrap(), 0);
    long.expires_at = Some(at(10));
    store.finish_turn(turn(long, "hello")).await.unwrap();
    assert_eq!(store.sweep(at(10)).await.unwrap(), 1);
}

async fn loose_runs_live_for_a_set_time(store: &dyn Store, _: &Arc<TestClock>) {
    let time_to_live = i64::try_from(RUN_TIME_TO_LIVE.as_secs()).unwrap();
    let loose = stateless(&ann(), 50);
    let kept = turn(session(&ann(), "s", 50), "hello");
    let begun = running(run(&ann(), None, 50));
    let (loose_run, kept_run) = (loose.run.clone(), kept.run.id);
    store.finish_turn(loose).await.unwrap();
    store.finish_turn(kept).await.unwrap();
    store.begin_run(&begun).await.unwrap();
    assert_eq!(store.run_events(&ann(), loose_run.id, 0).await.unwrap(), []);
    store.sweep(at(50 + time_to_live - 1)).await.unwrap();
    assert_eq!(store.run(&ann(), loose_run.id).await.unwrap(), Some(loose_run.clone()));
    assert_eq!(store.sweep(at(50 + time_to_live)).await.unwrap(), 0);
    assert_eq!(store.run(&ann(), loose_run.id).await.unwrap(), None);
    assert!(store.run(&ann(), kept_run).await.unwrap().is_some());
    assert!(store.run(&ann(), begun.id).await.unwrap().is_some());
}

async fn a_turn_that_makes_no_sense_is_refused(store: &dyn Store, _: &Arc<TestClock>) {
    let bob = Owner { subject: "bob".into(), ..ann() };
    store.create_session(session(&bob, "s", 1)).await.unwrap();
    let mut stolen = turn(session(&bob, "s", 1), "mine");
    stolen.run.owner = ann();
    let mut astray = turn(session(&ann(), "s", 1), "mine");
    astray.run.session_id = Some(id("t"));
    let mut gap = turn(session(&ann(), "s", 1), "mine");
    gap.events.remove(0);
    for turn in [stolen, astray, gap] {
        let refused = store.finish_turn(turn).await;
        assert!(matches!(refused, Err(StoreError::Other(_))), "{refused:?}");
    }
    assert_eq!(said(store, &bob, "s").await, [""; 0]);
    assert_eq!(store.session(&ann(), &id("s")).await.unwrap(), None);
}

async fn it_is_ready(store: &dyn Store, _: &Arc<TestClock>) {
    store.ready().await.unwrap();
    store.ready().await.unwrap();
}
