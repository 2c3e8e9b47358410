//! The last presence of one address, as a session holds it, in few bytes.
//!
//! What comes from elsewhere is kept as its bytes alone, without what every repeat writes anew: its addresses and an
//! annotation. Children that many people send alike, such as their capabilities, are kept once for an account, and so is a
//! presence that several of its sessions got. What comes from an owner on this server is shared with all who got it.

use std::sync::Arc;

use stanza::{Address, Aside, Kind, Parcel, PresenceType, Stanza, Target, namespace};
use xml::{Child, ContentNamespace, Element};

use crate::capabilities::MODERN;
use crate::{Received, Words, annotation};

/// Who is remembered before whom, when there is no room for all; see [`make_room`](crate::make_room).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Somebody who sent directed presence.
    Stranger,
    /// An occupant of a room.
    Occupant,
    /// Somebody whose presence the user is subscribed to.
    Contact,
}

/// The last presence from one full address, and what one session was told of it.
#[derive(Debug, Clone)]
pub struct Held {
    presence: Arc<Remembered>,
    /// The later it came, the higher.
    pub number: u64,
    /// Who that is.
    pub rank: Rank,
    /// Whether the session was told last that the sender's own server says something.
    pub shown: bool,
    /// Whether this server has told the session that it may not be true.
    pub told: bool,
    /// Whether the sender's server was asked if it is still so, and has not answered.
    pub asked: bool,
    /// Whether its sender's client is known to ask for annotations, by the hash in it.
    pub asks: bool,
    /// What is known here of the pause that its sender's server tells of.
    pub aside: Aside,
}

/// What is the same for all sessions that got it.
#[derive(Debug)]
struct Remembered {
    from: Address,
    bytes: Bytes,
    /// What the sender's own server says of it (PSA-19).
    foreign: Option<Box<[u8]>>,
}

#[derive(Debug, Clone)]
enum Bytes {
    /// As its owner, who is on this server, sent it to everybody, and the place in it of an annotation.
    Shared(Stanza, Option<u16>),
    /// What stands between `<presence` and `</presence>` when it is written without addresses and annotation. At a place
    /// in it others have the same.
    Own {
        text: Box<str>,
        common: Option<Arc<str>>,
        place: u32,
    },
}

/// A presence that is to be held.
#[derive(Debug, Clone, Copy)]
pub struct News<'s> {
    /// Whose it is.
    pub from: &'s Address,
    /// As the session receives it.
    pub stanza: &'s Stanza,
    /// The place in it of an annotation, which is no part of the presence.
    pub annotation: Option<u16>,
    /// What the sender's own server says of it (PSA-19).
    pub foreign: Option<&'s [u8]>,
    /// Whether its bytes stay in memory for others anyway: its owner is on this server.
    pub is_shared: bool,
}

impl<'s> News<'s> {
    /// Presence from elsewhere about which nobody has said anything.
    pub fn plain(from: &'s Address, stanza: &'s Stanza) -> News<'s> {
        News {
            from,
            stanza,
            annotation: None,
            foreign: None,
            is_shared: false,
        }
    }
}

const OPENING: &str = "<presence";
const CLOSING: &str = "</presence>";

