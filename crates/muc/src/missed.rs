//! What a client out of reach misses: it is noted instead of sent, and given back when the client can be reached again
//! (PSA-60, PSA-62, PSA-66).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use machine::Context;
use stanza::namespace::MUC_USER;
use stanza::{Address, IqType, Kind, MessageType, Parcel, PresenceType, Stanza, StanzaError};
use stream_management::Receipt;

use crate::history::{is_memorable, message_id};
use crate::presence::Notes;
use crate::room::{Out, Room};
use crate::{Effect, Key, Settings};

/// What came back although the path is clear is sent again after this time.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// So often. A client that still does not get it is out of the room.
const AGAIN_MAX: u8 = 3;

/// What a client has missed. Of messages there are never more than the history holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Missed {
    /// The room's ids of messages, in the order in which they were said.
    pub(crate) messages: Vec<String>,
    /// Of whom it has an old presence, or none, or one too many.
    pub(crate) nicks: BTreeSet<String>,
    /// Whether the subject is another.
    pub(crate) subject: bool,
    /// Whether it was more than can be given back.
    pub(crate) is_too_much: bool,
}

impl Room {
    /// What was to go to somebody out of reach does not go. It is noted instead (PSA-60, PSA-66).
    pub(crate) fn withhold(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        if !self.outages.domains.values().any(|is_broken| *is_broken) {
            return;
        }
        let mut ids = Ids::default();
        let effects = std::mem::take(&mut out.effects);
        for effect in effects {
            let is_lost = |to| {
                let client = self.occupants.client(to);
                client.is_some_and(|one| one.reach.lost.is_some())
            };
            // What bears a promise goes, and comes back with it.
            let is_noted = if let Effect::Route(parcel, None) = &effect {
                parcel.to().is_some_and(is_lost) && self.note_missed(context, parcel, &mut ids)
            } else {
                false
            };
            if !is_noted {
                out.effects.push(effect);
            }
        }
    }

    /// This server could not deliver what the room sent. That is no word of the other side: nobody leaves for it (PSA-62).
    pub(crate) fn undelivered(
        &mut self,
        context: &Context<'_, Settings>,
        parcel: &Parcel,
        error: StanzaError,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) {
        let is_noted = self.note_missed(context, parcel, &mut Ids::default());
        let Some(to) = parcel.to().filter(|_| is_noted) else {
            let receipt = match parcel.stanza().kind() {
                Kind::Message(_) => self.whisper_undelivered(parcel, error, receipt, out),
                Kind::Presence(_) | Kind::Iq(_) => self.return_to_sender(parcel, error, receipt, out),
            };
            out.effects.extend(receipt.map(Effect::Settle));
            return;
        };
        out.effects.extend(receipt.map(Effect::Settle));
        if let Some(client) = self.occupants.client_mut(to)
            && client.reach.lost.is_none()
        {
            out.effects
                .push(Effect::WakeAt(Key::Again, context.now + AGAIN_AFTER));
        }
    }

    /// What came back from a path that is clear goes out again, so many times.
    pub(crate) fn try_again(&mut self, out: &mut Out) {
        let waiting: Vec<Address> = self
            .occupants
            .clients()
            .filter(|client| client.reach.missed.is_some() && client.reach.lost.is_none())
            .map(|client| client.address.clone())
            .collect();
        for address in waiting {
            let Some(client) = self.occupants.client_mut(&address) else {
                continue;
            };
            client.reach.again += 1;
            let missed = client.reach.missed.as_deref();
            let is_whole = missed.is_none_or(|missed| {
                !missed.is_too_much && missed.messages.iter().all(|id| self.history.holds(id))
            });
            if client.reach.again > AGAIN_MAX || !is_whole {
                self.let_go(&[address], out);
            } else {
                self.give_back(&address, out);
            }
        }
    }

    /// Notes a copy that a client does not get. False when it is nothing that could be given back later.
    fn note_missed(&mut self, context: &Context<'_, Settings>, parcel: &Parcel, ids: &mut Ids) -> bool {
        let stanza = parcel.stanza();
        let nick = parcel.from().and_then(Address::resourcepart);
        let what = match stanza.kind() {
            Kind::Message(MessageType::Groupchat) if is_subject(stanza) => What::Subject,
            Kind::Message(MessageType::Groupchat) if is_memorable(stanza) => {
                ids.of(parcel).map_or(What::Fleeting, What::Message)
            }
            Kind::Message(MessageType::Groupchat) => What::Fleeting,
            Kind::Presence(PresenceType::Available | PresenceType::Unavailable) => match nick {
                Some(nick) => What::Nick(nick.to_owned()),
                None => return false,
            },
            Kind::Message(
                MessageType::Chat | MessageType::Normal | MessageType::Headline | MessageType::Error,
            )
            | Kind::Presence(
                PresenceType::Error
                | PresenceType::Probe
                | PresenceType::Subscribe
                | PresenceType::Subscribed
                | PresenceType::Unsubscribe
                | PresenceType::Unsubscribed,
            )
            | Kind::Iq(_) => return false,
        };
        let Some(client) = parcel.to().and_then(|to| self.occupants.client_mut(to)) else {
            // Somebody who is out of the room already misses nothing.
            return true;
        };
        if let What::Message(id) = &what
            && self
                .history
                .place_of(id)
                .is_some_and(|place| place <= client.reach.since)
        {
            return true;
        }
        let missed = client.reach.missed.get_or_insert_default();
        match what {
            What::Subject => missed.subject = true,
            What::Message(id) => {
                if missed.messages.len() >= context.settings.history_max {
                    missed.is_too_much = true;
                } else if !missed.messages.contains(&id) {
                    missed.messages.push(id);
                }
            }
            What::Nick(nick) => {
                missed.nicks.insert(nick);
                if missed.nicks.len() > context.settings.occupants_max.saturating_mul(2) {
                    missed.is_too_much = true;
                    missed.nicks.clear();
                }
            }
            What::Fleeting => {}
        }
        true
    }

