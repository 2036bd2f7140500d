//! Why the program will not go on: one line, and an exit code that means something.

use std::{fmt, process::ExitCode};

use serde::Serialize;

/// The exit codes, after `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 1: a check ran and found something.
    Found,
    /// 64: the command line makes no sense.
    Usage,
    /// 66: a file is missing, unreadable or not what it should be.
    Input,
    /// 69: something outside is not available, such as a port.
    Unavailable,
    /// 70: a defect of ours.
    Software,
    /// 78: the configuration makes no sense.
    Configuration,
    /// 130: told to stop at once.
    Interrupted,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Found => 1,
            Self::Usage => 64,
            Self::Input => 66,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::Configuration => 78,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// What was wrong, where, and what to do about it, in one line.
#[derive(Debug, Serialize, thiserror::Error)]
pub struct Refusal {
    /// The exit code.
    #[serde(serialize_with = "as_number")]
    pub exit: Exit,
    /// The line. Empty where everything has been said already.
    pub message: String,
}

impl Refusal {
    /// A refusal with this exit code.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        // One line, whatever a library put into its error.
        let message = message.to_string();
        let lines: Vec<&str> = message.lines().map(str::trim).collect();
        Self { exit, message: lines.join(" ").trim().to_owned() }
    }

    /// A file that is missing, unreadable or not what it should be.
    pub fn input(message: impl fmt::Display) -> Self {
        Self::new(Exit::Input, message)
    }

    /// A configuration that makes no sense.
    pub fn configuration(message: impl fmt::Display) -> Self {
        Self::new(Exit::Configuration, message)
    }

    /// A command line that makes no sense.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

fn as_number<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(exit.code())
}
