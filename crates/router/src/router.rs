//! The map of addresses, and the way of a stanza from one machine to the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use account::{Account, AdminRequest, Input, PresenceLoad, Resting, SessionCount};
use arc_swap::ArcSwap;
use papaya::{Guard, HashMap};
use parking_lot::Mutex;
use stanza::{Address, Condition, Kind, MessageType, Parcel, StanzaError, StreamError};
use stream_management::Receipt;
use turns::{Gone, LoadFailure, Priority, Slot, Worker};

use crate::counters::{Counter, Counters};
use crate::federation::{Attached, Connections, Federation, Links};
use crate::hosts::Hosts;
use crate::presence_figures::PresenceFigures;
use crate::rest::Rest;
use crate::resumption::Resumptions;
use crate::rooms::Rooms;
use crate::store::Store;
use crate::surroundings::Surroundings;
use crate::trace::{Border, Passing, Sink, Watchers};

/// Addresses without an account have this part of what accounts have while nobody is at home.
const ABSENT_SHARE: usize = 8;

/// The place of one account.
pub type AccountSlot = Slot<Account, Router>;

/// What the router reads of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The domains that are served here.
    pub hosts: Hosts,
    /// What accounts read of it.
    pub account: account::Settings,
    /// What one machine may have waiting.
    pub limits: turns::Limits,
    /// How many bytes of accounts may stay in memory while nobody is at home.
    pub resting_bytes_max: usize,
    /// What rooms read of it, and where they are.
    pub muc: muc::Settings,
    /// What links and connections between servers read of it.
    pub federation: Federation,
}

impl Settings {
    /// Rooms and accounts have one presence engine.
    fn share_presence(&mut self) {
        self.muc.presence = self.account.presence.clone();
    }
}

/// Where an address lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// At an account here, which may not exist.
    Account,
    /// At a room here, which may not exist.
    Room,
    /// At a service that rooms live at.
    Service,
    /// At a host that is served here.
    Host,
    /// At another domain.
    Elsewhere,
}

/// The sessions of one host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostSessions {
    /// How many of each kind.
    pub sessions: SessionCount,
    /// What waits in their mailboxes, or is not acknowledged.
    pub unacknowledged_stanzas: usize,
    /// The bytes of that.
    pub unacknowledged_bytes: usize,
}

/// Finds machines, carries effects, answers for hosts.
pub struct Router {
    pub(crate) accounts: HashMap<Address, Arc<AccountSlot>>,
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) surroundings: Arc<dyn Surroundings>,
    pub(crate) counters: Counters,
    pub(crate) resumptions: Resumptions,
    rest: Rest,
    absent: Rest,
    pub(crate) presence_figures: PresenceFigures,
    pub(crate) next_session: AtomicU64,
    watchers: Watchers,
    pub(crate) links: Links,
    pub(crate) rooms: Rooms,
    pub(crate) connections: Mutex<Connections>,
    pub(crate) network: Attached,
}

impl Router {
    /// A router with nobody at home.
    pub fn new(
        mut settings: Settings,
        store: Arc<dyn Store>,
        surroundings: Arc<dyn Surroundings>,
    ) -> Arc<Router> {
        settings.share_presence();
        let counters = Counters::default();
        name_hosts(&counters, &settings);
        Arc::new(Router {
            accounts: HashMap::new(),
            settings: ArcSwap::from_pointee(settings),
            store,
            surroundings,
            counters,
            resumptions: Resumptions::default(),
            rest: Rest::default(),
            absent: Rest::default(),
            presence_figures: PresenceFigures::default(),
            next_session: AtomicU64::new(1),
            watchers: Watchers::default(),
            links: Links::default(),
            rooms: Rooms::default(),
            connections: Mutex::default(),
            network: Attached::default(),
        })
    }

