//! Reads plain form that was validated before: finds tags, attributes and children without checking anything again.
//!
//! Everything here relies on `>` ending a tag wherever it stands in one, on tags that balance, and on namespaces that
//! are declared where they change. What cannot be in plain form is answered with `None`, never with a panic.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::{Namespace, Node, Tree, escape::unescape};

/// An opening tag and where it ends.
#[derive(Clone, Copy)]
pub(crate) struct OpeningTag<'t> {
    /// The name.
    pub(crate) name: &'t str,
    /// From behind the name to before `>` or `/>`.
    pub(crate) attributes: &'t str,
    /// Offset of `attributes`.
    pub(crate) attributes_start: usize,
    /// Offset behind `>`.
    pub(crate) end: usize,
    /// Whether the tag closes its own element.
    pub(crate) empty: bool,
}

/// The opening tag that begins at offset `start`.
pub(crate) fn opening_tag(text: &str, start: usize) -> Option<OpeningTag<'_>> {
    let inside = text.get(start..)?.strip_prefix('<')?;
    let (inside, empty) = {
        let until = &inside[..memchr::memchr(b'>', inside.as_bytes())?];
        match until.strip_suffix('/') {
            Some(head) => (head, true),
            None => (until, false),
        }
    };
    let name_length = inside.bytes().position(is_space).unwrap_or(inside.len());
    let (name, attributes) = inside.split_at(name_length);
    let end = start + 1 + inside.len() + if empty { 2 } else { 1 };
    Some(OpeningTag {
        name,
        attributes,
        attributes_start: start + 1 + name_length,
        end,
        empty,
    })
}

/// One attribute as it is written; the offsets count from where the attributes of the tag begin.
#[derive(Clone, Copy)]
pub(crate) struct RawAttribute<'t> {
    pub(crate) name: &'t str,
    /// Between the quotes, still escaped.
    pub(crate) value: &'t str,
    /// All of it with its quotes.
    pub(crate) written: &'t str,
    /// Offset of the name.
    pub(crate) start: usize,
}

/// The attributes of a tag in order, namespace declarations included.
pub(crate) fn attributes(text: &str) -> impl Iterator<Item = RawAttribute<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at + rest.bytes().position(|byte| !is_space(byte))?;
        let (name, after) = text.get(start..)?.split_once('=')?;
        let quote = *after.as_bytes().first()?;
        let value = after.get(1..)?;
        let value = &value[..memchr::memchr(quote, value.as_bytes())?];
        at = start + name.len() + value.len() + 3;
        Some(RawAttribute {
            name,
            value,
            written: text.get(start..at)?,
            start,
        })
    })
}

/// The raw value of one attribute.
pub(crate) fn attribute<'t>(attributes: &'t str, name: &str) -> Option<&'t str> {
    self::attributes(attributes)
        .find(|attribute| attribute.name == name)
        .map(|attribute| attribute.value)
}

