//! Rooms: their rows, what is left of them, and who is in them.

use machine::Timestamp;
use muc::{AffiliationRow, Change, OccupantRow, RoomRow, SaidRow, Saved, Tombstone};
use router::{StoreError, WhichRooms};
use stanza::Address;

use crate::asking::address;
use crate::places::{Place, on_every_store};

on_every_store!(
    a_room_is_kept_with_all_that_belongs_to_it,
    what_changes_in_a_room_is_replaced_and_removed,
    of_the_history_the_newest_come_back_and_the_rest_is_forgotten,
    what_belongs_to_a_room_that_is_not_there_is_refused_whole,
    a_room_that_ends_leaves_nothing_behind,
    a_destroyed_room_leaves_a_tombstone_until_there_is_another,
    old_tombstones_are_forgotten,
    rooms_are_listed_by_service_and_by_creator_and_counted_by_service,
    whoever_is_in_a_room_from_elsewhere_is_known_without_the_room,
    after_a_lost_commit_nothing_is_made_until_the_room_is_loaded,
);

pub(crate) fn coven() -> Address {
    address("coven@rooms.montague.lit")
}

pub(crate) fn room_row(creator: &str, title: &str) -> RoomRow {
    RoomRow {
        creator: address(creator),
        title: title.to_owned(),
        listed: true,
        configuration: "<x xmlns='jabber:x:data' type='submit'/>".to_owned(),
        secret: "abc".to_owned(),
    }
}

fn room(creator: &str, title: &str) -> Change {
    Change::Room(Box::new(room_row(creator, title)))
}

fn affiliation(user: &str, code: i64, nick: Option<&str>) -> AffiliationRow {
    AffiliationRow {
        user: address(user),
        affiliation: code,
        nick: nick.map(str::to_owned),
    }
}

fn said(id: i64) -> SaidRow {
    SaidRow {
        id,
        at: Timestamp::from_unix_micros(1_700_000_000_000_000 + id),
        stanza: format!("<message id='{id}'><body>☺</body></message>").into_bytes(),
    }
}

fn occupant(client: &str, nick: &str) -> OccupantRow {
    OccupantRow {
        client: address(client),
        nick: nick.to_owned(),
    }
}

fn tombstone(at: i64) -> Tombstone {
    Tombstone {
        at: Timestamp::from_unix_micros(at),
        alternative: Some(address("darkcave@rooms.montague.lit")),
        reason: Some("Macbeth doth come.".to_owned()),
    }
}

fn destroyed(at: i64, forget: i64) -> Change {
    Change::Destroyed {
        tombstone: tombstone(at),
        forget: Timestamp::from_unix_micros(forget),
    }
}

/// A room with everything.
pub(crate) fn everything() -> Vec<Change> {
    vec![
        room("crone1@montague.lit", "A ' \" <dark> cave ☺"),
        Change::Subject(Some(b"<message><subject>Fire</subject></message>".to_vec())),
        Change::Card(Some(b"<vCard/>".to_vec())),
        Change::Affiliation(affiliation("crone1@montague.lit", 4, Some("firstwitch"))),
        Change::Affiliation(affiliation("capulet.lit", 0, None)),
        Change::Said(said(1)),
        Change::Said(said(2)),
        Change::Entered(occupant("hag66@shakespeare.lit/pda", "thirdwitch")),
    ]
}

pub(crate) fn everything_saved() -> Saved {
    Saved {
        room: Some(room_row("crone1@montague.lit", "A ' \" <dark> cave ☺")),
        subject: Some(b"<message><subject>Fire</subject></message>".to_vec()),
        card: Some(b"<vCard/>".to_vec()),
        affiliations: vec![
            affiliation("capulet.lit", 0, None),
            affiliation("crone1@montague.lit", 4, Some("firstwitch")),
        ],
        history: vec![said(1), said(2)],
        occupants: vec![occupant("hag66@shakespeare.lit/pda", "thirdwitch")],
        tombstone: None,
    }
}

async fn a_room_is_kept_with_all_that_belongs_to_it(mut place: Place) {
    assert_eq!(place.asker.room(&coven(), 9).await, Ok(Saved::default()));
    place.asker.keep_room(&coven(), everything()).await.unwrap();
    place.reopen().await;
    assert_eq!(place.asker.room(&coven(), 9).await, Ok(everything_saved()));
    let other = address("heath@rooms.montague.lit");
    assert_eq!(place.asker.room(&other, 9).await, Ok(Saved::default()));
}

