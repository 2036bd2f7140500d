//! No log of `genai`'s.
//!
//! `genai` writes error bodies, and at its finest level whole answers, to the log. Those hold what
//! providers like to repeat: keys and prompts. So nothing below it is allowed a log; what matters
//! is in the errors, and we log those.

use std::{
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use futures::Stream;
use tracing::{
    Dispatch, Event, Metadata, Subscriber, dispatcher,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

static SILENCE: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Silence));

/// Runs something without a log.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    dispatcher::with_default(&SILENCE, work)
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

/// Hears nothing. `tracing` has a subscriber like it, but a place in the code that is first
/// reached under that one is never heard again, wherever it is reached from: hence `sometimes`.
struct Silence;

impl Subscriber for Silence {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        // Never asked for, as no span is enabled; any number but 0 is an id.
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
