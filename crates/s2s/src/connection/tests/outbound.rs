//! Connections that we open, up to the first pair.

use super::world::*;
use crate::{
    Authentication, By, CertificateFault, DialbackError, Encryption, Ending, Errand, Input, Method, Obstacle,
    Policy, Step, Stream, TlsVersion, Transport, Ways,
};

const LOGIN: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>bW9udGFndWUubGl0</auth>";
const ASKS_BIDI: &str = "<bidi xmlns='urn:xmpp:bidi'/>";
const NOT_AUTHORIZED: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";

fn our_greeting() -> String {
    our_header("from='montague.lit' to='capulet.lit'")
}

fn key() -> String {
    let key = settings().secret.key(&ours(), "D60000229F");
    format!(
        "<db:result from='montague.lit' to='capulet.lit'>{}</db:result>",
        key.as_str()
    )
}

#[test]
fn rfc6120_9_2_we_secure_our_stream_and_log_in_by_certificate() {
    let mut world = World::outbound(settings());
    assert_eq!(world.heard(), our_greeting());
    world.send(&(answer_of_capulet() + &features(STARTTLS)));
    assert_eq!(world.heard(), STARTTLS);
    world.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(world.noted(), ["start tls"]);
    world.tls(certificate(&["capulet.lit"]));
    assert_eq!(world.heard(), our_greeting());
    world.send(&(answer_of_capulet() + &features(&(EXTERNAL.to_owned() + DIALBACK))));
    assert_eq!(world.heard(), LOGIN);
    world.send(SUCCESS);
    assert_eq!(world.heard(), our_greeting());
    assert_eq!(world.authenticated, []);
    world.send(&(answer_of_capulet() + &features("")));
    assert_eq!(world.authenticated, [(ours(), Ways::Out, Method::External)]);
    let record = world.stream.record();
    assert_eq!(record.step, Step::Established);
    assert_eq!(record.tls, Some((TlsVersion::Tls13, Ok(()))));
    assert_eq!(
        (record.starttls, record.dialback, record.method),
        (true, true, Some(Method::External))
    );
}

#[test]
fn xep0368_direct_tls_goes_without_starttls() {
    let settings = settings();
    let mut world = World::with(
        Stream::outbound(Transport::DirectTls, errand(), &settings),
        settings,
    );
    assert_eq!(world.heard(), "");
    world.tls(certificate(&["capulet.lit"]));
    assert_eq!(world.heard(), our_greeting());
}

#[test]
fn xep0288_2_2_both_ways_are_asked_for_before_the_login() {
    let mut world = World::outbound_tls(errand(), settings(), certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features(&(EXTERNAL.to_owned() + BIDI))));
    assert_eq!(world.heard(), ASKS_BIDI.to_owned() + LOGIN);
    world.send(&(SUCCESS.to_owned() + &answer_of_capulet() + &features(BIDI)));
    assert_eq!(world.heard(), our_greeting(), "and not once more");
    assert_eq!(world.authenticated, [(ours(), Ways::Both, Method::External)]);
}

#[test]
fn xep0220_2_1_1_without_a_login_dialback_is_used() {
    let mut world = World::outbound_tls(errand(), settings(), certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features(DIALBACK)));
    assert_eq!(world.heard(), key());
    world.send("<db:result from='capulet.lit' to='montague.lit' type='valid'/>");
    assert_eq!(world.authenticated, [(ours(), Ways::Out, Method::Dialback)]);
}

#[test]
fn xep0220_2_4_1_the_namespace_in_the_header_is_enough() {
    let mut world = World::outbound_tls(errand(), settings(), certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features("")));
    assert_eq!(world.heard(), key());
}

#[test]
fn xep0178_3_a_refused_login_goes_on_with_dialback() {
    let mut world = World::outbound_tls(errand(), settings(), certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features(&(EXTERNAL.to_owned() + DIALBACK))));
    world.heard();
    world.send(NOT_AUTHORIZED);
    assert_eq!(world.heard(), key());
    world.send("<db:result from='capulet.lit' to='montague.lit' type='valid'/>");
    assert_eq!(world.authenticated.len(), 1);
    assert_eq!(world.stream.record().obstacle, None);
}

