//! For whom a proxy asks: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! Each proxy on the way adds the address that it saw behind what was there. What stands furthest to the right and is
//! no proxy of ours is the client; whatever stands left of it the client may have made up.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::FORWARDED;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// Who asks through the proxy at `peer`. Where the words of the proxies are missing, cannot be read, or contradict each
/// other (a proxy that writes one header may let a client write the other), it is the proxy itself.
pub(super) fn client(headers: &HeaderMap, peer: IpAddr, is_proxy: impl Fn(IpAddr) -> bool) -> IpAddr {
    let standard = listed(headers, FORWARDED.as_str(), forwarded_for);
    let usual = listed(headers, X_FORWARDED_FOR, address);
    let chosen = |list: &[Option<IpAddr>]| {
        list.iter()
            .rev()
            .copied()
            // The leftmost, when all of them are proxies.
            .enumerate()
            .find(|(from_the_right, address)| {
                *from_the_right + 1 == list.len() || address.is_none_or(|address| !is_proxy(address))
            })
            .and_then(|(_, address)| address)
    };
    match (standard.as_slice(), usual.as_slice()) {
        ([], list) | (list, []) => chosen(list).unwrap_or(peer),
        (one, other) => match (chosen(one), chosen(other)) {
            (Some(one), Some(other)) if one == other => one,
            _ => peer,
        },
    }
}

/// The addresses in all headers of this name, from left to right; `None` where one cannot be read.
fn listed(headers: &HeaderMap, name: &str, read: impl Fn(&str) -> Option<IpAddr>) -> Vec<Option<IpAddr>> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(|entry| read(entry.trim()))
        .collect()
}

/// The `for` of one element (RFC 7239 §4, §6).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| address(value.trim().trim_matches('"')))
            .flatten()
    })
}

/// An address, which may stand in brackets and have a port behind it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse()
        .ok()
        .or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "127.0.0.1";

    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: &str) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        let is_proxy = |address: IpAddr| {
            ["127.0.0.1", "10.0.0.1"]
                .iter()
                .any(|own| own.parse() == Ok(address))
        };
        let found = client(&map, PROXY.parse().unwrap(), is_proxy);
        assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{headers:?}");
    }

    #[test]
    fn rfc7239_4_the_last_address_that_is_no_proxy_of_ours_is_the_client() {
        check(&[("x-forwarded-for", "192.0.2.1")], "192.0.2.1");
        check(
            &[("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.1")],
            "192.0.2.1",
        );
        check(
            &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1")],
            "192.0.2.1",
        );
        check(&[("x-forwarded-for", "10.0.0.1")], "10.0.0.1");
        check(
            &[("forwarded", "for=192.0.2.1;proto=https;by=10.0.0.1")],
            "192.0.2.1",
        );
        check(
            &[("forwarded", "For=6.6.6.6, proto=https;for=\"[2001:db8::1]:4711\"")],
            "2001:db8::1",
        );
        check(&[("x-forwarded-for", "::ffff:192.0.2.1")], "192.0.2.1");
        check(&[("x-forwarded-for", "192.0.2.1:4711")], "192.0.2.1");
    }

    #[test]
    fn what_a_client_may_have_made_up_counts_for_nothing() {
        check(&[], PROXY);
        check(&[("x-forwarded-for", "192.0.2.1, unknown")], PROXY);
        check(&[("forwarded", "for=_hidden")], PROXY);
        check(
            &[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=6.6.6.6")],
            PROXY,
        );
        check(
            &[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")],
            "192.0.2.1",
        );
    }
}
