//! Images, recordings and documents, as far as each provider takes them.

use bartizan_engine::message::{Media, MediaKind, MediaSource};
use base64::Engine as _;
use genai::chat::{Binary, ContentPart, CustomPart};
use serde_json::json;

use super::ProviderKind;

/// The medium in the provider's words; none where it does not take it.
pub(super) fn part(kind: ProviderKind, media: &Media) -> Option<ContentPart> {
    use MediaSource::{Base64, Url};
    use ProviderKind as Provider;
    match (kind, media.kind, &media.source) {
        (Provider::Gemini, _, _)
        | (Provider::OpenAi | Provider::OpenAiCompatible, MediaKind::Image, _)
        | (Provider::Anthropic | Provider::Ollama, MediaKind::Image, Base64(_)) => {
            Some(binary(media, media.mime_type.clone()))
        }
        // `genai` drops an image's address for Anthropic, which takes it.
        (Provider::Anthropic, MediaKind::Image, Url(url)) => {
            let source = json!({"type": "url", "url": url});
            Some(custom(json!({"type": "image", "source": source})))
        }
        (Provider::OpenAi | Provider::OpenAiCompatible, MediaKind::Audio, Base64(_)) => {
            let format = audio_format(&media.mime_type)?;
            Some(binary(media, format!("audio/{format}")))
        }
        (Provider::OpenAiCompatible, MediaKind::Video, _)
        | (Provider::OpenAi | Provider::OpenAiCompatible, MediaKind::Document, Base64(_)) => {
            Some(binary(media, media.mime_type.clone()))
        }
        (Provider::Anthropic, MediaKind::Document, _) if is_pdf(media) => {
            Some(binary(media, media.mime_type.clone()))
        }
        (Provider::Anthropic, MediaKind::Document, Base64(data)) => {
            plain_document(media, data).map(custom)
        }
        _ => None,
    }
}

fn binary(media: &Media, mime_type: String) -> ContentPart {
    let name = media.name.clone();
    ContentPart::Binary(match &media.source {
        MediaSource::Base64(data) => {
            // OpenAI refuses a file without a name.
            let name =
                name.or_else(|| (media.kind == MediaKind::Document).then(|| "document".to_owned()));
            Binary::from_base64(mime_type, data.as_str(), name)
        }
        MediaSource::Url(url) => Binary::from_url(mime_type, url.as_str(), name),
    })
}

fn custom(data: serde_json::Value) -> ContentPart {
    ContentPart::Custom(CustomPart { model_iden: None, data })
}

fn is_pdf(media: &Media) -> bool {
    media.mime_type.eq_ignore_ascii_case("application/pdf")
}

/// OpenAI takes WAV and MP3, and names them by these words.
fn audio_format(mime_type: &str) -> Option<&'static str> {
    match mime_type.to_ascii_lowercase().as_str() {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => Some("wav"),
        "audio/mpeg" | "audio/mp3" => Some("mp3"),
        _ => None,
    }
}

/// Anthropic takes text documents as text.
fn plain_document(media: &Media, data: &str) -> Option<serde_json::Value> {
    if !media.mime_type.to_ascii_lowercase().starts_with("text/") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut document = json!({
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": text},
    });
    if let Some(name) = &media.name {
        document["title"] = name.as_str().into();
    }
    Some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(mime_type: &str, source: MediaSource) -> Media {
        Media {
            kind: MediaKind::of(mime_type),
            mime_type: mime_type.to_owned(),
            source,
            name: None,
        }
    }

    #[test]
    fn each_provider_takes_what_it_takes() {
        use ProviderKind::{Anthropic, Gemini, Ollama, OpenAi, OpenAiCompatible};
        let all = [OpenAi, OpenAiCompatible, Anthropic, Gemini, Ollama];
        let data = || MediaSource::Base64("aGk=".to_owned());
        let url = || MediaSource::Url("https://example.com/x".to_owned());
        for (mime_type, source, takers) in [
            ("image/png", data(), &all[..]),
            ("image/png", url(), &[OpenAi, OpenAiCompatible, Anthropic, Gemini]),
            ("audio/wav", data(), &[OpenAi, OpenAiCompatible, Gemini]),
            ("audio/ogg", data(), &[Gemini]),
            ("audio/wav", url(), &[Gemini]),
            ("video/mp4", data(), &[OpenAiCompatible, Gemini]),
            ("application/pdf", data(), &[OpenAi, OpenAiCompatible, Anthropic, Gemini]),
            ("application/pdf", url(), &[Anthropic, Gemini]),
            ("text/plain", data(), &[OpenAi, OpenAiCompatible, Anthropic, Gemini]),
            ("application/zip", url(), &[Gemini]),
        ] {
            let media = media(mime_type, source);
            for kind in all {
                let taken = part(kind, &media).is_some();
                assert_eq!(taken, takers.contains(&kind), "{kind} {media:?}");
            }
        }
    }

    #[test]
    fn text_that_is_not_text_is_not_taken() {
        let broken = media("text/plain", MediaSource::Base64("/w==".to_owned()));
        assert!(part(ProviderKind::Anthropic, &broken).is_none());
    }
}
