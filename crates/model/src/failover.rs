//! The next model in the list.

use std::sync::Arc;

use async_trait::async_trait;
use bartizan_engine::ports::model::{
    Model, ModelError, ModelErrorKind, ModelInfo, ModelRequest, ModelStream,
};

/// Several models as one: each is asked in order until one begins to answer.
///
/// A model that refuses the request as such ([`Rejected`](ModelErrorKind::Rejected),
/// [`ContextTooLong`](ModelErrorKind::ContextTooLong),
/// [`Unsupported`](ModelErrorKind::Unsupported)) ends it: that is the answer. Once an answer began
/// there is no next model. The error of the last model asked is the error of the whole.
pub fn failover(mut models: Vec<Arc<dyn Model>>) -> Arc<dyn Model> {
    match models.pop() {
        Some(only) if models.is_empty() => only,
        Some(last) => Arc::new(Failover { first_choices: models, last }),
        None => Arc::new(Nobody),
    }
}

struct Failover {
    /// At least one.
    first_choices: Vec<Arc<dyn Model>>,
    last: Arc<dyn Model>,
}

#[async_trait]
impl Model for Failover {
    fn info(&self) -> ModelInfo {
        self.first_choices.first().unwrap_or(&self.last).info()
    }

    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        for model in &self.first_choices {
            match model.ask(request.clone()).await {
                Err(error) if another_may_answer(error.kind) => tracing::warn!(
                    run_id = %request.run_id,
                    provider = %error.provider,
                    kind = ?error.kind,
                    status = error.status,
                    "the model did not answer; asking the next one"
                ),
                answer => return answer,
            }
        }
        self.last.ask(request).await
    }
}

fn another_may_answer(kind: ModelErrorKind) -> bool {
    !matches!(
        kind,
        ModelErrorKind::Rejected | ModelErrorKind::ContextTooLong | ModelErrorKind::Unsupported
    )
}

/// What an empty list is.
struct Nobody;

#[async_trait]
impl Model for Nobody {
    fn info(&self) -> ModelInfo {
        ModelInfo { provider: "none".to_owned(), model: "none".to_owned(), mock: false }
    }

    async fn ask(&self, _request: ModelRequest) -> Result<ModelStream, ModelError> {
        Err(ModelError {
            kind: ModelErrorKind::Unavailable,
            provider: "none".to_owned(),
            status: None,
            provider_code: None,
            message: "no model is configured".to_owned(),
            retry_after: None,
        })
    }
}
