//! Whom to write to about a host (XEP-0157), as the form that disco#info carries (XEP-0128).

use std::fmt;

use xml::Tree;

/// Addresses by purpose (XEP-0157 §7.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contacts {
    /// About abusive traffic.
    pub abuse: Vec<Uri>,
    /// The administrators.
    pub admin: Vec<Uri>,
    /// Praise and blame.
    pub feedback: Vec<Uri>,
    /// Sales and marketing.
    pub sales: Vec<Uri>,
    /// Security concerns.
    pub security: Vec<Uri>,
    /// Where to see whether the service is well.
    pub status: Vec<Uri>,
    /// Help.
    pub support: Vec<Uri>,
}

impl Contacts {
    /// XEP-0157 §3; `None` when there is no address at all.
    pub(crate) fn form(&self) -> Option<Tree> {
        let fields = [
            ("abuse-addresses", &self.abuse),
            ("admin-addresses", &self.admin),
            ("feedback-addresses", &self.feedback),
            ("sales-addresses", &self.sales),
            ("security-addresses", &self.security),
            ("status-addresses", &self.status),
            ("support-addresses", &self.support),
        ];
        if fields.iter().all(|(_, addresses)| addresses.is_empty()) {
            return None;
        }
        let form_type = field("FORM_TYPE", ["http://jabber.org/network/serverinfo"]).attr("type", "hidden");
        let form = Tree::new("x", DATA_FORMS).attr("type", "result").child(form_type);
        let filled = fields.into_iter().filter(|(_, addresses)| !addresses.is_empty());
        Some(filled.fold(form, |form, (name, addresses)| {
            form.child(field(name, addresses.iter().map(Uri::as_str)))
        }))
    }
}

/// The address of a contact: `mailto:`, `xmpp:`, `https:` ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri(String);

/// Why a text is no contact address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUri {
    /// RFC 3986 §3.1.
    #[error("it does not begin with a scheme such as mailto:, xmpp: or https:")]
    NoScheme,
    /// Nothing follows the scheme.
    #[error("nothing follows the scheme")]
    Empty,
    /// White space, control characters, and what RFC 3986 §2 keeps for the text around.
    #[error("it holds a character that must be percent-encoded: {0:?}")]
    Character(char),
}

impl Uri {
    /// Takes what XML Schema calls an `anyURI`, as XEP-0157 §3 demands: a URI that may hold letters of all scripts.
    ///
    /// # Errors
    /// When `text` is none.
    pub fn parse(text: &str) -> Result<Uri, BadUri> {
        let (scheme, rest) = text.split_once(':').ok_or(BadUri::NoScheme)?;
        let mut letters = scheme.chars();
        let is_scheme = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'));
        if !is_scheme {
            return Err(BadUri::NoScheme);
        }
        if rest.is_empty() {
            return Err(BadUri::Empty);
        }
        let is_forbidden = |c: &char| {
            c.is_whitespace()
                || c.is_control()
                || matches!(c, '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`')
        };
        match rest.chars().find(is_forbidden) {
            Some(character) => Err(BadUri::Character(character)),
            None => Ok(Uri(text.to_owned())),
        }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const DATA_FORMS: &str = "jabber:x:data";

fn field<'v>(name: &str, values: impl IntoIterator<Item = &'v str>) -> Tree {
    let field = Tree::new("field", DATA_FORMS).attr("var", name);
    values.into_iter().fold(field, |field, value| {
        field.child(Tree::new("value", DATA_FORMS).text(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Asker;
    use crate::tests::{Outcome, World};

    fn uris(texts: &[&str]) -> Vec<Uri> {
        texts.iter().map(|text| Uri::parse(text).unwrap()).collect()
    }

    fn disco_info(contacts: Contacts) -> String {
        let mut world = World::new();
        world.host.contacts = contacts;
        let answer = world.host(
            Asker::Stranger,
            "get <query xmlns='http://jabber.org/protocol/disco#info'/>",
        );
        let Outcome::Result(info) = answer else {
            panic!("{answer:?}")
        };
        info
    }

    #[test]
    fn xep0157_3_addresses_stand_in_the_form_of_disco_info() {
        let contacts = Contacts {
            abuse: uris(&["mailto:abuse@capulet.lit", "xmpp:abuse@capulet.lit"]),
            status: uris(&["https://status.capulet.lit/?a=1&b='2'"]),
            ..Contacts::default()
        };
        let form = "<x xmlns='jabber:x:data' type='result'>\
            <field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>\
            <field var='abuse-addresses'><value>mailto:abuse@capulet.lit</value><value>xmpp:abuse@capulet.lit</value></field>\
            <field var='status-addresses'><value>https://status.capulet.lit/?a=1&amp;b='2'</value></field>\
            </x></query>";
        let info = disco_info(contacts);
        assert!(info.ends_with(form), "{info}");
    }

    #[test]
    fn xep0157_7_1_every_registered_purpose_has_its_field() {
        let one = || uris(&["xmpp:nurse@capulet.lit"]);
        let contacts = Contacts {
            abuse: one(),
            admin: one(),
            feedback: one(),
            sales: one(),
            security: one(),
            status: one(),
            support: one(),
        };
        let info = disco_info(contacts);
        for purpose in [
            "abuse", "admin", "feedback", "sales", "security", "status", "support",
        ] {
            assert!(
                info.contains(&format!("<field var='{purpose}-addresses'>")),
                "{purpose} in {info}"
            );
        }
    }

    #[test]
    fn xep0157_3_without_addresses_there_is_no_form() {
        assert!(!disco_info(Contacts::default()).contains("jabber:x:data"));
    }

    #[test]
    fn xep0157_3_an_address_is_a_uri() {
        for text in [
            "mailto:a@b.example",
            "xmpp:admins@b.example?message",
            "https://b.example/ü",
            "tel:+1-2",
        ] {
            assert_eq!(Uri::parse(text).unwrap().to_string(), text);
        }
        for (text, why) in [
            ("admin@b.example", BadUri::NoScheme),
            ("", BadUri::NoScheme),
            (":x", BadUri::NoScheme),
            ("1a:x", BadUri::NoScheme),
            ("mail to:x", BadUri::NoScheme),
            ("mailto:", BadUri::Empty),
            ("mailto:a b", BadUri::Character(' ')),
            ("mailto:a\u{0}", BadUri::Character('\u{0}')),
            ("mailto:<a@b.example>", BadUri::Character('<')),
        ] {
            assert_eq!(Uri::parse(text), Err(why), "{text:?}");
        }
    }
}
