//! The tool file, read and checked.

use std::{collections::BTreeSet, time::Duration};

use bartizan_engine::ports::model::ToolSpec;
use reqwest::{
    Method,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE,
        TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};
use serde_json::{Map, Value, json};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    auth::{Auth, AuthScheme, AuthSource},
    duration, file,
    mapping::Mapping,
    retry::RetryPolicy,
    template::UrlTemplate,
};

/// What a tool file binds.
#[derive(Clone, Debug, Default)]
pub struct ToolFile {
    /// Tools behind HTTP.
    pub http: Vec<HttpHandler>,
    /// Tools that the caller runs.
    pub client: Vec<ClientHandler>,
    /// What this release does not run. Whoever loads the file must say so.
    pub unsupported: Vec<Unsupported>,
}

/// A tool behind HTTP.
#[derive(Clone, Debug)]
pub struct HttpHandler {
    /// The handler's name, which is not the tool's.
    pub name: String,
    /// The tool as the model sees it.
    pub spec: ToolSpec,
    /// The method.
    pub method: Method,
    /// The URL, with places for arguments.
    pub url: UrlTemplate,
    /// The longest that one attempt may take; unset, the server's default.
    pub timeout: Option<Duration>,
    /// Sent with every call. Marked as sensitive, for they may hold keys.
    pub headers: HeaderMap,
    /// The type of the body.
    pub content_type: HeaderValue,
    /// The credentials.
    pub auth: Option<Auth>,
    /// Arguments that go into the query of a request that has a body.
    pub query_params: Vec<String>,
    /// Arguments that go into headers.
    pub header_params: Vec<(String, HeaderName)>,
    /// Query parameters of every call.
    pub static_query: Vec<(String, String)>,
    /// Fields of every body.
    pub static_body: Map<String, Value>,
    /// Reshapes the body before it is sent.
    pub body_mapping: Option<Mapping>,
    /// Reshapes the response before the model sees it.
    pub response_mapping: Option<Mapping>,
    /// Top-level fields of the response that nobody sees.
    pub redact: Vec<String>,
    /// When to try again.
    pub retry: RetryPolicy,
}

/// A tool that the caller runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientHandler {
    /// The handler's name, which is not the tool's.
    pub name: String,
    /// The tool as the model sees it.
    pub spec: ToolSpec,
    /// What the person is asked before the call.
    pub consent_message: Option<String>,
    /// Kinds of consent that the call needs.
    pub categories: Vec<String>,
}

/// A handler that this release does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The handler's name.
    pub handler: String,
    /// The tool's name, where the file says it.
    pub tool: Option<String>,
    /// Its type, for example `mcp`.
    pub kind: String,
    /// Why not, for the operator.
    pub reason: String,
}

