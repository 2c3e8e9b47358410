//! What is on disk is what the room is; what was on disk comes back; who is told what at the next start.

use std::collections::BTreeMap;
use std::time::Duration;

use machine::{Context, Machine, Moment, Random, Timestamp};
use stanza::{Address, Parcel, Stanza, Target};
use xml::{ContentNamespace, Element};

use super::*;
use crate::room::Out;
use crate::{AdminRequest, Effect, Input};

const CRONE: &str = "crone1@shakespeare.lit/desktop";
const WICCA: &str = "wiccarocks@shakespeare.lit/laptop";
/// From elsewhere.
const HAG: &str = "hag66@verona.lit/pda";

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

impl Random for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = u8::try_from(self.below(256)).unwrap();
        }
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A store of one room, as simple as can be.
#[derive(Debug, Default, Clone, PartialEq)]
struct Shelf(Saved);

impl Shelf {
    fn make(&mut self, change: Change) {
        let saved = &mut self.0;
        if let Change::Subject(_)
        | Change::Card(_)
        | Change::Affiliation(_)
        | Change::NoAffiliation(_)
        | Change::Said(_)
        | Change::Forgotten(_) = change
        {
            assert!(saved.room.is_some(), "{change:?} is of a room that has no row");
        }
        match change {
            Change::Room(row) => {
                saved.room = Some(*row);
                saved.tombstone = None;
            }
            Change::Removed => self.clear(None),
            Change::Destroyed { tombstone, .. } => self.clear(Some(tombstone)),
            Change::Subject(subject) => saved.subject = subject,
            Change::Card(card) => saved.card = card,
            Change::Affiliation(row) => {
                saved.affiliations.retain(|known| known.user != row.user);
                saved.affiliations.push(row);
                saved.affiliations.sort_by(|one, other| one.user.cmp(&other.user));
            }
            Change::NoAffiliation(user) => saved.affiliations.retain(|known| known.user != user),
            Change::Said(row) => {
                assert!(saved.history.last().is_none_or(|last| last.id < row.id));
                saved.history.push(row);
            }
            Change::Forgotten(up_to) => saved.history.retain(|row| row.id > up_to),
            Change::Entered(row) => {
                saved.occupants.retain(|known| known.client != row.client);
                saved.occupants.push(row);
            }
            Change::Left(client) => saved.occupants.retain(|known| known.client != client),
        }
    }

    fn clear(&mut self, tombstone: Option<Tombstone>) {
        self.0 = Saved {
            tombstone,
            occupants: std::mem::take(&mut self.0.occupants),
            ..Saved::default()
        };
    }

    /// As a store gives it back, with so much of the history.
    fn load(&self, history: usize) -> Saved {
        let mut saved = self.0.clone();
        let too_many = saved.history.len().saturating_sub(history);
        saved.history.drain(..too_many);
        saved
    }
}

struct Desk {
    room: Room,
    shelf: Shelf,
    settings: Settings,
    dice: Dice,
    wall: Timestamp,
    kept: Option<KeptRoom>,
}

impl Desk {
    fn new(seed: u64) -> Desk {
        Desk {
            room: Room::new(address("coven@chat.lit")),
            shelf: Shelf::default(),
            settings: Settings {
                local_domains: vec!["shakespeare.lit".to_owned()],
                history_max: 5,
                ..Settings::default()
            },
            dice: Dice(seed),
            wall: Timestamp::from_unix_micros(1_000_000),
            kept: None,
        }
    }

    /// A room that stays, with crone1 who made it.
    fn coven() -> Desk {
        let mut desk = Desk::new(7);
        desk.join(CRONE, "firstwitch");
        desk.configure(&[("muc#roomconfig_persistentroom", "1")]);
        desk
    }

    fn tell(&mut self, input: Input) -> Vec<String> {
        let mut out = Out::default();
        let mut context = Context {
            now: Moment::default(),
            wall: self.wall,
            random: &mut self.dice,
            settings: &self.settings,
        };
        self.room.handle(&mut context, input, &mut out);
        for change in out.commit {
            self.shelf.make(change);
        }
        let mut seen = Vec::new();
        for effect in out.effects {
            match effect {
                Effect::Route(parcel, _) => seen.push(text(&parcel)),
                Effect::Answer(answer) => answer.give(),
                Effect::Settle(_)
                | Effect::Kept(..)
                | Effect::CountRooms(_)
                | Effect::Watch(_)
                | Effect::Unwatch(_)
                | Effect::WakeAt(..)
                | Effect::Learn(..)
                | Effect::Count(_)
                | Effect::CountError(..) => {}
            }
        }
        seen
    }

