//! The `<state-annotation/>` of XEP-0310: writing it, and telling a true one from a forged one.

use stanza::{Address, Kind, Parcel, PresenceType, Stanza, namespace};
use xml::{Child, ContentNamespace, Element};

const NAME: &str = "state-annotation";

/// Why presence may not be true any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The link to the entity's server is lost (PSA-11).
    ServerUnavailable,
    /// The entity's session has no connection for now (PSA-12).
    ConnectionPaused,
}

/// Whether an annotation has words for people (PSA-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// It has.
    Some,
    /// It has not (`psa.description = false`).
    None,
}

/// An annotation by `annotator`, the domain of a server or of a room service (PSA-10). Without a state it says that all is
/// well again, and then holds nothing (PSA-14).
pub fn annotation(annotator: &str, state: Option<State>, words: Words) -> Vec<u8> {
    let mut bytes = format!("<{NAME} xmlns='{}' from='", namespace::ANNOTATION).into_bytes();
    xml::escape_attribute(&mut bytes, annotator);
    let Some(state) = state else {
        bytes.extend_from_slice(b"'/>");
        return bytes;
    };
    let (element, sentence) = match state {
        State::ServerUnavailable => (
            "server-unavailable",
            "The server of this contact cannot be reached at the moment.",
        ),
        State::ConnectionPaused => (
            "connection-paused",
            "The connection of this contact was interrupted and may come back.",
        ),
    };
    bytes.extend_from_slice(format!("'><{element}/>").as_bytes());
    if words == Words::Some {
        bytes.extend_from_slice(format!("<description xml:lang='en'>{sentence}</description>").as_bytes());
    }
    bytes.extend_from_slice(format!("</{NAME}>").as_bytes());
    bytes
}

/// The annotations of one presence, told apart (PSA-15: wherever among the children they stand).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Places of those by nobody who may annotate (PSA-16, PSA-17).
    pub forged: Vec<u16>,
    /// The true one.
    pub genuine: Option<Genuine>,
}

/// An annotation by the server or service that the presence comes from.
#[derive(Debug, PartialEq, Eq)]
pub struct Genuine {
    /// Its place among the children.
    pub place: u16,
    /// The whole element; `None` when it says that all is well again.
    pub bytes: Option<Vec<u8>>,
}

impl Annotations {
    /// Tells apart the annotations in a presence from `sender`: genuine is the first one by the sender's own domain, which
    /// is what its stream has authenticated (PSA-17). Costs nothing where there is none.
    pub fn of(presence: &Stanza, sender: Option<&Address>) -> Option<Annotations> {
        presence.child(namespace::ANNOTATION, NAME)?;
        let mut annotations = Annotations::default();
        for child in presence.children().filter(is_annotation) {
            let by = child.attribute("from");
            let is_true = by
                .as_deref()
                .is_some_and(|by| sender.is_some_and(|sender| sender.domainpart() == by));
            if is_true && annotations.genuine.is_none() {
                let tree = child.to_tree();
                let bytes = tree.children().next().map(|_| child.bytes().to_vec());
                annotations.genuine = Some(Genuine {
                    place: child.index(),
                    bytes,
                });
            } else {
                annotations.forged.push(child.index());
            }
        }
        Some(annotations)
    }

    /// All places, for whoever lets no annotation pass: clients never annotate (PSA-16).
    pub fn places(&self) -> Vec<u16> {
        let mut places = self.forged.clone();
        places.extend(self.genuine.as_ref().map(|genuine| genuine.place));
        places
    }
}

/// The presence with an annotation behind what it says: one copy for all who hold it.
pub fn with_annotation(presence: &Stanza, annotation: &[u8]) -> Option<Stanza> {
    let (from, to) = (presence.from().cloned(), presence.to().cloned());
    parsed(&presence.readdressed(from, to).with_appended(annotation))
}

/// Whether this is available presence with an annotation.
pub fn is_annotated(parcel: &Parcel) -> bool {
    let is_appended = |bytes: &[u8]| {
        let mark = namespace::ANNOTATION.as_bytes();
        bytes.windows(mark.len()).any(|part| part == mark)
    };
    parcel.stanza().kind() == Kind::Presence(PresenceType::Available)
        && (parcel.appended().is_some_and(|bytes| is_appended(bytes))
            || parcel.stanza().child(namespace::ANNOTATION, NAME).is_some())
}

/// Whether annotated presence says all that an earlier one says that has not been taken yet: then the earlier one need
/// not be told any more (PSA-45).
pub fn renews(newer: &Parcel, older: &Parcel) -> bool {
    newer.from().is_some() && newer.from() == older.from() && is_annotated(newer) && is_annotated(older)
}

