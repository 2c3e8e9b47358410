//! Message, presence and IQ (RFC 6120 §8): who, to whom, of which type, and the bytes.

use std::borrow::Cow;
use std::sync::Arc;

use xml::{Child, ContentNamespace, Element, Tree};

use crate::namespace::STANZA_ERRORS;
use crate::{Address, BadAddress, Parcel, StanzaError};

/// Types of a message (RFC 6121 §5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// One message of a conversation between two.
    Chat,
    /// An error about a message sent before.
    Error,
    /// A message in a room.
    Groupchat,
    /// An alert or notification to which no reply is expected.
    Headline,
    /// A message outside of a conversation; also what an unknown type means.
    Normal,
}

/// Types of presence (RFC 6121 §4.7.1); no type at all is `Available`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PresenceType {
    /// No `type` attribute: available for communication.
    Available,
    /// An error about presence sent before.
    Error,
    /// A request for current presence.
    Probe,
    /// A wish to subscribe.
    Subscribe,
    /// Consent to a subscription.
    Subscribed,
    /// No longer available.
    Unavailable,
    /// A subscription given up.
    Unsubscribe,
    /// A subscription refused or cancelled.
    Unsubscribed,
}

/// Types of an IQ (RFC 6120 §8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IqType {
    /// A question.
    Get,
    /// A change.
    Set,
    /// A successful answer.
    Result,
    /// A failed answer.
    Error,
}

/// The three kinds of stanzas with their types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A message (RFC 6121 §5).
    Message(MessageType),
    /// Presence (RFC 6121 §4).
    Presence(PresenceType),
    /// A question or answer (RFC 6120 §8.2.3).
    Iq(IqType),
}

impl Kind {
    /// The element's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Message(_) => "message",
            Kind::Presence(_) => "presence",
            Kind::Iq(_) => "iq",
        }
    }

    /// The value of the `type` attribute, `None` where it is left out.
    pub fn type_attribute(self) -> Option<&'static str> {
        match self {
            Kind::Message(MessageType::Chat) => Some("chat"),
            Kind::Message(MessageType::Error)
            | Kind::Presence(PresenceType::Error)
            | Kind::Iq(IqType::Error) => Some("error"),
            Kind::Message(MessageType::Groupchat) => Some("groupchat"),
            Kind::Message(MessageType::Headline) => Some("headline"),
            Kind::Message(MessageType::Normal) | Kind::Presence(PresenceType::Available) => None,
            Kind::Presence(PresenceType::Probe) => Some("probe"),
            Kind::Presence(PresenceType::Subscribe) => Some("subscribe"),
            Kind::Presence(PresenceType::Subscribed) => Some("subscribed"),
            Kind::Presence(PresenceType::Unavailable) => Some("unavailable"),
            Kind::Presence(PresenceType::Unsubscribe) => Some("unsubscribe"),
            Kind::Presence(PresenceType::Unsubscribed) => Some("unsubscribed"),
            Kind::Iq(IqType::Get) => Some("get"),
            Kind::Iq(IqType::Set) => Some("set"),
            Kind::Iq(IqType::Result) => Some("result"),
        }
    }

    /// The same kind as an error.
    pub fn error(self) -> Kind {
        match self {
            Kind::Message(_) => Kind::Message(MessageType::Error),
            Kind::Presence(_) => Kind::Presence(PresenceType::Error),
            Kind::Iq(_) => Kind::Iq(IqType::Error),
        }
    }

    /// Whether this is an error, which is never answered by an error (RFC 6120 §8.3.1).
    pub fn is_error(self) -> bool {
        self == self.error()
    }

    /// Whether this asks for an answer (RFC 6120 §8.2.3).
    pub fn is_request(self) -> bool {
        matches!(self, Kind::Iq(IqType::Get | IqType::Set))
    }

    /// Judges an element without taking it, for whoever must answer when it is unfit.
    ///
    /// # Errors
    /// [`Unfit`], when this is no stanza, or one that breaks the rules of its kind.
    pub fn of(element: &Element) -> Result<Kind, Unfit> {
        let kind = Kind::read(element)?;
        if let Kind::Iq(iq) = kind {
            let has_id = element.raw_attribute("id").is_some_and(|id| !id.is_empty());
            let is_request = matches!(iq, IqType::Get | IqType::Set);
            if !has_id || (is_request && element.child_count() != 1) {
                return Err(Unfit::BadIq);
            }
        }
        Ok(kind)
    }

    fn read(element: &Element) -> Result<Kind, Unfit> {
        let given = element.raw_attribute("type");
        Ok(match element.name() {
            "message" => Kind::Message(match given {
                Some("chat") => MessageType::Chat,
                Some("error") => MessageType::Error,
                Some("groupchat") => MessageType::Groupchat,
                Some("headline") => MessageType::Headline,
                // RFC 6121 §5.2.2: an unknown type is handled as "normal".
                _ => MessageType::Normal,
            }),
            "presence" => Kind::Presence(match given {
                None => PresenceType::Available,
                Some("error") => PresenceType::Error,
                Some("probe") => PresenceType::Probe,
                Some("subscribe") => PresenceType::Subscribe,
                Some("subscribed") => PresenceType::Subscribed,
                Some("unavailable") => PresenceType::Unavailable,
                Some("unsubscribe") => PresenceType::Unsubscribe,
                Some("unsubscribed") => PresenceType::Unsubscribed,
                Some(_) => return Err(Unfit::UnknownType(Kind::Presence(PresenceType::Error))),
            }),
            "iq" => Kind::Iq(match given {
                Some("get") => IqType::Get,
                Some("set") => IqType::Set,
                Some("result") => IqType::Result,
                Some("error") => IqType::Error,
                Some(_) | None => return Err(Unfit::UnknownType(Kind::Iq(IqType::Error))),
            }),
            _ => return Err(Unfit::NotAStanza),
        })
    }
}

