//! Markup that stands outside elements: the XML declaration, and what XMPP forbids (RFC 6120 §11.1, §11.5).

use crate::XmlError;

/// An XML declaration longer than this is none.
const DECLARATION_BYTES_MAX: usize = 256;

const ILL_DECLARATION: XmlError = XmlError::NotWellFormed("XML declaration");

/// Judges `<?…` at the very start of a document, where an XML declaration may stand (XML 1.0 §2.8). Answers with its
/// length, or `None` when more bytes are needed.
pub(crate) fn declaration(bytes: &[u8]) -> Result<Option<usize>, XmlError> {
    const OPENING: &[u8] = b"<?xml";
    let known = bytes.len().min(OPENING.len());
    if bytes[..known] != OPENING[..known] {
        return Err(PROCESSING_INSTRUCTION);
    }
    match bytes.get(OPENING.len()) {
        None => return Ok(None),
        Some(byte) if !is_space(*byte) => return Err(PROCESSING_INSTRUCTION),
        Some(_) => {}
    }
    let within = &bytes[..bytes.len().min(DECLARATION_BYTES_MAX)];
    match memchr::memchr(b'>', within) {
        Some(end) => {
            let inside = within[OPENING.len()..end]
                .strip_suffix(b"?")
                .ok_or(ILL_DECLARATION)?;
            pseudo_attributes(inside)?;
            Ok(Some(end + 1))
        }
        None if within.len() == DECLARATION_BYTES_MAX => Err(XmlError::Restricted("long XML declaration")),
        None => Ok(None),
    }
}

/// `version`, then perhaps `encoding`, then perhaps `standalone`, each behind white space.
fn pseudo_attributes(inside: &[u8]) -> Result<(), XmlError> {
    let (value, mut rest) = pseudo_attribute(inside, b"version")?.ok_or(ILL_DECLARATION)?;
    if value != b"1.0" {
        return Err(XmlError::Restricted("XML version"));
    }
    if let Some((value, after)) = pseudo_attribute(rest, b"encoding")? {
        if !value.eq_ignore_ascii_case(b"utf-8") {
            return Err(XmlError::UnsupportedEncoding);
        }
        rest = after;
    }
    if let Some((value, after)) = pseudo_attribute(rest, b"standalone")? {
        // RFC 6120 §11.5 lets us ignore it: there is nothing external that it could speak of.
        if !matches!(value, b"yes" | b"no") {
            return Err(ILL_DECLARATION);
        }
        rest = after;
    }
    if trim_start(rest).is_empty() {
        Ok(())
    } else {
        Err(ILL_DECLARATION)
    }
}

/// A value and what follows its closing quote.
type Split<'b> = (&'b [u8], &'b [u8]);

/// The value of ` name = 'value'` at the front, if it stands there, and what follows.
fn pseudo_attribute<'b>(bytes: &'b [u8], name: &[u8]) -> Result<Option<Split<'b>>, XmlError> {
    let trimmed = trim_start(bytes);
    let Some(rest) = trimmed.strip_prefix(name).filter(|_| trimmed.len() < bytes.len()) else {
        return Ok(None);
    };
    let rest = trim_start(trim_start(rest).strip_prefix(b"=").ok_or(ILL_DECLARATION)?);
    let (quote, rest) = rest.split_first().ok_or(ILL_DECLARATION)?;
    if !matches!(quote, b'\'' | b'"') {
        return Err(ILL_DECLARATION);
    }
    let end = memchr::memchr(*quote, rest).ok_or(ILL_DECLARATION)?;
    Ok(Some((&rest[..end], &rest[end + 1..])))
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take_while(|byte| is_space(**byte)).count();
    &bytes[spaces..]
}

