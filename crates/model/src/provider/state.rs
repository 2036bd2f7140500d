//! What a provider wants back with the next request, kept in the tool call it came with.
//!
//! Each piece is `KIND/WHAT:DATA`, so that a conversation that goes on at another provider, after
//! a failover, does not send it what only the first one understands.

use genai::chat::{ContentPart, CustomPart};

use super::ProviderKind;

const SIGNATURE: &str = "signature";
const THINKING: &str = "thinking";
const BLOCK: &str = "block";

/// Keeps the pieces of an answer that must go back: Anthropic's signed, or redacted, thinking and
/// Gemini's thought signatures.
pub(super) fn keep(kind: ProviderKind, part: &ContentPart) -> Option<String> {
    let (what, data) = match part {
        ContentPart::ThoughtSignature(signature) => (SIGNATURE, signature.clone()),
        ContentPart::ReasoningContent(text) => (THINKING, text.clone()),
        ContentPart::Custom(part) if kind == ProviderKind::Anthropic => {
            (BLOCK, part.data.to_string())
        }
        _ => return None,
    };
    Some(format!("{kind}/{what}:{data}"))
}

/// A signature that Gemini put on a single call.
pub(super) fn keep_signature(kind: ProviderKind, signature: &str) -> String {
    format!("{kind}/{SIGNATURE}:{signature}")
}

/// Reasoning that a server wants back as it was, though it is not signed.
pub(super) fn keep_reasoning(kind: ProviderKind, reasoning: &str) -> String {
    format!("{kind}/{THINKING}:{reasoning}")
}

/// The parts that were kept by this kind of provider.
pub(super) fn restore(
    kind: ProviderKind,
    kept: &[String],
) -> impl Iterator<Item = ContentPart> + '_ {
    kept.iter().filter_map(move |piece| {
        let rest = piece.strip_prefix(kind.as_str())?.strip_prefix('/')?;
        let (what, data) = rest.split_once(':')?;
        match what {
            SIGNATURE => Some(ContentPart::ThoughtSignature(data.to_owned())),
            THINKING => Some(ContentPart::ReasoningContent(data.to_owned())),
            BLOCK => {
                let data = serde_json::from_str(data).ok()?;
                Some(ContentPart::Custom(CustomPart { model_iden: None, data }))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_back_to_the_provider_it_came_from_only() {
        let parts = [
            ContentPart::ThoughtSignature("a:b/c".to_owned()),
            ContentPart::ReasoningContent("because".to_owned()),
            ContentPart::Custom(CustomPart {
                model_iden: None,
                data: serde_json::json!({"type": "redacted_thinking", "data": "x"}),
            }),
        ];
        let kept: Vec<String> =
            parts.iter().filter_map(|part| keep(ProviderKind::Anthropic, part)).collect();
        let restored: Vec<ContentPart> = restore(ProviderKind::Anthropic, &kept).collect();
        assert_eq!(format!("{restored:?}"), format!("{parts:?}"));
        assert_eq!(restore(ProviderKind::Gemini, &kept).count(), 0);
        assert_eq!(restore(ProviderKind::OpenAi, &kept).count(), 0);
        let damaged = ["", "anthropic", "anthropic/block:{", "anthropic/other:x"];
        assert_eq!(restore(ProviderKind::Anthropic, &damaged.map(str::to_owned)).count(), 0);
    }

    #[test]
    fn kinds_whose_names_begin_alike_are_not_confused() {
        let kept = [keep_reasoning(ProviderKind::OpenAiCompatible, "r")];
        assert_eq!(restore(ProviderKind::OpenAiCompatible, &kept).count(), 1);
        assert_eq!(restore(ProviderKind::OpenAi, &kept).count(), 0);
    }
}
