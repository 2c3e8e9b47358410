//! What sessions know of others, and others of them, over a restart of the server (`docs/kept.md`, restart).

use account::{AdminRequest, Flags, Input, Path};
use presence::{PsaSettings, Settings, Words};

use crate::home::Home;

const LOST: Path = Path::Broken("timeout");
const JULIET: &str =
    "<presence xmlns='jabber:client' from='juliet@capulet.lit/orchard' to='romeo@montague.lit'/>";
const DOWN: &str =
    "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'><server-unavailable/></state-annotation>";
const PAUSED: &str =
    "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'><connection-paused/></state-annotation>";
const BACK: &str = "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/>";

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

fn romeo() -> Home {
    Home::new(settings(), Flags::default())
}

/// Romeo with a client that asks for annotations and can resume.
fn at_home() -> Home {
    let mut romeo = romeo();
    romeo.knows_the_hash();
    romeo.interested("lane");
    romeo
}

fn juliet(annotation: &str) -> String {
    format!(
        "lane< <presence from='juliet@capulet.lit/orchard' to='romeo@montague.lit/lane'>{annotation}</presence>"
    )
}

#[test]
fn psa_22_presence_from_elsewhere_is_still_held_after_a_restart_and_its_domain_watched() {
    let mut before = at_home();
    before.arrives(JULIET);
    before.loses("lane");
    let (mut after, seen) = before.restarts(romeo());
    assert_eq!(seen, ["watch capulet.lit"]);
    assert_eq!(after.load().remote, 1);
    // Nobody knows the hash any more; what the client wishes is known all the same.
    // PSA-45: whoever is away is told when he is back.
    assert_eq!(after.path("capulet.lit", LOST), [""; 0]);
    let seen = after.resumes("lane");
    assert!(seen.contains(&juliet(DOWN)), "{seen:?}");
    assert_eq!(after.path("capulet.lit", Path::Clear), [juliet(BACK)]);
    after.arrives(&JULIET.replace("/>", " type='unavailable'/>"));
    assert_eq!(after.load().remote, 0);
}

#[test]
fn psa_03_psa_44_a_client_that_says_only_to_a_room_what_it_can_do_is_known_by_it_after_a_restart() {
    let mut before = romeo();
    before.connects("lane");
    before.says("lane", "<presence xmlns='jabber:client'/>");
    before.says_hash_with("lane", " to='orchard@chats.verona.lit/romeo'");
    before.loses("lane");
    let (mut after, _) = before.restarts(romeo());
    after.knows_the_hash();
    after.resumes("lane");
    let seen = after.arrives(&format!(
        "<presence xmlns='jabber:client' from='benvolio@montague.lit/street' to='romeo@montague.lit/lane'>{PAUSED}</presence>"
    ));
    assert!(seen.iter().any(|line| line.contains(PAUSED)), "{seen:?}");
}

#[test]
fn psa_29_who_was_told_of_a_lost_link_before_a_restart_is_told_of_its_return_after_it() {
    let mut before = at_home();
    before.arrives(JULIET);
    assert_eq!(before.path("capulet.lit", LOST), [juliet(DOWN)]);
    before.loses("lane");
    let (mut after, seen) = before.restarts(romeo());
    assert_eq!(seen, ["watch capulet.lit"]);
    // The first word of the link.
    assert_eq!(after.path("capulet.lit", Path::Broken("refused")), [""; 0]);
    assert_eq!(after.path("capulet.lit", Path::Clear), [""; 0]);
    let seen = after.resumes("lane");
    assert!(seen.contains(&juliet(BACK)), "{seen:?}");
}

