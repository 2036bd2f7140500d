//! Latency, throughput and processor time: the same turns straight at the upstream, through the relay
//! and through `bartizan`, in alternation.

use std::io;
use std::time::Duration;

use serde::Serialize;

use super::load::{self, Pace, Plan};
use super::servers::Behind;
use super::statistics::{Percentiles, median, milliseconds};
use super::turn::{Kind, Target};
use crate::process::Running;

/// One of the ways that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    Direct,
    Relay,
    Bartizan,
}

/// One row: a kind of turn, a number of connections, a pace, one way.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) kind: String,
    pub(super) connections: usize,
    /// Turns a second, or none for as many as possible.
    pub(super) rate: Option<u32>,
    pub(super) way: Way,
    /// To the end of the answer, in milliseconds: medians over the repeats.
    pub(super) total: Percentiles,
    /// To the first text.
    pub(super) first: Percentiles,
    pub(super) turns_per_second: f64,
    /// Processor time of the server in the middle.
    pub(super) cpu_ms_per_turn: Option<f64>,
    pub(super) turns: u64,
    /// In how many events the text of an answer came, on average.
    pub(super) events_per_answer: f64,
    /// How many first texts took 38 to 48 ms: what a delayed ACK that waits for Nagle's algorithm costs.
    pub(super) near_40_ms: u64,
    /// Resident memory of the server in the middle after the last repeat.
    pub(super) resident_mib: Option<f64>,
    /// Every repeat's figures.
    pub(super) repeats: Vec<Repeat>,
    /// Why the row must not be shown.
    pub(super) fault: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Repeat {
    total: Percentiles,
    first: Percentiles,
    turns_per_second: f64,
}

/// The servers that a row is measured with.
#[derive(Debug)]
pub(super) struct Subjects<'a> {
    pub(super) behind: &'a Behind,
    pub(super) relay: &'a Running,
    pub(super) bartizan: Option<&'a Running>,
}

impl Subjects<'_> {
    fn ways(&self) -> Vec<(Way, Target, Option<&Running>)> {
        let tools = self.behind.tools.address();
        let model = |model| Target::Model { model, tools };
        let mut ways = vec![
            (Way::Direct, model(self.behind.fast.address()), None),
            (Way::Relay, model(self.relay.http), Some(self.relay)),
        ];
        if let Some(bartizan) = self.bartizan {
            let address = bartizan.http;
            ways.push((Way::Bartizan, Target::Runtime { address }, Some(bartizan)));
        }
        ways
    }

    /// Measures one plan on every way, `repeats` times in alternation: what disturbs the machine for a
    /// while disturbs them alike.
    pub(super) async fn measure(&self, plan: Plan, repeats: usize) -> io::Result<Vec<Row>> {
        let ways = self.ways();
        let mut rows: Vec<Gathering> = ways.iter().map(|_| Gathering::default()).collect();
        for _ in 0..repeats {
            for ((_, target, server), row) in ways.iter().zip(&mut rows) {
                self.stretch(plan, *target, *server, row).await?;
            }
        }
        let gathered = ways.iter().zip(rows);
        Ok(gathered.map(|((way, _, server), row)| row.into_row(plan, *way, *server)).collect())
    }

    async fn stretch(
        &self,
        plan: Plan,
        target: Target,
        server: Option<&Running>,
        row: &mut Gathering,
    ) -> io::Result<()> {
        let counts = || (self.behind.fast.hits(), self.behind.tools.hits());
        let cpu = || server.map(Running::cpu_time).transpose();
        let (models_before, tools_before) = counts();
        let cpu_before = cpu()?;
        let outcome = load::run(plan, target).await?;
        let cpu_after = cpu()?;
        let (models, tools) = counts();
        let turns = outcome.turns();
        row.turns += turns;
        if let (Some(before), Some(after)) = (cpu_before, cpu_after) {
            row.cpu += after.saturating_sub(before);
        }
        let calls = plan.kind.model_calls();
        let (models, tools) = (models - models_before, tools - tools_before);
        if let Some(fault) = outcome.fault {
            row.fault.get_or_insert(match outcome.failed {
                0 => fault,
                failed => format!("{failed} of {turns} turns failed; the first: {fault}"),
            });
        } else if models != turns * calls || tools != turns * (calls - 1) {
            row.fault.get_or_insert(format!(
                "{turns} turns should make {} model calls and {} tool calls, but {models} and {tools} \
                 arrived",
                turns * calls,
                turns * (calls - 1),
            ));
        } else if outcome.samples.is_empty() {
            row.fault.get_or_insert("no turn was finished".to_owned());
        }
        let first = outcome.samples.iter().map(|sample| sample.first);
        let nagle = Duration::from_millis(38)..=Duration::from_millis(48);
        row.near_40_ms += first.clone().filter(|first| nagle.contains(first)).count() as u64;
        row.events += outcome.samples.iter().map(|sample| u64::from(sample.events)).sum::<u64>();
        row.repeats.push(Repeat {
            total: Percentiles::of(outcome.samples.iter().map(|sample| sample.total)),
            first: Percentiles::of(first),
            turns_per_second: outcome.samples.len() as f64 / outcome.wall.as_secs_f64(),
        });
        Ok(())
    }
}

/// What the repeats of one row add up to.
#[derive(Debug, Default)]
struct Gathering {
    pub(super) repeats: Vec<Repeat>,
    turns: u64,
    events: u64,
    near_40_ms: u64,
    cpu: Duration,
    fault: Option<String>,
}

impl Gathering {
    fn into_row(self, plan: Plan, way: Way, server: Option<&Running>) -> Row {
        let of = |field: fn(&Repeat) -> Percentiles| -> Percentiles {
            Percentiles::median(&self.repeats.iter().map(field).collect::<Vec<_>>())
        };
        let turns = self.turns.max(1) as f64;
        let memory = server.and_then(|server| server.memory().ok());
        Row {
            kind: plan.kind.name(),
            connections: plan.connections,
            rate: match plan.pace {
                Pace::Full => None,
                Pace::PerSecond(rate) => Some(rate),
            },
            way,
            total: of(|repeat| repeat.total),
            first: of(|repeat| repeat.first),
            turns_per_second: median(self.repeats.iter().map(|repeat| repeat.turns_per_second)),
            cpu_ms_per_turn: server.map(|_| milliseconds(self.cpu) / turns),
            turns: self.turns,
            events_per_answer: self.events as f64 / turns,
            near_40_ms: self.near_40_ms,
            resident_mib: memory.map(|memory| memory.resident_kib as f64 / 1024.0),
            repeats: self.repeats,
            fault: self.fault,
        }
    }
}

/// Lets every server open its connections and fill its caches before anything is counted.
pub(super) async fn warm_up(
    subjects: &Subjects<'_>,
    kind: Kind,
    duration: Duration,
) -> io::Result<()> {
    for (_, target, _) in subjects.ways() {
        let plan = Plan { kind, connections: 10, pace: Pace::Full, duration };
        load::run(plan, target).await?;
    }
    Ok(())
}
