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
        namespace: root.namespace.to_string(),
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

#[cfg(test)]
mod tests {
    use stanza::ErrorKind;

    use super::*;
    use crate::Asker;
    use crate::tests::{Outcome, World};

    fn set(inside: &str) -> String {
        format!("set <query xmlns='jabber:iq:private'>{inside}</query>")
    }

    fn get(inside: &str) -> String {
        format!("get <query xmlns='jabber:iq:private'>{inside}</query>")
    }

    fn kept(inside: &str) -> Outcome {
        Outcome::Result(format!("<query xmlns='jabber:iq:private'>{inside}</query>"))
    }

    #[test]
    fn xep0049_2_3_what_is_stored_comes_back() {
        let prefs = "<exodus xmlns='exodus:prefs'><defaultnick>Hamlet &amp; co.</defaultnick></exodus>";
        let mut world = World::new();
        assert_eq!(world.account(Asker::Own, &set(prefs)), Outcome::Stored);
        assert_eq!(
            world.account(Asker::Own, &get("<exodus xmlns='exodus:prefs'/>")),
            kept(prefs)
        );
    }

    #[test]
    fn xep0049_2_3_what_was_never_stored_comes_back_empty() {
        let asked = get("<storage xmlns='storage:bookmarks' x='1'><y/></storage>");
        assert_eq!(
            World::new().account(Asker::Own, &asked),
            kept("<storage xmlns='storage:bookmarks'/>")
        );
    }

    #[test]
    fn xep0049_2_3_a_set_replaces_what_has_the_same_name_and_leaves_the_rest() {
        let mut world = World::new();
        world.account(Asker::Own, &set("<a xmlns='n'>1</a>"));
        world.account(Asker::Own, &set("<b xmlns='n'>2</b>"));
        world.account(Asker::Own, &set("<a xmlns='m'>3</a>"));
        world.account(Asker::Own, &set("<a xmlns='n'>4</a>"));
        assert_eq!(
            world.account(Asker::Own, &get("<a xmlns='n'/>")),
            kept("<a xmlns='n'>4</a>")
        );
        assert_eq!(
            world.account(Asker::Own, &get("<b xmlns='n'/>")),
            kept("<b xmlns='n'>2</b>")
        );
        assert_eq!(
            world.account(Asker::Own, &get("<a xmlns='m'/>")),
            kept("<a xmlns='m'>3</a>")
        );
    }

    #[test]
    fn xep0049_2_3_several_elements_of_one_namespace_may_be_set_at_once() {
        let mut world = World::new();
        let stored = world.account(
            Asker::Own,
            &set("<a xmlns='n'>1</a><b xmlns='n'>2</b><a xmlns='n'>3</a>"),
        );
        assert_eq!(stored, Outcome::Stored);
        assert_eq!(
            world.account(Asker::Own, &get("<a xmlns='n'/>")),
            kept("<a xmlns='n'>1</a><a xmlns='n'>3</a>")
        );
        assert_eq!(
            world.account(Asker::Own, &get("<b xmlns='n'/>")),
            kept("<b xmlns='n'>2</b>")
        );
    }

    #[test]
    fn xep0049_2_3_more_than_one_namespace_is_a_bad_request() {
        let bad = Some((Condition::BadRequest, ErrorKind::Modify, None));
        assert_eq!(
            World::new()
                .account(Asker::Own, &set("<a xmlns='n'/><a xmlns='m'/>"))
                .error(),
            bad
        );
        assert_eq!(
            World::new()
                .account(Asker::Own, &get("<a xmlns='n'/><a xmlns='m'/>"))
                .error(),
            bad
        );
    }

