//! Our own packs, one for each part of the format, and what is said about them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use promptpack::{Mode, ReadOptions, Report, Severity, read};
use serde_json::Value;

fn fixtures(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let packs: Vec<_> =
        paths.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect();
    assert!(!packs.is_empty());
    packs
}

/// What a reader sees of a report.
fn told(report: &Report) -> String {
    let mut text = format!("needs {}", report.needs);
    if let Some(pointer) = &report.needs_pointer {
        write!(text, " because of {pointer}").unwrap();
    }
    for style in &report.fragment_styles {
        write!(text, "\nfragments as {}", style.example()).unwrap();
    }
    for finding in &report.findings {
        write!(text, "\n{finding}").unwrap();
    }
    text
}

fn assert_pointers_lead_somewhere(name: &str, bytes: &[u8], report: &Report) {
    let document: Value = serde_json::from_slice(bytes).unwrap();
    for finding in &report.findings {
        assert!(document.pointer(&finding.pointer).is_some(), "{name}: {finding}");
    }
}

#[test]
fn good_packs_are_accepted() {
    for (name, bytes) in fixtures("valid") {
        let report =
            read(&bytes, &ReadOptions { references_are_errors: true, ..ReadOptions::default() });
        assert!(report.is_valid(), "{name}: {}", told(&report));
        assert_eq!(report.count(Severity::Error), 0);
        assert_pointers_lead_somewhere(&name, &bytes, &report);
        insta::assert_snapshot!(format!("valid_{name}"), told(&report));
    }
}

#[test]
fn broken_packs_are_refused() {
    for (name, bytes) in fixtures("invalid") {
        let report = read(&bytes, &ReadOptions::default());
        assert!(!report.is_valid(), "{name}");
        assert_pointers_lead_somewhere(&name, &bytes, &report);
        insta::assert_snapshot!(format!("invalid_{name}"), told(&report));
    }
}

#[test]
fn contradictions_are_warnings_unless_they_are_to_be_errors() {
    for (name, bytes) in fixtures("references") {
        let report = read(&bytes, &ReadOptions::default());
        assert!(report.is_valid(), "{name}: {}", told(&report));
        assert!(report.count(Severity::Warning) > 0, "{name}");
        assert_pointers_lead_somewhere(&name, &bytes, &report);
        insta::assert_snapshot!(format!("references_{name}"), told(&report));
        let strict =
            read(&bytes, &ReadOptions { references_are_errors: true, ..ReadOptions::default() });
        let only_advice =
            ["prompts", "engine"].contains(&name.as_str()) && strict.count(Severity::Error) == 0;
        assert!(only_advice || !strict.is_valid(), "{name}");
    }
}

#[test]
fn lenient_reading_keeps_unknown_keys() {
    let (_, bytes) =
        fixtures("invalid").into_iter().find(|(name, _)| name == "unknown-keys").unwrap();
    let report = read(&bytes, &ReadOptions { mode: Mode::Lenient, ..ReadOptions::default() });
    let pack = report.pack.unwrap();
    assert_eq!(pack.unknown.get("/prompts/one/user_template"), Some(&Value::from("hi")));
    assert_eq!(pack.unknown.len(), 6);
}

#[test]
fn a_reading_can_be_limited_to_a_version() {
    let bytes = fixtures("valid").into_iter().find(|(name, _)| name == "workflow").unwrap().1;
    let limit = |version: &str| ReadOptions {
        max_version: Some(version.parse().unwrap()),
        ..ReadOptions::default()
    };
    assert!(read(&bytes, &limit("1.8")).is_valid());
    let report = read(&bytes, &limit("1.3"));
    assert!(!report.is_valid());
    assert!(report.findings.iter().all(|finding| finding.code == promptpack::Code::VersionTooNew));
    assert!(
        report.findings.iter().any(|finding| finding.pointer == "/workflow/states/repair/control")
    );
}

#[test]
fn findings_are_written_for_programs_too() {
    let report = read(b"{}", &ReadOptions::default());
    let first = serde_json::to_value(report.findings.first().unwrap()).unwrap();
    assert_eq!(
        first,
        serde_json::json!({"code": "missing-field", "severity": "error", "pointer": "",
                           "message": "a required field is missing", "expected": "`id`"})
    );
}

#[test]
fn the_documentation_has_every_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/promptpack.md");
    let page = std::fs::read_to_string(path).unwrap();
    for code in promptpack::Code::ALL {
        assert!(page.contains(&format!("`{code}`")), "{code}");
    }
}
