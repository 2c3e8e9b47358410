//! Dialback in its three roles, over one stream or several (XEP-0220, XEP-0288 §2.2).

use super::world::*;
use crate::dialback::Key;
use crate::{
    Authentication, DialbackError, Encryption, Ending, Errand, Input, Method, Obstacle, Pair, Verdict,
    Verification, Ways,
};

/// capulet.lit, on TLS with a certificate that proves nothing.
fn unproven() -> World {
    let mut world = World::inbound_tls(settings(), certificate(&[]));
    world.send(&from_capulet());
    world.heard();
    world
}

fn asks(from: &str, to: &str) -> String {
    format!("<db:result from='{from}' to='{to}'>1e701f120f66824b57303384e83b51feba858024</db:result>")
}

/// What the stream is expected to ask the authoritative server.
fn question(pair: Pair) -> Verification {
    Verification {
        pair,
        stream: TOKEN.into(),
        key: Key::new("1e701f120f66824b57303384e83b51feba858024"),
    }
}

fn answer(from: &str, to: &str, condition: &str, kind: &str) -> String {
    format!(
        "<db:result from='{from}' to='{to}' type='error'><error type='{kind}'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"
    )
}

const VALID: &str = "<db:result from='montague.lit' to='capulet.lit' type='valid'/>";

#[test]
fn xep0220_2_2_1_a_key_is_judged_by_the_authoritative_server() {
    let mut world = unproven();
    world.send(&asks("capulet.lit", "montague.lit"));
    assert_eq!(world.heard(), "");
    assert_eq!(world.verify, [question(ours())]);
    world.send(&asks("capulet.lit", "montague.lit"));
    assert_eq!(world.verify.len(), 1, "once is enough");
    world.input(Input::Verified {
        verification: question(ours()),
        verdict: Verdict::Valid,
    });
    assert_eq!(world.heard(), VALID);
    assert_eq!(world.authenticated, [(ours(), Ways::In, Method::Dialback)]);
    world.send(&asks("capulet.lit", "montague.lit"));
    assert_eq!(world.heard(), VALID, "what is known is not asked again");
    assert_eq!(world.verify.len(), 1);
}

#[test]
fn xep0220_2_5_every_verdict_has_its_answer() {
    for (verdict, condition, kind) in [
        (Verdict::NotFound, "remote-server-not-found", "cancel"),
        (Verdict::Unreachable, "remote-connection-failed", "wait"),
        (Verdict::TimedOut, "remote-server-timeout", "wait"),
    ] {
        let mut world = unproven();
        world.send(&asks("capulet.lit", "montague.lit"));
        let verification = question(ours());
        world.input(Input::Verified {
            verification: verification.clone(),
            verdict,
        });
        assert_eq!(
            world.heard(),
            answer("montague.lit", "capulet.lit", condition, kind)
        );
        assert!(world.closed.is_none() && world.authenticated.is_empty());
        world.input(Input::Verified {
            verification,
            verdict: Verdict::Valid,
        });
        assert!(world.authenticated.is_empty(), "a second verdict is none");
    }
}

#[test]
fn xep0220_2_2_1_a_forged_key_ends_a_stream_that_carries_nothing_else() {
    let mut world = unproven();
    world.send(&asks("capulet.lit", "montague.lit"));
    world.input(Input::Verified {
        verification: question(ours()),
        verdict: Verdict::Invalid,
    });
    let invalid = "<db:result from='montague.lit' to='capulet.lit' type='invalid'/>";
    assert_eq!(world.heard(), invalid.to_owned() + END);
    assert_eq!(world.ending(), Some(&Ending::Failed(Obstacle::DialbackInvalid)));

    let mut world = World::logged_in(settings(), "");
    world.send(&asks("verona.lit", "montague.lit"));
    world.input(Input::Verified {
        verification: question(pair("montague.lit", "verona.lit")),
        verdict: Verdict::Invalid,
    });
    assert_eq!(
        world.heard(),
        answer("montague.lit", "verona.lit", "forbidden", "auth")
    );
    assert!(world.closed.is_none());
}

