//! Every setting there is: its name, type, default and meaning.
//!
//! The comments here are the reference: they are what `bartizan.schema.json` says of each key,
//! and what `config explain` prints. The names of the fields are the names in `bartizan.yaml`.

use std::collections::BTreeMap;

use bartizan_model::ProviderKind;
use bartizan_net::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Address, Place, Secret, Span};

/// The configuration of Bartizan.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "bartizan.yaml")]
pub struct Settings {
    /// The public HTTP door: OpenAI-compatible API and REST.
    pub http: Http,
    /// The gRPC door: `omnia.runtime.v1`.
    pub grpc: Grpc,
    /// The operations door: `/healthz`, `/readyz`, `/metrics`.
    pub ops: Ops,
    /// Where Bartizan keeps its files.
    pub data: Data,
    /// The packs to serve. Without any, the example that is built in.
    pub packs: Vec<Place>,
    /// What becomes of keys in a pack that no version of the format defines.
    pub pack_mode: PackMode,
    /// The prompt meant by a pack's name alone. Every pack that has no such prompt keeps its own
    /// entry; one of them must have it.
    pub prompt: Option<String>,
    /// The prompt meant by a pack's name alone where the pack names no entry of its own and has
    /// several prompts. Ignored where the pack has no such prompt.
    pub prompt_fallback: Option<String>,
    /// Values for the variables of prompts, by name, for callers that bring none: an ordinary
    /// OpenAI client has no place for them. A caller's own value wins.
    pub variables: BTreeMap<String, serde_json::Value>,
    /// The language model.
    pub provider: Provider,
    /// What models cost, in US dollars per million tokens, by `provider/model` or by model.
    pub prices: BTreeMap<String, Price>,
    /// The mock model, which answers when no provider is configured.
    pub mock: Mock,
    /// What the packs' tools are bound to.
    pub tools: Tools,
    /// Conversations that are kept.
    pub sessions: Sessions,
    /// What one turn, one request and all of them together may use.
    pub limits: Limits,
    /// What may be called beside public addresses and the configured provider and tools.
    pub egress: Egress,
    /// The log, on standard error.
    pub log: Log,
    /// The database.
    pub store: Store,
    /// How the server stops.
    pub shutdown: Shutdown,
    /// Who this runtime is within Omnia, for metrics.
    pub omnia: Omnia,
}

/// What becomes of keys in a pack that no version of the format defines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PackMode {
    /// The pack is refused.
    #[default]
    Strict,
    /// They are kept and warned of.
    Lenient,
}

/// The public HTTP door.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Where it listens. Loopback only in this release. Port 0 takes a free one.
    pub address: Address,
}

impl Default for Http {
    fn default() -> Self {
        Self { address: Address::loopback(8080) }
    }
}

/// The gRPC door.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Grpc {
    /// Where it listens. Loopback only in this release. Port 0 takes a free one.
    pub address: Address,
    /// The agent behind it, as `pack/prompt` or `pack`: the contract has no place to choose one.
    /// Without it, the entry of the first pack.
    pub agent: Option<String>,
    /// What `Invoke` answers.
    pub invoke: Invoke,
}

impl Default for Grpc {
    fn default() -> Self {
        Self { address: Address::loopback(9000), agent: None, invoke: Invoke::default() }
    }
}

/// What `Invoke` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Invoke {
    /// The shape of the answer.
    pub output: InvokeOutput,
    /// A file with the JSON Schema of the answer; for `json_schema`.
    pub schema: Option<Place>,
}

/// The shape of what `Invoke` answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvokeOutput {
    /// What the model says; where that is no JSON, as a JSON string.
    #[default]
    Text,
    /// A JSON object, which the model is asked for.
    Json,
    /// JSON that fits `grpc.invoke.schema`, which the model is asked for.
    JsonSchema,
}

/// The operations door.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ops {
    /// Where it listens. Loopback only in this release. Port 0 takes a free one.
    pub address: Address,
}

impl Default for Ops {
    fn default() -> Self {
        Self { address: Address::loopback(9001) }
    }
}

/// Where Bartizan keeps its files.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The directory of the database and of the terminal's history. It is made where there is
    /// none. The default stands beside the configuration file, or in the working directory where
    /// there is no such file.
    pub dir: Place,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: "./.bartizan".into() }
    }
}

/// The language model.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Provider {
    /// Who provides the model. Without it, the first of OpenAI, Anthropic and Gemini that has a
    /// key in the environment; without a key, the mock.
    pub r#type: Option<ProviderType>,
    /// The model's name at the provider. Each provider has a default.
    pub model: Option<String>,
    /// The provider's address, for servers that speak the provider's protocol.
    pub base_url: Option<String>,
    /// The key. Better in the environment or in a file.
    pub api_key: Option<Secret>,
    /// Headers sent with every call, by name. Their values are treated as secrets.
    pub headers: BTreeMap<String, Secret>,
    /// How long to wait for the provider.
    pub timeouts: Timeouts,
    /// What to do when the provider fails before its first token.
    pub retry: Retry,
    /// When to leave a failing provider alone.
    pub circuit: Circuit,
    /// Who answers, in this order, when the provider fails before its first token. The mock is
    /// never among them.
    pub failover: Vec<Fallback>,
}

