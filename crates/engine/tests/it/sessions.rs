//! Sessions, runs, and those who follow them.

use std::time::Duration;

use bartizan_engine::{
    engine::Follow,
    event::TurnEvent,
    failure::FailureCode,
    limits::{Limits, WhenBusy},
    message::Role,
    ports::store::{RunStatus, TurnRecord},
    request::{SessionChoice, TurnRequest},
};

use crate::support::{Say, all_events, memory, owner, turn, turn_in, world, world_with};

#[tokio::test]
async fn a_session_remembers() {
    let world = world(vec![vec![Say::Text("First.")], vec![Say::Text("Second.")]]);
    world.events(turn_in("s", "one")).await;
    world.events(turn_in("s", "two")).await;
    let said: Vec<String> =
        world.model.request(1).messages.iter().map(|message| message.plain_text()).collect();
    assert_eq!(said, ["one", "First.", "two"]);
    let session = world.engine.session(&owner(), &"s".parse().unwrap()).await.unwrap();
    assert_eq!((session.message_count, session.agent.as_str()), (4, "test/plain"));
}

#[tokio::test]
async fn a_stateless_turn_leaves_its_use_and_no_words() {
    let world = world(vec![vec![Say::Text("Secret.")]]);
    let run = world.start(turn("whisper")).await;
    all_events(&run).await;
    let record = settled(&world, &run).await;
    assert_eq!((record.status, record.usage.input_tokens), (RunStatus::Completed, 10));
    let events = world.engine.store().run_events(&owner(), run.id(), 0).await.unwrap();
    assert!(events.is_empty());
}

/// How the run's record says that it failed.
async fn settled_failure(
    world: &crate::support::World,
    id: bartizan_engine::identity::RunId,
) -> Option<(FailureCode, String)> {
    world.engine.run(&owner(), id).await.unwrap().failure
}

/// The record of a run that has left the engine.
async fn settled(
    world: &crate::support::World,
    run: &std::sync::Arc<bartizan_engine::run::Run>,
) -> bartizan_engine::ports::store::RunRecord {
    world.engine.run(&owner(), run.id()).await.unwrap()
}

