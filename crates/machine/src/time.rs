//! Two clocks: one that only goes forward, for intervals, and one that people read.

use std::ops::Add;
use std::time::Duration;

/// A moment of a clock that never goes back, in microseconds since an origin that means nothing outside this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The moment this many microseconds after the origin.
    pub fn from_micros(micros: u64) -> Moment {
        Moment(micros)
    }

    /// Microseconds since the origin.
    pub fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it was not.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Moment {
    /// This long before, or the origin.
    #[must_use]
    pub fn before(self, duration: Duration) -> Moment {
        Moment(
            self.0
                .saturating_sub(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(
            self.0
                .saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

/// A point of civil time in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point this many microseconds after 1970-01-01T00:00:00Z.
    pub fn from_unix_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn as_unix_micros(self) -> i64 {
        self.0
    }

    /// This long before.
    #[must_use]
    pub fn before(self, duration: Duration) -> Timestamp {
        Timestamp(
            self.0
                .saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero when it was not.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `CCYY-MM-DDThh:mm:ss.sssZ` (XEP-0082 §3.2).
    pub fn to_xmpp(self) -> String {
        let millis = self.0.div_euclid(1000);
        let (days, millis_of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (
            millis_of_day / 3_600_000,
            millis_of_day / 60_000 % 60,
            millis_of_day / 1000 % 60,
        );
        format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
            millis_of_day % 1000
        )
    }
}

/// Days since 1970-01-01 as a date of the Gregorian calendar. Years begin in March here, so that the leap day is the
/// last day of its year, and 146 097 days make four hundred years.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days_since_0000_03_01 = days + 719_468;
    let era = days_since_0000_03_01.div_euclid(146_097);
    let day_of_era = days_since_0000_03_01.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xep0082_3_2_timestamps_are_written_in_utc() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999_000, "2024-02-29T23:59:59.999Z"),
            (1_795_219_200_123_456, "2026-11-21T00:00:00.123Z"),
            (-1_000, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_unix_micros(micros).to_xmpp(), text);
        }
    }

    #[test]
    fn moments_never_wrap() {
        assert_eq!(
            Moment::from_micros(u64::MAX) + Duration::from_secs(1),
            Moment::from_micros(u64::MAX)
        );
        assert_eq!(
            Moment::from_micros(1).since(Moment::from_micros(2)),
            Duration::ZERO
        );
    }
}
