//! The header of the peer, judged (RFC 6120 §4.7, §4.8).

use std::sync::Arc;

use stanza::{Address, BadAddress, StreamCondition, StreamError, namespace};
use xml::{ContentNamespace, StreamHeader};

/// What the peer's header says, parsed as far as it can be.
#[derive(Clone, Debug)]
pub struct PeerHeader {
    /// To whom the peer wants to speak (RFC 6120 §4.7.2).
    pub to: Option<Result<Address, BadAddress>>,
    /// Who the peer says it is; nothing of that is proven (RFC 6120 §4.7.1).
    pub from: Option<Result<Address, BadAddress>>,
    /// The identifier that a receiving entity gave to the stream; ignored in an initial header (RFC 6120 §4.7.3).
    pub id: Option<String>,
    /// The version of XMPP; `None` when there is none that can be read, which means 0.9 (RFC 6120 §4.7.5).
    pub version: Option<Version>,
    /// The language of stanzas that name none (RFC 6120 §4.7.4).
    pub lang: Option<Arc<str>>,
    /// Whether a prefix for dialback is declared, which is how servers say that they know it (XEP-0220 §2.4.1).
    pub dialback: bool,
    /// The default namespace, when one is declared.
    default_namespace: Option<String>,
}

/// A version of XMPP: two numbers, not a fraction (RFC 6120 §4.7.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Raised when older entities could no longer take part.
    pub major: u32,
    /// Raised with new capabilities.
    pub minor: u32,
}

