//! What HTTP adds to the ways of being a nuisance: slow and half requests, bodies without end, words of proxies.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod ground;

use std::time::Duration;

use c2s::Encryption;
use ground::{Line, Server, loopback, settings};
use machine::Rate;
use transport::Limit;

const XMPP: &str = "montague.lit";
const BAD: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHdyb25n</auth>";

fn behind_a_proxy() -> transport::Settings {
    let mut settings = settings(Encryption::Required);
    settings.http.trusted_proxies = vec![loopback()];
    settings
}

/// A request whose body announces so many bytes, and brings so many of them.
fn begin_post(server: &Server, from: &str, announced: usize, brought: usize) -> Line {
    let mut line = Line::dial(server.http);
    line.say(&format!(
        "POST /http-bind HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {from}\r\nConnection: close\r\n\
         Content-Length: {announced}\r\n\r\n{}",
        "x".repeat(brought)
    ));
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_with_a_request_or_a_login_is_closed_when_the_time_is_over() {
    let mut settings = behind_a_proxy();
    settings.unauthenticated_time = Duration::from_millis(200);
    let server = Server::start(settings);
    tokio::task::block_in_place(|| {
        let mut silent = Line::dial(server.http);
        assert_eq!(silent.hear_all(), "");
        let mut silent = Line::dial(server.https);
        assert_eq!(silent.hear_all(), "", "no handshake of TLS");
        let mut half_a_head = Line::dial(server.http);
        half_a_head.say("POST /http-bind HTTP/1.1\r\nHost: loc");
        half_a_head.skip_all();
        let half_a_body = begin_post(&server, "192.0.2.1", 100, 50).hear_all();
        assert!(half_a_body.starts_with("HTTP/1.1 408 "), "{half_a_body}");
        let mut no_login = Line::dial(server.http);
        no_login.upgrade(&[]).unwrap();
        no_login.open(XMPP);
        let told = no_login.hear("<close");
        assert!(told.contains("<connection-timeout "), "{told}");
        while server.clients.connections() != (0, 0) {
            std::thread::yield_now();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_requests_take_no_more_memory_than_they_may() {
    let mut settings = behind_a_proxy();
    settings.http.body_bytes = 400_000;
    settings.http.bodies_bytes = 1_000_000;
    settings.http.bodies_bytes_per_address = 500_000;
    let server = Server::start(settings);
    tokio::task::block_in_place(|| {
        let too_large = begin_post(&server, "192.0.2.1", 400_001, 0).hear_all();
        assert!(too_large.starts_with("HTTP/1.1 413 "), "{too_large}");
        // A body whose end does not come, and all of it is read.
        let mut held = Vec::new();
        let mut hold = |from: &str, bytes: usize| {
            let counted = server.clients.http_body_bytes() + bytes - 4096;
            held.push(begin_post(&server, from, bytes + 1, bytes));
            while server.clients.http_body_bytes() != counted {
                std::thread::yield_now();
            }
        };
        let whole = |from: &str, bytes: usize| begin_post(&server, from, bytes, bytes).hear_all();
        hold("192.0.2.1", 300_000);
        // As much as is needed to be refused, so that nothing is left unread.
        let refused = begin_post(&server, "192.0.2.1", 300_000, 500_000 - 300_000 + 2 * 4096 + 1).hear_all();
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
        assert_eq!(server.clients.rejected(Limit::HttpBodies), 1);
        assert!(whole("192.0.2.1", 4_000).starts_with("HTTP/1.1 200 "), "small");
        assert!(whole("192.0.2.2", 300_000).starts_with("HTTP/1.1 200 "), "others");
        hold("192.0.2.2", 350_000);
        hold("192.0.2.3", 350_000);
        let refused = begin_post(&server, "192.0.2.4", 300_000, 4 * 4096 + 1).hear_all();
        assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
        held.clear();
        while server.clients.http_body_bytes() > 0 {
            std::thread::yield_now();
        }
        assert!(whole("192.0.2.1", 300_000).starts_with("HTTP/1.1 200 "));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_logins_count_for_the_client_behind_the_proxy_and_nobody_else_may_name_one() {
    let mut settings = behind_a_proxy();
    settings.addresses.failed_logins = Some(Rate {
        events: 1,
        per: Duration::from_secs(3600),
    });
    settings.addresses.exempt = vec![loopback()];
    let proxied = Server::start(settings.clone());
    settings.addresses.exempt = Vec::new();
    settings.http.trusted_proxies = Vec::new();
    let direct = Server::start(settings);
    let fail = |mut line: Line, address: &str| {
        line.upgrade(&[("x-forwarded-for", address)])?;
        line.open(XMPP);
        line.talk(BAD, "</failure>");
        Ok::<(), u16>(())
    };
    let secure = || {
        let mut line = Line::dial(direct.https);
        line.secure(XMPP);
        line
    };
    tokio::task::block_in_place(|| {
        assert_eq!(fail(Line::dial(proxied.http), "192.0.2.1"), Ok(()));
        assert_eq!(fail(Line::dial(proxied.http), "192.0.2.1"), Err(429));
        assert_eq!(fail(Line::dial(proxied.http), "192.0.2.2"), Ok(()));
        // Without a proxy it is the address of the socket that has failed, whatever the client says.
        assert_eq!(fail(secure(), "192.0.2.1"), Ok(()));
        assert_eq!(fail(secure(), "192.0.2.2"), Err(429));
    });
}
