//! The matrix of the one door: every path a stanza can take, in both directions, for every kind, against a user who is
//! blocked. A path that forgets the question lets something through here.

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod ground;

use std::sync::Arc;

use account::{Account, Effect, Input, Saved, SessionId, Settings, Standing};
use features::Record;
use ground::{address, settings};
use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use privacy::{ItemRow, ListRow};
use roster::{Relation, RequestRow};
use stanza::{IqType, Kind, MessageType, Parcel, PresenceType, Stanza};
use stream_management::{Limits, Mailbox};

/// Every kind and type that a stanza can have.
const KINDS: [Kind; 17] = [
    Kind::Message(MessageType::Chat),
    Kind::Message(MessageType::Error),
    Kind::Message(MessageType::Groupchat),
    Kind::Message(MessageType::Headline),
    Kind::Message(MessageType::Normal),
    Kind::Presence(PresenceType::Available),
    Kind::Presence(PresenceType::Error),
    Kind::Presence(PresenceType::Probe),
    Kind::Presence(PresenceType::Subscribe),
    Kind::Presence(PresenceType::Subscribed),
    Kind::Presence(PresenceType::Unavailable),
    Kind::Presence(PresenceType::Unsubscribe),
    Kind::Presence(PresenceType::Unsubscribed),
    Kind::Iq(IqType::Get),
    Kind::Iq(IqType::Set),
    Kind::Iq(IqType::Result),
    Kind::Iq(IqType::Error),
];

const BLOCKED: &str = "tybalt@capulet.lit";
const FRIEND: &str = "benvolio@montague.lit";

struct Zero;

impl Random for Zero {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Romeo, who is subscribed to and by both, and blocks one of them.
struct Home {
    account: Account,
    settings: Settings,
}

fn mailbox() -> Arc<Mailbox> {
    Mailbox::new(Limits {
        stanzas: 100,
        bytes: 100_000,
    })
}

impl Home {
    fn new() -> Home {
        let item = |contact: &str| roster::ItemRow {
            contact: address(contact),
            name: String::new(),
            groups: Vec::new(),
            relation: Relation::Both,
            ask: false,
            approved: false,
            version: 1,
        };
        let request = b"<presence xmlns='jabber:client' type='subscribe'/>";
        let roster = roster::Stored {
            version: 1,
            complete_since: 1,
            items: vec![item(BLOCKED), item(FRIEND)],
            requests: vec![RequestRow {
                contact: address("paris@capulet.lit"),
                stanza: Arc::from(request.as_slice()),
            }],
            ..roster::Stored::default()
        };
        let deny = |order, value: &str| ItemRow {
            order,
            subject: 1,
            value: value.to_owned(),
            deny: true,
            scope: 0,
        };
        let items = vec![deny(1, BLOCKED), deny(2, "paris@capulet.lit")];
        let lists = vec![ListRow {
            name: "blocked".to_owned(),
            items,
        }];
        let privacy = privacy::Stored {
            lists,
            default: Some("blocked".to_owned()),
        };
        let saved = Saved {
            standing: Standing::Known,
            roster,
            privacy,
            ..Saved::default()
        };
        let account = Account::new(address("romeo@montague.lit"), saved).unwrap();
        Home {
            account,
            settings: settings(),
        }
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Decision::default();
        let mut context = Context {
            now: Moment::from_micros(1),
            wall: Timestamp::from_unix_micros(1),
            random: &mut Zero,
            settings: &self.settings,
        };
        self.account.handle(&mut context, input, &mut out);
        // Commits succeed at once here: what they hold back follows.
        assert!(
            !out.commit
                .iter()
                .any(|change| format!("{change:?}").contains(BLOCKED)),
            "kept: {:?}",
            out.commit
        );
        out.effects
    }

    fn bind(&mut self) -> SessionId {
        let session = SessionId(1);
        self.handle(Input::Bind {
            session,
            resource: Some("orchard".to_owned()),
            mailbox: mailbox(),
        });
        session
    }

    fn send(&mut self, session: SessionId, kind: Kind, to: Option<&str>) -> Vec<Effect> {
        let stanza = stanza(kind, "romeo@montague.lit/orchard", to);
        self.handle(Input::Outbound {
            session,
            stanza,
            receipt: None,
        })
    }
}

fn stanza(kind: Kind, from: &str, to: Option<&str>) -> Stanza {
    let payload: &[u8] = match kind {
        Kind::Message(_) => b"<body>thou consort'st with Romeo</body>",
        Kind::Iq(IqType::Get | IqType::Set) => b"<query xmlns='urn:example:q'/>",
        Kind::Iq(IqType::Result | IqType::Error) | Kind::Presence(_) => b"",
    };
    Stanza::build(
        kind,
        Some(&address(from)),
        to.map(address).as_ref(),
        Some("q1"),
        payload,
    )
}

/// What reaches one of the account's sessions.
fn pushed(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Push { .. }))
        .count()
}

/// Everything that leaves towards an address, as (kind, condition).
fn routed(effects: &[Effect], to: &str) -> Vec<(Kind, Option<String>)> {
    let parcel = |effect: &Effect| match effect {
        Effect::Route { parcel, .. } => Some(parcel.parcel().clone()),
        _ => None,
    };
    let is_meant = |parcel: &Parcel| parcel.to().is_some_and(|other| other.same_bare(&address(to)));
    let shown = |parcel: Parcel| (parcel.stanza().kind(), parcel.stanza().error_condition());
    effects
        .iter()
        .filter_map(parcel)
        .filter(is_meant)
        .map(shown)
        .collect()
}

