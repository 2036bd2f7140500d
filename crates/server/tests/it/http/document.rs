//! `openapi.json`: what is committed is what the routes say, and what the routes say is there.

use std::{collections::BTreeSet, path::Path};

use ::http::Method;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::Value;

use super::support::{Answer, text, world};

/// Set to write the file instead of comparing it.
const WRITE: Option<&str> = option_env!("UPDATE_OPENAPI");

fn document() -> Value {
    serde_json::from_str(bartizan_server::openapi_json()).unwrap()
}

#[test]
fn the_committed_document_is_the_present_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json");
    let present = format!("{}\n", bartizan_server::openapi_json());
    if WRITE.is_some() {
        std::fs::write(&path, &present).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == present,
        "openapi.json is not what the routes say; run UPDATE_OPENAPI=1 cargo test -p bartizan-server document"
    );
}

#[tokio::test]
async fn every_documented_route_is_there() {
    let world = world(|_, _| text("hi")).await;
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete = path
            .replace("{run_id}", "0190b6f0-8d3a-7c1e-9f4e-2b1c5d6e7f80")
            .replace(['{', '}'], "");
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let request =
                world.request(method.clone(), &concrete).body(Full::<Bytes>::default()).unwrap();
            let answer = Answer::of(world.send(request).await).await;
            let missing = ["unknown_route", "method_not_allowed"];
            assert!(
                !missing.iter().any(|code| answer.text.contains(code)),
                "{method} {path}: {}",
                answer.text
            );
        }
    }
}

/// What adds to a router without adding to the document.
const UNDOCUMENTED: [&str; 6] =
    [".route(", ".route_service(", ".nest(", ".nest_service(", ".fallback(", ".fallback_service("];

/// The document can only tell of what went through `routes!`, so nothing else may add a route. The
/// operations door is not part of it.
#[test]
fn routes_are_added_with_their_description_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path != source.join("ops") {
                    folders.push(path);
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let text: String =
                text.split("#[cfg(test)]").next().unwrap().split_whitespace().collect();
            read += 1;
            for call in UNDOCUMENTED {
                assert!(
                    !text.contains(call),
                    "{}: {call}) adds what is not in the document",
                    path.display()
                );
            }
        }
    }
    assert!(read > 20, "the source is not where it was");
}

/// The routes, told here once more by hand: one that is lost is missed.
#[test]
fn every_route_is_documented() {
    let document = document();
    let found: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    insta::assert_json_snapshot!(found);
}

/// OpenAPI demands a description of each response, and validators refuse a document without.
#[test]
fn every_answer_is_described() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let words = response["description"].as_str().unwrap_or_default();
                assert!(!words.is_empty(), "{method} {path} {status}");
            }
        }
    }
}

#[test]
fn every_route_says_how_it_fails() {
    let document = document();
    let never_fails = ["/v1/models", "/v1/agents", "/openapi.json"];
    for (path, item) in document["paths"].as_object().unwrap() {
        if never_fails.contains(&path.as_str()) {
            continue;
        }
        for (method, operation) in item.as_object().unwrap() {
            let failures = operation["responses"].as_object().unwrap().iter();
            let failures: Vec<_> = failures.filter(|(status, _)| status.starts_with('4')).collect();
            assert!(!failures.is_empty(), "{method} {path}");
            for (status, response) in failures {
                let schema = &response["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Error", "{method} {path} {status}");
            }
        }
    }
}