/// Why an element is no stanza that could be routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Neither message nor presence nor IQ: `unsupported-stanza-type` ends the stream (RFC 6120 §4.9.3.24).
    #[error("neither message nor presence nor iq")]
    NotAStanza,
    /// A type that the RFC does not know: `bad-request` (RFC 6120 §8.2.3, RFC 6121 §4.7.1). Holds the kind of the reply.
    #[error("unknown stanza type")]
    UnknownType(Kind),
    /// An IQ without id, or a request without exactly one child: `bad-request` (RFC 6120 §8.2.3).
    #[error("an iq needs an id, and a request exactly one child")]
    BadIq,
}

/// One stanza, shared by all who look at it.
#[derive(Clone)]
pub struct Stanza(Arc<Inner>);

struct Inner {
    element: Element,
    kind: Kind,
    from: Option<Address>,
    to: Option<Address>,
    /// The language of the stream, for a stanza that names none (RFC 6120 §8.1.5).
    lang: Option<Arc<str>>,
}

impl Stanza {
    /// Takes an element as a stanza. The addresses given here count; the element's own are never looked at again.
    ///
    /// # Errors
    /// [`Unfit`], when this is no stanza, or one that breaks the rules of its kind.
    pub fn new(
        element: Element,
        from: Option<Address>,
        to: Option<Address>,
        lang: Option<&Arc<str>>,
    ) -> Result<Stanza, Unfit> {
        let kind = Kind::of(&element)?;
        let lang = if element.raw_attribute("xml:lang").is_some() {
            None
        } else {
            lang.cloned()
        };
        Ok(Stanza(Arc::new(Inner {
            element,
            kind,
            from,
            to,
            lang,
        })))
    }

    /// Writes a stanza of our own. `payload` is what stands inside, in the content namespace.
    ///
    /// # Panics
    /// When `payload` is not well-formed, which is a bug of the caller: it never holds anything unescaped from a peer.
    pub fn build(
        kind: Kind,
        from: Option<&Address>,
        to: Option<&Address>,
        id: Option<&str>,
        payload: &[u8],
    ) -> Stanza {
        let mut bytes = Vec::with_capacity(96 + payload.len());
        bytes.push(b'<');
        bytes.extend_from_slice(kind.name().as_bytes());
        if let Some(id) = id {
            bytes.extend_from_slice(b" id='");
            xml::escape_attribute(&mut bytes, id);
            bytes.push(b'\'');
        }
        if let Some(value) = kind.type_attribute() {
            bytes.extend_from_slice(b" type='");
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(b'\'');
        }
        bytes.push(b'>');
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(b"</");
        bytes.extend_from_slice(kind.name().as_bytes());
        bytes.push(b'>');
        let element = match Element::parse(&bytes, ContentNamespace::Client, &xml::Limits::unlimited()) {
            Ok(element) => element,
            Err(error) => panic!("a stanza of our own is not well-formed: {error}"),
        };
        Stanza(Arc::new(Inner {
            element,
            kind,
            from: from.cloned(),
            to: to.cloned(),
            lang: None,
        }))
    }

