//! `bartizan pack check`: what is wrong with a pack, and where.

use std::path::PathBuf;

use clap::Args;
use promptpack::{Finding, ReadOptions, Report, Severity};
use serde::Serialize;

use super::{Reading, describe, read};
use crate::{
    output::{self, Style},
    refusal::{Exit, Refusal},
};

/// Check packs against the format's rules and for what does not fit together
///
/// Says of every file whether it is valid, which version of the PromptPack specification it
/// needs, and what was found, each with a JSON pointer to the place. Ends with 0 only if every
/// file is valid, with 1 if one is not, and with 66 if one cannot be read.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pack files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Treat parts of a pack that contradict each other (an unknown tool, a fragment cycle) as
    /// errors, not as warnings
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    reading: Reading,
    /// Print one JSON object per file and line
    #[arg(long)]
    pub json: bool,
}

/// What is said of a file to programs.
#[derive(Serialize)]
struct Verdict<'a> {
    file: String,
    valid: bool,
    needs: Option<String>,
    needs_pointer: Option<&'a str>,
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

pub fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let options =
        ReadOptions { references_are_errors: arguments.strict, ..arguments.reading.options() };
    let style = Style::of_stdout();
    let mut worst = None;
    for path in &arguments.files {
        let file = path.display().to_string();
        match read(path, &options) {
            Ok(report) => {
                if !report.is_valid() {
                    worst = worst.or(Some(Exit::Found));
                }
                if arguments.json {
                    output::json(&Verdict {
                        file,
                        valid: report.is_valid(),
                        needs: Some(report.needs.to_string()),
                        needs_pointer: report.needs_pointer.as_deref(),
                        findings: &report.findings,
                        error: None,
                    });
                } else {
                    output::line(human(&file, &report, style));
                }
            }
            Err(refusal) => {
                worst = Some(Exit::Input);
                if arguments.json {
                    output::json(&Verdict {
                        file,
                        valid: false,
                        needs: None,
                        needs_pointer: None,
                        findings: &[],
                        error: Some(&refusal.message),
                    });
                } else {
                    output::line(format!(
                        "{} {}",
                        style.red("unreadable"),
                        output::plain(&refusal.message)
                    ));
                }
            }
        }
    }
    // Everything has been said already.
    worst.map_or(Ok(()), |exit| Err(Refusal::new(exit, "")))
}

fn human(file: &str, report: &Report, style: Style) -> String {
    let verdict = if report.is_valid() { style.green("valid") } else { style.red("invalid") };
    let counts: Vec<String> =
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "remark")]
            .into_iter()
            .map(|(severity, name)| (report.count(severity), name))
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
            .collect();
    let mut text = format!("{} {verdict}", style.bold(output::plain(file)));
    if report.needs_pointer.is_some() || report.is_valid() {
        text.push_str(&format!(", needs PromptPack {}", report.needs));
    }
    if let Some(pointer) = &report.needs_pointer {
        text.push_str(&format!(" (for {})", output::plain(pointer)));
    }
    if !counts.is_empty() {
        text.push_str(&format!(": {}", counts.join(", ")));
    }
    for finding in &report.findings {
        text.push('\n');
        text.push_str(&describe(finding, style));
    }
    text
}
