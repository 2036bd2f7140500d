//! What may be called.

use std::{error::Error, net::IpAddr};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::{
    address::{AddressKind, canonical},
    rule::Rule,
};

/// What may be called: every public address, and what is listed.
///
/// - A name that is listed may resolve to any address but a metadata address, which needs a rule
///   of its own. A name that is listed only with ports is open on those ports only.
/// - An address that is listed may be called by its number, and by a name that resolves to it.
///   Where the rule has a port, only by its number: when names are resolved the port is not known.
/// - The schemes are http and https; a user name or password in a URL is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressPolicy {
    /// What may be called although it is not public.
    #[serde(default)]
    pub allow: Vec<Rule>,
}

impl EgressPolicy {
    /// This policy, with the host and port of `endpoint` listed too.
    ///
    /// For endpoints that the operator's configuration names (a provider's base URL, a tool's
    /// endpoint): naming one is listing it. Never for a URL that came from a model or a caller.
    #[must_use]
    pub fn allowing(mut self, endpoint: &Url) -> Self {
        let literal = match endpoint.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        let hands_out_credentials = literal
            .is_some_and(|address| AddressKind::of(canonical(address)) == AddressKind::Metadata);
        if let Some(rule) = Rule::of_endpoint(endpoint)
            && !hands_out_credentials
            && !self.allow.contains(&rule)
        {
            self.allow.push(rule);
        }
        self
    }

    /// Checks everything about a URL that can be known without resolving its name.
    ///
    /// # Errors
    /// [`EgressError`] where the scheme, the user information, an address or a port is refused.
    pub fn check_url(&self, url: &Url) -> Result<(), EgressError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Scheme { scheme: url.scheme().to_owned() });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::UserInfo);
        }
        let port = url.port_or_known_default();
        match url.host() {
            Some(Host::Domain(name)) => self.check_port(name, port),
            Some(Host::Ipv4(address)) => self.check_literal(IpAddr::V4(address), port),
            Some(Host::Ipv6(address)) => self.check_literal(IpAddr::V6(address), port),
            None => Err(EgressError::NoHost),
        }
    }

    /// Checks one address that `name` resolved to.
    ///
    /// # Errors
    /// [`EgressError::Address`] where it is neither public nor listed.
    pub fn check_address(&self, name: &str, address: IpAddr) -> Result<(), EgressError> {
        let address = canonical(address);
        let kind = AddressKind::of(address);
        let listed = self.allow.iter().any(|rule| {
            (rule.names(name) && kind != AddressKind::Metadata)
                || (rule.covers(address) && rule.port().is_none())
        });
        if kind == AddressKind::Public || listed {
            return Ok(());
        }
        let rule = match kind {
            AddressKind::Metadata => address.to_string(),
            _ => name.to_owned(),
        };
        Err(EgressError::Address { host: name.to_owned(), address, kind, rule })
    }

    fn check_literal(&self, address: IpAddr, port: Option<u16>) -> Result<(), EgressError> {
        let address = canonical(address);
        let kind = AddressKind::of(address);
        let listed = self
            .allow
            .iter()
            .any(|rule| rule.covers(address) && (rule.port().is_none() || rule.port() == port));
        if kind == AddressKind::Public || listed {
            return Ok(());
        }
        let host = address.to_string();
        Err(EgressError::Address { rule: host.clone(), host, address, kind })
    }

    /// The resolver sees a name without its port, so the port is checked here, against all that
    /// the list says about the name.
    fn check_port(&self, name: &str, port: Option<u16>) -> Result<(), EgressError> {
        let mut listed = self.allow.iter().filter(|rule| rule.names(name)).peekable();
        let refused = listed.peek().is_some()
            && listed.all(|rule| rule.port().is_some() && rule.port() != port);
        match (refused, port) {
            (true, Some(port)) => Err(EgressError::Port { host: name.to_owned(), port }),
            _ => Ok(()),
        }
    }
}

/// Why a call was refused before it left.
///
/// The message is for the operator: it names host, address and the rule to add. What a model or
/// a caller may see is [`EgressError::PUBLIC`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Neither http nor https.
    #[error("egress refused: the scheme is `{scheme}`; only http and https are called")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// `https://user:password@host/`. The URL is not repeated: it holds a secret.
    #[error("egress refused: the URL holds a user name or password; use a header")]
    UserInfo,
    /// A URL without a host.
    #[error("egress refused: the URL has no host")]
    NoHost,
    /// An address that is neither public nor listed.
    #[error(
        "egress to {host} refused: {address} is a {kind} address; if it is meant to be called, \
         add `{rule}` to the egress list"
    )]
    Address {
        /// The host asked for.
        host: String,
        /// The address it has.
        address: IpAddr,
        /// What kind of address that is.
        kind: AddressKind,
        /// The rule that would permit it.
        rule: String,
    },
    /// A name that is listed, but not on this port.
    #[error(
        "egress to {host} refused: it is listed, but not on port {port}; if it is meant to be \
         called, add `{host}:{port}` to the egress list"
    )]
    Port {
        /// The host asked for.
        host: String,
        /// The port asked for.
        port: u16,
    },
}

impl EgressError {
    /// All that a model or a caller is told: neither host nor address.
    pub const PUBLIC: &'static str = "this address is not allowed by the server's policy";

