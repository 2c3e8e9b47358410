//! What clients say to each other.

use crate::course::Course;
use crate::crowd::{Counted, Place};
use crate::ledger::{Addressed, Entry, What};
use crate::nature::{ACCOUNTS, RESOURCES};

impl Course {
    /// Sends a message to somebody.
    pub(crate) fn talk(&mut self, place: Place) {
        let what = match self.dice.below(10) {
            0..6 => What::Chat,
            6..8 => What::Normal,
            8 => What::Headline,
            _ => What::Groupchat,
        };
        let kind = match what {
            What::Chat => " type='chat'",
            What::Headline => " type='headline'",
            What::Groupchat => " type='groupchat'",
            What::Normal | What::Request => "",
        };
        let (to, addressed) = self.somebody();
        let number = self.ledger.entries.len();
        let stanza = format!("<message to='{to}'{kind} id='{number}'><body>{number}</body></message>");
        self.send_followed(place, what, addressed, to, &stanza);
    }

    /// Sends a request to somebody.
    pub(crate) fn ask(&mut self, place: Place) {
        let (to, addressed) = if self.dice.percent(30) {
            ("example.com".to_owned(), Addressed::Host)
        } else {
            self.somebody()
        };
        let number = self.ledger.entries.len();
        let stanza =
            format!("<iq to='{to}' type='get' id='{number}'><query xmlns='jabber:iq:version'/></iq>");
        self.send_followed(place, What::Request, addressed, to, &stanza);
    }

    pub(crate) fn somebody(&mut self) -> (String, Addressed) {
        let name = self.dice.pick(&ACCOUNTS).copied().unwrap_or_default();
        let resource = self.dice.pick(&RESOURCES).copied().unwrap_or_default();
        match self.dice.below(20) {
            0 => ("nobody@example.com".to_owned(), Addressed::Nobody),
            1..12 => (format!("{name}@example.com"), Addressed::Bare),
            _ => (format!("{name}@example.com/{resource}"), Addressed::Full),
        }
    }

    pub(crate) fn send_followed(
        &mut self,
        place: Place,
        what: What,
        addressed: Addressed,
        to: String,
        stanza: &str,
    ) {
        let number = self.ledger.entries.len();
        self.tell(|_| format!("{place} says {stanza}"));
        let connection = &mut self.connections[place];
        if let Some(counted) = &mut connection.counted {
            counted.push(Counted {
                number: Some(number),
                stanza: stanza.to_owned(),
            });
        }
        let sent = (place, connection.end_of(stanza));
        self.ledger.entries.push(Entry {
            what,
            addressed,
            to,
            sender: connection.session,
            sent: vec![sent],
            sent_at: self.clock,
            acknowledged: false,
            answers: 0,
            copies: Vec::new(),
        });
        self.say_in_pieces(place, stanza.as_bytes());
    }

    /// Presence of some kind.
    pub(crate) fn show(&mut self, place: Place) {
        match self.dice.below(10) {
            0 => self.say_presence(place, "<presence type='unavailable'/>"),
            1 | 2 => {
                let (to, _) = self.somebody();
                let kind = self.dice.pick(&[
                    "",
                    " type='unavailable'",
                    " type='subscribe'",
                    " type='subscribed'",
                    " type='probe'",
                ]);
                let kind = kind.copied().unwrap_or_default();
                self.say_presence(place, &format!("<presence to='{to}'{kind}/>"));
            }
            _ => self.show_up(place),
        }
    }

    /// Available, with some priority.
    pub(crate) fn show_up(&mut self, place: Place) {
        let priority = self.dice.below(4) as i8 - 1;
        let since = &mut self.connections[place].available_since;
        *since = since.or(Some(self.clock));
        self.say_presence(
            place,
            &format!("<presence><priority>{priority}</priority></presence>"),
        );
    }

    fn say_presence(&mut self, place: Place, stanza: &str) {
        self.tell(|_| format!("{place} says {stanza}"));
        self.send(place, stanza);
    }
}
