//! The table of clauses.md §4.6, row by row, and the rules under it.

use super::world::*;
use crate::Ways;
use crate::link::{Cause, End, Input, Kind, Path, StateName};

const GONE: Cause = Cause::RemoteClosed;

#[test]
fn a_domain_that_comes_back_to_us_is_gone_to_at_once() {
    let mut world = World::down();
    world.send(CHAT, "1");
    for _ in 0..4 {
        world.pass(20.0);
        if !world.connects.is_empty() {
            world.fail(Cause::Refused);
        }
    }
    world.forget();
    world.carried(Ways::In);
    assert_eq!(world.state(), StateName::Up);
    assert_eq!(world.connects.len(), 1, "no pause is left of the attempts before");
    // And not again and again, should that fail.
    world.fail(Cause::Refused);
    world.carried(Ways::In);
    assert_eq!(world.connects, []);
}

#[test]
fn a_fresh_link_is_as_it_is_since_it_came_into_being() {
    let mut world = World::new();
    let began = world.now;
    world.pass(20.0);
    assert_eq!(world.link.view().since, began);
}

#[test]
fn an_attempt_that_began_before_the_domain_came_to_us_refuses_nothing() {
    let mut world = World::down();
    world.pass(60.0);
    assert_eq!(world.connects.len(), 1);
    world.carried(Ways::In);
    world.send(PRESENCE, "1");
    // It went to where the domain was not to be reached.
    world.fail(Cause::Timeout);
    assert_eq!(world.returned(), fates(&[]));
    assert_eq!(world.connects.len(), 1, "another is made at once");
    world.fail(Cause::Timeout);
    assert_eq!(
        world.returned(),
        fates(&[("1", "remote-server-timeout")]),
        "only the way out is missing"
    );
}

#[test]
fn clauses_4_6_psa_31_a_domain_that_is_heard_on_a_stream_that_cannot_carry_yet_is_up() {
    let mut world = World::down();
    world.input(Input::Heard);
    assert_eq!(world.state(), StateName::Down, "not on ours");
    world.pass(60.0);
    world.told();
    world.input(Input::Heard);
    assert_eq!((world.state(), world.told()), (StateName::Up, vec![Path::Clear]));
    world.send(PRESENCE, "1");
    assert_eq!(world.returned(), fates(&[]), "it waits for that stream");
    // And if that breaks meanwhile it is like any other.
    world.fail(GONE);
    assert_eq!(world.state(), StateName::Suspect);
}

#[test]
fn clauses_4_6_psa_31_a_stream_in_either_direction_makes_it_up_at_once() {
    for ways in [Ways::In, Ways::Out, Ways::Both] {
        let mut world = World::new();
        assert_eq!(world.state(), StateName::Idle);
        world.carried(ways);
        assert_eq!(world.state(), StateName::Up);
        assert_eq!(world.changes, ["up"]);
        assert!(world.connects.is_empty(), "nobody needs more");
    }
    for ways in [Ways::In, Ways::Out, Ways::Both] {
        let mut world = World::down();
        world.forget();
        world.carried(ways);
        assert_eq!(world.state(), StateName::Up);
        assert_eq!(world.told(), [Path::Clear]);
    }
}

#[test]
fn clauses_4_6_psa_47_a_clean_close_is_idle_and_no_outage() {
    for end in [End::ByPeer, End::ByUs] {
        let (mut world, stream) = World::up();
        world.end(stream, end);
        assert_eq!(world.state(), StateName::Idle);
        assert_eq!(world.told(), []);
        assert!(world.connects.is_empty());
        // The cache holds presence of that domain: if the peer closed, it is looked at, and again every five minutes.
        assert_eq!(world.looks, usize::from(end == End::ByPeer));
        if end == End::ByPeer {
            world.input(Input::Reached(Ok(())));
            world.pass(299.0);
            assert_eq!(world.looks, 1);
            world.pass(1.0);
            assert_eq!(world.looks, 2);
            assert_eq!(world.state(), StateName::Idle);
            world.input(Input::Reached(Err(Cause::Refused)));
            assert_eq!(world.state(), StateName::Down);
            assert_eq!(world.told(), [Path::Broken(Cause::Refused)]);
        } else {
            world.pass(3600.0);
            assert_eq!((world.looks, world.told()), (0, vec![]));
        }
    }
}

