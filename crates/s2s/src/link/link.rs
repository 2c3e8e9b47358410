//! The machine of one pair of domains: what it knows, what it sends, the states that it goes through.
//!
//! Streams are in `carrying`, connecting in `attempts`, time in `pursuit`.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use machine::{Context, Decision, Machine, Moment};
use stanza::{Condition, IqType, Kind as StanzaKind, Parcel, StanzaError, StreamCondition, StreamError};
use stream_management::{Entry, Receipt};

use super::queue::{Queue, is_answer, is_storable};
use super::streams::{Sent, Streams};
use super::watchers::{Flaps, Watchers};
use super::{AttemptId, Cause, Effect, Fate, Input, Key, Path, Settings, StateName, StreamId};
use crate::Pair;
use crate::explain::Attempt;

/// Attempts that are remembered for whoever asks why.
const ATTEMPTS_REMEMBERED: usize = 20;

/// How soon a full stream is tried again.
const PUMP_EVERY: Duration = Duration::from_millis(250);

/// The link between a domain of ours and another.
pub struct Link {
    pub(crate) pair: Pair,
    pub(super) kind: Kind,
    pub(crate) state: State,
    /// Since when it is in this state.
    pub(crate) since: Moment,
    pub(crate) streams: Streams,
    pub(crate) queue: Queue,
    pub(crate) watchers: Watchers,
    /// What the watchers are told.
    pub(crate) announced: Path,
    pub(super) flaps: Flaps,
    /// A connection broke and was not resumed, and the watchers believe that all is well.
    pub(super) lossy: bool,
    /// The attempt that is under way.
    pub(crate) attempt: Option<AttemptId>,
    /// An attempt that began before the domain came to us: what comes of it says nothing of the domain as it is now.
    pub(super) overtaken: Option<AttemptId>,
    pub(super) next_attempt: u64,
    /// Attempts that failed since the last success.
    pub(super) failures: u32,
    /// When the last of them did.
    pub(super) failed_at: Option<Moment>,
    /// When the next is due.
    pub(crate) retry_at: Option<Moment>,
    /// When the domain is to be looked at.
    pub(super) check_at: Option<Moment>,
    pub(super) checking: bool,
    /// Until when a broken stream is waited for.
    pub(super) hold_until: Option<Moment>,
    /// Since when it is feared that something is lost on a broken stream that is still waited for.
    pub(super) fear: Option<Fear>,
    /// Pings on their way: on which stream, and their identifiers.
    pub(super) pings: Vec<(StreamId, String)>,
    pub(crate) attempts: VecDeque<Arc<Attempt>>,
    /// The moments that were asked for.
    pub(super) armed: BTreeMap<Key, Moment>,
}

/// That what the peer had sent on a broken stream is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fear {
    /// From this moment on.
    From(Moment),
    /// The watchers know.
    Told,
}

/// What is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A server, to which we can connect.
    Server,
    /// An external component, which connects to us (XEP-0114).
    Component,
}

/// The state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    Idle {
        /// It was the peer who closed the last stream, so that it is not known whether it is still there.
        doubtful: bool,
    },
    Suspect {
        until: Moment,
        cause: Cause,
    },
    Down {
        cause: Cause,
    },
}

impl State {
    pub(crate) fn name(self) -> StateName {
        match self {
            State::Up => StateName::Up,
            State::Idle { .. } => StateName::Idle,
            State::Suspect { .. } => StateName::Suspect,
            State::Down { .. } => StateName::Down,
        }
    }

    pub(crate) fn cause(self) -> Option<Cause> {
        match self {
            State::Up | State::Idle { .. } => None,
            State::Suspect { cause, .. } | State::Down { cause } => Some(cause),
        }
    }
}

/// One input on its way through a link.
pub(super) struct Step<'s> {
    pub(super) now: Moment,
    pub(super) settings: &'s Settings,
    pub(super) out: &'s mut Decision<Infallible, Effect>,
}

impl Step<'_> {
    pub(super) fn effect(&mut self, effect: Effect) {
        self.out.effects.push(effect);
    }
}

