//! A small world to ask questions in, and the table asked by everybody about everything.

use std::collections::BTreeMap;

use machine::{Moment, Timestamp};
use proptest::prelude::*;
use stanza::{Address, Condition, ErrorKind, Stanza, StanzaError};
use xml::{ContentNamespace, Element, Tree};

use crate::{
    AccountFacts, Action, Answer, Asker, Audience, Facts, HostFacts, LastSeen, Place, Record, Registration,
    Reply, Request, Software, Stored, TABLE, answer,
};

/// The host capulet.lit with the account juliet, whose contact is romeo and whose enemy is tybalt.
pub(crate) struct World {
    pub(crate) facts: Facts,
    pub(crate) host: HostFacts,
    pub(crate) available: Vec<Address>,
    pub(crate) last_seen: Option<LastSeen>,
    pub(crate) stored: Stored,
    blobs: BTreeMap<Record, Vec<u8>>,
    pub(crate) now: Moment,
    pub(crate) wall: Timestamp,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// A result with this inside.
    Result(String),
    /// An error.
    Error(StanzaError),
    /// Blobs are kept, and then an empty result is sent.
    Stored,
    /// The server is to act.
    Acts(String),
}

impl Outcome {
    /// The condition of an error, or one word for everything else.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Outcome::Result(_) => "result",
            Outcome::Stored => "stored",
            Outcome::Acts(_) => "acts",
            Outcome::Error(error) => error.condition.as_str(),
        }
    }

    /// Condition, kind and code of an error.
    pub(crate) fn error(&self) -> Option<(Condition, ErrorKind, Option<u16>)> {
        match self {
            Outcome::Error(error) => Some((error.condition, error.kind, error.code)),
            Outcome::Result(_) | Outcome::Stored | Outcome::Acts(_) => None,
        }
    }
}

impl World {
    pub(crate) fn new() -> World {
        World {
            facts: Facts {
                software: Software {
                    name: "Balcony".into(),
                    version: "0.1.0".into(),
                    os: None,
                },
                ..Facts::default()
            },
            host: HostFacts::new(address("capulet.lit")),
            available: Vec::new(),
            last_seen: None,
            stored: Stored::default(),
            blobs: BTreeMap::new(),
            now: Moment::from_micros(0),
            wall: Timestamp::from_unix_micros(1_166_551_115_000_000),
        }
    }

    /// Asks capulet.lit.
    pub(crate) fn host(&mut self, asker: Asker, request: &str) -> Outcome {
        let host = self.host.clone();
        self.ask(Place::Host(&host), asker, request)
    }

    /// Asks juliet@capulet.lit.
    pub(crate) fn account(&mut self, asker: Asker, request: &str) -> Outcome {
        let (available, last_seen, stored) = (
            self.available.clone(),
            self.last_seen.clone(),
            self.stored.clone(),
        );
        let facts = AccountFacts {
            available: &available,
            last_seen: last_seen.as_ref(),
            stored: &stored,
        };
        self.ask(Place::Account(&facts), asker, request)
    }

    /// Asks an address of capulet.lit where there is no account.
    pub(crate) fn nobody(&mut self, asker: Asker, request: &str) -> Outcome {
        self.ask(Place::Nobody, asker, request)
    }

    fn ask(&mut self, place: Place<'_>, asker: Asker, request: &str) -> Outcome {
        let stanza = iq(asker, request);
        let request = Request {
            stanza: &stanza,
            place,
            asker,
            facts: &self.facts,
            now: self.now,
            wall: self.wall,
        };
        match answer(&request) {
            Answer::Reply(reply) => outcome(&stanza, reply),
            Answer::Load(load) => {
                let blob = self.blobs.get(load.record()).cloned();
                assert!(blob.is_some(), "what is not stored is not asked for");
                outcome(&stanza, load.finish(blob.as_deref()))
            }
            Answer::Store(writes) => {
                for write in writes {
                    self.stored.apply(&write);
                    match write.bytes {
                        Some(bytes) => self.blobs.insert(write.record, bytes),
                        None => self.blobs.remove(&write.record),
                    };
                }
                Outcome::Stored
            }
            Answer::Act(Action::Register { account, .. }) => Outcome::Acts(format!("register {account}")),
            Answer::Act(Action::ChangePassword { account, .. }) => Outcome::Acts(format!("change {account}")),
            Answer::Act(Action::RemoveAccount { account }) => Outcome::Acts(format!("remove {account}")),
        }
    }
}

