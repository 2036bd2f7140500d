//! The accept loop that the scripted servers share: HTTP/1.1, `TCP_NODELAY`, and a stop that really
//! closes every connection, so that a test can watch a server vanish.
//!
//! It sits on hyper directly and not on a web framework because the scripts need to end a response
//! body with an error, which is what cuts the connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A response body; an error in it closes the connection without a clean end.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What a handler returns.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Answers one request.
pub(crate) type Handler = Arc<dyn Fn(Request<Incoming>) -> Answer + Send + Sync>;

/// A running accept loop; dropping it closes the listener and every connection.
#[derive(Debug)]
pub(crate) struct Listening {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Listening {
    /// Listens on `address` (port 0 takes a free one). Each accepted connection is left waiting for
    /// `accept_delay` before its first byte is read.
    pub(crate) async fn start(
        address: SocketAddr,
        accept_delay: Duration,
        handler: Handler,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, accept_delay, handler));
        Ok(Self { address, accepting })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, accept_delay: Duration, handler: Handler) {
    // Owned by this task: aborting it drops the set, and that aborts every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A refused accept (too many open files) passes; the client sees its own error.
                let Ok((stream, _)) = accepted else { continue };
                // Without this, small writes wait up to 40 ms for the peer's delayed ACK.
                let _ = stream.set_nodelay(true);
                let handler = Arc::clone(&handler);
                connections.spawn(async move {
                    if !accept_delay.is_zero() {
                        tokio::time::sleep(accept_delay).await;
                    }
                    let service = service_fn(|request| {
                        let answer = handler(request);
                        async move { Ok::<_, io::Error>(answer.await) }
                    });
                    // The error is the script's own cut, or a client that went away.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// A body that is sent whole, with its length.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A plain JSON answer.
pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
