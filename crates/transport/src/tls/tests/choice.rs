//! Which certificate is shown to whom.

use rcgen::{KeyPair, PKCS_RSA_SHA256};
use rustls::SignatureScheme;

use super::super::Expiry;
use super::{Folder, HandClock, TODAY, client, day, order, store, store_at};

#[tokio::test]
async fn each_host_is_served_its_own_certificate_by_the_name_in_the_handshake() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
        folder.put("capulet.lit", &order(&["capulet.lit"]).issue()),
    ]);
    assert_eq!(
        client().asking_for("montague.lit").is_shown(&store, None).await,
        "montague.lit"
    );
    assert_eq!(
        client().asking_for("capulet.lit").is_shown(&store, None).await,
        "capulet.lit"
    );
    assert_eq!(
        client().asking_for("CAPULET.lit").is_shown(&store, None).await,
        "capulet.lit"
    );
}

#[tokio::test]
async fn without_a_name_or_with_a_foreign_one_the_default_host_answers() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
        folder.put("capulet.lit", &order(&["capulet.lit"]).issue()),
    ]);
    assert_eq!(client().is_shown(&store, None).await, "montague.lit");
    assert_eq!(
        client()
            .asking_for("host7.provider.example")
            .is_shown(&store, None)
            .await,
        "montague.lit"
    );
}

#[tokio::test]
async fn where_the_default_host_has_none_another_certificate_shows_at_least_who_answers() {
    let folder = Folder::new();
    let capulet = folder.put("capulet.lit", &order(&["capulet.lit"]).issue());
    let (store, problems) = store_at(vec![folder.files("montague.lit"), capulet], &HandClock::at(TODAY));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(
        client().is_shown(&store, Some("montague.lit")).await,
        "capulet.lit"
    );
}

#[tokio::test]
async fn the_domain_of_the_stream_goes_before_the_name_in_the_handshake() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
        folder.put("capulet.lit", &order(&["capulet.lit"]).issue()),
    ]);
    assert_eq!(
        client().is_shown(&store, Some("capulet.lit")).await,
        "capulet.lit"
    );
    assert_eq!(
        client()
            .asking_for("montague.lit")
            .is_shown(&store, Some("capulet.lit"))
            .await,
        "capulet.lit"
    );
    // A domain that nobody covers leaves the choice to the handshake.
    assert_eq!(
        client()
            .asking_for("capulet.lit")
            .is_shown(&store, Some("verona.lit"))
            .await,
        "capulet.lit"
    );
}

#[tokio::test]
async fn a_service_is_covered_by_whichever_hosts_certificate_names_it() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
        folder.put(
            "capulet.lit",
            &order(&["capulet.lit", "chats.montague.lit"]).issue(),
        ),
    ]);
    assert_eq!(
        client()
            .asking_for("chats.montague.lit")
            .is_shown(&store, None)
            .await,
        "capulet.lit"
    );
}

#[tokio::test]
async fn an_exact_name_goes_before_a_newer_wildcard() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put(
            "wild.lit",
            &order(&["*.montague.lit", "wild.lit"])
                .valid(TODAY - 1, TODAY + 89)
                .issue(),
        ),
        folder.put("chats.montague.lit", &order(&["chats.montague.lit"]).issue()),
    ]);
    assert_eq!(
        client()
            .asking_for("chats.montague.lit")
            .is_shown(&store, None)
            .await,
        "chats.montague.lit"
    );
    assert_eq!(
        client()
            .asking_for("files.montague.lit")
            .is_shown(&store, None)
            .await,
        "*.montague.lit"
    );
}

#[tokio::test]
async fn a_valid_wildcard_goes_before_an_expired_exact_name() {
    let folder = Folder::new();
    let clock = HandClock::at(TODAY);
    let (store, problems) = store_at(
        vec![
            folder.put(
                "chats.montague.lit",
                &order(&["chats.montague.lit"])
                    .valid(TODAY - 90, TODAY - 1)
                    .issue(),
            ),
            folder.put("wild.lit", &order(&["*.montague.lit", "wild.lit"]).issue()),
        ],
        &clock,
    );
    assert_eq!(problems.len(), 1);
    assert_eq!(
        client()
            .asking_for("chats.montague.lit")
            .is_shown(&store, None)
            .await,
        "*.montague.lit"
    );
    // The other way round at a time when the wildcard is over and the exact one was not yet.
    clock.set(TODAY - 50);
    assert_eq!(
        client()
            .asking_for("chats.montague.lit")
            .is_shown(&store, None)
            .await,
        "chats.montague.lit"
    );
}

