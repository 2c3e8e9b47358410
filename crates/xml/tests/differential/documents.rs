//! Makes documents out of bytes that stand for choices, so that a property test and a fuzzer can drive it alike.
//!
//! They look like streams of stanzas, with every kind of spelling that XML allows. Some hold a fault: a known one that
//! both backends must answer alike, or any number of places where bytes were changed blindly.

use xml::Framing;

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

const DECLARATIONS: &[&str] = &[
    "",
    "<?xml version='1.0'?>",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
    "<?xml version='1.0' encoding='utf-8' standalone='yes' ?>",
    "\n",
];

const FAULTY_DECLARATIONS: &[&str] = &[
    "<?xml version='1.0' encoding='latin-1'?>",
    "\u{feff}",
    "\n<?xml version='1.0'?>",
    "x",
    "<!-- -->",
    "<!DOCTYPE x>",
];

/// Opening tag, closing tag, prefixes to use.
type Header = (&'static str, &'static str, &'static [&'static str]);

const HEADERS: &[Header] = &[
    (
        "<stream:stream to='example.com' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
        "</stream:stream>",
        &["stream"],
    ),
    (
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xml:lang='en' \
         xmlns:p='urn:p' xmlns:c='jabber:client'>",
        "</stream:stream >",
        &["stream", "p", "c"],
    ),
    (
        "<stream xmlns='http://etherx.jabber.org/streams' xmlns:c='jabber:client'>",
        "</stream>",
        &["c"],
    ),
    (
        "<s:stream xmlns:s=\"http://etherx.jabber.org/streams\" xmlns='jabber:client'\n>",
        "</s:stream>",
        &["s"],
    ),
    (
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>",
        "</stream:stream>",
        &["stream"],
    ),
    (
        "<stream:stream xmlns='jabber:client' xmlns:stream='http&#58;//etherx.jabber.org/streams'>",
        "</stream:stream>",
        &[],
    ),
];

const FAULTY_HEADERS: &[Header] = &[
    (
        "<stream:stream xmlns='' xmlns:stream='http://etherx.jabber.org/streams'>",
        "</stream:stream>",
        &[],
    ),
    (
        "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>",
        "</stream:stream>",
        &[],
    ),
    (
        "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>",
        "",
        &[],
    ),
    (
        "<stream:stream xmlns='jabber:client' xmlns:stream='urn:wrong'>",
        "</stream:stream>",
        &[],
    ),
    ("<stream:stream xmlns='jabber:client'>", "</stream:stream>", &[]),
    (
        "<streams xmlns='http://etherx.jabber.org/streams'>",
        "</streams>",
        &[],
    ),
    (
        "<stream xmlns='http://etherx.jabber.org/streams'>",
        "</stream:stream>",
        &[],
    ),
];

const NAMES: &[&str] = &[
    "message",
    "iq",
    "presence",
    "body",
    "x",
    "query",
    "message",
    "iq",
    "presence",
    "é",
    "a\u{300}",
    "世界",
    "a-b.c_d9",
    "a·",
    "xmlns",
    "\u{10000}",
    "xml",
    "a23456789012345678901234567890123456789012345678901234567890",
];

const FAULTY_NAMES: &[&str] = &[
    "\u{300}a",
    "x:y:z",
    ":x",
    "x:",
    "xml:x",
    "xmlns:x",
    "9a",
    "-a",
    "×",
    "a×",
    "\u{fdf0}",
    "\u{f0000}",
    "unbound:x",
    "·",
    " x",
    "a:9",
    "a\0",
];

const PREFIXES: &[&str] = &["p", "q", "c", "é"];

const ATTRIBUTES: &[&str] = &[
    "to", "from", "id", "type", "xml:lang", "xmlns", "xmlns", "é", "xml:é", "a9.-", "a\u{b7}", "xmlns:p",
    "xmlns:q", "xmlns:c", "xmlns:é",
];

/// So many at the front are plain form; the same below.
const PLAIN_ATTRIBUTES: usize = 11;

