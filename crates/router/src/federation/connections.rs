//! Which connections to other servers there are, and what each of them is for.
//!
//! Data only: what is to be told to whom because of a change is worked out in `streams`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use machine::{Bucket, Moment, Rate};
use s2s::link::{AttemptId, StreamId};
use s2s::{Method, Pair, Side, Suspended, Verification, Ways};
use stanza::Address;
use stream_management::Mailbox;

use super::pulse::{Exchange, Pulse};
use super::{StreamHandle, StreamOrders};

/// Broken connections of one pair of domains that are waited for at the same time; for one more, the oldest is given up.
const BROKEN_MAX: usize = 4;

/// All connections of one server to others.
#[derive(Default)]
pub(crate) struct Connections {
    next: u64,
    live: BTreeMap<StreamId, Live>,
    /// Those that broke and may be resumed.
    broken: BTreeMap<StreamId, Suspended>,
    /// Which attempt of a link is under way.
    attempts: BTreeMap<Pair, AttemptId>,
    /// Questions of dialback that are under way, and which connection asked.
    verifications: Vec<(Verification, StreamId)>,
    /// Connections that others have made us open.
    provoked: Bucket,
}

/// A connection that lives.
pub(crate) struct Live {
    side: Side,
    pub(crate) orders: Arc<dyn StreamOrders>,
    /// What is authenticated on it.
    pub(crate) pairs: BTreeMap<Pair, Ways>,
    /// By what.
    pub(crate) methods: BTreeMap<Pair, Method>,
    pub(crate) mailbox: Option<Arc<Mailbox>>,
    pub(crate) pulse: Arc<Pulse>,
    /// Under which identifier it can be resumed (XEP-0198 §3).
    resumable: Option<String>,
    /// Pairs that it was asked for beside its errand.
    pub(crate) piggybacked: BTreeSet<Pair>,
    /// Which connection waits for its end, to go on in its place.
    successor: Option<StreamId>,
}

/// Where a stream that a peer wants to resume is.
pub(crate) enum Sought {
    /// It broke.
    Broken(Suspended),
    /// It lives: it is told that another goes on in its place, and the answer comes when it has ended.
    Alive(Arc<dyn StreamOrders>),
    /// Nowhere.
    Unknown,
}

impl Connections {
    /// A new connection.
    pub(crate) fn open(&mut self, side: Side, orders: Arc<dyn StreamOrders>) -> StreamHandle {
        self.next += 1;
        let id = StreamId(self.next);
        let pulse = Arc::<Pulse>::default();
        self.live.insert(
            id,
            Live {
                side,
                orders,
                pairs: BTreeMap::new(),
                methods: BTreeMap::new(),
                mailbox: None,
                pulse: Arc::clone(&pulse),
                resumable: None,
                piggybacked: BTreeSet::new(),
                successor: None,
            },
        );
        StreamHandle { id, pulse }
    }

    pub(crate) fn get_mut(&mut self, stream: StreamId) -> Option<&mut Live> {
        self.live.get_mut(&stream)
    }

    /// The way to a connection.
    pub(crate) fn orders(&self, stream: StreamId) -> Option<Arc<dyn StreamOrders>> {
        self.live.get(&stream).map(|live| Arc::clone(&live.orders))
    }

