//! Whose turn it is, and for how long.

use turns::Priority::Control;
use turns::Worker;

use crate::stage::Line::{Say, Tell};
use crate::stage::Stage;

#[test]
fn what_a_budget_leaves_is_handed_over_and_continues_elsewhere() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    let juliet = stage.enter("juliet");
    for number in 1..=3 {
        romeo.deliver(Say(number), Control, &mut worker).unwrap();
    }
    juliet.deliver(Say(4), Control, &mut worker).unwrap();
    assert_eq!(worker.run(2), 2);
    assert_eq!(worker.ready(), 0);
    let mut left = stage.left();
    assert_eq!(left.len(), 1);
    let ready = left.remove(0);
    assert_eq!(ready.slots(), 2);
    assert_eq!(
        stage.log(),
        ["decide Say(1)", "romeo says 1", "decide Say(2)", "romeo says 2"]
    );

    romeo.deliver(Say(5), Control, &mut worker).unwrap();
    assert_eq!(worker.ready(), 0, "a slot that waits elsewhere is not ready here");
    let mut other = stage.worker();
    other.resume(ready);
    assert_eq!(other.run(100), 3);
    assert!(stage.left().is_empty());
    assert_eq!(
        stage.log(),
        [
            "decide Say(4)",
            "juliet says 4",
            "decide Say(3)",
            "romeo says 3",
            "decide Say(5)",
            "romeo says 5"
        ]
    );
}

#[test]
fn an_endless_chain_is_bounded() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    let mut line = Say(1);
    for _ in 0..1000 {
        line = Tell("romeo", Box::new(line));
    }
    romeo.deliver(line, Control, &mut worker).unwrap();
    assert_eq!(worker.run(10), 10);
    assert_eq!(stage.left().len(), 1);
}

#[test]
fn one_busy_machine_does_not_keep_others_from_their_turn() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    let romeo = stage.enter("romeo");
    let juliet = stage.enter("juliet");
    for _ in 0..1000 {
        romeo.deliver(Say(1), Control, &mut worker).unwrap();
    }
    juliet.deliver(Say(2), Control, &mut worker).unwrap();
    worker.run(100);
    assert!(stage.log().contains(&"juliet says 2".to_owned()));
}

#[test]
fn a_forgotten_worker_hands_over_what_is_ready() {
    let stage = Stage::new();
    let mut worker = stage.worker();
    stage
        .enter("romeo")
        .deliver(Say(1), Control, &mut worker)
        .unwrap();
    drop(worker);
    let mut other = stage.worker();
    for ready in stage.left() {
        other.resume(ready);
    }
    other.run(1);
    assert_eq!(stage.log(), ["decide Say(1)", "romeo says 1"]);
}

#[test]
fn a_simulation_chooses_who_is_next() {
    let stage = Stage::new();
    let mut asked = Vec::new();
    let (tell, told) = std::sync::mpsc::channel();
    let mut worker = Worker::new(|_| {}).choosing(move |ready| {
        tell.send(ready).unwrap();
        ready
    });
    for (name, number) in [("romeo", 1), ("juliet", 2), ("tybalt", 3)] {
        stage
            .enter(name)
            .deliver(Say(number), Control, &mut worker)
            .unwrap();
    }
    worker.run(100);
    asked.extend(told.try_iter());
    assert_eq!(asked, [3, 2], "with one ready there is nothing to choose");
    assert_eq!(
        stage.log(),
        [
            "decide Say(3)",
            "tybalt says 3",
            "decide Say(2)",
            "juliet says 2",
            "decide Say(1)",
            "romeo says 1"
        ],
        "too high counts as the last"
    );
}
