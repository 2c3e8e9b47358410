//! Wishes to see the servers themselves (XEP-0276 §5, §8): from here and from elsewhere.

use presence::{Answer, Claim};
use simulation::{Servers, Settings};
use stanza::{Address, Stanza};
use xml::{ContentNamespace, Element};

use crate::people::*;

const WISH: &str = "<decloak xmlns='urn:xmpp:decloak:0' reason='media'/>";

/// The host and the service of romeo's server.
const PLACES: [&str; 2] = ["montague.lit", "rooms.montague.lit"];

fn servers(services: bool) -> Servers {
    let mut montague = Settings {
        rooms: vec!["rooms.montague.lit"],
        ..host("montague.lit")
    };
    montague.presence.decloak.services = services;
    let capulet = Settings {
        rooms: Vec::new(),
        ..host("capulet.lit")
    };
    let mut servers = Servers::new(1, [montague, capulet]);
    servers
        .at(MONTAGUE)
        .create_account("romeo@montague.lit", "secret");
    servers.at(CAPULET).create_account("juliet@capulet.lit", "secret");
    servers
}

fn stanza(text: &str) -> Stanza {
    let limits = xml::Limits::unlimited();
    let element = Element::parse(text.as_bytes(), ContentNamespace::Client, &limits).unwrap();
    let address = |name| stanza::address_attribute(&element, name).unwrap();
    let (from, to): (Option<Address>, _) = (address("from"), address("to"));
    Stanza::new(element, from, to, None).unwrap()
}

#[test]
fn dcl_20_hosts_and_services_show_what_they_can_to_the_client_that_asks_and_prove_it() {
    let mut servers = servers(true);
    let (mut romeo, mut juliet) = both(&mut servers);
    for place in PLACES {
        for (person, address) in [
            (&mut romeo, "romeo@montague.lit/home"),
            (&mut juliet, "juliet@capulet.lit/home"),
        ] {
            person.says(&mut servers, &format!("<presence to='{place}'>{WISH}</presence>"));
            let heard = person.hears(&mut servers);
            let [shown] = heard.as_slice() else {
                panic!("{place} to {address}: {heard:?}")
            };
            let shown = stanza(shown);
            assert_eq!(shown.from().map(Address::as_str), Some(place));
            assert_eq!(shown.to().map(Address::as_str), Some(address));
            let names: Vec<_> = shown.children().map(|child| child.name().to_owned()).collect();
            assert_eq!(names, ["c"], "bare presence: no wish of its own, nothing else");
            // XEP-0115 §5.4, as this server checks others.
            let claim = Claim::of(&shown).unwrap();
            let question = String::from_utf8(claim.question()).unwrap();
            person.says(
                &mut servers,
                &format!("<iq type='get' id='q' to='{place}'>{question}</iq>"),
            );
            let heard = person.hears(&mut servers);
            let [answer] = heard.as_slice() else {
                panic!("{place} to {address}: {heard:?}")
            };
            let answer = stanza(answer).payload().unwrap().to_tree();
            assert!(
                matches!(claim.answered(&answer), Answer::Verified(..)),
                "{place} to {address}: {answer:?}"
            );
        }
    }
}

#[test]
fn dcl_20_what_is_no_wish_to_a_whole_domain_from_a_client_is_not_answered() {
    let mut servers = servers(true);
    let (mut romeo, mut juliet) = both(&mut servers);
    for person in [&mut romeo, &mut juliet] {
        for place in PLACES {
            for presence in [
                format!(
                    "<presence to='{place}' type='error'>{WISH}<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
                ),
                format!("<presence to='{place}' type='unavailable'>{WISH}</presence>"),
                format!("<presence to='{place}' type='probe'>{WISH}</presence>"),
            ] {
                person.says(&mut servers, &presence);
                assert_eq!(person.hears(&mut servers), [""; 0], "{presence}");
            }
        }
        // A host has no rooms to be entered.
        for child in [
            "",
            "<decloak xmlns='http://telepathy.freedesktop.org/xmpp/protocol/decloak'/>",
        ] {
            person.says(
                &mut servers,
                &format!("<presence to='montague.lit'>{child}</presence>"),
            );
            person.says(
                &mut servers,
                &format!("<presence to='montague.lit/there'>{child}{WISH}</presence>"),
            );
            person.hears_nothing(&mut servers);
        }
    }
}

#[test]
fn dcl_20_switched_off_nobody_hears_anything() {
    let mut servers = servers(false);
    let (mut romeo, mut juliet) = both(&mut servers);
    for place in PLACES {
        for person in [&mut romeo, &mut juliet] {
            person.says(&mut servers, &format!("<presence to='{place}'>{WISH}</presence>"));
            person.hears_nothing(&mut servers);
        }
    }
}
