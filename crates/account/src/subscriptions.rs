//! The roster and its subscriptions between the account's sessions and its contacts (RFC 6121 §2, §3). What happens is
//! decided in `roster`; here it is sent.

use machine::Context;
use roster::{Outcome, Retrieved, Send, SubscriptionStanza};
use stanza::{Address, Condition, ErrorKind, IqType, Kind, Parcel, PresenceType, Stanza, StanzaError};
use xml::{ContentNamespace, Element};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::session::Session;
use crate::turning::{Before, Turning};
use crate::{Change, Effect, RosterOperation, RosterVerb, SessionId, Settings, Tally};

/// The stanza that caused a decision: passed on by `Send::Route` and `Send::Deliver`.
type Cause<'a> = Option<&'a Stanza>;

impl Account {
    /// A roster get or set of one of the account's sessions (RFC 6121 §2.2–§2.5).
    pub(crate) fn roster_iq(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        request: &Stanza,
        out: &mut Out,
    ) {
        let Some(query) = request.payload().map(|payload| payload.to_tree()) else {
            return;
        };
        let limits = &context.settings.roster;
        if request.kind() == Kind::Iq(IqType::Get) {
            let retrieved = self.roster.retrieve(&query, limits);
            note(RosterVerb::Get, retrieved.is_ok(), out);
            if retrieved.is_ok()
                && let Some(session) = self.session_mut(id)
            {
                // RFC 6121 §2.1.6: who asked for the roster wants the pushes.
                session.interested = true;
            }
            match retrieved {
                Ok(Retrieved::Whole(payload)) => self.answer(context, request, Ok(payload), out),
                Ok(Retrieved::Since(pushes)) => {
                    self.answer(context, request, Ok(Vec::new()), out);
                    for push in pushes {
                        self.push_roster(context, &push, |session| session.id == id, out);
                    }
                }
                Err(error) => self.answer(context, request, Err(error), out),
            }
            return;
        }
        let contact = query.children().next().and_then(|item| item.attribute("jid"));
        let contact = contact.and_then(|contact| Address::parse(contact).ok());
        let before = contact.and_then(|contact| self.before_roster_change(&contact));
        let outcome = self.roster.set(&query, limits);
        note(RosterVerb::Set, outcome.is_ok(), out);
        match outcome {
            Ok(outcome) => {
                self.answer(context, request, Ok(Vec::new()), out);
                self.carry_out(context, before, outcome, None, None, out);
            }
            Err(error) => self.answer(context, request, Err(error), out),
        }
    }

    /// A session sends one of the four subscription stanzas (RFC 6121 §3.1.2, §3.1.5, §3.2.2, §3.3.2).
    pub(crate) fn outbound_subscription(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        stanza: &Stanza,
        kind: PresenceType,
        out: &mut Out,
    ) {
        let (Some(to), Some(kind)) = (stanza.to().cloned(), SubscriptionStanza::of(kind)) else {
            return;
        };
        // A user who may not reach the contact does not change the subscription either.
        if self
            .may_leave(context, id, Parcel::new(stanza.clone()), out)
            .is_none()
        {
            return;
        }
        if let (Some(rate), SubscriptionStanza::Subscribe) = (context.settings.stranger_subscriptions, kind)
            && self.is_stranger(&to)
            && !self.strangers.subscriptions.take(rate, context.now)
        {
            let error = StanzaError::new(Condition::PolicyViolation)
                .kind(ErrorKind::Wait)
                .text("too many subscription requests to people who are not your contacts");
            self.refuse(context, id, stanza, error, out);
            return;
        }
        let before = self.before_roster_change(&to);
        let outcome = self.roster.outbound(kind, &to, &context.settings.roster);
        note(kind.into(), outcome.is_ok(), out);
        match outcome {
            Ok(outcome) => {
                self.carry_out(context, before, outcome, Some(stanza), Some(id), out);
                if kind == SubscriptionStanza::Unsubscribe {
                    self.no_longer_seen(context, &to, out);
                }
            }
            Err(error) => self.refuse(context, id, stanza, error, out),
        }
    }

