//! The engine: starts turns, finds runs, drains.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Map, Value};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    agent::Catalogue,
    event::{LoggedEvent, TurnEvent},
    failure::{Failure, FailureCode},
    identity::{RunId, SessionId},
    limits::Limits,
    owner::Owner,
    ports::{
        clock::Clock,
        model::{Model, ModelInfo},
        observer::Observer,
        store::{RunRecord, RunStatus, Session, Store},
    },
    request::{SessionChoice, TurnRequest},
    run::{Run, RunEvents},
    sessions::SessionLocks,
    turn::{self, Turn},
};

/// What an engine is made of.
pub struct Parts {
    /// The agents it serves.
    pub catalogue: Catalogue,
    /// The model they talk to.
    pub model: Arc<dyn Model>,
    /// Where sessions and runs are kept.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who counts.
    pub observer: Arc<dyn Observer>,
    /// What turns may use.
    pub limits: Limits,
    /// The operator's values for the prompts' variables; a caller's own win.
    pub variables: Map<String, Value>,
}

/// The engine. One for the whole process; all doors share it.
pub struct Engine {
    pub(crate) parts: Parts,
    pub(crate) sessions: SessionLocks,
    running: RwLock<HashMap<RunId, Arc<Run>>>,
    tasks: TaskTracker,
    draining: AtomicBool,
    stop: CancellationToken,
}

/// The events of a run: as they happen, or from the store.
pub enum Follow {
    /// The run is at work, or has only just ended.
    Live(RunEvents),
    /// The run has ended.
    Stored(Vec<LoggedEvent>),
}

