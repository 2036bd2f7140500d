//! Somebody who counts.

use std::time::Duration;

use crate::{failure::FailureCode, ports::model::ModelInfo, usage::Usage};

/// Told of what happened, for metrics. Must return at once.
pub trait Observer: Send + Sync {
    /// A turn began.
    fn turn_started(&self) {}

    /// A turn ended; `failure` tells how, if badly.
    fn turn_finished(&self, agent: &str, failure: Option<FailureCode>, took: Duration) {
        let _ = (agent, failure, took);
    }

    /// A model was asked and answered or failed.
    fn model_asked(&self, info: &ModelInfo, usage: &Usage, ok: bool, took: Duration) {
        let _ = (info, usage, ok, took);
    }

    /// A server-side tool was called.
    fn tool_called(&self, tool: &str, ok: bool, took: Duration) {
        let _ = (tool, ok, took);
    }
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
