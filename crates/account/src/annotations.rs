//! Presence that may not be true any more, told to those of the account's clients that ask for it (XEP-0310).
//!
//! Each session holds what it was sent by other domains, and what its local contacts' accounts have annotated. What a
//! session must be told is the difference between what it was told last and what is known now; [`Account::bring_up_to_date`]
//! tells it, so many at a time.

use std::sync::Arc;

use machine::Context;
use presence::{
    Annotations, Claim, Genuine, Held, News, Rank, Received, Room, State, annotation, make_room,
    without_children,
};
use stanza::{Address, Aside, Parcel, PresenceType, Stanza, namespace};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::figures::Suppression;
use crate::input::{Key, Path, Tally};
use crate::kept::KeptPresence;
use crate::occupancies::Occupancy;
use crate::refresh::REFRESH;
use crate::session::Session;
use crate::{Effect, PresenceCount, SessionId, Settings};

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

/// What an arriving presence says of its own truth.
pub(crate) enum Truth {
    /// Nothing.
    Plain,
    /// It is a copy for somebody new, and its sender is out of reach (PSA-40). The annotation is appended.
    Fresh(Arc<[u8]>),
    /// It is a repeat, and says that its sender is out of reach.
    Repeat(Genuine),
}

impl Account {
    /// Tells apart what arrives. Annotations by others than the sender's own server are taken out (PSA-17).
    pub(crate) fn truth_of(&self, parcel: Passed) -> (Passed, Truth) {
        if let Some(appended) = parcel.parcel().appended() {
            let annotation = Arc::clone(appended);
            return (parcel, Truth::Fresh(annotation));
        }
        let stanza = parcel.parcel().stanza();
        let Some(mut annotations) = Annotations::of(stanza, parcel.parcel().from()) else {
            return (parcel, Truth::Plain);
        };
        if !annotations.forged.is_empty() {
            let Some(cleaned) = without_children(stanza, &annotations.forged) else {
                return (parcel, Truth::Plain);
            };
            let (from, to) = (parcel.parcel().from().cloned(), parcel.parcel().to().cloned());
            let cleaned = parcel.replaced_by(cleaned.readdressed(from, to));
            annotations = match Annotations::of(cleaned.parcel().stanza(), cleaned.parcel().from()) {
                Some(annotations) => annotations,
                None => return (cleaned, Truth::Plain),
            };
            return match annotations.genuine {
                Some(genuine) => (cleaned, Truth::Repeat(genuine)),
                None => (cleaned, Truth::Plain),
            };
        }
        match annotations.genuine {
            Some(genuine) => (parcel, Truth::Repeat(genuine)),
            None => (parcel, Truth::Plain),
        }
    }

    /// PSA-17 for presence that says something else than that somebody is there: nobody reads an annotation in it, and
    /// none by somebody else goes on.
    pub(crate) fn without_forged(&self, parcel: Passed, kind: PresenceType) -> Passed {
        match kind {
            // Looked into where it is delivered.
            PresenceType::Available => parcel,
            PresenceType::Error
            | PresenceType::Probe
            | PresenceType::Subscribe
            | PresenceType::Subscribed
            | PresenceType::Unavailable
            | PresenceType::Unsubscribe
            | PresenceType::Unsubscribed => self.truth_of(parcel).0,
        }
    }

