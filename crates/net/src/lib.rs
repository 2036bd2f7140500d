//! The one way out: HTTP and TLS client, egress policy.
//!
//! Every call that Bartizan makes to another machine goes through a [`Client`] made here. A client
//! reaches public addresses only, unless the operator listed another: loopback, link-local,
//! private, multicast and metadata addresses are refused, in whatever notation they come. A name
//! is resolved once per connection, every address it has is checked, and the connection goes to
//! exactly those addresses. TLS is always verified.
//!
//! What it never does: it reads no environment (so no `HTTP_PROXY`), follows no redirect unless
//! asked to, and has no switch that turns certificate checks off. It knows no provider and no
//! tool.
//!
//! # Layout
//!
//! - [`policy`]: what may be called. [`rule`]: one line of the operator's list. `address`: which
//!   addresses are not public.
//! - [`client`]: the one constructor of HTTP clients. [`resolver`]: names to checked addresses.
//!   `tls`: certificates and the crypto provider.
//! - [`body`]: reading answers within a limit.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests"))]

mod address;
pub mod body;
pub mod client;
pub mod policy;
pub mod resolver;
pub mod rule;
mod tls;

pub use address::AddressKind;
pub use body::{BodyError, read_limited, read_prefix};
pub use client::{Client, ClientError, ClientOptions};
pub use policy::{EgressError, EgressPolicy};
pub use resolver::{Lookup, SystemLookup};
pub use rule::{Rule, RuleError};
pub use tls::install_crypto_provider;
