//! The mock and its scripts.

use std::{collections::BTreeMap, sync::Arc};

use bartizan_engine::{
    event::StopReason,
    message::{MediaSource, Message, Part, Role, ToolResult},
    ports::model::{Model, ModelErrorKind as Kind, ModelRequest, OutputFormat},
};
use bartizan_model::{MockScript, mock};
use serde_json::{Value, json};

use crate::support::{Heard, WAYS, ask, asking, refusal, request};

fn scripted(yaml: &str) -> Arc<dyn Model> {
    mock(MockScript::parse(yaml).unwrap())
}

fn wrong(yaml: &str) -> String {
    MockScript::parse(yaml).unwrap_err().to_string()
}

fn saying(text: &str) -> ModelRequest {
    asking(true, vec![Message::text(Role::User, text)])
}

fn in_scenario(name: &str, messages: Vec<Message>) -> ModelRequest {
    with_metadata("mock_scenario", name, messages)
}

fn with_metadata(key: &str, value: &str, messages: Vec<Message>) -> ModelRequest {
    let mut request = asking(true, messages);
    request.metadata = Arc::new(BTreeMap::from([(key.to_owned(), value.to_owned())]));
    request
}

fn user(text: &str) -> Message {
    Message::text(Role::User, text)
}

/// The conversation after this answer, its tools having answered.
fn go_on(messages: &mut Vec<Message>, heard: &Heard) {
    let mut parts = vec![Part::Text { text: heard.text() }];
    parts.extend(heard.calls.iter().cloned().map(Part::ToolCall));
    messages.push(Message::new(Role::Assistant, parts));
    for call in &heard.calls {
        let result = ToolResult {
            call_id: call.id.clone(),
            name: call.name.clone(),
            content: json!({"ok": true}),
            is_error: false,
        };
        messages.push(Message::new(Role::Tool, vec![Part::ToolResult(result)]));
    }
}

#[tokio::test]
async fn without_a_script_it_says_what_it_is() {
    let model = mock(MockScript::default());
    assert!(model.info().mock);
    for stream in WAYS {
        let mut request = saying("Where is\nmy parcel?");
        request.stream = stream;
        let heard = ask(&model, request).await;
        let text = heard.text();
        assert!(text.contains("Bartizan's mock model"), "{text}");
        assert!(text.contains("no model provider is configured"), "{text}");
        assert!(text.contains("\"Where is my parcel?\""), "{text}");
        assert!(text.contains("OPENAI_API_KEY"), "{text}");
        assert_eq!(heard.texts.len() > 1, stream, "in words, or whole");
        assert!(heard.finished.unwrap().2.mock);
    }
    let long = ask(&model, saying(&"x".repeat(100_000))).await;
    assert!(long.text().len() < 1_000);
}

#[tokio::test]
async fn it_answers_in_json_where_that_is_asked_for() {
    let mut request = saying("x");
    request.output = OutputFormat::Json;
    let heard = ask(&mock(MockScript::default()), request).await;
    let value: Value = serde_json::from_str(&heard.text()).unwrap();
    assert_eq!(value["mock"], true);
}

#[tokio::test]
async fn the_same_is_counted_the_same() {
    let model = mock(MockScript::default());
    let first = ask(&model, saying("count me")).await;
    let second = ask(&model, saying("count me")).await;
    assert_eq!(first.usage(), second.usage());
    assert_eq!(first.usage().output_tokens, first.text().len().div_ceil(4) as u64);
    assert!(first.usage().input_tokens > 0);
    assert_eq!(first.usage().cost_usd, None);
}

const SCENARIOS: &str = r#"
defaultResponse: from the script
scenarios:
  default:
    defaultResponse: from the default scenario
  image-analysis:
    defaultResponse: I see a picture
  parcel:
    defaultResponse: nothing more
    turns:
      1:
        type: tool_calls
        content: Let me look.
        tool_calls:
          - name: track
            arguments: {number: 7, deep: [1, {a: b}]}
          - name: weather
      2: It is on its way.
      "3":
        type: text
        text: You are welcome.
"#;

