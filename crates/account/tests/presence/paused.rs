//! Sessions without a connection (XEP-0310 §4.2; clauses §4.5): benvolio pauses, romeo is at home on the same server,
//! juliet elsewhere.

use std::time::Duration;

use account::{Flags, Input, PauseCause};
use presence::{PsaSettings, Settings, Words};

use crate::home::{Home, WANTS};

const PAUSED: &str =
    "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'><connection-paused/></state-annotation>";
const BACK: &str = "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/>";
const STATUS: &str = "<status>He ran this way, and leap'd this orchard wall</status>";

fn settings() -> Settings {
    let psa = PsaSettings {
        words: Words::None,
        ..PsaSettings::default()
    };
    Settings {
        psa,
        ..Settings::default()
    }
}

/// Benvolio and romeo, both with one client that asks for annotations.
fn two() -> (Home, Home) {
    let mut benvolio = Home::of_benvolio(settings());
    let mut romeo = Home::new(settings(), Flags::default());
    for home in [&mut benvolio, &mut romeo] {
        home.knows_the_hash();
    }
    romeo.interested("lane");
    benvolio.connects("orchard");
    benvolio.says(
        "orchard",
        &format!("<presence xmlns='jabber:client'>{STATUS}</presence>"),
    );
    romeo.takes_from(&mut benvolio);
    (benvolio, romeo)
}

fn presence(from: &str, to: &str, inside: &str) -> String {
    format!("<presence from='benvolio@montague.lit/{from}' to='{to}'>{inside}</presence>")
}

fn lane(inside: &str) -> String {
    format!("lane< {}", presence("orchard", "romeo@montague.lit/lane", inside))
}

#[test]
fn psa_33_psa_12_psa_37_psa_39_c_24_contacts_are_told_of_the_pause_and_of_the_return() {
    let (mut benvolio, mut romeo) = two();
    benvolio.loses("orchard");
    assert_eq!(
        romeo.takes_from(&mut benvolio),
        [lane(&format!("{STATUS}{PAUSED}"))]
    );
    benvolio.resumes("orchard");
    assert_eq!(
        romeo.takes_from(&mut benvolio),
        [lane(&format!("{STATUS}{BACK}"))]
    );
}

#[test]
fn psa_36_c_20_an_accepted_pause_of_bosh_counts_too() {
    let (mut benvolio, mut romeo) = two();
    let session = benvolio.id("orchard");
    benvolio.tell(Input::Paused {
        session,
        cause: PauseCause::Asked,
    });
    assert_eq!(
        romeo.takes_from(&mut benvolio),
        [lane(&format!("{STATUS}{PAUSED}"))]
    );
    benvolio.tell(Input::Continued(session));
    assert_eq!(
        romeo.takes_from(&mut benvolio),
        [lane(&format!("{STATUS}{BACK}"))]
    );
}

#[test]
fn psa_36_psa_37_what_keeps_a_paused_session_is_told_apart() {
    let (mut benvolio, _) = two();
    let session = benvolio.id("orchard");
    assert_eq!(benvolio.sessions(), (1, 0, 0));
    benvolio.tell(Input::Paused {
        session,
        cause: PauseCause::Asked,
    });
    assert_eq!(benvolio.sessions(), (0, 0, 1));
    benvolio.tell(Input::Continued(session));
    assert_eq!(benvolio.sessions(), (1, 0, 0));
    // A client that had asked for a pause, and then lost its connection.
    benvolio.tell(Input::Paused {
        session,
        cause: PauseCause::Asked,
    });
    benvolio.loses("orchard");
    assert_eq!(benvolio.sessions(), (0, 1, 0));
    benvolio.resumes("orchard");
    assert_eq!(benvolio.sessions(), (1, 0, 0));
}

#[test]
fn psa_37_without_a_promise_to_resume_the_session_just_ends() {
    let (mut benvolio, mut romeo) = two();
    benvolio.ends("orchard");
    let seen = romeo.takes_from(&mut benvolio);
    assert_eq!(seen.len(), 1);
    assert!(
        seen[0].contains("type='unavailable'") && !seen[0].contains("annotation"),
        "{seen:?}"
    );
}

