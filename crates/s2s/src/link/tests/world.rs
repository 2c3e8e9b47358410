//! The surroundings of a link in tests: a clock, streams with their mailboxes, and a record of what it wanted.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use stanza::{Address, IqType, Kind as StanzaKind, MessageType, Parcel, PresenceType, Stanza, Target};
use stream_management::{Limits, Mailbox, Receipt, Remains};

use crate::link::{
    AttemptId, Cause, Effect, End, Fate, Input, Key, Kind, Link, Occasion, Path, Settings, StateName,
    StreamId,
};
use crate::{Pair, Ways};

/// Dice that show a sequence of numbers, so that identifiers differ and are known.
pub(crate) struct Counting(pub(crate) u8);

impl Random for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(self.0);
        self.0 = self.0.wrapping_add(1);
    }
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) const CHAT: StanzaKind = StanzaKind::Message(MessageType::Chat);
pub(crate) const IQ: StanzaKind = StanzaKind::Iq(IqType::Get);
pub(crate) const PRESENCE: StanzaKind = StanzaKind::Presence(PresenceType::Available);

pub(crate) fn parcel(kind: StanzaKind, id: &str) -> Parcel {
    let payload: &[u8] = if kind.is_request() {
        b"<q xmlns='urn:q'/>"
    } else {
        b""
    };
    let (from, to) = (address("romeo@montague.lit/lane"), address("juliet@capulet.lit"));
    Stanza::build(kind, Some(&from), Some(&to), Some(id), payload).into()
}

pub(crate) struct World {
    pub(crate) link: Link,
    pub(crate) settings: Settings,
    pub(crate) now: Moment,
    dice: Counting,
    alarms: BTreeMap<Key, Moment>,
    pub(crate) mailboxes: BTreeMap<StreamId, Arc<Mailbox>>,
    next_stream: u64,
    /// Attempts that were asked for, with what they should resume.
    pub(crate) connects: Vec<(AttemptId, Option<StreamId>)>,
    /// Whose wish each of them was.
    pub(crate) occasions: Vec<Occasion>,
    pub(crate) looks: usize,
    /// State changes, in words.
    pub(crate) changes: Vec<String>,
    /// What watchers were told.
    pub(crate) told: Vec<(Vec<Address>, Path)>,
    /// Who was told that something may have been lost.
    pub(crate) renewed: Vec<Vec<Address>>,
    /// What was returned: identifier and condition, or `dropped`.
    pub(crate) returned: Vec<(String, String)>,
    /// Everything else, in words.
    pub(crate) notes: Vec<String>,
}

impl World {
    pub(crate) fn new() -> World {
        World::of(Kind::Server)
    }

    pub(crate) fn of(kind: Kind) -> World {
        let pair = Pair {
            local: address("montague.lit"),
            remote: address("capulet.lit"),
        };
        let now = Moment::from_micros(1_000_000_000);
        World {
            link: Link::new(pair, kind, now),
            settings: Settings::default(),
            now,
            dice: Counting(0),
            alarms: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            next_stream: 1,
            connects: Vec::new(),
            occasions: Vec::new(),
            looks: 0,
            changes: Vec::new(),
            told: Vec::new(),
            renewed: Vec::new(),
            returned: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A link that is up by a stream of ours, watched by romeo, for a while.
    pub(crate) fn up() -> (World, StreamId) {
        let mut world = World::new();
        world.input(Input::Watch(address("romeo@montague.lit")));
        let stream = world.carried(Ways::Out);
        world.pass(60.0);
        world.forget();
        (world, stream)
    }

    /// A link that was up and is suspect since its stream broke.
    pub(crate) fn suspect() -> World {
        let (mut world, stream) = World::up();
        world.lose(stream);
        world
    }

    /// A link that is down because its server is gone.
    pub(crate) fn down() -> World {
        let mut world = World::suspect();
        world.fail(Cause::Refused);
        assert_eq!(world.state(), StateName::Down);
        world
    }

    /// What was seen so far is not looked at.
    pub(crate) fn forget(&mut self) {
        self.changes.clear();
        self.told.clear();
        self.notes.clear();
        self.connects.clear();
        self.returned.clear();
        self.looks = 0;
    }

    pub(crate) fn input(&mut self, input: Input) {
        let mut out: Decision<Infallible, Effect> = Decision::default();
        let mut context = Context {
            now: self.now,
            wall: Timestamp::default(),
            random: &mut self.dice,
            settings: &self.settings,
        };
        self.link.handle(&mut context, input, &mut out);
        for effect in out.effects {
            self.note(effect);
        }
    }

    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Connect {
                attempt,
                resume,
                occasion,
            } => {
                self.connects.push((attempt, resume));
                self.occasions.push(occasion);
            }
            Effect::CheckReachability => self.looks += 1,
            Effect::CheckStream(stream) => self.notes.push(format!("check {}", stream.0)),
            Effect::StreamAnswered(stream) => self.notes.push(format!("answered {}", stream.0)),
            Effect::CloseStream(stream) => self.notes.push(format!("close {}", stream.0)),
            Effect::EndStream(stream, error) => {
                self.notes
                    .push(format!("end {} {}", stream.0, error.condition.as_str()));
            }
            Effect::GiveUp(stream) => self.notes.push(format!("give up {}", stream.0)),
            Effect::Return { entry, fate } => {
                let id = entry.parcel.stanza().id().unwrap().into_owned();
                if let Some(receipt) = &entry.receipt {
                    receipt.settle();
                }
                let fate = match fate {
                    Fate::Bounced(error) => error.condition.as_str().to_owned(),
                    Fate::Dropped => "dropped".to_owned(),
                };
                self.returned.push((id, fate));
            }
            Effect::WakeAt(key, at) => {
                let before = self.alarms.insert(key, at);
                assert!(before.is_none_or(|before| before > at), "asked twice for {key:?}");
            }
            Effect::Tell { watchers, path } => self.told.push((watchers, path)),
            Effect::Renewed { watchers } => self.renewed.push(watchers),
            Effect::Changed { to, cause } => {
                let cause = cause
                    .map(|cause| format!(" {}", cause.label()))
                    .unwrap_or_default();
                self.changes.push(format!("{}{cause}", to.as_str()));
            }
        }
    }

