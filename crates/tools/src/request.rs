//! Arguments to request.

use bartizan_engine::ports::tool::ToolError;
use reqwest::{
    Method,
    header::{HeaderMap, HeaderValue},
};
use serde_json::{Map, Value};
use url::Url;

use crate::{
    handlers::HttpHandler,
    template::{UrlTemplate, scalar},
};

/// What one call sends, but for the headers that are the same for every call.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) url: Url,
    /// From arguments.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

/// Lays the arguments out: first the URL's places, then headers, and of what is left the query
/// (methods without a body, and what is listed) or the JSON body. Each argument goes to one place.
///
/// # Errors
/// For the model: which argument does not fit, and why.
pub(crate) fn plan(handler: &HttpHandler, arguments: &Value) -> Result<Planned, ToolError> {
    let mut arguments = match arguments {
        Value::Null => Map::new(),
        Value::Object(arguments) => arguments.clone(),
        _ => return Err(ToolError::new("the arguments are no JSON object")),
    };
    check_static(handler, &arguments)?;
    let any = !arguments.is_empty();
    let mut url = place(&handler.url, &mut arguments)?;
    let headers = take_headers(handler, &mut arguments)?;

    let has_body = [Method::POST, Method::PUT, Method::PATCH].contains(&handler.method);
    let all_in_query = !has_body && handler.query_params.is_empty();
    let mut query = Map::new();
    if all_in_query {
        std::mem::swap(&mut query, &mut arguments);
    }
    for name in &handler.query_params {
        if let Some(value) = arguments.remove(name) {
            query.insert(name.clone(), value);
        }
    }
    append_query(&mut url, handler, &query);

    let mut body = None;
    if has_body && (any || !handler.static_body.is_empty()) {
        let mut fields = handler.static_body.clone();
        fields.extend(arguments);
        let mut value = Value::Object(fields);
        if let Some(mapping) = &handler.body_mapping {
            value = mapping.apply(&value).map_err(|fault| {
                ToolError::new("the request could not be put together").detail(fault)
            })?;
        }
        body = Some(value.to_string().into_bytes());
    }
    Ok(Planned { url, headers, body })
}

/// What the operator fixed is a default for the arguments that the tool declares, and out of
/// reach for any other.
fn check_static(handler: &HttpHandler, arguments: &Map<String, Value>) -> Result<(), ToolError> {
    let declared = |name: &str| {
        let properties = handler.spec.parameters.get("properties");
        properties.is_some_and(|properties| properties.get(name).is_some())
    };
    let fixed = |name: &str| {
        handler.static_body.contains_key(name)
            || handler.static_query.iter().any(|(fixed, _)| fixed == name)
    };
    match arguments.keys().find(|name| fixed(name) && !declared(name)) {
        Some(name) => Err(ToolError::new(format!("this tool has no argument `{name}`"))),
        None => Ok(()),
    }
}

fn place(template: &UrlTemplate, arguments: &mut Map<String, Value>) -> Result<Url, ToolError> {
    let url = template
        .expand(|name| arguments.get(name).and_then(scalar))
        .map_err(|error| ToolError::new(error.to_string()))?;
    for name in template.arguments() {
        arguments.remove(name);
    }
    Ok(url)
}

fn take_headers(
    handler: &HttpHandler,
    arguments: &mut Map<String, Value>,
) -> Result<HeaderMap, ToolError> {
    let mut headers = HeaderMap::new();
    for (argument, header) in &handler.header_params {
        let Some(value) = arguments.remove(argument).filter(|value| !value.is_null()) else {
            continue;
        };
        let refuse = || {
            ToolError::new(format!(
                "the argument `{argument}` must be text, number or boolean on one line"
            ))
        };
        let text = scalar(&value).ok_or_else(refuse)?;
        // Takes neither line breaks nor other control characters, so a value stays one header.
        let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| refuse())?;
        headers.insert(header, value);
    }
    Ok(headers)
}

/// Lists become repeated parameters, objects JSON text; null is left out.
fn append_query(url: &mut Url, handler: &HttpHandler, query: &Map<String, Value>) {
    let fixed = handler.static_query.iter().filter(|(name, _)| !query.contains_key(name));
    let mut pairs: Vec<(&str, String)> =
        fixed.map(|(name, value)| (name.as_str(), value.clone())).collect();
    for (name, value) in query {
        match value {
            Value::Null => {}
            Value::Array(values) => {
                pairs.extend(values.iter().map(|one| (name.as_str(), text(one))))
            }
            value => pairs.push((name, text(value))),
        }
    }
    // An untouched URL gets no `?`.
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
}

