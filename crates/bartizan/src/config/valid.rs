//! What must hold and what types alone cannot say.

use url::Url;

use super::{
    Configuration,
    settings::{Fallback, ProviderType},
};
use crate::refusal::{Exit, Refusal};

/// Checks the whole.
///
/// # Errors
/// At the first thing that cannot work.
pub fn check(configuration: &Configuration) -> Result<(), Refusal> {
    addresses(configuration)
        .and_then(|()| numbers(configuration))
        .and_then(|()| provider(configuration))
        .and_then(|()| failover(configuration))
        .and_then(|()| {
            let proxy = configuration.settings.egress.proxy.as_deref();
            address(configuration, "egress.proxy", proxy)
        })
        // Each value is one that its key takes, so even where it was typed as a flag it is the
        // whole that makes no sense.
        .map_err(|refusal| Refusal { exit: Exit::Configuration, ..refusal })
}

/// Until callers can be told apart and lines encrypted, nobody beyond this machine may call.
fn addresses(configuration: &Configuration) -> Result<(), Refusal> {
    let settings = &configuration.settings;
    let doors = [
        ("http.address", settings.http.address),
        ("grpc.address", settings.grpc.address),
        ("ops.address", settings.ops.address),
    ];
    for (index, (path, address)) in doors.iter().enumerate() {
        if !address.0.ip().is_loopback() {
            return Err(configuration.layers.refusal(
                path,
                &format!(
                    "{address} is not a loopback address; this release listens on loopback only, \
                     because identity and TLS come first: use 127.0.0.1:{}",
                    address.0.port()
                ),
            ));
        }
        let taken = doors.iter().take(index).find(|(_, other)| other == address);
        if let (Some((other, _)), true) = (taken, address.0.port() != 0) {
            let reason = format!("{address} is the address of `{other}` too; choose another port");
            return Err(configuration.layers.refusal(path, &reason));
        }
    }
    Ok(())
}

fn numbers(configuration: &Configuration) -> Result<(), Refusal> {
    let settings = &configuration.settings;
    let limits = &settings.limits;
    let nothing = [
        ("limits.max_running", limits.max_running == 0),
        ("limits.max_history", limits.max_history == 0),
        ("limits.max_output_bytes", limits.max_output_bytes == 0),
        ("limits.max_output_tokens", limits.max_output_tokens == Some(0)),
        ("limits.context_tokens", limits.context_tokens == Some(0)),
        ("limits.max_tool_result_bytes", limits.max_tool_result_bytes == 0),
        ("limits.turn_time", limits.turn_time.0.is_zero()),
        ("limits.tool_time", limits.tool_time.0.is_zero()),
        ("limits.client_tool_time", limits.client_tool_time.0.is_zero()),
        ("limits.http.body_bytes", limits.http.body_bytes == 0),
        ("limits.http.body_time", limits.http.body_time.0.is_zero()),
        ("limits.http.head_time", limits.http.head_time.0.is_zero()),
        ("limits.http.headers", limits.http.headers == 0),
        ("limits.http.json_depth", limits.http.json_depth == 0),
        ("limits.http.messages", limits.http.messages == 0),
        ("limits.http.parts", limits.http.parts == 0),
        ("limits.http.page", limits.http.page == 0),
        ("limits.http.connections", limits.http.connections == 0),
        ("limits.http.streams", limits.http.streams == 0),
        ("provider.retry.attempts", settings.provider.retry.attempts == 0),
        ("provider.timeouts.connect", settings.provider.timeouts.connect.0.is_zero()),
        ("provider.timeouts.first_token", settings.provider.timeouts.first_token.0.is_zero()),
        ("provider.timeouts.idle", settings.provider.timeouts.idle.0.is_zero()),
        ("provider.timeouts.answer", settings.provider.timeouts.answer.0.is_zero()),
    ];
    // The HTTP library's own floor; it panics below it.
    if limits.http.head_bytes < 8192 {
        let reason = "must be at least 8192: heads of ordinary requests are that large";
        return Err(configuration.layers.refusal("limits.http.head_bytes", reason));
    }
    match nothing.into_iter().find(|(_, is_zero)| *is_zero) {
        Some((path, _)) => {
            Err(configuration.layers.refusal(path, "must be more than 0, or nothing would work"))
        }
        None => Ok(()),
    }
}

fn provider(configuration: &Configuration) -> Result<(), Refusal> {
    let provider = &configuration.settings.provider;
    let Some(kind) = configuration.provider().kind() else {
        // A setting that has no effect is a mistake that should be known now.
        let lost = ["provider.model", "provider.base_url", "provider.api_key", "provider.failover"]
            .into_iter()
            .find(|path| configuration.layers.winner(path).is_some());
        return match (provider.r#type, lost) {
            (None, Some(path)) => Err(configuration.layers.refusal(
                path,
                "is set, but no provider is: set provider.type to openai, openai-compatible, \
                 anthropic, gemini or ollama",
            )),
            (Some(_), Some("provider.failover")) => Err(configuration
                .layers
                .refusal("provider.failover", "the mock never fails over to a provider")),
            _ => Ok(()),
        };
    };
    address(configuration, "provider.base_url", provider.base_url.as_deref())?;
    // A server of one's own may want no key; a provider's public address always does.
    if kind.wants_key() && provider.api_key.is_none() && provider.base_url.is_none() {
        let usual = kind.key_variables().join(" or ");
        return Err(configuration.layers.refusal(
            "provider.type",
            &format!(
                "{kind} needs a key and there is none: set {usual}, or BARTIZAN_PROVIDER__API_KEY \
                 (each also with _FILE), or provider.api_key_file in the configuration"
            ),
        ));
    }
    Ok(())
}

/// An address holds no secret, so that it can be shown; and it is not repeated where it does.
fn address(
    configuration: &Configuration,
    path: &str,
    address: Option<&str>,
) -> Result<(), Refusal> {
    let Some(address) = address else { return Ok(()) };
    let fault = match Url::parse(address) {
        Err(error) => format!("is no URL: {error}"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "must be http or https".into(),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "holds a user name or password, and addresses are shown; leave them out".into()
        }
        Ok(_) => return Ok(()),
    };
    Err(configuration.layers.refusal(path, &fault))
}

fn failover(configuration: &Configuration) -> Result<(), Refusal> {
    let missing = |fallback: &Fallback| {
        let kind = fallback.r#type.kind();
        fallback.api_key.is_none()
            && fallback.base_url.is_none()
            && kind.is_some_and(|kind| kind.wants_key())
            && !configuration.usual_keys.contains_key(&fallback.r#type)
    };
    for (index, fallback) in configuration.settings.provider.failover.iter().enumerate() {
        let path = format!("provider.failover[{index}]");
        if fallback.r#type == ProviderType::Mock {
            let reason = "a provider's failure is never answered by the mock";
            return Err(configuration.layers.refusal(&path, reason));
        }
        address(configuration, &format!("{path}.base_url"), fallback.base_url.as_deref())?;
        if missing(fallback) {
            let names = fallback.r#type.kind().map(|kind| kind.key_variables().join(" or "));
            let reason = format!(
                "{} needs a key and there is none: set {}, or api_key_file here",
                fallback.r#type.as_str(),
                names.unwrap_or_default()
            );
            return Err(configuration.layers.refusal(&path, &reason));
        }
    }
    Ok(())
}
