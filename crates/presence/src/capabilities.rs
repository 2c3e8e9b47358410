//! What a client can do, from the hash in its presence (XEP-0115, XEP-0390). Of all that, this server wants to know one
//! thing: whether the client asks for annotations (PSA-01).
//!
//! A hash counts only once the answer that it stands for has been seen and gives the same hash (PSA-03). In the older form
//! different answers can give one hash, because nothing tells in the hashed text where a feature ends and a form begins. So
//! an answer counts only if the hashed text alone says what it says of annotations: nobody can teach this server something
//! else of a hash than what its honest clients mean.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use sha2::Sha256;
use stanza::{Stanza, namespace};
use xml::Tree;

/// XEP-0390 §2.
pub(crate) const MODERN: &str = "urn:xmpp:caps";
/// XEP-0300 §3.
const HASHES: &str = "urn:xmpp:hashes:2";
/// XEP-0004 §3.
const FORMS: &str = "jabber:x:data";
/// No hash or node is longer.
const TEXT_MAX: usize = 1_024;

/// What a presence says of its sender's capabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing that could be verified: the client itself has to be asked (PSA-04).
    Nothing,
    /// This hash.
    Hash(Hash),
}

/// One hash that stands for an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash {
    form: Form,
    value: Box<str>,
    /// The node to ask for, which is no part of what is hashed (XEP-0115 §6.2).
    node: Box<str>,
}

/// How a hash is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// XEP-0115 with SHA-1.
    Sha1,
    /// XEP-0115 with SHA-256.
    Sha256,
    /// XEP-0390 with SHA-256.
    Modern,
}

impl Claim {
    /// The claim in a presence; `None` where it has no capabilities at all.
    pub fn of(presence: &Stanza) -> Option<Claim> {
        let modern = presence.child(MODERN, "c").map(|child| child.to_tree());
        let modern = modern.as_ref().and_then(|caps| {
            let mut hashes = caps.children().filter(|hash| hash.is(HASHES, "hash"));
            hashes.find(|hash| hash.attribute("algo") == Some("sha-256"))
        });
        if let Some(hash) = modern {
            let value = hash.content().trim().to_owned();
            let node = format!("{MODERN}#sha-256.{value}");
            return Some(Claim::new(Form::Modern, value, node));
        }
        let legacy = presence.child(namespace::CAPABILITIES, "c")?;
        let form = match legacy.attribute("hash").as_deref() {
            Some("sha-1") => Form::Sha1,
            Some("sha-256") => Form::Sha256,
            Some(_) | None => return Some(Claim::Nothing),
        };
        let (Some(node), Some(ver)) = (legacy.attribute("node"), legacy.attribute("ver")) else {
            return Some(Claim::Nothing);
        };
        Some(Claim::new(
            form,
            ver.clone().into_owned(),
            format!("{node}#{ver}"),
        ))
    }

    fn new(form: Form, value: String, node: String) -> Claim {
        if value.len() > TEXT_MAX || node.len() > TEXT_MAX {
            return Claim::Nothing;
        }
        Claim::Hash(Hash {
            form,
            value: value.into(),
            node: node.into(),
        })
    }

    /// The question to the client (XEP-0115 §6.2, XEP-0390 §4.3).
    pub fn question(&self) -> Vec<u8> {
        let mut bytes = format!("<query xmlns='{}'", namespace::DISCO_INFO).into_bytes();
        if let Claim::Hash(hash) = self {
            bytes.extend_from_slice(b" node='");
            xml::escape_attribute(&mut bytes, &hash.node);
            bytes.push(b'\'');
        }
        bytes.extend_from_slice(b"/>");
        bytes
    }

    /// Whether an answer says that the client asks for annotations. False too when the answer is not what the hash stands
    /// for: a lie counts for nothing (PSA-03).
    pub fn answered(&self, answer: &Tree) -> Answer {
        let wants = asks_for_annotations(answer);
        match self {
            Claim::Nothing => Answer::ForThisSession(wants),
            Claim::Hash(hash) => match hash.form.hash(answer) {
                Some(made) if *made == *hash.value => Answer::Verified(hash.clone(), wants),
                Some(_) | None => Answer::ForThisSession(false),
            },
        }
    }
}

