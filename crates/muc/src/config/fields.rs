//! The configuration as a form (XEP-0045 §16.5.3): every standard field, written and read.

use stanza::Address;
use xml::Tree;

use super::{AllowPrivate, Config, LISTED, Whois};
use crate::form::{Form, Submission, truth};
use crate::names::ROOM_CONFIG;

/// The longest text that a field may hold, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// Why a form cannot be taken: what people read.
pub(crate) type Unacceptable = String;

/// Who is to be owner or administrator according to a form; `None` where the form does not say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    pub(crate) owners: Option<Vec<Address>>,
    pub(crate) admins: Option<Vec<Address>>,
}

impl Config {
    /// The form for owners, with what is configured now.
    pub(crate) fn to_form(&self, title: &str, owners: &[&str], admins: &[&str], rooms: &Ceilings) -> Tree {
        let form = self.write(Form::new("form", ROOM_CONFIG).title(title), rooms);
        form.field("jid-multi", "muc#roomconfig_roomadmins", "Administrators", admins)
            .field("jid-multi", "muc#roomconfig_roomowners", "Owners", owners)
            .into_tree()
    }

    /// Every field with what is configured now, and nothing that people read.
    pub(crate) fn fields(&self) -> Tree {
        let ceilings = Ceilings {
            occupants: usize::MAX,
        };
        let mut form = self
            .write(Form::new("submit", ROOM_CONFIG), &ceilings)
            .into_tree();
        for node in &mut form.nodes {
            if let xml::Node::Element(field) = node {
                field.attributes.retain(|(name, _)| name == "var");
                field.nodes.retain(|node| match node {
                    xml::Node::Element(part) => part.name == "value",
                    xml::Node::Text(_) => false,
                });
            }
        }
        form
    }

    fn write(&self, form: Form, ceilings: &Ceilings) -> Form {
        let occupants = self
            .occupants_max
            .map_or("none".to_owned(), |max| max.to_string());
        let history = self.history_max.map_or(String::new(), |max| max.to_string());
        let roles = [
            ("moderator", "Moderator"),
            ("participant", "Participant"),
            ("visitor", "Visitor"),
        ];
        let private = [
            ("anyone", "Anyone"),
            ("participants", "Anyone with voice"),
            ("moderators", "Moderators only"),
            ("none", "Nobody"),
        ];
        let whois = match self.whois {
            Whois::Moderators => "moderators",
            Whois::Anyone => "anyone",
        };
        let mut sizes: Vec<String> = [10, 20, 30, 50, 100, 500, 1000]
            .into_iter()
            .filter(|size| *size <= ceilings.occupants)
            .map(|size: usize| size.to_string())
            .collect();
        if !sizes.contains(&occupants) && self.occupants_max.is_some() {
            sizes.push(occupants.clone());
        }
        let mut sizes: Vec<(&str, &str)> = sizes.iter().map(|size| (size.as_str(), size.as_str())).collect();
        sizes.push(("none", "No limit but that of the service"));
        form.field("text-single", "muc#roomconfig_roomname", "Name", &[&self.name])
            .field(
                "text-single",
                "muc#roomconfig_roomdesc",
                "Description",
                &[&self.description],
            )
            .field(
                "text-single",
                "muc#roomconfig_lang",
                "Language of the room",
                &[&self.lang],
            )
            .truth(
                "muc#roomconfig_enablelogging",
                "Tell occupants that the room is logged",
                self.logging,
            )
            .truth(
                "muc#roomconfig_changesubject",
                "Participants may change the subject",
                self.change_subject,
            )
            .truth(
                "muc#roomconfig_allowinvites",
                "Everybody may invite others",
                self.allow_invites,
            )
            .choice(
                "list-single",
                "muc#roomconfig_allowpm",
                "Who may send private messages",
                &private,
                &[self.allow_private.as_str()],
            )
            .choice(
                "list-single",
                "muc#roomconfig_maxusers",
                "Most occupants",
                &sizes,
                &[&occupants],
            )
            .choice(
                "list-multi",
                "muc#roomconfig_presencebroadcast",
                "Roles whose presence is told to everybody",
                &roles,
                &names(&self.broadcast),
            )
            .choice(
                "list-multi",
                "muc#roomconfig_getmemberlist",
                "Roles that may ask for the list of members",
                &roles,
                &names(&self.member_list),
            )
            .truth("muc#roomconfig_publicroom", "The room is listed", self.public)
            .truth(
                "muc#roomconfig_persistentroom",
                "The room stays when the last occupant leaves",
                self.persistent,
            )
            .truth(
                "muc#roomconfig_moderatedroom",
                "Newcomers cannot speak until a moderator lets them",
                self.moderated,
            )
            .truth(
                "muc#roomconfig_membersonly",
                "Only members may enter",
                self.members_only,
            )
            .truth(
                "muc#roomconfig_passwordprotectedroom",
                "A password is needed to enter",
                self.protected,
            )
            .field(
                "text-private",
                "muc#roomconfig_roomsecret",
                "Password",
                &[&self.password],
            )
            .choice(
                "list-single",
                "muc#roomconfig_whois",
                "Who sees the addresses of occupants",
                &[("moderators", "Moderators only"), ("anyone", "Anyone")],
                &[whois],
            )
            .field(
                "text-single",
                "muc#maxhistoryfetch",
                "Most messages of history for newcomers",
                &[&history],
            )
            .field(
                "text-single",
                "muc#roomconfig_pubsub",
                "Associated publish-subscribe node",
                &[&self.pubsub],
            )
    }

