//! The scanner against the reference, over made-up documents and over bytes of any kind.

mod agreement;
mod documents;
mod spellings;
mod whole;

use proptest::{collection::vec, prelude::*};
use xml::{Backend, Framing, Limits};

use documents::{Choices, Faults};

/// Limits that hardly anything exceeds, and limits that much exceeds.
fn limits(choices: &mut Choices<'_>) -> Limits {
    if choices.rarely(2) {
        return agreement::LIMITS;
    }
    Limits {
        stanza_bytes: 64 + 16 * choices.number(32),
        depth: 1 + choices.number(5),
        attributes: choices.number(5),
        name_bytes: 4 + choices.number(64),
        children: choices.number(4),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_backends_agree_on_documents(choices in vec(any::<u8>(), 0..400), sizes in vec(1_usize..9, 1..9)) {
        let mut choices = Choices::new(&choices);
        let limits = limits(&mut choices);
        let document = documents::document(&mut choices);
        agreement::check(document.framing, &document.bytes, &sizes, &limits);
        whole::check(document.framing, &document.bytes);
        if document.faults != Faults::Many {
            agreement::check_conditions(document.framing, &document.bytes);
        }
    }

    #[test]
    fn the_backends_agree_on_markup_in_disorder(
        bytes in "[<>/!?&;='\" \\[\\]ax:\r\n\t\u{e9}\u{ffff}-]{0,64}",
        sizes in vec(1_usize..5, 1..5),
    ) {
        let bytes = [b"<a>", bytes.as_bytes(), b"</a>"].concat();
        agreement::check(Framing::Elements, &bytes, &sizes, &agreement::LIMITS);
    }

    #[test]
    fn the_backends_agree_on_any_bytes(bytes in vec(any::<u8>(), 0..40), sizes in vec(1_usize..5, 1..5)) {
        agreement::check(Framing::Elements, &bytes, &sizes, &agreement::LIMITS);
        let bytes = [b"<a b='", &bytes[..], b"'/>"].concat();
        agreement::check(Framing::Elements, &bytes, &sizes, &agreement::LIMITS);
    }
}

#[test]
fn made_up_documents_are_worth_the_name() {
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let (mut accepted, mut refused, mut elements, mut kept) = (0, 0, 0, 0);
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..300).map(|_| random()).collect();
        let document = documents::document(&mut Choices::new(&bytes));
        let outcome = agreement::outcome(
            Backend::Scanner,
            document.framing,
            &document.bytes,
            &[],
            &agreement::LIMITS,
        );
        *if outcome.error.is_none() {
            &mut accepted
        } else {
            &mut refused
        } += 1;
        let text = String::from_utf8_lossy(&document.bytes);
        for element in outcome.frames.iter().filter_map(agreement::element) {
            elements += 1;
            kept += usize::from(text.contains(element.as_str()));
        }
    }
    assert!(accepted > 600, "{accepted} documents are accepted");
    assert!(refused > 400, "{refused} documents are refused");
    assert!(elements > 2_000, "there are {elements} elements");
    assert!(kept > 400, "{kept} elements are plain form");
    assert!(elements - kept > 400, "{} elements are not", elements - kept);
}
