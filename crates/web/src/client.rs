//! Meets every request: where it comes from, and how much anybody may ask.

use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use diptych_core::PersonId;
use diptych_core::config::LimitsConfig;
use diptych_headers::{Client, is_localhost, network};
use diptych_stages::phrase::Phrase;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tracing::Instrument as _;

use crate::gates::{Gate, Said};
use crate::problem::Problem;
use crate::state::App;

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
        app.gates().unknown(Gate::RateLimit, &Phrase::new("why_forwarded"));
        Client { address: peer, https: false, behind_a_stranger: true, at_this_machine: false }
    });
    if let Err(wait) = app.limits().address(client.address) {
        app.gates().count(Gate::RateLimit, Said::Refused);
        return Problem::too_many("Too many requests come from your network.").after(wait).into_response();
    }
    let strictly = app.is_https(client) && !is_localhost(request.headers());
    request.extensions_mut().insert(client);
    let mut response = next.run(request).await;
    if strictly {
        let headers = response.headers_mut();
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_FOR_A_YEAR));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

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
