//! The account itself: what it knows, and which part of it answers which input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use features::LastSeen;
use machine::{Bucket, Context, Decision, Machine, Moment};
use stanza::{Address, Condition, Stanza, StanzaError, StreamCondition, StreamError};
use stream_management::{Entry, Mailbox, Receipt, Signal};

use crate::annotations::Way;
use crate::answers::Pending;
use crate::explained::OperatorPoke;
use crate::held::Held;
use crate::input::{Flags, Key, PauseCause, PauseEnd, Standing, Tally};
use crate::pause::Pause;
use crate::questions::Questions;
use crate::session::Session;
use crate::turning::Farewell;
use crate::waiting::Waiting;
use crate::wishes::Wishes;
use crate::{
    AdminRequest, Change, Effect, End, Input, Saved, SessionCount, SessionId, SessionView, Settings,
};

pub(crate) type Out = Decision<Change, Effect>;

/// What is left of the rates for strangers (`limits.stranger_subscriptions`, `limits.stranger_messages`,
/// `limits.messages_from_strangers`, `limits.subscriptions_from_strangers`, `decloak.rate`).
#[derive(Default)]
pub(crate) struct Strangers {
    pub(crate) subscriptions: Bucket,
    /// DCL-28.
    pub(crate) decloaking: Bucket,
    pub(crate) messages: Bucket,
    /// What strangers, all together, may still send to the user.
    pub(crate) received_messages: Bucket,
    pub(crate) received_subscriptions: Bucket,
}

/// One user at home.
///
/// Made from what the store has; leaves memory when it has no session and nothing is under way.
pub struct Account {
    pub(crate) address: Address,
    pub(crate) standing: Standing,
    pub(crate) flags: Flags,
    pub(crate) roster: roster::Roster,
    pub(crate) privacy: privacy::Lists,
    /// In the order in which they were bound. Few, so that a walk is the fastest look-up.
    pub(crate) sessions: Vec<Session>,
    /// Mailboxes of sessions that the server has ended. Their connections still write what is in there, and then say
    /// that they are done.
    ending: Vec<(SessionId, Arc<Mailbox>)>,
    pub(crate) waiting: Waiting,
    /// IQs that wait for the store.
    pub(crate) pending: BTreeMap<u64, Pending>,
    pub(crate) next_ticket: u64,
    /// When the last resource left, with its status.
    pub(crate) left: Option<LastSeen>,
    /// Which blobs the store keeps for it.
    pub(crate) blobs: features::Stored,
    /// What the user may still send to strangers, and they to the user.
    pub(crate) strangers: Strangers,
    /// Whether a [`Key::Settle`] is under way.
    pub(crate) settle_at: Option<Moment>,
    /// Pokes about the user.
    pub(crate) pokes: presence::Pokes,
    /// When a [`Key::Pokes`] is under way.
    pub(crate) pokes_wake: Option<Moment>,
    /// Those of them that an operator waits for.
    pub(crate) operator_pokes: Vec<OperatorPoke>,
    /// Domains of which some session holds presence, and whether the path to them is broken.
    pub(crate) domains: BTreeMap<Address, Way>,
    /// More annotations wait than go in one step: the next step has its moment.
    pub(crate) more_annotations: bool,
    /// Domains that are back, whose contacts will be asked.
    pub(crate) reprobe: BTreeSet<Address>,
    /// What clients and room services elsewhere were asked, and have not answered.
    pub(crate) questions: Questions,
    /// Room services elsewhere that were asked whether they want annotations, and what they said.
    pub(crate) services: BTreeMap<Address, bool>,
    /// Calls for the user's attention.
    pub(crate) attention: presence::Attention,
    /// Who elsewhere holds presence of the sessions, as far as it is kept.
    pub(crate) held: Held,
    /// When a [`Key::Expire`] is due.
    pub(crate) expire_at: Option<Moment>,
    /// Whether the server is about to stop for a while.
    pub(crate) is_stopping: bool,
    /// Sessions that are about to take leave of contacts who are hidden from now on.
    pub(crate) farewells: Vec<Farewell>,
    /// Wishes to see the user's presence that may still be answered.
    pub(crate) wishes: Wishes,
}

