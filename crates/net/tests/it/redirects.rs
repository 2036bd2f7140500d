use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header},
    routing::get as on_get,
};

use crate::{client, get, names, serve};

/// `/to/{url}` redirects there; `/hops/{n}` redirects to itself n times; `/` answers.
fn redirecting() -> Router {
    let to = |url: String| (StatusCode::FOUND, [(header::LOCATION, url)], "moved");
    Router::new()
        .route("/", on_get(|| async { "reached" }))
        .route("/to/{*url}", on_get(move |Path(url): Path<String>| async move { to(url) }))
        .route(
            "/hops/{left}",
            on_get(move |Path(left): Path<usize>| async move {
                to(if left == 0 { "/".into() } else { format!("/hops/{}", left - 1) })
            }),
        )
}

#[tokio::test]
async fn redirects_are_not_followed_unless_asked_for() {
    let port = serve(redirecting()).await;
    let client = client(&["127.0.0.1"], names(&[]), 0);
    let answer = get(&client, &format!("http://127.0.0.1:{port}/hops/0")).await.unwrap();
    assert_eq!(answer, "302 moved");
}

#[tokio::test]
async fn every_hop_is_checked_again() {
    let port = serve(redirecting()).await;
    let inner = serve(redirecting()).await;
    let known = names(&[("inner.example", &["127.0.0.2"])]);
    let client = client(&[&format!("127.0.0.1:{port}")], known, 5);
    let start = format!("http://127.0.0.1:{port}/to/");
    for target in [
        format!("http://127.0.0.1:{inner}/"),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://[::ffff:127.0.0.1]:1/".into(),
        "http://2130706433:1/".into(),
        format!("http://inner.example:{inner}/"),
        "http://user:word@example.com/".into(),
    ] {
        let error = get(&client, &format!("{start}{target}")).await.unwrap_err();
        assert!(error.starts_with("egress"), "{target}: {error}");
    }
    // The HTTP client itself leaves other schemes alone or refuses them; nothing is called.
    match get(&client, &format!("{start}file:///etc/passwd")).await {
        Ok(answer) => assert_eq!(answer, "302 moved"),
        Err(error) => assert!(error.contains("scheme"), "{error}"),
    }
    let answer = get(&client, &format!("{start}http://127.0.0.1:{port}/")).await.unwrap();
    assert_eq!(answer, "200 reached");
}

#[tokio::test]
async fn hops_are_counted() {
    let port = serve(redirecting()).await;
    let client = client(&["127.0.0.1"], names(&[]), 3);
    let hops = |count: usize| format!("http://127.0.0.1:{port}/hops/{count}");
    assert_eq!(get(&client, &hops(2)).await.unwrap(), "200 reached");
    let error = get(&client, &hops(3)).await.unwrap_err();
    assert!(error.contains("TooManyRedirects"), "{error}");
}
