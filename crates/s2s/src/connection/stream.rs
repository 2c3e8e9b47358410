//! The stream itself: takes inputs, feeds the framer, hands frames to the state it is in.

use std::sync::Arc;

use ::stream::{Framing, xml_fault};
use machine::{Context, Moment};
use stanza::{StreamCondition, Target};
use stream_management::Mailbox;
use xml::{ContentNamespace, Frame, Framer};

use super::liveness::{Liveness, Silence};
use super::open::{Next, Open};
use super::phase::{Ground, Incoming, Outgoing, Phase, Stop, Trip, Turn, Unanswered, Wire, unexpected};
use super::{
    By, Close, Effect, Ending, Errand, Input, Obstacle, Output, Record, Side, Tls, Transport, inbound,
    outbound,
};
use crate::{Pair, Settings, Ways};

/// One connection between servers.
pub struct Stream {
    wire: Wire,
    phase: Phase,
    /// Bytes that came while an answer was awaited.
    kept: Vec<u8>,
}

/// How far a connection is, for those who count connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No pair is authenticated yet.
    Unauthenticated,
    /// A pair is.
    Authenticated,
    /// Our side is closed.
    Closing,
    /// Nothing happens any more.
    Closed,
}

impl Stream {
    /// A connection that has just been accepted.
    pub fn inbound(transport: Transport, settings: &Settings) -> Stream {
        let incoming = match transport {
            Transport::Tcp => Incoming::Header(Box::default()),
            Transport::DirectTls => Incoming::Handshake,
        };
        Stream::new(Side::Inbound, Phase::Incoming(incoming), settings)
    }

    /// A connection that is about to be opened.
    pub fn outbound(transport: Transport, errand: Errand, settings: &Settings) -> Stream {
        let Errand {
            header,
            authorize,
            verify,
            resume,
        } = errand;
        let trip = Box::new(Trip { header, resume });
        let outgoing = match transport {
            Transport::Tcp => Outgoing::Unconnected(trip),
            Transport::DirectTls => Outgoing::Handshake(trip),
        };
        let mut stream = Stream::new(Side::Outbound, Phase::Outgoing(outgoing), settings);
        stream.wire.unanswered = Unanswered { authorize, verify };
        stream
    }

    fn new(side: Side, phase: Phase, settings: &Settings) -> Stream {
        let framing = Framing::Tcp;
        let limits = settings.limits.unauthenticated.clone();
        Stream {
            wire: Wire {
                framing,
                framer: Framer::new(framing.input(), ContentNamespace::Server, limits),
                allowance: Some(settings.limits.unauthenticated_bytes),
                deadline: None,
                liveness: Liveness::default(),
                record: Record::default(),
                side,
                unanswered: Unanswered::default(),
            },
            phase,
            kept: Vec::new(),
        }
    }

