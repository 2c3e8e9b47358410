//! The fast backend: one pass over the bytes judges them and notes where everything stands.
//!
//! It judges fully what is plain form (see the crate's documentation). What is not, it follows closely enough to find
//! its end within the limits; then the reference backend judges it and writes it anew. Every token may be cut by the
//! end of a read: the scan goes on where it stopped, so that a stream of single bytes costs no more than a constant
//! each. That the bytes are UTF-8 is judged once at the end, when they become text.

mod class;
mod content;
mod name;
mod reference;
mod tag;

use smallvec::SmallVec;

use crate::{
    ContentNamespace, Limits, XmlError,
    element::{AttributeAt, Index, NamespaceAt},
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
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

/// What is wrong first: UTF-8 is judged at the end only, and may have been broken before.
#[cold]
fn first_fault(judged: &[u8], fault: XmlError) -> XmlError {
    match std::str::from_utf8(judged) {
        Err(broken) if broken.error_len().is_some() => XmlError::BadUtf8,
        _ => fault,
    }
}
