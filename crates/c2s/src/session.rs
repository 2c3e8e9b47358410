//! The session itself: takes inputs, knows the state that it is in, and how to end.

mod frames;

use machine::Context;
use stanza::{Address, StreamCondition, StreamError, Target};
use stream::Framing;
use stream_management::{Drained, Loan, Signal};
use xml::{ContentNamespace, Frame, Framer};

use crate::leaving::{Leaving, Time};
use crate::opening;
use crate::phase::{Ground, Phase, Stop, Turn, Wire};
use crate::{Effect, Ending, HttpBinding, Input, Output, Settings, Tls, Transport};

/// One client connection.
pub struct Session {
    wire: Wire,
    phase: Phase,
    /// Bytes that came while an answer was awaited.
    kept: Vec<u8>,
}

/// How far a session is, for those who count sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has logged in yet.
    Unauthenticated,
    /// Somebody has, and has no resource yet.
    Authenticated,
    /// The client has a full address.
    Bound,
    /// The stream is about to end. Nothing is read, and the mailbox is drained until the session closes the connection:
    /// [`Input::Drained`] is given also when nothing was there, [`Input::Deadline`] when it took long enough: once for
    /// answers that [are awaited](Session::awaits_answers), and once for a client that does not take what is there.
    Leaving,
    /// Nothing happens any more.
    Closed,
}

impl Session {
    /// A connection that has just been accepted.
    pub fn new(transport: Transport, settings: &Settings) -> Session {
        let phase = match transport {
            Transport::Tcp => Phase::Header(Ground::Plain),
            Transport::DirectTls => Phase::Handshake(None),
        };
        Session::with(Framing::Tcp, phase, settings)
    }

    /// A client that speaks within HTTP; `tls` is what protects that, as far as it is known here.
    pub fn within_http(binding: HttpBinding, tls: Option<Tls>, settings: &Settings) -> Session {
        let framing = match binding {
            HttpBinding::WebSocket => Framing::WebSocket,
            HttpBinding::Bosh => Framing::Bosh,
        };
        let ground = tls.map_or(Ground::Plain, |tls| Ground::Tls(Box::new(tls)));
        Session::with(framing, Phase::Header(ground), settings)
    }

    fn with(framing: Framing, phase: Phase, settings: &Settings) -> Session {
        let limits = settings.limits.unauthenticated.clone();
        Session {
            wire: Wire {
                framing,
                framer: Framer::new(framing.input(), ContentNamespace::Client, limits),
                allowance: Some(settings.limits.unauthenticated_bytes),
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
            Input::Received(bytes) => self.received(bytes, context, out),
            Input::Opened(header) => self.frame(Frame::Open(header), false, context, out),
            Input::Closed => self.stop(Stop::Said(Ending::Finished), context, out),
            Input::TlsEstablished(tls) => self.secured(tls),
            Input::Credentials(lookup) => self.answered(context, out, |phase, turn| {
                if let Phase::Login(login) = phase {
                    login.credentials(&lookup, turn)
                } else {
                    Ok(phase)
                }
            }),
            Input::PasswordChecked(verdict) => self.answered(context, out, |phase, turn| {
                if let Phase::Login(login) = phase {
                    login.password_checked(verdict, turn)
                } else {
                    Ok(phase)
                }
            }),
            Input::Registered(outcome) => self.answered(context, out, |phase, turn| {
                if let Phase::Login(login) = phase {
                    login.registered(outcome, turn)
                } else {
                    Ok(phase)
                }
            }),
            Input::Signal(signal) => self.signal(signal, context, out),
            Input::Performed => {
                if let Phase::Bound(bound) = &mut self.phase {
                    bound.performed(out);
                }
            }
            Input::Drained(drained) => self.drained(drained, context, out),
            Input::Deadline => self.deadline(context, out),
            Input::PeerClosed => self.lost(out),
            Input::End(error) => self.end(error, context, out),
        }
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Header(Ground::Plain | Ground::Tls(_))
            | Phase::Insecure(_)
            | Phase::Handshake(_)
            | Phase::Login(_) => Stage::Unauthenticated,
            Phase::Header(Ground::Account(_)) | Phase::Bind(_) => Stage::Authenticated,
            Phase::Bound(_) => Stage::Bound,
            Phase::Leaving(_) => Stage::Leaving,
            Phase::Closed => Stage::Closed,
        }
    }

    /// Who it is: a bare address after login, a full one once bound.
    pub fn address(&self) -> Option<&Address> {
        match &self.phase {
            Phase::Header(Ground::Account(account)) => Some(account),
            Phase::Bind(bind) => Some(bind.account()),
            Phase::Bound(bound) => Some(bound.address()),
            Phase::Leaving(leaving) => Some(leaving.address()),
            Phase::Header(Ground::Plain | Ground::Tls(_))
            | Phase::Insecure(_)
            | Phase::Handshake(_)
            | Phase::Login(_)
            | Phase::Closed => None,
        }
    }

