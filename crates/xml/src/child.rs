//! A view of one direct child of an element.

use std::borrow::Cow;

use crate::{
    Attribute, Tree,
    escape::unescape,
    walk::{self, RawAttribute},
};

/// One direct child of an [`Element`](crate::Element).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Child<'e> {
    index: usize,
    namespace: &'e str,
    text: &'e str,
    name: &'e str,
}

impl<'e> Child<'e> {
    pub(crate) fn new(index: usize, namespace: &'e str, text: &'e str, name: &'e str) -> Child<'e> {
        Child {
            index,
            namespace,
            text,
            name,
        }
    }

    /// Its number among the children, for [`Element::emit`](crate::Element::emit).
    pub fn index(&self) -> u16 {
        u16::try_from(self.index).unwrap_or(u16::MAX)
    }

    /// The name without a prefix.
    pub fn name(&self) -> &'e str {
        self.name
    }

    /// The namespace name; empty only after an explicit `xmlns=''`.
    pub fn namespace(&self) -> &'e str {
        self.namespace
    }

    /// Whether this is the element `name` in `namespace`.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.name == name && self.namespace == namespace
    }

    /// The child in plain form; without `xmlns` when it inherits its namespace.
    pub fn bytes(&self) -> &'e [u8] {
        self.text.as_bytes()
    }

    /// The child in plain form; without `xmlns` when it inherits its namespace.
    pub fn as_str(&self) -> &'e str {
        self.text
    }

    /// The attributes in the order of writing, namespace declarations included.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'e>> {
        let attributes = walk::opening_tag(self.text, 0).map_or("", |tag| tag.attributes);
        walk::attributes(attributes).map(
            |RawAttribute {
                 name, value, written, ..
             }| Attribute {
                name,
                raw_value: value,
                written,
            },
        )
    }

    /// An attribute as written between its quotes, still escaped.
    pub fn raw_attribute(&self, name: &str) -> Option<&'e str> {
        walk::attribute(walk::opening_tag(self.text, 0)?.attributes, name)
    }

    /// An attribute, un-escaped.
    pub fn attribute(&self, name: &str) -> Option<Cow<'e, str>> {
        self.raw_attribute(name).map(unescape)
    }

    /// The character data directly in the child, un-escaped and joined.
    pub fn text(&self) -> Cow<'e, str> {
        walk::direct_text(self.text)
    }

    /// The child as a tree.
    pub fn to_tree(&self) -> Tree {
        // The tree inherits what the index found; the child's own `xmlns` says the same, if there is one.
        walk::tree(self.text, self.namespace).unwrap_or_default()
    }
}
