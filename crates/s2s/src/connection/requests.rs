//! When to ask the peer what it has (XEP-0198 §4).
//!
//! At most one `<r/>` is open at a time: as soon as nothing more waits to be sent, and every so often while there is
//! more, so that under load one question covers all that was sent during a round trip.

use machine::Moment;

/// Stanzas that are sent without a question while more wait.
const REQUEST_EVERY: usize = 64;

/// The questions of one stream.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// Since when a question is open.
    open_since: Option<Moment>,
    /// Stanzas sent since the last question.
    sent_since: usize,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Send `<r/>`.
    Now,
    /// Nothing.
    NotNow,
}

impl Requests {
    /// Stanzas were sent, and `more` wait.
    pub(crate) fn sent(&mut self, stanzas: usize, more: bool, now: Moment) -> Request {
        self.sent_since += stanzas;
        let enough = if more { REQUEST_EVERY } else { 1 };
        if self.sent_since >= enough {
            self.ask(now)
        } else {
            Request::NotNow
        }
    }

    /// The peer has acknowledged; `unacknowledged` stanzas are left.
    pub(crate) fn answered(&mut self, unacknowledged: usize, now: Moment) -> Request {
        self.open_since = None;
        if unacknowledged == 0 {
            self.sent_since = 0;
        }
        if self.sent_since > 0 {
            self.ask(now)
        } else {
            Request::NotNow
        }
    }

    /// Asks, unless a question is open.
    pub(crate) fn ask(&mut self, now: Moment) -> Request {
        if self.open_since.is_some() {
            return Request::NotNow;
        }
        self.open_since = Some(now);
        self.sent_since = 0;
        Request::Now
    }

    /// Since when the peer owes an answer.
    pub(crate) fn open_since(&self) -> Option<Moment> {
        self.open_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Moment {
        Moment::from_micros(1)
    }

    #[test]
    fn xep0198_4_one_question_covers_a_round_trip() {
        let mut requests = Requests::default();
        assert_eq!(requests.sent(1, false, now()), Request::Now);
        assert_eq!(requests.sent(3, false, now()), Request::NotNow);
        assert_eq!(requests.sent(500, true, now()), Request::NotNow);
        assert_eq!(requests.answered(503, now()), Request::Now);
        assert_eq!(requests.answered(0, now()), Request::NotNow);
        assert_eq!(requests.open_since(), None);
    }

    #[test]
    fn a_long_drain_asks_in_between() {
        let mut requests = Requests::default();
        assert_eq!(requests.sent(REQUEST_EVERY - 1, true, now()), Request::NotNow);
        assert_eq!(requests.sent(1, true, now()), Request::Now);
    }

    proptest! {
        /// Whatever is sent and acknowledged: once all is sent, what is unacknowledged has been asked for.
        #[test]
        fn nothing_stays_unasked(steps in proptest::collection::vec((0usize..100, any::<bool>(), any::<bool>()), 0..50)) {
            let mut requests = Requests::default();
            let mut unacknowledged = 0;
            for (stanzas, more, answers) in steps {
                unacknowledged += stanzas;
                requests.sent(stanzas, more, now());
                if answers && requests.open_since().is_some() {
                    unacknowledged = if more { unacknowledged } else { 0 };
                    requests.answered(unacknowledged, now());
                }
            }
            requests.sent(0, false, now());
            prop_assert!(unacknowledged == 0 || requests.open_since().is_some() || requests.sent_since == 0);
        }
    }
}
