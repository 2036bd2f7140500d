//! One line of the operator's egress list.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::address::canonical;

/// Something that may be called although it is not public: `tools.internal`, `*.internal`,
/// `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`, each with `:port` where only that port is meant
/// (`[fd00::1]:8080` for IPv6).
///
/// `*.internal` means every name below `internal`, not `internal` itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    target: Target,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target {
    /// Lower case, without a final dot.
    Name(String),
    /// What a name must end with, from its dot on: `.internal`.
    Suffix(String),
    Network(IpNet),
}

impl Rule {
    /// The rule that lists exactly the host and port of `endpoint`; none where it has no host.
    pub fn of_endpoint(endpoint: &Url) -> Option<Self> {
        let port = endpoint.port_or_known_default();
        let target = match endpoint.host()? {
            Host::Domain(name) => Target::Name(bare(name)),
            Host::Ipv4(address) => Target::Network(IpAddr::V4(address).into()),
            Host::Ipv6(address) => Target::Network(canonical(IpAddr::V6(address)).into()),
        };
        Some(Self { target, port })
    }

    /// The port, where the rule is about one only.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether `name` is meant, whatever the port.
    pub(crate) fn names(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        match &self.target {
            Target::Name(listed) => listed.eq_ignore_ascii_case(name),
            Target::Suffix(suffix) => name
                .len()
                .checked_sub(suffix.len())
                .filter(|start| *start > 0)
                .and_then(|start| name.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix)),
            Target::Network(_) => false,
        }
    }

    /// Whether `address`, which must be canonical, is meant, whatever the port.
    pub(crate) fn covers(&self, address: IpAddr) -> bool {
        matches!(&self.target, Target::Network(network) if network.contains(&address))
    }
}

/// A name as it is compared: without its final dot.
fn bare(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let refuse = |reason| RuleError { rule: text.to_owned(), reason };
        let text = text.trim();
        if text.contains("://") {
            return Err(refuse("it is a URL; write the host, and `:port` where it matters"));
        }
        // IPv6 has colons of its own, so its port needs brackets.
        if let Some((network, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        {
            let network = network_of(network).ok_or_else(|| refuse("`[…]` holds no address"))?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(port_of(port).ok_or_else(|| refuse(BAD_PORT))?),
                None if rest.is_empty() => None,
                None => return Err(refuse("only `:port` may follow `]`")),
            };
            return Ok(Self { target: Target::Network(network), port });
        }
        if let Some(network) = network_of(text) {
            return Ok(Self { target: Target::Network(network), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port_of(port).ok_or_else(|| refuse(BAD_PORT))?)),
            None => (text, None),
        };
        if let Some(network) = network_of(host) {
            return Ok(Self { target: Target::Network(network), port });
        }
        let (wildcard, name) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host),
        };
        if name.contains('*') {
            return Err(refuse(
                "`*` may only stand for whole labels at the front: `*.example.com`",
            ));
        }
        if name.contains('/') {
            return Err(refuse("it is neither a name nor a network such as `10.0.0.0/8`"));
        }
        let target = match Host::parse(name) {
            Ok(Host::Domain(name)) if wildcard => Target::Suffix(format!(".{}", bare(&name))),
            Ok(Host::Domain(name)) => Target::Name(bare(&name)),
            Ok(Host::Ipv4(address)) if !wildcard => Target::Network(IpAddr::V4(address).into()),
            _ => return Err(refuse("it is neither a host name nor an address")),
        };
        Ok(Self { target, port })
    }
}

const BAD_PORT: &str = "after the last `:` comes a port from 1 to 65535";

fn port_of(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn network_of(text: &str) -> Option<IpNet> {
    let network: IpNet = match text.parse::<IpAddr>() {
        Ok(address) => canonical(address).into(),
        Err(_) => text.parse().ok()?,
    };
    Some(network.trunc())
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.target, self.port) {
            (Target::Name(name), _) => formatter.write_str(name)?,
            (Target::Suffix(suffix), _) => write!(formatter, "*{suffix}")?,
            (Target::Network(IpNet::V6(network)), Some(_)) => {
                write!(formatter, "[{}]", shown(IpNet::V6(*network)))?;
            }
            (Target::Network(network), _) => formatter.write_str(&shown(*network))?,
        }
        match self.port {
            Some(port) => write!(formatter, ":{port}"),
            None => Ok(()),
        }
    }
}

/// A network of one address is shown as the address.
fn shown(network: IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

impl TryFrom<String> for Rule {
    type Error = RuleError;

    fn try_from(text: String) -> Result<Self, RuleError> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

/// A line of the egress list that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{rule}` is no egress rule: {reason}")]
pub struct RuleError {
    rule: String,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_print_as_they_are_read() {
        for (text, shown) in [
            ("tools.internal", "tools.internal"),
            ("Tools.Internal.", "tools.internal"),
            ("tools.internal:8443", "tools.internal:8443"),
            ("*.internal", "*.internal"),
            ("*.internal:443", "*.internal:443"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3:80", "10.1.2.3:80"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.0.0.0/8:443", "10.0.0.0/8:443"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[::1]:8080", "[::1]:8080"),
            ("fd00::/8", "fd00::/8"),
            ("[fd00::/8]:443", "[fd00::/8]:443"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("localhost", "localhost"),
        ] {
            let rule: Rule = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(rule.to_string(), shown);
            assert_eq!(rule.to_string().parse::<Rule>().unwrap(), rule);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            " ",
            "*",
            "*.",
            "a.*.example",
            "https://tools.internal",
            "tools.internal:",
            "tools.internal:0",
            "tools.internal:65536",
            "10.0.0.0/33",
            "tools.internal/path",
            "user@tools.internal",
            "[::1",
            "[::1]x",
            "[tools]",
            "*.10.0.0.1",
        ] {
            let error = text.parse::<Rule>().expect_err(text);
            assert!(error.to_string().starts_with('`'), "{error}");
        }
    }

    #[test]
    fn a_wildcard_covers_what_is_below_and_nothing_else() {
        let rule: Rule = "*.internal".parse().unwrap();
        assert!(rule.names("a.internal"));
        assert!(rule.names("a.b.INTERNAL."));
        assert!(!rule.names("internal"));
        assert!(!rule.names(".internal"));
        assert!(!rule.names("notinternal"));
        assert!(!rule.names("a.internal.example.com"));
        let rule: Rule = "tools.internal".parse().unwrap();
        assert!(rule.names("tools.internal."));
        assert!(!rule.names("a.tools.internal"));
    }
}
