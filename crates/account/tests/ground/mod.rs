//! What every test of the account starts from.

#![allow(dead_code, reason = "no test needs all of it")]

use std::time::Duration;

use account::Settings;
use stanza::{Address, Stanza};
use stream_management::Limits;
use xml::{ContentNamespace, Element};

/// An address that is one.
pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A stanza as it is written, with the addresses that it names.
pub(crate) fn stanza(text: &str) -> Stanza {
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

/// A server of montague.lit, with narrow limits.
pub(crate) fn settings() -> Settings {
    Settings {
        facts: features::Facts::default(),
        local_services: Vec::new(),
        local_domains: vec!["montague.lit".to_owned()],
        resources_max: 10,
        waiting_max: (10, 10_000),
        outstanding_max: 10_000,
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
