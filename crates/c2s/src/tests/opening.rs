//! Headers, features and STARTTLS.

use super::world::{failure, header_to, plain};
use super::{HEADER, World, header};
use crate::{Effect, Encryption, Ending, Input, Stage, Transport};
use stanza::StreamCondition;

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const TLS_FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";

const PLAIN_FEATURES: &str = "<stream:features>\
     <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism>\
     <mechanism>SCRAM-SHA-1</mechanism></mechanisms>\
     <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>4096</max-bytes></limits></stream:features>";

const TLS_FEATURES: &str = "<stream:features>\
     <sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>\
     <channel-binding type='tls-server-end-point'/></sasl-channel-binding>\
     <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256-PLUS</mechanism>\
     <mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-256</mechanism>\
     <mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms>\
     <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>4096</max-bytes></limits></stream:features>";

const REQUIRED: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
     </stream:features>";

const LOGGED_IN_FEATURES: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
     <session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session><sm xmlns='urn:xmpp:sm:3'/>\
     <ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>\
     <limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>16384</max-bytes></limits></stream:features>";

#[test]
fn rfc6120_5_4_the_whole_way_with_starttls() {
    let mut world = World::new(Transport::Tcp, Encryption::Required);
    assert_eq!(world.talk(HEADER), header("montague.lit") + REQUIRED);
    assert_eq!(world.talk(STARTTLS), PROCEED);
    world.establish_tls();
    assert_eq!(world.talk(HEADER), header("montague.lit") + TLS_FEATURES);
    assert_eq!(world.session.stage(), Stage::Unauthenticated);
    world.log_in();
    assert_eq!(
        world.heard(),
        "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
    );
    assert_eq!(world.session.stage(), Stage::Authenticated);
    assert_eq!(world.talk(HEADER), header("montague.lit") + LOGGED_IN_FEATURES);
    assert_eq!(
        world.talk(super::world::BIND_ORCHARD),
        "<iq id='b1' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <jid>romeo@montague.lit/orchard</jid></bind></iq>"
    );
    assert_eq!(world.session.stage(), Stage::Bound);
    assert_eq!(world.talk("</stream:stream>"), "</stream:stream>");
    assert_eq!(world.ending, Some(Ending::Finished));
    assert_eq!(world.session.stage(), Stage::Closed);
}

#[test]
fn rfc6120_5_4_3_3_the_host_is_the_one_that_the_header_named() {
    let mut world = World::new(Transport::Tcp, Encryption::Required);
    assert_eq!(world.session.host(), None);
    world.send(&HEADER.replace("montague", "Capulet"));
    assert_eq!(world.session.host(), Some("capulet.lit"));
    world.send(STARTTLS);
    assert_eq!(
        world.session.host(),
        Some("capulet.lit"),
        "the certificate is chosen by it"
    );
    world.establish_tls();
    assert_eq!(world.session.host(), None, "the next header may name another");
    world.send(HEADER);
    assert_eq!(world.session.host(), Some("montague.lit"));

    let direct = World::new(Transport::DirectTls, Encryption::Required);
    assert_eq!(direct.session.host(), None);
    for world in [World::logged_in(), World::bound()] {
        assert_eq!(world.session.host(), Some("montague.lit"));
    }
    let mut unknown = World::encrypted();
    unknown.send(&HEADER.replace("montague", "verona"));
    assert_eq!(unknown.session.host(), None);
}