impl Held {
    /// Nobody has been told anything of it. What sessions `near` hold that is the same is shared with them.
    pub fn new<'r>(news: News<'_>, near: impl Iterator<Item = &'r Received> + Clone) -> Held {
        let parts = match news.is_shared {
            true => None,
            false => Some(Parts::of(&news)),
        };
        let mut known = near
            .clone()
            .filter_map(|received| received.get(news.from.as_str()));
        let presence = match known.find(|held| held.presence.is(&news, parts.as_ref())) {
            Some(held) => Arc::clone(&held.presence),
            None => Arc::new(Remembered {
                from: news.from.clone(),
                bytes: match parts {
                    None => Bytes::Shared(news.stanza.clone(), news.annotation),
                    Some(parts) => Bytes::Own {
                        common: parts.common().map(|common| {
                            let mut near = near;
                            near.find_map(|received| received.common(common))
                                .unwrap_or_else(|| Arc::from(common))
                        }),
                        text: parts.own(),
                        place: u32::try_from(parts.begin).unwrap_or(u32::MAX),
                    },
                },
                foreign: news.foreign.map(Box::from),
            }),
        };
        Held {
            presence,
            number: 0,
            rank: Rank::Contact,
            shown: false,
            told: false,
            asked: false,
            asks: false,
            aside: Aside::Nothing,
        }
    }

    /// Whose it is.
    pub fn from(&self) -> &Address {
        &self.presence.from
    }

    /// What the sender's own server says of it (PSA-19).
    pub fn foreign(&self) -> Option<&[u8]> {
        self.presence.foreign.as_deref()
    }

    /// The presence itself, made anew from its bytes.
    pub fn stanza(&self) -> Stanza {
        let (text, common, place) = match &self.presence.bytes {
            Bytes::Shared(stanza, _) => return stanza.clone(),
            Bytes::Own { text, common, place } => (text, common.as_deref(), *place as usize),
        };
        let (before, behind) = text.split_at_checked(place).unwrap_or((text, ""));
        let whole = [OPENING, before, common.unwrap_or_default(), behind, CLOSING].concat();
        let from = self.from();
        Element::from_plain(whole.into_boxed_str(), ContentNamespace::Client)
            .and_then(|element| Stanza::new(element, Some(from.clone()), None, None).ok())
            .unwrap_or_else(|| {
                let kind = Kind::Presence(PresenceType::Available);
                Stanza::build(kind, Some(from), None, None, b"")
            })
    }

    /// The same when its owner has said that it is still so, and the owner's server nothing else.
    #[must_use]
    pub fn confirmed(mut self) -> Held {
        self.asked = false;
        if self.foreign().is_some() {
            self.presence = Arc::new(Remembered {
                from: self.from().clone(),
                bytes: self.presence.bytes.clone(),
                foreign: None,
            });
        }
        self
    }

    /// Whether what has come now says nothing else, annotations included.
    pub fn is_same_as(&self, news: &News<'_>) -> bool {
        let parts = Parts::of(news);
        let same_bytes = match &self.presence.bytes {
            Bytes::Shared(stanza, annotation) => {
                let annotation = *annotation;
                let before = News::plain(news.from, stanza);
                Parts::of(&News { annotation, ..before }).text == parts.text
            }
            Bytes::Own { .. } => self.presence.bytes.are(&parts),
        };
        same_bytes && self.foreign() == news.foreign
    }

    /// Whether the session was told that it may not be true, and not yet that it is again.
    pub fn is_annotated(&self) -> bool {
        self.told || (self.foreign().is_some() && self.shown)
    }

    /// About how much memory it takes, as if its bytes were not shared with another session; without what it has in common
    /// with other presence.
    pub fn bytes(&self) -> usize {
        let bytes = match &self.presence.bytes {
            Bytes::Shared(stanza, _) => stanza.byte_len(),
            Bytes::Own { text, .. } => text.len(),
        };
        let foreign = self.foreign().map_or(0, <[u8]>::len);
        bytes + foreign + self.from().as_str().len() + REMEMBERED_BYTES + ENTRY_BYTES
    }

    /// What it has in common with other presence.
    pub(crate) fn common(&self) -> Option<&Arc<str>> {
        match &self.presence.bytes {
            Bytes::Shared(..) => None,
            Bytes::Own { common, .. } => common.as_ref(),
        }
    }

    /// The same for those that share their bytes.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.presence) as usize
    }

    /// Whether the session does not know what is known: `broken` says that the path to its sender is.
    pub fn is_behind(&self, broken: bool) -> bool {
        self.told != broken || self.foreign().is_some() != self.shown
    }

    /// The repeat that brings the session up to date, for an interested one (PSA-09, PSA-19): the presence, what its own
    /// server says, and what this server says, which is nothing where it has not said anything.
    pub fn repeat(&mut self, to: &Address, ours: impl FnOnce(bool) -> Vec<u8>, broken: bool) -> Parcel {
        let from = self.from();
        let mut parcel = self.stanza().readdressed(Some(from.clone()), Some(to.clone()));
        if let Bytes::Shared(_, Some(place)) = self.presence.bytes {
            parcel = parcel.without_child(place);
        }
        match self.foreign() {
            Some(foreign) => parcel = parcel.with_appended(foreign),
            None if self.shown => {
                parcel = parcel.with_appended(&annotation(from.domainpart(), None, Words::None));
            }
            None => {}
        }
        self.shown = self.foreign().is_some();
        if self.told || broken {
            parcel = parcel.with_appended(&ours(broken));
        }
        self.told = broken;
        parcel
    }
}