    /// A contact sends one of them (RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3).
    pub(crate) fn inbound_subscription(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: &Passed,
        kind: PresenceType,
        out: &mut Out,
    ) {
        let (Some(from), Some(kind)) = (parcel.parcel().from().cloned(), SubscriptionStanza::of(kind)) else {
            return;
        };
        if !self.exists() {
            // RFC 6121 §8.5.1.
            return;
        }
        let bare = parcel
            .parcel()
            .stanza()
            .readdressed(Some(from.to_bare()), Some(self.address.clone()));
        let before = self.before_roster_change(&from);
        match self
            .roster
            .inbound(kind, &from, &bare.to_bytes(), &context.settings.roster)
        {
            Ok(outcome) => {
                self.carry_out(
                    context,
                    before,
                    outcome,
                    Some(parcel.parcel().stanza()),
                    None,
                    out,
                );
                match kind {
                    SubscriptionStanza::Unsubscribed => self.no_longer_seen(context, &from, out),
                    SubscriptionStanza::Subscribed => self.watch_contact(context, &from, out),
                    SubscriptionStanza::Subscribe | SubscriptionStanza::Unsubscribe => {}
                }
            }
            // The contact is told; RFC 6121 names no other way to refuse more than can be kept.
            Err(error) => self.reply(parcel.parcel().error(error), out),
        }
    }

    /// RFC 6121 §3.1.3: requests that wait are shown at each login until they are answered.
    pub(crate) fn deliver_pending_requests(
        &self,
        context: &Context<'_, Settings>,
        id: SessionId,
        out: &mut Out,
    ) {
        let Some(session) = self.session(id) else { return };
        for (contact, bytes) in self.roster.requests() {
            let Ok(element) = Element::parse(bytes, ContentNamespace::Client, &xml::Limits::unlimited())
            else {
                continue;
            };
            if let Ok(request) = Stanza::new(element, Some(contact.clone()), Some(self.address.clone()), None)
            {
                let parcel = Passed::stored(Parcel::new(request));
                if self.admits(session, &parcel) {
                    self.give(context, session, &parcel, out);
                }
            }
        }
    }

    /// All subscriptions end in both directions: the account is about to be removed (XEP-0077 §3.2).
    pub(crate) fn cancel_all_subscriptions(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        let contacts: Vec<Address> = self.roster.iter().map(|(contact, _)| contact.clone()).collect();
        for contact in contacts {
            for kind in [SubscriptionStanza::Unsubscribe, SubscriptionStanza::Unsubscribed] {
                let presence = match kind {
                    SubscriptionStanza::Unsubscribe => PresenceType::Unsubscribe,
                    SubscriptionStanza::Subscribe
                    | SubscriptionStanza::Subscribed
                    | SubscriptionStanza::Unsubscribed => PresenceType::Unsubscribed,
                };
                let stanza = Stanza::build(
                    Kind::Presence(presence),
                    Some(&self.address),
                    Some(&contact),
                    None,
                    b"",
                );
                let before = self.before_roster_change(&contact);
                if let Ok(outcome) = self.roster.outbound(kind, &contact, &context.settings.roster) {
                    self.carry_out(context, before, outcome, Some(&stanza), None, out);
                }
            }
        }
    }

