//! Presence that may not be true any more, told to those of the account's clients that ask for it (XEP-0310).
//!
//! Each session holds what it was sent by other domains, and what its local contacts' accounts have annotated. What a
//! session must be told is the difference between what it was told last and what is known now; [`Account::bring_up_to_date`]
//! tells it, so many at a time.

use machine::Context;
use presence::{Held, State, annotation};
use stanza::{Address, Aside, Parcel};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::figures::Suppression;
use crate::input::{Key, Path, Tally};
use crate::occupancies::Occupancy;
use crate::session::Session;
use crate::{Effect, PresenceCount, Settings};

/// The way to a domain of which some session holds presence.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Way {
    /// What is known of the domain may not be true.
    pub(crate) is_broken: bool,
    /// It has just come to that, and no client was told yet.
    is_untold: bool,
}

/// Annotations wait while more than this share of what may wait for a client waits for it.
const LADEN_SHARE: usize = 4;

impl Account {
    /// The path to a domain has changed (PSA-22, PSA-29).
    pub(crate) fn path_changed(
        &mut self,
        context: &mut Context<'_, Settings>,
        domain: &Address,
        path: Path,
        out: &mut Out,
    ) {
        let is_broken = match path {
            Path::Clear | Path::Renewed => false,
            Path::Broken(_) => true,
        };
        let Some(way) = self.domains.get_mut(domain.as_str()) else {
            return;
        };
        if way.is_broken == is_broken {
            if path == Path::Renewed {
                self.questions.forget_domain(domain.as_str());
                self.reprobe_later(context, domain, out);
            }
            return;
        }
        *way = Way {
            is_broken,
            is_untold: is_broken,
        };
        self.questions.forget_domain(domain.as_str());
        // What was to be told of the path before, and is true no longer.
        let untold = self
            .sessions
            .iter()
            .filter(|session| session.interest.asks() == Some(true));
        let untold = untold
            .flat_map(|session| session.received.iter())
            .filter(|(from, held)| from.domainpart() == domain.as_str() && held.told == is_broken);
        let untold = untold.count();
        if is_broken {
            self.forget_checks(domain);
        } else {
            suppress(Suppression::Coalesced, untold, out);
            self.check_occupancies(context, |room| room.domainpart() == domain.as_str(), out);
        }
        if !is_broken {
            self.reprobe_later(context, domain, out);
        }
        self.bring_up_to_date(context, out);
        if is_broken {
            let silent = self
                .sessions
                .iter()
                .filter(|session| session.interest.asks() == Some(false));
            let held = silent.flat_map(|session| session.received.iter());
            let unsaid = held
                .filter(|(from, _)| from.domainpart() == domain.as_str())
                .count();
            suppress(Suppression::NoSupport, unsaid, out);
        }
    }

    /// Tells each interested session what it does not know yet, so many at a time.
    pub(crate) fn bring_up_to_date(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        if self.more_annotations {
            return;
        }
        let psa = &context.settings.presence.psa;
        let (rate, words) = (psa.annotations, psa.words);
        let most = usize::try_from(rate.events).unwrap_or(usize::MAX);
        let mut more = false;
        for place in 0..self.sessions.len() {
            let Some(session) = self.sessions.get(place) else {
                break;
            };
            // Those before it have been told, in earlier steps.
            let Some(first) = self.first_behind(session) else {
                continue;
            };
            // Whoever is away is told what is so when he is back (PSA-45).
            if session.pause.is_some() {
                continue;
            }
            if is_laden(context, session) {
                more = true;
                continue;
            }
            // A client that says nothing of its capabilities is asked when this server itself has something to say (PSA-04).
            let is_ours = session.received.iter().skip(first).any(|(from, held)| {
                self.is_behind(session, from, held) && held.told == self.is_clear(from.domainpart())
            });
            let wants = if is_ours {
                self.wants_annotations(context, place, out)
            } else {
                self.wants_news_of_pauses(context, place, out)
            };
            if !wants {
                continue;
            }
            let annotator = self.address.domainpart().to_owned();
            let ours =
                |broken: bool| annotation(&annotator, broken.then_some(State::ServerUnavailable), words);
            let domains = &self.domains;
            let broken = |from: &Address| domains.get(from.domainpart()).is_some_and(|way| way.is_broken);
            let Some(session) = self.sessions.get_mut(place) else {
                break;
            };
            let to = session.address.clone();
            let rooms = &session.rooms;
            let is_behind = |from: &Address, held: &Held| {
                held.is_behind(broken(from)) && !rooms.get(from.bare_str()).is_some_and(Occupancy::is_open)
            };
            let repeats: Vec<(Parcel, PresenceCount)> = session
                .received
                .iter_mut()
                .skip(first)
                .filter(|held| is_behind(held.from(), held))
                .take(most)
                .map(|held| {
                    let broken = broken(held.from());
                    let count = match (held.told, broken) {
                        (_, true) => PresenceCount::Unavailable,
                        (true, false) => PresenceCount::Available,
                        (false, false) if held.foreign().is_some() => told_of_a_pause(held.aside),
                        (false, false) => told_of_a_return(held.aside),
                    };
                    (held.repeat(&to, ours, broken), count)
                })
                .collect();
            more |= session
                .received
                .iter()
                .skip(first)
                .any(|(from, held)| is_behind(from, held));
            for (parcel, count) in repeats {
                let parcel = Passed::delivered_before(parcel);
                if let Some(session) = self.sessions.get(place)
                    && self.admits(session, &parcel)
                {
                    self.give(context, session, &parcel, out);
                    out.effects.push(Effect::Count(Tally::Presence(count)));
                    let domain = parcel.parcel().from().map(Address::to_domain);
                    if let Some(domain) = domain
                        && let Some(way) = self.domains.get_mut(domain.as_str())
                        && std::mem::take(&mut way.is_untold)
                    {
                        out.effects.push(Effect::Count(Tally::LinkAnnotated(domain)));
                    }
                }
            }
        }
        if more {
            self.more_annotations = true;
            out.effects
                .push(Effect::WakeAt(Key::Annotate, context.now + rate.per));
        }
    }

