//! Arguments in URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A URL with places for arguments: `https://api.example.com/users/{id}?lang={language}`.
///
/// Places are in the path and the query only. A value is percent-encoded whole, so it fills its
/// place and nothing else: scheme, host, port and the rest of the path are as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate {
    /// The URL with an empty path and no query.
    root: Url,
    path: Vec<Piece>,
    query: Option<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Argument(String),
}

impl UrlTemplate {
    /// Reads a template; where it begins with `/`, it continues `endpoint`.
    ///
    /// # Errors
    /// [`TemplateError`] where it is no http or https URL, or has a place outside path and query.
    pub fn parse(template: &str, endpoint: Option<&str>) -> Result<Self, TemplateError> {
        let whole = match (template.starts_with('/'), endpoint) {
            (true, Some(endpoint)) => format!("{}{template}", endpoint.trim_end_matches('/')),
            (true, None) => return Err(TemplateError::NoEndpoint),
            (false, _) => template.to_owned(),
        };
        if whole.contains('#') {
            return Err(TemplateError::Fragment);
        }
        let authority = whole.find("://").map_or(0, |scheme| scheme + 3);
        let path_at = whole
            .get(authority..)
            .and_then(|rest| rest.find(['/', '?', '\\']))
            .map_or(whole.len(), |at| authority + at);
        let (origin, rest) = whole.split_at(path_at);
        if origin.contains(['{', '}']) {
            return Err(TemplateError::PlaceInHost);
        }
        let root = Url::parse(origin).map_err(TemplateError::Url)?;
        if !matches!(root.scheme(), "http" | "https") || !root.has_host() {
            return Err(TemplateError::Scheme);
        }
        if !root.username().is_empty() || root.password().is_some() {
            return Err(TemplateError::UserInfo);
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let template = Self {
            root,
            path: pieces(if path.is_empty() { "/" } else { path })?,
            query: query.map(pieces).transpose()?,
        };
        // What a trial expansion cannot write exactly, no call could: say so now.
        let trial = template.expand(|_| Some("x".into()));
        trial.map(|_| template).map_err(|_| TemplateError::Path)
    }

    /// Scheme, host and port: what the policy must permit.
    pub fn endpoint(&self) -> &Url {
        &self.root
    }

    /// The arguments that have a place.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.path.iter().chain(self.query.iter().flatten()).filter_map(|piece| match piece {
            Piece::Argument(name) => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// The URL with every place filled by what `value` gives for its name.
    ///
    /// # Errors
    /// [`ArgumentError`] where a value is missing, or could reach beyond its place.
    pub fn expand(&self, value: impl Fn(&str) -> Option<String>) -> Result<Url, ArgumentError> {
        let path = fill(&self.path, |name| {
            let value = value(name).ok_or_else(|| ArgumentError::Missing(name.to_owned()))?;
            // Encoding alone would do for servers that read paths as RFC 3986 says; some decode
            // `%2F` before they look for `..`.
            let climbs = value.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."));
            if value.is_empty() || climbs || value.contains(char::is_control) {
                return Err(ArgumentError::Path(name.to_owned()));
            }
            Ok(value)
        })?;
        let query = self.query.as_ref().map(|pieces| {
            fill(pieces, |name| value(name).ok_or_else(|| ArgumentError::Missing(name.to_owned())))
        });
        let mut url = self.root.clone();
        url.set_path(&path);
        url.set_query(query.transpose()?.as_deref());
        // The URL type resolves `.` and `..`, also where two places together made one. If it
        // changed anything, the values did more than fill their places.
        if url.path() != path {
            let first = self.arguments().next().unwrap_or_default();
            return Err(ArgumentError::Path(first.to_owned()));
        }
        Ok(url)
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or(TemplateError::Braces)?;
        if name.is_empty() || name.contains('{') || literal.contains('}') {
            return Err(TemplateError::Braces);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        pieces.push(Piece::Argument(name.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return Err(TemplateError::Braces);
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    Ok(pieces)
}

fn fill(
    pieces: &[Piece],
    value: impl Fn(&str) -> Result<String, ArgumentError>,
) -> Result<String, ArgumentError> {
    let mut filled = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => filled.push_str(literal),
            Piece::Argument(name) => {
                filled.extend(utf8_percent_encode(&value(name)?, RESERVED));
            }
        }
    }
    Ok(filled)
}

/// A value as it is written into a URL or header; none for null, lists and objects.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A template that begins with `/` needs an endpoint.
    #[error("it begins with `/`, but there is no `endpoint` to continue")]
    NoEndpoint,
    /// Not a URL.
    #[error("it is no URL: {0}")]
    Url(url::ParseError),
    /// Not http or https.
    #[error("it must begin with `http://` or `https://` and a host")]
    Scheme,
    /// A place in scheme, host or port.
    #[error("scheme, host and port cannot come from an argument; places are in path and query")]
    PlaceInHost,
    /// A user name or password.
    #[error("it holds a user name or password; use `authType`")]
    UserInfo,
    /// A fragment, which is never sent.
    #[error("it has a `#`, and what follows one is never sent")]
    Fragment,
    /// Braces that do not pair.
    #[error("its braces do not pair up as `{{argument}}`")]
    Braces,
    /// A path that is not sent as written.
    #[error("its path would not be sent as written; percent-encode it and leave out `.` and `..`")]
    Path,
}

/// Why an argument does not go into a URL. For the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// No value, or one that is not text, a number or a boolean.
    #[error("the argument `{0}` is needed as text, number or boolean")]
    Missing(String),
    /// Empty, or would change the path.
    #[error(
        "the argument `{0}` must not be empty, hold control characters, or be or hold `.` or `..` as a path segment"
    )]
    Path(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expand(template: &str, value: &str) -> Result<String, ArgumentError> {
        let template = UrlTemplate::parse(template, None).unwrap();
        template.expand(|_| Some(value.to_owned())).map(String::from)
    }

    #[test]
    fn a_value_fills_its_place_and_nothing_else() {
        let template = "https://api.example.com:8443/v1/users/{id}/notes?x={q}&y=1";
        for (value, encoded) in [
            ("42", "42"),
            ("a b", "a%20b"),
            ("a/b", "a%2Fb"),
            ("a?b=c", "a%3Fb%3Dc"),
            ("a#b", "a%23b"),
            ("@evil.example", "%40evil.example"),
            ("evil.example:80", "evil.example%3A80"),
            ("https://evil.example/", "https%3A%2F%2Fevil.example%2F"),
            ("%2e%2e", "%252e%252e"),
            ("..%2f", "..%252f"),
            ("a\\b", "a%5Cb"),
            ("a&b;c", "a%26b%3Bc"),
            ("…", "%E2%80%A6"),
            ("...", "..."),
        ] {
            assert_eq!(
                expand(template, value).unwrap(),
                format!("https://api.example.com:8443/v1/users/{encoded}/notes?x={encoded}&y=1")
            );
        }
        for value in ["", ".", "..", "../x", "x/..", "..\\x", "a/./b", "a\r\nHost: x", "a\0b", "\t"]
        {
            let error = expand(template, value).unwrap_err();
            assert_eq!(error, ArgumentError::Path("id".into()), "{value:?}");
        }
    }

    #[test]
    fn two_places_together_make_no_climb() {
        for template in
            ["https://h.example/a/{x}{x}/b", "https://h.example/a/%2e{x}", "https://h.example/.{x}"]
        {
            let parsed = UrlTemplate::parse(template, None).unwrap();
            parsed.expand(|_| Some("ok".into())).unwrap();
            parsed.expand(|_| Some(".".into())).unwrap_err();
        }
    }

    #[test]
    fn in_a_query_an_empty_value_is_fine() {
        let url = expand("https://h.example/?q={q}", "").unwrap();
        assert_eq!(url, "https://h.example/?q=");
        let url = expand("https://h.example?q={q}", "../&x=1#\r\n").unwrap();
        assert_eq!(url, "https://h.example/?q=..%2F%26x%3D1%23%0D%0A");
    }

    #[test]
    fn a_template_may_continue_the_endpoint() {
        let parse = |template, endpoint| UrlTemplate::parse(template, endpoint).unwrap();
        let url = parse("/users/{id}", Some("https://h.example/api/"));
        assert_eq!(
            url.expand(|_| Some("7".into())).unwrap().as_str(),
            "https://h.example/api/users/7"
        );
        assert_eq!(url.arguments().collect::<Vec<_>>(), ["id"]);
        assert_eq!(url.endpoint().as_str(), "https://h.example/");
        assert_eq!(parse("https://h.example", None).expand(|_| None).unwrap().path(), "/");
    }

    #[test]
    fn templates_that_cannot_hold_their_promise_are_refused() {
        for (template, error) in [
            ("/x", TemplateError::NoEndpoint),
            ("h.example/x", TemplateError::Url(url::ParseError::RelativeUrlWithoutBase)),
            ("ftp://h.example/", TemplateError::Scheme),
            ("file:///etc/{x}", TemplateError::Scheme),
            ("https://{host}/", TemplateError::PlaceInHost),
            ("https://h.example:{port}/", TemplateError::PlaceInHost),
            ("{scheme}://h.example/", TemplateError::PlaceInHost),
            ("https://h.example{x}/", TemplateError::PlaceInHost),
            ("https://user@h.example/", TemplateError::UserInfo),
            ("https://h.example/#{x}", TemplateError::Fragment),
            ("https://h.example/{x", TemplateError::Braces),
            ("https://h.example/x}", TemplateError::Braces),
            ("https://h.example/{}", TemplateError::Braces),
            ("https://h.example/{{x}}", TemplateError::Braces),
            ("https://h.example/a b/{x}", TemplateError::Path),
            ("https://h.example/a/../{x}", TemplateError::Path),
            ("https://h.example\\{x}", TemplateError::Path),
        ] {
            assert_eq!(UrlTemplate::parse(template, None), Err(error), "{template}");
        }
    }

    proptest! {
        #[test]
        fn no_value_changes_scheme_host_port_or_path_prefix(
            value in any::<String>(),
            nasty in "[./%\\\\?#@:&=2eEfF \r\n]{0,12}",
        ) {
            for value in [value, nasty] {
                let template =
                    UrlTemplate::parse("https://api.example.com:8443/v1/{x}/end?q={x}", None)
                        .unwrap();
                let Ok(url) = template.expand(|_| Some(value.clone())) else { continue };
                prop_assert_eq!(url.scheme(), "https");
                prop_assert_eq!(url.host_str(), Some("api.example.com"));
                prop_assert_eq!(url.port(), Some(8443));
                prop_assert_eq!(url.username(), "");
                prop_assert_eq!(url.fragment(), None);
                let segments: Vec<_> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 3);
                prop_assert_eq!((segments[0], segments[2]), ("v1", "end"));
                // What arrives is what was sent: nothing is lost on the way either.
                let pairs: Vec<_> = url.query_pairs().into_owned().collect();
                prop_assert_eq!(pairs, [("q".to_owned(), value.clone())]);
                // Reading it again as a client would changes nothing.
                prop_assert_eq!(&Url::parse(url.as_str()).unwrap(), &url);
            }
        }
    }
}
