//! Starts a real server process (the `bartizan` binary), waits until it is ready, and ends it in all the
//! ways that a machine can.
//!
//! The process gets an environment of its own: nothing of the caller's but `PATH`, so that a key on a
//! developer's machine can neither help nor be used. It runs in a temporary directory, which is also its
//! data directory unless one is given.
//!
//! ```no_run
//! # async fn example() {
//! use bartizan_testkit::process::Launch;
//!
//! let mut server = Launch::bartizan().args(["serve", "agent.pack.json"]).start().await;
//! server.ready().await;
//! // … talk to `server.http`, `server.grpc`, `server.ops` …
//! server.kill().await;
//! # }
//! ```

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::client;
use crate::procfs::{self, Memory, Socket};

/// The environment variable that names the binary to test, over the one in the target directory.
pub const BINARY_VARIABLE: &str = "BARTIZAN_BINARY";

/// How long [`Running::ready`] waits: generous, for a machine that compiles something else meanwhile.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// Finds a binary of this workspace: what [`BINARY_VARIABLE`] says for `bartizan`, else the one in the
/// target directory that the running test or program came from. `None` when it has not been built.
pub fn find(name: &str) -> Option<PathBuf> {
    if name == "bartizan"
        && let Some(path) = env::var_os(BINARY_VARIABLE)
    {
        return Some(path.into());
    }
    // target/PROFILE/deps/test-HASH or target/PROFILE/program
    let this = env::current_exe().ok()?;
    let mut candidates = this.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    candidates.find(|path| path.is_file())
}

/// A process about to be started.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    data: Option<PathBuf>,
    addresses: Option<[SocketAddr; 3]>,
}

impl Launch {
    /// The program at this path, for instance `env!("CARGO_BIN_EXE_bartizan")`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            data: None,
            addresses: None,
        }
    }

    /// The `bartizan` binary that [`find`] finds.
    ///
    /// # Panics
    /// When it has not been built.
    pub fn bartizan() -> Self {
        let found = find("bartizan");
        Self::new(found.expect("the bartizan binary; build it first: cargo build -p bartizan"))
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments. Paths must be absolute: the process does not run in the caller's directory.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        let arguments = arguments.into_iter();
        self.arguments.extend(arguments.map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let pair = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.environment.push(pair);
        self
    }

    /// Uses and keeps this data directory, to start again on it later.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.data = Some(path.into());
        self
    }

    /// Listens on these addresses (HTTP, gRPC, operations) and not on free ports.
    #[must_use]
    pub fn addresses(mut self, http: SocketAddr, grpc: SocketAddr, ops: SocketAddr) -> Self {
        self.addresses = Some([http, grpc, ops]);
        self
    }

    /// Starts it as a server with three addresses of its own and returns at once.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub async fn start(self) -> Running {
        let [http, grpc, ops] = self.addresses.unwrap_or_else(free_addresses);
        let home = TempDir::new().expect("a temporary directory");
        let data = self.data.clone().unwrap_or_else(|| home.path().join("data"));
        let mut command = self.command(home.path());
        command
            .env("BARTIZAN_HTTP__ADDRESS", http.to_string())
            .env("BARTIZAN_GRPC__ADDRESS", grpc.to_string())
            .env("BARTIZAN_OPS__ADDRESS", ops.to_string())
            .env("BARTIZAN_DATA__DIR", &data)
            // After ours, so that a test can override any of them.
            .envs(self.environment);
        let started = Instant::now();
        let mut child = command.spawn().expect("the program to start");
        let stdout = Captured::of(child.stdout.take().expect("a pipe"));
        let stderr = Captured::of(child.stderr.take().expect("a pipe"));
        let pid = child.id().expect("a process that was not waited for");
        Running { http, grpc, ops, data, pid, started, child, stdout, stderr, _home: home }
    }

    /// Runs it as a command to its end.
    ///
    /// # Panics
    /// When it cannot be started or has not ended within `limit`.
    pub async fn run(self, limit: Duration) -> Finished {
        let home = TempDir::new().expect("a temporary directory");
        let mut command = self.command(home.path());
        if let Some(data) = &self.data {
            command.env("BARTIZAN_DATA__DIR", data);
        }
        command.envs(self.environment);
        let output = tokio::time::timeout(limit, command.output()).await;
        let output = output.expect("an end in time").expect("the program to start");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// Three loopback addresses that were free a moment ago.
///
/// # Panics
/// When loopback cannot be listened on.
pub fn free_addresses() -> [SocketAddr; 3] {
    // Held together, so that they differ.
    let listeners = [(); 3]
        .map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port"));
    listeners.map(|listener| listener.local_addr().expect("a bound address"))
}

/// What a command left behind.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A running server process; dropping it kills it.
#[derive(Debug)]
pub struct Running {
    /// The public HTTP address.
    pub http: SocketAddr,
    /// The gRPC address.
    pub grpc: SocketAddr,
    /// The operations address.
    pub ops: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// The process id.
    pub pid: u32,
    /// When it was started.
    pub started: Instant,
    child: Child,
    stdout: Captured,
    stderr: Captured,
    _home: TempDir,
}

impl Running {
    /// Waits until `/readyz` on the operations address says 200 and returns how long that took from the
    /// start of the process.
    ///
    /// # Panics
    /// With what it wrote, when it ended instead or is not ready in 30 seconds.
    pub async fn ready(&mut self) -> Duration {
        self.try_ready().await.unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// The same, for programs.
    ///
    /// # Errors
    /// With what it wrote, when it ended instead or is not ready in 30 seconds.
    pub async fn try_ready(&mut self) -> io::Result<Duration> {
        loop {
            let waited = self.started.elapsed();
            let answer = client::get(self.ops, "/readyz", Duration::from_secs(5)).await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(self.started.elapsed());
            }
            let fault = match self.child.try_wait()? {
                Some(status) => format!("the server ended with {status} before it was ready"),
                None if waited > READY_LIMIT => format!("the server is not ready after {waited:?}"),
                None => {
                    tokio::time::sleep(Duration::from_micros(500)).await;
                    continue;
                }
            };
            return Err(io::Error::other(format!("{fault}:\n{}", self.stderr())));
        }
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("a child of ours");
    }

    /// Asks it to end, as `kill -TERM` does, and returns at once.
    ///
    /// # Panics
    /// When the process is gone already.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone already.
    pub fn signal(&self, signal: Signal) {
        // Not `self.pid`: once the process was waited for, that id may be another's.
        let pid = self.child.id().expect("a process that was not waited for");
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("a child of ours");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// With what it wrote, when it has not ended within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => status.expect("a child of ours"),
            Err(_) => panic!("the server has not ended in {limit:?}:\n{}", self.stderr()),
        }
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Its processor time so far, user and system together.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        procfs::cpu_time(self.pid)
    }

    /// Its resident memory.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory(&self) -> io::Result<Memory> {
        procfs::memory(self.pid)
    }

    /// Its internet sockets.
    ///
    /// # Errors
    /// When it is gone.
    pub fn sockets(&self) -> io::Result<Vec<Socket>> {
        procfs::sockets(self.pid)
    }
}

/// Collects a pipe: a server whose pipe is full would stand still.
#[derive(Debug)]
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Captured {
    fn of(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&bytes);
        let reading = tokio::spawn(async move {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
                let mut bytes = collected.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, reading }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
