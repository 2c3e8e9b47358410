//! Cutting streams into frames: what is accepted, what each fault is answered with, and that reads may end anywhere.

use xml::{Backend, ContentNamespace, Element, Frame, Framer, Framing, Limits, Node, Tree, XmlError};

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='example.com' version='1.0' xml:lang='en' \
                      xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// All frames but white space, from pieces of `size` bytes, and the error that ends them; the same from both backends.
fn frames(framing: Framing, bytes: &[u8], size: usize, limits: &Limits) -> (Vec<Frame>, Option<XmlError>) {
    let scanned = frames_by(Backend::Scanner, framing, bytes, size, limits);
    let reference = frames_by(Backend::Reference, framing, bytes, size, limits);
    assert_eq!(scanned.0, reference.0, "{}", String::from_utf8_lossy(bytes));
    let conditions = (
        scanned.1.map(|error| error.condition()),
        reference.1.map(|error| error.condition()),
    );
    assert_eq!(conditions.0, conditions.1, "{}", String::from_utf8_lossy(bytes));
    scanned
}

fn frames_by(
    backend: Backend,
    framing: Framing,
    bytes: &[u8],
    size: usize,
    limits: &Limits,
) -> (Vec<Frame>, Option<XmlError>) {
    let mut framer = Framer::with_backend(backend, framing, ContentNamespace::Client, limits.clone());
    let mut frames = Vec::new();
    for piece in bytes.chunks(size) {
        let mut input = piece;
        loop {
            match framer.next(&mut input) {
                Ok(Some(Frame::Whitespace)) => {}
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(input.is_empty());
    }
    (frames, None)
}

/// The elements of a stream with the usual header, or the condition of the error.
fn stream(body: &str) -> Result<Vec<String>, &'static str> {
    let bytes = format!("{HEADER}{body}");
    let limits = Limits::default();
    let whole = frames(Framing::Stream, bytes.as_bytes(), usize::MAX, &limits);
    for size in [1, 2, 3, 7] {
        assert_eq!(
            frames(Framing::Stream, bytes.as_bytes(), size, &limits),
            whole,
            "in pieces of {size}: {body}"
        );
    }
    let (frames, error) = whole;
    match error {
        Some(error) => Err(error.condition()),
        None => Ok(frames.into_iter().filter_map(element).collect()),
    }
}

fn element(frame: Frame) -> Option<String> {
    match frame {
        Frame::Element(element) => Some(element.as_str().to_owned()),
        Frame::Open(_) | Frame::Whitespace | Frame::Close => None,
    }
}

fn check_plain(body: &str) {
    assert_eq!(stream(body), Ok(vec![body.to_owned()]));
}

fn check_anew(body: &str, anew: &str) {
    assert_eq!(stream(body), Ok(vec![anew.to_owned()]));
    check_plain(anew);
}

fn check_refused(body: &str, condition: &str) {
    assert_eq!(stream(body), Err(condition), "{body}");
}

#[test]
fn rfc6120_4_2_a_stream_opens_carries_elements_and_closes() {
    let bytes =
        format!("{HEADER}<message to='a'/> \n<presence><show>away</show></presence></stream:stream >");
    for size in [1, 2, 5, 64, 10_000] {
        let (frames, error) = frames(Framing::Stream, bytes.as_bytes(), size, &Limits::default());
        assert_eq!(error, None);
        let [
            Frame::Open(header),
            Frame::Element(message),
            Frame::Element(presence),
            Frame::Close,
        ] = &frames[..]
        else {
            panic!("{frames:?}");
        };
        assert_eq!(header.to.as_deref(), Some("example.com"));
        assert_eq!(header.version.as_deref(), Some("1.0"));
        assert_eq!(header.lang.as_deref(), Some("en"));
        assert_eq!(header.content_namespace.as_deref(), Some("jabber:client"));
        assert_eq!(
            header.prefixes,
            [("stream".to_owned(), "http://etherx.jabber.org/streams".to_owned())]
        );
        assert_eq!(message.as_str(), "<message to='a'/>");
        assert!(presence.is("jabber:client", "presence"));
        assert_eq!(presence.child("jabber:client", "show").unwrap().text(), "away");
    }
}

#[test]
fn plain_form_is_kept_byte_for_byte() {
    check_plain(
        "<message to=\"a@b\" \n\t type='chat' ><body>x &lt;&amp; y > ]] z</body ><x xmlns='u'/></message>"
            .replace("</body >", "</body>")
            .as_str(),
    );
    assert_eq!(
        stream("<a />\r\n<b />\r"),
        Ok(vec!["<a />".to_owned(), "<b />".to_owned()])
    );
    check_plain("<iq xmlns='jabber:client' id='1'><ping xmlns='urn:xmpp:ping' /></iq>");
    check_plain(
        "<message><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded></message>",
    );
    check_plain("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGE=</auth>");
    check_plain("<message xml:lang='de'><body xml:lang='de'>grüß dich, 世界 𝄞</body></message>");
}

#[test]
fn what_is_not_plain_is_written_anew() {
    check_anew("<a><![CDATA[<x>&]]></a>", "<a>&lt;x&gt;&amp;</a>");
    check_anew("<a><![CDATA[]]></a>", "<a/>");
    check_anew("<a>&#65;&#x42;</a>", "<a>AB</a>");
    check_anew("<a b = 'c'/>", "<a b='c'/>");
    check_anew("<a b='>\"'/>", "<a b='&gt;&quot;'/>");
    check_anew("<a b='x\ty\r\nz&#10;'/>", "<a b='x y z&#xA;'/>");
    check_anew("<a>x\r\ny\rz&#13;</a>", "<a>x\ny\nz&#xD;</a>");
    check_anew(
        "<a b='\r' c='\rx' d='\r\r\n\r&amp;'/>",
        "<a b=' ' c=' x' d='   &amp;'/>",
    );
    check_anew("<a><![CDATA[\r]\r\n]]>\r</a>", "<a>\n]\n\n</a>");
    check_anew("<a></a >", "<a/>");
    check_anew(
        "<message><body xmlns='jabber:client'>x</body></message>",
        "<message><body>x</body></message>",
    );
    check_anew(
        "<message><body><b xmlns='jabber:server'/></body></message>",
        "<message><body><b/></body></message>",
    );
    check_anew(
        "<c:message xmlns:c='jabber:client'><c:body/></c:message>",
        "<message><body/></message>",
    );
    check_anew(
        "<stream:error><x/></stream:error>",
        "<error xmlns='http://etherx.jabber.org/streams'><x xmlns='jabber:client'/></error>",
    );
    check_anew(
        "<a xmlns:p='u' p:q='1' p:r='2' s='3'/>",
        "<a s='3' xmlns:a0='u' a0:q='1' a0:r='2'/>",
    );
    check_anew("<a><b xmlns=''/></a>", "<a><b xmlns=''/></a>");
}

#[test]
fn rfc6120_11_1_forbidden_xml_is_restricted() {
    check_refused("<a><!-- x --></a>", "restricted-xml");
    check_refused("<!-- x -->", "restricted-xml");
    check_refused("<?php ?>", "restricted-xml");
    check_refused("<a><?php ?></a>", "restricted-xml");
    check_refused("<?xml version='1.0'?>", "restricted-xml");
    check_refused("<!DOCTYPE a>", "restricted-xml");
    check_refused("<a><!DOCTYPE a></a>", "restricted-xml");
    check_refused("<a>&nbsp;</a>", "restricted-xml");
    check_refused("<a b='&nbsp;'/>", "restricted-xml");
}

#[test]
fn rfc6120_11_3_ill_formed_xml_is_refused() {
    for body in [
        "<a></b>",
        "</a>",
        "<a b='1' b='2'/>",
        "<a b=c/>",
        "<a b/>",
        "<a b='<'/>",
        "<a>]]></a>",
        "<a>& </a>",
        "<a>&#0;</a>",
        "<a>\u{1}</a>",
        "<a>\u{ffff}</a>",
        "<1/>",
        "< a/>",
        "<a/ >",
        "<a b='1'c='2'/>",
        "<a:b:c/>",
        "<:a/>",
        "<a:/>",
        "<a xmlns:p=''/>",
        "<a xmlns:xmlns='u'/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
        "<a×/>",
        "<·a/>",
    ] {
        check_refused(body, "not-well-formed");
    }
    check_refused("text", "bad-format");
    check_refused("<a/>&#32;", "bad-format");
    check_refused("<![CDATA[ ]]>", "bad-format");
    check_refused("<p:a/>", "bad-namespace-prefix");
    check_refused("<a p:b='1'/>", "bad-namespace-prefix");
}

#[test]
fn bytes_that_are_no_utf8_are_not_well_formed() {
    for bad in [
        &b"\xff"[..],
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ] {
        let bytes = [HEADER.as_bytes(), b"<a>", bad, b"</a>"].concat();
        let (_, error) = frames(Framing::Stream, &bytes, 3, &Limits::default());
        assert_eq!(error, Some(XmlError::BadUtf8), "{bad:x?}");
        assert_eq!(error.unwrap().condition(), "not-well-formed");
    }
}

#[test]
fn rfc6120_4_8_headers_of_other_kinds_are_understood() {
    let limits = Limits::default();
    let open = |header: &str, body: &str| -> Result<Vec<String>, &'static str> {
        let bytes = format!("{header}{body}");
        match frames(Framing::Stream, bytes.as_bytes(), 4, &limits) {
            (_, Some(error)) => Err(error.condition()),
            (frames, None) => Ok(frames.into_iter().filter_map(element).collect()),
        }
    };
    let prefix_free = "<stream xmlns='http://etherx.jabber.org/streams'>";
    assert_eq!(
        open(prefix_free, "<iq xmlns='jabber:client'/></stream>"),
        Ok(vec!["<iq xmlns='jabber:client'/>".into()])
    );
    assert_eq!(
        open(prefix_free, "<error/>"),
        Ok(vec!["<error xmlns='http://etherx.jabber.org/streams'/>".into()])
    );
    let bound = "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns:c='jabber:client'>";
    assert_eq!(
        open(bound, "<c:iq><c:error/></c:iq></s:stream>"),
        Ok(vec!["<iq><error/></iq>".into()])
    );
    assert_eq!(open(bound, "<iq/>"), Err("invalid-namespace"));
    assert_eq!(
        open("<stream:stream xmlns:stream='u'>", ""),
        Err("invalid-namespace")
    );
    assert_eq!(open("<stream:stream>", ""), Err("bad-namespace-prefix"));
    assert_eq!(
        open("<features xmlns='http://etherx.jabber.org/streams'>", ""),
        Err("bad-format")
    );
    assert_eq!(open("\u{feff}<stream/>", ""), Err("not-well-formed"));
    assert_eq!(
        open("<stream xmlns='http://etherx.jabber.org/streams'/>", ""),
        Ok(vec![])
    );
}

