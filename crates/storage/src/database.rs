//! A store on SQLite or PostgreSQL.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use router::StoreError;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::connection::Connection;
use crate::doomed::Doomed;
use crate::figures::{Counters, Figures};
use crate::link::{Link, Place};
use crate::migrations::{self, SchemaError};
use crate::operation::{Order, Question, store_by_operations};
use crate::postgres::{NoSession, Server};
use crate::queue::{Limits, Queue};
use crate::secrets::{Secret, Secrets};
use crate::sqlite::File;
use crate::url::Url;
use crate::{readers, writer};

/// Writes that may wait; beyond it they are answered with `Unavailable`.
const WRITES: Limits = Limits {
    entries: 100_000,
    bytes: 64 << 20,
};

/// Questions that may wait; beyond it they are answered with `Unavailable`.
const QUESTIONS: Limits = Limits {
    entries: 100_000,
    bytes: usize::MAX,
};

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub url: Url,
    /// What an answer promises.
    pub durability: Durability,
    /// Connections that answer questions.
    pub readers: usize,
    /// How long anybody waits before being told `Unavailable`.
    pub patience: Duration,
}

impl Settings {
    /// What is right in most cases.
    pub fn new(url: Url) -> Settings {
        Settings {
            url,
            durability: Durability::Full,
            readers: 4,
            patience: Duration::from_secs(10),
        }
    }
}

/// What an answer to a write promises (`storage.sync`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It survives a power failure.
    Full,
    /// It survives the end of this process, but the last seconds may be lost in a power failure.
    Normal,
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be made or written.
    #[error(
        "cannot open the database file {path}: {source}; its directory must exist and be writable for this user"
    )]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be reached.
    #[error("cannot reach the database {url}: {why}")]
    Unreachable {
        /// Which.
        url: Url,
        /// Why.
        why: String,
    },
    /// Another process has it.
    #[error("the database {url} is in use by {holder}; only one balcony may run on a database")]
    InUse {
        /// Which.
        url: Url,
        /// By whom.
        holder: String,
    },
    /// Its schema does not fit.
    #[error("the database {url} cannot be used: {source}")]
    Schema {
        /// Which.
        url: Url,
        /// Why.
        source: SchemaError,
    },
    /// It cannot do what is needed.
    #[error("the database {url} cannot be used: {why}")]
    Unfit {
        /// Which.
        url: Url,
        /// Why.
        why: String,
    },
}

/// A store on SQLite or PostgreSQL.
///
/// All that is written goes through one task, in groups: a transaction is made of everything that queued while the one
/// before was made durable. Nothing is answered inside the call that asks, and nothing before it is durable.
///
/// `Unavailable` comes after [`Settings::patience`] at the latest. It means that nothing was changed, with one exception
/// that no database can avoid: when it fell silent in the middle of a COMMIT, and stayed silent for that long. Nothing
/// is then read before it is known what became of it, so that whoever loads an account sees the truth.
pub struct Database {
    shared: Arc<Shared>,
    secrets: Secrets,
    runtime: Handle,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    backend: &'static str,
}

/// What the tasks and the askers share.
pub(crate) struct Shared {
    pub(crate) writes: Queue<Order>,
    pub(crate) questions: Queue<Question>,
    pub(crate) doomed: Mutex<Doomed>,
    pub(crate) counters: Counters,
    /// Whether somebody was told `Unavailable` of a write whose fate is still open.
    pub(crate) uncertain: watch::Sender<bool>,
    /// Whether the last attempt to write reached the database.
    pub(crate) reachable: AtomicBool,
    pub(crate) patience: Duration,
}

