//! Accounts are made, found, changed, listed and deleted; what is learnt of clients is kept beside them.

use account::{Change, Flags, Saved, Standing};
use features::{Record, Write};
use privacy::ListName;
use stream_management::StoredId;

use crate::asking::{address, argon2id, keys, shown, wait};
use crate::contents::{item, one_of_each};
use crate::places::{Place, on_every_store};

on_every_store!(
    an_account_is_made_once_and_found_by_its_address,
    credentials_come_back_as_they_were_stored,
    flags_are_kept_one_by_one,
    accounts_are_listed_by_host_in_order,
    a_deleted_account_leaves_nothing_behind,
    what_is_not_there_is_no_error,
    psa_01_capabilities_are_kept_and_forgotten_and_belong_to_no_account,
);

async fn an_account_is_made_once_and_found_by_its_address(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    assert_eq!(store.create_with(&romeo, argon2id("first")).await, Ok(true));
    assert_eq!(store.create_with(&romeo, argon2id("second")).await, Ok(false));
    let login = store.login(&romeo).await.unwrap().unwrap();
    assert_eq!(login.credentials, argon2id("first"), "the second did nothing");
    assert_eq!(store.load(&romeo).await.unwrap().standing, Standing::Known);
    for other in ["romeo@capulet.lit", "juliet@montague.lit", "montague.lit"] {
        assert!(store.login(&address(other)).await.unwrap().is_none(), "{other}");
    }
}

async fn credentials_come_back_as_they_were_stored(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    let all = [
        sasl::Stored::Scram {
            sha1: keys(1, 4096),
            sha256: keys(2, 10_000),
            sha512: None,
        },
        sasl::Stored::Scram {
            sha1: None,
            sha256: None,
            sha512: keys(3, u32::MAX),
        },
        argon2id("$argon2id$v=19$…"),
    ];
    assert_eq!(
        store.set_credentials(&romeo, argon2id("nobody's")).await,
        Ok(false)
    );
    store.create(&romeo).await.unwrap();
    for credentials in all {
        assert_eq!(store.set_credentials(&romeo, credentials.clone()).await, Ok(true));
        assert_eq!(
            store.login(&romeo).await.unwrap().unwrap().credentials,
            credentials
        );
    }
    let juliet = address("juliet@capulet.lit");
    let credentials = sasl::Stored::Scram {
        sha1: keys(9, 1),
        sha256: keys(10, 2),
        sha512: keys(11, 3),
    };
    store.create_with(&juliet, credentials.clone()).await.unwrap();
    assert_eq!(
        store.login(&juliet).await.unwrap().unwrap().credentials,
        credentials
    );
}

async fn flags_are_kept_one_by_one(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    assert_eq!(store.set_flags(&romeo, Flags::default()).await, Ok(false));
    store.create(&romeo).await.unwrap();
    for flags in one_by_one() {
        assert_eq!(store.set_flags(&romeo, flags).await, Ok(true));
        assert_eq!(store.load(&romeo).await.unwrap().flags, flags);
        assert_eq!(store.login(&romeo).await.unwrap().unwrap().flags, flags);
        assert_eq!(store.list(None).await.unwrap()[0].flags, flags);
    }
}

fn one_by_one() -> [Flags; 6] {
    let none = Flags::default();
    [
        Flags {
            disabled: true,
            ..none
        },
        Flags {
            deceased: true,
            ..none
        },
        Flags {
            next_of_kin_notified: true,
            ..none
        },
        Flags {
            poke_disabled: true,
            ..none
        },
        Flags {
            attention_from_strangers_off: true,
            ..none
        },
        none,
    ]
}

