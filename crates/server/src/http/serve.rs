//! From a listener to answered requests: HTTP/1.1 and HTTP/2 without TLS.
//!
//! `axum::serve` would do but for three things: it leaves Nagle's algorithm on, which costs
//! streams 40 ms a step; it waits for ever for a head that never comes, or for a first byte; and
//! it accepts without bound.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tower::ServiceExt;

use super::{limits::HttpLimits, opening::Opening};

/// How often the other side of a silent HTTP/2 connection is asked whether it is there.
const PING: Duration = Duration::from_secs(30);

/// Answers requests until `shutdown`, then lets those at work finish.
///
/// After `shutdown` nothing is accepted, idle connections are closed, and the function returns
/// when the last answer is sent. That takes as long as the longest stream: who calls bounds it,
/// and ends the streams by draining the engine. Errors of single connections are logged.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &HttpLimits,
    shutdown: impl Future<Output = ()>,
) {
    let builder = Arc::new(builder(limits));
    let seats = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &seats) => accepted,
        };
        let Some((stream, seat)) = accepted else { continue };
        let stream = Opening::new(stream, limits.head_time);
        let service = TowerToHyperService::new(
            router.clone().map_request(|request: Request<Incoming>| request.map(Body::new)),
        );
        let builder = Arc::clone(&builder);
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "a connection ended badly");
            }
            drop(seat);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn builder(limits: &HttpLimits) -> auto::Builder<TokioExecutor> {
    let head_bytes = u32::try_from(limits.head_bytes).unwrap_or(u32::MAX);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(limits.headers)
        .max_buf_size(limits.head_bytes)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(head_bytes)
        .keep_alive_interval(PING)
        .keep_alive_timeout(limits.head_time)
        .max_concurrent_streams(limits.streams);
    builder
}

/// The next connection, once there is room for one.
async fn accept(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let seat = Arc::clone(seats).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set");
            }
            Some((stream, seat))
        }
        Err(error) => {
            // Out of file descriptors, most likely: others must end before it gets better.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}
