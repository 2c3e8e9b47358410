//! Messages to the room itself: invitations, their refusal, and requests for voice (XEP-0045 §7.8.2, §7.13, §8.6).

use machine::Context;
use stanza::namespace::MUC_USER;
use stanza::{Address, Condition, Kind, MessageType, Parcel, Stanza, StanzaError};
use xml::Tree;

use crate::administration::AFFILIATED_MAX;
use crate::form::{Form, Submission};
use crate::names::{CONFERENCE, FORMS, REGISTRATION, REQUEST};
use crate::presence::Notes;
use crate::privilege::{Action, may};
use crate::room::{Out, Room};
use crate::talking::too_fast;
use crate::{Affiliation, Effect, Role, Settings};

/// Users whom one message may invite.
const INVITED_MAX: usize = 20;

impl Room {
    pub(crate) fn for_the_room(
        &mut self,
        context: &Context<'_, Settings>,
        parcel: &Parcel,
        from: &Address,
        out: &mut Out,
    ) {
        if !self.may_go_on(context, from) {
            self.refuse(parcel, too_fast(), out);
            return;
        }
        let stanza = parcel.stanza();
        let user = stanza.child(MUC_USER, "x").map(|child| child.to_tree());
        let form = stanza.child(FORMS, "x").map(|child| child.to_tree());
        let outcome = match (user, form) {
            (Some(user), _) if user.find(MUC_USER, "invite").is_some() => self.invite(from, &user, out),
            (Some(user), _) if user.find(MUC_USER, "decline").is_some() => self.decline(from, &user, out),
            (_, Some(form)) => self.voice(from, &form, out),
            (Some(_) | None, None) => Err(Condition::BadRequest.into()),
        };
        if let Err(error) = outcome {
            self.refuse(parcel, error, out);
        }
    }

    /// XEP-0045 §7.8.2. In a room for members, whoever is invited becomes one.
    fn invite(&mut self, from: &Address, user: &Tree, out: &mut Out) -> Result<(), StanzaError> {
        let inviter = self.occupants.of_client(from).ok_or(Condition::NotAcceptable)?;
        if !may(inviter.role, inviter.affiliation, Action::Invite, &self.config) {
            return Err(Condition::Forbidden.into());
        }
        // All or nothing: what is refused is refused before anybody is told.
        let mut invited = Vec::new();
        for invite in user.children().filter(|child| child.is(MUC_USER, "invite")) {
            let to = invite.attribute("to").and_then(|to| Address::parse(to).ok());
            let to = to.ok_or(Condition::JidMalformed)?;
            if self.affiliation(&to) == Affiliation::Outcast {
                return Err(Condition::Forbidden.into());
            }
            invited.push((to, invite));
        }
        let full = self.affiliations.len() + invited.len() > AFFILIATED_MAX;
        if invited.len() > INVITED_MAX || self.config.members_only && full {
            return Err(Condition::ResourceConstraint.into());
        }
        for (to, invite) in invited {
            if self.config.members_only && self.affiliation(&to) == Affiliation::None {
                self.affiliations.set(to.to_bare(), Affiliation::Member);
            }
            let mut told = invite.clone();
            told.attributes.retain(|(name, _)| name != "to");
            // §7.8.2: the address that the room shows to the invited one.
            self.tell(&to, &self.invitation(told.attr("from", from.bare_str())), out);
        }
        Ok(())
    }

    /// An invitation as the room sends it: with the password, and in the form that was used before.
    pub(crate) fn invitation(&self, invite: Tree) -> Vec<u8> {
        let mut legacy = Tree::new("x", CONFERENCE).attr("jid", self.address.as_str());
        if let Some(reason) = invite.find(MUC_USER, "reason") {
            legacy = legacy.text(&reason.content());
        }
        let mut extension = Tree::new("x", MUC_USER).child(invite);
        if self.config.protected {
            extension = extension.child(Tree::new("password", MUC_USER).text(&self.config.password));
        }
        let mut payload = extension.to_bytes("");
        legacy.write(&mut payload, "");
        payload
    }

    /// XEP-0045 §7.8.2: the inviter learns that the invitation was declined, if still here.
    fn decline(&mut self, from: &Address, user: &Tree, out: &mut Out) -> Result<(), StanzaError> {
        let Some(decline) = user.find(MUC_USER, "decline") else {
            return Err(Condition::BadRequest.into());
        };
        if self.affiliation(from) == Affiliation::Outcast {
            return Err(Condition::Forbidden.into());
        }
        let to = decline.attribute("to").and_then(|to| Address::parse(to).ok());
        let to = to.ok_or(Condition::JidMalformed)?;
        let is_here =
            |client: &&crate::occupant::Client| client.address == to || client.address.same_bare(&to);
        let mut told = decline.clone();
        told.attributes.retain(|(name, _)| name != "to");
        let extension = Tree::new("x", MUC_USER).child(told.attr("from", from.bare_str()));
        let payload = extension.to_bytes("");
        for inviter in self.occupants.clients().filter(is_here) {
            self.tell(&inviter.address, &payload, out);
        }
        Ok(())
    }

    /// XEP-0045 §7.13 asks for voice; §8.6 gives it.
    fn voice(&mut self, from: &Address, form: &Tree, out: &mut Out) -> Result<(), StanzaError> {
        if form.attribute("type") == Some("cancel") {
            // XEP-0004 §3.1: nothing in it is meant.
            return Ok(());
        }
        let submission = Submission::from_form(form);
        if submission.form_type().as_deref() == Some(REGISTRATION) {
            return self.decide(from, &submission, out);
        }
        let sender = self.occupants.of_client(from).ok_or(Condition::NotAcceptable)?;
        if submission.form_type().as_deref() != Some(REQUEST) {
            return Err(Condition::BadRequest.into());
        }
        if let Some(allow) = submission.value("muc#request_allow") {
            if !may(sender.role, sender.affiliation, Action::EditVoice, &self.config) {
                return Err(Condition::Forbidden.into());
            }
            let nick = submission.value("muc#roomnick").ok_or(Condition::BadRequest)?;
            let target = self.occupants.get_mut(&nick).ok_or(Condition::ItemNotFound)?;
            if crate::form::truth(&allow) == Some(true) && target.role == Role::Visitor {
                target.role = Role::Participant;
                self.announce(&nick, &Notes::default(), &[], out);
            }
            return Ok(());
        }
        if sender.role != Role::Visitor {
            return Ok(());
        }
        let form = Form::new("form", REQUEST)
            .title("Voice request")
            .field("list-single", "muc#role", "Requested role", &["participant"])
            .field("jid-single", "muc#jid", "User", &[from.as_str()])
            .field("text-single", "muc#roomnick", "Nickname", &[sender.nick()])
            .truth("muc#request_allow", "Grant voice to this person?", false)
            .into_tree()
            .to_bytes("");
        for occupant in self.occupants.iter().filter(|one| one.role == Role::Moderator) {
            for client in &occupant.clients {
                self.tell(&client.address, &form, out);
            }
        }
        Ok(())
    }

    /// A message from the room itself.
    pub(crate) fn tell(&self, to: &Address, payload: &[u8], out: &mut Out) {
        let message = Stanza::build(
            Kind::Message(MessageType::Normal),
            Some(&self.address),
            Some(to),
            None,
            payload,
        );
        out.effects.push(Effect::Route(Parcel::new(message), None));
    }
}
