//! The other side of a stream in tests: settings, dice without surprise, and a record of what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use machine::{Context, Moment, Random, Timestamp};
use stanza::{Address, Kind, MessageType, Parcel, Stanza, Target};
use stream_management::{Entry, Mailbox, Receipt};

use crate::{
    Authentication, Certificate, CertificateFault, Certificates, Close, Effect, Encryption, Ending, Errand,
    Identity, Input, Limits, Method, Obstacle, Output, Pair, Policies, Policy, Secret, Settings, Stream,
    Times, Tls, TlsVersion, Transport, Verdict, Verification, Ways,
};

/// Dice that show nought, so that answers can be written down.
pub(crate) struct Nought;

impl Random for Nought {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Every identifier that is made with dice that always show nought.
pub(crate) const TOKEN: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn pair(local: &str, remote: &str) -> Pair {
    Pair {
        local: address(local),
        remote: address(remote),
    }
}

/// The pair of nearly all tests, as montague.lit sees it.
pub(crate) fn ours() -> Pair {
    pair("montague.lit", "capulet.lit")
}

/// What a peer that came to us, or answers us, opens its stream with.
pub(crate) fn peer_header(rest: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         xmlns:db='jabber:server:dialback' {rest} version='1.0'>"
    )
}

/// The same, by capulet.lit to montague.lit.
pub(crate) fn from_capulet() -> String {
    peer_header("from='capulet.lit' to='montague.lit'")
}

/// The answer of capulet.lit to our header.
pub(crate) fn answer_of_capulet() -> String {
    peer_header("id='D60000229F' from='capulet.lit' to='montague.lit'")
}

/// What we open our streams with.
pub(crate) fn our_header(rest: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         xmlns:db='jabber:server:dialback' {rest} version='1.0' xml:lang='en'>"
    )
}

/// Our answer to capulet.lit.
pub(crate) fn our_answer() -> String {
    our_header(&format!("id='{TOKEN}' from='montague.lit' to='capulet.lit'"))
}

/// Features of a peer.
pub(crate) fn features(inside: &str) -> String {
    format!("<stream:features>{inside}</stream:features>")
}

pub(crate) const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
pub(crate) const EXTERNAL: &str =
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>";
pub(crate) const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
pub(crate) const BIDI: &str = "<bidi xmlns='urn:xmpp:features:bidi'/>";
pub(crate) const SM: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
pub(crate) const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
pub(crate) const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
pub(crate) const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
pub(crate) const END: &str = "</stream:stream>";

/// A stream error with words, and the end.
pub(crate) fn error(condition: &str, text: &str) -> String {
    format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>{text}</text></stream:error>{END}"
    )
}

/// A certificate of a trusted authority for these names.
pub(crate) fn certificate(names: &[&str]) -> Certificate {
    Certificate {
        identities: names.iter().filter_map(|name| Identity::dns_name(name)).collect(),
        fault: None,
    }
}

pub(crate) fn faulty(fault: CertificateFault) -> Certificate {
    Certificate {
        identities: vec![Identity::Domain(address("capulet.lit"))],
        fault: Some(fault),
    }
}

pub(crate) fn settings() -> Settings {
    let small = xml::Limits {
        stanza_bytes: 4096,
        depth: 8,
        attributes: 8,
        name_bytes: 64,
        children: 16,
    };
    Settings {
        hosts: BTreeSet::from([address("chats.montague.lit"), address("montague.lit")]),
        components: BTreeMap::new(),
        secret: Secret::new(b"d14lb4ck43v3r"),
        certificates: Certificates::Available,
        policies: Policies::default(),
        limits: Limits {
            unauthenticated: small.clone(),
            authenticated: xml::Limits {
                stanza_bytes: 16_384,
                ..small
            },
            unauthenticated_bytes: 16_384,
            pairs: 4,
            login_attempts: 3,
            mailbox: stream_management::Limits {
                stanzas: 100,
                bytes: 100_000,
            },
            unacknowledged_stanzas: 10,
        },
        times: Times::default(),
    }
}

pub(crate) fn message(from: &str, to: &str, id: &str) -> Entry {
    let (from, to) = (address(from), address(to));
    let stanza = Stanza::build(
        Kind::Message(MessageType::Chat),
        Some(&from),
        Some(&to),
        Some(id),
        b"",
    );
    Entry {
        parcel: Parcel::new(stanza),
        receipt: None,
        storable: true,
        stored: None,
        copies: None,
        pushed: Moment::default(),
    }
}

/// One stream, and all that came of it.
pub(crate) struct World {
    pub(crate) stream: Stream,
    pub(crate) settings: Settings,
    pub(crate) now: Moment,
    /// All that the stream said and the test has not looked at.
    said: Vec<u8>,
    pub(crate) authenticated: Vec<(Pair, Ways, Method)>,
    pub(crate) refused: Vec<(Pair, Obstacle)>,
    pub(crate) verify: Vec<Verification>,
    pub(crate) answered: Vec<(Verification, Verdict)>,
    pub(crate) routed: Vec<(Stanza, Option<Receipt>)>,
    pub(crate) replies: Vec<Stanza>,
    pub(crate) round_trips: Vec<Duration>,
    /// Everything else, in words.
    pub(crate) notes: Vec<String>,
    pub(crate) closed: Option<Close>,
}

impl World {
    pub(crate) fn with(stream: Stream, settings: Settings) -> World {
        let mut world = World {
            stream,
            settings,
            now: Moment::from_micros(1_000_000),
            said: Vec::new(),
            authenticated: Vec::new(),
            refused: Vec::new(),
            verify: Vec::new(),
            answered: Vec::new(),
            routed: Vec::new(),
            replies: Vec::new(),
            round_trips: Vec::new(),
            notes: Vec::new(),
            closed: None,
        };
        world.input(Input::Connected);
        world
    }

