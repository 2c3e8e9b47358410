//! Presence of occupants to occupants, each copy built for who gets it (XEP-0045 §7.2.2, §7.2.3).

use stanza::namespace::{ANNOTATION, MUC, MUC_USER};
use stanza::{Address, Kind, Parcel, PresenceType, Stanza};
use xml::{ContentNamespace, Element, Tree};

use crate::names::OCCUPANT_ID;
use crate::occupant::Occupant;
use crate::privilege::{Action, may};
use crate::room::{Out, Room};
use crate::{Affiliation, DegradedEnd, Effect, Removal, Role, Tally};

/// What a presence tells of an occupant beside its role and affiliation.
#[derive(Debug, Default, Clone)]
pub(crate) struct Notes {
    /// Status codes for everybody (XEP-0045 §15.6).
    pub(crate) codes: Vec<u16>,
    /// The new nick, with code 303.
    pub(crate) nick: Option<String>,
    /// Who did it, by nick.
    pub(crate) actor: Option<String>,
    /// Why.
    pub(crate) reason: Option<String>,
    /// `<destroy/>`, when the room ends.
    pub(crate) destroy: Option<Tree>,
}

impl Notes {
    pub(crate) fn codes(codes: &[u16]) -> Notes {
        Notes {
            codes: codes.to_vec(),
            ..Notes::default()
        }
    }

    /// Why somebody leaves of whom this is told (XEP-0045 §15.6.2).
    fn removal(&self) -> Removal {
        let has = |code| self.codes.contains(&code);
        if has(333) {
            Removal::Error
        } else if has(332) {
            Removal::Shutdown
        } else if has(301) {
            Removal::Ban
        } else if has(307) || has(321) || has(322) {
            Removal::Kick
        } else {
            Removal::Leave
        }
    }
}

/// One presence of one occupant, in the two forms in which others may see it.
#[derive(Debug, Clone)]
pub(crate) struct Copies {
    pub(crate) open: Parcel,
    pub(crate) veiled: Parcel,
}

impl Copies {
    /// The copy for a recipient who sees addresses, or who does not.
    pub(crate) fn to(&self, sees_addresses: bool, recipient: &Address) -> Effect {
        let parcel = if sees_addresses { &self.open } else { &self.veiled };
        Effect::Route(parcel.clone().to_address(recipient.clone()), None)
    }
}

/// A presence without what only the room may say of its occupants, its truth included (PSA-57), and without the wish to
/// enter.
pub(crate) fn cleaned(presence: &Stanza, from: &Address) -> Parcel {
    let forbidden =
        |child: &xml::Child<'_>| matches!(child.namespace(), MUC | MUC_USER | OCCUPANT_ID | ANNOTATION);
    presence
        .children()
        .filter(forbidden)
        .fold(presence.readdressed(Some(from.clone()), None), |parcel, child| {
            parcel.without_child(child.index())
        })
}

/// The parcel as a stanza of its own. Whoever gets a presence looks into it: the account of an occupant for status 110,
/// and it takes what is merely appended for an annotation (XEP-0310).
pub(crate) fn whole(parcel: Parcel) -> Parcel {
    let limits = xml::Limits::unlimited();
    let stanza = Element::parse(&parcel.to_bytes(), ContentNamespace::Client, &limits)
        .ok()
        .and_then(|element| Stanza::new(element, parcel.from().cloned(), None, None).ok());
    stanza.map_or(parcel, Parcel::new)
}

/// `<occupant-id/>` (XEP-0421 §3).
pub(crate) fn occupant_id(id: &str) -> Tree {
    Tree::new("occupant-id", OCCUPANT_ID).attr("id", id)
}

impl Room {
    /// Whether an occupant sees the addresses of the others.
    pub(crate) fn sees_addresses(&self, occupant: &Occupant) -> bool {
        !self.config.is_anonymous()
            || may(
                occupant.role,
                occupant.affiliation,
                Action::SeeAddresses,
                &self.config,
            )
    }

    /// The presence of an occupant as it is, or `stanza` of it, with these notes.
    pub(crate) fn copies(&self, occupant: &Occupant, stanza: &Stanza, notes: &Notes) -> Copies {
        let parcel = cleaned(stanza, &occupant.address);
        let client = stanza.from().or(occupant.shown().map(|client| &client.address));
        let append = |address: Option<&Address>| {
            let mut bytes = extension(occupant, address, notes).to_bytes("");
            occupant_id(&occupant.id).write(&mut bytes, "");
            whole(parcel.clone().with_appended(&bytes))
        };
        Copies {
            open: append(client),
            veiled: append(None),
        }
    }

