//! The door answers otherwise than a moment ago, because another list applies or because a contact has another place in
//! the roster: presence is hidden and shown accordingly (XEP-0016 §2.2 rules 8 and 9, §2.10, §2.11; XEP-0191 §3.3, §3.4).

use std::collections::BTreeSet;
use std::time::Duration;

use machine::{Context, Moment};
use privacy::{Contacts, Direction, ListName, Question, Sessions, Shift, Turn};
use roster::{Item, Relation};
use stanza::{Address, Kind, Parcel, PresenceType, Stanza};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::session::Session;
use crate::{Effect, SessionId, Settings};

/// For so long a contact who lives here is heard once more after the door was closed: the answer comes from this very
/// process.
const FAREWELL: Duration = Duration::from_secs(10);

/// Why the door may answer otherwise than before.
pub(crate) enum Turning<'a> {
    /// Another list applies to some sessions, or the same one with other items.
    List {
        shift: &'a Shift,
        /// The session that has asked for the change.
        sender: SessionId,
    },
    /// The roster has changed.
    Roster(&'a Before),
}

/// A contact as it was in the roster before a change.
pub(crate) struct Before {
    contact: Address,
    item: Option<Item>,
}

impl Before {
    /// What rules may ask of it.
    pub(crate) fn item(&self) -> Option<&Item> {
        self.item.as_ref()
    }

    fn relation(&self) -> Relation {
        self.item.as_ref().map_or(Relation::None, Item::relation)
    }
}

/// A session that is about to take leave of a contact who lives here and is hidden from now on: who knows which of the
/// contact's resources the session has seen is the contact's account, which was asked.
pub(crate) struct Farewell {
    session: SessionId,
    /// Whom the question went to.
    asked: Address,
    /// Resources of which the session has taken leave.
    said: BTreeSet<Address>,
    /// The answer has come, which names all that the session can have seen.
    answered: bool,
    until: Moment,
}

impl Account {
    /// The contact as it is now, for comparison after a change of the roster. `None` where no list could see it: nearly
    /// always.
    pub(crate) fn before_roster_change(&self, contact: &Address) -> Option<Before> {
        (!self.privacy.is_empty()).then(|| Before {
            contact: contact.to_bare(),
            item: self.roster.get(contact.bare_str()).cloned(),
        })
    }

    /// Presence that passed until now and does not any longer: whoever holds it is told goodbye, past the door that is
    /// closed now.
    pub(crate) fn hide(&mut self, context: &Context<'_, Settings>, turning: &Turning<'_>, out: &mut Out) {
        self.farewells.retain(|farewell| context.now < farewell.until);
        let mut holders_are_fewer = false;
        for place in 0..self.sessions.len() {
            let Some(session) = self
                .sessions
                .get(place)
                .filter(|session| self.concerns(turning, session))
            else {
                continue;
            };
            let hides =
                |direction, other: &Address| self.turn(turning, session, direction, other) == Turn::Hidden;
            let is_available = session.presence.is_some();
            let mut told: BTreeSet<Address> = BTreeSet::new();
            if is_available {
                // XEP-0016 §2.11, XEP-0191 §3.3.
                let subscribers = self.were_subscribers(turning);
                told.extend(
                    subscribers
                        .filter(|contact| hides(Direction::Out, contact))
                        .cloned(),
                );
            }
            let directed = session
                .directed
                .keys()
                .filter(|other| hides(Direction::Out, other));
            let directed: Vec<Address> = directed.cloned().collect();
            for other in &directed {
                let is_told = other.is_bare() && told.contains(other);
                if !is_told {
                    say_goodbye(session, other, out);
                }
                holders_are_fewer |= context.settings.is_remote(other);
            }
            for contact in &told {
                say_goodbye(session, contact, out);
            }
            self.take_leave(context, place, turning, out);
            // RFC 6121 §4.6.3 rule 3: who was told goodbye is not told so again when the session ends.
            if let Some(session) = self.sessions.get_mut(place) {
                session.directed.retain(|other, _| !directed.contains(other));
            }
        }
        if holders_are_fewer {
            self.holders_changed(context, out);
        }
        self.unwatch_all(out);
    }

