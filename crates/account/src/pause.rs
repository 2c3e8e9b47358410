//! Sessions that outlive their connections (XEP-0198 §5): paused, resumed, given up.
//!
//! A paused session stays as it is: others see its presence, and what comes for it waits in its mailbox, what can be
//! stored also in the store. [`Account::paused`] and [`Account::continued`] are the two moments that others may want to
//! know of.

use std::sync::Arc;
use std::time::Duration;

use machine::{Context, Moment, Timestamp};
use stanza::{Kind, MessageType, namespace};
use stream_management::{Entry, Mailbox, NotResumed, Signal};

use crate::account::{Account, Out};
use crate::input::{Key, PauseCause, PauseEnd, Redelivered, Tally};
use crate::session::Session;
use crate::{Effect, PauseView, SessionId, Settings};

/// How a session can be resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Promise {
    /// The unguessable name under which it can.
    pub(crate) id: String,
    /// For how long after its connection broke.
    pub(crate) time: Duration,
}

/// A session without a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) cause: PauseCause,
    pub(crate) since: Moment,
    pub(crate) since_wall: Timestamp,
    /// When it is given up; whoever asked for the pause keeps the time otherwise.
    pub(crate) until: Option<Moment>,
}

impl Pause {
    pub(crate) fn view(self) -> PauseView {
        PauseView {
            since: self.since_wall,
            cause: self.cause,
        }
    }

    /// Pauses of stream management are counted when they end; those of BOSH follow from what clients ask for.
    fn count(self, end: PauseEnd, lasted: Duration, out: &mut Out) {
        if self.cause == PauseCause::ConnectionLost {
            out.effects.push(Effect::Count(Tally::PauseEnded(end, lasted)));
        }
    }
}

/// Earlier connections of a session that are remembered. What they had counted is processed within moments of its
/// resumption, so that more are needed only by a client that resumes without pause.
const FORMER_MAX: usize = 4;

impl Account {
    /// The session that this connection has or, a moment ago, had.
    pub(crate) fn current(&self, id: SessionId) -> Option<SessionId> {
        let is_meant = |session: &&Session| session.id == id || session.former.contains(&id);
        self.sessions.iter().find(is_meant).map(|session| session.id)
    }

    /// The client was promised that it can resume.
    pub(crate) fn resumable(&mut self, id: SessionId, name: String, time: Duration) {
        if let Some(session) = self.session_mut(id) {
            session.promise = Some(Promise { id: name, time });
        }
    }

    /// The connection of a session broke: it waits for its client, if that was promised. False otherwise.
    pub(crate) fn pause_if_promised(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        out: &mut Out,
    ) -> bool {
        let Some(time) = self
            .session(id)
            .and_then(|session| session.promise.as_ref())
            .map(|promise| promise.time)
        else {
            return false;
        };
        let until = context.now + time;
        self.pause(context, id, PauseCause::ConnectionLost, Some(until), out);
        self.expire_at(until, out);
        true
    }

    /// A session is without its client from now on.
    pub(crate) fn pause(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        cause: PauseCause,
        until: Option<Moment>,
        out: &mut Out,
    ) {
        let pause = Pause {
            cause,
            since: context.now,
            since_wall: context.wall,
            until,
        };
        let Some(session) = self.session_mut(id) else {
            return;
        };
        if session.pause.is_some() {
            // A pause that was asked for, and then the connection broke.
            session.pause = Some(Pause { until, ..pause });
            return;
        }
        session.pause = Some(pause);
        out.effects.push(Effect::Count(Tally::Paused));
        // Whoever waits for an acknowledgement need not wait for the client.
        self.settle_paused(context, id, out);
        self.paused(context, id, out);
    }

    /// A session was paused: the moment to tell others.
    fn paused(&mut self, context: &mut Context<'_, Settings>, id: SessionId, out: &mut Out) {
        self.announce_pause_later(context, id, out);
    }

    /// The client of a paused session is back: the moment to tell others.
    fn continued(&mut self, context: &mut Context<'_, Settings>, id: SessionId, out: &mut Out) {
        self.announce_return(context, id, out);
        // What happened to others meanwhile.
        self.bring_up_to_date(context, out);
    }

    /// A client that had asked for a pause is back.
    pub(crate) fn end_pause(&mut self, context: &mut Context<'_, Settings>, id: SessionId, out: &mut Out) {
        let Some(pause) = self.session_mut(id).and_then(|session| session.pause.take()) else {
            return;
        };
        let lasted = context.now.since(pause.since);
        pause.count(PauseEnd::Resumed, lasted, out);
        if lasted >= context.settings.delay_stamp_after
            && let Some(session) = self.session(id)
        {
            self.stamp(context, &session.mailbox);
        }
        self.continued(context, id, out);
    }

    /// ATT-06: what waited for long says since when.
    fn stamp(&self, context: &Context<'_, Settings>, mailbox: &Mailbox) {
        let domain = self.address.domainpart();
        mailbox.append(|entry| late_stamp(context, domain, entry));
    }

