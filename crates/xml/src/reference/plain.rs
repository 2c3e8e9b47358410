//! Whether a piece of raw input is plain form already (see the crate's documentation).

use memchr::{memchr, memmem};

use crate::walk::is_space;

/// Character data between tags.
pub(crate) fn text(raw: &[u8]) -> bool {
    memchr(b'\r', raw).is_none()
        && memmem::find(raw, b"<![CDATA[").is_none()
        && memmem::find(raw, b"&#").is_none()
}

/// An attribute with the white space before it.
pub(crate) fn attribute(raw: &[u8]) -> bool {
    let spaces = raw.iter().take_while(|byte| is_space(**byte)).count();
    let Some(equals) = memchr(b'=', raw) else {
        return false;
    };
    let name = &raw[spaces..equals];
    let [b'\'' | b'"', value @ .., _] = &raw[equals + 1..] else {
        return false;
    };
    name.iter().all(|byte| !byte.is_ascii_whitespace())
        && value
            .iter()
            .all(|byte| !matches!(byte, b'\'' | b'"' | b'<' | b'>' | b'\t' | b'\n' | b'\r'))
        && memmem::find(value, b"&#").is_none()
}

/// The end of an opening tag with the white space before it.
pub(crate) fn head_close(raw: &[u8]) -> bool {
    memchr(b'\r', raw).is_none()
}
