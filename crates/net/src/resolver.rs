//! Names to checked addresses.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::policy::EgressPolicy;

/// Finds the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// Every address that `name` has.
    ///
    /// # Errors
    /// Where the name has none, or nobody could be asked.
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's own way: hosts file, then DNS.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Resolves for the HTTP client. What it returns is where the connection goes: the name is not
/// looked up a second time, so an answer cannot change between the check and the call.
pub(crate) struct CheckedResolver {
    pub(crate) policy: Arc<EgressPolicy>,
    pub(crate) lookup: Arc<dyn Lookup>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        let lookup = Arc::clone(&self.lookup);
        Box::pin(async move {
            let name = name.as_str();
            let addresses = lookup.addresses(name).await?;
            // One refused address refuses the name: an honest name has no mixture.
            for address in &addresses {
                policy.check_address(name, *address)?;
            }
            // The client fills in the port.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