#[test]
fn every_obstacle_has_its_name() {
    let no_dialback = |text: String| text.replace("xmlns:db='jabber:server:dialback'", "");
    let bare = |offer: &str| no_dialback(answer_of_capulet()) + &features(offer);
    let certified = policy(Authentication::Certificate, Encryption::Required);
    let result = |rest: &str| {
        answer_of_capulet()
            + &features(DIALBACK)
            + &format!("<db:result from='capulet.lit' to='montague.lit' type='{rest}")
    };
    let expired = || faulty(CertificateFault::Expired);
    let good = || certificate(&["capulet.lit"]);
    for (settings, certificate, said, obstacle) in [
        (
            settings(),
            None,
            answer_of_capulet() + &features(DIALBACK),
            Obstacle::TlsNotOffered,
        ),
        (
            settings(),
            None,
            answer_of_capulet()
                + &features(STARTTLS)
                + "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>",
            Obstacle::TlsRefused,
        ),
        (
            certified.clone(),
            Some(expired()),
            answer_of_capulet() + &features(EXTERNAL),
            Obstacle::Certificate(CertificateFault::Expired),
        ),
        (
            certified,
            Some(super::world::certificate(&["verona.lit"])),
            answer_of_capulet() + &features(DIALBACK),
            Obstacle::Certificate(CertificateFault::WrongName),
        ),
        (
            settings(),
            Some(good()),
            answer_of_capulet().replace("from='capulet.lit'", "from='verona.lit'") + &features(EXTERNAL),
            Obstacle::WrongHost("verona.lit".into()),
        ),
        (settings(), Some(good()), bare(""), Obstacle::NoMechanism),
        (
            settings(),
            Some(good()),
            bare(EXTERNAL) + NOT_AUTHORIZED,
            Obstacle::LoginRefused("not-authorized".into()),
        ),
        (
            settings(),
            Some(expired()),
            result("invalid'/>"),
            Obstacle::DialbackInvalid,
        ),
        (
            settings(),
            Some(good()),
            result(
                "error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>\
                 </db:result>",
            ),
            Obstacle::DialbackRefused(DialbackError::ItemNotFound),
        ),
    ] {
        let mut world = match certificate {
            None => World::outbound(settings),
            Some(certificate) => World::outbound_tls(errand(), settings, certificate),
        };
        world.send(&said);
        assert_eq!(world.ending(), Some(&Ending::Failed(obstacle.clone())));
        assert!(world.heard().ends_with(END), "{obstacle:?}");
        assert_eq!(world.stream.record().obstacle, Some(obstacle));
        assert_eq!(world.authenticated, []);
    }
}

#[test]
fn a_peer_that_falls_silent_is_left_with_a_note_how_far_it_came() {
    for (said, step) in [
        (String::new(), Step::Connected),
        (answer_of_capulet(), Step::Header),
        (answer_of_capulet() + &features(STARTTLS), Step::Header),
        (
            answer_of_capulet() + &features(STARTTLS) + "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            Step::Tls,
        ),
    ] {
        let mut world = World::outbound(settings());
        world.send(&said);
        world.pass(30);
        assert_eq!(world.ending(), Some(&Ending::Failed(Obstacle::TimedOut(step))));
        assert_eq!(world.closed.as_ref().unwrap().authorize, [ours()]);
    }
    let mut world = World::outbound_tls(errand(), settings(), certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features(DIALBACK)));
    world.pass(20);
    assert_eq!(world.ending(), Some(&Ending::Failed(Obstacle::DialbackTimedOut)));
    assert_eq!(world.refused, [(ours(), Obstacle::DialbackTimedOut)]);
    assert_eq!(world.closed.as_ref().unwrap().authorize, []);
}

#[test]
fn plaintext_behind_proceed_ends_the_stream() {
    let mut world = World::outbound(settings());
    world.send(&(answer_of_capulet() + &features(STARTTLS)));
    world.heard();
    world.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><stream:features/>");
    assert!(world.heard().contains("<policy-violation "));
    assert_eq!(world.noted(), Vec::<String>::new());
}

