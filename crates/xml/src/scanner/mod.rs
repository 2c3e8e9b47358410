//! The fast backend: one pass over the bytes judges them and notes where everything stands.
//!
//! It judges fully what is plain form (see the crate's documentation). What is not, it follows closely enough to find
//! its end within the limits; then the reference backend judges it and writes it anew. Every token may be cut by the
//! end of a read: the scan goes on where it stopped, so that a stream of single bytes costs no more than a constant
//! each. That the bytes are UTF-8 is judged once at the end, when they become text.

mod class;
mod name;
mod reference;

use smallvec::SmallVec;

use self::{
    class::{
        CLASS, COLON, NAME, NAME_START, SPACE, WIDE, find_in_character_data, find_in_text, find_in_value, is,
        position,
    },
    reference::reference,
};
use crate::{
    ContentNamespace, LimitName, Limits, XmlError,
    element::{AttributeAt, ChildAt, Index, NamespaceAt, offset},
    escape::unescape,
    limits::check,
    markup::{COMMENT, DOCUMENT_TYPE, PROCESSING_INSTRUCTION},
    namespace::{XML_NAMESPACE, XMLNS_NAMESPACE, is_content},
    reference::Piece,
};

/// One element or stream header on its way in.
pub(crate) struct Scan {
    piece: Piece,
    /// What stands before this is judged.
    at: usize,
    state: State,
    /// Where the token begins that `state` is within.
    token: usize,
    /// What the name that is being read consists of.
    name_classes: u8,
    /// The attribute that is being read; the end of its value is not known yet.
    attribute: AttributeAt,
    value_has_reference: bool,
    tag: Tag,
    /// Names of open elements, outermost first.
    open: SmallVec<[Span; 8]>,
    /// How many of the open elements, from the head on, are in the scope of the head's namespace.
    inheriting: usize,
    /// Raw value of the head's `xmlns`.
    head_xmlns: Span,
    is_plain: bool,
    index: Index,
    unescaped: Vec<Box<str>>,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Markup, at its `<`.
    Markup,
    /// Character data.
    Text,
    /// Within a CDATA section.
    CharacterData,
    /// Within the name of an opening tag.
    Name,
    /// White space or the end of the tag.
    AfterName,
    /// An attribute or the end of the tag.
    AfterSpace,
    /// Within the name of an attribute.
    AttributeName,
    /// `=`, perhaps behind white space.
    Equals,
    /// A quote, perhaps behind white space.
    Quote,
    /// Within a value, which that quote ends.
    Value(u8),
    /// The end of a closing tag behind its name, perhaps behind white space.
    Closing,
}

/// The opening tag that is being read.
#[derive(Default)]
struct Tag {
    start: usize,
    name_end: usize,
    xmlns: NamespaceAt,
    /// Raw value of `xmlns`.
    xmlns_value: Span,
    attributes: SmallVec<[AttributeAt; 6]>,
}

/// A piece of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

/// What a step of the scan leads to.
enum Flow {
    /// The next step, by `state`.
    On,
    /// The next step once there are more bytes.
    Wait,
    /// The end of the piece, before `at`.
    End,
}

impl Scan {
    #[inline(always)]
    pub(crate) fn new(piece: Piece, content: ContentNamespace) -> Scan {
        Scan {
            piece,
            at: 0,
            state: State::Markup,
            token: 0,
            name_classes: 0,
            attribute: AttributeAt::default(),
            value_has_reference: false,
            tag: Tag::default(),
            open: SmallVec::new(),
            inheriting: 0,
            head_xmlns: Span::default(),
            is_plain: true,
            index: Index::empty(content),
            unescaped: Vec::new(),
        }
    }

