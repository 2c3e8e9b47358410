//! Namespace names that framing must know, and the scope that a stream header opens.

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

/// What top-level elements inherit: from the stream header, or from the content namespace alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Scope {
    /// The default namespace; `None` when there is none.
    default: Option<Box<str>>,
    /// Prefixes and their namespaces.
    prefixes: Box<[(Box<str>, Box<str>)]>,
    /// Whether an element may leave `xmlns` out of its plain form.
    pub(crate) is_default_content: bool,
}

impl Scope {
    /// The scope of an element that stands alone in the content namespace.
    pub(crate) fn inheriting(namespace: &str) -> Scope {
        Scope {
            default: Some(namespace.into()),
            prefixes: Box::default(),
            is_default_content: true,
        }
    }

    /// The scope within a stream, by the declarations of its header; the default has an empty prefix.
    pub(crate) fn of_stream(declarations: &[(String, String)], content: ContentNamespace) -> Scope {
        let default = declarations
            .iter()
            .find(|(prefix, _)| prefix.is_empty())
            .map(|(_, name)| name.as_str());
        Scope {
            default: default.map(Into::into),
            prefixes: declarations
                .iter()
                .filter(|(prefix, _)| !prefix.is_empty())
                .map(|(prefix, name)| (prefix.as_str().into(), name.as_str().into()))
                .collect(),
            is_default_content: default == Some(content.as_str()),
        }
    }

    /// What the prefix stands for; the default namespace has an empty prefix.
    pub(crate) fn lookup(&self, prefix: &str) -> Option<&str> {
        if prefix.is_empty() {
            return self.default.as_deref();
        }
        self.prefixes
            .iter()
            .find(|(known, _)| **known == *prefix)
            .map(|(_, name)| &**name)
    }
}
