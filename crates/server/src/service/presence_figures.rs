//! The rows of the presence engine: annotations, pokes, decloaking, attention.

use account::{IqPoke, Origin, PresenceCount, PresenceLoad, SelfPing, Suppression, Wish};
use machine::Distribution;
use presence::Decloak;
use router::{AUDIENCE, Counter, Router, Trigger};

use crate::metrics::Families;

/// How a poke can end.
const POKES: [(&str, PresenceCount); 7] = [
    ("present", PresenceCount::PokePresent),
    ("timeout", PresenceCount::PokeTimeout),
    ("forbidden", PresenceCount::PokeForbidden),
    ("no_resource", PresenceCount::PokeNoResource),
    ("unsupported", PresenceCount::PokeUnsupported),
    ("rate_limited", PresenceCount::PokeRateLimited),
    ("error", PresenceCount::PokeError),
];

/// Each value of the labels is told from the start, so that a dashboard finds it. A session that has lost its connection is
/// paused by stream management (`sm`) on any transport; `bosh` is for a pause that a client has asked for.
pub(super) fn rows(families: &mut Families, router: &Router) {
    let count = |count| router.counters().get(Counter::Presence(count));
    let mut rows = families.counter(
        "xmpp_psa_annotations_sent_total",
        "Repeats of presence that say that it may not be true, or that it is again.",
    );
    for (condition, trigger, scope, what) in [
        ("server_unavailable", "s2s", "local", PresenceCount::Unavailable),
        ("cleared", "s2s", "local", PresenceCount::Available),
        ("connection_paused", "sm", "local", PresenceCount::Paused),
        ("cleared", "sm", "local", PresenceCount::Resumed),
        ("connection_paused", "bosh", "local", PresenceCount::Asked),
        ("cleared", "bosh", "local", PresenceCount::Back),
        (
            "connection_paused",
            "sm",
            "remote",
            PresenceCount::PausedElsewhere,
        ),
        ("cleared", "sm", "remote", PresenceCount::ResumedElsewhere),
        (
            "connection_paused",
            "bosh",
            "remote",
            PresenceCount::AskedElsewhere,
        ),
        ("cleared", "bosh", "remote", PresenceCount::BackElsewhere),
    ] {
        let labels = [("condition", condition), ("trigger", trigger), ("scope", scope)];
        rows.row(&labels, count(what));
    }
    for (condition, scope, sent) in super::rooms::annotations(router) {
        let labels = [("condition", condition), ("trigger", "muc"), ("scope", scope)];
        rows.row(&labels, sent);
    }
    let load = router.presence_load();
    let mut rows = families.gauge(
        "xmpp_psa_active_annotations",
        "Presence that clients here were told may not be true, and not yet that it is again.",
    );
    for (condition, trigger, annotations) in [
        ("server_unavailable", "s2s", load.unavailable),
        ("connection_paused", "sm", load.paused),
        ("connection_paused", "bosh", load.paused_by_request),
    ] {
        let labels = [("condition", condition), ("trigger", trigger)];
        rows.row(&labels, annotations as u64);
    }
    let mut rows = families.gauge(
        "xmpp_presence_tracked_entries",
        "Presence of others that is remembered for sessions; of local contacts only what is annotated.",
    );
    rows.row(&[("kind", "local")], load.local as u64);
    rows.row(&[("kind", "remote")], load.remote as u64);
    rows.row(&[("kind", "muc")], load.occupants as u64);
    truth(families, router, load);
    updates(families, router);
    let mut rows = families.counter(
        "xmpp_poke_requests_total",
        "Pokes that were answered: by this server, those of operators among them, or in the other form by clients here.",
    );
    for (outcome, what) in POKES {
        rows.row(&[("source", "presence"), ("outcome", outcome)], count(what));
    }
    let figures = router.presence_figures();
    for (outcome, what) in [
        ("present", IqPoke::Present),
        ("timeout", IqPoke::Timeout),
        ("forbidden", IqPoke::Forbidden),
        ("no_resource", IqPoke::NoResource),
        ("unsupported", IqPoke::Unsupported),
        ("error", IqPoke::Error),
    ] {
        let labels = [("source", "iq"), ("outcome", outcome)];
        rows.row(&labels, figures.pokes_between_clients(what));
    }
    pokes(families, router, load.pokes);
    wishes(families, router, load.directed);
    let mut rows = families.counter(
        "xmpp_attention_total",
        "Calls for attention that this server has judged, by what became of them.",
    );
    for (decision, what) in [
        ("delivered", PresenceCount::AttentionDelivered),
        ("blocked", PresenceCount::AttentionBlocked),
        ("rate_limited", PresenceCount::AttentionRateLimited),
    ] {
        rows.row(&[("decision", decision)], count(what));
    }
}

