//! Two servers: what users of different domains can do with each other, and what they learn when the way is broken.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::time::Duration;

use c2s::Transport;
use s2s::link::StateName;
use s2s::{Admission, Policies, Policy};
use simulation::{
    Client, ConnectionId, Dice, Heard, Login, Mechanism, Passwords, Reach, Say, Servers, Settings,
    TLS_EXPORTER,
};
use stanza::Address;

const MONTAGUE: usize = 0;
const CAPULET: usize = 1;

const SECOND: Duration = Duration::from_secs(1);

/// One client of one of the servers.
struct Person {
    server: usize,
    connection: ConnectionId,
    client: Client,
}

impl Person {
    /// Logs in.
    fn bound(servers: &mut Servers, server: usize, name: &str, host: &str) -> Person {
        let connection = servers.at(server).connect(Transport::DirectTls);
        let mut login = Login::new(name, host, "secret", Dice::new(1))
            .resource("home")
            .by(Mechanism::Plain, Some(TLS_EXPORTER));
        servers.at(server).say(connection, &login.open());
        let mut client = Client::default();
        let mut bound = false;
        while !bound {
            servers.settle();
            client.read(&servers.at(server).hear(connection));
            while let Some(word) = client.hear().unwrap() {
                match login.hear(&word) {
                    Say::Nothing => {}
                    Say::Bytes(bytes) => servers.at(server).say(connection, &bytes),
                    Say::Anew(bytes) => {
                        client.restart();
                        servers.at(server).say(connection, &bytes);
                    }
                    Say::Bound(_) => bound = true,
                    Say::Failed(why) => panic!("{why}"),
                }
            }
        }
        Person {
            server,
            connection,
            client,
        }
    }

    fn says(&self, servers: &mut Servers, xml: &str) {
        servers.at(self.server).say(self.connection, xml.as_bytes());
        servers.settle();
    }

    /// What came, without what the server asks of clients that do not say what they can (PSA-04).
    fn hears(&mut self, servers: &mut Servers) -> Vec<String> {
        let mut heard = self.hears_all(servers);
        heard.retain(|one| asked(one).is_none());
        heard
    }

    fn hears_all(&mut self, servers: &mut Servers) -> Vec<String> {
        self.client.read(&servers.at(self.server).hear(self.connection));
        let mut heard = Vec::new();
        while let Some(word) = self.client.hear().unwrap() {
            match word {
                Heard::Element(element) => heard.push(element.as_str().to_owned()),
                Heard::Opened(_) | Heard::Closed => heard.push(format!("{word:?}")),
            }
        }
        heard
    }

    /// What came, if it is one thing that has all of these in it.
    fn hears_one(&mut self, servers: &mut Servers, parts: &[&str]) {
        let heard = self.hears(servers);
        assert!(
            heard.len() == 1 && parts.iter().all(|part| heard[0].contains(part)),
            "{heard:?} is not one stanza with {parts:?}"
        );
    }

    fn hears_nothing(&mut self, servers: &mut Servers) {
        assert_eq!(self.hears(servers), Vec::<String>::new());
    }
}

/// Under which id a client is asked what it can.
fn asked(stanza: &str) -> Option<&str> {
    let is_question =
        stanza.starts_with("<iq ") && stanza.contains("type='get'") && stanza.contains("disco#info");
    is_question.then(|| {
        stanza
            .split_once("id='")
            .and_then(|(_, rest)| Some(rest.split_once('\'')?.0))
    })?
}

fn host(domain: &'static str) -> Settings {
    Settings {
        hosts: vec![(domain, Passwords::Scram)],
        open: Vec::new(),
        ..Settings::default()
    }
}

fn two(seed: u64) -> Servers {
    let mut servers = Servers::new(seed, [host("montague.lit"), host("capulet.lit")]);
    servers
        .at(MONTAGUE)
        .create_account("romeo@montague.lit", "secret");
    servers.at(CAPULET).create_account("juliet@capulet.lit", "secret");
    servers
}

