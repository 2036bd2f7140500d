use axum::{Router, routing::get as on_get};

use crate::{client, get, names, serve};

#[tokio::test]
async fn a_name_with_a_private_address_is_refused_before_it_is_called() {
    let port = serve(Router::new().route("/", on_get(|| async { "reached" }))).await;
    let known = names(&[
        ("loop.example", &["127.0.0.1"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("mixed.example", &["8.8.8.8", "127.0.0.1"]),
        ("metadata.example", &["169.254.169.254"]),
    ]);
    let open = client(&[], known.clone(), 0);
    for name in ["loop.example", "mapped.example", "mixed.example", "metadata.example"] {
        let error = get(&open, &format!("http://{name}:{port}/")).await.unwrap_err();
        assert!(error.starts_with(&format!("egress to {name} refused")), "{error}");
    }
    let error = get(&open, &format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert!(error.contains("add `127.0.0.1` to the egress list"), "{error}");

    let listed = client(&["*.example"], known, 0);
    let url = format!("http://loop.example:{port}/");
    assert_eq!(get(&listed, &url).await.unwrap(), "200 reached");
    let error = get(&listed, "http://metadata.example/").await.unwrap_err();
    assert!(error.contains("add `169.254.169.254`"), "{error}");
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_checked() {
    // A resolver that answers differently the second time: were the name looked up again for
    // the connection, the second, refused answer would show.
    struct Rebinding(std::sync::atomic::AtomicUsize);
    #[async_trait::async_trait]
    impl bartizan_net::Lookup for Rebinding {
        async fn addresses(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
            let asked = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(vec![if asked == 0 { [127, 0, 0, 1] } else { [10, 0, 0, 1] }.into()])
        }
    }
    let port = serve(Router::new().route("/", on_get(|| async { "reached" }))).await;
    let lookup = std::sync::Arc::new(Rebinding(Default::default()));
    let client = bartizan_net::Client::with_lookup(
        crate::policy(&["127.0.0.1"]),
        &bartizan_net::ClientOptions::default(),
        lookup.clone(),
    )
    .unwrap();
    let url = format!("http://name.example:{port}/");
    assert_eq!(get(&client, &url).await.unwrap(), "200 reached");
    assert_eq!(lookup.0.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_library_gets_a_client_only_for_a_permitted_base() {
    let port = serve(Router::new().route("/", on_get(|| async { "reached" }))).await;
    let base = url::Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
    client(&[], names(&[]), 0).for_library(&base).unwrap_err();
    let listed = bartizan_net::Client::new(
        crate::policy(&[]).allowing(&base),
        &bartizan_net::ClientOptions::default(),
    )
    .unwrap();
    let raw = listed.for_library(&base).unwrap();
    assert_eq!(raw.get(base).send().await.unwrap().text().await.unwrap(), "reached");
}

#[tokio::test]
async fn a_proxy_is_used_where_configured() {
    // A proxy gets the whole URL in the request line; the name need not resolve here.
    let port = serve(
        Router::new()
            .fallback(|request: axum::extract::Request| async move { request.uri().to_string() }),
    )
    .await;
    let options = bartizan_net::ClientOptions {
        proxy: Some(url::Url::parse(&format!("http://127.0.0.1:{port}")).unwrap()),
        ..Default::default()
    };
    let client =
        bartizan_net::Client::with_lookup(crate::policy(&[]), &options, names(&[])).unwrap();
    let answer = get(&client, "http://far.example/path").await.unwrap();
    assert_eq!(answer, "200 http://far.example/path");
    let here = url::Url::parse(&format!("http://127.0.0.1:{port}/here")).unwrap();
    let client =
        bartizan_net::Client::with_lookup(crate::policy(&[]).allowing(&here), &options, names(&[]))
            .unwrap();
    let answer = get(&client, here.as_str()).await.unwrap();
    assert_eq!(answer, "200 /here", "what is on this machine is asked directly");
}
