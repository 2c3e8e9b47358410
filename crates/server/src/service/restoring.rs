//! What the last process has left, taken up before the first client can come back: sessions, rooms, what was learnt of
//! clients, and who elsewhere must hear that something is over (`docs/kept.md`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use router::Router;
use stanza::Address;
use tracing::{debug, info, warn};

use super::{kept, kept_rooms};
use crate::config::Configuration;
use crate::report::Report;

/// What was found in the two files of the data directory.
pub(super) struct Restored {
    files: [PathBuf; 2],
    sessions: usize,
    rooms: usize,
}

/// Gives the router all of it.
pub(super) fn restore(configuration: &Configuration, router: &Arc<Router>) -> Restored {
    let files = [configuration.sessions_file(), configuration.rooms_file()];
    let [sessions_file, rooms_file] = &files;
    restore_capabilities(router);
    let sessions = restore_sessions(sessions_file, router);
    let rooms = restore_rooms(rooms_file, &sessions, router);
    count_stored_rooms(router);
    tell_who_is_gone(router);
    Restored {
        sessions: sessions.len(),
        files,
        rooms,
    }
}

impl Restored {
    /// Takes the files away: what they say is true once.
    ///
    /// # Errors
    /// When one of them stays, so that the next start would believe it again.
    pub(super) fn remove_files(&self) -> Result<(), Report> {
        for file in &self.files {
            kept::remove(file).map_err(|error| {
                Report::failed(
                    format!("cannot remove {}: {error}", file.display()),
                    "The server must be able to write its data directory.",
                )
            })?;
        }
        Ok(())
    }

    /// Says in the log what goes on.
    pub(super) fn tell(&self) {
        if self.rooms > 0 {
            info!(
                event = "rooms_restored",
                rooms = self.rooms,
                "rooms go on with those who were in them"
            );
        }
        if self.sessions > 0 {
            info!(
                event = "sessions_restored",
                sessions = self.sessions,
                "sessions of before wait for their clients"
            );
        }
    }
}

fn restore_capabilities(router: &Arc<Router>) {
    router.restore_capabilities(Box::new(|outcome| match outcome {
        Ok(hashes) => debug!(
            event = "capabilities",
            hashes, "what clients can do is known from before"
        ),
        Err(error) => warn!(event = "capabilities", %error, "clients will be asked anew what they can do"),
    }));
}

/// Whose sessions go on.
fn restore_sessions(file: &Path, router: &Arc<Router>) -> BTreeSet<Address> {
    let found = kept::load(file);
    for problem in &found.problems {
        warn!(
            event = "sessions_lost",
            "sessions of before cannot go on: {problem}"
        );
    }
    let sessions = found.sessions.iter();
    let addresses = sessions.map(|session| session.address.clone()).collect();
    router.restore(found.sessions);
    addresses
}

/// How many rooms go on; the clients in them that lived here do so if their `sessions` do.
fn restore_rooms(file: &Path, sessions: &BTreeSet<Address>, router: &Arc<Router>) -> usize {
    let found = kept_rooms::load(file);
    for problem in &found.problems {
        warn!(
            event = "rooms_lost",
            "who was in rooms must enter again: {problem}"
        );
    }
    let rooms = found.rooms.len();
    router.restore_rooms(found.rooms, sessions);
    rooms
}

fn count_stored_rooms(router: &Arc<Router>) {
    router.count_stored_rooms(Box::new(|outcome| match outcome {
        Ok(()) => {}
        Err(error) => warn!(
            event = "rooms",
            %error,
            "how many rooms are in the store is not known: xmpp_muc_rooms counts those that come from now on"
        ),
    }));
}

/// Tells people and rooms elsewhere what a crash could not.
fn tell_who_is_gone(router: &Arc<Router>) {
    router.tell_vanished_occupants(Box::new(|outcome| match outcome {
        Ok(_) => {}
        Err(error) => warn!(
            event = "rooms_lost",
            %error,
            "people elsewhere may still believe to be in rooms of before"
        ),
    }));
    router.tell_vanished(Box::new(|outcome| match outcome {
        Ok(0) => {}
        Ok(accounts) => info!(
            event = "sessions_vanished",
            accounts,
            "the last process did not end in peace, or not all of its sessions can go on: people elsewhere learn who is gone"
        ),
        Err(error) => warn!(
            event = "sessions_vanished",
            %error,
            "people elsewhere may still see users of before"
        ),
    }));
}