#[test]
fn clauses_4_6_the_look_is_for_those_who_hold_presence_and_can_be_switched_off() {
    let mut world = World::new();
    let stream = world.carried(Ways::In);
    world.end(stream, End::ByPeer);
    world.pass(600.0);
    assert_eq!(world.looks, 0);
    world.input(Input::Watch(address("romeo@montague.lit")));
    assert_eq!(world.looks, 1, "now somebody holds it");
    world.input(Input::Unwatch(address("romeo@montague.lit")));
    world.input(Input::Reached(Ok(())));
    world.pass(600.0);
    assert_eq!(world.looks, 1);

    let (mut world, stream) = World::up();
    world.settings.idle_check = None;
    world.end(stream, End::ByPeer);
    world.pass(3600.0);
    assert_eq!((world.looks, world.state()), (0, StateName::Idle));
}

#[test]
fn clauses_4_6_a_look_that_comes_too_late_changes_nothing() {
    let (mut world, stream) = World::up();
    world.end(stream, End::ByPeer);
    world.carried(Ways::In);
    world.input(Input::Reached(Err(Cause::Refused)));
    assert_eq!(world.state(), StateName::Up);
    let (mut world, _) = World::up();
    world.input(Input::Reached(Err(Cause::Refused)));
    assert_eq!(world.state(), StateName::Up, "nobody asked");
}

#[test]
fn clauses_4_6_psa_46_c_23_an_ungraceful_loss_is_suspect_and_reconnected_at_once() {
    for cause in [Cause::RemoteClosed, Cause::Timeout, Cause::Tls] {
        let (mut world, stream) = World::up();
        world.end(stream, End::Broken(cause));
        assert_eq!(world.changes, [format!("suspect {}", cause.label())]);
        assert_eq!(world.connects.len(), 1);
        assert_eq!(world.told(), [], "nobody is told yet");
    }
    // Whoever is watched by nobody is reconnected all the same, once.
    let mut world = World::new();
    let stream = world.carried(Ways::In);
    world.pass(5.0);
    world.lose(stream);
    assert_eq!(world.connects.len(), 1);
    world.fail(Cause::Unreachable);
    world.pass(9.0);
    assert_eq!(world.connects.len(), 0);
}

#[test]
fn clauses_4_6_psa_31_an_attempt_that_fails_from_idle_is_down() {
    for cause in [
        Cause::NoSuchDomain,
        Cause::NoService,
        Cause::DnsUnavailable,
        Cause::Refused,
        Cause::Unreachable,
        Cause::Tls,
        Cause::Certificate,
        Cause::Authentication,
        Cause::HostUnknown,
        Cause::Timeout,
    ] {
        let mut world = World::new();
        world.input(Input::Watch(address("romeo@montague.lit")));
        world.forget();
        world.send(CHAT, "1");
        assert_eq!((world.state(), world.connects.len()), (StateName::Idle, 1));
        world.fail(cause);
        assert_eq!(world.changes, [format!("down {}", cause.label())]);
        assert_eq!(world.told(), [Path::Broken(cause)]);
    }
}

#[test]
fn clauses_4_6_psa_46_suspect_beyond_the_grace_is_down_and_told_once() {
    let mut world = World::suspect();
    world.pass(9.9);
    assert_eq!((world.state(), world.told()), (StateName::Suspect, vec![]));
    world.pass(0.1);
    assert_eq!(world.state(), StateName::Down);
    assert_eq!(world.told(), [Path::Broken(GONE)]);
    world.pass(600.0);
    assert_eq!(world.told(), []);

    let (mut world, stream) = World::up();
    world.settings.grace = std::time::Duration::from_secs(3);
    world.lose(stream);
    world.pass(3.0);
    assert_eq!(world.state(), StateName::Down);
}

#[test]
fn clauses_4_6_psa_46_refused_by_all_is_down_before_the_grace_ends() {
    let mut world = World::suspect();
    world.fail(Cause::Refused);
    assert_eq!(world.state(), StateName::Down);
    assert_eq!(world.told(), [Path::Broken(Cause::Refused)]);
    // Any other failure leaves the rest of the grace.
    for cause in [
        Cause::Unreachable,
        Cause::DnsUnavailable,
        Cause::Tls,
        Cause::Certificate,
        Cause::NoSuchDomain,
    ] {
        let mut world = World::suspect();
        world.fail(cause);
        assert_eq!(world.state(), StateName::Suspect);
        world.pass(10.0);
        assert_eq!(world.told(), [Path::Broken(GONE)]);
    }
}

