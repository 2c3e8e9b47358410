//! Makes a [`Tree`] of parser events and resolves namespaces on the way (XML-NAMES).

use std::collections::BTreeMap;

use crate::{
    LimitName, Limits, Namespace, Node, Tree, XmlError,
    limits::check,
    namespace::{Scope, XML_NAMESPACE, XMLNS_NAMESPACE, is_content},
};

/// The element that was read, and what its opening tag declares: prefixes (the default is the empty one) and
/// namespaces.
pub(crate) struct Head {
    pub(crate) root: Tree,
    pub(crate) declarations: Vec<(String, Namespace)>,
}

/// The elements that are open, outermost first.
#[derive(Default)]
pub(crate) struct Builder {
    open: Vec<Open>,
    finished: Option<Open>,
    /// What each prefix stands for, innermost declaration last.
    bound: BTreeMap<String, Vec<Namespace>>,
    /// Bytes of namespace names that elements must declare for their attributes.
    foreign_bytes: usize,
}

#[derive(Default)]
struct Open {
    tree: Tree,
    prefix: Option<String>,
    /// Attributes of an opening tag that is not complete.
    attributes: Vec<RawAttribute>,
    declarations: Vec<(String, Namespace)>,
    /// Whether it inherits its namespace from the head, or is the head.
    in_scope_of_head: bool,
}

struct RawAttribute {
    prefix: Option<String>,
    name: String,
    value: String,
}

impl Builder {
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn attribute_count(&self) -> usize {
        self.open.last().map_or(0, |open| open.attributes.len())
    }

    pub(crate) fn open(&mut self, prefix: Option<&str>, name: &str) {
        self.open.push(Open {
            tree: Tree::new(name, Namespace::default()),
            prefix: prefix.map(str::to_owned),
            ..Open::default()
        });
    }

