//! Budgets are checked before the act.

use std::time::Duration;

use bartizan_engine::{
    event::TurnEvent, failure::FailureCode, limits::Limits, ports::model::ToolSpec,
    request::TurnRequest,
};
use serde_json::json;

use crate::support::{Say, memory, results, turn, turn_in, world_with};

#[tokio::test]
async fn output_tokens_are_a_budget_of_the_whole_turn() {
    let limits = Limits { max_output_tokens: Some(10), ..Limits::default() };
    let call = |a: u32| vec![Say::Call("c", "add", json!({ "a": a, "b": 1 }))];
    let world = world_with(vec![call(1), call(2), call(3)], limits, memory());
    let events = world.events(turn("go")).await;
    assert!(matches!(
        events.last().unwrap(),
        TurnEvent::Failed { code: FailureCode::BudgetExceeded, .. }
    ));
    assert_eq!(world.model.asked(), 2, "5 tokens each, then nothing is left");
    assert_eq!(world.model.request(0).parameters.max_tokens, Some(10));
    assert_eq!(world.model.request(1).parameters.max_tokens, Some(5));
}

#[tokio::test]
async fn a_runaway_answer_ends() {
    let limits = Limits { max_output_bytes: 100, ..Limits::default() };
    let endless = vec![Say::Text("0123456789"); 1000];
    let world = world_with(vec![endless], limits, memory());
    let events = world.events(turn_in("s", "go")).await;
    assert!(matches!(
        events.last().unwrap(),
        TurnEvent::Failed { code: FailureCode::BudgetExceeded, .. }
    ));
    assert_eq!(world.messages("s").await[1].plain_text().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_turn_has_its_time() {
    let limits = Limits { turn_time: Duration::from_secs(10), ..Limits::default() };
    let slow = vec![Say::Text("a"), Say::Pause(Duration::from_secs(60)), Say::Text("b")];
    let world = world_with(vec![slow], limits, memory());
    let events = world.events(turn("go")).await;
    assert!(matches!(
        events.last().unwrap(),
        TurnEvent::Failed { code: FailureCode::TimedOut, .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_tool_has_its_time() {
    let limits = Limits { tool_time: Duration::from_secs(3), ..Limits::default() };
    let world = world_with(
        vec![
            vec![Say::Call("c", "add", json!({ "a": 1e7, "b": 1 }))],
            vec![Say::Text("It took too long.")],
        ],
        limits,
        memory(),
    );
    let events = world.events(turn("go")).await;
    assert!(results(&events)[0].2.as_str().unwrap().contains("within 3 s"));
    assert!(matches!(events.last().unwrap(), TurnEvent::Done { .. }));
}

#[tokio::test]
async fn a_tool_result_has_its_size() {
    let limits = Limits { max_tool_result_bytes: 5, ..Limits::default() };
    let world = world_with(
        vec![vec![Say::Call("c", "add", json!({ "a": 1, "b": 1 }))], vec![Say::Text("ok")]],
        limits,
        memory(),
    );
    let events = world.events(turn("go")).await;
    assert!(results(&events)[0].2.as_str().unwrap().contains("cut off here"));
}

#[tokio::test]
async fn old_exchanges_leave_the_window_and_stay_in_the_session() {
    let limits = Limits { context_tokens: Some(150), ..Limits::default() };
    let world = world_with(vec![vec![Say::Text("ok")]], limits, memory());
    let long = "x".repeat(150);
    for _ in 0..3 {
        let events = world.events(turn_in("s", &long)).await;
        assert!(matches!(events.last().unwrap(), TurnEvent::Done { .. }), "{events:?}");
    }
    assert!(world.model.request(2).messages.len() < 5);
    assert_eq!(world.messages("s").await.len(), 6);
}

#[tokio::test]
async fn reasoning_and_arguments_are_counted_like_text() {
    for endless in [
        vec![Say::Reasoning("0123456789"); 1000],
        vec![Say::Call("c", "add", json!({ "a": "x".repeat(1000), "b": 1 }))],
    ] {
        let limits = Limits { max_output_bytes: 100, ..Limits::default() };
        let world = world_with(vec![endless, vec![Say::Text("ok")]], limits, memory());
        let events = world.events(turn("go")).await;
        assert!(matches!(
            events.last().unwrap(),
            TurnEvent::Failed { code: FailureCode::BudgetExceeded, .. }
        ));
        assert!(events.len() <= 12, "{}", events.len());
    }
}

#[tokio::test]
async fn tokens_that_nobody_counted_are_estimated() {
    let limits = Limits { max_output_tokens: Some(100), ..Limits::default() };
    let call = |a: u32| {
        vec![
            Say::Text(const { str_of_400() }),
            Say::Call("c", "add", json!({ "a": a, "b": 1 })),
            Say::Uncounted,
        ]
    };
    let world = world_with(vec![call(1), call(2)], limits, memory());
    let events = world.events(turn("go")).await;
    assert!(matches!(
        events.last().unwrap(),
        TurnEvent::Failed { code: FailureCode::BudgetExceeded, .. }
    ));
    assert_eq!(world.model.asked(), 1);
}

/// 400 bytes are some 100 tokens.
const fn str_of_400() -> &'static str {
    match std::str::from_utf8(&[b'x'; 400]) {
        Ok(text) => text,
        Err(_) => "",
    }
}

#[tokio::test]
async fn schemas_of_tools_take_their_part_of_the_window() {
    let limits = Limits { context_tokens: Some(500), ..Limits::default() };
    let world = world_with(vec![vec![Say::Text("ok")]], limits, memory());
    let heavy = ToolSpec {
        name: "heavy".into(),
        description: "Much to fill in".into(),
        parameters: json!({ "type": "object", "description": "x".repeat(4000) }),
    };
    let events = world.events(TurnRequest { client_tools: vec![heavy], ..turn("go") }).await;
    assert!(matches!(
        events.last().unwrap(),
        TurnEvent::Failed { code: FailureCode::ContextTooLong, .. }
    ));
}
