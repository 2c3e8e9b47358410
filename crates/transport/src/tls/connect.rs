//! One handshake as a client, with another server: our certificate offered, the peer's taken whatever it is.
//!
//! What a certificate proves is not decided in the handshake: dialback may do instead where policy allows (XEP-0220),
//! and an operator has to be told exactly what is wrong. The handshake proves that the peer has the key.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use s2s::Transport;
use s2s::explain::TlsFault;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::names::ascii_domain;
use super::store::Certificates;

/// The name of what servers speak to each other (XEP-0368 §3).
pub(super) const SERVER_PROTOCOL: &[u8] = b"xmpp-server";

/// Why there is no secured connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The settings make no client.
    #[error("TLS cannot be used: {0}")]
    Settings(#[from] Error),
    /// The peer went away, or agreed to none of our terms.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[from] io::Error),
}

impl ConnectError {
    /// For whoever asks why federation fails.
    pub(crate) fn fault(&self) -> TlsFault {
        match self {
            ConnectError::Settings(error) => TlsFault::Failed(error.to_string()),
            ConnectError::Handshake(error) => fault_of(error),
        }
    }
}

/// What a failed handshake says of the peer.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all others are told in the words of the library"
)]
pub(super) fn fault_of(error: &io::Error) -> TlsFault {
    let words = || TlsFault::Failed(error.to_string());
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return words();
    };
    match error {
        Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => TlsFault::TooOld,
        _ => words(),
    }
}

impl Certificates {
    /// Runs the handshake with the server of `remote`, as the server of `local`; the caller bounds its time.
    pub(crate) async fn connect<IO>(
        &self,
        io: IO,
        transport: Transport,
        local: &str,
        remote: &str,
    ) -> Result<TlsStream<IO>, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.client_config(transport, local)?;
        let name = ascii_domain(remote).map_or_else(|| remote.to_owned(), |name| name.into_owned());
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        // Boxed, so that a connection's task does not keep the room for a handshake all its life.
        Ok(Box::pin(TlsConnector::from(Arc::new(config)).connect(name, io)).await?)
    }

    fn client_config(&self, transport: Transport, local: &str) -> Result<ClientConfig, Error> {
        let provider = self.provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(AnyCertificate::new(provider));
        let mut config = match self.best_for(local) {
            Some(certificate) => {
                let resolver = SingleCertAndKey::from(Arc::clone(certificate.key()));
                builder.with_client_cert_resolver(Arc::new(resolver))
            }
            None => builder.with_no_client_auth(),
        };
        // A resumed session would go on with what a certificate proved that has expired since.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = match transport {
            Transport::Tcp => Vec::new(),
            Transport::DirectTls => vec![SERVER_PROTOCOL.to_vec()],
        };
        Ok(config)
    }
}

/// Takes every certificate, but only from who has its key.
#[derive(Debug)]
pub(super) struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl AnyCertificate {
    pub(super) fn new(provider: &Arc<CryptoProvider>) -> Arc<AnyCertificate> {
        Arc::new(AnyCertificate {
            provider: Arc::clone(provider),
        })
    }

    fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // RFC 8446 §4.2.4: none means any.
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn client_auth_mandatory(&self) -> bool {
        // Without one, dialback remains (XEP-0178 §3 step 7).
        false
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
