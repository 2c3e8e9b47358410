//! What each byte may be, as tables.

/// May stand in a name; every byte beyond ASCII may until the name is complete.
pub(crate) const NAME: u8 = 1;
/// May begin a name.
pub(crate) const NAME_START: u8 = 2;
/// The colon of a qualified name.
pub(crate) const COLON: u8 = 4;
/// Beyond ASCII.
pub(crate) const WIDE: u8 = 8;
/// Ends a run of character data that needs no second look.
pub(crate) const TEXT_STOP: u8 = 16;
/// The same between quotes.
pub(crate) const VALUE_STOP: u8 = 32;
/// The same in a CDATA section.
pub(crate) const CDATA_STOP: u8 = 64;
/// White space.
pub(crate) const SPACE: u8 = 128;

/// The classes of each byte.
pub(crate) static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = classes(byte as u8);
        byte += 1;
    }
    class
};

const fn classes(byte: u8) -> u8 {
    let name = match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => NAME | NAME_START,
        b':' => NAME | NAME_START | COLON,
        b'0'..=b'9' | b'-' | b'.' => NAME,
        0x80..=0xff => NAME | NAME_START | WIDE,
        _ => 0,
    };
    let stop = match byte {
        b'\t' | b'\n' => VALUE_STOP,
        // Control characters and the carriage return; and what U+FFFE and U+FFFF begin with.
        0x00..=0x1f | 0xef => TEXT_STOP | VALUE_STOP | CDATA_STOP,
        b'<' | b'&' => TEXT_STOP | VALUE_STOP,
        b']' => TEXT_STOP | CDATA_STOP,
        b'>' | b'\'' | b'"' => VALUE_STOP,
        _ => 0,
    };
    let space = if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
        SPACE
    } else {
        0
    };
    name | stop | space
}

/// Whether the byte is of one of the classes.
#[inline(always)]
pub(crate) fn is(byte: u8, classes: u8) -> bool {
    CLASS[usize::from(byte)] & classes != 0
}

/// The first offset from `at` on where a byte of one of the classes stands, or the end.
#[inline(always)]
pub(crate) fn find(bytes: &[u8], at: usize, classes: u8) -> usize {
    match bytes[at..].iter().position(|byte| is(*byte, classes)) {
        Some(length) => at + length,
        None => bytes.len(),
    }
}