#[test]
fn xep0220_2_5_what_cannot_be_accepted_is_declined_without_asking() {
    let mut blocked = settings();
    let policy = crate::Policy {
        admission: crate::Admission::Blocked,
        ..crate::Policy::default()
    };
    blocked.policies.by_domain.insert(address("verona.lit"), policy);
    let certified = super::world::policy(Authentication::Certificate, Encryption::Required);
    for (settings, from, to, condition, kind) in [
        (
            settings(),
            "capulet.lit",
            "verona.lit",
            "item-not-found",
            "cancel",
        ),
        (
            settings(),
            "chats.montague.lit",
            "montague.lit",
            "not-acceptable",
            "cancel",
        ),
        (
            blocked,
            "verona.lit",
            "montague.lit",
            "policy-violation",
            "cancel",
        ),
        (certified, "capulet.lit", "montague.lit", "not-authorized", "auth"),
    ] {
        let mut world = World::inbound_tls(settings, certificate(&[]));
        world.send(&from_capulet());
        world.heard();
        world.send(&asks(from, to));
        assert_eq!(world.heard(), answer(to, from, condition, kind));
        assert!(world.verify.is_empty() && world.closed.is_none());
    }
}

#[test]
fn xep0220_2_5_the_domain_that_requires_tls_is_not_believed_without() {
    let mut settings = policy(Authentication::CertificateOrDialback, Encryption::Optional);
    settings
        .policies
        .by_domain
        .insert(address("verona.lit"), crate::Policy::default());
    let mut world = World::inbound(settings);
    world.send(&from_capulet());
    world.heard();
    world.send(&asks("verona.lit", "montague.lit"));
    assert_eq!(
        world.heard(),
        answer("montague.lit", "verona.lit", "policy-violation", "cancel")
    );
    world.send(&asks("capulet.lit", "montague.lit"));
    assert_eq!(world.verify, [question(ours())]);
}

#[test]
fn xep0344_2_4_a_certificate_says_what_asking_back_would_say() {
    let certified = policy(Authentication::Certificate, Encryption::Required);
    let mut world = World::inbound_tls(certified, certificate(&["capulet.lit", "*.capulet.lit"]));
    world.send(
        &(from_capulet() + &asks("capulet.lit", "montague.lit") + &asks("chats.capulet.lit", "montague.lit")),
    );
    assert!(world.verify.is_empty());
    let method = Method::CertificateByDialback;
    let chats = pair("montague.lit", "chats.capulet.lit");
    assert_eq!(
        world.authenticated,
        [(ours(), Ways::In, method), (chats, Ways::In, method)]
    );
}

#[test]
fn xep0220_2_6_many_pairs_share_a_stream_and_too_many_are_refused() {
    let mut world = unproven();
    for domain in ["a.lit", "b.lit", "c.lit", "d.lit", "e.lit"] {
        world.send(&asks(domain, "montague.lit"));
    }
    assert_eq!(world.verify.len(), 4);
    assert_eq!(
        world.heard(),
        answer("montague.lit", "e.lit", "resource-constraint", "wait")
    );
    for verification in world.verify.clone() {
        world.input(Input::Verified {
            verification,
            verdict: Verdict::Valid,
        });
    }
    assert_eq!(world.authenticated.len(), 4);
    world.heard();
    world.send(&asks("a.lit", "chats.montague.lit"));
    assert_eq!(
        world.heard(),
        answer("chats.montague.lit", "a.lit", "resource-constraint", "wait")
    );
}

#[test]
fn xep0220_2_1_1_a_verdict_that_does_not_come_counts_as_a_timeout() {
    let mut world = World::logged_in(settings(), "");
    world.send(&asks("verona.lit", "montague.lit"));
    world.pass(20);
    assert_eq!(
        world.heard(),
        answer("montague.lit", "verona.lit", "remote-server-timeout", "wait")
    );
    world.input(Input::Verified {
        verification: question(pair("montague.lit", "verona.lit")),
        verdict: Verdict::Valid,
    });
    assert_eq!(world.authenticated.len(), 1);
}

