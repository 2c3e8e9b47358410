//! The link to an occupant's server is lost.

use std::time::Duration;

use presence::State;

use super::stage::{ASKS, BACK, BENVOLIO, INFO, JULIET, LOST, ROMEO, Stage, TYBALT, to};
use crate::{DegradedEnd, Removal, Tally, Whereabouts};

#[test]
fn psa_51_psa_52_psa_10_those_who_ask_learn_that_an_occupant_is_out_of_reach() {
    let mut stage = Stage::orchard();
    assert!(stage.watched.contains(&"capulet.lit".to_owned()));
    let seen = stage.path("capulet.lit", true);
    assert_eq!(seen.len(), 2, "romeo and benvolio ask, tybalt does not: {seen:?}");
    let romeo = &to(&seen, ROMEO)[0];
    for part in [
        "<presence from='orchard@chats.shakespeare.lit/juliet'",
        "<status>Ay me!</status>",
        "<x xmlns='http://jabber.org/protocol/muc#user'>",
        "<occupant-id ",
        "jid='juliet@capulet.lit/balcony'",
        LOST,
    ] {
        assert!(romeo.contains(part), "{part} in {romeo}");
    }
    let benvolio = &to(&seen, BENVOLIO)[0];
    assert!(
        benvolio.contains(LOST) && !benvolio.contains("capulet"),
        "{benvolio}"
    );
    assert_eq!((stage.view().unreachable, stage.view().paused), (1, 0));
    assert_eq!(
        stage.counts,
        [Tally::Annotated(Some(State::ServerUnavailable), Whereabouts::Elsewhere); 2]
    );
    assert_eq!(stage.path("capulet.lit", true), [] as [String; 0], "once");
}

#[test]
fn psa_53_psa_14_on_return_the_annotation_is_taken_back_where_it_was_told() {
    let mut stage = Stage::orchard();
    stage.path("capulet.lit", true);
    let seen = stage.path("capulet.lit", false);
    for who in [ROMEO, BENVOLIO] {
        let copies = to(&seen, who);
        assert!(copies.len() == 1 && copies[0].contains(BACK), "{copies:?}");
    }
    assert!(to(&seen, TYBALT).is_empty());
    assert!(stage.counts.contains(&Tally::Degraded(DegradedEnd::Returned)));
    assert_eq!(stage.view().unreachable, 0);
    assert_eq!(stage.passes(1_000), [] as [String; 0], "nobody is removed later");
}

#[test]
fn psa_54_who_is_removed_meanwhile_is_removed_and_nothing_more() {
    let mut stage = Stage::orchard();
    stage.path("capulet.lit", true);
    let kick = "<iq id='k' type='set' to='orchard@chats.shakespeare.lit'>\
        <query xmlns='http://jabber.org/protocol/muc#admin'><item nick='juliet' role='none'/></query></iq>";
    let seen = stage.says(ROMEO, kick);
    let gone = to(&seen, BENVOLIO);
    assert!(gone.len() == 1 && gone[0].contains("code='307'"), "{gone:?}");
    assert!(!gone[0].contains("state-annotation"), "{gone:?}");
    assert!(stage.counts.contains(&Tally::Degraded(DegradedEnd::Left)));
    assert!(stage.counts.contains(&Tally::Removed(Removal::Kick)));
    assert!(!stage.watched.contains(&"capulet.lit".to_owned()));
    assert_eq!(stage.path("capulet.lit", false), [] as [String; 0]);
}

