//! What clients keep for themselves on the server (XEP-0049).
//!
//! Blobs are kept by namespace and name of the root elements; a set replaces what was kept under the same. Namespaces
//! that the protocol reserves are taken like all others, which §2.3 leaves open, because old clients use some of them.

use std::collections::{BTreeMap, BTreeSet};

use stanza::namespace::{CLIENT, SERVER};
use stanza::{Condition, StanzaError};
use xml::Tree;

use crate::request::Request;
use crate::{AccountFacts, Answer, Load, Record, Write};

pub(crate) const NAMESPACE: &str = "jabber:iq:private";

/// Blobs of one account; a further one is refused, whatever its size.
pub const PRIVATE_RECORDS_MAX: usize = 256;

/// XEP-0049 §2.3, example 2. What was never set comes back as it was asked for: an empty element.
pub(crate) fn load(request: &Request<'_>, account: &AccountFacts<'_>) -> Answer {
    let wanted = match root_elements(request) {
        Ok(roots) => roots,
        Err(error) => return Answer::Reply(Err(error)),
    };
    let [wanted] = wanted.as_slice() else {
        let text = "one element at a time can be asked for";
        return Answer::Reply(Err(StanzaError::new(Condition::BadRequest).text(text)));
    };
    let empty =
        Tree::new("query", NAMESPACE).child(Tree::new(wanted.name.as_str(), wanted.namespace.as_str()));
    let missing = Ok(empty.to_bytes(""));
    let record = record(wanted);
    match account.stored.has(&record) {
        true => Answer::Load(Load {
            record,
            around: ("<query xmlns='jabber:iq:private'>", "</query>"),
            missing,
        }),
        false => Answer::Reply(missing),
    }
}

/// XEP-0049 §2.3, example 1. Several elements of one namespace may be set at once.
pub(crate) fn store(request: &Request<'_>, account: &AccountFacts<'_>) -> Answer {
    let roots = match root_elements(request) {
        Ok(roots) => roots,
        Err(error) => return Answer::Reply(Err(error)),
    };
    if roots
        .iter()
        .map(|root| &root.namespace)
        .collect::<BTreeSet<_>>()
        .len()
        > 1
    {
        let text = "one namespace at a time can be set";
        return Answer::Reply(Err(StanzaError::new(Condition::BadRequest).text(text)));
    }
    let mut blobs: BTreeMap<Record, Vec<u8>> = BTreeMap::new();
    for root in &roots {
        root.write(blobs.entry(record(root)).or_default(), NAMESPACE);
    }
    if let Err(error) = within_limits(&blobs, request, account) {
        return Answer::Reply(Err(error));
    }
    Answer::Store(
        blobs
            .into_iter()
            .map(|(record, bytes)| Write {
                record,
                bytes: Some(bytes),
            })
            .collect(),
    )
}

/// The elements in the query, each in a namespace of its own (XEP-0049 §2.3).
fn root_elements(request: &Request<'_>) -> Result<Vec<Tree>, StanzaError> {
    let roots: Vec<Tree> = match request.payload() {
        Some(query) => query.to_tree().children().cloned().collect(),
        None => Vec::new(),
    };
    let has_own_namespace = |root: &Tree| !["", NAMESPACE, CLIENT, SERVER].contains(&root.namespace.as_str());
    if roots.is_empty() || !roots.iter().all(has_own_namespace) {
        let text = "an element in a namespace of its own is missing";
        return Err(StanzaError::new(Condition::NotAcceptable).text(text));
    }
    Ok(roots)
}

fn record(root: &Tree) -> Record {
    Record::Private {
        namespace: root.namespace.clone(),
        name: root.name.clone(),
    }
}

fn within_limits(
    blobs: &BTreeMap<Record, Vec<u8>>,
    request: &Request<'_>,
    account: &AccountFacts<'_>,
) -> Result<(), StanzaError> {
    let kept = || {
        account
            .stored
            .sizes()
            .filter(|(record, _)| !blobs.contains_key(record))
    };
    let records = kept().filter(|(record, _)| **record != Record::VCard).count() + blobs.len();
    let bytes = kept().map(|(record, bytes)| cost(record, bytes)).sum::<usize>()
        + blobs
            .iter()
            .map(|(record, blob)| cost(record, blob.len()))
            .sum::<usize>();
    let max = request.facts.limits.private_bytes;
    match () {
        () if records > PRIVATE_RECORDS_MAX => {
            Err(format!("{PRIVATE_RECORDS_MAX} private elements are kept at most"))
        }
        () if bytes > max => Err(format!("{max} bytes of private data are kept at most")),
        () => Ok(()),
    }
    .map_err(|text| StanzaError::new(Condition::PolicyViolation).text(text))
}

/// What a blob counts: its name too, so that many empty ones are not free.
fn cost(record: &Record, bytes: usize) -> usize {
    match record {
        Record::VCard => 0,
        Record::Private { namespace, name } => namespace.len() + name.len() + bytes,
    }
}