    /// Available presence for the session at this place: what it gets of it, and what is remembered.
    pub(crate) fn receive_available(
        &mut self,
        context: &mut Context<'_, Settings>,
        place: usize,
        parcel: &Passed,
        truth: &Truth,
        out: &mut Out,
    ) -> Option<Passed> {
        let psa = &context.settings.presence.psa;
        let Some(from) = parcel.parcel().from().cloned().filter(|_| psa.enabled) else {
            return without_annotation(parcel, truth);
        };
        // PSA-20: a repeat from elsewhere, or an answer that comes too late, is no presence for a client that has said goodbye
        // since and has not shown itself to its sender. What others here have shown to a client, only they remember.
        let is_late = |session: &Session| {
            let holds = session.received.get(from.as_str()).is_some();
            session.presence.is_none() && !holds && !session.directed_to(&from)
        };
        // Rooms here are the owners of their occupants' presence, and repeat it by themselves.
        let is_local = !context.settings.is_remote(&from);
        let may_be_late = match truth {
            Truth::Plain => false,
            Truth::Fresh(_) => true,
            Truth::Repeat(_) => !is_local,
        };
        if may_be_late && self.sessions.get(place).is_some_and(is_late) {
            return None;
        }
        let is_account_here = context.settings.is_local(&from);
        let stanza = parcel.parcel().stanza();
        match truth {
            Truth::Plain => {
                let session = self.sessions.get_mut(place)?;
                if is_account_here {
                    session.received.remove_one(&from);
                } else if is_local {
                    // What a session sees of a room here is what it takes leave of when it blocks the room.
                    let held = self.held(context, News::plain(&from, stanza));
                    self.remember(context, place, stanza, held, out);
                } else if session.received.confirmed_by(&from, stanza, REFRESH).is_some() {
                    // It is still there, and nothing was said of what else it shows (RFC 6121 §4.6.6, DCL-26).
                    if let Some(held) = session.received.remove_one(&from) {
                        // PSA-40: while its sender is out of reach, an answer says so.
                        session.received.put(held.confirmed());
                    }
                    self.bring_up_to_date(context, out);
                    return None;
                } else if !is_answer_to_poke(parcel.parcel()) {
                    // POKE-28: whoever was found has not changed.
                    let held = self.held(context, News::plain(&from, stanza));
                    if self.remember(context, place, stanza, held, out) {
                        self.watch(&from, out);
                    }
                }
                Some(parcel.clone())
            }
            Truth::Fresh(annotation) => {
                let shown = self.wants_news_of_pauses(context, place, out);
                let news = News {
                    foreign: Some(annotation),
                    ..News::plain(&from, stanza)
                };
                let mut held = self.held(context, news);
                held.shown = shown;
                held.aside = parcel.parcel().aside();
                let full = self.sessions.get(place)?.address.clone();
                let kept = self.remember(context, place, stanza, held, out);
                suppress(Suppression::NoSupport, usize::from(!shown), out);
                if shown && kept {
                    let count = told_of_a_pause(parcel.parcel().aside());
                    out.effects.push(Effect::Count(Tally::Presence(count)));
                    // PSA-08.
                    Some(parcel.clone().addressed_to(full))
                } else {
                    without_annotation(parcel, truth)
                }
            }
            Truth::Repeat(genuine) => {
                let wants = self.wants_news_of_pauses(context, place, out);
                let session = self.sessions.get_mut(place)?;
                let before = session.received.remove_one(&from);
                let was_shown = before.as_ref().is_some_and(|held| held.shown);
                let was_told = before.as_ref().is_some_and(|held| held.told);
                // PSA-18: the first presence of a contact is news to everybody.
                let is_news = before.is_none() && !is_local;
                let is_broken = genuine.bytes.is_some();
                let shown = wants && (is_broken || was_shown);
                let mut kept = true;
                let full = session.address.clone();
                // A copy for a client that asked its server, which does not know what came of the one before.
                let news = News {
                    annotation: Some(genuine.place),
                    foreign: genuine.bytes.as_deref(),
                    ..News::plain(&from, stanza)
                };
                let is_known = before
                    .is_some_and(|held| is_broken && held.shown && !held.told && held.is_same_as(&news));
                // Who was told, and cannot be told now that it is over, is told later.
                let owes = was_shown && !wants;
                if is_broken || !is_account_here || owes {
                    let mut held = self.held(context, news);
                    held.shown = shown && is_broken || owes;
                    // What this server has said itself stands until the client hears something else.
                    held.told = was_told && !shown;
                    held.aside = parcel.parcel().aside();
                    kept = self.remember(context, place, stanza, held, out);
                }
                if !is_local && kept {
                    self.watch(&from, out);
                }
                suppress(Suppression::NoSupport, usize::from(is_broken && !wants), out);
                if shown && kept && is_known {
                    None
                } else if shown && kept {
                    let aside = parcel.parcel().aside();
                    let count = if is_broken {
                        told_of_a_pause(aside)
                    } else {
                        told_of_a_return(aside)
                    };
                    out.effects.push(Effect::Count(Tally::Presence(count)));
                    // PSA-08.
                    Some(parcel.clone().addressed_to(full))
                } else if is_news {
                    without_annotation(parcel, truth)
                } else {
                    None
                }
            }
        }
    }

    /// A session that was kept over a restart goes on holding presence.
    pub(crate) fn go_on_holding(
        &mut self,
        context: &Context<'_, Settings>,
        id: SessionId,
        presence: &KeptPresence,
        stanza: &Stanza,
        out: &mut Out,
    ) {
        let Some(place) = self.sessions.iter().position(|session| session.id == id) else {
            return;
        };
        if !context.settings.presence.psa.enabled {
            return;
        }
        let from = &presence.from;
        let genuine = Annotations::of(stanza, Some(from)).and_then(|annotations| annotations.genuine);
        let news = News {
            annotation: genuine.map(|genuine| genuine.place),
            foreign: presence.foreign.as_deref(),
            ..News::plain(from, stanza)
        };
        let mut held = self.held(context, news);
        (held.shown, held.told) = (presence.shown, presence.told);
        if self.remember(context, place, stanza, held, out) && context.settings.is_remote(from) {
            self.watch(from, out);
        }
    }

    /// What is to be remembered of presence, in few bytes. Whoever lives here shares its bytes with all who hold it.
    fn held(&self, context: &Context<'_, Settings>, news: News<'_>) -> Held {
        let news = News {
            is_shared: !context.settings.is_remote(news.from),
            ..news
        };
        Held::new(news, self.sessions.iter().map(|session| &session.received))
    }

