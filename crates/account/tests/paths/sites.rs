//! The places in the sources at which a stanza passes unasked, or is taken to where it is used. Whoever adds one of them
//! says here why nobody has to be asked, or which walk shows that somebody is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a parcel passes the door without a question: constructor, file, how often, and why.
const UNASKED: &[(&str, &str, usize, &str)] = &[
    (
        "of_our_own",
        "account.rs",
        1,
        "replies, to who has sent what passed, or an error that XEP-0191 §3.3 asks for",
    ),
    ("of_our_own", "answers.rs", 1, "results to own sessions"),
    ("of_our_own", "interest.rs", 1, "questions to own clients"),
    ("of_our_own", "lists.rs", 1, "pushes of lists to own sessions"),
    (
        "of_our_own",
        "occupancies.rs",
        2,
        "a room's goodbye, made here, to the session that was in it, or its refusal to the one that asked",
    ),
    ("of_our_own", "outbound.rs", 1, "errors to own sessions"),
    (
        "of_our_own",
        "poke.rs",
        1,
        "questions to own clients: Path::PokeIn asks for whom",
    ),
    (
        "of_our_own",
        "subscriptions.rs",
        1,
        "roster pushes to own sessions",
    ),
    (
        "to_own_session",
        "presence.rs",
        1,
        "presence among the user's own resources",
    ),
    ("to_own_session", "probes.rs", 1, "the same, to one that comes"),
    ("to_own_session", "paused.rs", 1, "the same, annotated"),
    ("stored", "waiting.rs", 1, "Path::WaitedForTheUser"),
    ("stored", "subscriptions.rs", 1, "Path::PendingRequestsAtLogin"),
    ("delivered_before", "waiting.rs", 1, "Path::Redelivery"),
    (
        "delivered_before",
        "annotations.rs",
        1,
        "Path::DomainOutOfReach: each session is asked",
    ),
    (
        "delivered_before",
        "refresh.rs",
        1,
        "Path::DomainIsBack: the end of what the session was given; each session is asked",
    ),
    (
        "delivered_before",
        "subscriptions.rs",
        1,
        "Path::SubscriptionIn: it passed when it came",
    ),
    (
        "last_goodbye",
        "turning.rs",
        1,
        "XEP-0191 §3.3: unavailable, and nothing else",
    ),
    (
        "for_the_hidden",
        "turning.rs",
        3,
        "XEP-0016 §2.10: unavailable, made here, to own sessions",
    ),
    (
        "question_about_the_hidden",
        "turning.rs",
        1,
        "a probe that no client sees, to an account here",
    ),
];

/// Where stanzas are taken to a mailbox, a machine, a link or a room.
const CARRIERS: &[(&str, &str, usize, &str)] = &[
    (
        "mailbox.push(",
        "c2s/src/bound.rs",
        1,
        "the stream's own answers to its client",
    ),
    (
        "mailbox.push(",
        "router/src/world.rs",
        2,
        "an account\'s Effect::Push, and the error in the place of a result that is not true",
    ),
    (
        "mailbox.push(",
        "s2s/src/link/streams.rs",
        2,
        "a link's connection; parcels that accounts have routed",
    ),
    (
        "mailbox.push(",
        "stream-management/src/loan.rs",
        1,
        "stanzas of a connection to its own mailbox",
    ),
    (
        "Input::Inbound {",
        "account/src/account.rs",
        1,
        "the account takes it, and asks",
    ),
    ("Input::Inbound {", "router/src/rooms.rs", 1, "to a room"),
    (
        "Input::Inbound {",
        "router/src/rooms/world.rs",
        1,
        "a room's refusal",
    ),
    (
        "Input::Inbound {",
        "router/src/router.rs",
        1,
        "to an account: all that is for a user",
    ),
    ("Input::Inbound {", "router/src/world.rs", 1, "its refusal"),
    (
        "Input::Outbound {",
        "account/src/account.rs",
        1,
        "the account takes it, and asks",
    ),
    (
        "Input::Outbound {",
        "router/src/sessions.rs",
        1,
        "from a client: all that a user sends",
    ),
    ("Input::Outbound {", "router/src/world.rs", 1, "its refusal"),
    (
        ".to_elsewhere(",
        "router/src/router.rs",
        1,
        "to a link: what accounts, rooms and hosts have routed",
    ),
    (".to_room(", "router/src/router.rs", 1, "to a room"),
];

#[test]
fn every_stanza_that_passes_unasked_is_accounted_for() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let door = std::fs::read_to_string(here.join("door.rs")).unwrap();
    let made = door.matches(") -> Passed {").count();
    // Those above, and what changes a parcel that has passed.
    let constructors: std::collections::BTreeSet<&str> = UNASKED.iter().map(|row| row.0).collect();
    assert_eq!(
        made,
        constructors.len() + 5,
        "a new way to make a Passed, or one less"
    );
    check(
        UNASKED,
        &files(&here),
        |name| format!("Passed::{name}("),
        &["door.rs"],
    );
}

#[test]
fn every_carrier_of_stanzas_is_accounted_for() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for name in [
        "account",
        "c2s",
        "router",
        "s2s",
        "server",
        "stream-management",
        "transport",
        "bosh",
    ] {
        sources.extend(files(&crates.join(name).join("src")));
    }
    check(CARRIERS, &sources, str::to_owned, &["tests.rs"]);
}

fn check(
    rows: &[(&str, &str, usize, &str)],
    files: &[PathBuf],
    pattern: impl Fn(&str) -> String,
    except: &[&str],
) {
    let mut wanted: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (what, file, count, why) in rows {
        assert!(!why.is_empty());
        wanted.insert((what, file), *count);
    }
    let whats: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.0).collect();
    let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
    for file in files {
        let path = file.to_str().unwrap().replace('\\', "/");
        if path.contains("/tests/") || except.iter().any(|except| path.ends_with(&format!("/{except}"))) {
            continue;
        }
        let text = std::fs::read_to_string(file).unwrap();
        for what in &whats {
            let count = text.matches(&pattern(what)).count();
            if count > 0 {
                let known = rows
                    .iter()
                    .find(|row| row.0 == *what && path.ends_with(&format!("/{}", row.1)));
                let name = known.map_or(path.as_str(), |row| row.1);
                *found.entry(((*what).to_owned(), name.to_owned())).or_default() += count;
            }
        }
    }
    for ((what, file), count) in &found {
        assert_eq!(
            wanted.get(&(what.as_str(), file.as_str())),
            Some(count),
            "{what} in {file}: who is asked there? Say so in the table"
        );
    }
    for (what, file) in wanted.keys() {
        assert!(
            found.contains_key(&((*what).to_owned(), (*file).to_owned())),
            "{what} is no longer in {file}"
        );
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}
