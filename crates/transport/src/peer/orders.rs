//! What a connection is told from outside: orders that wait until its task takes them.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use router::{Order, StreamOrders};

/// Orders that wait for the task.
#[derive(Default)]
pub(crate) struct Orders(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    orders: VecDeque<Order>,
    waker: Option<Waker>,
}

impl StreamOrders for Orders {
    fn give(&self, order: Order) {
        let mut waiting = self.0.lock();
        waiting.orders.push_back(order);
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Orders {
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Order> {
        let mut waiting = self.0.lock();
        match waiting.orders.pop_front() {
            Some(order) => Poll::Ready(order),
            None => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
