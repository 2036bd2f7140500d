//! Packs found in public, where they are at hand: they are other people's
//! text and not part of this repository.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};

use promptpack::{Finding, ReadOptions, Report, Severity, read};

/// The folder of a collection; says so when it is not there.
fn collection(name: &str) -> Option<Vec<PathBuf>> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/packs").join(name);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: the collection of public packs is not here ({name})");
        return None;
    };
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{name} holds no packs");
    Some(files)
}

fn report(path: &Path) -> Report {
    read(&std::fs::read(path).unwrap(), &ReadOptions::default())
}

fn errors(report: &Report) -> Vec<String> {
    report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(Finding::to_string)
        .collect()
}

#[test]
fn packs_that_the_published_schema_accepts_are_accepted() {
    for path in ["valid", "newer"].into_iter().filter_map(collection).flatten() {
        let report = report(&path);
        assert_eq!(errors(&report), [""; 0], "{}", path.display());
        for (key, prompt) in &report.pack.unwrap().prompts {
            assert!(!prompt.system_template.is_empty(), "{key}");
        }
    }
}

#[test]
fn packs_that_the_published_schema_refuses_are_refused_with_a_pointer_to_the_fault() {
    for path in collection("invalid").into_iter().flatten() {
        let report = report(&path);
        assert!(!report.is_valid(), "{}", path.display());
        let document: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for finding in report.findings {
            assert!(document.pointer(&finding.pointer).is_some(), "{}: {finding}", path.display());
        }
    }
}

#[test]
fn every_prompt_of_the_large_pack_compiles_and_renders() {
    let Some(folder) =
        collection("valid").and_then(|files| Some(files.first()?.parent()?.parent()?.to_owned()))
    else {
        return;
    };
    let pack = report(&folder.join("large-synthetic.pack.json")).pack.unwrap();
    assert_eq!(pack.prompts.len(), 200);
    for (key, prompt) in &pack.prompts {
        let values =
            prompt.variables.iter().map(|variable| (variable.name.clone(), "x".into())).collect();
        let text = pack.compile(key, None).unwrap().render(&values).unwrap();
        assert!(!text.contains("{{"), "{key}");
    }
}
