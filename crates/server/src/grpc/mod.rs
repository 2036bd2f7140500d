//! The gRPC door: `omnia.runtime.v1`, contract 1.3.0.
//!
//! A facade in front of this door owns the users' connections and asks nothing of us but turns.
//! What the contract asks, in the order it bites: hello is the first frame of every stream; a
//! turn is stored before its `Done`; a failed turn is an `Error` frame and then a stream that
//! ends well; what a client sends and we cannot act on is refused aloud; the capabilities named
//! are those that work. docs/grpc.md says what is served and how to try it.
//!
//! # Layout
//!
//! - [`wire`]: the messages, generated.
//! - [`codec`]: how bytes become messages, and whose fault it is when they do not.
//! - [`input`], [`output`], [`failure`]: between the wire's words and the engine's.
//! - [`service`]: the four methods. [`conversation`] and [`invoke`] do the two long ones.
//! - [`pace`]: when text leaves.
//! - here: the server around them.

pub mod codec;
mod conversation;
mod failure;
mod input;
mod invoke;
mod output;
mod pace;
mod service;
pub mod wire;

use std::{future::Future, io, sync::Arc, time::Duration};

use bartizan_engine::{engine::Engine, ports::model::OutputFormat};
use futures::TryStreamExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    codec::CompressionEncoding,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::util::{MapRequestLayer, MapResponseLayer};

use crate::http::opening::Opening;
use service::{Door, Runtime};
use wire::runtime_service_server::{RuntimeServiceServer, SERVICE_NAME};

/// The version of the contract that is served.
pub const CONTRACT_VERSION: &str = "1.3.0";

/// The largest message in either direction, in bytes: what facades take and send.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// How long a connection may take to begin. Afterwards it is the client's to keep.
const OPENING_TIME: Duration = Duration::from_secs(10);

/// How long nothing is accepted after a connection that could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The most bytes of metadata of a call: as large as a head over HTTP.
const MAX_METADATA_BYTES: u32 = 64 * 1024;

/// How often `grpc.health.v1` learns whether the server is ready.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// How long connections may take to close once no stream is open.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// What the binary decides about this door.
#[derive(Clone, Debug)]
pub struct GrpcSettings {
    /// The agent behind the door, as in `TurnRequest::agent`: the contract has no place to
    /// choose one. Empty for the entry of the first pack.
    pub agent: String,
    /// The shape of what `Invoke` answers.
    pub output: OutputFormat,
    /// How long turns at work may take to end once the server stops.
    pub grace: Duration,
}

impl Default for GrpcSettings {
    fn default() -> Self {
        Self { agent: String::new(), output: OutputFormat::Text, grace: Duration::from_secs(30) }
    }
}

/// Serves the contract, `grpc.health.v1` and reflection on `listener` until `shutdown`.
///
/// Then the engine takes no new turns, here or at any other door: they are answered with
/// `SHUTTING_DOWN`. Turns at work go on, and streams end as their turns do. This returns when
/// all have ended, or after [`GrpcSettings::grace`] whether or not they have.
///
/// # Errors
/// Where the server cannot be built, or its listener fails for good.
pub async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    settings: GrpcSettings,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let door = Arc::new(Door::new(engine, settings));
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection_v1 = reflection().build_v1().map_err(io::Error::other)?;
    let reflection_v1alpha = reflection().build_v1alpha().map_err(io::Error::other)?;
    // A client that compresses does so on the whole channel.
    let gzip = CompressionEncoding::Gzip;
    let routes = Routes::new(runtime(&door).accept_compressed(gzip).send_compressed(gzip))
        .add_service(health.accept_compressed(gzip))
        .add_service(reflection_v1.accept_compressed(gzip))
        .add_service(reflection_v1alpha.accept_compressed(gzip));
    let closed = CancellationToken::new();
    // A stream is a turn, so the engine's limit on turns is the limit that counts.
    let most_streams = u32::try_from(door.engine.limits().max_running).unwrap_or(u32::MAX);
    let incoming = TcpIncoming::from(listener)
        .with_nodelay(Some(true))
        .map_ok(|stream| Opening::new(stream, OPENING_TIME))
        .or_else(|error| async move {
            // Out of file descriptors, most likely: asking again at once would only burn time.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            Err::<Opening, _>(error)
        });
    let server = Server::builder()
        .max_concurrent_streams(most_streams)
        .http2_max_header_list_size(MAX_METADATA_BYTES)
        .layer(MapRequestLayer::new(codec::mirror_compression))
        .layer(MapResponseLayer::new(codec::blame_sender))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, closed.clone().cancelled_owned());
    tokio::pin!(server);
    tokio::select! {
        ended = &mut server => return ended.map_err(io::Error::other),
        () = report_health(&door, &reporter) => {}
        () = drain(&door, &reporter, shutdown) => {}
    }
    closed.cancel();
    // A client that keeps its connection open does not keep us.
    tokio::time::timeout(CLOSING_TIME, server).await.unwrap_or(Ok(())).map_err(io::Error::other)
}

fn runtime(door: &Arc<Door>) -> RuntimeServiceServer<Runtime> {
    RuntimeServiceServer::new(Runtime(Arc::clone(door)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

fn reflection<'a>() -> tonic_reflection::server::Builder<'a> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(wire::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Keeps `grpc.health.v1` up to date, for ever.
async fn report_health(door: &Door, reporter: &HealthReporter) {
    let mut interval = tokio::time::interval(HEALTH_INTERVAL);
    loop {
        interval.tick().await;
        let ready = door.is_ready().await;
        set_health(reporter, ready).await;
    }
}

async fn set_health(reporter: &HealthReporter, ready: bool) {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in ["", SERVICE_NAME] {
        reporter.set_service_status(service, status).await;
    }
}

/// Waits for the word to stop, then for the streams to end, but not for ever.
async fn drain(door: &Door, reporter: &HealthReporter, shutdown: impl Future<Output = ()>) {
    shutdown.await;
    door.engine.begin_drain();
    set_health(reporter, false).await;
    door.closing.cancel();
    door.streams.close();
    if tokio::time::timeout(door.settings.grace, door.streams.wait()).await.is_err() {
        tracing::warn!(open = door.streams.len(), "stopping with streams still open");
    }
}
