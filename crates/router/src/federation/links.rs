//! The router as the world of links: where they are, what they send, whom they tell.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use account::{DropReason, Suppression};
use machine::{Context, Moment};
use papaya::HashMap;
use parking_lot::Mutex;
use s2s::Pair;
use s2s::link::{Cause, Effect, Fate, Input, Key, Kind, Link, Path, StateName, View};
use stanza::{Address, Condition, ErrorKind, Parcel, StanzaError};
use stream_management::{Entry, Receipt};
use turns::{CommitId, Death, Gone, Limits, Priority, Refusal, Slot, Worker, World};

use super::Order;
use super::figures::{LinkFigures, Loss};
use super::pulse::{Exchange, Past};
use crate::counters::{Counter, Direction, Scope};
use crate::router::{Destination, Router, clear, in_order, settle};
use crate::surroundings::Alarm;
use crate::trace::Border;
use crate::world::Dice;

/// The place of one link.
pub type LinkSlot = Slot<Link, Router>;

/// All links, and what was counted of them.
#[derive(Default)]
pub(crate) struct Links {
    slots: HashMap<Pair, Arc<LinkSlot>>,
    figures: Mutex<LinkFigures>,
    lost: Mutex<BTreeMap<Pair, Loss>>,
    past: Past,
}

impl Links {
    pub(crate) fn clear(&self) {
        clear(&self.slots);
    }
}

impl Router {
    /// Links in memory, as they are now.
    pub fn links(&self) -> Vec<View> {
        let slots: Vec<Arc<LinkSlot>> = self.links.slots.pin().values().cloned().collect();
        let mut views: Vec<View> = slots.iter().filter_map(|slot| slot.look(Link::view)).collect();
        views.sort_by(|one, other| one.pair.cmp(&other.pair));
        views
    }

    /// What was counted of links.
    pub fn link_figures(&self) -> LinkFigures {
        let exchanges = self.exchanges();
        let mut figures = self.links.figures.lock().clone();
        let now = self.surroundings.now();
        // Outages count while they last.
        for (pair, (since, was_told)) in &*self.links.lost.lock() {
            if *was_told {
                figures.lost(&pair.remote, now.since(*since));
            }
        }
        for (pair, exchange) in exchanges {
            figures.heard(&pair.remote, exchange.heard);
        }
        figures
    }

    /// When something came last through each link, and how long its last round trip took.
    pub fn exchanges(&self) -> BTreeMap<Pair, Exchange> {
        let mut all = self.links.past.all();
        self.connections.lock().add_exchanges(&mut all);
        all
    }

    /// Counts an attempt that is over.
    pub(crate) fn count_attempt(&self, attempt: &s2s::explain::Attempt) {
        self.links.figures.lock().attempted(attempt);
    }

    /// Counts a round trip on a connection that carries these pairs.
    pub(crate) fn count_round_trip(&self, pairs: &[Pair], took: Duration) {
        let remotes: BTreeSet<&Address> = pairs.iter().map(|pair| &pair.remote).collect();
        let mut figures = self.links.figures.lock();
        for remote in remotes {
            figures.round_trip(remote, took);
        }
    }

