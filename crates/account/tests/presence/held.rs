//! What is kept of presence that somebody elsewhere holds, and what is said of it after a crash.

use std::sync::mpsc;
use std::time::Duration;

use account::{AdminRequest, Change, Flags, HeldRow, Input, Saved, SessionId, Standing};
use roster::Relation;

use crate::home::{Home, address};

const SOON: Duration = Duration::from_secs(1);

fn romeo() -> Home {
    Home::new(presence::Settings::default(), Flags::default())
}

/// Romeo as the store has him, with these contacts who see him, and these rows.
fn with(contacts: &[&str], held: Vec<HeldRow>) -> Home {
    let item = |contact: &&str| roster::ItemRow {
        contact: address(contact),
        name: String::new(),
        groups: Vec::new(),
        relation: Relation::From,
        ask: false,
        approved: false,
        version: 1,
    };
    let saved = Saved {
        standing: Standing::Known,
        roster: roster::Stored {
            items: contacts.iter().map(item).collect(),
            ..roster::Stored::default()
        },
        held,
        ..Saved::default()
    };
    Home::of("romeo@montague.lit", presence::Settings::default(), saved)
}

fn row(resource: &str, broadcast: bool, directed: &[&str]) -> HeldRow {
    HeldRow {
        resource: resource.to_owned(),
        broadcast,
        directed: directed.iter().map(|to| address(to)).collect(),
    }
}

/// What was to be kept of held presence since this was asked last.
fn kept(home: &mut Home) -> Vec<Change> {
    let mut kept = std::mem::take(&mut home.kept);
    kept.retain(|change| matches!(change, Change::Held(_) | Change::NotHeld(_)));
    kept
}

#[test]
fn a_row_is_written_after_the_presence_and_removed_with_it() {
    let mut home = romeo();
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client'/>");
    assert_eq!(home.kept, [], "presence does not wait for the store");
    home.passes(SOON);
    assert_eq!(kept(&mut home), [Change::Held(row("lane", true, &[]))]);

    home.says(
        "lane",
        "<presence xmlns='jabber:client'><show>away</show></presence>",
    );
    home.passes(SOON);
    assert_eq!(home.kept, [], "the same people hold what is new");

    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='rooms.verona.lit/romeo'/>",
    );
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='benvolio@montague.lit'/>",
    );
    home.passes(SOON);
    let joined = row("lane", true, &["rooms.verona.lit/romeo"]);
    assert_eq!(kept(&mut home), [Change::Held(joined)]);

    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='rooms.verona.lit/romeo' type='unavailable'/>",
    );
    home.passes(SOON);
    assert_eq!(kept(&mut home), [Change::Held(row("lane", true, &[]))]);

    home.ends("lane");
    assert_eq!(kept(&mut home), [Change::NotHeld("lane".to_owned())]);
    home.passes(SOON);
    assert_eq!(kept(&mut home), []);
    assert!(home.is_idle());
}

#[test]
fn who_is_held_by_nobody_elsewhere_writes_nothing() {
    let mut home = with(&["benvolio@montague.lit"], Vec::new());
    home.settings.local_services = vec!["rooms.montague.lit".to_owned()];
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client'/>");
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='tybalt@montague.lit'/>",
    );
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='den@rooms.montague.lit/romeo'/>",
    );
    assert_eq!(home.wakes, []);
    assert_eq!(home.kept, []);
    home.ends("lane");
    assert_eq!(kept(&mut home), []);
}

#[test]
fn whoever_is_gone_after_a_crash_is_said_to_be_to_everybody_elsewhere() {
    let rows = vec![
        row("lane", true, &["den@rooms.verona.lit/romeo"]),
        row("orchard", false, &["nurse@verona.lit"]),
    ];
    let mut home = with(&["benvolio@montague.lit", "juliet@capulet.lit"], rows);
    let gone = |from: &str, to: &str| {
        format!("> <presence from='romeo@montague.lit/{from}' to='{to}' type='unavailable'/>")
    };
    let mut told = home.tell(Input::Admin(AdminRequest::TellVanished));
    told.sort();
    let mut expected = [
        gone("lane", "den@rooms.verona.lit/romeo"),
        gone("lane", "juliet@capulet.lit"),
        gone("orchard", "nurse@verona.lit"),
    ];
    expected.sort();
    assert_eq!(told, expected);
    assert!(!home.is_idle(), "the rows are still there");
    assert_eq!(kept(&mut home), []);
    home.passes(SOON);
    let not_held = |resource: &str| Change::NotHeld(resource.to_owned());
    assert_eq!(kept(&mut home), [not_held("lane"), not_held("orchard")]);
    assert!(home.is_idle());
    let again = home.tell(Input::Admin(AdminRequest::TellVanished));
    assert!(again.is_empty(), "{again:?}");
}

#[test]
fn a_client_that_is_back_first_keeps_its_row() {
    let mut home = with(&["juliet@capulet.lit"], vec![row("lane", true, &[])]);
    home.connects("lane");
    let said = |seen: &[String]| seen.iter().any(|one| one.contains("type='unavailable'"));
    assert!(said(&home.seen), "whatever comes first: {:?}", home.seen);
    home.says("lane", "<presence xmlns='jabber:client'/>");
    home.passes(SOON);
    assert_eq!(kept(&mut home), []);
}

#[test]
fn a_session_that_can_be_resumed_after_a_restart_is_not_said_to_be_gone() {
    let mut home = romeo();
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client'/>");
    home.loses("lane");
    let (tell, told) = mpsc::channel();
    let keep = move |sessions| tell.send(sessions).unwrap();
    home.tell(Input::Admin(AdminRequest::Keep(Box::new(keep))));
    let sessions = told.recv().unwrap();
    assert_eq!(sessions.len(), 1);

    let rows = vec![row("lane", true, &[]), row("orchard", true, &[])];
    let mut home = with(&["juliet@capulet.lit"], rows);
    let named = sessions.into_iter().map(|session| (SessionId(9), session));
    let told = home.tell(Input::Admin(AdminRequest::Restore(named.collect())));
    let gone = |one: &&String| one.contains("type='unavailable'");
    let gone: Vec<&String> = told.iter().filter(gone).collect();
    assert_eq!(gone.len(), 1, "{told:?}");
    assert!(gone[0].contains("romeo@montague.lit/orchard"), "{told:?}");
    home.passes(SOON);
    assert_eq!(kept(&mut home), [Change::NotHeld("orchard".to_owned())]);
}

#[test]
fn what_a_restart_came_too_early_to_write_is_written_after_it() {
    let mut before = with(&[], Vec::new());
    before.interested("lane");
    before.says(
        "lane",
        "<presence xmlns='jabber:client' to='juliet@capulet.lit'/>",
    );
    before.loses("lane");
    assert_eq!(kept(&mut before), []);
    let (mut after, _) = before.restarts(with(&[], Vec::new()));
    after.passes(SOON);
    let row = row("lane", false, &["juliet@capulet.lit"]);
    assert_eq!(kept(&mut after), [Change::Held(row)]);
}
