//! The stream of an external component, which serves a domain of its own on a connection that it opens (XEP-0114).
//!
//! Its inputs and effects are those of [`Stream`](crate::Stream). What it proves once holds for the pairs of its domain
//! with every domain of ours. The protocol has neither TLS nor a ping: the component is there as long as its connection is.

mod secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use ::stream::{Framing, Opening, PeerHeader, read_error, xml_fault};
use machine::{Context, Moment};
use stanza::namespace::COMPONENT;
use stanza::{Address, Kind, Parcel, Stanza, StreamCondition, Target, Unfit};
use stream_management::{Mailbox, Signal};
use xml::{ContentNamespace, Element, Frame, Framer, StreamHeader};

use crate::connection::{Addresses, Stop, refusal};
use crate::{By, Close, Effect, Ending, Input, Method, Output, Pair, Record, Settings, Stage, Step, Ways};

pub use secret::ComponentSecret;

const FRAMING: Framing = Framing::Tcp;

/// One connection of an external component.
pub struct Component {
    state: State,
    framer: Framer,
    /// Bytes that may still come before the secret is proven; `None` afterwards.
    allowance: Option<usize>,
    /// By when the secret must be proven; after our closing tag, by when the component must have closed.
    deadline: Option<Moment>,
    /// The language of stanzas that name none (RFC 6120 §4.7.4).
    lang: Option<Arc<str>>,
    record: Record,
}

enum State {
    /// The component's header is awaited.
    Header,
    /// The proof of the secret is awaited, made for this identifier of the stream.
    Handshake { domain: Option<Address>, id: String },
    /// Stanzas travel.
    Open(Box<Served>),
    /// We have closed our stream, and take what the component still says (RFC 6120 §4.4).
    Closing(Box<Served>),
    /// Nothing happens any more.
    Closed,
}

/// A component that has proven its secret.
struct Served {
    domain: Address,
    /// What the world was told of.
    pairs: BTreeSet<Pair>,
    mailbox: Arc<Mailbox>,
    addresses: Addresses,
}

impl Component {
    /// A connection that has just been accepted.
    pub fn new(settings: &Settings) -> Component {
        let limits = settings.limits.unauthenticated.clone();
        Component {
            state: State::Header,
            framer: Framer::new(FRAMING.input(), ContentNamespace::Component, limits),
            allowance: Some(settings.limits.unauthenticated_bytes),
            deadline: None,
            lang: None,
            record: Record::default(),
        }
    }

    /// Takes one input. What comes of it is put behind what is in `out` already.
    pub fn handle(&mut self, context: &mut Context<'_, Settings>, input: Input<'_>, out: &mut Output) {
        if matches!(self.state, State::Closed) {
            return;
        }
        match input {
            Input::Connected => self.deadline = Some(context.now + context.settings.times.negotiation),
            Input::Received(bytes) => self.received(bytes, context, out),
            Input::Signal(Signal::Close(error)) | Input::End(error) => {
                self.stop(Stop::Error(error), context, out);
            }
            Input::Check => self.check(context, out),
            Input::Wake => self.wake(context, out),
            Input::PeerClosed => {
                let ending = match &self.state {
                    State::Closing(_) => Ending::Finished(By::Us),
                    State::Header | State::Handshake { .. } | State::Open(_) | State::Closed => Ending::Lost,
                };
                self.ended(ending, out);
            }
            Input::Close => self.close_in_order(context, out),
            // Nothing of this is part of the protocol of components.
            Input::TlsEstablished(_)
            | Input::Authorize(_)
            | Input::Verify(_)
            | Input::Verified { .. }
            | Input::Resumption(_)
            | Input::Superseded
            | Input::Signal(
                Signal::Bound(_)
                | Signal::NotBound(_)
                | Signal::AckDue
                | Signal::Resumed(_)
                | Signal::NotResumed(_)
                | Signal::Suspend,
            )
            | Input::Drained { .. }
            | Input::Answered => {}
        }
    }

