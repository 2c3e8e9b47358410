//! The sections of the configuration file, as the operator reads them: these doc comments are the reference
//! (`docs/configuration.md`) and the comments of the example (`config/balcony.toml`).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::amount::{ByteSize, Rate};
use super::limits::Limits;
use super::location::{DatabaseUrl, DnsServer, HttpPath, Network, Origin, RouteTarget, WebEndpoint, WebSite};
use super::name::{AccountName, HostName};
use super::schema::section;
use super::value::{OrOff, choice};

section! {
    /// The whole file.
    pub struct Configuration {
        /// Everything that the server writes lies here: the database, unless `storage.url` says otherwise, the admin
        /// socket, the lock that keeps a second server out, secrets, and what is kept over a restart.
        /// Back up this directory.
        data_dir: PathBuf = PathBuf::from("data");
        /// The domains whose accounts live on this server, one section each. At least one. A client that names none, neither in
        /// the TLS handshake nor in its stream header, is shown the one that is first by the alphabet.
        hosts: BTreeMap<HostName, Host> = BTreeMap::new(), shown "montague.lit";
        /// Where accounts, rosters and waiting messages are kept.
        storage: Storage = Storage::default();
        /// How the server uses the machine.
        runtime: Runtime = Runtime::default();
        /// What the server says about itself while it runs, on standard error. The environment variable `BALCONY_LOG`
        /// (a filter such as `info,transport=debug`) goes before `log.level`. Neither passwords nor what people write
        /// to each other is ever logged.
        log: Log = Log::default();
        /// Connections of clients (RFC 6120).
        c2s: C2s = C2s::default();
        /// Connections with other servers.
        s2s: S2s = S2s::default();
        /// How other domains are looked up.
        dns: Dns = Dns::default();
        /// External components (XEP-0114): gateways and bots that serve a whole domain.
        components: Components = Components::default();
        /// Clients in web browsers: BOSH (XEP-0124) and WebSocket (RFC 7395).
        http: Http = Http::default();
        /// Logging in.
        sasl: Sasl = Sasl::default();
        /// Group chat (XEP-0045).
        muc: Muc = Muc::default();
        /// Stream management (XEP-0198): acknowledgements, and sessions that outlive their connection.
        sm: Sm = Sm::default();
        /// BOSH sessions (XEP-0124).
        bosh: Bosh = Bosh::default();
        /// Presence that says when it may not be true any more (XEP-0310).
        psa: Psa = Psa::default();
        /// Asking whether somebody is really there (XEP-0132).
        poke: Poke = Poke::default();
        /// Attention requests (XEP-0224).
        attention: Attention = Attention::default();
        /// Asking a stranger to show presence, for a call or a file transfer (XEP-0276).
        decloak: Decloak = Decloak::default();
        /// Everything that could grow without end has its limit here.
        limits: Limits = Limits::default();
        /// Figures for Prometheus (`GET /metrics`), and health for load balancers (`GET /health/live`, `GET
        /// /health/ready`).
        metrics: Metrics = Metrics::default();
    }
}

section! {
    /// One local domain.
    pub struct Host {
        /// The certificate chain as PEM, the server's own certificate first. Watched, and taken over when it changes. For
        /// every local domain, those of services included, the best valid certificate that names it is taken from all
        /// hosts, so that a host without this setting can be served by the certificate of another.
        certificate: Option<PathBuf> = None, shown "\"certs/montague.lit.pem\"";
        /// The private key of that certificate as PEM. Only the server should be able to read it.
        key: Option<PathBuf> = None, shown "\"certs/montague.lit.key\"";
        /// Accounts that may administer this host over XMPP.
        admins: Vec<AccountName> = Vec::new(), shown "[\"romeo@montague.lit\"]";
        /// Whether anybody may create an account with a client (XEP-0077). Open registration attracts spammers; `balcony
        /// account add` works in both cases.
        registration: Registration = Registration::Closed;
        /// How passwords are stored. `scram` keeps what SCRAM needs, so that a password never crosses the network.
        /// `argon2id` resists guessing longer if the database is stolen, but clients must then send the password itself
        /// (PLAIN, over TLS). After switching, each account is converted at its next login.
        password_storage: PasswordStorage = PasswordStorage::Scram;
    }
}

choice! {
    /// Whether accounts can be created in-band (XEP-0077).
    pub enum Registration {
        /// By the operator only.
        Closed = "closed",
        /// By anybody.
        Open = "open",
    }
}

choice! {
    /// In which form passwords are kept.
    pub enum PasswordStorage {
        /// StoredKey and ServerKey of RFC 5802.
        Scram = "scram",
        /// An argon2id hash.
        Argon2id = "argon2id",
    }
}