/// Judges `<!…` where no element is open; `None` when more bytes are needed to tell.
pub(crate) fn exclamation(bytes: &[u8]) -> Option<XmlError> {
    match bytes {
        [b'<', b'!'] | [b'<', b'!', b'-'] => None,
        [b'<', b'!', b'-', b'-', ..] => Some(COMMENT),
        [b'<', b'!', b'[', ..] => Some(XmlError::BadFormat("character data outside elements")),
        [b'<', b'!', letter, ..] if letter.is_ascii_uppercase() => Some(DOCUMENT_TYPE),
        _ => Some(XmlError::NotWellFormed("markup")),
    }
}

/// `<!--…` (RFC 6120 §11.1).
pub(crate) const COMMENT: XmlError = XmlError::Restricted("comment");

/// `<!DOCTYPE …`, `<!ENTITY …` and their like, wherever they stand (RFC 6120 §11.1).
pub(crate) const DOCUMENT_TYPE: XmlError = XmlError::Restricted("document type or entity declaration");

/// `<?…` (RFC 6120 §11.1).
pub(crate) const PROCESSING_INSTRUCTION: XmlError = XmlError::Restricted("processing instruction");

/// White space of XML (XML 1.0 §2.3).
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Result<Option<usize>, &'static str> {
        declaration(text.as_bytes()).map_err(|error| error.condition())
    }

    #[test]
    fn xml_2_8_declarations_are_accepted() {
        for text in [
            "<?xml version='1.0'?>",
            "<?xml version=\"1.0\" encoding='UTF-8'?>",
            "<?xml version='1.0' encoding='utf-8' standalone='yes' ?>",
            "<?xml version='1.0' standalone='no'?>",
            "<?xml\r\n version = '1.0'\t?>",
        ] {
            assert_eq!(whole(text), Ok(Some(text.len())), "{text}");
            for cut in 2..text.len() {
                assert_eq!(whole(&text[..cut]), Ok(None), "{text} cut at {cut}");
            }
        }
    }

    #[test]
    fn xml_2_8_other_declarations_are_refused() {
        for (text, condition) in [
            ("<?xml?>", "restricted-xml"),
            ("<?xml ?>", "not-well-formed"),
            ("<?xml encoding='utf-8'?>", "not-well-formed"),
            ("<?xml version='1.0'encoding='utf-8'?>", "not-well-formed"),
            ("<?xml version='1.0' encoding=utf-8?>", "not-well-formed"),
            ("<?xml version='1.0' standalone='maybe'?>", "not-well-formed"),
            (
                "<?xml version='1.0' standalone='yes' encoding='utf-8'?>",
                "not-well-formed",
            ),
            ("<?xml version='1.0'>", "not-well-formed"),
            ("<?xml version='1.0\"?>", "not-well-formed"),
            ("<?xml version='1.1'?>", "restricted-xml"),
            ("<?xml-stylesheet href='x'?>", "restricted-xml"),
            ("<?php", "restricted-xml"),
        ] {
            assert_eq!(whole(text), Err(condition), "{text}");
        }
        assert_eq!(
            whole(&format!("<?xml {}", " ".repeat(300))),
            Err("restricted-xml")
        );
    }

    #[test]
    fn rfc6120_11_6_an_encoding_other_than_utf8_is_unsupported() {
        assert_eq!(
            whole("<?xml version='1.0' encoding='iso-8859-1'?>"),
            Err("unsupported-encoding")
        );
    }

    #[test]
    fn rfc6120_11_1_comments_and_document_types_are_restricted() {
        let condition = |text: &str| exclamation(text.as_bytes()).map(|error| error.condition());
        assert_eq!(condition("<!--"), Some("restricted-xml"));
        assert_eq!(condition("<!DOCTYPE"), Some("restricted-xml"));
        assert_eq!(condition("<!-x"), Some("not-well-formed"));
        assert_eq!(condition("<!x"), Some("not-well-formed"));
        assert_eq!(condition("<![CDATA["), Some("bad-format"));
        assert_eq!(condition("<!-"), None);
    }
}
