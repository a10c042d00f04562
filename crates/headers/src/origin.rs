//! Which page sent a request, and where one may be sent to.

use http::header::{HOST, HeaderMap};

/// Whether the request comes from a page of this server: by what the browser says of itself, by the origin where it says
/// nothing, or by the page that it came from, as browsers without either of these say. A browser that says nothing at all
/// is not one.
pub fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if headers.contains_key("sec-fetch-site") {
        return text("sec-fetch-site") == Some("same-origin");
    }
    match (text("origin").or_else(|| text("referer")), text("host")) {
        (Some(page), Some(host)) => page
            .split_once("://")
            .is_some_and(|(_, from)| from.split(['/', '?', '#']).next().is_some_and(|from| from == host)),
        _ => false,
    }
}

/// A path of this server to go on to; anything else would lead elsewhere, as browsers read it: they take `\` for `/`,
/// and leave out tabs and line breaks wherever they stand (URL Standard, 4.4).
pub fn local_path(next: &str) -> &str {
    let odd = |character: char| character.is_control() || character == '\\';
    let local =
        next.starts_with('/') && !next.starts_with("//") && !next.contains(odd) && next.len() <= LONGEST;
    if local { next } else { "/" }
}

/// The longest such path, in bytes: it is kept while somebody is away to sign in.
const LONGEST: usize = 1_000;

/// Whether the browser calls the server by a name that only somebody of its network could have for it: by its address,
/// by one word, or by a name of local networks (RFC 6762, RFC 8375). Any other name may be a stranger's, whose page is
/// pointed at this server to act as one of its own.
pub fn is_called_as_a_neighbour(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let bare = host.rsplit_once(':').map_or(host, |(name, port)| {
        match port.bytes().all(|byte| byte.is_ascii_digit()) {
            true => name,
            false => host,
        }
    });
    let inner = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(bare);
    let local = [".local", ".localhost", ".home.arpa", ".internal", ".lan"];
    let name = bare.to_ascii_lowercase();
    inner.parse::<std::net::IpAddr>().is_ok()
        || !name.is_empty() && (!name.contains('.') || local.iter().any(|end| name.ends_with(end)))
}

/// Whether the browser calls the server `localhost`: what holds for that name holds for everything else that is
/// tried out on that machine too.
pub fn is_localhost(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_is_never_sent_to_another_server() {
        assert_eq!(local_path("/s/a?b=ü"), "/s/a?b=ü");
        for bad in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x",
        ] {
            assert_eq!(local_path(bad), "/", "{bad:?}");
        }
        assert_eq!(local_path(&format!("/{}", "a".repeat(LONGEST))), "/");
    }

    #[test]
    fn neighbours_call_it_by_no_name_that_strangers_have() {
        let called = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            is_called_as_a_neighbour(&headers)
        };
        for near in
            ["127.0.0.1:8080", "[::1]:80", "[fd00::1]", "localhost", "prefs:80", "Prefs.LOCAL", "a.lan:1"]
        {
            assert!(called(near), "{near}");
        }
        for far in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "a:b",
            "",
            ":80",
            "a.local.example",
        ] {
            assert_eq!(called(far), far == "a:b", "{far}");
        }
        assert!(!is_called_as_a_neighbour(&HeaderMap::new()));
    }

    proptest::proptest! {
        /// As a browser reads it.
        #[test]
        fn wherever_one_goes_on_to_is_this_server(next in "[/\\\\\t\n\r :a@.?#\u{0}\u{85}%2f]{0,12}") {
            let here = url::Url::parse("https://here.example/enter").unwrap();
            let there = here.join(local_path(&next)).unwrap();
            proptest::prop_assert_eq!(there.origin(), here.origin());
        }
    }

    #[test]
    fn other_sites_are_told_apart() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect()
        };
        assert!(same_origin(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!same_origin(&headers(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://a"),
            ("host", "a")
        ])));
        assert!(same_origin(&headers(&[("origin", "http://a:1"), ("host", "a:1")])));
        assert!(!same_origin(&headers(&[("origin", "http://b"), ("host", "a")])));
        assert!(!same_origin(&headers(&[("host", "a")])));
        assert!(same_origin(&headers(&[("referer", "https://a:1/s/b?c"), ("host", "a:1")])));
        for page in ["https://b/a", "https://a.b/", "https://b?a", "a", "https://b@a/", "https://a@b/"] {
            assert!(!same_origin(&headers(&[("referer", page), ("host", "a")])), "{page}");
        }
        assert!(!same_origin(&headers(&[("origin", "null"), ("referer", "http://a/"), ("host", "a")])));
    }
}
