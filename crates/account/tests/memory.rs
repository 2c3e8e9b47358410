//! What an account, its sessions and its contacts take on the heap (docs/benchmarks.md): the figures, and that they do not
//! grow unnoticed.
//!
//! They are those of the allocator's callers; an allocator rounds up. `cargo test -p balcony-account --test memory` prints
//! them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod ground;

use std::sync::Arc;
use std::time::Duration;

use account::{Account, Effect, End, Input, Saved, SessionId, Settings, Standing};
use ground::{address, settings, stanza};
use libtest_mimic::{Arguments, Trial};
use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use roster::Relation;
use stanza::{Parcel, Stanza};
use stream_management::Mailbox;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Accounts over which is averaged.
const ACCOUNTS: usize = 10;
const CONTACTS: usize = 100;
/// Versions of clients that the contacts use.
const CLIENTS: usize = 8;

const ACCOUNT_MAX: usize = 1_100;
const ITEM_MAX: usize = 140;
const SESSION_MAX: usize = 1_200;
/// Presence with `<show/>`, `<status/>` and capabilities.
const TYPICAL_MAX: usize = 260;
/// The same with the hash of an avatar, which nobody else has.
const WITH_AVATAR_MAX: usize = 350;
/// What it costs that a second session holds it too.
const AGAIN_MAX: usize = 28;
/// The goal for a session with a hundred contacts elsewhere: with their places in the roster and the paths to them.
const HUNDRED_MAX: usize = 40 << 10;
const PAUSED_MAX: usize = 3_000;
const MESSAGES_MAX: usize = 3_000;

struct Zeros;

impl Random for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

struct House {
    accounts: Vec<Account>,
    settings: Settings,
    /// Whether what clients are sent stays in their mailboxes, because nobody takes it.
    is_left_alone: bool,
}

impl House {
    fn new() -> House {
        House {
            accounts: Vec::with_capacity(ACCOUNTS),
            settings: settings(),
            is_left_alone: false,
        }
    }

    fn tell(&mut self, number: usize, input: Input) {
        let mut out = Decision::default();
        let mut context = Context {
            now: Moment::from_micros(1),
            wall: Timestamp::from_unix_micros(1),
            random: &mut Zeros,
            settings: &self.settings,
        };
        self.accounts[number].handle(&mut context, input, &mut out);
        for effect in out.effects {
            if let Effect::Push { mailbox, entry, .. } = effect
                && self.is_left_alone
            {
                assert!(mailbox.push(entry).is_ok());
            }
        }
    }

    /// Accounts whose contacts, if they have any, live elsewhere; no two accounts share one.
    fn load(&mut self, contacts: usize) {
        for number in 0..ACCOUNTS {
            let item = |place: usize| roster::ItemRow {
                contact: address(&contact(number, place, "capulet")),
                name: format!("Friend number {place}"),
                groups: vec!["Friends".to_owned()],
                relation: Relation::Both,
                ask: false,
                approved: false,
                version: 1,
            };
            let saved = Saved {
                standing: Standing::Known,
                roster: roster::Stored {
                    version: 1,
                    complete_since: 1,
                    items: (0..contacts).map(item).collect(),
                    ..roster::Stored::default()
                },
                ..Saved::default()
            };
            let name = address(&format!("user{number}@montague.lit"));
            self.accounts.push(Account::new(name, saved).unwrap());
        }
    }

    /// A session of each account comes.
    fn come(&mut self, resource: &str) -> Vec<Arc<Mailbox>> {
        let come = |number: usize| {
            let session = id(number, resource);
            let mailbox = Mailbox::new(self.settings.mailbox);
            if self.is_left_alone {
                mailbox.lend().enable_counting();
            }
            let bind = Input::Bind {
                session,
                resource: Some(resource.to_owned()),
                mailbox: Arc::clone(&mailbox),
            };
            self.tell(number, bind);
            while mailbox.take_signal().is_some() {}
            let written = stanza("<presence xmlns='jabber:client'><show>away</show></presence>");
            let from = self.accounts[number].address().with_resource(resource).unwrap();
            let stanza = Stanza::new(written.element().clone(), Some(from), None, None).unwrap();
            let outbound = Input::Outbound {
                session,
                stanza,
                receipt: None,
            };
            self.tell(number, outbound);
            mailbox
        };
        (0..ACCOUNTS).map(come).collect()
    }

    /// Presence of every contact arrives, at all sessions or one.
    fn see(&mut self, resource: Option<&str>, domain: &str, content: impl Fn(usize, usize) -> String) {
        for number in 0..ACCOUNTS {
            let to = match resource {
                Some(resource) => format!("user{number}@montague.lit/{resource}"),
                None => format!("user{number}@montague.lit"),
            };
            for place in 0..CONTACTS {
                let from = contact(number, place, domain);
                let text = content(number, place);
                let text =
                    format!("<presence xmlns='jabber:client' from='{from}/a-resource' to='{to}'{text}");
                let parcel = Parcel::new(stanza(&text));
                let receipt = None;
                self.tell(number, Input::Inbound { parcel, receipt });
            }
        }
    }
}