#[test]
fn psa_41_a_paused_session_for_which_too_much_waits_is_given_up_as_if_its_time_were_over() {
    let (mut benvolio, mut romeo) = two();
    let session = benvolio.id("orchard");
    benvolio.loses("orchard");
    romeo.takes_from(&mut benvolio);
    benvolio.tell(Input::Overflowed(session));
    assert_eq!(benvolio.sessions(), (0, 0, 0));
    let seen = romeo.takes_from(&mut benvolio);
    assert_eq!(
        seen,
        ["lane< <presence from='benvolio@montague.lit/orchard' to='romeo@montague.lit' type='unavailable'/>"]
    );
}

#[test]
fn psa_41_after_the_time_there_is_a_plain_goodbye_and_nothing_else() {
    let (mut benvolio, mut romeo) = two();
    benvolio.loses("orchard");
    romeo.takes_from(&mut benvolio);
    benvolio.passes(Duration::from_secs(300));
    let seen = romeo.takes_from(&mut benvolio);
    assert_eq!(
        seen,
        ["lane< <presence from='benvolio@montague.lit/orchard' to='romeo@montague.lit' type='unavailable'/>"]
    );
}

#[test]
fn psa_02_psa_08_who_does_not_ask_gets_nothing() {
    let (mut benvolio, mut romeo) = two();
    romeo.connects("phone");
    romeo.says("phone", "<presence xmlns='jabber:client'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='other'/></presence>");
    benvolio.loses("orchard");
    let seen = romeo.takes_from(&mut benvolio);
    assert!(seen.contains(&lane(&format!("{STATUS}{PAUSED}"))));
    let id = seen.iter().find(|line| line.starts_with("phone< <iq")).unwrap();
    let id = id.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let no = format!("<iq xmlns='jabber:client' type='error' id='{id}'><error type='cancel'/></iq>");
    assert!(romeo.says("phone", &no).is_empty());
    benvolio.resumes("orchard");
    assert_eq!(
        romeo.takes_from(&mut benvolio),
        [lane(&format!("{STATUS}{BACK}"))]
    );
}

#[test]
fn psa_05_who_turns_out_to_ask_while_a_contact_is_paused_is_told_then() {
    let (mut benvolio, mut romeo) = two();
    romeo.settings.presence.capabilities = std::sync::Arc::default();
    romeo.interested("phone");
    benvolio.loses("orchard");
    let seen = romeo.takes_from(&mut benvolio);
    let id = seen.iter().find(|line| line.starts_with("phone< <iq")).unwrap();
    let id = id.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let yes = format!("<iq xmlns='jabber:client' type='result' id='{id}'>{WANTS}</iq>");
    let told = romeo.says("phone", &yes);
    assert_eq!(
        told,
        [format!(
            "phone< {}",
            presence(
                "orchard",
                "romeo@montague.lit/phone",
                &format!("{STATUS}{PAUSED}")
            )
        )]
    );
}

#[test]
fn psa_33_the_users_own_other_clients_are_told_and_the_paused_one_is_not() {
    let (mut benvolio, _) = two();
    benvolio.interested("tower");
    let seen = benvolio.loses("orchard");
    let own: Vec<&String> = seen.iter().filter(|line| line.contains("< <presence")).collect();
    assert_eq!(own.len(), 1, "{seen:?}");
    assert!(
        own[0].starts_with(
            "tower< <presence from='benvolio@montague.lit/orchard' to='benvolio@montague.lit/tower'"
        ),
        "{own:?}"
    );
    assert!(own[0].contains(PAUSED));
    let seen = benvolio.resumes("orchard");
    assert!(
        seen.iter()
            .any(|line| line.starts_with("tower<") && line.contains(BACK)),
        "{seen:?}"
    );
}

#[test]
fn psa_34_who_was_said_goodbye_to_is_left_out() {
    let (mut benvolio, mut romeo) = two();
    benvolio.says(
        "orchard",
        "<presence xmlns='jabber:client' type='unavailable' to='romeo@montague.lit'/>",
    );
    benvolio.says(
        "orchard",
        "<presence xmlns='jabber:client' to='nurse@montague.lit'/>",
    );
    benvolio.says(
        "orchard",
        "<presence xmlns='jabber:client' type='unavailable' to='nurse@montague.lit'/>",
    );
    romeo.takes_from(&mut benvolio);
    let seen = benvolio.loses("orchard");
    assert!(
        !seen
            .iter()
            .any(|line| line.contains("romeo@") || line.contains("nurse@")),
        "{seen:?}"
    );
}

