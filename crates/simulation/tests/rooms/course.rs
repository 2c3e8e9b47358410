//! A world and what happens in it.

use std::collections::BTreeMap;
use std::time::Duration;

use machine::Moment;
use simulation::{Dice, Line, Passwords, Reach, Servers, Settings, Telling};

use crate::guests::{DOMAINS, GUESTS, Guest, SERVICE};
use crate::truth::Event;

/// How long a session waits for its client.
const RESUME: Duration = Duration::from_secs(60);
/// How long a room waits for somebody whose server cannot be reached.
const GHOST_GRACE: Duration = Duration::from_secs(100);
const SECOND: Duration = Duration::from_secs(1);
/// So many seconds the scribe tries to enter.
const OPENED_WITHIN: usize = 5;

/// What a world has seen when all was well.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) entered: usize,
    pub(crate) heard: usize,
    /// Messages with the time at which they were said: from before, or given back.
    pub(crate) late: usize,
    pub(crate) marks: usize,
    pub(crate) removed: usize,
    /// What [`Servers::fingerprint`] says at the end.
    pub(crate) fingerprint: u64,
}

pub(crate) struct Course {
    pub(crate) servers: Servers,
    dice: Dice,
    pub(crate) guests: Vec<Guest>,
    /// How the server of the room and another reach each other.
    pub(crate) ways: BTreeMap<(usize, usize), Reach>,
    /// Whether the room is kept.
    is_kept: bool,
    pub(crate) history_max: usize,
    pub(crate) log: Vec<Event>,
    /// Who believes without reason that somebody is there, and since when.
    pub(crate) wrong: BTreeMap<(&'static str, String), Moment>,
    /// What was said up to this number by users of each server may be lost, with a room that is not kept.
    pub(crate) lost: [u64; 3],
    /// Nobody can keep the record any more.
    is_over: bool,
    number: u64,
    pub(crate) seen: Seen,
    telling: Telling,
}

impl Course {
    /// Runs the world of a seed to its end.
    ///
    /// # Errors
    /// What is not so.
    pub(crate) fn run(seed: u64, telling: Telling) -> Result<Seen, String> {
        let mut dice = Dice::new(seed);
        let count = 2 + usize::from(dice.percent(40));
        let history_max = 50;
        let settings = DOMAINS.iter().take(count).enumerate().map(|(place, domain)| {
            let mut settings = Settings {
                hosts: vec![(*domain, Passwords::Scram)],
                open: Vec::new(),
                rooms: if place == 0 { vec![SERVICE] } else { Vec::new() },
                resume_timeout: RESUME,
                ghost_grace: GHOST_GRACE,
                ..Settings::default()
            };
            settings.limits.unauthenticated_time = Duration::from_secs(3_600);
            settings.limits.mailbox_stanzas = 5_000;
            settings.limits.unacknowledged_stanzas = 5_000;
            settings
        });
        let mut servers = Servers::new(dice.next(), settings);
        let mut guests: Vec<Guest> = (0..GUESTS.len()).map(Guest::new).collect();
        guests.retain(|guest| guest.server() < count);
        for guest in &mut guests {
            servers.at(guest.server()).create_account(&guest.bare(), "secret");
            guest.device.is_resumable = guest.place == 0 || dice.percent(75);
            guest.transcript = (telling == Telling::Aloud).then(Vec::new);
        }
        let mut course = Course {
            servers,
            is_kept: dice.percent(60),
            dice,
            guests,
            ways: (1..count).map(|other| ((0, other), Reach::Open)).collect(),
            history_max,
            log: Vec::new(),
            wrong: BTreeMap::new(),
            lost: [0; 3],
            is_over: false,
            number: 0,
            seen: Seen::default(),
            telling,
        };
        for place in 0..course.guests.len() {
            course.connect(place);
        }
        course.rest()?;
        course.open_the_room()?;
        for _ in 0..2 {
            for _ in 0..15 + course.dice.below(25) {
                course.step()?;
                if course.is_over {
                    return Ok(course.seen());
                }
            }
            course.calm()?;
        }
        Ok(course.seen())
    }

