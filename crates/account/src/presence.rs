//! Presence of the account's resources and of its contacts (RFC 6121 §4): broadcast and directed presence.

use features::LastSeen;
use machine::Context;
use stanza::{Address, Condition, ErrorKind, Kind, Parcel, PresenceType, Stanza, StanzaError, namespace};
use xml::Child;

use crate::account::{Account, Out};
use crate::arriving::Truth;
use crate::door::Passed;
use crate::figures::{Origin, Wish};
use crate::input::{DropReason, Tally};
use crate::occupancies::Occupancies;
use crate::session::Available;
use crate::{Effect, SessionId, Settings, wishes};

/// `xs:byte` (RFC 6121 §4.7.2.3).
type Priority = i8;

impl Account {
    /// Presence without an address: initial (RFC 6121 §4.2) or subsequent (§4.4).
    pub(crate) fn broadcast(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        stanza: Stanza,
        out: &mut Out,
    ) {
        let Some(priority) = priority(&stanza) else {
            self.refuse(context, id, &stanza, Condition::BadRequest, out);
            return;
        };
        let wall = context.wall;
        let Some(session) = self.session_mut(id) else {
            return;
        };
        let is_initial = session.presence.is_none();
        let took_messages = session.takes_messages();
        let interest_changed = session.interest.follow(&stanza);
        session.presence = Some(Available {
            stanza: stanza.clone(),
            priority,
            said: Some(wall),
        });
        let takes_messages = session.takes_messages();
        let address = session.address.clone();
        session.hidden_from.clear();
        // What a subscriber holds from now on is this.
        let roster = &self.roster;
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session
                .directed
                .retain(|to, _| !roster.relation(to.bare_str()).contact_is_subscribed());
        }

