//! Channel binding: what ties a SCRAM exchange to the TLS connection below it (RFC 5056, RFC 5929, RFC 9266).

/// A type of channel binding that we support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindingType {
    /// `tls-exporter` (RFC 9266): bound to this very connection.
    TlsExporter,
    /// `tls-server-end-point` (RFC 5929 §4): bound to the certificate of the server. XEP-0440 §3 demands it.
    TlsServerEndPoint,
}

impl BindingType {
    /// All types, the stronger first.
    pub const ALL: [BindingType; 2] = [BindingType::TlsExporter, BindingType::TlsServerEndPoint];

    /// The registered name, as it stands after `p=` and in XEP-0440.
    pub const fn name(self) -> &'static str {
        match self {
            BindingType::TlsExporter => "tls-exporter",
            BindingType::TlsServerEndPoint => "tls-server-end-point",
        }
    }

    /// The type of this name. Names are compared exactly (RFC 5056 §7 gives them no case folding).
    pub fn parse(name: &str) -> Option<BindingType> {
        BindingType::ALL
            .into_iter()
            .find(|binding_type| binding_type.name() == name)
    }
}

/// The binding data of one TLS connection, as far as it has any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// 32 octets exported under `EXPORTER-Channel-Binding` with an empty context (RFC 9266 §2). On TLS 1.2 only with
    /// the extended master secret.
    pub tls_exporter: Option<[u8; 32]>,
    /// The hash of our certificate; none where RFC 5929 §4.1 leaves it undefined.
    pub tls_server_end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// The types that this connection has, the stronger first: what XEP-0440 §2 lists.
    pub fn types(&self) -> impl Iterator<Item = BindingType> {
        BindingType::ALL
            .into_iter()
            .filter(|binding_type| self.data(*binding_type).is_some())
    }

    /// The binding data of one type.
    pub fn data(&self, binding_type: BindingType) -> Option<&[u8]> {
        match binding_type {
            BindingType::TlsExporter => self.tls_exporter.as_ref().map(|exported| &exported[..]),
            BindingType::TlsServerEndPoint => self.tls_server_end_point.as_deref(),
        }
    }
}
