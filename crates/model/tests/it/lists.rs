//! Several models as one.

use std::time::Duration;

use bartizan_engine::ports::model::ModelErrorKind as Kind;
use bartizan_model::{CircuitPolicy, MockScript, ProviderKind, failover, mock};
use bartizan_testkit::upstream::{Reply, Upstream, refused_address};

use crate::support::{ask, at, model, refusal, request, settings};

const OPENAI: ProviderKind = ProviderKind::OpenAiCompatible;

#[tokio::test]
async fn the_next_model_answers_and_says_who_it_is() {
    let down = settings(OPENAI, &format!("http://{}", refused_address().await));
    let busy = Upstream::start(Reply::status(503)).await;
    let well = Upstream::start(Reply::text(["ok"])).await;
    let models = failover(vec![
        model(down),
        at(ProviderKind::Gemini, &busy),
        at(ProviderKind::Anthropic, &well),
    ]);
    assert_eq!(models.info().provider, "openai-compatible");
    let heard = ask(&models, request(true)).await;
    assert_eq!(heard.text(), "ok");
    assert_eq!(heard.finished.unwrap().2.provider, "anthropic");
    assert_eq!((busy.hits(), well.hits()), (3, 1));
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_not_asked_elsewhere() {
    for (status, kind) in [(400, Kind::Rejected), (413, Kind::ContextTooLong)] {
        let strict = Upstream::start(Reply::status(status)).await;
        let second = Upstream::start(Reply::text(["ok"])).await;
        let models = failover(vec![at(OPENAI, &strict), at(OPENAI, &second)]);
        assert_eq!(refusal(&models, request(true)).await.kind, kind);
        assert_eq!(second.hits(), 0);
    }
    let keyless = Upstream::start(Reply::status(401)).await;
    let second = Upstream::start(Reply::text(["ok"])).await;
    let models = failover(vec![at(OPENAI, &keyless), at(OPENAI, &second)]);
    assert_eq!(ask(&models, request(true)).await.text(), "ok", "a key is not the request's");
}

#[tokio::test]
async fn an_answer_that_began_is_nobody_elses() {
    let breaking = Upstream::start(Reply::text(["one ", "two"]).cut_after(1)).await;
    let second = Upstream::start(Reply::text(["ok"])).await;
    let models = failover(vec![at(OPENAI, &breaking), at(OPENAI, &second)]);
    let heard = ask(&models, request(true)).await;
    assert_eq!((heard.text().as_str(), heard.error.unwrap().kind), ("one ", Kind::Interrupted));
    assert_eq!(second.hits(), 0);
}

#[tokio::test]
async fn an_open_circuit_costs_no_call() {
    let failing = Upstream::start(Reply::status(500)).await;
    let second = Upstream::start(Reply::text(["ok"])).await;
    let mut first = settings(OPENAI, &failing.url());
    first.retry.attempts = 1;
    first.circuit = CircuitPolicy { failures: 1, open_for: Duration::from_secs(60) };
    let models = failover(vec![model(first), at(OPENAI, &second)]);
    for _ in 0..3 {
        assert_eq!(ask(&models, request(true)).await.text(), "ok");
    }
    assert_eq!((failing.hits(), second.hits()), (1, 3));
}

#[tokio::test]
async fn the_last_error_is_the_error() {
    let first = Upstream::start(Reply::status(503)).await;
    let last = Upstream::start(Reply::status(429)).await;
    let models = failover(vec![at(OPENAI, &first), at(ProviderKind::Gemini, &last)]);
    let error = refusal(&models, request(true)).await;
    assert_eq!((error.kind, error.provider.as_str()), (Kind::RateLimited, "gemini"));
}

#[tokio::test]
async fn a_list_of_none_or_one() {
    let nobody = failover(Vec::new());
    assert_eq!(refusal(&nobody, request(true)).await.kind, Kind::Unavailable);
    assert!(!nobody.info().mock, "a missing model is no mock");
    let one = failover(vec![mock(MockScript::default())]);
    assert!(one.info().mock);
}
