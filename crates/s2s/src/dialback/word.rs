//! `<db:result/>` and `<db:verify/>`: questions, answers and errors (XEP-0220 §2.1 to §2.5).

use stanza::Address;
use stanza::namespace::{DIALBACK, STANZA_ERRORS};
use xml::{Element, escape_attribute, escape_text};

use super::Key;

/// One element of dialback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) verb: Verb,
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) content: Content,
}

/// What is asked or answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// May stanzas of this pair be sent (steps 1 and 4)?
    Result,
    /// Was this key made by you, for the stream of this identifier (steps 2 and 3)?
    Verify(String),
}

/// The question, or one of the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Key(Key),
    Valid,
    Invalid,
    Error(DialbackError),
}

/// The element is one of dialback, and cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Why a pair of domains was neither accepted nor found to be forged (XEP-0220 §2.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DialbackError {
    /// The domain that was asked for is not served there.
    ItemNotFound,
    /// The authoritative server could not be reached.
    RemoteConnectionFailed,
    /// The authoritative server does not know the domain.
    RemoteServerNotFound,
    /// The authoritative server did not answer.
    RemoteServerTimeout,
    /// TLS is required, or the domain is not welcome.
    PolicyViolation,
    /// A certificate is required.
    NotAuthorized,
    /// The authoritative server did not make the key.
    Forbidden,
    /// The identity could not be established.
    NotAcceptable,
    /// There are too many pairs on this stream.
    ResourceConstraint,
    /// Another condition: the list is not exhaustive.
    Other(String),
}

impl DialbackError {
    const KNOWN: [DialbackError; 9] = [
        DialbackError::ItemNotFound,
        DialbackError::RemoteConnectionFailed,
        DialbackError::RemoteServerNotFound,
        DialbackError::RemoteServerTimeout,
        DialbackError::PolicyViolation,
        DialbackError::NotAuthorized,
        DialbackError::Forbidden,
        DialbackError::NotAcceptable,
        DialbackError::ResourceConstraint,
    ];

    /// The name of the condition's element.
    pub fn as_str(&self) -> &str {
        match self {
            DialbackError::ItemNotFound => "item-not-found",
            DialbackError::RemoteConnectionFailed => "remote-connection-failed",
            DialbackError::RemoteServerNotFound => "remote-server-not-found",
            DialbackError::RemoteServerTimeout => "remote-server-timeout",
            DialbackError::PolicyViolation => "policy-violation",
            DialbackError::NotAuthorized => "not-authorized",
            DialbackError::Forbidden => "forbidden",
            DialbackError::NotAcceptable => "not-acceptable",
            DialbackError::ResourceConstraint => "resource-constraint",
            DialbackError::Other(name) => name,
        }
    }

    /// The type of the error (RFC 6120 §8.3.2).
    fn kind(&self) -> &'static str {
        match self {
            DialbackError::ItemNotFound
            | DialbackError::RemoteServerNotFound
            | DialbackError::PolicyViolation
            | DialbackError::NotAcceptable
            | DialbackError::Other(_) => "cancel",
            DialbackError::NotAuthorized | DialbackError::Forbidden => "auth",
            DialbackError::RemoteConnectionFailed
            | DialbackError::RemoteServerTimeout
            | DialbackError::ResourceConstraint => "wait",
        }
    }

    fn named(name: &str) -> DialbackError {
        let known = DialbackError::KNOWN
            .into_iter()
            .find(|known| known.as_str() == name);
        known.unwrap_or_else(|| DialbackError::Other(name.to_owned()))
    }
}

impl Word {
    /// Reads an element; `None` when it is none of dialback.
    pub(crate) fn read(element: &Element) -> Option<Result<Word, Malformed>> {
        if element.namespace() != DIALBACK {
            return None;
        }
        let verb = match element.name() {
            "result" => Verb::Result,
            "verify" => Verb::Verify(element.attribute("id").unwrap_or_default().into_owned()),
            _ => return None,
        };
        Some(Word::read_rest(verb, element).ok_or(Malformed))
    }

    fn read_rest(verb: Verb, element: &Element) -> Option<Word> {
        if verb == Verb::Verify(String::new()) {
            return None;
        }
        let domain = |name| Address::domain(&element.attribute(name)?).ok();
        let content = match element.attribute("type").as_deref() {
            None => Content::Key(Key::new(&element.text())),
            Some("valid") => Content::Valid,
            Some("invalid") => Content::Invalid,
            Some("error") => Content::Error(read_error(element)),
            Some(_) => return None,
        };
        Some(Word {
            verb,
            from: domain("from")?,
            to: domain("to")?,
            content,
        })
    }

