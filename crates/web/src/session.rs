//! Who is asking: a session cookie for browsers, a bearer token for programs.
//!
//! Sign-in is a name, on a private address only: whoever gives a name is that person, so this is
//! for people who trust each other. A token from `diptych users token` works everywhere.

use std::net::{IpAddr, SocketAddr};

use axum::Form;
use axum::extract::{ConnectInfo, FromRef, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use diptych_stages::ctx::now;
use diptych_store::people::Person;
use serde::Deserialize;

use crate::pages;
use crate::problem::Problem;
use crate::state::App;

pub(crate) const COOKIE: &str = "diptych_session";

/// How long a browser stays signed in, in milliseconds.
const SESSION: i64 = 30 * 24 * 3600 * 1000;

/// 256 random bits in hex: a secret that cannot be guessed.
pub fn new_secret() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

/// The person who asks, where there is one.
pub(crate) struct Visitor(pub(crate) Option<Person>);

/// The person who asks; nobody is a problem.
pub(crate) struct SignedIn(pub(crate) Person);

impl<S> FromRequestParts<S> for Visitor
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let app = App::from_ref(state);
        if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            let token = value
                .to_str()
                .ok()
                .and_then(|value| value.strip_prefix("Bearer "))
                .ok_or_else(|| Problem::sign_in("The Authorization header must be `Bearer TOKEN`."))?;
            let person = app.store().person_of_token(token.trim()).await?;
            return match person {
                Some(person) => Ok(Self(Some(person))),
                None => Err(Problem::sign_in(
                    "This token is not known here. `diptych users token NAME` prints one.",
                )),
            };
        }
        let Some(secret) = cookie(&parts.headers) else { return Ok(Self(None)) };
        // A cookie comes along with whatever page sent the request; only our own pages may change things.
        if !parts.method.is_safe() && !same_origin(&parts.headers) {
            return Err(Problem::forbidden("This request came from another site."));
        }
        Ok(Self(app.store().person_of_session(&secret, now()).await?))
    }
}

impl<S> FromRequestParts<S> for SignedIn
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Visitor(person) = Visitor::from_request_parts(parts, state).await?;
        person.map(Self).ok_or_else(|| Problem::sign_in("Sign in at /enter, or send a bearer token."))
    }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}

/// Whether the request comes from a page of this server: by what the browser says of itself, or by
/// the origin where it says nothing. A browser that says neither is not one.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        _ => false,
    }
}

/// Whether this address is of the machine itself or of a private network (RFC 1918, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private(IpAddr::V4(v4)),
            None => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        },
    }
}

/// What the sign-in form sends.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    #[serde(default)]
    name: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    next: String,
}

/// The longest name, in characters.
const LONGEST_NAME: usize = 40;

pub(crate) async fn enter(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(entry): Form<Entry>,
) -> Result<Response, Problem> {
    if !same_origin(&headers) {
        return Err(Problem::forbidden("This request came from another site."));
    }
    let next = local_path(&entry.next);
    let again = |message: &str| Ok(pages::enter_page(&next, Some(message)).into_response());
    let token = entry.token.trim();
    let person = if token.is_empty() {
        let name = entry.name.split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() {
            return again("Write a name, or a token from the organizer.");
        }
        if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            return again("A name has at most 40 characters.");
        }
        // Behind a proxy everybody seems to be next door.
        let proxied = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        if proxied || !is_private(peer.ip()) {
            return again("A name alone is enough only on a private network. Ask the organizer for a token.");
        }
        let person = app.store().person(&name, false, now()).await?;
        // Whoever gives a name is that person: for who sees what others must not, that is not enough.
        if !peer.ip().is_loopback() && app.store().has_a_role(&person.id).await? {
            return again("That name belongs to a moderator or organizer, who signs in with a token.");
        }
        if person.simulated {
            return again("That name belongs to a simulated annotator. Take another one.");
        }
        person
    } else {
        match app.store().person_of_token(token).await? {
            Some(person) => person,
            None => return again("This token is not known here. Ask the organizer for a new one."),
        }
    };
    let secret = new_secret();
    app.store().add_session(&person.id, &secret, now() + SESSION).await?;
    let cookie = format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}", SESSION / 1000);
    Ok(with_cookie(Redirect::to(&next).into_response(), &cookie))
}

pub(crate) async fn leave(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    if !same_origin(&headers) {
        return Err(Problem::forbidden("This request came from another site."));
    }
    if let Some(secret) = cookie(&headers) {
        app.store().end_session(&secret).await?;
    }
    Ok(with_cookie(
        Redirect::to("/").into_response(),
        &format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"),
    ))
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// A path of this server to go on to; anything else would lead elsewhere.
pub(crate) fn local_path(next: &str) -> String {
    let local = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    if local { next.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_never_sent_to_another_server() {
        assert_eq!(local_path("/s/a?b"), "/s/a?b");
        for bad in ["", "https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nSet-Cookie: x"] {
            assert_eq!(local_path(bad), "/");
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
    }
}
