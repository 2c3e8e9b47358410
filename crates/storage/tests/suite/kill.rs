//! `kill -9` at any moment: what was acknowledged is there, whole, and in order.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use account::Change;
use storage::{Database, Settings, Url};

use crate::asking::{Asker, address, ids, wait};
use crate::places::{Directory, fresh_postgres, sqlite_url};

/// Tells the child what to write to.
const CHILD: &str = "BALCONY_TEST_CHILD_URL";

/// Accounts that write at once.
const ACCOUNTS: usize = 16;

/// Kills per database. The moments differ by how many acknowledgements were seen before.
const KILLS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_what_was_acknowledged() {
    let directory = Directory::new();
    // The display of a SQLite URL is the URL.
    let url = sqlite_url(&directory).to_string();
    survive(&url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn postgres_keeps_what_was_acknowledged() {
    let url = fresh_postgres().await.to_string();
    survive(&url).await;
}

async fn survive(url: &str) {
    let mut acknowledged = [0_i64; ACCOUNTS];
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child", "--exact", "--ignored", "--nocapture"])
            .env(CHILD, url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // From the very first ones, over single groups, to thousands.
        let enough = [1, 2, 5, 17, 40, 64, 100, 333, 700, 1000, 1500, 2000][kill % KILLS];
        let mut seen = 0;
        // After the kill, what had been printed before it is still read.
        while let Some(Ok(line)) = lines.next() {
            let Some((account, id)) = line.strip_prefix("kept ").and_then(|line| line.split_once(' ')) else {
                continue;
            };
            let (account, id): (usize, i64) = (account.parse().unwrap(), id.parse().unwrap());
            assert!(id > acknowledged[account], "each is acknowledged once, in order");
            acknowledged[account] = id;
            seen += 1;
            if seen == enough {
                child.kill().unwrap();
            }
        }
        assert!(seen >= enough, "the child got going");
        child.wait().unwrap();

        let database = open(url).await;
        let store = Asker(database.clone());
        for (account, &acknowledged) in acknowledged.iter().enumerate() {
            let account = address(&format!("user{account}@montague.lit"));
            let rows = ids(&store.waiting(&account).await.unwrap());
            assert_eq!(rows, (1..=rows.len() as i64).collect::<Vec<_>>(), "no gaps");
            assert!(
                rows.len() as i64 >= acknowledged,
                "acknowledged {acknowledged}, kept {}",
                rows.len()
            );
            let version = store.load(&account).await.unwrap().roster.version;
            assert_eq!(version, rows.len() as u64, "both changes of a commit, or none");
        }
        assert!(database.close().await);
    }
}

async fn open(url: &str) -> std::sync::Arc<Database> {
    let url: Url = url.parse().unwrap();
    std::sync::Arc::new(Database::open(Settings::new(url)).await.unwrap())
}

/// Commits without an end, and prints what is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the tests that kill it"]
async fn child() {
    let url = std::env::var(CHILD).expect("only run by the tests that kill it");
    let store = Asker(open(&url).await);
    for number in 0..ACCOUNTS {
        tokio::spawn(commit_without_end(store.clone(), number));
    }
    std::future::pending().await
}

async fn commit_without_end(store: Asker, number: usize) {
    let account = address(&format!("user{number}@montague.lit"));
    store.create(&account).await.unwrap();
    let mut version = store.load(&account).await.unwrap().roster.version;
    loop {
        version += 1;
        let id = i64::try_from(version).unwrap();
        let counted = Change::Roster(roster::Change::Version {
            current: version,
            complete_since: 0,
        });
        store.commit(&account, vec![wait(id), counted]).await.unwrap();
        let line = format!("kept {number} {id}\n");
        // One write, so that the kill does not cut it in two.
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}
