//! What holds for every input.

use promptpack::{Mode, ReadOptions, Template, read};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{document, prompt, values};

/// JSON made of the words of the format, so that readings get far.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("id"),
        Just("name"),
        Just("version"),
        Just("prompts"),
        Just("tools"),
        Just("type"),
        Just("variables"),
        Just("workflow"),
        Just("states"),
        Just("steps"),
        Just("kind"),
        Just("predicate"),
        Just("1.0.0"),
        Just("prompt"),
        Just("{{a}}"),
        Just("${a.output}"),
        Just("fragments"),
        Just("evals"),
        Just("agents"),
        Just("media"),
        Just("a"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

/// Text in which braces and backslashes are frequent.
fn any_template() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            Just("{{".to_owned()),
            Just("}}".to_owned()),
            Just("{".to_owned()),
            Just("\\".to_owned()),
            Just("a".to_owned()),
            Just("{{a}}".to_owned()),
            Just("{{fragment:f}}".to_owned()),
            Just("{{o.k[0]}}".to_owned()),
            Just("\n".to_owned()),
            Just(" ".to_owned()),
            "[a-z#.:\\[\\]é]{0,4}",
        ],
        0..12,
    )
    .prop_map(|pieces| pieces.concat())
}

fn check(bytes: &[u8]) {
    for mode in [Mode::Strict, Mode::Lenient] {
        let report = read(bytes, &ReadOptions { mode, ..ReadOptions::default() });
        let errors = report.count(promptpack::Severity::Error);
        assert_eq!(report.is_valid(), errors == 0);
        if let Ok(document) = serde_json::from_slice::<Value>(bytes) {
            for finding in &report.findings {
                assert!(document.pointer(&finding.pointer).is_some(), "{finding}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    #[test]
    fn any_json_is_read_without_panic_and_pointers_lead_somewhere(value in any_json()) {
        check(value.to_string().as_bytes());
    }

    #[test]
    fn any_part_of_a_pack_is_read_without_panic(
        field in prop_oneof![
            Just("workflow"), Just("agents"), Just("compositions"), Just("evals"), Just("skills"), Just("tools"),
            Just("fragments"), Just("metadata"), Just("requires"), Just("prompts"),
        ],
        value in any_json(),
    ) {
        check(document("{{a}}", json!({}), json!({ field: value })).to_string().as_bytes());
    }

    #[test]
    fn any_template_is_rendered_and_values_are_never_read_again(template in any_template(), value in any_template()) {
        let marked = format!("\u{1}{value}\u{1}");
        let given = values(json!({"a": marked, "o": {"k": [marked]}}));
        let fragments = json!({"f": "<{{a}}>"});
        let pack_text = format!("x{template}");
        if let Ok(with_value) = prompt(&pack_text, json!([]), fragments.clone()).render(&given) {
            // The same prompt with a plain value has the same text around it.
            let plain = values(json!({"a": "\u{1}\u{1}", "o": {"k": ["\u{1}\u{1}"]}}));
            let with_plain = prompt(&pack_text, json!([]), fragments).render(&plain).unwrap();
            prop_assert_eq!(with_value, with_plain.replace("\u{1}\u{1}", &marked));
        }
    }

    #[test]
    fn text_without_double_braces_stays_as_it_is(text in "[^{]{1,60}|(\\{[^{]){0,20}x") {
        prop_assert_eq!(prompt(&text, json!([]), json!({})).render(&Map::new()).unwrap(), text);
    }

    #[test]
    fn places_in_templates_are_right(template in any_template()) {
        for (_, position) in Template::parse(&template).unwrap().placeholders() {
            let before = &template[..position.offset];
            prop_assert!(template[position.offset..].starts_with("{{"));
            prop_assert_eq!(position.line, 1 + before.matches('\n').count());
            prop_assert_eq!(position.column, 1 + before.rsplit('\n').next().unwrap().chars().count());
        }
    }
}
