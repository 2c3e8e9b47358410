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

#[cfg(test)]
mod tests {
    use crate::Asker;
    use crate::tests::{Outcome, World};

    const VERSION: &str = "get <query xmlns='jabber:iq:version'/>";

    #[test]
    fn xep0092_3_name_and_version_are_told_and_the_operating_system_only_when_wanted() {
        let mut world = World::new();
        world.facts.software.version = "0.1.0 <beta> & more".into();
        let told = "<query xmlns='jabber:iq:version'><name>Balcony</name><version>0.1.0 &lt;beta&gt; &amp; more</version>";
        assert_eq!(
            world.host(Asker::Stranger, VERSION),
            Outcome::Result(format!("{told}</query>"))
        );
        world.facts.software.os = Some("Debian".into());
        assert_eq!(
            world.host(Asker::Stranger, VERSION),
            Outcome::Result(format!("{told}<os>Debian</os></query>"))
        );
    }
}
