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
fn a_value_that_nothing_takes_is_warned_of() {
    let outcome = desk().run("pack render small.json letter --var name=Ada --var wrods=7");
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("did you mean `words`?"), "{outcome}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
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

/// A pack whose every text that is printed tries to steer the terminal.
fn steering() -> Value {
    let text = "a\u{1b}]0;t\u{7}\u{1b}[31mb\u{9b}2J\r\nvalid\u{202e}c\u{2028}d\u{7f}";
    let mut pack = small_pack();
    let mut prompt = pack["prompts"]["main"].clone();
    prompt["system_template"] = json!(format!("{text} {{{{#if {text}}}}}"));
    prompt["description"] = json!(text);
    prompt["tools"] = json!([text, "known"]);
    prompt["tool_policy"] = json!({ "blocklist": [text] });
    prompt["model_overrides"] = json!({ text: { "system_template_prefix": "x" } });
    prompt["variables"] = json!([
        { "name": "v", "type": text, "required": false, "default": text, "description": text }
    ]);
    pack["name"] = json!(text);
    pack["description"] = json!(text);
    pack["tools"] = json!({ "known": { "name": "known", "description": text } });
    pack["prompts"] = json!({ text: prompt });
    pack
}

fn steers(text: &str) -> Option<char> {
    text.chars().find(|&character| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

#[test]
fn no_text_of_a_pack_steers_the_terminal() {
    let mut broken = steering();
    broken["n\u{1b}[2J\u{9b}"] = json!(1);
    let desk = Desk::new()
        .file("steering.json", steering().to_string())
        .file("broken.json", broken.to_string());
    for arguments in [
        "pack check steering.json broken.json",
        "pack check --json steering.json broken.json",
        "pack show steering.json",
        "pack show --json steering.json",
        "pack show broken.json",
        "pack show --json broken.json",
        "pack render broken.json",
        "pack render steering.json nobody",
        "pack render --json steering.json",
        "chat --data-dir data steering.json",
        "serve --http 127.0.0.1:0 --grpc 127.0.0.1:0 --ops 127.0.0.1:0 --data-dir data broken.json",
    ] {
        let outcome = desk.run(arguments);
        assert!(!outcome.stdout.is_empty() || !outcome.stderr.is_empty(), "{arguments}");
        assert_eq!(steers(&outcome.stdout), None, "{arguments}: {outcome}");
        assert_eq!(steers(&outcome.stderr), None, "{arguments}: {outcome}");
    }
    // What programs read says the same as the pack.
    let shown = desk.json("pack show --json steering.json");
    assert_eq!(shown["pack"]["description"], steering()["description"]);
}

#[test]
fn a_key_of_megabytes_is_cut_for_people() {
    let mut pack = small_pack();
    pack["k".repeat(3_000_000)] = json!(1);
    let desk = Desk::new().file("pack.json", pack.to_string());
    let outcome = desk.run("pack check pack.json");
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.len() < 5000, "{}", outcome.stdout.len());
    assert!(desk.run("pack show pack.json").stderr.len() < 5000);
}

#[test]
fn standard_input_is_a_pack_too() {
    let desk = Desk::new().typed(&small_pack().to_string());
    for (arguments, said) in [
        ("pack check -", "- valid, needs PromptPack 1.0"),
        ("pack show -", "small 1.2.3"),
        ("pack render - main", "You help."),
    ] {
        let outcome = desk.run(arguments);
        assert_eq!(outcome.code, Some(0), "{outcome}");
        assert!(outcome.stdout.starts_with(said), "{outcome}");
    }
    let large = Desk::new().typed(&" ".repeat(9 << 20)).run("pack check -");
    assert_eq!(large.code, Some(1), "{large}");
    assert!(large.stdout.contains("[input-too-large]"), "{large}");
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    for arguments in ["pack check /dev/zero", "pack show /dev/zero", "serve /dev/zero"] {
        let outcome = Desk::new().run(arguments);
        assert_eq!(outcome.code, Some(66), "{outcome}");
        assert!(outcome.to_string().contains("a pipe or a device"), "{outcome}");
    }
}

#[test]
fn unknown_keys_are_kept_where_that_is_asked_for() {
    let mut pack = small_pack();
    pack["prompts"]["main"]["comment"] = json!("x");
    let desk = Desk::new().file("pack.json", pack.to_string());
    assert_eq!(desk.run("pack check pack.json").code, Some(1));
    let checked = desk.run("pack check --lenient pack.json");
    assert_eq!(checked.code, Some(0), "{checked}");
    assert!(checked.stdout.contains("warning /prompts/main/comment"), "{checked}");
    // Contradictions are another matter.
    assert_eq!(desk.run("pack check --lenient --strict pack.json").code, Some(0));
    assert_eq!(desk.run("pack render --lenient pack.json").stdout, "You help.\n");
    assert_eq!(desk.run("pack show --lenient pack.json").code, Some(0));
    let chat = desk.run("chat pack.json --data-dir data");
    assert_eq!(chat.code, Some(66), "{chat}");
    for lenient in ["--lenient", "--set pack_mode=lenient"] {
        let chat = desk.run(&format!("chat pack.json --data-dir data {lenient}"));
        assert_eq!(chat.code, Some(0), "{chat}");
        assert!(chat.stderr.contains("unknown-key at /prompts/main/comment"), "{chat}");
    }
}

#[test]
fn a_prompt_that_cannot_be_put_together_is_left_out_and_named() {
    let mut pack = small_pack();
    pack["prompts"]["letter"]["system_template"] = json!("{{fragment:greting}} {{name}}");
    pack["fragments"] = json!({ "greeting": "Hello" });
    let desk = Desk::new().file("pack.json", pack.to_string()).typed("hi");
    let outcome = desk.run("chat pack.json --data-dir data");
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("small/letter is not served: "), "{outcome}");
    assert!(outcome.stderr.contains("did you mean `greeting`?"), "{outcome}");
    // The name of the pack never comes to mean another prompt than the pack says.
    let outcome = desk.run("chat pack.json --data-dir data --prompt letter");
    assert_eq!(outcome.code, Some(66), "{outcome}");
    assert!(outcome.stderr.contains("small/letter"), "{outcome}");
}

#[test]
fn a_start_says_what_will_not_work() {
    let mut pack = small_pack();
    let main = &mut pack["prompts"]["main"];
    main["tools"] = json!(["serch"]);
    main["tool_policy"] = json!({ "blocklist": ["shell"] });
    main["system_template"] = json!("{{who}}");
    main["variables"] =
        json!([{ "name": "n", "type": "number", "required": false, "default": "many" }]);
    let desk = Desk::new().file("pack.json", pack.to_string());
    insta::assert_snapshot!("lost", desk.run("chat pack.json --data-dir data"));
}