    /// When [`Input::Wake`] is due. It may come early.
    pub fn next_wake(&self) -> Option<Moment> {
        self.deadline
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Header | State::Handshake { .. } => Stage::Unauthenticated,
            State::Open(_) => Stage::Authenticated,
            State::Closing(_) => Stage::Closing,
            State::Closed => Stage::Closed,
        }
    }

    /// The mailbox of this stream while stanzas travel.
    pub fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        match &self.state {
            State::Open(served) => Some(&served.mailbox),
            State::Header | State::Handshake { .. } | State::Closing(_) | State::Closed => None,
        }
    }

    /// How drained stanzas are written.
    pub fn target(&self) -> Target {
        FRAMING.target()
    }

    /// Whether reading makes sense now.
    pub fn reads(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// Bytes of an unfinished element.
    pub fn held_bytes(&self) -> usize {
        self.framer.held_bytes()
    }

    /// What it came to know of its peer.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Cuts frames from the bytes until they are used up or the stream ends.
    fn received(&mut self, mut bytes: &[u8], context: &mut Context<'_, Settings>, out: &mut Output) {
        while !matches!(self.state, State::Closed) {
            // Where reads end makes no difference to what a stranger may send.
            let allowed = self.allowance.map_or(bytes.len(), |left| left.min(bytes.len()));
            let (mut rest, beyond) = bytes.split_at(allowed);
            let frame = self.framer.next(&mut rest);
            let taken = allowed - rest.len();
            if let Some(left) = &mut self.allowance {
                *left -= taken;
            }
            bytes = bytes.get(taken..).unwrap_or_default();
            out.elements += 1;
            let outcome = match frame {
                Ok(Some(Frame::Open(header))) => self.open(header, context, out),
                Ok(Some(Frame::Element(element))) => self.element(element, context, out),
                Ok(Some(Frame::Whitespace)) => Ok(()),
                Ok(Some(Frame::Close)) => {
                    let by = match &self.state {
                        State::Closing(_) => By::Us,
                        State::Header | State::Handshake { .. } | State::Open(_) | State::Closed => By::Peer,
                    };
                    Err(Stop::Said(Ending::Finished(by)))
                }
                Ok(None) if beyond.is_empty() => return,
                Ok(None) => Err(Stop::error(
                    StreamCondition::PolicyViolation,
                    "Too much was sent before the handshake.",
                )),
                Err(fault) => Err(Stop::Error(xml_fault(&fault))),
            };
            if let Err(stop) = outcome {
                self.stop(stop, context, out);
            }
        }
    }

    /// XEP-0114 §3: the header names the domain of the component, and the answer gives the stream its identifier. There
    /// is no version in either.
    fn open(
        &mut self,
        header: StreamHeader,
        context: &mut Context<'_, Settings>,
        out: &mut Output,
    ) -> Result<(), Stop> {
        let peer = PeerHeader::read(header);
        let id = context.token();
        let domain = match &peer.to {
            Some(Ok(domain)) => Some(domain.clone()),
            Some(Err(_)) | None => None,
        };
        write_header(domain.as_ref(), &id, out);
        self.record.step = Step::Header;
        self.record.header_to = domain.as_ref().map(|domain| domain.as_str().to_owned());
        let known = domain.filter(|domain| context.settings.components.contains_key(domain));
        // An error from here on has a header of ours to stand under.
        self.state = State::Handshake {
            domain: known.clone(),
            id,
        };
        let fault = peer.fault(ContentNamespace::Component);
        if let Some(fault) = fault.filter(|fault| fault.condition != StreamCondition::UnsupportedVersion) {
            return Err(Stop::Error(fault));
        }
        if known.is_none() {
            return Err(Stop::error(
                StreamCondition::HostUnknown,
                "No component of this name is configured.",
            ));
        }
        self.lang = peer.lang;
        Ok(())
    }

    fn element(
        &mut self,
        element: Element,
        context: &mut Context<'_, Settings>,
        out: &mut Output,
    ) -> Result<(), Stop> {
        if let Some(error) = read_error(&element) {
            return Err(Stop::Said(Ending::PeerError(error)));
        }
        match &mut self.state {
            State::Handshake { domain, id } => {
                let components = &context.settings.components;
                let proof = element.text();
                let is_proven = |domain: &Address| {
                    let secret = components.get(domain);
                    secret.is_some_and(|secret| secret.is_proven_by(proof.trim(), id))
                };
                match domain.clone() {
                    Some(domain) if element.is(COMPONENT, "handshake") && is_proven(&domain) => {
                        self.proven(domain, context, out);
                        Ok(())
                    }
                    // XEP-0114 §3, and RFC 6120 §4.9.3.12 for whoever says something else first.
                    Some(_) | None => Err(Stop::error(
                        StreamCondition::NotAuthorized,
                        "The handshake does not prove the secret of this component.",
                    )),
                }
            }
            State::Open(served) | State::Closing(served) => served.stanza(element, &self.lang, out),
            State::Header | State::Closed => Ok(()),
        }
    }

    /// What holds for strangers ends here.
    fn proven(&mut self, domain: Address, context: &mut Context<'_, Settings>, out: &mut Output) {
        out.bytes.extend_from_slice(b"<handshake/>");
        self.allowance = None;
        self.deadline = None;
        self.framer
            .set_limits(context.settings.limits.authenticated.clone());
        self.record.step = Step::Established;
        self.record.method = Some(Method::ComponentSecret);
        let mut served = Box::new(Served {
            domain,
            pairs: BTreeSet::new(),
            mailbox: Mailbox::new(context.settings.limits.mailbox),
            addresses: Addresses::default(),
        });
        served.announce(context.settings, out);
        self.state = State::Open(served);
    }

    /// The settings may have changed, or somebody doubts that the component is there.
    fn check(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        let State::Open(served) = &mut self.state else {
            return;
        };
        if !context.settings.components.contains_key(&served.domain) {
            let error = Stop::error(
                StreamCondition::HostGone,
                "This component is not configured any more.",
            );
            return self.stop(error, context, out);
        }
        served.announce(context.settings, out);
        out.effects.push(Effect::Alive);
    }

    fn wake(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        if self.deadline.is_none_or(|deadline| deadline > context.now) {
            return;
        }
        match &self.state {
            State::Closing(_) => self.ended(Ending::Finished(By::Us), out),
            State::Header | State::Handshake { .. } | State::Open(_) | State::Closed => {
                let error = Stop::error(
                    StreamCondition::ConnectionTimeout,
                    "The secret was not proven in time.",
                );
                self.stop(error, context, out);
            }
        }
    }

    fn close_in_order(&mut self, context: &mut Context<'_, Settings>, out: &mut Output) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(served) => {
                FRAMING.write_closing(&mut out.bytes);
                self.deadline = Some(context.now + context.settings.times.closing);
                self.state = State::Closing(served);
            }
            State::Closing(served) => self.state = State::Closing(served),
            state @ (State::Header | State::Handshake { .. } | State::Closed) => {
                self.state = state;
                self.stop(Stop::Said(Ending::Finished(By::Us)), context, out);
            }
        }
    }

    /// Says what is left to say, and ends the stream (RFC 6120 §4.4, §4.9.1.1).
    fn stop(&mut self, stop: Stop, context: &mut Context<'_, Settings>, out: &mut Output) {
        let is_open = match &self.state {
            State::Header => {
                // RFC 6120 §4.9.1.2: an error needs a stream to be told on.
                write_header(None, &context.token(), out);
                true
            }
            State::Handshake { .. } | State::Open(_) => true,
            State::Closing(_) | State::Closed => false,
        };
        let ending = match stop {
            Stop::Error(error) => {
                if is_open {
                    FRAMING.write_error(&error, &mut out.bytes);
                }
                Ending::Error(error)
            }
            Stop::Said(ending) => ending,
        };
        if is_open {
            FRAMING.write_closing(&mut out.bytes);
        }
        self.ended(ending, out);
    }

    fn ended(&mut self, ending: Ending, out: &mut Output) {
        self.state = State::Closed;
        self.deadline = None;
        self.record.ending = Some(ending.clone());
        out.effects.push(Effect::Close(Box::new(Close {
            ending,
            suspended: None,
            authorize: Vec::new(),
            verify: Vec::new(),
        })));
    }
}

