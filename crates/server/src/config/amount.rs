//! Values that say how much: times, numbers of bytes, rates.

use std::fmt;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::schema::{Description, Reader, Setting, kind_of};
use super::value::{Textual, quote};

/// A number of bytes, written with a unit: `"256KiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub usize);

/// So many in so much time, written `"6/1m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how much time; never zero.
    pub period: Duration,
}

impl Textual for Duration {
    const FORM: &'static str = "a time such as \"500ms\", \"120s\", \"5m\", \"12h\" or \"1d\"";

    fn from_text(text: &str) -> Result<Self, String> {
        parse_duration(text).ok_or_else(|| format!("\"{text}\" is no time"))
    }

    fn to_text(&self) -> String {
        write_duration(*self)
    }
}

impl Textual for Rate {
    const FORM: &'static str = "how many in how much time, such as \"6/1m\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let no_rate = || format!("\"{text}\" is no rate");
        let (count, period) = text.split_once('/').ok_or_else(no_rate)?;
        let count = count.trim().parse().map_err(|_| no_rate())?;
        let period = parse_duration(period)
            .filter(|period| !period.is_zero())
            .ok_or_else(no_rate)?;
        if count == 0 {
            return Err(format!("\"{text}\" would allow nothing at all"));
        }
        Ok(Rate { count, period })
    }

    fn to_text(&self) -> String {
        format!("{}/{}", self.count, write_period(self.period))
    }
}

impl Setting for ByteSize {
    fn describe() -> Description {
        Description::Value(BYTE_SIZE_FORM.to_owned())
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let written = value.get_ref();
        let read = if let Some(number) = written.as_integer() {
            usize::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| format!("{number} is no number of bytes"))
        } else if let Some(text) = written.as_str() {
            parse_bytes(text)
        } else {
            Err(format!("cannot be {}", kind_of(written)))
        };
        read.map(ByteSize)
            .map_err(|message| reader.wrong(value.span(), key, message, format!("Write {BYTE_SIZE_FORM}.")))
            .ok()
    }

    fn write(&self) -> Option<String> {
        Some(quote(&self.to_string()))
    }
}

const BYTE_SIZE_FORM: &str = "a number of bytes with its unit, such as \"256KiB\", \"4MiB\" or \"1GiB\"";

impl fmt::Display for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        for (unit, size) in BYTE_UNITS.iter().rev() {
            if bytes >= *size && bytes.is_multiple_of(*size) {
                return write!(out, "{}{unit}", bytes / size);
            }
        }
        write!(out, "{bytes}B")
    }
}

const BYTE_UNITS: [(&str, usize); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// In milliseconds, shortest first.
const TIME_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let no_size = || format!("\"{text}\" is no number of bytes");
    let number: usize = number.parse().map_err(|_| no_size())?;
    match BYTE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, size)) => number.checked_mul(*size).ok_or_else(no_size),
        None if unit.is_empty() => Err(format!("\"{text}\" lacks a unit")),
        None => Err(format!("\"{unit}\" is no unit of bytes")),
    }
}

/// One or more numbers with units, as in `1h30m`.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut milliseconds: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().ok()?;
        let (_, size) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
        milliseconds = milliseconds.checked_add(number.checked_mul(*size)?)?;
        rest = after;
    }
    Some(Duration::from_millis(milliseconds))
}

/// Up to ten minutes in seconds, as the documents about the settings write it; longer ones in their largest whole unit.
fn write_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_millis() == 0 && seconds <= 600 {
        format!("{seconds}s")
    } else {
        write_period(duration)
    }
}

/// In the largest whole unit.
fn write_period(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    for (unit, size) in TIME_UNITS.iter().rev() {
        if milliseconds >= *size && milliseconds.is_multiple_of(*size) {
            return format!("{}{unit}", milliseconds / size);
        }
    }
    "0s".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, milliseconds, written) in [
            ("0s", 0, "0s"),
            ("500ms", 500, "500ms"),
            ("120s", 120_000, "120s"),
            ("5m", 300_000, "300s"),
            ("90m", 5_400_000, "90m"),
            ("1h30m", 5_400_000, "90m"),
            ("1d", 86_400_000, "1d"),
            ("1500ms", 1_500, "1500ms"),
        ] {
            let read = Duration::from_text(text).unwrap();
            assert_eq!(
                (read, read.to_text().as_str()),
                (Duration::from_millis(milliseconds), written)
            );
            assert_eq!(Duration::from_text(&read.to_text()), Ok(read));
        }
        for wrong in [
            "",
            "s",
            "5",
            "5 s",
            "-5s",
            "5S",
            "1.5s",
            "5w",
            "99999999999999999999s",
            "999999999999999d",
        ] {
            assert!(Duration::from_text(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn numbers_of_bytes_are_read_and_written() {
        for (text, bytes, written) in [
            ("0B", 0, "0B"),
            ("512B", 512, "512B"),
            ("256KiB", 262_144, "256KiB"),
            ("1024KiB", 1 << 20, "1MiB"),
            ("2 GiB", 2 << 30, "2GiB"),
        ] {
            let read = parse_bytes(text).map(ByteSize);
            assert_eq!(read, Ok(ByteSize(bytes)));
            assert_eq!(ByteSize(bytes).to_string(), written);
        }
        for wrong in [
            "",
            "KiB",
            "12",
            "12KB",
            "12kib",
            "-1B",
            "1.5MiB",
            "99999999999GiB",
        ] {
            assert!(parse_bytes(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn rates_are_read_and_written() {
        for (text, count, seconds, written) in [
            ("6/1m", 6, 60, "6/1m"),
            ("30/60s", 30, 60, "30/1m"),
            ("5/10s", 5, 10, "5/10s"),
        ] {
            let read = Rate::from_text(text).unwrap();
            assert_eq!(
                read,
                Rate {
                    count,
                    period: Duration::from_secs(seconds)
                }
            );
            assert_eq!(read.to_text(), written);
        }
        for wrong in ["", "6", "6/", "/1m", "6/1", "0/1m", "6/0s", "-6/1m", "6/1m/1m"] {
            assert!(Rate::from_text(wrong).is_err(), "{wrong} was taken");
        }
    }
}
