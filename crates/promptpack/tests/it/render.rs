//! Values into prompts.

use promptpack::{FaultKind, RenderError, ValueFault};
use serde_json::{Value, json};

use crate::support::{prompt, values};

fn text(name: &str) -> Value {
    json!({"name": name, "type": "string", "required": true})
}

fn render(template: &str, variables: Value, given: Value) -> String {
    prompt(template, variables, json!({})).render(&values(given)).unwrap()
}

fn faults(template: &str, variables: Value, given: Value) -> Vec<ValueFault> {
    match prompt(template, variables, json!({})).render(&values(given)) {
        Err(RenderError::Values { faults, .. }) => faults,
        other => panic!("{other:?}"),
    }
}

fn kinds(template: &str, variables: Value, given: Value) -> Vec<FaultKind> {
    faults(template, variables, given).into_iter().map(|fault| fault.kind).collect()
}

#[test]
fn every_form_of_placeholder_is_filled() {
    let template = "{{a}}|{{ a }}|{{\ta }}|{{o.k}}|{{o.list[1].deep-key}}|{{l[0]}}|{{artifacts.x}}|{{artifacts.y}}|{{u}}";
    let variables = json!([
        text("a"), {"name": "o", "type": "object", "required": true}, {"name": "l", "type": "array", "required": true}
    ]);
    let given = json!({"a": "A", "o": {"k": 1, "list": [0, {"deep-key": true}]}, "l": ["first"], "artifacts": {"x": "X"}, "u": "U"});
    assert_eq!(render(template, variables, given), "A|A|A|1|true|first|X||U");
}

#[test]
fn values_show_as_json_and_texts_as_they_are() {
    let given = json!({"n": 2.5, "i": 3, "b": false, "l": [1, "ä"], "o": {"k": null}, "s": "a\"b"});
    assert_eq!(
        render("{{n}} {{i}} {{b}} {{l}} {{o}} {{s}}", json!([]), given),
        "2.5 3 false [1,\"ä\"] {\"k\":null} a\"b"
    );
}

#[test]
fn values_are_inserted_once() {
    let variables = json!([text("a"), text("b")]);
    let given = json!({"a": "{{b}} {{fragment:f}} \\{{", "b": "B"});
    assert_eq!(render("{{a}}/{{b}}", variables, given), "{{b}} {{fragment:f}} \\{{/B");
    // Two values next to each other make no placeholder either.
    assert_eq!(
        render("{{a}}{{b}}", json!([text("a"), text("b")]), json!({"a": "{", "b": "{a}}"})),
        "{{a}}"
    );
}

#[test]
fn braces_around_anything_else_are_text() {
    for literal in [
        "{{#if x}}",
        "{{7*7}}",
        "{{a-b}}",
        "{{}}",
        "{{ }}",
        "{{a",
        "{{a}",
        "{{a b}}",
        "{{fragment:}}",
        "{{a[x]}}",
        "{{a..b}}",
        "{{ä}}",
        "}}",
        "{\"a\": {\"b\": 1}}",
        "{{a[99999999999999999999]}}",
        "{{a\n}}",
    ] {
        assert_eq!(render(literal, json!([]), json!({"a": "no", "b": "no", "x": "no"})), literal);
    }
    assert_eq!(render("{{{a}}}", json!([]), json!({"a": "A"})), "{A}");
}

#[test]
fn a_backslash_makes_braces_text() {
    let given = || json!({"a": "A"});
    assert_eq!(render(r"\{{a}}", json!([]), given()), "{{a}}");
    assert_eq!(render(r"\\{{a}}", json!([]), given()), r"\A");
    assert_eq!(render(r"\\\{{a}}", json!([]), given()), r"\{{a}}");
    assert_eq!(render(r"\n \{ \{{{a}}", json!([]), given()), r"\n \{ {{{a}}");
    assert_eq!(render(r"{{a}}\{{a}}{{a}}", json!([]), given()), "A{{a}}A");
}

