//! Makes documents out of bytes that stand for choices, so that a property test and a fuzzer can drive it alike.
//!
//! They look like streams of stanzas, with every kind of spelling that XML allows. Some hold a fault: a known one that
//! both backends must answer alike, or any number of places where bytes were changed blindly.

use xml::Framing;

use crate::spellings::{
    ATTRIBUTES, BROKEN, CHARACTER_DATA, DECLARATIONS, FAULTY_ATTRIBUTES, FAULTY_DECLARATIONS, FAULTY_HEADERS,
    FAULTY_NAMES, FAULTY_TEXTS, HEADERS, NAMES, NAMESPACES, PLAIN_ATTRIBUTES, PLAIN_NAMESPACES, PLAIN_TEXTS,
    PLAIN_VALUES, PREFIXES, RESERVED, TEXTS, VALUES,
};

/// A document and what it is made for.
pub(crate) struct Document {
    pub(crate) framing: Framing,
    pub(crate) bytes: Vec<u8>,
    pub(crate) faults: Faults,
}

/// What is wrong with a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Faults {
    /// Nothing, apart from what a header may say about the stream.
    None,
    /// At most one thing.
    One,
    /// Nobody knows.
    Many,
}

/// Decisions to take; when they are used up, the first of all possibilities is taken.
pub(crate) struct Choices<'b> {
    bytes: &'b [u8],
    /// Faults that may still be put in.
    faults: usize,
    /// Declared prefixes of open elements.
    prefixes: Vec<&'static str>,
    /// Whether only plain form is wanted now.
    is_plain: bool,
}

impl<'b> Choices<'b> {
    /// One byte stands for one decision.
    pub(crate) fn new(bytes: &'b [u8]) -> Choices<'b> {
        Choices {
            bytes,
            faults: 0,
            prefixes: Vec::new(),
            is_plain: false,
        }
    }

    /// A number below `count`.
    pub(crate) fn number(&mut self, count: usize) -> usize {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                usize::from(*first) % count
            }
            None => 0,
        }
    }

    /// True once in `count` times.
    pub(crate) fn rarely(&mut self, count: usize) -> bool {
        self.number(count) == count - 1
    }

    fn one_of(&mut self, several: &[&'static str]) -> &'static str {
        several[self.number(several.len())]
    }

    /// A prefix that is declared.
    fn prefix(&mut self) -> &'static str {
        let number = self.number(self.prefixes.len());
        self.prefixes[number]
    }

    /// One of several spellings, of which so many at the front are plain form.
    fn spelling(&mut self, plain: usize, several: &[&'static str], faulty: &[&'static str]) -> &'static str {
        let count = if self.is_plain { plain } else { several.len() };
        self.spoiled(&several[..count], faulty)
    }

    /// One of the good, or rarely one of the faulty, if there shall be faults.
    fn spoiled(&mut self, good: &[&'static str], faulty: &[&'static str]) -> &'static str {
        if self.faults > 0 && self.rarely(8) {
            self.faults -= 1;
            return self.one_of(faulty);
        }
        self.one_of(good)
    }
}

/// Makes a document.
pub(crate) fn document(choices: &mut Choices<'_>) -> Document {
    let faults = [Faults::None, Faults::One, Faults::None, Faults::Many][choices.number(4)];
    choices.faults = if faults == Faults::One { 1 } else { 0 };
    let framing = if choices.rarely(4) {
        Framing::Elements
    } else {
        Framing::Stream
    };
    let mut bytes = Vec::new();
    let closing = match framing {
        Framing::Stream => header(choices, &mut bytes),
        Framing::Elements => "",
    };
    for _ in 0..=choices.number(5) {
        let between: &[_] = match framing {
            Framing::Stream => &[
                "x",
                "&#32;",
                "<![CDATA[ ]]>",
                "<!-- -->",
                "<?x?>",
                "<!DOCTYPE x>",
                "</x>",
                "\u{feff}",
            ],
            Framing::Elements => &["<!-- -->", "<?x?>", "<!DOCTYPE x>", "</x>", "x"],
        };
        let between = choices.spoiled(&["", "", "", " ", "\n", " \t\r\n"], between);
        bytes.extend_from_slice(between.as_bytes());
        choices.is_plain = choices.number(2) == 0;
        element(choices, 1, &mut bytes);
    }
    bytes.extend_from_slice(closing.as_bytes());
    if faults == Faults::Many {
        for _ in 0..=choices.number(3) {
            break_somewhere(choices, &mut bytes);
        }
    }
    Document {
        framing,
        bytes,
        faults,
    }
}