/// Every reply must make a stanza: a result with at most one child (RFC 6120 §8.2.3 rule 6), or an error.
fn outcome(request: &Stanza, reply: Reply) -> Outcome {
    match reply {
        Ok(payload) => {
            assert!(request.result(&payload).element().child_count() <= 1);
            Outcome::Result(String::from_utf8(payload).unwrap())
        }
        Err(error) => {
            assert!(request.error(error.clone()).is_some());
            Outcome::Error(error)
        }
    }
}

/// An IQ as it reaches the machine; `request` is `get` or `set`, a blank, and the payload.
pub(crate) fn iq(asker: Asker, request: &str) -> Stanza {
    let (kind, payload) = request.split_once(' ').unwrap();
    let bytes = format!("<iq id='q1' type='{kind}'>{payload}</iq>");
    let element = Element::parse(
        bytes.as_bytes(),
        ContentNamespace::Client,
        &xml::Limits::default(),
    )
    .unwrap();
    let from = match asker {
        Asker::Unregistered => None,
        Asker::Stranger => Some(address("tybalt@capulet.example/street")),
        Asker::Contact => Some(address("romeo@montague.net/orchard")),
        Asker::Own => Some(address("juliet@capulet.lit/balcony")),
    };
    Stanza::new(element, from, None, None).unwrap()
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

const DISCO_INFO: &str = "get <query xmlns='http://jabber.org/protocol/disco#info'/>";
const DISCO_ITEMS: &str = "get <query xmlns='http://jabber.org/protocol/disco#items'/>";

/// Who gets what where: host (before login, from elsewhere, own user), account (stranger, contact, own session).
#[rustfmt::skip]
const MATRIX: &[(&str, [&str; 3], [&str; 3])] = {
    const RESULT: &str = "result";
    const NO: &str = "service-unavailable";
    const FORBIDDEN: &str = "forbidden";
    const NEVER: &str = "not-allowed";
    const NONE: &str = "item-not-found";
    &[
        (DISCO_INFO,                                                              [NO, RESULT, RESULT], [NO, RESULT, RESULT]),
        ("set <query xmlns='http://jabber.org/protocol/disco#info'/>",            [NO, NEVER, NEVER],   [NO, NEVER, NEVER]),
        ("get <query xmlns='http://jabber.org/protocol/disco#info' node='x'/>",   [NO, NONE, NONE],     [NO, NONE, NONE]),
        (DISCO_ITEMS,                                                             [NO, RESULT, RESULT], [RESULT, RESULT, RESULT]),
        ("set <query xmlns='http://jabber.org/protocol/disco#items'/>",           [NO, NEVER, NEVER],   [NO, NEVER, NEVER]),
        ("get <query xmlns='http://jabber.org/protocol/disco#items' node='x'/>",  [NO, NONE, NONE],     [RESULT, NONE, NONE]),
        ("get <ping xmlns='urn:xmpp:ping'/>",                                     [NO, RESULT, RESULT], [NO, RESULT, RESULT]),
        ("set <ping xmlns='urn:xmpp:ping'/>",                                     [NO, NEVER, NEVER],   [NO, NEVER, NEVER]),
        ("get <query xmlns='jabber:iq:version'/>",                                [NO, RESULT, RESULT], [NO, NO, NO]),
        ("set <query xmlns='jabber:iq:version'/>",                                [NO, NEVER, NEVER],   [NO, NO, NO]),
        ("get <time xmlns='urn:xmpp:time'/>",                                     [NO, RESULT, RESULT], [NO, NO, NO]),
        ("set <time xmlns='urn:xmpp:time'/>",                                     [NO, NEVER, NEVER],   [NO, NO, NO]),
        ("get <query xmlns='jabber:iq:last'/>",                                   [NO, RESULT, RESULT], [FORBIDDEN, NONE, RESULT]),
        ("set <query xmlns='jabber:iq:last'/>",                                   [NO, NEVER, NEVER],   [NO, NEVER, NEVER]),
        ("get <vCard xmlns='vcard-temp'/>",                                       [NO, NO, NO],         [NO, NO, NONE]),
        ("set <vCard xmlns='vcard-temp'><FN>J</FN></vCard>",                      [NO, NO, NO],         [FORBIDDEN, FORBIDDEN, "stored"]),
        ("get <query xmlns='jabber:iq:private'><a xmlns='b'/></query>",           [NO, NO, NO],         [NO, NO, RESULT]),
        ("set <query xmlns='jabber:iq:private'><a xmlns='b'/></query>",           [NO, NO, NO],         [NO, NO, "stored"]),
        ("get <query xmlns='jabber:iq:register'/>",                               [NO, NO, RESULT],     [NO, NO, RESULT]),
        ("set <query xmlns='jabber:iq:register'><remove/></query>",               [NO, "registration-required", "acts"], [NO, NO, "acts"]),
        ("get <ping xmlns='urn:xmpp:unheard-of'/>",                               [NO, NO, NO],         [NO, NO, NO]),
        ("set <ping xmlns='urn:xmpp:unheard-of'/>",                               [NO, NO, NO],         [NO, NO, NO]),
    ]
};

const AT_HOST: [Asker; 3] = [Asker::Unregistered, Asker::Stranger, Asker::Own];
const AT_ACCOUNT: [Asker; 3] = [Asker::Stranger, Asker::Contact, Asker::Own];

#[test]
fn everybody_gets_what_the_matrix_says_everywhere() {
    for (request, at_host, at_account) in MATRIX {
        let host = AT_HOST.map(|asker| World::new().host(asker, request).word());
        assert_eq!(host, *at_host, "{request} at the host");
        let account = AT_ACCOUNT.map(|asker| World::new().account(asker, request).word());
        assert_eq!(account, *at_account, "{request} at the account");
    }
}

#[test]
fn the_matrix_asks_for_every_row_of_the_table() {
    for feature in TABLE {
        for kind in ["get", "set"] {
            let begins = format!("{kind} <{} xmlns='{}'", feature.element, feature.namespace);
            assert!(
                MATRIX.iter().any(|(request, ..)| request.starts_with(&begins)),
                "{begins} is asked by nobody"
            );
        }
    }
}

/// XEP-0030 §8, XEP-0054 §3.3, RFC 6121 §8.5.1: nobody finds out by asking which accounts there are.
#[test]
fn xep0030_8_xep0054_3_3_a_stranger_cannot_tell_an_account_from_an_address_without_one() {
    for (request, ..) in MATRIX {
        let mut world = busy_world();
        assert_eq!(
            world.account(Asker::Stranger, request),
            world.nobody(Asker::Stranger, request),
            "{request}"
        );
    }
}

/// Not even a contact of the days when there was an account, or somebody logged in to the same host.
#[test]
fn rfc6121_8_5_1_where_there_is_no_account_everybody_hears_the_same() {
    for (request, ..) in MATRIX {
        let answers = AT_ACCOUNT.map(|asker| World::new().nobody(asker, request));
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{request}: {answers:?}"
        );
        assert!(
            !matches!(answers[0].word(), "stored" | "acts" | "not-allowed"),
            "{request}"
        );
    }
}

