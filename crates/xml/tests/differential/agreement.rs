//! What must hold of every input whatever it is: the two backends agree, reads may end anywhere, memory is bounded, and
//! what was accepted comes back from what is written.
//!
//! Known differences between the backends, and no others:
//! - An error may be found at different bytes, as long as neither backend takes a frame in between. The reference finds
//!   faults at the end of a token; the scanner finds bytes that are no UTF-8, and what is wrong about namespaces, at
//!   the end of the element.
//! - Input with several faults may be answered with the condition of another one of them.

use xml::{Backend, ContentNamespace, Element, Frame, Framer, Framing, Limits, Node, Tree, XmlError};

/// What came of some input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) frames: Vec<Frame>,
    pub(crate) error: Option<XmlError>,
    pub(crate) is_between_frames: bool,
}

/// Frames of the bytes in pieces of the given sizes (again and again), white space left out.
pub(crate) fn outcome(
    backend: Backend,
    framing: Framing,
    bytes: &[u8],
    sizes: &[usize],
    limits: &Limits,
) -> Outcome {
    let mut framer = Framer::with_backend(backend, framing, CONTENT, limits.clone());
    let mut frames = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut rest = bytes;
    let mut error = None;
    while !rest.is_empty() && error.is_none() {
        let size = sizes.next().copied().unwrap_or(rest.len()).clamp(1, rest.len());
        let (mut piece, after) = rest.split_at(size);
        rest = after;
        loop {
            match framer.next(&mut piece) {
                Ok(Some(Frame::Whitespace)) => {}
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(found) => {
                    error = Some(found);
                    break;
                }
            }
        }
        assert!(error.is_some() || piece.is_empty(), "input is left");
        // The bytes, namespace names among them un-escaped, and an index of what the limits allow for.
        let index = 64 * limits.children + 48 * limits.attributes.min(1_000) + 16 * limits.depth;
        let allowed = 2 * limits.stanza_bytes + index + 1_000;
        assert!(
            framer.held_bytes() <= allowed,
            "{} bytes are held",
            framer.held_bytes()
        );
        assert!(!framer.is_between_frames() || framer.held_bytes() == 0);
    }
    Outcome {
        frames,
        error,
        is_between_frames: framer.is_between_frames(),
    }
}

/// Limits that hardly anything exceeds. The reference reserves so much memory for every element, therefore they are not
/// those of production.
pub(crate) const LIMITS: Limits = Limits {
    stanza_bytes: 10_000,
    depth: 64,
    attributes: 64,
    name_bytes: 512,
    children: 256,
};

pub(crate) const CONTENT: ContentNamespace = ContentNamespace::Client;

/// The element that a frame is.
pub(crate) fn element(frame: &Frame) -> Option<&Element> {
    match frame {
        Frame::Element(element) => Some(element),
        Frame::Open(_) | Frame::Whitespace | Frame::Close => None,
    }
}

/// Panics when something does not hold of this input.
pub(crate) fn check(framing: Framing, bytes: &[u8], sizes: &[usize], limits: &Limits) {
    let scanned = outcome(Backend::Scanner, framing, bytes, &[], limits);
    let in_pieces = outcome(Backend::Scanner, framing, bytes, sizes, limits);
    assert_eq!(in_pieces, scanned, "the scanner in pieces of {sizes:?}");
    let reference = outcome(Backend::Reference, framing, bytes, &[], limits);
    let in_pieces = outcome(Backend::Reference, framing, bytes, sizes, limits);
    assert_eq!(in_pieces, reference, "the reference in pieces of {sizes:?}");
    check_agreement(framing, bytes, &scanned, &reference, limits);
    for element in scanned.frames.iter().filter_map(element) {
        check_element(element, limits);
    }
}

