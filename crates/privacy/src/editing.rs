//! Privacy lists as a client sees and edits them (XEP-0016 §2.3 to §2.8).

use std::sync::Arc;

use stanza::{Address, Condition, StanzaError};
use xml::Tree;

use crate::blocking::push_difference;
use crate::grammar::{PRIVACY, bad, name_of, named, query, read_items, write_list};
use crate::item::Item;
use crate::{
    Audience, Change, Connected, Contacts, Limits, List, ListName, Lists, Outcome, Push, SessionChange,
    Sessions, Shift,
};

impl Lists {
    /// A get of the user: the names of all lists, or one list (XEP-0016 §2.3). `payload` is the `<query/>`, `active` the
    /// active list of the resource that asks; the answer is the payload of the result.
    ///
    /// # Errors
    /// `item-not-found` for a list that is not there, `bad-request` for more than one.
    pub fn privacy_get(&self, payload: &Tree, active: Option<&ListName>) -> Result<Vec<u8>, StanzaError> {
        let mut children = payload.children();
        match (children.next(), children.next()) {
            (None, _) => Ok(self.names(active)),
            (Some(asked), None) if asked.is(PRIVACY, "list") => {
                let name = asked
                    .attribute("name")
                    .ok_or_else(|| bad("the list has no name"))?;
                let list = self.get(name).ok_or(Condition::ItemNotFound)?;
                Ok(query([write_list(list)]))
            }
            (Some(_), _) => Err(bad("one list is retrieved at a time")),
        }
    }

    /// XEP-0016 example 2: the active list of the resource, the default list, then all.
    fn names(&self, active: Option<&ListName>) -> Vec<u8> {
        let active = active.map(|name| named("active", Some(name)));
        let default = self
            .default_list()
            .map(|list| named("default", Some(list.name())));
        let all = self.iter().map(|list| named("list", Some(list.name())));
        query(active.into_iter().chain(default).chain(all))
    }

    /// A set of the user: the active list, the default list, or one list (XEP-0016 §2.4 to §2.8). `payload` is the
    /// `<query/>`.
    ///
    /// # Errors
    /// As XEP-0016 says; nothing has changed then.
    pub fn privacy_set(
        &mut self,
        payload: &Tree,
        connected: &Connected<'_>,
        contacts: &dyn Contacts,
        limits: &Limits,
    ) -> Result<Outcome, StanzaError> {
        let mut children = payload.children();
        let (Some(child), None) = (children.next(), children.next()) else {
            return Err(bad("one thing is set at a time"));
        };
        let name = name_of(child);
        if child.is(PRIVACY, "active") {
            self.set_active(name, connected)
        } else if child.is(PRIVACY, "default") {
            self.change_default(name, connected)
        } else if child.is(PRIVACY, "list") {
            let name = name.ok_or_else(|| bad("the list has no name"))?;
            if child.children().next().is_none() {
                self.remove_list(&name, connected)
            } else {
                self.put_list(name, child, connected, contacts, limits)
            }
        } else {
            Err(bad("active, default or list"))
        }
    }

    /// XEP-0016 §2.4.
    fn set_active(&self, name: Option<ListName>, connected: &Connected<'_>) -> Result<Outcome, StanzaError> {
        if let Some(name) = &name
            && self.get(name.as_str()).is_none()
        {
            return Err(Condition::ItemNotFound.into());
        }
        let before = self.applying(connected.sender).cloned();
        let after = self.applying(name.as_ref()).cloned();
        Ok(Outcome {
            session: name.map_or(SessionChange::NoActive, SessionChange::Active),
            shifts: shift(Sessions::Sender, before, after).into_iter().collect(),
            ..Outcome::default()
        })
    }

    /// XEP-0016 §2.5. No other resource may find itself under another list than before.
    fn change_default(
        &mut self,
        name: Option<ListName>,
        connected: &Connected<'_>,
    ) -> Result<Outcome, StanzaError> {
        if let Some(name) = &name
            && self.get(name.as_str()).is_none()
        {
            return Err(Condition::ItemNotFound.into());
        }
        let before = self.default_list().cloned();
        if before.as_ref().map(|list| list.name()) == name.as_ref() {
            return Ok(Outcome::default());
        }
        if before.is_some() && connected.others.iter().any(Option::is_none) {
            return Err(
                StanzaError::new(Condition::Conflict).text("the default list applies to another resource")
            );
        }
        self.set_default(name.as_ref());
        let after = self.default_list().cloned();
        Ok(Outcome {
            changes: vec![Change::Default { name }],
            session: SessionChange::Keep,
            pushes: push_difference(before.as_deref(), after.as_deref()),
            shifts: shift(Sessions::WithoutActive, before, after)
                .into_iter()
                .collect(),
        })
    }

