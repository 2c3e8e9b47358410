//! The service that rooms live at (XEP-0045 §6.1–§6.3, §10.1.4).

use machine::Random;
use stanza::namespace::{ANNOTATION, DISCO_INFO, DISCO_ITEMS, MUC, PING};
use stanza::{Address, Condition, StanzaError};
use xml::Tree;

use crate::Settings;
use crate::names::{OCCUPANT_ID, STABLE_ID, UNIQUE};

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

/// The list of rooms.
pub fn list_of_rooms(rooms: impl Iterator<Item = RoomItem>) -> Tree {
    rooms.fold(Tree::new("query", DISCO_ITEMS), |query, room| {
        let mut item = Tree::new("item", DISCO_ITEMS).attr("jid", room.address.as_str());
        if !room.name.is_empty() {
            item = item.attr("name", room.name);
        }
        query.child(item)
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
    let has_node = query.attribute("node").is_some();
    match (query.namespace.as_str(), query.name.as_str()) {
        (DISCO_INFO | DISCO_ITEMS, "query") if has_node => Err(Condition::ItemNotFound.into()),
        (DISCO_INFO, "query") => {
            let identity = Tree::new("identity", DISCO_INFO)
                .attr("category", "conference")
                .attr("type", "text")
                .attr("name", "Chat rooms");
            let mut features = vec![DISCO_INFO, DISCO_ITEMS, MUC, UNIQUE, PING, STABLE_ID, OCCUPANT_ID];
            if settings.presence.psa.enabled {
                // PSA-06.
                features.push(ANNOTATION);
            }
            Ok(Some(features.into_iter().fold(
                Tree::new("query", DISCO_INFO).child(identity),
                |info, feature| info.child(Tree::new("feature", DISCO_INFO).attr("var", feature)),
            )))
        }
        // Of 120 bits: nobody has it, and nobody guesses it.
        (UNIQUE, "unique") => Ok(Some(
            Tree::new("unique", UNIQUE).text(&machine::random_token(random)),
        )),
        (PING, "ping") => Ok(None),
        _ => Err(Condition::ServiceUnavailable.into()),
    }
}
