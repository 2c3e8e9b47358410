//! Seeded mistakes, and what the operator reads about each.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, KeyPair};

use super::super::problem::{Fault, Found, Problem, Severity};
use super::super::{CertificateFiles, Item, examine};
use super::{Folder, Issued, TODAY, authority, day, order};

/// A folder with a host in order, to be spoilt.
struct Scene {
    folder: Folder,
    files: CertificateFiles,
    issued: Issued,
}

fn scene() -> Scene {
    let folder = Folder::new();
    let issued = order(&["montague.lit"]).issue();
    let files = folder.put("montague.lit", &issued);
    Scene {
        folder,
        files,
        issued,
    }
}

impl Scene {
    fn problems(&self) -> Vec<Problem> {
        examine(vec![self.files.clone()], day(TODAY))
    }

    /// The two lines about the one problem there is, with the folder left out.
    fn says(&self) -> [String; 2] {
        let problems = self.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let folder = format!("{}/", self.folder.0.display());
        [problems[0].what(), problems[0].advice()].map(|line| line.replace(&folder, ""))
    }

    fn chain(&self, content: impl AsRef<[u8]>) -> &Scene {
        self.folder.write("montague.lit.pem", content);
        self
    }

    fn key(&self, content: impl AsRef<[u8]>) -> &Scene {
        self.folder.write("montague.lit.key", content);
        self
    }

    fn both(&self, issued: &Issued) -> &Scene {
        self.folder.put("montague.lit", issued);
        self
    }
}

/// The first certificate of a chain in PEM.
fn first_of(chain: &str) -> String {
    let end = "-----END CERTIFICATE-----\n";
    chain
        .replace("\r\n", "\n")
        .split_inclusive(end)
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn files_in_order_cause_no_word() {
    assert!(scene().problems().is_empty());
    // Chain and key may be one file.
    let mut scene = scene();
    scene.chain(format!("{}{}", scene.issued.key, scene.issued.chain));
    scene.files.key = scene.files.chain.clone();
    assert!(scene.problems().is_empty());
}

#[test]
fn missing_files_are_both_named() {
    let scene = scene();
    fs::remove_file(&scene.files.chain).unwrap();
    fs::remove_file(&scene.files.key).unwrap();
    let words: Vec<_> = scene.problems().iter().map(|problem| problem.what()).collect();
    let folder = scene.folder.0.display();
    assert_eq!(
        words,
        [
            format!("cannot find the certificate for montague.lit: there is no {folder}/montague.lit.pem"),
            format!("cannot find the key for montague.lit: there is no {folder}/montague.lit.key"),
        ]
    );
}

#[test]
fn a_link_that_leads_nowhere() {
    let scene = scene();
    fs::remove_file(&scene.files.key).unwrap();
    symlink("../archive/privkey7.pem", &scene.files.key).unwrap();
    assert_eq!(
        scene.says(),
        [
            "cannot find the key for montague.lit: montague.lit.key is a link to \
             ../archive/privkey7.pem, which does not exist",
            "Put it there in PEM, or set [hosts.\"montague.lit\"] key to where it is.",
        ]
    );
}

#[test]
fn a_directory() {
    let mut scene = scene();
    scene.files.chain = scene.folder.path("certs");
    fs::create_dir(&scene.files.chain).unwrap();
    assert_eq!(
        scene.says(),
        [
            "the certificate for montague.lit at certs holds other files: it is a directory",
            "Set [hosts.\"montague.lit\"] certificate to a file in it.",
        ]
    );
}

#[test]
fn a_file_that_the_server_may_not_read() {
    let folder = PathBuf::from("/etc/letsencrypt/live/montague.lit");
    let unreadable = |closed_directory| Problem {
        host: "montague.lit".to_owned(),
        item: Item::Key,
        path: folder.join("privkey.pem"),
        fault: Fault::Unreadable {
            source: std::io::Error::from_raw_os_error(13),
            user: "balcony".to_owned(),
            closed_directory,
        },
    };
    assert_eq!(
        unreadable(None).to_string(),
        [
            "cannot read the key for montague.lit at /etc/letsencrypt/live/montague.lit/privkey.pem: \
             permission denied",
            "        The server runs as \"balcony\"; make the file readable for it (or copy it, say in a \
             deploy hook, with `install -o balcony -m 0600`), or set [hosts.\"montague.lit\"] key to another \
             file.",
        ]
        .join("\n")
    );
    assert_eq!(
        unreadable(Some(PathBuf::from("/etc/letsencrypt/archive"))).advice(),
        "The server runs as \"balcony\" and may not enter /etc/letsencrypt/archive; let it in (or copy the \
         file, say in a deploy hook, with `install -o balcony -m 0600`), or set [hosts.\"montague.lit\"] \
         key to another file."
    );
}

/// Root reads everything, other users do not: either way the outcome is known.
#[test]
fn permissions_are_examined_along_the_way() {
    use std::os::unix::fs::MetadataExt;
    let scene = scene();
    let closed = scene.folder.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::rename(&scene.files.key, closed.join("montague.lit.key")).unwrap();
    symlink("closed/montague.lit.key", &scene.files.key).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let problems = scene.problems();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        assert!(problems.is_empty(), "{problems:?}");
    } else {
        assert_eq!(problems.len(), 1);
        let Fault::Unreadable { closed_directory, .. } = &problems[0].fault else {
            panic!("{problems:?}")
        };
        assert_eq!(closed_directory.as_deref(), Some(&*closed));
    }
}

