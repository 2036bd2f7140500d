//! What a server costs by being there: the time to its first ready answer, memory at rest, and memory
//! with many streams open.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

use super::Options;
use super::servers::Starter;
use super::statistics::{median, milliseconds};
use super::turn::{MODEL, PACK};
use crate::client::Connection;
use crate::process::Running;

/// How long a server is left alone before its memory at rest is read.
const SETTLE: Duration = Duration::from_millis(500);

/// Longer than a stream may take to its first piece when a thousand of them are opened at once.
const OPEN_LIMIT: Duration = Duration::from_secs(30);

/// Start and memory of one server.
#[derive(Debug, Serialize)]
pub(super) struct Presence {
    pub(super) server: &'static str,
    /// From the start of the process to the first 200 of `/readyz`, each run's.
    pub(super) ready_ms: Vec<f64>,
    pub(super) idle_mib: f64,
    pub(super) streams: usize,
    pub(super) streaming_mib: f64,
    pub(super) streaming_peak_mib: f64,
    pub(super) fault: Option<String>,
}

impl Presence {
    pub(super) fn ready_median_ms(&self) -> f64 {
        median(self.ready_ms.iter().copied())
    }
}

/// Which server is measured.
#[derive(Clone, Copy, Debug)]
pub(super) enum Server {
    Relay,
    Bartizan,
}

/// Measures one server; `None` when the run is without it.
pub(super) async fn measure(
    options: &Options,
    starter: &Starter,
    server: Server,
    slow: SocketAddr,
) -> io::Result<Option<Presence>> {
    let mut ready_ms = Vec::new();
    let mut idle = Vec::new();
    for _ in 0..options.starts {
        let Some(mut running) = start(starter, server, slow).await? else {
            return Ok(None);
        };
        ready_ms.push(milliseconds(running.try_ready().await?));
        tokio::time::sleep(SETTLE).await;
        idle.push(mib(running.memory()?.resident_kib));
        running.kill().await;
    }
    let Some(mut running) = start(starter, server, slow).await? else {
        return Ok(None);
    };
    running.try_ready().await?;
    let open = hold(&running, server, options).await;
    let memory = running.memory()?;
    let fault = open.err();
    running.kill().await;
    Ok(Some(Presence {
        server: match server {
            Server::Relay => "relay",
            Server::Bartizan => "bartizan",
        },
        ready_ms,
        idle_mib: median(idle),
        streams: options.streams,
        streaming_mib: mib(memory.resident_kib),
        streaming_peak_mib: mib(memory.peak_kib),
        fault,
    }))
}

async fn start(starter: &Starter, server: Server, slow: SocketAddr) -> io::Result<Option<Running>> {
    match server {
        Server::Relay => starter.relay(slow).await.map(Some),
        Server::Bartizan => starter.bartizan(slow).await,
    }
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Opens the streams, waits until each carries text, holds them, and checks that none has ended. They
/// stay open as long as what this returns is kept.
async fn hold(running: &Running, server: Server, options: &Options) -> Result<JoinSet<()>, String> {
    let streams = options.streams;
    let model = match server {
        Server::Relay => MODEL.to_owned(),
        Server::Bartizan => format!("{PACK}/chat"),
    };
    let message = json!({"role": "user", "content": "Tell me a long story."});
    let request = json!({"model": model, "stream": true, "messages": [message]});
    let request = Bytes::from(request.to_string());
    let (flowing, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let mut open = JoinSet::new();
    for index in 0..streams {
        let (request, flowing, address) = (request.clone(), flowing.clone(), running.http);
        // A few at a time: a full queue of pending connections would drop some for a second.
        if index % 50 == 49 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        open.spawn(async move {
            if let Err(fault) = stream(address, request, &flowing).await {
                let _ = flowing.send(Err(fault.to_string()));
            }
        });
    }
    drop(flowing);
    let all_begun = async {
        for _ in 0..streams {
            begun.recv().await.ok_or("the streams ended")??;
        }
        Ok::<_, String>(())
    };
    tokio::time::timeout(OPEN_LIMIT, all_begun)
        .await
        .map_err(|_| format!("not all of {streams} streams began in {OPEN_LIMIT:?}"))??;
    tokio::time::sleep(options.hold).await;
    match begun.try_recv() {
        Ok(Err(fault)) => Err(fault),
        _ => Ok(open),
    }
}

/// Reads one stream for ever; says once that text arrives. That it ends is a fault.
async fn stream(
    address: SocketAddr,
    request: Bytes,
    flowing: &tokio::sync::mpsc::UnboundedSender<Result<(), String>>,
) -> io::Result<()> {
    let mut connection = Connection::open(address).await?;
    let response = connection.post("/v1/chat/completions", request).await?;
    if response.status() != 200 {
        return Err(io::Error::other(format!("status {}", response.status())));
    }
    let mut body = response.into_body();
    let mut said = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(io::Error::other)?;
        let Some(data) = frame.data_ref() else { continue };
        if !said && data.windows(4).any(|window| window == b"word") {
            said = true;
            let _ = flowing.send(Ok(()));
        }
    }
    Err(io::Error::other("a stream ended while it should be held open"))
}