/// Panics when the backends find different conditions in input that has one fault at most.
pub(crate) fn check_conditions(framing: Framing, bytes: &[u8]) {
    let [scanned, reference] = [Backend::Scanner, Backend::Reference].map(|backend| {
        let outcome = outcome(backend, framing, bytes, &[], &LIMITS);
        outcome.error.map(|error| error.condition())
    });
    // A fault at the very end may not have been found yet.
    assert!(
        scanned == reference || scanned.is_none() || reference.is_none(),
        "{scanned:?} {reference:?}"
    );
}

fn check_agreement(framing: Framing, bytes: &[u8], scanned: &Outcome, reference: &Outcome, limits: &Limits) {
    assert_eq!(scanned.frames, reference.frames, "the backends take other frames");
    let (accepting, refused) = match (scanned.error, reference.error) {
        (None, None) => {
            assert_eq!(scanned.is_between_frames, reference.is_between_frames);
            return;
        }
        (Some(_), Some(_)) => return,
        (None, Some(error)) => (Backend::Scanner, error),
        (Some(error), None) => (Backend::Reference, error),
    };
    for completion in completions(bytes) {
        let completed = [bytes, &completion].concat();
        let more = outcome(accepting, framing, &completed, &[], limits);
        assert_eq!(
            more.frames.len(),
            scanned.frames.len(),
            "{accepting:?} goes on with {:?} although the other found {refused}",
            String::from_utf8_lossy(&completion),
        );
    }
}

/// Bytes that may complete the element that is unfinished.
fn completions(bytes: &[u8]) -> Vec<Vec<u8>> {
    let ends = [
        "", ">", "/>", "'/>", "\"/>", "'>", "\">", "]]>", ";", ";'/>", ";\"/>", "x>", "=''>", "a=''>",
        "<x/>", "!", "x",
    ];
    ends.iter()
        .map(|end| {
            let mut completed = bytes.to_vec();
            completed.extend_from_slice(end.as_bytes());
            let mut completion = end.as_bytes().to_vec();
            for name in open_names(&completed).iter().rev().take(64) {
                completion.extend_from_slice(&[b"</", *name, b">"].concat());
            }
            completion
        })
        .collect()
}

/// Names of elements that seem to be open, by a glance at the tags.
fn open_names(bytes: &[u8]) -> Vec<&[u8]> {
    let mut open = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[at + 1..];
        let end = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
        let tag = &rest[..end];
        match tag.first() {
            Some(b'/') => {
                open.pop();
            }
            Some(b'!' | b'?') | None => {}
            Some(_) if tag.ends_with(b"/") => {}
            Some(_) => {
                let name = tag
                    .split(|byte| byte.is_ascii_whitespace())
                    .next()
                    .unwrap_or_default();
                open.push(name);
            }
        }
    }
    open
}

/// What must hold of every element that was let in.
fn check_element(element: &Element, limits: &Limits) {
    let limits = Limits {
        stanza_bytes: element.bytes().len(),
        attributes: usize::MAX,
        name_bytes: usize::MAX,
        ..limits.clone()
    };
    assert_ne!(element.namespace(), "");
    // Plain form is read as it is, by both.
    for backend in [Backend::Scanner, Backend::Reference] {
        let again = outcome(backend, Framing::Elements, element.bytes(), &[], &limits);
        assert_eq!(
            again.frames,
            [Frame::Element(element.clone())],
            "{backend:?} {:?}",
            again.error
        );
    }
    check_plain(element.as_str());
    // As a tree it is the same, and reads the same when written.
    let tree = element.to_tree();
    assert_eq!(
        (tree.name.as_str(), tree.namespace.as_str()),
        (element.name(), element.namespace())
    );
    assert_eq!(tree.content(), element.text());
    assert_eq!(
        Tree::parse(element.bytes(), CONTENT.as_str(), &limits).as_ref(),
        Ok(&tree)
    );
    let written = tree.to_bytes(CONTENT.as_str());
    let limits = Limits {
        stanza_bytes: written.len(),
        ..limits
    };
    let again = Element::parse(&written, CONTENT, &limits).map(|element| element.to_tree());
    assert_eq!(again.as_ref(), Ok(&tree));
    // Its children are its children.
    let children: Vec<Tree> = element.children().map(|child| child.to_tree()).collect();
    assert!(tree.children().eq(&children), "{children:?} {tree:?}");
    for (number, child) in element.children().enumerate() {
        assert_eq!(usize::from(child.index()), number);
        assert_eq!(child.text(), children[number].content());
        assert!(child.is(&children[number].namespace, &children[number].name));
        for (name, value) in &children[number].attributes {
            assert!(
                name.starts_with('{') || child.attribute(name).as_deref() == Some(value),
                "{name}"
            );
        }
    }
    for (name, value) in &tree.attributes {
        assert!(
            name.starts_with('{') || element.attribute(name).as_deref() == Some(value),
            "{name}"
        );
    }
    check_emission(element, &tree);
}

