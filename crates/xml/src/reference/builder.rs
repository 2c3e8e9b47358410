//! Makes a [`Tree`] of parser events and resolves namespaces on the way (XML-NAMES).

use crate::{
    Node, Tree, XmlError,
    namespace::{Scope, XML_NAMESPACE, XMLNS_NAMESPACE, is_content},
};

/// The element that was read, and what its opening tag declares: prefixes (the default is the empty one) and
/// namespaces.
pub(crate) struct Head {
    pub(crate) root: Tree,
    pub(crate) declarations: Vec<(String, String)>,
}

/// The elements that are open, outermost first.
#[derive(Default)]
pub(crate) struct Builder {
    open: Vec<Open>,
    finished: Option<Open>,
}

#[derive(Default)]
struct Open {
    tree: Tree,
    prefix: Option<String>,
    /// Attributes of an opening tag that is not complete.
    raw_attributes: Vec<(Option<String>, String, String)>,
    declarations: Vec<(String, String)>,
    /// Whether it inherits its namespace from the head, or is the head.
    in_scope_of_head: bool,
}

impl Builder {
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn attribute_count(&self) -> usize {
        self.open.last().map_or(0, |open| open.raw_attributes.len())
    }

    pub(crate) fn open(&mut self, prefix: Option<&str>, name: &str) {
        self.open.push(Open {
            tree: Tree::new(name, ""),
            prefix: prefix.map(str::to_owned),
            raw_attributes: Vec::new(),
            declarations: Vec::new(),
            in_scope_of_head: false,
        });
    }

    pub(crate) fn attribute(&mut self, prefix: Option<&str>, name: &str, value: String) {
        if let Some(open) = self.open.last_mut() {
            open.raw_attributes
                .push((prefix.map(str::to_owned), name.to_owned(), value));
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
        match self.open.last_mut() {
            Some(parent) => parent.tree.nodes.push(Node::Element(closed.tree)),
            None => self.finished = Some(closed),
        }
    }

    /// Resolves the names of an opening tag; true when its declarations are plain form.
    pub(crate) fn head_complete(&mut self, scope: &Scope) -> Result<bool, XmlError> {
        let Some(mut open) = self.open.pop() else {
            return Ok(true);
        };
        let mut prefixed = Vec::new();
        for (prefix, name, value) in std::mem::take(&mut open.raw_attributes) {
            match prefix.as_deref() {
                None if name == "xmlns" => declare(&mut open.declarations, String::new(), value)?,
                Some("xmlns") => declare(&mut open.declarations, name, value)?,
                None => add(&mut open.tree, name, value)?,
                Some("xml") => add(&mut open.tree, format!("xml:{name}"), value)?,
                Some(_) => prefixed.push((prefix, name, value)),
            }
        }
        let mut plain = prefixed.is_empty() && open.declarations.iter().all(|(prefix, _)| prefix.is_empty());
        self.open.push(open);
        let foreign = prefixed
            .into_iter()
            .map(|(prefix, name, value)| {
                let namespace = self.resolve(prefix.as_deref().unwrap_or_default(), scope)?;
                Ok((format!("{{{namespace}}}{name}"), value))
            })
            .collect::<Result<Vec<_>, XmlError>>()?;
        let namespace = self.element_namespace(scope)?;
        plain &= self.is_plainly_declared(&namespace, scope);
        let in_scope_of_head = self.inherits_from_head();
        if let Some(open) = self.open.last_mut() {
            for (name, value) in foreign {
                add(&mut open.tree, name, value)?;
            }
            open.tree.namespace = namespace;
            open.in_scope_of_head = in_scope_of_head;
        }
        Ok(plain)
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

    fn element_namespace(&self, scope: &Scope) -> Result<String, XmlError> {
        match self.open.last().and_then(|open| open.prefix.as_deref()) {
            None => Ok(self.lookup("", scope).unwrap_or_default().to_owned()),
            Some("xmlns") => Err(XmlError::NotWellFormed("reserved prefix or namespace")),
            Some(prefix) => self.resolve(prefix, scope),
        }
        .and_then(|namespace| {
            // Nothing can be written that way without a prefix, and nobody uses it.
            if namespace == XML_NAMESPACE {
                Err(XmlError::Restricted("element in the XML namespace"))
            } else {
                Ok(namespace)
            }
        })
    }

    fn resolve(&self, prefix: &str, scope: &Scope) -> Result<String, XmlError> {
        if prefix == "xml" {
            return Ok(XML_NAMESPACE.to_owned());
        }
        self.lookup(prefix, scope)
            .map(str::to_owned)
            .ok_or(XmlError::BadNamespacePrefix)
    }

    /// What the innermost declaration of the prefix says.
    fn lookup<'s>(&'s self, prefix: &str, scope: &'s Scope) -> Option<&'s str> {
        let within = self.open.iter().rev().flat_map(|open| &open.declarations);
        let mut found = within
            .filter(|(known, _)| known == prefix)
            .map(|(_, namespace)| namespace.as_str());
        found.next().or_else(|| scope.lookup(prefix))
    }

    /// Whether the namespace of the innermost element is declared where plain form wants it, and nowhere else.
    fn is_plainly_declared(&self, namespace: &str, scope: &Scope) -> bool {
        let Some((open, ancestors)) = self.open.split_last() else {
            return true;
        };
        let declared = open.declarations.iter().any(|(prefix, _)| prefix.is_empty());
        match (ancestors.first(), ancestors.last()) {
            (Some(head), Some(parent)) => {
                let repeated = parent.in_scope_of_head
                    && (namespace == head.tree.namespace
                        || is_content(namespace) && is_content(&head.tree.namespace));
                !declared || !(namespace.is_empty() || repeated)
            }
            _ if declared => !namespace.is_empty(),
            _ => scope.is_default_content,
        }
    }

    fn inherits_from_head(&self) -> bool {
        let Some((open, ancestors)) = self.open.split_last() else {
            return false;
        };
        ancestors.last().is_none_or(|parent| {
            parent.in_scope_of_head && !open.declarations.iter().any(|(prefix, _)| prefix.is_empty())
        })
    }
}

/// Notes a declaration; an empty `prefix` is the default.
fn declare(
    declarations: &mut Vec<(String, String)>,
    prefix: String,
    namespace: String,
) -> Result<(), XmlError> {
    if declarations.iter().any(|(known, _)| *known == prefix) {
        return Err(XmlError::NotWellFormed("duplicate attribute"));
    }
    if namespace == XMLNS_NAMESPACE || (namespace == XML_NAMESPACE) != (prefix == "xml") {
        return Err(XmlError::NotWellFormed("reserved prefix or namespace"));
    }
    declarations.push((prefix, namespace));
    Ok(())
}

fn add(tree: &mut Tree, name: String, value: String) -> Result<(), XmlError> {
    if tree.attribute(&name).is_some() {
        return Err(XmlError::NotWellFormed("duplicate attribute"));
    }
    tree.attributes.push((name, value));
    Ok(())
}
