//! One whole top-level element as its bytes, with an index of its head and direct children.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::{
    Child, ContentNamespace, Frame, Framer, Framing, Limits, Tree, XmlError,
    escape::unescape,
    walk::{self, OpeningTag, Piece},
};

/// One whole top-level element, a stanza or a nonza, in plain form (see the crate's documentation).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    text: Box<str>,
    index: Index,
}

/// Where things stand in the text of an [`Element`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Index {
    /// What the element is qualified by when it does not say so itself.
    pub(crate) content: ContentNamespace,
    pub(crate) namespace: NamespaceAt,
    /// Behind the name in the opening tag.
    pub(crate) name_end: u32,
    /// Behind the `>` of the opening tag.
    pub(crate) head_end: u32,
    pub(crate) attributes: SmallVec<[AttributeAt; 6]>,
    pub(crate) children: SmallVec<[ChildAt; 5]>,
    /// Namespace names that are not written as they are meant.
    pub(crate) unescaped: Box<[Box<str>]>,
}

/// An attribute of the head: `name='value'`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct AttributeAt {
    pub(crate) start: u32,
    pub(crate) name_end: u32,
    /// Before the closing quote.
    pub(crate) value_end: u32,
}

/// A direct child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ChildAt {
    pub(crate) start: u32,
    pub(crate) name_end: u32,
    pub(crate) end: u32,
    pub(crate) namespace: NamespaceAt,
}

/// Where the name of a namespace stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum NamespaceAt {
    /// In no `xmlns` of the element itself.
    #[default]
    Inherited,
    /// In the text, as the value of `xmlns`.
    Written { start: u32, end: u32 },
    /// In [`Index::unescaped`], because the value holds references.
    Unescaped(u32),
}

impl Element {
    /// Reads exactly one element; an XML declaration before it and white space around it are allowed.
    ///
    /// An element without `xmlns` is in the content namespace.
    pub fn parse(bytes: &[u8], content: ContentNamespace, limits: &Limits) -> Result<Element, XmlError> {
        let mut framer = Framer::new(Framing::Elements, content, limits.clone());
        let mut input = bytes;
        let mut found = None;
        while let Some(frame) = framer.next(&mut input)? {
            match frame {
                Frame::Element(element) if found.is_none() => found = Some(element),
                Frame::Whitespace => {}
                Frame::Element(_) | Frame::Open(_) | Frame::Close => {
                    return Err(XmlError::NotWellFormed("more than one element"));
                }
            }
        }
        match found {
            Some(element) if framer.is_between_frames() => Ok(element),
            _ => Err(XmlError::NotWellFormed("unexpected end")),
        }
    }

    /// What was judged and indexed.
    pub(crate) fn indexed(text: Box<str>, index: Index) -> Element {
        Element { text, index }
    }

    /// Indexes what is known to be plain form, because another element was written so. Much cheaper than to judge it again.
    pub fn from_plain(text: Box<str>, content: ContentNamespace) -> Option<Element> {
        let index = Index::of(&text, content)?;
        Some(Element { text, index })
    }

    /// The whole element in plain form.
    pub fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The whole element in plain form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name without a prefix.
    pub fn name(&self) -> &str {
        self.slice(1, self.index.name_end)
    }

    /// The namespace name; never empty.
    pub fn namespace(&self) -> &str {
        self.namespace_at(self.index.namespace, self.index.content.as_str())
    }

