//! What was said, for newcomers (XEP-0045 §7.2.13–§7.2.15).

use std::collections::VecDeque;
use std::time::Duration;

use machine::Timestamp;
use stanza::namespace::HINTS;
use stanza::{Parcel, Stanza};
use xml::{ContentNamespace, Element, Tree};

use crate::names::STANZA_ID;
use crate::stored::SaidRow;

/// The last messages of a room, oldest first, each ready to be sent again.
#[derive(Debug, Default)]
pub(crate) struct History {
    said: VecDeque<Said>,
    /// The place of the newest one that was ever said.
    last: i64,
    /// Rows up to this place are deleted, or about to be.
    forgotten: i64,
}

#[derive(Debug)]
pub(crate) struct Said {
    /// Its place: later ones have greater ones.
    place: i64,
    at: Timestamp,
    /// The room's id of it (XEP-0359).
    pub(crate) id: String,
    pub(crate) parcel: Parcel,
}

/// Whether a message to all is worth remembering: somebody said something in it, or its sender wants it kept.
pub(crate) fn is_memorable(message: &Stanza) -> bool {
    let hint = |name| message.child(HINTS, name).is_some();
    let is_said = message.content_child("body").is_some() || hint("store");
    is_said && !hint("no-store") && !hint("no-permanent-store")
}

/// The id that the room gave a message on its way.
pub(crate) fn message_id(parcel: &Parcel) -> Option<String> {
    let limits = xml::Limits::unlimited();
    let element = Element::parse(&parcel.to_bytes(), ContentNamespace::Client, &limits).ok()?;
    let ids = element
        .children()
        .filter(|child| child.is(STANZA_ID, "stanza-id"));
    let room = parcel.from()?.bare_str();
    let own = ids.filter(|id| id.attribute("by").as_deref() == Some(room));
    own.last()?.attribute("id").map(|id| id.into_owned())
}

/// So many rows more than the history is long may be in the store, so that not every message deletes one.
const ROWS_OVER: i64 = 16;

/// What a newcomer asks for (XEP-0045 §7.2.14, table 8).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    characters: Option<usize>,
    stanzas: Option<usize>,
    since: Option<Timestamp>,
}

impl Wish {
    /// The wish in the `<x/>` with which somebody enters. What cannot be understood is not a wish.
    pub(crate) fn of(join: &Tree, now: Timestamp) -> Wish {
        let Some(history) = join.children().find(|child| child.name == "history") else {
            return Wish::default();
        };
        let number = |name| {
            history
                .attribute(name)
                .and_then(|text: &str| text.trim().parse().ok())
        };
        let ago = history
            .attribute("seconds")
            .and_then(|text| text.trim().parse().ok())
            .and_then(|seconds| i64::try_from(Duration::from_secs(seconds).as_micros()).ok())
            .map(|micros| Timestamp::from_unix_micros(now.as_unix_micros().saturating_sub(micros)));
        let since = history.attribute("since").and_then(parse_date_time);
        Wish {
            characters: number("maxchars"),
            stanzas: number("maxstanzas"),
            since: ago.max(since),
        }
    }
}

impl History {
    /// What was said before, oldest first.
    pub(crate) fn restored(said: Vec<(i64, Timestamp, Parcel)>) -> History {
        History {
            last: said.last().map_or(0, |(place, ..)| *place),
            forgotten: said.first().map_or(0, |(place, ..)| *place - 1),
            said: said
                .into_iter()
                .map(|(place, at, parcel)| Said {
                    place,
                    at,
                    id: message_id(&parcel).unwrap_or_default(),
                    parcel,
                })
                .collect(),
        }
    }

    /// Remembers a message that was sent to all, and forgets the oldest beyond `max`. Gives its place.
    pub(crate) fn add(&mut self, at: Timestamp, id: String, parcel: Parcel, max: usize) -> i64 {
        self.last += 1;
        let place = self.last;
        self.said.push_back(Said {
            place,
            at,
            id,
            parcel,
        });
        while self.said.len() > max {
            self.said.pop_front();
        }
        place
    }

    /// Everything that is remembered, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Said> {
        self.said.iter()
    }

    /// Whether this message is still remembered.
    pub(crate) fn holds(&self, id: &str) -> bool {
        self.place_of(id).is_some()
    }

    /// The place of a message that is still remembered.
    pub(crate) fn place_of(&self, id: &str) -> Option<i64> {
        let said = self.said.iter().rev().find(|said| said.id == id);
        said.map(|said| said.place)
    }

    /// The place of the newest message that was ever said.
    pub(crate) fn last(&self) -> i64 {
        self.last
    }

    /// Up to which place rows may go now.
    pub(crate) fn forget_rows(&mut self) -> Option<i64> {
        let first = self.said.front().map_or(self.last + 1, |said| said.place);
        let up_to = first - 1;
        (up_to - self.forgotten >= ROWS_OVER).then(|| {
            self.forgotten = up_to;
            up_to
        })
    }

    /// All of it, to be written.
    pub(crate) fn rows(&self) -> impl Iterator<Item = SaidRow> {
        self.said.iter().map(|said| SaidRow {
            id: said.place,
            at: said.at,
            stanza: said.parcel.to_bytes(),
        })
    }

    /// The newest messages that fit all of the wish and the room's own maximum, oldest first.
    pub(crate) fn select(&self, wish: &Wish, max: Option<usize>) -> impl Iterator<Item = &Parcel> {
        let stanzas = wish.stanzas.unwrap_or(usize::MAX).min(max.unwrap_or(usize::MAX));
        let mut left = wish.characters.unwrap_or(usize::MAX);
        let mut count = 0;
        for said in self.said.iter().rev().take(stanzas) {
            let size = said.parcel.byte_len();
            if size > left || wish.since.is_some_and(|since| said.at < since) {
                break;
            }
            left -= size;
            count += 1;
        }
        self.said
            .iter()
            .skip(self.said.len() - count)
            .map(|said| &said.parcel)
    }
}

/// `CCYY-MM-DDThh:mm:ss[.sss]` with `Z` or an offset (XEP-0082 §3.2).
fn parse_date_time(text: &str) -> Option<Timestamp> {
    let (date, time) = text.trim().split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone)?;
    let offset_minutes = if zone == "Z" {
        0
    } else {
        let (hours, minutes) = zone.get(1..)?.split_once(':')?;
        let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
        if zone.starts_with('-') { -minutes } else { minutes }
    };
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let mut clock = clock.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day) && (0..=9999).contains(&year);
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    if !is_date || !is_time || offset_minutes.abs() > 24 * 60 {
        return None;
    }
    // Years that begin in March end with the leap day.
    let (shifted_year, shifted_month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let days =
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute - offset_minutes) * 60 + second;
    Some(Timestamp::from_unix_micros(seconds * 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xep0082_3_2_what_is_written_is_read_back() {
        for micros in [
            0,
            951_782_400_000_000,
            1_709_251_199_000_000,
            1_795_219_200_000_000,
        ] {
            let at = Timestamp::from_unix_micros(micros);
            assert_eq!(parse_date_time(&at.to_xmpp()), Some(at));
        }
        assert_eq!(
            parse_date_time("1970-01-01T02:00:00+02:00"),
            Some(Timestamp::from_unix_micros(0))
        );
        for text in [
            "",
            "yesterday",
            "1970-13-01T00:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
        ] {
            assert_eq!(parse_date_time(text), None, "{text}");
        }
    }
}
