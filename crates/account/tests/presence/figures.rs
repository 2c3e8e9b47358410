//! What is counted of all this, and what returns to nothing when it is over.

use std::time::Duration;

use account::{Flags, Path, PresenceCount, PresenceLoad};
use machine::Rate;
use presence::{DecloakSettings, PokeMode, PokeSettings, Settings};

use crate::home::Home;

fn home(settings: Settings) -> Home {
    let mut home = Home::new(settings, Flags::default());
    home.knows_the_hash();
    home.interested("lane");
    home.counts.clear();
    home
}

const THERE: &str =
    "<presence xmlns='jabber:client' from='juliet@capulet.lit/orchard' to='romeo@montague.lit'/>";

const PROBE: &str = "<presence xmlns='jabber:client' type='probe' from='juliet@capulet.lit/balcony' to='romeo@montague.lit' id='p'><poke xmlns='http://jabber.org/protocol/poke'/></presence>";

fn paused(annotation: &str) -> String {
    format!(
        "<presence xmlns='jabber:client' from='benvolio@montague.lit/street' to='romeo@montague.lit'><state-annotation xmlns='urn:xmpp:psa' from='montague.lit'>{annotation}</state-annotation></presence>"
    )
}

#[test]
fn psa_09_psa_14_annotations_of_a_lost_link_are_counted_and_the_active_ones_return_to_nothing() {
    let mut home = home(Settings::default());
    home.arrives(THERE);
    let quiet = PresenceLoad {
        remote: 1,
        ..PresenceLoad::default()
    };
    assert_eq!((home.load(), home.counts.as_slice()), (quiet, [].as_slice()));
    home.path("capulet.lit", Path::Broken("timeout"));
    assert_eq!(home.counts, [PresenceCount::Unavailable]);
    assert_eq!(
        home.load(),
        PresenceLoad {
            unavailable: 1,
            ..quiet
        }
    );
    home.path("capulet.lit", Path::Clear);
    assert_eq!(
        home.counts,
        [PresenceCount::Unavailable, PresenceCount::Available]
    );
    assert_eq!(home.load(), quiet);
}

#[test]
fn psa_33_psa_39_annotations_of_a_pause_are_counted_where_the_client_is_told() {
    let mut home = home(Settings::default());
    home.arrives(&paused("<connection-paused/>"));
    assert_eq!(home.counts, [PresenceCount::Paused]);
    assert_eq!((home.load().local, home.load().paused), (1, 1));
    home.arrives(&paused(""));
    assert_eq!(home.counts, [PresenceCount::Paused, PresenceCount::Resumed]);
    assert_eq!(home.load(), PresenceLoad::default());
}

#[test]
fn psa_07_psa_33_clients_elsewhere_that_are_told_of_a_pause_are_counted() {
    let mut home = home(Settings::default());
    let hash = home.seen.iter().find_map(|seen| seen.split("ver='").nth(1));
    let ver = hash.and_then(|rest| rest.split('\'').next()).unwrap().to_owned();
    home.arrives(&THERE.replace(
        "/>",
        &format!(
            "><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/></presence>"
        ),
    ));
    home.loses("lane");
    home.passes(Duration::from_secs(60));
    assert_eq!(home.counts, [PresenceCount::PausedElsewhere]);
    home.resumes("lane");
    assert_eq!(
        home.counts,
        [PresenceCount::PausedElsewhere, PresenceCount::ResumedElsewhere]
    );
}

#[test]
fn poke_outcomes_are_counted_one_for_each_request() {
    let mut home = home(Settings::default());
    home.arrives(&PROBE.replace("juliet@capulet.lit", "paris@verona.lit"));
    assert_eq!(home.counts, [PresenceCount::PokeForbidden]);
    home.counts.clear();
    home.arrives(&PROBE.replace("to='romeo@montague.lit'", "to='romeo@montague.lit/nowhere'"));
    assert_eq!(home.counts, [PresenceCount::PokeNoResource]);
    home.counts.clear();
    home.arrives(PROBE);
    assert!(home.counts.is_empty(), "{:?}", home.counts);
    home.passes(Duration::from_secs(600));
    assert_eq!(home.counts, [PresenceCount::PokeTimeout]);
    home.counts.clear();
    let asked = home.arrives(PROBE);
    let id = asked[0]
        .split("id='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap()
        .to_owned();
    home.says(
        "lane",
        &format!("<iq xmlns='jabber:client' type='result' to='romeo@montague.lit' id='{id}'/>"),
    );
    assert_eq!(home.counts, [PresenceCount::PokePresent]);
}

#[test]
fn poke_08_refused_and_too_frequent_pokes_are_counted_apart() {
    let rate = Rate {
        events: 1,
        per: Duration::from_secs(600),
    };
    let limited = PokeSettings {
        rate: Some(rate),
        ..PokeSettings::default()
    };
    let mut first = home(Settings {
        poke: limited,
        ..Settings::default()
    });
    first.arrives(PROBE);
    first.arrives(PROBE);
    assert_eq!(first.counts, [PresenceCount::PokeRateLimited]);
    let refusing = PokeSettings {
        mode: PokeMode::Refuse,
        ..PokeSettings::default()
    };
    let mut second = home(Settings {
        poke: refusing,
        ..Settings::default()
    });
    second.arrives(PROBE);
    assert_eq!(second.counts, [PresenceCount::PokeUnsupported]);
}

#[test]
fn att_13_dcl_28_calls_for_attention_and_wishes_beyond_the_rate_are_counted() {
    let rate = Rate {
        events: 1,
        per: Duration::from_secs(600),
    };
    let mut home = home(Settings {
        attention_rate: Some(rate),
        decloak: DecloakSettings { rate: Some(rate) },
        ..Settings::default()
    });
    let call = "<message xmlns='jabber:client' type='headline' from='juliet@capulet.lit/orchard' to='romeo@montague.lit'><attention xmlns='urn:xmpp:attention:0'/></message>";
    home.arrives(call);
    home.arrives(call);
    assert_eq!(
        home.counts,
        [
            PresenceCount::AttentionDelivered,
            PresenceCount::AttentionRateLimited
        ]
    );
    home.counts.clear();
    for stranger in ["paris@verona.lit/x", "tybalt@verona.lit/x"] {
        home.says(
            "lane",
            &format!("<presence xmlns='jabber:client' to='{stranger}'><decloak xmlns='urn:xmpp:decloak:0'/></presence>"),
        );
    }
    assert_eq!(home.counts, [PresenceCount::DecloakRateLimited]);
}

#[test]
fn what_blocks_and_flags_keep_away_is_counted() {
    let flags = Flags {
        attention_from_strangers_off: true,
        ..Flags::default()
    };
    let mut home = Home::new(Settings::default(), flags);
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client'/>");
    home.arrives("<message xmlns='jabber:client' from='paris@verona.lit/x' to='romeo@montague.lit'><attention xmlns='urn:xmpp:attention:0'/></message>");
    assert_eq!(home.counts, [PresenceCount::AttentionBlocked]);
    home.counts.clear();
    home.says(
        "lane",
        "<iq xmlns='jabber:client' type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='paris@verona.lit'/></block></iq>",
    );
    home.arrives("<presence xmlns='jabber:client' from='paris@verona.lit/x' to='romeo@montague.lit'><decloak xmlns='urn:xmpp:decloak:0'/></presence>");
    assert_eq!(home.counts, [PresenceCount::DecloakDenied]);
}
