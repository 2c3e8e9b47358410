//! One connection as far as limits are concerned: what it may do, and how far it has come.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use machine::{Moment, Rate};
use tokio::net::TcpStream;

use super::counts::{Entry, Progress, Window};
use super::{AddressLimits, Addresses, Limit, WrongPort};
use crate::System;
use crate::carrier::Tcp;
use crate::peer::Pace;
use crate::strangers::Acquaintance;

/// Some clients try one way in after the other at each login: of those of one address the operator is told so often.
const HINT_EVERY: Duration = Duration::from_secs(600);

/// Addresses of which is remembered that the operator was told; beyond it nothing is said of others for a while.
pub(super) const HINTED_MAX: usize = 1_000;

/// One connection as far as limits are concerned; it is counted until this is dropped.
pub(crate) struct Admission {
    pub(super) addresses: Arc<Addresses>,
    pub(super) address: IpAddr,
    pub(super) pace: Arc<Pace>,
    pub(super) is_exempt: bool,
    pub(super) is_authenticated: bool,
    /// The group that it is counted in, and as what.
    pub(super) group: Option<(u16, Progress)>,
    pub(super) acquaintance: Acquaintance,
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
        let rate = self.rate(|limits| limits.arrivals);
        self.count(now, rate, Limit::Arrivals, |entry| &mut entry.arrivals)
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
        let rate = self.rate(|limits| limits.registrations);
        self.count(now, rate, Limit::Registrations, |entry| &mut entry.registrations)
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

    /// Counts one more of what the address does; false when it has done enough of it lately.
    fn count(
        &self,
        now: Moment,
        rate: Option<Rate>,
        limit: Limit,
        window: impl FnOnce(&mut Entry) -> &mut Window,
    ) -> bool {
        let Some(rate) = rate else {
            return true;
        };
        let allowed = {
            let mut counts = self.addresses.counts.lock();
            let window = window(counts.entry(self.address, now));
            let allowed = !window.is_full(rate, now);
            if allowed {
                window.count(rate, now);
            }
            allowed
        };
        if !allowed {
            self.addresses.reject(limit);
        }
        allowed
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
