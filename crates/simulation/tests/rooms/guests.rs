//! Guests: what they say and hear, and what they believe of the room.

use std::collections::{BTreeMap, BTreeSet};

use machine::Moment;
use simulation::{Device, Dice, Line, Login, Mechanism, News as Heard, Servers};
use xml::Element;

/// Who lives where. The first one is the scribe; the room is at the first server.
pub(crate) const GUESTS: [(&str, usize); 6] = [
    ("scribe", 0),
    ("romeo", 0),
    ("benvolio", 0),
    ("juliet", 1),
    ("nurse", 1),
    ("escalus", 2),
];
pub(crate) const DOMAINS: [&str; 3] = ["montague.lit", "capulet.lit", "verona.lit"];
pub(crate) const SERVICE: &str = "rooms.montague.lit";
pub(crate) const ROOM: &str = "ball@rooms.montague.lit";

const CLIENT: &str = "jabber:client";
const DISCO: &str = "http://jabber.org/protocol/disco#info";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";
const ANNOTATION: &str = "urn:xmpp:psa";
/// Everybody's client asks for annotations, and says so.
const CAPS: &str = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' \
    ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/>";

/// What a guest was told, from the moment it asked to enter.
#[derive(Debug, Default)]
pub(crate) struct Stay {
    /// The number in the presence with which it entered.
    pub(crate) number: u64,
    /// Whether it was told that it is in.
    pub(crate) is_in: bool,
    /// Whom it sees, and whether that may not be so.
    pub(crate) views: BTreeMap<String, bool>,
    /// What it heard, in order.
    pub(crate) heard: Vec<u64>,
    /// What it heard before it was told that it is in.
    pub(crate) early: BTreeSet<u64>,
    /// What of that came later than it was said.
    pub(crate) late: BTreeSet<u64>,
}

/// What a guest has noticed that concerns all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Somebody's presence, with the number of its stay.
    Shown(String, u64),
    Left(String),
    /// Something was said; whether it was said again to this guest alone.
    Said(u64, bool),
    /// It was told that it is out.
    Removed,
    /// An annotation.
    Marked,
}

/// One guest, over all its sessions.
pub(crate) struct Guest {
    pub(crate) place: usize,
    pub(crate) device: Device,
    /// Stanzas that it has sent and the server counts.
    sent: u32,
    /// What it has said to all that is not acknowledged yet, by the place in its count.
    unacknowledged: BTreeMap<u32, u64>,
    /// What it has said of itself that is not acknowledged yet, in the same way.
    unheard: BTreeMap<u32, String>,
    /// What it has said to all, and its server has acknowledged.
    pub(crate) acknowledged: BTreeSet<u64>,
    /// What came back to it.
    pub(crate) returned: BTreeSet<u64>,
    pub(crate) stay: Option<Stay>,
    /// It could not enter, and will try again.
    pub(crate) wants_in: bool,
    pub(crate) news: Vec<News>,
    /// What it has said and heard, if anybody wants to know.
    pub(crate) transcript: Option<Vec<String>>,
}

impl Guest {
    pub(crate) fn new(place: usize) -> Guest {
        Guest {
            place,
            device: Device::new(GUESTS[place].1),
            sent: 0,
            unacknowledged: BTreeMap::new(),
            unheard: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            returned: BTreeSet::new(),
            stay: None,
            wants_in: false,
            news: Vec::new(),
            transcript: None,
        }
    }

