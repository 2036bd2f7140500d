//! Whatever is asked in whatever order, SQLite and memory answer alike.

use std::collections::BTreeMap;

use bartizan_engine::{
    event::TurnEvent,
    identity::RunId,
    message::{Message, Role},
    owner::Owner,
    ports::store::{Store, StoreError},
};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::support::{TestClock, at, id, in_memory, logged, run, running, session, sqlite};

/// A call of the port, on few names so that they meet.
#[derive(Clone, Debug)]
enum Call {
    Create { owner: usize, session: usize, expires_in: Option<i64> },
    Session { owner: usize, session: usize },
    Sessions { owner: usize, limit: usize, after: Option<usize> },
    Delete { owner: usize, session: usize },
    Messages { owner: usize, session: usize, limit: usize },
    Begin { owner: usize, run: usize, session: Option<usize> },
    Finish(Finish),
    Run { owner: usize, run: usize },
    Events { owner: usize, run: usize, after: u64 },
    Sweep,
    Wait { seconds: i64 },
}

#[derive(Clone, Debug)]
struct Finish {
    owner: usize,
    run: usize,
    session: Option<usize>,
    create: bool,
    expires_in: Option<i64>,
    messages: Vec<String>,
    events: Vec<String>,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let owner = || 0..2_usize;
    let session = || 0..3_usize;
    let run = || 0..5_usize;
    let expires_in = || prop::option::of(-2..30_i64);
    let texts = || prop::collection::vec(any::<String>(), 0..4);
    let finish = (
        owner(),
        run(),
        prop::option::weighted(0.8, session()),
        any::<bool>(),
        expires_in(),
        texts(),
        texts(),
    )
        .prop_map(|(owner, run, session, create, expires_in, messages, events)| {
            Call::Finish(Finish { owner, run, session, create, expires_in, messages, events })
        });
    let call = prop_oneof![
        2 => (owner(), session(), expires_in())
            .prop_map(|(owner, session, expires_in)| Call::Create { owner, session, expires_in }),
        1 => (owner(), session()).prop_map(|(owner, session)| Call::Session { owner, session }),
        1 => (owner(), 0..4_usize, prop::option::of(session()))
            .prop_map(|(owner, limit, after)| Call::Sessions { owner, limit, after }),
        1 => (owner(), session()).prop_map(|(owner, session)| Call::Delete { owner, session }),
        2 => (owner(), session(), 0..6_usize)
            .prop_map(|(owner, session, limit)| Call::Messages { owner, session, limit }),
        1 => (owner(), run(), prop::option::of(session()))
            .prop_map(|(owner, run, session)| Call::Begin { owner, run, session }),
        5 => finish,
        2 => (owner(), run()).prop_map(|(owner, run)| Call::Run { owner, run }),
        2 => (owner(), run(), 0..4_u64)
            .prop_map(|(owner, run, after)| Call::Events { owner, run, after }),
        1 => Just(Call::Sweep),
        2 => (0..20_i64).prop_map(|seconds| Call::Wait { seconds }),
        // Past the life of loose runs.
        1 => (990..1010_i64).prop_map(|seconds| Call::Wait { seconds }),
    ];
    prop::collection::vec(call, 0..60)
}

fn owner(number: usize) -> Owner {
    Owner { tenant: "acme".into(), subject: format!("subject {number}") }
}

fn name(number: usize) -> String {
    format!("s{number}")
}

/// The answer of one store, in a form that compares.
async fn answer(store: &dyn Store, call: &Call, now: Timestamp, runs: &[RunId]) -> String {
    let ends = |expires_in: Option<i64>| expires_in.map(|seconds| at(now.as_second() + seconds));
    match call.clone() {
        Call::Create { owner: whose, session: which, expires_in } => {
            let mut made = session(&owner(whose), &name(which), now.as_second());
            made.expires_at = ends(expires_in);
            show(store.create_session(made).await)
        }
        Call::Session { owner: whose, session } => {
            show(store.session(&owner(whose), &id(&name(session))).await)
        }
        Call::Sessions { owner: whose, limit, after } => {
            let after = after.map(|session| id(&name(session)));
            show(store.sessions(&owner(whose), limit, after.as_ref()).await)
        }
        Call::Delete { owner: whose, session } => {
            show(store.delete_session(&owner(whose), &id(&name(session))).await)
        }
        Call::Messages { owner: whose, session, limit } => {
            show(store.messages(&owner(whose), &id(&name(session)), limit).await)
        }
        Call::Begin { owner: whose, run: which, session } => {
            let session = session.map(name);
            let mut begun = running(run(&owner(whose), session.as_deref(), now.as_second()));
            begun.id = runs[which];
            show(store.begin_run(&begun).await)
        }
        Call::Finish(finish) => show(store.finish_turn(turn(&finish, now, runs)).await),
        Call::Run { owner: whose, run } => show(store.run(&owner(whose), runs[run]).await),
        Call::Events { owner: whose, run, after } => {
            show(store.run_events(&owner(whose), runs[run], after).await)
        }
        Call::Sweep => show(store.sweep(now).await),
        Call::Wait { .. } => String::new(),
    }
}

fn turn(
    finish: &Finish,
    now: Timestamp,
    runs: &[RunId],
) -> bartizan_engine::ports::store::TurnRecord {
    use bartizan_engine::ports::store::{SessionChange, TurnRecord};

    let whose = owner(finish.owner);
    let named = finish.session.map(name);
    let mut record = run(&whose, named.as_deref(), now.as_second());
    record.id = runs[finish.run];
    let change = named.map(|named| {
        let mut changed = session(&whose, &named, now.as_second());
        changed.expires_at = finish.expires_in.map(|seconds| at(now.as_second() + seconds));
        changed.metadata = BTreeMap::new();
        SessionChange { session: changed, create: finish.create }
    });
    let deltas = finish.events.iter().map(|text| TurnEvent::Text { delta: text.clone() });
    TurnRecord {
        run: record,
        messages: finish
            .messages
            .iter()
            .filter(|_| change.is_some())
            .map(|text| Message::text(Role::User, text.clone()))
            .collect(),
        session: change,
        events: logged(deltas),
    }
}

fn show<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    format!("{answer:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn both_stores_answer_alike(calls in calls()) {
        let runs: Vec<RunId> = (0..5).map(|_| RunId::new()).collect();
        let clock = TestClock::new();
        let directory = tempfile::tempdir().unwrap();
        let (first, second) = (sqlite(directory.path(), &clock), in_memory(&clock));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut seconds = 100;
        for call in &calls {
            if let Call::Wait { seconds: more } = call {
                seconds += more;
            }
            clock.set(seconds);
            let now = at(seconds);
            let (first, second) = runtime.block_on(async {
                (answer(&*first, call, now, &runs).await, answer(&*second, call, now, &runs).await)
            });
            prop_assert_eq!(first, second, "{:?}", call);
        }
    }
}
