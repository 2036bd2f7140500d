//! `bench`: measures the release binary beside direct calls and a bare relay, and prints the tables.
//! `docs/benchmarks.md` says how to read them.
#![allow(clippy::print_stderr, reason = "a program for people: it talks to the terminal")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bartizan_testkit::bench::{self, Options, Part};
use bartizan_testkit::process;
use clap::{Parser, Subcommand};

/// Measure what bartizan adds to a model call: latency, processor time, memory, start.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,

    /// The binary to measure; by default the one beside this program.
    #[arg(long)]
    bartizan: Option<PathBuf>,

    /// Measure only the direct way and the relay.
    #[arg(long, conflicts_with = "bartizan")]
    without_bartizan: bool,

    /// Less of everything, in under 30 seconds: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,

    /// Numbers of connections [default: 1,10,100,500, with tools and sessions 1,10,100; quick: 1,100
    /// and 10].
    #[arg(long, value_delimiter = ',')]
    connections: Option<Vec<usize>>,

    /// How often each stretch is repeated [default: 5; quick: 2].
    #[arg(long)]
    repeats: Option<usize>,

    /// Seconds that each stretch lasts [default: 1; quick: 0.2].
    #[arg(long)]
    seconds: Option<f64>,

    /// Turns a second of the rows at a fixed rate.
    #[arg(long, default_value_t = 500)]
    rate: u32,

    /// Streams held open for the memory figure.
    #[arg(long, default_value_t = 1000)]
    streams: usize,

    /// Give the server under test a core of its own and everything else the others.
    #[arg(long)]
    cores_apart: bool,

    /// Parts to run: latency, rate, tool, session, presence [default: all].
    #[arg(long, value_delimiter = ',', value_parser = part)]
    parts: Option<Vec<Part>>,

    /// More environment for bartizan, as NAME=VALUE; may be repeated.
    #[arg(long, value_parser = pair)]
    env: Vec<(String, String)>,

    /// Write the raw figures to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What the benchmark starts this program as again.
#[derive(Subcommand)]
enum Role {
    /// The bare relay.
    #[command(hide = true)]
    Relay { address: SocketAddr, upstream: SocketAddr },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Role::Relay { address, upstream }) = arguments.role {
        return relay(address, upstream);
    }
    let bartizan = match (arguments.without_bartizan, arguments.bartizan) {
        (true, _) => None,
        (false, given) => match given.or_else(|| process::find("bartizan")) {
            Some(path) if path.is_file() => Some(path),
            _ => {
                eprintln!("no bartizan binary to measure; build it: cargo build --release");
                return ExitCode::from(66);
            }
        },
    };
    let quick = arguments.quick;
    let or = |given: Option<usize>, full, short| given.unwrap_or(if quick { short } else { full });
    let (connections, further) = match (arguments.connections, quick) {
        (Some(given), _) => (given.clone(), given),
        (None, false) => (vec![1, 10, 100, 500], vec![1, 10, 100]),
        (None, true) => (vec![1, 100], vec![10]),
    };
    let seconds = arguments.seconds.unwrap_or(if quick { 0.2 } else { 1.0 });
    let options = Options {
        // The server does not run in this directory.
        bartizan: bartizan.map(|path| path.canonicalize().unwrap_or(path)),
        environment: arguments.env,
        connections,
        further_connections: further,
        repeats: or(arguments.repeats, 5, 2),
        stretch: Duration::from_secs_f64(seconds),
        rate: arguments.rate,
        starts: or(None, 15, 3),
        streams: arguments.streams,
        hold: Duration::from_secs(if quick { 2 } else { 4 }),
        cores_apart: arguments.cores_apart,
        parts: arguments.parts.unwrap_or(Part::ALL.to_vec()),
        json: arguments.json,
    };
    match bench::run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("some rows could not be shown, see above");
            ExitCode::FAILURE
        }
        Err(fault) => {
            eprintln!("the benchmark broke off: {fault}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn relay(address: SocketAddr, upstream: SocketAddr) -> ExitCode {
    match bench::serve_relay(address, upstream).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("the relay cannot serve: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn part(word: &str) -> Result<Part, String> {
    let found = Part::ALL.into_iter().find(|part| part.name() == word);
    found.ok_or_else(|| format!("no part is called {word}"))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
