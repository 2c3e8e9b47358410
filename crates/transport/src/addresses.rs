//! Limits by the address of the peer: connections at the same time, failed logins, new accounts.

mod range;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use machine::{Bucket, Moment, Rate};
use parking_lot::Mutex;
use tokio::net::TcpStream;

use crate::System;
use crate::carrier::Tcp;
use crate::peer::Pace;
use crate::refusals::Refusals;
use crate::strangers::{Acquaintance, Stranger};

pub use range::Range;

/// How many connections there may be. IPv6 addresses count by their /64: that is what one subscriber has.
#[derive(Debug, Clone)]
pub struct AddressLimits {
    /// Connections from everywhere.
    pub connections: usize,
    /// Connections from everywhere that have not logged in.
    pub unauthenticated: usize,
    /// Connections from one address.
    pub per_address: usize,
    /// Connections from one address that have not logged in.
    pub unauthenticated_per_address: usize,
    /// How often one connection is read from on which nobody has logged in; `None`: as often as anything comes.
    pub unauthenticated_reads: Option<Rate>,
    /// New connections from one address; `None`: any number.
    pub arrivals: Option<Rate>,
    /// Connections elsewhere that one address may make us open; `None`: any number.
    pub provoked: Option<Rate>,
    /// Failed logins from one address; `None`: any number.
    pub failed_logins: Option<Rate>,
    /// New accounts by in-band registration from one address; `None`: any number.
    pub registrations: Option<Rate>,
    /// Ranges without limits per address.
    pub exempt: Vec<Range>,
}

/// A limit that has refused somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Connections from everywhere.
    Connections,
    /// Connections from everywhere that have not logged in.
    Unauthenticated,
    /// Connections from one address.
    Address,
    /// Reads of one connection on which nobody has logged in; counted once for each.
    Reads,
    /// New connections from one address.
    Arrivals,
    /// Connections elsewhere that one address makes us open.
    Provoked,
    /// Failed logins from one address.
    FailedLogins,
    /// New accounts from one address.
    Registrations,
    /// Bytes of one stanza.
    StanzaSize,
    /// Elements inside each other.
    Depth,
    /// What else a stream may send: attributes, names, what comes before the login, attempts.
    Stream,
    /// What may wait for a client that does not read or acknowledge.
    Queue,
    /// Bodies of HTTP requests in memory.
    HttpBodies,
}

impl Limit {
    /// All of them, by the names that operators read.
    pub const ALL: [(&'static str, Limit); 13] = [
        ("connections", Limit::Connections),
        ("preauth", Limit::Unauthenticated),
        ("ip", Limit::Address),
        ("reads", Limit::Reads),
        ("rate", Limit::Arrivals),
        ("provoked", Limit::Provoked),
        ("failed_logins", Limit::FailedLogins),
        ("registrations", Limit::Registrations),
        ("stanza_size", Limit::StanzaSize),
        ("depth", Limit::Depth),
        ("stream", Limit::Stream),
        ("queue", Limit::Queue),
        ("http_bodies", Limit::HttpBodies),
    ];
}

/// What a client does at a port where another language is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WrongPort {
    /// It begins with TLS where it must ask for it.
    Tls,
    /// It begins without TLS where TLS begins with the first byte.
    NoTls,
}

/// The connections and failures of all addresses.
pub(crate) struct Addresses {
    refusals: Refusals,
    limits: Mutex<AddressLimits>,
    counts: Mutex<Counts>,
    /// Until when nothing more is said of who came to the wrong port from an address.
    hinted: Mutex<HashMap<(IpAddr, WrongPort), Moment>>,
}

#[derive(Default)]
struct Counts {
    connections: usize,
    unauthenticated: usize,
    entries: HashMap<IpAddr, Entry>,
    /// By host and transport. Hosts are configured, so that these stay few; none is ever removed.
    groups: Vec<Group>,
}

/// Connections of one host by one transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Where they are, or want to be; empty for those that have not said it yet.
    pub host: Arc<str>,
    /// `tcp`, `tls`, `ws` or `bosh`.
    pub transport: &'static str,
    /// Those that have not logged in.
    pub unauthenticated: usize,
    /// Those that have logged in.
    pub authenticated: usize,
    /// Those whose session has ended, and whose client takes its leave.
    pub closing: usize,
}

/// How far a connection of a [`Group`] has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It has not said to which host it wants.
    Arriving,
    Unauthenticated,
    Authenticated,
    Closing,
}

#[derive(Default)]
struct Entry {
    connections: usize,
    unauthenticated: usize,
    arrivals: Window,
    provoked: Bucket,
    /// What came on all its connections.
    pace: Arc<Pace>,
    failures: Window,
    registrations: Window,
}

