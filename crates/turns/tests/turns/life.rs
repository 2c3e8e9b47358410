//! Loading a machine, and taking it out of memory.

use std::mem::size_of;

use turns::Priority::{Control, Stanza};
use turns::{Gone, LoadFailure, Slot};

use crate::stage::Line::{Keep, Say, Stay};
use crate::stage::{Actor, Stage};

#[test]
fn inputs_queue_while_the_machine_loads() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.expect("romeo");
    for number in 1..=5 {
        romeo.deliver(Say(number), Stanza(1), &mut worker).unwrap();
    }
    romeo.deliver(Stay, Control, &mut worker).unwrap();
    assert_eq!(worker.ready(), 0);
    assert_eq!(stage.log(), ["romeo refuses Say(5): Full"]);
    assert!(romeo.loaded(Actor::default(), &mut worker).is_ok());
    assert_eq!(worker.run(100), 5);
    assert!(
        romeo.loaded(Actor::default(), &mut worker).is_err(),
        "it is there already"
    );
    romeo.load_failed(LoadFailure::Absent, &mut worker);
    assert!(!romeo.is_gone());
}

#[test]
fn a_machine_without_inputs_is_loaded_without_a_turn() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.expect("romeo");
    assert!(romeo.loaded(Actor::default(), &mut worker).is_ok());
    assert_eq!(worker.ready(), 0);
    romeo.deliver(Say(1), Control, &mut worker).unwrap();
    worker.run(100);
    assert_eq!(stage.log(), ["decide Say(1)", "romeo says 1"]);
}

#[test]
fn who_cannot_be_loaded_refuses_what_came_and_is_gone() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.expect("romeo");
    romeo.deliver(Say(1), Stanza(1), &mut worker).unwrap();
    romeo.deliver(Say(2), Control, &mut worker).unwrap();
    romeo.load_failed(LoadFailure::Unavailable, &mut worker);
    assert_eq!(
        stage.log(),
        [
            "romeo refuses Say(1): NotLoaded(Unavailable)",
            "romeo refuses Say(2): NotLoaded(Unavailable)"
        ]
    );
    assert_eq!(romeo.deliver(Say(3), Control, &mut worker), Err(Gone(Say(3))));
    assert!(romeo.loaded(Actor::default(), &mut worker).is_err());
}

#[test]
fn an_idle_machine_retires_after_its_turn_and_gives_later_inputs_back() {
    let stage = Stage::retiring();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo.deliver(Say(1), Control, &mut worker).unwrap();
    worker.run(100);
    assert_eq!(stage.log(), ["decide Say(1)", "romeo says 1", "romeo retires"]);
    assert!(romeo.is_gone());
    assert!(!romeo.retire_if_idle(), "only one may take it out of the map");
    assert_eq!(romeo.deliver(Say(2), Control, &mut worker), Err(Gone(Say(2))));
    assert_eq!(romeo.look(|_| ()), None);
}

#[test]
fn a_machine_stays_while_an_input_or_a_commit_waits_or_it_is_busy() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo.deliver(Keep(1), Control, &mut worker).unwrap();
    assert!(!romeo.retire_if_idle(), "an input waits");
    worker.run(100);
    assert!(!romeo.retire_if_idle(), "a commit waits");
    stage.answer(0, Ok(()), &mut worker);
    assert!(!romeo.retire_if_idle(), "an effect waits");
    romeo.deliver(Stay, Control, &mut worker).unwrap();
    worker.run(100);
    assert!(!romeo.retire_if_idle(), "it is busy");
    assert_eq!(romeo.look(|_| ()), Some(()));

    let loading = stage.expect("juliet");
    assert!(!loading.retire_if_idle(), "it is not there yet");
    let juliet = stage.enter("juliet");
    assert!(juliet.retire_if_idle());
}

/// A hundred thousand accounts are idle at any time: their slots must cost next to nothing beside the machine.
#[test]
fn a_slot_is_small() {
    assert!(
        size_of::<Slot<Actor, Stage>>() <= 136,
        "{} bytes",
        size_of::<Slot<Actor, Stage>>()
    );
}