    /// Takes one input. What comes of it is put behind what is in `out` already.
    pub fn handle(&mut self, context: &mut Context<'_, Settings>, input: Input<'_>, out: &mut Output) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        match input {
            Input::Connected => self.connected(context, out),
            Input::Received(bytes) => self.heard(bytes, context, out),
            Input::TlsEstablished(tls) => self.secured(tls, context, out),
            Input::Authorize(pair) => {
                self.wire.unanswered.authorize.push(pair.clone());
                self.open_step(context, out, |open, turn| {
                    open.authorize(pair, turn);
                    Ok(())
                });
            }
            Input::Verify(verification) => {
                self.wire.unanswered.verify.push(verification.clone());
                self.open_step(context, out, |open, turn| {
                    open.verify(verification, turn);
                    Ok(())
                });
            }
            Input::Verified {
                verification,
                verdict,
            } => self.open_step(context, out, |open, turn| {
                open.verified(verification, verdict, turn)
            }),
            Input::Resumption(found) => self.resumption(found, context, out),
            Input::Superseded => self.superseded(context, out),
            Input::Signal(signal) => {
                self.open_step(context, out, |open, turn| open.signal(signal, turn));
                self.take_kept(context, out);
            }
            Input::Drained { stanzas, more } => self.open_step(context, out, |open, turn| {
                open.drained(stanzas, more, turn);
                Ok(())
            }),
            Input::Check => self.check(context, out),
            Input::Answered => self.answered(context.now, out),
            Input::Wake => self.wake(context, out),
            Input::PeerClosed => self.lost(context, out),
            Input::Close => self.close_in_order(context, out),
            Input::End(error) => self.stop(Stop::Error(error), context, out),
        }
    }

    /// When [`Input::Wake`] is due, unless something else happens before. It may come early.
    pub fn next_wake(&self, settings: &Settings) -> Option<Moment> {
        let of_open = match &self.phase {
            Phase::Open(open) => [
                open.next_expiry(),
                open.acknowledgement_due(&settings.times),
                (!open.pairs.is_empty()).then(|| self.wire.liveness.next(settings.times.quiet)),
            ],
            Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Closing(_) | Phase::Closed => [None; 3],
        };
        of_open.into_iter().chain([self.wire.deadline]).flatten().min()
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Incoming(_) | Phase::Outgoing(_) => Stage::Unauthenticated,
            Phase::Open(open) if open.pairs.is_empty() => Stage::Unauthenticated,
            Phase::Open(_) => Stage::Authenticated,
            Phase::Closing(_) => Stage::Closing,
            Phase::Closed => Stage::Closed,
        }
    }

    /// Who opened it.
    pub fn side(&self) -> Side {
        self.wire.side
    }

    /// What is authenticated on it, and in which ways.
    pub fn pairs(&self) -> impl Iterator<Item = (&Pair, Ways)> {
        let pairs = match &self.phase {
            Phase::Open(open) | Phase::Closing(open) => Some(&open.pairs),
            Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Closed => None,
        };
        pairs
            .into_iter()
            .flatten()
            .map(|(pair, carried)| (pair, carried.ways))
    }

    /// The mailbox of this stream, from the first [`Effect::Authenticated`] to the end; another one after
    /// [`Effect::Resumed`]. Its signals are inputs.
    pub fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        match &self.phase {
            Phase::Open(open) if open.announced && !open.pairs.is_empty() => Some(&open.mailbox),
            Phase::Open(_) | Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Closing(_) | Phase::Closed => {
                None
            }
        }
    }

    /// The mailbox of a broken stream that this one will go on with. Its signals are inputs in the place of those of
    /// [`mailbox`](Self::mailbox), and nothing is drained from either meanwhile.
    pub fn settling(&self) -> Option<&Arc<Mailbox>> {
        match &self.phase {
            Phase::Open(open) => open.settling(),
            Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Closing(_) | Phase::Closed => None,
        }
    }

    /// Whether stanzas may be drained from the mailbox now.
    pub fn may_drain(&self, settings: &Settings) -> bool {
        match &self.phase {
            Phase::Open(open) => open.may_drain(settings.limits.unacknowledged_stanzas),
            Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Closing(_) | Phase::Closed => false,
        }
    }

    /// How drained stanzas are written.
    pub fn target(&self) -> Target {
        self.wire.framing.target()
    }

    /// Whether reading makes sense now: not while an answer is awaited, nor in a TLS handshake, nor after the end.
    pub fn reads(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => !open.awaits_resumption(),
            Phase::Incoming(Incoming::Handshake)
            | Phase::Outgoing(Outgoing::Handshake(_) | Outgoing::Unconnected(_))
            | Phase::Closed => false,
            Phase::Incoming(Incoming::Header(_) | Incoming::Insecure)
            | Phase::Outgoing(
                Outgoing::Header(..) | Outgoing::Features(_) | Outgoing::Proceed(_) | Outgoing::Login(_),
            )
            | Phase::Closing(_) => true,
        }
    }

    /// Bytes of input that are held: of an unfinished element, and what came while an answer was awaited.
    pub fn held_bytes(&self) -> usize {
        self.wire.framer.held_bytes() + self.kept.capacity()
    }

    /// What it came to know of its peer.
    pub fn record(&self) -> &Record {
        &self.wire.record
    }

    fn connected(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        self.wire.deadline = Some(context.now + context.settings.times.negotiation);
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Outgoing(Outgoing::Unconnected(trip)) => {
                let mut turn = turn(&mut self.wire, context, out, false);
                self.phase = outbound::greet(trip, Ground::default(), &mut turn);
            }
            phase @ (Phase::Incoming(_)
            | Phase::Outgoing(_)
            | Phase::Open(_)
            | Phase::Closing(_)
            | Phase::Closed) => {
                self.phase = phase;
            }
        }
    }

    fn heard(&mut self, bytes: &[u8], context: &mut Context<'_, Settings>, out: &mut Output) {
        if !bytes.is_empty() {
            self.alive(context.now, out);
            self.received(bytes, context, out);
        }
    }

    /// Cuts frames from the bytes until they are used up, an answer is needed, or the stream ends.
    fn received(&mut self, mut bytes: &[u8], context: &mut Context<'_, Settings>, out: &mut Output) {
        loop {
            match &self.phase {
                Phase::Closed => return,
                Phase::Incoming(Incoming::Handshake)
                | Phase::Outgoing(Outgoing::Handshake(_) | Outgoing::Unconnected(_)) => {
                    // What stood behind <starttls/> or <proceed/> was looked at before; this came too late for that.
                    if !bytes.is_empty() {
                        let error = Stop::error(StreamCondition::PolicyViolation, "Data before TLS.");
                        self.stop(error, context, out);
                    }
                    return;
                }
                Phase::Open(open) if open.awaits_resumption() => return self.keep(bytes, context, out),
                Phase::Incoming(Incoming::Header(_) | Incoming::Insecure)
                | Phase::Outgoing(
                    Outgoing::Header(..) | Outgoing::Features(_) | Outgoing::Proceed(_) | Outgoing::Login(_),
                )
                | Phase::Open(_)
                | Phase::Closing(_) => {}
            }
            // Before a pair is authenticated, bytes are counted one by one: where reads end makes no difference.
            let allowed = self
                .wire
                .allowance
                .map_or(bytes.len(), |left| left.min(bytes.len()));
            let (mut rest, beyond) = bytes.split_at(allowed);
            let frame = self.wire.framer.next(&mut rest);
            let taken = allowed - rest.len();
            if let Some(left) = &mut self.wire.allowance {
                *left -= taken;
            }
            bytes = bytes.get(taken..).unwrap_or_default();
            match frame {
                Ok(Some(frame)) => {
                    out.elements += 1;
                    self.frame(frame, !bytes.is_empty(), context, out);
                }
                Ok(None) if beyond.is_empty() => return,
                Ok(None) => {
                    let error = Stop::error(
                        StreamCondition::PolicyViolation,
                        "Too much was sent before any domain was authenticated.",
                    );
                    return self.stop(error, context, out);
                }
                Err(fault) => return self.stop(Stop::Error(xml_fault(&fault)), context, out),
            }
        }
    }

    fn frame(
        &mut self,
        frame: Frame,
        more_follows: bool,
        context: &mut Context<'_, Settings>,
        out: &mut Output,
    ) {
        let mut turn = turn(&mut self.wire, context, out, more_follows);
        let next = match (frame, std::mem::replace(&mut self.phase, Phase::Closed)) {
            (Frame::Element(element), Phase::Open(mut open)) => {
                let next = open.element(element, &mut turn);
                match next {
                    Ok(Next::Stay) => Ok(Phase::Open(open)),
                    Ok(Next::LoggedIn(pair)) => Ok(Phase::Incoming(Incoming::Header(Box::new(Ground {
                        tls: open.tls.take(),
                        login: Some(pair),
                        bidirectional: open.bidirectional,
                    })))),
                    Ok(Next::Handshake) => inbound::start_tls(&mut turn),
                    Err(stop) => {
                        self.phase = Phase::Open(open);
                        return self.stop(stop, context, out);
                    }
                }
            }
            (Frame::Element(element), Phase::Closing(mut open)) => {
                let outcome = open.late_element(element, &mut turn);
                self.phase = Phase::Closing(open);
                return match outcome {
                    Ok(()) => {}
                    Err(stop) => self.stop(stop, context, out),
                };
            }
            (Frame::Element(element), Phase::Outgoing(Outgoing::Features(greeted))) => {
                outbound::features(greeted, &element, &mut turn)
            }
            (Frame::Element(element), Phase::Outgoing(Outgoing::Login(greeted))) => {
                outbound::login(greeted, &element, &mut turn)
            }
            (Frame::Element(element), Phase::Outgoing(Outgoing::Proceed(trip))) => {
                outbound::proceed(trip, &element, &mut turn)
            }
            (Frame::Element(element), Phase::Incoming(Incoming::Insecure)) => {
                inbound::insecure(&element, &mut turn)
            }
            (Frame::Element(element), _) => Err(unexpected(&element, &mut turn)),
            (Frame::Open(header), Phase::Incoming(Incoming::Header(ground))) => {
                inbound::open(*ground, header, &mut turn)
            }
            (Frame::Open(header), Phase::Outgoing(Outgoing::Header(trip, ground))) => {
                outbound::open(*trip, *ground, header, &mut turn)
            }
            // A second header is an element to the framer; only another framing could say this.
            (Frame::Open(_), _) => Err(StreamCondition::BadFormat.into()),
            (Frame::Whitespace, phase) => Ok(phase),
            (Frame::Close, phase) => {
                let by = if matches!(phase, Phase::Closing(_)) {
                    By::Us
                } else {
                    By::Peer
                };
                self.phase = phase;
                return self.stop(Stop::Said(Ending::Finished(by)), context, out);
            }
        };
        match next {
            Ok(phase) => self.phase = phase,
            Err(stop) => self.close(stop, context, out),
        }
    }

    /// Keeps bytes until the answer comes.
    fn keep(&mut self, bytes: &[u8], context: &mut Context<'_, Settings>, out: &mut Output) {
        let most = context.settings.limits.authenticated.stanza_bytes;
        if self.kept.len().saturating_add(bytes.len()) > most {
            let error = Stop::error(
                StreamCondition::PolicyViolation,
                "Too much was sent behind <resume/>.",
            );
            return self.stop(error, context, out);
        }
        self.kept.extend_from_slice(bytes);
    }

    /// Lets an open stream do something.
    fn open_step(
        &mut self,
        context: &mut Context<'_, Settings>,
        out: &mut Output,
        step: impl FnOnce(&mut Open, &mut Turn<'_, '_>) -> Result<(), Stop>,
    ) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        let mut turn = turn(&mut self.wire, context, out, false);
        if let Err(stop) = step(open, &mut turn) {
            self.stop(stop, context, out);
        }
    }

    fn secured(&mut self, tls: Tls, context: &mut Context<'_, Settings>, out: &mut Output) {
        let mut turn = turn(&mut self.wire, context, out, false);
        self.phase = match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Incoming(Incoming::Handshake) => Phase::Incoming(Incoming::Header(Box::new(Ground {
                tls: Some(tls),
                ..Ground::default()
            }))),
            Phase::Outgoing(Outgoing::Handshake(trip)) => outbound::secured(trip, tls, &mut turn),
            phase @ (Phase::Incoming(_)
            | Phase::Outgoing(_)
            | Phase::Open(_)
            | Phase::Closing(_)
            | Phase::Closed) => phase,
        };
    }

    fn resumption(
        &mut self,
        found: Option<super::Suspended>,
        context: &mut Context<'_, Settings>,
        out: &mut Output,
    ) {
        self.open_step(context, out, |open, turn| open.resumption(found, turn));
        self.take_kept(context, out);
    }

    /// What came while an answer was awaited follows it.
    fn take_kept(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        let waits = matches!(&self.phase, Phase::Open(open) if open.awaits_resumption());
        if !self.kept.is_empty() && !waits {
            let kept = std::mem::take(&mut self.kept);
            self.received(&kept, context, out);
        }
    }

    /// XEP-0198 §5: the peer is told, should it still listen here.
    fn superseded(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        if matches!(self.phase, Phase::Open(_)) {
            let error = StreamCondition::Conflict.into();
            self.wire.framing.write_error(&error, &mut out.bytes);
            self.wire.framing.write_closing(&mut out.bytes);
            self.ended(Ending::Superseded, context, out);
        }
    }

    fn alive(&mut self, now: Moment, out: &mut Output) {
        if self.wire.liveness.heard(now) {
            out.effects.push(Effect::Alive);
        }
    }

    fn answered(&mut self, now: Moment, out: &mut Output) {
        let took = self.wire.liveness.answered(now);
        out.effects.extend(took.map(Effect::RoundTrip));
        self.alive(now, out);
    }

    fn check(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        if matches!(self.phase, Phase::Open(_)) {
            self.wire.liveness.want();
            self.ask(context, out);
        }
    }

    /// Asks the peer whether it is there, in the way that this stream allows.
    fn ask(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
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

    fn wake(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
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
    fn too_late(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
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
    fn silent(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
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

    fn lost(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        let ending = match &self.phase {
            // RFC 6120 §4.4: ours is closed, and the peer has nothing more to say.
            Phase::Closing(_) => Ending::Finished(By::Us),
            Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Open(_) | Phase::Closed => Ending::Lost,
        };
        self.ended(ending, context, out);
    }

    /// Closes our stream and waits for the peer's (RFC 6120 §4.4).
    fn close_in_order(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
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
    fn stop(&mut self, stop: Stop, context: &mut Context<'_, Settings>, out: &mut Output) {
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
    fn close(&mut self, stop: Stop, context: &mut Context<'_, Settings>, out: &mut Output) {
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

    fn ended(&mut self, ending: Ending, context: &mut Context<'_, Settings>, out: &mut Output) {
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

fn turn<'t, 'c>(
    wire: &'t mut Wire,
    context: &'t mut Context<'c, Settings>,
    out: &'t mut Output,
    more_follows: bool,
) -> Turn<'t, 'c> {
    Turn {
        context,
        wire,
        out,
        more_follows,
    }
}
