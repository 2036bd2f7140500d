//! `bartizan pack render`: the system message that a prompt becomes.

use std::{fs, path::PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::{Reading, prompt_key};
use crate::{
    commands::shared::Variables,
    output,
    refusal::{Exit, Refusal},
};

/// Print the system message that a prompt becomes, with fragments and values in place
#[derive(Debug, Args)]
pub struct Arguments {
    /// The pack file; `-` is standard input
    file: PathBuf,
    /// The prompt [default: the pack's entry]
    prompt: Option<String>,
    #[command(flatten)]
    variables: Variables,
    /// A JSON object with values for the variables; `--var` comes before it
    #[arg(long, value_name = "FILE")]
    vars: Option<PathBuf>,
    /// Apply the pack's override for this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    #[command(flatten)]
    reading: Reading,
    /// Print a JSON object with the text, its tools and its parameters
    #[arg(long)]
    pub json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Refusal> {
    let pack = arguments.reading.pack(&arguments.file)?;
    let key = prompt_key(&pack, arguments.prompt.as_deref())?;
    let prompt = pack
        .compile(&key, arguments.model.as_deref())
        .map_err(|error| Refusal::input(format!("{}: {error}", arguments.file.display())))?;
    let mut values = from_file(arguments)?;
    values.extend(arguments.variables.values(&prompt)?);
    let text = prompt.render(&values).map_err(|error| Refusal::new(Exit::Usage, error))?;
    if arguments.json {
        let tools: Vec<&str> = prompt.tools.iter().map(|tool| tool.name.as_str()).collect();
        output::json_pretty(&json!({
            "pack": pack.id,
            "prompt": key,
            "model": arguments.model,
            "overridden": prompt.overridden_for.is_some(),
            "text": text,
            "tools": tools,
            "parameters": prompt.parameters,
        }));
    } else {
        output::line(output::answer(&text));
    }
    Ok(())
}

fn from_file(arguments: &Arguments) -> Result<Map<String, Value>, Refusal> {
    let Some(path) = &arguments.vars else { return Ok(Map::new()) };
    let refuse = |reason: String| Refusal::input(format!("{}: {reason}", path.display()));
    let text = fs::read_to_string(path)
        .map_err(|error| refuse(format!("cannot read the values: {error}")))?;
    serde_json::from_str(&text).map_err(|error| refuse(format!("is not a JSON object: {error}")))
}
