//! How long a host has been up, and how long a user has been away (XEP-0012).

use stanza::{Condition, IqType, Kind, Stanza, StanzaError};
use xml::Tree;

use crate::disco_info::reply;
use crate::request::{Asker, Request};
use crate::{AccountFacts, Answer, HostFacts};

pub(crate) const NAMESPACE: &str = "jabber:iq:last";

/// XEP-0012 §5: the time since the server was started.
pub(crate) fn of_host(request: &Request<'_>, _host: &HostFacts) -> Answer {
    reply(&seconds(request.now.since(request.facts.started).as_secs()))
}

/// XEP-0012 §3. A resource that is connected but shows itself to nobody does not count for contacts, which "local
/// security policies" of that section allow.
pub(crate) fn of_account(request: &Request<'_>, account: &AccountFacts<'_>) -> Answer {
    if request.asker == Asker::Own || !account.available.is_empty() {
        return reply(&seconds(0));
    }
    let Some(last) = account.last_seen else {
        return Answer::Reply(Err(
            StanzaError::new(Condition::ItemNotFound).text("never seen here")
        ));
    };
    let micros = request
        .wall
        .as_unix_micros()
        .saturating_sub(last.at.as_unix_micros());
    let away = seconds(u64::try_from(micros / 1_000_000).unwrap_or(0));
    reply(&match &last.status {
        Some(status) => away.text(status),
        None => away,
    })
}

/// What an IQ get or set to a full address hears that is not delivered because its sender may not see the presence there:
/// `forbidden` to a question for last activity (XEP-0012 §4), `service-unavailable` to everything else (RFC 6121
/// §8.5.3.1). To be sent before it is looked whether there is such a resource, or such an account.
pub fn withheld(stanza: &Stanza) -> StanzaError {
    let asks = stanza.kind() == Kind::Iq(IqType::Get) && stanza.child(NAMESPACE, "query").is_some();
    if asks {
        Condition::Forbidden.into()
    } else {
        Condition::ServiceUnavailable.into()
    }
}

fn seconds(seconds: u64) -> Tree {
    Tree::new("query", NAMESPACE).attr("seconds", seconds.to_string())
}