    /// A connection that carried these links is over.
    pub(crate) fn keep_exchange<'p>(&self, pairs: impl Iterator<Item = &'p Pair>, exchange: Exchange) {
        let mut figures = self.links.figures.lock();
        for pair in pairs {
            figures.heard(&pair.remote, exchange.heard);
            if self.link_in_memory(pair).is_some() {
                self.links.past.keep(pair, exchange);
            }
        }
    }

    /// An operator wants a connection now.
    pub fn connect(self: &Arc<Self>, pair: &Pair, worker: &mut Worker) {
        self.tell_link(pair, Input::Connect, worker);
    }

    /// An operator wants the streams of a link closed. False: there is no such link.
    pub fn disconnect(self: &Arc<Self>, pair: &Pair, worker: &mut Worker) -> bool {
        let known = self.link_in_memory(pair).is_some();
        if known {
            self.tell_link(pair, Input::Drop, worker);
        }
        known
    }

    /// The server stops: rooms get back what still waits for other domains, so that it is kept with them. False: there was
    /// nothing.
    pub fn give_back_to_rooms(self: &Arc<Self>) -> bool {
        let services = &self.settings.load().muc.services;
        let waits = |view: &View| view.waiting.0 > 0 || view.streams.iter().any(|stream| stream.is_broken);
        let is_of_rooms = |pair: &Pair| services.iter().any(|service| *service == pair.local.as_str());
        let slots = self.links.slots.pin();
        // What has its turn now may hold something too.
        let held = slots.iter().filter(|(pair, slot)| {
            is_of_rooms(pair) && slot.look(|link| waits(&link.view())).unwrap_or(true)
        });
        let pairs: Vec<Pair> = in_order(held.map(|(pair, _)| pair));
        drop(slots);
        self.work(|worker| {
            for pair in &pairs {
                self.tell_link(pair, Input::Stop, worker);
            }
        });
        !pairs.is_empty()
    }

    /// `watcher` wants to know of the path from its domain to `domain`, and is told of it now and at every change.
    pub fn watch(self: &Arc<Self>, watcher: &Address, domain: &Address, worker: &mut Worker) {
        let pair = Pair::of(watcher, domain);
        self.tell_link(&pair, Input::Watch(watcher.clone()), worker);
    }

    /// It does not any more.
    pub fn unwatch(self: &Arc<Self>, watcher: &Address, domain: &Address, worker: &mut Worker) {
        let pair = Pair::of(watcher, domain);
        if self.link_in_memory(&pair).is_some() {
            self.tell_link(&pair, Input::Unwatch(watcher.clone()), worker);
        }
    }

    /// Sends a stanza to another domain.
    pub(crate) fn to_elsewhere(
        self: &Arc<Self>,
        parcel: Parcel,
        receipt: Option<Receipt>,
        worker: &mut Worker,
    ) {
        let (Some(from), Some(to)) = (parcel.from(), parcel.to()) else {
            settle(receipt);
            return;
        };
        let settings = self.settings.load();
        let stream = &settings.federation.stream;
        let is_component = |address: &Address| stream.components.contains_key(address.domainpart());
        let is_of_others = self.destination(from) == Destination::Elsewhere && !is_component(from);
        let is_unreachable = self.network.get().is_none() || is_of_others;
        if is_unreachable && !is_component(to) {
            drop(settings);
            // RFC 6120 §10.4: no other server can be reached. Nothing is carried between two others.
            let error = StanzaError::new(Condition::RemoteServerNotFound)
                .text("this server does not talk to other servers");
            self.undeliverable(parcel, error, receipt, worker);
            return;
        }
        let pair = pair_in(stream, from, to);
        let scope = scope_in(stream, pair.remote.as_str());
        drop(settings);
        let (kind, size) = (parcel.stanza().kind(), parcel.byte_len());
        self.counters
            .pass(from.domainpart(), scope, Direction::Out, kind, size);
        self.passes(Border::ToServer, &parcel);
        let priority = Priority::Stanza(parcel.byte_len());
        self.deliver_to_link(&pair, Input::Send { parcel, receipt }, priority, worker);
    }

    /// Whether an external component serves the domain of an address.
    pub(crate) fn is_component(&self, address: &Address) -> bool {
        let settings = self.settings.load();
        settings
            .federation
            .stream
            .components
            .contains_key(address.domainpart())
    }

    /// Through which link a stanza goes. The links of an external component lead to it from the domains of this server;
    /// what comes from elsewhere, or from another component, takes that of the first.
    pub(crate) fn pair_between(&self, from: &Address, to: &Address) -> Pair {
        pair_in(&self.settings.load().federation.stream, from, to)
    }

    /// Puts a control input into the inbox of a link, which is made if there is none.
    pub(crate) fn tell_link(self: &Arc<Self>, pair: &Pair, input: Input, worker: &mut Worker) {
        self.deliver_to_link(pair, input, Priority::Control, worker);
    }

    /// A link that is in memory.
    pub(crate) fn link_in_memory(&self, pair: &Pair) -> Option<Arc<LinkSlot>> {
        self.links.slots.pin().get(pair).cloned()
    }

    /// The settings have changed: every link obeys them at once.
    pub(crate) fn tell_links_of_settings(&self) {
        let pairs: Vec<Pair> = in_order(self.links.slots.pin().keys());
        self.work(|worker| {
            for slot in pairs.iter().filter_map(|pair| self.link_in_memory(pair)) {
                drop(slot.deliver(Input::SettingsChanged, Priority::Control, worker));
            }
        });
    }

    fn deliver_to_link(
        self: &Arc<Self>,
        pair: &Pair,
        mut input: Input,
        priority: Priority,
        worker: &mut Worker,
    ) {
        loop {
            let slot = self.link_slot(pair);
            match slot.deliver(input, priority, worker) {
                Ok(()) => return,
                Err(Gone(returned)) => {
                    self.forget_link(&slot);
                    input = returned;
                }
            }
        }
    }

    /// Whether another server or a component lives at this domain.
    pub(crate) fn scope_of(&self, remote: &str) -> Scope {
        scope_in(&self.settings.load().federation.stream, remote)
    }

    fn link_slot(self: &Arc<Self>, pair: &Pair) -> Arc<LinkSlot> {
        let slots = self.links.slots.pin();
        if let Some(slot) = slots.get(pair) {
            return Arc::clone(slot);
        }
        let kind = match self.scope_of(pair.remote.as_str()) {
            Scope::Component => Kind::Component,
            Scope::Local | Scope::Remote => Kind::Server,
        };
        let link = Link::new(pair.clone(), kind, self.surroundings.now());
        let fresh = Slot::living(pair.clone(), Arc::clone(self), link);
        match slots.try_insert(pair.clone(), Arc::clone(&fresh)) {
            Ok(_) => fresh,
            Err(taken) => Arc::clone(taken.current),
        }
    }

    fn forget_link(&self, slot: &Arc<LinkSlot>) {
        self.links.end_loss(slot.key(), self.surroundings.now());
        self.links.past.forget(slot.key());
        let _ = self
            .links
            .slots
            .pin()
            .remove_if(slot.key(), |_, known| Arc::ptr_eq(known, slot));
    }

    /// A stanza for another domain will not be delivered.
    fn hand_back(self: &Arc<Self>, entry: Entry, fate: Fate, worker: &mut Worker) {
        match fate {
            Fate::Bounced(error) => {
                let condition = error.condition.as_str();
                *self.links.figures.lock().bounced.entry(condition).or_default() += 1;
                self.undeliverable(entry.parcel, error, entry.receipt, worker);
            }
            Fate::Dropped => {
                self.counters.add(Counter::Dropped(DropReason::Answer), 1);
                settle(entry.receipt);
            }
        }
    }

    fn tell_watchers(
        self: &Arc<Self>,
        watchers: Vec<Address>,
        domain: &Address,
        path: account::Path,
        worker: &mut Worker,
    ) {
        for watcher in watchers {
            if self.destination(&watcher) == Destination::Room {
                if !self.tell_room_of_path(&watcher, domain, path, worker) {
                    self.unwatch(&watcher, domain, worker);
                }
                continue;
            }
            let input = account::Input::Path {
                domain: domain.clone(),
                path,
            };
            // An account that has left memory holds no presence, and is not fetched for this.
            let told = self
                .account_in_memory(&watcher)
                .is_some_and(|slot| slot.deliver(input, Priority::Control, worker).is_ok());
            if !told {
                self.unwatch(&watcher, domain, worker);
            }
        }
    }
}

