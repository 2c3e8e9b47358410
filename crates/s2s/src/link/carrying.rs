//! What happens to the streams that carry a link: they begin, fall silent, break, and end.

use std::sync::Arc;
use std::time::Duration;

use stanza::namespace::PING;
use stanza::{Condition, IqType, Kind as StanzaKind, Stanza, StanzaError};
use stream_management::{Entry, Mailbox, Remains};

use super::link::{Kind, Link, State, Step, blocked, give_back};
use super::streams::Standing;
use super::{Cause, Effect, End, Key, StreamId};
use crate::{Pair, Ways};

/// Pings whose answers are recognised. A stream that leaves one unanswered is given up long before.
const PINGS_REMEMBERED: usize = 16;

impl Link {
    pub(super) fn carried(
        &mut self,
        stream: StreamId,
        ways: Ways,
        mailbox: Arc<Mailbox>,
        step: &mut Step<'_>,
    ) {
        self.streams.carried(stream, ways, mailbox);
        if self.is_blocked(step) {
            step.effect(Effect::EndStream(stream, blocked()));
        } else {
            if !ways.sends() && self.state != State::Up {
                // Whoever comes to us is there, whatever came of our last attempts: what waits is not kept waiting longer.
                self.failures = 0;
                self.retry_at = None;
                self.overtaken = self.attempt;
            }
            self.up(step);
            self.reached(ways, step);
        }
    }

    /// An attempt is over when stanzas can be sent.
    pub(super) fn reached(&mut self, ways: Ways, step: &mut Step<'_>) {
        if ways.sends() {
            self.attempt = None;
            self.failures = 0;
            self.retry_at = None;
        }
        self.flush(step);
    }

    pub(super) fn suspended(&mut self, stream: StreamId, cause: Cause, step: &mut Step<'_>) {
        if self.streams.suspend(stream) {
            self.broken(cause, step);
        }
    }

    pub(super) fn ended(&mut self, stream: StreamId, end: End, remains: Remains, step: &mut Step<'_>) {
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
        self.lossy |= was.is_some() && matches!(end, End::Broken(_));
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
        self.admit_losses(step);
        // What came back while the domain cannot be reached waits only if it may.
        if let State::Down { cause } = self.state {
            self.refuse(cause, step);
        }
        self.flush(step);
    }

    /// A stream broke: whether the domain can be reached is not known until it is reached again, or another stream of
    /// it proves to be alive.
    pub(super) fn broken(&mut self, cause: Cause, step: &mut Step<'_>) {
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
    pub(super) fn pause(&self, step: &Step<'_>) -> Duration {
        if step.now.since(self.since) < step.settings.suspect_retry {
            step.settings.suspect_retry
        } else {
            Duration::ZERO
        }
    }

    pub(super) fn ping(&mut self, stream: StreamId, id: String, step: &mut Step<'_>) {
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

    pub(super) fn is_ping(&self, entry: &Entry) -> bool {
        let id = entry.parcel.stanza().id();
        id.is_some_and(|id| self.pings.iter().any(|(_, ping)| *ping == id))
    }

    pub(super) fn answered(&mut self, id: &str, step: &mut Step<'_>) {
        let Some(place) = self.pings.iter().position(|(_, ping)| ping == id) else {
            return;
        };
        let (stream, _) = self.pings.remove(place);
        step.effect(Effect::StreamAnswered(stream));
        if self.streams.is_live(stream) {
            self.up(step);
        }
    }
}