/// About what an entry takes beside its bytes: what several sessions share, and what each has.
const REMEMBERED_BYTES: usize = size_of::<Remembered>() + 2 * COUNTS_BYTES;
pub(crate) const ENTRY_BYTES: usize = size_of::<Held>();
/// What shared bytes take beside themselves.
pub(crate) const COUNTS_BYTES: usize = 2 * size_of::<usize>();

impl Remembered {
    /// Whether that is the same as what has come now, and its bytes are the same in memory where they are shared.
    fn is(&self, news: &News<'_>, parts: Option<&Parts>) -> bool {
        let same_bytes = match (&self.bytes, parts) {
            (Bytes::Shared(stanza, _), None) => {
                std::ptr::eq(stanza.element().bytes(), news.stanza.element().bytes())
            }
            (Bytes::Shared(..) | Bytes::Own { .. }, Some(parts)) => self.bytes.are(parts),
            (Bytes::Own { .. }, None) => false,
        };
        same_bytes && self.foreign.as_deref() == news.foreign
    }
}

impl Bytes {
    fn are(&self, parts: &Parts) -> bool {
        match self {
            Bytes::Shared(..) => false,
            Bytes::Own { text, common, place } => {
                common.as_deref() == parts.common() && *place as usize == parts.begin && parts.is_own(text)
            }
        }
    }
}

/// What of a presence is written in every repeat, and from where to where in it others have the same.
struct Parts {
    text: String,
    begin: usize,
    end: usize,
}

impl Parts {
    fn of(news: &News<'_>) -> Parts {
        let mut parcel = news.stanza.readdressed(None, None);
        if let Some(place) = news.annotation {
            parcel = parcel.without_child(place);
        }
        let mut bytes = Vec::new();
        parcel.emit(&mut bytes, Target::Stream);
        let mut text = String::from_utf8(bytes).unwrap_or_default();
        if text.ends_with(CLOSING) {
            text.truncate(text.len() - CLOSING.len());
        } else if text.ends_with("/>") {
            text.truncate(text.len() - "/>".len());
            text.push('>');
        }
        text.drain(..OPENING.len().min(text.len()));
        let (begin, end) = alike(news.stanza, &text);
        Parts { text, begin, end }
    }

    fn common(&self) -> Option<&str> {
        self.text
            .get(self.begin..self.end)
            .filter(|common| !common.is_empty())
    }

    fn own_parts(&self) -> (&str, &str) {
        let before = self.text.get(..self.begin).unwrap_or_default();
        (before, self.text.get(self.end..).unwrap_or_default())
    }

    fn own(&self) -> Box<str> {
        let (before, behind) = self.own_parts();
        [before, behind].concat().into_boxed_str()
    }

    fn is_own(&self, text: &str) -> bool {
        let (before, behind) = self.own_parts();
        text.strip_prefix(before) == Some(behind)
    }
}

/// Where in the text of a presence its first children stand that many people send alike. One after another, they are one.
fn alike(presence: &Stanza, text: &str) -> (usize, usize) {
    let mut children = presence.children().skip_while(|child| !is_of_many(child));
    let Some((first, begin)) = children
        .next()
        .and_then(|first| Some((first, text.find(first.as_str())?)))
    else {
        return (0, 0);
    };
    let mut end = begin + first.as_str().len();
    for next in children.take_while(is_of_many) {
        if !text
            .get(end..)
            .is_some_and(|rest| rest.starts_with(next.as_str()))
        {
            break;
        }
        end += next.as_str().len();
    }
    (begin, end)
}