#[test]
fn xep0220_2_2_2_we_know_our_own_keys_and_no_others() {
    // The examples of the XEP, with its secret.
    let mut settings = settings();
    settings.hosts.insert(address("montague.example"));
    let mut world = World::inbound_tls(settings, certificate(&[]));
    world.send(&peer_header("from='capulet.example' to='montague.example'"));
    world.heard();
    let key = "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d";
    let verify = |from: &str, to: &str, id: &str, key: &str| {
        format!("<db:verify from='{from}' id='{id}' to='{to}'>\n {key}\n</db:verify>")
    };
    for (from, id, key, verdict) in [
        ("capulet.example", "417GAF25", key, "valid"),
        ("capulet.example", "417GAF26", key, "invalid"),
        ("verona.example", "417GAF25", key, "invalid"),
        ("capulet.example", "417GAF25", "", "invalid"),
        ("capulet.example", "417GAF25", &key[1..], "invalid"),
    ] {
        world.send(&verify(from, "montague.example", id, key));
        let expected = format!("<db:verify from='montague.example' to='{from}' id='{id}' type='{verdict}'/>");
        assert_eq!(world.heard(), expected);
    }
    world.send(&verify("capulet.example", "verona.example", "1", key));
    assert!(
        world
            .heard()
            .contains("type='error'><error type='cancel'><item-not-found ")
    );
    assert!(world.closed.is_none());
    assert!(world.authenticated.is_empty(), "to ask is not to be anybody");
}

#[test]
fn xep0220_2_1_2_keys_are_shown_to_the_authoritative_server_and_the_connection_closed() {
    let verification = Verification {
        pair: ours(),
        stream: "417GAF25".into(),
        key: Key::new("225cc5aa"),
    };
    let errand = Errand {
        authorize: Vec::new(),
        verify: vec![verification.clone()],
        ..errand()
    };
    for (said, verdict) in [
        ("type='valid'/>", Verdict::Valid),
        ("type='invalid'/>", Verdict::Invalid),
        (
            "type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             </error></db:verify>",
            Verdict::NotFound,
        ),
    ] {
        // Whatever certificate the authoritative server has: it is DNS that is believed here.
        let mut world = World::outbound_tls(errand.clone(), settings(), certificate(&[]));
        world.send(&(answer_of_capulet() + &features(&(EXTERNAL.to_owned() + DIALBACK + BIDI))));
        assert_eq!(
            world.heard(),
            "<db:verify from='montague.lit' to='capulet.lit' id='417GAF25'>225cc5aa</db:verify>"
        );
        world.send(&format!(
            "<db:verify from='capulet.lit' to='montague.lit' id='417GAF25' {said}"
        ));
        assert_eq!(world.answered, [(verification.clone(), verdict)]);
        assert_eq!(world.heard(), END);
        assert!(world.authenticated.is_empty() && world.refused.is_empty());
    }
    let mut world = World::outbound_tls(errand.clone(), settings(), certificate(&[]));
    world.send(&(answer_of_capulet() + &features("")));
    world.input(Input::PeerClosed);
    assert_eq!(
        world.closed.as_ref().unwrap().verify,
        std::slice::from_ref(&verification)
    );
    let mut world = World::outbound_tls(errand, settings(), certificate(&[]));
    world.send(&(answer_of_capulet() + &features("")));
    world.pass(20);
    assert_eq!(world.answered, [(verification, Verdict::TimedOut)]);
}

