//! A wish to see somebody's presence for a while (XEP-0276). The server carries it; its part is exact bookkeeping of
//! directed presence, and a limit on asking strangers (DCL-28). It fulfils only wishes to see itself (DCL-20).

use stanza::{Stanza, namespace};

/// A `<decloak/>` in a presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decloak {
    /// To make a call.
    Media,
    /// To exchange messages.
    Text,
    /// To transfer a file.
    File,
    /// For a reason that this server does not know (DCL-21).
    Other,
    /// For no reason that was named.
    Unsaid,
}

impl Decloak {
    /// The wish in a presence: a direct child in exactly this namespace (DCL-29).
    pub fn of(presence: &Stanza) -> Option<Decloak> {
        let child = presence.child(namespace::DECLOAK, "decloak")?;
        Some(match child.attribute("reason").as_deref() {
            None => Decloak::Unsaid,
            Some("media") => Decloak::Media,
            Some("text") => Decloak::Text,
            Some("file") => Decloak::File,
            Some(_) => Decloak::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use stanza::{Kind, PresenceType};

    use super::*;

    fn of(payload: &str) -> Option<Decloak> {
        let kind = Kind::Presence(PresenceType::Available);
        Decloak::of(&Stanza::build(kind, None, None, None, payload.as_bytes()))
    }

    #[test]
    fn dcl_21_reasons_known_and_unknown() {
        for (attribute, decloak) in [
            ("", Decloak::Unsaid),
            (" reason='media'", Decloak::Media),
            (" reason='text'", Decloak::Text),
            (" reason='file'", Decloak::File),
            (" reason='x-whatever'", Decloak::Other),
        ] {
            assert_eq!(
                of(&format!("<decloak xmlns='urn:xmpp:decloak:0'{attribute}/>")),
                Some(decloak)
            );
        }
    }

    #[test]
    fn dcl_29_the_older_namespace_means_nothing() {
        assert_eq!(
            of("<decloak xmlns='http://telepathy.freedesktop.org/xmpp/protocol/decloak'/>"),
            None
        );
    }
}