section! {
    /// Where accounts, rosters and waiting messages are kept.
    pub struct Storage {
        /// The database: a file for SQLite, or a PostgreSQL server. Without this setting it is the file `balcony.db` in
        /// `data_dir`.
        url: Option<DatabaseUrl> = None, shown "\"sqlite:data/balcony.db\"";
        /// A file that holds the password for PostgreSQL and nothing else. Not needed where PostgreSQL knows the system
        /// user (peer authentication over its socket).
        password_file: Option<PathBuf> = None, shown "\"postgres.secret\"";
        /// `full`: what was acknowledged to a client survives a power failure. `normal`: it survives a crash of the
        /// server, but the last moments before a power failure may be lost; writing is cheaper on slow disks.
        sync: Sync = Sync::Full;
    }
}

choice! {
    /// When a write to the database counts as done.
    pub enum Sync {
        /// When it is on the disk.
        Full = "full",
        /// When the operating system has it.
        Normal = "normal",
    }
}

section! {
    /// How the server uses the machine.
    pub struct Runtime {
        /// Threads that do the work; 0 means one for each processor core.
        workers: usize = 0;
    }
}

section! {
    /// What the server says about itself.
    pub struct Log {
        /// `text` for people, `json` for machines. One line for each event in both.
        format: LogFormat = LogFormat::Text;
        /// The least important events that are still told. At `info` no address of a person appears.
        level: LogLevel = LogLevel::Info;
    }
}

choice! {
    /// How events are written.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// For machines: one JSON object in each line.
        Json = "json",
    }
}

choice! {
    /// How important an event must be to be told.
    pub enum LogLevel {
        /// Somebody should get up.
        Error = "error",
        /// Worth a look tomorrow.
        Warn = "warn",
        /// Changes that an operator cares about.
        Info = "info",
        /// What deviates from the usual, with addresses.
        Debug = "debug",
        /// Single stanzas, without their content.
        Trace = "trace",
    }
}

section! {
    /// Connections of clients.
    pub struct C2s {
        /// Where clients connect and then start TLS. `[::]` listens on IPv4 as well. An empty list switches it off.
        listen: Vec<SocketAddr> = vec![everywhere(5222)];
        /// Where clients connect with TLS from the first byte (XEP-0368).
        listen_tls: Vec<SocketAddr> = vec![everywhere(5223)];
        /// Nobody logs in without TLS. Without it, passwords and messages may cross the network in the clear: for tests
        /// only.
        require_tls: bool = true;
    }
}

section! {
    /// Connections with other servers.
    pub struct S2s {
        /// Where other servers connect and then start TLS.
        listen: Vec<SocketAddr> = vec![everywhere(5269)];
        /// Where other servers connect with TLS from the first byte (XEP-0368).
        listen_tls: Vec<SocketAddr> = vec![everywhere(5270)];
        /// No exchange with another server without TLS.
        require_tls: bool = true;
        /// How another server proves which domain it speaks for. `certificate-or-dialback` also takes servers whose
        /// certificate does not prove it, if asking back at their domain does (XEP-0220); `certificate` demands a valid
        /// certificate.
        authentication: Authentication = Authentication::CertificateOrDialback;
        /// PEM files with authorities to be trusted beside those of the system.
        trusted_roots: Vec<PathBuf> = Vec::new();
        /// How long a message waits for a domain that cannot be reached, before its sender is told that it was not
        /// delivered.
        queue_timeout: Duration = Duration::from_secs(120);
        /// When nothing has come through a connection with another server for so long, the server is asked for a sign of
        /// life, and has half as long to answer: a connection that is dead without a word is known to be after one and a
        /// half times this. At most half a minute.
        quiet_time: Duration = Duration::from_secs(30);
        /// Blocks of private addresses that DNS may lead to all the same. Without them whoever owns a domain could make this
        /// server knock at doors inside your network.
        private_addresses: Vec<Network> = Vec::new();
        /// Domains that are reached at a fixed place instead of where DNS says. Private addresses are reached only in this
        /// way, and through `private_addresses`.
        routes: BTreeMap<HostName, RouteTarget> = BTreeMap::new(), shown "\"capulet.lit\" = \"127.0.0.12:5269\"";
        /// What is different for single domains.
        policy: BTreeMap<HostName, Policy> = BTreeMap::new(), shown "capulet.lit";
    }
}

