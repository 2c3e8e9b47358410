//! What is remembered of others, and for how long (`psa.cache_bytes`, watching); forged annotations.

use account::{Flags, Path, Suppression, Tally};
use presence::Settings;

use crate::home::Home;

const LOST: Path = Path::Broken("timeout");

fn home() -> Home {
    let mut home = Home::new(Settings::default(), Flags::default());
    home.knows_the_hash();
    home.interested("lane");
    home
}

fn presence(from: &str, to: &str, payload: &str) -> String {
    format!("<presence xmlns='jabber:client' from='{from}' to='{to}'>{payload}</presence>")
}

fn forgotten(home: &Home) -> usize {
    let amounts = home.tallies.iter().map(|tally| match tally {
        Tally::Suppressed(Suppression::Budget, amount) => *amount,
        _ => 0,
    });
    amounts.sum()
}

#[test]
fn psa_22_one_account_remembers_so_much_for_all_of_its_sessions_and_strangers_go_first() {
    let mut home = home();
    home.settings.presence.psa.cache_bytes = 3_600;
    home.arrives(&presence("juliet@capulet.lit/a", "romeo@montague.lit", ""));
    for n in 0..50 {
        let stranger = format!("s{n}@verona.lit/x");
        home.arrives(&presence(&stranger, "romeo@montague.lit/lane", ""));
    }
    let held = home.load().remote;
    assert!((5..25).contains(&held), "{held}");
    assert_eq!(forgotten(&home) + held, 51, "each that went is counted");
    assert_eq!(home.path("capulet.lit", LOST).len(), 1, "contacts stay");
    // Another session has no budget of its own.
    home.interested("phone");
    for n in 0..50 {
        let stranger = format!("t{n}@verona.lit/x");
        home.arrives(&presence(&stranger, "romeo@montague.lit/phone", ""));
    }
    assert!(home.load().remote <= 25, "{}", home.load().remote);
}

#[test]
fn psa_22_a_broadcast_that_several_sessions_got_is_remembered_once() {
    let mut home = home();
    home.interested("phone");
    home.interested("tablet");
    let status = format!("<status>{}</status>", "x".repeat(1_000));
    home.settings.presence.psa.cache_bytes = 2_000;
    home.arrives(&presence("juliet@capulet.lit/a", "romeo@montague.lit", &status));
    assert_eq!((home.load().remote, forgotten(&home)), (3, 0));
    assert_eq!(home.path("capulet.lit", LOST).len(), 3);
}

#[test]
fn psa_49_nobody_watches_a_domain_of_which_no_session_holds_anything() {
    let mut home = home();
    let there = presence("tybalt@verona.lit/a", "romeo@montague.lit", "");
    let watches = |seen: &[String], what: &str| seen.contains(&format!("{what} verona.lit"));
    assert!(watches(&home.arrives(&there), "watch"));
    // The stranger goes.
    let gone = there.replace(" to=", " type='unavailable' to=");
    assert!(watches(&home.arrives(&gone), "unwatch"));
    // The user goes, and the session stays.
    assert!(watches(&home.arrives(&there), "watch"));
    let seen = home.says("lane", "<presence xmlns='jabber:client' type='unavailable'/>");
    assert!(watches(&seen, "unwatch"), "{seen:?}");
    // The session ends.
    home.interested("lane");
    assert!(watches(&home.arrives(&there), "watch"));
    assert!(watches(&home.ends("lane"), "unwatch"));
}

#[test]
fn psa_49_a_domain_of_contacts_is_watched_as_long_as_somebody_waits_to_hear_of_them() {
    let mut home = home();
    let watches = |seen: &[String], what: &str| seen.contains(&format!("{what} capulet.lit"));
    assert!(watches(&home.seen, "watch"), "{:?}", home.seen);
    let there = presence("juliet@capulet.lit/a", "romeo@montague.lit", "");
    home.arrives(&there);
    assert!(!watches(
        &home.arrives(&there.replace(" to=", " type='unavailable' to=")),
        "unwatch"
    ));
    let seen = home.says("lane", "<presence xmlns='jabber:client' type='unavailable'/>");
    assert!(watches(&seen, "unwatch"), "{seen:?}");
}

#[test]
fn psa_49_one_of_two_sessions_is_reason_enough_to_watch() {
    let mut home = home();
    home.interested("phone");
    home.arrives(&presence("juliet@capulet.lit/a", "romeo@montague.lit", ""));
    let seen = home.ends("lane");
    assert!(!seen.contains(&"unwatch capulet.lit".to_owned()), "{seen:?}");
    let seen = home.ends("phone");
    assert!(seen.contains(&"unwatch capulet.lit".to_owned()), "{seen:?}");
}

const FORGED: &str =
    "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'><server-unavailable/></state-annotation>";

