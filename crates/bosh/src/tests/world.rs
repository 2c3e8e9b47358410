//! A session and everything that it did, in tests.

use std::time::Duration;

use machine::Moment;
use xml::Limits;

use crate::{Condition, Effect, Event, Exchange, Input, Request, Session, Settings};

pub(crate) const SETTINGS: Settings = Settings {
    max_pause: Duration::from_secs(120),
    inactivity: Duration::from_secs(60),
};

pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) now: Moment,
    exchanges: u64,
    effects: Vec<Effect>,
}

/// Reads `<body …>…</body>` with these attributes.
pub(crate) fn request(attributes: &str, payload: &str) -> Request {
    let text = format!(
        "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' {attributes}>{payload}</body>"
    );
    Request::read(text.as_bytes(), &Limits::default()).unwrap()
}

impl World {
    /// A session begun by request number 100, which waits as exchange 1.
    pub(crate) fn new(attributes: &str) -> World {
        World::with(attributes, SETTINGS)
    }

    pub(crate) fn with(attributes: &str, settings: Settings) -> World {
        let now = Moment::from_micros(0);
        let mut effects = Vec::new();
        let first = request(&format!("rid='100' to='montague.lit' {attributes}"), "");
        let session = Session::create("sid", first, Exchange(1), settings, now, &mut effects).unwrap();
        World {
            session,
            now,
            exchanges: 1,
            effects,
        }
    }

    /// The same, its first request answered with `<f/>`.
    pub(crate) fn open(attributes: &str) -> World {
        let mut world = World::new(attributes);
        world.say("<f/>", 0);
        world.effects.clear();
        world.pass(10);
        world
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.session.handle(self.now, input, &mut self.effects);
    }

    /// Gives a request; what it waits as.
    pub(crate) fn ask(&mut self, rid: u64, attributes: &str, payload: &str) -> Exchange {
        self.exchanges += 1;
        let exchange = Exchange(self.exchanges);
        let request = request(&format!("sid='sid' rid='{rid}' {attributes}"), payload);
        self.input(Input::Request(Box::new(request), exchange));
        exchange
    }

    pub(crate) fn say(&mut self, elements: &str, stanzas: usize) {
        self.input(Input::Say(elements.as_bytes()));
        self.input(Input::Flush { stanzas });
    }

    pub(crate) fn end(&mut self, condition: Option<Condition>) {
        self.input(Input::Ended(condition));
    }

    /// Lets time pass, and gives the wake-ups that fall into it.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(deadline) = self.session.deadline()
            && deadline <= until
        {
            self.now = deadline;
            self.input(Input::Wake);
        }
        self.now = until;
    }

    /// What was done since the last look, in words.
    pub(crate) fn done(&mut self) -> Vec<String> {
        self.effects
            .drain(..)
            .map(|effect| match effect {
                Effect::Respond(Exchange(number), body) => {
                    let body = String::from_utf8(body.to_vec()).unwrap();
                    format!(
                        "{number} {}",
                        body.replace(" xmlns='http://jabber.org/protocol/httpbind'", "")
                    )
                }
                Effect::Tell(Event::Opened(header)) => format!("opened {}", header.to.unwrap_or_default()),
                Effect::Tell(Event::Said(bytes)) => format!("said {}", String::from_utf8(bytes).unwrap()),
                Effect::Tell(Event::Paused(time)) => format!("paused {}", time.as_secs()),
                Effect::Tell(Event::Resumed) => "resumed".to_owned(),
                Effect::Tell(Event::Closed) => "closed".to_owned(),
                Effect::Delivered(stanzas) => format!("delivered {stanzas}"),
                Effect::Lost => "lost".to_owned(),
                Effect::Over => "over".to_owned(),
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &[&str]) {
        assert_eq!(self.done(), expected);
    }

    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }
}
