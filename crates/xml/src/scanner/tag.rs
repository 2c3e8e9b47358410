//! Opening tags: names, attributes, and what they say about namespaces.

use super::{
    Flow, Scan, Span, State,
    class::{CLASS, COLON, NAME, NAME_START, SPACE, WIDE, find_in_value, is, position},
    name,
    reference::reference,
};
use crate::{
    LimitName, Limits, XmlError,
    element::{AttributeAt, ChildAt, NamespaceAt, offset},
    escape::unescape,
    limits::check,
    namespace::{XML_NAMESPACE, XMLNS_NAMESPACE, is_content},
    reference::Piece,
};

impl Scan {
    pub(super) fn begin_name(&mut self, at: usize) {
        self.at = at;
        self.token = at;
        self.name_classes = 0;
    }

    /// Reads on in a name; true when it is complete.
    #[inline(always)]
    fn read_name(&mut self, bytes: &[u8], limits: &Limits) -> Result<bool, XmlError> {
        let rest = &bytes[self.at..];
        let mut seen = self.name_classes;
        let length = position(rest, |byte| {
            let classes = CLASS[usize::from(byte)];
            seen |= classes;
            classes & NAME == 0
        });
        self.name_classes = seen;
        self.at += length.unwrap_or(rest.len());
        if self.at - self.token > limits.name_bytes {
            // Wherever the read ended, the fault is found at the same byte.
            self.at = self.token + limits.name_bytes + 1;
            return Err(XmlError::Limit(LimitName::NameBytes));
        }
        if length.is_some() && seen & WIDE != 0 {
            judge_wide_name(&bytes[self.token..self.at])?;
        }
        Ok(length.is_some())
    }

    pub(super) fn name(&mut self, bytes: &[u8], limits: &Limits) -> Result<Flow, XmlError> {
        if !self.read_name(bytes, limits)? {
            return Ok(Flow::Wait);
        }
        self.is_plain &= self.name_classes & COLON == 0;
        check(self.open.len() + 1, limits.depth, LimitName::Depth)?;
        if self.open.len() == 1 {
            check(
                self.index.children.len() + 1,
                limits.children,
                LimitName::Children,
            )?;
        }
        self.tag.name_end = self.at;
        self.usual_attributes(bytes, limits)?;
        self.state = State::AfterName;
        Ok(Flow::On)
    }

    /// Reads whole attributes as nearly everybody writes them: ` name='value'` without surprises. It stops before the
    /// first one that is written in another way, ill-formed or cut off, and leaves that to the steps.
    #[inline(always)]
    fn usual_attributes(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), XmlError> {
        while let [b' ', rest @ ..] = &bytes[self.at..] {
            let start = self.at + 1;
            let mut seen = 0;
            let name_length = position(rest, |byte| {
                let classes = CLASS[usize::from(byte)];
                seen |= classes;
                classes & NAME == 0
            });
            let Some(name_length) = name_length else { break };
            let (name, rest) = rest.split_at(name_length);
            let [b'=', quote @ (b'\'' | b'"'), rest @ ..] = rest else {
                break;
            };
            let value_length = find_in_value(rest, 0);
            if rest.get(value_length) != Some(quote)
                || !name.first().is_some_and(|first| is(*first, NAME_START))
                || (seen & (COLON | WIDE) != 0 && !is_in_xml_namespace(name))
            {
                break;
            }
            check(name_length, limits.name_bytes, LimitName::NameBytes)?;
            self.attribute.start = offset(start);
            self.attribute.name_end = offset(start + name_length);
            self.token = start + name_length + 2;
            self.value_has_reference = false;
            self.at = self.token + value_length;
            self.attribute_complete(bytes, limits)?;
            self.at += 1;
        }
        Ok(())
    }

