//! Many who write at once: few transactions, the order of each account, and one who fails does not harm the others.

use account::Change;
use router::StoreError;
use storage::Operation;

use crate::asking::{address, argon2id, ids, wait};
use crate::places::{Place, on_every_database};

on_every_database!(
    many_commits_share_few_transactions,
    commits_of_one_account_keep_their_order,
    writes_of_all_kinds_keep_their_order,
    one_refused_commit_does_not_harm_its_group,
    what_is_asked_before_closing_is_done,
);

async fn many_commits_share_few_transactions(place: Place) {
    let store = &place.asker;
    let accounts: Vec<_> = (0..64)
        .map(|n| address(&format!("user{n}@montague.lit")))
        .collect();
    for account in &accounts {
        store.create(account).await.unwrap();
    }
    let before = place.database().figures().count(Operation::Transaction);
    let writers: Vec<_> = accounts
        .iter()
        .cloned()
        .map(|account| {
            let store = store.clone();
            tokio::spawn(async move {
                for id in 1..=20 {
                    store.commit(&account, vec![wait(id)]).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let figures = place.database().figures();
    let transactions = figures.count(Operation::Transaction) - before;
    assert_eq!(figures.count(Operation::Commit), 64 * 20);
    assert!(
        transactions < 64 * 20 / 8,
        "{transactions} transactions for {} commits",
        64 * 20
    );
    for account in &accounts {
        assert_eq!(
            ids(&store.waiting(account).await.unwrap()),
            (1..=20).collect::<Vec<_>>()
        );
    }
}

fn version(current: u64) -> Change {
    Change::Roster(roster::Change::Version {
        current,
        complete_since: 0,
    })
}

async fn commits_of_one_account_keep_their_order(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    let (told, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for n in 1..=500 {
        let told = told.clone();
        let done = move |outcome| told.send((n, outcome)).unwrap();
        store
            .0
            .commit_account(romeo.clone(), vec![version(n)], Box::new(done));
    }
    for n in 1..=500 {
        assert_eq!(answers.recv().await, Some((n, Ok(()))), "answers come in order");
    }
    assert_eq!(store.load(&romeo).await.unwrap().roster.version, 500);
}

async fn writes_of_all_kinds_keep_their_order(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    let (told, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut expected = Vec::new();
    for _ in 0..50 {
        for step in 0..4 {
            let told = told.clone();
            let done = Box::new(move |outcome| told.send(outcome).unwrap());
            let account = romeo.clone();
            match step {
                0 => store.0.create_account(account, argon2id(""), done),
                1 => store.0.create_account(account, argon2id(""), done),
                2 => store.0.commit_account(
                    account,
                    vec![wait(1)],
                    Box::new(move |outcome| done(outcome.map(|()| true))),
                ),
                _ => store.0.delete_account(account, done),
            }
            expected.push(Ok(step != 1));
        }
    }
    for outcome in expected {
        assert_eq!(answers.recv().await, Some(outcome));
    }
}

async fn one_refused_commit_does_not_harm_its_group(place: Place) {
    const BAD: i64 = 77;
    let store = &place.asker;
    let accounts: Vec<_> = (0..200)
        .map(|n| address(&format!("user{n}@montague.lit")))
        .collect();
    for account in &accounts {
        store.create(account).await.unwrap();
    }
    let before = place.database().figures().count(Operation::Transaction);
    let (told, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for (n, account) in (0..).zip(&accounts) {
        for id in 1..=3 {
            let told = told.clone();
            let done = move |outcome| told.send((n, id, outcome)).unwrap();
            // The second one of one account puts two stanzas in one place.
            let changes = match (n, id) {
                (BAD, 2) => vec![wait(2), wait(1)],
                _ => vec![wait(id)],
            };
            store.0.commit_account(account.clone(), changes, Box::new(done));
        }
    }
    for _ in 0..600 {
        let (n, id, outcome) = answers.recv().await.unwrap();
        let expected = if n == BAD && id >= 2 {
            Err(StoreError::Refused)
        } else {
            Ok(())
        };
        assert_eq!(outcome, expected, "account {n}, commit {id}");
    }
    let transactions = place.database().figures().count(Operation::Transaction) - before;
    assert!(transactions < 60, "{transactions} transactions");
    for (n, account) in (0..).zip(&accounts) {
        let expected = if n == BAD { vec![1] } else { vec![1, 2, 3] };
        assert_eq!(ids(&store.waiting(account).await.unwrap()), expected);
    }
}

async fn what_is_asked_before_closing_is_done(mut place: Place) {
    let (store, romeo) = (place.asker.clone(), address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    let (told, mut answers) = tokio::sync::mpsc::unbounded_channel();
    for id in 1..=300 {
        let told = told.clone();
        let done = move |outcome| told.send(outcome).unwrap();
        store
            .0
            .commit_account(romeo.clone(), vec![wait(id)], Box::new(done));
    }
    place.reopen().await;
    for _ in 1..=300 {
        assert_eq!(answers.try_recv(), Ok(Ok(())), "answered before it was closed");
    }
    assert_eq!(place.asker.waiting(&romeo).await.unwrap().len(), 300);
    assert_eq!(
        store.commit(&romeo, vec![wait(301)]).await,
        Err(StoreError::Unavailable),
        "a closed store answers, too"
    );
    assert!(store.load(&romeo).await.is_err());
}
