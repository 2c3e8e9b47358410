//! What is spoken on a connection: the protocol of servers, or that of external components.

use std::sync::Arc;

use machine::{Context, Moment};
use s2s::{Component, Input, Output, Pair, Record, Settings, Side, Stage, Stream};
use stanza::Target;
use stream_management::Mailbox;

/// Either stream; both take the same inputs and have the same effects.
pub(crate) enum Conversation {
    Server(Box<Stream>),
    Component(Box<Component>),
}

impl Conversation {
    pub(crate) fn handle(&mut self, context: &mut Context<'_, Settings>, input: Input<'_>, out: &mut Output) {
        match self {
            Conversation::Server(stream) => stream.handle(context, input, out),
            Conversation::Component(component) => component.handle(context, input, out),
        }
    }

    pub(crate) fn next_wake(&self, settings: &Settings) -> Option<Moment> {
        match self {
            Conversation::Server(stream) => stream.next_wake(settings),
            Conversation::Component(component) => component.next_wake(),
        }
    }

    pub(crate) fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        match self {
            Conversation::Server(stream) => stream.mailbox(),
            Conversation::Component(component) => component.mailbox(),
        }
    }

    /// Whose signals are heard: those of a broken stream that is about to be resumed here come first.
    pub(crate) fn signals(&self) -> Option<&Arc<Mailbox>> {
        match self {
            Conversation::Server(stream) => stream.settling().or_else(|| stream.mailbox()),
            Conversation::Component(component) => component.mailbox(),
        }
    }

    pub(crate) fn may_drain(&self, settings: &Settings) -> bool {
        match self {
            Conversation::Server(stream) => stream.may_drain(settings),
            Conversation::Component(component) => component.mailbox().is_some(),
        }
    }

    pub(crate) fn target(&self) -> Target {
        match self {
            Conversation::Server(stream) => stream.target(),
            Conversation::Component(component) => component.target(),
        }
    }

    pub(crate) fn reads(&self) -> bool {
        match self {
            Conversation::Server(stream) => stream.reads(),
            Conversation::Component(component) => component.reads(),
        }
    }

    /// Who opened the connection.
    pub(crate) fn side(&self) -> Side {
        match self {
            Conversation::Server(stream) => stream.side(),
            // Components connect to us (XEP-0114 §3).
            Conversation::Component(_) => Side::Inbound,
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        match self {
            Conversation::Server(stream) => stream.stage(),
            Conversation::Component(component) => component.stage(),
        }
    }

    /// A pair that is authenticated, for the record of attempts between servers.
    pub(crate) fn first_pair(&self) -> Option<&Pair> {
        match self {
            Conversation::Server(stream) => stream.pairs().next().map(|(pair, _)| pair),
            Conversation::Component(_) => None,
        }
    }

    /// Bytes of input that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Conversation::Server(stream) => stream.held_bytes(),
            Conversation::Component(component) => component.held_bytes(),
        }
    }

    pub(crate) fn record(&self) -> &Record {
        match self {
            Conversation::Server(stream) => stream.record(),
            Conversation::Component(component) => component.record(),
        }
    }
}
