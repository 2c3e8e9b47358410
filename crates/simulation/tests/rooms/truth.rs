//! What happened in the room, as the scribe has heard it, and what must be so.

use std::collections::BTreeSet;
use std::time::Duration;

use simulation::{Line, Reach};

use crate::course::Course;
use crate::guests::{Guest, News, Stay};

/// A path that is lost for good is known as such within a minute; one that comes and goes is doubted for longer, and tried
/// at longer intervals.
const NOTICED_WITHIN: Duration = Duration::from_secs(200);

/// What happened, in the room's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Shown(String, u64),
    Left(String),
    Said(u64),
}

impl Course {
    /// Takes over what a guest has noticed.
    pub(crate) fn note_news(&mut self, place: usize) {
        for news in std::mem::take(&mut self.guests[place].news) {
            let event = match news {
                News::Shown(nick, number) => Some(Event::Shown(nick, number)),
                News::Left(nick) => Some(Event::Left(nick)),
                News::Said(number, is_late) => {
                    self.seen.heard += 1;
                    self.seen.late += usize::from(is_late);
                    Some(Event::Said(number))
                }
                News::Removed => {
                    self.seen.removed += 1;
                    None
                }
                News::Marked => {
                    self.seen.marks += 1;
                    None
                }
            };
            if place == 0
                && let Some(event) = event
                && !matches!(&event, Event::Said(_) if self.log.contains(&event))
            {
                self.log.push(event);
            }
        }
    }

    /// What was said while somebody was in the room, from the moment it entered.
    fn expected(&self, guest: &Guest, stay: &Stay) -> Option<Vec<u64>> {
        let entered = Event::Shown(guest.nick().to_owned(), stay.number);
        let start = self.log.iter().position(|event| *event == entered)?;
        let left = Event::Left(guest.nick().to_owned());
        let during = self.log[start..].iter().take_while(|event| **event != left);
        Some(
            during
                .filter_map(|event| match event {
                    Event::Said(number) => Some(*number),
                    Event::Shown(..) | Event::Left(_) => None,
                })
                .collect(),
        )
    }

