//! A run's events as one compact text.
//!
//! A JSON array with one element per event. Most events of a run are pieces of text a few words
//! long, so such a piece is its string alone; any other event is the object that it is
//! elsewhere. Ids are not written, because they count from 1 without gaps (which
//! [`rule::well_formed`](crate::rule::well_formed) makes sure of).

use std::sync::Arc;

use bartizan_engine::{
    event::{LoggedEvent, TurnEvent},
    ports::store::StoreError,
};
use serde::{Deserialize, Serialize};

use super::row;

/// An event as it is written.
#[derive(Serialize)]
#[serde(untagged)]
enum Written<'event> {
    Text(&'event str),
    Other(&'event TurnEvent),
}

/// An event as it is read.
#[derive(Deserialize)]
#[serde(untagged)]
enum Read {
    Text(String),
    Other(TurnEvent),
}

pub(super) fn encode(events: &[Arc<LoggedEvent>]) -> Result<String, StoreError> {
    let written: Vec<_> = events
        .iter()
        .map(|event| match &event.event {
            TurnEvent::Text { delta } => Written::Text(delta),
            other => Written::Other(other),
        })
        .collect();
    row::encode("events", &written)
}

/// The events after the one with id `after`.
pub(super) fn decode(text: &str, after: u64) -> Result<Vec<LoggedEvent>, StoreError> {
    let read: Vec<Read> = row::decode("events", text)?;
    let events = (1..).zip(read).filter(|(id, _)| *id > after).map(|(id, event)| {
        let event = match event {
            Read::Text(delta) => TurnEvent::Text { delta },
            Read::Other(event) => event,
        };
        LoggedEvent { id, event }
    });
    Ok(events.collect())
}