#[test]
fn psa_55_after_the_grace_the_ghost_is_out_with_status_333() {
    let mut stage = Stage::orchard();
    stage.settings.ghost_grace = Duration::from_secs(2);
    let seen = stage.path("capulet.lit", true);
    assert!(to(&seen, ROMEO)[0].contains(LOST));
    assert_eq!(stage.passes(1), [] as [String; 0]);
    let seen = stage.passes(2);
    for who in [ROMEO, BENVOLIO, TYBALT] {
        let gone = to(&seen, who);
        assert_eq!(gone.len(), 1, "asking or not: {gone:?}");
        assert!(
            gone[0].contains("type='unavailable'") && gone[0].contains("code='333'"),
            "{gone:?}"
        );
    }
    let own = to(&seen, JULIET);
    assert!(
        own[0].contains("code='110'") && own[0].contains("code='333'"),
        "{own:?}"
    );
    assert!(stage.counts.contains(&Tally::Degraded(DegradedEnd::Expired)));
    assert!(stage.counts.contains(&Tally::Removed(Removal::Error)));
}

#[test]
fn psa_55_without_grace_nobody_is_kept() {
    let mut stage = Stage::orchard();
    stage.settings.ghost_grace = Duration::ZERO;
    let seen = stage.path("capulet.lit", true);
    assert!(seen.iter().all(|copy| copy.contains("code='333'")), "{seen:?}");
    assert_eq!(to(&seen, TYBALT).len(), 1);
}

#[test]
fn psa_55_a_return_within_the_grace_begins_it_anew() {
    let mut stage = Stage::orchard();
    stage.path("capulet.lit", true);
    stage.passes(299);
    stage.path("capulet.lit", false);
    stage.path("capulet.lit", true);
    assert_eq!(stage.passes(299), [] as [String; 0]);
    assert!(!stage.passes(2).is_empty());
}

#[test]
fn psa_59_an_unknown_hash_is_asked_for_once_by_the_room_and_the_answer_brings_what_was_missed() {
    let mut stage = Stage::new();
    stage.joins(ROMEO, "romeo", ASKS);
    stage.configures("");
    stage.joins(BENVOLIO, "benvolio", ASKS);
    stage.joins(JULIET, "juliet", "");
    let seen = stage.path("capulet.lit", true);
    assert_eq!(seen.len(), 1, "one question for one hash: {seen:?}");
    assert!(
        seen[0].contains("from='orchard@chats.shakespeare.lit'") && seen[0].contains("disco#info"),
        "{seen:?}"
    );
    let asked = if seen[0].contains(ROMEO) { ROMEO } else { BENVOLIO };
    let id = seen[0].split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let answer =
        |info: &str| format!("<iq type='result' id='{id}' to='orchard@chats.shakespeare.lit'>{info}</iq>");
    assert_eq!(
        stage.says(TYBALT, &answer(INFO)),
        [] as [String; 0],
        "nobody asked him"
    );
    let seen = stage.says(asked, &answer(INFO));
    for who in [ROMEO, BENVOLIO] {
        let copies = to(&seen, who);
        assert!(copies.len() == 1 && copies[0].contains(LOST), "{copies:?}");
    }
}

#[test]
fn psa_59_when_who_was_asked_gets_out_of_reach_another_is_asked() {
    let mut stage = Stage::new();
    stage.joins(ROMEO, "romeo", ASKS);
    stage.configures("");
    stage.joins(JULIET, "juliet", ASKS);
    stage.joins("nurse@verona.lit/hall", "nurse", "");
    let (asked, other) = {
        let seen = stage.path("verona.lit", true);
        assert!(seen.len() == 1 && seen[0].contains("disco#info"), "{seen:?}");
        match seen[0].contains(JULIET) {
            true => (JULIET, ROMEO),
            false => (ROMEO, JULIET),
        }
    };
    let (_, domain) = asked.split_once('@').unwrap();
    let (domain, _) = domain.split_once('/').unwrap();
    let seen = stage.path(domain, true);
    assert!(
        seen.len() == 1 && seen[0].contains(other) && seen[0].contains("disco#info"),
        "{asked} cannot answer any more: {seen:?}"
    );
}

