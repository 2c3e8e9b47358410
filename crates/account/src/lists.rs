//! Privacy lists and blocking between the account's sessions and the `privacy` crate (XEP-0016, XEP-0191): what changes
//! is kept and pushed. What it does to presence is in `turning`.

use machine::Context;
use privacy::{Audience, Connected, ListName, Outcome, Push, SessionChange};
use stanza::{IqType, Kind, Stanza, StanzaError, namespace};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::session::Session;
use crate::turning::Turning;
use crate::{Change, SessionId, Settings};

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
        context: &mut Context<'_, Settings>,
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
            let turning = Turning::List { shift, sender: id };
            self.hide(context, &turning, out);
            self.show(context, &turning, out);
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
}
