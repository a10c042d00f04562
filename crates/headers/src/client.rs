//! Where a request comes from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The address of the browser or program, as far as those tell it who are believed.
    pub address: IpAddr,
    /// Whether a proxy that is believed says that it was asked over HTTPS.
    pub https: bool,
    /// Whether somebody in between speaks for it who is not believed: then `address` is theirs.
    pub behind_a_stranger: bool,
    /// Whether it comes from the machine itself, by no header's word.
    pub at_this_machine: bool,
}

impl Client {
    /// By the peer and, where that is a trusted proxy, by what it says. Nothing where it says what is no address. `behind`
    /// says whether people reach this server through a proxy: then what comes from this machine or its network may be
    /// from anywhere.
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet], behind: bool) -> Option<Self> {
        let peer = peer.to_canonical();
        let believed = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        if !believed(&peer) {
            let behind_a_stranger = forwarded || behind && is_private(peer);
            let at_this_machine = peer.is_loopback() && !behind_a_stranger;
            return Some(Self { address: peer, https: false, behind_a_stranger, at_this_machine });
        }
        let scheme = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        let https = scheme
            .is_some_and(|scheme| scheme.split(',').next_back().is_some_and(|last| last.trim() == "https"));
        // Each proxy appends whom it was asked by: from the end, the first that is no proxy of ours is the client.
        let mut address = peer;
        for line in headers.get_all("x-forwarded-for").iter().rev() {
            // Byte by byte: what the client wrote in front may be anything.
            for part in line.as_bytes().rsplit(|byte| *byte == b',') {
                address = parse(std::str::from_utf8(part).ok()?.trim())?;
                if !believed(&address) {
                    // From this machine nobody comes through a proxy elsewhere: whoever says so has written it.
                    let behind_a_stranger = address.is_loopback();
                    return Some(Self { address, https, behind_a_stranger, at_this_machine: false });
                }
            }
        }
        // A proxy of ours that does not say for whom it asks speaks for anybody.
        let behind_a_stranger = !headers.contains_key("x-forwarded-for") || address.is_loopback();
        Some(Self { address, https, behind_a_stranger, at_this_machine: false })
    }
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1` or `[::1]:5`.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip())).ok()?;
    Some(IpAddr::to_canonical(&address))
}

/// Whether this address is of the machine itself or of a private network (RFC 1918, RFC 4193).
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// What counts as one address: of IPv6, the /64 that one household has.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(peer: &str, forwarded: &[&'static str]) -> Option<Client> {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        Client::of(peer.parse().unwrap(), &headers, &trusted, true)
    }

    #[test]
    fn only_trusted_proxies_speak_for_others() {
        let address =
            |peer: &str, forwarded: &[&'static str]| client(peer, forwarded).unwrap().address.to_string();
        assert_eq!(address("203.0.113.9", &["1.2.3.4"]), "203.0.113.9", "anybody can write that header");
        assert!(client("203.0.113.9", &["1.2.3.4"]).unwrap().behind_a_stranger);
        assert_eq!(address("10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(address("::ffff:10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(
            address("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.7"]),
            "1.2.3.4",
            "not what the client wrote"
        );
        assert_eq!(address("10.0.0.1", &["6.6.6.6", "1.2.3.4:80"]), "1.2.3.4");
        assert_eq!(address("10.0.0.1", &["hé, 1.2.3.4"]), "1.2.3.4", "whatever the client wrote");
        assert_eq!(address("::1", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(address("10.0.0.1", &["10.0.0.2"]), "10.0.0.2");
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1", "asked by nobody but itself");
        assert_eq!(client("10.0.0.1", &["unknown"]), None);
        assert_eq!(client("10.0.0.1", &["1.2.3.4, "]), None);
        assert!(client("10.0.0.1", &["1.2.3.4"]).unwrap().https);
        assert!(!client("203.0.113.9", &[]).unwrap().https);
        // A proxy that does not say for whom it asks: that is nobody next door.
        assert!(client("10.0.0.1", &[]).unwrap().behind_a_stranger);
        for near in ["127.0.0.1", "172.17.0.1", "fd00::1"] {
            assert!(client(near, &[]).unwrap().behind_a_stranger, "{near}");
        }
        assert!(!client("203.0.113.9", &[]).unwrap().behind_a_stranger);
        let alone = Client::of([127, 0, 0, 1].into(), &HeaderMap::new(), &[], false).unwrap();
        assert!(!alone.behind_a_stranger, "a server that nobody stands in front of");
        assert!(alone.at_this_machine);
        // Nobody becomes this machine by a header, whoever is believed.
        for (peer, said) in [
            ("10.0.0.1", "127.0.0.1, 10.5.5.5"),
            ("10.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("::1", "[::1]:80"),
        ] {
            let client = client(peer, &[said]).unwrap();
            assert!(!client.at_this_machine && client.behind_a_stranger, "{peer} says {said}: {client:?}");
        }
        assert!(!client("127.0.0.1", &["127.0.0.1"]).unwrap().at_this_machine);
    }

    proptest::proptest! {
        /// Whatever stands in the header, what is believed is an address that stands there, or nothing.
        #[test]
        fn a_header_of_anything_is_an_address_or_nothing(text in "[0-9a-f:.,\\[\\] x\u{e9}-]{0,60}") {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert("x-forwarded-for", value);
            }
            let trusted = ["10.0.0.0/8".parse().unwrap()];
            if let Some(client) = Client::of([10, 0, 0, 1].into(), &headers, &trusted, true) {
                let known = text.split(',').filter_map(|part| parse(part.trim())).chain([[10, 0, 0, 1].into()]);
                proptest::prop_assert!(known.into_iter().any(|address| address == client.address));
            }
        }
    }

    #[test]
    fn private_addresses() {
        for good in ["127.0.0.1", "10.1.2.3", "192.168.0.9", "::1", "::ffff:10.0.0.1", "fd00::1"] {
            assert!(is_private(good.parse().unwrap()), "{good}");
        }
        for bad in ["8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_private(bad.parse().unwrap()), "{bad}");
        }
    }
}