#[test]
fn psa_59_who_did_not_answer_asks_for_annotations_when_its_hash_is_learnt_elsewhere() {
    let mut stage = Stage::new();
    stage.joins(ROMEO, "romeo", ASKS);
    stage.configures("");
    stage.joins(JULIET, "juliet", "");
    let seen = stage.path("capulet.lit", true);
    let id = seen[0].split("id='").nth(1).unwrap().split('\'').next().unwrap();
    // As its server says it when there is no connection for now.
    let error =
        "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    stage.says(
        ROMEO,
        &format!("<iq type='error' id='{id}' to='orchard@chats.shakespeare.lit'>{error}</iq>"),
    );
    stage.path("capulet.lit", false);
    stage.knows_the_hash();
    let seen = stage.path("capulet.lit", true);
    assert!(
        to(&seen, ROMEO).iter().any(|copy| copy.contains(LOST)),
        "{seen:?}"
    );
}

#[test]
fn psa_03_psa_59_a_lie_about_a_hash_counts_for_nothing_and_the_next_one_is_asked() {
    let mut stage = Stage::new();
    stage.joins(ROMEO, "romeo", ASKS);
    stage.configures("");
    stage.joins(BENVOLIO, "benvolio", ASKS);
    stage.joins(JULIET, "juliet", "");
    let seen = stage.path("capulet.lit", true);
    let (liar, other) = if seen[0].contains(ROMEO) {
        (ROMEO, BENVOLIO)
    } else {
        (BENVOLIO, ROMEO)
    };
    let id = seen[0].split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let lie = "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='lie'/><feature var='urn:xmpp:psa'/></query>";
    let seen = stage.says(
        liar,
        &format!("<iq type='result' id='{id}' to='orchard@chats.shakespeare.lit'>{lie}</iq>"),
    );
    assert!(
        seen.len() == 1 && seen[0].contains(other) && seen[0].contains("disco#info"),
        "{seen:?}"
    );
}

#[test]
fn psa_60_nobody_is_told_of_whose_presence_is_not_told() {
    let mut stage = Stage::orchard();
    stage.configures("<field var='muc#roomconfig_presencebroadcast'><value>moderator</value></field>");
    assert_eq!(stage.path("capulet.lit", true), [] as [String; 0]);
    let seen = stage.path("capulet.lit", false);
    assert!(
        !seen.iter().any(|copy| copy.contains("state-annotation")),
        "{seen:?}"
    );
}

#[test]
fn psa_60_with_several_clients_only_when_all_are_out_of_reach_and_nothing_is_sent_there() {
    let mut stage = Stage::orchard();
    stage.joins("juliet@capulet.lit/tower", "juliet", "");
    stage.settings.ghost_grace = Duration::from_secs(100);
    assert!(
        stage
            .session("juliet@capulet.lit/tower", "juliet", "<connection-paused/>")
            .is_empty()
    );
    let seen = stage.session(JULIET, "juliet", "<connection-paused/>");
    assert_eq!(to(&seen, ROMEO).len(), 1, "now both are: {seen:?}");
    stage.path("capulet.lit", true);
    let seen = stage.speaks(ROMEO, "Juliet?");
    assert!(!seen.iter().any(|copy| copy.contains("capulet.lit")), "{seen:?}");
    assert_eq!(seen.len(), 3, "romeo, benvolio and tybalt hear it");
}

#[test]
fn psa_61_a_newcomer_who_asks_gets_the_annotated_presence_at_once() {
    let mut stage = Stage::orchard();
    stage.path("capulet.lit", true);
    let seen = stage.joins("nurse@montague.lit/hall", "nurse", ASKS);
    let burst = to(&seen, "nurse@montague.lit/hall");
    let juliet: Vec<&String> = burst.iter().filter(|copy| copy.contains("/juliet'")).collect();
    assert!(
        juliet.len() == 1 && juliet[0].contains(LOST) && juliet[0].contains("Ay me!"),
        "{burst:?}"
    );
    let others = burst
        .iter()
        .filter(|copy| copy.contains("state-annotation"))
        .count();
    assert_eq!(others, 1);
    let seen = stage.joins("peter@montague.lit/hall", "peter", "");
    assert!(
        !seen.iter().any(|copy| copy.contains("state-annotation")),
        "{seen:?}"
    );
    let probe = "<presence type='probe' to='orchard@chats.shakespeare.lit/juliet'/>";
    assert!(
        stage.says(ROMEO, probe)[0].contains(LOST),
        "who asks for it anew gets it too"
    );
}

