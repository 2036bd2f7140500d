//! The HTTP tool.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bartizan_engine::ports::{
    model::ToolSpec,
    tool::{Tool, ToolContext, ToolError},
};
use bartizan_net::{BodyError, Client, EgressError, read_limited, read_prefix};
use reqwest::{
    Response,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    breaker::Breaker,
    handlers::HttpHandler,
    request::{Planned, plan},
    retry::retry_after,
};

/// How much of a failed response the model sees, in bytes.
const SHOWN: usize = 512;

/// Credentials of fewer bytes are left in answers.
const SHORTEST_SECRET: usize = 8;

/// What stands where something private was.
const REDACTED: &str = "[REDACTED]";

const TOOL_NAME: HeaderName = HeaderName::from_static("x-omnia-tool-name");
const TOOL_REGISTRY: HeaderName = HeaderName::from_static("x-omnia-tool-registry");
const SESSION_ID: HeaderName = HeaderName::from_static("x-omnia-session-id");
const AGENT_NAME: HeaderName = HeaderName::from_static("x-omnia-agent-name");

/// What an HTTP tool may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// The largest response, in bytes after decompression. A larger one is an error, not cut.
    pub response_bytes: usize,
    /// The longest that one attempt may take where the tool file says nothing.
    pub timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self { response_bytes: 10 * 1024 * 1024, timeout: Duration::from_secs(30) }
    }
}

/// A tool that calls `handler`'s endpoint through `client`.
///
/// # Errors
/// [`EgressError`] where the client's policy does not permit the endpoint.
pub fn http_tool(
    handler: HttpHandler,
    client: Client,
    limits: HttpLimits,
) -> Result<Arc<dyn Tool>, EgressError> {
    client.policy().check_url(handler.url.endpoint())?;
    Ok(Arc::new(HttpTool { handler, client, limits, breaker: Breaker::default() }))
}

struct HttpTool {
    handler: HttpHandler,
    client: Client,
    limits: HttpLimits,
    breaker: Breaker,
}

/// Why an attempt failed, and what that means for the next.
struct Failure {
    error: ToolError,
    kind: FailureKind,
}

enum FailureKind {
    /// The server answered with this status.
    Status { status: u16, retry_after: Option<Duration> },
    /// The server could not be reached, or stopped in the middle, or took too long.
    Network,
    /// The server answered, but not so that it can be used.
    Answer,
    /// The policy kept the call from leaving.
    Refused,
}

#[async_trait]
impl Tool for HttpTool {
    fn spec(&self) -> &ToolSpec {
        &self.handler.spec
    }

    async fn call(&self, arguments: &Value, context: &ToolContext) -> Result<Value, ToolError> {
        let planned = plan(&self.handler, arguments)?;
        tokio::select! {
            biased;
            () = context.cancelled.cancelled() => Err(ToolError::new("the call was cancelled")),
            result = self.run(&planned, context) => result,
        }
    }
}

impl HttpTool {
    async fn run(&self, planned: &Planned, context: &ToolContext) -> Result<Value, ToolError> {
        let (headers, credential) = self.headers(planned, context).await?;
        let policy = &self.handler.retry;
        let mut attempt = 1;
        let mut last = None;
        loop {
            let leave = match self.breaker.attempt() {
                Ok(leave) => leave,
                // What just opened the circuit says more than that it is open.
                Err(rest) => return Err(last.unwrap_or_else(|| resting(rest))),
            };
            let failure = match self.attempt(planned, &headers, &credential).await {
                Ok(value) => {
                    leave.succeeded();
                    return Ok(value);
                }
                Err(failure) => failure,
            };
            let (again, asked) = match failure.kind {
                FailureKind::Network => {
                    leave.failed();
                    (policy.retry_on_network_error, None)
                }
                FailureKind::Status { status, retry_after } => {
                    if status >= 500 {
                        leave.failed()
                    } else {
                        leave.succeeded()
                    }
                    (policy.retry_on.contains(&status), retry_after)
                }
                FailureKind::Answer => {
                    leave.succeeded();
                    (false, None)
                }
                FailureKind::Refused => (false, None),
            };
            tracing::debug!(
                tool = self.handler.spec.name,
                attempt,
                error = failure.error.message,
                detail = failure.error.detail,
                "tool call failed"
            );
            if !again || attempt >= policy.max_attempts {
                return Err(failure.error);
            }
            tokio::time::sleep(policy.wait(attempt, asked)).await;
            last = Some(failure.error);
            attempt += 1;
        }
    }