#[test]
fn clauses_4_6_psa_48_a_short_break_is_silent() {
    let mut world = World::suspect();
    world.pass(9.0);
    world.carried(Ways::Out);
    assert_eq!(world.state(), StateName::Up);
    world.pass(600.0);
    assert_eq!(world.told(), []);
}

#[test]
fn clauses_4_6_within_the_grace_it_is_tried_again_ever_more_slowly() {
    let mut world = World::suspect();
    for seconds in [1.0, 2.0, 4.0] {
        world.fail(Cause::Unreachable);
        world.pass(seconds - 0.1);
        assert_eq!(world.connects.len(), 0);
        world.pass(0.1);
        assert_eq!(world.connects.len(), 1, "after {seconds} seconds");
    }
}

#[test]
fn clauses_4_6_psa_49_down_is_tried_from_5_to_60_seconds_as_long_as_somebody_watches() {
    let mut world = World::down();
    world.forget();
    for seconds in [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0] {
        world.pass(seconds - 0.1);
        assert_eq!(world.connects.len(), 0);
        world.pass(0.1);
        assert_eq!(world.connects.len(), 1, "after {seconds} seconds");
        world.fail(Cause::Unreachable);
    }
    assert_eq!(world.told(), []);
    world.pass(60.0);
    world.carried(Ways::Both);
    assert_eq!(world.told(), [Path::Clear]);
    world.pass(3600.0);
    assert_eq!((world.told(), world.state()), (vec![], StateName::Up));
}

#[test]
fn clauses_4_6_down_is_tried_as_long_as_something_waits_and_no_longer() {
    let mut world = World::new();
    world.send(CHAT, "1");
    world.fail(Cause::Unreachable);
    world.pass(5.0);
    assert_eq!(world.connects.len(), 1);
    world.fail(Cause::Unreachable);
    let mut tries = 0;
    for _ in 0..60 {
        world.pass(10.0);
        while !world.connects.is_empty() {
            tries += 1;
            world.fail(Cause::Unreachable);
        }
    }
    assert_eq!(world.returned(), fates(&[("1", "remote-server-timeout")]));
    assert_eq!(
        tries, 3,
        "10, 20 and 40 seconds later; then it has waited long enough"
    );
    assert_eq!(world.state(), StateName::Idle, "nobody knows any more");
}

#[test]
fn a_verdict_is_believed_for_a_minute_and_renewed_by_whoever_asks_then() {
    let mut world = World::new();
    world.send(IQ, "1");
    world.fail(Cause::NoSuchDomain);
    assert_eq!(world.returned(), fates(&[("1", "remote-server-not-found")]));
    world.send(IQ, "2");
    assert_eq!(world.returned(), fates(&[("2", "remote-server-not-found")]));
    assert_eq!(world.connects.len(), 0);
    world.pass(59.0);
    world.send(PRESENCE, "3");
    assert_eq!(world.returned().len(), 1);
    world.pass(1.0);
    assert_eq!(world.state(), StateName::Idle);
    assert!(machine::Machine::is_idle(&world.link));
    world.send(IQ, "4");
    assert_eq!(
        (world.returned().len(), world.connects.len()),
        (0, 1),
        "it waits for the answer"
    );
}

#[test]
fn clauses_4_6_a_lost_stream_is_no_outage_while_another_answers() {
    let (mut world, out) = World::up();
    let inbound = world.carried(Ways::In);
    world.forget();
    world.lose(out);
    assert_eq!(world.state(), StateName::Suspect);
    assert_eq!(world.notes, [format!("check {}", inbound.0)]);
    assert_eq!(world.connects.len(), 1);
    world.fail(Cause::Refused);
    assert_eq!(
        world.state(),
        StateName::Suspect,
        "there is one that may be alive"
    );
    world.input(Input::Alive(inbound));
    assert_eq!(world.state(), StateName::Up);
    world.pass(600.0);
    assert_eq!(world.told(), []);

    // It does not answer.
    let (mut world, out) = World::up();
    let inbound = world.carried(Ways::In);
    world.forget();
    world.lose(out);
    world.pass(10.0);
    assert_eq!(world.told(), [Path::Broken(GONE)]);
    // And then it does after all.
    world.input(Input::Alive(inbound));
    assert_eq!(world.told(), [Path::Clear]);
    // What is not known proves nothing.
    let mut world = World::down();
    world.forget();
    world.input(Input::Alive(inbound));
    assert_eq!(world.state(), StateName::Down);
}