    fn send(&mut self, from: &str, xml: &str) -> Vec<String> {
        let limits = xml::Limits::unlimited();
        let element = Element::parse(xml.as_bytes(), ContentNamespace::Client, &limits).unwrap();
        let to = stanza::address_attribute(&element, "to").unwrap();
        let stanza = Stanza::new(element, Some(address(from)), to, None).unwrap();
        self.tell(Input::Inbound {
            parcel: Parcel::new(stanza),
            receipt: None,
        })
    }

    fn join(&mut self, from: &str, nick: &str) -> Vec<String> {
        let enter = "<x xmlns='http://jabber.org/protocol/muc'/>";
        self.send(
            from,
            &format!("<presence to='coven@chat.lit/{nick}'>{enter}</presence>"),
        )
    }

    fn leave(&mut self, from: &str) -> Vec<String> {
        self.send(from, "<presence type='unavailable' to='coven@chat.lit/any'/>")
    }

    fn say(&mut self, from: &str, words: &str) -> Vec<String> {
        let message = format!("<message type='groupchat' to='coven@chat.lit'>{words}</message>");
        self.send(from, &message)
    }

    fn configure(&mut self, fields: &[(&str, &str)]) -> Vec<String> {
        let fields = fields
            .iter()
            .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"));
        let form = format!(
            "<iq id='c' type='set' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'>{}</x></query></iq>",
            fields.collect::<String>()
        );
        self.send(CRONE, &form)
    }

    fn affiliate(&mut self, user: &str, affiliation: &str) -> Vec<String> {
        let item = format!(
            "<iq id='a' type='set' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>\
             <item affiliation='{affiliation}' jid='{user}'/></query></iq>"
        );
        self.send(CRONE, &item)
    }

    fn destroy(&mut self) -> Vec<String> {
        self.send(
            CRONE,
            "<iq id='d' type='set' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <destroy jid='darkcave@chat.lit'><reason>Macbeth doth come.</reason></destroy></query></iq>",
        )
    }

    /// It leaves memory and is fetched again.
    fn reload(&mut self) {
        let saved = self.shelf.load(self.settings.history_max);
        self.room = Room::restored(address("coven@chat.lit"), saved).unwrap();
    }

    /// The server stops in peace, and starts again.
    fn restart(&mut self, lost: &[&str]) -> Vec<String> {
        let (tell, told) = std::sync::mpsc::channel();
        let keep = AdminRequest::Keep(Box::new(move |kept| tell.send(kept).unwrap()));
        assert_eq!(self.tell(Input::Admin(keep)), Vec::<String>::new());
        self.kept = told.recv().unwrap();
        self.reload();
        let Some(kept) = self.kept.clone() else {
            return Vec::new();
        };
        self.tell(Input::Admin(AdminRequest::GoOn {
            kept: Box::new(kept),
            lost: lost.iter().map(|client| address(client)).collect(),
        }))
    }

    /// What holds after each step.
    fn check(&self, step: &str) {
        let mut rows = self.shelf.load(self.settings.history_max);
        let occupants: BTreeMap<String, String> = std::mem::take(&mut rows.occupants)
            .into_iter()
            .map(|row| (row.client.to_string(), row.nick))
            .collect();
        let elsewhere = self.room.occupants.iter().flat_map(|occupant| {
            let clients = occupant.clients.iter().map(|client| client.address.to_string());
            let clients = clients.filter(|client| client.contains("@verona.lit/"));
            clients
                .map(|client| (client, occupant.nick().to_owned()))
                .collect::<Vec<_>>()
        });
        assert_eq!(
            occupants,
            elsewhere.collect(),
            "{step}: who is in it from elsewhere"
        );
        if self.room.stored {
            assert_eq!(
                rows,
                self.room.saved(),
                "{step}: what is on disk is what the room is"
            );
            let again = Room::restored(self.room.address.clone(), rows.clone()).unwrap();
            assert_eq!(again.saved(), rows, "{step}: what was on disk comes back");
            assert_eq!(again.config, self.room.config, "{step}");
        } else {
            assert_eq!(rows.room, None, "{step}");
            assert!(rows.history.is_empty() && rows.affiliations.is_empty(), "{step}");
        }
        assert!(
            self.shelf.0.history.len() <= self.settings.history_max + 20,
            "{step}: bounded"
        );
    }
}

fn text(parcel: &Parcel) -> String {
    let mut bytes = Vec::new();
    parcel.emit(&mut bytes, Target::Stream);
    String::from_utf8(bytes).unwrap()
}