    /// Scans on in `bytes`, which begins with the piece and has grown since the last call. Answers with the length of
    /// the piece once its end is there.
    ///
    /// `is_default_content` says whether a top-level element without `xmlns` is in the content namespace.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        is_default_content: bool,
        limits: &Limits,
    ) -> Result<Option<usize>, XmlError> {
        loop {
            let step = match self.state {
                State::Text => self.text(bytes),
                State::Markup => self.markup(bytes),
                State::Name => self.name(bytes, limits),
                State::AfterName | State::AfterSpace => self.within_tag(bytes, is_default_content),
                State::AttributeName => self.attribute_name(bytes, limits),
                State::Equals => self.equals(bytes),
                State::Quote => self.quote(bytes),
                State::Value(quote) => self.value(bytes, quote, limits),
                State::Closing => self.closing(bytes),
                State::CharacterData => self.character_data(bytes),
            };
            match step {
                Ok(Flow::On) => {}
                Ok(Flow::Wait) => return Ok(None),
                Ok(Flow::End) => return Ok(Some(self.at)),
                Err(fault) => return Err(first_fault(&bytes[..self.at], fault)),
            }
        }
    }

    /// Whether the piece is plain form, after `advance` has found its end.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Where everything stands in what was scanned, after `advance` has found its end.
    #[inline(always)]
    pub(crate) fn take_index(&mut self) -> Index {
        let content = self.index.content;
        self.index.attributes.shrink_to_fit();
        self.index.children.shrink_to_fit();
        self.index.unescaped = std::mem::take(&mut self.unescaped).into();
        std::mem::replace(&mut self.index, Index::empty(content))
    }

    /// Bytes on the heap.
    pub(crate) fn memory(&self) -> usize {
        fn spilled<A: smallvec::Array>(vec: &SmallVec<A>) -> usize {
            if vec.spilled() {
                vec.capacity() * size_of::<A::Item>()
            } else {
                0
            }
        }
        spilled(&self.open)
            + spilled(&self.tag.attributes)
            + spilled(&self.index.attributes)
            + spilled(&self.index.children)
            + self.unescaped.capacity() * size_of::<Box<str>>()
            + self.unescaped.iter().map(|name| name.len()).sum::<usize>()
    }

    fn text(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
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

    fn character_data(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
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
    fn unusual(&mut self, rest: &[u8]) -> Result<bool, XmlError> {
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

    fn markup(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
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

    fn begin_name(&mut self, at: usize) {
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

    fn name(&mut self, bytes: &[u8], limits: &Limits) -> Result<Flow, XmlError> {
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
    fn within_tag(&mut self, bytes: &[u8], is_default_content: bool) -> Result<Flow, XmlError> {
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

    fn attribute_name(&mut self, bytes: &[u8], limits: &Limits) -> Result<Flow, XmlError> {
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

    fn equals(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
        match bytes.get(self.at) {
            None => return Ok(Flow::Wait),
            Some(b'=') => self.state = State::Quote,
            Some(byte) if is(*byte, SPACE) => self.is_plain = false,
            Some(_) => return Err(XmlError::NotWellFormed("attribute without a value")),
        }
        self.at += 1;
        Ok(Flow::On)
    }

    fn quote(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
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

    fn value(&mut self, bytes: &[u8], quote: u8, limits: &Limits) -> Result<Flow, XmlError> {
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
    fn opened(&mut self, bytes: &[u8], is_default_content: bool) -> Result<Flow, XmlError> {
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

    /// The innermost element is closed.
    fn closed(&mut self) -> Flow {
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

    fn closing_tag(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
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

    fn closing(&mut self, bytes: &[u8]) -> Result<Flow, XmlError> {
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

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

const NO_CHARACTER: XmlError = XmlError::NotWellFormed("no XML character");

/// What is wrong first: UTF-8 is judged at the end only, and may have been broken before.
#[cold]
fn first_fault(judged: &[u8], fault: XmlError) -> XmlError {
    match std::str::from_utf8(judged) {
        Err(broken) if broken.error_len().is_some() => XmlError::BadUtf8,
        _ => fault,
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
