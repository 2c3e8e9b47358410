//! What is counted of all this, and what returns to nothing when it is over.

use std::time::Duration;

use account::{
    Flags, Input, IqPoke, Origin, Path, PauseCause, PresenceCount, PresenceLoad, Suppression, Tally, Wish,
};
use machine::Rate;
use presence::{Decloak, DecloakSettings, PokeMode, PokeSettings, Settings};

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
        asking: 1,
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
    let quiet = PresenceLoad {
        asking: 1,
        ..PresenceLoad::default()
    };
    assert_eq!(home.load(), quiet);
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
        decloak: DecloakSettings {
            rate: Some(rate),
            ..DecloakSettings::default()
        },
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
    for stranger in ["paris@verona.lit/x", "tybalt@verona.lit/x"] {
        home.says(
            "lane",
            &format!("<presence xmlns='jabber:client' to='{stranger}'><decloak xmlns='urn:xmpp:decloak:0'/></presence>"),
        );
    }
    assert_eq!(
        wishes(&home),
        [Tally::Decloak(Decloak::Unsaid, Wish::RateLimited)]
    );
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
    assert_eq!(wishes(&home), [Tally::Decloak(Decloak::Unsaid, Wish::Denied)]);
}

fn wishes(home: &Home) -> Vec<Tally> {
    let is_wish = |tally: &&Tally| matches!(tally, Tally::Decloak(..));
    home.tallies.iter().filter(is_wish).cloned().collect()
}

/// How many annotations were not sent for this reason.
fn suppressed(home: &Home, why: Suppression) -> usize {
    let amounts = home.tallies.iter().map(|tally| match tally {
        Tally::Suppressed(reason, amount) if *reason == why => *amount,
        _ => 0,
    });
    amounts.sum()
}

const WISH: &str = "<presence xmlns='jabber:client' from='paris@verona.lit/x' to='romeo@montague.lit'><decloak xmlns='urn:xmpp:decloak:0' reason='media'/></presence>";

#[test]
fn dcl_02_wishes_are_counted_by_what_becomes_of_them() {
    let mut home = home(Settings::default());
    home.arrives(WISH);
    assert_eq!(wishes(&home), []);
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='paris@verona.lit/x'/>",
    );
    assert_eq!(wishes(&home), [Tally::Decloak(Decloak::Media, Wish::Answered)]);
    assert_eq!(home.load().directed, 1);
    home.says(
        "lane",
        "<presence xmlns='jabber:client' type='unavailable' to='paris@verona.lit/x'/>",
    );
    assert_eq!(home.load().directed, 0, "taken back");
    home.tallies.clear();
    home.arrives(WISH);
    home.passes(Duration::from_secs(119));
    assert_eq!(wishes(&home), []);
    home.passes(Duration::from_secs(1));
    assert_eq!(wishes(&home), [Tally::Decloak(Decloak::Media, Wish::Ignored)]);
}

#[test]
fn psa_38_psa_41_psa_02_annotations_that_are_not_sent_are_counted_by_the_reason() {
    // No support: one client asks, the other says that it does not.
    let mut romeo = home(Settings::default());
    romeo.connects("phone");
    romeo.says("phone", "<presence xmlns='jabber:client'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='other'/></presence>");
    romeo.arrives(&paused("<connection-paused/>"));
    assert_eq!(suppressed(&romeo, Suppression::NoSupport), 1);
    // Plain `unavailable` ends what was told.
    let annotated = romeo.load().paused;
    assert_eq!(annotated, 1);
    romeo.arrives("<presence xmlns='jabber:client' type='unavailable' from='benvolio@montague.lit/street' to='romeo@montague.lit'/>");
    assert_eq!(suppressed(&romeo, Suppression::UnavailableSent), 1);

    // Back in time.
    let mut settings = Settings::default();
    settings.psa.pause_delay = Duration::from_secs(5);
    let mut benvolio = Home::of_benvolio(settings);
    benvolio.connects("street");
    benvolio.says("street", "<presence xmlns='jabber:client'/>");
    benvolio.loses("street");
    benvolio.passes(Duration::from_secs(4));
    benvolio.resumes("street");
    assert_eq!(suppressed(&benvolio, Suppression::RecoveredInGrace), 1);
}

