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
