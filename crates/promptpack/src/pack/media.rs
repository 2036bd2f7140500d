//! Media: which images, sounds, films and documents messages may carry.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::decode::{Decoder, Node};
use crate::finding::Code;
use crate::{SpecVersion, grammar};

/// Which media messages may carry (spec: `MediaConfig`, 1.1).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MediaConfig {
    /// Whether media are taken at all.
    pub enabled: bool,
    /// Names of the types taken; empty means that none is excluded by name.
    pub supported_types: Vec<String>,
    /// Limits for images.
    pub image: Option<ImageConfig>,
    /// Limits for sound.
    pub audio: Option<AudioConfig>,
    /// Limits for film.
    pub video: Option<VideoConfig>,
    /// Limits for documents.
    pub document: Option<DocumentConfig>,
    /// Limits for types that the pack names itself.
    ///
    /// The published schema demands that exactly one of five overlapping
    /// shapes fits, which refuses the documented form
    /// `{"max_size_mb": 5, "allowed_formats": ["glb"]}`; here that form is read.
    pub custom: IndexMap<String, CustomMediaConfig>,
    /// Example messages.
    pub examples: Vec<MediaExample>,
}

/// Limits for images (spec: `ImageConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ImageConfig {
    /// Largest size, in megabytes.
    pub max_size_mb: Option<u32>,
    /// Formats taken, such as `png`; empty means all.
    pub allowed_formats: Vec<String>,
    /// Detail that the model is asked to see; `auto` unless set.
    pub default_detail: Option<String>,
    /// Whether each image needs a caption.
    pub require_caption: bool,
    /// Most images in one message.
    pub max_images_per_msg: Option<u32>,
}

/// Limits for sound (spec: `AudioConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AudioConfig {
    /// Largest size, in megabytes.
    pub max_size_mb: Option<u32>,
    /// Formats taken, such as `wav`; empty means all.
    pub allowed_formats: Vec<String>,
    /// Longest duration, in seconds.
    pub max_duration_sec: Option<u32>,
    /// Whether each sound needs metadata.
    pub require_metadata: bool,
}

/// Limits for film (spec: `VideoConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct VideoConfig {
    /// Largest size, in megabytes.
    pub max_size_mb: Option<u32>,
    /// Formats taken, such as `mp4`; empty means all.
    pub allowed_formats: Vec<String>,
    /// Longest duration, in seconds.
    pub max_duration_sec: Option<u32>,
    /// Whether each film needs metadata.
    pub require_metadata: bool,
}

/// Limits for documents (spec: `DocumentConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DocumentConfig {
    /// Largest size, in megabytes.
    pub max_size_mb: Option<u32>,
    /// Formats taken, such as `pdf`; empty means all.
    pub allowed_formats: Vec<String>,
    /// Most pages.
    pub max_pages: Option<u32>,
    /// Whether each document needs metadata.
    pub require_metadata: bool,
    /// How the text is taken out.
    pub extraction_mode: ExtractionMode,
}

/// How the text is taken out of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtractionMode {
    /// As plain text.
    #[default]
    Text,
    /// With its structure.
    Structured,
    /// Not at all.
    Raw,
}

/// Limits for a type that the pack names itself (spec: `GenericMediaTypeConfig`,
/// an open object).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CustomMediaConfig {
    /// Largest size, in megabytes.
    pub max_size_mb: Option<u32>,
    /// Formats taken; empty means all.
    pub allowed_formats: Vec<String>,
    /// Whether each needs metadata.
    pub require_metadata: bool,
    /// Settings of the type's own checks.
    pub validation_params: Map<String, Value>,
    /// Everything else.
    pub other: Map<String, Value>,
}

/// An example message (spec: `MultimodalExample`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MediaExample {
    /// The example's name.
    pub name: String,
    /// What it shows.
    pub description: Option<String>,
    /// Who speaks.
    pub role: Role,
    /// What is said and shown; at least one part.
    pub parts: Vec<ContentPart>,
}

/// Who speaks in an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person.
    #[default]
    User,
    /// The model.
    Assistant,
    /// The prompt.
    System,
}

/// One part of an example message (spec: `ContentPart`).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ContentPart {
    /// `text`, or the name of a media type.
    #[serde(rename = "type")]
    pub type_: String,
    /// The text, for `text`.
    pub text: Option<String>,
    /// The medium, for everything else.
    pub media: Option<MediaReference>,
}

/// Where a medium is (spec: `MediaReference`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MediaReference {
    /// The media type (RFC 6838).
    pub mime_type: String,
    /// A path beside the pack.
    pub file_path: Option<String>,
    /// An address.
    pub url: Option<String>,
    /// The bytes, as base64.
    pub base64: Option<String>,
    /// `low`, `high` or `auto`.
    pub detail: Option<String>,
    /// A caption.
    pub caption: Option<String>,
}

impl MediaConfig {
    pub(crate) fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        decoder.uses(SpecVersion::V1_1);
        let mut fields = decoder.fields(node)?;
        let mut media = Self {
            enabled: fields.required(decoder, "enabled", Decoder::boolean),
            supported_types: fields.or_default(decoder, "supported_types", |d, n| {
                d.list(n, |d, n| d.form(n, &grammar::MEDIA_TYPE))
            }),
            image: fields.optional(decoder, "image", ImageConfig::decode),
            audio: fields.optional(decoder, "audio", AudioConfig::decode),
            video: fields.optional(decoder, "video", VideoConfig::decode),
            document: fields.optional(decoder, "document", DocumentConfig::decode),
            custom: IndexMap::new(),
            examples: fields
                .or_default(decoder, "examples", |d, n| d.list(n, MediaExample::decode)),
        };
        for (key, node) in fields.remaining() {
            if let Some(custom) = decoder.within(key, |d| CustomMediaConfig::decode(d, node)) {
                media.custom.insert(key.to_owned(), custom);
            }
        }
        Some(media)
    }
}

