//! Who is in a room.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use machine::Bucket;
use presence::State;
use smallvec::SmallVec;
use stanza::{Address, Stanza};

use crate::interest::Interest;
use crate::nicks::look;
use crate::presence::Copies;
use crate::reach::Reach;
use crate::{Affiliation, Role};

/// One client of an occupant.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Its real full address.
    pub(crate) address: Address,
    /// What it last said of itself.
    pub(crate) presence: Stanza,
    /// What it may still say.
    pub(crate) bucket: Bucket,
    /// Whether it asks for annotations.
    pub(crate) interest: Interest,
    /// What is known of the way to it.
    pub(crate) reach: Reach,
}

impl Client {
    /// A client that enters with this presence.
    pub(crate) fn new(address: Address, presence: Stanza) -> Client {
        let mut interest = Interest::default();
        interest.follow(&presence);
        Client {
            address,
            presence,
            bucket: Bucket::default(),
            interest,
            reach: Reach::default(),
        }
    }
}

/// One nick in the room, with all clients of the user who has it (XEP-0045 §7.2.9).
#[derive(Debug)]
pub(crate) struct Occupant {
    /// Its address in the room.
    pub(crate) address: Address,
    pub(crate) role: Role,
    pub(crate) affiliation: Affiliation,
    /// XEP-0421.
    pub(crate) id: String,
    /// The one that spoke of itself last is the last.
    pub(crate) clients: SmallVec<[Client; 1]>,
    /// Whether it is out of reach.
    pub(crate) state: Option<State>,
    /// What those who ask were told of that.
    pub(crate) told: Option<State>,
    /// Whether the others were shown it: then they hear of its end, whatever its role is by then.
    pub(crate) seen: bool,
    /// The presence as newcomers get it, which all of them do: a room that fills up would be told of everybody by everybody.
    pub(crate) copies: OnceCell<Copies>,
}

impl Occupant {
    pub(crate) fn nick(&self) -> &str {
        self.address.resourcepart().unwrap_or_default()
    }

    /// The client whose presence the others see.
    pub(crate) fn shown(&self) -> Option<&Client> {
        self.clients.last()
    }

    /// The same without clients, in this role: what others are told of it when it, or a client of it, is out of their sight.
    pub(crate) fn shadow(&self, role: Role) -> Occupant {
        Occupant {
            address: self.address.clone(),
            role,
            affiliation: self.affiliation,
            id: self.id.clone(),
            clients: SmallVec::new(),
            state: None,
            told: None,
            seen: self.seen,
            copies: OnceCell::new(),
        }
    }

    /// Whether this is the user with that address.
    pub(crate) fn is(&self, user: &Address) -> bool {
        self.shown().is_some_and(|client| client.address.same_bare(user))
    }
}

/// All occupants, by nick, and the way from a client to its nick.
#[derive(Debug, Default)]
pub(crate) struct Occupants {
    /// Boxed: a map keeps room for eleven, and most rooms are small.
    by_nick: BTreeMap<String, Box<Occupant>>,
    nicks: BTreeMap<Address, String>,
    /// The nicks that look like something else than they are: by what they look like.
    looks: BTreeMap<String, String>,
    /// Whether clients came or went since [`Occupants::moved`] was asked.
    moved: bool,
    /// Clients that have come or gone since this was asked.
    touched: Vec<Address>,
}