async fn accounts_are_listed_by_host_in_order(place: Place) {
    let store = &place.asker;
    for name in [
        "tybalt@capulet.lit",
        "romeo@montague.lit",
        "a-b@capulet.lit",
        "ab@capulet.lit",
        "énée@capulet.lit",
    ] {
        store.create(&address(name)).await.unwrap();
    }
    let tybalt = address("tybalt@capulet.lit");
    store
        .commit(&tybalt, vec![wait(1), wait(2), item("juliet@capulet.lit", 1)])
        .await
        .unwrap();
    let shown = |views: Vec<router::AccountView>| -> Vec<String> {
        views
            .iter()
            .map(|view| format!("{} {} {}", view.address, view.contacts, view.waiting))
            .collect()
    };
    let capulets = [
        "a-b@capulet.lit 0 0",
        "ab@capulet.lit 0 0",
        "tybalt@capulet.lit 1 2",
        "énée@capulet.lit 0 0",
    ];
    assert_eq!(shown(store.list(Some("capulet.lit")).await.unwrap()), capulets);
    assert_eq!(store.list(None).await.unwrap().len(), 5);
    assert!(store.list(Some("verona.lit")).await.unwrap().is_empty());
}

async fn a_deleted_account_leaves_nothing_behind(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    assert_eq!(store.delete(&romeo).await, Ok(false));
    store.create(&romeo).await.unwrap();
    store.commit(&romeo, one_of_each()).await.unwrap();
    assert_eq!(store.delete(&romeo).await, Ok(true));
    assert_eq!(
        shown(&store.load(&romeo).await.unwrap()),
        shown(&Saved::default())
    );
    assert!(store.waiting(&romeo).await.unwrap().is_empty());
    assert_eq!(store.record(&romeo, Record::VCard).await, Ok(None));

    store.create(&romeo).await.unwrap();
    let saved = store.load(&romeo).await.unwrap();
    let fresh = Saved {
        standing: Standing::Known,
        ..Saved::default()
    };
    assert_eq!(shown(&saved), shown(&fresh), "a namesake inherits nothing");
    assert!(store.waiting(&romeo).await.unwrap().is_empty());
}

async fn what_is_not_there_is_no_error(place: Place) {
    let (store, nobody) = (&place.asker, address("nobody@montague.lit"));
    assert_eq!(store.load(&nobody).await.unwrap().standing, Standing::Unknown);
    assert_eq!(store.waiting(&nobody).await, Ok(Vec::new()));
    assert_eq!(store.record(&nobody, Record::VCard).await, Ok(None));
    assert!(store.login(&nobody).await.unwrap().is_none());
    assert_eq!(store.delete(&nobody).await, Ok(false));
    store.create(&nobody).await.unwrap();
    let changes = vec![
        Change::Unwait(vec![StoredId(7)]),
        Change::Roster(roster::Change::RemovalForgotten {
            contact: address("a@b"),
        }),
        Change::Roster(roster::Change::RequestSettled {
            contact: address("a@b"),
        }),
        Change::Privacy(privacy::Change::Removed {
            name: ListName::new("none"),
        }),
        Change::Write(Write {
            record: Record::VCard,
            bytes: None,
        }),
    ];
    assert_eq!(store.commit(&nobody, changes).await, Ok(()));
}

async fn psa_01_capabilities_are_kept_and_forgotten_and_belong_to_no_account(mut place: Place) {
    let romeo = address("romeo@montague.lit");
    let hash = |value: &str, number| presence::KnownHash {
        form: "sha-1".to_owned(),
        value: value.to_owned(),
        wants_annotations: number % 2 == 0,
        number,
    };
    let lesson = |value: &str, number, forgotten: Option<&str>| presence::Lesson {
        learnt: hash(value, number),
        forgotten: forgotten
            .map(|value| ("sha-1".to_owned(), value.to_owned()))
            .into_iter()
            .collect(),
    };
    let store = &place.asker;
    assert_eq!(store.capabilities().await.unwrap(), []);
    store.create(&romeo).await.unwrap();
    for (value, number) in [("a", 0), ("b", 1)] {
        store.learn(&romeo, lesson(value, number, None)).await.unwrap();
    }
    store.learn(&romeo, lesson("c", 2, Some("a"))).await.unwrap();
    assert_eq!(store.delete(&romeo).await, Ok(true));
    store.learn(&romeo, lesson("d", 4, None)).await.unwrap();
    place.reopen().await;
    let mut kept = place.asker.capabilities().await.unwrap();
    kept.sort_by_key(|hash| hash.number);
    assert_eq!(kept, [hash("b", 1), hash("c", 2), hash("d", 4)]);
}
