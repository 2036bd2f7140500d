//! What can be typed: one file per command.
//!
//! The comments on the arguments are the reference: they are what `--help` prints.

mod chat;
mod config;
mod pack;
mod serve;
mod shared;

use std::process::ExitCode;

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::{
    config::environment::Variables,
    output,
    refusal::{Exit, Refusal},
};

/// The secure runtime for AI agents
///
/// Bartizan serves an agent that is described as data (a PromptPack) over gRPC, an
/// OpenAI-compatible API and REST. `bartizan serve` alone serves the example that is built in;
/// with a model key in the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY) it
/// talks to that model, without one to a mock that says so.
///
/// Exit codes: 0 done; 1 a check found something; 64 the command line makes no sense; 66 a file is
/// missing, unreadable or invalid; 69 a port is in use; 78 the configuration makes no sense.
#[derive(Debug, Parser)]
#[command(name = "bartizan", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Chat(chat::Arguments),
    #[command(subcommand)]
    Pack(pack::Command),
    #[command(subcommand)]
    Config(config::Command),
}

impl Arguments {
    /// Whether a program reads the output.
    pub fn wants_json(&self) -> bool {
        match &self.command {
            Command::Serve(_) | Command::Chat(_) => false,
            Command::Pack(command) => command.wants_json(),
            Command::Config(command) => command.wants_json(),
        }
    }
}

/// What was typed, or the exit code where that has been answered already.
pub fn parse() -> Result<Arguments, ExitCode> {
    Arguments::try_parse().map_err(|error| {
        let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        // What was typed could not be understood, but that a program reads it can be seen.
        if !is_answer && std::env::args_os().any(|argument| argument == "--json") {
            // Up to the empty line stands what is wrong, after it how to use the command.
            let text = error.to_string();
            let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
            let reason = lines.join("\n");
            output::refusal(&Refusal::usage(reason.trim_start_matches("error: ")), true);
        } else {
            // Where there is nobody left to read it, there is nothing to do about it.
            let _ = error.print();
        }
        if is_answer { ExitCode::SUCCESS } else { Exit::Usage.into() }
    })
}

/// Runs the command.
///
/// # Errors
/// [`Refusal`], which says what was wrong and with which code to end.
pub fn run(arguments: Arguments, environment: &Variables) -> Result<(), Refusal> {
    match arguments.command {
        Command::Serve(arguments) => serve::run(arguments, environment),
        Command::Chat(arguments) => chat::run(arguments, environment),
        Command::Pack(command) => pack::run(command),
        Command::Config(command) => config::run(command, environment),
    }
}

/// Prints what the operator should know.
fn print_warnings(warnings: &[String]) {
    warnings.iter().for_each(output::warning);
}
