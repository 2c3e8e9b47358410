//! What connections between servers report, and what comes of it for links and for other connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use s2s::explain::Attempt;
use s2s::link::{Cause, End, Input, Occasion, StreamId};
use s2s::{
    By, Close, Effect, Ending, Errand, Method, Obstacle, Pair, Side, Suspended, Verdict, Verification,
};
use stanza::{Address, IqType, Kind, Parcel, Stanza};
use stream_management::{Entry, Mailbox, Receipt, Remains};
use turns::Worker;

use super::connections::Sought;
use super::{Network, Order, StreamHandle, StreamOrders};
use crate::counters::Direction;
use crate::router::{Destination, Router, settle};
use crate::surroundings::Alarm;
use crate::trace::Border;

impl Router {
    /// From now on other servers can be reached.
    pub fn attach_network(&self, network: Arc<dyn Network>) {
        self.network.attach(network);
    }

    /// A connection from or to another server is there.
    pub fn stream_opened(&self, side: Side, orders: Arc<dyn StreamOrders>) -> StreamHandle {
        self.connections.lock().open(side, orders)
    }

    /// A connection wants something to happen. `mailbox` is what it drains now.
    pub fn stream_effect(
        self: &Arc<Self>,
        handle: &StreamHandle,
        effect: Effect,
        mailbox: Option<&Arc<Mailbox>>,
        worker: &mut Worker,
    ) {
        let stream = handle.id;
        match effect {
            // The connection itself does these.
            Effect::StartTls | Effect::Unsolicited(_) => {}
            Effect::Authenticated { pair, ways, method } => {
                if ways.sends() {
                    self.connections.lock().end_attempt(&pair);
                }
                let Some(mailbox) = mailbox else { return };
                if let Some(live) = self.connections.lock().get_mut(stream) {
                    live.pairs.insert(pair.clone(), ways);
                    live.methods.insert(pair.clone(), method);
                    live.piggybacked.remove(&pair);
                    live.mailbox = Some(Arc::clone(mailbox));
                }
                let mailbox = Arc::clone(mailbox);
                self.tell_link(
                    &pair,
                    Input::Carried {
                        stream,
                        ways,
                        mailbox,
                    },
                    worker,
                );
            }
            Effect::Heard(pair) => self.tell_link(&pair, Input::Heard, worker),
            Effect::Refused { pair, obstacle } => self.refused(stream, &pair, &obstacle, worker),
            Effect::Verify(verification) => self.verify(stream, verification),
            Effect::VerifyAnswered {
                verification,
                verdict,
            } => {
                self.verified(verification, verdict);
                self.close_if_useless(stream);
            }
            Effect::Managed(id) => self.connections.lock().managed(stream, id),
            Effect::Resume(id) => self.seek(stream, &id),
            Effect::Resumed(id) => self.resumed(stream, id, mailbox, worker),
            Effect::NotResumed(id) => {
                let broken = self.connections.lock().broken_of(&id);
                if let Some(broken) = broken {
                    self.give_up(broken, Cause::RemoteClosed, worker);
                }
            }
            Effect::Silent(pair) => self.tell_link(&pair, Input::Silent(stream), worker),
            Effect::Alive => {
                for pair in self.pairs_of(stream) {
                    self.tell_link(&pair, Input::Alive(stream), worker);
                }
            }
            Effect::RoundTrip(took) => {
                handle.pulse.answered(took, self.surroundings.wall());
                self.count_round_trip(&self.pairs_of(stream), took);
            }
            Effect::Route { stanza, receipt } => {
                handle.pulse.heard(self.surroundings.times().1);
                self.from_elsewhere(stanza, receipt, worker);
            }
            Effect::Reply(stanza) => self.route(Parcel::new(stanza), None, worker),
            Effect::Close(close) => self.stream_closed(stream, *close, worker),
        }
    }

    /// No server of a domain could be reached, or none took the errand.
    pub fn dial_failed(self: &Arc<Self>, errand: Errand, cause: Cause, worker: &mut Worker) {
        for pair in &errand.authorize {
            self.attempt_failed(pair, cause, worker);
        }
        for verification in errand.verify {
            self.verified(verification, verdict_of(cause));
        }
    }

    /// The answer to [`Network::look`].
    pub fn looked(self: &Arc<Self>, pair: Pair, outcome: Result<(), Cause>, worker: &mut Worker) {
        self.tell_link(&pair, Input::Reached(outcome), worker);
    }

