//! One server and the wires to it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use account::KeptSession;
use c2s::{Ending, Stage, Transport};
use machine::Moment;
use muc::{AdminRequest, KeptRoom};
use parking_lot::Mutex;
use router::{Router, Store, Surroundings};
use sasl::{Password, Salt, Stored};
use stanza::Address;
use storage::{Faults, Memory};

use crate::connection::{Connection, Hall, shutdown};
use crate::line::Office;
use crate::settings::{Passwords, Settings};
use crate::surroundings::{Simulated, Turns};
use crate::{Dice, panics};

/// Steps after which a world that does not come to rest is taken for one that never will.
const STEPS_MAX: usize = 1_000_000;

/// Names a connection of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// A whole server but for `transport`: router, accounts, a store in memory, and connections whose bytes are put in and
/// taken out by hand. Two worlds with the same seed and the same calls are the same.
pub struct World {
    settings: Settings,
    session_settings: c2s::Settings,
    surroundings: Arc<Simulated>,
    store: Memory,
    faults: Faults,
    router: Arc<Router>,
    connections: BTreeMap<ConnectionId, Connection>,
    connections_made: u64,
    /// Who is next, when it is up to chance.
    dice: Dice,
    /// Of everything that clients have read.
    read: DefaultHasher,
}

impl World {
    /// A server without accounts.
    pub fn new(seed: u64, settings: Settings, turns: Turns) -> World {
        let mut dice = Dice::new(seed);
        let surroundings = Simulated::new(dice.fork(), turns);
        let store = Memory::new(dice.next(), Faults::default());
        panics::watch();
        World {
            router: router(&settings, &store, &surroundings),
            session_settings: settings.session(),
            settings,
            surroundings,
            store,
            faults: Faults::default(),
            connections: BTreeMap::new(),
            connections_made: 0,
            dice,
            read: DefaultHasher::new(),
        }
    }

    /// Makes an account, at once.
    ///
    /// # Panics
    /// When the address is none, its host is not served, or the store refuses.
    #[allow(clippy::expect_used, reason = "a test that asks for it is wrong")]
    pub fn create_account(&mut self, address: &str, password: &str) {
        let address = Address::parse(address).expect("this is no address");
        let host = self
            .settings
            .hosts
            .iter()
            .find(|(domain, _)| *domain == address.domainpart());
        let passwords = host.expect("this host is not served").1;
        let stored = hashed(&self.settings, passwords, password);
        let made = address.clone();
        // What a test does to the store itself succeeds.
        self.store.set_faults(Faults::default());
        self.store
            .create_account(address, stored, Box::new(|made| assert_eq!(made, Ok(true))));
        self.store.run_pending();
        self.router.account_was_made(&made);
        self.store.set_faults(self.faults.clone());
    }

    /// From now on the store misbehaves like this.
    pub fn set_faults(&mut self, faults: Faults) {
        self.store.set_faults(faults.clone());
        self.faults = faults;
    }

    /// The store.
    pub fn store(&self) -> &Memory {
        &self.store
    }

    /// The router, to look at its counters.
    pub fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// Whether a domain is served here.
    pub(crate) fn serves(&self, domain: &str) -> bool {
        self.domains().contains(&domain)
    }

