//! The blocking command: the default list as a set of blocked addresses (XEP-0191).
//!
//! What is blocked is an item of the default list with one address, denied in everything (XEP-0191 §5). Blocked
//! addresses come first in the list, so that no other rule overrules them; a list that only this command ever touched
//! is such items and nothing else.

use std::collections::BTreeSet;

use stanza::namespace::{BLOCKING, CLIENT};
use stanza::{Address, Condition, StanzaError};
use xml::Tree;

use crate::editing::{blocked, push_name};
use crate::grammar::bad;
use crate::{
    Action, Audience, Change, Connected, Item, ItemRow, Limits, List, ListName, Lists, Outcome, Push, Scope,
    Subject,
};

/// The name of the default list when the first block makes it.
const LIST_NAME: &str = "blocklist";

/// Between the blocked addresses and the other rules, when room has to be made for the former.
const ROOM: u32 = 1_000;

impl Lists {
    /// The blocklist, as the payload of a result (XEP-0191 §3.2). The resource that asked for it gets pushes from then on.
    pub fn blocklist(&self) -> Vec<u8> {
        items("blocklist", blocked(self.default_list().map(|list| &**list)))
    }

    /// Whether this address itself is blocked (XEP-0191).
    pub fn is_blocked(&self, jid: &Address) -> bool {
        self.default_list()
            .is_some_and(|list| list.blocked().any(|blocked| blocked == jid))
    }

    /// A set of the user with a `<block/>` or an `<unblock/>` (XEP-0191 §3.3 to §3.5).
    ///
    /// # Errors
    /// `bad-request` without an item, `jid-malformed`, `policy-violation` beyond the limits; nothing has changed then.
    pub fn blocking_set(
        &mut self,
        payload: &Tree,
        connected: &Connected<'_>,
        limits: &Limits,
    ) -> Result<Outcome, StanzaError> {
        let jids = read_jids(payload)?;
        if payload.is(BLOCKING, "block") {
            if jids.is_empty() {
                return Err(bad("whom to block?"));
            }
            self.block(&jids, connected, limits)
        } else if payload.is(BLOCKING, "unblock") {
            // Everyone only when nobody is named, not when something is named that we do not understand.
            if jids.is_empty() && payload.children().next().is_some() {
                return Err(bad("whom to unblock?"));
            }
            Ok(self.unblock(&jids, connected))
        } else {
            Err(bad("block or unblock"))
        }
    }

    fn block(
        &mut self,
        jids: &[Address],
        connected: &Connected<'_>,
        limits: &Limits,
    ) -> Result<Outcome, StanzaError> {
        let before = self.default_list().cloned();
        let name = match &before {
            Some(list) => list.name().clone(),
            None => {
                self.refuse_more_lists(limits)?;
                self.free_name()
            }
        };
        let edit = Edit::block(before.as_ref().map_or(&[], |list| list.items()), jids);
        if edit.items.len() > limits.items {
            return Err(StanzaError::new(Condition::PolicyViolation)
                .text(format!("a list has at most {} items here", limits.items)));
        }
        let mut outcome = Outcome {
            pushes: vec![push_jids("block", jids.iter())],
            ..Outcome::default()
        };
        let Some(change) = edit.change(&name, before.is_some()) else {
            return Ok(outcome);
        };
        outcome.changes.push(change);
        let after = self.insert(List::new(name.clone(), edit.items));
        if before.is_none() {
            self.set_default(Some(&name));
            outcome.changes.push(Change::Default {
                name: Some(name.clone()),
            });
        }
        outcome.pushes.push(push_name(Audience::UsesLists, &name));
        outcome.shifts = self.edited(&name, before, Some(after), connected);
        Ok(outcome)
    }

    /// Unblocks these addresses, or all when there are none.
    fn unblock(&mut self, jids: &[Address], connected: &Connected<'_>) -> Outcome {
        let mut outcome = Outcome {
            pushes: vec![push_jids("unblock", jids.iter())],
            ..Outcome::default()
        };
        let Some(before) = self.default_list().cloned() else {
            return outcome;
        };
        let wanted: BTreeSet<&Address> = jids.iter().collect();
        let goes = |item: &&Item| {
            item.blocks()
                .is_some_and(|jid| wanted.is_empty() || wanted.contains(jid))
        };
        let removed: Vec<u32> = before
            .items()
            .iter()
            .filter(goes)
            .map(|item| item.order)
            .collect();
        if removed.is_empty() {
            return outcome;
        }
        let name = before.name().clone();
        let items: Vec<Item> = before
            .items()
            .iter()
            .filter(|item| !goes(item))
            .cloned()
            .collect();
        outcome.pushes.push(push_name(Audience::UsesLists, &name));
        let is_active = connected
            .others
            .iter()
            .chain([&connected.sender])
            .any(|active| *active == Some(&name));
        if items.is_empty() && !is_active {
            // The list was nothing but blocks: who blocks nobody has no list, and pays for none.
            outcome.shifts = self.edited(&name, Some(before), None, connected);
            self.remove(name.as_str());
            outcome.changes = vec![Change::Removed { name }, Change::Default { name: None }];
            return outcome;
        }
        outcome.changes = vec![Change::Items {
            name: name.clone(),
            removed,
            added: Vec::new(),
        }];
        let after = self.insert(List::new(name.clone(), items));
        outcome.shifts = self.edited(&name, Some(before), Some(after), connected);
        outcome
    }

