//! `docs/conformance.md` says which test proves which clause of the mission: it is made from the names of the tests, and
//! this test fails when it is out of date, or when a clause has neither a test nor a reason.
//!
//! `BALCONY_BLESS=1 cargo test -p balcony-presence --test conformance` writes it anew.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// A document of the mission: its prefix in clause ids and in names of tests, its title, its number of clauses.
const DOCUMENTS: [(&str, &str, u32); 5] = [
    (
        "POKE",
        "XEP-0132 Presence Obtained via Kinesthetic Excitation",
        48,
    ),
    ("ATT", "XEP-0224 Attention", 20),
    ("DCL", "XEP-0276 Presence Decloaking", 31),
    ("PSA", "XEP-0310 Presence State Annotations", 67),
    ("C", "Where the texts contradict each other", 25),
];

/// Clauses without a test, and why.
const GAPS: &[(&str, &str)] = &[
    ("POKE-39", "binds clients; nothing that a server could do"),
    ("ATT-16", "carbons and the archive come later"),
    ("ATT-17", "client state indication and push come later"),
    ("C-12", "avatar conversion comes later"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// All files below `directory` with this ending, in order.
fn files(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.ends_with("target") {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

/// The clause ids in a name such as `psa_22_psa_23_each_resource_once`, or in a heading such as `PSA-22 PSA-23: each …`.
fn ids(name: &str) -> BTreeSet<String> {
    let upper = name.to_uppercase().replace('-', "_");
    let words: Vec<&str> = upper.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let is_document = |word: &str| DOCUMENTS.iter().any(|(prefix, ..)| *prefix == word);
    words
        .windows(2)
        .filter(|pair| {
            is_document(pair[0]) && pair[1].len() == 2 && pair[1].bytes().all(|b| b.is_ascii_digit())
        })
        .map(|pair| format!("{}-{}", pair[0], pair[1]))
        .collect()
}

/// Clause → tests.
fn proofs() -> BTreeMap<String, BTreeSet<String>> {
    let mut proofs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let root = root();
    let mut add = |place: &Path, name: &str, ids: BTreeSet<String>| {
        let place = place.strip_prefix(&root).unwrap().display().to_string();
        for id in ids {
            proofs.entry(id).or_default().insert(format!("`{place}`: {name}"));
        }
    };
    let mut sources = Vec::new();
    files(&root.join("crates"), "rs", &mut sources);
    for path in sources {
        let text = fs::read_to_string(&path).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some(rest) = line.strip_prefix("fn ").or(line.strip_prefix("async fn ")) {
                let name = rest.split(['(', '<']).next().unwrap();
                if std::mem::take(&mut is_test) {
                    add(&path, name, ids(name));
                }
            }
        }
    }
    let mut scripts = Vec::new();
    files(&root.join("tests/conversations"), "script", &mut scripts);
    for path in scripts {
        let text = fs::read_to_string(&path).unwrap();
        for heading in text.lines().filter_map(|line| line.strip_prefix("# ")) {
            let (clauses, sentence) = heading.split_once(": ").unwrap_or((heading, heading));
            add(&path, sentence, ids(clauses));
        }
    }
    proofs
}

fn report(proofs: &BTreeMap<String, BTreeSet<String>>) -> String {
    let gaps: BTreeMap<&str, &str> = GAPS.iter().copied().collect();
    let mut text = String::from(
        "# Conformance\n\nWhich test proves which clause. Made from the names of the tests by \
         `crates/presence/tests/conformance.rs`, which fails when this page is out of date.\n\nThe clauses are the requirements \
         of the documents, numbered in their order, and the decisions where the documents are silent or contradict each other.\n",
    );
    for (prefix, title, count) in DOCUMENTS {
        let all: Vec<String> = (1..=count)
            .map(|number| format!("{prefix}-{number:02}"))
            .collect();
        let tested = all.iter().filter(|id| proofs.contains_key(*id)).count();
        let _ = write!(
            text,
            "\n## {title}\n\n{tested} of {count} clauses have a test.\n\n| clause | proven by |\n|---|---|\n"
        );
        for id in all {
            let proof = match (proofs.get(&id), gaps.get(id.as_str())) {
                (Some(tests), _) => tests.iter().cloned().collect::<Vec<_>>().join("<br>"),
                (None, Some(reason)) => format!("*no test:* {reason}"),
                (None, None) => String::from("**nothing**"),
            };
            let _ = writeln!(text, "| {id} | {} |", proof.replace('|', "\\|"));
        }
    }
    text
}

#[test]
fn every_clause_has_a_test_or_a_reason() {
    let proofs = proofs();
    let known: BTreeSet<String> = DOCUMENTS
        .iter()
        .flat_map(|(prefix, _, count)| (1..=*count).map(move |number| format!("{prefix}-{number:02}")))
        .collect();
    let reasons: BTreeSet<String> = GAPS.iter().map(|(id, _)| (*id).to_owned()).collect();
    let neither: Vec<&String> = known
        .iter()
        .filter(|id| !proofs.contains_key(*id) && !reasons.contains(*id))
        .collect();
    assert!(neither.is_empty(), "neither a test nor a reason: {neither:?}");
    let needless: Vec<&String> = reasons.iter().filter(|id| proofs.contains_key(*id)).collect();
    assert!(
        needless.is_empty(),
        "tested after all, take the reason away: {needless:?}"
    );
    let unknown: Vec<&String> = proofs.keys().filter(|id| !known.contains(*id)).collect();
    assert!(unknown.is_empty(), "named by tests, but no clauses: {unknown:?}");
}

#[test]
fn the_page_is_up_to_date() {
    let path = root().join("docs/conformance.md");
    let made = report(&proofs());
    if std::env::var_os("BALCONY_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == made,
        "docs/conformance.md is out of date; BALCONY_BLESS=1 writes it"
    );
}

#[test]
fn ids_are_found_in_names_and_headings() {
    let found = |name: &str| ids(name).into_iter().collect::<Vec<_>>();
    assert_eq!(found("psa_22_c_06_each_resource_once"), ["C-06", "PSA-22"]);
    assert_eq!(found("PSA-22 DCL-31"), ["DCL-31", "PSA-22"]);
    assert_eq!(found("rfc6121_8_5_4_every_cell"), Vec::<String>::new());
}