    /// The refusal that made `error` happen, where one did.
    ///
    /// A refusal by the resolver or on a redirect reaches the caller wrapped in the HTTP client's
    /// own error.
    pub fn within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(refusal) = error.downcast_ref() {
                return Some(refusal);
            }
            cause = error.source();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &[&str]) -> EgressPolicy {
        EgressPolicy { allow: rules.iter().map(|rule| rule.parse().unwrap()).collect() }
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn without_a_list_only_public_addresses_pass() {
        let policy = EgressPolicy::default();
        for fine in ["https://example.com/", "http://8.8.8.8:8080/", "https://[2606:4700::1]/"] {
            policy.check_url(&url(fine)).unwrap();
        }
        for refused in [
            "http://127.0.0.1/",
            "http://127.0.0.1./",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://017700000001/",
            "http://127.1/",
            "http://0/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[64:ff9b::a00:1]/",
            "http://[2002:7f00:1::]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[fd00:ec2::254]/",
            "http://10.0.0.1/",
            "http://100.64.0.1/",
            "http://１２７.０.０.１/",
        ] {
            let error = policy.check_url(&url(refused)).expect_err(refused);
            assert!(matches!(error, EgressError::Address { .. }), "{refused}: {error}");
            assert!(error.to_string().contains("add `"), "{error}");
        }
    }

    /// Whoever copies a metadata address into a tool file has not thereby opened it.
    #[test]
    fn naming_a_metadata_address_as_an_endpoint_does_not_list_it() {
        let endpoint = url("http://169.254.169.254/latest");
        let named = EgressPolicy::default().allowing(&endpoint);
        assert!(named.check_url(&endpoint).is_err());
        assert!(policy(&["169.254.169.254"]).allowing(&endpoint).check_url(&endpoint).is_ok());
        let private = url("http://10.1.2.3/");
        assert!(EgressPolicy::default().allowing(&private).check_url(&private).is_ok());
    }

    #[test]
    fn only_http_without_user_information_is_called() {
        let policy = EgressPolicy::default();
        for refused in ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/"] {
            let error = policy.check_url(&url(refused)).unwrap_err();
            assert!(matches!(error, EgressError::Scheme { .. }), "{error}");
        }
        for refused in ["https://user@example.com/", "https://:word@example.com/"] {
            assert_eq!(policy.check_url(&url(refused)), Err(EgressError::UserInfo));
        }
    }

    #[test]
    fn addresses_of_names_are_checked_by_kind_and_list() {
        let private: IpAddr = "10.1.2.3".parse().unwrap();
        let metadata: IpAddr = "169.254.169.254".parse().unwrap();
        let public: IpAddr = "8.8.8.8".parse().unwrap();
        let cases: [(&[&str], IpAddr, bool); 12] = [
            (&[], public, true),
            (&[], private, false),
            (&["tools.internal"], private, true),
            (&["other.internal"], private, false),
            (&["*.internal"], private, true),
            (&["tools.internal:443"], private, true),
            (&["10.0.0.0/8"], private, true),
            (&["10.0.0.0/8:443"], private, false),
            (&["192.168.0.0/16"], private, false),
            (&["tools.internal"], metadata, false),
            (&["169.254.169.254"], metadata, true),
            (&["0.0.0.0/0"], metadata, true),
        ];
        for (rules, address, fine) in cases {
            let verdict = policy(rules).check_address("tools.internal", address);
            assert_eq!(verdict.is_ok(), fine, "{rules:?} {address}: {verdict:?}");
        }
        let mapped: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
        policy(&["10.0.0.0/8"]).check_address("tools.internal", mapped).unwrap();
        policy(&[]).check_address("tools.internal", mapped).unwrap_err();
    }

    #[test]
    fn ports_of_listed_hosts_hold() {
        let listed = policy(&["tools.internal:8443", "127.0.0.1:9000"]);
        listed.check_url(&url("https://tools.internal:8443/")).unwrap();
        listed.check_url(&url("http://127.0.0.1:9000/")).unwrap();
        listed.check_url(&url("https://example.com:1234/")).unwrap();
        let error = listed.check_url(&url("https://tools.internal/")).unwrap_err();
        assert!(error.to_string().contains("`tools.internal:443`"), "{error}");
        listed.check_url(&url("http://127.0.0.1:9001/")).unwrap_err();
        policy(&["tools.internal:8443", "*.internal"])
            .check_url(&url("https://tools.internal/"))
            .unwrap();
    }

    #[test]
    fn naming_an_endpoint_lists_its_host_and_port_only() {
        let endpoint = url("http://127.0.0.1:9000/v1");
        let listed = EgressPolicy::default().allowing(&endpoint).allowing(&endpoint);
        assert_eq!(listed.allow.len(), 1);
        listed.check_url(&endpoint).unwrap();
        listed.check_url(&url("http://127.0.0.1:9001/v1")).unwrap_err();
        listed.check_url(&url("http://127.0.0.2:9000/v1")).unwrap_err();
        listed.check_address("evil.example", "127.0.0.1".parse().unwrap()).unwrap_err();
    }

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let page = include_str!("../../../docs/egress.md");
        let rules: Vec<Rule> = page
            .lines()
            .filter_map(|line| line.strip_prefix("    - "))
            .filter_map(|line| line.split_whitespace().next())
            .map(|rule| rule.trim_matches('"').parse().unwrap())
            .collect();
        assert_eq!(rules.len(), 5);
        let refusal = EgressPolicy::default()
            .check_address("tools.internal", "10.20.0.7".parse().unwrap())
            .unwrap_err();
        assert!(page.contains(&refusal.to_string()), "{refusal}");
    }

    #[test]
    fn it_reads_from_configuration() {
        let policy: EgressPolicy =
            serde_json::from_str(r#"{"allow": ["*.internal", "10.0.0.0/8:443"]}"#).unwrap();
        assert_eq!(policy.allow.len(), 2);
        let error = serde_json::from_str::<EgressPolicy>(r#"{"allow": ["a.*"]}"#).unwrap_err();
        assert!(error.to_string().contains("is no egress rule"), "{error}");
    }
}