/// What is wrong with a tool file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolFileError {
    /// Not YAML, or not of the right shape.
    #[error("tool file: {0}")]
    Shape(String),
    /// Of the right shape, but with a value that makes no sense.
    #[error("tool file: {path}: {reason}")]
    Value {
        /// Where, for example `handlers[2].httpConfig.method`.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl ToolFile {
    /// Reads a tool file: YAML, of which JSON is a part.
    ///
    /// # Errors
    /// [`ToolFileError`], with the path to the fault. Its message holds no credential.
    pub fn parse(text: &str) -> Result<Self, ToolFileError> {
        let file = shape(text)?;
        let mut tools = Self::default();
        if file.tools.is_some_and(|tools| !tools.is_empty()) {
            tools.unsupported.push(Unsupported {
                handler: "tools".into(),
                tool: None,
                kind: "list".into(),
                reason: "the old `tools` list is not read; use `handlers`".into(),
            });
        }
        let mut names = BTreeSet::new();
        for (index, handler) in file.handlers.unwrap_or_default().into_iter().enumerate() {
            let at = Path(format!("handlers[{index}]"));
            if let Some(tool) = &handler.tool
                && !names.insert(tool.name.clone())
            {
                let reason = format!("a tool named `{}` is bound already", tool.name);
                return Err(at.key("tool.name").fault(reason));
            }
            tools.add(&at, handler)?;
        }
        Ok(tools)
    }

    /// The hosts that the file names. Naming one lists it: give each to
    /// [`EgressPolicy::allowing`](bartizan_net::EgressPolicy::allowing).
    pub fn endpoints(&self) -> impl Iterator<Item = &Url> {
        self.http.iter().map(|handler| handler.url.endpoint())
    }

    fn add(&mut self, at: &Path, handler: file::Handler) -> Result<(), ToolFileError> {
        if handler.name.is_empty() {
            return Err(at.key("name").fault("it is empty"));
        }
        let blocks = [
            ("http", "httpConfig", handler.http_config.is_some()),
            ("grpc", "grpcConfig", handler.grpc_config.is_some()),
            ("mcp", "mcpConfig", handler.mcp_config.is_some()),
            ("openapi", "openAPIConfig", handler.open_api_config.is_some()),
            ("client", "clientConfig", handler.client_config.is_some()),
        ];
        if !blocks.iter().any(|(kind, ..)| *kind == handler.kind) {
            let reason = format!(
                "`{}` is no handler type; there are http, client, grpc, mcp and openapi",
                handler.kind
            );
            return Err(at.key("type").fault(reason));
        }
        for (kind, block, present) in blocks {
            if present && kind != handler.kind {
                let reason = format!("a handler of type `{}` has no such block", handler.kind);
                return Err(at.key(block).fault(reason));
            }
        }
        match handler.kind.as_str() {
            "http" => {
                let auth = handler.http_config.as_ref().and_then(|http| http.auth_type.as_deref());
                if auth.is_some_and(|auth| auth.eq_ignore_ascii_case("workloadIdentity")) {
                    let reason = "`authType: workloadIdentity` is not run in this release";
                    self.unsupported.push(unsupported(handler, reason));
                } else {
                    self.http.push(http(at, handler)?);
                }
            }
            "client" => self.client.push(client(at, handler)?),
            kind => {
                let reason = format!("handlers of type `{kind}` are not run in this release");
                self.unsupported.push(unsupported(handler, reason));
            }
        }
        Ok(())
    }
}

fn shape(text: &str) -> Result<file::File, ToolFileError> {
    let mut at = None;
    let read = serde_saphyr::with_deserializer_from_str(text, |yaml| {
        serde_path_to_error::deserialize::<_, file::File>(yaml).map_err(|error| {
            at = Some(error.path().to_string());
            error.into_inner()
        })
    });
    read.map_err(|error| {
        // Without the library's picture of the lines around the fault, which may show a token.
        let error = error.render_with_options(serde_saphyr::render_options! {
            snippets: serde_saphyr::SnippetMode::Off,
        });
        ToolFileError::Shape(match at.filter(|path| path != ".") {
            Some(path) => format!("{path}: {error}"),
            None => error,
        })
    })
}

fn unsupported(handler: file::Handler, reason: impl Into<String>) -> Unsupported {
    Unsupported {
        handler: handler.name,
        tool: handler.tool.map(|tool| tool.name),
        kind: handler.kind,
        reason: reason.into(),
    }
}

fn client(at: &Path, handler: file::Handler) -> Result<ClientHandler, ToolFileError> {
    if given(handler.endpoint).is_some() {
        return Err(at.key("endpoint").fault("a tool that the caller runs has no endpoint"));
    }
    let (consent_message, categories) = match handler.client_config {
        Some(config) => (given(config.consent_message), config.categories.unwrap_or_default()),
        None => (None, Vec::new()),
    };
    let spec = spec(at, handler.tool)?;
    Ok(ClientHandler { name: handler.name, spec, consent_message, categories })
}

