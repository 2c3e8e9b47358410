//! Fourteen peers that are broken in fourteen ways, each on a socket of its own: fourteen verdicts.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test; and it gives up on whatever it does not expect"
)]

mod ground;

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use router::{Router, Store};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use s2s::explain::Verdict;
use s2s::link::{Cause, View};
use s2s::{Admission, Authentication, Pair, Policies, Policy};
use stanza::{Address, StreamCondition};
use storage::Memory;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;
use transport::tls::{Certificates, Trust};
use transport::{AddressLimits, Range, ResolverSettings, Route, ServerSettings, Servers, System};

/// What a broken peer does.
#[derive(Clone)]
enum Broken {
    /// DNS does not know the domain.
    NoSuchDomain,
    /// DNS knows the domain, and no address of it.
    NoAddress,
    /// Nobody listens.
    Refused,
    /// Nobody answers.
    BlackHole,
    /// It speaks nothing newer than TLS 1.1.
    OldTls,
    /// It offers no TLS.
    NoTls,
    /// It shows this certificate; then it does as it is told in the features.
    Shows(Shown),
    /// It does this with our key of dialback.
    Dialback(&'static str),
    /// We are told not to talk to it.
    OurPolicy,
    /// It ends the stream with this error at once.
    Error(&'static str),
    /// Its header is that of another domain.
    WrongHost,
}

/// Which certificate.
#[derive(Clone, Copy, PartialEq)]
enum Shown {
    Good,
    Expired,
    WrongName,
    UnknownAuthority,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fourteen_broken_peers_get_fourteen_verdicts() {
    let error = |condition: StreamCondition| Verdict::StreamError(condition.into());
    let refused = Verdict::DialbackRefused(s2s::explain::DialbackRefusal::Invalid);
    let cases: [(&str, Broken, Verdict); 14] = [
        ("unknown.lit", Broken::NoSuchDomain, Verdict::NoSuchDomain),
        ("nowhere.lit", Broken::NoAddress, Verdict::NoService),
        ("refused.lit", Broken::Refused, Verdict::Refused),
        ("hole.lit", Broken::BlackHole, Verdict::BlackHole),
        ("old.lit", Broken::OldTls, Verdict::TlsTooOld),
        ("expired.lit", Broken::Shows(Shown::Expired), Verdict::Expired),
        ("name.lit", Broken::Shows(Shown::WrongName), Verdict::WrongName),
        (
            "self.lit",
            Broken::Shows(Shown::UnknownAuthority),
            Verdict::UnknownAuthority,
        ),
        ("bare.lit", Broken::NoTls, Verdict::NoCertificate),
        ("forged.lit", Broken::Dialback("invalid"), refused),
        ("slow.lit", Broken::Dialback(""), Verdict::DialbackTimedOut),
        ("blocked.lit", Broken::OurPolicy, Verdict::OurPolicy),
        (
            "broken.lit",
            Broken::Error("internal-server-error"),
            error(StreamCondition::InternalServerError),
        ),
        (
            "other.lit",
            Broken::WrongHost,
            Verdict::WrongHost(String::from("somebody.lit")),
        ),
    ];
    let world = World::start(&cases).await;
    let mut verdicts = Vec::new();
    for (domain, broken, expected) in &cases {
        if let Broken::OurPolicy = broken {
            // Nothing is tried, so that there is nothing to be judged but the policy.
            verdicts.push(world.policy(domain).await.sentence().to_owned());
            continue;
        }
        let attempt = world.attempt(domain).await;
        let (verdict, sentence) = (attempt.verdict(), attempt.sentence());
        println!("{domain}: {sentence}");
        assert_eq!(
            discriminant(&verdict),
            discriminant(expected),
            "{domain}: {attempt:#?}"
        );
        verdicts.push(sentence.replace(domain, "DOMAIN"));
    }
    let all = verdicts.len();
    verdicts.sort();
    verdicts.dedup();
    assert_eq!(verdicts.len(), all, "each of them is told in its own words");
}

/// A server here, and its broken peers.
struct World {
    router: Arc<Router>,
    _servers: Arc<Servers>,
    _fillers: Vec<std::net::TcpStream>,
}

impl World {
    async fn start(cases: &[(&str, Broken, Verdict)]) -> World {
        let authority = Authority::new("Lab");
        let folder = ground::Folder::new();
        let roots = folder.write("roots.pem", &authority.pem);
        let names = name_server().await;
        let mut routes = BTreeMap::new();
        let mut by_domain = BTreeMap::new();
        let mut fillers = Vec::new();
        for (domain, broken, _) in cases {
            let address = Address::domain(domain).unwrap();
            let by_certificate = matches!(broken, Broken::Shows(shown) if *shown != Shown::Good);
            by_domain.insert(
                address.clone(),
                Policy {
                    admission: match broken {
                        Broken::OurPolicy => Admission::Blocked,
                        _ => Admission::Allowed,
                    },
                    authentication: match by_certificate {
                        true => Authentication::Certificate,
                        false => Authentication::CertificateOrDialback,
                    },
                    ..Policy::default()
                },
            );
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let place = listener.local_addr().unwrap();
            match broken {
                Broken::NoSuchDomain | Broken::NoAddress => continue,
                Broken::Refused => drop(listener),
                Broken::BlackHole => {
                    let hole =
                        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
                    drop(listener);
                    hole.bind(&place.into()).unwrap();
                    hole.listen(0).unwrap();
                    let patience = Duration::from_millis(100);
                    while let Ok(filler) = std::net::TcpStream::connect_timeout(&place, patience) {
                        fillers.push(filler);
                    }
                    fillers.push(hole.into());
                }
                _ => {
                    let peer = Peer {
                        domain: (*domain).to_owned(),
                        broken: broken.clone(),
                        acceptor: authority.acceptor(domain, broken),
                    };
                    tokio::spawn(peer.serve(listener));
                }
            }
            routes.insert(address, Route::Address(place));
        }
        let (router, servers) = start(&folder, names, routes, by_domain, roots);
        World {
            router,
            _servers: servers,
            _fillers: fillers,
        }
    }

    /// The first attempt to reach the domain.
    async fn attempt(&self, domain: &str) -> Arc<s2s::explain::Attempt> {
        self.seen(domain, |view| view.attempts.first().map(Arc::clone))
            .await
    }

    /// Why nothing is tried.
    async fn policy(&self, domain: &str) -> Cause {
        let cause = self.seen(domain, |view| view.cause).await;
        assert_eq!(cause, Cause::Policy);
        cause
    }

    /// What is to be seen of the link, once it is.
    async fn seen<T>(&self, domain: &str, what: impl Fn(&View) -> Option<T>) -> T {
        let pair = Pair {
            local: Address::domain("montague.lit").unwrap(),
            remote: Address::domain(domain).unwrap(),
        };
        self.router.work(|worker| self.router.connect(&pair, worker));
        let seen = async {
            loop {
                let views = self.router.links();
                let found = views.iter().find(|view| view.pair == pair);
                if let Some(seen) = found.and_then(&what) {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen)
            .await
            .unwrap_or_else(|_| panic!("{domain}: nothing was tried"))
    }
}

fn start(
    folder: &ground::Folder,
    names: SocketAddr,
    routes: BTreeMap<Address, Route>,
    by_domain: BTreeMap<Address, Policy>,
    roots: std::path::PathBuf,
) -> (Arc<Router>, Arc<Servers>) {
    let system = System::start(&Handle::current(), 2);
    let on = Handle::current();
    let store = Memory::on(Box::new(move |job| {
        on.spawn(async move { job() });
    }));
    let mut settings = ground::router_settings();
    let policies = Policies {
        by_domain,
        ..Policies::default()
    };
    settings.federation = settings.federation.with_policies(policies);
    settings.federation.stream.times.dialback = Duration::from_millis(300);
    let router = Router::new(
        settings,
        Arc::new(store) as Arc<dyn Store>,
        Arc::new(system.clone()),
    );
    let (certificates, _) = Certificates::load(vec![folder.certificate("montague.lit")]);
    let settings = ServerSettings {
        resolver: ResolverSettings {
            servers: vec![names],
            routes,
            private_addresses: Vec::<Range>::new(),
        },
        addresses: AddressLimits {
            connections: 100,
            unauthenticated: 100,
            per_address: 100,
            unauthenticated_per_address: 100,
            unauthenticated_reads: None,
            arrivals: None,
            provoked: None,
            failed_logins: None,
            registrations: None,
            exempt: Vec::new(),
        },
        connect_time: Duration::from_millis(500),
        stanzas: None,
        unfinished_bytes: usize::MAX,
    };
    let trust = Trust::load(&[roots]).unwrap();
    let servers = Servers::start(settings, trust, certificates, Arc::clone(&router), system);
    (router, servers)
}

/// A name server that knows one domain, and nothing of it.
async fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let mut message = Message::from_vec(&buffer[..length]).unwrap().into_response();
            let query = message.queries[0].clone();
            let name = query.name().to_ascii();
            if name != "nowhere.lit." {
                message.metadata.response_code = ResponseCode::NXDomain;
            } else if query.query_type() == RecordType::PTR {
                let data = RData::A(A("192.0.2.1".parse().unwrap()));
                message
                    .answers
                    .push(Record::from_rdata(query.name().clone(), 1, data));
            }
            socket.send_to(&message.to_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

/// Whoever issues certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    fn acceptor(&self, domain: &str, broken: &Broken) -> TlsAcceptor {
        let shown = match broken {
            Broken::Shows(shown) => *shown,
            _ => Shown::Good,
        };
        let name = if shown == Shown::WrongName {
            "somebody.lit"
        } else {
            domain
        };
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if shown == Shown::Expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let stranger = Authority::new("Stranger");
        let issuer = match shown {
            Shown::UnknownAuthority => &stranger.issuer,
            Shown::Good | Shown::Expired | Shown::WrongName => &self.issuer,
        };
        let certificate = params.signed_by(&key, issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server that is broken in one way.
struct Peer {
    domain: String,
    broken: Broken,
    acceptor: TlsAcceptor,
}

const TLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'/>";

impl Peer {
    async fn serve(self, listener: TcpListener) {
        while let Ok((mut tcp, _)) = listener.accept().await {
            // The other side may go away at any time.
            let _ = self.talk(&mut tcp).await;
        }
    }

    async fn talk(&self, tcp: &mut tokio::net::TcpStream) -> std::io::Result<()> {
        opened(tcp).await?;
        match &self.broken {
            Broken::Error(condition) => {
                let error = format!(
                    "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
                );
                return self.say(tcp, &(self.header(&self.domain) + &error)).await;
            }
            Broken::WrongHost => {
                return self
                    .say(tcp, &(self.header("somebody.lit") + &features(TLS)))
                    .await;
            }
            Broken::NoTls => {
                self.say(tcp, &(self.header(&self.domain) + &features(DIALBACK)))
                    .await?;
                return until(tcp, "</stream:stream>").await;
            }
            _ => {
                self.say(tcp, &(self.header(&self.domain) + &features(TLS)))
                    .await?
            }
        }
        until(tcp, "tls'/>").await?;
        self.say(tcp, PROCEED).await?;
        if let Broken::OldTls = self.broken {
            let mut hello = [0; 512];
            let _ = tcp.read(&mut hello).await?;
            // RFC 8446 §6: a fatal alert, protocol_version.
            return tcp.write_all(&[21, 3, 1, 0, 2, 2, 70]).await;
        }
        let mut tls = self.acceptor.accept(tcp).await?;
        opened(&mut tls).await?;
        self.say(&mut tls, &(self.header(&self.domain) + &features(DIALBACK)))
            .await?;
        if let Broken::Dialback(answer) = self.broken {
            until(&mut tls, "</db:result>").await?;
            if !answer.is_empty() {
                let result = format!(
                    "<db:result from='{}' to='montague.lit' type='{answer}'/>",
                    self.domain
                );
                self.say(&mut tls, &result).await?;
            }
        }
        until(&mut tls, "</stream:stream>").await
    }

    fn header(&self, from: &str) -> String {
        format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
             xmlns:stream='http://etherx.jabber.org/streams' from='{from}' to='montague.lit' id='1' version='1.0'>"
        )
    }

    async fn say<S: AsyncWrite + Unpin>(&self, stream: &mut S, text: &str) -> std::io::Result<()> {
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await
    }
}

fn features(inside: &str) -> String {
    format!("<stream:features>{inside}</stream:features>")
}

/// Reads the header of the other side.
async fn opened<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<()> {
    until(stream, "<stream:stream").await?;
    until(stream, ">").await
}

/// Reads until this has come.
async fn until<S: AsyncRead + Unpin>(stream: &mut S, end: &str) -> std::io::Result<()> {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        heard.push(stream.read_u8().await?);
    }
    Ok(())
}
