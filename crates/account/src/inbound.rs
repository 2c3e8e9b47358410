//! What arrives for the account: the second half of the delivery rules (RFC 6121 §8.5).

use machine::Context;
use stanza::{Address, Condition, IqType, Kind, MessageType, Parcel, PresenceType};
use stream_management::{Copies, Entry, Receipt, StoredId};

use crate::account::{Account, Out, settle};
use crate::delivery::{Addressed, AtHome, Fate, fate};
use crate::door::Passed;
use crate::figures::{IqPoke, Wish};
use crate::input::DropReason;
use crate::outbound::is_stranger;
use crate::session::Session;
use crate::{Effect, Settings, poke, wishes};

impl Account {
    /// Takes a stanza from anybody, the account's own sessions included.
    pub(crate) fn inbound(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: stanza::Parcel,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) {
        let parcel = match self.admit(parcel) {
            Ok(parcel) => parcel,
            Err(refused) => {
                if self.poked_by_blocked(context, &refused.parcel, out) {
                    settle(receipt, out);
                    return;
                }
                self.taken_leave_of(context, &refused.parcel, out);
                if refused.parcel.stanza().kind() == Kind::Presence(PresenceType::Available)
                    && let Some(decloak) = presence::Decloak::of(refused.parcel.stanza())
                {
                    wishes::count(decloak, Wish::Denied, out);
                }
                if matches!(
                    refused.parcel.stanza().kind(),
                    Kind::Iq(IqType::Get | IqType::Set)
                ) {
                    poke::count_between_clients(&refused.parcel, |_| IqPoke::Forbidden, out);
                }
                let error = self.answer_to(&refused.parcel, refused.denial);
                if error.is_none() {
                    out.effects.push(Effect::Dropped(DropReason::Privacy));
                }
                self.bounce(error, receipt, out);
                return;
            }
        };
        let kind = parcel.parcel().stanza().kind();
        if !self.has_room_for_stranger(context, kind, parcel.parcel().from()) {
            match kind {
                // As if nobody were there: a flood must not tell who is.
                Kind::Message(_) => {
                    self.bounce(parcel.parcel().error(Condition::ServiceUnavailable), receipt, out);
                }
                Kind::Presence(_) | Kind::Iq(_) => {
                    out.effects.push(Effect::Dropped(DropReason::Strangers));
                    settle(receipt, out);
                }
            }
            return;
        }
        match kind {
            Kind::Message(_) => {
                let Some(parcel) = self.judge_attention(context, parcel, out) else {
                    out.effects.push(Effect::Dropped(DropReason::DeliveryRule));
                    settle(receipt, out);
                    return;
                };
                if let Some((parcel, receipt)) = self.hold(parcel, receipt, out) {
                    self.deliver_message(context, parcel, receipt, out);
                }
            }
            Kind::Presence(kind) => {
                let parcel = self.without_forged(parcel, kind);
                match kind {
                    PresenceType::Available | PresenceType::Unavailable | PresenceType::Error => {
                        self.inbound_availability(context, parcel, kind, out)
                    }
                    PresenceType::Probe => self.inbound_probe(context, &parcel, out),
                    PresenceType::Subscribe
                    | PresenceType::Subscribed
                    | PresenceType::Unsubscribe
                    | PresenceType::Unsubscribed => {
                        self.inbound_subscription(context, &parcel, kind, out);
                    }
                }
                settle(receipt, out);
            }
            Kind::Iq(kind) => {
                self.inbound_iq(context, parcel, kind, out);
                settle(receipt, out);
            }
        }
    }

