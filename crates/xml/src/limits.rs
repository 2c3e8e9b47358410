//! How much one stream may send in one piece.

use crate::{LimitName, XmlError};

/// Limits of one stream's input. All are inclusive maxima, checked while the bytes arrive: nothing larger is ever held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one top-level element or of the stream header.
    pub stanza_bytes: usize,
    /// Elements inside each other; the top-level element is at depth 1.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Bytes of one element or attribute name, prefix included.
    pub name_bytes: usize,
    /// Direct children of one top-level element.
    pub children: usize,
}

impl Limits {
    /// For bytes that we wrote ourselves or let in before: only what the index can hold and what keeps recursion
    /// over a [`Tree`](crate::Tree) within any stack.
    pub fn unlimited() -> Limits {
        Limits {
            stanza_bytes: STANZA_BYTES_MAX,
            depth: DEPTH_MAX,
            attributes: usize::MAX,
            name_bytes: usize::MAX,
            children: usize::from(u16::MAX),
        }
    }

    /// Spans are kept in 32 bits, children are numbered in 16, and trees are walked by recursion.
    pub(crate) fn clamped(mut self) -> Limits {
        self.stanza_bytes = self.stanza_bytes.min(STANZA_BYTES_MAX);
        self.depth = self.depth.min(DEPTH_MAX);
        self.children = self.children.min(usize::from(u16::MAX));
        self
    }
}

/// What [`Element`](crate::Element) can address at all, whatever the configuration says.
const STANZA_BYTES_MAX: usize = 1 << 30;

/// Recursion as deep as this fits on any stack.
const DEPTH_MAX: usize = 1_024;

impl Default for Limits {
    /// Roomy enough for any client or server in use: RFC 6120 §13.12 asks for at least 10,000 bytes per stanza.
    fn default() -> Limits {
        Limits {
            stanza_bytes: 262_144,
            depth: 64,
            attributes: 64,
            name_bytes: 512,
            children: 4_096,
        }
    }
}

/// Refuses `value` beyond `max`.
#[inline(always)]
pub(crate) fn check(value: usize, max: usize, name: LimitName) -> Result<(), XmlError> {
    if value > max {
        Err(XmlError::Limit(name))
    } else {
        Ok(())
    }
}
