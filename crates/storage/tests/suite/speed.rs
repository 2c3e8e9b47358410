//! How fast it is, each in turn:
//! `cargo test --release -p balcony-storage speed -- --ignored --nocapture --test-threads 1`, with a PostgreSQL that waits
//! for its disk, as that of `tests/postgres.sh` does not.

use std::time::Duration;

use account::Change;
use features::{Record, Write};
use roster::Relation;
use storage::{Durability, Operation, Settings};
use stream_management::StoredId;
use tokio::time::Instant;

use crate::asking::{Asker, address, wait};
use crate::places::{Directory, Place, fresh_postgres, sqlite_url};

/// How long each is measured.
const TIME: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn sqlite_full() {
    measure_sqlite(Durability::Full).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn sqlite_normal() {
    measure_sqlite(Durability::Normal).await;
}

async fn measure_sqlite(durability: Durability) {
    let directory = Directory::new();
    let mut settings = Settings::new(sqlite_url(&directory));
    settings.durability = durability;
    let place = Place::open(settings, Some(directory)).await;
    measure(&place, &format!("sqlite, {durability:?}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn postgres_full() {
    let url = fresh_postgres().await;
    let place = Place::open(Settings::new(url), None).await;
    measure(&place, "postgres, Full").await;
}

async fn measure(place: &Place, name: &str) {
    println!();
    for writers in [1, 8, 64, 256] {
        commits(place, name, writers).await;
    }
    loads(place, name).await;
}

/// Each account keeps a stanza and deletes one, again and again.
async fn commits(place: &Place, name: &str, writers: usize) {
    let accounts: Vec<_> = (0..writers)
        .map(|n| address(&format!("user{n}@w{writers}.lit")))
        .collect();
    for account in &accounts {
        place.asker.create(account).await.unwrap();
    }
    let before = place.database().figures();
    let processor = processor_time();
    let started = Instant::now();
    let tasks: Vec<_> = accounts
        .into_iter()
        .map(|account| {
            let store = place.asker.clone();
            tokio::spawn(async move {
                let mut id = 0;
                while started.elapsed() < TIME {
                    id += 1;
                    let gone = Change::Unwait(vec![StoredId(id - 10)]);
                    store.commit(&account, vec![wait(id), gone]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = started.elapsed();
    let processor = processor_time() - processor;
    let after = place.database().figures();
    let count = |operation| after.count(operation) - before.count(operation);
    let (commits, transactions) = (count(Operation::Commit), count(Operation::Transaction));
    println!(
        "{name}: {writers} at once: {:.0} commits/s, {:.0} transactions/s, {:.2} ms each, {:.0} µs of a processor",
        commits as f64 / took.as_secs_f64(),
        transactions as f64 / took.as_secs_f64(),
        1e3 * took.as_secs_f64() * writers as f64 / commits as f64,
        1e6 * processor.as_secs_f64() / commits as f64,
    );
}

/// Accounts with a roster of a hundred, lists, blobs and stanzas, and those with nothing.
async fn loads(place: &Place, name: &str) {
    let (full, empty) = (address("full@montague.lit"), address("empty@montague.lit"));
    for account in [&full, &empty] {
        place.asker.create(account).await.unwrap();
    }
    let mut changes: Vec<Change> = (0..100)
        .map(|n| {
            Change::Roster(roster::Change::Item(roster::ItemRow {
                contact: address(&format!("friend{n}@capulet.lit")),
                name: format!("Friend {n}"),
                groups: vec!["Friends".into()],
                relation: Relation::Both,
                ask: false,
                approved: false,
                version: n,
            }))
        })
        .collect();
    changes.extend((1..=10).map(wait));
    changes.push(Change::Write(Write {
        record: Record::VCard,
        bytes: Some(vec![b' '; 8000]),
    }));
    place.asker.commit(&full, changes).await.unwrap();
    for (account, what) in [(&full, "100 contacts, 10 stanzas, a vCard"), (&empty, "nothing")] {
        for askers in [1, 16] {
            let load = async |store: &Asker| drop(store.load(account).await.unwrap());
            each(
                name,
                &format!("load of an account with {what}"),
                &place.asker,
                askers,
                load,
            )
            .await;
        }
    }
    let login = async |store: &Asker| drop(store.login(&full).await.unwrap());
    each(name, "login", &place.asker, 16, login).await;
}

async fn each(name: &str, what: &str, store: &Asker, askers: usize, ask: impl AsyncFn(&Asker)) {
    let (processor, started) = (processor_time(), Instant::now());
    let mut count = 0_u32;
    let mut answers = Vec::new();
    while started.elapsed() < TIME / 2 {
        answers.clear();
        for _ in 0..askers {
            answers.push(ask(store));
        }
        count += askers as u32;
        join(&mut answers).await;
    }
    println!(
        "{name}: {what}, {askers} at once: {:.0}/s, {:.0} µs of a processor",
        f64::from(count) / started.elapsed().as_secs_f64(),
        1e6 * (processor_time() - processor).as_secs_f64() / f64::from(count),
    );
}

/// All of them at once.
async fn join(answers: &mut Vec<impl Future<Output = ()>>) {
    let mut pinned: Vec<_> = answers.drain(..).map(Box::pin).collect();
    std::future::poll_fn(|context| {
        pinned.retain_mut(|answer| answer.as_mut().poll(context).is_pending());
        if pinned.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

/// What this process has used, all threads together.
fn processor_time() -> Duration {
    let usage = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = usage.rsplit_once(')').unwrap();
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(10 * ticks)
}