impl Machine for Link {
    type Input = Input;
    /// Nothing of a link is kept: what waits here is promised to nobody.
    type Change = Infallible;
    type Effect = Effect;
    type Settings = Settings;

    fn handle(
        &mut self,
        context: &mut Context<'_, Settings>,
        input: Input,
        out: &mut Decision<Infallible, Effect>,
    ) {
        let token = if let Input::Silent(_) = &input {
            Some(context.token())
        } else {
            None
        };
        let mut step = Step {
            now: context.now,
            settings: context.settings,
            out,
        };
        self.obey(&mut step);
        match input {
            Input::Send { parcel, receipt } => self.send(parcel, receipt, &mut step),
            Input::Carried {
                stream,
                ways,
                mailbox,
            } => self.carried(stream, ways, mailbox, &mut step),
            Input::Suspended { stream, cause } => self.suspended(stream, cause, &mut step),
            Input::Resumed {
                stream,
                by,
                ways,
                mailbox,
            } => {
                self.streams.resumed(stream, by, ways, mailbox);
                self.up(&mut step);
                self.reached(ways, &mut step);
            }
            Input::Ended { stream, end, remains } => self.ended(stream, end, remains, &mut step),
            Input::Failed { attempt, cause } => self.failed(attempt, cause, &mut step),
            // Clauses §4.6: at once. What is said to it waits for that stream, instead of being refused.
            Input::Heard if self.attempt.is_some() => self.up(&mut step),
            Input::Heard => {}
            Input::Reached(outcome) => self.looked(outcome, &mut step),
            Input::Silent(stream) => self.ping(stream, token.unwrap_or_default(), &mut step),
            Input::Alive(stream) => {
                if self.streams.is_live(stream) {
                    self.up(&mut step);
                }
            }
            Input::Answered(id) => self.answered(&id, &mut step),
            Input::Watch(watcher) => {
                self.watchers.add(watcher.clone(), self.announced);
                step.effect(Effect::Tell {
                    watchers: vec![watcher],
                    path: self.announced,
                });
            }
            Input::Unwatch(watcher) => self.watchers.remove(&watcher),
            Input::Wake(key) => self.wake(key, &mut step),
            Input::SettingsChanged => {}
            Input::Connect => self.connect_now(&mut step),
            Input::Drop => self.drop_streams(&mut step),
            Input::Stop => {
                if let Some(stream) = self.streams.suspended() {
                    step.effect(Effect::GiveUp(stream));
                }
                let error = self.state.cause().unwrap_or(Cause::Timeout).error();
                for entry in self.queue.take_all() {
                    give_back(entry, error.clone(), &mut step);
                }
            }
            Input::Recorded(attempt) => {
                if self.attempts.len() >= ATTEMPTS_REMEMBERED {
                    self.attempts.pop_front();
                }
                self.attempts.push_back(attempt);
            }
        }
        self.pursue(&mut step);
    }

    fn is_idle(&self) -> bool {
        let rests = match (self.kind, self.state) {
            (Kind::Server, State::Idle { .. }) | (Kind::Component, State::Down { .. }) => true,
            (Kind::Server | Kind::Component, State::Up | State::Suspect { .. }) => false,
            (Kind::Server, State::Down { .. }) | (Kind::Component, State::Idle { .. }) => false,
        };
        rests
            && self.streams.is_empty()
            && self.queue.is_empty()
            && self.watchers.is_empty()
            && self.attempt.is_none()
            && !self.checking
    }
}

impl Link {
    /// A link of which nothing is known, and which comes into being now.
    pub fn new(pair: Pair, kind: Kind, now: Moment) -> Link {
        // Nobody can go and look whether a component is there.
        let absent = Cause::ComponentAbsent;
        let (state, announced) = match kind {
            Kind::Server => (State::Idle { doubtful: false }, Path::Clear),
            Kind::Component => (State::Down { cause: absent }, Path::Broken(absent)),
        };
        Link {
            pair,
            kind,
            state,
            since: now,
            streams: Streams::default(),
            queue: Queue::default(),
            watchers: Watchers::default(),
            announced,
            flaps: Flaps::default(),
            lossy: false,
            attempt: None,
            overtaken: None,
            next_attempt: 0,
            failures: 0,
            failed_at: None,
            retry_at: None,
            check_at: None,
            checking: false,
            hold_until: None,
            fear: None,
            pings: Vec::new(),
            attempts: VecDeque::new(),
            armed: BTreeMap::new(),
        }
    }