    /// An attempt in either direction is over, for whoever asks later why it came to nothing.
    pub fn attempted(self: &Arc<Self>, attempt: Attempt, worker: &mut Worker) {
        let pair = attempt.pair.clone();
        self.count_attempt(&attempt);
        // What strangers try in the name of a domain that we have nothing to do with is not remembered, nor is a
        // connection on which nobody wanted to be believed: it came to judge a key of ours (XEP-0220 §2.3).
        if self.link_in_memory(&pair).is_some() && !only_judged(&attempt) {
            self.tell_link(&pair, Input::Recorded(Arc::new(attempt)), worker);
        }
    }

    /// By what each link that is up was authenticated.
    pub fn link_methods(&self) -> BTreeMap<Pair, Method> {
        self.connections.lock().methods()
    }

    /// Tells a connection something.
    pub(crate) fn order(&self, stream: StreamId, order: Order) {
        let orders = self.connections.lock().orders(stream);
        if let Some(orders) = orders {
            orders.give(order);
        }
    }

    /// Gets the pair a stream: on a connection that leads there already, or a new one.
    pub(crate) fn connect_link(
        self: &Arc<Self>,
        pair: &Pair,
        attempt: s2s::link::AttemptId,
        resume: Option<StreamId>,
        occasion: Occasion,
        worker: &mut Worker,
    ) {
        let mut connections = self.connections.lock();
        connections.begin_attempt(pair.clone(), attempt);
        let resume = resume.and_then(|stream| connections.suspended(stream));
        let there = match resume {
            Some(_) => None,
            None => connections.piggyback(pair),
        };
        drop(connections);
        match there {
            Some(orders) => orders.give(Order::Authorize(pair.clone())),
            None if occasion == Occasion::Theirs && !self.may_be_provoked() => {
                self.attempt_failed(pair, Cause::Throttled, worker);
            }
            None => self.dial(pair, resume, worker),
        }
    }

    /// Whether others may make this server open one more connection.
    fn may_be_provoked(&self) -> bool {
        let rate = self.settings.load().federation.provoked;
        let now = self.surroundings.now();
        self.connections.lock().may_be_provoked(rate, now)
    }

    /// Looks whether any server of a domain takes connections. When too many were looked at, nothing new is known of this
    /// one.
    pub(crate) fn look(self: &Arc<Self>, pair: &Pair, worker: &mut Worker) {
        match self.network.get() {
            Some(network) if self.may_be_provoked() => network.look(pair.clone()),
            Some(_) => self.looked(pair.clone(), Ok(()), worker),
            None => self.looked(pair.clone(), Err(Cause::Policy), worker),
        }
    }

    fn dial(self: &Arc<Self>, pair: &Pair, resume: Option<Suspended>, worker: &mut Worker) {
        // What can be resumed is resumed with all that it carried.
        let mut authorize = vec![pair.clone()];
        if let Some(suspended) = &resume {
            let others = suspended.pairs.iter().map(|(other, _)| other);
            authorize.extend(others.filter(|other| *other != pair).cloned());
        }
        let errand = Errand {
            header: pair.clone(),
            authorize,
            verify: Vec::new(),
            resume,
        };
        match self.network.get() {
            Some(network) => network.dial(errand),
            None => self.dial_failed(errand, Cause::Policy, worker),
        }
    }

    fn refused(self: &Arc<Self>, stream: StreamId, pair: &Pair, obstacle: &Obstacle, worker: &mut Worker) {
        let on_the_way = self.connections.lock().was_piggybacked(stream, pair);
        if on_the_way {
            // The other server may still take it on a connection of its own (XEP-0220 §2.6.2).
            self.dial(pair, None, worker);
        } else {
            self.attempt_failed(pair, Cause::from(obstacle), worker);
        }
    }

    fn attempt_failed(self: &Arc<Self>, pair: &Pair, cause: Cause, worker: &mut Worker) {
        let attempt = self.connections.lock().end_attempt(pair);
        if let Some(attempt) = attempt {
            self.tell_link(pair, Input::Failed { attempt, cause }, worker);
        }
    }

    /// A connection of ours that carries nothing has done what it was for.
    fn close_if_useless(&self, stream: StreamId) {
        let mut connections = self.connections.lock();
        let useless = connections
            .get_mut(stream)
            .filter(|live| live.is_useless())
            .map(|live| Arc::clone(&live.orders));
        drop(connections);
        if let Some(orders) = useless {
            orders.give(Order::Close);
        }
    }

    // ---- dialback ----

