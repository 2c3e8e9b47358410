//! A room in the hands of a test, with a clock that is wound by hand: orchard@chats.shakespeare.lit of romeo, with
//! juliet of capulet.lit, benvolio of montague.lit and others.

use std::time::Duration;

use machine::{Context, Machine, Moment, Random, Timestamp};
use presence::{PsaSettings, Words};
use stanza::{Address, Condition, Parcel, Stanza, StanzaError, Target};
use xml::{ContentNamespace, Element, Limits, Tree};

use crate::room::Out;
use crate::{Effect, Input, Key, Room, Settings, Tally, View};

/// Asks for annotations: SHA-1 of `urn:xmpp:psa<`.
pub(super) const ASKS: &str =
    "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/>";
/// What a client with that hash answers.
pub(super) const INFO: &str =
    "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:psa'/></query>";

pub(super) const ROMEO: &str = "romeo@montague.lit/lane";
pub(super) const JULIET: &str = "juliet@capulet.lit/balcony";
pub(super) const BENVOLIO: &str = "benvolio@montague.lit/desk";
pub(super) const TYBALT: &str = "tybalt@verona.lit/street";

pub(super) const LOST: &str = "<state-annotation xmlns='urn:xmpp:psa' from='chats.shakespeare.lit'>\
    <server-unavailable/></state-annotation>";
pub(super) const PAUSED: &str = "<state-annotation xmlns='urn:xmpp:psa' from='chats.shakespeare.lit'>\
    <connection-paused/></state-annotation>";
pub(super) const BACK: &str = "<state-annotation xmlns='urn:xmpp:psa' from='chats.shakespeare.lit'/>";

struct Dice(u64);

impl Random for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.0 >> 33) as u8;
        }
    }
}

pub(super) struct Stage {
    room: Room,
    pub(super) settings: Settings,
    now: Moment,
    dice: Dice,
    wakes: Vec<(Moment, Key)>,
    /// What was counted.
    pub(super) counts: Vec<Tally>,
    /// Domains that are watched.
    pub(super) watched: Vec<String>,
}

impl Stage {
    pub(super) fn new() -> Stage {
        let psa = PsaSettings {
            words: Words::None,
            ..PsaSettings::default()
        };
        Stage {
            room: Room::new(Address::parse("orchard@chats.shakespeare.lit").unwrap()),
            settings: Settings {
                presence: presence::Settings {
                    psa,
                    ..presence::Settings::default()
                },
                ..Settings::default()
            },
            now: Moment::from_micros(1_000_000),
            dice: Dice(1),
            wakes: Vec::new(),
            counts: Vec::new(),
            watched: Vec::new(),
        }
    }

    /// Everybody knows what [`ASKS`] means.
    pub(super) fn knows_the_hash(&mut self) {
        let presence = stanza("a@b/c", &format!("<presence>{ASKS}</presence>"));
        let claim = presence::Claim::of(&presence).unwrap();
        let answer = Tree::parse(INFO.as_bytes(), "", &Limits::unlimited()).unwrap();
        let presence::Answer::Verified(hash, wants) = claim.answered(&answer) else {
            panic!("not verified")
        };
        self.settings.presence.capabilities.learn(&hash, wants, 1_000);
    }

    /// Romeo, who moderates, and benvolio ask for annotations; juliet, who is elsewhere, and tybalt do not.
    pub(super) fn orchard() -> Stage {
        let mut stage = Stage::new();
        stage.knows_the_hash();
        stage.joins(ROMEO, "romeo", ASKS);
        stage.configures("");
        stage.joins(BENVOLIO, "benvolio", ASKS);
        stage.joins(JULIET, "juliet", "<status>Ay me!</status>");
        stage.joins(TYBALT, "tybalt", "");
        stage.counts.clear();
        stage
    }

    pub(super) fn configures(&mut self, fields: &str) {
        let seen = self.says(
            ROMEO,
            &format!(
                "<iq id='c' type='set' to='orchard@chats.shakespeare.lit'>\
                 <query xmlns='http://jabber.org/protocol/muc#owner'>\
                 <x xmlns='jabber:x:data' type='submit'>{fields}</x></query></iq>"
            ),
        );
        assert!(seen.iter().any(|copy| copy.contains("type='result'")), "{seen:?}");
    }

