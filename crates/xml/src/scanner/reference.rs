//! References in text and attribute values: `&amp;` and its four siblings, `&#10;`, `&#xA;` (XML 1.0 §4.1, §4.6).

use super::class::{NAME, is};
use crate::XmlError;

/// A reference that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reference {
    /// From `&` to `;`.
    pub(crate) length: usize,
    /// Whether it is one of the five named ones.
    pub(crate) is_named: bool,
}

/// What stands between `&` and `;`, or `&#` and `;`, is no longer than this; more is refused at once.
const LENGTH_MAX: usize = 8;

/// Reads the reference that begins at the front; `None` when more bytes are needed.
pub(crate) fn reference(bytes: &[u8]) -> Result<Option<Reference>, XmlError> {
    match bytes.get(1..) {
        Some([b'#', b'x', ..]) => Ok(character(bytes, 3, 16)?),
        // What follows may be an `x`.
        Some([b'#']) => Ok(None),
        Some([b'#', ..]) => Ok(character(bytes, 2, 10)?),
        _ => named(bytes),
    }
}

fn named(bytes: &[u8]) -> Result<Option<Reference>, XmlError> {
    const UNKNOWN: XmlError = XmlError::Restricted("entity reference");
    let length = bytes[1..]
        .iter()
        .take(LENGTH_MAX + 1)
        .take_while(|byte| is(**byte, NAME))
        .count();
    if length > LENGTH_MAX {
        return Err(UNKNOWN);
    }
    match (&bytes[1..=length], bytes.get(1 + length)) {
        (_, None) => Ok(None),
        (b"amp" | b"lt" | b"gt" | b"apos" | b"quot", Some(b';')) => Ok(Some(Reference {
            length: length + 2,
            is_named: true,
        })),
        (b"", _) | (_, Some(0..b';' | b'<'..)) => Err(XmlError::NotWellFormed("reference")),
        (_, Some(b';')) => Err(UNKNOWN),
    }
}

fn character(bytes: &[u8], start: usize, radix: u32) -> Result<Option<Reference>, XmlError> {
    let mut code = 0_u64;
    for (index, byte) in bytes[start..].iter().enumerate() {
        match char::from(*byte).to_digit(radix) {
            Some(_) if index == LENGTH_MAX => return Err(XmlError::Restricted("long character reference")),
            Some(digit) => code = code * u64::from(radix) + u64::from(digit),
            None if *byte == b';' && index > 0 && is_character(code) => {
                return Ok(Some(Reference {
                    length: start + index + 1,
                    is_named: false,
                }));
            }
            None => return Err(XmlError::NotWellFormed("character reference")),
        }
    }
    Ok(None)
}

/// What XML calls a character (XML 1.0 §2.2).
fn is_character(code: u64) -> bool {
    matches!(code, 0x9 | 0xa | 0xd | 0x20..=0xd7ff | 0xe000..=0xfffd | 0x1_0000..=0x10_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_4_1_references_are_judged_as_soon_as_possible() {
        let condition = |text: &str| match reference(text.as_bytes()) {
            Ok(Some(reference)) => format!("{} {}", reference.length, reference.is_named),
            Ok(None) => "more".to_owned(),
            Err(error) => error.condition().to_owned(),
        };
        for (text, expected) in [
            ("&", "more"),
            ("&a", "more"),
            ("&amp", "more"),
            ("&amp;", "5 true"),
            ("&quot;x", "6 true"),
            ("&AMP;", "restricted-xml"),
            ("&nbsp;", "restricted-xml"),
            ("&;", "not-well-formed"),
            ("& ", "not-well-formed"),
            ("&lt ", "not-well-formed"),
            ("&lt#", "not-well-formed"),
            ("&abcdefgh", "more"),
            ("&abcdefghi", "restricted-xml"),
            ("&#", "more"),
            ("&#1", "more"),
            ("&#x", "more"),
            ("&#;", "not-well-formed"),
            ("&#x;", "not-well-formed"),
            ("&#X41;", "not-well-formed"),
            ("&#65;", "5 false"),
            ("&#x1F600;", "9 false"),
            ("&#00000065;", "11 false"),
            ("&#000000065", "restricted-xml"),
            ("&#0;", "not-well-formed"),
            ("&#xFFFE;", "not-well-formed"),
            ("&#xD800;", "not-well-formed"),
            ("&#x110000;", "not-well-formed"),
            ("&#6a", "not-well-formed"),
        ] {
            assert_eq!(condition(text), expected, "{text}");
        }
    }
}