fn for_one<'s>(seen: &'s [String], to: &str) -> Vec<&'s str> {
    let to = format!("to='{to}'");
    seen.iter()
        .map(String::as_str)
        .filter(|copy| copy.contains(&to))
        .collect()
}

#[test]
fn after_every_step_of_random_lives_what_is_on_disk_is_what_the_room_is() {
    let clients = [
        CRONE,
        WICCA,
        HAG,
        "hag66@verona.lit/laptop",
        "second@verona.lit/x",
    ];
    for seed in 0..150 {
        let mut desk = Desk::new(seed);
        desk.join(CRONE, "firstwitch");
        for number in 0..60 {
            let client = clients[usize::try_from(desk.dice.below(5)).unwrap()];
            let user = address(client).to_bare().to_string();
            let what = desk.dice.below(16);
            match what {
                0..3 => drop(desk.join(client, &format!("nick{}", desk.dice.0 % 4))),
                3 => drop(desk.leave(client)),
                4..7 => drop(desk.say(client, &format!("<body>{number} &amp; ☺</body>"))),
                7 => drop(desk.say(client, &format!("<subject>{number}</subject>"))),
                8 => {
                    let wanted = ["outcast", "none", "member", "admin"];
                    let wanted = wanted[usize::try_from(desk.dice.below(4)).unwrap()];
                    drop(desk.affiliate(&user, wanted));
                }
                9..11 => drop(desk.configure(&[("muc#roomconfig_persistentroom", "1")])),
                11 => {
                    let persists = ["0", "1"][usize::try_from(desk.dice.below(2)).unwrap()];
                    let name = format!("&lt;{number}&gt; ' é");
                    drop(desk.configure(&[
                        ("muc#roomconfig_roomname", &name),
                        ("muc#roomconfig_persistentroom", persists),
                        ("muc#roomconfig_publicroom", "0"),
                        ("muc#roomconfig_presencebroadcast", "moderator"),
                    ]));
                }
                12 => drop(desk.destroy()),
                13 => drop(desk.restart(&[])),
                14 if desk.room.is_idle() => desk.reload(),
                _ => drop(desk.configure(&[("muc#roomconfig_membersonly", "0")])),
            }
            desk.check(&format!("seed {seed}, step {number}, {what} by {client}"));
        }
    }
}

#[test]
fn xep0045_10_1_a_room_that_stays_is_there_when_nobody_is_in_it_and_is_fetched_with_all_it_had() {
    let mut desk = Desk::coven();
    desk.configure(&[("muc#roomconfig_roomname", "A dark cave")]);
    desk.affiliate("wiccarocks@shakespeare.lit", "admin");
    desk.say(CRONE, "<subject>Fire burn</subject>");
    for words in ["one", "two", "three"] {
        desk.say(CRONE, &format!("<body>{words}</body>"));
    }
    let id = desk.room.occupant_id(&address(CRONE));
    assert!(!desk.room.is_idle());
    desk.leave(CRONE);
    assert!(desk.room.is_idle(), "it costs no memory when nobody is in it");
    desk.reload();
    let seen = desk.join(WICCA, "secondwitch");
    assert!(
        seen[0].contains("affiliation='admin'") && !seen[0].contains("code='201'"),
        "{}",
        seen[0]
    );
    let said: Vec<bool> = ["one", "two", "three", "Fire burn"]
        .iter()
        .zip(&seen[1..])
        .map(|(words, copy)| copy.contains(words) && copy.contains("<delay"))
        .collect();
    assert_eq!(said, [true; 4], "{seen:?}");
    assert_eq!(desk.room.occupant_id(&address(CRONE)), id, "XEP-0421: stable");
    assert_eq!(desk.room.view().unwrap().name, "A dark cave");
}

#[test]
fn xep0045_10_1_a_room_that_does_not_stay_leaves_nothing() {
    let mut desk = Desk::coven();
    desk.configure(&[("muc#roomconfig_persistentroom", "0")]);
    assert_eq!(desk.shelf, Shelf::default());
    desk.join(HAG, "thirdwitch");
    assert_eq!(
        desk.shelf.0.occupants.len(),
        1,
        "a client of another server has a row"
    );
    desk.leave(HAG);
    desk.leave(CRONE);
    assert_eq!(desk.shelf, Shelf::default());
    assert!(desk.join(WICCA, "secondwitch")[0].contains("code='201'"));
}

