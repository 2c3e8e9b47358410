//! Which software runs here (XEP-0092).

use xml::Tree;

use crate::disco_info::reply;
use crate::request::Request;
use crate::{Answer, HostFacts};

pub(crate) const NAMESPACE: &str = "jabber:iq:version";

/// XEP-0092 §2. The operating system is told only if the operator wants it told (§5).
pub(crate) fn of_host(request: &Request<'_>, _host: &HostFacts) -> Answer {
    let software = &request.facts.software;
    let mut query = Tree::new("query", NAMESPACE)
        .child(Tree::new("name", NAMESPACE).text(&software.name))
        .child(Tree::new("version", NAMESPACE).text(&software.version));
    if let Some(os) = &software.os {
        query = query.child(Tree::new("os", NAMESPACE).text(os));
    }
    reply(&query)
}
