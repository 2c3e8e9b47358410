//! What was delivered to a machine and had no turn yet.

use std::collections::VecDeque;

use crate::{Limits, Priority};

/// An input and the bytes it counts for.
pub(crate) struct Queued<I> {
    pub(crate) input: I,
    pub(crate) bytes: u32,
}

impl<I> Queued<I> {
    pub(crate) fn new(input: I, priority: Priority) -> Queued<I> {
        let bytes = match priority {
            Priority::Stanza(bytes) | Priority::Goodbye(bytes) => u32::try_from(bytes).unwrap_or(u32::MAX),
            Priority::Control => 0,
        };
        Queued { input, bytes }
    }
}

/// The memory of a queue of inputs. Empty inboxes have none: it is lent by the worker that delivers, and goes back to
/// the worker that takes the turn.
pub(crate) type Buffer<I> = VecDeque<Queued<I>>;

/// A bounded queue of inputs.
pub(crate) struct Inbox<I> {
    queue: Buffer<I>,
    bytes: usize,
}

impl<I> Inbox<I> {
    pub(crate) const fn new() -> Inbox<I> {
        Inbox {
            queue: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a stanza is too much now. One of any size fits into an empty inbox, or it could never be delivered; most
    /// inboxes are empty, and nobody asks for the limits then.
    pub(crate) fn refuses(&self, priority: Priority, limits: impl FnOnce() -> Limits) -> bool {
        let (bytes, times) = match priority {
            Priority::Control => return false,
            Priority::Stanza(_) | Priority::Goodbye(_) if self.queue.is_empty() => return false,
            Priority::Stanza(bytes) => (bytes, 1),
            Priority::Goodbye(bytes) => (bytes, Priority::GOODBYES),
        };
        let limits = limits();
        self.queue.len() >= limits.inbox_inputs_max.saturating_mul(times)
            || self.bytes.saturating_add(bytes) > limits.inbox_bytes_max.saturating_mul(times)
    }

    /// Appends an input, in memory from `lend` if there is none yet.
    pub(crate) fn push(&mut self, queued: Queued<I>, lend: impl FnOnce() -> Buffer<I>) {
        if self.queue.capacity() == 0 {
            self.queue = lend();
        }
        self.bytes += queued.bytes as usize;
        self.queue.push_back(queued);
    }

    /// Takes everything, with its memory.
    pub(crate) fn take(&mut self) -> Buffer<I> {
        self.bytes = 0;
        std::mem::take(&mut self.queue)
    }

    /// Puts back what a turn took and did not handle, before all that came meanwhile. Gives back memory left over.
    pub(crate) fn put_back(&mut self, mut earlier: Buffer<I>) -> Buffer<I> {
        if earlier.is_empty() {
            return earlier;
        }
        self.bytes += earlier.iter().map(|queued| queued.bytes as usize).sum::<usize>();
        earlier.append(&mut self.queue);
        std::mem::replace(&mut self.queue, earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        inbox_inputs_max: 3,
        inbox_bytes_max: 100,
        waiting_effects_max: 1,
        waiting_bytes_max: 1,
    };

    fn push(inbox: &mut Inbox<&'static str>, input: &'static str, priority: Priority) {
        inbox.push(Queued::new(input, priority), VecDeque::new);
    }

    #[test]
    fn stanzas_are_bounded_by_number_and_bytes_and_control_inputs_are_not() {
        let mut inbox = Inbox::new();
        assert!(
            !inbox.refuses(Priority::Stanza(1000), || LIMITS),
            "an empty inbox takes any stanza"
        );
        push(&mut inbox, "a", Priority::Stanza(60));
        assert!(!inbox.refuses(Priority::Stanza(40), || LIMITS));
        assert!(inbox.refuses(Priority::Stanza(41), || LIMITS));
        push(&mut inbox, "b", Priority::Control);
        push(&mut inbox, "c", Priority::Control);
        assert!(inbox.refuses(Priority::Stanza(1), || LIMITS));
        assert!(!inbox.refuses(Priority::Control, || LIMITS));
    }

    #[test]
    fn goodbyes_are_taken_where_others_are_refused_and_bounded_too() {
        let mut inbox = Inbox::new();
        let goodbye = Priority::Goodbye(10);
        for _ in 0..3 {
            push(&mut inbox, "a", Priority::Stanza(1));
        }
        assert!(inbox.refuses(Priority::Stanza(1), || LIMITS));
        let mut taken = 0;
        while !inbox.refuses(goodbye, || LIMITS) {
            push(&mut inbox, "b", goodbye);
            taken += 1;
        }
        assert_eq!(taken + 3, LIMITS.inbox_inputs_max * Priority::GOODBYES);
        assert!(!Inbox::<()>::new().refuses(Priority::Goodbye(10_000), || LIMITS));
    }

    #[test]
    fn what_is_put_back_comes_first_and_counts_again() {
        let mut inbox = Inbox::new();
        push(&mut inbox, "a", Priority::Stanza(50));
        push(&mut inbox, "b", Priority::Stanza(30));
        let mut batch = inbox.take();
        assert!(!inbox.refuses(Priority::Stanza(100), || LIMITS));
        batch.pop_front();
        push(&mut inbox, "c", Priority::Stanza(10));
        let left = inbox.put_back(batch);
        assert!(left.is_empty());
        assert!(!inbox.refuses(Priority::Stanza(60), || LIMITS));
        assert!(inbox.refuses(Priority::Stanza(61), || LIMITS));
        let order: Vec<_> = inbox.take().into_iter().map(|queued| queued.input).collect();
        assert_eq!(order, ["b", "c"]);
    }
}