impl Version {
    /// Reads `major.minor`.
    pub fn parse(text: &str) -> Option<Version> {
        let (major, minor) = text.split_once('.')?;
        // Leading zeros are ignored; a sign, which `parse` would take, is none of the syntax.
        let number = |digits: &str| {
            digits
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| digits.parse().ok())
                .flatten()
        };
        Some(Version {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

impl PeerHeader {
    /// Reads a header. Nothing is an error yet: an answer needs what can be read of a faulty header too.
    pub fn read(header: StreamHeader) -> PeerHeader {
        let address = |text: Option<String>| {
            text.filter(|text| !text.is_empty())
                .map(|text| Address::parse(&text))
        };
        PeerHeader {
            to: address(header.to),
            from: address(header.from),
            id: header.id,
            version: header.version.as_deref().and_then(Version::parse),
            lang: header
                .lang
                .as_deref()
                .filter(|lang| is_language(lang))
                .map(Arc::from),
            dialback: header
                .prefixes
                .iter()
                .any(|(_, name)| name == namespace::DIALBACK),
            default_namespace: header.content_namespace,
        }
    }

    /// What makes a stream under this header impossible, whoever is named in it: another content namespace
    /// (RFC 6120 §4.8.3), or a version without features (§4.7.5) or unknown to us (§4.9.3.25).
    pub fn fault(&self, content: ContentNamespace) -> Option<StreamError> {
        let namespace_is_right = match self.default_namespace.as_deref() {
            // RFC 6120 §4.8.2: each first-level element may declare the content namespace for itself.
            None | Some(namespace::STREAMS) => true,
            Some(default) => default == content.as_str(),
        };
        if !namespace_is_right {
            let text = format!("This stream carries {} only.", content.as_str());
            return Some(StreamError::new(StreamCondition::InvalidNamespace).text(text));
        }
        match self.version {
            Some(Version { major: 1, minor: _ }) => None,
            Some(_) | None => {
                Some(StreamError::new(StreamCondition::UnsupportedVersion).text("XMPP 1.0 is spoken here."))
            }
        }
    }

    /// Whether our answer may name a version (RFC 6120 §4.7.5 rule 4).
    pub fn has_version(&self) -> bool {
        self.version.is_some()
    }
}

/// Longest language tag that is taken over onto stanzas. RFC 5646 §4.4.1 asks for 35.
const LANGUAGE_BYTES_MAX: usize = 64;

/// Whether this looks like a language tag (RFC 5646 §2.1): alphanumeric subtags of one to eight characters. Anything
/// else is forgotten instead of being put on stanzas (RFC 6120 §8.1.5).
fn is_language(text: &str) -> bool {
    text.len() <= LANGUAGE_BYTES_MAX
        && text.split('-').all(|subtag| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> StreamHeader {
        StreamHeader {
            content_namespace: Some("jabber:client".into()),
            version: Some("1.0".into()),
            ..StreamHeader::default()
        }
    }

    fn fault(header: StreamHeader) -> Option<StreamCondition> {
        PeerHeader::read(header)
            .fault(ContentNamespace::Client)
            .map(|error| error.condition)
    }

    #[test]
    fn rfc6120_4_7_5_versions_are_two_numbers() {
        for (text, version) in [
            ("1.0", Some((1, 0))),
            ("2.13", Some((2, 13))),
            ("6.01", Some((6, 1))),
            ("01.0", Some((1, 0))),
            ("1", None),
            ("", None),
            (".", None),
            ("1.", None),
            ("+1.0", None),
            ("1.-0", None),
            ("1.0.0", None),
            ("99999999999.0", None),
        ] {
            assert_eq!(
                Version::parse(text),
                version.map(|(major, minor)| Version { major, minor }),
                "{text:?}"
            );
        }
        assert!(Version::parse("2.4") < Version::parse("2.13"));
        assert!(Version::parse("2.13") < Version::parse("12.3"));
    }

    #[test]
    fn rfc6120_4_7_5_only_version_1_is_spoken() {
        for (version, expected) in [
            (Some("1.0"), None),
            (Some("1.7"), None),
            (None, Some(StreamCondition::UnsupportedVersion)),
            (Some("0.9"), Some(StreamCondition::UnsupportedVersion)),
            (Some("11.0"), Some(StreamCondition::UnsupportedVersion)),
            (Some("nonsense"), Some(StreamCondition::UnsupportedVersion)),
        ] {
            assert_eq!(
                fault(StreamHeader {
                    version: version.map(str::to_owned),
                    ..header()
                }),
                expected,
                "{version:?}"
            );
        }
    }

    #[test]
    fn rfc6120_4_8_3_only_the_content_namespace_of_this_kind_of_stream_is_taken() {
        for (default, expected) in [
            (None, None),
            (Some("jabber:client"), None),
            (Some("http://etherx.jabber.org/streams"), None),
            (Some("jabber:server"), Some(StreamCondition::InvalidNamespace)),
            (Some("urn:other"), Some(StreamCondition::InvalidNamespace)),
        ] {
            let header = StreamHeader {
                content_namespace: default.map(str::to_owned),
                ..header()
            };
            assert_eq!(fault(header), expected, "{default:?}");
        }
    }

    #[test]
    fn rfc6120_8_1_5_only_language_tags_are_remembered() {
        for (lang, kept) in [
            ("en", true),
            ("de-CH-1996", true),
            ("", false),
            ("en'", false),
            ("en-", false),
            ("toolongsubtag", false),
            (
                "a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v-w-x-y-z-0-1-2-3-4-5-6-7",
                false,
            ),
        ] {
            let peer = PeerHeader::read(StreamHeader {
                lang: Some(lang.to_owned()),
                ..header()
            });
            assert_eq!(peer.lang.is_some(), kept, "{lang:?}");
        }
    }

    #[test]
    fn xep0220_2_4_1_the_namespace_of_dialback_is_seen_under_any_prefix() {
        let declares = |prefix: &str, namespace: &str| {
            let prefixes = vec![(prefix.to_owned(), namespace.to_owned())];
            PeerHeader::read(StreamHeader { prefixes, ..header() }).dialback
        };
        assert!(declares("db", "jabber:server:dialback"));
        assert!(declares("x", "jabber:server:dialback"));
        assert!(!declares("db", "urn:other"));
    }

    #[test]
    fn an_empty_address_counts_as_none_and_a_bad_one_is_told_apart() {
        let header = StreamHeader {
            to: Some(String::new()),
            from: Some("a@b@c".into()),
            ..header()
        };
        let peer = PeerHeader::read(header);
        assert!(peer.to.is_none());
        assert!(matches!(peer.from, Some(Err(_))));
    }
}
