//! The connection that writes, across losses: every transaction is made once or not at all, and which of the two is
//! always learnt before the next.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stanza::Address;
use tokio::time::{Instant, sleep, timeout_at};

use crate::apply;
use crate::connection::Connection;
use crate::failure::{Failure, Loss};
use crate::ids::Ids;
use crate::operation::Write;
use crate::postgres::{self, NoSession, Server};
use crate::sql;
use crate::sqlite::File;
use crate::waiting::Pending;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The first pause between two attempts to connect, doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Where the data are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Sqlite(File),
    Postgres(Server),
}

impl Place {
    /// A connection that only reads.
    pub(crate) async fn reader(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Place::Sqlite(file) => file.reader().await,
            Place::Postgres(server) => server.reader().await,
        }
    }
}

/// The connection that writes.
pub(crate) struct Link {
    place: Place,
    connection: Option<Connection>,
    ids: Ids,
    /// On PostgreSQL, how many groups were made, by our own account.
    groups: i64,
    /// Another process has written: what is in memory may be wrong.
    replaced: bool,
}

/// A transaction that was not seen to succeed.
enum Failed {
    /// It was not made.
    NotMade(Failure),
    /// COMMIT was sent, and then the connection was lost.
    Unknown(Vec<bool>, Loss),
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        Failed::NotMade(failure)
    }
}

impl Link {
    /// With a connection whose schema is up to date.
    pub(crate) async fn new(place: Place, mut connection: Connection) -> Result<Link, sqlx::Error> {
        let groups = match &mut connection {
            Connection::Sqlite(_) => 0,
            Connection::Postgres(connection) => postgres::groups(connection).await?,
        };
        Ok(Link {
            place,
            connection: Some(connection),
            ids: Ids::default(),
            groups,
            replaced: false,
        })
    }

    /// Makes all of these in one transaction, connecting anew where that is needed. After `deadline` nothing is tried
    /// again, but what became of a COMMIT is learnt however long it takes.
    ///
    /// # Errors
    /// When nothing was made.
    pub(crate) async fn transact(
        &mut self,
        writes: &[(&Address, &Write)],
        deadline: Instant,
        reachable: &AtomicBool,
    ) -> Result<Vec<bool>, Failure> {
        let mut pause = PAUSE_MIN;
        loop {
            self.connect(deadline, reachable).await?;
            match self.attempt(writes, deadline).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(Failed::NotMade(failure @ Failure::Unavailable(_))) => {
                    self.roll_back().await;
                    if Instant::now() + pause >= deadline {
                        return Err(failure);
                    }
                    tracing::debug!(why = %failure, "the database cannot do it now");
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(Failed::NotMade(Failure::Lost(loss))) => {
                    self.lose(&loss, reachable);
                    if Instant::now() >= deadline {
                        return Err(Failure::Lost(loss));
                    }
                }
                Err(Failed::NotMade(failure)) => {
                    self.roll_back().await;
                    return Err(failure);
                }
                Err(Failed::Unknown(outcomes, loss)) => {
                    self.lose(&loss, reachable);
                    if let Place::Sqlite(_) = self.place {
                        // The thread of the connection has died, and nothing tells whether it came to the end.
                        return Err(Failure::Lost(loss));
                    }
                    if self.learn_fate(reachable).await? {
                        return Ok(outcomes);
                    }
                    if Instant::now() >= deadline {
                        return Err(Failure::Lost(loss));
                    }
                }
            }
        }
    }

    /// Ends the connection in good order.
    pub(crate) async fn close(mut self) {
        use sqlx::Connection as _;
        let ended = match self.connection.take() {
            Some(Connection::Sqlite(connection)) => connection.close().await,
            Some(Connection::Postgres(connection)) => connection.close().await,
            None => Ok(()),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the connection to the database did not end in good order");
        }
    }

    async fn attempt(
        &mut self,
        writes: &[(&Address, &Write)],
        deadline: Instant,
    ) -> Result<Vec<bool>, Failed> {
        let Some(connection) = &mut self.connection else {
            return Err(Failure::Lost(Loss::TimedOut).into());
        };
        let prepare = async {
            begin(connection).await?;
            let mut outcomes = Vec::with_capacity(writes.len());
            let mut pending = Pending::default();
            for (address, write) in writes {
                outcomes.push(apply::write(connection, &mut self.ids, &mut pending, address, write).await?);
            }
            pending.flush(connection).await?;
            Ok::<_, Failure>(outcomes)
        };
        let outcomes = in_time(&self.place, deadline, prepare).await??;
        if Instant::now() >= deadline {
            return Err(Failure::TooLate.into());
        }
        let commit = end(connection, sql::COMMIT);
        match in_time(&self.place, deadline, commit).await {
            Ok(Ok(_)) => {
                self.groups += 1;
                Ok(outcomes)
            }
            Ok(Err(Failure::Lost(loss))) | Err(Failure::Lost(loss)) => Err(Failed::Unknown(outcomes, loss)),
            Ok(Err(failure)) | Err(failure) => Err(Failed::NotMade(failure)),
        }
    }

