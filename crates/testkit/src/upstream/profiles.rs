//! Ready-made scripts, named as benchmarks of agent runtimes name them.

use std::time::Duration;

use serde_json::json;

use super::script::{Reply, Script, ToolCall, Usage};

/// How many text pieces the short profiles stream.
pub const FAST_PIECES: usize = 20;

/// How many text pieces the realistic profiles stream.
pub const REAL_PIECES: usize = 50;

/// The names that [`named`] knows.
pub const NAMES: [&str; 5] = ["fast", "real", "tool", "real-tool", "slow"];

/// The script of that name.
///
/// - `fast`: 20 pieces at once
/// - `real`: the first of 50 pieces after 300 ms, then one each 10 ms
/// - `tool`: `fast`, after a round in which the first offered tool is called
/// - `real-tool`: `real`, after such a round at the same pace
/// - `slow`: a piece a second for a minute, to hold many streams open
pub fn named(name: &str) -> Option<Script> {
    Some(match name {
        "fast" => fast(),
        "real" => real(),
        "tool" => tool_round_before(fast(), Reply::default()),
        "real-tool" => {
            tool_round_before(real(), Reply::default().first_delay(Duration::from_millis(300)))
        }
        "slow" => slow(60, Duration::from_secs(1)),
        _ => return None,
    })
}

/// The text that a profile of so many pieces says.
pub fn text(pieces: usize) -> Vec<String> {
    (0..pieces).map(|number| format!("word{number:02} ")).collect()
}

/// 20 pieces at once.
pub fn fast() -> Script {
    reply(FAST_PIECES).into()
}

/// 300 ms to the first of 50 pieces, 10 ms between them.
pub fn real() -> Script {
    reply(REAL_PIECES)
        .first_delay(Duration::from_millis(300))
        .chunk_delay(Duration::from_millis(10))
        .into()
}

/// So many pieces at this pace, beginning at once.
pub fn slow(pieces: usize, pace: Duration) -> Script {
    reply(pieces).chunk_delay(pace).into()
}

/// The script, preceded by a call of the first offered tool whenever a request offers one. The call's
/// arguments are `{"query": "weather"}`.
pub fn tool_round_before(mut script: Script, round: Reply) -> Script {
    let call = ToolCall::new("call_scripted", "", &json!({"query": "weather"}));
    script.on_tools = Some(round.tool_call(call).usage(Usage::of(100, 12)));
    script
}

fn reply(pieces: usize) -> Reply {
    Reply::text(text(pieces)).usage(Usage::of(100, pieces as u64))
}
