//! What becomes of stanzas: delivered to a stream, kept, returned, each once and in order.

use stanza::{IqType, Kind as StanzaKind, MessageType, PresenceType};
use stream_management::{Limits, Mailbox};

use super::world::*;
use crate::Ways;
use crate::link::{Cause, End, Input, QueueLimits, StateName, StreamId};

const GROUPCHAT: StanzaKind = StanzaKind::Message(MessageType::Groupchat);
const NORMAL: StanzaKind = StanzaKind::Message(MessageType::Normal);
const HEADLINE: StanzaKind = StanzaKind::Message(MessageType::Headline);

#[test]
fn stanzas_go_to_the_stream_in_order() {
    let (mut world, stream) = World::up();
    for id in ["1", "2", "3"] {
        world.send(CHAT, id);
    }
    assert_eq!(world.written(stream), ["1", "2", "3"]);
}

#[test]
fn everything_waits_while_a_first_attempt_is_under_way() {
    let mut world = World::new();
    world.send(CHAT, "1");
    world.send(IQ, "2");
    world.send(PRESENCE, "3");
    assert_eq!((world.connects.len(), world.returned().len()), (1, 0));
    let stream = world.carried(Ways::Out);
    assert_eq!(world.written(stream), ["1", "2", "3"]);
}

#[test]
fn a_stream_of_the_other_direction_is_not_enough() {
    let mut world = World::new();
    world.carried(Ways::In);
    world.send(CHAT, "1");
    assert_eq!(world.connects.len(), 1);
    world.send(IQ, "2");
    assert_eq!(world.connects.len(), 1);
    // The attempt fails, though the domain is up: what cannot wait does not.
    world.fail(Cause::Certificate);
    assert_eq!(world.state(), StateName::Up);
    assert_eq!(world.returned(), fates(&[("2", "remote-server-timeout")]));
    world.pass(5.0);
    let stream = world.carried(Ways::Out);
    assert_eq!(world.written(stream), ["1"]);
}

#[test]
fn at_down_only_messages_wait_and_all_else_is_refused_with_its_cause() {
    for (cause, condition) in [
        (Cause::NoSuchDomain, "remote-server-not-found"),
        (Cause::NoService, "remote-server-not-found"),
        (Cause::HostUnknown, "remote-server-not-found"),
        (Cause::DnsUnavailable, "remote-server-timeout"),
        (Cause::Refused, "remote-server-timeout"),
        (Cause::Unreachable, "remote-server-timeout"),
        (Cause::Tls, "remote-server-timeout"),
        (Cause::Certificate, "remote-server-timeout"),
        (Cause::Authentication, "remote-server-timeout"),
        (Cause::Timeout, "remote-server-timeout"),
    ] {
        let mut world = World::new();
        let all = [
            (CHAT, "chat"),
            (GROUPCHAT, "groupchat"),
            (NORMAL, "normal"),
            (HEADLINE, "headline"),
            (IQ, "iq"),
            (StanzaKind::Iq(IqType::Result), "result"),
            (PRESENCE, "presence"),
            (StanzaKind::Presence(PresenceType::Subscribe), "subscribe"),
            (StanzaKind::Message(MessageType::Error), "error"),
        ];
        let expected = fates(&[
            ("headline", condition),
            ("iq", condition),
            ("result", "dropped"),
            ("presence", condition),
            ("subscribe", condition),
            ("error", "dropped"),
        ]);
        for (kind, id) in all {
            world.send(kind, id);
        }
        world.fail(cause);
        assert_eq!(world.returned(), expected, "what waited");
        for (kind, id) in all {
            world.send(kind, id);
        }
        assert_eq!(world.returned(), expected, "what comes now");
        world.pass(60.0);
        let stream = world.carried(Ways::Both);
        assert_eq!(
            world.written(stream),
            ["chat", "groupchat", "normal", "chat", "groupchat", "normal"]
        );
    }
}

#[test]
fn messages_wait_for_the_queue_timeout_whatever_the_state() {
    let mut world = World::new();
    world.send(CHAT, "1");
    world.pass(30.0);
    world.send(CHAT, "2");
    world.fail(Cause::NoSuchDomain);
    world.pass(89.0);
    assert_eq!(world.returned(), []);
    world.pass(1.0);
    assert_eq!(world.returned(), fates(&[("1", "remote-server-not-found")]));
    world.pass(30.0);
    assert_eq!(world.returned(), fates(&[("2", "remote-server-not-found")]));

    // While nothing is known yet, too.
    let mut world = World::new();
    world.send(CHAT, "1");
    world.send(IQ, "2");
    world.pass(120.0);
    assert_eq!(
        world.returned(),
        fates(&[("1", "remote-server-timeout"), ("2", "remote-server-timeout")])
    );
}

