//! Roster sets: adding, updating and deleting a contact (RFC 6121 §2.3, §2.4, §2.5).

use stanza::namespace::ROSTER;
use stanza::{Address, Condition, ErrorKind, StanzaError};
use xml::Tree;

use crate::item::SEPARATOR;
use crate::{Change, Item, Limits, Outcome, Roster, Send};

/// The one item of a roster set, checked. What a client may not say (`ask`, `approved`, other values of `subscription`)
/// is not even read (RFC 6121 §2.1.2.1, §2.1.2.2, §2.1.5).
struct Wanted {
    contact: Address,
    action: Action,
}

enum Action {
    Put { name: String, groups: Vec<String> },
    Remove,
}

impl Roster {
    /// A roster set of the user (RFC 6121 §2.1.5): `query` is the payload of the IQ. That the sender may change this
    /// roster at all has been checked before (§2.3.3, `forbidden`).
    ///
    /// # Errors
    /// As §2.3.3 and §2.5.3 say; nothing has changed then.
    pub fn set(&mut self, query: &Tree, limits: &Limits) -> Result<Outcome, StanzaError> {
        let Wanted { contact, action } = Wanted::read(query, limits)?;
        self.refuse_owner(&contact)?;
        match action {
            Action::Put { name, groups } => self.update(contact, &name, &groups, limits),
            Action::Remove => self.remove(contact, limits),
        }
    }

    /// RFC 6121 §2.3.2, §2.4.2: the item is exactly as provided, the subscription as it was.
    fn update(
        &mut self,
        contact: Address,
        name: &str,
        groups: &[String],
        limits: &Limits,
    ) -> Result<Outcome, StanzaError> {
        if !self.items.contains_key(&contact) {
            self.refuse_more_items(limits)?;
        }
        let mut item = self.items.get(&contact).cloned().unwrap_or_else(Item::unnamed);
        // For a contact whose request waits, the item joins it (A.1, "None + Pending In").
        item.state = self.state(contact.as_str());
        item.set_texts(name, groups.iter().map(String::as_str));
        let mut changes = Vec::new();
        let push = self.put(&contact, item, &mut changes);
        Ok(Outcome {
            contact,
            changes,
            sends: vec![Send::Push(push)],
        })
    }

    /// RFC 6121 §2.5.2: no subscription outlives the item, and neither does a question in either direction.
    fn remove(&mut self, contact: Address, limits: &Limits) -> Result<Outcome, StanzaError> {
        let Some(item) = self.items.get(&contact) else {
            return Err(StanzaError::new(Condition::ItemNotFound).kind(ErrorKind::Modify));
        };
        let subscription = item.subscription();
        let mut changes = Vec::new();
        let mut sends = Vec::new();
        if self.requests.remove(&contact).is_some() {
            changes.push(Change::RequestSettled {
                contact: contact.clone(),
            });
        }
        sends.push(Send::Push(self.take_out(&contact, limits.removals, &mut changes)));
        if subscription.user_is_subscribed() || subscription.is_pending_out() {
            sends.push(Send::Unsubscribe);
        }
        if subscription.contact_is_subscribed() {
            // RFC 6121 §3.2.2: while the contact may still see it.
            sends.push(Send::Unavailable);
        }
        if subscription.contact_is_subscribed() || subscription.is_pending_in() {
            sends.push(Send::Unsubscribed);
        }
        Ok(Outcome {
            contact,
            changes,
            sends,
        })
    }
}

impl Wanted {
    fn read(query: &Tree, limits: &Limits) -> Result<Wanted, StanzaError> {
        let mut items = query.children().filter(|child| child.is(ROSTER, "item"));
        let (Some(item), None) = (items.next(), items.next()) else {
            return Err(StanzaError::new(Condition::BadRequest).text("a roster set has exactly one item"));
        };
        let jid = item
            .attribute("jid")
            .ok_or_else(|| StanzaError::new(Condition::BadRequest).text("the item has no jid"))?;
        let contact = Address::parse(jid).map_err(|_| StanzaError::new(Condition::JidMalformed))?;
        if !contact.is_bare() {
            return Err(StanzaError::new(Condition::BadRequest).text("a contact has a bare address"));
        }
        let action = if item.attribute("subscription") == Some("remove") {
            Action::Remove
        } else {
            Action::Put {
                name: read_name(item, limits)?,
                groups: read_groups(item, limits)?,
            }
        };
        Ok(Wanted { contact, action })
    }
}

/// RFC 6121 §2.3.3: `not-acceptable` when too long. An empty name is no name (§2.4.1).
fn read_name(item: &Tree, limits: &Limits) -> Result<String, StanzaError> {
    let name = item.attribute("name").unwrap_or_default();
    acceptable(name, "name", limits)?;
    Ok(name.to_owned())
}

/// RFC 6121 §2.3.3: `bad-request` for duplicates, `not-acceptable` for empty and too long ones, and for too many.
fn read_groups(item: &Tree, limits: &Limits) -> Result<Vec<String>, StanzaError> {
    let mut groups: Vec<String> = Vec::new();
    for group in item.children().filter(|child| child.is(ROSTER, "group")) {
        let name = group.content();
        if name.is_empty() {
            return Err(StanzaError::new(Condition::NotAcceptable).text("a group without a name"));
        }
        acceptable(&name, "group", limits)?;
        if groups.iter().any(|known| *known == *name) {
            return Err(StanzaError::new(Condition::BadRequest).text("a group is named twice"));
        }
        if groups.len() >= limits.groups {
            return Err(StanzaError::new(Condition::NotAcceptable)
                .text(format!("a contact is in at most {} groups here", limits.groups)));
        }
        groups.push(name.into_owned());
    }
    Ok(groups)
}

fn acceptable(text: &str, what: &str, limits: &Limits) -> Result<(), StanzaError> {
    if text.len() > limits.name_bytes {
        return Err(StanzaError::new(Condition::NotAcceptable)
            .text(format!("a {what} has at most {} bytes here", limits.name_bytes)));
    }
    if text.contains(SEPARATOR) {
        return Err(StanzaError::new(Condition::NotAcceptable).text("U+0000 is no character"));
    }
    Ok(())
}
