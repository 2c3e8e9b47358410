//! The list in `docs/rooms.md` says which conversation shows which section of XEP-0045 that has examples: it is made from
//! the headings of the scripts, and this test fails when it is out of date, or when such a section has no conversation.
//!
//! `BALCONY_BLESS=1 cargo test -p balcony-conversations --test rooms` writes it anew.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// How a section is shown.
enum Shown {
    /// By conversations that cite it.
    Here,
    /// By this test.
    Elsewhere(&'static str),
    /// It binds nobody who serves rooms.
    NotOurs(&'static str),
}

use Shown::{Elsewhere, Here, NotOurs};

/// The sections that have examples, with their titles and the numbers of these.
const SECTIONS: &[(&str, &str, &str, Shown)] = &[
    ("6.1", "Discovering a MUC Service", "1–2", Here),
    (
        "6.2",
        "Discovering the Features Supported by a MUC Service",
        "3–4",
        Here,
    ),
    ("6.3", "Discovering Rooms", "5–7", Here),
    ("6.4", "Querying for Room Information", "8–10", Here),
    ("6.5", "Querying for Room Items", "11–13", Here),
    ("6.7", "Discovering Client Support for MUC", "14–17", Here),
    ("7.2.1", "Basic MUC Protocol", "18–19", Here),
    ("7.2.2", "Presence Broadcast", "20–22", Here),
    ("7.2.3", "Non-Anonymous Rooms", "23–24", Here),
    ("7.2.5", "Password-Protected Rooms", "25–26", Here),
    ("7.2.6", "Members-Only Rooms", "27", Here),
    ("7.2.7", "Banned Users", "28", Here),
    ("7.2.8", "Nickname Conflict", "29", Here),
    ("7.2.9", "Max Users", "30", Here),
    ("7.2.10", "Locked Room", "31", Here),
    ("7.2.12", "Room Logging", "32", Here),
    ("7.2.13", "Discussion History", "33–34", Here),
    ("7.2.14", "Managing Discussion History", "35–39", Here),
    ("7.2.15", "Room Subject", "40–41", Here),
    ("7.2.18", "Groupchat 1.0 Protocol", "42–43", Here),
    ("7.4", "Sending a Message to All Occupants", "44–45", Here),
    ("7.5", "Sending a Private Message", "46–48", Here),
    ("7.6", "Changing Nickname", "49–53", Here),
    ("7.7", "Changing Availability Status", "54–55", Here),
    ("7.8.2", "Mediated Invitation", "56–59", Here),
    (
        "7.9",
        "Converting a One-to-One Chat Into a Multi-User Conference",
        "60–65",
        Here,
    ),
    ("7.10", "Registering with a Room", "66–76", Here),
    ("7.12", "Discovering Reserved Room Nickname", "77–78", Here),
    ("7.13", "Requesting Voice", "79", Here),
    ("7.14", "Exiting a Room", "80–83", Here),
    ("8.1", "Modifying the Room Subject", "84–88", Here),
    ("8.2", "Kicking an Occupant", "89–93", Here),
    ("8.3", "Granting Voice to a Visitor", "94–97", Here),
    ("8.4", "Revoking Voice from a Participant", "98–102", Here),
    ("8.5", "Modifying the Voice List", "103–107", Here),
    ("8.6", "Approving Voice Requests", "108–109", Here),
    ("9.1", "Banning a User", "110–115", Here),
    ("9.2", "Modifying the Ban List", "116–119", Here),
    ("9.3", "Granting Membership", "120–123", Here),
    ("9.4", "Revoking Membership", "124–128", Here),
    ("9.5", "Modifying the Member List", "129–136", Here),
    ("9.6", "Granting Moderator Status", "137–140", Here),
    ("9.7", "Revoking Moderator Status", "141–145", Here),
    ("9.8", "Modifying the Moderator List", "146–150", Here),
    ("9.9", "Approving Registration Requests", "151", Here),
    ("10.1.1", "General Considerations", "152–154", Here),
    ("10.1.2", "Creating an Instant Room", "155", Here),
    ("10.1.3", "Creating a Reserved Room", "156–162", Here),
    ("10.2", "Subsequent Room Configuration", "163–170", Here),
    ("10.2.1", "Notification of Configuration Changes", "171", Here),
    ("10.3", "Granting Owner Status", "172–176", Here),
    ("10.4", "Revoking Owner Status", "177–180", Here),
    ("10.5", "Modifying the Owner List", "181–185", Here),
    ("10.6", "Granting Admin Status", "186–190", Here),
    ("10.7", "Revoking Admin Status", "191–195", Here),
    ("10.8", "Modifying the Admin List", "196–200", Here),
    ("10.9", "Destroying a Room", "201–204", Here),
    (
        "11.1",
        "Service removes user because of error response",
        "205–206",
        Here,
    ),
    (
        "11.2",
        "Service removes user because of service shut down",
        "207",
        Elsewhere("the last one of `balcony drain --final`: `crates/server/tests/life.rs`"),
    ),
    (
        "16.7.1",
        "join",
        "208–211",
        NotOurs("an address for people, which clients read"),
    ),
    (
        "16.7.2",
        "invite",
        "212–217",
        NotOurs("an address for people, which clients read"),
    ),
    ("18.1.1", "Allowable Traffic", "218–220", Here),
];

const BEGIN: &str = "<!-- sections: made by a test -->\n";

#[test]
fn every_section_of_xep_0045_with_an_example_is_shown() {
    let conversations = conversations();
    let mut table = String::from("| § | | examples | shown by |\n|---|---|---|---|\n");
    let mut missing = Vec::new();
    for (number, title, examples, shown) in SECTIONS {
        let said = match shown {
            Here => conversations.get(*number).map(|sentences| sentences.join("; ")),
            Elsewhere(test) => Some((*test).to_owned()),
            NotOurs(why) => Some(format!("binds no server: {why}")),
        };
        match said {
            Some(said) => writeln!(table, "| {number} | {title} | {examples} | {said} |").unwrap(),
            None => missing.push(*number),
        }
    }
    assert!(missing.is_empty(), "no conversation cites XEP-0045 §{missing:?}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rooms.md");
    let written = fs::read_to_string(&file).unwrap();
    let (words, _) = written.split_once(BEGIN).unwrap();
    let page = format!("{words}{BEGIN}{table}");
    if std::env::var_os("BALCONY_BLESS").is_some() {
        fs::write(&file, &page).unwrap();
        return;
    }
    assert!(
        written == page,
        "docs/rooms.md is out of date: BALCONY_BLESS=1 cargo test -p balcony-conversations --test rooms"
    );
}

/// The sentences of the conversations by the section of XEP-0045 that they cite.
fn conversations() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("xep0045");
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let script = fs::read_to_string(&path).unwrap();
        for heading in script.lines().filter_map(|line| line.strip_prefix("# ")) {
            let Some((clauses, sentence)) = heading.split_once(": ") else {
                continue;
            };
            let mut is_ours = false;
            for clause in clauses.split(", ") {
                let number = match clause.split_once(" §") {
                    Some((document, number)) => {
                        is_ours = document == "XEP-0045";
                        number
                    }
                    None => clause.strip_prefix('§').unwrap_or_default(),
                };
                if is_ours && !number.is_empty() {
                    found
                        .entry(number.to_owned())
                        .or_default()
                        .push(sentence.to_owned());
                }
            }
        }
    }
    found
}
