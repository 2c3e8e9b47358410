//! Inputs, their order and their bounds.

use turns::Priority::{Control, Stanza};

use crate::stage::Line::{Keep, Say, Stay, Tell};
use crate::stage::{LIMITS, Stage};

#[test]
fn effects_of_an_input_are_handed_over_before_the_next_input() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo.deliver(Say(1), Control, &mut worker).unwrap();
    romeo.deliver(Say(2), Control, &mut worker).unwrap();
    assert_eq!(stage.log(), [""; 0], "no turn is taken but by running the worker");
    assert_eq!(worker.run(100), 2);
    assert_eq!(
        stage.log(),
        ["decide Say(1)", "romeo says 1", "decide Say(2)", "romeo says 2"]
    );
    assert_eq!(worker.ready(), 0);
}

#[test]
fn who_is_told_something_has_a_turn_after_the_one_who_told() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    stage.enter("juliet");
    romeo
        .deliver(Tell("juliet", Box::new(Say(1))), Control, &mut worker)
        .unwrap();
    romeo
        .deliver(Tell("romeo", Box::new(Say(2))), Control, &mut worker)
        .unwrap();
    romeo.deliver(Say(3), Control, &mut worker).unwrap();
    worker.run(100);
    assert_eq!(
        stage.log(),
        [
            "decide Tell(\"juliet\", Say(1))",
            "decide Tell(\"romeo\", Say(2))",
            "decide Say(3)",
            "romeo says 3",
            "decide Say(1)",
            "juliet says 1",
            "decide Say(2)",
            "romeo says 2",
        ]
    );
}

#[test]
fn a_full_inbox_refuses_stanzas_and_takes_control_inputs() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    for number in 1..=5 {
        romeo.deliver(Say(number), Stanza(1), &mut worker).unwrap();
    }
    for _ in 0..10 {
        romeo.deliver(Stay, Control, &mut worker).unwrap();
    }
    assert_eq!(stage.log(), ["romeo refuses Say(5): Full"]);
    assert_eq!(worker.run(100), LIMITS.inbox_inputs_max + 10);
    stage.log();
    romeo
        .deliver(Say(6), Stanza(LIMITS.inbox_bytes_max), &mut worker)
        .unwrap();
    romeo.deliver(Say(7), Stanza(1), &mut worker).unwrap();
    worker.run(100);
    assert_eq!(
        stage.log(),
        ["romeo refuses Say(7): Full", "decide Say(6)", "romeo says 6"]
    );
}

#[test]
fn what_a_limited_turn_leaves_comes_before_what_came_meanwhile() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    romeo
        .deliver(Tell("romeo", Box::new(Say(9))), Control, &mut worker)
        .unwrap();
    romeo.deliver(Say(1), Stanza(1), &mut worker).unwrap();
    romeo.deliver(Say(2), Stanza(1), &mut worker).unwrap();
    assert_eq!(worker.turn(1), Some(1));
    assert_eq!(worker.turn(0), Some(1), "a turn handles at least one");
    romeo.deliver(Keep(3), Stanza(1), &mut worker).unwrap();
    romeo.deliver(Say(4), Stanza(1), &mut worker).unwrap();
    assert_eq!(worker.turn(100), Some(4));
    assert_eq!(worker.turn(100), None);
    let says: Vec<_> = stage
        .log()
        .into_iter()
        .filter(|line| line.starts_with("decide"))
        .collect();
    assert_eq!(
        says,
        [
            "decide Tell(\"romeo\", Say(9))",
            "decide Say(1)",
            "decide Say(2)",
            "decide Say(9)",
            "decide Keep(3)",
            "decide Say(4)"
        ]
    );
}
