//! Connections that came to us, up to the login.

use super::world::*;
use crate::{
    Admission, Authentication, CertificateFault, Certificates, Effect, Encryption, Ending, Input, Method,
    Policy, Stream, Tls, TlsVersion, Transport, Ways,
};

const REQUIRED: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";

/// What is announced to a peer whose certificate proves its domain.
fn proven_features() -> String {
    features(&format!(
        "{EXTERNAL}{SM}{DIALBACK}{BIDI}<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>16384</max-bytes></limits>"
    ))
}

#[test]
fn rfc6120_9_2_a_server_secures_its_stream_and_logs_in_by_certificate() {
    let mut world = World::inbound(settings());
    world.send(&from_capulet());
    assert_eq!(world.heard(), our_answer() + REQUIRED);
    world.send(STARTTLS);
    assert_eq!(
        world.heard(),
        "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    );
    assert_eq!(world.noted(), ["start tls"]);
    assert!(!world.stream.reads());
    world.tls(certificate(&["capulet.lit"]));
    world.send(&from_capulet());
    assert_eq!(world.heard(), our_answer() + &proven_features());
    world.send(AUTH);
    assert_eq!(world.heard(), SUCCESS);
    assert_eq!(world.authenticated, []);
    world.send(&from_capulet());
    let after = features(&format!(
        "{SM}{DIALBACK}<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>16384</max-bytes></limits>"
    ));
    assert_eq!(world.heard(), our_answer() + &after);
    assert_eq!(world.authenticated, [(ours(), Ways::In, Method::External)]);
    assert!(world.closed.is_none());
    world.send(END);
    assert_eq!(world.heard(), END);
    assert_eq!(world.ending(), Some(&Ending::Finished(crate::By::Peer)));
}

#[test]
fn xep0368_direct_tls_begins_with_the_header_and_offers_no_starttls() {
    let mut world = World::inbound_tls(settings(), certificate(&["capulet.lit"]));
    world.send(&from_capulet());
    assert_eq!(world.heard(), our_answer() + &proven_features());
    world.send(STARTTLS);
    assert!(
        world
            .heard()
            .starts_with("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    );
}

#[test]
fn xep0178_3_the_authorization_identity_is_the_domain_of_the_header_or_nothing() {
    for (auth, succeeds) in [
        ("=", true),
        // capulet.lit
        ("Y2FwdWxldC5saXQ=", true),
        // CAPULET.lit
        ("Q0FQVUxFVC5saXQ=", true),
        // verona.lit
        ("dmVyb25hLmxpdA==", false),
        // montague.lit
        ("bW9udGFndWUubGl0", false),
        // juliet@capulet.lit
        ("anVsaWV0QGNhcHVsZXQubGl0", false),
    ] {
        let mut world = World::inbound_tls(settings(), certificate(&["capulet.lit", "verona.lit"]));
        world.send(&from_capulet());
        world.heard();
        world.send(&AUTH.replace(">=<", &format!(">{auth}<")));
        assert_eq!(world.heard() == SUCCESS, succeeds, "{auth}");
    }
}

#[test]
fn rfc6120_6_4_2_a_peer_without_initial_response_is_asked_for_it() {
    let mut world = World::inbound_tls(settings(), certificate(&["capulet.lit"]));
    world.send(&from_capulet());
    world.heard();
    world.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>");
    assert_eq!(
        world.heard(),
        "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
    );
    world.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</response>");
    assert_eq!(world.heard(), SUCCESS);
}

#[test]
fn rfc6120_6_5_logins_that_cannot_be_fail_and_too_many_end_the_stream() {
    let failure = |condition: &str| {
        format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>")
    };
    let mut world = World::inbound_tls(settings(), certificate(&["verona.lit"]));
    world.send(&from_capulet());
    assert!(!world.heard().contains("EXTERNAL"));
    world.send(AUTH);
    assert_eq!(world.heard(), failure("invalid-mechanism"));
    world.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</response>");
    assert_eq!(world.heard(), failure("malformed-request"));
    world.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AAA=</auth>");
    let end = error("policy-violation", "Too many failed logins.");
    assert_eq!(world.heard(), failure("invalid-mechanism") + &end);
    assert!(world.authenticated.is_empty());
}

#[test]
fn certificates_that_prove_nothing_offer_no_login() {
    for fault in [
        CertificateFault::Absent,
        CertificateFault::Expired,
        CertificateFault::NotYetValid,
        CertificateFault::UnknownAuthority,
        CertificateFault::Revoked,
        CertificateFault::Unusable("it is upside down".into()),
    ] {
        let mut world = World::inbound_tls(settings(), faulty(fault.clone()));
        world.send(&from_capulet());
        assert!(!world.heard().contains("mechanism"), "{fault}");
        assert_eq!(world.stream.record().tls, Some((TlsVersion::Tls13, Err(fault))));
    }
}

#[test]
fn the_login_fixes_both_domains_for_the_stream_after_it() {
    for (header, condition, text) in [
        (
            "from='capulet.lit' to='chats.montague.lit'",
            "not-authorized",
            "The login was for another domain.",
        ),
        (
            "from='verona.lit' to='montague.lit'",
            "invalid-from",
            "The login was in the name of another domain.",
        ),
    ] {
        let mut world = World::inbound_tls(settings(), certificate(&["capulet.lit", "verona.lit"]));
        world.send(&(from_capulet() + AUTH));
        world.heard();
        world.send(&peer_header(header));
        assert!(world.heard().ends_with(&error(condition, text)), "{header}");
        assert!(world.authenticated.is_empty());
    }
    let mut world = World::inbound_tls(settings(), certificate(&["capulet.lit"]));
    world.send(&(from_capulet() + AUTH + &peer_header("")));
    assert_eq!(world.authenticated, [(ours(), Ways::In, Method::External)]);
}

#[test]
fn rfc6120_4_9_3_headers_that_cannot_be_answered_are_answered_with_an_error() {
    for (header, condition) in [
        (peer_header("from='capulet.lit' to='verona.lit'"), "host-unknown"),
        (peer_header("from='capulet.lit'"), "host-unknown"),
        (
            peer_header("from='capulet.lit' to='romeo@montague.lit'"),
            "improper-addressing",
        ),
        (
            peer_header("from='juliet@capulet.lit' to='montague.lit'"),
            "improper-addressing",
        ),
        (
            peer_header("from='a@b@c' to='montague.lit'"),
            "improper-addressing",
        ),
        (
            peer_header("from='chats.montague.lit' to='montague.lit'"),
            "invalid-from",
        ),
        (
            from_capulet().replace("jabber:server'", "jabber:client'"),
            "invalid-namespace",
        ),
        (
            from_capulet().replace(" version='1.0'>", ">"),
            "unsupported-version",
        ),
        (from_capulet().replace("etherx", "other"), "invalid-namespace"),
        ("<stream".to_owned() + &"x".repeat(5000), "policy-violation"),
        ("<!DOCTYPE x>".to_owned(), "restricted-xml"),
    ] {
        let mut world = World::inbound(settings());
        world.send(&header);
        let heard = world.heard();
        assert!(
            heard.starts_with("<?xml version='1.0'?><stream:stream "),
            "{header}: {heard}"
        );
        assert!(
            heard.contains(&format!("<stream:error><{condition} ")),
            "{header}: {heard}"
        );
        assert!(heard.ends_with(END));
        assert!(matches!(world.ending(), Some(Ending::Error(_))));
    }
}

#[test]
fn rfc6120_4_7_2_tls_may_name_the_host() {
    let settings = settings();
    let mut world = World::with(Stream::inbound(Transport::DirectTls, &settings), settings);
    world.input(Input::TlsEstablished(Tls {
        version: TlsVersion::Tls12,
        certificate: certificate(&["capulet.lit"]),
        sni: Some("Montague.lit".into()),
    }));
    world.send(&peer_header("from='capulet.lit'"));
    assert_eq!(world.heard(), our_answer() + &proven_features());
}

#[test]
fn a_blocked_domain_gets_no_further_than_its_header() {
    let mut settings = settings();
    let blocked = Policy {
        admission: Admission::Blocked,
        ..Policy::default()
    };
    settings
        .policies
        .by_domain
        .insert(address("capulet.lit"), blocked);
    let mut world = World::inbound(settings);
    world.send(&from_capulet());
    let end = error("policy-violation", "This server does not talk to that domain.");
    assert_eq!(world.heard(), our_answer() + &end);
}

#[test]
fn rfc6120_5_3_1_where_tls_is_required_nothing_goes_before_it() {
    for (element, end) in [
        (AUTH, "not-authorized"),
        (
            "<message from='a@capulet.lit' to='b@montague.lit'/>",
            "not-authorized",
        ),
        (
            "<db:result from='capulet.lit' to='montague.lit'>1</db:result>",
            "policy-violation",
        ),
        (
            "<db:verify from='capulet.lit' to='montague.lit' id='1'>1</db:verify>",
            "policy-violation",
        ),
        (ENABLE, "policy-violation"),
    ] {
        let mut world = World::inbound(settings());
        world.send(&from_capulet());
        world.heard();
        world.send(element);
        assert!(
            world.heard().starts_with(&format!("<stream:error><{end} ")),
            "{element}"
        );
        assert!(world.verify.is_empty());
    }
}

#[test]
fn plaintext_behind_starttls_ends_the_stream() {
    let mut world = World::inbound(settings());
    world.send(&from_capulet());
    world.heard();
    world.send(&(STARTTLS.to_owned() + &from_capulet()));
    assert_eq!(
        world.heard(),
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".to_owned() + END
    );
    let mut world = World::inbound(settings());
    world.send(&(from_capulet() + STARTTLS));
    world.heard();
    world.send(" ");
    assert_eq!(world.heard(), "", "nothing can be said before the handshake");
    assert!(matches!(world.ending(), Some(Ending::Error(_))));
}

#[test]
fn the_policy_of_the_domain_decides_whether_tls_comes_first() {
    let optional = policy(Authentication::CertificateOrDialback, Encryption::Optional);
    let mut world = World::inbound(optional.clone());
    world.send(&from_capulet());
    let heard = world.heard();
    assert!(heard.contains(STARTTLS) && heard.contains("<errors/>"), "{heard}");
    world.send(STARTTLS);
    assert_eq!(world.noted(), ["start tls"]);

    let mut strict = optional.clone();
    strict
        .policies
        .by_domain
        .insert(address("capulet.lit"), Policy::default());
    let mut world = World::inbound(strict);
    world.send(&from_capulet());
    assert_eq!(world.heard(), our_answer() + REQUIRED);

    let mut bare = optional;
    bare.certificates = Certificates::Missing;
    let mut world = World::inbound(bare.clone());
    world.send(&from_capulet());
    assert!(!world.heard().contains("starttls"));
    bare.policies.usual = Policy::default();
    let mut world = World::inbound(bare);
    world.send(&from_capulet());
    assert!(world.heard().contains("<policy-violation "));
}

#[test]
fn strangers_have_a_deadline_and_a_budget() {
    for before in [String::new(), from_capulet(), from_capulet() + STARTTLS] {
        let mut world = World::inbound(settings());
        world.send(&before);
        world.pass(29);
        assert!(world.closed.is_none());
        world.pass(1);
        assert!(world.closed.is_some(), "{before}");
    }
    let mut world = World::inbound_tls(settings(), certificate(&["capulet.lit"]));
    world.send(&(from_capulet() + AUTH));
    world.pass(30);
    assert!(world.closed.is_some(), "a login without a stream after it");

    let mut world = World::inbound_tls(settings(), certificate(&[]));
    world.send(&from_capulet());
    for _ in 0..300 {
        world.send("<db:verify from='capulet.lit' to='montague.lit' id='1'>1</db:verify>");
    }
    assert!(
        world
            .heard()
            .contains("Too much was sent before any domain was authenticated.")
    );
    assert!(world.stream.held_bytes() < 10_000);
}

#[test]
fn a_login_ends_deadline_and_budget() {
    let mut world = World::logged_in(settings(), "");
    for id in 0..1000 {
        world.send(&format!(
            "<message from='juliet@capulet.lit' to='romeo@montague.lit' id='{id}'/>"
        ));
    }
    assert_eq!(world.routed.len(), 1000);
    world.pass(29);
    assert!(world.closed.is_none());
}

#[test]
fn a_peer_that_reports_an_error_is_heard() {
    let mut world = World::logged_in(settings(), "");
    world.send("<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
    assert_eq!(world.heard(), END);
    let ending = Ending::PeerError(stanza::StreamCondition::SystemShutdown.into());
    assert_eq!(world.ending(), Some(&ending));
    assert_eq!(world.stream.record().ending, Some(ending));
}

#[test]
fn inputs_that_nobody_waits_for_change_nothing() {
    let mut world = World::inbound(settings());
    for input in [
        Input::Answered,
        Input::Check,
        Input::Resumption(None),
        Input::Superseded,
        Input::Drained {
            stanzas: 1,
            more: false,
        },
        Input::Wake,
        Input::Connected,
        Input::Authorize(ours()),
    ] {
        world.input(input);
    }
    assert_eq!(world.heard(), "");
    assert_eq!(world.noted(), Vec::<String>::new());
    world.input(Input::PeerClosed);
    assert_eq!(
        world.closed.as_ref().unwrap().authorize,
        [ours()],
        "what was asked for comes back"
    );
    let mut out = crate::Output::default();
    out.effects.push(Effect::Alive);
    out.clear();
    assert!(out.effects.is_empty());
}
