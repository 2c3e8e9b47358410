//! What a host or an account is, and what it understands (XEP-0030 §3).

use stanza::namespace::{ATTENTION, DISCO_INFO};
use stanza::{Condition, StanzaError};
use xml::Tree;

use crate::request::Request;
use crate::table::TABLE;
use crate::{AccountFacts, Answer, HostFacts};

/// XEP-0030 §3.1, with the contact addresses of XEP-0157 §3.
pub(crate) fn of_host(request: &Request<'_>, host: &HostFacts) -> Answer {
    let identity = Tree::new("identity", DISCO_INFO)
        .attr("category", "server")
        .attr("type", "im")
        .attr("name", request.facts.software.name.as_str());
    let mut info = match query(request, DISCO_INFO) {
        Ok(query) => features(query.child(identity), request, &host.features),
        Err(error) => return Answer::Reply(Err(error)),
    };
    if let Some(form) = host.contacts.form() {
        info = info.child(form);
    }
    reply(&info)
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
            &request.facts.account_features,
        )),
        Err(error) => Answer::Reply(Err(error)),
    }
}

/// An empty answer of this namespace with the `node` of the question mirrored (XEP-0030 §3.2); an error where a node is
/// named, because neither hosts nor accounts have any (§7).
pub(crate) fn query(request: &Request<'_>, namespace: &str) -> Result<Tree, StanzaError> {
    let node = request
        .payload()
        .and_then(|payload| payload.attribute("node").map(|node| node.into_owned()));
    match node {
        None => Ok(Tree::new("query", namespace)),
        // XEP-0030 §4.2 forbids it, and nothing is named by it.
        Some(node) if node.is_empty() => Ok(Tree::new("query", namespace).attr("node", node)),
        Some(_) => Err(Condition::ItemNotFound.into()),
    }
}

pub(crate) fn reply(tree: &Tree) -> Answer {
    Answer::Reply(Ok(tree.to_bytes("")))
}

/// The features of the table that answer this asker, and those of other parts, each once and always in the same order.
fn features(mut query: Tree, request: &Request<'_>, others: &[&'static str]) -> Tree {
    let listed = TABLE
        .iter()
        .filter(|feature| feature.is_listed(request))
        .map(|feature| feature.namespace);
    // ATT-10: servers and accounts do not feel attention; only clients may say that they do.
    let mut all: Vec<&str> = listed
        .chain(others.iter().copied())
        .filter(|feature| *feature != ATTENTION)
        .collect();
    all.sort_unstable();
    all.dedup();
    for feature in all {
        query = query.child(Tree::new("feature", DISCO_INFO).attr("var", feature));
    }
    query
}
