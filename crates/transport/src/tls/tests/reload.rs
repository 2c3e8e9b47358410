//! Files that change while the server runs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{Fault, Item, Listener, Severity};
use super::{Folder, HandClock, TODAY, client, order, store, store_at};

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_old_ones_live_on() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit", "first"]).issue()),
    ]);
    let (mut server, mut old_client) = client().connect(&store, Listener::DirectTls, None).await;
    let before = server.channel_bindings();

    folder.put("montague.lit", &order(&["montague.lit", "second"]).issue());
    let reloaded = store.check_now();
    assert_eq!(reloaded.taken, ["montague.lit"]);
    assert!(reloaded.problems.is_empty());

    let (new, _) = client().connect(&store, Listener::DirectTls, None).await;
    assert!(new.certificate.names().cover("second").is_some());
    assert_ne!(
        new.channel_bindings().tls_server_end_point,
        before.tls_server_end_point
    );
    // A login that is under way on the old connection is bound to the certificate that this connection
    // showed.
    assert_eq!(server.channel_bindings(), before);
    old_client.write_all(b"<a/>").await.unwrap();
    old_client.flush().await.unwrap();
    let mut read = [0; 4];
    server.stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"<a/>");
}

#[test]
fn nothing_is_read_or_said_while_nothing_changes() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
    ]);
    let before = store.best_for("montague.lit").unwrap();
    for _ in 0..3 {
        let reloaded = store.check_now();
        assert!(reloaded.taken.is_empty() && reloaded.problems.is_empty());
    }
    // Asked for, everything is read; the same files are no new certificate.
    assert!(store.reload().taken.is_empty());
    assert!(Arc::ptr_eq(&before, &store.best_for("montague.lit").unwrap()));
}

/// certbot: `live/HOST/fullchain.pem` is a link to `../../archive/HOST/fullchainN.pem`.
#[test]
fn links_that_are_pointed_elsewhere_are_noticed() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("archive/montague.lit")).unwrap();
    fs::create_dir_all(folder.path("live/montague.lit")).unwrap();
    let put = |number: u32, name: &str| {
        let issued = order(&["montague.lit", name]).issue();
        folder.write(
            &format!("archive/montague.lit/fullchain{number}.pem"),
            &issued.chain,
        );
        folder.write(&format!("archive/montague.lit/privkey{number}.pem"), &issued.key);
        for kind in ["fullchain", "privkey"] {
            let link = folder.path(&format!("live/montague.lit/{kind}.pem"));
            let _ = fs::remove_file(&link);
            symlink(format!("../../archive/montague.lit/{kind}{number}.pem"), link).unwrap();
        }
    };
    let mut files = folder.files("montague.lit");
    files.chain = folder.path("live/montague.lit/fullchain.pem");
    files.key = folder.path("live/montague.lit/privkey.pem");

    put(1, "first");
    let store = store(vec![files]);
    put(2, "second");
    assert_eq!(store.check_now().taken, ["montague.lit"]);
    assert!(store.best_for("second").is_some());
    assert!(store.best_for("first").is_none());
}

/// Kubernetes: the files are links into `..data`, which is a link to a directory and is replaced by a rename.
#[test]
fn a_directory_link_that_is_replaced_is_noticed() {
    let folder = Folder::new();
    let put = |generation: &str, name: &str| {
        let issued = order(&["montague.lit", name]).issue();
        fs::create_dir_all(folder.path(generation)).unwrap();
        folder.write(&format!("{generation}/tls.crt"), &issued.chain);
        folder.write(&format!("{generation}/tls.key"), &issued.key);
        symlink(generation, folder.path("..data_tmp")).unwrap();
        fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
    };
    put("..2026_06_01", "first");
    symlink("..data/tls.crt", folder.path("montague.lit.pem")).unwrap();
    symlink("..data/tls.key", folder.path("montague.lit.key")).unwrap();
    let store = store(vec![folder.files("montague.lit")]);
    put("..2026_08_30", "second");
    assert_eq!(store.check_now().taken, ["montague.lit"]);
    assert!(store.best_for("second").is_some());
}

