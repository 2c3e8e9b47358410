//! What is decided to be kept holds back what may be seen.

use turns::CommitFailed;
use turns::Priority::{Control, Stanza};

use crate::stage::Line::{Keep, Say, Stay};
use crate::stage::Stage;

#[test]
fn effects_wait_for_their_commit_in_order_while_the_machine_takes_further_inputs() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo.deliver(Keep(1), Control, &mut worker).unwrap();
    romeo.deliver(Say(2), Control, &mut worker).unwrap();
    worker.run(100);
    romeo.deliver(Keep(3), Control, &mut worker).unwrap();
    worker.run(100);
    let decided = [
        "decide Keep(1)",
        "romeo commits [1]",
        "decide Say(2)",
        "decide Keep(3)",
        "romeo commits [3]",
    ];
    assert_eq!(stage.log(), decided);

    stage.answer(1, Ok(()), &mut worker);
    worker.run(100);
    assert_eq!(stage.log(), [""; 0], "the first is not durable yet");
    stage.answer(0, Ok(()), &mut worker);
    assert_eq!(stage.log(), [""; 0], "an answer takes no turn");
    worker.run(100);
    assert_eq!(stage.log(), ["romeo says 1", "romeo says 2", "romeo says 3"]);
    romeo.deliver(Say(4), Control, &mut worker).unwrap();
    worker.run(100);
    assert_eq!(stage.log(), ["decide Say(4)", "romeo says 4"]);
}

#[test]
fn an_answer_within_the_call_is_seen_after_the_turn() {
    let stage = Stage::keeping_at_once();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo.deliver(Keep(1), Control, &mut worker).unwrap();
    romeo.deliver(Say(2), Control, &mut worker).unwrap();
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "decide Keep(1)",
            "romeo commits [1]",
            "decide Say(2)",
            "romeo says 1",
            "romeo says 2"
        ]
    );
}

#[test]
fn a_machine_with_too_much_waiting_gets_no_turn_until_an_answer() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    // Two commits with one effect each are the four things that may wait.
    for line in [Keep(1), Keep(2), Say(3)] {
        romeo.deliver(line, Stanza(1), &mut worker).unwrap();
    }
    worker.run(100);
    romeo.deliver(Say(4), Stanza(1), &mut worker).unwrap();
    romeo.deliver(Stay, Control, &mut worker).unwrap();
    assert_eq!(worker.ready(), 0);
    assert_eq!(
        stage.log(),
        [
            "decide Keep(1)",
            "romeo commits [1]",
            "decide Keep(2)",
            "romeo commits [2]"
        ]
    );
    stage.answer(1, Ok(()), &mut worker);
    worker.run(100);
    assert_eq!(stage.log(), [""; 0], "nothing was released");
    stage.answer(0, Ok(()), &mut worker);
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "romeo says 1",
            "romeo says 2",
            "decide Say(3)",
            "romeo says 3",
            "decide Say(4)",
            "romeo says 4",
            "decide Stay"
        ]
    );
}

#[test]
fn bytes_that_wait_are_bounded_too() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo.deliver(Keep(1), Stanza(100), &mut worker).unwrap();
    worker.run(100);
    romeo.deliver(Say(2), Stanza(1), &mut worker).unwrap();
    assert_eq!(worker.ready(), 0);
    stage.answer(0, Ok(()), &mut worker);
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "decide Keep(1)",
            "romeo commits [1]",
            "romeo says 1",
            "decide Say(2)",
            "romeo says 2"
        ]
    );
}

#[test]
fn a_failed_commit_drops_the_machine_when_all_its_commits_are_answered() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo.deliver(Keep(1), Control, &mut worker).unwrap();
    romeo.deliver(Keep(2), Control, &mut worker).unwrap();
    worker.run(100);
    stage.log();
    assert!(!romeo.is_doomed());
    stage.answer(0, Err(CommitFailed), &mut worker);
    assert!(
        romeo.is_doomed(),
        "known before the next turn, so that no later commit is kept"
    );
    romeo.deliver(Say(3), Control, &mut worker).unwrap();
    worker.run(100);
    assert_eq!(
        stage.log(),
        ["romeo never does Say(1)", "romeo never does Say(2)"]
    );
    assert!(!romeo.is_gone(), "a new machine must not be loaded yet");
    romeo.deliver(Say(4), Stanza(1), &mut worker).unwrap();
    stage.answer(0, Ok(()), &mut worker);
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "romeo died: CommitFailed",
            "romeo refuses Say(3): Died(CommitFailed)",
            "romeo refuses Say(4): Died(CommitFailed)"
        ]
    );
    assert!(romeo.is_gone());
    assert_eq!(
        romeo.deliver(Say(5), Control, &mut worker),
        Err(turns::Gone(Say(5)))
    );
}

#[test]
fn a_failed_commit_leaves_those_before_it_their_effects() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo.deliver(Keep(1), Control, &mut worker).unwrap();
    romeo.deliver(Keep(2), Control, &mut worker).unwrap();
    worker.run(100);
    stage.log();
    stage.answer(1, Err(CommitFailed), &mut worker);
    worker.run(100);
    assert_eq!(stage.log(), [""; 0]);
    stage.answer(0, Ok(()), &mut worker);
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "romeo says 1",
            "romeo never does Say(2)",
            "romeo died: CommitFailed"
        ]
    );
}