    /// The result of a request (RFC 6120 §8.2.3), with `payload` inside.
    pub fn result(&self, payload: &[u8]) -> Stanza {
        Self::build(
            Kind::Iq(IqType::Result),
            self.to(),
            self.from(),
            self.id().as_deref(),
            payload,
        )
    }

    /// The error that answers this stanza (RFC 6120 §8.3.1); `None` where no answer is allowed: to an error, and to the
    /// result of an IQ.
    pub fn error(&self, error: impl Into<StanzaError>) -> Option<Stanza> {
        self.error_between(self.to(), self.from(), error, b"")
    }

    /// The same from and to other addresses, with a part of the original repeated before the `<error/>`.
    pub fn error_between(
        &self,
        from: Option<&Address>,
        to: Option<&Address>,
        error: impl Into<StanzaError>,
        echo: &[u8],
    ) -> Option<Stanza> {
        if self.kind().is_error() || self.kind() == Kind::Iq(IqType::Result) {
            return None;
        }
        let mut payload = echo.to_vec();
        error.into().write(&mut payload);
        Some(Self::build(
            self.kind().error(),
            from,
            to,
            self.id().as_deref(),
            &payload,
        ))
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Who sent it, as the server knows it.
    pub fn from(&self) -> Option<&Address> {
        self.0.from.as_ref()
    }

    /// To whom it goes.
    pub fn to(&self) -> Option<&Address> {
        self.0.to.as_ref()
    }

    /// The `id`, un-escaped.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.0.element.attribute("id")
    }

    /// The element as it came in.
    pub fn element(&self) -> &Element {
        &self.0.element
    }

    /// The direct children.
    pub fn children(&self) -> impl Iterator<Item = Child<'_>> {
        self.0.element.children()
    }

    /// The first direct child with this name in this namespace.
    pub fn child(&self, namespace: &str, name: &str) -> Option<Child<'_>> {
        self.0.element.child(namespace, name)
    }

    /// The first direct child with this name in the content namespace: `body`, `show`, `priority` ….
    pub fn content_child(&self, name: &str) -> Option<Child<'_>> {
        self.0.element.child(self.0.element.namespace(), name)
    }

    /// The one child of an IQ request.
    pub fn payload(&self) -> Option<Child<'_>> {
        self.0.element.child_at(0)
    }

    /// The condition of an error stanza, as its element's name (RFC 6120 §8.3.2).
    pub fn error_condition(&self) -> Option<String> {
        let error: Tree = self.content_child("error")?.to_tree();
        error
            .children()
            .find(|child| child.namespace == STANZA_ERRORS && child.name != "text")
            .map(|child| child.name.clone())
    }

    /// The same bytes with other addresses.
    pub fn readdressed(&self, from: Option<Address>, to: Option<Address>) -> Parcel {
        Parcel::readdressed(self.clone(), from, to)
    }

    /// The language of the stream it came from, where it names none itself.
    pub fn stream_lang(&self) -> Option<&str> {
        self.0.lang.as_deref()
    }

    /// Bytes of the element, for limits and accounts.
    pub fn byte_len(&self) -> usize {
        self.0.element.bytes().len()
    }
}

impl std::fmt::Debug for Stanza {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the content: debug output ends in logs.
        write!(f, "{:?} from {:?} to {:?}", self.kind(), self.from(), self.to())
    }
}

/// Reads an address attribute of an element.
///
/// # Errors
/// When the value is no address (RFC 6120 §8.3.3.8).
pub fn address_attribute(element: &Element, name: &str) -> Result<Option<Address>, BadAddress> {
    element
        .attribute(name)
        .map(|value| Address::parse(&value))
        .transpose()
}
