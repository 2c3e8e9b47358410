//! What settings and flags change (clauses §7).

use std::time::Duration;

use account::Flags;
use machine::Rate;
use presence::{PokeBlocked, PokeMode, PokeSettings, RevealUnknown, Settings};

use crate::home::{Home, address};

const PROBE: &str = "<presence xmlns='jabber:client' type='probe' from='juliet@capulet.lit/balcony' to='romeo@montague.lit' id='p'><poke xmlns='http://jabber.org/protocol/poke'/></presence>";

fn error(code: u16, kind: &str, condition: &str) -> String {
    format!(
        "> <presence from='romeo@montague.lit' to='juliet@capulet.lit/balcony' id='p' type='error'><poke xmlns='http://jabber.org/protocol/poke'/>\
         <error code='{code}' type='{kind}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    )
}

fn home(poke: PokeSettings, flags: Flags) -> Home {
    let mut home = Home::new(
        Settings {
            poke,
            ..Settings::default()
        },
        flags,
    );
    home.connects("lane");
    home.says(
        "lane",
        "<presence xmlns='jabber:client'><status>here</status></presence>",
    );
    home
}

#[track_caller]
fn only(seen: &[String], beginning: &str) {
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].starts_with(beginning), "{seen:?}\n{beginning}");
}

#[test]
fn poke_08_a_server_that_refuses_says_so_and_nothing_else() {
    let poke = PokeSettings {
        mode: PokeMode::Refuse,
        ..PokeSettings::default()
    };
    only(
        &home(poke, Flags::default()).arrives(PROBE),
        &error(503, "cancel", "service-unavailable"),
    );
}

#[test]
fn poke_07_a_server_that_ignores_pokes_answers_the_probe() {
    let poke = PokeSettings {
        mode: PokeMode::Ignore,
        ..PokeSettings::default()
    };
    let seen = home(poke, Flags::default()).arrives(PROBE);
    assert_eq!(
        seen,
        [
            "> <presence from='romeo@montague.lit/lane' to='juliet@capulet.lit/balcony'><status>here</status></presence>"
        ]
    );
}

#[test]
fn poke_18_the_time_is_a_setting() {
    let poke = PokeSettings {
        timeout: Duration::from_secs(1),
        ..PokeSettings::default()
    };
    let mut home = home(poke, Flags::default());
    assert!(
        home.arrives(PROBE)[0]
            .starts_with("lane< <iq from='romeo@montague.lit' to='romeo@montague.lit/lane' id='")
    );
    assert!(home.passes(Duration::from_millis(999)).is_empty());
    only(
        &home.passes(Duration::from_millis(1)),
        &error(408, "wait", "remote-server-timeout"),
    );
}

#[test]
fn poke_23_poke_24_c_04_death_is_told_once_the_next_of_kin_know() {
    let dead = Flags {
        deceased: true,
        ..Flags::default()
    };
    only(
        &home(PokeSettings::default(), dead).arrives(PROBE),
        &error(408, "wait", "remote-server-timeout"),
    );
    let released = Flags {
        next_of_kin_notified: true,
        ..dead
    };
    let mut home = home(PokeSettings::default(), released);
    let seen = home.arrives(PROBE);
    only(&seen, &error(302, "cancel", "gone"));
    assert!(
        seen[0].contains("<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"),
        "{seen:?}"
    );
    // POKE-25: it is told to nobody else.
    let stranger = PROBE.replace("juliet@capulet.lit", "tybalt@capulet.lit");
    assert!(home.arrives(&stranger)[0].contains("code='403'"));
}

#[test]
fn poke_40_a_user_who_switched_it_off_is_never_asked() {
    let off = Flags {
        poke_disabled: true,
        ..Flags::default()
    };
    only(
        &home(PokeSettings::default(), off).arrives(PROBE),
        &error(408, "wait", "remote-server-timeout"),
    );
}

#[test]
fn poke_45_ten_pokes_ask_once_and_beyond_the_rate_nobody_answered() {
    let mut home = home(PokeSettings::default(), Flags::default());
    let seen: Vec<String> = (0..10).flat_map(|_| home.arrives(PROBE)).collect();
    let asked = seen.iter().filter(|line| line.starts_with("lane< <iq")).count();
    let refused = seen.iter().filter(|line| line.contains("code='408'")).count();
    assert_eq!((asked, refused), (1, 4), "{seen:?}");
}