choice! {
    /// What proves the domain of another server.
    pub enum Authentication {
        /// A valid certificate, else dialback.
        CertificateOrDialback = "certificate-or-dialback",
        /// A valid certificate and nothing else.
        Certificate = "certificate",
    }
}

section! {
    /// What is different for one remote domain.
    pub struct Policy {
        /// `false` keeps the domain out: nothing is sent to it, nothing accepted from it.
        allow: bool = true;
        /// In place of `s2s.authentication`.
        authentication: Option<Authentication> = None, shown "\"certificate\"";
        /// In place of `s2s.require_tls`.
        require_tls: Option<bool> = None, shown "true";
    }
}

section! {
    /// How other domains are looked up.
    pub struct Dns {
        /// Name servers to ask; with an empty list, those that the system uses.
        servers: Vec<DnsServer> = Vec::new();
    }
}

section! {
    /// External components. They talk with the accounts of this server and with other servers, for whom each needs a name in
    /// DNS, and a certificate of a host here that names it, as a room service does.
    pub struct Components {
        /// Where components connect. The protocol has no TLS, so keep it on loopback or in a network of your own.
        listen: Vec<SocketAddr> = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5347))];
        /// The domains that components may serve. When there was none at the start, the first needs a restart. Other servers
        /// cannot speak in the name of these domains.
        domains: BTreeMap<HostName, Component> = BTreeMap::new(), shown "bridge.montague.lit";
    }
}

section! {
    /// One external component.
    pub struct Component {
        /// A file that holds the secret shared with the component and nothing else.
        secret_file: Option<PathBuf> = None, shown "\"bridge.secret\"";
    }
}

section! {
    /// Clients in web browsers.
    pub struct Http {
        /// Without TLS: for a reverse proxy on this machine. While `c2s.require_tls` is on, a login here is accepted from a
        /// trusted proxy only.
        listen: Vec<SocketAddr> = vec![SocketAddr::from((Ipv6Addr::LOCALHOST, 5280))];
        /// With TLS, for browsers directly.
        listen_tls: Vec<SocketAddr> = vec![everywhere(5281)];
        /// The path of BOSH.
        bosh: OrOff<HttpPath> = OrOff::On(HttpPath::from_static("/http-bind"));
        /// The path of WebSocket.
        websocket: OrOff<HttpPath> = OrOff::On(HttpPath::from_static("/xmpp-websocket"));
        /// Web sites whose pages may connect. `*` lets every page try; a password is needed all the same.
        allowed_origins: Vec<Origin> = vec![Origin::Any];
        /// Reverse proxies, as addresses or blocks. Their `Forwarded` and `X-Forwarded-For` are believed, and limits look at
        /// the client's address instead of theirs.
        /// A proxy sets one of the two and takes the other away; where both stand and differ, neither is believed.
        trusted_proxies: Vec<Network> = Vec::new();
        /// The web site at which browsers reach WebSocket and BOSH, told in host-meta (XEP-0156). Off: it is the one where
        /// they ask for host-meta, as behind the examples in `deploy/proxy`.
        public_url: OrOff<WebSite> = OrOff::Off;
        /// Clients that come on a WebSocket are sent there instead (`see-other-uri`, RFC 7395). Those that are connected
        /// stay.
        see_other_uri: OrOff<WebEndpoint> = OrOff::Off;
        /// How often a client on a WebSocket is asked for a sign of life. One that has not answered by the next time is
        /// gone. Shorter than the patience of proxies in between, which is often a minute.
        ping_interval: Duration = Duration::from_secs(30);
    }
}

section! {
    /// Logging in.
    pub struct Sasl {
        /// Rounds of PBKDF2 for passwords stored for SCRAM. More makes a stolen database harder to use, and every login
        /// slower on the client. Changes apply to passwords set from then on.
        iterations: u32 = 10_000;
    }
}

section! {
    /// Group chat.
    pub struct Muc {
        /// Domains of room services. Each needs a name in DNS if people from elsewhere shall come, and a certificate that
        /// names it.
        services: Vec<HostName> = Vec::new(), shown "[\"chats.montague.lit\"]";
        /// How long somebody whose server cannot be reached keeps the place in a room, marked as out of reach. With `0s`
        /// they are removed at once.
        ghost_grace: Duration = Duration::from_secs(300);
        /// How long whoever comes to a room that was destroyed is told so, and where to go instead. With `0s` such a room can
        /// be made anew at once, by anybody.
        tombstones: Duration = Duration::from_secs(31 * 24 * 3600);
    }
}