/// Whether an account at which nobody is at home may stay in memory, and about how many bytes it takes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resting {
    /// It may.
    Known(usize),
    /// There is none: what others ask about it takes no more time as long as this stays too (POKE-22).
    Unknown(usize),
    /// It was removed, or made meanwhile.
    Outdated,
}

impl Account {
    /// The account at the bare `address`, as the store has it.
    ///
    /// # Errors
    /// When a privacy list is stored in a form that is not understood: a rule left out would open a door.
    pub fn new(address: Address, saved: Saved) -> Result<Account, privacy::BadRow> {
        Ok(Account {
            standing: saved.standing,
            flags: saved.flags,
            roster: roster::Roster::load(&address, saved.roster),
            privacy: privacy::Lists::load(saved.privacy)?,
            sessions: Vec::new(),
            ending: Vec::new(),
            waiting: Waiting::new(saved.waiting, saved.last_waiting),
            pending: BTreeMap::new(),
            next_ticket: 0,
            left: saved.left,
            blobs: saved.blobs,
            strangers: Strangers::default(),
            settle_at: None,
            pokes: presence::Pokes::default(),
            pokes_wake: None,
            operator_pokes: Vec::new(),
            domains: BTreeMap::new(),
            more_annotations: false,
            reprobe: BTreeSet::new(),
            questions: Questions::default(),
            services: BTreeMap::new(),
            attention: presence::Attention::default(),
            held: Held::load(saved.held),
            expire_at: None,
            is_stopping: false,
            farewells: Vec::new(),
            wishes: Wishes::default(),
            address,
        })
    }

