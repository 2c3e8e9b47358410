//! SASL.

use super::world::{auth, failure, plain, response};
use super::{Ask, HEADER, World, header};
use crate::{Encryption, Ending, Stage, Transport};
use sasl::{BindingType, HashFunction, Mechanism, SaslError, Verdict};

const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

fn opened() -> World {
    let mut world = World::encrypted();
    world.talk(HEADER);
    world
}

#[test]
fn rfc5802_rfc7677_scram_logs_in_with_and_without_channel_binding() {
    for hash in [HashFunction::Sha1, HashFunction::Sha256] {
        for binding in [
            None,
            Some(BindingType::TlsExporter),
            Some(BindingType::TlsServerEndPoint),
        ] {
            let mut world = opened();
            let answer = world.scram(hash, binding, "wherefore");
            assert!(answer.starts_with("<success"), "{hash:?} {binding:?}: {answer}");
            assert_eq!(world.session.address().unwrap().as_str(), "romeo@montague.lit");
            assert_eq!(world.asked, [Ask::LookUp("romeo@montague.lit".into())]);

            let mut world = opened();
            let answer = world.scram(hash, binding, "therefore");
            assert_eq!(answer, failure("not-authorized"), "{hash:?} {binding:?}");
            assert_eq!(world.session.stage(), Stage::Unauthenticated);
        }
    }
}

#[test]
fn rfc5802_scram_logs_in_without_tls_where_that_is_permitted() {
    let mut world = World::new(Transport::Tcp, Encryption::Unavailable);
    world.talk(HEADER);
    assert!(
        world
            .scram(HashFunction::Sha256, None, "wherefore")
            .starts_with("<success")
    );
}

#[test]
fn rfc5802_a_client_bound_to_another_connection_is_refused() {
    let mut world = opened();
    world.bindings.tls_exporter = Some([99; 32]);
    let answer = world.scram(HashFunction::Sha256, Some(BindingType::TlsExporter), "wherefore");
    assert_eq!(answer, failure("not-authorized"));
    assert_eq!(
        world.attempts.last().unwrap().result,
        Err(SaslError::BindingMismatch)
    );
}

#[test]
fn rfc4616_plain_logs_in_and_fails_as_the_account_stands() {
    for (username, password, expected) in [
        ("romeo", "wherefore", SUCCESS.to_owned()),
        ("ROMEO", "wherefore", SUCCESS.to_owned()),
        ("romeo", "therefore", failure("not-authorized")),
        ("nobody", "wherefore", failure("not-authorized")),
        ("tybalt", "wherefore", failure("account-disabled")),
        ("tybalt", "therefore", failure("not-authorized")),
        ("paris", "wherefore", failure("credentials-expired")),
        ("nurse", "wherefore", failure("temporary-auth-failure")),
    ] {
        let mut world = opened();
        assert_eq!(
            world.talk(&plain(username, password)),
            expected,
            "{username} {password}"
        );
    }
    let mut world = World::encrypted();
    world.talk(&HEADER.replace("montague", "capulet"));
    assert_eq!(world.talk(&plain("juliet", "wherefore")), SUCCESS);
    assert_eq!(world.session.address().unwrap().as_str(), "juliet@capulet.lit");
}

#[test]
fn rfc6120_6_3_10_a_client_without_initial_response_is_asked_for_its_message() {
    let mut world = opened();
    let asked = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    assert_eq!(
        world.talk("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>"),
        asked
    );
    assert_eq!(world.talk(&response(b"\0romeo\0wherefore")), SUCCESS);
}