    /// Another connection goes on with a session (XEP-0198 §5), which may be paused or not.
    pub(crate) fn resume(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        name: String,
        handled: u32,
        answer: Arc<Mailbox>,
        out: &mut Out,
    ) {
        let is_meant =
            |session: &&mut Session| session.promise.as_ref().is_some_and(|promise| promise.id == name);
        let may_log_in = self.exists() && !self.flags.disabled;
        let Some(session) = self.sessions.iter_mut().find(is_meant).filter(|_| may_log_in) else {
            out.effects.push(Effect::NotHere {
                id: name,
                mailbox: answer,
            });
            return;
        };
        let (resumption, released) = match session.mailbox.lend_again(session.address.clone(), handled) {
            Ok(resumed) => resumed,
            Err(fault) => {
                out.effects.push(Effect::Signal {
                    mailbox: answer,
                    signal: Signal::NotResumed(NotResumed::TooHigh(fault)),
                });
                return;
            }
        };
        let before = std::mem::replace(&mut session.id, id);
        if session.former.len() >= FORMER_MAX {
            session.former.remove(0);
        }
        session.former.push(before);
        let again = session.mailbox.load().0;
        out.effects
            .push(Effect::Count(Tally::Redelivered(Redelivered::Client, again)));
        out.effects.push(Effect::Count(Tally::Resumed));
        self.released(released, out);
        self.end_pause(context, id, out);
        out.effects.push(Effect::Signal {
            mailbox: answer,
            signal: Signal::Resumed(Box::new(resumption)),
        });
    }

    /// Time is over for some paused sessions.
    pub(crate) fn expire(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        self.expire_at = None;
        let now = context.now;
        let is_due = |session: &Session| {
            let until = session.pause.and_then(|pause| pause.until);
            until.is_some_and(|until| until <= now)
        };
        while let Some(id) = self
            .sessions
            .iter()
            .find(|session| is_due(session))
            .map(|session| session.id)
        {
            self.give_up(context, id, PauseEnd::Expired, out);
        }
        let next = |session: &Session| session.pause.and_then(|pause| pause.until);
        if let Some(next) = self.sessions.iter().filter_map(next).min() {
            self.expire_at(next, out);
        }
    }

    /// Ends a paused session: what its client does not have goes where it belongs (XEP-0198 §4).
    pub(crate) fn give_up(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        end: PauseEnd,
        out: &mut Out,
    ) {
        let Some(session) = self.remove_session(context, id, out) else {
            return;
        };
        if let Some(pause) = session.pause {
            pause.count(end, context.now.since(pause.since), out);
        }
        for entry in session.mailbox.close() {
            self.undelivered(context, entry, out);
        }
    }

    /// The account is lost, and with it sessions for which no connection speaks: those that are paused, and those that
    /// another connection goes on with, which may not have got to know their mailbox.
    pub fn take_orphans(&mut self) -> Vec<(SessionId, Arc<Mailbox>)> {
        let is_orphan = |session: &&Session| session.pause.is_some() || !session.former.is_empty();
        let orphans = self.sessions.iter().filter(is_orphan);
        orphans
            .map(|session| (session.id, Arc::clone(&session.mailbox)))
            .collect()
    }

    /// The session that has waited for its client for the longest time.
    pub(crate) fn longest_paused(&self) -> Option<SessionId> {
        self.sessions
            .iter()
            .filter_map(|session| Some((session.pause?.since, session.id)))
            .min()
            .map(|(_, id)| id)
    }

    pub(crate) fn expire_at(&mut self, at: Moment, out: &mut Out) {
        if self.expire_at.is_none_or(|earlier| at < earlier) {
            self.expire_at = Some(at);
            out.effects.push(Effect::WakeAt(Key::Expire, at));
        }
    }
}

/// `<delay/>` for a message that waited, unless it has one of ours already (XEP-0203, ATT-06).
pub(crate) fn late_stamp(context: &Context<'_, Settings>, domain: &str, entry: &Entry) -> Option<Vec<u8>> {
    let is_stamped = |bytes: &[u8]| {
        let mark = namespace::DELAY.as_bytes();
        bytes.windows(mark.len()).any(|window| window == mark)
    };
    match entry.parcel.stanza().kind() {
        Kind::Message(
            MessageType::Chat | MessageType::Normal | MessageType::Groupchat | MessageType::Headline,
        ) if !entry.parcel.appended().is_some_and(|bytes| is_stamped(bytes)) => {
            let age = context.now.since(entry.pushed);
            let received = context.wall.before(age).to_xmpp();
            let delay = format!(
                "<delay xmlns='{}' from='{domain}' stamp='{received}'/>",
                namespace::DELAY
            );
            Some(delay.into_bytes())
        }
        Kind::Message(_) | Kind::Presence(_) | Kind::Iq(_) => None,
    }
}
