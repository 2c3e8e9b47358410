//! Trees of any content are written so that the same comes back, and never as something ill-formed.

use proptest::{collection::vec, prelude::*};
use xml::{ContentNamespace, Limits, Node, Tree, escape_attribute, escape_text};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[<>&'\"\r\n\t\\]a\u{0}\u{1f}\u{fffe}\u{ffff}\u{fffd}]{0,12}"
    ]
}

fn namespace() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("jabber:client".to_owned()),
        1 => Just("jabber:server".to_owned()),
        4 => Just("urn:xmpp:ping".to_owned()),
        1 => Just("u?a&b='<\">".to_owned()),
        1 => Just(String::new()),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof!["(to|from|id|type|x[a-z]|xml:lang|é)", "(\\{u(:[a-z])?&?\\}[a-c])"];
    vec((name, text()), 0..5)
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf =
        (namespace(), attributes()).prop_map(|(namespace, attributes)| element(namespace, attributes, &[]));
    leaf.prop_recursive(4, 24, 4, |inner| {
        let node = prop_oneof![inner.prop_map(Node::Element), text().prop_map(Node::Text)];
        (namespace(), attributes(), vec(node, 0..4))
            .prop_map(|(namespace, attributes, nodes)| element(namespace, attributes, &nodes))
    })
}

fn element(namespace: String, attributes: Vec<(String, String)>, nodes: &[Node]) -> Tree {
    let mut tree = Tree::new("a-b", namespace);
    for (name, value) in attributes {
        // Names that the namespaces make the same would be a mistake of the caller.
        tree.set_attribute(&name, value);
    }
    for node in nodes {
        tree = match node {
            Node::Element(child) => tree.child(child.clone()),
            Node::Text(text) => tree.text(text),
        };
    }
    tree
}

/// The same with what XML can carry, and attributes in the order in which they come back.
fn expected(tree: &Tree) -> Tree {
    let (foreign, own): (Vec<_>, Vec<_>) = tree
        .attributes
        .iter()
        .cloned()
        .partition(|(name, _)| name.starts_with('{'));
    let mut clean = Tree::new(tree.name.as_str(), tree.namespace.as_str());
    clean.attributes = own
        .into_iter()
        .chain(foreign)
        .map(|(name, value)| (name, carried(&value)))
        .collect();
    for node in &tree.nodes {
        clean = match node {
            Node::Element(child) => clean.child(expected(child)),
            Node::Text(text) => clean.text(&carried(text)),
        };
    }
    clean
}

fn carried(text: &str) -> String {
    let is_carried = |character| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars()
        .map(|character| {
            if is_carried(character) {
                character
            } else {
                '\u{fffd}'
            }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_again(tree in tree(), inherited in namespace()) {
        let bytes = tree.to_bytes(&inherited);
        prop_assert_eq!(Tree::parse(&bytes, &inherited, &Limits::unlimited()), Ok(expected(&tree)));
    }

    #[test]
    fn a_written_tree_becomes_an_element(tree in tree()) {
        let element = tree.to_element(ContentNamespace::Client, &Limits::unlimited());
        if tree.namespace.is_empty() {
            prop_assert!(element.is_err());
        } else {
            let element = element.unwrap();
            prop_assert_eq!(element.name(), "a-b");
            let expected = expected(&tree);
            prop_assert_eq!(element.text(), expected.content());
        }
    }

    #[test]
    fn escaped_text_is_well_formed_anywhere(text in text()) {
        let mut out = b"<a b='".to_vec();
        escape_attribute(&mut out, &text);
        out.extend_from_slice(b"' c=\"");
        escape_attribute(&mut out, &text);
        out.extend_from_slice(b"\">]]");
        escape_text(&mut out, &text);
        out.extend_from_slice(b"</a>");
        let tree = Tree::parse(&out, "u", &Limits::unlimited()).unwrap();
        let carried = carried(&text);
        prop_assert_eq!(tree.attribute("b"), Some(carried.as_str()));
        prop_assert_eq!(tree.attribute("c"), Some(carried.as_str()));
        prop_assert_eq!(tree.content(), format!("]]{carried}"));
    }
}
