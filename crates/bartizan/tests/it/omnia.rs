//! The environment of Omnia's runtimes.

use std::time::Duration;

use bartizan_testkit::{client, process::Launch};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{BINARY, Desk, small_pack};

#[test]
fn every_name_that_says_something_is_heard() {
    for (name, value, pointer, expected) in [
        ("OMNIA_AGENT_NAME", "desk", "/omnia/agent", json!("desk")),
        ("OMNIA_NAMESPACE", "house", "/omnia/namespace", json!("house")),
        ("OMNIA_PROMPTPACK_PATH", "/a,b.json", "/packs", json!(["/a,b.json"])),
        ("OMNIA_PROMPT_NAME", "default", "/prompt_fallback", json!("default")),
        ("OMNIA_GRPC_PORT", "9100", "/grpc/address", json!("127.0.0.1:9100")),
        ("OMNIA_HEALTH_PORT", "9101", "/ops/address", json!("127.0.0.1:9101")),
        ("OMNIA_TOOLS_CONFIG_PATH", "/t.yaml", "/tools/file", json!("/t.yaml")),
        ("OMNIA_TOOLS_CONFIG", "/t.yaml", "/tools/file", json!("/t.yaml")),
        ("OMNIA_SESSION_TYPE", "memory", "/sessions/store", json!("memory")),
        ("OMNIA_SESSION_TTL", "86400", "/sessions/ttl", json!("24h")),
        ("OMNIA_CONTEXT_TTL", "1h30m", "/sessions/ttl", json!("1h30m")),
        ("OMNIA_PROVIDER_TYPE", "ollama", "/provider/type", json!("ollama")),
        ("OMNIA_PROVIDER_TYPE", "mock", "/provider/type", json!("mock")),
        ("OMNIA_MOCK_PROVIDER", "true", "/provider/type", json!("mock")),
        ("OMNIA_MOCK_PROVIDER", "false", "/provider/type", json!("mock")),
        ("OMNIA_MOCK_CONFIG", "/m.yaml", "/mock/file", json!("/m.yaml")),
        ("OMNIA_PROVIDER_MOCK_CONFIG", "/m.yaml", "/mock/file", json!("/m.yaml")),
        ("OMNIA_CONTEXT_WINDOW", "8000", "/limits/context_tokens", json!(8000)),
        ("OMNIA_CONTEXT_WINDOW", "0", "/limits/context_tokens", Value::Null),
        ("LOG_LEVEL", "DEBUG", "/log/level", json!("debug")),
    ] {
        let shown = Desk::new().env(name, value).json("config show --json");
        assert_eq!(shown.pointer(pointer), Some(&expected), "{name}={value}");
    }
}

#[test]
fn providers_have_omnias_names_and_models() {
    let secret = "k".repeat(12);
    for (name, key, ours, model) in [
        ("claude", "ANTHROPIC_API_KEY", "anthropic", "claude-sonnet-4-20250514"),
        ("openai", "OPENAI_API_KEY", "openai", "gpt-4o"),
        ("gemini", "GOOGLE_API_KEY", "gemini", "gemini-2.5-flash"),
        ("ollama", "UNUSED", "ollama", "llama3.2"),
    ] {
        let desk = Desk::new().env("OMNIA_PROVIDER_TYPE", name).env(key, secret.as_str());
        let shown = desk.json("config show --json");
        assert_eq!(shown["provider"]["type"], ours);
        assert_eq!(shown["provider"]["model"], model);
        let desk = desk
            .env("OMNIA_PROVIDER_MODEL", "m")
            .env("OMNIA_PROVIDER_BASE_URL", "http://127.0.0.1:1/v1");
        let shown = desk.json("config show --json");
        assert_eq!(shown["provider"]["model"], "m");
        assert_eq!(shown["provider"]["base_url"], "http://127.0.0.1:1/v1");
    }
    let desk = Desk::new().env("OMNIA_PROVIDER_TYPE", "claude").run("config show");
    assert_eq!(desk.code, Some(78), "{desk}");
    assert!(desk.stderr.contains("ANTHROPIC_API_KEY"), "{desk}");
}

#[test]
fn the_mock_annotation_beats_the_provider() {
    let desk = Desk::new().env("OMNIA_PROVIDER_TYPE", "claude").env("OMNIA_MOCK_PROVIDER", "true");
    assert_eq!(desk.json("config show --json")["provider"]["type"], "mock");
}

