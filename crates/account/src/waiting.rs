//! Stanzas that wait for the user: sent while nobody was at home (XEP-0160), or not yet acknowledged by the client that
//! they were given to (the settle rule). Both are rows of one table, so that a crash turns the second into the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use machine::{Context, Timestamp};
use stanza::{Address, Condition, Kind, MessageType, Parcel, Stanza, namespace};
use stream_management::{Copies, Entry, EntryId, Receipt, Released, StoredId};
use xml::{ContentNamespace, Element};

use crate::account::{Account, Out, settle};
use crate::door::Passed;
use crate::input::{Key, Unavailable, WaitingRow};
use crate::{Change, Effect, Settings};

/// What an account knows of its rows.
pub(crate) struct Waiting {
    /// Rows in the store, those in mailboxes too.
    count: usize,
    bytes: usize,
    last: Option<StoredId>,
    /// Rows whose stanza is in a mailbox now, with their bytes.
    in_flight: BTreeMap<StoredId, usize>,
    /// While the rows are being loaded.
    loading: Option<Loading>,
}

/// What happens while the rows are being loaded.
#[derive(Default)]
struct Loading {
    /// Messages that came, so that none overtakes what waited before it.
    held: Vec<(Passed, Option<Receipt>)>,
    /// Rows that were deleted. The store may have read them before.
    deleted: Vec<StoredId>,
}

impl Waiting {
    pub(crate) fn new((count, bytes): (usize, usize), last: Option<StoredId>) -> Waiting {
        Waiting {
            count,
            bytes,
            last,
            in_flight: BTreeMap::new(),
            loading: None,
        }
    }

    pub(crate) fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// Ids follow the clock, so that they also order rows of different runs of the server.
    fn next_id(&mut self, now: Timestamp) -> StoredId {
        let id = self.last.map_or(now.as_unix_micros(), |StoredId(last)| {
            now.as_unix_micros().max(last + 1)
        });
        self.last = Some(StoredId(id));
        StoredId(id)
    }
}

/// Messages that came in this many while the rows were being loaded are refused: a store that slow is in trouble.
const HELD_MAX: usize = 1_000;

impl Account {
    /// Keeps a message for later, or refuses it when too much waits already. The sender's promise is kept by the row.
    pub(crate) fn store(
        &mut self,
        context: &Context<'_, Settings>,
        parcel: Passed,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) {
        let (count_max, bytes_max) = context.settings.waiting_max;
        let bytes = parcel.parcel().to_bytes();
        if let Err(denial) = self.admits_without_session(&parcel) {
            self.reply(
                denial.answer().and_then(|error| parcel.parcel().error(error)),
                out,
            );
        } else if !worth_storing(parcel.parcel()) {
            out.effects
                .push(Effect::Dropped(crate::input::DropReason::DeliveryRule));
        } else if self.waiting.count >= count_max || self.waiting.bytes + bytes.len() > bytes_max {
            // XEP-0160 §3: the sender learns that it was not kept.
            self.reply(parcel.parcel().error(Condition::ServiceUnavailable), out);
        } else {
            self.waiting.count += 1;
            self.waiting.bytes += bytes.len();
            let id = self.waiting.next_id(context.wall);
            out.commit.push(Change::Wait(WaitingRow {
                id,
                at: context.wall,
                bytes,
            }));
            out.effects.push(Effect::Kept { parcel, receipt });
            return;
        }
        settle(receipt, out);
    }

    /// A session can take messages now: brings what waits.
    pub(crate) fn bring_waiting(&mut self, out: &mut Out) {
        if self.waiting.count > self.waiting.in_flight.len() && !self.waiting.is_loading() {
            self.waiting.loading = Some(Loading::default());
            out.effects.push(Effect::LoadWaiting);
        }
    }

