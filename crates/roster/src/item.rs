//! One contact, in as few bytes as it takes.

use stanza::Address;

use crate::transition::State;
use crate::{ItemRow, Relation, Subscription};

/// A contact of the roster (RFC 6121 §2.1.2). Its address is the key under which the roster keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The name, then each group, separated by U+0000, which no XML can hold: one allocation instead of one per text.
    texts: Box<str>,
    pub(crate) version: u64,
    pub(crate) state: State,
}

/// Between the name and the groups.
pub(crate) const SEPARATOR: char = '\0';

impl Item {
    /// A contact that nobody has named or put into a group yet.
    pub(crate) fn unnamed() -> Item {
        Item {
            texts: "".into(),
            version: 0,
            state: State {
                subscription: Subscription::None,
                approved: false,
            },
        }
    }

    /// Sets name and groups, which hold no separator.
    pub(crate) fn set_texts<'a>(&mut self, name: &str, groups: impl Iterator<Item = &'a str>) {
        let mut texts = name.to_owned();
        for group in groups {
            texts.push(SEPARATOR);
            texts.push_str(group);
        }
        self.texts = texts.into_boxed_str();
    }

    /// The name that the user gave; empty when none (RFC 6121 §2.1.2.4).
    pub fn name(&self) -> &str {
        self.texts.split(SEPARATOR).next().unwrap_or_default()
    }

    /// The groups in the order of the client (RFC 6121 §2.1.2.6).
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.texts.split(SEPARATOR).skip(1)
    }

    /// One of the nine states.
    pub fn subscription(&self) -> Subscription {
        self.state.subscription
    }

    /// What the `subscription` attribute says (RFC 6121 §2.1.2.5).
    pub fn relation(&self) -> Relation {
        self.state.subscription.relation()
    }

    /// Whether the item says `ask='subscribe'` (RFC 6121 §2.1.2.2).
    pub fn ask(&self) -> bool {
        self.state.subscription.is_pending_out()
    }

    /// Whether the user has approved a request in advance (RFC 6121 §3.4).
    pub fn approved(&self) -> bool {
        self.state.approved
    }

    /// The version of the roster in which the item last changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The contact as it was kept; whether it asks is known from the requests.
    pub(crate) fn from_row(row: &ItemRow, contact_asks: bool) -> Item {
        let subscription = Subscription::from_parts(row.relation, row.ask, contact_asks);
        let mut item = Item {
            version: row.version,
            state: State {
                subscription,
                approved: row.approved,
            },
            ..Item::unnamed()
        };
        item.set_texts(&row.name, row.groups.iter().map(String::as_str));
        item
    }

    pub(crate) fn to_row(&self, contact: &Address) -> ItemRow {
        ItemRow {
            contact: contact.clone(),
            name: self.name().to_owned(),
            groups: self.groups().map(str::to_owned).collect(),
            relation: self.relation(),
            ask: self.ask(),
            approved: self.approved(),
            version: self.version,
        }
    }

    /// Appends `<item …/>` (RFC 6121 §2.1.2).
    pub(crate) fn write(&self, contact: &Address, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<item jid='");
        xml::escape_attribute(out, contact.as_str());
        if !self.name().is_empty() {
            out.extend_from_slice(b"' name='");
            xml::escape_attribute(out, self.name());
        }
        out.extend_from_slice(b"' subscription='");
        out.extend_from_slice(self.relation().as_str().as_bytes());
        if self.ask() {
            out.extend_from_slice(b"' ask='subscribe");
        }
        if self.approved() {
            out.extend_from_slice(b"' approved='true");
        }
        let mut groups = self.groups().peekable();
        if groups.peek().is_none() {
            out.extend_from_slice(b"'/>");
            return;
        }
        out.extend_from_slice(b"'>");
        for group in groups {
            out.extend_from_slice(b"<group>");
            xml::escape_text(out, group);
            out.extend_from_slice(b"</group>");
        }
        out.extend_from_slice(b"</item>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_stays_small_because_there_may_be_ten_thousand() {
        assert!(size_of::<Item>() <= 32);
    }
}
