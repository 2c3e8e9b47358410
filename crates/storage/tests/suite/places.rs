//! Stores to run the suite on: fresh ones, which leave nothing behind.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use storage::{Database, Memory, Settings, Url};

use crate::asking::Asker;

/// Runs each case on every store, under the name of the store.
macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        mod memory { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $case() {
            super::$case(crate::places::Place::memory()).await;
        })* }
        $crate::places::on_every_database!($($case),*);
    };
}

/// Runs each case on every database.
macro_rules! on_every_database {
    ($($case:ident),* $(,)?) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $case() {
            super::$case(crate::places::Place::sqlite().await).await;
        })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "needs PostgreSQL: tests/run postgres"]
        async fn $case() {
            super::$case(crate::places::Place::postgres().await).await;
        })* }
    };
}

pub(crate) use {on_every_database, on_every_store};

/// A store of a test.
pub(crate) struct Place {
    pub(crate) asker: Asker,
    kind: Kind,
    /// Kept for as long as the files in it are in use.
    _directory: Option<Directory>,
}

enum Kind {
    Memory,
    Database(Arc<Database>, Settings),
}

impl Place {
    pub(crate) fn memory() -> Place {
        let runtime = tokio::runtime::Handle::current();
        let memory = Memory::on(Box::new(move |job| {
            runtime.spawn(async { job() });
        }));
        Place {
            asker: Asker(Arc::new(memory)),
            kind: Kind::Memory,
            _directory: None,
        }
    }

    pub(crate) async fn sqlite() -> Place {
        Place::sqlite_with(|_| {}).await
    }

    pub(crate) async fn sqlite_with(change: impl FnOnce(&mut Settings)) -> Place {
        let directory = Directory::new();
        let mut settings = Settings::new(sqlite_url(&directory));
        change(&mut settings);
        Place::open(settings, Some(directory)).await
    }

    pub(crate) async fn postgres() -> Place {
        Place::open(Settings::new(fresh_postgres().await), None).await
    }

    pub(crate) async fn open(settings: Settings, directory: Option<Directory>) -> Place {
        let database = Arc::new(Database::open(settings.clone()).await.unwrap());
        Place {
            asker: Asker(database.clone()),
            kind: Kind::Database(database, settings),
            _directory: directory,
        }
    }

    /// Closed and opened again, with the same contents.
    pub(crate) async fn reopen(&mut self) {
        if let Kind::Database(database, settings) = &mut self.kind {
            assert!(database.close().await, "it closes in time");
            *database = Arc::new(Database::open(settings.clone()).await.unwrap());
            self.asker = Asker(database.clone());
        }
    }

    pub(crate) fn database(&self) -> &Database {
        match &self.kind {
            Kind::Database(database, _) => database,
            Kind::Memory => panic!("this store is in memory"),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        match &self.kind {
            Kind::Database(_, settings) => settings.clone(),
            Kind::Memory => panic!("this store is in memory"),
        }
    }
}

/// A directory of a test, removed at its end.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        let path = std::env::temp_dir().join(unique("balcony-test-"));
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn sqlite_url(directory: &Directory) -> Url {
    format!("sqlite:{}", directory.0.join("balcony.db").display())
        .parse()
        .unwrap()
}

fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}{}_{count}", std::process::id())
}

/// The server of the environment.
pub(crate) fn postgres_server() -> String {
    let thread = std::thread::current();
    // One thread for all tests is not named after them.
    let test = thread.name().filter(|name| *name != "main");
    assert!(
        test.is_none_or(|name| name.contains("postgres")),
        "`tests/run postgres` finds what needs PostgreSQL by that word in its name"
    );
    std::env::var("BALCONY_TEST_POSTGRES")
        .expect("BALCONY_TEST_POSTGRES names a server, as in `tests/run postgres`")
}

/// A new, empty database on the server of the environment.
pub(crate) async fn fresh_postgres() -> Url {
    fresh_postgres_on(&postgres_server()).await.parse().unwrap()
}

/// The URL of a new, empty database on this server.
pub(crate) async fn fresh_postgres_on(server: &str) -> String {
    let mut connection = PgConnection::connect(server)
        .await
        .expect("BALCONY_TEST_POSTGRES names a server that can be reached");
    let name = unique("balcony_test_");
    sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}")))
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .expect("databases may be made on the server of BALCONY_TEST_POSTGRES");
    let (server, _) = server.rsplit_once('/').expect("the URL names a database");
    format!("{server}/{name}")
}

/// A PostgreSQL server of the test's own, which may be halted.
pub(crate) struct Cluster {
    directory: PathBuf,
    pub(crate) url: String,
}

impl Cluster {
    pub(crate) fn start() -> Cluster {
        let directory = std::env::temp_dir().join(unique("balcony-cluster-"));
        let mut cluster = Cluster {
            directory,
            url: String::new(),
        };
        cluster.url = cluster.control("start");
        cluster
    }

    pub(crate) fn control(&self, action: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/postgres.sh");
        let output = Command::new(script)
            .arg(action)
            .arg(&self.directory)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tests/postgres.sh {action}: {told}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.control("stop");
    }
}

/// Waits until something is so, and fails when it is not within a minute.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..6000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within a minute: {what}");
}