#[test]
fn limits_are_inclusive_and_named() {
    let limits = Limits {
        stanza_bytes: 200,
        depth: 3,
        attributes: 2,
        name_bytes: 5,
        children: 2,
    };
    let check = |bytes: &str, error: Option<&str>| {
        for size in [1, 1_000] {
            let (frames, found) = frames(Framing::Elements, bytes.as_bytes(), size, &limits);
            assert_eq!(
                found.map(|error| error.to_string()),
                error.map(|name| format!("limit exceeded: {name}")),
                "{bytes}"
            );
            assert_eq!(frames.len(), usize::from(error.is_none()));
        }
    };
    check(&format!("<a>{}</a>", "x".repeat(193)), None);
    check(&format!("<a>{}</a>", "x".repeat(194)), Some("stanza_bytes"));
    check("<a><b><c/></b></a>", None);
    check("<a><b><c><d/></c></b></a>", Some("depth"));
    check("<a b='' c=''/>", None);
    check("<a b='' c='' d=''/>", Some("attributes"));
    check("<abcde fghij=''/>", None);
    check("<abcdef/>", Some("name_bytes"));
    check("<a bcdefg=''/>", Some("name_bytes"));
    check("<a><b><c/><c/><c/></b><b/></a>", None);
    check("<a><b/><b/><b/></a>", Some("children"));
}