/// Both are logged in and available.
fn both(servers: &mut Servers) -> (Person, Person) {
    let mut romeo = Person::bound(servers, MONTAGUE, "romeo", "montague.lit");
    let mut juliet = Person::bound(servers, CAPULET, "juliet", "capulet.lit");
    romeo.says(servers, "<presence/>");
    juliet.says(servers, "<presence/>");
    romeo.hears(servers);
    juliet.hears(servers);
    (romeo, juliet)
}

/// Both are logged in, and each is subscribed to the other.
fn friends(servers: &mut Servers) -> (Person, Person) {
    let (mut romeo, mut juliet) = both(servers);
    romeo.says(servers, "<presence to='juliet@capulet.lit' type='subscribe'/>");
    juliet.says(servers, "<presence to='romeo@montague.lit' type='subscribed'/>");
    juliet.says(servers, "<presence to='romeo@montague.lit' type='subscribe'/>");
    romeo.says(servers, "<presence to='juliet@capulet.lit' type='subscribed'/>");
    romeo.hears(servers);
    juliet.hears(servers);
    (romeo, juliet)
}

fn state(servers: &mut Servers) -> StateName {
    let links = servers.at(MONTAGUE).router().links();
    assert_eq!(links.len(), 1);
    links[0].state
}

#[test]
fn who_was_seen_from_elsewhere_before_a_crash_is_said_to_be_gone_after_the_start() {
    for seed in 0..20 {
        let mut servers = two(seed);
        let (_romeo, mut juliet) = friends(&mut servers);
        servers.pass(2 * SECOND);
        juliet.hears(&mut servers);
        servers.crash(MONTAGUE);
        servers.pass(2 * SECOND);
        let heard = juliet.hears(&mut servers);
        let gone =
            |one: &String| one.contains("type='unavailable'") && one.contains("romeo@montague.lit/home'");
        assert_eq!(
            heard.iter().filter(|one| gone(one)).count(),
            1,
            "seed {seed}: {heard:?}"
        );

        // Once: the rows are gone.
        servers.crash(MONTAGUE);
        servers.pass(2 * SECOND);
        let heard = juliet.hears(&mut servers);
        assert!(!heard.iter().any(gone), "seed {seed}: {heard:?}");
    }
}

/// Romeo's room at his server, configured, with juliet in it.
fn orchard(servers: &mut Servers, fields: &str) -> (Person, Person) {
    let (mut romeo, mut juliet) = both(servers);
    let enter = "<x xmlns='http://jabber.org/protocol/muc'/>";
    let room = "orchard@rooms.montague.lit";
    romeo.says(
        servers,
        &format!("<presence to='{room}/romeo'>{enter}</presence>"),
    );
    romeo.says(
        servers,
        &format!(
            "<iq type='set' id='c' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'>{fields}</x></query></iq>"
        ),
    );
    juliet.says(
        servers,
        &format!("<presence to='{room}/juliet'>{enter}</presence>"),
    );
    romeo.hears(servers);
    juliet.hears(servers);
    romeo.says(
        servers,
        &format!("<message type='groupchat' to='{room}'><body>Soft!</body></message>"),
    );
    juliet.hears_one(servers, &["<body>Soft!</body>"]);
    (romeo, juliet)
}

fn two_with_rooms(seed: u64) -> Servers {
    let montague = Settings {
        rooms: vec!["rooms.montague.lit"],
        ..host("montague.lit")
    };
    let capulet = Settings {
        rooms: Vec::new(),
        ..host("capulet.lit")
    };
    let mut servers = Servers::new(seed, [montague, capulet]);
    let at_montague = servers.at(MONTAGUE);
    at_montague.create_account("romeo@montague.lit", "secret");
    servers.at(CAPULET).create_account("juliet@capulet.lit", "secret");
    servers
}

const STAYS: &str = "<field var='muc#roomconfig_persistentroom'><value>1</value></field>";

