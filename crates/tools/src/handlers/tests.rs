//! How the tool file reads, and what it refuses.

use super::*;

/// A file of one HTTP handler with these lines in its `httpConfig`.
fn http_file(lines: &str) -> String {
    let lines = lines.replace('\n', "\n      ");
    format!(
        "handlers:
  - name: notes
    type: http
    timeout: 1m30s
    tool:
      name: add_note
      description: Adds a note.
      inputSchema:
        type: object
        properties: {{text: {{type: string}}}}
    httpConfig:
      {lines}
"
    )
}

fn one(lines: &str) -> HttpHandler {
    let mut file = ToolFile::parse(&http_file(lines)).unwrap();
    assert_eq!((file.http.len(), file.client.len(), file.unsupported.len()), (1, 0, 0));
    file.http.remove(0)
}

fn fault(text: &str) -> String {
    ToolFile::parse(text).expect_err(text).to_string()
}

#[test]
fn an_http_handler_has_its_defaults() {
    let handler = one("endpoint: https://api.example.com/notes");
    assert_eq!(handler.name, "notes");
    assert_eq!(handler.spec.name, "add_note");
    assert_eq!(handler.spec.parameters["properties"]["text"]["type"], "string");
    assert_eq!(handler.method, Method::POST);
    assert_eq!(handler.timeout, Some(Duration::from_secs(90)));
    assert_eq!(handler.content_type, "application/json");
    assert_eq!(handler.retry, RetryPolicy::default());
    assert_eq!(handler.retry.max_attempts, 1);
    assert!(handler.auth.is_none());
    assert_eq!(handler.url.endpoint().as_str(), "https://api.example.com/");
}

