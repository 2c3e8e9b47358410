//! Character data between its plain form and what it stands for (XML 1.0 §2.4, §4.6).

use std::borrow::Cow;

/// Appends `text` as the content of an element, in plain form.
///
/// A character that XML cannot carry at all is replaced by U+FFFD: what we send is well-formed whatever it is made of
/// (RFC 6120 §11.3, rule 1).
pub fn escape_text(out: &mut Vec<u8>, text: &str) {
    escape(out, text, &TEXT);
}

/// Appends `value` as the value of an attribute, in plain form; it fits between quotes of either kind.
///
/// Characters that XML cannot carry are replaced as in [`escape_text`].
pub fn escape_attribute(out: &mut Vec<u8>, value: &str) {
    escape(out, value, &ATTRIBUTE);
}

/// What the raw text or attribute value stands for.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let mut plain = String::with_capacity(raw.len());
    let (before, mut rest) = raw.split_at(first);
    plain.push_str(before);
    while let Some(reference) = rest.strip_prefix('&') {
        let (name, after) = reference.split_once(';').unwrap_or((reference, ""));
        plain.extend(referenced(name));
        let next = memchr::memchr(b'&', after.as_bytes()).unwrap_or(after.len());
        let (text, after) = after.split_at(next);
        plain.push_str(text);
        rest = after;
    }
    Cow::Owned(plain)
}

/// The character that stands behind `&name;` in plain form.
fn referenced(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        "#x9" => Some('\t'),
        "#xA" => Some('\n'),
        "#xD" => Some('\r'),
        _ => None,
    }
}

fn escape(out: &mut Vec<u8>, text: &str, class: &[bool; 256]) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !class[usize::from(byte)] {
            continue;
        }
        let (replacement, length): (&[u8], usize) = match byte {
            b'&' => (b"&amp;", 1),
            b'<' => (b"&lt;", 1),
            b'>' => (b"&gt;", 1),
            b'\'' => (b"&apos;", 1),
            b'"' => (b"&quot;", 1),
            b'\t' => (b"&#x9;", 1),
            b'\n' => (b"&#xA;", 1),
            b'\r' => (b"&#xD;", 1),
            0xef => match bytes.get(at + 1..at + 3) {
                Some([0xbf, 0xbe | 0xbf]) => (REPLACEMENT, 3),
                _ => continue,
            },
            _ => (REPLACEMENT, 1),
        };
        out.extend_from_slice(&bytes[copied..at]);
        out.extend_from_slice(replacement);
        copied = at + length;
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// U+FFFD.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Bytes at which [`escape`] must look in text: markup, control characters, and the first byte of U+FFFE and U+FFFF.
const TEXT: [bool; 256] = {
    let mut class = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        class[byte] = byte != b'\t' as usize && byte != b'\n' as usize;
        byte += 1;
    }
    class[b'&' as usize] = true;
    class[b'<' as usize] = true;
    class[b'>' as usize] = true;
    class[0xef] = true;
    class
};

/// The same in attribute values, where quotes are markup and white space would be normalised away (XML 1.0 §3.3.3).
const ATTRIBUTE: [bool; 256] = {
    let mut class = TEXT;
    class[b'\t' as usize] = true;
    class[b'\n' as usize] = true;
    class[b'\'' as usize] = true;
    class[b'"' as usize] = true;
    class
};

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> String {
        let mut out = Vec::new();
        escape_text(&mut out, raw);
        String::from_utf8(out).unwrap()
    }

    fn attribute(raw: &str) -> String {
        let mut out = Vec::new();
        escape_attribute(&mut out, raw);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn markup_is_escaped_and_comes_back() {
        let raw = "a<b>&'\"\t\n\r ]]> ü €";
        assert_eq!(text(raw), "a&lt;b&gt;&amp;'\"\t\n&#xD; ]]&gt; ü €");
        assert_eq!(
            attribute(raw),
            "a&lt;b&gt;&amp;&apos;&quot;&#x9;&#xA;&#xD; ]]&gt; ü €"
        );
        assert_eq!(unescape(&text(raw)), raw);
        assert_eq!(unescape(&attribute(raw)), raw);
    }

    #[test]
    fn xml_2_2_what_is_no_xml_character_is_replaced() {
        assert_eq!(
            text("a\0b\u{b}c\u{fffe}d\u{ffff}e\u{fffd}f\u{1f}"),
            "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}"
        );
        assert_eq!(attribute("\u{ff5e}\u{1}"), "\u{ff5e}\u{fffd}");
    }

    #[test]
    fn text_without_references_is_borrowed() {
        assert!(matches!(unescape("as it is"), Cow::Borrowed("as it is")));
        assert_eq!(unescape("&lt;&lt;x&amp;amp;"), "<<x&amp;");
    }
}
