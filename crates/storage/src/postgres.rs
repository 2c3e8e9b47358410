//! How a PostgreSQL server is reached, and how one process has a database for itself.
//!
//! The session that writes holds an advisory lock. Whoever writes holds it by construction, and who gets it knows that
//! the session which had it is over, with whatever it had not committed. A row counts the groups of commits: after a
//! connection was lost in the middle of a COMMIT, it tells whether that was made, and it shows a process that was
//! replaced by another one.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection as _, PgConnection};
use tokio::time::{Instant, sleep, timeout_at};

use crate::connection::Connection;
use crate::database::Durability;

/// The two numbers of the advisory lock: "balc", "ony ".
const LOCK: (i32, i32) = (0x6261_6c63, 0x6f6e_7920);

/// The oldest major version that is tested.
const OLDEST_VERSION: i32 = 13;

/// How long the session that has the lock is given to end: its process may just have been killed, or be closing.
const HOLDER_MAY_END: Duration = Duration::from_secs(2);

/// Between two looks whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A server, and how it is used.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    options: PgConnectOptions,
    /// Known by it: this process, and no other one.
    name: String,
    durability: Durability,
}

/// Why there is no session that may write.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSession {
    #[error("{0}")]
    Unreachable(#[from] sqlx::Error),
    #[error("no answer in time")]
    TimedOut,
    #[error("it is in use by {0}")]
    Held(String),
    #[error("{0}")]
    Unfit(String),
}

impl Server {
    /// `nonce` tells processes apart that have the same number on hosts of the same name.
    pub(crate) fn new(options: PgConnectOptions, durability: Durability, nonce: u32) -> Server {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        // The server cuts names after 63 bytes.
        let host: String = host
            .trim()
            .chars()
            .filter(char::is_ascii_graphic)
            .take(30)
            .collect();
        let name = format!("balcony {}@{host} {nonce:08x}", std::process::id());
        Server {
            options: options.application_name(&name).disable_statement_logging(),
            name,
            durability,
        }
    }

    /// A session that only reads.
    pub(crate) async fn reader(&self) -> Result<Connection, sqlx::Error> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql("SET default_transaction_read_only = on")
            .execute(&mut connection)
            .await?;
        Ok(Connection::Postgres(Box::new(connection)))
    }

    /// The session that writes.
    pub(crate) async fn writer(&self, deadline: Instant) -> Result<Connection, NoSession> {
        match timeout_at(deadline, self.connect_writer(deadline)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(NoSession::TimedOut),
        }
    }

    async fn connect_writer(&self, deadline: Instant) -> Result<Connection, NoSession> {
        let mut connection = self.connect().await?;
        check(&mut connection).await?;
        let held_until = deadline.min(Instant::now() + HOLDER_MAY_END);
        while !try_lock(&mut connection).await? {
            let Some(holder) = holder(&mut connection).await? else {
                continue;
            };
            if Instant::now() + LOOK_AGAIN >= held_until {
                return Err(NoSession::Held(holder.to_string()));
            }
            if holder.name.as_deref() == Some(&self.name) {
                // Our own session, whose loss the server has not noticed.
                sqlx::query("SELECT pg_terminate_backend($1)")
                    .bind(holder.process)
                    .execute(&mut connection)
                    .await?;
            }
            sleep(LOOK_AGAIN).await;
        }
        if self.durability == Durability::Normal {
            sqlx::raw_sql("SET synchronous_commit = off")
                .execute(&mut connection)
                .await?;
        } else {
            // What waits for standbys as well stays as the server has it.
            sqlx::raw_sql(
                "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            )
            .execute(&mut connection)
            .await?;
        }
        Ok(Connection::Postgres(Box::new(connection)))
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        // The server notices a host that is gone, so that another one may take over; ignored on local sockets.
        sqlx::raw_sql(
            "SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4; \
             SET idle_in_transaction_session_timeout = '60s'; SET client_min_messages = warning",
        )
        .execute(&mut connection)
        .await?;
        Ok(connection)
    }
}

/// Who holds the lock.
struct Holder {
    process: i32,
    name: Option<String>,
    address: Option<String>,
    since: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name.as_deref().unwrap_or("another process"))?;
        write!(f, " (session {}", self.process)?;
        if let Some(address) = &self.address {
            write!(f, " from {address}")?;
        }
        if let Some(since) = &self.since {
            write!(f, " since {since}")?;
        }
        f.write_str(")")
    }
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
        .bind(LOCK.0)
        .bind(LOCK.1)
        .fetch_one(connection)
        .await
}

async fn holder(connection: &mut PgConnection) -> Result<Option<Holder>, sqlx::Error> {
    type Columns = (i32, Option<String>, Option<String>, Option<String>);
    let found: Option<Columns> = sqlx::query_as(
        "SELECT locks.pid, application_name, host(client_addr), to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') \
         FROM pg_locks locks LEFT JOIN pg_stat_activity activity ON activity.pid = locks.pid \
         WHERE locktype = 'advisory' AND granted AND objsubid = 2 \
         AND classid = CAST($1 AS OID) AND objid = CAST($2 AS OID) \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .bind(i64::from(LOCK.0))
    .bind(i64::from(LOCK.1))
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|(process, name, address, since)| Holder {
        process,
        name,
        address,
        since,
    }))
}

/// Whether the server and the database can do what is needed.
async fn check(connection: &mut PgConnection) -> Result<(), NoSession> {
    let (version, encoding, fsync): (String, String, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num'), current_setting('server_encoding'), current_setting('fsync')",
    )
    .fetch_one(connection)
    .await?;
    let version = version.parse::<i32>().unwrap_or(0) / 10_000;
    if version < OLDEST_VERSION {
        return Err(NoSession::Unfit(format!(
            "the server is PostgreSQL {version}; version {OLDEST_VERSION} or newer is needed"
        )));
    }
    if encoding != "UTF8" {
        return Err(NoSession::Unfit(format!(
            "the database has the encoding {encoding}; create it with ENCODING 'UTF8' TEMPLATE template0"
        )));
    }
    if fsync != "on" {
        tracing::warn!(
            "the PostgreSQL server runs with fsync = {fsync}: a power failure destroys what it stores"
        );
    }
    Ok(())
}

/// How many groups of commits were made.
pub(crate) async fn groups(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT groups FROM writer")
        .fetch_one(connection)
        .await
}