    /// Whether this is the element `name` in `namespace`.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.name() == name && self.namespace() == namespace
    }

    /// The attributes of the head in the order of writing, namespace declarations included: whoever copies those that
    /// it does not know copies the declarations of prefixes too, and only `xmlns` itself must be left to the new head.
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = Attribute<'_>> {
        self.index.attributes.iter().map(|at| Attribute {
            name: self.slice(at.start, at.name_end),
            raw_value: self.slice(at.name_end + 2, at.value_end),
            written: self.slice(at.start, at.value_end + 1),
        })
    }

    /// An attribute of the head as written between its quotes, still escaped; it may be pasted between quotes of
    /// either kind. `xml:lang` is found by that name.
    pub fn raw_attribute(&self, name: &str) -> Option<&str> {
        self.attributes()
            .find(|attribute| attribute.name == name)
            .map(|attribute| attribute.raw_value)
    }

    /// An attribute of the head, un-escaped.
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.raw_attribute(name).map(unescape)
    }

    /// Whether there is at least one direct child.
    pub fn has_children(&self) -> bool {
        !self.index.children.is_empty()
    }

    /// The number of direct children.
    pub fn child_count(&self) -> usize {
        self.index.children.len()
    }

    /// The direct children in order.
    pub fn children(&self) -> impl ExactSizeIterator<Item = Child<'_>> {
        (0..self.index.children.len()).map(|index| self.child_view(index, &self.index.children[index]))
    }

    /// The first child of that namespace and name.
    pub fn child(&self, namespace: &str, name: &str) -> Option<Child<'_>> {
        self.children().find(|child| child.is(namespace, name))
    }

    /// The child with that [index](Child::index).
    pub fn child_at(&self, index: usize) -> Option<Child<'_>> {
        self.index
            .children
            .get(index)
            .map(|at| self.child_view(index, at))
    }

    /// The character data directly in the element, un-escaped and joined.
    pub fn text(&self) -> Cow<'_, str> {
        let mut found = Cow::Borrowed("");
        let mut at = self.index.head_end;
        for child in &self.index.children {
            walk::join(&mut found, unescape(self.slice(at, child.start)));
            at = child.end;
        }
        walk::join(&mut found, unescape(self.slice(at, self.content_end())));
        found
    }

    /// The whole element as a tree.
    pub fn to_tree(&self) -> Tree {
        walk::tree(&self.text, self.index.content.as_str()).unwrap_or_default()
    }

    /// Writes `head`, then everything behind our own opening tag except the dropped children, then `append`, then the
    /// closing tag; or `/>` when nothing is left between the tags.
    ///
    /// `head` writes an opening tag of the same name without its `>`, such as `<message from='…' to='…'`, with `xmlns`
    /// where the surroundings ask for it. `drop` holds [indexes](Child::index) of children in ascending order;
    /// `append` is plain form that declares its own namespaces.
    pub fn emit(&self, out: &mut Vec<u8>, head: impl FnOnce(&mut Vec<u8>), drop: &[u16], append: &[u8]) {
        debug_assert!(drop.is_sorted(), "children to drop are named in ascending order");
        out.reserve(self.text.len() + append.len() + EMIT_HEAD_BYTES);
        head(out);
        let tag_end = out.len();
        out.push(b'>');
        let mut at = self.index.head_end;
        for child in drop
            .iter()
            .filter_map(|&index| self.index.children.get(usize::from(index)))
        {
            out.extend_from_slice(self.slice(at, child.start).as_bytes());
            at = child.end.max(at);
        }
        let rest = self.slice(at, self.content_end());
        out.extend_from_slice(rest.as_bytes());
        out.extend_from_slice(append);
        if out.len() == tag_end + 1 {
            out.truncate(tag_end);
            out.extend_from_slice(b"/>");
        } else {
            out.extend_from_slice(b"</");
            out.extend_from_slice(self.name().as_bytes());
            out.push(b'>');
        }
    }

    /// Where the content ends: before the closing tag, or behind the only tag.
    fn content_end(&self) -> u32 {
        let length = offset(self.text.len());
        if self.index.head_end == length {
            length
        } else {
            length - (self.index.name_end - 1) - 3
        }
    }

    fn child_view(&self, index: usize, at: &ChildAt) -> Child<'_> {
        let namespace = self.namespace_at(at.namespace, self.namespace());
        Child::new(
            index,
            namespace,
            self.slice(at.start, at.end),
            self.slice(at.start + 1, at.name_end),
        )
    }

    fn namespace_at<'e>(&'e self, at: NamespaceAt, inherited: &'e str) -> &'e str {
        match at {
            NamespaceAt::Inherited => inherited,
            NamespaceAt::Written { start, end } => self.slice(start, end),
            NamespaceAt::Unescaped(index) => self.index.unescaped.get(index as usize).map_or("", |name| name),
        }
    }

    fn slice(&self, start: u32, end: u32) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }
}

