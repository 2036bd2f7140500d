//! `chat` where nobody is at the terminal: lines in, answers out.

use serde_json::json;

use crate::support::{Desk, small_pack};

/// Says how many messages it has seen, so that memory can be told.
const COUNTING: &str = "\
scenarios:
  default:
    turns:
      1: first
      2: second
      3: third
";

fn desk() -> Desk {
    Desk::new().file("small.json", small_pack().to_string()).file("mock.yaml", COUNTING)
}

#[test]
fn every_line_is_a_message() {
    let desk = desk().typed("one\ntwo\n\n/reset\nthree\n");
    insta::assert_snapshot!(desk.run("chat small.json --mock mock.yaml"));
}

#[test]
fn a_session_goes_on() {
    let desk = desk().typed("one\n");
    let command = "chat small.json --mock mock.yaml --session diary";
    assert_eq!(desk.run(command).stdout, "first\n");
    assert_eq!(desk.run(command).stdout, "second\n");
    assert_eq!(desk.run("chat small.json --mock mock.yaml --session other").stdout, "first\n");
}

#[test]
fn messages_have_several_lines() {
    let echo = desk().typed(
        "one \\\ntwo\n\"\"\"\nthree\n\nfour\n\"\"\"\n/nonsense\n/help\n/tools\n/quit\nnever\n",
    );
    insta::assert_snapshot!(echo.run("chat small.json"));
}

#[test]
fn variables_are_given() {
    let desk = desk().typed("go\n");
    let missing = desk.run("chat small.json --prompt letter");
    assert_eq!(missing.code, Some(1), "{missing}");
    assert!(missing.stderr.contains("`name`"), "{missing}");
    let given = desk.run("chat small.json --prompt letter --var name=Ada --var words=7");
    assert_eq!(given.code, Some(0), "{given}");
}

#[test]
fn the_operators_values_stand_in_for_the_callers() {
    let desk = desk().typed("go\n").file("bartizan.yaml", "variables: {name: Ada}\n");
    assert_eq!(desk.run("chat small.json --prompt letter").code, Some(0));
    let own = desk.run("chat small.json --prompt letter --var name=");
    assert_eq!(own.code, Some(0), "{own}");
    let wrong = Desk::new()
        .file("small.json", small_pack().to_string())
        .file("bartizan.yaml", "variables: {name: 7}\n")
        .typed("go\n")
        .run("chat small.json --prompt letter");
    assert_eq!(wrong.code, Some(1), "{wrong}");
}

/// A key in the environment does not send a conversation to a provider that was to go to the mock.
#[test]
fn who_writes_a_script_gets_the_mock() {
    let outcome = desk()
        .typed("hello\n")
        .env("OPENAI_API_KEY", "k".repeat(9))
        .env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
        .run("chat small.json --mock mock.yaml");
    assert_eq!(outcome.stdout, "first\n", "{outcome}");
}

/// One bad schema costs its own tool and not the pack.
#[test]
fn a_tool_with_a_broken_schema_is_left_out() {
    let mut pack = small_pack();
    pack["prompts"]["main"]["tools"] = json!(["look"]);
    pack["tools"] = json!({ "look": {
        "name": "look",
        "description": "Looks.",
        "parameters": { "type": "object", "properties": { "a": { "type": "strnig" } } },
    }});
    let tools = "handlers:\n- name: look\n  type: client\n  tool: {name: look, description: Looks., inputSchema: {type: object, properties: {}}}\n";
    let outcome = Desk::new()
        .file("pack.json", pack.to_string())
        .file("tools.yaml", tools)
        .typed("hello\n")
        .run("chat pack.json --tools tools.yaml");
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("the tool look will not work"), "{outcome}");
}

#[test]
fn the_example_uses_its_tool() {
    insta::assert_snapshot!(Desk::new().typed("Who is on duty?\n").run("chat"));
}
