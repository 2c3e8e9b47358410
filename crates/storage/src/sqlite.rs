//! How a SQLite file is opened.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};

use crate::connection::Connection;
use crate::database::Durability;

/// How long a lock of another process (a backup, a shell) is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages kept in memory by each connection, as KiB below zero.
const CACHE_SIZE: &str = "-8192";

/// A file, and how it is used.
#[derive(Debug, Clone)]
pub(crate) struct File(SqliteConnectOptions);

impl File {
    pub(crate) fn new(path: &Path, durability: Durability) -> File {
        let synchronous = match durability {
            Durability::Full => SqliteSynchronous::Full,
            Durability::Normal => SqliteSynchronous::Normal,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .pragma("cache_size", CACHE_SIZE)
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging();
        File(options)
    }

    /// Makes the file if there is none, for nobody else to read: it holds credentials. SQLite gives the same permissions
    /// to the files beside it.
    pub(crate) fn make(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.0.get_filename()).map(drop)
    }

    pub(crate) async fn writer(&self) -> Result<Connection, sqlx::Error> {
        SqliteConnection::connect_with(&self.0)
            .await
            .map(Connection::Sqlite)
    }

    pub(crate) async fn reader(&self) -> Result<Connection, sqlx::Error> {
        let options = self.0.clone().pragma("query_only", "ON");
        SqliteConnection::connect_with(&options)
            .await
            .map(Connection::Sqlite)
    }
}
