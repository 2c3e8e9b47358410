//! The services of a host, and the resources of an account (XEP-0030 §4).

use stanza::namespace::DISCO_ITEMS;
use xml::Tree;

use crate::disco_info::{query, reply};
use crate::request::Request;
use crate::{AccountFacts, Answer, HostFacts, Reply};

/// XEP-0030 §4.1.
pub(crate) fn of_host(request: &Request<'_>, host: &HostFacts) -> Answer {
    let items = host.items.iter().map(|service| {
        let item = item(service.address.as_str());
        match &service.name {
            Some(name) => item.attr("name", name.as_str()),
            None => item,
        }
    });
    listing(request, items)
}

/// XEP-0030 §4.1: connected resources as appropriate, which are those that show themselves.
pub(crate) fn of_account(request: &Request<'_>, account: &AccountFacts<'_>) -> Answer {
    listing(
        request,
        account.available.iter().map(|resource| item(resource.as_str())),
    )
}

/// XEP-0030 §8: whoever may not see presence gets an empty result, node or not, account or not.
pub(crate) fn none(request: &Request<'_>) -> Reply {
    let empty = Tree::new("query", DISCO_ITEMS);
    let node = request
        .payload()
        .and_then(|payload| payload.attribute("node").map(|node| node.into_owned()));
    let empty = match node {
        Some(node) => empty.attr("node", node),
        None => empty,
    };
    Ok(empty.to_bytes(""))
}

fn listing(request: &Request<'_>, items: impl Iterator<Item = Tree>) -> Answer {
    match query(request, DISCO_ITEMS) {
        Ok(query) => reply(&items.fold(query, Tree::child)),
        Err(error) => Answer::Reply(Err(error)),
    }
}

fn item(address: &str) -> Tree {
    Tree::new("item", DISCO_ITEMS).attr("jid", address)
}

#[cfg(test)]
mod tests {
    use stanza::{Condition, ErrorKind};

    use crate::tests::{Outcome, World, address};
    use crate::{Asker, Item};

    const ITEMS: &str = "get <query xmlns='http://jabber.org/protocol/disco#items'/>";
    const NODE: &str = "get <query xmlns='http://jabber.org/protocol/disco#items' node='a&lt;b'/>";

    fn result(rest: &str) -> Outcome {
        Outcome::Result(format!(
            "<query xmlns='http://jabber.org/protocol/disco#items'{rest}"
        ))
    }

    #[test]
    fn xep0030_4_1_a_host_lists_its_services() {
        let mut world = World::new();
        world.host.items = vec![
            Item {
                address: address("plays.capulet.lit"),
                name: Some("Tom & Jerry's rooms".into()),
            },
            Item {
                address: address("people.capulet.lit"),
                name: None,
            },
        ];
        let items = "><item jid='plays.capulet.lit' name='Tom &amp; Jerry&apos;s rooms'/><item jid='people.capulet.lit'/></query>";
        assert_eq!(world.host(Asker::Stranger, ITEMS), result(items));
    }

    #[test]
    fn xep0030_4_1_no_items_are_an_empty_list() {
        assert_eq!(World::new().host(Asker::Stranger, ITEMS), result("/>"));
        assert_eq!(World::new().account(Asker::Own, ITEMS), result("/>"));
    }

    #[test]
    fn xep0030_4_1_an_account_lists_its_available_resources_to_those_who_may_see_presence() {
        let mut world = World::new();
        world.available = vec![
            address("juliet@capulet.lit/balcony"),
            address("juliet@capulet.lit/o'er \"there\""),
        ];
        let items = "><item jid='juliet@capulet.lit/balcony'/>\
            <item jid='juliet@capulet.lit/o&apos;er &quot;there&quot;'/></query>";
        assert_eq!(world.account(Asker::Contact, ITEMS), result(items));
        assert_eq!(world.account(Asker::Own, ITEMS), result(items));
    }

    #[test]
    fn xep0030_8_a_stranger_gets_an_empty_list_with_his_node() {
        let mut world = World::new();
        world.available = vec![address("juliet@capulet.lit/balcony")];
        assert_eq!(world.account(Asker::Stranger, ITEMS), result("/>"));
        assert_eq!(world.account(Asker::Stranger, NODE), result(" node='a&lt;b'/>"));
        assert_eq!(world.nobody(Asker::Stranger, NODE), result(" node='a&lt;b'/>"));
    }

    #[test]
    fn xep0030_7_there_are_no_nodes() {
        let none = Some((Condition::ItemNotFound, ErrorKind::Cancel, None));
        assert_eq!(World::new().host(Asker::Stranger, NODE).error(), none);
        assert_eq!(World::new().account(Asker::Contact, NODE).error(), none);
    }
}
