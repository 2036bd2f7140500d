//! Where and how to reach a provider.

use genai::{
    Headers, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    resolver::{AuthData, Endpoint},
};
use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};

use crate::settings::{ApiKey, ModelSetupError, ProviderKind, ProviderSettings};

/// The version of Anthropic's API that `genai` speaks.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A provider's addresses and headers, worked out once.
pub(super) struct Target {
    streamed: ServiceTarget,
    whole: ServiceTarget,
    is_openai: bool,
}

impl Target {
    pub(super) fn new(settings: &ProviderSettings) -> Result<Self, ModelSetupError> {
        let kind = settings.kind;
        let model = settings.model.trim();
        if model.is_empty() {
            return Err(ModelSetupError::MissingModel { kind });
        }
        let base = base_url(kind, settings.base_url.as_deref())?;
        let public = kind.public_base_url().and_then(|address| Url::parse(address).ok());
        let is_public = public.is_some_and(|public| public.host_str() == base.host_str());
        // A header of the operator's may hold what stands for a key.
        if is_public
            && kind.wants_key()
            && settings.api_key.is_none()
            && settings.headers.is_empty()
        {
            return Err(ModelSetupError::MissingKey { kind });
        }
        let headers = headers(settings)?;
        let target = |streamed: bool| -> Result<ServiceTarget, ModelSetupError> {
            let url = chat_url(kind, &base, model, streamed)?;
            Ok(ServiceTarget {
                endpoint: Endpoint::from_owned(base.as_str()),
                // Whole address and headers are given, rather than a key for `genai` to place,
                // because servers without a key, and ones behind a gateway, need them otherwise.
                auth: AuthData::RequestOverride { url: url.into(), headers: headers.clone() },
                model: ModelIden::new(adapter(kind), plain_name(model)),
            })
        };
        Ok(Self {
            streamed: target(true)?,
            whole: target(false)?,
            is_openai: kind == ProviderKind::OpenAi && is_public,
        })
    }

    pub(super) fn streamed(&self) -> ServiceTarget {
        self.streamed.clone()
    }

    pub(super) fn whole(&self) -> ServiceTarget {
        self.whole.clone()
    }

    /// Whether it is OpenAI itself, and not a server that only calls itself so.
    pub(super) fn is_openai(&self) -> bool {
        self.is_openai
    }
}

fn adapter(kind: ProviderKind) -> AdapterKind {
    match kind {
        ProviderKind::OpenAi | ProviderKind::OpenAiCompatible => AdapterKind::OpenAI,
        ProviderKind::Anthropic => AdapterKind::Anthropic,
        ProviderKind::Gemini => AdapterKind::Gemini,
        ProviderKind::Ollama => AdapterKind::Ollama,
    }
}

/// `genai` takes what stands before `::` for its own and drops it; a name that has one is given
/// another to drop.
fn plain_name(model: &str) -> String {
    if model.contains("::") { format!("model::{model}") } else { model.to_owned() }
}

/// The address with a path that ends in a slash, so that more can be joined to it.
fn base_url(kind: ProviderKind, given: Option<&str>) -> Result<Url, ModelSetupError> {
    let invalid =
        |reason: &str| ModelSetupError::InvalidBaseUrl { kind, reason: reason.to_owned() };
    let Some(address) = given.or(kind.public_base_url()) else {
        return Err(ModelSetupError::MissingBaseUrl { kind });
    };
    let mut url = Url::parse(address.trim()).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("it must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it must not hold a user name or password; set a header instead"));
    }
    if url.fragment().is_some() {
        return Err(invalid("it must not have a fragment (#…)"));
    }
    let path = url.path().trim_end_matches('/');
    let path = match (kind, path) {
        (ProviderKind::Anthropic, "") => "/v1/".to_owned(),
        (ProviderKind::Gemini, "") => "/v1beta/".to_owned(),
        _ => format!("{path}/"),
    };
    url.set_path(&path);
    Ok(url)
}

/// The address of a chat call. A query of the base address (Azure's `api-version`) is kept.
fn chat_url(
    kind: ProviderKind,
    base: &Url,
    model: &str,
    streamed: bool,
) -> Result<Url, ModelSetupError> {
    let mut url = base.clone();
    let gemini_method;
    let segments: &[&str] = match kind {
        ProviderKind::OpenAi | ProviderKind::OpenAiCompatible => &["chat", "completions"],
        ProviderKind::Anthropic => &["messages"],
        ProviderKind::Ollama => &["api", "chat"],
        ProviderKind::Gemini => {
            let model = model.strip_prefix("models/").unwrap_or(model);
            let method = if streamed { "streamGenerateContent" } else { "generateContent" };
            gemini_method = format!("{model}:{method}");
            &["models", &gemini_method]
        }
    };
    url.path_segments_mut()
        .map_err(|()| ModelSetupError::InvalidBaseUrl {
            kind,
            reason: "nothing can be added to its path".to_owned(),
        })?
        .pop_if_empty()
        .extend(segments);
    if kind == ProviderKind::Gemini && streamed {
        url.query_pairs_mut().append_pair("alt", "sse");
    }
    Ok(url)
}

