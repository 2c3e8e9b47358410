//! From a question to its row in the table, and the answers when there is none (RFC 6120 §8.4, RFC 6121 §8.5.1).

use stanza::{Condition, StanzaError};

use crate::request::{Place, Request};
use crate::table::{Feature, Rules, TABLE};
use crate::{Answer, Reply};

/// Answers an IQ get or set that is addressed to a host or to a bare address of one.
pub fn answer(request: &Request<'_>) -> Answer {
    let Some(payload) = request.payload() else {
        return Answer::Reply(Err(Condition::BadRequest.into()));
    };
    let row = TABLE
        .iter()
        .find(|feature| payload.is(feature.namespace, feature.element));
    match (request.place, row) {
        (_, None) => Answer::Reply(Err(unknown_element(request, payload.namespace()))),
        (Place::Host(host), Some(feature)) => match admit(request, &feature.host) {
            Ok(handle) => handle(request, host),
            Err(reply) => Answer::Reply(reply),
        },
        (Place::Account(account), Some(feature)) => match admit(request, &feature.account) {
            Ok(handle) => handle(request, account),
            Err(reply) => Answer::Reply(reply),
        },
        (Place::Nobody, Some(feature)) => match feature.account.of(request.stanza.kind()) {
            Some(rule) => Answer::Reply(rule.otherwise.reply(request)),
            None => unavailable(),
        },
    }
}

/// The handle for this question, or the reply to somebody who may not ask it.
fn admit<Handle: Copy>(request: &Request<'_>, rules: &Rules<Handle>) -> Result<Handle, Reply> {
    match rules.of(request.stanza.kind()) {
        Some(rule) if rule.audience.admits(request) => Ok(rule.handle),
        Some(rule) => Err(rule.otherwise.reply(request)),
        // RFC 6120 §8.3.3.10: nobody may do the opposite of what the protocol is for.
        None if rules.is_known() && request.may_know_why() => Err(Err(StanzaError::new(
            Condition::NotAllowed,
        )
        .text(if request.is_set() {
            "this can be asked for, not set"
        } else {
            "this can be set, not asked for"
        }))),
        None => Err(Err(Condition::ServiceUnavailable.into())),
    }
}

/// RFC 6120 §8.3.3.3 for an unknown element of a known namespace, §8.4 for an unknown namespace.
fn unknown_element(request: &Request<'_>, namespace: &str) -> StanzaError {
    let is_known_here = |feature: &Feature| match request.place {
        Place::Host(_) => feature.host.is_known(),
        Place::Account(_) | Place::Nobody => feature.account.is_known(),
    };
    let is_known = TABLE
        .iter()
        .any(|feature| feature.namespace == namespace && is_known_here(feature));
    match is_known && request.may_know_why() {
        true => Condition::FeatureNotImplemented.into(),
        false => Condition::ServiceUnavailable.into(),
    }
}

fn unavailable() -> Answer {
    Answer::Reply(Err(Condition::ServiceUnavailable.into()))
}
