//! A room in the hands of a test, with a store of its own: coven@chat.lit of crone1, and others.

use std::collections::BTreeMap;

use machine::{Context, Machine, Moment, Random, Timestamp};
use stanza::{Address, Parcel, Stanza, Target};
use xml::{ContentNamespace, Element};

use crate::room::{Out, Room};
use crate::stored::{Change, KeptRoom, Saved, Tombstone};
use crate::{AdminRequest, Effect, Input, Settings};

pub(crate) const CRONE: &str = "crone1@shakespeare.lit/desktop";
pub(crate) const WICCA: &str = "wiccarocks@shakespeare.lit/laptop";
/// From elsewhere.
pub(crate) const HAG: &str = "hag66@verona.lit/pda";

pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
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

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A store of one room, as simple as can be.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Shelf(pub(crate) Saved);

impl Shelf {
    pub(crate) fn make(&mut self, change: Change) {
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

    pub(crate) fn clear(&mut self, tombstone: Option<Tombstone>) {
        self.0 = Saved {
            tombstone,
            occupants: std::mem::take(&mut self.0.occupants),
            ..Saved::default()
        };
    }

    /// As a store gives it back, with so much of the history.
    pub(crate) fn load(&self, history: usize) -> Saved {
        let mut saved = self.0.clone();
        let too_many = saved.history.len().saturating_sub(history);
        saved.history.drain(..too_many);
        saved
    }
}

pub(crate) struct Desk {
    pub(crate) room: Room,
    pub(crate) shelf: Shelf,
    pub(crate) settings: Settings,
    pub(crate) dice: Dice,
    pub(crate) wall: Timestamp,
    kept: Option<KeptRoom>,
}

impl Desk {
    pub(crate) fn new(seed: u64) -> Desk {
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
    pub(crate) fn coven() -> Desk {
        let mut desk = Desk::new(7);
        desk.join(CRONE, "firstwitch");
        desk.configure(&[("muc#roomconfig_persistentroom", "1")]);
        desk
    }

    pub(crate) fn tell(&mut self, input: Input) -> Vec<String> {
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

    pub(crate) fn send(&mut self, from: &str, xml: &str) -> Vec<String> {
        let limits = xml::Limits::unlimited();
        let element = Element::parse(xml.as_bytes(), ContentNamespace::Client, &limits).unwrap();
        let to = stanza::address_attribute(&element, "to").unwrap();
        let stanza = Stanza::new(element, Some(address(from)), to, None).unwrap();
        self.tell(Input::Inbound {
            parcel: Parcel::new(stanza),
            receipt: None,
        })
    }

    pub(crate) fn join(&mut self, from: &str, nick: &str) -> Vec<String> {
        let enter = "<x xmlns='http://jabber.org/protocol/muc'/>";
        self.send(
            from,
            &format!("<presence to='coven@chat.lit/{nick}'>{enter}</presence>"),
        )
    }

    pub(crate) fn leave(&mut self, from: &str) -> Vec<String> {
        self.send(from, "<presence type='unavailable' to='coven@chat.lit/any'/>")
    }

    pub(crate) fn say(&mut self, from: &str, words: &str) -> Vec<String> {
        let message = format!("<message type='groupchat' to='coven@chat.lit'>{words}</message>");
        self.send(from, &message)
    }

    pub(crate) fn configure(&mut self, fields: &[(&str, &str)]) -> Vec<String> {
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

    pub(crate) fn affiliate(&mut self, user: &str, affiliation: &str) -> Vec<String> {
        let item = format!(
            "<iq id='a' type='set' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>\
             <item affiliation='{affiliation}' jid='{user}'/></query></iq>"
        );
        self.send(CRONE, &item)
    }

    pub(crate) fn destroy(&mut self) -> Vec<String> {
        self.send(
            CRONE,
            "<iq id='d' type='set' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <destroy jid='darkcave@chat.lit'><reason>Macbeth doth come.</reason></destroy></query></iq>",
        )
    }

    /// It leaves memory and is fetched again.
    pub(crate) fn reload(&mut self) {
        let saved = self.shelf.load(self.settings.history_max);
        self.room = Room::restored(address("coven@chat.lit"), saved).unwrap();
    }

    /// The server stops in peace, and starts again.
    pub(crate) fn restart(&mut self, lost: &[&str]) -> Vec<String> {
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
    pub(crate) fn check(&self, step: &str) {
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

pub(crate) fn text(parcel: &Parcel) -> String {
    let mut bytes = Vec::new();
    parcel.emit(&mut bytes, Target::Stream);
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn for_one<'s>(seen: &'s [String], to: &str) -> Vec<&'s str> {
    let to = format!("to='{to}'");
    seen.iter()
        .map(String::as_str)
        .filter(|copy| copy.contains(&to))
        .collect()
}
