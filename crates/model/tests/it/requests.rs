//! What providers are sent.

use bartizan_engine::{
    message::{Media, MediaKind, MediaSource, Message, Part, Role, ToolCall, ToolResult},
    ports::model::{ModelErrorKind as Kind, ModelRequest, OutputFormat, Parameters, ToolChoice},
};
use bartizan_model::{ApiKey, ProviderKind};
use bartizan_testkit::upstream::{Received, Reply, Upstream};
use serde_json::{Value, json};

use crate::support::{KINDS, WAYS, ask, asking, at, key, model, refusal, request, settings, tools};

use ProviderKind::{Anthropic, Gemini, Ollama, OpenAiCompatible};

/// What arrives when this is asked.
async fn received(kind: ProviderKind, request: ModelRequest) -> Received {
    let upstream = Upstream::start(Reply::text(["ok"])).await;
    let heard = ask(&at(kind, &upstream), request).await;
    assert_eq!(heard.text(), "ok", "{kind} {heard:?}");
    upstream.requests().remove(0)
}

async fn sent(kind: ProviderKind, request: ModelRequest) -> Value {
    received(kind, request).await.json
}

#[tokio::test]
async fn each_provider_is_called_at_its_path_with_its_key() {
    for stream in WAYS {
        for (kind, path, header, value) in [
            (
                OpenAiCompatible,
                "/v1/chat/completions",
                "authorization",
                format!("Bearer {}", key()),
            ),
            (Anthropic, "/v1/messages", "x-api-key", key()),
            (
                Gemini,
                if stream {
                    "/v1beta/models/some-model:streamGenerateContent"
                } else {
                    "/v1beta/models/some-model:generateContent"
                },
                "x-goog-api-key",
                key(),
            ),
            (Ollama, "/api/chat", "authorization", format!("Bearer {}", key())),
        ] {
            let received = received(kind, request(stream)).await;
            assert_eq!(received.path, path);
            assert_eq!(received.header(header), Some(value.as_str()), "{kind}");
            assert!(
                !received.query.contains(&key()),
                "{kind}: a key in an address is in every log"
            );
            if kind != Gemini {
                assert_eq!(received.json["model"], "some-model");
                assert_eq!(received.json["stream"], stream);
            }
        }
    }
}

#[tokio::test]
async fn a_server_without_a_key_gets_none() {
    for kind in KINDS {
        let upstream = Upstream::start(Reply::text(["ok"])).await;
        let mut settings = settings(kind, &upstream.url());
        settings.api_key = None;
        settings.headers = vec![("X-Team".to_owned(), "blue".to_owned())];
        ask(&model(settings), request(true)).await;
        let received = upstream.requests().remove(0);
        for header in ["authorization", "x-api-key", "x-goog-api-key"] {
            assert_eq!(received.header(header), None, "{kind}");
        }
        assert_eq!(received.header("x-team"), Some("blue"));
    }
}

/// Names whose end, or middle, `genai` reads as something else.
#[tokio::test]
async fn a_models_name_is_sent_as_it_is() {
    for name in ["mistral-medium", "qwen-max", "o4-mini-high", "team::model", "a-none"] {
        for kind in KINDS {
            if kind == Gemini && name.contains(':') {
                // Gemini's names have none, and its paths give a colon another meaning.
                continue;
            }
            let upstream = Upstream::start(Reply::text(["ok"])).await;
            let mut settings = settings(kind, &upstream.url());
            settings.model = name.to_owned();
            let heard = ask(&model(settings), request(true)).await;
            assert_eq!(heard.finished.unwrap().2.model, name);
            let received = upstream.requests().remove(0);
            let body = &received.json;
            if kind == Gemini {
                assert!(received.path.contains(&format!("/{name}:")), "{}", received.path);
                assert!(body.get("generationConfig").is_none(), "{body}");
            } else {
                assert_eq!(body["model"], name, "{kind}");
            }
            for field in ["reasoning_effort", "thinking", "output_config", "think"] {
                assert!(body.get(field).is_none(), "{kind} {name} {body}");
            }
        }
    }
}

fn all_parameters() -> Parameters {
    Parameters {
        temperature: Some(0.5),
        max_tokens: Some(100),
        top_p: Some(0.9),
        top_k: Some(40),
        frequency_penalty: Some(0.25),
        presence_penalty: Some(-0.25),
        stop: vec!["END".to_owned()],
        seed: Some(7),
        reasoning_effort: None,
    }
}