#[test]
fn poke_29_c_09_a_servers_own_probe_is_answered_and_the_user_is_asked() {
    let mut home = home(PokeSettings::default(), Flags::default());
    let seen = home.arrives(&PROBE.replace("/balcony", ""));
    assert!(seen[0].starts_with("lane< <iq"), "{seen:?}");
    assert_eq!(
        seen[1],
        "> <presence from='romeo@montague.lit/lane' to='juliet@capulet.lit'><status>here</status></presence>"
    );
}

#[test]
fn poke_22_who_is_trusted_learns_that_an_account_does_not_exist() {
    for (reveal, by, told) in [
        (RevealUnknown::Never, "admin@montague.lit/x", "code='403'"),
        (RevealUnknown::Trusted, "admin@montague.lit/x", "code='404'"),
        (RevealUnknown::Trusted, "x@bridge.lit/x", "code='404'"),
        (RevealUnknown::Trusted, "juliet@capulet.lit/balcony", "code='403'"),
        (RevealUnknown::Always, "juliet@capulet.lit/balcony", "code='404'"),
    ] {
        let poke = PokeSettings {
            reveal_unknown: reveal,
            trusted: vec![address("admin@montague.lit"), address("bridge.lit")],
            ..PokeSettings::default()
        };
        let settings = Settings {
            poke,
            ..Settings::default()
        };
        let mut nobody = Home::of("romeo@montague.lit", settings, account::Saved::default());
        let seen = nobody.arrives(&PROBE.replace("juliet@capulet.lit/balcony", by));
        assert!(
            seen.len() == 1 && seen[0].contains(told),
            "{reveal:?} {by}: {seen:?}"
        );
    }
}

#[test]
fn poke_48_an_operator_may_rate_blocking_higher() {
    for (blocked, answers) in [(PokeBlocked::Forbidden, 1), (PokeBlocked::Silent, 0)] {
        let poke = PokeSettings {
            blocked,
            ..PokeSettings::default()
        };
        let mut home = home(poke, Flags::default());
        home.says("lane", "<iq xmlns='jabber:client' type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='juliet@capulet.lit'/></block></iq>");
        let seen = home.arrives(PROBE);
        assert_eq!(seen.len(), answers, "{seen:?}");
        assert!(seen.iter().all(|line| line.contains("code='403'")));
    }
}

const CALL: &str = "<message xmlns='jabber:client' type='headline' from='juliet@capulet.lit/balcony' to='romeo@montague.lit/lane'><attention xmlns='urn:xmpp:attention:0'/><body>Romeo!</body></message>";

#[test]
fn att_13_beyond_the_rate_the_words_arrive_without_the_call() {
    let settings = Settings {
        attention_rate: Some(Rate {
            events: 1,
            per: Duration::from_secs(60),
        }),
        ..Settings::default()
    };
    let mut home = Home::new(settings, Flags::default());
    home.connects("lane");
    assert!(home.arrives(CALL)[0].contains("<attention"));
    let second = home.arrives(CALL);
    assert!(
        second[0].ends_with("type='headline'><body>Romeo!</body></message>"),
        "{second:?}"
    );
    assert!(home.arrives(&CALL.replace("<body>Romeo!</body>", "")).is_empty());
}

#[test]
fn att_15_calls_of_strangers_are_taken_out_where_the_user_says_so() {
    let flags = Flags {
        attention_from_strangers_off: true,
        ..Flags::default()
    };
    let mut home = Home::new(Settings::default(), flags);
    home.connects("lane");
    assert!(home.arrives(CALL)[0].contains("<attention"), "a contact");
    let stranger = CALL.replace("juliet@", "tybalt@");
    assert!(!home.arrives(&stranger)[0].contains("<attention"));
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='tybalt@capulet.lit'/>",
    );
    assert!(
        home.arrives(&stranger)[0].contains("<attention"),
        "presence is shared for now"
    );
}

#[test]
fn dcl_28_too_many_wishes_to_strangers_come_back() {
    let mut home = Home::new(Settings::default(), Flags::default());
    home.settings.directed_max = 1_000;
    home.connects("lane");
    let wish = |n: usize| {
        format!(
            "<presence xmlns='jabber:client' to='s{n}@x.lit'><decloak xmlns='urn:xmpp:decloak:0'/></presence>"
        )
    };
    for n in 0..30 {
        assert!(home.says("lane", &wish(n))[0].starts_with("> "));
    }
    let seen = home.says("lane", &wish(30));
    assert!(
        seen.len() == 1 && seen[0].contains("type='wait'><policy-violation"),
        "{seen:?}"
    );
    let contact = home.says("lane", &wish(0).replace("s0@x.lit", "juliet@capulet.lit"));
    assert!(contact[0].starts_with("> "), "contacts are not counted");
}
