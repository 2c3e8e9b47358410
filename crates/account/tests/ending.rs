//! How a session ends: its client gets what is there, and what it did not take goes where it belongs.

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod ground;

use std::sync::Arc;
use std::time::Duration;

use account::{Account, AdminRequest, DropReason, Effect, End, Input, Saved, SessionId, Settings, Standing};
use ground::{address, settings};
use machine::{Context, Decision, Machine, Moment, Random, Rate, Timestamp};
use stanza::{IqType, Kind, MessageType, Parcel, PresenceType, Stanza, StreamCondition, StreamError, Target};
use stream_management::{Limits, Mailbox, Signal};

const ME: &str = "romeo@montague.lit";
const ORCHARD: &str = "romeo@montague.lit/orchard";

struct Zero;

impl Random for Zero {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Romeo at home; what the account wants put into mailboxes is put there.
struct Home {
    account: Account,
    settings: Settings,
}

impl Home {
    fn new() -> Home {
        Home::with(Saved {
            standing: Standing::Known,
            ..Saved::default()
        })
    }

    fn with(saved: Saved) -> Home {
        let account = Account::new(address(ME), saved).unwrap();
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
        let mut others = Vec::new();
        for effect in out.effects {
            match effect {
                Effect::Push { mailbox, entry, .. } => assert!(!mailbox.push(entry).unwrap()),
                Effect::Signal { mailbox, signal } => mailbox.signal(signal),
                other => others.push(other),
            }
        }
        others
    }

    /// A client in the orchard, which has taken its own presence.
    fn available(&mut self, session: SessionId) -> Arc<Mailbox> {
        let mailbox = Mailbox::new(Limits {
            stanzas: 100,
            bytes: 100_000,
        });
        self.handle(Input::Bind {
            session,
            resource: Some("orchard".to_owned()),
            mailbox: Arc::clone(&mailbox),
        });
        let presence = Kind::Presence(PresenceType::Available);
        self.handle(Input::Outbound {
            session,
            stanza: Stanza::build(presence, Some(&address(ORCHARD)), None, None, b""),
            receipt: None,
        });
        written(&mailbox);
        assert_eq!(
            mailbox.take_signal(),
            Some(Signal::Bound(address("romeo@montague.lit/orchard")))
        );
        mailbox
    }

    fn receive(&mut self, kind: Kind, to: &str) {
        let from = address("juliet@capulet.lit/balcony");
        let stanza = Stanza::build(
            kind,
            Some(&from),
            Some(&address(to)),
            Some("1"),
            b"<body>1</body>",
        );
        let effects = self.handle(Input::Inbound {
            parcel: Parcel::new(stanza),
            receipt: None,
        });
        assert!(effects.is_empty(), "{effects:?}");
    }

    fn kick(&mut self) {
        let error = StreamError::new(StreamCondition::PolicyViolation);
        self.handle(Input::Admin(AdminRequest::End(None, error, Box::new(|_| {}))));
    }

    fn done(&mut self, session: SessionId, mailbox: &Arc<Mailbox>) -> Vec<Effect> {
        self.handle(Input::Ended {
            session,
            mailbox: Arc::clone(mailbox),
            end: End::Lost,
        })
    }
}

/// What the connection writes of it.
fn written(mailbox: &Mailbox) -> String {
    let mut bytes = Vec::new();
    let drained = mailbox.drain(&mut bytes, Target::Stream, 10_000, 100);
    mailbox.written(drained.stanzas);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn rfc6120_4_4_a_session_that_the_server_ends_still_gets_what_is_in_its_mailbox() {
    let mut home = Home::new();
    let mailbox = home.available(SessionId(1));
    home.receive(Kind::Message(MessageType::Chat), ME);
    home.receive(Kind::Iq(IqType::Result), ORCHARD);
    home.kick();
    assert!(matches!(mailbox.take_signal(), Some(Signal::Close(_))));
    let heard = written(&mailbox);
    assert!(heard.contains("<message") && heard.contains("<iq"), "{heard}");
    assert!(!home.account.is_idle(), "the connection is not done yet");
    let effects = home.done(SessionId(1), &mailbox);
    assert!(effects.is_empty(), "it has everything: {effects:?}");
    assert!(home.account.is_idle());
}

#[test]
fn rfc6121_8_5_2_2_1_what_an_ended_session_did_not_take_is_kept_when_its_connection_is_done() {
    let mut home = Home::new();
    let mailbox = home.available(SessionId(1));
    home.receive(Kind::Message(MessageType::Chat), ME);
    home.kick();
    let effects = home.done(SessionId(1), &mailbox);
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Kept { .. })),
        "{effects:?}"
    );
    assert!(mailbox.is_closed());
}

#[test]
fn rfc6120_7_7_2_2_who_takes_the_resource_over_gets_what_the_older_session_did_not_take() {
    let mut home = Home::new();
    let older = home.available(SessionId(1));
    home.receive(Kind::Message(MessageType::Chat), ORCHARD);
    let newer = home.available(SessionId(2));
    assert!(matches!(older.take_signal(), Some(Signal::Close(_))));
    home.receive(Kind::Message(MessageType::Chat), ORCHARD);
    assert_eq!(older.load().0, 1, "nothing new comes to the older one");
    assert_eq!(written(&newer).matches("<message").count(), 1);
    home.done(SessionId(1), &older);
    assert_eq!(written(&newer).matches("<message").count(), 1);
}

#[test]
fn an_account_that_is_lost_tells_the_sessions_that_were_ending_too() {
    let mut home = Home::new();
    let mailbox = home.available(SessionId(1));
    home.kick();
    mailbox.take_signal();
    drop(home);
    assert!(matches!(mailbox.take_signal(), Some(Signal::Close(_))));
}