impl World<Link> for Router {
    type Key = Pair;

    fn limits(&self) -> Limits {
        self.settings.load().limits
    }

    fn with_context<R>(&self, decide: impl FnOnce(&mut Context<'_, s2s::link::Settings>) -> R) -> R {
        let settings = self.settings.load();
        let mut dice = Dice(&*self.surroundings);
        let (now, wall) = self.surroundings.times();
        decide(&mut Context {
            now,
            wall,
            random: &mut dice,
            settings: &settings.federation.link,
        })
    }

    /// A link keeps nothing.
    fn commit(&self, slot: &Arc<LinkSlot>, id: CommitId, changes: Vec<Infallible>, worker: &mut Worker) {
        drop(changes);
        slot.committed(id, Ok(()), worker);
    }

    fn perform(&self, slot: &Arc<LinkSlot>, effect: Effect, worker: &mut Worker) {
        let router = slot.world();
        let pair = slot.key();
        match effect {
            Effect::Connect {
                attempt,
                resume,
                occasion,
            } => router.connect_link(pair, attempt, resume, occasion, worker),
            Effect::CheckReachability => router.look(pair, worker),
            Effect::CheckStream(stream) => router.order(stream, Order::Check),
            Effect::StreamAnswered(stream) => router.order(stream, Order::Answered),
            Effect::CloseStream(stream) => router.order(stream, Order::Close),
            Effect::EndStream(stream, error) => router.order(stream, Order::End(error)),
            Effect::GiveUp(stream) => router.give_up(stream, Cause::Timeout, worker),
            Effect::Return { entry, fate } => router.hand_back(*entry, fate, worker),
            Effect::WakeAt(key, at) => {
                let slot = Arc::downgrade(slot);
                self.surroundings.call_at(at, Arc::new(LinkWake { slot, key }));
            }
            Effect::Tell { watchers, path } => {
                let path = match path {
                    Path::Clear => account::Path::Clear,
                    Path::Broken(cause) => account::Path::Broken(cause.label()),
                };
                router.tell_watchers(watchers, &pair.remote, path, worker);
            }
            Effect::Renewed { watchers } => {
                router.tell_watchers(watchers, &pair.remote, account::Path::Renewed, worker);
            }
            Effect::Changed { to, cause } => {
                self.links.count_change(pair, to, cause);
                let now = self.surroundings.now();
                let was_lost = self.links.lost_at(pair);
                if self.links.note_loss(pair, to, now) {
                    self.presence_figures.suppressed(Suppression::RecoveredInGrace, 1);
                }
                let lasted = was_lost.map(|lost| now.since(lost));
                self.surroundings.link_changed(pair, to, cause, lasted);
            }
        }
    }

    fn refuse(&self, slot: &Arc<LinkSlot>, input: Input, why: Refusal, worker: &mut Worker) {
        let router = slot.world();
        let error = match why {
            Refusal::Full => {
                StanzaError::new(Condition::ResourceConstraint).text("Too much waits for the domain already.")
            }
            Refusal::NotLoaded(_) | Refusal::Died(_) => {
                StanzaError::new(Condition::InternalServerError).kind(ErrorKind::Wait)
            }
        };
        match input {
            Input::Send { parcel, receipt } => router.undeliverable(parcel, error, receipt, worker),
            Input::Ended { remains, .. } => {
                for entry in remains.sent.into_iter().chain(remains.unsent) {
                    router.undeliverable(entry.parcel, error.clone(), entry.receipt, worker);
                }
            }
            // These concerned a link that is gone.
            Input::Carried { .. }
            | Input::Suspended { .. }
            | Input::Resumed { .. }
            | Input::Failed { .. }
            | Input::Heard
            | Input::Reached(_)
            | Input::Silent(_)
            | Input::Alive(_)
            | Input::Answered(_)
            | Input::Watch(_)
            | Input::Unwatch(_)
            | Input::Wake(_)
            | Input::SettingsChanged
            | Input::Connect
            | Input::Drop
            | Input::Stop
            | Input::Recorded(_) => {}
        }
    }

    fn died(&self, slot: &Arc<LinkSlot>, _why: Death, _worker: &mut Worker) {
        self.forget_link(slot);
    }

    fn idle(&self, slot: &Arc<LinkSlot>, _worker: &mut Worker) {
        if slot.retire_if_idle() {
            self.forget_link(slot);
        }
    }
}

impl Links {
    /// Since when a link is lost.
    pub(crate) fn lost_at(&self, pair: &Pair) -> Option<Moment> {
        self.lost.lock().get(pair).map(|(lost, _)| *lost)
    }

