//! A mailbox against a model: every stanza leaves once, in order, by being written, acknowledged or handed back; a
//! sender's promise is settled when its copy arrives or is stored, and never before.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use machine::Moment;
use proptest::prelude::*;
use stanza::{Kind, MessageType, Parcel, Stanza, Target};
use stream_management::{Copies, Entry, Kept, Limits, Mailbox, PushError, Signal, StoredId, TooHigh};

const LIMITS: Limits = Limits {
    stanzas: 1_000,
    bytes: 1_000_000,
};

fn entry(number: usize, sender: Option<&Arc<Mailbox>>) -> Entry {
    let body = format!("<body>{number}</body>");
    let stanza = Stanza::build(
        Kind::Message(MessageType::Chat),
        None,
        None,
        None,
        body.as_bytes(),
    );
    Entry {
        parcel: Parcel::new(stanza),
        receipt: sender.map(Mailbox::count_received),
        storable: true,
        stored: None,
        copies: None,
        pushed: Moment::from_micros(number as u64),
    }
}

fn number(entry: &Entry) -> usize {
    entry
        .parcel
        .stanza()
        .content_child("body")
        .unwrap()
        .text()
        .parse()
        .unwrap()
}

fn drain(mailbox: &Mailbox, stanzas: usize) -> Vec<usize> {
    let mut out = Vec::new();
    mailbox.drain(&mut out, Target::Stream, usize::MAX, stanzas);
    let text = String::from_utf8(out).unwrap();
    text.split("<body>")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap().parse().unwrap())
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Push,
    Drain(usize),
    Written(usize),
    Enable,
    Acknowledge(usize),
    Store,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Push),
        2 => (1usize..5).prop_map(Step::Drain),
        2 => (0usize..5).prop_map(Step::Written),
        1 => Just(Step::Enable),
        2 => (0usize..5).prop_map(Step::Acknowledge),
        1 => Just(Step::Store),
    ];
    prop::collection::vec(step, 0..60)
}

/// What a mailbox does, said again in the simplest way.
#[derive(Default)]
struct Model {
    /// Number, and whether it is settled.
    waiting: VecDeque<(usize, bool)>,
    handed: usize,
    /// Handed over before counting began, and not yet confirmed.
    uncounted: usize,
    counted: bool,
    acknowledged: u32,
    settled: Vec<bool>,
}

impl Model {
    fn release(&mut self, stanzas: usize) {
        for _ in 0..stanzas {
            let (number, _) = self.waiting.pop_front().unwrap();
            self.settled[number] = true;
            self.handed -= 1;
        }
    }

    fn promised(&self) -> u32 {
        self.settled.iter().take_while(|settled| **settled).count() as u32
    }
}

proptest! {
    #[test]
    fn xep0198_4_every_stanza_leaves_once_and_in_order(steps in steps()) {
        let sender = Mailbox::new(LIMITS);
        let mailbox = Mailbox::new(LIMITS);
        let mut model = Model::default();
        let mut drained = Vec::new();
        for step in steps {
            match step {
                Step::Push => {
                    let number = model.settled.len();
                    model.settled.push(false);
                    model.waiting.push_back((number, false));
                    prop_assert!(matches!(mailbox.push(entry(number, Some(&sender))), Ok(false)));
                }
                Step::Drain(stanzas) => {
                    let now = drain(&mailbox, stanzas);
                    model.handed += now.len();
                    prop_assert!(now.len() == stanzas || model.handed == model.waiting.len());
                    drained.extend(now);
                }
                Step::Written(stanzas) => {
                    let most = if model.counted { model.uncounted } else { model.handed };
                    let stanzas = stanzas.min(most);
                    mailbox.written(stanzas);
                    model.release(stanzas);
                    model.uncounted -= if model.counted { stanzas } else { 0 };
                }
                Step::Enable if !model.counted => {
                    mailbox.enable_counting();
                    model.counted = true;
                    model.uncounted = model.handed;
                }
                Step::Enable => {}
                Step::Acknowledge(stanzas) if model.counted => {
                    let h = model.acknowledged.wrapping_add(stanzas as u32);
                    let open = model.handed - model.uncounted;
                    if stanzas > open {
                        let sent = model.acknowledged.wrapping_add(open as u32);
                        prop_assert_eq!(mailbox.acknowledge(h), Err(TooHigh { handled: h, sent }));
                    } else {
                        prop_assert!(mailbox.acknowledge(h).is_ok());
                        if stanzas > 0 {
                            model.release(stanzas + model.uncounted);
                            model.uncounted = 0;
                        }
                        model.acknowledged = h;
                    }
                }
                Step::Acknowledge(_) => {}
                Step::Store => {
                    let unsettled = mailbox.unsettled();
                    let rows: Vec<_> = unsettled.iter().map(|(id, entry)| (*id, StoredId(number(entry) as i64))).collect();
                    prop_assert!(mailbox.mark_stored(&rows).is_empty());
                    for (_, entry) in &unsettled {
                        model.settled[number(entry)] = true;
                    }
                }
            }
            prop_assert_eq!(sender.handled(), model.promised());
        }
        prop_assert!(drained.iter().copied().eq(0..drained.len()), "in order, each once");
        let left: Vec<usize> = mailbox.close().iter().map(number).collect();
        let expected: Vec<usize> = model.waiting.iter().map(|(number, _)| *number).collect();
        prop_assert_eq!(left, expected);
        prop_assert_eq!(mailbox.load(), (0, 0));
    }
}

