//! What paused sessions cost in memory: `cargo run -p balcony-account --example paused [SESSIONS]`.
//!
//! Each account has one session, which was available, can be resumed, and has lost its connection; then three chat
//! messages of 200 bytes come for each. Resident memory is read from the kernel before and after.

#![allow(clippy::print_stdout, reason = "a measurement tells its figures")]

use std::time::Duration;

use account::{Account, End, Input, Saved, SessionId, Settings, Standing};
use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use stanza::{Address, Parcel, Stanza};
use stream_management::{Limits, Mailbox};
use xml::{ContentNamespace, Element};

struct Nought;

impl Random for Nought {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sessions: u64 = std::env::args()
        .nth(1)
        .map_or(Ok(10_000), |number| number.parse())?;
    let settings = settings();
    let mut accounts = Vec::new();
    let before = resident()?;
    for number in 0..sessions {
        accounts.push(paused(number, &settings)?);
    }
    let empty = resident()?;
    for (number, account) in accounts.iter_mut().enumerate() {
        for _ in 0..3 {
            let parcel = message(number)?;
            handle(
                account,
                &settings,
                Input::Inbound {
                    parcel,
                    receipt: None,
                },
            );
        }
    }
    let full = resident()?;
    let per = |bytes: usize| bytes as f64 / sessions as f64 / 1024.0;
    println!(
        "{sessions} accounts with a paused session each: {:.1} KiB per account, {:.1} KiB with three messages waiting",
        per(empty - before),
        per(full - before)
    );
    Ok(())
}

fn paused(number: u64, settings: &Settings) -> Result<Account, Box<dyn std::error::Error>> {
    let address = Address::parse(&format!("user{number}@montague.lit"))?;
    let saved = Saved {
        standing: Standing::Known,
        ..Saved::default()
    };
    let mut account = Account::new(address.clone(), saved)?;
    let session = SessionId(number);
    let mailbox = Mailbox::new(settings.mailbox);
    mailbox.lend().enable_counting();
    let bind = Input::Bind {
        session,
        resource: Some("phone".to_owned()),
        mailbox: mailbox.clone(),
    };
    handle(&mut account, settings, bind);
    while mailbox.take_signal().is_some() {}
    let resumable = Input::Resumable {
        session,
        id: format!("{number:024}"),
        time: Duration::from_secs(300),
    };
    handle(&mut account, settings, resumable);
    let from = address.with_resource("phone")?;
    let presence = stanza(
        b"<presence xmlns='jabber:client'><show>away</show></presence>",
        from,
        None,
    )?;
    let outbound = Input::Outbound {
        session,
        stanza: presence,
        receipt: None,
    };
    handle(&mut account, settings, outbound);
    let ended = Input::Ended {
        session,
        mailbox,
        end: End::Lost,
    };
    handle(&mut account, settings, ended);
    Ok(account)
}

fn message(number: usize) -> Result<Parcel, Box<dyn std::error::Error>> {
    let text = format!(
        "<message xmlns='jabber:client' type='chat'><body>{}</body></message>",
        "a".repeat(200)
    );
    let from = Address::parse("juliet@capulet.lit/balcony")?;
    let to = Address::parse(&format!("user{number}@montague.lit"))?;
    Ok(Parcel::new(stanza(text.as_bytes(), from, Some(to))?))
}

fn stanza(bytes: &[u8], from: Address, to: Option<Address>) -> Result<Stanza, Box<dyn std::error::Error>> {
    let element = Element::parse(bytes, ContentNamespace::Client, &xml::Limits::unlimited())
        .map_err(|error| format!("{error:?}"))?;
    Stanza::new(element, Some(from), to, None).map_err(|error| format!("{error:?}").into())
}

/// What the account wants to be put into its mailbox is put there; everything else is nobody's business here.
fn handle(account: &mut Account, settings: &Settings, input: Input) {
    let mut out = Decision::default();
    let mut context = Context {
        now: Moment::from_micros(1),
        wall: Timestamp::from_unix_micros(1),
        random: &mut Nought,
        settings,
    };
    account.handle(&mut context, input, &mut out);
    for effect in out.effects {
        if let account::Effect::Push { mailbox, entry, .. } = effect {
            drop(mailbox.push(entry));
        }
    }
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
