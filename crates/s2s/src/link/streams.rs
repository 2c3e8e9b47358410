//! The streams that carry one pair, and the one that takes what is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use stream_management::{Entry, Limits, Mailbox, PushError};

use super::StreamId;
use crate::Ways;

/// The streams of one link.
#[derive(Default)]
pub(crate) struct Streams {
    known: BTreeMap<StreamId, Held>,
    /// Takes all that is sent, until it ends: two at a time could not keep the order. While it is broken, nothing is
    /// sent elsewhere, for what it holds comes first.
    carrier: Option<StreamId>,
}

/// One stream.
pub(crate) struct Held {
    pub(crate) ways: Ways,
    pub(crate) standing: Standing,
    mailbox: Arc<Mailbox>,
}

/// How a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As far as we know, it works.
    Live,
    /// It broke, and may be resumed.
    Suspended,
    /// Its mailbox is closed, and what was in it is on its way.
    Ending,
}

/// What became of an entry.
pub(crate) enum Sent {
    /// A stream has it.
    Taken,
    /// The carrier is full: it comes back, to be tried later.
    Later(Box<Entry>),
    /// Nothing can carry it now.
    Never(Box<Entry>),
}

impl Streams {
    /// A stream carries the pair.
    pub(crate) fn carried(&mut self, stream: StreamId, ways: Ways, mailbox: Arc<Mailbox>) {
        let standing = Standing::Live;
        self.known.insert(
            stream,
            Held {
                ways,
                standing,
                mailbox,
            },
        );
    }

    /// A stream broke. False when it is not known.
    pub(crate) fn suspend(&mut self, stream: StreamId) -> bool {
        match self.known.get_mut(&stream) {
            Some(held) => {
                held.standing = Standing::Suspended;
                true
            }
            None => false,
        }
    }

    /// One stream stands in for another.
    pub(crate) fn resumed(&mut self, stream: StreamId, by: StreamId, ways: Ways, mailbox: Arc<Mailbox>) {
        self.known.remove(&stream);
        self.carried(by, ways, mailbox);
        if self.carrier == Some(stream) {
            self.carrier = Some(by);
        }
    }

    /// A stream is over. Gives how it was, if it was known.
    pub(crate) fn remove(&mut self, stream: StreamId) -> Option<Standing> {
        if self.carrier == Some(stream) {
            self.carrier = None;
        }
        self.known.remove(&stream).map(|held| held.standing)
    }

    /// Gives an entry to the carrier. Pushing is done here and not by an effect, because only the answer tells whether
    /// the next entry may go the same way; it locks nothing but the mailbox.
    pub(crate) fn send(&mut self, entry: Entry, limits: Limits) -> Sent {
        if self.carrier.is_none() {
            self.carrier = self.choose();
        }
        let carrier = self.carrier.and_then(|carrier| self.known.get_mut(&carrier));
        let Some(held) = carrier.filter(|held| held.standing == Standing::Live) else {
            return Sent::Never(Box::new(entry));
        };
        let (stanzas, bytes) = held.mailbox.load();
        if stanzas >= limits.stanzas || bytes >= limits.bytes {
            return Sent::Later(Box::new(entry));
        }
        match held.mailbox.push(entry) {
            Ok(_) => Sent::Taken,
            Err(PushError::Full(entry)) => Sent::Later(entry),
            Err(PushError::Closed(entry)) => {
                held.standing = Standing::Ending;
                Sent::Never(entry)
            }
        }
    }

    /// Bytes that wait on the stream that takes what is sent; `None` while there is none.
    pub(crate) fn carrier_load(&self) -> Option<usize> {
        let carrier = self.carrier.or_else(|| self.choose())?;
        let (_, bytes) = self.known.get(&carrier)?.mailbox.load();
        Some(bytes)
    }

    /// Puts something into the mailbox of this very stream. False when it takes nothing any more.
    pub(crate) fn send_on(&self, stream: StreamId, entry: Entry) -> bool {
        let live = self
            .known
            .get(&stream)
            .filter(|held| held.standing == Standing::Live);
        live.is_some_and(|held| held.mailbox.push(entry).is_ok())
    }

    /// Whether a stream is there, or on its way back or out, that what is sent can or will go through.
    pub(crate) fn has_carrier(&self) -> bool {
        self.carrier.is_some() || self.choose().is_some()
    }

    /// The broken stream that holds everything up.
    pub(crate) fn broken_carrier(&self) -> Option<StreamId> {
        let carrier = self.carrier?;
        let held = self.known.get(&carrier)?;
        (held.standing == Standing::Suspended).then_some(carrier)
    }

    /// Whether another stream could carry what waits behind the broken one.
    pub(crate) fn has_alternative(&self) -> bool {
        self.choose().is_some()
    }

    /// Any broken stream.
    pub(crate) fn suspended(&self) -> Option<StreamId> {
        let mut all = self.known.iter();
        all.find(|(_, held)| held.standing == Standing::Suspended)
            .map(|(stream, _)| *stream)
    }

    /// Streams that work as far as we know.
    pub(crate) fn live(&self) -> impl Iterator<Item = StreamId> {
        let live = self
            .known
            .iter()
            .filter(|(_, held)| held.standing == Standing::Live);
        live.map(|(stream, _)| *stream)
    }

    pub(crate) fn is_live(&self, stream: StreamId) -> bool {
        self.known
            .get(&stream)
            .is_some_and(|held| held.standing == Standing::Live)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamId, &Held)> {
        self.known.iter().map(|(stream, held)| (*stream, held))
    }

    fn choose(&self) -> Option<StreamId> {
        let fit = |held: &Held| held.standing == Standing::Live && held.ways.sends();
        self.known
            .iter()
            .find(|(_, held)| fit(held))
            .map(|(stream, _)| *stream)
    }
}