#[test]
fn an_element_is_indexed() {
    let text = "<message from='a' to=\"b&amp;c\" xml:lang='en'>one<body>x &lt; y</body>two<x xmlns='u' k='v'><y/></x></message>";
    let element = Element::parse(text.as_bytes(), ContentNamespace::Server, &Limits::default()).unwrap();
    assert_eq!(element.name(), "message");
    assert_eq!(element.namespace(), "jabber:server");
    assert_eq!(element.raw_attribute("to"), Some("b&amp;c"));
    assert_eq!(element.attribute("to").unwrap(), "b&c");
    assert_eq!(element.attribute("xml:lang").unwrap(), "en");
    assert_eq!(element.attribute("id"), None);
    assert_eq!(element.text(), "onetwo");
    assert_eq!(element.child_count(), 2);
    let body = element.child("jabber:server", "body").unwrap();
    assert_eq!(
        (body.index(), body.text().as_ref(), body.bytes()),
        (0, "x < y", &b"<body>x &lt; y</body>"[..])
    );
    let x = element.child("u", "x").unwrap();
    assert_eq!((x.index(), x.attribute("k").unwrap().as_ref()), (1, "v"));
    assert_eq!(
        x.to_tree(),
        Tree::new("x", "u").attr("k", "v").child(Tree::new("y", "u"))
    );
    let tree = element.to_tree();
    assert_eq!(tree.nodes[0], Node::Text("one".into()));
    assert_eq!(tree.attribute("to"), Some("b&c"));
    let mut out = Vec::new();
    element.emit(
        &mut out,
        |out| out.extend_from_slice(b"<message to='z'"),
        &[0],
        b"<delay xmlns='d'/>",
    );
    assert_eq!(
        out,
        b"<message to='z'>onetwo<x xmlns='u' k='v'><y/></x><delay xmlns='d'/></message>"
    );
}

