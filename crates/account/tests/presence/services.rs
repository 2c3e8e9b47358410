//! What the server says of itself to contacts, and gateways as contacts (clauses POKE-43, PSA-06, DCL-18, DCL-19).

use account::Flags;
use presence::Settings;

use crate::home::Home;

fn home() -> Home {
    let mut home = Home::new(Settings::default(), Flags::default());
    home.settings.facts.account_features = vec!["http://jabber.org/protocol/poke", "urn:xmpp:psa"];
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client'/>");
    home
}

#[test]
fn poke_43_psa_06_the_bare_address_lists_pokes_and_annotations_to_contacts_and_nothing_to_strangers() {
    let mut home = home();
    let mut asks = |who: &str| {
        home.arrives(&format!(
            "<iq xmlns='jabber:client' type='get' id='d' from='{who}' to='romeo@montague.lit'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        ))
        .concat()
    };
    let told = asks("juliet@capulet.lit/balcony");
    for feature in ["http://jabber.org/protocol/poke", "urn:xmpp:psa"] {
        assert!(told.contains(&format!("<feature var='{feature}'/>")), "{told}");
    }
    let told = asks("paris@verona.lit/x");
    assert!(
        !told.contains("urn:xmpp:psa") && !told.contains("protocol/poke"),
        "{told}"
    );
}

#[test]
fn dcl_18_a_wish_to_a_contact_behind_a_gateway_is_sent_as_it_is() {
    let mut home = home();
    let wish = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/><decloak xmlns='urn:xmpp:decloak:0' reason='media'/>";
    let sent = home.says(
        "lane",
        &format!(
            "<presence xmlns='jabber:client' to='romeo%shakespeare.lit@sip.shakespeare.lit'>{wish}</presence>"
        ),
    );
    let expected = format!(
        "> <presence from='romeo@montague.lit/lane' to='romeo%shakespeare.lit@sip.shakespeare.lit'>{wish}</presence>"
    );
    assert!(sent.contains(&expected), "{sent:?}");
}

#[test]
fn dcl_19_a_gateway_may_answer_from_a_bare_address_and_all_resources_hear_it() {
    let mut home = home();
    home.connects("phone");
    home.says("phone", "<presence xmlns='jabber:client'/>");
    let presence = "<presence from='romeo%shakespeare.lit@sip.shakespeare.lit' to='romeo@montague.lit'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/></presence>";
    let heard = home.arrives(&presence.replace("<presence ", "<presence xmlns='jabber:client' "));
    for resource in ["lane", "phone"] {
        assert!(heard.contains(&format!("{resource}< {presence}")), "{heard:?}");
    }
}
