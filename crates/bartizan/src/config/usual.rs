//! The names that providers' own clients use: `OPENAI_API_KEY` and the like.

use super::{
    environment::{Variables, candidate},
    keys::Key,
    layers::{Candidate, Origin},
    settings::ProviderType,
};
use crate::refusal::Refusal;

/// The providers that a key alone chooses, the first of them first.
const CHOSEN_BY_KEY: [ProviderType; 3] =
    [ProviderType::OpenAi, ProviderType::Anthropic, ProviderType::Gemini];

/// The key of a provider in the usual names, with its place.
///
/// # Errors
/// Where a key is given twice, or its file cannot be read.
pub fn key(
    variables: &Variables,
    provider: ProviderType,
) -> Result<Option<(String, Origin)>, Refusal> {
    let names = provider.kind().map(|kind| kind.key_variables()).unwrap_or_default();
    for name in names {
        if let Some(found) = variables.secret(name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The provider that has a key, where nothing chooses another.
///
/// # Errors
/// As [`key`].
pub fn choice(variables: &Variables) -> Result<Option<Candidate>, Refusal> {
    for provider in CHOSEN_BY_KEY {
        if let (Some((_, origin)), Some(setting)) =
            (key(variables, provider)?, Key::find("provider.type"))
        {
            return Ok(Some(candidate(setting, provider.as_str(), &origin)?));
        }
    }
    Ok(None)
}

/// What the usual names say about this provider.
///
/// # Errors
/// As [`key`].
pub fn candidates(
    variables: &Variables,
    provider: ProviderType,
) -> Result<Vec<Candidate>, Refusal> {
    let mut found = Vec::new();
    if let (Some((secret, origin)), Some(setting)) =
        (key(variables, provider)?, Key::find("provider.api_key"))
    {
        found.push(Candidate { key: setting, value: secret.into(), origin });
    }
    let address = match provider {
        ProviderType::OpenAi => "OPENAI_BASE_URL",
        ProviderType::Anthropic => "ANTHROPIC_BASE_URL",
        _ => return Ok(found),
    };
    if let (Some((text, origin)), Some(setting)) =
        (variables.with_origin(address), Key::find("provider.base_url"))
    {
        found.push(candidate(setting, text, origin)?);
    }
    Ok(found)
}