/// Who provides a model.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ProviderType {
    /// OpenAI.
    #[serde(rename = "openai")]
    OpenAi,
    /// Any server that speaks OpenAI's chat completions (vLLM, llama.cpp, a gateway); needs
    /// `base_url`, and a key only where the server wants one.
    #[serde(rename = "openai-compatible")]
    OpenAiCompatible,
    /// Anthropic.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Google Gemini.
    #[serde(rename = "gemini")]
    Gemini,
    /// Ollama; needs no key.
    #[serde(rename = "ollama")]
    Ollama,
    /// The scripted mock; says in every answer that it is one.
    #[serde(rename = "mock")]
    Mock,
}

impl ProviderType {
    /// The protocol it speaks; none for the mock, which is no provider.
    pub fn kind(self) -> Option<ProviderKind> {
        match self {
            Self::OpenAi => Some(ProviderKind::OpenAi),
            Self::OpenAiCompatible => Some(ProviderKind::OpenAiCompatible),
            Self::Anthropic => Some(ProviderKind::Anthropic),
            Self::Gemini => Some(ProviderKind::Gemini),
            Self::Ollama => Some(ProviderKind::Ollama),
            Self::Mock => None,
        }
    }

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        self.kind().map_or("mock", ProviderKind::as_str)
    }

    /// The model asked where none is named; none where only the operator can know.
    pub fn default_model(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("gpt-4o"),
            Self::Anthropic => Some("claude-sonnet-4-20250514"),
            Self::Gemini => Some("gemini-2.5-flash"),
            Self::Ollama => Some("llama3.2"),
            Self::OpenAiCompatible | Self::Mock => None,
        }
    }
}

/// A provider that answers when those before it fail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Who provides the model.
    pub r#type: ProviderType,
    /// The model's name at the provider.
    pub model: Option<String>,
    /// The provider's address.
    pub base_url: Option<String>,
    /// The key. Without it, the usual name in the environment (`OPENAI_API_KEY` and so on).
    pub api_key: Option<Secret>,
    /// Headers sent with every call, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

/// How long to wait for the provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For the connection.
    pub connect: Span,
    /// For the first token of an answer.
    pub first_token: Span,
    /// For the next token of an answer that has begun.
    pub idle: Span,
    /// For the whole of an answer that is not streamed.
    pub answer: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        let model = bartizan_model::Timeouts::default();
        Self {
            connect: Span(model.connect),
            first_token: Span(model.first_token),
            idle: Span(model.idle),
            answer: Span(model.answer),
        }
    }
}

/// What to do when the provider fails before its first token.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// How often to ask, the first time included; at least 1.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles with every further one.
    pub initial_backoff: Span,
    /// The longest wait of all. A provider that asks for more is not asked again.
    pub max_backoff: Span,
}

impl Default for Retry {
    fn default() -> Self {
        let model = bartizan_model::RetryPolicy::default();
        Self {
            attempts: model.attempts,
            initial_backoff: Span(model.initial_backoff),
            max_backoff: Span(model.max_backoff),
        }
    }
}

/// When to leave a failing provider alone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Circuit {
    /// After so many failures in a row; 0 for never.
    pub failures: u32,
    /// For how long. After that one call may try.
    pub open_for: Span,
}

impl Default for Circuit {
    fn default() -> Self {
        let model = bartizan_model::CircuitPolicy::default();
        Self { failures: model.failures, open_for: Span(model.open_for) }
    }
}

/// What a model costs, in US dollars per million tokens.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens that the model reads.
    #[schemars(range(min = 0))]
    pub input: f64,
    /// Tokens that the model writes.
    #[schemars(range(min = 0))]
    pub output: f64,
    /// Tokens that the model reads from its cache; without it they cost as others do.
    #[schemars(range(min = 0))]
    pub cached_input: Option<f64>,
}

/// The mock model.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mock {
    /// The script of what it says: YAML or JSON. Without it, it says that it is a mock.
    pub file: Option<Place>,
}

/// What the packs' tools are bound to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tools {
    /// The tool file (`handlers:`).
    pub file: Option<Place>,
    /// What becomes of tools in the tool file that a pack does not speak of. In an Omnia pod the
    /// default is `offer`.
    pub unlisted: Unlisted,
}

/// What becomes of tools in the tool file that a pack does not speak of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unlisted {
    /// The pack's prompts are not offered them.
    #[default]
    Hide,
    /// Every prompt of the pack that does not block them is offered them.
    Offer,
}

/// Conversations that are kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Where they are kept.
    pub store: SessionStore,
    /// How long a session lives unused; 0 for ever.
    pub ttl: Span,
    /// What happens to a second turn on a session that has one running.
    pub when_busy: WhenBusy,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            store: SessionStore::Sqlite,
            ttl: Span::seconds(30 * 24 * 3600),
            when_busy: WhenBusy::Wait,
        }
    }
}

/// Where sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionStore {
    /// In one file in the data directory.
    Sqlite,
    /// In memory: they are gone when the process ends.
    Memory,
}

