//! The rows that the running server tells at a scrape.

use std::sync::Arc;

use account::{DropReason, PauseEnd, PrivacyTally, Redelivered, RosterOperation};
use parking_lot::Mutex;
use router::{Counter, Counters, Direction, ResumeResult, Resumptions, Router, Scope};
use stanza::{Condition, IqType, Kind, MessageType, PresenceType};
use storage::{Database, Operation};
use transport::tls::Certificates;
use transport::{Clients, Group, Limit, Servers, System};

use super::{peers, presence_figures, rooms};
use crate::config::Configuration;
use crate::metrics::{Families, Registry};

/// Who is asked at a scrape.
pub(super) struct Sources<'s> {
    pub(super) router: &'s Arc<Router>,
    pub(super) clients: &'s Arc<Clients>,
    pub(super) servers: &'s Arc<Servers>,
    pub(super) certificates: &'s Arc<Certificates>,
    pub(super) store: &'s Arc<Database>,
    pub(super) system: &'s System,
}

/// Registers all of them.
pub(super) fn register(registry: &Registry, sources: &Sources<'_>, configuration: &Configuration) {
    let Sources {
        router,
        clients,
        servers,
        certificates,
        store,
        system,
    } = *sources;
    let (for_stanzas, for_sessions) = (Arc::clone(router), Arc::clone(router));
    let for_peers = Arc::clone(router);
    let named = configuration.metrics.peers.iter();
    let named = named.map(|peer| peer.as_str().to_owned()).collect();
    let peers_told = Mutex::new(peers::Peers::new(named));
    registry.register(move |families| peers::rows(families, &for_peers, &peers_told));
    let for_rooms = Arc::clone(router);
    registry.register(move |families| rooms::rows(families, &for_rooms));
    registry.register(move |families| stanzas(families, &for_stanzas));
    let for_presence = Arc::clone(router);
    registry.register(move |families| presence_figures::rows(families, &for_presence));
    let clients = Arc::clone(clients);
    let servers = Arc::clone(servers);
    registry.register(move |families| sessions(families, &for_sessions, &clients, &servers));
    let for_resumptions = Arc::clone(router);
    registry.register(move |families| resumptions(families, for_resumptions.resumptions()));
    let certificates = Arc::clone(certificates);
    let listeners = listeners_with_tls(configuration);
    registry.register(move |families| expiry(families, &certificates, &listeners));
    let system = system.clone();
    registry.register(move |families| polls(families, &system));
    let store = Arc::clone(store);
    registry.register(move |families| storage(families, &store));
}

/// One kind of each name; the type does not matter for what is counted.
pub(super) const KINDS: [(&str, Kind); 3] = [
    ("message", Kind::Message(MessageType::Normal)),
    ("presence", Kind::Presence(PresenceType::Available)),
    ("iq", Kind::Iq(IqType::Get)),
];

const DIRECTIONS: [(Direction, &str); 2] = [(Direction::In, "in"), (Direction::Out, "out")];
const SCOPES: [(Scope, &str); 3] = [
    (Scope::Local, "local"),
    (Scope::Remote, "remote"),
    (Scope::Component, "component"),
];

fn stanzas(families: &mut Families, router: &Router) {
    let counters = router.counters();
    passing(families, counters);
    let mut rows = families.counter(
        "xmpp_stanza_errors_total",
        "Stanzas that this server answered with an error.",
    );
    for (kind, any) in KINDS {
        for condition in Condition::ALL {
            let count = counters.get(Counter::Errors(any, *condition));
            if count > 0 {
                rows.row(&[("kind", kind), ("condition", condition.as_str())], count);
            }
        }
    }
    let mut rows = families.counter(
        "xmpp_router_dropped_total",
        "Stanzas that a rule ended in silence.",
    );
    for (reason, name) in [
        (DropReason::DeliveryRule, "delivery_rule"),
        (DropReason::Privacy, "privacy"),
        (DropReason::Strangers, "strangers"),
        (DropReason::Answer, "answer"),
    ] {
        rows.row(&[("reason", name)], counters.get(Counter::Dropped(reason)));
    }
    decisions(families, counters);
}