#[test]
fn psa_16_what_a_client_annotates_leaves_without_it_whatever_kind_of_presence_it_is() {
    for (attributes, expected) in [
        ("", 3),
        (" to='paris@verona.lit'", 1),
        (" to='orchard@chats.lit/romeo'", 1),
        (" type='unavailable' to='paris@verona.lit'", 1),
        (" type='subscribe' to='paris@verona.lit'", 1),
        (" type='probe' to='paris@verona.lit'", 1),
        (" type='unavailable'", 3),
    ] {
        let mut home = home();
        let seen = home.says(
            "lane",
            &format!("<presence xmlns='jabber:client'{attributes}>{FORGED}<status>x</status></presence>"),
        );
        let sent: Vec<&String> = seen
            .iter()
            .filter(|line| line.starts_with('>') && !line.contains("type='probe' from"))
            .collect();
        assert!(sent.len() >= expected, "{attributes}: {seen:?}");
        assert!(
            seen.iter().all(|line| !line.contains("urn:xmpp:psa")),
            "{attributes}: {seen:?}"
        );
    }
}

#[test]
fn psa_17_what_another_server_has_no_right_to_say_is_taken_out_whatever_kind_of_presence_it_is() {
    for kind in ["", " type='unavailable'", " type='subscribe'", " type='error'"] {
        let mut home = home();
        let from = if kind.contains("subscribe") {
            "paris@verona.lit"
        } else {
            "juliet@capulet.lit/a"
        };
        let forged = presence(from, "romeo@montague.lit", &format!("{FORGED}<status>x</status>"));
        let seen = home.arrives(&forged.replace(" to=", &format!("{kind} to=")));
        assert!(
            seen.iter().any(|line| line.starts_with("lane<")),
            "{kind}: {seen:?}"
        );
        assert!(
            seen.iter().all(|line| !line.contains("urn:xmpp:psa")),
            "{kind}: {seen:?}"
        );
    }
}

#[test]
fn psa_17_a_component_annotates_its_own_domain_and_no_other() {
    let mut home = home();
    let by = |domain: &str| {
        format!(
            "<state-annotation xmlns='urn:xmpp:psa' from='{domain}'><connection-paused/></state-annotation>"
        )
    };
    let both = format!("{}{}", by("capulet.lit"), by("bridge.montague.lit"));
    let seen = home.arrives(&presence(
        "bridge.montague.lit/x",
        "romeo@montague.lit/lane",
        &both,
    ));
    let told: Vec<&String> = seen.iter().filter(|line| line.starts_with("lane<")).collect();
    assert_eq!(told.len(), 1, "{seen:?}");
    assert!(
        told[0].contains(&by("bridge.montague.lit")) && !told[0].contains("capulet.lit"),
        "{told:?}"
    );
}

/// Two servers and this one have something to say, and none of them takes back what another said.
#[test]
fn psa_19_each_annotator_speaks_for_itself() {
    let mut home = home();
    home.settings.presence.psa.words = presence::Words::None;
    let theirs =
        "<state-annotation xmlns='urn:xmpp:psa' from='capulet.lit'><connection-paused/></state-annotation>";
    let clear = "<state-annotation xmlns='urn:xmpp:psa' from='capulet.lit'/>";
    let ours =
        "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'><server-unavailable/></state-annotation>";
    let over = "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/>";
    let juliet = |payload: &str| presence("juliet@capulet.lit/a", "romeo@montague.lit", payload);
    let told = |seen: Vec<String>| {
        seen.into_iter()
            .filter(|line| line.starts_with("lane<"))
            .collect::<Vec<_>>()
    };
    let line = |payload: &str| {
        let presence = presence("juliet@capulet.lit/a", "romeo@montague.lit/lane", payload);
        format!("lane< {}", presence.replace(" xmlns='jabber:client'", ""))
    };
    home.arrives(&juliet(""));
    assert_eq!(told(home.arrives(&juliet(theirs))), [line(theirs)]);
    assert_eq!(
        told(home.path("capulet.lit", LOST)),
        [line(&format!("{theirs}{ours}"))]
    );
    assert_eq!(
        told(home.path("capulet.lit", Path::Clear)),
        [line(&format!("{theirs}{over}"))]
    );
    assert_eq!(told(home.arrives(&juliet(clear))), [line(clear)]);
}

/// A thousand contacts of one domain, with the capabilities that clients send today, and the settings that operators get.
#[test]
fn psa_22_a_domain_with_a_thousand_contacts_fits_and_is_told_in_portions_that_no_mailbox_feels() {
    let mut home = home();
    let portion = home.settings.presence.psa.annotations;
    let caps = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.org/client' \
                ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/>";
    for n in 0..1_000 {
        let contact = format!("contact-number-{n}@verona.lit/a-resource");
        let payload = format!("<show>away</show><status>Wherefore art thou {n}?</status>{caps}");
        home.arrives(&presence(&contact, "romeo@montague.lit", &payload));
    }
    assert_eq!(
        (home.load().remote, forgotten(&home)),
        (1_000, 0),
        "there is room for all"
    );
    let mut told = 0;
    let mut seconds = 0;
    let mut annotations = home.path("verona.lit", LOST);
    while told < 1_000 && seconds < 10 {
        let bytes: usize = annotations.iter().map(String::len).sum();
        assert!(annotations.len() <= portion.events as usize && bytes < home.settings.mailbox.bytes / 4);
        told += annotations.len();
        annotations = home.passes(portion.per);
        seconds += portion.per.as_secs();
    }
    assert_eq!(told, 1_000, "within ten seconds");
}
