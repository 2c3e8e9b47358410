//! What the router answers for the services that rooms live at (XEP-0045 §6).

use std::collections::BTreeMap;
use std::sync::Arc;

use muc::{Room, RoomItem};
use stanza::{Address, Condition, IqType, Kind, Parcel, PresenceType, Stanza};
use turns::Worker;

use super::of_store;
use crate::at_host::wish_to_domain;
use crate::router::Router;
use crate::store::{StoreError, WhichRooms};
use crate::world::Dice;

impl Router {
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