    fn free_name(&self) -> ListName {
        let numbered = (2u32..).map(|number| format!("{LIST_NAME}-{number}"));
        let free = std::iter::once(LIST_NAME.to_owned())
            .chain(numbered)
            .find(|name| self.get(name).is_none());
        ListName::new(&free.unwrap_or_default())
    }
}

/// A default list with more addresses blocked.
struct Edit {
    items: Vec<Item>,
    removed: Vec<u32>,
    added: Vec<ItemRow>,
    /// Whether the orders of items that stay have changed.
    renumbered: bool,
}

impl Edit {
    /// Puts `jids` behind the blocks that the list begins with, before everything else (XEP-0191 §5).
    fn block(old: &[Item], jids: &[Address]) -> Edit {
        let run = old.iter().take_while(|item| item.blocks().is_some()).count();
        let (front, rest) = old.split_at_checked(run).unwrap_or((old, &[]));
        let known: BTreeSet<&Address> = front.iter().filter_map(Item::blocks).collect();
        let new: Vec<&Address> = jids.iter().filter(|jid| !known.contains(jid)).collect();
        // A block that another rule may overrule moves to the front.
        let moved: BTreeSet<&Address> = new.iter().copied().collect();
        let moves = |item: &&Item| item.blocks().is_some_and(|jid| moved.contains(jid));
        let removed = rest.iter().filter(moves).map(|item| item.order).collect();
        let rest: Vec<&Item> = rest.iter().filter(|item| !moves(item)).collect();

        let start = front.last().map_or(Some(1), |last| last.order.checked_add(1));
        let end = rest.first().map_or(u32::MAX, |first| first.order);
        let fits = start.filter(|start| {
            end.checked_sub(*start)
                .is_some_and(|room| room as usize >= new.len())
        });
        let mut items: Vec<Item> = front.to_vec();
        if fits.is_none() {
            for (order, item) in (1..).zip(&mut items) {
                item.order = order;
            }
        }
        let start = fits.unwrap_or_else(|| items.last().map_or(1, |last| last.order + 1));
        let mut added = Vec::new();
        for (order, jid) in (start..).zip(&new) {
            let item = Item {
                order,
                subject: Subject::Jid((*jid).clone()),
                action: Action::Deny,
                scope: Scope::ALL,
            };
            added.push(item.to_row());
            items.push(item);
        }
        let behind = items.last().map_or(0, |last| last.order).saturating_add(ROOM);
        for (order, item) in (behind..).zip(rest) {
            let order = if fits.is_some() { item.order } else { order };
            items.push(Item {
                order,
                ..item.clone()
            });
        }
        Edit {
            items,
            removed,
            added,
            renumbered: fits.is_none(),
        }
    }

    /// What of it is to be kept; `None` when nothing has changed.
    fn change(&self, name: &ListName, exists: bool) -> Option<Change> {
        if self.added.is_empty() {
            return None;
        }
        Some(if exists && !self.renumbered {
            Change::Items {
                name: name.clone(),
                removed: self.removed.clone(),
                added: self.added.clone(),
            }
        } else {
            Change::List {
                name: name.clone(),
                items: self.items.iter().map(Item::to_row).collect(),
            }
        })
    }
}

/// The addresses of the items, each once.
fn read_jids(payload: &Tree) -> Result<Vec<Address>, StanzaError> {
    let mut known = BTreeSet::new();
    let mut jids = Vec::new();
    for item in payload.children().filter(|child| child.is(BLOCKING, "item")) {
        let jid = item.attribute("jid").ok_or_else(|| bad("the item has no jid"))?;
        let jid = Address::parse(jid).map_err(|_| StanzaError::new(Condition::JidMalformed))?;
        if known.insert(jid.clone()) {
            jids.push(jid);
        }
    }
    Ok(jids)
}

/// What a change of the default list means in the terms of the blocklist (XEP-0191 §5, implications 2 and 4).
pub(crate) fn push_difference(before: Option<&List>, after: Option<&List>) -> Vec<Push> {
    let (before, after) = (blocked(before), blocked(after));
    let missing = |from: &[&Address], all: &[&Address]| -> Vec<Address> {
        let from: BTreeSet<&Address> = from.iter().copied().collect();
        all.iter()
            .filter(|jid| !from.contains(*jid))
            .map(|jid| (*jid).clone())
            .collect()
    };
    let gone = missing(&after, &before);
    let new = missing(&before, &after);
    let push = |name, jids: &[Address]| (!jids.is_empty()).then(|| push_jids(name, jids.iter()));
    push("unblock", &gone)
        .into_iter()
        .chain(push("block", &new))
        .collect()
}

fn push_jids<'a>(element: &str, jids: impl Iterator<Item = &'a Address>) -> Push {
    Push {
        audience: Audience::HoldsBlocklist,
        payload: items(element, jids),
    }
}

fn items<'a>(element: &str, jids: impl IntoIterator<Item = &'a Address>) -> Vec<u8> {
    let items = jids
        .into_iter()
        .map(|jid| Tree::new("item", BLOCKING).attr("jid", jid.as_str()));
    items
        .fold(Tree::new(element, BLOCKING), Tree::child)
        .to_bytes(CLIENT)
}
