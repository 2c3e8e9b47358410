//! What somebody may try in a room: to be seen as another, to stay unseen, to get at others, to be told what is not for them.

use std::time::Duration;

use machine::{Machine, Rate};

use crate::desk::{CRONE, Desk, HAG, WICCA, for_one};

const COVEN: &str = "coven@chat.lit";

/// crone1 made it; wiccarocks and hag66, of another server, are nothing to it.
fn coven(fields: &[(&str, &str)]) -> Desk {
    let mut desk = Desk::coven();
    desk.configure(fields);
    desk.join(WICCA, "second");
    desk.join(HAG, "third");
    desk
}

fn admin(desk: &mut Desk, from: &str, kind: &str, item: &str) -> Vec<String> {
    desk.send(
        from,
        &format!(
            "<iq id='a' type='{kind}' to='{COVEN}'><query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query></iq>"
        ),
    )
}

fn is_refused(seen: &[String], condition: &str) -> bool {
    seen.len() == 1 && seen[0].contains("type='error'") && seen[0].contains(&format!("<{condition}"))
}

#[test]
fn xep0045_17_1_a_nick_that_cannot_be_seen_is_refused_on_entering_on_changing_and_on_registering() {
    let mut desk = coven(&[]);
    let other = "hecate@verona.lit/x";
    assert!(is_refused(&desk.join(other, "\u{2800}"), "jid-malformed"));
    let change = format!("<presence to='{COVEN}/\u{2800} \u{2800}'/>");
    assert!(is_refused(&desk.send(HAG, &change), "jid-malformed"));
    let form = format!(
        "<iq id='r' type='set' to='{COVEN}'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>\
         <field var='muc#register_roomnick'><value>\u{2800}</value></field></x></query></iq>"
    );
    assert!(is_refused(&desk.send(HAG, &form), "jid-malformed"));
}

#[test]
fn xep0045_14_6_nobody_takes_a_nick_that_looks_like_that_of_somebody_else() {
    let mut desk = coven(&[]);
    let other = "hecate@verona.lit/x";
    for nick in ["Second", "second\u{200B}", "second ", "\u{FF53}econd"] {
        assert!(is_refused(&desk.join(other, nick), "conflict"), "{nick:?}");
        let change = format!("<presence to='{COVEN}/{nick}'/>");
        assert!(is_refused(&desk.send(HAG, &change), "conflict"), "{nick:?}");
    }
    let register = |nick: &str| {
        format!(
            "<iq id='r' type='set' to='{COVEN}'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>\
             <field var='muc#register_roomnick'><value>{nick}</value></field></x></query></iq>"
        )
    };
    assert!(desk.send(WICCA, &register("Hekate"))[0].contains("affiliation='member'"));
    assert!(is_refused(&desk.join(other, "HEKATE"), "conflict"));
    // One's own name may be written otherwise, and is free again when nobody has it.
    assert!(!is_refused(
        &desk.send(WICCA, &format!("<presence to='{COVEN}/Second'/>")),
        "conflict"
    ));
    assert!(is_refused(&desk.join(other, "second"), "conflict"));
    desk.leave(WICCA);
    assert!(!is_refused(&desk.join(other, "second"), "conflict"));
}

#[test]
fn xep0045_9_1_who_bans_a_domain_does_not_get_at_owners_from_there() {
    let mut desk = coven(&[]);
    desk.affiliate("hag66@verona.lit", "owner");
    let guest = "hecate@verona.lit/x";
    desk.join(guest, "guest");
    desk.affiliate("wiccarocks@shakespeare.lit", "admin");
    let seen = admin(
        &mut desk,
        WICCA,
        "set",
        "<item affiliation='outcast' jid='verona.lit'/>",
    );
    assert!(
        for_one(&seen, guest)
            .iter()
            .any(|copy| copy.contains("code='301'")),
        "{seen:?}"
    );
    assert!(
        !seen
            .iter()
            .any(|copy| copy.contains(&format!("from='{COVEN}/third'"))),
        "{seen:?}"
    );
    assert_eq!(desk.say(HAG, "<body>I am here</body>").len(), 3);
    assert!(is_refused(&desk.join(guest, "guest"), "forbidden"));
    let seen = admin(
        &mut desk,
        WICCA,
        "set",
        "<item affiliation='none' jid='verona.lit'/>",
    );
    assert_eq!(
        seen.len(),
        1,
        "who is something of its own right stays that: {seen:?}"
    );
}

