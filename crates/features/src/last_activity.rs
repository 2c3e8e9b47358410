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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use machine::Timestamp;
    use stanza::ErrorKind;

    use super::*;
    use crate::LastSeen;
    use crate::tests::{Outcome, World, address, iq};

    const LAST: &str = "get <query xmlns='jabber:iq:last'/>";

    fn seconds_told(seconds: &str) -> Outcome {
        Outcome::Result(format!("<query xmlns='jabber:iq:last' seconds='{seconds}'/>"))
    }

    /// Juliet left fifteen minutes and three seconds ago.
    fn left() -> World {
        let mut world = World::new();
        let at = Timestamp::from_unix_micros(world.wall.as_unix_micros() - 903_999_999);
        world.last_seen = Some(LastSeen {
            at,
            status: Some("Heading Home".into()),
        });
        world
    }

    #[test]
    fn xep0012_3_a_contact_learns_how_long_the_user_has_been_away_and_the_last_status() {
        let told = "<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query>";
        assert_eq!(left().account(Asker::Contact, LAST), Outcome::Result(told.into()));
        let mut world = left();
        if let Some(last) = &mut world.last_seen {
            last.status = None;
        }
        assert_eq!(world.account(Asker::Contact, LAST), seconds_told("903"));
    }

    #[test]
    fn xep0012_3_a_user_who_is_there_was_active_now() {
        let mut world = left();
        world.available = vec![address("juliet@capulet.lit/balcony")];
        assert_eq!(world.account(Asker::Contact, LAST), seconds_told("0"));
        assert_eq!(
            left().account(Asker::Own, LAST),
            seconds_told("0"),
            "who asks is connected"
        );
    }

    #[test]
    fn xep0012_3_whoever_may_not_see_presence_is_forbidden_to_ask() {
        let forbidden = Some((Condition::Forbidden, ErrorKind::Auth, None));
        assert_eq!(left().account(Asker::Stranger, LAST).error(), forbidden);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_active_in_the_future() {
        let mut world = left();
        world.wall = Timestamp::from_unix_micros(0);
        let told = "<query xmlns='jabber:iq:last' seconds='0'>Heading Home</query>";
        assert_eq!(world.account(Asker::Contact, LAST), Outcome::Result(told.into()));
    }

    #[test]
    fn xep0012_5_a_host_tells_its_uptime() {
        let mut world = World::new();
        world.now = world.facts.started + Duration::from_millis(123_456_789);
        assert_eq!(world.host(Asker::Stranger, LAST), seconds_told("123456"));
    }

    #[test]
    fn xep0012_4_a_question_to_a_resource_that_is_not_delivered_is_forbidden_and_others_are_unavailable() {
        for (request, condition) in [
            (LAST, Condition::Forbidden),
            (
                "set <query xmlns='jabber:iq:last'/>",
                Condition::ServiceUnavailable,
            ),
            (
                "get <query xmlns='jabber:iq:version'/>",
                Condition::ServiceUnavailable,
            ),
        ] {
            assert_eq!(
                withheld(&iq(Asker::Stranger, request)).condition,
                condition,
                "{request}"
            );
        }
    }
}
