//! The four methods of `omnia.runtime.v1.RuntimeService`.

use std::{pin::Pin, sync::Arc};

use bartizan_engine::{
    agent::Agent, engine::Engine, failure::Failure, identity::SessionId, owner::Owner, run::Run,
};
use futures::Stream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    Request, Response, Status, Streaming,
    metadata::{MetadataMap, MetadataValue},
};

use super::{
    CONTRACT_VERSION, GrpcSettings,
    conversation::Conversation,
    failure::{Refusal, in_words_of_wire, invalid, status},
    input,
    invoke::invoke,
    output,
    wire::{
        ClientMessage, HasConversationRequest, HasConversationResponse, HealthRequest,
        HealthResponse, InvocationRequest, InvocationResponse, ResumeState, ServerMessage,
        runtime_service_server::RuntimeService,
    },
};
use crate::identity::Caller;

/// Says in every response's metadata that the model is the mock.
const MOCK_HEADER: &str = "x-bartizan-mock";

/// What all calls share.
pub(super) struct Door {
    pub(super) engine: Arc<Engine>,
    pub(super) settings: GrpcSettings,
    /// On whose behalf turns are.
    pub(super) owner: Arc<Owner>,
    /// Cancelled when streams that are between turns should end.
    pub(super) closing: CancellationToken,
    /// The streams and calls that are open.
    pub(super) streams: TaskTracker,
}

impl Door {
    pub(super) fn new(engine: Arc<Engine>, settings: GrpcSettings) -> Self {
        Self {
            engine,
            settings,
            owner: Caller::local().owner,
            closing: CancellationToken::new(),
            streams: TaskTracker::new(),
        }
    }

    /// The agent that this door leads to.
    pub(super) fn agent(&self) -> Result<Arc<Agent>, Failure> {
        self.engine.catalogue().find(&self.settings.agent)
    }

    /// Begins the turn that a message asks for.
    pub(super) async fn begin(&self, message: ClientMessage) -> Result<Arc<Run>, Refusal> {
        let agent = self.agent()?;
        let said = if message.parts.is_empty() { "content" } else { "parts" };
        let turn = input::turn(&self.owner, &agent, message)?;
        let run = self.engine.start(turn).await;
        Ok(run.map_err(|failure| in_words_of_wire(failure, said, "metadata"))?)
    }

    /// Whether turns are taken and can be stored.
    pub(super) async fn is_ready(&self) -> bool {
        if self.engine.is_draining() {
            return false;
        }
        match self.engine.store().ready().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!("not ready: {error}");
                false
            }
        }
    }

    fn mark<T>(&self, mut response: Response<T>) -> Response<T> {
        self.mark_metadata(response.metadata_mut());
        response
    }

    fn mark_metadata(&self, metadata: &mut MetadataMap) {
        if self.engine.model_info().mock {
            metadata.insert(MOCK_HEADER, MetadataValue::from_static("true"));
        }
    }
}

/// The service.
#[derive(Clone)]
pub(super) struct Runtime(pub(super) Arc<Door>);

#[tonic::async_trait]
impl RuntimeService for Runtime {
    type ConverseStream = Pin<Box<dyn Stream<Item = Result<ServerMessage, Status>> + Send>>;

    async fn converse(
        &self,
        request: Request<Streaming<ClientMessage>>,
    ) -> Result<Response<Self::ConverseStream>, Status> {
        note_caller(request.metadata());
        let frames = Conversation::frames(Arc::clone(&self.0), request.into_inner());
        Ok(self.0.mark(Response::new(Box::pin(frames))))
    }

    async fn invoke(
        &self,
        request: Request<InvocationRequest>,
    ) -> Result<Response<InvocationResponse>, Status> {
        let _open = self.0.streams.token();
        match invoke(&self.0, request.into_inner()).await {
            Ok(answer) => Ok(self.0.mark(Response::new(answer))),
            Err(mut status) => {
                self.0.mark_metadata(status.metadata_mut());
                Err(status)
            }
        }
    }

    async fn health(&self, _: Request<HealthRequest>) -> Result<Response<HealthResponse>, Status> {
        let healthy = self.0.is_ready().await;
        Ok(Response::new(HealthResponse {
            healthy,
            status: if healthy { "ready" } else { "not ready" }.to_owned(),
            contract_version: CONTRACT_VERSION.to_owned(),
            capabilities: output::capabilities(),
        }))
    }

    async fn has_conversation(
        &self,
        request: Request<HasConversationRequest>,
    ) -> Result<Response<HasConversationResponse>, Status> {
        let session_id = request.into_inner().session_id;
        if session_id.is_empty() {
            return Err(status(&invalid("session_id", "is missing")));
        }
        let (state, detail) = self.resume_state(&session_id).await;
        Ok(Response::new(HasConversationResponse { state: state.into(), detail }))
    }
}

impl Runtime {
    /// What became of a conversation, and why where it cannot be said.
    async fn resume_state(&self, session_id: &str) -> (ResumeState, String) {
        let Door { engine, owner, .. } = self.0.as_ref();
        let Ok(id) = session_id.parse::<SessionId>() else {
            return (ResumeState::NotFound, String::new());
        };
        // A conversation whose first turn is at work is not stored yet.
        if engine.is_session_busy(owner, &id) {
            return (ResumeState::Resumable, String::new());
        }
        match engine.store().session(owner, &id).await {
            Ok(Some(_)) => (ResumeState::Resumable, String::new()),
            Ok(None) => (ResumeState::NotFound, String::new()),
            Err(error) => {
                tracing::warn!("a session could not be looked up: {error}");
                (ResumeState::Unavailable, Failure::from(error).message)
            }
        }
    }
}

/// Writes down how the facade names the connection, so that its log and ours can be read side by
/// side.
fn note_caller(metadata: &MetadataMap) {
    if let Some(request_id) = metadata.get("x-omnia-request-id") {
        tracing::debug!(?request_id, "a conversation begins");
    }
}
