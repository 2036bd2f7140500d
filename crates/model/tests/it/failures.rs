//! Providers that are down, slow, cut off or senseless.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bartizan_engine::ports::model::{ModelErrorKind as Kind, ModelEvent};
use bartizan_model::{CircuitPolicy, ProviderKind, RetryPolicy, Timeouts};
use bartizan_net::{Client, ClientOptions, EgressPolicy, Lookup};
use bartizan_testkit::upstream::{Reply, Script, Unreachable, Upstream, refused_address};
use futures::StreamExt;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{KINDS, WAYS, ask, at, client, key, model, refusal, request, settings};

#[tokio::test]
async fn busy_and_failing_providers_are_asked_again() {
    for kind in KINDS {
        for stream in WAYS {
            for status in [429, 500, 503, 529] {
                let script = Script::new([
                    Reply::status(status),
                    Reply::status(status),
                    Reply::text(["ok"]),
                ]);
                let upstream = Upstream::start(script).await;
                let heard = ask(&at(kind, &upstream), request(stream)).await;
                assert_eq!(heard.text(), "ok", "{kind} stream {stream} {status}: {heard:?}");
                assert_eq!(upstream.hits(), 3);
            }
        }
    }
}

#[tokio::test]
async fn attempts_come_to_an_end_with_status_and_code() {
    for (kind, code) in [
        (ProviderKind::OpenAiCompatible, Some("rate_limit_exceeded")),
        (ProviderKind::Anthropic, Some("rate_limit_error")),
        (ProviderKind::Gemini, Some("RESOURCE_EXHAUSTED")),
        (ProviderKind::Ollama, None),
    ] {
        for stream in WAYS {
            let upstream = Upstream::start(Reply::status(429)).await;
            let error = refusal(&at(kind, &upstream), request(stream)).await;
            assert_eq!(error.kind, Kind::RateLimited, "{error:?}");
            assert_eq!((error.status, error.provider_code.as_deref()), (Some(429), code));
            assert_eq!(error.provider, kind.as_str());
            assert_eq!(upstream.hits(), 3);
        }
    }
}

#[tokio::test]
async fn a_refused_request_is_not_repeated() {
    for kind in KINDS {
        for (status, expected) in [
            (400, Kind::Rejected),
            (401, Kind::Unauthorized),
            (403, Kind::Unauthorized),
            (404, Kind::Unavailable),
            (413, Kind::ContextTooLong),
        ] {
            let upstream = Upstream::start(Reply::status(status)).await;
            let error = refusal(&at(kind, &upstream), request(true)).await;
            assert_eq!((error.kind, error.status), (expected, Some(status)), "{kind}");
            assert_eq!(upstream.hits(), 1, "{kind} {status}");
        }
    }
}