#[test]
fn psa_44_psa_39_a_pause_told_before_a_restart_ends_after_it_for_contacts_here_and_elsewhere() {
    let mut benvolio = Home::of_benvolio(settings());
    let mut romeo = at_home();
    benvolio.knows_the_hash();
    benvolio.connects("orchard");
    benvolio.says("orchard", "<presence xmlns='jabber:client'/>");
    romeo.takes_from(&mut benvolio);
    let caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/>";
    benvolio.arrives(&format!(
        "<presence xmlns='jabber:client' from='juliet@capulet.lit/balcony' to='benvolio@montague.lit'>{caps}</presence>"
    ));
    let told = benvolio.loses("orchard");
    let elsewhere = |annotation: &str| {
        format!(
            "> <presence from='benvolio@montague.lit/orchard' to='juliet@capulet.lit/balcony'>{annotation}</presence>"
        )
    };
    assert!(told.contains(&elsewhere(PAUSED)), "{told:?}");
    romeo.takes_from(&mut benvolio);
    romeo.loses("lane");

    let (mut romeo, _) = romeo.restarts(self::romeo());
    romeo.resumes("lane");
    let (mut benvolio, said) = benvolio.restarts(Home::of_benvolio(settings()));
    assert!(said.iter().all(|one| !one.starts_with('>')), "{said:?}");
    let told = benvolio.resumes("orchard");
    assert!(told.contains(&elsewhere(BACK)), "{told:?}");
    assert_eq!(
        romeo.takes_from(&mut benvolio),
        [format!(
            "lane< <presence from='benvolio@montague.lit/orchard' to='romeo@montague.lit/lane'>{BACK}</presence>"
        )]
    );
}

#[test]
fn psa_44_nobody_is_told_at_the_stop_and_after_the_start_new_copies_say_that_the_session_waits() {
    let mut benvolio = Home::of_benvolio(settings());
    let mut romeo = at_home();
    benvolio.connects("orchard");
    benvolio.promises("orchard");
    benvolio.says("orchard", "<presence xmlns='jabber:client'/>");
    romeo.takes_from(&mut benvolio);
    // The connection ends because the server stops.
    benvolio.tell(Input::Admin(AdminRequest::Suspend));
    let seen = benvolio.ends("orchard");
    assert!(seen.is_empty(), "{seen:?}");
    let (mut benvolio, seen) = benvolio.restarts(Home::of_benvolio(settings()));
    assert!(seen.is_empty(), "{seen:?}");
    // Somebody comes and wants to know.
    let mut romeo = self::romeo();
    romeo.knows_the_hash();
    romeo.interested("lane");
    benvolio.takes_from(&mut romeo);
    assert_eq!(
        romeo.takes_from(&mut benvolio),
        [format!(
            "lane< <presence from='benvolio@montague.lit/orchard' to='romeo@montague.lit/lane'>{PAUSED}</presence>"
        )]
    );
}

#[test]
fn psa_34_who_was_said_goodbye_to_stays_left_out_after_a_restart() {
    let mut before = Home::of_benvolio(settings());
    before.connects("orchard");
    before.says("orchard", "<presence xmlns='jabber:client'/>");
    before.says(
        "orchard",
        "<presence xmlns='jabber:client' to='romeo@montague.lit' type='unavailable'/>",
    );
    before.loses("orchard");
    let (mut after, _) = before.restarts(Home::of_benvolio(settings()));
    assert_eq!(after.resumes("orchard"), [""; 0]);
}

#[test]
fn whoever_was_barred_while_the_server_was_away_is_gone_for_all_who_saw_the_session() {
    let mut before = at_home();
    before.loses("lane");
    let barred = Flags {
        disabled: true,
        ..Flags::default()
    };
    let (after, seen) = before.restarts(Home::new(settings(), barred));
    for contact in ["benvolio@montague.lit", "juliet@capulet.lit", "nurse@capulet.lit"] {
        let gone = format!("> <presence from='romeo@montague.lit/lane' to='{contact}' type='unavailable'/>");
        assert!(seen.contains(&gone), "{seen:?}");
    }
    assert!(after.is_idle());
}

#[test]
fn a_kept_session_that_cannot_be_read_is_gone_for_all_who_saw_it() {
    let mut before = at_home();
    before.loses("lane");
    let mut sessions = before.kept_sessions();
    sessions[0].presence = Some(b"<presence".to_vec());
    assert!(!sessions[0].is_whole());
    let mut after = romeo();
    let seen = after.restores(sessions);
    for contact in ["benvolio@montague.lit", "juliet@capulet.lit", "nurse@capulet.lit"] {
        let gone = format!("> <presence from='romeo@montague.lit/lane' to='{contact}' type='unavailable'/>");
        assert!(seen.contains(&gone), "{seen:?}");
    }
    assert!(after.is_idle());
}
