//! One round of tool calls.

use std::{sync::Arc, time::Instant};

use futures::{StreamExt, stream::FuturesUnordered};
use serde_json::Value;

use super::Turn;
use crate::{
    agent::{Agent, BoundTool},
    event::{Execution, TurnEvent},
    failure::Failure,
    limits::Limits,
    message::{Part, Role, ToolCall, ToolResult},
    ports::{
        observer::Observer,
        tool::{ToolContext, ToolError},
    },
};

/// The same call this often is a model going round in circles.
const MOST_REPEATS: u32 = 3;

impl Turn {
    /// Whether the round goes to the caller, who runs its tools and comes back in a new turn.
    ///
    /// Of a round that asks for tools of both sides only the caller's are handed over: what the
    /// server's would answer has no place in a message that the caller sends back, and the model
    /// asks for them again.
    pub(super) fn hands_over(&mut self, calls: &[ToolCall]) -> bool {
        if self.request.waits() {
            return false;
        }
        let client_tools = &self.plan.client_tools;
        if !calls.iter().any(|call| client_tools.contains(&call.name)) {
            return false;
        }
        if let Some(message) = self.conversation.last_mut() {
            message.parts.retain(|part| match part {
                Part::ToolCall(call) => client_tools.contains(&call.name),
                _ => true,
            });
        }
        for call in calls.iter().filter(|call| client_tools.contains(&call.name)) {
            self.run.push(TurnEvent::ToolCall { call: call.clone(), execution: Execution::Client });
        }
        true
    }

    /// Runs a round: the server's tools side by side, then the caller's one after another.
    /// Whatever a tool does, its call gets a result that the model sees.
    pub(super) async fn act(&mut self, calls: Vec<ToolCall>) -> Result<(), Failure> {
        let mut results: Vec<Option<ToolResult>> = vec![None; calls.len()];
        let mut at_work = FuturesUnordered::new();
        let mut for_caller = Vec::new();
        let context = Arc::new(self.tool_context());
        for (index, call) in calls.iter().enumerate() {
            let is_client = self.plan.client_tools.contains(&call.name);
            let execution = if is_client { Execution::Client } else { Execution::Server };
            if let Err(refusal) = self.admit(call) {
                self.run
                    .push(TurnEvent::ToolCall { call: call.clone(), execution: Execution::Server });
                results[index] = Some(self.answered(call, Err(refusal)));
                continue;
            }
            if is_client {
                for_caller.push(index);
                continue;
            }
            self.run.push(TurnEvent::ToolCall { call: call.clone(), execution });
            let work = run_here(
                Arc::clone(&self.plan.agent),
                call.clone(),
                Arc::clone(&context),
                self.engine.limits().clone(),
                Arc::clone(&self.engine.parts.observer),
            );
            at_work.push(async move { (index, work.await) });
        }
        while let Some((index, outcome)) = at_work.next().await {
            results[index] = Some(self.answered(&calls[index], outcome));
        }
        drop(at_work);
        for index in for_caller {
            let result = self.ask_caller(&calls[index]).await;
            self.run.push(TurnEvent::ToolResult { result: result.clone() });
            results[index] = Some(result);
        }
        self.rounds += 1;
        if self.rounds >= self.plan.max_rounds || self.calls >= self.plan.max_tool_calls {
            self.tools_exhausted = true;
        }
        self.say(Role::Tool, results.into_iter().flatten().map(Part::ToolResult).collect());
        Ok(())
    }

    /// Whether the call may run, within what is left of the turn's budgets.
    fn admit(&mut self, call: &ToolCall) -> Result<(), ToolError> {
        let plan = &self.plan;
        if !plan.offered.iter().any(|spec| spec.name == call.name) {
            let names: Vec<&str> = plan.offered.iter().map(|spec| spec.name.as_str()).collect();
            return Err(ToolError::new(format!(
                "there is no tool '{}'; the tools are: {}",
                call.name,
                names.join(", ")
            )));
        }
        if self.calls >= plan.max_tool_calls {
            self.tools_exhausted = true;
            return Err(ToolError::new(format!(
                "the limit of {} tool calls in a turn is reached; answer with what you have",
                plan.max_tool_calls
            )));
        }
        // The arguments are compared as values: in whatever order a model writes them, it is the
        // same call.
        let repeats = self.repeats.entry((call.name.clone(), call.arguments.clone())).or_default();
        *repeats += 1;
        if *repeats >= MOST_REPEATS {
            self.tools_exhausted = true;
            return Err(ToolError::new(format!(
                "this very call was made {} times already; answer with what you have",
                MOST_REPEATS - 1
            )));
        }
        if let Some(spec) = plan.agent.checked(&call.name) {
            spec.check(&call.arguments).map_err(ToolError::new)?;
        } else if !call.arguments.is_object() {
            return Err(ToolError::new("the arguments are not a JSON object"));
        }
        self.calls += 1;
        Ok(())
    }