    /// All headers of a call, those that count more later: content type, the file's, credentials,
    /// ours, and the arguments'. With them the credential, to keep it out of messages.
    async fn headers(
        &self,
        planned: &Planned,
        context: &ToolContext,
    ) -> Result<(HeaderMap, Zeroizing<String>), ToolError> {
        let handler = &self.handler;
        let mut headers = HeaderMap::new();
        if planned.body.is_some() {
            headers.insert(CONTENT_TYPE, handler.content_type.clone());
        }
        headers.extend(handler.headers.clone());
        let mut credential = Zeroizing::default();
        if let Some(auth) = &handler.auth {
            let (value, sent) = auth.header_value().await.map_err(|error| {
                ToolError::new("this tool's credentials are not available on the server")
                    .detail(error)
            })?;
            headers.insert(auth.header.clone(), value);
            credential = sent;
        }
        let session = context.session_id.as_ref().map(|id| id.as_str());
        for (name, value) in [
            (TOOL_NAME, Some(handler.spec.name.as_str())),
            (TOOL_REGISTRY, Some(handler.name.as_str())),
            (SESSION_ID, session),
            (AGENT_NAME, Some(&*context.agent)),
        ] {
            // A name with a line break cannot be told; the call goes on without it.
            if let Some(value) =
                value.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok())
            {
                headers.insert(name, value);
            }
        }
        headers.extend(planned.headers.clone());
        Ok((headers, credential))
    }

    async fn attempt(
        &self,
        planned: &Planned,
        headers: &HeaderMap,
        credential: &str,
    ) -> Result<Value, Failure> {
        let timeout = self.handler.timeout.unwrap_or(self.limits.timeout);
        let exchange = async {
            let response = self.send(planned, headers).await?;
            self.read(response, credential).await
        };
        tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| {
            Err(Failure {
                error: ToolError::new(format!("no answer within {} s", timeout.as_secs_f64())),
                kind: FailureKind::Network,
            })
        })
    }

    async fn send(&self, planned: &Planned, headers: &HeaderMap) -> Result<Response, Failure> {
        let refused = |refusal: &EgressError| Failure {
            error: ToolError::new(EgressError::PUBLIC).detail(refusal),
            kind: FailureKind::Refused,
        };
        let mut request = self
            .client
            .request(self.handler.method.clone(), planned.url.clone())
            .map_err(|refusal| refused(&refusal))?
            .headers(headers.clone());
        if let Some(body) = &planned.body {
            request = request.body(body.clone());
        }
        request.send().await.map_err(|error| match EgressError::within(&error) {
            Some(refusal) => refused(refusal),
            None => network("the tool's server cannot be reached", error),
        })
    }

    async fn read(&self, response: Response, credential: &str) -> Result<Value, Failure> {
        let status = response.status();
        if !status.is_success() {
            let retry_after = retry_after(response.headers());
            // A body that breaks off still has a status.
            let body = read_prefix(response, SHOWN + credential.len()).await.unwrap_or_default();
            let shown = shown(&body, credential);
            let error = ToolError::new(format!("HTTP {}: {shown}", status.as_u16()));
            let kind = FailureKind::Status { status: status.as_u16(), retry_after };
            return Err(Failure { error, kind });
        }
        let body = read_limited(response, self.limits.response_bytes).await;
        let body = body.map_err(|error| match error {
            BodyError::TooLarge { .. } => {
                Failure { error: ToolError::new(error.to_string()), kind: FailureKind::Answer }
            }
            BodyError::Interrupted(error) => network("the tool's answer broke off", error),
        })?;
        // A server that repeats requests would have the credential stored and shown. One that is so
        // short is a word like others, and to take those out would falsify the answer.
        let credential = if credential.len() < SHORTEST_SECRET { "" } else { credential };
        let Ok(mut value) = serde_json::from_slice(&body) else {
            return Ok(without(String::from_utf8_lossy(&body).into_owned(), credential).into());
        };
        hide(&mut value, credential);
        if let Value::Object(fields) = &mut value {
            for name in &self.handler.redact {
                if let Some(field) = fields.get_mut(name) {
                    *field = REDACTED.into();
                }
            }
        }
        match &self.handler.response_mapping {
            Some(mapping) => mapping.apply(&value).map_err(|fault| Failure {
                error: ToolError::new("the tool's answer does not have the expected shape")
                    .detail(fault),
                kind: FailureKind::Answer,
            }),
            None => Ok(value),
        }
    }
}

/// The first [`SHOWN`] bytes of a failed response, without the credential, which a server that
/// echoes requests would send back. `body` holds enough for a credential at the cut to be whole.
fn shown(body: &[u8], credential: &str) -> String {
    let mut text = without(String::from_utf8_lossy(body).into_owned(), credential);
    text.truncate(text.floor_char_boundary(SHOWN));
    text
}

/// The text without the credential.
fn without(text: String, credential: &str) -> String {
    if credential.is_empty() || !text.contains(credential) {
        return text;
    }
    text.replace(credential, REDACTED)
}

/// Takes the credential out of a JSON answer, however the server escaped it. As deep as the parser
/// goes, which has a limit.
fn hide(value: &mut Value, credential: &str) {
    match value {
        Value::String(text) => *text = without(std::mem::take(text), credential),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, credential)),
        Value::Object(fields) => {
            if !credential.is_empty() && fields.keys().any(|name| name.contains(credential)) {
                let renamed = |(name, value)| (without(name, credential), value);
                *fields = std::mem::take(fields).into_iter().map(renamed).collect();
            }
            fields.values_mut().for_each(|field| hide(field, credential));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn network(message: &str, error: reqwest::Error) -> Failure {
    // The URL holds arguments, which are nobody's business in the log.
    let mut detail = String::new();
    let error = error.without_url();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        if !detail.is_empty() {
            detail.push_str(": ");
        }
        detail.push_str(&error.to_string());
        cause = error.source();
    }
    Failure { error: ToolError::new(message).detail(detail), kind: FailureKind::Network }
}

fn resting(rest: Duration) -> ToolError {
    let seconds = rest.as_secs() + 1;
    ToolError::new(format!("this tool keeps failing and is resting; try again in {seconds} s"))
}
