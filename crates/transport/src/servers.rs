//! What all connections with other servers share: listeners that bring them in, and dialling.

mod dialling;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use machine::Rate;
use parking_lot::Mutex;
use router::{Network, Order, Router, StreamOrders, Surroundings};
use s2s::{Errand, Pair, Transport};
use socket2::{SockRef, TcpKeepalive};
use stanza::{Address, StreamCondition, StreamError};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tracing::debug;

use crate::System;
use crate::addresses::{AddressLimits, Addresses, Limit};
use crate::listening::Listening;
use crate::peer::{Orders, Peer};
use crate::resolve::{Resolver, ResolverSettings};
use crate::tls::{Certificates, Trust};

/// What connections with other servers read of the configuration, beside what streams and links do.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// How domains are found.
    pub resolver: ResolverSettings,
    /// Limits by address, for connections that come to us. Failed logins are connections on which nobody was
    /// authenticated.
    pub addresses: AddressLimits,
    /// One address has this long to take a connection.
    pub connect_time: Duration,
    /// Elements from one address, large ones counting for more; beyond it, its connections are read more slowly.
    pub stanzas: Option<Rate>,
    /// Bytes of unfinished elements from one address; the connection that brings more is ended.
    pub unfinished_bytes: usize,
}

/// Connections that are being opened at the same time; others wait.
const DIALS_MAX: usize = 128;

/// A connection that says nothing is asked by the kernel whether it is still there. Streams ask earlier; this is for what
/// is left of one.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Bytes that the peer does not acknowledge end the connection after this time: a silently dead link is known within 45
/// seconds.
const UNACKNOWLEDGED_TIME: Duration = Duration::from_secs(40);

/// All connections with other servers.
pub struct Servers {
    me: Weak<Servers>,
    settings: ArcSwap<ServerSettings>,
    resolver: ArcSwap<Resolver>,
    trust: ArcSwap<Trust>,
    certificates: Arc<Certificates>,
    router: Arc<Router>,
    system: System,
    addresses: Arc<Addresses>,
    dials: Arc<Semaphore>,
    /// All connections in both directions, for the end of the server.
    live: Mutex<Live>,
    is_over: AtomicBool,
    /// The connection of each external component.
    components: Mutex<BTreeMap<Address, Weak<Orders>>>,
}

/// Who comes in at a listener.
#[derive(Clone, Copy)]
enum Entrance {
    Servers(Transport),
    Components,
}

/// Connections that live.
#[derive(Default)]
struct Live {
    next: u64,
    orders: BTreeMap<u64, Weak<Orders>>,
}

/// One of them; it is counted until this is dropped.
pub(crate) struct Presence {
    servers: Weak<Servers>,
    number: u64,
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(servers) = self.servers.upgrade() {
            servers.live.lock().orders.remove(&self.number);
        }
    }
}

impl Servers {
    /// Nobody is connected. The router is told how to reach other servers.
    pub fn start(
        settings: ServerSettings,
        trust: Trust,
        certificates: Arc<Certificates>,
        router: Arc<Router>,
        system: System,
    ) -> Arc<Servers> {
        let resolver = Resolver::new(settings.resolver.clone());
        let servers = Arc::new_cyclic(|me| Servers {
            me: Weak::clone(me),
            addresses: Addresses::new("other servers", settings.addresses.clone()),
            settings: ArcSwap::from_pointee(settings),
            resolver: ArcSwap::from_pointee(resolver),
            trust: ArcSwap::from_pointee(trust),
            certificates,
            router,
            system,
            dials: Arc::new(Semaphore::new(DIALS_MAX)),
            live: Mutex::default(),
            is_over: AtomicBool::new(false),
            components: Mutex::default(),
        });
        servers
            .router
            .attach_network(Arc::clone(&servers) as Arc<dyn Network>);
        servers
    }

    /// Listens; each connection gets a task of its own.
    ///
    /// # Errors
    /// When the address cannot be bound: it is taken, not ours, or needs privileges.
    pub fn listen(self: &Arc<Self>, address: SocketAddr, transport: Transport) -> io::Result<Listening> {
        self.listen_for(address, Entrance::Servers(transport))
    }

