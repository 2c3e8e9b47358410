//! Documents made by the choices that the bytes stand for, through both backends, whole and in pieces.

#![no_main]

#[path = "../../tests/differential/agreement.rs"]
mod agreement;
#[path = "../../tests/differential/documents.rs"]
mod documents;
#[path = "../../tests/differential/spellings.rs"]
mod spellings;
#[path = "../../tests/differential/whole.rs"]
mod whole;

use documents::{Choices, Faults};
use libfuzzer_sys::fuzz_target;
use xml::Limits;

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let sizes = [choices.number(12) + 1, choices.number(60) + 1];
    let limits = if choices.rarely(3) {
        Limits {
            stanza_bytes: 64 + 16 * choices.number(32),
            depth: 1 + choices.number(5),
            attributes: choices.number(5),
            name_bytes: 4 + choices.number(64),
            children: choices.number(4),
        }
    } else {
        agreement::LIMITS
    };
    let document = documents::document(&mut choices);
    agreement::check(document.framing, &document.bytes, &sizes, &limits);
    whole::check(document.framing, &document.bytes);
    if document.faults != Faults::Many {
        agreement::check_conditions(document.framing, &document.bytes);
    }
});