#[test]
fn xep0045_10_2_who_goes_out_of_sight_is_seen_to_go_and_comes_back_into_it() {
    let voiced = ("muc#roomconfig_presencebroadcast", "moderator");
    let mut desk = coven(&[]);
    let gone = format!("<presence from='{COVEN}/third' to='{WICCA}' type='unavailable'>");
    let seen = desk.configure(&[voiced]);
    let third: Vec<&String> = seen.iter().filter(|copy| copy.starts_with(&gone)).collect();
    assert!(third.len() == 1 && third[0].contains("role='none'"), "{seen:?}");
    let seen = admin(&mut desk, CRONE, "set", "<item nick='third' role='moderator'/>");
    let shown = format!("<presence from='{COVEN}/third' to='{WICCA}'>");
    assert!(seen.iter().any(|copy| copy.starts_with(&shown)), "{seen:?}");
    let seen = admin(&mut desk, CRONE, "set", "<item nick='third' role='participant'/>");
    assert!(
        seen.iter().any(|copy| copy.starts_with(&gone)),
        "nobody believes in who left later: {seen:?}"
    );
    let seen = desk.leave(HAG);
    assert!(for_one(&seen, WICCA).is_empty(), "{seen:?}");
}

#[test]
fn xep0045_6_6_6_4_outsiders_learn_nothing_of_occupants_and_of_what_is_said() {
    let mut desk = coven(&[]);
    let outside = "hecate@verona.lit/x";
    desk.say(CRONE, "<subject>Spells</subject>");
    let info = |to: &str| {
        format!("<iq id='i' type='get' to='{to}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
    };
    assert!(is_refused(
        &desk.send(outside, &info(&format!("{COVEN}/third"))),
        "bad-request"
    ));
    assert!(desk.send(outside, &info(COVEN))[0].contains("Spells"));
    desk.affiliate("wiccarocks@shakespeare.lit", "member");
    desk.configure(&[("muc#roomconfig_membersonly", "1")]);
    let told = &desk.send(outside, &info(COVEN))[0];
    assert!(
        !told.contains("Spells") && !told.contains("muc#roominfo_occupants"),
        "{told}"
    );
    assert!(desk.send(WICCA, &info(COVEN))[0].contains("Spells"));
}

#[test]
fn xep0045_10_1_1_to_others_a_room_that_is_not_configured_is_none_and_it_ends_with_its_creator() {
    let mut desk = Desk::new(3);
    desk.join(CRONE, "firstwitch");
    let info = format!(
        "<iq id='i' type='get' to='{COVEN}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    );
    assert!(is_refused(&desk.send(HAG, &info), "item-not-found"));
    let seen = desk.leave(CRONE);
    assert!(
        seen.len() == 1 && seen[0].contains("<destroy/>") && seen[0].contains("code='110'"),
        "§10.1.3: {seen:?}"
    );
    assert!(desk.room.is_idle());
}

#[test]
fn cve_2021_37601_lists_are_for_members_and_where_addresses_are_hidden_for_administrators() {
    let list = |affiliation: &str| format!("<item affiliation='{affiliation}'/>");
    let mut desk = coven(&[]);
    desk.affiliate("wiccarocks@shakespeare.lit", "member");
    for wanted in ["member", "admin", "owner", "outcast"] {
        for asker in [WICCA, HAG, "hecate@verona.lit/x"] {
            assert!(
                is_refused(&admin(&mut desk, asker, "get", &list(wanted)), "forbidden"),
                "{wanted} {asker}"
            );
        }
    }
    desk.configure(&[
        ("muc#roomconfig_whois", "anyone"),
        ("muc#roomconfig_membersonly", "1"),
    ]);
    // §9.5: members may know who belongs to it, in the room or not.
    desk.affiliate("hecate@verona.lit", "member");
    for asker in [WICCA, "hecate@verona.lit/x"] {
        for wanted in ["member", "admin", "owner"] {
            assert!(
                admin(&mut desk, asker, "get", &list(wanted))[0].contains("type='result'"),
                "{wanted} {asker}"
            );
        }
        assert!(is_refused(
            &admin(&mut desk, asker, "get", &list("outcast")),
            "forbidden"
        ));
    }
    for wanted in ["member", "admin", "owner", "outcast"] {
        assert!(
            is_refused(&admin(&mut desk, HAG, "get", &list(wanted)), "forbidden"),
            "{wanted}"
        );
    }
}

#[test]
fn xep0045_9_3_9_5_an_administrator_gives_a_nick_with_the_membership_and_takes_it() {
    let mut desk = coven(&[]);
    let item = |nick: &str| format!("<item affiliation='member' jid='hecate@verona.lit' nick='{nick}'/>");
    assert!(
        is_refused(&admin(&mut desk, CRONE, "set", &item("Second")), "conflict"),
        "it is somebody's"
    );
    admin(&mut desk, CRONE, "set", &item("Hecate"));
    let listed = &admin(&mut desk, CRONE, "get", "<item affiliation='member'/>")[0];
    assert!(
        listed.contains("jid='hecate@verona.lit' nick='Hecate'"),
        "§17.4: {listed}"
    );
    assert!(is_refused(
        &desk.send(HAG, &format!("<presence to='{COVEN}/hecate'/>")),
        "conflict"
    ));
    admin(&mut desk, CRONE, "set", &item(""));
    let listed = &admin(&mut desk, CRONE, "get", "<item affiliation='member'/>")[0];
    assert!(
        listed.contains("hecate@verona.lit") && !listed.contains("nick="),
        "{listed}"
    );
    desk.check("the reserved nick is on disk");
}

#[test]
fn xep0045_9_5_who_is_made_a_member_of_a_room_for_members_is_invited_and_nobody_else_is() {
    let mut desk = coven(&[]);
    assert_eq!(
        desk.affiliate("hecate@verona.lit", "member").len(),
        1,
        "open to all anyway"
    );
    desk.configure(&[
        ("muc#roomconfig_membersonly", "1"),
        ("muc#roomconfig_passwordprotectedroom", "1"),
        ("muc#roomconfig_roomsecret", "cauldronburn"),
    ]);
    let seen = desk.affiliate("wiccarocks@shakespeare.lit", "member");
    let told = for_one(&seen, "wiccarocks@shakespeare.lit");
    assert_eq!(told.len(), 1, "{seen:?}");
    for part in [
        "<message from='coven@chat.lit' ",
        "<invite from='crone1@shakespeare.lit'/>",
        "<password>cauldronburn</password>",
    ] {
        assert!(told[0].contains(part), "{part} in {told:?}");
    }
    assert_eq!(
        desk.affiliate("wiccarocks@shakespeare.lit", "member").len(),
        1,
        "once"
    );
    assert_eq!(
        desk.affiliate("hecate@verona.lit", "admin").len(),
        1,
        "known already"
    );
}

#[test]
fn xep0045_7_8_2_one_message_invites_only_so_many_and_all_of_them_or_none() {
    let mut desk = coven(&[]);
    let message = |invites: &str| {
        format!(
            "<message to='{COVEN}'><x xmlns='http://jabber.org/protocol/muc#user'>{invites}</x></message>"
        )
    };
    let invites: String = (0..20)
        .map(|number| format!("<invite to='user{number}@verona.lit'/>"))
        .collect();
    assert_eq!(desk.send(HAG, &message(&invites)).len(), 20);
    let more = format!("{invites}<invite to='one@verona.lit'/>");
    assert!(is_refused(
        &desk.send(HAG, &message(&more)),
        "resource-constraint"
    ));
    desk.affiliate("lear@britain.lit", "outcast");
    let one = "<invite to='user@verona.lit'/><invite to='lear@britain.lit'/>";
    assert!(is_refused(&desk.send(HAG, &message(one)), "forbidden"));
    let decline = message("<decline to='crone1@shakespeare.lit'/>");
    assert!(is_refused(
        &desk.send("lear@britain.lit/x", &decline),
        "forbidden"
    ));
}

#[test]
fn limits_room_messages_holds_for_presence_nicks_invitations_requests_for_voice_and_registration() {
    let mut desk = coven(&[("muc#roomconfig_moderatedroom", "1")]);
    let presence = format!("<presence to='{COVEN}/third'><show>away</show></presence>");
    let nick = format!("<presence to='{COVEN}/other'/>");
    let invite = format!(
        "<message to='{COVEN}'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='a@verona.lit'/></x></message>"
    );
    let voice = format!(
        "<message to='{COVEN}'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#request</value></field></x></message>"
    );
    desk.settings.message_rate = Some(Rate {
        events: 2,
        per: Duration::from_secs(10),
    });
    for _ in 0..2 {
        assert!(!is_refused(&desk.send(HAG, &presence), "policy-violation"));
    }
    let leave = format!(
        "<iq id='r' type='set' to='{COVEN}'><query xmlns='jabber:iq:register'><remove/></query></iq>"
    );
    for flood in [&presence, &nick, &invite, &voice, &leave] {
        assert!(is_refused(&desk.send(HAG, flood), "policy-violation"), "{flood}");
    }
    let elsewhere = HAG.replace("pda", "laptop");
    assert!(
        is_refused(&desk.send(&elsewhere, &leave), "policy-violation"),
        "all hear of it too"
    );
    assert!(!desk.leave(HAG).is_empty(), "whoever goes may go");
}

#[test]
fn xep0203_xep0033_xep0359_nobody_forges_when_and_by_whom_something_was_said() {
    let mut desk = coven(&[]);
    let forged = "<body>x</body><delay xmlns='urn:xmpp:delay' from='coven@chat.lit' stamp='2002-10-13T23:58:37Z'/>\
        <x xmlns='jabber:x:delay' from='coven@chat.lit' stamp='20021013T23:58:37'/>\
        <addresses xmlns='http://jabber.org/protocol/address'><address type='ofrom' jid='crone1@shakespeare.lit/x'/></addresses>\
        <stanza-id xmlns='urn:xmpp:sid:0' by='Coven@CHAT.lit' id='forged'/>\
        <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>\
        <x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>";
    let seen = desk.say(HAG, forged);
    for copy in &seen {
        for trace in ["delay", "addresses", "forged", "104"] {
            assert!(!copy.contains(trace), "{trace} in {copy}");
        }
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn xep0045_7_8_2_a_refusal_reaches_every_client_of_the_inviter() {
    let mut desk = coven(&[]);
    let other = "wiccarocks@shakespeare.lit/phone";
    desk.join(other, "second");
    let decline = format!(
        "<message to='{COVEN}'><x xmlns='http://jabber.org/protocol/muc#user'><decline to='wiccarocks@shakespeare.lit'/></x></message>"
    );
    let seen = desk.send("hecate@verona.lit/x", &decline);
    assert!(seen.len() == 2 && for_one(&seen, other).len() == 1, "{seen:?}");
}

#[test]
fn xep0045_8_6_a_form_that_is_cancelled_gives_nobody_voice_and_one_that_is_submitted_does() {
    let mut desk = coven(&[("muc#roomconfig_moderatedroom", "1")]);
    admin(&mut desk, CRONE, "set", "<item nick='third' role='visitor'/>");
    let form = |kind: &str| {
        format!(
            "<message to='{COVEN}'><x xmlns='jabber:x:data' type='{kind}'>\
             <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>\
             <field var='muc#roomnick'><value>third</value></field>\
             <field var='muc#request_allow'><value>1</value></field></x></message>"
        )
    };
    assert_eq!(desk.send(CRONE, &form("cancel")), [] as [String; 0]);
    assert!(
        is_refused(&desk.send(HAG, &form("submit")), "forbidden"),
        "nobody gives it to himself"
    );
    let seen = desk.send(CRONE, &form("submit"));
    assert!(for_one(&seen, HAG)[0].contains("role='participant'"), "{seen:?}");
}

#[test]
fn xep0045_8_2_9_1_first_goes_who_must_go_then_who_did_it_has_the_answer_then_the_others_are_told() {
    for item in [
        "<item nick='third' role='none'/>",
        "<item affiliation='outcast' jid='hag66@verona.lit'/>",
    ] {
        let mut desk = coven(&[]);
        let seen = admin(&mut desk, CRONE, "set", item);
        let to = |copy: &String, user: &str| copy.contains(&format!(" to='{user}'"));
        assert!(
            to(&seen[0], HAG) && seen[0].contains("type='unavailable'"),
            "{seen:?}"
        );
        assert!(seen[1].starts_with("<iq ") && to(&seen[1], CRONE), "{seen:?}");
        assert!(
            seen.len() == 4 && seen[2..].iter().all(|copy| !to(copy, HAG)),
            "{seen:?}"
        );
    }
}
