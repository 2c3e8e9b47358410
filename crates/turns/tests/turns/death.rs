//! A panic costs one machine, and as little of it as possible.

use turns::Gone;
use turns::Priority::Control;

use crate::stage::Line::{Curse, Keep, KeepCurse, Say, Stay, Stumble, Tell};
use crate::stage::Stage;

#[test]
fn a_panic_drops_one_machine_and_the_others_go_on() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    let juliet = stage.enter("juliet");
    for line in [Say(1), Stumble, Say(2)] {
        romeo.deliver(line, Control, &mut worker).unwrap();
    }
    juliet
        .deliver(Tell("romeo", Box::new(Say(3))), Control, &mut worker)
        .unwrap();
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "decide Say(1)",
            "romeo says 1",
            "decide Stumble",
            "romeo died: Panicked",
            "romeo refuses Say(2): Died(Panicked)",
            "decide Tell(\"romeo\", Say(3))",
            "romeo is gone for Say(3)",
        ]
    );
    assert!(romeo.is_gone());
    assert!(!juliet.is_gone());
}

#[test]
fn a_lost_machine_is_given_to_the_world_once_before_what_waits_for_it_is_refused() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    for line in [Stay, Keep(1), Keep(2)] {
        romeo.deliver(line, Control, &mut worker).unwrap();
    }
    worker.run(100);
    stage.log();
    stage.answer(0, Err(turns::CommitFailed), &mut worker);
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "romeo never does Say(1)",
            "romeo never does Say(2)",
            "romeo leaves something behind"
        ]
    );
    romeo.deliver(Say(3), Control, &mut worker).unwrap();
    stage.answer(0, Err(turns::CommitFailed), &mut worker);
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "romeo died: CommitFailed",
            "romeo refuses Say(3): Died(CommitFailed)",
        ]
    );
}

#[test]
fn nothing_of_a_half_made_decision_reaches_another_machine() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    let juliet = stage.enter("juliet");
    romeo.deliver(Stumble, Control, &mut worker).unwrap();
    juliet.deliver(Say(1), Control, &mut worker).unwrap();
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "decide Stumble",
            "romeo died: Panicked",
            "decide Say(1)",
            "juliet says 1"
        ]
    );
}

#[test]
fn what_was_decided_before_a_panic_is_still_handed_over_when_it_is_durable() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    for line in [Keep(1), Say(2), Stumble] {
        romeo.deliver(line, Control, &mut worker).unwrap();
    }
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "decide Keep(1)",
            "romeo commits [1]",
            "decide Say(2)",
            "decide Stumble"
        ]
    );
    assert!(
        !romeo.is_doomed(),
        "what it decided while it was sane may be kept"
    );
    romeo.deliver(Say(3), Control, &mut worker).unwrap();
    stage.answer(0, Ok(()), &mut worker);
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "romeo says 1",
            "romeo says 2",
            "romeo died: Panicked",
            "romeo refuses Say(3): Died(Panicked)"
        ]
    );
}

#[test]
fn a_panic_of_the_world_is_a_panic_of_the_turn() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo.deliver(Curse, Control, &mut worker).unwrap();
    romeo.deliver(Say(3), Control, &mut worker).unwrap();
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "decide Curse",
            "romeo says 1",
            "romeo died: Panicked",
            "romeo refuses Say(3): Died(Panicked)"
        ]
    );
}

#[test]
fn a_panic_while_handing_over_what_waited_does_not_stop_what_waits_behind() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo.deliver(KeepCurse, Control, &mut worker).unwrap();
    romeo.deliver(Keep(3), Control, &mut worker).unwrap();
    worker.run(100);
    stage.log();
    stage.answer(0, Ok(()), &mut worker);
    stage.answer(0, Ok(()), &mut worker);
    worker.run(100);
    assert_eq!(
        stage.log(),
        ["romeo says 1", "romeo says 3", "romeo died: Panicked"]
    );
    assert_eq!(romeo.deliver(Say(5), Control, &mut worker), Err(Gone(Say(5))));
}
