//! Subscription stanzas, outbound and inbound (RFC 6121 §3).

use std::sync::Arc;

use stanza::{Address, Condition, StanzaError};

use crate::transition::{Step, inbound, outbound};
use crate::{Change, Item, Limits, Outcome, Reply, Roster, Send, SubscriptionStanza};

impl Roster {
    /// The user sends one of the four stanzas to `contact` (RFC 6121 §3.1.2, §3.1.5, §3.2.2, §3.3.2, §3.4.2).
    ///
    /// # Errors
    /// `not-allowed` to the user itself; `policy-violation` when the contact would be one too many.
    pub fn outbound(
        &mut self,
        stanza: SubscriptionStanza,
        contact: &Address,
        limits: &Limits,
    ) -> Result<Outcome, StanzaError> {
        let contact = contact.to_bare();
        self.refuse_owner(&contact)?;
        let step = outbound(stanza, self.state(contact.as_str()));
        if self.creates_item(&contact, &step) {
            self.refuse_more_items(limits)?;
        }
        let mut changes = Vec::new();
        let mut sends = Vec::new();
        let cancels = step.before.subscription.contact_is_subscribed()
            && !step.after.subscription.contact_is_subscribed();
        let grants = !step.before.subscription.contact_is_subscribed()
            && step.after.subscription.contact_is_subscribed();
        if cancels {
            // RFC 6121 §3.2.2: while the contact may still see it.
            sends.push(Send::Unavailable);
        }
        if step.passes {
            sends.push(Send::Route);
        }
        self.settle(&contact, &step, &mut changes, &mut sends);
        if grants {
            sends.push(Send::Presence);
        }
        Ok(Outcome {
            contact,
            changes,
            sends,
        })
    }

    /// One of the four stanzas comes from `contact` (RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3). `bytes` is the stanza as
    /// it would be delivered; a request is kept whole until it is answered.
    ///
    /// # Errors
    /// For the contact: `resource-constraint` when too many requests wait already, `policy-violation` when this one is
    /// too large to be kept, `not-allowed` from the user itself.
    pub fn inbound(
        &mut self,
        stanza: SubscriptionStanza,
        contact: &Address,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Outcome, StanzaError> {
        let contact = contact.to_bare();
        self.refuse_owner(&contact)?;
        let step = inbound(stanza, self.state(contact.as_str()));
        let mut changes = Vec::new();
        let mut sends = Vec::new();
        if step.after.subscription.is_pending_in() && !step.before.subscription.is_pending_in() {
            self.keep_request(&contact, bytes, limits, &mut changes)?;
        }
        if step.passes {
            // RFC 6121 §3.1.6, §3.2.3, §3.3.3: before the push.
            sends.push(Send::Deliver);
        }
        match step.reply {
            Some(Reply::Subscribed) => sends.push(Send::Subscribed),
            Some(Reply::Unsubscribed) => sends.push(Send::Unsubscribed),
            None => {}
        }
        self.settle(&contact, &step, &mut changes, &mut sends);
        match step.reply {
            // The contact may see the user, and by asking it has said that it knows nothing of that.
            Some(Reply::Subscribed) => sends.push(Send::Presence),
            Some(Reply::Unsubscribed) if step.before.subscription.contact_is_subscribed() => {
                sends.push(Send::Unavailable);
            }
            Some(Reply::Unsubscribed) | None => {}
        }
        Ok(Outcome {
            contact,
            changes,
            sends,
        })
    }

    /// Puts the new state in its place: the request that is settled, the item, the push.
    fn settle(&mut self, contact: &Address, step: &Step, changes: &mut Vec<Change>, sends: &mut Vec<Send>) {
        if step.before.subscription.is_pending_in() && !step.after.subscription.is_pending_in() {
            self.requests.remove(contact);
            changes.push(Change::RequestSettled {
                contact: contact.clone(),
            });
        }
        if step.shows() {
            let mut item = self.items.get(contact).cloned().unwrap_or_else(Item::unnamed);
            item.state = step.after;
            sends.push(Send::Push(self.put(contact, item, changes)));
        } else if let Some(item) = self.items.get_mut(contact) {
            // Only "pending in" differs, which the stored request says.
            item.state = step.after;
        }
    }

    /// RFC 6121 §3.1.3 rule 4: the complete stanza, once, and not without limits.
    fn keep_request(
        &mut self,
        contact: &Address,
        bytes: &[u8],
        limits: &Limits,
        changes: &mut Vec<Change>,
    ) -> Result<(), StanzaError> {
        if bytes.len() > limits.request_bytes {
            return Err(StanzaError::new(Condition::PolicyViolation).text(format!(
                "a subscription request has at most {} bytes here",
                limits.request_bytes
            )));
        }
        if self.requests.len() >= limits.requests {
            return Err(
                StanzaError::new(Condition::ResourceConstraint).text("too many subscription requests wait")
            );
        }
        let stanza: Arc<[u8]> = bytes.into();
        self.requests.insert(contact.clone(), stanza.clone());
        changes.push(Change::Request {
            contact: contact.clone(),
            stanza,
        });
        Ok(())
    }

    fn creates_item(&self, contact: &Address, step: &Step) -> bool {
        step.shows() && !self.items.contains_key(contact)
    }

    pub(crate) fn refuse_owner(&self, contact: &Address) -> Result<(), StanzaError> {
        if *contact == self.owner {
            return Err(StanzaError::new(Condition::NotAllowed).text("this is your own account"));
        }
        Ok(())
    }

    pub(crate) fn refuse_more_items(&self, limits: &Limits) -> Result<(), StanzaError> {
        if self.items.len() >= limits.items {
            return Err(StanzaError::new(Condition::PolicyViolation)
                .text(format!("a roster has at most {} contacts here", limits.items)));
        }
        Ok(())
    }
}