/// The promises of plain form that a look at the text can check.
fn check_plain(text: &str) {
    assert!(!text.contains('\r') && !text.contains("<!") && !text.contains("<?"));
    for (at, _) in text.match_indices("&#") {
        assert!(
            ["&#x9;", "&#xA;", "&#xD;"]
                .iter()
                .any(|known| text[at..].starts_with(known)),
            "{text}"
        );
    }
    let mut rest = text;
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, after) = tag.split_once('>').unwrap_or_default();
        rest = after;
        let name_length = tag.find([' ', '\t', '\n']).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(name_length);
        assert!(!name.contains(':'), "{text}");
        assert!(!name.starts_with('/') || attributes.is_empty(), "{text}");
        // No value holds a quote, so that every second piece is a value.
        let pieces: Vec<&str> = attributes.split(['\'', '"']).collect();
        assert_eq!(pieces.len() % 2, 1, "{text}");
        for (number, piece) in pieces.iter().enumerate() {
            match number % 2 {
                1 => assert!(!piece.contains(['\t', '\n']), "{text}"),
                _ if number + 1 == pieces.len() => assert!(matches!(piece.trim_start(), "" | "/"), "{text}"),
                _ => {
                    let name = piece
                        .trim_start_matches([' ', '\t', '\n'])
                        .strip_suffix('=')
                        .unwrap_or_default();
                    assert!(
                        name.len() + 1 < piece.len() && !name.is_empty() && !name.contains(' '),
                        "{text}"
                    );
                }
            }
        }
    }
}

/// Another head, children dropped, something appended: what comes out is what was meant.
fn check_emission(element: &Element, tree: &Tree) {
    for drop_odd in [0, 1] {
        let drop: Vec<u16> = (0..element.child_count() as u16)
            .filter(|index| index % 2 == drop_odd)
            .collect();
        let head = |out: &mut Vec<u8>| {
            out.push(b'<');
            out.extend_from_slice(element.name().as_bytes());
            for attribute in element.attributes() {
                attribute.write(out);
            }
        };
        let mut out = Vec::new();
        element.emit(&mut out, head, &drop, b"<y xmlns='urn:y'>z</y>");
        let mut expected = Tree {
            nodes: Vec::new(),
            ..tree.clone()
        };
        let mut index = 0;
        for node in &tree.nodes {
            match node {
                Node::Text(text) => expected = expected.text(text),
                Node::Element(child) => {
                    if index % 2 != drop_odd {
                        expected = expected.child(child.clone());
                    }
                    index += 1;
                }
            }
        }
        expected = expected.child(Tree::new("y", "urn:y").text("z"));
        let again = Element::parse(&out, CONTENT, &Limits::unlimited()).map(|element| element.to_tree());
        assert_eq!(again.as_ref(), Ok(&expected), "{}", String::from_utf8_lossy(&out));
        let mut whole = Vec::new();
        element.emit(&mut whole, head, &[], b"");
        let again = Element::parse(&whole, CONTENT, &Limits::unlimited()).map(|element| element.to_tree());
        assert_eq!(again.as_ref(), Ok(tree), "{}", String::from_utf8_lossy(&whole));
    }
}
