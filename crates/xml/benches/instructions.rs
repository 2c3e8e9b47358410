//! Instructions per stanza for framing and emission, counted by callgrind: `cargo bench -p balcony-xml`.
//!
//! The program runs itself under valgrind with two numbers of rounds; the difference is free of start-up costs.

use std::{
    env,
    hint::black_box,
    process::{Command, ExitCode},
};

use xml::{Backend, ContentNamespace, Element, Frame, Framer, Framing, Limits};

const ROUNDS: [u64; 2] = [200, 400];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [what, stanza, rounds] = &arguments[..]
        && let Some(stanza) = stanzas().into_iter().find(|(name, _)| name == stanza)
        && let Ok(rounds) = rounds.parse()
    {
        run(what, &stanza.1, rounds);
        return ExitCode::SUCCESS;
    }
    println!(
        "{:28}{:>8}{:>12}{:>12}{:>10}{:>12}",
        "instructions per stanza", "bytes", "reference", "scanner", "emit", "one by one"
    );
    for (name, stanza) in stanzas() {
        let counts = ["reference", "scanner", "emit", "one-by-one"].map(|what| instructions(what, name));
        let [Some(reference), Some(scanner), Some(emit), Some(one_by_one)] = counts else {
            eprintln!("valgrind is needed to count instructions");
            return ExitCode::FAILURE;
        };
        println!(
            "{name:28}{:>8}{reference:>12}{scanner:>12}{emit:>10}{one_by_one:>12}",
            stanza.len()
        );
    }
    ExitCode::SUCCESS
}

/// Instructions for one round.
fn instructions(what: &str, stanza: &str) -> Option<u64> {
    let [few, many] = ROUNDS.map(|rounds| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe().ok()?)
            .args([what, stanza, &rounds.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8(output.stderr).ok()?;
        let count = report.lines().find_map(|line| line.split_once("Collected : "))?.1;
        count.trim().parse::<u64>().ok()
    });
    Some((many? - few?) / (ROUNDS[1] - ROUNDS[0]))
}

fn run(what: &str, stanza: &str, rounds: u64) {
    let backend = if what == "reference" {
        Backend::Reference
    } else {
        Backend::Scanner
    };
    let mut framer = Framer::with_backend(
        backend,
        Framing::Stream,
        ContentNamespace::Client,
        Limits::default(),
    );
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
    let mut input = header.as_bytes();
    assert!(matches!(framer.next(&mut input), Ok(Some(Frame::Open(_)))));
    let size = if what == "one-by-one" { 1 } else { stanza.len() };
    let mut out = Vec::with_capacity(65_536);
    let element = frame(&mut framer, stanza, stanza.len());
    for _ in 0..rounds {
        if what == "emit" {
            emit(black_box(&element), &mut out);
        } else {
            black_box(frame(&mut framer, black_box(stanza), size));
        }
    }
}

fn frame(framer: &mut Framer, stanza: &str, size: usize) -> Element {
    for piece in stanza.as_bytes().chunks(size) {
        let mut input = piece;
        if let Ok(Some(Frame::Element(element))) = framer.next(&mut input) {
            return element;
        }
    }
    panic!("the stanza is not complete");
}

/// As a client's stanza is handed on: a new head with `from`, then everything else.
fn emit(element: &Element, out: &mut Vec<u8>) {
    out.clear();
    let head = |out: &mut Vec<u8>| {
        out.push(b'<');
        out.extend_from_slice(element.name().as_bytes());
        out.extend_from_slice(b" from='romeo@montague.example/orchard'");
        for attribute in element.attributes() {
            if !matches!(attribute.name, "from" | "xmlns") {
                attribute.write(out);
            }
        }
    };
    element.emit(out, head, &[], b"");
    black_box(&*out);
}

fn stanzas() -> [(&'static str, String); 5] {
    let items: String = (0..100)
        .map(|number| {
            format!(
                "<item jid='contact{number:03}@capulet.example' name='Contact number {number}' \
                 subscription='both'><group>Friends</group></item>"
            )
        })
        .collect();
    [
        (
            "chat message",
            "<message to='juliet@capulet.example/balcony' id='ktx72v49' type='chat' xml:lang='en'>\
             <body>Neither, fair saint.</body>\
             <active xmlns='http://jabber.org/protocol/chatstates'/>\
             <request xmlns='urn:xmpp:receipts'/><origin-id xmlns='urn:xmpp:sid:0' id='k'/></message>"
                .to_owned(),
        ),
        (
            "presence with capabilities",
            "<presence xml:lang='en' id='p-7291'><show>away</show><status>In the orchard, back before the lark \
             sings</status><priority>5</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
             node='https://client.example/' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/><x xmlns='vcard-temp:x:update'>\
             <photo>sha1-hash-of-image-0123456789abcdef01234567</photo></x></presence>"
                .to_owned(),
        ),
        (
            "roster of 100 items",
            format!("<iq type='result' id='r1'><query xmlns='jabber:iq:roster' ver='v11'>{items}</query></iq>"),
        ),
        (
            "published 4 KiB",
            format!(
                "<iq type='set' id='a1'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish \
                 node='urn:xmpp:avatar:data'><item id='0'><data xmlns='urn:xmpp:avatar:data'>{}</data></item>\
                 </publish></pubsub></iq>",
                "iVBORw0KGgoAAAANSUhEUgAA/+==".repeat(143)
            ),
        ),
        (
            "message not plain",
            "<message to='juliet@capulet.example/balcony' id='ktx72v49' type='chat' xml:lang='en'>\
             <body>Art thou not Romeo, and a <![CDATA[Montague]]>?</body></message>"
                .to_owned(),
        ),
    ]
}
