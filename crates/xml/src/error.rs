//! What is wrong with bytes that a peer sent, and the stream error that answers it (RFC 6120 §4.9.3).

/// Why input was refused. Every such error is fatal for the stream (RFC 6120 §4.9.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum XmlError {
    /// Not well-formed, also in the sense of XML namespaces (RFC 6120 §11.3).
    #[error("not well-formed: {0}")]
    NotWellFormed(&'static str),
    /// Not UTF-8. Answered as ill-formed XML, because the XML declaration did not claim another encoding.
    #[error("not UTF-8")]
    BadUtf8,
    /// Well-formed perhaps, but forbidden in XMPP (RFC 6120 §11.1).
    #[error("forbidden in XMPP: {0}")]
    Restricted(&'static str),
    /// A prefix that nothing binds to a namespace (RFC 6120 §4.9.3.2).
    #[error("undeclared namespace prefix")]
    BadNamespacePrefix,
    /// A stream header outside the stream namespace (RFC 6120 §4.8.1), or a top-level element in no namespace.
    #[error("invalid namespace")]
    InvalidNamespace,
    /// Well-formed, but no stream: another root element, or text between stanzas (RFC 6120 §4.9.3.1).
    #[error("not a stream: {0}")]
    BadFormat(&'static str),
    /// The peer uses or declares an encoding other than UTF-8 (RFC 6120 §11.6).
    #[error("unsupported encoding")]
    UnsupportedEncoding,
    /// One of the [`Limits`](crate::Limits) is exceeded.
    #[error("limit exceeded: {}", .0.as_str())]
    Limit(LimitName),
}

impl XmlError {
    /// The name of the stream error condition, an element of `urn:ietf:params:xml:ns:xmpp-streams`
    /// (RFC 6120 §4.9.3).
    pub fn condition(&self) -> &'static str {
        match self {
            XmlError::NotWellFormed(_) | XmlError::BadUtf8 => "not-well-formed",
            XmlError::Restricted(_) => "restricted-xml",
            XmlError::BadNamespacePrefix => "bad-namespace-prefix",
            XmlError::InvalidNamespace => "invalid-namespace",
            XmlError::BadFormat(_) => "bad-format",
            XmlError::UnsupportedEncoding => "unsupported-encoding",
            XmlError::Limit(_) => "policy-violation",
        }
    }
}

/// Which of the [`Limits`](crate::Limits) was exceeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitName {
    /// Bytes of one top-level element or stream header.
    StanzaBytes,
    /// Elements inside each other.
    Depth,
    /// Attributes of one element.
    Attributes,
    /// Bytes of one element or attribute name with its prefix.
    NameBytes,
    /// Direct children of one top-level element.
    Children,
}

impl LimitName {
    /// The name as the configuration and the log spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            LimitName::StanzaBytes => "stanza_bytes",
            LimitName::Depth => "depth",
            LimitName::Attributes => "attributes",
            LimitName::NameBytes => "name_bytes",
            LimitName::Children => "children",
        }
    }
}
