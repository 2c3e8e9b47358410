//! The `<poke/>` element, and the stanzas that answer it (XEP-0132).

use stanza::{Address, Condition, ErrorKind, IqType, Kind, PresenceType, Stanza, StanzaError, namespace};

/// A way to find somebody: `touch`, `sound` …. Any NCName counts, known or not (POKE-38).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method(Box<str>);

/// Names longer than this are nobody's way of touching anybody.
const METHOD_BYTES_MAX: usize = 64;

impl Method {
    /// The method that an attribute names; `None` when it is no NCName.
    pub fn new(name: &str) -> Option<Method> {
        let starts = |first: char| first.is_alphabetic() || first == '_';
        let goes_on = |next: char| next.is_alphanumeric() || matches!(next, '_' | '-' | '.' | '\u{b7}');
        let is_name = name.starts_with(starts) && name.chars().all(goes_on) && name.len() <= METHOD_BYTES_MAX;
        is_name.then(|| Method(name.into()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The question whether somebody is really there, or its answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Poke {
    /// The preferred way in a question, the one that was used in an answer.
    pub method: Option<Method>,
}

impl Poke {
    /// The poke in a stanza: a direct child in exactly this namespace (POKE-01). What stands in it does not matter, nor do
    /// other attributes (POKE-42).
    pub fn of(stanza: &Stanza) -> Option<Poke> {
        let child = stanza.child(namespace::POKE, "poke")?;
        let method = child.attribute("method").and_then(|name| Method::new(&name));
        Some(Poke { method })
    }

    /// The element.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("<poke xmlns='{}'", namespace::POKE).into_bytes();
        if let Some(method) = &self.method {
            bytes.extend_from_slice(b" method='");
            xml::escape_attribute(&mut bytes, method.as_str());
            bytes.push(b'\'');
        }
        bytes.extend_from_slice(b"/>");
        bytes
    }

    /// What the server asks one of the user's own clients, from the user's bare address (POKE-13).
    pub fn question(&self, user: &Address, client: &Address, id: &str) -> Stanza {
        Stanza::build(
            Kind::Iq(IqType::Get),
            Some(user),
            Some(client),
            Some(id),
            &self.to_bytes(),
        )
    }

    /// The user was found at `client` (POKE-14): nothing but the poke, with the method that was really used (POKE-16).
    pub fn found(&self, client: &Address, requester: &Address, id: Option<&str>) -> Stanza {
        Stanza::build(
            Kind::Presence(PresenceType::Available),
            Some(client),
            Some(requester),
            id,
            &self.to_bytes(),
        )
    }

    /// The answer to a probe that found nobody: the poke is echoed, then the error (POKE-11).
    pub fn failed(&self, asked: &Address, requester: &Address, id: Option<&str>, failure: Failure) -> Stanza {
        let mut payload = self.to_bytes();
        failure.error().write(&mut payload);
        Stanza::build(
            Kind::Presence(PresenceType::Error),
            Some(asked),
            Some(requester),
            id,
            &payload,
        )
    }
}

/// Why a poke found nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The server does not do this (POKE-08).
    Unsupported,
    /// The requester may not know (POKE-10); also what is said of accounts that do not exist (POKE-22).
    Forbidden,
    /// Nobody answered in time, or nobody could be asked (POKE-19, POKE-20).
    NobodyAnswered,
    /// There is no such user, told to whom the operator trusts (POKE-22).
    UnknownUser,
    /// The user has died, and the next of kin know (POKE-23, POKE-24).
    Died,
}

impl Failure {
    /// Condition, type and legacy code as the examples of XEP-0132 §3.1 have them.
    fn error(self) -> StanzaError {
        let (condition, kind, code, text) = match self {
            Failure::Unsupported => (Condition::ServiceUnavailable, ErrorKind::Cancel, 503, None),
            Failure::Forbidden => (Condition::Forbidden, ErrorKind::Auth, 403, None),
            Failure::NobodyAnswered => (Condition::RemoteServerTimeout, ErrorKind::Wait, 408, None),
            Failure::UnknownUser => (Condition::ItemNotFound, ErrorKind::Cancel, 404, None),
            Failure::Died => (
                Condition::Gone,
                ErrorKind::Cancel,
                302,
                Some("We regret to say that this person has died."),
            ),
        };
        let mut error = StanzaError::new(condition).kind(kind);
        error.code = Some(code);
        match text {
            Some(text) => error.text(text),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn probe(payload: &str) -> Stanza {
        Stanza::build(
            Kind::Presence(PresenceType::Probe),
            None,
            None,
            None,
            payload.as_bytes(),
        )
    }

    #[test]
    fn poke_01_only_a_direct_child_in_this_namespace_counts() {
        let asks = |payload: &str| Poke::of(&probe(payload)).is_some();
        assert!(asks(
            "<x xmlns='urn:x'/><poke xmlns='http://jabber.org/protocol/poke'/>"
        ));
        assert!(!asks("<poke/>"));
        assert!(!asks("<poke xmlns='http://jabber.org/protocol/poke-irl'/>"));
        assert!(!asks(
            "<x xmlns='urn:x'><poke xmlns='http://jabber.org/protocol/poke'/></x>"
        ));
    }

    #[test]
    fn poke_38_every_ncname_is_a_method_and_nothing_else_is() {
        for name in [
            "dna", "infrared", "sight", "smell", "sound", "taste", "touch", "x-gaze", "_a.b", "été",
        ] {
            assert_eq!(Method::new(name).unwrap().as_str(), name);
        }
        for name in ["", "a b", "1st", "-x", "a:b", "a'b", "<", &"x".repeat(65)] {
            assert_eq!(Method::new(name), None, "{name:?}");
        }
        let poke = Poke::of(&probe(
            "<poke xmlns='http://jabber.org/protocol/poke' method='a b'/>",
        ));
        assert_eq!(poke, Some(Poke { method: None }), "the poke still counts");
    }

    #[test]
    fn poke_42_content_and_other_attributes_are_ignored_and_the_echo_is_empty() {
        let poke = Poke::of(&probe(
            "<poke xmlns='http://jabber.org/protocol/poke' why='love' method='touch'>x<y/></poke>",
        ));
        let bytes = poke.unwrap().to_bytes();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "<poke xmlns='http://jabber.org/protocol/poke' method='touch'/>"
        );
    }

    #[test]
    fn poke_11_c_04_c_05_c_07_every_failure_has_the_codes_of_the_document() {
        for (failure, code, kind, condition) in [
            (Failure::Unsupported, "503", "cancel", "service-unavailable"),
            (Failure::Forbidden, "403", "auth", "forbidden"),
            (Failure::NobodyAnswered, "408", "wait", "remote-server-timeout"),
            (Failure::UnknownUser, "404", "cancel", "item-not-found"),
            (Failure::Died, "302", "cancel", "gone"),
        ] {
            let stanza = Poke::default().failed(
                &address("juliet@capulet.com"),
                &address("romeo@montague.net/orchard"),
                Some("poke1"),
                failure,
            );
            let text = stanza.element().as_str().to_owned();
            let expected = format!(
                "<presence id='poke1' type='error'><poke xmlns='http://jabber.org/protocol/poke'/>\
                 <error code='{code}' type='{kind}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
            );
            assert!(text.starts_with(&expected), "{text}");
            assert_eq!(text.contains("<text "), failure == Failure::Died, "{text}");
        }
    }
}
