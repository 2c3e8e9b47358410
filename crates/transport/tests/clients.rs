//! Clients over loopback sockets: what only shows where sockets, threads and real time meet.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod ground;

use std::time::{Duration, Instant};

use c2s::Encryption;
use features::Registration;
use ground::{HOSTS, Line, Server, settings};
use machine::Rate;
use stanza::{StreamCondition, StreamError};
use tokio::runtime::Runtime;
use transport::Range;

const PING: &str = "<iq type='get' id='p' to='montague.lit'><ping xmlns='urn:xmpp:ping'/></iq>";
const CLOSE: &str = "</stream:stream>";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";
const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";

/// A server with these accounts, on two threads of its own.
fn serve(settings: transport::Settings, accounts: &[&str]) -> (Runtime, Server) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(async {
        let server = Server::start(settings);
        for account in accounts {
            server.account(account).await;
        }
        server
    });
    (runtime, server)
}

/// A bound client on a connection without TLS.
fn bound(server: &Server, account: &str, resource: &str) -> Line {
    let mut line = Line::dial(server.address);
    line.open(account.split_once('@').unwrap().1);
    line.log_in(account, resource);
    line
}

#[test]
fn rfc6120_5_4_3_1_the_certificate_is_that_of_the_host_in_the_header() {
    let (_runtime, server) = serve(settings(Encryption::Required), &[]);
    for (host, certificate) in HOSTS.iter().zip(&server.certificates) {
        for sni in HOSTS {
            let mut line = Line::dial(server.address);
            line.open(host);
            line.talk("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "/>");
            assert_eq!(line.secure(sni), *certificate, "{host}, {sni} in the handshake");
            line.open(host);
        }
        let mut direct = Line::dial(server.direct);
        assert_eq!(direct.secure(host), *certificate);
    }
}

fn open_settings() -> transport::Settings {
    let mut settings = settings(Encryption::Optional);
    for host in settings.session.hosts.values_mut() {
        host.registration = Registration::Open;
    }
    settings.addresses.registrations = Some(Rate {
        events: 2,
        per: Duration::from_secs(3600),
    });
    settings
}

fn register(line: &mut Line, name: &str) -> String {
    let request = format!(
        "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{name}</username>\
         <password>{}</password></query></iq>",
        ground::PASSWORD
    );
    line.say(&request);
    let answer = line.hear(">");
    if answer.ends_with("/>") {
        answer
    } else {
        answer + &line.hear("</iq>")
    }
}

#[test]
fn xep0077_3_1_1_an_address_makes_so_many_accounts_and_no_more() {
    let (_runtime, server) = serve(open_settings(), &["romeo@montague.lit"]);
    let made = "<iq id='r' type='result'/>";
    let mut line = Line::dial(server.address);
    line.open("montague.lit");
    assert_eq!(register(&mut line, "mercutio"), made);
    assert!(
        register(&mut line, "romeo").contains("<conflict"),
        "which is not counted"
    );
    let mut other = Line::dial(server.address);
    other.open("montague.lit");
    assert_eq!(register(&mut other, "benvolio"), made);
    for line in [&mut line, &mut other] {
        let answer = register(line, "balthasar");
        assert!(
            answer.contains("code='406' type='wait'><not-acceptable"),
            "{answer}"
        );
    }
    other.log_in("benvolio@montague.lit", "x");
}

#[test]
fn xep0077_3_1_1_an_address_without_limits_makes_as_many_accounts_as_it_wants() {
    let mut settings = open_settings();
    settings.addresses.exempt = vec![Range {
        address: [127, 0, 0, 0].into(),
        prefix: 8,
    }];
    let (_runtime, server) = serve(settings, &[]);
    let mut line = Line::dial(server.address);
    line.open("montague.lit");
    for number in 0..5 {
        assert!(register(&mut line, &format!("user{number}")).contains("type='result'"));
    }
}

#[test]
fn rfc6120_4_4_a_client_that_asks_and_closes_gets_its_answer() {
    let (_runtime, server) = serve(settings(Encryption::Optional), &["romeo@montague.lit"]);
    for _ in 0..20 {
        let mut line = bound(&server, "romeo@montague.lit", "orchard");
        line.say(&[PING, CLOSE].concat());
        let heard = line.hear_all();
        assert!(heard.starts_with("<iq ") && heard.ends_with(CLOSE), "{heard}");
        assert!(heard.contains("type='result'"), "{heard}");
        // A change waits for the store.
        let mut line = bound(&server, "romeo@montague.lit", "orchard");
        let change = "<iq type='set' id='c'><query xmlns='jabber:iq:roster'><item jid='juliet@capulet.lit'/></query></iq>";
        line.say(&[change, CLOSE].concat());
        let heard = line.hear_all();
        assert!(
            heard.contains("id='c' type='result'") && heard.ends_with(CLOSE),
            "{heard}"
        );
    }
}

#[test]
fn a_client_that_leaves_does_not_wait_for_long_for_others() {
    let (_runtime, server) = serve(settings(Encryption::Optional), &["romeo@montague.lit"]);
    let mut silent = bound(&server, "romeo@montague.lit", "garden");
    silent.appear();
    let mut romeo = bound(&server, "romeo@montague.lit", "orchard");
    let question = PING.replace("montague.lit", "romeo@montague.lit/garden");
    #[expect(clippy::disallowed_methods, reason = "this is about real time")]
    let begin = Instant::now();
    romeo.say(&[&question, CLOSE].concat());
    assert_eq!(romeo.hear_all(), CLOSE);
    silent.hear("urn:xmpp:ping");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
}

#[test]
fn xep0198_4_a_request_behind_a_stanza_counts_it() {
    let (_runtime, server) = serve(settings(Encryption::Optional), &["romeo@montague.lit"]);
    let mut line = bound(&server, "romeo@montague.lit", "orchard");
    line.talk(ENABLE, "/>");
    for number in 1..=20 {
        let heard = line.talk(&["<presence type='unavailable'/>", R].concat(), "/>");
        assert_eq!(heard, format!("<a xmlns='urn:xmpp:sm:3' h='{number}'/>"));
    }
}

#[test]
fn rfc6120_4_9_3_20_a_server_that_stops_tells_its_clients() {
    let (runtime, server) = serve(settings(Encryption::Optional), &["romeo@montague.lit"]);
    let mut line = bound(&server, "romeo@montague.lit", "orchard");
    let error = StreamError::new(StreamCondition::SystemShutdown);
    runtime.block_on(async { server.router.end_all(&error) });
    let heard = line.hear_all();
    assert!(
        heard.contains("<system-shutdown") && heard.ends_with(CLOSE),
        "{heard}"
    );
}

#[test]
fn what_was_written_last_does_not_come_again() {
    let accounts = ["romeo@montague.lit", "juliet@montague.lit"];
    let (_runtime, server) = serve(settings(Encryption::Optional), &accounts);
    let mut romeo = bound(&server, "romeo@montague.lit", "orchard");
    let message = |id: usize| {
        format!("<message to='juliet@montague.lit' type='chat' id='m{id}'><body>x</body></message>")
    };
    let mut heard = String::new();
    let mut sent = 0;
    for _ in 0..30 {
        let mut juliet = bound(&server, "juliet@montague.lit", "balcony");
        heard.push_str(&juliet.appear());
        romeo.say(&(sent..sent + 10).map(message).collect::<String>());
        sent += 10;
        // Some are written before the end, and some come too late: those wait for the next time.
        juliet.say(CLOSE);
        heard.push_str(&juliet.hear_all());
    }
    let mut juliet = bound(&server, "juliet@montague.lit", "balcony");
    heard.push_str(&juliet.appear());
    juliet.say(&message(sent));
    heard.push_str(&juliet.hear(&format!("id='m{sent}'")));
    for id in 0..sent {
        assert_eq!(heard.matches(&format!("id='m{id}'")).count(), 1, "m{id}");
    }
}

/// RFC 6120 §5.4.1, XEP-0368 §3: neither can be answered in its own language.
#[test]
#[expect(clippy::disallowed_methods, reason = "this is about real time")]
fn who_speaks_tls_where_it_must_be_asked_for_or_xml_where_tls_comes_first_is_closed_at_once() {
    let (_runtime, server) = serve(settings(Encryption::Required), &[]);
    let begun = Instant::now();
    let mut hello = Line::dial(server.address);
    hello.say("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03");
    assert_eq!(hello.hear_all(), "");
    let mut header = Line::dial(server.direct);
    header.say(&ground::header(HOSTS[0]));
    header.skip_all();
    // Not by the time that is given to log in.
    assert!(begun.elapsed() < Duration::from_secs(10));
    // Only the first byte tells.
    let mut late = Line::dial(server.address);
    late.say("<");
    late.say("\x16");
    assert!(late.hear_all().contains("<not-well-formed"));
}
