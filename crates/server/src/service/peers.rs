//! The rows about other domains. A domain has a label of its own if `metrics.peers` names it, or if it is among the first
//! that a link was up with.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use router::{LinkFigures, PeerFigures, Router};
use s2s::link::{StateName, View};
use s2s::{Method, Pair};
use stanza::{Address, Condition};

use crate::metrics::Families;

/// The label of all other domains.
const OTHER: &str = "other";

const STATES: [&str; 5] = ["connecting", "up", "idle", "suspect", "down"];

/// Why a link got worse, as [`s2s::link::Cause::label`] says it.
const REASONS: [&str; 8] = [
    "dns",
    "tcp",
    "tls",
    "certificate",
    "authentication",
    "timeout",
    "remote_closed",
    "policy",
];

/// So many other domains have rows of their own without being named in `metrics.peers`.
const UNNAMED_MAX: usize = 50;

/// The domains with rows of their own. Who is among them stays among them, so that no row ends while the server runs.
pub(super) struct Peers {
    all: BTreeSet<String>,
    unnamed: usize,
}

impl Peers {
    /// Those of `metrics.peers`.
    pub(super) fn new(named: BTreeSet<String>) -> Peers {
        Peers {
            all: named,
            unnamed: 0,
        }
    }

    /// The first others that a link was up with come in addition: a stranger who only knocks takes no place.
    fn with(&mut self, views: &[View]) -> BTreeSet<String> {
        for view in views.iter().filter(|view| view.state == StateName::Up) {
            let remote = view.pair.remote.as_str();
            if self.unnamed < UNNAMED_MAX && !self.all.contains(remote) {
                self.all.insert(remote.to_owned());
                self.unnamed += 1;
            }
        }
        self.all.clone()
    }
}

/// What is told at a scrape.
pub(super) fn rows(families: &mut Families, router: &Router, peers_told: &Mutex<Peers>) {
    let views = router.links();
    let named = &peers_told.lock().with(&views);
    links(families, &views, &router.link_methods());
    peers(families, &views, named);
    queues(families, &views, named);
    let mut figures = router.link_figures();
    // What has not happened yet is told too: else the first time would not be seen as a change.
    for to in ["up", "idle"] {
        figures.changes.entry((to, "")).or_default();
    }
    for reason in REASONS {
        for to in ["suspect", "down"] {
            figures.changes.entry((to, reason)).or_default();
        }
    }
    for condition in [Condition::RemoteServerNotFound, Condition::RemoteServerTimeout] {
        figures.bounced.entry(condition.as_str()).or_default();
    }
    let mut rows = families.counter(
        "xmpp_s2s_state_changes_total",
        "Changes of links to other domains; a reason is given for those to the worse.",
    );
    for ((to, reason), count) in &figures.changes {
        rows.row(&[("to", to), ("reason", reason)], *count);
    }
    let mut rows = families.counter(
        "xmpp_s2s_bounced_total",
        "Stanzas to other domains that went back to their senders.",
    );
    for (condition, count) in &figures.bounced {
        rows.row(&[("condition", condition)], *count);
    }
    reach(families, &figures.peers, named);
    exchanges(families, &figures.peers, named);
    handshakes(families, &figures);
}

/// How often we tried to reach domains, and how long they could not be reached.
fn reach(families: &mut Families, peers: &BTreeMap<Option<Address>, PeerFigures>, named: &BTreeSet<String>) {
    let mut attempts: BTreeMap<(&str, &str, &str), u64> =
        BTreeMap::from([((OTHER, "ok", "established"), 0), ((OTHER, "failed", "tcp"), 0)]);
    let mut unavailable: BTreeMap<&str, f64> = BTreeMap::from([(OTHER, 0.0)]);
    for (domain, figures) in peers {
        let domain = domain.as_ref().map(Address::as_str);
        let peer = domain.filter(|domain| named.contains(*domain)).unwrap_or(OTHER);
        for ((result, step), count) in &figures.attempts {
            *attempts.entry((peer, result, step)).or_default() += count;
        }
        *unavailable.entry(peer).or_default() += figures.unavailable.as_secs_f64();
    }
    let mut rows = families.counter(
        "xmpp_s2s_connect_attempts_total",
        "Attempts to reach another domain, and the step that the last connection came to.",
    );
    for ((peer, result, step), count) in attempts {
        rows.row(&[("peer", peer), ("result", result), ("step", step)], count);
    }
    let mut rows = families.counter(
        "xmpp_s2s_unavailable_seconds_total",
        "How long a domain that was reached before could not be.",
    );
    for (peer, seconds) in unavailable {
        rows.row(&[("peer", peer)], seconds as u64);
    }
}

