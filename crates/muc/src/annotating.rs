//! Occupants out of reach, as those see them who ask for annotations (XEP-0310 §4.3, clauses §4.7).
//!
//! An occupant has a state, and one that was told. Where they differ the occupant is on a list, from which so many are told
//! at a time: so the newest state wins by itself, nothing is told twice, and nobody is flooded.

use machine::Context;
use presence::{State, annotation};
use stanza::{Address, Parcel};

use crate::occupant::Occupant;
use crate::presence::{Copies, Notes};
use crate::room::{Out, Room};
use crate::{DegradedEnd, Effect, Key, Settings, Tally};

impl Occupant {
    /// What can be known of its truth. With several clients it is out of reach only when all of them are (PSA-60).
    fn assessed(&self) -> Option<State> {
        let is_away = self
            .clients
            .iter()
            .all(|client| client.reach.lost.is_some() || client.reach.paused);
        let shown = self.shown().filter(|_| is_away)?;
        Some(match shown.reach.lost {
            Some(_) => State::ServerUnavailable,
            None => State::ConnectionPaused,
        })
    }
}

impl Room {
    /// Something has changed in the reach of one of an occupant's clients.
    pub(crate) fn assess(&mut self, nick: &str, out: &mut Out) {
        let Some(occupant) = self.occupants.get_mut(nick) else {
            return;
        };
        let state = occupant.assessed();
        if occupant.state.is_some() && state.is_none() {
            out.effects
                .push(Effect::Count(Tally::Degraded(DegradedEnd::Returned)));
        }
        occupant.state = state;
        if occupant.told != state {
            self.outages.untold.insert(nick.to_owned());
        }
    }

    /// Tells of those whose state is not what was told of it, so many at a time (PSA-51, PSA-53, PSA-56).
    pub(crate) fn annotate(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        if self.outages.untold.is_empty() || self.outages.more {
            return;
        }
        let Some(words) = self.outages.words else {
            self.outages.untold.clear();
            return;
        };
        let rate = context.settings.presence.psa.annotations;
        self.learn_interests(context, out);
        for _ in 0..rate.events {
            let Some(nick) = self.outages.untold.pop_first() else {
                break;
            };
            let Some(occupant) = self.occupants.get_mut(&nick) else {
                continue;
            };
            if occupant.told == occupant.state {
                continue;
            }
            occupant.told = occupant.state;
            let state = occupant.state;
            let Some(occupant) = self
                .occupants
                .get(&nick)
                .filter(|one| self.config.broadcasts(one.role))
            else {
                continue;
            };
            let news = annotation(self.address.domainpart(), state, words);
            let Some(copies) = self.repeat(occupant, &news) else {
                continue;
            };
            for other in self.occupants.iter().filter(|other| other.nick() != nick) {
                let sees = self.sees_addresses(other);
                for client in other.clients.iter().filter(|client| client.interest.is_known()) {
                    out.effects.push(copies.to(sees, &client.address));
                    let whereabouts = context.settings.whereabouts(&client.address);
                    out.effects
                        .push(Effect::Count(Tally::Annotated(state, whereabouts)));
                }
            }
        }
        if !self.outages.untold.is_empty() {
            self.outages.more = true;
            out.effects
                .push(Effect::WakeAt(Key::Annotate, context.now + rate.per));
        }
    }

    /// It is time for more of it.
    pub(crate) fn annotate_more(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        self.outages.more = false;
        self.annotate(context, out);
    }

    /// A client turns out to ask for annotations while others are annotated (PSA-05).
    pub(crate) fn tell_standing(&self, settings: &Settings, client: &Address, out: &mut Out) {
        let Some(viewer) = self.occupants.of_client(client) else {
            return;
        };
        let sees = self.sees_addresses(viewer);
        for other in self
            .occupants
            .iter()
            .filter(|other| other.nick() != viewer.nick())
        {
            if let Some(news) = self.news_of(other)
                && let Some(copies) = self.repeat(other, &news)
            {
                out.effects.push(copies.to(sees, client));
                let whereabouts = settings.whereabouts(client);
                out.effects
                    .push(Effect::Count(Tally::Annotated(other.told, whereabouts)));
            }
        }
    }

    /// What is to be said of the truth of an occupant's presence to somebody who gets it anew (PSA-61).
    pub(crate) fn news_of(&self, occupant: &Occupant) -> Option<Vec<u8>> {
        let told = occupant.told.filter(|_| self.config.broadcasts(occupant.role))?;
        Some(annotation(
            self.address.domainpart(),
            Some(told),
            self.outages.words?,
        ))
    }

    /// The presence of an occupant for somebody who gets it anew.
    pub(crate) fn fresh(&self, occupant: &Occupant, viewer: &Occupant, client: &Address) -> Option<Effect> {
        let shown = occupant.shown()?;
        let copies = occupant
            .copies
            .get_or_init(|| self.copies(occupant, &shown.presence, &Notes::default()));
        let asks = viewer
            .clients
            .iter()
            .any(|one| one.address == *client && one.interest.is_known());
        let sees = self.sees_addresses(viewer);
        Some(match self.news_of(occupant).filter(|_| asks) {
            Some(news) => copies.clone().annotated(&news).to(sees, client),
            None => copies.to(sees, client),
        })
    }

    /// What an occupant last said of itself once more, with the news in it (PSA-09, PSA-52).
    fn repeat(&self, occupant: &Occupant, news: &[u8]) -> Option<Copies> {
        let shown = occupant.shown()?;
        let copies = self.copies(occupant, &shown.presence, &Notes::default());
        Some(copies.annotated(news).whole())
    }
}

impl Copies {
    /// The same with an annotation behind it, which the account of a recipient here can take off again.
    pub(crate) fn annotated(self, news: &[u8]) -> Copies {
        self.map(|parcel| parcel.with_appended(news))
    }

    fn whole(self) -> Copies {
        self.map(crate::presence::whole)
    }

    fn map(self, change: impl Fn(Parcel) -> Parcel) -> Copies {
        Copies {
            open: change(self.open),
            veiled: change(self.veiled),
        }
    }
}
