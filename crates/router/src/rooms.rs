//! The router as the world of rooms, and what it answers for the services that rooms live at.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Weak};

use machine::Context;
use muc::{AdminRequest, Effect, Input, Key, Room, RoomItem, Tally, View};
use papaya::HashMap;
use parking_lot::Mutex;
use stanza::{
    Address, Condition, ErrorKind, IqType, Kind, MessageType, Parcel, PresenceType, Stanza, StanzaError,
};
use stream_management::Receipt;
use turns::{CommitId, Death, Gone, Limits, Priority, Refusal, Slot, Worker, World};

use crate::router::{Destination, Router, settle};
use crate::surroundings::Alarm;
use crate::world::Dice;

/// The place of one room.
pub type RoomSlot = Slot<Room, Router>;

/// All rooms that somebody is in.
#[derive(Default)]
pub(crate) struct Rooms(HashMap<Address, Arc<RoomSlot>>, Mutex<RoomFigures>);

/// What was counted of rooms since the start, by service.
pub type RoomFigures = BTreeMap<(String, Tally), u64>;

impl Router {
    /// Rooms as they are now, in order of their addresses.
    pub fn rooms(&self) -> Vec<View> {
        let slots: Vec<Arc<RoomSlot>> = self.rooms.0.pin().values().cloned().collect();
        let mut views: Vec<View> = slots
            .iter()
            // One that has its turn right now is seen at the next look.
            .filter_map(|slot| slot.look(Room::view).flatten())
            .collect();
        views.sort_by(|one, other| one.address.cmp(&other.address));
        views
    }

    /// What was counted of rooms.
    pub fn room_figures(&self) -> RoomFigures {
        self.rooms.1.lock().clone()
    }

    /// How the path to `domain` is, for a room that is in memory. False when it is not.
    pub(crate) fn tell_room_of_path(
        self: &Arc<Self>,
        room: &Address,
        domain: &Address,
        is_broken: bool,
        worker: &mut Worker,
    ) -> bool {
        let slot = self.rooms.0.pin().get(room.bare_str()).cloned();
        let input = Input::Path {
            domain: domain.clone(),
            is_broken,
        };
        slot.is_some_and(|slot| slot.deliver(input, Priority::Control, worker).is_ok())
    }

    /// What was sent to another domain could not be delivered. Its sender here is told as if the other side had said it,
    /// except a room, which must be able to tell the two apart (PSA-62).
    pub(crate) fn undeliverable(self: &Arc<Self>, parcel: Parcel, error: StanzaError, worker: &mut Worker) {
        let room = parcel
            .from()
            .filter(|from| self.destination(from) == Destination::Room)
            .cloned();
        match room {
            Some(room) => {
                let input = Input::Undelivered { parcel, error };
                self.deliver_to_room(&room, input, Priority::Control, worker);
            }
            None => self.bounce(&parcel, error, worker),
        }
    }

    /// Asks a room for an operator. One that is not there is made for the answer and forgotten.
    pub fn ask_room(self: &Arc<Self>, room: &Address, request: AdminRequest) {
        self.work(|worker| self.deliver_to_room(room, Input::Admin(request), Priority::Control, worker));
    }

    /// The services end: everybody in a room is told (XEP-0045 §15.6.2, status 332).
    pub fn close_rooms(self: &Arc<Self>) {
        let rooms: Vec<Address> = self.rooms.0.pin().keys().cloned().collect();
        self.work(|worker| {
            for room in rooms {
                let input = Input::Admin(AdminRequest::ShutDown);
                self.deliver_to_room(&room, input, Priority::Control, worker);
            }
        });
    }

    pub(crate) fn to_room(self: &Arc<Self>, parcel: Parcel, receipt: Option<Receipt>, worker: &mut Worker) {
        let Some(to) = parcel.to().cloned() else {
            settle(receipt);
            return;
        };
        let priority = Priority::Stanza(parcel.byte_len());
        self.deliver_to_room(&to, Input::Inbound { parcel, receipt }, priority, worker);
    }

    fn deliver_to_room(
        self: &Arc<Self>,
        address: &Address,
        mut input: Input,
        priority: Priority,
        worker: &mut Worker,
    ) {
        loop {
            let slot = self.room_slot(address);
            match slot.deliver(input, priority, worker) {
                Ok(()) => return,
                Err(Gone(returned)) => {
                    self.forget_room(&slot);
                    input = returned;
                }
            }
        }
    }

    fn room_slot(self: &Arc<Self>, address: &Address) -> Arc<RoomSlot> {
        let rooms = self.rooms.0.pin();
        if let Some(slot) = rooms.get(address.bare_str()) {
            return Arc::clone(slot);
        }
        let key = address.to_bare();
        let fresh = Slot::living(key.clone(), Arc::clone(self), Room::new(key.clone()));
        match rooms.try_insert(key, Arc::clone(&fresh)) {
            Ok(_) => fresh,
            Err(taken) => Arc::clone(taken.current),
        }
    }

    fn forget_room(&self, slot: &Arc<RoomSlot>) {
        let _ = self
            .rooms
            .0
            .pin()
            .remove_if(slot.key(), |_, known| Arc::ptr_eq(known, slot));
    }

