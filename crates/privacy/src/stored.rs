//! The lists as rows.

use roster::Relation;
use stanza::Address;

use crate::{Action, Item, List, ListName, Lists, Scope, Subject};

/// One item of a list as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRow {
    /// Its place; with the account and the list, the key.
    pub order: u32,
    /// 0 everyone, 1 an address, 2 a group, 3 a subscription.
    pub subject: u8,
    /// The address, the group, the subscription; empty for everyone.
    pub value: String,
    /// Whether it denies rather than allows.
    pub deny: bool,
    /// [`Scope::code`].
    pub scope: u8,
}

/// One list with its items, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRow {
    /// Its name; with the account, the key.
    pub name: String,
    /// Its items.
    pub items: Vec<ItemRow>,
}

/// All lists of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The lists, in any order.
    pub lists: Vec<ListRow>,
    /// The name of the default list.
    pub default: Option<String>,
}

/// A row that says nothing. Lists are not loaded with such a row: a rule that is left out would open a door.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("item {order} of the privacy list {list:?} is stored in a form that is not understood")]
pub struct BadRow {
    /// The list.
    pub list: String,
    /// The item.
    pub order: u32,
}

impl Lists {
    /// The lists that were kept in these rows.
    ///
    /// # Errors
    /// When a row says nothing.
    pub fn load(stored: Stored) -> Result<Lists, BadRow> {
        let mut lists = Lists::default();
        for ListRow { name, items } in stored.lists {
            let items = items
                .iter()
                .map(|row| {
                    Item::from_row(row).ok_or_else(|| BadRow {
                        list: name.clone(),
                        order: row.order,
                    })
                })
                .collect::<Result<Vec<Item>, BadRow>>()?;
            lists.insert(List::new(ListName::new(&name), items));
        }
        lists.set_default(stored.default.as_deref().map(ListName::new).as_ref());
        Ok(lists)
    }

    /// All of it as rows.
    pub fn to_stored(&self) -> Stored {
        Stored {
            lists: self
                .iter()
                .map(|list| ListRow {
                    name: list.name().as_str().to_owned(),
                    items: list.items().iter().map(Item::to_row).collect(),
                })
                .collect(),
            default: self.default_list().map(|list| list.name().as_str().to_owned()),
        }
    }
}

impl Item {
    pub(crate) fn to_row(&self) -> ItemRow {
        ItemRow {
            order: self.order,
            subject: match self.subject {
                Subject::Everyone => 0,
                Subject::Jid(_) => 1,
                Subject::Group(_) => 2,
                Subject::Subscription(_) => 3,
            },
            value: self.subject.value().unwrap_or_default().to_owned(),
            deny: self.action == Action::Deny,
            scope: self.scope.code(),
        }
    }

    fn from_row(row: &ItemRow) -> Option<Item> {
        let subject = match row.subject {
            0 => Subject::Everyone,
            1 => Subject::Jid(Address::parse(&row.value).ok()?),
            2 => Subject::Group(row.value.as_str().into()),
            3 => Subject::Subscription(Relation::parse(&row.value)?),
            _ => return None,
        };
        let action = if row.deny { Action::Deny } else { Action::Allow };
        Some(Item {
            order: row.order,
            subject,
            action,
            scope: Scope::from_code(row.scope)?,
        })
    }
}
