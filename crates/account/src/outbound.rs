//! What the account's own sessions send: the first half of the way of a stanza (RFC 6120 §10, RFC 6121 §8).

use machine::Context;
use presence::{Annotations, without_children};
use stanza::{
    Address, Condition, ErrorKind, IqType, Kind, MessageType, Parcel, PresenceType, Stanza, StanzaError,
};
use stream_management::Receipt;

use crate::account::{Account, Out, count_error, settle};
use crate::door::Passed;
use crate::{Effect, SessionId, Settings, poke};

impl Account {
    /// Takes a stanza from one of the account's sessions.
    pub(crate) fn outbound(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        stanza: Stanza,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) {
        let Some(id) = self.current(id) else {
            // The session was ended with this still under way. Nobody is there to be told, and it is not acknowledged: the
            // receipt is left open, so that a client that counts knows what to send again.
            return;
        };
        match stanza.kind() {
            Kind::Message(kind) => self.outbound_message(context, id, stanza, kind, receipt, out),
            Kind::Iq(kind) => {
                self.outbound_iq(context, id, stanza, kind, out);
                settle(receipt, out);
            }
            Kind::Presence(kind) => {
                let stanza = without_annotations(stanza);
                match (kind, stanza.to().is_some()) {
                    (PresenceType::Available, false) => self.broadcast(context, id, stanza, out),
                    (PresenceType::Unavailable, false) => {
                        self.announce_unavailable(context, id, Some(stanza), out)
                    }
                    (PresenceType::Available | PresenceType::Unavailable, true) => {
                        self.directed(context, id, stanza, kind, out)
                    }
                    (
                        PresenceType::Subscribe
                        | PresenceType::Subscribed
                        | PresenceType::Unsubscribe
                        | PresenceType::Unsubscribed,
                        true,
                    ) => {
                        self.outbound_subscription(context, id, &stanza, kind, out);
                    }
                    // RFC 6121 §4.3: routed, never an error (POKE-05).
                    (PresenceType::Probe | PresenceType::Error, true) => {
                        if let Some(parcel) = self.may_leave(context, id, Parcel::new(stanza), out) {
                            out.effects.push(Effect::Route {
                                parcel,
                                receipt: None,
                            });
                        }
                    }
                    // Addressed to nobody: nothing that a broadcast could mean.
                    (
                        PresenceType::Probe
                        | PresenceType::Error
                        | PresenceType::Subscribe
                        | PresenceType::Subscribed
                        | PresenceType::Unsubscribe
                        | PresenceType::Unsubscribed,
                        false,
                    ) => self.refuse(context, id, &stanza, Condition::BadRequest, out),
                }
                settle(receipt, out);
            }
        }
    }

    fn outbound_message(
        &mut self,
        context: &Context<'_, Settings>,
        id: SessionId,
        stanza: Stanza,
        kind: MessageType,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) {
        // RFC 6120 §8.1.1.1: without an address it goes to the account itself.
        let to = stanza.to().cloned().unwrap_or_else(|| self.address.clone());
        let from = stanza.from().cloned();
        let Some(parcel) = self.may_leave(context, id, stanza.readdressed(from, Some(to)), out) else {
            settle(receipt, out);
            return;
        };
        if let (Some(rate), MessageType::Chat | MessageType::Normal) =
            (context.settings.stranger_messages, kind)
            && parcel
                .parcel()
                .to()
                .is_some_and(|to| self.is_stranger(to) && !self.is_company(id, to))
            && !self.strangers.messages.take(rate, context.now)
        {
            let error = StanzaError::new(Condition::PolicyViolation)
                .kind(ErrorKind::Wait)
                .text("too many messages to people who are not your contacts");
            self.tell(context, id, parcel.parcel().error(error), out);
            settle(receipt, out);
            return;
        }
        // What a person wrote is acknowledged when a room here has it on disk, or the server of the recipient or the room has
        // acknowledged it.
        let (travelling, handed_over) = match kind {
            MessageType::Chat | MessageType::Normal | MessageType::Groupchat => (receipt, None),
            MessageType::Headline | MessageType::Error => (None, receipt),
        };
        out.effects.push(Effect::Route {
            parcel,
            receipt: travelling,
        });
        settle(handed_over, out);
    }

