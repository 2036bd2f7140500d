//! No log of `genai`'s.
//!
//! `genai` writes error bodies, and at its finest level whole answers, to the log. Those hold what
//! providers like to repeat: keys and prompts. So nothing below it is allowed a log; what matters
//! is in the errors, and we log those.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::Stream;
use tracing::{Dispatch, dispatcher};

/// Runs something without a log.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    dispatcher::with_default(&Dispatch::none(), work)
}

/// A future or stream that is polled without a log.
pub(super) struct Quiet<T>(pub(super) T);

impl<T: Future + Unpin> Future for Quiet<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        quietly(|| Pin::new(&mut self.0).poll(context))
    }
}

impl<T: Stream + Unpin> Stream for Quiet<T> {
    type Item = T::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        quietly(|| Pin::new(&mut self.0).poll_next(context))
    }
}