#[test]
fn xep0198_4_counters_wrap() {
    let before = u32::MAX - 4;
    let mailbox = Mailbox::restored(
        LIMITS,
        Kept {
            acknowledged: before,
            handled: before,
            entries: Vec::new(),
        },
    );
    for number in 0..10 {
        mailbox.push(entry(number, None)).unwrap();
    }
    assert_eq!(drain(&mailbox, 10).len(), 10);
    let too_high = |handled| TooHigh { handled, sent: 5 };
    assert_eq!(mailbox.acknowledge(6), Err(too_high(6)));
    mailbox.acknowledge(u32::MAX).unwrap();
    assert_eq!(mailbox.load().0, 6);
    mailbox.acknowledge(0).unwrap();
    assert_eq!(mailbox.load().0, 5);
    assert_eq!(
        mailbox.acknowledge(u32::MAX),
        Err(too_high(u32::MAX)),
        "back over the border"
    );
    mailbox.acknowledge(5).unwrap();
    assert_eq!(mailbox.load().0, 0);

    // The other way: what the peer has sent.
    let receipts: Vec<_> = (0..10).map(|_| mailbox.count_received()).collect();
    for receipt in &receipts[..4] {
        receipt.settle();
    }
    assert_eq!(mailbox.handled(), u32::MAX);
    receipts[4].settle();
    assert_eq!(mailbox.handled(), 0);
    receipts[6].settle();
    assert_eq!(mailbox.handled(), 0, "the longest settled prefix");
    receipts[5].settle();
    assert_eq!((mailbox.handled(), mailbox.open_receipts()), (2, 3));
    let kept = mailbox.keep();
    assert_eq!((kept.acknowledged, kept.handled), (5, 2));
}

#[test]
fn xep0198_4_an_acknowledgement_that_goes_back_is_too_high() {
    let mailbox = Mailbox::new(LIMITS);
    mailbox.enable_counting();
    for round in 0..3u32 {
        for number in 0..10 {
            mailbox.push(entry(number, None)).unwrap();
        }
        drain(&mailbox, 10);
        mailbox.acknowledge((round + 1) * 10).unwrap();
    }
    assert_eq!(
        mailbox.acknowledge(20),
        Err(TooHigh {
            handled: 20,
            sent: 30
        })
    );
}

#[test]
fn beyond_the_limit_the_account_is_told_once_and_twice_the_limit_is_the_end() {
    let mailbox = Mailbox::new(Limits {
        stanzas: 2,
        bytes: 1_000_000,
    });
    let outcome = |number| mailbox.push(entry(number, None));
    assert!(matches!(outcome(0), Ok(false)));
    assert!(matches!(outcome(1), Ok(false)));
    assert!(matches!(outcome(2), Ok(true)));
    assert!(matches!(outcome(3), Ok(false)));
    assert!(matches!(outcome(4), Err(PushError::Full(_))));
    assert_eq!(mailbox.close().len(), 4);
    assert!(matches!(outcome(5), Err(PushError::Closed(_))));
}

