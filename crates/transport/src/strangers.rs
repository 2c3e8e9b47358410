//! How often one reads from somebody who has not said yet who he is (`limits.unauthenticated_reads`).
//!
//! Each read costs the same, however little it brings: octets that come one by one cost a hundred times what they cost
//! together. Who says more than a login takes waits between reads, and who does so in next to nothing is not listened to any
//! longer: what comes costs the kernel something too. Below TLS and HTTP, so that their handshakes and heads are counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use machine::{Moment, Rate};
use router::Surroundings;
use tokio::time::Sleep;

use crate::System;
use crate::addresses::{Addresses, Limit};

/// Who has used up his reads and brought fewer bytes with each of them than this, on the average, is no client and no server:
/// the shortest record of TLS has more.
const FEW_BYTES: u64 = 16;

/// Whether somebody has logged in on a connection.
#[derive(Debug, Default, Clone)]
pub(crate) struct Acquaintance(Arc<AtomicBool>);

impl Acquaintance {
    pub(crate) fn made(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_made(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection on which nobody has logged in.
pub(crate) struct Stranger {
    acquaintance: Acquaintance,
    reads: Reads,
    addresses: Arc<Addresses>,
    system: System,
    is_counted: bool,
    /// What came.
    bytes: u64,
    /// Until it is read from again.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stranger {
    pub(crate) fn new(
        acquaintance: Acquaintance,
        rate: Rate,
        addresses: Arc<Addresses>,
        system: System,
    ) -> Stranger {
        Stranger {
            acquaintance,
            reads: Reads::at(rate),
            addresses,
            system,
            is_counted: false,
            bytes: 0,
            pause: None,
        }
    }

    /// Who it is depends on something else from now on.
    pub(crate) fn follow(&mut self, acquaintance: Acquaintance) {
        self.acquaintance = acquaintance;
    }

    pub(crate) fn is_known(&self) -> bool {
        self.acquaintance.is_made()
    }

    /// Whether it waits before it is read from again.
    pub(crate) fn pauses(&self) -> bool {
        self.pause.is_some()
    }

    /// Waits until it may be read from again. Meanwhile what comes gathers with the kernel.
    pub(crate) fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        Poll::Ready(())
    }

    /// So much was read.
    ///
    /// # Errors
    /// When it is too little to be listened to any longer.
    pub(crate) fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes += bytes as u64;
        let pause = self.reads.count(self.system.now());
        if !pause.is_zero() {
            if !std::mem::replace(&mut self.is_counted, true) {
                self.addresses.reject(Limit::Reads);
            }
            if self.bytes < self.reads.number * FEW_BYTES {
                return Err(io::Error::other("it comes in very small pieces"));
            }
            self.pause = Some(Box::pin(tokio::time::sleep(pause)));
        }
        Ok(())
    }
}

/// So many reads at once, and then one each time that the rate allows for it again.
#[derive(Debug)]
struct Reads {
    rate: Rate,
    number: u64,
    /// When all that was read is made up for.
    due: Moment,
}

impl Reads {
    fn at(rate: Rate) -> Reads {
        Reads {
            rate,
            number: 0,
            due: Moment::default(),
        }
    }

    /// Counts one, and says how long it is until the next.
    fn count(&mut self, now: Moment) -> Duration {
        let each = self.rate.per / self.rate.events.max(1);
        self.number += 1;
        self.due = self.due.max(now) + each;
        (self.due.since(now) + each).saturating_sub(self.rate.per)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        events: 40,
        per: Duration::from_secs(20),
    };

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1_000)
    }

    /// How often somebody is read from within a time who always has one octet more to say.
    fn reads_within(seconds: u64) -> u32 {
        let (mut reads, mut now, mut count) = (Reads::at(RATE), at(5_000), 0);
        while now < at(5_000 + seconds * 1_000) {
            count += 1;
            now = now + reads.count(now);
        }
        count
    }

    #[test]
    fn who_logs_in_as_everybody_does_is_never_waited_for() {
        let mut reads = Reads::at(RATE);
        assert!((0..39).all(|_| reads.count(at(5_000)).is_zero()));
    }

    #[test]
    fn who_brings_single_octets_is_read_from_twice_a_second() {
        assert_eq!(reads_within(1), 41);
        assert_eq!(reads_within(30), 99);
    }

    #[test]
    fn who_takes_his_time_has_all_his_reads_again() {
        let mut reads = Reads::at(RATE);
        for _ in 0..60 {
            reads.count(at(5_000));
        }
        assert!(reads.count(at(5_000)) > Duration::from_secs(10));
        let later = at(60_000);
        assert!((0..39).all(|_| reads.count(later).is_zero()));
        assert_eq!(reads.count(later), Duration::from_millis(500));
    }
}
