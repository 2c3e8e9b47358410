//! Clients: what one of them has said of itself, can do, and was told of others.

use std::collections::BTreeMap;

use simulation::{Device, Line};
use xml::Element;

const CLIENT: &str = "jabber:client";
const ANNOTATION: &str = "urn:xmpp:psa";

/// Who lives where: name and server.
pub(crate) const USERS: [(&str, usize); 5] = [
    ("romeo", 0),
    ("benvolio", 0),
    ("juliet", 1),
    ("nurse", 1),
    ("escalus", 2),
];
pub(crate) const DOMAINS: [&str; 3] = ["montague.lit", "capulet.lit", "verona.lit"];
pub(crate) const RESOURCES: [&str; 2] = ["one", "two"];

/// The place in [`USERS`].
pub(crate) type User = usize;

pub(crate) fn bare(user: User) -> String {
    let (name, server) = USERS[user];
    format!("{name}@{}", DOMAINS[server])
}

pub(crate) fn server_of(user: User) -> usize {
    USERS[user].1
}

pub(crate) fn user_of(address: &str) -> Option<User> {
    let bare_part = address.split('/').next()?;
    (0..USERS.len()).find(|user| bare(*user) == bare_part)
}

/// What a client says that it can do, and what it answers when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caps {
    /// A hash that stands for the feature, one of several; the answer fits.
    Wants(usize),
    /// A hash that stands for other things, and the answer fits.
    Plain(usize),
    /// No hash; the answer has the feature.
    Silent,
    /// No hash, and the answer has no feature.
    SilentPlain,
    /// A hash that the answer does not fit, which has the feature.
    Boasts,
    /// The first hash of [`Caps::Wants`], but the answer has no feature.
    Denies,
}

/// Whether a client must, may or must not be annotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    Must,
    May,
    MustNot,
}

const WANTS: [(&str, &str); 3] = [
    ("34PFyQ9p0Fl3JpuuIUS4YbTDV3Y=", ""),
    ("dIJNCr9uoKAW5Hy8fOF2mNzjlOI=", "<feature var='x:1'/>"),
    ("LsSZP0Wwg94JjQh+lUfp3lI3HnU=", "<feature var='x:2'/>"),
];
const PLAIN: [(&str, &str); 3] = [
    ("2jmj7l5rSw0yVb/vlWAYkK/YBwk=", ""),
    ("vZ+cYZlMViXgTI2KTEfCx/6JIAg=", "<feature var='x:1'/>"),
    ("AcHqEOQMAjIYYHBHBERJ8jKeYic=", "<feature var='x:2'/>"),
];
const PSA: &str = "<feature var='urn:xmpp:psa'/>";

impl Caps {
    /// The child of the presence.
    pub(crate) fn child(self) -> String {
        let ver = match self {
            Caps::Wants(which) => WANTS[which].0,
            Caps::Plain(which) => PLAIN[which].0,
            Caps::Silent | Caps::SilentPlain => return String::new(),
            Caps::Boasts => "bm90aGluZyB0aGF0IGlzIHNvIQ==",
            Caps::Denies => WANTS[0].0,
        };
        format!("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/>")
    }

    /// What is in the answer.
    pub(crate) fn answer(self) -> String {
        match self {
            Caps::Wants(which) => format!("{PSA}{}", WANTS[which].1),
            Caps::Plain(which) => PLAIN[which].1.to_owned(),
            Caps::Silent | Caps::Boasts => PSA.to_owned(),
            Caps::SilentPlain | Caps::Denies => String::new(),
        }
    }

    fn interest(self) -> Interest {
        match self {
            Caps::Wants(_) => Interest::Must,
            // Asked only when a link is lost (PSA-04); the hash may be known from an honest client.
            Caps::Silent | Caps::Denies => Interest::May,
            Caps::Plain(_) | Caps::SilentPlain | Caps::Boasts => Interest::MustNot,
        }
    }
}

/// When a client answers questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    AtOnce,
    Late,
    Never,
}

/// What a client was told last of one full address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// The number that stands in the presence.
    pub(crate) number: u64,
    /// The presence without annotations.
    pub(crate) content: String,
    /// Who says that it may not be true, and why.
    pub(crate) marks: BTreeMap<String, String>,
}

