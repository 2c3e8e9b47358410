//! Answers that this server has given in the name of a session to whoever asked whether it is there (RFC 6121 §4.3.2,
//! §4.6.6): a room that had lost sight of it, mostly. The client knows nothing of them, and is told nothing of one that comes
//! back.

use std::collections::VecDeque;

use stanza::{Address, Parcel};

/// So many are remembered. The error about an older one reaches its client, which does not know what it is about.
const REMEMBERED: usize = 100;

/// Rooms of this server give ids of about 40 bytes. Longer ones than this are not remembered.
const ID_BYTES_MAX: usize = 200;

/// Those of one session.
#[derive(Debug, Default)]
pub(crate) struct Confirmations(Option<Box<Given>>);

/// Who has asked, and under which id it was answered, oldest first. Most sessions have none.
#[derive(Debug, Default)]
struct Given(VecDeque<(Address, String)>);

impl Confirmations {
    /// An answer is on its way. Those without an id cannot be told from what the client says itself.
    pub(crate) fn given(&mut self, asker: &Address, id: &str) {
        if id.len() > ID_BYTES_MAX {
            return;
        }
        let Given(given) = &mut **self.0.get_or_insert_default();
        if given.len() >= REMEMBERED {
            given.pop_front();
        }
        given.push_back((asker.clone(), id.to_owned()));
    }

    /// Whether this error is about an answer that was given; it will not come again.
    pub(crate) fn take_returned(&mut self, error: &Parcel) -> bool {
        let (Some(from), Some(id)) = (error.from(), error.stanza().id()) else {
            return false;
        };
        let is_it = |(asker, given): &(Address, String)| asker == from && *given == id;
        let Some(Given(given)) = self.0.as_deref_mut() else {
            return false;
        };
        let place = given.iter().position(is_it);
        place.is_some_and(|place| given.remove(place).is_some())
    }
}