    /// A peer that has just connected.
    pub(crate) fn inbound(settings: Settings) -> World {
        World::with(Stream::inbound(Transport::Tcp, &settings), settings)
    }

    /// The same with TLS.
    pub(crate) fn inbound_tls(settings: Settings, certificate: Certificate) -> World {
        let mut world = World::with(Stream::inbound(Transport::DirectTls, &settings), settings);
        world.tls(certificate);
        world
    }

    /// capulet.lit, logged in by certificate on a stream with the given extras before its login.
    pub(crate) fn logged_in(settings: Settings, before: &str) -> World {
        let mut world = World::inbound_tls(settings, certificate(&["capulet.lit"]));
        world.send(&(from_capulet() + before + AUTH + &from_capulet()));
        world.said.clear();
        assert_eq!(world.authenticated.len(), 1);
        world
    }

    /// Our connection to capulet.lit for our pair.
    pub(crate) fn outbound(settings: Settings) -> World {
        World::outbound_for(errand(), settings)
    }

    pub(crate) fn outbound_for(errand: Errand, settings: Settings) -> World {
        World::with(Stream::outbound(Transport::Tcp, errand, &settings), settings)
    }

    /// The same with TLS.
    pub(crate) fn outbound_tls(errand: Errand, settings: Settings, certificate: Certificate) -> World {
        let mut world = World::with(
            Stream::outbound(Transport::DirectTls, errand, &settings),
            settings,
        );
        world.tls(certificate);
        world.heard();
        world
    }

    /// Our connection, accepted by certificate; `features` are offered afterwards.
    pub(crate) fn accepted(errand: Errand, settings: Settings, features_after: &str) -> World {
        let mut world = World::outbound_tls(errand, settings, certificate(&["capulet.lit"]));
        world.send(&(answer_of_capulet() + &features(&(EXTERNAL.to_owned() + BIDI))));
        world.send(SUCCESS);
        world.heard();
        world.send(&(answer_of_capulet() + &features(features_after)));
        world
    }

    pub(crate) fn tls(&mut self, certificate: Certificate) {
        self.input(Input::TlsEstablished(Tls {
            version: TlsVersion::Tls13,
            certificate,
            sni: None,
        }));
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        let mut out = Output::default();
        let mut context = Context {
            now: self.now,
            wall: Timestamp::default(),
            random: &mut Nought,
            settings: &self.settings,
        };
        self.stream.handle(&mut context, input, &mut out);
        self.said.extend_from_slice(&out.bytes);
        for effect in out.effects {
            self.note(effect);
        }
    }

    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::StartTls => self.notes.push("start tls".into()),
            Effect::Authenticated { pair, ways, method } => self.authenticated.push((pair, ways, method)),
            Effect::Heard(pair) => self.notes.push(format!("heard {pair:?}")),
            Effect::Refused { pair, obstacle } => self.refused.push((pair, obstacle)),
            Effect::Verify(verification) => self.verify.push(verification),
            Effect::VerifyAnswered {
                verification,
                verdict,
            } => self.answered.push((verification, verdict)),
            Effect::Unsolicited(pair) => self.notes.push(format!("unsolicited {pair:?}")),
            Effect::Managed(id) => self.notes.push(format!("managed {}", id.unwrap_or_default())),
            Effect::Resume(id) => self.notes.push(format!("resume {id}")),
            Effect::Resumed(id) => self.notes.push(format!("resumed {id}")),
            Effect::NotResumed(id) => self.notes.push(format!("not resumed {id}")),
            Effect::Silent(pair) => self.notes.push(format!("silent {pair:?}")),
            Effect::RoundTrip(took) => self.round_trips.push(took),
            Effect::Alive => self.notes.push("alive".into()),
            Effect::Route { stanza, receipt } => self.routed.push((stanza, receipt)),
            Effect::Reply(stanza) => self.replies.push(stanza),
            Effect::Close(close) => {
                assert!(self.closed.is_none(), "closed twice");
                self.closed = Some(*close);
            }
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.input(Input::Received(text.as_bytes()));
    }

    /// What the stream said since the last look.
    pub(crate) fn heard(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.said)).unwrap()
    }

    /// What else happened since the last look.
    pub(crate) fn noted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.closed.as_ref().map(|close| &close.ending)
    }

    /// Moves the clock and wakes the stream if it wants that by then.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(wake) = self.stream.next_wake(&self.settings)
            && wake <= end
        {
            self.now = self.now.max(wake);
            self.input(Input::Wake);
        }
        self.now = end;
    }

    pub(crate) fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(self.stream.mailbox().unwrap())
    }

    /// Writes what waits, as the shell does.
    pub(crate) fn drain(&mut self) -> usize {
        if !self.stream.may_drain(&self.settings) {
            return 0;
        }
        let mailbox = self.mailbox();
        let drained = mailbox.drain(&mut self.said, Target::Stream, usize::MAX, 100);
        mailbox.written(drained.stanzas);
        self.input(Input::Drained {
            stanzas: drained.stanzas,
            more: drained.more,
        });
        drained.stanzas
    }
}

pub(crate) fn errand() -> Errand {
    Errand {
        header: ours(),
        authorize: vec![ours()],
        verify: Vec::new(),
        resume: None,
    }
}

pub(crate) fn policy(authentication: Authentication, encryption: Encryption) -> Settings {
    let mut settings = settings();
    settings.policies.usual = Policy {
        authentication,
        encryption,
        ..Policy::default()
    };
    settings
}
