//! What holds for any sequence of stanzas and sets.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Sent, User, item_of, sent, tree};
use crate::{Retrieved, SubscriptionStanza as P};

const NAMES: [&str; 2] = ["romeo@example.net", "juliet@example.com"];

/// What one of two users does.
#[derive(Debug, Clone)]
enum Act {
    Send(P),
    Name,
    Remove,
}

fn act() -> impl Strategy<Value = (usize, Act)> {
    let acts = prop_oneof![
        4 => prop::sample::select(P::ALL.to_vec()).prop_map(Act::Send),
        1 => Just(Act::Name),
        1 => Just(Act::Remove),
    ];
    (0..2usize, acts)
}

impl Act {
    /// The stanzas that leave for the other user.
    fn done_by(&self, user: &mut User, other: &str) -> Vec<P> {
        match self {
            Act::Send(stanza) => leaving(*stanza, &user.sends(*stanza, other)),
            Act::Name => {
                user.set(&format!("<item jid='{other}' name='x'/>")).unwrap();
                Vec::new()
            }
            Act::Remove => match user.set(&format!("<item jid='{other}' subscription='remove'/>")) {
                Ok(outcome) => leaving(P::Subscribe, &sent(&outcome)),
                Err(error) => {
                    assert_eq!(error, "modify/item-not-found");
                    Vec::new()
                }
            },
        }
    }
}

fn leaving(own: P, sends: &[Sent]) -> Vec<P> {
    sends
        .iter()
        .filter_map(|send| match send {
            Sent::Route => Some(own),
            Sent::Subscribed => Some(P::Subscribed),
            Sent::Unsubscribe => Some(P::Unsubscribe),
            Sent::Unsubscribed => Some(P::Unsubscribed),
            Sent::Deliver | Sent::Push(_) | Sent::Presence | Sent::Unavailable => None,
        })
        .collect()
}

proptest! {
    /// When each act is settled before the next, both rosters tell the same story, and no act sets off a loop.
    #[test]
    fn rfc6121_a_two_rosters_agree(acts in prop::collection::vec(act(), 1..40)) {
        let mut users = NAMES.map(User::of);
        for (who, act) in acts {
            let mut waiting: Vec<(usize, P)> = Vec::new();
            for stanza in act.done_by(&mut users[who], NAMES[1 - who]) {
                waiting.push((1 - who, stanza));
            }
            let mut delivered = 0;
            while !waiting.is_empty() {
                let (to, stanza) = waiting.remove(0);
                delivered += 1;
                prop_assert!(delivered <= 8, "a loop after {act:?}");
                let sends = users[to].receives(stanza, NAMES[1 - to]);
                waiting.extend(leaving(stanza, &sends).into_iter().map(|stanza| (1 - to, stanza)));
            }
            let [mine, theirs] = [users[0].subscription(NAMES[1]), users[1].subscription(NAMES[0])];
            prop_assert_eq!(mine.user_is_subscribed(), theirs.contact_is_subscribed());
            prop_assert_eq!(mine.contact_is_subscribed(), theirs.user_is_subscribed());
            prop_assert_eq!(mine.is_pending_out(), theirs.is_pending_in());
            prop_assert_eq!(mine.is_pending_in(), theirs.is_pending_out());
        }
    }

    /// Whatever crosses whatever on the way, it comes to rest.
    #[test]
    fn rfc6121_a_crossing_stanzas_never_loop(
        acts in prop::collection::vec(act(), 1..20),
        order in prop::collection::vec(any::<bool>(), 200),
    ) {
        let mut users = NAMES.map(User::of);
        // To each user, in order.
        let mut ways: [Vec<P>; 2] = [Vec::new(), Vec::new()];
        let mut acts = acts.into_iter();
        let mut steps = 0;
        for first in order.into_iter().cycle() {
            steps += 1;
            prop_assert!(steps < 400, "it does not come to rest");
            let to = usize::from(first);
            if ways[to].is_empty() {
                match acts.next() {
                    Some((who, act)) => {
                        let stanzas = act.done_by(&mut users[who], NAMES[1 - who]);
                        ways[1 - who].extend(stanzas);
                    }
                    None if ways[1 - to].is_empty() => break,
                    None => {}
                }
            } else {
                let stanza = ways[to].remove(0);
                let sends = users[to].receives(stanza, NAMES[1 - to]);
                ways[1 - to].extend(leaving(stanza, &sends));
            }
        }
    }

    /// A client that was away at any time, and gets what has changed since, has the same roster as one that asks anew.
    #[test]
    fn rfc6121_2_6_a_client_that_catches_up_has_the_whole_roster(
        acts in prop::collection::vec((0..6u8, 0..4u8), 1..40),
        removals in 0..4usize,
        away_from in 0..40usize,
    ) {
        let mut user = User::juliet();
        user.limits.removals = removals;
        let mut cached: BTreeMap<String, String> = BTreeMap::new();
        let mut version = user.roster.version();
        for (step, (contact, what)) in acts.into_iter().enumerate() {
            let contact = format!("{contact}@x");
            match what {
                0 => { user.set(&format!("<item jid='{contact}' name='{step}'/>")).unwrap(); }
                1 => { let _ = user.set(&format!("<item jid='{contact}' subscription='remove'/>")); }
                2 => { user.sends(P::Subscribe, &contact); }
                _ => { user.receives(P::Subscribed, &contact); }
            }
            if step == away_from {
                cached = whole(&user);
                version = user.roster.version();
            }
        }
        let get = tree(&format!("<query xmlns='jabber:iq:roster' ver='{version}'/>"));
        match user.roster.retrieve(&get, &user.limits).unwrap() {
            Retrieved::Whole(_) => {}
            Retrieved::Since(pushes) => {
                for push in pushes {
                    match push.item() {
                        Some(_) => { cached.insert(push.contact().to_string(), item_of(&push)); }
                        None => { cached.remove(push.contact().as_str()); }
                    }
                }
                prop_assert_eq!(cached, whole(&user));
            }
        }
    }

    /// Names and groups of any characters that XML has come out as they went in.
    #[test]
    fn rfc6121_2_1_any_text_survives(name in "[^\\x00-\\x08\\x0b-\\x1f\u{fffe}\u{ffff}]{0,20}", group in "[^\\x00-\\x08\\x0b-\\x1f\u{fffe}\u{ffff}]{1,20}") {
        let mut user = User::juliet();
        let item = xml::Tree::new("item", "jabber:iq:roster").attr("jid", "a@x").attr("name", name.clone())
            .child(xml::Tree::new("group", "jabber:iq:roster").text(&group));
        let query = xml::Tree::new("query", "jabber:iq:roster").child(item);
        user.roster.set(&query, &user.limits).unwrap();
        let mut bytes = Vec::new();
        user.roster.write(&mut bytes);
        let back = tree(&String::from_utf8(bytes).unwrap());
        let item = back.children().next().unwrap();
        prop_assert_eq!(item.attribute("name").unwrap_or_default(), name);
        prop_assert_eq!(item.children().next().unwrap().content(), group);
    }
}

fn whole(user: &User) -> BTreeMap<String, String> {
    let mut bytes = Vec::new();
    user.roster.write(&mut bytes);
    let query = tree(&String::from_utf8(bytes).unwrap());
    query
        .children()
        .map(|item| {
            let mut bytes = Vec::new();
            item.write(&mut bytes, "jabber:iq:roster");
            (
                item.attribute("jid").unwrap().to_owned(),
                String::from_utf8(bytes).unwrap(),
            )
        })
        .collect()
}
