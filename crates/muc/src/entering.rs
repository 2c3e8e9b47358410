//! Entering a room, being seen there, and leaving it (XEP-0045 §7.2, §7.6, §7.7, §7.14, §10.1).

use std::cell::OnceCell;

use machine::Context;
use smallvec::smallvec;
use stanza::namespace::MUC;
use stanza::{Address, Condition, ErrorKind, Parcel, PresenceType, Stanza, StanzaError};
use xml::Tree;

use crate::history::Wish;
use crate::nicks;
use crate::occupant::{Client, Occupant};
use crate::presence::Notes;
use crate::room::{Out, Room};
use crate::talking::too_fast;
use crate::{Affiliation, Effect, Role, Settings};

/// So many clients of administrators and owners come into a room that is as full as the service allows.
const STAFF_MORE: usize = 20;

impl Room {
    /// Presence to the room: somebody enters, changes the nick, or says something new.
    pub(crate) fn available(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: &Parcel,
        from: &Address,
        to: &Address,
        out: &mut Out,
    ) {
        let Some(nick) = to.resourcepart() else {
            // XEP-0045 §7.2.1: a nick is needed.
            self.refuse(parcel, Condition::JidMalformed, out);
            return;
        };
        if !nicks::is_visible(nick) {
            // §17.1.
            self.refuse(parcel, Condition::JidMalformed, out);
            return;
        }
        let stanza = parcel.stanza();
        if self.is_news_of_session(context, stanza, from, out)
            || self.is_answer_to_probe(context, stanza, from, out)
        {
            return;
        }
        if !self.may_go_on(context, from) {
            self.refuse(parcel, too_fast(), out);
            return;
        }
        let join = stanza.child(MUC, "x").map(|child| child.to_tree());
        match (
            self.occupants.of_client(from).map(|one| one.nick().to_owned()),
            join,
        ) {
            (Some(current), Some(join)) if current == nick => {
                // §7.2.1: a client that lost its bearings gets everything as if it had just come.
                self.note_presence(&current, from, stanza);
                self.welcome(context, from, &current, &join, &[], out);
            }
            (Some(current), _) if current == nick => {
                self.note_presence(&current, from, stanza);
                self.announce(&current, &Notes::default(), &[], out);
                self.interest_changed(context, from, out);
            }
            (Some(current), _) => self.change_nick(parcel, from, &current, to, out),
            (None, Some(join)) => {
                let admission = self.admit(context, from, nick, &join);
                match admission {
                    Ok(()) => self.enter(context, stanza, from, to, &join, out),
                    Err(error) => self.refuse(parcel, error, out),
                }
            }
            (None, None) => self.refuse_update(from, to, out),
        }
    }

    /// XEP-0045 §7.2.18: who believes to be in the room is told otherwise.
    fn refuse_update(&self, from: &Address, to: &Address, out: &mut Out) {
        let payload = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'>\
            <reason>You are not in the room.</reason></item>\
            <status code='110'/><status code='307'/><status code='333'/></x>";
        let kind = stanza::Kind::Presence(PresenceType::Unavailable);
        let gone = Stanza::build(kind, Some(to), Some(from), None, payload.as_bytes());
        self.reply(Some(gone), out);
    }

    fn note_presence(&mut self, nick: &str, from: &Address, stanza: &Stanza) {
        if let Some(occupant) = self.occupants.get_mut(nick)
            && let Some(place) = occupant.clients.iter().position(|client| client.address == *from)
        {
            let mut client = occupant.clients.remove(place);
            client.interest.follow(stanza);
            client.presence = stanza.clone();
            // Nothing new comes from a session without a connection.
            client.reach.paused = false;
            occupant.clients.push(client);
        }
    }