#[test]
fn xep0045_after_a_crash_who_was_in_a_room_from_elsewhere_hears_once_that_it_is_out() {
    for (seed, fields) in (0..10).zip(["", STAYS].into_iter().cycle()) {
        let mut servers = two_with_rooms(seed);
        let (_romeo, mut juliet) = orchard(&mut servers, fields);
        let out = |one: &String| {
            let from = one.contains("from='orchard@rooms.montague.lit/juliet'");
            from && one.contains("type='unavailable'") && one.contains("code='333'")
        };
        for times in [1, 0] {
            servers.crash(MONTAGUE);
            servers.pass(2 * SECOND);
            let heard = juliet.hears(&mut servers);
            assert_eq!(
                heard.iter().filter(|one| out(one)).count(),
                times,
                "seed {seed}: {heard:?}"
            );
        }
        juliet.says(
            &mut servers,
            "<presence to='orchard@rooms.montague.lit/juliet'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
        );
        servers.pass(2 * SECOND);
        let heard = juliet.hears(&mut servers);
        let has = |part: &str| heard.iter().any(|one| one.contains(part));
        let stays = !fields.is_empty();
        assert_eq!(has("<body>Soft!</body>"), stays, "seed {seed}: {heard:?}");
        assert_eq!(has("code='201'"), !stays, "seed {seed}: {heard:?}");
    }
}

#[test]
fn xep0045_over_a_restart_who_is_in_a_room_from_elsewhere_stays_and_hears_nothing_of_it() {
    for (seed, fields) in (0..10).zip(["", STAYS].into_iter().cycle()) {
        let mut servers = two_with_rooms(seed);
        let (_romeo, mut juliet) = orchard(&mut servers, fields);
        servers.restart(MONTAGUE);
        servers.pass(2 * SECOND);
        let heard = juliet.hears(&mut servers);
        let own = |one: &&String| one.contains("from='orchard@rooms.montague.lit/juliet'");
        assert_eq!(heard.iter().filter(own).count(), 0, "seed {seed}: {heard:?}");
        juliet.says(
            &mut servers,
            "<message type='groupchat' to='orchard@rooms.montague.lit'><body>Ay me</body></message>",
        );
        servers.pass(2 * SECOND);
        juliet.hears_one(
            &mut servers,
            &["orchard@rooms.montague.lit/juliet", "<body>Ay me</body>"],
        );
    }
}

#[test]
fn rfc6120_10_4_messages_cross_in_both_directions_and_in_order() {
    for seed in 0..20 {
        let mut servers = two(seed);
        let (mut romeo, mut juliet) = both(&mut servers);
        for n in 0..10 {
            romeo.says(
                &mut servers,
                &format!("<message to='juliet@capulet.lit' type='chat'><body>{n}</body></message>"),
            );
            juliet.says(
                &mut servers,
                &format!("<message to='romeo@montague.lit/home' type='chat'><body>{n}</body></message>"),
            );
        }
        for person in [&mut romeo, &mut juliet] {
            let heard = person.hears(&mut servers);
            assert_eq!(heard.len(), 10, "seed {seed}: {heard:?}");
            for (n, message) in heard.iter().enumerate() {
                assert!(
                    message.contains(&format!("<body>{n}</body>")),
                    "seed {seed}: {heard:?}"
                );
            }
        }
        assert_eq!(state(&mut servers), StateName::Up);
    }
}

#[test]
fn rfc6121_3_1_subscriptions_and_presence_cross_in_both_directions() {
    let mut servers = two(1);
    let (mut romeo, mut juliet) = both(&mut servers);
    romeo.says(
        &mut servers,
        "<presence to='juliet@capulet.lit' type='subscribe' id='1'/>",
    );
    romeo.hears(&mut servers);
    juliet.hears_one(
        &mut servers,
        &["type='subscribe'", "from='romeo@montague.lit'", "id='1'"],
    );
    juliet.says(
        &mut servers,
        "<presence to='romeo@montague.lit' type='subscribed'/>",
    );
    let heard = romeo.hears(&mut servers);
    // RFC 6121 §3.1.6: her presence follows.
    assert!(
        heard
            .iter()
            .any(|one| one.contains("from='juliet@capulet.lit/home'") && !one.contains("type=")),
        "{heard:?}"
    );
    juliet.says(&mut servers, "<presence><show>away</show></presence>");
    romeo.hears_one(
        &mut servers,
        &["from='juliet@capulet.lit/home'", "<show>away</show>"],
    );
    // Nothing the other way round: that is another subscription.
    juliet.hears(&mut servers);
    romeo.says(&mut servers, "<presence><show>dnd</show></presence>");
    juliet.hears_nothing(&mut servers);
    juliet.says(
        &mut servers,
        "<presence to='romeo@montague.lit' type='unsubscribed'/>",
    );
    let heard = romeo.hears(&mut servers);
    assert!(
        heard.iter().any(|one| one.contains("type='unavailable'")),
        "{heard:?}"
    );
}

