//! One turn as a client makes it: what is sent, what must come back, and how the answer is checked.
//! A figure of an answer that was not checked is worth nothing, so every answer is.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::client::Connection;
use crate::upstream::profiles;

/// The pack's id; its prompts are `chat` and `tool`.
pub(super) const PACK: &str = "bench-pack";

/// The model that the scripted upstream is asked for.
pub(super) const MODEL: &str = "bench-model";

/// The name of the pack's one tool.
pub(super) const TOOL: &str = "lookup";

/// The system text of both prompts.
pub(super) const SYSTEM: &str = "You are the assistant of a benchmark. Answer briefly.";

/// How many turns a kept session holds before the next one is begun: history makes requests longer,
/// and an endless session would measure that.
const TURNS_PER_SESSION: u64 = 5;

const PATH: &str = "/v1/chat/completions";

/// What kind of turn is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) streamed: bool,
    pub(super) tool: bool,
    /// With a session id, so that the runtime keeps the history.
    pub(super) session: bool,
}

impl Kind {
    pub(super) const WHOLE: Self = Self { streamed: false, tool: false, session: false };
    pub(super) const STREAMED: Self = Self { streamed: true, ..Self::WHOLE };

    pub(super) fn name(self) -> String {
        let mut words = vec![if self.streamed { "streamed" } else { "whole" }];
        if self.tool {
            words.push("tool round");
        }
        if self.session {
            words.push("kept session");
        }
        words.join(", ")
    }

    /// How many model calls a turn of this kind makes.
    pub(super) fn model_calls(self) -> u64 {
        if self.tool { 2 } else { 1 }
    }
}

/// Where the turns go and who runs the tool.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// A model server, or something that only passes bytes on: the client runs the tool itself, on the
    /// tool server given.
    Model { model: SocketAddr, tools: SocketAddr },
    /// An agent runtime: it runs the tool.
    Runtime { address: SocketAddr },
}

/// What was measured of one turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// To the first text; of an answer that is not streamed, to its end.
    pub(super) first: Duration,
    /// To the end.
    pub(super) total: Duration,
    /// In how many events the text came.
    pub(super) events: u32,
}

/// One client with its kept connections.
#[derive(Debug)]
pub(super) struct Client {
    target: Target,
    kind: Kind,
    model: Connection,
    tools: Option<Connection>,
    session_prefix: String,
    turns: u64,
    expected: String,
    first_request: Bytes,
    second_request: Bytes,
}

impl Client {
    /// `name` makes this client's sessions its own.
    pub(super) async fn open(target: Target, kind: Kind, name: u64) -> io::Result<Self> {
        let (model, tools) = match target {
            Target::Model { model, tools } if kind.tool => {
                (model, Some(Connection::open(tools).await?))
            }
            Target::Model { model, .. } => (model, None),
            Target::Runtime { address } => (address, None),
        };
        // Sessions of earlier runs on the same data must not be met again.
        let started = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        Ok(Self {
            target,
            kind,
            model: Connection::open(model).await?,
            tools,
            session_prefix: format!("bench-{started:x}-{name}"),
            turns: 0,
            expected: profiles::text(profiles::FAST_PIECES).concat(),
            first_request: request(target, kind, None, false).to_string().into(),
            second_request: request(target, kind, None, true).to_string().into(),
        })
    }

