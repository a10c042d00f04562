//! Meets every request: where it comes from, and whether more come from there than anybody's share.

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use diptych_headers::{Client, is_localhost};
use diptych_stages::phrase::Phrase;
use tracing::Instrument as _;

use crate::gates::{Gate, Said};
use crate::problem::Problem;
use crate::state::App;

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
    let is_known = client.is_some();
    let client = client.unwrap_or_else(|| {
        app.gates().unknown(Gate::RateLimit, &Phrase::new("why_forwarded"));
        Client { address: peer, https: false, behind_a_stranger: true, at_this_machine: false }
    });
    if let Err(wait) = app.limits().address(client.address) {
        app.gates().count(Gate::RateLimit, Said::Refused);
        let mut refused =
            Problem::too_many("Too many requests come from your network.").after(wait).into_response();
        refused.extensions_mut().insert(client);
        return refused;
    }
    if is_known {
        app.gates().count(Gate::RateLimit, Said::Passed);
    }
    let strictly = app.is_https(client) && !is_localhost(request.headers());
    request.extensions_mut().insert(client);
    let mut response = next.run(request).await;
    // For `as_page`, which asks who it is.
    response.extensions_mut().insert(client);
    if strictly {
        let headers = response.headers_mut();
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_FOR_A_YEAR));
    }
    response
}
