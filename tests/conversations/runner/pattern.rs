//! What a script expects to see: XML with blanks to be filled in, compared by meaning and not by spelling.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use xml::{Limits, Node, STREAM_NAMESPACE, Tree};

const CLIENT: &str = "jabber:client";
const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// What stood in the blanks so far.
pub(crate) type Blanks = BTreeMap<String, String>;

/// One element that is expected.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Tree);

/// Who looks, for whom a `to` goes without saying.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) bare: String,
    pub(crate) full: String,
}

impl Pattern {
    /// Reads the elements of a script's line. A stream header stands alone and is not closed.
    pub(crate) fn parse(text: &str) -> Result<Vec<Pattern>, String> {
        let text = text.trim();
        let text = match text
            .strip_prefix("<stream:stream")
            .and_then(|rest| rest.strip_suffix('>'))
        {
            Some(header) if !header.ends_with('/') => format!("<stream:stream{header}/>"),
            _ => text.to_owned(),
        };
        let whole = format!("<script xmlns='{CLIENT}' xmlns:stream='{STREAM_NAMESPACE}'>{text}</script>");
        let script = Tree::parse(whole.as_bytes(), CLIENT, &Limits::unlimited())
            .map_err(|error| format!("this is no XML ({error}): {text}"))?;
        let patterns: Vec<Pattern> = script.children().cloned().map(complete).map(Pattern).collect();
        if patterns.is_empty() || !script.content().trim().is_empty() {
            return Err(format!("an element is expected here, and nothing else: {text}"));
        }
        Ok(patterns)
    }

    /// Whether this is what was heard. Fills blanks; those that were filled before must fit.
    pub(crate) fn matches(&self, heard: &Tree, viewer: &Viewer, blanks: &mut Blanks) -> bool {
        let mut heard = heard.clone();
        if self.0.attribute("to").is_none()
            && heard
                .attribute("to")
                .is_some_and(|to| to == viewer.bare || to == viewer.full)
        {
            heard.attributes.retain(|(name, _)| name != "to");
        }
        let mut filled = blanks.clone();
        let fits = element(&self.0, &heard, &mut filled);
        if fits {
            *blanks = filled;
        }
        fits
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&text(&self.0))
    }
}

/// As people read it.
pub(crate) fn text(tree: &Tree) -> String {
    String::from_utf8_lossy(&tree.to_bytes(CLIENT)).into_owned()
}

/// Conditions stand in a namespace that everybody knows.
fn complete(mut tree: Tree) -> Tree {
    let conditions = match (tree.namespace.as_str(), tree.name.as_str()) {
        (CLIENT, "error") => Some(STANZA_ERRORS),
        (STREAM_NAMESPACE, "error") => Some(STREAM_ERRORS),
        _ => None,
    };
    for node in &mut tree.nodes {
        if let Node::Element(child) = node {
            if let (Some(namespace), CLIENT) = (conditions, child.namespace.as_str()) {
                child.namespace = namespace.into();
            }
            *child = complete(std::mem::take(child));
        }
    }
    tree
}

fn element(expected: &Tree, heard: &Tree, blanks: &mut Blanks) -> bool {
    expected.name == heard.name
        && expected.namespace == heard.namespace
        && attributes(expected, heard, blanks)
        && content(expected, heard, blanks)
}

fn attributes(expected: &Tree, heard: &Tree, blanks: &mut Blanks) -> bool {
    expected.attributes.len() == heard.attributes.len()
        && expected.attributes.iter().all(|(name, value)| {
            heard
                .attribute(name)
                .is_some_and(|heard| fill(value, heard, blanks))
        })
}

fn content(expected: &Tree, heard: &Tree, blanks: &mut Blanks) -> bool {
    let (wanted, others_may_stand) = pieces(expected);
    let (there, _) = pieces(heard);
    // Words for people may always stand beside a condition.
    let has_words = matches!(heard.namespace.as_str(), SASL | CLIENT | STREAM_NAMESPACE)
        && matches!(heard.name.as_str(), "error" | "failure");
    let names_words = expected.children().any(|child| child.name == "text");
    let there: Vec<&Node> = there
        .into_iter()
        .filter(|node| match node {
            Node::Element(child) => names_words || !has_words || child.name != "text",
            Node::Text(_) => true,
        })
        .collect();
    if others_may_stand {
        return wanted
            .iter()
            .all(|wanted| there.iter().any(|there| node(wanted, there, blanks)));
    }
    wanted.len() == there.len()
        && wanted
            .iter()
            .zip(&there)
            .all(|(wanted, there)| node(wanted, there, blanks))
}

/// Children, and text unless it only parts them; and whether `{...}` stands among them.
fn pieces(tree: &Tree) -> (Vec<&Node>, bool) {
    let has_children = tree.children().next().is_some();
    let is_rest = |node: &&Node| matches!(node, Node::Text(text) if text.trim() == "{...}");
    let stands = |node: &&Node| match node {
        Node::Element(_) => true,
        Node::Text(text) => !(is_rest(node) || has_children && text.trim().is_empty()),
    };
    (
        tree.nodes.iter().filter(stands).collect(),
        tree.nodes.iter().any(|node| is_rest(&node)),
    )
}

fn node(expected: &Node, heard: &Node, blanks: &mut Blanks) -> bool {
    match (expected, heard) {
        (Node::Element(expected), Node::Element(heard)) => {
            let mut filled = blanks.clone();
            let fits = element(expected, heard, &mut filled);
            if fits {
                *blanks = filled;
            }
            fits
        }
        (Node::Text(expected), Node::Text(heard)) => fill(expected, heard, blanks),
        (Node::Element(_), Node::Text(_)) | (Node::Text(_), Node::Element(_)) => false,
    }
}

/// Compares texts. `{}` is any text but none at all; `{name}` is the same text wherever it stands.
fn fill(expected: &str, heard: &str, blanks: &mut Blanks) -> bool {
    let Some((before, name, after)) = blank(expected) else {
        return expected == heard;
    };
    let Some(rest) = heard.strip_prefix(before) else {
        return false;
    };
    if let Some(known) = blanks.get(name).cloned() {
        return rest
            .strip_prefix(known.as_str())
            .is_some_and(|rest| fill(after, rest, blanks));
    }
    // The shortest text with which the rest fits.
    rest.char_indices()
        .map(|(place, c)| place + c.len_utf8())
        .any(|end| {
            let mut filled = blanks.clone();
            if !name.is_empty() {
                filled.insert(name.to_owned(), rest[..end].to_owned());
            }
            let fits = fill(after, &rest[end..], &mut filled);
            if fits {
                *blanks = filled;
            }
            fits
        })
}

/// The first blank, and what stands around it.
fn blank(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((before, name, after))
}

/// Writes out what is sent: `{n}` is the number of this copy, `{base64:…}` the text encoded, `{name}` what was seen.
pub(crate) fn write_out(text: &str, number: usize, blanks: &Blanks) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once('{') {
        let (inside, after) = inside.split_once('}').ok_or("a blank does not end")?;
        out.push_str(before);
        match (inside.strip_prefix("base64:"), inside, blanks.get(inside)) {
            (Some(plain), _, _) => out.push_str(&STANDARD.encode(plain.replace("\\0", "\0"))),
            (None, "n", _) => out.push_str(&number.to_string()),
            (None, _, Some(seen)) => out.push_str(seen),
            (None, name, None) => return Err(format!("nothing was seen that is called {{{name}}}")),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