    pub(crate) fn nick(&self) -> &'static str {
        GUESTS[self.place].0
    }

    pub(crate) fn server(&self) -> usize {
        GUESTS[self.place].1
    }

    pub(crate) fn bare(&self) -> String {
        format!("{}@{}", self.nick(), DOMAINS[self.server()])
    }

    pub(crate) fn is_in(&self) -> bool {
        self.stay.as_ref().is_some_and(|stay| stay.is_in)
    }

    /// A new connection; the session that waits is resumed on it, if one does.
    pub(crate) fn connect(&mut self, servers: &mut Servers, dice: &mut Dice) {
        let login = Login::new(self.nick(), DOMAINS[self.server()], "secret", dice.fork())
            .resource("one")
            .by(Mechanism::Plain, None);
        self.device.connect(servers, login);
    }

    /// Its connection is no more, and it knows.
    pub(crate) fn disconnected(&mut self, now: Moment) {
        self.device.lose(now);
        if self.device.line() == Line::Over {
            self.end();
        }
    }

    /// Its session is no more, and it knows.
    pub(crate) fn end(&mut self) {
        self.device.end();
        self.stay = None;
        self.wants_in = false;
        self.unacknowledged.clear();
        self.unheard.clear();
        // What comes back now comes back to nobody.
        self.acknowledged.clear();
    }

    pub(crate) fn say(&mut self, servers: &mut Servers, stanza: &str) {
        self.note(|| format!("says {stanza}"));
        self.sent = self.sent.wrapping_add(1);
        if stanza.starts_with("<presence") && self.device.can_resume() {
            self.unheard.insert(self.sent, stanza.to_owned());
        }
        self.device.say(servers, stanza);
    }

    /// Says something to all, and asks for the acknowledgement.
    pub(crate) fn speak(&mut self, servers: &mut Servers, number: u64) {
        let said =
            format!("<message to='{ROOM}' type='groupchat' id='{number}'><body>{number}</body></message>");
        self.say(servers, &said);
        if self.device.can_resume() {
            self.unacknowledged.insert(self.sent, number);
            self.device.say(servers, "<r xmlns='urn:xmpp:sm:3'/>");
        }
    }

    /// So many of its stanzas have arrived.
    fn acknowledged(&mut self, element: &Element) -> u32 {
        let handled = element
            .attribute("h")
            .and_then(|h| h.parse().ok())
            .unwrap_or_default();
        let later = self.unacknowledged.split_off(&(handled + 1));
        let arrived = std::mem::replace(&mut self.unacknowledged, later);
        self.acknowledged.extend(arrived.into_values());
        self.unheard = self.unheard.split_off(&(handled + 1));
        handled
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(transcript) = &mut self.transcript {
            transcript.push(what());
        }
    }

    pub(crate) fn enter(&mut self, servers: &mut Servers, number: u64) {
        self.wants_in = false;
        self.stay = Some(Stay {
            number,
            ..Stay::default()
        });
        let stanza = format!(
            "<presence to='{ROOM}/{}'><status>{number}</status>{CAPS}<x xmlns='http://jabber.org/protocol/muc'/></presence>",
            self.nick()
        );
        self.say(servers, &stanza);
    }

    /// Presence that is no wish to enter.
    pub(crate) fn show(&mut self, servers: &mut Servers, is_away: bool) {
        let Some(number) = self.stay.as_ref().map(|stay| stay.number) else {
            return;
        };
        let show = if is_away { "<show>away</show>" } else { "" };
        let stanza = format!(
            "<presence to='{ROOM}/{}'>{show}<status>{number}</status>{CAPS}</presence>",
            self.nick()
        );
        self.say(servers, &stanza);
    }

    pub(crate) fn leave(&mut self, servers: &mut Servers) {
        self.stay = None;
        let stanza = format!("<presence to='{ROOM}/{}' type='unavailable'/>", self.nick());
        self.say(servers, &stanza);
    }

    /// Reads what has come. True: there was something.
    pub(crate) fn listen(&mut self, servers: &mut Servers) -> Result<bool, String> {
        let has_come = self.device.read(servers);
        while let Some(heard) = self.device.next(servers)? {
            match heard {
                Heard::Bound => self.say(servers, "<presence/>"),
                Heard::Stanza(element) => {
                    self.note(|| format!("    hears {}", element.as_str()));
                    match element.name() {
                        "presence" => self.hear_presence(servers, &element)?,
                        "message" => self.hear_message(&element)?,
                        _ => self.hear_iq(servers, &element),
                    }
                }
                Heard::Word(element) => {
                    self.note(|| format!("    hears {}", element.as_str()));
                    self.hear_word(servers, &element)?;
                }
            }
        }
        Ok(has_come)
    }

    fn hear_word(&mut self, servers: &mut Servers, element: &Element) -> Result<(), String> {
        match element.name() {
            // The presence that came right behind the wish.
            "enabled" => self.sent = 1,
            "r" => {}
            // The session is no more: the client knows that it must begin anew.
            "failed" => self.end(),
            "a" => drop(self.acknowledged(element)),
            // Of what was lost it says again what others believe of it (XEP-0198 §5), and not its messages.
            "resumed" => {
                self.sent = self.acknowledged(element);
                self.unacknowledged.clear();
                for presence in std::mem::take(&mut self.unheard).into_values() {
                    self.say(servers, &presence);
                }
            }
            name => return Err(format!("hears <{name}/>")),
        }
        Ok(())
    }

    fn hear_iq(&mut self, servers: &mut Servers, element: &Element) {
        let tree = element.to_tree();
        let attribute = |name: &str| tree.attribute(name).unwrap_or_default().to_owned();
        if attribute("type") == "get"
            && let Some(query) = tree.find(DISCO, "query")
        {
            let node = query.attribute("node").unwrap_or_default();
            let answer = format!(
                "<iq type='result' id='{}' to='{}'><query xmlns='{DISCO}' node='{node}'>\
                 <feature var='urn:xmpp:psa'/></query></iq>",
                attribute("id"),
                attribute("from")
            );
            self.say(servers, &answer);
        }
    }

    fn hear_presence(&mut self, servers: &mut Servers, element: &Element) -> Result<(), String> {
        let from = element.attribute("from").unwrap_or_default().into_owned();
        let Some(nick) = from.strip_prefix(ROOM).and_then(|rest| rest.strip_prefix('/')) else {
            return Ok(());
        };
        let kind = element.attribute("type").map(std::borrow::Cow::into_owned);
        let Some(stay) = &mut self.stay else {
            // It has left, and what was on its way does not matter any more.
            return Ok(());
        };
        let has_code = |code: &str| {
            element.child(MUC_USER, "x").is_some_and(|x| {
                let tree = x.to_tree();
                tree.children()
                    .any(|status| status.attribute("code") == Some(code))
            })
        };
        let is_own = has_code("110");
        // There may be several side by side.
        let mut marks = element
            .children()
            .filter(|child| child.is(ANNOTATION, "state-annotation"));
        let is_marked = marks.any(|mark| mark.to_tree().children().next().is_some());
        let mut opens = false;
        match kind.as_deref() {
            None => {
                let status = element
                    .child(CLIENT, "status")
                    .and_then(|status| status.text().parse().ok());
                let number: u64 = status.ok_or("hears of somebody who did not say that")?;
                if is_own && nick == GUESTS[self.place].0 {
                    if number != stay.number {
                        // That was an earlier stay.
                        return Ok(());
                    }
                    stay.is_in = true;
                    opens = has_code("201");
                }
                stay.views.insert(nick.to_owned(), is_marked);
                self.news.push(News::Shown(nick.to_owned(), number));
                if is_marked {
                    self.news.push(News::Marked);
                }
            }
            // The room is gone that was to answer.
            Some("unavailable") if is_own && !stay.is_in && has_code("333") => {
                self.stay = None;
                self.wants_in = true;
            }
            // The end of an earlier stay, and of all that it was shown in it.
            Some("unavailable") if is_own && !stay.is_in => stay.views.clear(),
            Some("unavailable") if is_own => {
                self.news.push(News::Left(nick.to_owned()));
                self.news.push(News::Removed);
                self.stay = None;
                // What came to the room behind this comes back, if the way is open then.
                self.acknowledged.clear();
            }
            Some("unavailable") => {
                stay.views.remove(nick);
                self.news.push(News::Left(nick.to_owned()));
            }
            // It cannot enter now, and tries again.
            Some("error") if !stay.is_in => {
                self.stay = None;
                self.wants_in = true;
            }
            Some(_) => {}
        }
        if opens {
            // It has made the room, and takes it as it is.
            self.configure(servers, "");
        }
        Ok(())
    }

    /// Configures the room (XEP-0045 §10.1.2, §10.2).
    pub(crate) fn configure(&mut self, servers: &mut Servers, fields: &str) {
        let form = format!(
            "<iq type='set' id='configure' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig\
             </value></field>{fields}</x></query></iq>"
        );
        self.say(servers, &form);
    }

    fn hear_message(&mut self, element: &Element) -> Result<(), String> {
        let from = element.attribute("from").unwrap_or_default();
        let kind = element.attribute("type");
        if !from.starts_with(ROOM) {
            return Ok(());
        }
        if kind.as_deref() == Some("error") {
            self.returned
                .extend(element.attribute("id").and_then(|id| id.parse::<u64>().ok()));
            let tree = element.to_tree();
            let error = tree.children().find(|child| child.name == "error");
            let is_out =
                error.is_some_and(|error| error.children().any(|child| child.name == "not-acceptable"));
            if is_out && self.is_in() {
                self.news.push(News::Removed);
                self.stay = None;
                self.acknowledged.clear();
            }
            return Ok(());
        }
        let body = element
            .child(CLIENT, "body")
            .and_then(|body| body.text().parse().ok());
        let (Some(number), Some(stay)) = (body, &mut self.stay) else {
            return Ok(());
        };
        if !stay.is_in {
            // On its way since an earlier stay, or before what says that it is in.
            stay.early.insert(number);
            return Ok(());
        }
        if stay.heard.contains(&number) {
            return Err(format!("hears {number} twice"));
        }
        stay.heard.push(number);
        let is_late = element.child("urn:xmpp:delay", "delay").is_some();
        if is_late {
            stay.late.insert(number);
        }
        self.news.push(News::Said(number, is_late));
        Ok(())
    }
}

