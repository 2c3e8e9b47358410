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
}

impl Default for Client {
    fn default() -> Self {
        Client {
            framer: Framer::new(Framing::Stream, ContentNamespace::Client, Limits::unlimited()),
        }
    }
}

impl Client {
    /// Takes bytes off the wire.
    ///
    /// # Errors
    /// When the server writes what it would not read.
    pub fn hear(&mut self, mut bytes: &[u8], heard: &mut Vec<Heard>) -> Result<(), XmlError> {
        while let Some(frame) = self.framer.next(&mut bytes)? {
            match frame {
                Frame::Open(header) => heard.push(Heard::Opened(Box::new(header))),
                Frame::Element(element) => heard.push(Heard::Element(Box::new(element))),
                Frame::Whitespace => {}
                Frame::Close => heard.push(Heard::Closed),
            }
        }
        Ok(())
    }

    /// A new stream begins (RFC 6120 §5.4.3.3, §6.4.6).
    pub fn restart(&mut self) {
        self.framer.restart();
    }
}
