//! The environment of Omnia's runtimes, in our own terms.
//!
//! Both of them are understood: the one written in Go, whose names the operator sets, and the one
//! written in Python. What belongs to a feature that this release does not have is named in a
//! warning; where leaving it out would lose conversations or a safeguard, the server does not
//! start.

use serde_json::Value;

use super::{
    environment::{Variables, candidate},
    keys::{self, Key},
    layers::{Candidate, Origin},
};
use crate::refusal::Refusal;

/// Set by the operator in every pod: by this one knows that one runs within Omnia.
pub const AGENT_NAME: &str = "OMNIA_AGENT_NAME";

/// Where the operator mounts the pack.
const MOUNTED_PACK: &str = "/etc/omnia/pack/pack.json";

/// What becomes of a variable.
enum Meaning {
    /// It says the same as this key.
    Sets(&'static str),
    /// It is the port of this key's address, on loopback.
    Port(&'static str),
    /// It needs a word of its own.
    Means(fn(&str) -> Reading),
    /// It belongs to a feature (with its verb) of a later release, and nothing is lost without it.
    Later(&'static str),
    /// It tells us nothing that we need.
    Noted,
}

/// What a variable with a word of its own says.
enum Reading {
    /// This key has this value.
    Set(&'static str, String),
    /// Nothing.
    Nothing,
    /// Nothing in this release, which the operator should know.
    Warn(String),
    /// What would be lost is worth more than the start.
    Refuse(String),
}

/// Every variable of both runtimes. Where two say the same thing, the first wins.
const VARIABLES: &[(&str, Meaning)] = &[
    (AGENT_NAME, Meaning::Sets("omnia.agent")),
    ("OMNIA_NAMESPACE", Meaning::Sets("omnia.namespace")),
    ("OMNIA_PROMPTPACK_PATH", Meaning::Sets("packs")),
    ("OMNIA_PROMPT_NAME", Meaning::Sets("prompt_fallback")),
    ("OMNIA_GRPC_PORT", Meaning::Port("grpc.address")),
    ("OMNIA_HEALTH_PORT", Meaning::Port("ops.address")),
    ("OMNIA_TOOLS_CONFIG_PATH", Meaning::Sets("tools.file")),
    ("OMNIA_TOOLS_CONFIG", Meaning::Sets("tools.file")),
    ("OMNIA_SESSION_TYPE", Meaning::Means(session_type)),
    ("OMNIA_CONTEXT_URL", Meaning::Means(context_url)),
    ("OMNIA_SESSION_URL", Meaning::Means(context_url)),
    ("OMNIA_CONTEXT_TTL", Meaning::Sets("sessions.ttl")),
    ("OMNIA_SESSION_TTL", Meaning::Sets("sessions.ttl")),
    ("OMNIA_MOCK_PROVIDER", Meaning::Means(mock_provider)),
    ("OMNIA_PROVIDER_TYPE", Meaning::Means(provider_type)),
    ("OMNIA_PROVIDER_MODEL", Meaning::Sets("provider.model")),
    ("OMNIA_PROVIDER_BASE_URL", Meaning::Sets("provider.base_url")),
    ("OMNIA_MOCK_CONFIG", Meaning::Sets("mock.file")),
    ("OMNIA_PROVIDER_MOCK_CONFIG", Meaning::Sets("mock.file")),
    ("OMNIA_CONTEXT_WINDOW", Meaning::Means(context_window)),
    ("OMNIA_TRUNCATION_STRATEGY", Meaning::Means(truncation)),
    ("LOG_LEVEL", Meaning::Means(log_level)),
    ("POLICY_BROKER_URL", Meaning::Means(policy_broker)),
    ("POLICY_BROKER_FAIL_MODE", Meaning::Noted),
    ("OMNIA_TRACING_ENABLED", Meaning::Means(tracing)),
    ("OMNIA_TRACING_ENDPOINT", Meaning::Noted),
    ("OMNIA_TRACING_INSECURE", Meaning::Noted),
    ("OMNIA_TRACING_SAMPLE_RATE", Meaning::Noted),
    ("OMNIA_PROMPTPACK_NAME", Meaning::Noted),
    ("OMNIA_PROMPTPACK_NAMESPACE", Meaning::Noted),
    ("OMNIA_PROMPTPACK_VERSION", Meaning::Noted),
    ("OMNIA_PROMPTPACK_MANIFEST_PATH", Meaning::Later("skills are")),
    ("OMNIA_PACK_CACHE_DIR", Meaning::Noted),
    ("OMNIA_WORKSPACE_NAME", Meaning::Noted),
    ("OMNIA_WORKSPACE_UID", Meaning::Later("memory is")),
    ("OMNIA_FACADE_PORT", Meaning::Noted),
    ("OMNIA_PROVIDER_REF_NAME", Meaning::Later("providers read from Kubernetes are")),
    ("OMNIA_PROVIDER_REF_NAMESPACE", Meaning::Noted),
    ("OMNIA_CANARY_OVERRIDE_PATH", Meaning::Later("canary providers are")),
    ("OMNIA_CONFIG_DIR", Meaning::Later("configuration from Kubernetes manifests is")),
    ("SESSION_API_TOKEN_PATH", Meaning::Later("recording to the session API is")),
];

/// Variables of media storage, of which there are many.
const MEDIA: &str = "OMNIA_MEDIA_";

/// What Omnia's variables say, by the table above.
///
/// # Errors
/// Where a value is not what its key takes, and where leaving it out would lose too much.
pub fn candidates(
    variables: &Variables,
    warnings: &mut Vec<String>,
) -> Result<Vec<Candidate>, Refusal> {
    warn_of_unknown(variables, warnings);
    let mut found = Vec::new();
    for (name, meaning) in VARIABLES {
        let Some((value, origin)) = variables.with_origin(name) else { continue };
        let set = |path: &str, text: &str| {
            Key::find(path).map(|key| candidate(key, text, origin)).transpose()
        };
        match meaning {
            Meaning::Sets("packs") => {
                // A path may hold a comma.
                let quoted = Value::from(vec![value]).to_string();
                found.extend(set("packs", &quoted)?);
            }
            Meaning::Sets(path) => found.extend(set(path, value)?),
            Meaning::Port(path) => {
                let port: u16 = value.parse().map_err(|_| {
                    Refusal::configuration(format!("{origin}: `{value}` is not a port"))
                })?;
                found.extend(set(path, &format!("127.0.0.1:{port}"))?);
            }
            Meaning::Means(read) => match read(value) {
                Reading::Set(path, text) => found.extend(set(path, &text)?),
                Reading::Nothing => {}
                Reading::Warn(reason) => warnings.push(format!("{name}: {reason}")),
                Reading::Refuse(reason) => {
                    return Err(Refusal::configuration(format!("{origin}: {reason}")));
                }
            },
            Meaning::Later(feature) => {
                warnings.push(format!("{name}: no effect: {feature} not in this release"));
            }
            Meaning::Noted => {}
        }
    }
    Ok(found)
}

/// What Omnia takes for granted, weaker than all that is said: the mounted pack, the tools of the
/// registry for every prompt, and sessions in memory for a day, because the pod's file system
/// cannot be written to.
pub fn defaults(variables: &Variables) -> Result<Vec<Candidate>, Refusal> {
    if variables.get(AGENT_NAME).is_none() {
        return Ok(Vec::new());
    }
    let origin = Origin::Environment(format!("{AGENT_NAME} (Omnia's default)"));
    // A pod whose pack is not mounted must not come up with the built-in example.
    let defaults = [
        ("sessions.store", "memory"),
        ("sessions.ttl", "24h"),
        ("packs", MOUNTED_PACK),
        ("tools.unlisted", "offer"),
    ];
    defaults
        .into_iter()
        .filter_map(|(path, text)| Some((Key::find(path)?, text)))
        .map(|(key, text)| candidate(key, text, &origin))
        .collect()
}

fn warn_of_unknown(variables: &Variables, warnings: &mut Vec<String>) {
    let known = |name: &str| VARIABLES.iter().any(|(known, _)| *known == name);
    let mut media = variables.names(MEDIA).peekable();
    if media.peek().is_some() {
        let names: Vec<&str> = media.collect();
        let names = names.join(", ");
        warnings.push(format!("{names}: no effect: media storage is not in this release"));
    }
    for name in variables.names("OMNIA_") {
        if !known(name) && !name.starts_with(MEDIA) {
            let near = keys::did_you_mean(name, VARIABLES.iter().map(|(known, _)| *known));
            warnings.push(format!("unknown variable {name} is ignored{near}"));
        }
    }
}

fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value == "1"
}

fn session_type(value: &str) -> Reading {
    match value {
        "memory" => Reading::Set("sessions.store", "memory".into()),
        other => Reading::Refuse(format!(
            "sessions in `{other}` are not in this release, and keeping them elsewhere would lose \
             them; use `memory`, or unset it to keep them in a file"
        )),
    }
}

fn context_url(_: &str) -> Reading {
    // The address is not repeated: it may hold a password.
    Reading::Refuse(
        "sessions in Redis are not in this release, and keeping them elsewhere would lose them; \
         unset it to keep them in a file or, with OMNIA_SESSION_TYPE=memory, in memory"
            .into(),
    )
}

fn mock_provider(value: &str) -> Reading {
    if is_true(value) { Reading::Set("provider.type", "mock".into()) } else { Reading::Nothing }
}

fn provider_type(value: &str) -> Reading {
    let ours = match value.to_ascii_lowercase().as_str() {
        "claude" => "anthropic".to_owned(),
        "google" => "gemini".to_owned(),
        "vllm" => "openai-compatible".to_owned(),
        other => other.to_owned(),
    };
    Reading::Set("provider.type", ours)
}

fn context_window(value: &str) -> Reading {
    match value {
        "0" => Reading::Nothing,
        tokens => Reading::Set("limits.context_tokens", tokens.to_owned()),
    }
}

fn truncation(value: &str) -> Reading {
    match value {
        "sliding" => Reading::Nothing,
        other => Reading::Warn(format!("`{other}` is not in this release; truncation is sliding")),
    }
}

fn tracing(value: &str) -> Reading {
    if is_true(value) {
        Reading::Warn("no effect: tracing is not in this release".into())
    } else {
        Reading::Nothing
    }
}

fn policy_broker(_: &str) -> Reading {
    Reading::Refuse(
        "the policy broker is not in this release, and without its decisions every tool call \
         would pass; remove the broker or use a runtime that asks it"
            .into(),
    )
}

fn log_level(value: &str) -> Reading {
    let level = value.to_ascii_lowercase();
    match level.as_str() {
        "error" | "warn" | "info" | "debug" | "trace" => Reading::Set("log.level", level),
        "warning" => Reading::Set("log.level", "warn".into()),
        // Other programs' variable too, so a word that we do not know is no reason to stop.
        _ => Reading::Warn(format!("`{value}` is none of error, warn, info, debug, trace")),
    }
}
