//! Input that is too much, or not what it says it is.

use promptpack::{Code, ReadOptions, Report, TemplateError, TemplateLimits, read};
use serde_json::{Map, Value, json};

use crate::support::{document, pack_with};

fn only_code(report: &Report) -> Code {
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert!(!report.is_valid());
    report.findings[0].code
}

#[test]
fn bytes_that_are_no_pack_get_one_clear_error() {
    let options = ReadOptions::default();
    let cases: [(Vec<u8>, Code); 7] = [
        (vec![b' '; 100 << 20], Code::InputTooLarge),
        ("[".repeat(1_000_000).into_bytes(), Code::TooDeep),
        ("{\"a\":".repeat(1_000_000).into_bytes(), Code::TooDeep),
        (b"\xEF\xBB\xBF{}".to_vec(), Code::ByteOrderMark),
        (b"{\"id\": \"\xFF\"}".to_vec(), Code::InvalidUtf8),
        (b"{\"id\": NaN}".to_vec(), Code::InvalidJson),
        (b"[]".to_vec(), Code::WrongType),
    ];
    for (bytes, code) in cases {
        assert_eq!(only_code(&read(&bytes, &options)), code);
    }
}

#[test]
fn a_key_given_twice_is_an_error_wherever_it_is() {
    let text = document("x", json!({}), json!({"metadata": {"deep": {"a": 1}}})).to_string();
    let twice = text.replace("\"a\":1", "\"a\":1,\"a\":2");
    let report = read(twice.as_bytes(), &ReadOptions::default());
    assert_eq!(only_code(&report), Code::DuplicateKey);
    assert_eq!(report.findings[0].pointer, "/metadata/deep/a");
}

#[test]
fn a_flood_of_faults_stays_small() {
    let long = "k".repeat(100_000);
    let keys: Map<String, Value> =
        (0..20_000).map(|number| (format!("x{number}"), Value::Null)).collect();
    let pack = json!({ "prompts": { &long: keys } }).to_string();
    let report = read(pack.as_bytes(), &ReadOptions::default());
    assert!(!report.is_valid());
    let size: usize =
        report.findings.iter().map(|finding| finding.pointer.len() + finding.message.len()).sum();
    assert!(size < 2 << 20, "{size}");
    assert_eq!(report.findings.last().unwrap().code, Code::CheckLimit);
}

#[test]
fn many_prompts_over_many_fragments_are_cut_short_with_a_warning() {
    let all: String = (1..3000).map(|number| format!("{{{{fragment:f{number}}}}}")).collect();
    let fragments: Map<String, Value> = (1..3000)
        .map(|number| (format!("f{number}"), "x".into()))
        .chain([("f0".to_owned(), all.into())])
        .collect();
    let one =
        json!({"id": "p", "name": "P", "version": "1.0.0", "system_template": "{{fragment:f0}}"});
    let prompts: Map<String, Value> = (0..1000)
        .map(|number| {
            let mut prompt = one.clone();
            prompt["id"] = format!("p{number}").into();
            (format!("p{number}"), prompt)
        })
        .collect();
    let pack = document("x", json!({}), json!({ "fragments": fragments, "prompts": prompts }));
    let report = read(pack.to_string().as_bytes(), &ReadOptions::default());
    let codes: Vec<Code> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::CheckLimit]);
    assert!(report.is_valid());
}

#[test]
fn fragments_are_bounded_and_the_error_names_the_chain() {
    let limits = TemplateLimits { max_depth: 3, max_bytes: 200 };
    let compile = |fragments: Value| {
        let pack = pack_with("{{fragment:a}}", json!({}), json!({ "fragments": fragments }));
        match pack.compile_within("p", None, limits) {
            Err(promptpack::CompileError::Template { error, .. }) => error,
            other => panic!("{other:?}"),
        }
    };
    let chain = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let circle = compile(json!({"a": "{{fragment:b}}", "b": "{{a}}"}));
    assert_eq!(circle, TemplateError::FragmentCycle { chain: chain(&["a", "b", "a"]) });
    assert_eq!(circle.to_string(), "fragments include each other in a circle: a → b → a");
    assert_eq!(
        compile(json!({"a": "{{b}}", "b": "{{c}}", "c": "{{d}}", "d": "x"})),
        TemplateError::FragmentDepth { chain: chain(&["a", "b", "c", "d"]), max: 3 }
    );
    assert_eq!(
        compile(json!({"a": "{{b}}{{b}}{{b}}", "b": "x".repeat(80)})),
        TemplateError::TooLarge { chain: chain(&["a", "b"]), max: 200 }
    );
    // Fragments that add no text are counted by the text that names them.
    assert!(matches!(
        compile(json!({"a": "{{b}}".repeat(20), "b": "{{c}}".repeat(20), "c": ""})),
        TemplateError::TooLarge { .. }
    ));
}

#[test]
fn a_doubling_chain_of_fragments_is_checked_and_refused_quickly() {
    let fragments: Map<String, Value> = (0..15)
        .map(|number| {
            (format!("f{number}"), format!("{{{{fragment:f{}}}}}", number + 1).repeat(40).into())
        })
        .chain([("f15".to_owned(), "x".into())])
        .collect();
    let pack = pack_with("{{fragment:f0}}", json!({}), json!({ "fragments": fragments }));
    assert!(pack.compile("p", None).unwrap_err().to_string().contains("longer than"));
    let report = read(
        serde_json::to_string(&document(
            "{{fragment:f0}}",
            json!({}),
            json!({ "fragments": fragments }),
        ))
        .unwrap()
        .as_bytes(),
        &ReadOptions::default(),
    );
    assert_eq!(report.findings[0].code, Code::FragmentTooLarge);
}