    /// The domains that are served here.
    pub(crate) fn domains(&self) -> Vec<&'static str> {
        let hosts = self.settings.hosts.iter().map(|(domain, _)| *domain);
        hosts.chain(self.settings.rooms.iter().copied()).collect()
    }

    /// What lines to other servers work with.
    pub(crate) fn office(&self) -> Office<'_> {
        Office {
            router: &self.router,
            surroundings: &self.surroundings,
        }
    }

    /// The clock.
    pub fn now(&self) -> Moment {
        self.surroundings.now()
    }

    // ---- wires ----

    /// A client connects; on [`Transport::DirectTls`] the handshake succeeds.
    pub fn connect(&mut self, transport: Transport) -> ConnectionId {
        self.connections_made += 1;
        let id = ConnectionId(self.connections_made);
        let deadline = self.now() + self.settings.limits.unauthenticated_time;
        let connection = Connection::new(transport, &self.session_settings, deadline);
        self.connections.insert(id, connection);
        if transport == Transport::DirectTls {
            self.secure(id);
        }
        id
    }

    /// The TLS handshake succeeds, if it is time for it.
    pub fn secure(&mut self, id: ConnectionId) {
        self.at(id, |connection, hall| connection.secure(hall, None));
    }

    /// Whether the server waits for a TLS handshake.
    pub fn awaits_tls(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(Connection::awaits_tls)
    }

    /// The client sends bytes. What becomes of them is seen when the world goes on.
    pub fn say(&mut self, id: ConnectionId, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.say(bytes);
        }
    }

    /// The client reads what has come.
    pub fn hear(&mut self, id: ConnectionId) -> Vec<u8> {
        let heard = self.connections.get_mut(&id).map(Connection::hear);
        let heard = heard.unwrap_or_default();
        if !heard.is_empty() {
            (self.now().as_micros(), id, &heard).hash(&mut self.read);
        }
        heard
    }

    /// A number that follows from all that clients have read, who and when. Two runs that differ in anything that somebody
    /// was told have different ones.
    pub fn fingerprint(&self) -> u64 {
        self.read.finish()
    }

    /// The client closes its socket; what is on its way to the server still arrives.
    pub fn hang_up(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.hang_up();
        }
    }

    /// Whether the server has closed the connection. There may still be something to read.
    pub fn is_closed(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_none_or(Connection::is_closed)
    }

    /// How many of the client's bytes have surely got to the server's session: those that it took without ending.
    pub fn taken(&self, id: ConnectionId) -> u64 {
        self.connections.get(&id).map_or(0, Connection::taken)
    }

    /// How the server saw the connection end.
    pub fn ending(&self, id: ConnectionId) -> Option<&Ending> {
        self.connections.get(&id).and_then(Connection::ending)
    }

    /// How far the client has come.
    pub fn stage(&self, id: ConnectionId) -> Option<Stage> {
        self.connections.get(&id).map(Connection::stage)
    }

    /// The client will not look at this connection again.
    pub fn forget(&mut self, id: ConnectionId) {
        if self.is_closed(id) {
            self.connections.remove(&id);
        }
    }

    // ---- going on ----

    /// Lets one thing happen that can happen now, chosen by the dice. False: nothing can before time passes.
    pub fn step(&mut self) -> bool {
        let now = self.now();
        let store_is_due = self.store.next_due().is_some_and(|due| due <= now);
        let busy: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.has_work())
            .map(|(id, _)| *id)
            .collect();
        let (turn, slow) = (self.surroundings.has_turns(), self.surroundings.has_slow_work());
        let choices = usize::from(store_is_due) + usize::from(turn) + usize::from(slow) + busy.len();
        if choices == 0 {
            return false;
        }
        let mut choice = self.dice.below(choices);
        let mut chosen = |there: bool| {
            let is_it = there && choice == 0;
            choice = if is_it {
                usize::MAX
            } else {
                choice.wrapping_sub(usize::from(there))
            };
            is_it
        };
        if chosen(store_is_due) {
            // It is due, so that this moves no clock.
            self.store.step();
        } else if chosen(turn) {
            let inputs_max = 1 + self.dice.below(8);
            self.surroundings.turn(inputs_max);
        } else if chosen(slow) {
            self.surroundings.work_slowly();
        } else if let Some(id) = busy.get(choice) {
            self.work(*id);
        }
        panics::check();
        true
    }

    /// Lets everything happen that can happen without time passing.
    ///
    /// # Panics
    /// When it never comes to rest.
    pub fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Lets time pass, with all that happens meanwhile.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now() + time;
        self.settle();
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            self.wind_to(next);
            self.settle();
        }
        self.wind_to(end);
        self.settle();
    }

    /// Lets time pass until something happens by itself. False: nothing will.
    pub fn pass_to_next(&mut self) -> bool {
        let Some(next) = self.next_moment() else {
            return false;
        };
        self.wind_to(next);
        true
    }

    /// Lets time pass until something happens by itself, but not more than this. False: nothing will so soon.
    pub fn pass_to_next_within(&mut self, most: Duration) -> bool {
        let end = self.now() + most;
        match self.next_moment() {
            Some(next) if next <= end => {
                self.wind_to(next);
                true
            }
            Some(_) | None => {
                self.wind_to(end);
                false
            }
        }
    }

    /// When something happens by itself.
    pub(crate) fn next_moment(&self) -> Option<Moment> {
        let deadlines = self
            .connections
            .values()
            .filter(|connection| !connection.is_closed());
        deadlines
            .filter_map(Connection::deadline)
            .chain(self.surroundings.next_alarm())
            .chain(self.store.next_due())
            .min()
    }

    pub(crate) fn wind_to(&mut self, now: Moment) {
        self.surroundings.wind_to(now);
        self.store.advance(self.now());
        let late: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.deadline().is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            self.work(id);
        }
        panics::check();
    }

    fn work(&mut self, id: ConnectionId) {
        self.at(id, |connection, hall| {
            connection.work(hall);
        });
    }

    fn at(&mut self, id: ConnectionId, act: impl FnOnce(&mut Connection, &Hall<'_>)) {
        let hall = Hall {
            settings: &self.session_settings,
            router: &self.router,
            surroundings: &self.surroundings,
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            act(connection, &hall);
        }
    }

    // ---- the life of the server ----

    /// The server stops as it does on SIGTERM, and starts again with what is stored.
    pub fn restart(&mut self) {
        self.suspend();
        self.go_on();
    }

    /// The first part of it: everybody hears of it.
    pub(crate) fn suspend(&mut self) {
        self.router.suspend_all();
        self.settle();
        let open: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in open {
            self.at(id, |connection, hall| connection.end(hall, shutdown()));
        }
        self.come_to_rest();
    }

    /// The second part.
    pub(crate) fn go_on(&mut self) {
        let mut rounds = 0;
        while self.router.give_back_to_rooms() {
            self.come_to_rest();
            rounds += 1;
            assert!(
                rounds < 100,
                "links keep what is of rooms: {:?}",
                self.router.links()
            );
        }
        let rooms: Arc<Mutex<Vec<KeptRoom>>> = Arc::default();
        for room in self.router.rooms_in_memory() {
            let all = Arc::clone(&rooms);
            let answer = move |kept: Option<KeptRoom>| all.lock().extend(kept);
            self.router.ask_room(&room, AdminRequest::Keep(Box::new(answer)));
        }
        self.come_to_rest();
        for _ in 0..2 {
            for account in self.router.addresses_in_memory() {
                self.router.settle(&account, Box::new(|| {}));
            }
            self.come_to_rest();
        }
        let kept: Arc<Mutex<Vec<KeptSession>>> = Arc::default();
        for account in self.router.addresses_in_memory() {
            let all = Arc::clone(&kept);
            let answer = move |sessions: Vec<KeptSession>| all.lock().extend(sessions);
            self.router.keep(&account, Box::new(answer));
        }
        self.come_to_rest();
        self.begin_anew();
        let kept = std::mem::take(&mut *kept.lock());
        self.router.restore_capabilities(Box::new(|_| {}));
        self.come_to_rest();
        let sessions = kept.iter().map(|session| session.address.clone()).collect();
        self.router.restore(kept);
        let rooms = std::mem::take(&mut *rooms.lock());
        self.router.restore_rooms(rooms, &sessions);
        self.tell_vanished();
    }

    fn tell_vanished(&self) {
        self.router.tell_vanished(Box::new(|_| {}));
        self.router.tell_vanished_occupants(Box::new(|_| {}));
    }

    /// Lets everything happen, and lets time pass as long as the store has something to do.
    fn come_to_rest(&mut self) {
        self.settle();
        while self.store.pending() > 0 && self.pass_to_next() {
            self.settle();
        }
    }

    /// The server is killed, and starts again with what is stored. What the network has taken can still be read.
    pub fn crash(&mut self) {
        self.store.crash();
        for connection in self.connections.values_mut() {
            connection.cut();
        }
        self.begin_anew();
        self.tell_vanished();
    }

    /// Another process, with nothing in memory.
    fn begin_anew(&mut self) {
        self.surroundings.forget();
        let fresh = router(&self.settings, &self.store, &self.surroundings);
        std::mem::replace(&mut self.router, fresh).dissolve();
    }
}

/// What waits somewhere holds the router, and the router holds what waits: it would never be given back.
impl Drop for World {
    fn drop(&mut self) {
        self.surroundings.forget();
        self.store.crash();
        self.router.dissolve();
    }
}

fn router(settings: &Settings, store: &Memory, surroundings: &Arc<Simulated>) -> Arc<Router> {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    let surroundings: Arc<dyn Surroundings> = Arc::clone(surroundings) as Arc<dyn Surroundings>;
    Router::new(settings.router(), store, surroundings)
}

/// Hashing is the slowest thing here, and always the same.
#[allow(clippy::expect_used, reason = "a test that asks for it is wrong")]
fn hashed(settings: &Settings, passwords: Passwords, password: &str) -> Stored {
    type Known = BTreeMap<(String, u32, bool), Stored>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let key = (
        password.to_owned(),
        settings.iterations.get(),
        passwords == Passwords::Scram,
    );
    let hash = || {
        let password = Password::new(password).expect("this is no password");
        settings
            .policy(passwords)
            .hash(&password, Salt([9; Salt::BYTES]))
            .expect("hashing works")
    };
    KNOWN.lock().entry(key).or_insert_with(hash).clone()
}