#[test]
fn rfc6120_4_9_3_19_nobody_sends_us_elsewhere() {
    for before in [answer_of_capulet(), answer_of_capulet() + &features(DIALBACK)] {
        let mut world = World::outbound_tls(errand(), settings(), certificate(&["capulet.lit"]));
        world.send(&before);
        world.send(
            "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>evil.lit:5269\
             </see-other-host></stream:error></stream:stream>",
        );
        assert!(matches!(world.ending(), Some(Ending::PeerError(_))));
        assert_eq!(world.noted(), Vec::<String>::new());
        assert_eq!(world.closed.as_ref().unwrap().authorize, [ours()]);
    }
}

#[test]
fn rfc6120_4_7_1_an_error_in_another_name_is_that_error() {
    let mut world = World::outbound(settings());
    world.send(&answer_of_capulet().replace("from='capulet.lit'", "from='verona.lit'"));
    world.send("<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
    let error = stanza::StreamCondition::HostUnknown.into();
    assert_eq!(world.ending(), Some(&Ending::PeerError(error)));
    assert_eq!(world.stream.record().header_from.as_deref(), Some("verona.lit"));
}

#[test]
fn without_tls_nothing_is_said_to_a_domain_that_requires_it() {
    let optional = policy(Authentication::CertificateOrDialback, Encryption::Optional);
    let mut world = World::outbound(optional.clone());
    world.send(&(answer_of_capulet() + &features(DIALBACK)));
    assert!(world.heard().ends_with(&key()));

    let mut certified = optional.clone();
    certified.policies.usual.authentication = Authentication::Certificate;
    let mut world = World::outbound(certified);
    world.send(&(answer_of_capulet() + &features(DIALBACK)));
    assert_eq!(world.ending(), Some(&Ending::Failed(Obstacle::TlsNotOffered)));

    // A login without TLS means nothing.
    let mut world = World::outbound(optional);
    world.send(&(answer_of_capulet() + &features(EXTERNAL)));
    assert!(world.heard().ends_with(&key()));
}

#[test]
fn a_blocked_domain_is_told_nothing() {
    let mut settings = settings();
    let blocked = Policy {
        admission: crate::Admission::Blocked,
        ..Policy::default()
    };
    settings
        .policies
        .by_domain
        .insert(address("capulet.lit"), blocked);
    let mut world = World::outbound_tls(errand(), settings, certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features(EXTERNAL)));
    assert_eq!(world.ending(), Some(&Ending::Failed(Obstacle::Blocked)));
}

#[test]
fn a_connection_for_nothing_is_closed_in_order() {
    let nothing = Errand {
        authorize: Vec::new(),
        ..errand()
    };
    let mut world = World::outbound_tls(nothing, settings(), certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features(EXTERNAL)));
    assert_eq!(world.heard(), END);
    assert_eq!(world.ending(), Some(&Ending::Finished(By::Us)));
}

#[test]
fn what_is_asked_during_the_negotiation_is_done_after_it() {
    let mut world = World::outbound(settings());
    let chats = pair("chats.montague.lit", "capulet.lit");
    world.input(Input::Authorize(chats.clone()));
    world.send(
        &(answer_of_capulet() + &features(STARTTLS) + "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    );
    world.tls(certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features(&(EXTERNAL.to_owned() + DIALBACK)) + SUCCESS));
    world.heard();
    world.send(&(answer_of_capulet() + &features(DIALBACK)));
    assert!(
        world
            .heard()
            .starts_with("<db:result from='chats.montague.lit' to='capulet.lit'>")
    );
    world.send("<db:result from='capulet.lit' to='chats.montague.lit' type='valid'/>");
    assert_eq!(
        world.authenticated,
        [
            (chats, Ways::Out, Method::Dialback),
            (ours(), Ways::Out, Method::External)
        ]
    );
}

#[test]
fn rfc6120_4_3_5_features_that_come_again_change_nothing() {
    let mut world = World::accepted(errand(), settings(), "");
    world.send(&features(SM));
    assert_eq!(world.heard(), "");
    assert!(world.closed.is_none());
}
