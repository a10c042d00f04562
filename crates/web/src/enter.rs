//! The ways in: a name, a token, a guest's name, a provider, an invitation.
//!
//! A name alone is enough on a private network only: whoever gives a name is that person, so this is for
//! people who trust each other. Everything else works everywhere.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use diptych_core::Name;
use diptych_core::config::Names;
use diptych_core::name::{LONGEST_NAME, NameError};
use diptych_headers::{Client, cookie, is_called_as_a_neighbour, is_private, local_path};
use diptych_stages::ctx::now;
use diptych_stages::results::notes;
use diptych_store::people::{Person, PersonKind};
use diptych_store::sign_in::{Guest, Invited, SignIn};
use serde::Deserialize;

use crate::frame::{Frame, message, page};
use crate::gates::{Gate, Said};
use crate::openid::{Begun, Failure, Identity, Provider, Refusal};
use crate::problem::{Form, Path, Problem, Query};
use crate::session::{COOKIE, Visitor, begin, new_secret, only_from_here, with_cookie};
use crate::state::App;
use crate::texts::{Reader, Texts};

/// The secret of a browser that is at a provider.
const AWAY: &str = "diptych_sign_in";

/// How long it may stay there, in milliseconds.
const AWAY_FOR: i64 = 15 * 60 * 1000;

