//! The way between two servers is lost, comes back, is silent, or is not allowed.

use std::collections::BTreeSet;

use s2s::link::StateName;
use s2s::{Admission, Policies, Policy};
use simulation::{Passwords, Reach, Servers, Settings};
use stanza::Address;

use crate::people::*;

#[test]
fn clauses_4_6_when_the_other_server_is_down_requests_come_back_and_messages_wait() {
    let mut servers = two(1);
    let (mut romeo, mut juliet) = friends(&mut servers);
    servers.set_reach(CAPULET, Reach::Refused);
    servers.set_reach(MONTAGUE, Reach::Refused);
    servers.cut();
    servers.pass(SECOND);
    assert_eq!(state(&mut servers), StateName::Down);
    romeo.says(
        &mut servers,
        "<message to='juliet@capulet.lit' type='chat'><body>wait</body></message>",
    );
    romeo.says(
        &mut servers,
        "<iq type='get' id='p' to='capulet.lit'><ping xmlns='urn:xmpp:ping'/></iq>",
    );
    romeo.hears_one(&mut servers, &["type='error'", "remote-server-timeout", "id='p'"]);
    servers.set_reach(CAPULET, Reach::Open);
    servers.pass(65 * SECOND);
    assert_eq!(state(&mut servers), StateName::Up);
    let heard = juliet.hears(&mut servers);
    let bodies = heard.iter().filter(|one| one.contains("<body>wait</body>"));
    assert_eq!(bodies.count(), 1, "{heard:?}");
    // Nothing came back; her presence is asked for anew (PSA-30).
    let heard = romeo.hears(&mut servers);
    assert!(
        heard.iter().all(|one| one.starts_with("<presence from='juliet")),
        "{heard:?}"
    );
}

#[test]
fn clauses_4_6_what_waited_too_long_comes_back() {
    let mut servers = two(1);
    let (mut romeo, mut juliet) = both(&mut servers);
    servers.set_reach(CAPULET, Reach::Refused);
    romeo.says(
        &mut servers,
        "<message to='juliet@capulet.lit' type='chat' id='m'><body>wait</body></message>",
    );
    servers.pass(119 * SECOND);
    romeo.hears_nothing(&mut servers);
    servers.pass(2 * SECOND);
    romeo.hears_one(&mut servers, &["type='error'", "id='m'", "remote-server-timeout"]);
    servers.set_reach(CAPULET, Reach::Open);
    servers.pass(65 * SECOND);
    juliet.hears_nothing(&mut servers);
}

/// `docs/kept.md`: what waits in memory for another domain would be lost with this server.
#[test]
fn xep0198_4_what_a_person_wrote_to_another_domain_is_not_acknowledged_as_long_as_it_waits_here() {
    for (kind, to) in [("chat", "juliet"), ("groupchat", "orchard")] {
        let mut servers = two(1);
        let mut romeo = Person::bound(&mut servers, MONTAGUE, "romeo", "montague.lit");
        servers.set_reach(CAPULET, Reach::Refused);
        romeo.says(
            &mut servers,
            &format!(
                "<enable xmlns='urn:xmpp:sm:3'/>\
                 <message to='{to}@capulet.lit' type='{kind}' id='m'><body>wait</body></message>"
            ),
        );
        romeo.hears(&mut servers);
        let acknowledged = |romeo: &mut Person, servers: &mut Servers| {
            romeo.says(servers, "<r xmlns='urn:xmpp:sm:3'/>");
            romeo.hears(servers).join("")
        };
        let told = acknowledged(&mut romeo, &mut servers);
        assert!(told.contains("h='0'"), "{kind}: {told}");
        servers.pass(121 * SECOND);
        let told = acknowledged(&mut romeo, &mut servers);
        let (error, after) = told.split_once("</message>").unwrap();
        assert!(
            error.contains("type='error'") && error.contains("id='m'"),
            "{kind}: {told}"
        );
        assert!(
            after.contains("h='1'"),
            "{kind}: the error comes before it: {told}"
        );
    }
}

