//! Time: a silent peer is asked whether it is there, and is given up (RFC 6120 §4.6).

use machine::{Context, Moment};
use stanza::StreamCondition;

use super::liveness::Silence;
use super::open::Open;
use super::phase::{Phase, Stop};
use super::stream::turn;
use super::{By, Effect, Ending, Obstacle, Output, Stream};
use crate::Settings;

impl Stream {
    pub(super) fn alive(&mut self, now: Moment, out: &mut Output) {
        if self.wire.liveness.heard(now) {
            out.effects.push(Effect::Alive);
        }
    }

    pub(super) fn answered(&mut self, now: Moment, out: &mut Output) {
        let took = self.wire.liveness.answered(now);
        out.effects.extend(took.map(Effect::RoundTrip));
        self.alive(now, out);
    }

    pub(super) fn check(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        if matches!(self.phase, Phase::Open(_)) {
            self.wire.liveness.want();
            self.ask(context, out);
        }
    }

    /// Asks the peer whether it is there, in the way that this stream allows.
    pub(super) fn ask(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        let now = context.now;
        let answer = context.settings.times.answer;
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        let sending = open.pairs.iter().find(|(_, carried)| carried.ways.sends());
        let sending = sending.map(|(pair, _)| pair.clone());
        if open.ask_by_request(&mut turn(&mut self.wire, context, out, false)) {
            self.wire.liveness.asked(now, answer);
        } else if let Some(pair) = sending {
            out.effects.push(Effect::Silent(pair));
            self.wire.liveness.pinged(now, answer);
        } else {
            self.wire.liveness.cannot_ask(now);
        }
    }

    pub(super) fn wake(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        let now = context.now;
        let times = context.settings.times;
        if self.wire.deadline.is_some_and(|deadline| now >= deadline) {
            return self.too_late(context, out);
        }
        self.open_step(context, out, Open::expire);
        let Phase::Open(open) = &self.phase else {
            return;
        };
        if open.pairs.is_empty() {
            return;
        }
        let unacknowledged = open.acknowledgement_due(&times).is_some_and(|due| now >= due);
        match self.wire.liveness.silence(now, times.quiet) {
            Silence::Short if unacknowledged => self.silent(context, out),
            Silence::Short => {}
            Silence::Long => self.ask(context, out),
            Silence::Dead => self.silent(context, out),
        }
    }

    /// Negotiation, or the peer's closing tag, took too long.
    pub(super) fn too_late(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        match &self.phase {
            Phase::Closing(_) => self.ended(Ending::Finished(By::Us), context, out),
            Phase::Outgoing(_) => {
                let obstacle = Obstacle::TimedOut(self.wire.record.step);
                self.stop(Stop::failed(obstacle), context, out);
            }
            Phase::Incoming(_) | Phase::Open(_) => {
                let error = Stop::error(
                    StreamCondition::ConnectionTimeout,
                    "No domain was authenticated in time.",
                );
                self.stop(error, context, out);
            }
            Phase::Closed => {}
        }
    }

    /// The peer does not answer (RFC 6120 §4.6.2). What can be resumed is not closed.
    pub(super) fn silent(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        let resumable = match &self.phase {
            Phase::Open(open) => open.suspend(context.now, &context.settings.times).is_some(),
            Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Closing(_) | Phase::Closed => false,
        };
        if !resumable {
            let error = StreamCondition::ConnectionTimeout.into();
            self.wire.framing.write_error(&error, &mut out.bytes);
            self.wire.framing.write_closing(&mut out.bytes);
        }
        self.ended(Ending::Silent, context, out);
    }
}
