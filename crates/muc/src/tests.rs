//! Rooms in memory: who hears what.

use std::time::Duration;

use machine::{Context, Machine, Moment, Random, Rate, Timestamp};
use stanza::{Address, Parcel, Stanza, Target};
use xml::{ContentNamespace, Element};

use crate::room::Out;
use crate::{Effect, Input, Room, Settings};

struct Dice(u8);

impl Random for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(5).wrapping_add(13);
            *byte = self.0;
        }
    }
}

struct Stage {
    room: Room,
    settings: Settings,
    dice: Dice,
}

impl Stage {
    fn new() -> Stage {
        Stage {
            room: Room::new(Address::parse("coven@chat.lit").unwrap()),
            settings: Settings::default(),
            dice: Dice(7),
        }
    }

    /// What goes out when `from` sends this.
    fn send(&mut self, from: &str, xml: &str) -> Vec<Parcel> {
        let element = Element::parse(
            xml.as_bytes(),
            ContentNamespace::Client,
            &xml::Limits::unlimited(),
        )
        .unwrap();
        let to = stanza::address_attribute(&element, "to").unwrap();
        let stanza = Stanza::new(element, Some(Address::parse(from).unwrap()), to, None).unwrap();
        let mut out = Out::default();
        let mut context = Context {
            now: Moment::default(),
            wall: Timestamp::from_unix_micros(0),
            random: &mut self.dice,
            settings: &self.settings,
        };
        let input = Input::Inbound {
            parcel: Parcel::new(stanza),
            receipt: None,
        };
        self.room.handle(&mut context, input, &mut out);
        out.effects
            .into_iter()
            .filter_map(|effect| {
                if let Effect::Route(parcel, _) = effect {
                    Some(parcel)
                } else {
                    None
                }
            })
            .collect()
    }

