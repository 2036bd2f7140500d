//! The tool loop under the pack's policy.

use bartizan_engine::{
    agent::{Catalogue, Toolbox},
    event::{Execution, StopReason, TurnEvent},
    failure::FailureCode,
    message::{Part, Role, ToolResult},
    ports::model::{ToolChoice, ToolSpec},
    request::{ClientToolMode, TurnRequest},
};
use serde_json::json;

use crate::support::{Adder, Say, all_events, results, test_pack, turn, turn_in, world};

#[tokio::test]
async fn a_tool_runs_and_the_model_answers_with_its_result() {
    let world = world(vec![
        vec![Say::Text("Let me see."), Say::Call("c1", "add", json!({ "a": 1, "b": 2 }))],
        vec![Say::Text("Three.")],
    ]);
    let events = world.events(turn_in("s", "1 + 2?")).await;
    let names: Vec<&str> = events.iter().map(TurnEvent::name).collect();
    assert_eq!(
        names,
        ["started", "text", "usage", "tool_call", "tool_result", "text", "usage", "done"]
    );
    let TurnEvent::Done { text, stop_reason, usage } = events.last().unwrap() else { panic!() };
    assert_eq!(text, "Let me see.\n\nThree.");
    assert_eq!(*stop_reason, StopReason::EndTurn);
    assert_eq!(usage.input_tokens, 20);
    let second = world.model.request(1);
    assert_eq!(second.messages.last().unwrap().role, Role::Tool);
    let roles: Vec<Role> = world.messages("s").await.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::Assistant]);
}

#[tokio::test]
async fn everything_the_pack_says_reaches_the_model() {
    let world = world(vec![vec![Say::Text("hi")]]);
    world.events(turn("hello")).await;
    let request = world.model.request(0);
    assert_eq!(request.system.as_deref(), Some("You add numbers."));
    assert_eq!(request.parameters.temperature, Some(0.5));
    assert_eq!(request.parameters.top_p, Some(0.9));
    assert_eq!(request.parameters.max_tokens, Some(100));
    assert_eq!(request.parameters.top_k, Some(7));
    assert_eq!(request.parameters.frequency_penalty, Some(0.1));
    assert_eq!(request.parameters.presence_penalty, Some(-0.1));
    let names: Vec<&str> = request.tools.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["add", "ask_user"], "blocked and unbound tools are not offered");
}

#[tokio::test]
async fn a_tool_that_the_pack_does_not_speak_of_is_offered_only_where_that_is_asked_for() {
    let offered = |offer_unlisted| {
        let mut toolbox = Toolbox { offer_unlisted, ..Toolbox::default() };
        toolbox.server.insert("stray".into(), Adder::new("stray"));
        let mut catalogue = Catalogue::default();
        catalogue.add(&test_pack(), None, "scripted", &toolbox).unwrap();
        catalogue.find("test/plain").unwrap().checked("stray").is_some()
    };
    assert!(!offered(false));
    assert!(offered(true));
}

#[tokio::test]
async fn a_blocked_tool_never_runs_even_if_the_model_asks() {
    let world = world(vec![
        vec![Say::Call("c1", "forbidden", json!({ "a": 1, "b": 1 }))],
        vec![Say::Text("Sorry.")],
    ]);
    let events = world.events(turn("go")).await;
    let results = results(&events);
    assert!(results[0].1 && results[0].2.as_str().unwrap().contains("there is no tool"));
}

#[tokio::test]
async fn arguments_are_checked_before_the_tool_runs() {
    let world = world(vec![
        vec![
            Say::Call("c1", "add", json!({ "a": "one" })),
            Say::Call("c2", "add", json!("{broken")),
        ],
        vec![Say::Text("Sorry.")],
    ]);
    let events = world.events(turn("go")).await;
    assert_eq!(world.adder.runs(), 0);
    let results = results(&events);
    assert!(results.iter().all(|(_, is_error, _)| *is_error));
    assert!(results[0].2.as_str().unwrap().contains("schema"), "{results:?}");
    assert!(matches!(events.last().unwrap(), TurnEvent::Done { .. }));
}

