//! How much is too much or too little, and which amounts must fit each other.

use std::time::Duration;

use super::Findings;
use crate::config::Configuration;
use crate::config::schema::join;

/// A silently dead connection is known within 45 seconds: after this and half as long for the answer.
const LONGEST_QUIET: Duration = Duration::from_secs(30);
/// Others need some time for their answer.
const SHORTEST_QUIET: Duration = Duration::from_secs(1);

/// Times that leave too little or too much.
pub(super) fn times(configuration: &Configuration, findings: &mut Findings<'_>) {
    let never_zero = [
        (
            "limits.unauthenticated_time",
            configuration.limits.unauthenticated_time,
        ),
        ("s2s.queue_timeout", configuration.s2s.queue_timeout),
        ("bosh.inactivity", configuration.bosh.inactivity),
        ("poke.timeout", configuration.poke.timeout),
    ];
    for (key, duration) in never_zero {
        if duration.is_zero() {
            findings.error(
                key,
                "leaves no time at all",
                "Write a longer time, or leave the setting out.",
            );
        }
    }
    if !(SHORTEST_QUIET..=LONGEST_QUIET).contains(&configuration.s2s.quiet_time) {
        findings.error(
            "s2s.quiet_time",
            "is shorter than a second or longer than half a minute: a dead connection is to be known within 45 seconds",
            "Write a time from \"1s\" to \"30s\".",
        );
    }
    if configuration.psa.pause_delay > Duration::from_secs(10) {
        findings.error(
            "psa.pause_delay",
            "is longer than ten seconds: contacts would believe in a presence that is not true",
            "Write at most \"10s\".",
        );
    }
}

/// Limits that contradict each other, a specification, or ordinary use.
pub(super) fn limits(configuration: &Configuration, findings: &mut Findings<'_>) {
    let limits = &configuration.limits;
    let stanza = limits.stanza_bytes.0;
    let at_least = [
        (
            "stanza_bytes",
            stanza,
            10_000,
            "RFC 6120 §13.12 wants stanzas of 10000 bytes to pass",
        ),
        (
            "unauthenticated_stanza_bytes",
            limits.unauthenticated_stanza_bytes.0,
            4_096,
            "logging in needs 4KiB",
        ),
        ("depth", limits.depth, 8, "ordinary stanzas need 8"),
        ("attributes", limits.attributes, 8, "ordinary stanzas need 8"),
        ("name_bytes", limits.name_bytes.0, 64, "ordinary stanzas need 64B"),
        ("children", limits.children, 16, "ordinary stanzas need 16"),
        ("connections", limits.connections, 1, "nobody could connect"),
        (
            "connections_per_address",
            limits.connections_per_address,
            1,
            "nobody could connect",
        ),
        (
            "unauthenticated_connections",
            limits.unauthenticated_connections,
            1,
            "nobody could connect",
        ),
        (
            "mailbox_stanzas",
            limits.mailbox_stanzas,
            100,
            "a client that logs in would be cut off",
        ),
        (
            "unacknowledged_stanzas",
            limits.unacknowledged_stanzas,
            10,
            "clients do not acknowledge every stanza",
        ),
        (
            "inbox_stanzas",
            limits.inbox_stanzas,
            10,
            "ordinary use would be refused",
        ),
        (
            "outstanding_stanzas",
            limits.outstanding_stanzas,
            1,
            "nothing could be acknowledged",
        ),
        (
            "roster_items",
            limits.roster_items,
            1,
            "nobody could have a contact",
        ),
        (
            "resources_per_account",
            limits.resources_per_account,
            1,
            "nobody could log in",
        ),
    ];
    for (name, value, least, why) in at_least {
        if value < least {
            findings.error(
                &join("limits", name),
                format!("is too small: {why}"),
                format!("Write at least {least}."),
            );
        }
    }
    let holds_a_stanza = [
        ("mailbox_bytes", limits.mailbox_bytes.0),
        ("inbox_bytes", limits.inbox_bytes.0),
        ("uncommitted_bytes", limits.uncommitted_bytes.0),
        ("offline_bytes", limits.offline_bytes.0),
    ];
    for (name, value) in holds_a_stanza {
        if value < stanza {
            findings.error(
                &join("limits", name),
                format!(
                    "is smaller than one stanza may be (limits.stanza_bytes is {})",
                    limits.stanza_bytes
                ),
                "Make it larger, or limits.stanza_bytes smaller.",
            );
        }
    }
    let not_above = [
        ("vcard_bytes", limits.vcard_bytes.0, "stanza_bytes", stanza),
        (
            "unauthenticated_stanza_bytes",
            limits.unauthenticated_stanza_bytes.0,
            "stanza_bytes",
            stanza,
        ),
        (
            "unauthenticated_stanza_bytes",
            limits.unauthenticated_stanza_bytes.0,
            "unauthenticated_bytes",
            limits.unauthenticated_bytes.0,
        ),
        (
            "unauthenticated_connections",
            limits.unauthenticated_connections,
            "connections",
            limits.connections,
        ),
    ];
    for (name, value, other, most) in not_above {
        if value > most {
            let advice = format!("Make it smaller, or limits.{other} larger.");
            findings.error(
                &join("limits", name),
                format!("is larger than limits.{other} ever lets through"),
                advice,
            );
        }
    }
    if !(3..=6).contains(&limits.login_attempts) {
        findings.error(
            "limits.login_attempts",
            "RFC 6120 §6.4.5 wants two to five tries after the first failure",
            "Write a number from 3 to 6.",
        );
    }
}
