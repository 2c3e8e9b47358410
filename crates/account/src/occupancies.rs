//! Rooms that the account's sessions are in, and whether they still are after an outage (PSA-67).
//!
//! Rooms here tell that by themselves. While a service elsewhere cannot be reached it may have put out whom it could not reach, without being able to say so. So when it
//! is back, the server asks it in each session's name by a self-ping (XEP-0410), before it says that all is well again
//! (PSA-29). A session that is no longer in the room learns that as the room would have said it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use machine::{Context, Moment};
use stanza::{Address, Condition, IqType, Kind, Parcel, PresenceType, Stanza, StanzaError, namespace};
use xml::Tree;

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::figures::SelfPing;
use crate::input::{Key, Tally};
use crate::session::Session;
use crate::{Effect, SessionId, Settings};

/// An answer that takes longer is not waited for (PSA-29).
const ANSWER_TIME: Duration = Duration::from_secs(15);

/// A room that a session is in, or wants to enter.
#[derive(Debug)]
pub(crate) struct Occupancy {
    /// Whether the room is at another domain.
    is_remote: bool,
    /// The session's address there.
    pub(crate) occupant: Address,
    /// Whether the room has said that it is in.
    pub(crate) is_confirmed: bool,
    /// It has asked to enter: what the room says until it answers is of an earlier stay, and so are these whom it was
    /// shown before and the room does not show anew.
    asked: Option<BTreeSet<Address>>,
    /// The room was asked whether that is still so.
    check: Option<Check>,
}

#[derive(Debug)]
struct Check {
    id: String,
    until: Moment,
    /// Whether the answer matters; if not, it is for nobody.
    counts: bool,
}

/// The rooms of one session, by their addresses. Most sessions are in none.
#[derive(Debug, Default)]
pub(crate) struct Occupancies(Option<Box<Rooms>>);

#[derive(Debug, Default)]
struct Rooms(BTreeMap<Address, Occupancy>);

impl Occupancies {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn contains_key(&self, room: &str) -> bool {
        self.get(room).is_some()
    }

    pub(crate) fn get(&self, room: &str) -> Option<&Occupancy> {
        self.0.as_ref()?.0.get(room)
    }

    /// Whether the session has asked to enter a room under this address, and waits for the answer.
    pub(crate) fn awaits(&self, occupant: &Address) -> bool {
        self.get(occupant.bare_str())
            .is_some_and(|occupancy| occupancy.asked.is_some() && occupancy.occupant == *occupant)
    }

    fn get_mut(&mut self, room: &str) -> Option<&mut Occupancy> {
        self.0.as_mut()?.0.get_mut(room)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Address, &Occupancy)> {
        self.0.iter().flat_map(|rooms| &rooms.0)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = (&Address, &mut Occupancy)> {
        self.0.iter_mut().flat_map(|rooms| &mut rooms.0)
    }

    fn entry(&mut self, room: Address) -> Entry<'_, Address, Occupancy> {
        self.0.get_or_insert_default().0.entry(room)
    }

    fn remove(&mut self, room: &str) -> Option<Occupancy> {
        let rooms = self.0.as_mut()?;
        let occupancy = rooms.0.remove(room);
        if rooms.0.is_empty() {
            self.0 = None;
        }
        occupancy
    }

    /// Those that an earlier process was told of.
    pub(crate) fn restored(occupants: Vec<Address>, settings: &Settings) -> Occupancies {
        let mut occupancies = Occupancies::default();
        for occupant in occupants {
            let (room, is_remote) = (occupant.to_bare(), settings.is_remote(&occupant));
            occupancies
                .entry(room)
                .or_insert_with(|| Occupancy::restored(occupant, is_remote));
        }
        occupancies
    }
}

impl Occupancy {
    /// One that an earlier process was told of.
    fn restored(occupant: Address, is_remote: bool) -> Occupancy {
        Occupancy {
            is_remote,
            occupant,
            is_confirmed: true,
            asked: None,
            check: None,
        }
    }

    /// Whether the room has said what came of the last wish to enter.
    pub(crate) fn has_answered(&self) -> bool {
        self.asked.is_none()
    }

    /// Whether the way to it is of interest.
    pub(crate) fn needs_watching(&self) -> bool {
        self.is_remote
    }

    /// Whether it is being found out if the session is still in.
    pub(crate) fn is_open(&self) -> bool {
        self.check.as_ref().is_some_and(|check| check.counts)
    }
}

/// What a room says of a session's own occupant.
enum OwnWord {
    /// It is in, under this address.
    In,
    /// It is out.
    Out,
}