    /// Whether somebody may enter under a nick (XEP-0045 §7.2.4–§7.2.11).
    fn admit(
        &self,
        context: &Context<'_, Settings>,
        from: &Address,
        nick: &str,
        join: &Tree,
    ) -> Result<(), StanzaError> {
        if !self.exists() {
            return Ok(());
        }
        let affiliation = self.affiliation(from);
        if self.locked && affiliation < Affiliation::Owner {
            return Err(Condition::ItemNotFound.into());
        }
        if affiliation == Affiliation::Outcast {
            return Err(Condition::Forbidden.into());
        }
        if self.config.members_only && affiliation < Affiliation::Member {
            return Err(Condition::RegistrationRequired.into());
        }
        if self.config.protected {
            let given = join
                .find(MUC, "password")
                .map(|password| password.content().into_owned());
            if given.as_deref() != Some(self.config.password.as_str()) {
                return Err(Condition::NotAuthorized.into());
            }
        }
        if self.is_reserved_from(nick, from) {
            // §7.2.8: somebody else has it, or will.
            return Err(Condition::Conflict.into());
        }
        let max = context.settings.occupants_max;
        let room_max = self.config.occupants_max.unwrap_or(max);
        // §7.2.9: administrators and owners come in where others do not, though not without end.
        let is_staff = affiliation >= Affiliation::Admin;
        let is_new = self.occupants.get(nick).is_none();
        let clients_max = if is_staff {
            max.saturating_add(STAFF_MORE)
        } else {
            max
        };
        let is_full = self.occupants.client_count() >= clients_max
            || (is_new && !is_staff && self.occupants.len() >= room_max);
        if is_full {
            return Err(StanzaError::new(Condition::ServiceUnavailable)
                .kind(ErrorKind::Wait)
                .text("the room is full"));
        }
        Ok(())
    }

    fn enter(
        &mut self,
        context: &mut Context<'_, Settings>,
        stanza: &Stanza,
        from: &Address,
        to: &Address,
        join: &Tree,
        out: &mut Out,
    ) {
        let mut codes = Vec::new();
        if !self.exists() {
            // §10.1: whoever enters first creates the room and owns it.
            self.vanish();
            self.secret = context.token();
            self.affiliations.set(from.to_bare(), Affiliation::Owner);
            self.creator = Some(from.to_bare());
            self.locked = true;
            codes.push(201);
        }
        let nick = to.resourcepart().unwrap_or_default().to_owned();
        let client = Client::new(from.clone(), stanza.clone());
        if self.occupants.get(&nick).is_some() {
            // §7.2.9: another client of the same user.
            self.occupants.add_client(&nick, client);
        } else {
            let affiliation = self.affiliation(from);
            self.occupants.insert(Occupant {
                address: to.clone(),
                role: affiliation.initial_role(self.config.moderated),
                affiliation,
                id: self.occupant_id(from),
                clients: smallvec![client],
                state: None,
                told: None,
                seen: false,
                copies: OnceCell::new(),
            });
        }
        self.welcome(context, from, &nick, join, &codes, out);
    }

    /// §7.2.2: presence of the others, then the own to everybody, then history, then the subject.
    fn welcome(
        &mut self,
        context: &mut Context<'_, Settings>,
        newcomer: &Address,
        nick: &str,
        join: &Tree,
        codes: &[u16],
        out: &mut Out,
    ) {
        if self.occupants.iter().any(|one| one.told.is_some()) {
            self.learn_interests(context, out);
        }
        let Some(occupant) = self.occupants.get(nick) else {
            return;
        };
        let others = self.occupants.iter().filter(|other| other.nick() != nick);
        for other in others.filter(|other| self.config.broadcasts(other.role)) {
            out.effects.extend(self.fresh(other, occupant, newcomer));
        }
        let mut own_codes = Vec::new();
        if !self.config.is_anonymous() {
            own_codes.push(100);
        }
        if self.config.logging {
            own_codes.push(170);
        }
        own_codes.extend_from_slice(codes);
        self.announce(nick, &Notes::default(), &own_codes, out);
        self.begin_anew(newcomer);
        let wish = Wish::of(join, context.wall);
        for parcel in self.history.select(&wish, self.config.history_max) {
            out.effects
                .push(Effect::Route(parcel.clone().to_address(newcomer.clone()), None));
        }
        out.effects.push(Effect::Route(
            self.current_subject().to_address(newcomer.clone()),
            None,
        ));
    }