    /// Takes what a form says; what it does not name stays. Gives the lists of owners and administrators that it names.
    pub(crate) fn read(&mut self, form: &Submission<'_>) -> Result<Lists, Unacceptable> {
        let mut lists = Lists::default();
        for (var, values) in form.fields() {
            let first = values.first().map(String::as_str).unwrap_or_default();
            if values.iter().any(|value| value.len() > TEXT_BYTES_MAX) {
                return Err(format!("{var} is too long"));
            }
            let yes_or_no = || truth(first).ok_or_else(|| format!("{var} must be 1 or 0"));
            match var {
                "muc#roomconfig_roomname" => self.name = first.to_owned(),
                "muc#roomconfig_roomdesc" => self.description = first.to_owned(),
                "muc#roomconfig_lang" => self.lang = first.to_owned(),
                "muc#roomconfig_pubsub" => self.pubsub = first.to_owned(),
                "muc#roomconfig_enablelogging" => self.logging = yes_or_no()?,
                "muc#roomconfig_changesubject" => self.change_subject = yes_or_no()?,
                "muc#roomconfig_allowinvites" => self.allow_invites = yes_or_no()?,
                "muc#roomconfig_publicroom" => self.public = yes_or_no()?,
                "muc#roomconfig_persistentroom" => self.persistent = yes_or_no()?,
                "muc#roomconfig_moderatedroom" => self.moderated = yes_or_no()?,
                "muc#roomconfig_membersonly" => self.members_only = yes_or_no()?,
                "muc#roomconfig_passwordprotectedroom" => self.protected = yes_or_no()?,
                "muc#roomconfig_roomsecret" => self.password = first.to_owned(),
                "muc#roomconfig_allowpm" => {
                    self.allow_private = AllowPrivate::ALL
                        .into_iter()
                        .find(|who| who.as_str() == first)
                        .ok_or_else(|| format!("{first} is no choice of {var}"))?;
                }
                "muc#roomconfig_whois" => {
                    self.whois = match first {
                        "moderators" => Whois::Moderators,
                        "anyone" => Whois::Anyone,
                        other => return Err(format!("{other} is no choice of {var}")),
                    };
                }
                "muc#roomconfig_maxusers" => self.occupants_max = number(var, first)?,
                "muc#maxhistoryfetch" => self.history_max = number(var, first)?,
                "muc#roomconfig_presencebroadcast" => self.broadcast = roles(var, &values)?,
                "muc#roomconfig_getmemberlist" => self.member_list = roles(var, &values)?,
                "muc#roomconfig_roomowners" => lists.owners = Some(addresses(var, &values)?),
                "muc#roomconfig_roomadmins" => lists.admins = Some(addresses(var, &values)?),
                // XEP-0004 §3.2: what a form processor does not know it leaves alone.
                _ => {}
            }
        }
        if self.protected && self.password.is_empty() {
            // XEP-0045 §10.1.3 leaves the error open; an empty password would protect nothing.
            return Err("a room that is protected needs a password".to_owned());
        }
        Ok(lists)
    }
}

/// What a form may not go beyond.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ceilings {
    pub(crate) occupants: usize,
}

fn names(list: &[bool; 3]) -> Vec<&'static str> {
    LISTED
        .iter()
        .zip(list)
        .filter(|(_, contained)| **contained)
        .map(|(role, _)| role.as_str())
        .collect()
}