#[test]
fn one_copy_that_arrives_is_enough_and_the_last_that_fails_is_not_lost() {
    let copies = Copies::default();
    let (first, second) = (Mailbox::new(LIMITS), Mailbox::new(LIMITS));
    for mailbox in [&first, &second] {
        mailbox
            .push(Entry {
                copies: Some(copies.clone()),
                ..entry(0, None)
            })
            .unwrap();
    }
    drop(copies);
    let lost = first.close().remove(0);
    assert!(
        lost.copies.as_ref().unwrap().others_suffice(),
        "the other may still arrive"
    );
    drop(lost);
    let last = second.close().remove(0);
    assert!(!last.copies.unwrap().others_suffice());
}

#[test]
fn a_row_whose_entry_has_left_is_superfluous() {
    let sender = Mailbox::new(LIMITS);
    let mailbox = Mailbox::new(LIMITS);
    mailbox.push(entry(0, Some(&sender))).unwrap();
    let (id, _) = mailbox.unsettled().remove(0);
    drain(&mailbox, 1);
    mailbox.written(1);
    assert_eq!(mailbox.mark_stored(&[(id, StoredId(7))]), [StoredId(7)]);
}

#[test]
fn xep0198_5_a_second_row_for_the_same_stanza_is_superfluous_and_the_first_stays() {
    let sender = Mailbox::new(LIMITS);
    let mailbox = Mailbox::new(LIMITS);
    mailbox.push(entry(0, Some(&sender))).unwrap();
    let (id, _) = mailbox.unsettled().remove(0);
    assert!(mailbox.mark_stored(&[(id, StoredId(7))]).is_empty());
    assert!(mailbox.mark_stored(&[(id, StoredId(7))]).is_empty());
    assert_eq!(mailbox.mark_stored(&[(id, StoredId(8))]), [StoredId(8)]);
    assert_eq!(mailbox.close().remove(0).stored, Some(StoredId(7)));
}

