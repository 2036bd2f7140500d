//! Small packs for the tests, and what is acted on in them.

use promptpack::{CompiledPrompt, Pack, ReadOptions, SupportLevel, read, support};
use serde_json::{Map, Value, json};

/// A pack with one prompt `p`, to which `prompt` is added, and root fields `root`.
pub(crate) fn pack_with(template: &str, prompt: Value, root: Value) -> Pack {
    let report =
        read(document(template, prompt, root).to_string().as_bytes(), &ReadOptions::default());
    report.pack.unwrap_or_else(|| panic!("{:#?}", report.findings))
}

/// The JSON of [`pack_with`].
pub(crate) fn document(template: &str, prompt: Value, root: Value) -> Value {
    let mut one = json!({"id": "p", "name": "P", "version": "1.0.0", "system_template": template});
    extend(&mut one, prompt);
    let mut pack = json!({
        "id": "a", "name": "A", "version": "1.0.0",
        "template_engine": {"version": "v1", "syntax": "{{variable}}"},
        "prompts": {"p": one},
    });
    extend(&mut pack, root);
    pack
}

fn extend(target: &mut Value, more: Value) {
    if let (Some(target), Value::Object(more)) = (target.as_object_mut(), more) {
        target.extend(more);
    }
}

/// The compiled prompt `p`.
pub(crate) fn prompt(template: &str, variables: Value, fragments: Value) -> CompiledPrompt {
    pack_with(template, json!({ "variables": variables }), json!({ "fragments": fragments }))
        .compile("p", None)
        .unwrap()
}

/// An object as the values of a rendering.
pub(crate) fn values(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

#[test]
fn what_is_acted_on_is_told_apart_from_what_is_not() {
    let pack = pack_with(
        "x",
        json!({"parameters": {"temperature": 1}, "validators": [{"type": "max_length", "enabled": true, "params": {"max": 1}}]}),
        json!({"skills": ["a"], "workflow": {"version": 1, "entry": "s", "states": {"s": {"prompt_task": "p"}}}}),
    );
    let by_level = |level| -> Vec<&str> {
        support(&pack).into_iter().filter(|one| one.level == level).map(|one| one.feature).collect()
    };
    assert_eq!(by_level(SupportLevel::ActedOn), ["prompts", "parameters"]);
    assert_eq!(by_level(SupportLevel::NotRun), ["validators", "workflow", "skills"]);
}