#[test]
fn emission_closes_what_is_empty() {
    let element = Element::parse(b"<iq><a/></iq>", ContentNamespace::Client, &Limits::default()).unwrap();
    let emit = |drop: &[u16], append: &[u8]| {
        let mut out = Vec::new();
        element.emit(&mut out, |out| out.extend_from_slice(b"<iq id='1'"), drop, append);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(emit(&[], b""), "<iq id='1'><a/></iq>");
    assert_eq!(emit(&[0], b""), "<iq id='1'/>");
    assert_eq!(emit(&[0], b"<b/>"), "<iq id='1'><b/></iq>");
}

#[test]
fn namespaces_with_references_are_unescaped() {
    let text = "<a xmlns='u?a&amp;b'><b xmlns='v&amp;w'/></a>";
    let element = Element::parse(text.as_bytes(), ContentNamespace::Client, &Limits::default()).unwrap();
    assert_eq!(element.as_str(), text);
    assert_eq!(element.namespace(), "u?a&b");
    assert!(element.child("v&w", "b").is_some());
    assert_eq!(element.to_tree().to_bytes("jabber:client"), text.as_bytes());
}

#[test]
fn trees_are_read_and_written() {
    let limits = Limits::default();
    let text = " <query xmlns='u'><item a='1&amp;'>x<![CDATA[<]]></item></query>\n";
    let tree = Tree::parse(text.as_bytes(), "jabber:client", &limits).unwrap();
    assert_eq!(
        tree,
        Tree::new("query", "u").child(Tree::new("item", "u").attr("a", "1&").text("x<"))
    );
    assert_eq!(tree.find("u", "item").unwrap().content(), "x<");
    assert_eq!(
        tree.to_bytes("u"),
        b"<query><item a='1&amp;'>x&lt;</item></query>"
    );
    assert_eq!(
        Tree::parse(b"<a/><b/>", "u", &limits),
        Err(XmlError::NotWellFormed("more than one element"))
    );
    assert_eq!(
        Tree::parse(b"<a>", "u", &limits),
        Err(XmlError::NotWellFormed("unexpected end"))
    );
    assert!(Element::parse(b"<a/>x", ContentNamespace::Client, &limits).is_err());
    assert!(Element::parse(b"", ContentNamespace::Client, &limits).is_err());
}

#[test]
fn a_restarted_framer_begins_anew() {
    let mut framer = Framer::new(Framing::Stream, ContentNamespace::Client, Limits::default());
    let mut input = HEADER.as_bytes();
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Open(_)))));
    let mut input = &b"<auth"[..];
    assert_eq!(framer.next(&mut input), Ok(None));
    assert!(!framer.is_between_frames());
    framer.restart();
    assert!(framer.is_between_frames());
    assert_eq!(framer.held_bytes(), 0);
    // What was sent behind the last element of the old stream.
    let mut input = &b"\n"[..];
    assert_eq!(framer.next(&mut input), Ok(None));
    let declared = format!("\n{HEADER}");
    let mut input = declared.as_bytes();
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Open(_)))));
    let mut input = &b"\x01"[..];
    let error = framer.next(&mut input).unwrap_err();
    let mut input = &b"<iq/>"[..];
    assert_eq!(framer.next(&mut input), Err(error));
}