struct Flag(std::sync::atomic::AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn the_connection_is_woken_by_stanzas_signals_and_owed_acknowledgements() {
    let flag = Arc::new(Flag(Default::default()));
    let waker = Waker::from(Arc::clone(&flag));
    let woken = || flag.0.swap(false, std::sync::atomic::Ordering::Relaxed);
    let mailbox = Mailbox::new(LIMITS);
    let sleeps = || mailbox.poll_work(&mut Context::from_waker(&waker)) == Poll::Pending;

    assert!(sleeps());
    mailbox.push(entry(0, None)).unwrap();
    assert!(woken() && !sleeps());
    drain(&mailbox, 1);
    assert!(sleeps());
    mailbox.signal(Signal::Close(stanza::StreamCondition::Reset.into()));
    assert!(woken() && !sleeps());
    assert!(mailbox.take_signal().is_some());
    assert!(sleeps());
    let receipt = mailbox.count_received();
    assert_eq!(mailbox.asked(), 0);
    receipt.settle();
    assert!(woken() && !sleeps());
    assert_eq!(mailbox.take_signal(), Some(Signal::AckDue));
    assert_eq!(mailbox.handled(), 1);
    assert!(sleeps());
}

#[test]
fn whoever_may_not_drain_is_woken_by_what_comes_behind_stanzas() {
    let flag = Arc::new(Flag(Default::default()));
    let waker = Waker::from(Arc::clone(&flag));
    let woken = || flag.0.swap(false, std::sync::atomic::Ordering::Relaxed);
    let mailbox = Mailbox::new(LIMITS);
    let receipt = mailbox.count_received();
    mailbox.push(entry(0, None)).unwrap();
    let loan = mailbox.lend();
    let sleeps = || loan.poll_signal(&mut Context::from_waker(&waker)) == Poll::Pending;
    assert!(sleeps(), "a stanza waits, and is not asked for");
    loan.asked();
    receipt.settle();
    assert!(woken() && !sleeps());
    assert_eq!(loan.take_signal(), Some(Signal::AckDue));
    assert!(sleeps());
    drop(mailbox.lend());
    assert!(woken() && !sleeps(), "the loan is over");
}

#[test]
fn xep0198_5_what_the_peer_has_not_handled_is_drained_once_more() {
    let mailbox = Mailbox::new(LIMITS);
    for number in 0..6 {
        mailbox.push(entry(number, None)).unwrap();
        if number == 0 {
            drain(&mailbox, 1);
            mailbox.enable_counting();
        }
    }
    assert_eq!(drain(&mailbox, 3), [1, 2, 3]);
    assert_eq!(mailbox.resume(4), Err(TooHigh { handled: 4, sent: 3 }));
    mailbox.resume(1).unwrap();
    assert_eq!(
        drain(&mailbox, 10),
        [2, 3, 4, 5],
        "what was said before counting began has arrived"
    );
    mailbox.resume(1).unwrap();
    assert_eq!(drain(&mailbox, 1), [2]);
    mailbox.acknowledge(2).unwrap();
    let remains = mailbox.close_apart();
    assert_eq!(remains.sent.len(), 0);
    assert_eq!(remains.unsent.iter().map(number).collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn what_the_peer_may_have_is_told_apart_from_what_it_cannot_have() {
    let mailbox = Mailbox::new(LIMITS);
    for number in 0..4 {
        mailbox.push(entry(number, None)).unwrap();
    }
    drain(&mailbox, 3);
    mailbox.written(1);
    let remains = mailbox.close_apart();
    assert_eq!(remains.sent.iter().map(number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(remains.unsent.iter().map(number).collect::<Vec<_>>(), [3]);
}

#[test]
fn xep0198_5_it_is_known_what_was_received_and_is_not_settled() {
    let mailbox = Mailbox::new(LIMITS);
    let receipts: Vec<_> = (0..4).map(|_| mailbox.count_received()).collect();
    assert_eq!((mailbox.handled(), mailbox.open_receipts()), (0, 4));
    receipts[0].settle();
    receipts[2].settle();
    assert_eq!((mailbox.handled(), mailbox.open_receipts()), (1, 2));
}

/// A message to itself: what the client acknowledges by coming back settles what it was told that it would be told.
#[test]
fn xep0198_5_what_the_old_connection_was_owed_is_not_told_to_the_new_one() {
    let mailbox = Mailbox::new(LIMITS);
    mailbox.enable_counting();
    let old = mailbox.lend();
    mailbox.push(entry(0, Some(&mailbox))).unwrap();
    drain(&mailbox, 1);
    old.asked();
    let open = old.count_received().unwrap();
    let address = "romeo@montague.lit/orchard".parse().unwrap();
    let (resumption, _) = mailbox.lend_again(address, 1).unwrap();
    resumption.loan.asked();
    assert_eq!((mailbox.handled(), mailbox.open_receipts()), (1, 1));
    assert_eq!(resumption.loan.take_signal(), None);
    open.settle();
    assert_eq!(resumption.loan.take_signal(), Some(Signal::AckDue));
}

#[test]
fn a_mailbox_and_its_entries_stay_small() {
    let (mailbox, entry) = (size_of::<Mailbox>(), size_of::<Entry>());
    assert!(mailbox <= 256 && entry <= 160, "{mailbox} and {entry} bytes");
}

#[test]
fn psa_45_what_is_needless_goes_unless_the_peer_may_have_it_or_somebody_waits_for_it() {
    let (mailbox, sender) = (Mailbox::new(LIMITS), Mailbox::new(LIMITS));
    mailbox.enable_counting();
    for number in 0..2 {
        mailbox.push(entry(number, None)).unwrap();
    }
    drain(&mailbox, 1);
    mailbox.push(entry(2, Some(&sender))).unwrap();
    mailbox.push(entry(3, None)).unwrap();
    let before = mailbox.load();
    assert_eq!(mailbox.withdraw(|entry| number(entry) != 3), 1, "only the second");
    assert_eq!(mailbox.load().0, before.0 - 1);
    assert_eq!(drain(&mailbox, 10), [2, 3]);
    // The count of the peer is that of what it was sent.
    assert_eq!(mailbox.acknowledge(4), Err(TooHigh { handled: 4, sent: 3 }));
    mailbox.acknowledge(3).unwrap();
    assert_eq!(mailbox.load(), (0, 0));
}