#[test]
fn psa_35_psa_43_each_gets_what_it_held() {
    let mut benvolio = Home::of_benvolio(settings());
    benvolio.connects("orchard");
    assert!(benvolio.loses("orchard").is_empty(), "nothing was announced");
    let mut benvolio = Home::of_benvolio(settings());
    benvolio.connects("orchard");
    benvolio.says(
        "orchard",
        "<presence xmlns='jabber:client' to='nurse@montague.lit/home'><status>for you</status></presence>",
    );
    let seen = benvolio.loses("orchard");
    assert_eq!(
        seen,
        [format!(
            "> {}",
            presence(
                "orchard",
                "nurse@montague.lit/home",
                &format!("<status>for you</status>{PAUSED}")
            )
        )]
    );
}

#[test]
fn psa_38_an_operator_may_wait_before_a_pause_is_told() {
    let (mut benvolio, mut romeo) = two();
    benvolio.settings.presence.psa.pause_delay = Duration::from_secs(10);
    benvolio.loses("orchard");
    benvolio.passes(Duration::from_secs(9));
    benvolio.resumes("orchard");
    benvolio.passes(Duration::from_secs(9));
    assert!(
        romeo.takes_from(&mut benvolio).is_empty(),
        "neither the pause nor the return"
    );
    benvolio.loses("orchard");
    benvolio.passes(Duration::from_secs(10));
    assert_eq!(
        romeo.takes_from(&mut benvolio),
        [lane(&format!("{STATUS}{PAUSED}"))]
    );
}

#[test]
fn psa_40_who_comes_meanwhile_gets_the_presence_with_the_news_or_as_it_is() {
    let (mut benvolio, mut romeo) = two();
    benvolio.loses("orchard");
    romeo.takes_from(&mut benvolio);
    romeo.interested("tower");
    romeo.connects("phone");
    romeo.says("phone", "<presence xmlns='jabber:client'/>");
    benvolio.sent.clear();
    benvolio.takes_from(&mut romeo);
    let seen = romeo.takes_from(&mut benvolio);
    assert!(
        seen.contains(&format!(
            "tower< {}",
            presence(
                "orchard",
                "romeo@montague.lit/tower",
                &format!("{STATUS}{PAUSED}")
            )
        )),
        "{seen:?}"
    );
    assert!(
        seen.contains(&format!(
            "phone< {}",
            presence("orchard", "romeo@montague.lit/phone", STATUS)
        )),
        "{seen:?}"
    );
    benvolio.resumes("orchard");
    let cleared: Vec<String> = romeo.takes_from(&mut benvolio);
    assert_eq!(
        cleared.iter().filter(|line| line.contains(BACK)).count(),
        2,
        "lane and tower: {cleared:?}"
    );
}

#[test]
fn psa_42_what_the_client_says_after_its_return_follows_it() {
    let (mut benvolio, mut romeo) = two();
    benvolio.loses("orchard");
    benvolio.resumes("orchard");
    benvolio.says(
        "orchard",
        "<presence xmlns='jabber:client'><show>away</show></presence>",
    );
    let seen = romeo.takes_from(&mut benvolio);
    let order: Vec<bool> = ["connection-paused", BACK, "<show>away"]
        .iter()
        .zip(&seen)
        .map(|(what, line)| line.contains(what))
        .collect();
    assert_eq!(order, [true, true, true], "{seen:?}");
}

/// Juliet's client, elsewhere, with a hash that is known or not.
fn juliet(benvolio: &mut Home, ver: &str) {
    benvolio.arrives(&format!(
        "<presence xmlns='jabber:client' from='juliet@capulet.lit/psa' to='benvolio@montague.lit'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/></presence>"
    ));
    benvolio.arrives(
        "<presence xmlns='jabber:client' from='juliet@capulet.lit/plain' to='benvolio@montague.lit'/>",
    );
}

