//! The lock on the data directory: one process at a time writes there.
//!
//! It is the lock of the operating system on an open file, so it ends with its process however that ends. The file says
//! who holds it, for the message that the next one gets.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::report::Report;

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{path} is held by {holder}", path = path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who has it, as far as the file says so.
        holder: Holder,
    },
    /// The file cannot be opened, locked or written.
    #[error("cannot lock {path}: {source}", path = path.display())]
    Broken {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its number, if it wrote it.
    pub process: Option<u32>,
    /// What it does, such as `run`; empty if unknown.
    pub purpose: String,
}

impl Lock {
    /// Takes the lock on `path` for `purpose`, without waiting.
    ///
    /// # Errors
    /// When another process holds it, or the file cannot be used.
    pub fn acquire(path: &Path, purpose: &str) -> Result<Lock, LockError> {
        let broken = |source| LockError::Broken {
            path: path.to_path_buf(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(broken)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    path: path.to_path_buf(),
                    holder: Holder::of(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(broken(source)),
        }
        write_holder(&mut file, purpose).map_err(broken)?;
        Ok(Lock { _file: file })
    }

    /// Whether a process holds the lock on `path`.
    pub fn is_held(path: &Path) -> bool {
        // One that cannot be opened is held by nobody.
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

impl Holder {
    fn of(file: &mut File) -> Holder {
        let mut text = String::new();
        // What cannot be read leaves the holder unknown; that it is held is certain.
        let _ = file
            .rewind()
            .and_then(|()| file.take(200).read_to_string(&mut text));
        let (process, purpose) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        Holder {
            process: process.parse().ok(),
            purpose: purpose.to_owned(),
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.process {
            Some(process) => write!(out, "process {process}")?,
            None => write!(out, "another process")?,
        }
        if self.purpose.is_empty() {
            Ok(())
        } else {
            write!(out, " (balcony {})", self.purpose)
        }
    }
}

impl From<LockError> for Report {
    fn from(error: LockError) -> Report {
        let advice = match &error {
            LockError::Held { holder, .. } if holder.purpose == "run" => {
                "A server runs already. Stop it first, or use another data_dir."
            }
            LockError::Held { .. } => "Wait until it has ended, or use another data_dir.",
            LockError::Broken { .. } => {
                "The data directory and the files in it belong to the user who runs balcony."
            }
        };
        Report::failed(error.to_string(), advice)
    }
}

fn write_holder(file: &mut File, purpose: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{} {purpose}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::TemporaryDirectory;

    #[test]
    fn a_lock_is_held_as_long_as_it_lives() {
        let directory = TemporaryDirectory::new("lock-held");
        let path = directory.path().join("lock");
        assert!(!Lock::is_held(&path));
        let lock = Lock::acquire(&path, "run").unwrap();
        assert!(Lock::is_held(&path));
        drop(lock);
        assert!(!Lock::is_held(&path));
    }

    #[test]
    fn a_second_holder_is_refused_and_told_who_has_it() {
        let directory = TemporaryDirectory::new("lock");
        let path = directory.path().join("lock");
        let first = Lock::acquire(&path, "run").unwrap();
        let error = Lock::acquire(&path, "account add").unwrap_err();
        let LockError::Held { holder, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(
            *holder,
            Holder {
                process: Some(std::process::id()),
                purpose: "run".to_owned()
            }
        );
        assert!(
            error
                .to_string()
                .contains(&format!("process {} (balcony run)", std::process::id()))
        );
        drop(first);
        Lock::acquire(&path, "account add").unwrap();
        // A shorter holder leaves nothing of a longer one behind.
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{} account add\n", std::process::id())
        );
        Lock::acquire(&path, "run").unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{} run\n", std::process::id())
        );
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = Lock::acquire(Path::new("/nonexistent/lock"), "run").unwrap_err();
        assert!(
            error.to_string().starts_with("cannot lock /nonexistent/lock: "),
            "{error}"
        );
    }
}