#[test]
fn clauses_4_6_a_silently_dead_link_is_known_within_45_seconds() {
    let mut servers = two(1);
    let (romeo, _juliet) = friends(&mut servers);
    servers.pass(5 * SECOND);
    servers.set_reach(CAPULET, Reach::BlackHole);
    romeo.says(
        &mut servers,
        "<message to='juliet@capulet.lit' type='chat'><body>hello?</body></message>",
    );
    servers.pass(46 * SECOND);
    assert_ne!(state(&mut servers), StateName::Up);
    servers.pass(10 * SECOND);
    assert_eq!(state(&mut servers), StateName::Down);
}

#[test]
fn xep0198_5_a_broken_line_is_resumed_and_nothing_is_lost_or_doubled() {
    for seed in 0..20 {
        let mut servers = two(seed);
        let (romeo, mut juliet) = friends(&mut servers);
        for n in 0..10 {
            romeo.says(
                &mut servers,
                &format!("<message to='juliet@capulet.lit' type='chat'><body>{n}</body></message>"),
            );
            // Said, and on its way when the line breaks.
            servers.at(MONTAGUE).say(
                romeo.connection,
                format!("<message to='juliet@capulet.lit' type='chat'><body>{n}+</body></message>")
                    .as_bytes(),
            );
            for _ in 0..seed {
                servers.step();
            }
            servers.cut();
            servers.settle();
        }
        servers.pass(5 * SECOND);
        let bodies: Vec<String> = juliet
            .hears(&mut servers)
            .iter()
            .filter_map(|one| Some(one.split_once("<body>")?.1.split_once("</body>")?.0.to_owned()))
            .collect();
        let expected: Vec<String> = (0..10).flat_map(|n| [n.to_string(), format!("{n}+")]).collect();
        assert_eq!(bodies, expected, "seed {seed}");
    }
}

#[test]
fn a_server_that_is_killed_comes_back_and_is_found() {
    let mut servers = two(1);
    let (romeo, _) = friends(&mut servers);
    servers.set_reach(CAPULET, Reach::Refused);
    servers.crash(CAPULET);
    servers.pass(SECOND);
    assert_eq!(state(&mut servers), StateName::Down);
    romeo.says(
        &mut servers,
        "<message to='juliet@capulet.lit' type='chat'><body>still there</body></message>",
    );
    servers.pass(20 * SECOND);
    servers.set_reach(CAPULET, Reach::Open);
    servers.pass(65 * SECOND);
    let mut juliet = Person::bound(&mut servers, CAPULET, "juliet", "capulet.lit");
    juliet.says(&mut servers, "<presence/>");
    let heard = juliet.hears(&mut servers);
    assert!(
        heard.iter().any(|one| one.contains("<body>still there</body>")),
        "{heard:?}"
    );
}

#[test]
fn clauses_4_6_it_is_tried_as_long_as_somebody_watches_and_no_longer() {
    let mut servers = two(1);
    let (romeo, _) = friends(&mut servers);
    servers.set_reach(CAPULET, Reach::Refused);
    servers.crash(CAPULET);
    let mut due = BTreeSet::new();
    for _ in 0..30 {
        servers.pass(60 * SECOND);
        let now = servers.now();
        let links = servers.at(MONTAGUE).router().links();
        assert_eq!((links[0].state, links[0].watchers), (StateName::Down, 1));
        // PSA-49: a return is seen within 65 seconds.
        let next = links[0].retry_at.unwrap();
        assert!(
            links[0].connecting || next > now && next.since(now) <= 60 * SECOND,
            "{links:?}"
        );
        due.insert(next);
    }
    assert_eq!(due.len(), 30, "each minute it was tried anew");
    romeo.says(&mut servers, "</stream:stream>");
    let links = servers.at(MONTAGUE).router().links();
    assert_eq!(links[0].watchers, 0);
    servers.pass(180 * SECOND);
    let links = servers.at(MONTAGUE).router().links();
    assert!(
        links.is_empty(),
        "nobody asks for it, and it is forgotten: {links:?}"
    );
}

