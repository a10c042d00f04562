//! Where a request comes from, and how much anybody may ask.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use diptych_core::PersonId;
use diptych_core::config::LimitsConfig;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use tracing::Instrument as _;

use crate::gates::{Gate, Said};
use crate::problem::Problem;
use crate::state::App;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    /// The address of the browser or program, as far as those tell it who are believed.
    pub(crate) address: IpAddr,
    /// Whether a proxy that is believed says that it was asked over HTTPS.
    pub(crate) https: bool,
    /// Whether somebody in between speaks for it who is not believed: then `address` is theirs.
    pub(crate) behind_a_stranger: bool,
}

impl Client {
    /// By the peer and, where that is a trusted proxy, by what it says. Nothing where it says what is no address. `behind`
    /// says whether people reach this server through a proxy: then what comes from this machine or its network may be
    /// from anywhere.
    fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet], behind: bool) -> Option<Self> {
        let peer = peer.to_canonical();
        let believed = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        if !believed(&peer) {
            let behind_a_stranger = forwarded || behind && is_private(peer);
            return Some(Self { address: peer, https: false, behind_a_stranger });
        }
        let scheme = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
        let https = scheme
            .is_some_and(|scheme| scheme.split(',').next_back().is_some_and(|last| last.trim() == "https"));
        // Each proxy appends whom it was asked by: from the end, the first that is no proxy of ours is the client.
        let mut address = peer;
        for line in headers.get_all("x-forwarded-for").iter().rev() {
            for part in line.to_str().ok()?.rsplit(',') {
                address = parse(part.trim())?;
                if !believed(&address) {
                    return Some(Self { address, https, behind_a_stranger: false });
                }
            }
        }
        // A proxy of ours that does not say for whom it asks speaks for anybody.
        Some(Self { address, https, behind_a_stranger: !headers.contains_key("x-forwarded-for") })
    }
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1` or `[::1]:5`.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip())).ok()?;
    Some(IpAddr::to_canonical(&address))
}

/// Whether this address is of the machine itself or of a private network (RFC 1918, RFC 4193).
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// How much anybody may ask.
pub(crate) struct Limits {
    people: DefaultKeyedRateLimiter<PersonId>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    sign_ins: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

impl Limits {
    pub(crate) fn new(config: &LimitsConfig) -> Self {
        let some = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let a_second =
            |number: u32| Quota::per_second(some(number)).allow_burst(some(number.saturating_mul(4)));
        Self {
            people: RateLimiter::keyed(a_second(config.per_person)),
            addresses: RateLimiter::keyed(a_second(config.per_address)),
            sign_ins: RateLimiter::keyed(Quota::per_minute(some(config.sign_ins_a_minute))),
            clock: DefaultClock::default(),
        }
    }

    /// # Errors
    /// In how many seconds to come back.
    pub(crate) fn person(&self, person: &PersonId) -> Result<(), u64> {
        self.check(&self.people, person)
    }

    /// # Errors
    /// In how many seconds to come back.
    fn address(&self, address: IpAddr) -> Result<(), u64> {
        self.check(&self.addresses, &network(address))
    }

    /// # Errors
    /// In how many seconds to come back.
    pub(crate) fn sign_in(&self, address: IpAddr) -> Result<(), u64> {
        self.check(&self.sign_ins, &network(address))
    }

    /// The wait is rounded up, so that nobody comes back a moment too early.
    fn check<K: Clone + Eq + Hash>(&self, limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), u64> {
        limiter.check_key(key).map_err(|not| not.wait_time_from(self.clock.now()).as_secs() + 1)
    }

    /// Forgets who has long not asked, so that memory does not grow with everybody who ever came.
    pub(crate) fn forget(&self) {
        self.people.retain_recent();
        self.addresses.retain_recent();
        self.sign_ins.retain_recent();
        self.people.shrink_to_fit();
        self.addresses.shrink_to_fit();
        self.sign_ins.shrink_to_fit();
    }
}

/// What counts as one address: of IPv6, the /64 that one household has.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// Has browsers ask this host over HTTPS alone from now on (RFC 6797).
const HTTPS_FOR_A_YEAR: &str = "max-age=31536000";

/// Gives a request an id, which stands in the log and in the answer, and finds out where it comes from.
///
/// The log has the route, not the address: that may hold a secret (an invitation, a picture's name) or a name.
pub(crate) async fn meet(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let id = format!("{:016x}", rand::random::<u64>());
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str);
    let span = tracing::error_span!("request", id, method = %request.method(), route);
    let begun = Instant::now();
    let pulse = app.clone();
    let mut response = let_in(app, peer, request, next).instrument(span.clone()).await;
    let status = response.status().as_u16();
    if status >= 500 {
        pulse.pulse().error();
    }
    span.in_scope(|| tracing::info!(status, ms = begun.elapsed().as_secs_f64() * 1e3, "answered"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    response
}

/// Refuses a request where too many come from the same place.
async fn let_in(app: App, peer: SocketAddr, mut request: Request, next: Next) -> Response {
    // HTTP/2 says in the address for which host it is.
    if !request.headers().contains_key(header::HOST)
        && let Some(host) =
            request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let peer = peer.ip().to_canonical();
    let client = Client::of(peer, request.headers(), app.trusted_proxies(), app.is_behind_a_proxy());
    let client = client.unwrap_or_else(|| {
        app.gates().unknown(Gate::RateLimit, "the proxy's X-Forwarded-For holds what is no address");
        Client { address: peer, https: false, behind_a_stranger: true }
    });
    if let Err(wait) = app.limits().address(client.address) {
        app.gates().count(Gate::RateLimit, Said::Refused);
        return Problem::too_many("Too many requests come from your network.").after(wait).into_response();
    }
    let strictly = app.is_https(client) && !is_this_machine(request.headers());
    request.extensions_mut().insert(client);
    let mut response = next.run(request).await;
    if strictly {
        let headers = response.headers_mut();
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_FOR_A_YEAR));
    }
    response
}

/// Whether the browser calls the server `localhost`: what holds for that name holds for everything else that is
/// tried out on that machine too.
fn is_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&'static str]) -> Option<Client> {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
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

    #[test]
    fn each_has_its_own_share() {
        let limits = Limits::new(&LimitsConfig { per_person: 1, per_address: 2, sign_ins_a_minute: 3 });
        let (one, other) = (PersonId::new(), PersonId::new());
        assert_eq!((0..10).filter(|_| limits.person(&one).is_ok()).count(), 4);
        assert!(limits.person(&one).unwrap_err() >= 1);
        assert!(limits.person(&other).is_ok());
        let (here, there): (IpAddr, IpAddr) =
            ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        assert_eq!(
            (0..10).filter(|n| limits.address(if n % 2 == 0 { here } else { there }).is_ok()).count(),
            8
        );
        assert_eq!((0..10).filter(|_| limits.sign_in(here).is_ok()).count(), 3);
        assert!(limits.sign_in("2001:db8:0:1::1".parse().unwrap()).is_ok(), "another household");
    }
}
