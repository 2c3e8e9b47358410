//! What a change of the lists leads to: what is to be kept, pushed and shown.

use std::sync::Arc;

use stanza::{Address, Kind, PresenceType};

use crate::lists::judge;
use crate::{Contacts, Direction, ItemRow, List, ListName, Question, Verdict};

/// Which lists the connected resources of the user have made active, the paused ones included.
#[derive(Debug, Clone, Copy)]
pub struct Connected<'a> {
    /// The active list of the resource that sent the request.
    pub sender: Option<&'a ListName>,
    /// The active list, or none, of every other resource.
    pub others: &'a [Option<&'a ListName>],
}

/// The outcome of a request that was granted. Its result is empty (XEP-0016 examples 12, 17, 24, 28; XEP-0191 examples
/// 7, 11, 14).
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// What is to be kept.
    pub changes: Vec<Change>,
    /// What becomes of the sender's active list.
    pub session: SessionChange,
    /// The pushes, after the result.
    pub pushes: Vec<Push>,
    /// For whom another list applies now, so that presence must be shown or hidden.
    pub shifts: Vec<Shift>,
}

/// A change to be kept before anything of it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The list is new or replaced: it has exactly these items.
    List {
        /// Its name.
        name: ListName,
        /// All its items.
        items: Vec<ItemRow>,
    },
    /// Some items of a list differ.
    Items {
        /// The list's name.
        name: ListName,
        /// The orders of items that are gone.
        removed: Vec<u32>,
        /// Items that are new, after those were removed.
        added: Vec<ItemRow>,
    },
    /// The list is gone with all its items.
    Removed {
        /// Its name.
        name: ListName,
    },
    /// The default list is this one, or none.
    Default {
        /// Its name.
        name: Option<ListName>,
    },
}

/// What becomes of the active list of the session that sent the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SessionChange {
    /// It stays.
    #[default]
    Keep,
    /// This list is active from now on.
    Active(ListName),
    /// None is: the default list applies.
    NoActive,
}

/// One `<iq type='set'/>` to each resource of the audience, from the user's bare address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Who gets it.
    pub audience: Audience,
    /// The payload.
    pub payload: Vec<u8>,
}

/// Who gets a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Every connected resource (XEP-0016 §2.2 rule 10).
    Connected,
    /// Every connected resource that has sent a request of XEP-0016 in its session. A list that was changed by blocking
    /// is news only to them: the other resources may know nothing of lists.
    UsesLists,
    /// Every connected resource that has requested the blocklist (XEP-0191 §3.3).
    HoldsBlocklist,
}

/// Whom a shift concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sessions {
    /// The resource that sent the request.
    Sender,
    /// Every resource that has made this list active.
    WithActive(ListName),
    /// Every resource without an active list, and the account as a whole.
    WithoutActive,
}

/// Another list, or the same list with other items, applies to some resources from now on.
///
/// The account asks it about everyone who may see the presence of such a resource, or whose presence that resource has
/// seen: who is hidden gets `unavailable`, past the door that is closed now (XEP-0016 §2.10, §2.11; XEP-0191 §3.3); who
/// is shown gets the current presence, or is probed (XEP-0191 §3.4).
#[derive(Debug, Clone)]
pub struct Shift {
    /// Whom it concerns.
    pub sessions: Sessions,
    /// The list that applied.
    pub before: Option<Arc<List>>,
    /// The list that applies now.
    pub after: Option<Arc<List>>,
}

/// What a shift does to presence between the user and one other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// It passed, and still does, or it did not, and still does not.
    Same,
    /// It passed, and does not any longer.
    Hidden,
    /// It did not pass, and does now.
    Shown,
}

impl Shift {
    /// What becomes of notifications in this direction between the user and `other`.
    pub fn presence(
        &self,
        direction: Direction,
        account: &Address,
        other: &Address,
        contacts: &dyn Contacts,
    ) -> Turn {
        let kind = Kind::Presence(PresenceType::Available);
        let question = Question {
            account,
            active: None,
            direction,
            kind,
            other,
        };
        let verdict = |list: &Option<Arc<List>>| judge(list.as_ref(), &question, contacts).0;
        Turn::between(verdict(&self.before), verdict(&self.after))
    }
}

impl Turn {
    /// The turn between two verdicts about the same stanza, for changes of the roster.
    pub fn between(before: Verdict, after: Verdict) -> Turn {
        match (before.passes(), after.passes()) {
            (true, false) => Turn::Hidden,
            (false, true) => Turn::Shown,
            (true, true) | (false, false) => Turn::Same,
        }
    }
}
