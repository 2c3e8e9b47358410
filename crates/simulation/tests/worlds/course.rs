//! The course of one world: who comes, does something, and goes.

use std::time::Duration;

use c2s::Transport;
use simulation::{Client, Dice, Login, Mechanism, Settings, Telling, Turns, World};
use stanza::Address;

use crate::crowd::{Acknowledges, Attempt, Connected, End, Place};
use crate::ledger::Ledger;
use crate::nature::{ACCOUNTS, CONNECTIONS_MAX, LOGIN_TIME, MANAGEMENT, Nature, RESOURCES};

/// What a course has seen when all was well.
pub(crate) struct Seen {
    pub(crate) stanzas: u64,
    pub(crate) acknowledged: u64,
    pub(crate) resumptions: u64,
}

pub(crate) struct Course {
    pub(crate) world: World,
    pub(crate) dice: Dice,
    pub(crate) nature: Nature,
    pub(crate) connections: Vec<Connected>,
    pub(crate) ledger: Ledger,
    /// Counts what happens, to know what was before what.
    pub(crate) clock: u64,
    pub(crate) crashes: Vec<u64>,
    pub(crate) resumptions: u64,
    pub(crate) telling: Telling,
}

impl Course {
    /// Runs the world of a seed to its end.
    ///
    /// # Errors
    /// What went wrong.
    pub(crate) fn run(seed: u64, telling: Telling) -> Result<Seen, String> {
        let mut dice = Dice::new(seed);
        let nature = Nature::of(&mut dice);
        let mut settings = Settings::default();
        settings.limits.resources_per_account = 20;
        settings.limits.unauthenticated_time = LOGIN_TIME;
        settings.limits.offline_messages = if nature.is_tight { 3 } else { 1_000 };
        settings.limits.offline_bytes = 1 << 20;
        settings.resume_timeout = Duration::from_secs(2);
        let mut world = World::new(dice.next(), settings, Turns::ByDice);
        for account in ACCOUNTS {
            world.create_account(&format!("{account}@example.com"), "secret");
        }
        world.set_faults(nature.faults.clone());
        let mut course = Course {
            world,
            dice,
            nature,
            connections: Vec::new(),
            ledger: Ledger::default(),
            clock: 0,
            crashes: Vec::new(),
            resumptions: 0,
            telling,
        };
        course.tell(|course| format!("{:?}", course.nature));
        for _ in 0..course.nature.actions {
            course.act();
            course.go_on()?;
        }
        course.finish()
    }

    pub(crate) fn tell(&self, what: impl FnOnce(&Course) -> String) {
        if self.telling == Telling::Aloud {
            println!("{:5} {}", self.clock, what(self));
        }
    }

    /// Somebody does something.
    fn act(&mut self) {
        self.clock += 1;
        if self.dice.below(1000) < self.nature.crashes_per_mille {
            if self.dice.percent(70) {
                self.crash();
            } else {
                self.restart();
            }
            return;
        }
        let bound: Vec<Place> = self.places(Connected::is_bound);
        let open = self.places(|connection| connection.end.is_none()).len();
        if bound.is_empty() || self.dice.percent(8) {
            if open < CONNECTIONS_MAX {
                self.connect_or_come_back();
            }
            return;
        }
        let Some(place) = self.dice.pick(&bound).copied() else {
            return;
        };
        match self.dice.below(100) {
            ..54 => self.talk(place),
            54..68 => self.show(place),
            68..75 => self.ask(place),
            75..80 => self.enable(place),
            80..86 => self.acknowledge(place),
            86..89 => self.ask_whether_handled(place),
            89..92 => self.leave(place),
            92..95 => self.lose(place),
            95 => self.kick(place),
            // The old connection may still seem alive.
            96 => self.come_back(place),
            _ => {
                let time = Duration::from_millis(self.dice.below(1500) as u64);
                self.tell(|_| format!("{time:?} pass"));
                self.world.pass(time);
            }
        }
    }

    /// Some of what can happen happens, and some clients read.
    fn go_on(&mut self) -> Result<(), String> {
        for _ in 0..self.dice.below(25) {
            if !self.world.step() && self.dice.percent(50) {
                break;
            }
        }
        if self.dice.percent(30) {
            self.world.pass_to_next_within(Duration::from_millis(400));
        }
        self.note_ends();
        for place in 0..self.connections.len() {
            if self.dice.percent(70) {
                self.listen(place)?;
            }
        }
        Ok(())
    }

    fn crash(&mut self) {
        self.tell(|_| "the server is killed".to_owned());
        self.crashes.push(self.clock);
        self.world.crash();
        self.note_ends();
    }

