//! The names in certificates, and the domains that they cover.

use rcgen::{CertificateParams, KeyPair, OtherNameValue, SanType};

use super::super::{CertificateNames, Coverage};

fn names_of(alternatives: Vec<SanType>) -> CertificateNames {
    let mut parameters = CertificateParams::default();
    parameters.subject_alt_names = alternatives;
    let certificate = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate.der()).unwrap();
    CertificateNames::of(&parsed)
}

fn dns(names: &[&str]) -> CertificateNames {
    names_of(
        names
            .iter()
            .map(|name| SanType::DnsName((*name).try_into().unwrap()))
            .collect(),
    )
}

fn other(kind: &[u64], value: &str) -> SanType {
    SanType::OtherName((kind.to_vec(), OtherNameValue::Utf8String(value.to_owned())))
}

const XMPP_ADDRESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 5];
const SERVICE_NAME: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 7];
const PRINCIPAL_NAME: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 20, 2, 3];

#[test]
fn rfc6125_6_4_1_a_name_covers_itself_in_any_case_and_nothing_else() {
    let names = dns(&["Montague.lit"]);
    for covered in ["montague.lit", "MONTAGUE.LIT", "montague.lit."] {
        assert_eq!(names.cover(covered), Some(Coverage::Exact), "{covered}");
    }
    for foreign in [
        "chats.montague.lit",
        "lit",
        "ontague.lit",
        "montague.lit.evil.example",
        "",
        ".",
        "*.montague.lit",
    ] {
        assert_eq!(names.cover(foreign), None, "{foreign}");
    }
}

#[test]
fn rfc6125_6_4_3_a_wildcard_stands_for_exactly_the_leftmost_label() {
    let names = dns(&["*.montague.lit"]);
    assert_eq!(names.cover("chats.montague.lit"), Some(Coverage::Wildcard));
    for foreign in [
        "*.montague.lit",
        "montague.lit",
        "a.chats.montague.lit",
        ".montague.lit",
        "chats.capulet.lit",
    ] {
        assert_eq!(names.cover(foreign), None, "{foreign}");
    }
    // Wildcards in other places and parts of labels are no names at all.
    let odd = dns(&[
        "chats.*.lit",
        "ch*.montague.lit",
        "*",
        "*.",
        "**.montague.lit",
        "*.*.lit",
    ]);
    assert_eq!(odd.iter().count(), 0);
    for domain in ["chats.montague.lit", "lit", "montague.lit", "a.b.lit"] {
        assert_eq!(odd.cover(domain), None, "{domain}");
    }
}

#[test]
fn rfc6125_6_4_2_internationalized_domains_are_compared_as_a_labels() {
    let names = dns(&["xn--bcher-kva.example", "*.xn--mnchen-3ya.example"]);
    assert_eq!(names.cover("bücher.example"), Some(Coverage::Exact));
    assert_eq!(names.cover("BÜCHER.example"), Some(Coverage::Exact));
    assert_eq!(names.cover("xn--bcher-kva.example"), Some(Coverage::Exact));
    assert_eq!(names.cover("chats.münchen.example"), Some(Coverage::Wildcard));
    assert_eq!(names.cover("bucher.example"), None);
}

#[test]
fn rfc6120_13_7_1_2_srv_names_and_xmpp_addresses_count_and_dns_names_go_before_them() {
    let names = names_of(vec![
        other(XMPP_ADDRESS, "montague.lit"),
        other(SERVICE_NAME, "_xmpp-client.capulet.lit"),
        other(SERVICE_NAME, "_XMPPS-server.verona.lit"),
        other(SERVICE_NAME, "_imaps.mail.lit"),
        other(PRINCIPAL_NAME, "windows.lit"),
        SanType::Rfc822Name("mail.example".try_into().unwrap()),
        SanType::URI("https://web.example".try_into().unwrap()),
        SanType::DnsName("capulet.lit".try_into().unwrap()),
    ]);
    assert_eq!(names.cover("montague.lit"), Some(Coverage::XmppName));
    assert_eq!(names.cover("verona.lit"), Some(Coverage::XmppName));
    assert_eq!(names.cover("capulet.lit"), Some(Coverage::Exact));
    for foreign in [
        "mail.lit",
        "windows.lit",
        "mail.example",
        "web.example",
        "_xmpp-client.capulet.lit",
    ] {
        assert_eq!(names.cover(foreign), None, "{foreign}");
    }
    assert_eq!(
        names.iter().collect::<Vec<_>>(),
        ["capulet.lit", "montague.lit", "verona.lit"]
    );
    assert!(Coverage::Exact > Coverage::Wildcard && Coverage::Wildcard > Coverage::XmppName);
}

#[test]
fn a_wildcard_in_an_xmpp_name_is_no_wildcard() {
    let names = names_of(vec![
        other(XMPP_ADDRESS, "*.montague.lit"),
        other(SERVICE_NAME, "_xmpp-client.*.capulet.lit"),
    ]);
    assert_eq!(names.cover("chats.montague.lit"), None);
    assert_eq!(names.cover("chats.capulet.lit"), None);
}