impl Database {
    /// Opens it, makes it if it is a file that is not there, and brings its schema up to date. To be called within a
    /// runtime, on which its tasks then run.
    ///
    /// # Errors
    /// With advice for the operator.
    pub async fn open(settings: Settings) -> Result<Database, OpenError> {
        let Settings {
            url,
            durability,
            readers,
            patience,
        } = settings;
        let (place, backend, mut connection) = connect(&url, durability, patience).await?;
        migrations::run(&mut connection)
            .await
            .map_err(|source| OpenError::Schema {
                url: url.clone(),
                source,
            })?;
        let unreachable = |why: String| OpenError::Unreachable {
            url: url.clone(),
            why,
        };
        let secrets = Secrets::load(&mut connection).await.map_err(&unreachable)?;
        let link = Link::new(place.clone(), connection)
            .await
            .map_err(|error| unreachable(error.to_string()))?;

        let shared = Arc::new(Shared {
            writes: Queue::new(WRITES),
            questions: Queue::new(QUESTIONS),
            doomed: Mutex::default(),
            counters: Counters::default(),
            uncertain: watch::Sender::new(false),
            reachable: AtomicBool::new(true),
            patience,
        });
        let (answers, to_answer) = mpsc::unbounded_channel();
        let mut tasks = vec![
            tokio::spawn(writer::run(link, Arc::clone(&shared), answers)),
            tokio::spawn(writer::give_answers(to_answer)),
        ];
        for _ in 0..readers.max(1) {
            tasks.push(tokio::spawn(readers::run(place.clone(), Arc::clone(&shared))));
        }
        Ok(Database {
            shared,
            secrets,
            runtime: Handle::current(),
            tasks: Mutex::new(tasks),
            backend,
        })
    }

    /// Random octets of the server, made when the database was, and the same ever since.
    pub fn secret(&self, secret: Secret) -> [u8; 32] {
        self.secrets.get(secret)
    }

    /// What it has done so far.
    pub fn figures(&self) -> Figures {
        Figures {
            backend: self.backend,
            times: self.shared.counters.read(),
            queued: self.shared.writes.len(),
            reachable: self.shared.reachable.load(Ordering::Relaxed),
        }
    }

    /// Takes nothing more, answers what it took, and closes the connections. False: that took longer than
    /// [`Settings::patience`], and was given up.
    pub async fn close(&self) -> bool {
        self.shared.writes.close();
        self.shared.questions.close();
        let deadline = Instant::now() + self.shared.patience;
        let mut in_time = true;
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for mut task in tasks {
            let left = deadline.saturating_duration_since(Instant::now());
            if timeout(left, &mut task).await.is_err() {
                task.abort();
                in_time = false;
            }
        }
        in_time
    }

    fn write(&self, order: Order) {
        let size = writer::size(&order.write);
        if let Err(order) = self.shared.writes.put(order, size) {
            if order.write.is_commit() {
                self.shared.doomed.lock().add(&order.address);
            }
            self.runtime
                .spawn(async move { call(|| (order.answer)(Err(StoreError::Unavailable))) });
        }
    }

    fn ask(&self, question: Question) {
        if let Question::Account(address, _) | Question::Room(address, ..) = &question {
            self.shared.doomed.lock().pardon(address);
        }
        if let Err(question) = self.shared.questions.put(question, 0) {
            self.runtime
                .spawn(async move { call(|| question.fail(StoreError::Unavailable)) });
        }
    }
}

store_by_operations!(Database);

/// What is left of it is written, if the runtime still runs.
impl Drop for Database {
    fn drop(&mut self) {
        self.shared.writes.close();
        self.shared.questions.close();
    }
}

async fn connect(
    url: &Url,
    durability: Durability,
    patience: Duration,
) -> Result<(Place, &'static str, Connection), OpenError> {
    let unreachable = |error: &dyn std::fmt::Display| OpenError::Unreachable {
        url: url.clone(),
        why: error.to_string(),
    };
    match url {
        Url::Sqlite(path) => {
            let file = File::new(path, durability);
            file.make().map_err(|source| OpenError::File {
                path: path.clone(),
                source,
            })?;
            let connection = file.writer().await.map_err(|error| unreachable(&error))?;
            Ok((Place::Sqlite(file), "sqlite", connection))
        }
        Url::Postgres(options) => {
            let nonce = getrandom::u32().map_err(|error| unreachable(&error))?;
            let server = Server::new((**options).clone(), durability, nonce);
            match server.writer(Instant::now() + patience).await {
                Ok(connection) => Ok((Place::Postgres(server), "postgres", connection)),
                Err(NoSession::Held(holder)) => Err(OpenError::InUse {
                    url: url.clone(),
                    holder,
                }),
                Err(NoSession::Unfit(why)) => Err(OpenError::Unfit {
                    url: url.clone(),
                    why,
                }),
                Err(error @ (NoSession::Unreachable(_) | NoSession::TimedOut)) => Err(unreachable(&error)),
            }
        }
    }
}

/// Calls what somebody else gave; their panic does not end the task, which answers others too.
pub(crate) fn call(answer: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(answer)).is_err() {
        tracing::error!("whoever waited for the store panicked at its answer");
    }
}
