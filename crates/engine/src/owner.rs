//! Whose something is.

use serde::{Deserialize, Serialize};

/// The party a session, run or message belongs to.
///
/// Ownership is part of every storage key, so there is no read without an owner and what is
/// another's looks exactly like what does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The organisation or workspace.
    pub tenant: String,
    /// The person or program within the tenant.
    pub subject: String,
}

impl Owner {
    /// The one owner there is while the server answers on loopback only and asks nobody who
    /// they are.
    pub fn local() -> Self {
        Self { tenant: "local".into(), subject: "local".into() }
    }
}
