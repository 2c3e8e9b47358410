//! PostgreSQL gone, back, silent, restarted, or somebody else's.

use std::sync::Arc;
use std::time::Duration;

use router::StoreError;
use sqlx::{Connection, PgConnection};
use storage::{Database, OpenError};
use tokio::time::Instant;

use super::{SLACK, open};
use crate::asking::{Asker, address, ids, wait};
use crate::places::{Cluster, eventually, fresh_postgres_on, postgres_server};
use crate::relay::{Mode, Relay};

/// The patience of a store that is to lose it. What answers at all answers in this time, on a busy machine too.
const SHORT: Duration = Duration::from_secs(2);

/// The patience of a store that is to keep it.
const LONG: Duration = Duration::from_secs(30);

/// A store on PostgreSQL with a relay between them, and an account.
struct Wire {
    relay: Relay,
    /// Without the relay.
    direct: String,
    database: Arc<Database>,
    store: Asker,
    romeo: stanza::Address,
}

impl Wire {
    async fn new(patience: Duration) -> Wire {
        let direct = fresh_postgres_on(&postgres_server()).await;
        let relay = Relay::before(&direct).await;
        let database = Arc::new(open(&relay.url, patience).await.unwrap());
        let store = Asker(database.clone());
        let romeo = address("romeo@montague.lit");
        store.create(&romeo).await.unwrap();
        Wire {
            relay,
            direct,
            database,
            store,
            romeo,
        }
    }

    async fn rows(&self) -> Vec<i64> {
        ids(&self.store.waiting(&self.romeo).await.unwrap())
    }