    /// The domain that the client's header named, once it was found to be served here; during a TLS handshake the one
    /// named before it.
    pub fn host(&self) -> Option<&str> {
        let host = match &self.phase {
            Phase::Header(Ground::Plain | Ground::Tls(_)) | Phase::Closed => return None,
            Phase::Handshake(host) => return host.as_ref().map(Address::domainpart),
            Phase::Insecure(insecure) => insecure.host(),
            Phase::Login(login) => login.host(),
            Phase::Header(Ground::Account(account)) => account,
            Phase::Bind(bind) => bind.account(),
            Phase::Bound(bound) => bound.address(),
            Phase::Leaving(leaving) => leaving.address(),
        };
        Some(host.domainpart())
    }

    /// The mailbox that is lent to this connection, from [`Effect::Bind`] or [`Effect::Resume`] to the end. Its signals
    /// are inputs.
    pub fn mailbox(&self) -> Option<&Loan> {
        match &self.phase {
            Phase::Bind(bind) => bind.mailbox(),
            Phase::Bound(bound) => Some(bound.mailbox()),
            Phase::Leaving(leaving) => Some(leaving.mailbox()),
            Phase::Header(_) | Phase::Insecure(_) | Phase::Handshake(_) | Phase::Login(_) | Phase::Closed => {
                None
            }
        }
    }

    /// Whether stanzas may be drained from the mailbox: not before the client knows its address.
    pub fn may_drain(&self) -> bool {
        matches!(self.phase, Phase::Bound(_) | Phase::Leaving(_))
    }

    /// Whether [`Input::Performed`] is wanted: the client has asked what was handled, behind stanzas that are among the
    /// effects (XEP-0198 §4).
    pub fn owes_acknowledgement(&self) -> bool {
        matches!(&self.phase, Phase::Bound(bound) if bound.owes_acknowledgement())
    }

    /// Whether a session that is [`Leaving`](Stage::Leaving) waits for answers to what its client asked. They are worth
    /// a moment, not more.
    pub fn awaits_answers(&self) -> bool {
        matches!(&self.phase, Phase::Leaving(leaving) if leaving.awaits_answers())
    }

    /// How drained stanzas are written.
    pub fn target(&self) -> Target {
        self.wire.framing.target()
    }

    /// Whether reading makes sense now: not while an answer is awaited, nor in a TLS handshake, nor after the end.
    pub fn reads(&self) -> bool {
        !self.awaits_answer()
            && !matches!(
                self.phase,
                Phase::Handshake(_) | Phase::Leaving(_) | Phase::Closed
            )
    }

    /// Whether the client asks faster than it can be answered. It is read from again when it has been given what waits for
    /// it.
    pub fn asks_too_fast(&self) -> bool {
        matches!(&self.phase, Phase::Bound(bound) if bound.asks_too_fast())
    }

    /// Bytes of input that are held: of an unfinished element, and what came while an answer was awaited.
    pub fn held_bytes(&self) -> usize {
        self.wire.framer.held_bytes() + self.kept.capacity()
    }

    fn awaits_answer(&self) -> bool {
        match &self.phase {
            Phase::Login(login) => login.awaits_answer(),
            Phase::Bind(bind) => bind.awaits_answer(),
            Phase::Header(_)
            | Phase::Insecure(_)
            | Phase::Handshake(_)
            | Phase::Bound(_)
            | Phase::Leaving(_)
            | Phase::Closed => false,
        }
    }

    /// Takes an answer, then what came while it was awaited.
    fn answered(
        &mut self,
        context: &mut Context<'_, Settings>,
        out: &mut Output,
        take: impl FnOnce(Phase, &mut Turn<'_, '_>) -> Result<Phase, Stop>,
    ) {
        let phase = std::mem::replace(&mut self.phase, Phase::Closed);
        let mut turn = Turn {
            context,
            wire: &mut self.wire,
            out,
            more_follows: !self.kept.trim_ascii().is_empty(),
        };
        match take(phase, &mut turn) {
            Ok(phase) => self.phase = phase,
            Err(stop) => return self.close(stop, out),
        }
        if !self.kept.is_empty() && !self.awaits_answer() {
            let kept = std::mem::take(&mut self.kept);
            self.cut(&kept, context, out);
        }
    }

    fn secured(&mut self, tls: Tls) {
        if matches!(self.phase, Phase::Handshake(_)) {
            self.phase = Phase::Header(Ground::Tls(Box::new(tls)));
        }
    }

