//! The load generator: so many clients, each with a kept connection and one turn at a time, either as
//! fast as answers come or at a fixed rate.

use std::io;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::turn::{Client, Kind, Sample, Target};

/// How turns follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// The next turn begins when the one before it has ended: shows throughput, and latency under it.
    Full,
    /// So many turns a second over all connections: shows latency when there is room.
    PerSecond(u32),
}

/// One stretch of load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) connections: usize,
    pub(super) pace: Pace,
    pub(super) duration: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) samples: Vec<Sample>,
    /// How many turns failed.
    pub(super) failed: u64,
    /// The first failure.
    pub(super) fault: Option<String>,
    /// From the first turn's start to the last one's end.
    pub(super) wall: Duration,
}

impl Outcome {
    /// How many turns were made, failed ones included.
    pub(super) fn turns(&self) -> u64 {
        self.samples.len() as u64 + self.failed
    }
}

/// Runs the plan against the target. Turns that have begun are finished, so that counts on the servers
/// agree with counts here.
pub(super) async fn run(plan: Plan, target: Target) -> io::Result<Outcome> {
    let mut clients = Vec::with_capacity(plan.connections);
    for name in 0..plan.connections as u64 {
        clients.push(Client::open(target, plan.kind, name).await?);
    }
    let started = Instant::now();
    let mut running = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        running.spawn(drive(plan, target, client, index, started));
    }
    let mut outcome = Outcome::default();
    while let Some(part) = running.join_next().await {
        let part = part.map_err(io::Error::other)?;
        outcome.samples.extend(part.samples);
        outcome.failed += part.failed;
        outcome.fault = outcome.fault.or(part.fault);
    }
    outcome.wall = started.elapsed();
    Ok(outcome)
}

/// One client until the time is up. A failed turn may leave its connection useless, so the next one
/// begins on a new one.
async fn drive(
    plan: Plan,
    target: Target,
    mut client: Client,
    index: usize,
    started: Instant,
) -> Outcome {
    let mut outcome = Outcome::default();
    let deadline = started + plan.duration;
    let mut schedule = Schedule::new(plan, index, started);
    loop {
        let Some(due) = schedule.next(deadline).await else { break };
        match client.turn(due).await {
            Ok(sample) => outcome.samples.push(sample),
            Err(fault) => {
                outcome.failed += 1;
                outcome.fault.get_or_insert(fault);
                match Client::open(target, plan.kind, index as u64).await {
                    Ok(fresh) => client = fresh,
                    Err(_) => break,
                }
            }
        }
    }
    // One of them is enough, and its question is not among the turns that are counted.
    if index == 0 && outcome.failed == 0 {
        outcome.fault = client.check_session().await.err();
    }
    outcome
}

/// When one client's turns are due.
struct Schedule {
    /// `None` at full pace.
    interval: Option<Duration>,
    due: Instant,
}

impl Schedule {
    fn new(plan: Plan, index: usize, started: Instant) -> Self {
        match plan.pace {
            Pace::Full => Self { interval: None, due: started },
            Pace::PerSecond(rate) => {
                let interval = Duration::from_secs(1) * plan.connections as u32 / rate;
                // The connections take turns, spread evenly over one interval.
                let offset = interval * index as u32 / plan.connections as u32;
                Self { interval: Some(interval), due: started + offset }
            }
        }
    }

    /// Waits for the next turn and returns the instant that it counts from; `None` when there is none
    /// before the deadline. A turn that is late because the one before it took too long counts from when
    /// it was due, or a slow server would hide its own delays; a turn that is late because timers tick
    /// in milliseconds counts from now.
    async fn next(&mut self, deadline: Instant) -> Option<Instant> {
        let Some(interval) = self.interval else {
            return Some(Instant::now()).filter(|now| *now < deadline);
        };
        let due = self.due;
        self.due += interval;
        if due >= deadline {
            return None;
        }
        if Instant::now() > due {
            return Some(due);
        }
        tokio::time::sleep_until(due.into()).await;
        Some(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Reply, Upstream, profiles};

    async fn against(reply: Reply) -> Outcome {
        let upstream = Upstream::start(reply).await;
        let model = upstream.address();
        let plan = Plan {
            kind: Kind::STREAMED,
            connections: 2,
            pace: Pace::PerSecond(100),
            duration: Duration::from_millis(100),
        };
        let outcome = run(plan, Target::Model { model, tools: model }).await.unwrap();
        assert_eq!(upstream.hits(), outcome.turns());
        outcome
    }

    #[tokio::test]
    async fn right_answers_are_measured() {
        let outcome = against(Reply::text(profiles::text(profiles::FAST_PIECES))).await;
        assert_eq!(outcome.failed, 0, "{:?}", outcome.fault);
        assert!(!outcome.samples.is_empty());
        assert!(outcome.samples.iter().all(|sample| sample.events == 20));
    }

    #[tokio::test]
    async fn wrong_answers_cuts_and_errors_are_no_measurements() {
        let right = || Reply::text(profiles::text(profiles::FAST_PIECES));
        let replies = [
            (Reply::text(["I am a mock"]), "not the text"),
            (right().cut_after(3), "broke off"),
            (right().end_after(20), "no end"),
            (Reply::status(500), "status 500"),
        ];
        for (reply, word) in replies {
            let outcome = against(reply).await;
            assert!(outcome.samples.is_empty(), "{word}");
            assert!(outcome.failed > 0, "{word}");
            assert!(outcome.fault.unwrap().contains(word), "{word}");
        }
    }
}
