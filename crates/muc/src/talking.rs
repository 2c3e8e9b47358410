//! Messages to all, the subject, and IQs between occupants (XEP-0045 §7.4, §8.1, §17.3).

use machine::Context;
use stanza::namespace::{DELAY, DISCO_INFO, DISCO_ITEMS, MUC_USER, PING};
use stanza::{Address, Condition, ErrorKind, IqType, Kind, MessageType, Parcel, Stanza, StanzaError};
use xml::Tree;

use crate::history::is_memorable;
use crate::names::{ADDRESSES, LEGACY_DELAY, OCCUPANT_ID, STANZA_ID, VCARD};
use crate::occupant::Occupant;
use crate::presence::occupant_id;
use crate::privilege::{Action, may};
use crate::room::{Out, Room};
use crate::stored::{Change, SaidRow};
use crate::{Effect, Settings, Tally};

impl Room {
    pub(crate) fn message(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: &Parcel,
        kind: MessageType,
        from: &Address,
        to: &Address,
        out: &mut Out,
    ) {
        if !self.exists() {
            self.refuse(parcel, Condition::ItemNotFound, out);
            return;
        }
        match (kind, to.resourcepart()) {
            (MessageType::Error, _) => {
                self.whisper_refused(parcel, from, out);
                self.delivery_failed(parcel, from, out);
            }
            (MessageType::Groupchat, None) => self.groupchat(context, parcel, from, out),
            // §7.5: to one occupant it must be of another type.
            (MessageType::Groupchat, Some(_)) => self.refuse(parcel, Condition::BadRequest, out),
            (MessageType::Chat | MessageType::Normal | MessageType::Headline, Some(nick)) => {
                self.private(parcel, from, nick, out);
            }
            (MessageType::Chat | MessageType::Normal | MessageType::Headline, None) => {
                self.for_the_room(context, parcel, from, out);
            }
        }
    }

    /// XEP-0045 §7.4, §8.1.
    fn groupchat(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: &Parcel,
        from: &Address,
        out: &mut Out,
    ) {
        let Some(occupant) = self.occupants.of_client(from) else {
            self.refuse(parcel, Condition::NotAcceptable, out);
            return;
        };
        let stanza = parcel.stanza();
        let has_body = stanza.content_child("body").is_some();
        let is_subject = stanza.content_child("subject").is_some()
            && !has_body
            && stanza.content_child("thread").is_none();
        let action = if is_subject {
            Action::ChangeSubject
        } else {
            Action::Speak
        };
        if !may(occupant.role, occupant.affiliation, action, &self.config) {
            self.refuse(parcel, Condition::Forbidden, out);
            return;
        }
        let id = context.token();
        let said = self.reflected(stanza, &occupant.address, &occupant.id, Some(&id));
        if !self.may_go_on(context, from) {
            self.refuse(parcel, too_fast(), out);
            return;
        }
        // Every copy shares the bytes, and what is appended; only the address is new.
        for client in self.occupants.clients() {
            out.effects.push(Effect::Route(
                said.clone().to_address(client.address.clone()),
                None,
            ));
        }
        let delayed = || {
            let delay = Tree::new("delay", DELAY)
                .attr("from", self.address.as_str())
                .attr("stamp", context.wall.to_xmpp());
            said.clone().with_appended(&delay.to_bytes(""))
        };
        if is_subject {
            let subject = delayed();
            if self.stored {
                out.commit.push(Change::Subject(Some(subject.to_bytes())));
            }
            self.subject = Some(subject);
        } else if is_memorable(stanza) {
            self.remember(id, delayed(), context, out);
        }
    }

    /// Whether a client has not yet said more than it may (`limits.room_messages`). Counts what everybody, or everybody who
    /// moderates, is told of it.
    pub(crate) fn may_go_on(&mut self, context: &Context<'_, Settings>, from: &Address) -> bool {
        match (context.settings.message_rate, self.occupants.client_mut(from)) {
            (Some(rate), Some(client)) => client.bucket.take(rate, context.now),
            (Some(_) | None, None) | (None, Some(_)) => true,
        }
    }

    /// For those who come later. What is said in a room that is kept is on disk before anybody hears it.
    fn remember(&mut self, id: String, said: Parcel, context: &Context<'_, Settings>, out: &mut Out) {
        let stanza = self.stored.then(|| said.to_bytes());
        let at = context.wall;
        let max = context.settings.history_max;
        let id = self.history.add(at, id, said, max);
        if let Some(stanza) = stanza {
            out.commit.push(Change::Said(SaidRow { id, at, stanza }));
            out.commit
                .extend(self.history.forget_rows().map(Change::Forgotten));
        }
    }

