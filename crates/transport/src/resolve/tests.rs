//! The resolver against a name server of the test.

use std::collections::BTreeMap;
use std::sync::Arc;

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
use hickory_resolver::proto::rr::{RData, Record};
use parking_lot::Mutex;
use tokio::net::UdpSocket;

use super::*;

/// What the name server says to one question.
#[derive(Clone)]
enum Says {
    Records(Vec<RData>),
    Nothing,
    NoSuchName,
    Failure,
}

/// What a name server knows: everything else does not exist.
#[derive(Default, Clone)]
struct Zone(BTreeMap<(String, RecordType), Says>);

impl Zone {
    fn with(mut self, name: &str, kind: RecordType, says: Says) -> Zone {
        self.0.insert((format!("{name}."), kind), says);
        self
    }

    fn srv(self, name: &str, records: &[(u16, u16, u16, &str)]) -> Zone {
        let records = records.iter().map(|(priority, weight, port, target)| {
            let target = Name::from_ascii(format!("{}.", target.trim_end_matches('.'))).unwrap();
            RData::SRV(SRV::new(*priority, *weight, *port, target))
        });
        self.with(name, RecordType::SRV, Says::Records(records.collect()))
    }

    fn host(self, name: &str, four: &[&str], six: &[&str]) -> Zone {
        let four = four.iter().map(|ip| RData::A(A(ip.parse().unwrap()))).collect();
        let six = six
            .iter()
            .map(|ip| RData::AAAA(AAAA(ip.parse().unwrap())))
            .collect();
        self.with(name, RecordType::A, Says::Records(four))
            .with(name, RecordType::AAAA, Says::Records(six))
    }

    /// Serves on loopback; gives the address and the questions that were asked.
    async fn serve(self) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let mut message = Message::from_vec(&buffer[..length]).unwrap().into_response();
                let query = message.queries[0].clone();
                let name = query.name().to_ascii().to_ascii_lowercase();
                log.lock().push(format!("{name} {}", query.query_type()));
                let exists = self.0.keys().any(|(known, _)| *known == name);
                let says = self.0.get(&(name, query.query_type())).cloned();
                match says.unwrap_or(if exists { Says::Nothing } else { Says::NoSuchName }) {
                    Says::Records(records) => message.answers.extend(
                        records
                            .into_iter()
                            .map(|data| Record::from_rdata(query.name().clone(), 60, data)),
                    ),
                    Says::Nothing => {}
                    Says::NoSuchName => message.metadata.response_code = ResponseCode::NXDomain,
                    Says::Failure => message.metadata.response_code = ResponseCode::ServFail,
                }
                socket.send_to(&message.to_vec().unwrap(), from).await.unwrap();
            }
        });
        (address, asked)
    }

    /// Looks for a domain with these settings and this zone.
    async fn find(self, domain: &str, settings: ResolverSettings) -> Found {
        let (server, _) = self.serve().await;
        let servers = vec![server];
        let resolver = Resolver::new(ResolverSettings { servers, ..settings });
        resolver.find(&Address::domain(domain).unwrap(), &mut |_| 0).await
    }

    async fn look(self, domain: &str) -> Found {
        self.find(domain, ResolverSettings::default()).await
    }
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn places(found: &Found) -> Vec<(&str, Transport, Vec<SocketAddr>)> {
    let place = |target: &'_ Target| (target.transport, target.addresses.clone());
    found
        .targets
        .iter()
        .map(|target| {
            let (transport, addresses) = place(target);
            (target.name.as_str(), transport, addresses)
        })
        .collect()
}

#[tokio::test]
async fn xep0368_3_both_kinds_of_service_records_are_tried_as_one_list() {
    let found = Zone::default()
        .srv(
            "_xmpp-server._tcp.capulet.lit",
            &[(5, 0, 5269, "plain.lit"), (30, 0, 5269, "last.lit")],
        )
        .srv("_xmpps-server._tcp.capulet.lit", &[(10, 0, 5270, "direct.lit")])
        .host("plain.lit", &["192.0.2.1", "192.0.2.2"], &["2001:db8::1"])
        .host("direct.lit", &["192.0.2.3"], &[])
        .host("last.lit", &["192.0.2.4"], &[])
        .look("capulet.lit")
        .await;
    assert_eq!(found.dns.fault, None);
    let six = at("[2001:db8::1]:5269");
    assert_eq!(
        places(&found),
        [
            (
                "plain.lit",
                Transport::Tcp,
                vec![six, at("192.0.2.1:5269"), at("192.0.2.2:5269")]
            ),
            ("direct.lit", Transport::DirectTls, vec![at("192.0.2.3:5270")]),
            ("last.lit", Transport::Tcp, vec![at("192.0.2.4:5269")]),
        ]
    );
    assert_eq!(found.dns.services.len(), 3);
    assert_eq!(found.dns.addresses.len(), 3);
    assert!(found.dns.asked);
}

#[tokio::test]
async fn rfc6120_3_2_2_a_domain_without_service_records_is_its_own_server() {
    let found = Zone::default()
        .host("capulet.lit", &["192.0.2.1"], &["2001:db8::1"])
        .look("capulet.lit")
        .await;
    let expected = vec![at("[2001:db8::1]:5269"), at("192.0.2.1:5269")];
    assert_eq!(places(&found), [("capulet.lit", Transport::Tcp, expected)]);
    assert_eq!(found.dns.services, []);
}

