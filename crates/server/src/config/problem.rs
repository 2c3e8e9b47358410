//! What is wrong with a configuration: where, what, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A place in the configuration file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Line in the file.
    pub line: usize,
    /// Column in characters.
    pub column: usize,
}

/// Whether the server may start in spite of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The server does not start.
    Error,
    /// The server starts, and the operator should know.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether it keeps the server from starting.
    pub severity: Severity,
    /// The setting, as `section.name`; empty when the file as a whole is meant.
    pub key: String,
    /// Where in the file; absent when the setting is not written there.
    pub place: Option<Place>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do, as a sentence.
    pub advice: String,
}

/// Everything that was found in one file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problems {
    file: PathBuf,
    #[serde(rename = "problems")]
    found: Vec<Problem>,
}

impl Problems {
    /// Sorts what was found in `file` by line; problems without a place come last.
    pub fn new(file: &Path, mut found: Vec<Problem>) -> Problems {
        found.sort_by_key(|problem| (problem.place.is_none(), problem.place));
        Problems {
            file: file.to_path_buf(),
            found,
        }
    }

    /// The file they were found in.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// True when one of them keeps the server from starting.
    pub fn prevent_start(&self) -> bool {
        self.found
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// True when nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Adds what another look at the same file found.
    pub fn extend(&mut self, more: impl IntoIterator<Item = Problem>) {
        self.found.extend(more);
        self.found
            .sort_by_key(|problem| (problem.place.is_none(), problem.place));
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.found.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            write!(out, "{}", self.file.display())?;
            if let Some(place) = problem.place {
                write!(out, ":{}:{}", place.line, place.column)?;
            }
            write!(out, ": ")?;
            if problem.severity == Severity::Warning {
                write!(out, "warning: ")?;
            }
            if !problem.key.is_empty() {
                write!(out, "{}: ", problem.key)?;
            }
            write!(out, "{}", problem.message)?;
            if !problem.advice.is_empty() {
                write!(out, "\n    {}", problem.advice)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
