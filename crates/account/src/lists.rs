//! Privacy lists and blocking between the account's sessions and the `privacy` crate (XEP-0016, XEP-0191): what changes
//! is kept, pushed, and shown in presence.

use machine::Context;
use privacy::{
    Audience, Connected, Direction, ListName, Outcome, Push, SessionChange, Sessions, Shift, Turn,
};
use stanza::{Address, IqType, Kind, Parcel, PresenceType, Stanza, StanzaError, namespace};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::session::Session;
use crate::{Change, Effect, SessionId, Settings};

impl Account {
    /// A get or set of `jabber:iq:privacy` or `urn:xmpp:blocking` by one of the account's sessions.
    pub(crate) fn privacy_iq(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        request: &Stanza,
        out: &mut Out,
    ) {
        let Some(payload) = request.payload().map(|payload| payload.to_tree()) else {
            return;
        };
        let is_blocking = payload.namespace == namespace::BLOCKING;
        if let Some(session) = self.session_mut(id) {
            session.knows_blocklist |= is_blocking && payload.name == "blocklist";
            session.uses_lists |= !is_blocking;
        }
        if request.kind() == Kind::Iq(IqType::Get) {
            let active = self.session(id).and_then(|session| session.active_list.as_ref());
            let reply = match (is_blocking, payload.name.as_str()) {
                (true, "blocklist") => Ok(self.privacy.blocklist()),
                (true, _) => Err(StanzaError::new(stanza::Condition::BadRequest)),
                (false, _) => self.privacy.privacy_get(&payload, active),
            };
            self.answer(context, request, reply, out);
            return;
        }
        let sender = self.session(id).and_then(|session| session.active_list.clone());
        let others: Vec<Option<ListName>> = self
            .sessions
            .iter()
            .filter(|session| session.id != id)
            .map(|session| session.active_list.clone())
            .collect();
        let others: Vec<Option<&ListName>> = others.iter().map(Option::as_ref).collect();
        let connected = Connected {
            sender: sender.as_ref(),
            others: &others,
        };
        let limits = &context.settings.privacy;
        let outcome = if is_blocking {
            self.privacy.blocking_set(&payload, &connected, limits)
        } else {
            self.privacy
                .privacy_set(&payload, &connected, &self.roster, limits)
        };
        match outcome {
            Ok(outcome) => self.apply(context, id, request, outcome, out),
            Err(error) => self.answer(context, request, Err(error), out),
        }
    }

    fn apply(
        &mut self,
        context: &Context<'_, Settings>,
        id: SessionId,
        request: &Stanza,
        outcome: Outcome,
        out: &mut Out,
    ) {
        let Outcome {
            changes,
            session: change,
            pushes,
            shifts,
        } = outcome;
        out.commit.extend(changes.into_iter().map(Change::Privacy));
        if let Some(session) = self.session_mut(id) {
            match change {
                SessionChange::Keep => {}
                SessionChange::Active(name) => session.active_list = Some(name),
                SessionChange::NoActive => session.active_list = None,
            }
        }
        self.answer(context, request, Ok(Vec::new()), out);
        for push in &pushes {
            self.push_list(context, push, out);
        }
        for shift in &shifts {
            self.shift(id, shift, out);
        }
    }

    fn push_list(&self, context: &Context<'_, Settings>, push: &Push, out: &mut Out) {
        let wants = |session: &&Session| match push.audience {
            Audience::Connected => true,
            Audience::UsesLists => session.uses_lists,
            Audience::HoldsBlocklist => session.knows_blocklist,
        };
        for session in self.sessions.iter().filter(wants) {
            let stanza = Stanza::build(
                Kind::Iq(IqType::Set),
                Some(&self.address),
                Some(&session.address),
                Some("list"),
                &push.payload,
            );
            self.give(context, session, &Passed::of_our_own(stanza), out);
        }
    }

    /// Another list applies to some sessions: presence is hidden and shown accordingly.
    fn shift(&mut self, sender: SessionId, shift: &Shift, out: &mut Out) {
        let concerned = |session: &&Session| match &shift.sessions {
            Sessions::Sender => session.id == sender,
            Sessions::WithActive(name) => session.active_list.as_ref() == Some(name),
            Sessions::WithoutActive => session.active_list.is_none(),
        };
        for session in self.sessions.iter().filter(concerned) {
            let Some(presence) = &session.presence else {
                continue;
            };
            for contact in self.roster.subscribers() {
                match shift.presence(Direction::Out, &self.address, contact, &self.roster) {
                    Turn::Same => {}
                    Turn::Hidden => say_goodbye(session, contact, out),
                    Turn::Shown => {
                        let parcel = presence
                            .stanza
                            .readdressed(Some(session.address.clone()), Some(contact.clone()));
                        if let Ok(parcel) = self.release(session.id, parcel) {
                            out.effects.push(Effect::Route {
                                parcel,
                                receipt: None,
                            });
                        }
                    }
                }
            }
            for contact in self.roster.subscriptions() {
                if shift.presence(Direction::In, &self.address, contact, &self.roster) == Turn::Shown {
                    // XEP-0191 §3.4: what the contact's presence is now must be asked for.
                    let probe = Stanza::build(
                        Kind::Presence(PresenceType::Probe),
                        Some(&session.address),
                        Some(contact),
                        None,
                        b"",
                    );
                    if let Ok(parcel) = self.release(session.id, Parcel::new(probe)) {
                        out.effects.push(Effect::Route {
                            parcel,
                            receipt: None,
                        });
                    }
                }
            }
        }
        // Directed presence is hidden too; nobody can say whether its sender would show it again.
        for place in 0..self.sessions.len() {
            let Some(session) = self.sessions.get(place).filter(concerned) else {
                continue;
            };
            let hides = |other: &Address| {
                shift.presence(Direction::Out, &self.address, other, &self.roster) == Turn::Hidden
            };
            let hidden: Vec<Address> = session
                .directed
                .keys()
                .filter(|other| hides(other))
                .cloned()
                .collect();
            for other in &hidden {
                let is_told = session.presence.is_some() && other.is_bare() && self.shows_presence_to(other);
                if !is_told {
                    say_goodbye(session, other, out);
                }
            }
            // RFC 6121 §4.6.3 rule 3: who was told goodbye is not told so again when the session ends.
            if let Some(session) = self.sessions.get_mut(place) {
                session.directed.retain(|other, _| !hidden.contains(other));
            }
        }
    }
}

fn say_goodbye(session: &Session, to: &Address, out: &mut Out) {
    let goodbye = Stanza::build(
        Kind::Presence(PresenceType::Unavailable),
        Some(&session.address),
        Some(to),
        None,
        b"",
    );
    out.effects.push(Effect::Route {
        parcel: Passed::last_goodbye(goodbye),
        receipt: None,
    });
}
