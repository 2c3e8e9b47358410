//! Who is counted where, and what is remembered of whom.

use std::time::Duration;

use machine::Rate;

use super::admission::HINTED_MAX;
use super::*;

fn limits(per_address: usize, unauthenticated: usize) -> AddressLimits {
    let failed_logins = Some(Rate {
        events: 2,
        per: Duration::from_secs(60),
    });
    let exempt = vec![Range {
        address: "127.0.0.0".parse().unwrap(),
        prefix: 8,
    }];
    AddressLimits {
        connections: 8,
        unauthenticated,
        per_address,
        unauthenticated_per_address: per_address,
        unauthenticated_reads: None,
        arrivals: None,
        provoked: None,
        failed_logins,
        registrations: Some(Rate {
            events: 3,
            per: Duration::from_secs(3600),
        }),
        exempt,
    }
}

#[test]
fn connections_are_counted_by_address_and_ipv6_by_its_network() {
    let addresses = Addresses::new("clients", limits(2, 8));
    let (one, same, other): (IpAddr, IpAddr, IpAddr) = (
        "2001:db8::1".parse().unwrap(),
        "2001:db8::ffff".parse().unwrap(),
        "2001:db8:0:1::1".parse().unwrap(),
    );
    let first = addresses.admit(one).unwrap();
    let _second = addresses.admit(same).unwrap();
    assert!(addresses.admit(one).is_none());
    assert_eq!(addresses.rejected(Limit::Address), 1);
    assert!(addresses.admit(other).is_some());
    drop(first);
    assert!(addresses.admit(same).is_some());
    assert_eq!(
        addresses.counts.lock().entries.len(),
        1,
        "what is over is forgotten"
    );
}

#[test]
fn connections_are_counted_by_host_transport_and_how_far_they_have_come_until_they_go() {
    let addresses = Addresses::new("clients", limits(9, 9));
    let one: IpAddr = "192.0.2.1".parse().unwrap();
    let told = || {
        let of = |group: Group| {
            let Group {
                host,
                transport,
                unauthenticated,
                authenticated,
                closing,
            } = group;
            format!("{host} {transport} {unauthenticated} {authenticated} {closing}")
        };
        let all = addresses.groups().into_iter().map(of);
        all.filter(|group| !group.ends_with(" 0 0 0")).collect::<Vec<_>>()
    };
    let mut held: Vec<_> = (0..3).map(|_| addresses.admit(one).unwrap()).collect();
    assert!(told().is_empty(), "nobody has said how they come");
    for (admission, transport) in held.iter_mut().zip(["tls", "ws", "tls"]) {
        admission.comes(transport);
    }
    assert_eq!(told(), [" tls 2 0 0", " ws 1 0 0"]);
    held[0].names("montague.lit");
    held[0].names("capulet.lit");
    assert_eq!(told(), [" tls 1 0 0", " ws 1 0 0", "montague.lit tls 1 0 0"]);
    held[0].logged_in("montague.lit", "tls");
    held[0].logged_in("montague.lit", "tls");
    held[1].logged_in("montague.lit", "ws");
    held[2].closes();
    assert_eq!(
        told(),
        [" tls 1 0 0", "montague.lit tls 0 1 0", "montague.lit ws 0 1 0"],
        "who has no session has none that ends"
    );
    held[0].names("montague.lit");
    held[0].closes();
    // A connection that carries requests of a session which is counted itself.
    held[2].authenticated();
    assert_eq!(told(), ["montague.lit tls 0 0 1", "montague.lit ws 0 1 0"]);
    held.clear();
    assert!(told().is_empty());
}

#[test]
fn those_who_have_logged_in_make_room_for_others_to_do_so() {
    let addresses = Addresses::new("clients", limits(8, 1));
    let mut first = addresses.admit("192.0.2.1".parse().unwrap()).unwrap();
    assert!(addresses.admit("192.0.2.2".parse().unwrap()).is_none());
    first.authenticated();
    first.authenticated();
    assert!(addresses.admit("192.0.2.2".parse().unwrap()).is_some());
    assert_eq!(addresses.connections(), (1, 0));
}

#[test]
fn those_of_one_address_who_have_not_logged_in_have_a_smaller_limit() {
    let addresses = Addresses::new(
        "servers",
        AddressLimits {
            unauthenticated_per_address: 2,
            ..limits(4, 8)
        },
    );
    let one: IpAddr = "192.0.2.1".parse().unwrap();
    let mut held: Vec<_> = (0..2).map(|_| addresses.admit(one).unwrap()).collect();
    assert!(addresses.admit(one).is_none());
    held[0].authenticated();
    held.push(addresses.admit(one).unwrap());
    held.iter_mut().for_each(Admission::authenticated);
    held.push(addresses.admit(one).unwrap());
    assert!(addresses.admit(one).is_none(), "four of them in all");
    drop(held);
    assert!(addresses.counts.lock().entries.is_empty());
}

