//! Who was refused by which limit: counted for figures, and told to the operator now and then, so that a flood of
//! connections is one line in the log and not a flood of lines.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

use stanza::{StreamCondition, StreamError};
use tracing::warn;
use xml::LimitName;

use crate::Limit;

/// So long nothing more is said of a limit that was told of.
const SILENT_SECONDS: u64 = 60;

/// How often each limit has refused somebody.
pub(crate) struct Refusals {
    /// Whom these limits are for.
    whom: &'static str,
    since: Instant,
    counts: [Count; Limit::ALL.len()],
}

#[derive(Default)]
struct Count {
    refused: AtomicU64,
    /// How many of these the operator was told of.
    told: AtomicU64,
    /// When more is to be said, in seconds.
    silent_until: AtomicU64,
}

impl Refusals {
    pub(crate) fn of(whom: &'static str) -> Refusals {
        Refusals {
            whom,
            since: Instant::now(),
            counts: Default::default(),
        }
    }

    /// A limit has refused somebody.
    pub(crate) fn count(&self, limit: Limit) {
        self.count_at(limit, self.since.elapsed().as_secs());
    }

    /// Gives how many refusals the operator was told of, if it was time to tell.
    fn count_at(&self, limit: Limit, now: u64) -> Option<u64> {
        let count = self.counts.get(limit as usize)?;
        let refused = count.refused.fetch_add(1, Ordering::Relaxed) + 1;
        let words = words(limit)?;
        let until = count.silent_until.load(Ordering::Relaxed);
        let next = now + SILENT_SECONDS;
        let is_mine = until <= now
            && count
                .silent_until
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !is_mine {
            return None;
        }
        let newly = refused - count.told.swap(refused, Ordering::Relaxed).min(refused);
        warn!(
            event = "limit_reached",
            limit = name(limit),
            refused = newly,
            "{} are {}: {words} ([limits])",
            self.whom,
            deed(limit)
        );
        Some(newly)
    }

    /// How often a limit has refused somebody.
    pub(crate) fn of_limit(&self, limit: Limit) -> u64 {
        self.counts
            .get(limit as usize)
            .map_or(0, |count| count.refused.load(Ordering::Relaxed))
    }
}

fn name(limit: Limit) -> &'static str {
    let is_meant = |(_, other): &&(&'static str, Limit)| *other == limit;
    Limit::ALL.iter().find(is_meant).map_or("", |(name, _)| name)
}

/// What is done to those whom it refuses something.
fn deed(limit: Limit) -> &'static str {
    match limit {
        Limit::Reads => "read from more slowly, or not at all",
        Limit::Connections
        | Limit::Unauthenticated
        | Limit::Address
        | Limit::Arrivals
        | Limit::Provoked
        | Limit::FailedLogins
        | Limit::Registrations
        | Limit::HttpBodies
        | Limit::StanzaSize
        | Limit::Depth
        | Limit::Stream
        | Limit::Queue => "turned away",
    }
}

/// The limit that a stream has gone beyond which ends with this error.
pub(crate) fn limit_of(error: &StreamError) -> Option<Limit> {
    match (error.condition, error.exceeded) {
        (StreamCondition::ResourceConstraint, _) => Some(Limit::Queue),
        (_, Some(LimitName::StanzaBytes)) => Some(Limit::StanzaSize),
        (_, Some(LimitName::Depth)) => Some(Limit::Depth),
        (StreamCondition::PolicyViolation, _) => Some(Limit::Stream),
        (_, Some(LimitName::Attributes | LimitName::NameBytes | LimitName::Children) | None) => None,
    }
}

/// What an operator reads of it; nothing where each refusal has a line of its own.
fn words(limit: Limit) -> Option<&'static str> {
    match limit {
        Limit::Connections => Some("all connections that may be open are"),
        Limit::Unauthenticated => Some("as many as may be have not logged in yet"),
        Limit::Address => Some("one address has as many connections as it may"),
        Limit::Arrivals => Some("one address connects too often"),
        Limit::Provoked => Some("one address makes this server connect elsewhere too often"),
        Limit::FailedLogins => Some("logins from one address fail too often"),
        Limit::Registrations => Some("one address makes too many accounts"),
        Limit::Reads => Some("what comes before the login comes in very small pieces"),
        Limit::HttpBodies => Some("as many HTTP requests as may be are in memory"),
        Limit::StanzaSize | Limit::Depth | Limit::Stream | Limit::Queue => None,
    }
}

#[cfg(test)]
mod tests {
    use stanza::{StreamCondition, StreamError};
    use xml::LimitName;

    use super::{Refusals, limit_of};
    use crate::Limit;

    #[test]
    fn streams_that_go_beyond_a_limit_are_told_apart() {
        let ended = |limit| StreamError {
            exceeded: Some(limit),
            ..StreamError::new(StreamCondition::PolicyViolation)
        };
        assert_eq!(limit_of(&ended(LimitName::StanzaBytes)), Some(Limit::StanzaSize));
        assert_eq!(limit_of(&ended(LimitName::Depth)), Some(Limit::Depth));
        assert_eq!(limit_of(&ended(LimitName::Attributes)), Some(Limit::Stream));
        assert_eq!(
            limit_of(&StreamError::new(StreamCondition::ResourceConstraint)),
            Some(Limit::Queue)
        );
        assert_eq!(limit_of(&StreamError::new(StreamCondition::NotWellFormed)), None);
    }

    #[test]
    fn a_flood_is_told_once_a_minute_and_counted_whole() {
        let refusals = Refusals::of("clients");
        let told: Vec<Option<u64>> = [0, 0, 59, 60, 61, 500]
            .map(|now| refusals.count_at(Limit::Address, now))
            .into();
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
        assert_eq!(refusals.of_limit(Limit::Address), 6);
        assert_eq!(
            refusals.count_at(Limit::Connections, 500),
            Some(1),
            "each limit for itself"
        );
        assert_eq!(
            refusals.count_at(Limit::Stream, 500),
            None,
            "which has lines of its own"
        );
    }
}
