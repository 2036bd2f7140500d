//! Whether an agent takes the media of a message: the pack's limits, applied.
//!
//! A pack that says nothing about media sets no limits of its own. Of what a pack can say, the
//! kind, the format, the size and the number of images are checked here. Durations and page
//! counts cannot be known without decoding the file and are left to the provider; captions and
//! metadata have no place in the messages that doors take. `pack show` says so.

use promptpack::MediaConfig;

use crate::{
    agent::Agent,
    failure::{Failure, FailureCode},
    message::{Media, MediaKind, MediaSource, Message, Part, Role},
};

/// A megabyte, as packs count size.
const MEGABYTE: u64 = 1024 * 1024;

/// Media types whose subtype is not the name that packs use for the format.
const FORMATS: &[(&str, &[&str])] = &[
    ("application/msword", &["doc"]),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", &["pptx"]),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &["xlsx"]),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", &["docx"]),
    ("audio/mp4", &["m4a", "mp4", "aac"]),
    ("audio/mpeg", &["mp3", "mpeg"]),
    ("audio/vnd.wave", &["wav"]),
    ("image/jpeg", &["jpeg", "jpg"]),
    ("image/jpg", &["jpeg", "jpg"]),
    ("image/svg+xml", &["svg"]),
    ("model/gltf-binary", &["glb"]),
    ("model/gltf+json", &["gltf"]),
    ("text/markdown", &["md", "markdown"]),
    ("text/plain", &["txt", "text"]),
    ("video/quicktime", &["mov"]),
    ("video/x-matroska", &["mkv"]),
    ("video/x-msvideo", &["avi"]),
];

/// What a pack allows of one kind of media.
struct Rule<'a> {
    max_size_mb: Option<u32>,
    allowed_formats: &'a [String],
}

/// Refuses media that the agent does not take.
///
/// # Errors
/// [`FailureCode::UnsupportedContent`] or [`FailureCode::TooLarge`], naming the message.
pub(crate) fn check(agent: &Agent, messages: &[Message]) -> Result<(), Failure> {
    let Some(config) = agent.prompt.media.as_ref() else { return Ok(()) };
    for (index, message) in messages.iter().enumerate() {
        if message.role == Role::User {
            check_message(config, message)
                .map_err(|failure| failure.param(format!("messages[{index}]")))?;
        }
    }
    Ok(())
}

fn check_message(config: &MediaConfig, message: &Message) -> Result<(), Failure> {
    let mut images = 0;
    for part in &message.parts {
        let Part::Media(media) = part else { continue };
        check_media(config, media)?;
        images += u32::from(media.kind == MediaKind::Image);
    }
    match config.image.as_ref().and_then(|image| image.max_images_per_msg) {
        Some(most) if images > most => Err(Failure::new(
            FailureCode::UnsupportedContent,
            format!("the message holds {images} images; the agent takes {most} in a message"),
        )),
        _ => Ok(()),
    }
}

fn check_media(config: &MediaConfig, media: &Media) -> Result<(), Failure> {
    let refused = |message: String| Err(Failure::new(FailureCode::UnsupportedContent, message));
    if !config.enabled {
        return refused("the agent takes text only".into());
    }
    let formats = formats(media);
    let custom = config.custom.iter().find(|(_, custom)| {
        allows(&custom.allowed_formats, &formats) && !custom.allowed_formats.is_empty()
    });
    let (kind, rule) = match custom {
        Some((name, custom)) => (
            name.as_str(),
            Rule { max_size_mb: custom.max_size_mb, allowed_formats: &custom.allowed_formats },
        ),
        None => (media.kind.as_str(), rule(config, media.kind)),
    };
    let supported = &config.supported_types;
    if !supported.is_empty() && !supported.iter().any(|name| name == kind) {
        return refused(format!("the agent takes no {kind}; it takes {}", supported.join(", ")));
    }
    if !allows(rule.allowed_formats, &formats) {
        return refused(format!(
            "the agent takes no {kind} of type {}; it takes {}",
            media.mime_type,
            rule.allowed_formats.join(", ")
        ));
    }
    match (rule.max_size_mb, &media.source) {
        (Some(most), MediaSource::Base64(data))
            if decoded_size(data) > u64::from(most) * MEGABYTE =>
        {
            Err(Failure::new(
                FailureCode::TooLarge,
                format!("the {kind} is larger than the {most} MB that the agent takes"),
            ))
        }
        _ => Ok(()),
    }
}

fn rule(config: &MediaConfig, kind: MediaKind) -> Rule<'_> {
    let (max_size_mb, allowed_formats): (_, &[String]) = match kind {
        MediaKind::Image => config
            .image
            .as_ref()
            .map_or((None, &[]), |limits| (limits.max_size_mb, &limits.allowed_formats)),
        MediaKind::Audio => config
            .audio
            .as_ref()
            .map_or((None, &[]), |limits| (limits.max_size_mb, &limits.allowed_formats)),
        MediaKind::Video => config
            .video
            .as_ref()
            .map_or((None, &[]), |limits| (limits.max_size_mb, &limits.allowed_formats)),
        MediaKind::Document => config
            .document
            .as_ref()
            .map_or((None, &[]), |limits| (limits.max_size_mb, &limits.allowed_formats)),
    };
    Rule { max_size_mb, allowed_formats }
}

/// An empty list allows all.
fn allows(allowed: &[String], formats: &[String]) -> bool {
    allowed.is_empty()
        || allowed.iter().any(|name| formats.iter().any(|format| format.eq_ignore_ascii_case(name)))
}

/// The names that packs may use for what this is.
fn formats(media: &Media) -> Vec<String> {
    let mime_type =
        media.mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if let Some((_, names)) = FORMATS.iter().find(|(known, _)| *known == mime_type) {
        return names.iter().map(|name| (*name).to_owned()).collect();
    }
    let subtype = mime_type.split('/').nth(1).unwrap_or(&mime_type);
    vec![subtype.strip_prefix("x-").unwrap_or(subtype).to_owned()]
}

/// How many bytes a base64 text stands for.
fn decoded_size(data: &str) -> u64 {
    let padding = data.bytes().rev().take_while(|byte| *byte == b'=').count();
    ((data.len() - padding) as u64) * 3 / 4
}