    /// The same for external components (XEP-0114), which prove a secret each.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn listen_for_components(self: &Arc<Self>, address: SocketAddr) -> io::Result<Listening> {
        self.listen_for(address, Entrance::Components)
    }

    fn listen_for(self: &Arc<Self>, address: SocketAddr, entrance: Entrance) -> io::Result<Listening> {
        let servers = Arc::clone(self);
        Listening::begin(address, move |socket, peer| servers.admit(socket, peer, entrance))
    }

    /// The domains of the router's settings have changed: components look whether they still belong to them.
    pub fn check_components(&self) {
        let components: Vec<_> = self.components.lock().values().cloned().collect();
        for orders in components.iter().filter_map(Weak::upgrade) {
            orders.give(Order::Check);
        }
    }

    /// A component has proven its secret. A connection that it had before is most likely dead, and ends.
    pub(crate) fn component_arrived(&self, domain: &Address, orders: &Arc<Orders>) {
        let before = self
            .components
            .lock()
            .insert(domain.clone(), Arc::downgrade(orders));
        if let Some(before) = before.as_ref().and_then(Weak::upgrade)
            && !Arc::ptr_eq(&before, orders)
        {
            let error = StreamError::new(StreamCondition::Conflict);
            before.give(Order::End(error.text("The component has connected again.")));
        }
    }

    /// Connections that came to us, and those of them on which nobody is authenticated.
    pub fn connections(&self) -> (usize, usize) {
        self.addresses.connections()
    }

    /// A limit has refused somebody.
    pub(crate) fn reject(&self, limit: Limit) {
        self.addresses.reject(limit);
    }

    /// How often a limit has refused somebody.
    pub fn rejected(&self, limit: Limit) -> u64 {
        self.addresses.rejected(limit)
    }

    /// Other settings, for connections to come and for what existing ones do next. What DNS said before is forgotten.
    pub fn replace_settings(&self, settings: ServerSettings) {
        self.addresses.replace_limits(settings.addresses.clone());
        self.resolver
            .store(Arc::new(Resolver::new(settings.resolver.clone())));
        self.settings.store(Arc::new(settings));
    }

    /// Ends every stream with this error, and opens no others: the server stops.
    pub fn stop(&self, error: &StreamError) {
        self.is_over.store(true, Ordering::Relaxed);
        let live: Vec<_> = self.live.lock().orders.values().cloned().collect();
        for orders in live.iter().filter_map(Weak::upgrade) {
            orders.give(Order::End(error.clone()));
        }
    }

    /// Connections in both directions.
    pub fn live(&self) -> usize {
        self.live.lock().orders.len()
    }

    /// Counts a connection that takes these orders.
    pub(crate) fn enter(&self, orders: &Arc<Orders>) -> Presence {
        let mut live = self.live.lock();
        let number = live.next;
        live.next += 1;
        live.orders.insert(number, Arc::downgrade(orders));
        Presence {
            servers: Weak::clone(&self.me),
            number,
        }
    }

    /// Authorities that are believed from now on.
    pub fn replace_trust(&self, trust: Trust) {
        self.trust.store(Arc::new(trust));
    }

    pub(crate) fn settings(&self) -> arc_swap::Guard<Arc<ServerSettings>> {
        self.settings.load()
    }

    pub(crate) fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        self.trust.load_full()
    }

    pub(crate) fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    pub(crate) fn router(&self) -> &Arc<Router> {
        &self.router
    }

    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    fn admit(self: &Arc<Self>, socket: TcpStream, from: SocketAddr, entrance: Entrance) {
        let Some(admission) = self.addresses.admit(from.ip()) else {
            debug!(
                event = "too_many_connections",
                "an address has too many connections"
            );
            return;
        };
        if !admission.may_arrive(self.system.now()) {
            debug!(
                event = "too_many_arrivals",
                "an address opens connections too fast"
            );
            return;
        }
        if admission.has_failed_too_often(self.system.now()) {
            debug!(
                event = "too_many_failed_logins",
                "an address has opened too many connections for nothing"
            );
            return;
        }
        tune(&socket);
        let servers = Arc::clone(self);
        let peer = match entrance {
            Entrance::Servers(transport) => Peer::inbound(servers, socket, from, transport, admission),
            Entrance::Components => Peer::component(servers, socket, admission),
        };
        tokio::spawn(async move {
            peer.run().await;
        });
    }
}

impl Network for Servers {
    fn dial(&self, errand: Errand) {
        // Nobody waits for the answer when the server stops.
        if let Some(servers) = self.me.upgrade()
            && !self.is_over.load(Ordering::Relaxed)
        {
            self.system.spawn(dialling::dial(servers, errand));
        }
    }

    fn look(&self, pair: Pair) {
        if let Some(servers) = self.me.upgrade() {
            self.system.spawn(dialling::look(servers, pair));
        }
    }
}

fn tune(socket: &TcpStream) {
    let options = SockRef::from(socket);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL);
    let outcome = socket
        .set_nodelay(true)
        .and_then(|()| options.set_tcp_keepalive(&keepalive))
        .and_then(|()| options.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIME)));
    if let Err(error) = outcome {
        debug!(event = "socket_options", %error, "a socket does not take its options");
    }
}
