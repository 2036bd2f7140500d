//! What is written about the program is what the program does: help, schema, documentation.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::support::{Desk, workspace};

#[test]
fn help_is_the_reference() {
    let desk = Desk::new();
    for (name, arguments) in [
        ("help", "--help"),
        ("help_serve", "serve --help"),
        ("help_chat", "chat --help"),
        ("help_pack", "pack --help"),
        ("help_pack_check", "pack check --help"),
        ("help_pack_render", "pack render --help"),
        ("help_pack_show", "pack show --help"),
        ("help_config", "config --help"),
        ("help_config_explain", "config explain --help"),
        ("version", "--version"),
    ] {
        insta::assert_snapshot!(name, desk.run(arguments));
    }
}

#[test]
fn defaults_are_shown() {
    insta::assert_snapshot!("config_show", Desk::new().run("config show"));
    insta::assert_snapshot!("explain_section", Desk::new().run("config explain limits.http"));
    insta::assert_snapshot!("explain_unknown", Desk::new().run("config explain http.addres"));
    insta::assert_snapshot!("explain_json", Desk::new().run("config explain log.level --json"));
}

/// To write the file anew: `bartizan config schema > bartizan.schema.json`.
#[test]
fn the_schema_is_the_committed_one() {
    let committed = fs::read_to_string(workspace().join("bartizan.schema.json")).unwrap();
    assert_eq!(Desk::new().run("config schema").stdout, committed);
}

/// A value for a key that differs from its default and makes sense.
fn another(key: &Value) -> String {
    let name = key["key"].as_str().unwrap();
    let choices: Vec<&str> =
        key["choices"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    match (name, key["type"].as_str().unwrap()) {
        ("provider.type", _) => "ollama".into(),
        ("provider.failover", _) => r#"[{"type": "ollama"}]"#.into(),
        ("provider.headers", _) => r#"{"x-team": "desk"}"#.into(),
        ("variables", _) => r#"{"company": "Acme"}"#.into(),
        ("prices", _) => r#"{"m": {"input": 1, "output": 2}}"#.into(),
        ("provider.base_url" | "egress.proxy", _) => "http://127.0.0.1:1/v1".into(),
        (_, "address") => "127.0.0.1:1234".into(),
        (_, "duration") => "77s".into(),
        (_, "integer") => "12345".into(),
        (_, "list") => "one.internal,two.internal".into(),
        (_, "choice") => {
            let now = key["value"].as_str().unwrap();
            (*choices.iter().find(|choice| **choice != now).unwrap()).into()
        }
        (_, "text" | "path") => "something".into(),
        (_, "secret") => "s".repeat(9),
        (name, kind) => panic!("{name} is a {kind}, which has no sample here"),
    }
}

#[test]
fn every_documented_variable_has_an_effect() {
    let base = || Desk::new().env("BARTIZAN_PROVIDER__TYPE", "ollama");
    let before = base().json("config show --json");
    let keys = Desk::new().json("config explain --json");
    let at = |tree: &Value, key: &str| {
        tree.pointer(&format!("/{}", key.replace('.', "/"))).cloned().unwrap()
    };
    for key in keys.as_array().unwrap() {
        let name = key["key"].as_str().unwrap();
        let variable = key["environment"].as_str().unwrap();
        let desk = if name == "provider.type" { Desk::new() } else { base() };
        let after = desk.env(variable, another(key)).json("config show --json");
        let was = if name == "provider.type" { json!("mock") } else { at(&before, name) };
        assert_ne!(at(&after, name), was, "{variable} changed nothing");
    }
}

/// The row of a key in `docs/configuration.md`.
fn row(key: &Value) -> String {
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    let choices: Vec<String> = key["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| format!("`{}`", choice.as_str().unwrap()))
        .collect();
    let kind = if choices.is_empty() { text("type") } else { choices.join(", ") };
    let default = match &key["value"] {
        Value::Null => "none".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    };
    format!(
        "| `{}` | {kind} | {default} | `{}` | {} |",
        text("key"),
        text("environment"),
        text("description")
    )
}

/// To write the table anew: `BARTIZAN_WRITE_DOCS=1 cargo test -p bartizan documentation`.
#[test]
fn the_documentation_has_every_key() {
    const BEGIN: &str = "<!-- keys: begin -->\n";
    const END: &str = "<!-- keys: end -->";
    let path = workspace().join("docs/configuration.md");
    let text = fs::read_to_string(&path).unwrap();
    let keys = Desk::new().json("config explain --json");
    let rows: Vec<String> = keys.as_array().unwrap().iter().map(row).collect();
    let table = format!(
        "| key | type | default | environment | effect |\n|---|---|---|---|---|\n{}\n",
        rows.join("\n")
    );
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    #[allow(clippy::disallowed_methods, reason = "a switch of the test itself")]
    if std::env::var_os("BARTIZAN_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, table, "docs/configuration.md is not what the program does");
}

/// Every variable of Omnia's that the program knows is in the documentation, and the reverse.
#[test]
fn the_documentation_has_every_omnia_name() {
    let names = |text: &str| -> BTreeSet<String> {
        text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
            .filter(|word| word.starts_with("OMNIA_") && word.len() > "OMNIA_".len())
            .filter(|word| *word != "OMNIA_MEDIA_")
            .map(str::to_owned)
            .collect()
    };
    let source =
        fs::read_to_string(workspace().join("crates/bartizan/src/config/omnia.rs")).unwrap();
    let documented = fs::read_to_string(workspace().join("docs/configuration.md")).unwrap();
    assert_eq!(names(&source), names(&documented));
}

#[test]
fn the_tour_has_every_command() {
    let tour = fs::read_to_string(workspace().join("docs/cli.md")).unwrap();
    for command in ["", "pack", "config"] {
        let help = Desk::new().run(&format!("{command} --help")).stdout;
        let (_, commands) = help.split_once("Commands:\n").unwrap();
        let names = commands.lines().take_while(|line| !line.is_empty());
        for name in names.filter_map(|line| line.split_whitespace().next()) {
            let full = format!("bartizan {command} {name}").replace("  ", " ");
            let is_group = ["pack", "config", "help"].contains(&name);
            assert!(is_group || tour.contains(&full), "docs/cli.md lacks `{full}`");
        }
    }
}
