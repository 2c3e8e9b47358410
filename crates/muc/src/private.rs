//! Messages from one occupant to another (XEP-0045 §7.5), and what becomes of those that do not arrive: who wrote one learns
//! it under the name by which the other is known.
//!
//! An error is passed on only for a message that the room has carried to whoever returns it, and of the error only its
//! condition: its words may name an address that the room hides, and who may not speak would speak in them.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use stanza::namespace::MUC_USER;
use stanza::{Address, Condition, Kind, MessageType, Parcel, Stanza, StanzaError};
use stream_management::Receipt;
use xml::Tree;

use crate::Effect;
use crate::privilege::{Action, may};
use crate::room::{Out, Room};

/// Messages of one room of which it is remembered who wrote them. Of older ones nobody is told that they did not arrive,
/// unless this server itself could not deliver them.
const REMEMBERED: usize = 100;

/// Messages to single occupants that may still come back, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Whispers(VecDeque<Whisper>);

#[derive(Debug)]
struct Whisper {
    /// The client that wrote it.
    writer: Address,
    /// The occupant that it was written to, by the address in the room.
    to: Address,
    id: IdDigest,
    /// The clients that were given it and have not returned it.
    clients: SmallVec<[Address; 1]>,
}

/// Ids are of any length.
type IdDigest = [u8; 32];

fn digest(stanza: &Stanza) -> IdDigest {
    Sha256::digest(stanza.id().unwrap_or_default().as_bytes()).into()
}

/// What a message that came back was.
enum Returned {
    /// Nothing that is remembered.
    Unknown,
    /// Another client of the occupant has it, or may.
    Arrived,
    /// This client wrote it, to this occupant, and nobody has it.
    Lost { writer: Address, to: Address },
}

impl Whispers {
    fn add(&mut self, whisper: Whisper) {
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(whisper);
    }

    /// A message comes back from a client.
    fn returned(&mut self, client: &Address, id: IdDigest) -> Returned {
        let is_it = |one: &Whisper| one.id == id && one.clients.contains(client);
        let Some(place) = self.0.iter().position(is_it) else {
            return Returned::Unknown;
        };
        if let Some(whisper) = self.0.get_mut(place) {
            whisper.clients.retain(|one| one != client);
            if !whisper.clients.is_empty() {
                return Returned::Arrived;
            }
        }
        self.0
            .remove(place)
            .map_or(Returned::Unknown, |Whisper { writer, to, .. }| Returned::Lost {
                writer,
                to,
            })
    }
}

impl Room {
    /// XEP-0045 §7.5: to every client of one occupant.
    pub(crate) fn private(&mut self, parcel: &Parcel, from: &Address, nick: &str, out: &mut Out) {
        let Some(sender) = self.occupants.of_client(from) else {
            self.refuse(parcel, Condition::NotAcceptable, out);
            return;
        };
        if !may(
            sender.role,
            sender.affiliation,
            Action::SpeakPrivately,
            &self.config,
        ) {
            self.refuse(parcel, Condition::Forbidden, out);
            return;
        }
        let Some(recipient) = self.occupants.get(nick) else {
            self.refuse(parcel, Condition::ItemNotFound, out);
            return;
        };
        let copy = self
            .reflected(parcel.stanza(), &sender.address, &sender.id, None)
            .with_appended(&Tree::new("x", MUC_USER).to_bytes(""));
        for client in &recipient.clients {
            out.effects.push(Effect::Route(
                copy.clone().to_address(client.address.clone()),
                None,
            ));
        }
        let clients = recipient.clients.iter().map(|client| client.address.clone());
        self.whispers.add(Whisper {
            writer: from.clone(),
            to: recipient.address.clone(),
            id: digest(parcel.stanza()),
            clients: clients.collect(),
        });
    }

    /// A client, or its server, returns an error: whoever wrote to it learns of that.
    pub(crate) fn whisper_refused(&mut self, parcel: &Parcel, from: &Address, out: &mut Out) {
        let answer = parcel.stanza();
        let Returned::Lost { writer, to } = self.whispers.returned(from, digest(answer)) else {
            return;
        };
        let condition = answer.error_condition();
        let condition = condition.as_deref().and_then(Condition::named);
        let error = StanzaError::new(condition.unwrap_or(Condition::UndefinedCondition));
        self.tell_writer(answer, &writer, &to, error, None, out);
    }

    /// This server could not deliver a message to a client. Gives back the promise that did not go with an error.
    pub(crate) fn whisper_undelivered(
        &mut self,
        parcel: &Parcel,
        error: StanzaError,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) -> Option<Receipt> {
        let stanza = parcel.stanza();
        let (Some(client), Kind::Message(MessageType::Chat | MessageType::Normal)) =
            (parcel.to(), stanza.kind())
        else {
            return receipt;
        };
        match self.whispers.returned(client, digest(stanza)) {
            Returned::Lost { writer, to } => {
                self.tell_writer(stanza, &writer, &to, error, receipt, out);
                None
            }
            Returned::Arrived => receipt,
            // It was written long ago, or before a restart: the nick tells by whom.
            Returned::Unknown => self.return_to_sender(parcel, error, receipt, out),
        }
    }

    fn tell_writer(
        &self,
        original: &Stanza,
        writer: &Address,
        to: &Address,
        error: StanzaError,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) {
        let condition = error.condition;
        let mut payload = Vec::new();
        error.write(&mut payload);
        let kind = Kind::Message(MessageType::Error);
        let answer = Stanza::build(kind, Some(to), Some(writer), original.id().as_deref(), &payload);
        out.effects.push(Effect::CountError(kind, condition));
        out.effects.push(Effect::Route(Parcel::new(answer), receipt));
    }
}

#[cfg(test)]
mod tests;
