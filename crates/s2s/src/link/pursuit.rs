//! Time: what a link asks to be woken for, and what it begins by itself after every input.

use machine::Moment;

use super::link::{Fear, Kind, Link, State, Step};
use super::{Cause, Effect, Key, Path};

impl Link {
    /// Asks to be woken, unless that happens earlier anyway: whoever is woken too early asks again.
    pub(super) fn arm(&mut self, key: Key, at: Moment, step: &mut Step<'_>) {
        if self.armed.get(&key).is_none_or(|armed| *armed > at) {
            self.armed.insert(key, at);
            step.effect(Effect::WakeAt(key, at));
        }
    }

    pub(super) fn wake(&mut self, key: Key, step: &mut Step<'_>) {
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
    pub(super) fn pursue(&mut self, step: &mut Step<'_>) {
        self.pursue_connection(step);
        self.pursue_check(step);
        self.pursue_hold(step);
        self.pursue_loss(step);
        self.pursue_oblivion(step);
    }

    pub(super) fn pursue_connection(&mut self, step: &mut Step<'_>) {
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
    pub(super) fn pursue_check(&mut self, step: &mut Step<'_>) {
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
    pub(super) fn pursue_hold(&mut self, step: &mut Step<'_>) {
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
            Some(until) => self.arm(Key::Hold, until, step),
            None => {
                let until = step.now + step.settings.hold;
                self.hold_until = Some(until);
                self.arm(Key::Hold, until, step);
            }
        }
    }

    /// A broken stream that does not carry what is sent is waited for, but its peer may have given it up already, with what it
    /// had sent on it, and have said so to nobody here.
    fn pursue_loss(&mut self, step: &mut Step<'_>) {
        let waits = self.streams.suspended().is_some() && self.streams.has_alternative();
        match (waits, self.fear) {
            (false, _) => self.fear = None,
            (true, None) => {
                // The peer holds on for as long, and both need not have noticed the break at the same time.
                let at = step.now + 2 * step.settings.hold;
                self.fear = Some(Fear::From(at));
                self.arm(Key::Hold, at, step);
            }
            (true, Some(Fear::From(at))) if at > step.now => self.arm(Key::Hold, at, step),
            (true, Some(Fear::From(_))) => {
                self.fear = Some(Fear::Told);
                self.lossy = true;
                self.admit_losses(step);
            }
            (true, Some(Fear::Told)) => {}
        }
    }

    /// A verdict that nobody renews is not believed for ever.
    pub(super) fn pursue_oblivion(&mut self, step: &mut Step<'_>) {
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