/// Writes a stream header and answers with the tag that closes it.
fn header(choices: &mut Choices<'_>, out: &mut Vec<u8>) -> &'static str {
    out.extend_from_slice(choices.spoiled(DECLARATIONS, FAULTY_DECLARATIONS).as_bytes());
    let headers = if choices.faults > 0 && choices.rarely(8) {
        choices.faults -= 1;
        FAULTY_HEADERS
    } else {
        HEADERS
    };
    let (opening, closing, prefixes) = headers[choices.number(headers.len())];
    choices.prefixes.extend_from_slice(prefixes);
    out.extend_from_slice(opening.as_bytes());
    closing
}

fn element(choices: &mut Choices<'_>, depth: usize, out: &mut Vec<u8>) {
    let prefixes_around = choices.prefixes.len();
    out.push(b'<');
    let mut attributes = Vec::new();
    let mut used = Vec::new();
    for _ in 0..choices.number(5) {
        attribute(choices, &mut used, &mut attributes);
    }
    let mut name = String::new();
    if !choices.is_plain && !choices.prefixes.is_empty() && choices.rarely(6) {
        name.push_str(choices.prefix());
        name.push(':');
    }
    name.push_str(if name.is_empty() {
        choices.spoiled(NAMES, FAULTY_NAMES)
    } else {
        choices.one_of(NAMES)
    });
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&attributes);
    out.extend_from_slice(
        choices
            .spoiled(&["", "", "", " ", "\n", "\r"], &["/", "<", "'"])
            .as_bytes(),
    );
    if choices.rarely(4) {
        out.extend_from_slice(choices.spoiled(&["/>"], &["/ >", "/"]).as_bytes());
    } else {
        out.push(b'>');
        for _ in 0..choices.number(5) {
            content(choices, depth, out);
        }
        let foot = choices.spoiled(&["</"], &["< /", "</ ", "</x"]);
        out.extend_from_slice(foot.as_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(
            choices
                .spoiled(&["", "", "", " ", "\r\n"], &["x", "/", "\u{e9}", " x"])
                .as_bytes(),
        );
        out.push(b'>');
    }
    choices.prefixes.truncate(prefixes_around);
}

fn content(choices: &mut Choices<'_>, depth: usize, out: &mut Vec<u8>) {
    match choices.number(5) {
        0 | 1 if depth < 6 => element(choices, depth + 1, out),
        2 if !choices.is_plain => {
            out.extend_from_slice(b"<![CDATA[");
            out.extend_from_slice(
                choices
                    .spoiled(CHARACTER_DATA, &["\u{2}", "\u{fffe}", "]\0"])
                    .as_bytes(),
            );
            out.extend_from_slice(b"]]>");
        }
        _ => out.extend_from_slice(choices.spelling(PLAIN_TEXTS, TEXTS, FAULTY_TEXTS).as_bytes()),
    }
}

/// Declarations come into `choices.prefixes`, so that names may use them.
fn attribute(choices: &mut Choices<'_>, used: &mut Vec<String>, out: &mut Vec<u8>) {
    let mut name = String::new();
    if !choices.is_plain && !choices.prefixes.is_empty() && choices.rarely(8) {
        name.push_str(choices.prefix());
        name.push(':');
    }
    if name.is_empty() {
        name.push_str(choices.spelling(PLAIN_ATTRIBUTES, ATTRIBUTES, FAULTY_ATTRIBUTES));
    } else {
        name.push_str(choices.one_of(&["a", "b", "é"]));
    }
    if used.contains(&name) {
        // A duplicate is a fault of its own.
        match choices.faults.checked_sub(1) {
            Some(faults) => choices.faults = faults,
            None => return,
        }
    }
    // Behind a prefix each local name once, because two prefixes may name the same namespace.
    if let Some((_, local)) = name
        .split_once(':')
        .filter(|(prefix, _)| !prefix.starts_with("xml"))
    {
        let local = format!(":{local}");
        if used.contains(&local) {
            return;
        }
        used.push(local);
    }
    used.push(name.clone());
    out.extend_from_slice(
        choices
            .spoiled(&[" ", " ", " ", "  ", "\n", "\t", "\r", " \n "], &[""])
            .as_bytes(),
    );
    out.extend_from_slice(name.as_bytes());
    let equals = choices.spelling(
        1,
        &["=", "=", "=", "=", " =", "= ", "\r=", "=\n"],
        &["", "==", " "],
    );
    out.extend_from_slice(equals.as_bytes());
    let quote = choices.one_of(&["'", "\""]);
    out.extend_from_slice(quote.as_bytes());
    match name.strip_prefix("xmlns") {
        Some("") => out.extend_from_slice(
            choices
                .spelling(PLAIN_NAMESPACES, NAMESPACES, RESERVED)
                .as_bytes(),
        ),
        Some(prefix) if prefix.starts_with(':') => {
            if let Some(prefix) = PREFIXES.iter().find(|known| &prefix[1..] == **known) {
                choices.prefixes.push(prefix);
            }
            out.extend_from_slice(
                choices
                    .spoiled(&NAMESPACES[..NAMESPACES.len() - 1], RESERVED)
                    .as_bytes(),
            );
        }
        _ => {
            for _ in 0..choices.number(4) {
                let value = choices.spelling(
                    PLAIN_VALUES,
                    VALUES,
                    &["<", "&", "&x;", "\0", "\u{ffff}", "&#8;", "&lt", "&amp ;"],
                );
                if value != quote {
                    out.extend_from_slice(value.as_bytes());
                }
            }
        }
    }
    out.extend_from_slice(quote.as_bytes());
}

/// Changes the bytes of one place, whatever stands there.
fn break_somewhere(choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    let at = (choices.number(256) * 256 + choices.number(256)) % (out.len() + 1);
    let end = (at + choices.number(8)).min(out.len());
    match choices.number(4) {
        0 => {
            let piece = BROKEN[choices.number(BROKEN.len())];
            out.splice(at..at, piece.iter().copied());
        }
        1 => {
            let piece = BROKEN[choices.number(BROKEN.len())];
            out.splice(at..end, piece.iter().copied());
        }
        2 => {
            out.drain(at..end);
        }
        _ => out.truncate(at),
    }
}
