//! Subscriptions as the prose of RFC 6121 §3 tells them, for two users of one server at once: another telling of the
//! tables that `roster` has.

use std::collections::BTreeMap;

/// Names a user.
pub(crate) type User = usize;

/// What one user's roster should have of another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Side {
    /// The user sees the contact.
    pub(crate) to: bool,
    /// The contact sees the user.
    pub(crate) from: bool,
    /// The user has asked.
    pub(crate) ask: bool,
    /// The contact has asked.
    pub(crate) asked: bool,
    /// The user has said yes in advance (§3.4).
    pub(crate) approved: bool,
    /// There is an item.
    pub(crate) listed: bool,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables(BTreeMap<(User, User), Side>);

impl Tables {
    pub(crate) fn side(&self, user: User, contact: User) -> Side {
        self.0.get(&(user, contact)).copied().unwrap_or_default()
    }

    fn change(&mut self, user: User, contact: User, change: impl FnOnce(&mut Side)) {
        let side = self.0.entry((user, contact)).or_default();
        change(side);
        side.listed |= side.to || side.from || side.ask || side.approved;
    }

    /// §3.1.
    pub(crate) fn subscribe(&mut self, user: User, contact: User) {
        self.change(user, contact, |side| side.ask |= !side.to);
        let theirs = self.side(contact, user);
        if theirs.from || theirs.approved {
            self.change(contact, user, |side| (side.from, side.asked) = (true, false));
            self.granted(user, contact);
        } else {
            self.change(contact, user, |side| side.asked = true);
        }
    }

    fn granted(&mut self, user: User, contact: User) {
        self.change(user, contact, |side| {
            side.to |= side.ask;
            side.ask = false;
        });
    }

    /// §3.1.5, and §3.4 when nobody has asked.
    pub(crate) fn subscribed(&mut self, user: User, contact: User) {
        let side = self.side(user, contact);
        if side.asked {
            self.change(user, contact, |side| (side.from, side.asked) = (true, false));
            self.granted(contact, user);
        } else if !side.from {
            self.change(user, contact, |side| side.approved = true);
        }
    }

    /// §3.3.
    pub(crate) fn unsubscribe(&mut self, user: User, contact: User) {
        self.change(user, contact, |side| (side.to, side.ask) = (false, false));
        self.change(contact, user, |side| (side.from, side.asked) = (false, false));
    }

    /// §3.2.
    pub(crate) fn unsubscribed(&mut self, user: User, contact: User) {
        let side = self.side(user, contact);
        self.change(user, contact, |side| {
            (side.from, side.asked, side.approved) = (false, false, false);
        });
        if side.from || side.asked {
            self.change(contact, user, |side| (side.to, side.ask) = (false, false));
        }
    }

    /// §2.3, §2.4.
    pub(crate) fn set(&mut self, user: User, contact: User) {
        self.change(user, contact, |side| side.listed = true);
    }

    /// §2.5.
    pub(crate) fn remove(&mut self, user: User, contact: User) {
        if self.side(user, contact).listed {
            self.unsubscribe(user, contact);
            self.unsubscribed(user, contact);
            self.0.remove(&(user, contact));
        }
    }
}