/// What passes the border of the server.
fn passing(families: &mut Families, counters: &Counters) {
    let mut rows = families.counter(
        "xmpp_stanzas_total",
        "Stanzas from and to clients, other domains and components.",
    );
    let hosts = counters.hosts();
    for (place, host) in hosts.iter().enumerate() {
        for (scope, scope_name) in SCOPES {
            for (direction, direction_name) in DIRECTIONS {
                for (kind, any) in KINDS {
                    let count = counters.passed(place, scope, direction, any);
                    // A row that begins later than with 0 hides its first increase; components are rare, and so is
                    // anything of domains that are not served here.
                    let is_usual = scope != Scope::Component && place + 1 < hosts.len();
                    if count > 0 || is_usual {
                        let labels = [
                            ("vhost", *host),
                            ("direction", direction_name),
                            ("kind", kind),
                            ("scope", scope_name),
                        ];
                        rows.row(&labels, count);
                    }
                }
            }
        }
    }
    let mut rows = families.histogram("xmpp_stanza_bytes", "The sizes of these stanzas.");
    for (direction, name) in DIRECTIONS {
        for (kind, any) in KINDS {
            let labels = [("direction", name), ("kind", kind)];
            rows.observations(&labels, &counters.sizes(direction, any));
        }
    }
    let mut rows = families.histogram(
        "xmpp_stanza_processing_seconds",
        "From the entry of a client's stanza to the first mailbox, of one stanza in 64.",
    );
    for (kind, any) in KINDS {
        rows.observations(&[("kind", kind), ("stage", "route")], &counters.times(any));
    }
}

/// What the door and the rosters of accounts did.
fn decisions(families: &mut Families, counters: &Counters) {
    let mut rows = families.counter(
        "xmpp_privacy_decisions_total",
        "Answers of privacy lists and blocklists, for users who have any; one stanza may be asked about more than once.",
    );
    for tally in PrivacyTally::ALL {
        let (list, direction, passes) = tally.parts();
        let labels = [
            ("list", list.as_str()),
            ("direction", direction.as_str()),
            ("decision", if passes { "allow" } else { "deny" }),
        ];
        rows.row(&labels, counters.get(Counter::Privacy(tally)));
    }
    let mut rows = families.counter(
        "xmpp_roster_operations_total",
        "What clients wanted of their rosters and subscriptions.",
    );
    for operation in RosterOperation::ALL {
        let labels = [
            ("op", operation.verb.as_str()),
            ("result", if operation.done { "ok" } else { "error" }),
        ];
        rows.row(&labels, counters.get(Counter::Roster(operation)));
    }
}

fn sessions(families: &mut Families, router: &Router, clients: &Clients, servers: &Servers) {
    let mut rows = families.gauge("xmpp_sessions", "Bound resources; of those that are closing the stream has ended, and the client may take the last word.");
    let (by_host, groups) = (router.sessions_by_host(), clients.groups());
    for (host, sessions) in &by_host {
        let is_here = |group: &&Group| *group.host == **host;
        let closing = groups.iter().filter(is_here).map(|group| group.closing).sum();
        for (state, count) in [
            ("active", sessions.sessions.active),
            ("paused_sm", sessions.sessions.paused_management),
            ("paused_bosh", sessions.sessions.paused_bosh),
            ("closing", closing),
        ] {
            rows.row(&[("vhost", host), ("state", state)], count);
        }
    }
    let mut rows = families.gauge(
        "xmpp_sm_unacked_stanzas",
        "Stanzas that wait for clients or are not acknowledged by them.",
    );
    for (host, sessions) in &by_host {
        rows.row(&[("vhost", host)], sessions.unacknowledged_stanzas);
    }
    let mut rows = families.gauge("xmpp_sm_unacked_bytes", "The bytes of these stanzas.");
    for (host, sessions) in &by_host {
        rows.row(&[("vhost", host)], sessions.unacknowledged_bytes);
    }
    let mut rows = families.gauge(
        "xmpp_c2s_connections",
        "Open connections of clients, and sessions over BOSH; without a host those that have not said where they want to.",
    );
    for one in &groups {
        for (state, count) in [
            ("preauth", one.unauthenticated),
            ("authenticated", one.authenticated + one.closing),
        ] {
            // Nobody logs in without a host.
            if state == "preauth" || !one.host.is_empty() {
                let labels = [
                    ("vhost", &*one.host),
                    ("transport", one.transport),
                    ("state", state),
                ];
                rows.row(&labels, count);
            }
        }
    }
    let mut rows = families.counter("xmpp_auth_attempts_total", "Logins that came to an end.");
    for (labels, count) in clients.logins() {
        rows.row(
            &[
                ("vhost", &labels.host),
                ("mechanism", labels.mechanism),
                ("result", labels.result),
            ],
            count,
        );
    }
    let (bosh, paused) = clients.bosh_sessions();
    let mut rows = families.gauge("xmpp_bosh_sessions", "Sessions over BOSH.");
    rows.row(&[("state", "active")], bosh.saturating_sub(paused) as u64);
    rows.row(&[("state", "paused")], paused as u64);
    let mut rows = families.counter(
        "xmpp_bosh_requests_total",
        "Requests of BOSH, by what became of them.",
    );
    for (result, count) in clients.bosh_requests() {
        rows.row(&[("result", result)], count);
    }
    let mut rows = families.counter(
        "xmpp_limits_rejected_total",
        "How often a limit has refused a client or another server.",
    );
    for (name, limit) in Limit::ALL {
        rows.row(
            &[("limit", name)],
            clients.rejected(limit) + servers.rejected(limit),
        );
    }
    families
        .gauge("xmpp_accounts_in_memory", "Accounts that are held in memory.")
        .row(&[], router.accounts_in_memory() as u64);
}