/// One client, over all the connections that its session has.
pub(crate) struct Person {
    pub(crate) user: User,
    /// The full address.
    pub(crate) full: String,
    pub(crate) device: Device,
    pub(crate) caps: Caps,
    pub(crate) answers: Answers,
    /// Questions that it has not answered: identifier, node and who asked.
    pub(crate) questions: Vec<(String, String, String)>,
    /// The number in its last broadcast.
    pub(crate) available: Option<u64>,
    /// The numbers of what it has broadcast in this step, and of what was so before.
    pub(crate) lately: Vec<u64>,
    /// To whom it has shown itself besides, by the address that it wrote on it, with the number.
    pub(crate) shown: BTreeMap<String, u64>,
    /// What it was told, by full address.
    pub(crate) told: BTreeMap<String, View>,
    /// Of whom of these nobody need tell it more: they had shown themselves to its address, and that has said goodbye to them
    /// (RFC 6121 §4.6.1). With the number that it was shown.
    pub(crate) dismissed: BTreeMap<String, u64>,
    /// How many annotations its server had merged when it listened last (PSA-45).
    pub(crate) merged: u64,
    /// Whether something happened to it in this step that makes more than usual possible.
    pub(crate) is_new: bool,
    /// The roster, by who is on it, once it was asked for.
    pub(crate) roster: Option<BTreeMap<String, String>>,
}

impl Person {
    pub(crate) fn is_there(&self) -> bool {
        self.device.is_there()
    }

    /// Whether its server has a session for it.
    pub(crate) fn lives(&self) -> bool {
        self.device.line() != Line::Over && self.device.is_bound()
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.device.is_paused()
    }

    /// Whether it hears what is for all its user's resources.
    pub(crate) fn is_watching(&self) -> bool {
        self.is_there() && self.available.is_some()
    }

    pub(crate) fn interest(&self) -> Interest {
        match self.caps.interest() {
            Interest::Must if self.questions.is_empty() && !self.is_new => Interest::Must,
            // Who has not said what it can is asked without a hash that its answer could belie.
            Interest::MustNot if self.caps == Caps::Boasts && self.available.is_none() => Interest::May,
            Interest::MustNot if !self.is_new => Interest::MustNot,
            Interest::Must | Interest::May | Interest::MustNot => Interest::May,
        }
    }

    /// Whether it says that it wants annotations, and has answered whoever has asked.
    pub(crate) fn asks(&self) -> bool {
        self.caps.interest() == Interest::Must && self.questions.is_empty()
    }

    /// Whether its server may know that it looks at annotations.
    pub(crate) fn looks(&self) -> bool {
        self.caps.interest() != Interest::MustNot && self.questions.is_empty()
    }

    /// The number that this user was given last by it, if it was given one.
    pub(crate) fn number_for(&self, viewer: &Person, sees_broadcast: bool) -> Vec<u64> {
        let directed = [&viewer.full, &bare(viewer.user)];
        let directed = directed.into_iter().filter_map(|to| self.shown.get(to).copied());
        directed
            .chain(self.available.filter(|_| sees_broadcast))
            .collect()
    }
}

/// A presence, taken apart.
pub(crate) struct Told {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) kind: Option<String>,
    pub(crate) number: Option<u64>,
    pub(crate) content: String,
    /// Annotator and state, which is empty where all is well again.
    pub(crate) marks: Vec<(String, String)>,
}

impl Told {
    pub(crate) fn of(element: &Element) -> Option<Told> {
        if !element.is(CLIENT, "presence") {
            return None;
        }
        let attribute = |name: &str| element.attribute(name).map(std::borrow::Cow::into_owned);
        let mut told = Told {
            from: attribute("from").unwrap_or_default(),
            to: attribute("to").unwrap_or_default(),
            kind: attribute("type"),
            number: None,
            content: String::new(),
            marks: Vec::new(),
        };
        for child in element.children() {
            if child.is(ANNOTATION, "state-annotation") {
                let by = child.attribute("from").unwrap_or_default().into_owned();
                let tree = child.to_tree();
                let state = tree
                    .children()
                    .next()
                    .map(|state| state.name.clone())
                    .unwrap_or_default();
                told.marks.push((by, state));
                continue;
            }
            if child.is(CLIENT, "status") {
                told.number = child.text().parse().ok();
            }
            told.content.push_str(&String::from_utf8_lossy(child.bytes()));
        }
        Some(told)
    }
}
