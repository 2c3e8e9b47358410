//! What was written for an account is what is read, change by change.

use std::sync::Arc;

use account::{Change, HeldRow};
use features::{LastSeen, Record, Write};
use machine::Timestamp;
use privacy::{ListName, ListRow};
use roster::{Relation, RemovalRow, RequestRow};
use stream_management::StoredId;

use crate::asking::{address, ids, record, row, wait};
use crate::places::{Place, on_every_store};

on_every_store!(
    roster_items_are_put_replaced_and_removed,
    roster_removals_are_remembered_until_forgotten,
    subscription_requests_wait_with_their_stanza,
    roster_versions_are_kept,
    privacy_lists_are_replaced_edited_and_removed,
    the_default_list_is_kept,
    stanzas_wait_in_the_order_of_their_ids,
    blobs_are_kept_by_their_key,
    the_last_presence_is_kept,
    held_presence_is_kept_by_resource_and_its_accounts_are_listed,
);

pub(crate) fn item(contact: &str, version: u64) -> Change {
    Change::Roster(roster::Change::Item(roster_item(contact, version)))
}

fn roster_item(contact: &str, version: u64) -> roster::ItemRow {
    roster::ItemRow {
        contact: address(contact),
        name: String::new(),
        groups: Vec::new(),
        relation: Relation::None,
        ask: false,
        approved: false,
        version,
    }
}

async fn roster_items_are_put_replaced_and_removed(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    let mut juliet = roster::ItemRow {
        name: "Juliet ' \" \\ % ☺".into(),
        groups: vec!["Friends".into(), "with, comma".into(), "z\nnewline".into()],
        relation: Relation::Both,
        ask: true,
        approved: true,
        ..roster_item("juliet@capulet.lit", 3)
    };
    let put = |item: &roster::ItemRow| Change::Roster(roster::Change::Item(item.clone()));
    store
        .commit(&romeo, vec![put(&juliet), item("nurse@capulet.lit", 4)])
        .await
        .unwrap();
    let items = store.load(&romeo).await.unwrap().roster.items;
    assert_eq!(items.len(), 2);
    assert!(items.contains(&juliet) && items.contains(&roster_item("nurse@capulet.lit", 4)));

    for relation in Relation::ALL {
        juliet = roster::ItemRow {
            relation,
            ..roster_item("juliet@capulet.lit", 5)
        };
        store.commit(&romeo, vec![put(&juliet)]).await.unwrap();
        assert!(store.load(&romeo).await.unwrap().roster.items.contains(&juliet));
    }
    let removed = Change::Roster(roster::Change::Removed {
        contact: juliet.contact.clone(),
        version: 6,
    });
    store.commit(&romeo, vec![removed]).await.unwrap();
    let items = store.load(&romeo).await.unwrap().roster.items;
    assert_eq!(items, [roster_item("nurse@capulet.lit", 4)]);
}

async fn roster_removals_are_remembered_until_forgotten(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    let (juliet, nurse) = (address("juliet@capulet.lit"), address("nurse@capulet.lit"));
    let removed = |contact: &stanza::Address, version| {
        Change::Roster(roster::Change::Removed {
            contact: contact.clone(),
            version,
        })
    };
    let changes = vec![removed(&juliet, 1), removed(&nurse, 2), removed(&juliet, 3)];
    store.commit(&romeo, changes).await.unwrap();
    let mut removals = store.load(&romeo).await.unwrap().roster.removals;
    removals.sort_by_key(|row| row.version);
    let row = |contact: &stanza::Address, version| RemovalRow {
        contact: contact.clone(),
        version,
    };
    assert_eq!(removals, [row(&nurse, 2), row(&juliet, 3)]);

    // An item that is there again takes its removal away.
    let forgotten = Change::Roster(roster::Change::RemovalForgotten { contact: nurse });
    store
        .commit(&romeo, vec![forgotten, item("juliet@capulet.lit", 4)])
        .await
        .unwrap();
    assert!(store.load(&romeo).await.unwrap().roster.removals.is_empty());
}

async fn subscription_requests_wait_with_their_stanza(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    let request = |contact: &str, stanza: &[u8]| {
        Change::Roster(roster::Change::Request {
            contact: address(contact),
            stanza: Arc::from(stanza),
        })
    };
    let changes = vec![
        request("juliet@capulet.lit", b"<presence id='1'/>"),
        request("nurse@capulet.lit", b"<presence/>"),
        request("juliet@capulet.lit", b"<presence id='2'/>"),
        Change::Roster(roster::Change::RequestSettled {
            contact: address("nurse@capulet.lit"),
        }),
    ];
    store.commit(&romeo, changes).await.unwrap();
    let expected = RequestRow {
        contact: address("juliet@capulet.lit"),
        stanza: Arc::from(&b"<presence id='2'/>"[..]),
    };
    assert_eq!(store.load(&romeo).await.unwrap().roster.requests, [expected]);
}