#[tokio::test]
async fn rfc2782_a_target_of_dot_says_that_there_is_no_service() {
    let found = Zone::default()
        .srv("_xmpp-server._tcp.capulet.lit", &[(0, 0, 0, ".")])
        .host("capulet.lit", &["192.0.2.1"], &[])
        .look("capulet.lit")
        .await;
    assert_eq!(found.dns.fault, Some(DnsFault::NoService));
    assert!(found.targets.is_empty(), "no fall-back to the domain's address");
    // Only one of the two kinds is not offered.
    let found = Zone::default()
        .srv("_xmpps-server._tcp.capulet.lit", &[(0, 0, 0, ".")])
        .srv("_xmpp-server._tcp.capulet.lit", &[(0, 0, 5269, "plain.lit")])
        .host("plain.lit", &["192.0.2.1"], &[])
        .look("capulet.lit")
        .await;
    assert_eq!(places(&found).len(), 1);
}

#[tokio::test]
async fn rfc6120_10_4_3_what_dns_does_not_know_is_told_apart() {
    let unknown = Zone::default().look("capulet.lit").await;
    assert_eq!(unknown.dns.fault, Some(DnsFault::NoSuchDomain));
    let empty = Zone::default()
        .with("capulet.lit", RecordType::TXT, Says::Nothing)
        .look("capulet.lit")
        .await;
    assert_eq!(empty.dns.fault, Some(DnsFault::NoService));
    let no_address = Zone::default()
        .srv("_xmpp-server._tcp.capulet.lit", &[(0, 0, 5269, "gone.lit")])
        .look("capulet.lit")
        .await;
    assert_eq!(no_address.dns.fault, Some(DnsFault::NoService));
    let broken = Zone::default()
        .with("_xmpp-server._tcp.capulet.lit", RecordType::SRV, Says::Failure)
        .host("capulet.lit", &["192.0.2.1"], &[])
        .look("capulet.lit")
        .await;
    assert!(
        matches!(broken.dns.fault, Some(DnsFault::Unavailable(_))),
        "{broken:?}"
    );
    assert!(
        broken.targets.is_empty(),
        "who suppresses an answer does not decide where we go"
    );
}

#[tokio::test]
async fn private_addresses_of_dns_are_not_tried_unless_they_are_allowed() {
    let zone = || Zone::default().host("capulet.lit", &["127.0.0.1", "192.0.2.1"], &["fd00::1"]);
    let found = zone().look("capulet.lit").await;
    assert_eq!(found.targets[0].addresses, [at("192.0.2.1:5269")]);
    assert_eq!(
        found.targets[0].forbidden,
        [at("[fd00::1]:5269"), at("127.0.0.1:5269")]
    );
    let loopback = Range {
        address: "127.0.0.0".parse().unwrap(),
        prefix: 8,
    };
    let settings = ResolverSettings {
        private_addresses: vec![loopback],
        ..ResolverSettings::default()
    };
    let found = zone().find("capulet.lit", settings).await;
    assert_eq!(
        found.targets[0].addresses,
        [at("127.0.0.1:5269"), at("192.0.2.1:5269")]
    );
}

#[tokio::test]
async fn a_route_takes_the_place_of_dns_and_may_lead_to_private_addresses() {
    let capulet = Address::domain("capulet.lit").unwrap();
    let route = |route: Route| ResolverSettings {
        routes: BTreeMap::from([(capulet.clone(), route)]),
        ..ResolverSettings::default()
    };
    let zone = Zone::default().host("inside.lit", &["10.0.0.7"], &[]);
    let (server, asked) = zone.clone().serve().await;
    let servers = vec![server];
    let settings = ResolverSettings {
        servers,
        ..route(Route::Address(at("127.0.0.12:5269")))
    };
    let found = Resolver::new(settings).find(&capulet, &mut |_| 0).await;
    assert_eq!(found.targets[0].addresses, [at("127.0.0.12:5269")]);
    assert!(asked.lock().is_empty() && !found.dns.asked);
    let host = Route::Host(String::from("inside.lit"), 5300);
    let found = zone.find("capulet.lit", route(host)).await;
    assert_eq!(found.targets[0].addresses, [at("10.0.0.7:5300")]);
}

#[tokio::test]
async fn rfc7622_3_2_1_domains_are_asked_for_as_dns_spells_them_and_without_search() {
    let zone = Zone::default().host("xn--mnchen-3ya.lit", &["192.0.2.1"], &[]);
    let (server, asked) = zone.serve().await;
    let settings = ResolverSettings {
        servers: vec![server],
        ..ResolverSettings::default()
    };
    let resolver = Resolver::new(settings);
    let found = resolver
        .find(&Address::domain("münchen.lit").unwrap(), &mut |_| 0)
        .await;
    assert_eq!(found.targets[0].addresses, [at("192.0.2.1:5269")]);
    let mut asked = asked.lock().clone();
    asked.sort();
    asked.dedup();
    assert_eq!(
        asked,
        [
            "_xmpp-server._tcp.xn--mnchen-3ya.lit. SRV",
            "_xmpps-server._tcp.xn--mnchen-3ya.lit. SRV",
            "xn--mnchen-3ya.lit. A",
            "xn--mnchen-3ya.lit. AAAA",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_does_not_answer_costs_no_more_than_its_time() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let settings = ResolverSettings {
        servers: vec![silent.local_addr().unwrap()],
        ..ResolverSettings::default()
    };
    let resolver = Resolver::new(settings);
    let started = Instant::now();
    let found = resolver
        .find(&Address::domain("capulet.lit").unwrap(), &mut |_| 0)
        .await;
    assert!(matches!(found.dns.fault, Some(DnsFault::Unavailable(_))));
    assert!(started.elapsed() <= LOOKUP_TIME + Duration::from_secs(1));
}
