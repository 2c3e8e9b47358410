//! `xmpp_stanza_errors_total` counts every error that the server answers with, whoever in it answers: an account on behalf
//! of its user, to another or to the user's own client, and the router.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use c2s::Transport;
use router::Counter;
use simulation::{ConnectionId, Settings, Turns, World};
use stanza::{Condition, IqType, Kind, MessageType, PresenceType};

const HEADER: &str = "<stream:stream to='example.com' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";

fn logged_in(world: &mut World, plain: &str) -> ConnectionId {
    let connection = world.connect(Transport::DirectTls);
    let auth =
        format!("{HEADER}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>");
    world.say(connection, auth.as_bytes());
    world.settle();
    let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>";
    world.say(connection, format!("{HEADER}{bind}<presence/>").as_bytes());
    world.settle();
    world.hear(connection);
    connection
}

#[test]
fn every_error_is_counted_once_under_its_kind_and_condition() {
    let mut world = World::new(1, Settings::default(), Turns::InOrder);
    for name in ["romeo@example.com", "juliet@example.com"] {
        world.create_account(name, "secret");
    }
    let juliet = logged_in(&mut world, "AGp1bGlldABzZWNyZXQ=");
    let romeo = logged_in(&mut world, "AHJvbWVvAHNlY3JldA==");
    let block =
        "<iq type='set' id='x'><block xmlns='urn:xmpp:blocking'><item jid='romeo@example.com'/></block></iq>";
    world.say(juliet, block.as_bytes());
    world.settle();
    let (message, presence, iq) = (
        Kind::Message(MessageType::Error),
        Kind::Presence(PresenceType::Error),
        Kind::Iq(IqType::Error),
    );
    let cases = [
        // By an account, in its user's name.
        (
            romeo,
            "<message to='juliet@example.com' type='chat'><body>a</body></message>",
            message,
            Condition::ServiceUnavailable,
        ),
        (
            romeo,
            "<iq to='juliet@example.com' type='get' id='1'><query xmlns='jabber:iq:last'/></iq>",
            iq,
            Condition::ServiceUnavailable,
        ),
        // By an account, to its user.
        (
            juliet,
            "<message to='romeo@example.com' type='chat'><body>a</body></message>",
            message,
            Condition::NotAcceptable,
        ),
        (
            juliet,
            "<iq type='set' id='2'><query xmlns='jabber:iq:roster'><item/></query></iq>",
            iq,
            Condition::BadRequest,
        ),
        (
            juliet,
            "<presence><priority>900</priority></presence>",
            presence,
            Condition::BadRequest,
        ),
        // By a room, and by the service of rooms.
        (
            romeo,
            "<message to='hall@rooms.example.com' type='groupchat'><body>a</body></message>",
            message,
            Condition::ItemNotFound,
        ),
        (
            romeo,
            "<presence to='hall@rooms.example.com'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
            presence,
            Condition::JidMalformed,
        ),
        (
            romeo,
            "<iq to='rooms.example.com' type='get' id='4'><query xmlns='urn:example:unknown'/></iq>",
            iq,
            Condition::ServiceUnavailable,
        ),
        // By the router, for a host.
        (
            romeo,
            "<iq to='example.com' type='get' id='3'><query xmlns='urn:example:unknown'/></iq>",
            iq,
            Condition::ServiceUnavailable,
        ),
    ];
    for (who, said, kind, condition) in cases {
        let all = |world: &World| -> u64 {
            let counters = world.router().counters();
            let conditions = Condition::ALL.iter();
            conditions
                .flat_map(|condition| {
                    [message, presence, iq].map(|kind| counters.get(Counter::Errors(kind, *condition)))
                })
                .sum()
        };
        let before = (
            all(&world),
            world.router().counters().get(Counter::Errors(kind, condition)),
        );
        world.say(who, said.as_bytes());
        world.settle();
        let heard = String::from_utf8(world.hear(who)).unwrap();
        assert!(heard.contains(condition.as_str()), "{said}: {heard}");
        let after = (
            all(&world),
            world.router().counters().get(Counter::Errors(kind, condition)),
        );
        assert_eq!(after, (before.0 + 1, before.1 + 1), "{said}");
    }
}
