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

/// The first offset from `at` on where character data must be looked at, or the end.
#[inline(always)]
pub(crate) fn find_in_text(bytes: &[u8], at: usize) -> usize {
    let is_rare =
        |byte: u8| (byte < 0x20) | (byte == b'<') | (byte == b'&') | (byte == b']') | (byte == 0xef);
    find(bytes, at, TEXT_STOP, is_rare)
}

/// The same between quotes.
#[inline(always)]
pub(crate) fn find_in_value(bytes: &[u8], at: usize) -> usize {
    let is_rare = |byte: u8| {
        (byte < 0x20)
            | (byte == b'<')
            | (byte == b'>')
            | (byte == b'&')
            | (byte == b'\'')
            | (byte == b'"')
            | (byte == 0xef)
    };
    find(bytes, at, VALUE_STOP, is_rare)
}

/// The same in a CDATA section.
pub(crate) fn find_in_character_data(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, CDATA_STOP, |byte| {
        (byte < 0x20) | (byte == b']') | (byte == 0xef)
    })
}

/// Short runs are judged byte by byte and the rest of long ones in blocks. `is_rare` holds for every byte of the class,
/// and is simple enough to be asked about a whole block at once.
#[inline(always)]
fn find(bytes: &[u8], mut at: usize, class: u8, is_rare: impl Fn(u8) -> bool) -> usize {
    const BLOCK: usize = 32;
    let short = &bytes[at..bytes.len().min(at + BLOCK)];
    if let Some(length) = position(short, |byte| is(byte, class)) {
        return at + length;
    }
    at += short.len();
    while let Some(block) = bytes.get(at..at + BLOCK) {
        let mut has_rare = 0;
        for byte in block {
            has_rare |= u8::from(is_rare(*byte));
        }
        if has_rare != 0
            && let Some(length) = position(block, |byte| is(byte, class))
        {
            return at + length;
        }
        at += BLOCK;
    }
    match position(&bytes[at..], |byte| is(byte, class)) {
        Some(length) => at + length,
        None => bytes.len(),
    }
}

/// The first place where `is_end` holds; it is asked about each byte up to there, in order.
///
/// The same as `Iterator::position`, but compilers unroll it.
#[inline(always)]
pub(crate) fn position(bytes: &[u8], mut is_end: impl FnMut(u8) -> bool) -> Option<usize> {
    const BLOCK: usize = 8;
    let mut at = 0;
    while let Some(block) = bytes[at..].first_chunk::<BLOCK>() {
        for (index, byte) in block.iter().enumerate() {
            if is_end(*byte) {
                return Some(at + index);
            }
        }
        at += BLOCK;
    }
    bytes[at..]
        .iter()
        .position(|byte| is_end(*byte))
        .map(|index| at + index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_single_bytes_are_judged_alike() {
        for byte in 0..=255 {
            for place in 0..80 {
                let mut bytes = [b'x'; 80];
                bytes[place] = byte;
                let expected = |class| if is(byte, class) { place } else { 80 };
                assert_eq!(find_in_text(&bytes, 0), expected(TEXT_STOP), "{byte} at {place}");
                assert_eq!(
                    find_in_value(&bytes, 0),
                    expected(VALUE_STOP),
                    "{byte} at {place}"
                );
                assert_eq!(
                    find_in_character_data(&bytes, 0),
                    expected(CDATA_STOP),
                    "{byte} at {place}"
                );
            }
        }
    }
}
