//! Who elsewhere holds the presence of sessions, kept so that a start after a crash can tell them (`docs/kept.md`,
//! restart).
//!
//! Whoever lives here lost the connection in the same crash. Others still see the user: for each session whose presence
//! somebody elsewhere holds there is one row. It is written a moment after the presence, so that nobody waits for it,
//! and removed with what says that the session is gone. An account without anybody elsewhere has no row and writes none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use machine::Context;
use stanza::{Address, Kind, Parcel, PresenceType, Stanza};

use crate::account::{Account, Out};
use crate::session::Session;
use crate::{Change, Effect, Key, Settings};

/// How long holders are collected before they are written.
const WRITTEN_AFTER: Duration = Duration::from_secs(1);

/// What is kept of a session whose presence somebody elsewhere holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// The session's resource.
    pub resource: String,
    /// Whether it was broadcast: subscribers are on the roster.
    pub broadcast: bool,
    /// Whom it was sent to besides, in order (RFC 6121 §4.6): people and rooms elsewhere.
    pub directed: Vec<Address>,
}

/// The rows of an account.
#[derive(Default)]
pub(crate) struct Held {
    /// As the store has them, by resource.
    rows: BTreeMap<String, HeldRow>,
    /// Those of an earlier life of the account, whose holders were not told yet.
    vanished: Vec<HeldRow>,
    /// Whether a [`Key::Held`] is under way.
    due: bool,
}

impl Held {
    pub(crate) fn load(rows: Vec<HeldRow>) -> Held {
        Held {
            rows: rows
                .iter()
                .map(|row| (row.resource.clone(), row.clone()))
                .collect(),
            vanished: rows,
            due: false,
        }
    }

    /// Whether nothing is left to be removed.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Account {
    /// Somebody may have begun or ceased to hold presence.
    pub(crate) fn holders_changed(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        if !std::mem::replace(&mut self.held.due, true) {
            let at = context.now + WRITTEN_AFTER;
            out.effects.push(Effect::WakeAt(Key::Held, at));
        }
    }

    /// The same after a broadcast, which concerns the store only if a subscriber lives elsewhere.
    pub(crate) fn broadcast_is_held(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        if !self.held.due && self.has_remote_subscriber(context.settings) {
            self.holders_changed(context, out);
        }
    }

    fn has_remote_subscriber(&self, settings: &Settings) -> bool {
        self.roster
            .subscribers()
            .any(|contact| settings.is_remote(contact))
    }

    /// All who held the presence of a session are told that it is gone.
    pub(crate) fn no_longer_held(&mut self, session: &Address, out: &mut Out) {
        if let Some(resource) = session.resourcepart()
            && self.held.rows.remove(resource).is_some()
            && self.exists()
        {
            out.commit.push(Change::NotHeld(resource.to_owned()));
        }
    }

    /// Brings the rows up to date.
    pub(crate) fn write_held(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        self.held.due = false;
        let is_broadcast = self.has_remote_subscriber(context.settings);
        let mut wanted = BTreeMap::new();
        if self.exists() {
            for session in &self.sessions {
                if let Some(row) = row(session, is_broadcast, context.settings) {
                    wanted.insert(row.resource.clone(), row);
                }
            }
            for resource in self
                .held
                .rows
                .keys()
                .filter(|resource| !wanted.contains_key(*resource))
            {
                out.commit.push(Change::NotHeld(resource.clone()));
            }
            for row in wanted.values() {
                if self.held.rows.get(&row.resource) != Some(row) {
                    out.commit.push(Change::Held(row.clone()));
                }
            }
        }
        self.held.rows = wanted;
    }

    /// The first thing after the account came into memory: what an earlier process, or an earlier life of this account,
    /// could not say of its sessions. Those that wait again for their clients are still there.
    pub(crate) fn tell_vanished(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        if self.held.vanished.is_empty() {
            return;
        }
        for row in std::mem::take(&mut self.held.vanished) {
            let Ok(from) = self.address.with_resource(&row.resource) else {
                continue;
            };
            let is_there = |session: &Session| session.presence.is_some() || !session.directed.is_empty();
            if self.session_at(&from).is_some_and(is_there) {
                continue;
            }
            let mut holders: BTreeSet<&Address> = row.directed.iter().collect();
            if row.broadcast {
                let subscribers = self.roster.subscribers();
                holders.extend(subscribers.filter(|contact| context.settings.is_remote(contact)));
            }
            for to in holders {
                let gone = Stanza::build(
                    Kind::Presence(PresenceType::Unavailable),
                    Some(&from),
                    Some(to),
                    None,
                    b"",
                );
                if let Ok(parcel) = self.release_for_user(Parcel::new(gone)) {
                    out.effects.push(Effect::Route {
                        parcel,
                        receipt: None,
                    });
                }
            }
        }
        // The rows go when this is on its way.
        self.holders_changed(context, out);
    }
}

impl Settings {
    /// Whether somebody lives elsewhere, and so does not end with this process.
    pub(crate) fn is_remote(&self, address: &Address) -> bool {
        let is_service = |service: &String| service == address.domainpart();
        !self.is_local(address) && !self.local_services.iter().any(is_service)
    }
}

/// What is to be kept of a session, if anybody elsewhere holds its presence.
fn row(session: &Session, has_subscribers: bool, settings: &Settings) -> Option<HeldRow> {
    let broadcast = has_subscribers && session.presence.is_some();
    let remote = session.directed.keys().filter(|to| settings.is_remote(to));
    let directed: Vec<Address> = remote.cloned().collect();
    let resource = session.address.resourcepart()?.to_owned();
    (broadcast || !directed.is_empty()).then_some(HeldRow {
        resource,
        broadcast,
        directed,
    })
}
