//! What people agree to before they begin in a sprint.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use diptych_stages::ctx::now;
use diptych_stages::terms::Terms;
use diptych_store::people::Person;
use serde::Deserialize;

use crate::frame::{Frame, page};
use crate::gates::{Gate, Said};
use crate::problem::{Path, Problem};
use crate::session::{SignedIn, only_from_here};
use crate::state::{App, HostedSprint};

#[derive(Template)]
#[template(path = "terms.html")]
struct Page {
    frame: Frame,
    slug: String,
    title: String,
    question: String,
    terms: Terms,
    notes: String,
    message: Option<&'static str>,
}

/// The terms, for who has not agreed to them.
pub(crate) async fn shown(
    app: &App,
    slug: &str,
    sprint: &HostedSprint,
    person: &Person,
    message: Option<&'static str>,
) -> Result<Html<String>, Problem> {
    let config = sprint.config();
    page(&Page {
        frame: Frame::new(config.sprint.title.clone(), Some(person), "")
            .for_moderators(app, Some(person))
            .await?,
        slug: slug.to_owned(),
        title: config.sprint.title.clone(),
        question: config.sprint.question.clone(),
        terms: Terms::of(&config),
        notes: diptych_stages::results::notes(&sprint.ctx()).join(" "),
        message,
    })
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(crate) struct Agreed {
    #[serde(default)]
    version: String,
    #[serde(default)]
    age: String,
}

pub(crate) async fn agree(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    Path(slug): Path<String>,
    Form(agreed): Form<Agreed>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    let sprint = app.sprint(&slug)?;
    let terms = Terms::of(&sprint.config());
    let again = async |message: &'static str| {
        app.gates().count(Gate::Consent, Said::Refused);
        let page = shown(&app, &slug, &sprint, &person, Some(message)).await?;
        Ok((StatusCode::BAD_REQUEST, page).into_response())
    };
    if agreed.version != terms.version {
        return again("The text was changed while you read it. This is the new one.").await;
    }
    if terms.minimum_age.is_some() && agreed.age != "yes" {
        return again("This sprint is for people of that age only. Tick the line where it is true.").await;
    }
    app.store().agree(&sprint.ctx().sprint, &person.id, &terms.version, &terms.text(), now()).await?;
    app.gates().count(Gate::Consent, Said::Passed);
    Ok(Redirect::to(&format!("/s/{slug}")).into_response())
}

/// Whether the person has agreed to the sprint's terms as they are now.
///
/// # Errors
/// Where the database does not say.
pub(crate) async fn has_agreed(app: &App, sprint: &HostedSprint, person: &Person) -> Result<bool, Problem> {
    let ctx = sprint.ctx();
    let version = sprint.terms_version();
    if app.is_known_to_agree(&person.id, &version) {
        return Ok(true);
    }
    let agreed = app.store().has_agreed(&ctx.sprint, &person.id, &version).await.map_err(|error| {
        app.gates().unknown(Gate::Consent, "the database does not say who has agreed to the terms");
        Problem::from(error)
    })?;
    if agreed {
        app.remember_agreed(&person.id, &version);
    }
    Ok(agreed)
}
