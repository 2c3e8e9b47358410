//! Roles and affiliations: lists and changes (XEP-0045 §8.2–§8.5, §9, §10.3–§10.8).

use stanza::{Address, Condition, StanzaError};
use xml::Tree;

use crate::names::ADMIN;
use crate::presence::Notes;
use crate::privilege::{Action, may, may_change_affiliation, may_change_role};
use crate::room::{Out, Room};
use crate::{Affiliation, Role};

/// What an IQ is answered with.
pub(crate) type Answer = Result<Option<Tree>, StanzaError>;

/// One change that was asked for and found to be allowed.
enum Change {
    Role(String, Role, Option<String>),
    Affiliation(Address, Affiliation, Option<String>),
}

impl Room {
    /// `muc#admin`.
    pub(crate) fn administer(&mut self, from: &Address, query: &Tree, is_set: bool, out: &mut Out) -> Answer {
        let items = || query.children().filter(|child| child.is(ADMIN, "item"));
        if !is_set {
            let item = items().next().ok_or(Condition::BadRequest)?;
            return self.list(from, item).map(Some);
        }
        // All or nothing: what is refused is refused before anything is done.
        let changes: Vec<Change> = items()
            .map(|item| self.judge(from, item))
            .collect::<Result<_, _>>()?;
        if changes.is_empty() {
            return Err(Condition::BadRequest.into());
        }
        let owners_left = self.owners_after(&changes);
        if owners_left == 0 {
            // §10.4: the last owner stays.
            return Err(Condition::Conflict.into());
        }
        let actor = self.occupants.of_client(from).map(|one| one.nick().to_owned());
        for change in changes {
            match change {
                Change::Role(nick, role, reason) => self.set_role(&nick, role, actor.clone(), reason, out),
                Change::Affiliation(user, affiliation, reason) => {
                    self.set_affiliation(&user, affiliation, actor.clone(), reason, out);
                }
            }
        }
        Ok(None)
    }

    /// The role and affiliation of whoever asks; somebody outside has no role.
    pub(crate) fn standing(&self, user: &Address) -> (Role, Affiliation) {
        let role = self.occupants.of_client(user).map_or(Role::None, |one| one.role);
        (role, self.affiliation(user))
    }

    fn owners_after(&self, changes: &[Change]) -> usize {
        let mut affiliations = self.affiliations.clone();
        for change in changes {
            if let Change::Affiliation(user, affiliation, _) = change {
                affiliations.set(user.clone(), *affiliation);
            }
        }
        affiliations
            .iter()
            .filter(|(_, affiliation)| *affiliation == Affiliation::Owner)
            .count()
    }

    fn judge(&self, from: &Address, item: &Tree) -> Result<Change, StanzaError> {
        let actor = self.standing(from);
        let reason = item
            .find(ADMIN, "reason")
            .map(|reason| reason.content().into_owned());
        match (item.attribute("role"), item.attribute("affiliation")) {
            (Some(role), None) => {
                let role = Role::parse(role).ok_or(Condition::BadRequest)?;
                let nick = item.attribute("nick").ok_or(Condition::BadRequest)?;
                let target = self.occupants.get(nick).ok_or(Condition::ItemNotFound)?;
                if actor.0 < Role::Moderator && actor.1 < Affiliation::Admin {
                    return Err(Condition::Forbidden.into());
                }
                if !may_change_role(actor, (target.role, target.affiliation), role, &self.config) {
                    return Err(Condition::NotAllowed.into());
                }
                Ok(Change::Role(nick.to_owned(), role, reason))
            }
            (None, Some(affiliation)) => {
                let affiliation = Affiliation::parse(affiliation).ok_or(Condition::BadRequest)?;
                let user = match (item.attribute("jid"), item.attribute("nick")) {
                    (Some(address), _) => Address::parse(address)
                        .map_err(|_| Condition::JidMalformed)?
                        .to_bare(),
                    (None, Some(nick)) => self
                        .occupants
                        .get(nick)
                        .and_then(|occupant| occupant.shown())
                        .ok_or(Condition::ItemNotFound)?
                        .address
                        .to_bare(),
                    (None, None) => return Err(Condition::BadRequest.into()),
                };
                if actor.1 < Affiliation::Admin {
                    return Err(Condition::Forbidden.into());
                }
                if !may_change_affiliation(actor.1, self.affiliation(&user), affiliation) {
                    return Err(Condition::NotAllowed.into());
                }
                if affiliation == Affiliation::Outcast && user.same_bare(from) {
                    // §9.1: nobody bans oneself.
                    return Err(Condition::Conflict.into());
                }
                Ok(Change::Affiliation(user, affiliation, reason))
            }
            (Some(_), Some(_)) | (None, None) => Err(Condition::BadRequest.into()),
        }
    }