/// The next piece of content.
pub(crate) enum Piece<'t> {
    Text(&'t str),
    Open(OpeningTag<'t>),
    /// A closing tag that ends at this offset.
    Close(usize),
}

/// What begins at offset `start`; `None` at the end.
pub(crate) fn piece(text: &str, start: usize) -> Option<(Piece<'_>, usize)> {
    let rest = text.get(start..)?;
    if rest.starts_with("</") {
        let end = start + memchr::memchr(b'>', rest.as_bytes())? + 1;
        Some((Piece::Close(end), end))
    } else if rest.starts_with('<') {
        let tag = opening_tag(text, start)?;
        Some((Piece::Open(tag), tag.end))
    } else if rest.is_empty() {
        None
    } else {
        let length = memchr::memchr(b'<', rest.as_bytes()).unwrap_or(rest.len());
        Some((Piece::Text(&rest[..length]), start + length))
    }
}

/// The offset behind the element whose opening tag is given.
pub(crate) fn element_end(text: &str, tag: &OpeningTag<'_>) -> Option<usize> {
    if tag.empty {
        return Some(tag.end);
    }
    let mut open = 1_usize;
    let mut at = tag.end;
    loop {
        let (piece, next) = piece(text, at)?;
        at = next;
        match piece {
            Piece::Open(tag) if !tag.empty => open += 1,
            Piece::Close(end) => {
                open -= 1;
                if open == 0 {
                    return Some(end);
                }
            }
            Piece::Open(_) | Piece::Text(_) => {}
        }
    }
}

/// Divides elements in plain form that stand one behind the other: the first, and the rest. `None` when no whole element
/// stands in front.
pub fn split_plain(bytes: &[u8]) -> Option<(&str, &[u8])> {
    if bytes.first() != Some(&b'<') {
        return None;
    }
    let mut open = 0_usize;
    let mut at = 0;
    loop {
        at += memchr::memchr(b'<', bytes.get(at..)?)?;
        let end = at + memchr::memchr(b'>', bytes.get(at..)?)? + 1;
        if bytes.get(at + 1) == Some(&b'/') {
            open = open.checked_sub(1)?;
        } else if bytes.get(end - 2) != Some(&b'/') {
            open += 1;
        }
        if open == 0 {
            let (element, rest) = bytes.split_at_checked(end)?;
            return Some((std::str::from_utf8(element).ok()?, rest));
        }
        at = end;
    }
}

/// The un-escaped text directly inside the element that is `text`.
pub(crate) fn direct_text(text: &str) -> Cow<'_, str> {
    let mut found = Cow::Borrowed("");
    let Some(tag) = opening_tag(text, 0) else {
        return found;
    };
    let mut at = tag.end;
    while let Some((piece, next)) = piece(text, at) {
        at = match piece {
            Piece::Text(raw) => {
                join(&mut found, unescape(raw));
                next
            }
            Piece::Open(tag) => match element_end(text, &tag) {
                Some(end) => end,
                None => break,
            },
            Piece::Close(_) => break,
        };
    }
    found
}

/// Appends without copying what is the first text.
pub(crate) fn join<'t>(found: &mut Cow<'t, str>, more: Cow<'t, str>) {
    if found.is_empty() {
        *found = more;
    } else {
        found.to_mut().push_str(&more);
    }
}

/// The element that is `text` as a tree.
pub(crate) fn tree(text: &str, inherited: &str) -> Option<Tree> {
    let inherited = Namespace::from(inherited);
    let mut ancestors: SmallVec<[Tree; 8]> = SmallVec::new();
    let mut at = 0;
    loop {
        let (piece, next) = piece(text, at)?;
        at = next;
        let complete = match piece {
            Piece::Text(raw) => {
                ancestors.last_mut()?.push_text(&unescape(raw));
                continue;
            }
            Piece::Open(tag) => {
                let parent = ancestors.last().map_or(&inherited, |parent| &parent.namespace);
                let element = opened(&tag, parent);
                if !tag.empty {
                    ancestors.push(element);
                    continue;
                }
                element
            }
            Piece::Close(_) => ancestors.pop()?,
        };
        match ancestors.last_mut() {
            Some(parent) => parent.nodes.push(Node::Element(complete)),
            None => return (at == text.len()).then_some(complete),
        }
    }
}

/// An element as its opening tag describes it.
fn opened(tag: &OpeningTag<'_>, inherited: &Namespace) -> Tree {
    let mut element = Tree::new(tag.name, inherited);
    for RawAttribute { name, value, .. } in attributes(tag.attributes) {
        match name.split_once(':') {
            None if name == "xmlns" => element.namespace = unescape(value).into(),
            Some(("xmlns", _)) => {}
            None | Some(("xml", _)) => element
                .attributes
                .push((name.to_owned(), unescape(value).into_owned())),
            Some((prefix, local)) => {
                let declaration = attribute(tag.attributes, &format!("xmlns:{prefix}")).unwrap_or_default();
                element.attributes.push((
                    format!("{{{}}}{local}", unescape(declaration)),
                    unescape(value).into_owned(),
                ));
            }
        }
    }
    element
}

/// White space in a plain tag.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::split_plain;

    #[test]
    fn elements_one_behind_the_other_are_divided() {
        let elements = [
            "<a/>",
            "<message to='x'><body>1 > 0</body><a/></message>",
            "<a></a>",
            "<a><a><a/></a>é</a>",
        ];
        let all = elements.concat();
        let mut rest = all.as_bytes();
        for element in elements {
            let (first, after) = split_plain(rest).unwrap();
            assert_eq!(first, element);
            rest = after;
        }
        assert!(rest.is_empty());
        for cut_short in ["", "<", "<a", "<a>", "<a><b/>", "text", "</a>"] {
            assert_eq!(split_plain(cut_short.as_bytes()), None, "{cut_short:?}");
        }
    }
}
