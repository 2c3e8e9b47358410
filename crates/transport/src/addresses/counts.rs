//! Who is connected from where, what is remembered of addresses, and how far connections have come.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use machine::{Bucket, Moment, Rate};

use crate::peer::Pace;

/// Addresses that are remembered only for what they did; beyond it the old ones are looked through for what is over.
const REMEMBERED_MAX: usize = 20_000;

#[derive(Default)]
pub(super) struct Counts {
    pub(super) connections: usize,
    pub(super) unauthenticated: usize,
    pub(super) entries: HashMap<IpAddr, Entry>,
    /// By host and transport. Hosts are configured, so that these stay few; none is ever removed.
    pub(super) groups: Vec<Group>,
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
pub(super) enum Progress {
    /// It has not said to which host it wants.
    Arriving,
    Unauthenticated,
    Authenticated,
    Closing,
}

#[derive(Default)]
pub(super) struct Entry {
    pub(super) connections: usize,
    pub(super) unauthenticated: usize,
    pub(super) arrivals: Window,
    pub(super) provoked: Bucket,
    /// What came on all its connections.
    pub(super) pace: Arc<Pace>,
    pub(super) failures: Window,
    pub(super) registrations: Window,
}

/// Events that are counted from the first of them for the time of their rate.
#[derive(Default)]
pub(super) struct Window {
    pub(super) events: u32,
    /// When they are forgotten.
    until: Moment,
}

impl Entry {
    /// Whether there is nothing to be remembered when the last connection is over.
    pub(super) fn is_clean(&self) -> bool {
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
    pub(super) fn group(&mut self, host: &str, transport: &'static str) -> Option<u16> {
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

    pub(super) fn transport(&self, group: u16) -> &'static str {
        self.groups
            .get(usize::from(group))
            .map_or("", |group| group.transport)
    }

    /// One connection more in a group.
    pub(super) fn join(&mut self, group: u16, progress: Progress) -> Option<(u16, Progress)> {
        *self.groups.get_mut(usize::from(group))?.of(progress) += 1;
        Some((group, progress))
    }

    /// One connection fewer where it was.
    pub(super) fn leave(&mut self, group: Option<(u16, Progress)>) {
        if let Some((group, progress)) = group
            && let Some(group) = self.groups.get_mut(usize::from(group))
        {
            *group.of(progress) -= 1;
        }
    }

    /// One connection fewer on which nobody has logged in.
    pub(super) fn no_stranger(&mut self, address: IpAddr) {
        self.unauthenticated -= 1;
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.unauthenticated -= 1;
        }
    }

    /// What is remembered of an address. When too much is, what is over is forgotten.
    pub(super) fn entry(&mut self, address: IpAddr, now: Moment) -> &mut Entry {
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
    pub(super) fn count(&mut self, rate: Rate, now: Moment) {
        if self.until <= now {
            self.events = 0;
            self.until = now + rate.per;
        }
        self.events = self.events.saturating_add(1);
    }

    pub(super) fn is_full(&self, rate: Rate, now: Moment) -> bool {
        self.events >= rate.events && self.until > now
    }
}
