//! What can be decided about a turn before it begins.

use std::{collections::HashSet, sync::Arc};

use promptpack::ToolChoice as PackToolChoice;

use crate::{
    agent::Agent,
    engine::Engine,
    failure::{Failure, FailureCode},
    media,
    message::{Message, Part, Role},
    ports::model::{Parameters, ToolChoice, ToolSpec},
    request::{ClientToolMode, SessionChoice, TurnRequest},
};

/// A turn that may begin.
pub(crate) struct Plan {
    /// Who answers.
    pub(crate) agent: Arc<Agent>,
    /// The system prompt, rendered.
    pub(crate) system: Arc<str>,
    /// Sampling: the caller's over the pack's.
    pub(crate) parameters: Parameters,
    /// The tools on offer.
    pub(crate) offered: Arc<[ToolSpec]>,
    /// What they take of the context window, in bytes; 0 where that has no bound.
    pub(crate) tools_bytes: usize,
    /// Of the first call of the model; later ones are free to answer.
    pub(crate) tool_choice: ToolChoice,
    /// The names of the tools that the caller runs.
    pub(crate) client_tools: HashSet<String>,
    /// The most tool rounds.
    pub(crate) max_rounds: u32,
    /// The most tool calls.
    pub(crate) max_tool_calls: u32,
}

/// Decides what can be decided, and refuses what can be known to be wrong.
///
/// # Errors
/// [`Failure`] naming the field at fault.
pub(crate) async fn plan(engine: &Engine, request: &TurnRequest) -> Result<Plan, Failure> {
    let agent = engine.catalogue().find(&request.agent)?;
    check_messages(&request.messages)?;
    media::check(&agent, &request.messages)?;
    if let SessionChoice::Existing(id) = &request.session {
        engine.session(&request.owner, id).await?;
    }
    let mut variables = engine.variables().clone();
    variables.extend(request.variables.clone());
    let system = agent.render(&variables)?;
    let limits = engine.limits();
    let policy = &agent.prompt.tool_policy;
    let (offered, client_tools) = offer(&agent, request)?;
    let tool_choice = choose(policy.tool_choice, request.tool_choice.as_ref(), &offered)?;
    Ok(Plan {
        parameters: agent.parameters.clone().overridden_by(&request.parameters),
        system,
        tools_bytes: limits.context_tokens.map_or(0, |_| bytes_of(&offered)),
        offered,
        tool_choice,
        client_tools,
        max_rounds: policy.max_rounds.min(limits.max_rounds),
        max_tool_calls: policy.max_tool_calls_per_turn.min(limits.max_tool_calls),
        agent,
    })
}

/// A conversation that a model can answer: something is said, by somebody who may say it, and
/// every result has its call.
fn check_messages(messages: &[Message]) -> Result<(), Failure> {
    let invalid = |message: &str, index: usize| {
        Err(Failure::new(FailureCode::InvalidRequest, message).param(format!("messages[{index}]")))
    };
    let Some(last) = messages.last() else {
        return Err(Failure::new(FailureCode::InvalidRequest, "there is no message to answer")
            .param("messages"));
    };
    let newest = messages.len() - 1;
    if !matches!(last.role, Role::User | Role::Tool) {
        return invalid("the last message must be the user's or a tool's result", newest);
    }
    for (index, message) in messages.iter().enumerate() {
        let empty = message.parts.iter().all(|part| part.as_text().is_some_and(str::is_empty));
        if empty && message.role == Role::User {
            return invalid("the message is empty", index);
        }
    }
    Ok(())
}

/// The tools on offer, and the names of those that the caller runs.
fn offer(
    agent: &Agent,
    request: &TurnRequest,
) -> Result<(Arc<[ToolSpec]>, HashSet<String>), Failure> {
    if agent.prompt.tool_policy.tool_choice == PackToolChoice::None {
        return Ok((Arc::from([]), HashSet::new()));
    }
    // A caller with no way to answer a call must not be asked to run the agent's client tools;
    // in `Return` mode every caller has one, and in `Wait` mode the door says it has.
    let mut client: HashSet<String> = agent.client_tools.keys().cloned().collect();
    if request.client_tools.is_empty() {
        return Ok((Arc::clone(&agent.offered), client));
    }
    let mut offered = agent.offered.to_vec();
    for (index, spec) in request.client_tools.iter().enumerate() {
        let fault = |message: String| {
            Failure::new(FailureCode::InvalidRequest, message).param(format!("tools[{index}]"))
        };
        if agent.is_blocked(&spec.name) {
            return Err(fault(format!("the agent's policy blocks the tool '{}'", spec.name)));
        }
        if offered.iter().any(|other| other.name == spec.name) {
            return Err(fault(format!(
                "there is a tool '{}' already; rename one of them",
                spec.name
            )));
        }
        client.insert(spec.name.clone());
        offered.push(spec.clone());
    }
    Ok((offered.into(), client))
}

/// About what the tools weigh in a request.
fn bytes_of(offered: &[ToolSpec]) -> usize {
    let bytes = |spec: &ToolSpec| {
        spec.name.len() + spec.description.len() + spec.parameters.to_string().len()
    };
    offered.iter().map(bytes).sum()
}

/// The pack's choice, unless the caller asks otherwise. What the pack forbids stays forbidden.
fn choose(
    pack: PackToolChoice,
    caller: Option<&ToolChoice>,
    offered: &[ToolSpec],
) -> Result<ToolChoice, Failure> {
    let fault = |message: String| {
        Err(Failure::new(FailureCode::InvalidRequest, message).param("tool_choice"))
    };
    match (pack, caller) {
        (PackToolChoice::None, Some(ToolChoice::Required | ToolChoice::Named(_))) => {
            fault("the agent's policy allows no tool calls".into())
        }
        (PackToolChoice::None, _) => Ok(ToolChoice::None),
        (_, Some(ToolChoice::Named(name))) if !offered.iter().any(|spec| spec.name == *name) => {
            fault(format!("no tool '{name}' is on offer"))
        }
        (_, Some(ToolChoice::Required)) if offered.is_empty() => {
            fault("a tool call is required and no tool is on offer".into())
        }
        (_, Some(choice)) => Ok(choice.clone()),
        // A pack that requires a call and has nothing to call: the load warned about it.
        (PackToolChoice::Required, None) if offered.is_empty() => Ok(ToolChoice::Auto),
        (PackToolChoice::Required, None) => Ok(ToolChoice::Required),
        (PackToolChoice::Auto, None) => Ok(ToolChoice::Auto),
    }
}

impl TurnRequest {
    /// Whether the turn waits for the caller's tools.
    pub(crate) fn waits(&self) -> bool {
        self.client_tool_mode == ClientToolMode::Wait
    }

    /// Every result in these messages, for the check that its call is known.
    pub(crate) fn results(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
            Part::ToolResult(result) => Some(result.call_id.as_str()),
            _ => None,
        })
    }
}
