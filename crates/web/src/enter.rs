//! The ways in: a name, a token, a guest's name, a provider, an invitation.
//!
//! A name alone is enough on a private network only: whoever gives a name is that person, so this is for
//! people who trust each other. Everything else works everywhere.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use diptych_core::Name;
use diptych_core::config::Names;
use diptych_stages::ctx::now;
use diptych_store::people::{Person, PersonKind};
use diptych_store::sign_in::{Guest, Invited, SignIn};
use serde::Deserialize;

use crate::client::{Client, is_private};
use crate::frame::{Frame, message, page};
use crate::gates::{Gate, Said};
use crate::openid::{Begun, Failure, Identity, Provider};
use crate::problem::{Path, Problem, Query};
use crate::session::{Visitor, begin, cookie, local_path, new_secret, only_from_here, with_cookie};
use crate::state::App;

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
    Query(next): Query<Next>,
) -> Result<Html<String>, Problem> {
    let frame = Frame::new("Sign in", person.as_ref(), "").for_moderators(&app, person.as_ref()).await?;
    shown(&app, client, frame, &local_path(&next.next), None)
}

/// The sign-in page, with what was wrong the last time.
fn shown(
    app: &App,
    client: Client,
    frame: Frame,
    next: &str,
    message: Option<&str>,
) -> Result<Html<String>, Problem> {
    page(&Enter {
        frame,
        next: next.to_owned(),
        message: message.map(ToOwned::to_owned),
        providers: app.providers().map(|provider| (provider.key.clone(), provider.name.clone())).collect(),
        names: may_give_a_name(app, client),
        guests: app.takes_guests(),
    })
}

