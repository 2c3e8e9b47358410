//! Names with characters beyond ASCII (XML 1.0, fifth edition, §2.3 [4], [4a]).
//!
//! U+FDF0 to U+FFFD may not stand in a name here although XML allows it, because `rxml` refuses them too.

/// Beyond ASCII, what may begin a name.
const START: [(u32, u32); 11] = [
    (0xc0, 0xd6),
    (0xd8, 0xf6),
    (0xf8, 0x2ff),
    (0x370, 0x37d),
    (0x37f, 0x1fff),
    (0x200c, 0x200d),
    (0x2070, 0x218f),
    (0x2c00, 0x2fef),
    (0x3001, 0xd7ff),
    (0xf900, 0xfdcf),
    (0x10000, 0xeffff),
];

/// Beyond ASCII, what may continue a name besides.
const FURTHER: [(u32, u32); 3] = [(0xb7, 0xb7), (0x300, 0x36f), (0x203f, 0x2040)];

/// Whether all characters beyond ASCII may stand where they stand; those within were judged as bytes.
pub(crate) fn is_name(name: &str) -> bool {
    name.chars().enumerate().all(|(index, character)| {
        character.is_ascii() || within(character, &START) || (index > 0 && within(character, &FURTHER))
    })
}

fn within(character: char, ranges: &[(u32, u32)]) -> bool {
    ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&u32::from(character)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_2_3_every_character_beyond_ascii_is_judged_as_the_reference_judges_it() {
        for character in '\u{80}'..=char::MAX {
            for name in [format!("{character}"), format!("a{character}")] {
                let reference = rxml::Name::try_from(name.as_str()).is_ok();
                assert_eq!(is_name(&name), reference, "{name:?}");
            }
        }
    }
}