    /// XEP-0045 §7.6. All clients of the user that share the nick take the new one.
    fn change_nick(&mut self, parcel: &Parcel, from: &Address, current: &str, to: &Address, out: &mut Out) {
        let nick = to.resourcepart().unwrap_or_default();
        if self.occupants.get(nick).is_some() || self.is_reserved_from(nick, from) {
            self.refuse(parcel, Condition::Conflict, out);
            return;
        }
        let Some(occupant) = self.occupants.remove(current) else {
            return;
        };
        let notes = Notes {
            codes: vec![303],
            nick: Some(nick.to_owned()),
            ..Notes::default()
        };
        let renamed = Occupant {
            address: to.clone(),
            clients: occupant.clients.clone(),
            // Nobody was shown it under this name.
            seen: false,
            ..occupant.shadow(occupant.role)
        };
        // Told while neither of the two is in the room, so that only the others hear it as others do.
        self.announce_gone(occupant, None, &notes, &[], out);
        self.occupants.insert(renamed);
        self.note_presence(nick, from, parcel.stanza());
        self.announce(nick, &Notes::default(), &[], out);
    }

    /// XEP-0045 §7.14: a client leaves; the occupant leaves with its last client. Others are ignored (§17.2 rule 5).
    pub(crate) fn unavailable(
        &mut self,
        context: &Context<'_, Settings>,
        parcel: &Parcel,
        from: &Address,
        out: &mut Out,
    ) {
        let Some(occupant) = self.occupants.of_client(from) else {
            return;
        };
        if self.locked && self.occupants.client_count() == 1 {
            // §10.1.3: a room whose creator leaves before it is configured is destroyed.
            self.destroy(context, None, None, None, out);
            return;
        }
        let nick = occupant.nick().to_owned();
        // What a server answers to a probe is nothing that the client has said.
        let said = Some(parcel.stanza()).filter(|stanza| !self.answers_probe(stanza, from));
        if occupant.clients.len() == 1 {
            if let Some(occupant) = self.occupants.remove(&nick) {
                self.announce_gone(occupant, said, &Notes::default(), &[], out);
            }
            self.close_when_empty();
            return;
        }
        self.leave_others(&nick, from, said, &[], out);
    }

    /// One of several clients of an occupant is out. The others still see the user; only this client learns of it.
    pub(crate) fn leave_others(
        &mut self,
        nick: &str,
        client: &Address,
        said: Option<&Stanza>,
        codes: &[u16],
        out: &mut Out,
    ) {
        let Some(occupant) = self.occupants.get(nick) else {
            return;
        };
        let leaving = occupant.shadow(Role::None);
        let kind = stanza::Kind::Presence(PresenceType::Unavailable);
        let plain = Stanza::build(kind, Some(client), None, None, b"");
        let mut notes = Notes::codes(&[110]);
        notes.codes.extend_from_slice(codes);
        let copies = self.copies(&leaving, said.unwrap_or(&plain), &notes);
        out.effects.push(copies.to(true, client));
        self.occupants.remove_client(client);
        self.announce(nick, &Notes::default(), &[], out);
    }

    /// Takes an occupant out, with all clients, and tells everybody why.
    pub(crate) fn remove(&mut self, nick: &str, notes: &Notes, out: &mut Out) {
        if let Some(occupant) = self.occupants.remove(nick) {
            self.announce_gone(occupant, None, notes, &[], out);
        }
        self.close_when_empty();
    }

    pub(crate) fn close_when_empty(&mut self) {
        if !self.exists() {
            self.vanish();
        }
    }

    /// XEP-0045 §18.1.2: a client that cannot be reached is out of the room (status 333).
    pub(crate) fn delivery_failed(&mut self, parcel: &Parcel, from: &Address, out: &mut Out) {
        let is_gone = parcel.stanza().error_condition().is_some_and(|condition| {
            [
                "gone",
                "item-not-found",
                "recipient-unavailable",
                "redirect",
                "remote-server-not-found",
                "remote-server-timeout",
                "service-unavailable",
                "internal-server-error",
                "jid-malformed",
            ]
            .contains(&condition.as_str())
        });
        if is_gone {
            self.let_go(std::slice::from_ref(from), out);
        }
    }

    /// XEP-0045 §17.2 rule 4: an occupant may ask for the presence of another.
    pub(crate) fn probed(&self, from: &Address, to: &Address, out: &mut Out) {
        let Some(asker) = self.occupants.of_client(from) else {
            return;
        };
        let Some(asked) = to.resourcepart().and_then(|nick| self.occupants.get(nick)) else {
            return;
        };
        if self.config.broadcasts(asked.role) {
            out.effects.extend(self.fresh(asked, asker, from));
        }
    }
}