    /// Has the caller run a tool, and waits for what it answers.
    async fn ask_caller(&mut self, call: &ToolCall) -> ToolResult {
        self.run.await_client(&call.id);
        self.run.push(TurnEvent::ToolCall { call: call.clone(), execution: Execution::Client });
        let time = self.engine.limits().client_tool_time;
        let answer = tokio::time::timeout(time, self.client_results.recv()).await;
        let answer = answer.ok().flatten().or_else(|| {
            self.run.forget_client(&call.id);
            // What was taken from the caller in the last moment must not wait for the next call.
            self.client_results.try_recv().ok()
        });
        let mut result = answer.unwrap_or_else(|| ToolResult {
            call_id: call.id.clone(),
            name: call.name.clone(),
            content: format!("the caller did not answer within {} s", time.as_secs()).into(),
            is_error: true,
        });
        result.name.clone_from(&call.name);
        result.content = shortened(result.content, self.engine.limits().max_tool_result_bytes);
        result
    }

    /// A tool's outcome as the model and the followers of the run see it.
    fn answered(&self, call: &ToolCall, outcome: Result<Value, ToolError>) -> ToolResult {
        let (content, is_error) = match outcome {
            Ok(content) => (content, false),
            Err(error) => {
                // What has a cause beyond the model's own doing is for the operator to see.
                match &error.detail {
                    Some(detail) => tracing::warn!(
                        run_id = %self.run.id(), tool = call.name, detail, "a tool call failed: {error}"
                    ),
                    None => tracing::info!(
                        run_id = %self.run.id(), tool = call.name, "a tool call failed: {error}"
                    ),
                }
                (Value::String(error.message), true)
            }
        };
        let result = ToolResult {
            call_id: call.id.clone(),
            name: call.name.clone(),
            content: shortened(content, self.engine.limits().max_tool_result_bytes),
            is_error,
        };
        self.run.push(TurnEvent::ToolResult { result: result.clone() });
        result
    }

    fn tool_context(&self) -> ToolContext {
        ToolContext {
            run_id: self.run.id(),
            session_id: self.run.session_id().cloned(),
            owner: Arc::clone(&self.request.owner),
            agent: Arc::clone(&self.plan.agent.name),
            cancelled: self.run.cancelled().child_token(),
        }
    }
}

/// Runs one of the server's tools within its time.
async fn run_here(
    agent: Arc<Agent>,
    call: ToolCall,
    context: Arc<ToolContext>,
    limits: Limits,
    observer: Arc<dyn Observer>,
) -> Result<Value, ToolError> {
    let Some(BoundTool { tool, .. }) = agent.server_tools.get(&call.name) else {
        return Err(ToolError::new(format!("nothing runs the tool '{}'", call.name)));
    };
    let began = Instant::now();
    let outcome = tokio::time::timeout(limits.tool_time, tool.call(&call.arguments, &context))
        .await
        .unwrap_or_else(|_| {
            Err(ToolError::new(format!(
                "the tool did not answer within {} s",
                limits.tool_time.as_secs()
            )))
        });
    observer.tool_called(&call.name, outcome.is_ok(), began.elapsed());
    outcome
}

/// The content, or its beginning as text where it is longer than `limit` bytes.
fn shortened(content: Value, limit: usize) -> Value {
    let length = match &content {
        Value::String(text) => text.len(),
        Value::Object(_) | Value::Array(_) => content.to_string().len(),
        _ => return content,
    };
    if length <= limit {
        return content;
    }
    let mut text = match content {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let cut = (0..=limit).rev().find(|&index| text.is_char_boundary(index)).unwrap_or(0);
    text.truncate(cut);
    text.push_str(&format!("\n[cut off here: {length} bytes, of which a tool may return {limit}]"));
    Value::String(text)
}