fn headers(settings: &ProviderSettings) -> Result<Headers, ModelSetupError> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, value: String| -> Result<(), ModelSetupError> {
        let name = name.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err()
            || HeaderValue::from_str(&value).is_err()
        {
            return Err(ModelSetupError::InvalidHeader { kind: settings.kind, name });
        }
        headers.retain(|(other, _)| *other != name);
        headers.push((name, value));
        Ok(())
    };
    if settings.kind == ProviderKind::Anthropic {
        put("anthropic-version", ANTHROPIC_VERSION.to_owned())?;
    }
    if let Some(key) = settings.api_key.as_ref().map(ApiKey::expose) {
        match settings.kind {
            ProviderKind::Anthropic => put("x-api-key", key.to_owned())?,
            ProviderKind::Gemini => put("x-goog-api-key", key.to_owned())?,
            ProviderKind::OpenAi | ProviderKind::OpenAiCompatible | ProviderKind::Ollama => {
                put("authorization", format!("Bearer {key}"))?;
            }
        }
    }
    for (name, value) in &settings.headers {
        put(name, value.clone())?;
    }
    Ok(Headers::from(headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(kind: ProviderKind, base_url: Option<&str>) -> ProviderSettings {
        ProviderSettings {
            base_url: base_url.map(str::to_owned),
            api_key: Some(ApiKey::new("k")),
            ..ProviderSettings::new(kind, "some-model")
        }
    }

    fn address(kind: ProviderKind, base_url: Option<&str>, streamed: bool) -> String {
        let target = Target::new(&settings(kind, base_url)).unwrap();
        let target = if streamed { target.streamed } else { target.whole };
        match target.auth {
            AuthData::RequestOverride { url, .. } => url,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_provider_has_its_address() {
        use ProviderKind::{Anthropic, Gemini, Ollama, OpenAi, OpenAiCompatible};
        for (kind, base, streamed, expected) in [
            (OpenAi, None, true, "https://api.openai.com/v1/chat/completions"),
            (OpenAiCompatible, Some("http://h:1/v1"), true, "http://h:1/v1/chat/completions"),
            (OpenAiCompatible, Some("http://h/a/?v=1"), false, "http://h/a/chat/completions?v=1"),
            (Anthropic, None, true, "https://api.anthropic.com/v1/messages"),
            (Anthropic, Some("http://h"), true, "http://h/v1/messages"),
            (Anthropic, Some("http://h/p/v1/"), true, "http://h/p/v1/messages"),
            (
                Gemini,
                Some("http://h/"),
                true,
                "http://h/v1beta/models/some-model:streamGenerateContent?alt=sse",
            ),
            (Gemini, Some("http://h/x"), false, "http://h/x/models/some-model:generateContent"),
            (Ollama, None, true, "http://localhost:11434/api/chat"),
        ] {
            assert_eq!(address(kind, base, streamed), expected);
        }
    }

    #[test]
    fn a_wrong_address_is_refused_without_repeating_it() {
        let kind = ProviderKind::OpenAiCompatible;
        for wrong in ["", "h:1/v1", "ftp://h", "http://user:hush@h/v1", "http://h/#hush"] {
            let error = Target::new(&settings(kind, Some(wrong))).err().unwrap().to_string();
            assert!(error.contains("base URL") && !error.contains("hush"), "{error}");
        }
        let error = Target::new(&settings(kind, None)).err().unwrap();
        assert_eq!(error, ModelSetupError::MissingBaseUrl { kind });
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut keyless = settings(ProviderKind::Gemini, None);
        keyless.api_key = None;
        let error = Target::new(&keyless).err().unwrap().to_string();
        assert!(error.contains("GEMINI_API_KEY or GOOGLE_API_KEY"), "{error}");
        keyless.base_url = kind_url(ProviderKind::Gemini);
        assert!(Target::new(&keyless).is_err(), "its public address by name");
        keyless.base_url = Some("http://127.0.0.1:1".to_owned());
        assert!(Target::new(&keyless).is_ok(), "a server of one's own may want none");
        let nameless = ProviderSettings::new(ProviderKind::Ollama, " ");
        assert!(matches!(Target::new(&nameless), Err(ModelSetupError::MissingModel { .. })));
    }

    fn kind_url(kind: ProviderKind) -> Option<String> {
        kind.public_base_url().map(str::to_owned)
    }

    #[test]
    fn headers_of_the_settings_replace_ours() {
        let mut own = settings(ProviderKind::Anthropic, None);
        own.headers = vec![("X-Api-Key".to_owned(), "other".to_owned())];
        let headers = headers(&own).unwrap();
        let mut headers: Vec<_> = headers.iter().collect();
        headers.sort();
        let pairs: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("anthropic-version", "2023-06-01"), ("x-api-key", "other")]);
        own.headers = vec![("bad\nname".to_owned(), "hush".to_owned())];
        let error = Target::new(&own).err().unwrap().to_string();
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn only_openai_itself_is_openai() {
        assert!(Target::new(&settings(ProviderKind::OpenAi, None)).unwrap().is_openai());
        let elsewhere = settings(ProviderKind::OpenAi, Some("http://h/v1"));
        assert!(!Target::new(&elsewhere).unwrap().is_openai());
    }
}
