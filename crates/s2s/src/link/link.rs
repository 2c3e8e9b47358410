//! The machine of one pair of domains: states, attempts, timers, fates.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use machine::{Context, Decision, Machine, Moment};
use stanza::namespace::PING;
use stanza::{
    Condition, IqType, Kind as StanzaKind, Parcel, Stanza, StanzaError, StreamCondition, StreamError,
};
use stream_management::{Entry, Mailbox, Receipt, Remains};

use super::queue::{Queue, is_storable};
use super::streams::{Sent, Standing, Streams};
use super::watchers::{Flaps, Watchers};
use super::{AttemptId, Cause, Effect, End, Fate, Input, Key, Path, Settings, StateName, StreamId};
use crate::explain::Attempt;
use crate::{Pair, Ways};

/// Attempts that are remembered for whoever asks why.
const ATTEMPTS_REMEMBERED: usize = 20;

/// Pings whose answers are recognised. A stream that leaves one unanswered is given up long before.
const PINGS_REMEMBERED: usize = 16;

/// How soon a full stream is tried again.
const PUMP_EVERY: Duration = Duration::from_millis(250);

/// The link between a domain of ours and another.
pub struct Link {
    pub(crate) pair: Pair,
    kind: Kind,
    pub(crate) state: State,
    /// Since when it is in this state.
    pub(crate) since: Moment,
    pub(crate) streams: Streams,
    pub(crate) queue: Queue,
    pub(crate) watchers: Watchers,
    /// What the watchers are told.
    pub(crate) announced: Path,
    flaps: Flaps,
    /// The attempt that is under way.
    pub(crate) attempt: Option<AttemptId>,
    next_attempt: u64,
    /// Attempts that failed since the last success.
    failures: u32,
    /// When the last of them did.
    failed_at: Option<Moment>,
    /// When the next is due.
    pub(crate) retry_at: Option<Moment>,
    /// When the domain is to be looked at.
    check_at: Option<Moment>,
    checking: bool,
    /// Until when a broken stream is waited for.
    hold_until: Option<Moment>,
    /// Pings on their way: on which stream, and their identifiers.
    pings: Vec<(StreamId, String)>,
    pub(crate) attempts: VecDeque<Arc<Attempt>>,
    /// The moments that were asked for.
    armed: BTreeMap<Key, Moment>,
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
struct Step<'s> {
    now: Moment,
    settings: &'s Settings,
    out: &'s mut Decision<Infallible, Effect>,
}

