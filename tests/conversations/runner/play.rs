//! Plays one conversation on a stage, line by line.

use std::collections::{BTreeMap, VecDeque};

use simulation::{Client, Dice, Heard, Login, Mechanism, Say};
use xml::{STREAM_NAMESPACE, StreamHeader, Tree};

use crate::pattern::{Blanks, Pattern, Viewer, text, write_out};
use crate::script::{Act, Conversation, Dial, Line, Order, Who};
use crate::stage::{LineId, Stage};

/// How somebody of the script is told apart while what was before the conversation is made up.
const BACKSTAGE: &str = "backstage";

/// What came and was not looked at yet.
#[derive(Debug, Clone)]
enum Item {
    Opened(Tree),
    Element(Box<xml::Element>, Tree),
    StreamClosed,
    ConnectionClosed,
}

/// One connection of the script.
struct Actor {
    line: LineId,
    client: Client,
    unread: VecDeque<Item>,
    ended: bool,
    viewer: Viewer,
}

struct Player<'s> {
    stage: &'s mut dyn Stage,
    cast: BTreeMap<Who, Actor>,
    blanks: Blanks,
    dice: Dice,
}

/// Plays a conversation. An error says which line went wrong, and how.
pub(crate) fn play(conversation: &Conversation, stage: &mut dyn Stage) -> Result<(), String> {
    let mut player = Player {
        stage,
        cast: BTreeMap::new(),
        blanks: Blanks::new(),
        dice: Dice::new(7),
    };
    let at = |line: &Line, wrong: String| {
        format!(
            "{}:{}: {}\n    {wrong}",
            conversation.file.display(),
            line.number,
            line.text
        )
    };
    let mut lines = conversation.lines.iter().peekable();
    while let Some(line) = lines.next_if(|line| line.act.is_setup()) {
        player.act(&line.act).map_err(|wrong| at(line, wrong))?;
    }
    for who in present_from_the_start(conversation) {
        player.come_online(who, None)?;
    }
    player.begin()?;
    for line in lines {
        player.act(&line.act).map_err(|wrong| at(line, wrong))?;
    }
    player.finish().map_err(|wrong| {
        format!(
            "{}: {}: at the end, {wrong}",
            conversation.file.display(),
            conversation.name
        )
    })
}

/// Who acts without ever having come is there, and online, from the beginning.
fn present_from_the_start(conversation: &Conversation) -> Vec<&Who> {
    let mut named: Vec<&Who> = Vec::new();
    let mut present = Vec::new();
    for act in conversation.lines.iter().map(|line| &line.act) {
        if let Some(who) = act.who()
            && !named.contains(&who)
        {
            named.push(who);
            if !act.is_arrival() {
                present.push(who);
            }
        }
    }
    present
}