fn http(at: &Path, handler: file::Handler) -> Result<HttpHandler, ToolFileError> {
    let spec = spec(at, handler.tool)?;
    let timeout = time(&at.key("timeout"), handler.timeout)?.filter(|time| !time.is_zero());
    let at = at.key("httpConfig");
    let config = handler.http_config.ok_or_else(|| at.fault("it is missing"))?;
    let auth = auth(&at, &config)?;
    let retry = config.retry_policy.map(|policy| retry(&at.key("retryPolicy"), policy));

    let endpoint = given(config.endpoint).or_else(|| given(handler.endpoint));
    let (key, template) = match given(config.url_template) {
        Some(template) => ("urlTemplate", template),
        None => {
            let endpoint = endpoint.clone();
            ("endpoint", endpoint.ok_or_else(|| at.key("endpoint").fault("it is missing"))?)
        }
    };
    let url = UrlTemplate::parse(&template, endpoint.as_deref());

    let mut header_params = Vec::new();
    for (argument, header) in config.header_params.unwrap_or_default() {
        let at = at.key("headerParams").key(&argument);
        let header = header_name(&at, &header)?;
        if auth.as_ref().is_some_and(|auth| auth.header == header) {
            return Err(at.fault("an argument cannot take the place of the credentials"));
        }
        header_params.push((argument, header));
    }
    let mut headers = HeaderMap::new();
    for (header, value) in config.headers.unwrap_or_default() {
        let at = at.key("headers").key(&header);
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| at.fault("the value holds characters that no header takes"))?;
        value.set_sensitive(true);
        headers.insert(header_name(&at, &header)?, value);
    }
    let content_type = given(config.content_type).unwrap_or_else(|| "application/json".into());
    let mapping = |key, expression| match given(expression) {
        Some(expression) => {
            Mapping::parse(&expression).map(Some).map_err(|reason| at.key(key).fault(reason))
        }
        None => Ok(None),
    };
    Ok(HttpHandler {
        name: handler.name,
        spec,
        method: method(&at.key("method"), given(config.method))?,
        url: url.map_err(|error| at.key(key).fault(error))?,
        timeout,
        headers,
        content_type: HeaderValue::from_str(&content_type)
            .map_err(|_| at.key("contentType").fault("it holds characters that no header takes"))?,
        auth,
        query_params: config.query_params.unwrap_or_default(),
        header_params,
        static_query: config.static_query.unwrap_or_default().into_iter().collect(),
        static_body: match config.static_body {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(fields)) => fields,
            Some(_) => return Err(at.key("staticBody").fault("it is no object")),
        },
        body_mapping: mapping("bodyMapping", config.body_mapping)?,
        response_mapping: mapping("responseMapping", config.response_mapping)?,
        redact: config.redact.unwrap_or_default(),
        retry: retry.transpose()?.unwrap_or_default(),
    })
}

fn spec(at: &Path, tool: Option<file::Tool>) -> Result<ToolSpec, ToolFileError> {
    let at = at.key("tool");
    let tool = tool.ok_or_else(|| at.fault("it is missing"))?;
    // What every provider takes; the name also goes into a header.
    let fits = (1..=64).contains(&tool.name.len())
        && tool.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if !fits {
        return Err(at
            .key("name")
            .fault("a tool's name is 1 to 64 letters, digits, `_`, `-`, `.`"));
    }
    let parameters = match tool.input_schema {
        None | Some(Value::Null) => json!({"type": "object", "properties": {}}),
        Some(schema @ Value::Object(_)) => schema,
        Some(_) => return Err(at.key("inputSchema").fault("it is no JSON Schema object")),
    };
    Ok(ToolSpec { name: tool.name, description: tool.description.unwrap_or_default(), parameters })
}