#[test]
fn psa_22_what_a_storm_has_no_time_to_tell_is_deferred_and_then_coalesced() {
    let mut settings = Settings::default();
    settings.psa.annotations = Rate {
        events: 1,
        per: Duration::from_secs(1),
    };
    let mut home = home(settings);
    for resource in ["a", "b", "c"] {
        home.arrives(&THERE.replace("orchard", resource));
    }
    home.path("capulet.lit", Path::Broken("timeout"));
    assert_eq!((home.load().unavailable, home.load().deferred), (1, 2));
    let is_first =
        |tally: &&Tally| matches!(tally, Tally::LinkAnnotated(domain) if domain.as_str() == "capulet.lit");
    assert_eq!(home.tallies.iter().filter(is_first).count(), 1);
    home.path("capulet.lit", Path::Clear);
    assert_eq!(suppressed(&home, Suppression::Coalesced), 2);
    home.passes(Duration::from_secs(1));
    assert_eq!((home.load().unavailable, home.load().deferred), (0, 0));
}

#[test]
fn psa_22_whatever_comes_while_a_storm_is_told_the_pace_is_the_same() {
    let mut settings = Settings::default();
    settings.psa.annotations = Rate {
        events: 1,
        per: Duration::from_secs(1),
    };
    let mut home = home(settings);
    for resource in ["a", "b", "c"] {
        home.arrives(&THERE.replace("orchard", resource));
    }
    home.arrives(&THERE.replace("capulet.lit/orchard", "verona.lit/square"));
    assert_eq!(home.path("capulet.lit", Path::Broken("timeout")).len(), 1);
    assert!(home.path("verona.lit", Path::Broken("timeout")).is_empty());
    for _ in 0..3 {
        assert_eq!(home.passes(Duration::from_secs(1)).len(), 1);
    }
    assert!(
        home.passes(Duration::from_secs(1)).is_empty(),
        "each was told once"
    );
}

#[test]
fn psa_36_pauses_that_clients_ask_for_are_counted_apart() {
    let mut benvolio = Home::of_benvolio(Settings::default());
    benvolio.knows_the_hash();
    benvolio.connects("street");
    benvolio.says("street", "<presence xmlns='jabber:client'/>");
    benvolio.arrives("<presence xmlns='jabber:client' from='juliet@capulet.lit/b' to='benvolio@montague.lit'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/></presence>");
    assert_eq!(benvolio.load().asking_elsewhere, 1);
    benvolio.counts.clear();
    let session = benvolio.id("street");
    benvolio.tell(Input::Paused {
        session,
        cause: PauseCause::Asked,
    });
    benvolio.tell(Input::Continued(session));
    assert_eq!(
        benvolio.counts,
        [PresenceCount::AskedElsewhere, PresenceCount::BackElsewhere]
    );
    let told = Tally::PauseAnnotated(PauseCause::Asked, Duration::ZERO);
    assert!(benvolio.tallies.contains(&told));
}

