//! What people agree to before they begin in a sprint.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use diptych_core::config::SprintConfig;
use diptych_stages::ctx::now;
use diptych_stages::results::notes;
use diptych_stages::terms::Terms;
use diptych_store::people::Person;
use serde::Deserialize;

use crate::frame::{Frame, page};
use crate::gates::{Gate, Said};
use crate::hosted::HostedSprint;
use crate::problem::{Form, Path, Problem};
use crate::session::{SignedIn, only_from_here};
use crate::state::App;
use crate::texts::{Reader, Texts};

#[derive(Template)]
#[template(path = "terms.html")]
struct Page {
    frame: Frame,
    slug: String,
    has_cover: bool,
    title: String,
    question: String,
    terms: Terms,
    /// What people agree to, but their age, in the language of the page.
    paragraphs: Vec<String>,
    notes: String,
    message: Option<&'static str>,
}

/// The terms, for who has not agreed to them.
pub(crate) async fn shown(
    app: &App,
    slug: &str,
    sprint: &HostedSprint,
    person: &Person,
    reader: &Reader,
    message: Option<&'static str>,
) -> Result<Html<String>, Problem> {
    let config = sprint.config();
    let (t, terms) = (reader.t, Terms::of(&config));
    page(&Page {
        frame: Frame::new(config.sprint.title.clone(), Some(person), "")
            .for_reader(reader)
            .of_sprint(&config)
            .for_moderators(app, Some(person))
            .await?,
        slug: slug.to_owned(),
        has_cover: sprint.cover().await.is_some(),
        title: config.sprint.title.clone(),
        question: t.question(&config.sprint),
        paragraphs: in_words(t, &config),
        terms,
        notes: t.notes(&notes(&config)),
        message,
    })
}

/// The terms but for the age, as [`Terms::of`] says them in English. What an organizer has written stays as it is.
fn in_words(t: &Texts, config: &SprintConfig) -> Vec<String> {
    let about = match config.annotate.about.trim() {
        "" => t.say("terms_about"),
        about => about,
    };
    let license = t.fill("terms_license", [("license", config.sprint.license.as_str())]);
    vec![about.to_owned(), license, t.say("terms_disturb").to_owned()]
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
    reader: Reader,
    Path(slug): Path<String>,
    Form(agreed): Form<Agreed>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    let sprint = app.sprint(&slug)?;
    let terms = Terms::of(&sprint.config());
    let again = async |message: &'static str| {
        app.gates().count(Gate::Consent, Said::Refused);
        let page = shown(&app, &slug, &sprint, &person, &reader, Some(reader.t.say(message))).await?;
        Ok((StatusCode::BAD_REQUEST, page).into_response())
    };
    if agreed.version != terms.version {
        return again("terms_changed").await;
    }
    if terms.minimum_age.is_some() && agreed.age != "yes" {
        return again("terms_tick").await;
    }
    let agreed =
        app.store().agree(&sprint.ctx().sprint, &person.id, &terms.version, &terms.text(), now()).await;
    app.gates().asked(Gate::Consent, agreed)?;
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
    if app.is_known_to_agree(&ctx.sprint, &person.id, &version) {
        return Ok(true);
    }
    let agreed = app.store().has_agreed(&ctx.sprint, &person.id, &version).await;
    let agreed = app.gates().asked(Gate::Consent, agreed)?;
    if agreed {
        app.remember_agreed(&ctx.sprint, &person.id, &version);
    }
    Ok(agreed)
}

#[cfg(test)]
mod tests {
    use diptych_core::config::{Overrides, template};

    use super::*;
    use crate::texts::languages;

    #[test]
    fn the_english_words_are_those_that_are_kept() {
        let text = template::sprint_toml("birds", "Birds", &["prompts.txt".to_owned()]);
        for text in [text.replace("[annotate]", "[annotate]\nminimum_age = 18\nabout = \"For birds.\""), text]
        {
            let config = SprintConfig::parse("sprint.toml", &text, &Overrides::none()).unwrap();
            let (t, mut kept) = (&languages()[0], Terms::of(&config));
            if let Some(age) = kept.minimum_age {
                assert_eq!(kept.paragraphs.pop(), Some(t.count("terms_age", i64::from(age))));
            }
            assert_eq!(in_words(t, &config), kept.paragraphs);
            assert_ne!(in_words(&languages()[1], &config), kept.paragraphs);
        }
    }
}
