//! `scripted-upstream`: the scripted model server as a program, for tests in other languages and for
//! trying things by hand. Prints one line with its URL and serves until it is ended.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for tests: it talks to the terminal"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bartizan_testkit::upstream::{Recording, Script, Upstream, profiles};
use clap::Parser;

/// Serve scripted model replies over OpenAI's, Anthropic's, Gemini's and Ollama's wire formats.
#[derive(Parser)]
#[command(after_long_help = SCRIPT_HELP)]
struct Arguments {
    /// Listen here; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,

    /// A ready-made script. fast: 20 pieces at once; real: 300 ms to the first of 50 pieces, 10 ms
    /// between them; tool and real-tool: the same after one call of the first tool that the request
    /// offers; slow: a piece a second for a minute.
    #[arg(long, default_value = "fast", conflicts_with = "script",
          value_parser = clap::builder::PossibleValuesParser::new(profiles::NAMES))]
    profile: String,

    /// A script file in JSON; its format is at the end of --help.
    #[arg(long)]
    script: Option<PathBuf>,
}

const SCRIPT_HELP: &str = r#"Script file:
  {
    "steps": [REPLY, ...],     in order, the last repeats
    "on_tools": REPLY,         said when a request offers tools and its last message is not a tool's
                               result; a call with an empty name takes the first offered tool
    "accept_delay_ms": 0       wait after a connection was accepted
  }

REPLY (every key is optional):
  {
    "when": "text",            use this step for any request whose body contains the text
    "text": ["Hel", "lo"],     the answer in the pieces it is streamed in
    "reasoning": ["..."],      reasoning before it
    "tool_calls": [{"id": "call_1", "name": "lookup", "arguments": ["{\"q\":", "1}"]}],
    "usage": {"input": 10, "output": 2, "cached": 0, "reasoning": 0},
    "stop_reason": "stop",     stop, length, tool_calls, content_filter, or any word verbatim
    "head_delay_ms": 0,        wait before the response's head
    "first_delay_ms": 0,       wait before the first piece
    "chunk_delay_ms": 0,       wait before each further piece
    "status": 429,             answer with this status instead
    "headers": {"retry-after": "1"},
    "body": {},                the body that goes with it (default: an error in the provider's shape)
    "fault": {"after": 1, "kind": "cut"},
                               after so many pieces: cut, end, stall, error or garbage
    "hang": false              never answer
  }

Whether a reply is streamed is up to the request."#;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let script = match &arguments.script {
        Some(path) => match read(path) {
            Ok(script) => script,
            Err(problem) => {
                eprintln!("{}: {problem}", path.display());
                return ExitCode::from(65);
            }
        },
        None => profiles::named(&arguments.profile).expect("a name that the parser accepted"),
    };
    // Nobody can ask this process what it recorded.
    let upstream = match Upstream::start_on(arguments.address, script, Recording::Count).await {
        Ok(upstream) => upstream,
        Err(problem) => {
            eprintln!("cannot listen on {}: {problem}", arguments.address);
            return ExitCode::from(69);
        }
    };
    println!("{}", upstream.url());
    std::future::pending().await
}

fn read(path: &PathBuf) -> Result<Script, String> {
    let text = std::fs::read_to_string(path).map_err(|problem| problem.to_string())?;
    serde_json::from_str(&text).map_err(|problem| problem.to_string())
}