#[test]
fn limits_hold_for_input_that_is_there_as_a_whole() {
    let limits = Limits {
        stanza_bytes: 10,
        ..Limits::unlimited()
    };
    let parse = |text: &str| Element::parse(text.as_bytes(), ContentNamespace::Client, &limits).map(|_| ());
    assert_eq!(parse("<a>234567"), Err(XmlError::NotWellFormed("unexpected end")));
    assert_eq!(parse("<a>456</a>"), Ok(()));
    assert_eq!(
        parse("<a>4567</a>"),
        Err(XmlError::Limit(xml::LimitName::StanzaBytes))
    );
    assert_eq!(
        Tree::parse(b"<a>4567</a>", "u", &limits),
        Err(XmlError::Limit(xml::LimitName::StanzaBytes))
    );
}

#[test]
fn a_long_namespace_is_not_multiplied() {
    let limits = Limits::default();
    let long = "u".repeat(100_000);
    let check = |bytes: String, condition: Option<&str>| {
        let (frames, error) = frames(Framing::Elements, bytes.as_bytes(), 50_000, &limits);
        assert_eq!(error.map(|error| error.condition()), condition);
        for frame in frames {
            assert!(element(frame).is_some_and(|element| element.len() <= limits.stanza_bytes));
        }
    };
    // Inherited, it is written once and shared; bound to a prefix, it would have to be written for every element.
    check(
        format!("<a xmlns='{long}'><![CDATA[]]>{}</a>", "<c><b/></c>".repeat(200)),
        None,
    );
    check(
        format!("<a xmlns:p='{long}'>{}</a>", "<p:b/>".repeat(100)),
        Some("policy-violation"),
    );
    check(
        format!("<a xmlns:p='{long}'>{}</a>", "<b p:c=''/>".repeat(100)),
        Some("policy-violation"),
    );
    check(format!("<a xmlns:p='{long}'><p:b/></a>"), None);
}

#[test]
fn rfc6120_11_6_other_encodings_are_unsupported_from_their_first_bytes() {
    for bytes in [
        &b"\xfe\xff\0<"[..],
        b"\xff\xfe<\0",
        b"<\0?\0",
        b"<?xml version='1.0' encoding='UTF-16'?>",
    ] {
        let (_, error) = frames(Framing::Stream, bytes, 100, &Limits::default());
        assert_eq!(error, Some(XmlError::UnsupportedEncoding), "{bytes:x?}");
    }
}

#[test]
fn nothing_follows_the_end_of_a_stream_but_white_space() {
    assert_eq!(
        stream("<a/></stream:stream>\n \n").map(|elements| elements.len()),
        Ok(1)
    );
    check_refused("</stream:stream><a/>", "not-well-formed");
    check_refused("</stream:stream>x", "not-well-formed");
    check_refused("</stream:streamx>", "not-well-formed");
    check_refused(&format!("</stream:stream{}>", " ".repeat(65)), "policy-violation");
}

#[test]
fn limits_may_grow_while_an_element_is_unfinished() {
    let small = Limits {
        stanza_bytes: 300,
        ..Limits::default()
    };
    let mut framer = Framer::new(Framing::Stream, ContentNamespace::Client, small);
    let mut input = HEADER.as_bytes();
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Open(_)))));
    let text = format!("<a>{}</a>", "x".repeat(1_000));
    let (mut front, mut rest) = text.as_bytes().split_at(250);
    assert_eq!(framer.next(&mut front), Ok(None));
    framer.set_limits(Limits::default());
    assert!(matches!(framer.next(&mut rest), Ok(Some(Frame::Element(element))) if element.as_str() == text));
    assert_eq!(framer.held_bytes(), 0);
}

#[test]
fn elements_are_shared_and_framers_move_between_threads() {
    fn check<E: Send + Sync + 'static, F: Send + 'static>() -> (usize, usize) {
        (size_of::<E>(), size_of::<F>())
    }
    let (element, framer) = check::<Element, Framer>();
    // A queue holds many elements, and every idle connection a framer.
    assert!(element <= 288, "an element takes {element} bytes");
    assert!(framer <= 144, "a framer takes {framer} bytes");
}
