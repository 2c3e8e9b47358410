//! Binding a resource.

use super::world::BIND_ORCHARD;
use super::{Ask, World};
use crate::Ending;
use stanza::Condition;
use stream_management::Signal;

fn bind(resource: &str) -> String {
    format!("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{resource}</bind></iq>")
}

fn bound(jid: &str) -> String {
    format!(
        "<iq id='b' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{jid}</jid></bind></iq>"
    )
}

fn refused(kind: &str, condition: &str) -> String {
    format!(
        "<iq id='b' type='error'><error type='{kind}'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
}

#[test]
fn rfc6120_7_6_7_7_the_client_chooses_or_lets_choose() {
    for (resource, asked, jid) in [
        ("", None, "romeo@montague.lit/chosen"),
        ("<resource/>", None, "romeo@montague.lit/chosen"),
        (
            "<resource>orchard</resource>",
            Some("orchard"),
            "romeo@montague.lit/orchard",
        ),
        (
            "<resource>a &lt; b/&apos;@</resource>",
            Some("a < b/'@"),
            "romeo@montague.lit/a &lt; b/'@",
        ),
        // RFC 7622 §3.4: resourceparts are normalised.
        (
            "<resource>e\u{301}</resource>",
            Some("\u{e9}"),
            "romeo@montague.lit/\u{e9}",
        ),
    ] {
        let mut world = World::logged_in();
        assert_eq!(world.talk(&bind(resource)), bound(jid), "{resource}");
        assert_eq!(
            world.asked.last(),
            Some(&Ask::Bind("romeo@montague.lit".into(), asked.map(str::to_owned))),
            "{resource}"
        );
        assert_eq!(world.ending, None);
    }
}

#[test]
fn rfc6120_7_the_server_may_be_named_as_the_one_who_binds() {
    for (to, fine) in [
        ("montague.lit", true),
        ("romeo@montague.lit", true),
        ("capulet.lit", false),
        ("juliet@capulet.lit", false),
    ] {
        let mut world = World::logged_in();
        let answer = world.talk(&BIND_ORCHARD.replace("id=", &format!("to='{to}' id=")));
        assert_eq!(answer.contains("<jid>"), fine, "{to}: {answer}");
        assert_eq!(answer.contains("<not-authorized"), !fine, "{to}: {answer}");
    }
}

#[test]
fn rfc6120_7_7_2_1_a_resource_that_cannot_be_prepared_is_a_bad_request() {
    let mut world = World::logged_in();
    let long = format!("<resource>{}</resource>", "x".repeat(1024));
    for resource in [
        "<resource>\u{7f}</resource>",
        "<resource>\u{fdd0}</resource>",
        &long,
    ] {
        assert_eq!(
            world.talk(&bind(resource)),
            refused("modify", "bad-request"),
            "{resource}"
        );
    }
    assert_eq!(
        world.talk(&bind("<resource>x</resource>")),
        bound("romeo@montague.lit/x")
    );
}

#[test]
fn rfc6120_7_7_3_retries_are_allowed_and_end() {
    let mut world = World::logged_in().by_hand();
    for attempt in 1..=5 {
        assert_eq!(world.talk(&bind("")), "");
        let mailbox = world.mailbox.clone().unwrap();
        world.signal(Signal::NotBound(Condition::ResourceConstraint.into()));
        let answer = world.heard();
        assert!(
            answer.starts_with(&refused("wait", "resource-constraint")),
            "{answer}"
        );
        assert_eq!(answer.contains("<policy-violation"), attempt == 5, "{answer}");
        // Each attempt has a mailbox of its own: the account may have closed the one before.
        assert!(world.session.mailbox().is_none());
        assert!(std::sync::Arc::strong_count(&mailbox) <= 2);
    }
    assert!(matches!(world.ending, Some(Ending::Error(_))));
}

#[test]
fn rfc6120_4_3_5_stanzas_before_binding_end_the_stream() {
    for stanza in [
        "<message to='juliet@capulet.lit'><body>hi</body></message>",
        "<presence/>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='get' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        "<iq type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        "<iq type='set' id='1'><bind xmlns='urn:other'/></iq>",
        "<iq type='result' id='1'/>",
    ] {
        let mut world = World::logged_in();
        let answer = world.talk(stanza);
        assert!(
            answer.starts_with("<stream:error><not-authorized"),
            "{stanza}: {answer}"
        );
        assert!(world.asked.iter().all(|ask| !matches!(ask, Ask::Bind(..))));
    }
}

#[test]
fn rfc6120_7_6_2_2_a_second_resource_is_not_allowed() {
    let mut world = World::bound();
    assert_eq!(
        world.talk(&bind("")),
        "<iq to='romeo@montague.lit/orchard' id='b' type='error'><error type='cancel'>\
         <not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    );
    assert!(world.routed.is_empty());
    assert_eq!(world.ending, None);
}

#[test]
fn rfc3921_3_a_session_is_confirmed_once_and_changes_nothing() {
    let mut world = World::bound();
    let session = "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
    assert_eq!(
        world.talk(session),
        "<iq to='romeo@montague.lit/orchard' id='s' type='result'/>"
    );
    assert_eq!(
        world.talk(&session.replace("id=", "to='montague.lit' id=")),
        "<iq from='montague.lit' to='romeo@montague.lit/orchard' id='s' type='result'/>"
    );
    assert!(world.routed.is_empty());
    // To anybody else it is a request like all others.
    world.send(&session.replace("id=", "to='juliet@capulet.lit' id="));
    assert_eq!(world.routed.len(), 1);
}

#[test]
fn nothing_is_drained_before_the_client_knows_its_address() {
    let mut world = World::logged_in().by_hand();
    world.talk(BIND_ORCHARD);
    world.deliver("<message><body>early</body></message>");
    assert_eq!(world.heard(), "");
    world.signal(Signal::Bound("romeo@montague.lit/orchard".parse().unwrap()));
    let heard = world.heard();
    assert!(heard.starts_with("<iq id='b1' type='result'>"), "{heard}");
    assert!(
        heard.ends_with("<message><body>early</body></message>"),
        "{heard}"
    );
}

#[test]
fn rfc6120_7_7_2_2_who_is_replaced_hears_of_the_conflict() {
    let mut world = World::bound();
    world
        .mailbox
        .as_ref()
        .unwrap()
        .signal(Signal::Close(stanza::StreamCondition::Conflict.into()));
    world.drain();
    assert_eq!(
        world.heard(),
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
    );
    // Also while it still waits for its resource.
    let mut world = World::logged_in().by_hand();
    world.talk(BIND_ORCHARD);
    world.signal(Signal::Close(stanza::StreamCondition::InternalServerError.into()));
    assert!(world.heard().starts_with("<stream:error><internal-server-error"));
}