#[test]
fn xep0220_3_1_answers_that_nobody_asked_for_are_dropped() {
    let unsolicited = |world: &mut World, said: &str| {
        world.send(said);
        assert_eq!(world.heard(), "", "{said}");
        assert_eq!(world.noted().len(), 1, "{said}");
        assert!(world.closed.is_none() && world.answered.is_empty());
    };
    // On a stream where nothing was asked at all.
    let mut world = unproven();
    world.send(&asks("capulet.lit", "montague.lit"));
    for said in [
        VALID.to_owned(),
        "<db:result from='capulet.lit' to='montague.lit' type='valid'/>".to_owned(),
        format!("<db:verify from='capulet.lit' to='montague.lit' id='{TOKEN}' type='valid'/>"),
        "<db:result from='capulet.lit' to='montague.lit' type='invalid'/>".to_owned(),
        "<db:result from='capulet.lit' to='montague.lit' type='error'/>".to_owned(),
    ] {
        unsolicited(&mut world, &said);
    }
    assert!(world.authenticated.is_empty());

    // About other pairs and other streams than were asked about.
    let verification = question(pair("montague.lit", "verona.lit"));
    let errand = Errand {
        verify: vec![Verification {
            stream: "417GAF25".into(),
            ..verification
        }],
        ..errand()
    };
    let mut world = World::outbound_tls(errand, settings(), certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features(DIALBACK)));
    world.heard();
    for said in [
        "<db:result from='verona.lit' to='montague.lit' type='valid'/>",
        "<db:result from='capulet.lit' to='chats.montague.lit' type='valid'/>",
        "<db:result from='montague.lit' to='capulet.lit' type='valid'/>",
        "<db:verify from='verona.lit' to='montague.lit' id='417GAF26' type='valid'/>",
        "<db:verify from='capulet.lit' to='montague.lit' id='417GAF25' type='valid'/>",
    ] {
        unsolicited(&mut world, said);
    }
    assert!(world.authenticated.is_empty());
    // And the same answer twice.
    world.send("<db:result from='capulet.lit' to='montague.lit' type='valid'/>");
    assert_eq!(world.authenticated.len(), 1);
    unsolicited(
        &mut world,
        "<db:result from='capulet.lit' to='montague.lit' type='valid'/>",
    );
}

#[test]
fn a_verdict_about_another_stream_counts_for_nothing_here() {
    let mut world = unproven();
    world.send(&asks("capulet.lit", "montague.lit"));
    for verification in [
        Verification {
            stream: "another".into(),
            ..question(ours())
        },
        question(pair("montague.lit", "verona.lit")),
        question(pair("chats.montague.lit", "capulet.lit")),
    ] {
        world.input(Input::Verified {
            verification,
            verdict: Verdict::Valid,
        });
    }
    assert_eq!(world.heard(), "");
    assert!(world.authenticated.is_empty());
}

#[test]
fn xep0288_2_2_whoever_shows_a_key_is_not_asked_about_it_on_the_same_connection() {
    let mut world = World::accepted(errand(), settings(), DIALBACK);
    world.send(&asks("chats.capulet.lit", "montague.lit"));
    let asked = world.verify.remove(0);
    assert_eq!(asked.stream, "D60000229F");
    world.heard();
    world.input(Input::Verify(asked.clone()));
    assert_eq!(world.heard(), "");
    assert_eq!(world.answered, [(asked, Verdict::Unreachable)]);
}

#[test]
fn xep0288_2_2_more_pairs_in_both_directions() {
    // We are the receiving side, and have another domain.
    let mut world = World::logged_in(settings(), "<bidi xmlns='urn:xmpp:bidi'/>");
    assert_eq!(world.authenticated, [(ours(), Ways::Both, Method::External)]);
    let chats = pair("chats.montague.lit", "capulet.lit");
    world.input(Input::Authorize(chats.clone()));
    assert!(
        world
            .heard()
            .starts_with("<db:result from='chats.montague.lit' to='capulet.lit'>")
    );
    world.send("<db:result from='capulet.lit' to='chats.montague.lit' type='valid'/>");
    assert_eq!(world.authenticated[1], (chats, Ways::Both, Method::Dialback));
    // Not to domains that this peer has not proven to be.
    let verona = pair("montague.lit", "verona.lit");
    world.input(Input::Authorize(verona.clone()));
    assert_eq!(world.refused, [(verona, Obstacle::OneWay)]);

    // The peer is the receiving side, and has another domain.
    let mut world = World::accepted(errand(), settings(), DIALBACK);
    assert_eq!(world.authenticated, [(ours(), Ways::Both, Method::External)]);
    world.send(&asks("chats.capulet.lit", "montague.lit"));
    let verification = world.verify.remove(0);
    world.input(Input::Verified {
        verification,
        verdict: Verdict::Valid,
    });
    let chats = pair("montague.lit", "chats.capulet.lit");
    assert_eq!(world.authenticated[1], (chats, Ways::Both, Method::Dialback));
}