#[tokio::test]
async fn a_failing_tool_is_a_result_and_not_the_end() {
    let world = world(vec![
        vec![
            Say::Call("c1", "add", json!({ "a": -1, "b": 2 })),
            Say::Call("c2", "add", json!({ "a": 1, "b": 2 })),
        ],
        vec![Say::Text("One of two.")],
    ]);
    let events = world.events(turn("go")).await;
    assert_eq!(world.adder.runs(), 2);
    let mut results = results(&events);
    results.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!((results[0].1, results[1].1), (true, false));
    // The model sees results in the order of its calls, whichever ended first.
    let request = world.model.request(1);
    let ids: Vec<String> = request
        .messages
        .last()
        .unwrap()
        .parts
        .iter()
        .map(|part| match part {
            bartizan_engine::message::Part::ToolResult(result) => result.call_id.clone(),
            _ => panic!(),
        })
        .collect();
    assert_eq!(ids, ["c1", "c2"]);
}

#[tokio::test]
async fn the_same_call_three_times_over_is_stopped() {
    let call = || Say::Call("c", "add", json!({ "a": 1, "b": 1 }));
    let world =
        world(vec![vec![call()], vec![call()], vec![call()], vec![Say::Text("Two, I suppose.")]]);
    let events = world.events(turn("go")).await;
    assert_eq!(world.adder.runs(), 2);
    let TurnEvent::Done { stop_reason, .. } = events.last().unwrap() else { panic!() };
    assert_eq!(*stop_reason, StopReason::ToolLimit);
    assert_eq!(world.model.request(3).tool_choice, ToolChoice::None);
}

#[tokio::test]
async fn at_the_round_limit_the_model_answers_without_tools() {
    let mut answers: Vec<Vec<Say>> =
        (0..3).map(|round| vec![Say::Call("c", "add", json!({ "a": round, "b": 1 }))]).collect();
    answers.push(vec![Say::Text("Enough."), Say::Call("c", "add", json!({ "a": 9, "b": 9 }))]);
    let world = world(answers);
    let events = world.events(turn("go")).await;
    assert_eq!(world.model.asked(), 4, "three rounds, then one last answer");
    assert_eq!(world.model.request(3).tool_choice, ToolChoice::None);
    assert_eq!(world.adder.runs(), 3, "a call made against the rule does not run");
    let TurnEvent::Done { stop_reason, text, .. } = events.last().unwrap() else { panic!() };
    assert_eq!((stop_reason, text.as_str()), (&StopReason::ToolLimit, "Enough."));
}

#[tokio::test]
async fn calls_over_the_limit_do_not_run() {
    let ids = ["c0", "c1", "c2", "c3", "c4", "c5"];
    let calls = ids
        .iter()
        .enumerate()
        .map(|(index, id)| Say::Call(id, "add", json!({ "a": index, "b": 0 })))
        .collect();
    let world = world(vec![calls, vec![Say::Text("Enough.")]]);
    let events = world.events(turn("go")).await;
    assert_eq!(world.adder.runs(), 4);
    assert_eq!(results(&events).iter().filter(|(_, is_error, _)| *is_error).count(), 2);
}

#[tokio::test]
async fn a_pack_that_forbids_tools_is_obeyed() {
    let world = world(vec![vec![Say::Text("No.")]]);
    let silent = TurnRequest { agent: "test/silent".into(), ..turn("go") };
    world.events(silent.clone()).await;
    assert!(world.model.request(0).tools.is_empty());
    let required = TurnRequest { tool_choice: Some(ToolChoice::Required), ..silent };
    assert_eq!(world.refused(required).await.code, FailureCode::InvalidRequest);
}

#[tokio::test]
async fn a_required_call_is_required_once() {
    let world = world(vec![
        vec![Say::Call("c", "add", json!({ "a": 1, "b": 1 }))],
        vec![Say::Text("Two.")],
    ]);
    world.events(TurnRequest { agent: "test/eager".into(), ..turn("go") }).await;
    assert_eq!(world.model.request(0).tool_choice, ToolChoice::Required);
    assert_eq!(world.model.request(1).tool_choice, ToolChoice::Auto);
}

