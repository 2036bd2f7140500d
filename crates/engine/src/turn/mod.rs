//! One turn, from plan to `Done`.
//!
//! - [`plan`]: what can be decided before it begins.
//! - [`ask`]: one call of the model.
//! - [`act`]: one round of tool calls.
//! - [`settle`]: what is written when it ends.

mod act;
mod ask;
mod plan;
mod settle;

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::FutureExt;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{OwnedMutexGuard, mpsc};

pub(crate) use plan::{Plan, plan};

use crate::{
    engine::Engine,
    event::{StopReason, TurnEvent},
    failure::{Failure, FailureCode},
    identity::RunId,
    message::{Message, Part, Role, ToolResult},
    ports::{
        model::{ModelInfo, ToolChoice},
        store::{RunRecord, RunStatus, Session, expiry},
    },
    request::{SessionChoice, TurnRequest},
    run::Run,
    sessions::Seat,
    usage::Usage,
    window,
};

/// One turn.
pub(crate) struct Turn {
    engine: Arc<Engine>,
    run: Arc<Run>,
    request: TurnRequest,
    plan: Plan,
    client_results: mpsc::UnboundedReceiver<ToolResult>,
    began: Instant,
    started_at: Timestamp,
    /// The session as it was found, or as it is to be made; none where nothing is kept.
    session: Option<Session>,
    /// Whether the turn makes the session.
    creates_session: bool,
    /// What was said before, then the request's messages, then what the turn adds.
    conversation: Vec<Message>,
    /// Where in the conversation this turn's messages begin.
    first_new: usize,
    /// How many messages the request brought.
    brought: usize,
    /// The text of the whole turn.
    text: String,
    /// The text of the model's call at work; lost otherwise if it breaks off.
    partial: String,
    usage: Usage,
    /// Who answered last.
    answered_by: ModelInfo,
    rounds: u32,
    calls: u32,
    /// How often each call was asked for, by name and arguments.
    repeats: HashMap<(String, Value), u32>,
    /// What of the byte budget is used: text, reasoning, and what tools were asked with.
    output_bytes: usize,
    /// Output tokens that no provider counted, estimated.
    uncounted_tokens: u64,
    /// Whether the limit of rounds or calls is reached.
    tools_exhausted: bool,
}

impl Turn {
    /// A turn that may begin.
    pub(crate) fn new(
        engine: Arc<Engine>,
        run: Arc<Run>,
        request: TurnRequest,
        plan: Plan,
        client_results: mpsc::UnboundedReceiver<ToolResult>,
    ) -> Self {
        let started_at = engine.clock().now();
        let answered_by = engine.model_info();
        Self {
            engine,
            run,
            request,
            plan,
            client_results,
            began: Instant::now(),
            started_at,
            session: None,
            creates_session: false,
            conversation: Vec::new(),
            first_new: 0,
            brought: 0,
            text: String::new(),
            partial: String::new(),
            usage: Usage::default(),
            answered_by,
            rounds: 0,
            calls: 0,
            repeats: HashMap::new(),
            output_bytes: 0,
            uncounted_tokens: 0,
            tools_exhausted: false,
        }
    }

    pub(crate) fn run_id(&self) -> RunId {
        self.run.id()
    }

    /// Records a run whose name its caller is about to learn, and its session with it.
    pub(crate) async fn announce(&self) -> Result<(), Failure> {
        if !self.request.announced {
            return Ok(());
        }
        let store = self.engine.store();
        if let Some(id) = self.run.session_id()
            && !matches!(self.request.session, SessionChoice::Existing(_))
            && store.session(&self.request.owner, id).await?.is_none()
        {
            store.create_session(self.fresh_session(id.clone())).await?;
        }
        Ok(store.begin_run(&self.record(RunStatus::Running)).await?)
    }

    /// Does the turn. Whatever happens, the run ends with one `Done` or `Failed`.
    pub(crate) async fn perform(mut self, seat: Option<Seat>) {
        self.engine.parts.observer.turn_started();
        self.run.push(TurnEvent::Started {
            run_id: self.run.id(),
            session_id: self.run.session_id().cloned(),
            agent: self.run.agent().to_owned(),
            model: self.answered_by.model.clone(),
            mock: self.answered_by.mock,
        });
        // A defect must end the turn and not leave its followers waiting for ever.
        let mut guard = None;
        let outcome = AssertUnwindSafe(self.bounded(seat, &mut guard)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|panic| {
            Err(Failure::new(FailureCode::Internal, "the server failed in this turn")
                .detail(panic_message(panic.as_ref())))
        });
        self.settle(outcome).await;
        // The next turn of the session begins only now that this one is stored.
        drop(guard);
    }

