//! `bartizan pack`: packs without serving them.

mod check;
mod render;
mod show;

use std::{io, path::Path};

use clap::{Args, Subcommand};
use promptpack::{Finding, Pack, ReadOptions, Report, Severity};

use bartizan_engine::agent::entry;

use crate::{
    config::settings::PackMode,
    output::{Style, cut, plain},
    refusal::{Exit, Refusal},
    wiring::packs::{self, bounded, bytes, first_fault},
};

/// Check, render and show packs; nothing is served and no model is called
#[derive(Debug, Subcommand)]
pub enum Command {
    Check(check::Arguments),
    Render(render::Arguments),
    Show(show::Arguments),
}

impl Command {
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Check(arguments) => arguments.json,
            Self::Render(arguments) => arguments.json,
            Self::Show(arguments) => arguments.json,
        }
    }
}

pub fn run(command: Command) -> Result<(), Refusal> {
    match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Render(arguments) => render::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
    }
}

/// How packs are read.
#[derive(Debug, Args)]
pub struct Reading {
    /// Keep keys that no version of the format defines, and warn of them
    #[arg(long)]
    lenient: bool,
}

impl Reading {
    fn options(&self) -> ReadOptions {
        packs::options(if self.lenient { PackMode::Lenient } else { PackMode::Strict })
    }

    /// The valid pack in a file.
    fn pack(&self, path: &Path) -> Result<Pack, Refusal> {
        let report = read(path, &self.options())?;
        report.pack.ok_or_else(|| Refusal::input(first_fault(path, &report.findings)))
    }
}

/// Reads and checks a pack file, or standard input as `-`.
fn read(path: &Path, options: &ReadOptions) -> Result<Report, Refusal> {
    let bytes = if path == Path::new("-") {
        bounded(io::stdin().lock(), options.max_bytes)
            .map_err(|error| Refusal::input(format!("standard input: {error}")))?
    } else {
        bytes(path, options.max_bytes)?
    };
    Ok(promptpack::read(&bytes, options))
}

/// A finding as people read it.
fn describe(finding: &Finding, style: Style) -> String {
    const LONGEST_PLACE: usize = 1000;
    let severity = match finding.severity {
        Severity::Error => style.red("error"),
        Severity::Warning => style.yellow("warning"),
        Severity::Info => style.dim("info"),
    };
    let place = if finding.pointer.is_empty() { "(the file)" } else { &finding.pointer };
    // Programs get all of it.
    let place = plain(cut(place, LONGEST_PLACE));
    let mut text = format!("  {severity} {place}: {}", plain(&finding.message));
    if let Some(expected) = &finding.expected {
        text.push_str(&format!("; expected {}", plain(expected)));
    }
    if let Some(suggestion) = &finding.suggestion {
        text.push_str(&format!("; did you mean `{}`?", plain(suggestion)));
    }
    text.push_str(&format!(" {}", style.dim(format!("[{}]", finding.code))));
    text
}

/// The prompt that is meant: the one that was named, or the pack's entry.
fn prompt_key(pack: &Pack, named: Option<&str>) -> Result<String, Refusal> {
    if let Some(name) = named {
        if pack.prompts.contains_key(name) {
            return Ok(name.to_owned());
        }
        let known = pack.prompts.keys().map(String::as_str);
        let near = crate::config::keys::did_you_mean(name, known.clone());
        let known: Vec<&str> = known.collect();
        return Err(Refusal::new(
            Exit::Usage,
            format!(
                "the pack `{}` has no prompt `{name}`{near} (it has: {})",
                pack.id,
                known.join(", ")
            ),
        ));
    }
    entry(pack)
        .map(str::to_owned)
        .ok_or_else(|| Refusal::input(format!("the pack `{}` has no prompt", pack.id)))
}
