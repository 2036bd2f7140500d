//! `bartizan serve`: the doors, until somebody says stop.

mod banner;
mod doors;
mod stop;

use std::{path::PathBuf, sync::Arc};

use bartizan_server::ops::metrics::{Deployment, Metrics};
use clap::Args;

use super::{print_warnings, shared::Settings};
use crate::{
    config::{Configuration, environment::Variables},
    log,
    refusal::{Exit, Refusal},
    wiring::{Built, Plan},
};

/// Serve agents over gRPC, an OpenAI-compatible API and REST
///
/// Without a pack, serves the example that is built in. Listens on loopback only. On SIGTERM or
/// SIGINT it takes no new turns and ends when the running ones have, at the latest after
/// shutdown.grace; a second signal ends it at once.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The packs to serve [default: the built-in example]
    #[arg(value_name = "PACK")]
    packs: Vec<PathBuf>,
    /// The prompt meant by a pack's name alone [default: the pack's entry]
    #[arg(long, value_name = "NAME")]
    prompt: Option<String>,
    /// Keep keys in packs that no version of the format defines, and warn of them
    #[arg(long)]
    lenient: bool,
    /// Where the public HTTP door listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Where the gRPC door listens [default: 127.0.0.1:9000]
    #[arg(long, value_name = "ADDRESS")]
    grpc: Option<String>,
    /// Where the operations door listens [default: 127.0.0.1:9001]
    #[arg(long, value_name = "ADDRESS")]
    ops: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

pub fn run(arguments: Arguments, environment: &Variables) -> Result<(), Refusal> {
    let mut typed = arguments.settings.typed();
    typed.add("--prompt", "prompt", arguments.prompt);
    typed.add("--lenient", "pack_mode", arguments.lenient.then(|| "lenient".into()));
    typed.add("--http", "http.address", arguments.http);
    typed.add("--grpc", "grpc.address", arguments.grpc);
    typed.add("--ops", "ops.address", arguments.ops);
    typed.add_packs(&arguments.packs);
    let mut configuration = Configuration::load(&typed, environment)?;
    log::begin(&configuration.settings.log);
    let plan = Plan::read(&configuration)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Refusal::new(Exit::Software, format!("no threads to run on: {error}")))?;
    let warnings = std::mem::take(&mut configuration.warnings);
    let result = runtime.block_on(serve(configuration, plan, warnings));
    // What still runs now has had its time.
    runtime.shutdown_background();
    result
}

async fn serve(
    configuration: Configuration,
    plan: Plan,
    mut warnings: Vec<String>,
) -> Result<(), Refusal> {
    // Before anything listens, so that a signal that comes early is not lost.
    let mut signals = stop::Signals::new()?;
    let settings = &configuration.settings;
    let listeners = doors::Listeners::bind(settings).await?;
    let addresses = listeners.addresses()?;
    let metrics = Arc::new(Metrics::new(&Deployment {
        agent: settings.omnia.agent.clone().unwrap_or_default(),
        namespace: settings.omnia.namespace.clone().unwrap_or_default(),
        promptpack_name: plan.pack_names(),
    }));
    let observer = Arc::clone(&metrics);
    let Built { engine, grpc, warnings: found } =
        plan.build(&configuration, Some(addresses.http), observer)?;
    warnings.extend(found);
    if !log::is_json(&settings.log) {
        print_warnings(&warnings);
    }
    // The sockets listen already: who reads this and connects at once is answered.
    banner::print(&configuration, &engine, addresses, &warnings);
    let doors = doors::Doors::open(listeners, &engine, grpc, metrics, settings);
    let sweeper = tokio::spawn(stop::sweep(Arc::clone(&engine)));
    signals.next().await;
    sweeper.abort();
    stop::drain(&engine, doors, settings.shutdown.grace.0, &mut signals).await
}
