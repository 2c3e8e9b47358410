//! Sessions of this account that are out of reach, told to everybody who holds their presence and asks for annotations
//! (XEP-0310 §4.2; clauses §4.5).
//!
//! A contact at home here is told by a repeat to its account, which knows its own clients. A contact elsewhere is told by
//! a repeat to each of its resources that is known to ask.

use std::sync::Arc;

use machine::Context;
use presence::{Annotations, Answer, Claim, State, annotation, with_annotation};
use stanza::{Address, Aside, IqType, Kind, Parcel, PresenceType, Stanza};

use crate::account::{Account, Out};
use crate::annotations::suppress;
use crate::arriving::Truth;
use crate::door::Passed;
use crate::figures::Suppression;
use crate::input::{Key, PauseCause, Tally};
use crate::presence::is_about_the_way;
use crate::session::Session;
use crate::{Effect, PresenceCount, SessionId, Settings};

/// What a session has told of itself.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Why it is paused, if that was announced.
    pub(crate) pause: Option<PauseCause>,
    /// Clients elsewhere that know of it.
    pub(crate) elsewhere: Vec<Address>,
}

impl Account {
    /// A session was paused (PSA-33, PSA-38).
    pub(crate) fn announce_pause_later(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        out: &mut Out,
    ) {
        let psa = &context.settings.presence.psa;
        // PSA-44: the server that stops has the connections closed; it will be back before anybody cares.
        if !psa.enabled || self.is_stopping {
            return;
        }
        if psa.pause_delay.is_zero() {
            self.announce_pause(context, id, out);
        } else {
            out.effects
                .push(Effect::WakeAt(Key::Paused, context.now + psa.pause_delay));
        }
    }