    /// What somebody said as the others get it: from the occupant, without what only the room may say.
    pub(crate) fn reflected(
        &self,
        stanza: &Stanza,
        from: &Address,
        id: &str,
        stanza_id: Option<&str>,
    ) -> Parcel {
        let is_forged = |child: &xml::Child<'_>| {
            child.is(OCCUPANT_ID, "occupant-id")
                || child.namespace() == MUC_USER
                || child.is(DELAY, "delay")
                || child.is(LEGACY_DELAY, "x")
                // §7.2.13: only the room knows who said what.
                || child.namespace() == ADDRESSES
                // XEP-0359 §6: nobody else speaks in the room's name.
                || (child.is(STANZA_ID, "stanza-id") && self.is_named(child.attribute("by").as_deref()))
        };
        let mut appended = Vec::new();
        occupant_id(id).write(&mut appended, "");
        if let Some(stanza_id) = stanza_id {
            Tree::new("stanza-id", STANZA_ID)
                .attr("id", stanza_id)
                .attr("by", self.address.as_str())
                .write(&mut appended, "");
        }
        stanza
            .children()
            .filter(is_forged)
            .fold(stanza.readdressed(Some(from.clone()), None), |parcel, child| {
                parcel.without_child(child.index())
            })
            .with_appended(&appended)
    }

    /// Whether this is the address of the room, however it is written.
    fn is_named(&self, text: Option<&str>) -> bool {
        text.and_then(|text| Address::parse(text).ok())
            .is_some_and(|address| address.same_bare(&self.address))
    }

    /// What newcomers are told last (XEP-0045 §7.2.15): an empty subject when none was set.
    pub(crate) fn current_subject(&self) -> Parcel {
        self.subject.clone().unwrap_or_else(|| {
            Parcel::new(Stanza::build(
                Kind::Message(MessageType::Groupchat),
                Some(&self.address),
                None,
                None,
                b"<subject/>",
            ))
        })
    }

    /// An IQ from one occupant to another (XEP-0045 §17.3), and the ping to oneself (XEP-0410 §3.3).
    pub(crate) fn occupant_iq(
        &self,
        parcel: &Parcel,
        kind: IqType,
        from: &Address,
        to: &Address,
        out: &mut Out,
    ) {
        let is_request = parcel.stanza().kind().is_request();
        // A visiting card is answered in the name of the account.
        let sender = self.occupants.of_client(from).or_else(|| {
            self.occupants
                .iter()
                .find(|occupant| !is_request && from.is_bare() && occupant.is(from))
        });
        let Some(sender) = sender else {
            if is_request {
                if parcel
                    .stanza()
                    .payload()
                    .is_some_and(|payload| payload.is(PING, "ping"))
                {
                    out.effects.push(Effect::Count(Tally::SelfPing(false)));
                }
                // §6.6.
                let is_disco = parcel.stanza().payload().is_some_and(|payload| {
                    let namespace = payload.namespace();
                    namespace == DISCO_INFO || namespace == DISCO_ITEMS
                });
                let condition = if is_disco {
                    Condition::BadRequest
                } else {
                    Condition::NotAcceptable
                };
                self.refuse(parcel, condition, out);
            }
            return;
        };
        let Some(recipient) = to.resourcepart().and_then(|nick| self.occupants.get(nick)) else {
            if is_request {
                self.refuse(parcel, Condition::ItemNotFound, out);
            }
            return;
        };
        let payload = parcel.stanza().payload();
        let is_own = sender.nick() == recipient.nick();
        if kind == IqType::Get && is_own && payload.is_some_and(|payload| payload.is(PING, "ping")) {
            let answer = Stanza::build(
                Kind::Iq(IqType::Result),
                Some(to),
                Some(from),
                parcel.stanza().id().as_deref(),
                b"",
            );
            out.effects.push(Effect::Count(Tally::SelfPing(true)));
            self.reply(Some(answer), out);
            return;
        }
        let Some(shown) = recipient.shown() else { return };
        if !is_request {
            self.to_asker(recipient, parcel, &sender.address, out);
            return;
        }
        let is_card = is_request && payload.is_some_and(|payload| payload.namespace() == VCARD);
        let address = if is_card {
            shown.address.to_bare()
        } else {
            shown.address.clone()
        };
        let copy = match parcel.stanza().id() {
            Some(id) if sender.clients.len() > 1 => {
                let id = format!("{}{id}", self.mark(from));
                with_id(parcel.stanza(), &sender.address, &address, &id)
            }
            Some(_) | None => parcel
                .stanza()
                .readdressed(Some(sender.address.clone()), Some(address)),
        };
        out.effects.push(Effect::Route(copy, None));
    }

    /// An answer goes to the client that has asked; where that cannot be told, to the one that spoke of itself last.
    pub(crate) fn to_asker(&self, occupant: &Occupant, answer: &Parcel, from: &Address, out: &mut Out) {
        let Some(shown) = occupant.shown() else { return };
        let stanza = answer.stanza();
        let id = stanza.id();
        let copy = match id.as_deref().and_then(|id| self.asker(occupant, id)) {
            Some((client, id)) => with_id(stanza, from, client, &id),
            None => stanza.readdressed(Some(from.clone()), Some(shown.address.clone())),
        };
        out.effects.push(Effect::Route(copy, None));
    }

    /// What stands before ids that concern one client, so that an answer is known as one. It tells nothing to anybody else.
    pub(crate) fn mark(&self, client: &Address) -> String {
        let mut mark = self.occupant_id_of(client.as_str());
        mark.truncate(16);
        format!("{mark}.")
    }

    /// The client that has asked with this id, and the id that it knows.
    fn asker<'o>(&self, occupant: &'o Occupant, id: &str) -> Option<(&'o Address, String)> {
        occupant.clients.iter().find_map(|client| {
            let own = id.strip_prefix(&self.mark(&client.address))?;
            Some((&client.address, own.to_owned()))
        })
    }
}

/// What a client hears that says more than it may.
pub(crate) fn too_fast() -> StanzaError {
    StanzaError::new(Condition::PolicyViolation)
        .kind(ErrorKind::Wait)
        .text("too many messages")
}

/// An IQ under another id.
fn with_id(iq: &Stanza, from: &Address, to: &Address, id: &str) -> Parcel {
    let payload: Vec<u8> = iq.children().flat_map(|child| child.bytes().to_vec()).collect();
    Parcel::new(Stanza::build(iq.kind(), Some(from), Some(to), Some(id), &payload))
}

#[cfg(test)]
mod tests;