impl Player<'_> {
    fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::HasAccount(_) => Ok(()),
            Act::SubscribedTo { watcher, watched } => self.subscribe(watcher, watched),
            Act::Contacts(one, other) => {
                self.subscribe(one, other)?;
                self.subscribe(other, one)
            }
            Act::Begins => self.begin(),
            Act::Connects(who, mechanism) => self.connect(who, *mechanism).map(drop),
            Act::IsOnline(who, priority) => self.come_online(who, *priority),
            Act::Dials(who, dial) => self.dial(who, *dial),
            Act::NegotiatesTls(who) => {
                let actor = self.cast.get_mut(who).ok_or("nobody has dialled")?;
                actor.client.restart();
                let line = actor.line;
                self.stage.secure(line)
            }
            Act::BeginsAnew(who) => {
                self.actor(who)?.client.restart();
                Ok(())
            }
            Act::OpensStream(who) => self.open_stream(who),
            Act::LogsIn(who, mechanism) => self.log_in(who, *mechanism),
            Act::Sends { who, what, times } => {
                for number in 1..=*times {
                    let what = write_out(what, number, &self.blanks)?;
                    self.say(who, what.as_bytes())?;
                }
                self.settle()
            }
            Act::SendsRaw { who, bytes, times } => {
                for number in 1..=*times {
                    match std::str::from_utf8(bytes) {
                        Ok(text) => {
                            let text = write_out(text, number, &self.blanks)?;
                            self.say(who, text.as_bytes())?;
                        }
                        Err(_) => self.say(who, bytes)?,
                    }
                }
                self.settle()
            }
            Act::Receives { who, order, patterns } => self.receive(who, *order, patterns),
            Act::ReceivesNothing(who) => {
                self.settle()?;
                self.is_quiet(who)
            }
            Act::StreamEnds(who, condition) => self.stream_ends(who, condition.as_deref()),
            Act::ConnectionEnds(who) => match self.next(who)? {
                Some(Item::ConnectionClosed) => Ok(()),
                other => Err(format!("instead, there is {}", told(other.as_ref()))),
            },
            Act::Leaves(who) => {
                self.say(who, b"</stream:stream>")?;
                self.settle()?;
                self.stream_ends(who, None)?;
                self.hang_up(who)
            }
            Act::LosesConnection(who) => {
                self.hang_up(who)?;
                self.settle()
            }
            Act::TimePasses(time) => {
                self.stage.pass(*time)?;
                self.settle()
            }
            Act::Restarts => self.stage.restart(),
            Act::IsKilled => {
                // Nobody hears from it again.
                self.cast.clear();
                self.stage.kill()
            }
            Act::Store(store) => self.stage.store(*store),
        }
    }

    // ---- the lines of the script ----

    /// What was before is nobody's business.
    fn begin(&mut self) -> Result<(), String> {
        self.settle()?;
        for actor in self.cast.values_mut() {
            actor.unread.clear();
        }
        Ok(())
    }

    /// Nobody may have got anything that the script does not tell.
    fn finish(&mut self) -> Result<(), String> {
        self.settle()?;
        let cast: Vec<Who> = self.cast.keys().cloned().collect();
        cast.iter().try_for_each(|who| self.is_quiet(who))
    }

    fn is_quiet(&self, who: &Who) -> Result<(), String> {
        let Some(actor) = self.cast.get(who) else {
            return Ok(());
        };
        match actor.unread.iter().find(|item| !actor.is_echo(item)) {
            None => Ok(()),
            Some(item) => Err(format!("{} has got {}", who.address(), told(Some(item)))),
        }
    }

    fn subscribe(&mut self, watcher: &Who, watched: &Who) -> Result<(), String> {
        let (watcher, watched) = (backstage(watcher), backstage(watched));
        for who in [&watcher, &watched] {
            self.connect(who, Mechanism::Plain)?;
        }
        let asks = format!("<presence to='{}' type='subscribe'/>", watched.account());
        self.say(&watcher, asks.as_bytes())?;
        self.settle()?;
        let allows = format!("<presence to='{}' type='subscribed'/>", watcher.account());
        self.say(&watched, allows.as_bytes())?;
        self.settle()?;
        for who in [&watcher, &watched] {
            self.say(who, b"</stream:stream>")?;
            self.settle()?;
            self.hang_up(who)?;
            self.cast.remove(who);
        }
        self.settle()
    }

    fn come_online(&mut self, who: &Who, priority: Option<i8>) -> Result<(), String> {
        self.connect(who, Mechanism::Plain)?;
        self.say(
            who,
            b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>",
        )?;
        match self.next(who)? {
            Some(Item::Element(_, tree)) if tree.attribute("id") == Some("roster") => {}
            other => {
                return Err(format!(
                    "instead of the roster, there is {}",
                    told(other.as_ref())
                ));
            }
        }
        let presence = match priority {
            Some(priority) => format!("<presence><priority>{priority}</priority></presence>"),
            None => "<presence/>".to_owned(),
        };
        self.say(who, presence.as_bytes())?;
        self.settle()
    }

    fn dial(&mut self, who: &Who, dial: Dial) -> Result<(), String> {
        let line = self.stage.dial(dial)?;
        let actor = Actor {
            line,
            client: Client::default(),
            unread: VecDeque::new(),
            ended: false,
            viewer: Viewer {
                bare: who.account(),
                full: who.address(),
            },
        };
        if let Some(before) = self.cast.insert(who.clone(), actor)
            && !before.ended
        {
            return Err(format!(
                "{} is still connected; call the other one #2",
                who.address()
            ));
        }
        Ok(())
    }

    fn open_stream(&mut self, who: &Who) -> Result<(), String> {
        if self.cast.get(who).is_none_or(|actor| actor.ended) {
            self.dial(who, Dial::Tls)?;
        }
        let header = self.login(who).open();
        self.say(who, &header)?;
        match self.next(who)? {
            Some(Item::Opened(_)) => {}
            other => return Err(format!("instead of a stream, there is {}", told(other.as_ref()))),
        }
        match self.next(who)? {
            Some(Item::Element(_, tree)) if tree.is(STREAM_NAMESPACE, "features") => Ok(()),
            other => Err(format!("instead of features, there is {}", told(other.as_ref()))),
        }
    }

    /// From an open stream to one on which a resource can be bound.
    fn log_in(&mut self, who: &Who, mechanism: Mechanism) -> Result<(), String> {
        let mut login = self.by(who, mechanism);
        let mut next = login.authenticate();
        loop {
            match next {
                Say::Nothing => {}
                Say::Bytes(bytes) => self.say(who, &bytes)?,
                Say::Anew(_) => {
                    self.actor(who)?.client.restart();
                    return self.open_stream(who);
                }
                Say::Bound(_) => return Err("bound without having asked".to_owned()),
                Say::Failed(why) => return Err(why),
            }
            let heard = self.next_heard(who)?;
            next = login.hear(&heard);
        }
    }

    /// From nothing to a bound resource.
    fn connect(&mut self, who: &Who, mechanism: Mechanism) -> Result<(), String> {
        self.dial(who, Dial::Tls)?;
        let mut login = self.by(who, mechanism);
        self.say(who, &login.open())?;
        loop {
            let heard = self.next_heard(who)?;
            match login.hear(&heard) {
                Say::Nothing => {}
                Say::Bytes(bytes) => self.say(who, &bytes)?,
                Say::Anew(bytes) => {
                    self.actor(who)?.client.restart();
                    self.say(who, &bytes)?;
                }
                Say::Bound(address) if address == who.address() => return Ok(()),
                Say::Bound(address) => return Err(format!("bound as {address}")),
                Say::Failed(why) => return Err(why),
            }
        }
    }

    fn login(&mut self, who: &Who) -> Login {
        Login::new(&who.username, &who.host, "secret", self.dice.fork()).resource(&who.resource)
    }

    fn by(&mut self, who: &Who, mechanism: Mechanism) -> Login {
        let exporter = self
            .cast
            .get(who)
            .and_then(|actor| self.stage.exporter(actor.line));
        self.login(who).by(mechanism, exporter)
    }

    fn receive(&mut self, who: &Who, order: Order, patterns: &[Pattern]) -> Result<(), String> {
        let mut awaited: Vec<&Pattern> = patterns.iter().collect();
        while !awaited.is_empty() {
            let Some(item) = self.next(who)? else {
                return Err("nothing has come".to_owned());
            };
            let actor = self.cast.get(who).ok_or("nobody has dialled")?;
            let tree = match &item {
                Item::Opened(tree) | Item::Element(_, tree) => Some(tree),
                Item::StreamClosed | Item::ConnectionClosed => None,
            };
            let candidates = match order {
                Order::AsWritten => &awaited[..1],
                Order::Any => &awaited[..],
            };
            let found = tree.and_then(|tree| {
                let mut fits = |pattern: &&Pattern| pattern.matches(tree, &actor.viewer, &mut self.blanks);
                candidates.iter().position(&mut fits)
            });
            match found {
                Some(place) => drop(awaited.remove(place)),
                None if actor.is_echo(&item) => {}
                None => {
                    let expected: Vec<String> = candidates
                        .iter()
                        .map(|pattern| format!("\n      {pattern}"))
                        .collect();
                    return Err(format!(
                        "expected: {}\n    there is: \n      {}",
                        expected.concat(),
                        told(Some(&item))
                    ));
                }
            }
        }
        Ok(())
    }

    /// An error if one is named, the end of the stream, and the end of the connection.
    fn stream_ends(&mut self, who: &Who, condition: Option<&str>) -> Result<(), String> {
        if let Some(condition) = condition {
            match self.next_telling(who)? {
                Some(Item::Opened(_)) if self.cast.contains_key(who) => {
                    return Err("instead, a stream is opened".to_owned());
                }
                Some(Item::Element(_, tree))
                    if tree.is(STREAM_NAMESPACE, "error")
                        && tree.children().any(|child| child.name == condition) => {}
                other => return Err(format!("instead, there is {}", told(other.as_ref()))),
            }
        }
        match self.next_telling(who)? {
            Some(Item::StreamClosed) => {}
            other => {
                return Err(format!(
                    "instead of the end of the stream, there is {}",
                    told(other.as_ref())
                ));
            }
        }
        match self.next(who)? {
            Some(Item::ConnectionClosed) => Ok(()),
            other => Err(format!(
                "instead of the end of the connection, there is {}",
                told(other.as_ref())
            )),
        }
    }

    // ---- lines and what comes over them ----

    fn actor(&mut self, who: &Who) -> Result<&mut Actor, String> {
        self.cast
            .get_mut(who)
            .ok_or_else(|| format!("{} has not connected", who.address()))
    }

    fn say(&mut self, who: &Who, bytes: &[u8]) -> Result<(), String> {
        let line = self.actor(who)?.line;
        self.stage.say(line, bytes)
    }

    fn hang_up(&mut self, who: &Who) -> Result<(), String> {
        let actor = self.actor(who)?;
        actor.ended = true;
        actor.unread.clear();
        let line = actor.line;
        self.stage.hang_up(line);
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        self.stage.settle()?;
        self.listen()
    }

    /// Takes in what has come for everybody.
    fn listen(&mut self) -> Result<(), String> {
        for (who, actor) in &mut self.cast {
            if actor.ended {
                continue;
            }
            let came = self.stage.hear(actor.line)?;
            actor.client.read(&came.bytes);
            loop {
                let heard = actor.client.hear().map_err(|error| {
                    let bytes = String::from_utf8_lossy(&came.bytes);
                    format!(
                        "{} cannot read what the server writes ({error}): {bytes}",
                        who.address()
                    )
                })?;
                actor.unread.push_back(match heard {
                    None => break,
                    Some(Heard::Opened(header)) => Item::Opened(opening(&header)),
                    Some(Heard::Element(element)) => {
                        let tree = element.to_tree();
                        Item::Element(element, tree)
                    }
                    Some(Heard::Closed) => Item::StreamClosed,
                });
            }
            if came.ended {
                actor.ended = true;
                actor.unread.push_back(Item::ConnectionClosed);
            }
        }
        Ok(())
    }

    /// The next that has come or is coming.
    fn next(&mut self, who: &Who) -> Result<Option<Item>, String> {
        loop {
            self.listen()?;
            if let Some(item) = self.actor(who)?.unread.pop_front() {
                return Ok(Some(item));
            }
            if !self.stage.wait() {
                return Ok(None);
            }
        }
    }

    /// The same without copies of somebody's own presence.
    fn next_telling(&mut self, who: &Who) -> Result<Option<Item>, String> {
        loop {
            let next = self.next(who)?;
            let actor = self.actor(who)?;
            match &next {
                Some(item) if actor.is_echo(item) => {}
                Some(_) | None => return Ok(next),
            }
        }
    }

    fn next_heard(&mut self, who: &Who) -> Result<Heard, String> {
        match self.next(who)? {
            Some(Item::Opened(_)) => Ok(Heard::Opened(Box::default())),
            Some(Item::Element(element, _)) => Ok(Heard::Element(element)),
            Some(Item::StreamClosed | Item::ConnectionClosed) => Ok(Heard::Closed),
            None => Err("the server says nothing".to_owned()),
        }
    }
}

