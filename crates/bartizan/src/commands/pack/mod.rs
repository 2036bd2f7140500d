//! `bartizan pack`: packs without serving them.

mod check;
mod render;
mod show;

use std::path::Path;

use clap::Subcommand;
use promptpack::{Finding, Pack, ReadOptions, Report, Severity};

use crate::{
    output::Style,
    refusal::{Exit, Refusal},
    wiring::packs::{bytes, entry, first_fault},
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

/// Reads and checks a pack file.
fn read(path: &Path, options: &ReadOptions) -> Result<Report, Refusal> {
    Ok(promptpack::read(&bytes(path, options.max_bytes)?, options))
}

/// The pack in a file.
fn pack(path: &Path) -> Result<Pack, Refusal> {
    let report = read(path, &ReadOptions::default())?;
    report.pack.ok_or_else(|| Refusal::input(first_fault(path, &report.findings)))
}

/// A finding as people read it.
fn describe(finding: &Finding, style: Style) -> String {
    let severity = match finding.severity {
        Severity::Error => style.red("error"),
        Severity::Warning => style.yellow("warning"),
        Severity::Info => style.dim("info"),
    };
    let place = if finding.pointer.is_empty() { "(the file)" } else { &finding.pointer };
    let mut text = format!("  {severity} {place}: {}", finding.message);
    if let Some(expected) = &finding.expected {
        text.push_str(&format!("; expected {expected}"));
    }
    if let Some(suggestion) = &finding.suggestion {
        text.push_str(&format!("; did you mean `{suggestion}`?"));
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