/// What is not told, when, and to whom it could be.
fn truth(families: &mut Families, router: &Router, load: PresenceLoad) {
    let figures = router.presence_figures();
    let mut rows = families.counter(
        "xmpp_psa_annotations_suppressed_total",
        "Annotations that were not sent; recovered_in_grace counts links and sessions, not copies.",
    );
    for (reason, why) in [
        ("no_support", Suppression::NoSupport),
        ("coalesced", Suppression::Coalesced),
        ("budget", Suppression::Budget),
        ("recovered_in_grace", Suppression::RecoveredInGrace),
        ("unavailable_sent", Suppression::UnavailableSent),
    ] {
        rows.row(&[("reason", reason)], figures.suppressions(why));
    }
    let mut rows = families.histogram(
        "xmpp_psa_event_to_send_seconds",
        "From the loss of a link, or a pause, to its first annotation for the clients of one account.",
    );
    for (trigger, what) in [
        ("s2s", Trigger::Link),
        ("sm", Trigger::StreamManagement),
        ("bosh", Trigger::Bosh),
    ] {
        if let Some(lengths) = figures.event_to_send(what) {
            rows.observations(&[("trigger", trigger)], &lengths);
        }
    }
    let mut rows = families.gauge(
        "xmpp_psa_capable_recipients",
        "Clients that are known to ask for annotations; those elsewhere once for each session that sees them.",
    );
    rows.row(&[("scope", "local")], load.asking);
    rows.row(&[("scope", "remote")], load.asking_elsewhere);
    families
        .gauge(
            "xmpp_psa_storm_deferred",
            "Annotations that wait for their turn (limits.annotations).",
        )
        .row(&[], load.deferred);
    let mut rows = families.counter(
        "xmpp_muc_selfping_total",
        "Questions whether somebody is still in a room (XEP-0410), by the answer.",
    );
    for (result, what) in [
        ("joined", SelfPing::In),
        ("not_joined", SelfPing::Out),
        ("unanswered", SelfPing::Unanswered),
    ] {
        let labels = [("side", "server_probe"), ("result", result)];
        rows.row(&labels, figures.self_pings(what));
    }
}

fn updates(families: &mut Families, router: &Router) {
    let figures = router.presence_figures();
    let settings = router.settings();
    let mut rows = families.counter(
        "xmpp_presence_updates_total",
        "Changes of presence of users of a host, and for them.",
    );
    for host in settings.hosts.domains() {
        for (origin, what) in [
            ("local", Origin::Local),
            ("remote", Origin::Remote),
            ("muc", Origin::Room),
            ("synthetic", Origin::Synthetic),
        ] {
            let labels = [("vhost", host), ("origin", origin)];
            rows.row(&labels, figures.updates(host, what));
        }
    }
    let mut audiences = figures.audiences();
    let mut rows = families.histogram(
        "xmpp_presence_broadcast_fanout",
        "Contacts to whom one change of a user's presence goes.",
    );
    for host in settings.hosts.domains() {
        let audience = audiences
            .remove(host)
            .unwrap_or_else(|| Distribution::of_amounts(&AUDIENCE).observed());
        rows.observations(&[("vhost", host)], &audience);
    }
}

fn pokes(families: &mut Families, router: &Router, in_flight: usize) {
    let figures = router.presence_figures();
    let mut rows = families.histogram(
        "xmpp_poke_duration_seconds",
        "How long the answer to a poke took.",
    );
    for (outcome, what) in POKES {
        if let Some(lengths) = figures.poke_duration(what) {
            rows.observations(&[("outcome", outcome)], &lengths);
        }
    }
    families
        .histogram(
            "xmpp_poke_fanout_resources",
            "Clients that were asked because of one poke.",
        )
        .observations(&[], &figures.poke_fanout());
    families
        .gauge("xmpp_poke_in_flight", "Pokes that wait for an answer.")
        .row(&[], in_flight);
}

fn wishes(families: &mut Families, router: &Router, directed: usize) {
    let figures = router.presence_figures();
    let mut rows = families.counter(
        "xmpp_decloak_requests_total",
        "Wishes to see somebody's presence for a while, by what became of them.",
    );
    for (reason, decloak) in [
        ("media", Decloak::Media),
        ("text", Decloak::Text),
        ("file", Decloak::File),
        ("none", Decloak::Unsaid),
        ("other", Decloak::Other),
    ] {
        for (decision, wish) in [
            ("answered", Wish::Answered),
            ("ignored", Wish::Ignored),
            ("denied", Wish::Denied),
            ("rate_limited", Wish::RateLimited),
        ] {
            // The older form means nothing here (DCL-29).
            let labels = [("reason", reason), ("decision", decision), ("ns", "decloak0")];
            rows.row(&labels, figures.wishes(decloak, wish));
        }
    }
    families
        .gauge(
            "xmpp_decloak_active_leaks",
            "Directed presence to people who are not subscribed, not yet taken back.",
        )
        .row(&[], directed);
}
