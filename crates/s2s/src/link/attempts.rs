//! Attempts to reach the domain: when they are made, and what comes of those that fail.

use super::link::{Kind, Link, State, Step, doubled};
use super::queue::is_provoked;
use super::{AttemptId, Cause, Effect, Occasion};

impl Link {
    pub(super) fn failed(&mut self, attempt: AttemptId, cause: Cause, step: &mut Step<'_>) {
        if self.attempt != Some(attempt) {
            return;
        }
        self.attempt = None;
        if cause == Cause::Throttled {
            // Nothing was tried, and nothing is known of the domain that was not known before.
            return self.refuse(cause, step);
        }
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
            // It was heard, and then the stream broke.
            State::Up if self.streams.live().next().is_none() => self.broken(cause, step),
            // The domain is back since that attempt began, and another has not been made yet.
            State::Up if self.overtaken.take() == Some(attempt) => {}
            // Only the way out is missing.
            State::Up => {
                self.refuse(cause, step);
                self.retry_later(step);
            }
        }
    }

    pub(super) fn retry_later(&mut self, step: &mut Step<'_>) {
        let pause = doubled(step.settings.retry_first, self.failures, step.settings.retry_last);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(step.now + pause);
    }

    pub(super) fn connect_now(&mut self, step: &mut Step<'_>) {
        self.failures = 0;
        if self.can_connect(step) && !self.streams.has_alternative() {
            self.connect(step);
        }
    }

    pub(super) fn connect(&mut self, step: &mut Step<'_>) {
        let attempt = AttemptId(self.next_attempt);
        self.next_attempt += 1;
        self.attempt = Some(attempt);
        self.retry_at = None;
        let resume = self.streams.broken_carrier().or_else(|| self.streams.suspended());
        let provoked = resume.is_none()
            && matches!(self.state, State::Up | State::Idle { .. })
            && self.queue.is_all(is_provoked);
        let occasion = match provoked {
            true => Occasion::Theirs,
            false => Occasion::Ours,
        };
        step.effect(Effect::Connect {
            attempt,
            resume,
            occasion,
        });
    }

    pub(super) fn can_connect(&self, step: &Step<'_>) -> bool {
        self.kind == Kind::Server && self.attempt.is_none() && !self.is_blocked(step)
    }

    /// Whether anybody would notice that the domain is back.
    pub(super) fn is_wanted(&self) -> bool {
        !self.watchers.is_empty() || !self.queue.is_empty() || self.streams.suspended().is_some()
    }

    /// The answer to a look at the domain.
    pub(super) fn looked(&mut self, outcome: Result<(), Cause>, step: &mut Step<'_>) {
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

    pub(super) fn drop_streams(&mut self, step: &mut Step<'_>) {
        for stream in self.streams.live().collect::<Vec<_>>() {
            step.effect(Effect::CloseStream(stream));
        }
        if let Some(stream) = self.streams.suspended() {
            step.effect(Effect::GiveUp(stream));
        }
    }
}
