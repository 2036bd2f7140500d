//! What models answer, in four wire formats, streamed and not.

use bartizan_engine::{
    event::StopReason,
    message::{Message, Part, Role, ToolResult},
};
use bartizan_model::ProviderKind;
use bartizan_testkit::upstream::{Reply, Script, ToolCall, Upstream, Usage};
use serde_json::{Value, json};

use crate::support::{KINDS, WAYS, ask, asking, at, request, tools};

#[tokio::test]
async fn text_arrives_with_usage_and_cost() {
    for kind in KINDS {
        for stream in WAYS {
            let usage = Usage { input: 1_000, output: 100, cached: 400, reasoning: 0 };
            let upstream = Upstream::start(Reply::text(["Hel", "lo ", "wörld"]).usage(usage)).await;
            let model = at(kind, &upstream);
            let heard = ask(&model, request(stream)).await;
            let context = format!("{kind} stream {stream}: {heard:?}");
            assert_eq!(heard.text(), "Hello wörld", "{context}");
            assert_eq!(heard.texts.len(), if stream { 3 } else { 1 }, "{context}");
            assert_eq!(*heard.stop_reason(), StopReason::EndTurn, "{context}");
            let counted = heard.usage();
            assert_eq!((counted.input_tokens, counted.output_tokens), (1_000, 100), "{context}");
            // The scripted Ollama counts no cached tokens.
            let cached = if kind == ProviderKind::Ollama { 0 } else { 400 };
            assert_eq!(counted.cached_tokens, cached, "{context}");
            #[allow(clippy::cast_precision_loss, reason = "small numbers")]
            let cost = ((1_000 - cached) as f64 + cached as f64 * 0.5 + 1_000.0) / 1e6;
            assert!((counted.cost_usd.unwrap() - cost).abs() < 1e-12, "{context}");
            let info = &heard.finished.as_ref().unwrap().2;
            assert_eq!((info.provider.as_str(), info.mock), (kind.as_str(), false));
            assert_eq!(upstream.hits(), 1);
        }
    }
}

#[tokio::test]
async fn a_provider_that_counts_nothing_is_no_failure() {
    for kind in KINDS {
        for stream in WAYS {
            let upstream = Upstream::start(Reply::text(["ok"]).without_usage()).await;
            let heard = ask(&at(kind, &upstream), request(stream)).await;
            assert_eq!(heard.text(), "ok", "{kind} {heard:?}");
            assert_eq!(*heard.stop_reason(), StopReason::EndTurn);
            // Anthropic's stream counts something at its beginning whatever comes after.
            assert!(heard.usage().output_tokens <= 1, "{kind} {heard:?}");
        }
    }
}

#[tokio::test]
async fn white_space_is_kept() {
    for kind in KINDS {
        for stream in WAYS {
            let upstream = Upstream::start(Reply::text(["\n  code", "\n", "  "])).await;
            let heard = ask(&at(kind, &upstream), request(stream)).await;
            assert_eq!(heard.text(), "\n  code\n  ", "{kind} stream {stream}");
        }
    }
}

#[tokio::test]
async fn reasoning_is_told_from_the_answer() {
    for kind in KINDS {
        for stream in WAYS {
            let reply = Reply::text(["done"]).reasoning(["let me ", "think"]).usage(Usage {
                input: 5,
                output: 30,
                cached: 0,
                reasoning: 20,
            });
            let upstream = Upstream::start(reply).await;
            let heard = ask(&at(kind, &upstream), request(stream)).await;
            let context = format!("{kind} stream {stream}: {heard:?}");
            assert_eq!(heard.reasoning, "let me think", "{context}");
            assert_eq!(heard.text(), "done", "{context}");
            assert_eq!(heard.usage().output_tokens, 30, "{context}");
            if matches!(kind, ProviderKind::OpenAiCompatible | ProviderKind::Gemini) {
                assert_eq!(heard.usage().reasoning_tokens, 20, "{context}");
            }
        }
    }
}

