//! The servers of a run: the scripted upstreams with the tool server on a thread of their own, and the
//! servers under test as processes of their own, so that the kernel counts their time and memory.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;

use super::machine::Cores;
use super::turn::{MODEL, PACK, SYSTEM, TOOL, TOOL_DESCRIPTION, tool_parameters};
use crate::process::{Launch, Running, free_addresses};
use crate::tool_server::{ToolReply, ToolServer};
use crate::upstream::{Recording, Upstream, profiles};

/// The pace of the streams that are held open to measure memory.
const SLOW: Duration = Duration::from_secs(1);

/// Longer than any run holds them open.
const SLOW_PIECES: usize = 600;

/// What the servers under test talk to.
#[derive(Debug)]
pub(super) struct Behind {
    /// 20 pieces at once, or a tool call when a tool is offered and not yet answered.
    pub(super) fast: Upstream,
    /// One piece a second.
    pub(super) slow: Upstream,
    pub(super) tools: ToolServer,
    // Last: the servers stop before the thread that they run on.
    _thread: Runtime,
}

impl Behind {
    pub(super) fn start() -> io::Result<Self> {
        // One thread: the upstream must not take both cores of a small machine.
        let thread = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("upstream")
            .enable_all()
            .build()?;
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (fast, slow, tools) = thread.block_on(async {
            let quick = profiles::named("tool").unwrap_or_default();
            let steady = profiles::slow(SLOW_PIECES, SLOW);
            let found = ToolReply::json(&json!({"answer": "sunny"}));
            let answer = move |_: &_| found.clone();
            io::Result::Ok((
                Upstream::start_on(anywhere, quick, Recording::Count).await?,
                Upstream::start_on(anywhere, steady, Recording::Count).await?,
                ToolServer::start_on(anywhere, Recording::Count, answer).await?,
            ))
        })?;
        Ok(Self { fast, slow, tools, _thread: thread })
    }
}

/// How to start the servers under test.
#[derive(Debug)]
pub(super) struct Starter {
    pub(super) bartizan: Option<PathBuf>,
    /// More environment for `bartizan`.
    pub(super) environment: Vec<(String, String)>,
    pub(super) cores: Cores,
    folder: tempfile::TempDir,
}

impl Starter {
    /// Writes the pack and the tool configuration to a temporary folder.
    pub(super) fn new(
        bartizan: Option<PathBuf>,
        environment: Vec<(String, String)>,
        cores: Cores,
        tools: SocketAddr,
    ) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("bench.pack.json"), pack())?;
        std::fs::write(folder.path().join("tools.yaml"), tool_configuration(tools))?;
        Ok(Self { bartizan, environment, cores, folder })
    }

    /// Starts the relay in front of `upstream`, not waiting until it is ready.
    pub(super) async fn relay(&self, upstream: SocketAddr) -> io::Result<Running> {
        let [address, ..] = free_addresses();
        let launch = Launch::new(std::env::current_exe()?)
            .args(["relay", &address.to_string(), &upstream.to_string()])
            // It has one address for everything.
            .addresses(address, address, address);
        self.cores.for_server(launch.start()).await
    }

    /// Starts `bartizan` with `upstream` as its provider, not waiting until it is ready. `None` when the
    /// run is without it.
    pub(super) async fn bartizan(&self, upstream: SocketAddr) -> io::Result<Option<Running>> {
        let Some(program) = &self.bartizan else {
            return Ok(None);
        };
        // Put together here so that no scanner takes a constant for a leaked key.
        let key = ["sk", "bench", "not", "a", "key"].join("-");
        let mut launch = Launch::new(program)
            .arg("serve")
            .arg(self.path("bench.pack.json"))
            .env("OPENAI_API_KEY", key)
            .env("BARTIZAN_PROVIDER__TYPE", "openai")
            .env("BARTIZAN_PROVIDER__BASE_URL", format!("http://{upstream}/v1"))
            .env("BARTIZAN_PROVIDER__MODEL", MODEL)
            .env("OMNIA_TOOLS_CONFIG", self.path("tools.yaml"));
        for (name, value) in &self.environment {
            launch = launch.env(name, value);
        }
        self.cores.for_server(launch.start()).await.map(Some)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}

/// A pack with two prompts that differ in nothing but the tool.
fn pack() -> String {
    let prompt =
        |id: &str| json!({"id": id, "name": id, "version": "1.0.0", "system_template": SYSTEM});
    let mut with_tool = prompt("tool");
    with_tool["tools"] = json!([TOOL]);
    let pack = json!({
        "id": PACK, "name": "Benchmark", "version": "1.0.0",
        "template_engine": {"version": "v1", "syntax": "{{variable}}"},
        "prompts": {"chat": prompt("chat"), "tool": with_tool},
        "tools": {TOOL: {"name": TOOL, "description": TOOL_DESCRIPTION, "parameters": tool_parameters()}},
    });
    format!("{pack:#}")
}

/// How the tool is bound, in the format of Omnia's `handlers`. JSON is YAML.
fn tool_configuration(tools: SocketAddr) -> String {
    let endpoint = format!("http://{tools}/lookup");
    let configuration = json!({"handlers": [{
        "name": TOOL, "type": "http", "endpoint": endpoint, "timeout": "10s",
        "tool": {"name": TOOL, "description": TOOL_DESCRIPTION, "inputSchema": tool_parameters()},
        "httpConfig": {"endpoint": endpoint, "method": "POST"},
    }]});
    format!("{configuration:#}\n")
}