#[test]
fn fragments_are_read_in_all_styles_and_a_variable_wins_over_a_bare_name() {
    let fragments = json!({"f": "<{{v}}>", "g.h": "G", "v": "fragment"});
    let given = || values(json!({"v": "V"}));
    let template =
        "{{fragment:f}} {{fragments.f}} {{f}} {{ fragment:g.h }} {{fragments.g.h}} {{v}}";
    assert_eq!(
        prompt(template, json!([text("v")]), fragments.clone()).render(&given()).unwrap(),
        "<V> <V> <V> G G V"
    );
    assert_eq!(
        prompt("{{f}} {{v}}", json!([]), fragments).render(&given()).unwrap(),
        "<fragment> fragment"
    );
}

#[test]
fn defaults_and_absent_values() {
    let variables = json!([
        {"name": "a", "type": "string", "required": true, "default": "A"},
        {"name": "b", "type": "number", "required": false, "default": 5},
        {"name": "c", "type": "string", "required": false},
        {"name": "d", "type": "object", "required": false}
    ]);
    assert_eq!(render("{{a}}{{b}}[{{c}}{{d.x}}]", variables.clone(), json!({"a": null})), "A5[]");
    assert_eq!(
        render("{{a}}{{b}}[{{c}}]", variables, json!({"a": "", "b": 0, "c": "c", "ignored": {}})),
        "0[c]"
    );
}

#[test]
fn types_are_strict() {
    for (type_, good, bad) in [
        ("string", json!("5"), json!(5)),
        ("number", json!(5), json!("5")),
        ("boolean", json!(true), json!("true")),
        ("object", json!({}), json!([])),
        ("array", json!([]), json!({})),
    ] {
        let variables = || json!([{"name": "x", "type": type_, "required": true}]);
        render("{{x}}", variables(), json!({ "x": good }));
        assert_eq!(
            kinds("no use of it", variables(), json!({ "x": bad })),
            [FaultKind::WrongType],
            "{type_}"
        );
    }
    render("{{x}}", json!([{"name": "x", "type": "date", "required": true}]), json!({"x": 1}));
}

#[test]
fn rules_are_kept() {
    let rule = |type_: &str, rules: Value| json!([{"name": "x", "type": type_, "required": true, "validation": rules}]);
    for (type_, rules, good, bad) in [
        ("string", json!({"pattern": "b+"}), json!("abc"), json!("ac")),
        ("string", json!({"min_length": 2}), json!("äö"), json!("ä")),
        ("string", json!({"max_length": 2}), json!("äö"), json!("äöü")),
        ("string", json!({"enum": ["a", "b"]}), json!("b"), json!("c")),
        ("number", json!({"minimum": 1, "maximum": 2}), json!(2), json!(2.5)),
        ("number", json!({"enum": [1.0]}), json!(1), json!(2)),
        ("array", json!({"enum": [[1]]}), json!([1]), json!([2])),
    ] {
        render("{{x}}", rule(type_, rules.clone()), json!({ "x": good }));
        assert_eq!(
            kinds("{{x}}", rule(type_, rules), json!({ "x": bad })),
            [FaultKind::BrokenRule],
            "{bad}"
        );
    }
}

#[test]
fn every_fault_is_listed_and_no_value_is_shown() {
    let variables = json!([
        text("name"), text("other"),
        {"name": "age", "type": "number", "required": true},
        {"name": "code", "type": "string", "required": true, "validation": {"pattern": "^[0-9]+$"}},
        {"name": "who", "type": "object", "required": true}
    ]);
    let given =
        json!({"age": "SECRET", "code": "SECRET", "who": {"first": "SECRET"}, "other": "x"});
    let prompt = prompt("{{nmae}}\n{{name}} {{who.last}}", variables, json!({}));
    let error = prompt.render(&values(given)).unwrap_err().to_string();
    assert!(!error.contains("SECRET"));
    insta::assert_snapshot!(error.replace("; `", "\n`"));
}

#[test]
fn the_rendered_text_is_bounded() {
    let prompt = prompt(&"{{x}}".repeat(1000), json!([text("x")]), json!({}));
    let error = prompt.render(&values(json!({"x": "x".repeat(100_000)}))).unwrap_err();
    assert_eq!(error, RenderError::TooLarge { prompt: "p".to_owned(), max: 4 << 20 });
}