    /// The settings of now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Other settings, from the next input on.
    pub fn replace_settings(&self, mut settings: Settings) {
        // What was learnt of clients is no setting.
        let shared = self.settings.load();
        let shared = &shared.account.presence;
        settings.account.presence.capabilities = Arc::clone(&shared.capabilities);
        settings.account.presence.poke.in_flight = Arc::clone(&shared.poke.in_flight);
        settings.share_presence();
        name_hosts(&self.counters, &settings);
        self.settings.store(Arc::new(settings));
        self.tell_links_of_settings();
    }

    /// The clock for intervals.
    pub fn now(&self) -> machine::Moment {
        self.surroundings.now()
    }

    /// What the calendar says.
    pub fn wall(&self) -> machine::Timestamp {
        self.surroundings.wall()
    }

    /// What was counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What was observed of presence, pokes and wishes.
    pub fn presence_figures(&self) -> &PresenceFigures {
        &self.presence_figures
    }

    /// Shows `sink` the stanzas from and to `wanted`, a full address, an account or a domain, until it has seen enough.
    pub fn trace(&self, wanted: Address, sink: Sink) {
        self.watchers.add(wanted, sink);
    }

    /// A stanza passes.
    pub(crate) fn passes<'s>(&self, border: Border, passing: impl Into<Passing<'s>>) {
        self.watchers
            .show(border, passing.into(), || self.surroundings.wall());
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Accounts in memory.
    pub fn accounts_in_memory(&self) -> usize {
        self.accounts.len()
    }

    /// Which accounts are in memory, in order of their addresses.
    pub fn addresses_in_memory(&self) -> Vec<Address> {
        in_order(self.accounts.pin().keys())
    }

    /// Bound sessions of each host.
    pub fn sessions_by_host(&self) -> BTreeMap<String, HostSessions> {
        let mut counts: BTreeMap<String, HostSessions> = self
            .settings
            .load()
            .hosts
            .domains()
            .map(|domain| (domain.to_owned(), HostSessions::default()))
            .collect();
        for (address, slot) in &self.accounts.pin() {
            // One that has its turn right now is counted at the next look.
            let Some((count, (stanzas, bytes))) =
                slot.look(|account| (account.session_count(), account.load()))
            else {
                continue;
            };
            if count.all() > 0 {
                let host = counts.entry(address.domainpart().to_owned()).or_default();
                host.sessions.active += count.active;
                host.sessions.paused_management += count.paused_management;
                host.sessions.paused_bosh += count.paused_bosh;
                host.unacknowledged_stanzas += stanzas;
                host.unacknowledged_bytes += bytes;
            }
        }
        counts
    }

    /// What all sessions here hold of others' presence.
    pub fn presence_load(&self) -> PresenceLoad {
        let settings = self.settings.load();
        let mut sum = PresenceLoad::default();
        for (_, slot) in &self.accounts.pin() {
            // One that has its turn right now is counted at the next look.
            let capabilities = &settings.account.presence.capabilities;
            let is_local = |address: &Address| settings.hosts.serves(address);
            let look = |account: &Account| account.presence_load(capabilities, is_local);
            let Some(load) = slot.look(look) else { continue };
            sum.local += load.local;
            sum.remote += load.remote;
            sum.unavailable += load.unavailable;
            sum.paused += load.paused;
            sum.paused_by_request += load.paused_by_request;
            sum.occupants += load.occupants;
            sum.deferred += load.deferred;
            sum.asking += load.asking;
            sum.asking_elsewhere += load.asking_elsewhere;
            sum.pokes += load.pokes;
            sum.directed += load.directed;
        }
        sum
    }

    /// Ends all sessions with this error. What their clients do not have is kept as for any session that ends.
    pub fn end_all(self: &Arc<Self>, error: &StreamError) {
        let accounts = self.addresses_in_memory();
        self.work(|worker| {
            for account in accounts {
                let request = AdminRequest::End(None, error.clone(), Box::new(|_| {}));
                self.deliver(&account, Input::Admin(request), Priority::Control, worker);
            }
        });
    }

    /// Where an address lives: the only place that knows.
    pub fn destination(&self, to: &Address) -> Destination {
        let settings = self.settings.load();
        if !settings.hosts.serves(to) {
            let is_service = settings
                .muc
                .services
                .iter()
                .any(|service| service == to.domainpart());
            match (is_service, to.localpart()) {
                (true, Some(_)) => Destination::Room,
                (true, None) => Destination::Service,
                (false, _) => Destination::Elsewhere,
            }
        } else if to.localpart().is_some() {
            Destination::Account
        } else {
            Destination::Host
        }
    }

    /// Carries a parcel to where its `to` lives. The receipt is settled where its fate is decided.
    pub fn route(self: &Arc<Self>, parcel: Parcel, receipt: Option<Receipt>, worker: &mut Worker) {
        let Some(to) = parcel.to() else {
            // Nothing leaves a machine without an address.
            settle(receipt);
            return;
        };
        match self.destination(to) {
            Destination::Account => {
                let size = parcel.byte_len();
                let to = to.clone();
                self.deliver(
                    &to,
                    Input::Inbound { parcel, receipt },
                    Priority::Stanza(size),
                    worker,
                );
            }
            // Nobody reads messages to a host or a service; what a person wrote is not lost in silence.
            Destination::Host | Destination::Service if is_written_by_somebody(&parcel) => {
                self.bounce(&parcel, Condition::ServiceUnavailable, receipt, worker);
            }
            Destination::Host => {
                self.at_host(&parcel, worker);
                settle(receipt);
            }
            Destination::Room => self.to_room(parcel, receipt, worker),
            Destination::Service => {
                self.at_service(&parcel, worker);
                settle(receipt);
            }
            Destination::Elsewhere => {
                // An error cannot be stored, and is handed over by being sent.
                let (receipt, settled) = match parcel.stanza().kind().is_error() {
                    true => (None, receipt),
                    false => (receipt, None),
                };
                settle(settled);
                self.to_elsewhere(parcel, receipt, worker);
            }
        }
    }

    /// Puts an input into the inbox of the account with this address, which is fetched if it is not in memory.
    pub fn deliver(
        self: &Arc<Self>,
        address: &Address,
        input: Input,
        priority: Priority,
        worker: &mut Worker,
    ) {
        let mut input = input;
        loop {
            let slot = self.account_slot(address, worker);
            match slot.deliver(input, priority, worker) {
                Ok(()) => return,
                Err(Gone(returned)) => {
                    self.forget(&slot);
                    input = returned;
                }
            }
        }
    }

    /// The slot of an account, in memory or being fetched.
    pub(crate) fn account_slot(
        self: &Arc<Self>,
        address: &Address,
        _worker: &mut Worker,
    ) -> Arc<AccountSlot> {
        let accounts = self.accounts.pin();
        if let Some(slot) = accounts.get(address.bare_str()) {
            return Arc::clone(slot);
        }
        let key = address.to_bare();
        let fresh = Slot::loading(key.clone(), Arc::clone(self));
        match accounts.try_insert(key.clone(), Arc::clone(&fresh)) {
            Ok(_) => {
                self.fetch(key, Arc::clone(&fresh));
                fresh
            }
            Err(taken) => Arc::clone(taken.current),
        }
    }

    /// An account that is in memory.
    pub(crate) fn account_in_memory(&self, address: &Address) -> Option<Arc<AccountSlot>> {
        self.accounts.pin().get(address.bare_str()).cloned()
    }

    fn fetch(self: &Arc<Self>, address: Address, slot: Arc<AccountSlot>) {
        let router = Arc::clone(self);
        self.store.load_account(
            address.clone(),
            Box::new(move |saved| {
                let account = saved.ok().and_then(|saved| Account::new(address, saved).ok());
                router.work(|worker| match account {
                    // A slot that was given up meanwhile does not need the account.
                    Some(account) => drop(slot.loaded(account, worker)),
                    None => {
                        router.forget(&slot);
                        slot.load_failed(LoadFailure::Unavailable, worker);
                    }
                });
            }),
        );
    }

    /// Nobody is at home, and nothing is under way. The account stays in memory for a while.
    pub(crate) fn rests(&self, slot: &Arc<AccountSlot>) {
        let leaves = |slot: &Arc<AccountSlot>| {
            if slot.retire_if_idle() {
                self.forget(slot);
            }
        };
        let bytes_max = self.settings.load().resting_bytes_max;
        let leaving = match slot.look(Account::resting) {
            Some(Resting::Known(bytes)) => self.rest.add(slot.key(), bytes, bytes_max),
            // Anybody can write to addresses that never were: they leave each other less room, and none to accounts.
            Some(Resting::Unknown(bytes)) => self.absent.add(slot.key(), bytes, bytes_max / ABSENT_SHARE),
            Some(Resting::Outdated) => return leaves(slot),
            // It has its turn again, and comes here after that.
            None => return,
        };
        for account in leaving {
            if let Some(slot) = self.account_in_memory(&account) {
                leaves(&slot);
            }
        }
    }

    /// Every account, room and link leaves memory, as at the end of a process. They hold this router and it holds them: whoever
    /// goes on without it and does not say this gives nothing of it back.
    pub fn dissolve(&self) {
        clear(&self.accounts);
        self.rooms.clear();
        self.links.clear();
    }

    /// Takes this very slot out of the map.
    pub(crate) fn forget(&self, slot: &Arc<AccountSlot>) {
        let _ = self
            .accounts
            .pin()
            .remove_if(slot.key(), |_, known| Arc::ptr_eq(known, slot));
    }

    /// Tells the sender that a stanza will not arrive. Its receipt is settled where the error arrives.
    pub(crate) fn bounce(
        self: &Arc<Self>,
        parcel: &Parcel,
        error: impl Into<StanzaError>,
        receipt: Option<Receipt>,
        worker: &mut Worker,
    ) {
        let error = error.into();
        let condition = error.condition;
        match parcel.error(error) {
            Some(answer) => {
                self.counters.add(Counter::Errors(answer.kind(), condition), 1);
                self.route(Parcel::new(answer), receipt, worker);
            }
            None => settle(receipt),
        }
    }

    /// Lends the worker of this thread and then takes the turns that became ready.
    pub fn work(&self, task: impl FnOnce(&mut Worker)) {
        let mut task = Some(task);
        self.surroundings.with_worker(&mut |worker| {
            if let Some(task) = task.take() {
                task(worker);
            }
        });
        self.counters.worked();
    }

    pub(crate) fn next_session_id(&self) -> account::SessionId {
        account::SessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }
}

/// Hosts and the services of rooms have rows of their own.
fn name_hosts(counters: &Counters, settings: &Settings) {
    let services = settings.muc.services.iter().map(String::as_str);
    counters.name_hosts(settings.hosts.domains().chain(services));
}

fn is_written_by_somebody(parcel: &Parcel) -> bool {
    matches!(
        parcel.stanza().kind(),
        Kind::Message(MessageType::Chat | MessageType::Normal | MessageType::Groupchat)
    )
}

/// The keys of a map in an order that does not depend on their hashes, so that what follows from it is the same in every run.
pub(crate) fn in_order<'k, K: Ord + Clone + 'k>(keys: impl Iterator<Item = &'k K>) -> Vec<K> {
    let mut keys: Vec<K> = keys.cloned().collect();
    keys.sort();
    keys
}

/// Empties a map, and gives back at once what this thread has taken out of it.
pub(crate) fn clear<K, V>(map: &HashMap<K, V>)
where
    K: Eq + std::hash::Hash,
{
    let guard = map.guard();
    map.clear(&guard);
    guard.flush();
}

/// The fate of the stanza is decided.
pub(crate) fn settle(receipt: Option<Receipt>) {
    if let Some(receipt) = receipt {
        receipt.settle();
    }
}