    fn join(&mut self, from: &str, nick: &str) -> Vec<Parcel> {
        let xml = format!(
            "<presence to='coven@chat.lit/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        );
        self.send(from, &xml)
    }

    /// An instant room (XEP-0045 §10.1.2) of crone1, with two others in it.
    fn coven() -> Stage {
        let mut stage = Stage::new();
        stage.join("crone1@shakespeare.lit/desktop", "firstwitch");
        let answers = stage.send(
            "crone1@shakespeare.lit/desktop",
            "<iq id='1' type='set' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'/></query></iq>",
        );
        assert!(text(answers.last().unwrap()).contains("type='result'"));
        stage.join("wiccarocks@shakespeare.lit/laptop", "secondwitch");
        stage.join("hag66@shakespeare.lit/pda", "thirdwitch");
        stage
    }
}

fn text(parcel: &Parcel) -> String {
    let mut bytes = Vec::new();
    parcel.emit(&mut bytes, Target::Stream);
    String::from_utf8(bytes).unwrap()
}

/// What this one gets.
fn for_one(parcels: &[Parcel], to: &str) -> Vec<String> {
    parcels
        .iter()
        .filter(|parcel| parcel.to().is_some_and(|address| address.as_str() == to))
        .map(text)
        .collect()
}

const CRONE: &str = "crone1@shakespeare.lit/desktop";
const WICCA: &str = "wiccarocks@shakespeare.lit/laptop";
const HAG: &str = "hag66@shakespeare.lit/pda";

#[test]
fn xep0045_10_1_1_whoever_enters_first_creates_a_locked_room_and_owns_it() {
    let mut stage = Stage::new();
    let seen = stage.join(CRONE, "firstwitch");
    let own = text(&seen[0]);
    for part in [
        "affiliation='owner'",
        "role='moderator'",
        "code='110'",
        "code='201'",
    ] {
        assert!(own.contains(part), "{own}");
    }
    let refused = stage.join(HAG, "thirdwitch");
    assert_eq!(
        refused[0].stanza().error_condition().as_deref(),
        Some("item-not-found")
    );
}

#[test]
fn xep0045_7_2_2_in_a_semi_anonymous_room_only_moderators_see_addresses() {
    let mut stage = Stage::coven();
    let seen = stage.join("friar@verona.lit/cell", "friar");
    for moderator in for_one(&seen, CRONE) {
        assert!(moderator.contains("jid='friar@verona.lit/cell'"), "{moderator}");
    }
    for other in for_one(&seen, WICCA) {
        assert!(!other.contains("verona.lit"), "{other}");
    }
    let burst = for_one(&seen, "friar@verona.lit/cell");
    // Three others, himself, and the subject.
    assert_eq!(burst.len(), 5);
    assert!(
        burst[..3].iter().all(|presence| !presence.contains("jid='")),
        "{burst:?}"
    );
    assert!(
        burst[3].contains("code='110'") && burst[4].contains("<subject/>"),
        "{burst:?}"
    );
}

#[test]
fn xep0045_7_4_a_message_goes_to_everybody_and_its_bytes_are_shared() {
    let mut stage = Stage::coven();
    let message = "<message id='m1' type='groupchat' to='coven@chat.lit'><body>Harpier cries</body>\
        <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/></message>";
    let seen = stage.send(HAG, message);
    assert_eq!(seen.len(), 3);
    for parcel in &seen {
        assert!(std::ptr::eq(
            parcel.stanza().element().bytes(),
            seen[0].stanza().element().bytes()
        ));
        let copy = text(parcel);
        assert!(
            copy.contains("from='coven@chat.lit/thirdwitch'") && copy.contains("id='m1'"),
            "{copy}"
        );
        assert!(
            copy.contains("urn:xmpp:sid:0") && !copy.contains("forged"),
            "{copy}"
        );
    }
    let stranger = stage.send("friar@verona.lit/cell", message);
    assert_eq!(
        stranger[0].stanza().error_condition().as_deref(),
        Some("not-acceptable")
    );
    let history = for_one(
        &stage.join("friar@verona.lit/cell", "friar"),
        "friar@verona.lit/cell",
    );
    assert!(
        history[4].contains("urn:xmpp:delay") && history[4].contains("Harpier cries"),
        "{history:?}"
    );
}

#[test]
fn xep0045_8_2_9_1_kick_and_ban_are_told_with_their_codes() {
    let mut stage = Stage::coven();
    let kick = |nick: &str| {
        format!(
            "<iq id='k' type='set' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>\
             <item nick='{nick}' role='none'><reason>Avaunt!</reason></item></query></iq>"
        )
    };
    let refused = stage.send(WICCA, &kick("thirdwitch"));
    assert_eq!(
        refused[0].stanza().error_condition().as_deref(),
        Some("forbidden")
    );
    let kicked = stage.send(CRONE, &kick("thirdwitch"));
    let own = for_one(&kicked, HAG);
    assert!(
        own[0].contains("code='307'") && own[0].contains("code='110'"),
        "{own:?}"
    );
    assert!(
        own[0].contains("Avaunt!") && own[0].contains("nick='firstwitch'"),
        "{own:?}"
    );
    let ban = "<iq id='b' type='set' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>\
        <item jid='wiccarocks@shakespeare.lit' affiliation='outcast'/></query></iq>";
    let banned = stage.send(CRONE, ban);
    assert!(for_one(&banned, WICCA)[0].contains("code='301'"));
    let again = stage.join(WICCA, "secondwitch");
    assert_eq!(again[0].stanza().error_condition().as_deref(), Some("forbidden"));
}

#[test]
fn xep0045_7_6_a_new_nick_is_told_with_303_and_a_taken_one_refused() {
    let mut stage = Stage::coven();
    let taken = stage.send(HAG, "<presence to='coven@chat.lit/firstwitch'/>");
    assert_eq!(taken[0].stanza().error_condition().as_deref(), Some("conflict"));
    let seen = for_one(&stage.send(HAG, "<presence to='coven@chat.lit/oldhag'/>"), WICCA);
    assert_eq!(seen.len(), 2);
    assert!(
        seen[0].contains("code='303'") && seen[0].contains("nick='oldhag'"),
        "{seen:?}"
    );
    assert!(seen[1].contains("from='coven@chat.lit/oldhag'"), "{seen:?}");
}

#[test]
fn xep0410_3_3_a_ping_to_oneself_is_answered_by_the_room() {
    let mut stage = Stage::coven();
    let ping = "<iq id='p' type='get' to='coven@chat.lit/thirdwitch'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert!(text(&stage.send(HAG, ping)[0]).contains("type='result'"));
    let stranger = stage.send("friar@verona.lit/cell", ping);
    assert_eq!(
        stranger[0].stanza().error_condition().as_deref(),
        Some("not-acceptable")
    );
}

#[test]
fn xep0045_7_14_when_the_last_one_leaves_the_room_is_no_more() {
    let mut stage = Stage::coven();
    for who in [CRONE, WICCA, HAG] {
        stage.send(who, "<presence type='unavailable' to='coven@chat.lit/x'/>");
    }
    assert!(stage.room.is_idle());
    let message = "<message type='groupchat' to='coven@chat.lit'><body>x</body></message>";
    let answer = stage.send(HAG, message);
    assert_eq!(
        answer[0].stanza().error_condition().as_deref(),
        Some("item-not-found")
    );
}

#[test]
fn xep0045_10_9_everybody_is_told_where_to_go_when_a_room_is_destroyed() {
    let mut stage = Stage::coven();
    let destroy = "<iq id='d' type='set' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#owner'>\
        <destroy jid='heath@chat.lit'><reason>Macbeth doth come.</reason></destroy></query></iq>";
    let seen = stage.send(CRONE, destroy);
    let own = for_one(&seen, HAG);
    assert!(
        own[0].contains("jid='heath@chat.lit'") && own[0].contains("Macbeth doth come."),
        "{own:?}"
    );
    assert!(text(seen.last().unwrap()).contains("type='result'"));
    assert!(stage.room.is_idle());
}

/// The condition of the error that somebody gets.
fn refusal(seen: &[Parcel]) -> Option<String> {
    let error = seen.iter().find(|parcel| parcel.stanza().kind().is_error())?;
    error.stanza().error_condition()
}

#[test]
fn limits_room_occupants_counts_clients_and_lets_only_so_many_more_of_owners_in() {
    let mut stage = Stage::new();
    stage.settings.occupants_max = 2;
    let enter = |nick: &str| {
        format!("<presence to='coven@chat.lit/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    };
    let (owner, other) = (
        "crone1@shakespeare.lit/desktop",
        "wiccarocks@shakespeare.lit/laptop",
    );
    assert_eq!(refusal(&stage.send(owner, &enter("firstwitch"))), None);
    let open = "<iq type='set' id='c' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#owner'>\
        <x xmlns='jabber:x:data' type='submit'/></query></iq>";
    assert_eq!(refusal(&stage.send(owner, open)), None);
    assert_eq!(refusal(&stage.send(other, &enter("secondwitch"))), None);
    // Others do not, under a new nick or their own; owners do, but not without end.
    for (third, nick) in [
        ("hag66@shakespeare.lit/pda", "thirdwitch"),
        ("wiccarocks@shakespeare.lit/phone", "secondwitch"),
    ] {
        let refused = refusal(&stage.send(third, &enter(nick)));
        assert_eq!(refused.as_deref(), Some("service-unavailable"), "{nick}");
    }
    let come = |stage: &mut Stage, number: usize| {
        let client = format!("crone1@shakespeare.lit/{number}");
        refusal(&stage.send(&client, &enter("firstwitch")))
    };
    for number in 0..20 {
        assert_eq!(come(&mut stage, number), None, "{number}");
    }
    assert_eq!(come(&mut stage, 20).as_deref(), Some("service-unavailable"));
    for number in 0..20 {
        let client = format!("crone1@shakespeare.lit/{number}");
        stage.send(
            &client,
            "<presence type='unavailable' to='coven@chat.lit/firstwitch'/>",
        );
    }
    stage.send(
        other,
        "<presence type='unavailable' to='coven@chat.lit/secondwitch'/>",
    );
    assert_eq!(
        refusal(&stage.send("hag66@shakespeare.lit/pda", &enter("thirdwitch"))),
        None
    );
}

#[test]
fn limits_room_messages_returns_what_is_said_too_fast_and_others_speak_on() {
    let mut stage = Stage::new();
    stage.settings.message_rate = Some(Rate {
        events: 3,
        per: Duration::from_secs(10),
    });
    let enter = |nick: &str| {
        format!("<presence to='coven@chat.lit/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    };
    let (owner, other) = (
        "crone1@shakespeare.lit/desktop",
        "wiccarocks@shakespeare.lit/laptop",
    );
    stage.send(owner, &enter("firstwitch"));
    let open = "<iq type='set' id='c' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/muc#owner'>\
        <x xmlns='jabber:x:data' type='submit'/></query></iq>";
    stage.send(owner, open);
    stage.send(other, &enter("secondwitch"));
    let said = "<message type='groupchat' to='coven@chat.lit'><body>Double, double</body></message>";
    for _ in 0..3 {
        assert_eq!(stage.send(owner, said).len(), 2);
    }
    let seen = stage.send(owner, said);
    assert_eq!(refusal(&seen).as_deref(), Some("policy-violation"));
    assert_eq!(seen.len(), 1, "nobody else hears it");
    assert_eq!(stage.send(other, said).len(), 2);
}
