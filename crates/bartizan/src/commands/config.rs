//! `bartizan config`: what is configured, who said so, and what can be.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{print_warnings, shared::Settings};
use crate::{
    config::{
        Configuration,
        environment::Variables,
        keys::{self, Key},
        layers::at,
        values::REDACTED,
    },
    output::{self, Style},
    refusal::Refusal,
};

/// Show what is configured, who said so, and what can be
#[derive(Debug, Subcommand)]
pub enum Command {
    Show(Show),
    Explain(Explain),
    Schema(Schema),
}

/// Print every setting as it holds, secrets redacted
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    settings: Settings,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Say what a key means, which source it has its value from, and which it beat
///
/// No secret is ever printed.
#[derive(Debug, Args)]
pub struct Explain {
    /// The key, such as `provider.model` [default: every key]
    key: Option<String>,
    #[command(flatten)]
    settings: Settings,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Print the JSON schema of the configuration file
///
/// For editors: put `# yaml-language-server: $schema=bartizan.schema.json` at the top of
/// bartizan.yaml.
#[derive(Debug, Args)]
pub struct Schema {}

impl Command {
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Show(arguments) => arguments.json,
            Self::Explain(arguments) => arguments.json,
            Self::Schema(_) => true,
        }
    }
}

pub fn run(command: Command, environment: &Variables) -> Result<(), Refusal> {
    match command {
        Command::Show(arguments) => show(arguments, environment),
        Command::Explain(arguments) => explain(arguments, environment),
        Command::Schema(_) => {
            output::json_pretty(keys::schema());
            Ok(())
        }
    }
}

fn show(arguments: Show, environment: &Variables) -> Result<(), Refusal> {
    let configuration = Configuration::load(&arguments.settings.typed(), environment)?;
    print_warnings(&configuration.warnings);
    let tree = effective(&configuration);
    if arguments.json {
        output::json_pretty(&tree);
        return Ok(());
    }
    let style = Style::of_stdout();
    for key in Key::all() {
        let source = configuration.layers.winner(key.path);
        let source = source.map_or_else(String::new, |winner| format!("  # {}", winner.origin));
        output::line(format!("{}: {}{}", key.path, at(&tree, key.path), style.dim(source)));
    }
    Ok(())
}

fn explain(arguments: Explain, environment: &Variables) -> Result<(), Refusal> {
    let keys: Vec<Key> = match &arguments.key {
        None => Key::all().to_vec(),
        Some(path) => vec![find(path)?],
    };
    let configuration = Configuration::load(&arguments.settings.typed(), environment)?;
    print_warnings(&configuration.warnings);
    let tree = effective(&configuration);
    if arguments.json {
        let all: Vec<Value> =
            keys.iter().map(|key| for_programs(*key, &configuration, &tree)).collect();
        match (&arguments.key, all.into_iter()) {
            (Some(_), mut one) => output::json_pretty(&one.next()),
            (None, all) => output::json_pretty(&all.collect::<Vec<_>>()),
        }
        return Ok(());
    }
    let texts: Vec<String> =
        keys.iter().map(|key| for_people(*key, &configuration, &tree)).collect();
    output::line(texts.join("\n\n"));
    Ok(())
}

fn find(path: &str) -> Result<Key, Refusal> {
    Key::find(path).ok_or_else(|| {
        // A section is no key, but its keys are what was meant.
        let inside: Vec<&str> = Key::all()
            .iter()
            .map(|key| key.path)
            .filter(|key| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
            .collect();
        if !inside.is_empty() {
            return Refusal::usage(format!("`{path}` holds the keys {}", inside.join(", ")));
        }
        let near = Key::nearest(path)
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_else(|| "; `bartizan config explain` lists them all".into());
        Refusal::usage(format!("there is no key `{path}`{near}"))
    })
}

/// The settings as they hold. Secrets serialise as what stands for them.
fn effective(configuration: &Configuration) -> Value {
    let mut tree = serde_json::to_value(&configuration.settings).unwrap_or(Value::Null);
    // What is not configured may still have been decided.
    if let Some(provider) = tree.get_mut("provider").and_then(Value::as_object_mut) {
        provider.insert("type".into(), configuration.provider().as_str().into());
        if let (Some(Value::Null), Some(model)) =
            (provider.get("model"), configuration.provider().default_model())
        {
            provider.insert("model".into(), model.into());
        }
    }
    tree
}

fn for_people(key: Key, configuration: &Configuration, tree: &Value) -> String {
    let style = Style::of_stdout();
    let mut lines = vec![
        format!("{} = {}", style.bold(key.path), at(tree, key.path)),
        format!("  {}", key.description()),
    ];
    if !key.choices().is_empty() {
        lines.push(format!("  one of: {}", key.choices().join(", ")));
    }
    let mut candidates = configuration.layers.of(key.path);
    match candidates.next() {
        Some(winner) => lines.push(format!("  from: {}", winner.origin)),
        None => lines.push("  from: default".into()),
    }
    for beaten in candidates {
        lines.push(format!("  beaten: {} ({})", beaten.origin, said(key, &beaten.value)));
    }
    let file = if key.is_secret() { " (or with _FILE)" } else { "" };
    lines.push(format!("  environment: {}{file}", key.variable()));
    lines.join("\n")
}

fn for_programs(key: Key, configuration: &Configuration, tree: &Value) -> Value {
    let mut candidates = configuration.layers.of(key.path);
    let winner = candidates.next();
    let beaten: Vec<Value> = candidates
        .map(|beaten| json!({ "source": beaten.origin, "value": said(key, &beaten.value) }))
        .collect();
    json!({
        "key": key.path,
        "value": at(tree, key.path),
        "source": winner.map_or_else(|| "default".to_owned(), |winner| winner.origin.to_string()),
        "beaten": beaten,
        "type": key.type_name(),
        "environment": key.variable(),
        "description": key.description(),
        "choices": key.choices(),
        "secret": key.is_secret(),
    })
}

/// What a source said, unless it is a secret or may hold one.
fn said(key: Key, value: &Value) -> Value {
    if key.is_sensitive() { REDACTED.into() } else { value.clone() }
}
