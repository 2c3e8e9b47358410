//! A client's ear: bytes off the wire to what the server said.

use xml::{ContentNamespace, Element, Frame, Framer, Framing, Limits, StreamHeader, XmlError};

/// One thing that the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It opened its stream.
    Opened(Box<StreamHeader>),
    /// A stanza, or any other element.
    Element(Box<Element>),
    /// It closed its stream.
    Closed,
}

/// Cuts what comes into elements.
pub struct Client {
    framer: Framer,
    /// Read off the wire and not looked at.
    unread: Vec<u8>,
}

impl Default for Client {
    fn default() -> Self {
        let framer = Framer::new(Framing::Stream, ContentNamespace::Client, Limits::unlimited());
        Client {
            framer,
            unread: Vec::new(),
        }
    }
}

impl Client {
    /// Takes bytes off the wire.
    pub fn read(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next thing that was said; `None` until more is read.
    ///
    /// # Errors
    /// When the server writes what it would not read.
    pub fn hear(&mut self) -> Result<Option<Heard>, XmlError> {
        let mut rest = self.unread.as_slice();
        let heard = loop {
            break match self.framer.next(&mut rest)? {
                Some(Frame::Open(header)) => Some(Heard::Opened(Box::new(header))),
                Some(Frame::Element(element)) => Some(Heard::Element(Box::new(element))),
                Some(Frame::Whitespace) => continue,
                Some(Frame::Close) => Some(Heard::Closed),
                None => None,
            };
        };
        let taken = self.unread.len() - rest.len();
        self.unread.drain(..taken);
        Ok(heard)
    }

    /// A new stream begins with what comes next (RFC 6120 §5.4.3.3, §6.4.6).
    pub fn restart(&mut self) {
        self.framer.restart();
    }
}