/// What follows from an answer: whether the client wants annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Of this client only.
    ForThisSession(bool),
    /// Of everybody with this hash.
    Verified(Hash, bool),
}

impl Hash {
    /// What the hash is known by: everything but the node.
    pub(crate) fn key(&self) -> (Form, Box<str>) {
        (self.form, self.value.clone())
    }

    /// A hash that stands for nothing.
    #[cfg(test)]
    pub(crate) fn made_up(number: usize) -> Hash {
        Hash {
            form: Form::Sha1,
            value: number.to_string().into(),
            node: "".into(),
        }
    }
}

impl Form {
    const ALL: [Form; 3] = [Form::Sha1, Form::Sha256, Form::Modern];

    /// The name under which it is stored.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Form::Sha1 => "sha-1",
            Form::Sha256 => "sha-256",
            Form::Modern => "xep-0390 sha-256",
        }
    }

    /// The form with this name.
    pub(crate) fn of(name: &str) -> Option<Form> {
        Form::ALL.into_iter().find(|form| form.name() == name)
    }

    /// The hash that stands for an answer; `None` when the answer is ill-formed (XEP-0115 §5.4 rule 3), or says something
    /// of annotations that its hashed text does not.
    pub(crate) fn hash(self, answer: &Tree) -> Option<String> {
        Some(match self {
            Form::Sha1 => STANDARD.encode(Sha1::digest(unmistakable(answer)?)),
            Form::Sha256 => STANDARD.encode(Sha256::digest(unmistakable(answer)?)),
            Form::Modern => STANDARD.encode(Sha256::digest(modern(answer))),
        })
    }
}

fn asks_for_annotations(answer: &Tree) -> bool {
    features(answer).any(|feature| feature == namespace::ANNOTATION)
}

/// The text of XEP-0115 §5.1, unless another answer with the same text could say something else of annotations.
fn unmistakable(answer: &Tree) -> Option<String> {
    let text = legacy(answer)?;
    let is_named = text.split('<').any(|part| part == namespace::ANNOTATION);
    (is_named == asks_for_annotations(answer)).then_some(text)
}

fn attribute<'t>(tree: &'t Tree, name: &str) -> &'t str {
    tree.attribute(name).unwrap_or_default()
}

fn identities(answer: &Tree) -> impl Iterator<Item = [&str; 4]> {
    answer
        .children()
        .filter(|child| child.is(namespace::DISCO_INFO, "identity"))
        .map(|identity| ["category", "type", "xml:lang", "name"].map(|name| attribute(identity, name)))
}

fn features(answer: &Tree) -> impl Iterator<Item = &str> {
    answer
        .children()
        .filter(|child| child.is(namespace::DISCO_INFO, "feature"))
        .map(|feature| attribute(feature, "var"))
}

/// The fields of each form: variable and values.
fn forms(answer: &Tree) -> impl Iterator<Item = Vec<(String, Vec<String>)>> {
    let values = |field: &Tree| {
        let values = field.children().filter(|child| child.is(FORMS, "value"));
        values.map(|value| value.content().into_owned()).collect()
    };
    answer
        .children()
        .filter(|child| child.is(FORMS, "x"))
        .map(move |form| {
            let fields = form.children().filter(|child| child.is(FORMS, "field"));
            fields
                .map(|field| (attribute(field, "var").to_owned(), values(field)))
                .collect()
        })
}