    /// XEP-0220 §2.1.2: asks the server that is authoritative, never on the connection that asks.
    fn verify(&self, asker: StreamId, verification: Verification) {
        let most = self.settings.load().federation.verifications_max;
        let mut connections = self.connections.lock();
        let taken = connections.ask(verification.clone(), asker, most);
        let there = connections.leading_to(&verification.pair.remote, asker);
        drop(connections);
        match (taken, there, self.network.get()) {
            (true, Some(orders), _) => orders.give(Order::Verify(verification)),
            (true, None, Some(_)) if !self.may_be_provoked() => {
                self.verified(verification, Verdict::Unreachable);
            }
            (true, None, Some(network)) => network.dial(Errand {
                header: verification.pair.clone(),
                authorize: Vec::new(),
                verify: vec![verification],
                resume: None,
            }),
            (true, None, None) => self.verified(verification, Verdict::Unreachable),
            (false, ..) => self.order(
                asker,
                Order::Verified {
                    verification,
                    verdict: Verdict::Unreachable,
                },
            ),
        }
    }

    fn verified(&self, verification: Verification, verdict: Verdict) {
        let asker = self.connections.lock().answered(&verification);
        if let Some(asker) = asker {
            asker.give(Order::Verified {
                verification,
                verdict,
            });
        }
    }

    // ---- resumption ----

    /// XEP-0198 §5: the peer of `by` wants to go on with another stream.
    fn seek(&self, by: StreamId, id: &str) {
        let sought = self.connections.lock().seek(id, by);
        match sought {
            Sought::Broken(suspended) => self.order(by, Order::Resumption(Some(suspended))),
            Sought::Alive(orders) => orders.give(Order::Superseded),
            Sought::Unknown => self.order(by, Order::Resumption(None)),
        }
    }

    /// The broken stream of this identifier lives on in `by`.
    fn resumed(
        self: &Arc<Self>,
        by: StreamId,
        id: String,
        mailbox: Option<&Arc<Mailbox>>,
        worker: &mut Worker,
    ) {
        let Some(mailbox) = mailbox else { return };
        let mut connections = self.connections.lock();
        let broken = connections.broken_of(&id);
        let suspended = broken.and_then(|stream| connections.give_up(stream));
        connections.managed(by, Some(id));
        let (Some(stream), Some(suspended)) = (broken, suspended) else {
            return;
        };
        let Some(live) = connections.get_mut(by) else {
            return;
        };
        // What was given to the mailbox that this stream began with follows what the broken one holds.
        let before = live
            .mailbox
            .replace(Arc::clone(mailbox))
            .filter(|before| !Arc::ptr_eq(before, mailbox));
        for (pair, ways) in suspended.pairs {
            let held = live.pairs.entry(pair).or_insert(ways);
            *held = held.and(ways);
        }
        let pairs = live.pairs.clone();
        for pair in pairs.keys() {
            connections.end_attempt(pair);
        }
        drop(connections);
        for (pair, ways) in pairs {
            let mailbox = Arc::clone(mailbox);
            self.tell_link(
                &pair,
                Input::Resumed {
                    stream,
                    by,
                    ways,
                    mailbox,
                },
                worker,
            );
        }
        for Entry { parcel, receipt, .. } in before.map(|before| before.close()).unwrap_or_default() {
            self.route(parcel, receipt, worker);
        }
    }

    /// A broken stream is not waited for any more: what it held goes back to its links.
    pub(crate) fn give_up(self: &Arc<Self>, stream: StreamId, cause: Cause, worker: &mut Worker) {
        let suspended = self.connections.lock().give_up(stream);
        if let Some(suspended) = suspended {
            let pairs = suspended.pairs.into_iter().map(|(pair, _)| pair);
            self.ended(stream, pairs, End::Broken(cause), &suspended.mailbox, worker);
        }
    }

    fn stream_closed(self: &Arc<Self>, stream: StreamId, close: Close, worker: &mut Worker) {
        let cause = Cause::from(&close.ending);
        let live = self.connections.lock().remove(stream);
        for pair in &close.authorize {
            self.attempt_failed(pair, cause, worker);
        }
        for verification in close.verify {
            self.verified(verification, verdict_of(cause));
        }
        let Some(live) = live else { return };
        self.keep_exchange(live.pairs.keys(), live.pulse.look());
        // It may have ended before it heard of these.
        for pair in &live.piggybacked {
            self.attempt_failed(pair, cause, worker);
        }
        let successor = live.successor();
        if let Some(suspended) = close.suspended {
            let until = suspended.until;
            let surplus = self.connections.lock().suspend(stream, suspended.clone());
            if let Some(surplus) = surplus {
                self.give_up(surplus, Cause::RemoteClosed, worker);
            }
            for pair in live.pairs.into_keys() {
                self.tell_link(&pair, Input::Suspended { stream, cause }, worker);
            }
            let alarm = Oblivion {
                router: Arc::downgrade(self),
                stream,
            };
            self.surroundings.call_at(until, Arc::new(alarm));
            if let Some(successor) = successor {
                self.order(successor, Order::Resumption(Some(suspended)));
            }
            return;
        }
        if let Some(successor) = successor {
            self.order(successor, Order::Resumption(None));
        }
        if let Some(mailbox) = live.mailbox {
            let end = match close.ending {
                Ending::Finished(By::Peer) => End::ByPeer,
                Ending::Finished(By::Us) => End::ByUs,
                Ending::Lost
                | Ending::Silent
                | Ending::Superseded
                | Ending::Error(_)
                | Ending::PeerError(_)
                | Ending::Failed(_) => End::Broken(cause),
            };
            self.ended(stream, live.pairs.into_keys(), end, &mailbox, worker);
        }
    }

