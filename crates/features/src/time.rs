//! What time is it there? (XEP-0202)

use xml::Tree;

use crate::disco_info::reply;
use crate::request::Request;
use crate::{Answer, HostFacts};

pub(crate) const NAMESPACE: &str = "urn:xmpp:time";

/// XEP-0202 §2. A server lives in UTC: its zone would only tell where the machine stands (§6).
pub(crate) fn of_host(request: &Request<'_>, _host: &HostFacts) -> Answer {
    reply(
        &Tree::new("time", NAMESPACE)
            .child(Tree::new("tzo", NAMESPACE).text("+00:00"))
            .child(Tree::new("utc", NAMESPACE).text(&request.wall.to_xmpp())),
    )
}

#[cfg(test)]
mod tests {
    use crate::Asker;
    use crate::tests::{Outcome, World};

    #[test]
    fn xep0202_3_the_time_is_told_in_utc() {
        let expected =
            "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2006-12-19T17:58:35.000Z</utc></time>";
        let told = World::new().host(Asker::Stranger, "get <time xmlns='urn:xmpp:time'/>");
        assert_eq!(told, Outcome::Result(expected.into()));
    }
}
