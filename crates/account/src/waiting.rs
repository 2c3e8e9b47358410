//! Stanzas that wait for the user: sent while nobody was at home (XEP-0160), or not yet acknowledged by the client that
//! they were given to (the settle rule). Both are rows of one table, so that a crash turns the second into the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use machine::{Context, Timestamp};
use stanza::{Address, Condition, Kind, MessageType, Parcel, namespace};
use stream_management::{Copies, Entry, EntryId, Receipt, Released, StoredId};

use crate::account::{Account, Out, settle};
use crate::delivery::Fate;
use crate::door::Passed;
use crate::input::{Key, Redelivered, Tally, Unavailable, WaitingRow};
use crate::kept::parse;
use crate::pause::late_stamp;
use crate::{Change, Effect, SessionId, Settings};

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

    /// A row whose stanza is in a mailbox that outlived the process.
    pub(crate) fn in_mailbox(&mut self, row: StoredId, bytes: usize) {
        self.in_flight.insert(row, bytes);
    }

    /// Whether one more stanza in a mailbox may have a row, where there are at most so many.
    pub(crate) fn has_room_for_copies(&self, most: usize) -> bool {
        self.in_flight.len() < most
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
            self.bounce(self.answer_to(parcel.parcel(), denial), receipt, out);
        } else if !worth_storing(parcel.parcel()) {
            out.effects
                .push(Effect::Dropped(crate::input::DropReason::DeliveryRule));
            settle(receipt, out);
        } else if self.waiting.count >= count_max || self.waiting.bytes + bytes.len() > bytes_max {
            // XEP-0160 §3: the sender learns that it was not kept.
            self.bounce(parcel.parcel().error(Condition::ServiceUnavailable), receipt, out);
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
        }
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
            self.bounce(parcel.parcel().error(Condition::ResourceConstraint), receipt, out);
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
            let parcel = Passed::stored(parcel);
            if self.admits_without_session(&parcel).is_err() && !self.somebody_admits(&parcel) {
                // The sender was blocked meanwhile.
                self.waiting.in_flight.insert(row.id, row.bytes.len());
                self.forget(vec![row.id], out);
                out.effects
                    .push(Effect::Dropped(crate::input::DropReason::Privacy));
            } else if self.deliver_stored(context, parcel, row.id, out) {
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
        let is_late = context.now.since(entry.pushed) >= context.settings.delay_stamp_after;
        let stamp = is_late
            .then(|| late_stamp(context, self.address.domainpart(), &entry))
            .flatten();
        let parcel = match stamp {
            Some(stamp) => entry.parcel.with_appended(&stamp),
            None => entry.parcel,
        };
        let parcel = Passed::delivered_before(parcel);
        if self.admits_without_session(&parcel).is_err() && !self.somebody_admits(&parcel) {
            // The sender was blocked meanwhile, and is not told when the client left.
            self.forget(entry.stored.into_iter().collect(), out);
            out.effects
                .push(Effect::Dropped(crate::input::DropReason::Privacy));
            settle(entry.receipt, out);
            return;
        }
        match parcel.parcel().stanza().kind() {
            Kind::Message(kind @ (MessageType::Normal | MessageType::Chat)) => {
                let whereto = match entry.stored {
                    Some(row) => {
                        let bytes = self.waiting.in_flight.remove(&row).unwrap_or_default();
                        if self.deliver_stored(context, parcel, row, out) {
                            self.waiting.in_flight.insert(row, bytes);
                            Redelivered::Client
                        } else {
                            Redelivered::Offline
                        }
                    }
                    None => {
                        let whereto = self.redelivery(&parcel, kind);
                        self.deliver_message(context, parcel, entry.receipt, out);
                        whereto
                    }
                };
                out.effects.push(Effect::Count(Tally::Redelivered(whereto, 1)));
            }
            Kind::Message(MessageType::Groupchat) | Kind::Iq(_) => {
                let error = parcel.parcel().error(Condition::RecipientUnavailable);
                if error.is_some() {
                    let bounced = Tally::Redelivered(Redelivered::Bounced, 1);
                    out.effects.push(Effect::Count(bounced));
                }
                self.bounce(error, entry.receipt, out);
            }
            Kind::Message(MessageType::Headline | MessageType::Error) | Kind::Presence(_) => {
                settle(entry.receipt, out)
            }
        }
    }

    /// Promises that are open for too long get a durable copy.
    pub(crate) fn settle_overdue(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        self.settle_at = None;
        let latest = context.now.before(context.settings.settle_after);
        if self.keep_open_ones(context, |_, entry| entry.pushed <= latest, out) {
            self.settle_later(context, out);
        }
    }

    /// What a session that was just paused has not acknowledged gets a durable copy at once. What others have got too is
    /// more likely to be acknowledged by them.
    pub(crate) fn settle_paused(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        out: &mut Out,
    ) {
        self.keep_open_ones(
            context,
            |session, entry| session == id && entry.copies.is_none(),
            out,
        );
    }

    /// Gives a durable copy to what is not settled and due. True when something is open that was not due.
    fn keep_open_ones(
        &mut self,
        context: &mut Context<'_, Settings>,
        is_due: impl Fn(SessionId, &Entry) -> bool,
        out: &mut Out,
    ) -> bool {
        let mut still_open = false;
        // Copies of one stanza in several mailboxes share one row.
        let mut stored: Vec<(Receipt, StoredId)> = Vec::new();
        for place in 0..self.sessions.len() {
            let Some((id, mailbox)) = self
                .sessions
                .get(place)
                .map(|session| (session.id, Arc::clone(&session.mailbox)))
            else {
                break;
            };
            let mut rows: Vec<(EntryId, StoredId)> = Vec::new();
            for (entry, unsettled) in mailbox.unsettled() {
                if !is_due(id, &unsettled) {
                    still_open = true;
                    continue;
                }
                let arrived_elsewhere = unsettled.copies.as_ref().is_some_and(Copies::has_arrived);
                let Some(receipt) = unsettled.receipt.filter(|_| !arrived_elsewhere) else {
                    continue;
                };
                let row = match stored.iter().find(|(other, _)| *other == receipt) {
                    Some((_, row)) => *row,
                    // Its sender hears no acknowledgement for as long as that.
                    None if !self.waiting.has_room_for_copies(context.settings.outstanding_max) => {
                        still_open = true;
                        continue;
                    }
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
        still_open
    }

    /// A message for sessions that are all away is durable before it goes into their mailboxes, like one for nobody at
    /// home. Gives what is left of the promise, and the row.
    pub(crate) fn keep_for_later(
        &mut self,
        context: &Context<'_, Settings>,
        parcel: &Passed,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) -> (Option<Receipt>, Option<StoredId>) {
        if receipt.is_none() && !worth_storing(parcel.parcel()) {
            return (None, None);
        }
        let row = self.keep_copy(context, parcel.parcel(), out);
        out.effects.push(Effect::Kept {
            parcel: parcel.clone(),
            receipt,
        });
        (None, Some(row))
    }

    /// Where a message goes that has not arrived and has no row.
    fn redelivery(&self, parcel: &Passed, kind: MessageType) -> Redelivered {
        match self.fate_of(parcel, kind) {
            Fate::ToThatOne | Fate::ToMostAvailable | Fate::ToAll => Redelivered::Client,
            Fate::Store => Redelivered::Offline,
            Fate::Bounce(_) | Fate::Drop => Redelivered::Bounced,
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
    let stanza = parse(&row.bytes)?;
    // It was late already when it was stored, and says since when.
    let is_stamped = stanza
        .child(namespace::DELAY, "delay")
        .is_some_and(|delay| delay.to_tree().attribute("from") == Some(account.domainpart()));
    if is_stamped {
        return Some(Parcel::new(stanza));
    }
    let delay = format!(
        "<delay xmlns='{}' from='{}' stamp='{}'/>",
        namespace::DELAY,
        account.domainpart(),
        row.at.to_xmpp()
    );
    Some(Parcel::new(stanza).with_appended(delay.as_bytes()))
}
