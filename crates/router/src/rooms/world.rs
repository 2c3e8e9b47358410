//! The router as the world of rooms: what becomes of what they want to happen.

use std::sync::{Arc, Weak};

use machine::Context;
use muc::{AdminRequest, Change, Effect, Input, Key, Room};
use stanza::{
    Address, Condition, ErrorKind, IqType, Kind, MessageType, Parcel, PresenceType, Stanza, StanzaError,
};
use turns::{CommitFailed, CommitId, Death, Limits, Priority, Refusal, Worker, World};

use super::{RoomSlot, is_goodbye, of_store};
use crate::counters::Counter;
use crate::router::{Destination, Router, settle};
use crate::store::StoreError;
use crate::surroundings::Alarm;
use crate::world::Dice;

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