#[tokio::test]
async fn parameters_go_where_each_provider_has_them() {
    let asked = || {
        let mut request = request(true);
        request.parameters = all_parameters();
        request
    };
    let body = sent(OpenAiCompatible, asked()).await;
    for (field, value) in [
        ("temperature", json!(0.5)),
        ("max_tokens", json!(100)),
        ("top_p", json!(0.9)),
        ("top_k", json!(40)),
        ("frequency_penalty", json!(0.25)),
        ("presence_penalty", json!(-0.25)),
        ("stop", json!(["END"])),
        ("seed", json!(7)),
        ("stream_options", json!({"include_usage": true})),
    ] {
        assert_eq!(body[field], value, "{field} in {body}");
    }
    let body = sent(Anthropic, asked()).await;
    for (field, value) in [
        ("temperature", json!(0.5)),
        ("max_tokens", json!(100)),
        ("top_p", json!(0.9)),
        ("top_k", json!(40)),
        ("stop_sequences", json!(["END"])),
    ] {
        assert_eq!(body[field], value, "{field} in {body}");
    }
    for field in ["frequency_penalty", "presence_penalty", "seed", "stop"] {
        assert!(body.get(field).is_none(), "{field} in {body}");
    }
    let body = sent(Gemini, asked()).await;
    let config = json!({
        "temperature": 0.5, "maxOutputTokens": 100, "topP": 0.9, "topK": 40,
        "frequencyPenalty": 0.25, "presencePenalty": -0.25, "stopSequences": ["END"], "seed": 7,
    });
    assert_eq!(body["generationConfig"], config);
    let body = sent(Ollama, asked()).await;
    let options =
        json!({"temperature": 0.5, "num_predict": 100, "top_p": 0.9, "stop": ["END"], "seed": 7});
    assert_eq!(body["options"], options);
}

#[tokio::test]
async fn what_is_unset_is_not_sent() {
    let body = sent(OpenAiCompatible, request(false)).await;
    let mut fields: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["messages", "model", "stream"]);
    let body = sent(Gemini, request(true)).await;
    assert!(body.get("generationConfig").is_none(), "{body}");
}

#[tokio::test]
async fn reasoning_effort_is_translated() {
    let thinking = |effort: &str| {
        let mut request = request(true);
        request.parameters.reasoning_effort = Some(effort.to_owned());
        request
    };
    assert_eq!(sent(OpenAiCompatible, thinking("High")).await["reasoning_effort"], "high");
    assert_eq!(sent(Anthropic, thinking("low")).await["thinking"]["type"], "enabled");
    let config = &sent(Gemini, thinking("medium")).await["generationConfig"]["thinkingConfig"];
    assert_eq!(*config, json!({"includeThoughts": true, "thinkingBudget": 8000}));
    let mut with_top_k = thinking("medium");
    with_top_k.parameters.top_k = Some(3);
    let body = sent(Gemini, with_top_k).await;
    assert_eq!(body["generationConfig"]["thinkingConfig"], *config, "the same beside others");
    assert_eq!(sent(Ollama, thinking("medium")).await["think"], "medium");
    let upstream = Upstream::start(Reply::text(["ok"])).await;
    let error = refusal(&at(OpenAiCompatible, &upstream), thinking("a lot")).await;
    assert_eq!((error.kind, upstream.hits()), (Kind::Unsupported, 0));
}

#[tokio::test]
async fn tools_and_their_choice_are_offered() {
    let offered = |choice: ToolChoice| {
        let mut request = request(true);
        request.tools = tools(&["search", "now"]);
        request.tool_choice = choice;
        request
    };
    let named = || ToolChoice::Named("now".to_owned());
    for (choice, openai, anthropic, gemini) in [
        (ToolChoice::Auto, Value::Null, Value::Null, Value::Null),
        (ToolChoice::Required, json!("required"), json!({"type": "any"}), json!({"mode": "ANY"})),
        (
            named(),
            json!({"type": "function", "function": {"name": "now"}}),
            json!({"type": "tool", "name": "now"}),
            json!({"mode": "ANY", "allowedFunctionNames": ["now"]}),
        ),
    ] {
        let body = sent(OpenAiCompatible, offered(choice.clone())).await;
        assert_eq!(body["tool_choice"], openai);
        assert_eq!(body["tools"][0]["function"]["name"], "search");
        assert_eq!(body["tools"][0]["function"]["description"], "Does search.");
        assert_eq!(body["tools"][1]["function"]["parameters"]["type"], "object");
        let body = sent(Anthropic, offered(choice.clone())).await;
        assert_eq!(body["tool_choice"], anthropic);
        assert_eq!(body["tools"][0]["name"], "search");
        assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
        let body = sent(Gemini, offered(choice)).await;
        assert_eq!(body["toolConfig"]["functionCallingConfig"], gemini);
        let declared = &body["tools"][0]["functionDeclarations"];
        assert_eq!(declared[1]["name"], "now");
        assert_eq!(declared[1]["parametersJsonSchema"]["type"], "object");
    }
    assert_eq!(sent(Ollama, offered(ToolChoice::Auto)).await["tools"].as_array().unwrap().len(), 2);
    let only = sent(Ollama, offered(named())).await;
    assert_eq!(only["tools"].as_array().unwrap().len(), 1);
}