#[tokio::test]
async fn a_scenario_goes_on_through_its_tool_round() {
    let model = scripted(SCENARIOS);
    let mut messages = vec![user("where?")];
    let heard = ask(&model, in_scenario("parcel", messages.clone())).await;
    assert_eq!(heard.text(), "Let me look.");
    assert_eq!(*heard.stop_reason(), StopReason::ToolCalls);
    let calls: Vec<(&str, &Value)> =
        heard.calls.iter().map(|call| (call.name.as_str(), &call.arguments)).collect();
    let arguments = json!({"number": 7, "deep": [1, {"a": "b"}]});
    assert_eq!(calls, [("track", &arguments), ("weather", &json!({}))]);
    assert_ne!(heard.calls[0].id, heard.calls[1].id);

    go_on(&mut messages, &heard);
    let heard = ask(&model, in_scenario("parcel", messages.clone())).await;
    assert_eq!(heard.text(), "It is on its way.");
    go_on(&mut messages, &heard);
    messages.push(user("thanks"));
    let heard = ask(&model, in_scenario("parcel", messages.clone())).await;
    assert_eq!(heard.text(), "You are welcome.");
    go_on(&mut messages, &heard);
    messages.push(user("more?"));
    assert_eq!(ask(&model, in_scenario("parcel", messages)).await.text(), "nothing more");
}

#[tokio::test]
async fn a_scenario_is_chosen_by_name_type_or_content() {
    let model = scripted(SCENARIOS);
    let hi = || vec![user("hi")];
    for (request, expected) in [
        (in_scenario("nonesuch", hi()), "from the script"),
        (saying("hi"), "from the default scenario"),
        (saying("look: [Image: cat.png]"), "I see a picture"),
        (with_metadata("content_type", "image/webp", hi()), "I see a picture"),
        (with_metadata("content_type", "audio/wav", hi()), "from the script"),
        (with_metadata("mock_scenario_id", "default", hi()), "from the default scenario"),
    ] {
        assert_eq!(ask(&model, request).await.text(), expected);
    }
}

#[tokio::test]
async fn responses_are_found_by_a_word_or_follow_each_other() {
    let model = scripted(
        r#"
responses:
  - match: Weather
    response:
      content: ""
      tool_calls:
        - {name: get_weather, args: {city: Paris}, id: call_abc, type: tool_call}
  - response: first
  - response: {content: second, usage: {input_tokens: 3, output_tokens: 4}}
  - match: "42"
    response: 42
"#,
    );
    let heard = ask(&model, saying("how is the weather?")).await;
    assert_eq!(heard.calls[0].id, "call_abc");
    assert_eq!(heard.calls[0].arguments, json!({"city": "Paris"}));
    assert_eq!(ask(&model, saying("a")).await.text(), "first");
    let heard = ask(&model, saying("b")).await;
    assert_eq!(heard.text(), "second");
    assert_eq!((heard.usage().input_tokens, heard.usage().output_tokens), (3, 4));
    assert_eq!(ask(&model, saying("c")).await.text(), "first", "around again");
    assert_eq!(ask(&model, saying("what is 42?")).await.text(), "42");
}

#[tokio::test]
async fn an_id_that_is_taken_is_replaced() {
    let model =
        scripted("responses: [{response: {tool_calls: [{name: again, arguments: {}, id: same}]}}]");
    let mut messages = vec![user("go")];
    let first = ask(&model, asking(true, messages.clone())).await;
    assert_eq!(first.calls[0].id, "same");
    go_on(&mut messages, &first);
    let second = ask(&model, asking(true, messages)).await;
    assert_ne!(second.calls[0].id, "same");
}

#[tokio::test]
async fn a_script_without_a_fitting_reply_falls_back_to_the_words() {
    let model = scripted("scenarios: {other: {defaultResponse: x}}");
    assert!(ask(&model, saying("hi")).await.text().contains("mock model"));
    let model = scripted("responses: []");
    assert!(ask(&model, saying("hi")).await.text().contains("mock model"));
}