    async fn roll_back(&mut self) {
        self.ids.forget_all();
        let Some(connection) = &mut self.connection else {
            return;
        };
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let rollback = end(connection, sql::ROLLBACK);
        match in_time(&self.place, deadline, rollback).await {
            // SQLite has rolled back by itself after some errors, and says that there is nothing to roll back.
            Ok(Ok(_)) | Ok(Err(Failure::Refused(_))) => {}
            Ok(Err(_)) | Err(_) => self.connection = None,
        }
    }

    /// Leaves a connection that is of no use.
    fn lose(&mut self, loss: &Loss, reachable: &AtomicBool) {
        self.connection = None;
        self.ids.forget_all();
        if reachable.swap(false, Ordering::Relaxed) {
            tracing::warn!(%loss, "the connection to the database is lost");
        }
    }

    /// Makes sure that there is a connection, before `deadline`.
    async fn connect(&mut self, deadline: Instant, reachable: &AtomicBool) -> Result<(), Failure> {
        if self.replaced {
            return Err(Failure::Lost(Loss::Replaced));
        }
        let mut pause = PAUSE_MIN;
        while self.connection.is_none() {
            let attempt_deadline = deadline.min(Instant::now() + CONNECT_TIMEOUT);
            match self.connect_once(attempt_deadline).await {
                Ok((connection, groups)) if groups == self.groups => self.connected(connection, reachable),
                Ok(_) => return Err(self.be_replaced()),
                Err(loss) => {
                    tracing::debug!(%loss, "the database cannot be reached");
                    if Instant::now() + pause >= deadline {
                        return Err(Failure::Lost(loss));
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        Ok(())
    }

    /// Connects, however long it takes, and says whether the last COMMIT was made.
    async fn learn_fate(&mut self, reachable: &AtomicBool) -> Result<bool, Failure> {
        let mut pause = PAUSE_MIN;
        loop {
            match self.connect_once(Instant::now() + CONNECT_TIMEOUT).await {
                Ok((connection, groups)) => {
                    let made = groups == self.groups + 1;
                    if !made && groups != self.groups {
                        return Err(self.be_replaced());
                    }
                    self.groups = groups;
                    self.connected(connection, reachable);
                    return Ok(made);
                }
                Err(loss) => tracing::debug!(%loss, "the database cannot be reached"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn connect_once(&self, deadline: Instant) -> Result<(Connection, i64), Loss> {
        let connecting = async {
            Ok(match &self.place {
                Place::Sqlite(file) => (file.writer().await.map_err(Loss::Broken)?, self.groups),
                Place::Postgres(server) => {
                    let mut connection = server.writer(deadline).await.map_err(|error| match error {
                        NoSession::Unreachable(error) => Loss::Broken(error),
                        NoSession::TimedOut => Loss::TimedOut,
                        NoSession::Held(holder) => Loss::Held(holder),
                        NoSession::Unfit(why) => Loss::Unfit(why),
                    })?;
                    let groups = match &mut connection {
                        Connection::Sqlite(_) => self.groups,
                        Connection::Postgres(connection) => {
                            postgres::groups(connection).await.map_err(Loss::Broken)?
                        }
                    };
                    (connection, groups)
                }
            })
        };
        timeout_at(deadline, connecting)
            .await
            .unwrap_or(Err(Loss::TimedOut))
    }

    fn connected(&mut self, connection: Connection, reachable: &AtomicBool) {
        self.connection = Some(connection);
        if !reachable.swap(true, Ordering::Relaxed) {
            tracing::info!("the database is reached again");
        }
    }

    fn be_replaced(&mut self) -> Failure {
        if !std::mem::replace(&mut self.replaced, true) {
            tracing::error!(
                "another process has written to the database while the connection was lost; restart this one"
            );
        }
        Failure::Lost(Loss::Replaced)
    }
}

async fn begin(connection: &mut Connection) -> Result<(), Failure> {
    match connection {
        Connection::Sqlite(connection) => {
            sqlx::query(sql::BEGIN_SQLITE).execute(connection).await?;
        }
        Connection::Postgres(connection) => {
            sqlx::raw_sql(sql::BEGIN_POSTGRES)
                .execute(&mut **connection)
                .await?;
        }
    }
    Ok(())
}

async fn end(connection: &mut Connection, statement: &'static str) -> Result<(), Failure> {
    match connection {
        Connection::Sqlite(connection) => {
            sqlx::query(statement).execute(connection).await?;
        }
        Connection::Postgres(connection) => {
            sqlx::raw_sql(statement).execute(&mut **connection).await?;
        }
    }
    Ok(())
}

/// A server may keep silent for ever, and its connection can be given up. A file is waited for: whoever gives up a
/// connection to it still does not know what its thread will do.
async fn in_time<T>(place: &Place, deadline: Instant, work: impl Future<Output = T>) -> Result<T, Failure> {
    match place {
        Place::Sqlite(_) => Ok(work.await),
        Place::Postgres(_) => timeout_at(deadline, work)
            .await
            .map_err(|_| Failure::Lost(Loss::TimedOut)),
    }
}
