//! The states of a connection, and what all of them work with.

use machine::{Context, Moment};
use stanza::namespace::{SASL, SERVER};
use stanza::{Address, Condition, StreamCondition, StreamError};
use stream::{Framing, Opening, PeerHeader, StartTls, read_error};
use stream_management::write_failed;
use xml::{ContentNamespace, Element, Framer};

use super::liveness::Liveness;
use super::open::Open;
use super::outbound::Greeted;
use super::{Effect, Ending, Obstacle, Output, Record, Side, Suspended, Tls};
use crate::{Pair, Settings, Verification};

/// Where a connection stands. Each state is made from the one before and consumed by the next.
pub(crate) enum Phase {
    /// The peer came to us and is negotiating.
    Incoming(Incoming),
    /// We went to the peer and are negotiating.
    Outgoing(Outgoing),
    /// Pairs can be authenticated, and stanzas of those that are can be exchanged.
    Open(Box<Open>),
    /// We have closed our stream, and take what the peer still says until it closes its own (RFC 6120 §4.4).
    Closing(Box<Open>),
    /// Nothing happens any more.
    Closed,
}

/// The way of a connection that came to us, up to its features.
pub(crate) enum Incoming {
    /// The peer's stream header is awaited.
    Header(Box<Ground>),
    /// The peer can only ask for STARTTLS (RFC 6120 §5.3.1).
    Insecure,
    /// TLS is being negotiated: nothing can be read or written here.
    Handshake,
}

/// The way of a connection that we open, up to the end of the login.
pub(crate) enum Outgoing {
    /// It is not there yet.
    Unconnected(Box<Trip>),
    /// The peer's stream header is awaited.
    Header(Box<Trip>, Box<Ground>),
    /// The peer's features are awaited.
    Features(Box<Greeted>),
    /// We asked for STARTTLS.
    Proceed(Box<Trip>),
    /// TLS is being negotiated: nothing can be read or written here.
    Handshake(Box<Trip>),
    /// We asked to be let in by our certificate.
    Login(Box<Greeted>),
}

/// Where a connection of ours leads.
pub(crate) struct Trip {
    /// The domains that the stream header names.
    pub(crate) header: Pair,
    /// A broken stream that may be resumed.
    pub(crate) resume: Option<Suspended>,
}

/// What was asked of a connection and has not been answered yet.
#[derive(Default)]
pub(crate) struct Unanswered {
    /// Pairs that the peer shall accept.
    pub(crate) authorize: Vec<Pair>,
    /// Keys that the peer shall judge.
    pub(crate) verify: Vec<Verification>,
}

/// On what a stream is opened. It outlives the restart.
#[derive(Default)]
pub(crate) struct Ground {
    /// The protection of TLS.
    pub(crate) tls: Option<Tls>,
    /// The pair of a finished login.
    pub(crate) login: Option<Pair>,
    /// Stanzas travel both ways (XEP-0288).
    pub(crate) bidirectional: bool,
}

/// How a stream comes to its end.
pub(crate) enum Stop {
    /// With an error that the peer is told.
    Error(StreamError),
    /// All is said but the closing tag.
    Said(Ending),
}

/// What a connection has in every state.
pub(crate) struct Wire {
    pub(crate) framing: Framing,
    pub(crate) framer: Framer,
    /// Bytes that may still come before a pair is authenticated; `None` afterwards.
    pub(crate) allowance: Option<usize>,
    /// By when a pair must be authenticated; `None` afterwards. In the last phase: by when the peer must have closed.
    pub(crate) deadline: Option<Moment>,
    pub(crate) liveness: Liveness,
    pub(crate) record: Record,
    pub(crate) side: Side,
    pub(crate) unanswered: Unanswered,
}

/// One step of a connection: what it may know, change and say.
pub(crate) struct Turn<'t, 'c> {
    pub(crate) context: &'t mut Context<'c, Settings>,
    pub(crate) wire: &'t mut Wire,
    pub(crate) out: &'t mut Output,
    /// Whether bytes follow that came together with what is handled now.
    pub(crate) more_follows: bool,
}

impl Stop {
    /// An error with words for whoever wrote the other server.
    pub(crate) fn error(condition: StreamCondition, text: &str) -> Stop {
        Stop::Error(StreamError::new(condition).text(text))
    }

    /// An end for want of a way on.
    pub(crate) fn failed(obstacle: Obstacle) -> Stop {
        Stop::Said(Ending::Failed(obstacle))
    }
}