/// What happens to a second turn on a session that has one running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenBusy {
    /// It waits for the first to end.
    Wait,
    /// It is refused with `session_busy`.
    Refuse,
}

/// What one turn, one request and all of them together may use.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest a turn may take, waiting for its session included.
    pub turn_time: Span,
    /// The most tool rounds in a turn, whatever the pack says.
    pub max_rounds: u32,
    /// The most tool calls in a turn, whatever the pack says.
    pub max_tool_calls: u32,
    /// The most tokens that the model may write in a turn, over all its calls. Where the provider
    /// counts none they are estimated.
    pub max_output_tokens: Option<u64>,
    /// The most that the model may write in a turn, in bytes: text, reasoning, and what it asks
    /// tools with. A runaway answer ends there.
    pub max_output_bytes: usize,
    /// The longest the caller may take over a client-side tool.
    pub client_tool_time: Span,
    /// The longest one server-side tool call may take.
    pub tool_time: Span,
    /// The largest tool result that the model is shown, in bytes.
    pub max_tool_result_bytes: usize,
    /// The most turns at work at a time.
    pub max_running: usize,
    /// The context window in tokens (estimated as bytes / 4); older messages are left out.
    pub context_tokens: Option<u64>,
    /// The most messages of a session that are read back for a turn.
    pub max_history: usize,
    /// What one HTTP request may ask for.
    pub http: HttpLimits,
}

impl Default for Limits {
    fn default() -> Self {
        let engine = bartizan_engine::limits::Limits::default();
        Self {
            turn_time: Span(engine.turn_time),
            max_rounds: engine.max_rounds,
            max_tool_calls: engine.max_tool_calls,
            max_output_tokens: engine.max_output_tokens,
            max_output_bytes: engine.max_output_bytes,
            client_tool_time: Span(engine.client_tool_time),
            tool_time: Span(engine.tool_time),
            max_tool_result_bytes: engine.max_tool_result_bytes,
            max_running: engine.max_running,
            context_tokens: engine.context_tokens,
            max_history: engine.max_history,
            http: HttpLimits::default(),
        }
    }
}

/// What one HTTP request may ask for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The longest that a body may take to arrive.
    pub body_time: Span,
    /// The longest that a request's head may take to arrive, and that an idle connection is kept.
    pub head_time: Span,
    /// The most header fields of a request.
    pub headers: usize,
    /// The largest head of a request, in bytes.
    pub head_bytes: usize,
    /// The deepest nesting of a JSON body.
    pub json_depth: usize,
    /// The most messages of a conversation.
    pub messages: usize,
    /// The most parts of one message.
    pub parts: usize,
    /// The most tools that a caller may bring.
    pub tools: usize,
    /// The most sessions in one page of a list.
    pub page: usize,
    /// The most connections at a time; more wait to be accepted.
    pub connections: usize,
    /// The most concurrent requests on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        let server = bartizan_server::http::limits::HttpLimits::default();
        Self {
            body_bytes: server.body_bytes,
            body_time: Span(server.body_time),
            head_time: Span(server.head_time),
            headers: server.headers,
            head_bytes: server.head_bytes,
            json_depth: server.json_depth,
            messages: server.messages,
            parts: server.parts,
            tools: server.tools,
            page: server.page,
            connections: server.connections,
            streams: server.streams,
        }
    }
}

/// What may be called.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Egress {
    /// Names, addresses and networks that are not public and may be called all the same:
    /// `tools.internal`, `*.internal`, `10.0.0.0/8`, each with `:port` where only that port is
    /// meant.
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<Rule>,
    /// The HTTP proxy for every call to providers and tools, but those on this machine. The
    /// proxy resolves names, so what a name may stand for is then for the proxy to refuse. The
    /// usual variables (`HTTPS_PROXY`) are not read.
    pub proxy: Option<String>,
    /// A PEM file of certificate authorities that are trusted beside the built-in ones.
    pub ca_file: Option<Place>,
}

/// The log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// From which level on.
    pub level: LogLevel,
    /// For people or for programs.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Warn, format: LogFormat::Text }
    }
}

/// From which level on the log speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what will fail.
    Warn,
    /// And what happened.
    Info,
    /// And how.
    Debug,
    /// And everything.
    Trace,
}

/// For whom the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The database.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// What an acknowledged turn survives.
    pub durability: Durability,
}

impl Default for Store {
    fn default() -> Self {
        Self { durability: Durability::Normal }
    }
}

/// What an acknowledged turn survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The death of the process. A loss of power may take the turns of the last moments.
    Normal,
    /// The loss of power as well: every commit waits for the disk.
    Full,
}

/// How the server stops.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// How long running turns may take to end after SIGTERM or SIGINT. What has not ended then
    /// is cancelled and stored as such.
    pub grace: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: Span::seconds(30) }
    }
}

/// Who this runtime is within Omnia.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Omnia {
    /// The agent's name, for the labels of the metrics.
    pub agent: Option<String>,
    /// The agent's namespace, for the labels of the metrics.
    pub namespace: Option<String>,
}