impl Account {
    /// A session sends presence to a room, to enter it (XEP-0045 §7.2).
    pub(crate) fn enters_room(
        &mut self,
        id: SessionId,
        occupant: &Address,
        presence: &Stanza,
        is_remote: bool,
        out: &mut Out,
    ) {
        if occupant.is_bare() || presence.child(namespace::MUC, "x").is_none() {
            return;
        }
        let Some(session) = self.session_mut(id) else {
            return;
        };
        let occupancy = session
            .rooms
            .entry(occupant.to_bare())
            .or_insert_with(|| Occupancy {
                is_remote,
                occupant: occupant.clone(),
                is_confirmed: false,
                asked: None,
                check: None,
            });
        if !occupancy.is_confirmed {
            occupancy.occupant = occupant.clone();
        }
        if let Some(check) = &mut occupancy.check {
            // It says nothing of what comes behind it.
            check.counts = false;
        }
        let before = session.received.held_of(&occupant.to_bare());
        occupancy.asked = Some(before.into_iter().collect());
        if occupancy.needs_watching() {
            self.watch(occupant, out);
        }
    }

    /// A session says goodbye to a room: its occupants are nobody's presence any more (PSA-28).
    pub(crate) fn leaves_room(&mut self, id: SessionId, to: &Address, out: &mut Out) {
        if let Some(session) = self.session_mut(id)
            && session.rooms.remove(to.bare_str()).is_some()
        {
            let room = to.to_bare();
            session.received.remove(&room);
            self.unwatch(room.domainpart(), out);
        }
    }