#[test]
fn a_stream_of_one_way_is_not_asked_to_be_of_two() {
    let mut world = World::logged_in(settings(), "");
    world.input(Input::Authorize(ours()));
    assert_eq!(world.refused, [(ours(), Obstacle::OneWay)]);

    let mut world = World::outbound_tls(errand(), settings(), certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features(EXTERNAL) + SUCCESS + &answer_of_capulet() + &features("")));
    world.heard();
    world.send(&asks("capulet.lit", "montague.lit"));
    assert_eq!(
        world.heard(),
        answer("montague.lit", "capulet.lit", "not-acceptable", "cancel")
    );

    // Too late: somebody is authenticated.
    let mut world = World::logged_in(settings(), "");
    world.send("<bidi xmlns='urn:xmpp:bidi'/>");
    world.input(Input::Authorize(ours()));
    assert_eq!(world.refused, [(ours(), Obstacle::OneWay)]);
}

#[test]
fn xep0220_2_6_2_other_targets_are_asked_for_only_where_errors_do_not_hurt() {
    let chats = pair("montague.lit", "chats.capulet.lit");
    let mut world = World::accepted(
        errand(),
        settings(),
        "<dialback xmlns='urn:xmpp:features:dialback'/>",
    );
    world.heard();
    world.input(Input::Authorize(chats.clone()));
    assert_eq!(world.refused, [(chats.clone(), Obstacle::OnePairOnly)]);
    // Other senders may always be.
    world.input(Input::Authorize(pair("chats.montague.lit", "capulet.lit")));
    assert!(
        world
            .heard()
            .starts_with("<db:result from='chats.montague.lit' to='capulet.lit'>")
    );

    let mut world = World::accepted(errand(), settings(), DIALBACK);
    world.heard();
    world.input(Input::Authorize(chats.clone()));
    assert!(
        world
            .heard()
            .starts_with("<db:result from='montague.lit' to='chats.capulet.lit'>")
    );
    world.send(
        "<db:result from='chats.capulet.lit' to='montague.lit' type='error'><error type='cancel'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
    );
    assert_eq!(
        world.refused,
        [(chats, Obstacle::DialbackRefused(DialbackError::ItemNotFound))]
    );
    assert!(world.closed.is_none());
}

#[test]
fn another_target_must_prove_itself_as_the_first_did() {
    let certified = policy(Authentication::Certificate, Encryption::Required);
    let mut world = World::accepted(errand(), certified, DIALBACK);
    let chats = pair("montague.lit", "chats.capulet.lit");
    world.input(Input::Authorize(chats.clone()));
    let obstacle = Obstacle::Certificate(crate::CertificateFault::WrongName);
    assert_eq!(world.refused, [(chats, obstacle)]);
}

#[test]
fn malformed_dialback_ends_the_stream() {
    for said in [
        "<db:result to='montague.lit'>1</db:result>",
        "<db:result from='capulet.lit' to='montague.lit' type='perhaps'/>",
        "<db:verify from='capulet.lit' to='montague.lit'>1</db:verify>",
    ] {
        let mut world = unproven();
        world.send(said);
        assert!(world.heard().contains("<improper-addressing "), "{said}");
    }
    let mut world = unproven();
    world.send("<db:other/>");
    assert!(world.heard().contains("<unsupported-stanza-type "));
}
