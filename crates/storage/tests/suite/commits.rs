//! A commit is made whole or not at all, is there after a restart, and is answered from outside the call.

use std::cell::Cell;

use account::{Change, Flags};
use features::Record;
use router::StoreError;

use crate::asking::{address, argon2id, ids, row, shown, wait};
use crate::contents::{edit, list, one_of_each};
use crate::places::{Place, on_every_store};

on_every_store!(
    everything_is_there_after_reopening,
    a_commit_is_made_whole_or_not_at_all,
    a_commit_for_nobody_is_refused,
    after_a_failed_commit_none_is_made_until_the_account_is_loaded,
    no_answer_comes_inside_the_call,
);

async fn everything_is_there_after_reopening(mut place: Place) {
    let romeo = address("romeo@montague.lit");
    place.asker.create(&romeo).await.unwrap();
    place.asker.commit(&romeo, one_of_each()).await.unwrap();
    let before = shown(&place.asker.load(&romeo).await.unwrap());
    place.reopen().await;
    assert_eq!(shown(&place.asker.load(&romeo).await.unwrap()), before);
    assert_eq!(place.asker.waiting(&romeo).await.unwrap(), [row(1), row(2)]);
    assert_eq!(
        place.asker.record(&romeo, Record::VCard).await,
        Ok(Some(b"<vCard/>".to_vec()))
    );
}

async fn a_commit_is_made_whole_or_not_at_all(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    store.commit(&romeo, vec![wait(1)]).await.unwrap();
    let before = shown(&store.load(&romeo).await.unwrap());
    for bad in [
        wait(1),
        edit("no such list", &[], &[1]),
        list("twice", &[1, 1]),
        edit("no such list", &[1], &[1]),
    ] {
        let mut changes = one_of_each();
        changes.retain(|change| !matches!(change, Change::Wait(_)));
        changes.extend([wait(3), bad]);
        assert_eq!(store.commit(&romeo, changes).await, Err(StoreError::Refused));
        assert_eq!(shown(&store.load(&romeo).await.unwrap()), before);
        assert_eq!(store.record(&romeo, Record::VCard).await, Ok(None));
    }
}

async fn a_commit_for_nobody_is_refused(place: Place) {
    let (store, nobody) = (&place.asker, address("nobody@montague.lit"));
    assert_eq!(
        store.commit(&nobody, vec![wait(1)]).await,
        Err(StoreError::Refused)
    );
    for never in ["montague.lit", "romeo@montague.lit/orchard"] {
        let never = address(never);
        assert_eq!(store.create(&never).await, Err(StoreError::Refused), "{never}");
    }
    // Whose number is remembered by the writer.
    store.create(&nobody).await.unwrap();
    store.load(&nobody).await.unwrap();
    store.commit(&nobody, vec![wait(1)]).await.unwrap();
    store.delete(&nobody).await.unwrap();
    assert_eq!(
        store.commit(&nobody, vec![wait(2)]).await,
        Err(StoreError::Refused)
    );
}

async fn after_a_failed_commit_none_is_made_until_the_account_is_loaded(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    let juliet = address("juliet@capulet.lit");
    store.create(&romeo).await.unwrap();
    store.create(&juliet).await.unwrap();
    store.commit(&romeo, vec![wait(1)]).await.unwrap();
    assert_eq!(
        store.commit(&romeo, vec![wait(1)]).await,
        Err(StoreError::Refused)
    );
    assert_eq!(
        store.commit(&romeo, vec![wait(2)]).await,
        Err(StoreError::Refused)
    );
    assert_eq!(
        store.commit(&juliet, vec![wait(1)]).await,
        Ok(()),
        "others are not concerned"
    );
    let flags = Flags {
        deceased: true,
        ..Flags::default()
    };
    assert_eq!(
        store.set_flags(&romeo, flags).await,
        Ok(true),
        "nor is the operator"
    );
    assert_eq!(ids(&store.waiting(&romeo).await.unwrap()), [1]);
    assert_eq!(
        store.commit(&romeo, vec![wait(2)]).await,
        Err(StoreError::Refused),
        "other questions change nothing"
    );
    store.load(&romeo).await.unwrap();
    assert_eq!(store.commit(&romeo, vec![wait(2)]).await, Ok(()));
    assert_eq!(ids(&store.waiting(&romeo).await.unwrap()), [1, 2]);
}

async fn no_answer_comes_inside_the_call(place: Place) {
    thread_local! {
        static ASKING: Cell<bool> = const { Cell::new(false) };
    }
    let (told, mut answered) = tokio::sync::mpsc::unbounded_channel();
    for name in ["romeo@montague.lit", "montague.lit"] {
        let told = told.clone();
        let done = move |outcome| told.send((outcome, ASKING.get())).unwrap();
        ASKING.set(true);
        place
            .asker
            .0
            .create_account(address(name), argon2id(""), Box::new(done));
        ASKING.set(false);
    }
    assert_eq!(answered.recv().await, Some((Ok(true), false)));
    assert_eq!(answered.recv().await, Some((Err(StoreError::Refused), false)));
}