fn text(value: &Value) -> String {
    scalar(value).unwrap_or_else(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::handlers::ToolFile;

    fn handler(config: Value) -> HttpHandler {
        let schema = json!({"type": "object", "properties": {
            "id": {}, "q": {}, "trace": {}, "text": {}, "v": {}, "source": {}
        }});
        let file = json!({"handlers": [{
            "name": "h", "type": "http",
            "tool": {"name": "t", "inputSchema": schema},
            "httpConfig": config,
        }]});
        ToolFile::parse(&file.to_string()).unwrap().http.remove(0)
    }

    fn planned(config: Value, arguments: Value) -> (String, Option<Value>) {
        let plan = plan(&handler(config), &arguments).unwrap();
        let body = plan.body.map(|body| serde_json::from_slice(&body).unwrap());
        (plan.url.into(), body)
    }

    fn refusal(config: Value, arguments: Value) -> String {
        plan(&handler(config), &arguments).unwrap_err().message
    }

    #[test]
    fn each_argument_goes_to_one_place() {
        let config = json!({
            "urlTemplate": "https://h.example/items/{id}?fixed=1",
            "headerParams": {"trace": "X-Trace"},
            "queryParams": ["q"],
            "staticQuery": {"v": "2"},
            "staticBody": {"source": "agent", "kept": true},
        });
        let arguments =
            json!({"id": 7, "trace": "abc", "q": ["a b", 2], "text": "hi", "source": "me"});
        let plan = plan(&handler(config.clone()), &arguments).unwrap();
        assert_eq!(plan.url.as_str(), "https://h.example/items/7?fixed=1&v=2&q=a+b&q=2");
        assert_eq!(plan.headers["x-trace"], "abc");
        let body: Value = serde_json::from_slice(&plan.body.unwrap()).unwrap();
        assert_eq!(body, json!({"source": "me", "kept": true, "text": "hi"}));
    }

    #[test]
    fn without_a_body_arguments_go_into_the_query() {
        let get =
            json!({"endpoint": "https://h.example/x", "method": "GET", "staticQuery": {"v": "1"}});
        let (url, body) =
            planned(get.clone(), json!({"q": "a&b=c", "v": 2, "none": null, "o": {"k": 1}}));
        assert_eq!(url, "https://h.example/x?q=a%26b%3Dc&v=2&o=%7B%22k%22%3A1%7D");
        assert_eq!(body, None);
        let listed =
            json!({"endpoint": "https://h.example/x", "method": "DELETE", "queryParams": ["q"]});
        assert_eq!(
            planned(listed, json!({"q": true, "text": "x"})).0,
            "https://h.example/x?q=true"
        );
        assert_eq!(planned(get, json!({})).0, "https://h.example/x?v=1");
    }

    #[test]
    fn a_body_is_sent_where_there_is_something_to_say() {
        let post = json!({"endpoint": "https://h.example/"});
        for (arguments, body) in
            [(json!(null), None), (json!({}), None), (json!({"a": 1}), Some(json!({"a": 1})))]
        {
            assert_eq!(planned(post.clone(), arguments), ("https://h.example/".into(), body));
        }
        let fixed = json!({"endpoint": "https://h.example/", "staticBody": {"a": 1}});
        assert_eq!(planned(fixed, json!(null)).1, Some(json!({"a": 1})));
        let mapped =
            json!({"endpoint": "https://h.example/", "bodyMapping": "{note: {text: text}}"});
        assert_eq!(planned(mapped, json!({"text": "x"})).1, Some(json!({"note": {"text": "x"}})));
        let broken = json!({"endpoint": "https://h.example/", "bodyMapping": "nothing(@)"});
        assert!(refusal(broken, json!({"text": "x"})).contains("put together"));
    }

    #[test]
    fn what_is_fixed_yields_to_declared_arguments_only() {
        let config = json!({
            "endpoint": "https://h.example/",
            "method": "GET",
            "staticQuery": {"v": "1", "tenant": "blue"},
        });
        let (url, _) = planned(config.clone(), json!({"v": 9}));
        assert_eq!(url, "https://h.example/?tenant=blue&v=9");
        assert_eq!(refusal(config, json!({"tenant": "red"})), "this tool has no argument `tenant`");
        let config = json!({"endpoint": "https://h.example/", "staticBody": {"tenant": "blue"}});
        refusal(config, json!({"tenant": "red"}));
    }

    #[test]
    fn values_that_do_not_fit_their_place_are_refused() {
        let path = json!({"urlTemplate": "https://h.example/{id}/x"});
        for value in [json!(null), json!([1]), json!({}), json!(""), json!(".."), json!("a/../b")] {
            assert!(refusal(path.clone(), json!({"id": value})).contains("`id`"), "{value}");
        }
        assert!(refusal(path, json!({})).contains("`id` is needed"));
        let header =
            json!({"endpoint": "https://h.example/", "headerParams": {"trace": "X-Trace"}});
        for value in [json!("a\r\nHost: evil.example"), json!("a\nb"), json!("a\0"), json!([1])] {
            assert!(
                refusal(header.clone(), json!({"trace": value})).contains("`trace`"),
                "{value}"
            );
        }
        plan(&handler(header.clone()), &json!({"trace": null})).unwrap();
        plan(&handler(header.clone()), &json!({"trace": "naïve"})).unwrap();
        assert!(refusal(header, json!([1])).contains("no JSON object"));
    }
}