/// Anthropic alone must be told what the calls of the conversation were of.
#[tokio::test]
async fn who_must_not_use_tools_is_not_shown_any() {
    for kind in KINDS {
        let mut request = request(true);
        request.tools = tools(&["search"]);
        request.tool_choice = ToolChoice::None;
        let body = sent(kind, request).await;
        let shown = body.get("tools").is_some();
        assert_eq!(shown, kind == Anthropic, "{kind} {body}");
        if shown {
            assert_eq!(body["tool_choice"], json!({"type": "none"}));
        }
    }
}

#[tokio::test]
async fn no_tools_no_choice() {
    for kind in KINDS {
        let mut request = request(true);
        request.tool_choice = ToolChoice::None;
        let body = sent(kind, request).await;
        for field in ["tools", "tool_choice", "toolConfig"] {
            assert!(body.get(field).is_none(), "{kind} {body}");
        }
    }
}

/// A pack's tool may be called what a provider calls its own.
#[tokio::test]
async fn a_packs_tool_is_not_taken_for_the_providers() {
    for (kind, name) in [(Anthropic, "web_search"), (Gemini, "googleSearch")] {
        let mut request = request(true);
        request.tools = tools(&[name, "other"]);
        let body = sent(kind, request).await;
        let declared =
            if kind == Gemini { &body["tools"][0]["functionDeclarations"] } else { &body["tools"] };
        assert_eq!(declared[0]["name"], name, "{body}");
        assert_eq!(declared[0]["description"], format!("Does {name}."));
        assert_eq!(declared[1]["name"], "other");
        assert!(declared[0].get("type").is_none(), "{body}");
    }
}

fn round() -> Vec<Message> {
    let call = |id: &str, arguments: Value| {
        Part::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "search".to_owned(),
            arguments,
            provider_state: Vec::new(),
        })
    };
    let result = |id: &str, content: Value, is_error: bool| {
        let result =
            ToolResult { call_id: id.to_owned(), name: "search".to_owned(), content, is_error };
        Message::new(Role::Tool, vec![Part::ToolResult(result)])
    };
    let text = |text: &str| Part::Text { text: text.to_owned() };
    vec![
        Message::text(Role::User, "find it"),
        Message::new(
            Role::Assistant,
            vec![
                text("Let "),
                text("me."),
                call("a", json!({"q": "x"})),
                call("b", json!("{\"q\": ")),
            ],
        ),
        result("a", json!({"hits": 2}), false),
        result("b", json!("no JSON"), true),
        Message::text(Role::System, "Be brief."),
        Message::text(Role::User, "and?"),
    ]
}

