//! Which clients of occupants ask for annotations (PSA-59): by the capabilities in their presence to the room; where their
//! meaning is not known, one client is asked in the name of the room.
//!
//! It is found out when there is something to tell.

use machine::Context;
use presence::{Answer, Claim};
use stanza::{Address, IqType, Kind, Parcel, Stanza};

use crate::occupant::Client;
use crate::room::{Out, Room};
use crate::{Effect, Settings};

/// Clients that may be asked at the same time.
const QUESTIONS_MAX: usize = 100;

/// What is known of one client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interest {
    claim: Option<Claim>,
    /// `None` as long as nobody needed to know, or the answer is awaited.
    wants: Option<bool>,
}

impl Interest {
    /// Whether the client is known to ask for annotations.
    pub(crate) fn is_known(&self) -> bool {
        self.wants == Some(true)
    }

    /// Interest follows the newest presence (PSA-03). One without capabilities says nothing new (C-16).
    pub(crate) fn follow(&mut self, presence: &Stanza) {
        let Some(claim) = Claim::of(presence) else {
            return;
        };
        if self.claim.as_ref() != Some(&claim) {
            self.claim = Some(claim);
            self.wants = None;
        }
    }
}

impl Room {
    /// Looks up what is known of all clients, and asks for what is not.
    pub(crate) fn learn_interests(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        let known = &context.settings.presence.capabilities;
        let mut unknown: Vec<(Address, Claim)> = Vec::new();
        for client in self.occupants.clients_mut() {
            let Some(claim @ Claim::Hash(hash)) = &client.interest.claim else {
                continue;
            };
            if client.interest.is_known() {
                continue;
            }
            match known.wants_annotations(hash) {
                // Also of one that has not answered: its server may have done so when it had no connection.
                Some(wants) => client.interest.wants = Some(wants),
                None if client.interest.wants.is_some() => {}
                None => {
                    let can_answer = client.reach.lost.is_none() && !client.reach.paused;
                    if can_answer && !unknown.iter().any(|(_, other)| other == claim) {
                        unknown.push((client.address.clone(), claim.clone()));
                    }
                }
            }
        }
        for (address, claim) in unknown {
            let is_asked = self.outages.questions.values().any(|(_, asked)| *asked == claim);
            if is_asked || self.outages.questions.len() >= QUESTIONS_MAX {
                continue;
            }
            let id = context.token();
            let question = Stanza::build(
                Kind::Iq(IqType::Get),
                Some(&self.address),
                Some(&address),
                Some(&id),
                &claim.question(),
            );
            out.effects.push(Effect::Route(Parcel::new(question), None));
            self.outages.questions.insert(id, (address, claim));
        }
    }

    /// A client has said something new of itself, perhaps also that it asks for annotations from now on (PSA-05).
    pub(crate) fn interest_changed(
        &mut self,
        context: &mut Context<'_, Settings>,
        client: &Address,
        out: &mut Out,
    ) {
        let is_news = |one: &Client| one.interest.claim.is_some() && one.interest.wants.is_none();
        if self.occupants.client(client).is_some_and(is_news)
            && self.occupants.iter().any(|one| one.told.is_some())
        {
            self.learn_interests(context, out);
            if self
                .occupants
                .client(client)
                .is_some_and(|one| one.interest.is_known())
            {
                self.tell_standing(context.settings, client, out);
            }
        }
    }

    /// A client answers the room. What nobody asked is nobody's answer.
    pub(crate) fn capabilities_answered(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: &Parcel,
        kind: IqType,
        from: &Address,
        out: &mut Out,
    ) {
        let answer = parcel.stanza();
        let Some(id) = answer.id() else { return };
        let is_asked = |asked: &(Address, Claim)| asked.0 == *from;
        if !self.outages.questions.get(&*id).is_some_and(is_asked) {
            return;
        }
        let Some((_, claim)) = self.outages.questions.remove(&*id) else {
            return;
        };
        let payload = answer.payload().filter(|_| kind == IqType::Result);
        let told = payload.map(|payload| claim.answered(&payload.to_tree()));
        let Some(Answer::Verified(hash, wants)) = told else {
            // A lie, or no answer, is its own only: somebody else with the same hash is asked.
            if let Some(client) = self.occupants.client_mut(from) {
                client.interest.wants = Some(false);
            }
            self.learn_interests(context, out);
            return;
        };
        out.effects.push(Effect::Learn(hash, wants));
        let mut eager = Vec::new();
        for client in self.occupants.clients_mut() {
            if client.interest.claim.as_ref() == Some(&claim) && client.interest.wants != Some(wants) {
                client.interest.wants = Some(wants);
                if wants {
                    eager.push(client.address.clone());
                }
            }
        }
        for address in eager {
            self.tell_standing(context.settings, &address, out);
        }
    }
}
