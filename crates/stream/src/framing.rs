//! How a stream is delimited on its transport: the one place that writes headers, features, errors and ends.

use stanza::{StreamError, Target, namespace};
use xml::{ContentNamespace, escape_attribute};

use crate::Features;

/// The framing of a transport.
///
/// TCP, with or without TLS, is one long document per direction. Where each message is a document of its own
/// (RFC 7395, XEP-0206), the same things are written in other words; whoever writes them asks this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One document per direction (RFC 6120 §4.2).
    Tcp,
    /// One element per message, `<open/>` and `<close/>` around them (RFC 7395 §3.3).
    WebSocket,
    /// Elements in the bodies of HTTP messages. Opening and closing are attributes of those bodies, written by whoever
    /// writes these (XEP-0206 §3, §4).
    Bosh,
}

/// What the header of a stream of ours says (RFC 6120 §4.7).
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The content namespace, declared as the default (RFC 6120 §4.8.2).
    pub content: ContentNamespace,
    /// Further prefixes with their namespaces, such as `db` for dialback (XEP-0220 §2).
    pub prefixes: &'a [(&'a str, &'a str)],
    /// Who speaks (RFC 6120 §4.7.1).
    pub from: Option<&'a str>,
    /// Who is spoken to (RFC 6120 §4.7.2).
    pub to: Option<&'a str>,
    /// The identifier that the receiving entity gives to the stream (RFC 6120 §4.7.3); `None` in an initial header.
    pub id: Option<&'a str>,
    /// Whether `version='1.0'` stands in it: not in the answer to a header without (RFC 6120 §4.7.5 rule 4).
    pub version: bool,
    /// The language of our texts (RFC 6120 §4.7.4).
    pub lang: &'a str,
}

impl Framing {
    /// How input is cut.
    pub fn input(self) -> xml::Framing {
        match self {
            Framing::Tcp => xml::Framing::Stream,
            Framing::WebSocket | Framing::Bosh => xml::Framing::Elements,
        }
    }

    /// How stanzas are written.
    pub fn target(self) -> Target {
        match self {
            Framing::Tcp => Target::Stream,
            // RFC 7395 §3.3.3, XEP-0206 §3
            Framing::WebSocket | Framing::Bosh => Target::Alone(ContentNamespace::Client),
        }
    }

    /// Opens a stream (RFC 6120 §4.2, RFC 7395 §3.4).
    pub fn write_opening(self, opening: &Opening<'_>, out: &mut Vec<u8>) {
        match self {
            Framing::Tcp => {
                out.extend_from_slice(b"<?xml version='1.0'?><stream:stream");
                write_attribute(out, "xmlns", opening.content.as_str());
                write_attribute(out, "xmlns:stream", namespace::STREAMS);
                for (prefix, namespace) in opening.prefixes {
                    out.extend_from_slice(b" xmlns:");
                    out.extend_from_slice(prefix.as_bytes());
                    out.extend_from_slice(b"='");
                    escape_attribute(out, namespace);
                    out.push(b'\'');
                }
                opening.write_attributes(out);
                out.push(b'>');
            }
            Framing::WebSocket => {
                out.extend_from_slice(b"<open");
                write_attribute(out, "xmlns", namespace::FRAMING);
                opening.write_attributes(out);
                out.extend_from_slice(b"/>");
            }
            Framing::Bosh => {}
        }
    }

    /// Announces what can be negotiated (RFC 6120 §4.3.2).
    pub fn write_features(self, features: &Features, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<stream:features");
        self.declare_prefix(out);
        out.push(b'>');
        features.write_children(out);
        out.extend_from_slice(b"</stream:features>");
    }

    /// The error before the end (RFC 6120 §4.9.2).
    pub fn write_error(self, error: &StreamError, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<stream:error");
        self.declare_prefix(out);
        out.push(b'>');
        error.write_children(out);
        out.extend_from_slice(b"</stream:error>");
    }

    /// Ends the stream (RFC 6120 §4.4, RFC 7395 §3.6).
    pub fn write_closing(self, out: &mut Vec<u8>) {
        match self {
            Framing::Tcp => out.extend_from_slice(b"</stream:stream>"),
            Framing::WebSocket => {
                out.extend_from_slice(b"<close");
                write_attribute(out, "xmlns", namespace::FRAMING);
                out.extend_from_slice(b"/>");
            }
            Framing::Bosh => {}
        }
    }