    /// Writes the element, with the prefix that our stream headers declare (XEP-0220 §2).
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (name, id) = match &self.verb {
            Verb::Result => ("db:result", None),
            Verb::Verify(id) => ("db:verify", Some(id)),
        };
        out.push(b'<');
        out.extend_from_slice(name.as_bytes());
        write_attribute(out, "from", self.from.as_str());
        write_attribute(out, "to", self.to.as_str());
        if let Some(id) = id {
            write_attribute(out, "id", id);
        }
        match &self.content {
            Content::Key(key) => {
                out.push(b'>');
                escape_text(out, key.as_str());
                out.extend_from_slice(format!("</{name}>").as_bytes());
            }
            Content::Valid => out.extend_from_slice(b" type='valid'/>"),
            Content::Invalid => out.extend_from_slice(b" type='invalid'/>"),
            Content::Error(error) => {
                let (kind, condition) = (error.kind(), error.as_str());
                let rest = format!(
                    " type='error'><error type='{kind}'><{condition} xmlns='{STANZA_ERRORS}'/></error></{name}>"
                );
                out.extend_from_slice(rest.as_bytes());
            }
        }
    }
}

/// The condition, wherever the `<error/>` is said to belong: some qualify it by the namespace of dialback.
fn read_error(element: &Element) -> DialbackError {
    let error = element.children().find(|child| child.name() == "error");
    let tree = error.map(|error| error.to_tree());
    let condition = tree.as_ref().and_then(|error| {
        let mut conditions = error.children().filter(|child| child.namespace == STANZA_ERRORS);
        conditions
            .find(|child| child.name != "text")
            .map(|child| child.name.as_str())
    });
    DialbackError::named(condition.unwrap_or("undefined-condition"))
}

fn write_attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(format!(" {name}='").as_bytes());
    escape_attribute(out, value);
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use xml::{ContentNamespace, Frame, Framer, Framing, Limits};

    /// Reads what stands on a stream of servers.
    fn read(text: &str) -> Option<Result<Word, Malformed>> {
        let header = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
        let mut framer = Framer::new(Framing::Stream, ContentNamespace::Server, Limits::default());
        let whole = format!("{header}{text}");
        let mut input = whole.as_bytes();
        framer.next(&mut input).unwrap();
        match framer.next(&mut input).unwrap() {
            Some(Frame::Element(element)) => Word::read(&element),
            other => panic!("{other:?}"),
        }
    }

    fn address(domain: &str) -> Address {
        Address::domain(domain).unwrap()
    }

    #[test]
    fn xep0220_2_1_1_the_examples_are_understood() {
        let word = read(
            "<db:result from='capulet.example' to='montague.example'>\n  b4835385f37fe2895af6c196b59097b1\n</db:result>",
        );
        let expected = Word {
            verb: Verb::Result,
            from: address("capulet.example"),
            to: address("montague.example"),
            content: Content::Key(Key::new("b4835385f37fe2895af6c196b59097b1")),
        };
        assert_eq!(word, Some(Ok(expected)));
        let word = read(
            "<db:verify from='montague.example' id='417GAF25' to='capulet.example' type='error'><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>",
        );
        let expected = Word {
            verb: Verb::Verify(String::from("417GAF25")),
            from: address("montague.example"),
            to: address("capulet.example"),
            content: Content::Error(DialbackError::ItemNotFound),
        };
        assert_eq!(word, Some(Ok(expected)));
    }

    #[test]
    fn xep0220_2_what_is_written_is_read_again() {
        let contents = DialbackError::KNOWN.into_iter().map(Content::Error);
        let contents = contents.chain([
            Content::Valid,
            Content::Invalid,
            Content::Key(Key::new("a1<&")),
            Content::Error(DialbackError::Other(String::from("conflict"))),
        ]);
        for content in contents {
            for verb in [Verb::Result, Verb::Verify(String::from("it's \"<1>\""))] {
                let word = Word {
                    verb,
                    from: address("capulet.lit"),
                    to: address("montague.lit"),
                    content: content.clone(),
                };
                let mut out = Vec::new();
                word.write(&mut out);
                assert_eq!(read(&String::from_utf8(out).unwrap()), Some(Ok(word)));
            }
        }
    }

    #[test]
    fn xep0220_6_1_what_the_schema_demands_must_be_there() {
        for text in [
            "<db:result to='montague.lit'>k</db:result>",
            "<db:result from='capulet.lit'>k</db:result>",
            "<db:result from='' to='montague.lit'>k</db:result>",
            "<db:result from='juliet@capulet.lit' to='montague.lit'>k</db:result>",
            "<db:result from='a@b@c' to='montague.lit'>k</db:result>",
            "<db:result from='capulet.lit' to='montague.lit' type='maybe'/>",
            "<db:verify from='capulet.lit' to='montague.lit'>k</db:verify>",
            "<db:verify from='capulet.lit' to='montague.lit' id=''>k</db:verify>",
        ] {
            assert_eq!(read(text), Some(Err(Malformed)), "{text}");
        }
        assert_eq!(read("<db:other from='a.lit' to='b.lit'/>"), None);
        assert_eq!(read("<result xmlns='urn:x' from='a.lit' to='b.lit'/>"), None);
        let bare = read("<db:result from='capulet.lit' to='montague.lit' type='error'/>")
            .unwrap()
            .unwrap();
        assert_eq!(
            bare.content,
            Content::Error(DialbackError::Other(String::from("undefined-condition")))
        );
    }
}