    /// Whether strangers, all together, have not yet sent the user too many messages and subscription requests.
    fn has_room_for_stranger(
        &mut self,
        context: &Context<'_, Settings>,
        kind: Kind,
        from: Option<&Address>,
    ) -> bool {
        let settings = context.settings;
        let (rate, is_message) = match kind {
            Kind::Message(MessageType::Chat | MessageType::Normal) => {
                (settings.messages_from_strangers, true)
            }
            Kind::Presence(PresenceType::Subscribe) => (settings.subscriptions_from_strangers, false),
            Kind::Message(MessageType::Groupchat | MessageType::Headline | MessageType::Error)
            | Kind::Presence(_)
            | Kind::Iq(_) => return true,
        };
        let (Some(rate), Some(from)) = (rate, from) else {
            return true;
        };
        // Nearly always a contact, and nothing more is looked at.
        if !is_stranger(&self.address, &self.roster, from) {
            return true;
        }
        if !is_message {
            return self.strangers.received_subscriptions.take(rate, context.now);
        }
        // Whoever the user has sent presence to is expected to answer; the occupants of a room share its bare address.
        let mut directed = self.sessions.iter().flat_map(|session| session.directed.keys());
        directed.any(|other| other.same_bare(from))
            || self.strangers.received_messages.take(rate, context.now)
    }

    /// RFC 6121 §8.5: applies the table of `delivery`.
    pub(crate) fn deliver_message(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: Passed,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) {
        let Kind::Message(kind) = parcel.parcel().stanza().kind() else {
            return;
        };
        let fate = self.fate_of(&parcel, kind);
        match fate {
            Fate::ToThatOne | Fate::ToMostAvailable | Fate::ToAll => {
                self.deliver(context, parcel, fate, receipt, None, out);
            }
            Fate::Store => self.store(context, parcel, receipt, out),
            Fate::Bounce(condition) => self.bounce(parcel.parcel().error(condition), receipt, out),
            Fate::Drop => {
                out.effects.push(Effect::Dropped(DropReason::DeliveryRule));
                settle(receipt, out);
            }
        }
    }

    /// Delivers a message whose durable copy is `row`. False when it stays there for now.
    pub(crate) fn deliver_stored(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: Passed,
        row: StoredId,
        out: &mut Out,
    ) -> bool {
        let Kind::Message(kind) = parcel.parcel().stanza().kind() else {
            return false;
        };
        let fate = self.fate_of(&parcel, kind);
        match fate {
            Fate::ToThatOne | Fate::ToMostAvailable | Fate::ToAll => {
                self.deliver(context, parcel, fate, None, Some(row), out)
            }
            // The row is the store. A message to a full address whose resource has gone meanwhile waits for the user too:
            // it was promised to be kept.
            Fate::Store | Fate::Bounce(_) | Fate::Drop => {
                self.at_home() == AtHome::Somebody
                    && self.deliver_to(context, parcel, None, Some(row), Session::takes_messages, out)
            }
        }
    }

    /// False when it has a row and nobody at home may have it.
    fn deliver(
        &mut self,
        context: &Context<'_, Settings>,
        parcel: Passed,
        fate: Fate,
        receipt: Option<Receipt>,
        row: Option<StoredId>,
        out: &mut Out,
    ) -> bool {
        match fate {
            Fate::ToThatOne => {
                let to = parcel.parcel().to();
                let that_one = to.and_then(|to| self.session_at(to)).map(|session| session.id);
                let is_that_one = |session: &Session| Some(session.id) == that_one;
                self.deliver_to(context, parcel, receipt, row, is_that_one, out)
            }
            Fate::ToMostAvailable => {
                let highest = self.sessions.iter().filter_map(Session::priority).max();
                let is_most = |session: &Session| session.takes_messages() && session.priority() == highest;
                self.deliver_to(context, parcel, receipt, row, is_most, out)
            }
            Fate::ToAll => self.deliver_to(context, parcel, receipt, row, Session::takes_messages, out),
            Fate::Store | Fate::Bounce(_) | Fate::Drop => false,
        }
    }

