//! `docs/rfc6121.md` says which conversation shows which section of RFC 6121 §2, §3, §4 and §8: it is made from the
//! headings of the scripts, and this test fails when it is out of date, when a section that binds servers has no
//! conversation, or when a conversation cites a section that there is not.
//!
//! `BALCONY_BLESS=1 cargo test -p balcony-conversations --test sections` writes it anew.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// How a section is shown.
enum Shown {
    /// By conversations that cite it.
    Here,
    /// By those of other sections, for this reason.
    By(&'static [&'static str], &'static str),
    /// It binds clients; what the server makes of it is shown there.
    Client(&'static [&'static str]),
}

use Shown::{By, Client, Here};

/// The sections below §2, §3, §4 and §8, in their order.
const SECTIONS: &[(&str, &str, Shown)] = &[
    (
        "2.1",
        "Syntax and Semantics",
        By(&["2.1.1", "2.1.6"], "its parts"),
    ),
    ("2.1.1", "Ver Attribute", Here),
    ("2.1.2", "Roster Items", By(&["2.1.2.2", "2.1.2.5"], "its parts")),
    (
        "2.1.2.1",
        "Approved Attribute",
        By(&["3.1.6", "3.4", "3.4.2"], "it is set and cleared there"),
    ),
    ("2.1.2.2", "Ask Attribute", Here),
    ("2.1.2.3", "JID Attribute", Here),
    ("2.1.2.4", "Name Attribute", Here),
    ("2.1.2.5", "Subscription Attribute", Here),
    (
        "2.1.2.6",
        "Group Element",
        By(
            &["2.3", "2.3.3", "2.4"],
            "groups are set, changed and refused there",
        ),
    ),
    ("2.1.3", "Roster Get", Here),
    ("2.1.4", "Roster Result", Here),
    (
        "2.1.5",
        "Roster Set",
        By(&["2.3", "2.3.3", "2.4"], "what a set does, and what it may not"),
    ),
    ("2.1.6", "Roster Push", Here),
    ("2.2", "Retrieving the Roster on Login", Here),
    ("2.3", "Adding a Roster Item", Here),
    ("2.3.1", "Request", By(&["2.3"], "the whole exchange")),
    ("2.3.2", "Success Case", By(&["2.3"], "the whole exchange")),
    ("2.3.3", "Error Cases", Here),
    ("2.4", "Updating a Roster Item", Here),
    ("2.4.1", "Request", By(&["2.4"], "the whole exchange")),
    ("2.4.2", "Success Case", By(&["2.4"], "the whole exchange")),
    ("2.4.3", "Error Cases", Here),
    ("2.5", "Deleting a Roster Item", Here),
    ("2.5.1", "Request", By(&["2.5"], "the whole exchange")),
    ("2.5.2", "Success Case", By(&["2.5"], "the whole exchange")),
    ("2.5.3", "Error Cases", Here),
    ("2.6", "Roster Versioning", By(&["2.6.3"], "its parts")),
    (
        "2.6.1",
        "Stream Feature",
        By(&["RFC 6120 §6.4.6"], "the features after login"),
    ),
    ("2.6.2", "Request", By(&["2.6.3"], "the whole exchange")),
    ("2.6.3", "Success Case", Here),
    ("3.1", "Requesting a Subscription", Here),
    (
        "3.1.1",
        "Client Generation of Outbound Subscription Request",
        Client(&["3.1.2"]),
    ),
    (
        "3.1.2",
        "Server Processing of Outbound Subscription Request",
        Here,
    ),
    ("3.1.3", "Server Processing of Inbound Subscription Request", Here),
    (
        "3.1.4",
        "Client Processing of Inbound Subscription Request",
        Client(&["3.1.3", "3.1.5"]),
    ),
    (
        "3.1.5",
        "Server Processing of Outbound Subscription Approval",
        Here,
    ),
    (
        "3.1.6",
        "Server Processing of Inbound Subscription Approval",
        Here,
    ),
    ("3.2", "Canceling a Subscription", Here),
    ("3.2.1", "Client Generation of Subscription Cancellation", Here),
    (
        "3.2.2",
        "Server Processing of Outbound Subscription Cancellation",
        By(&["3.2"], "both sides of it"),
    ),
    (
        "3.2.3",
        "Server Processing of Inbound Subscription Cancellation",
        By(&["3.2"], "both sides of it"),
    ),
    ("3.3", "Unsubscribing", Here),
    ("3.3.1", "Client Generation of Unsubscribe", Client(&["3.3"])),
    (
        "3.3.2",
        "Server Processing of Outbound Unsubscribe",
        By(&["3.3"], "both sides of it"),
    ),
    (
        "3.3.3",
        "Server Processing of Inbound Unsubscribe",
        By(&["3.3"], "both sides of it"),
    ),
    ("3.4", "Pre-Approving a Subscription Request", Here),
    (
        "3.4.1",
        "Client Generation of Subscription Pre-Approval",
        Client(&["3.4"]),
    ),
    ("3.4.2", "Server Processing of Subscription Pre-Approval", Here),
    (
        "4.1",
        "Presence Fundamentals",
        By(
            &["4.2.2", "4.4.2", "4.5.2"],
            "from the first presence to the last",
        ),
    ),
    ("4.2", "Initial Presence", By(&["4.2.2", "4.2.3"], "its parts")),
    ("4.2.1", "Client Generation of Initial Presence", Here),
    ("4.2.2", "Server Processing of Outbound Initial Presence", Here),
    ("4.2.3", "Server Processing of Inbound Initial Presence", Here),
    (
        "4.2.4",
        "Client Processing of Initial Presence",
        Client(&["4.2.3"]),
    ),
    ("4.3", "Presence Probes", Here),
    ("4.3.1", "Server Generation of Outbound Presence Probe", Here),
    ("4.3.2", "Server Processing of Inbound Presence Probe", Here),
    ("4.3.2.1", "Handling of the 'id' Attribute", Here),
    (
        "4.4",
        "Subsequent Presence Broadcast",
        By(&["4.4.2", "4.4.3"], "its parts"),
    ),
    (
        "4.4.1",
        "Client Generation of Subsequent Presence Broadcast",
        Client(&["4.4.2"]),
    ),
    ("4.4.2", "Server Processing of Subsequent Outbound Presence", Here),
    ("4.4.3", "Server Processing of Subsequent Inbound Presence", Here),
    (
        "4.4.4",
        "Client Processing of Subsequent Presence",
        Client(&["4.4.3"]),
    ),
    (
        "4.5",
        "Unavailable Presence",
        By(&["4.5.2", "4.5.3"], "its parts"),
    ),
    (
        "4.5.1",
        "Client Generation of Unavailable Presence",
        Client(&["4.5.2"]),
    ),
    (
        "4.5.2",
        "Server Processing of Outbound Unavailable Presence",
        Here,
    ),
    ("4.5.3", "Server Processing of Inbound Unavailable Presence", Here),
    (
        "4.5.4",
        "Client Processing of Unavailable Presence",
        Client(&["4.5.3"]),
    ),
    ("4.6", "Directed Presence", By(&["4.6.3", "4.6.4"], "its parts")),
    ("4.6.1", "General Considerations", Here),
    (
        "4.6.2",
        "Client Generation of Directed Presence",
        Client(&["4.6.3"]),
    ),
    ("4.6.3", "Server Processing of Outbound Directed Presence", Here),
    ("4.6.4", "Server Processing of Inbound Directed Presence", Here),
    (
        "4.6.5",
        "Client Processing of Inbound Directed Presence",
        Client(&["4.6.4"]),
    ),
    ("4.6.6", "Server Processing of Presence Probes", Here),
    ("4.7", "Presence Syntax", By(&["4.7.1", "4.7.3"], "its parts")),
    ("4.7.1", "Type Attribute", Here),
    (
        "4.7.2",
        "Child Elements",
        By(&["4.7.2.1", "4.7.2.3"], "its parts"),
    ),
    ("4.7.2.1", "Show Element", Here),
    ("4.7.2.2", "Status Element", Here),
    ("4.7.2.3", "Priority Element", Here),
    ("4.7.3", "Extended Content", Here),
    ("8.1", "General Considerations", Here),
    ("8.2", "No 'to' Address", Here),
    ("8.3", "Remote Domain", Here),
    ("8.4", "Local Domain", Here),
    ("8.5", "Local User", By(&["8.5.1", "8.5.3.1"], "its parts")),
    ("8.5.1", "No Such User", Here),
    (
        "8.5.2",
        "localpart@domainpart",
        By(&["8.5.2.1.1", "8.5.2.2.1"], "its parts"),
    ),
    (
        "8.5.2.1",
        "Available or Connected Resources",
        By(&["8.5.2.1.1", "8.5.2.1.3"], "its parts"),
    ),
    ("8.5.2.1.1", "Message", Here),
    ("8.5.2.1.2", "Presence", Here),
    ("8.5.2.1.3", "IQ", Here),
    (
        "8.5.2.2",
        "No Available or Connected Resources",
        By(&["8.5.2.2.1", "8.5.2.2.3"], "its parts"),
    ),
    ("8.5.2.2.1", "Message", Here),
    ("8.5.2.2.2", "Presence", Here),
    ("8.5.2.2.3", "IQ", Here),
    (
        "8.5.3",
        "localpart@domainpart/resourcepart",
        By(&["8.5.3.1", "8.5.3.2.1"], "its parts"),
    ),
    ("8.5.3.1", "Resource Matches", Here),
    (
        "8.5.3.2",
        "No Resource Matches",
        By(&["8.5.3.2.1", "8.5.3.2.3"], "its parts"),
    ),
    ("8.5.3.2.1", "Message", Here),
    ("8.5.3.2.2", "Presence", Here),
    ("8.5.3.2.3", "IQ", Here),
    (
        "8.5.4",
        "Summary of Message Delivery Rules",
        By(
            &["8.5.1", "8.5.2.1.1", "8.5.2.2.1", "8.5.3.1", "8.5.3.2.1"],
            "every row",
        ),
    ),
];