    /// Keeps a message back while older ones are being loaded. Gives it back when nothing is being loaded.
    pub(crate) fn hold(
        &mut self,
        parcel: Passed,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) -> Option<(Passed, Option<Receipt>)> {
        let Some(Loading { held, .. }) = &mut self.waiting.loading else {
            return Some((parcel, receipt));
        };
        if held.len() < HELD_MAX {
            held.push((parcel, receipt));
        } else {
            self.reply(parcel.parcel().error(Condition::ResourceConstraint), out);
            settle(receipt, out);
        }
        None
    }

    /// The account is lost: messages that it has kept back, for which nothing was decided.
    pub fn take_held(&mut self) -> Vec<(Parcel, Option<Receipt>)> {
        let held = self.waiting.loading.take().unwrap_or_default().held;
        held.into_iter()
            .map(|(parcel, receipt)| (parcel.into_parcel(), receipt))
            .collect()
    }

    /// The rows are here: to the most available resources, oldest first, then what came meanwhile.
    pub(crate) fn waiting_arrived(
        &mut self,
        context: &mut Context<'_, Settings>,
        rows: Result<Vec<WaitingRow>, Unavailable>,
        out: &mut Out,
    ) {
        let Loading { held, deleted } = self.waiting.loading.take().unwrap_or_default();
        // Without an answer the rows stay where they are; the next session that becomes available asks again.
        for row in rows.unwrap_or_default() {
            if self.waiting.in_flight.contains_key(&row.id) || deleted.contains(&row.id) {
                continue;
            }
            let Some(parcel) = late_copy(&row, &self.address) else {
                // It was readable when it was stored. Keeping it would bring the same failure at every login.
                self.waiting.in_flight.insert(row.id, row.bytes.len());
                self.forget(vec![row.id], out);
                continue;
            };
            if self.deliver_stored(context, Passed::stored(parcel), row.id, out) {
                self.waiting.in_flight.insert(row.id, row.bytes.len());
            }
        }
        for (parcel, receipt) in held {
            self.deliver_message(context, parcel, receipt, out);
        }
    }

    /// Clients have these now.
    pub(crate) fn released(&mut self, released: Released, out: &mut Out) {
        self.forget(released.stored, out);
    }

    fn forget(&mut self, mut rows: Vec<StoredId>, out: &mut Out) {
        rows.sort_unstable();
        rows.dedup();
        rows.retain(|row| self.waiting.in_flight.contains_key(row));
        for row in &rows {
            let bytes = self.waiting.in_flight.remove(row).unwrap_or_default();
            self.waiting.bytes = self.waiting.bytes.saturating_sub(bytes);
            self.waiting.count = self.waiting.count.saturating_sub(1);
        }
        if !rows.is_empty() {
            if let Some(loading) = &mut self.waiting.loading {
                loading.deleted.extend_from_slice(&rows);
            }
            out.commit.push(Change::Unwait(rows));
        }
    }

    /// A client that is gone does not have this: another resource, the store, or back to the sender.
    pub(crate) fn undelivered(&mut self, context: &mut Context<'_, Settings>, entry: Entry, out: &mut Out) {
        if let Some(copies) = entry.copies.as_ref().filter(|copies| copies.others_suffice()) {
            if copies.has_arrived() {
                self.forget(entry.stored.into_iter().collect(), out);
            }
            return;
        }
        let parcel = Passed::delivered_before(entry.parcel);
        match parcel.parcel().stanza().kind() {
            Kind::Message(MessageType::Normal | MessageType::Chat) => match entry.stored {
                Some(row) => {
                    let bytes = self.waiting.in_flight.remove(&row).unwrap_or_default();
                    if self.deliver_stored(context, parcel, row, out) {
                        self.waiting.in_flight.insert(row, bytes);
                    }
                }
                None => self.deliver_message(context, parcel, entry.receipt, out),
            },
            Kind::Message(MessageType::Groupchat) | Kind::Iq(_) => {
                self.reply(parcel.parcel().error(Condition::RecipientUnavailable), out);
                settle(entry.receipt, out);
            }
            Kind::Message(MessageType::Headline | MessageType::Error) | Kind::Presence(_) => {
                settle(entry.receipt, out)
            }
        }
    }