fn parsed(parcel: &Parcel) -> Option<Stanza> {
    let element = Element::parse(
        &parcel.to_bytes(),
        ContentNamespace::Client,
        &xml::Limits::unlimited(),
    )
    .ok()?;
    Stanza::new(element, parcel.from().cloned(), parcel.to().cloned(), None).ok()
}

/// The presence without the children at these places: a copy of its own, for the rare one that lies.
pub fn without_children(presence: &Stanza, places: &[u16]) -> Option<Stanza> {
    let (from, to) = (presence.from().cloned(), presence.to().cloned());
    let parcel = presence.readdressed(from, to);
    parsed(
        &places
            .iter()
            .fold(parcel, |parcel, place| parcel.without_child(*place)),
    )
}

fn is_annotation(child: &Child<'_>) -> bool {
    child.is(namespace::ANNOTATION, NAME)
}

#[cfg(test)]
mod tests {
    use stanza::{Kind, PresenceType};

    use super::*;

    fn presence(payload: &[u8]) -> Stanza {
        Stanza::build(Kind::Presence(PresenceType::Available), None, None, None, payload)
    }

    fn text(state: Option<State>, words: Words) -> String {
        String::from_utf8(annotation("montague.lit", state, words)).unwrap()
    }

    #[test]
    fn psa_10_psa_11_psa_12_psa_13_an_annotation_names_who_annotates_and_why() {
        assert_eq!(
            text(Some(State::ServerUnavailable), Words::None),
            "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'><server-unavailable/></state-annotation>"
        );
        assert_eq!(
            text(Some(State::ConnectionPaused), Words::None),
            "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'><connection-paused/></state-annotation>"
        );
        assert!(text(Some(State::ConnectionPaused), Words::Some).contains("<description xml:lang='en'>"));
    }

    #[test]
    fn psa_14_back_to_normal_is_an_empty_annotation() {
        for words in [Words::Some, Words::None] {
            assert_eq!(
                text(None, words),
                "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/>"
            );
        }
    }

    #[test]
    fn psa_15_psa_17_psa_65_only_the_senders_own_domain_annotates_wherever_it_stands() {
        let sender = Address::parse("juliet@capulet.lit/balcony").unwrap();
        let payload = b"<state-annotation xmlns='urn:xmpp:psa' from='evil.lit'><server-unavailable/></state-annotation>\
            <state-annotation xmlns='urn:xmpp:psa' from='capulet.lit'><connection-paused/><x/></state-annotation>\
            <status>Ay me!</status><state-annotation xmlns='urn:xmpp:psa'/><state-annotation xmlns='urn:x' from='capulet.lit'/>";
        let annotations = Annotations::of(&presence(payload), Some(&sender)).unwrap();
        assert_eq!(annotations.forged, [0, 3]);
        let genuine = annotations.genuine.unwrap();
        assert_eq!(genuine.place, 1);
        let bytes = String::from_utf8(genuine.bytes.unwrap()).unwrap();
        assert!(
            bytes.contains("<connection-paused/><x/>"),
            "PSA-65: unknown children are kept: {bytes}"
        );
        assert_eq!(Annotations::of(&presence(b"<status/>"), Some(&sender)), None);
    }

    #[test]
    fn psa_14_an_empty_one_is_known_as_such() {
        let sender = Address::parse("capulet.lit").unwrap();
        let clear = annotation("capulet.lit", None, Words::None);
        let annotations = Annotations::of(&presence(&clear), Some(&sender)).unwrap();
        assert_eq!(annotations.genuine.unwrap().bytes, None);
    }

    #[test]
    fn psa_45_an_annotated_repeat_makes_an_earlier_one_of_the_same_sender_needless_and_nothing_else() {
        let parcel = |from: &str, payload: &[u8]| {
            presence(payload).readdressed(Some(Address::parse(from).unwrap()), None)
        };
        let paused = annotation("b.lit", Some(State::ConnectionPaused), Words::Some);
        let back = annotation("b.lit", None, Words::Some);
        let newer = parcel("a@b.lit/c", &back);
        assert!(renews(&newer, &parcel("a@b.lit/c", &paused)));
        assert!(renews(&newer, &parcel("a@b.lit/c", b"").with_appended(&paused)));
        assert!(!renews(&newer, &parcel("a@b.lit/d", &paused)));
        assert!(!renews(&newer, &parcel("a@b.lit/c", b"<status/>")), "it was news");
        assert!(!renews(
            &parcel("a@b.lit/c", b"<status/>"),
            &parcel("a@b.lit/c", &paused)
        ));
        let kind = Kind::Presence(PresenceType::Unavailable);
        let gone = Stanza::build(kind, None, None, None, &paused);
        let gone = gone.readdressed(Some(Address::parse("a@b.lit/c").unwrap()), None);
        assert!(!renews(&newer, &gone) && !is_annotated(&gone));
    }
}
