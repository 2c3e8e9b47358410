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

/// What the log may keep of the disk after a burst, in bytes.
const JOURNAL_SIZE_LIMIT: &str = "67108864";

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
            .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT)
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

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;

    #[tokio::test]
    async fn the_file_is_opened_as_the_promise_demands() {
        let path = std::env::temp_dir().join(format!("balcony-pragmas-{}.db", std::process::id()));
        for (durability, synchronous) in [(Durability::Full, 2), (Durability::Normal, 1)] {
            let file = File::new(&path, durability);
            file.make().unwrap();
            let mut connection = file.writer().await.unwrap();
            for (pragma, expected) in [
                ("PRAGMA synchronous", synchronous.to_string()),
                ("PRAGMA journal_mode", String::from("wal")),
                ("PRAGMA foreign_keys", String::from("1")),
            ] {
                let Connection::Sqlite(connection) = &mut connection else {
                    panic!("a file of SQLite");
                };
                let row = sqlx::raw_sql(pragma).fetch_one(connection).await.unwrap();
                let value = row.try_get_unchecked::<String, _>(0).unwrap();
                assert_eq!(value, expected, "{pragma}, {durability:?}");
            }
        }
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
    }
}
