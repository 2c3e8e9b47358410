//! Nicks as people see them (XEP-0045 §14.6, §17.1; RFC 8266 §2.3): which of them look like nothing, and which like each other.
//!
//! Letters of different scripts that look alike are not compared: no table of them would be without mistakes.

use unicode_normalization::UnicodeNormalization;

/// Whether anything of a nick can be seen.
pub(crate) fn is_visible(nick: &str) -> bool {
    nick.chars()
        .any(|char| !char.is_whitespace() && !is_ignorable(char))
}

/// The same text for nicks that look the same but for capital letters and space.
pub(crate) fn look(nick: &str) -> String {
    let visible = nick.chars().filter(|char| !is_ignorable(*char));
    let folded: String = visible.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    words.join(" ")
}

/// What is not drawn: controls, and characters that Unicode calls ignorable by default, and blanks that it does not call so.
fn is_ignorable(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xep0045_17_1_a_nick_of_which_nothing_is_seen_is_none() {
        for nick in [" ", "\u{200B}", "\u{2800}\u{A0}", "\u{3164}", "\u{200E}\u{2066}"] {
            assert!(!is_visible(nick), "{nick:?}");
        }
        for nick in ["x", " x ", "☺", "魔女", "👩\u{200D}🔬"] {
            assert!(is_visible(nick), "{nick:?}");
        }
    }

    #[test]
    fn xep0045_14_6_nicks_that_look_the_same_are_the_same() {
        for (one, other) in [
            ("Romeo", "romeo"),
            ("romeo", "romeo\u{200B}"),
            ("the  nurse ", "The Nurse"),
            ("ﬁrstwitch", "firstwitch"),
            ("Ｒomeo", "Romeo"),
            ("Émile", "e\u{301}mile"),
        ] {
            assert_eq!(look(one), look(other), "{one:?} {other:?}");
        }
        assert_ne!(look("romeo"), look("romeo2"));
        assert_eq!(look(&look("ǅ Ω K")), look("ǅ Ω K"), "once is enough");
    }
}