    async fn commit(&self, id: i64) -> Result<(), StoreError> {
        self.store.commit(&self.romeo, vec![wait(id)]).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_server_that_is_gone_is_unavailable_within_bounds_and_used_again_when_back() {
    let wire = Wire::new(SHORT).await;
    wire.commit(1).await.unwrap();
    for gone in [Mode::Refuse, Mode::Hold] {
        wire.relay.set(gone);
        let asked = Instant::now();
        let (commit, load, login) = tokio::join!(
            wire.commit(2),
            wire.store.load(&wire.romeo),
            wire.store.login(&wire.romeo)
        );
        assert_eq!(commit, Err(StoreError::Unavailable), "{gone:?}");
        assert_eq!(load.err(), Some(StoreError::Unavailable), "{gone:?}");
        assert_eq!(login.err(), Some(StoreError::Unavailable), "{gone:?}");
        assert!(asked.elapsed() < SHORT + SLACK, "{gone:?}: {:?}", asked.elapsed());
        assert!(!wire.database.figures().reachable);
        wire.relay.cut(Mode::Pass).await;
        eventually("it loads again", async || {
            wire.store.load(&wire.romeo).await.is_ok()
        })
        .await;
        eventually("it writes again", async || {
            wire.store
                .set_flags(&wire.romeo, Default::default())
                .await
                .is_ok()
        })
        .await;
        assert_eq!(wire.rows().await, [1], "what was unavailable was not made");
        assert!(wire.database.figures().reachable);
    }
    assert_eq!(wire.commit(2).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_slow_server_is_unavailable_and_what_it_was_asked_is_not_made_later() {
    let wire = Wire::new(SHORT).await;
    let mut other = PgConnection::connect(&wire.direct).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE waiting")
        .execute(&mut other)
        .await
        .unwrap();
    let asked = Instant::now();
    assert_eq!(wire.commit(1).await, Err(StoreError::Unavailable));
    assert_eq!(
        wire.store.waiting(&wire.romeo).await,
        Err(StoreError::Unavailable)
    );
    assert!(asked.elapsed() < 2 * (SHORT + SLACK), "{:?}", asked.elapsed());
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    eventually("it writes again", async || {
        wire.store.load(&wire.romeo).await.is_ok() && wire.commit(2).await.is_ok()
    })
    .await;
    assert_eq!(wire.rows().await, [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_deadlock_is_tried_again_until_it_is_gone() {
    let wire = Wire::new(LONG).await;
    // Fails as often as it is fired, and then no more.
    let trap = "CREATE SEQUENCE fired; \
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF nextval('fired') <= 3 THEN RAISE SQLSTATE '40P01'; END IF; RETURN NEW; END $$; \
        CREATE TRIGGER trap BEFORE INSERT ON waiting FOR EACH ROW EXECUTE FUNCTION fail()";
    let mut other = PgConnection::connect(&wire.direct).await.unwrap();
    sqlx::raw_sql(trap).execute(&mut other).await.unwrap();
    assert_eq!(wire.commit(1).await, Ok(()));
    assert_eq!(wire.rows().await, [1]);
    let fired: i64 = sqlx::query_scalar("SELECT last_value FROM fired")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(fired, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_server_that_is_back_in_time_makes_what_waited() {
    let wire = Wire::new(LONG).await;
    wire.relay.cut(Mode::Refuse).await;
    let waiting = (1..=20).map(|id| {
        let (store, romeo) = (wire.store.clone(), wire.romeo.clone());
        tokio::spawn(async move { store.commit(&romeo, vec![wait(id)]).await })
    });
    let waiting: Vec<_> = waiting.collect();
    eventually("the loss is noticed", async || !wire.database.figures().reachable).await;
    wire.relay.set(Mode::Pass);
    for commit in waiting {
        assert_eq!(commit.await.unwrap(), Ok(()));
    }
    assert_eq!(wire.rows().await, (1..=20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_commit_whose_fate_the_network_hid_is_made_exactly_once() {
    let wire = Wire::new(LONG).await;
    let mut expected = Vec::new();
    for (id, mode) in (1..).zip([
        Mode::LoseCommit,
        Mode::LoseAnswer,
        Mode::LoseCommit,
        Mode::LoseAnswer,
    ]) {
        wire.relay.set(mode);
        // Made twice, it would be refused.
        assert_eq!(wire.commit(id).await, Ok(()), "{mode:?}");
        expected.push(id);
        assert_eq!(wire.rows().await, expected, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_session_that_the_server_believes_alive_is_ended_by_its_successor() {
    let wire = Wire::new(SHORT).await;
    wire.relay.set(Mode::SwallowAnswer);
    // The session stays open on the server, with the lock; its COMMIT was made, and nobody knows.
    assert_eq!(wire.commit(1).await, Err(StoreError::Unavailable));
    assert_eq!(wire.rows().await, [1], "what is read is what became of it");
    wire.store.load(&wire.romeo).await.unwrap();
    assert_eq!(wire.commit(2).await, Ok(()));
    assert_eq!(wire.rows().await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn nothing_is_read_while_the_fate_of_a_commit_is_open() {
    let wire = Wire::new(SHORT).await;
    wire.relay.set(Mode::LoseAnswerAndRefuse);
    assert_eq!(wire.commit(1).await, Err(StoreError::Unavailable));
    assert_eq!(
        wire.store.load(&wire.romeo).await.err(),
        Some(StoreError::Unavailable)
    );
    wire.relay.set(Mode::Pass);
    eventually("it loads again", async || {
        wire.store.load(&wire.romeo).await.is_ok()
    })
    .await;
    assert_eq!(wire.rows().await, [1]);
    assert_eq!(wire.commit(2).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_second_process_is_refused_and_told_who_has_the_database() {
    let wire = Wire::new(LONG).await;
    let refused = open(&wire.direct, LONG).await.err().unwrap();
    let told = refused.to_string();
    assert!(matches!(refused, OpenError::InUse { .. }), "{told}");
    assert!(
        told.contains(&format!("balcony {}@", std::process::id())),
        "{told}"
    );
    assert!(wire.database.close().await);
    drop(wire.database);
    assert!(open(&wire.direct, LONG).await.is_ok(), "once it is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn who_was_replaced_meanwhile_writes_no_more() {
    let wire = Wire::new(SHORT).await;
    wire.relay.cut(Mode::Refuse).await;
    let mut successor = None;
    eventually("the lock is free", async || {
        successor = open(&wire.direct, LONG).await.ok();
        successor.is_some()
    })
    .await;
    let successor = Arc::new(successor.unwrap());
    let store = Asker(successor.clone());
    store.load(&wire.romeo).await.unwrap();
    wire.relay.set(Mode::Pass);
    assert_eq!(wire.commit(1).await, Err(StoreError::Unavailable), "it is held");

    store.commit(&wire.romeo, vec![wait(2)]).await.unwrap();
    assert!(successor.close().await);
    for id in 3..5 {
        wire.store.load(&wire.romeo).await.unwrap();
        assert_eq!(
            wire.commit(id).await,
            Err(StoreError::Unavailable),
            "it is free, but not as it was"
        );
    }
    assert_eq!(wire.rows().await, [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_server_that_crashes_and_comes_back_under_load_loses_and_doubles_nothing() {
    let cluster = Cluster::start();
    let database = Arc::new(open(&fresh_postgres_on(&cluster.url).await, LONG).await.unwrap());
    let store = Asker(database.clone());
    let accounts: Vec<_> = (0..16)
        .map(|n| address(&format!("user{n}@montague.lit")))
        .collect();
    for account in &accounts {
        store.create(account).await.unwrap();
    }
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = accounts
        .iter()
        .cloned()
        .map(|account| {
            let (store, stopped) = (store.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut id = 0;
                while !*stopped.borrow() {
                    id += 1;
                    // One that was made and is tried again would be refused.
                    store.commit(&account, vec![wait(id)]).await.unwrap();
                    store.login(&account).await.unwrap().unwrap();
                }
                id
            })
        })
        .collect();
    let committed = || database.figures().count(storage::Operation::Commit);
    for _ in 0..2 {
        let before = committed();
        eventually("commits are made", async || committed() > before + 50).await;
        tokio::task::block_in_place(|| cluster.control("restart"));
    }
    let before = committed();
    eventually("commits are made", async || committed() > before + 50).await;
    stop.send(true).unwrap();
    for (writer, account) in writers.into_iter().zip(&accounts) {
        let last = writer.await.unwrap();
        assert_eq!(
            ids(&store.waiting(account).await.unwrap()),
            (1..=last).collect::<Vec<_>>()
        );
    }
    // Before the server goes for good.
    assert!(database.close().await);
}
