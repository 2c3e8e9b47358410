//! Character data, and markup other than opening tags.

use super::{
    Flow, Scan, State,
    class::{NAME_START, SPACE, find_in_character_data, find_in_text, is},
    reference::reference,
};
use crate::{
    XmlError,
    element::offset,
    markup::{COMMENT, DOCUMENT_TYPE, PROCESSING_INSTRUCTION},
};

impl Scan {
    pub(super) fn text(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
        loop {
            self.at = find_in_text(bytes, self.at);
            let rest = &bytes[self.at..];
            match rest {
                [] => return Ok(Flow::Wait),
                [b'<', ..] => {
                    self.state = State::Markup;
                    return Ok(Flow::On);
                }
                [b'&', ..] => match reference(rest)? {
                    None => return Ok(Flow::Wait),
                    Some(reference) => {
                        self.is_plain &= reference.is_named;
                        self.at += reference.length;
                    }
                },
                [b']'] | [b']', b']'] => return Ok(Flow::Wait),
                [b']', b']', b'>', ..] => return Err(XmlError::NotWellFormed("]]> in character data")),
                [b']', ..] => self.at += 1,
                _ => {
                    if !self.unusual(rest)? {
                        return Ok(Flow::Wait);
                    }
                }
            }
        }
    }

    pub(super) fn character_data(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
        loop {
            self.at = find_in_character_data(bytes, self.at);
            let rest = &bytes[self.at..];
            match rest {
                [] | [b']'] | [b']', b']'] => return Ok(Flow::Wait),
                [b']', b']', b'>', ..] => {
                    self.at += 3;
                    self.state = State::Text;
                    return Ok(Flow::On);
                }
                [b']', ..] => self.at += 1,
                _ => {
                    if !self.unusual(rest)? {
                        return Ok(Flow::Wait);
                    }
                }
            }
        }
    }

    /// Judges a byte that is rare in character data and values; false when more bytes are needed.
    pub(super) fn unusual(&mut self, rest: &[u8]) -> Result<bool, XmlError> {
        match rest {
            [0xef] | [0xef, 0xbf] => return Ok(false),
            [0xef, 0xbf, 0xbe | 0xbf, ..] => return Err(NO_CHARACTER),
            [0xef, ..] => {}
            // Read as a line feed or space (XML 1.0 §2.11, §3.3.3).
            [b'\r', ..] => self.is_plain = false,
            _ => return Err(NO_CHARACTER),
        }
        self.at += 1;
        Ok(true)
    }

    pub(super) fn markup(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
        match bytes.get(self.at + 1) {
            None => return Ok(Flow::Wait),
            Some(b'/') => return self.closing_tag(bytes),
            Some(b'!') => return self.exclamation(bytes),
            Some(b'?') => return Err(PROCESSING_INSTRUCTION),
            Some(byte) if is(*byte, NAME_START) => {}
            Some(_) => return Err(XmlError::NotWellFormed("element name")),
        }
        self.tag.start = self.at;
        self.begin_name(self.at + 1);
        self.state = State::Name;
        Ok(Flow::On)
    }

    pub(super) fn closing_tag(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
        const MISMATCH: XmlError = XmlError::NotWellFormed("closing tag does not match");
        let name = self.open.last().map_or(&[][..], |name| name.of(bytes));
        let rest = &bytes[self.at + 2..];
        let known = rest.len().min(name.len());
        if rest[..known] != name[..known] {
            return Err(MISMATCH);
        }
        match rest.get(known) {
            None => Ok(Flow::Wait),
            Some(b'>') => {
                self.at += 3 + known;
                Ok(self.closed())
            }
            Some(byte) if is(*byte, SPACE) => {
                self.at += 2 + known;
                self.state = State::Closing;
                Ok(Flow::On)
            }
            Some(_) => Err(MISMATCH),
        }
    }

    pub(super) fn closing(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
        self.is_plain = false;
        let spaces = bytes[self.at..]
            .iter()
            .take_while(|byte| is(**byte, SPACE))
            .count();
        self.at += spaces;
        match bytes.get(self.at) {
            None => Ok(Flow::Wait),
            Some(b'>') => {
                self.at += 1;
                Ok(self.closed())
            }
            Some(_) => Err(XmlError::NotWellFormed("closing tag")),
        }
    }

    /// The innermost element is closed.
    pub(super) fn closed(&mut self) -> Flow {
        self.open.pop();
        let depth = self.open.len();
        self.inheriting = self.inheriting.min(depth);
        if depth == 1
            && let Some(child) = self.index.children.last_mut()
        {
            child.end = offset(self.at);
        }
        self.state = State::Text;
        if depth == 0 { Flow::End } else { Flow::On }
    }

    /// `<!` within an element: a CDATA section, or something forbidden.
    fn exclamation(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
        const OPENING: &[u8] = b"<![CDATA[";
        let rest = &bytes[self.at..];
        let known = rest.len().min(OPENING.len());
        if rest[..known] != OPENING[..known] {
            return match rest {
                [_, _, b'-'] => Ok(Flow::Wait),
                [_, _, b'-', b'-', ..] => Err(COMMENT),
                [_, _, b'A'..=b'Z', ..] => Err(DOCUMENT_TYPE),
                _ => Err(XmlError::NotWellFormed("markup")),
            };
        }
        if known == OPENING.len() {
            self.is_plain = false;
            self.at += known;
            self.state = State::CharacterData;
            return Ok(Flow::On);
        }
        Ok(Flow::Wait)
    }
}

const NO_CHARACTER: XmlError = XmlError::NotWellFormed("no XML character");