    /// Promises that are open for too long get a durable copy.
    pub(crate) fn settle_overdue(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        self.settle_at = None;
        let mut still_open = false;
        // Copies of one stanza in several mailboxes share one row.
        let mut stored: Vec<(Receipt, StoredId)> = Vec::new();
        for place in 0..self.sessions.len() {
            let Some(mailbox) = self
                .sessions
                .get(place)
                .map(|session| Arc::clone(&session.mailbox))
            else {
                break;
            };
            let mut rows: Vec<(EntryId, StoredId)> = Vec::new();
            for (entry, unsettled) in mailbox.unsettled() {
                if unsettled.pushed + context.settings.settle_after > context.now {
                    still_open = true;
                    continue;
                }
                let arrived_elsewhere = unsettled.copies.as_ref().is_some_and(Copies::has_arrived);
                let Some(receipt) = unsettled.receipt.filter(|_| !arrived_elsewhere) else {
                    continue;
                };
                let row = match stored.iter().find(|(other, _)| *other == receipt) {
                    Some((_, row)) => *row,
                    None => {
                        let row = self.keep_copy(context, &unsettled.parcel, out);
                        stored.push((receipt, row));
                        row
                    }
                };
                rows.push((entry, row));
            }
            if !rows.is_empty() {
                out.effects.push(Effect::MarkStored { mailbox, rows });
            }
        }
        if still_open {
            self.settle_later(context, out);
        }
    }

    fn keep_copy(&mut self, context: &Context<'_, Settings>, parcel: &Parcel, out: &mut Out) -> StoredId {
        let id = self.waiting.next_id(context.wall);
        let bytes = parcel.to_bytes();
        self.waiting.count += 1;
        self.waiting.bytes += bytes.len();
        self.waiting.in_flight.insert(id, bytes.len());
        out.commit.push(Change::Wait(WaitingRow {
            id,
            at: context.wall,
            bytes,
        }));
        id
    }

    /// Looks again when what was just given out should be settled.
    pub(crate) fn settle_later(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        if self.settle_at.is_none() {
            let at = context.now + context.settings.settle_after;
            self.settle_at = Some(at);
            out.effects.push(Effect::WakeAt(Key::Settle, at));
        }
    }
}

/// XEP-0160 §3: messages of type normal, and of type chat that carry more than a chat state. XEP-0334 lets the sender ask
/// for the opposite.
fn worth_storing(parcel: &Parcel) -> bool {
    let stanza = parcel.stanza();
    if stanza.child(namespace::HINTS, "no-store").is_some()
        || stanza.child(namespace::HINTS, "no-permanent-store").is_some()
    {
        return false;
    }
    if stanza.child(namespace::HINTS, "store").is_some() || stanza.content_child("body").is_some() {
        return true;
    }
    match stanza.kind() {
        Kind::Message(MessageType::Chat) => stanza
            .children()
            .any(|child| child.namespace() != namespace::CHAT_STATES && child.name() != "thread"),
        Kind::Message(MessageType::Normal) => true,
        Kind::Message(MessageType::Groupchat | MessageType::Headline | MessageType::Error)
        | Kind::Presence(_)
        | Kind::Iq(_) => false,
    }
}

/// A row as it is delivered: with the time at which it came (XEP-0203; ATT-05).
fn late_copy(row: &WaitingRow, account: &Address) -> Option<Parcel> {
    let element = Element::parse(&row.bytes, ContentNamespace::Client, &xml::Limits::unlimited()).ok()?;
    let from = stanza::address_attribute(&element, "from").ok()?;
    let to = stanza::address_attribute(&element, "to").ok()?;
    let stanza = Stanza::new(element, from, to, None).ok()?;
    let delay = format!(
        "<delay xmlns='{}' from='{}' stamp='{}'/>",
        namespace::DELAY,
        account.domainpart(),
        row.at.to_xmpp()
    );
    Some(Parcel::new(stanza).with_appended(delay.as_bytes()))
}
