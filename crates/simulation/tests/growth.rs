//! What comes and goes leaves nothing behind: sessions, accounts that nobody has, rooms for a moment, links to domains that
//! nobody serves. A server that runs for months must not grow with what it has seen.
//!
//! `cargo test -p balcony-simulation --test growth` prints how much is on the heap after each round of lives.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use simulation::{Device, Dice, Login, Mechanism, News, Passwords, Servers, Settings};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const MINUTE: Duration = Duration::from_secs(60);
/// Lives of a round.
const LIVES: usize = 12;
/// The first half is compared with the second.
const ROUNDS: usize = 6;
/// What a life may leave behind in bytes, on average: less than any of the things that came and went. It is not 0, as the maps
/// of the router give back what has left them some things at a time.
const LEFT_MAX: usize = 300;

fn main() {
    let arguments = Arguments::from_args();
    let lives = Trial::test("what_comes_and_goes_leaves_nothing_behind", || {
        let _profiler = dhat::Profiler::builder()
            .testing()
            .trim_backtraces(Some(4))
            .build();
        lives();
        Ok(())
    });
    libtest_mimic::run(&arguments, vec![lives]).exit();
}

fn lives() {
    let mut town = Town::new();
    let mut sizes = Vec::new();
    for _ in 0..ROUNDS {
        for _ in 0..LIVES {
            town.live();
        }
        sizes.push(dhat::HeapStats::get().curr_bytes);
    }
    println!("bytes after {LIVES} lives each: {sizes:?}");
    let (early, late) = sizes.split_at(ROUNDS / 2);
    let mean = |sizes: &[usize]| sizes.iter().sum::<usize>() / sizes.len();
    let left = mean(late).saturating_sub(mean(early)) / (LIVES * ROUNDS / 2);
    assert!(
        left <= LEFT_MAX,
        "each life leaves {left} bytes behind: {sizes:?}"
    );
}

struct Town {
    servers: Servers,
    lives: usize,
}

impl Town {
    fn new() -> Town {
        let settings = |domain, rooms: &[&'static str]| {
            let mut settings = Settings {
                hosts: vec![(domain, Passwords::Scram)],
                open: Vec::new(),
                rooms: rooms.to_vec(),
                resume_timeout: MINUTE,
                ..Settings::default()
            };
            settings.limits.resting_bytes = 0;
            settings
        };
        let montague = settings("montague.lit", &["rooms.montague.lit"]);
        let mut servers = Servers::new(7, [montague, settings("capulet.lit", &[])]);
        servers.at(0).create_account("romeo@montague.lit", "secret");
        servers.at(1).create_account("juliet@capulet.lit", "secret");
        Town { servers, lives: 0 }
    }

    /// Two come under names that were never used, meet in a room that never was, speak to strangers, and go: one in order, one
    /// without a word.
    fn live(&mut self) {
        self.lives += 1;
        let life = self.lives;
        let mut romeo = self.come(0, "romeo", "montague.lit");
        let mut juliet = self.come(1, "juliet", "capulet.lit");
        let room = format!("ball{life}@rooms.montague.lit");
        let enter = |nick: &str| {
            format!("<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        };
        self.say(&mut romeo, &enter("romeo"));
        self.say(
            &mut romeo,
            &format!(
                "<iq type='set' id='open' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
                 <x xmlns='jabber:x:data' type='submit'/></query></iq>"
            ),
        );
        self.say(&mut juliet, &enter("juliet"));
        assert_eq!(self.servers.at(0).router().rooms()[0].occupants, 2, "both are in");
        self.say(
            &mut juliet,
            &format!("<message to='{room}' type='groupchat'><body>Good night</body></message>"),
        );
        for to in [
            format!("nobody{life}@montague.lit"),
            format!("nobody{life}@capulet.lit"),
            format!("nobody@nowhere{life}.lit"),
            format!("{room}/nobody"),
            format!("empty{life}@rooms.montague.lit"),
        ] {
            for device in [&mut romeo, &mut juliet] {
                self.say(device, &format!("<presence to='{to}'/>"));
                self.say(
                    device,
                    &format!("<message to='{to}'><body>Who is there?</body></message>"),
                );
                let ping = "<ping xmlns='urn:xmpp:ping'/>";
                self.say(device, &format!("<iq type='get' id='ping' to='{to}'>{ping}</iq>"));
            }
        }
        self.pass(&mut [&mut romeo, &mut juliet], MINUTE / 2);
        romeo.say(&mut self.servers, "</stream:stream>");
        juliet.hang_up(&mut self.servers);
        juliet.end();
        romeo.end();
        // The session is over, then the room has waited long enough, then the links have.
        self.pass(&mut [], 10 * MINUTE);
        for (server, device) in [romeo, juliet].into_iter().enumerate() {
            if let Some(connection) = device.connection() {
                self.servers.at(server).forget(connection);
            }
            let router = self.servers.at(server).router();
            assert_eq!(router.accounts_in_memory(), 0, "accounts at {server}");
            assert!(router.rooms_in_memory().is_empty(), "rooms at {server}");
            // A way between two that talk stays open.
            let links = router.links();
            let is_known = |link: &s2s::link::View| !link.pair.remote.as_str().starts_with("nowhere");
            assert!(links.iter().all(is_known), "links at {server}: {links:?}");
        }
    }

    fn come(&mut self, server: usize, name: &str, domain: &str) -> Device {
        let mut device = Device::new(server);
        // What is known of a session that could have been resumed stays, of the last 4,096 of them.
        device.is_resumable = false;
        let login = Login::new(name, domain, "secret", Dice::new(self.lives as u64))
            .resource(&format!("phone{}", self.lives))
            .by(Mechanism::Plain, None);
        device.connect(&mut self.servers, login);
        self.pass(&mut [&mut device], Duration::ZERO);
        assert!(device.is_there(), "{name} cannot log in");
        device.say(&mut self.servers, "<presence/>");
        self.pass(&mut [&mut device], Duration::ZERO);
        device
    }

    fn say(&mut self, device: &mut Device, words: &str) {
        device.say(&mut self.servers, words);
        self.pass(&mut [device], Duration::from_millis(100));
    }

    /// Time passes, and the clients read and acknowledge what comes.
    fn pass(&mut self, devices: &mut [&mut Device], time: Duration) {
        self.servers.pass(time);
        let mut is_busy = true;
        while is_busy {
            self.servers.settle();
            is_busy = false;
            for device in &mut *devices {
                is_busy |= device.read(&mut self.servers);
                while let Some(News::Bound | News::Stanza(_) | News::Word(_)) =
                    device.next(&mut self.servers).unwrap()
                {}
            }
        }
    }
}
