//! What a machine answers.

use crate::Context;

/// The outcome of one input: first what must be kept, then what may be seen once it is kept.
///
/// Reused by the worker from turn to turn, so that deciding allocates nothing on the hot path.
#[derive(Debug)]
pub struct Decision<C, E> {
    /// Changes to be kept, in order. While there are any, the effects wait until all of them are durable.
    pub commit: Vec<C>,
    /// What happens in the world, in order.
    pub effects: Vec<E>,
}

impl<C, E> Default for Decision<C, E> {
    fn default() -> Self {
        Decision {
            commit: Vec::new(),
            effects: Vec::new(),
        }
    }
}

/// An account, a room or a link: a value that takes one input at a time.
pub trait Machine {
    /// What can happen to it.
    type Input;
    /// What it wants to be kept.
    type Change;
    /// What it wants to happen.
    type Effect;
    /// The part of the configuration that it reads.
    type Settings;

    /// Takes one input and answers with a decision. Total: no input is wrong enough to panic.
    fn handle(
        &mut self,
        context: &mut Context<'_, Self::Settings>,
        input: Self::Input,
        out: &mut Decision<Self::Change, Self::Effect>,
    );

    /// Whether nothing would be lost if it left memory now: everything it knows is stored or worth nothing.
    fn is_idle(&self) -> bool;
}