/// Whether a name alone is enough from there. Behind a proxy that nobody vouches for, everybody seems to be
/// next door.
fn may_give_a_name(app: &App, client: Client) -> bool {
    app.names() == Names::Private && !client.behind_a_stranger && is_private(client.address)
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
    Form(entry): Form<Entry>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    let next = local_path(&entry.next);
    let again = |message: &str| {
        app.gates().count(Gate::SignIn, Said::Refused);
        shown(&app, client, Frame::new("Sign in", None, ""), &next, Some(message))
            .map(IntoResponse::into_response)
    };
    if let Err(wait) = app.limits().sign_in(client.address) {
        return again(&format!(
            "Many people sign in from your network at this moment. Try again in {wait} seconds."
        ));
    }
    let token = entry.token.trim();
    let person = if entry.by == "guest" {
        if !app.takes_guests() {
            return again("This server takes no guests.");
        }
        app.store().new_guest(&Name::guest(), now()).await?
    } else if token.is_empty() {
        if entry.name.trim().is_empty() {
            return again("Write a name, or a token from the organizer.");
        }
        let name = match Name::parse(&entry.name) {
            Ok(name) => name,
            Err(error) => return again(&sentence(&error.to_string())),
        };
        if !may_give_a_name(&app, client) {
            return again("A name alone is enough only on a private network. Ask the organizer for a token.");
        }
        let person = app.store().person(&name, PersonKind::Person, now()).await?;
        // Whoever gives a name is that person: for who sees what others must not, that is not enough.
        if !client.address.is_loopback() && app.store().has_a_role(&person.id).await? {
            return again("That name belongs to a moderator or organizer, who signs in with a token.");
        }
        if app.store().is_known_elsewhere(&person.id).await? {
            return again("That name belongs to somebody who signs in another way. Take another one.");
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
    begin(&app, client, &headers, &person, &next).await
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
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
    Path(key): Path<String>,
    Query(next): Query<Next>,
) -> Result<Response, Problem> {
    let Some(provider) = app.provider(&key) else { return not_a_provider(&app).await };
    if let Err(wait) = app.limits().sign_in(client.address) {
        app.gates().count(Gate::SignIn, Said::Refused);
        return Err(Problem::too_many("Many people sign in from your network at this moment.").after(wait));
    }
    let secret = new_secret();
    let url = match provider.begin(&Begun(&secret), &back(&app, client, &headers, provider)).await {
        Ok(url) => url,
        Err(failure) => return failed(&app, provider, &failure).await,
    };
    let sign_in = SignIn { provider: key, next: local_path(&next.next) };
    app.store().begin_sign_in(&secret, &sign_in, now(), now() + AWAY_FOR).await?;
    let response = Redirect::to(url.as_str()).into_response();
    Ok(with_cookie(response, AWAY, &secret, "/enter", AWAY_FOR / 1000, app.cookie_rules(client)))
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
    Path(key): Path<String>,
    Query(said): Query<Back>,
) -> Result<Response, Problem> {
    let Some(provider) = app.provider(&key) else { return not_a_provider(&app).await };
    let https = app.cookie_rules(client);
    let response = match signed_in(&app, client, &headers, provider, &said).await? {
        Ok((person, next)) => begin(&app, client, &headers, &person, &next).await?,
        Err(failure) => failed(&app, provider, &failure).await?,
    };
    Ok(with_cookie(response, AWAY, "", "/enter", 0, https))
}

/// Who has come back, and where they go on to.
async fn signed_in(
    app: &App,
    client: Client,
    headers: &HeaderMap,
    provider: &Provider,
    said: &Back,
) -> Result<Result<(Person, String), Failure>, Problem> {
    let stale = || Failure::Refused("This sign-in was not begun in this browser, or it is over.".to_owned());
    let Some(secret) = cookie(headers, AWAY) else { return Ok(Err(stale())) };
    let begun = Begun(&secret);
    if said.state != begun.state() {
        return Ok(Err(stale()));
    }
    let sign_in = match app.store().end_sign_in(&secret, now()).await? {
        Some(sign_in) if sign_in.provider == provider.key => sign_in,
        _ => return Ok(Err(stale())),
    };
    match said.error.as_str() {
        "" => {}
        "access_denied" | "login_required" | "consent_required" | "interaction_required" => {
            return Ok(Err(Failure::Refused(format!(
                "{} was not asked to say who you are, or you said no.",
                provider.name
            ))));
        }
        other => {
            let other: String =
                other.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
            return Ok(Err(Failure::Unknown(format!("{} answered `{other}`", provider.name))));
        }
    }
    match provider.finish(&begun, &back(app, client, headers, provider), &said.code).await {
        Ok(Identity { issuer, subject, name }) => {
            let person = app.store().person_of_identity(&issuer, &subject, &name, now()).await?;
            Ok(Ok((person, sign_in.next)))
        }
        Err(failure) => Ok(Err(failure)),
    }
}

/// A page that says what happened: an outage is none of the person's doing, and says so.
async fn failed(app: &App, provider: &Provider, failure: &Failure) -> Result<Response, Problem> {
    let (status, heading, text) = match failure {
        Failure::Unknown(why) => {
            app.gates().unknown(Gate::SignIn, why);
            let text = format!(
                "{} does not answer as it should, so nobody can tell who you are. Nothing is wrong on your side; \
                 the organizer has been told. Try again in a moment.",
                provider.name
            );
            (StatusCode::SERVICE_UNAVAILABLE, "Signing in does not work right now", text)
        }
        Failure::Refused(why) => {
            tracing::info!(why, "nobody was signed in");
            app.gates().count(Gate::SignIn, Said::Refused);
            (StatusCode::FORBIDDEN, "You are not signed in", format!("{why} Nothing was changed."))
        }
    };
    Ok((status, message(app, None, [heading, &text], ["/enter", "Sign in again"]).await?).into_response())
}

async fn not_a_provider(app: &App) -> Result<Response, Problem> {
    let says = ["Nothing here", "This server does not know that provider."];
    let page = message(app, None, says, ["/enter", "Sign in"]).await?;
    Ok((StatusCode::NOT_FOUND, page).into_response())
}

// ---- With an invitation

#[derive(Template)]
#[template(path = "invite.html")]
struct Invite {
    frame: Frame,
    title: String,
    question: String,
    message: Option<String>,
}

pub(crate) async fn invitation(
    State(app): State<App>,
    Visitor(person): Visitor,
    Path(secret): Path<String>,
) -> Result<Response, Problem> {
    invited(&app, person.as_ref(), &secret, None).await
}

async fn invited(
    app: &App,
    person: Option<&Person>,
    secret: &str,
    message: Option<String>,
) -> Result<Response, Problem> {
    let invitation = app.store().invitation(secret, now()).await?;
    let Some(sprint) = invitation.as_ref().and_then(|to| app.sprint_of(Some(&to.sprint))) else {
        return over(app, person).await;
    };
    let section = sprint.config().sprint.clone();
    let frame = Frame::new("Invitation", person, "").for_moderators(app, person).await?;
    Ok(page(&Invite { frame, title: section.title, question: section.question, message })?.into_response())
}

async fn over(app: &App, person: Option<&Person>) -> Result<Response, Problem> {
    let text = "It is used up, or its time is over. Ask whoever sent it to you for a new one.";
    let page = message(app, person, ["This invitation no longer works", text], ["/", "All sprints"]).await?;
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
    Path(secret): Path<String>,
    Form(accept): Form<Accept>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    if let Err(wait) = app.limits().sign_in(client.address) {
        app.gates().count(Gate::SignIn, Said::Refused);
        return Err(Problem::too_many("Many people come in from your network at this moment.").after(wait));
    }
    let guest = match &person {
        Some(person) => Guest::Known(person.clone()),
        None => match Name::parse(&accept.name) {
            Ok(name) => Guest::New(name),
            Err(error) => return invited(&app, None, &secret, Some(sentence(&error.to_string()))).await,
        },
    };
    match app.store().accept(&secret, &guest, now()).await? {
        Invited::Over => over(&app, person.as_ref()).await,
        Invited::NameTaken => {
            let taken =
                "Somebody has that name already. Take another one, or sign in first where it is yours.";
            invited(&app, None, &secret, Some(taken.to_owned())).await
        }
        Invited::As(of, to) => {
            let Some(sprint) = app.sprint_of(Some(&to.sprint)) else { return over(&app, None).await };
            let next = format!("/s/{}", sprint.config().sprint.slug);
            match person {
                Some(_) => Ok(Redirect::to(&next).into_response()),
                None => begin(&app, client, &headers, &of, &next).await,
            }
        }
    }
}