    /// Tells everybody of an occupant; those with that role may be kept from view, except from themselves. The own
    /// clients learn it with status 110, and `own_codes` beside. Whether the occupant is out of reach is told with it.
    pub(crate) fn announce(&mut self, nick: &str, notes: &Notes, own_codes: &[u16], out: &mut Out) {
        self.assess(nick, out);
        self.outages.untold.remove(nick);
        let has_words = self.outages.words.is_some();
        let mut was_seen = false;
        if let Some(occupant) = self.occupants.get_mut(nick) {
            occupant.told = occupant.state.filter(|_| has_words);
            let is_seen = self.config.broadcasts(occupant.role);
            was_seen = std::mem::replace(&mut occupant.seen, is_seen);
        }
        let Some(occupant) = self.occupants.get(nick) else {
            return;
        };
        let Some(shown) = occupant.shown() else { return };
        if occupant.seen {
            let news = self.news_of(occupant);
            self.tell_of(occupant, &shown.presence, notes, news.as_deref(), out);
        } else if was_seen {
            // Its role is not told any more; what they hold of it would stay for ever.
            let kind = Kind::Presence(PresenceType::Unavailable);
            let hidden = Stanza::build(kind, Some(&shown.address), None, None, b"");
            self.tell_of(&occupant.shadow(Role::None), &hidden, notes, None, out);
        }
        let own = own_notes(notes, own_codes);
        let copies = self.copies(occupant, &shown.presence, &own);
        for client in &occupant.clients {
            out.effects.push(copies.to(true, &client.address));
        }
    }

    /// Tells all others of an occupant, with the news of its truth those who ask for that.
    fn tell_of(
        &self,
        occupant: &Occupant,
        stanza: &Stanza,
        notes: &Notes,
        news: Option<&[u8]>,
        out: &mut Out,
    ) {
        let copies = self.copies(occupant, stanza, notes);
        let annotated = news.map(|news| self.copies(occupant, stanza, notes).annotated(news));
        for other in self
            .occupants
            .iter()
            .filter(|other| other.nick() != occupant.nick())
        {
            let sees = self.sees_addresses(other);
            for client in &other.clients {
                let copies = match &annotated {
                    Some(annotated) if client.interest.is_known() => annotated,
                    Some(_) | None => &copies,
                };
                out.effects.push(copies.to(sees, &client.address));
            }
        }
    }

    /// Tells everybody that an occupant who was just taken out is gone: others in `stanza`, if the occupant said
    /// something on leaving. The own clients learn it with status 110.
    pub(crate) fn announce_gone(
        &self,
        mut occupant: Occupant,
        said: Option<&Stanza>,
        notes: &Notes,
        own_codes: &[u16],
        out: &mut Out,
    ) {
        if notes.nick.is_none() {
            out.effects.push(Effect::Count(Tally::Removed(notes.removal())));
            if occupant.state.is_some() {
                let end = match notes.removal() {
                    Removal::Error => DegradedEnd::Expired,
                    Removal::Leave | Removal::Kick | Removal::Ban | Removal::Shutdown => DegradedEnd::Left,
                };
                out.effects.push(Effect::Count(Tally::Degraded(end)));
            }
        }
        // A change of the nick is no change of the role (XEP-0045 §7.6).
        if notes.nick.is_none() {
            occupant.role = Role::None;
        }
        let plain;
        let stanza = match said {
            Some(stanza) => stanza,
            None => {
                plain = Stanza::build(Kind::Presence(PresenceType::Unavailable), None, None, None, b"");
                &plain
            }
        };
        if occupant.seen {
            self.tell_of(&occupant, stanza, notes, None, out);
        }
        let own = own_notes(notes, own_codes);
        let copies = self.copies(&occupant, stanza, &own);
        for client in &occupant.clients {
            out.effects.push(copies.to(true, &client.address));
        }
    }
}

fn own_notes(notes: &Notes, own_codes: &[u16]) -> Notes {
    let mut own = notes.clone();
    own.codes.insert(0, 110);
    own.codes.extend_from_slice(own_codes);
    own
}

/// The `<x/>` that tells of an occupant.
fn extension(occupant: &Occupant, address: Option<&Address>, notes: &Notes) -> Tree {
    let affiliation = occupant.affiliation;
    let mut item = item(affiliation, occupant.role);
    if let Some(address) = address {
        item = item.attr("jid", address.as_str());
    }
    if let Some(nick) = &notes.nick {
        item = item.attr("nick", nick.as_str());
    }
    if let Some(actor) = &notes.actor {
        item = item.child(Tree::new("actor", MUC_USER).attr("nick", actor.as_str()));
    }
    if let Some(reason) = &notes.reason {
        item = item.child(Tree::new("reason", MUC_USER).text(reason));
    }
    let mut extension = Tree::new("x", MUC_USER).child(item);
    if let Some(destroy) = &notes.destroy {
        extension = extension.child(destroy.clone());
    }
    for code in &notes.codes {
        extension = extension.child(status(*code));
    }
    extension
}

fn item(affiliation: Affiliation, role: Role) -> Tree {
    Tree::new("item", MUC_USER)
        .attr("affiliation", affiliation.as_str())
        .attr("role", role.as_str())
}

/// One status code (XEP-0045 §15.6).
pub(crate) fn status(code: u16) -> Tree {
    Tree::new("status", MUC_USER).attr("code", code.to_string())
}