    pub(crate) fn attribute(&mut self, prefix: Option<&str>, name: &str, value: String) {
        if let Some(open) = self.open.last_mut() {
            let prefix = prefix.map(str::to_owned);
            open.attributes.push(RawAttribute {
                prefix,
                name: name.to_owned(),
                value,
            });
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        if let Some(open) = self.open.last_mut() {
            open.tree.push_text(text);
        }
    }

    pub(crate) fn close(&mut self) {
        let Some(closed) = self.open.pop() else {
            return;
        };
        for (prefix, _) in &closed.declarations {
            self.bound.get_mut(prefix).and_then(Vec::pop);
        }
        match self.open.last_mut() {
            Some(parent) => parent.tree.nodes.push(Node::Element(closed.tree)),
            None => self.finished = Some(closed),
        }
    }

    /// Resolves the names of an opening tag; true when its declarations are plain form.
    pub(crate) fn head_complete(&mut self, scope: &Scope, limits: &Limits) -> Result<bool, XmlError> {
        let Some(mut open) = self.open.pop() else {
            return Ok(true);
        };
        let attributes = std::mem::take(&mut open.attributes);
        let is_declaration =
            |RawAttribute { prefix, name, .. }: &RawAttribute| prefix.as_deref().unwrap_or(name) == "xmlns";
        let (declarations, attributes): (Vec<_>, Vec<_>) = attributes.into_iter().partition(is_declaration);
        for RawAttribute { prefix, name, value } in declarations {
            let bound = if prefix.is_some() { name } else { String::new() };
            self.declare(&mut open, bound, value.into())?;
        }
        let mut is_plain = open.declarations.iter().all(|(prefix, _)| prefix.is_empty());
        // Unprefixed attributes first, in the order in which they are written anew.
        let (own, foreign): (Vec<_>, Vec<_>) = attributes
            .into_iter()
            .partition(|attribute| matches!(attribute.prefix.as_deref(), None | Some("xml")));
        for RawAttribute { prefix, name, value } in own {
            add(
                &mut open.tree,
                if prefix.is_some() {
                    format!("xml:{name}")
                } else {
                    name
                },
                value,
            )?;
        }
        let mut seen = Vec::new();
        for RawAttribute { prefix, name, value } in foreign {
            is_plain = false;
            let namespace = self.resolve(prefix.as_deref().unwrap_or_default(), scope)?;
            if !seen.contains(&namespace) {
                // Each element must declare it when it is written anew: a long name must not be multiplied.
                self.foreign_bytes += namespace.len();
                check(self.foreign_bytes, limits.stanza_bytes, LimitName::StanzaBytes)?;
                seen.push(namespace.clone());
            }
            add(&mut open.tree, format!("{{{namespace}}}{name}"), value)?;
        }
        open.tree.namespace = match open.prefix.as_deref() {
            None => self.lookup("", scope).cloned().unwrap_or_default(),
            Some("xmlns") => return Err(XmlError::NotWellFormed("reserved prefix or namespace")),
            // Nothing can be written that way without a prefix, and nobody uses it.
            Some("xml") => return Err(XmlError::Restricted("element in the XML namespace")),
            Some(prefix) => self.resolve(prefix, scope)?,
        };
        let is_declared = open.declarations.iter().any(|(prefix, _)| prefix.is_empty());
        is_plain &= self.is_plainly_declared(&open.tree.namespace, is_declared, scope);
        open.in_scope_of_head = self
            .open
            .last()
            .is_none_or(|parent| parent.in_scope_of_head && !is_declared);
        self.open.push(open);
        Ok(is_plain)
    }

    pub(crate) fn finish(&mut self) -> Head {
        // A stream header is still open.
        let head = self
            .finished
            .take()
            .or_else(|| self.open.pop())
            .unwrap_or_default();
        Head {
            root: head.tree,
            declarations: head.declarations,
        }
    }

    /// Binds a prefix, the empty one for the default, from the element `open` on.
    fn declare(&mut self, open: &mut Open, prefix: String, namespace: Namespace) -> Result<(), XmlError> {
        if open.declarations.iter().any(|(known, _)| *known == prefix) {
            return Err(XmlError::NotWellFormed("duplicate attribute"));
        }
        if namespace == XMLNS_NAMESPACE || (namespace == XML_NAMESPACE) != (prefix == "xml") {
            return Err(XmlError::NotWellFormed("reserved prefix or namespace"));
        }
        self.bound
            .entry(prefix.clone())
            .or_default()
            .push(namespace.clone());
        open.declarations.push((prefix, namespace));
        Ok(())
    }

    fn resolve(&self, prefix: &str, scope: &Scope) -> Result<Namespace, XmlError> {
        self.lookup(prefix, scope)
            .cloned()
            .ok_or(XmlError::BadNamespacePrefix)
    }

    /// What the innermost declaration of the prefix says.
    fn lookup<'s>(&'s self, prefix: &str, scope: &'s Scope) -> Option<&'s Namespace> {
        self.bound
            .get(prefix)
            .and_then(|names| names.last())
            .or_else(|| scope.lookup(prefix))
    }

    /// Whether the namespace of a new element is declared where plain form wants it, and nowhere else.
    fn is_plainly_declared(&self, namespace: &Namespace, is_declared: bool, scope: &Scope) -> bool {
        match (self.open.first(), self.open.last()) {
            (Some(head), Some(parent)) => {
                let is_repeated = parent.in_scope_of_head
                    && (*namespace == head.tree.namespace
                        || is_content(namespace) && is_content(&head.tree.namespace));
                !is_declared || !(namespace.is_empty() || is_repeated)
            }
            _ if is_declared => !namespace.is_empty(),
            _ => scope.is_default_content,
        }
    }
}

fn add(tree: &mut Tree, name: String, value: String) -> Result<(), XmlError> {
    if tree.attribute(&name).is_some() {
        return Err(XmlError::NotWellFormed("duplicate attribute"));
    }
    tree.attributes.push((name, value));
    Ok(())
}
