//! Rooms in memory and in the store: where they are, what is asked of them. What becomes of what they want to happen is in
//! `world`, what the services that they live at answer in `service`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muc::{AdminRequest, Input, KeptRoom, Room, Tally, View};
use papaya::HashMap;
use parking_lot::Mutex;
use stanza::{Address, Condition, ErrorKind, Kind, Parcel, PresenceType, StanzaError};
use stream_management::Receipt;
use turns::{Gone, LoadFailure, Priority, Slot, Worker};

use crate::makers::Makers;
use crate::router::{Destination, Router, clear, in_order, settle};
use crate::store::{Done, StoreError, WhichRooms};

mod service;
mod world;

/// The place of one room.
pub type RoomSlot = Slot<Room, Router>;

/// The rooms that are in memory: those that somebody is in, and those that were just asked for.
#[derive(Default)]
pub(crate) struct Rooms {
    slots: HashMap<Address, Arc<RoomSlot>>,
    figures: Mutex<RoomFigures>,
    makers: Mutex<Makers>,
    /// How many are in the store, by service.
    stored: Mutex<BTreeMap<String, usize>>,
}

/// What was counted of rooms since the start, by service.
pub type RoomFigures = BTreeMap<(String, Tally), u64>;

impl Rooms {
    pub(crate) fn clear(&self) {
        clear(&self.slots);
    }
}

impl Router {
    /// The rooms in memory as they are now, in order of their addresses.
    pub fn rooms(&self) -> Vec<View> {
        let slots: Vec<Arc<RoomSlot>> = self.rooms.slots.pin().values().cloned().collect();
        let mut views: Vec<View> = slots
            .iter()
            // One that has its turn right now is seen at the next look.
            .filter_map(|slot| slot.look(Room::view).flatten())
            .collect();
        views.sort_by(|one, other| one.address.cmp(&other.address));
        views
    }

    /// How many rooms are in the store, by service, since [`Router::count_stored_rooms`].
    pub fn stored_rooms(&self) -> BTreeMap<String, usize> {
        self.rooms.stored.lock().clone()
    }

    /// Asks the store how many rooms it has. From then on they are counted as they come and go.
    pub fn count_stored_rooms(self: &Arc<Self>, done: Done<Result<(), StoreError>>) {
        let router = Arc::downgrade(self);
        self.store.count_rooms(Box::new(move |outcome| {
            done(outcome.map(|services| {
                if let Some(router) = router.upgrade() {
                    *router.rooms.stored.lock() = services;
                }
            }));
        }));
    }

