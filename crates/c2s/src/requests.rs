//! When to ask the client what it has (XEP-0198 §4).
//!
//! At most one `<r/>` is open at a time. It is asked as soon as nothing more waits to be sent, and every so often while
//! there is more: in a slow conversation each delivery is confirmed at once, which saves keeping a durable copy, and
//! under load one question covers all that was sent during a round trip.

/// Stanzas that are sent without a question while more wait.
const REQUEST_EVERY: usize = 64;

/// The questions of one stream.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    is_open: bool,
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

/// Whether stanzas wait behind those that were just sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// There are some.
    Some,
    /// There are none.
    None,
}

impl Requests {
    /// Stanzas were sent.
    pub(crate) fn sent(&mut self, stanzas: usize, waiting: Waiting) -> Request {
        self.sent_since += stanzas;
        let is_time = match waiting {
            Waiting::None => self.sent_since > 0,
            Waiting::Some => self.sent_since >= REQUEST_EVERY,
        };
        if is_time && !self.is_open {
            self.ask()
        } else {
            Request::NotNow
        }
    }

    /// The client has acknowledged; `unacknowledged` stanzas are left.
    pub(crate) fn answered(&mut self, unacknowledged: usize) -> Request {
        self.is_open = false;
        if unacknowledged == 0 {
            self.sent_since = 0;
        }
        if self.sent_since > 0 {
            self.ask()
        } else {
            Request::NotNow
        }
    }

    /// Whether the client has been asked and has not answered.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    fn ask(&mut self) -> Request {
        self.is_open = true;
        self.sent_since = 0;
        Request::Now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn xep0198_4_a_quiet_conversation_is_confirmed_at_once() {
        let mut requests = Requests::default();
        assert_eq!(requests.sent(1, Waiting::None), Request::Now);
        assert_eq!(requests.answered(0), Request::NotNow);
        assert_eq!(requests.sent(1, Waiting::None), Request::Now);
    }

    #[test]
    fn xep0198_4_one_question_covers_a_round_trip() {
        let mut requests = Requests::default();
        assert_eq!(requests.sent(1, Waiting::None), Request::Now);
        assert_eq!(requests.sent(3, Waiting::None), Request::NotNow);
        assert_eq!(requests.sent(500, Waiting::Some), Request::NotNow);
        assert_eq!(requests.answered(503), Request::Now);
        assert_eq!(requests.answered(0), Request::NotNow);
    }

    #[test]
    fn a_long_drain_asks_in_between() {
        let mut requests = Requests::default();
        assert_eq!(requests.sent(REQUEST_EVERY - 1, Waiting::Some), Request::NotNow);
        assert_eq!(requests.sent(1, Waiting::Some), Request::Now);
    }

    proptest! {
        /// A client that answers every question with what it had when it was asked has acknowledged everything in the
        /// end, whatever was sent when, and was never asked twice at a time.
        #[test]
        fn nothing_stays_unasked(steps in proptest::collection::vec((0usize..100, any::<bool>(), any::<bool>()), 0..50)) {
            let mut requests = Requests::default();
            let (mut sent, mut acknowledged) = (0, 0);
            let mut asked_at = None;
            let ask = |request, sent, asked_at: &mut Option<usize>| {
                if request == Request::Now {
                    assert_eq!(*asked_at, None);
                    *asked_at = Some(sent);
                }
            };
            for (stanzas, more, answers) in steps.into_iter().chain([(0, false, true); 3]) {
                sent += stanzas;
                let waiting = if more { Waiting::Some } else { Waiting::None };
                ask(requests.sent(stanzas, waiting), sent, &mut asked_at);
                prop_assert_eq!(requests.is_open(), asked_at.is_some());
                if answers && let Some(had) = asked_at.take() {
                    acknowledged = had;
                    ask(requests.answered(sent - acknowledged), sent, &mut asked_at);
                }
            }
            prop_assert_eq!(acknowledged, sent);
        }
    }
}