impl Engine {
    /// An engine of these parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            sessions: SessionLocks::default(),
            running: RwLock::default(),
            tasks: TaskTracker::new(),
            draining: AtomicBool::new(false),
            stop: CancellationToken::new(),
        })
    }

    /// The agents served.
    pub fn catalogue(&self) -> &Catalogue {
        &self.parts.catalogue
    }

    /// The model asked when nothing else is said.
    pub fn model_info(&self) -> ModelInfo {
        self.parts.model.info()
    }

    /// Where sessions and runs are kept.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.parts.store
    }

    /// What turns may use.
    pub fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    /// The operator's values for the prompts' variables.
    pub fn variables(&self) -> &Map<String, Value> {
        &self.parts.variables
    }

    /// What time it is.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// Starts a turn.
    ///
    /// What can be known to be wrong beforehand (no such agent, a variable of the wrong type,
    /// content the agent does not take, a busy session where those are refused) is refused
    /// here, before anything is recorded and before the model is asked.
    ///
    /// # Errors
    /// [`Failure`] with the code that fits.
    pub async fn start(self: &Arc<Self>, request: TurnRequest) -> Result<Arc<Run>, Failure> {
        // Held from before the look at `draining`: a drain that begins now waits for this turn.
        let _starting = self.tasks.token();
        if self.is_draining() {
            return Err(Failure::new(
                FailureCode::ShuttingDown,
                "the server is shutting down and takes no new turns",
            ));
        }
        if self.running_count() >= self.parts.limits.max_running {
            return Err(Failure::new(
                FailureCode::Overloaded,
                "the server is doing as many turns as it may; try again later",
            ));
        }
        let plan = turn::plan(self, &request).await?;
        let owner = Arc::clone(&request.owner);
        let session_id = match &request.session {
            SessionChoice::None => None,
            SessionChoice::New => Some(SessionId::random()),
            SessionChoice::Open(id) | SessionChoice::Existing(id) => Some(id.clone()),
        };
        let seat = match &session_id {
            None => None,
            Some(id) => Some(self.sessions.seat(&owner, id, self.parts.limits.when_busy)?),
        };
        let (run, client_results) = Run::new(
            RunId::new(),
            Arc::clone(&owner),
            session_id,
            Arc::clone(&plan.agent),
            self.stop.child_token(),
        );
        let run = Arc::new(run);
        let turn = Turn::new(Arc::clone(self), Arc::clone(&run), request, plan, client_results);
        turn.announce().await?;
        self.running
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(run.id(), Arc::clone(&run));
        let engine = Arc::clone(self);
        self.tasks.spawn(async move {
            let id = turn.run_id();
            turn.perform(seat).await;
            // Only now: a run that is not here must be found in the store.
            engine.running.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
        Ok(run)
    }

    /// The run of that name, if the owner has one that is still at work.
    pub fn running(&self, owner: &Owner, id: RunId) -> Option<Arc<Run>> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.get(&id).filter(|run| run.owner() == owner).cloned()
    }

    /// How many turns are at work.
    pub fn running_count(&self) -> usize {
        self.running.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What is known of a run.
    ///
    /// # Errors
    /// [`FailureCode::UnknownRun`] where the owner has none of that name;
    /// [`FailureCode::StoreUnavailable`].
    pub async fn run(&self, owner: &Owner, id: RunId) -> Result<RunRecord, Failure> {
        let mut record = self.parts.store.run(owner, id).await?.ok_or_else(unknown_run)?;
        if record.status == RunStatus::Interrupted {
            // Nobody was left to write down how it ended.
            record.failure.get_or_insert_with(|| (FailureCode::Interrupted, INTERRUPTED.into()));
        }
        Ok(record)
    }

    /// Follows a run from the event after the one with id `after` (0 for all).
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn follow(&self, owner: &Owner, id: RunId, after: u64) -> Result<Follow, Failure> {
        if let Some(run) = self.running(owner, id) {
            return Ok(Follow::Live(run.follow(after)));
        }
        // A run leaves the map only after it is stored, so what is not here is there.
        let record = self.run(owner, id).await?;
        let mut events = self.parts.store.run_events(owner, id, after).await?;
        if events.is_empty() {
            events.extend(ending(&record).filter(|ending| ending.id > after));
        }
        Ok(Follow::Stored(events))
    }

    /// Whether a turn of this session is at work.
    pub fn is_session_busy(&self, owner: &Owner, id: &SessionId) -> bool {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        running.values().any(|run| run.owner() == owner && run.session_id() == Some(id))
    }

    /// A session, or the failure that says there is none.
    ///
    /// # Errors
    /// [`FailureCode::UnknownSession`], [`FailureCode::StoreUnavailable`].
    pub async fn session(&self, owner: &Owner, id: &SessionId) -> Result<Session, Failure> {
        self.parts
            .store
            .session(owner, id)
            .await?
            .ok_or_else(|| Failure::new(FailureCode::UnknownSession, "there is no such session"))
    }

    /// Takes no more turns.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.tasks.close();
    }

    /// Whether new turns are refused because the process is stopping.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Waits for the turns at work to end. Those that have not after `grace` are cancelled,
    /// stored as such, and waited for as well.
    pub async fn drain(&self, grace: Duration) {
        self.begin_drain();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            self.stop.cancel();
            self.tasks.wait().await;
        }
    }
}

/// How a run ended whose events are not kept: it failed before anything was said, or the
/// process died in the middle of it.
fn ending(record: &RunRecord) -> Option<LoggedEvent> {
    let (code, message) = record.failure.clone()?;
    let id = if record.status == RunStatus::Interrupted { AFTER_ALL } else { 1 };
    Some(LoggedEvent { id, event: TurnEvent::failed(&Failure::new(code, message)) })
}

/// What is said of a run whose process died.
const INTERRUPTED: &str = "the server stopped in the middle of the run; send the message again";

/// The id of the end of a run whose process died. How many events went out before is not known, and
/// whoever saw some of them must learn the end, once: so it comes after all of them. It is the
/// largest number that JavaScript holds exactly.
const AFTER_ALL: u64 = (1 << 53) - 1;

fn unknown_run() -> Failure {
    Failure::new(FailureCode::UnknownRun, "there is no such run").param("run_id")
}
