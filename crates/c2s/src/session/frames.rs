//! What the client says: cut into frames, each handed to the state that the session is in.

use machine::Context;
use stanza::StreamCondition;
use stanza::namespace::FRAMING;
use stream::{Framing, xml_fault};
use xml::{Element, Frame, StreamHeader};

use super::Session;
use crate::opening;
use crate::phase::{Phase, Stop, Turn, unexpected};
use crate::{Ending, Output, Settings};

impl Session {
    /// Takes what was read. A message of a WebSocket is a document of its own (RFC 7395 §3.3.3).
    pub(super) fn received(
        &mut self,
        mut bytes: &[u8],
        context: &mut Context<'_, Settings>,
        out: &mut Output,
    ) {
        if self.wire.framing == Framing::WebSocket {
            bytes = bytes.trim_ascii_end();
            if bytes.first() != Some(&b'<') {
                return self.stop(StreamCondition::BadFormat.into(), context, out);
            }
            self.wire.framer.restart();
        }
        self.cut(bytes, context, out);
        let is_cut_short = self.wire.framing != Framing::Tcp && !self.wire.framer.is_between_frames();
        if is_cut_short && !matches!(self.phase, Phase::Leaving(_) | Phase::Closed) {
            self.stop(StreamCondition::NotWellFormed.into(), context, out);
        }
    }

    /// Cuts frames from the bytes until they are used up, an answer is needed, or the stream ends.
    pub(super) fn cut(&mut self, mut bytes: &[u8], context: &mut Context<'_, Settings>, out: &mut Output) {
        loop {
            match self.phase {
                Phase::Leaving(_) | Phase::Closed => return,
                // What stood behind <starttls/> was looked at before TLS was agreed to; this came too late for that.
                Phase::Handshake(_) if bytes.trim_ascii().is_empty() => return,
                Phase::Handshake(_) => return self.stop(plaintext_in_handshake(), context, out),
                Phase::Header(_)
                | Phase::Insecure(_)
                | Phase::Login(_)
                | Phase::Bind(_)
                | Phase::Bound(_) => {}
            }
            if self.awaits_answer() {
                return self.keep(bytes, context, out);
            }
            // Before login, bytes are counted one by one: where reads end makes no difference.
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
                // RFC 7395 §3.3.3: every element has a message of its own.
                Ok(Some(_)) if self.wire.framing == Framing::WebSocket && !bytes.is_empty() => {
                    return self.stop(StreamCondition::BadFormat.into(), context, out);
                }
                Ok(Some(frame)) => self.frame(frame, !bytes.trim_ascii().is_empty(), context, out),
                Ok(None) if beyond.is_empty() => return,
                Ok(None) => return self.stop(too_much_before_login(), context, out),
                Err(fault) => return self.stop(Stop::Error(xml_fault(&fault)), context, out),
            }
        }
    }

    pub(super) fn frame(
        &mut self,
        frame: Frame,
        more_follows: bool,
        context: &mut Context<'_, Settings>,
        out: &mut Output,
    ) {
        let frame = match (self.wire.framing, frame) {
            (Framing::WebSocket, Frame::Element(element)) => match framed(element) {
                Ok(frame) => frame,
                Err(stop) => return self.stop(stop, context, out),
            },
            (_, frame) => frame,
        };
        // Nothing can be said of an element before there is a stream.
        if let (Frame::Element(_), Phase::Header(_)) = (&frame, &self.phase) {
            return self.stop(StreamCondition::BadFormat.into(), context, out);
        }
        let mut turn = Turn {
            context,
            wire: &mut self.wire,
            out,
            more_follows,
        };
        let next = match (frame, std::mem::replace(&mut self.phase, Phase::Closed)) {
            (Frame::Element(element), Phase::Bound(mut bound)) => {
                let outcome = bound.element(element, &mut turn);
                self.phase = Phase::Bound(bound);
                return match outcome {
                    Ok(()) => {}
                    Err(stop) => self.stop(stop, context, out),
                };
            }
            (Frame::Element(element), Phase::Bind(bind)) => bind.element(&element, &mut turn),
            (Frame::Element(element), Phase::Login(login)) => login.element(&element, &mut turn),
            (Frame::Element(element), Phase::Insecure(insecure)) => insecure.element(&element, &mut turn),
            (
                Frame::Element(element),
                Phase::Header(_) | Phase::Handshake(_) | Phase::Leaving(_) | Phase::Closed,
            ) => Err(unexpected(&element, &mut turn)),
            (Frame::Open(header), Phase::Header(ground)) => opening::open(ground, header, &mut turn),
            // On TCP a second header is an element to the framer. Elsewhere it has its own time (RFC 7395 §3.7).
            (Frame::Open(_), phase @ (Phase::Bound(_) | Phase::Leaving(_))) => {
                self.phase = phase;
                return self.stop(StreamCondition::BadFormat.into(), context, out);
            }
            (Frame::Open(_), _) => Err(StreamCondition::BadFormat.into()),
            (Frame::Whitespace, phase) => Ok(phase),
            (Frame::Close, phase) => {
                self.phase = phase;
                return self.stop(Stop::Said(Ending::Finished), context, out);
            }
        };
        match next {
            Ok(phase) => self.phase = phase,
            Err(stop) => self.close(stop, out),
        }
    }

    /// Keeps bytes until the answer comes.
    fn keep(&mut self, bytes: &[u8], context: &mut Context<'_, Settings>, out: &mut Output) {
        let (most, stop): (usize, fn() -> Stop) = match self.wire.allowance {
            Some(left) => (left, too_much_before_login),
            None => (
                context.settings.limits.authenticated.stanza_bytes,
                too_much_before_binding,
            ),
        };
        if self.kept.len().saturating_add(bytes.len()) > most {
            return self.stop(stop(), context, out);
        }
        self.kept.extend_from_slice(bytes);
    }
}

/// What an element on a WebSocket is: the opening or the end of a stream, or an element on it (RFC 7395 §3.3.1).
fn framed(element: Element) -> Result<Frame, Stop> {
    let name = element.name();
    if element.namespace() != FRAMING {
        // RFC 7395 §3.3.2. Where elements of other names are concerned, any namespace may be right.
        return match name {
            "open" | "close" => Err(StreamCondition::InvalidNamespace.into()),
            _ => Ok(Frame::Element(element)),
        };
    }
    let attribute = |name| element.attribute(name).map(|value| value.into_owned());
    match name {
        "open" => Ok(Frame::Open(StreamHeader {
            to: attribute("to"),
            from: attribute("from"),
            id: attribute("id"),
            version: attribute("version"),
            lang: attribute("xml:lang"),
            ..StreamHeader::default()
        })),
        "close" => Ok(Frame::Close),
        _ => Ok(Frame::Element(element)),
    }
}

fn too_much_before_login() -> Stop {
    Stop::error(
        StreamCondition::PolicyViolation,
        "Too much was sent before logging in.",
    )
}

fn too_much_before_binding() -> Stop {
    Stop::error(
        StreamCondition::PolicyViolation,
        "Too much was sent before a resource was bound.",
    )
}

fn plaintext_in_handshake() -> Stop {
    Stop::error(
        StreamCondition::PolicyViolation,
        "Data behind <starttls/>, before TLS.",
    )
}
