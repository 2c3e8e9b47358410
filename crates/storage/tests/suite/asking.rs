//! A store asked with `await`, and rows to ask it about.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use account::{Change, Flags, Saved, WaitingRow};
use features::Record;
use machine::Timestamp;
use router::{AccountView, Done, Login, Store, StoreError};
use sasl::ScramKeys;
use stanza::Address;
use stream_management::StoredId;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Longer than any answer may take.
const HANG: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Asker(pub(crate) Arc<dyn Store>);

impl Asker {
    pub(crate) async fn load(&self, address: &Address) -> Result<Saved, StoreError> {
        answer(|done| self.0.load_account(address.clone(), done)).await
    }

    pub(crate) async fn commit(&self, address: &Address, changes: Vec<Change>) -> Result<(), StoreError> {
        answer(|done| self.0.commit_account(address.clone(), changes, done)).await
    }

    pub(crate) async fn waiting(&self, address: &Address) -> Result<Vec<WaitingRow>, StoreError> {
        answer(|done| self.0.load_waiting(address.clone(), done)).await
    }

    pub(crate) async fn record(
        &self,
        address: &Address,
        record: Record,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        answer(|done| self.0.load_record(address.clone(), record, done)).await
    }

    pub(crate) async fn login(&self, address: &Address) -> Result<Option<Login>, StoreError> {
        answer(|done| self.0.login(address.clone(), done)).await
    }

    pub(crate) async fn create(&self, address: &Address) -> Result<bool, StoreError> {
        self.create_with(address, argon2id("of no password")).await
    }

    pub(crate) async fn create_with(
        &self,
        address: &Address,
        credentials: sasl::Stored,
    ) -> Result<bool, StoreError> {
        answer(|done| self.0.create_account(address.clone(), credentials, done)).await
    }

    pub(crate) async fn set_credentials(
        &self,
        address: &Address,
        credentials: sasl::Stored,
    ) -> Result<bool, StoreError> {
        answer(|done| self.0.set_credentials(address.clone(), credentials, done)).await
    }

    pub(crate) async fn set_flags(&self, address: &Address, flags: Flags) -> Result<bool, StoreError> {
        answer(|done| self.0.set_flags(address.clone(), flags, done)).await
    }

    pub(crate) async fn delete(&self, address: &Address) -> Result<bool, StoreError> {
        answer(|done| self.0.delete_account(address.clone(), done)).await
    }

    pub(crate) async fn capabilities(&self) -> Result<Vec<presence::KnownHash>, StoreError> {
        answer(|done| self.0.load_capabilities(done)).await
    }

    pub(crate) async fn learn(&self, account: &Address, lesson: presence::Lesson) -> Result<(), StoreError> {
        answer(|done| self.0.keep_capabilities(account.clone(), lesson, done)).await
    }

    pub(crate) async fn room(&self, address: &Address, history: usize) -> Result<muc::Saved, StoreError> {
        answer(|done| self.0.load_room(address.clone(), history, done)).await
    }

    pub(crate) async fn keep_room(
        &self,
        address: &Address,
        changes: Vec<muc::Change>,
    ) -> Result<(), StoreError> {
        answer(|done| self.0.commit_room(address.clone(), changes, done)).await
    }

    pub(crate) async fn rooms(
        &self,
        which: router::WhichRooms,
    ) -> Result<Vec<(Address, muc::RoomRow)>, StoreError> {
        answer(|done| self.0.list_rooms(which, done)).await
    }

    pub(crate) async fn count_rooms(&self) -> Result<BTreeMap<String, usize>, StoreError> {
        answer(|done| self.0.count_rooms(done)).await
    }

    pub(crate) async fn vanished(&self) -> Result<Vec<Address>, StoreError> {
        answer(|done| self.0.list_vanished_occupants(done)).await
    }

    pub(crate) async fn held(&self) -> Result<Vec<Address>, StoreError> {
        answer(|done| self.0.list_held(done)).await
    }

    pub(crate) async fn list(&self, host: Option<&str>) -> Result<Vec<AccountView>, StoreError> {
        answer(|done| self.0.list_accounts(host.map(str::to_owned), done)).await
    }
}

async fn answer<T: Send + 'static>(ask: impl FnOnce(Done<T>)) -> T {
    let (answer, answered) = oneshot::channel();
    ask(Box::new(move |outcome| {
        // Whoever asked may have failed meanwhile.
        let _ = answer.send(outcome);
    }));
    timeout(HANG, answered)
        .await
        .expect("an answer within a minute")
        .expect("an answer before the question is dropped")
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn argon2id(text: &str) -> sasl::Stored {
    sasl::Stored::Argon2id(text.to_owned())
}

pub(crate) fn keys(octet: u8, iterations: u32) -> Option<Box<ScramKeys>> {
    Some(Box::new(ScramKeys {
        salt: vec![octet; 16],
        iterations: NonZeroU32::new(iterations).unwrap(),
        stored_key: vec![octet + 1; 20],
        server_key: vec![octet + 2; 20],
    }))
}

pub(crate) fn row(id: i64) -> WaitingRow {
    WaitingRow {
        id: StoredId(id),
        at: Timestamp::from_unix_micros(1_700_000_000_000_000_i64.wrapping_add(id)),
        bytes: format!("<message id='{id}'><body>☺</body></message>").into_bytes(),
    }
}

pub(crate) fn wait(id: i64) -> Change {
    Change::Wait(row(id))
}

pub(crate) fn ids(rows: &[WaitingRow]) -> Vec<i64> {
    rows.iter().map(|row| row.id.0).collect()
}

pub(crate) fn record(namespace: &str, name: &str) -> Record {
    Record::Private {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// Everything about an account, in an order of its own, to be compared.
pub(crate) fn shown(saved: &Saved) -> String {
    let mut saved = saved.clone();
    saved
        .roster
        .items
        .sort_by(|one, other| one.contact.cmp(&other.contact));
    saved
        .roster
        .removals
        .sort_by(|one, other| one.contact.cmp(&other.contact));
    saved
        .roster
        .requests
        .sort_by(|one, other| one.contact.cmp(&other.contact));
    saved
        .privacy
        .lists
        .sort_by(|one, other| one.name.cmp(&other.name));
    saved.held.sort_by(|one, other| one.resource.cmp(&other.resource));
    for list in &mut saved.privacy.lists {
        list.items.sort_by_key(|item| item.order);
    }
    format!("{saved:#?}")
}
