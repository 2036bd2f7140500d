//! The three doors: bound, opened, closed.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bartizan_engine::engine::Engine;
use bartizan_server::{
    grpc::{self, GrpcSettings},
    http::{self, Doors as HttpDoors},
    ops::{self, Ops, metrics::Metrics},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{settings::Settings, values::Address},
    refusal::{Exit, Refusal},
    wiring::{http_limits, packs},
};

/// How long connections may take to close once every turn has ended.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// Sockets that listen, and nobody answers yet.
pub struct Listeners {
    http: TcpListener,
    grpc: TcpListener,
    ops: TcpListener,
}

/// Where the doors are, which for port 0 is known only now.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The public HTTP door.
    pub http: SocketAddr,
    /// The gRPC door.
    pub grpc: SocketAddr,
    /// The operations door.
    pub ops: SocketAddr,
}

impl Listeners {
    /// Binds all three, or none.
    ///
    /// # Errors
    /// Where an address cannot be listened on; the message names the key to change.
    pub async fn bind(settings: &Settings) -> Result<Self, Refusal> {
        Ok(Self {
            http: bind("http.address", settings.http.address).await?,
            grpc: bind("grpc.address", settings.grpc.address).await?,
            ops: bind("ops.address", settings.ops.address).await?,
        })
    }

    /// Where they are.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn addresses(&self) -> Result<Addresses, Refusal> {
        let of = |listener: &TcpListener| {
            listener.local_addr().map_err(|error| {
                Refusal::new(Exit::Unavailable, format!("a listening address is lost: {error}"))
            })
        };
        Ok(Addresses { http: of(&self.http)?, grpc: of(&self.grpc)?, ops: of(&self.ops)? })
    }
}

async fn bind(key: &str, address: Address) -> Result<TcpListener, Refusal> {
    TcpListener::bind(address.0).await.map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "the port is in use; stop the program that has it, or choose another".to_owned()
            }
            _ => error.to_string(),
        };
        Refusal::new(
            Exit::Unavailable,
            format!("{address}: {reason} with {key} (--set {key}=127.0.0.1:PORT)"),
        )
    })
}

/// The doors, open.
pub struct Doors {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Doors {
    /// Opens them.
    pub fn open(
        listeners: Listeners,
        engine: &Arc<Engine>,
        grpc: GrpcSettings,
        metrics: Arc<Metrics>,
        settings: &Settings,
    ) -> Self {
        let mut doors = Self { stop: CancellationToken::new(), tasks: JoinSet::new() };
        doors.open_http(listeners.http, engine, settings);
        doors.open_grpc(listeners.grpc, engine, grpc);
        doors.open_ops(listeners.ops, engine, metrics, settings);
        doors
    }

    fn open_http(&mut self, listener: TcpListener, engine: &Arc<Engine>, settings: &Settings) {
        let limits = http_limits(settings);
        let router = http::router(Arc::new(HttpDoors {
            engine: Arc::clone(engine),
            limits: limits.clone(),
        }));
        let stopped = self.stop.clone().cancelled_owned();
        self.tasks.spawn(async move {
            http::serve(listener, router, &limits, stopped).await;
        });
    }

    fn open_grpc(&mut self, listener: TcpListener, engine: &Arc<Engine>, door: GrpcSettings) {
        let engine = Arc::clone(engine);
        let stopped = self.stop.clone().cancelled_owned();
        self.tasks.spawn(async move {
            if let Err(error) = grpc::serve(listener, engine, door, stopped).await {
                tracing::error!(%error, "the gRPC door closed by itself");
            }
        });
    }

    fn open_ops(
        &mut self,
        listener: TcpListener,
        engine: &Arc<Engine>,
        metrics: Arc<Metrics>,
        settings: &Settings,
    ) {
        let files: Vec<PathBuf> = settings.packs.iter().map(|place| place.0.clone()).collect();
        let mode = settings.pack_mode;
        let ops = Ops {
            engine: Arc::clone(engine),
            metrics,
            check_packs: Arc::new(move || packs::recheck(&files, mode)),
        };
        let limits = http_limits(settings);
        let stopped = self.stop.clone().cancelled_owned();
        self.tasks.spawn(async move {
            let router = ops::router(Arc::new(ops));
            http::serve(listener, router, &limits, stopped).await;
        });
    }

    /// Closes them and waits for the answers that are still on their way.
    pub async fn close(mut self) {
        self.stop.cancel();
        let closed = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(CLOSING_TIME, closed).await.is_err() {
            tracing::warn!("stopping with connections still open");
        }
    }
}
