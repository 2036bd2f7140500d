//! Any template, fragment and value: no value is read again, and the length of
//! the outcome is bounded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use promptpack::{Pack, Prompt, TemplateLimits};
use serde_json::{Map, Value, json};

/// Stands around every value, and is taken out of everything else.
const MARK: char = '\u{1}';

fuzz_target!(|texts: (String, String, String)| {
    let (template, fragment, value) = texts;
    let plain = |text: &str| text.replace(MARK, "");
    let mut pack = Pack::default();
    pack.fragments.insert("f".to_owned(), plain(&fragment));
    pack.prompts
        .insert("p".to_owned(), Prompt { system_template: plain(&template), ..Prompt::default() });
    let limits = TemplateLimits { max_depth: 4, max_bytes: 1 << 16 };
    let Ok(prompt) = pack.compile_within("p", None, limits) else { return };
    let render = |value: String| {
        let values: Value = json!({"a": value, "o": {"k": [value]}});
        prompt.render(values.as_object().unwrap_or(&Map::new()))
    };
    let marks = format!("{MARK}{MARK}");
    let marked = format!("{MARK}{}{MARK}", plain(&value));
    if let Ok(with_value) = render(marked.clone()) {
        assert!(with_value.len() <= limits.max_bytes);
        // Values inside other values are written as JSON, which escapes the mark.
        if !with_value.contains("\\u0001") {
            assert_eq!(
                render(marks.clone()).map(|with_marks| with_marks.replace(&marks, &marked)),
                Ok(with_value)
            );
        }
    }
});
