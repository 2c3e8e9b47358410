//! What a walk has led to, as far as it concerns the guest.

use account::{Change, Effect};
use stanza::{Address, IqType, Kind, Parcel};

/// What passed between the user and the guest.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Stanzas of the guest that a client of the user's got.
    pub(crate) given: Vec<String>,
    /// What is kept of the guest for later.
    pub(crate) kept: Vec<String>,
    /// Stanzas to the guest.
    pub(crate) sent: Vec<String>,
    /// The id of the last question of the server to the user's client.
    pub(crate) asked: Option<String>,
}

impl Outcome {
    pub(crate) fn note(&mut self, guest: &Address, effects: Vec<Effect>, changes: Vec<Change>) {
        let is_guest = |address: Option<&Address>| {
            address.is_some_and(|address| {
                address.same_bare(guest)
                    || (guest.localpart().is_none() && address.domainpart() == guest.domainpart())
            })
        };
        // A room's invitation speaks for who invites.
        let speaks_of = |parcel: &Parcel| text(parcel).contains(&format!("<invite from='{guest}"));
        for effect in effects {
            if let Effect::Push { entry, .. } = &effect
                && entry.parcel.stanza().kind() == Kind::Iq(IqType::Get)
            {
                self.asked = entry.parcel.stanza().id().map(|id| id.into_owned());
            }
            match effect {
                Effect::Push { entry, .. } if is_guest(entry.parcel.from()) || speaks_of(&entry.parcel) => {
                    // The server's own words to the user's client bear the name of whom it wrote to.
                    if !text(&entry.parcel).contains(" type='error'") {
                        self.given.push(text(&entry.parcel));
                    }
                }
                Effect::Route { parcel, .. } if is_guest(parcel.parcel().to()) => {
                    self.sent.push(text(parcel.parcel()));
                }
                Effect::Kept { parcel, .. }
                    if is_guest(parcel.parcel().from()) || speaks_of(parcel.parcel()) =>
                {
                    self.kept.push(text(parcel.parcel()));
                }
                // Of others.
                Effect::Push { .. } | Effect::Route { .. } | Effect::Kept { .. } => {}
                Effect::Answer(answer) => answer.give(),
                // These carry no stanza, and nothing to anybody but the user's own connections and the server.
                Effect::Signal { .. }
                | Effect::Settle(_)
                | Effect::MarkStored { .. }
                | Effect::WakeAt(..)
                | Effect::LoadWaiting
                | Effect::Act { .. }
                | Effect::Learn(..)
                | Effect::Former { .. }
                | Effect::NotHere { .. }
                | Effect::Count(_)
                | Effect::Dropped(_)
                | Effect::Watch(_)
                | Effect::Unwatch(_) => {}
                // What the user has published is fetched to be shown.
                Effect::Load { .. } => self.given.push("a record is fetched".to_owned()),
            }
        }
        for change in changes {
            match change {
                Change::Wait(row) => {
                    let row = String::from_utf8(row.bytes).unwrap();
                    if row.contains(&format!("from='{guest}")) {
                        self.kept.push(row);
                    }
                }
                Change::Roster(change) => {
                    let change = format!("{change:?}");
                    // What the user does to the own roster is the user's.
                    if change.contains("Request") && change.contains(guest.as_str()) {
                        self.kept.push(change);
                    }
                }
                Change::Privacy(_)
                | Change::Unwait(_)
                | Change::Write(_)
                | Change::Left(_)
                | Change::Held(_)
                | Change::NotHeld(_) => {}
            }
        }
    }
}

fn text(parcel: &Parcel) -> String {
    String::from_utf8(parcel.to_bytes()).unwrap()
}