    /// Presence that did not pass and does now. Directed presence is not: nobody can say whether its sender would show it
    /// again.
    pub(crate) fn show(&mut self, context: &mut Context<'_, Settings>, turning: &Turning<'_>, out: &mut Out) {
        let mut shown_to: BTreeSet<Address> = BTreeSet::new();
        for session in self
            .sessions
            .iter()
            .filter(|session| self.concerns(turning, session))
        {
            let Some(presence) = &session.presence else {
                continue;
            };
            let shows =
                |direction, other: &Address| self.turn(turning, session, direction, other) == Turn::Shown;
            // Whoever is subscribed only now gets it because of that.
            let subscribers = self.were_subscribers(turning);
            for contact in subscribers.filter(|contact| self.shows_presence_to(contact)) {
                if shows(Direction::Out, contact) {
                    let parcel = presence
                        .stanza
                        .readdressed(Some(session.address.clone()), Some(contact.clone()));
                    self.send_presence(session.id, parcel, out);
                    shown_to.insert(contact.clone());
                }
            }
            let subscriptions = self.were_subscriptions(turning);
            let is_seen = |contact: &&Address| self.roster.relation(contact.bare_str()).user_is_subscribed();
            for contact in subscriptions.filter(is_seen) {
                if shows(Direction::In, contact) {
                    // XEP-0191 §3.4: what the contact's presence is now must be asked for.
                    self.send_presence(session.id, Parcel::new(probe(&session.address, contact)), out);
                }
            }
        }
        for contact in &shown_to {
            self.annotate_for(context, contact, out);
        }
    }

    /// XEP-0016 §2.10: a session that has seen somebody who is kept out from now on is told that this one is unavailable.
    fn take_leave(
        &mut self,
        context: &Context<'_, Settings>,
        place: usize,
        turning: &Turning<'_>,
        out: &mut Out,
    ) {
        let Some(session) = self.sessions.get(place) else {
            return;
        };
        let hides = |other: &Address| self.turn(turning, session, Direction::In, other) == Turn::Hidden;
        let is_here = |other: &Address| context.settings.is_local(other);
        let held = session.received.iter().map(|(from, _)| from);
        let held: Vec<Address> = held.filter(|from| hides(from)).cloned().collect();
        for from in held.iter().filter(|from| !is_here(from)) {
            self.give(
                context,
                session,
                &Passed::for_the_hidden(unavailable(from, &session.address)),
                out,
            );
        }
        // Whoever lives here is not remembered by those who see it, and says itself what there is to take leave of.
        let mut asked: BTreeSet<Address> = BTreeSet::new();
        if session.presence.is_some() {
            let subscriptions = self.were_subscriptions(turning);
            asked.extend(subscriptions.filter(|other| hides(other)).cloned());
            asked.extend(named_resources(turning).filter(|other| hides(other)).cloned());
        }
        asked.extend(session.directed.keys().filter(|other| hides(other)).cloned());
        let (here, elsewhere): (Vec<Address>, Vec<Address>) = asked.into_iter().partition(is_here);
        if !context.settings.presence.psa.enabled {
            // Nothing is remembered then.
            for other in &elsewhere {
                self.give(
                    context,
                    session,
                    &Passed::for_the_hidden(unavailable(other, &session.address)),
                    out,
                );
            }
        }
        let id = session.id;
        for other in here {
            let question = probe(&session.address, &other);
            out.effects.push(Effect::Route {
                parcel: Passed::question_about_the_hidden(question),
                receipt: None,
            });
            self.farewells
                .retain(|farewell| farewell.session != id || farewell.asked != other);
            self.farewells.push(Farewell {
                session: id,
                asked: other,
                said: BTreeSet::new(),
                answered: false,
                until: context.now + FAREWELL,
            });
        }
        if let Some(session) = self.sessions.get_mut(place) {
            for from in &held {
                session.received.remove_one(from);
            }
        }
    }

    /// Presence that the door has just refused: the session that waits for it to take leave is told that its sender is
    /// unavailable, and no more.
    pub(crate) fn taken_leave_of(
        &mut self,
        context: &Context<'_, Settings>,
        refused: &Parcel,
        out: &mut Out,
    ) {
        let (Some(from), Some(to)) = (refused.from(), refused.to()) else {
            return;
        };
        let (is_available, is_answer) = match refused.stanza().kind() {
            // Answers to the question are for the session; what is for all of them is news.
            Kind::Presence(PresenceType::Available) if to.is_bare() => return,
            Kind::Presence(PresenceType::Available) => (true, true),
            // It has gone before the question came, or this says that there is nobody.
            Kind::Presence(PresenceType::Unavailable) => (false, from.is_bare() && !to.is_bare()),
            Kind::Presence(
                PresenceType::Error
                | PresenceType::Probe
                | PresenceType::Subscribe
                | PresenceType::Subscribed
                | PresenceType::Unsubscribe
                | PresenceType::Unsubscribed,
            )
            | Kind::Message(_)
            | Kind::Iq(_) => return,
        };
        let mut told = Vec::new();
        for farewell in &mut self.farewells {
            let is_meant =
                farewell.asked == *from || (farewell.asked.is_bare() && farewell.asked.same_bare(from));
            if !is_meant || context.now >= farewell.until {
                continue;
            }
            // Whoever comes after the answer and goes again is nobody of whom leave can be taken.
            let is_news = is_available || !farewell.answered;
            farewell.answered |= is_answer;
            if is_news && !from.is_bare() && farewell.said.insert(from.clone()) {
                told.push(farewell.session);
            }
        }
        for session in self.sessions.iter().filter(|session| told.contains(&session.id)) {
            self.give(
                context,
                session,
                &Passed::for_the_hidden(unavailable(from, &session.address)),
                out,
            );
        }
    }