#[test]
fn psa_36_clients_here_that_are_told_of_such_a_pause_are_counted_apart_too() {
    let mut benvolio = Home::of_benvolio(Settings::default());
    let mut romeo = Home::new(Settings::default(), Flags::default());
    for home in [&mut benvolio, &mut romeo] {
        home.knows_the_hash();
    }
    romeo.interested("lane");
    benvolio.connects("street");
    benvolio.says("street", "<presence xmlns='jabber:client'/>");
    for _ in 0..2 {
        romeo.takes_from(&mut benvolio);
        benvolio.takes_from(&mut romeo);
    }
    let session = benvolio.id("street");
    benvolio.tell(Input::Paused {
        session,
        cause: PauseCause::Asked,
    });
    romeo.takes_from(&mut benvolio);
    // Whoever comes while the pause lasts is told too (PSA-40), and so is another client of the paused one's user.
    romeo.interested("garden");
    benvolio.takes_from(&mut romeo);
    romeo.takes_from(&mut benvolio);
    benvolio.interested("desk");
    romeo.takes_from(&mut benvolio);
    let loads = (romeo.load(), benvolio.load());
    assert_eq!((loads.0.paused, loads.0.paused_by_request), (0, 2));
    assert_eq!((loads.1.paused, loads.1.paused_by_request), (0, 1));
    benvolio.tell(Input::Continued(session));
    romeo.takes_from(&mut benvolio);
    let (asked, back) = (PresenceCount::Asked, PresenceCount::Back);
    assert_eq!(romeo.counts, [asked, asked, back, back]);
    assert_eq!(benvolio.counts, [asked, back]);
    assert_eq!(
        (romeo.load().paused_by_request, benvolio.load().paused_by_request),
        (0, 0)
    );
}

#[test]
fn changes_of_presence_are_counted_where_they_come_from() {
    let mut home = home(Settings::default());
    home.tallies.clear();
    home.says(
        "lane",
        "<presence xmlns='jabber:client'><show>away</show></presence>",
    );
    home.arrives(THERE);
    home.arrives("<presence xmlns='jabber:client' from='r@chats.lit/x' to='romeo@montague.lit/lane'><x xmlns='http://jabber.org/protocol/muc#user'/></presence>");
    home.ends("lane");
    let updates: Vec<&Tally> = home
        .tallies
        .iter()
        .filter(|tally| matches!(tally, Tally::Update(_) | Tally::Broadcast(_)))
        .collect();
    assert_eq!(
        updates,
        [
            &Tally::Update(Origin::Local),
            &Tally::Broadcast(3),
            &Tally::Update(Origin::Remote),
            &Tally::Update(Origin::Room),
            &Tally::Update(Origin::Synthetic),
            &Tally::Broadcast(3),
        ]
    );
}

#[test]
fn poke_30_pokes_between_clients_are_counted_by_their_answers() {
    let mut home = home(Settings::default());
    let request = "<iq xmlns='jabber:client' type='get' id='p' from='juliet@capulet.lit/b' to='romeo@montague.lit/RESOURCE'><poke xmlns='http://jabber.org/protocol/poke'/></iq>";
    home.arrives(&request.replace("RESOURCE", "lane"));
    home.says("lane", "<iq xmlns='jabber:client' type='result' id='p' to='juliet@capulet.lit/b'><poke xmlns='http://jabber.org/protocol/poke' method='touch'/></iq>");
    for (error, code) in [("remote-server-timeout", 408), ("feature-not-implemented", 501)] {
        home.says("lane", &format!("<iq xmlns='jabber:client' type='error' id='p' to='juliet@capulet.lit/b'><poke xmlns='http://jabber.org/protocol/poke'/><error type='wait' code='{code}'><{error} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"));
    }
    home.arrives(&request.replace("RESOURCE", "nobody"));
    let pokes: Vec<&Tally> = home
        .tallies
        .iter()
        .filter(|tally| matches!(tally, Tally::PokeByIq(_)))
        .collect();
    assert_eq!(
        pokes,
        [
            &Tally::PokeByIq(IqPoke::Present),
            &Tally::PokeByIq(IqPoke::Timeout),
            &Tally::PokeByIq(IqPoke::Unsupported),
            &Tally::PokeByIq(IqPoke::NoResource),
        ]
    );
}

#[test]
fn poke_13_poke_17_how_many_are_asked_and_how_long_it_takes_is_observed() {
    let mut home = home(Settings::default());
    home.arrives(PROBE);
    assert!(home.tallies.contains(&Tally::PokeAsked(1)));
    assert_eq!(home.load().pokes, 1);
    home.passes(Duration::from_secs(120));
    let lasted = Tally::PokeAnswered(PresenceCount::PokeTimeout, Duration::from_secs(120));
    assert!(home.tallies.contains(&lasted), "{:?}", home.tallies);
    assert_eq!(home.load().pokes, 0);
}