impl From<StreamCondition> for Stop {
    fn from(condition: StreamCondition) -> Stop {
        Stop::Error(condition.into())
    }
}

impl Unanswered {
    /// Strikes out what an effect answers.
    fn note(&mut self, effect: &Effect) {
        match effect {
            Effect::Authenticated { pair, ways, .. } if ways.sends() => {
                self.authorize.retain(|one| one != pair)
            }
            Effect::Refused { pair, .. } => self.authorize.retain(|one| one != pair),
            Effect::VerifyAnswered { verification, .. } => self.verify.retain(|one| one != verification),
            Effect::StartTls
            | Effect::Authenticated { .. }
            | Effect::Heard(_)
            | Effect::Verify(_)
            | Effect::Unsolicited(_)
            | Effect::Managed(_)
            | Effect::Resume(_)
            | Effect::Resumed(_)
            | Effect::NotResumed(_)
            | Effect::Silent(_)
            | Effect::Alive
            | Effect::RoundTrip(_)
            | Effect::Route { .. }
            | Effect::Reply(_)
            | Effect::Close(_) => {}
        }
    }
}

impl Turn<'_, '_> {
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.wire.unanswered.note(&effect);
        self.out.effects.push(effect);
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.context.settings
    }

    /// Opens our stream. `id` is given by the side that the connection came to.
    pub(crate) fn write_header(&mut self, from: &str, to: Option<&str>, id: Option<&str>) {
        let opening = Opening {
            content: ContentNamespace::Server,
            // XEP-0220 §2.4.1
            prefixes: &[("db", stanza::namespace::DIALBACK)],
            from: Some(from),
            to,
            id,
            version: true,
            lang: "en",
        };
        self.wire.framing.write_opening(&opening, &mut self.out.bytes);
    }

    /// A pair is authenticated: what holds for strangers ends here.
    pub(crate) fn trust(&mut self) {
        if self.wire.allowance.take().is_some() {
            let limits = self.context.settings.limits.authenticated.clone();
            self.wire.framer.set_limits(limits);
        }
        self.wire.deadline = None;
        self.wire.record.step = super::Step::Established;
    }

    /// RFC 6120 §5.4.2.2: a failure, and the end, without a stream error.
    pub(crate) fn refuse_tls(&mut self, why: &str) -> Stop {
        StartTls::Failure.write(&mut self.out.bytes);
        Stop::Said(Ending::Error(
            StreamError::new(StreamCondition::PolicyViolation).text(why),
        ))
    }

    /// Stream management does not come about (XEP-0198 §6).
    pub(crate) fn management_failed(&mut self, condition: Condition, handled: Option<u32>) {
        write_failed(&mut self.out.bytes, condition, handled);
    }
}

/// Whether this is message, presence or IQ (RFC 6120 §8).
pub(crate) fn is_stanza(element: &Element) -> bool {
    element.namespace() == SERVER && matches!(element.name(), "message" | "presence" | "iq")
}

/// The end because of an element that has no place in the state that met it.
pub(crate) fn unexpected(element: &Element, turn: &mut Turn<'_, '_>) -> Stop {
    if let Some(error) = read_error(element) {
        // Among them `see-other-host`: whoever can answer in the name of a domain before it has proven anything must
        // not be able to send us elsewhere (RFC 6120 §4.9.3.19).
        return Stop::Said(Ending::PeerError(error));
    }
    if StartTls::read(element) == Some(StartTls::Request) {
        return turn.refuse_tls("STARTTLS was not offered.");
    }
    if is_stanza(element) || element.namespace() == SASL {
        // RFC 6120 §4.3.5, §4.9.3.12
        return Stop::error(StreamCondition::NotAuthorized, "No domain is authenticated.");
    }
    // RFC 6120 §4.9.3.24
    StreamCondition::UnsupportedStanzaType.into()
}

/// The domain that a header names, if it names any.
pub(crate) fn domain_of(
    named: Option<&Result<Address, stanza::BadAddress>>,
) -> Result<Option<Address>, Stop> {
    match named {
        None => Ok(None),
        Some(Ok(address)) if address.localpart().is_none() && address.is_bare() => Ok(Some(address.clone())),
        // RFC 6120 §4.7.1, §4.9.3.7
        Some(_) => Err(Stop::error(
            StreamCondition::ImproperAddressing,
            "A server has the address of a domain.",
        )),
    }
}

/// What makes a stream under this header impossible.
pub(crate) fn header_fault(peer: &PeerHeader) -> Option<Stop> {
    peer.fault(ContentNamespace::Server).map(Stop::Error)
}