    /// After a step.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        if !self.guests[0].is_in() {
            // Nobody keeps the record.
            return Ok(());
        }
        let mut wrong = std::mem::take(&mut self.wrong);
        let now = self.now();
        let mut still = BTreeSet::new();
        for guest in self.guests.iter().filter(|guest| guest.device.is_there()) {
            let Some(stay) = guest.stay.as_ref().filter(|stay| stay.is_in) else {
                continue;
            };
            self.check_heard(guest, stay, false)?;
            for (nick, is_marked) in stay.views.iter().filter(|(nick, _)| *nick != guest.nick()) {
                let Some(why) = self.why_doubtful(guest, nick).filter(|_| !is_marked) else {
                    continue;
                };
                let key = (guest.nick(), nick.clone());
                let since = *wrong.entry(key.clone()).or_insert(now);
                if now.since(since) > NOTICED_WITHIN {
                    return Err(format!(
                        "{} believes since {since:?} that {nick} is there, but {why}",
                        guest.nick()
                    ));
                }
                still.insert(key);
            }
        }
        wrong.retain(|key, _| still.contains(key));
        self.wrong = wrong;
        Ok(())
    }

    /// What was heard since the stay began is what was said, in order but for what came late; all of it, if everything is at
    /// rest.
    fn check_heard(&self, guest: &Guest, stay: &Stay, is_all: bool) -> Result<(), String> {
        let Some(said) = self.expected(guest, stay) else {
            return match is_all {
                true => Err(format!("{} is in, but did not enter", guest.nick())),
                false => Ok(()),
            };
        };
        let heard = stay.heard.iter().filter(|one| said.contains(one));
        let at_once: Vec<&u64> = heard.clone().filter(|one| !stay.late.contains(one)).collect();
        let in_order: Vec<&u64> = said.iter().filter(|one| at_once.contains(one)).collect();
        if at_once != in_order {
            return Err(format!("{} heard {at_once:?} of {said:?}", guest.nick()));
        }
        let is_known = |one: &&u64| stay.heard.contains(one) || stay.early.contains(one);
        if is_all && !said.iter().all(|one| is_known(&one)) {
            return Err(format!(
                "{} heard at rest {:?} of {said:?}",
                guest.nick(),
                stay.heard
            ));
        }
        Ok(())
    }

    /// Why a guest should not believe without an annotation that somebody is there.
    fn why_doubtful(&self, viewer: &Guest, nick: &str) -> Option<String> {
        if viewer.server() != 0 && self.ways[&(0, viewer.server())] != Reach::Open {
            return Some(format!("{} cannot reach the room", viewer.nick()));
        }
        let other = self.guests.iter().find(|guest| guest.nick() == nick)?;
        if other.server() != 0 && self.ways[&(0, other.server())] != Reach::Open {
            return Some("its server cannot be reached".to_owned());
        }
        match other.device.line() {
            Line::Paused(_) => Some("its connection is lost".to_owned()),
            Line::On if other.stay.is_none() && !other.wants_in => Some("it is out".to_owned()),
            Line::Over => Some("it is gone".to_owned()),
            Line::On => None,
        }
    }

    /// Everything is at rest.
    pub(crate) fn check_all(&self) -> Result<(), String> {
        let scribe = self.guests[0]
            .stay
            .as_ref()
            .filter(|stay| stay.is_in)
            .ok_or("no record is kept")?;
        let all: BTreeSet<&str> = scribe.views.keys().map(String::as_str).collect();
        let believing: BTreeSet<&str> = self
            .guests
            .iter()
            .filter(|guest| guest.is_in())
            .map(Guest::nick)
            .collect();
        if all != believing {
            return Err(format!(
                "at rest {all:?} are in the room, but {believing:?} believe so"
            ));
        }
        for guest in &self.guests {
            let Some(stay) = guest.stay.as_ref().filter(|stay| stay.is_in) else {
                continue;
            };
            let sees: BTreeSet<&str> = stay.views.keys().map(String::as_str).collect();
            if sees != all {
                return Err(format!(
                    "{} sees {sees:?} at rest, but {all:?} are there",
                    guest.nick()
                ));
            }
            if let Some((nick, _)) = stay.views.iter().find(|(_, is_marked)| **is_marked) {
                return Err(format!("{} doubts at rest that {nick} is there", guest.nick()));
            }
            self.check_heard(guest, stay, true)?;
        }
        let waits =
            |guest: &&Guest| guest.device.is_there() && guest.stay.as_ref().is_some_and(|stay| !stay.is_in);
        if let Some(guest) = self.guests.iter().find(waits) {
            return Err(format!("{} was not told whether it is in", guest.nick()));
        }
        for guest in &self.guests {
            let is_lost = |number: &&u64| {
                **number > self.lost[guest.server()]
                    && !guest.returned.contains(number)
                    && !self.log.contains(&Event::Said(**number))
            };
            if let Some(number) = guest.acknowledged.iter().find(is_lost) {
                return Err(format!("{} said {number}, and nobody heard it", guest.nick()));
            }
        }
        Ok(())
    }

    /// The scribe has entered a room that was there before: nothing that anybody heard is missing from its history.
    pub(crate) fn check_history(&self) -> Result<(), String> {
        let Some(stay) = &self.guests[0].stay else {
            return Ok(());
        };
        let said: Vec<u64> = self
            .log
            .iter()
            .filter_map(|event| match event {
                Event::Said(number) => Some(*number),
                Event::Shown(..) | Event::Left(_) => None,
            })
            .collect();
        // What nobody heard before the crash may be there too.
        let known: Vec<u64> = stay
            .heard
            .iter()
            .copied()
            .filter(|one| said.contains(one))
            .collect();
        let first = said.len() - said.len().min(self.history_max);
        let missing: Vec<&u64> = said[first..].iter().filter(|one| !known.contains(one)).collect();
        if !missing.is_empty() || !said.ends_with(&known) {
            return Err(format!("the history after a crash is {known:?} of {said:?}"));
        }
        Ok(())
    }
}