#[test]
fn every_key_is_read() {
    let handler = one("urlTemplate: https://api.example.com/{space}/notes
method: put
headers: {X-Team: blue}
contentType: application/vnd.example+json
authType: bearer
authTokenPath: /run/secrets/notes
authHeader: X-Auth
queryParams: [tag]
headerParams: {trace: X-Trace}
staticQuery: {v: '2'}
staticBody: {source: agent}
bodyMapping: '{note: text}'
responseMapping: id
redact: [internal]
retryPolicy:
  maxAttempts: 3
  initialBackoff: 200ms
  backoffMultiplier: 1.5
  maxBackoff: 2s
  retryOn: []
  retryOnNetworkError: false
  respectRetryAfter: false");
    assert_eq!(handler.method, Method::PUT);
    assert_eq!(handler.headers["x-team"], "blue");
    assert!(handler.headers["x-team"].is_sensitive());
    assert_eq!(handler.url.arguments().collect::<Vec<_>>(), ["space"]);
    let auth = handler.auth.unwrap();
    assert_eq!((auth.scheme, auth.header.as_str()), (AuthScheme::Bearer, "x-auth"));
    assert_eq!(handler.header_params[0].1, "x-trace");
    assert_eq!(handler.static_query, [("v".into(), "2".into())]);
    assert_eq!(handler.static_body["source"], "agent");
    assert_eq!(handler.redact, ["internal"]);
    let retry = RetryPolicy {
        max_attempts: 3,
        initial_backoff: Duration::from_millis(200),
        backoff_multiplier: 1.5,
        max_backoff: Duration::from_secs(2),
        retry_on: vec![],
        retry_on_network_error: false,
        respect_retry_after: false,
    };
    assert_eq!(handler.retry, retry);
}

#[test]
fn the_block_s_endpoint_wins_over_the_handler_s() {
    let text = |block: &str| {
        format!(
            "handlers: [{{name: a, type: http, endpoint: 'https://outer.example/', \
             tool: {{name: t}}, httpConfig: {{{block}}}}}]"
        )
    };
    let host = |text: &str| {
        let file = ToolFile::parse(text).unwrap();
        file.endpoints().next().unwrap().to_string()
    };
    assert_eq!(host(&text("")), "https://outer.example/");
    assert_eq!(host(&text("endpoint: ''")), "https://outer.example/");
    assert_eq!(host(&text("endpoint: 'https://inner.example/'")), "https://inner.example/");
    assert_eq!(host(&text("urlTemplate: '/x/{y}'")), "https://outer.example/");
}

#[test]
fn client_tools_carry_their_consent() {
    let file = ToolFile::parse(
        "handlers:
  - name: browser
    type: client
    endpoint: ''
    tool: {name: get_location, description: Where the person is.}
    clientConfig: {consentMessage: Share your location?, categories: [location]}
  - {name: plain, type: client, tool: {name: pick_file}}",
    )
    .unwrap();
    let [browser, plain] = &file.client[..] else { panic!("{file:?}") };
    assert_eq!(browser.consent_message.as_deref(), Some("Share your location?"));
    assert_eq!(browser.categories, ["location"]);
    assert_eq!(browser.spec.parameters, json!({"type": "object", "properties": {}}));
    assert_eq!((plain.consent_message.clone(), plain.categories.len()), (None, 0));
}

#[test]
fn what_is_not_run_is_named() {
    let file = ToolFile::parse(
        "handlers:
  - {name: a, type: grpc, tool: {name: t1}, grpcConfig: {endpoint: 'h:1', tls: true}}
  - {name: b, type: mcp, mcpConfig: {transport: stdio, command: x}}
  - {name: c, type: openapi, openAPIConfig: {specURL: 'https://h.example/spec.json'}}
  - {name: d, type: http, tool: {name: t2}, httpConfig: {endpoint: 'https://h.example/', authType: workloadIdentity, authCloud: azure, authAudience: x}}
tools: [{name: old}]",
    )
    .unwrap();
    let named: Vec<_> =
        file.unsupported.iter().map(|one| (one.handler.as_str(), one.kind.as_str())).collect();
    assert_eq!(
        named,
        [("tools", "list"), ("a", "grpc"), ("b", "mcp"), ("c", "openapi"), ("d", "http")]
    );
    assert!(file.unsupported.iter().skip(1).all(|one| one.reason.contains("not run")));
    assert_eq!(file.unsupported[1].tool.as_deref(), Some("t1"));
    assert!(file.http.is_empty());
}

#[test]
fn an_empty_file_binds_nothing() {
    for text in ["handlers: []", "handlers:", "{}"] {
        let file = ToolFile::parse(text).unwrap();
        assert!(file.http.is_empty() && file.client.is_empty() && file.unsupported.is_empty());
    }
}

#[test]
fn faults_of_shape_have_a_path() {
    let cases = [
        ("handlers: 5".into(), "handlers"),
        ("handlers: [{type: http}]".into(), "handlers[0]"),
        ("other: 1".into(), "other"),
        ("handlers: [{name: a, type: http, tol: {}}]".into(), "handlers[0]"),
        (http_file("endpoint: https://h.example/\nqueryParam: [x]"), "handlers[0].httpConfig"),
        (
            http_file("endpoint: https://h.example/\nredact: {a: b}"),
            "handlers[0].httpConfig.redact",
        ),
        (
            http_file("endpoint: https://h.example/\nretryPolicy: {retries: 3}"),
            "handlers[0].httpConfig.retryPolicy",
        ),
        ("handlers: [".into(), ""),
    ];
    for (text, path) in cases {
        let fault = fault(&text);
        assert!(fault.starts_with(&format!("tool file: {path}")), "{fault}");
        assert!(!fault.contains('\n'), "{fault}");
    }
}

#[test]
fn faults_of_value_have_a_path() {
    let https = "endpoint: https://h.example/\n";
    for (lines, path) in [
        ("method: GET", "endpoint"),
        ("endpoint: h.example", "endpoint"),
        ("endpoint: ftp://h.example/", "endpoint"),
        ("urlTemplate: https://{h}/", "urlTemplate"),
        (&format!("{https}method: CONNECT"), "method"),
        (&format!("{https}headers: {{Host: other.example}}"), "headers.Host"),
        (&format!("{https}headers: {{X: \"a\\nb\"}}"), "headers.X"),
        (&format!("{https}headers: {{'a b': c}}"), "headers.a b"),
        (&format!("{https}headerParams: {{a: Content-Length}}"), "headerParams.a"),
        (&format!("{https}contentType: \"a\\nb\""), "contentType"),
        (&format!("{https}authType: oauth"), "authType"),
        (&format!("{https}authTokenPath: /x"), "authType"),
        (&format!("{https}authType: bearer"), "authTokenPath"),
        (&format!("{https}authType: bearer\nauthToken: a\nauthTokenPath: b"), "authToken"),
        (
            &format!(
                "{https}authType: bearer\nauthTokenPath: b\nheaderParams: {{a: authorization}}"
            ),
            "headerParams.a",
        ),
        (&format!("{https}staticBody: [1]"), "staticBody"),
        (&format!("{https}bodyMapping: a..b"), "bodyMapping"),
        (&format!("{https}responseMapping: '['"), "responseMapping"),
        (&format!("{https}retryPolicy: {{maxAttempts: 21}}"), "retryPolicy.maxAttempts"),
        (
            &format!("{https}retryPolicy: {{backoffMultiplier: 0.5}}"),
            "retryPolicy.backoffMultiplier",
        ),
        (&format!("{https}retryPolicy: {{maxBackoff: soon}}"), "retryPolicy.maxBackoff"),
    ] {
        let fault = fault(&http_file(lines));
        let expected = format!("tool file: handlers[0].httpConfig.{path}: ");
        assert!(fault.starts_with(&expected), "{expected} {fault}");
    }
    for (text, path) in [
        ("handlers: [{name: a, type: ftp}]", "handlers[0].type"),
        ("handlers: [{name: '', type: http}]", "handlers[0].name"),
        ("handlers: [{name: a, type: http}]", "handlers[0].tool"),
        ("handlers: [{name: a, type: http, tool: {name: t}}]", "handlers[0].httpConfig"),
        ("handlers: [{name: a, type: http, tool: {name: 'a b'}}]", "handlers[0].tool.name"),
        (
            "handlers: [{name: a, type: client, tool: {name: t, inputSchema: [1]}}]",
            "handlers[0].tool.inputSchema",
        ),
        (
            "handlers: [{name: a, type: client, tool: {name: t}, mcpConfig: {}}]",
            "handlers[0].mcpConfig",
        ),
        (
            "handlers: [{name: a, type: client, endpoint: x, tool: {name: t}}]",
            "handlers[0].endpoint",
        ),
        (
            "handlers: [{name: a, type: http, timeout: 5, tool: {name: t}, httpConfig: {}}]",
            "handlers[0].timeout",
        ),
        (
            "handlers: [{name: a, type: client, tool: {name: t}}, {name: b, type: mcp, tool: {name: t}}]",
            "handlers[1].tool.name",
        ),
    ] {
        let fault = fault(text);
        assert!(fault.starts_with(&format!("tool file: {path}: ")), "{path} {fault}");
    }
}

#[test]
fn no_fault_and_no_debug_print_shows_a_token() {
    let word = ["quite", "private"].join("-");
    let text = http_file(&format!(
        "endpoint: https://h.example/\nauthType: bearer\nauthToken: {word}\nunknown: 1"
    ));
    assert!(!fault(&text).contains(&word));
    let text = http_file(&format!("endpoint: https://h.example/\nauthToken: [{word}]"));
    assert!(!fault(&text).contains(&word));
    let handler = one(&format!(
        "endpoint: https://h.example/\nauthType: bearer\nauthToken: {word}\nheaders: {{X-Key: {word}}}"
    ));
    assert!(!format!("{handler:?}").contains(&word));
}

#[test]
fn the_example_of_the_documentation_is_read() {
    let page = include_str!("../../../../docs/tools.md");
    let yaml = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let file = ToolFile::parse(yaml).unwrap();
    assert_eq!(file.http[0].url.arguments().collect::<Vec<_>>(), ["space"]);
    assert_eq!(file.endpoints().next().unwrap().as_str(), "https://notes.example.com/");
    assert_eq!(file.client[0].spec.name, "get_location");
}