    /// It is time for more of it.
    pub(crate) fn annotate_more(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        self.more_annotations = false;
        self.bring_up_to_date(context, out);
    }

    /// Whether a session does not know what is known of somebody whose presence it holds. While it is being found out if it
    /// is still in a room, nothing is known of those in there.
    pub(crate) fn is_behind(&self, session: &Session, from: &Address, held: &Held) -> bool {
        held.is_behind(!self.is_clear(from.domainpart()))
            && !session.rooms.get(from.bare_str()).is_some_and(Occupancy::is_open)
    }

    /// The place of the first of them, in the order of addresses.
    fn first_behind(&self, session: &Session) -> Option<usize> {
        let mut held = session.received.iter();
        held.position(|(from, held)| self.is_behind(session, from, held))
    }

    pub(crate) fn is_clear(&self, domain: &str) -> bool {
        self.domains.get(domain).is_none_or(|way| !way.is_broken)
    }

    /// From now on this account wants to know how the path to the sender's domain is.
    pub(crate) fn watch(&mut self, from: &Address, out: &mut Out) {
        if !self.domains.contains_key(from.domainpart()) {
            let domain = from.to_domain();
            self.domains.insert(domain.clone(), Way::default());
            out.effects.push(Effect::Watch(domain));
        }
    }

    /// The user may see this contact from now on: presence that a break swallows must be asked for again, though nobody holds any
    /// of it yet.
    pub(crate) fn watch_contact(
        &mut self,
        context: &Context<'_, Settings>,
        contact: &Address,
        out: &mut Out,
    ) {
        let is_awaited = self.sessions.iter().any(|session| session.presence.is_some());
        if is_awaited
            && context.settings.presence.psa.enabled
            && context.settings.is_remote(contact)
            && self.roster.relation(contact.bare_str()).user_is_subscribed()
        {
            self.watch(contact, out);
        }
    }

    /// A domain needs no watching of which no session holds anything, in whose rooms none is, and of whose contacts nobody
    /// waits to hear: an answer that the broken path has swallowed must be asked for again.
    pub(crate) fn unwatch(&mut self, domain: &str, out: &mut Out) {
        let mut contacts = self.roster.subscriptions();
        let is_awaited = self.sessions.iter().any(|session| session.presence.is_some())
            && contacts.any(|contact| contact.domainpart() == domain);
        let needs = |session: &Session| {
            let mut rooms = session.rooms.iter();
            session.received.holds_domain(domain)
                || rooms.any(|(room, occupancy)| occupancy.needs_watching() && room.domainpart() == domain)
        };
        if self.domains.contains_key(domain)
            && !is_awaited
            && !self.sessions.iter().any(needs)
            && let Some((domain, _)) = self.domains.remove_entry(domain)
        {
            out.effects.push(Effect::Unwatch(domain));
        }
    }

    /// The same for all of them.
    pub(crate) fn unwatch_all(&mut self, out: &mut Out) {
        let domains: Vec<Address> = self.domains.keys().cloned().collect();
        for domain in domains {
            self.unwatch(domain.as_str(), out);
        }
    }
}

/// Whether enough waits for a client already: annotations are no reason to end a session that reads slowly.
fn is_laden(context: &Context<'_, Settings>, session: &Session) -> bool {
    let (limits, (stanzas, bytes)) = (context.settings.mailbox, session.mailbox.load());
    stanzas > limits.stanzas / LADEN_SHARE || bytes > limits.bytes / LADEN_SHARE
}

/// A client here is told that a contact's session is paused.
pub(crate) fn told_of_a_pause(aside: Aside) -> PresenceCount {
    match aside {
        Aside::Nothing => PresenceCount::Paused,
        Aside::PauseAskedFor => PresenceCount::Asked,
    }
}

/// A client here is told that this is over.
pub(crate) fn told_of_a_return(aside: Aside) -> PresenceCount {
    match aside {
        Aside::Nothing => PresenceCount::Resumed,
        Aside::PauseAskedFor => PresenceCount::Back,
    }
}

/// So many annotations are not sent.
pub(crate) fn suppress(why: Suppression, annotations: usize, out: &mut Out) {
    if annotations > 0 {
        out.effects
            .push(Effect::Count(Tally::Suppressed(why, annotations)));
    }
}

impl Settings {
    /// Whether an address lives at one of the domains that are served here, whose owner repeats by itself.
    pub(crate) fn is_local(&self, address: &Address) -> bool {
        self.local_domains
            .iter()
            .any(|domain| domain == address.domainpart())
    }
}
