//! What entered, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::crowd::Place;

/// What is followed through the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Chat,
    Normal,
    Headline,
    Groupchat,
    /// A request; it has one answer at most.
    Request,
}

/// To whom it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addressed {
    Host,
    /// An account that there is.
    Bare,
    /// A resource of one, there or not.
    Full,
    /// An account that there is not.
    Nobody,
}

/// One stanza.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) what: What,
    pub(crate) addressed: Addressed,
    /// The address itself.
    pub(crate) to: String,
    /// The session of its sender.
    pub(crate) sender: Place,
    /// On which connections it was said, and where its bytes end in what was said there.
    pub(crate) sent: Vec<(Place, u64)>,
    /// When it was sent first, by the clock of the course.
    pub(crate) sent_at: u64,
    /// Whether its sender was told that it is handled.
    pub(crate) acknowledged: bool,
    /// Errors and results that came back.
    pub(crate) answers: u32,
    pub(crate) copies: Vec<Copy>,
}

/// A copy that a client got.
#[derive(Debug)]
pub(crate) struct Copy {
    /// The session of the client.
    pub(crate) reader: Place,
    /// Its place among the stanzas that the reader counts; `None` when it does not count.
    pub(crate) place: Option<u32>,
    /// When it was heard.
    pub(crate) at: u64,
    /// It bears a delay.
    pub(crate) is_late: bool,
}

/// The life of a session, as far as it may have taken stanzas that others got later.
pub(crate) struct Life {
    pub(crate) account: usize,
    /// When its last connection began to end, as its client saw it.
    pub(crate) ended_at: Option<u64>,
    /// When the server was done with that.
    pub(crate) closed_at: Option<u64>,
    /// Whether it may have gone on for a while.
    pub(crate) goes_on: bool,
}

/// What is known at the end of the connections.
pub(crate) struct Ends<'a> {
    /// How many bytes of each connection the server has surely taken.
    pub(crate) taken: &'a BTreeMap<Place, u64>,
    /// Sessions that live.
    pub(crate) living: &'a BTreeSet<Place>,
    /// How many of what it heard the server surely knows to be with each session, and how many it may know.
    pub(crate) readers: &'a BTreeMap<Place, (u32, u32)>,
    /// Since when the session could get messages.
    pub(crate) available: &'a BTreeMap<Place, u64>,
    /// Of each session.
    pub(crate) lives: BTreeMap<Place, Life>,
    /// When the server was killed.
    pub(crate) crashes: &'a [u64],
    /// Whether the store ever failed.
    pub(crate) store_failed: bool,
    /// Whether messages may have come back because too many waited.
    pub(crate) is_tight: bool,
}

/// Everything that is followed, by its number.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
}

impl Ledger {
    /// # Errors
    /// The first stanza whose fate is not as it should be, and why.
    pub(crate) fn check(&self, ends: &Ends<'_>) -> Result<(), String> {
        for (number, entry) in self.entries.iter().enumerate() {
            entry
                .check(ends)
                .map_err(|why| format!("{number} {why}: {entry:?}"))?;
        }
        self.check_order(ends)
    }

    /// RFC 6120 §10.1: what one sender says to one address is heard in order. A copy that was or may have been with
    /// a session that ended, or in the store, may come later.
    fn check_order(&self, ends: &Ends<'_>) -> Result<(), String> {
        let mut heard: Vec<(u64, usize, &Entry, &Copy)> = Vec::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let was_elsewhere = |copy: &Copy| {
                let account = ends.lives.get(&copy.reader).map(|life| life.account);
                let had_it = |life: &Life| {
                    let took_it = life.goes_on || life.closed_at.is_none_or(|end| end >= entry.sent_at);
                    Some(life.account) == account
                        && took_it
                        && life.ended_at.is_some_and(|end| end <= copy.at)
                };
                ends.lives.values().any(had_it)
            };
            let first = entry.copies.iter().map(|copy| copy.at).min();
            // A client that gets messages to its full address before it is available gets those that waited for it later.
            let waited_in_order =
                entry.addressed == Addressed::Bare && !ends.store_failed && !entry.saw_a_crash(ends);
            let fresh = |copy: &&Copy| {
                (!copy.is_late || waited_in_order) && Some(copy.at) == first && !was_elsewhere(copy)
            };
            heard.extend(
                entry
                    .copies
                    .iter()
                    .filter(fresh)
                    .map(|copy| (copy.at, number, entry, copy)),
            );
        }
        heard.sort_by_key(|(at, number, _, _)| (*at, *number));
        let mut last: BTreeMap<(Place, Place, &str, bool), usize> = BTreeMap::new();
        for (_, number, entry, copy) in heard {
            let key = (
                entry.sender,
                copy.reader,
                entry.to.as_str(),
                entry.what == What::Request,
            );
            if let Some(before) = last.insert(key, number)
                && before > number
            {
                return Err(format!("{number} came after {before}"));
            }
        }
        Ok(())
    }
}