fn resumptions(families: &mut Families, resumptions: &Resumptions) {
    let mut rows = families.counter(
        "xmpp_sm_resume_total",
        "Clients that wanted to go on with an earlier session.",
    );
    for (result, name) in [
        (ResumeResult::Ok, "ok"),
        (ResumeResult::Expired, "expired"),
        (ResumeResult::Unknown, "unknown"),
        (ResumeResult::Auth, "auth"),
    ] {
        rows.row(&[("result", name)], resumptions.results(result));
    }
    let mut rows = families.histogram("xmpp_sm_pause_seconds", "How long sessions waited to be resumed.");
    for (end, name) in [
        (PauseEnd::Resumed, "resumed"),
        (PauseEnd::Expired, "expired"),
        (PauseEnd::Replaced, "replaced"),
    ] {
        if let Some(times) = resumptions.pauses(end) {
            rows.observations(&[("end", name)], &times);
        }
    }
    let mut rows = families.counter(
        "xmpp_sm_redelivered_total",
        "Stanzas that went elsewhere, or again, because a client had not acknowledged them.",
    );
    for (whereto, name) in [
        (Redelivered::Client, "client"),
        (Redelivered::Offline, "offline"),
        (Redelivered::Bounced, "bounced"),
    ] {
        rows.row(&[("to", name)], resumptions.redelivered(whereto));
    }
}

/// The listeners that show certificates. They change by a restart only.
fn listeners_with_tls(configuration: &Configuration) -> Vec<&'static str> {
    let Configuration { c2s, s2s, http, .. } = configuration;
    let all = [
        ("c2s", &c2s.listen),
        ("c2s_tls", &c2s.listen_tls),
        ("s2s", &s2s.listen),
        ("s2s_tls", &s2s.listen_tls),
        ("https", &http.listen_tls),
    ];
    let used = all.into_iter().filter(|(_, addresses)| !addresses.is_empty());
    used.map(|(listener, _)| listener).collect()
}

fn expiry(families: &mut Families, certificates: &Certificates, listeners: &[&'static str]) {
    let mut rows = families.gauge(
        "xmpp_tls_certificate_expiry_timestamp_seconds",
        "When the certificate expires that is shown to those who ask for a name.",
    );
    for expiry in certificates.expiry() {
        for listener in listeners {
            rows.row(
                &[("name", &expiry.name), ("listener", listener)],
                expiry.not_after.as_secs(),
            );
        }
    }
}

fn polls(families: &mut Families, system: &System) {
    let mut rows = families.histogram(
        "xmpp_task_poll_seconds",
        "How long a worker was at one connection, or at the turns of machines, of one time in 16.",
    );
    for (worker, observed) in system.polls().iter().enumerate() {
        rows.observations(&[("worker", &worker.to_string())], observed);
    }
}

fn storage(families: &mut Families, store: &Database) {
    let figures = store.figures();
    let mut rows = families.histogram(
        "xmpp_storage_operation_seconds",
        "What the store was asked, and how long it took.",
    );
    for operation in Operation::ALL {
        if let Some(times) = figures.times(operation) {
            let labels = [("op", operation.as_str()), ("backend", figures.backend)];
            rows.observations(&labels, &times.took);
        }
    }
    let mut rows = families.counter(
        "xmpp_storage_operation_errors_total",
        "Operations of the store that failed.",
    );
    for operation in Operation::ALL {
        let labels = [("op", operation.as_str()), ("backend", figures.backend)];
        rows.row(&labels, figures.times(operation).map_or(0, |times| times.errors));
    }
}