    /// Keeps what a decision wants to be kept, and sends what it wants to be sent, in its order.
    fn carry_out(
        &mut self,
        context: &mut Context<'_, Settings>,
        before: Option<Before>,
        outcome: Outcome,
        cause: Cause<'_>,
        by: Option<SessionId>,
        out: &mut Out,
    ) {
        let Outcome {
            contact,
            changes,
            sends,
        } = outcome;
        out.commit.extend(changes.into_iter().map(Change::Roster));
        let turning = before.as_ref().map(Turning::Roster);
        if let Some(turning) = &turning {
            // Before the subscription itself ends, so that who is asked what there is to take leave of may still answer.
            self.hide(context, turning, out);
        }
        for send in sends {
            match send {
                Send::Route => {
                    if let Some(stanza) = cause {
                        // RFC 6121 §3.1.2: from the bare address to the bare address.
                        let parcel = stanza.readdressed(Some(self.address.clone()), Some(contact.clone()));
                        self.send_in_own_name(by, before.as_ref(), parcel, out);
                    }
                }
                Send::Deliver => {
                    if let Some(stanza) = cause {
                        self.show_subscription(context, stanza, &contact, out);
                    }
                }
                Send::Push(push) => self.push_roster(context, &push, |session| session.interested, out),
                Send::Subscribed => {
                    self.send_own_presence(PresenceType::Subscribed, &contact, before.as_ref(), out);
                }
                Send::Unsubscribe => {
                    self.send_own_presence(PresenceType::Unsubscribe, &contact, before.as_ref(), out);
                }
                Send::Unsubscribed => {
                    self.send_own_presence(PresenceType::Unsubscribed, &contact, before.as_ref(), out);
                }
                Send::Presence => {
                    self.show_presence_to(&contact, out);
                    self.annotate_for(context, &contact, out);
                    if !self.sessions.is_empty() && context.settings.is_remote(&contact) {
                        self.holders_changed(context, out);
                    }
                }
                Send::Unavailable => {
                    self.hide_presence_from(&contact, out);
                    if !self.held.is_empty() && context.settings.is_remote(&contact) {
                        self.holders_changed(context, out);
                    }
                }
            }
        }
        if let Some(turning) = &turning {
            self.show(context, turning, out);
        }
    }

    /// A contact's subscription stanza to the sessions that it concerns.
    fn show_subscription(
        &self,
        context: &Context<'_, Settings>,
        stanza: &Stanza,
        contact: &Address,
        out: &mut Out,
    ) {
        let parcel =
            Passed::delivered_before(stanza.readdressed(Some(contact.clone()), Some(self.address.clone())));
        let asks = stanza.kind() == Kind::Presence(PresenceType::Subscribe);
        // RFC 6121 §3.1.3: requests to available resources; §3.1.6 and the others: to interested ones.
        let concerns = |session: &&Session| {
            if asks {
                session.presence.is_some()
            } else {
                session.interested
            }
        };
        for session in self.sessions.iter().filter(concerns) {
            if self.admits(session, &parcel) {
                self.give(context, session, &parcel, out);
            }
        }
    }

    fn send_own_presence(
        &self,
        kind: PresenceType,
        contact: &Address,
        before: Option<&Before>,
        out: &mut Out,
    ) {
        let stanza = Stanza::build(
            Kind::Presence(kind),
            Some(&self.address),
            Some(contact),
            None,
            b"",
        );
        self.send_in_own_name(None, before, Parcel::new(stanza), out);
    }

    fn send_in_own_name(
        &self,
        by: Option<SessionId>,
        before: Option<&Before>,
        parcel: Parcel,
        out: &mut Out,
    ) {
        if let Ok(parcel) = self.release_with_change(by, before, parcel) {
            out.effects.push(Effect::Route {
                parcel,
                receipt: None,
            });
        }
    }

    /// RFC 6121 §2.1.6: one push to each session that wants it. Its answer is not waited for.
    fn push_roster(
        &self,
        context: &Context<'_, Settings>,
        push: &roster::Push,
        wants: impl Fn(&Session) -> bool,
        out: &mut Out,
    ) {
        let payload = push.payload();
        let id = format!("roster-{}", push.version());
        for session in self.sessions.iter().filter(|session| wants(session)) {
            let stanza = Stanza::build(
                Kind::Iq(IqType::Set),
                Some(&self.address),
                Some(&session.address),
                Some(&id),
                &payload,
            );
            self.give(context, session, &Passed::of_our_own(stanza), out);
        }
    }
}

fn note(verb: RosterVerb, done: bool, out: &mut Out) {
    let operation = RosterOperation { verb, done };
    out.effects.push(Effect::Count(Tally::Roster(operation)));
}