impl Entry {
    fn check(&self, ends: &Ends<'_>) -> Result<(), String> {
        let lives = ends.living.contains(&self.sender);
        let was_taken = |(place, end): &(Place, u64)| ends.taken.get(place).is_some_and(|taken| end <= taken);
        let entered = self.acknowledged || self.sent.iter().any(was_taken);
        // Copies that count: without stream management those that were written, with it those acknowledged.
        let arrived = |known: fn(&(u32, u32)) -> u32| {
            let knows = |copy: &&Copy, place| {
                ends.readers
                    .get(&copy.reader)
                    .is_some_and(|acknowledged| place <= known(acknowledged))
            };
            let copies = self.copies.iter();
            copies
                .filter(|copy| copy.place.is_none_or(|place| knows(copy, place)))
                .collect::<Vec<_>>()
        };
        let surely_arrived = arrived(|(surely, _)| *surely);
        self.check_copies(&surely_arrived, ends)?;
        let arrived = arrived(|(_, perhaps)| *perhaps);
        // Over a restart whose store failed, what a client sends once more may have met its fate before.
        let answers_max = if ends.store_failed { self.sent.len() } else { 1 };
        if self.answers as usize > answers_max {
            return Err("was answered twice".to_owned());
        }
        if self.what == What::Request {
            return self.check_request(entered && lives, &arrived, ends);
        }
        let crashed = self.saw_a_crash(ends);
        if self.answers > 0 && !surely_arrived.is_empty() && !crashed && !ends.store_failed {
            return Err("was delivered and bounced".to_owned());
        }
        if self.answers > 0 || !arrived.is_empty() {
            return Ok(());
        }
        // Nothing came of it, as far as anybody could see. When is that lawful?
        let silent = match (self.what, self.addressed) {
            (What::Headline, _) => true,
            // It came back to somebody who was gone.
            (What::Groupchat, _) | (_, Addressed::Nobody) | (What::Normal, Addressed::Full) => !lives,
            (What::Chat | What::Normal, _) => !lives && (ends.is_tight || ends.store_failed),
            (What::Request, _) => false,
        };
        if self.acknowledged && !silent {
            return Err("was acknowledged and is lost".to_owned());
        }
        let uncertain = !entered || crashed || !lives;
        if !uncertain && !silent {
            return Err("is lost".to_owned());
        }
        Ok(())
    }

    /// A copy is given once to each session, and never to somebody who came when it had arrived already.
    fn check_copies(&self, arrived: &[&Copy], ends: &Ends<'_>) -> Result<(), String> {
        if ends.store_failed || self.saw_a_crash(ends) {
            // A row that could not be deleted is delivered again: better twice than never.
            return Ok(());
        }
        for (number, copy) in self.copies.iter().enumerate() {
            if self
                .copies
                .iter()
                .take(number)
                .any(|other| other.reader == copy.reader)
            {
                return Err("was given twice to the same session".to_owned());
            }
        }
        let Some(first) = arrived.iter().map(|copy| copy.at).min() else {
            return Ok(());
        };
        let came_later = |copy: &&Copy| {
            ends.available
                .get(&copy.reader)
                .is_some_and(|since| *since > first)
        };
        match self.copies.iter().filter(|copy| copy.at > first).find(came_later) {
            Some(_) => Err("was delivered again".to_owned()),
            None => Ok(()),
        }
    }

    fn saw_a_crash(&self, ends: &Ends<'_>) -> bool {
        ends.crashes.iter().any(|crash| *crash >= self.sent_at)
    }

    fn check_request(&self, is_sure: bool, arrived: &[&Copy], ends: &Ends<'_>) -> Result<(), String> {
        let crashed = self.saw_a_crash(ends);
        if arrived.len() > 1 {
            return Err("was asked of several".to_owned());
        }
        let must_be_answered = is_sure && !crashed && arrived.is_empty();
        if must_be_answered && self.answers == 0 {
            return Err("was not answered".to_owned());
        }
        Ok(())
    }
}