#[test]
fn a_pod_keeps_sessions_in_memory_for_a_day_unless_told_otherwise() {
    let desk = Desk::new().env("OMNIA_AGENT_NAME", "desk");
    let shown = desk.json("config show --json");
    assert_eq!(shown["sessions"]["store"], "memory");
    assert_eq!(shown["sessions"]["ttl"], "24h");
    let desk = desk.file("bartizan.yaml", "sessions:\n  store: sqlite\n");
    assert_eq!(desk.json("config show --json")["sessions"]["store"], "sqlite");
}

#[test]
fn a_pod_whose_pack_is_not_mounted_does_not_serve_the_example() {
    let outcome = Desk::new().env("OMNIA_AGENT_NAME", "desk").run("serve");
    assert_eq!(outcome.code, Some(66), "{outcome}");
    assert!(outcome.stderr.contains("/etc/omnia/pack/pack.json"), "{outcome}");
}

#[test]
fn what_would_be_lost_stops_the_start() {
    let password = "p".repeat(9);
    for (name, value) in [
        ("OMNIA_SESSION_TYPE", "redis".to_owned()),
        ("OMNIA_SESSION_URL", format!("redis://:{password}@127.0.0.1:6379")),
        ("OMNIA_CONTEXT_URL", format!("redis://:{password}@127.0.0.1:6379")),
        ("POLICY_BROKER_URL", "http://localhost:8090".to_owned()),
    ] {
        let outcome = Desk::new().env(name, value).run("serve");
        assert_eq!(outcome.code, Some(78), "{outcome}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
        assert!(outcome.stderr.contains(name), "{outcome}");
        assert!(!outcome.stderr.contains(&password), "{outcome}");
    }
}

#[test]
fn what_has_no_effect_is_said() {
    let names = [
        ("OMNIA_TRACING_ENABLED", "true"),
        ("OMNIA_TRACING_ENDPOINT", "collector:4317"),
        ("OMNIA_TRUNCATION_STRATEGY", "summarize"),
        ("OMNIA_MEDIA_STORAGE_TYPE", "s3"),
        ("OMNIA_PROMPTPACK_MANIFEST_PATH", "/m.json"),
        ("OMNIA_WORKSPACE_UID", "u"),
        ("OMNIA_WORKSPACE_NAME", "w"),
        ("OMNIA_PACK_CACHE_DIR", "/var/run/omnia/pack-cache"),
        ("OMNIA_PROMPTPACK_VERSION", "1.0.0"),
        ("OMNIA_FACADE_PORT", "8080"),
        ("POLICY_BROKER_FAIL_MODE", "closed"),
        ("SESSION_API_TOKEN_PATH", "/t"),
        ("OMNIA_CANARY_OVERRIDE_PATH", "/c.json"),
        ("OMNIA_CONFIG_DIR", "/c"),
        ("OMNIA_PROVIDER_REF_NAME", "p"),
    ];
    let desk = names.iter().fold(Desk::new(), |desk, (name, value)| desk.env(*name, *value));
    let outcome = desk.run("config explain http.address");
    assert_eq!(outcome.code, Some(0), "{outcome}");
    insta::assert_snapshot!(outcome.stderr);
}

#[tokio::test]
async fn the_prompts_name_counts_only_where_the_pack_leaves_it_open() {
    let mut with_entry = small_pack();
    with_entry["agents"] = json!({ "entry": "main", "members": { "main": {}, "letter": {} } });
    for (pack, name, entry, warned) in [
        (small_pack(), "letter", "small/letter", false),
        (small_pack(), "default", "small/main", true),
        (with_entry, "letter", "small/main", false),
    ] {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("pack.json");
        std::fs::write(&file, pack.to_string()).unwrap();
        let mut server = Launch::new(BINARY)
            .arg("serve")
            .env("OMNIA_AGENT_NAME", "desk")
            .env("OMNIA_NAMESPACE", "house")
            .env("OMNIA_PROMPTPACK_PATH", &file)
            .env("OMNIA_PROMPT_NAME", name)
            .start()
            .await;
        server.ready().await;
        let limit = Duration::from_secs(20);
        let agents = client::get(server.http, "/v1/agents", limit).await.unwrap().json();
        let agents = agents["data"].as_array().unwrap();
        let found = agents.iter().find(|agent| agent["entry"] == true).unwrap();
        assert_eq!(found["id"], entry, "{name}");
        let said = server.stderr();
        assert_eq!(said.contains("has no prompt `default`"), warned, "{said}");
        assert!(said.contains("in memory"), "{said}");
        let metrics = client::get(server.ops, "/metrics", limit).await.unwrap().text();
        assert!(metrics.contains("agent=\"desk\"") && metrics.contains("namespace=\"house\""));
        server.kill().await;
    }
}
