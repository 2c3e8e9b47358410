//! A database that is locked, gone, back, silent, or somebody else's: bounded answers, and nothing lost or doubled.

mod postgres;

use std::time::Duration;

use router::StoreError;
use sqlx::{Connection, SqliteConnection};
use storage::{Database, OpenError, Settings};
use tokio::time::Instant;

use crate::asking::{address, ids, wait};
use crate::places::{Directory, Place, eventually, sqlite_url};

const SHORT: Duration = Duration::from_millis(600);

/// What an answer may take beyond the patience, on a busy machine.
const SLACK: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_file_is_waited_for_and_then_unavailable() {
    let directory = Directory::new();
    let file = directory.0.join("balcony.db");
    let mut settings = Settings::new(sqlite_url(&directory));
    settings.patience = SHORT;
    let place = Place::open(settings, Some(directory)).await;
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();

    let mut other = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let asked = Instant::now();
    assert_eq!(
        store.commit(&romeo, vec![wait(1)]).await,
        Err(StoreError::Unavailable)
    );
    assert!(
        asked.elapsed() >= SHORT && asked.elapsed() < SHORT + SLACK,
        "{:?}",
        asked.elapsed()
    );
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();

    eventually("it writes again", async || {
        store.load(&romeo).await.is_ok() && store.commit(&romeo, vec![wait(2)]).await.is_ok()
    })
    .await;
    assert_eq!(
        ids(&store.waiting(&romeo).await.unwrap()),
        [2],
        "what was given up is not made"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_named() {
    let error = open("postgres://nobody:secret@127.0.0.1:9/none", SHORT)
        .await
        .err()
        .unwrap();
    let told = error.to_string();
    assert!(
        told.contains("cannot reach") && told.contains("127.0.0.1:9"),
        "{told}"
    );
    assert!(!told.contains("secret"), "{told}");
}

pub(super) async fn open(url: &str, patience: Duration) -> Result<Database, OpenError> {
    let mut settings = Settings::new(url.parse().unwrap());
    settings.patience = patience;
    Database::open(settings).await
}
