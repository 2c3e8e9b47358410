//! What waits for a turn at the database: bounded, in order, taken in groups.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Entries.
    pub(crate) entries: usize,
    /// Bytes of them; an empty queue takes one of any size.
    pub(crate) bytes: usize,
}

/// One that waits.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    pub(crate) what: T,
    pub(crate) bytes: usize,
    /// When it was asked for.
    pub(crate) since: Instant,
}

impl<T> Waiting<T> {
    /// When the asker is to be told that it took too long.
    pub(crate) fn deadline(&self, patience: Duration) -> Instant {
        self.since + patience
    }
}

/// A queue with one or more takers.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    limits: Limits,
    state: Mutex<State<T>>,
    /// Something was put in, or the queue was closed.
    news: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<Waiting<T>>,
    bytes: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(limits: Limits) -> Queue<T> {
        Queue {
            limits,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                bytes: 0,
                closed: false,
            }),
            news: Notify::new(),
        }
    }

    /// Puts one in. Comes back when the queue is full or closed.
    pub(crate) fn put(&self, what: T, bytes: usize) -> Result<(), T> {
        let mut state = self.state.lock();
        let too_many = state.waiting.len() >= self.limits.entries;
        let too_large = !state.waiting.is_empty() && state.bytes + bytes > self.limits.bytes;
        if state.closed || too_many || too_large {
            return Err(what);
        }
        state.bytes += bytes;
        let since = Instant::now();
        state.waiting.push_back(Waiting { what, bytes, since });
        drop(state);
        self.news.notify_one();
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Takes what waits, in order, up to these limits; waits for one at least. `None`: closed and empty.
    pub(crate) async fn take(&self, limits: Limits) -> Option<Vec<Waiting<T>>> {
        loop {
            {
                let mut state = self.state.lock();
                let group = state.take(limits);
                if !group.is_empty() {
                    // Each notice wakes one taker, but may stand for many entries.
                    if !state.waiting.is_empty() {
                        self.news.notify_one();
                    }
                    return Some(group);
                }
                if state.closed {
                    self.news.notify_one();
                    return None;
                }
            }
            self.news.notified().await;
        }
    }

    /// Takes those that have waited for too long.
    pub(crate) fn take_late(&self, patience: Duration) -> Vec<Waiting<T>> {
        let mut state = self.state.lock();
        let now = Instant::now();
        let late = state
            .waiting
            .partition_point(|waiting| waiting.deadline(patience) <= now);
        let late: Vec<_> = state.waiting.drain(..late).collect();
        state.bytes -= late.iter().map(|waiting| waiting.bytes).sum::<usize>();
        late
    }

    /// When the oldest one will have waited for too long.
    pub(crate) fn next_deadline(&self, patience: Duration) -> Option<Instant> {
        let state = self.state.lock();
        state.waiting.front().map(|waiting| waiting.deadline(patience))
    }

    /// Takes nothing more in. What is in it can be taken.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.news.notify_one();
    }
}

impl<T> State<T> {
    fn take(&mut self, limits: Limits) -> Vec<Waiting<T>> {
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < limits.entries {
            let Some(next) = self.waiting.front() else { break };
            bytes += next.bytes;
            if !group.is_empty() && bytes > limits.bytes {
                break;
            }
            self.bytes -= next.bytes;
            group.extend(self.waiting.pop_front());
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Limits = Limits {
        entries: 100,
        bytes: 1000,
    };

    fn queue(limits: Limits, entries: &[(u32, usize)]) -> Queue<u32> {
        let queue = Queue::new(limits);
        for &(what, bytes) in entries {
            queue.put(what, bytes).unwrap();
        }
        queue
    }

    fn take(queue: &Queue<u32>, entries: usize, bytes: usize) -> Vec<u32> {
        let group = queue.state.lock().take(Limits { entries, bytes });
        group.into_iter().map(|waiting| waiting.what).collect()
    }

    #[test]
    fn a_group_is_bounded_in_number_and_bytes_and_keeps_the_order() {
        let queue = queue(WIDE, &[(1, 10), (2, 10), (3, 500), (4, 1), (5, 1)]);
        assert_eq!(take(&queue, 2, 100), [1, 2]);
        assert_eq!(take(&queue, 9, 100), [3], "one that is too large goes alone");
        assert_eq!(take(&queue, 9, 100), [4, 5]);
        assert_eq!(queue.state.lock().bytes, 0);
    }

    #[test]
    fn a_full_queue_gives_back_what_it_does_not_take() {
        let limits = Limits {
            entries: 2,
            bytes: 100,
        };
        let queue = queue(limits, &[(1, 5000)]);
        assert_eq!(queue.put(2, 1), Err(2), "too many bytes");
        assert_eq!(take(&queue, 1, 1), [1]);
        queue.put(3, 1).unwrap();
        queue.put(4, 1).unwrap();
        assert_eq!(queue.put(5, 1), Err(5), "too many entries");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_queue_is_emptied_before_it_ends() {
        let queue = queue(WIDE, &[(1, 1)]);
        queue.close();
        assert_eq!(queue.put(2, 1), Err(2));
        assert_eq!(queue.take(WIDE).await.map(|group| group.len()), Some(1));
        assert!(queue.take(WIDE).await.is_none());
        assert!(queue.take(WIDE).await.is_none(), "for every taker");
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_waited_for_too_long_is_late() {
        let patience = Duration::from_secs(10);
        let queue = queue(WIDE, &[(1, 7)]);
        tokio::time::advance(Duration::from_secs(6)).await;
        queue.put(2, 7).unwrap();
        assert!(queue.take_late(patience).is_empty());
        tokio::time::advance(Duration::from_secs(4)).await;
        let late = queue.take_late(patience);
        assert_eq!(late.iter().map(|waiting| waiting.what).collect::<Vec<_>>(), [1]);
        assert_eq!(
            queue.next_deadline(patience),
            Some(Instant::now() + Duration::from_secs(6))
        );
        assert_eq!(queue.state.lock().bytes, 7);
    }
}
