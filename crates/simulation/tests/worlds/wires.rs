//! Bytes: how they get to the server, and what the clients make of those that come.

use simulation::{Heard, Say};
use xml::Element;

use crate::course::Course;
use crate::crowd::{Acknowledges, Connected, Counted, End, Place};
use crate::ledger::Copy;
use crate::nature::MANAGEMENT;

impl Course {
    /// A stanza that is not followed, but counts.
    pub(crate) fn send(&mut self, place: Place, stanza: &str) {
        if let Some(counted) = &mut self.connections[place].counted {
            counted.push(Counted {
                number: None,
                stanza: stanza.to_owned(),
            });
        }
        self.say_in_pieces(place, stanza.as_bytes());
    }

    /// The end of what is said may come later.
    pub(crate) fn say_in_pieces(&mut self, place: Place, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.connections[place].held);
        all.extend_from_slice(bytes);
        if self.dice.percent(20) {
            let cut = self.dice.below(all.len());
            self.connections[place].held = all.split_off(cut);
        }
        self.say_now(place, &all);
    }

    pub(crate) fn say(&mut self, place: Place, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.connections[place].held);
        all.extend_from_slice(bytes);
        self.say_now(place, &all);
    }

    pub(crate) fn say_now(&mut self, place: Place, bytes: &[u8]) {
        let connection = &mut self.connections[place];
        connection.said += bytes.len() as u64;
        let id = connection.id;
        self.world.say(id, bytes);
    }

    pub(crate) fn places(&self, wanted: impl Fn(&Connected) -> bool) -> Vec<Place> {
        (0..self.connections.len())
            .filter(|place| wanted(&self.connections[*place]))
            .collect()
    }

    /// A client reads what has come, also what came after it hung up: that was written to its socket.
    pub(crate) fn listen(&mut self, place: Place) -> Result<bool, String> {
        let connection = &mut self.connections[place];
        if connection.end.is_some() {
            return Ok(false);
        }
        let bytes = self.world.hear(connection.id);
        connection.client.read(&bytes);
        loop {
            let heard = self.connections[place].client.hear();
            match heard.map_err(|error| {
                format!(
                    "{place} cannot read ({error}): {}",
                    String::from_utf8_lossy(&bytes)
                )
            })? {
                Some(heard) => self.hear(place, &heard)?,
                None => break,
            }
        }
        let connection = &mut self.connections[place];
        if self.world.is_closed(connection.id) {
            connection.end = Some(if connection.hung_up && connection.error.is_none() {
                End::Left
            } else {
                End::ThrownOut
            });
        }
        Ok(!bytes.is_empty())
    }

    pub(crate) fn hear(&mut self, place: Place, heard: &Heard) -> Result<(), String> {
        self.clock += 1;
        if self.hear_of_resumption(place, heard)? {
            return Ok(());
        }
        if let Some(login) = &mut self.connections[place].login {
            let next = login.hear(heard);
            return self.log_in(place, next);
        }
        let Heard::Element(element) = heard else {
            return Ok(());
        };
        let connection = &mut self.connections[place];
        match (element.namespace(), element.name()) {
            (MANAGEMENT, "enabled") => {
                connection.heard = Some(0);
                connection.resumption = element.attribute("id").map(|id| id.into_owned());
            }
            (MANAGEMENT, "r") => match connection.habit {
                Acknowledges::Promptly => self.acknowledge_if_here(place),
                Acknowledges::Late if self.dice.percent(30) => self.acknowledge_if_here(place),
                Acknowledges::Late | Acknowledges::Never => {}
            },
            (MANAGEMENT, "a") => {
                let h = handled(element).ok_or("an <a/> without a number")?;
                self.hear_handled(place, h)?;
            }
            ("jabber:client", name) => {
                if let Some(heard) = &mut connection.heard {
                    *heard += 1;
                }
                let kind = element.attribute("type").unwrap_or_default().into_owned();
                let number = element.attribute("id").and_then(|id| id.parse::<usize>().ok());
                let is_late = element.child("urn:xmpp:delay", "delay").is_some();
                self.tell(|_| format!("{place} hears {}", element.as_str()));
                let Some(number) = number.filter(|_| name != "presence") else {
                    return Ok(());
                };
                let from = element.attribute("from").unwrap_or_default().into_owned();
                self.hear_followed(place, name, &kind, number, is_late, &from);
            }
            (_, "error") => connection.error = Some(element.as_str().to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// The server has handled the first so many stanzas of a session.
    pub(crate) fn hear_handled(&mut self, place: Place, h: usize) -> Result<(), String> {
        let counted = self.connections[place].counted.as_deref().unwrap_or_default();
        if h > counted.len() {
            return Err(format!(
                "{place} has sent {} stanzas, and {h} were acknowledged",
                counted.len()
            ));
        }
        for number in counted.iter().take(h).filter_map(|counted| counted.number) {
            self.ledger.entries[number].acknowledged = true;
        }
        self.tell(|_| format!("{place} hears that {h} were handled"));
        Ok(())
    }

    pub(crate) fn acknowledge_if_here(&mut self, place: Place) {
        if self.connections[place].is_bound() {
            self.acknowledge(place);
        }
    }

    pub(crate) fn hear_followed(
        &mut self,
        place: Place,
        name: &str,
        kind: &str,
        number: usize,
        is_late: bool,
        from: &str,
    ) {
        let at = self.clock;
        let copy_place = self.connections[place].heard;
        let Some(entry) = self.ledger.entries.get_mut(number) else {
            return;
        };
        if kind == "error" || kind == "result" {
            entry.answers += 1;
            return;
        }
        entry.copies.push(Copy {
            reader: self.connections[place].session,
            place: copy_place,
            at,
            is_late,
        });
        if name == "iq" && self.connections[place].is_bound() {
            // To be asked again after an answer that was on its way would be nobody's fault: it is acknowledged before.
            self.acknowledge(place);
            self.send(place, &format!("<iq to='{from}' type='result' id='{number}'/>"));
        }
    }

    pub(crate) fn log_in(&mut self, place: Place, next: Say) -> Result<(), String> {
        match next {
            Say::Nothing => {}
            Say::Bytes(bytes) if self.connections[place].has_logged_in => self.bind(place, bytes),
            Say::Bytes(bytes) => self.say(place, &bytes),
            Say::Anew(bytes) => {
                self.connections[place].client.restart();
                self.connections[place].has_logged_in = true;
                self.say(place, &bytes);
            }
            Say::Bound(address) => {
                self.tell(|_| format!("{place} is {address}"));
                let connection = &mut self.connections[place];
                connection.login = None;
                connection.address = Some(address);
                // Most clients do this at once.
                if self.dice.percent(40) {
                    self.enable(place);
                }
                if self.dice.percent(60) {
                    self.show_up(place);
                }
            }
            Say::Failed(why) => {
                self.tell(|_| format!("{place} cannot log in: {why}"));
                // A store that fails, a server that is killed: somebody else will try.
                let connection = &mut self.connections[place];
                connection.login = None;
                connection.hung_up = true;
                let id = connection.id;
                self.world.hang_up(id);
            }
        }
        Ok(())
    }
}

/// How many stanzas the server has handled, if it says so.
pub(crate) fn handled(element: &Element) -> Option<usize> {
    element.attribute("h")?.parse().ok()
}