    /// Presence from a room, for the session at this place: what it says of the session itself.
    pub(crate) fn room_speaks(&mut self, place: usize, from: &Address, presence: &Stanza, out: &mut Out) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let mut occupancy = session.rooms.get_mut(from.bare_str());
        if presence.kind() == Kind::Presence(PresenceType::Error) {
            match occupancy {
                Some(occupancy) if occupancy.is_confirmed => occupancy.asked = None,
                // It could not enter.
                Some(_) => {
                    session.rooms.remove(from.bare_str());
                    session.directed.remove(from.as_str());
                    self.unwatch(from.domainpart(), out);
                }
                None => {}
            }
            return;
        }
        if let Some(before) = occupancy.as_mut().and_then(|occupancy| occupancy.asked.as_mut()) {
            before.remove(from);
        }
        match (own_word(presence), occupancy) {
            (Some(OwnWord::In), Some(occupancy)) => {
                occupancy.occupant = from.clone();
                occupancy.is_confirmed = true;
                for gone in occupancy.asked.take().into_iter().flatten() {
                    session.received.remove_one(&gone);
                }
            }
            (Some(OwnWord::Out), Some(occupancy)) if occupancy.asked.is_some() => {
                let room = from.to_bare();
                occupancy.is_confirmed = false;
                session.received.remove(&room);
            }
            (Some(OwnWord::Out), _) => {
                let room = from.to_bare();
                session.rooms.remove(room.as_str());
                session.received.remove(&room);
                session.directed.retain(|to, _| !to.same_bare(&room));
                self.unwatch(room.domainpart(), out);
            }
            (Some(OwnWord::In) | None, _) => {}
        }
    }

    /// The services of this domain are back, or the server is: each room is asked whether the sessions are still in.
    pub(crate) fn check_occupancies(
        &mut self,
        context: &mut Context<'_, Settings>,
        is_concerned: impl Fn(&Address) -> bool,
        out: &mut Out,
    ) {
        let until = context.now + ANSWER_TIME;
        let mut questions = Vec::new();
        for session in &mut self.sessions {
            for (_, occupancy) in session
                .rooms
                .iter_mut()
                .filter(|(room, occupancy)| occupancy.needs_watching() && is_concerned(room))
            {
                let id = context.token();
                let ping = format!("<ping xmlns='{}'/>", namespace::PING);
                let question = Stanza::build(
                    Kind::Iq(IqType::Get),
                    Some(&session.address),
                    Some(&occupancy.occupant),
                    Some(&id),
                    ping.as_bytes(),
                );
                occupancy.check = Some(Check {
                    id,
                    until,
                    counts: true,
                });
                questions.push((session.id, question));
            }
        }
        if questions.is_empty() {
            return;
        }
        for (id, question) in questions {
            // Who blocks a room cannot be in it; the time runs out.
            if let Ok(parcel) = self.release(id, Parcel::new(question)) {
                out.effects.push(Effect::Route {
                    parcel,
                    receipt: None,
                });
            }
        }
        out.effects.push(Effect::WakeAt(Key::SelfPing, until));
    }

    /// A session that was kept over a restart may have been put out of its rooms meanwhile.
    pub(crate) fn goes_on_in_rooms(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        out: &mut Out,
    ) {
        let Some(session) = self.session_mut(id) else {
            return;
        };
        let unanswered: Vec<(Address, Stanza)> = session
            .directed
            .iter()
            .filter(|(to, said)| {
                said.child(namespace::MUC, "x").is_some() && !session.rooms.contains_key(to.bare_str())
            })
            .map(|(to, said)| (to.clone(), said.clone()))
            .collect();
        for (room, said) in &unanswered {
            self.could_not_enter(context, id, room, said, out);
        }
        let Some(session) = self.session(id) else { return };
        let rooms = session.rooms.iter().filter(|(_, occupancy)| occupancy.is_remote);
        let rooms: Vec<Address> = rooms.map(|(room, _)| room.clone()).collect();
        for room in &rooms {
            self.watch(room, out);
        }
        self.check_occupancies(context, |room| rooms.contains(room), out);
    }

    /// The room has answered a later question, so that the wish to enter is lost, or what was said to it: the room speaks of
    /// an earlier stay, or the client waits to hear who is there. Who is in may enter again (XEP-0045 §17.3).
    fn ask_once_more(&mut self, place: usize, occupant: &Address, out: &mut Out) {
        let Some(session) = self.sessions.get(place) else {
            return;
        };
        let Some(said) = session.directed.get(occupant.as_str()) else {
            return;
        };
        let wish = said.readdressed(Some(session.address.clone()), Some(occupant.clone()));
        let id = session.id;
        if let Ok(parcel) = self.release(id, wish) {
            out.effects.push(Effect::Route {
                parcel,
                receipt: None,
            });
        }
    }

    /// A room has not answered, and the question may be lost: the session is not in, and both are told.
    fn could_not_enter(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        occupant: &Address,
        said: &Stanza,
        out: &mut Out,
    ) {
        let Some(session) = self.session_mut(id) else {
            return;
        };
        session.directed.remove(occupant.as_str());
        let address = session.address.clone();
        let gone = Kind::Presence(PresenceType::Unavailable);
        let goodbye_id = context.token();
        let gone = Stanza::build(gone, Some(&address), Some(occupant), Some(&goodbye_id), b"");
        let error = StanzaError::new(Condition::RemoteServerTimeout).text("the room did not answer");
        if let (Some(error), Some(session)) = (
            said.error_between(Some(occupant), Some(&address), error, b""),
            self.session(id),
        ) {
            self.give(context, session, &Passed::of_our_own(error), out);
        }
        if let Ok(parcel) = self.release(id, Parcel::new(gone)) {
            if let Some(session) = self.session_mut(id) {
                session.confirmations.given(occupant, &goodbye_id);
            }
            out.effects.push(Effect::Route {
                parcel,
                receipt: None,
            });
        }
    }

    /// A room believes that a client is in it that is not: nobody would tell it when the session ends. It learns the same
    /// whether there is such a session or not.
    pub(crate) fn correct_room(
        &mut self,
        context: &mut Context<'_, Settings>,
        to: &Address,
        parcel: &Parcel,
        out: &mut Out,
    ) {
        let Some(room) = parcel.from().filter(|from| !from.is_bare() && !to.is_bare()) else {
            return;
        };
        let knows = |session: &Session| {
            session.rooms.contains_key(room.bare_str())
                || session.directed.keys().any(|other| other.same_bare(room))
        };
        if !self.session_at(to).is_some_and(knows) && matches!(own_word(parcel.stanza()), Some(OwnWord::In)) {
            let gone = Kind::Presence(PresenceType::Unavailable);
            let id = context.token();
            if let Some(session) = self.sessions.iter_mut().find(|session| session.address == *to) {
                session.confirmations.given(room, &id);
            }
            self.reply(
                Some(Stanza::build(gone, Some(to), Some(room), Some(&id), b"")),
                out,
            );
        }
    }

    /// The path is broken once more: what was asked counts no longer.
    pub(crate) fn forget_checks(&mut self, domain: &Address) {
        for session in &mut self.sessions {
            for (room, occupancy) in session.rooms.iter_mut() {
                if room.domainpart() == domain.as_str()
                    && let Some(check) = &mut occupancy.check
                {
                    check.counts = false;
                }
            }
        }
    }

    /// A room answers. False when nobody asked it.
    pub(crate) fn self_ping_answered(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: &Passed,
        out: &mut Out,
    ) -> bool {
        let answer = parcel.parcel();
        let (Some(from), Some(to), Some(id)) = (answer.from(), answer.to(), answer.stanza().id()) else {
            return false;
        };
        let Some(place) = self.sessions.iter().position(|session| session.address == *to) else {
            return false;
        };
        let Some(session) = self.sessions.get_mut(place) else {
            return false;
        };
        let is_it = |occupancy: &&mut Occupancy| {
            occupancy.occupant == *from && occupancy.check.as_ref().is_some_and(|check| check.id == *id)
        };
        let Some(occupancy) = session.rooms.get_mut(from.bare_str()).filter(is_it) else {
            return false;
        };
        if !occupancy.check.take().is_some_and(|check| check.counts) {
            return true;
        }
        let is_unanswered = !occupancy.has_answered();
        let (from, result) = (from.clone(), verdict(answer.stanza()));
        out.effects.push(Effect::Count(Tally::SelfPing(result)));
        match result {
            SelfPing::In | SelfPing::Unanswered => {
                if result == SelfPing::In && is_unanswered {
                    self.ask_once_more(place, &from, out);
                }
                self.bring_up_to_date(context, out);
            }
            SelfPing::Out => self.put_out(context, place, &from, out),
        }
        true
    }

    /// Rooms that have not answered in time: nothing is known against what they said before.
    pub(crate) fn self_pings_overdue(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        let now = context.now;
        let mut is_over = false;
        for (_, occupancy) in self
            .sessions
            .iter_mut()
            .flat_map(|session| session.rooms.iter_mut())
        {
            if occupancy.check.as_ref().is_some_and(|check| check.until <= now)
                && occupancy.check.take().is_some_and(|check| check.counts)
            {
                is_over = true;
                out.effects
                    .push(Effect::Count(Tally::SelfPing(SelfPing::Unanswered)));
            }
        }
        if is_over {
            self.bring_up_to_date(context, out);
        }
    }

    /// The session is no longer in the room, and is told as the room would have done it (XEP-0045 §17.7: 333).
    fn put_out(
        &mut self,
        context: &mut Context<'_, Settings>,
        place: usize,
        occupant: &Address,
        out: &mut Out,
    ) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        let room = occupant.to_bare();
        let occupancy = session.rooms.remove(room.as_str());
        session.received.remove(&room);
        if occupancy.is_some_and(|occupancy| !occupancy.is_confirmed)
            && let Some(said) = session.directed.get(occupant.as_str()).cloned()
        {
            // What it asked, or the answer, is lost.
            let id = session.id;
            self.could_not_enter(context, id, occupant, &said, out);
            self.unwatch(room.domainpart(), out);
            return;
        }
        session.directed.retain(|to, _| !to.same_bare(&room));
        let said = format!(
            "<x xmlns='{}'><item affiliation='none' role='none'/><status code='110'/><status code='333'/></x>",
            namespace::MUC_USER
        );
        let gone = Stanza::build(
            Kind::Presence(PresenceType::Unavailable),
            Some(occupant),
            Some(&session.address),
            None,
            said.as_bytes(),
        );
        if let Some(session) = self.sessions.get(place) {
            self.give(context, session, &Passed::of_our_own(gone), out);
        }
        self.unwatch(room.domainpart(), out);
        self.holders_changed(context, out);
    }
}

