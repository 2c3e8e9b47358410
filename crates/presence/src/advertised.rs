//! What an entity of this server itself says of its capabilities (XEP-0115 §4), made of its own answer to disco#info.

use stanza::namespace;
use xml::Tree;

use crate::capabilities::Form;

/// What the hash is of (XEP-0115 §4: `node`).
const SOFTWARE: &str = env!("CARGO_PKG_REPOSITORY");

/// The capabilities of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    ver: String,
}

impl Advertised {
    /// Those of an entity that answers disco#info so; `None` when the answer stands for no hash (XEP-0115 §5.4).
    pub fn of(info: &Tree) -> Option<Advertised> {
        let ver = Form::Sha1.hash(info)?;
        Some(Advertised { ver })
    }

    /// The child of its presence.
    pub fn child(&self) -> Vec<u8> {
        Tree::new("c", namespace::CAPABILITIES)
            .attr("hash", "sha-1")
            .attr("node", SOFTWARE)
            .attr("ver", self.ver.as_str())
            .to_bytes("")
    }

    /// The same answer to a question about `node`, where that names these capabilities (XEP-0115 §6.2): to nobody it says
    /// something else than what the hash was made of.
    pub fn answer(info: Tree, node: &str) -> Option<Tree> {
        let ver = node.strip_prefix(SOFTWARE)?.strip_prefix('#')?;
        let is_meant = Advertised::of(&info).is_some_and(|advertised| advertised.ver == ver);
        is_meant.then(|| info.attr("node", node))
    }
}

#[cfg(test)]
mod tests {
    use stanza::{Kind, PresenceType, Stanza};

    use super::*;
    use crate::{Answer, Claim};

    fn info(feature: &str) -> Tree {
        let feature = Tree::new("feature", namespace::DISCO_INFO).attr("var", feature);
        let identity = Tree::new("identity", namespace::DISCO_INFO)
            .attr("category", "server")
            .attr("type", "im");
        Tree::new("query", namespace::DISCO_INFO)
            .child(identity)
            .child(feature)
    }

    /// With the eyes of a server that has received the presence.
    #[test]
    fn dcl_20_what_is_advertised_is_verified_by_the_answer_that_it_names() {
        let child = Advertised::of(&info("urn:xmpp:psa")).unwrap().child();
        let kind = Kind::Presence(PresenceType::Available);
        let claim = Claim::of(&Stanza::build(kind, None, None, None, &child)).unwrap();
        let question = Tree::parse(&claim.question(), "", &xml::Limits::unlimited()).unwrap();
        let node = question.attribute("node").unwrap();
        let answer = Advertised::answer(info("urn:xmpp:psa"), node).unwrap();
        assert_eq!(answer.attribute("node"), Some(node));
        assert!(matches!(claim.answered(&answer), Answer::Verified(_, true)));
    }

    #[test]
    fn dcl_20_another_node_has_no_answer() {
        let named = format!("{SOFTWARE}#{}", Advertised::of(&info("a")).unwrap().ver);
        assert!(Advertised::answer(info("a"), &named).is_some());
        assert_eq!(Advertised::answer(info("b"), &named), None, "it was another hash");
        for node in [
            SOFTWARE,
            &format!("{SOFTWARE}#"),
            "",
            "#",
            "http://jabber.org/protocol/commands",
        ] {
            assert_eq!(Advertised::answer(info("a"), node), None, "{node}");
        }
    }
}
