//! Presence that arrives: what it says of its own truth, which of the account's clients gets what of it, and what is
//! remembered of it (XEP-0310, clauses §4.1). What follows from that is told in `annotations`.

use std::sync::Arc;

use machine::Context;
use presence::{Annotations, Claim, Genuine, Held, News, Rank, Received, Room, make_room, without_children};
use stanza::{Address, Parcel, PresenceType, Stanza, namespace};

use crate::account::{Account, Out};
use crate::annotations::{suppress, told_of_a_pause, told_of_a_return};
use crate::door::Passed;
use crate::figures::Suppression;
use crate::input::Tally;
use crate::kept::KeptPresence;
use crate::refresh::REFRESH;
use crate::session::Session;
use crate::{Effect, SessionId, Settings};

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
