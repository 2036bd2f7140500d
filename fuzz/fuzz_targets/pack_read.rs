//! Any bytes: reading ends, and what it gives is consistent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use promptpack::{Code, Mode, ReadOptions, Severity, read, support};
use serde_json::{Map, Value};

fuzz_target!(|bytes: &[u8]| {
    for mode in [Mode::Strict, Mode::Lenient] {
        let report = read(bytes, &ReadOptions { mode, ..ReadOptions::default() });
        assert_eq!(report.is_valid(), report.count(Severity::Error) == 0);
        // Of a key given twice `serde_json` keeps one, and a pointer may mean the other.
        let ambiguous = report.findings.iter().any(|finding| finding.code == Code::DuplicateKey);
        if !ambiguous && let Ok(document) = serde_json::from_slice::<Value>(bytes) {
            for finding in &report.findings {
                assert!(document.pointer(&finding.pointer).is_some(), "{finding}");
            }
        }
        let Some(pack) = report.pack else { continue };
        assert!(!support(&pack).is_empty());
        for (key, prompt) in &pack.prompts {
            for model in prompt
                .model_overrides
                .keys()
                .map(|model| Some(model.as_str()))
                .chain([None])
                .take(4)
            {
                if let Ok(compiled) = pack.compile(key, model) {
                    let _ = compiled.render(&Map::new());
                }
            }
        }
    }
});