impl ImageConfig {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let config = Self {
            max_size_mb: fields.optional(decoder, "max_size_mb", Decoder::count),
            allowed_formats: fields.or_default(decoder, "allowed_formats", Decoder::strings),
            default_detail: fields.optional(decoder, "default_detail", Decoder::string),
            require_caption: fields.or_default(decoder, "require_caption", Decoder::boolean),
            max_images_per_msg: fields.optional(decoder, "max_images_per_msg", Decoder::count),
        };
        fields.closed(decoder);
        Some(config)
    }
}

impl AudioConfig {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let config = Self {
            max_size_mb: fields.optional(decoder, "max_size_mb", Decoder::count),
            allowed_formats: fields.or_default(decoder, "allowed_formats", Decoder::strings),
            max_duration_sec: fields.optional(decoder, "max_duration_sec", Decoder::count),
            require_metadata: fields.or_default(decoder, "require_metadata", Decoder::boolean),
        };
        fields.closed(decoder);
        Some(config)
    }
}

impl VideoConfig {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        // Film has the same limits as sound.
        let AudioConfig { max_size_mb, allowed_formats, max_duration_sec, require_metadata } =
            AudioConfig::decode(decoder, node)?;
        Some(Self { max_size_mb, allowed_formats, max_duration_sec, require_metadata })
    }
}

impl DocumentConfig {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let config = Self {
            max_size_mb: fields.optional(decoder, "max_size_mb", Decoder::count),
            allowed_formats: fields.or_default(decoder, "allowed_formats", Decoder::strings),
            max_pages: fields.optional(decoder, "max_pages", Decoder::count),
            require_metadata: fields.or_default(decoder, "require_metadata", Decoder::boolean),
            extraction_mode: fields.or_default(decoder, "extraction_mode", |d, n| {
                d.choice(
                    n,
                    &[
                        ("text", ExtractionMode::Text),
                        ("structured", ExtractionMode::Structured),
                        ("raw", ExtractionMode::Raw),
                    ],
                )
            }),
        };
        fields.closed(decoder);
        Some(config)
    }
}

impl CustomMediaConfig {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        Some(Self {
            max_size_mb: fields.optional(decoder, "max_size_mb", Decoder::count),
            allowed_formats: fields.or_default(decoder, "allowed_formats", Decoder::strings),
            require_metadata: fields.or_default(decoder, "require_metadata", Decoder::boolean),
            validation_params: fields.or_default(
                decoder,
                "validation_params",
                Decoder::open_object,
            ),
            other: fields.rest(),
        })
    }
}

impl MediaExample {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let example = Self {
            name: fields.required(decoder, "name", Decoder::string),
            description: fields.optional(decoder, "description", Decoder::string),
            role: fields.required(decoder, "role", |d, n| {
                d.choice(
                    n,
                    &[
                        ("user", Role::User),
                        ("assistant", Role::Assistant),
                        ("system", Role::System),
                    ],
                )
            }),
            parts: fields.required(decoder, "parts", |d, n| {
                let parts = d.list(n, ContentPart::decode)?;
                d.at_least(n, 1, "one part");
                Some(parts)
            }),
        };
        fields.closed(decoder);
        Some(example)
    }
}

impl ContentPart {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let part = Self {
            type_: fields.required(decoder, "type", |d, n| d.form(n, &grammar::MEDIA_TYPE)),
            text: fields.optional(decoder, "text", Decoder::string),
            media: fields.optional(decoder, "media", MediaReference::decode),
        };
        fields.closed(decoder);
        let is_text = part.type_ == "text";
        if !part.type_.is_empty()
            && ((is_text && part.text.is_none()) || (!is_text && part.media.is_none()))
        {
            decoder
                .report(
                    Code::MissingPart,
                    format!("a part of type `{}` without its content", part.type_),
                )
                .expected(if is_text { "`text`" } else { "`media`" });
        }
        Some(part)
    }
}

impl MediaReference {
    fn decode<'a>(decoder: &mut Decoder<'a>, node: &'a Node<'a>) -> Option<Self> {
        let mut fields = decoder.fields(node)?;
        let reference = Self {
            mime_type: fields.required(decoder, "mime_type", Decoder::string),
            file_path: fields.optional(decoder, "file_path", Decoder::string),
            url: fields.optional(decoder, "url", Decoder::address),
            base64: fields.optional(decoder, "base64", Decoder::string),
            detail: fields.optional(decoder, "detail", |d, n| {
                d.choice(n, &[("low", "low"), ("high", "high"), ("auto", "auto")])
                    .map(str::to_owned)
            }),
            caption: fields.optional(decoder, "caption", Decoder::string),
        };
        fields.closed(decoder);
        let sources =
            [&reference.file_path, &reference.url, &reference.base64].into_iter().flatten().count();
        if sources != 1 {
            decoder
                .report(Code::Contradiction, format!("a medium has {sources} sources"))
                .expected("exactly one of `file_path`, `url` and `base64`");
        }
        Some(reference)
    }
}