    fn seen(self) -> Seen {
        Seen {
            fingerprint: self.servers.fingerprint(),
            ..self.seen
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.servers.now()
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.telling == Telling::Aloud {
            println!("{:8.2} {}", self.now().as_micros() as f64 / 1e6, what());
        }
    }

    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn connect(&mut self, place: usize) {
        let nick = self.guests[place].nick();
        self.tell(|| format!("{nick} connects"));
        self.guests[place].connect(&mut self.servers, &mut self.dice);
    }

    fn enter(&mut self, place: usize) {
        let number = self.number();
        self.seen.entered += 1;
        self.guests[place].enter(&mut self.servers, number);
    }

    /// The scribe enters, and makes the room if there is none. It cannot when somebody else was faster who has not opened
    /// it yet.
    fn open_the_room(&mut self) -> Result<(), String> {
        for _ in 0..OPENED_WITHIN {
            self.enter(0);
            self.rest()?;
            if self.guests[0].is_in() {
                let kept = u8::from(self.is_kept);
                let field =
                    format!("<field var='muc#roomconfig_persistentroom'><value>{kept}</value></field>");
                self.guests[0].configure(&mut self.servers, &field);
                return self.rest();
            }
            self.pass(SECOND)?;
        }
        // Whoever made it cannot be reached.
        match self.is_kept {
            true => Err("the scribe cannot enter".to_owned()),
            false => {
                self.is_over = true;
                Ok(())
            }
        }
    }

    fn step(&mut self) -> Result<(), String> {
        for _ in 0..1 + self.dice.below(3) {
            self.act()?;
        }
        self.rest()?;
        self.check()?;
        let millis = match self.dice.below(100) {
            ..45 => return Ok(()),
            45..70 => self.dice.below(2_500),
            70..90 => 3_000 + self.dice.below(12_000),
            90.. => 20_000 + self.dice.below(60_000),
        };
        self.pass(Duration::from_millis(millis as u64))?;
        self.check()
    }

    fn act(&mut self) -> Result<(), String> {
        // The scribe is always there.
        let place = 1 + self.dice.below(self.guests.len() - 1);
        let chance = self.dice.below(100);
        let guest = &mut self.guests[place];
        match chance {
            ..45 if guest.device.is_there() && guest.is_in() => {
                self.number += 1;
                guest.speak(&mut self.servers, self.number);
            }
            ..65 if guest.device.is_there() && guest.stay.is_none() => self.enter(place),
            ..65 if guest.device.line() == Line::Over || guest.device.is_paused() && chance < 30 => {
                self.connect(place)
            }
            45..50 if guest.device.is_there() && guest.is_in() => {
                let is_away = self.dice.percent(50);
                guest.show(&mut self.servers, is_away);
            }
            50..54 if guest.device.is_there() && guest.is_in() => guest.leave(&mut self.servers),
            54..63 if guest.device.is_there() => self.lose(place),
            63..82 => self.change_way(),
            82..85 => self.restart()?,
            85..88 => self.crash()?,
            _ => {}
        }
        Ok(())
    }

    /// The connection breaks.
    fn lose(&mut self, place: usize) {
        let now = self.now();
        let guest = &mut self.guests[place];
        guest.device.hang_up(&mut self.servers);
        guest.disconnected(now);
        let (nick, line) = (guest.nick(), guest.device.line());
        self.tell(|| format!("{nick} loses the connection: {line:?}"));
    }

    fn change_way(&mut self) {
        let pairs: Vec<(usize, usize)> = self.ways.keys().copied().collect();
        let Some(pair) = self.dice.pick(&pairs).copied() else {
            return;
        };
        let (reach, cuts) = match (self.ways[&pair], self.dice.below(10)) {
            (Reach::Open, ..4) => (Reach::Open, true),
            (Reach::Open, 4..7) => (Reach::Refused, true),
            (Reach::Open, 7..) => (Reach::BlackHole, self.dice.percent(20)),
            (Reach::Refused | Reach::BlackHole, ..7) => (Reach::Open, false),
            (Reach::Refused, 7..) => (Reach::BlackHole, false),
            (Reach::BlackHole, 7..) => (Reach::Refused, true),
        };
        self.tell(|| format!("the way {pair:?} is {reach:?}, cut: {cuts}"));
        self.servers.set_way(pair.0, pair.1, reach);
        if cuts {
            self.servers.cut_between(pair.0, pair.1);
        }
        self.ways.insert(pair, reach);
    }

    fn some_server(&mut self) -> usize {
        self.dice.below(self.ways.len() + 1)
    }

    /// A server stops as it does on SIGTERM, and starts again.
    fn restart(&mut self) -> Result<(), String> {
        self.rest()?;
        let (server, now) = (self.some_server(), self.now());
        self.tell(|| format!("server {server} is restarted"));
        self.servers.restart(server);
        if server != 0 {
            self.lost[server] = self.number;
        }
        for guest in self.guests.iter_mut().filter(|guest| guest.server() == server) {
            if guest.device.line() == Line::On {
                guest.disconnected(now);
            }
        }
        self.return_of_the_scribe()
    }

    fn crash(&mut self) -> Result<(), String> {
        // What was said is done, and who holds whose presence is written down.
        self.pass(2 * SECOND)?;
        let server = self.some_server();
        self.tell(|| format!("server {server} is killed and started"));
        self.servers.crash(server);
        if server == 0 && !self.is_kept {
            self.lost = [self.number; 3];
        }
        for guest in self.guests.iter_mut().filter(|guest| guest.server() == server) {
            guest.end();
        }
        self.return_of_the_scribe()
    }

    /// The scribe comes back at once, and enters again if it has to.
    fn return_of_the_scribe(&mut self) -> Result<(), String> {
        if self.guests[0].device.line() == Line::On {
            return Ok(());
        }
        let was_in = self.guests[0].is_in();
        self.connect(0);
        self.rest()?;
        if was_in {
            return match self.guests[0].is_in() {
                true => Ok(()),
                false => Err("the scribe does not find back".to_owned()),
            };
        }
        self.open_the_room()?;
        if self.is_kept && self.guests[0].is_in() {
            self.check_history()?;
        }
        Ok(())
    }

    fn pass(&mut self, time: Duration) -> Result<(), String> {
        self.tell(|| format!("-- {time:?} pass"));
        self.servers.pass(time);
        let now = self.now();
        for guest in &mut self.guests {
            if let Line::Paused(since) = guest.device.line()
                && now.since(since) >= RESUME
            {
                guest.end();
            }
        }
        self.rest()
    }

    /// Everything happens that can happen without time passing.
    fn rest(&mut self) -> Result<(), String> {
        loop {
            self.servers.settle();
            let mut is_busy = false;
            for place in 0..self.guests.len() {
                let listened = self.guests[place].listen(&mut self.servers);
                let nick = self.guests[place].nick();
                let lines = self.guests[place].transcript.as_mut().map(std::mem::take);
                for line in lines.into_iter().flatten() {
                    self.tell(|| format!("{nick} {line}"));
                }
                is_busy |= listened.map_err(|why| format!("{nick} {why}"))?;
                self.note_news(place);
            }
            if !is_busy {
                return Ok(());
            }
        }
    }

    /// All ways are open for long enough, and nobody waits to be resumed.
    fn calm(&mut self) -> Result<(), String> {
        self.tell(|| "-- all ways are open".to_owned());
        for (pair, way) in &mut self.ways {
            self.servers.set_way(pair.0, pair.1, Reach::Open);
            *way = Reach::Open;
        }
        for place in 0..self.guests.len() {
            if self.guests[place].device.is_paused() && self.dice.percent(60) {
                self.connect(place);
            }
        }
        for _ in 0..8 {
            self.pass(35 * SECOND)?;
            self.check()?;
            for place in 0..self.guests.len() {
                if self.guests[place].wants_in {
                    self.enter(place);
                }
            }
        }
        self.check_all()?;
        self.tell(|| "-- all is so".to_owned());
        Ok(())
    }
}
