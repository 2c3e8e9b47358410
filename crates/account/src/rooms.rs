//! Rooms that the user is in: they hold the presence of a session like anybody to whom it was directed, and are told of its
//! pause if they ask for annotations (PSA-33).
//!
//! Rooms here do. Of one elsewhere its service is asked, once, when there is something to tell.

use machine::Context;
use presence::{Claim, State, annotation, with_annotation};
use stanza::{Address, namespace};

use crate::account::{Account, Out};
use crate::input::Tally;
use crate::session::Session;
use crate::{Effect, PresenceCount, SessionId, Settings};

/// Room services of which it is remembered. Beyond it, all are forgotten and asked anew.
const SERVICES_MAX: usize = 100;

/// Whether a session is in a room under this occupant address.
fn is_in_room(session: &Session, occupant: &Address) -> bool {
    let held = session.received.get(occupant.as_str());
    session.directed.contains_key(occupant.as_str())
        && held.is_some_and(|held| held.stanza().child(namespace::MUC_USER, "x").is_some())
}

impl Account {
    /// Whether this is how a room elsewhere knows a session.
    pub(crate) fn is_in_room(&self, id: SessionId, occupant: &Address) -> bool {
        self.session(id)
            .is_some_and(|session| is_in_room(session, occupant))
    }

    /// Whether somebody shares a room with the session: no stranger to it.
    pub(crate) fn is_company(&self, id: SessionId, other: &Address) -> bool {
        self.session(id)
            .is_some_and(|session| session.shares_room_with(other))
    }

    /// The room itself, if its service asks for annotations.
    pub(crate) fn interested_room(
        &mut self,
        context: &mut Context<'_, Settings>,
        occupant: &Address,
        out: &mut Out,
    ) -> Vec<Address> {
        match self.services.get(occupant.domainpart()) {
            Some(true) => vec![occupant.clone()],
            Some(false) => Vec::new(),
            None => {
                self.ask_elsewhere(context, occupant.to_domain(), Claim::Nothing, out);
                Vec::new()
            }
        }
    }

    /// A room service has said whether it asks for annotations.
    pub(crate) fn service_answered(
        &mut self,
        context: &Context<'_, Settings>,
        service: Address,
        wants: bool,
        out: &mut Out,
    ) {
        if self.services.len() >= SERVICES_MAX {
            self.services.clear();
        }
        self.services.insert(service.clone(), wants);
        if !wants {
            return;
        }
        let words = context.settings.presence.psa.words;
        let news = annotation(self.address.domainpart(), Some(State::ConnectionPaused), words);
        let mut repeats = Vec::new();
        for session in &mut self.sessions {
            if session.told.pause.is_none() {
                continue;
            }
            let rooms = session.directed.iter().filter(|(to, _)| {
                to.domainpart() == service.as_str()
                    && is_in_room(session, to)
                    && !session.told.elsewhere.contains(to)
            });
            let told: Vec<_> = rooms
                .filter_map(|(to, stanza)| {
                    let stanza = with_annotation(stanza, &news)?;
                    let parcel = stanza.readdressed(Some(session.address.clone()), Some(to.clone()));
                    Some((session.id, to.clone(), parcel))
                })
                .collect();
            for (id, to, parcel) in told {
                session.told.elsewhere.push(to);
                repeats.push((id, parcel));
            }
        }
        for (id, parcel) in repeats {
            out.effects
                .push(Effect::Count(Tally::Presence(PresenceCount::PausedElsewhere)));
            self.send_presence(id, parcel, out);
        }
    }
}