#[test]
fn arrivals_and_what_is_provoked_are_remembered_beyond_the_connection() {
    let rate = Some(Rate {
        events: 2,
        per: Duration::from_secs(60),
    });
    let addresses = Addresses::new(
        "servers",
        AddressLimits {
            arrivals: rate,
            provoked: rate,
            ..limits(9, 9)
        },
    );
    let at = |seconds: u64| Moment::from_micros(seconds * 1_000_000);
    let come = |seconds| {
        let admission = addresses.admit("192.0.2.1".parse().unwrap()).unwrap();
        (
            admission.may_arrive(at(seconds)),
            admission.may_provoke(at(seconds)),
        )
    };
    assert_eq!(
        (come(1), come(2), come(3)),
        ((true, true), (true, true), (false, false))
    );
    assert_eq!(addresses.rejected(Limit::Provoked), 1);
    assert_eq!(come(62), (true, true));
    let exempt = addresses.admit("127.0.0.1".parse().unwrap()).unwrap();
    assert!((0..9).all(|_| exempt.may_arrive(at(1)) && exempt.may_provoke(at(1))));
}

#[test]
fn failures_are_forgotten_after_their_time() {
    let addresses = Addresses::new("clients", limits(9, 9));
    let admission = addresses.admit("192.0.2.1".parse().unwrap()).unwrap();
    let at = |seconds: u64| Moment::from_micros(seconds * 1_000_000);
    admission.login_failed(at(1));
    assert!(!admission.has_failed_too_often(at(1)));
    admission.login_failed(at(2));
    assert!(admission.has_failed_too_often(at(3)));
    assert!(!admission.has_failed_too_often(at(61)));
}

#[test]
fn xep0077_3_1_1_new_accounts_are_counted_by_address_and_those_not_made_are_not() {
    let addresses = Addresses::new("clients", limits(9, 9));
    let at = |seconds: u64| Moment::from_micros(seconds * 1_000_000);
    for second in 0..3 {
        // The connection does not live longer than its registration; the count does.
        let admission = addresses.admit("192.0.2.1".parse().unwrap()).unwrap();
        assert!(admission.may_register(at(second)));
    }
    let admission = addresses.admit("192.0.2.1".parse().unwrap()).unwrap();
    assert!(!admission.may_register(at(3)));
    admission.registration_failed();
    assert!(admission.may_register(at(4)));
    assert!(!admission.may_register(at(3599)));
    assert!(admission.may_register(at(3600)));
    let other = addresses.admit("192.0.2.2".parse().unwrap()).unwrap();
    assert!(other.may_register(at(4)));
    let exempt = addresses.admit("127.0.0.1".parse().unwrap()).unwrap();
    assert!((0..9).all(|_| exempt.may_register(at(4))));
}

#[test]
fn the_operator_hears_of_the_wrong_port_once_in_a_while_for_each_address() {
    let addresses = Addresses::new("clients", limits(9, 9));
    let at = |seconds: u64| Moment::from_micros(seconds * 1_000_000);
    let is_told = |address: IpAddr, seconds| {
        addresses
            .admit(address)
            .unwrap()
            .is_worth_a_hint(WrongPort::Tls, at(seconds))
    };
    let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([127, 0, 0, 1]));
    let told = [(one, 0), (one, 1), (other, 2), (one, 599), (one, 600), (one, 601)];
    assert_eq!(
        told.map(|(address, seconds)| is_told(address, seconds)),
        [true, false, true, false, true, false]
    );
    let many = (0..2 * HINTED_MAX as u32).map(|n| IpAddr::from(n.to_be_bytes()));
    assert_eq!(
        many.filter(|address| is_told(*address, 700)).count(),
        HINTED_MAX - 1
    );
    assert!(is_told(other, 1400), "what is over is forgotten");
    assert!(addresses.hinted.lock().len() <= HINTED_MAX);
}

#[test]
fn exempt_ranges_have_no_limit_per_address_also_when_mapped() {
    let addresses = Addresses::new("clients", limits(1, 9));
    let held: Vec<_> = (0..9)
        .filter_map(|_| addresses.admit("::ffff:127.0.0.1".parse().unwrap()))
        .collect();
    assert_eq!(held.len(), 8, "only the limit of all connections counts");
}
