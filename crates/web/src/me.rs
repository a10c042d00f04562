//! What the server keeps of a person: to see, to take along, to have removed.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use diptych_core::config::Leaving;
use diptych_headers::{Client, cookie};
use diptych_stages::ctx::now;
use diptych_store::privacy::OwnData;
use serde::Deserialize;

use crate::frame::{Frame, farewell, page};
use crate::hosted::HostedSprint;
use crate::pages::moment;
use crate::problem::{Form, Problem, to_the_end};
use crate::session::{COOKIE, OWN, SignedIn, Visitor, new_secret, only_from_here, without_session};
use crate::state::App;
use crate::texts::Reader;

/// A sprint, as the page shows what is kept of a person there.
struct Kept {
    slug: String,
    title: String,
    pseudonym: String,
    named: bool,
    answers: i64,
    agreed: String,
    /// Why an organizer has left the answers out, where one has.
    excluded: Option<String>,
    /// `moderator` or `organizer`, where they are one.
    role: Option<String>,
    /// How much else they did: skips, reports, decisions.
    deeds: i64,
    /// Whether leaving removes the answers.
    removes: bool,
}

#[derive(Template)]
#[template(path = "me.html")]
struct Me {
    frame: Frame,
    own: OwnData,
    since: String,
    sessions: String,
    proposals: Vec<String>,
    sprints: Vec<Kept>,
    message: Option<String>,
    /// Whether a token is of use.
    tokens: bool,
}

pub(crate) async fn show(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Visitor(person): Visitor,
    headers: HeaderMap,
    reader: Reader,
) -> Result<Response, Problem> {
    if person.is_none() {
        return Ok(Redirect::to("/enter?next=/me").into_response());
    }
    Ok(shown(&app, client, &headers, Visitor(person), &reader, None).await?.into_response())
}

async fn shown(
    app: &App,
    client: Client,
    headers: &HeaderMap,
    Visitor(person): Visitor,
    reader: &Reader,
    message: Option<String>,
) -> Result<Html<String>, Problem> {
    let person = person.ok_or_else(|| Problem::sign_in("Sign in at /enter."))?;
    let mut own = app.store().own_data(&person.id, now()).await?;
    let kept = std::mem::take(&mut own.sprints).into_iter().map(|sprint| {
        let hosted = app.sprint_of(Some(&sprint.id));
        let hosted = hosted.as_deref();
        Kept {
            title: hosted
                .map_or_else(|| sprint.sprint.clone(), |hosted| hosted.config().sprint.title.clone()),
            removes: hosted.is_some_and(|hosted| hosted.config().annotate.leaving == Leaving::Remove),
            pseudonym: sprint.pseudonym.unwrap_or_default(),
            named: sprint.named,
            answers: sprint.responses.iter().filter(|response| response.state != "taken_back").count() as i64,
            excluded: sprint.excluded.into_iter().find(|one| one.until.is_none()).map(|one| one.reason),
            role: sprint.role,
            deeds: sprint.deeds.iter().filter(|deed| deed.what != "shown").count() as i64,
            agreed: sprint.agreed.last().map_or_else(String::new, |(_, at)| moment(*at)),
            slug: sprint.sprint,
        }
    });
    let sprints = kept.collect();
    let t = reader.t;
    let frame = Frame::new(t.say("me_title"), Some(&person), "me").for_reader(reader);
    let frame = frame.for_moderators(app, Some(&person)).await?;
    let proposals = own.proposals.iter();
    let proposals = proposals.map(|one| t.proposed(&one.state, &one.title)).collect();
    let counts = [own.sessions, own.tokens].map(|number| t.number(number));
    let sessions = t.fill("me_sessions", [("sessions", counts[0].as_str()), ("tokens", &counts[1])]);
    let tokens = !is_by_name(app, client, headers).await?;
    page(&Me { frame, since: moment(own.known_since), sessions, proposals, own, sprints, message, tokens })
}

#[derive(Template)]
#[template(path = "privacy.html")]
struct Privacy {
    frame: Frame,
}

/// What is kept of anybody, for who has not given a name yet.
pub(crate) async fn privacy(
    State(app): State<App>,
    Visitor(person): Visitor,
    reader: Reader,
) -> Result<Html<String>, Problem> {
    let frame = Frame::new(reader.t.say("privacy"), person.as_ref(), "privacy").for_reader(&reader);
    page(&Privacy { frame: frame.for_moderators(&app, person.as_ref()).await? })
}