/// Everybody with the same version of a client sends the same capabilities (XEP-0115, XEP-0390), and occupants of a room
/// have the same roles and affiliations, unless the room tells who they are.
fn is_of_many(child: &Child<'_>) -> bool {
    child.is(namespace::CAPABILITIES, "c")
        || child.is(MODERN, "c")
        || (child.is(namespace::MUC_USER, "x") && !child.as_str().contains(" jid="))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: &str = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/>";
    const MODERN_CAPS: &str =
        "<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>x</hash></c>";

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn stanza(text: &str) -> Stanza {
        let element = Element::parse(
            text.as_bytes(),
            ContentNamespace::Client,
            &xml::Limits::unlimited(),
        )
        .unwrap();
        Stanza::new(element, None, None, Some(&Arc::from("it"))).unwrap()
    }

    fn held(text: &str, near: &[&Received]) -> Held {
        let from = address("juliet@capulet.lit/balcony");
        Held::new(News::plain(&from, &stanza(text)), near.iter().copied())
    }

    /// What is repeated is what was received, whatever stands where in it.
    #[test]
    fn psa_09_what_is_remembered_in_few_bytes_is_written_as_it_came() {
        let to = address("romeo@montague.lit/lane");
        let muc =
            "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='visitor'/></x>";
        for content in [
            String::new(),
            "text".to_owned(),
            "<show>away</show>".to_owned(),
            CAPS.to_owned(),
            format!("<show>away</show>{CAPS}<status>Ay me!</status>"),
            format!("{CAPS}{MODERN_CAPS}{muc}<priority>5</priority>"),
            format!("<x xmlns='y'>{CAPS}</x><status>è</status> {CAPS} {MODERN_CAPS}"),
            format!("{CAPS}{CAPS}"),
        ] {
            for head in [
                "",
                " id='a&amp;b'",
                " xml:lang='fr' id=\"x\"",
                " xmlns='jabber:client' to='a@b' odd='1'",
            ] {
                let text = format!("<presence{head}>{content}</presence>");
                let expected = stanza(&text).readdressed(None, Some(to.clone()));
                let mut held = held(&text, &[]);
                let from = Some(held.from().clone());
                let expected = Parcel::readdressed(expected.stanza().clone(), from, Some(to.clone()));
                let repeat = held.repeat(&to, |_| Vec::new(), false);
                let text = |parcel: &Parcel| String::from_utf8(parcel.to_bytes()).unwrap();
                assert_eq!(text(&repeat), text(&expected));
                assert_eq!(
                    repeat.stanza().children().count(),
                    expected.stanza().children().count()
                );
            }
        }
    }

    #[test]
    fn psa_09_an_annotation_that_came_with_it_is_no_part_of_it() {
        let ours = "<state-annotation xmlns='urn:xmpp:psa' from='capulet.lit'><connection-paused/></state-annotation>";
        let from = address("juliet@capulet.lit/balcony");
        for is_shared in [true, false] {
            let written = |text: &str| stanza(text);
            let stanza = written(&format!("<presence>{CAPS}{ours}{CAPS}</presence>"));
            let news = News {
                annotation: Some(1),
                foreign: Some(b"<theirs/>"),
                is_shared,
                ..News::plain(&from, &stanza)
            };
            let mut held = Held::new(news, std::iter::empty());
            let again = written(stanza.element().as_str());
            assert!(held.is_same_as(&News {
                stanza: &again,
                ..news
            }));
            assert!(!held.is_same_as(&News {
                foreign: None,
                ..news
            }));
            let confirmed = held.clone().confirmed();
            assert!(confirmed.is_same_as(&News {
                foreign: None,
                ..news
            }));
            let repeat = held.repeat(&address("romeo@montague.lit"), |_| Vec::new(), false);
            let repeat = String::from_utf8(repeat.to_bytes()).unwrap();
            assert!(
                repeat.ends_with(&format!("{CAPS}{CAPS}<theirs/></presence>")),
                "{repeat}"
            );
        }
    }

    #[test]
    fn what_is_the_same_is_in_memory_once() {
        let first = format!("<presence><show>away</show>{CAPS}{MODERN_CAPS}</presence>");
        let mut received = Received::default();
        received.put(held(&first, &[]));
        let mine = received.get("juliet@capulet.lit/balcony").unwrap();
        let (again, other) = (held(&first, &[&received]), first.replace("away", "dnd"));
        assert_eq!(
            again.identity(),
            mine.identity(),
            "the other session got the same"
        );
        let other = held(&other, &[&received]);
        assert_ne!(other.identity(), mine.identity());
        assert!(Arc::ptr_eq(other.common().unwrap(), mine.common().unwrap()));
        let moved = held(
            &format!("<presence>{CAPS}{MODERN_CAPS}<show>away</show></presence>"),
            &[&received],
        );
        assert_ne!(
            moved.identity(),
            mine.identity(),
            "its children stand in another order"
        );
    }

    #[test]
    fn an_occupant_that_the_room_names_has_nothing_in_common_with_others() {
        let occupant = |attributes: &str| {
            let text = format!(
                "<presence><x xmlns='http://jabber.org/protocol/muc#user'><item role='visitor'{attributes}/></x></presence>"
            );
            held(&text, &[]).common().is_some()
        };
        assert_eq!((occupant(""), occupant(" jid='a@b/c'")), (true, false));
    }

    #[test]
    fn an_entry_stays_small_because_there_may_be_thousands() {
        assert!(size_of::<Held>() <= 24 && size_of::<Remembered>() <= 80);
    }
}
