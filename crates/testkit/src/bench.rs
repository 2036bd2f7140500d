//! The benchmark of `bartizan`: what it adds to a model call that a client could make directly, in time,
//! processor and memory.
//!
//! Every figure is taken at the client, never from a timer of the server, and stands beside the direct
//! figure and that of a bare relay from the same run. Every answer is checked; a row of which one answer
//! was wrong is not shown. Nothing here passes or fails by a time: it prints, people judge.
//! `docs/benchmarks.md` says what each row means.

mod latency;
mod load;
mod machine;
mod presence;
mod relay;
mod report;
mod servers;
mod statistics;
mod turn;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

pub use self::relay::serve as serve_relay;

use self::latency::{Row, Subjects};
use self::load::{Pace, Plan};
use self::machine::{Cores, Machine};
use self::presence::{Presence, Server};
use self::servers::{Behind, Starter};
use self::turn::Kind;

/// What to measure and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The release binary; without it only the direct way and the relay are measured.
    pub bartizan: Option<PathBuf>,
    /// More environment for it.
    pub environment: Vec<(String, String)>,
    /// The numbers of connections of the latency rows.
    pub connections: Vec<usize>,
    /// Those of the rows with a tool round and with kept sessions.
    pub further_connections: Vec<usize>,
    /// How often each stretch is repeated, in alternation with the others.
    pub repeats: usize,
    /// How long a stretch lasts.
    pub stretch: Duration,
    /// Turns a second of the rows at a fixed rate.
    pub rate: u32,
    /// How often each server is started for the time to ready.
    pub starts: usize,
    /// How many streams are held open for the memory figure.
    pub streams: usize,
    /// How long they are held before memory is read.
    pub hold: Duration,
    /// Gives the server under test a core of its own.
    pub cores_apart: bool,
    /// The parts to run.
    pub parts: Vec<Part>,
    /// Writes the raw figures here.
    pub json: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Plain turns, streamed and not, as fast as answers come.
    Latency,
    /// Plain turns at a fixed rate.
    Rate,
    /// Turns with a tool round.
    Tool,
    /// Turns in kept sessions.
    Session,
    /// Start and memory.
    Presence,
}

impl Part {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 5] =
        [Self::Latency, Self::Rate, Self::Tool, Self::Session, Self::Presence];

    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Rate => "rate",
            Self::Tool => "tool",
            Self::Session => "session",
            Self::Presence => "presence",
        }
    }

    fn connections(self, options: &Options) -> Vec<usize> {
        let all = options.connections.iter().copied();
        match self {
            Self::Tool | Self::Session => options.further_connections.clone(),
            // A single connection is never crowded: at full pace it shows the same.
            Self::Rate => all.filter(|connections| *connections > 1).collect(),
            Self::Latency | Self::Presence => all.collect(),
        }
    }
}

/// The raw figures.
#[derive(Debug, Serialize)]
struct Figures {
    machine: Machine,
    cores_apart: bool,
    repeats: usize,
    stretch_seconds: f64,
    rows: Vec<Row>,
    presence: Vec<Presence>,
}

/// Runs the benchmark and prints its tables. Returns whether every row could be shown.
///
/// # Errors
/// When a server cannot be started or watched.
pub fn run(options: &Options) -> io::Result<bool> {
    let machine = Machine::describe();
    let open_files = machine::raise_open_files()?;
    let cores = Cores::share_out(options.cores_apart)?;
    let behind = Behind::start()?;
    println!("{}; {open_files} open files allowed.", machine.line());
    println!(
        "{} repeats of {:?} each, medians; {}.",
        options.repeats,
        options.stretch,
        match cores.are_apart() {
            true => "the server under test on a core of its own",
            false => "all processes share all cores",
        }
    );
    let starter = Starter::new(
        options.bartizan.clone(),
        options.environment.clone(),
        cores,
        behind.tools.address(),
    )?;
    // One thread drives the load, so that it takes no more than one core from the servers.
    let driver = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = Figures {
        machine,
        cores_apart: starter.cores.are_apart(),
        repeats: options.repeats,
        stretch_seconds: options.stretch.as_secs_f64(),
        rows: Vec::new(),
        presence: Vec::new(),
    };
    driver.block_on(async {
        let latency_parts = options.parts.iter().any(|part| *part != Part::Presence);
        if latency_parts {
            figures.rows = latency_rows(options, &starter, &behind).await?;
            print!("{}", report::nagle_line(&figures.rows));
        }
        if options.parts.contains(&Part::Presence) {
            figures.presence = presence_rows(options, &starter, &behind).await?;
            print!("{}", report::presence_table(&figures.presence));
        }
        io::Result::Ok(())
    })?;
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&figures)?;
        std::fs::write(path, text)?;
    }
    let shown = |fault: &Option<String>| fault.is_none();
    Ok(figures.rows.iter().all(|row| shown(&row.fault))
        && figures.presence.iter().all(|row| shown(&row.fault)))
}

async fn latency_rows(
    options: &Options,
    starter: &Starter,
    behind: &Behind,
) -> io::Result<Vec<Row>> {
    let mut relay = starter.relay(behind.fast.address()).await?;
    relay.try_ready().await?;
    let mut bartizan = starter.bartizan(behind.fast.address()).await?;
    if let Some(bartizan) = &mut bartizan {
        bartizan.try_ready().await?;
    }
    let subjects = Subjects { behind, relay: &relay, bartizan: bartizan.as_ref() };
    let mut rows = Vec::new();
    for part in Part::ALL {
        if !options.parts.contains(&part) {
            continue;
        }
        for (kind, pace) in tables(part, options.rate) {
            latency::warm_up(&subjects, kind, options.stretch / 4).await?;
            let mut table = Vec::new();
            for connections in part.connections(options) {
                let plan = Plan { kind, connections, pace, duration: options.stretch };
                table.extend(subjects.measure(plan, options.repeats).await?);
            }
            print!("{}", report::latency_table(&table));
            rows.extend(table);
        }
    }
    Ok(rows)
}

/// The tables of a part: a kind of turn and a pace each.
fn tables(part: Part, rate: u32) -> Vec<(Kind, Pace)> {
    let both = [Kind::WHOLE, Kind::STREAMED];
    let (kinds, pace) = match part {
        Part::Latency => (both.to_vec(), Pace::Full),
        Part::Rate => (both.to_vec(), Pace::PerSecond(rate)),
        Part::Tool => (both.map(|kind| Kind { tool: true, ..kind }).to_vec(), Pace::Full),
        Part::Session => (both.map(|kind| Kind { session: true, ..kind }).to_vec(), Pace::Full),
        Part::Presence => (Vec::new(), Pace::Full),
    };
    kinds.into_iter().map(|kind| (kind, pace)).collect()
}

async fn presence_rows(
    options: &Options,
    starter: &Starter,
    behind: &Behind,
) -> io::Result<Vec<Presence>> {
    let mut rows = Vec::new();
    for server in [Server::Relay, Server::Bartizan] {
        let slow = behind.slow.address();
        let row = presence::measure(options, starter, server, slow).await?;
        rows.extend(row);
    }
    Ok(rows)
}
