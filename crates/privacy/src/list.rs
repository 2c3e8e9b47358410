//! One named list, and the index that finds the deciding item without a walk.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use roster::Relation;
use stanza::Address;

use crate::question::Class;
use crate::{Contacts, Item, Subject};

/// The name of a list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListName(Arc<str>);

impl ListName {
    /// Takes any text as a name.
    pub fn new(name: &str) -> ListName {
        ListName(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ListName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A list: its items in their order (XEP-0016 §2.2 rule 5). Never changed; an edited list is another one.
#[derive(Debug)]
pub struct List {
    name: ListName,
    items: Vec<Item>,
    index: Index,
}

impl List {
    /// A list of these items, whose orders are unique.
    pub(crate) fn new(name: ListName, mut items: Vec<Item>) -> List {
        items.sort_by_key(|item| item.order);
        let index = Index::of(&items);
        List { name, items, index }
    }

    /// Its name.
    pub fn name(&self) -> &ListName {
        &self.name
    }

    /// The items in ascending order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The addresses that XEP-0191 shows as blocked, in the order of the list.
    pub fn blocked(&self) -> impl Iterator<Item = &Address> {
        self.items.iter().filter_map(Item::blocks)
    }

    /// The item that decides: the first in order that speaks of this class of stanzas and of `other`.
    pub(crate) fn deciding(&self, class: Class, other: &Address, contacts: &dyn Contacts) -> Option<&Item> {
        self.items.get(self.index.first(class, other, contacts)? as usize)
    }
}

/// For each subject, where in the list it is first spoken of.
#[derive(Debug, Default)]
struct Index {
    jids: HashMap<Address, Firsts>,
    groups: HashMap<Box<str>, Firsts>,
    /// By [`Relation::code`].
    subscriptions: Option<[Firsts; 4]>,
    everyone: Firsts,
}

impl Index {
    fn of(items: &[Item]) -> Index {
        let mut index = Index::default();
        for (place, item) in (0u32..).zip(items) {
            let firsts = match &item.subject {
                Subject::Jid(jid) => index.jids.entry(jid.clone()).or_default(),
                Subject::Group(group) => index.groups.entry(group.clone()).or_default(),
                Subject::Subscription(relation) => {
                    let [none, to, from, both] = index.subscriptions.get_or_insert_default();
                    match relation {
                        Relation::None => none,
                        Relation::To => to,
                        Relation::From => from,
                        Relation::Both => both,
                    }
                }
                Subject::Everyone => &mut index.everyone,
            };
            firsts.note(place, item);
        }
        index
    }

    fn first(&self, class: Class, other: &Address, contacts: &dyn Contacts) -> Option<u32> {
        let mut first = self.everyone.get(class);
        let mut consider = |firsts: Option<&Firsts>| {
            first = first.min(firsts.map_or(Firsts::NEVER, |firsts| firsts.get(class)));
        };
        if !self.jids.is_empty() {
            for form in forms(other).into_iter().flatten() {
                consider(self.jids.get(form));
            }
        }
        if !self.groups.is_empty() {
            contacts.for_each_group(other.bare_str(), &mut |group| consider(self.groups.get(group)));
        }
        if let Some(subscriptions) = &self.subscriptions {
            let relation = contacts.relation(other.bare_str());
            consider(subscriptions.get(usize::from(relation.code())));
        }
        (first != Firsts::NEVER).then_some(first)
    }
}

/// The forms under which a rule may name this address (XEP-0016 §2.1): itself, its bare address, its domain.
/// A rule for `domain/resource` speaks of no user.
fn forms(other: &Address) -> [Option<&str>; 3] {
    let full = (!other.is_bare()).then(|| other.as_str());
    let bare = other.localpart().map(|_| other.bare_str());
    [full, bare, Some(other.domainpart())]
}

/// The place of the first item for each class of stanzas.
#[derive(Debug, Clone, Copy)]
struct Firsts([u32; Class::ALL.len()]);

impl Firsts {
    const NEVER: u32 = u32::MAX;

    /// Items are noted in ascending order.
    fn note(&mut self, place: u32, item: &Item) {
        for class in Class::ALL {
            if item.scope.covers(class)
                && let Some(first) = self.0.get_mut(class as usize)
            {
                *first = place.min(*first);
            }
        }
    }

    fn get(&self, class: Class) -> u32 {
        self.0.get(class as usize).copied().unwrap_or(Firsts::NEVER)
    }
}

impl Default for Firsts {
    fn default() -> Self {
        Firsts([Firsts::NEVER; Class::ALL.len()])
    }
}
