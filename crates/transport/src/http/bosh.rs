//! Requests of BOSH (XEP-0124): each finds its session, and waits there for its response.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bosh::{Condition, Purpose, Request, terminated};
use c2s::{HttpBinding, Tls};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Response, StatusCode};
use machine::random_token;
use parking_lot::Mutex;

use super::bodies::{Bodies, BodyLimits, Unread};
use super::{Answer, Asker, Place, text};
use crate::addresses::{Admission, Limit};
use crate::clients::Clients;
use crate::connection::{Bosh, Connection, Dice, Pipe};

/// All BOSH sessions, and what became of requests.
pub(crate) struct BoshSessions {
    sessions: Mutex<HashMap<String, Arc<Pipe>>>,
    results: Mutex<BTreeMap<&'static str, u64>>,
    bodies: Bodies,
}

impl Default for BoshSessions {
    fn default() -> Self {
        BoshSessions {
            sessions: Mutex::default(),
            // What has not happened yet is told too: else the first time would not be seen as a change.
            results: Mutex::new(BTreeMap::from(
                ["answered", "busy", "too_large"].map(|result| (result, 0)),
            )),
            bodies: Bodies::default(),
        }
    }
}

impl BoshSessions {
    /// Sessions that go on, and those of them whose client has paused.
    pub(crate) fn count(&self) -> (usize, usize) {
        let sessions = self.sessions.lock();
        let paused = sessions.values().filter(|pipe| pipe.is_paused()).count();
        (sessions.len(), paused)
    }

    /// Requests by what became of them.
    pub(crate) fn results(&self) -> Vec<(&'static str, u64)> {
        self.results
            .lock()
            .iter()
            .map(|(result, count)| (*result, *count))
            .collect()
    }

    /// The bodies that are being read.
    pub(crate) fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    fn find(&self, sid: &str) -> Option<Arc<Pipe>> {
        self.sessions.lock().get(sid).cloned()
    }

    fn count_result(&self, result: &'static str) {
        *self.results.lock().entry(result).or_default() += 1;
    }
}

/// Answers a request at the path of BOSH.
pub(super) async fn answer(place: &Place, request: hyper::Request<Incoming>) -> Answer {
    if request.method() == Method::GET {
        return text(StatusCode::OK, "XMPP clients connect here by BOSH (XEP-0124).\n");
    }
    if request.method() != Method::POST {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "XMPP clients post here.\n");
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
        return answer;
    }
    let (limits, body_limits, patience, asker) = {
        let settings = place.clients.settings();
        let mut limits = settings.session.limits.authenticated.clone();
        limits.stanza_bytes = settings.http.body_bytes;
        limits.depth += 1;
        let asker = place.asker(&settings.http, &request);
        let is_exempt = place.clients.addresses().is_exempt(asker.address);
        let body_limits = BodyLimits {
            one: settings.http.body_bytes,
            all: settings.http.bodies_bytes,
            address: (!is_exempt).then_some(settings.http.bodies_bytes_per_address),
        };
        (limits, body_limits, settings.unauthenticated_time, asker)
    };
    let sessions = place.clients.bosh();
    let reading = sessions
        .bodies
        .read(request.into_body(), asker.address, body_limits);
    let body = match tokio::time::timeout(patience, reading).await {
        Ok(Ok(body)) => body,
        Ok(Err(Unread::TooLarge)) => {
            sessions.count_result("too_large");
            return text(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large.\n");
        }
        Ok(Err(Unread::Busy)) => {
            sessions.count_result("busy");
            place.clients.addresses().reject(Limit::HttpBodies);
            // XEP-0124 §17.1: the client tries again after a while.
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too much is on its way already.\n",
            );
        }
        Ok(Err(Unread::Broken)) => return text(StatusCode::BAD_REQUEST, "The request broke off.\n"),
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "The request took too long.\n"),
    };
    let Ok(request) = Request::read(&body.bytes, &limits) else {
        return refused(sessions, Condition::BadRequest);
    };
    let waiting = match &request.sid {
        None => match open(place, request, asker) {
            Ok(waiting) => waiting,
            Err(answer) => return *answer,
        },
        Some(sid) => match sessions.find(sid) {
            Some(pipe) if asker.tls.is_some() || !pipe.is_secure() => {
                if pipe.is_authenticated() {
                    place.admission.lock().authenticated();
                }
                pipe.request(request).await
            }
            Some(_) | None => return refused(sessions, Condition::ItemNotFound),
        },
    };
    // It is with its session.
    drop(body);
    match waiting.response().await {
        Some(body) => {
            sessions.count_result("answered");
            respond(body)
        }
        None => refused(sessions, Condition::ItemNotFound),
    }
}

/// Begins a session, and the connection that it is to the rest of the server.
fn open(place: &Place, request: Request, asker: Asker) -> Result<crate::connection::Waiting, Box<Answer>> {
    let clients = &place.clients;
    if !matches!(request.purpose, Purpose::Create(_)) {
        return Err(Box::new(refused(clients.bosh(), Condition::ItemNotFound)));
    }
    let admission = place.admit(&asker)?;
    let sid = random_token(&mut Dice(clients.system()));
    let settings = clients.settings().http.bosh_session;
    let is_secure = asker.tls.is_some();
    let (pipe, waiting) = Pipe::open(&sid, request, settings, clients.system(), is_secure)
        .ok_or_else(|| Box::new(refused(clients.bosh(), Condition::BadRequest)))?;
    clients
        .bosh()
        .sessions
        .lock()
        .insert(sid.clone(), Arc::clone(&pipe));
    // Many connections carry one session, so that none of them can bind a login.
    let tls = asker.tls.map(|tls| Tls {
        sni: tls.sni,
        ..Tls::default()
    });
    tokio::spawn(run(Arc::clone(clients), sid, pipe, tls, admission));
    Ok(waiting)
}

async fn run(clients: Arc<Clients>, sid: String, pipe: Arc<Pipe>, tls: Option<Tls>, admission: Admission) {
    let session = c2s::Session::within_http(HttpBinding::Bosh, tls, &clients.settings().session);
    let keeper = Arc::clone(&clients);
    let bosh = Bosh::new(pipe, move || {
        keeper.bosh().sessions.lock().remove(&sid);
    });
    Connection::on_bosh(clients, bosh, session, admission).run().await;
}

fn refused(sessions: &BoshSessions, condition: Condition) -> Answer {
    sessions.count_result(condition.as_str());
    respond(terminated(condition))
}

fn respond(body: Arc<[u8]>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(&body)));
    let headers = answer.headers_mut();
    // Whatever the client wishes: a page that could choose would make a document of what others write.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