#[tokio::test]
async fn several_tool_calls_of_a_round_are_put_together() {
    for kind in KINDS {
        for stream in WAYS {
            let reply = Reply::text(["I will look."])
                .tool_call(ToolCall::new("a1", "search", &json!({"q": "größe \"x\""})))
                .tool_call(ToolCall::new("a2", "search", &json!({"q": "y", "deep": {"n": [1, 2]}})))
                .tool_call(ToolCall::pieces("a3", "now", Vec::<String>::new()));
            let upstream = Upstream::start(reply).await;
            let mut request = request(stream);
            request.tools = tools(&["search", "now"]);
            let heard = ask(&at(kind, &upstream), request).await;
            let context = format!("{kind} stream {stream}: {heard:?}");
            assert_eq!(heard.text(), "I will look.", "{context}");
            assert_eq!(*heard.stop_reason(), StopReason::ToolCalls, "{context}");
            let calls: Vec<(&str, &str, &Value)> = heard
                .calls
                .iter()
                .map(|call| (call.id.as_str(), call.name.as_str(), &call.arguments))
                .collect();
            assert_eq!(
                calls,
                [
                    ("a1", "search", &json!({"q": "größe \"x\""})),
                    ("a2", "search", &json!({"q": "y", "deep": {"n": [1, 2]}})),
                    ("a3", "now", &json!({})),
                ],
                "{context}"
            );
        }
    }
}

#[tokio::test]
async fn calls_without_ids_get_names_of_their_own_in_every_round() {
    for kind in [ProviderKind::Gemini, ProviderKind::Ollama] {
        for stream in WAYS {
            let twice = || {
                Reply::tool_calls([
                    ToolCall::new("", "look", &json!({"n": 1})),
                    ToolCall::new("", "look", &json!({"n": 2})),
                ])
            };
            let upstream = Upstream::start(Script::new([twice(), twice()])).await;
            let model = at(kind, &upstream);
            let mut messages = vec![Message::text(Role::User, "look")];
            let mut ids = Vec::new();
            for _ in 0..2 {
                let mut request = asking(stream, messages.clone());
                request.tools = tools(&["look"]);
                let heard = ask(&model, request).await;
                let calls = heard.calls.into_iter();
                let calls: Vec<_> = calls.inspect(|call| ids.push(call.id.clone())).collect();
                let results = calls.iter().map(|call| {
                    Part::ToolResult(ToolResult {
                        call_id: call.id.clone(),
                        name: call.name.clone(),
                        content: json!("seen"),
                        is_error: false,
                    })
                });
                let results = Message::new(Role::Tool, results.collect());
                let calls = calls.into_iter().map(Part::ToolCall).collect();
                messages.push(Message::new(Role::Assistant, calls));
                messages.push(results);
            }
            assert_eq!(ids.len(), 4);
            assert!(ids.iter().all(|id| !id.is_empty()));
            let mut distinct = ids.clone();
            distinct.sort();
            distinct.dedup();
            assert_eq!(distinct.len(), 4, "{kind} stream {stream}: {ids:?}");
        }
    }
}

#[tokio::test]
async fn broken_arguments_are_kept_as_they_are() {
    for stream in WAYS {
        let call = ToolCall::pieces("a", "search", ["{\"q\": ", "\"unfin"]);
        let upstream = Upstream::start(Reply::tool_calls([call]).stop_reason("length")).await;
        let mut request = request(stream);
        request.tools = tools(&["search"]);
        let heard = ask(&at(ProviderKind::OpenAiCompatible, &upstream), request).await;
        assert_eq!(heard.calls[0].arguments, json!("{\"q\": \"unfin"), "{heard:?}");
        assert_eq!(*heard.stop_reason(), StopReason::MaxTokens);
    }
    let call = ToolCall::pieces("a", "search", ["{\"q\": ", "\"unfin"]);
    let upstream = Upstream::start(Reply::tool_calls([call])).await;
    let heard = ask(&at(ProviderKind::Anthropic, &upstream), request(true)).await;
    assert_eq!(heard.calls[0].arguments, json!("{\"q\": \"unfin"), "{heard:?}");
}

