//! The fast engine against a naive reading of the grammar, and what holds for any sequence of requests.

use proptest::prelude::*;
use proptest::sample::select;
use roster::{Relation, Roster};
use stanza::{Address, IqType, Kind, MessageType, PresenceType};

use super::{User, address, roster, tree};
use crate::{Action, Contacts, Direction, Item, List, ListName, Lists, Question, Scope, Subject, Verdict};

const ACCOUNT: &str = "romeo@net";
const OTHERS: [&str; 12] = [
    "a@x",
    "a@x/1",
    "a@x/2",
    "b@x",
    "b@x/1",
    "x",
    "x/1",
    "y",
    "a@y/1",
    "net",
    "romeo@net/home",
    "juliet@net",
];
const RULES: [&str; 9] = ["a@x", "a@x/1", "b@x", "x", "x/1", "y", "a@y", "net", "romeo@net"];
const GROUPS: [&str; 3] = ["friends", "enemies", "work"];

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        4 => select(&RULES[..]).prop_map(|jid| Subject::Jid(address(jid))),
        2 => select(&GROUPS[..]).prop_map(|group| Subject::Group(group.into())),
        2 => select(&Relation::ALL[..]).prop_map(Subject::Subscription),
        1 => Just(Subject::Everyone),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    let scope = prop_oneof![Just(0u8), 1..16u8].prop_map(|code| Scope::from_code(code).unwrap());
    let action = select(vec![Action::Allow, Action::Deny]);
    (subject(), action, scope).prop_map(|(subject, action, scope)| Item {
        order: 0,
        subject,
        action,
        scope,
    })
}

/// Items with unique orders, in no order.
fn list(size: usize) -> impl Strategy<Value = Vec<Item>> {
    let orders = prop::collection::hash_set(0..60u32, size);
    (prop::collection::vec(item(), size), orders).prop_map(|(mut items, orders)| {
        for (item, order) in items.iter_mut().zip(orders) {
            item.order = order;
        }
        items
    })
}

fn contacts() -> impl Strategy<Value = Roster> {
    let contact = (
        select(&Relation::ALL[..]),
        prop::sample::subsequence(&GROUPS[..], 0..=3),
    );
    prop::collection::vec(contact, 4).prop_map(|contacts| {
        let rows: Vec<(&str, Relation, Vec<&str>)> = ["a@x", "b@x", "x", "a@y"]
            .into_iter()
            .zip(contacts)
            // One of the four values stands for a contact that is not there.
            .filter(|(_, (relation, groups))| *relation != Relation::None || !groups.is_empty())
            .map(|(jid, (relation, groups))| (jid, relation, groups))
            .collect();
        roster(&address(ACCOUNT), &rows)
    })
}

/// Every kind and type that there is.
fn kind() -> impl Strategy<Value = Kind> {
    select(vec![
        Kind::Message(MessageType::Chat),
        Kind::Message(MessageType::Error),
        Kind::Message(MessageType::Groupchat),
        Kind::Message(MessageType::Headline),
        Kind::Message(MessageType::Normal),
        Kind::Iq(IqType::Get),
        Kind::Iq(IqType::Set),
        Kind::Iq(IqType::Result),
        Kind::Iq(IqType::Error),
        Kind::Presence(PresenceType::Available),
        Kind::Presence(PresenceType::Error),
        Kind::Presence(PresenceType::Probe),
        Kind::Presence(PresenceType::Subscribe),
        Kind::Presence(PresenceType::Subscribed),
        Kind::Presence(PresenceType::Unavailable),
        Kind::Presence(PresenceType::Unsubscribe),
        Kind::Presence(PresenceType::Unsubscribed),
    ])
}

