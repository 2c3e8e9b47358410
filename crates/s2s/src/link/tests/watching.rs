//! Watchers: told the state as they come, then every change, in batches, the newest only.

use std::time::Duration;

use super::world::*;
use crate::Ways;
use crate::link::{Cause, End, Input, Path};

fn watcher(number: usize) -> stanza::Address {
    address(&format!("user{number:03}@montague.lit"))
}

/// A link that is up, watched by so many.
fn watched(by: usize) -> (World, crate::link::StreamId) {
    let mut world = World::new();
    (world.settings.batch, world.settings.pace) = (100, Duration::from_millis(50));
    for number in 0..by {
        world.input(Input::Watch(watcher(number)));
    }
    let stream = world.carried(Ways::Both);
    world.pass(60.0);
    world.forget();
    (world, stream)
}

#[test]
fn whoever_begins_to_watch_is_told_at_once() {
    let (mut world, stream) = watched(0);
    world.input(Input::Watch(watcher(1)));
    assert_eq!(world.told, [(vec![watcher(1)], Path::Clear)]);
    world.lose(stream);
    world.fail(Cause::Refused);
    world.forget();
    world.input(Input::Watch(watcher(2)));
    assert_eq!(world.told, [(vec![watcher(2)], Path::Broken(Cause::Refused))]);
    world.input(Input::Watch(watcher(1)));
    assert_eq!(world.told.len(), 2, "asking again is answered again");
}

#[test]
fn changes_are_told_in_batches() {
    let (mut world, stream) = watched(250);
    world.lose(stream);
    world.fail(Cause::Refused);
    assert_eq!(world.told.len(), 1);
    world.pass(0.05);
    assert_eq!(world.told.len(), 2);
    world.pass(10.0);
    let sizes: Vec<usize> = world.told.iter().map(|(batch, _)| batch.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    let all: Vec<_> = world.told.iter().flat_map(|(batch, _)| batch.clone()).collect();
    assert_eq!(
        all,
        (0..250).map(watcher).collect::<Vec<_>>(),
        "each once, in order"
    );
}

#[test]
fn however_many_watch_all_are_told_within_ten_seconds() {
    let mut world = World::new();
    for number in 0..20_000 {
        world.input(Input::Watch(watcher(number)));
    }
    let stream = world.carried(Ways::Both);
    world.pass(60.0);
    world.forget();
    world.lose(stream);
    world.fail(Cause::Refused);
    assert_eq!(world.told[0].0.len(), 20, "as the settings are");
    world.pass(10.0);
    let told: usize = world.told.iter().map(|(batch, _)| batch.len()).sum();
    assert_eq!(told, 20_000);
    assert_eq!(world.told.last().unwrap().0.len(), 1);
}

#[test]
fn the_newest_state_wins_over_what_is_still_to_be_told() {
    let (mut world, stream) = watched(250);
    world.lose(stream);
    world.fail(Cause::Refused);
    world.carried(Ways::Both);
    world.pass(10.0);
    let told: Vec<(usize, Path)> = world
        .told
        .iter()
        .map(|(batch, path)| (batch.len(), *path))
        .collect();
    assert_eq!(told, [(100, Path::Broken(Cause::Refused)), (100, Path::Clear)]);
    assert_eq!(world.told[0].0, world.told[1].0, "only those who had heard of it");
    let others: Vec<_> = world.renewed.concat();
    assert_eq!(
        others,
        (100..250).map(watcher).collect::<Vec<_>>(),
        "what was lost meanwhile concerns the others too"
    );
}

#[test]
fn psa_30_after_a_break_that_nobody_was_told_of_watchers_know_that_something_may_be_lost() {
    let (mut world, stream) = watched(150);
    world.lose(stream);
    world.carried(Ways::Both);
    world.end(stream, End::Broken(Cause::Timeout));
    world.pass(1.0);
    assert_eq!(world.told(), [], "PSA-48: a short break is silent");
    let sizes: Vec<usize> = world.renewed.iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 50]);
}

#[test]
fn psa_30_a_broken_stream_that_its_peer_may_have_given_up_is_reason_enough_to_ask_once() {
    let (mut world, carrier) = watched(1);
    let other = world.carried(Ways::In);
    world.input(Input::Suspended {
        stream: other,
        cause: Cause::Timeout,
    });
    world.input(Input::Alive(carrier));
    world.pass(9.0);
    assert!(world.renewed.is_empty(), "it may be resumed");
    world.pass(60.0);
    assert_eq!(world.renewed, [vec![watcher(0)]]);
    assert_eq!(world.told(), [], "PSA-48: a short break is silent");
}

#[test]
fn whoever_stops_watching_is_told_nothing_more() {
    let (mut world, stream) = watched(150);
    world.lose(stream);
    world.fail(Cause::Refused);
    for number in 100..150 {
        world.input(Input::Unwatch(watcher(number)));
    }
    world.pass(3.0);
    assert_eq!(world.told.len(), 1);
    for number in 0..100 {
        world.input(Input::Unwatch(watcher(number)));
    }
    world.forget();
    world.pass(120.0);
    assert!(world.connects.is_empty(), "nobody would notice");
    world.input(Input::Watch(watcher(1)));
    assert_eq!(
        world.told,
        [(vec![watcher(1)], Path::Clear)],
        "nothing is known any more"
    );
}
