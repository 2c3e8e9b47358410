//! Limits by the address of the peer: connections at the same time, failed logins, new accounts.

mod admission;
mod counts;
mod limits;
mod range;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use machine::Moment;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use self::counts::Counts;
use crate::System;
use crate::carrier::Tcp;
use crate::refusals::Refusals;
use crate::strangers::{Acquaintance, Stranger};

pub(crate) use admission::Admission;
pub use counts::Group;
pub use limits::{AddressLimits, Limit};
pub use range::Range;

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

fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(std::net::Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
        address @ IpAddr::V4(_) => address,
    }
}
