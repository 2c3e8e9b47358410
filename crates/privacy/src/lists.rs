//! All lists of one user, and the door.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::question::Class;
use crate::tally::{PrivacyTally, Tallies};
use crate::{Action, Contacts, Denial, Ground, Item, List, ListName, Question, Verdict};

/// The privacy lists of one user. Who has none (nearly everyone) pays one comparison.
#[derive(Debug, Clone, Default)]
pub struct Lists(Option<Box<Defined>>);

#[derive(Debug, Clone, Default)]
struct Defined {
    lists: BTreeMap<ListName, Arc<List>>,
    /// One of `lists`.
    default: Option<Arc<List>>,
    tallies: Tallies,
}

impl Lists {
    /// Whether this stanza may pass: the one door that every stanza from or to a user goes through.
    #[inline]
    pub fn may_pass(&self, question: &Question<'_>, contacts: &dyn Contacts) -> Verdict {
        match &self.0 {
            None => Verdict::Pass(Ground::NoList),
            Some(defined) => {
                let verdict = judge(self.applying(question.active), question, contacts).0;
                defined.tallies.note(question.direction, verdict);
                verdict
            }
        }
    }

    /// How [`may_pass`](Lists::may_pass) has decided since this was last asked; who has no list has decided nothing.
    #[inline]
    pub fn take_tallies(&self) -> Vec<(PrivacyTally, u32)> {
        match &self.0 {
            None => Vec::new(),
            Some(defined) => defined.tallies.take().collect(),
        }
    }

    /// Whether there is no list at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |defined| defined.lists.len())
    }

    /// The list of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<List>> {
        self.0.as_ref()?.lists.get(name)
    }

    /// Every list in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<List>> {
        self.0.iter().flat_map(|defined| defined.lists.values())
    }

    /// The default list.
    pub fn default_list(&self) -> Option<&Arc<List>> {
        self.0.as_ref()?.default.as_ref()
    }

    /// The list that applies to a session with this active list, or to one without (XEP-0016 §2.2 rules 1 and 2).
    /// There is no layering: with an active list, the default list does not count.
    pub fn applying(&self, active: Option<&ListName>) -> Option<&Arc<List>> {
        match active {
            Some(name) => self.get(name.as_str()),
            None => self.default_list(),
        }
    }

    /// Puts in a list, in the place of the one of this name.
    pub(crate) fn insert(&mut self, list: List) -> Arc<List> {
        let list = Arc::new(list);
        let defined = self.0.get_or_insert_default();
        if defined
            .default
            .as_ref()
            .is_some_and(|default| default.name() == list.name())
        {
            defined.default = Some(list.clone());
        }
        defined.lists.insert(list.name().clone(), list.clone());
        list
    }

    /// Takes a list out; no list is the default then, if it was.
    pub(crate) fn remove(&mut self, name: &str) {
        let Some(defined) = &mut self.0 else {
            return;
        };
        defined.lists.remove(name);
        if defined
            .default
            .as_ref()
            .is_some_and(|default| default.name().as_str() == name)
        {
            defined.default = None;
        }
        if defined.lists.is_empty() {
            self.0 = None;
        }
    }

    /// Makes the list of this name the default, or none.
    pub(crate) fn set_default(&mut self, name: Option<&ListName>) {
        if let Some(defined) = &mut self.0 {
            defined.default = name.and_then(|name| defined.lists.get(name).cloned());
        }
    }
}

/// The verdict of the list that applies, and the item that decided.
pub(crate) fn judge<'l>(
    list: Option<&'l Arc<List>>,
    question: &Question<'_>,
    contacts: &dyn Contacts,
) -> (Verdict, Option<&'l Item>) {
    let Some(list) = list else {
        return (Verdict::Pass(Ground::NoList), None);
    };
    if question.other.same_bare(question.account) {
        return (Verdict::Pass(Ground::OwnAccount), None);
    }
    if question.other.as_str() == question.account.domainpart() {
        return (Verdict::Pass(Ground::OwnServer), None);
    }
    let class = Class::of(question.direction, question.kind);
    let Some(item) = list.deciding(class, question.other, contacts) else {
        return (Verdict::Pass(Ground::NoItem), None);
    };
    let verdict = match item.action {
        Action::Allow => Verdict::Pass(Ground::Item(item.order)),
        Action::Deny => Verdict::Deny(Denial {
            order: item.order,
            blocked: item.blocks().is_some(),
            direction: question.direction,
            kind: question.kind,
        }),
    };
    (verdict, Some(item))
}
