//! `bartizan pack show`: what is in a pack, and what this release does with it.

use std::{fmt::Write as _, path::PathBuf};

use bartizan_engine::agent::entry;
use clap::Args;
use promptpack::{Pack, Prompt, SupportLevel, Variable, support};
use serde_json::{Value, json};

use super::{Reading, read};
use crate::{
    output::{self, Style, plain, plain_lines},
    refusal::Refusal,
    wiring::packs,
};

/// Show what a pack holds, and what this release acts on and what it does not
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pack file; `-` is standard input
    file: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let report = read(&arguments.file, &arguments.reading.options())?;
    let Some(pack) = report.pack else {
        return Err(Refusal::input(packs::first_fault(&arguments.file, &report.findings)));
    };
    if arguments.json {
        output::json_pretty(&json!({
            "file": arguments.file.display().to_string(),
            "needs": report.needs.to_string(),
            "entry": entry(&pack),
            "support": support(&pack),
            "findings": report.findings,
            "pack": pack,
        }));
        return Ok(());
    }
    let text = human(&pack, &report.needs.to_string(), Style::of_stdout());
    output::line(text.trim_end());
    if !report.findings.is_empty() {
        output::line(format!(
            "\n{} finding{}, see `bartizan pack check {}`",
            report.findings.len(),
            if report.findings.len() == 1 { "" } else { "s" },
            output::plain(&arguments.file.display().to_string())
        ));
    }
    Ok(())
}

// Writing to a `String` cannot fail, so its results are dropped throughout.
fn human(pack: &Pack, needs: &str, style: Style) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} {} ({}), needs PromptPack {needs}",
        style.bold(plain(&pack.id)),
        plain(&pack.version),
        plain(&pack.name)
    );
    if let Some(description) = &pack.description {
        let _ = writeln!(text, "{}", plain_lines(description));
    }
    let entry = entry(pack);
    for (key, prompt) in &pack.prompts {
        let is_entry = if entry == Some(key.as_str()) { " (entry)" } else { "" };
        let _ = writeln!(text, "\n{}{is_entry}", style.bold(format!("prompt {}", plain(key))));
        show_prompt(&mut text, prompt);
    }
    if !pack.tools.is_empty() {
        let _ = writeln!(text, "\n{}", style.bold("tools"));
        for tool in pack.tools.values() {
            let _ = writeln!(text, "  {}: {}", plain(&tool.name), plain(&tool.description));
        }
    }
    let support = support(pack);
    for (level, title) in [
        (SupportLevel::ActedOn, "this release acts on"),
        (SupportLevel::NotRun, "this release does not act on"),
    ] {
        let mut features = support.iter().filter(|feature| feature.level == level).peekable();
        if features.peek().is_some() {
            let _ = writeln!(text, "\n{}", style.bold(title));
        }
        for feature in features {
            let _ = writeln!(text, "  {} ({}): {}", feature.feature, feature.uses, feature.reason);
        }
    }
    text
}

fn show_prompt(text: &mut String, prompt: &Prompt) {
    if let Some(description) = &prompt.description {
        let _ = writeln!(text, "  {}", plain(description));
    }
    for variable in &prompt.variables {
        let _ = writeln!(text, "  variable {}", plain(&describe(variable)));
    }
    if !prompt.tools.is_empty() {
        let _ = writeln!(text, "  tools: {}", plain(&prompt.tools.join(", ")));
    }
    if let Some(policy) = &prompt.tool_policy {
        let choice = serde_json::to_value(policy.tool_choice).unwrap_or(Value::Null);
        let _ = write!(
            text,
            "  tool policy: {}, at most {} rounds and {} calls",
            choice.as_str().unwrap_or_default(),
            policy.max_rounds,
            policy.max_tool_calls_per_turn
        );
        if !policy.blocklist.is_empty() {
            let _ = write!(text, ", blocked: {}", plain(&policy.blocklist.join(", ")));
        }
        text.push('\n');
    }
    if let Ok(Value::Object(parameters)) = serde_json::to_value(prompt.parameters) {
        let set: Vec<String> = parameters
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        if !set.is_empty() {
            let _ = writeln!(text, "  parameters: {}", set.join(", "));
        }
    }
    if !prompt.model_overrides.is_empty() {
        let models: Vec<&str> = prompt.model_overrides.keys().map(String::as_str).collect();
        let _ = writeln!(text, "  overrides for: {}", plain(&models.join(", ")));
    }
}

fn describe(variable: &Variable) -> String {
    let mut text = format!("{} ({}", variable.name, variable.type_.as_str());
    match (&variable.default, variable.required) {
        (Some(default), _) => {
            let _ = write!(text, ", default {default}");
        }
        (None, true) => text.push_str(", required"),
        (None, false) => text.push_str(", optional"),
    }
    text.push(')');
    if let Some(description) = &variable.description {
        let _ = write!(text, ": {description}");
    }
    text
}