#[test]
fn rfc6121_8_5_2_messages_that_were_held_back_while_older_ones_are_loaded_can_be_taken_from_a_lost_account() {
    let mut home = Home::with(Saved {
        standing: Standing::Known,
        waiting: (1, 10),
        ..Saved::default()
    });
    let mailbox = home.available(SessionId(1));
    home.receive(Kind::Message(MessageType::Chat), ME);
    assert_eq!(written(&mailbox), "", "it must not overtake the one that waits");
    assert_eq!(home.account.take_held().len(), 1);
    assert_eq!(home.account.take_held().len(), 0);
}

/// `limits.messages_from_strangers`, `limits.subscriptions_from_strangers`: whoever they come from, all count together.
#[test]
fn what_strangers_together_send_to_one_user_has_a_limit() {
    let mut home = Home::new();
    let rate = Rate {
        events: 2,
        per: Duration::from_secs(60),
    };
    home.settings.messages_from_strangers = Some(rate);
    home.settings.subscriptions_from_strangers = Some(rate);
    let mailbox = home.available(SessionId(1));
    let mut send = |from: &str, kind| {
        let stanza = Stanza::build(kind, Some(&address(from)), Some(&address(ME)), Some("1"), b"");
        home.handle(Input::Inbound {
            parcel: Parcel::new(stanza),
            receipt: None,
        })
    };
    let (message, subscribe) = (
        Kind::Message(MessageType::Chat),
        Kind::Presence(PresenceType::Subscribe),
    );
    for kind in [message, subscribe] {
        assert!(send("juliet@capulet.lit/balcony", kind).is_empty());
        assert!(send("tybalt@capulet.lit/street", kind).is_empty());
        let told = written(&mailbox);
        assert!(told.contains("juliet@") && told.contains("tybalt@"), "{told}");
    }
    // As if nobody were there.
    let [Effect::Count(_), Effect::Route { parcel, .. }] = &send("paris@capulet.lit/street", message)[..]
    else {
        panic!("no error");
    };
    let error = String::from_utf8(parcel.parcel().to_bytes()).unwrap();
    assert!(error.contains("<service-unavailable"), "{error}");
    let dropped = send("paris@capulet.lit/street", subscribe);
    assert!(
        matches!(dropped[..], [Effect::Dropped(DropReason::Strangers)]),
        "{dropped:?}"
    );
    assert_eq!(written(&mailbox), "");
    // What is no first word of a stranger is not counted.
    assert!(send("paris@capulet.lit/street", Kind::Message(MessageType::Headline)).is_empty());
    assert!(written(&mailbox).contains("headline"));
    // XEP-0045 §7.5: whoever is in a room hears what its occupants say in private.
    let room = Some(address("verona@rooms.capulet.lit/romeo"));
    let kind = Kind::Presence(PresenceType::Available);
    let entering = Stanza::build(kind, Some(&address(ORCHARD)), room.as_ref(), None, b"");
    home.handle(Input::Outbound {
        session: SessionId(1),
        stanza: entering,
        receipt: None,
    });
    let kind = Kind::Message(MessageType::Chat);
    let stanza = Stanza::build(
        kind,
        Some(&address("verona@rooms.capulet.lit/paris")),
        Some(&address(ME)),
        None,
        b"<body>aside</body>",
    );
    let passed = home.handle(Input::Inbound {
        parcel: Parcel::new(stanza),
        receipt: None,
    });
    assert!(passed.is_empty(), "{passed:?}");
    assert!(written(&mailbox).contains("aside"));
}

/// `limits.stranger_messages`, `limits.stranger_subscriptions`: what one user sends to people who are no contacts, to all of
/// them together, comes back beyond the rate and may be sent later; contacts are not concerned, and nothing is kept of it.
#[test]
fn what_one_user_sends_to_strangers_has_a_limit() {
    let item = roster::ItemRow {
        contact: address("juliet@capulet.lit"),
        name: String::new(),
        groups: Vec::new(),
        relation: roster::Relation::Both,
        ask: false,
        approved: false,
        version: 1,
    };
    let mut home = Home::with(Saved {
        standing: Standing::Known,
        roster: roster::Stored {
            version: 1,
            complete_since: 1,
            items: vec![item],
            ..roster::Stored::default()
        },
        ..Saved::default()
    });
    let rate = Rate {
        events: 2,
        per: Duration::from_secs(60),
    };
    home.settings.stranger_messages = Some(rate);
    home.settings.stranger_subscriptions = Some(rate);
    let mailbox = home.available(SessionId(1));
    for kind in [
        Kind::Message(MessageType::Chat),
        Kind::Presence(PresenceType::Subscribe),
    ] {
        let mut send = |to: &str| {
            let stanza = Stanza::build(kind, Some(&address(ORCHARD)), Some(&address(to)), Some("1"), b"");
            let effects = home.handle(Input::Outbound {
                session: SessionId(1),
                stanza,
                receipt: None,
            });
            let routed = effects
                .iter()
                .filter(|effect| matches!(effect, Effect::Route { .. }));
            (routed.count(), written(&mailbox))
        };
        for stranger in ["tybalt@capulet.lit", "paris@capulet.lit"] {
            assert_eq!(send(stranger), (1, String::new()), "{kind:?} to {stranger}");
        }
        let (routed, told) = send("gregory@capulet.lit");
        assert_eq!(routed, 0, "{kind:?}");
        assert!(
            told.contains("type='wait'") && told.contains("<policy-violation"),
            "{told}"
        );
        if kind == Kind::Message(MessageType::Chat) {
            assert_eq!(
                send("juliet@capulet.lit"),
                (1, String::new()),
                "contacts are no strangers"
            );
        }
    }
}