/// Events that are counted from the first of them for the time of their rate.
#[derive(Default)]
struct Window {
    events: u32,
    /// When they are forgotten.
    until: Moment,
}

/// Addresses that are remembered only for what they did; beyond it the old ones are looked through for what is over.
const REMEMBERED_MAX: usize = 20_000;

/// Some clients try one way in after the other at each login: of those of one address the operator is told so often.
const HINT_EVERY: Duration = Duration::from_secs(600);

/// Addresses of which is remembered that the operator was told; beyond it nothing is said of others for a while.
const HINTED_MAX: usize = 1_000;

impl Addresses {
    /// Nobody is connected. The limits are for these, as operators call them.
    pub(crate) fn new(whom: &'static str, limits: AddressLimits) -> Arc<Addresses> {
        Arc::new(Addresses {
            refusals: Refusals::of(whom),
            limits: Mutex::new(limits),
            counts: Mutex::default(),
            hinted: Mutex::default(),
        })
    }

    /// Other limits, for connections to come.
    pub(crate) fn replace_limits(&self, limits: AddressLimits) {
        *self.limits.lock() = limits;
    }

    /// A new connection; `None` when there are too many.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admission> {
        self.admit_as(address, self.is_exempt(address))
    }

    /// Whether this address has no limits of its own.
    pub(crate) fn is_exempt(&self, address: IpAddr) -> bool {
        let counted = counted_as(address);
        let limits = self.limits.lock();
        limits.exempt.iter().any(|range| range.contains(counted))
    }

    /// A new connection of a proxy that asks for others: their addresses count, not its own.
    pub(crate) fn admit_proxy(self: &Arc<Self>, address: IpAddr) -> Option<Admission> {
        self.admit_as(address, true)
    }

    fn admit_as(self: &Arc<Self>, address: IpAddr, is_exempt: bool) -> Option<Admission> {
        let address = counted_as(address);
        let limits = self.limits.lock();
        let mut counts = self.counts.lock();
        let entry = counts.entries.get(&address);
        let (at_address, strangers) =
            entry.map_or((0, 0), |entry| (entry.connections, entry.unauthenticated));
        let reached = if counts.connections >= limits.connections {
            Some(Limit::Connections)
        } else if counts.unauthenticated >= limits.unauthenticated {
            Some(Limit::Unauthenticated)
        } else if is_exempt {
            None
        } else if at_address >= limits.per_address || strangers >= limits.unauthenticated_per_address {
            Some(Limit::Address)
        } else {
            None
        };
        if let Some(limit) = reached {
            self.reject(limit);
            return None;
        }
        counts.connections += 1;
        counts.unauthenticated += 1;
        let entry = counts.entries.entry(address).or_default();
        entry.connections += 1;
        entry.unauthenticated += 1;
        let pace = match is_exempt {
            true => Arc::default(),
            false => Arc::clone(&entry.pace),
        };
        Some(Admission {
            addresses: Arc::clone(self),
            address,
            pace,
            is_exempt,
            is_authenticated: false,
            group: None,
            acquaintance: Acquaintance::default(),
        })
    }

    /// The socket of a connection that is not read from too often until somebody logs in.
    pub(crate) fn tcp(
        self: &Arc<Self>,
        socket: TcpStream,
        acquaintance: Acquaintance,
        system: &System,
    ) -> Tcp {
        match self.limits.lock().unauthenticated_reads {
            Some(rate) => {
                let addresses = Arc::clone(self);
                Tcp::of_stranger(
                    socket,
                    Stranger::new(acquaintance, rate, addresses, system.clone()),
                )
            }
            None => Tcp::of_friend(socket),
        }
    }

    /// A limit has refused somebody.
    pub(crate) fn reject(&self, limit: Limit) {
        self.refusals.count(limit);
    }

    /// How often a limit has refused somebody.
    pub(crate) fn rejected(&self, limit: Limit) -> u64 {
        self.refusals.of_limit(limit)
    }

    /// Connections that are open, and those of them that have not logged in.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let counts = self.counts.lock();
        (counts.connections, counts.unauthenticated)
    }

    /// They, by host and transport.
    pub(crate) fn groups(&self) -> Vec<Group> {
        self.counts.lock().groups.clone()
    }
}

/// One connection as far as limits are concerned; it is counted until this is dropped.
pub(crate) struct Admission {
    addresses: Arc<Addresses>,
    address: IpAddr,
    pace: Arc<Pace>,
    is_exempt: bool,
    is_authenticated: bool,
    /// The group that it is counted in, and as what.
    group: Option<(u16, Progress)>,
    acquaintance: Acquaintance,
}