#[test]
fn clauses_4_6_flapping_links_are_believed_only_after_half_a_minute() {
    let (mut world, mut stream) = World::up();
    for flap in 1..=6 {
        world.pass(2.0);
        world.lose(stream);
        world.fail(Cause::Refused);
        stream = world.carried(Ways::Both);
        let expected: &[Path] = match flap {
            1..=5 => &[Path::Broken(Cause::Refused), Path::Clear],
            _ => &[Path::Broken(Cause::Refused)],
        };
        assert_eq!(world.told(), expected, "flap {flap}");
    }
    assert_eq!(world.state(), StateName::Up);
    world.pass(20.0);
    // A silent break in between begins the half minute anew.
    world.lose(stream);
    stream = world.carried(Ways::Both);
    world.pass(29.0);
    assert_eq!(world.told(), []);
    world.pass(1.0);
    assert_eq!(world.told(), [Path::Clear]);
    // Another fall within the ten minutes is doubted again; later ones are not.
    world.lose(stream);
    world.fail(Cause::Refused);
    stream = world.carried(Ways::Both);
    assert_eq!(world.told(), [Path::Broken(Cause::Refused)]);
    world.lose(stream);
    world.pass(600.0);
    stream = world.carried(Ways::Both);
    assert_eq!(
        world.told(),
        [Path::Clear],
        "it was told that it is down all the time"
    );
    world.pass(600.0);
    world.lose(stream);
    world.fail(Cause::Refused);
    world.carried(Ways::Both);
    assert_eq!(world.told(), [Path::Broken(Cause::Refused), Path::Clear]);
}

#[test]
fn clauses_4_6_a_resumable_broken_stream_is_suspect() {
    let (mut world, stream) = World::up();
    world.input(Input::Suspended { stream, cause: GONE });
    assert_eq!(world.changes, ["suspect remote_closed"]);
    assert_eq!(world.connects[0].1, Some(stream), "it is to be resumed");
    let mailbox = world.mailboxes[&stream].clone();
    let by = crate::link::StreamId(77);
    world.input(Input::Resumed {
        stream,
        by,
        ways: Ways::Out,
        mailbox,
    });
    assert_eq!(world.state(), StateName::Up);
    world.pass(600.0);
    assert_eq!(world.told(), []);
    assert_eq!(world.link.view().streams.len(), 1);

    // Its end for good is nothing new.
    let (mut world, stream) = World::up();
    world.input(Input::Suspended { stream, cause: GONE });
    world.pass(11.0);
    assert_eq!(world.told(), [Path::Broken(GONE)]);
    world.lose(stream);
    assert_eq!((world.told(), world.state()), (vec![], StateName::Down));
}

#[test]
fn clauses_4_6_a_blocked_domain_is_down_without_retries() {
    let (mut world, stream) = World::up();
    world.settings.blocked.insert(address("capulet.lit"));
    world.input(Input::SettingsChanged);
    assert_eq!(world.changes, ["down policy"]);
    assert_eq!(world.notes, [format!("end {} policy-violation", stream.0)]);
    assert_eq!(world.told(), [Path::Broken(Cause::Policy)]);
    world.lose(stream);
    world.send(CHAT, "1");
    world.send(IQ, "2");
    assert_eq!(
        world.returned(),
        fates(&[("1", "not-allowed"), ("2", "not-allowed")])
    );
    world.pass(3600.0);
    world.input(Input::Connect);
    assert!(world.connects.is_empty());
    let stream = world.carried(Ways::In);
    assert_eq!(
        world.notes.last().unwrap(),
        &format!("end {} policy-violation", stream.0)
    );
    assert_eq!(world.state(), StateName::Down);
    world.lose(stream);

    world.settings.blocked.clear();
    world.input(Input::SettingsChanged);
    assert_eq!(world.connects.len(), 1, "somebody watches");
    world.carried(Ways::Both);
    assert_eq!(world.told(), [Path::Clear]);

    let mut world = World::new();
    world.settings.blocked.insert(address("capulet.lit"));
    world.send(CHAT, "1");
    assert_eq!(world.returned(), fates(&[("1", "not-allowed")]));
    world.settings.blocked.clear();
    world.send(IQ, "2");
    assert_eq!((world.returned().len(), world.connects.len()), (0, 1));
}