/// Each row is what a client says on a stream of its own, and the condition of the failure.
#[test]
fn rfc6120_6_5_every_failure_has_its_condition() {
    let sasl = |rest: &str| format!("<{rest}").replacen(' ', " xmlns='urn:ietf:params:xml:ns:xmpp-sasl' ", 1);
    let plain_as = |authzid: &str| auth("PLAIN", format!("{authzid}\0romeo\0wherefore").as_bytes());
    for (says, condition) in [
        (sasl("auth mechanism='CRAM-MD5'/>"), "invalid-mechanism"),
        (sasl("auth mechanism='plain'/>"), "invalid-mechanism"),
        (sasl("auth />"), "invalid-mechanism"),
        (sasl("auth mechanism='EXTERNAL'>=</auth>"), "invalid-mechanism"),
        (sasl("auth mechanism='SCRAM-SHA-512'/>"), "invalid-mechanism"),
        (
            sasl("auth mechanism='PLAIN'>AGp1bGlldA</auth>"),
            "incorrect-encoding",
        ),
        (sasl("auth mechanism='PLAIN'>=</auth>"), "malformed-request"),
        (auth("PLAIN", b"romeo\0wherefore"), "malformed-request"),
        (auth("SCRAM-SHA-1", b"n=romeo"), "malformed-request"),
        (plain_as("tybalt@montague.lit"), "invalid-authzid"),
        (plain_as("romeo@capulet.lit"), "invalid-authzid"),
        (plain_as("romeo@montague.lit/orchard"), "invalid-authzid"),
        (sasl("abort />"), "aborted"),
        (sasl("response >=</response>"), "malformed-request"),
        (sasl("response >%%%</response>"), "incorrect-encoding"),
        (sasl("challenge />"), "malformed-request"),
        (sasl("success />"), "malformed-request"),
        (sasl("failure />"), "malformed-request"),
    ] {
        let mut world = opened();
        assert_eq!(world.talk(&says), failure(condition), "{says}");
        assert!(world.asked.is_empty(), "{says}: {:?}", world.asked);
        assert_eq!(world.attempts.len(), 1);
        // The stream lives, and the right way still works.
        assert_eq!(world.talk(&plain("romeo", "wherefore")), SUCCESS, "after {says}");
    }
    let mut world = opened();
    assert_eq!(world.talk(&plain_as("romeo@montague.lit")), SUCCESS);
}