#[test]
fn psa_22_psa_29_psa_46_whoever_asks_for_it_learns_that_the_other_server_is_away_and_back() {
    let mut servers = two(1);
    let mut romeo = Person::bound(&mut servers, MONTAGUE, "romeo", "montague.lit");
    let juliet = Person::bound(&mut servers, CAPULET, "juliet", "capulet.lit");
    juliet.says(&mut servers, "<presence/>");
    romeo.says(&mut servers, "<presence/>");
    romeo.says(
        &mut servers,
        "<presence to='juliet@capulet.lit' type='subscribe'/>",
    );
    juliet.says(
        &mut servers,
        "<presence to='romeo@montague.lit' type='subscribed'/>",
    );
    juliet.says(&mut servers, "<presence><status>awake</status></presence>");
    let mut before = romeo.hears_all(&mut servers);
    servers.set_reach(CAPULET, Reach::Refused);
    servers.set_reach(MONTAGUE, Reach::Refused);
    servers.cut();
    servers.pass(5 * SECOND);
    // PSA-04, PSA-05: his client, which did not say by itself what it can, is asked, and wants annotations.
    before.extend(romeo.hears_all(&mut servers));
    let id = before.iter().find_map(|one| asked(one)).unwrap();
    romeo.says(
        &mut servers,
        &format!(
            "<iq type='result' id='{id}' to='romeo@montague.lit'>\
             <query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc'/>\
             <feature var='urn:xmpp:psa'/></query></iq>"
        ),
    );
    servers.pass(6 * SECOND);
    romeo.hears_one(
        &mut servers,
        &[
            "from='juliet@capulet.lit/home'",
            "<status>awake</status>",
            "<server-unavailable",
        ],
    );
    servers.set_reach(CAPULET, Reach::Open);
    servers.set_reach(MONTAGUE, Reach::Open);
    servers.pass(65 * SECOND);
    let heard = romeo.hears(&mut servers);
    assert!(
        heard[0].contains("<status>awake</status>")
            && heard[0].contains("state-annotation")
            && !heard[0].contains("server-unavailable"),
        "{heard:?}"
    );
}

#[test]
fn xep0220_2_1_servers_without_trusted_certificates_ask_back_over_a_line_of_their_own() {
    for seed in 0..20 {
        let mut servers = two(seed);
        servers.distrust_certificates();
        let (romeo, mut juliet) = both(&mut servers);
        romeo.says(
            &mut servers,
            "<message to='juliet@capulet.lit' type='chat'><body>who asks?</body></message>",
        );
        servers.pass(SECOND);
        juliet.hears_one(
            &mut servers,
            &["from='romeo@montague.lit/home'", "<body>who asks?</body>"],
        );
        // What was only for asking back is closed.
        servers.pass(10 * SECOND);
        assert_eq!(
            (servers.lines(), state(&mut servers)),
            (1, StateName::Up),
            "seed {seed}"
        );
    }
}

#[test]
fn clauses_4_6_a_domain_that_an_operator_blocks_is_down_at_once_and_until_it_is_allowed() {
    let mut servers = two(1);
    let (mut romeo, mut juliet) = both(&mut servers);
    let message = "<message to='juliet@capulet.lit' type='chat'><body>psst</body></message>";
    romeo.says(&mut servers, message);
    juliet.hears_one(&mut servers, &["psst"]);
    let allowed = servers.at(MONTAGUE).router().settings().as_ref().clone();
    let mut blocking = allowed.clone();
    let mut policies = Policies::default();
    let blocked = Policy {
        admission: Admission::Blocked,
        ..Policy::default()
    };
    policies
        .by_domain
        .insert(Address::domain("capulet.lit").unwrap(), blocked);
    blocking.federation = blocking.federation.with_policies(policies);
    servers.at(MONTAGUE).router().replace_settings(blocking);
    servers.settle();
    assert_eq!(state(&mut servers), StateName::Down);
    romeo.says(&mut servers, message);
    romeo.hears_one(&mut servers, &["type='error'", "not-allowed"]);
    juliet.says(
        &mut servers,
        "<message to='romeo@montague.lit' type='chat' id='m'><body>psst</body></message>",
    );
    servers.pass(125 * SECOND);
    romeo.hears_nothing(&mut servers);
    juliet.hears_one(&mut servers, &["type='error'", "id='m'"]);
    servers.at(MONTAGUE).router().replace_settings(allowed);
    romeo.says(&mut servers, message);
    servers.pass(65 * SECOND);
    juliet.hears_one(&mut servers, &["psst"]);
}