    /// A client that is back gets what it missed: who is there, what was said, what it is about.
    pub(crate) fn give_back(&mut self, address: &Address, out: &mut Out) {
        let Some(missed) = self
            .occupants
            .client_mut(address)
            .and_then(|client| client.reach.missed.take())
        else {
            return;
        };
        let Some(viewer) = self.occupants.of_client(address) else {
            return;
        };
        for nick in &missed.nicks {
            let effect = match self.occupants.get(nick) {
                Some(own) if own.nick() == viewer.nick() => own.shown().map(|shown| {
                    let copies = self.copies(own, &shown.presence, &Notes::codes(&[110]));
                    copies.to(true, address)
                }),
                Some(other) if self.config.broadcasts(other.role) => self.fresh(other, viewer, address),
                Some(_) | None => self.gone(nick, address),
            };
            out.effects.extend(effect);
        }
        // In the order in which they were said: what came back was noted after what was withheld.
        for said in self
            .history
            .all()
            .filter(|said| missed.messages.contains(&said.id))
        {
            out.effects.push(Effect::Route(
                said.parcel.clone().to_address(address.clone()),
                None,
            ));
        }
        if missed.subject {
            let subject = self.current_subject().to_address(address.clone());
            out.effects.push(Effect::Route(subject, None));
        }
    }

    /// Somebody is no longer in the room, for a client that has missed how that came.
    fn gone(&self, nick: &str, to: &Address) -> Option<Effect> {
        let from = self.address.with_resource(nick).ok()?;
        let payload = format!("<x xmlns='{MUC_USER}'><item affiliation='none' role='none'/></x>");
        let kind = Kind::Presence(PresenceType::Unavailable);
        let gone = Stanza::build(kind, Some(&from), Some(to), None, payload.as_bytes());
        Some(Effect::Route(Parcel::new(gone), None))
    }

    /// What somebody wrote to one occupant only, or asked it, did not arrive: the sender is told, under the name by which it
    /// knows the other. The promise goes with the error; if there is none, it is given back.
    pub(crate) fn return_to_sender(
        &self,
        parcel: &Parcel,
        error: StanzaError,
        mut receipt: Option<Receipt>,
        out: &mut Out,
    ) -> Option<Receipt> {
        let (Some(sender), Some(to)) = (parcel.from(), parcel.to()) else {
            return receipt;
        };
        let answerable = match parcel.stanza().kind() {
            Kind::Message(MessageType::Chat | MessageType::Normal) => true,
            Kind::Iq(kind) => kind == IqType::Get || kind == IqType::Set,
            Kind::Message(_) | Kind::Presence(_) => false,
        };
        let recipient = self.occupants.of_client(to).or_else(|| {
            let is_user = |one: &&crate::occupant::Occupant| to.is_bare() && one.is(to);
            self.occupants.iter().find(is_user)
        });
        let sender = sender.resourcepart().and_then(|nick| self.occupants.get(nick));
        if let (Some(recipient), Some(sender), true) = (recipient, sender, answerable)
            && let condition = error.condition
            && let Some(answer) =
                parcel
                    .stanza()
                    .error_between(Some(&recipient.address), Some(&sender.address), error, b"")
        {
            out.effects.push(Effect::CountError(answer.kind(), condition));
            self.to_asker(sender, &Parcel::new(answer), &recipient.address, out);
            if let Some(Effect::Route(_, slot)) = out.effects.last_mut() {
                *slot = receipt.take();
            }
        }
        receipt
    }
}

/// What a copy was that could not be sent.
enum What {
    Subject,
    Message(String),
    Nick(String),
    /// Worth nothing later.
    Fleeting,
}

/// The ids of messages. The copies of one message follow each other and share what is appended, so that one is read for all.
#[derive(Default)]
struct Ids(Option<(Arc<[u8]>, Option<String>)>);

impl Ids {
    fn of(&mut self, parcel: &Parcel) -> Option<String> {
        let Some(appended) = parcel.appended() else {
            // It was said before the room was fetched from the store.
            return message_id(parcel);
        };
        if let Some((known, id)) = &self.0
            && Arc::ptr_eq(known, appended)
        {
            return id.clone();
        }
        let id = message_id(parcel);
        self.0 = Some((Arc::clone(appended), id.clone()));
        id
    }
}

fn is_subject(stanza: &Stanza) -> bool {
    stanza.content_child("subject").is_some() && stanza.content_child("body").is_none()
}
