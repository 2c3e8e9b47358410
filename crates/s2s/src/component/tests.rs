//! What a component can say, and what it is told.

use machine::{Context, Moment, Timestamp};
use stanza::{StreamCondition, StreamError, Target};

use super::*;
use crate::connection::tests::world::{END, Nought, TOKEN, address, message, settings};

const HEADER: &str = "<stream:stream xmlns='jabber:component:accept' \
                      xmlns:stream='http://etherx.jabber.org/streams' to='bridge.montague.lit'>";
/// The SHA-1 of `TOKEN` and "sesame".
const PROOF: &str = "<handshake>8680047b8e29b5e720f51578a5d5e85746f23bc7</handshake>";

struct World {
    component: Component,
    settings: Settings,
    now: Moment,
    said: String,
    effects: Vec<Effect>,
}

impl World {
    fn new() -> World {
        let mut settings = settings();
        let domain = address("bridge.montague.lit");
        settings.components.insert(domain, ComponentSecret::new("sesame"));
        let mut world = World {
            component: Component::new(&settings),
            settings,
            now: Moment::from_micros(1_000_000),
            said: String::new(),
            effects: Vec::new(),
        };
        world.input(Input::Connected);
        world
    }

    fn proven() -> World {
        let mut world = World::new();
        world.send(&(HEADER.to_owned() + PROOF));
        assert_eq!(world.component.stage(), Stage::Authenticated);
        world.said.clear();
        world.effects.clear();
        world
    }

    fn input(&mut self, input: Input<'_>) {
        let mut out = Output::default();
        let mut context = Context {
            now: self.now,
            wall: Timestamp::default(),
            random: &mut Nought,
            settings: &self.settings,
        };
        self.component.handle(&mut context, input, &mut out);
        self.said.push_str(std::str::from_utf8(&out.bytes).unwrap());
        self.effects.append(&mut out.effects);
    }

    fn send(&mut self, text: &str) {
        self.input(Input::Received(text.as_bytes()));
    }

    /// The error that ended the stream, which the component was told too.
    fn error(&self) -> Option<StreamCondition> {
        let Some(Effect::Close(close)) = self.effects.last() else {
            return None;
        };
        let Ending::Error(error) = &close.ending else {
            return None;
        };
        let told = format!(
            "<{} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>",
            error.condition.as_str()
        );
        assert!(self.said.contains(&told), "{}", self.said);
        assert!(self.said.ends_with(END));
        assert_eq!(self.component.stage(), Stage::Closed);
        Some(error.condition)
    }

    fn routed(&self) -> Vec<String> {
        let mut routed = Vec::new();
        for effect in &self.effects {
            if let Effect::Route { stanza, .. } = effect {
                routed.push(String::from_utf8(Parcel::new(stanza.clone()).to_bytes()).unwrap());
            }
        }
        routed
    }
}

#[test]
fn xep0114_3_the_secret_opens_the_way_to_every_domain_of_ours() {
    let mut world = World::new();
    world.send(HEADER);
    let answer = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' id='{TOKEN}' from='bridge.montague.lit' xml:lang='en'>"
    );
    assert_eq!(world.said, answer);
    assert!(world.component.mailbox().is_none());
    world.send(PROOF);
    assert_eq!(world.said, answer + "<handshake/>");
    let mut pairs = Vec::new();
    for effect in &world.effects {
        let Effect::Authenticated {
            pair,
            ways: Ways::Both,
            ..
        } = effect
        else {
            panic!("{effect:?}");
        };
        pairs.push(format!("{pair:?}"));
    }
    assert_eq!(
        pairs,
        [
            "chats.montague.lit ↔ bridge.montague.lit",
            "montague.lit ↔ bridge.montague.lit"
        ]
    );
    assert_eq!(world.component.next_wake(), None);
}

#[test]
fn xep0114_3_a_wrong_proof_is_not_authorized() {
    for wrong in [
        "<handshake>0000000000000000000000000000000000000000</handshake>",
        "<handshake/>",
        "<message from='bridge.montague.lit' to='romeo@montague.lit'/>",
    ] {
        let mut world = World::new();
        world.send(&(HEADER.to_owned() + wrong));
        assert_eq!(world.error(), Some(StreamCondition::NotAuthorized), "{wrong}");
        assert!(world.routed().is_empty());
    }
}

#[test]
fn xep0114_3_only_configured_domains_are_known() {
    for to in ["to='montague.lit'", "to='x.bridge.montague.lit'", "to='@'", ""] {
        let mut world = World::new();
        world.send(&HEADER.replace("to='bridge.montague.lit'", to));
        assert_eq!(world.error(), Some(StreamCondition::HostUnknown), "{to}");
    }
}