    /// SIGTERM: everybody gets what there is for them, nothing is lost, and sessions that can be resumed wait.
    fn restart(&mut self) {
        self.tell(|_| "the server stops and starts again".to_owned());
        self.world.restart();
        self.note_ends();
    }

    /// A session is over before its client hears of it.
    pub(crate) fn note_ends(&mut self) {
        for connection in &mut self.connections {
            let is_closed = self.world.is_closed(connection.id);
            if connection.hung_up || is_closed {
                connection.ended_at.get_or_insert(self.clock);
            }
            if is_closed {
                connection.closed_at.get_or_insert(self.clock);
            }
        }
    }

    /// The operator ends a session.
    fn kick(&mut self, place: Place) {
        let address = self.connections[place].address.as_deref();
        if let Some(address) = address.and_then(|address| Address::parse(address).ok()) {
            self.tell(|_| format!("{place} is kicked"));
            self.world.router().kick(&address, Box::new(|_| {}));
        }
    }

    fn connect_or_come_back(&mut self) {
        let lost: Vec<Place> = self.places(|connection| {
            connection.resumption.is_some() && (connection.hung_up || connection.end.is_some())
        });
        match self.dice.pick(&lost).copied() {
            Some(place) if self.dice.percent(70) => self.come_back(place),
            Some(_) | None => self.connect(),
        }
    }

    fn connect(&mut self) {
        let account = self.dice.below(ACCOUNTS.len());
        let resource = self.dice.pick(&RESOURCES).copied().unwrap_or_default();
        let habit = match self.dice.below(3) {
            0 => Acknowledges::Promptly,
            1 => Acknowledges::Late,
            _ => Acknowledges::Never,
        };
        self.dial(account, resource, habit);
    }

    pub(crate) fn dial(&mut self, account: usize, resource: &str, habit: Acknowledges) -> Place {
        let place = self.connections.len();
        let id = self.world.connect(Transport::DirectTls);
        let name = ACCOUNTS.get(account).copied().unwrap_or_default();
        let login = Login::new(name, "example.com", "secret", self.dice.fork())
            .resource(resource)
            .by(Mechanism::Plain, None);
        self.connections.push(Connected {
            id,
            client: Client::default(),
            account,
            login: None,
            has_logged_in: false,
            address: None,
            habit,
            said: 0,
            held: Vec::new(),
            counted: None,
            is_resumable: false,
            resumption: None,
            session: place,
            attempt: Attempt::None,
            heard: None,
            acknowledgements: Vec::new(),
            claimed: 0,
            available_since: None,
            hung_up: false,
            ended_at: None,
            closed_at: None,
            end: None,
            error: None,
        });
        self.say(place, &login.open());
        self.connections[place].login = Some(login);
        self.tell(|_| format!("{place} connects as {name}/{resource}, and acknowledges {habit:?}"));
        place
    }

    pub(crate) fn enable(&mut self, place: Place) {
        if self.connections[place].counted.is_none() {
            self.connections[place].counted = Some(Vec::new());
            self.tell(|_| format!("{place} enables"));
            let resume = if self.dice.percent(50) {
                " resume='true'"
            } else {
                ""
            };
            self.connections[place].is_resumable = !resume.is_empty();
            let enable = format!("<enable xmlns='{MANAGEMENT}'{resume}/>");
            self.say_in_pieces(place, enable.as_bytes());
        }
    }

    pub(crate) fn acknowledge(&mut self, place: Place) {
        let connection = &self.connections[place];
        if let Some(heard) = connection.heard {
            self.tell(|_| format!("{place} acknowledges {heard}"));
            let word = format!("<a xmlns='{MANAGEMENT}' h='{heard}'/>");
            let end = connection.said + connection.held.len() as u64 + word.len() as u64;
            self.connections[place].acknowledgements.push((heard, end));
            self.say_in_pieces(place, word.as_bytes());
        }
    }

    pub(crate) fn ask_whether_handled(&mut self, place: Place) {
        if self.connections[place].counted.is_some() {
            self.say_in_pieces(place, format!("<r xmlns='{MANAGEMENT}'/>").as_bytes());
        }
    }

    fn leave(&mut self, place: Place) {
        self.tell(|_| format!("{place} leaves"));
        self.say(place, b"</stream:stream>");
        self.connections[place].hung_up = true;
        self.connections[place].resumption = None;
    }

    fn lose(&mut self, place: Place) {
        self.tell(|_| format!("{place} loses the connection"));
        let connection = &mut self.connections[place];
        connection.hung_up = true;
        let id = connection.id;
        // Who counts can do without what is on the way.
        if connection.heard.is_some() && self.dice.percent(50) {
            connection.end = Some(End::Left);
        }
        self.world.hang_up(id);
    }
}
