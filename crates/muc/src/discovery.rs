//! What disco tells of a room and its occupants (XEP-0045 §6.4–§6.7, §7.12).

use stanza::namespace::{ANNOTATION, DISCO_INFO, DISCO_ITEMS, MUC, PING, REGISTER};
use stanza::{Address, Condition};
use xml::Tree;

use crate::Affiliation;
use crate::administration::Answer;
use crate::form::Form;
use crate::names::{NICK_NODE, OCCUPANT_ID, ROOM_INFO, SELF_PING, STABLE_ID, STANZA_ID, TRAFFIC_NODE, VCARD};
use crate::room::Room;

impl Room {
    pub(crate) fn discover(&self, from: &Address, query: &Tree, is_set: bool) -> Answer {
        let node = query.attribute("node");
        match (query.namespace.as_str(), query.name.as_str(), is_set) {
            (DISCO_INFO, "query", false) if node.is_none() => Ok(Some(self.info(from))),
            (DISCO_INFO, "query", false) if node == Some(NICK_NODE) => Ok(Some(self.own_nick(from))),
            (DISCO_ITEMS, "query", false) if node.is_none() => Ok(Some(self.items(from))),
            // §18.1.1: nothing is taken out of what people say.
            (DISCO_INFO, "query", false) if node == Some(TRAFFIC_NODE) => {
                Err(Condition::ServiceUnavailable.into())
            }
            (DISCO_INFO | DISCO_ITEMS, "query", false) => Err(Condition::ItemNotFound.into()),
            (PING, "ping", false) => Ok(None),
            _ => Err(Condition::ServiceUnavailable.into()),
        }
    }

    fn info(&self, from: &Address) -> Tree {
        let config = &self.config;
        let either = |truth: bool, yes: &'static str, no: &'static str| if truth { yes } else { no };
        let mut identity = Tree::new("identity", DISCO_INFO)
            .attr("category", "conference")
            .attr("type", "text");
        if !config.name.is_empty() {
            identity = identity.attr("name", config.name.as_str());
        }
        let features = [
            DISCO_INFO,
            DISCO_ITEMS,
            MUC,
            PING,
            STABLE_ID,
            SELF_PING,
            OCCUPANT_ID,
            STANZA_ID,
            REGISTER,
            VCARD,
            either(config.public, "muc_public", "muc_hidden"),
            either(config.persistent, "muc_persistent", "muc_temporary"),
            either(config.members_only, "muc_membersonly", "muc_open"),
            either(config.moderated, "muc_moderated", "muc_unmoderated"),
            either(config.protected, "muc_passwordprotected", "muc_unsecured"),
            either(config.is_anonymous(), "muc_semianonymous", "muc_nonanonymous"),
        ];
        let subject = self
            .subject
            .as_ref()
            .and_then(|subject| {
                subject
                    .stanza()
                    .content_child("subject")
                    .map(|child| child.text().into_owned())
            })
            .unwrap_or_default();
        let occupants = self.occupants.len().to_string();
        // §14.4: what is said in a room that is not open to everybody is nothing to those outside.
        let is_open = !config.members_only && !config.protected;
        let is_inside = is_open
            || self.occupants.of_client(from).is_some()
            || self.affiliation(from) >= Affiliation::Member;
        let hashes = self.picture_hashes();
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        let mut form = Form::new("result", ROOM_INFO)
            .field(
                "text-single",
                "muc#roominfo_description",
                "Description",
                &[&config.description],
            )
            .field("text-single", "muc#roominfo_lang", "Language", &[&config.lang]);
        if is_inside {
            form = form
                .field(
                    "text-single",
                    "muc#roominfo_occupants",
                    "Number of occupants",
                    &[&occupants],
                )
                .field("text-single", "muc#roominfo_subject", "Subject", &[&subject]);
        }
        form = form.truth(
            "muc#roominfo_subjectmod",
            "Participants may change the subject",
            config.change_subject,
        );
        if !hashes.is_empty() {
            form = form.field("text-multi", "muc#roominfo_avatarhash", "Avatar hash", &hashes);
        }
        // PSA-06.
        let annotation = self.outages.words.map(|_| ANNOTATION);
        features
            .into_iter()
            .chain(annotation)
            .fold(Tree::new("query", DISCO_INFO).child(identity), |info, feature| {
                info.child(Tree::new("feature", DISCO_INFO).attr("var", feature))
            })
            .child(form.into_tree())
    }

    /// §7.12: the nick that is reserved for whoever asks.
    fn own_nick(&self, from: &Address) -> Tree {
        let query = Tree::new("query", DISCO_INFO).attr("node", NICK_NODE);
        match self.affiliations.nick_of(from.bare_str()) {
            Some(nick) => query.child(
                Tree::new("identity", DISCO_INFO)
                    .attr("category", "conference")
                    .attr("name", nick)
                    .attr("type", "text"),
            ),
            None => query,
        }
    }

    /// §6.5: who is in the room is for those in it.
    fn items(&self, from: &Address) -> Tree {
        let query = Tree::new("query", DISCO_ITEMS);
        if self.occupants.of_client(from).is_none() {
            return query;
        }
        self.occupants
            .iter()
            .filter(|one| self.config.broadcasts(one.role))
            .fold(query, |query, one| {
                query.child(Tree::new("item", DISCO_ITEMS).attr("jid", one.address.as_str()))
            })
    }
}