#[test]
fn xep0045_10_9_a_destroyed_room_is_gone_for_its_time_and_tells_where_to_go() {
    let mut desk = Desk::coven();
    desk.destroy();
    for round in ["at once", "after it was fetched"] {
        let refused = desk.join(HAG, "thirdwitch");
        assert_eq!(refused.len(), 1, "{round}");
        for part in [
            "type='error'",
            "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:darkcave@chat.lit?join</gone>",
            "Macbeth doth come.",
        ] {
            assert!(refused[0].contains(part), "{round}: {}", refused[0]);
        }
        let asked = desk.send(
            HAG,
            "<iq id='i' type='get' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        );
        assert!(asked[0].contains("<gone"), "{round}: {}", asked[0]);
        assert!(desk.room.is_idle());
        desk.reload();
    }
    desk.wall = Timestamp::from_unix_micros(1_000_000 + 31 * 24 * 3600 * 1_000_000);
    assert!(
        desk.join(HAG, "thirdwitch")[0].contains("code='201'"),
        "the name is free again"
    );
}

#[test]
fn after_a_crash_clients_elsewhere_learn_with_333_that_they_are_out_and_rows_go() {
    let mut desk = Desk::coven();
    desk.join(HAG, "thirdwitch");
    desk.join(WICCA, "secondwitch");
    desk.reload();
    let seen = desk.tell(Input::Admin(AdminRequest::TellVanished));
    assert_eq!(seen.len(), 1, "{seen:?}");
    let told = for_one(&seen, HAG)[0];
    for part in [
        "type='unavailable'",
        "from='coven@chat.lit/thirdwitch'",
        "code='110'",
        "code='333'",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(desk.shelf.0.occupants.is_empty());
    assert!(
        desk.tell(Input::Admin(AdminRequest::TellVanished)).is_empty(),
        "once"
    );
}

#[test]
fn a_restart_keeps_who_is_in_the_room_and_tells_nobody() {
    for persists in ["1", "0"] {
        let mut desk = Desk::coven();
        desk.configure(&[
            ("muc#roomconfig_persistentroom", persists),
            ("muc#roomconfig_moderatedroom", "1"),
        ]);
        desk.say(CRONE, "<subject>Fire burn</subject>");
        desk.join(HAG, "thirdwitch");
        desk.join(WICCA, "secondwitch");
        let seen = desk.restart(&[]);
        let is_question =
            |copy: &String| copy.contains("type='probe'") && copy.contains(&format!("to='{HAG}'"));
        assert!(seen.iter().all(is_question), "nobody hears of it: {seen:?}");
        assert_eq!(seen.len(), 1, "who is elsewhere is asked (PSA-64)");
        desk.check("after the restart");
        let roles: Vec<_> = desk
            .room
            .occupants
            .iter()
            .map(|one| (one.nick().to_owned(), one.role, one.affiliation))
            .collect();
        assert_eq!(
            roles,
            [
                ("firstwitch".to_owned(), Role::Moderator, Affiliation::Owner),
                ("secondwitch".to_owned(), Role::Visitor, Affiliation::None),
                ("thirdwitch".to_owned(), Role::Visitor, Affiliation::None),
            ]
        );
        let said = desk.say(CRONE, "<body>Double, double</body>");
        assert_eq!(said.len(), 3, "all hear it: {said:?}");
        let seen = desk.join("friar@verona.lit/cell", "friar");
        assert!(seen.last().unwrap().contains("Fire burn"), "{seen:?}");
    }
}

#[test]
fn a_restart_lets_those_go_whose_sessions_it_did_not_keep() {
    let mut desk = Desk::coven();
    desk.join(HAG, "thirdwitch");
    desk.join(WICCA, "secondwitch");
    let mut seen = desk.restart(&[WICCA]);
    seen.retain(|copy| !copy.contains("type='probe'"));
    for other in [CRONE, HAG] {
        let told = for_one(&seen, other);
        assert_eq!(told.len(), 1, "{seen:?}");
        assert!(
            told[0].contains("type='unavailable'") && told[0].contains("code='333'"),
            "{}",
            told[0]
        );
    }
    assert_eq!(desk.room.occupants.len(), 2);
}

#[test]
fn whoever_is_in_a_room_that_is_lost_is_told_so() {
    let mut desk = Desk::coven();
    desk.join(HAG, "thirdwitch");
    let told: Vec<String> = desk.room.farewell().iter().map(text).collect();
    assert_eq!(told.len(), 2);
    for client in [CRONE, HAG] {
        let told = for_one(&told, client);
        assert!(
            told[0].contains("code='333'") && told[0].contains("code='110'"),
            "{told:?}"
        );
    }
}

#[test]
fn what_was_decided_with_a_message_settles_it_only_when_it_is_on_disk() {
    let mut desk = Desk::coven();
    let limits = xml::Limits::unlimited();
    let message = "<message type='groupchat' id='m' to='coven@chat.lit'><body>Hail</body></message>";
    let element = Element::parse(message.as_bytes(), ContentNamespace::Client, &limits).unwrap();
    let stanza = Stanza::new(
        element,
        Some(address(CRONE)),
        Some(address("coven@chat.lit")),
        None,
    )
    .unwrap();
    let mut out = Out::default();
    let mut context = Context {
        now: Moment::default(),
        wall: desk.wall,
        random: &mut desk.dice,
        settings: &desk.settings,
    };
    let input = Input::Inbound {
        parcel: Parcel::new(stanza),
        receipt: None,
    };
    desk.room.handle(&mut context, input, &mut out);
    assert!(matches!(out.commit[..], [Change::Said(_)]), "{:?}", out.commit);
    assert!(
        matches!(out.effects.last(), Some(Effect::Kept(..))),
        "{:?}",
        out.effects.last()
    );
}

#[test]
fn one_message_to_a_thousand_shares_its_bytes_and_only_the_opening_tag_is_new() {
    let mut desk = Desk::coven();
    // Nobody is told of anybody, which would take long.
    desk.configure(&[("muc#roomconfig_presencebroadcast", "")]);
    for number in 1..1000 {
        let client = format!("user{number}@shakespeare.lit/x");
        let enter = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>";
        desk.send(
            &client,
            &format!("<presence to='coven@chat.lit/{number}'>{enter}</presence>"),
        );
    }
    let words = "w".repeat(5000);
    let message = format!("<message type='groupchat' to='coven@chat.lit'><body>{words}</body></message>");
    let limits = xml::Limits::unlimited();
    let element = Element::parse(message.as_bytes(), ContentNamespace::Client, &limits).unwrap();
    let stanza = Stanza::new(
        element,
        Some(address(CRONE)),
        Some(address("coven@chat.lit")),
        None,
    )
    .unwrap();
    let said = stanza.element().bytes().as_ptr();
    let mut out = Out::default();
    let mut context = Context {
        now: Moment::default(),
        wall: desk.wall,
        random: &mut desk.dice,
        settings: &desk.settings,
    };
    let input = Input::Inbound {
        parcel: Parcel::new(stanza),
        receipt: None,
    };
    desk.room.handle(&mut context, input, &mut out);
    let copies: Vec<&Parcel> = out
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Route(parcel, _) => Some(parcel),
            Effect::Settle(_)
            | Effect::Kept(..)
            | Effect::CountRooms(_)
            | Effect::Answer(_)
            | Effect::Watch(_)
            | Effect::Unwatch(_)
            | Effect::WakeAt(..)
            | Effect::Learn(..)
            | Effect::Count(_)
            | Effect::CountError(..) => None,
        })
        .collect();
    assert_eq!(copies.len(), 1000);
    let appended = copies[0].appended().unwrap().as_ptr();
    for copy in &copies {
        assert_eq!(
            copy.stanza().element().bytes().as_ptr(),
            said,
            "the bytes that came in"
        );
        assert_eq!(copy.appended().unwrap().as_ptr(), appended, "what the room adds");
    }
    let own = size_of::<Parcel>();
    assert!(own <= 256, "each copy itself is {own} bytes");
}

