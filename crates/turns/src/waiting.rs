//! Effects that wait until what was decided before them is durable.

use std::collections::VecDeque;

use crate::{CommitFailed, Limits};

/// One commit of one slot. Ids of a slot grow by one; no two commits of a slot share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub(crate) u64);

/// The commits of one machine that have effects waiting or no answer yet, in order.
pub(crate) struct Waiting<E> {
    commits: VecDeque<Commit<E>>,
    /// Commits and their effects, together.
    count: usize,
    bytes: usize,
}

struct Commit<E> {
    id: CommitId,
    state: State,
    /// Those of its own decision and of all decisions until the next commit.
    effects: Vec<E>,
    bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Durable,
    Lost,
}

/// Effects that need wait no longer.
pub(crate) enum Released<E> {
    /// Everything before them is durable.
    Durable(Vec<E>),
    /// Something before them is lost.
    Lost(Vec<E>),
}

impl<E> Waiting<E> {
    pub(crate) const fn new() -> Waiting<E> {
        Waiting {
            commits: VecDeque::new(),
            count: 0,
            bytes: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// Whether the machine must not decide more before something is answered.
    pub(crate) fn exceeds(&self, limits: Limits) -> bool {
        !self.is_empty()
            && (self.count >= limits.waiting_effects_max || self.bytes >= limits.waiting_bytes_max)
    }

    /// A decision with a commit: its effects wait for that.
    pub(crate) fn begin(&mut self, id: CommitId, effects: Vec<E>, bytes: u32) {
        let bytes = bytes as usize;
        self.count += 1 + effects.len();
        self.bytes += bytes;
        self.commits.push_back(Commit {
            id,
            state: State::Open,
            effects,
            bytes,
        });
    }

    /// A decision without a commit: its effects wait for the commit before it. True if there is one.
    pub(crate) fn follow(&mut self, effects: &mut Vec<E>, bytes: u32) -> bool {
        let Some(last) = self.commits.back_mut() else {
            return false;
        };
        if !effects.is_empty() {
            self.count += effects.len();
            self.bytes += bytes as usize;
            last.bytes += bytes as usize;
            last.effects.append(effects);
        }
        true
    }

    /// Notes the answer to a commit. Answers may come in any order; of two for one commit the first counts.
    pub(crate) fn answer(&mut self, id: CommitId, answer: Result<(), CommitFailed>) {
        if let Ok(place) = self.commits.binary_search_by_key(&id, |commit| commit.id)
            && let Some(commit) = self.commits.get_mut(place)
            && commit.state == State::Open
        {
            commit.state = match answer {
                Ok(()) => State::Durable,
                Err(CommitFailed) => State::Lost,
            };
        }
    }

    /// The next effects in order that need wait no longer. After a lost commit nothing is performed any more: the
    /// effects of all that follow it are lost with it, and only their answers are still awaited.
    pub(crate) fn release(&mut self) -> Option<Released<E>> {
        if self.commits.front()?.state == State::Open {
            return None;
        }
        let mut first = self.commits.pop_front()?;
        self.count -= 1 + first.effects.len();
        self.bytes -= first.bytes;
        if first.state == State::Durable {
            return Some(Released::Durable(first.effects));
        }
        for commit in &mut self.commits {
            self.count -= commit.effects.len();
            self.bytes -= std::mem::take(&mut commit.bytes);
            first.effects.append(&mut commit.effects);
        }
        Some(Released::Lost(first.effects))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        inbox_inputs_max: 1,
        inbox_bytes_max: 1,
        waiting_effects_max: 5,
        waiting_bytes_max: 100,
    };

    fn released(waiting: &mut Waiting<u32>) -> Vec<(bool, Vec<u32>)> {
        std::iter::from_fn(|| waiting.release())
            .map(|released| match released {
                Released::Durable(effects) => (true, effects),
                Released::Lost(effects) => (false, effects),
            })
            .collect()
    }

    #[test]
    fn effects_are_released_in_order_whatever_the_order_of_the_answers() {
        let mut waiting = Waiting::new();
        assert!(!waiting.follow(&mut vec![0], 0), "nothing to wait for");
        waiting.begin(CommitId(7), vec![1], 10);
        waiting.begin(CommitId(8), vec![2], 10);
        assert!(waiting.follow(&mut vec![3], 10));
        waiting.answer(CommitId(8), Ok(()));
        assert!(released(&mut waiting).is_empty());
        waiting.answer(CommitId(7), Ok(()));
        waiting.answer(CommitId(7), Err(CommitFailed));
        assert_eq!(released(&mut waiting), [(true, vec![1]), (true, vec![2, 3])]);
        assert!(waiting.is_empty());
        assert_eq!((waiting.count, waiting.bytes), (0, 0));
    }

    #[test]
    fn after_a_lost_commit_all_that_follows_is_lost_and_its_answers_are_awaited() {
        let mut waiting = Waiting::new();
        for id in 0..4 {
            waiting.begin(CommitId(id), vec![id as u32], 10);
        }
        waiting.answer(CommitId(1), Err(CommitFailed));
        waiting.answer(CommitId(3), Ok(()));
        assert!(
            released(&mut waiting).is_empty(),
            "the first may still become durable"
        );
        waiting.answer(CommitId(0), Ok(()));
        assert_eq!(released(&mut waiting), [(true, vec![0]), (false, vec![1, 2, 3])]);
        assert!(!waiting.is_empty());
        waiting.answer(CommitId(2), Ok(()));
        assert_eq!(released(&mut waiting), [(true, vec![]), (true, vec![])]);
        assert!(waiting.is_empty());
        assert_eq!((waiting.count, waiting.bytes), (0, 0));
    }

    #[test]
    fn what_waits_is_bounded_by_number_and_bytes() {
        let mut waiting = Waiting::new();
        waiting.begin(CommitId(0), vec![1, 2], 99);
        assert!(!waiting.exceeds(LIMITS));
        waiting.follow(&mut vec![3], 1);
        assert!(waiting.exceeds(LIMITS), "100 bytes");
        let mut waiting = Waiting::new();
        waiting.begin(CommitId(0), vec![1, 2, 3], 0);
        assert!(!waiting.exceeds(LIMITS));
        waiting.begin(CommitId(1), vec![], 0);
        assert!(waiting.exceeds(LIMITS), "two commits and three effects");
    }
}
