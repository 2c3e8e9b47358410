//! The certificate of `run --dev`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::{CertificateFiles, Listener, SelfSigned, SelfSignedError, self_signed};
use super::{Folder, HandClock, TODAY, client, day, store_at};

fn files(host: &str, made: &SelfSigned) -> CertificateFiles {
    CertificateFiles {
        host: host.to_owned(),
        chain: made.chain.clone(),
        key: made.key.clone(),
        required_names: vec![host.to_owned(), "rooms.localhost".to_owned()],
    }
}

#[tokio::test]
async fn it_serves_its_names_without_a_complaint_and_its_key_is_private() {
    let folder = Folder::new();
    let names = ["localhost", "rooms.localhost", "127.0.0.1"];
    let made = self_signed(&folder.path("certs"), &names, day(TODAY)).unwrap();
    assert_eq!(
        fs::metadata(&made.key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let (store, problems) = store_at(vec![files("localhost", &made)], &HandClock::at(TODAY));
    assert!(problems.is_empty(), "{problems:?}");
    let (server, _) = client()
        .asking_for("rooms.localhost")
        .connect(&store, Listener::StartTls, None)
        .await;
    assert!(server.certificate.names().cover("localhost").is_some());
    assert_eq!(
        fs::read_dir(folder.path("certs")).unwrap().count(),
        2,
        "nothing unfinished is left"
    );
}

#[test]
fn it_is_used_again_until_it_nearly_expires_or_a_name_is_new() {
    let folder = Folder::new();
    let names = ["localhost", "rooms.localhost"];
    let make = |names: &[&str], at: u64| {
        let made = self_signed(&folder.0, names, day(at)).unwrap();
        fs::read_to_string(made.chain).unwrap() + &fs::read_to_string(made.key).unwrap()
    };
    let first = make(&names, TODAY);
    assert_eq!(make(&names, TODAY + 300), first);
    assert_eq!(
        make(&["localhost"], TODAY),
        first,
        "it covers more than is asked for"
    );
    let renewed = make(&names, TODAY + 380);
    assert_ne!(renewed, first);
    assert_eq!(make(&names, TODAY + 381), renewed);
    assert_ne!(make(&["localhost", "files.localhost"], TODAY + 381), renewed);
}

#[test]
fn a_damaged_pair_is_made_anew() {
    let folder = Folder::new();
    let made = self_signed(&folder.0, &["localhost"], day(TODAY)).unwrap();
    fs::write(&made.chain, "damaged").unwrap();
    fs::set_permissions(&made.key, fs::Permissions::from_mode(0o644)).unwrap();
    let again = self_signed(&folder.0, &["localhost"], day(TODAY)).unwrap();
    assert_eq!(again, made);
    assert_eq!(
        fs::metadata(&made.key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut files = files("localhost", &made);
    files.required_names.pop();
    assert!(super::super::examine(vec![files], day(TODAY)).is_empty());
}

#[test]
fn what_cannot_be_made_is_said() {
    let folder = Folder::new();
    assert!(matches!(
        self_signed(&folder.0, &[], day(TODAY)),
        Err(SelfSignedError::NoName)
    ));
    let file = folder.write("file", "in the way");
    let error = self_signed(&file, &["localhost"], day(TODAY)).unwrap_err();
    assert!(
        matches!(&error, SelfSignedError::Write { path, .. } if *path == file),
        "{error}"
    );
}
