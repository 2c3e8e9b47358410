//! Questions to clients and services elsewhere for their capabilities, until they are answered (PSA-07).
//!
//! Answers get lost: a connection breaks, a client leaves, says something else of itself, or never answers. So a question
//! is no reason for ever not to ask again.

use std::collections::BTreeMap;
use std::time::Duration;

use machine::Moment;
use presence::Claim;
use stanza::Address;

/// Questions that may be open at the same time.
const OPEN_MAX: usize = 100;

/// Whoever has not answered for so long may be asked again when there is something to tell.
const PATIENCE: Duration = Duration::from_secs(60);

/// The open questions of one account, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Questions(BTreeMap<String, Question>);

#[derive(Debug)]
struct Question {
    to: Address,
    claim: Claim,
    asked: Moment,
}

impl Questions {
    /// Whether there is reason and room to ask: not while the same question is open. What was asked of an earlier claim
    /// does not matter any more (PSA-03).
    pub(crate) fn may_ask(&mut self, to: &Address, claim: &Claim, now: Moment) -> bool {
        self.0.retain(|_, question| {
            now.since(question.asked) < PATIENCE && (question.to != *to || question.claim == *claim)
        });
        self.0.len() < OPEN_MAX && !self.0.values().any(|question| question.to == *to)
    }

    /// A question is on its way.
    pub(crate) fn asked(&mut self, id: String, to: Address, claim: Claim, now: Moment) {
        self.0.insert(
            id,
            Question {
                to,
                claim,
                asked: now,
            },
        );
    }

    /// Whoever was asked answers. What the question was about, if it was this one.
    pub(crate) fn answered(&mut self, id: &str, by: &Address) -> Option<Claim> {
        self.0.get(id).filter(|question| question.to == *by)?;
        self.0.remove(id).map(|question| question.claim)
    }

    /// The way to a domain has changed: what was on it may be lost.
    pub(crate) fn forget_domain(&mut self, domain: &str) {
        self.0.retain(|_, question| question.to.domainpart() != domain);
    }

    /// Somebody is gone, with all resources if the address is bare.
    pub(crate) fn forget(&mut self, who: &Address) {
        self.0
            .retain(|_, question| question.to != *who && !(who.is_bare() && question.to.same_bare(who)));
    }
}

#[cfg(test)]
mod tests {
    use stanza::{Kind, PresenceType, Stanza};

    use super::*;

    fn claim(ver: &str) -> Claim {
        let caps = format!("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/>");
        let kind = Kind::Presence(PresenceType::Available);
        Claim::of(&Stanza::build(kind, None, None, None, caps.as_bytes())).unwrap()
    }

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    fn juliet(resource: &str) -> Address {
        Address::parse(&format!("juliet@capulet.lit/{resource}")).unwrap()
    }

    fn asks(questions: &mut Questions, id: &str, resource: &str, ver: &str, now: u64) -> bool {
        let may = questions.may_ask(&juliet(resource), &claim(ver), at(now));
        if may {
            questions.asked(id.to_owned(), juliet(resource), claim(ver), at(now));
        }
        may
    }

    #[test]
    fn psa_07_the_same_is_not_asked_twice_until_it_is_answered_or_time_is_over() {
        let mut questions = Questions::default();
        assert!(asks(&mut questions, "1", "a", "x", 0));
        assert!(!asks(&mut questions, "2", "a", "x", 59));
        assert!(asks(&mut questions, "3", "a", "x", 60));
        assert_eq!(questions.answered("1", &juliet("a")), None);
        assert_eq!(questions.answered("3", &juliet("b")), None);
        assert_eq!(questions.answered("3", &juliet("a")), Some(claim("x")));
        assert_eq!(questions.answered("3", &juliet("a")), None);
    }

    #[test]
    fn psa_03_who_says_something_else_of_itself_is_asked_about_that() {
        let mut questions = Questions::default();
        assert!(asks(&mut questions, "1", "a", "x", 0));
        assert!(asks(&mut questions, "2", "a", "y", 0));
        assert_eq!(questions.answered("1", &juliet("a")), None);
        assert_eq!(questions.answered("2", &juliet("a")), Some(claim("y")));
    }

    #[test]
    fn psa_07_who_is_gone_or_was_out_of_reach_is_asked_again() {
        let mut questions = Questions::default();
        assert!(asks(&mut questions, "1", "a", "x", 0));
        questions.forget(&juliet("a").to_bare());
        assert!(asks(&mut questions, "2", "a", "x", 0));
        questions.forget(&juliet("b"));
        assert!(!asks(&mut questions, "3", "a", "x", 0));
        questions.forget_domain("capulet.lit");
        assert!(asks(&mut questions, "3", "a", "x", 0));
    }

    #[test]
    fn psa_07_so_many_questions_are_open_at_the_same_time_and_no_more() {
        let mut questions = Questions::default();
        for n in 0..OPEN_MAX {
            assert!(asks(&mut questions, &n.to_string(), &n.to_string(), "x", 0));
        }
        assert!(!asks(&mut questions, "more", "more", "x", 0));
        assert!(asks(&mut questions, "more", "more", "x", 60));
    }
}