#[test]
fn contents_that_belong_elsewhere() {
    let scene = scene();
    let key = scene.issued.key.clone();
    let certificate = scene.issued.chain.clone();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n".to_owned();
    let of_chain: [(&[u8], Found); 6] = [
        (b"\n \n", Found::Nothing),
        (b"to be filled in", Found::NoPem),
        (b"\x30\x82\x01\x00\x00", Found::Binary),
        (key.as_bytes(), Found::Key),
        (encrypted.as_bytes(), Found::EncryptedKey),
        (request.as_bytes(), Found::Request),
    ];
    for (content, expected) in of_chain {
        let problems = scene.chain(content).problems();
        assert!(
            matches!(problems[0].fault, Fault::WrongContent { found } if found == expected),
            "{problems:?}"
        );
        assert_eq!(problems[0].item, Item::Certificate);
    }
    scene.chain(&certificate);
    let of_key: [(&[u8], Found); 3] = [
        (b"", Found::Nothing),
        (certificate.as_bytes(), Found::Certificate),
        (encrypted.as_bytes(), Found::EncryptedKey),
    ];
    for (content, expected) in of_key {
        let problems = scene.key(content).problems();
        assert!(
            matches!(problems[0].fault, Fault::WrongContent { found } if found == expected),
            "{problems:?}"
        );
        assert_eq!(problems[0].item, Item::Key);
    }
    assert_eq!(
        scene.says(),
        [
            "the key for montague.lit at montague.lit.key holds a key that is encrypted with a passphrase",
            "The server cannot ask for the passphrase: `openssl pkey -in montague.lit.key -out NEW`, and \
             set [hosts.\"montague.lit\"] key to NEW.",
        ]
    );
}

#[test]
fn exchanged_settings() {
    let mut scene = scene();
    std::mem::swap(&mut scene.files.chain, &mut scene.files.key);
    let problems = scene.problems();
    assert_eq!(problems.len(), 2);
    for problem in problems {
        assert_eq!(
            problem.advice(),
            "Were certificate and key exchanged in the configuration?"
        );
    }
}

#[test]
fn damaged_files() {
    let scene = scene();
    let half = &scene.issued.chain[..scene.issued.chain.len() / 3];
    assert_eq!(
        scene.chain(half).says(),
        [
            "the certificate for montague.lit at montague.lit.pem is damaged PEM: the line -----END \
             CERTIFICATE----- is missing",
            "It may be cut short: copy it anew from where it was issued, or set [hosts.\"montague.lit\"] \
             certificate to another file.",
        ]
    );
    let no_certificate = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
    assert!(matches!(
        scene.chain(no_certificate).problems()[0].fault,
        Fault::DamagedCertificate { .. }
    ));
    let no_base64 = "-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n";
    assert!(scene.chain(no_base64).says()[0].contains("is damaged PEM: its base64 cannot be decoded"));
    scene.chain(&scene.issued.chain);
    let no_key = "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n";
    assert!(matches!(
        scene.key(no_key).problems()[0].fault,
        Fault::UnusableKey { .. }
    ));
}

#[test]
fn nothing_of_a_damaged_key_is_quoted() {
    let scene = scene();
    let secret = scene.issued.key.lines().nth(1).unwrap().to_owned();
    for damage in [
        scene.issued.key.replacen('\n', "\n*", 2),
        scene.issued.key.replace(&secret, &format!("-----BEGIN {secret}")),
        scene.issued.key.replace("-----END PRIVATE KEY-----", ""),
    ] {
        let words = format!("{0} {0:?}", scene.key(&damage).problems()[0]);
        assert!(!words.contains(&secret[..16]), "{words}");
    }
}

#[test]
fn a_key_of_another_certificate() {
    let scene = scene();
    assert_eq!(
        scene.key(KeyPair::generate().unwrap().serialize_pem()).says(),
        [
            "the key for montague.lit at montague.lit.key does not belong to the certificate at \
             montague.lit.pem",
            "One of the two is older than the other, or another host's: set certificate and key of \
             [hosts.\"montague.lit\"] to files that were issued together.",
        ]
    );
}

#[test]
fn a_chain_that_begins_with_the_issuer() {
    let scene = scene();
    let leaf = first_of(&scene.issued.chain);
    assert_eq!(
        scene.chain(format!("{}{leaf}", authority().pem())).says(),
        [
            "the key for montague.lit at montague.lit.key does not belong to the certificate at \
             montague.lit.pem",
            "It belongs to certificate 2 of that file: put that one first, the issuers after it.",
        ]
    );
}