    fn concerns(&self, turning: &Turning<'_>, session: &Session) -> bool {
        match turning {
            Turning::List { shift, sender } => match &shift.sessions {
                Sessions::Sender => session.id == *sender,
                Sessions::WithActive(name) => session.active_list.as_ref() == Some(name),
                Sessions::WithoutActive => session.active_list.is_none(),
            },
            Turning::Roster(_) => true,
        }
    }

    fn turn(&self, turning: &Turning<'_>, session: &Session, direction: Direction, other: &Address) -> Turn {
        match turning {
            Turning::List { shift, .. } => shift.presence(direction, &self.address, other, &self.roster),
            Turning::Roster(before) => {
                if !before.contact.same_bare(other) {
                    return Turn::Same;
                }
                let active = session.active_list.as_ref();
                Turn::between(
                    self.judged(active, direction, other, &before.item()),
                    self.judged(active, direction, other, &self.roster),
                )
            }
        }
    }

    fn judged(
        &self,
        active: Option<&ListName>,
        direction: Direction,
        other: &Address,
        contacts: &dyn Contacts,
    ) -> privacy::Verdict {
        let question = Question {
            account: &self.address,
            active,
            direction,
            kind: Kind::Presence(PresenceType::Available),
            other,
        };
        self.privacy.may_pass(&question, contacts)
    }

    /// Who was subscribed to the user's presence until now.
    fn were_subscribers<'t>(
        &'t self,
        turning: &'t Turning<'_>,
    ) -> Box<dyn Iterator<Item = &'t Address> + 't> {
        match turning {
            Turning::List { .. } => Box::new(self.roster.subscribers()),
            Turning::Roster(before) => {
                let was = before.relation().contact_is_subscribed();
                Box::new(was.then_some(&before.contact).into_iter())
            }
        }
    }

    /// Whose presence the user was subscribed to until now.
    fn were_subscriptions<'t>(
        &'t self,
        turning: &'t Turning<'_>,
    ) -> Box<dyn Iterator<Item = &'t Address> + 't> {
        match turning {
            Turning::List { .. } => Box::new(self.roster.subscriptions()),
            Turning::Roster(before) => {
                let was = before.relation().user_is_subscribed();
                Box::new(was.then_some(&before.contact).into_iter())
            }
        }
    }
}

/// Resources that the list of now names one by one.
fn named_resources<'t>(turning: &'t Turning<'_>) -> impl Iterator<Item = &'t Address> + 't {
    let list = match turning {
        Turning::List { shift, .. } => shift.after.as_deref(),
        Turning::Roster(_) => None,
    };
    list.into_iter()
        .flat_map(|list| list.items())
        .filter_map(|item| match &item.subject {
            privacy::Subject::Jid(jid) => (!jid.is_bare() && jid.localpart().is_some()).then_some(jid),
            privacy::Subject::Group(_) | privacy::Subject::Subscription(_) | privacy::Subject::Everyone => {
                None
            }
        })
}

fn unavailable(from: &Address, to: &Address) -> Stanza {
    let kind = Kind::Presence(PresenceType::Unavailable);
    Stanza::build(kind, Some(from), Some(to), None, b"")
}

fn probe(from: &Address, to: &Address) -> Stanza {
    Stanza::build(
        Kind::Presence(PresenceType::Probe),
        Some(from),
        Some(to),
        None,
        b"",
    )
}

fn say_goodbye(session: &Session, to: &Address, out: &mut Out) {
    out.effects.push(Effect::Route {
        parcel: Passed::last_goodbye(unavailable(&session.address, to)),
        receipt: None,
    });
}
