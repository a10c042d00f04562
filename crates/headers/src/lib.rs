//! What the headers of a request mean: where it comes from, which page sent it, what its browser likes and keeps.
//! Anybody can write anything into them; nothing here knows the server.

use http::header::{self, HeaderMap};

mod client;
mod likes;
mod origin;

pub use client::{Client, is_private, network};
pub use likes::{best, takes};
pub use origin::{is_called_as_a_neighbour, is_localhost, local_path, same_origin};

/// The value of the cookie of this name, as the browser sent it; of several, the first.
pub fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// Whether the browser has what goes by this tag already (RFC 9110, 13.1.2): it names it among those that it has, weakly
/// or not, or has any.
pub fn has(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; session=1=2;sessions=3"));
        headers.append(header::COOKIE, HeaderValue::from_static("session=4; c"));
        assert_eq!(cookie(&headers, "session"), Some("1=2"));
        assert_eq!(cookie(&headers, "sessions"), Some("3"));
        assert_eq!(cookie(&headers, "c"), None);
        assert_eq!(cookie(&headers, ""), None);
    }

    #[test]
    fn a_tag_is_known_however_it_is_said() {
        let known = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            has(&headers, "\"a-1\"")
        };
        for value in ["\"a-1\"", "W/\"a-1\"", "\"b\", \"a-1\"", "*"] {
            assert!(known(value), "{value}");
        }
        for value in ["a-1", "\"a-12\"", "", "\"b\""] {
            assert!(!known(value), "{value}");
        }
        assert!(!has(&HeaderMap::new(), "\"a-1\""));
    }
}
