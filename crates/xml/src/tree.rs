//! A small owned tree for the cold path: payloads that logic must understand, and payloads that we write.

use std::borrow::Cow;

use crate::{
    ContentNamespace, Element, Limits, Namespace, XmlError, escape_attribute, escape_text,
    namespace::is_content,
};

/// An element with everything in it.
///
/// Names are trusted to be XML names: they come from our own source code or from parsed input. Texts and values are
/// escaped when written, whatever they contain.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    /// The name without a prefix.
    pub name: String,
    /// The namespace name; empty when the element is in no namespace.
    pub namespace: Namespace,
    /// Names and values (un-escaped) in the order of writing. A name is unprefixed, or begins with `xml:`, or has the
    /// form `{namespace}name`. Namespace declarations are not among them.
    pub attributes: Vec<(String, String)>,
    /// What stands between the tags.
    pub nodes: Vec<Node>,
}

/// One piece of the content of a [`Tree`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A child element.
    Element(Tree),
    /// Character data, un-escaped.
    Text(String),
}

impl Tree {
    /// An empty element.
    pub fn new(name: impl Into<String>, namespace: impl Into<Namespace>) -> Tree {
        Tree {
            name: name.into(),
            namespace: namespace.into(),
            attributes: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// The same with an attribute more; an attribute of that name is replaced.
    #[must_use]
    pub fn attr(mut self, name: &str, value: impl Into<String>) -> Tree {
        self.set_attribute(name, value);
        self
    }

    /// The same with one more child at the end.
    #[must_use]
    pub fn child(mut self, child: Tree) -> Tree {
        self.nodes.push(Node::Element(child));
        self
    }

    /// The same with more text at the end.
    #[must_use]
    pub fn text(mut self, text: &str) -> Tree {
        self.push_text(text);
        self
    }

    /// Sets or replaces an attribute.
    pub fn set_attribute(&mut self, name: &str, value: impl Into<String>) {
        match self.attributes.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.into(),
            None => self.attributes.push((name.to_owned(), value.into())),
        }
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether this is the element `name` in `namespace`.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.name == name && self.namespace == *namespace
    }

    /// All child elements in order.
    pub fn children(&self) -> impl Iterator<Item = &Tree> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// The first child of that namespace and name.
    pub fn find(&self, namespace: &str, name: &str) -> Option<&Tree> {
        self.children().find(|child| child.is(namespace, name))
    }

    /// The character data directly in this element, joined.
    pub fn content(&self) -> Cow<'_, str> {
        let mut texts = self.nodes.iter().filter_map(|node| match node {
            Node::Element(_) => None,
            Node::Text(text) => Some(text.as_str()),
        });
        let Some(first) = texts.next() else {
            return Cow::Borrowed("");
        };
        texts.fold(Cow::Borrowed(first), |joined, text| joined + text)
    }

    /// Appends the element in plain form, to stand where `inherited` is the default namespace.
    pub fn write(&self, out: &mut Vec<u8>, inherited: &str) {
        self.write_within(out, inherited, usize::MAX);
    }

    /// The same, but gives up between two elements once `out` is longer than `max`: prefixes can make what is written
    /// anew much longer than what was read.
    pub(crate) fn write_within(&self, out: &mut Vec<u8>, inherited: &str, max: usize) {
        if out.len() > max {
            return;
        }
        self.write_opening(out, inherited);
        if self.nodes.is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        out.push(b'>');
        for node in &self.nodes {
            match node {
                Node::Element(child) => child.write_within(out, &self.namespace, max),
                Node::Text(text) => escape_text(out, text),
            }
        }
        out.extend_from_slice(b"</");
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'>');
    }

    /// The element in plain form, to stand where `inherited` is the default namespace.
    pub fn to_bytes(&self, inherited: &str) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, inherited);
        out
    }

    /// The same as a whole top-level element.
    pub fn to_element(&self, content: ContentNamespace, limits: &Limits) -> Result<Element, XmlError> {
        Element::parse(&self.to_bytes(content.as_str()), content, limits)
    }

    /// Reads exactly one element, with white space around it at most, that stands where `inherited` is the default
    /// namespace.
    pub fn parse(bytes: &[u8], inherited: &str, limits: &Limits) -> Result<Tree, XmlError> {
        crate::reference::parse_tree(bytes, inherited, limits)
    }

    /// Text beside text becomes one node, as it would when read back.
    pub(crate) fn push_text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.nodes.last_mut() {
            Some(Node::Text(last)) => last.push_str(text),
            Some(Node::Element(_)) | None => self.nodes.push(Node::Text(text.to_owned())),
        }
    }

    /// Gives every descendant in the scope of the head's content namespace that same namespace, whichever of the
    /// content namespaces it claims for itself (RFC 6120 §4.8.3; see plain form in the crate's documentation).
    pub(crate) fn unify_content_namespaces(&mut self) {
        if is_content(&self.namespace) {
            let head = self.namespace.clone();
            self.rescope_children(&head);
        }
    }

    fn rescope_children(&mut self, head: &Namespace) {
        for node in &mut self.nodes {
            match node {
                Node::Element(child) if is_content(&child.namespace) => {
                    child.namespace.clone_from(head);
                    child.rescope_children(head);
                }
                Node::Element(_) | Node::Text(_) => {}
            }
        }
    }

    /// `<name xmlns='…' name='value'`, without the end of the tag.
    fn write_opening(&self, out: &mut Vec<u8>, inherited: &str) {
        out.push(b'<');
        out.extend_from_slice(self.name.as_bytes());
        if self.namespace != *inherited {
            write_attribute(out, "xmlns", &self.namespace);
        }
        let mut foreign: Vec<&str> = Vec::new();
        for (name, value) in &self.attributes {
            match split_foreign(name) {
                None => write_attribute(out, name, value),
                Some((namespace, local)) => {
                    let known = foreign.iter().position(|other| *other == namespace);
                    let number = known.unwrap_or(foreign.len());
                    if known.is_none() {
                        foreign.push(namespace);
                        write_attribute(out, &format!("xmlns:a{number}"), namespace);
                    }
                    write_attribute(out, &format!("a{number}:{local}"), value);
                }
            }
        }
    }
}

/// Takes `{namespace}name` apart.
fn split_foreign(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix('{')?.rsplit_once('}')
}

fn write_attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape_attribute(out, value);
    out.push(b'\'');
}
