//! Pauses between servers while the way is in trouble: questions, answers and annotations get lost, and what is told in the
//! end is so nevertheless. Benvolio pauses, clients at capulet.lit see him; romeo sees a client there that pauses.

use std::time::Duration;

use account::{Flags, Path};
use presence::{PsaSettings, Settings, Words};

use crate::home::{Home, WANTS};

const STATUS: &str = "<status>Part, fools!</status>";
const LOST: Path = Path::Broken("timeout");
/// The hash of [`WANTS`].
const VER: &str = "34PFyQ9p0Fl3JpuuIUS4YbTDV3Y=";

fn annotation(by: &str, state: &str) -> String {
    match state {
        "" => format!("<state-annotation xmlns='urn:xmpp:psa' from='{by}'/>"),
        _ => format!("<state-annotation xmlns='urn:xmpp:psa' from='{by}'><{state}/></state-annotation>"),
    }
}

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

fn benvolio() -> Home {
    let mut benvolio = Home::of_benvolio(settings());
    benvolio.connects("orchard");
    benvolio.says(
        "orchard",
        &format!("<presence xmlns='jabber:client'>{STATUS}</presence>"),
    );
    benvolio
}

fn shows(home: &mut Home, from: &str, to: &str, ver: &str) -> Vec<String> {
    home.arrives(&format!(
        "<presence xmlns='jabber:client' from='{from}' to='{to}'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/></presence>"
    ))
}

const JULIET: &str = "juliet@capulet.lit/psa";
const BENVOLIO: &str = "benvolio@montague.lit";

/// The id of the only question in what was seen.
fn question(seen: &[String]) -> String {
    let questions: Vec<&String> = seen
        .iter()
        .filter(|line| line.starts_with("> <iq") && line.contains("type='get'"))
        .collect();
    assert_eq!(questions.len(), 1, "{seen:?}");
    let after = questions[0].split(" id='").nth(1).unwrap();
    after.split('\'').next().unwrap().to_owned()
}

fn answers(home: &mut Home, id: &str) -> Vec<String> {
    home.arrives(&format!(
        "<iq xmlns='jabber:client' type='result' id='{id}' from='{JULIET}' to='{BENVOLIO}'>{WANTS}</iq>"
    ))
}

fn told(to: &str, state: &str) -> String {
    format!(
        "> <presence from='{BENVOLIO}/orchard' to='{to}'>{STATUS}{}</presence>",
        annotation("montague.lit", state)
    )
}

#[test]
fn psa_03_psa_07_a_client_that_says_something_else_before_it_has_answered_is_asked_about_that() {
    let mut benvolio = benvolio();
    shows(&mut benvolio, JULIET, BENVOLIO, "b2xkIGFuZCBub2JvZHkga25vd3M=");
    let old = question(&benvolio.loses("orchard"));
    let new = question(&shows(&mut benvolio, JULIET, BENVOLIO, VER));
    assert!(
        answers(&mut benvolio, &old).is_empty(),
        "nobody asks that any more"
    );
    assert_eq!(answers(&mut benvolio, &new), [told(JULIET, "connection-paused")]);
}