#[test]
fn rfc6120_4_8_3_the_namespace_must_be_that_of_components() {
    let mut world = World::new();
    world.send(&HEADER.replace("jabber:component:accept", "jabber:server"));
    assert_eq!(world.error(), Some(StreamCondition::InvalidNamespace));
}

#[test]
fn strangers_may_send_little_and_have_little_time() {
    let mut world = World::new();
    world.send(HEADER);
    for _ in 0..20 {
        world.send(&" ".repeat(1_000));
    }
    assert_eq!(world.error(), Some(StreamCondition::PolicyViolation));

    let mut world = World::new();
    world.now = world.component.next_wake().unwrap();
    world.input(Input::Wake);
    assert_eq!(world.error(), Some(StreamCondition::ConnectionTimeout));

    let mut world = World::proven();
    for _ in 0..20 {
        world.send(&" ".repeat(1_000));
    }
    assert_eq!(world.component.stage(), Stage::Authenticated);
}

#[test]
fn xep0114_3_stanzas_travel_in_the_namespace_of_their_stream() {
    let mut world = World::proven();
    world.send(
        "<message from='sms@bridge.montague.lit/x' to='romeo@montague.lit' type='chat' id='1'><body>hi</body></message>",
    );
    assert_eq!(
        world.routed(),
        [
            "<message xmlns='jabber:client' from='sms@bridge.montague.lit/x' to='romeo@montague.lit' id='1' \
          type='chat'><body>hi</body></message>"
        ]
    );
    let mailbox = world.component.mailbox().unwrap();
    drop(mailbox.push(message("romeo@montague.lit", "sms@bridge.montague.lit", "2")));
    let mut drained = Vec::new();
    mailbox.drain(&mut drained, Target::Stream, usize::MAX, 10);
    let drained = String::from_utf8(drained).unwrap();
    assert!(!drained.contains("xmlns"), "{drained}");
}

#[test]
fn xep0114_3_the_sender_is_at_the_domain_of_the_component() {
    for from in [
        "montague.lit",
        "romeo@montague.lit",
        "a@other.lit",
        "x.bridge.montague.lit",
    ] {
        let mut world = World::proven();
        world.send(&format!("<message from='{from}' to='romeo@montague.lit'/>"));
        assert_eq!(world.error(), Some(StreamCondition::InvalidFrom), "{from}");
        assert!(world.routed().is_empty());
    }
    for addresses in [
        "from='bridge.montague.lit'",
        "to='romeo@montague.lit'",
        "from='@' to='romeo@montague.lit'",
    ] {
        let mut world = World::proven();
        world.send(&format!("<message {addresses}/>"));
        assert_eq!(
            world.error(),
            Some(StreamCondition::ImproperAddressing),
            "{addresses}"
        );
        assert!(world.routed().is_empty());
    }
}

#[test]
fn what_is_for_others_is_carried_and_what_breaks_the_rules_comes_back() {
    let mut world = World::proven();
    world.send("<message from='bridge.montague.lit' to='juliet@capulet.lit' id='1'/>");
    assert_eq!(world.routed().len(), 1);
    world.send("<iq from='bridge.montague.lit' to='montague.lit' id='2'/>");
    assert!(world.said.contains("bad-request"), "{}", world.said);
    assert_eq!(world.component.stage(), Stage::Authenticated);
}

#[test]
fn another_connection_of_the_same_component_ends_this_one() {
    let mut world = World::proven();
    world.input(Input::End(StreamError::new(StreamCondition::Conflict)));
    assert_eq!(world.error(), Some(StreamCondition::Conflict));
}

#[test]
fn a_change_of_the_settings_is_obeyed() {
    let mut world = World::proven();
    world.settings.hosts.insert(address("new.lit"));
    world.input(Input::Check);
    assert!(matches!(
        world.effects.as_slice(),
        [Effect::Authenticated { .. }, Effect::Alive]
    ));
    world.settings.components.clear();
    world.input(Input::Check);
    assert_eq!(world.error(), Some(StreamCondition::HostGone));
}

#[test]
fn rfc6120_4_4_either_side_may_close() {
    let mut world = World::proven();
    world.send(END);
    assert_eq!(world.said, END);
    assert!(matches!(world.effects.as_slice(),
        [Effect::Close(close)] if close.ending == Ending::Finished(By::Peer)));

    let mut world = World::proven();
    world.input(Input::Close);
    assert_eq!(world.said, END);
    world.send("<message from='bridge.montague.lit' to='romeo@montague.lit'/>");
    assert_eq!(world.routed().len(), 1);
    world.send(END);
    assert!(matches!(world.effects.last(),
        Some(Effect::Close(close)) if close.ending == Ending::Finished(By::Us)));
}
