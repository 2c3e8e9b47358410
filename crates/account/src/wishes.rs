//! Wishes to see the user's presence that may still be answered (XEP-0276). The server carries them and answers none; it
//! remembers them for a while only to count what becomes of them.

use std::time::Duration;

use machine::{Context, Moment};
use presence::Decloak;
use stanza::Address;

use crate::account::{Account, Out};
use crate::figures::Wish;
use crate::input::{Key, Tally};
use crate::{Effect, Settings};

/// Whoever has not answered by then has ignored it.
const ANSWER_TIME: Duration = Duration::from_secs(120);

/// So many are remembered; the oldest counts as ignored when there are more.
const WISHES_MAX: usize = 32;

/// Who wishes what, and until when that is remembered; the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Wishes(Option<Box<Open>>);

/// Nearly nobody has any.
#[derive(Debug, Default)]
struct Open(Vec<(Address, Decloak, Moment)>);

impl Wishes {
    fn take(&mut self, is_meant: impl Fn(&Address, Moment) -> bool) -> Vec<Decloak> {
        let Some(open) = &mut self.0 else {
            return Vec::new();
        };
        let taken = open.0.extract_if(.., |(from, _, until)| is_meant(from, *until));
        let taken = taken.map(|(_, decloak, _)| decloak).collect();
        if open.0.is_empty() {
            self.0 = None;
        }
        taken
    }
}

impl Account {
    /// Somebody wishes to see the user's presence.
    pub(crate) fn wish_arrives(
        &mut self,
        context: &Context<'_, Settings>,
        from: &Address,
        decloak: Decloak,
        out: &mut Out,
    ) {
        if !self.sessions.iter().any(|session| session.presence.is_some()) {
            count(decloak, Wish::Ignored, out);
            return;
        }
        let until = context.now + ANSWER_TIME;
        let open = &mut self.wishes.0.get_or_insert_default().0;
        if open.len() >= WISHES_MAX {
            let (_, oldest, _) = open.remove(0);
            count(oldest, Wish::Ignored, out);
        }
        open.push((from.clone(), decloak, until));
        out.effects.push(Effect::WakeAt(Key::Wishes, until));
    }

    /// A session shows itself to somebody (DCL-05: to the full address, or to the bare one).
    pub(crate) fn wish_is_answered(&mut self, to: &Address, out: &mut Out) {
        let is_meant = |from: &Address| from == to || (to.is_bare() && from.same_bare(to));
        for decloak in self.wishes.take(|from, _| is_meant(from)) {
            count(decloak, Wish::Answered, out);
        }
    }

    /// Some have waited for long enough.
    pub(crate) fn wishes_overdue(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        for decloak in self.wishes.take(|_, until| until <= context.now) {
            count(decloak, Wish::Ignored, out);
        }
    }

    /// Nobody is at home any more who could answer.
    pub(crate) fn wishes_are_over(&mut self, out: &mut Out) {
        for decloak in self.wishes.take(|_, _| true) {
            count(decloak, Wish::Ignored, out);
        }
    }
}

pub(crate) fn count(decloak: Decloak, wish: Wish, out: &mut Out) {
    out.effects.push(Effect::Count(Tally::Decloak(decloak, wish)));
}