fn roles(var: &str, values: &[String]) -> Result<[bool; 3], Unacceptable> {
    let mut list = [false; 3];
    for value in values.iter().filter(|value| !value.is_empty()) {
        let place = LISTED.iter().position(|role| role.as_str() == value);
        match place.and_then(|place| list.get_mut(place)) {
            Some(contained) => *contained = true,
            None => return Err(format!("{value} is no choice of {var}")),
        }
    }
    Ok(list)
}

fn number(var: &str, text: &str) -> Result<Option<usize>, Unacceptable> {
    match text {
        "" | "none" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| format!("{var} must be a number or none")),
    }
}

fn addresses(var: &str, values: &[String]) -> Result<Vec<Address>, Unacceptable> {
    values
        .iter()
        .filter(|value| !value.is_empty())
        .map(|value| {
            Address::parse(value)
                .map(|address| address.to_bare())
                .map_err(|_| format!("{var} holds what is no address"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::FORMS;

    /// All of XEP-0045 §16.5.3.
    const STANDARD: [&str; 21] = [
        "muc#maxhistoryfetch",
        "muc#roomconfig_allowpm",
        "muc#roomconfig_allowinvites",
        "muc#roomconfig_changesubject",
        "muc#roomconfig_enablelogging",
        "muc#roomconfig_getmemberlist",
        "muc#roomconfig_lang",
        "muc#roomconfig_pubsub",
        "muc#roomconfig_maxusers",
        "muc#roomconfig_membersonly",
        "muc#roomconfig_moderatedroom",
        "muc#roomconfig_passwordprotectedroom",
        "muc#roomconfig_persistentroom",
        "muc#roomconfig_presencebroadcast",
        "muc#roomconfig_publicroom",
        "muc#roomconfig_roomadmins",
        "muc#roomconfig_roomdesc",
        "muc#roomconfig_roomname",
        "muc#roomconfig_roomowners",
        "muc#roomconfig_roomsecret",
        "muc#roomconfig_whois",
    ];

    #[test]
    fn xep0045_16_5_3_the_form_has_every_standard_field() {
        let form = Config::default().to_form("Room", &["a@b"], &[], &Ceilings { occupants: 100 });
        let vars: Vec<&str> = Submission::from_form(&form)
            .fields()
            .map(|(var, _)| var)
            .collect();
        for var in STANDARD {
            assert!(vars.contains(&var), "{var}");
        }
        assert_eq!(vars.len(), STANDARD.len() + 1, "and FORM_TYPE");
    }

    #[test]
    fn what_the_form_shows_is_read_back() {
        let config = Config {
            name: "A <dark> cave & more".into(),
            description: "d".into(),
            lang: "en".into(),
            logging: true,
            change_subject: true,
            allow_invites: true,
            allow_private: AllowPrivate::Moderators,
            occupants_max: Some(33),
            broadcast: [true, false, true],
            member_list: [false, true, false],
            public: false,
            persistent: true,
            moderated: true,
            members_only: true,
            protected: true,
            password: "cauldronburn".into(),
            whois: Whois::Anyone,
            history_max: Some(0),
            pubsub: "xmpp:x@y?;node=z".into(),
        };
        for config in [config, Config::default()] {
            let form = config.to_form("Room", &["a@b"], &[], &Ceilings { occupants: 100 });
            let mut read = Config::default();
            let lists = read.read(&Submission::from_form(&form)).unwrap();
            assert_eq!(read, config);
            assert_eq!(lists.owners, Some(vec![Address::parse("a@b").unwrap()]));
            assert_eq!(lists.admins, Some(Vec::new()));
        }
    }

    #[test]
    fn xep0045_10_1_3_what_makes_no_sense_is_refused_with_words() {
        for (var, value) in [
            ("muc#roomconfig_publicroom", "maybe"),
            ("muc#roomconfig_whois", "nobody"),
            ("muc#roomconfig_allowpm", "x"),
            ("muc#roomconfig_maxusers", "-1"),
            ("muc#roomconfig_presencebroadcast", "owner"),
            ("muc#roomconfig_roomowners", "@@"),
            ("muc#roomconfig_passwordprotectedroom", "1"),
        ] {
            let form = Tree::new("x", FORMS).child(
                Tree::new("field", FORMS)
                    .attr("var", var)
                    .child(Tree::new("value", FORMS).text(value)),
            );
            let outcome = Config::default().read(&Submission::from_form(&form));
            assert!(outcome.is_err(), "{var}={value}");
        }
    }
}
