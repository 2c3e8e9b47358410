//! What comes back, what was missed and is given back, and who is asked whether it is still there, when the link to an
//! occupant's server was lost.

use stanza::Parcel;

use super::stage::{BACK, BENVOLIO, JULIET, PAUSED, ROMEO, Stage, TYBALT, stanza, to};
use crate::Input;

#[test]
fn psa_62_c_17_bounces_of_this_server_remove_nobody_and_errors_of_the_other_side_do() {
    let mut stage = Stage::orchard();
    // The link breaks; what was on its way comes back before and after the room knows.
    let message = "<message type='groupchat' to='orchard@chats.shakespeare.lit'><body>O!</body></message>";
    let sent = stage.tell(Input::Inbound {
        parcel: Parcel::new(stanza(ROMEO, message)),
        receipt: None,
    });
    let lost: Vec<Parcel> = sent
        .into_iter()
        .filter(|parcel| parcel.to().is_some_and(|to| to.as_str() == JULIET))
        .collect();
    assert_eq!(stage.undelivered(lost.clone()), [] as [String; 0]);
    stage.path("capulet.lit", true);
    assert_eq!(stage.undelivered(lost), [] as [String; 0]);
    assert_eq!(stage.view().occupants, 4);
    let seen = stage.path("capulet.lit", false);
    let again: Vec<String> = to(&seen, JULIET)
        .into_iter()
        .filter(|copy| copy.contains("O!"))
        .collect();
    assert!(
        again.len() == 1 && again[0].contains("urn:xmpp:delay"),
        "once: {seen:?}"
    );
    let error = "<message type='error' to='orchard@chats.shakespeare.lit/romeo'><error type='cancel'>\
        <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>";
    let seen = stage.says(JULIET, error);
    assert!(to(&seen, ROMEO)[0].contains("code='333'"), "{seen:?}");
    assert_eq!(stage.view().occupants, 3);
}

#[test]
fn psa_62_what_comes_back_although_the_path_is_clear_is_tried_again_and_not_for_ever() {
    let mut stage = Stage::orchard();
    let message = "<message type='groupchat' to='orchard@chats.shakespeare.lit'><body>O!</body></message>";
    let mut sent = stage.tell(Input::Inbound {
        parcel: Parcel::new(stanza(ROMEO, message)),
        receipt: None,
    });
    sent.retain(|parcel| parcel.to().is_some_and(|to| to.as_str() == JULIET));
    for _ in 0..3 {
        assert_eq!(stage.undelivered(sent.clone()), [] as [String; 0]);
        let again = stage.passes(6);
        assert!(again.len() == 1 && again[0].contains("O!"), "{again:?}");
    }
    stage.undelivered(sent);
    let seen = stage.passes(6);
    assert!(to(&seen, ROMEO)[0].contains("code='333'"), "{seen:?}");
}

#[test]
fn psa_62_a_private_message_that_cannot_be_delivered_comes_back_to_who_wrote_it() {
    let mut stage = Stage::orchard();
    stage.path("capulet.lit", true);
    let private =
        "<message type='chat' id='p' to='orchard@chats.shakespeare.lit/juliet'><body>Hist</body></message>";
    let sent = stage.tell(Input::Inbound {
        parcel: Parcel::new(stanza(BENVOLIO, private)),
        receipt: None,
    });
    let seen = stage.undelivered(sent);
    assert_eq!(seen.len(), 1);
    for part in [
        "type='error'",
        "id='p'",
        "from='orchard@chats.shakespeare.lit/juliet'",
        "to='benvolio@montague.lit/desk'",
        "remote-server-timeout",
    ] {
        assert!(seen[0].contains(part), "{part} in {seen:?}");
    }
    assert!(!seen[0].contains("capulet"), "{seen:?}");
    assert_eq!(stage.view().occupants, 4);
}