#[test]
fn a_chain_with_a_stranger_in_it_or_without_its_issuer() {
    let scene = scene();
    let leaf = first_of(&scene.issued.chain);
    let stranger = first_of(&order(&["capulet.lit"]).issue().chain);
    assert_eq!(
        scene.chain(format!("{leaf}{stranger}")).says(),
        [
            "the certificate for montague.lit at montague.lit.pem is out of order: number 1 in it was \
             not issued by the one that follows",
            "Put the host's own certificate first, then its issuer, then the issuer of that one.",
        ]
    );
    assert_eq!(
        scene.chain(leaf).says(),
        [
            "the certificate for montague.lit at montague.lit.pem comes without the certificate of its \
             issuer",
            "It was issued by CN=Authority of the tests. Unless clients trust that name directly, append \
             its certificate (with certbot: use fullchain.pem, not cert.pem).",
        ]
    );
    assert_eq!(scene.problems()[0].severity(), Severity::Warning);
}

#[test]
fn times() {
    let scene = scene();
    let valid = |from, until| order(&["montague.lit"]).valid(from, until).issue();
    assert_eq!(
        scene.both(&valid(TODAY - 90, TODAY - 1)).says(),
        [
            "the certificate for montague.lit at montague.lit.pem expired on 2026-05-31 00:00 UTC",
            "Renew it; the server takes the new montague.lit.pem by itself, without a restart.",
        ]
    );
    assert_eq!(
        scene.both(&valid(TODAY + 1, TODAY + 90)).says(),
        [
            "the certificate for montague.lit at montague.lit.pem is not valid before 2026-06-02 00:00 \
             UTC",
            "If the clock of this machine is right (2026-06-01 00:00 UTC), wait until then, or use an \
             older certificate; else set the clock.",
        ]
    );
    assert!(scene.both(&valid(TODAY - 80, TODAY + 10)).says()[0].contains("expires on 2026-06-11 00:00 UTC"));
    assert_eq!(scene.problems()[0].severity(), Severity::Warning);
    // A certificate of six days is renewed every few days: half of its time is not soon.
    assert!(scene.both(&valid(TODAY - 3, TODAY + 3)).problems().is_empty());
    assert!(scene.both(&valid(TODAY - 5, TODAY + 1)).says()[0].contains("expires on 2026-06-02 00:00 UTC"));
}

#[test]
fn names() {
    let scene = scene();
    assert_eq!(
        scene
            .both(&order(&["capulet.lit", "*.verona.lit"]).issue())
            .says(),
        [
            "the certificate for montague.lit at montague.lit.pem does not cover montague.lit",
            "It covers capulet.lit, *.verona.lit: have it issued for montague.lit too, or set \
             [hosts.\"montague.lit\"] certificate to one that covers it.",
        ]
    );
    // RFC 6125 §6.4.4: the common name is not asked.
    let common_name = order(&[]).with(|parameters| {
        parameters
            .distinguished_name
            .push(rcgen::DnType::CommonName, "montague.lit");
        // An unknown extension, so that the certificate is of version 3 without any name.
        parameters
            .custom_extensions
            .push(CustomExtension::from_oid_content(
                &[1, 3, 6, 1, 4, 1, 1],
                vec![5, 0],
            ));
    });
    assert_eq!(
        scene.both(&common_name.issue()).says(),
        [
            "the certificate for montague.lit at montague.lit.pem does not cover montague.lit",
            "It has no subject alternative name of use (its common name does not count): have it issued \
             with the DNS name montague.lit.",
        ]
    );
    let many: Vec<String> = (0..20).map(|number| format!("h{number}.lit")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(
        scene.both(&order(&many).issue()).says()[1].contains(
            "It covers h0.lit, h1.lit, h2.lit, h3.lit, h4.lit, h5.lit, h6.lit, h7.lit and 12 more:"
        )
    );
}

#[test]
fn a_name_that_another_hosts_certificate_covers_is_covered() {
    let mut scene = scene();
    scene.files.required_names.push("chats.montague.lit".to_owned());
    assert!(scene.says()[0].contains("does not cover chats.montague.lit"));
    let other = scene.folder.put(
        "capulet.lit",
        &order(&["capulet.lit", "chats.montague.lit"]).issue(),
    );
    assert!(examine(vec![scene.files.clone(), other], day(TODAY)).is_empty());
}

#[test]
fn a_certificate_for_clients_only() {
    let scene = scene();
    let for_clients = order(&["montague.lit"])
        .with(|parameters| parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(
        scene.both(&for_clients.issue()).says(),
        [
            "the certificate for montague.lit at montague.lit.pem is not meant for TLS servers",
            "Have it issued with the purpose \"TLS server authentication\".",
        ]
    );
}

#[test]
fn a_key_that_everybody_can_read() {
    let scene = scene();
    fs::set_permissions(&scene.folder.0, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&scene.files.key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        scene.says(),
        [
            "the key for montague.lit at montague.lit.key can be read by every user of this machine",
            "Its mode is 0644: run `chmod o-rwx montague.lit.key`, and renew the certificate if \
             strangers use this machine.",
        ]
    );
    // Behind a closed door it cannot.
    fs::set_permissions(&scene.folder.0, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(scene.problems().is_empty());
}
