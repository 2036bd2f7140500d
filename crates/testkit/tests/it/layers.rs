//! Arrows point down only: which crate may depend on which. A wrong arrow is a design decision, so it
//! is made here, in the open, and not by a line in a manifest.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::support::workspace;

/// Every room, also those that are still to be built, and what it may depend on. Any room may use the
/// testkit in its tests.
const LAYERS: [(&str, &[&str]); 13] = [
    ("promptpack", &[]),
    ("bartizan-guard", &[]),
    ("bartizan-perturb", &[]),
    ("bartizan-net", &[]),
    ("bartizan-sandbox", &[]),
    ("bartizan-testkit", &[]),
    ("bartizan-engine", &["promptpack", "bartizan-guard"]),
    ("bartizan-gate", &["bartizan-engine"]),
    ("bartizan-model", &["bartizan-engine", "bartizan-net"]),
    ("bartizan-store", &["bartizan-engine", "bartizan-net"]),
    (
        "bartizan-tools",
        &["bartizan-engine", "bartizan-net", "bartizan-sandbox", "bartizan-perturb"],
    ),
    ("bartizan-server", &["bartizan-engine", "promptpack", "bartizan-gate"]),
    (
        "bartizan",
        &[
            "promptpack",
            "bartizan-guard",
            "bartizan-perturb",
            "bartizan-net",
            "bartizan-sandbox",
            "bartizan-engine",
            "bartizan-gate",
            "bartizan-model",
            "bartizan-store",
            "bartizan-tools",
            "bartizan-server",
        ],
    ),
];

/// What is wrong with the dependencies that `cargo metadata` reports.
fn faults(metadata: &Value) -> Vec<String> {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.into_iter().collect();
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let Some(allowed) = layers.get(name) else {
            faults.push(format!("{name} has no place in the layers: add it to tests/it/layers.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let target = dependency["name"].as_str().unwrap();
            // Tests may use the testkit, and the store that keeps everything in memory.
            let in_tests = dependency["kind"] == "dev"
                && ["bartizan-testkit", "bartizan-store"].contains(&target);
            if layers.contains_key(target) && !allowed.contains(&target) && !in_tests {
                faults.push(format!("{name} must not depend on {target}"));
            }
        }
    }
    faults
}

#[test]
fn no_crate_depends_on_one_above_or_beside_it() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(faults(&metadata), [""; 0]);
}

#[test]
fn a_wrong_arrow_is_found() {
    let package = |name: &str, dependency: &str, kind: Value| serde_json::json!({"name": name, "dependencies": [{"name": dependency, "kind": kind}]});
    let metadata = serde_json::json!({"packages": [
        package("bartizan-engine", "promptpack", Value::Null),
        package("bartizan-engine", "bartizan-testkit", "dev".into()),
        package("bartizan-engine", "bartizan-model", Value::Null),
        package("bartizan-model", "bartizan-tools", "dev".into()),
        package("bartizan", "bartizan-testkit", Value::Null),
        package("surprise", "serde", Value::Null),
    ]});
    assert_eq!(
        faults(&metadata),
        [
            "bartizan-engine must not depend on bartizan-model",
            "bartizan-model must not depend on bartizan-tools",
            "bartizan must not depend on bartizan-testkit",
            "surprise has no place in the layers: add it to tests/it/layers.rs",
        ]
    );
}
