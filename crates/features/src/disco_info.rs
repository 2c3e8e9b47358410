//! What a host or an account is, and what it understands (XEP-0030 §3).

use presence::Advertised;
use stanza::namespace::{ATTENTION, CAPABILITIES, DISCO_INFO};
use stanza::{Condition, StanzaError};
use xml::Tree;

use crate::request::Request;
use crate::table::TABLE;
use crate::{AccountFacts, Answer, HostFacts};

/// What a host tells of itself to whoever asks in this way: XEP-0030 §3.1, with the contact addresses of XEP-0157 §3.
pub fn about_host(request: &Request<'_>, host: &HostFacts) -> Tree {
    let identity = Tree::new("identity", DISCO_INFO)
        .attr("category", "server")
        .attr("type", "im")
        .attr("name", request.facts.software.name.as_str());
    let query = Tree::new("query", DISCO_INFO).child(identity);
    // XEP-0115 §7.
    let others = host.features.iter().copied().chain([CAPABILITIES]);
    let info = features(query, request, others);
    match host.contacts.form() {
        Some(form) => info.child(form),
        None => info,
    }
}

/// The same as an answer, under the node that stands for it too (XEP-0115 §6.2).
pub(crate) fn of_host(request: &Request<'_>, host: &HostFacts) -> Answer {
    let info = about_host(request, host);
    match node(request) {
        None => reply(&info),
        // XEP-0030 §4.2 forbids it, and nothing is named by it.
        Some(node) if node.is_empty() => reply(&info.attr("node", node)),
        Some(node) => match Advertised::answer(info, &node) {
            Some(info) => reply(&info),
            None => Answer::Reply(Err(Condition::ItemNotFound.into())),
        },
    }
}

/// XEP-0030 §3.1: the server answers on behalf of the account.
pub(crate) fn of_account(request: &Request<'_>, _account: &AccountFacts<'_>) -> Answer {
    let identity = Tree::new("identity", DISCO_INFO)
        .attr("category", "account")
        .attr("type", "registered");
    match query(request, DISCO_INFO) {
        Ok(query) => reply(&features(
            query.child(identity),
            request,
            request.facts.account_features.iter().copied(),
        )),
        Err(error) => Answer::Reply(Err(error)),
    }
}

/// An empty answer of this namespace with the `node` of the question mirrored (XEP-0030 §3.2); an error where a node is
/// named that nobody has (§7).
pub(crate) fn query(request: &Request<'_>, namespace: &str) -> Result<Tree, StanzaError> {
    match node(request) {
        None => Ok(Tree::new("query", namespace)),
        // XEP-0030 §4.2 forbids it, and nothing is named by it.
        Some(node) if node.is_empty() => Ok(Tree::new("query", namespace).attr("node", node)),
        Some(_) => Err(Condition::ItemNotFound.into()),
    }
}

fn node(request: &Request<'_>) -> Option<String> {
    let payload = request.payload()?;
    payload.attribute("node").map(|node| node.into_owned())
}

pub(crate) fn reply(tree: &Tree) -> Answer {
    Answer::Reply(Ok(tree.to_bytes("")))
}

/// The features of the table that answer this asker, and those of other parts, each once and always in the same order.
fn features(mut query: Tree, request: &Request<'_>, others: impl Iterator<Item = &'static str>) -> Tree {
    let listed = TABLE
        .iter()
        .filter(|feature| feature.is_listed(request))
        .map(|feature| feature.namespace);
    // ATT-10: servers and accounts do not feel attention; only clients may say that they do.
    let mut all: Vec<&str> = listed
        .chain(others)
        .filter(|feature| *feature != ATTENTION)
        .collect();
    all.sort_unstable();
    all.dedup();
    for feature in all {
        query = query.child(Tree::new("feature", DISCO_INFO).attr("var", feature));
    }
    query
}

#[cfg(test)]
mod tests {
    use stanza::ErrorKind;

    use super::*;
    use crate::tests::{Outcome, World};
    use crate::{Asker, Registration};

    const INFO: &str = "get <query xmlns='http://jabber.org/protocol/disco#info'/>";

    fn info(outcome: Outcome) -> Tree {
        let Outcome::Result(text) = outcome else {
            panic!("{outcome:?}")
        };
        Tree::parse(text.as_bytes(), "", &xml::Limits::default()).unwrap()
    }

    fn listed(info: &Tree) -> Vec<&str> {
        let features = info.children().filter(|child| child.is(DISCO_INFO, "feature"));
        features
            .map(|feature| feature.attribute("var").unwrap())
            .collect()
    }

