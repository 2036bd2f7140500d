//! The Python runtime's dialect: a list of responses, chosen by a word in the message, else in
//! turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use bartizan_engine::ports::model::ModelRequest;
use serde::Deserialize;

use super::{entry::Entry, last_text, reply::Reply};

/// A script of responses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Responses {
    responses: Vec<Response>,
    /// Counts the requests that no word matched.
    #[serde(skip)]
    unmatched: AtomicUsize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    #[serde(rename = "match")]
    word: Option<String>,
    response: Entry,
}

impl Responses {
    /// The first response whose word is in the last message, whatever its case; else the responses
    /// without a word, one after the other and around again.
    pub(super) fn reply(&self, request: &ModelRequest) -> Option<Reply> {
        let text = last_text(&request.messages).to_lowercase();
        let matches = |word: &str| !word.is_empty() && text.contains(&word.to_lowercase());
        let matched =
            self.responses.iter().find(|response| response.word.as_deref().is_some_and(matches));
        let chosen = matched.or_else(|| {
            let plain = || self.responses.iter().filter(|response| response.word.is_none());
            let count = plain().count();
            let turn = || self.unmatched.fetch_add(1, Ordering::Relaxed) % count;
            (count > 0).then(turn).and_then(|turn| plain().nth(turn))
        });
        chosen.map(|response| response.response.0.clone())
    }
}
