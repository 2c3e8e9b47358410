//! Clients that come back to their sessions on another connection (XEP-0198 §5).

use simulation::Heard;

use crate::course::Course;
use crate::crowd::{Attempt, Connected, End, Place};
use crate::nature::{ACCOUNTS, MANAGEMENT};
use crate::wires::handled;

impl Course {
    /// A client goes on with the session of a connection, if it can: one that is lost, or one that it does not trust any
    /// more. What it has not read there is lost to it.
    pub(crate) fn come_back(&mut self, from: Place) {
        let Connected {
            resumption: Some(_),
            account,
            habit,
            id,
            ..
        } = &self.connections[from]
        else {
            return;
        };
        let (account, habit, id) = (*account, *habit, *id);
        self.connections[from].hung_up = true;
        self.connections[from].end.get_or_insert(End::Left);
        if self.dice.percent(50) {
            self.world.hang_up(id);
        }
        // An attempt that has come to nothing yet is given up.
        for earlier in self.places(|connection| connection.attempt.of() == Some(from)) {
            self.world.hang_up(self.connections[earlier].id);
            let connection = &mut self.connections[earlier];
            connection.hung_up = true;
            connection.login = None;
            connection.attempt = Attempt::None;
            connection.end.get_or_insert(End::Left);
        }
        self.tell(|_| format!("{}'s client of {from} comes back", ACCOUNTS[account]));
        let place = self.dial(account, "fresh", habit);
        self.connections[place].attempt = Attempt::Planned(from);
    }

    /// Logged in: a resource is bound, or an earlier session resumed.
    pub(crate) fn bind(&mut self, place: Place, bind: Vec<u8>) {
        let Attempt::Planned(from) = self.connections[place].attempt else {
            self.say(place, &bind);
            return;
        };
        let earlier = &self.connections[from];
        let (name, h) = (earlier.resumption.as_deref(), earlier.heard);
        let (name, h) = (name.unwrap_or_default(), h.unwrap_or_default());
        let resume = format!("<resume xmlns='{MANAGEMENT}' h='{h}' previd='{name}'/>");
        self.tell(|_| format!("{place} says {resume}"));
        self.connections[from].claimed = h;
        self.connections[place].attempt = Attempt::Asked(from, bind);
        self.say(place, resume.as_bytes());
    }

    /// Whether this was the answer to a client that came back.
    pub(crate) fn hear_of_resumption(&mut self, place: Place, heard: &Heard) -> Result<bool, String> {
        let (Heard::Element(element), Attempt::Asked(from, _)) = (heard, &self.connections[place].attempt)
        else {
            return Ok(false);
        };
        let from = *from;
        let h = handled(element);
        match (element.namespace(), element.name()) {
            (MANAGEMENT, "resumed") => {
                let h = h.ok_or("a <resumed/> without a number")?;
                self.tell(|_| format!("{place} goes on with {from}"));
                self.resumptions += 1;
                self.go_on_with(place, from);
                self.hear_handled(place, h)?;
                self.send_again(place, h);
            }
            (MANAGEMENT, "failed") => {
                self.tell(|_| format!("{place} cannot go on with {from}: {}", element.as_str()));
                if let Some(h) = h {
                    self.hear_handled(from, h)?;
                }
                self.connections[from].resumption = None;
                self.world.hang_up(self.connections[from].id);
                let attempt = std::mem::replace(&mut self.connections[place].attempt, Attempt::None);
                if let Attempt::Asked(_, bind) = attempt {
                    self.say(place, &bind);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The session is this connection's from now on, with all that was counted.
    fn go_on_with(&mut self, place: Place, from: Place) {
        let earlier = &mut self.connections[from];
        let (session, address) = (earlier.session, earlier.address.clone());
        let (resumption, heard) = (earlier.resumption.take(), earlier.heard);
        let (counted, available_since) = (earlier.counted.take(), earlier.available_since);
        let connection = &mut self.connections[place];
        connection.login = None;
        connection.attempt = Attempt::None;
        connection.address = address;
        connection.session = session;
        connection.resumption = resumption;
        connection.is_resumable = true;
        connection.counted = counted;
        connection.heard = heard;
        connection.available_since = available_since;
        // The server has taken what was said with `<resume/>`, for it has answered.
        connection.acknowledgements = heard.map(|h| (h, 0)).into_iter().collect();
    }

    /// What the server did not handle before is sent once more, in order.
    fn send_again(&mut self, place: Place, handled: usize) {
        let counted = self.connections[place].counted.as_deref().unwrap_or_default();
        let again: Vec<(Option<usize>, String)> = counted
            .iter()
            .skip(handled)
            .map(|counted| (counted.number, counted.stanza.clone()))
            .collect();
        for (number, stanza) in again {
            self.tell(|_| format!("{place} says once more {stanza}"));
            let sent = (place, self.connections[place].end_of(&stanza));
            if let Some(number) = number {
                self.ledger.entries[number].sent.push(sent);
            }
            self.say_in_pieces(place, stanza.as_bytes());
        }
    }
}
