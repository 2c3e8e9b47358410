//! What an operator is told of presence, and pokes in a contact's name.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use account::{AdminRequest, Flags, Input, Path, PresenceView, Sharing};
use machine::Timestamp;
use presence::Settings;
use stanza::Parcel;

use crate::home::{Home, address};

fn home() -> Home {
    let mut home = Home::new(Settings::default(), Flags::default());
    home.knows_the_hash();
    home
}

fn view(home: &mut Home, other: &str) -> PresenceView {
    let (tell, told) = mpsc::channel();
    let answer = move |view| tell.send(view).unwrap();
    home.tell(Input::Admin(AdminRequest::ExplainPresence(
        address(other),
        Box::new(answer),
    )));
    told.recv().unwrap()
}

/// Each answer that was given: the stanza, or silence.
type Answers = Arc<Mutex<Vec<Option<String>>>>;

fn poke(home: &mut Home, contact: &str, user: &str) -> (Answers, Vec<String>) {
    let answers = Answers::default();
    let given = Arc::clone(&answers);
    let answer = move |answer: Option<Parcel>| {
        let text = answer.map(|parcel| String::from_utf8(parcel.to_bytes()).unwrap());
        given.lock().unwrap().push(text);
    };
    let request = AdminRequest::Poke(address(contact), address(user), Box::new(answer));
    let seen = home.tell(Input::Admin(request));
    (answers, seen)
}

#[track_caller]
fn only(answers: &Answers) -> String {
    let answers = answers.lock().unwrap();
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers[0].clone().unwrap()
}

#[test]
fn what_a_session_holds_and_was_told_of_it_is_explained() {
    let mut home = home();
    home.interested("lane");
    home.arrives(
        "<presence xmlns='jabber:client' from='juliet@capulet.lit/orchard' to='romeo@montague.lit'/>",
    );
    let told = |view: &PresenceView| {
        view.sessions[0]
            .held
            .iter()
            .map(|(_, held, _)| held.told)
            .collect::<Vec<_>>()
    };
    let before = view(&mut home, "juliet@capulet.lit");
    assert_eq!((told(&before), before.broken), (vec![false], Some(false)));
    assert!(before.subscription.user_is_subscribed());
    let came = |view: &PresenceView| view.sessions[0].held[0].2;
    assert_eq!(before.sessions[0].said, Some(Timestamp::from_unix_micros(0)));
    let (at_once, ten) = (came(&before), Duration::from_secs(10));
    home.passes(ten);
    let later = view(&mut home, "juliet@capulet.lit");
    assert_eq!(
        at_once.since(came(&later)),
        ten,
        "the calendar of this test stands still"
    );
    home.path("capulet.lit", Path::Broken("timeout"));
    let after = view(&mut home, "juliet@capulet.lit");
    assert_eq!((told(&after), after.broken), (vec![true], Some(true)));
    assert_eq!(after.sessions[0].asks, Some(true));
    assert!(
        view(&mut home, "nurse@capulet.lit").sessions[0].held.is_empty(),
        "of her nothing is held"
    );
}

#[test]
fn who_got_a_presence_and_by_which_way_is_explained() {
    let mut home = home();
    home.connects("lane");
    let sharing = |home: &mut Home, other: &str| view(home, other).sessions[0].sharing.clone();
    assert!(matches!(sharing(&mut home, "juliet@capulet.lit"), Sharing::Not));
    home.says("lane", "<presence xmlns='jabber:client'/>");
    assert!(matches!(
        sharing(&mut home, "juliet@capulet.lit"),
        Sharing::Broadcast
    ));
    assert!(matches!(sharing(&mut home, "paris@verona.lit"), Sharing::Not));
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='paris@verona.lit/x'/>",
    );
    assert!(matches!(
        sharing(&mut home, "paris@verona.lit"),
        Sharing::Directed(_)
    ));
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='juliet@capulet.lit' type='unavailable'/>",
    );
    assert!(matches!(sharing(&mut home, "juliet@capulet.lit"), Sharing::Not));
}

#[test]
fn poke_13_poke_14_an_operator_is_told_where_the_user_was_found_and_nobody_else_is() {
    let mut home = home();
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client'/>");
    let (answers, seen) = poke(&mut home, "juliet@capulet.lit", "romeo@montague.lit");
    assert!(answers.lock().unwrap().is_empty(), "the client has not answered");
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].starts_with("lane< <iq "), "{seen:?}");
    let id = seen[0].split("id='").nth(1).unwrap().split('\'').next().unwrap();
    let sent = home.says(
        "lane",
        &format!("<iq xmlns='jabber:client' type='result' to='romeo@montague.lit' id='{id}'/>"),
    );
    assert!(sent.is_empty(), "{sent:?}");
    let answer = only(&answers);
    assert!(answer.contains("from='romeo@montague.lit/lane'"), "{answer}");
}

#[test]
fn poke_10_poke_19_an_operator_gets_the_errors_that_the_contact_would_get() {
    let mut home = home();
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client'/>");
    let (stranger, seen) = poke(&mut home, "paris@verona.lit", "romeo@montague.lit");
    assert!(seen.is_empty(), "{seen:?}");
    assert!(only(&stranger).contains("code='403'"));
    let (contact, _) = poke(&mut home, "juliet@capulet.lit", "romeo@montague.lit");
    let sent = home.passes(Duration::from_secs(600));
    assert!(sent.is_empty(), "{sent:?}");
    assert!(only(&contact).contains("code='408'"));
}
