//! The HTTP listeners: each request goes to what stands at its path.
//!
//! A client in a browser comes as a WebSocket (RFC 7395) or in the requests of a BOSH session (XEP-0124); either is then
//! a connection like any other. Everything that XMPP means stands behind; here are only HTTP's own words.

mod bodies;
mod bosh;
mod cross_origin;
mod forwarded;
mod host_meta;
mod origins;
mod web_socket;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use c2s::Tls;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tracing::debug;

use crate::addresses::{Admission, Range};
use crate::carrier::Carrier;
use crate::clients::Clients;
use crate::tls::Listener;

pub(crate) use bosh::BoshSessions;
pub use origins::AllowedOrigins;

/// What the HTTP listeners read of the configuration.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The path of WebSocket; `None`: there is none.
    pub web_socket: Option<String>,
    /// The path of BOSH; `None`: there is none.
    pub bosh: Option<String>,
    /// What BOSH sessions read.
    pub bosh_session: ::bosh::Settings,
    /// The largest body of a request.
    pub body_bytes: usize,
    /// What of the bodies of all requests may be in memory at the same time.
    pub bodies_bytes: usize,
    /// The same for those from one address.
    pub bodies_bytes_per_address: usize,
    /// Where browsers reach these listeners, when it is not where they ask for it; without a slash at its end.
    pub public_url: Option<String>,
    /// Whose pages may connect.
    pub allowed_origins: AllowedOrigins,
    /// Those who are believed when they say for whom they ask.
    pub trusted_proxies: Vec<Range>,
    /// Where clients on a WebSocket are sent instead (RFC 7395 §3.6.1).
    pub see_other_uri: Option<String>,
    /// How often a WebSocket is asked for a sign of life.
    pub ping_interval: Duration,
}

/// Room for the head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Headers in one request.
const HEADERS_MAX: usize = 100;

type Answer = Response<Full<Bytes>>;

/// One HTTP connection, as far as its requests care.
struct Place {
    clients: Arc<Clients>,
    /// Who is on the other end of the socket.
    peer: IpAddr,
    /// What TLS says of the connection; `None` without.
    tls: Option<Tls>,
    is_trusted_proxy: bool,
    admission: Mutex<Admission>,
}

/// Who asks, once the words of a trusted proxy are heard.
struct Asker {
    address: IpAddr,
    /// What protects the way to the asker, as far as it is known here; `None`: nothing.
    tls: Option<Tls>,
}

/// Serves one connection to its end.
pub(crate) async fn serve(clients: Arc<Clients>, tcp: TcpStream, peer: SocketAddr, is_tls: Protection) {
    let settings = clients.settings();
    let patience = settings.unauthenticated_time;
    let is_trusted_proxy = settings.http.is_trusted(peer.ip());
    let admission = if is_trusted_proxy {
        clients.addresses().admit_proxy(peer.ip())
    } else {
        clients.addresses().admit(peer.ip())
    };
    drop(settings);
    let Some(mut admission) = admission else {
        debug!(
            event = "too_many_connections",
            "an address has too many connections"
        );
        return;
    };
    // Until it turns into a WebSocket, or requests of a session that has logged in come on it.
    admission.comes("bosh");
    let tcp = admission.tcp(tcp, clients.system());
    let secured = async {
        match is_tls {
            Protection::None => Some((Carrier::Plain(tcp), None)),
            Protection::Tls => {
                let secured = clients.certificates().accept(tcp, Listener::Https, None).await;
                match secured {
                    Ok(secured) => {
                        let tls = Tls {
                            bindings: secured.channel_bindings(),
                            sni: secured.stream.get_ref().1.server_name().map(str::to_owned),
                        };
                        Some((Carrier::Tls(Box::new(secured.stream.into())), Some(tls)))
                    }
                    Err(error) => {
                        debug!(event = "tls_failed", %error, "the TLS handshake failed");
                        None
                    }
                }
            }
        }
    };
    let Ok(Some((carrier, tls))) = tokio::time::timeout(patience, secured).await else {
        return;
    };
    let place = Arc::new(Place {
        clients,
        peer: peer.ip(),
        tls,
        is_trusted_proxy,
        admission: Mutex::new(admission),
    });
    let stops = place.clients.stops();
    let service = service_fn(move |request| {
        let place = Arc::clone(&place);
        async move { Ok::<_, Infallible>(place.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(carrier), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => Some(served),
        () = stops => None,
    };
    let served = match served {
        Some(served) => served,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        debug!(event = "http_failed", %error, "an HTTP connection ended with an error");
    }
}

/// Whether a listener speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    None,
    Tls,
}

impl Place {
    async fn answer(self: Arc<Place>, request: Request<Incoming>) -> Answer {
        let settings = self.clients.settings();
        if let Some(form) = host_meta::Form::at(request.uri().path()) {
            let asker = self.asker(&settings.http, &request);
            return host_meta::answer(form, &settings, &asker, &request);
        }
        let path = Some(request.uri().path());
        if settings.http.web_socket.as_deref() == path {
            return web_socket::answer(&self, &settings, request);
        }
        if settings.http.bosh.as_deref() != path {
            return text(StatusCode::NOT_FOUND, "There is nothing here.\n");
        }
        let page = cross_origin::page(request.headers());
        if !settings.http.allowed_origins.allow(request.headers()) {
            return text(
                StatusCode::FORBIDDEN,
                "Pages of this site may not connect here.\n",
            );
        }
        let allowed = cross_origin::allowed(&settings.http.allowed_origins, page);
        drop(settings);
        let mut answer = if request.method() == Method::OPTIONS {
            cross_origin::preflight()
        } else {
            bosh::answer(&self, request).await
        };
        cross_origin::allow(&mut answer, allowed);
        answer
    }

    /// Who asks by this request.
    fn asker(&self, settings: &HttpSettings, request: &Request<Incoming>) -> Asker {
        if !self.is_trusted_proxy {
            return Asker {
                address: self.peer,
                tls: self.tls.clone(),
            };
        }
        Asker {
            address: forwarded::client(request.headers(), self.peer, |address| {
                settings.is_trusted(address)
            }),
            // Nothing of the proxy's TLS binds a login, but it is there.
            tls: Some(Tls::default()),
        }
    }

    /// Lets the asker in, within the limits of its address.
    fn admit(&self, asker: &Asker) -> Result<Admission, Box<Answer>> {
        let admission = self.clients.addresses().admit(asker.address).ok_or_else(|| {
            debug!(
                event = "too_many_connections",
                "an address has too many connections"
            );
            Box::new(text(StatusCode::TOO_MANY_REQUESTS, "Too many connections.\n"))
        })?;
        if admission.has_failed_too_often(router::Surroundings::now(self.clients.system())) {
            debug!(
                event = "too_many_failed_logins",
                "an address has failed to log in too often"
            );
            return Err(Box::new(text(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many failed logins.\n",
            )));
        }
        Ok(admission)
    }
}

impl HttpSettings {
    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|range| range.contains(address))
    }
}

/// An answer in words for people.
fn text(status: StatusCode, words: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(words.as_bytes())));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer
}