/// What world 2363 showed: its server was killed, and the room, which could not reach it, had kept for it whom it saw then. That
/// comes when it has asked to enter again, and before the room's word that it had been put out.
#[test]
fn what_a_guest_was_shown_in_an_earlier_stay_is_over_when_it_hears_that_this_is() {
    let mut servers = Servers::new(0, [simulation::Settings::default()]);
    let mut nurse = Guest::new(4);
    nurse.stay = Some(Stay {
        number: 17,
        ..Stay::default()
    });
    let own = format!("<x xmlns='{MUC_USER}'><status code='110'/></x>");
    for (nick, rest) in [
        ("juliet", "><status>10</status>".to_owned()),
        ("nurse", format!(" type='unavailable'>{own}")),
        ("romeo", "><status>8</status>".to_owned()),
        ("nurse", format!("><status>17</status>{own}")),
    ] {
        let presence = format!("<presence from='{ROOM}/{nick}'{rest}</presence>");
        let limits = xml::Limits::unlimited();
        let element = Element::parse(presence.as_bytes(), xml::ContentNamespace::Client, &limits).unwrap();
        nurse.hear_presence(&mut servers, &element).unwrap();
    }
    assert!(nurse.is_in());
    let seen: Vec<String> = nurse.stay.unwrap().views.into_keys().collect();
    assert_eq!(seen, ["nurse", "romeo"]);
}
