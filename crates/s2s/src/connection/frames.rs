//! What the peer says: cut into frames, each handed to the state that the stream is in.

use ::stream::xml_fault;
use machine::Context;
use stanza::StreamCondition;
use xml::Frame;

use super::open::Next;
use super::phase::{Ground, Incoming, Outgoing, Phase, Stop, unexpected};
use super::stream::turn;
use super::{By, Ending, Output, Stream, inbound, outbound};
use crate::Settings;

impl Stream {
    pub(super) fn heard(&mut self, bytes: &[u8], context: &mut Context<'_, Settings>, out: &mut Output) {
        if !bytes.is_empty() {
            self.alive(context.now, out);
            self.received(bytes, context, out);
        }
    }

    /// Cuts frames from the bytes until they are used up, an answer is needed, or the stream ends.
    pub(super) fn received(
        &mut self,
        mut bytes: &[u8],
        context: &mut Context<'_, Settings>,
        out: &mut Output,
    ) {
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

    pub(super) fn frame(
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
    pub(super) fn keep(&mut self, bytes: &[u8], context: &mut Context<'_, Settings>, out: &mut Output) {
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

    /// What came while an answer was awaited follows it.
    pub(super) fn take_kept(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        let waits = matches!(&self.phase, Phase::Open(open) if open.awaits_resumption());
        if !self.kept.is_empty() && !waits {
            let kept = std::mem::take(&mut self.kept);
            self.received(&kept, context, out);
        }
    }
}