    /// True: it is back, and nobody was told that it was lost.
    fn note_loss(&self, pair: &Pair, to: StateName, now: Moment) -> bool {
        let mut lost = self.lost.lock();
        match to {
            StateName::Suspect => {
                lost.entry(pair.clone()).or_insert((now, false));
                false
            }
            StateName::Down => {
                lost.entry(pair.clone()).or_insert((now, true)).1 = true;
                false
            }
            StateName::Up | StateName::Idle => {
                drop(lost);
                self.end_loss(pair, now).is_some_and(|was_told| !was_told)
            }
        }
    }

    /// Nothing is lost any more, or nobody follows it. Tells whether anybody was told of the loss, if there was one.
    fn end_loss(&self, pair: &Pair, now: Moment) -> Option<bool> {
        // In this order, as they are read: a loss counts at every moment in one place or the other.
        let mut figures = self.figures.lock();
        let (since, was_told) = self.lost.lock().remove(pair)?;
        if was_told {
            figures.lost(&pair.remote, now.since(since));
        }
        Some(was_told)
    }

    fn count_change(&self, pair: &Pair, to: StateName, cause: Option<Cause>) {
        let reason = cause.map_or("", Cause::label);
        self.figures.lock().changed(&pair.remote, to, reason);
    }
}

/// See [`Router::pair_between`].
fn pair_in(stream: &s2s::Settings, from: &Address, to: &Address) -> Pair {
    let pair = Pair::of(from, to);
    match stream.hosts.first() {
        Some(first)
            if stream.components.contains_key(&pair.remote) && !stream.hosts.contains(&pair.local) =>
        {
            Pair {
                local: first.clone(),
                ..pair
            }
        }
        Some(_) | None => pair,
    }
}

/// See [`Router::scope_of`].
fn scope_in(stream: &s2s::Settings, remote: &str) -> Scope {
    if stream.components.contains_key(remote) {
        Scope::Component
    } else {
        Scope::Remote
    }
}

/// A wake-up call; a link that has left memory meanwhile does not need it.
struct LinkWake {
    slot: Weak<LinkSlot>,
    key: Key,
}

impl Alarm for LinkWake {
    fn ring(self: Arc<Self>) {
        if let Some(slot) = self.slot.upgrade() {
            let router = Arc::clone(slot.world());
            router.work(|worker| drop(slot.deliver(Input::Wake(self.key), Priority::Control, worker)));
        }
    }
}
