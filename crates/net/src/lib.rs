//! The one way out: HTTP and TLS client, egress policy.
