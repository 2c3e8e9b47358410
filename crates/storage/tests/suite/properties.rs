//! Any changes, in any commits: a database holds what the store in memory holds.

use std::sync::Arc;

use account::{Change, HeldRow, WaitingRow};
use features::{LastSeen, Record, Write};
use machine::Timestamp;
use privacy::ListName;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use roster::Relation;
use stanza::Address;
use stream_management::StoredId;

use crate::asking::{address, shown};
use crate::places::{Place, on_every_database};

on_every_database!(any_changes_lead_to_the_same_contents);

const HISTORIES: usize = 60;

async fn any_changes_lead_to_the_same_contents(mut place: Place) {
    let expected = Place::memory();
    let mut runner = TestRunner::new(Config::default());
    let history = vec(vec(change(), 1..8), 1..30);
    let mut accounts = Vec::new();
    for number in 0..HISTORIES {
        let account = address(&format!("user{number}@montague.lit"));
        for store in [&place.asker, &expected.asker] {
            store.create(&account).await.unwrap();
        }
        for changes in history.new_tree(&mut runner).unwrap().current() {
            let outcome = place.asker.commit(&account, changes.clone()).await;
            assert_eq!(
                outcome,
                expected.asker.commit(&account, changes.clone()).await,
                "{changes:#?}"
            );
            if outcome.is_err() {
                same(&place, &expected, &account, &format!("{changes:?}")).await;
            }
        }
        same(&place, &expected, &account, "at the end").await;
        accounts.push(account);
    }
    place.reopen().await;
    for account in &accounts {
        same(&place, &expected, account, "after reopening").await;
    }
}

async fn same(place: &Place, expected: &Place, account: &Address, when: &str) {
    let (store, model) = (&place.asker, &expected.asker);
    let saved = model.load(account).await.unwrap();
    assert_eq!(
        shown(&store.load(account).await.unwrap()),
        shown(&saved),
        "{when}"
    );
    assert_eq!(
        store.waiting(account).await,
        model.waiting(account).await,
        "{when}"
    );
    for (record, _) in saved.blobs.sizes() {
        assert_eq!(
            store.record(account, record.clone()).await,
            model.record(account, record.clone()).await,
            "{when}"
        );
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => roster_change().prop_map(Change::Roster),
        6 => privacy_change().prop_map(Change::Privacy),
        4 => (0_i64..40, any::<i64>(), bytes()).prop_map(|(id, at, bytes)| Change::Wait(WaitingRow {
            id: StoredId(id),
            at: Timestamp::from_unix_micros(at),
            bytes,
        })),
        4 => vec((0_i64..40).prop_map(StoredId), 0..10).prop_map(Change::Unwait),
        3 => (record(), proptest::option::of(bytes()))
            .prop_map(|(record, bytes)| Change::Write(Write { record, bytes })),
        1 => (0_u8..4, any::<bool>(), 0_u8..3).prop_map(|(resource, broadcast, directed)| Change::Held(HeldRow {
            resource: resource.to_string(),
            broadcast,
            directed: (0..directed).map(|number| address(&format!("{number}@elsewhere.lit"))).collect(),
        })),
        1 => (0_u8..4).prop_map(|resource| Change::NotHeld(resource.to_string())),
        1 => (any::<i64>(), proptest::option::of(text())).prop_map(|(at, status)| Change::Left(LastSeen {
            at: Timestamp::from_unix_micros(at),
            status,
        })),
    ]
}

fn roster_change() -> impl Strategy<Value = roster::Change> {
    let version = 0..=i64::MAX as u64;
    let item = (
        contact(),
        text(),
        vec("[^\\x00-\\x1f]{1,8}", 0..4),
        proptest::sample::select(&Relation::ALL[..]),
        any::<[bool; 2]>(),
        version.clone(),
    );
    prop_oneof![
        4 => item.prop_map(|(contact, name, groups, relation, [ask, approved], version)| {
            roster::Change::Item(roster::ItemRow { contact, name, groups, relation, ask, approved, version })
        }),
        2 => (contact(), version.clone()).prop_map(|(contact, version)| roster::Change::Removed { contact, version }),
        1 => contact().prop_map(|contact| roster::Change::RemovalForgotten { contact }),
        2 => (contact(), bytes()).prop_map(|(contact, stanza)| roster::Change::Request {
            contact,
            stanza: Arc::from(stanza),
        }),
        1 => contact().prop_map(|contact| roster::Change::RequestSettled { contact }),
        1 => [version.clone(), version].prop_map(|[current, complete_since]| roster::Change::Version {
            current,
            complete_since,
        }),
    ]
}

fn privacy_change() -> impl Strategy<Value = privacy::Change> {
    let name = || proptest::sample::select(&["", "one", "ONE", "two"][..]).prop_map(ListName::new);
    prop_oneof![
        3 => (name(), vec(rule(), 0..4)).prop_map(|(name, items)| privacy::Change::List { name, items }),
        3 => (name(), vec(0_u32..12, 0..6), vec(rule(), 0..3))
            .prop_map(|(name, removed, added)| privacy::Change::Items { name, removed, added }),
        1 => name().prop_map(|name| privacy::Change::Removed { name }),
        1 => proptest::option::of(name()).prop_map(|name| privacy::Change::Default { name }),
    ]
}

fn rule() -> impl Strategy<Value = privacy::ItemRow> {
    (0_u32..12, 0_u8..4, text(), any::<bool>(), 0_u8..16).prop_map(|(order, subject, value, deny, scope)| {
        privacy::ItemRow {
            order,
            subject,
            value,
            deny,
            scope,
        }
    })
}

fn contact() -> impl Strategy<Value = Address> {
    proptest::sample::select(
        &[
            "juliet@capulet.lit",
            "nurse@capulet.lit",
            "capulet.lit",
            "énée@ü.lit",
        ][..],
    )
    .prop_map(address)
}

/// What XML can write.
fn text() -> impl Strategy<Value = String> {
    "[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]{0,12}"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..200)
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        Just(Record::VCard),
        ("[ab]{0,1}", "[ab]{0,1}").prop_map(|(namespace, name)| Record::Private { namespace, name }),
    ]
}