/// Everything that the server keeps of who asks, as a file to take along.
#[utoipa::path(get, path = "/api/v1/me", security(("token" = []), ("session" = [])),
    responses((status = 200, description = "Name, providers, and of each sprint the pseudonym, the role, the terms agreed to, the answers, and what else was done"),
    (status = 401, body = Problem)))]
pub(crate) async fn download(
    State(app): State<App>,
    SignedIn(person): SignedIn,
) -> Result<Response, Problem> {
    let own = app.store().own_data(&person.id, now()).await?;
    let name = [(header::CONTENT_DISPOSITION, "attachment; filename=\"diptych-my-data.json\"")];
    Ok((name, Json(own)).into_response())
}

/// Whether a leaderboard shows one's name.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    #[serde(default)]
    sprint: String,
    #[serde(default)]
    named: String,
}

pub(crate) async fn name(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    Form(Named { sprint, named }): Form<Named>,
) -> Result<Redirect, Problem> {
    only_from_here(&headers)?;
    let hosted = app.sprint(&sprint)?;
    app.store().show_name(&hosted.ctx().sprint, &person.id, named == "yes").await?;
    hosted.forget_figures().await;
    Ok(Redirect::to("/me"))
}

/// What becomes of a person's ways in: `new` for a token, `end` for the end of all but this browser's session.
#[derive(Debug, Deserialize)]
pub(crate) struct Ways {
    #[serde(default)]
    ways: String,
}

/// Whether a name alone says who it is.
async fn is_by_name(app: &App, client: Client, headers: &HeaderMap) -> Result<bool, Problem> {
    match cookie(headers, &app.cookie_rules(client).name(COOKIE)) {
        Some(secret) => Ok(app.store().is_by_name(secret).await?),
        None => Ok(false),
    }
}

/// The most tokens of one person.
const MOST_TOKENS: i64 = 20;

pub(crate) async fn ways(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    SignedIn(person): SignedIn,
    reader: Reader,
    headers: HeaderMap,
    Form(Ways { ways }): Form<Ways>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    match ways.as_str() {
        "new" => {
            // Whoever gave the name alone may be somebody else, and a token would outlive that.
            if is_by_name(&app, client, &headers).await? {
                return Err(Problem::forbidden("You came in by a name alone; it brings you in again."));
            }
            let token = format!("{OWN}{}", new_secret());
            if app.store().own_data(&person.id, now()).await?.tokens >= MOST_TOKENS {
                return Err(Problem::forbidden(format!(
                    "You have {MOST_TOKENS} tokens already: end your other ways in first."
                )));
            }
            app.store().add_token(&person.id, &token, now()).await?;
            let reader = Reader { here: "/me".to_owned(), ..reader };
            let said = reader.t.fill("me_token_is", [("token", token.as_str())]);
            Ok(shown(&app, client, &headers, Visitor(Some(person)), &reader, Some(said))
                .await?
                .into_response())
        }
        "end" => {
            let this = cookie(&headers, &app.cookie_rules(client).name(COOKIE)).unwrap_or_default();
            app.store().end_other_ways_in(&person.id, this).await?;
            Ok(Redirect::to("/me").into_response())
        }
        _ => Err(Problem::bad_request("`ways` must be new or end.")),
    }
}

/// A person's wish to be forgotten.
#[derive(Debug, Deserialize)]
pub(crate) struct Leave {
    /// Their name, written once more, so that it is no slip.
    #[serde(default)]
    name: String,
}

pub(crate) async fn leave(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    reader: Reader,
    Form(leave): Form<Leave>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    if leave.name.trim() != person.name {
        let again = reader.t.say("me_slip").to_owned();
        let page = shown(&app, client, &headers, Visitor(Some(person)), &reader, Some(again)).await?;
        return Ok((StatusCode::BAD_REQUEST, page).into_response());
    }
    let removes = |hosted: &HostedSprint| hosted.config().annotate.leaving == Leaving::Remove;
    let sprints = app.sprints();
    let remove: Vec<_> = sprints
        .iter()
        .filter(|(_, hosted)| removes(hosted))
        .map(|(_, hosted)| hosted.ctx().sprint.clone())
        .collect();
    let (store, gone) = (app.store().clone(), person.id.clone());
    to_the_end(async move {
        store.forget(&gone, &remove, now()).await?;
        for (_, hosted) in &sprints {
            hosted.forget_figures().await;
        }
        Ok(())
    })
    .await?;
    let t = reader.t;
    let says = [t.say("me_forgotten"), t.say("me_forgotten_says")];
    let response = farewell(&person, &reader, says, ["/", t.say("all_sprints")])?.into_response();
    Ok(without_session(response, app.cookie_rules(client)))
}
