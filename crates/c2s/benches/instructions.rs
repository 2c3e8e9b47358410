//! Instructions per stanza of a bound client, and bytes of a session that does nothing, counted by valgrind:
//! `cargo bench -p balcony-c2s`.
//!
//! The program runs itself under valgrind with two numbers of rounds; the difference is free of start-up costs.

use std::collections::BTreeMap;
use std::env;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::process::{Command, ExitCode};

use c2s::{Effect, Encryption, Host, Input, Limits, Output, Session, Settings, Tls, Transport};
use features::Registration;
use machine::{Context, Moment, Random, Timestamp};
use sasl::{HashFunctions, PasswordPolicy, UnknownAccounts, Verdict};
use stanza::Address;
use stream_management::Signal;

const MESSAGE: &str = "<message to='juliet@capulet.example/balcony' id='ktx72v49' type='chat' xml:lang='en'>\
     <body>Art thou not Romeo, and a Montague?</body><active xmlns='http://jabber.org/protocol/chatstates'/>\
     <request xmlns='urn:xmpp:receipts'/><origin-id xmlns='urn:xmpp:sid:0' id='k'/></message>";

/// What is counted, what is sent in one round, and how the client is set up.
const CASES: [(&str, &str, Counting); 5] = [
    ("chat message", MESSAGE, Counting::Off),
    ("chat message, counted", MESSAGE, Counting::On),
    (
        "presence",
        "<presence><show>away</show></presence>",
        Counting::Off,
    ),
    (
        "ping",
        "<iq type='get' id='p1'><ping xmlns='urn:xmpp:ping'/></iq>",
        Counting::Off,
    ),
    ("<r/>", "<r xmlns='urn:xmpp:sm:3'/>", Counting::On),
];

#[derive(Clone, Copy, PartialEq)]
enum Counting {
    On,
    Off,
}

const ROUNDS: [u64; 2] = [200, 400];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [what, rounds] = &arguments[..]
        && let Ok(rounds) = rounds.parse()
    {
        run(what, rounds);
        return ExitCode::SUCCESS;
    }
    println!("{:32}{:>12}", "instructions", "");
    let cases = CASES
        .iter()
        .map(|(name, ..)| (*name, "callgrind", "Collected : "));
    let lives = [
        ("login and binding", "callgrind", "Collected : "),
        ("bytes of an idle session", "memcheck", "in use at exit: "),
    ];
    for (name, tool, label) in cases.chain(lives) {
        let Some(count) = difference(name, tool, label) else {
            eprintln!("valgrind is needed to count");
            return ExitCode::FAILURE;
        };
        println!("{name:32}{count:>12}");
    }
    ExitCode::SUCCESS
}

/// What one round more costs.
fn difference(what: &str, tool: &str, label: &str) -> Option<u64> {
    let [few, many] = ROUNDS.map(|rounds| {
        let output = Command::new("valgrind")
            .arg(format!("--tool={tool}"))
            .args((tool == "callgrind").then_some("--callgrind-out-file=/dev/null"))
            .arg(env::current_exe().ok()?)
            .args([what, &rounds.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8(output.stderr).ok()?;
        let count = report.lines().find_map(|line| line.split_once(label))?.1;
        let digits = count.trim().split(' ').next()?.replace(',', "");
        digits.parse::<u64>().ok()
    });
    Some((many? - few?) / (ROUNDS[1] - ROUNDS[0]))
}

fn run(what: &str, rounds: u64) {
    let settings = settings();
    if let Some((_, stanza, counting)) = CASES.iter().find(|(name, ..)| *name == what) {
        let mut client = Client::bound(&settings);
        if *counting == Counting::On {
            client.send("<enable xmlns='urn:xmpp:sm:3'/>");
        }
        for _ in 0..rounds {
            client.send(black_box(stanza));
        }
        return;
    }
    for _ in 0..rounds {
        let client = Client::bound(&settings);
        match what {
            "login and binding" => drop(black_box(client)),
            // Never given back, so that valgrind finds it.
            _ => std::mem::forget(black_box(Box::new((client.session, client.mailbox)))),
        }
    }
}

struct Client<'s> {
    settings: &'s Settings,
    session: Session,
    mailbox: Option<std::sync::Arc<stream_management::Mailbox>>,
    output: Output,
}

struct Nought;

impl Random for Nought {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

impl<'s> Client<'s> {
    fn bound(settings: &'s Settings) -> Client<'s> {
        let session = Session::new(Transport::DirectTls, settings);
        let mut client = Client {
            settings,
            session,
            mailbox: None,
            output: Output::default(),
        };
        client.input(Input::TlsEstablished(Tls::default()));
        let header = "<stream:stream to='montague.example' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>";
        client.send(header);
        client.send(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHdoZXJlZm9yZQ==</auth>",
        );
        client.input(Input::PasswordChecked(Verdict::Accepted));
        client.send(header);
        client.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
        let full = Address::parse("romeo@montague.example/orchard").unwrap_or_else(|error| panic!("{error}"));
        client.input(Input::Signal(Signal::Bound(full)));
        assert!(client.session.may_drain());
        client
    }

    fn send(&mut self, text: &str) {
        self.input(Input::Received(text.as_bytes()));
    }

    fn input(&mut self, input: Input<'_>) {
        let mut random = Nought;
        let mut context = Context {
            now: Moment::default(),
            wall: Timestamp::default(),
            random: &mut random,
            settings: self.settings,
        };
        self.session.handle(&mut context, input, &mut self.output);
        for effect in self.output.effects.drain(..) {
            match effect {
                Effect::Bind { mailbox, .. } => self.mailbox = Some(mailbox),
                Effect::Route { stanza, receipt } => {
                    black_box(&stanza);
                    if let Some(receipt) = receipt {
                        receipt.settle();
                    }
                }
                Effect::StartTls
                | Effect::LookUp { .. }
                | Effect::CheckPassword { .. }
                | Effect::Register { .. }
                | Effect::LoginAttempt(_)
                | Effect::Resumable { .. }
                | Effect::Resume { .. }
                | Effect::Resumed(_)
                | Effect::Released(_) => {}
                Effect::Close(ending) => panic!("{ending:?}"),
            }
        }
        self.output.bytes.clear();
    }
}

fn settings() -> Settings {
    let host = Address::parse("montague.example").unwrap_or_else(|error| panic!("{error}"));
    let iterations = NonZeroU32::MIN;
    let passwords = PasswordPolicy::Scram {
        hashes: HashFunctions::default(),
        iterations,
    };
    let unknown_accounts = UnknownAccounts::new([0; 32], iterations);
    Settings {
        hosts: BTreeMap::from([(
            host,
            Host {
                passwords,
                registration: Registration::Closed,
                unknown_accounts,
            },
        )]),
        encryption: Encryption::Required,
        resume_timeout: std::time::Duration::from_secs(300),
        limits: Limits {
            unauthenticated: xml::Limits::default(),
            authenticated: xml::Limits::default(),
            unauthenticated_bytes: 65_536,
            login_attempts: 5,
            mailbox: stream_management::Limits {
                stanzas: 10_000,
                bytes: 1 << 20,
            },
            unacknowledged_stanzas: 1_000,
        },
    }
}
