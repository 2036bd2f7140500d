//! Credentials that a tool's server wants.

use std::{fmt, io, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::header::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

/// How calls of a tool show who they come from. They show the server, never the caller: the
/// caller's own credentials are not forwarded.
#[derive(Clone, Debug)]
pub struct Auth {
    /// The scheme.
    pub scheme: AuthScheme,
    /// Where the credential is.
    pub source: AuthSource,
    /// The header it is sent in.
    pub header: HeaderName,
}

/// How a credential is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Bearer TOKEN` (RFC 6750).
    Bearer,
    /// `Basic …` of `user:password` (RFC 7617).
    Basic,
}

/// Where a credential is.
#[derive(Clone)]
pub enum AuthSource {
    /// In the tool file.
    Inline(Zeroizing<String>),
    /// In a file, read at every call because such files are replaced while we run.
    File(PathBuf),
}

impl fmt::Debug for AuthSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => formatter.write_str("Inline(…)"),
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Auth {
    /// The header's value and, to keep it out of messages, the credential within as it is sent.
    ///
    /// # Errors
    /// [`AuthError`]; none of its messages holds the credential.
    pub(crate) async fn header_value(&self) -> Result<(HeaderValue, Zeroizing<String>), AuthError> {
        let credential = match &self.source {
            AuthSource::Inline(text) => text.clone(),
            AuthSource::File(path) => {
                let unreadable = |source| AuthError::Unreadable { path: path.clone(), source };
                let text =
                    Zeroizing::new(tokio::fs::read_to_string(path).await.map_err(unreadable)?);
                Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        if credential.is_empty() {
            return Err(AuthError::Empty);
        }
        let (scheme, sent) = match self.scheme {
            AuthScheme::Bearer => ("Bearer", credential),
            AuthScheme::Basic if !credential.contains(':') => return Err(AuthError::NoColon),
            AuthScheme::Basic => ("Basic", Zeroizing::new(BASE64_STANDARD.encode(&*credential))),
        };
        let value = Zeroizing::new(format!("{scheme} {}", *sent));
        let mut value = HeaderValue::from_str(&value).map_err(|_| AuthError::Unsendable)?;
        value.set_sensitive(true);
        Ok((value, sent))
    }
}

/// Why there is no credential to send.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing in it.
    #[error("the credential is empty")]
    Empty,
    /// Basic wants `user:password`.
    #[error("the credential for basic authentication is not `user:password`")]
    NoColon,
    /// Characters that no header takes.
    #[error("the credential holds characters that cannot be sent in a header")]
    Unsendable,
}

#[cfg(test)]
mod tests {
    use reqwest::header::AUTHORIZATION;

    use super::*;

    fn inline(scheme: AuthScheme, text: &str) -> Auth {
        let source = AuthSource::Inline(Zeroizing::new(text.into()));
        Auth { scheme, source, header: AUTHORIZATION }
    }

    #[tokio::test]
    async fn a_file_is_read_at_every_call_without_its_last_newline() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let auth = Auth {
            scheme: AuthScheme::Bearer,
            source: AuthSource::File(file.path().to_owned()),
            header: AUTHORIZATION,
        };
        for (written, sent) in [("one\n", "Bearer one"), ("two\r\n", "Bearer two")] {
            std::fs::write(file.path(), written).unwrap();
            let (value, _) = auth.header_value().await.unwrap();
            assert_eq!(value.to_str().unwrap(), sent);
            assert!(value.is_sensitive());
        }
        std::fs::write(file.path(), "\n").unwrap();
        assert!(matches!(auth.header_value().await, Err(AuthError::Empty)));
        file.close().unwrap();
        assert!(matches!(auth.header_value().await, Err(AuthError::Unreadable { .. })));
    }

    #[tokio::test]
    async fn basic_encodes_user_and_password() {
        // The example of RFC 7617, section 2.
        let auth = inline(AuthScheme::Basic, &["Aladdin", "open sesame"].join(":"));
        let (value, _) = auth.header_value().await.unwrap();
        assert_eq!(value.to_str().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let auth = inline(AuthScheme::Basic, "nobody");
        assert!(matches!(auth.header_value().await, Err(AuthError::NoColon)));
    }

    #[tokio::test]
    async fn nothing_prints_the_credential() {
        let word = ["very", "private"].join("-");
        let auth = inline(AuthScheme::Bearer, &word);
        assert!(!format!("{auth:?}").contains(&word));
        let (value, _) = auth.header_value().await.unwrap();
        assert!(!format!("{value:?}").contains(&word));
        let broken = inline(AuthScheme::Bearer, &format!("{word}\r\nX-Other: 1"));
        let error = broken.header_value().await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&word));
    }
}
