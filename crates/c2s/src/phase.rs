//! The states of a session, and what all of them work with.

use machine::Context;
use stanza::namespace::{CLIENT, SASL, STREAM_MANAGEMENT};
use stanza::{Address, Condition, Parcel, Stanza, StreamCondition, StreamError};
use stream::{Framing, StartTls, read_error};
use stream_management::write_failed;
use xml::{Element, Framer};

use crate::bind::Bind;
use crate::bound::Bound;
use crate::leaving::Leaving;
use crate::login::{Insecure, Login};
use crate::{Effect, Ending, Output, Settings, Tls};

/// Where a session stands. Each state is made from the one before and consumed by the next.
pub(crate) enum Phase {
    /// A stream header is awaited.
    Header(Ground),
    /// Only STARTTLS can follow (RFC 6120 §5.3.1).
    Insecure(Insecure),
    /// TLS is being negotiated: nothing can be read or written here. The host is the one that the header before
    /// STARTTLS named.
    Handshake(Option<Address>),
    /// The client may log in.
    Login(Box<Login>),
    /// The client may bind a resource.
    Bind(Box<Bind>),
    /// The client has an address, and its stanzas are routed.
    Bound(Box<Bound>),
    /// The stream of a bound client is about to end.
    Leaving(Box<Leaving>),
    /// Nothing happens any more.
    Closed,
}

/// On what a stream is opened.
pub(crate) enum Ground {
    /// A connection that anybody may read.
    Plain,
    /// A connection protected by TLS.
    Tls(Box<Tls>),
    /// A finished login.
    Account(Address),
}

/// How a stream comes to its end.
pub(crate) enum Stop {
    /// With an error that the client is told.
    Error(StreamError),
    /// All is said but the closing tag.
    Said(Ending),
    /// The connection ends, and the stream does not: it can be resumed (XEP-0198 §7).
    Unfinished,
}

impl Stop {
    /// An error with words for whoever wrote the client.
    pub(crate) fn error(condition: StreamCondition, text: &str) -> Stop {
        Stop::Error(StreamError::new(condition).text(text))
    }
}

impl Stop {
    /// How the connection ended, when nothing can be said any more.
    pub(crate) fn into_ending(self) -> Ending {
        match self {
            Stop::Error(error) => Ending::Error(error),
            Stop::Said(ending) => ending,
            Stop::Unfinished => Ending::Lost,
        }
    }
}

impl From<StreamCondition> for Stop {
    fn from(condition: StreamCondition) -> Stop {
        Stop::Error(condition.into())
    }
}

/// What a connection has in every state.
pub(crate) struct Wire {
    pub(crate) framing: Framing,
    pub(crate) framer: Framer,
    /// Bytes that may still come before login; `None` afterwards.
    pub(crate) allowance: Option<usize>,
}

/// One step of a session: what it may know, change and say.
pub(crate) struct Turn<'t, 'c> {
    pub(crate) context: &'t mut Context<'c, Settings>,
    pub(crate) wire: &'t mut Wire,
    pub(crate) out: &'t mut Output,
    /// Whether something follows that came together with what is handled now. White space is nothing: RFC 6120 §5.3.3
    /// forbids it there, clients (go-xmpp) send a line feed, and nothing can be hidden in what is thrown away.
    pub(crate) more_follows: bool,
}

impl Turn<'_, '_> {
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.out.effects.push(effect);
    }

    /// Writes an answer to a client that has no mailbox yet.
    pub(crate) fn say(&mut self, answer: Stanza) {
        let target = self.wire.framing.target();
        Parcel::new(answer).emit(&mut self.out.bytes, target);
    }

    /// Agrees to STARTTLS (RFC 6120 §5.4.2.3) on a stream to this host.
    pub(crate) fn start_tls(&mut self, host: Address) -> Result<Phase, Stop> {
        if self.more_follows {
            // Whoever sits between could have put it there, to be taken for something said inside TLS.
            return Err(self.refuse_tls("Data behind <starttls/>, before TLS."));
        }
        StartTls::Proceed.write(&mut self.out.bytes);
        self.effect(Effect::StartTls);
        self.wire.framer.restart();
        Ok(Phase::Handshake(Some(host)))
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

    /// An element that nothing in an unbound session waits for.
    pub(crate) fn premature(&mut self, element: &Element) -> Result<(), Stop> {
        if is_stanza(element) {
            // RFC 6120 §4.3.5, §4.9.3.12
            return Err(Stop::error(
                StreamCondition::NotAuthorized,
                "Stanzas have to wait until a resource is bound.",
            ));
        }
        match (element.namespace(), element.name()) {
            (STREAM_MANAGEMENT, _) => self.management_failed(Condition::UnexpectedRequest, None),
            _ => return Err(unexpected(element, self)),
        }
        Ok(())
    }
}

/// Whether this is message, presence or IQ (RFC 6120 §8).
pub(crate) fn is_stanza(element: &Element) -> bool {
    element.namespace() == CLIENT && matches!(element.name(), "message" | "presence" | "iq")
}

/// The end because of an element that has no place in the state that met it.
pub(crate) fn unexpected(element: &Element, turn: &mut Turn<'_, '_>) -> Stop {
    if let Some(error) = read_error(element) {
        return Stop::Said(Ending::PeerError(error));
    }
    if StartTls::read(element) == Some(StartTls::Request) {
        return turn.refuse_tls("STARTTLS was not offered.");
    }
    match element.namespace() {
        // RFC 6120 §4.9.3.12: an action of negotiation that the client is not (or no longer) allowed.
        SASL => StreamCondition::NotAuthorized.into(),
        // RFC 6120 §4.9.3.24
        _ => StreamCondition::UnsupportedStanzaType.into(),
    }
}