/// Whose presence is annotated with a loss in what was heard; in any order.
fn annotated<'h>(heard: &'h [String], domains: &[&'h str]) -> Vec<&'h str> {
    let is_annotated = |domain: &&str| {
        heard
            .iter()
            .any(|one| one.contains(&format!("@{domain}/home'")) && one.contains("<server-unavailable"))
    };
    domains.iter().copied().filter(is_annotated).collect()
}

#[test]
fn psa_50_two_domains_are_lost_with_their_connection_and_one_alone_by_itself() {
    let domains = ["capulet.lit", "chats.capulet.lit"];
    let there = Settings {
        hosts: domains.map(|domain| (domain, Passwords::Scram)).to_vec(),
        ..host("capulet.lit")
    };
    let mut servers = Servers::new(1, [host("montague.lit"), there]);
    servers
        .at(MONTAGUE)
        .create_account("romeo@montague.lit", "secret");
    let mut romeo = Person::bound(&mut servers, MONTAGUE, "romeo", "montague.lit");
    romeo.says(&mut servers, "<presence/>");
    let mut heard = romeo.hears_all(&mut servers);
    for domain in domains {
        let juliet = format!("juliet@{domain}");
        servers.at(CAPULET).create_account(&juliet, "secret");
        let person = Person::bound(&mut servers, CAPULET, "juliet", domain);
        person.says(&mut servers, "<presence/>");
        // Their server comes to ours for its second domain on the connection that it has (XEP-0220 §2.6).
        person.says(
            &mut servers,
            "<message to='romeo@montague.lit' type='chat'><body>psst</body></message>",
        );
        romeo.says(
            &mut servers,
            &format!("<presence to='{juliet}' type='subscribe'/>"),
        );
        person.says(
            &mut servers,
            "<presence to='romeo@montague.lit' type='subscribed'/>",
        );
    }
    let stream = |servers: &mut Servers, link: usize| {
        let links = servers.at(MONTAGUE).router().links();
        assert_eq!((links.len(), links[link].state), (2, StateName::Up));
        links[link].streams[0].stream
    };
    assert_eq!(stream(&mut servers, 0), stream(&mut servers, 1));

    for reach in [Reach::Refused, Reach::Open] {
        for server in [MONTAGUE, CAPULET] {
            servers.set_reach(server, reach);
        }
        servers.cut();
        servers.pass(5 * SECOND);
        heard.extend(romeo.hears_all(&mut servers));
        if let Some(id) = heard.iter().find_map(|one| asked(one)) {
            romeo.says(
                &mut servers,
                &format!(
                    "<iq type='result' id='{id}' to='romeo@montague.lit'>\
                     <query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:psa'/></query></iq>"
                ),
            );
        }
        servers.pass(65 * SECOND);
        heard.extend(romeo.hears(&mut servers));
        let lost: &[&str] = if reach == Reach::Refused { &domains } else { &[] };
        assert_eq!(annotated(&heard, &domains), lost, "{reach:?}: {heard:?}");
        heard.clear();
    }
    stream(&mut servers, 0);

    let mut settings = servers.at(MONTAGUE).router().settings().as_ref().clone();
    let mut policies = Policies::default();
    let blocked = Policy {
        admission: Admission::Blocked,
        ..Policy::default()
    };
    policies
        .by_domain
        .insert(Address::domain("chats.capulet.lit").unwrap(), blocked);
    settings.federation = settings.federation.with_policies(policies);
    servers.at(MONTAGUE).router().replace_settings(settings);
    servers.pass(65 * SECOND);
    let heard = romeo.hears(&mut servers);
    assert_eq!(annotated(&heard, &domains), ["chats.capulet.lit"], "{heard:?}");
}