#[test]
fn psa_64_on_return_each_occupant_is_asked_whether_it_is_still_there_and_believed() {
    let mut stage = Stage::orchard();
    stage.path("capulet.lit", true);
    let seen = stage.path("capulet.lit", false);
    let probes: Vec<&String> = seen.iter().filter(|copy| copy.contains("type='probe'")).collect();
    assert_eq!(probes.len(), 1);
    assert!(
        probes[0].contains("from='orchard@chats.shakespeare.lit/juliet'") && probes[0].contains(JULIET),
        "{probes:?}"
    );
    let id = probes[0]
        .split("id='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    let here = format!("<presence id='{id}' to='orchard@chats.shakespeare.lit/juliet'/>");
    assert_eq!(
        stage.says(JULIET, &here),
        [] as [String; 0],
        "nobody is told that nothing has changed"
    );
    // Nor when it says again what it said last, but for the wish to enter, and its session has a connection.
    stage.path("capulet.lit", true);
    stage.session(JULIET, "juliet", "<connection-paused/>");
    let seen = stage.path("capulet.lit", false);
    assert!(to(&seen, ROMEO)[0].contains(PAUSED), "{seen:?}");
    let again = "<presence to='orchard@chats.shakespeare.lit/juliet'><status>Ay me!</status></presence>";
    let seen = stage.says(JULIET, again);
    assert_eq!(seen.len(), 2, "romeo and benvolio ask: {seen:?}");
    assert!(seen.iter().all(|copy| copy.contains(BACK)), "{seen:?}");
    assert_eq!(stage.view().paused, 0);
    // Whoever wants to enter is answered, though it was asked a moment ago (XEP-0045 §7.2.1).
    stage.path("capulet.lit", true);
    stage.path("capulet.lit", false);
    let seen = stage.joins(JULIET, "juliet", "<status>Ay me!</status>");
    assert!(to(&seen, JULIET).len() > 3, "{seen:?}");
    stage.path("capulet.lit", true);
    stage.path("capulet.lit", false);
    let seen = stage.leaves(JULIET, "juliet");
    assert!(to(&seen, ROMEO)[0].contains("type='unavailable'"));
}

#[test]
fn psa_66_what_was_said_meanwhile_is_given_back_once_in_order_and_with_its_time() {
    let mut stage = Stage::orchard();
    stage.path("capulet.lit", true);
    for body in ["one", "two", "three"] {
        stage.speaks(ROMEO, body);
    }
    let seen = stage.path("capulet.lit", false);
    let back = seen.iter().position(|copy| copy.contains(BACK)).unwrap();
    let said: Vec<usize> = ["one", "two", "three"]
        .iter()
        .map(|body| {
            let body = format!("<body>{body}</body>");
            let places: Vec<usize> = (0..seen.len())
                .filter(|place| seen[*place].contains(&body))
                .collect();
            assert_eq!(places.len(), 1, "once: {seen:?}");
            assert!(seen[places[0]].contains("urn:xmpp:delay"));
            assert!(seen[places[0]].contains(&format!("to='{JULIET}'")));
            places[0]
        })
        .collect();
    assert!(back < said[0] && said.is_sorted(), "{seen:?}");
    stage.path("capulet.lit", true);
    assert!(
        !stage
            .path("capulet.lit", false)
            .iter()
            .any(|copy| copy.contains("<body>")),
        "once"
    );
}

#[test]
fn psa_66_who_came_and_went_and_the_new_subject_are_made_up_for() {
    let mut stage = Stage::orchard();
    stage.path("capulet.lit", true);
    stage.joins("nurse@montague.lit/hall", "nurse", "");
    stage.leaves(TYBALT, "tybalt");
    stage.says(
        ROMEO,
        "<message type='groupchat' to='orchard@chats.shakespeare.lit'><subject>Love</subject></message>",
    );
    let seen = to(&stage.path("capulet.lit", false), JULIET);
    let holds = |parts: &[&str]| {
        seen.iter()
            .filter(|copy| parts.iter().all(|part| copy.contains(part)))
            .count()
    };
    assert_eq!(
        holds(&["from='orchard@chats.shakespeare.lit/nurse'", "role='participant'"]),
        1,
        "{seen:?}"
    );
    assert_eq!(
        holds(&[
            "from='orchard@chats.shakespeare.lit/tybalt'",
            "type='unavailable'"
        ]),
        1,
        "{seen:?}"
    );
    assert_eq!(holds(&["<subject>Love</subject>"]), 1, "{seen:?}");
}

#[test]
fn psa_66_who_has_missed_more_than_the_history_holds_is_out_with_333_instead() {
    let mut stage = Stage::orchard();
    stage.settings.history_max = 1;
    stage.path("capulet.lit", true);
    for body in ["one", "two"] {
        stage.speaks(ROMEO, body);
    }
    let seen = stage.path("capulet.lit", false);
    assert!(
        !seen.iter().any(|copy| copy.contains("state-annotation")),
        "no M2: {seen:?}"
    );
    let own = to(&seen, JULIET);
    assert!(
        own.len() == 1 && own[0].contains("code='333'") && own[0].contains("code='110'"),
        "{own:?}"
    );
    assert!(to(&seen, TYBALT)[0].contains("code='333'"));
}

#[test]
fn psa_66_what_is_not_kept_in_any_room_is_no_loss() {
    let mut stage = Stage::orchard();
    stage.settings.history_max = 0;
    stage.path("capulet.lit", true);
    stage.says(
        ROMEO,
        "<message type='groupchat' to='orchard@chats.shakespeare.lit'>\
         <composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
    );
    let seen = stage.path("capulet.lit", false);
    assert!(to(&seen, ROMEO)[0].contains(BACK), "{seen:?}");
}

#[test]
fn psa_64_after_a_break_that_nobody_was_told_of_each_occupant_is_asked_whether_it_is_still_there() {
    let mut stage = Stage::orchard();
    let renewed = |stage: &mut Stage| {
        let seen = stage.tell(Input::Renewed(stanza::Address::parse("capulet.lit").unwrap()));
        seen.iter().map(super::stage::text).collect::<Vec<String>>()
    };
    let seen = renewed(&mut stage);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(
        seen[0].contains("type='probe'") && seen[0].contains(JULIET),
        "{seen:?}"
    );
    stage.path("capulet.lit", true);
    assert_eq!(renewed(&mut stage), [] as [String; 0], "it cannot answer");
}