/// When each domain was heard last, and how fast its server answers.
fn exchanges(
    families: &mut Families,
    peers: &BTreeMap<Option<Address>, PeerFigures>,
    named: &BTreeSet<String>,
) {
    let of_named = || {
        let known = peers
            .iter()
            .filter_map(|(domain, figures)| Some((domain.as_ref()?, figures)));
        let known = known.map(|(domain, figures)| (domain.as_str(), figures));
        known.filter(|(domain, _)| named.contains(*domain))
    };
    let mut rows = families.gauge(
        "xmpp_s2s_last_exchange_timestamp_seconds",
        "When a stanza, an acknowledgement or the answer to a ping came last from this domain.",
    );
    for (domain, figures) in of_named() {
        if let Some(heard) = figures.heard {
            rows.row(&[("peer", domain)], heard.as_unix_micros() as f64 / 1e6);
        }
    }
    let mut rows = families.histogram(
        "xmpp_s2s_rtt_seconds",
        "Until a server acknowledged what it was sent, or answered a ping; its own time is in it.",
    );
    for (domain, figures) in of_named() {
        rows.observations(&[("peer", domain)], &figures.round_trips.observed());
    }
}

/// `xmpp_s2s_handshake_seconds`.
fn handshakes(families: &mut Families, figures: &LinkFigures) {
    let mut rows = families.histogram(
        "xmpp_s2s_handshake_seconds",
        "From the connection to a domain that is authenticated.",
    );
    for ((direction, auth), times) in &figures.handshakes {
        rows.observations(&[("direction", direction), ("auth", auth)], &times.observed());
    }
}

/// A link counts once for each way that it is used in.
fn links(families: &mut Families, views: &[View], methods: &BTreeMap<Pair, Method>) {
    let mut counts: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for direction in ["out", "in"] {
        for state in STATES.into_iter().filter(|state| *state != "up") {
            counts.insert((direction, state, ""), 0);
        }
        for auth in ["external", "dialback"] {
            counts.insert((direction, "up", auth), 0);
        }
    }
    for view in views {
        let auth = match (view.state, methods.get(&view.pair)) {
            (StateName::Up, Some(Method::External)) => "external",
            (StateName::Up, Some(Method::Dialback | Method::CertificateByDialback)) => "dialback",
            (StateName::Up, Some(Method::ComponentSecret)) => "component",
            (StateName::Up | StateName::Idle | StateName::Suspect | StateName::Down, _) => "",
        };
        let carries = |way: fn(s2s::Ways) -> bool| view.streams.iter().any(|stream| way(stream.ways));
        let (out, into) = (carries(s2s::Ways::sends), carries(s2s::Ways::receives));
        for (direction, is_used) in [("out", out || !into), ("in", into)] {
            if is_used {
                *counts.entry((direction, state(view), auth)).or_default() += 1;
            }
        }
    }
    let mut rows = families.gauge("xmpp_s2s_links", "Links to other domains by their state.");
    for ((direction, state, auth), count) in counts {
        rows.row(
            &[("direction", direction), ("state", state), ("auth", auth)],
            count,
        );
    }
}

fn peers(families: &mut Families, views: &[View], named: &BTreeSet<String>) {
    let mut rows = families.gauge(
        "xmpp_s2s_peer_state",
        "1 for the state that the worst link to this domain is in.",
    );
    for peer in named {
        let worst = views
            .iter()
            .filter(|view| view.pair.remote.as_str() == peer)
            .map(|view| (badness(view.state), state(view)))
            .max();
        let current = worst.map_or("idle", |(_, state)| state);
        for state in STATES {
            rows.row(&[("peer", peer), ("state", state)], u64::from(state == current));
        }
    }
}

fn queues(families: &mut Families, views: &[View], named: &BTreeSet<String>) {
    let mut waiting: BTreeMap<&str, (u64, u64)> = BTreeMap::from([(OTHER, (0, 0))]);
    for view in views {
        let remote = view.pair.remote.as_str();
        let peer = if named.contains(remote) { remote } else { OTHER };
        let (stanzas, bytes) = waiting.entry(peer).or_default();
        *stanzas += view.waiting.0 as u64;
        *bytes += view.waiting.1 as u64;
    }
    let mut rows = families.gauge("xmpp_s2s_queue_stanzas", "Stanzas that wait for another domain.");
    for (peer, (stanzas, _)) in &waiting {
        rows.row(&[("peer", peer)], *stanzas);
    }
    let mut rows = families.gauge("xmpp_s2s_queue_bytes", "Bytes that wait for another domain.");
    for (peer, (_, bytes)) in &waiting {
        rows.row(&[("peer", peer)], *bytes);
    }
}

/// A first attempt is a state of its own here: nothing is known of the domain yet.
fn state(view: &View) -> &'static str {
    if view.connecting && view.state == StateName::Idle {
        "connecting"
    } else {
        view.state.as_str()
    }
}

fn badness(state: StateName) -> u8 {
    match state {
        StateName::Idle => 0,
        StateName::Up => 1,
        StateName::Suspect => 2,
        StateName::Down => 3,
    }
}