    /// The turn within its time, stopped where somebody cancels it. `guard` is the session's,
    /// once it is the turn's; it outlives a panic in here.
    async fn bounded(
        &mut self,
        seat: Option<Seat>,
        guard: &mut Option<OwnedMutexGuard<()>>,
    ) -> Result<StopReason, Failure> {
        let cancelled = self.run.cancelled().clone();
        let time = self.engine.limits().turn_time;
        let work = async {
            if let Some(seat) = seat {
                *guard = Some(seat.take().await);
            }
            self.recall().await?;
            self.converse().await
        };
        tokio::select! {
            biased;
            () = cancelled.cancelled() => {
                Err(Failure::new(FailureCode::Cancelled, "the turn was cancelled"))
            }
            outcome = tokio::time::timeout(time, work) => outcome.unwrap_or_else(|_| {
                Err(Failure::new(
                    FailureCode::TimedOut,
                    format!("the turn took longer than the {} s it may", time.as_secs()),
                ))
            }),
        }
    }

    /// Brings back what was said before.
    async fn recall(&mut self) -> Result<(), Failure> {
        if let Some(id) = self.run.session_id().cloned() {
            let store = self.engine.store();
            let owner = &self.request.owner;
            self.session = match store.session(owner, &id).await? {
                Some(session) => {
                    let limit = self.engine.limits().max_history;
                    let stored = store.messages(owner, &id, limit).await?;
                    self.conversation = stored.into_iter().map(|stored| stored.message).collect();
                    Some(session)
                }
                None if matches!(self.request.session, SessionChoice::Existing(_)) => {
                    return Err(Failure::new(
                        FailureCode::UnknownSession,
                        "the session was deleted before the turn began",
                    ));
                }
                None => {
                    self.creates_session = true;
                    Some(self.fresh_session(id))
                }
            };
            // A history cut off in the middle of an exchange begins at the next one.
            let cut = self.conversation.iter().position(|message| message.role == Role::User);
            self.conversation.drain(..cut.unwrap_or(self.conversation.len()));
        }
        self.first_new = self.conversation.len();
        self.conversation.append(&mut self.request.messages.clone());
        self.brought = self.conversation.len() - self.first_new;
        self.check_results()
    }

    /// Every result must answer a call of the conversation.
    fn check_results(&self) -> Result<(), Failure> {
        for call_id in self.request.results() {
            let known = self
                .conversation
                .iter()
                .any(|message| message.tool_calls().any(|call| call.id == call_id));
            if !known {
                return Err(Failure::new(
                    FailureCode::InvalidRequest,
                    format!("a tool result answers the call '{call_id}', which nobody made"),
                )
                .param("messages"));
            }
        }
        Ok(())
    }

    /// Asks, acts, and asks again, until the model has said what it has to say.
    async fn converse(&mut self) -> Result<StopReason, Failure> {
        window::answer_open_calls(&mut self.conversation);
        let mut choice = self.plan.tool_choice.clone();
        loop {
            let answer = self.ask(&choice).await?;
            if answer.calls.is_empty() || choice == ToolChoice::None {
                return Ok(match answer.stop_reason {
                    // Nobody waits for calls that were not asked for or are not allowed.
                    _ if self.tools_exhausted => StopReason::ToolLimit,
                    StopReason::ToolCalls => StopReason::EndTurn,
                    other => other,
                });
            }
            if self.hands_over(&answer.calls) {
                return Ok(StopReason::ToolCalls);
            }
            self.act(answer.calls).await?;
            // What the pack or caller required has happened; the model may now answer.
            choice = if self.tools_exhausted { ToolChoice::None } else { ToolChoice::Auto };
        }
    }

    /// Adds a message of the model or of tools to the conversation.
    fn say(&mut self, role: Role, parts: Vec<Part>) {
        if !parts.is_empty() {
            self.conversation.push(Message::new(role, parts));
        }
    }

    /// A session of this name that begins with this turn.
    fn fresh_session(&self, id: crate::identity::SessionId) -> Session {
        Session {
            id,
            owner: (*self.request.owner).clone(),
            agent: self.run.agent().to_owned(),
            created_at: self.started_at,
            updated_at: self.started_at,
            expires_at: expiry(self.started_at, self.engine.limits().session_time_to_live),
            metadata: self.request.metadata.clone(),
            message_count: 0,
        }
    }

    /// The run as it stands.
    fn record(&self, status: RunStatus) -> RunRecord {
        RunRecord {
            id: self.run.id(),
            owner: (*self.request.owner).clone(),
            session_id: self.run.session_id().cloned(),
            agent: self.run.agent().to_owned(),
            pack_version: self.plan.agent.pack_version.clone(),
            pack_digest: self.plan.agent.pack_digest.clone(),
            model: format!("{}/{}", self.answered_by.provider, self.answered_by.model),
            status,
            stop_reason: None,
            failure: None,
            usage: self.usage,
            started_at: self.started_at,
            finished_at: None,
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