    /// Puts a copy into the mailbox of each session that `chosen` names, unless that session's own list forbids it. False
    /// when it has a row and none of them may have it.
    fn deliver_to(
        &mut self,
        context: &Context<'_, Settings>,
        parcel: Passed,
        receipt: Option<Receipt>,
        row: Option<StoredId>,
        chosen: impl Fn(&Session) -> bool,
        out: &mut Out,
    ) -> bool {
        let storable = matches!(
            parcel.parcel().stanza().kind(),
            Kind::Message(MessageType::Chat | MessageType::Normal)
        );
        let (receipt, row) = match row {
            None if storable && self.may_be_kept_now(&receipt) && self.all_are_away(&parcel, &chosen) => {
                if !self.waiting.has_room_for_copies(context.settings.outstanding_max) {
                    let error = parcel.parcel().error(Condition::ResourceConstraint);
                    self.bounce(error, receipt, out);
                    return true;
                }
                self.keep_for_later(context, &parcel, receipt, out)
            }
            None | Some(_) => (receipt, row),
        };
        let wants_settling = storable && receipt.is_some() && row.is_none();
        let mut recipients = self
            .sessions
            .iter()
            .filter(|session| chosen(session) && self.admits(session, &parcel))
            .peekable();
        let Some(first) = recipients.next() else {
            // Every session that it could reach has a list that forbids it. What has waited goes back to nobody: its sender
            // would learn that the user is there now.
            match row {
                None => self.deny(&parcel, receipt, out),
                Some(_) => settle(receipt, out),
            }
            return row.is_none();
        };
        let entry = |parcel: Parcel, copies: Option<Copies>| Entry {
            parcel,
            // What cannot be stored is settled by being handed over.
            receipt: receipt.clone().filter(|_| storable),
            storable,
            stored: row,
            copies,
            pushed: context.now,
        };
        if recipients.peek().is_none() {
            self.push(first, entry(parcel.into_parcel(), None), out);
        } else {
            let copies = storable.then(Copies::default);
            for session in std::iter::once(first).chain(recipients) {
                self.push(session, entry(parcel.parcel().clone(), copies.clone()), out);
            }
        }
        if wants_settling {
            self.settle_later(context, out);
        } else if !storable {
            settle(receipt, out);
        }
        true
    }

    /// Rows are brought in the order in which they were made. A message whose sender counts does not get one before those
    /// that are on their way: it is settled with them.
    fn may_be_kept_now(&self, receipt: &Option<Receipt>) -> bool {
        receipt.is_none() || self.settle_at.is_none()
    }

    /// Whether a stanza would only go into mailboxes that nobody empties now.
    fn all_are_away(&self, parcel: &Passed, chosen: impl Fn(&Session) -> bool) -> bool {
        let is_away = |session: &Session| session.pause.is_some();
        // Nearly always nobody is.
        if !self.sessions.iter().any(is_away) {
            return false;
        }
        let mut recipients = self
            .sessions
            .iter()
            .filter(|session| chosen(session) && self.admits(session, parcel))
            .peekable();
        recipients.peek().is_some() && recipients.all(is_away)
    }

    /// A stanza that no list of anybody at home lets pass is answered like one to nobody.
    fn deny(&self, parcel: &Passed, receipt: Option<Receipt>, out: &mut Out) {
        match parcel.parcel().stanza().kind() {
            Kind::Message(MessageType::Chat | MessageType::Normal)
                if !self.is_private_in_room(parcel.parcel()) =>
            {
                self.bounce(parcel.parcel().error(Condition::ServiceUnavailable), receipt, out);
            }
            Kind::Message(_) | Kind::Presence(_) | Kind::Iq(_) => {
                out.effects.push(Effect::Dropped(DropReason::Privacy));
                settle(receipt, out);
            }
        }
    }

    /// Puts a stanza that is never stored into one session's mailbox.
    pub(crate) fn give(
        &self,
        context: &Context<'_, Settings>,
        session: &Session,
        parcel: &Passed,
        out: &mut Out,
    ) {
        let entry = Entry {
            parcel: parcel.parcel().clone(),
            receipt: None,
            storable: false,
            stored: None,
            copies: None,
            pushed: context.now,
        };
        self.push(session, entry, out);
    }