/// XEP-0191 §3.3, XEP-0016 §2.14: requests and conversation are answered as if nobody were there, the rest not at all.
fn lawful_answer(kind: Kind) -> Vec<(Kind, Option<String>)> {
    match kind {
        Kind::Message(MessageType::Chat | MessageType::Normal) | Kind::Iq(IqType::Get | IqType::Set) => {
            vec![(kind.error(), Some("service-unavailable".to_owned()))]
        }
        _ => Vec::new(),
    }
}

#[test]
fn inbound_of_every_kind_to_every_form_of_address_stops_at_the_door() {
    for is_available in [false, true] {
        for to in [
            "romeo@montague.lit",
            "romeo@montague.lit/orchard",
            "romeo@montague.lit/absent",
        ] {
            for kind in KINDS {
                let mut home = Home::new();
                let session = home.bind();
                if is_available {
                    home.send(session, Kind::Presence(PresenceType::Available), None);
                }
                let parcel = Parcel::new(stanza(kind, "tybalt@capulet.lit/street", Some(to)));
                let effects = home.handle(Input::Inbound {
                    parcel,
                    receipt: None,
                });
                let what = format!("{kind:?} to {to}, available: {is_available}");
                assert_eq!(pushed(&effects), 0, "{what}");
                assert_eq!(routed(&effects, BLOCKED), lawful_answer(kind), "{what}");
            }
        }
    }
}

#[test]
fn inbound_to_nobody_at_home_is_not_kept_for_later() {
    for kind in KINDS {
        let mut home = Home::new();
        let parcel = Parcel::new(stanza(
            kind,
            "tybalt@capulet.lit/street",
            Some("romeo@montague.lit"),
        ));
        let effects = home.handle(Input::Inbound {
            parcel,
            receipt: None,
        });
        assert_eq!(routed(&effects, BLOCKED), lawful_answer(kind), "{kind:?}");
        assert!(
            !effects.iter().any(|effect| matches!(effect, Effect::Kept { .. })),
            "{kind:?}"
        );
    }
}

#[test]
fn outbound_of_every_kind_stops_at_the_door() {
    for to in [BLOCKED, "tybalt@capulet.lit/street"] {
        for kind in KINDS {
            let mut home = Home::new();
            let session = home.bind();
            home.send(session, Kind::Presence(PresenceType::Available), None);
            let effects = home.send(session, kind, Some(to));
            assert_eq!(routed(&effects, BLOCKED), Vec::new(), "{kind:?} to {to}");
        }
    }
}

#[test]
fn broadcasts_probes_and_goodbyes_leave_the_blocked_out() {
    let mut home = Home::new();
    let session = home.bind();
    for kind in [
        PresenceType::Available,
        PresenceType::Available,
        PresenceType::Unavailable,
    ] {
        let effects = home.send(session, Kind::Presence(kind), None);
        assert!(
            !routed(&effects, FRIEND).is_empty(),
            "{kind:?}: the friend hears it"
        );
        assert_eq!(routed(&effects, BLOCKED), Vec::new(), "{kind:?}");
    }
}

#[test]
fn the_end_of_a_session_is_not_told_to_the_blocked() {
    let mut home = Home::new();
    let session = home.bind();
    home.send(session, Kind::Presence(PresenceType::Available), None);
    let effects = home.handle(Input::Ended {
        session,
        mailbox: mailbox(),
        end: account::End::Lost,
    });
    assert_eq!(
        routed(&effects, FRIEND),
        vec![(Kind::Presence(PresenceType::Unavailable), None)]
    );
    assert_eq!(routed(&effects, BLOCKED), Vec::new());
}

#[test]
fn waiting_requests_of_the_blocked_are_not_shown_at_login() {
    let mut home = Home::new();
    let session = home.bind();
    let effects = home.send(session, Kind::Presence(PresenceType::Available), None);
    let shown = effects.iter().filter(|effect| {
        matches!(effect, Effect::Push { entry, .. }
            if entry.parcel.stanza().kind() == Kind::Presence(PresenceType::Subscribe))
    });
    assert_eq!(shown.count(), 0);
}

#[test]
fn what_an_account_publishes_is_not_shown_to_the_blocked() {
    let mut home = Home::new();
    let question = Stanza::build(
        Kind::Iq(IqType::Get),
        Some(&address("tybalt@capulet.lit/street")),
        Some(&address("romeo@montague.lit")),
        Some("v1"),
        b"<vCard xmlns='vcard-temp'/>",
    );
    let effects = home.handle(Input::Inbound {
        parcel: Parcel::new(question),
        receipt: None,
    });
    assert!(!effects.iter().any(|effect| matches!(
        effect,
        Effect::Load {
            record: Record::VCard,
            ..
        }
    )));
    assert_eq!(routed(&effects, BLOCKED), lawful_answer(Kind::Iq(IqType::Get)));
}

/// The same paths are open to a friend: the tests above could fail.
#[test]
fn a_friend_passes_where_the_blocked_does_not() {
    let mut home = Home::new();
    let session = home.bind();
    home.send(session, Kind::Presence(PresenceType::Available), None);
    for kind in [
        Kind::Message(MessageType::Chat),
        Kind::Presence(PresenceType::Available),
        Kind::Iq(IqType::Get),
        Kind::Iq(IqType::Result),
    ] {
        let parcel = Parcel::new(stanza(
            kind,
            "benvolio@montague.lit/street",
            Some("romeo@montague.lit/orchard"),
        ));
        assert_eq!(
            pushed(&home.handle(Input::Inbound {
                parcel,
                receipt: None
            })),
            1,
            "{kind:?}"
        );
        assert_eq!(
            routed(&home.send(session, kind, Some(FRIEND)), FRIEND).len(),
            1,
            "{kind:?}"
        );
    }
}
