//! The service that rooms live at (XEP-0045 §6.1–§6.3, §10.1.4).

use machine::Random;
use presence::Advertised;
use stanza::namespace::{ANNOTATION, CAPABILITIES, DISCO_INFO, DISCO_ITEMS, MUC, PING};
use stanza::{Address, Condition, StanzaError};
use xml::Tree;

use crate::Settings;
use crate::names::{OCCUPANT_ID, RSM, STABLE_ID, UNIQUE, VCARD};

/// A room in the list of rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomItem {
    /// Its address.
    pub address: Address,
    /// What people call it; may be empty.
    pub name: String,
}

/// Whether this is the question for the list of rooms (XEP-0045 §6.3).
pub fn asks_for_rooms(query: &Tree, is_set: bool) -> bool {
    !is_set && query.is(DISCO_ITEMS, "query") && query.attribute("node").is_none()
}

/// The list of rooms, or the page of it that was asked for (XEP-0059). `rooms` are in the order of their addresses, and
/// `max` of them are shown at once.
///
/// # Errors
/// When the page is none.
pub fn list_of_rooms(asked: &Tree, rooms: &[RoomItem], max: usize) -> Result<Tree, StanzaError> {
    let Some(set) = asked.find(RSM, "set") else {
        let shown = rooms.get(..max).unwrap_or(rooms);
        let list = listed(shown.iter());
        return Ok(match (shown.first(), shown.last()) {
            // §6.3: who has not asked for pages sees that this is one. How many there are is not known.
            (Some(first), Some(last)) if rooms.len() > max => list.child(set_of(first, 0, last)),
            _ => list,
        });
    };
    let text = |name| set.find(RSM, name).map(|child| child.content().into_owned());
    let number = |name| text(name).map(|text| text.trim().parse::<usize>()).transpose();
    let most = number("max").map_err(|_| Condition::BadRequest)?;
    let most = most.unwrap_or(max).min(max);
    let place = |jid: &str| rooms.partition_point(|room| room.address.as_str() <= jid);
    let (from, to) = match (text("after"), text("before")) {
        (Some(after), _) => {
            let from = place(&after);
            (from, from.saturating_add(most).min(rooms.len()))
        }
        (None, Some(before)) => {
            // XEP-0059 §2.5: an empty one asks for the last page.
            let to = match before.as_str() {
                "" => rooms.len(),
                before => rooms.partition_point(|room| room.address.as_str() < before),
            };
            (to.saturating_sub(most), to)
        }
        (None, None) => {
            let from = number("index").map_err(|_| Condition::BadRequest)?;
            let from = from.unwrap_or_default().min(rooms.len());
            (from, from.saturating_add(most).min(rooms.len()))
        }
    };
    let page = rooms.get(from..to).unwrap_or_default();
    let mut told = Tree::new("set", RSM);
    if let (Some(first), Some(last)) = (page.first(), page.last()) {
        told = set_of(first, from, last);
    }
    let count = Tree::new("count", RSM).text(&rooms.len().to_string());
    Ok(listed(page.iter()).child(told.child(count)))
}

/// XEP-0059 §2.1: which part of a list this is.
fn set_of(first: &RoomItem, index: usize, last: &RoomItem) -> Tree {
    let first = Tree::new("first", RSM)
        .attr("index", index.to_string())
        .text(first.address.as_str());
    let last = Tree::new("last", RSM).text(last.address.as_str());
    Tree::new("set", RSM).child(first).child(last)
}

fn listed<'r>(rooms: impl Iterator<Item = &'r RoomItem>) -> Tree {
    rooms.fold(Tree::new("query", DISCO_ITEMS), |query, room| {
        let mut item = Tree::new("item", DISCO_ITEMS).attr("jid", room.address.as_str());
        if !room.name.is_empty() {
            item = item.attr("name", room.name.as_str());
        }
        query.child(item)
    })
}

/// What a service tells of itself to everybody (XEP-0045 §6.2).
pub fn about_service(settings: &Settings) -> Tree {
    let identity = Tree::new("identity", DISCO_INFO)
        .attr("category", "conference")
        .attr("type", "text")
        .attr("name", "Chat rooms");
    let features = [
        CAPABILITIES,
        DISCO_INFO,
        DISCO_ITEMS,
        MUC,
        UNIQUE,
        PING,
        STABLE_ID,
        OCCUPANT_ID,
        VCARD,
        RSM,
    ];
    // PSA-06.
    let annotation = settings.presence.psa.enabled.then_some(ANNOTATION);
    features
        .into_iter()
        .chain(annotation)
        .fold(Tree::new("query", DISCO_INFO).child(identity), |info, feature| {
            info.child(Tree::new("feature", DISCO_INFO).attr("var", feature))
        })
}

