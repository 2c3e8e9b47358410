//! Where a client in a browser connects: host-meta, as XML and as JSON (XEP-0156, RFC 6415).

use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use stanza::Address;

use super::{Answer, Asker, text};
use crate::clients::Settings;

/// In which form it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Xrd,
    Jrd,
}

/// A way to connect.
struct Link {
    relation: &'static str,
    address: String,
}

impl Form {
    /// The form that is found at a path.
    pub(super) fn at(path: &str) -> Option<Form> {
        match path {
            "/.well-known/host-meta" => Some(Form::Xrd),
            "/.well-known/host-meta.json" => Some(Form::Jrd),
            _ => None,
        }
    }
}

/// Answers for the host that the request names, when it is ours. The ways to connect are where the request came in, unless
/// the operator has said otherwise (`http.public_url`), and they are told only to those who come by TLS (XEP-0156 §2.2): to anybody else they would be of no use.
pub(super) fn answer(form: Form, settings: &Settings, asker: &Asker, request: &Request<Incoming>) -> Answer {
    let authority = request
        .headers()
        .get(HOST)
        .and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let Some(authority) = authority.filter(|authority| asker.tls.is_some() && is_ours(settings, authority))
    else {
        return text(StatusCode::NOT_FOUND, "There is nothing here.\n");
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "This can be read.\n");
    }
    let links = links(settings, &authority);
    let (kind, body) = match form {
        Form::Xrd => ("application/xrd+xml; charset=utf-8", xrd(&links)),
        Form::Jrd => ("application/json", jrd(&links)),
    };
    let mut answer = Answer::new(body.into());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    // XEP-0156 §3: every page may read it.
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer
}

fn is_ours(settings: &Settings, authority: &Authority) -> bool {
    Address::domain(authority.host()).is_ok_and(|host| settings.session.hosts.contains_key(&host))
}

fn links(settings: &Settings, authority: &Authority) -> Vec<Link> {
    let ways = [
        (
            "urn:xmpp:alt-connections:websocket",
            "wss",
            &settings.http.web_socket,
        ),
        ("urn:xmpp:alt-connections:xbosh", "https", &settings.http.bosh),
    ];
    ways.into_iter()
        .filter_map(|(relation, scheme, path)| {
            let path = path.as_deref()?;
            let address = match &settings.http.public_url {
                // It begins with https.
                Some(site) => format!("{scheme}{}{path}", site.strip_prefix("https")?),
                None => format!("{scheme}://{authority}{path}"),
            };
            Some(Link { relation, address })
        })
        .collect()
}

fn xrd(links: &[Link]) -> Vec<u8> {
    let mut out = b"<?xml version='1.0' encoding='utf-8'?>\n\
          <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n"
        .to_vec();
    for Link { relation, address } in links {
        out.extend_from_slice(format!("  <Link rel='{relation}' href='").as_bytes());
        xml::escape_attribute(&mut out, address);
        out.extend_from_slice(b"'/>\n");
    }
    out.extend_from_slice(b"</XRD>\n");
    out
}

fn jrd(links: &[Link]) -> Vec<u8> {
    let links: Vec<_> = links
        .iter()
        .map(|Link { relation, address }| json!({ "rel": relation, "href": address }))
        .collect();
    format!("{}\n", json!({ "links": links })).into_bytes()
}
