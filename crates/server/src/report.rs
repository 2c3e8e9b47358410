//! How the program ends: what the operator or a script is told, and the exit code.

use std::fmt;
use std::process::{ExitCode, Termination};

use serde::Serialize;

/// Exit codes, as `docs` and scripts know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It worked.
    Fine,
    /// It failed.
    Failed,
    /// The command was used wrongly.
    WrongUse,
    /// The command needs a running server, and there is none.
    NotRunning,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Failed => 1,
            Exit::WrongUse => 2,
            Exit::NotRunning => 3,
        }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

/// Why a command failed, for its operator: what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How the program ends.
    #[serde(skip)]
    pub exit: Exit,
    /// What failed, without a full stop.
    pub message: String,
    /// What to do, as sentences; empty where nothing can be said.
    pub advice: String,
}

impl Report {
    /// Something did not work.
    pub fn failed(message: impl Into<String>, advice: impl Into<String>) -> Report {
        Report {
            exit: Exit::Failed,
            message: message.into(),
            advice: advice.into(),
        }
    }

    /// The command makes no sense like this.
    pub fn wrong_use(message: impl Into<String>, advice: impl Into<String>) -> Report {
        Report {
            exit: Exit::WrongUse,
            message: message.into(),
            advice: advice.into(),
        }
    }

    /// There is no server to talk to.
    pub fn not_running(message: impl Into<String>, advice: impl Into<String>) -> Report {
        Report {
            exit: Exit::NotRunning,
            message: message.into(),
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.message)?;
        if self.advice.is_empty() {
            Ok(())
        } else {
            write!(out, "\n    {}", self.advice)
        }
    }
}

impl std::error::Error for Report {}