    /// Declares the prefix of streams where no header around the element does (RFC 7395 §3.3.3).
    fn declare_prefix(self, out: &mut Vec<u8>) {
        match self {
            Framing::Tcp => {}
            Framing::WebSocket | Framing::Bosh => write_attribute(out, "xmlns:stream", namespace::STREAMS),
        }
    }
}

impl Opening<'_> {
    /// What a header says in every framing (RFC 6120 §4.7).
    fn write_attributes(&self, out: &mut Vec<u8>) {
        for (name, value) in [("id", self.id), ("from", self.from), ("to", self.to)] {
            if let Some(value) = value {
                write_attribute(out, name, value);
            }
        }
        if self.version {
            write_attribute(out, "version", "1.0");
        }
        write_attribute(out, "xml:lang", self.lang);
    }
}

fn write_attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape_attribute(out, value);
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use xml::{Frame, Framer, Limits};

    #[test]
    fn rfc6120_4_2_the_response_header_is_written_as_the_rfc_shows_it() {
        let opening = Opening {
            content: ContentNamespace::Client,
            prefixes: &[],
            from: Some("im.example.com"),
            to: Some("juliet@im.example.com"),
            id: Some("++TR84Sm6A3hnt3Q065SnAbbk3Y="),
            version: true,
            lang: "en",
        };
        let mut out = Vec::new();
        Framing::Tcp.write_opening(&opening, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' id='++TR84Sm6A3hnt3Q065SnAbbk3Y=' from='im.example.com' \
             to='juliet@im.example.com' version='1.0' xml:lang='en'>"
        );
    }

    #[test]
    fn rfc7395_3_3_3_what_stands_in_a_message_stands_for_itself() {
        let opening = Opening {
            content: ContentNamespace::Client,
            prefixes: &[],
            from: Some("example.com"),
            to: None,
            id: Some("++TR84Sm6A3hnt3Q065SnAbbk3Y="),
            version: true,
            lang: "en",
        };
        let error = StreamError::new(stanza::StreamCondition::HostUnknown);
        let written = |write: &dyn Fn(Framing, &mut Vec<u8>), framing| {
            let mut out = Vec::new();
            write(framing, &mut out);
            String::from_utf8(out).unwrap()
        };
        type Write<'w> = &'w dyn Fn(Framing, &mut Vec<u8>);
        let cases: [(Write<'_>, &str, &str); 4] = [
            (
                &|framing, out| framing.write_opening(&opening, out),
                "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='++TR84Sm6A3hnt3Q065SnAbbk3Y=' \
                 from='example.com' version='1.0' xml:lang='en'/>",
                "",
            ),
            (
                &|framing, out| framing.write_features(&Features::default(), out),
                "<stream:features xmlns:stream='http://etherx.jabber.org/streams'></stream:features>",
                "<stream:features xmlns:stream='http://etherx.jabber.org/streams'></stream:features>",
            ),
            (
                &|framing, out| framing.write_error(&error, out),
                "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>\
                 <host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
                "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>\
                 <host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            ),
            (
                &|framing, out| framing.write_closing(out),
                "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
                "",
            ),
        ];
        for (write, web_socket, bosh) in cases {
            assert_eq!(written(write, Framing::WebSocket), web_socket);
            assert_eq!(written(write, Framing::Bosh), bosh);
        }
    }

    #[test]
    fn what_we_open_and_close_is_read_as_a_stream() {
        let opening = Opening {
            content: ContentNamespace::Server,
            prefixes: &[("db", "jabber:server:dialback")],
            from: Some("montague.lit"),
            to: Some("it's <odd> & \"quoted\""),
            id: None,
            version: false,
            lang: "en",
        };
        let mut out = Vec::new();
        Framing::Tcp.write_opening(&opening, &mut out);
        Framing::Tcp.write_closing(&mut out);
        let mut framer = Framer::new(Framing::Tcp.input(), ContentNamespace::Server, Limits::default());
        let mut input = out.as_slice();
        let Ok(Some(Frame::Open(header))) = framer.next(&mut input) else {
            panic!("no header")
        };
        assert_eq!(header.to.as_deref(), opening.to);
        assert_eq!((header.id, header.version), (None, None));
        assert_eq!(
            header
                .prefixes
                .iter()
                .filter(|(prefix, _)| prefix == "db")
                .count(),
            1
        );
        assert_eq!(framer.next(&mut input), Ok(Some(Frame::Close)));
    }
}
