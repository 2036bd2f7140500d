//! The end: signals, the turns that still run, and the housekeeping until then.

use std::{sync::Arc, time::Duration};

use bartizan_engine::engine::Engine;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::doors::Doors;
use crate::{
    output,
    refusal::{Exit, Refusal},
};

/// How often expired sessions are deleted. They do not exist once expired; this frees their room.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// The signal of a file that may not grow (signal(7)); its number is the same on every Linux that
/// this is built for.
const SIGXFSZ: i32 = 25;

/// SIGTERM and SIGINT.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Heard so that it does not end the process: the write then fails, and its turn with it.
    _file_size: Signal,
}

impl Signals {
    /// From now on both are noticed and end nothing by themselves.
    pub fn new() -> Result<Self, Refusal> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Refusal::new(Exit::Software, format!("signals cannot be heard: {error}"))
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            _file_size: listen(SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    /// Waits for either.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Deletes what has expired, for ever.
pub async fn sweep(engine: Arc<Engine>) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        interval.tick().await;
        match engine.store().sweep(engine.clock().now()).await {
            Ok(0) => {}
            Ok(sessions) => tracing::info!(sessions, "deleted expired sessions"),
            Err(error) => tracing::warn!(%error, "expired sessions could not be deleted"),
        }
    }
}

/// Lets the running turns end, but not for ever, then closes the doors.
pub async fn drain(
    engine: &Engine,
    doors: Doors,
    grace: Duration,
    signals: &mut Signals,
) -> Result<(), Refusal> {
    engine.begin_drain();
    let running = engine.running_count();
    if running > 0 {
        let turns =
            if running == 1 { "1 turn is".to_owned() } else { format!("{running} turns are") };
        output::note(format!(
            "stopping: {turns} still running and may take {}s; a second signal ends them now",
            grace.as_secs()
        ));
    }
    let ended = async {
        engine.drain(grace).await;
        doors.close().await;
    };
    tokio::select! {
        () = ended => Ok(()),
        () = signals.next() => Err(Refusal::new(Exit::Interrupted, "stopped at once; running turns were cut off")),
    }
}