    /// Makes one turn, timed from `started`, and checks its answer.
    pub(super) async fn turn(&mut self, started: Instant) -> Result<Sample, String> {
        if let (Some(tools), true) = (&mut self.tools, self.kind.tool) {
            let first = exchange(&mut self.model, &self.first_request, started, false).await?;
            let asked = first.body.windows(TOOL.len()).any(|word| word == TOOL.as_bytes());
            if !asked {
                return Err(format!("no tool call: {}", excerpt(&first.body)));
            }
            let called = call_tool(tools).await.map_err(|fault| fault.to_string())?;
            if !called {
                return Err("the tool server did not answer 200".to_owned());
            }
        }
        let request = match (self.tools.is_some(), self.kind.session) {
            (true, _) => self.second_request.clone(),
            (false, true) => {
                let session = self.session(self.turns);
                let request = request(self.target, self.kind, Some(&session), false);
                Bytes::from(request.to_string())
            }
            (false, false) => self.first_request.clone(),
        };
        self.turns += 1;
        let streamed = self.kind.streamed;
        let answer = exchange(&mut self.model, &request, started, streamed).await?;
        let events = if streamed {
            check_stream(&answer.body, &self.expected)?
        } else {
            check_whole(&answer.body, &self.expected)?
        };
        Ok(Sample { first: answer.first.unwrap_or(answer.total), total: answer.total, events })
    }
}

impl Client {
    /// Checks that the runtime has kept this client's last session, whole. Anything else is right.
    pub(super) async fn check_session(&mut self) -> Result<(), String> {
        let runtime = matches!(self.target, Target::Runtime { .. });
        if !runtime || !self.kind.session || self.turns == 0 {
            return Ok(());
        }
        let last = self.turns - 1;
        let session = self.session(last);
        let path = format!("/v1/sessions/{session}");
        let read = async {
            let response = self.model.send(Method::GET, &path, &[], Bytes::new()).await?;
            response.into_body().collect().await.map_err(io::Error::other)
        };
        let body = read.await.map_err(|fault| format!("no session: {fault}"))?.to_bytes();
        let document: Value = serde_json::from_slice(&body).unwrap_or_default();
        let messages = document["messages"].as_array().map_or(0, Vec::len) as u64;
        // The user's and the model's of each turn.
        let expected = 2 * (last % TURNS_PER_SESSION + 1);
        if messages == expected {
            return Ok(());
        }
        Err(format!("session {session} should hold {expected} messages: {}", excerpt(&body)))
    }

    fn session(&self, turn: u64) -> String {
        format!("{}-{}", self.session_prefix, turn / TURNS_PER_SESSION)
    }
}

struct Timed {
    body: Vec<u8>,
    first: Option<Duration>,
    total: Duration,
}

async fn exchange(
    connection: &mut Connection,
    request: &Bytes,
    started: Instant,
    streamed: bool,
) -> Result<Timed, String> {
    let response = connection.post(PATH, request.clone()).await;
    let response = response.map_err(|fault| format!("no answer: {fault}"))?;
    let status = response.status();
    let mut stream = response.into_body();
    let mut body = Vec::with_capacity(8 * 1024);
    let mut first = None;
    while let Some(frame) = stream.frame().await {
        let frame = frame.map_err(|fault| format!("the body broke off: {fault}"))?;
        let Ok(data) = frame.into_data() else { continue };
        body.extend_from_slice(&data);
        if streamed && first.is_none() && has_text(&body) {
            first = Some(started.elapsed());
        }
    }
    let total = started.elapsed();
    if status != 200 {
        return Err(format!("status {status}: {}", excerpt(&body)));
    }
    Ok(Timed { body, first, total })
}

