//! A clock that tests set, and things to store.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bartizan_engine::{
    event::{LoggedEvent, StopReason, TurnEvent},
    identity::{RunId, SessionId},
    message::{Message, Role},
    owner::Owner,
    ports::{
        clock::Clock,
        store::{RunRecord, RunStatus, Session, SessionChange, Store, TurnRecord},
    },
    usage::Usage,
};
use bartizan_store::{Memory, Options, Sqlite, memory};
use jiff::Timestamp;

/// How long loose runs live in tests.
pub(crate) const RUN_TIME_TO_LIVE: Duration = Duration::from_secs(1000);

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    /// A clock at second 0.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn set(&self, second: i64) {
        self.0.store(second, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) fn options() -> Options {
    Options {
        run_time_to_live: RUN_TIME_TO_LIVE,
        busy_timeout: Duration::from_millis(200),
        ..Options::default()
    }
}

pub(crate) fn sqlite(directory: &Path, clock: &Arc<TestClock>) -> Arc<Sqlite> {
    Sqlite::open(directory, options(), Arc::<TestClock>::clone(clock)).unwrap()
}

pub(crate) fn in_memory(clock: &Arc<TestClock>) -> Arc<Memory> {
    let options =
        memory::Options { run_time_to_live: RUN_TIME_TO_LIVE, ..memory::Options::default() };
    Memory::new(Arc::<TestClock>::clone(clock), options)
}

pub(crate) fn ann() -> Owner {
    Owner { tenant: "acme".into(), subject: "ann".into() }
}

pub(crate) fn id(name: &str) -> SessionId {
    name.parse().unwrap()
}

/// A session made and last used at that second, which never expires.
pub(crate) fn session(owner: &Owner, name: &str, second: i64) -> Session {
    Session {
        id: id(name),
        owner: owner.clone(),
        agent: "support/answer".into(),
        created_at: at(second),
        updated_at: at(second),
        expires_at: None,
        metadata: BTreeMap::from([("channel".into(), "phone".into())]),
        message_count: 0,
    }
}

/// A run that completed at that second.
pub(crate) fn run(owner: &Owner, session: Option<&str>, second: i64) -> RunRecord {
    RunRecord {
        id: RunId::new(),
        owner: owner.clone(),
        session_id: session.map(id),
        agent: "support/answer".into(),
        pack_version: "1.2.0".into(),
        pack_digest: "00".repeat(32),
        model: "mock/mock".into(),
        status: RunStatus::Completed,
        stop_reason: Some(StopReason::EndTurn),
        failure: None,
        usage: Usage { input_tokens: 9, output_tokens: 3, ..Usage::default() },
        started_at: at(second),
        finished_at: Some(at(second)),
    }
}

pub(crate) fn running(mut run: RunRecord) -> RunRecord {
    run.status = RunStatus::Running;
    run.stop_reason = None;
    run.finished_at = None;
    run
}

/// A turn of a question and an answer in a session, which it makes where there is none.
pub(crate) fn turn(session: Session, question: &str) -> TurnRecord {
    let second = session.updated_at.as_second();
    let run = run(&session.owner, Some(session.id.as_str()), second);
    let answer = format!("You said: {question}");
    let events = [
        TurnEvent::Text { delta: answer.clone() },
        TurnEvent::Usage { usage: run.usage },
        TurnEvent::Done {
            stop_reason: StopReason::EndTurn,
            text: answer.clone(),
            usage: run.usage,
        },
    ];
    TurnRecord {
        run,
        session: Some(SessionChange { session, create: true }),
        messages: vec![Message::text(Role::User, question), Message::text(Role::Assistant, answer)],
        events: logged(events),
    }
}

/// A turn that keeps nothing but its run.
pub(crate) fn stateless(owner: &Owner, second: i64) -> TurnRecord {
    TurnRecord {
        run: run(owner, None, second),
        session: None,
        messages: Vec::new(),
        events: Vec::new(),
    }
}

pub(crate) fn existing(mut turn: TurnRecord) -> TurnRecord {
    turn.session.as_mut().unwrap().create = false;
    turn
}

pub(crate) fn logged(events: impl IntoIterator<Item = TurnEvent>) -> Vec<Arc<LoggedEvent>> {
    (1..).zip(events).map(|(id, event)| Arc::new(LoggedEvent { id, event })).collect()
}

/// What was said in a session, oldest first.
pub(crate) async fn said(store: &dyn Store, owner: &Owner, name: &str) -> Vec<String> {
    let messages = store.messages(owner, &id(name), usize::MAX).await.unwrap();
    messages.iter().map(|stored| stored.message.plain_text()).collect()
}
