//! A server on loopback, and a client of blocking sockets that says what it is told to say.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "shared by tests and the bench, each of which uses a part"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use c2s::Encryption;
use features::Registration;
use router::{Router, Store};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sasl::client::{ClientBinding, ClientKeys, ScramClient};
use sasl::{HashFunction, HashFunctions, Nonce, Password, PasswordPolicy, UnknownAccounts};
use stanza::Address;
use storage::Memory;
use tokio::runtime::Handle;
use transport::tls::{CertificateFiles, Certificates, self_signed};
use transport::{AddressLimits, AllowedOrigins, Clients, Entrance, HttpSettings, Listen, System};
use tungstenite::HandshakeError;
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::ClientHandshake;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::WebSocket;

/// The hosts of every server; each has a certificate of its own.
pub const HOSTS: [&str; 2] = ["montague.lit", "capulet.lit"];

/// The password of every account.
pub const PASSWORD: &str = "secret";

/// Nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that takes clients.
pub struct Server {
    pub clients: Arc<Clients>,
    pub router: Arc<Router>,
    /// With STARTTLS.
    pub address: SocketAddr,
    /// With TLS from the first byte.
    pub direct: SocketAddr,
    /// With HTTP.
    pub http: SocketAddr,
    /// With HTTP on TLS.
    pub https: SocketAddr,
    /// The certificates of the hosts, in their order.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl Server {
    /// A server on the runtime that is entered, with these settings of its clients.
    pub fn start(settings: transport::Settings) -> Server {
        let handle = Handle::current();
        let system = System::start(&handle, 2);
        let on = handle.clone();
        let store = Memory::on(Box::new(move |job| {
            on.spawn(async move { job() });
        }));
        let router = Router::new(
            router_settings(),
            Arc::new(store) as Arc<dyn Store>,
            Arc::new(system.clone()),
        );
        let folder = Folder::new();
        let files: Vec<CertificateFiles> = HOSTS.iter().map(|host| folder.certificate(host)).collect();
        let shown = files
            .iter()
            .map(|files| CertificateDer::from_pem_file(&files.chain).unwrap())
            .collect();
        let (certificates, problems) = Certificates::load(files);
        assert!(problems.is_empty(), "{problems:?}");
        let clients = Clients::new(settings, certificates, Arc::clone(&router), system);
        let listen = |entrance| {
            let address = SocketAddr::from(([127, 0, 0, 1], 0));
            clients.listen(Listen { address, entrance }).unwrap().address()
        };
        Server {
            address: listen(Entrance::Tcp),
            direct: listen(Entrance::DirectTls),
            http: listen(Entrance::Http),
            https: listen(Entrance::Https),
            certificates: shown,
            clients,
            router,
        }
    }

    /// Makes an account.
    pub async fn account(&self, address: &str) {
        let (tell, told) = tokio::sync::oneshot::channel();
        let address = Address::parse(address).unwrap();
        let password = Password::new(PASSWORD).unwrap();
        let done = move |made| {
            let _ = tell.send(made);
        };
        self.router.create_account(address, password, Box::new(done));
        assert_eq!(told.await.unwrap(), Ok(true));
    }
}

