//! A whole document through the namespace-aware parser of `rxml` at once: what it reads is what our frames say.
//!
//! Our backends share the resolution of namespaces and the rule about content namespaces; this does not.

use rxml::{AttrMap, Event, Parse, Parser};
use xml::{Backend, Framing, Tree};

use crate::agreement::{CONTENT, LIMITS, element, outcome};

/// Panics when a document that is accepted means something else to the other parser.
pub(crate) fn check(framing: Framing, bytes: &[u8]) {
    let outcome = outcome(Backend::Scanner, framing, bytes, &[], &LIMITS);
    if outcome.error.is_some() || !outcome.is_between_frames {
        return;
    }
    let trees: Vec<Tree> = outcome
        .frames
        .iter()
        .filter_map(element)
        .map(|element| sorted(element.to_tree()))
        .collect();
    // That parser has an opinion of its own about XML declarations, and about white space without one.
    let end = if bytes.starts_with(b"<?xml") {
        bytes.iter().position(|byte| *byte == b'>')
    } else {
        None
    };
    let bytes = bytes[end.map_or(0, |end| end + 1)..].trim_ascii_start();
    let document = match framing {
        // An element alone inherits the content namespace.
        Framing::Elements => [b"<x xmlns='jabber:client'>", bytes].concat(),
        Framing::Stream => bytes.to_vec(),
    };
    // The parser is not right about line ends in attributes.
    let document = String::from_utf8_lossy(&document)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    assert_eq!(trees, elements_of(&document), "{document}");
}

/// The complete elements directly within the root.
fn elements_of(document: &str) -> Vec<Tree> {
    let mut parser = Parser::new();
    let mut input = document.as_bytes();
    let mut open: Vec<Tree> = Vec::new();
    let mut complete = Vec::new();
    loop {
        match parser.parse(&mut input, false) {
            Ok(Some(Event::XmlDeclaration(..))) => {}
            Ok(Some(Event::StartElement(_, (namespace, name), attributes))) => {
                let mut tree = Tree::new(name.as_str(), namespace.as_str());
                tree.attributes = attributes_of(&attributes);
                open.push(tree);
            }
            Ok(Some(Event::Text(_, text))) => {
                if let Some(parent) = open.pop() {
                    open.push(parent.text(&text));
                }
            }
            Ok(Some(Event::EndElement(_))) => {
                let Some(element) = open.pop() else {
                    return complete;
                };
                match open.pop() {
                    None => return complete,
                    Some(root) if open.is_empty() => {
                        open.push(root);
                        complete.push(unified(element));
                    }
                    Some(parent) => open.push(parent.child(element)),
                }
            }
            Ok(None) => return complete,
            Err(rxml::error::EndOrError::NeedMoreData) => return complete,
            Err(rxml::error::EndOrError::Error(error)) => panic!("{error}: {document}"),
        }
    }
}

fn attributes_of(attributes: &AttrMap) -> Vec<(String, String)> {
    let mut found: Vec<_> = attributes
        .iter()
        .map(|((namespace, name), value)| {
            let name = match namespace.as_str() {
                "" => name.to_string(),
                "http://www.w3.org/XML/1998/namespace" => format!("xml:{name}"),
                other => format!("{{{other}}}{name}"),
            };
            (name, value.clone())
        })
        .collect();
    found.sort();
    found
}

/// Attributes have no order there.
fn sorted(mut tree: Tree) -> Tree {
    tree.attributes.sort();
    for node in &mut tree.nodes {
        if let xml::Node::Element(child) = node {
            *child = sorted(std::mem::take(child));
        }
    }
    tree
}

/// In the scope of a head in a content namespace all content namespaces are the same.
fn unified(mut tree: Tree) -> Tree {
    let names = ["jabber:client", "jabber:server", "jabber:component:accept"];
    if names.contains(&tree.namespace.as_str()) {
        for node in &mut tree.nodes {
            if let xml::Node::Element(child) = node
                && names.contains(&child.namespace.as_str())
            {
                child.namespace.clone_from(&tree.namespace);
                *child = unified(std::mem::take(child));
            }
        }
    }
    tree
}

/// The inherited namespace of the artificial root.
const _: () = assert!(matches!(CONTENT, xml::ContentNamespace::Client));
