//! The router as the world of rooms, and what it answers for the services that rooms live at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use machine::Context;
use muc::{AdminRequest, Change, Effect, Input, KeptRoom, Key, Room, RoomItem, Tally, View};
use papaya::HashMap;
use parking_lot::Mutex;
use stanza::{
    Address, Condition, ErrorKind, IqType, Kind, MessageType, Parcel, PresenceType, Stanza, StanzaError,
};
use stream_management::Receipt;
use turns::{
    CommitFailed, CommitId, Death, Gone, Limits, LoadFailure, Priority, Refusal, Slot, Worker, World,
};

use crate::at_host::wish_to_domain;
use crate::counters::Counter;
use crate::makers::Makers;
use crate::router::{Destination, Router, clear, in_order, settle};
use crate::store::{Done, StoreError, WhichRooms};
use crate::surroundings::Alarm;
use crate::world::Dice;

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

    /// XEP-0045 §6.3: the rooms that are listed, whether anybody is in them or not.
    fn list_rooms_for(self: &Arc<Self>, asked: Parcel) {
        let Some(host) = asked.to().map(|to| to.domainpart().to_owned()) else {
            return;
        };
        let router = Arc::clone(self);
        let max = self.settings.load().muc.listed_max;
        let which = WhichRooms::Listed {
            host: host.clone(),
            // One more tells that there are more.
            max: max.saturating_add(1),
        };
        let done = move |outcome: Result<Vec<(Address, muc::RoomRow)>, StoreError>| {
            router.work(|worker| match &outcome {
                Ok(rows) => {
                    let stored = rows
                        .iter()
                        .map(|(address, row)| (address.clone(), row.title.clone()));
                    let slots = router.rooms.slots.pin();
                    let here = slots.values().filter(|slot| slot.key().domainpart() == host);
                    let live = here.filter_map(|slot| {
                        let title = slot.look(Room::title_for_now).flatten()?;
                        Some((slot.key().clone(), title))
                    });
                    let all: BTreeMap<Address, String> = stored.chain(live).collect();
                    let all = all.into_iter();
                    let all: Vec<RoomItem> = all.map(|(address, name)| RoomItem { address, name }).collect();
                    let query = asked.stanza().payload().map(|payload| payload.to_tree());
                    let Some(query) = query else { return };
                    match muc::list_of_rooms(&query, &all, max) {
                        Ok(list) => {
                            let answer = asked.stanza().result(&list.to_bytes(""));
                            router.route(Parcel::new(answer), None, worker);
                        }
                        Err(error) => router.bounce(&asked, error, None, worker),
                    }
                }
                Err(error) => router.bounce(&asked, of_store(*error), None, worker),
            });
        };
        self.store.list_rooms(which, Box::new(done));
    }

    /// A stanza to the service itself (XEP-0045 §6).
    pub(crate) fn at_service(self: &Arc<Self>, parcel: &Parcel, worker: &mut Worker) {
        let stanza = parcel.stanza();
        match stanza.kind() {
            Kind::Iq(kind @ (IqType::Get | IqType::Set)) => {
                let Some(payload) = stanza.payload().map(|payload| payload.to_tree()) else {
                    return;
                };
                if muc::asks_for_rooms(&payload, kind == IqType::Set) {
                    self.list_rooms_for(parcel.clone());
                    return;
                }
                let mut dice = Dice(&*self.surroundings);
                let is_set = kind == IqType::Set;
                let settings = self.settings.load();
                match muc::answer_for_service(&payload, is_set, &settings.muc, &mut dice) {
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
                    Err(error) => self.bounce(parcel, error, None, worker),
                }
            }
            Kind::Presence(PresenceType::Available) => match wish_to_domain(parcel) {
                Some(decloak) => self.show_domain(parcel, decloak, worker),
                // Somebody wants to enter, but no room is named.
                None => self.bounce(parcel, Condition::ServiceUnavailable, None, worker),
            },
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
            | Kind::Message(_) => {}
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
        let (now, wall) = self.surroundings.times();
        decide(&mut Context {
            now,
            wall,
            random: &mut dice,
            settings: &settings.muc,
        })
    }

    fn commit(&self, slot: &Arc<RoomSlot>, id: CommitId, changes: Vec<Change>, _worker: &mut Worker) {
        let slot = Arc::clone(slot);
        self.store.commit_room(
            slot.key().clone(),
            changes,
            Box::new(move |outcome| {
                let router = Arc::clone(slot.world());
                router.work(|worker| slot.committed(id, outcome.map_err(|_| CommitFailed), worker));
            }),
        );
    }

    fn perform(&self, slot: &Arc<RoomSlot>, effect: Effect, worker: &mut Worker) {
        match effect {
            Effect::Route(parcel, receipt) => slot.world().route(parcel, receipt, worker),
            Effect::Settle(receipt) => receipt.settle(),
            Effect::Kept(_, receipt) => settle(receipt),
            Effect::CountRooms(creator) => slot.world().count_rooms(slot, creator),
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
                slot.world().count_of_rooms(service, tally);
            }
            Effect::CountError(kind, condition) => self.counters.add(Counter::Errors(kind, condition), 1),
        }
    }

    /// What would have followed a commit that failed is taken back: whoever waits for it may try again. Everybody in the
    /// room learns that the room is lost ([`Room::farewell`]), so that nothing else need be told of what was said.
    fn abandon(&self, slot: &Arc<RoomSlot>, effect: Effect, worker: &mut Worker) {
        let router = slot.world();
        let error = of_store(StoreError::Unavailable);
        match effect {
            Effect::Route(parcel, receipt) => {
                match parcel.stanza().kind() {
                    // It would have said that something is kept. Who asked is its recipient.
                    Kind::Iq(IqType::Result) if parcel.from().is_some_and(Address::is_bare) => {
                        let mut payload = Vec::new();
                        error.write(&mut payload);
                        let id = parcel.stanza().id();
                        let kind = Kind::Iq(IqType::Error);
                        self.counters.add(Counter::Errors(kind, error.condition), 1);
                        let answer = Stanza::build(kind, parcel.from(), parcel.to(), id.as_deref(), &payload);
                        router.route(Parcel::new(answer), None, worker);
                    }
                    // One occupant asked another.
                    Kind::Iq(IqType::Get | IqType::Set) => router.bounce(&parcel, error, None, worker),
                    // They say what did not happen, or who is out: as true as before.
                    Kind::Iq(IqType::Result | IqType::Error)
                    | Kind::Message(MessageType::Error)
                    | Kind::Presence(PresenceType::Error | PresenceType::Unavailable) => {
                        router.route(parcel, receipt, worker);
                        return;
                    }
                    Kind::Message(
                        MessageType::Chat
                        | MessageType::Groupchat
                        | MessageType::Headline
                        | MessageType::Normal,
                    )
                    | Kind::Presence(
                        PresenceType::Available
                        | PresenceType::Probe
                        | PresenceType::Subscribe
                        | PresenceType::Subscribed
                        | PresenceType::Unsubscribe
                        | PresenceType::Unsubscribed,
                    ) => {}
                }
                settle(receipt);
            }
            Effect::Kept(parcel, receipt) => router.bounce(&parcel, error, receipt, worker),
            Effect::Settle(receipt) => receipt.settle(),
            Effect::Answer(answer) => answer.give(),
            // The room that is loaded anew has nobody in it whom it could watch over.
            Effect::Watch(domain) | Effect::Unwatch(domain) => router.unwatch(slot.key(), &domain, worker),
            // These concerned only the machine that is gone.
            Effect::WakeAt(..)
            | Effect::Learn(..)
            | Effect::Count(_)
            | Effect::CountError(..)
            | Effect::CountRooms(_) => {}
        }
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
                // Nobody is in a room that could not be loaded, or died; whoever leaves it has left.
                if is_goodbye(&parcel) && why != Refusal::Full {
                    settle(receipt);
                } else {
                    slot.world().bounce(&parcel, error, receipt, worker);
                }
            }
            Input::Undelivered { receipt, .. } => settle(receipt),
            // They believe to be in it.
            Input::Admin(AdminRequest::GoOn { kept, .. }) => {
                for parcel in kept.farewell() {
                    slot.world().route(parcel, None, worker);
                }
            }
            // Whoever waits for an answer sees that there will be none; the rest concerned a room that is gone.
            Input::Admin(_) | Input::Counted(_) | Input::Path { .. } | Input::Renewed(_) | Input::Wake(_) => {
            }
        }
    }

    fn bury(&self, slot: &Arc<RoomSlot>, mut room: Box<Room>, worker: &mut Worker) {
        for (parcel, receipt) in room.take_held() {
            let error = of_store(StoreError::Unavailable);
            slot.world().bounce(&parcel, error, receipt, worker);
        }
        for parcel in room.farewell() {
            slot.world().route(parcel, None, worker);
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
