//! Roles and affiliations: lists and changes (XEP-0045 §8.2–§8.5, §9, §10.3–§10.8).

use stanza::namespace::MUC_USER;
use stanza::{Address, Condition, StanzaError};
use xml::Tree;

use crate::affiliations::Affiliations;
use crate::names::ADMIN;
use crate::occupant::Occupant;
use crate::presence::Notes;
use crate::privilege::{Action, may, may_change_affiliation, may_change_role};
use crate::room::{Out, Room};
use crate::{Affiliation, Role};

/// Users and domains that a room knows as something: beyond it nobody comes to be anything.
pub(crate) const AFFILIATED_MAX: usize = 10_000;

/// What an IQ is answered with.
pub(crate) type Answer = Result<Option<Tree>, StanzaError>;

/// One change that was asked for and found to be allowed.
enum Change {
    Role(String, Role, Option<String>),
    Affiliation(Address, Affiliation, Option<String>, Reserve),
}

/// What becomes of the nick that is reserved for a user.
enum Reserve {
    AsBefore,
    None,
    This(String),
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
        let after = self.affiliations_after(&changes);
        if !after.iter().any(|(_, has)| has == Affiliation::Owner) {
            // §10.4: the last owner stays.
            return Err(Condition::Conflict.into());
        }
        if after.len() > AFFILIATED_MAX.max(self.affiliations.len()) {
            return Err(Condition::ResourceConstraint.into());
        }
        let actor = self.occupants.of_client(from).map(|one| one.nick().to_owned());
        for change in changes {
            match change {
                Change::Role(nick, role, reason) => self.set_role(&nick, role, actor.clone(), reason, out),
                Change::Affiliation(user, affiliation, reason, reserve) => {
                    let was_something = self.affiliation(&user) > Affiliation::None;
                    self.set_affiliation(&user, affiliation, actor.clone(), reason, out);
                    match reserve {
                        Reserve::AsBefore => {}
                        Reserve::None => self.affiliations.reserve(&user, None),
                        Reserve::This(nick) => self.affiliations.reserve(&user, Some(nick)),
                    }
                    if affiliation == Affiliation::Member && !was_something {
                        self.welcome_member(&user, from, out);
                    }
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

    fn affiliations_after(&self, changes: &[Change]) -> Affiliations {
        let mut affiliations = self.affiliations.clone();
        for change in changes {
            if let Change::Affiliation(user, affiliation, ..) = change {
                affiliations.set(user.clone(), *affiliation);
            }
        }
        affiliations
    }

    /// §9.5: who comes to be a member of a room for members, and is not in it, is told so.
    pub(crate) fn welcome_member(&self, user: &Address, inviter: &Address, out: &mut Out) {
        if self.config.members_only && user.localpart().is_some() && self.occupants.nicks_of(user).is_empty()
        {
            let invite = Tree::new("invite", MUC_USER).attr("from", inviter.bare_str());
            self.tell(user, &self.invitation(invite), out);
        }
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
                let reserve = match item.attribute("nick").filter(|_| item.attribute("jid").is_some()) {
                    None => Reserve::AsBefore,
                    // §9.1: who is banned has none; §9.4: who is nothing has none either.
                    Some(_) if affiliation < Affiliation::Member => Reserve::AsBefore,
                    Some("") => Reserve::None,
                    Some(nick) => Reserve::This(self.nick(nick)?),
                };
                if let Reserve::This(nick) = &reserve
                    && self.is_reserved_from(nick, &user)
                {
                    return Err(Condition::Conflict.into());
                }
                Ok(Change::Affiliation(user, affiliation, reason, reserve))
            }
            (Some(_), Some(_)) | (None, None) => Err(Condition::BadRequest.into()),
        }
    }

    /// §9.5: whether somebody may see the list of members. Who is not in the room is asked for the role it would have.
    fn shows_members_to(&self, role: Role, affiliation: Affiliation) -> bool {
        let would_be = role.max(affiliation.initial_role(self.config.moderated));
        may(role, affiliation, Action::ReadMembers, &self.config)
            && (affiliation >= Affiliation::Admin || self.config.shows_members_to(would_be))
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
            // Who has an entry of its own is what that says, whatever becomes of its domain.
            let shown = self.occupants.get(&nick).and_then(Occupant::shown);
            let Some(affiliation) = shown.map(|client| self.affiliation(&client.address)) else {
                continue;
            };
            let Some(occupant) = self.occupants.get_mut(&nick) else {
                continue;
            };
            if user.localpart().is_none() && occupant.affiliation == affiliation {
                continue;
            }
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
                    Affiliation::Member => self.shows_members_to(role, affiliation),
                    // Where only members enter, and see each other's addresses, they may know who else belongs to it.
                    Affiliation::Admin => {
                        may(role, affiliation, Action::EditAdmins, &self.config)
                            || self.config.members_only
                                && !self.config.is_anonymous()
                                && self.shows_members_to(role, affiliation)
                    }
                    Affiliation::Owner => {
                        may(role, affiliation, Action::EditOwners, &self.config)
                            || self.config.members_only
                                && !self.config.is_anonymous()
                                && self.shows_members_to(role, affiliation)
                    }
                    Affiliation::None => return Err(Condition::BadRequest.into()),
                };
                if !allowed {
                    return Err(Condition::Forbidden.into());
                }
                let listed = self.affiliations.entries();
                let listed = listed.filter(|(_, entry)| entry.affiliation == wanted);
                Ok(listed.fold(query, |query, (user, entry)| {
                    let mut item = Tree::new("item", ADMIN)
                        .attr("affiliation", wanted.as_str())
                        .attr("jid", user.as_str());
                    if let Some(nick) = &entry.nick {
                        // §17.4.
                        item = item.attr("nick", nick.as_str());
                    }
                    query.child(item)
                }))
            }
            (Some(_), Some(_)) | (None, None) => Err(Condition::BadRequest.into()),
        }
    }
}
