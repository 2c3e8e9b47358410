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