/// XEP-0115 §5.1.
fn legacy(answer: &Tree) -> Option<String> {
    let mut text = String::new();
    let mut lines: Vec<String> = identities(answer).map(|parts| parts.join("/")).collect();
    append_sorted(&mut text, &mut lines)?;
    let mut lines: Vec<String> = features(answer).map(str::to_owned).collect();
    append_sorted(&mut text, &mut lines)?;
    let mut typed = BTreeMap::new();
    for form in forms(answer) {
        let kind = form.iter().find(|(name, _)| name == "FORM_TYPE");
        // A form without a type is nothing that is hashed.
        let Some([kind]) = kind.map(|(_, values)| values.as_slice()) else {
            continue;
        };
        if typed.insert(kind.clone(), form.clone()).is_some() {
            return None;
        }
    }
    for (kind, mut fields) in typed {
        let _ = write!(text, "{kind}<");
        fields.sort();
        for (name, mut values) in fields.into_iter().filter(|(name, _)| name != "FORM_TYPE") {
            let _ = write!(text, "{name}<");
            values.sort();
            for value in values {
                let _ = write!(text, "{value}<");
            }
        }
    }
    Some(text)
}

/// `None` when one occurs twice.
fn append_sorted(text: &mut String, lines: &mut [String]) -> Option<()> {
    lines.sort();
    if lines.windows(2).any(|pair| pair.first() == pair.last()) {
        return None;
    }
    for line in lines {
        let _ = write!(text, "{line}<");
    }
    Some(())
}

/// XEP-0390 §4.1.
fn modern(answer: &Tree) -> String {
    let section = |mut lines: Vec<String>| {
        lines.sort();
        lines.concat() + "\u{1c}"
    };
    let features = section(features(answer).map(|name| format!("{name}\u{1f}")).collect());
    let identities = section(
        identities(answer)
            .map(|parts| parts.map(|part| format!("{part}\u{1f}")).concat() + "\u{1e}")
            .collect(),
    );
    let field = |(name, values): (String, Vec<String>)| {
        let mut values: Vec<String> = values.into_iter().map(|value| value + "\u{1f}").collect();
        values.sort();
        format!("{name}\u{1f}{}\u{1e}", values.concat())
    };
    let form = |fields: Vec<(String, Vec<String>)>| {
        let mut fields: Vec<String> = fields.into_iter().map(field).collect();
        fields.sort();
        fields.concat() + "\u{1d}"
    };
    let forms = section(forms(answer).map(form).collect());
    features + &identities + &forms
}

#[cfg(test)]
mod tests {
    use stanza::{Kind, PresenceType};

    use super::*;

    fn presence(payload: &str) -> Stanza {
        Stanza::build(
            Kind::Presence(PresenceType::Available),
            None,
            None,
            None,
            payload.as_bytes(),
        )
    }

    fn tree(text: &str) -> Tree {
        Tree::parse(text.as_bytes(), "", &xml::Limits::unlimited()).unwrap()
    }

    /// The example of XEP-0115 §1.2.
    const EXODUS: &str = "<query xmlns='http://jabber.org/protocol/disco#info'>\
        <identity category='client' name='Exodus 0.9.1' type='pc'/>\
        <feature var='http://jabber.org/protocol/caps'/>\
        <feature var='http://jabber.org/protocol/disco#info'/>\
        <feature var='http://jabber.org/protocol/disco#items'/>\
        <feature var='http://jabber.org/protocol/muc'/></query>";

    fn claim(ver: &str) -> Claim {
        Claim::of(&presence(&format!(
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:n' ver='{ver}'/>"
        )))
        .unwrap()
    }

    #[test]
    fn psa_01_the_hash_of_the_example_is_verified() {
        let claim = claim("QgayPKawpkPSDYmwT/WM94uAlu0=");
        let Answer::Verified(hash, wants) = claim.answered(&tree(EXODUS)) else {
            panic!("not verified");
        };
        assert!(!wants);
        assert_eq!(hash.key(), (Form::Sha1, "QgayPKawpkPSDYmwT/WM94uAlu0=".into()));
        assert_eq!(
            String::from_utf8(claim.question()).unwrap(),
            "<query xmlns='http://jabber.org/protocol/disco#info' node='urn:n#QgayPKawpkPSDYmwT/WM94uAlu0='/>"
        );
    }