#[test]
fn an_audience_is_never_found_where_there_is_no_account() {
    let (world, stanza) = (World::new(), iq(Asker::Own, DISCO_INFO));
    for asker in AT_ACCOUNT {
        let (facts, now, wall) = (&world.facts, world.now, world.wall);
        let request = Request {
            stanza: &stanza,
            place: Place::Nobody,
            asker,
            facts,
            now,
            wall,
        };
        for audience in [
            Audience::Anyone,
            Audience::Presence,
            Audience::Own,
            Audience::Registrants,
        ] {
            assert!(!audience.admits(&request), "{audience:?} {asker:?}");
        }
        assert!(!TABLE.iter().any(|feature| feature.is_listed(&request)));
    }
}

#[test]
fn rfc6120_8_3_3_3_an_unknown_element_of_a_known_namespace_is_not_implemented() {
    for feature in TABLE {
        for kind in ["get", "set"] {
            let request = format!("{kind} <pong xmlns='{}'/>", feature.namespace);
            let expected = |known| {
                if known {
                    "feature-not-implemented"
                } else {
                    "service-unavailable"
                }
            };
            assert_eq!(
                World::new().host(Asker::Own, &request).word(),
                expected(feature.host.is_known()),
                "{request}"
            );
            assert_eq!(
                World::new().account(Asker::Own, &request).word(),
                expected(feature.account.is_known()),
                "{request}"
            );
            assert_eq!(
                World::new().account(Asker::Stranger, &request).word(),
                "service-unavailable",
                "{request}"
            );
            assert_eq!(
                World::new().nobody(Asker::Stranger, &request).word(),
                "service-unavailable",
                "{request}"
            );
        }
    }
}

