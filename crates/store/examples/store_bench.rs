//! What a turn costs in the store: CPU and time, printed as a table.
//!
//! `cargo run --release -p bartizan-store --example store_bench [turns] [directory]`
//!
//! CPU is that of all threads, from `/proc`; time is what one caller waits.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program for people")]

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan_engine::{
    event::{LoggedEvent, StopReason, TurnEvent},
    identity::{RunId, SessionId},
    message::{Message, Role},
    owner::Owner,
    ports::{
        clock::SystemClock,
        store::{RunRecord, RunStatus, Session, SessionChange, Store, TurnRecord},
    },
    usage::Usage,
};
use bartizan_store::{Durability, Memory, Options, Sqlite, memory};
use jiff::Timestamp;

/// Messages that a turn on a short session reads.
const WINDOW: usize = 40;

/// Turns after which a caller goes on with a new session.
const TURNS_PER_SESSION: usize = 10;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let turns = arguments.next().map_or(20_000, |text| text.parse().expect("a number of turns"));
    let directory = arguments.next().map_or_else(
        || std::env::temp_dir().join(format!("store-bench-{}", std::process::id())),
        PathBuf::from,
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    println!("{turns} turns of 2 messages and 24 events, {TURNS_PER_SESSION} per session\n");
    println!(
        "{:<38} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "turns/s", "CPU µs", "p50 µs", "p99 µs", "max µs"
    );
    for durability in [Durability::Normal, Durability::Full] {
        for callers in [1, 16, 100] {
            let turns = if durability == Durability::Full { turns / 10 } else { turns };
            let _ = fs::remove_dir_all(&directory);
            let options = Options { durability, ..Options::default() };
            let store = Sqlite::open(&directory, options, Arc::new(SystemClock)).expect("a store");
            let name = format!("SQLite {durability:?}, {callers} callers");
            runtime.block_on(measure(&name, store, turns, callers));
        }
        let _ = fs::remove_dir_all(&directory);
        let options = Options { durability, ..Options::default() };
        let store = Sqlite::open(&directory, options, Arc::new(SystemClock)).expect("a store");
        runtime.block_on(paced(&format!("SQLite {durability:?}, 500 turns/s: both"), store));
    }
    let store = Memory::new(Arc::new(SystemClock), memory::Options::default());
    runtime.block_on(measure("memory, 1 callers", store, turns, 1));
    let _ = fs::remove_dir_all(&directory);
}

/// Every caller reads its session's messages and finishes a turn, again and again.
async fn measure(name: &str, store: Arc<dyn Store>, turns: usize, callers: usize) {
    for (what, reads, writes) in
        [("messages", true, false), ("finish_turn", false, true), ("both", true, true)]
    {
        // The reads alone find what was written here.
        let warm: Vec<_> = (0..callers).map(|_| SessionId::random()).collect();
        for id in &warm {
            for _ in 0..TURNS_PER_SESSION / 2 {
                store.finish_turn(turn(id)).await.expect("a turn");
            }
        }
        let (cpu, began) = (cpu_time(), Instant::now());
        let tasks: Vec<_> = warm
            .into_iter()
            .map(|warm| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut id = warm;
                    let mut times = Vec::with_capacity(turns / callers);
                    for number in 1..=turns / callers {
                        let prepared = writes.then(|| turn(&id));
                        let began = Instant::now();
                        if reads {
                            let found = store.messages(&Owner::local(), &id, WINDOW).await;
                            std::hint::black_box(found.expect("messages"));
                        }
                        if let Some(turn) = prepared {
                            store.finish_turn(turn).await.expect("a turn");
                        }
                        times.push(began.elapsed());
                        if writes && number % TURNS_PER_SESSION == 0 {
                            id = SessionId::random();
                        }
                    }
                    times
                })
            })
            .collect();
        let mut times = Vec::with_capacity(turns);
        for task in tasks {
            times.extend(task.await.expect("a caller"));
        }
        let (wall, cpu) = (began.elapsed(), cpu_time().saturating_sub(cpu));
        print(&format!("{name}: {what}"), times, wall, cpu);
    }
}