#[test]
fn between_two_writes_the_old_pair_serves_and_nothing_is_said() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit", "first"]).issue()),
    ]);
    let next = order(&["montague.lit", "second"]).issue();
    // A look falls between the certificate and the key.
    folder.write("montague.lit.pem", &next.chain);
    let reloaded = store.check_now();
    assert!(reloaded.taken.is_empty() && reloaded.problems.is_empty());
    assert!(store.best_for("first").is_some());
    folder.write("montague.lit.key", &next.key);
    let reloaded = store.check_now();
    assert_eq!(reloaded.taken, ["montague.lit"]);
    assert!(reloaded.problems.is_empty());
    assert!(store.best_for("second").is_some());
}

#[test]
fn a_broken_file_is_said_once_and_the_old_one_serves_until_it_is_repaired() {
    let folder = Folder::new();
    let first = order(&["montague.lit"]).issue();
    let store = store(vec![folder.put("montague.lit", &first)]);
    let serving = store.best_for("montague.lit").unwrap();

    folder.write("montague.lit.pem", "-----BEGIN CERTIFICATE-----\nMIIB");
    assert!(store.check_now().problems.is_empty(), "it may still be written");
    let problems = store.check_now().problems;
    assert_eq!(problems.len(), 1);
    assert!(matches!(problems[0].fault, Fault::DamagedPem { .. }));
    assert_eq!(problems[0].severity(), Severity::Error);
    assert!(store.check_now().problems.is_empty(), "said already");
    assert_eq!(store.reload().problems.len(), 1, "who asks is told again");
    assert!(Arc::ptr_eq(&serving, &store.best_for("montague.lit").unwrap()));

    // Another fault is other news.
    fs::remove_file(folder.path("montague.lit.pem")).unwrap();
    assert!(store.check_now().problems.is_empty());
    assert!(matches!(
        store.check_now().problems[0].fault,
        Fault::Missing { .. }
    ));
    assert!(Arc::ptr_eq(&serving, &store.best_for("montague.lit").unwrap()));

    folder.put("montague.lit", &order(&["montague.lit", "repaired"]).issue());
    let reloaded = store.check_now();
    assert_eq!(reloaded.taken, ["montague.lit"]);
    assert!(reloaded.problems.is_empty());
    assert!(store.best_for("repaired").is_some());
}

#[test]
fn the_key_of_another_certificate_is_not_taken() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
    ]);
    folder.write("montague.lit.key", order(&["montague.lit"]).issue().key);
    let problems = store.reload().problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].item, Item::Key);
    assert!(matches!(
        problems[0].fault,
        Fault::KeyMismatch { belongs_to: None, .. }
    ));
    assert!(store.best_for("montague.lit").is_some());
}

#[test]
fn one_hosts_broken_files_do_not_hold_up_anothers_new_ones() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
        folder.put("capulet.lit", &order(&["capulet.lit"]).issue()),
    ]);
    folder.write("montague.lit.key", "");
    folder.put("capulet.lit", &order(&["capulet.lit", "second"]).issue());
    let reloaded = store.reload();
    assert_eq!(reloaded.taken, ["capulet.lit"]);
    assert_eq!(
        reloaded.problems.iter().map(|p| &*p.host).collect::<Vec<_>>(),
        ["montague.lit"]
    );
    assert!(store.best_for("montague.lit").is_some() && store.best_for("second").is_some());
}

#[test]
fn a_step_back_is_not_taken_while_the_old_one_is_valid() {
    let folder = Folder::new();
    let clock = HandClock::at(TODAY);
    let (store, _) = store_at(
        vec![folder.put("montague.lit", &order(&["montague.lit"]).issue())],
        &clock,
    );
    let cases = [
        order(&["montague.lit"]).valid(TODAY - 90, TODAY - 1),
        order(&["montague.lit"]).valid(TODAY + 3, TODAY + 90),
        order(&["capulet.lit"]),
    ];
    for case in cases {
        folder.put("montague.lit", &case.issue());
        let reloaded = store.reload();
        assert!(reloaded.taken.is_empty());
        assert_eq!(reloaded.problems.len(), 1);
        assert!(matches!(
            reloaded.problems[0].fault,
            Fault::Expired { .. } | Fault::NotYetValid { .. } | Fault::NotCovered { .. }
        ));
    }
    assert!(store.best_for("montague.lit").is_some());
}

