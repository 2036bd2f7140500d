//! Flag, environment, `.env`, file, default: who wins, and that `config explain` says so.

use serde_json::{Value, json};

use crate::support::Desk;

/// What holds for a key, and who said so.
fn explained(desk: &Desk, key: &str, arguments: &str) -> (Value, String) {
    let explained = desk.json(&format!("config explain {key} --json {arguments}"));
    (explained["value"].clone(), explained["source"].as_str().unwrap().to_owned())
}

#[test]
fn the_stronger_source_wins_whatever_the_weaker_say() {
    // Every combination of sources; the winner is the first that is there.
    let sources = ["--http", "environment BARTIZAN_HTTP__ADDRESS", ".env:1", "bartizan.yaml:2"];
    for present in 0..16_u32 {
        let has = |index: usize| present & (1 << index) != 0;
        let mut desk = Desk::new();
        let mut arguments = "";
        if has(0) {
            arguments = "--set http.address=127.0.0.1:1000";
        }
        if has(1) {
            desk = desk.env("BARTIZAN_HTTP__ADDRESS", "127.0.0.1:1001");
        }
        if has(2) {
            desk = desk.file(".env", "BARTIZAN_HTTP__ADDRESS=127.0.0.1:1002\n");
        }
        if has(3) {
            desk = desk.file("bartizan.yaml", "http:\n  address: 127.0.0.1:1003\n");
        }
        let (value, source) = explained(&desk, "http.address", arguments);
        match (0..4).find(|index| has(*index)) {
            None => assert_eq!((value, source.as_str()), (json!("127.0.0.1:8080"), "default")),
            Some(winner) => {
                assert_eq!(value, json!(format!("127.0.0.1:{}", 1000 + winner)), "{present:04b}");
                let expected = if winner == 0 { "--set" } else { sources[winner] };
                assert!(source.starts_with(expected), "{present:04b}: {source}");
            }
        }
    }
}

#[test]
fn within_the_environment_our_own_names_come_first() {
    let desk = Desk::new()
        .env("BARTIZAN_GRPC__ADDRESS", "127.0.0.1:1001")
        .env("OMNIA_GRPC_PORT", "1002")
        .file(".env", "BARTIZAN_GRPC__ADDRESS=127.0.0.1:1003\n");
    assert_eq!(explained(&desk, "grpc.address", "").0, json!("127.0.0.1:1001"));
    let desk = Desk::new()
        .env("OMNIA_GRPC_PORT", "1002")
        .file(".env", "BARTIZAN_GRPC__ADDRESS=127.0.0.1:1003\n");
    assert_eq!(explained(&desk, "grpc.address", "").0, json!("127.0.0.1:1002"));
}

#[test]
fn explain_names_winner_and_beaten() {
    let desk = Desk::new()
        .env("BARTIZAN_PROVIDER__MODEL", "from-environment")
        .env("OMNIA_PROVIDER_MODEL", "from-omnia")
        .file(".env", "# a remark\nBARTIZAN_PROVIDER__MODEL=from-dotenv\n")
        .file("bartizan.yaml", "provider:\n  type: ollama\n  model: from-file\n");
    insta::assert_snapshot!(desk.run("config explain provider.model --model from-flag"));
}

#[test]
fn a_key_alone_chooses_its_provider() {
    let secret = "k".repeat(12);
    let provider = |desk: &Desk| explained(desk, "provider.type", "");
    let with = |names: &[&str]| {
        names.iter().fold(Desk::new(), |desk, name| desk.env(*name, secret.as_str()))
    };
    assert_eq!(provider(&Desk::new()), (json!("mock"), "default".into()));
    for (names, chosen, because) in [
        (
            &["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"][..],
            "openai",
            "OPENAI_API_KEY",
        ),
        (&["GEMINI_API_KEY", "ANTHROPIC_API_KEY"], "anthropic", "ANTHROPIC_API_KEY"),
        (&["GEMINI_API_KEY", "GOOGLE_API_KEY"], "gemini", "GEMINI_API_KEY"),
        (&["GOOGLE_API_KEY"], "gemini", "GOOGLE_API_KEY"),
    ] {
        let expected = (json!(chosen), format!("environment {because}"));
        assert_eq!(provider(&with(names)), expected, "{names:?}");
    }
    // A key in `.env` counts too, but less than one in the environment.
    let desk = Desk::new().file(".env", format!("OPENAI_API_KEY={secret}\n"));
    assert_eq!(provider(&desk), (json!("openai"), ".env:1 OPENAI_API_KEY".into()));
    let desk = desk.env("GEMINI_API_KEY", secret.as_str());
    assert_eq!(provider(&desk).0, json!("gemini"));
    // What is configured counts more than any key.
    let desk = with(&["OPENAI_API_KEY"]).file("bartizan.yaml", "provider:\n  type: mock\n");
    assert_eq!(provider(&desk), (json!("mock"), "bartizan.yaml:2".into()));
    // An empty key is no key.
    assert_eq!(provider(&Desk::new().env("OPENAI_API_KEY", "")).0, json!("mock"));
}

#[test]
fn paths_in_the_file_start_at_the_file() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("etc")).unwrap();
    let desk = desk
        .file("etc/b.yaml", "packs: [a.json, /b.json]\ntools:\n  file: t.yaml\n")
        .env("BARTIZAN_MOCK__FILE", "m.yaml");
    let shown = desk.json("config show --json --config etc/b.yaml");
    assert_eq!(shown["packs"], json!(["etc/a.json", "/b.json"]));
    assert_eq!(shown["tools"]["file"], "etc/t.yaml");
    assert_eq!(shown["mock"]["file"], "m.yaml");
    assert_eq!(shown["data"]["dir"], "etc/./.bartizan");
}

#[test]
fn dotenv_is_for_development_only() {
    let desk = Desk::new()
        .file(".env", "BARTIZAN_HTTP__ADDRESS=127.0.0.1:1002\n")
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    assert_eq!(explained(&desk, "http.address", "").1, "default");
}

#[test]
fn unknown_variables_are_warned_of() {
    let desk = Desk::new()
        .env("BARTIZAN_HTTP__ADRESS", "127.0.0.1:1")
        .env("OMNIA_PROMTPACK_PATH", "x")
        .env("UNRELATED", "x");
    let outcome = desk.run("config explain http.address");
    assert_eq!(outcome.code, Some(0), "{outcome}");
    insta::assert_snapshot!(outcome.stderr);
}

#[test]
fn lists_and_maps_come_as_json_or_with_commas() {
    let desk = Desk::new()
        .env("BARTIZAN_EGRESS__ALLOW", "tools.internal, 10.0.0.0/8:443")
        .env("BARTIZAN_PACKS", r#"["a,b.json"]"#)
        .env("BARTIZAN_PRICES", r#"{"gpt-4.1": {"input": 2, "output": 8}}"#);
    let shown = desk.json("config show --json");
    assert_eq!(shown["egress"]["allow"], json!(["tools.internal", "10.0.0.0/8:443"]));
    assert_eq!(shown["packs"], json!(["a,b.json"]));
    assert_eq!(shown["prices"]["gpt-4.1"]["output"], 8.0);
    let wrong = Desk::new().env("BARTIZAN_PRICES", "cheap").run("config show");
    assert_eq!(wrong.code, Some(78), "{wrong}");
}
