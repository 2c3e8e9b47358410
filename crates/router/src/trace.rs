//! Stanzas as an operator may see them pass: who, to whom, what kind, never what is in them.
//!
//! While nobody looks, a stanza costs one read of an atomic flag.

use std::sync::atomic::{AtomicBool, Ordering};

use machine::Timestamp;
use parking_lot::Mutex;
use stanza::{Address, Parcel, Stanza};

/// Where a stanza passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// A client has sent it.
    FromClient,
    /// It goes into the mailbox of a client.
    ToClient,
    /// Another domain has sent it.
    FromServer,
    /// It goes to another domain.
    ToServer,
}

/// One stanza, redacted: addresses, kind, size, and the names of its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// When.
    pub at: Timestamp,
    /// Where.
    pub border: Border,
    /// `message`, `presence` or `iq`.
    pub name: &'static str,
    /// Its `type`, unless it is the one that is meant when none is written.
    pub kind: Option<&'static str>,
    /// From whom.
    pub from: Option<Address>,
    /// To whom; without it, to the sender's own account or audience.
    pub to: Option<Address>,
    /// Its `id`.
    pub id: Option<String>,
    /// The condition of an error.
    pub error: Option<String>,
    /// Name and namespace of each direct child.
    pub children: Vec<(String, String)>,
    /// Its size as it came in.
    pub bytes: usize,
}

/// Is shown what passes, and says whether it wants to see more. It must not wait.
pub type Sink = Box<dyn Fn(Sight) -> bool + Send + Sync>;

/// Who looks.
#[derive(Default)]
pub(crate) struct Watchers {
    /// Whether there is any.
    any: AtomicBool,
    all: Mutex<Vec<Watcher>>,
}

struct Watcher {
    wanted: Address,
    sink: Sink,
}

impl Watchers {
    pub(crate) fn add(&self, wanted: Address, sink: Sink) {
        let mut all = self.all.lock();
        all.push(Watcher { wanted, sink });
        self.any.store(true, Ordering::Relaxed);
    }

    /// Somebody may want to see this; `describe` is asked only then.
    pub(crate) fn show(&self, border: Border, passing: Passing<'_>, at: impl Fn() -> Timestamp) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let mut all = self.all.lock();
        all.retain(|watcher| {
            !passing.concerns(&watcher.wanted) || (watcher.sink)(passing.sight(border, at()))
        });
        self.any.store(!all.is_empty(), Ordering::Relaxed);
    }
}

/// A stanza with the addresses that it has on this part of its way.
#[derive(Clone, Copy)]
pub(crate) struct Passing<'s> {
    stanza: &'s Stanza,
    from: Option<&'s Address>,
    to: Option<&'s Address>,
}

impl<'s> From<&'s Stanza> for Passing<'s> {
    fn from(stanza: &'s Stanza) -> Passing<'s> {
        Passing {
            stanza,
            from: stanza.from(),
            to: stanza.to(),
        }
    }
}

impl<'s> From<&'s Parcel> for Passing<'s> {
    fn from(parcel: &'s Parcel) -> Passing<'s> {
        Passing {
            stanza: parcel.stanza(),
            from: parcel.from(),
            to: parcel.to(),
        }
    }
}

impl Passing<'_> {
    /// A domain is concerned by all its addresses, an account by all its resources.
    fn concerns(&self, wanted: &Address) -> bool {
        let is_meant = |address: &&Address| {
            address.domainpart() == wanted.domainpart()
                && (wanted.localpart().is_none() || address.localpart() == wanted.localpart())
                && (wanted.is_bare() || address.as_str() == wanted.as_str())
        };
        self.from.filter(is_meant).is_some() || self.to.filter(is_meant).is_some()
    }

    fn sight(&self, border: Border, at: Timestamp) -> Sight {
        let stanza = self.stanza;
        Sight {
            at,
            border,
            name: stanza.kind().name(),
            kind: stanza.kind().type_attribute(),
            from: self.from.cloned(),
            to: self.to.cloned(),
            id: stanza.id().map(|id| id.into_owned()),
            error: stanza.error_condition(),
            children: stanza
                .children()
                .map(|child| (child.name().to_owned(), child.namespace().to_owned()))
                .collect(),
            bytes: stanza.byte_len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stanza::{Kind, MessageType};

    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn message() -> Stanza {
        Stanza::build(
            Kind::Message(MessageType::Chat),
            Some(&address("romeo@montague.lit/orchard")),
            Some(&address("juliet@capulet.lit")),
            Some("m1"),
            b"<body>Wherefore art thou?</body>",
        )
    }

    fn seen_by(wanted: &str) -> Vec<Sight> {
        let watchers = Watchers::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&seen);
        let sink = move |sight| {
            keep.lock().push(sight);
            true
        };
        watchers.add(address(wanted), Box::new(sink));
        watchers.show(Border::FromClient, Passing::from(&message()), || {
            Timestamp::from_unix_micros(7)
        });
        let seen = seen.lock();
        seen.clone()
    }

    #[test]
    fn a_stanza_is_shown_to_who_asked_for_its_sender_or_recipient() {
        for wanted in [
            "romeo@montague.lit/orchard",
            "romeo@montague.lit",
            "montague.lit",
            "juliet@capulet.lit",
            "capulet.lit",
        ] {
            assert_eq!(seen_by(wanted).len(), 1, "{wanted}");
        }
        for other in [
            "romeo@montague.lit/balcony",
            "mercutio@montague.lit",
            "verona.lit",
            "juliet@capulet.lit/chamber",
        ] {
            assert_eq!(seen_by(other), [], "{other}");
        }
    }

    #[test]
    fn what_people_write_is_not_shown() {
        let shown = format!("{:?}", seen_by("montague.lit"));
        assert!(shown.contains("body") && shown.contains("m1"), "{shown}");
        assert!(!shown.contains("Wherefore"), "{shown}");
    }

    #[test]
    fn who_has_seen_enough_is_not_asked_again() {
        let watchers = Watchers::default();
        watchers.add(address("montague.lit"), Box::new(|_| false));
        watchers.show(Border::ToClient, Passing::from(&message()), || {
            Timestamp::from_unix_micros(7)
        });
        assert!(!watchers.any.load(Ordering::Relaxed));
        assert!(watchers.all.lock().is_empty());
    }
}