/// What a turn waits for the store while this is far from busy: 16 callers, for ten seconds.
async fn paced(name: &str, store: Arc<dyn Store>) {
    const CALLERS: u32 = 16;
    const EVERY: Duration = Duration::from_millis(2);
    let (cpu, began) = (cpu_time(), Instant::now());
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut ticks =
                    tokio::time::interval_at((began + EVERY * caller).into(), EVERY * CALLERS);
                let mut id = SessionId::random();
                let mut times = Vec::new();
                for number in 1..=(10_000 / (2 * CALLERS as usize)) {
                    ticks.tick().await;
                    let turn = turn(&id);
                    let began = Instant::now();
                    let found = store.messages(&Owner::local(), &id, WINDOW).await;
                    std::hint::black_box(found.expect("messages"));
                    store.finish_turn(turn).await.expect("a turn");
                    times.push(began.elapsed());
                    if number % TURNS_PER_SESSION == 0 {
                        id = SessionId::random();
                    }
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("a caller"));
    }
    print(name, times, began.elapsed(), cpu_time().saturating_sub(cpu));
}

fn print(name: &str, mut times: Vec<Duration>, wall: Duration, cpu: Duration) {
    times.sort_unstable();
    let at = |part: f64| micros(times[((times.len() - 1) as f64 * part) as usize]);
    println!(
        "{name:<38} {:>9.0} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
        times.len() as f64 / wall.as_secs_f64(),
        micros(cpu) / times.len() as f64,
        at(0.5),
        at(0.99),
        at(1.0),
    );
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// What all threads of this process have used.
fn cpu_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("this benchmark needs Linux");
    let nanos = tasks
        .filter_map(Result::ok)
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()))
        .sum();
    Duration::from_nanos(nanos)
}

/// A turn of a question, an answer of 20 pieces, and what surrounds them.
fn turn(id: &SessionId) -> TurnRecord {
    let now = Timestamp::now();
    let run_id = RunId::new();
    let usage = Usage { input_tokens: 900, output_tokens: 80, ..Usage::default() };
    let text = "A bartizan is a small turret on a wall. ".repeat(10);
    let started = TurnEvent::Started {
        run_id,
        session_id: Some(id.clone()),
        agent: "support/answer".into(),
        model: "gpt-4o-mini".into(),
        mock: false,
    };
    let piece = TurnEvent::Text { delta: text[..20].into() };
    let done = TurnEvent::Done { stop_reason: StopReason::EndTurn, text: text.clone(), usage };
    let mut events = vec![started];
    events.extend(std::iter::repeat_n(piece, 20));
    events.extend([TurnEvent::Usage { usage }, done]);
    TurnRecord {
        run: RunRecord {
            id: run_id,
            owner: Owner::local(),
            session_id: Some(id.clone()),
            agent: "support/answer".into(),
            pack_version: "1.0.0".into(),
            pack_digest: "5f".repeat(32),
            model: "openai/gpt-4o-mini".into(),
            status: RunStatus::Completed,
            stop_reason: Some(StopReason::EndTurn),
            failure: None,
            usage,
            started_at: now,
            finished_at: Some(now),
        },
        session: Some(SessionChange {
            session: Session {
                id: id.clone(),
                owner: Owner::local(),
                agent: "support/answer".into(),
                created_at: now,
                updated_at: now,
                expires_at: now.checked_add(jiff::SignedDuration::from_hours(24)).ok(),
                metadata: BTreeMap::new(),
                message_count: 0,
            },
            create: true,
        }),
        messages: vec![
            Message::text(Role::User, "What is a bartizan, and why would I want one?"),
            Message::text(Role::Assistant, text),
        ],
        events: (1..).zip(events).map(|(id, event)| Arc::new(LoggedEvent { id, event })).collect(),
    }
}