        out.effects.push(Effect::Count(Tally::Update(Origin::Local)));
        self.tell_subscribers(id, &stanza, out);
        self.tell_own_resources(context, Some(id), &stanza, out);
        if is_initial {
            self.broadcast_is_held(context, out);
            self.ask_for_presence(context, id, &address, out);
            self.deliver_pending_requests(context, id, out);
            self.inherit_received(context, id, out);
        } else if interest_changed {
            // PSA-05.
            self.bring_up_to_date(context, out);
        }
        if takes_messages && !took_messages {
            self.bring_waiting(out);
        }
    }

    /// The resource is no longer available: its client said so (RFC 6121 §4.5.2), or its session ended. Everybody who
    /// holds its presence is told.
    pub(crate) fn announce_unavailable(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        said: Option<Stanza>,
        out: &mut Out,
    ) {
        let Some(session) = self.session_mut(id) else {
            return;
        };
        let was_available = session.presence.take().is_some();
        let directed = std::mem::take(&mut session.directed);
        session.received = presence::Received::default();
        session.rooms = Occupancies::default();
        session.hidden_from.clear();
        session.told.elsewhere.clear();
        let address = session.address.clone();
        self.unwatch_all(out);
        if !was_available && directed.is_empty() {
            return;
        }
        self.no_longer_held(&address, out);
        // Nobody is there to take it when the session has ended.
        let sender = said.is_some().then_some(id);
        let origin = match &said {
            Some(_) => Origin::Local,
            None => Origin::Synthetic,
        };
        out.effects.push(Effect::Count(Tally::Update(origin)));
        let stanza = said.unwrap_or_else(|| {
            Stanza::build(
                Kind::Presence(PresenceType::Unavailable),
                Some(&address),
                None,
                None,
                b"",
            )
        });
        if was_available {
            let status = stanza
                .content_child("status")
                .map(|status| status.text().into_owned());
            self.left = Some(LastSeen {
                at: context.wall,
                status,
            });
            self.tell_subscribers(id, &stanza, out);
            self.tell_own_resources(context, sender, &stanza, out);
        }
        // RFC 6121 §4.6.3 rule 2: addressed as the directed presence was (DCL-11). Whoever is subscribed has been told.
        for to in directed.into_keys() {
            let told = was_available && to.is_bare() && self.shows_presence_to(&to);
            if !told {
                self.send_presence(id, stanza.readdressed(Some(address.clone()), Some(to)), out);
            }
        }
    }

    /// RFC 6121 §4.2.2, §4.4.2, §4.5.2: contacts with a subscription of type "from" or "both".
    fn tell_subscribers(&self, id: SessionId, stanza: &Stanza, out: &mut Out) {
        let Some(session) = self.session(id) else { return };
        let mut contacts = 0;
        for contact in self.roster.subscribers() {
            contacts += 1;
            self.send_presence(
                id,
                stanza.readdressed(Some(session.address.clone()), Some(contact.clone())),
                out,
            );
        }
        out.effects.push(Effect::Count(Tally::Broadcast(contacts)));
    }

    /// Presence is refused in silence where a list forbids it (XEP-0016 §2.9).
    pub(crate) fn send_presence(&self, id: SessionId, parcel: Parcel, out: &mut Out) {
        if let Ok(parcel) = self.release(id, parcel) {
            out.effects.push(Effect::Route {
                parcel,
                receipt: None,
            });
        }
    }

    /// RFC 6121 §4.2.2: a user is subscribed to the own presence; the `sender` itself gets a copy too.
    fn tell_own_resources(
        &mut self,
        context: &Context<'_, Settings>,
        sender: Option<SessionId>,
        stanza: &Stanza,
        out: &mut Out,
    ) {
        let from = stanza.from().cloned();
        if let Some(from) = &from {
            // Whatever they knew of it is over.
            for session in &mut self.sessions {
                session.received.remove_one(from);
            }
        }
        let parcel = Passed::to_own_session(stanza.readdressed(from, Some(self.address.clone())));
        for session in self
            .sessions
            .iter()
            .filter(|session| session.presence.is_some() || Some(session.id) == sender)
        {
            self.give(context, session, &parcel, out);
        }
    }

    /// Presence to one entity (RFC 6121 §4.6.3).
    pub(crate) fn directed(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        stanza: Stanza,
        kind: PresenceType,
        out: &mut Out,
    ) {
        let Some(to) = stanza.to().cloned() else { return };
        let Some(parcel) = self.may_leave(context, id, Parcel::new(stanza.clone()), out) else {
            return;
        };
        if let Some(rate) = context.settings.presence.decloak.rate
            && kind == PresenceType::Available
            && presence::Decloak::of(&stanza).is_some()
            && self.is_no_contact(&to)
            && !self.strangers.decloaking.take(rate, context.now)
        {
            let decloak = presence::Decloak::of(&stanza).unwrap_or(presence::Decloak::Unsaid);
            wishes::count(decloak, Wish::RateLimited, out);
            let error = StanzaError::new(Condition::PolicyViolation)
                .kind(ErrorKind::Wait)
                .text("too many wishes to see the presence of people who are not your contacts");
            self.refuse(context, id, &stanza, error, out);
            return;
        }
        let directed_max = context.settings.directed_max;
        let is_remote = context.settings.is_remote(&to);
        let is_news;
        let Some(session) = self.session_mut(id) else {
            return;
        };
        match kind {
            PresenceType::Unavailable => {
                let joined = session.directed.remove(to.as_str());
                let is_out = !session.directed.keys().any(|other| other.same_bare(&to));
                if session.hidden_from.len() < directed_max {
                    session.hidden_from.insert(to.clone());
                }
                is_news = is_remote && joined.is_some();
                if is_out {
                    self.leaves_room(id, &to, out);
                }
            }
            PresenceType::Available
            | PresenceType::Error
            | PresenceType::Probe
            | PresenceType::Subscribe
            | PresenceType::Subscribed
            | PresenceType::Unsubscribe
            | PresenceType::Unsubscribed => {
                if session.directed.len() >= directed_max && !session.directed.contains_key(to.as_str()) {
                    self.refuse(context, id, &stanza, Condition::ResourceConstraint, out);
                    return;
                }
                session.interest.follow(&stanza);
                session.hidden_from.remove(to.as_str());
                is_news = session.directed.insert(to.clone(), stanza.clone()).is_none() && is_remote;
                self.enters_room(id, &to, &stanza, is_remote, out);
                self.wish_is_answered(&to, out);
            }
        }
        if is_news {
            self.holders_changed(context, out);
        }
        out.effects.push(Effect::Route {
            parcel,
            receipt: None,
        });
    }

    /// RFC 6121 §8.5.2.1.2, §8.5.3.1: a contact's presence, to all available resources or the one it names.
    pub(crate) fn inbound_availability(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: Passed,
        kind: PresenceType,
        out: &mut Out,
    ) {
        let Some(to) = parcel.parcel().to().cloned() else {
            return;
        };
        let mut meant = self.sessions.iter_mut().filter(|session| session.address == to);
        if kind == PresenceType::Error
            && meant.any(|session| session.confirmations.take_returned(parcel.parcel()))
        {
            // The client has said nothing, and what is on its screen is as true as before.
            out.effects.push(Effect::Dropped(DropReason::Answer));
            return;
        }
        if let Some(from) = parcel.parcel().from() {
            let is_end = match kind {
                PresenceType::Unavailable => true,
                // PSA-27: where the path is broken, errors are our own, and what says that the way is has been said by this
                // server. One about a poke says nothing of a server (C-06).
                PresenceType::Error if is_about_the_way(parcel.parcel().stanza()) => false,
                PresenceType::Error => {
                    self.domains
                        .get(from.domainpart())
                        .is_some_and(|way| !way.is_broken)
                        && parcel.parcel().stanza().child(namespace::POKE, "poke").is_none()
                }
                PresenceType::Available
                | PresenceType::Probe
                | PresenceType::Subscribe
                | PresenceType::Subscribed
                | PresenceType::Unsubscribe
                | PresenceType::Unsubscribed => false,
            };
            if is_end {
                self.receive_unavailable(&from.clone(), &to, out);
            }
            self.count_arrival(context, &parcel, kind, out);
        }
        if let (PresenceType::Unavailable, Some(from)) = (kind, parcel.parcel().from()) {
            // RFC 6121 §4.6.1: who says goodbye is no longer on the list of directed presence.
            for session in self
                .sessions
                .iter_mut()
                .filter(|session| to.is_bare() || session.address == to)
                .filter(|session| !session.rooms.awaits(from))
            {
                session.directed.remove(from.as_str());
            }
        }
        let (parcel, truth) = if kind == PresenceType::Available {
            self.correct_room(context, &to, parcel.parcel(), out);
            self.truth_of(parcel)
        } else {
            (parcel, Truth::Plain)
        };
        for place in 0..self.sessions.len() {
            let Some(session) = self.sessions.get(place) else {
                break;
            };
            // A resource that never became available may still have asked somebody by directed presence, and is
            // answered under its full address (DCL-25).
            let is_meant = if to.is_bare() {
                session.presence.is_some()
            } else {
                session.address == to
            };
            if !is_meant || !self.admits(session, &parcel) {
                continue;
            }
            if let Some(from) = parcel.parcel().from()
                && (kind == PresenceType::Unavailable || !session.rooms.is_empty())
            {
                self.room_speaks(place, &from.clone(), parcel.parcel().stanza(), out);
            }
            let copy = if kind == PresenceType::Available {
                self.receive_available(context, place, &parcel, &truth, out)
            } else {
                Some(parcel.clone())
            };
            if let (Some(copy), Some(session)) = (copy, self.sessions.get(place)) {
                self.give(context, session, &copy, out);
            }
        }
        if let (PresenceType::Available, Some(from)) = (kind, parcel.parcel().from()) {
            self.client_came_elsewhere(context, &from.clone(), out);
        }
    }

    /// Presence from elsewhere, and wishes among it.
    fn count_arrival(
        &mut self,
        context: &Context<'_, Settings>,
        parcel: &Passed,
        kind: PresenceType,
        out: &mut Out,
    ) {
        let parcel = parcel.parcel();
        let Some(from) = parcel.from() else { return };
        if kind == PresenceType::Available
            && let Some(decloak) = presence::Decloak::of(parcel.stanza())
            && !from.same_bare(&self.address)
        {
            self.wish_arrives(context, &from.clone(), decloak, out);
        }
        if kind == PresenceType::Error || context.settings.is_local(from) {
            // Those of accounts here were counted when they were said.
            return;
        }
        let origin = match parcel.stanza().child(namespace::MUC_USER, "x") {
            Some(_) => Origin::Room,
            None => Origin::Remote,
        };
        out.effects.push(Effect::Count(Tally::Update(origin)));
    }

    /// Current presence of every resource to somebody who has just been allowed to see it (RFC 6121 §3.1.5), or its end
    /// to somebody who no longer is (§3.2.1).
    pub(crate) fn show_presence_to(&mut self, contact: &Address, out: &mut Out) {
        for session in &mut self.sessions {
            if session.presence.is_some() {
                // What the contact holds from now on is this.
                session.directed.retain(|to, _| !to.same_bare(contact));
            }
        }
        for session in &self.sessions {
            if let Some(presence) = &session.presence {
                let parcel = presence
                    .stanza
                    .readdressed(Some(session.address.clone()), Some(contact.clone()));
                self.send_presence(session.id, parcel, out);
            }
        }
    }

    /// See [`show_presence_to`](Self::show_presence_to). Directed presence does not outlive it (RFC 6121 §4.6.1, DCL-12);
    /// its end is addressed as it was (DCL-11).
    pub(crate) fn hide_presence_from(&mut self, contact: &Address, out: &mut Out) {
        for place in 0..self.sessions.len() {
            let Some(session) = self.sessions.get_mut(place) else {
                break;
            };
            let is_available = session.presence.is_some();
            let mut told: Vec<Address> = session
                .directed
                .keys()
                .filter(|to| to.same_bare(contact) && !(is_available && to.is_bare()))
                .cloned()
                .collect();
            session.directed.retain(|to, _| !to.same_bare(contact));
            session.told.elsewhere.retain(|client| !client.same_bare(contact));
            if is_available {
                told.push(contact.clone());
            }
            let (id, from) = (session.id, session.address.clone());
            for to in &told {
                let gone = Stanza::build(
                    Kind::Presence(PresenceType::Unavailable),
                    Some(&from),
                    Some(to),
                    None,
                    b"",
                );
                self.send_presence(id, Parcel::new(gone), out);
            }
        }
    }
}

/// The `<priority/>` of a presence; 0 when there is none, `None` when it is no `xs:byte` (RFC 6121 §4.7.2.3).
pub(crate) fn priority(stanza: &Stanza) -> Option<Priority> {
    stanza
        .content_child("priority")
        .map_or(Some(0), |child: Child<'_>| child.text().trim().parse().ok())
}

/// Whether an error says only that its sender's server was not reached, which that server itself cannot say.
pub(crate) fn is_about_the_way(error: &Stanza) -> bool {
    let condition = error.error_condition();
    matches!(
        condition.as_deref(),
        Some("remote-server-timeout" | "remote-server-not-found")
    )
}
