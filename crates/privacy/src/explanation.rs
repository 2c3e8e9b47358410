//! The verdict with everything that an operator asks next (`balcony privacy explain`).

use std::fmt;

use crate::lists::judge;
use crate::{Contacts, Ground, Item, ListName, Lists, Question, Verdict};

/// A verdict, the list that gave it and the item that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The verdict.
    pub verdict: Verdict,
    /// The list that applies.
    pub list: Option<ListName>,
    /// Whether that list applies because a session has made it active, rather than as the default.
    pub active: bool,
    /// The item that decided.
    pub item: Option<Item>,
}

impl Lists {
    /// The same verdict as [`Lists::may_pass`], explained.
    pub fn explain(&self, question: &Question<'_>, contacts: &dyn Contacts) -> Explanation {
        let list = self.applying(question.active);
        let (verdict, item) = judge(list, question, contacts);
        Explanation {
            verdict,
            list: list.map(|list| list.name().clone()),
            active: question.active.is_some(),
            item: item.cloned(),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.verdict.passes() { "passes" } else { "denied" };
        match self.verdict {
            Verdict::Pass(Ground::OwnAccount) => return write!(f, "{word}: both are the same account"),
            Verdict::Pass(Ground::OwnServer) => return write!(f, "{word}: it is the account's own server"),
            Verdict::Pass(Ground::NoList | Ground::NoItem | Ground::Item(_)) | Verdict::Deny(_) => {}
        }
        let Some(list) = &self.list else {
            return write!(f, "{word}: no list applies");
        };
        let role = if self.active { "active" } else { "default" };
        match &self.item {
            Some(item) => write!(
                f,
                "{word}: item {} of the {role} list {:?}: {item}",
                item.order,
                list.as_str()
            ),
            None => write!(
                f,
                "{word}: no item of the {role} list {:?} speaks of it",
                list.as_str()
            ),
        }
    }
}
