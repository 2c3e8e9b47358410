//! Presence from elsewhere of which nobody knows any more whether it is so: its owners are asked (PSA-30), and what they do
//! not confirm is gone.

use std::time::Duration;

use machine::Context;
use presence::Rank;
use stanza::{Address, Kind, Parcel, PresenceType, Stanza};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::input::Key;
use crate::{Effect, Settings};

/// Probes after an outage are spread over this time (PSA-30).
const REPROBE_SPREAD: Duration = Duration::from_secs(5);

/// A server answers a probe with the presence of every resource that is there (RFC 6121 §4.3.2). A resource that it has not
/// named after this time is gone: its goodbye was lost with the path.
const REPROBE_ANSWER: Duration = Duration::from_secs(10);

/// The identifier of the question to one resource whether it is still there.
pub(crate) const REFRESH: &str = "refresh";

impl Account {
    /// PSA-30: what may have been missed will be asked for.
    pub(crate) fn reprobe_later(
        &mut self,
        context: &mut Context<'_, Settings>,
        domain: &Address,
        out: &mut Out,
    ) {
        if !context.settings.presence.psa.reprobe {
            return;
        }
        self.reprobe.insert(domain.clone());
        let mut byte = [0; 2];
        context.random.fill(&mut byte);
        let part = u32::from(u16::from_be_bytes(byte));
        let at = context.now + REPROBE_SPREAD * part / u32::from(u16::MAX);
        out.effects.push(Effect::WakeAt(Key::Reprobe, at));
    }

    /// PSA-30: subscribed contacts of domains that are back are asked for their presence, and so are those who had sent
    /// directed presence, each by the session that got it (RFC 6121 §4.6.6). Occupants of rooms are not.
    pub(crate) fn reprobe(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        let domains = std::mem::take(&mut self.reprobe);
        let is_back =
            |contact: &Address| domains.contains(contact.domainpart()) && self.is_clear(contact.domainpart());
        let mut probes = Vec::new();
        if self.sessions.iter().any(|session| session.presence.is_some()) {
            let contacts = self.roster.subscriptions().filter(|contact| is_back(contact));
            probes.extend(contacts.map(|contact| (self.address.clone(), contact.clone())));
        }
        let contacts = probes.len();
        for session in &self.sessions {
            let directed = session
                .received
                .iter()
                .filter(|(_, held)| held.rank == Rank::Stranger);
            let directed = directed.filter(|(from, _)| is_back(from));
            probes.extend(directed.map(|(from, _)| (session.address.clone(), from.clone())));
        }
        if contacts > 0 {
            out.effects
                .push(Effect::WakeAt(Key::Unanswered, context.now + REPROBE_ANSWER));
        }
        for (_, asked) in &probes {
            for session in &mut self.sessions {
                session.received.ask(asked);
            }
        }
        for (from, to) in probes {
            let kind = Kind::Presence(PresenceType::Probe);
            // An answer that says only that somebody is there is known by it, whatever has come meanwhile (RFC 6121 §4.3.2.1).
            let id = (!from.is_bare()).then_some(REFRESH);
            let probe = Stanza::build(kind, Some(&from), Some(&to), id, b"");
            if let Ok(parcel) = self.release_for_user(Parcel::new(probe)) {
                out.effects.push(Effect::Route {
                    parcel,
                    receipt: None,
                });
            }
        }
    }

    /// Time is over for the answers: what they have not confirmed is no more. Of those who had sent directed presence
    /// nothing is concluded: few servers answer for them.
    pub(crate) fn conclude_from_silence(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        for place in 0..self.sessions.len() {
            let Some(session) = self.sessions.get(place) else {
                break;
            };
            let unanswered: Vec<Address> = session
                .received
                .iter()
                .filter(|(from, held)| {
                    held.asked && held.rank != Rank::Stranger && self.is_clear(from.domainpart())
                })
                .map(|(from, _)| from.clone())
                .collect();
            for from in unanswered {
                self.tell_gone(context, place, &from, out);
            }
        }
        self.unwatch_all(out);
    }

    /// The user does not see a contact elsewhere any more: neither does any session, whatever has become of the contact's
    /// goodbye.
    pub(crate) fn no_longer_seen(
        &mut self,
        context: &Context<'_, Settings>,
        contact: &Address,
        out: &mut Out,
    ) {
        if !context.settings.is_remote(contact) {
            return;
        }
        for place in 0..self.sessions.len() {
            let held = self
                .sessions
                .get(place)
                .map(|session| session.received.held_of(&contact.to_bare()));
            for from in held.unwrap_or_default() {
                self.tell_gone(context, place, &from, out);
            }
        }
        self.unwatch(contact.domainpart(), out);
    }

    fn tell_gone(&mut self, context: &Context<'_, Settings>, place: usize, from: &Address, out: &mut Out) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        session.received.remove_one(from);
        let gone = Stanza::build(
            Kind::Presence(PresenceType::Unavailable),
            Some(from),
            Some(&session.address),
            None,
            b"",
        );
        let parcel = Passed::delivered_before(Parcel::new(gone));
        if let Some(session) = self.sessions.get(place)
            && self.admits(session, &parcel)
        {
            self.give(context, session, &parcel, out);
        }
    }
}