#[tokio::test]
async fn stop_reasons_are_the_same_everywhere() {
    for kind in KINDS {
        for stream in WAYS {
            for (said, expected) in [
                ("length", StopReason::MaxTokens),
                ("content_filter", StopReason::ContentFilter),
                ("odd", StopReason::Other("odd".to_owned())),
            ] {
                if kind == ProviderKind::Ollama && said == "content_filter" {
                    continue;
                }
                let upstream = Upstream::start(Reply::text(["x"]).stop_reason(said)).await;
                let heard = ask(&at(kind, &upstream), request(stream)).await;
                assert_eq!(*heard.stop_reason(), expected, "{kind} stream {stream}");
            }
        }
    }
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    for kind in KINDS {
        for stream in WAYS {
            let upstream = Upstream::start(Reply::text(Vec::<String>::new())).await;
            let heard = ask(&at(kind, &upstream), request(stream)).await;
            assert_eq!(heard.text(), "", "{kind} stream {stream}: {heard:?}");
            assert_eq!(*heard.stop_reason(), StopReason::EndTurn);
        }
    }
}

/// What must go back with the results of a tool round does, to the provider it came from.
#[tokio::test]
async fn thinking_goes_back_with_the_tool_results() {
    for kind in [ProviderKind::Anthropic, ProviderKind::OpenAiCompatible] {
        for stream in WAYS {
            let first = Reply::tool_calls([ToolCall::new("a", "look", &json!({}))])
                .reasoning(["because ", "so"]);
            let upstream = Upstream::start(Script::new([first, Reply::text(["ok"])])).await;
            let model = at(kind, &upstream);
            let mut messages = vec![Message::text(Role::User, "look")];
            let mut round = asking(stream, messages.clone());
            round.tools = tools(&["look"]);
            let heard = ask(&model, round.clone()).await;
            let call = heard.calls.into_iter().next().unwrap();
            assert!(!call.provider_state.is_empty(), "{kind} stream {stream}");
            let result = ToolResult {
                call_id: call.id.clone(),
                name: call.name.clone(),
                content: json!("seen"),
                is_error: false,
            };
            messages.push(Message::new(Role::Assistant, vec![Part::ToolCall(call)]));
            messages.push(Message::new(Role::Tool, vec![Part::ToolResult(result)]));
            ask(&model, round_with(&round, messages.clone())).await;
            let sent = &upstream.requests()[1].json["messages"];
            if kind == ProviderKind::Anthropic {
                let thinking = json!({
                    "type": "thinking", "thinking": "because so", "signature": "c2NyaXB0ZWQ=",
                });
                assert_eq!(sent[1]["content"][0], thinking, "stream {stream}: {sent}");
            } else {
                assert_eq!(sent[2]["reasoning_content"], "because so", "stream {stream}: {sent}");
            }
            // Another provider, after a failover, is not bothered with it.
            let other = Upstream::start(Reply::text(["ok"])).await;
            ask(&at(ProviderKind::Gemini, &other), round_with(&round, messages)).await;
            assert!(!String::from_utf8_lossy(&other.requests()[0].body).contains("because"));
        }
    }
}

fn round_with(
    round: &bartizan_engine::ports::model::ModelRequest,
    messages: Vec<Message>,
) -> bartizan_engine::ports::model::ModelRequest {
    let mut round = round.clone();
    round.messages = messages;
    round
}

#[tokio::test]
async fn answers_to_many_at_once_stay_apart() {
    let upstream = Upstream::start(Script::choose(|received| {
        let asked = received.json["messages"][1]["content"].as_str().unwrap_or_default();
        Reply::text([asked.to_owned(), "!".to_owned()])
    }))
    .await;
    let model = at(ProviderKind::OpenAiCompatible, &upstream);
    let asked = (0..32).map(|number| {
        let model = model.clone();
        tokio::spawn(async move {
            let text = format!("number {number}");
            let request = asking(true, vec![Message::text(Role::User, text.clone())]);
            (text, ask(&model, request).await)
        })
    });
    for answer in asked.collect::<Vec<_>>() {
        let (text, heard) = answer.await.unwrap();
        assert_eq!(heard.text(), format!("{text}!"));
    }
}
