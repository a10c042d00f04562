//! Who is asking: a session cookie for browsers, a bearer token for programs.

use axum::Extension;
use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Redirect, Response};
use diptych_headers::{Client, cookie, same_origin};
use diptych_stages::ctx::now;
use diptych_store::people::Person;

use crate::gates::{Gate, Said};
use crate::problem::Problem;
use crate::state::App;

pub(crate) const COOKIE: &str = "diptych_session";

/// How long a browser stays signed in, in milliseconds.
const SESSION: i64 = 30 * 24 * 3600 * 1000;

/// 256 random bits in hex: a secret that cannot be guessed.
pub fn new_secret() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

/// How a browser is to keep this server's cookies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CookieRules {
    /// It reaches the server over HTTPS.
    pub(crate) https: bool,
    /// Another site shows the pages in a frame.
    pub(crate) framed: bool,
}

impl CookieRules {
    /// What a cookie is called in the browser. Over HTTPS the browser itself sees to it that what is called so was
    /// set by this server alone (RFC 6265bis, 4.1.3.2).
    pub(crate) fn name(self, name: &str) -> String {
        if self.https { format!("__Host-{name}") } else { name.to_owned() }
    }

    /// What it is kept to: to HTTPS where that is how the server is reached; to pages of this server, but where
    /// another site shows them in a frame. Whatever comes along with a change, [`Visitor`] looks where it comes from.
    fn attributes(self) -> &'static str {
        match self {
            Self { https: true, framed: true } => "Secure; SameSite=None; Partitioned",
            Self { https: true, framed: false } => "Secure; SameSite=Lax",
            Self { https: false, .. } => "SameSite=Lax",
        }
    }
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
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
                .map(|(_, token)| token)
                .ok_or_else(|| Problem::sign_in("The Authorization header must be `Bearer TOKEN`."))?;
            let person = app.store().person_of_token(token.trim()).await;
            let Some(person) = app.gates().asked(Gate::SignIn, person)? else {
                app.gates().count(Gate::SignIn, Said::Refused);
                return Err(Problem::sign_in(
                    "This token is not known here. `diptych users token NAME` prints one.",
                ));
            };
            return within_share(&app, &parts.method, person).map(|person| Self(Some(person)));
        }
        let client = parts.extensions.get::<Client>().copied();
        let client =
            client.ok_or_else(|| Problem::internal("Nobody knows where this request comes from."))?;
        let name = app.cookie_rules(client).name(COOKIE);
        let Some(secret) = cookie(&parts.headers, &name) else { return Ok(Self(None)) };
        // A cookie comes along with whatever page sent the request; only our own pages may change things.
        if !parts.method.is_safe() && !same_origin(&parts.headers) {
            return Err(Problem::forbidden("This request came from another site."));
        }
        let person = app.store().person_of_session(secret, now()).await;
        let person = app.gates().asked(Gate::SignIn, person)?;
        person.map(|person| within_share(&app, &parts.method, person)).transpose().map(Self)
    }
}

/// The person, unless they change more than their share. Looking counts for their address alone: a moderator's
/// grid looks at a hundred pictures at once.
fn within_share(app: &App, method: &Method, person: Person) -> Result<Person, Problem> {
    if method.is_safe() {
        return Ok(person);
    }
    match app.limits().person(&person.id) {
        Ok(()) => Ok(person),
        Err(wait) => {
            app.gates().count(Gate::RateLimit, Said::Refused);
            Err(Problem::too_many("You ask faster than anybody can look at pictures.").after(wait))
        }
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

/// What the tokens begin with that people make for themselves.
pub(crate) const OWN: &str = "own-";

/// Whether a program asks with a token of `users token`: who was given one has agreed to the terms.
pub(crate) fn by_given_token(headers: &HeaderMap) -> bool {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    token.is_some_and(|token| !token.split_whitespace().any(|word| word.starts_with(OWN)))
}

/// Who is signed in on the browser that was answered, for a page that says what went wrong: where nobody can tell at
/// this moment, it is shown as to anybody.
pub(crate) async fn signed_in_on(app: &App, headers: &HeaderMap, client: Option<Client>) -> Option<Person> {
    let name = app.cookie_rules(client?).name(COOKIE);
    app.store().person_of_session(cookie(headers, &name)?, now()).await.ok().flatten()
}

/// Signs the person in on this browser: the session's cookie, and the end of the one before. `by_name` where a name alone
/// says who it is.
pub(crate) async fn begin(
    app: &App,
    client: Client,
    headers: &HeaderMap,
    person: &Person,
    by_name: bool,
    next: &str,
) -> Result<Response, Problem> {
    let rules = app.cookie_rules(client);
    if let Some(before) = cookie(headers, &rules.name(COOKIE)) {
        app.gates().asked(Gate::SignIn, app.store().end_session(before).await)?;
    }
    let secret = new_secret();
    let (store, until) = (app.store(), now() + SESSION);
    let added = match by_name {
        true => store.add_session_by_name(&person.id, &secret, until).await,
        false => store.add_session(&person.id, &secret, until).await,
    };
    app.gates().asked(Gate::SignIn, added)?;
    app.gates().count(Gate::SignIn, Said::Passed);
    let response = Redirect::to(next).into_response();
    Ok(with_cookie(response, &rules.name(COOKIE), &secret, SESSION / 1000, rules))
}

pub(crate) async fn leave(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    let rules = app.cookie_rules(client);
    if let Some(secret) = cookie(&headers, &rules.name(COOKIE)) {
        app.store().end_session(secret).await?;
    }
    Ok(without_session(Redirect::to("/").into_response(), rules))
}

/// The response, which has the browser forget its session.
pub(crate) fn without_session(response: Response, rules: CookieRules) -> Response {
    with_cookie(response, &rules.name(COOKIE), "", 0, rules)
}

/// # Errors
/// Where a request that changes something does not come from a page of ours.
pub(crate) fn only_from_here(headers: &HeaderMap) -> Result<(), Problem> {
    match same_origin(headers) {
        true => Ok(()),
        false => Err(Problem::forbidden("This request came from another site.")),
    }
}

/// The response with a cookie that scripts cannot read.
pub(crate) fn with_cookie(
    mut response: Response,
    name: &str,
    value: &str,
    seconds: i64,
    rules: CookieRules,
) -> Response {
    let text = format!("{name}={value}; Path=/; HttpOnly; Max-Age={seconds}; {}", rules.attributes());
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}