/// What is done otherwise than the text says, and why.
const OTHERWISE: &[(&str, &str)] = &[(
    "8.5.1",
    "a request for the last activity (XEP-0012) of an account that there is not is answered with `forbidden`, as that of a \
     stranger by an account that there is, and not with `service-unavailable`: the difference would tell who lives here",
)];

#[test]
fn the_sections_of_rfc_6121_are_shown_by_conversations() {
    let conversations = conversations();
    let mut page = String::from(
        "# RFC 6121, section by section\n\n\
         Which conversation (`tests/conversations`) shows which section of §2 (roster), §3 (subscriptions), §4 (presence) and \
         §8 (delivery). Each is played in memory and over sockets. Made from the headings of the scripts by a test: \
         `BALCONY_BLESS=1 cargo test -p balcony-conversations --test sections`.\n\n| § | | shown by |\n|---|---|---|\n",
    );
    for (number, title, shown) in SECTIONS {
        let said = match shown {
            Here => {
                let own = conversations.get(*number);
                assert!(own.is_some(), "§{number} {title}: no conversation cites it");
                own.unwrap().join("; ")
            }
            By(others, why) => format!("{why}: {}", references(others, &conversations)),
            Client(others) => format!(
                "binds clients; the server: {}",
                references(others, &conversations)
            ),
        };
        writeln!(page, "| {number} | {title} | {said} |").unwrap();
    }
    page.push_str("\n## Otherwise than the text\n\n");
    for (number, what) in OTHERWISE {
        writeln!(page, "- §{number}: {what}.").unwrap();
    }
    for number in conversations.keys().filter(|number| !number.starts_with("RFC")) {
        let is_meant = ["2.", "3.", "4.", "8."]
            .iter()
            .any(|part| number.starts_with(part));
        let known = SECTIONS.iter().any(|(known, ..)| known == number);
        assert!(
            !is_meant || known,
            "a conversation cites §{number}, which there is not"
        );
    }
    let file = root().join("docs/rfc6121.md");
    if std::env::var_os("BALCONY_BLESS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/rfc6121.md is out of date: BALCONY_BLESS=1 cargo test -p balcony-conversations --test sections"
    );
}

fn references(others: &[&str], conversations: &BTreeMap<String, Vec<String>>) -> String {
    for other in others {
        assert!(
            conversations.contains_key(*other),
            "§{other}: no conversation cites it"
        );
    }
    let name = |other: &&str| {
        if other.starts_with("RFC") {
            (*other).to_owned()
        } else {
            format!("§{other}")
        }
    };
    others.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The sentences of the conversations by the section that they cite: `3.1.2`, or `RFC 6120 §6.4.6` for other documents.
fn conversations() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut directories = vec![root().join("tests/conversations")];
    while let Some(directory) = directories.pop() {
        let mut entries: Vec<PathBuf> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|end| end == "script") {
                for heading in fs::read_to_string(&path)
                    .unwrap()
                    .lines()
                    .filter_map(|line| line.strip_prefix("# "))
                {
                    let Some((clauses, sentence)) = heading.split_once(": ") else {
                        continue;
                    };
                    for clause in clauses.split(", ") {
                        let clause = clause.split(" (").next().unwrap();
                        let number = clause.strip_prefix("RFC 6121 §").unwrap_or(clause);
                        found
                            .entry(number.to_owned())
                            .or_default()
                            .push(sentence.to_owned());
                    }
                }
            }
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
