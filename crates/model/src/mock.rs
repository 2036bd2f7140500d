//! The model that is none: it follows a script, or says that it is a mock.
//!
//! It is used where no provider is configured, or where it is asked for by name; never because a
//! provider failed. [`ModelInfo::mock`] is set on all its answers, so that every door can say so.
//!
//! # Layout
//!
//! - `script`: which dialect a script is in. `promptkit`, `responses`: the two dialects.
//! - `entry`: one scripted reply, as it is written. `reply`: the same, ready to be said.
//! - `words`: what it says without a script.

mod entry;
mod promptkit;
mod reply;
mod responses;
mod script;
mod words;

use std::sync::Arc;

use async_trait::async_trait;
use bartizan_engine::{
    message::{Message, Part, Role},
    ports::model::{Model, ModelError, ModelInfo, ModelRequest, ModelStream},
};

pub use self::script::{MockScript, MockScriptError};

/// The mock, following this script; [`MockScript::default`] is none.
pub fn mock(script: MockScript) -> Arc<dyn Model> {
    Arc::new(Mock { script })
}

struct Mock {
    script: MockScript,
}

#[async_trait]
impl Model for Mock {
    fn info(&self) -> ModelInfo {
        info()
    }

    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let scripted = self.script.reply(&request);
        let reply = scripted.unwrap_or_else(|| words::reply(&request));
        reply.say(&request).await
    }
}

fn info() -> ModelInfo {
    ModelInfo { provider: "mock".to_owned(), model: "mock".to_owned(), mock: true }
}

/// The number of the model's reply in its conversation, from 1: one for each message of a user and
/// one more for each round of tool results. So the reply after a tool round is the next one.
fn reply_number(messages: &[Message]) -> u32 {
    let mut number = 0;
    let mut before = None;
    for message in messages {
        let begins = match message.role {
            Role::User => true,
            Role::Tool => before != Some(Role::Tool),
            Role::System | Role::Assistant => false,
        };
        number += u32::from(begins);
        before = Some(message.role);
    }
    number.max(1)
}

/// The text of the last message: what the user said, or the tools answered.
fn last_text(messages: &[Message]) -> String {
    let Some(last) = messages.last() else { return String::new() };
    last.parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text } => Some(text.clone()),
            Part::ToolResult(result) => Some(result.content_text()),
            Part::Media(_) | Part::ToolCall(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(roles: &[Role]) -> Vec<Message> {
        roles.iter().map(|role| Message::text(*role, "x")).collect()
    }

    #[test]
    fn replies_are_counted_through_tool_rounds() {
        use Role::{Assistant, System, Tool, User};
        for (roles, number) in [
            (&[][..], 1),
            (&[User], 1),
            (&[User, System], 1),
            (&[User, Assistant, User], 2),
            (&[User, Assistant, Tool], 2),
            (&[User, Assistant, Tool, Tool], 2),
            (&[User, Assistant, Tool, Assistant, User], 3),
            (&[User, Assistant, Tool, Assistant, Tool], 3),
        ] {
            assert_eq!(reply_number(&said(roles)), number, "{roles:?}");
        }
    }
}
