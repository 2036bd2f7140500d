//! What the pack says about a prompt, put together.

use promptpack::{CompileError, Parameters, TemplateSource, ToolChoice, ToolPolicy};
use serde_json::{Map, Value, json};

use crate::support::pack_with;

fn tools(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| ((*name).to_owned(), json!({"name": name, "description": "d"})))
        .collect::<Map<_, _>>()
        .into()
}

#[test]
fn an_override_applies_to_exactly_its_model() {
    let pack = pack_with(
        "base {{x}}",
        json!({
            "variables": [{"name": "x", "type": "string", "required": false, "default": "1"}],
            "parameters": {"temperature": 0.5, "max_tokens": 10, "top_k": null},
            "model_overrides": {
                "a": {"system_template_prefix": "pre-{{x}} ", "system_template_suffix": " post", "parameters": {"max_tokens": 20}},
                "b": {"system_template": "other {{x}}", "system_template_prefix": "never", "parameters": {"top_p": 0.1}},
                "c": {"system_template": ""}
            }
        }),
        json!({}),
    );
    let render =
        |model: Option<&str>| pack.compile("p", model).unwrap().render(&Map::new()).unwrap();
    assert_eq!(render(None), "base 1");
    assert_eq!(render(Some("a")), "pre-1 base 1 post");
    assert_eq!(render(Some("b")), "other 1");
    assert_eq!(render(Some("c")), "base 1");
    assert_eq!(render(Some("A")), "base 1");
    let parameters = |model| pack.compile("p", Some(model)).unwrap().parameters;
    let base = Parameters { temperature: Some(0.5), max_tokens: Some(10), ..Parameters::default() };
    assert_eq!(parameters("none"), base);
    assert_eq!(parameters("a"), Parameters { max_tokens: Some(20), ..base });
    assert_eq!(parameters("b"), Parameters { top_p: Some(0.1), ..base });
    assert_eq!(pack.compile("p", Some("a")).unwrap().overridden_for.as_deref(), Some("a"));
}

#[test]
fn tools_are_those_listed_and_known_and_not_blocked() {
    let mut tools = tools(&["a", "b", "c"]);
    tools["alias"] = json!({"name": "b", "description": "d"});
    let pack = pack_with(
        "x",
        json!({"tools": ["c", "ghost", "b", "a", "c", "gone", "alias"], "tool_policy": {"blocklist": ["b", "gone"], "max_rounds": 2}}),
        json!({ "tools": tools }),
    );
    let prompt = pack.compile("p", None).unwrap();
    let names: Vec<&str> = prompt.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["c", "a"]);
    assert_eq!(prompt.missing_tools, ["ghost"]);
    assert_eq!(prompt.tool_policy.max_rounds, 2);
    assert_eq!(prompt.tool_policy.max_tool_calls_per_turn, 10);
}

#[test]
fn without_a_policy_the_specifications_defaults_hold() {
    let policy = pack_with("x", json!({}), json!({})).compile("p", None).unwrap().tool_policy;
    assert_eq!(
        policy,
        ToolPolicy {
            tool_choice: ToolChoice::Auto,
            max_rounds: 5,
            max_tool_calls_per_turn: 10,
            blocklist: vec![]
        }
    );
}

#[test]
fn a_tools_schema_keeps_its_order() {
    let schema =
        json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "string"}}});
    let tools = json!({"t": {"name": "t", "description": "d", "parameters": schema}});
    let pack = pack_with("x", json!({"tools": ["t"]}), json!({ "tools": tools }));
    let text = pack.compile("p", None).unwrap().tools[0].parameters.as_ref().unwrap().to_string();
    assert_eq!(text, schema.to_string());
    assert!(text.find("\"z\"").unwrap() < text.find("\"a\"").unwrap());
}

#[test]
fn what_cannot_be_compiled_is_refused_by_name() {
    let pack = pack_with(
        "x\n{{fragment:intor}}",
        json!({"variables": [{"name": "v", "type": "string", "required": false, "validation": {"pattern": "(?=x)"}}]}),
        json!({"fragments": {"intro": ""}}),
    );
    let unknown = pack.compile("pp", None).unwrap_err();
    assert_eq!(unknown.to_string(), "the pack has no prompt `pp`");
    assert!(
        matches!(pack.compile("p", None).unwrap_err(), CompileError::Pattern { variable, .. } if variable == "v")
    );
    let pack = pack_with("x\n {{fragment:intor}}", json!({}), json!({"fragments": {"intro": ""}}));
    assert_eq!(
        pack.compile("p", None).unwrap_err().to_string(),
        "prompt `p`: the system template names the fragment `intor` at line 2, column 2, which does not exist"
    );
    assert_eq!(TemplateSource::Fragment("a".to_owned()).to_string(), "the fragment `a`");
}
