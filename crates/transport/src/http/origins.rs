//! Whose pages may connect: what a browser says about the page that asks (RFC 6454 §7, RFC 6455 §10.2).

use hyper::HeaderMap;
use hyper::header::ORIGIN;

/// Web sites whose pages may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every page.
    Any,
    /// Pages of these origins, written as browsers do: lower case, without a path.
    These(Vec<String>),
}

impl AllowedOrigins {
    /// Whether this request may go on. One without an origin comes from no page: nobody was talked into it.
    pub(super) fn allow(&self, headers: &HeaderMap) -> bool {
        match self {
            AllowedOrigins::Any => true,
            AllowedOrigins::These(origins) => headers.get_all(ORIGIN).iter().all(|origin| {
                origins
                    .iter()
                    .any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_10_2_only_pages_of_the_listed_origins_may_connect() {
        let listed = AllowedOrigins::These(vec!["https://chat.example".to_owned()]);
        let allows = |allowed: &AllowedOrigins, origins: &[&str]| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(ORIGIN, origin.parse().unwrap());
            }
            allowed.allow(&headers)
        };
        assert!(allows(&listed, &["https://chat.example"]));
        assert!(allows(&listed, &["HTTPS://chat.example"]));
        assert!(allows(&listed, &[]), "no browser");
        for other in [
            "https://evil.example",
            "https://chat.example.evil.example",
            "http://chat.example",
            "null",
        ] {
            assert!(!allows(&listed, &[other]), "{other}");
            assert!(!allows(&listed, &["https://chat.example", other]), "{other}");
            assert!(allows(&AllowedOrigins::Any, &[other]));
        }
    }
}
