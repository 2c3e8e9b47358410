//! The crate as the account sees it: requests in, outcomes out, what was kept read back, and the door.

mod blocking;
mod door;
mod lists;
mod properties;

use std::collections::BTreeMap;

use roster::{ItemRow as Contact, Relation, Roster};
use stanza::{Address, Kind};
use xml::Tree;

use crate::{
    Audience, Change, Connected, Direction, Item, Limits, ListName, ListRow, Lists, Outcome, Question,
    SessionChange, Stored, Verdict,
};

/// The user of the examples, with two connected resources and a roster, and a store that keeps what it is told to keep.
struct User {
    account: Address,
    lists: Lists,
    stored: Stored,
    roster: Roster,
    limits: Limits,
    /// The active list of each connected resource.
    resources: BTreeMap<&'static str, Option<ListName>>,
}

impl User {
    fn romeo() -> User {
        let account = address("romeo@example.net");
        let contacts = [
            ("juliet@example.com", Relation::Both, vec!["Friends", "Lovers"]),
            ("benvolio@example.org", Relation::To, vec!["Friends"]),
            ("tybalt@example.com", Relation::From, vec!["Enemies"]),
            ("paris@example.org", Relation::None, vec![]),
        ];
        User {
            lists: Lists::default(),
            stored: Stored::default(),
            roster: roster(&account, &contacts),
            limits: Limits::default(),
            resources: [("orchard", None), ("home", None)].into(),
            account,
        }
    }

    /// A set of privacy lists from a resource, with this inside the query.
    fn sets(&mut self, resource: &str, inside: &str) -> Result<Outcome, String> {
        let payload = query(inside);
        self.changes(resource, |lists, connected, roster, limits| {
            lists.privacy_set(&payload, connected, roster, limits)
        })
    }

    /// A blocking command from a resource.
    fn commands(&mut self, resource: &str, payload: &str) -> Result<Outcome, String> {
        let payload = tree(payload);
        self.changes(resource, |lists, connected, _, limits| {
            lists.blocking_set(&payload, connected, limits)
        })
    }

    fn changes(
        &mut self,
        resource: &str,
        request: impl FnOnce(&mut Lists, &Connected<'_>, &Roster, &Limits) -> Result<Outcome, stanza::StanzaError>,
    ) -> Result<Outcome, String> {
        let before = self.lists.to_stored();
        let others: Vec<Option<&ListName>> = self
            .resources
            .iter()
            .filter(|(name, _)| **name != resource)
            .map(|(_, active)| active.as_ref())
            .collect();
        let connected = Connected {
            sender: self.resources[resource].as_ref(),
            others: &others,
        };
        let outcome = request(&mut self.lists, &connected, &self.roster, &self.limits).map_err(|error| {
            assert_eq!(
                self.lists.to_stored(),
                before,
                "a refused request must change nothing"
            );
            format!("{}/{}", error.kind.as_str(), error.condition.as_str())
        })?;
        for change in &outcome.changes {
            apply(&mut self.stored, change.clone());
        }
        self.stored.lists.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(self.stored, self.lists.to_stored());
        let loaded = Lists::load(self.stored.clone()).unwrap();
        assert!(
            loaded
                .iter()
                .map(|list| list.items())
                .eq(self.lists.iter().map(|list| list.items()))
        );
        match &outcome.session {
            SessionChange::Keep => {}
            SessionChange::Active(name) => *self.resources.get_mut(resource).unwrap() = Some(name.clone()),
            SessionChange::NoActive => *self.resources.get_mut(resource).unwrap() = None,
        }
        Ok(outcome)
    }

    /// A get of privacy lists from a resource, with this inside the query.
    fn gets(&self, resource: &str, inside: &str) -> Result<Tree, String> {
        match self
            .lists
            .privacy_get(&query(inside), self.resources[resource].as_ref())
        {
            Ok(payload) => Ok(tree(&String::from_utf8(payload).unwrap())),
            Err(error) => Err(format!("{}/{}", error.kind.as_str(), error.condition.as_str())),
        }
    }

    fn blocklist(&self) -> Vec<String> {
        let list = tree(&String::from_utf8(self.lists.blocklist()).unwrap());
        assert!(list.is("urn:xmpp:blocking", "blocklist"));
        list.children()
            .map(|item| item.attribute("jid").unwrap().to_owned())
            .collect()
    }

    /// The verdict under the list that applies to this resource.
    fn verdict(&self, resource: &str, direction: Direction, kind: Kind, other: &str) -> Verdict {
        let other = address(other);
        let active = self.resources[resource].as_ref();
        let question = Question {
            account: &self.account,
            active,
            direction,
            kind,
            other: &other,
        };
        self.lists.may_pass(&question, &self.roster)
    }

    fn passes(&self, direction: Direction, kind: Kind, other: &str) -> bool {
        self.verdict("orchard", direction, kind, other).passes()
    }
}

fn apply(stored: &mut Stored, change: Change) {
    match change {
        Change::List { name, items } => {
            stored.lists.retain(|list| list.name != name.as_str());
            stored.lists.push(ListRow {
                name: name.as_str().to_owned(),
                items,
            });
        }
        Change::Items { name, removed, added } => {
            let list = stored
                .lists
                .iter_mut()
                .find(|list| list.name == name.as_str())
                .unwrap();
            list.items.retain(|item| !removed.contains(&item.order));
            for item in added {
                assert!(
                    list.items.iter().all(|known| known.order != item.order),
                    "the order is taken"
                );
                list.items.push(item);
            }
            list.items.sort_by_key(|item| item.order);
        }
        Change::Removed { name } => stored.lists.retain(|list| list.name != name.as_str()),
        Change::Default { name } => stored.default = name.map(|name| name.as_str().to_owned()),
    }
}

fn roster(account: &Address, contacts: &[(&str, Relation, Vec<&str>)]) -> Roster {
    let items = contacts
        .iter()
        .map(|(contact, relation, groups)| Contact {
            contact: address(contact),
            name: String::new(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            relation: *relation,
            ask: false,
            approved: false,
            version: 0,
        })
        .collect();
    Roster::load(
        account,
        roster::Stored {
            items,
            ..roster::Stored::default()
        },
    )
}

/// The pushes of an outcome to this audience.
fn pushed(outcome: &Outcome, audience: Audience) -> Vec<Tree> {
    let pushes = outcome.pushes.iter().filter(|push| push.audience == audience);
    pushes
        .map(|push| tree(std::str::from_utf8(&push.payload).unwrap()))
        .collect()
}

fn items(lists: &Lists, name: &str) -> Vec<Item> {
    lists.get(name).unwrap().items().to_vec()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A `<query/>` with this inside.
fn query(inside: &str) -> Tree {
    tree(&format!("<query xmlns='jabber:iq:privacy'>{inside}</query>"))
}

fn tree(text: &str) -> Tree {
    Tree::parse(text.as_bytes(), "jabber:client", &xml::Limits::default()).unwrap()
}