    /// XEP-0016 §2.6, §2.7.
    fn put_list(
        &mut self,
        name: ListName,
        list: &Tree,
        connected: &Connected<'_>,
        contacts: &dyn Contacts,
        limits: &Limits,
    ) -> Result<Outcome, StanzaError> {
        let before = self.get(name.as_str()).cloned();
        if name.as_str().is_empty() {
            return Err(bad("the list has no name"));
        }
        if name.as_str().len() > limits.name_bytes {
            return Err(StanzaError::new(Condition::NotAcceptable).text("the name of the list is too long"));
        }
        if before.is_none() {
            self.refuse_more_lists(limits)?;
        }
        let items = read_items(list, contacts, limits)?;
        let after = List::new(name.clone(), items);
        if before
            .as_ref()
            .is_some_and(|before| before.items() == after.items())
        {
            return Ok(Outcome::default());
        }
        let changes = vec![Change::List {
            name: name.clone(),
            items: after.items().iter().map(Item::to_row).collect(),
        }];
        let after = self.insert(after);
        let mut pushes = vec![push_name(Audience::Connected, &name)];
        if self.is_default(&name) {
            pushes.extend(push_difference(before.as_deref(), Some(&after)));
        }
        Ok(Outcome {
            changes,
            session: SessionChange::Keep,
            pushes,
            shifts: self.edited(&name, before, Some(after), connected),
        })
    }

    /// XEP-0016 §2.8. What the sender alone used, it may remove; then the default list applies to it, or none.
    fn remove_list(&mut self, name: &ListName, connected: &Connected<'_>) -> Result<Outcome, StanzaError> {
        let before = self.get(name.as_str()).cloned().ok_or(Condition::ItemNotFound)?;
        let was_default = self.is_default(name);
        let applies = |active: &Option<&ListName>| match active {
            Some(active) => *active == name,
            None => was_default,
        };
        if connected.others.iter().any(applies) {
            return Err(StanzaError::new(Condition::Conflict).text("the list applies to another resource"));
        }
        self.remove(name.as_str());
        let mut outcome = Outcome {
            changes: vec![Change::Removed { name: name.clone() }],
            pushes: vec![push_name(Audience::Connected, name)],
            ..Outcome::default()
        };
        if connected.sender == Some(name) {
            outcome.session = SessionChange::NoActive;
            outcome.shifts.extend(shift(
                Sessions::Sender,
                Some(before.clone()),
                self.default_list().cloned(),
            ));
        }
        if was_default {
            outcome.changes.push(Change::Default { name: None });
            outcome.pushes.extend(push_difference(Some(&before), None));
            outcome
                .shifts
                .extend(shift(Sessions::WithoutActive, Some(before), None));
        }
        Ok(outcome)
    }

    pub(crate) fn is_default(&self, name: &ListName) -> bool {
        self.default_list().is_some_and(|list| list.name() == name)
    }

    pub(crate) fn refuse_more_lists(&self, limits: &Limits) -> Result<(), StanzaError> {
        if self.len() >= limits.lists {
            return Err(StanzaError::new(Condition::PolicyViolation)
                .text(format!("a user has at most {} lists here", limits.lists)));
        }
        Ok(())
    }

    /// Whom it concerns that the list of this name has other items (XEP-0016 §2.2 rule 8).
    pub(crate) fn edited(
        &self,
        name: &ListName,
        before: Option<Arc<List>>,
        after: Option<Arc<List>>,
        connected: &Connected<'_>,
    ) -> Vec<Shift> {
        let is_active = connected
            .others
            .iter()
            .chain([&connected.sender])
            .any(|active| *active == Some(name));
        let active =
            is_active.then(|| shift(Sessions::WithActive(name.clone()), before.clone(), after.clone()));
        let default = self
            .is_default(name)
            .then(|| shift(Sessions::WithoutActive, before, after));
        active.into_iter().chain(default).flatten().collect()
    }
}

/// A "privacy list push" (XEP-0016 §2.2 rule 10): the name only.
pub(crate) fn push_name(audience: Audience, name: &ListName) -> Push {
    Push {
        audience,
        payload: query([named("list", Some(name))]),
    }
}

pub(crate) fn shift(
    sessions: Sessions,
    before: Option<Arc<List>>,
    after: Option<Arc<List>>,
) -> Option<Shift> {
    let same = match (&before, &after) {
        (Some(before), Some(after)) => Arc::ptr_eq(before, after),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    (!same).then_some(Shift {
        sessions,
        before,
        after,
    })
}

/// The addresses that a list shows as blocked, each once, in its order.
pub(crate) fn blocked(list: Option<&List>) -> Vec<&Address> {
    let mut known = std::collections::BTreeSet::new();
    list.into_iter()
        .flat_map(List::blocked)
        .filter(|jid| known.insert(*jid))
        .collect()
}