    fn count_of_rooms(&self, service: String, tally: Tally) {
        if let Tally::Stored(is_stored) = tally {
            let mut stored = self.rooms.stored.lock();
            let count = stored.entry(service).or_default();
            *count = if is_stored {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        } else {
            *self.rooms.figures.lock().entry((service, tally)).or_default() += 1;
        }
    }

    /// What was counted of rooms.
    pub fn room_figures(&self) -> RoomFigures {
        self.rooms.figures.lock().clone()
    }

    /// What has become of the path to `domain`, for a room that is in memory. False when it is not.
    pub(crate) fn tell_room_of_path(
        self: &Arc<Self>,
        room: &Address,
        domain: &Address,
        path: account::Path,
        worker: &mut Worker,
    ) -> bool {
        let slot = self.rooms.slots.pin().get(room.bare_str()).cloned();
        let domain = domain.clone();
        let input = match path {
            account::Path::Renewed => Input::Renewed(domain),
            account::Path::Clear => Input::Path {
                domain,
                is_broken: false,
            },
            account::Path::Broken(_) => Input::Path {
                domain,
                is_broken: true,
            },
        };
        slot.is_some_and(|slot| slot.deliver(input, Priority::Control, worker).is_ok())
    }

    /// What was sent to another domain could not be delivered. Its sender here is told as if the other side had said it,
    /// except a room, which must be able to tell the two apart (PSA-62).
    pub(crate) fn undeliverable(
        self: &Arc<Self>,
        parcel: Parcel,
        error: StanzaError,
        receipt: Option<Receipt>,
        worker: &mut Worker,
    ) {
        let room = parcel
            .from()
            .filter(|from| self.destination(from) == Destination::Room)
            .cloned();
        match room {
            Some(room) => {
                let input = Input::Undelivered {
                    parcel,
                    error,
                    receipt,
                };
                self.deliver_to_room(&room, input, Priority::Control, worker);
            }
            None => self.bounce(&parcel, error, receipt, worker),
        }
    }

    /// Rooms as they are now, those in the store too, in order of their addresses.
    pub fn all_rooms(self: &Arc<Self>, done: Done<Result<Vec<View>, StoreError>>) {
        let router = Arc::clone(self);
        self.store.list_rooms(
            WhichRooms::All,
            Box::new(move |outcome| {
                done(outcome.map(|rows| {
                    let stored = rows.into_iter().map(|(address, row)| {
                        let view = View::of_row(address.clone(), &row);
                        (address, view)
                    });
                    let live = router
                        .rooms()
                        .into_iter()
                        .map(|view| (view.address.clone(), view));
                    // One in memory knows more than its row.
                    let merged: BTreeMap<Address, View> = stored.chain(live).collect();
                    merged.into_values().collect()
                }));
            }),
        );
    }

    /// Asks a room for an operator. One that is not in memory is fetched.
    pub fn ask_room(self: &Arc<Self>, room: &Address, request: AdminRequest) {
        self.work(|worker| self.deliver_to_room(room, Input::Admin(request), Priority::Control, worker));
    }

    /// Which rooms are in memory, in order of their addresses.
    pub fn rooms_in_memory(&self) -> Vec<Address> {
        in_order(self.rooms.slots.pin().keys())
    }

    /// Rooms that were kept go on with those who were in them. Clients of this server that are not among `sessions` are
    /// not there any more.
    pub fn restore_rooms(self: &Arc<Self>, rooms: Vec<KeptRoom>, sessions: &BTreeSet<Address>) {
        let settings = self.settings.load();
        self.work(|worker| {
            for kept in rooms {
                self.rooms.makers.lock().note_kept(&kept);
                let clients = kept.occupants.iter().flat_map(|occupant| &occupant.clients);
                let lost = clients
                    .map(|client| &client.address)
                    .filter(|client| settings.hosts.serves(client) && !sessions.contains(*client))
                    .cloned()
                    .collect();
                let address = kept.address.clone();
                let kept = Box::new(kept);
                let request = Input::Admin(AdminRequest::GoOn { kept, lost });
                self.deliver_to_room(&address, request, Priority::Control, worker);
            }
        });
    }

    /// Tells everybody elsewhere who was in a room when the last process ended without a goodbye, after
    /// [`Router::restore_rooms`]. `done` learns how many rooms there are that somebody was in. A room of which the store
    /// cannot say it now does it when it comes into memory.
    pub fn tell_vanished_occupants(self: &Arc<Self>, done: Done<Result<usize, StoreError>>) {
        let router = Arc::downgrade(self);
        self.store.list_vanished_occupants(Box::new(move |outcome| {
            if let (Some(router), Ok(rooms)) = (router.upgrade(), &outcome) {
                for room in rooms {
                    router.ask_room(room, AdminRequest::TellVanished);
                }
            }
            done(outcome.map(|rooms| rooms.len()));
        }));
    }

    /// The services end: everybody in a room is told (XEP-0045 §15.6.2, status 332).
    pub fn close_rooms(self: &Arc<Self>) {
        let rooms = self.rooms_in_memory();
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
        // Who has left and is still believed to be there is a ghost.
        let priority = match is_goodbye(&parcel) {
            true => Priority::Goodbye(parcel.byte_len()),
            false => Priority::Stanza(parcel.byte_len()),
        };
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
        let rooms = self.rooms.slots.pin();
        if let Some(slot) = rooms.get(address.bare_str()) {
            return Arc::clone(slot);
        }
        let key = address.to_bare();
        let fresh = Slot::loading(key.clone(), Arc::clone(self));
        match rooms.try_insert(key.clone(), Arc::clone(&fresh)) {
            Ok(_) => {
                self.fetch_room(key, Arc::clone(&fresh));
                fresh
            }
            Err(taken) => Arc::clone(taken.current),
        }
    }

    fn fetch_room(self: &Arc<Self>, address: Address, slot: Arc<RoomSlot>) {
        let router = Arc::clone(self);
        self.store.load_room(
            address.clone(),
            self.settings.load().muc.history_max,
            Box::new(move |saved| {
                let saved = saved.ok();
                // It may leave the store while somebody is in it.
                if let Some(row) = saved.as_ref().and_then(|saved| saved.room.as_ref()) {
                    router.note_maker(&slot, row.creator.clone());
                }
                let room = saved.and_then(|saved| Room::restored(address, saved).ok());
                router.work(|worker| match room {
                    // A slot that was given up meanwhile does not need the room.
                    Some(room) => drop(slot.loaded(room, worker)),
                    None => {
                        router.forget_room(&slot);
                        slot.load_failed(LoadFailure::Unavailable, worker);
                    }
                });
            }),
        );
    }

    /// A room that was made before comes into memory.
    fn note_maker(&self, slot: &Arc<RoomSlot>, maker: Address) {
        let mut makers = self.rooms.makers.lock();
        let slots = self.rooms.slots.pin();
        if slots
            .get(slot.key())
            .is_some_and(|known| Arc::ptr_eq(known, slot))
        {
            makers.note(slot.key(), maker);
        }
    }

    fn forget_room(&self, slot: &Arc<RoomSlot>) {
        let slots = self.rooms.slots.pin();
        let removed = slots.remove_if(slot.key(), |_, known| Arc::ptr_eq(known, slot));
        if let Ok(Some(_)) = removed {
            self.rooms.makers.lock().forget(slot.key());
        }
    }

    /// How many other rooms a user has made: those that stay, and those that are there for now, or may be in a moment.
    fn count_rooms(self: &Arc<Self>, slot: &Arc<RoomSlot>, creator: Address) {
        let (router, slot) = (Arc::clone(self), Arc::clone(slot));
        // Before the store is asked: what is in neither is no more.
        let mut made = self.rooms.makers.lock().note(slot.key(), creator.clone());
        self.store.list_rooms(
            WhichRooms::MadeBy(creator),
            Box::new(move |stored| {
                let rooms = stored.ok().map(|stored| {
                    made.extend(stored.into_iter().map(|(room, _)| room));
                    made.remove(slot.key());
                    made.len()
                });
                router.work(|worker| {
                    // A room that is lost meanwhile has given back what waited for this.
                    drop(slot.deliver(Input::Counted(rooms), Priority::Control, worker));
                });
            }),
        );
    }
}

/// Whether somebody takes leave of a room.
fn is_goodbye(parcel: &Parcel) -> bool {
    parcel.stanza().kind() == Kind::Presence(PresenceType::Unavailable)
}

/// What somebody is told when the store does not do its part: to try again later.
fn of_store(error: StoreError) -> StanzaError {
    match error {
        StoreError::Unavailable | StoreError::Refused => {
            StanzaError::new(Condition::InternalServerError).kind(ErrorKind::Wait)
        }
    }
}