    fn signal(&mut self, signal: Signal, context: &mut Context<'_, Settings>, out: &mut Output) {
        match &mut self.phase {
            Phase::Bound(bound) => {
                return match bound.signal(signal, out) {
                    Ok(()) => {}
                    Err(stop) => self.stop(stop, context, out),
                };
            }
            Phase::Leaving(leaving) => return leaving.signal(&signal),
            Phase::Header(_)
            | Phase::Insecure(_)
            | Phase::Handshake(_)
            | Phase::Login(_)
            | Phase::Bind(_)
            | Phase::Closed => {}
        }
        self.answered(context, out, |phase, turn| {
            if let Phase::Bind(bind) = phase {
                bind.signal(signal, turn)
            } else {
                Ok(phase)
            }
        });
    }

    fn drained(&mut self, drained: Drained, context: &mut Context<'_, Settings>, out: &mut Output) {
        match &mut self.phase {
            Phase::Bound(bound) => {
                let mut turn = Turn {
                    context,
                    wire: &mut self.wire,
                    out,
                    more_follows: false,
                };
                if let Err(stop) = bound.drained(drained, &mut turn) {
                    self.stop(stop, context, out);
                }
            }
            Phase::Leaving(leaving) => {
                let time = leaving.drained(drained);
                self.leave(time, out);
            }
            Phase::Header(_)
            | Phase::Insecure(_)
            | Phase::Handshake(_)
            | Phase::Login(_)
            | Phase::Bind(_)
            | Phase::Closed => {}
        }
    }

    fn deadline(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        match &mut self.phase {
            Phase::Header(_)
            | Phase::Insecure(_)
            | Phase::Handshake(_)
            | Phase::Login(_)
            | Phase::Bind(_) => {
                let error = Stop::error(StreamCondition::ConnectionTimeout, "Logging in took too long.");
                self.stop(error, context, out);
            }
            Phase::Leaving(leaving) => {
                let time = leaving.deadline();
                self.leave(time, out);
            }
            Phase::Bound(_) | Phase::Closed => {}
        }
    }

    /// The server ends the stream; one that is about to end has no more patience.
    fn end(&mut self, error: StreamError, context: &mut Context<'_, Settings>, out: &mut Output) {
        match &mut self.phase {
            Phase::Leaving(leaving) => leaving.signal(&Signal::Close(error)),
            Phase::Header(_)
            | Phase::Insecure(_)
            | Phase::Handshake(_)
            | Phase::Login(_)
            | Phase::Bind(_)
            | Phase::Bound(_)
            | Phase::Closed => self.stop(Stop::Error(error), context, out),
        }
    }

    /// Nothing can be said any more.
    fn lost(&mut self, out: &mut Output) {
        let ending = match std::mem::replace(&mut self.phase, Phase::Closed) {
            // Why the stream ends was known before the connection broke.
            Phase::Leaving(leaving) => leaving.into_ending(),
            Phase::Header(_)
            | Phase::Insecure(_)
            | Phase::Handshake(_)
            | Phase::Login(_)
            | Phase::Bind(_)
            | Phase::Bound(_)
            | Phase::Closed => Ending::Lost,
        };
        self.ended(ending, out);
    }

    /// Ends the stream of a client that is leaving, when it is time.
    fn leave(&mut self, time: Time, out: &mut Output) {
        if time == Time::NotYet {
            return;
        }
        if let Phase::Leaving(leaving) = std::mem::replace(&mut self.phase, Phase::Closed) {
            let stop = leaving.last_words(out);
            self.close(stop, out);
        }
    }

    /// Says what is left to say in the state that the session is in, and ends it; a bound client's mailbox is drained
    /// before.
    fn stop(&mut self, stop: Stop, context: &mut Context<'_, Settings>, out: &mut Output) {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            // RFC 6120 §4.9.1.2: an error needs a stream to be told on.
            Phase::Header(ground) => {
                let mut turn = Turn {
                    context,
                    wire: &mut self.wire,
                    out,
                    more_follows: false,
                };
                opening::open_unasked(&ground, &mut turn);
            }
            // RFC 6120 §5.4.3.2: nothing can be said here.
            Phase::Handshake(_) => {
                return self.ended(stop.into_ending(), out);
            }
            Phase::Bound(bound) => {
                self.phase = Phase::Leaving(Box::new(Leaving::new(bound, stop)));
                return;
            }
            Phase::Insecure(_) | Phase::Login(_) | Phase::Bind(_) | Phase::Leaving(_) | Phase::Closed => {}
        }
        self.close(stop, out);
    }

    /// Ends an open stream (RFC 6120 §4.4, §4.9.1.1).
    fn close(&mut self, stop: Stop, out: &mut Output) {
        match &stop {
            Stop::Error(error) => {
                self.wire.framing.write_error(error, &mut out.bytes);
                self.wire.framing.write_closing(&mut out.bytes);
            }
            Stop::Said(_) => self.wire.framing.write_closing(&mut out.bytes),
            Stop::Unfinished => {}
        }
        self.ended(stop.into_ending(), out);
    }

    fn ended(&mut self, ending: Ending, out: &mut Output) {
        self.phase = Phase::Closed;
        self.kept = Vec::new();
        out.effects.push(Effect::Close(ending));
    }
}
