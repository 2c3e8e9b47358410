//! Rooms for the operator: what is asked of them, and their figures.

use std::collections::BTreeMap;
use std::sync::Arc;

use muc::{AdminRequest, DegradedEnd, Removal, Tally, View, Whereabouts};
use presence::State;
use router::Router;
use stanza::Address;
use tokio::sync::oneshot;

use super::administration::ask;
use crate::admin::{Outcome, Refusal, RefusalKind, Reply, Room};
use crate::metrics::Families;

pub(super) async fn list(router: &Arc<Router>) -> Outcome {
    let rooms = ask(|done| router.all_rooms(done)).await?;
    Ok(Reply::Rooms {
        rooms: rooms.into_iter().map(told).collect(),
    })
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

/// Rooms, who is in them, and what became of those who were, by the services of `[muc]`.
pub(super) fn rows(families: &mut Families, router: &Router) {
    let settings = router.settings();
    let services = &settings.muc.services;
    let stored = router.stored_rooms();
    let stored = |service: &str| stored.get(service).copied().unwrap_or_default();
    let mut counts: BTreeMap<&str, [usize; 5]> = services
        .iter()
        .map(|service| (service.as_str(), [0, stored(service), 0, 0, 0]))
        .collect();
    for view in router.rooms() {
        // A service that a reload has taken away is told no more.
        if let Some([rooms, idle, present, unreachable, paused]) = counts.get_mut(view.address.domainpart()) {
            *rooms += 1;
            *idle = idle.saturating_sub(usize::from(view.persistent));
            *present += view.occupants - view.unreachable - view.paused;
            *unreachable += view.unreachable;
            *paused += view.paused;
        }
    }
    let mut rows = families.gauge(
        "xmpp_muc_rooms",
        "Rooms, by the service that they are at; hibernated are those that nobody is in, and that are not in memory.",
    );
    for (service, [rooms, idle, ..]) in &counts {
        rows.row(&[("service", service), ("state", "active")], *rooms as u64);
        rows.row(&[("service", service), ("state", "hibernated")], *idle as u64);
    }
    let mut rows = families.gauge(
        "xmpp_muc_occupants",
        "Those who are in rooms; degraded are those whose server or whose client cannot be reached for now.",
    );
    for (service, [_, _, present, unreachable, paused]) in &counts {
        for (state, amount) in [
            ("present", present),
            ("degraded_s2s", unreachable),
            ("degraded_paused", paused),
        ] {
            rows.row(&[("service", service), ("state", state)], *amount as u64);
        }
    }
    let figures = router.room_figures();
    let count = |service: &str, tally| {
        let count = figures.get(&(service.to_owned(), tally));
        count.copied().unwrap_or_default()
    };
    let mut rows = families.counter(
        "xmpp_muc_degraded_transitions_total",
        "Occupants that were out of reach, by how that ended.",
    );
    for service in services {
        for (end, what) in [
            ("returned", DegradedEnd::Returned),
            ("expired", DegradedEnd::Expired),
            ("left", DegradedEnd::Left),
        ] {
            let labels = [("service", service.as_str()), ("end", end)];
            rows.row(&labels, count(service, Tally::Degraded(what)));
        }
    }
    let mut rows = families.counter(
        "xmpp_muc_removals_total",
        "Occupants that are no longer in a room.",
    );
    for service in services {
        for (cause, what) in [
            ("leave", Removal::Leave),
            ("kick", Removal::Kick),
            ("ban", Removal::Ban),
            ("error333", Removal::Error),
            ("shutdown332", Removal::Shutdown),
        ] {
            let labels = [("service", service.as_str()), ("cause", cause)];
            rows.row(&labels, count(service, Tally::Removed(what)));
        }
    }
    let mut rows = families.counter(
        "xmpp_muc_selfping_total",
        "Questions of clients whether they are still in a room (XEP-0410), by the answer.",
    );
    for service in services {
        for (result, joined) in [("joined", true), ("not_joined", false)] {
            let labels = [
                ("service", service.as_str()),
                ("side", "client"),
                ("result", result),
            ];
            rows.row(&labels, count(service, Tally::SelfPing(joined)));
        }
    }
}

/// Annotations that rooms have sent, by condition and scope, which stand in one family with those of accounts.
pub(super) fn annotations(router: &Router) -> [(&'static str, &'static str, u64); 6] {
    let figures = router.room_figures();
    let sum = |state, whereabouts| {
        let of_state = figures
            .iter()
            .filter(|((_, tally), _)| *tally == Tally::Annotated(state, whereabouts));
        of_state.map(|(_, count)| count).sum()
    };
    let (lost, paused) = (Some(State::ServerUnavailable), Some(State::ConnectionPaused));
    let (here, elsewhere) = (Whereabouts::Here, Whereabouts::Elsewhere);
    [
        ("server_unavailable", "local", sum(lost, here)),
        ("server_unavailable", "remote", sum(lost, elsewhere)),
        ("connection_paused", "local", sum(paused, here)),
        ("connection_paused", "remote", sum(paused, elsewhere)),
        ("cleared", "local", sum(None, here)),
        ("cleared", "remote", sum(None, elsewhere)),
    ]
}

fn told(view: View) -> Room {
    Room {
        room: view.address.to_string(),
        name: view.name,
        public: view.public,
        members_only: view.members_only,
        moderated: view.moderated,
        password_protected: view.protected,
        persistent: view.persistent,
        creator: view.creator.map(|creator| creator.to_string()),
        occupants: view.occupants,
        clients: view.clients,
        unreachable: view.unreachable,
        paused: view.paused,
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