#[test]
fn clauses_4_6_a_component_that_drops_is_down_after_the_same_grace() {
    for end in [End::ByPeer, End::Broken(GONE)] {
        let mut world = World::of(Kind::Component);
        world.input(Input::Watch(address("romeo@montague.lit")));
        assert_eq!(world.told(), [Path::Broken(Cause::ComponentAbsent)]);
        world.send(IQ, "1");
        assert_eq!(world.returned(), fates(&[("1", "service-unavailable")]));
        let stream = world.carried(Ways::Both);
        assert_eq!(world.told(), [Path::Clear]);
        world.pass(60.0);
        world.end(stream, end);
        assert_eq!(world.state(), StateName::Suspect);
        world.pass(9.0);
        assert_eq!(world.told(), []);
        world.pass(1.0);
        assert_eq!(world.told(), [Path::Broken(Cause::ComponentAbsent)]);
        world.pass(3600.0);
        assert!(world.connects.is_empty(), "nobody can connect to it");
        assert_eq!((world.looks, world.state()), (0, StateName::Down));
        world.input(Input::Unwatch(address("romeo@montague.lit")));
        assert!(machine::Machine::is_idle(&world.link));
    }
}

#[test]
fn a_server_that_ends_what_it_has_just_accepted_is_given_a_moment() {
    for end in [End::ByPeer, End::Broken(GONE)] {
        let mut world = World::new();
        let stream = world.carried(Ways::Both);
        world.send(CHAT, "1");
        world.end(stream, end);
        assert_eq!(world.connects.len(), 0);
        world.pass(1.0);
        assert_eq!(world.connects.len(), 1);
    }
}

#[test]
fn an_operator_connects_and_drops() {
    let mut world = World::down();
    for _ in 0..5 {
        world.pass(60.0);
        while !world.connects.is_empty() {
            world.fail(Cause::Refused);
        }
    }
    world.input(Input::Connect);
    assert_eq!(world.connects.len(), 1);
    world.input(Input::Connect);
    assert_eq!(world.connects.len(), 1, "it is under way");
    world.fail(Cause::Refused);
    world.pass(5.0);
    assert_eq!(world.connects.len(), 1, "the pauses begin anew");

    let (mut world, stream) = World::up();
    world.input(Input::Connect);
    assert_eq!(world.connects.len(), 0);
    world.input(Input::Drop);
    assert_eq!(world.notes, [format!("close {}", stream.0)]);
    world.end(stream, End::ByUs);
    assert_eq!(world.state(), StateName::Idle);
}

#[test]
fn only_the_attempt_that_is_under_way_can_fail() {
    let mut world = World::suspect();
    let (attempt, _) = world.connects[0];
    world.carried(Ways::Out);
    let cause = Cause::Refused;
    world.input(Input::Failed { attempt, cause });
    assert_eq!(world.state(), StateName::Up);
    assert!(!world.link.view().connecting);
}

#[test]
fn an_idle_link_without_anybody_may_leave_memory() {
    let idle = |world: &World| machine::Machine::is_idle(&world.link);
    let mut world = World::new();
    assert!(idle(&world));
    world.input(Input::Watch(address("romeo@montague.lit")));
    assert!(!idle(&world));
    world.input(Input::Unwatch(address("romeo@montague.lit")));
    world.send(CHAT, "1");
    assert!(!idle(&world));
    let stream = world.carried(Ways::Out);
    assert!(!idle(&world));
    world.written(stream);
    world.pass(2.0);
    world.end(stream, End::ByPeer);
    assert!(idle(&world));
}

#[test]
fn silent_streams_are_pinged_and_a_pong_is_life() {
    let (mut world, stream) = World::up();
    world.input(Input::Silent(stream));
    let first = world.written(stream);
    assert_eq!(first.len(), 1);
    world.input(Input::Silent(stream));
    let second = world.written(stream);
    assert_ne!(first, second);
    world.input(Input::Answered("another".into()));
    assert_eq!(world.notes, Vec::<String>::new());
    for id in [first, second].concat() {
        world.input(Input::Answered(id));
        assert_eq!(world.notes, [format!("answered {}", stream.0)]);
        world.forget();
    }
    world.input(Input::Silent(stream));
    world.handed(stream);
    world.lose(stream);
    assert_eq!(world.returned(), [], "nobody waits for a ping");
    world.input(Input::Silent(stream));
    assert_eq!(world.state(), StateName::Suspect);

    let (mut world, out) = World::up();
    let both = world.carried(Ways::Both);
    world.lose(out);
    world.input(Input::Silent(both));
    let ping = world.handed(both).remove(0);
    world.input(Input::Answered(ping));
    assert_eq!(world.state(), StateName::Up);
}
