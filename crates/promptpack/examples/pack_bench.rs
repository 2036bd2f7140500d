//! How fast packs are read and prompts rendered: `cargo run --release -p
//! promptpack --example pack_bench`, called by `make bench`.
//!
//! The packs are generated here. Every figure is the median of many runs; the
//! baseline, `serde_json` making a `Value` and nothing else, is taken in the
//! same run. With `--json` the figures are printed as one JSON object.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use promptpack::{ReadOptions, read};
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let small = serde_json::to_vec(&small_pack())?;
    let large = serde_json::to_vec(&large_pack())?;
    let options = ReadOptions::default();
    for bytes in [&small, &large] {
        let report = read(bytes, &options);
        if !report.findings.is_empty() {
            return Err(
                format!("the generated pack has faults: {:?}", report.findings.first()).into()
            );
        }
    }
    let pack = read(&large, &options).pack.ok_or("no pack")?;
    let prompt = pack.compile("prompt_7", Some("model-a"))?;
    let values: Map<String, Value> = prompt
        .variables
        .iter()
        .map(|variable| (variable.name.clone(), Value::from("a value of some length")))
        .collect();
    let rendered = prompt.render(&values)?.len();

    let rows = [
        row("read and check", small.len(), 60.0, 2000, || read(&small, &options)),
        row("  baseline: serde_json only", small.len(), f64::INFINITY, 2000, || value(&small)),
        row("read and check", large.len(), 12_000.0, 60, || read(&large, &options)),
        row("  baseline: serde_json only", large.len(), f64::INFINITY, 60, || value(&large)),
        row("compile one prompt", rendered, f64::INFINITY, 2000, || {
            pack.compile("prompt_7", Some("model-a"))
        }),
        row("render one prompt", rendered, 5.0, 5000, || prompt.render(&values)),
    ];
    if std::env::args().any(|argument| argument == "--json") {
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| json!({"what": row.what.trim(), "bytes": row.bytes, "median_us": row.median, "p99_us": row.p99}))
            .collect();
        println!("{}", json!({ "promptpack": rows }));
        return Ok(());
    }
    println!(
        "{:<30} {:>9} {:>12} {:>12} {:>12} {:>8}",
        "", "bytes", "median µs", "p99 µs", "target µs", "MB/s"
    );
    for row in rows {
        let target =
            if row.target.is_finite() { format!("{:.0}", row.target) } else { String::new() };
        let speed = row.bytes as f64 / row.median;
        println!(
            "{:<30} {:>9} {:>12.1} {:>12.1} {target:>12} {speed:>8.0}",
            row.what, row.bytes, row.median, row.p99
        );
    }
    Ok(())
}

struct Row {
    what: &'static str,
    bytes: usize,
    target: f64,
    median: f64,
    p99: f64,
}

fn row<T>(what: &'static str, bytes: usize, target: f64, runs: usize, work: impl Fn() -> T) -> Row {
    for _ in 0..runs / 10 {
        black_box(work());
    }
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            let result = black_box(work());
            let time = start.elapsed();
            drop(result);
            time
        })
        .collect();
    times.sort_unstable();
    let at = |share: f64| {
        times
            .get((times.len() as f64 * share) as usize)
            .map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    Row { what, bytes, target, median: at(0.5), p99: at(0.99) }
}

fn value(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

fn pack(
    prompts: Map<String, Value>,
    tools: Map<String, Value>,
    fragments: Map<String, Value>,
) -> Value {
    json!({
        "id": "bench", "name": "Bench", "version": "1.0.0",
        "template_engine": {"version": "v1", "syntax": "{{variable}}"},
        "prompts": prompts, "tools": tools, "fragments": fragments,
    })
}

fn tool(number: usize) -> (String, Value) {
    let name = format!("tool_{number}");
    let value = json!({
        "name": name, "description": "Looks something up in a table and gives the rows",
        "parameters": {"type": "object", "required": ["query"], "properties": {
            "query": {"type": "string", "description": "What to look for"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 50}
        }}
    });
    (name, value)
}

/// A paragraph that names one variable and one fragment.
fn paragraph(number: usize, fragments: usize) -> String {
    let fragment = number % fragments;
    format!(
        "Part {number}, about {{{{var_{number}}}}}: the tide comes in, the tide goes out, and the keeper \
         writes both into the book by lamp light, hour by hour till dawn breaks. {{{{fragment:frag_{fragment}}}}}\n\n"
    )
}

fn prompt(number: usize, paragraphs: usize, fragments: usize, tools: usize) -> (String, Value) {
    let id = format!("prompt_{number}");
    let template: String =
        (0..paragraphs).map(|paragraph_number| paragraph(paragraph_number, fragments)).collect();
    let variables: Vec<Value> = (0..paragraphs)
        .map(|variable| {
            json!({"name": format!("var_{variable}"), "type": "string", "required": false, "default": "nothing",
                   "validation": {"max_length": 200}})
        })
        .collect();
    let value = json!({
        "id": id, "name": "A prompt", "version": "1.0.0", "system_template": template, "variables": variables,
        "tools": (0..tools).map(|tool| format!("tool_{tool}")).collect::<Vec<_>>(),
        "tool_policy": {"tool_choice": "auto", "max_rounds": 5, "max_tool_calls_per_turn": 10, "blocklist": ["tool_1"]},
        "parameters": {"temperature": 0.3, "max_tokens": 800},
        "validators": [{"type": "banned_words", "enabled": true, "params": {"words": ["one", "two"]}}],
        "model_overrides": {"model-a": {"system_template_prefix": "Be brief.\n", "parameters": {"temperature": 0.1}}},
    });
    (id, value)
}

fn fragments(count: usize) -> Map<String, Value> {
    let text = "Be kind, be exact, and say when you do not know. Quote the book by its page, name the \
                hour, and leave the weather of tomorrow to those who will see it from the gallery up there at dawn.";
    (0..count).map(|number| (format!("frag_{number}"), Value::from(text))).collect()
}

fn small_pack() -> Value {
    pack(
        (0..2).map(|number| prompt(number, 3, 2, 3)).collect(),
        (0..3).map(tool).collect(),
        fragments(2),
    )
}

fn large_pack() -> Value {
    pack(
        (0..200).map(|number| prompt(number, 13, 20, 10)).collect(),
        (0..50).map(tool).collect(),
        fragments(20),
    )
}