impl Actor {
    /// RFC 6121 §4.2.2: a copy of one's own presence comes back. Scripts need not tell.
    fn is_echo(&self, item: &Item) -> bool {
        match item {
            Item::Element(_, tree) => {
                tree.name == "presence"
                    && tree.attribute("from") == Some(&self.viewer.full)
                    && matches!(tree.attribute("type"), None | Some("unavailable"))
            }
            Item::Opened(_) | Item::StreamClosed | Item::ConnectionClosed => false,
        }
    }
}

fn backstage(who: &Who) -> Who {
    Who {
        resource: BACKSTAGE.to_owned(),
        number: None,
        ..who.clone()
    }
}

/// A stream header as an element, to be compared.
fn opening(header: &StreamHeader) -> Tree {
    let attributes = [
        ("to", &header.to),
        ("from", &header.from),
        ("id", &header.id),
        ("version", &header.version),
        ("xml:lang", &header.lang),
    ];
    let mut tree = Tree::new("stream", STREAM_NAMESPACE);
    for (name, value) in attributes {
        if let Some(value) = value {
            tree.set_attribute(name, value.clone());
        }
    }
    tree
}

fn told(item: Option<&Item>) -> String {
    match item {
        Some(Item::Opened(tree) | Item::Element(_, tree)) => text(tree),
        Some(Item::StreamClosed) => "the end of the stream".to_owned(),
        Some(Item::ConnectionClosed) => "the end of the connection".to_owned(),
        None => "nothing".to_owned(),
    }
}