    pub(super) fn tell(&mut self, input: Input) -> Vec<Parcel> {
        let mut out = Out::default();
        let mut context = Context {
            now: self.now,
            wall: Timestamp::from_unix_micros(0),
            random: &mut self.dice,
            settings: &self.settings,
        };
        self.room.handle(&mut context, input, &mut out);
        let mut sent = Vec::new();
        for effect in out.effects {
            match effect {
                Effect::Route(parcel, _) => sent.push(parcel),
                Effect::WakeAt(key, at) => self.wakes.push((at, key)),
                Effect::Count(tally) => self.counts.push(tally),
                Effect::Watch(domain) => self.watched.push(domain.to_string()),
                Effect::Unwatch(domain) => self.watched.retain(|known| *known != domain.to_string()),
                Effect::Learn(hash, wants) => {
                    let _ = self.settings.presence.capabilities.learn(&hash, wants, 1_000);
                }
                Effect::CountError(..)
                | Effect::Kept(..)
                | Effect::CountRooms(_)
                | Effect::Settle(_)
                | Effect::Answer(_) => {}
            }
        }
        sent
    }

    fn seen(&mut self, input: Input) -> Vec<String> {
        self.tell(input).iter().map(text).collect()
    }

    /// What goes out when `from` sends this.
    pub(super) fn says(&mut self, from: &str, xml: &str) -> Vec<String> {
        self.seen(Input::Inbound {
            parcel: Parcel::new(stanza(from, xml)),
            receipt: None,
        })
    }

    pub(super) fn joins(&mut self, from: &str, nick: &str, more: &str) -> Vec<String> {
        self.says(
            from,
            &format!(
                "<presence to='orchard@chats.shakespeare.lit/{nick}'>\
                 <x xmlns='http://jabber.org/protocol/muc'/>{more}</presence>"
            ),
        )
    }

    pub(super) fn leaves(&mut self, from: &str, nick: &str) -> Vec<String> {
        let to = format!("orchard@chats.shakespeare.lit/{nick}");
        self.says(from, &format!("<presence type='unavailable' to='{to}'/>"))
    }

    /// Says this to all.
    pub(super) fn speaks(&mut self, from: &str, body: &str) -> Vec<String> {
        self.says(
            from,
            &format!(
                "<message type='groupchat' to='orchard@chats.shakespeare.lit'><body>{body}</body></message>"
            ),
        )
    }

    /// The server of a client says this of its session: what it last sent, with an annotation.
    pub(super) fn session(&mut self, from: &str, nick: &str, what: &str) -> Vec<String> {
        let (user, _) = from.split_once('/').unwrap();
        let (_, domain) = user.split_once('@').unwrap();
        self.says(
            from,
            &format!(
                "<presence to='orchard@chats.shakespeare.lit/{nick}'><x xmlns='http://jabber.org/protocol/muc'/>\
                 {ASKS}<state-annotation xmlns='urn:xmpp:psa' from='{domain}'>{what}</state-annotation></presence>"
            ),
        )
    }

    pub(super) fn path(&mut self, domain: &str, is_broken: bool) -> Vec<String> {
        self.seen(Input::Path {
            domain: Address::parse(domain).unwrap(),
            is_broken,
        })
    }

    /// This server cannot deliver these.
    pub(super) fn undelivered(&mut self, parcels: Vec<Parcel>) -> Vec<String> {
        let error = StanzaError::new(Condition::RemoteServerTimeout);
        parcels
            .into_iter()
            .flat_map(|parcel| {
                let error = error.clone();
                self.seen(Input::Undelivered {
                    parcel,
                    error,
                    receipt: None,
                })
            })
            .collect()
    }

    /// Time passes, with what the room wanted to be woken for.
    pub(super) fn passes(&mut self, seconds: u64) -> Vec<String> {
        let end = self.now + Duration::from_secs(seconds);
        let mut seen = Vec::new();
        loop {
            self.wakes.sort();
            let Some((at, key)) = self.wakes.first().copied().filter(|(at, _)| *at <= end) else {
                break;
            };
            self.wakes.remove(0);
            self.now = self.now.max(at);
            seen.extend(self.seen(Input::Wake(key)));
        }
        self.now = end;
        seen
    }

    pub(super) fn view(&self) -> View {
        self.room.view().unwrap()
    }
}

pub(super) fn stanza(from: &str, xml: &str) -> Stanza {
    let element = Element::parse(xml.as_bytes(), ContentNamespace::Client, &Limits::unlimited()).unwrap();
    let to = stanza::address_attribute(&element, "to").unwrap();
    Stanza::new(element, Some(Address::parse(from).unwrap()), to, None).unwrap()
}

pub(super) fn text(parcel: &Parcel) -> String {
    let mut bytes = Vec::new();
    parcel.emit(&mut bytes, Target::Stream);
    String::from_utf8(bytes).unwrap()
}

/// Those of them that go to this one.
pub(super) fn to(seen: &[String], recipient: &str) -> Vec<String> {
    let mark = format!(" to='{recipient}'");
    seen.iter().filter(|copy| copy.contains(&mark)).cloned().collect()
}
