//! Roster gets, with versions (RFC 6121 §2.1.3, §2.1.4, §2.6; XEP-0237).

use stanza::namespace::ROSTER;
use stanza::{Condition, StanzaError};
use xml::Tree;

use crate::{Limits, Push, Roster};

/// The answer to a roster get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retrieved {
    /// A result with this `<query/>`: the whole roster.
    Whole(Vec<u8>),
    /// An empty result, then these pushes to the resource that asked: what has changed since the version that it named
    /// (RFC 6121 §2.6.3). None when nothing has.
    Since(Vec<Push>),
}

impl Roster {
    /// A roster get of the user: `query` is the payload of the IQ.
    ///
    /// # Errors
    /// `bad-request` when the query has items (RFC 6121 §2.1.3).
    pub fn retrieve(&self, query: &Tree, limits: &Limits) -> Result<Retrieved, StanzaError> {
        if query.children().any(|child| child.is(ROSTER, "item")) {
            return Err(StanzaError::new(Condition::BadRequest).text("a roster get has no items"));
        }
        let named = query
            .attribute("ver")
            .and_then(|version| self.known_version(version));
        if let Some(pushes) = named.and_then(|version| self.since(version, limits)) {
            return Ok(Retrieved::Since(pushes));
        }
        let mut payload = Vec::with_capacity(64 + 96 * self.items.len());
        self.write(&mut payload);
        Ok(Retrieved::Whole(payload))
    }

    /// Appends the whole roster as a `<query/>` (RFC 6121 §2.1.4).
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("<query xmlns='{ROSTER}' ver='{}'", self.version).as_bytes());
        if self.items.is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        out.push(b'>');
        for (contact, item) in &self.items {
            item.write(contact, out);
        }
        out.extend_from_slice(b"</query>");
    }

    /// A version of ours from which every change since is known. An empty `ver` is no version: the client has no roster
    /// yet (RFC 6121 §2.6.2).
    fn known_version(&self, text: &str) -> Option<u64> {
        let version: u64 = text.parse().ok()?;
        // A text that we would not write, such as "007", is none of ours.
        (version.to_string() == text && (self.complete_since..=self.version).contains(&version))
            .then_some(version)
    }

    /// What has changed since, in the order of the changes; `None` when the whole roster is less to send.
    fn since(&self, version: u64, limits: &Limits) -> Option<Vec<Push>> {
        if version == self.version {
            return Some(Vec::new());
        }
        let changed = self.items.iter().filter(|(_, item)| item.version > version);
        let removed = self.removals.iter().filter(|row| row.version > version);
        let count = changed.clone().count() + removed.clone().count();
        if count > limits.interim_pushes || count > self.items.len() + 1 {
            return None;
        }
        let mut pushes: Vec<Push> = changed
            .map(|(contact, item)| Push::new(contact.clone(), Some(item.clone()), item.version))
            .chain(removed.map(|row| Push::new(row.contact.clone(), None, row.version)))
            .collect();
        // RFC 6121 §2.6.3: in the order of modification, each with a version of its own.
        pushes.sort_by_key(Push::version);
        Some(pushes)
    }
}