    /// What is authenticated on it.
    pub(crate) fn pairs(&self, stream: StreamId) -> Vec<Pair> {
        let live = self.live.get(&stream);
        live.map(|live| live.pairs.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// By what each pair is authenticated, on any of the connections that carry it.
    pub(crate) fn methods(&self) -> BTreeMap<Pair, Method> {
        let all = self.live.values().flat_map(|live| &live.methods);
        all.map(|(pair, method)| (pair.clone(), *method)).collect()
    }

    /// Adds what the connections know of the links that they carry.
    pub(crate) fn add_exchanges(&self, all: &mut BTreeMap<Pair, Exchange>) {
        for live in self.live.values() {
            let exchange = live.pulse.look();
            for pair in live.pairs.keys() {
                all.entry(pair.clone()).or_default().join(exchange);
            }
        }
    }

    /// A connection is over, and with it all that it asked.
    pub(crate) fn remove(&mut self, stream: StreamId) -> Option<Live> {
        self.verifications.retain(|(_, asker)| *asker != stream);
        self.live.remove(&stream)
    }

    // ---- connections of ours to a domain ----

    /// A connection of ours that leads to this domain already, for another of our domains: it is asked for the pair
    /// too (XEP-0220 §2.6).
    pub(crate) fn piggyback(&mut self, pair: &Pair) -> Option<Arc<dyn StreamOrders>> {
        let (_, live) = self.live.iter_mut().find(|(_, live)| {
            live.side == Side::Outbound && !live.pairs.contains_key(pair) && live.leads_to(&pair.remote)
        })?;
        live.piggybacked.insert(pair.clone());
        Some(Arc::clone(&live.orders))
    }

    /// Whether the pair was asked for on a connection that was there for others.
    pub(crate) fn was_piggybacked(&mut self, stream: StreamId, pair: &Pair) -> bool {
        self.live
            .get_mut(&stream)
            .is_some_and(|live| live.piggybacked.remove(pair))
    }

    /// Any connection of ours that leads to this domain, other than this one.
    pub(crate) fn leading_to(&self, remote: &Address, but: StreamId) -> Option<Arc<dyn StreamOrders>> {
        let fit = |(stream, live): &(&StreamId, &Live)| {
            **stream != but && live.side == Side::Outbound && live.leads_to(remote)
        };
        let (_, live) = self.live.iter().find(fit)?;
        Some(Arc::clone(&live.orders))
    }

    // ---- attempts of links ----

    pub(crate) fn begin_attempt(&mut self, pair: Pair, attempt: AttemptId) {
        self.attempts.insert(pair, attempt);
    }

    pub(crate) fn end_attempt(&mut self, pair: &Pair) -> Option<AttemptId> {
        self.attempts.remove(pair)
    }

    /// Whether others may make us open one more connection.
    pub(crate) fn may_be_provoked(&mut self, rate: Option<Rate>, now: Moment) -> bool {
        rate.is_none_or(|rate| self.provoked.take(rate, now))
    }

    // ---- questions of dialback ----

    /// Remembers who asks. False: too much is asked already.
    pub(crate) fn ask(&mut self, verification: Verification, asker: StreamId, most: usize) -> bool {
        if self.verifications.len() >= most {
            return false;
        }
        self.verifications.push((verification, asker));
        true
    }

    /// Who asked this.
    pub(crate) fn answered(&mut self, verification: &Verification) -> Option<Arc<dyn StreamOrders>> {
        let place = self
            .verifications
            .iter()
            .position(|(asked, _)| asked == verification)?;
        let (_, asker) = self.verifications.swap_remove(place);
        self.orders(asker)
    }

    // ---- resumption ----

    /// The connection can be resumed under this identifier.
    pub(crate) fn managed(&mut self, stream: StreamId, id: Option<String>) {
        if let Some(live) = self.live.get_mut(&stream) {
            live.resumable = id;
        }
    }

    /// Looks for the stream that `by` wants to go on with.
    pub(crate) fn seek(&mut self, id: &str, by: StreamId) -> Sought {
        if let Some(suspended) = self.broken.values().find(|suspended| suspended.id == id) {
            return Sought::Broken(suspended.clone());
        }
        let alive = self
            .live
            .iter_mut()
            .find(|(stream, live)| **stream != by && live.resumable.as_deref() == Some(id));
        match alive {
            Some((_, live)) => {
                live.successor = Some(by);
                Sought::Alive(Arc::clone(&live.orders))
            }
            None => Sought::Unknown,
        }
    }

    /// A connection broke and may be resumed. Gives one that is waited for no longer, because its peer has left too many
    /// behind.
    pub(crate) fn suspend(&mut self, stream: StreamId, suspended: Suspended) -> Option<StreamId> {
        let is_same = |other: &Suspended| {
            let mut pairs = other.pairs.iter().map(|(pair, _)| pair);
            pairs.any(|pair| suspended.pairs.iter().any(|(own, _)| own == pair))
        };
        let mut same = self.broken.iter().filter(|(_, other)| is_same(other));
        let oldest = same.next().map(|(oldest, _)| *oldest);
        let surplus = oldest.filter(|_| same.count() + 1 >= BROKEN_MAX);
        self.broken.insert(stream, suspended);
        surplus
    }

    /// What a broken connection of ours left to go on with.
    pub(crate) fn suspended(&self, stream: StreamId) -> Option<Suspended> {
        self.broken
            .get(&stream)
            .filter(|suspended| suspended.side == Side::Outbound)
            .cloned()
    }

    /// A broken connection is not waited for any more.
    pub(crate) fn give_up(&mut self, stream: StreamId) -> Option<Suspended> {
        self.broken.remove(&stream)
    }

    /// The broken connection of this identifier.
    pub(crate) fn broken_of(&self, id: &str) -> Option<StreamId> {
        let mut all = self.broken.iter();
        all.find(|(_, suspended)| suspended.id == id)
            .map(|(stream, _)| *stream)
    }
}

impl Live {
    fn leads_to(&self, remote: &Address) -> bool {
        self.pairs
            .iter()
            .any(|(pair, ways)| pair.remote == *remote && ways.sends())
    }

    /// Whether it is one of ours that carries nothing.
    pub(crate) fn is_useless(&self) -> bool {
        self.side == Side::Outbound && self.pairs.is_empty()
    }

    /// Which connection waits for the end of this one.
    pub(crate) fn successor(&self) -> Option<StreamId> {
        self.successor
    }
}