    /// Moves the clock, and wakes the link when it asked for that.
    pub(crate) fn pass(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some((key, at)) = self
            .alarms
            .iter()
            .map(|(key, at)| (*key, *at))
            .min_by_key(|(_, at)| *at)
            && at <= end
        {
            self.now = self.now.max(at);
            self.alarms.remove(&key);
            self.input(Input::Wake(key));
        }
        self.now = end;
    }

    pub(crate) fn send(&mut self, kind: StanzaKind, id: &str) {
        self.send_with(kind, id, None);
    }

    pub(crate) fn send_with(&mut self, kind: StanzaKind, id: &str, receipt: Option<Receipt>) {
        let parcel = parcel(kind, id);
        self.input(Input::Send { parcel, receipt });
    }

    /// A stream carries the pair from now on.
    pub(crate) fn carried(&mut self, ways: Ways) -> StreamId {
        let stream = StreamId(self.next_stream);
        self.next_stream += 1;
        let mailbox = Mailbox::new(Limits {
            stanzas: 1_000,
            bytes: 1 << 20,
        });
        self.mailboxes.insert(stream, Arc::clone(&mailbox));
        self.input(Input::Carried {
            stream,
            ways,
            mailbox,
        });
        stream
    }

    /// What is written on a stream, by identifiers. Not counted: it is delivered by that.
    pub(crate) fn written(&mut self, stream: StreamId) -> Vec<String> {
        let handed = self.handed(stream);
        self.mailboxes[&stream].written(handed.len());
        handed
    }

    /// What is handed to the connection, and perhaps not written.
    pub(crate) fn handed(&mut self, stream: StreamId) -> Vec<String> {
        let mut out = Vec::new();
        self.mailboxes[&stream].drain(&mut out, Target::Stream, usize::MAX, usize::MAX);
        let text = String::from_utf8(out).unwrap();
        text.split(" id='")
            .skip(1)
            .map(|rest| rest.split('\'').next().unwrap().to_owned())
            .collect()
    }

    /// A stream ends for good.
    pub(crate) fn end(&mut self, stream: StreamId, end: End) {
        let remains = self
            .mailboxes
            .remove(&stream)
            .map_or_else(Remains::default, |mailbox| mailbox.close_apart());
        self.input(Input::Ended { stream, end, remains });
    }

    pub(crate) fn lose(&mut self, stream: StreamId) {
        self.end(stream, End::Broken(Cause::RemoteClosed));
    }

    /// The attempt that is under way fails.
    pub(crate) fn fail(&mut self, cause: Cause) {
        let (attempt, _) = self.connects.pop().unwrap();
        self.input(Input::Failed { attempt, cause });
    }

    pub(crate) fn state(&self) -> StateName {
        self.link.view().state
    }

    /// What watchers were told since the last look, by condition.
    pub(crate) fn told(&mut self) -> Vec<Path> {
        self.told.drain(..).map(|(_, path)| path).collect()
    }

    pub(crate) fn returned(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.returned)
    }
}

pub(crate) fn fates(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(id, fate)| ((*id).to_owned(), (*fate).to_owned()))
        .collect()
}
