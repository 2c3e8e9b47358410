//! Whether somebody may make one more room (XEP-0045 §10.1.1): whoever keeps the rooms knows how many there are already, and
//! what comes meanwhile waits.

use std::collections::VecDeque;

use machine::Context;
use stanza::namespace::MUC;
use stanza::{Condition, ErrorKind, Kind, Parcel, PresenceType, StanzaError};
use stream_management::Receipt;

use crate::room::{Out, Room};
use crate::{Effect, Settings};

/// Stanzas that wait until it is known whether there will be a room; further ones are returned, but for the leave of
/// somebody who waits to enter: nobody would tell the room again that it is not there.
const HELD_MAX: usize = 64;

/// A stanza that waits, and the promise to its sender.
type Held = (Parcel, Option<Receipt>);

/// Stanzas that wait, the first of them of whoever wants to make the room.
#[derive(Debug, Default)]
pub(crate) struct Creation(VecDeque<Held>);

impl Creation {
    /// Whether this is the leave of a client whose wish to enter waits.
    fn is_awaited_leave(&self, parcel: &Parcel) -> bool {
        let said = |other: &Parcel| match other.stanza().kind() {
            Kind::Presence(kind) if other.from() == parcel.from() => Some(kind),
            Kind::Presence(_) | Kind::Message(_) | Kind::Iq(_) => None,
        };
        let last = self.0.iter().rev().find_map(|(held, _)| said(held));
        said(parcel) == Some(PresenceType::Unavailable) && last == Some(PresenceType::Available)
    }
}

impl Room {
    /// Takes what must wait; gives back what need not.
    pub(crate) fn hold(
        &mut self,
        context: &Context<'_, Settings>,
        held: Held,
        out: &mut Out,
    ) -> Option<Held> {
        if let Some(creation) = &mut self.creation {
            if creation.0.len() < HELD_MAX || creation.is_awaited_leave(&held.0) {
                creation.0.push_back(held);
                return None;
            }
            let error = StanzaError::new(Condition::ResourceConstraint);
            self.send_back(&held.0, error.text("the room is being made"), held.1, out);
            return None;
        }
        if !self.would_make_a_room(context, &held.0) {
            return Some(held);
        }
        let creator = held.0.from().map(stanza::Address::to_bare);
        out.effects.extend(creator.map(Effect::CountRooms));
        self.creation = Some(Creation([held].into()));
        None
    }

    fn would_make_a_room(&self, context: &Context<'_, Settings>, parcel: &Parcel) -> bool {
        let stanza = parcel.stanza();
        context.settings.rooms_per_user.is_some()
            && !self.exists()
            && !self.is_away
            && stanza.kind() == Kind::Presence(PresenceType::Available)
            && stanza.child(MUC, "x").is_some()
            && parcel.to().is_some_and(|to| !to.is_bare())
            && self.buried(context).is_none()
    }

    /// So many rooms the one who waits has made; `None` when nobody can say.
    pub(crate) fn counted(
        &mut self,
        context: &mut Context<'_, Settings>,
        rooms: Option<usize>,
        out: &mut Out,
    ) {
        let Some(Creation(mut held)) = self.creation.take() else {
            return;
        };
        let max = context.settings.rooms_per_user.unwrap_or(usize::MAX);
        if let Some((parcel, receipt)) = held.pop_front() {
            match rooms {
                Some(rooms) if rooms < max => self.take(context, parcel, receipt, out),
                Some(_) => {
                    let error = StanzaError::new(Condition::NotAllowed);
                    let error = error.text("you have as many rooms as one may have");
                    self.send_back(&parcel, error, receipt, out);
                }
                None => {
                    let error = StanzaError::new(Condition::InternalServerError).kind(ErrorKind::Wait);
                    self.send_back(&parcel, error, receipt, out);
                }
            }
        }
        for (parcel, receipt) in held {
            if let Some((parcel, receipt)) = self.hold(context, (parcel, receipt), out) {
                self.take(context, parcel, receipt, out);
            }
        }
    }

    /// The machine is lost: what waits goes back to its senders.
    pub fn take_held(&mut self) -> Vec<(Parcel, Option<Receipt>)> {
        self.creation
            .take()
            .map_or(Vec::new(), |creation| creation.0.into())
    }
}

#[cfg(test)]
mod tests;