#[test]
fn rfc6120_6_4_4_an_exchange_can_be_aborted_and_begun_anew() {
    let mut world = opened();
    let first = auth("SCRAM-SHA-256", b"n,,n=romeo,r=fyko+d2lbbFgONRv9qkxdawL");
    assert!(world.talk(&first).starts_with("<challenge"));
    assert_eq!(
        world.talk("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
        failure("aborted")
    );
    assert!(
        world
            .scram(HashFunction::Sha1, None, "wherefore")
            .starts_with("<success")
    );
    let mechanisms: Vec<_> = world
        .attempts
        .iter()
        .map(|attempt| (attempt.mechanism, attempt.result))
        .collect();
    assert_eq!(
        mechanisms,
        [
            (Some(Mechanism::ScramSha256), Err(SaslError::Aborted)),
            (Some(Mechanism::ScramSha1), Ok(()))
        ]
    );
}

#[test]
fn rfc6120_6_4_2_a_second_auth_discards_the_first() {
    let mut world = opened();
    let first = auth("SCRAM-SHA-256", b"n,,n=romeo,r=fyko+d2lbbFgONRv9qkxdawL");
    assert!(world.talk(&first).starts_with("<challenge"));
    assert_eq!(world.talk(&plain("romeo", "wherefore")), SUCCESS);

    // It counts as a failure all the same: a client cannot make the store work for ever.
    let mut world = opened();
    for _ in 0..world.settings.limits.login_attempts {
        world.talk(&first);
        assert_eq!(world.ending, None);
    }
    let looked_up = world.asked.len();
    assert!(world.talk(&first).contains("<policy-violation"));
    assert_eq!(world.asked.len(), looked_up);
}

#[test]
fn rfc6120_6_4_5_too_many_failures_end_the_stream() {
    let mut world = opened();
    let wrong = plain("romeo", "therefore");
    assert_eq!(world.talk(&wrong), failure("not-authorized"));
    assert_eq!(world.talk(&wrong), failure("not-authorized"));
    let last = world.talk(&wrong);
    assert!(
        last.starts_with(&(failure("not-authorized") + "<stream:error><policy-violation xmlns=")),
        "{last}"
    );
    assert!(last.ends_with("</stream:error></stream:stream>"));
    assert!(matches!(world.ending, Some(Ending::Error(_))));
    assert_eq!(world.attempts.len(), 3);

    let mut world = World::new(Transport::Tcp, Encryption::Required);
    world.talk(HEADER);
    assert_eq!(world.talk(&wrong), failure("encryption-required"));
    assert_eq!(world.talk(&wrong), failure("encryption-required"));
    assert!(world.talk(&wrong).contains("<policy-violation"));
}

#[test]
fn rfc6120_4_9_3_12_after_login_sasl_is_over() {
    for mut world in [World::logged_in(), World::bound()] {
        let answer = world.talk(&plain("romeo", "wherefore"));
        assert!(answer.starts_with("<stream:error><not-authorized"), "{answer}");
    }
}

#[test]
fn what_a_pipelining_client_sends_waits_for_the_answer() {
    let mut world = World::encrypted().by_hand();
    let all = [
        HEADER,
        &plain("romeo", "wherefore"),
        // As go-xmpp closes its elements.
        "\n",
        HEADER,
        super::world::BIND_ORCHARD,
        "<presence/>",
    ]
    .concat();
    let answer = world.talk(&all);
    assert!(
        answer.starts_with(&header("montague.lit")) && answer.ends_with("</stream:features>"),
        "{answer}"
    );
    assert!(!world.session.reads());
    assert_eq!(world.asked, [Ask::CheckPassword("romeo@montague.lit".into())]);

    world.answer_password();
    let answer = world.heard();
    assert!(
        answer.starts_with(SUCCESS) && answer.ends_with("</stream:features>"),
        "{answer}"
    );
    assert_eq!(
        world.asked.last(),
        Some(&Ask::Bind("romeo@montague.lit".into(), Some("orchard".into())))
    );
    assert!(!world.session.reads() && !world.session.may_drain());
    assert!(world.routed.is_empty());

    world.signal(stream_management::Signal::Bound(
        "romeo@montague.lit/orchard".parse().unwrap(),
    ));
    assert!(world.heard().contains("<jid>romeo@montague.lit/orchard</jid>"));
    assert_eq!(world.routed(), "<presence from='romeo@montague.lit/orchard'/>");
    assert!(world.session.reads());
}

#[test]
fn a_failed_answer_goes_on_with_what_was_sent_meanwhile() {
    let mut world = World::encrypted().by_hand();
    world.talk(&[HEADER, &plain("romeo", "therefore"), "</stream:stream>"].concat());
    world.verdict(Verdict::Rejected);
    assert_eq!(world.heard(), failure("not-authorized") + "</stream:stream>");
    assert_eq!(world.ending, Some(Ending::Finished));
}

#[test]
fn an_answer_that_comes_too_late_is_not_taken() {
    let mut world = World::encrypted().by_hand();
    world.talk(&[HEADER, &plain("romeo", "wherefore")].concat());
    world.input(crate::Input::PeerClosed);
    world.verdict(Verdict::Accepted);
    assert_eq!(world.heard(), "");
    assert_eq!(world.session.stage(), Stage::Closed);

    // One of the wrong kind changes nothing, and the right one still counts.
    let mut world = World::encrypted().by_hand();
    world.talk(&[HEADER, &plain("romeo", "wherefore")].concat());
    world.input(crate::Input::Credentials(sasl::Lookup::NoAccount));
    assert_eq!(world.heard(), "");
    world.verdict(Verdict::Accepted);
    assert_eq!(world.heard(), SUCCESS);
}

#[test]
fn what_the_operator_is_told_of_a_login() {
    let mut world = opened();
    world.talk(&plain("romeo", "therefore"));
    let attempt = world.attempts.pop().unwrap();
    assert_eq!(attempt.host.as_str(), "montague.lit");
    assert_eq!(attempt.account.unwrap().as_str(), "romeo@montague.lit");
    assert_eq!(attempt.mechanism, Some(Mechanism::Plain));
    assert_eq!(attempt.result, Err(SaslError::WrongCredentials));
}