    /// Whose link it is.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    // ---- what goes out ----

    pub(super) fn send(&mut self, parcel: Parcel, receipt: Option<Receipt>, step: &mut Step<'_>) {
        let storable = is_storable(parcel.stanza().kind());
        let entry = Entry {
            parcel,
            receipt,
            storable,
            stored: None,
            copies: None,
            pushed: step.now,
        };
        if is_answer(entry.parcel.stanza().kind()) && self.answers_are_full(step) {
            return give_back(entry, Cause::Timeout.error(), step);
        }
        match self.state {
            State::Down { cause } if !storable || cause == Cause::Policy => {
                give_back(entry, cause.error(), step)
            }
            State::Up | State::Idle { .. } | State::Suspect { .. } | State::Down { .. } => {
                let was_empty = self.queue.is_empty();
                match self.queue.push(entry, step.settings.queue) {
                    Ok(()) if was_empty => self.arm_expiry(step),
                    Ok(()) => {}
                    Err(entry) => {
                        let error = StanzaError::new(Condition::ResourceConstraint)
                            .text("Too much waits for the domain already.");
                        give_back(*entry, error, step);
                    }
                }
                self.flush(step);
            }
        }
    }

    /// Whether more than answers may waits for the domain already.
    fn answers_are_full(&self, step: &Step<'_>) -> bool {
        let (_, queued) = self.queue.load();
        let most = step.settings.answers_bytes;
        match self.streams.carrier_load() {
            Some(bytes) => queued + bytes >= most,
            None => queued >= most / 8,
        }
    }

    /// Gives what waits to the stream that carries it. Only while the link is up: a stream that may be dead gets nothing
    /// that could still go another way.
    pub(super) fn flush(&mut self, step: &mut Step<'_>) {
        if self.state != State::Up {
            return;
        }
        while let Some(entry) = self.queue.pop() {
            match self.streams.send(entry, step.settings.mailbox) {
                Sent::Taken => {}
                Sent::Later(entry) => {
                    self.queue.put_back(vec![*entry]);
                    self.arm(Key::Pump, step.now + PUMP_EVERY, step);
                    return;
                }
                Sent::Never(entry) => {
                    self.queue.put_back(vec![*entry]);
                    return;
                }
            }
        }
    }

    pub(super) fn expire(&mut self, step: &mut Step<'_>) {
        let error = match self.state.cause() {
            Some(cause) => cause.error(),
            None => Cause::Timeout.error(),
        };
        for entry in self.queue.take_expired(step.now, step.settings.queue_timeout) {
            give_back(entry, error.clone(), step);
        }
        self.arm_expiry(step);
    }

    pub(super) fn arm_expiry(&mut self, step: &mut Step<'_>) {
        if let Some(at) = self.queue.next_expiry(step.settings.queue_timeout) {
            self.arm(Key::Expire, at, step);
        }
    }

    // ---- states ----

    pub(super) fn up(&mut self, step: &mut Step<'_>) {
        if self.state == State::Up || self.is_blocked(step) {
            return;
        }
        self.enter(State::Up, step);
        if self.announced != Path::Clear && self.flaps.is_doubted(step.now, step.settings) {
            self.arm(Key::Calm, step.now + step.settings.flap_calm, step);
        } else {
            self.announce(Path::Clear, step);
        }
        self.admit_losses(step);
        self.flush(step);
    }

    /// Once the domain is reached again without anybody having been told of a break: whatever was on its way when a
    /// connection broke that was not resumed may be lost, presence too.
    pub(super) fn admit_losses(&mut self, step: &mut Step<'_>) {
        if self.state == State::Up && std::mem::take(&mut self.lossy) && self.announced == Path::Clear {
            self.watchers.renewed();
            self.tell(step);
        }
    }

