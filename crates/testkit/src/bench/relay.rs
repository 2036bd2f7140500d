//! The yardstick: a relay that passes requests and response bytes on and does nothing else. What it
//! costs is what any server in the middle costs on this machine at least, so a figure beside it can be
//! compared with figures from other machines.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;

struct Relay {
    upstream: String,
    client: reqwest::Client,
}

/// Serves on `address` until the process ends, passing everything but `/readyz` on to `upstream`.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(address: SocketAddr, upstream: SocketAddr) -> std::io::Result<()> {
    // Building a client needs one, even for plain HTTP; a second installation is refused and harmless.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .build()
        .map_err(std::io::Error::other)?;
    let relay = Arc::new(Relay { upstream: format!("http://{upstream}"), client });
    let router = Router::new()
        .route("/readyz", get(|| async { "ready" }))
        .fallback(pass_on)
        .with_state(relay);
    let listener = TcpListener::bind(address).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}

async fn pass_on(State(relay): State<Arc<Relay>>, request: Request) -> Response {
    try_to_pass_on(&relay, request).await.unwrap_or_else(|fault| {
        let mut response = Response::new(Body::from(fault.to_string()));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    })
}

async fn try_to_pass_on(relay: &Relay, request: Request) -> Result<Response, reqwest::Error> {
    let (head, body) = request.into_parts();
    let url = format!("{}{}", relay.upstream, head.uri);
    let mut outgoing = relay.client.request(head.method, url);
    if let Some(content_type) = head.headers.get(CONTENT_TYPE) {
        outgoing = outgoing.header(CONTENT_TYPE, content_type);
    }
    let body = reqwest::Body::wrap_stream(body.into_data_stream());
    let answer = outgoing.body(body).send().await?;
    let (status, content_type) = (answer.status(), answer.headers().get(CONTENT_TYPE).cloned());
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    Ok(response)
}
