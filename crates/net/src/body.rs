//! Reading answers within a limit.

use bytes::{Bytes, BytesMut};
use reqwest::Response;

/// The whole body, if it has no more than `most` bytes. Bytes are counted after decompression, so
/// a small body that unpacks to a large one is stopped too.
///
/// # Errors
/// [`BodyError`]; the connection is dropped with what is left unread.
pub async fn read_limited(mut response: Response, most: usize) -> Result<Bytes, BodyError> {
    let too_large = || BodyError::TooLarge { most };
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > most - body.len() {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The first `most` bytes of the body, for error messages.
///
/// # Errors
/// [`BodyError::Interrupted`].
pub async fn read_prefix(mut response: Response, most: usize) -> Result<Bytes, BodyError> {
    let mut body = BytesMut::new();
    while body.len() < most
        && let Some(chunk) = response.chunk().await?
    {
        let room = most - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
    }
    Ok(body.freeze())
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than are taken.
    #[error("the response is larger than {most} bytes")]
    TooLarge {
        /// The limit, in bytes.
        most: usize,
    },
    /// The body broke off, or made no sense.
    #[error("the response broke off: {0}")]
    Interrupted(#[from] reqwest::Error),
}