async fn roster_versions_are_kept(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    let version = Change::Roster(roster::Change::Version {
        current: i64::MAX as u64,
        complete_since: 17,
    });
    store.commit(&romeo, vec![version]).await.unwrap();
    let roster = store.load(&romeo).await.unwrap().roster;
    assert_eq!((roster.version, roster.complete_since), (i64::MAX as u64, 17));
}

fn rule(order: u32) -> privacy::ItemRow {
    privacy::ItemRow {
        order,
        subject: 1,
        value: format!("user{order}@capulet.lit"),
        deny: order.is_multiple_of(2),
        scope: (order % 16) as u8,
    }
}

pub(crate) fn list(name: &str, orders: &[u32]) -> Change {
    Change::Privacy(privacy::Change::List {
        name: ListName::new(name),
        items: orders.iter().copied().map(rule).collect(),
    })
}

pub(crate) fn edit(name: &str, removed: &[u32], added: &[u32]) -> Change {
    Change::Privacy(privacy::Change::Items {
        name: ListName::new(name),
        removed: removed.to_vec(),
        added: added.iter().copied().map(rule).collect(),
    })
}

async fn privacy_lists_are_replaced_edited_and_removed(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    let lists = async || -> Vec<(String, Vec<u32>)> {
        let mut lists = store.load(&romeo).await.unwrap().privacy.lists;
        lists.sort_by(|one, other| one.name.cmp(&other.name));
        let orders = |list: &ListRow| {
            let mut items = list.items.clone();
            items.sort_by_key(|item| item.order);
            assert!(
                items.iter().all(|item| *item == rule(item.order)),
                "whole items come back"
            );
            items.iter().map(|item| item.order).collect()
        };
        lists
            .iter()
            .map(|list| (list.name.clone(), orders(list)))
            .collect()
    };
    let named = |name: &str, orders: &[u32]| (name.to_owned(), orders.to_vec());

    let changes = vec![
        list("one", &[1, 2, 3]),
        list("two", &[u32::MAX, 0]),
        list("", &[]),
    ];
    store.commit(&romeo, changes).await.unwrap();
    assert_eq!(
        lists().await,
        [
            named("", &[]),
            named("one", &[1, 2, 3]),
            named("two", &[0, u32::MAX])
        ]
    );

    let changes = vec![list("one", &[3, 9]), edit("two", &[0, 77], &[5, 6])];
    store.commit(&romeo, changes).await.unwrap();
    assert_eq!(
        lists().await,
        [
            named("", &[]),
            named("one", &[3, 9]),
            named("two", &[5, 6, u32::MAX])
        ]
    );

    // An order that is removed may be added anew in the same change.
    let gone = Change::Privacy(privacy::Change::Removed {
        name: ListName::new("one"),
    });
    store
        .commit(&romeo, vec![gone, edit("two", &[5], &[5])])
        .await
        .unwrap();
    assert_eq!(lists().await, [named("", &[]), named("two", &[5, 6, u32::MAX])]);
}

async fn the_default_list_is_kept(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    for name in [Some("one"), Some(""), None] {
        let default = Change::Privacy(privacy::Change::Default {
            name: name.map(ListName::new),
        });
        store.commit(&romeo, vec![default]).await.unwrap();
        assert_eq!(store.load(&romeo).await.unwrap().privacy.default.as_deref(), name);
    }
}

async fn stanzas_wait_in_the_order_of_their_ids(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    let changes = vec![wait(30), wait(-5), wait(20), wait(i64::MAX)];
    store.commit(&romeo, changes).await.unwrap();
    let rows = store.waiting(&romeo).await.unwrap();
    assert_eq!(rows, [row(-5), row(20), row(30), row(i64::MAX)]);
    let saved = store.load(&romeo).await.unwrap();
    let bytes = rows.iter().map(|row| row.bytes.len()).sum();
    assert_eq!(
        (saved.waiting, saved.last_waiting),
        ((4, bytes), Some(StoredId(i64::MAX)))
    );

    let gone = Change::Unwait(vec![StoredId(20), StoredId(i64::MAX), StoredId(1)]);
    store.commit(&romeo, vec![gone, wait(25)]).await.unwrap();
    assert_eq!(ids(&store.waiting(&romeo).await.unwrap()), [-5, 25, 30]);
    let gone = [-5, 25, 30].map(StoredId).to_vec();
    store.commit(&romeo, vec![Change::Unwait(gone)]).await.unwrap();
    let saved = store.load(&romeo).await.unwrap();
    assert_eq!((saved.waiting, saved.last_waiting), ((0, 0), None));
}

fn write(record: Record, bytes: Option<&[u8]>) -> Change {
    Change::Write(Write {
        record,
        bytes: bytes.map(<[u8]>::to_vec),
    })
}

