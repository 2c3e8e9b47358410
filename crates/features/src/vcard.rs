//! The visiting card of an account, which everybody may read (XEP-0054).

use stanza::{Condition, StanzaError};
use xml::Child;

use crate::request::{Asker, Request};
use crate::{AccountFacts, Answer, Load, Record, Reply, Write};

pub(crate) const NAMESPACE: &str = "vcard-temp";

/// XEP-0054 §3.1 and §3.3.
pub(crate) fn load(request: &Request<'_>, account: &AccountFacts<'_>) -> Answer {
    let missing: Reply = Err(match request.asker {
        Asker::Own => Condition::ItemNotFound.into(),
        // The same as where there is no account.
        Asker::Contact | Asker::Stranger | Asker::Unregistered => Condition::ServiceUnavailable.into(),
    });
    match account.stored.has(&Record::VCard) {
        true => Answer::Load(Load {
            record: Record::VCard,
            around: ("", ""),
            missing,
        }),
        false => Answer::Reply(missing),
    }
}

/// XEP-0054 §3.2: the whole card is replaced. An empty one takes it back, so that nobody sees that there is an account.
pub(crate) fn store(request: &Request<'_>, _account: &AccountFacts<'_>) -> Answer {
    let Some(card) = request.payload() else {
        return Answer::Reply(Err(Condition::BadRequest.into()));
    };
    let max = request.facts.limits.vcard_bytes;
    if card.bytes().len() > max {
        let text = format!("a vCard may have {max} bytes at most, picture included");
        return Answer::Reply(Err(StanzaError::new(Condition::PolicyViolation).text(text)));
    }
    let bytes = (!is_empty(card)).then(|| card.bytes().to_vec());
    Answer::Store(vec![Write {
        record: Record::VCard,
        bytes,
    }])
}

fn is_empty(card: Child<'_>) -> bool {
    card.to_tree().children().next().is_none()
}

#[cfg(test)]
mod tests {
    use stanza::ErrorKind;

    use super::*;
    use crate::tests::{Outcome, World};

    const GET: &str = "get <vCard xmlns='vcard-temp'/>";
    const CARD: &str =
        "<vCard xmlns='vcard-temp' version='2.0'><FN>Juliet &amp; R.</FN><x xmlns='urn:x' y='\"'/></vCard>";

    #[test]
    fn xep0054_3_1_3_2_3_3_a_card_is_kept_and_everybody_may_read_it() {
        let mut world = World::new();
        assert_eq!(world.account(Asker::Own, &format!("set {CARD}")), Outcome::Stored);
        for asker in [Asker::Own, Asker::Contact, Asker::Stranger] {
            let answer = world.account(asker, GET);
            let Outcome::Result(card) = answer else {
                panic!("{answer:?}")
            };
            let read = |text: &str| xml::Tree::parse(text.as_bytes(), "", &xml::Limits::default()).unwrap();
            assert_eq!(read(&card), read(CARD));
        }
    }

    #[test]
    fn xep0054_3_1_without_a_card_the_owner_hears_that_there_is_none() {
        let none = Some((Condition::ItemNotFound, ErrorKind::Cancel, None));
        assert_eq!(World::new().account(Asker::Own, GET).error(), none);
    }

    #[test]
    fn xep0054_3_3_without_a_card_others_hear_what_they_hear_where_there_is_no_account() {
        let unavailable = Some((Condition::ServiceUnavailable, ErrorKind::Cancel, None));
        for asker in [Asker::Contact, Asker::Stranger] {
            assert_eq!(World::new().account(asker, GET).error(), unavailable);
            assert_eq!(World::new().nobody(asker, GET).error(), unavailable);
        }
    }

    #[test]
    fn xep0054_3_2_nobody_changes_the_card_of_another() {
        let forbidden = Some((Condition::Forbidden, ErrorKind::Auth, None));
        for asker in [Asker::Contact, Asker::Stranger] {
            assert_eq!(
                World::new().account(asker, &format!("set {CARD}")).error(),
                forbidden
            );
        }
    }

    #[test]
    fn xep0054_3_2_the_last_card_replaces_the_one_before_and_an_empty_one_takes_it_back() {
        let mut world = World::new();
        world.account(Asker::Own, &format!("set {CARD}"));
        world.account(Asker::Own, "set <vCard xmlns='vcard-temp'><FN>J</FN></vCard>");
        let second = Outcome::Result("<vCard xmlns='vcard-temp'><FN>J</FN></vCard>".into());
        assert_eq!(world.account(Asker::Stranger, GET), second);
        assert_eq!(
            world.account(Asker::Own, "set <vCard xmlns='vcard-temp'> </vCard>"),
            Outcome::Stored
        );
        assert_eq!(
            world.account(Asker::Stranger, GET),
            world.nobody(Asker::Stranger, GET)
        );
    }

    #[test]
    fn a_card_beyond_the_limit_is_refused_and_the_old_one_stays() {
        let card = |length: usize| format!("<vCard xmlns='vcard-temp'><N>{}</N></vCard>", "x".repeat(length));
        let mut world = World::new();
        world.facts.limits.vcard_bytes = card(100).len();
        assert_eq!(
            world.account(Asker::Own, &format!("set {}", card(100))),
            Outcome::Stored
        );
        let refused = world.account(Asker::Own, &format!("set {}", card(101)));
        assert_eq!(
            refused.error(),
            Some((Condition::PolicyViolation, ErrorKind::Modify, None))
        );
        assert_eq!(world.account(Asker::Own, GET), Outcome::Result(card(100)));
    }

    #[test]
    fn xep0054_8_the_name_of_the_element_is_case_sensitive() {
        let wrong = "set <VCARD xmlns='vcard-temp'><FN>J</FN></VCARD>";
        assert_eq!(
            World::new().account(Asker::Own, wrong).word(),
            "feature-not-implemented"
        );
    }
}