#[test]
fn a_certificate_that_came_early_is_taken_when_its_time_comes() {
    let folder = Folder::new();
    let clock = HandClock::at(TODAY);
    let (store, _) = store_at(
        vec![folder.put("montague.lit", &order(&["montague.lit"]).issue())],
        &clock,
    );
    folder.put(
        "montague.lit",
        &order(&["montague.lit"]).valid(TODAY + 3, TODAY + 90).issue(),
    );
    assert!(store.check_now().taken.is_empty());
    clock.set(TODAY + 3);
    assert_eq!(store.check_now().taken, ["montague.lit"]);
}

#[test]
fn a_host_without_a_usable_file_at_the_start_comes_up_when_there_is_one() {
    let folder = Folder::new();
    let (store, problems) = store_at(vec![folder.files("montague.lit")], &HandClock::at(TODAY));
    assert_eq!(problems.len(), 2, "certificate and key are missing: {problems:?}");
    assert!(store.best_for("montague.lit").is_none());
    folder.put("montague.lit", &order(&["montague.lit"]).issue());
    assert_eq!(store.check_now().taken, ["montague.lit"]);
    assert!(store.best_for("montague.lit").is_some());
}

#[test]
fn new_configuration_brings_and_removes_hosts_and_keeps_what_its_new_files_cannot_replace() {
    let folder = Folder::new();
    let montague = folder.put("montague.lit", &order(&["montague.lit"]).issue());
    let capulet = folder.put("capulet.lit", &order(&["capulet.lit"]).issue());
    let verona = folder.put("verona.lit", &order(&["verona.lit"]).issue());
    let store = store(vec![montague.clone(), capulet]);

    let mut moved = montague;
    moved.chain = folder.path("nowhere.pem");
    let reloaded = store.reload_with(vec![verona, moved]);
    assert_eq!(reloaded.taken, ["verona.lit"]);
    assert!(matches!(reloaded.problems[0].fault, Fault::Missing { .. }));
    assert!(store.best_for("montague.lit").is_some(), "the old one stays");
    assert!(store.best_for("verona.lit").is_some());
    assert!(store.best_for("capulet.lit").is_none(), "its host is gone");
}

#[tokio::test(start_paused = true)]
async fn the_watch_looks_every_interval_and_ends_with_the_store() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit", "first"]).issue()),
    ]);
    let interval = Duration::from_secs(5);
    let watch = tokio::spawn(Arc::clone(&store).watch(interval));
    folder.put("montague.lit", &order(&["montague.lit", "second"]).issue());
    // The paused clock jumps as soon as nothing else is to be done.
    while store.best_for("second").is_none() {
        tokio::time::advance(interval).await;
        tokio::task::yield_now().await;
    }
    drop(store);
    let ended = tokio::time::timeout(3 * interval, watch).await;
    ended.expect("the watch ends").unwrap();
}

#[test]
fn what_happens_is_logged_in_lines_that_say_what_and_where_and_what_to_do() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
    ]);
    let chain = folder.path("montague.lit.pem").display().to_string();

    fs::remove_file(folder.path("montague.lit.pem")).unwrap();
    let log = logged(|| {
        for _ in 0..3 {
            store.check_now();
        }
    });
    let expected = format!(
        "ERROR certificate not taken, the previous one stays in use host=\"montague.lit\" \
         problem=\"cannot find the certificate for montague.lit: there is no {chain}\" \
         advice=\"Put it there in PEM, or set [hosts.\\\"montague.lit\\\"] certificate to where it is.\"\n"
    );
    assert_eq!(log, expected);

    folder.put("montague.lit", &order(&["montague.lit"]).issue());
    let log = logged(|| {
        store.check_now();
    });
    let expected =
        format!("INFO certificate taken host=\"montague.lit\" file={chain} expires=2026-08-20 00:00 UTC\n");
    assert_eq!(log, expected);
}

/// The log lines of `work`, without time and module.
fn logged(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let lines = lines.0.lock().unwrap().clone();
    String::from_utf8(lines)
        .unwrap()
        .lines()
        .map(|line| format!("{}\n", line.trim_start()))
        .collect()
}