impl Occupants {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_nick.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_nick.len()
    }

    pub(crate) fn client_count(&self) -> usize {
        self.nicks.len()
    }

    pub(crate) fn get(&self, nick: &str) -> Option<&Occupant> {
        self.by_nick.get(nick).map(Box::as_ref)
    }

    /// Who has this nick, or one that looks the same.
    pub(crate) fn like(&self, nick: &str) -> Option<&Occupant> {
        let look = look(nick);
        self.get(nick)
            .or_else(|| self.get(&look))
            .or_else(|| self.get(self.looks.get(&look)?))
    }

    /// For a change of the occupant: what was made of it to be sent is made anew.
    pub(crate) fn get_mut(&mut self, nick: &str) -> Option<&mut Occupant> {
        let occupant = self.by_nick.get_mut(nick)?;
        occupant.copies = OnceCell::new();
        Some(occupant)
    }

    pub(crate) fn of_client(&self, client: &Address) -> Option<&Occupant> {
        self.get(self.nicks.get(client)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Occupant> {
        self.by_nick.values().map(Box::as_ref)
    }

    pub(crate) fn client(&self, client: &Address) -> Option<&Client> {
        let clients = &self.of_client(client)?.clients;
        clients.iter().find(|one| one.address == *client)
    }

    /// For a change of what is known of a client, but for its presence.
    pub(crate) fn client_mut(&mut self, client: &Address) -> Option<&mut Client> {
        let nick = self.nicks.get(client)?;
        let clients = &mut self.by_nick.get_mut(nick)?.clients;
        clients.iter_mut().find(|one| one.address == *client)
    }

    pub(crate) fn clients_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.by_nick
            .values_mut()
            .flat_map(|occupant| &mut occupant.clients)
    }

    /// Whether clients came or went since this was asked last.
    pub(crate) fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Everybody has left at once.
    pub(crate) fn emptied(&mut self) {
        self.moved = true;
    }

    /// Every client of everybody.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.by_nick.values().flat_map(|occupant| &occupant.clients)
    }

    /// The nicks of all occupants of this user.
    pub(crate) fn nicks_of(&self, user: &Address) -> Vec<String> {
        self.iter()
            .filter(|occupant| occupant.is(user))
            .map(|occupant| occupant.nick().to_owned())
            .collect()
    }

    pub(crate) fn insert(&mut self, occupant: Occupant) {
        self.moved = true;
        let nick = occupant.nick().to_owned();
        let look = look(&nick);
        if look != nick {
            self.looks.insert(look, nick.clone());
        }
        for client in &occupant.clients {
            self.nicks.insert(client.address.clone(), nick.clone());
            self.touched.push(client.address.clone());
        }
        self.by_nick.insert(nick, Box::new(occupant));
    }

    pub(crate) fn remove(&mut self, nick: &str) -> Option<Occupant> {
        self.moved = true;
        let occupant = self.by_nick.remove(nick)?;
        let look = look(nick);
        if self.looks.get(&look).is_some_and(|known| known == nick) {
            self.looks.remove(&look);
        }
        for client in &occupant.clients {
            self.nicks.remove(&client.address);
            self.touched.push(client.address.clone());
        }
        Some(*occupant)
    }

    pub(crate) fn add_client(&mut self, nick: &str, client: Client) {
        self.moved = true;
        if let Some(occupant) = self.by_nick.get_mut(nick) {
            self.nicks.insert(client.address.clone(), nick.to_owned());
            self.touched.push(client.address.clone());
            occupant.copies = OnceCell::new();
            occupant.clients.push(client);
        }
    }

    pub(crate) fn remove_client(&mut self, address: &Address) {
        self.moved = true;
        self.touched.push(address.clone());
        if let Some(nick) = self.nicks.remove(address)
            && let Some(occupant) = self.by_nick.get_mut(&nick)
        {
            occupant.copies = OnceCell::new();
            occupant.clients.retain(|client| client.address != *address);
        }
    }
}

impl Occupants {
    /// Clients that may have come or gone since this was asked, each once.
    pub(crate) fn take_touched(&mut self) -> Vec<Address> {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort();
        touched.dedup();
        touched
    }

    /// Of these it is to be asked whether they are there.
    pub(crate) fn touch<'a>(&mut self, clients: impl Iterator<Item = &'a Address>) {
        self.touched.extend(clients.cloned());
    }

    /// All of them, when the room ends.
    pub(crate) fn into_all(self) -> impl Iterator<Item = Occupant> {
        self.by_nick.into_values().map(|occupant| *occupant)
    }
}