impl Index {
    pub(crate) fn empty(content: ContentNamespace) -> Index {
        Index {
            content,
            namespace: NamespaceAt::Inherited,
            name_end: 0,
            head_end: 0,
            attributes: SmallVec::new(),
            children: SmallVec::new(),
            unescaped: Box::default(),
        }
    }

    /// Finds everything in what is known to be plain form.
    fn of(text: &str, content: ContentNamespace) -> Option<Index> {
        let tag = walk::opening_tag(text, 0)?;
        let mut unescaped = Vec::new();
        let mut index = Index {
            namespace: namespace_of(&tag, &mut unescaped),
            name_end: offset(tag.attributes_start),
            head_end: offset(tag.end),
            attributes: walk::attributes(tag.attributes)
                .map(|attribute| {
                    let name_end = tag.attributes_start + attribute.start + attribute.name.len();
                    AttributeAt {
                        start: offset(tag.attributes_start + attribute.start),
                        name_end: offset(name_end),
                        value_end: offset(name_end + 2 + attribute.value.len()),
                    }
                })
                .collect(),
            ..Index::empty(content)
        };
        let mut at = tag.end;
        let mut end = tag.end;
        if !tag.empty {
            loop {
                let (piece, next) = walk::piece(text, at)?;
                at = match piece {
                    Piece::Text(_) => next,
                    Piece::Close(_) => {
                        end = next;
                        break;
                    }
                    Piece::Open(child) => {
                        let child_end = walk::element_end(text, &child)?;
                        index.children.push(ChildAt {
                            start: offset(at),
                            name_end: offset(child.attributes_start),
                            end: offset(child_end),
                            namespace: namespace_of(&child, &mut unescaped),
                        });
                        child_end
                    }
                };
            }
        }
        index.unescaped = unescaped.into();
        (end == text.len()).then_some(index)
    }
}

/// Where the tag declares its default namespace.
fn namespace_of(tag: &OpeningTag<'_>, unescaped: &mut Vec<Box<str>>) -> NamespaceAt {
    let Some(xmlns) = walk::attributes(tag.attributes).find(|attribute| attribute.name == "xmlns") else {
        return NamespaceAt::Inherited;
    };
    match unescape(xmlns.value) {
        Cow::Borrowed(value) => {
            let start = tag.attributes_start + xmlns.start + "xmlns='".len();
            NamespaceAt::Written {
                start: offset(start),
                end: offset(start + value.len()),
            }
        }
        Cow::Owned(value) => {
            unescaped.push(value.into());
            NamespaceAt::Unescaped(offset(unescaped.len() - 1))
        }
    }
}

/// An attribute of the head of an [`Element`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attribute<'e> {
    /// The name as written.
    pub name: &'e str,
    /// The value as written, still escaped; it may be pasted between quotes of either kind.
    pub raw_value: &'e str,
    /// `name='value'` with the quotes that there are.
    pub(crate) written: &'e str,
}

impl<'e> Attribute<'e> {
    /// The value, un-escaped.
    pub fn value(&self) -> Cow<'e, str> {
        unescape(self.raw_value)
    }

    /// Appends ` name='value'` as it is.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b' ');
        out.extend_from_slice(self.written.as_bytes());
    }
}

/// Room for a written head, so that emission rarely grows the buffer twice.
const EMIT_HEAD_BYTES: usize = 256;

/// An offset as the index keeps it; [`Limits`] bounds it far below the limit of the type.
#[inline(always)]
pub(crate) fn offset(at: usize) -> u32 {
    at as u32
}
