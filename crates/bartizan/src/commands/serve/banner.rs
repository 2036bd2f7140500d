//! What is said at the start: who is served, by which model, and where.

use std::path::Path;

use bartizan_engine::engine::Engine;
use serde_json::json;

use super::doors::Addresses;
use crate::{
    config::{Configuration, settings::SessionStore},
    log,
    output::{self, Style},
};

/// Prints it on standard error: for people, or as one JSON line where the log is JSON.
pub fn print(
    configuration: &Configuration,
    engine: &Engine,
    addresses: Addresses,
    warnings: &[String],
) {
    if log::is_json(&configuration.settings.log) {
        output::note_json(&for_programs(configuration, engine, addresses, warnings));
    } else {
        output::note(for_people(configuration, engine, addresses));
    }
}

fn for_programs(
    configuration: &Configuration,
    engine: &Engine,
    addresses: Addresses,
    warnings: &[String],
) -> serde_json::Value {
    let model = engine.model_info();
    let agents: Vec<&str> = engine.catalogue().agents().map(|agent| &*agent.name).collect();
    json!({
        "event": "listening",
        "version": env!("CARGO_PKG_VERSION"),
        "http": addresses.http,
        "grpc": addresses.grpc,
        "ops": addresses.ops,
        "agents": agents,
        "provider": model.provider,
        "model": model.model,
        "mock": model.mock,
        "data": data(configuration),
        "warnings": warnings,
    })
}

fn for_people(configuration: &Configuration, engine: &Engine, addresses: Addresses) -> String {
    let style = Style::of_stderr();
    let agents: Vec<&str> = engine.catalogue().agents().map(|agent| &*agent.name).collect();
    let Addresses { http, grpc, ops } = addresses;
    let rows = [
        ("agents", agents.join(", ")),
        ("model", model(configuration, engine)),
        ("openai", format!("http://{http}/v1")),
        ("rest", format!("http://{http}/v1/agents, described at http://{http}/openapi.json")),
        ("grpc", format!("{grpc} (omnia.runtime.v1)")),
        ("ops", format!("http://{ops}/readyz, /healthz, /metrics")),
        ("data", data(configuration)),
    ];
    let mut text = format!("{} {}", style.bold("Bartizan"), style.dim(env!("CARGO_PKG_VERSION")));
    for (name, value) in rows {
        let value = output::plain(&value);
        text.push_str(&format!("\n  {} {value}", style.dim(format!("{name:<7}"))));
    }
    text
}

fn model(configuration: &Configuration, engine: &Engine) -> String {
    let info = engine.model_info();
    if !info.mock {
        let chosen = configuration
            .chosen_by
            .as_ref()
            .map(|origin| format!(", chosen because of {origin}"))
            .unwrap_or_default();
        return format!("{} at {}{chosen}", info.model, info.provider);
    }
    let layers = &configuration.layers;
    let why = match layers.winner("provider.type").or_else(|| layers.winner("mock.file")) {
        Some(winner) => format!("asked for by {}", winner.origin),
        None => "no provider is configured. Set OPENAI_API_KEY, ANTHROPIC_API_KEY or \
                 GEMINI_API_KEY to talk to a model"
            .to_owned(),
    };
    format!("MOCK, answers are scripted and come from no language model: {why}")
}

fn data(configuration: &Configuration) -> String {
    let settings = &configuration.settings;
    match settings.sessions.store {
        SessionStore::Sqlite => Path::new(&settings.data.dir.0).display().to_string(),
        SessionStore::Memory => "in memory: sessions end with this process".into(),
    }
}