    #[test]
    fn psa_03_an_answer_that_is_not_what_the_hash_stands_for_counts_for_nothing() {
        let lie = EXODUS.replace("protocol/muc", "protocol/cum");
        let interested = EXODUS.replace("http://jabber.org/protocol/muc", "urn:xmpp:psa");
        for answer in [lie, interested] {
            let verdict = claim("QgayPKawpkPSDYmwT/WM94uAlu0=").answered(&tree(&answer));
            assert_eq!(verdict, Answer::ForThisSession(false));
        }
    }

    #[test]
    fn psa_03_what_is_named_twice_is_no_answer() {
        let twice = EXODUS.replace(
            "<feature var='http://jabber.org/protocol/muc'/>",
            "<feature var='http://jabber.org/protocol/muc'/><feature var='http://jabber.org/protocol/muc'/>",
        );
        assert_eq!(Form::Sha1.hash(&tree(&twice)), None);
    }

    #[test]
    fn psa_04_without_a_hash_the_answer_is_for_this_session() {
        let wants =
            "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:psa'/></query>";
        assert_eq!(
            Claim::Nothing.answered(&tree(wants)),
            Answer::ForThisSession(true)
        );
        assert_eq!(
            Claim::Nothing.answered(&tree(EXODUS)),
            Answer::ForThisSession(false)
        );
        assert_eq!(Claim::of(&presence("<status/>")), None);
        let old = "<c xmlns='http://jabber.org/protocol/caps' node='urn:n' ver='1.0'/>";
        assert_eq!(Claim::of(&presence(old)), Some(Claim::Nothing));
    }

    #[test]
    fn psa_03_the_newer_form_counts_too() {
        let made = Form::Modern.hash(&tree(EXODUS)).unwrap();
        let caps = format!(
            "<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{made}</hash></c>"
        );
        let claim = Claim::of(&presence(&caps)).unwrap();
        assert!(matches!(
            claim.answered(&tree(EXODUS)),
            Answer::Verified(_, false)
        ));
        let question = String::from_utf8(claim.question()).unwrap();
        assert!(
            question.contains(&format!("node='urn:xmpp:caps#sha-256.{made}'")),
            "{question}"
        );
    }

    #[test]
    fn xep0390_4_1_the_input_of_the_hash() {
        let info = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='pc' name='B'/>\
            <feature var='b'/><feature var='a'/><x xmlns='jabber:x:data'><field var='v'><value>2</value><value>1</value></field></x></query>";
        assert_eq!(
            modern(&tree(info)),
            "a\u{1f}b\u{1f}\u{1c}client\u{1f}pc\u{1f}\u{1f}B\u{1f}\u{1e}\u{1c}v\u{1f}1\u{1f}2\u{1f}\u{1e}\u{1d}\u{1c}"
        );
    }

    /// One text, and so one hash, for the honest answer and for lies about it.
    #[test]
    fn psa_03_an_answer_that_could_be_mistaken_for_another_counts_for_nothing() {
        let query = |payload: &str| {
            tree(&format!(
                "<query xmlns='http://jabber.org/protocol/disco#info'>{payload}</query>"
            ))
        };
        let honest =
            query("<feature var='a'/><feature var='urn:xmpp:psa'/><feature var='urn:xmpp:receipts'/>");
        let text = legacy(&honest).unwrap();
        let made = Form::Sha1.hash(&honest).unwrap();
        assert!(matches!(
            claim(&made).answered(&honest),
            Answer::Verified(_, true)
        ));
        let lies = [
            "<feature var='a&lt;urn:xmpp:psa'/><feature var='urn:xmpp:receipts'/>",
            "<feature var='a'/><x xmlns='jabber:x:data'><field var='FORM_TYPE'><value>urn:xmpp:psa</value></field>\
             <field var='urn:xmpp:receipts'/></x>",
            "<feature var='a&lt;urn:xmpp:psa&lt;urn:xmpp:receipts'/>",
        ];
        for lie in lies {
            let lie = query(lie);
            assert_eq!(legacy(&lie).unwrap(), text, "as the hash sees it");
            assert_eq!(claim(&made).answered(&lie), Answer::ForThisSession(false));
        }
    }
}
