//! Whom a request believes it is talking to.
//!
//! A page on the web can give its own name this machine's address (DNS rebinding), and the
//! browser then lets it read what the server answers to that name. Such a request carries the
//! page's name in `Host`; one that is meant for a server on loopback carries an address or
//! `localhost`. While the server answers on loopback only, nothing else is answered.

use std::net::IpAddr;

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{header, uri::Authority};

use crate::errors::ApiError;

/// The layer that refuses requests meant for another host.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    // Of two names nobody knows which one another server on the way went by (RFC 9112 section 3.2).
    if request.headers().get_all(header::HOST).iter().nth(1).is_some() {
        return ApiError::invalid("the header Host is there twice").param("Host").into_response();
    }
    // HTTP/2 has the name in the URI, HTTP/1.1 in a header, HTTP/1.0 nowhere.
    let named = request.uri().authority().map(|authority| authority.host().to_owned());
    let named = named.or_else(|| {
        let value = request.headers().get(header::HOST)?;
        // What is no authority names no host of ours.
        let authority = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
        Some(authority.map_or_else(String::new, |authority| authority.host().to_owned()))
    });
    match named {
        Some(host) if !is_ours(&host) => ApiError::misdirected(&host).into_response(),
        _ => next.run(request).await,
    }
}

fn is_ours(host: &str) -> bool {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    // An address cannot be rebound: the page would have to come from it.
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn addresses_and_localhost_are_ours() {
        for host in ["127.0.0.1", "[::1]", "localhost", "LOCALHOST.", "desk.localhost"] {
            assert!(is_ours(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example"] {
            assert!(!is_ours(host), "{host}");
        }
    }
}
