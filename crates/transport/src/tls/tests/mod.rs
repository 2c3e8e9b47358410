//! The ground for the tests: a folder for files, an authority that issues certificates, a clock wound by
//! hand, and a client that shakes hands in memory.

mod binding;
mod choice;
mod dane;
mod handshake;
mod names;
mod reload;
mod self_signed;
mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SigningKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::DuplexStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{AcceptError, CertificateFiles, Certificates, Clock, Listener, Problem, Secured};

/// The day on which the tests begin, counted from 1970: 2026-06-01.
const TODAY: u64 = 20_605;

fn day(number: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(number * 24 * 3600))
}

/// A clock that shows what it is set to.
#[derive(Clone)]
struct HandClock(Arc<AtomicU64>);

impl HandClock {
    fn at(day: u64) -> HandClock {
        HandClock(Arc::new(AtomicU64::new(day)))
    }

    fn set(&self, day: u64) {
        self.0.store(day, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let shown = Arc::clone(&self.0);
        Arc::new(move || day(shown.load(Ordering::SeqCst)))
    }
}

/// A directory that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("balcony-tls-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        write_private(&path, content.as_ref());
        path
    }

    /// Writes chain and key of a host, as its configuration names them.
    fn put(&self, host: &str, issued: &Issued) -> CertificateFiles {
        self.write(&format!("{host}.pem"), &issued.chain);
        self.write(&format!("{host}.key"), &issued.key);
        self.files(host)
    }

    fn files(&self, host: &str) -> CertificateFiles {
        CertificateFiles {
            host: host.to_owned(),
            chain: self.path(&format!("{host}.pem")),
            key: self.path(&format!("{host}.key")),
            required_names: vec![host.to_owned()],
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write_private(path: &Path, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A certificate with its key, in PEM.
struct Issued {
    chain: String,
    key: String,
}

/// What a certificate is to be like.
struct Order {
    parameters: CertificateParams,
    key: KeyPair,
}

/// A certificate for `names`, valid from ten days ago for ninety days.
fn order(names: &[&str]) -> Order {
    let mut parameters =
        CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, "leaf");
    Order {
        parameters,
        key: KeyPair::generate().unwrap(),
    }
    .valid(TODAY - 10, TODAY + 80)
}

impl Order {
    fn valid(mut self, from: u64, until: u64) -> Order {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        self.parameters.not_before = epoch + Duration::from_secs(from * 24 * 3600);
        self.parameters.not_after = epoch + Duration::from_secs(until * 24 * 3600);
        self
    }

    fn key(mut self, key: KeyPair) -> Order {
        self.key = key;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut CertificateParams)) -> Order {
        change(&mut self.parameters);
        self
    }

    /// Issued by an authority of ours, whose certificate follows in the chain.
    fn issue(self) -> Issued {
        self.issue_by(authority())
    }

    fn issue_by(self, issuer: &CertifiedIssuer<'static, impl SigningKey>) -> Issued {
        let leaf = self.parameters.signed_by(&self.key, issuer).unwrap();
        Issued {
            chain: format!("{}{}", leaf.pem(), issuer.pem()),
            key: self.key.serialize_pem(),
        }
    }
}

fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: std::sync::LazyLock<CertifiedIssuer<'static, KeyPair>> =
        std::sync::LazyLock::new(|| authority_with(KeyPair::generate().unwrap()));
    &AUTHORITY
}

fn authority_with(key: KeyPair) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
        .distinguished_name
        .push(DnType::CommonName, "Authority of the tests");
    CertifiedIssuer::self_signed(parameters, key).unwrap()
}

/// A store at the day of the tests that has nothing to complain about.
fn store(files: Vec<CertificateFiles>) -> Arc<Certificates> {
    let (store, problems) = store_at(files, &HandClock::at(TODAY));
    assert!(problems.is_empty(), "{problems:?}");
    store
}

fn store_at(files: Vec<CertificateFiles>, clock: &HandClock) -> (Arc<Certificates>, Vec<Problem>) {
    Certificates::load_with_clock(files, clock.clock())
}

/// How a client begins.
#[derive(Clone)]
struct Client {
    sni: Option<&'static str>,
    protocols: Vec<&'static str>,
    versions: Vec<&'static SupportedProtocolVersion>,
    schemes: Vec<SignatureScheme>,
}

fn client() -> Client {
    Client {
        sni: None,
        protocols: Vec::new(),
        versions: vec![&rustls::version::TLS13, &rustls::version::TLS12],
        schemes: aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes(),
    }
}

impl Client {
    fn asking_for(mut self, name: &'static str) -> Client {
        self.sni = Some(name);
        self
    }

    fn speaking(mut self, protocol: &'static str) -> Client {
        self.protocols.push(protocol);
        self
    }

    fn only(mut self, version: &'static SupportedProtocolVersion) -> Client {
        self.versions = vec![version];
        self
    }

    fn verifying(mut self, schemes: &[SignatureScheme]) -> Client {
        self.schemes = schemes.to_vec();
        self
    }

    fn config(&self) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = AnyChain {
            provider: Arc::clone(&provider),
            schemes: self.schemes.clone(),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.enable_sni = self.sni.is_some();
        config.alpn_protocols = self
            .protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        config
    }

    /// Shakes hands; both ends' view of it.
    async fn meet(
        &self,
        store: &Certificates,
        listener: Listener,
        domain: Option<&str>,
    ) -> (
        Result<Secured<DuplexStream>, AcceptError>,
        std::io::Result<TlsStream<DuplexStream>>,
    ) {
        let (near, far) = tokio::io::duplex(4096);
        let name = ServerName::try_from(self.sni.unwrap_or("unasked.example")).unwrap();
        let connect = TlsConnector::from(Arc::new(self.config())).connect(name, far);
        tokio::join!(store.accept(near, listener, domain), connect)
    }

    /// Shakes hands over a fresh connection, which has to succeed.
    async fn connect(
        &self,
        store: &Certificates,
        listener: Listener,
        domain: Option<&str>,
    ) -> (Secured<DuplexStream>, TlsStream<DuplexStream>) {
        let (server, client) = self.meet(store, listener, domain).await;
        (server.unwrap(), client.unwrap())
    }

    /// The first name of the certificate that this client is shown.
    async fn is_shown(&self, store: &Certificates, domain: Option<&str>) -> String {
        let (server, client) = self.connect(store, Listener::StartTls, domain).await;
        let shown = leaf(&client);
        let name = server.certificate.names().iter().next().unwrap().to_owned();
        let (_, parsed) = x509_parser::parse_x509_certificate(&shown).unwrap();
        assert_eq!(
            &super::CertificateNames::of(&parsed),
            server.certificate.names(),
            "both ends mean the same one"
        );
        name
    }
}

/// The certificate that a client was shown.
fn leaf(client: &TlsStream<DuplexStream>) -> CertificateDer<'static> {
    client.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

/// Believes every chain, and yet checks that the server has the key.
#[derive(Debug)]
struct AnyChain {
    provider: Arc<CryptoProvider>,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AnyChain {
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
            &self.provider.signature_verification_algorithms,
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
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
