//! What owners do: configure and destroy (XEP-0045 §10.1, §10.2, §10.9).

use machine::Context;
use stanza::namespace::MUC_USER;
use stanza::{Address, Condition, Kind, MessageType, Parcel, Stanza, StanzaError};
use xml::Tree;

use crate::administration::Answer;
use crate::config::{Ceilings, Lists};
use crate::form::{Submission, is_cancelled};
use crate::names::OWNER;
use crate::presence::{Notes, status};
use crate::privilege::{Action, may};
use crate::room::{Out, Room};
use crate::{Affiliation, Config, Effect, Settings};

impl Room {
    /// `muc#owner`.
    pub(crate) fn own(
        &mut self,
        context: &Context<'_, Settings>,
        from: &Address,
        query: &Tree,
        is_set: bool,
        out: &mut Out,
    ) -> Answer {
        let (role, affiliation) = self.standing(from);
        if !may(role, affiliation, Action::Configure, &self.config) {
            return Err(Condition::Forbidden.into());
        }
        if !is_set {
            return Ok(Some(Tree::new("query", OWNER).child(self.form())));
        }
        if let Some(destroy) = query.find(OWNER, "destroy") {
            let reason = destroy
                .find(OWNER, "reason")
                .map(|reason| reason.content().into_owned());
            let alternative = destroy
                .attribute("jid")
                .map(Address::parse)
                .transpose()
                .map_err(|_| Condition::JidMalformed)?;
            let password = destroy
                .find(OWNER, "password")
                .map(|password| password.content().into_owned());
            self.destroy(context, alternative.as_ref(), reason, password, out);
            return Ok(None);
        }
        if is_cancelled(query) {
            // §10.1.3: a room whose creator does not want to configure it is not created.
            if self.locked {
                self.destroy(context, None, None, None, out);
            }
            return Ok(None);
        }
        let submission = Submission::of(query).ok_or(Condition::BadRequest)?;
        self.configure(&submission, out)?;
        Ok(None)
    }

    fn form(&self) -> Tree {
        let of = |wanted| -> Vec<&str> {
            self.affiliations
                .iter()
                .filter(|(_, has)| *has == wanted)
                .map(|(user, _)| user.as_str())
                .collect()
        };
        let title = format!("Configuration of {}", self.address);
        let ceilings = Ceilings {
            occupants: usize::MAX,
        };
        self.config.to_form(
            &title,
            &of(Affiliation::Owner),
            &of(Affiliation::Admin),
            &ceilings,
        )
    }

    /// §10.1.2 takes an empty form as it is; §10.1.3 and §10.2 take what it says.
    fn configure(&mut self, submission: &Submission<'_>, out: &mut Out) -> Result<(), StanzaError> {
        let mut config = self.config.clone();
        let lists = if submission.is_empty() {
            Lists::default()
        } else {
            config
                .read(submission)
                .map_err(|why| StanzaError::new(Condition::NotAcceptable).text(why))?
        };
        if lists.owners.as_ref().is_some_and(Vec::is_empty) {
            // §10.4: a room has an owner.
            return Err(Condition::Conflict.into());
        }
        let before = std::mem::replace(&mut self.config, config);
        let was_locked = std::mem::replace(&mut self.locked, false);
        self.take_lists(lists, out);
        if self.config.members_only && !before.members_only {
            // §10.2: only members stay.
            let strangers: Vec<String> = self
                .occupants
                .iter()
                .filter(|one| one.affiliation < Affiliation::Member)
                .map(|one| one.nick().to_owned())
                .collect();
            for nick in strangers {
                self.remove(&nick, &Notes::codes(&[322]), out);
            }
        }
        if self.config.broadcast != before.broadcast {
            self.show_and_hide(out);
        }
        if !was_locked {
            self.tell_of_changes(&before, out);
        }
        if self.config != before || was_locked {
            self.keep_configuration(out);
        }
        self.close_when_empty();
        Ok(())
    }

    /// Other roles are told to everybody now: those who have them come into sight, or go out of it.
    fn show_and_hide(&mut self, out: &mut Out) {
        let concerned = self
            .occupants
            .iter()
            .filter(|one| one.seen != self.config.broadcasts(one.role));
        let nicks: Vec<String> = concerned.map(|one| one.nick().to_owned()).collect();
        for nick in nicks {
            self.announce(&nick, &Notes::default(), &[], out);
        }
    }

    fn take_lists(&mut self, lists: Lists, out: &mut Out) {
        // The new owners first, so that there is one at any time.
        for (wanted, users) in [
            (Affiliation::Owner, lists.owners),
            (Affiliation::Admin, lists.admins),
        ] {
            let Some(users) = users else { continue };
            let removed: Vec<Address> = self
                .affiliations
                .iter()
                .filter(|(user, has)| *has == wanted && !users.contains(user))
                .map(|(user, _)| user.clone())
                .collect();
            for user in users {
                let has = self.affiliation(&user);
                if has != wanted && !(wanted == Affiliation::Admin && has == Affiliation::Owner) {
                    self.set_affiliation(&user, wanted, None, None, out);
                }
            }
            for user in removed {
                self.set_affiliation(&user, Affiliation::None, None, None, out);
            }
        }
    }

    /// XEP-0045 §10.2.1: what concerns privacy has a code of its own, everything else is 104.
    fn tell_of_changes(&self, before: &Config, out: &mut Out) {
        let now = &self.config;
        let mut codes = Vec::new();
        if before.logging != now.logging {
            codes.push(if now.logging { 170 } else { 171 });
        }
        if before.whois != now.whois {
            codes.push(if now.is_anonymous() { 173 } else { 172 });
        }
        let rest = Config {
            logging: now.logging,
            whois: now.whois,
            ..before.clone()
        };
        if rest != *now {
            codes.push(104);
        }
        if !codes.is_empty() {
            self.tell_codes(&codes, out);
        }
    }

    /// What has changed, to everybody (XEP-0045 §10.2.1).
    pub(crate) fn tell_codes(&self, codes: &[u16], out: &mut Out) {
        let extension = codes.iter().fold(Tree::new("x", MUC_USER), |extension, code| {
            extension.child(status(*code))
        });
        let message = Parcel::new(Stanza::build(
            Kind::Message(MessageType::Groupchat),
            Some(&self.address),
            None,
            None,
            &extension.to_bytes(""),
        ));
        for client in self.occupants.clients() {
            out.effects.push(Effect::Route(
                message.clone().to_address(client.address.clone()),
                None,
            ));
        }
    }

    /// XEP-0045 §10.9: everybody is told where to go, and the room is no more. Each hears it only of oneself.
    pub(crate) fn destroy(
        &mut self,
        context: &Context<'_, Settings>,
        alternative: Option<&Address>,
        reason: Option<String>,
        password: Option<String>,
        out: &mut Out,
    ) {
        let mut destroy = Tree::new("destroy", MUC_USER);
        if let Some(alternative) = alternative {
            destroy = destroy.attr("jid", alternative.as_str());
        }
        if let Some(password) = password {
            destroy = destroy.child(Tree::new("password", MUC_USER).text(&password));
        }
        if let Some(reason) = &reason {
            destroy = destroy.child(Tree::new("reason", MUC_USER).text(reason));
        }
        let notes = Notes {
            destroy: Some(destroy),
            ..Notes::default()
        };
        let occupants = std::mem::take(&mut self.occupants);
        for mut occupant in occupants.into_all() {
            occupant.affiliation = Affiliation::None;
            // Nobody is left in the room, so that nobody else is told.
            self.announce_gone(occupant, None, &notes, &[], out);
        }
        self.bury(context, alternative, reason, out);
    }
}
