//! What contacts cost in memory: `cargo run --release -p balcony-account --example contacts [ACCOUNTS]`.
//!
//! Each account has a roster of 100 contacts with a name and a group. Then each has a session that is available, and then
//! the presence of 50 contacts here comes for each, and that of 50 elsewhere, 400 bytes with capabilities and an avatar's
//! hash. Resident memory is read from the kernel in between.

#![allow(clippy::print_stdout, reason = "a measurement tells its figures")]

use std::time::Duration;

use account::{Account, Input, Saved, SessionId, Settings, Standing};
use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use roster::Relation;
use stanza::{Address, Stanza};
use stream_management::{Limits, Mailbox};
use xml::{ContentNamespace, Element};

const CONTACTS: usize = 100;

struct Nought;

impl Random for Nought {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let accounts: usize = std::env::args()
        .nth(1)
        .map_or(Ok(1_000), |number| number.parse())?;
    let settings = settings();
    let before = resident()?;
    // Kept to the end: what was given back would be used again.
    let mut lonely = Vec::new();
    for number in 0..accounts {
        lonely.push(Account::new(user(number)?, saved(number, 0)?)?);
    }
    let alone = resident()?;
    let mut all = Vec::new();
    for number in 0..accounts {
        all.push(Account::new(user(number)?, saved(number, CONTACTS)?)?);
    }
    let loaded = resident()?;
    for (number, account) in all.iter_mut().enumerate() {
        come(account, number, &settings)?;
    }
    let online = resident()?;
    for (number, account) in all.iter_mut().enumerate() {
        see(account, number, "montague.lit", &settings)?;
    }
    let here = resident()?;
    for (number, account) in all.iter_mut().enumerate() {
        see(account, number, "capulet.lit", &settings)?;
    }
    let elsewhere = resident()?;
    let per = |from: usize, to: usize, each: usize| to.saturating_sub(from) / (accounts * each);
    println!(
        "account without contacts          {:>6} bytes",
        per(before, alone, 1)
    );
    println!(
        "roster item                       {:>6} bytes",
        (loaded - alone).saturating_sub(alone - before) / (accounts * CONTACTS)
    );
    println!(
        "available session                 {:>6} bytes",
        per(loaded, online, 1)
    );
    println!(
        "online contact of this server     {:>6} bytes",
        per(online, here, CONTACTS / 2)
    );
    println!(
        "online contact of another server  {:>6} bytes",
        per(here, elsewhere, CONTACTS / 2)
    );
    Ok(())
}

fn user(number: usize) -> Result<Address, Box<dyn std::error::Error>> {
    Ok(Address::parse(&format!("user{number}@montague.lit"))?)
}

/// Half of the contacts live here, half elsewhere; no two accounts share one.
fn contact(number: usize, contact: usize, domain: &str) -> Result<Address, Box<dyn std::error::Error>> {
    Ok(Address::parse(&format!("friend{contact}.of{number}@{domain}"))?)
}

fn saved(number: usize, contacts: usize) -> Result<Saved, Box<dyn std::error::Error>> {
    let mut items = Vec::new();
    for place in 0..contacts {
        let domain = if place % 2 == 0 {
            "montague.lit"
        } else {
            "capulet.lit"
        };
        items.push(roster::ItemRow {
            contact: contact(number, place, domain)?,
            name: format!("Friend number {place}"),
            groups: vec!["Friends".to_owned()],
            relation: Relation::Both,
            ask: false,
            approved: false,
            version: 1,
        });
    }
    Ok(Saved {
        standing: Standing::Known,
        roster: roster::Stored {
            version: 1,
            complete_since: 1,
            items,
            ..roster::Stored::default()
        },
        ..Saved::default()
    })
}

fn come(account: &mut Account, number: usize, settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    let session = SessionId(number as u64);
    let mailbox = Mailbox::new(settings.mailbox);
    let bind = Input::Bind {
        session,
        resource: Some("balcony".to_owned()),
        mailbox,
    };
    handle(account, settings, bind);
    let from = account.address().with_resource("balcony")?;
    let outbound = Input::Outbound {
        session,
        stanza: presence(from, None)?,
        receipt: None,
    };
    handle(account, settings, outbound);
    Ok(())
}

/// The presence of all its contacts of one domain comes.
fn see(
    account: &mut Account,
    number: usize,
    domain: &str,
    settings: &Settings,
) -> Result<(), Box<dyn std::error::Error>> {
    for place in 0..CONTACTS {
        if (place % 2 == 0) != (domain == "montague.lit") {
            continue;
        }
        let from = contact(number, place, domain)?.with_resource("phone")?;
        let parcel = stanza::Parcel::new(presence(from, Some(account.address().clone()))?);
        handle(
            account,
            settings,
            Input::Inbound {
                parcel,
                receipt: None,
            },
        );
    }
    Ok(())
}

fn presence(from: Address, to: Option<Address>) -> Result<Stanza, Box<dyn std::error::Error>> {
    let text = "<presence xmlns='jabber:client' id='a2b9f1c4'><show>away</show><status>In the orchard</status><priority>5</priority>\
        <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example' ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/>\
        <x xmlns='vcard-temp:x:update'><photo>01b87fcd030b72895ff8e88db57ec525450f000d</photo></x>\
        <idle xmlns='urn:xmpp:idle:1' since='2026-11-21T02:56:15Z'/></presence>";
    let element = Element::parse(
        text.as_bytes(),
        ContentNamespace::Client,
        &xml::Limits::unlimited(),
    )
    .map_err(|error| format!("{error:?}"))?;
    Stanza::new(element, Some(from), to, None).map_err(|error| format!("{error:?}").into())
}

/// What the account wants to happen is nobody's business here.
fn handle(account: &mut Account, settings: &Settings, input: Input) {
    let mut out = Decision::default();
    let mut context = Context {
        now: Moment::from_micros(1),
        wall: Timestamp::from_unix_micros(1),
        random: &mut Nought,
        settings,
    };
    account.handle(&mut context, input, &mut out);
}

fn settings() -> Settings {
    Settings {
        facts: features::Facts::default(),
        local_services: Vec::new(),
        local_domains: vec!["montague.lit".to_owned()],
        resources_max: 10,
        waiting_max: (100, 100_000),
        directed_max: 10,
        settle_after: Duration::from_secs(1),
        delay_stamp_after: Duration::from_secs(10),
        mailbox: Limits {
            stanzas: 1_000,
            bytes: 1 << 20,
        },
        stranger_subscriptions: None,
        stranger_messages: None,
        subscriptions_from_strangers: None,
        messages_from_strangers: None,
        presence: presence::Settings::default(),
        roster: roster::Limits::default(),
        privacy: privacy::Limits::default(),
    }
}

/// Resident memory of this process in bytes.
fn resident() -> Result<usize, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<usize>()? * 1024)
}