    pub(super) fn down(&mut self, cause: Cause, step: &mut Step<'_>) {
        self.enter(State::Down { cause }, step);
        self.flaps.down(step.now, step.settings);
        self.announce(Path::Broken(cause), step);
        self.refuse(cause, step);
        self.failures = 0;
        self.retry_later(step);
    }

    pub(super) fn enter(&mut self, state: State, step: &mut Step<'_>) {
        self.state = state;
        self.since = step.now;
        self.check_at = None;
        step.effect(Effect::Changed {
            to: state.name(),
            cause: state.cause(),
        });
    }

    /// What does not wait is returned.
    pub(super) fn refuse(&mut self, cause: Cause, step: &mut Step<'_>) {
        for entry in self.queue.take_unstorable() {
            give_back(entry, cause.error(), step);
        }
    }

    pub(super) fn announce(&mut self, path: Path, step: &mut Step<'_>) {
        if self.announced != path {
            self.announced = path;
            // Who learns of the break asks anew when it is over.
            self.lossy = false;
            self.watchers.changed(path);
            self.tell(step);
        }
    }

    pub(super) fn tell(&mut self, step: &mut Step<'_>) {
        let most = step.settings.batch.max(self.watchers.pending() / 1_000);
        let watchers = self.watchers.batch(most, self.announced);
        if !watchers.is_empty() {
            let path = self.announced;
            step.effect(Effect::Tell { watchers, path });
        }
        let watchers = self.watchers.doubtful(most);
        if !watchers.is_empty() {
            step.effect(Effect::Renewed { watchers });
        }
        if self.watchers.pending() > 0 {
            self.arm(Key::Tell, step.now + step.settings.pace, step);
        }
    }

    // ---- policy ----

    pub(super) fn is_blocked(&self, step: &Step<'_>) -> bool {
        step.settings.blocked.contains(&self.pair.remote)
    }

    /// Does what the operator says of this domain.
    pub(super) fn obey(&mut self, step: &mut Step<'_>) {
        let is_down_for_it = self.state == State::Down { cause: Cause::Policy };
        match (self.is_blocked(step), is_down_for_it) {
            (true, false) => {
                for stream in self.streams.live().collect::<Vec<_>>() {
                    step.effect(Effect::EndStream(stream, blocked()));
                }
                if let Some(stream) = self.streams.suspended() {
                    step.effect(Effect::GiveUp(stream));
                }
                for entry in self.queue.take_all() {
                    give_back(entry, Cause::Policy.error(), step);
                }
                self.attempt = None;
                self.down(Cause::Policy, step);
                self.retry_at = None;
            }
            (false, true) if self.watchers.is_empty() => {
                self.announced = Path::Clear;
                self.enter(State::Idle { doubtful: false }, step);
            }
            (false, true) => {
                // Nothing is known of it, except what its watchers were told.
                self.state = State::Down {
                    cause: Cause::RemoteClosed,
                };
                self.failed_at = Some(step.now);
                self.retry_at = Some(step.now);
            }
            (true, true) | (false, false) => {}
        }
    }
}

/// Tells the sender, if there is anything to tell, and decides the fate of the promise.
pub(super) fn give_back(entry: Entry, error: StanzaError, step: &mut Step<'_>) {
    let kind = entry.parcel.stanza().kind();
    let answerable = !kind.is_error() && kind != StanzaKind::Iq(IqType::Result);
    let fate = if answerable {
        Fate::Bounced(error)
    } else {
        Fate::Dropped
    };
    step.effect(Effect::Return {
        entry: Box::new(entry),
        fate,
    });
}

pub(super) fn blocked() -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation).text("This server does not talk to that domain.")
}

/// `first`, doubled so often, at most `last`.
pub(super) fn doubled(first: Duration, times: u32, last: Duration) -> Duration {
    first
        .saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
        .min(last)
}
