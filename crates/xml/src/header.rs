//! The opening tag of a stream (RFC 6120 §4.2, §4.7).

use crate::{STREAM_NAMESPACE, XmlError, reference::Head};

/// What a `<stream:stream …>` says. Its element is always `stream` in [`STREAM_NAMESPACE`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StreamHeader {
    /// The default namespace that the header declares: the content namespace, or the stream namespace itself when
    /// each stanza declares its own (RFC 6120 §4.8.2).
    pub content_namespace: Option<String>,
    /// Prefixes declared, with their namespaces, such as `db` for dialback (XEP-0220 §2).
    pub prefixes: Vec<(String, String)>,
    /// The host that is spoken to (RFC 6120 §4.7.2).
    pub to: Option<String>,
    /// Who speaks (RFC 6120 §4.7.1).
    pub from: Option<String>,
    /// The identifier of a response stream (RFC 6120 §4.7.3).
    pub id: Option<String>,
    /// The version of XMPP (RFC 6120 §4.7.5).
    pub version: Option<String>,
    /// `xml:lang` (RFC 6120 §4.7.4).
    pub lang: Option<String>,
}

impl StreamHeader {
    /// Reads what the opening tag says.
    pub(crate) fn of(head: &Head) -> Result<StreamHeader, XmlError> {
        if head.root.namespace != STREAM_NAMESPACE {
            return Err(XmlError::InvalidNamespace);
        }
        if head.root.name != "stream" {
            return Err(XmlError::BadFormat("the root element is not a stream"));
        }
        let attribute = |name| head.root.attribute(name).map(str::to_owned);
        let (default, prefixes): (Vec<_>, Vec<_>) = head
            .declarations
            .iter()
            .cloned()
            .partition(|(prefix, _)| prefix.is_empty());
        Ok(StreamHeader {
            content_namespace: default
                .into_iter()
                .map(|(_, name)| name.to_string())
                .find(|name| !name.is_empty()),
            prefixes: prefixes
                .into_iter()
                .map(|(prefix, name)| (prefix, name.to_string()))
                .collect(),
            to: attribute("to"),
            from: attribute("from"),
            id: attribute("id"),
            version: attribute("version"),
            lang: attribute("xml:lang"),
        })
    }
}
