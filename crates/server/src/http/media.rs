//! Media as callers write them: base64, data URLs (RFC 2397), and addresses.
//!
//! An address is passed on to the provider, who fetches it. Nothing is fetched here.

use bartizan_engine::message::{Media, MediaKind, MediaSource};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The longest address taken, in bytes.
const LONGEST_URL: usize = 8192;

/// A medium whose bytes are in the request.
///
/// # Errors
/// What is wrong with the base64.
pub(crate) fn inline(mime_type: &str, data: String, name: Option<String>) -> Result<Media, String> {
    check_type(mime_type)?;
    // Checked here and not only by the provider, so that the error names the field.
    STANDARD
        .decode(&data)
        .map_err(|error| format!("not base64 (RFC 4648 section 4, with padding): {error}"))?;
    Ok(Media {
        kind: MediaKind::of(mime_type),
        mime_type: mime_type.to_owned(),
        source: MediaSource::Base64(data),
        name,
    })
}

/// A medium behind a `data:` URL or an address.
///
/// # Errors
/// What is wrong with the URL.
pub(crate) fn behind(url: &str, usual_type: &str, name: Option<String>) -> Result<Media, String> {
    if let Some(rest) = url.strip_prefix("data:") {
        let (head, data) = rest.split_once(',').ok_or("a data URL has a comma before its data")?;
        let mime_type = head
            .strip_suffix(";base64")
            .ok_or("a data URL must be base64: data:image/png;base64,…")?;
        let mime_type = mime_type.split(';').next().unwrap_or_default();
        let mime_type = if mime_type.is_empty() { usual_type } else { mime_type };
        return inline(mime_type, data.to_owned(), name);
    }
    at(url, mime_type_of(url).unwrap_or(usual_type), name)
}

/// A medium at an address.
///
/// # Errors
/// What is wrong with the address.
pub(crate) fn at(url: &str, mime_type: &str, name: Option<String>) -> Result<Media, String> {
    check_type(mime_type)?;
    let web = url.starts_with("https://") || url.starts_with("http://");
    if !web || url.len() > LONGEST_URL || url.contains(|c: char| c.is_control() || c == ' ') {
        return Err(format!(
            "neither a data URL nor an http(s) URL of at most {LONGEST_URL} bytes"
        ));
    }
    Ok(Media {
        kind: MediaKind::of(mime_type),
        mime_type: mime_type.to_owned(),
        source: MediaSource::Url(url.to_owned()),
        name,
    })
}

/// Refuses what is no media type (RFC 9110 section 8.3.1).
///
/// # Errors
/// That it is none.
pub(crate) fn check_type(mime_type: &str) -> Result<(), String> {
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let (essence, parameters) = mime_type.split_once(';').unwrap_or((mime_type, ""));
    let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    match essence.trim_end().split_once('/') {
        Some((kind, subtype))
            if is_token(kind) && is_token(subtype) && parameters.bytes().all(is_plain) =>
        {
            Ok(())
        }
        _ => Err("not a media type such as image/png".to_owned()),
    }
}

/// The media type that the end of an address or a file name suggests.
pub(crate) fn mime_type_of(name: &str) -> Option<&'static str> {
    let path = name.split(['?', '#']).next().unwrap_or(name);
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "json" => "application/json",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_taken_apart() {
        let media = behind("data:image/png;base64,aGk=", "image/jpeg", None).unwrap();
        assert_eq!(media.mime_type, "image/png");
        assert_eq!(media.kind, MediaKind::Image);
        assert_eq!(media.source, MediaSource::Base64("aGk=".into()));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in ["", "file:///etc/passwd", "data:image/png,hi", "data:;base64,%%", "https://a b"]
        {
            assert!(behind(url, "image/jpeg", None).is_err(), "{url}");
        }
    }

    #[test]
    fn a_media_type_is_one() {
        for plain in ["image/png", "audio/webm;codecs=opus", "text/plain; charset=utf-8"] {
            assert!(check_type(plain).is_ok(), "{plain}");
        }
        for broken in ["", "png", "image/", "/png", "a b/c", "x/y\r\nz: 1", "x/y;\u{1b}"] {
            assert!(inline(broken, "aGk=".into(), None).is_err(), "{broken}");
            assert!(at("https://example.org/a", broken, None).is_err(), "{broken}");
        }
    }

    #[test]
    fn an_address_says_its_type_by_its_end() {
        let media = behind("https://example.org/a.png?x=1", "image/jpeg", None).unwrap();
        assert_eq!(media.mime_type, "image/png");
    }
}