async fn what_changes_in_a_room_is_replaced_and_removed(place: Place) {
    let store = &place.asker;
    store.keep_room(&coven(), everything()).await.unwrap();
    let changes = vec![
        room("crone1@montague.lit", "Another"),
        Change::Subject(None),
        Change::Card(None),
        Change::Affiliation(affiliation("crone1@montague.lit", 3, None)),
        Change::NoAffiliation(address("capulet.lit")),
        Change::NoAffiliation(address("nobody@capulet.lit")),
        Change::Entered(occupant("hag66@shakespeare.lit/pda", "hag")),
        Change::Left(address("nobody@shakespeare.lit/pda")),
    ];
    store.keep_room(&coven(), changes).await.unwrap();
    let expected = Saved {
        room: Some(room_row("crone1@montague.lit", "Another")),
        subject: None,
        card: None,
        affiliations: vec![affiliation("crone1@montague.lit", 3, None)],
        occupants: vec![occupant("hag66@shakespeare.lit/pda", "hag")],
        ..everything_saved()
    };
    assert_eq!(store.room(&coven(), 9).await, Ok(expected));
}

async fn of_the_history_the_newest_come_back_and_the_rest_is_forgotten(place: Place) {
    let store = &place.asker;
    let mut changes = vec![room("crone1@montague.lit", "")];
    changes.extend((1..=30).map(|id| Change::Said(said(id))));
    store.keep_room(&coven(), changes).await.unwrap();
    let ids = |saved: Saved| -> Vec<i64> { saved.history.iter().map(|row| row.id).collect() };
    assert_eq!(ids(store.room(&coven(), 3).await.unwrap()), [28, 29, 30]);
    assert_eq!(ids(store.room(&coven(), 0).await.unwrap()), Vec::<i64>::new());
    store
        .keep_room(&coven(), vec![Change::Forgotten(27), Change::Said(said(31))])
        .await
        .unwrap();
    assert_eq!(ids(store.room(&coven(), 100).await.unwrap()), [28, 29, 30, 31]);
    assert_eq!(
        store.keep_room(&coven(), vec![Change::Said(said(31))]).await,
        Err(StoreError::Refused),
        "a place is taken once"
    );
}

async fn what_belongs_to_a_room_that_is_not_there_is_refused_whole(place: Place) {
    let store = &place.asker;
    let heath = address("heath@rooms.montague.lit");
    let changes = vec![
        Change::Entered(occupant("hag66@shakespeare.lit/pda", "hag")),
        Change::Said(said(1)),
    ];
    assert_eq!(store.keep_room(&heath, changes).await, Err(StoreError::Refused));
    assert_eq!(store.room(&heath, 9).await, Ok(Saved::default()));
    store.keep_room(&coven(), everything()).await.unwrap();
    assert_eq!(store.room(&coven(), 9).await, Ok(everything_saved()));
}

async fn a_room_that_ends_leaves_nothing_behind(place: Place) {
    let store = &place.asker;
    store.keep_room(&coven(), everything()).await.unwrap();
    let changes = vec![
        Change::Removed,
        Change::Left(address("hag66@shakespeare.lit/pda")),
    ];
    store.keep_room(&coven(), changes).await.unwrap();
    assert_eq!(store.room(&coven(), 9).await, Ok(Saved::default()));
    store
        .keep_room(&coven(), vec![room("hag66@shakespeare.lit", "")])
        .await
        .unwrap();
    let namesake = Saved {
        room: Some(room_row("hag66@shakespeare.lit", "")),
        ..Saved::default()
    };
    assert_eq!(
        store.room(&coven(), 9).await,
        Ok(namesake),
        "a namesake inherits nothing"
    );
}

async fn a_destroyed_room_leaves_a_tombstone_until_there_is_another(mut place: Place) {
    place.asker.keep_room(&coven(), everything()).await.unwrap();
    let changes = vec![
        destroyed(1000, 0),
        Change::Left(address("hag66@shakespeare.lit/pda")),
    ];
    place.asker.keep_room(&coven(), changes).await.unwrap();
    place.reopen().await;
    let store = &place.asker;
    let expected = Saved {
        tombstone: Some(tombstone(1000)),
        ..Saved::default()
    };
    assert_eq!(store.room(&coven(), 9).await, Ok(expected));
    assert!(store.rooms(WhichRooms::All).await.unwrap().is_empty());
    store
        .keep_room(&coven(), vec![room("hag66@shakespeare.lit", "")])
        .await
        .unwrap();
    assert_eq!(store.room(&coven(), 9).await.unwrap().tombstone, None);
    store.keep_room(&coven(), vec![Change::Removed]).await.unwrap();
    assert_eq!(store.room(&coven(), 9).await, Ok(Saved::default()));
}