    #[test]
    fn xep0049_2_3_without_an_element_in_a_namespace_of_its_own_it_is_not_acceptable() {
        let unacceptable = Some((Condition::NotAcceptable, ErrorKind::Modify, None));
        for inside in [
            "",
            "text",
            "<a/>",
            "<a xmlns='jabber:client'/>",
            "<a xmlns=''/>",
            "<a xmlns='n'/><b/>",
        ] {
            assert_eq!(
                World::new().account(Asker::Own, &set(inside)).error(),
                unacceptable,
                "{inside}"
            );
            assert_eq!(
                World::new().account(Asker::Own, &get(inside)).error(),
                unacceptable,
                "{inside}"
            );
        }
    }

    #[test]
    fn xep0049_2_3_reserved_namespaces_are_taken_too() {
        let mut world = World::new();
        assert_eq!(
            world.account(Asker::Own, &set("<vCard xmlns='vcard-temp'><FN>H</FN></vCard>")),
            Outcome::Stored
        );
        assert_eq!(
            world
                .account(Asker::Own, "get <vCard xmlns='vcard-temp'/>")
                .word(),
            "item-not-found"
        );
    }

    #[test]
    fn xep0049_4_nobody_else_reads_or_writes_it() {
        let mut world = World::new();
        world.account(Asker::Own, &set("<a xmlns='n'>1</a>"));
        let unavailable = Some((Condition::ServiceUnavailable, ErrorKind::Cancel, None));
        for asker in [Asker::Contact, Asker::Stranger] {
            assert_eq!(world.account(asker, &get("<a xmlns='n'/>")).error(), unavailable);
            assert_eq!(
                world.account(asker, &set("<a xmlns='n'>2</a>")).error(),
                unavailable
            );
        }
        assert_eq!(
            world.account(Asker::Own, &get("<a xmlns='n'/>")),
            kept("<a xmlns='n'>1</a>")
        );
    }

    #[test]
    fn more_bytes_than_the_limit_are_refused_whole_and_replacing_frees_what_was_there() {
        let blob = |name: &str, length: usize| format!("<{name} xmlns='n'>{}</{name}>", "x".repeat(length));
        let full = Some((Condition::PolicyViolation, ErrorKind::Modify, None));
        let mut world = World::new();
        // Each counts with the two bytes of its name and namespace.
        world.facts.limits.private_bytes = blob("a", 50).len() + blob("b", 50).len() + 4;
        assert_eq!(world.account(Asker::Own, &set(&blob("a", 50))), Outcome::Stored);
        assert_eq!(world.account(Asker::Own, &set(&blob("b", 51))).error(), full);
        assert_eq!(world.account(Asker::Own, &set(&blob("b", 50))), Outcome::Stored);
        assert_eq!(world.account(Asker::Own, &set(&blob("a", 51))).error(), full);
        assert_eq!(
            world.account(Asker::Own, &get("<a xmlns='n'/>")),
            kept(&blob("a", 50))
        );
        assert_eq!(world.account(Asker::Own, &set(&blob("a", 10))), Outcome::Stored);
        assert_eq!(world.account(Asker::Own, &set(&blob("b", 90))), Outcome::Stored);
    }

    #[test]
    fn a_vcard_does_not_count_as_private_data() {
        let mut world = World::new();
        world.facts.limits.private_bytes = 100;
        world.account(
            Asker::Own,
            &format!("set <vCard xmlns='vcard-temp'><N>{}</N></vCard>", "x".repeat(100)),
        );
        assert_eq!(
            world.account(Asker::Own, &set("<a xmlns='n'>1</a>")),
            Outcome::Stored
        );
    }

    #[test]
    fn more_elements_than_the_limit_are_refused() {
        let mut world = World::new();
        for number in 0..PRIVATE_RECORDS_MAX {
            assert_eq!(
                world.account(Asker::Own, &set(&format!("<a{number} xmlns='n'/>"))),
                Outcome::Stored
            );
        }
        assert_eq!(
            world.account(Asker::Own, &set("<b xmlns='n'/>")).word(),
            "policy-violation"
        );
        assert_eq!(
            world.account(Asker::Own, &set("<a0 xmlns='n'>again</a0>")),
            Outcome::Stored
        );
    }
}