#[test]
fn psa_07_psa_27_that_the_way_is_broken_is_no_answer_of_a_client() {
    let mut benvolio = benvolio();
    shows(&mut benvolio, JULIET, BENVOLIO, VER);
    let lost = question(&benvolio.loses("orchard"));
    benvolio.arrives(&format!(
        "<iq xmlns='jabber:client' type='error' id='{lost}' from='{JULIET}' to='{BENVOLIO}'>\
         <error type='wait'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    // What she shows when she is asked anew.
    let again = question(&shows(&mut benvolio, JULIET, BENVOLIO, VER));
    assert_eq!(
        answers(&mut benvolio, &again),
        [told(JULIET, "connection-paused")]
    );
}

#[test]
fn psa_07_a_question_that_was_on_its_way_when_the_way_broke_is_asked_again() {
    let mut benvolio = benvolio();
    shows(&mut benvolio, JULIET, BENVOLIO, VER);
    question(&benvolio.loses("orchard"));
    benvolio.path("capulet.lit", Path::Renewed);
    let again = question(&shows(&mut benvolio, JULIET, BENVOLIO, VER));
    assert_eq!(
        answers(&mut benvolio, &again),
        [told(JULIET, "connection-paused")]
    );
}

#[test]
fn psa_07_what_a_link_says_when_it_is_first_asked_makes_nobody_forget_a_question() {
    let mut benvolio = benvolio();
    shows(&mut benvolio, JULIET, BENVOLIO, VER);
    let open = question(&benvolio.loses("orchard"));
    benvolio.path("capulet.lit", Path::Clear);
    assert_eq!(answers(&mut benvolio, &open), [told(JULIET, "connection-paused")]);
}

#[test]
fn psa_40_who_was_shown_directed_presence_and_asks_for_it_is_answered_with_the_news() {
    let tybalt = "tybalt@capulet.lit/psa";
    let mut benvolio = benvolio();
    benvolio.knows_the_hash();
    shows(&mut benvolio, tybalt, BENVOLIO, VER);
    benvolio.says(
        "orchard",
        &format!("<presence xmlns='jabber:client' to='tybalt@capulet.lit'>{STATUS}</presence>"),
    );
    let probe =
        format!("<presence xmlns='jabber:client' type='probe' from='{tybalt}' to='{BENVOLIO}/orchard'/>");
    let plain = format!("> <presence from='{BENVOLIO}/orchard' to='{tybalt}'/>");
    assert_eq!(benvolio.arrives(&probe), [plain.as_str()]);
    assert!(
        benvolio
            .loses("orchard")
            .contains(&told(tybalt, "connection-paused"))
    );
    assert_eq!(benvolio.arrives(&probe), [told(tybalt, "connection-paused")]);
    benvolio.resumes("orchard");
    assert_eq!(benvolio.arrives(&probe), [plain.as_str()]);
}

/// Romeo, whom tybalt of capulet.lit has shown himself, and whose server has told of a pause.
fn romeo() -> Home {
    let mut romeo = Home::new(settings(), Flags::default());
    romeo.knows_the_hash();
    romeo.interested("lane");
    romeo.arrives(&tybalt("connection-paused"));
    romeo
}

fn tybalt(state: &str) -> String {
    format!(
        "<presence xmlns='jabber:client' from='tybalt@capulet.lit/t' to='romeo@montague.lit/lane'>{STATUS}{}</presence>",
        annotation("capulet.lit", state)
    )
}

fn lane(annotations: &str) -> String {
    format!(
        "lane< <presence from='tybalt@capulet.lit/t' to='romeo@montague.lit/lane'>{STATUS}{annotations}</presence>"
    )
}

#[test]
fn psa_39_psa_40_an_answer_without_news_takes_back_a_pause_whose_end_was_lost_with_the_way() {
    let mut romeo = romeo();
    let paused = annotation("capulet.lit", "connection-paused");
    let down = annotation("montague.lit", "server-unavailable");
    assert_eq!(
        romeo.path("capulet.lit", LOST),
        [lane(&format!("{paused}{down}"))]
    );
    let back = annotation("montague.lit", "");
    assert_eq!(
        romeo.path("capulet.lit", Path::Clear),
        [lane(&format!("{paused}{back}"))]
    );
    let probes = romeo.passes(Duration::from_secs(5));
    let probe =
        "> <presence from='romeo@montague.lit/lane' to='tybalt@capulet.lit/t' id='refresh' type='probe'/>";
    assert!(probes.iter().any(|line| line == probe), "{probes:?}");
    let answer = "<presence xmlns='jabber:client' from='tybalt@capulet.lit/t' to='romeo@montague.lit/lane'/>";
    assert_eq!(romeo.arrives(answer), [lane(&annotation("capulet.lit", ""))]);
}

#[test]
fn psa_29_psa_39_a_pause_that_is_told_once_more_is_no_news() {
    let mut romeo = romeo();
    assert!(romeo.arrives(&tybalt("connection-paused")).is_empty());
    assert_eq!(
        romeo.arrives(&tybalt("")),
        [lane(&annotation("capulet.lit", ""))],
        "the end is"
    );
}

#[test]
fn psa_30_an_answer_that_only_says_that_somebody_is_there_does_not_replace_what_has_come_meanwhile() {
    let mut romeo = romeo();
    romeo.path("capulet.lit", LOST);
    romeo.path("capulet.lit", Path::Clear);
    romeo.passes(Duration::from_secs(5));
    let news = "<presence xmlns='jabber:client' from='tybalt@capulet.lit/t' to='romeo@montague.lit/lane'><status>news</status></presence>";
    assert_eq!(romeo.arrives(news).len(), 1);
    let answer = "<presence xmlns='jabber:client' id='refresh' from='tybalt@capulet.lit/t' to='romeo@montague.lit/lane'/>";
    assert!(romeo.arrives(answer).is_empty());
    let told = romeo.path("capulet.lit", LOST);
    assert!(
        told.len() == 1 && told[0].contains("<status>news</status>"),
        "{told:?}"
    );
}

#[test]
fn psa_40_a_contacts_client_that_asks_by_itself_is_answered_with_the_news_too() {
    let mut benvolio = benvolio();
    benvolio.knows_the_hash();
    shows(&mut benvolio, JULIET, BENVOLIO, VER);
    let seen = benvolio.loses("orchard");
    assert!(seen.contains(&told(JULIET, "connection-paused")), "{seen:?}");
    // It has unblocked benvolio (XEP-0191 §3.4).
    let seen = benvolio.arrives(&format!(
        "<presence xmlns='jabber:client' type='probe' from='{JULIET}' to='{BENVOLIO}'/>"
    ));
    let plain = format!("> <presence from='{BENVOLIO}/orchard' to='{JULIET}'>{STATUS}</presence>");
    assert_eq!(seen, [plain, told(JULIET, "connection-paused")]);
}

#[test]
fn psa_18_psa_20_a_repeat_that_comes_after_the_goodbye_is_no_presence() {
    let mut romeo = Home::new(settings(), Flags::default());
    romeo.knows_the_hash();
    romeo.interested("lane");
    let repeat = tybalt("connection-paused").replace("tybalt@capulet.lit/t", "juliet@capulet.lit/a");
    romeo.says("lane", "<presence xmlns='jabber:client' type='unavailable'/>");
    assert!(romeo.arrives(&repeat).is_empty());
    // Who has shown itself to somebody hears of it.
    romeo.says(
        "lane",
        "<presence xmlns='jabber:client' to='juliet@capulet.lit/a'/>",
    );
    let seen = romeo.arrives(&repeat);
    assert!(seen.iter().any(|line| line.starts_with("lane<")), "{seen:?}");
}

#[test]
fn psa_49_the_domain_of_a_new_contact_is_watched_before_anything_comes_from_there() {
    let mut romeo = Home::new(settings(), Flags::default());
    romeo.interested("lane");
    romeo.says(
        "lane",
        "<presence xmlns='jabber:client' type='subscribe' to='paris@verona.lit'/>",
    );
    let watches = |home: &Home| home.seen.contains(&"watch verona.lit".to_owned());
    assert!(!watches(&romeo));
    let seen = romeo.arrives(
        "<presence xmlns='jabber:client' type='subscribed' from='paris@verona.lit' to='romeo@montague.lit'/>",
    );
    assert!(seen.contains(&"watch verona.lit".to_owned()), "{seen:?}");
}