#[test]
fn rfc6121_4_2_2_who_logs_in_probes_contacts_elsewhere_and_who_leaves_tells_them() {
    let mut servers = two(1);
    let (mut romeo, mut juliet) = friends(&mut servers);
    romeo.says(
        &mut servers,
        "<presence type='unavailable'><status>off</status></presence>",
    );
    juliet.hears_one(
        &mut servers,
        &[
            "from='romeo@montague.lit/home'",
            "type='unavailable'",
            "<status>off</status>",
        ],
    );
    romeo.hears(&mut servers);
    romeo.says(&mut servers, "<presence/>");
    let heard = romeo.hears(&mut servers);
    assert!(
        heard
            .iter()
            .any(|one| one.contains("from='juliet@capulet.lit/home'")),
        "the answer to the probe: {heard:?}"
    );
    juliet.hears_one(&mut servers, &["from='romeo@montague.lit/home'"]);
    servers.at(MONTAGUE).hang_up(romeo.connection);
    servers.settle();
    juliet.hears_one(
        &mut servers,
        &["from='romeo@montague.lit/home'", "type='unavailable'"],
    );
}

#[test]
fn rfc6121_4_6_directed_presence_crosses_and_is_taken_back() {
    let mut servers = two(1);
    let (romeo, mut juliet) = both(&mut servers);
    romeo.says(&mut servers, "<presence to='juliet@capulet.lit/home'/>");
    juliet.hears_one(&mut servers, &["from='romeo@montague.lit/home'"]);
    servers.at(MONTAGUE).hang_up(romeo.connection);
    servers.settle();
    juliet.hears_one(
        &mut servers,
        &["from='romeo@montague.lit/home'", "type='unavailable'"],
    );
}

#[test]
fn rfc6121_8_5_requests_reach_the_other_domain_its_users_and_their_resources() {
    let mut servers = two(1);
    let (mut romeo, mut juliet) = friends(&mut servers);
    let ping = |to: &str| format!("<iq type='get' id='p' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>");
    romeo.says(&mut servers, &ping("capulet.lit"));
    romeo.hears_one(&mut servers, &["type='result'", "from='capulet.lit'"]);
    romeo.says(&mut servers, &ping("juliet@capulet.lit"));
    romeo.hears_one(&mut servers, &["from='juliet@capulet.lit'", "id='p'"]);
    romeo.says(&mut servers, &ping("juliet@capulet.lit/home"));
    juliet.hears_one(&mut servers, &["type='get'", "from='romeo@montague.lit/home'"]);
    juliet.says(
        &mut servers,
        "<iq type='result' id='p' to='romeo@montague.lit/home'/>",
    );
    romeo.hears_one(&mut servers, &["type='result'", "from='juliet@capulet.lit/home'"]);
    // Whoever does not share presence learns nothing of resources.
    romeo.says(&mut servers, &ping("nurse@capulet.lit/home"));
    romeo.hears_one(&mut servers, &["type='error'", "from='nurse@capulet.lit/home'"]);
}

#[test]
fn rfc6120_10_4_3_errors_name_the_cause() {
    let mut servers = two(1);
    let (mut romeo, _) = both(&mut servers);
    let ping = |to: &str| format!("<iq type='get' id='p' to='{to}'><ping xmlns='urn:xmpp:ping'/></iq>");
    romeo.says(&mut servers, &ping("verona.lit"));
    romeo.hears_one(
        &mut servers,
        &["remote-server-not-found", "There is no such domain."],
    );
    servers.set_reach(CAPULET, Reach::Refused);
    romeo.says(&mut servers, &ping("capulet.lit"));
    romeo.hears_one(&mut servers, &["remote-server-timeout", "refuses connections"]);
}

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