fn auth(at: &Path, config: &file::HttpConfig) -> Result<Option<Auth>, ToolFileError> {
    let inline = config.auth_token.as_ref().filter(|token| !token.is_empty());
    let path = config.auth_token_path.as_ref().filter(|path| !path.is_empty());
    let header = config.auth_header.as_ref().filter(|header| !header.is_empty());
    let scheme = match config.auth_type.as_deref().unwrap_or_default().to_ascii_lowercase() {
        none if none.is_empty() => {
            if inline.is_some() || path.is_some() {
                return Err(at
                    .key("authType")
                    .fault("there is a token, but no `bearer` or `basic`"));
            }
            return Ok(None);
        }
        bearer if bearer == "bearer" => AuthScheme::Bearer,
        basic if basic == "basic" => AuthScheme::Basic,
        other => {
            let reason = format!("`{other}` is neither `bearer` nor `basic`");
            return Err(at.key("authType").fault(reason));
        }
    };
    let source = match (path, inline) {
        (Some(path), None) => AuthSource::File(path.into()),
        (None, Some(token)) => AuthSource::Inline(Zeroizing::new(token.clone())),
        (Some(_), Some(_)) => {
            return Err(at.key("authToken").fault("`authTokenPath` is set too; leave one out"));
        }
        (None, None) => {
            return Err(at.key("authTokenPath").fault("neither it nor `authToken` is set"));
        }
    };
    let header = match header {
        Some(header) => header_name(&at.key("authHeader"), header)?,
        None => AUTHORIZATION,
    };
    Ok(Some(Auth { scheme, source, header }))
}

fn retry(at: &Path, policy: file::RetryPolicy) -> Result<RetryPolicy, ToolFileError> {
    let default = RetryPolicy::default();
    let max_attempts = policy.max_attempts.unwrap_or(default.max_attempts).max(1);
    if max_attempts > 20 {
        return Err(at.key("maxAttempts").fault("more than 20 attempts"));
    }
    let backoff_multiplier = policy.backoff_multiplier.unwrap_or(default.backoff_multiplier);
    if !(1.0..=100.0).contains(&backoff_multiplier) {
        return Err(at.key("backoffMultiplier").fault("it is not from 1 to 100"));
    }
    let initial = time(&at.key("initialBackoff"), policy.initial_backoff)?;
    let most = time(&at.key("maxBackoff"), policy.max_backoff)?;
    Ok(RetryPolicy {
        max_attempts,
        initial_backoff: initial.unwrap_or(default.initial_backoff),
        backoff_multiplier,
        max_backoff: most.unwrap_or(default.max_backoff),
        retry_on: policy.retry_on.unwrap_or(default.retry_on),
        retry_on_network_error: policy
            .retry_on_network_error
            .unwrap_or(default.retry_on_network_error),
        respect_retry_after: policy.respect_retry_after.unwrap_or(default.respect_retry_after),
    })
}

fn method(at: &Path, name: Option<String>) -> Result<Method, ToolFileError> {
    let Some(name) = name else { return Ok(Method::POST) };
    match name.to_ascii_uppercase().as_str() {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        "OPTIONS" => Ok(Method::OPTIONS),
        _ => Err(at.fault(format!("`{name}` is no method that a tool may use"))),
    }
}

/// A header's name, if it is one that a tool file may set: what frames the message or says where
/// it goes is ours.
fn header_name(at: &Path, name: &str) -> Result<HeaderName, ToolFileError> {
    let header: HeaderName =
        name.parse().map_err(|_| at.fault(format!("`{name}` is no header name")))?;
    let ours = [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    if ours.contains(&header) || header.as_str().starts_with("proxy-") {
        return Err(at.fault(format!("the header `{name}` cannot be set here")));
    }
    Ok(header)
}

fn time(at: &Path, text: Option<String>) -> Result<Option<Duration>, ToolFileError> {
    let Some(text) = given(text) else { return Ok(None) };
    let time = duration::parse(&text)
        .ok_or_else(|| at.fault(format!("`{text}` is no time such as `500ms` or `1m30s`")))?;
    Ok(Some(time))
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Where in the file we are.
struct Path(String);

impl Path {
    fn key(&self, key: &str) -> Self {
        Self(format!("{}.{key}", self.0))
    }

    fn fault(&self, reason: impl ToString) -> ToolFileError {
        ToolFileError::Value { path: self.0.clone(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests;