/// Calls the tool as a client does that runs its tools itself.
async fn call_tool(tools: &mut Connection) -> io::Result<bool> {
    let arguments = Bytes::from_static(br#"{"query":"weather"}"#);
    let response = tools.post("/lookup", arguments).await?;
    let ok = response.status() == 200;
    response.into_body().collect().await.map_err(io::Error::other)?;
    Ok(ok)
}

/// The request of a turn; `answered` adds the tool call and its result.
fn request(target: Target, kind: Kind, session: Option<&str>, answered: bool) -> Value {
    let user = json!({"role": "user", "content": "What is the weather like today in the capital?"});
    let mut request = match target {
        Target::Runtime { .. } => {
            let prompt = if kind.tool { "tool" } else { "chat" };
            json!({"model": format!("{PACK}/{prompt}"), "messages": [user]})
        }
        Target::Model { .. } => {
            let system = json!({"role": "system", "content": SYSTEM});
            json!({"model": MODEL, "messages": [system, user]})
        }
    };
    if kind.streamed {
        request["stream"] = true.into();
        request["stream_options"] = json!({"include_usage": true});
    }
    if let Some(session) = session {
        request["metadata"] = json!({"session_id": session});
    }
    if kind.tool && matches!(target, Target::Model { .. }) {
        request["tools"] = json!([{"type": "function", "function": {"name": TOOL,
            "description": TOOL_DESCRIPTION, "parameters": tool_parameters()}}]);
        if answered {
            let call = json!({"id": "call_scripted", "type": "function",
                "function": {"name": TOOL, "arguments": r#"{"query":"weather"}"#}});
            let asked = json!({"role": "assistant", "content": null, "tool_calls": [call]});
            let result =
                json!({"role": "tool", "tool_call_id": "call_scripted", "content": "sunny"});
            if let Some(messages) = request["messages"].as_array_mut() {
                messages.extend([asked, result]);
            }
        }
    }
    request
}

pub(super) const TOOL_DESCRIPTION: &str = "Look something up.";

pub(super) fn tool_parameters() -> Value {
    json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]})
}

const TEXT: &[u8] = br#""content":""#;

/// Whether any text has arrived: an empty delta that only names the role is none.
fn has_text(body: &[u8]) -> bool {
    texts(body).any(|text| !text.is_empty())
}

/// The values of all `content` keys. The scripted text holds nothing that JSON escapes, so the value
/// ends at the next quote; this is a hundred times cheaper than parsing, on a machine whose cores the
/// servers under test share.
fn texts(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let start = find(rest, TEXT)? + TEXT.len();
        let length = rest[start..].iter().position(|byte| *byte == b'"')?;
        let text = &rest[start..start + length];
        rest = &rest[start + length..];
        Some(text)
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Checks the text of a stream and its end; returns in how many events the text came.
fn check_stream(body: &[u8], expected: &str) -> Result<u32, String> {
    let mut text = Vec::with_capacity(expected.len());
    let mut events = 0;
    for piece in texts(body).filter(|piece| !piece.is_empty()) {
        text.extend_from_slice(piece);
        events += 1;
    }
    if text != expected.as_bytes() {
        return Err(format!("not the text that the model said: {}", excerpt(body)));
    }
    if find(body, b"data: [DONE]").is_none() {
        return Err("the stream has no end".to_owned());
    }
    Ok(events)
}

fn check_whole(body: &[u8], expected: &str) -> Result<u32, String> {
    let document: Value = serde_json::from_slice(body)
        .map_err(|fault| format!("not JSON ({fault}): {}", excerpt(body)))?;
    if document["choices"][0]["message"]["content"] == expected {
        return Ok(1);
    }
    Err(format!("not the text that the model said: {}", excerpt(body)))
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_accepted_only_with_the_whole_text_and_its_end() {
        let body = br#"data: {"delta":{"content":""}}
data: {"delta":{"content":"one "}}
data: {"delta":{"content":"two"}}
data: [DONE]"#;
        assert_eq!(check_stream(body, "one two"), Ok(2));
        assert!(check_stream(body, "one two three").is_err());
        let cut = &body[..body.len() - 6];
        assert!(check_stream(cut, "one two").unwrap_err().contains("no end"));
        assert!(has_text(body));
        assert!(!has_text(&body[..30]));
    }

    #[test]
    fn a_whole_answer_is_accepted_only_with_the_text() {
        let body = br#"{"choices":[{"message":{"content":"one"}}]}"#;
        assert_eq!(check_whole(body, "one"), Ok(1));
        assert!(check_whole(body, "mock").is_err());
        assert!(check_whole(b"<html>", "one").is_err());
    }
}
