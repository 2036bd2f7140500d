//! The kinds of values that settings have beside plain text and numbers.

use std::{
    borrow::Cow,
    fmt,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What stands where a secret would.
pub const REDACTED: &str = "[redacted]";

/// A length of time: `30s`, `5m`, `1h30m`, `250ms`, or whole seconds as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Self::seconds(seconds));
        }
        // Go's notation and ours are both within what jiff reads; ISO 8601 is more than we promise.
        let duration: jiff::SignedDuration = text.parse().ok()?;
        if text.starts_with(['P', 'p']) {
            return None;
        }
        duration.try_into().ok().map(Self)
    }
}

impl fmt::Display for Span {
    /// The shortest notation that is exact: `90s` is `1m30s`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.as_secs();
        let parts = [(whole / 3600, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")];
        for (amount, unit) in parts {
            if amount > 0 {
                write!(formatter, "{amount}{unit}")?;
            }
        }
        match self.0.subsec_millis() {
            0 if whole == 0 => formatter.write_str("0s"),
            0 => Ok(()),
            milliseconds => write!(formatter, "{milliseconds}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Span;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a duration such as 30s, 5m or 24h, or whole seconds")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Span, E> {
                Ok(Span::seconds(seconds))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "duration",
            "type": ["string", "integer"],
            "pattern": r"^\s*([0-9]+|([0-9.]+\s*(ns|us|µs|ms|s|m|h)\s*)+)\s*$",
            "minimum": 0,
            "examples": ["30s", "5m", "24h"],
        })
    }
}

/// Where to listen: an address and a port, such as `127.0.0.1:8080` or `[::1]:8080`.
///
/// `localhost` means 127.0.0.1: nothing is looked up before the server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl Address {
    /// This port of 127.0.0.1.
    pub const fn loopback(port: u16) -> Self {
        Self(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let numeric = text
            .strip_prefix("localhost:")
            .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        numeric
            .parse()
            .map(Self)
            .map_err(|_| format!("`{text}` is not an address and a port such as 127.0.0.1:8080"))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "address", "type": "string", "examples": ["127.0.0.1:8080"] })
    }
}

/// A file or directory. In the configuration file, relative to that file; elsewhere, to the
/// working directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(pub PathBuf);

impl From<&str> for Place {
    fn from(path: &str) -> Self {
        Self(path.into())
    }
}

impl JsonSchema for Place {
    fn schema_name() -> Cow<'static, str> {
        "Path".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "path" })
    }
}

/// Something that must not be seen. It cannot be printed; it serialises as `[redacted]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand, because the error of a derived reader would repeat the value.
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Secret;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(E::custom("a secret is text; put it in quotes"))
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
                Err(E::custom("a secret is text; put it in quotes"))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
                Err(E::custom("a secret is text; put it in quotes"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_both_notations_and_print_one() {
        let cases = [
            ("\"30s\"", "30s"),
            ("\"24h\"", "24h"),
            ("\"1h30m\"", "1h30m"),
            ("\"1h0m0s\"", "1h"),
            ("\"250ms\"", "250ms"),
            ("\"1.5s\"", "1s500ms"),
            ("86400", "24h"),
            ("\"86400\"", "24h"),
            ("0", "0s"),
        ];
        for (text, printed) in cases {
            let span: Span = serde_json::from_str(text).unwrap();
            assert_eq!(span.to_string(), printed, "{text}");
        }
        for text in ["\"\"", "\"soon\"", "\"-5s\"", "-5", "\"PT5S\"", "\"5 parsecs\"", "true"] {
            serde_json::from_str::<Span>(text).unwrap_err();
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::from("hunter".repeat(2));
        assert_eq!(format!("{secret:?}"), REDACTED);
        assert_eq!(serde_json::to_string(&secret).unwrap(), format!("\"{REDACTED}\""));
        let error = serde_json::from_str::<Secret>("123456").unwrap_err().to_string();
        assert!(!error.contains("123456"), "{error}");
    }
}
