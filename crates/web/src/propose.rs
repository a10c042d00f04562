//! Sprints that people propose, and what organizers make of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::extract::multipart::{Field, Multipart, MultipartRejection};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use diptych_core::config::{ModelConfig, SprintConfig};
use diptych_core::{PersonId, Role};
use diptych_stages::StageError;
use diptych_stages::begin::{self, LARGEST_FILE};
use diptych_stages::ctx::{Ctx, now};
use diptych_store::people::Person;
use diptych_store::proposals::{MOST_OF_ONE, NewProposal, Proposal, Proposed};
use serde::Deserialize;

use crate::frame::{Frame, message, page};
use crate::problem::{Path, Problem};
use crate::session::{SignedIn, Visitor, only_from_here};
use crate::state::{App, HostedSprint};

/// The largest request of a proposal: its file, and some words.
pub(crate) const LARGEST_PROPOSAL: usize = LARGEST_FILE + (64 << 10);

/// What stands in the form.
#[derive(Default)]
struct Words {
    title: String,
    slug: String,
    question: String,
    about: String,
    models: Vec<String>,
}

/// A proposal, as organizers and its author see it.
struct Shown {
    proposal: Proposal,
    models: String,
}

#[derive(Template)]
#[template(path = "propose.html")]
struct Page {
    frame: Frame,
    words: Words,
    /// The organizer's engines, and what each is.
    engines: Vec<(String, String)>,
    message: Option<String>,
    waiting: Vec<Shown>,
    mine: Vec<Shown>,
    megabytes: usize,
}

/// The image models of this server's sprints, each once, by `SLUG/KEY`: what a proposal may choose from.
fn engines(app: &App) -> BTreeMap<String, ModelConfig> {
    let mut engines: BTreeMap<String, ModelConfig> = BTreeMap::new();
    for (slug, sprint) in app.sprints() {
        for model in &sprint.config().models {
            // Folders hold one sprint's pictures.
            let known = |one: &ModelConfig| one.name == model.name && one.engine == model.engine;
            if model.engine != "folder" && !engines.values().any(known) {
                engines.insert(format!("{slug}/{}", model.key), model.clone());
            }
        }
    }
    engines
}

fn shown(proposals: Vec<Proposal>) -> Vec<Shown> {
    let models = |proposal: &Proposal| {
        let list: Vec<String> = serde_json::from_str(&proposal.models).unwrap_or_default();
        list.join(", ")
    };
    proposals.into_iter().map(|proposal| Shown { models: models(&proposal), proposal }).collect()
}

