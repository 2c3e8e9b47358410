//! How a stream ends: in order, with an error, by another in its place, or with its connection.

use machine::Context;
use stanza::StreamCondition;

use super::phase::{Incoming, Outgoing, Phase, Stop};
use super::stream::turn;
use super::{By, Close, Effect, Ending, Output, Stream, inbound};
use crate::Settings;

impl Stream {
    /// XEP-0198 §5: the peer is told, should it still listen here.
    pub(super) fn superseded(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        if matches!(self.phase, Phase::Open(_)) {
            let error = StreamCondition::Conflict.into();
            self.wire.framing.write_error(&error, &mut out.bytes);
            self.wire.framing.write_closing(&mut out.bytes);
            self.ended(Ending::Superseded, context, out);
        }
    }

    pub(super) fn lost(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        let ending = match &self.phase {
            // RFC 6120 §4.4: ours is closed, and the peer has nothing more to say.
            Phase::Closing(_) => Ending::Finished(By::Us),
            Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Open(_) | Phase::Closed => Ending::Lost,
        };
        self.ended(ending, context, out);
    }

    /// Closes our stream and waits for the peer's (RFC 6120 §4.4).
    pub(super) fn close_in_order(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Open(open) => {
                open.write_last_acknowledgement(&mut turn(&mut self.wire, context, out, false));
                self.wire.framing.write_closing(&mut out.bytes);
                self.wire.deadline = Some(context.now + context.settings.times.closing);
                self.phase = Phase::Closing(open);
            }
            Phase::Closing(open) => self.phase = Phase::Closing(open),
            phase @ (Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Closed) => {
                self.phase = phase;
                self.stop(Stop::Said(Ending::Finished(By::Us)), context, out);
            }
        }
    }

    /// Says what is left to say in the state that the stream is in, and ends it.
    pub(super) fn stop(&mut self, stop: Stop, context: &mut Context<'_, Settings>, out: &mut Output) {
        let mut turn = turn(&mut self.wire, context, out, false);
        match &self.phase {
            // RFC 6120 §4.9.1.2: an error needs a stream to be told on.
            Phase::Incoming(Incoming::Header(_)) => inbound::open_unasked(&mut turn),
            // RFC 6120 §5.4.3.2: nothing can be said here.
            Phase::Incoming(Incoming::Handshake)
            | Phase::Outgoing(Outgoing::Handshake(_) | Outgoing::Unconnected(_))
            | Phase::Closed => {
                let ending = match stop {
                    Stop::Error(error) => Ending::Error(error),
                    Stop::Said(ending) => ending,
                };
                return self.ended(ending, context, out);
            }
            Phase::Closing(_) => {
                let ending = match stop {
                    Stop::Error(error) => Ending::Error(error),
                    Stop::Said(ending) => ending,
                };
                return self.ended(ending, context, out);
            }
            Phase::Open(open) => open.write_last_acknowledgement(&mut turn),
            Phase::Incoming(Incoming::Insecure)
            | Phase::Outgoing(
                Outgoing::Header(..) | Outgoing::Features(_) | Outgoing::Proceed(_) | Outgoing::Login(_),
            ) => {}
        }
        self.close(stop, context, out);
    }

    /// Ends an open stream (RFC 6120 §4.4, §4.9.1.1).
    pub(super) fn close(&mut self, stop: Stop, context: &mut Context<'_, Settings>, out: &mut Output) {
        let ending = match stop {
            Stop::Error(error) => {
                self.wire.framing.write_error(&error, &mut out.bytes);
                Ending::Error(error)
            }
            Stop::Said(ending) => ending,
        };
        self.wire.framing.write_closing(&mut out.bytes);
        self.ended(ending, context, out);
    }

    pub(super) fn ended(&mut self, ending: Ending, context: &mut Context<'_, Settings>, out: &mut Output) {
        let open = match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Open(open) if ending.leaves_resumable() => Some(open),
            Phase::Open(_) | Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Closing(_) | Phase::Closed => {
                None
            }
        };
        let unanswered = std::mem::take(&mut self.wire.unanswered);
        let close = Close {
            ending: ending.clone(),
            suspended: open.and_then(|open| open.suspend(context.now, &context.settings.times)),
            authorize: unanswered.authorize,
            verify: unanswered.verify,
        };
        if let Ending::Failed(obstacle) = &ending {
            self.wire.record.obstacle = Some(obstacle.clone());
        }
        self.wire.record.ending = Some(ending);
        self.wire.deadline = None;
        self.kept = Vec::new();
        out.effects.push(Effect::Close(Box::new(close)));
    }
}