#[test]
fn psa_05_who_comes_to_ask_for_annotations_gets_them_at_once() {
    let mut stage = Stage::orchard();
    stage.path("capulet.lit", true);
    let seen = stage.says(
        TYBALT,
        &format!("<presence to='orchard@chats.shakespeare.lit/tybalt'>{ASKS}</presence>"),
    );
    let copies: Vec<String> = to(&seen, TYBALT)
        .into_iter()
        .filter(|copy| copy.contains("/juliet'"))
        .collect();
    assert!(copies.len() == 1 && copies[0].contains(LOST), "{seen:?}");
}

#[test]
fn psa_51_a_new_role_of_one_out_of_reach_is_told_with_the_annotation() {
    let mut stage = Stage::orchard();
    stage.path("capulet.lit", true);
    let grant = "<iq id='k' type='set' to='orchard@chats.shakespeare.lit'>\
        <query xmlns='http://jabber.org/protocol/muc#admin'><item nick='juliet' role='visitor'/></query></iq>";
    let seen = stage.says(ROMEO, grant);
    assert!(to(&seen, BENVOLIO)[0].contains(LOST), "{seen:?}");
    let plain = &to(&seen, TYBALT)[0];
    assert!(
        plain.contains("role='visitor'") && !plain.contains("state-annotation"),
        "{plain}"
    );
}

#[test]
fn psa_63_a_ping_to_oneself_tells_whether_one_is_still_in_the_room() {
    let mut stage = Stage::orchard();
    stage.settings.ghost_grace = Duration::from_secs(2);
    let ping =
        "<iq id='p' type='get' to='orchard@chats.shakespeare.lit/juliet'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert!(stage.says(JULIET, ping)[0].contains("type='result'"));
    stage.path("capulet.lit", true);
    stage.passes(3);
    assert!(stage.says(JULIET, ping)[0].contains("<not-acceptable"));
    assert!(stage.speaks(JULIET, "Romeo?")[0].contains("<not-acceptable"));
    assert!(stage.counts.contains(&Tally::SelfPing(true)) && stage.counts.contains(&Tally::SelfPing(false)));
}

#[test]
fn psa_51_so_many_are_annotated_at_a_time_and_the_newest_state_wins() {
    let mut stage = Stage::orchard();
    stage.settings.presence.psa.annotations.events = 2;
    for number in 0..4 {
        stage.joins(&format!("a{number}@capulet.lit/r"), &format!("a{number}"), "");
    }
    let seen = stage.path("capulet.lit", true);
    assert_eq!(to(&seen, ROMEO).len(), 2);
    assert_eq!(to(&stage.passes(1), ROMEO).len(), 2);
    // Back before the last one was told of: the pace is the same for what is over.
    let seen = stage.path("capulet.lit", false);
    assert!(to(&seen, ROMEO).is_empty(), "{seen:?}");
    let mut cleared = Vec::new();
    for _ in 0..4 {
        let seen = stage.passes(1);
        cleared.push(to(&seen, ROMEO).iter().filter(|copy| copy.contains(BACK)).count());
    }
    assert_eq!(cleared, [2, 2, 0, 0], "those who were told of, and no others");
}

#[test]
fn psa_06_the_room_says_that_it_knows_annotations() {
    let mut stage = Stage::orchard();
    let ask = "<iq id='i' type='get' to='orchard@chats.shakespeare.lit'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
    assert!(stage.says(ROMEO, ask)[0].contains("<feature var='urn:xmpp:psa'/>"));
    stage.settings.presence.psa.enabled = false;
    assert!(!stage.says(ROMEO, ask)[0].contains("urn:xmpp:psa"));
    assert_eq!(stage.path("capulet.lit", true), [] as [String; 0]);
}