    /// RFC 6121 §8.5.2.1.3, §8.5.3.1, §8.5.3.2.3.
    fn inbound_iq(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: Passed,
        kind: IqType,
        out: &mut Out,
    ) {
        match (self.addressed(&parcel), kind) {
            (Addressed::Bare, IqType::Get | IqType::Set) => self.answer_for_user(context, &parcel, out),
            (Addressed::Match, IqType::Get | IqType::Set) => {
                let target = parcel.parcel().to().and_then(|to| self.session_at(to));
                match target {
                    Some(session)
                        if self.shares_presence(session, &parcel) && self.admits(session, &parcel) =>
                    {
                        self.give(context, session, &parcel, out);
                    }
                    // Looks exactly like an absent resource (RFC 6121 §8.5.3.1, POKE-31).
                    Some(_) | None => self.withhold(&parcel, out),
                }
            }
            (Addressed::NoMatch, IqType::Get | IqType::Set) => self.withhold(&parcel, out),
            (Addressed::Match, IqType::Result | IqType::Error) => {
                if self.self_ping_answered(context, &parcel, out) {
                    return;
                }
                if let Some(session) = parcel.parcel().to().and_then(|to| self.session_at(to)) {
                    self.give(context, session, &parcel, out);
                }
            }
            (Addressed::Bare | Addressed::NoMatch, IqType::Result | IqType::Error) => {
                // Otherwise nobody here has asked.
                if !self.answered_elsewhere(context, &parcel, kind, out) {
                    out.effects.push(Effect::Dropped(DropReason::DeliveryRule));
                }
            }
        }
    }

    /// RFC 6121 §8.5.3.1, §8.5.3.2.3: whoever may not see the user's presence hears the same of every resource.
    fn withhold(&self, parcel: &Passed, out: &mut Out) {
        poke::count_between_clients(parcel.parcel(), |_| IqPoke::NoResource, out);
        let is_contact = parcel
            .parcel()
            .from()
            .is_some_and(|from| from.same_bare(&self.address) || self.shows_presence_to(from));
        let error = if is_contact {
            Condition::ServiceUnavailable.into()
        } else {
            features::withheld(parcel.parcel().stanza())
        };
        self.reply(parcel.parcel().error(error), out);
    }

    /// Whether a contact is subscribed to the user's presence.
    pub(crate) fn shows_presence_to(&self, contact: &Address) -> bool {
        self.roster.relation(contact.bare_str()).contact_is_subscribed()
    }

    /// RFC 6121 §8.5.3.1: whether the sender may know that this resource is there.
    fn shares_presence(&self, session: &Session, parcel: &Passed) -> bool {
        let Some(from) = parcel.parcel().from() else {
            return false;
        };
        from.same_bare(&self.address)
            // The server itself, which knows.
            || from.as_str() == self.address.domainpart()
            || self.shows_presence_to(from)
            || session.directed_to(from)
            || session.shares_room_with(from)
    }

    /// RFC 6121 §8.5, for a message as it is addressed and those who are at home now.
    pub(crate) fn fate_of(&self, parcel: &Passed, kind: MessageType) -> Fate {
        fate(self.addressed(parcel), self.at_home(), kind)
    }

    fn addressed(&self, parcel: &Passed) -> Addressed {
        match parcel.parcel().to() {
            Some(to) if !to.is_bare() => {
                if self.session_at(to).is_some() {
                    Addressed::Match
                } else {
                    Addressed::NoMatch
                }
            }
            Some(_) | None => Addressed::Bare,
        }
    }

    fn at_home(&self) -> AtHome {
        if !self.exists() {
            AtHome::NoAccount
        } else if self.sessions.iter().any(Session::takes_messages) {
            AtHome::Somebody
        } else {
            AtHome::Nobody
        }
    }
}
