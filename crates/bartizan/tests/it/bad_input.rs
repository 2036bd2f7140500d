//! Bad input at the start: one clear line, an exit code that fits, and nothing listens.

use std::net::TcpListener;

use crate::support::{Desk, Outcome, small_pack};

/// Ends before it listens, with one line on standard error and nothing on standard output.
fn refused(outcome: &Outcome, code: i32) {
    assert_eq!(outcome.code, Some(code), "{outcome}");
    assert_eq!(outcome.stdout, "", "{outcome}");
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{outcome}");
    assert!(lines[0].starts_with("error: "), "{outcome}");
}

/// Serves on free ports, so that no other test is in the way.
const SERVE: &str = "serve --http 127.0.0.1:0 --grpc 127.0.0.1:0 --ops 127.0.0.1:0";

#[test]
fn packs_that_cannot_be_served() {
    let mut misspelt = small_pack();
    misspelt["prompts"]["main"]["sytem_template"] = "x".into();
    let desk = Desk::new()
        .file("small.json", small_pack().to_string())
        .file("misspelt.json", misspelt.to_string())
        .file("broken.json", "{");
    for (name, arguments) in [
        ("pack_missing", "missing.json"),
        ("pack_directory", "."),
        ("pack_broken", "broken.json"),
        ("pack_invalid", "misspelt.json"),
        ("pack_twice", "small.json small.json"),
    ] {
        let outcome = desk.run(&format!("{SERVE} {arguments}"));
        refused(&outcome, 66);
        insta::assert_snapshot!(name, outcome);
    }
    let outcome = desk.run(&format!("{SERVE} small.json --prompt lettr"));
    refused(&outcome, 64);
    insta::assert_snapshot!("prompt_unknown", outcome);
}

#[test]
fn a_configuration_that_makes_no_sense() {
    for (name, text) in [
        ("key_unknown", "provider:\n  modle: x\n"),
        ("section_unknown", "http:\n  address: 127.0.0.1:0\nlogg: {}\n"),
        ("value_wrong", "limits:\n  max_rounds: many\n"),
        ("value_not_a_choice", "sessions:\n  store: sqlit\n"),
        ("duration_wrong", "shutdown:\n  grace: 5 parsecs\n"),
        ("address_wrong", "http:\n  address: here\n"),
        ("section_is_value", "http: 8080\n"),
        ("yaml_broken", "http: [\n"),
        ("yaml_twice", "prompt: a\nprompt: b\n"),
        ("provider_unknown", "provider:\n  type: opnai\n"),
        ("provider_without_key", "provider:\n  type: anthropic\n"),
        ("provider_without_type", "provider:\n  model: gpt-4o\n"),
        ("provider_without_address", "provider:\n  type: openai-compatible\n  model: m\n"),
        (
            "failover_unknown_key",
            "provider:\n  type: ollama\n  failover:\n    - {type: ollama, modle: x}\n",
        ),
        (
            "failover_with_password",
            "provider:\n  type: ollama\n  failover:\n    - {type: ollama, base_url: 'http://u:word@h'}\n",
        ),
        ("failover_to_mock", "provider:\n  type: ollama\n  failover:\n    - type: mock\n"),
        ("address_public", "grpc:\n  address: 0.0.0.0:9000\n"),
        ("address_shared", "grpc:\n  address: 127.0.0.1:8080\n"),
        ("limit_zero", "limits:\n  max_running: 0\n"),
        ("egress_wrong", "egress:\n  allow: ['a.*']\n"),
        ("proxy_wrong", "egress:\n  proxy: 127.0.0.1:3128\n"),
        ("proxy_with_password", "egress:\n  proxy: http://user:word@127.0.0.1:3128\n"),
        ("grpc_agent_unknown", "grpc:\n  agent: nobody\n"),
        ("invoke_without_schema", "grpc:\n  invoke: {output: json_schema}\n"),
        ("invoke_schema_unread", "grpc:\n  invoke: {schema: s.json}\n"),
        ("pack_mode_wrong", "pack_mode: lenint\n"),
        ("list_wanted", "packs: a.json\n"),
        ("number_too_large", "limits:\n  max_rounds: 99999999999\n"),
        ("keys_wanted", "- packs\n"),
        ("price_negative", "provider: {type: ollama}\nprices: {m: {input: -1, output: 1}}\n"),
    ] {
        let outcome = Desk::new().file("bartizan.yaml", text).run("serve");
        refused(&outcome, 78);
        insta::assert_snapshot!(name, outcome);
    }
}

#[test]
fn files_that_are_not_there() {
    for (name, arguments) in [
        ("config_missing", "--config nowhere.yaml"),
        ("tools_missing", "--tools nowhere.yaml"),
        ("mock_missing", "--mock nowhere.yaml"),
    ] {
        let outcome = Desk::new().run(&format!("{SERVE} {arguments}"));
        refused(&outcome, 66);
        insta::assert_snapshot!(name, outcome);
    }
    let outcome =
        Desk::new().file("tools.yaml", "handlers: 5\n").run(&format!("{SERVE} --tools tools.yaml"));
    refused(&outcome, 66);
    insta::assert_snapshot!("tools_invalid", outcome);
}

#[test]
fn command_lines_that_make_no_sense() {
    for (name, arguments) in [
        ("set_unknown", "serve --set http.adress=127.0.0.1:1"),
        ("set_secret", "serve --set provider.api_key=x"),
        ("set_malformed", "serve --set http.address"),
        ("flag_wrong", "serve --http here"),
    ] {
        let outcome = Desk::new().run(arguments);
        refused(&outcome, 64);
        insta::assert_snapshot!(name, outcome);
    }
    let outcome = Desk::new().run("serve --prot 80");
    assert_eq!(outcome.code, Some(64), "{outcome}");
    insta::assert_snapshot!("flag_unknown", outcome);
    insta::assert_snapshot!("flag_unknown_json", Desk::new().run("pack check --json"));
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for door in ["http", "grpc", "ops"] {
        // A flag of its own comes before --set, so take it away.
        let alone = SERVE.replace(&format!("--{door} 127.0.0.1:0"), "");
        let outcome = Desk::new().run(&format!("{alone} --set {door}.address={address}"));
        refused(&outcome, 69);
        assert!(outcome.stderr.contains(&address), "{outcome}");
        assert!(outcome.stderr.contains(&format!("{door}.address")), "{outcome}");
    }
}

#[test]
fn a_data_directory_that_cannot_be_used() {
    let desk = Desk::new().file("data", "a file and no directory");
    let outcome = desk.run(&format!("{SERVE} --data-dir data"));
    refused(&outcome, 66);
    assert!(outcome.stderr.contains("data.dir"), "{outcome}");
}
