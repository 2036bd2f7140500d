//! The adapter: a request in, the provider's answer out.
//!
//! The wire formats are `genai`'s, wrapped here so that nobody else sees its types. What it does
//! not do, or does otherwise than we promise, is made good in this folder, with the reason beside.
//!
//! # Layout
//!
//! - `target`: where and how to reach the provider.
//! - `request`, `output`, `media`, `state`: our request in `genai`'s words.
//! - `answer`: a streamed answer; `whole`: one that is not; `calls`: tool calls from their pieces.
//! - `error`: what a failure says once everything private is gone; `quiet`: no log of `genai`'s.

mod answer;
mod calls;
mod error;
mod media;
mod output;
mod quiet;
mod request;
mod state;
mod target;
mod whole;

use std::sync::Arc;

use async_trait::async_trait;
use bartizan_engine::{
    ports::model::{Model, ModelError, ModelErrorKind, ModelInfo, ModelRequest, ModelStream},
    usage::Usage,
};

pub(crate) use self::error::kind_of_status;
use self::{answer::Answer, error::Failure, request::Prepared, target::Target};
use crate::{
    circuit::{Circuit, Pass},
    prices::{Price, Prices},
    settings::{ApiKey, ModelSetupError, ProviderKind, ProviderSettings, RetryPolicy, Timeouts},
};

/// A provider's model, with its retries, time limits and circuit breaker.
///
/// The client keeps the connect timeout and the pool; one client may serve any number of providers.
///
/// # Errors
/// Settings with which no call could succeed.
pub fn provider(
    settings: ProviderSettings,
    client: reqwest::Client,
    prices: Arc<Prices>,
) -> Result<Arc<dyn Model>, ModelSetupError> {
    let settings = settings.bounded();
    let target = Target::new(&settings)?;
    let client = genai::Client::builder()
        .with_reqwest(client)
        .build()
        .map_err(|_| ModelSetupError::Adapter { kind: settings.kind })?;
    let info = ModelInfo {
        provider: settings.kind.as_str().to_owned(),
        model: settings.model,
        mock: false,
    };
    let origin = Origin {
        kind: settings.kind,
        price: prices.of(&info.provider, &info.model),
        info,
        key: settings.api_key,
    };
    Ok(Arc::new(Provider {
        origin: Arc::new(origin),
        client,
        target,
        timeouts: settings.timeouts,
        retry: settings.retry,
        circuit: Circuit::new(settings.circuit),
    }))
}

struct Provider {
    origin: Arc<Origin>,
    client: genai::Client,
    target: Target,
    timeouts: Timeouts,
    retry: RetryPolicy,
    circuit: Arc<Circuit>,
}

/// What an answer and its errors need to know of where they come from.
struct Origin {
    kind: ProviderKind,
    info: ModelInfo,
    price: Option<Price>,
    /// To make sure that it is in no error.
    key: Option<ApiKey>,
}

impl Origin {
    fn error(&self, kind: ModelErrorKind, message: impl Into<String>) -> ModelError {
        ModelError {
            kind,
            provider: self.info.provider.clone(),
            status: None,
            provider_code: None,
            message: message.into(),
            retry_after: None,
        }
    }

    fn usage(&self, counted: &genai::chat::Usage) -> Usage {
        let count = |tokens: Option<i32>| u64::try_from(tokens.unwrap_or(0)).unwrap_or(0);
        let cached = counted.prompt_tokens_details.as_ref().and_then(|of| of.cached_tokens);
        let reasoning =
            counted.completion_tokens_details.as_ref().and_then(|of| of.reasoning_tokens);
        let mut usage = Usage {
            input_tokens: count(counted.prompt_tokens),
            // Gemini counts an answer that is nothing but thoughts here only.
            output_tokens: count(counted.completion_tokens.or(reasoning)),
            cached_tokens: count(cached),
            reasoning_tokens: count(reasoning),
            cost_usd: None,
        };
        usage.cost_usd = self.price.map(|price| price.cost(&usage));
        usage
    }
}

#[async_trait]
impl Model for Provider {
    fn info(&self) -> ModelInfo {
        self.origin.info.clone()
    }

    async fn ask(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let mut attempts = 0;
        loop {
            // Translated anew for each attempt, since an attempt uses its request up and a copy
            // kept for a second one would nearly always be made for nothing.
            let prepared = request::prepare(&self.origin, self.target.is_openai(), &request)?;
            let pass = self.circuit.enter().map_err(|wait| self.left_alone(wait))?;
            attempts += 1;
            let failure = match self.attempt(prepared, request.stream, pass).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Failure { error, again } = failure;
            let again = again && !self.circuit.is_open();
            let pause = again.then(|| self.retry.pause(attempts, error.retry_after)).flatten();
            let Some(pause) = pause else { return Err(error) };
            tracing::debug!(
                run_id = %request.run_id,
                provider = %error.provider,
                kind = ?error.kind,
                status = error.status,
                attempts,
                "asking the model again"
            );
            tokio::time::sleep(pause).await;
        }
    }
}

impl Provider {
    async fn attempt(
        &self,
        prepared: Prepared,
        streamed: bool,
        mut pass: Pass,
    ) -> Result<ModelStream, Failure> {
        let begun = if streamed {
            Answer::begin(self, prepared).await
        } else {
            whole::answer(self, prepared).await
        };
        match begun {
            Ok(answer) => {
                pass.began();
                Ok(answer.into_stream(pass))
            }
            Err(failure) => {
                pass.failed(failure.error.kind);
                Err(failure)
            }
        }
    }

    fn left_alone(&self, wait: std::time::Duration) -> ModelError {
        let mut error = self.origin.error(
            ModelErrorKind::Unavailable,
            "the provider failed repeatedly and is left alone for a while",
        );
        error.retry_after = Some(wait);
        error
    }
}