/// Whether this person organizes any sprint of the server.
async fn organizes(app: &App, person: &Person) -> Result<bool, Problem> {
    for (_, sprint) in app.sprints() {
        if app.store().role(&sprint.ctx().sprint, &person.id).await? == Role::Organizer {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn form(
    app: &App,
    person: &Person,
    words: Words,
    message: Option<String>,
) -> Result<Html<String>, Problem> {
    let waiting = match organizes(app, person).await? {
        true => shown(app.store().waiting_proposals().await?),
        false => Vec::new(),
    };
    page(&Page {
        frame: Frame::new("Propose a sprint", Some(person), "propose")
            .for_moderators(app, Some(person))
            .await?,
        words,
        engines: engines(app).into_iter().map(|(id, model)| (id, model.name)).collect(),
        message,
        waiting,
        mine: shown(app.store().proposals_of(&person.id).await?),
        megabytes: LARGEST_FILE >> 20,
    })
}

pub(crate) async fn show(State(app): State<App>, Visitor(person): Visitor) -> Result<Response, Problem> {
    let Some(person) = person else { return Ok(Redirect::to("/enter?next=/propose").into_response()) };
    if app.folder().is_none() {
        let says =
            ["No proposals here", "This server is for its own sprints: its folder has no diptych.toml."];
        let page = message(&app, Some(&person), says, ["/", "All sprints"]).await?;
        return Ok((StatusCode::NOT_FOUND, page).into_response());
    }
    Ok(form(&app, &person, Words::default(), None).await?.into_response())
}

pub(crate) async fn propose(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    if app.folder().is_none() {
        return Err(Problem::not_found("This server takes no proposals."));
    }
    let multipart = multipart.map_err(|error| Problem::bad_request(error.body_text()))?;
    let (words, format, prompts) = read(multipart).await?;
    let engines = engines(&app);
    let unknown = words.models.iter().find(|model| !engines.contains_key(*model));
    let looked_at = match (prompts, unknown) {
        (_, Some(model)) => Err(format!("There is no engine `{model}` here.")),
        (Err(why), None) => Err(why),
        (Ok(prompts), None) => {
            let proposal = NewProposal {
                person: person.id.clone(),
                slug: words.slug.trim().to_owned(),
                title: words.title.clone(),
                question: words.question.clone(),
                about: words.about.clone(),
                format,
                prompts,
                prompt_count: 0,
                models: words.models.clone(),
            };
            looked_at(&app, proposal).await?
        }
    };
    let refused = match looked_at {
        Err(why) => why,
        Ok(proposal) => match app.store().propose(proposal, now()).await? {
            Proposed::Waiting => return Ok(Redirect::to("/propose#mine").into_response()),
            Proposed::TooManyOfYours => {
                format!("You have {MOST_OF_ONE} proposals waiting; an organizer decides about them first.")
            }
            Proposed::TooMany => "Many proposals wait already; come back when some are decided.".to_owned(),
        },
    };
    let page = form(&app, &person, words, Some(refused)).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}

/// What stands in the form's parts. The file's text, or why it is none.
async fn read(mut multipart: Multipart) -> Result<(Words, String, Result<String, String>), Problem> {
    let wrong = |error: axum::extract::multipart::MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::too_large(format!("A file of prompts may have {} MB.", LARGEST_FILE >> 20))
        }
        _ => Problem::bad_request("The form cannot be read."),
    };
    let (mut words, mut format, mut prompts) =
        (Words::default(), String::new(), Err("Choose a file of prompts.".to_owned()));
    while let Some(field) = multipart.next_field().await.map_err(wrong)? {
        let name = field.name().unwrap_or_default().to_owned();
        let text = async |field: Field<'_>| field.text().await.map_err(wrong);
        match name.as_str() {
            "title" => words.title = text(field).await?,
            "slug" => words.slug = text(field).await?,
            "question" => words.question = text(field).await?,
            "about" => words.about = text(field).await?,
            "model" => words.models.push(text(field).await?),
            "prompts" => {
                // Of the name only its ending is taken: it says what the file is.
                let file = field.file_name().unwrap_or_default().to_owned();
                let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
                let bytes = field.bytes().await.map_err(wrong)?;
                if !file.is_empty() {
                    format = ending.chars().take(10).collect();
                    prompts = String::from_utf8(bytes.to_vec())
                        .ok()
                        .filter(|text| !text.contains('\0'))
                        .ok_or_else(|| "The file of prompts is no text: save it as UTF-8.".to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((words, format, prompts))
}

/// Looks at the words and the file on a thread of its own; the inner error is what is wrong with them.
async fn looked_at(app: &App, proposal: NewProposal) -> Result<Result<NewProposal, String>, Problem> {
    if app.sprint(&proposal.slug).is_ok() {
        return Ok(Err(format!(
            "There is a sprint `{}` already: give it another short name.",
            proposal.slug
        )));
    }
    let looked_at = tokio::task::spawn_blocking(move || begin::look_at(proposal)).await;
    match looked_at.map_err(|_| Problem::internal("The proposal cannot be looked at."))? {
        Ok(proposal) => Ok(Ok(proposal)),
        Err(StageError::Refused(why)) => Ok(Err(why)),
        Err(error) => Err(error.into()),
    }
}

/// What an organizer says of a proposal.
#[derive(Debug, Deserialize)]
pub(crate) struct Decided {
    #[serde(default)]
    decision: String,
    #[serde(default)]
    note: String,
}

pub(crate) async fn decide(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    headers: HeaderMap,
    Path(id): Path<String>,
    Form(decided): Form<Decided>,
) -> Result<Redirect, Problem> {
    only_from_here(&headers)?;
    if !organizes(&app, &person).await? {
        return Err(Problem::forbidden("This is for organizers."));
    }
    let proposal = app.store().proposal(&id).await?.filter(|proposal| proposal.state == "waiting");
    let proposal = proposal.ok_or_else(|| Problem::not_found("No such proposal waits any more."))?;
    let note: String = decided.note.trim().chars().filter(|c| !c.is_control()).take(500).collect();
    match decided.decision.as_str() {
        "decline" => _ = app.store().decide_proposal(&id, false, &note, now()).await?,
        "accept" => accept(&app, &person, &proposal, &note).await?,
        _ => return Err(Problem::bad_request("`decision` must be accept or decline.")),
    }
    Ok(Redirect::to("/propose"))
}

/// Writes the sprint's folder and begins to host it. Its pictures come with the next `diptych run`.
async fn accept(app: &App, organizer: &Person, proposal: &Proposal, note: &str) -> Result<(), Problem> {
    let folder = app.folder().ok_or_else(|| Problem::not_found("This server takes no proposals."))?;
    if app.sprint(&proposal.slug).is_ok() {
        return Err(Problem::bad_request(format!("There is a sprint `{}` by now.", proposal.slug)));
    }
    let folder = folder.join(&proposal.slug);
    let chosen: Vec<String> = serde_json::from_str(&proposal.models).unwrap_or_default();
    let engines = engines(app);
    let mut models: Vec<ModelConfig> = Vec::new();
    for id in &chosen {
        let mut model = engines
            .get(id)
            .cloned()
            .ok_or_else(|| Problem::bad_request(format!("The engine `{id}` is no longer here.")))?;
        // Two sprints may call two models by one key.
        while models.iter().any(|other| other.key == model.key) {
            model.key.push_str("-2");
        }
        models.push(model);
    }
    let text = begin::sprint_toml(proposal, &models)?;
    let (_, any) = app.sprints().pop().ok_or_else(|| Problem::unavailable("The server hosts no sprint."))?;
    let prompts = app.store().prompts_of_proposal(&proposal.id).await?;
    let file = format!("prompts.{}", proposal.format);
    let written = {
        let (folder, text) = (folder.clone(), text.clone());
        tokio::task::spawn_blocking(move || {
            begin::write(&folder, &text)?;
            let file = folder.join(file);
            std::fs::write(&file, prompts)
                .map_err(|source| StageError::File { path: file.display().to_string(), source })
        })
    };
    written.await.map_err(|_| Problem::internal("The sprint's folder cannot be written."))??;
    let sprint = app.store().sprint(&proposal.slug, now()).await?;
    let config = SprintConfig::parse("sprint.toml", &text, &any.overrides)
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    let ctx = Ctx {
        sprint: sprint.clone(),
        settings: app.store().settings_count(&sprint).await?,
        config: Arc::new(config),
        folder,
        ..Ctx::clone(&any.ctx())
    };
    app.store().set_role(&sprint, &organizer.id, Role::Organizer).await?;
    // Who proposed it looks after it; whether another proposal is accepted stays with the organizers.
    let author = PersonId::from_text(proposal.person.clone());
    if author != organizer.id {
        app.store().set_role(&sprint, &author, Role::Moderator).await?;
    }
    app.host(HostedSprint::new(ctx, any.overrides.clone()));
    app.store().decide_proposal(&proposal.id, true, note, now()).await?;
    Ok(())
}
