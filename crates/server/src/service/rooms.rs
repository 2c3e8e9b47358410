//! Rooms for the operator: what is asked of them, and their figures.

use std::collections::BTreeMap;
use std::sync::Arc;

use muc::{AdminRequest, View};
use router::Router;
use stanza::Address;
use tokio::sync::oneshot;

use crate::admin::{Outcome, Refusal, RefusalKind, Reply, Room};
use crate::metrics::Families;

pub(super) fn list(router: &Router) -> Reply {
    Reply::Rooms {
        rooms: router.rooms().into_iter().map(told).collect(),
    }
}

pub(super) async fn show(router: &Arc<Router>, room: &str) -> Outcome {
    let address = address(router, room)?;
    let (tell, told_view) = oneshot::channel();
    let answer = move |view| {
        // Whoever asked may be gone.
        let _ = tell.send(view);
    };
    router.ask_room(&address, AdminRequest::Show(Box::new(answer)));
    match told_view.await {
        Ok(Some(view)) => Ok(Reply::Rooms {
            rooms: vec![told(view)],
        }),
        Ok(None) => Err(missing(&address)),
        Err(_) => Err(silent(&address)),
    }
}

pub(super) async fn destroy(router: &Arc<Router>, room: &str, reason: Option<String>) -> Outcome {
    let address = address(router, room)?;
    let (tell, existed) = oneshot::channel();
    let answer = move |existed| {
        // Whoever asked may be gone.
        let _ = tell.send(existed);
    };
    router.ask_room(&address, AdminRequest::Destroy(reason, Box::new(answer)));
    match existed.await {
        Ok(true) => Ok(Reply::Done),
        Ok(false) => Err(missing(&address)),
        Err(_) => Err(silent(&address)),
    }
}

/// Rooms, and who is in them, by the services of `[muc]`.
pub(super) fn rows(families: &mut Families, router: &Router) {
    let settings = router.settings();
    let mut counts: BTreeMap<&str, (u64, u64)> = settings
        .muc
        .services
        .iter()
        .map(|service| (service.as_str(), (0, 0)))
        .collect();
    for view in router.rooms() {
        // A service that a reload has taken away is told no more.
        if let Some((rooms, occupants)) = counts.get_mut(view.address.domainpart()) {
            *rooms += 1;
            *occupants += view.occupants as u64;
        }
    }
    let mut rows = families.gauge("xmpp_muc_rooms", "Rooms, by the service that they are at.");
    for (service, (rooms, _)) in &counts {
        rows.row(&[("service", service), ("state", "active")], *rooms);
        // A room that nobody is in is gone.
        rows.row(&[("service", service), ("state", "hibernated")], 0_u64);
    }
    let mut rows = families.gauge("xmpp_muc_occupants", "Those who are in rooms.");
    for (service, (_, occupants)) in &counts {
        rows.row(&[("service", service), ("state", "present")], *occupants);
        // Occupants are not yet marked while the path to them is broken.
        for state in ["degraded_s2s", "degraded_paused"] {
            rows.row(&[("service", service), ("state", state)], 0_u64);
        }
    }
}

fn told(view: View) -> Room {
    Room {
        room: view.address.to_string(),
        name: view.name,
        public: view.public,
        members_only: view.members_only,
        moderated: view.moderated,
        password_protected: view.protected,
        occupants: view.occupants,
        clients: view.clients,
    }
}

/// The address of a room of this server.
fn address(router: &Router, room: &str) -> Result<Address, Refusal> {
    let bad = |why: String, advice: &str| Refusal::new(RefusalKind::BadRequest, why, advice);
    let address = Address::parse(room).map_err(|error| bad(format!("{room}: {error}"), ""))?;
    if address.localpart().is_none() || address.resourcepart().is_some() {
        return Err(bad(
            format!("{room} is not the address of a room"),
            "It looks like garden@rooms.montague.lit.",
        ));
    }
    let settings = router.settings();
    if !settings
        .muc
        .services
        .iter()
        .any(|service| service == address.domainpart())
    {
        return Err(bad(
            format!("{} is no room service of this server", address.domainpart()),
            "Room services stand in muc.services.",
        ));
    }
    Ok(address)
}

fn missing(room: &Address) -> Refusal {
    Refusal::new(
        RefusalKind::NotFound,
        format!("there is no room {room}"),
        "balcony room list shows all of them.",
    )
}

fn silent(room: &Address) -> Refusal {
    Refusal::new(
        RefusalKind::Failed,
        format!("{room} did not answer"),
        "The log of the server says more.",
    )
}