    #[test]
    fn xep0030_3_1_a_host_is_a_server_for_instant_messaging() {
        let mut world = World::new();
        world.host.features = vec!["urn:xmpp:blocking", "msgoffline", "urn:xmpp:ping"];
        let info = info(world.host(Asker::Stranger, INFO));
        let identity = info.find(DISCO_INFO, "identity").unwrap();
        assert_eq!(identity.attribute("category"), Some("server"));
        assert_eq!(identity.attribute("type"), Some("im"));
        assert_eq!(identity.attribute("name"), Some("Balcony"));
        let expected = [
            "http://jabber.org/protocol/caps",
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/disco#items",
            "jabber:iq:last",
            "jabber:iq:private",
            "jabber:iq:version",
            "msgoffline",
            "urn:xmpp:blocking",
            "urn:xmpp:ping",
            "urn:xmpp:time",
            "vcard-temp",
        ];
        assert_eq!(listed(&info), expected, "sorted, each once");
    }

    #[test]
    fn xep0030_3_1_an_account_says_that_it_is_registered_and_what_it_answers() {
        let mut world = World::new();
        world.facts.account_features = vec!["http://jabber.org/protocol/poke"];
        let contact = info(world.account(Asker::Contact, INFO));
        let identity = contact.find(DISCO_INFO, "identity").unwrap();
        assert_eq!(
            (identity.attribute("category"), identity.attribute("type")),
            (Some("account"), Some("registered"))
        );
        let expected = [
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/poke",
            "jabber:iq:last",
            "urn:xmpp:ping",
            "vcard-temp",
        ];
        assert_eq!(listed(&contact), expected);
        let own = info(world.account(Asker::Own, INFO));
        assert!(listed(&own).contains(&"jabber:iq:private") && listed(&own).contains(&"jabber:iq:register"));
    }

    #[test]
    fn xep0077_10_registration_is_listed_where_it_is_open_and_to_own_users() {
        let lists = |registration, asker| {
            let mut world = World::new();
            world.host.registration = registration;
            listed(&info(world.host(asker, INFO))).contains(&"jabber:iq:register")
        };
        assert!(lists(Registration::Open, Asker::Stranger));
        assert!(lists(Registration::Open, Asker::Own));
        assert!(!lists(Registration::Closed, Asker::Stranger));
        assert!(lists(Registration::Closed, Asker::Own), "to change the password");
    }

    #[test]
    fn att_10_att_12_neither_host_nor_account_ever_lists_attention() {
        let mut world = World::new();
        world.host.features = vec![ATTENTION, "msgoffline"];
        world.facts.account_features = vec![ATTENTION];
        assert!(listed(&info(world.host(Asker::Own, INFO))).contains(&"msgoffline"));
        assert!(!listed(&info(world.host(Asker::Own, INFO))).contains(&ATTENTION));
        assert!(!listed(&info(world.account(Asker::Own, INFO))).contains(&ATTENTION));
    }

    #[test]
    fn xep0030_8_a_stranger_hears_that_an_account_is_not_available() {
        let unavailable = Some((Condition::ServiceUnavailable, ErrorKind::Cancel, None));
        assert_eq!(World::new().account(Asker::Stranger, INFO).error(), unavailable);
        let node = "get <query xmlns='http://jabber.org/protocol/disco#info' node='x'/>";
        assert_eq!(World::new().account(Asker::Stranger, node).error(), unavailable);
    }

    #[test]
    fn xep0030_7_there_are_no_nodes() {
        let node = "get <query xmlns='http://jabber.org/protocol/disco#info' node='http://jabber.org/protocol/commands'/>";
        let none = Some((Condition::ItemNotFound, ErrorKind::Cancel, None));
        assert_eq!(World::new().host(Asker::Stranger, node).error(), none);
        assert_eq!(World::new().account(Asker::Own, node).error(), none);
    }

    #[test]
    fn dcl_20_a_host_answers_for_its_hash_whatever_it_tells_and_whoever_asks() {
        let mut world = World::new();
        world.host.registration = Registration::Open;
        world.host.features = vec!["urn:xmpp:psa"];
        world.host.contacts.abuse = vec![crate::Uri::parse("mailto:abuse@capulet.lit").unwrap()];
        for asker in [Asker::Own, Asker::Stranger] {
            let told = info(world.host(asker, INFO));
            assert!(told.find("jabber:x:data", "x").is_some());
            let caps = Advertised::of(&told).unwrap().child();
            let caps = Tree::parse(&caps, "", &xml::Limits::default()).unwrap();
            let [node, ver] = ["node", "ver"].map(|name| caps.attribute(name).unwrap());
            let node = format!("{node}#{ver}");
            let asked = format!("get <query xmlns='{DISCO_INFO}' node='{node}'/>");
            assert_eq!(
                info(world.host(asker, &asked)),
                told.attr("node", node),
                "{asker:?}"
            );
        }
    }

    #[test]
    fn xep0030_3_2_a_node_without_a_name_is_mirrored() {
        let node = "get <query xmlns='http://jabber.org/protocol/disco#info' node=''/>";
        assert_eq!(
            info(World::new().host(Asker::Stranger, node)).attribute("node"),
            Some("")
        );
    }
}