/// XEP-0016 read sentence by sentence: whether the stanza passes.
fn naive(items: &[Item], direction: Direction, kind: Kind, other: &Address, roster: &Roster) -> bool {
    if other.as_str() == "net" || other.bare_str() == ACCOUNT {
        return true;
    }
    let mut items = items.to_vec();
    items.sort_by_key(|item| item.order);
    for item in items {
        let speaks_of_whom = match &item.subject {
            Subject::Jid(jid) => match (jid.localpart(), jid.resourcepart()) {
                (Some(_), Some(_)) => jid == other,
                (Some(_), None) => *jid == other.to_bare(),
                (None, Some(_)) => jid == other,
                (None, None) => jid.domainpart() == other.domainpart(),
            },
            Subject::Group(group) => {
                let mut is_in = false;
                roster.for_each_group(other.bare_str(), &mut |known| is_in |= *known == **group);
                is_in
            }
            Subject::Subscription(relation) => roster.relation(other.bare_str()) == *relation,
            Subject::Everyone => true,
        };
        let notification = matches!(
            kind,
            Kind::Presence(PresenceType::Available | PresenceType::Unavailable)
        );
        let has = |scope: Scope| item.scope.code() & scope.code() != 0;
        let speaks_of_what = item.scope == Scope::ALL
            || match direction {
                Direction::In => {
                    (has(Scope::MESSAGE) && matches!(kind, Kind::Message(_)))
                        || (has(Scope::IQ) && matches!(kind, Kind::Iq(_)))
                        || (has(Scope::PRESENCE_IN) && notification)
                }
                Direction::Out => has(Scope::PRESENCE_OUT) && notification,
            };
        if speaks_of_whom && speaks_of_what {
            return item.action == Action::Allow;
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn xep0016_2_the_index_decides_as_a_walk_would(
        items in (0..20usize).prop_flat_map(list),
        // The second is what the roster becomes: it counts at once (XEP-0016 §2.2 rule 9).
        rosters in (contacts(), contacts()),
        kind in kind(),
    ) {
        let account = address(ACCOUNT);
        let name = ListName::new("list");
        let mut lists = Lists::default();
        lists.insert(List::new(name.clone(), items.clone()));
        for roster in [&rosters.0, &rosters.1] {
            for other in OTHERS {
                let other = address(other);
                for direction in [Direction::In, Direction::Out] {
                    let expected = naive(&items, direction, kind, &other, roster);
                    let question = Question { account: &account, active: Some(&name), direction, kind, other: &other };
                    let verdict = lists.may_pass(&question, roster);
                    prop_assert_eq!(verdict.passes(), expected, "{:?} {:?} {}", direction, kind, other);
                    let explained = lists.explain(&question, roster);
                    prop_assert_eq!(explained.verdict, verdict);
                    if let Verdict::Deny(denial) = verdict {
                        prop_assert_eq!(explained.item.map(|item| item.order), Some(denial.order));
                    }
                }
            }
        }
    }
}

/// What one resource asks for.
#[derive(Debug, Clone)]
enum Request {
    Block(Vec<&'static str>),
    Unblock(Vec<&'static str>),
    Put(&'static str, Vec<Item>),
    Remove(&'static str),
    Active(Option<&'static str>),
    Default(Option<&'static str>),
}

fn request() -> impl Strategy<Value = Request> {
    let jids = |from: usize| prop::collection::vec(select(&RULES[..]), from..4);
    let name = || select(vec!["blocklist", "one", "two"]);
    let maybe = || prop::option::of(select(vec!["blocklist", "one", "two"]));
    // Groups must be in the roster, which is not what is tried here.
    let items = (1..6usize).prop_flat_map(list).prop_map(|items| {
        items
            .into_iter()
            .filter(|item| !matches!(item.subject, Subject::Group(_)))
            .collect::<Vec<Item>>()
    });
    prop_oneof![
        4 => jids(1).prop_map(Request::Block),
        3 => jids(0).prop_map(Request::Unblock),
        2 => (name(), items).prop_map(|(name, items)| Request::Put(name, items)),
        1 => name().prop_map(Request::Remove),
        1 => maybe().prop_map(Request::Active),
        2 => maybe().prop_map(Request::Default),
    ]
}

proptest! {
    /// Whoever asks for what in whichever order: what was kept is what is there (checked by `User` at each step), a
    /// block is enforced until it is taken back, and a resource is never left with a list that is gone.
    #[test]
    fn xep0191_5_two_views_of_one_list(requests in prop::collection::vec((any::<bool>(), request()), 1..25)) {
        let mut user = User::romeo();
        user.account = address(ACCOUNT);
        for (first, request) in requests {
            let resource = if first { "orchard" } else { "home" };
            let before = user.blocklist();
            let command = |name: &str, jids: &[&str]| {
                let items: String = jids.iter().map(|jid| format!("<item jid='{jid}'/>")).collect();
                format!("<{name} xmlns='urn:xmpp:blocking'>{items}</{name}>")
            };
            let named = |element: &str, name: Option<&str>| match name {
                Some(name) => format!("<{element} name='{name}'/>"),
                None => format!("<{element}/>"),
            };
            match &request {
                Request::Block(jids) => {
                    user.commands(resource, &command("block", jids)).unwrap();
                    for jid in jids {
                        prop_assert!(user.blocklist().iter().any(|blocked| blocked == jid));
                        let other = address(jid);
                        if other.bare_str() == ACCOUNT || *jid == "net" {
                            continue;
                        }
                        for direction in [Direction::In, Direction::Out] {
                            let kind = Kind::Message(MessageType::Chat);
                            let question =
                                Question { account: &user.account, active: None, direction, kind, other: &other };
                            let verdict = user.lists.may_pass(&question, &user.roster);
                            prop_assert!(matches!(verdict, Verdict::Deny(denial) if denial.blocked));
                        }
                    }
                }
                Request::Unblock(jids) => {
                    user.commands(resource, &command("unblock", jids)).unwrap();
                    let kept: Vec<String> = before
                        .into_iter()
                        .filter(|jid| !jids.is_empty() && !jids.contains(&jid.as_str()))
                        .collect();
                    prop_assert_eq!(user.blocklist(), kept);
                }
                Request::Put(name, items) => {
                    let list = List::new(ListName::new(name), items.clone());
                    let written = crate::grammar::query([crate::grammar::write_list(&list)]);
                    let inside = tree(&String::from_utf8(written).unwrap());
                    let inside = inside.children().next().unwrap().to_bytes("jabber:iq:privacy");
                    if user.sets(resource, &String::from_utf8(inside).unwrap()).is_ok() && !items.is_empty() {
                        // What was written was read back as it was.
                        prop_assert_eq!(user.lists.get(name).unwrap().items(), list.items());
                    }
                }
                Request::Remove(name) => { let _ = user.sets(resource, &named("list", Some(name))); }
                Request::Active(name) => { let _ = user.sets(resource, &named("active", *name)); }
                Request::Default(name) => { let _ = user.sets(resource, &named("default", *name)); }
            }
            for active in user.resources.values().flatten() {
                prop_assert!(user.lists.get(active.as_str()).is_some(), "{active} is gone");
            }
        }
    }
}
