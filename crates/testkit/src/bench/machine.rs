//! The machine: limits to raise, cores to share out, and what to say of it above the tables.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

/// Raises the limit of open files to what the system allows; started processes inherit it. Returns it.
pub(super) fn raise_open_files() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised)?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Which cores run what. Apart from each other, the server under test has a core of its own and its
/// figures do not depend on how busy the load generator is.
#[derive(Clone, Debug)]
pub(super) struct Cores {
    /// For the server under test and for everything else, when they are kept apart.
    apart: Option<(CpuSet, CpuSet)>,
}

impl Cores {
    /// Shares the cores out: the first for the servers, the others for load and upstream; or leaves
    /// everything to the kernel's scheduler. Must be called before threads are started, which inherit
    /// what this sets.
    pub(super) fn share_out(apart: bool) -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
        if !apart || all.count() < 2 {
            return Ok(Self { apart: None });
        }
        let (mut servers, mut load) = (CpuSet::new(), CpuSet::new());
        cores.by_ref().take(1).for_each(|core| servers.set(core));
        cores.for_each(|core| load.set(core));
        sched_setaffinity(None, &load)?;
        Ok(Self { apart: Some((servers, load)) })
    }

    /// Whether servers and load are kept apart.
    pub(super) fn are_apart(&self) -> bool {
        self.apart.is_some()
    }

    /// Runs `start` on the servers' core, so that a process that it starts inherits that core.
    pub(super) async fn for_server<T>(&self, start: impl Future<Output = T>) -> io::Result<T> {
        let Some((servers, load)) = &self.apart else {
            return Ok(start.await);
        };
        sched_setaffinity(None, servers)?;
        let started = start.await;
        sched_setaffinity(None, load)?;
        Ok(started)
    }
}

/// What a reader must know of the machine.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    /// The one-minute load average when the program began: anything near or over the number of cores
    /// means that something else was running.
    load: String,
}

impl Machine {
    pub(super) fn describe() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let word = |path: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.split_whitespace().next().unwrap_or("unknown").to_owned()
        };
        Self {
            processor: processor
                .map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']))
                .to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: word("/proc/sys/kernel/osrelease"),
            load: word("/proc/loadavg"),
        }
    }

    pub(super) fn line(&self) -> String {
        format!(
            "{} cores ({}), Linux {}, load average {} at the start",
            self.cores, self.processor, self.kernel, self.load
        )
    }
}