    /// Its bare address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> SessionCount {
        let mut count = SessionCount::default();
        for session in &self.sessions {
            match session.pause.map(|pause| pause.cause) {
                None => count.active += 1,
                Some(PauseCause::ConnectionLost) => count.paused_management += 1,
                Some(PauseCause::Asked) => count.paused_bosh += 1,
            }
        }
        count
    }

    /// Stanzas that wait for its clients or are not acknowledged by them, and their bytes.
    pub fn load(&self) -> (usize, usize) {
        let loads = self.sessions.iter().map(|session| session.mailbox.load());
        loads.fold((0, 0), |(stanzas, bytes), load| {
            (stanzas + load.0, bytes + load.1)
        })
    }

    /// How it rests while nobody is at home.
    pub fn resting(&self) -> Resting {
        // Rather more than `tests/memory.rs` counts: an allocator rounds up, and there is the map of accounts.
        const ACCOUNT: usize = 2_600;
        const CONTACT: usize = 170;
        const RULE: usize = 250;
        let requests = self.roster.requests().map(|(_, stanza)| CONTACT + stanza.len());
        let rules = self.privacy.iter().map(|list| RULE * (1 + list.items().len()));
        let size = ACCOUNT + CONTACT * self.roster.len() + requests.sum::<usize>() + rules.sum::<usize>();
        match self.standing {
            Standing::Known => Resting::Known(size),
            Standing::Unknown => Resting::Unknown(size),
            Standing::Outdated => Resting::Outdated,
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.standing == Standing::Known
    }

    pub(crate) fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.iter().find(|session| session.id == id)
    }

    pub(crate) fn session_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    pub(crate) fn session_at(&self, address: &Address) -> Option<&Session> {
        self.sessions.iter().find(|session| session.address == *address)
    }

    /// Gives `mailbox` a resource (RFC 6120 §7.6, §7.7). An older session that has the wanted one gives way.
    fn bind(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        wanted: Option<String>,
        mailbox: Arc<Mailbox>,
        out: &mut Out,
    ) {
        if self.sessions.len() >= context.settings.resources_max
            && let Some(longest) = self.longest_paused()
        {
            // A client that lost its session without resuming it is not kept out by what it left behind.
            self.give_up(context, longest, PauseEnd::Replaced, out);
        }
        let refusal = if !self.exists() || self.flags.disabled {
            Some(StanzaError::new(Condition::NotAllowed))
        } else if self.sessions.len() >= context.settings.resources_max {
            // RFC 6120 §7.6.2.1.
            Some(StanzaError::new(Condition::ResourceConstraint).text("too many sessions of this account"))
        } else {
            None
        };
        if let Some(error) = refusal {
            out.effects.push(Effect::Signal {
                mailbox,
                signal: Signal::NotBound(error),
            });
            return;
        }
        let resource = wanted
            .filter(|resource| !resource.is_empty())
            .unwrap_or_else(|| context.token());
        let address = match self.address.with_resource(&resource) {
            Ok(address) => address,
            Err(_) => {
                // RFC 6120 §7.7.2.1.
                let error = StanzaError::new(Condition::BadRequest).text("this is no resourcepart");
                out.effects.push(Effect::Signal {
                    mailbox,
                    signal: Signal::NotBound(error),
                });
                return;
            }
        };
        if let Some(older) = self.session_at(&address).map(|session| session.id) {
            // RFC 6120 §7.7.2.2: the newer session wins.
            self.end_session(context, older, StreamError::new(StreamCondition::Conflict), out);
        }
        let session = Session::new(id, address.clone(), Arc::clone(&mailbox), context.wall);
        self.add_session(session);
        out.effects.push(Effect::Signal {
            mailbox,
            signal: Signal::Bound(address),
        });
    }

    /// Most accounts have one session, and idle ones are many: no room is kept for more.
    pub(crate) fn add_session(&mut self, session: Session) {
        self.sessions.reserve_exact(1);
        self.sessions.push(session);
    }

    /// The server ends a session: the others learn of it at once. Its client still gets what its mailbox holds, then the
    /// error (RFC 6120 §4.4); [`Account::ended`] follows when its connection is done with that, which takes limited time.
    pub(crate) fn end_session(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        error: StreamError,
        out: &mut Out,
    ) {
        if self.session(id).is_some_and(Session::has_no_connection) {
            self.give_up(context, id, PauseEnd::Replaced, out);
        } else if let Some(session) = self.remove_session(context, id, out) {
            out.effects.push(Effect::Signal {
                mailbox: Arc::clone(&session.mailbox),
                signal: Signal::Close(error),
            });
            self.ending.push((id, session.mailbox));
        }
    }

    /// The connection of a session is gone. The session waits for its client, if that was promised; otherwise what the
    /// client does not have goes where it belongs.
    fn ended(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        mailbox: &Arc<Mailbox>,
        end: End,
        out: &mut Out,
    ) {
        let sessions = self.sessions.iter().map(|session| (session.id, &session.mailbox));
        let ending = self.ending.iter().map(|(id, mailbox)| (*id, mailbox));
        let mut others = sessions.chain(ending).filter(|(other, _)| *other != id);
        if others.any(|(_, other)| Arc::ptr_eq(other, mailbox)) {
            // Another connection went on with the session.
            return;
        }
        if end == End::Lost && self.pause_if_promised(context, id, out) {
            return;
        }
        let session = self.remove_session(context, id, out);
        let place = self.ending.iter().position(|(other, _)| *other == id);
        let ending = place.map(|place| self.ending.remove(place).1);
        // A connection that was just given a session may not have got to know its mailbox.
        let own = session.map(|session| session.mailbox).or(ending);
        for mailbox in own.iter().chain([mailbox]) {
            for entry in mailbox.close() {
                self.undelivered(context, entry, out);
            }
        }
    }

    /// From here on nobody finds the session, and whoever holds its presence is told.
    pub(crate) fn remove_session(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        out: &mut Out,
    ) -> Option<Session> {
        self.announce_unavailable(context, id, None, out);
        let place = self.sessions.iter().position(|session| session.id == id)?;
        let session = self.sessions.remove(place);
        self.poked_client_left(context, &session.address, out);
        self.unwatch_all(out);
        if let Some(promise) = &session.promise {
            out.effects.push(Effect::Former {
                id: promise.id.clone(),
                mailbox: Arc::clone(&session.mailbox),
            });
        }
        self.note_departure(context, out);
        if self.sessions.is_empty() {
            // Nobody is left whom the answers would concern, and they may be others when somebody is.
            self.services.clear();
            self.questions = Questions::default();
        }
        Some(session)
    }

    /// RFC 6121 §4.3.2 rule 3: when the last resource is gone, the moment is kept.
    fn note_departure(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        if self.sessions.is_empty() {
            self.wishes_are_over(out);
        }
        if self.sessions.is_empty() && self.exists() {
            let status = self.left.take().and_then(|last| last.status);
            let last = LastSeen {
                at: context.wall,
                status,
            };
            self.left = Some(last.clone());
            out.commit.push(Change::Left(last));
        }
    }

    /// Puts a copy into one session's mailbox.
    pub(crate) fn push(&self, session: &Session, entry: Entry, out: &mut Out) {
        out.effects.push(Effect::Push {
            session: session.id,
            mailbox: Arc::clone(&session.mailbox),
            entry,
        });
    }

    /// An answer to a stanza, to whoever sent it.
    pub(crate) fn reply(&self, answer: Option<Stanza>, out: &mut Out) {
        self.bounce(answer, None, out);
    }

    /// The error that a stanza ends in. The sender's receipt travels with it and is settled where it arrives: what is
    /// acknowledged was kept, or its return is on the stream before the acknowledgement (`docs/kept.md`).
    pub(crate) fn bounce(&self, error: Option<Stanza>, receipt: Option<Receipt>, out: &mut Out) {
        let Some(error) = error else {
            settle(receipt, out);
            return;
        };
        count_error(&error, out);
        out.effects.push(Effect::Route {
            parcel: crate::Passed::of_our_own(error),
            receipt,
        });
    }

    fn admin(&mut self, context: &mut Context<'_, Settings>, request: AdminRequest, out: &mut Out) {
        match request {
            AdminRequest::Sessions(answer) => {
                let views: Vec<SessionView> = self.sessions.iter().map(view).collect();
                out.effects.push(Effect::Answer(Box::new(move || answer(views))));
            }
            AdminRequest::ExplainPrivacy(question, answer) => {
                let explanation = self.explain_privacy(&question);
                out.effects
                    .push(Effect::Answer(Box::new(move || answer(explanation))));
            }
            AdminRequest::ExplainPresence(other, answer) => {
                let view = self.presence_view(context, &other);
                out.effects.push(Effect::Answer(Box::new(move || answer(view))));
            }
            AdminRequest::Poke(requester, asked, answer) => {
                self.operator_poke(context, &requester, asked, answer, out);
            }
            AdminRequest::End(resource, error, answer) => {
                let chosen = |session: &&Session| {
                    resource
                        .as_deref()
                        .is_none_or(|resource| session.address.resourcepart() == Some(resource))
                };
                let ids: Vec<SessionId> = self
                    .sessions
                    .iter()
                    .filter(chosen)
                    .map(|session| session.id)
                    .collect();
                for id in &ids {
                    self.end_session(context, *id, error.clone(), out);
                }
                out.effects
                    .push(Effect::Answer(Box::new(move || answer(ids.len()))));
            }
            AdminRequest::CancelSubscriptions(answer) => {
                self.cancel_all_subscriptions(context, out);
                // What contacts answer to that, and whatever else still comes, must not be kept: there will be no row
                // that it could belong to.
                self.standing = Standing::Outdated;
                out.effects.push(Effect::Answer(Box::new(answer)));
            }
            AdminRequest::Expel(error, answer) => {
                let ids: Vec<SessionId> = self.sessions.iter().map(|session| session.id).collect();
                for id in &ids {
                    self.end_session(context, *id, error.clone(), out);
                }
                self.standing = Standing::Outdated;
                out.effects
                    .push(Effect::Answer(Box::new(move || answer(ids.len()))));
            }
            AdminRequest::Made => {
                if !self.exists() {
                    self.standing = Standing::Outdated;
                }
            }
            AdminRequest::SetFlags(flags) => self.flags = flags,
            AdminRequest::Suspend => self.suspend(context, out),
            AdminRequest::Settle(answer) => self.settle_all(context, answer, out),
            AdminRequest::Keep(answer) => self.keep(context, answer, out),
            AdminRequest::Restore(sessions) => self.restore(context, sessions, out),
            // As every first input does.
            AdminRequest::TellVanished => {}
        }
    }
}

