//! A look at a database before a server runs on it, which changes nothing.

use std::time::Duration;

use sqlx::{Connection as _, Row};
use tokio::time::timeout;

use crate::connection::Connection;
use crate::database::{Durability, OpenError};
use crate::migrations;
use crate::postgres::Server;
use crate::sqlite::File;
use crate::url::Url;

/// Whether a server could run on this database: it is reached, and its schema is not newer than this program. A file
/// that is not there yet is fine; it is made at the first start.
///
/// # Errors
/// What would keep the server from starting. Whether another process has the database is not looked at.
pub async fn examine(url: &Url, patience: Duration) -> Result<(), OpenError> {
    let unreachable = |why: String| OpenError::Unreachable {
        url: url.clone(),
        why,
    };
    let looking = async {
        let mut connection = match url {
            Url::Sqlite(path) if !path.exists() => return Ok(()),
            Url::Sqlite(path) => File::new(path, Durability::Full).reader().await,
            Url::Postgres(options) => {
                Server::new((**options).clone(), Durability::Full, 0)
                    .reader()
                    .await
            }
        }
        .map_err(|error| unreachable(error.to_string()))?;
        let newest = newest_migration(&mut connection).await;
        close(connection).await;
        migrations::check(newest).map_err(|source| OpenError::Schema {
            url: url.clone(),
            source,
        })
    };
    match timeout(patience, looking).await {
        Ok(outcome) => outcome,
        Err(_) => Err(unreachable(String::from("it does not answer"))),
    }
}

/// The number of the newest migration; `None` in a database that is empty.
async fn newest_migration(connection: &mut Connection) -> Option<i64> {
    const NEWEST: &str = "SELECT MAX(version) FROM _sqlx_migrations";
    match connection {
        Connection::Sqlite(connection) => sqlx::query(NEWEST)
            .fetch_one(connection)
            .await
            .ok()?
            .try_get(0)
            .ok()?,
        Connection::Postgres(connection) => sqlx::query(NEWEST)
            .fetch_one(&mut **connection)
            .await
            .ok()?
            .try_get(0)
            .ok()?,
    }
}

async fn close(connection: Connection) {
    // It is given up either way.
    let _ = match connection {
        Connection::Sqlite(connection) => connection.close().await,
        Connection::Postgres(connection) => connection.close().await,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Database, Settings};

    #[tokio::test]
    async fn a_look_makes_no_file_and_finds_a_newer_schema() {
        let directory = std::env::temp_dir().join(format!("balcony-examine-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("balcony.db");
        let url = Url::Sqlite(path.clone());
        let patience = Duration::from_secs(10);
        assert!(examine(&url, patience).await.is_ok());
        assert!(!path.exists());

        Database::open(Settings::new(url.clone()))
            .await
            .unwrap()
            .close()
            .await;
        assert!(examine(&url, patience).await.is_ok());

        let writer = File::new(&path, Durability::Full).writer().await.unwrap();
        let Connection::Sqlite(mut writer) = writer else {
            panic!("SQLite")
        };
        sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'x', 1, x'00', 0)")
            .execute(&mut writer)
            .await
            .unwrap();
        writer.close().await.unwrap();
        let error = examine(&url, patience).await.unwrap_err().to_string();
        assert!(error.contains("schema 99"), "{error}");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