#[tokio::test]
async fn what_retry_after_asks_for_is_waited_for_or_too_long() {
    let upstream =
        Upstream::start(Script::new([Reply::too_many_requests(1), Reply::text(["ok"])])).await;
    let heard = ask(&at(ProviderKind::OpenAiCompatible, &upstream), request(true)).await;
    assert_eq!(heard.text(), "ok");
    let requests = upstream.requests();
    let waited = requests[1].at.duration_since(requests[0].at);
    // The order of things, not their speed: nobody came back before he was asked to.
    assert!(waited >= Duration::from_secs(1), "{waited:?}");

    let upstream = Upstream::start(Reply::too_many_requests(3600)).await;
    let error = refusal(&at(ProviderKind::OpenAiCompatible, &upstream), request(true)).await;
    assert_eq!(error.retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(upstream.hits(), 1, "an hour is too long to wait");

    let date = "Fri, 31 Dec 2100 23:59:59 GMT";
    let upstream = Upstream::start(Reply::status(503).header("retry-after", date)).await;
    let error = refusal(&at(ProviderKind::Anthropic, &upstream), request(true)).await;
    assert!(error.retry_after.unwrap() > Duration::from_secs(86_400));
    assert_eq!(upstream.hits(), 1);
}

#[tokio::test]
async fn an_answer_that_began_is_never_asked_for_again() {
    for kind in KINDS {
        let cut = Reply::text(["one ", "two ", "three"]).cut_after(2);
        let upstream = Upstream::start(Script::new([cut, Reply::text(["again"])])).await;
        let heard = ask(&at(kind, &upstream), request(true)).await;
        assert_eq!(heard.text(), "one two ", "{kind}: what was said stands");
        assert_eq!(heard.error.as_ref().unwrap().kind, Kind::Interrupted, "{kind} {heard:?}");
        assert_eq!(upstream.hits(), 1, "{kind}");
    }
}

#[tokio::test]
async fn an_answer_without_its_end_is_no_success() {
    for kind in KINDS {
        let upstream = Upstream::start(Reply::text(["one ", "two"]).end_after(1)).await;
        let heard = ask(&at(kind, &upstream), request(true)).await;
        assert_eq!(heard.text(), "one ", "{kind}");
        assert_eq!(heard.error.as_ref().unwrap().kind, Kind::Interrupted, "{kind} {heard:?}");
    }
}

#[tokio::test]
async fn an_error_in_the_middle_is_one() {
    for kind in KINDS {
        let upstream = Upstream::start(Reply::text(["one ", "two"]).error_after(1)).await;
        let heard = ask(&at(kind, &upstream), request(true)).await;
        assert_eq!(heard.text(), "one ", "{kind}");
        assert_eq!(heard.error.as_ref().unwrap().kind, Kind::Interrupted, "{kind} {heard:?}");
    }
}

#[tokio::test]
async fn nonsense_is_told_from_an_answer() {
    for kind in KINDS {
        let upstream = Upstream::start(Reply::text(["one ", "two"]).garbage_after(1)).await;
        let heard = ask(&at(kind, &upstream), request(true)).await;
        assert_eq!(heard.text(), "one ", "{kind}");
        assert_eq!(heard.error.as_ref().unwrap().kind, Kind::Malformed, "{kind} {heard:?}");

        for body in [json!("<html>busy</html>"), json!({"unexpected": true}), json!([])] {
            let nonsense = || Reply::status(200).body(body.clone());
            let upstream = Upstream::start(nonsense()).await;
            let error = refusal(&at(kind, &upstream), request(false)).await;
            assert_eq!(error.kind, Kind::Malformed, "{kind} {body} {error:?}");
            let upstream = Upstream::start(nonsense()).await;
            let heard = ask(&at(kind, &upstream), request(true)).await;
            assert!(heard.finished.is_none(), "{kind} {body} {heard:?}");
            assert!(!upstream.requests().is_empty());
        }
    }
}

#[tokio::test]
async fn a_whole_answer_that_is_cut_is_asked_for_again() {
    for kind in KINDS {
        let cut = Reply::text(["one two three"]).cut_after(1);
        let upstream = Upstream::start(Script::new([cut, Reply::text(["ok"])])).await;
        let heard = ask(&at(kind, &upstream), request(false)).await;
        assert_eq!(heard.text(), "ok", "{kind}: nobody had seen anything of the first");
        assert_eq!(upstream.hits(), 2);
    }
}

fn impatient() -> Timeouts {
    Timeouts {
        first_token: Duration::from_millis(200),
        idle: Duration::from_millis(200),
        answer: Duration::from_millis(200),
        ..Timeouts::default()
    }
}

#[tokio::test]
async fn a_silent_provider_is_given_up() {
    for kind in KINDS {
        for stream in WAYS {
            let upstream = Upstream::start(Reply::hang()).await;
            let mut settings = settings(kind, &upstream.url());
            settings.timeouts = impatient();
            let error = refusal(&model(settings), request(stream)).await;
            assert_eq!(error.kind, Kind::TimedOut, "{kind} stream {stream}");
            assert_eq!(upstream.hits(), 1, "waiting as long again helps nobody");
        }
        let upstream = Upstream::start(Reply::text(["one ", "two"]).stall_after(1)).await;
        let mut settings = settings(kind, &upstream.url());
        settings.timeouts = impatient();
        let heard = ask(&model(settings), request(true)).await;
        assert_eq!(heard.text(), "one ", "{kind}");
        assert_eq!(heard.error.unwrap().kind, Kind::TimedOut, "{kind}");
    }
}

#[tokio::test]
async fn slow_answers_that_keep_coming_are_not_given_up() {
    let pieces: Vec<String> = (0..8).map(|number| format!("{number} ")).collect();
    let reply = Reply::text(pieces).chunk_delay(Duration::from_millis(60));
    let upstream = Upstream::start(reply).await;
    let mut settings = settings(ProviderKind::OpenAiCompatible, &upstream.url());
    settings.timeouts = Timeouts { idle: Duration::from_millis(400), ..Timeouts::default() };
    let heard = ask(&model(settings), request(true)).await;
    assert_eq!(heard.text(), "0 1 2 3 4 5 6 7 ");
}

#[tokio::test]
async fn endless_patience_is_patience_still() {
    let upstream =
        Upstream::start(Script::new([Reply::status(500), Reply::text(["one ", "two"])])).await;
    let mut settings = settings(ProviderKind::OpenAiCompatible, &upstream.url());
    let ever = Duration::MAX;
    settings.timeouts = Timeouts { connect: ever, first_token: ever, idle: ever, answer: ever };
    settings.retry.max_backoff = ever;
    settings.circuit = CircuitPolicy { failures: 1, open_for: ever };
    let model = model(settings);
    assert_eq!(refusal(&model, request(true)).await.status, Some(500));
    assert_eq!(upstream.hits(), 1, "the circuit opened for ever, almost");
}

#[tokio::test]
async fn nobody_there_is_said_in_plain_words() {
    let address = refused_address().await;
    for stream in WAYS {
        let settings = settings(ProviderKind::OpenAiCompatible, &format!("http://{address}"));
        let error = refusal(&model(settings), request(stream)).await;
        assert_eq!((error.kind, error.status), (Kind::Unavailable, None));
        assert!(error.message.contains("no connection"), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_never_comes_about_is_given_up() {
    let nowhere = Unreachable::start().await.unwrap();
    let mut settings = settings(ProviderKind::OpenAiCompatible, &nowhere.url());
    settings.retry = RetryPolicy { attempts: 1, ..settings.retry };
    // The connect timeout is the client's.
    let client = client(&settings, Duration::from_millis(200));
    let model = bartizan_model::provider(settings, client, Arc::default()).unwrap();
    assert_eq!(refusal(&model, request(true)).await.kind, Kind::TimedOut);
}

/// Sends every name to where nothing may be called, and counts.
#[derive(Default)]
struct Inward(AtomicUsize);

#[async_trait::async_trait]
impl Lookup for Inward {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(vec![IpAddr::from([10, 0, 0, 7])])
    }
}

#[tokio::test]
async fn what_the_egress_policy_refuses_is_refused_once() {
    for stream in WAYS {
        let settings = settings(ProviderKind::OpenAiCompatible, "http://models.example");
        let base = settings.base_url.as_deref().unwrap().parse().unwrap();
        let lookup = Arc::new(Inward::default());
        let client = Client::with_lookup(
            EgressPolicy::default(),
            &ClientOptions::default(),
            Arc::clone(&lookup) as Arc<dyn Lookup>,
        );
        let client = client.unwrap().for_library(&base).unwrap();
        let model = bartizan_model::provider(settings, client, Arc::default()).unwrap();
        let error = refusal(&model, request(stream)).await;
        assert_eq!(error.kind, Kind::Unavailable);
        assert!(error.message.contains("add `models.example`"), "for the operator: {error}");
        assert_eq!(lookup.0.load(Ordering::SeqCst), 1, "it would be refused again");
    }
}

/// A provider may repeat all it knows; nothing of it goes further than this room.
#[tokio::test]
async fn keys_and_prompts_are_in_no_error() {
    let secret = key();
    for kind in KINDS {
        for stream in WAYS {
            for status in [400, 401, 429, 500] {
                let echo = Script::choose(move |received| {
                    let headers = format!("{:?}", received.headers);
                    let prompt = String::from_utf8_lossy(&received.body).into_owned();
                    let text = format!("{headers} {prompt} {}", key());
                    Reply::status(status).body(json!({
                        "type": text, "message": text, "code": key(), "status": text,
                        "error": {
                            "message": text, "type": key(), "code": text, "status": prompt,
                            "param": text,
                        },
                    }))
                });
                let upstream = Upstream::start(echo).await;
                let error = refusal(&at(kind, &upstream), request(stream)).await;
                let said = format!("{error} {error:?} {:?}", error.clone().into_failure());
                assert!(!said.contains(&secret), "{said}");
                assert!(!said.contains("Say something"), "{said}");
                assert!(!said.contains("You are helpful"), "{said}");
                assert_eq!(error.status, Some(status));
                assert_eq!(error.provider_code, None);
            }
        }
    }
}

#[tokio::test]
async fn a_circuit_opens_and_lets_one_try() {
    let script = Script::new([
        Reply::status(500),
        Reply::status(500),
        Reply::status(500),
        Reply::text(["ok"]),
    ]);
    let upstream = Upstream::start(script).await;
    let mut settings = settings(ProviderKind::OpenAiCompatible, &upstream.url());
    settings.retry.attempts = 1;
    settings.circuit = CircuitPolicy { failures: 2, open_for: Duration::from_millis(300) };
    let model = model(settings);
    for _ in 0..2 {
        assert_eq!(refusal(&model, request(true)).await.status, Some(500));
    }
    let error = refusal(&model, request(true)).await;
    assert_eq!((error.kind, error.status), (Kind::Unavailable, None));
    assert!(error.retry_after.is_some());
    assert_eq!(upstream.hits(), 2, "left alone");
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert_eq!(refusal(&model, request(true)).await.status, Some(500), "the trial fails");
    assert_eq!(refusal(&model, request(true)).await.status, None, "and it is left alone again");
    tokio::time::sleep(Duration::from_millis(350)).await;
    assert_eq!(ask(&model, request(true)).await.text(), "ok", "the trial is passed");
    assert_eq!(ask(&model, request(true)).await.text(), "ok");
    assert_eq!(upstream.hits(), 5);
}

#[tokio::test]
async fn answers_that_break_off_open_the_circuit_too() {
    let upstream = Upstream::start(Reply::text(["one ", "two"]).cut_after(1)).await;
    let mut settings = settings(ProviderKind::Anthropic, &upstream.url());
    settings.circuit = CircuitPolicy { failures: 2, open_for: Duration::from_secs(60) };
    let model = model(settings);
    for _ in 0..2 {
        assert_eq!(ask(&model, request(true)).await.error.unwrap().kind, Kind::Interrupted);
    }
    assert_eq!(refusal(&model, request(true)).await.kind, Kind::Unavailable);
    assert_eq!(upstream.hits(), 2);
}

#[tokio::test]
async fn dropping_an_answer_ends_the_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let provider = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 4];
        connection.read_exact(&mut request).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        let piece = json!({"choices": [{"index": 0, "delta": {"content": "one"}}]});
        connection.write_all(format!("{head}data: {piece}\n\n").as_bytes()).await.unwrap();
        // The rest of the request and then nothing more, until the other side hangs up.
        let _hung_up = connection.read_to_end(&mut Vec::new()).await;
        request
    });
    let model = model(settings(ProviderKind::OpenAiCompatible, &format!("http://{address}")));
    let mut stream = model.ask(request(true)).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Text(_)))));
    assert!(!provider.is_finished());
    drop(stream);
    assert_eq!(&provider.await.unwrap(), b"POST");
}

/// `genai` logs error bodies and answers; nothing of it may be in a log of ours.
#[tokio::test]
async fn keys_prompts_and_answers_are_in_no_log() {
    let log = Log::default();
    let lines = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for kind in KINDS {
        for stream in WAYS {
            let echo = Script::choose(|received| {
                let prompt = String::from_utf8_lossy(&received.body).into_owned();
                Reply::status(500).body(json!({"error": {"message": prompt, "type": key()}}))
            });
            for script in [
                echo,
                Reply::text(["sesame ", "opens"]).into(),
                Reply::text(["sesame ", "opens"]).error_after(1).into(),
                Reply::text(["sesame ", "opens"]).garbage_after(1).into(),
            ] {
                let upstream = Upstream::start(script).await;
                ask(&at(kind, &upstream), request(stream)).await;
            }
        }
    }
    let log = log.text();
    assert!(log.contains("asking the model again"), "something is logged: {log}");
    for hidden in ["Say something", "You are helpful", "sesame", key().as_str()] {
        assert!(!log.contains(hidden), "{hidden} in {log}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
