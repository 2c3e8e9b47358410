//! What a rule may ask of the roster.

use std::collections::BTreeSet;

use roster::{Item, Relation, Roster};

/// The user's roster, as far as rules speak of it. It is asked anew for each stanza, so that a change of the roster
/// counts at once (XEP-0016 §2.2 rule 9); lists without such rules never ask.
pub trait Contacts {
    /// The subscription of this bare address; `none` for who is not in the roster (XEP-0016 §2.1).
    fn relation(&self, bare: &str) -> Relation;

    /// Calls `visit` with each group of this bare address.
    fn for_each_group(&self, bare: &str, visit: &mut dyn FnMut(&str));

    /// Takes out of `groups` those that the roster knows.
    fn take_known_groups(&self, groups: &mut BTreeSet<&str>);
}

impl Contacts for Roster {
    fn relation(&self, bare: &str) -> Relation {
        Roster::relation(self, bare)
    }

    fn for_each_group(&self, bare: &str, visit: &mut dyn FnMut(&str)) {
        if let Some(item) = self.get(bare) {
            item.groups().for_each(visit);
        }
    }

    fn take_known_groups(&self, groups: &mut BTreeSet<&str>) {
        for (_, item) in self.iter() {
            if groups.is_empty() {
                return;
            }
            for group in item.groups() {
                groups.remove(group);
            }
        }
    }
}

/// One contact as it was or will be, to compare verdicts before and after a change of the roster.
impl Contacts for Option<&Item> {
    fn relation(&self, _bare: &str) -> Relation {
        self.map_or(Relation::None, Item::relation)
    }

    fn for_each_group(&self, _bare: &str, visit: &mut dyn FnMut(&str)) {
        if let Some(item) = self {
            item.groups().for_each(visit);
        }
    }

    fn take_known_groups(&self, groups: &mut BTreeSet<&str>) {
        self.for_each_group("", &mut |group| {
            groups.remove(group);
        });
    }
}