/// A directory that is removed when the server has read it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("balcony-transport-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn certificate(&self, host: &str) -> CertificateFiles {
        let files = self_signed(&self.0, &[host], UnixTime::now()).unwrap();
        CertificateFiles {
            host: host.to_owned(),
            chain: files.chain,
            key: files.key,
            required_names: vec![host.to_owned()],
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn scram() -> PasswordPolicy {
    PasswordPolicy::Scram {
        hashes: HashFunctions::default(),
        iterations: NonZeroU32::MIN,
    }
}

/// Settings in which nothing is scarce.
pub fn settings(encryption: Encryption) -> transport::Settings {
    let host = c2s::Host {
        passwords: scram(),
        registration: Registration::Closed,
        unknown_accounts: UnknownAccounts::new([1; 32], NonZeroU32::MIN),
    };
    transport::Settings {
        session: c2s::Settings {
            hosts: HOSTS
                .iter()
                .map(|name| (Address::domain(name).unwrap(), host.clone()))
                .collect::<BTreeMap<_, _>>(),
            encryption,
            resume_timeout: std::time::Duration::from_secs(300),
            limits: c2s::Limits {
                unauthenticated: xml::Limits::default(),
                authenticated: xml::Limits::default(),
                unauthenticated_bytes: 65_536,
                login_attempts: 5,
                mailbox: stream_management::Limits {
                    stanzas: 10_000,
                    bytes: 16 << 20,
                },
                unacknowledged_stanzas: 1_000,
            },
        },
        unauthenticated_time: PATIENCE,
        addresses: AddressLimits {
            connections: 1_000,
            unauthenticated: 1_000,
            per_address: 1_000,
            unauthenticated_per_address: 1_000,
            unauthenticated_reads: None,
            arrivals: None,
            provoked: None,
            failed_logins: None,
            registrations: None,
            exempt: Vec::new(),
        },
        http: HttpSettings {
            web_socket: Some("/xmpp-websocket".to_owned()),
            bosh: Some("/http-bind".to_owned()),
            bosh_session: bosh::Settings {
                max_pause: PATIENCE,
                inactivity: PATIENCE,
            },
            body_bytes: 512 << 10,
            bodies_bytes: 2 << 20,
            bodies_bytes_per_address: 1 << 20,
            public_url: None,
            allowed_origins: AllowedOrigins::Any,
            trusted_proxies: Vec::new(),
            see_other_uri: None,
            ping_interval: PATIENCE,
        },
    }
}

/// The address that is listened at by itself, as a range.
pub fn loopback() -> transport::Range {
    transport::Range {
        address: [127, 0, 0, 1].into(),
        prefix: 32,
    }
}

pub fn router_settings() -> router::Settings {
    let hosts = HOSTS.iter().map(|name| router::Host {
        facts: features::HostFacts::new(Address::domain(name).unwrap()),
        passwords: scram(),
    });
    router::Settings {
        hosts: router::Hosts::new(hosts),
        account: account::Settings {
            facts: features::Facts::default(),
            local_services: Vec::new(),
            local_domains: HOSTS.iter().map(|&name| name.to_owned()).collect(),
            resources_max: 10,
            waiting_max: (1_000, 10 << 20),
            outstanding_max: 10_000,
            directed_max: 100,
            settle_after: Duration::from_secs(1),
            delay_stamp_after: Duration::from_secs(10),
            mailbox: stream_management::Limits {
                stanzas: 1_000,
                bytes: 1 << 20,
            },
            stranger_subscriptions: None,
            stranger_messages: None,
            subscriptions_from_strangers: None,
            messages_from_strangers: None,
            presence: presence::Settings::default(),
            roster: roster::Limits::default(),
            privacy: privacy::Limits::default(),
        },
        limits: turns::Limits {
            inbox_inputs_max: 10_000,
            inbox_bytes_max: 16 << 20,
            waiting_effects_max: 10_000,
            waiting_bytes_max: 16 << 20,
        },
        resting_bytes_max: 1 << 20,
        muc: muc::Settings::default(),
        federation: router::Federation::new(
            HOSTS.iter().map(|name| Address::domain(name).unwrap()).collect(),
            s2s::Secret::new(b"d14lb4ck"),
        ),
    }
}

/// What a client speaks through.
enum Wire {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    WebSocket(Box<WebSocket<TcpStream>>),
    Wss(Box<WebSocket<StreamOwned<ClientConnection, TcpStream>>>),
}

/// Sends and receives what a WebSocket carries.
fn say_in<S: Read + Write>(socket: &mut WebSocket<S>, message: Message) {
    socket.send(message).unwrap();
}

fn read_in<S: Read + Write>(socket: &mut WebSocket<S>) -> Option<String> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
            Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => return None,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A client.
pub struct Line {
    wire: Option<Wire>,
    /// What came and was not looked at.
    heard: String,
}

impl Line {
    /// Connects to a server, on TCP.
    pub fn dial(address: SocketAddr) -> Line {
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        Line {
            wire: Some(Wire::Tcp(tcp)),
            heard: String::new(),
        }
    }

    /// Negotiates TLS, asking for `sni` by the handshake. Gives the certificate that was shown.
    pub fn secure(&mut self, sni: &str) -> CertificateDer<'static> {
        assert!(self.heard.is_empty(), "{}", self.heard);
        let Some(Wire::Tcp(mut tcp)) = self.wire.take() else {
            panic!("there is TLS already")
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
            .with_no_client_auth();
        let name = ServerName::try_from(sni.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        while client.is_handshaking() {
            client.complete_io(&mut tcp).unwrap();
        }
        let certificate = client.peer_certificates().unwrap()[0].clone().into_owned();
        self.wire = Some(Wire::Tls(Box::new(StreamOwned::new(client, tcp))));
        certificate
    }

    /// Asks for a WebSocket, with these headers. The status when that is refused.
    pub fn upgrade(&mut self, headers: &[(&'static str, &str)]) -> Result<(), u16> {
        let mut request = "ws://localhost/xmpp-websocket".into_client_request().unwrap();
        let all = request.headers_mut();
        all.insert("sec-websocket-protocol", HeaderValue::from_static("xmpp"));
        for (name, value) in headers {
            all.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let upgraded = match self.wire.take() {
            Some(Wire::Tcp(tcp)) => {
                Wire::WebSocket(Box::new(tungstenite::client(request, tcp).map_err(refused)?.0))
            }
            Some(Wire::Tls(tls)) => {
                Wire::Wss(Box::new(tungstenite::client(request, *tls).map_err(refused)?.0))
            }
            _ => panic!("there is a WebSocket already"),
        };
        self.wire = Some(upgraded);
        Ok(())
    }

    /// Sends one message of another kind on a WebSocket.
    pub fn say_message(&mut self, message: Message) {
        match &mut self.wire {
            Some(Wire::WebSocket(socket)) => say_in(socket, message),
            Some(Wire::Wss(socket)) => say_in(socket, message),
            _ => panic!("there is no WebSocket"),
        }
    }

    /// The next message on a WebSocket, whatever it is.
    pub fn hear_message(&mut self) -> Result<Message, tungstenite::Error> {
        match &mut self.wire {
            Some(Wire::WebSocket(socket)) => socket.read(),
            Some(Wire::Wss(socket)) => socket.read(),
            _ => panic!("there is no WebSocket"),
        }
    }

    /// Sends, in one write.
    pub fn say(&mut self, text: &str) {
        match &mut self.wire {
            // Each element has a message of its own.
            Some(Wire::WebSocket(_) | Wire::Wss(_)) => {
                let mut rest = text.as_bytes();
                while let Some((element, after)) = xml::split_plain(rest) {
                    self.say_message(Message::text(element));
                    rest = after;
                }
            }
            Some(Wire::Tcp(tcp)) => tcp.write_all(text.as_bytes()).unwrap(),
            Some(Wire::Tls(tls)) => {
                tls.write_all(text.as_bytes()).unwrap();
                tls.flush().unwrap();
            }
            None => panic!("the line is gone"),
        }
    }

    /// What comes up to and with `end`.
    pub fn hear(&mut self, end: &str) -> String {
        loop {
            if let Some(place) = self.heard.find(end) {
                let rest = self.heard.split_off(place + end.len());
                return std::mem::replace(&mut self.heard, rest);
            }
            assert!(self.read(), "the server closed after {}", self.heard);
        }
    }

    /// Everything that comes until the server closes the connection.
    pub fn hear_all(&mut self) -> String {
        while self.read() {}
        std::mem::take(&mut self.heard)
    }

    /// Takes what comes until the server closes the connection, even if it is no text.
    pub fn skip_all(&mut self) {
        match &mut self.wire {
            Some(Wire::Tcp(tcp)) => drop(tcp.read_to_end(&mut Vec::new()).unwrap()),
            _ => panic!("it is not plain"),
        }
    }

    /// Takes this many bytes, whatever they are.
    pub fn skip(&mut self, bytes: usize) {
        while self.heard.len() < bytes {
            assert!(self.read(), "the server closed after {}", self.heard);
        }
        self.heard.drain(..bytes);
    }

    /// Sends, and hears the answer up to and with `end`.
    pub fn talk(&mut self, text: &str, end: &str) -> String {
        self.say(text);
        self.hear(end)
    }

    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let read = match &mut self.wire {
            Some(Wire::Tcp(tcp)) => tcp.read(&mut buffer),
            Some(Wire::Tls(tls)) => tls.read(&mut buffer),
            Some(Wire::WebSocket(_) | Wire::Wss(_)) => {
                let message = match &mut self.wire {
                    Some(Wire::WebSocket(socket)) => read_in(socket),
                    Some(Wire::Wss(socket)) => read_in(socket),
                    _ => None,
                };
                self.heard.push_str(message.as_deref().unwrap_or_default());
                return message.is_some();
            }
            None => panic!("the line is gone"),
        };
        let read = read.unwrap();
        self.heard.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        read > 0
    }

    /// Opens a stream and gives the features.
    pub fn open(&mut self, host: &str) -> String {
        let header = match self.wire {
            Some(Wire::WebSocket(_) | Wire::Wss(_)) => framed_header(host),
            _ => header(host),
        };
        self.talk(&header, "</stream:features>")
    }

    /// Logs in and binds a resource, on a stream that is open.
    pub fn log_in(&mut self, account: &str, resource: &str) {
        let (_, host) = account.split_once('@').unwrap();
        scram_steps(account, |step| {
            self.say(step);
            let heard = self.hear("</");
            heard + &self.hear(">")
        });
        self.open(host);
        let bind = format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        );
        self.talk(&bind, "</iq>");
    }

    /// Keeps nothing but the socket: what TLS knows is gone, and nothing more can be said.
    pub fn into_socket(self) -> TcpStream {
        match self.wire {
            Some(Wire::Tcp(tcp)) => tcp,
            Some(Wire::Tls(tls)) => tls.into_parts().1,
            Some(Wire::WebSocket(_) | Wire::Wss(_)) | None => panic!("it is neither plain nor TLS"),
        }
    }

    /// Becomes available; gives what was heard until that was done.
    pub fn appear(&mut self) -> String {
        let heard = self.talk(
            "<presence/><iq type='get' id='appeared'><ping xmlns='urn:xmpp:ping'/></iq>",
            "id='appeared'",
        );
        heard + &self.hear(">")
    }
}

/// Logs in by SCRAM; `talk` gives the answer to each step.
pub fn scram_steps(account: &str, mut talk: impl FnMut(&str) -> String) {
    let (username, _) = account.split_once('@').unwrap();
    let client = ScramClient::new(
        HashFunction::Sha1,
        username,
        ClientBinding::NotSupported,
        Nonce::from_random([9; 24]),
    );
    let auth = format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>{}</auth>",
        STANDARD.encode(client.first())
    );
    let challenge = talk(&auth);
    let challenged = client.challenged(&decoded(&challenge)).unwrap();
    let password = Password::new(PASSWORD).unwrap();
    let keys = ClientKeys::derive(
        HashFunction::Sha1,
        &password,
        &challenged.salt,
        challenged.iterations,
    );
    let (proof, _) = challenged.answer(&keys);
    let response = format!(
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>",
        STANDARD.encode(proof)
    );
    let success = talk(&response);
    assert!(success.contains("</success>"), "{success}");
}

/// What opens a stream.
pub fn header(host: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream to='{host}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}

/// The status of the answer to a handshake that failed.
fn refused<S: Read + Write>(error: HandshakeError<ClientHandshake<S>>) -> u16 {
    match error {
        HandshakeError::Failure(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
        error @ (HandshakeError::Failure(_) | HandshakeError::Interrupted(_)) => panic!("{error}"),
    }
}

/// What opens a stream on a WebSocket.
pub fn framed_header(host: &str) -> String {
    format!("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{host}' version='1.0'/>")
}

/// The SASL message in an element.
fn decoded(element: &str) -> Vec<u8> {
    let start = element.find("xmpp-sasl'>").unwrap() + "xmpp-sasl'>".len();
    let end = start + element[start..].find("</").unwrap();
    STANDARD.decode(&element[start..end]).unwrap()
}

/// Takes every certificate, and looks only whether the server has its key.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