    /// Behind a name or value, and then perhaps behind white space, which must stand before an attribute.
    #[inline(always)]
    pub(super) fn within_tag(&mut self, bytes: &[u8], is_default_content: bool) -> Result<Flow, XmlError> {
        let mut is_spaced = self.state == State::AfterSpace;
        loop {
            match &bytes[self.at..] {
                [byte, ..] if is(*byte, SPACE) => {
                    self.is_plain &= *byte != b'\r';
                    is_spaced = true;
                    self.at += 1;
                }
                [byte, ..] if is_spaced && is(*byte, NAME_START) => {
                    self.begin_name(self.at);
                    self.state = State::AttributeName;
                    return Ok(Flow::On);
                }
                [b'>', ..] => {
                    self.at += 1;
                    return self.opened(bytes, is_default_content);
                }
                [b'/', b'>', ..] => {
                    self.at += 2;
                    let opened = self.opened(bytes, is_default_content)?;
                    return Ok(if let Flow::On = opened {
                        self.closed()
                    } else {
                        opened
                    });
                }
                [] | [b'/'] => {
                    self.state = if is_spaced {
                        State::AfterSpace
                    } else {
                        State::AfterName
                    };
                    return Ok(Flow::Wait);
                }
                _ => return Err(XmlError::NotWellFormed("tag")),
            }
        }
    }

    pub(super) fn attribute_name(&mut self, bytes: &[u8], limits: &Limits) -> Result<Flow, XmlError> {
        if !self.read_name(bytes, limits)? {
            return Ok(Flow::Wait);
        }
        self.attribute.start = offset(self.token);
        self.attribute.name_end = offset(self.at);
        if self.name_classes & COLON != 0 {
            self.is_plain &= is_in_xml_namespace(&bytes[self.token..self.at]);
        }
        // The usual spelling needs no step of its own.
        if let [b'=', quote @ (b'\'' | b'"'), ..] = bytes[self.at..] {
            self.at += 2;
            self.begin_value(quote);
            return self.value(bytes, quote, limits);
        }
        self.state = State::Equals;
        Ok(Flow::On)
    }

    pub(super) fn equals(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
        match bytes.get(self.at) {
            None => return Ok(Flow::Wait),
            Some(b'=') => self.state = State::Quote,
            Some(byte) if is(*byte, SPACE) => self.is_plain = false,
            Some(_) => return Err(XmlError::NotWellFormed("attribute without a value")),
        }
        self.at += 1;
        Ok(Flow::On)
    }

    pub(super) fn quote(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
        match bytes.get(self.at) {
            None => return Ok(Flow::Wait),
            Some(quote @ (b'\'' | b'"')) => {
                self.at += 1;
                self.begin_value(*quote);
                return Ok(Flow::On);
            }
            Some(byte) if is(*byte, SPACE) => self.is_plain = false,
            Some(_) => return Err(XmlError::NotWellFormed("attribute without quotes")),
        }
        self.at += 1;
        Ok(Flow::On)
    }

    fn begin_value(&mut self, quote: u8) {
        self.token = self.at;
        self.value_has_reference = false;
        self.state = State::Value(quote);
    }

