//! Who may call for attention, and how often (XEP-0224 §6, §7). The server is a carrier: what is left out is the call
//! alone, never the message around it.

use std::collections::BTreeMap;

use machine::{Bucket, Moment, Rate};
use stanza::{Address, Stanza, namespace};

/// Senders whose rate is remembered for one user.
const RATES_MAX: usize = 256;

/// What becomes of a message that calls for attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It goes on as it is.
    Carry,
    /// It goes on without the child at this place (ATT-13, ATT-15).
    Strip(u16),
    /// It was nothing but a call, and ends in silence (ATT-13, ATT-14).
    Drop,
}

/// What one user still lets through.
#[derive(Debug, Default)]
pub struct Attention {
    rates: BTreeMap<Address, Bucket>,
}

impl Attention {
    /// The call in a message: a direct child in exactly this namespace (ATT-19).
    pub fn call(message: &Stanza) -> Option<u16> {
        message
            .child(namespace::ATTENTION, "attention")
            .map(|child| child.index())
    }

    /// Judges a call at `place` of `message`. `stranger`: the user wants no calls from strangers, and this is one (ATT-15).
    pub fn judge(
        &mut self,
        message: &Stanza,
        place: u16,
        stranger: bool,
        rate: Option<Rate>,
        now: Moment,
    ) -> Judgement {
        let passes = !stranger
            && match (rate, message.from()) {
                (Some(rate), Some(from)) => self.take(from.to_bare(), rate, now),
                (Some(_) | None, _) => true,
            };
        if passes {
            Judgement::Carry
        } else if message.content_child("body").is_some() {
            Judgement::Strip(place)
        } else {
            Judgement::Drop
        }
    }

    fn take(&mut self, from: Address, rate: Rate, now: Moment) -> bool {
        if self.rates.len() >= RATES_MAX && !self.rates.contains_key(from.as_str()) {
            self.rates.retain(|_, bucket| !bucket.is_full(now));
            if self.rates.len() >= RATES_MAX {
                return false;
            }
        }
        self.rates.entry(from).or_default().take(rate, now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stanza::{Kind, MessageType};

    use super::*;

    fn message(payload: &str) -> Stanza {
        let from = Address::parse("calvin@usrobots.lit/lab").unwrap();
        let kind = Kind::Message(MessageType::Headline);
        Stanza::build(kind, Some(&from), None, None, payload.as_bytes())
    }

    const CALL: &str = "<attention xmlns='urn:xmpp:attention:0'/>";

    fn at(second: u64) -> Moment {
        Moment::from_micros(second * 1_000_000)
    }

    #[test]
    fn att_13_beyond_the_rate_the_call_is_left_out_and_what_was_only_a_call_is_dropped() {
        let rate = Some(Rate {
            events: 1,
            per: Duration::from_secs(60),
        });
        let with_body = message(&format!("<body>Herbie?</body>{CALL}"));
        let only_call = message(CALL);
        let mut attention = Attention::default();
        let mut judge = |message: &Stanza, second| {
            let place = Attention::call(message).unwrap();
            attention.judge(message, place, false, rate, at(second))
        };
        assert_eq!(judge(&with_body, 0), Judgement::Carry);
        assert_eq!(judge(&with_body, 1), Judgement::Strip(1));
        assert_eq!(judge(&only_call, 2), Judgement::Drop);
        assert_eq!(judge(&only_call, 61), Judgement::Carry);
    }

    #[test]
    fn att_13_without_a_rate_everything_is_carried() {
        let mut attention = Attention::default();
        for second in 0..100 {
            assert_eq!(
                attention.judge(&message(CALL), 0, false, None, at(second)),
                Judgement::Carry
            );
        }
    }

    #[test]
    fn att_15_strangers_are_not_heard_where_the_user_says_so() {
        let mut attention = Attention::default();
        let with_body = message(&format!("{CALL}<body>Herbie?</body>"));
        assert_eq!(
            attention.judge(&with_body, 0, true, None, at(0)),
            Judgement::Strip(0)
        );
        assert_eq!(
            attention.judge(&message(CALL), 0, true, None, at(0)),
            Judgement::Drop
        );
    }

    #[test]
    fn att_19_another_version_is_another_payload() {
        assert_eq!(
            Attention::call(&message("<attention xmlns='urn:xmpp:attention:1'/>")),
            None
        );
        assert_eq!(
            Attention::call(&message(
                "<x xmlns='urn:x'/><attention xmlns='urn:xmpp:attention:0' foo='1'/>"
            )),
            Some(1)
        );
    }
}
