//! What crosses while all is well: messages, subscriptions, presence, requests, and the errors that name a cause.

use s2s::link::StateName;
use simulation::Reach;

use crate::people::*;

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