impl Admission {
    /// Somebody has logged in on the connection, or in a session that the connection is part of and that is counted
    /// itself.
    pub(crate) fn authenticated(&mut self) {
        if !std::mem::replace(&mut self.is_authenticated, true) {
            self.acquaintance.made();
            let mut counts = self.addresses.counts.lock();
            counts.no_stranger(self.address);
            counts.leave(self.group.take());
        }
    }

    /// The connection came by this transport.
    pub(crate) fn comes(&mut self, transport: &'static str) {
        self.stands("", transport, Progress::Arriving);
    }

    /// The connection has said to which host it wants.
    pub(crate) fn names(&mut self, host: &str) {
        if let Some((group, Progress::Arriving)) = self.group {
            let transport = self.addresses.counts.lock().transport(group);
            self.stands(host, transport, Progress::Unauthenticated);
        }
    }

    /// The connection has logged in at this host, by this transport.
    pub(crate) fn logged_in(&mut self, host: &str, transport: &'static str) {
        self.authenticated();
        self.stands(host, transport, Progress::Authenticated);
    }

    /// The session of the connection has ended; its client may take the last word.
    pub(crate) fn closes(&mut self) {
        if let Some((group, Progress::Authenticated)) = self.group {
            let mut counts = self.addresses.counts.lock();
            counts.leave(self.group.take());
            self.group = counts.join(group, Progress::Closing);
        }
    }

    fn stands(&mut self, host: &str, transport: &'static str, progress: Progress) {
        let mut counts = self.addresses.counts.lock();
        counts.leave(self.group.take());
        let group = counts.group(host, transport);
        self.group = group.and_then(|group| counts.join(group, progress));
    }

    /// The socket of the connection: until somebody logs in, it is not read from too often.
    pub(crate) fn tcp(&self, socket: TcpStream, system: &System) -> Tcp {
        match self.is_exempt {
            true => Tcp::of_friend(socket),
            false => self.addresses.tcp(socket, self.acquaintance(), system),
        }
    }

    /// Tells whether somebody has logged in.
    pub(crate) fn acquaintance(&self) -> Acquaintance {
        self.acquaintance.clone()
    }

    /// What is counted of all that comes from the address; of an exempt one, on this connection alone.
    pub(crate) fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }

    /// Counts a new connection; false when too many have come from the address lately.
    pub(crate) fn may_arrive(&self, now: Moment) -> bool {
        let Some(rate) = self.rate(|limits| limits.arrivals) else {
            return true;
        };
        let mut counts = self.addresses.counts.lock();
        let arrivals = &mut counts.entry(self.address, now).arrivals;
        let allowed = !arrivals.is_full(rate, now);
        if allowed {
            arrivals.count(rate, now);
        } else {
            self.addresses.reject(Limit::Arrivals);
        }
        allowed
    }

    /// Counts a connection elsewhere that this one makes us open; false when its address has made us open enough.
    pub(crate) fn may_provoke(&self, now: Moment) -> bool {
        let Some(rate) = self.rate(|limits| limits.provoked) else {
            return true;
        };
        let allowed = {
            let mut counts = self.addresses.counts.lock();
            counts.entry(self.address, now).provoked.take(rate, now)
        };
        if !allowed {
            self.addresses.reject(Limit::Provoked);
        }
        allowed
    }

    /// A login failed.
    pub(crate) fn login_failed(&self, now: Moment) {
        if let Some(rate) = self.rate(|limits| limits.failed_logins) {
            let mut counts = self.addresses.counts.lock();
            counts.entry(self.address, now).failures.count(rate, now);
        }
    }

    /// A connection is over; if nobody was authenticated on it, it was for nothing.
    pub(crate) fn ended_unauthenticated(&self, now: Moment) {
        if !self.is_authenticated {
            self.login_failed(now);
        }
    }

    /// Whether the address has failed too often to be heard again now.
    pub(crate) fn has_failed_too_often(&self, now: Moment) -> bool {
        let Some(rate) = self.rate(|limits| limits.failed_logins) else {
            return false;
        };
        let has_failed_too_often = {
            let counts = self.addresses.counts.lock();
            let entry = counts.entries.get(&self.address);
            entry.is_some_and(|entry| entry.failures.is_full(rate, now))
        };
        if has_failed_too_often {
            self.addresses.reject(Limit::FailedLogins);
        }
        has_failed_too_often
    }

    /// Counts a new account that is about to be made; false when the address has made enough of them.
    pub(crate) fn may_register(&self, now: Moment) -> bool {
        let Some(rate) = self.rate(|limits| limits.registrations) else {
            return true;
        };
        let mut counts = self.addresses.counts.lock();
        let made = &mut counts.entry(self.address, now).registrations;
        let allowed = !made.is_full(rate, now);
        if allowed {
            made.count(rate, now);
        } else {
            self.addresses.reject(Limit::Registrations);
        }
        allowed
    }

    /// The account that was counted was not made after all.
    pub(crate) fn registration_failed(&self) {
        if let Some(entry) = self.addresses.counts.lock().entries.get_mut(&self.address) {
            entry.registrations.events = entry.registrations.events.saturating_sub(1);
        }
    }

    /// Whether the operator is to hear that somebody from this address came to a port where another language is spoken.
    pub(crate) fn is_worth_a_hint(&self, wrong: WrongPort, now: Moment) -> bool {
        let mut hinted = self.addresses.hinted.lock();
        if hinted.len() >= HINTED_MAX {
            hinted.retain(|_, until| *until > now);
        }
        let key = (self.address, wrong);
        let is_known = hinted.get(&key).is_some_and(|until| *until > now);
        let is_new = !is_known && hinted.len() < HINTED_MAX;
        if is_new {
            hinted.insert(key, now + HINT_EVERY);
        }
        is_new
    }

    fn rate(&self, which: impl FnOnce(&AddressLimits) -> Option<Rate>) -> Option<Rate> {
        if self.is_exempt {
            None
        } else {
            which(&self.addresses.limits.lock())
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts.lock();
        counts.connections -= 1;
        counts.leave(self.group.take());
        if !self.is_authenticated {
            counts.no_stranger(self.address);
        }
        if let Some(entry) = counts.entries.get_mut(&self.address) {
            entry.connections -= 1;
            if entry.connections == 0 && entry.is_clean() {
                counts.entries.remove(&self.address);
            }
        }
    }
}

