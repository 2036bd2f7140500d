//! The benchmark program runs, checks what it measures, and says so. No figure is judged here.

use std::time::Duration;

use bartizan_testkit::process::{Finished, Launch};
use serde_json::Value;

async fn bench(arguments: &[&str]) -> Finished {
    let small = ["--repeats", "1", "--seconds", "0.1", "--connections", "1,2", "--quick"];
    let launch = Launch::new(env!("CARGO_BIN_EXE_bench")).args(small).args(arguments);
    launch.run(Duration::from_secs(120)).await
}

#[tokio::test]
async fn every_part_yields_rows_whose_answers_were_checked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.json");
    let json = file.to_string_lossy();
    let finished = bench(&["--without-bartizan", "--streams", "10", "--json", &json]).await;
    assert_eq!(finished.code, Some(0), "{}{}", finished.stdout, finished.stderr);
    let figures: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let rows = figures["rows"].as_array().unwrap();
    // Four parts, of which one leaves a single connection out; streamed and not; direct and relay.
    assert_eq!(rows.len(), (3 * 2 + 1) * 2 * 2);
    for row in rows {
        assert!(row["fault"].is_null(), "{row}");
        assert!(row["turns"].as_u64() > Some(0), "{row}");
        assert_eq!(row["cpu_ms_per_turn"].is_null(), row["way"] == "direct", "{row}");
    }
    let relay = &figures["presence"][0];
    assert_eq!(relay["server"], "relay");
    assert!(relay["streaming_mib"].as_f64() > Some(0.0), "{relay}");
    for word in ["direct", "relay", "turns/s", "38 and 48 ms"] {
        assert!(finished.stdout.contains(word), "{}", finished.stdout);
    }
}

#[tokio::test]
async fn without_a_binary_to_measure_it_says_so() {
    let finished = bench(&["--bartizan", "/nonexistent/bartizan"]).await;
    assert_eq!(finished.code, Some(66));
    assert!(finished.stderr.contains("no bartizan binary"), "{}", finished.stderr);
}

#[tokio::test]
async fn a_server_that_does_not_start_is_quoted() {
    // Any program that ends at once with a message will do.
    let finished = bench(&["--bartizan", env!("CARGO_BIN_EXE_scripted-upstream")]).await;
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("unexpected argument 'serve'"), "{}", finished.stderr);
}
