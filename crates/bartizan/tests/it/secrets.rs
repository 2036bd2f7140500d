//! A secret comes from the environment or a file, and is printed by nothing.

use crate::support::{Desk, small_pack};

/// Assembled at run time, so that no scanner takes this file for a leak.
fn planted() -> String {
    ["sk", "planted", &"9".repeat(20)].join("-")
}

#[test]
fn no_command_prints_a_secret() {
    let secret = planted();
    let desk = Desk::new()
        .env("OPENAI_API_KEY", secret.as_str())
        .env("BARTIZAN_PROVIDER__API_KEY", format!("{secret}-b"))
        .env("BARTIZAN_PROVIDER__HEADERS", format!(r#"{{"x-key": "{secret}"}}"#))
        .env(
            "BARTIZAN_PROVIDER__FAILOVER",
            format!(r#"[{{"type": "openai", "api_key": "{secret}"}}]"#),
        )
        .file(".env", format!("OPENAI_API_KEY={secret}-c\n"))
        .file(
            "bartizan.yaml",
            format!(
                "provider:\n  type: openai\n  api_key: {secret}-d\n  headers:\n    a: {secret}\n"
            ),
        );
    for arguments in [
        "config show",
        "config show --json",
        "config explain",
        "config explain --json",
        "config explain provider.api_key",
        "config explain provider.headers",
        "serve missing.json",
        "serve --log-level trace --http 0.0.0.0:1",
    ] {
        let outcome = desk.run(arguments);
        assert!(!format!("{outcome}").contains(&secret), "{arguments}: {outcome}");
    }
    let explained = desk.json("config explain provider.api_key --json");
    assert_eq!(explained["value"], "[redacted]");
    assert_eq!(explained["source"], "environment BARTIZAN_PROVIDER__API_KEY");
    assert_eq!(explained["beaten"].as_array().unwrap().len(), 3);
}

#[test]
fn errors_about_secrets_do_not_repeat_them() {
    let secret = "1234567890123";
    for text in [
        format!("provider:\n  type: openai\n  api_key: {secret}\n"),
        format!("provider:\n  type: openai\n  api_key: [{secret}]\n"),
        format!("provider:\n  type: ollama\n  headers:\n    a: {secret}\n"),
        format!(
            "provider:\n  type: ollama\n  failover:\n    - {{type: ollama, api_key: {secret}}}\n"
        ),
        format!("provider:\n  type: ollama\n  base_url: 'x:y@{secret}'\n"),
        format!("provider:\n  type: ollama\n  base_url: 'http://me:{secret}@127.0.0.1/'\n"),
    ] {
        let outcome = Desk::new().file("bartizan.yaml", &text).run("serve");
        assert_eq!(outcome.code, Some(78), "{text}: {outcome}");
        assert!(!format!("{outcome}").contains(secret), "{text}: {outcome}");
    }
}

#[test]
fn secrets_come_from_files_too() {
    let secret = planted();
    let named = |name: &str, arguments: &str| {
        let desk = Desk::new().file("key", format!("{secret}\n")).env(name, "key");
        let explained = desk.json(&format!("config explain provider.api_key --json {arguments}"));
        assert_eq!(explained["value"], "[redacted]", "{name}");
        explained["source"].as_str().unwrap().to_owned()
    };
    let source = named("BARTIZAN_PROVIDER__API_KEY_FILE", "--provider anthropic");
    assert!(source.contains("BARTIZAN_PROVIDER__API_KEY"), "{source}");
    named("OPENAI_API_KEY_FILE", "");
    named("GOOGLE_API_KEY_FILE", "");
    let desk = Desk::new()
        .file("key", format!("{secret}\r\n"))
        .file("bartizan.yaml", "provider:\n  type: openai\n  api_key_file: key\n");
    assert_eq!(desk.json("config show --json")["provider"]["api_key"], "[redacted]");
}

#[test]
fn both_ways_at_once_are_an_error() {
    let secret = planted();
    for (name, by_file) in [
        ("OPENAI_API_KEY", "OPENAI_API_KEY_FILE"),
        ("BARTIZAN_PROVIDER__API_KEY", "BARTIZAN_PROVIDER__API_KEY_FILE"),
    ] {
        let desk = Desk::new().file("key", &secret).env(name, secret.as_str()).env(by_file, "key");
        let outcome = desk.run("serve");
        assert_eq!(outcome.code, Some(78), "{outcome}");
        assert!(outcome.stderr.contains(by_file), "{outcome}");
        assert!(!outcome.stderr.contains(&secret), "{outcome}");
    }
    let text = "provider:\n  type: openai\n  api_key: a\n  api_key_file: b\n";
    let outcome = Desk::new().file("bartizan.yaml", text).run("serve");
    assert_eq!(outcome.code, Some(78), "{outcome}");
}

#[test]
fn a_secret_file_that_is_missing_or_empty_is_named() {
    for (desk, code) in [
        (Desk::new().env("OPENAI_API_KEY_FILE", "nowhere"), 66),
        (Desk::new().file("key", "\n").env("OPENAI_API_KEY_FILE", "key"), 66),
        (Desk::new().file("bartizan.yaml", "provider: {type: openai, api_key_file: nowhere}"), 66),
    ] {
        let outcome = desk.file("small.json", small_pack().to_string()).run("serve small.json");
        assert_eq!(outcome.code, Some(code), "{outcome}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
    }
}