async fn old_tombstones_are_forgotten(place: Place) {
    let store = &place.asker;
    for (name, at, forget) in [("one", 1000, 0), ("two", 2000, 0), ("three", 3000, 2000)] {
        let room = address(&format!("{name}@rooms.montague.lit"));
        store.keep_room(&room, vec![destroyed(at, forget)]).await.unwrap();
    }
    let mut left = Vec::new();
    for name in ["one", "two", "three"] {
        let room = address(&format!("{name}@rooms.montague.lit"));
        left.push(store.room(&room, 0).await.unwrap().tombstone.is_some());
    }
    assert_eq!(left, [false, true, true]);
}

async fn rooms_are_listed_by_service_and_by_creator_and_counted_by_service(place: Place) {
    let store = &place.asker;
    for (name, creator) in [
        ("heath@rooms.montague.lit", "crone1@montague.lit"),
        ("coven@rooms.montague.lit", "crone1@montague.lit"),
        ("énée@rooms.montague.lit", "crone2@montague.lit"),
        ("coven@rooms.capulet.lit", "crone1@montague.lit"),
    ] {
        store
            .keep_room(&address(name), vec![room(creator, name)])
            .await
            .unwrap();
    }
    let hidden = Change::Room(Box::new(RoomRow {
        listed: false,
        ..room_row("crone1@montague.lit", "hidden")
    }));
    store
        .keep_room(&address("hidden@rooms.montague.lit"), vec![hidden])
        .await
        .unwrap();
    let names = |rooms: Vec<(Address, RoomRow)>| -> Vec<String> {
        rooms.iter().map(|(address, _)| address.to_string()).collect()
    };
    let listed = |max| WhichRooms::Listed {
        host: "rooms.montague.lit".to_owned(),
        max,
    };
    let montagues = [
        "coven@rooms.montague.lit",
        "heath@rooms.montague.lit",
        "énée@rooms.montague.lit",
    ];
    assert_eq!(names(store.rooms(listed(10)).await.unwrap()), montagues);
    assert_eq!(store.rooms(listed(2)).await.unwrap().len(), 2);
    assert_eq!(store.rooms(WhichRooms::All).await.unwrap().len(), 5);
    for (creator, count) in [
        ("crone1@montague.lit", 4),
        ("crone2@montague.lit", 1),
        ("crone3@montague.lit", 0),
    ] {
        let made = store.rooms(WhichRooms::MadeBy(address(creator))).await.unwrap();
        assert!(made.iter().all(|(_, row)| row.creator == address(creator)));
        assert_eq!(made.len(), count, "{creator}");
    }
    let services = [
        ("rooms.capulet.lit".to_owned(), 1),
        ("rooms.montague.lit".to_owned(), 4),
    ];
    assert_eq!(store.count_rooms().await, Ok(services.into()));
}

async fn whoever_is_in_a_room_from_elsewhere_is_known_without_the_room(mut place: Place) {
    let heath = address("heath@rooms.montague.lit");
    assert_eq!(place.asker.vanished().await, Ok(vec![]));
    for (room, client) in [
        (&heath, "hag66@shakespeare.lit/pda"),
        (&heath, "crone1@shakespeare.lit/desktop"),
        (&coven(), "hag66@shakespeare.lit/pda"),
    ] {
        let entered = Change::Entered(occupant(client, "nick"));
        place.asker.keep_room(room, vec![entered]).await.unwrap();
    }
    place.reopen().await;
    let store = &place.asker;
    assert_eq!(store.vanished().await, Ok(vec![coven(), heath.clone()]));
    let rows = vec![
        occupant("crone1@shakespeare.lit/desktop", "nick"),
        occupant("hag66@shakespeare.lit/pda", "nick"),
    ];
    assert_eq!(store.room(&heath, 0).await.unwrap().occupants, rows);
    let left = vec![Change::Left(address("hag66@shakespeare.lit/pda"))];
    store.keep_room(&coven(), left).await.unwrap();
    assert_eq!(store.vanished().await, Ok(vec![heath]));
}

async fn after_a_lost_commit_nothing_is_made_until_the_room_is_loaded(place: Place) {
    let store = &place.asker;
    let lost = vec![Change::Said(said(1))];
    assert_eq!(store.keep_room(&coven(), lost).await, Err(StoreError::Refused));
    assert_eq!(
        store.keep_room(&coven(), everything()).await,
        Err(StoreError::Refused),
        "it was decided by a machine that is wrong"
    );
    assert_eq!(store.room(&coven(), 9).await, Ok(Saved::default()));
    assert_eq!(store.keep_room(&coven(), everything()).await, Ok(()));
    assert_eq!(store.room(&coven(), 9).await, Ok(everything_saved()));
}
