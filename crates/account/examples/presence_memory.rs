//! What presence from elsewhere costs: `cargo run --release -p balcony-account --example presence_memory`.
//!
//! Accounts with one session each, first without contacts elsewhere, then each with the presence of 100 of them, which all
//! differ, as clients send it today. Resident memory of the process, divided by sessions. The figures stand in
//! `docs/benchmarks.md`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for those who work on the server"
)]

use std::time::Duration;

use account::{Account, Change, Effect, Input, Saved, SessionId, Settings, Standing};
use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use stanza::{Address, Parcel, Stanza};
use stream_management::{Limits, Mailbox};
use xml::{ContentNamespace, Element};

const SESSIONS: u64 = 500;
const CONTACTS: u64 = 100;

struct Zeros;

impl Random for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn stanza(text: &str) -> Stanza {
    let element = Element::parse(
        text.as_bytes(),
        ContentNamespace::Client,
        &xml::Limits::unlimited(),
    )
    .unwrap();
    let from = stanza::address_attribute(&element, "from").unwrap();
    let to = stanza::address_attribute(&element, "to").unwrap();
    Stanza::new(element, from, to, None).unwrap()
}

fn tell(account: &mut Account, settings: &Settings, input: Input) {
    let mut out: Decision<Change, Effect> = Decision::default();
    let mut context = Context {
        now: Moment::from_micros(1_000_000),
        wall: Timestamp::from_unix_micros(0),
        random: &mut Zeros,
        settings,
    };
    account.handle(&mut context, input, &mut out);
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn settings() -> Settings {
    let mailbox = Limits {
        stanzas: 1_000,
        bytes: 1 << 20,
    };
    Settings {
        facts: features::Facts::default(),
        local_services: Vec::new(),
        local_domains: vec!["montague.lit".to_owned()],
        resources_max: 10,
        waiting_max: (10, 10_000),
        directed_max: 10,
        settle_after: Duration::from_secs(1),
        delay_stamp_after: Duration::from_secs(10),
        mailbox,
        stranger_subscriptions: None,
        stranger_messages: None,
        subscriptions_from_strangers: None,
        messages_from_strangers: None,
        presence: presence::Settings::default(),
        roster: roster::Limits::default(),
        privacy: privacy::Limits::default(),
    }
}

fn main() {
    let settings = settings();
    let mut accounts = Vec::new();
    for number in 0..SESSIONS {
        let address = Address::parse(&format!("user{number}@montague.lit")).unwrap();
        let saved = Saved {
            standing: Standing::Known,
            ..Saved::default()
        };
        let mut account = Account::new(address.clone(), saved).unwrap();
        let session = SessionId(number);
        tell(
            &mut account,
            &settings,
            Input::Bind {
                session,
                resource: Some("phone".to_owned()),
                mailbox: Mailbox::new(settings.mailbox),
            },
        );
        let own = stanza("<presence xmlns='jabber:client'/>");
        let from = address.with_resource("phone").unwrap();
        let stanza = Stanza::new(own.element().clone(), Some(from), None, None).unwrap();
        tell(
            &mut account,
            &settings,
            Input::Outbound {
                session,
                stanza,
                receipt: None,
            },
        );
        accounts.push(account);
    }
    let before = resident_kib();
    let mut bytes = 0;
    for (number, account) in accounts.iter_mut().enumerate() {
        for contact in 0..CONTACTS {
            let text = format!(
                "<presence xmlns='jabber:client' from='contact{contact}.of{number}@capulet.lit/a-resource' \
                 to='user{number}@montague.lit' xml:lang='en'><show>away</show><status>Somewhere {contact}</status>\
                 <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.org/client' \
                 ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/><x xmlns='vcard-temp:x:update'>\
                 <photo>3f786850e387550fdab836ed7e6dc881de23001b</photo></x></presence>"
            );
            bytes += text.len() as u64;
            let input = Input::Inbound {
                parcel: Parcel::new(stanza(&text)),
                receipt: None,
            };
            tell(account, &settings, input);
        }
    }
    let held: usize = accounts
        .iter()
        .map(|account| {
            account
                .presence_load(&settings.presence.capabilities, |address: &Address| {
                    address.domainpart() == "montague.lit"
                })
                .remote
        })
        .sum();
    let grown = resident_kib() - before;
    println!(
        "{held} presences of {} bytes held by {SESSIONS} sessions: {} bytes each, {:.1} KiB for a session with {CONTACTS} \
         contacts elsewhere",
        bytes / (SESSIONS * CONTACTS),
        grown * 1024 / held as u64,
        grown as f64 / SESSIONS as f64
    );
}