impl Step<'_> {
    fn effect(&mut self, effect: Effect) {
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
    /// A link of which nothing is known.
    pub fn new(pair: Pair, kind: Kind) -> Link {
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
            since: Moment::default(),
            streams: Streams::default(),
            queue: Queue::default(),
            watchers: Watchers::default(),
            announced,
            flaps: Flaps::default(),
            attempt: None,
            next_attempt: 0,
            failures: 0,
            failed_at: None,
            retry_at: None,
            check_at: None,
            checking: false,
            hold_until: None,
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

    fn send(&mut self, parcel: Parcel, receipt: Option<Receipt>, step: &mut Step<'_>) {
        let storable = is_storable(parcel.stanza().kind());
        let entry = Entry {
            parcel,
            receipt,
            storable,
            stored: None,
            copies: None,
            pushed: step.now,
        };
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

    /// Gives what waits to the stream that carries it. Only while the link is up: a stream that may be dead gets nothing
    /// that could still go another way.
    fn flush(&mut self, step: &mut Step<'_>) {
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

    fn expire(&mut self, step: &mut Step<'_>) {
        let error = match self.state.cause() {
            Some(cause) => cause.error(),
            None => Cause::Timeout.error(),
        };
        for entry in self.queue.take_expired(step.now, step.settings.queue_timeout) {
            give_back(entry, error.clone(), step);
        }
        self.arm_expiry(step);
    }

    fn arm_expiry(&mut self, step: &mut Step<'_>) {
        if let Some(at) = self.queue.next_expiry(step.settings.queue_timeout) {
            self.arm(Key::Expire, at, step);
        }
    }

    // ---- streams ----

    fn carried(&mut self, stream: StreamId, ways: Ways, mailbox: Arc<Mailbox>, step: &mut Step<'_>) {
        self.streams.carried(stream, ways, mailbox);
        if self.is_blocked(step) {
            step.effect(Effect::EndStream(stream, blocked()));
        } else {
            self.up(step);
            self.reached(ways, step);
        }
    }

    /// An attempt is over when stanzas can be sent.
    fn reached(&mut self, ways: Ways, step: &mut Step<'_>) {
        if ways.sends() {
            self.attempt = None;
            self.failures = 0;
            self.retry_at = None;
        }
        self.flush(step);
    }

    fn suspended(&mut self, stream: StreamId, cause: Cause, step: &mut Step<'_>) {
        if self.streams.suspend(stream) {
            self.broken(cause, step);
        }
    }

    fn ended(&mut self, stream: StreamId, end: End, remains: Remains, step: &mut Step<'_>) {
        // What the peer may have is never sent again; what it cannot have keeps its place.
        for entry in remains.sent {
            if !self.is_ping(&entry) {
                let text = "The connection broke before the other server confirmed that it has this.";
                let error = StanzaError::new(Condition::RemoteServerTimeout).text(text);
                give_back(entry, error, step);
            }
        }
        let unsent: Vec<Entry> = remains
            .unsent
            .into_iter()
            .filter(|entry| !self.is_ping(entry))
            .collect();
        if !unsent.is_empty() {
            self.queue.put_back(unsent);
            self.arm_expiry(step);
        }
        self.pings.retain(|(on, _)| *on != stream);
        let was = self.streams.remove(stream);
        let unheard_of = matches!(was, Some(Standing::Live | Standing::Ending));
        match (end, self.kind) {
            // That it broke is known already, or it never carried the pair.
            (End::Broken(_), _) | (End::ByPeer | End::ByUs, Kind::Component) if !unheard_of => {}
            (End::Broken(_) | End::ByPeer | End::ByUs, Kind::Component) => {
                self.broken(Cause::ComponentAbsent, step);
            }
            (End::Broken(cause), Kind::Server) => self.broken(cause, step),
            (End::ByPeer | End::ByUs, Kind::Server) => {
                if was.is_some() && self.streams.is_empty() && self.state == State::Up {
                    let doubtful = end == End::ByPeer;
                    self.retry_at = Some(step.now + self.pause(step));
                    self.enter(State::Idle { doubtful }, step);
                }
            }
        }
        // What came back while the domain cannot be reached waits only if it may.
        if let State::Down { cause } = self.state {
            self.refuse(cause, step);
        }
        self.flush(step);
    }

    /// A stream broke: whether the domain can be reached is not known until it is reached again, or another stream of
    /// it proves to be alive.
    fn broken(&mut self, cause: Cause, step: &mut Step<'_>) {
        match self.state {
            State::Up => {
                let until = step.now + step.settings.grace;
                let pause = self.pause(step);
                self.enter(State::Suspect { until, cause }, step);
                self.arm(Key::Grace, until, step);
                self.failures = 0;
                self.retry_at = Some(step.now + pause);
                for stream in self.streams.live().collect::<Vec<_>>() {
                    step.effect(Effect::CheckStream(stream));
                }
            }
            State::Suspect { .. } | State::Idle { .. } | State::Down { .. } => {}
        }
    }

    /// Reconnecting begins at once, except to a server that ends what it has just accepted.
    fn pause(&self, step: &Step<'_>) -> Duration {
        if step.now.since(self.since) < step.settings.suspect_retry {
            step.settings.suspect_retry
        } else {
            Duration::ZERO
        }
    }

    fn ping(&mut self, stream: StreamId, id: String, step: &mut Step<'_>) {
        let Pair { local, remote } = &self.pair;
        let payload = format!("<ping xmlns='{PING}'/>");
        let ping = Stanza::build(
            StanzaKind::Iq(IqType::Get),
            Some(local),
            Some(remote),
            Some(&id),
            payload.as_bytes(),
        );
        let entry = Entry {
            parcel: ping.into(),
            receipt: None,
            storable: false,
            stored: None,
            copies: None,
            pushed: step.now,
        };
        if self.streams.send_on(stream, entry) {
            if self.pings.len() >= PINGS_REMEMBERED {
                self.pings.remove(0);
            }
            self.pings.push((stream, id));
        }
    }

    fn is_ping(&self, entry: &Entry) -> bool {
        let id = entry.parcel.stanza().id();
        id.is_some_and(|id| self.pings.iter().any(|(_, ping)| *ping == id))
    }

    fn answered(&mut self, id: &str, step: &mut Step<'_>) {
        let Some(place) = self.pings.iter().position(|(_, ping)| ping == id) else {
            return;
        };
        let (stream, _) = self.pings.remove(place);
        step.effect(Effect::StreamAnswered(stream));
        if self.streams.is_live(stream) {
            self.up(step);
        }
    }

    // ---- attempts ----

    fn failed(&mut self, attempt: AttemptId, cause: Cause, step: &mut Step<'_>) {
        if self.attempt != Some(attempt) {
            return;
        }
        self.attempt = None;
        self.failed_at = Some(step.now);
        if self.streams.has_alternative()
            && let Some(stream) = self.streams.broken_carrier()
        {
            step.effect(Effect::GiveUp(stream));
        }
        match self.state {
            State::Idle { .. } => self.down(cause, step),
            State::Suspect { .. } if cause == Cause::Refused && self.streams.live().next().is_none() => {
                self.down(cause, step);
            }
            State::Suspect { .. } => {
                let pause = doubled(
                    step.settings.suspect_retry,
                    self.failures,
                    step.settings.retry_last,
                );
                self.failures = self.failures.saturating_add(1);
                self.retry_at = Some(step.now + pause);
            }
            State::Down { .. } => {
                self.state = State::Down { cause };
                self.retry_later(step);
            }
            // Only the way out is missing.
            State::Up => {
                self.refuse(cause, step);
                self.retry_later(step);
            }
        }
    }

    fn retry_later(&mut self, step: &mut Step<'_>) {
        let pause = doubled(step.settings.retry_first, self.failures, step.settings.retry_last);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(step.now + pause);
    }

    fn connect_now(&mut self, step: &mut Step<'_>) {
        self.failures = 0;
        if self.can_connect(step) && !self.streams.has_alternative() {
            self.connect(step);
        }
    }

    fn connect(&mut self, step: &mut Step<'_>) {
        let attempt = AttemptId(self.next_attempt);
        self.next_attempt += 1;
        self.attempt = Some(attempt);
        self.retry_at = None;
        let resume = self.streams.broken_carrier().or_else(|| self.streams.suspended());
        step.effect(Effect::Connect { attempt, resume });
    }

    fn can_connect(&self, step: &Step<'_>) -> bool {
        self.kind == Kind::Server && self.attempt.is_none() && !self.is_blocked(step)
    }

    /// Whether anybody would notice that the domain is back.
    fn is_wanted(&self) -> bool {
        !self.watchers.is_empty() || !self.queue.is_empty() || self.streams.suspended().is_some()
    }

    /// The answer to a look at the domain.
    fn looked(&mut self, outcome: Result<(), Cause>, step: &mut Step<'_>) {
        if !std::mem::take(&mut self.checking) || !matches!(self.state, State::Idle { .. }) {
            return;
        }
        match (outcome, step.settings.idle_check) {
            (Ok(()), every) => self.check_at = every.map(|every| step.now + every),
            (Err(cause), _) => {
                self.failed_at = Some(step.now);
                self.down(cause, step);
            }
        }
    }

    fn drop_streams(&mut self, step: &mut Step<'_>) {
        for stream in self.streams.live().collect::<Vec<_>>() {
            step.effect(Effect::CloseStream(stream));
        }
        if let Some(stream) = self.streams.suspended() {
            step.effect(Effect::GiveUp(stream));
        }
    }

    // ---- states ----

    fn up(&mut self, step: &mut Step<'_>) {
        if self.state == State::Up || self.is_blocked(step) {
            return;
        }
        self.enter(State::Up, step);
        if self.announced != Path::Clear && self.flaps.is_doubted(step.now, step.settings) {
            self.arm(Key::Calm, step.now + step.settings.flap_calm, step);
        } else {
            self.announce(Path::Clear, step);
        }
        self.flush(step);
    }

    fn down(&mut self, cause: Cause, step: &mut Step<'_>) {
        self.enter(State::Down { cause }, step);
        self.flaps.down(step.now, step.settings);
        self.announce(Path::Broken(cause), step);
        self.refuse(cause, step);
        self.failures = 0;
        self.retry_later(step);
    }

    fn enter(&mut self, state: State, step: &mut Step<'_>) {
        self.state = state;
        self.since = step.now;
        self.check_at = None;
        step.effect(Effect::Changed {
            to: state.name(),
            cause: state.cause(),
        });
    }

    /// What does not wait is returned.
    fn refuse(&mut self, cause: Cause, step: &mut Step<'_>) {
        for entry in self.queue.take_unstorable() {
            give_back(entry, cause.error(), step);
        }
    }

    fn announce(&mut self, path: Path, step: &mut Step<'_>) {
        if self.announced != path {
            self.announced = path;
            self.watchers.changed(path);
            self.tell(step);
        }
    }

    fn tell(&mut self, step: &mut Step<'_>) {
        let watchers = self.watchers.batch(step.settings.batch, self.announced);
        if !watchers.is_empty() {
            let path = self.announced;
            step.effect(Effect::Tell { watchers, path });
        }
        if self.watchers.has_pending() {
            self.arm(Key::Tell, step.now + step.settings.pace, step);
        }
    }

    // ---- policy ----

    fn is_blocked(&self, step: &Step<'_>) -> bool {
        step.settings.blocked.contains(&self.pair.remote)
    }

    /// Does what the operator says of this domain.
    fn obey(&mut self, step: &mut Step<'_>) {
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

    // ---- time ----

    /// Asks to be woken, unless that happens earlier anyway: whoever is woken too early asks again.
    fn arm(&mut self, key: Key, at: Moment, step: &mut Step<'_>) {
        if self.armed.get(&key).is_none_or(|armed| *armed > at) {
            self.armed.insert(key, at);
            step.effect(Effect::WakeAt(key, at));
        }
    }

    fn wake(&mut self, key: Key, step: &mut Step<'_>) {
        self.armed.remove(&key);
        match key {
            Key::Grace => {
                if let State::Suspect { until, cause } = self.state {
                    if step.now >= until {
                        self.down(cause, step);
                    } else {
                        self.arm(Key::Grace, until, step);
                    }
                }
            }
            Key::Calm => {
                let calm_at = self.since + step.settings.flap_calm;
                if self.state == State::Up && self.announced != Path::Clear {
                    if step.now >= calm_at {
                        self.announce(Path::Clear, step);
                    } else {
                        self.arm(Key::Calm, calm_at, step);
                    }
                }
            }
            Key::Expire => self.expire(step),
            Key::Tell => self.tell(step),
            Key::Pump => self.flush(step),
            // These are looked at after every input.
            Key::Retry | Key::Check | Key::Hold | Key::Forget => {}
        }
    }

    /// After every input: what is wanted and not under way is begun, or a moment for it is set.
    fn pursue(&mut self, step: &mut Step<'_>) {
        self.pursue_connection(step);
        self.pursue_check(step);
        self.pursue_hold(step);
        self.pursue_oblivion(step);
    }

    fn pursue_connection(&mut self, step: &mut Step<'_>) {
        if !self.can_connect(step) {
            return;
        }
        let needed = match self.state {
            State::Up | State::Idle { .. } => {
                let waits = !self.queue.is_empty() && !self.streams.has_carrier();
                waits || self.streams.suspended().is_some() && !self.streams.has_alternative()
            }
            State::Suspect { .. } => self.failures == 0 || self.is_wanted(),
            State::Down { .. } => self.is_wanted(),
        };
        match self.retry_at {
            _ if !needed => {}
            Some(at) if at > step.now => self.arm(Key::Retry, at, step),
            Some(_) | None => self.connect(step),
        }
    }

    /// A domain whose presence somebody holds, and which closed its last stream, is looked at from time to time.
    fn pursue_check(&mut self, step: &mut Step<'_>) {
        let doubtful = matches!(self.state, State::Idle { doubtful: true });
        if !doubtful
            || self.checking
            || self.attempt.is_some()
            || self.watchers.is_empty()
            || step.settings.idle_check.is_none()
        {
            return;
        }
        match self.check_at {
            Some(at) if at > step.now => self.arm(Key::Check, at, step),
            Some(_) | None => {
                self.checking = true;
                step.effect(Effect::CheckReachability);
            }
        }
    }

    /// A broken stream is not waited for longer than need be, when another could carry what waits behind it.
    fn pursue_hold(&mut self, step: &mut Step<'_>) {
        let Some(stream) = self
            .streams
            .broken_carrier()
            .filter(|_| self.streams.has_alternative())
        else {
            self.hold_until = None;
            return;
        };
        match self.hold_until {
            Some(until) if until <= step.now => {
                self.hold_until = None;
                step.effect(Effect::GiveUp(stream));
            }
            Some(_) => {}
            None => {
                let until = step.now + step.settings.hold;
                self.hold_until = Some(until);
                self.arm(Key::Hold, until, step);
            }
        }
    }

    /// A verdict that nobody renews is not believed for ever.
    fn pursue_oblivion(&mut self, step: &mut Step<'_>) {
        let State::Down { cause } = self.state else {
            return;
        };
        if self.kind == Kind::Component
            || cause == Cause::Policy
            || self.is_wanted()
            || self.attempt.is_some()
        {
            return;
        }
        let at = self.failed_at.unwrap_or(self.since).max(self.since) + step.settings.verdict;
        if at > step.now {
            self.arm(Key::Forget, at, step);
        } else if self.streams.is_empty() {
            self.announced = Path::Clear;
            self.retry_at = None;
            self.enter(State::Idle { doubtful: false }, step);
        }
    }
}

/// Tells the sender, if there is anything to tell, and decides the fate of the promise.
fn give_back(entry: Entry, error: StanzaError, step: &mut Step<'_>) {
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

fn blocked() -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation).text("This server does not talk to that domain.")
}

/// `first`, doubled so often, at most `last`.
fn doubled(first: Duration, times: u32, last: Duration) -> Duration {
    first
        .saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
        .min(last)
}