#[tokio::test]
async fn a_certificate_expires_while_the_server_runs_and_the_next_best_takes_over() {
    let folder = Folder::new();
    let clock = HandClock::at(TODAY);
    let (store, _) = store_at(
        vec![
            folder.put(
                "montague.lit",
                &order(&["montague.lit"]).valid(TODAY - 1, TODAY + 5).issue(),
            ),
            folder.put(
                "wild.lit",
                &order(&["wild.lit", "montague.lit"])
                    .valid(TODAY - 60, TODAY + 30)
                    .issue(),
            ),
        ],
        &clock,
    );
    let asking = client().asking_for("montague.lit");
    assert_eq!(asking.is_shown(&store, None).await, "montague.lit");
    clock.set(TODAY + 6);
    assert_eq!(asking.is_shown(&store, None).await, "wild.lit");
}

#[tokio::test]
async fn of_two_equals_the_newer_is_shown_and_of_the_same_age_the_one_that_lasts() {
    let folder = Folder::new();
    let both = |names: [&'static str; 2], from, until| order(&names).valid(from, until).issue();
    let store = store(vec![
        folder.put(
            "old.lit",
            &both(["old.lit", "verona.lit"], TODAY - 30, TODAY + 300),
        ),
        folder.put(
            "new.lit",
            &both(["new.lit", "verona.lit"], TODAY - 10, TODAY + 80),
        ),
        folder.put(
            "long.lit",
            &both(["long.lit", "verona.lit"], TODAY - 10, TODAY + 90),
        ),
    ]);
    assert_eq!(
        client().asking_for("verona.lit").is_shown(&store, None).await,
        "long.lit"
    );
}

#[tokio::test]
async fn when_all_are_expired_the_one_that_covers_is_shown_nevertheless() {
    let folder = Folder::new();
    let (store, _) = store_at(
        vec![
            folder.put("montague.lit", &order(&["montague.lit"]).issue()),
            folder.put(
                "capulet.lit",
                &order(&["capulet.lit"]).valid(TODAY - 90, TODAY - 1).issue(),
            ),
        ],
        &HandClock::at(TODAY),
    );
    assert_eq!(
        client().asking_for("capulet.lit").is_shown(&store, None).await,
        "capulet.lit"
    );
}

#[tokio::test]
async fn a_client_that_knows_rsa_alone_is_shown_the_rsa_certificate() {
    let folder = Folder::new();
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
        folder.put(
            "rsa.lit",
            &order(&["rsa.lit", "montague.lit"])
                .key(rsa)
                .valid(TODAY - 20, TODAY + 70)
                .issue(),
        ),
    ]);
    let modern = client().asking_for("montague.lit");
    assert_eq!(modern.is_shown(&store, None).await, "montague.lit");
    let rsa_only = modern.verifying(&[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256]);
    assert_eq!(rsa_only.is_shown(&store, None).await, "rsa.lit");
}

#[tokio::test]
async fn internationalized_hosts_are_found_by_either_form_of_their_name() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
        folder.put("bücher.example", &order(&["xn--bcher-kva.example"]).issue()),
    ]);
    assert_eq!(
        client()
            .asking_for("xn--bcher-kva.example")
            .is_shown(&store, None)
            .await,
        "xn--bcher-kva.example"
    );
    assert_eq!(
        client().is_shown(&store, Some("Bücher.example")).await,
        "xn--bcher-kva.example"
    );
}

#[test]
fn expiry_names_every_required_domain_with_the_end_of_what_serves_it() {
    let folder = Folder::new();
    let mut first = folder.put("montague.lit", &order(&["montague.lit"]).issue());
    first
        .required_names
        .extend(["chats.montague.lit".to_owned(), "nowhere.lit".to_owned()]);
    let wild = folder.put(
        "wild.lit",
        &order(&["wild.lit", "*.montague.lit"])
            .valid(TODAY - 5, TODAY + 50)
            .issue(),
    );
    let (own, wildcard) = (first.chain.clone(), wild.chain.clone());
    let (store, problems) = store_at(vec![first, wild], &HandClock::at(TODAY));
    let expected = [
        ("montague.lit", TODAY + 80, own),
        ("chats.montague.lit", TODAY + 50, wildcard.clone()),
        ("wild.lit", TODAY + 50, wildcard),
    ];
    let expected = expected.map(|(name, end, chain)| Expiry {
        name: name.to_owned(),
        not_after: day(end),
        chain,
    });
    assert_eq!(store.expiry(), expected);
    assert_eq!(problems.len(), 1, "nowhere.lit is covered by none: {problems:?}");
    assert!(store.best_for("nowhere.lit").is_none());
}
