//! Whatever stands in the headers of a request: nobody is believed who need not be, nobody is sent elsewhere.
//!
//! The first byte says whether the peer is a trusted proxy. A line is a header, `name: value`; one that begins with
//! `/` is a place to go on to.

#![no_main]

use std::net::IpAddr;

use diptych_headers::{Client, best, cookie, is_private, local_path, network, same_origin, takes};
use http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, HeaderMap};
use http::{HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [first, lines @ ..] = bytes else { return };
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        if line.starts_with(b"/") {
            goes_on(line);
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    comes_from(&headers, first.is_multiple_of(2));
    likes(&headers);
    is_of_a_page(&headers);
    if let Some(value) = cookie(&headers, "diptych_session") {
        let sent = |header: &HeaderValue| header.to_str().is_ok_and(|text| text.contains(value));
        assert!(headers.get_all(COOKIE).iter().any(sent), "{value:?} was not sent");
    }
});

/// Who is not trusted speaks for itself alone; of what a trusted proxy says, no address is made up.
fn comes_from(headers: &HeaderMap, proxy: bool) {
    let trusted = ["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")];
    let peer: IpAddr = if proxy { [10, 0, 0, 1] } else { [203, 0, 113, 9] }.into();
    let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    for behind in [false, true] {
        let Some(client) = Client::of(peer, headers, &trusted, behind) else {
            assert!(proxy && forwarded, "only a proxy can say what is no address");
            continue;
        };
        if !proxy {
            let alone =
                Client { address: peer, https: false, behind_a_stranger: forwarded, at_this_machine: false };
            assert_eq!(client, alone);
        }
        assert!(!client.at_this_machine, "{client:?} comes from elsewhere");
        assert!(!client.address.is_loopback() || client.behind_a_stranger, "{client:?} is nobody next door");
        if client.address != peer {
            // What stands in front of it may be no text.
            let says_one = |value: &HeaderValue| value.as_bytes().iter().any(|byte| b".:".contains(byte));
            assert!(headers.get_all("x-forwarded-for").iter().any(says_one), "{client:?} was not said");
        }
        assert_eq!(client.address, client.address.to_canonical());
        assert_eq!(network(network(client.address)), network(client.address));
        if is_private(client.address) && proxy {
            assert!(client.behind_a_stranger || forwarded, "{client:?} is nobody next door");
        }
    }
}

fn likes(headers: &HeaderMap) {
    let languages = ["en", "de"];
    if let Some(place) = best(headers, &languages) {
        let named = |value: &HeaderValue| {
            value.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains(languages[place]))
        };
        assert!(headers.get_all(ACCEPT_LANGUAGE).iter().any(named), "nobody likes {}", languages[place]);
    }
    if takes(headers, "image/webp") {
        let text = format!("{headers:?}").to_ascii_lowercase();
        assert!(text.contains("image/webp"), "nobody takes image/webp");
    }
}

/// What a browser says of itself stands; without that, a page of ours has our host in its address.
fn is_of_a_page(headers: &HeaderMap) {
    if !same_origin(headers) {
        return;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-site") {
        Some(site) => assert_eq!(site, "same-origin"),
        None => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok()).expect("a host");
            let page = text("origin").or_else(|| text("referer")).expect("a page");
            assert!(page.contains(&format!("://{host}")), "{page:?} is not of {host:?}");
        }
    }
}

/// As a browser reads an address (URL Standard).
fn goes_on(line: &[u8]) {
    let Ok(next) = str::from_utf8(line) else { return };
    let here = url::Url::parse("https://here.example/enter").expect("an address");
    let there = here.join(local_path(next)).expect("a path of ours is an address");
    assert_eq!(there.origin(), here.origin(), "{next:?} leads elsewhere");
}
