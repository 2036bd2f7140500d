//! On whose behalf a request is.
//!
//! The server answers on loopback only and asks nobody who they are, so there is one owner. This
//! is the only place that says so: every handler takes a [`Caller`] as an argument.

use std::sync::{Arc, LazyLock};

use axum::extract::FromRequestParts;
use bartizan_engine::owner::Owner;
use http::request::Parts;

use crate::errors::ApiError;

static LOCAL: LazyLock<Arc<Owner>> = LazyLock::new(|| Arc::new(Owner::local()));

/// The party that a request is made for.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose sessions and runs it sees.
    pub owner: Arc<Owner>,
}

impl Caller {
    /// The one there is.
    pub fn local() -> Self {
        Self { owner: Arc::clone(&LOCAL) }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self::local())
    }
}