    /// Pauses that have lasted long enough to be told.
    pub(crate) fn announce_due_pauses(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        let delay = context.settings.presence.psa.pause_delay;
        let due: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|session| session.told.pause.is_none())
            .filter(|session| {
                session
                    .pause
                    .is_some_and(|pause| pause.since + delay <= context.now)
            })
            .map(|session| session.id)
            .collect();
        for id in due {
            self.announce_pause(context, id, out);
        }
    }

    fn announce_pause(&mut self, context: &mut Context<'_, Settings>, id: SessionId, out: &mut Out) {
        let now = context.now;
        let pause = self.session(id).and_then(|session| session.pause);
        if let (Some(session), Some(pause)) = (self.session_mut(id), pause) {
            session.told.pause = Some(pause.cause);
            let told = Tally::PauseAnnotated(pause.cause, now.since(pause.since));
            out.effects.push(Effect::Count(told));
            self.repeat_to_holders(context, id, Some(State::ConnectionPaused), out);
        }
    }

    /// The client of a paused session is back: whoever was told is told that too (PSA-39).
    pub(crate) fn announce_return(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        out: &mut Out,
    ) {
        let was_told = self
            .session_mut(id)
            .is_some_and(|session| session.told.pause.is_some());
        if was_told {
            self.repeat_to_holders(context, id, None, out);
            if let Some(session) = self.session_mut(id) {
                session.told.pause = None;
            }
        } else if context.settings.presence.psa.enabled {
            // It was back before anybody was told (PSA-38).
            suppress(Suppression::RecoveredInGrace, 1, out);
        }
    }

    /// Everybody who holds the session's presence gets what it holds once more, with the news (PSA-33, PSA-35).
    fn repeat_to_holders(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        state: Option<State>,
        out: &mut Out,
    ) {
        let words = context.settings.presence.psa.words;
        let news = annotation(self.address.domainpart(), state, words);
        let Some(session) = self.session(id) else { return };
        let address = session.address.clone();
        let broadcast = session
            .presence
            .as_ref()
            .and_then(|presence| with_annotation(&presence.stanza, &news));
        let directed: Vec<(Address, Stanza)> = session
            .directed
            .iter()
            .filter_map(|(to, stanza)| Some((to.clone(), with_annotation(stanza, &news)?)))
            .collect();
        let mut elsewhere = match state {
            Some(_) => Vec::new(),
            None => session.told.elsewhere.clone(),
        };
        if let Some(broadcast) = broadcast {
            self.repeat_to_own_sessions(context, id, &broadcast, out);
            let hidden = self
                .session(id)
                .map(|session| session.hidden_from.clone())
                .unwrap_or_default();
            let is_concerned = |contact: &&Address| {
                !hidden.contains(contact.as_str()) && !directed.iter().any(|(to, _)| to == *contact)
            };
            let contacts: Vec<Address> = self.roster.subscribers().filter(is_concerned).cloned().collect();
            for contact in contacts {
                self.repeat_to(
                    context,
                    id,
                    &address,
                    &broadcast,
                    &contact,
                    state,
                    &mut elsewhere,
                    out,
                );
            }
        }
        for (to, stanza) in &directed {
            self.repeat_to(context, id, &address, stanza, to, state, &mut elsewhere, out);
        }
        if let Some(session) = self.session_mut(id) {
            session.told.elsewhere = if state.is_some() { elsewhere } else { Vec::new() };
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one step of the loops above")]
    fn repeat_to(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        address: &Address,
        stanza: &Stanza,
        to: &Address,
        state: Option<State>,
        elsewhere: &mut Vec<Address>,
        out: &mut Out,
    ) {
        if !context.settings.is_remote(to) {
            let copy = stanza.readdressed(Some(address.clone()), Some(to.clone()));
            self.send_presence(id, copy.with_aside(self.aside_of(id)), out);
            return;
        }
        // PSA-07, PSA-08: resources elsewhere that are known to ask, and rooms.
        let clients = match state {
            Some(_) if self.is_in_room(id, to) => self.interested_room(context, to, out),
            Some(_) => self.interested_elsewhere(context, to, out),
            None => elsewhere
                .extract_if(.., |client| {
                    client == to || (to.is_bare() && client.same_bare(to))
                })
                .collect(),
        };
        let cause = self.session(id).and_then(|session| session.told.pause);
        let count = match (state, cause) {
            (Some(_), Some(PauseCause::Asked)) => PresenceCount::AskedElsewhere,
            (None, Some(PauseCause::Asked)) => PresenceCount::BackElsewhere,
            (Some(_), Some(PauseCause::ConnectionLost) | None) => PresenceCount::PausedElsewhere,
            (None, Some(PauseCause::ConnectionLost) | None) => PresenceCount::ResumedElsewhere,
        };
        for client in clients {
            out.effects.push(Effect::Count(Tally::Presence(count)));
            self.send_presence(
                id,
                stanza.readdressed(Some(address.clone()), Some(client.clone())),
                out,
            );
            if state.is_some() && !elsewhere.contains(&client) {
                elsewhere.push(client);
            }
        }
    }

    fn repeat_to_own_sessions(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        stanza: &Stanza,
        out: &mut Out,
    ) {
        let Some(from) = self.session(id).map(|session| session.address.clone()) else {
            return;
        };
        let parcel = stanza.readdressed(Some(from.clone()), Some(self.address.clone()));
        let parcel = Passed::to_own_session(parcel.with_aside(self.aside_of(id)));
        let Some(genuine) = Annotations::of(stanza, Some(&from)).and_then(|annotations| annotations.genuine)
        else {
            return;
        };
        let truth = Truth::Repeat(genuine);
        for place in 0..self.sessions.len() {
            let is_meant = self
                .sessions
                .get(place)
                .is_some_and(|session| session.id != id && session.presence.is_some());
            if !is_meant {
                continue;
            }
            let copy = self.receive_available(context, place, &parcel, &truth, out);
            if let (Some(copy), Some(session)) = (copy, self.sessions.get(place)) {
                self.give(context, session, &copy, out);
            }
        }
    }

    /// What a copy of a session's presence for somebody new has to say (PSA-40).
    pub(crate) fn news_of(&self, context: &Context<'_, Settings>, id: SessionId) -> Option<Arc<[u8]>> {
        let session = self.session(id)?;
        session.told.pause?;
        let words = context.settings.presence.psa.words;
        let news = annotation(self.address.domainpart(), Some(State::ConnectionPaused), words);
        Some(Arc::from(news))
    }

    /// What others here may know of the pause that a session has announced.
    pub(crate) fn aside_of(&self, id: SessionId) -> Aside {
        match self.session(id).and_then(|session| session.told.pause) {
            Some(PauseCause::Asked) => Aside::PauseAskedFor,
            Some(PauseCause::ConnectionLost) | None => Aside::Nothing,
        }
    }

    /// Known resources at `to` that ask for annotations. Where that is not known yet, they are asked.
    fn interested_elsewhere(
        &mut self,
        context: &mut Context<'_, Settings>,
        to: &Address,
        out: &mut Out,
    ) -> Vec<Address> {
        let mut clients: Vec<(Address, Claim)> = Vec::new();
        for session in &self.sessions {
            for (from, held) in session.received.iter() {
                let is_meant = from == to || (to.is_bare() && from.same_bare(to));
                if is_meant
                    && let Some(claim @ Claim::Hash(_)) = Claim::of(&held.stanza())
                    && !clients.iter().any(|(known, _)| known == from)
                {
                    clients.push((from.clone(), claim));
                }
            }
        }
        let mut interested = Vec::new();
        for (client, claim) in clients {
            let Claim::Hash(hash) = &claim else { continue };
            match context.settings.presence.capabilities.wants_annotations(hash) {
                Some(true) => interested.push(client),
                Some(false) => {}
                None => self.ask_elsewhere(context, client, claim, out),
            }
        }
        interested
    }

    pub(crate) fn ask_elsewhere(
        &mut self,
        context: &mut Context<'_, Settings>,
        client: Address,
        claim: Claim,
        out: &mut Out,
    ) {
        if !self.questions.may_ask(&client, &claim, context.now) {
            return;
        }
        let id = context.token();
        let question = Stanza::build(
            Kind::Iq(IqType::Get),
            Some(&self.address),
            Some(&client),
            Some(&id),
            &claim.question(),
        );
        self.questions.asked(id, client, claim, context.now);
        self.reply(Some(question), out);
    }

    /// A client elsewhere answers. False when it was not asked.
    pub(crate) fn answered_elsewhere(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: &Passed,
        kind: IqType,
        out: &mut Out,
    ) -> bool {
        let answer = parcel.parcel().stanza();
        let (Some(id), Some(from)) = (answer.id(), parcel.parcel().from()) else {
            return false;
        };
        let Some(claim) = self.questions.answered(&id, from) else {
            return false;
        };
        if kind == IqType::Error && is_about_the_way(answer) {
            // That says nothing of who was asked, who will be asked again.
            return true;
        }
        let client = from.clone();
        let payload = answer.payload().filter(|_| kind == IqType::Result);
        let told = payload.map(|payload| claim.answered(&payload.to_tree()));
        if claim == Claim::Nothing {
            let wants = told == Some(Answer::ForThisSession(true));
            self.service_answered(context, client, wants, out);
            return true;
        }
        let Some(Answer::Verified(hash, wants)) = told else {
            return true;
        };
        out.effects.push(Effect::Learn(hash, wants));
        if wants {
            self.tell_client_elsewhere(context, &client, out);
        }
        true
    }

    /// PSA-40: a contact has just been shown the presence of all sessions, as every client may hear it. Those that ask for
    /// annotations hear more.
    pub(crate) fn annotate_for(
        &mut self,
        context: &mut Context<'_, Settings>,
        contact: &Address,
        out: &mut Out,
    ) {
        if context.settings.is_remote(contact) {
            self.annotate_answer(context, contact, out);
            return;
        }
        let words = context.settings.presence.psa.words;
        let news = annotation(self.address.domainpart(), Some(State::ConnectionPaused), words);
        for session in self
            .sessions
            .iter()
            .filter(|session| session.told.pause.is_some())
        {
            let annotated = session
                .presence
                .as_ref()
                .and_then(|presence| with_annotation(&presence.stanza, &news));
            if let Some(stanza) = annotated {
                let parcel = stanza.readdressed(Some(session.address.clone()), Some(contact.clone()));
                self.send_presence(session.id, parcel, out);
            }
        }
    }

    /// The same for a server elsewhere that has asked for a contact.
    pub(crate) fn annotate_answer(
        &mut self,
        context: &mut Context<'_, Settings>,
        contact: &Address,
        out: &mut Out,
    ) {
        if !self.has_announced_pause() || !context.settings.is_remote(contact) {
            return;
        }
        // What they were told before, the answer has taken back.
        let is_answered = |client: &Address| match contact.is_bare() {
            true => client.same_bare(contact),
            false => client == contact,
        };
        for session in &mut self.sessions {
            session.told.elsewhere.retain(|client| !is_answered(client));
        }
        for client in self.interested_elsewhere(context, contact, out) {
            self.tell_client_elsewhere(context, &client, out);
        }
    }

    /// PSA-40: a client elsewhere that asks for annotations and holds directed presence of a session that is out of reach
    /// asks whether that is still there (RFC 6121 §4.6.6). It is answered with the news: a plain answer would take them back.
    /// False where nothing was answered.
    pub(crate) fn annotate_confirmation(
        &mut self,
        context: &mut Context<'_, Settings>,
        probe: &Passed,
        out: &mut Out,
    ) -> bool {
        let (Some(from), Some(to)) = (probe.parcel().from(), probe.parcel().to()) else {
            return false;
        };
        let is_meant = |session: &Session| {
            session.address == *to && session.told.pause.is_some() && session.directed_to(from)
        };
        if from.is_bare()
            || !context.settings.is_remote(from)
            || self.shows_presence_to(from)
            || !self.sessions.iter().any(is_meant)
            || !self.interested_elsewhere(context, from, out).contains(from)
        {
            return false;
        }
        if let Some(session) = self.sessions.iter_mut().find(|session| is_meant(session)) {
            session.told.elsewhere.retain(|client| client != from);
        }
        self.tell_client_elsewhere(context, &from.clone(), out);
        true
    }

    /// PSA-40: a client elsewhere has come, or has said what it can, while some sessions here are out of reach.
    pub(crate) fn client_came_elsewhere(
        &mut self,
        context: &mut Context<'_, Settings>,
        client: &Address,
        out: &mut Out,
    ) {
        if self.has_announced_pause() && context.settings.is_remote(client) {
            for client in self.interested_elsewhere(context, client, out) {
                self.tell_client_elsewhere(context, &client, out);
            }
        }
    }

    /// Nearly always there is nothing to tell.
    fn has_announced_pause(&self) -> bool {
        self.sessions.iter().any(|session| session.told.pause.is_some())
    }

    /// PSA-05: a client elsewhere turns out to ask, and some sessions here are out of reach.
    fn tell_client_elsewhere(
        &mut self,
        context: &mut Context<'_, Settings>,
        client: &Address,
        out: &mut Out,
    ) {
        let words = context.settings.presence.psa.words;
        let news = annotation(self.address.domainpart(), Some(State::ConnectionPaused), words);
        let is_subscribed = self.shows_presence_to(client);
        let mut repeats = Vec::new();
        for session in &mut self.sessions {
            if session.told.pause.is_none() || session.told.elsewhere.contains(client) {
                continue;
            }
            let is_hidden = session.hidden_from.contains(client.bare_str());
            let broadcast = session.presence.as_ref().map(|presence| &presence.stanza);
            let held = session
                .directed
                .get(client.as_str())
                .or_else(|| session.directed.get(client.bare_str()))
                .or(broadcast.filter(|_| is_subscribed && !is_hidden));
            if let Some(stanza) = held.and_then(|held| with_annotation(held, &news)) {
                session.told.elsewhere.push(client.clone());
                let parcel = stanza.readdressed(Some(session.address.clone()), Some(client.clone()));
                repeats.push((session.id, parcel));
            }
        }
        for (id, parcel) in repeats {
            out.effects
                .push(Effect::Count(Tally::Presence(PresenceCount::PausedElsewhere)));
            self.send_presence(id, parcel, out);
        }
    }

    /// Presence of one of the account's resources as somebody new gets it: a client at home here with what is known of its
    /// truth, which its own account takes out where it does not ask; everybody else as it is.
    pub(crate) fn copy_for(
        &self,
        context: &Context<'_, Settings>,
        id: SessionId,
        stanza: &Stanza,
        to: &Address,
    ) -> Option<Parcel> {
        let address = self.session(id)?.address.clone();
        let parcel = stanza.readdressed(Some(address), Some(to.clone()));
        let is_client_here = !to.is_bare() && context.settings.is_local(to);
        Some(match self.news_of(context, id).filter(|_| is_client_here) {
            Some(news) if stanza.kind() == Kind::Presence(PresenceType::Available) => {
                parcel.with_appended(&news).with_aside(self.aside_of(id))
            }
            Some(_) | None => parcel,
        })
    }
}