async fn blobs_are_kept_by_their_key(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    let records = [
        Record::VCard,
        record("storage:bookmarks", "storage"),
        record("storage:bookmarks", "other"),
        record("", ""),
    ];
    for (place, record) in records.iter().enumerate() {
        let bytes = vec![place as u8; place * 50_000];
        store
            .commit(&romeo, vec![write(record.clone(), Some(&bytes))])
            .await
            .unwrap();
    }
    for (place, record) in records.iter().enumerate() {
        let bytes = vec![place as u8; place * 50_000];
        assert_eq!(store.record(&romeo, record.clone()).await, Ok(Some(bytes)));
    }
    let changes = vec![
        write(Record::VCard, Some(b"new")),
        write(records[2].clone(), None),
    ];
    store.commit(&romeo, changes).await.unwrap();
    assert_eq!(
        store.record(&romeo, Record::VCard).await,
        Ok(Some(b"new".to_vec()))
    );
    assert_eq!(store.record(&romeo, records[2].clone()).await, Ok(None));
    let blobs = store.load(&romeo).await.unwrap().blobs;
    let expected = features::Stored::new([
        (Record::VCard, 3),
        (records[1].clone(), 50_000),
        (records[3].clone(), 150_000),
    ]);
    assert_eq!(blobs, expected);
}

async fn the_last_presence_is_kept(place: Place) {
    let (store, romeo) = (&place.asker, address("romeo@montague.lit"));
    store.create(&romeo).await.unwrap();
    assert_eq!(store.load(&romeo).await.unwrap().left, None);
    for status in [Some(String::from("gone ☺")), Some(String::new()), None] {
        let left = LastSeen {
            at: Timestamp::from_unix_micros(-1),
            status,
        };
        store
            .commit(&romeo, vec![Change::Left(left.clone())])
            .await
            .unwrap();
        assert_eq!(store.load(&romeo).await.unwrap().left, Some(left));
    }
}

async fn held_presence_is_kept_by_resource_and_its_accounts_are_listed(mut place: Place) {
    let (romeo, juliet) = (address("romeo@montague.lit"), address("juliet@capulet.lit"));
    for account in [&romeo, &juliet] {
        place.asker.create(account).await.unwrap();
    }
    let held = |resource: &str, broadcast, directed: &[&str]| HeldRow {
        resource: resource.to_owned(),
        broadcast,
        directed: directed.iter().map(|to| address(to)).collect(),
    };
    assert_eq!(place.asker.held().await, Ok(Vec::new()));
    let orchard = held("orchard ' ☺", true, &[]);
    let balcony = held("balcony", false, &["nurse@verona.lit", "rooms.verona.lit/Roméo"]);
    let changes = [held("balcony", true, &[]), orchard.clone(), balcony.clone()];
    let changes = changes.into_iter().map(Change::Held).collect();
    place.asker.commit(&romeo, changes).await.unwrap();
    let chamber = Change::Held(held("chamber", true, &[]));
    place.asker.commit(&juliet, vec![chamber]).await.unwrap();

    place.reopen().await;
    let store = &place.asker;
    assert_eq!(store.load(&romeo).await.unwrap().held, [balcony.clone(), orchard]);
    assert_eq!(store.held().await, Ok(vec![juliet.clone(), romeo.clone()]));

    let gone = |resource: &str| Change::NotHeld(resource.to_owned());
    let changes = vec![gone("orchard ' ☺"), gone("never was there")];
    store.commit(&romeo, changes).await.unwrap();
    assert_eq!(store.load(&romeo).await.unwrap().held, [balcony]);
    store.commit(&romeo, vec![gone("balcony")]).await.unwrap();
    assert!(store.load(&romeo).await.unwrap().held.is_empty());
    assert_eq!(store.held().await, Ok(vec![juliet.clone()]));
    store.delete(&juliet).await.unwrap();
    assert_eq!(store.held().await, Ok(Vec::new()), "it goes with the account");
}

pub(crate) fn one_of_each() -> Vec<Change> {
    vec![
        item("juliet@capulet.lit", 1),
        Change::Roster(roster::Change::Removed {
            contact: address("tybalt@capulet.lit"),
            version: 2,
        }),
        Change::Roster(roster::Change::Request {
            contact: address("nurse@capulet.lit"),
            stanza: Arc::from(&b"<presence/>"[..]),
        }),
        Change::Roster(roster::Change::Version {
            current: 2,
            complete_since: 1,
        }),
        list("public", &[1, 2]),
        Change::Privacy(privacy::Change::Default {
            name: Some(ListName::new("public")),
        }),
        wait(1),
        wait(2),
        write(Record::VCard, Some(b"<vCard/>")),
        Change::Left(LastSeen {
            at: Timestamp::from_unix_micros(5),
            status: None,
        }),
    ]
}
