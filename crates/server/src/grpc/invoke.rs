//! `Invoke`: one question, one answer, nothing remembered.

use std::{sync::Arc, time::Instant};

use bartizan_engine::{
    event::{StopReason, TurnEvent},
    failure::{Failure, FailureCode},
    message::{Message, Role},
    ports::model::OutputFormat,
    request::TurnRequest,
    run::Run,
};
use serde_json::{Value, value::RawValue};
use tonic::{Code, Status};

use super::{
    failure::{in_words_of_wire, invalid, status, status_as},
    input, output,
    service::Door,
    wire::{InvocationRequest, InvocationResponse},
};

/// Answers a question.
pub(super) async fn invoke(
    door: &Door,
    request: InvocationRequest,
) -> Result<InvocationResponse, Status> {
    let began = Instant::now();
    let invocation_id = request.invocation_id.clone();
    let turn = question(door, request).map_err(|failure| status(&failure))?;
    let run = door
        .engine
        .start(turn)
        .await
        .map_err(|failure| status(&in_words_of_wire(failure, "input_json", "input_json")))?;
    tracing::debug!(run_id = %run.id(), ?invocation_id, "a function is called");
    let _caller = Caller(Arc::clone(&run));
    let last = run.finished().await;
    let (text, stop_reason, usage) = match &last.event {
        TurnEvent::Done { text, stop_reason, usage } => (text, stop_reason, usage),
        other => {
            let failure = other
                .failure()
                .unwrap_or_else(|| Failure::new(FailureCode::Internal, "the call did not end"));
            return Err(turn_failed(&failure));
        }
    };
    let output_json = answer(text, stop_reason, &door.settings.output)?;
    let used = usage.total_tokens() > 0;
    Ok(InvocationResponse {
        output_json,
        usage: used.then(|| output::usage(usage)),
        duration_ms: i32::try_from(began.elapsed().as_millis()).unwrap_or(i32::MAX),
        invocation_id,
    })
}

/// The turn that a question asks for: its JSON is what the user says, and fills the prompt's
/// variables.
fn question(door: &Door, request: InvocationRequest) -> Result<TurnRequest, Failure> {
    if request.invocation_id.is_empty() {
        return Err(invalid("invocation_id", "is missing"));
    }
    if request.input_json.is_empty() {
        return Err(invalid("input_json", "is missing"));
    }
    let value: Value = serde_json::from_str(&request.input_json)
        .map_err(|error| invalid("input_json", &format!("is not JSON: {error}")))?;
    let agent = door.agent()?;
    Ok(TurnRequest {
        variables: input::function_variables(&agent, &value),
        metadata: input::metadata(&agent, request.metadata)?,
        output: door.settings.output.clone(),
        stream: false,
        ..TurnRequest::new(
            Arc::clone(&door.owner),
            agent.name.as_ref(),
            vec![Message::text(Role::User, request.input_json)],
        )
    })
}

/// The answer as JSON: what the model wrote if that is JSON, else the text as a JSON string. A
/// model that was held to JSON and wrote something else has failed.
fn answer(text: &str, stop_reason: &StopReason, format: &OutputFormat) -> Result<String, Status> {
    let failed = |code, message: &str| Err(status_as(Code::Internal, &Failure::new(code, message)));
    match stop_reason {
        StopReason::ToolCalls => {
            return Err(status_as(
                Code::FailedPrecondition,
                &Failure::new(
                    FailureCode::InvalidRequest,
                    "the agent wants a tool run by the caller, which only Converse can ask for",
                ),
            ));
        }
        StopReason::ContentFilter => {
            return failed(FailureCode::ModelRejected, "the model's provider withheld the answer");
        }
        _ => {}
    }
    let text = text.trim();
    if serde_json::from_str::<&RawValue>(text).is_ok() {
        return Ok(text.to_owned());
    }
    match format {
        OutputFormat::Text => Ok(Value::from(text).to_string()),
        OutputFormat::Json | OutputFormat::JsonSchema { .. } => failed(
            FailureCode::ModelMalformed,
            "the model was asked for JSON and wrote something else",
        ),
    }
}

/// The status of a call that began and failed. The contract has `INTERNAL` for everything that
/// is the provider's fault, so that no client calls again by itself.
fn turn_failed(failure: &Failure) -> Status {
    use FailureCode as F;
    match failure.code {
        F::ModelUnauthorized
        | F::ModelRateLimited
        | F::ModelRejected
        | F::ModelUnavailable
        | F::ModelTimedOut
        | F::ModelInterrupted
        | F::ModelMalformed => status_as(Code::Internal, failure),
        _ => status(failure),
    }
}

/// Somebody who waits for an answer that is kept nowhere: when they go, so does the run.
struct Caller(Arc<Run>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(said: &str) -> Result<String, Code> {
        answer(said, &StopReason::EndTurn, &OutputFormat::Text).map_err(|status| status.code())
    }

    #[test]
    fn an_answer_is_always_json() {
        assert_eq!(text(" {\"a\": 1}\n"), Ok("{\"a\": 1}".into()));
        assert_eq!(text("42"), Ok("42".into()));
        assert_eq!(text("say \"hi\""), Ok("\"say \\\"hi\\\"\"".into()));
        assert_eq!(text(""), Ok("\"\"".into()));
    }

    #[test]
    fn a_model_held_to_json_must_write_json() {
        let json = |said: &str| {
            answer(said, &StopReason::EndTurn, &OutputFormat::Json).map_err(|status| status.code())
        };
        assert_eq!(json("[1]"), Ok("[1]".into()));
        assert_eq!(json("Sure!"), Err(Code::Internal));
    }

    #[test]
    fn tools_of_the_caller_cannot_be_asked_for() {
        let asked = answer("", &StopReason::ToolCalls, &OutputFormat::Text);
        assert_eq!(asked.map_err(|status| status.code()), Err(Code::FailedPrecondition));
    }
}