const FAULTY_ATTRIBUTES: &[&str] = &[
    "xml:a:b",
    "xml:",
    "xmlns:",
    "xmlns:xml",
    "xmlns:xmlns",
    "9",
    "unbound:x",
    ":a",
    "·",
    "\u{300}",
    "-",
    "a:b:c",
    "xmlns:a:b",
    "xml:9",
];

/// The last of them cannot be bound to a prefix.
const NAMESPACES: &[&str] = &[
    "urn:xmpp:ping",
    "urn:p",
    "u?a&amp;b",
    "http://etherx.jabber.org/streams",
    "&apos;",
    "\u{ff5e}",
    " u",
    "jabber:client",
    "jabber:server",
    "jabber:component:accept",
    "jabber:c&#108;ient",
    "jabber:client\n",
    "",
];

const PLAIN_NAMESPACES: usize = 7;

const RESERVED: &[&str] = &[
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2000/xmlns/",
];

const VALUES: &[&str] = &[
    "a",
    "romeo@montague.example/orchard",
    "&amp;",
    "&lt;",
    "&gt;",
    "&apos;&quot;",
    "é",
    "世界",
    "𝄞",
    "\u{ff5e}",
    "\u{7f}",
    "\u{85}",
    "\u{fffd}",
    "a value that is long enough to be judged in blocks of many bytes at once",
    "]]",
    "&#10;",
    "&#x9;",
    "&#xD;",
    "&#65;",
    "'",
    "\"",
    ">",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "]]>",
    "&#x1F600;",
];

const PLAIN_VALUES: usize = 15;

const TEXTS: &[&str] = &[
    "a",
    "Art thou not Romeo, and a Montague? Neither, fair saint.",
    " ",
    "\n",
    "\t",
    "]",
    "] ]",
    "]]]x",
    "&gt;",
    " >",
    "'",
    "\"",
    "&amp;",
    "&lt;",
    "&apos;",
    "&quot;",
    "é",
    "世界",
    "𝄞",
    "\u{ff5e}",
    "\u{fffd}",
    "]&gt;",
    "\u{feff}",
    "&#65;",
    "&#x41;",
    "&#13;",
    "&#x10FFFF;",
    "\r\n",
    "\r",
];

const PLAIN_TEXTS: usize = 23;

const FAULTY_TEXTS: &[&str] = &[
    "&nbsp;",
    "]]>",
    "]]]>",
    "&#0;",
    "&#xFFFE;",
    "\u{ffff}",
    "\u{1}",
    "<!-- -->",
    "<?x?>",
    "<?xml version='1.0'?>",
    "<!DOCTYPE x>",
    "&",
    "&amp",
    "&;",
    "&#;",
    "&#x;",
    "<",
    "<>",
    "<!x>",
    "<![CDATX[",
    "<!-x",
    "&#000000065;",
];

const CHARACTER_DATA: &[&str] = &[
    "",
    "a",
    "<x>&amp;",
    "]",
    "]]",
    "]]]",
    "\r\n",
    "\r]",
    "é",
    "世界 long enough for blocks, with 𝄞",
    "\u{ff5e}]",
    "]>",
];

const BROKEN: &[&[u8]] = &[
    b"<",
    b">",
    b"&",
    b"'",
    b"\"",
    b"=",
    b"/",
    b" ",
    b"\r",
    b";",
    b"]",
    b"]]>",
    b"</",
    b"/>",
    b"<!",
    b"<!-",
    b"<!--",
    b"<?",
    b"<![CDATA[",
    b"<!DOCTYPE",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xa9",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xef\xbf",
    b"\xef\xbf\xbe",
    b"\xef",
    b"\xf4\x90\x80\x80",
    b"\xc0\xaf",
    b"&#",
    b"&#x",
    b"&#99999999;",
    b"&#000000065;",
    b"xmlns=''",
    b"xmlns='u'",
    b":",
    b"<a>",
    b"</a>",
    b"<?xml version='1.0'?>",
];