#[test]
fn xep0045_10_1_1_whoever_has_made_enough_rooms_makes_no_more_and_who_comes_meanwhile_waits() {
    let mut desk = Desk::new(7);
    desk.settings.rooms_per_user = Some(2);
    assert!(desk.join(CRONE, "firstwitch").is_empty(), "it waits");
    assert!(
        desk.join(HAG, "thirdwitch").is_empty(),
        "and so do those who come later"
    );
    assert!(!desk.room.is_idle());
    let seen = desk.tell(Input::Counted(Some(2)));
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(
        seen[0].contains("<not-allowed") && seen[0].contains(CRONE),
        "{}",
        seen[0]
    );
    let seen = desk.tell(Input::Counted(Some(1)));
    assert!(
        seen[0].contains("code='201'") && seen[0].contains(HAG),
        "{seen:?}"
    );
    assert!(desk.leave(HAG)[0].contains("unavailable"));

    desk.join(CRONE, "firstwitch");
    let seen = desk.tell(Input::Counted(None));
    assert!(seen[0].contains("type='wait'"), "the store did not say: {seen:?}");
    assert!(desk.room.is_idle());
}

#[test]
fn a_tombstone_of_no_time_is_none() {
    let mut desk = Desk::coven();
    desk.settings.tombstones = Duration::ZERO;
    desk.destroy();
    assert!(desk.join(HAG, "thirdwitch")[0].contains("code='201'"));
}