#[tokio::test]
async fn parts_become_text_and_media() {
    let model = scripted(
        r#"
defaultResponse:
  type: multimodal
  parts:
    - {type: text, text: "Here: "}
    - {type: image, image_url: {url: "data:image/gif;base64,R0lG", detail: low}}
    - {type: document, document_url: {url: "https://example.com/a.pdf"}}
"#,
    );
    let heard = ask(&model, saying("draw")).await;
    assert_eq!(heard.text(), "Here: ");
    assert_eq!(heard.media[0].mime_type, "image/gif");
    assert_eq!(heard.media[0].source, MediaSource::Base64("R0lG".to_owned()));
    assert_eq!(heard.media[1].source, MediaSource::Url("https://example.com/a.pdf".to_owned()));
}

#[tokio::test]
async fn failures_happen_where_the_script_says() {
    let model = scripted(
        r#"
responses:
  - {match: busy, response: {error: {status: 429, code: too_many}}}
  - {match: dead, response: {error: {}}}
  - {match: breaks, response: {content: "one two three", error: {status: 503, after_chunks: 2}}}
  - {match: cut, response: {content: "one two three", cut_after: 1}}
  - {match: nothing, response: {content: "one", cut_after: 0}}
  - {match: slow, response: {content: "a b c", delay_ms: 5, chunk_delay_ms: 1}}
"#,
    );
    let busy = refusal(&model, saying("busy")).await;
    assert_eq!((busy.kind, busy.status), (Kind::RateLimited, Some(429)));
    assert_eq!(busy.provider_code.as_deref(), Some("too_many"));
    assert_eq!(refusal(&model, saying("dead")).await.status, Some(500));
    for (word, said) in [("breaks", "one two "), ("cut", "one "), ("nothing", "")] {
        let heard = ask(&model, saying(word)).await;
        assert_eq!(heard.text(), said);
        assert_eq!(heard.error.unwrap().kind, Kind::Interrupted, "{word}");
    }
    assert_eq!(ask(&model, saying("slow")).await.text(), "a b c");
    // Not streamed, there is one piece and no middle.
    let mut whole = saying("cut");
    whole.stream = false;
    assert_eq!(ask(&model, whole).await.error.unwrap().kind, Kind::Interrupted);
}

#[tokio::test]
async fn what_a_script_may_hold_and_nobody_plays_is_read() {
    let model = scripted(
        r#"
defaultResponse: {text: heard, audio_file: a.pcm, audio_sample_rate: 24000, audio_mime_type: audio/pcm}
selfplay: {someone: {defaultResponse: x}}
"#,
    );
    assert_eq!(ask(&model, saying("x")).await.text(), "heard");
}

#[test]
fn a_wrong_script_says_what_and_where() {
    for (yaml, expected) in [
        ("responses: [", &["line"][..]),
        ("responses:\n  - response: {contnt: x}\n", &["contnt", "line 2"]),
        ("responses:\n  - match: x\n", &["response", "line 2"]),
        ("scenarios:\n  a:\n    turns:\n      first: x\n", &["first", "line 4"]),
        ("scenarios:\n  a:\n    turns:\n      0: x\n", &["line 4"]),
        ("defaultResponse: {type: video}", &["video"]),
        ("defaultResponse: {type: tool_calls}", &["tool_calls"]),
        ("defaultResponse: {error: {status: 200}}", &["200", "400 to 599"]),
        ("defaultResponse: {error: {}, cut_after: 1}", &["not by both"]),
        ("defaultResponse: {delay_ms: 99999999}", &["delay_ms"]),
        ("defaultResponse: {parts: [{type: image}], type: multimodal}", &["image_url"]),
        ("replies: []", &["replies", "`responses`"]),
        ("just text", &["mock script"]),
        ("", &["mock script"]),
    ] {
        let error = wrong(yaml);
        for words in expected {
            assert!(error.contains(words), "{yaml:?}: {error}");
        }
    }
    assert!(wrong(&"#".repeat(5_000_000)).contains("4 MiB"));
}

/// What the page about the mock shows can be played.
#[test]
fn the_examples_of_the_page_are_scripts() {
    let page = include_str!("../../../../docs/mock.md");
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|after| after.split("```").next()).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        scripted(example);
    }
}

#[tokio::test]
async fn nothing_sent_to_the_mock_is_needed() {
    let model = mock(MockScript::default());
    let mut empty = request(true);
    empty.messages.clear();
    empty.system = None;
    assert!(ask(&model, empty).await.text().contains("mock model"));
}