impl Entry {
    /// Whether there is nothing to be remembered when the last connection is over.
    fn is_clean(&self) -> bool {
        let windows = [&self.failures, &self.registrations, &self.arrivals];
        windows.iter().all(|window| window.events == 0) && self.provoked.is_full(Moment::default())
    }

    /// Whether all that is remembered is over.
    fn is_over(&self, now: Moment) -> bool {
        let windows = [&self.failures, &self.registrations, &self.arrivals];
        let is_past = windows.iter().all(|window| window.until <= now) && self.provoked.is_full(now);
        self.connections == 0 && is_past
    }
}

impl Counts {
    /// The group of a host and a transport.
    fn group(&mut self, host: &str, transport: &'static str) -> Option<u16> {
        let is_this = |one: &Group| *one.host == *host && one.transport == transport;
        let place = self.groups.iter().position(is_this).unwrap_or_else(|| {
            self.groups.push(Group {
                host: Arc::from(host),
                transport,
                unauthenticated: 0,
                authenticated: 0,
                closing: 0,
            });
            self.groups.len() - 1
        });
        u16::try_from(place).ok()
    }

    fn transport(&self, group: u16) -> &'static str {
        self.groups
            .get(usize::from(group))
            .map_or("", |group| group.transport)
    }

    /// One connection more in a group.
    fn join(&mut self, group: u16, progress: Progress) -> Option<(u16, Progress)> {
        *self.groups.get_mut(usize::from(group))?.of(progress) += 1;
        Some((group, progress))
    }

    /// One connection fewer where it was.
    fn leave(&mut self, group: Option<(u16, Progress)>) {
        if let Some((group, progress)) = group
            && let Some(group) = self.groups.get_mut(usize::from(group))
        {
            *group.of(progress) -= 1;
        }
    }

    /// One connection fewer on which nobody has logged in.
    fn no_stranger(&mut self, address: IpAddr) {
        self.unauthenticated -= 1;
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.unauthenticated -= 1;
        }
    }

    /// What is remembered of an address. When too much is, what is over is forgotten.
    fn entry(&mut self, address: IpAddr, now: Moment) -> &mut Entry {
        if self.entries.len() > REMEMBERED_MAX {
            self.entries.retain(|_, entry| !entry.is_over(now));
        }
        self.entries.entry(address).or_default()
    }
}

impl Group {
    fn of(&mut self, progress: Progress) -> &mut usize {
        match progress {
            Progress::Arriving | Progress::Unauthenticated => &mut self.unauthenticated,
            Progress::Authenticated => &mut self.authenticated,
            Progress::Closing => &mut self.closing,
        }
    }
}

impl Window {
    fn count(&mut self, rate: Rate, now: Moment) {
        if self.until <= now {
            self.events = 0;
            self.until = now + rate.per;
        }
        self.events = self.events.saturating_add(1);
    }

    fn is_full(&self, rate: Rate, now: Moment) -> bool {
        self.events >= rate.events && self.until > now
    }
}

fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(std::net::Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
        address @ IpAddr::V4(_) => address,
    }
}
