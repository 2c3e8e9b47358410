//! The stream itself: takes inputs, and tells how it is. Bytes are in `frames`, time in `silence`, ends in `ending`.

use std::sync::Arc;

use ::stream::Framing;
use machine::{Context, Moment};
use stanza::Target;
use stream_management::Mailbox;
use xml::{ContentNamespace, Framer};

use super::liveness::Liveness;
use super::open::Open;
use super::phase::{Ground, Incoming, Outgoing, Phase, Stop, Trip, Turn, Unanswered, Wire};
use super::{Errand, Input, Output, Record, Side, Tls, Transport, outbound};
use crate::{Pair, Settings, Ways};

/// One connection between servers.
pub struct Stream {
    pub(super) wire: Wire,
    pub(super) phase: Phase,
    /// Bytes that came while an answer was awaited.
    pub(super) kept: Vec<u8>,
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

    /// Lets an open stream do something.
    pub(super) fn open_step(
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
}

pub(super) fn turn<'t, 'c>(
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