fn id(number: usize, resource: &str) -> SessionId {
    SessionId((2 * number + resource.len() % 2) as u64)
}

/// Their domains are ten.
fn contact(number: usize, place: usize, domain: &str) -> String {
    let domain = match domain {
        "montague" => domain.to_owned(),
        _ => format!("{domain}{}", place % 10),
    };
    format!("contact{place}.of{number}@{domain}.lit")
}

fn typical(number: usize, place: usize) -> String {
    format!(
        " xml:lang='en'><show>away</show><status>Somewhere {number}.{place}</status>\
         <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.org/client' \
         ver='{}4PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/></presence>",
        place % CLIENTS
    )
}

fn with_avatar(number: usize, place: usize) -> String {
    let avatar =
        format!("<x xmlns='vcard-temp:x:update'><photo>{number:020}{place:020}</photo></x></presence>");
    typical(number, place).replace("</presence>", &avatar)
}

fn gone(_: usize, _: usize) -> String {
    " type='unavailable'/>".to_owned()
}

/// Bytes that are in use now.
fn now() -> usize {
    dhat::HeapStats::get().curr_bytes
}

/// Says and checks what one of so many takes that have come since then.
fn takes(what: &str, since: usize, many: usize, most: usize) {
    let each = (now() - since) / many;
    println!("{each:>6} {what}");
    assert!(each <= most, "{what}: {each} bytes, at most {most}");
}

fn main() {
    let mut arguments = Arguments::from_args();
    // On this thread, one after the other.
    arguments.test_threads = Some(1);
    let test = |name: &str, run: fn()| {
        Trial::test(name, move || {
            let _profiler = dhat::Profiler::builder().testing().build();
            run();
            Ok(())
        })
    };
    let tests = vec![
        test("an_account_its_sessions_and_its_contacts_take_little", contacts),
        test("a_session_that_waits_for_its_client_takes_little", paused),
    ];
    libtest_mimic::run(&arguments, tests).exit();
}

fn contacts() {
    let contacts = ACCOUNTS * CONTACTS;
    let begin = now();
    let mut alone = House::new();
    alone.load(0);
    takes("an account without contacts", begin, ACCOUNTS, ACCOUNT_MAX);
    let before = now();
    let lonely = alone.come("phone");
    takes("a session that is available", before, ACCOUNTS, SESSION_MAX);
    let without = now() - begin;

    let begin = now();
    let mut house = House::new();
    let before = now();
    house.load(CONTACTS);
    takes(
        "an item of a roster, with a name and a group",
        before,
        contacts,
        ITEM_MAX,
    );
    let phones = house.come("phone");
    let before = now();
    house.see(None, "montague", typical);
    takes("a contact of this server who is online", before, contacts, 0);
    let offline = now();
    house.see(None, "capulet", typical);
    takes(
        "a contact elsewhere who is online",
        offline,
        contacts,
        TYPICAL_MAX,
    );
    takes(
        "more for a session with 100 of them, roster and all",
        begin + without,
        ACCOUNTS,
        HUNDRED_MAX,
    );

    let before = now();
    let tablets = house.come("a-tablet");
    let second = now() - before;
    let before = now();
    house.see(Some("a-tablet"), "capulet", typical);
    takes("such a contact for another session", before, contacts, AGAIN_MAX);

    house.see(None, "capulet", gone);
    assert_eq!(now(), offline + second, "nothing is kept of those who have gone");
    house.see(None, "capulet", with_avatar);
    takes(
        "a contact elsewhere with an avatar, for two sessions",
        offline + second,
        contacts,
        WITH_AVATAR_MAX + AGAIN_MAX,
    );
    drop((lonely, phones, tablets));
}

/// Clients that have lost their connection, and may come back.
fn paused() {
    let mut house = House {
        is_left_alone: true,
        ..House::new()
    };
    house.load(0);
    let before = now();
    for (number, mailbox) in house.come("phone").into_iter().enumerate() {
        let session = id(number, "phone");
        let resumable = Input::Resumable {
            session,
            id: format!("{number:024}"),
            time: Duration::from_secs(300),
        };
        house.tell(number, resumable);
        let end = End::Lost;
        house.tell(
            number,
            Input::Ended {
                session,
                mailbox,
                end,
            },
        );
    }
    takes(
        "a session that waits for its client",
        before,
        ACCOUNTS,
        PAUSED_MAX,
    );
    let before = now();
    for number in 0..ACCOUNTS {
        for _ in 0..3 {
            let text = format!(
                "<message xmlns='jabber:client' type='chat' from='juliet@capulet.lit/balcony' \
                 to='user{number}@montague.lit'><body>{}</body></message>",
                "a".repeat(200)
            );
            let parcel = Parcel::new(stanza(&text));
            let receipt = None;
            house.tell(number, Input::Inbound { parcel, receipt });
        }
    }
    takes(
        "three messages of 200 bytes that wait for it",
        before,
        ACCOUNTS,
        MESSAGES_MAX,
    );
}
