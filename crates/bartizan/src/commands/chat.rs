//! `bartizan chat`: a conversation in the terminal, with the same engine and store as the server.

mod input;
mod turn;

use std::{io::IsTerminal, net::Ipv4Addr, path::PathBuf, sync::Arc};

use bartizan_engine::{engine::Engine, identity::SessionId, ports::observer::Unobserved};
use bartizan_server::http::{self, Doors};
use clap::Args;
use serde_json::{Map, Value};
use tokio::{net::TcpListener, runtime::Runtime};

use self::input::{Input, Said};
use super::{
    print_warnings,
    shared::{Settings, Variables as Values},
};
use crate::{
    config::{Configuration, environment::Variables},
    log,
    output::{self, Style},
    refusal::{Exit, Refusal},
    wiring::{Built, Plan, http_limits},
};

const HELP: &str = "\
/reset   begin a new conversation
/tools   what the agent can do
/help    this
/quit    end (or Ctrl-D)
A line that ends with \\ goes on in the next one; lines between two \"\"\" are one message.
Ctrl-C stops an answer.";

/// Talk to an agent in the terminal
///
/// Uses the same engine and store as `serve`, in this process. When standard input is not a
/// terminal, every line is a message and standard output holds the answers alone.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pack [default: what is configured, else the built-in example]
    pack: Option<PathBuf>,
    /// The prompt [default: the pack's entry]
    #[arg(long, value_name = "NAME")]
    prompt: Option<String>,
    /// Keep keys in packs that no version of the format defines, and warn of them
    #[arg(long)]
    lenient: bool,
    /// Go on with this session, or give a new one this name
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    settings: Settings,
}

pub fn run(arguments: Arguments, environment: &Variables) -> Result<(), Refusal> {
    let mut typed = arguments.settings.typed();
    typed.add("--prompt", "prompt", arguments.prompt);
    typed.add("--lenient", "pack_mode", arguments.lenient.then(|| "lenient".into()));
    typed.add_packs(arguments.pack.as_slice());
    let configuration = Configuration::load(&typed, environment)?;
    log::begin(&configuration.settings.log);
    let plan = Plan::read(&configuration)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Refusal::new(Exit::Software, format!("no threads to run on: {error}")))?;
    let built = runtime.block_on(build(plan, &configuration))?;
    print_warnings(&configuration.warnings);
    print_warnings(&built.warnings);
    let agent = built
        .engine
        .catalogue()
        .find("")
        .map_err(|failure| Refusal::new(Exit::Usage, failure.message))?;
    let mut chat = Chat {
        values: arguments.values.values(&agent.prompt)?,
        session: arguments.session.unwrap_or_else(SessionId::random),
        agent: agent.name.to_string(),
        engine: built.engine,
        runtime,
    };
    let history = configuration.settings.data.dir.0.join("history");
    let result = chat.converse(&mut Input::open(history));
    chat.runtime.block_on(chat.engine.drain(configuration.settings.shutdown.grace.0));
    result
}

/// Makes the engine. The built-in example's tool asks the HTTP door of this process, so for the
/// example alone there is one, on a free port of loopback.
async fn build(plan: Plan, configuration: &Configuration) -> Result<Built, Refusal> {
    let observer = Arc::new(Unobserved);
    if !plan.asks_itself() {
        return plan.build(configuration, None, observer);
    }
    let lost =
        |error| Refusal::new(Exit::Unavailable, format!("no free port on loopback: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(lost)?;
    let address = listener.local_addr().map_err(lost)?;
    let built = plan.build(configuration, Some(address), observer)?;
    let limits = http_limits(&configuration.settings);
    let router =
        http::router(Arc::new(Doors { engine: Arc::clone(&built.engine), limits: limits.clone() }));
    // Until the process ends; a door that fails is a tool that fails, which the model is told.
    tokio::spawn(
        async move { http::serve(listener, router, &limits, std::future::pending()).await },
    );
    Ok(built)
}

/// A conversation.
struct Chat {
    engine: Arc<Engine>,
    runtime: Runtime,
    /// `pack/prompt`.
    agent: String,
    session: SessionId,
    values: Map<String, Value>,
}

impl Chat {
    fn converse(&mut self, input: &mut Input) -> Result<(), Refusal> {
        let style = Style::of_stderr();
        if input.is_terminal() {
            let model = self.engine.model_info();
            let mock = if model.mock { ", a MOCK and no language model" } else { "" };
            output::note(format!(
                "{} with {}{mock}; {} lists what can be typed",
                style.bold(output::plain(&self.agent)),
                output::plain(&model.model),
                style.bold("/help")
            ));
        }
        let mut failed = false;
        while let Some(said) = input.next()? {
            match said {
                Said::Reset => {
                    self.session = SessionId::random();
                    output::note(style.dim("a new conversation"));
                }
                Said::Tools => self.show_tools(),
                Said::Help => output::note(HELP),
                Said::Quit => break,
                Said::Unknown(command) => {
                    output::note(format!("there is no {command}; /help lists what there is"));
                }
                Said::Message(text) => failed = !self.answer(text, input)?,
            }
        }
        if input.is_terminal() {
            let flag = format!("to go on: the same command with --session {}", self.session);
            output::note(style.dim(flag));
            return Ok(());
        }
        // A program that piped in messages must see that the last one had no answer.
        if failed { Err(Refusal::new(Exit::Found, "")) } else { Ok(()) }
    }

    fn show_tools(&self) {
        let Ok(agent) = self.engine.catalogue().find(&self.agent) else { return };
        if agent.offered.is_empty() {
            output::note("this agent has no tools");
        }
        for tool in agent.offered.iter() {
            let who =
                if agent.server_tools.contains_key(&tool.name) { "" } else { " (you run it)" };
            let (name, description) =
                (output::plain(&tool.name), output::plain_lines(&tool.description));
            output::note(format!("{name}{who}: {description}"));
        }
    }
}

/// Whether a person reads what is printed.
fn is_watched() -> bool {
    std::io::stdout().is_terminal()
}