    /// A stanza to the service itself (XEP-0045 §6).
    pub(crate) fn at_service(self: &Arc<Self>, parcel: &Parcel, worker: &mut Worker) {
        let stanza = parcel.stanza();
        match stanza.kind() {
            Kind::Iq(kind @ (IqType::Get | IqType::Set)) => {
                let Some(payload) = stanza.payload().map(|payload| payload.to_tree()) else {
                    return;
                };
                let mut dice = Dice(&*self.surroundings);
                let listed = || {
                    self.rooms()
                        .into_iter()
                        .filter(|room| room.public)
                        .filter(|room| {
                            parcel
                                .to()
                                .is_some_and(|to| to.domainpart() == room.address.domainpart())
                        })
                        .map(|room| RoomItem {
                            address: room.address,
                            name: room.name,
                        })
                        .collect()
                };
                let is_set = kind == IqType::Set;
                let settings = self.settings.load();
                match muc::answer_for_service(&payload, is_set, &settings.muc, &mut dice, listed) {
                    Ok(payload) => {
                        let bytes = payload.map(|tree| tree.to_bytes("")).unwrap_or_default();
                        let answer = Stanza::build(
                            Kind::Iq(IqType::Result),
                            parcel.to(),
                            parcel.from(),
                            stanza.id().as_deref(),
                            &bytes,
                        );
                        self.route(Parcel::new(answer), None, worker);
                    }
                    Err(error) => self.bounce(parcel, error, worker),
                }
            }
            Kind::Message(MessageType::Chat | MessageType::Normal | MessageType::Groupchat) => {
                self.bounce(parcel, Condition::ServiceUnavailable, worker);
            }
            // Somebody wants to enter, but no room is named.
            Kind::Presence(PresenceType::Available) => {
                self.bounce(parcel, Condition::ServiceUnavailable, worker);
            }
            Kind::Presence(
                PresenceType::Error
                | PresenceType::Probe
                | PresenceType::Subscribe
                | PresenceType::Subscribed
                | PresenceType::Unavailable
                | PresenceType::Unsubscribe
                | PresenceType::Unsubscribed,
            )
            | Kind::Iq(IqType::Result | IqType::Error)
            | Kind::Message(MessageType::Headline | MessageType::Error) => {}
        }
    }
}

impl World<Room> for Router {
    type Key = Address;

    fn limits(&self) -> Limits {
        self.settings.load().limits
    }

    fn with_context<R>(&self, decide: impl FnOnce(&mut Context<'_, muc::Settings>) -> R) -> R {
        let settings = self.settings.load();
        let mut dice = Dice(&*self.surroundings);
        decide(&mut Context {
            now: self.surroundings.now(),
            wall: self.surroundings.wall(),
            random: &mut dice,
            settings: &settings.muc,
        })
    }

    /// A room keeps nothing.
    fn commit(&self, slot: &Arc<RoomSlot>, id: CommitId, changes: Vec<Infallible>, worker: &mut Worker) {
        drop(changes);
        slot.committed(id, Ok(()), worker);
    }

    fn perform(&self, slot: &Arc<RoomSlot>, effect: Effect, worker: &mut Worker) {
        match effect {
            Effect::Route(parcel, receipt) => slot.world().route(parcel, receipt, worker),
            Effect::Settle(receipt) => receipt.settle(),
            Effect::Answer(answer) => answer.give(),
            Effect::Watch(domain) => {
                if self.destination(&domain) == Destination::Elsewhere {
                    slot.world().watch(slot.key(), &domain, worker);
                }
            }
            Effect::Unwatch(domain) => slot.world().unwatch(slot.key(), &domain, worker),
            Effect::WakeAt(key, at) => {
                let slot = Arc::downgrade(slot);
                self.surroundings.call_at(at, Arc::new(RoomWake { slot, key }));
            }
            Effect::Learn(hash, wants) => self.learn(slot.key(), &hash, wants),
            Effect::Count(tally) => {
                let service = slot.key().domainpart().to_owned();
                *self.rooms.1.lock().entry((service, tally)).or_default() += 1;
            }
        }
    }

    /// Nothing waits for commits, so that nothing is taken back.
    fn abandon(&self, slot: &Arc<RoomSlot>, effect: Effect, worker: &mut Worker) {
        self.perform(slot, effect, worker);
    }

    fn refuse(&self, slot: &Arc<RoomSlot>, input: Input, why: Refusal, worker: &mut Worker) {
        let error = match why {
            Refusal::Full => {
                StanzaError::new(Condition::ResourceConstraint).text("too much is waiting for this room")
            }
            Refusal::NotLoaded(_) | Refusal::Died(_) => {
                StanzaError::new(Condition::InternalServerError).kind(ErrorKind::Wait)
            }
        };
        match input {
            Input::Inbound { parcel, receipt } => {
                slot.world().bounce(&parcel, error, worker);
                settle(receipt);
            }
            // Whoever waits for an answer sees that there will be none; the rest concerned a room that is gone.
            Input::Admin(_) | Input::Undelivered { .. } | Input::Path { .. } | Input::Wake(_) => {}
        }
    }

    fn died(&self, slot: &Arc<RoomSlot>, _why: Death, _worker: &mut Worker) {
        self.forget_room(slot);
    }

    fn idle(&self, slot: &Arc<RoomSlot>, _worker: &mut Worker) {
        if slot.retire_if_idle() {
            self.forget_room(slot);
        }
    }
}

/// A wake-up call; a room that has left memory meanwhile does not need it.
struct RoomWake {
    slot: Weak<RoomSlot>,
    key: Key,
}

impl Alarm for RoomWake {
    fn ring(self: Arc<Self>) {
        if let Some(slot) = self.slot.upgrade() {
            let router = Arc::clone(slot.world());
            router.work(|worker| drop(slot.deliver(Input::Wake(self.key), Priority::Control, worker)));
        }
    }
}
