//! `pack check`, `pack render`, `pack show`: whole output.

use serde_json::{Value, json};

use crate::support::{Desk, small_pack, workspace};

/// The small pack with a tool that nobody defines and a misspelt key.
fn faulty() -> (Value, Value) {
    let mut unknown_tool = small_pack();
    unknown_tool["prompts"]["main"]["tools"] = json!(["serch"]);
    unknown_tool["tools"] =
        json!({ "search": { "name": "search", "description": "Finds things." } });
    let mut misspelt = small_pack();
    misspelt["prompts"]["main"]["sytem_template"] = json!("x");
    (unknown_tool, misspelt)
}

fn desk() -> Desk {
    let (unknown_tool, misspelt) = faulty();
    Desk::new()
        .file("small.json", small_pack().to_string())
        .file("unknown-tool.json", unknown_tool.to_string())
        .file("misspelt.json", misspelt.to_string())
        .file("broken.json", "{\"id\": ")
}

#[test]
fn check_tells_good_from_bad() {
    let desk = desk();
    insta::assert_snapshot!("check_good", desk.run("pack check small.json"));
    insta::assert_snapshot!(
        "check_all",
        desk.run("pack check small.json unknown-tool.json misspelt.json broken.json missing.json")
    );
    insta::assert_snapshot!("check_strict", desk.run("pack check --strict unknown-tool.json"));
}

#[test]
fn check_prints_one_json_object_per_file() {
    let outcome = desk().run("pack check --json unknown-tool.json misspelt.json missing.json");
    insta::assert_snapshot!("check_json", outcome);
    let verdicts: Vec<Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verdicts.len(), 3);
    assert_eq!(verdicts[0]["valid"], true);
    assert_eq!(verdicts[1]["valid"], false);
    assert_eq!(verdicts[1]["findings"][0]["suggestion"], "system_template");
}

#[test]
fn the_example_is_valid_to_the_letter() {
    let file = workspace().join("packs/concierge.pack.json");
    let outcome = Desk::new().run(&format!("pack check --strict --json {}", file.display()));
    let verdict: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(verdict["findings"], json!([]));
    assert_eq!(outcome.code, Some(0));
}

#[test]
fn render_puts_values_in() {
    let desk = desk().file("values.json", r#"{"name": "Grace", "words": 10}"#);
    let both = "pack render small.json letter --vars values.json --var name={{words}}";
    insta::assert_snapshot!("render", desk.run(both));
    insta::assert_snapshot!(
        "render_json",
        desk.run("pack render small.json letter --json --var name=Ada --var words=7")
    );
    insta::assert_snapshot!("render_missing", desk.run("pack render small.json letter"));
    insta::assert_snapshot!(
        "render_wrong_type",
        desk.run("pack render small.json letter --var name=Ada --var words=many")
    );
    insta::assert_snapshot!("render_unknown", desk.run("pack render small.json lettr"));
}

#[test]
fn show_says_what_runs_and_what_does_not() {
    let mut pack = small_pack();
    pack["prompts"]["main"]["validators"] =
        json!([{ "type": "banned_words", "enabled": true, "params": { "words": ["x"] } }]);
    let desk = Desk::new().file("small.json", pack.to_string());
    insta::assert_snapshot!("show", desk.run("pack show small.json"));
    let shown = desk.json("pack show small.json --json");
    assert_eq!(shown["entry"], "main");
    assert_eq!(shown["pack"]["id"], "small");
    insta::assert_snapshot!("show_invalid", desk.run("pack show missing.json"));
}