/// What presence from a room says of who gets it: status 110, unless it is only a new name (XEP-0045 §7.6: 303).
fn own_word(presence: &Stanza) -> Option<OwnWord> {
    let x = presence.child(namespace::MUC_USER, "x")?.to_tree();
    let has = |code: &str| {
        let is_it = |status: &Tree| status.name == "status" && status.attribute("code") == Some(code);
        x.children().any(is_it)
    };
    if !has("110") {
        return None;
    }
    match presence.kind() {
        Kind::Presence(PresenceType::Available) => Some(OwnWord::In),
        Kind::Presence(PresenceType::Unavailable) if !has("303") => Some(OwnWord::Out),
        Kind::Presence(_) | Kind::Message(_) | Kind::Iq(_) => None,
    }
}

/// XEP-0410 §3.3.
fn verdict(answer: &Stanza) -> SelfPing {
    match answer.kind() {
        Kind::Iq(IqType::Result) => SelfPing::In,
        Kind::Iq(_) | Kind::Message(_) | Kind::Presence(_) => match answer.error_condition().as_deref() {
            // It came as far as the client.
            Some("service-unavailable" | "feature-not-implemented") => SelfPing::In,
            // It did not come as far as the room.
            Some("remote-server-not-found" | "remote-server-timeout") => SelfPing::Unanswered,
            // `item-not-found` might be a name that another client has just changed. After an outage it is far more often
            // a room that is no more; and who is told wrongly enters once more, while who is told nothing waits for ever.
            Some(_) | None => SelfPing::Out,
        },
    }
}
