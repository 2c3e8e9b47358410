//! Two servers of ours talk to each other, and a third is asked: what one writes the other understands.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::world::*;
use crate::{
    Authentication, Certificate, Encryption, Errand, Input, Method, Pair, Secret, Settings, Stream,
    Transport, Verdict, Ways,
};

fn mirrored(pair: &Pair) -> Pair {
    Pair {
        local: pair.remote.clone(),
        remote: pair.local.clone(),
    }
}

/// The same server with other domains and another secret.
fn capulet(settings: Settings) -> Settings {
    Settings {
        hosts: BTreeSet::from([address("capulet.lit"), address("chats.capulet.lit")]),
        secret: Secret::new(b"another"),
        ..settings
    }
}

/// montague.lit goes to capulet.lit.
struct Two {
    montague: World,
    capulet: World,
    of_montague: Certificate,
    of_capulet: Certificate,
}

impl Two {
    fn new(settings: Settings, errand: Errand, of_montague: Certificate, of_capulet: Certificate) -> Two {
        let theirs = capulet(settings.clone());
        let mut two = Two {
            montague: World::with(Stream::outbound(Transport::Tcp, errand, &settings), settings),
            capulet: World::with(Stream::inbound(Transport::Tcp, &theirs), theirs),
            of_montague,
            of_capulet,
        };
        two.run();
        two
    }

    /// Carries bytes until nobody says anything more, shakes hands, and asks who is authoritative.
    fn run(&mut self) {
        loop {
            let (ours, theirs) = (self.montague.heard(), self.capulet.heard());
            let mut secured = [&mut self.montague, &mut self.capulet].map(|world| {
                let before = world.notes.len();
                world.notes.retain(|note| note != "start tls");
                before > world.notes.len()
            });
            if !ours.is_empty() {
                self.capulet.send(&ours);
            }
            if !theirs.is_empty() {
                self.montague.send(&theirs);
            }
            if ours.is_empty() && theirs.is_empty() {
                if std::mem::take(&mut secured[0]) {
                    self.montague.tls(self.of_capulet.clone());
                    self.capulet.tls(self.of_montague.clone());
                } else if !self.verify() {
                    return;
                }
            }
        }
    }

    /// Judges a key as a third connection would.
    fn verify(&mut self) -> bool {
        let (montague, capulet) = (self.montague.settings.clone(), self.capulet.settings.clone());
        for (asker, authority) in [(&mut self.capulet, montague), (&mut self.montague, capulet)] {
            if let Some(verification) = asker.verify.pop() {
                let made = authority.secret.made(
                    &verification.key,
                    &mirrored(&verification.pair),
                    &verification.stream,
                );
                let verdict = if made { Verdict::Valid } else { Verdict::Invalid };
                asker.input(Input::Verified {
                    verification,
                    verdict,
                });
                return true;
            }
        }
        false
    }

    fn stanza_to_capulet(&mut self) -> usize {
        self.montague
            .mailbox()
            .push(message("romeo@montague.lit", "juliet@capulet.lit", "1"))
            .unwrap();
        self.montague.drain();
        self.run();
        self.capulet.routed.len()
    }

    fn stanza_to_montague(&mut self) -> usize {
        self.capulet
            .mailbox()
            .push(message("juliet@capulet.lit", "romeo@montague.lit", "1"))
            .unwrap();
        self.capulet.drain();
        self.run();
        self.montague.routed.len()
    }
}

#[test]
fn by_certificate() {
    let mut two = Two::new(
        settings(),
        errand(),
        certificate(&["montague.lit"]),
        certificate(&["capulet.lit"]),
    );
    assert_eq!(
        two.montague.authenticated,
        [(ours(), Ways::Both, Method::External)]
    );
    assert_eq!(
        two.capulet.authenticated,
        [(mirrored(&ours()), Ways::Both, Method::External)]
    );
    assert_eq!(two.stanza_to_capulet(), 1);
    assert_eq!(two.stanza_to_montague(), 1);
    assert!(two.montague.stream.mailbox().unwrap().is_counted());
    for (_, receipt) in two.capulet.routed.drain(..) {
        receipt.unwrap().settle();
    }
    two.capulet
        .input(Input::Signal(stream_management::Signal::AckDue));
    two.run();
    assert_eq!(two.montague.mailbox().load().0, 0, "acknowledged");
}

#[test]
fn by_dialback() {
    let mut two = Two::new(settings(), errand(), certificate(&[]), certificate(&[]));
    assert_eq!(
        two.montague.authenticated,
        [(ours(), Ways::Both, Method::Dialback)]
    );
    assert_eq!(
        two.capulet.authenticated,
        [(mirrored(&ours()), Ways::Both, Method::Dialback)]
    );
    assert_eq!(two.stanza_to_capulet(), 1);
    assert_eq!(two.stanza_to_montague(), 1);
}

