//! Every setting there is: its name, type, default and meaning.
//!
//! The comments here are the reference: they are what `bartizan.schema.json` says of each key,
//! and what `config explain` prints. The names of the fields are the names in `bartizan.yaml`.

use std::collections::BTreeMap;

use bartizan_net::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::provider::{Fallback, Price, Provider, ProviderType};
use super::values::{Address, Place, Span};

mod provider;

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
