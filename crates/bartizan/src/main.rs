//! Bartizan, the secure runtime for AI agents: the program.
//!
//! It reads the command line, the environment and the configuration, puts the rooms together and
//! runs one command. It decides nothing about a turn: that is the engine's.
//!
//! # Layout
//!
//! - [`commands`]: what can be typed, one file per command.
//! - [`config`]: what every source says, made into one valid whole. Only this crate reads the
//!   environment, in `config/environment.rs`.
//! - [`wiring`]: settings into objects: packs, tools, model, store, engine.
//! - [`example`]: the agent that is built in.
//! - [`log`]: the log.
//! - [`output`]: the one file that prints. [`refusal`]: why it will not go on, and exit codes.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests"))]

mod commands;
mod config;
mod example;
mod log;
mod output;
mod refusal;
mod wiring;

use std::process::ExitCode;

use config::environment::Variables;

fn main() -> ExitCode {
    let environment = Variables::of_process();
    if environment.get("NO_COLOR").is_some() {
        output::no_colour();
    }
    let arguments = match commands::parse() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    let as_json = arguments.wants_json();
    match commands::run(arguments, &environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            output::refusal(&refusal, as_json);
            refusal.exit.into()
        }
    }
}