#[tokio::test]
async fn a_tool_round_is_told_in_each_providers_way() {
    let asked = || {
        let mut request = asking(true, round());
        request.tools = tools(&["search"]);
        request
    };
    let broken = json!({"invalid_json": "{\"q\": "});
    let body = sent(OpenAiCompatible, asked()).await;
    let messages = &body["messages"];
    assert_eq!(messages[0], json!({"role": "system", "content": "You are helpful."}));
    assert_eq!(messages[2]["content"], "Let me.");
    assert_eq!(messages[2]["tool_calls"][0]["id"], "a");
    assert_eq!(messages[2]["tool_calls"][0]["function"]["arguments"], "{\"q\":\"x\"}");
    assert_eq!(messages[2]["tool_calls"][1]["function"]["arguments"], broken.to_string());
    let answer = json!({"role": "tool", "tool_call_id": "a", "content": "{\"hits\":2}"});
    assert_eq!(messages[3], answer);
    assert_eq!(messages[4]["content"], "Error: no JSON");
    assert_eq!(messages[5], json!({"role": "system", "content": "Be brief."}));

    let body = sent(Anthropic, asked()).await;
    assert_eq!(body["system"], "You are helpful.\n\nBe brief.");
    let messages = &body["messages"];
    assert_eq!(messages[1]["content"][0], json!({"type": "text", "text": "Let me."}));
    assert_eq!(messages[1]["content"][2]["input"], broken);
    let results = json!([
        {"type": "tool_result", "tool_use_id": "a", "content": "{\"hits\":2}"},
        {"type": "tool_result", "tool_use_id": "b", "content": "no JSON", "is_error": true},
    ]);
    assert_eq!(messages[2], json!({"role": "user", "content": results}), "all in one message");

    let body = sent(Gemini, asked()).await;
    let contents = &body["contents"];
    assert_eq!(contents[1]["role"], "model");
    assert_eq!(contents[1]["parts"][1]["functionCall"]["args"], json!({"q": "x"}));
    assert_eq!(contents[1]["parts"][2]["functionCall"]["args"], broken);
    let parts = contents[2]["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 2, "{contents}");
    assert_eq!(parts[1]["functionResponse"]["name"], "search");
    assert_eq!(parts[1]["functionResponse"]["response"]["content"], "Error: no JSON");

    let body = sent(Ollama, asked()).await;
    let messages = body["messages"].as_array().unwrap();
    let results: Vec<&Value> =
        messages.iter().filter(|message| message["role"] == "tool").collect();
    assert_eq!(results.len(), 2, "{body}");
    assert_eq!(results[0]["content"], "{\"hits\":2}");
    assert_eq!(messages[2]["tool_calls"][0]["function"]["arguments"], json!({"q": "x"}));
}

fn media(kind: MediaKind, mime_type: &str, source: MediaSource) -> Part {
    Part::Media(Media { kind, mime_type: mime_type.to_owned(), source, name: None })
}

fn showing(part: Part) -> ModelRequest {
    let text = Part::Text { text: "What is it?".to_owned() };
    asking(true, vec![Message::new(Role::User, vec![text, part])])
}

#[tokio::test]
async fn images_are_shown() {
    let image = || media(MediaKind::Image, "image/png", MediaSource::Base64("aVZCT1I=".to_owned()));
    let body = sent(OpenAiCompatible, showing(image())).await;
    let url = json!({"url": "data:image/png;base64,aVZCT1I="});
    assert_eq!(body["messages"][1]["content"][1], json!({"type": "image_url", "image_url": url}));
    let body = sent(Anthropic, showing(image())).await;
    let source = json!({"type": "base64", "media_type": "image/png", "data": "aVZCT1I="});
    assert_eq!(body["messages"][0]["content"][1], json!({"type": "image", "source": source}));
    let body = sent(Gemini, showing(image())).await;
    let data = json!({"mime_type": "image/png", "data": "aVZCT1I="});
    assert_eq!(body["contents"][0]["parts"][1], json!({"inline_data": data}));
    let body = sent(Ollama, showing(image())).await;
    assert_eq!(body["messages"][1]["images"], json!(["aVZCT1I="]));
    assert_eq!(body["messages"][1]["content"], "What is it?");

    let there = MediaSource::Url("https://example.com/a.png".to_owned());
    let body = sent(Anthropic, showing(media(MediaKind::Image, "image/png", there))).await;
    let source = json!({"type": "url", "url": "https://example.com/a.png"});
    assert_eq!(body["messages"][0]["content"][1], json!({"type": "image", "source": source}));
}

#[tokio::test]
async fn recordings_and_documents_are_sent() {
    let data = || MediaSource::Base64("aGk=".to_owned());
    let body = sent(OpenAiCompatible, showing(media(MediaKind::Audio, "audio/mpeg", data()))).await;
    let audio = json!({"data": "aGk=", "format": "mp3"});
    assert_eq!(
        body["messages"][1]["content"][1],
        json!({"type": "input_audio", "input_audio": audio})
    );
    let pdf = || media(MediaKind::Document, "application/pdf", data());
    let body = sent(OpenAiCompatible, showing(pdf())).await;
    assert_eq!(
        body["messages"][1]["content"][1]["file"]["file_data"],
        "data:application/pdf;base64,aGk="
    );
    let body = sent(Anthropic, showing(pdf())).await;
    assert_eq!(body["messages"][0]["content"][1]["type"], "document");
    let note = media(MediaKind::Document, "text/plain", data());
    let body = sent(Anthropic, showing(note)).await;
    assert_eq!(body["messages"][0]["content"][1]["source"]["data"], "hi");
}

#[tokio::test]
async fn what_a_provider_does_not_take_is_not_sent() {
    let data = || MediaSource::Base64("aGk=".to_owned());
    for (kind, part) in [
        (Anthropic, media(MediaKind::Audio, "audio/wav", data())),
        (Anthropic, media(MediaKind::Video, "video/mp4", data())),
        (Ollama, media(MediaKind::Document, "application/pdf", data())),
        (OpenAiCompatible, media(MediaKind::Audio, "audio/flac", data())),
    ] {
        let upstream = Upstream::start(Reply::text(["ok"])).await;
        let error = refusal(&at(kind, &upstream), showing(part)).await;
        assert_eq!(error.kind, Kind::Unsupported, "{kind}");
        assert!(error.message.contains("does not take"), "{error}");
        assert_eq!(upstream.hits(), 0, "{kind}");
    }
}

#[tokio::test]
async fn what_a_model_made_is_remembered_in_words() {
    let made = media(MediaKind::Image, "image/png", MediaSource::Base64("aGk=".to_owned()));
    for kind in KINDS {
        let messages = vec![
            Message::text(Role::User, "draw"),
            Message::new(Role::Assistant, vec![made.clone()]),
            Message::text(Role::User, "thanks"),
        ];
        let body = sent(kind, asking(true, messages)).await.to_string();
        assert!(body.contains("[image image/png]"), "{kind} {body}");
    }
}

#[tokio::test]
async fn json_is_asked_for() {
    let shaped = |output: OutputFormat| {
        let mut request = request(true);
        request.output = output;
        request
    };
    let body = sent(OpenAiCompatible, shaped(OutputFormat::Json)).await;
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    let body = sent(Gemini, shaped(OutputFormat::Json)).await;
    assert_eq!(body["generationConfig"], json!({"responseMimeType": "application/json"}));
    assert_eq!(sent(Ollama, shaped(OutputFormat::Json)).await["format"], "json");
    let body = sent(Anthropic, shaped(OutputFormat::Json)).await;
    assert!(body["system"].as_str().unwrap().contains("JSON"), "{body}");
}

#[tokio::test]
async fn a_schema_is_asked_for() {
    let schema = json!({
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
    });
    let shaped = |strict: bool| {
        let mut request = request(true);
        let name = "my answer".to_owned();
        request.output = OutputFormat::JsonSchema { name, schema: schema.clone(), strict };
        request
    };
    let body = sent(OpenAiCompatible, shaped(true)).await;
    let format = &body["response_format"]["json_schema"];
    assert_eq!((&format["name"], &format["strict"]), (&json!("my_answer"), &json!(true)));
    assert_eq!(format["schema"]["properties"]["n"]["type"], "integer");
    let body = sent(OpenAiCompatible, shaped(false)).await;
    let format = &body["response_format"]["json_schema"];
    assert_eq!((&format["strict"], &format["schema"]), (&json!(false), &schema));
    let body = sent(Anthropic, shaped(true)).await;
    assert_eq!(body["output_config"]["format"]["type"], "json_schema");
    let body = sent(Anthropic, shaped(false)).await;
    assert!(body["system"].as_str().unwrap().contains(&schema.to_string()), "{body}");
    let config = &sent(Gemini, shaped(true)).await["generationConfig"];
    assert_eq!(config["responseJsonSchema"], schema);
    let body = sent(Ollama, shaped(true)).await;
    assert_eq!(body["format"], "json");
    assert!(body["messages"][0]["content"].as_str().unwrap().contains(&schema.to_string()));
}

#[tokio::test]
async fn metadata_and_run_names_stay_here() {
    for kind in KINDS {
        let mut request = request(true);
        let run = request.run_id.to_string();
        request.metadata =
            std::sync::Arc::new([("tenant".to_owned(), "hush-hush".to_owned())].into());
        let received = received(kind, request).await;
        let all = format!("{:?} {}", received.headers, String::from_utf8_lossy(&received.body));
        assert!(!all.contains("hush-hush") && !all.contains(&run), "{kind} {all}");
    }
}

#[tokio::test]
async fn empty_texts_are_left_out() {
    let empty = Part::Text { text: String::new() };
    let messages = vec![
        Message::new(Role::User, vec![empty.clone(), Part::Text { text: "hi".to_owned() }]),
        Message::new(Role::Assistant, vec![empty]),
        Message::text(Role::User, "there"),
    ];
    let body = sent(Anthropic, asking(true, messages)).await;
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
    assert_eq!(body["messages"][0]["content"], "hi");
}

#[test]
fn a_key_is_needed_where_the_world_answers() {
    let mut settings = bartizan_model::ProviderSettings::new(ProviderKind::OpenAi, "m");
    let client = crate::support::client(&settings, std::time::Duration::from_secs(1));
    let prices = std::sync::Arc::default;
    assert!(bartizan_model::provider(settings.clone(), client.clone(), prices()).is_err());
    settings.api_key = Some(ApiKey::new(&key()));
    assert!(bartizan_model::provider(settings, client, prices()).is_ok());
}
