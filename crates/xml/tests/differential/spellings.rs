//! What made-up documents consist of: every spelling that XML allows, and what it does not allow.

pub(crate) const DECLARATIONS: &[&str] = &[
    "",
    "<?xml version='1.0'?>",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
    "<?xml version='1.0' encoding='utf-8' standalone='yes' ?>",
    "\n",
];

pub(crate) const FAULTY_DECLARATIONS: &[&str] = &[
    "<?xml version='1.0' encoding='latin-1'?>",
    "\u{feff}",
    "\n<?xml version='1.0'?>",
    "x",
    "<!-- -->",
    "<!DOCTYPE x>",
];

/// Opening tag, closing tag, prefixes to use.
pub(crate) type Header = (&'static str, &'static str, &'static [&'static str]);

pub(crate) const HEADERS: &[Header] = &[
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

pub(crate) const FAULTY_HEADERS: &[Header] = &[
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

pub(crate) const NAMES: &[&str] = &[
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

pub(crate) const FAULTY_NAMES: &[&str] = &[
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

pub(crate) const PREFIXES: &[&str] = &["p", "q", "c", "é"];

pub(crate) const ATTRIBUTES: &[&str] = &[
    "to", "from", "id", "type", "xml:lang", "xmlns", "xmlns", "é", "xml:é", "a9.-", "a\u{b7}", "xmlns:p",
    "xmlns:q", "xmlns:c", "xmlns:é",
];

/// So many at the front are plain form; the same below.
pub(crate) const PLAIN_ATTRIBUTES: usize = 11;

pub(crate) const FAULTY_ATTRIBUTES: &[&str] = &[
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
pub(crate) const NAMESPACES: &[&str] = &[
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

pub(crate) const PLAIN_NAMESPACES: usize = 7;

pub(crate) const RESERVED: &[&str] = &[
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2000/xmlns/",
];

pub(crate) const VALUES: &[&str] = &[
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

pub(crate) const PLAIN_VALUES: usize = 15;

pub(crate) const TEXTS: &[&str] = &[
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

pub(crate) const PLAIN_TEXTS: usize = 23;

pub(crate) const FAULTY_TEXTS: &[&str] = &[
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

pub(crate) const CHARACTER_DATA: &[&str] = &[
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

pub(crate) const BROKEN: &[&[u8]] = &[
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
