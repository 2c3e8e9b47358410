//! Clients on WebSockets: the handshake, messages both ways, the limits, and both ends of a connection (RFC 7395).

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod ground;

use std::time::Duration;

use c2s::Encryption;
use ground::{Line, Server, framed_header, loopback, scram_steps, settings};
use transport::AllowedOrigins;
use tungstenite::{Bytes, Message};

const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";

/// A server whose plain HTTP is trusted, as behind a proxy.
fn behind_a_proxy() -> transport::Settings {
    let mut settings = settings(Encryption::Required);
    settings.http.trusted_proxies = vec![loopback()];
    settings
}

fn dial(server: &Server) -> Line {
    let mut line = Line::dial(server.http);
    line.upgrade(&[]).unwrap();
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc7395_3_4_clients_on_websocket_and_tcp_write_to_each_other() {
    let server = Server::start(behind_a_proxy());
    server.account("romeo@montague.lit").await;
    server.account("juliet@montague.lit").await;
    tokio::task::block_in_place(|| {
        let mut romeo = dial(&server);
        let features = romeo.open("montague.lit");
        assert!(features.contains("SCRAM-SHA-256"), "{features}");
        assert!(!features.contains("starttls"), "{features}");
        romeo.log_in("romeo@montague.lit", "web");
        romeo.appear();
        let mut juliet = Line::dial(server.direct);
        juliet.secure("montague.lit");
        juliet.open("montague.lit");
        juliet.log_in("juliet@montague.lit", "balcony");
        juliet.appear();
        romeo.say("<message xmlns='jabber:client' to='juliet@montague.lit/balcony' type='chat'><body>1</body></message>");
        juliet.hear("<body>1</body></message>");
        for number in 0..100 {
            let message =
                format!("<message to='romeo@montague.lit/web' type='chat'><body>{number}</body></message>");
            juliet.say(&message);
        }
        // RFC 7395 §3.3.3: each in a message of its own, which stands for itself.
        for number in 0..100 {
            let Ok(Message::Text(text)) = romeo.hear_message() else {
                panic!("no text")
            };
            assert!(text.starts_with("<message xmlns='jabber:client' "), "{text}");
            assert!(
                text.ends_with(&format!("<body>{number}</body></message>")),
                "{text}"
            );
        }
        romeo.say(&format!("<close xmlns='{FRAMING}'/>"));
        assert!(romeo.hear("/>").ends_with(&format!("<close xmlns='{FRAMING}'/>")));
        assert!(matches!(romeo.hear_message(), Ok(Message::Close(_))));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc7395_3_6_the_server_closes_the_stream_and_then_the_websocket() {
    let server = Server::start(behind_a_proxy());
    server.account("romeo@montague.lit").await;
    tokio::task::block_in_place(|| {
        let bound = |resource| {
            let mut romeo = dial(&server);
            romeo.open("montague.lit");
            romeo.log_in("romeo@montague.lit", resource);
            romeo
        };
        let mut romeo = bound("web");
        let mut other = bound("other");
        // Another takes the resource.
        let mut newer = bound("web");
        let heard = romeo.hear("/>") + &romeo.hear(&format!("<close xmlns='{FRAMING}'/>"));
        assert!(heard.contains("<conflict "), "{heard}");
        assert!(matches!(romeo.hear_message(), Ok(Message::Close(_))));
        assert!(romeo.hear_message().is_err(), "the connection is closed");
        // A client that closes the WebSocket without closing the stream is gone as if its connection had broken.
        other.say_message(Message::Close(None));
        while other.hear_message().is_ok() {}
        newer.appear();
        // All hear that the server stops.
        server.router.suspend_all();
        let heard = newer.hear(&format!("<close xmlns='{FRAMING}'/>"));
        assert!(heard.contains("<system-shutdown "), "{heard}");
        assert!(matches!(newer.hear_message(), Ok(Message::Close(_))));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_streams_hold_on_a_websocket_too() {
    let mut settings = behind_a_proxy();
    settings.session.limits.unauthenticated.stanza_bytes = 10_000;
    settings.session.limits.authenticated.depth = 8;
    settings.session.limits.login_attempts = 1;
    let server = Server::start(settings);
    server.account("romeo@montague.lit").await;
    let wrong = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHdyb25n</auth>";
    let large = format!("<message><body>{}</body></message>", "x".repeat(20_000));
    tokio::task::block_in_place(|| {
        let mut line = dial(&server);
        line.open("montague.lit");
        let heard = line.talk(&large, "<close");
        assert!(heard.contains("<policy-violation "), "before the login: {heard}");
        let mut line = dial(&server);
        line.open("montague.lit");
        let heard = line.talk(wrong, "<close");
        assert!(
            heard.contains("<not-authorized") && heard.contains("<policy-violation "),
            "{heard}"
        );
        let mut line = dial(&server);
        line.open("montague.lit");
        line.log_in("romeo@montague.lit", "web");
        line.say(&large);
        line.appear();
        let deep = format!("<message>{}{}</message>", "<a>".repeat(9), "</a>".repeat(9));
        let heard = line.talk(&deep, "<close");
        assert!(heard.contains("<policy-violation "), "{heard}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc7395_3_9_tls_stands_around_the_websocket_and_binds_the_login() {
    let server = Server::start(settings(Encryption::Required));
    server.account("romeo@montague.lit").await;
    tokio::task::block_in_place(|| {
        let mut romeo = Line::dial(server.https);
        romeo.secure("montague.lit");
        romeo.upgrade(&[]).unwrap();
        let features = romeo.open("montague.lit");
        assert!(features.contains("SCRAM-SHA-256-PLUS"), "{features}");
        romeo.log_in("romeo@montague.lit", "web");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_only_a_trusted_proxy_may_bring_a_login() {
    let server = Server::start(settings(Encryption::Required));
    tokio::task::block_in_place(|| {
        let mut line = dial(&server);
        let heard = line.talk(&framed_header("montague.lit"), "<close");
        assert!(heard.starts_with("<open "), "{heard}");
        assert!(heard.contains("<policy-violation "), "{heard}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc7395_3_1_only_a_handshake_for_xmpp_is_agreed_to() {
    let mut settings = behind_a_proxy();
    settings.http.allowed_origins = AllowedOrigins::These(vec!["https://chat.example".to_owned()]);
    let server = Server::start(settings);
    tokio::task::block_in_place(|| {
        let upgrade = |headers: &[(&'static str, &str)]| Line::dial(server.http).upgrade(headers);
        assert_eq!(upgrade(&[("sec-websocket-protocol", "chat, xmpp")]), Ok(()));
        assert_eq!(upgrade(&[("sec-websocket-protocol", "chat")]), Err(400));
        assert_eq!(upgrade(&[("sec-websocket-version", "8")]), Err(426));
        assert_eq!(upgrade(&[("upgrade", "h2c")]), Err(426));
        assert_eq!(upgrade(&[("origin", "https://chat.example")]), Ok(()));
        assert_eq!(upgrade(&[("origin", "https://evil.example")]), Err(403));
        let mut other = Line::dial(server.http);
        other.say("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let heard = other.hear_all();
        assert!(heard.starts_with("HTTP/1.1 404 "), "{heard}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_look_at_the_client_behind_the_proxy() {
    let mut settings = behind_a_proxy();
    settings.addresses.per_address = 1;
    settings.addresses.exempt = vec![loopback()];
    let server = Server::start(settings);
    tokio::task::block_in_place(|| {
        let from = |address| {
            let mut line = Line::dial(server.http);
            line.upgrade(&[("x-forwarded-for", address)]).map(|()| line)
        };
        let first = from("192.0.2.1").map_err(|_| ()).unwrap();
        assert_eq!(
            from("192.0.2.1").err(),
            Some(429),
            "the proxy's exemption is its own"
        );
        assert!(from("192.0.2.2").is_ok());
        drop(first);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc7395_3_2_what_is_no_message_of_one_element_ends_the_stream() {
    let server = Server::start(behind_a_proxy());
    let cases = [
        (Message::binary(Bytes::from_static(b"<presence/>")), "bad-format"),
        (Message::text("<presence/><presence/>"), "bad-format"),
        (Message::text(" "), "bad-format"),
        (Message::text("<presence>"), "not-well-formed"),
        (Message::text("<!-- -->"), "restricted-xml"),
        (Message::text("<open xmlns='urn:other'/>"), "invalid-namespace"),
        (
            Message::text(format!("<a>{}</a>", "x".repeat(300_000))),
            "policy-violation",
        ),
    ];
    tokio::task::block_in_place(|| {
        for (message, condition) in cases {
            let mut line = dial(&server);
            line.open("montague.lit");
            line.say_message(message);
            let heard = line.hear("<close");
            assert!(heard.contains(&format!("<{condition} ")), "{condition}: {heard}");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc6455_5_5_2_pings_are_answered_and_a_silent_peer_is_given_up() {
    let mut settings = behind_a_proxy();
    settings.http.ping_interval = Duration::from_millis(200);
    let server = Server::start(settings);
    tokio::task::block_in_place(|| {
        let mut line = dial(&server);
        line.say_message(Message::Ping(Bytes::from_static(b"there?")));
        assert!(matches!(line.hear_message(), Ok(Message::Pong(words)) if &*words == b"there?"));
        // To read is to answer pings: a client that lives hears several of them.
        for _ in 0..3 {
            assert!(matches!(line.hear_message(), Ok(Message::Ping(_))));
        }
        // Without answers the connection ends, and nothing but the end is heard.
        let mut silent = Line::dial(server.http);
        silent.say(
            "GET /xmpp-websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        let answer = silent.hear("\r\n\r\n");
        assert!(
            answer.contains("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{answer}"
        );
        assert!(
            answer.contains("\r\nsec-websocket-protocol: xmpp\r\n"),
            "{answer}"
        );
        silent.skip_all();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc7395_3_10_a_session_that_began_on_tcp_goes_on_on_a_websocket() {
    let server = Server::start(behind_a_proxy());
    server.account("romeo@montague.lit").await;
    server.account("juliet@montague.lit").await;
    tokio::task::block_in_place(|| {
        let on_tls = |account| {
            let mut line = Line::dial(server.direct);
            line.secure("montague.lit");
            line.open("montague.lit");
            line.log_in(account, "balcony");
            line
        };
        let mut juliet = on_tls("juliet@montague.lit");
        let enabled = juliet.talk("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "/>");
        let (_, id) = enabled.split_once(" id='").unwrap();
        let id = id.split_once('\'').unwrap().0.to_owned();
        juliet.say("<presence/>");
        drop(juliet);
        let mut romeo = on_tls("romeo@montague.lit");
        romeo.say("<message to='juliet@montague.lit/balcony' type='chat' id='m'><body>still there?</body></message>");
        romeo.appear();

        let mut again = dial(&server);
        again.open("montague.lit");
        scram_steps("juliet@montague.lit", |step| {
            again.say(step);
            let heard = again.hear("</");
            heard + &again.hear(">")
        });
        again.open("montague.lit");
        again.say(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>"));
        again.hear("<resumed ");
        let heard = again.hear("<body>still there?</body>");
        assert!(heard.contains("<message xmlns='jabber:client' "), "{heard}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn rfc7395_3_6_1_clients_are_sent_elsewhere_by_see_other_uri() {
    let mut settings = behind_a_proxy();
    settings.http.see_other_uri = Some("wss://other.lit/ws?a&b".to_owned());
    let server = Server::start(settings);
    tokio::task::block_in_place(|| {
        let mut line = dial(&server);
        let heard = line.talk(&framed_header("montague.lit"), "/>");
        assert_eq!(
            heard,
            format!("<close xmlns='{FRAMING}' see-other-uri='wss://other.lit/ws?a&amp;b'/>")
        );
        assert!(matches!(line.hear_message(), Ok(Message::Close(_))));
    });
}