    /// A stream is over for good: each link gets what it had given to it.
    fn ended(
        self: &Arc<Self>,
        stream: StreamId,
        pairs: impl Iterator<Item = Pair>,
        end: End,
        mailbox: &Mailbox,
        worker: &mut Worker,
    ) {
        let mut shares: BTreeMap<Pair, Remains> = pairs.map(|pair| (pair, Remains::default())).collect();
        let Remains { sent, unsent } = mailbox.close_apart();
        for entry in sent {
            if let Some(pair) = self.pair_of(&entry.parcel) {
                shares.entry(pair).or_default().sent.push(entry);
            }
        }
        for entry in unsent {
            if let Some(pair) = self.pair_of(&entry.parcel) {
                shares.entry(pair).or_default().unsent.push(entry);
            }
        }
        for (pair, remains) in shares {
            self.tell_link(&pair, Input::Ended { stream, end, remains }, worker);
        }
    }

    /// Whose link a stanza went through.
    fn pair_of(&self, parcel: &Parcel) -> Option<Pair> {
        Some(self.pair_between(parcel.from()?, parcel.to()?))
    }

    fn pairs_of(&self, stream: StreamId) -> Vec<Pair> {
        self.connections.lock().pairs(stream)
    }

    /// A stanza of another domain: the stream has seen to it that its `from` may say so (RFC 6120 §8.1.2.2) and that
    /// its `to` is served here.
    fn from_elsewhere(self: &Arc<Self>, stanza: Stanza, receipt: Option<Receipt>, worker: &mut Worker) {
        let host = stanza.to().map_or("", Address::domainpart);
        let scope = self.scope_of(stanza.from().map_or("", Address::domainpart));
        self.counters
            .pass(host, scope, Direction::In, stanza.kind(), stanza.byte_len());
        self.passes(Border::FromServer, &stanza);
        if let Some(pair) = answers_a_host(&stanza)
            && let Some(to) = stanza.to()
        {
            let is_host = self.destination(to) == Destination::Host;
            if let Some(id) = stanza.id()
                && (is_host || self.is_component(to))
            {
                self.tell_link(&pair, Input::Answered(id.into_owned()), worker);
            }
            // A component may have asked too.
            if is_host {
                settle(receipt);
                return;
            }
        }
        self.route(Parcel::new(stanza), receipt, worker);
    }
}

/// The pair of a stanza that is an answer of a domain to one of ours: links ask such questions.
fn answers_a_host(stanza: &Stanza) -> Option<Pair> {
    let (from, to) = (stanza.from()?, stanza.to()?);
    let is_domain = |address: &Address| address.as_str() == address.domainpart();
    let is_answer = matches!(stanza.kind(), Kind::Iq(IqType::Result | IqType::Error));
    (is_answer && is_domain(from) && is_domain(to)).then(|| Pair::of(to, from))
}

/// Whether the other server came, said nothing of who it is, and left in order.
fn only_judged(attempt: &Attempt) -> bool {
    let record = attempt.tries.last().and_then(|one| one.stream.as_ref());
    attempt.side == Side::Inbound
        && record.is_some_and(|record| {
            record.method.is_none()
                && record.obstacle.is_none()
                && matches!(record.ending, Some(Ending::Finished(_)))
        })
}

/// What a connection that asked is told when nobody could be asked.
fn verdict_of(cause: Cause) -> Verdict {
    match cause {
        Cause::NoSuchDomain | Cause::NoService | Cause::HostUnknown => Verdict::NotFound,
        Cause::Timeout | Cause::RemoteClosed => Verdict::TimedOut,
        Cause::DnsUnavailable
        | Cause::Refused
        | Cause::Unreachable
        | Cause::Tls
        | Cause::Certificate
        | Cause::Authentication
        | Cause::Policy
        | Cause::ComponentAbsent
        | Cause::Throttled => Verdict::Unreachable,
    }
}

/// A broken stream was waited for long enough.
struct Oblivion {
    router: Weak<Router>,
    stream: StreamId,
}

impl Alarm for Oblivion {
    fn ring(self: Arc<Self>) {
        if let Some(router) = self.router.upgrade() {
            router.work(|worker| router.give_up(self.stream, Cause::Timeout, worker));
        }
    }
}
