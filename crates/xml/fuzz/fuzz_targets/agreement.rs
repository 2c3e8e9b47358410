//! Bytes as they are, through both backends, whole and in pieces.
//!
//! The first byte chooses the surroundings, the second the sizes of the pieces.

#![no_main]

#[allow(dead_code, reason = "what it knows about documents with one fault is for the other target")]
#[path = "../../tests/differential/agreement.rs"]
mod agreement;
#[path = "../../tests/differential/whole.rs"]
mod whole;

use libfuzzer_sys::fuzz_target;
use xml::{Framing, Limits};

fuzz_target!(|data: &[u8]| {
    let [surroundings, size, rest @ ..] = data else {
        return;
    };
    let sizes = [usize::from(size % 16) + 1, usize::from(size / 16) + 1];
    let (framing, bytes) = match surroundings % 4 {
        0 => (Framing::Stream, rest.to_vec()),
        1 => {
            let header =
                b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
            (Framing::Stream, [&header[..], rest].concat())
        }
        2 => (Framing::Elements, rest.to_vec()),
        _ => (
            Framing::Elements,
            [&b"<a xmlns:p='u'>"[..], rest, b"</a>"].concat(),
        ),
    };
    let limits = if surroundings & 4 == 0 {
        agreement::LIMITS
    } else {
        Limits {
            stanza_bytes: 200,
            depth: 3,
            attributes: 2,
            name_bytes: 8,
            children: 2,
        }
    };
    agreement::check(framing, &bytes, &sizes, &limits);
    whole::check(framing, &bytes);
});
