//! Turns that end badly.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bartizan_engine::{
    event::{LoggedEvent, TurnEvent},
    failure::FailureCode,
    identity::{RunId, SessionId},
    limits::Limits,
    message::{Media, MediaKind, MediaSource, Message, Part, Role},
    owner::Owner,
    ports::{
        model::ModelErrorKind,
        store::{RunRecord, Session, Store, StoreError, StoredMessage, TurnRecord},
    },
    request::TurnRequest,
};
use jiff::Timestamp;
use serde_json::{Map, json};

use crate::support::{Say, memory, turn, turn_in, world, world_with};

fn code(event: &TurnEvent) -> FailureCode {
    match event {
        TurnEvent::Failed { code, .. } => *code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_model_that_says_nothing_leaves_no_question_behind() {
    let world = world(vec![vec![Say::Fail(ModelErrorKind::Unavailable)], vec![Say::Text("hi")]]);
    let events = world.events(turn_in("s", "one")).await;
    assert_eq!(code(events.last().unwrap()), FailureCode::ModelUnavailable);
    assert!(world.messages("s").await.is_empty());
    world.events(turn_in("s", "two")).await;
    assert_eq!(world.model.request(1).messages.len(), 1);
}

#[tokio::test]
async fn what_was_streamed_is_kept_and_marked() {
    for (end, expected) in [
        (Say::Fail(ModelErrorKind::Interrupted), FailureCode::ModelInterrupted),
        (Say::BreakOff, FailureCode::ModelInterrupted),
        (Say::Fail(ModelErrorKind::Malformed), FailureCode::ModelMalformed),
    ] {
        let world = world(vec![vec![Say::Text("Half a sen"), end]]);
        let events = world.events(turn_in("s", "one")).await;
        assert_eq!(code(events.last().unwrap()), expected);
        let messages = world.messages("s").await;
        assert_eq!(messages[1].plain_text(), "Half a sen");
        assert!(!messages[1].complete);
    }
}

#[tokio::test]
async fn a_defect_ends_the_turn_and_frees_the_session() {
    let world = world(vec![vec![Say::Text("a"), Say::Panic], vec![Say::Text("b")]]);
    let events = world.events(turn_in("s", "one")).await;
    assert_eq!(code(events.last().unwrap()), FailureCode::Internal);
    let events = world.events(turn_in("s", "two")).await;
    assert!(matches!(events.last().unwrap(), TurnEvent::Done { .. }));
}

#[tokio::test]
async fn nothing_to_answer_is_refused() {
    let world = world(vec![vec![Say::Text("a")]]);
    let none = TurnRequest { messages: vec![], ..turn("") };
    assert_eq!(world.refused(none).await.code, FailureCode::InvalidRequest);
    assert_eq!(world.refused(turn("")).await.code, FailureCode::InvalidRequest);
    let last = TurnRequest { messages: vec![Message::text(Role::Assistant, "I")], ..turn("") };
    assert_eq!(world.refused(last).await.code, FailureCode::InvalidRequest);
    let unknown = TurnRequest { agent: "nobody".into(), ..turn("go") };
    let failure = world.refused(unknown).await;
    assert_eq!(failure.code, FailureCode::UnknownAgent);
    assert!(failure.message.contains("test/plain"), "{failure}");
    assert_eq!(world.model.asked(), 0);
}

#[tokio::test]
async fn variables_are_checked_before_the_model_is_asked() {
    let world = world(vec![vec![Say::Text("a")]]);
    let named = |value| TurnRequest {
        agent: "test/named".into(),
        variables: Map::from_iter([("name".to_owned(), value)]),
        ..turn("go")
    };
    let missing = TurnRequest { variables: Map::new(), ..named(json!("x")) };
    assert_eq!(world.refused(missing).await.code, FailureCode::InvalidVariable);
    assert_eq!(world.refused(named(json!(7))).await.code, FailureCode::InvalidVariable);
    assert_eq!(world.model.asked(), 0);
    world.events(named(json!("{{name}}"))).await;
    assert_eq!(world.model.request(0).system.as_deref(), Some("You are {{name}}."));
}

#[tokio::test]
async fn media_limits_are_applied() {
    let world = world(vec![vec![Say::Text("a")]]);
    let image = |mime_type: &str, bytes: usize| {
        Part::Media(Media {
            kind: MediaKind::of(mime_type),
            mime_type: mime_type.into(),
            source: MediaSource::Base64("A".repeat(bytes * 4 / 3)),
            name: None,
        })
    };
    let with = |parts| TurnRequest {
        agent: "test/named".into(),
        variables: Map::from_iter([("name".to_owned(), json!("x"))]),
        messages: vec![Message::new(Role::User, parts)],
        ..turn("")
    };
    let png = || image("image/png", 100);
    world.events(with(vec![png()])).await;
    for (parts, expected) in [
        (vec![png(), png()], FailureCode::UnsupportedContent),
        (vec![image("image/gif", 100)], FailureCode::UnsupportedContent),
        (vec![image("audio/wav", 100)], FailureCode::UnsupportedContent),
        (vec![image("image/png", 2 << 20)], FailureCode::TooLarge),
    ] {
        let failure = world.refused(with(parts)).await;
        assert_eq!((failure.code, failure.param.as_deref()), (expected, Some("messages[0]")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_turn_stops_and_keeps_what_was_said() {
    let world = world(vec![vec![Say::Text("begun"), Say::Pause(Duration::from_secs(60))]]);
    let run = world.start(turn_in("s", "go")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    run.cancel();
    assert_eq!(code(&run.finished().await.event), FailureCode::Cancelled);
    assert!(!world.messages("s").await[1].complete);
}

/// A store whose disk is full.
struct FullDisk(Arc<dyn Store>);

#[async_trait]
impl Store for FullDisk {
    async fn create_session(&self, session: Session) -> Result<(), StoreError> {
        self.0.create_session(session).await
    }
    async fn session(&self, owner: &Owner, id: &SessionId) -> Result<Option<Session>, StoreError> {
        self.0.session(owner, id).await
    }
    async fn sessions(
        &self,
        owner: &Owner,
        limit: usize,
        after: Option<&SessionId>,
    ) -> Result<Vec<Session>, StoreError> {
        self.0.sessions(owner, limit, after).await
    }
    async fn delete_session(&self, owner: &Owner, id: &SessionId) -> Result<bool, StoreError> {
        self.0.delete_session(owner, id).await
    }
    async fn messages(
        &self,
        owner: &Owner,
        id: &SessionId,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        self.0.messages(owner, id, limit).await
    }
    async fn begin_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        self.0.begin_run(run).await
    }
    async fn finish_turn(&self, _: TurnRecord) -> Result<(), StoreError> {
        Err(StoreError::Full("as scripted".into()))
    }
    async fn run(&self, owner: &Owner, id: RunId) -> Result<Option<RunRecord>, StoreError> {
        self.0.run(owner, id).await
    }
    async fn run_events(
        &self,
        owner: &Owner,
        id: RunId,
        after: u64,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        self.0.run_events(owner, id, after).await
    }
    async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.0.sweep(now).await
    }
    async fn ready(&self) -> Result<(), StoreError> {
        Err(StoreError::Full("as scripted".into()))
    }
}

#[tokio::test]
async fn a_turn_that_cannot_be_stored_fails() {
    let store = Arc::new(FullDisk(memory()));
    let world = world_with(vec![vec![Say::Text("a")]], Limits::default(), store);
    let events = world.events(turn_in("s", "go")).await;
    assert_eq!(code(events.last().unwrap()), FailureCode::StoreUnavailable);
    assert!(!events.iter().any(|event| matches!(event, TurnEvent::Done { .. })));
}

#[tokio::test]
async fn what_is_kept_of_a_later_call_begins_with_its_own_words() {
    let world = world(vec![
        vec![Say::Text("Let me see."), Say::Call("c", "add", json!({ "a": 1, "b": 2 }))],
        vec![Say::Text("Thr"), Say::BreakOff],
    ]);
    world.events(turn_in("s", "go")).await;
    let messages = world.messages("s").await;
    assert_eq!(messages.last().unwrap().plain_text(), "Thr");
}