/// Answers a question to a service, but for that of [`asks_for_rooms`].
///
/// # Errors
/// What whoever asks must hear instead.
pub fn answer_for_service(
    query: &Tree,
    is_set: bool,
    settings: &Settings,
    random: &mut dyn Random,
) -> Result<Option<Tree>, StanzaError> {
    if is_set {
        return Err(Condition::ServiceUnavailable.into());
    }
    match (
        query.namespace.as_str(),
        query.name.as_str(),
        query.attribute("node"),
    ) {
        (DISCO_INFO, "query", None) => Ok(Some(about_service(settings))),
        // XEP-0115 §6.2.
        (DISCO_INFO, "query", Some(node)) => match Advertised::answer(about_service(settings), node) {
            Some(info) => Ok(Some(info)),
            None => Err(Condition::ItemNotFound.into()),
        },
        (DISCO_ITEMS, "query", Some(_)) => Err(Condition::ItemNotFound.into()),
        // Of 120 bits: nobody has it, and nobody guesses it.
        (UNIQUE, "unique", _) => Ok(Some(
            Tree::new("unique", UNIQUE).text(&machine::random_token(random)),
        )),
        (PING, "ping", _) => Ok(None),
        _ => Err(Condition::ServiceUnavailable.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(asked: &str) -> String {
        let rooms: Vec<RoomItem> = ["a", "b", "c", "d", "e"]
            .iter()
            .map(|name| RoomItem {
                address: Address::parse(&format!("{name}@chat.lit")).unwrap(),
                name: String::new(),
            })
            .collect();
        let query = format!("<query xmlns='{DISCO_ITEMS}'>{asked}</query>");
        let query = Tree::parse(query.as_bytes(), "", &xml::Limits::unlimited()).unwrap();
        match list_of_rooms(&query, &rooms, 4) {
            Ok(list) => {
                let items = list.children().filter_map(|item| item.attribute("jid"));
                let items: String = items.filter_map(|jid| jid.chars().next()).collect();
                let count = list.find(RSM, "set").and_then(|set| set.find(RSM, "count"));
                let count = count.map(|count| count.content().into_owned());
                format!("{items} {}", count.unwrap_or_default())
            }
            Err(error) => error.condition.as_str().to_owned(),
        }
    }

    #[test]
    fn xep0045_6_3_xep0059_2_the_list_of_rooms_comes_in_pages() {
        let set = |inside: &str| format!("<set xmlns='{RSM}'>{inside}</set>");
        assert_eq!(page(""), "abcd ", "as much as is shown at once");
        assert_eq!(page(&set("<max>2</max>")), "ab 5");
        assert_eq!(page(&set("<max>2</max><after>b@chat.lit</after>")), "cd 5");
        assert_eq!(page(&set("<max>2</max><after>d@chat.lit</after>")), "e 5");
        assert_eq!(
            page(&set("<max>2</max><after>bb@chat.lit</after>")),
            "cd 5",
            "a room that is gone"
        );
        assert_eq!(page(&set("<max>2</max><before/>")), "de 5");
        assert_eq!(page(&set("<max>2</max><before>d@chat.lit</before>")), "bc 5");
        assert_eq!(page(&set("<max>2</max><index>3</index>")), "de 5");
        assert_eq!(page(&set("<max>0</max>")), " 5", "only how many there are");
        assert_eq!(page(&set("<max>99</max>")), "abcd 5");
        assert_eq!(page(&set("<max>many</max>")), "bad-request");
    }

    #[test]
    fn xep0045_6_3_who_has_not_asked_for_pages_sees_that_the_list_goes_on() {
        let query = Tree::new("query", DISCO_ITEMS);
        let rooms = |names: &str| -> Vec<RoomItem> {
            let item = |name: char| RoomItem {
                address: Address::parse(&format!("{name}@chat.lit")).unwrap(),
                name: String::new(),
            };
            names.chars().map(item).collect()
        };
        let list = list_of_rooms(&query, &rooms("abc"), 2).unwrap();
        let set = list.find(RSM, "set").unwrap();
        let text = |name| set.find(RSM, name).unwrap().content().into_owned();
        assert_eq!(
            (text("first"), text("last")),
            ("a@chat.lit".to_owned(), "b@chat.lit".to_owned())
        );
        let list = list_of_rooms(&query, &rooms("ab"), 2).unwrap();
        assert!(list.find(RSM, "set").is_none(), "it is all of it");
    }
}
