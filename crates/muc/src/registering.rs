//! Registration with a room: membership at one's own wish, and a nick that nobody else may take (XEP-0045 §7.10, §7.12,
//! §9.9).
//!
//! In an open room everybody may. Where only members enter, those who run the room are asked.

use machine::Context;
use stanza::namespace::REGISTER;
use stanza::{Address, Condition, StanzaError};
use xml::Tree;

use crate::administration::{AFFILIATED_MAX, Answer};
use crate::form::{Form, Submission, is_cancelled, truth};
use crate::names::REGISTRATION;
use crate::nicks::is_visible;
use crate::room::{Out, Room};
use crate::talking::too_fast;
use crate::{Affiliation, Settings};

/// Users whose wish waits for a decision.
const APPLICANTS_MAX: usize = 100;

impl Room {
    /// `jabber:iq:register`.
    pub(crate) fn register(
        &mut self,
        context: &Context<'_, Settings>,
        from: &Address,
        query: &Tree,
        is_set: bool,
        out: &mut Out,
    ) -> Answer {
        let affiliation = self.affiliation(from);
        if affiliation == Affiliation::Outcast || self.locked {
            return Err(Condition::NotAllowed.into());
        }
        if !is_set {
            return Ok(Some(self.requirements(from)));
        }
        // Everybody is told of it, wherever it was said.
        let clients = || self.occupants.clients().map(|client| &client.address);
        let speaker = clients().find(|client| *client == from);
        let speaker = speaker.or_else(|| clients().find(|client| client.same_bare(from)));
        let speaker = speaker.cloned();
        if speaker.is_some_and(|speaker| !self.may_go_on(context, &speaker)) {
            return Err(too_fast());
        }
        if query.find(REGISTER, "remove").is_some() {
            return self.unregister(from, affiliation, out);
        }
        if is_cancelled(query) {
            return Ok(None);
        }
        let submission = Submission::of(query).ok_or(Condition::BadRequest)?;
        if submission
            .form_type()
            .is_some_and(|purpose| purpose != REGISTRATION)
        {
            return Err(Condition::BadRequest.into());
        }
        let nick = submission
            .value("muc#register_roomnick")
            .filter(|nick| !nick.is_empty())
            .ok_or(Condition::BadRequest)?;
        let nick = self.nick(&nick)?;
        if self.is_reserved_from(&nick, from) {
            return Err(Condition::Conflict.into());
        }
        if self.config.members_only && affiliation < Affiliation::Member {
            self.apply(from, nick, out)?;
        } else {
            self.enroll(&from.to_bare(), nick, out)?;
        }
        Ok(None)
    }

    /// A nick as it is compared: the resource of an occupant's address (§3 of RFC 7622), of which something is seen (§17.1).
    pub(crate) fn nick(&self, text: &str) -> Result<String, StanzaError> {
        let address = self.address.with_resource(text);
        let address = address.map_err(|_| Condition::JidMalformed)?;
        let nick = address.resourcepart().filter(|nick| is_visible(nick));
        Ok(nick.ok_or(Condition::JidMalformed)?.to_owned())
    }

    /// What a client must fill in, or what is registered already.
    fn requirements(&self, from: &Address) -> Tree {
        let query = Tree::new("query", REGISTER);
        if let Some(nick) = self.affiliations.nick_of(from.bare_str()) {
            return query
                .child(Tree::new("registered", REGISTER))
                .child(Tree::new("username", REGISTER).text(nick));
        }
        let instructions = "Choose the nickname that is to be yours in this room.";
        let form = Form::new("form", REGISTRATION)
            .title(&format!("Registration with {}", self.address))
            .required("text-single", "muc#register_roomnick", "Nickname")
            .into_tree();
        query
            .child(Tree::new("instructions", REGISTER).text(instructions))
            .child(form)
    }

