//! The handshake of a WebSocket for XMPP (RFC 6455 §4.2, RFC 7395 §3.1).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use c2s::HttpBinding;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tracing::debug;

use super::{Answer, Asker, Place, text};
use crate::addresses::Admission;
use crate::carrier::Carrier;
use crate::clients::{Clients, Settings};
use crate::connection::{Connection, WebSocket};

/// The subprotocol (RFC 7395 §3.1).
const SUBPROTOCOL: &str = "xmpp";

/// What is hashed with the key (RFC 6455 §1.3).
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes of a message that are not of its element: white space around it, an XML declaration.
const MESSAGE_BYTES_AROUND: usize = 256;

/// Agrees to the handshake, and makes a connection of what comes after it.
pub(super) fn answer(place: &Arc<Place>, settings: &Settings, mut request: Request<Incoming>) -> Answer {
    let accept = match accept(&request) {
        Ok(accept) => accept,
        Err(answer) => return *answer,
    };
    if !settings.http.allowed_origins.allow(request.headers()) {
        debug!(
            event = "origin_refused",
            "a page from elsewhere wanted to connect"
        );
        return text(
            StatusCode::FORBIDDEN,
            "Pages of this site may not connect here.\n",
        );
    }
    let asker = place.asker(&settings.http, &request);
    let admission = match place.admit(&asker) {
        Ok(admission) => admission,
        Err(answer) => return *answer,
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(run(Arc::clone(&place.clients), upgrade, asker, admission));
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    answer
}

/// The answer to the key of a request that is a handshake for XMPP.
fn accept(request: &Request<Incoming>) -> Result<HeaderValue, Box<Answer>> {
    let headers = request.headers();
    if request.method() != Method::GET
        || !lists(headers, CONNECTION, "upgrade")
        || !lists(headers, UPGRADE, "websocket")
    {
        let mut answer = text(
            StatusCode::UPGRADE_REQUIRED,
            "XMPP clients connect here by WebSocket.\n",
        );
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        return Err(Box::new(answer));
    }
    let bad = |words| Box::new(text(StatusCode::BAD_REQUEST, words));
    if !lists(headers, SEC_WEBSOCKET_VERSION, "13") {
        let mut answer = text(
            StatusCode::UPGRADE_REQUIRED,
            "WebSocket is spoken in version 13.\n",
        );
        let version = HeaderValue::from_static("13");
        answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, version);
        return Err(Box::new(answer));
    }
    if !lists(headers, SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(bad("The subprotocol here is xmpp (RFC 7395).\n"));
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16))
        .ok_or_else(|| bad("The key of the handshake is none.\n"))?;
    HeaderValue::from_str(&accept_key(key)).map_err(|_| bad("The key of the handshake is none.\n"))
}

/// RFC 6455 §4.2.2
fn accept_key(key: &[u8]) -> String {
    STANDARD.encode(
        Sha1::new()
            .chain_update(key)
            .chain_update(ACCEPT_SUFFIX)
            .finalize(),
    )
}

/// Whether a header that is a list has this entry.
fn lists(headers: &HeaderMap, name: HeaderName, entry: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(entry))
}

/// What follows the handshake.
async fn run(clients: Arc<Clients>, upgrade: OnUpgrade, asker: Asker, admission: Admission) {
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    // It is what was given to the server of the connection.
    let Ok(parts) = upgraded.downcast::<TokioIo<Carrier>>() else {
        return;
    };
    let settings = clients.settings();
    let message_bytes = settings.session.limits.authenticated.stanza_bytes + MESSAGE_BYTES_AROUND;
    let ping_interval = settings.http.ping_interval;
    let elsewhere = settings.http.see_other_uri.clone();
    let patience = settings.unauthenticated_time;
    let session = c2s::Session::within_http(HttpBinding::WebSocket, asker.tls, &settings.session);
    drop(settings);
    let mut carrier = parts.io.into_inner();
    carrier.follow(admission.acquaintance());
    let web_socket = WebSocket::new(carrier, &parts.read_buf, message_bytes, ping_interval).await;
    if let Some(uri) = elsewhere {
        // Who does not take it is not waited for.
        let _ = tokio::time::timeout(patience, web_socket.send_elsewhere(&uri)).await;
        drop(admission);
        return;
    }
    Connection::on_web_socket(clients, web_socket, session, admission)
        .run()
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_1_3_the_key_is_answered_as_in_the_example() {
        assert_eq!(
            accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