impl Served {
    /// Tells the world of the pairs that it was not told of.
    fn announce(&mut self, settings: &Settings, out: &mut Output) {
        for host in &settings.hosts {
            let pair = Pair {
                local: host.clone(),
                remote: self.domain.clone(),
            };
            if self.pairs.insert(pair.clone()) {
                out.effects.push(Effect::Authenticated {
                    pair,
                    ways: Ways::Both,
                    method: Method::ComponentSecret,
                });
            }
        }
    }

    /// XEP-0114 §3: stanzas are those of servers, with both addresses.
    fn stanza(&mut self, element: Element, lang: &Option<Arc<str>>, out: &mut Output) -> Result<(), Stop> {
        let judged = Kind::of(&element);
        if element.namespace() != COMPONENT || judged == Err(Unfit::NotAStanza) {
            return Err(StreamCondition::UnsupportedStanzaType.into());
        }
        let (Some(from), Some(to)) = (self.address(&element, "from"), self.address(&element, "to")) else {
            return Err(Stop::error(
                StreamCondition::ImproperAddressing,
                "A stanza of a component needs the addresses of its sender and its recipient.",
            ));
        };
        if from.domainpart() != self.domain.as_str() {
            return Err(Stop::error(
                StreamCondition::InvalidFrom,
                "The 'from' is not at the domain of this component.",
            ));
        }
        if judged.is_err() {
            if let Some(error) = refusal(&element, &from, &to) {
                Parcel::new(error).emit(&mut out.bytes, FRAMING.target());
            }
            return Ok(());
        }
        let Ok(stanza) = Stanza::new(element, Some(from), Some(to), lang.as_ref()) else {
            return Err(StreamCondition::UnsupportedStanzaType.into());
        };
        let receipt = None;
        out.effects.push(Effect::Route { stanza, receipt });
        Ok(())
    }

    fn address(&mut self, element: &Element, name: &str) -> Option<Address> {
        let attribute = element.attributes().find(|attribute| attribute.name == name)?;
        self.addresses
            .prepare(attribute.raw_value, || attribute.value())
            .ok()
    }
}

fn write_header(domain: Option<&Address>, id: &str, out: &mut Output) {
    let opening = Opening {
        content: ContentNamespace::Component,
        prefixes: &[],
        from: Some(domain.map_or("", Address::as_str)),
        to: None,
        id: Some(id),
        version: false,
        lang: "en",
    };
    FRAMING.write_opening(&opening, &mut out.bytes);
}
