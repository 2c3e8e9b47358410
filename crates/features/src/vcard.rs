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