#[derive(Template)]
#[template(path = "enter.html")]
struct Enter {
    frame: Frame,
    next: String,
    message: Option<String>,
    /// Keys and names.
    providers: Vec<(String, String)>,
    names: bool,
    guests: bool,
    /// Whether the page stands in another site's frame, into which no provider's cookies come along.
    framed: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

pub(crate) async fn show(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Visitor(person): Visitor,
    headers: HeaderMap,
    reader: Reader,
    Query(next): Query<Next>,
) -> Result<Html<String>, Problem> {
    let frame = Frame::new(reader.t.say("sign_in"), person.as_ref(), "").for_reader(&reader);
    let frame = frame.for_moderators(&app, person.as_ref()).await?;
    shown(&app, client, &headers, frame, local_path(&next.next), None)
}

/// The sign-in page, with what was wrong the last time.
fn shown(
    app: &App,
    client: Client,
    headers: &HeaderMap,
    frame: Frame,
    next: &str,
    message: Option<&str>,
) -> Result<Html<String>, Problem> {
    page(&Enter {
        frame,
        next: next.to_owned(),
        message: message.map(ToOwned::to_owned),
        providers: app.providers().map(|provider| (provider.key.clone(), provider.name.clone())).collect(),
        names: may_give_a_name(app, client, headers),
        guests: app.takes_guests(),
        framed: headers.get("sec-fetch-dest").is_some_and(|dest| dest == "iframe"),
    })
}

/// Whether a name alone is enough from there. Behind a proxy that nobody vouches for, everybody seems to be
/// next door; and whatever page a neighbour's browser shows, if it was led here under a stranger's name.
pub(crate) fn may_give_a_name(app: &App, client: Client, headers: &HeaderMap) -> bool {
    app.names() == Names::Private
        && !client.behind_a_stranger
        && is_private(client.address)
        && (is_called_as_a_neighbour(headers) || app.is_called_as_configured(headers))
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
    /// Which button was pressed.
    #[serde(default)]
    by: String,
}

pub(crate) async fn enter(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    reader: Reader,
    Form(entry): Form<Entry>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    let (next, t) = (local_path(&entry.next), reader.t);
    let form_saying = |message: &str| {
        let frame = Frame::new(t.say("sign_in"), None, "").for_reader(&reader);
        shown(&app, client, &headers, frame, next, Some(message)).map(IntoResponse::into_response)
    };
    let again_saying = |message: &str| {
        app.gates().count(Gate::SignIn, Said::Refused);
        form_saying(message)
    };
    let again = |name: &str| again_saying(t.say(name));
    if let Err(wait) = app.limits().sign_in(client.address) {
        app.gates().count(Gate::RateLimit, Said::Refused);
        let mut form = form_saying(&t.count("enter_busy", wait as i64))?;
        *form.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        form.headers_mut().insert(header::RETRY_AFTER, wait.into());
        return Ok(form);
    }
    let asked = |person| app.gates().asked(Gate::SignIn, person);
    let is_so = |answer| app.gates().asked(Gate::SignIn, answer);
    let token = entry.token.trim();
    let mut by_name = false;
    let person = if entry.by == "guest" {
        if !app.takes_guests() {
            return again("no_guests");
        }
        asked(app.store().new_guest(&Name::guest(), now()).await)?
    } else if token.is_empty() {
        if entry.name.trim().is_empty() {
            return again("write_a_name");
        }
        let name = match Name::parse(&entry.name) {
            Ok(name) => name,
            Err(error) => return again_saying(&unusable(t, error)),
        };
        if !may_give_a_name(&app, client, &headers) {
            return again("name_alone");
        }
        let person = asked(app.store().person(&name, PersonKind::Person, now()).await)?;
        // Whoever gives a name is that person: for who sees what others must not, that is not enough.
        if !client.at_this_machine && is_so(app.store().has_a_role(&person.id).await)? {
            return again("name_of_moderator");
        }
        if is_so(app.store().is_known_elsewhere(&person.id).await)? {
            return again("name_elsewhere");
        }
        if person.simulated {
            return again("name_simulated");
        }
        by_name = true;
        person
    } else {
        match app.gates().asked(Gate::SignIn, app.store().person_of_token(token).await)? {
            Some(person) => person,
            None => return again("token_unknown"),
        }
    };
    begin(&app, client, &headers, &person, by_name, next).await
}

/// Why a name cannot be taken.
fn unusable(t: &Texts, why: NameError) -> String {
    match why {
        NameError::Empty => t.say("name_empty").to_owned(),
        NameError::Long => t.count("name_long", LONGEST_NAME as i64),
    }
}

// ---- Through a provider

/// Where the provider sends the browser back to.
fn back(app: &App, client: Client, headers: &HeaderMap, provider: &Provider) -> String {
    format!("{}/enter/with/{}/back", app.address(client, headers), provider.key)
}

pub(crate) async fn away(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    reader: Reader,
    Path(key): Path<String>,
    Query(next): Query<Next>,
) -> Result<Response, Problem> {
    let Some(provider) = app.provider(&key) else { return not_a_provider(&app, &reader).await };
    if let Err(wait) = app.limits().sign_in(client.address) {
        app.gates().count(Gate::RateLimit, Said::Refused);
        return Err(Problem::too_many("Many people sign in from your network at this moment.").after(wait));
    }
    let secret = new_secret();
    let url = match provider.begin(&Begun(&secret), &back(&app, client, &headers, provider)).await {
        Ok(url) => url,
        Err(failure) => return failed(&app, provider, &reader, &failure).await,
    };
    let sign_in = SignIn { provider: key, next: local_path(&next.next).to_owned() };
    let begun = app.store().begin_sign_in(&secret, &sign_in, now(), now() + AWAY_FOR).await;
    app.gates().asked(Gate::SignIn, begun)?;
    let (response, rules) = (Redirect::to(url.as_str()).into_response(), app.cookie_rules(client));
    Ok(with_cookie(response, &rules.name(AWAY), &secret, AWAY_FOR / 1000, rules))
}

/// What a provider sends back with the browser.
#[derive(Debug, Deserialize)]
pub(crate) struct Back {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    error: String,
}

pub(crate) async fn come_back(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    reader: Reader,
    Path(key): Path<String>,
    Query(said): Query<Back>,
) -> Result<Response, Problem> {
    // What a provider sends along is used once: another language begins with another sign-in.
    let reader = Reader { here: "/enter".to_owned(), ..reader };
    let Some(provider) = app.provider(&key) else { return not_a_provider(&app, &reader).await };
    let rules = app.cookie_rules(client);
    let response = match signed_in(&app, client, &headers, provider, &said).await? {
        Ok((person, next)) => begin(&app, client, &headers, &person, false, &next).await?,
        Err(failure) => failed(&app, provider, &reader, &failure).await?,
    };
    Ok(with_cookie(response, &rules.name(AWAY), "", 0, rules))
}

/// Who has come back, and where they go on to.
async fn signed_in(
    app: &App,
    client: Client,
    headers: &HeaderMap,
    provider: &Provider,
    said: &Back,
) -> Result<Result<(Person, String), Failure>, Problem> {
    let stale = || Failure::Refused(Refusal::Stale);
    let away = app.cookie_rules(client).name(AWAY);
    let Some(secret) = cookie(headers, &away) else { return Ok(Err(stale())) };
    let begun = Begun(secret);
    if said.state != begun.state() {
        return Ok(Err(stale()));
    }
    let sign_in = app.store().end_sign_in(secret, now()).await;
    let sign_in = match app.gates().asked(Gate::SignIn, sign_in)? {
        Some(sign_in) if sign_in.provider == provider.key => sign_in,
        _ => return Ok(Err(stale())),
    };
    match said.error.as_str() {
        "" => {}
        "access_denied" | "login_required" | "consent_required" | "interaction_required" => {
            return Ok(Err(Failure::Refused(Refusal::SaidNo)));
        }
        code => return Ok(Err(provider.answered(code))),
    }
    match provider.finish(&begun, &back(app, client, headers, provider), &said.code).await {
        Ok(Identity { issuer, subject, name }) => {
            let person = app.store().person_of_identity(&issuer, &subject, &name, now()).await;
            Ok(Ok((app.gates().asked(Gate::SignIn, person)?, sign_in.next)))
        }
        Err(failure) => Ok(Err(failure)),
    }
}

/// A page that says what happened: an outage is none of the person's doing, and says so.
async fn failed(
    app: &App,
    provider: &Provider,
    reader: &Reader,
    failure: &Failure,
) -> Result<Response, Problem> {
    let (t, name) = (reader.t, [("provider", provider.name.as_str())]);
    let (status, heading, text) = match failure {
        Failure::Unknown(why) => {
            app.gates().unknown(Gate::SignIn, why);
            let text = t.fill("sign_in_fails_says", name);
            (StatusCode::SERVICE_UNAVAILABLE, t.say("sign_in_fails"), text)
        }
        Failure::Refused(why) => {
            tracing::info!(%why, "nobody was signed in");
            app.gates().count(Gate::SignIn, Said::Refused);
            let text = format!("{} {}", t.fill(why.words(), name), t.say("nothing_changed"));
            (StatusCode::FORBIDDEN, t.say("not_signed_in"), text)
        }
    };
    let again = ["/enter", t.say("sign_in_again")];
    Ok((status, message(app, None, reader, [heading, &text], again).await?).into_response())
}

async fn not_a_provider(app: &App, reader: &Reader) -> Result<Response, Problem> {
    let t = reader.t;
    let says = [t.say("nothing_here"), t.say("no_provider")];
    let page = message(app, None, reader, says, ["/enter", t.say("sign_in")]).await?;
    Ok((StatusCode::NOT_FOUND, page).into_response())
}

// ---- With an invitation

#[derive(Template)]
#[template(path = "invite.html")]
struct Invite {
    frame: Frame,
    title: String,
    question: String,
    /// What everybody should know of how it was screened.
    notes: String,
    message: Option<String>,
}

pub(crate) async fn invitation(
    State(app): State<App>,
    Visitor(person): Visitor,
    reader: Reader,
    Path(secret): Path<String>,
) -> Result<Response, Problem> {
    invited(&app, person.as_ref(), &reader, &secret, None).await
}

async fn invited(
    app: &App,
    person: Option<&Person>,
    reader: &Reader,
    secret: &str,
    message: Option<String>,
) -> Result<Response, Problem> {
    let invitation =
        app.gates().asked(Gate::SignIn, app.store().invitation(secret, person.is_some(), now()).await)?;
    let Some(sprint) = invitation.as_ref().and_then(|to| app.sprint_of(Some(&to.sprint))) else {
        return over(app, person, reader).await;
    };
    let (config, t) = (sprint.config(), reader.t);
    let frame = Frame::new(t.say("invitation"), person, "").for_reader(reader).of_sprint(&config);
    let frame = frame.for_moderators(app, person).await?;
    let (title, question) = (config.sprint.title.clone(), t.question(&config.sprint));
    let notes = t.notes(&notes(&config));
    Ok(page(&Invite { frame, title, question, notes, message })?.into_response())
}

async fn over(app: &App, person: Option<&Person>, reader: &Reader) -> Result<Response, Problem> {
    let t = reader.t;
    let says = [t.say("invitation_over"), t.say("invitation_over_says")];
    let page = message(app, person, reader, says, ["/", t.say("all_sprints")]).await?;
    Ok((StatusCode::NOT_FOUND, page).into_response())
}

/// What somebody writes who takes up an invitation.
#[derive(Debug, Deserialize)]
pub(crate) struct Accept {
    #[serde(default)]
    name: String,
}

pub(crate) async fn accept(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Visitor(person): Visitor,
    headers: HeaderMap,
    reader: Reader,
    Path(secret): Path<String>,
    Form(accept): Form<Accept>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    if let Err(wait) = app.limits().sign_in(client.address) {
        app.gates().count(Gate::RateLimit, Said::Refused);
        return Err(Problem::too_many("Many people come in from your network at this moment.").after(wait));
    }
    let guest = match &person {
        Some(person) => Guest::Known(person.clone()),
        None => match Name::parse(&accept.name) {
            Ok(name) => Guest::New(name),
            Err(error) => {
                return invited(&app, None, &reader, &secret, Some(unusable(reader.t, error))).await;
            }
        },
    };
    let session = cookie(&headers, &app.cookie_rules(client).name(COOKIE)).unwrap_or_default();
    let invited_as = app.store().accept(&secret, &guest, session, now()).await;
    match app.gates().asked(Gate::SignIn, invited_as)? {
        Invited::Over => over(&app, person.as_ref(), &reader).await,
        Invited::NameTaken => {
            invited(&app, None, &reader, &secret, Some(reader.t.say("name_taken").to_owned())).await
        }
        Invited::As(of, to) => {
            let Some(sprint) = app.sprint_of(Some(&to.sprint)) else {
                return over(&app, None, &reader).await;
            };
            let next = format!("/s/{}", sprint.config().sprint.slug);
            match person {
                Some(_) => Ok(Redirect::to(&next).into_response()),
                None => begin(&app, client, &headers, &of, false, &next).await,
            }
        }
    }
}