#[test]
fn each_payload_stands_once_in_the_table() {
    for (index, feature) in TABLE.iter().enumerate() {
        let same = |other: &&crate::Feature| {
            (other.namespace, other.element) == (feature.namespace, feature.element)
        };
        assert_eq!(TABLE.iter().position(|other| same(&other)), Some(index));
    }
}

/// Juliet with everything that a stranger must not see: resources, a past, private data.
fn busy_world() -> World {
    let mut world = World::new();
    world.available = vec![address("juliet@capulet.lit/balcony")];
    world.last_seen = Some(LastSeen {
        at: Timestamp::from_unix_micros(0),
        status: Some("gone".into()),
    });
    world.host.registration = Registration::Open;
    let stored = world.account(
        Asker::Own,
        "set <query xmlns='jabber:iq:private'><a xmlns='b'>c</a></query>",
    );
    assert_eq!(stored, Outcome::Stored);
    world
}

/// Payloads that come near to what the table knows.
fn payload() -> impl Strategy<Value = Tree> {
    let namespaces: Vec<&'static str> = TABLE
        .iter()
        .map(|feature| feature.namespace)
        .chain(["urn:x", "jabber:client"])
        .collect();
    let names = [
        "query", "vCard", "ping", "time", "username", "password", "remove", "x",
    ];
    let element = (
        prop::sample::select(names.to_vec()),
        prop::sample::select(namespaces),
        prop::option::of("[a-z@/' ]{0,6}"),
    )
        .prop_map(|(name, namespace, node)| {
            let element = Tree::new(name, namespace);
            match node {
                Some(node) => element.attr("node", node),
                None => element,
            }
        });
    (
        element.clone(),
        prop::collection::vec((element, "[ -~é💃]{0,8}"), 0..4),
        prop::bool::ANY,
    )
        .prop_map(|(root, children, own)| {
            let namespace = root.namespace.clone();
            children.into_iter().fold(root, |root, (mut child, text)| {
                if own {
                    child.namespace.clone_from(&namespace);
                }
                root.child(child.text(&text))
            })
        })
}

proptest! {
    /// Whatever is asked: an answer that makes a stanza, and strangers learn nothing.
    #[test]
    fn any_payload_is_answered_and_tells_strangers_nothing(payload in payload(), is_set in prop::bool::ANY) {
        let kind = if is_set { "set" } else { "get" };
        let request = format!("{kind} {}", String::from_utf8(payload.to_bytes("jabber:client")).unwrap());
        for asker in AT_HOST {
            World::new().host(asker, &request);
            busy_world().host(asker, &request);
        }
        for asker in [Asker::Contact, Asker::Own] {
            busy_world().account(asker, &request);
        }
        let mut world = busy_world();
        prop_assert_eq!(world.account(Asker::Stranger, &request), world.nobody(Asker::Stranger, &request));
    }
}
