//! Reading a model request in any of the four formats, as far as a script needs to.

use serde_json::Value;

/// The names of the tools that the request offers.
pub fn offered_tools(request: &Value) -> Vec<String> {
    let Some(tools) = request["tools"].as_array() else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for tool in tools {
        let declared = ["functionDeclarations", "function_declarations"]
            .iter()
            .find_map(|key| tool[key].as_array());
        let named = [&tool["function"]["name"], &tool["name"]];
        names.extend(named.into_iter().filter_map(Value::as_str).map(str::to_owned));
        for function in declared.into_iter().flatten() {
            names.extend(function["name"].as_str().map(str::to_owned));
        }
    }
    names
}

/// Whether the last message of the request is a tool's result, so that it is the model's turn to use
/// it. Results further back belong to earlier turns.
pub fn ends_with_tool_result(request: &Value) -> bool {
    let last = ["messages", "contents"]
        .iter()
        .find_map(|key| request[key].as_array())
        .and_then(|messages| messages.last());
    let Some(last) = last else { return false };
    let blocks = ["content", "parts"].iter().find_map(|key| last[key].as_array());
    let is_result = |block: &Value| {
        block["type"] == "tool_result"
            || block.get("functionResponse").is_some()
            || block.get("function_response").is_some()
    };
    last["role"] == "tool" || blocks.is_some_and(|blocks| blocks.iter().any(is_result))
}