#[test]
fn what_is_too_much_is_returned() {
    let mut world = World::new();
    world.settings.queue = QueueLimits {
        stanzas: 2,
        bytes: 1 << 20,
    };
    for id in ["1", "2", "3"] {
        world.send(CHAT, id);
    }
    assert_eq!(world.returned(), fates(&[("3", "resource-constraint")]));
    let stream = world.carried(Ways::Both);
    assert_eq!(world.written(stream), ["1", "2"]);

    let mut world = World::new();
    world.settings.queue = QueueLimits {
        stanzas: 100,
        bytes: 150,
    };
    for id in ["1", "2", "3", "4", "5"] {
        world.send(CHAT, id);
    }
    let (stanzas, bytes) = world.link.view().waiting;
    assert!(bytes <= 150 && stanzas + world.returned().len() == 5);
}

#[test]
fn while_suspect_everything_waits() {
    let mut world = World::suspect();
    world.send(CHAT, "1");
    world.send(IQ, "2");
    let stream = world.carried(Ways::Out);
    assert_eq!(world.written(stream), ["1", "2"]);

    let mut world = World::suspect();
    world.send(CHAT, "1");
    world.send(IQ, "2");
    world.pass(10.0);
    assert_eq!(world.returned(), fates(&[("2", "remote-server-timeout")]));
}

#[test]
fn nothing_is_given_to_a_stream_that_may_be_dead() {
    let (mut world, out) = World::up();
    let both = world.carried(Ways::Both);
    world.lose(out);
    world.send(CHAT, "1");
    assert_eq!(world.handed(both), Vec::<String>::new());
    world.input(Input::Alive(both));
    assert_eq!(world.handed(both), ["1"]);
}

#[test]
fn what_the_peer_may_have_is_returned_and_what_it_cannot_have_is_sent_again() {
    let (mut world, stream) = World::up();
    world.send(CHAT, "1");
    world.send(CHAT, "2");
    world.written(stream);
    world.send(CHAT, "3");
    world.send(IQ, "4");
    world.send(StanzaKind::Iq(IqType::Result), "5");
    world.handed(stream);
    world.send(CHAT, "6");
    world.send(IQ, "7");
    world.lose(stream);
    let timeout = "remote-server-timeout";
    assert_eq!(
        world.returned(),
        fates(&[("3", timeout), ("4", timeout), ("5", "dropped")])
    );
    world.send(CHAT, "8");
    let stream = world.carried(Ways::Both);
    assert_eq!(world.written(stream), ["6", "7", "8"]);
}

#[test]
fn xep0198_what_is_not_acknowledged_when_a_stream_cannot_be_resumed_is_returned() {
    let (mut world, stream) = World::up();
    world.mailboxes[&stream].enable_counting();
    for id in ["1", "2", "3"] {
        world.send(CHAT, id);
    }
    world.handed(stream);
    world.mailboxes[&stream].acknowledge(1).unwrap();
    world.send(CHAT, "4");
    let cause = Cause::RemoteClosed;
    world.input(Input::Suspended { stream, cause });
    world.send(CHAT, "5");
    assert_eq!(world.returned(), [], "it may still be resumed");
    world.lose(stream);
    let timeout = "remote-server-timeout";
    assert_eq!(world.returned(), fates(&[("2", timeout), ("3", timeout)]));
    let stream = world.carried(Ways::Out);
    assert_eq!(world.written(stream), ["4", "5"]);
}

#[test]
fn xep0198_5_what_waits_behind_a_broken_stream_follows_what_it_holds() {
    let (mut world, stream) = World::up();
    let mailbox = world.mailboxes[&stream].clone();
    mailbox.enable_counting();
    world.send(CHAT, "1");
    world.handed(stream);
    let cause = Cause::RemoteClosed;
    world.input(Input::Suspended { stream, cause });
    world.send(CHAT, "2");
    mailbox.resume(0).unwrap();
    let by = StreamId(50);
    world.mailboxes.insert(by, mailbox.clone());
    world.input(Input::Resumed {
        stream,
        by,
        ways: Ways::Out,
        mailbox,
    });
    assert_eq!(world.handed(by), ["1", "2"]);
    world.send(CHAT, "3");
    assert_eq!(world.handed(by), ["3"]);
}