    /// What the session at this place was sent is judged and kept.
    fn remember(
        &mut self,
        context: &Context<'_, Settings>,
        place: usize,
        presence: &Stanza,
        mut held: Held,
        out: &mut Out,
    ) -> bool {
        let from = held.from();
        let is_remote = context.settings.is_remote(from);
        let is_room_here = !is_remote && !context.settings.is_local(from);
        let rank = match is_room_here {
            true => Rank::Occupant,
            false => self.rank(place, from, presence),
        };
        let asks = match Claim::of(presence).filter(|_| is_remote) {
            Some(Claim::Hash(hash)) => context.settings.presence.capabilities.wants_annotations(&hash),
            Some(Claim::Nothing) | None => None,
        };
        held.rank = rank;
        held.asks = asks == Some(true);
        self.keep_held(context, place, held, out)
    }

    /// What is held is kept by the session at this place, if there is room (`psa.cache_bytes`). What is not kept will not be
    /// annotated.
    fn keep_held(
        &mut self,
        context: &Context<'_, Settings>,
        place: usize,
        mut held: Held,
        out: &mut Out,
    ) -> bool {
        held.number = context.now.as_micros();
        let Some(session) = self.sessions.get_mut(place) else {
            return false;
        };
        session.received.remove_one(held.from());
        let bytes_max = context.settings.presence.psa.cache_bytes;
        let taken: usize = self.sessions.iter().map(|session| session.received.bytes()).sum();
        if taken + held.bytes() > bytes_max {
            let mut all: Vec<&mut Received> = self
                .sessions
                .iter_mut()
                .map(|session| &mut session.received)
                .collect();
            match make_room(&mut all, &held, bytes_max) {
                Room::Made(forgotten) => suppress(Suppression::Budget, forgotten, out),
                Room::None => {
                    suppress(Suppression::Budget, 1, out);
                    self.unwatch_all(out);
                    return false;
                }
            }
        }
        if let Some(session) = self.sessions.get_mut(place) {
            session.received.put(held);
        }
        true
    }

    fn rank(&self, place: usize, from: &Address, presence: &Stanza) -> Rank {
        let is_contact =
            || from.same_bare(&self.address) || self.roster.relation(from.bare_str()).user_is_subscribed();
        let is_room = |session: &Session| session.rooms.contains_key(from.bare_str());
        if self.sessions.get(place).is_some_and(is_room) || presence.child(namespace::MUC_USER, "x").is_some()
        {
            Rank::Occupant
        } else if is_contact() {
            Rank::Contact
        } else {
            Rank::Stranger
        }
    }

    /// Nobody holds presence of this address any more (PSA-25).
    pub(crate) fn receive_unavailable(&mut self, from: &Address, to: &Address, out: &mut Out) {
        let mut annotated = 0;
        for session in &mut self.sessions {
            if to.is_bare() || session.address == *to {
                annotated += session.received.remove(from);
            }
        }
        suppress(Suppression::UnavailableSent, annotated, out);
        self.questions.forget(from);
        self.unwatch(from.domainpart(), out);
    }

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

    /// A session has come while other domains are out of reach: what its siblings hold of them is what can be known
    /// (PSA-32).
    pub(crate) fn inherit_received(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        out: &mut Out,
    ) {
        if !self.domains.values().any(|way| way.is_broken) {
            return;
        }
        let mut inherited = Vec::new();
        for sibling in self.sessions.iter().filter(|session| session.id != id) {
            for (from, held) in sibling.received.iter() {
                let is_subscribed = self.roster.relation(from.bare_str()).user_is_subscribed();
                if is_subscribed && !self.is_clear(from.domainpart()) {
                    inherited.push(held.clone());
                }
            }
        }
        if let Some(place) = self.sessions.iter().position(|session| session.id == id) {
            for mut held in inherited {
                (held.shown, held.told, held.asked) = (false, false, false);
                if held.rank == Rank::Stranger {
                    // A contact by now, whatever it was when its presence came.
                    held.rank = Rank::Contact;
                }
                self.keep_held(context, place, held, out);
            }
        }
        self.bring_up_to_date(context, out);
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
fn told_of_a_pause(aside: Aside) -> PresenceCount {
    match aside {
        Aside::Nothing => PresenceCount::Paused,
        Aside::PauseAskedFor => PresenceCount::Asked,
    }
}

/// A client here is told that this is over.
fn told_of_a_return(aside: Aside) -> PresenceCount {
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

/// The presence as a client gets it that does not ask for annotations, or cannot be told again later.
fn without_annotation(parcel: &Passed, truth: &Truth) -> Option<Passed> {
    match truth {
        Truth::Plain => Some(parcel.clone()),
        Truth::Fresh(_) => Some(parcel.clone().without_appended()),
        Truth::Repeat(genuine) => Some(parcel.clone().without_child(genuine.place)),
    }
}

/// An answer to a poke is sent to the full address of who asked.
fn is_answer_to_poke(parcel: &Parcel) -> bool {
    parcel.to().is_some_and(|to| !to.is_bare()) && parcel.stanza().child(namespace::POKE, "poke").is_some()
}
