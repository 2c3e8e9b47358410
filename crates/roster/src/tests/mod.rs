//! The crate as the account sees it: requests in, outcomes out, and what was kept read back.

mod presence;
mod properties;
mod sets;
mod tables;
mod versions;

use stanza::Address;
use stanza::namespace::ROSTER;
use xml::Tree;

use crate::{
    Change, Limits, Outcome, Push, RemovalRow, RequestRow, Roster, Send, Stored, Subscription,
    SubscriptionStanza,
};

/// One user, her roster, and a store that keeps what she is told to keep.
struct User {
    roster: Roster,
    stored: Stored,
    limits: Limits,
}

impl User {
    fn juliet() -> User {
        User::of("juliet@example.com")
    }

    fn of(owner: &str) -> User {
        let roster = Roster::new(&address(owner), 1_000);
        User {
            stored: roster.to_stored(),
            roster,
            limits: Limits::default(),
        }
    }

    /// A roster set with these items.
    fn set(&mut self, items: &str) -> Result<Outcome, String> {
        let before = self.roster.to_stored();
        let outcome = self.roster.set(&query(items), &self.limits).map_err(|error| {
            assert_eq!(
                self.roster.to_stored(),
                before,
                "a refused set must change nothing"
            );
            format!("{}/{}", error.kind.as_str(), error.condition.as_str())
        })?;
        self.keep(&outcome);
        Ok(outcome)
    }

    fn sends(&mut self, stanza: SubscriptionStanza, contact: &str) -> Vec<Sent> {
        let outcome = self
            .roster
            .outbound(stanza, &address(contact), &self.limits)
            .unwrap();
        self.keep(&outcome);
        sent(&outcome)
    }

    fn receives(&mut self, stanza: SubscriptionStanza, contact: &str) -> Vec<Sent> {
        let bytes = format!("<presence from='{contact}'/>").into_bytes();
        let outcome = self
            .roster
            .inbound(stanza, &address(contact), &bytes, &self.limits)
            .unwrap();
        self.keep(&outcome);
        sent(&outcome)
    }

    /// Keeps the changes as a store would, and finds that the rows are the roster.
    fn keep(&mut self, outcome: &Outcome) {
        for change in &outcome.changes {
            apply(&mut self.stored, change.clone());
        }
        self.stored.items.sort_by(|a, b| a.contact.cmp(&b.contact));
        self.stored.requests.sort_by(|a, b| a.contact.cmp(&b.contact));
        assert_eq!(self.stored, self.roster.to_stored());
        let loaded = Roster::load(&self.roster.owner, self.stored.clone());
        for (contact, item) in self.roster.iter() {
            assert_eq!(loaded.get(contact.as_str()), Some(item));
        }
    }

    fn subscription(&self, contact: &str) -> Subscription {
        self.roster.subscription(contact)
    }
}

fn apply(stored: &mut Stored, change: Change) {
    match change {
        Change::Item(row) => {
            stored.items.retain(|known| known.contact != row.contact);
            stored.removals.retain(|known| known.contact != row.contact);
            stored.items.push(row);
        }
        Change::Removed { contact, version } => {
            stored.items.retain(|known| known.contact != contact);
            stored.removals.push(RemovalRow { contact, version });
        }
        Change::RemovalForgotten { contact } => stored.removals.retain(|known| known.contact != contact),
        Change::Request { contact, stanza } => stored.requests.push(RequestRow { contact, stanza }),
        Change::RequestSettled { contact } => stored.requests.retain(|known| known.contact != contact),
        Change::Version {
            current,
            complete_since,
        } => {
            stored.version = current;
            stored.complete_since = complete_since;
        }
    }
}

/// What was sent, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sent {
    Route,
    Deliver,
    Push(String),
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    Presence,
    Unavailable,
}

fn sent(outcome: &Outcome) -> Vec<Sent> {
    outcome
        .sends
        .iter()
        .map(|send| match send {
            Send::Route => Sent::Route,
            Send::Deliver => Sent::Deliver,
            Send::Push(push) => Sent::Push(item_of(push)),
            Send::Subscribed => Sent::Subscribed,
            Send::Unsubscribe => Sent::Unsubscribe,
            Send::Unsubscribed => Sent::Unsubscribed,
            Send::Presence => Sent::Presence,
            Send::Unavailable => Sent::Unavailable,
        })
        .collect()
}

/// The item of a push as it is written.
fn item_of(push: &Push) -> String {
    let payload = String::from_utf8(push.payload()).unwrap();
    let inside = payload
        .strip_prefix(&format!("<query xmlns='{ROSTER}' ver='{}'>", push.version()))
        .unwrap();
    inside.strip_suffix("</query>").unwrap().to_owned()
}

fn push(item: &str) -> Sent {
    Sent::Push(item.to_owned())
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A `<query/>` with this inside.
fn query(inside: &str) -> Tree {
    tree(&format!("<query xmlns='{ROSTER}'>{inside}</query>"))
}

fn tree(text: &str) -> Tree {
    Tree::parse(text.as_bytes(), "jabber:client", &xml::Limits::default()).unwrap()
}
