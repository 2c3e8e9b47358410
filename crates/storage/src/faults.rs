//! What goes wrong in a [`Memory`](crate::Memory), and how long it takes, by a seed.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How a store in memory misbehaves. The default is a store that never does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// How long an answer takes, evenly spread.
    pub delay: RangeInclusive<Duration>,
    /// Of a thousand operations, this many are answered with `Unavailable`.
    pub unavailable_per_mille: u16,
    /// Of a thousand writes, this many are answered with `Refused`.
    pub refused_per_mille: u16,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            delay: Duration::ZERO..=Duration::ZERO,
            unavailable_per_mille: 0,
            refused_per_mille: 0,
        }
    }
}

/// Dice of a seed: SplitMix64.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    pub(crate) fn per_mille(&mut self, chance: u16) -> bool {
        self.below(1000) < u64::from(chance)
    }

    pub(crate) fn duration(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let width = range.end().saturating_sub(*range.start()).as_micros();
        let width = u64::try_from(width).unwrap_or(u64::MAX);
        *range.start() + Duration::from_micros(self.below(width.saturating_add(1)))
    }
}
