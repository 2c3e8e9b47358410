//! One handshake as a server: the certificate chosen, the protocol agreed on, the binding data at hand.

use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, ServerConfig};
use s2s::explain::TlsFault;
use sasl::ChannelBindings;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::Certificate;
use super::channel_binding::channel_bindings;
use super::connect::{AnyCertificate, SERVER_PROTOCOL, fault_of};
use super::store::Certificates;

/// What stands behind the handshake: decides which application protocols are agreed to (RFC 7301).
///
/// A client that names none is welcome everywhere; one that names only others is refused on the listeners
/// that have a name of their own (alert `no_application_protocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// After `<proceed/>` (RFC 6120 §5.4.2.3). There was no need for a name: what a client offers is not
    /// looked at.
    StartTls,
    /// Direct TLS for clients, `xmpp-client` (XEP-0368 §3).
    DirectTls,
    /// BOSH and WebSocket over HTTPS, `http/1.1` (an HTTP/1.1 upgrade makes a WebSocket, RFC 7395 §3.1).
    Https,
    /// Other servers, after `<proceed/>`. They are asked for a certificate; what it proves is judged later.
    ServersStartTls,
    /// Direct TLS for other servers, `xmpp-server` (XEP-0368 §3).
    ServersDirectTls,
}

impl Listener {
    fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Listener::StartTls => &[],
            Listener::DirectTls => &[b"xmpp-client"],
            Listener::Https => &[b"http/1.1"],
            Listener::ServersStartTls => &[],
            Listener::ServersDirectTls => &[SERVER_PROTOCOL],
        }
    }
}

/// A connection whose handshake is finished.
#[derive(Debug)]
pub struct Secured<IO> {
    /// The stream to read and write from now on.
    pub stream: TlsStream<IO>,
    /// The certificate that this connection showed, which may be another one than a new connection would get.
    pub certificate: Arc<Certificate>,
}

impl<IO> Secured<IO> {
    /// The channel binding data, worked out anew at each call: to be asked once, and dropped after the login.
    pub fn channel_bindings(&self) -> ChannelBindings {
        channel_bindings(self.stream.get_ref().1, self.certificate.end_point())
    }

    /// The version that was agreed on.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.stream.get_ref().1.protocol_version()
    }
}

/// Why there is no secured connection.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Not one certificate could be loaded.
    #[error("no host has a usable certificate; `balcony check` says why")]
    NoCertificate,
    /// The peer went away, sent something else than TLS, or agreed to none of our terms. It was told by an
    /// alert where TLS has one.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[from] io::Error),
}

impl AcceptError {
    /// Whether what came was not TLS at all.
    pub(crate) fn is_no_tls(&self) -> bool {
        let AcceptError::Handshake(error) = self else {
            return false;
        };
        let cause = error
            .get_ref()
            .and_then(|cause| cause.downcast_ref::<rustls::Error>());
        matches!(
            cause,
            Some(rustls::Error::InvalidMessage(
                rustls::InvalidMessage::InvalidContentType
            ))
        )
    }

    /// For whoever asks why federation fails.
    pub(crate) fn fault(&self) -> TlsFault {
        match self {
            AcceptError::NoCertificate => TlsFault::Failed(self.to_string()),
            AcceptError::Handshake(error) => fault_of(error),
        }
    }
}

impl Certificates {
    /// Runs the handshake of one connection; the caller bounds its time.
    ///
    /// The certificate is the best one for `domain`, when the stream header named one already (STARTTLS),
    /// else for the name in the handshake (SNI), else the default host's. A name that no certificate covers
    /// gets the default one too: many a client asks by the machine's name and then looks for the domain.
    pub async fn accept<IO>(
        &self,
        io: IO,
        listener: Listener,
        domain: Option<&str>,
    ) -> Result<Secured<IO>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        // Boxed, so that a connection's task does not keep the room for a handshake all its life.
        Box::pin(async move {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
            let certificate = self
                .choose(domain, &hello.client_hello())
                .ok_or(AcceptError::NoCertificate)?;
            let stream = hello.into_stream(certificate.config(listener)).await?;
            Ok(Secured { stream, certificate })
        })
        .await
    }
}

/// The ready configurations of one certificate.
#[derive(Debug)]
pub(super) struct ServerConfigs {
    start_tls: Arc<ServerConfig>,
    direct_tls: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    servers_start_tls: Arc<ServerConfig>,
    servers_direct_tls: Arc<ServerConfig>,
}

impl ServerConfigs {
    pub(super) fn new(
        provider: &Arc<CryptoProvider>,
        key: &Arc<CertifiedKey>,
    ) -> Result<ServerConfigs, rustls::Error> {
        let mut base = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key))));
        // RFC 9266 §2: `tls-exporter` exists on TLS 1.2 only with the extended master secret, and nothing
        // tells us afterwards whether it was used. All clients of the last ten years have it.
        base.require_ems = true;
        // No resumption: a resumed session would be bound to a certificate that was replaced since (RFC 5929
        // §4.1), tickets would put one key between all sessions of TLS 1.2, and either costs memory, while a
        // whole handshake with an ECDSA key costs about 0.2 ms (measured; RSA 2048: 0.9 ms).
        base.send_tls13_tickets = 0;
        base.session_storage = Arc::new(NoServerSessionStorage {});
        let config = |listener: Listener| {
            let mut config = base.clone();
            config.alpn_protocols = listener.protocols().iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        let mut servers = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_client_cert_verifier(AnyCertificate::new(provider))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key))));
        servers.send_tls13_tickets = 0;
        servers.session_storage = Arc::new(NoServerSessionStorage {});
        let server_config = |listener: Listener| {
            let mut config = servers.clone();
            config.alpn_protocols = listener.protocols().iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Ok(ServerConfigs {
            servers_start_tls: server_config(Listener::ServersStartTls),
            servers_direct_tls: server_config(Listener::ServersDirectTls),
            start_tls: config(Listener::StartTls),
            direct_tls: config(Listener::DirectTls),
            https: config(Listener::Https),
        })
    }

    pub(super) fn of(&self, listener: Listener) -> Arc<ServerConfig> {
        Arc::clone(match listener {
            Listener::StartTls => &self.start_tls,
            Listener::DirectTls => &self.direct_tls,
            Listener::Https => &self.https,
            Listener::ServersStartTls => &self.servers_start_tls,
            Listener::ServersDirectTls => &self.servers_direct_tls,
        })
    }
}
