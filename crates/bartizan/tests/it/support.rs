//! A directory of its own for a command to run in, and packs to run it on.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_bartizan");

/// Where the workspace is.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A directory with files, and an environment that holds nothing but what is said here.
pub struct Desk {
    folder: TempDir,
    environment: Vec<(String, String)>,
    typed: String,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Desk {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self { folder, environment: Vec::new(), typed: String::new() }
    }

    /// Puts a file on it.
    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// What standard input holds.
    pub fn typed(mut self, text: &str) -> Self {
        self.typed = text.to_owned();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the command; the arguments are separated by spaces.
    #[allow(clippy::disallowed_methods, reason = "the test starts the program that it tests")]
    pub fn run(&self, arguments: &str) -> Outcome {
        let mut child = Command::new(BINARY)
            .args(arguments.split_whitespace())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command may end without reading.
        let _ = child.stdin.take().unwrap().write_all(self.typed.as_bytes());
        let output = child.wait_with_output().unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs the command and parses what it prints.
    pub fn json(&self, arguments: &str) -> Value {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{arguments}: {outcome}");
        serde_json::from_str(&outcome.stdout).unwrap()
    }
}

impl std::fmt::Display for Outcome {
    /// Everything, for snapshots.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = format!("exit {}\n", self.code.unwrap_or(-1));
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                let _ = write!(text, "--- {name}\n{stream}");
            }
        }
        formatter.write_str(text.trim_end())
    }
}

/// A small pack with two prompts: `main` without variables and `letter` with one.
pub fn small_pack() -> Value {
    json!({
        "id": "small",
        "name": "Small",
        "version": "1.2.3",
        "template_engine": { "version": "v1", "syntax": "{{variable}}" },
        "prompts": {
            "main": {
                "id": "main", "name": "Main", "version": "1.0.0",
                "system_template": "You help."
            },
            "letter": {
                "id": "letter", "name": "Letter", "version": "1.0.0",
                "system_template": "Write to {{name}} in at most {{words}} words.",
                "variables": [
                    { "name": "name", "type": "string", "required": true },
                    { "name": "words", "type": "number", "required": false, "default": 50 }
                ]
            }
        }
    })
}
