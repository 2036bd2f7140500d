//! PromptKit's dialect: scenarios, and in each the replies by their number.

use std::{collections::BTreeMap, fmt};

use bartizan_engine::{
    message::{Media, Message, Part, Role},
    ports::model::ModelRequest,
};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, Visitor},
};

use super::{entry::Entry, reply::Reply, reply_number};

/// The scenario for whoever names none and shows nothing.
const DEFAULT: &str = "default";
const IMAGE: &str = "image-analysis";
const AUDIO: &str = "audio-analysis";
const DOCUMENT: &str = "document-qa";

/// A script of scenarios.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenarios {
    #[serde(rename = "defaultResponse")]
    default_response: Option<Entry>,
    #[serde(default)]
    scenarios: BTreeMap<String, Scenario>,
    // PromptKit's test arena plays the user's side from here; nothing here does.
    #[serde(rename = "selfplay")]
    _selfplay: Option<IgnoredAny>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    #[serde(rename = "defaultResponse")]
    default_response: Option<Entry>,
    #[serde(default)]
    turns: BTreeMap<Turn, Entry>,
}

impl Scenarios {
    /// The reply: the scenario's at its number, else the scenario's default, else the script's.
    pub(super) fn reply(&self, request: &ModelRequest) -> Option<Reply> {
        let number = Turn(reply_number(&request.messages));
        let scenario = self.scenarios.get(name(request));
        let entry = scenario
            .and_then(|scenario| scenario.turns.get(&number).or(scenario.default_response.as_ref()))
            .or(self.default_response.as_ref());
        entry.map(|entry| entry.0.clone())
    }
}

/// The scenario that a request asks for: by name, else by the type of content it says it has, else
/// by what the last message of the user shows or mentions.
fn name(request: &ModelRequest) -> &str {
    let metadata = |key: &str| request.metadata.get(key).filter(|value| !value.is_empty());
    if let Some(name) = metadata("mock_scenario").or_else(|| metadata("mock_scenario_id")) {
        return name;
    }
    let said = metadata("content_type").and_then(|content_type| of_content_type(content_type));
    let asked = request.messages.iter().rev().find(|message| message.role == Role::User);
    said.or_else(|| asked.and_then(of_message)).unwrap_or(DEFAULT)
}

fn of_content_type(content_type: &str) -> Option<&'static str> {
    let content_type = content_type.to_ascii_lowercase();
    let among = |words: &[&str]| words.iter().any(|word| content_type.contains(word));
    if among(&["image/", "png", "jpg", "jpeg", "gif", "webp", "svg"]) {
        Some(IMAGE)
    } else if among(&["audio/", "mp3", "wav", "ogg", "m4a", "flac"]) {
        Some(AUDIO)
    } else if among(&["pdf", "document", "text/"]) {
        Some(DOCUMENT)
    } else {
        None
    }
}

fn of_message(message: &Message) -> Option<&'static str> {
    let shown = message.parts.iter().find_map(|part| match part {
        Part::Media(Media { mime_type, .. }) => of_content_type(mime_type),
        _ => None,
    });
    shown.or_else(|| {
        let text = message.plain_text().to_ascii_lowercase();
        let marks =
            [("[image:", IMAGE), ("[audio:", AUDIO), ("[document:", DOCUMENT), ("[pdf:", DOCUMENT)];
        marks.iter().find(|(mark, _)| text.contains(mark)).map(|(_, scenario)| *scenario)
    })
}

/// The number of a reply, written as a number or as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn(u32);

impl<'de> Deserialize<'de> for Turn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TurnVisitor;

        impl Visitor<'_> for TurnVisitor {
            type Value = Turn;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the number of a turn, from 1")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Turn, E> {
                let number = text.trim().parse::<u32>().ok().filter(|number| *number > 0);
                number.map(Turn).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Turn, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Turn, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(TurnVisitor)
    }
}
