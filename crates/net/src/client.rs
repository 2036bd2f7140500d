//! The one constructor of HTTP clients.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Method, RequestBuilder, redirect};
use url::Url;

use crate::{
    policy::{EgressError, EgressPolicy},
    resolver::{CheckedResolver, Lookup, SystemLookup},
    tls,
};

/// How a client connects.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The longest that resolving, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub pool_idle: Duration,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// How many redirects are followed, each checked by the policy as the first URL was. Headers
    /// set by hand travel along, so do not follow with credentials in a header of your own.
    pub redirects: usize,
    /// The proxy for every call but those to this machine; none is taken from the environment. Behind a proxy it is the
    /// proxy that resolves names, so the addresses of names are for the proxy to refuse.
    pub proxy: Option<Url>,
    /// A PEM file of certificate authorities trusted beside Mozilla's.
    pub extra_roots: Option<PathBuf>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            pool_idle: Duration::from_secs(90),
            user_agent: concat!("bartizan/", env!("CARGO_PKG_VERSION")).into(),
            redirects: 0,
            proxy: None,
            extra_roots: None,
        }
    }
}

/// An HTTP client that asks the policy before every call. Cheap to clone; clones share their
/// connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    policy: Arc<EgressPolicy>,
}

impl Client {
    /// A client that keeps to `policy`.
    ///
    /// # Errors
    /// [`ClientError`] where the extra roots cannot be read, the proxy cannot be used or TLS
    /// cannot be set up.
    pub fn new(policy: EgressPolicy, options: &ClientOptions) -> Result<Self, ClientError> {
        Self::with_lookup(policy, options, Arc::new(SystemLookup))
    }

    /// A client that asks `lookup` for addresses, for tests and for resolvers of one's own.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_lookup(
        policy: EgressPolicy,
        options: &ClientOptions,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, ClientError> {
        // The proxy is resolved by the same resolver; naming it in the configuration lists it.
        let policy = Arc::new(match &options.proxy {
            Some(proxy) => policy.allowing(proxy),
            None => policy,
        });
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::configuration(options.extra_roots.as_deref())?)
            .dns_resolver(Arc::new(CheckedResolver { policy: Arc::clone(&policy), lookup }))
            .redirect(follow(Arc::clone(&policy), options.redirects))
            .referer(false)
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(options.pool_idle)
            .user_agent(&options.user_agent)
            .tcp_nodelay(true)
            .no_proxy();
        if let Some(proxy) = &options.proxy {
            // What runs on this machine (a local model, our own doors) no proxy can reach.
            let here = reqwest::NoProxy::from_string("localhost,127.0.0.0/8,::1");
            builder = builder.proxy(reqwest::Proxy::all(proxy.clone())?.no_proxy(here));
        }
        Ok(Self { http: builder.build()?, policy })
    }

    /// Begins a request.
    ///
    /// # Errors
    /// [`EgressError`] where the URL is refused. A refusal that takes a look-up comes from
    /// sending; [`EgressError::within`] finds it in the client's error.
    pub fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, EgressError> {
        self.policy.check_url(&url)?;
        Ok(self.http.request(method, url))
    }

    /// The client below, for a library that builds its own requests to `base` and to nothing
    /// else. Names are still checked when they are resolved; addresses written as numbers are
    /// checked here, once, for `base`.
    ///
    /// # Errors
    /// [`EgressError`] where `base` is refused.
    pub fn for_library(&self, base: &Url) -> Result<reqwest::Client, EgressError> {
        self.policy.check_url(base)?;
        Ok(self.http.clone())
    }

    /// What the client keeps to.
    pub fn policy(&self) -> &EgressPolicy {
        &self.policy
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Follows up to `most` redirects, each checked as the first URL was.
fn follow(policy: Arc<EgressPolicy>, most: usize) -> redirect::Policy {
    if most == 0 {
        return redirect::Policy::none();
    }
    redirect::Policy::custom(move |attempt| {
        // `previous` holds the first URL too.
        if attempt.previous().len() > most {
            return attempt.error(TooManyRedirects(most));
        }
        match policy.check_url(attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(refusal) => attempt.error(refusal),
        }
    })
}

#[derive(Debug, thiserror::Error)]
#[error("more than {0} redirects")]
struct TooManyRedirects(usize);

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The extra certificate authorities cannot be used.
    #[error("{}: cannot use these certificate authorities: {reason}", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client cannot be set up, for example because of the proxy.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(#[from] reqwest::Error),
}
