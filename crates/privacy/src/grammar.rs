//! Lists in XML: the grammar of XEP-0016 §2.1, read strictly and written.
//!
//! Strictly, because a rule that was misread opens a door or closes one: what the grammar does not know is a
//! `bad-request`, never passed over.

use std::collections::BTreeSet;

use roster::Relation;
use stanza::{Address, Condition, StanzaError};
use xml::Tree;

use crate::{Action, Contacts, Item, Limits, List, ListName, Scope, Subject};

/// The namespace of privacy lists, which is also their feature in service discovery (XEP-0016 §3).
pub const PRIVACY: &str = "jabber:iq:privacy";

/// The `name` of an `<active/>`, `<default/>` or `<list/>`.
pub(crate) fn name_of(element: &Tree) -> Option<ListName> {
    element.attribute("name").map(ListName::new)
}

/// The items of a `<list/>` to be put in.
pub(crate) fn read_items(
    list: &Tree,
    contacts: &dyn Contacts,
    limits: &Limits,
) -> Result<Vec<Item>, StanzaError> {
    let count = list.children().count();
    if count > limits.items {
        return Err(StanzaError::new(Condition::PolicyViolation)
            .text(format!("a list has at most {} items here", limits.items)));
    }
    let items = list
        .children()
        .map(|item| read_item(item, limits))
        .collect::<Result<Vec<Item>, StanzaError>>()?;
    let orders: BTreeSet<u32> = items.iter().map(|item| item.order).collect();
    if orders.len() < items.len() {
        return Err(bad("two items have the same order"));
    }
    refuse_unknown_groups(&items, contacts)?;
    Ok(items)
}

fn read_item(item: &Tree, limits: &Limits) -> Result<Item, StanzaError> {
    if !item.is(PRIVACY, "item") {
        return Err(bad("a list holds items only"));
    }
    let order = item
        .attribute("order")
        .and_then(|order| order.trim().parse().ok());
    let order = order.ok_or_else(|| bad("an item needs an order, which is a number"))?;
    let action = match item.attribute("action") {
        Some("allow") => Action::Allow,
        Some("deny") => Action::Deny,
        Some(_) | None => return Err(bad("an item allows or denies")),
    };
    Ok(Item {
        order,
        subject: read_subject(item, limits)?,
        action,
        scope: read_scope(item)?,
    })
}

fn read_subject(item: &Tree, limits: &Limits) -> Result<Subject, StanzaError> {
    match (item.attribute("type"), item.attribute("value")) {
        (None, None) => Ok(Subject::Everyone),
        (Some("jid"), Some(value)) => Ok(Subject::Jid(
            Address::parse(value).map_err(|_| StanzaError::new(Condition::JidMalformed))?,
        )),
        (Some("group"), Some(value)) => {
            if value.len() > limits.name_bytes {
                return Err(
                    StanzaError::new(Condition::NotAcceptable).text("the name of the group is too long")
                );
            }
            Ok(Subject::Group(value.into()))
        }
        (Some("subscription"), Some(value)) => match Relation::parse(value) {
            Some(relation) => Ok(Subject::Subscription(relation)),
            None => Err(bad("a subscription is none, to, from or both")),
        },
        (Some(_), Some(_)) => Err(bad("the type of an item is jid, group or subscription")),
        (Some(_), None) => Err(bad("an item with a type needs a value")),
        // Without its type the rule would be for everyone, which is not what was meant.
        (None, Some(_)) => Err(bad("an item with a value needs a type")),
    }
}

fn read_scope(item: &Tree) -> Result<Scope, StanzaError> {
    let mut scope = Scope::ALL;
    for child in item.children() {
        let kind = Scope::KINDS.iter().find(|(_, name)| child.is(PRIVACY, name));
        let (kind, _) =
            kind.ok_or_else(|| bad("an item is about message, iq, presence-in and presence-out"))?;
        scope = scope.and(*kind);
    }
    Ok(scope)
}

/// XEP-0016 §2.1: `item-not-found` for a group that is not in the roster.
fn refuse_unknown_groups(items: &[Item], contacts: &dyn Contacts) -> Result<(), StanzaError> {
    let mut groups: BTreeSet<&str> = items
        .iter()
        .filter_map(|item| match &item.subject {
            Subject::Group(group) => Some(&**group),
            Subject::Jid(_) | Subject::Subscription(_) | Subject::Everyone => None,
        })
        .collect();
    if groups.is_empty() {
        return Ok(());
    }
    contacts.take_known_groups(&mut groups);
    match groups.first() {
        Some(group) => Err(StanzaError::new(Condition::ItemNotFound)
            .text(format!("no contact of the roster is in the group {group:?}"))),
        None => Ok(()),
    }
}

pub(crate) fn bad(text: &str) -> StanzaError {
    StanzaError::new(Condition::BadRequest).text(text)
}

/// An element of ours with a name, or without.
pub(crate) fn named(element: &str, name: Option<&ListName>) -> Tree {
    let tree = Tree::new(element, PRIVACY);
    match name {
        Some(name) => tree.attr("name", name.as_str()),
        None => tree,
    }
}

/// The `<query/>` around it.
pub(crate) fn query(content: impl IntoIterator<Item = Tree>) -> Vec<u8> {
    let query = content.into_iter().fold(Tree::new("query", PRIVACY), Tree::child);
    query.to_bytes(stanza::namespace::CLIENT)
}

/// A list with its items (XEP-0016 example 4).
pub(crate) fn write_list(list: &List) -> Tree {
    list.items()
        .iter()
        .map(write_item)
        .fold(named("list", Some(list.name())), Tree::child)
}

fn write_item(item: &Item) -> Tree {
    let mut tree = Tree::new("item", PRIVACY);
    if let Some(kind) = item.subject.type_attribute() {
        tree.set_attribute("type", kind);
    }
    if let Some(value) = item.subject.value() {
        tree.set_attribute("value", value);
    }
    let tree = tree
        .attr("action", item.action.as_str())
        .attr("order", item.order.to_string());
    item.scope
        .names()
        .map(|name| Tree::new(name, PRIVACY))
        .fold(tree, Tree::child)
}
