//! Names of namespaces, those that framing must know, and the scope that a stream header opens.

use std::{borrow::Cow, fmt, ops::Deref, sync::Arc};

/// The namespace of `<stream:stream>` and its features and errors (RFC 6120 §4.8.1).
pub const STREAM_NAMESPACE: &str = "http://etherx.jabber.org/streams";

/// What the prefix `xml` is bound to, and nothing else may be (XML-NAMES §3).
pub(crate) const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// What nothing may be bound to (XML-NAMES §3).
pub(crate) const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// The content namespace of a stream: what a stanza without `xmlns` is qualified by (RFC 6120 §4.8.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ContentNamespace {
    /// `jabber:client`, between a client and its server.
    Client,
    /// `jabber:server`, between servers.
    Server,
    /// `jabber:component:accept`, between a server and an external component (XEP-0114).
    Component,
}

impl ContentNamespace {
    /// The namespace name.
    pub fn as_str(self) -> &'static str {
        match self {
            ContentNamespace::Client => "jabber:client",
            ContentNamespace::Server => "jabber:server",
            ContentNamespace::Component => "jabber:component:accept",
        }
    }
}

/// Whether `namespace` is one of the content namespaces, which name the same things on different kinds of streams
/// (RFC 6120 §4.8.3).
pub(crate) fn is_content(namespace: impl AsRef<[u8]>) -> bool {
    [
        ContentNamespace::Client,
        ContentNamespace::Server,
        ContentNamespace::Component,
    ]
    .iter()
    .any(|content| content.as_str().as_bytes() == namespace.as_ref())
}

/// The name of a namespace, shared by all that are in it: a long one costs memory once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Namespace {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<[u8]> for Namespace {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<&str> for Namespace {
    fn from(name: &str) -> Namespace {
        Namespace(name.into())
    }
}

impl From<&String> for Namespace {
    fn from(name: &String) -> Namespace {
        Namespace(name.as_str().into())
    }
}

impl From<String> for Namespace {
    fn from(name: String) -> Namespace {
        Namespace(name.into())
    }
}

impl From<Cow<'_, str>> for Namespace {
    fn from(name: Cow<'_, str>) -> Namespace {
        Namespace(name.into())
    }
}

impl From<&Namespace> for Namespace {
    fn from(name: &Namespace) -> Namespace {
        name.clone()
    }
}

impl PartialEq<str> for Namespace {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Namespace {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl PartialEq<Namespace> for str {
    fn eq(&self, other: &Namespace) -> bool {
        self == &*other.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// What top-level elements inherit: from the stream header, or from the content namespace alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Scope {
    /// Prefixes and their namespaces; the default namespace has an empty prefix.
    declarations: Box<[(Box<str>, Namespace)]>,
    /// Whether an element may leave `xmlns` out of its plain form.
    pub(crate) is_default_content: bool,
}

impl Scope {
    /// The scope of an element that stands alone where `namespace` is the default.
    pub(crate) fn inheriting(namespace: &str) -> Scope {
        let declarations = [(Box::default(), Namespace::from(namespace))];
        Scope {
            declarations: Box::new(declarations),
            is_default_content: true,
        }
    }

    /// The scope within a stream, by the declarations of its header.
    pub(crate) fn of_stream(declarations: &[(String, Namespace)], content: ContentNamespace) -> Scope {
        let is_content =
            |(prefix, name): &(String, Namespace)| prefix.is_empty() && *name == content.as_str();
        Scope {
            is_default_content: declarations.iter().any(is_content),
            declarations: declarations
                .iter()
                .map(|(prefix, name)| (prefix.as_str().into(), name.clone()))
                .collect(),
        }
    }

    /// What the prefix stands for.
    pub(crate) fn lookup(&self, prefix: &str) -> Option<&Namespace> {
        self.declarations
            .iter()
            .find(|(known, _)| **known == *prefix)
            .map(|(_, name)| name)
    }
}
