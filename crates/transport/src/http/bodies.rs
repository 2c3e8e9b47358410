//! How much of the bodies of requests is in memory at the same time.
//!
//! A body has to be read whole before it is known which session it is for, so that whoever wants may send one, and slowly.
//! The beginning of each is free, which is enough for nearly all of them and bounded by the number of connections; what
//! goes beyond counts for all together and for its sender.

use std::collections::HashMap;
use std::net::IpAddr;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use parking_lot::Mutex;

/// What of each body does not count.
const FREE_BYTES: usize = 4 << 10;

/// Bytes beyond which a body is refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    /// One body.
    pub(super) one: usize,
    /// All that are being read, or are not yet with their sessions.
    pub(super) all: usize,
    /// Those of one address; `None`: without limit.
    pub(super) address: Option<usize>,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is larger than one may be.
    TooLarge,
    /// Too much is being read already.
    Busy,
    /// Its sender stopped in the middle.
    Broken,
}

/// The bodies that are being read.
#[derive(Default)]
pub(crate) struct Bodies(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    bytes: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A body, whose bytes count until this is dropped.
pub(super) struct Counting<'b> {
    bodies: &'b Bodies,
    address: IpAddr,
    counted: usize,
    pub(super) bytes: Vec<u8>,
}

impl Bodies {
    /// How much counts at the moment.
    pub(crate) fn bytes(&self) -> usize {
        self.0.lock().bytes
    }

    /// Reads a body.
    pub(super) async fn read(
        &self,
        mut body: Incoming,
        address: IpAddr,
        limits: BodyLimits,
    ) -> Result<Counting<'_>, Unread> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > limits.one {
            return Err(Unread::TooLarge);
        }
        let mut counting = Counting {
            bodies: self,
            address,
            counted: 0,
            bytes: Vec::new(),
        };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Unread::Broken)?;
            let Some(data) = frame.data_ref() else { continue };
            counting.take(data, limits)?;
        }
        Ok(counting)
    }
}

impl Counting<'_> {
    fn take(&mut self, data: &[u8], limits: BodyLimits) -> Result<(), Unread> {
        let length = self.bytes.len() + data.len();
        if length > limits.one {
            return Err(Unread::TooLarge);
        }
        let more = length.saturating_sub(FREE_BYTES) - self.counted;
        if more > 0 {
            let mut counted = self.bodies.0.lock();
            let at_address = counted.by_address.get(&self.address).copied().unwrap_or_default();
            if counted.bytes + more > limits.all
                || limits.address.is_some_and(|most| at_address + more > most)
            {
                return Err(Unread::Busy);
            }
            counted.bytes += more;
            counted.by_address.insert(self.address, at_address + more);
            self.counted += more;
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        if self.counted == 0 {
            return;
        }
        let mut counted = self.bodies.0.lock();
        counted.bytes = counted.bytes.saturating_sub(self.counted);
        if let Some(at_address) = counted.by_address.get_mut(&self.address) {
            *at_address = at_address.saturating_sub(self.counted);
            if *at_address == 0 {
                counted.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        one: 100_000,
        all: 50_000,
        address: Some(30_000),
    };

    fn begin(bodies: &Bodies, last: u8) -> Counting<'_> {
        Counting {
            bodies,
            address: IpAddr::from([192, 0, 2, last]),
            counted: 0,
            bytes: Vec::new(),
        }
    }

    #[test]
    fn small_bodies_are_always_taken_and_large_ones_only_as_far_as_all_and_one_sender_may() {
        let bodies = Bodies::default();
        let mut first = begin(&bodies, 1);
        assert_eq!(first.take(&[b'x'; 30_000], LIMITS), Ok(()));
        assert_eq!(begin(&bodies, 1).take(&[b'x'; 10_000], LIMITS), Err(Unread::Busy));
        let mut other = begin(&bodies, 2);
        assert_eq!(other.take(&[b'x'; 20_000], LIMITS), Ok(()));
        assert_eq!(
            other.take(&[b'x'; 20_000], LIMITS),
            Err(Unread::Busy),
            "all of them"
        );
        let mut small: Vec<_> = (0..100).map(|_| begin(&bodies, 1)).collect();
        for one in &mut small {
            assert_eq!(one.take(&[b'x'; FREE_BYTES / 2], LIMITS), Ok(()));
            assert_eq!(one.take(&[b'x'; FREE_BYTES / 2], LIMITS), Ok(()));
        }
        drop(first);
        assert_eq!(begin(&bodies, 1).take(&[b'x'; 10_000], LIMITS), Ok(()));
        assert_eq!(
            begin(&bodies, 3).take(&[b'x'; 100_001], LIMITS),
            Err(Unread::TooLarge)
        );
        drop(other);
        let counted = bodies.0.lock();
        assert_eq!((counted.bytes, counted.by_address.len()), (0, 0));
    }

    #[test]
    fn who_has_no_limits_per_address_still_leaves_room_for_others() {
        let bodies = Bodies::default();
        let limits = BodyLimits {
            address: None,
            ..LIMITS
        };
        let mut first = begin(&bodies, 1);
        assert_eq!(first.take(&[b'x'; 40_000], limits), Ok(()));
        assert_eq!(first.take(&[b'x'; 20_000], limits), Err(Unread::Busy));
    }
}