#[test]
fn rfc6120_5_3_1_before_required_tls_there_is_no_way_around_it() {
    let mut world = World::new(Transport::Tcp, Encryption::Required);
    world.talk(HEADER);
    assert_eq!(
        world.talk(&plain("romeo", "wherefore")),
        failure("encryption-required")
    );
    assert!(world.asked.is_empty(), "a password was checked");
    let answer = world.talk("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    assert!(answer.contains("<not-authorized"), "{answer}");
}

#[test]
fn rfc6120_5_3_1_without_required_tls_what_is_safe_is_offered_beside_it() {
    let mut world = World::new(Transport::Tcp, Encryption::Optional);
    let starttls = format!("<stream:features>{STARTTLS}");
    let features = PLAIN_FEATURES.replace("<stream:features>", &starttls);
    assert_eq!(world.talk(HEADER), header("montague.lit") + &features);
    assert_eq!(
        world.talk(&plain("romeo", "wherefore")),
        failure("encryption-required")
    );
    assert_eq!(world.talk(STARTTLS), PROCEED);
    world.establish_tls();
    assert_eq!(world.talk(HEADER), header("montague.lit") + TLS_FEATURES);
}

#[test]
fn rfc6120_5_4_2_2_starttls_that_was_not_offered_fails_and_closes() {
    let mut without_certificate = World::new(Transport::Tcp, Encryption::Unavailable);
    assert_eq!(
        without_certificate.talk(HEADER),
        header("montague.lit") + PLAIN_FEATURES
    );
    let mut twice = World::encrypted();
    twice.talk(HEADER);
    for mut world in [without_certificate, twice, World::logged_in(), World::bound()] {
        let answer = world.talk(STARTTLS);
        assert_eq!(answer, TLS_FAILURE, "at {:?}", world.session.stage());
        assert!(matches!(world.ending, Some(Ending::Error(_))));
    }
}

#[test]
fn rfc6120_5_3_3_a_line_feed_behind_an_element_that_restarts_the_stream_is_nothing() {
    let mut world = World::new(Transport::Tcp, Encryption::Required);
    world.talk(HEADER);
    let proceed = world.talk(&format!("{STARTTLS}\n"));
    assert!(proceed.starts_with("<proceed"), "{proceed}");
    assert_eq!(world.talk("\n"), "");
    world.establish_tls();
    let answer = world.talk(HEADER);
    assert!(answer.contains("<mechanisms"), "{answer}");
}

#[test]
fn rfc6120_5_4_2_2_plaintext_behind_starttls_is_never_taken_for_something_inside_tls() {
    for behind in ["x", " x", "\0", HEADER, "<auth/>", "</stream:stream>"] {
        let mut world = World::new(Transport::Tcp, Encryption::Required);
        world.talk(HEADER);
        assert_eq!(
            world.talk(&format!("{STARTTLS}{behind}")),
            TLS_FAILURE,
            "{behind:?}"
        );
        assert!(matches!(world.ending, Some(Ending::Error(_))));

        // The same in a read of its own: too late to say anything.
        let mut world = World::new(Transport::Tcp, Encryption::Required);
        world.talk(&format!("{HEADER}{STARTTLS}"));
        world.heard();
        assert_eq!(world.talk(behind), "", "{behind:?}");
        assert!(matches!(world.ending, Some(Ending::Error(_))));
        world.establish_tls();
        assert_eq!(world.talk(HEADER), "");
    }
}

#[test]
fn rfc6120_5_4_3_3_nothing_is_remembered_from_before_tls() {
    let mut world = World::new(Transport::Tcp, Encryption::Required);
    world.talk(&HEADER.replace("to=", "from='tybalt@capulet.lit' xml:lang='fr' to="));
    world.talk(STARTTLS);
    world.establish_tls();
    // Another host and nobody's name: what was said before does not count.
    let answer = world.talk(&HEADER.replace("montague.lit", "capulet.lit"));
    assert!(answer.starts_with(&header("capulet.lit")), "{answer}");
    assert!(
        answer.contains("<mechanism>PLAIN</mechanism></mechanisms>"),
        "{answer}"
    );
}

#[test]
fn rfc6120_4_7_2_the_answer_is_to_the_bare_address_of_from() {
    let mut world = World::encrypted();
    let answer = world.talk(&HEADER.replace("to=", "from='Romeo@montague.lit/x&apos;y' to="));
    assert!(
        answer.starts_with(&header_to("montague.lit", " to='romeo@montague.lit'")),
        "{answer}"
    );
    let mut world = World::encrypted();
    let answer = world.talk(&HEADER.replace("to=", "from='a@b@c' to="));
    assert!(answer.starts_with(&header("montague.lit")), "{answer}");
}

#[test]
fn rfc6120_4_7_2_sni_stands_in_for_a_header_without_to() {
    let without_to = HEADER.replace(" to='montague.lit'", "");
    for (sni, host) in [
        (Some("capulet.lit"), Some("capulet.lit")),
        (Some("verona.lit"), None),
        (None, None),
    ] {
        let mut world = World::new(Transport::DirectTls, Encryption::Required);
        world.sni = sni.map(str::to_owned);
        world.establish_tls();
        let answer = world.talk(&without_to);
        match host {
            Some(host) => assert!(
                answer.starts_with(&header(host)) && !answer.contains("error"),
                "{answer}"
            ),
            None => assert!(answer.contains("<host-unknown"), "{answer}"),
        }
    }
    // After login, the account says it.
    let mut world = World::encrypted();
    world.talk(HEADER);
    world.log_in();
    world.heard();
    assert_eq!(
        world.talk(&without_to),
        header("montague.lit") + LOGGED_IN_FEATURES
    );
}

#[test]
fn rfc6120_4_8_2_a_header_without_content_namespace_works_when_elements_declare_it() {
    let mut world = World::encrypted();
    let prefix_free = "<stream to='montague.lit' version='1.0' xmlns='http://etherx.jabber.org/streams'>";
    assert_eq!(world.talk(prefix_free), header("montague.lit") + TLS_FEATURES);
    world.log_in();
    world.send(prefix_free);
    world.heard();
    let answer = world.talk(
        "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    );
    assert!(
        answer.contains("<jid>romeo@montague.lit/chosen</jid>"),
        "{answer}"
    );
    world.send("<message xmlns='jabber:client' to='juliet@capulet.lit'><body>hi</body></message>");
    assert_eq!(
        world.routed(),
        "<message from='romeo@montague.lit/orchard' to='juliet@capulet.lit'><body>hi</body></message>"
            .replace("orchard", "chosen")
    );
}

#[test]
fn a_host_by_argon2id_offers_only_plain_and_no_channel_binding() {
    let mut world = World::encrypted();
    let answer = world.talk(&HEADER.replace("montague", "capulet"));
    assert!(
        answer.contains(
            "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <mechanism>PLAIN</mechanism></mechanisms>"
        ),
        "{answer}"
    );
    // And nothing at all without TLS.
    let mut world = World::new(Transport::Tcp, Encryption::Optional);
    let answer = world.talk(&HEADER.replace("montague", "capulet"));
    assert!(!answer.contains("mechanism"), "{answer}");
}

#[test]
fn a_later_header_for_another_host_is_refused() {
    // CVE-2018-10847: who logged in at one host must not become the user of that name at another.
    for (to, condition) in [("capulet.lit", "not-authorized"), ("verona.lit", "host-unknown")] {
        let mut world = World::encrypted();
        world.talk(HEADER);
        world.log_in();
        world.heard();
        let answer = world.talk(&HEADER.replace("montague.lit", to));
        assert!(answer.starts_with(&header("montague.lit")), "{answer}");
        assert!(
            answer.contains(&format!("<stream:error><{condition} xmlns=")),
            "{answer}"
        );
        assert!(answer.ends_with("</stream:error></stream:stream>"), "{answer}");
        assert!(world.asked.iter().all(|ask| !matches!(ask, super::Ask::Bind(..))));
    }
}

#[test]
fn rfc6120_6_4_6_a_name_given_inside_tls_must_be_the_one_that_logs_in() {
    let mut world = World::encrypted();
    world.talk(&HEADER.replace("to=", "from='tybalt@montague.lit' to="));
    let answer = world.talk(&plain("romeo", "wherefore"));
    assert!(answer.starts_with("<stream:error><invalid-from"), "{answer}");
    assert!(!answer.contains("success"), "{answer}");

    // The same after login; a full address of the own account is fine, and so is the bare host.
    for (from, fine) in [
        ("tybalt@montague.lit", false),
        ("romeo@montague.lit/x", true),
        ("montague.lit", true),
    ] {
        let mut world = World::encrypted();
        world.talk(HEADER);
        world.log_in();
        world.heard();
        let answer = world.talk(&HEADER.replace("to=", &format!("from='{from}' to=")));
        assert_eq!(!answer.contains("<invalid-from"), fine, "{answer}");
    }
}

#[test]
fn rfc6120_4_4_a_client_may_close_at_any_time() {
    let mut world = World::new(Transport::Tcp, Encryption::Required);
    world.send(HEADER);
    world.heard();
    assert_eq!(world.talk("</stream:stream>"), "</stream:stream>");
    assert_eq!(world.ending, Some(Ending::Finished));

    let mut world = World::new(Transport::Tcp, Encryption::Required);
    world.send(&HEADER.replace("streams'>", "streams'/>"));
    assert_eq!(
        world.heard(),
        header("montague.lit") + REQUIRED + "</stream:stream>"
    );
    assert_eq!(world.ending, Some(Ending::Finished));
}

#[test]
fn who_is_silent_or_slow_is_closed_at_the_deadline() {
    let timeout = "<stream:error><connection-timeout xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>";
    let silent = World::new(Transport::Tcp, Encryption::Required);
    let mut half = World::new(Transport::Tcp, Encryption::Required);
    half.send("<stream:stre");
    let mut open = World::encrypted();
    open.talk(HEADER);
    for mut world in [silent, half, open, World::logged_in()] {
        world.input(Input::Deadline);
        let answer = world.heard();
        assert!(
            answer.contains(timeout) && answer.ends_with("</stream:stream>"),
            "{answer}"
        );
        assert!(matches!(world.ending, Some(Ending::Error(_))));
    }
    // In a TLS handshake nothing can be said.
    let mut handshake = World::new(Transport::DirectTls, Encryption::Required);
    handshake.input(Input::Deadline);
    assert_eq!(handshake.heard(), "");
    assert!(matches!(handshake.ending, Some(Ending::Error(_))));
    // A bound client is past it.
    let mut bound = World::bound();
    bound.input(Input::Deadline);
    assert_eq!((bound.heard().as_str(), bound.ending), ("", None));
}

#[test]
fn a_lost_connection_ends_the_session_without_words() {
    for mut world in [
        World::new(Transport::Tcp, Encryption::Required),
        World::encrypted(),
        World::bound(),
    ] {
        world.input(Input::PeerClosed);
        assert_eq!(world.heard(), "");
        assert_eq!(world.ending, Some(Ending::Lost));
        world.input(Input::PeerClosed);
        world.send(HEADER);
        assert_eq!(world.heard(), "");
    }
}

#[test]
fn a_shutdown_is_told_in_every_state_that_can_hear() {
    let mut opened = World::encrypted();
    opened.talk(HEADER);
    for mut world in [World::encrypted(), opened, World::logged_in(), World::bound()] {
        world.input(Input::End(StreamCondition::SystemShutdown.into()));
        let answer = world.heard();
        assert!(
            answer.ends_with(
                "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
                 </stream:stream>"
            ),
            "{answer}"
        );
    }
}

#[test]
fn inputs_that_nobody_waits_for_change_nothing() {
    for mut world in [World::encrypted(), World::logged_in(), World::bound()] {
        let stage = world.session.stage();
        world.input(Input::PasswordChecked(sasl::Verdict::Accepted));
        world.input(Input::Credentials(sasl::Lookup::NoAccount));
        world.establish_tls();
        world.input(Input::Performed);
        world.input(Input::Drained(stream_management::Drained {
            stanzas: 3,
            answers: 3,
            more: false,
            handled: None,
        }));
        world.signal(stream_management::Signal::NotBound(
            stanza::Condition::Conflict.into(),
        ));
        assert_eq!((world.heard().as_str(), world.session.stage()), ("", stage));
    }
}

#[test]
fn starttls_asks_for_a_handshake_once() {
    let mut world = World::new(Transport::Tcp, Encryption::Required);
    world.send(HEADER);
    let mut output = crate::Output::default();
    let mut context = machine::Context {
        now: world.now,
        wall: machine::Timestamp::default(),
        random: &mut super::world::Nought,
        settings: &world.settings,
    };
    world
        .session
        .handle(&mut context, Input::Received(STARTTLS.as_bytes()), &mut output);
    assert!(matches!(output.effects.as_slice(), [Effect::StartTls]));
    assert_eq!(output.bytes, PROCEED.as_bytes());
}
