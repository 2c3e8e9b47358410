//! The rows of the presence engine: annotations, pokes, decloaking, attention.

use account::PresenceCount;
use router::{Counter, Router};

use crate::metrics::Families;

/// Each value of the labels is told from the start, so that a dashboard finds it. Trigger `sm` stands for all sessions
/// that are paused, whatever their transport.
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
        (
            "connection_paused",
            "sm",
            "remote",
            PresenceCount::PausedElsewhere,
        ),
        ("cleared", "sm", "remote", PresenceCount::ResumedElsewhere),
    ] {
        let labels = [("condition", condition), ("trigger", trigger), ("scope", scope)];
        rows.row(&labels, count(what));
    }
    for (condition, sent) in super::rooms::annotations(router) {
        let labels = [("condition", condition), ("trigger", "muc"), ("scope", "both")];
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
    let mut rows = families.counter(
        "xmpp_poke_requests_total",
        "Pokes that this server has answered, those of operators among them.",
    );
    for (outcome, what) in [
        ("present", PresenceCount::PokePresent),
        ("timeout", PresenceCount::PokeTimeout),
        ("forbidden", PresenceCount::PokeForbidden),
        ("no_resource", PresenceCount::PokeNoResource),
        ("unsupported", PresenceCount::PokeUnsupported),
        ("rate_limited", PresenceCount::PokeRateLimited),
        ("error", PresenceCount::PokeError),
    ] {
        rows.row(&[("source", "presence"), ("outcome", outcome)], count(what));
    }
    let mut rows = families.counter(
        "xmpp_decloak_requests_total",
        "Wishes to see somebody's presence that this server did not carry.",
    );
    rows.row(&[("decision", "denied")], count(PresenceCount::DecloakDenied));
    rows.row(
        &[("decision", "rate_limited")],
        count(PresenceCount::DecloakRateLimited),
    );
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