    fn set_role(
        &mut self,
        nick: &str,
        role: Role,
        actor: Option<String>,
        reason: Option<String>,
        out: &mut Out,
    ) {
        let mut notes = Notes {
            actor,
            reason,
            ..Notes::default()
        };
        if role == Role::None {
            notes.codes = vec![307];
            self.remove(nick, &notes, out);
            return;
        }
        if let Some(occupant) = self.occupants.get_mut(nick) {
            occupant.role = role;
            self.announce(nick, &notes, &[], out);
        }
    }

    /// Gives a user an affiliation; occupants change their roles with it, or are out (§9.1, §9.4, §10).
    pub(crate) fn set_affiliation(
        &mut self,
        user: &Address,
        affiliation: Affiliation,
        actor: Option<String>,
        reason: Option<String>,
        out: &mut Out,
    ) {
        self.affiliations.set(user.clone(), affiliation);
        let nicks: Vec<String> = if user.localpart().is_some() {
            self.occupants.nicks_of(user)
        } else {
            // A whole domain.
            self.occupants
                .iter()
                .filter(|one| {
                    one.shown()
                        .is_some_and(|client| client.address.domainpart() == user.as_str())
                })
                .map(|one| one.nick().to_owned())
                .collect()
        };
        let moderated = self.config.moderated;
        for nick in nicks {
            let mut notes = Notes {
                actor: actor.clone(),
                reason: reason.clone(),
                ..Notes::default()
            };
            let Some(occupant) = self.occupants.get_mut(&nick) else {
                continue;
            };
            let lost_rank = occupant.affiliation >= Affiliation::Admin && affiliation < Affiliation::Admin;
            occupant.affiliation = affiliation;
            if affiliation == Affiliation::Outcast {
                notes.codes = vec![301];
                self.remove(&nick, &notes, out);
                continue;
            }
            if affiliation == Affiliation::None && self.config.members_only {
                notes.codes = vec![321];
                self.remove(&nick, &notes, out);
                continue;
            }
            let initial = affiliation.initial_role(moderated);
            occupant.role = if lost_rank {
                initial
            } else {
                occupant.role.max(initial)
            };
            self.announce(&nick, &notes, &[], out);
        }
    }

    fn list(&self, from: &Address, item: &Tree) -> Result<Tree, StanzaError> {
        let (role, affiliation) = self.standing(from);
        let query = Tree::new("query", ADMIN);
        match (item.attribute("role"), item.attribute("affiliation")) {
            (Some(wanted), None) => {
                let wanted = Role::parse(wanted).ok_or(Condition::BadRequest)?;
                let action = match wanted {
                    Role::Moderator => Action::EditModerators,
                    Role::None | Role::Visitor | Role::Participant => Action::EditVoice,
                };
                if !may(role, affiliation, action, &self.config) {
                    return Err(Condition::Forbidden.into());
                }
                let listed = self.occupants.iter().filter(|one| one.role == wanted);
                Ok(listed.fold(query, |query, one| {
                    let mut item = Tree::new("item", ADMIN)
                        .attr("affiliation", one.affiliation.as_str())
                        .attr("role", one.role.as_str())
                        .attr("nick", one.nick());
                    if let Some(client) = one.shown() {
                        item = item.attr("jid", client.address.as_str());
                    }
                    query.child(item)
                }))
            }
            (None, Some(wanted)) => {
                let wanted = Affiliation::parse(wanted).ok_or(Condition::BadRequest)?;
                let allowed = match wanted {
                    Affiliation::Outcast => may(role, affiliation, Action::Ban, &self.config),
                    Affiliation::Member => {
                        may(role, affiliation, Action::ReadMembers, &self.config)
                            && (affiliation >= Affiliation::Admin || self.config.shows_members_to(role))
                    }
                    Affiliation::Admin => may(role, affiliation, Action::EditAdmins, &self.config),
                    Affiliation::Owner => may(role, affiliation, Action::EditOwners, &self.config),
                    Affiliation::None => return Err(Condition::BadRequest.into()),
                };
                if !allowed {
                    return Err(Condition::Forbidden.into());
                }
                let listed = self.affiliations.iter().filter(|(_, has)| *has == wanted);
                Ok(listed.fold(query, |query, (user, has)| {
                    query.child(
                        Tree::new("item", ADMIN)
                            .attr("affiliation", has.as_str())
                            .attr("jid", user.as_str()),
                    )
                }))
            }
            (Some(_), Some(_)) | (None, None) => Err(Condition::BadRequest.into()),
        }
    }
}