#[test]
fn psa_07_psa_08_c_18_c_19_clients_elsewhere_that_ask_are_told_under_their_full_address() {
    let (mut benvolio, _) = two();
    benvolio.interested("probe");
    let ver = benvolio.seen.iter().find(|line| line.contains("ver='")).unwrap();
    let ver = ver
        .split("ver='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap()
        .to_owned();
    juliet(&mut benvolio, &ver);
    let elsewhere = |seen: Vec<String>| -> Vec<String> {
        seen.into_iter().filter(|line| line.contains("capulet")).collect()
    };
    let told = |annotation: &str| {
        [format!(
            "> {}",
            presence(
                "orchard",
                "juliet@capulet.lit/psa",
                &format!("{STATUS}{annotation}")
            )
        )]
    };
    assert_eq!(elsewhere(benvolio.loses("orchard")), told(PAUSED));
    assert_eq!(elsewhere(benvolio.resumes("orchard")), told(BACK));
    assert!(elsewhere(benvolio.resumes("orchard")).is_empty());
}

#[test]
fn psa_07_psa_05_of_a_client_elsewhere_that_nobody_knows_is_asked_and_the_answer_brings_the_news() {
    let (mut benvolio, _) = two();
    // What juliet answers is what `WANTS` says, so that her hash is that of `Home::interested`.
    let ver = {
        let mut other = Home::of_benvolio(settings());
        other.interested("x");
        let line = other.seen.iter().find(|line| line.contains("ver='")).unwrap();
        line.split("ver='")
            .nth(1)
            .unwrap()
            .split('\'')
            .next()
            .unwrap()
            .to_owned()
    };
    benvolio.settings.presence.capabilities = std::sync::Arc::default();
    juliet(&mut benvolio, &ver);
    let seen = benvolio.loses("orchard");
    let asked: Vec<&String> = seen.iter().filter(|line| line.contains("capulet")).collect();
    assert_eq!(asked.len(), 1, "{seen:?}");
    assert!(
        asked[0].starts_with("> <iq from='benvolio@montague.lit' to='juliet@capulet.lit/psa'"),
        "{asked:?}"
    );
    let id = asked[0].split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let told = benvolio.arrives(&format!(
        "<iq xmlns='jabber:client' type='result' id='{id}' from='juliet@capulet.lit/psa' to='benvolio@montague.lit'>{WANTS}</iq>"
    ));
    assert_eq!(
        told,
        [format!(
            "> {}",
            presence("orchard", "juliet@capulet.lit/psa", &format!("{STATUS}{PAUSED}"))
        )]
    );
    let back = benvolio.resumes("orchard");
    assert!(
        back.contains(&format!(
            "> {}",
            presence("orchard", "juliet@capulet.lit/psa", &format!("{STATUS}{BACK}"))
        )),
        "{back:?}"
    );
}

#[test]
fn psa_20_whom_the_user_blocks_is_not_told() {
    let (mut benvolio, mut romeo) = two();
    benvolio.says("orchard", "<iq xmlns='jabber:client' type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.lit'/></block></iq>");
    romeo.takes_from(&mut benvolio);
    benvolio.loses("orchard");
    assert!(romeo.takes_from(&mut benvolio).is_empty());
}

#[test]
fn c_22_who_is_blocked_and_comes_and_goes_after_leave_was_taken_is_not_heard_of() {
    let (mut benvolio, mut romeo) = two();
    romeo.says("lane", "<iq xmlns='jabber:client' type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='benvolio@montague.lit'/></block></iq>");
    benvolio.takes_from(&mut romeo);
    assert_eq!(
        romeo.takes_from(&mut benvolio),
        [
            "lane< <presence from='benvolio@montague.lit/orchard' to='romeo@montague.lit/lane' type='unavailable'/>"
        ]
    );
    benvolio.connects("phone");
    benvolio.says("phone", "<presence xmlns='jabber:client'/>");
    assert!(romeo.takes_from(&mut benvolio).is_empty());
    benvolio.ends("phone");
    assert!(romeo.takes_from(&mut benvolio).is_empty());
}

#[test]
fn poke_13_a_session_without_connection_and_presence_is_not_asked() {
    let (mut benvolio, _) = two();
    benvolio.connects("bare");
    benvolio.loses("bare");
    let seen = benvolio.arrives("<presence xmlns='jabber:client' type='probe' from='romeo@montague.lit/lane' to='benvolio@montague.lit' id='p'><poke xmlns='http://jabber.org/protocol/poke'/></presence>");
    let asked: Vec<&String> = seen.iter().filter(|line| line.contains("<iq")).collect();
    assert!(asked.len() == 1 && asked[0].starts_with("orchard<"), "{seen:?}");
}