section! {
    /// Stream management.
    pub struct Sm {
        /// How long a session whose connection broke waits to be resumed. Longer is kinder to phones, and costs memory.
        /// Nothing (`"0s"`): sessions cannot be resumed.
        resume_timeout: Duration = Duration::from_secs(300);
        /// An acknowledgement promises that nothing is lost. What could not be handed to its recipient within this time is
        /// written to disk, so that the acknowledgement can be given.
        settle_after: Duration = Duration::from_secs(1);
        /// A session that was away for longer gets what it missed with the time of its arrival (XEP-0203).
        delay_stamp_after: Duration = Duration::from_secs(10);
    }
}

section! {
    /// BOSH sessions.
    pub struct Bosh {
        /// The longest pause that a client may ask for.
        max_pause: Duration = Duration::from_secs(120);
        /// A session from which no request comes for this long is over.
        inactivity: Duration = Duration::from_secs(60);
    }
}

section! {
    /// Presence that says when it may not be true any more.
    pub struct Psa {
        /// Whether clients are told when the presence of a contact cannot be known: its server is out of reach, or its
        /// session paused.
        enabled: bool = true;
        /// Adds a sentence for people to each such annotation.
        description: bool = true;
        /// How long a broken link to another server may take to come back before anybody is told.
        s2s_grace: Duration = Duration::from_secs(10);
        /// After another server closed an idle link, look from time to time whether it is still there.
        idle_check: bool = true;
        /// Ask for the presence of all contacts there when a link is back.
        reprobe: bool = true;
        /// How long a paused session may take to come back before anybody is told; at most `10s`.
        pause_delay: Duration = Duration::ZERO;
        /// Memory for presence received from other servers, for each account: what all of its sessions were sent. Beyond it,
        /// presence is not annotated: first of people who are no contacts, then of occupants of rooms, the oldest first.
        cache_bytes: ByteSize = ByteSize(1 << 20);
    }
}

section! {
    /// Asking whether somebody is really there.
    pub struct Poke {
        /// `on`: contacts with a subscription may ask. `ignore`: the question is answered like any probe. `refuse`: it is
        /// answered with an error.
        mode: PokeMode = PokeMode::On;
        /// How long an answer may take.
        timeout: Duration = Duration::from_secs(120);
        /// What somebody hears whom the user has blocked: `forbidden`, as every stranger does, or nothing (`silent`).
        blocked: PokeBlocked = PokeBlocked::Forbidden;
        /// Who is told that an account does not exist: nobody (`never`), administrators and components (`trusted`), or
        /// everybody (`always`). To all others it looks like an account that does not let them ask.
        reveal_unknown: RevealUnknown = RevealUnknown::Trusted;
        /// How often one may ask about one user.
        rate: OrOff<Rate> = OrOff::On(Rate { count: 6, period: MINUTE });
    }
}

choice! {
    /// What happens to pokes.
    pub enum PokeMode {
        /// They are answered.
        On = "on",
        /// They count as plain probes.
        Ignore = "ignore",
        /// They are refused.
        Refuse = "refuse",
    }
}

choice! {
    /// What a blocked requester hears.
    pub enum PokeBlocked {
        /// The error that strangers get.
        Forbidden = "forbidden",
        /// Nothing.
        Silent = "silent",
    }
}

choice! {
    /// Who learns that an account does not exist.
    pub enum RevealUnknown {
        /// Nobody.
        Never = "never",
        /// Administrators and components.
        Trusted = "trusted",
        /// Everybody.
        Always = "always",
    }
}

section! {
    /// Attention requests.
    pub struct Attention {
        /// How often one sender may call for the attention of one user. Beyond it the message arrives without the call; a
        /// message that was nothing but a call is dropped.
        rate: OrOff<Rate> = OrOff::Off;
    }
}

section! {
    /// Asking a stranger to show presence.
    pub struct Decloak {
        /// Whether the server's hosts and its services of rooms (not the users) show what they are capable of to whoever
        /// wishes to see them. What they tell is what service discovery tells everybody.
        services: bool = true;
        /// How often one account may ask those who are not its contacts: users, services and hosts.
        rate: OrOff<Rate> = OrOff::On(Rate { count: 30, period: MINUTE });
    }
}

section! {
    /// Figures for Prometheus, and health.
    pub struct Metrics {
        /// Where they are served, without TLS and without a password: keep it on loopback or in a network of your own.
        listen: OrOff<SocketAddr> = OrOff::On(SocketAddr::from((Ipv4Addr::LOCALHOST, 9568)));
        /// Remote domains that get figures of their own. Others get them by traffic while there is room; the rest is
        /// counted together.
        peers: Vec<HostName> = Vec::new();
    }
}

pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// All addresses of this machine, both families.
fn everywhere(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}
