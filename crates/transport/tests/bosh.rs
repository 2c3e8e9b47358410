//! Clients over BOSH on real sockets: a login in requests, messages both ways, connections that break (XEP-0124, XEP-0206).

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod ground;

use c2s::Encryption;
use ground::{Line, Server, loopback, scram_steps, settings};
use transport::AllowedOrigins;

/// A client that posts.
struct Poster {
    server: std::net::SocketAddr,
    sid: String,
    rid: u64,
}

/// A request whose response is awaited.
struct Posted(Line);

fn post(server: std::net::SocketAddr, body: &str) -> Posted {
    let mut line = Line::dial(server);
    line.say(&format!(
        "POST /http-bind HTTP/1.1\r\nHost: localhost\r\nOrigin: https://chat.example\r\nContent-Type: text/xml\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    Posted(line)
}

impl Posted {
    /// The response: head and body.
    fn response(mut self) -> (String, String) {
        let all = self.0.hear_all();
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn body(self) -> String {
        let (head, body) = self.response();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        body
    }
}

fn attribute<'b>(body: &'b str, name: &str) -> &'b str {
    let (_, rest) = body.split_once(&format!(" {name}='")).unwrap();
    rest.split_once('\'').unwrap().0
}

impl Poster {
    fn open(server: std::net::SocketAddr, attributes: &str) -> (Poster, String) {
        let body = post(
            server,
            &format!(
                "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' rid='1000' \
                 to='montague.lit' wait='20' hold='1' ver='1.6' xmpp:version='1.0' {attributes}/>"
            ),
        )
        .body();
        let sid = attribute(&body, "sid").to_owned();
        let poster = Poster {
            server,
            sid,
            rid: 1000,
        };
        (poster, body)
    }

    fn text(&self, attributes: &str, payload: &str) -> String {
        format!(
            "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' sid='{}' rid='{}' \
             {attributes}>{payload}</body>",
            self.sid, self.rid
        )
    }

    fn post(&mut self, attributes: &str, payload: &str) -> Posted {
        self.rid += 1;
        post(self.server, &self.text(attributes, payload))
    }

    /// Asks on until this is heard; `heard` is what was heard already.
    fn hear(&mut self, words: &str, mut heard: String) -> String {
        while !heard.contains(words) {
            heard = self.post("", "").body();
        }
        heard
    }

    fn again(&self, payload: &str) -> Posted {
        post(self.server, &self.text("", payload))
    }

    /// A client with an address.
    fn bound(server: std::net::SocketAddr, account: &str) -> Poster {
        let (mut poster, _) = Poster::open(server, "");
        scram_steps(account, |step| poster.post("", step).body());
        let features = poster.post("to='montague.lit' xmpp:restart='true'", "").body();
        assert!(features.contains("<bind "), "{features}");
        let bound = poster
            .post(
                "",
                "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                 <resource>web</resource></bind></iq>",
            )
            .body();
        assert!(bound.contains("/web</jid>"), "{bound}");
        poster
    }
}

fn behind_a_proxy() -> transport::Settings {
    let mut settings = settings(Encryption::Required);
    settings.http.trusted_proxies = vec![loopback()];
    settings
}

const PRESENCE: &str = "<presence xmlns='jabber:client'/>";
const CLOSED: &str = "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate'";

#[tokio::test(flavor = "multi_thread")]
async fn xep0206_5_a_client_logs_in_chats_and_says_goodbye_in_requests() {
    let server = Server::start(behind_a_proxy());
    server.account("romeo@montague.lit").await;
    server.account("juliet@montague.lit").await;
    tokio::task::block_in_place(|| {
        let mut romeo = Poster::bound(server.http, "romeo@montague.lit");
        assert_eq!(server.clients.bosh_sessions(), (1, 0));
        let mut juliet = Line::dial(server.direct);
        juliet.secure("montague.lit");
        juliet.open("montague.lit");
        juliet.log_in("juliet@montague.lit", "balcony");
        juliet.appear();
        let held = romeo.post("", PRESENCE);
        juliet.say("<message to='romeo@montague.lit/web' type='chat'><body>1</body></message>");
        // His own presence may come first.
        let heard = romeo.hear("<body>1</body>", held.body());
        assert!(heard.contains("<message xmlns='jabber:client' "), "{heard}");
        // What he sends is heard once, however often it is sent: the response was lost, say.
        let message =
            "<message xmlns='jabber:client' to='juliet@montague.lit' type='chat'><body>2</body></message>";
        let held = romeo.post("", message);
        juliet.hear("<body>2</body></message>");
        drop(held);
        let held = romeo.again(message);
        juliet.say("<message to='romeo@montague.lit/web' type='chat'><body>3</body></message>");
        romeo.hear("<body>3</body>", held.body());
        let end = romeo.post(
            "type='terminate'",
            "<message xmlns='jabber:client' to='juliet@montague.lit' type='chat'><body>4</body></message>",
        );
        assert!(!juliet.hear("<body>4</body></message>").contains("<body>2</body>"));
        let end = end.body();
        assert!(end.starts_with(CLOSED) && !end.contains("condition"), "{end}");
        let after = romeo.post("", "").body();
        assert!(after.contains("condition='item-not-found'"), "{after}");
        assert_eq!(server.clients.bosh_sessions(), (0, 0));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_session_was_told_and_did_not_confirm_waits_for_the_account() {
    let mut settings = behind_a_proxy();
    settings.http.bosh_session.inactivity = std::time::Duration::from_millis(300);
    let server = Server::start(settings);
    server.account("romeo@montague.lit").await;
    server.account("juliet@montague.lit").await;
    tokio::task::block_in_place(|| {
        let mut romeo = Poster::bound(server.http, "romeo@montague.lit");
        drop(romeo.post("", PRESENCE));
        let mut juliet = Line::dial(server.direct);
        juliet.secure("montague.lit");
        juliet.open("montague.lit");
        juliet.log_in("juliet@montague.lit", "balcony");
        juliet.appear();
        juliet.say("<message to='romeo@montague.lit' type='chat'><body>late</body></message>");
        while server.clients.bosh_sessions() != (0, 0) {
            std::thread::yield_now();
        }
        let mut again = Line::dial(server.direct);
        again.secure("montague.lit");
        again.open("montague.lit");
        again.log_in("romeo@montague.lit", "phone");
        again.say("<presence/>");
        again.hear("<body>late</body>");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn psa_36_an_accepted_pause_is_answered_at_once_and_the_account_knows() {
    let server = Server::start(behind_a_proxy());
    server.account("romeo@montague.lit").await;
    tokio::task::block_in_place(|| {
        let mut romeo = Poster::bound(server.http, "romeo@montague.lit");
        let paused = romeo.post("pause='20'", "").body();
        assert!(paused.ends_with("/>"), "{paused}");
        let account_paused = |paused| {
            server.router.sessions_by_host()["montague.lit"]
                .sessions
                .paused_bosh
                == paused
        };
        while server.clients.bosh_sessions() != (1, 1) || !account_paused(1) {
            std::thread::yield_now();
        }
        let ping = "<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
        let heard = romeo.post("", ping).body();
        romeo.hear("id='p'", heard);
        while !account_paused(0) {
            std::thread::yield_now();
        }
        assert_eq!(server.clients.bosh_sessions(), (1, 0));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_only_a_trusted_proxy_may_bring_a_login_and_hosts_are_known() {
    let server = Server::start(settings(Encryption::Required));
    tokio::task::block_in_place(|| {
        let (_, body) = Poster::open(server.http, "");
        assert!(body.contains("<policy-violation "), "{body}");
        assert!(attribute(&body, "sid").len() >= 24);
        let other =
            "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='other.lit' wait='9' hold='1'/>";
        let body = post(server.http, other).body();
        assert!(
            body.contains("<host-unknown ") || body.contains("'host-unknown'"),
            "{body}"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_may_ask_as_far_as_they_are_allowed() {
    let ask = |server: &Server, method: &str, origin: &str| {
        let mut line = Line::dial(server.http);
        line.say(&format!(
            "{method} /http-bind HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"
        ));
        line.hear_all().to_ascii_lowercase()
    };
    let anybody = Server::start(behind_a_proxy());
    let mut settings = behind_a_proxy();
    settings.http.allowed_origins = AllowedOrigins::These(vec!["https://chat.example".to_owned()]);
    let listed = Server::start(settings);
    tokio::task::block_in_place(|| {
        let told = ask(&anybody, "OPTIONS", "https://other.example");
        assert!(told.starts_with("http/1.1 204 "), "{told}");
        assert!(told.contains("access-control-allow-origin: *\r\n"), "{told}");
        assert!(
            told.contains("access-control-allow-headers: content-type\r\n"),
            "{told}"
        );
        let told = ask(&listed, "OPTIONS", "https://chat.example");
        assert!(
            told.contains("access-control-allow-origin: https://chat.example\r\n"),
            "{told}"
        );
        for method in ["OPTIONS", "POST", "GET"] {
            let told = ask(&listed, method, "https://other.example");
            assert!(told.starts_with("http/1.1 403 "), "{told}");
            assert!(!told.contains("access-control-allow-origin"), "{told}");
        }
        let (head, _) = post(listed.http, "nonsense").response();
        assert!(
            head.contains("access-control-allow-origin: https://chat.example"),
            "{head}"
        );
        assert!(head.contains("content-type: text/xml; charset=utf-8"), "{head}");
        let body = post(listed.http, "nonsense").body();
        assert!(body.contains("condition='bad-request'"), "{body}");
        let (head, _) = post(listed.http, &"x".repeat(600_000)).response();
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn xep0156_2_each_host_says_where_clients_connect() {
    let server = Server::start(behind_a_proxy());
    let strict = Server::start(settings(Encryption::Required));
    let mut settings = behind_a_proxy();
    settings.http.public_url = Some("https://chat.montague.lit:8443/xmpp".to_owned());
    let elsewhere = Server::start(settings);
    let ask = |mut line: Line, host: &str, path: &str| {
        line.say(&format!(
            "GET /.well-known/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ));
        line.hear_all()
    };
    tokio::task::block_in_place(|| {
        let told = ask(Line::dial(server.http), "montague.lit", "host-meta");
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
        assert!(told.contains("access-control-allow-origin: *\r\n"), "{told}");
        for link in [
            "<Link rel='urn:xmpp:alt-connections:websocket' href='wss://montague.lit/xmpp-websocket'/>",
            "<Link rel='urn:xmpp:alt-connections:xbosh' href='https://montague.lit/http-bind'/>",
        ] {
            assert!(told.contains(link), "{told}");
        }
        let told = ask(Line::dial(elsewhere.http), "montague.lit", "host-meta");
        for link in [
            "href='wss://chat.montague.lit:8443/xmpp/xmpp-websocket'",
            "href='https://chat.montague.lit:8443/xmpp/http-bind'",
        ] {
            assert!(told.contains(link), "{told}");
        }
        let mut direct = Line::dial(strict.https);
        direct.secure("capulet.lit");
        let told = ask(direct, "capulet.lit:5281", "host-meta.json");
        assert!(told.contains("content-type: application/json\r\n"), "{told}");
        assert!(
            told.contains(r#""href":"wss://capulet.lit:5281/xmpp-websocket""#),
            "{told}"
        );
        assert!(
            told.contains(r#""rel":"urn:xmpp:alt-connections:xbosh""#),
            "{told}"
        );
        for (line, host) in [
            (Line::dial(server.http), "other.lit"),
            (Line::dial(server.http), "a b"),
            (Line::dial(strict.http), "montague.lit"),
        ] {
            let told = ask(line, host, "host-meta");
            assert!(
                told.starts_with("HTTP/1.1 404 ") || told.starts_with("HTTP/1.1 400 "),
                "{told}"
            );
        }
    });
}