#[test]
fn by_dialback_without_tls() {
    let optional = policy(Authentication::CertificateOrDialback, Encryption::Optional);
    let mut plain = optional;
    plain.certificates = crate::Certificates::Missing;
    let mut two = Two::new(plain, errand(), Certificate::absent(), Certificate::absent());
    assert_eq!(
        two.montague.authenticated,
        [(ours(), Ways::Both, Method::Dialback)]
    );
    assert_eq!(two.stanza_to_capulet(), 1);
}

#[test]
fn not_at_all_where_certificates_are_demanded_and_one_is_missing() {
    let strict = policy(Authentication::Certificate, Encryption::Required);
    let two = Two::new(
        strict.clone(),
        errand(),
        certificate(&[]),
        certificate(&["capulet.lit"]),
    );
    let obstacle = crate::Obstacle::DialbackRefused(crate::DialbackError::NotAuthorized);
    assert_eq!(two.montague.refused, [(ours(), obstacle)]);
    assert!(two.capulet.authenticated.is_empty());
    let two = Two::new(strict, errand(), certificate(&["montague.lit"]), certificate(&[]));
    let obstacle = crate::Obstacle::Certificate(crate::CertificateFault::WrongName);
    assert_eq!(two.montague.ending(), Some(&crate::Ending::Failed(obstacle)));
    assert!(two.capulet.authenticated.is_empty());
}

#[test]
fn further_pairs_join_from_either_side() {
    let mut two = Two::new(
        settings(),
        errand(),
        certificate(&["montague.lit"]),
        certificate(&["capulet.lit"]),
    );
    let (chats, theirs) = (
        pair("chats.montague.lit", "capulet.lit"),
        pair("chats.capulet.lit", "montague.lit"),
    );
    two.montague.input(Input::Authorize(chats.clone()));
    two.capulet.input(Input::Authorize(theirs.clone()));
    two.run();
    assert_eq!(
        two.montague.authenticated[1..],
        [
            (chats, Ways::Both, Method::Dialback),
            (mirrored(&theirs), Ways::Both, Method::Dialback),
        ]
    );
    assert_eq!(two.capulet.authenticated.len(), 3);
    two.capulet
        .mailbox()
        .push(message("room@chats.capulet.lit", "romeo@montague.lit", "1"))
        .unwrap();
    two.capulet.drain();
    two.run();
    assert_eq!(two.montague.routed.len(), 1);
}

#[test]
fn a_broken_connection_is_resumed_without_loss_or_copies() {
    let mut two = Two::new(
        settings(),
        errand(),
        certificate(&["montague.lit"]),
        certificate(&["capulet.lit"]),
    );
    let from_montague = |id: &str| message("romeo@montague.lit", "juliet@capulet.lit", id);
    let from_capulet = |id: &str| message("juliet@capulet.lit", "romeo@montague.lit", id);
    for id in ["1", "2"] {
        two.montague.mailbox().push(from_montague(id)).unwrap();
        two.capulet.mailbox().push(from_capulet(id)).unwrap();
    }
    two.montague.drain();
    two.capulet.drain();
    two.run();
    // These are written, and never arrive.
    two.montague.mailbox().push(from_montague("3")).unwrap();
    two.capulet.mailbox().push(from_capulet("3")).unwrap();
    two.montague.drain();
    two.capulet.drain();
    for world in [&mut two.montague, &mut two.capulet] {
        world.input(Input::PeerClosed);
        world.heard();
    }
    let ours = two.montague.closed.take().unwrap().suspended;
    let theirs = two.capulet.closed.take().unwrap().suspended;
    let routed = |two: &Two| {
        let ids = |world: &World| -> Vec<String> {
            world
                .routed
                .iter()
                .map(|(stanza, _)| stanza.id().unwrap().into_owned())
                .collect()
        };
        [ids(&two.montague), ids(&two.capulet)]
    };
    assert_eq!(routed(&two), [["1", "2"], ["1", "2"]]);
    // The fate of what came to the side that goes back is decided; on the other it is open yet.
    let settle = |world: &mut World| {
        for (_, receipt) in world.routed.drain(..) {
            receipt.unwrap().settle();
        }
    };
    settle(&mut two.montague);
    let mut before = two;
    let mailbox = Arc::clone(&theirs.as_ref().unwrap().mailbox);

    let resume = Errand {
        resume: ours,
        ..errand()
    };
    let mut two = Two::new(
        settings(),
        resume,
        certificate(&["montague.lit"]),
        certificate(&["capulet.lit"]),
    );
    assert_eq!(two.capulet.noted(), [format!("resume {TOKEN}")]);
    two.capulet.input(Input::Resumption(theirs));
    two.run();
    assert_eq!(
        two.montague.noted(),
        [""; 0],
        "it is not told before all that it had sent is settled"
    );
    settle(&mut before.capulet);
    two.capulet.input(Input::Signal(mailbox.take_signal().unwrap()));
    two.run();
    assert_eq!(two.montague.noted(), [format!("resumed {TOKEN}")]);
    two.montague.drain();
    two.capulet.drain();
    two.run();
    assert_eq!(routed(&two), [["3"], ["3"]]);
}