#[tokio::test]
async fn a_stateless_caller_gets_its_calls_and_comes_back() {
    let own = ToolSpec {
        name: "mine".into(),
        description: "The caller's".into(),
        parameters: json!({ "type": "object", "properties": {} }),
    };
    let world = world(vec![vec![
        Say::Call("c1", "mine", json!({})),
        Say::Call("c2", "add", json!({ "a": 1, "b": 1 })),
    ]]);
    let events = world.events(TurnRequest { client_tools: vec![own], ..turn_in("s", "go") }).await;
    assert_eq!(world.adder.runs(), 0, "the server's call is left for the model to repeat");
    let calls: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            TurnEvent::ToolCall { call, execution } => Some((call.id.as_str(), *execution)),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [("c1", Execution::Client)]);
    let TurnEvent::Done { stop_reason, .. } = events.last().unwrap() else { panic!() };
    assert_eq!(*stop_reason, StopReason::ToolCalls);
    assert_eq!(world.messages("s").await.last().unwrap().tool_calls().count(), 1);
}

#[tokio::test]
async fn a_waiting_turn_takes_what_the_caller_answers() {
    let world = world(vec![
        vec![
            Say::Call("c1", "ask_user", json!({})),
            Say::Call("c2", "ask_user", json!({ "x": 1 })),
        ],
        vec![Say::Text("Thanks.")],
    ]);
    let request = TurnRequest { client_tool_mode: ClientToolMode::Wait, ..turn("go") };
    let run = world.start(request).await;
    let mut follower = run.follow(0);
    let mut answered = Vec::new();
    while let Some(batch) = follower.next_batch().await {
        for logged in batch {
            if let TurnEvent::ToolCall { call, execution: Execution::Client } = &logged.event {
                let result = ToolResult {
                    call_id: call.id.clone(),
                    name: String::new(),
                    content: "blue".into(),
                    is_error: false,
                };
                assert_eq!(
                    run.submit(ToolResult { call_id: "other".into(), ..result.clone() })
                        .unwrap_err()
                        .code,
                    FailureCode::UnknownToolCall
                );
                run.submit(result.clone()).unwrap();
                assert!(run.submit(result).is_err(), "a call is answered once");
                answered.push(call.id.clone());
            }
        }
    }
    assert_eq!(answered, ["c1", "c2"]);
    let request = world.model.request(1);
    assert_eq!(request.messages.last().unwrap().parts.len(), 2);
}

#[tokio::test]
async fn calls_without_a_name_or_with_a_used_one_get_their_own() {
    let world = world(vec![
        vec![
            Say::Call("", "add", json!({ "a": 1, "b": 1 })),
            Say::Call("", "add", json!({ "a": 2, "b": 1 })),
        ],
        vec![Say::Text("Done.")],
    ]);
    let run = world.start(turn("go")).await;
    let events = all_events(&run).await;
    let mut ids: Vec<String> = events
        .iter()
        .filter_map(|logged| match &logged.event {
            TurnEvent::ToolCall { call, .. } => Some(call.id.clone()),
            _ => None,
        })
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 2);
    assert!(ids.iter().all(|id| !id.is_empty()));
}

#[tokio::test]
async fn the_same_call_in_another_order_is_the_same_call() {
    let call =
        |arguments: &str| vec![Say::Call("c", "add", serde_json::from_str(arguments).unwrap())];
    let world = world(vec![
        call(r#"{"a": 1, "b": 2}"#),
        call(r#"{"b": 2, "a": 1}"#),
        call(r#"{"a": 1, "b": 2}"#),
        vec![Say::Text("Three, then.")],
    ]);
    let events = world.events(turn("go")).await;
    assert_eq!(world.adder.runs(), 2);
    let TurnEvent::Done { stop_reason, .. } = events.last().unwrap() else { panic!() };
    assert_eq!(*stop_reason, StopReason::ToolLimit);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_ends_in_a_tool_does_not_say_that_it_never_ran() {
    let world =
        world(vec![vec![Say::Call("c", "add", json!({ "a": 1e7, "b": 1 }))], vec![Say::Text("a")]]);
    let run = world.start(turn_in("s", "go")).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    run.cancel();
    run.finished().await;
    assert_eq!(world.adder.runs(), 1);
    let messages = world.messages("s").await;
    let Some(Part::ToolResult(result)) = messages[2].parts.first() else { panic!("{messages:?}") };
    assert!(result.is_error);
    assert!(!result.content_text().contains("not run"), "{}", result.content_text());
}