    /// Whether somebody else has the nick: reserved, or in use.
    pub(crate) fn is_reserved_from(&self, nick: &str, user: &Address) -> bool {
        let owner = self.affiliations.owner_of(nick);
        let holder = self.occupants.like(nick);
        owner.is_some_and(|owner| !owner.same_bare(user)) || holder.is_some_and(|holder| !holder.is(user))
    }

    fn enroll(&mut self, user: &Address, nick: String, out: &mut Out) -> Result<(), StanzaError> {
        if self.affiliation(user) < Affiliation::Member {
            if self.affiliations.len() >= AFFILIATED_MAX {
                return Err(Condition::ResourceConstraint.into());
            }
            self.set_affiliation(user, Affiliation::Member, None, None, out);
        }
        self.affiliations.reserve(user, Some(nick));
        self.applicants.remove(user.as_str());
        Ok(())
    }

    /// XEP-0077 §3.2: membership by registration ends with it; other affiliations stay.
    fn unregister(&mut self, from: &Address, affiliation: Affiliation, out: &mut Out) -> Answer {
        if self.affiliations.nick_of(from.bare_str()).is_none() {
            return Err(Condition::ItemNotFound.into());
        }
        self.affiliations.reserve(&from.to_bare(), None);
        if affiliation == Affiliation::Member {
            self.set_affiliation(&from.to_bare(), Affiliation::None, None, None, out);
        }
        Ok(None)
    }

    /// §9.9: administrators who are here are asked; where none is, the owners, wherever they are.
    fn apply(&mut self, from: &Address, nick: String, out: &mut Out) -> Result<(), StanzaError> {
        let is_known = self.applicants.contains_key(from.bare_str());
        if !is_known && self.applicants.len() >= APPLICANTS_MAX {
            return Err(Condition::ResourceConstraint.into());
        }
        self.applicants.insert(from.to_bare(), nick.clone());
        if is_known {
            // They were asked already.
            return Ok(());
        }
        let form = Form::new("form", REGISTRATION)
            .title("Registration request")
            .field("jid-single", "muc#register_jid", "User", &[from.bare_str()])
            .field("text-single", "muc#register_roomnick", "Nickname", &[&nick])
            .truth(
                "muc#register_allow",
                "Allow this person to register with the room?",
                false,
            )
            .into_tree()
            .to_bytes("");
        let here = self
            .occupants
            .iter()
            .filter(|one| one.affiliation >= Affiliation::Admin);
        let mut asked: Vec<Address> = here
            .flat_map(|one| one.clients.iter().map(|client| client.address.clone()))
            .collect();
        if asked.is_empty() {
            let owners = self
                .affiliations
                .iter()
                .filter(|(_, has)| *has == Affiliation::Owner);
            asked = owners.map(|(owner, _)| owner.clone()).collect();
        }
        for address in asked {
            self.tell(&address, &form, out);
        }
        Ok(())
    }

    /// §9.9: an administrator has decided.
    pub(crate) fn decide(
        &mut self,
        from: &Address,
        submission: &Submission<'_>,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        if self.affiliation(from) < Affiliation::Admin {
            return Err(Condition::Forbidden.into());
        }
        let user = submission
            .value("muc#register_jid")
            .ok_or(Condition::BadRequest)?;
        let user = Address::parse(&user)
            .map_err(|_| Condition::JidMalformed)?
            .to_bare();
        // Of several who were asked, the first has decided.
        let nick = self
            .applicants
            .remove(user.as_str())
            .ok_or(Condition::ItemNotFound)?;
        let allow = submission.value("muc#register_allow");
        if allow.as_deref().and_then(truth) != Some(true) {
            return Ok(());
        }
        if self.is_reserved_from(&nick, &user) {
            return Err(Condition::Conflict.into());
        }
        let was_member = self.affiliation(&user) >= Affiliation::Member;
        self.enroll(&user, nick, out)?;
        if !was_member {
            self.welcome_member(&user, from, out);
        }
        Ok(())
    }
}
