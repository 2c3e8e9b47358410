//! Presence that may not be true any more, told to those of the account's clients that ask for it (XEP-0310).
//!
//! Each session holds what it was sent by other domains, and what its local contacts' accounts have annotated. What a
//! session must be told is the difference between what it was told last and what is known now; [`Account::bring_up_to_date`]
//! tells it, so many at a time.

use std::sync::Arc;
use std::time::Duration;

use machine::Context;
use presence::{Annotations, Genuine, Held, State, annotation, without_children};
use stanza::{Address, Kind, Parcel, PresenceType, Stanza, namespace};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::input::{Key, Path, Tally};
use crate::{Effect, PresenceCount, SessionId, Settings};

/// Probes after an outage are spread over this time (PSA-30).
const REPROBE_SPREAD: Duration = Duration::from_secs(5);

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
        // Rooms here are the owners of their occupants' presence, and repeat it by themselves.
        let is_local = !context.settings.is_remote(&from);
        let cache_bytes = psa.cache_bytes;
        let stanza = parcel.parcel().stanza();
        match truth {
            Truth::Plain => {
                let session = self.sessions.get_mut(place)?;
                if is_local {
                    session.received.remove_one(&from);
                } else if !is_answer_to_poke(parcel.parcel()) {
                    // POKE-28: whoever was found has not changed.
                    session
                        .received
                        .put(from.clone(), Held::plain(stanza.clone()), cache_bytes);
                    self.watch(&from, out);
                }
                Some(parcel.clone())
            }
            Truth::Fresh(annotation) => {
                let shown = self.wants_news_of_pauses(context, place, out);
                let session = self.sessions.get_mut(place)?;
                let held = Held {
                    foreign: Some(Arc::clone(annotation)),
                    shown,
                    ..Held::plain(stanza.clone())
                };
                let kept = session.received.put(from, held, cache_bytes);
                if shown && kept {
                    out.effects
                        .push(Effect::Count(Tally::Presence(PresenceCount::Paused)));
                    Some(parcel.clone())
                } else {
                    without_annotation(parcel, truth)
                }
            }
            Truth::Repeat(genuine) => {
                let wants = self.wants_news_of_pauses(context, place, out);
                let session = self.sessions.get_mut(place)?;
                let before = session.received.remove_one(&from);
                let was_shown = before.as_ref().is_some_and(|held| held.shown);
                // PSA-18: the first presence of a contact is news to everybody.
                let is_news = before.is_none() && !is_local;
                let is_broken = genuine.bytes.is_some();
                let shown = wants && (is_broken || was_shown);
                let mut kept = true;
                if is_broken || !is_local {
                    let held = Held {
                        stanza: stanza.clone(),
                        annotation: Some(genuine.place),
                        foreign: genuine.bytes.as_deref().map(Arc::from),
                        shown: shown && is_broken,
                        told: false,
                    };
                    kept = session.received.put(from.clone(), held, cache_bytes);
                }
                let full = session.address.clone();
                if !is_local {
                    self.watch(&from, out);
                }
                if shown && kept {
                    let count = if is_broken {
                        PresenceCount::Paused
                    } else {
                        PresenceCount::Resumed
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
        from: Address,
        held: Held,
        out: &mut Out,
    ) {
        let psa = &context.settings.presence.psa;
        if !psa.enabled {
            return;
        }
        if context.settings.is_remote(&from) {
            self.watch(&from, out);
        }
        if let Some(session) = self.session_mut(id) {
            session.received.put(from, held, psa.cache_bytes);
        }
    }

    /// Nobody holds presence of this address any more (PSA-25).
    pub(crate) fn receive_unavailable(
        &mut self,
        from: &Address,
        to: &Address,
        parcel: &Passed,
        out: &mut Out,
    ) {
        let left_room = parcel
            .parcel()
            .stanza()
            .child(namespace::MUC_USER, "x")
            .is_some_and(|x| {
                let is_self =
                    |status: &xml::Tree| status.name == "status" && status.attribute("code") == Some("110");
                x.to_tree().children().any(is_self)
            });
        let gone = if left_room { from.to_bare() } else { from.clone() };
        for session in &mut self.sessions {
            if to.is_bare() || session.address == *to {
                session.received.remove(&gone);
            }
        }
        self.unwatch(out);
    }

    /// A session has left a room: its occupants are nobody's presence any more (PSA-28).
    pub(crate) fn left_room(&mut self, id: SessionId, joined: &Stanza, room: &Address, out: &mut Out) {
        if joined.child(namespace::MUC, "x").is_some()
            && let Some(session) = self.session_mut(id)
        {
            session.received.remove(&room.to_bare());
            self.unwatch(out);
        }
    }

    /// The path to a domain has changed (PSA-22, PSA-29).
    pub(crate) fn path_changed(
        &mut self,
        context: &mut Context<'_, Settings>,
        domain: &Address,
        path: Path,
        out: &mut Out,
    ) {
        let is_broken = path != Path::Clear;
        let Some(was_broken) = self.domains.get_mut(domain.as_str()) else {
            return;
        };
        if std::mem::replace(was_broken, is_broken) == is_broken {
            return;
        }
        if !is_broken && context.settings.presence.psa.reprobe {
            self.reprobe.insert(domain.clone());
            let mut byte = [0; 2];
            context.random.fill(&mut byte);
            let part = u32::from(u16::from_be_bytes(byte));
            let at = context.now + REPROBE_SPREAD * part / u32::from(u16::MAX);
            out.effects.push(Effect::WakeAt(Key::Reprobe, at));
        }
        self.bring_up_to_date(context, out);
    }

    /// PSA-30: subscribed contacts of domains that are back are asked for their presence.
    pub(crate) fn reprobe(&mut self, out: &mut Out) {
        let domains = std::mem::take(&mut self.reprobe);
        let is_back = |contact: &&Address| {
            domains.contains(contact.domainpart()) && self.is_clear(contact.domainpart())
        };
        if !self.sessions.iter().any(|session| session.presence.is_some()) {
            return;
        }
        for contact in self.roster.subscriptions().filter(is_back) {
            let probe = Stanza::build(
                Kind::Presence(PresenceType::Probe),
                Some(&self.address),
                Some(contact),
                None,
                b"",
            );
            if let Ok(parcel) = self.release_for_user(Parcel::new(probe)) {
                out.effects.push(Effect::Route {
                    parcel,
                    receipt: None,
                });
            }
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
        if !self.domains.values().any(|broken| *broken) {
            return;
        }
        let mut inherited = Vec::new();
        for sibling in self.sessions.iter().filter(|session| session.id != id) {
            for (from, held) in sibling.received.iter() {
                let is_subscribed = self.roster.relation(from.bare_str()).user_is_subscribed();
                if is_subscribed && self.domains.get(from.domainpart()) == Some(&true) {
                    inherited.push((from.clone(), held.clone()));
                }
            }
        }
        let cache_bytes = context.settings.presence.psa.cache_bytes;
        if let Some(session) = self.session_mut(id) {
            for (from, held) in inherited {
                let untold = Held {
                    shown: false,
                    told: false,
                    ..held
                };
                session.received.put(from, untold, cache_bytes);
            }
        }
        self.bring_up_to_date(context, out);
    }

    /// Tells each interested session what it does not know yet, so many at a time.
    pub(crate) fn bring_up_to_date(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        let psa = &context.settings.presence.psa;
        let (rate, words) = (psa.annotations, psa.words);
        let most = usize::try_from(rate.events).unwrap_or(usize::MAX);
        let mut more = false;
        for place in 0..self.sessions.len() {
            let domains = &self.domains;
            let broken = |from: &Address| domains.get(from.domainpart()).copied().unwrap_or_default();
            let Some(session) = self.sessions.get(place) else {
                break;
            };
            if !session
                .received
                .iter()
                .any(|(from, held)| held.is_behind(broken(from)))
            {
                continue;
            }
            // A client that says nothing of its capabilities is asked when this server itself has something to say (PSA-04).
            let is_ours = session
                .received
                .iter()
                .any(|(from, held)| held.told != broken(from));
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
            let broken = |from: &Address| domains.get(from.domainpart()).copied().unwrap_or_default();
            let Some(session) = self.sessions.get_mut(place) else {
                break;
            };
            let to = session.address.clone();
            let repeats: Vec<(Parcel, PresenceCount)> = session
                .received
                .iter_mut()
                .filter(|(from, held)| held.is_behind(broken(from)))
                .take(most)
                .map(|(from, held)| {
                    let count = match (held.told, broken(from)) {
                        (_, true) => PresenceCount::Unavailable,
                        (true, false) => PresenceCount::Available,
                        (false, false) => PresenceCount::Paused,
                    };
                    (held.repeat(from, &to, ours, broken(from)), count)
                })
                .collect();
            more |= session
                .received
                .iter()
                .any(|(from, held)| held.is_behind(broken(from)));
            for (parcel, count) in repeats {
                let parcel = Passed::delivered_before(parcel);
                if let Some(session) = self.sessions.get(place)
                    && self.admits(session, &parcel)
                {
                    self.give(context, session, &parcel, out);
                    out.effects.push(Effect::Count(Tally::Presence(count)));
                }
            }
        }
        if more {
            out.effects
                .push(Effect::WakeAt(Key::Annotate, context.now + rate.per));
        }
    }

    fn is_clear(&self, domain: &str) -> bool {
        self.domains.get(domain).is_none_or(|broken| !broken)
    }

    /// From now on this account wants to know how the path to the sender's domain is.
    fn watch(&mut self, from: &Address, out: &mut Out) {
        if !self.domains.contains_key(from.domainpart()) {
            let domain = from.to_domain();
            self.domains.insert(domain.clone(), false);
            out.effects.push(Effect::Watch(domain));
        }
    }

    /// Domains of which no session holds anything need no watching.
    pub(crate) fn unwatch(&mut self, out: &mut Out) {
        let sessions = &self.sessions;
        self.domains.retain(|domain, _| {
            let is_held = sessions
                .iter()
                .any(|session| session.received.holds_domain(domain.as_str()));
            if !is_held {
                out.effects.push(Effect::Unwatch(domain.clone()));
            }
            is_held
        });
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