/// `xmpp_stanza_errors_total`.
pub(crate) fn count_error(answer: &Stanza, out: &mut Out) {
    if answer.kind().is_error()
        && let Some(condition) = answer.error_condition()
        && let Some(condition) = Condition::named(&condition)
    {
        out.effects
            .push(Effect::Count(Tally::Error(answer.kind(), condition)));
    }
}

fn view(session: &Session) -> SessionView {
    SessionView {
        address: session.address.clone(),
        priority: session.priority(),
        waiting: session.mailbox.load().0,
        since: session.since,
        paused: session.pause.map(Pause::view),
    }
}

/// A machine that is dropped with sessions in it has failed: their streams end, and the clients come back to what is
/// stored. Those that were ending may not have been told so yet.
impl Drop for Account {
    fn drop(&mut self) {
        let sessions = self.sessions.iter().map(|session| &session.mailbox);
        for mailbox in sessions.chain(self.ending.iter().map(|(_, mailbox)| mailbox)) {
            mailbox.signal(Signal::Close(StreamError::new(
                StreamCondition::InternalServerError,
            )));
        }
    }
}

impl Machine for Account {
    type Input = Input;
    type Change = Change;
    type Effect = Effect;
    type Settings = Settings;

    fn handle(&mut self, context: &mut Context<'_, Settings>, input: Input, out: &mut Out) {
        match input {
            Input::Bind {
                session,
                resource,
                mailbox,
            } => self.bind(context, session, resource, mailbox, out),
            Input::Outbound {
                session,
                stanza,
                receipt,
            } => self.outbound(context, session, stanza, receipt, out),
            Input::Inbound { parcel, receipt } => self.inbound(context, parcel, receipt, out),
            Input::Released(released) => self.released(released, out),
            Input::Undelivered(entry) => self.undelivered(context, *entry, out),
            Input::Overflowed(id) => {
                let Some(id) = self.current(id) else { return };
                let error = StreamError::new(StreamCondition::ResourceConstraint)
                    .text("the client does not read fast enough");
                self.end_session(context, id, error, out);
            }
            Input::Ended {
                session,
                mailbox,
                end,
            } => self.ended(context, session, &mailbox, end, out),
            Input::Resumable { session, id, time } => self.resumable(session, id, time),
            Input::Resume {
                session,
                id,
                handled,
                mailbox,
            } => self.resume(context, session, id, handled, mailbox, out),
            Input::Paused { session, cause } => self.pause(context, session, cause, None, out),
            Input::Continued(session) => self.end_pause(context, session, out),
            Input::Wake(Key::Expire) => self.expire(context, out),
            Input::Wake(Key::Held) => self.write_held(context, out),
            Input::Waiting(rows) => self.waiting_arrived(context, rows, out),
            Input::Loaded(loaded) => self.loaded(context, loaded, out),
            Input::Wake(Key::Settle) => self.settle_overdue(context, out),
            Input::Path { domain, path } => self.path_changed(context, &domain, path, out),
            Input::Wake(Key::Annotate) => self.annotate_more(context, out),
            Input::Wake(Key::Reprobe) => self.reprobe(context, out),
            Input::Wake(Key::Unanswered) => self.conclude_from_silence(context, out),
            Input::Wake(Key::Paused) => self.announce_due_pauses(context, out),
            Input::Wake(Key::SelfPing) => self.self_pings_overdue(context, out),
            Input::Wake(Key::Wishes) => self.wishes_overdue(context, out),
            Input::Wake(Key::Pokes) => self.pokes_overdue(context, out),
            Input::Admin(request) => self.admin(context, request, out),
        }
        self.tell_vanished(context, out);
        self.answer_operator(out);
        for (tally, count) in self.privacy.take_tallies() {
            out.effects
                .push(Effect::Count(crate::Tally::Privacy(tally, count)));
        }
    }

    fn is_idle(&self) -> bool {
        self.sessions.is_empty()
            && self.ending.is_empty()
            && self.pending.is_empty()
            && self.pokes.in_flight() == 0
            && !self.waiting.is_loading()
            && self.held.is_empty()
    }
}

/// The receipt of a stanza that cannot be stored is settled by handing it over.
pub(crate) fn settle(receipt: Option<Receipt>, out: &mut Out) {
    if let Some(receipt) = receipt {
        out.effects.push(Effect::Settle(receipt));
    }
}

#[cfg(test)]
mod tests {
    use crate::account::Account;
    use crate::session::Session;

    /// Users with one idle session are many. What few of them need belongs into a box, or into a collection that is empty.
    /// Up to these sizes the allocator gives the same room; beyond them it is a quarter more.
    #[test]
    fn an_account_and_a_session_stay_small() {
        assert!(size_of::<Account>() <= 768, "{} bytes", size_of::<Account>());
        assert!(size_of::<Session>() <= 384, "{} bytes", size_of::<Session>());
    }
}