#[tokio::test]
async fn a_session_that_must_exist_must() {
    let world = world(vec![vec![Say::Text("hi")]]);
    let request =
        TurnRequest { session: SessionChoice::Existing("nope".parse().unwrap()), ..turn("go") };
    assert_eq!(world.refused(request).await.code, FailureCode::UnknownSession);
    assert_eq!(world.model.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn turns_of_a_session_wait_for_each_other() {
    let slow = || vec![Say::Text("a"), Say::Pause(Duration::from_secs(5)), Say::Text("b")];
    let world = world(vec![slow(), slow(), slow()]);
    let first = world.start(turn_in("s", "one")).await;
    let second = world.start(turn_in("s", "two")).await;
    let third = world.start(turn_in("s", "three")).await;
    first.finished().await;
    assert!(!second.is_finished());
    second.finished().await;
    third.finished().await;
    let said: Vec<String> =
        world.messages("s").await.iter().map(|message| message.plain_text()).collect();
    assert_eq!(said, ["one", "ab", "two", "ab", "three", "ab"]);
}

#[tokio::test(start_paused = true)]
async fn a_busy_session_can_be_refused() {
    let limits = Limits { when_busy: WhenBusy::Refuse, ..Limits::default() };
    let world = world_with(
        vec![vec![Say::Pause(Duration::from_secs(5)), Say::Text("a")]],
        limits,
        memory(),
    );
    let first = world.start(turn_in("s", "one")).await;
    assert_eq!(world.refused(turn_in("s", "two")).await.code, FailureCode::SessionBusy);
    world.start(turn_in("other", "two")).await;
    first.finished().await;
    tokio::task::yield_now().await;
    world.start(turn_in("s", "three")).await.finished().await;
}

#[tokio::test]
async fn who_comes_back_gets_the_rest_once() {
    let world = world(vec![vec![Say::Text("a"), Say::Text("b"), Say::Text("c")]]);
    let run = world.start(turn_in("s", "go")).await;
    let all: Vec<u64> = all_events(&run).await.iter().map(|logged| logged.id).collect();
    assert_eq!(all, [1, 2, 3, 4, 5, 6]);
    for after in 0..=6 {
        let rest: Vec<u64> = match world.engine.follow(&owner(), run.id(), after).await.unwrap() {
            Follow::Live(mut follower) => {
                let mut rest = Vec::new();
                while let Some(batch) = follower.next_batch().await {
                    rest.extend(batch.iter().map(|logged| logged.id));
                }
                rest
            }
            Follow::Stored(events) => events.iter().map(|logged| logged.id).collect(),
        };
        assert_eq!(rest, all[usize::try_from(after).unwrap()..]);
    }
}

#[tokio::test]
async fn another_owner_finds_nothing() {
    let world = world(vec![vec![Say::Text("a")]]);
    let run = world.start(turn_in("s", "go")).await;
    run.finished().await;
    let other = bartizan_engine::owner::Owner { tenant: "local".into(), subject: "eve".into() };
    assert!(world.engine.running(&other, run.id()).is_none());
    assert!(world.engine.run(&other, run.id()).await.is_err());
    assert!(world.engine.session(&other, &"s".parse().unwrap()).await.is_err());
}

#[tokio::test]
async fn an_announced_run_is_found_while_it_works() {
    let world = world(vec![vec![Say::Pause(Duration::from_millis(50)), Say::Text("a")]]);
    let run = world.start(TurnRequest { announced: true, ..turn_in("s", "go") }).await;
    assert_eq!(world.engine.run(&owner(), run.id()).await.unwrap().status, RunStatus::Running);
    run.finished().await;
    assert_eq!(world.messages("s").await.len(), 2);
}

#[tokio::test]
async fn a_callers_instructions_hold_for_their_turn() {
    let world = world(vec![vec![Say::Text("a")]]);
    let mut request = turn_in("s", "go");
    request
        .messages
        .insert(0, bartizan_engine::message::Message::text(Role::System, "Speak Latin."));
    world.events(request).await;
    assert_eq!(world.model.request(0).messages[0].role, Role::System);
    assert!(world.messages("s").await.iter().all(|message| message.role != Role::System));
}

#[tokio::test(start_paused = true)]
async fn draining_lets_turns_finish_and_takes_no_new_ones() {
    let world = world(vec![vec![Say::Pause(Duration::from_secs(2)), Say::Text("a")]]);
    let run = world.start(turn_in("s", "go")).await;
    world.engine.begin_drain();
    assert_eq!(world.refused(turn("late")).await.code, FailureCode::ShuttingDown);
    world.engine.drain(Duration::from_secs(10)).await;
    assert!(matches!(run.finished().await.event, TurnEvent::Done { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_outlasts_the_grace_is_cancelled_and_stored() {
    let world =
        world(vec![vec![Say::Text("begun"), Say::Pause(Duration::from_secs(100)), Say::Text("a")]]);
    let run = world.start(turn_in("s", "go")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.engine.drain(Duration::from_secs(1)).await;
    let last = run.finished().await;
    assert!(matches!(last.event, TurnEvent::Failed { code: FailureCode::Cancelled, .. }));
    let messages = world.messages("s").await;
    assert_eq!((messages.len(), messages[1].complete), (2, false));
}

#[tokio::test]
async fn the_end_of_an_interrupted_run_is_told_once_to_everybody() {
    let world = world(vec![vec![Say::Text("hi")]]);
    let run = world.start(turn("go")).await;
    all_events(&run).await;
    let mut record = settled(&world, &run).await;
    record.id = bartizan_engine::identity::RunId::new();
    record.status = RunStatus::Interrupted;
    record.stop_reason = None;
    let dead = TurnRecord { run: record.clone(), session: None, messages: vec![], events: vec![] };
    world.engine.store().finish_turn(dead).await.unwrap();
    let (code, _) = settled_failure(&world, record.id).await.expect("the run says how it ended");
    assert_eq!(code, FailureCode::Interrupted);
    let after = async |id| match world.engine.follow(&owner(), record.id, id).await.unwrap() {
        Follow::Stored(events) => events,
        Follow::Live(_) => panic!("the run is dead"),
    };
    for seen in [0, 1, 7] {
        let events = after(seen).await;
        let [end] = events.as_slice() else { panic!("{events:?}") };
        assert!(matches!(end.event, TurnEvent::Failed { code: FailureCode::Interrupted, .. }));
        assert!(end.id > seen);
        assert!(after(end.id).await.is_empty(), "who has seen the end is not told again");
    }
}