    /// Whether there is no subscription in either direction, so that limits for strangers apply.
    pub(crate) fn is_stranger(&self, other: &Address) -> bool {
        is_stranger(&self.address, &self.roster, other)
    }

    /// The same, for what whole domains are asked too.
    pub(crate) fn is_no_contact(&self, other: &Address) -> bool {
        !other.same_bare(&self.address) && self.roster.relation(other.bare_str()) == roster::Relation::None
    }

    fn outbound_iq(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        stanza: Stanza,
        kind: IqType,
        out: &mut Out,
    ) {
        // RFC 6120 §10.3.3: without an address, or to the own bare address, the server answers for the account.
        let for_account = stanza.to().is_none_or(|to| *to == self.address);
        if for_account {
            match kind {
                IqType::Get | IqType::Set => self.answer_own_session(context, id, &stanza, out),
                IqType::Result | IqType::Error => self.own_client_answers(context, id, &stanza, kind, out),
            }
            return;
        }
        if let Some(parcel) = self.may_leave(context, id, Parcel::new(stanza), out) {
            if matches!(kind, IqType::Result | IqType::Error) {
                poke::count_between_clients(parcel.parcel(), poke::outcome_between_clients, out);
            }
            out.effects.push(Effect::Route {
                parcel,
                receipt: None,
            });
        }
    }

    /// Asks the door for one of the account's own stanzas; a refusal is told to its sender (XEP-0191 §3.3).
    pub(crate) fn may_leave(
        &self,
        context: &Context<'_, Settings>,
        id: SessionId,
        parcel: Parcel,
        out: &mut Out,
    ) -> Option<Passed> {
        match self.release(id, parcel) {
            Ok(passed) => Some(passed),
            Err(refused) => {
                // RFC 6121 §4.6: nobody waits for an answer to presence that says goodbye.
                if refused.parcel.stanza().kind() != Kind::Presence(PresenceType::Unavailable)
                    && let Some(error) = refused.denial.answer()
                {
                    self.tell(context, id, refused.parcel.error(error), out);
                }
                None
            }
        }
    }

    /// An error to one of the account's own sessions about what it sent.
    pub(crate) fn refuse(
        &self,
        context: &Context<'_, Settings>,
        id: SessionId,
        stanza: &Stanza,
        error: impl Into<StanzaError>,
        out: &mut Out,
    ) {
        let to = self.session(id).map(|session| &session.address);
        let from = stanza.to().unwrap_or(&self.address);
        self.tell(context, id, stanza.error_between(Some(from), to, error, b""), out);
    }

    /// What the server has to say to one of the account's own sessions. It bears the name of whom the session wrote to,
    /// and would not get past a list that keeps that one out.
    fn tell(&self, context: &Context<'_, Settings>, id: SessionId, answer: Option<Stanza>, out: &mut Out) {
        if let (Some(answer), Some(session)) = (answer, self.session(id)) {
            count_error(&answer, out);
            self.give(context, session, &Passed::of_our_own(answer), out);
        }
    }
}

/// PSA-16: clients never annotate.
fn without_annotations(stanza: Stanza) -> Stanza {
    match Annotations::of(&stanza, None) {
        Some(annotations) => without_children(&stanza, &annotations.places()).unwrap_or(stanza),
        None => stanza,
    }
}

/// Whether there is no subscription in either direction between a user and somebody else.
pub(crate) fn is_stranger(user: &Address, roster: &roster::Roster, other: &Address) -> bool {
    other.localpart().is_some()
        && !other.same_bare(user)
        && roster.relation(other.bare_str()) == roster::Relation::None
}