#[test]
fn another_stream_waits_for_the_broken_one_but_not_for_long() {
    let (mut world, stream) = World::up();
    world.send(CHAT, "1");
    world.handed(stream);
    let cause = Cause::RemoteClosed;
    world.input(Input::Suspended { stream, cause });
    world.send(CHAT, "2");
    let other = world.carried(Ways::Both);
    assert_eq!((world.state(), world.handed(other).len()), (StateName::Up, 0));
    world.pass(4.9);
    assert!(world.notes.is_empty());
    world.pass(0.1);
    assert_eq!(world.notes, [format!("give up {}", stream.0)]);
    world.lose(stream);
    assert_eq!(world.state(), StateName::Up);
    assert_eq!(world.returned(), fates(&[("1", "remote-server-timeout")]));
    assert_eq!(world.handed(other), ["2"]);

    // It comes back in time.
    let (mut world, stream) = World::up();
    world.send(CHAT, "1");
    world.input(Input::Suspended { stream, cause });
    let other = world.carried(Ways::Both);
    world.pass(2.0);
    let mailbox = world.mailboxes[&stream].clone();
    let by = StreamId(50);
    world.mailboxes.insert(by, mailbox.clone());
    world.input(Input::Resumed {
        stream,
        by,
        ways: Ways::Out,
        mailbox,
    });
    world.send(CHAT, "2");
    world.pass(60.0);
    assert!(world.notes.is_empty());
    assert_eq!(
        (world.handed(by), world.handed(other).len()),
        (vec!["1".into(), "2".into()], 0)
    );
}

#[test]
fn a_full_stream_is_tried_again_and_nothing_overtakes() {
    let (mut world, stream) = World::up();
    world.settings.mailbox = Limits {
        stanzas: 2,
        bytes: 1 << 20,
    };
    for id in ["1", "2", "3", "4", "5"] {
        world.send(CHAT, id);
    }
    assert_eq!(world.written(stream), ["1", "2"]);
    world.pass(0.25);
    world.send(CHAT, "6");
    assert_eq!(world.written(stream), ["3", "4"]);
    world.pass(0.25);
    assert_eq!(world.written(stream), ["5", "6"]);
    assert_eq!(world.link.view().waiting, (0, 0));
}

#[test]
fn a_stream_that_breaks_again_is_waited_for_as_long_and_no_longer() {
    let (mut world, first) = World::up();
    let other = world.carried(Ways::Both);
    let breaks = |stream| Input::Suspended {
        stream,
        cause: Cause::RemoteClosed,
    };
    world.send(CHAT, "1");
    world.input(breaks(first));
    world.input(Input::Alive(other));
    world.pass(3.0);
    let by = StreamId(99);
    let mailbox = Mailbox::new(Limits {
        stanzas: 10,
        bytes: 1 << 20,
    });
    world.input(Input::Resumed {
        stream: first,
        by,
        ways: Ways::Both,
        mailbox,
    });
    world.pass(1.0);
    world.input(breaks(by));
    world.input(Input::Alive(other));
    world.notes.clear();
    world.pass(4.0);
    assert!(!world.notes.contains(&"give up 99".to_owned()), "not yet");
    world.pass(2.0);
    assert!(
        world.notes.contains(&"give up 99".to_owned()),
        "{:?}",
        world.notes
    );
}

#[test]
fn a_closed_mailbox_holds_up_what_comes_until_its_remains_are_back() {
    let (mut world, stream) = World::up();
    world.send(CHAT, "1");
    let remains = world.mailboxes.remove(&stream).unwrap().close_apart();
    world.send(CHAT, "2");
    // Another stream is there before the end of the first is known.
    let other = world.carried(Ways::Both);
    world.send(CHAT, "3");
    assert_eq!(world.handed(other), Vec::<String>::new());
    world.input(Input::Ended {
        stream,
        end: End::Broken(Cause::RemoteClosed),
        remains,
    });
    assert_eq!(world.state(), StateName::Suspect);
    world.input(Input::Alive(other));
    assert_eq!(world.handed(other), ["1", "2", "3"]);
}

#[test]
fn a_clean_close_with_something_to_send_is_followed_by_a_connection() {
    let (mut world, stream) = World::up();
    world.send(CHAT, "1");
    world.end(stream, End::ByPeer);
    assert_eq!((world.state(), world.connects.len()), (StateName::Idle, 1));
    let stream = world.carried(Ways::Out);
    assert_eq!(world.written(stream), ["1"]);
}

#[test]
fn promises_are_kept_where_fates_are_decided() {
    let sender = Mailbox::new(Limits {
        stanzas: 100,
        bytes: 1 << 20,
    });
    let (mut world, stream) = World::up();
    world.send_with(CHAT, "1", Some(sender.count_received()));
    world.send_with(CHAT, "2", Some(sender.count_received()));
    assert_eq!(sender.handled(), 0);
    world.written(stream);
    assert_eq!(sender.handled(), 2, "written to a peer that does not count");
    world.send_with(CHAT, "3", Some(sender.count_received()));
    world.handed(stream);
    world.lose(stream);
    assert_eq!(sender.handled(), 3, "returned");
    world.send_with(CHAT, "4", Some(sender.count_received()));
    assert_eq!(sender.handled(), 3, "it waits");
    world.pass(600.0);
    assert_eq!(sender.handled(), 4);
}
