//! Whether the peer is still there (RFC 6120 §4.6): after some silence it is asked, and must say something soon.

use std::time::Duration;

use machine::Moment;

/// What is known of the peer's being there.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    /// When it said something last, or was given up asking.
    heard: Moment,
    /// It was asked, and must say something until then.
    until: Option<Moment>,
    /// Somebody waits to hear that it is there.
    wanted: bool,
    /// When it was last sent a ping, until the answer comes.
    pinged: Option<Moment>,
}

/// What is to be done about a silent peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nothing yet.
    Short,
    /// Ask it.
    Long,
    /// It did not answer.
    Dead,
}

impl Liveness {
    /// The peer said something. True when somebody waits for that.
    pub(crate) fn heard(&mut self, now: Moment) -> bool {
        self.heard = now;
        self.until = None;
        std::mem::take(&mut self.wanted)
    }

    /// Somebody wants to hear of it.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// The peer has been asked.
    pub(crate) fn asked(&mut self, now: Moment, answer: Duration) {
        self.until.get_or_insert(now + answer);
    }

    /// The peer has been asked with a ping.
    pub(crate) fn pinged(&mut self, now: Moment, answer: Duration) {
        self.asked(now, answer);
        self.pinged = Some(now);
    }

    /// The ping is answered, on whatever connection. Gives how long that took.
    pub(crate) fn answered(&mut self, now: Moment) -> Option<Duration> {
        self.pinged.take().map(|pinged| now.since(pinged))
    }

    /// The peer cannot be asked; the transport will notice.
    pub(crate) fn cannot_ask(&mut self, now: Moment) {
        self.heard = now;
    }

    /// How the silence is to be taken.
    pub(crate) fn silence(&self, now: Moment, quiet: Duration) -> Silence {
        match self.until {
            Some(until) if now >= until => Silence::Dead,
            Some(_) => Silence::Short,
            None if now >= self.heard + quiet => Silence::Long,
            None => Silence::Short,
        }
    }

    /// When to look again.
    pub(crate) fn next(&self, quiet: Duration) -> Moment {
        self.until.unwrap_or(self.heard + quiet)
    }
}