    pub(super) fn value(&mut self, bytes: &[u8], quote: u8, limits: &Limits) -> Result<Flow, XmlError> {
        loop {
            self.at = find_in_value(bytes, self.at);
            let rest = &bytes[self.at..];
            match rest {
                [] => return Ok(Flow::Wait),
                [byte, ..] if *byte == quote => {
                    self.attribute_complete(bytes, limits)?;
                    self.at += 1;
                    self.state = State::AfterName;
                    return Ok(Flow::On);
                }
                [b'&', ..] => match reference(rest)? {
                    None => return Ok(Flow::Wait),
                    Some(reference) => {
                        self.is_plain &= reference.is_named;
                        self.value_has_reference = true;
                        self.at += reference.length;
                    }
                },
                [b'\'' | b'"' | b'>' | b'\t' | b'\n', ..] => {
                    self.is_plain = false;
                    self.at += 1;
                }
                [b'<', ..] => return Err(XmlError::NotWellFormed("< in a value")),
                _ => {
                    if !self.unusual(rest)? {
                        return Ok(Flow::Wait);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn attribute_complete(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), XmlError> {
        let attribute = AttributeAt {
            value_end: offset(self.at),
            ..self.attribute
        };
        let length = attribute.name_end - attribute.start;
        let name = &bytes[attribute.start as usize..attribute.name_end as usize];
        check(
            self.tag.attributes.len() + 1,
            limits.attributes,
            LimitName::Attributes,
        )?;
        let is_same = |other: &AttributeAt| {
            other.name_end - other.start == length
                && bytes[other.start as usize..other.name_end as usize] == *name
        };
        if self.tag.attributes.iter().any(is_same) {
            return Err(XmlError::NotWellFormed("duplicate attribute"));
        }
        self.tag.attributes.push(attribute);
        if name == b"xmlns" {
            self.declaration(&bytes[self.token..self.at]);
        }
        Ok(())
    }

    /// The tag declares its default namespace, with this raw value.
    fn declaration(&mut self, value: &[u8]) {
        let reserved = [XML_NAMESPACE.as_bytes(), XMLNS_NAMESPACE.as_bytes()].contains(&value);
        self.is_plain &= !value.is_empty() && !reserved;
        self.tag.xmlns_value = Span {
            start: offset(self.token),
            end: offset(self.at),
        };
        let is_indexed = self.open.len() <= 1;
        self.tag.xmlns = if self.value_has_reference && is_indexed {
            // A value that is no UTF-8 is found at the end.
            let raw = String::from_utf8_lossy(value);
            self.unescaped.push(unescape(&raw).into());
            NamespaceAt::Unescaped(offset(self.unescaped.len() - 1))
        } else {
            NamespaceAt::Written {
                start: offset(self.token),
                end: offset(self.at),
            }
        };
    }

    /// An opening tag is complete, and its element open.
    #[inline(always)]
    pub(super) fn opened(&mut self, bytes: &[u8], is_default_content: bool) -> Result<Flow, XmlError> {
        let parent_inherits = self.inheriting == self.open.len();
        let is_declared = self.tag.xmlns != NamespaceAt::Inherited;
        match self.open.len() {
            0 => {
                self.is_plain &= is_declared || is_default_content;
                self.head_xmlns = self.tag.xmlns_value;
                self.index.namespace = self.tag.xmlns;
                self.index.name_end = offset(self.tag.name_end);
                self.index.head_end = offset(self.at);
                self.index.attributes = std::mem::take(&mut self.tag.attributes);
                self.inheriting = 1;
                if self.piece == Piece::Header {
                    return Ok(Flow::End);
                }
            }
            depth => {
                if depth == 1 {
                    self.index.children.push(ChildAt {
                        start: offset(self.tag.start),
                        name_end: offset(self.tag.name_end),
                        end: offset(self.at),
                        namespace: self.tag.xmlns,
                    });
                }
                if parent_inherits && is_declared {
                    self.is_plain &= !self.repeats_head(bytes);
                } else if parent_inherits {
                    self.inheriting += 1;
                }
                self.tag.attributes.clear();
            }
        }
        self.tag.xmlns = NamespaceAt::Inherited;
        self.open.push(Span {
            start: offset(self.tag.start + 1),
            end: offset(self.tag.name_end),
        });
        self.state = State::Text;
        Ok(Flow::On)
    }

    /// Whether the tag declares the namespace that it inherits from the head, or another content namespace instead.
    ///
    /// Raw values are compared: in plain form each name has one spelling.
    fn repeats_head(&self, bytes: &[u8]) -> bool {
        let own = self.tag.xmlns_value.of(bytes);
        let head = match self.index.namespace {
            NamespaceAt::Inherited => self.index.content.as_str().as_bytes(),
            NamespaceAt::Written { .. } | NamespaceAt::Unescaped(_) => self.head_xmlns.of(bytes),
        };
        own == head || is_content(own) && is_content(head)
    }
}

/// Judges a name that has characters beyond ASCII.
#[cold]
fn judge_wide_name(name: &[u8]) -> Result<(), XmlError> {
    let name = std::str::from_utf8(name).map_err(|_| XmlError::BadUtf8)?;
    if name::is_name(name) {
        Ok(())
    } else {
        Err(XmlError::NotWellFormed("name"))
    }
}

/// Whether a name with a colon is one that needs no declaration: `xml:` and a simple name.
fn is_in_xml_namespace(name: &[u8]) -> bool {
    match name.strip_prefix(b"xml:") {
        Some([first, rest @ ..]) => {
            is(*first, NAME_START)
                && !is(*first, COLON | WIDE)
                && rest.iter().all(|byte| !is(*byte, COLON | WIDE))
        }
        _ => false,
    }
}
