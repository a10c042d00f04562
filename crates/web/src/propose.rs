//! Sprints that people propose, and what organizers make of them.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::extract::multipart::{Field, Multipart, MultipartError, MultipartRejection};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use diptych_core::Role;
use diptych_core::config::{ModelConfig, Overrides, SprintConfig, is_name, template};
use diptych_stages::begin::{self, LARGEST_FILE};
use diptych_stages::ctx::now;
use diptych_stages::phrase::Phrase;
use diptych_store::people::Person;
use diptych_store::proposals::{MOST_OF_ONE, NewProposal, Proposal, Proposed};
use serde::Deserialize;

use crate::frame::{Frame, message, page};
use crate::gates::{Gate, Said};
use crate::problem::{Form, Path, Problem, to_the_end};
use crate::session::{SignedIn, Visitor, only_from_here};
use crate::state::App;
use crate::texts::{Reader, Texts, kept_question};

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
    /// How the file's name ends.
    format: String,
    prompts: Option<String>,
}

/// A proposal, as organizers and its author see it.
struct Shown {
    proposal: Proposal,
    models: String,
    prompts: String,
    /// What has become of it, for its author.
    says: String,
}

#[derive(Template)]
#[template(path = "propose.html")]
struct Page {
    frame: Frame,
    words: Words,
    /// The organizer's engines, and what each is.
    engines: Vec<(String, String)>,
    refused: Option<String>,
    waiting: Vec<Shown>,
    mine: Vec<Shown>,
    megabytes: i64,
}

/// What a proposal may choose from, by key. They are the server's, not an open sprint's: nobody who answers learns
/// here which models a sprint compares.
fn engines(app: &App) -> BTreeMap<String, ModelConfig> {
    let of_server = app.engines();
    let rehearsals = || {
        let text = template::sprint_toml("any", "Any", &["any.txt".to_owned()]);
        SprintConfig::parse("sprint.toml", &text, &Overrides::none())
            .map_or_else(|_| Vec::new(), |config| config.models)
    };
    let engines = if of_server.is_empty() { rehearsals() } else { of_server.to_vec() };
    engines.into_iter().map(|engine| (engine.key.clone(), engine)).collect()
}

fn shown(t: &Texts, proposals: Vec<Proposal>) -> Vec<Shown> {
    let models = |proposal: &Proposal| {
        let list: Vec<String> = serde_json::from_str(&proposal.models).unwrap_or_default();
        list.join(", ")
    };
    let shown = |proposal: Proposal| Shown {
        models: models(&proposal),
        prompts: t.count("propose_prompts", proposal.prompt_count),
        says: t.proposed(&proposal.state, &proposal.title),
        proposal,
    };
    proposals.into_iter().map(shown).collect()
}

/// Whether this person organizes any sprint of the server.
async fn organizes(app: &App, person: &Person) -> Result<bool, Problem> {
    for (_, sprint) in app.sprints() {
        if app.role(&sprint, person).await? == Role::Organizer {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses whoever organizes none.
async fn only_organizers(app: &App, person: &Person) -> Result<(), Problem> {
    if organizes(app, person).await? {
        return Ok(());
    }
    app.gates().count(Gate::Role, Said::Refused);
    Err(Problem::forbidden("This is for organizers."))
}

async fn form(
    app: &App,
    reader: &Reader,
    person: &Person,
    words: Words,
    flaw: Option<Phrase>,
) -> Result<Html<String>, Problem> {
    let waiting = match organizes(app, person).await? {
        true => shown(reader.t, app.store().waiting_proposals().await?),
        false => Vec::new(),
    };
    page(&Page {
        frame: Frame::new(reader.t.say("propose"), Some(person), "propose")
            .for_reader(reader)
            .for_moderators(app, Some(person))
            .await?,
        words,
        engines: engines(app).into_iter().map(|(id, model)| (id, model.name)).collect(),
        refused: flaw.map(|flaw| reader.t.phrase(&flaw)),
        waiting,
        mine: shown(reader.t, app.store().proposals_of(&person.id).await?),
        megabytes: i64::try_from(LARGEST_FILE >> 20).unwrap_or(i64::MAX),
    })
}

pub(crate) async fn show(
    State(app): State<App>,
    Visitor(person): Visitor,
    reader: Reader,
) -> Result<Response, Problem> {
    let Some(person) = person else { return Ok(Redirect::to("/enter?next=/propose").into_response()) };
    if app.folder().is_none() {
        let says = [reader.t.say("propose_none_here"), reader.t.say("propose_none_here_says")];
        let page = message(&app, Some(&person), &reader, says, ["/", reader.t.say("all_sprints")]).await?;
        return Ok((StatusCode::NOT_FOUND, page).into_response());
    }
    Ok(form(&app, &reader, &person, Words::default(), None).await?.into_response())
}

pub(crate) async fn propose(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    reader: Reader,
    headers: HeaderMap,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    only_from_here(&headers)?;
    if app.folder().is_none() {
        return Err(Problem::not_found("This server takes no proposals."));
    }
    let multipart = multipart.map_err(|error| Problem::bad_request(error.body_text()))?;
    let mut words = Words::default();
    let refused = match read(multipart, &mut words).await {
        Err((status, flaw)) => Err((status, flaw)),
        Ok(()) => keep(&app, &person, &words).await?.map_err(|flaw| (StatusCode::BAD_REQUEST, flaw)),
    };
    let Err((status, flaw)) = refused else { return Ok(Redirect::to("/propose#mine").into_response()) };
    Ok((status, form(&app, &reader, &person, words, Some(flaw)).await?).into_response())
}

/// Keeps the proposal till an organizer decides; the inner error is what is wrong with it.
async fn keep(app: &App, person: &Person, words: &Words) -> Result<Result<(), Phrase>, Problem> {
    let engines = engines(app);
    if let Some(unknown) = words.models.iter().find(|model| !engines.contains_key(*model)) {
        return Ok(Err(Phrase::new("propose_no_engine").with("model", unknown)));
    }
    let Some(prompts) = words.prompts.clone() else {
        return Ok(Err(Phrase::new("propose_choose_file")));
    };
    let proposal = NewProposal {
        person: person.id.clone(),
        slug: words.slug.trim().to_owned(),
        title: words.title.clone(),
        question: kept_question(&words.question).to_owned(),
        about: words.about.clone(),
        format: words.format.clone(),
        prompts,
        prompt_count: 0,
        models: words.models.clone(),
    };
    let proposal = match looked_at(app, proposal).await? {
        Err(flaw) => return Ok(Err(flaw)),
        Ok(proposal) => proposal,
    };
    Ok(match app.store().propose(proposal, now()).await? {
        Proposed::Waiting => Ok(()),
        Proposed::Guest => Err(Phrase::new("propose_guest")),
        Proposed::TooManyOfYours => Err(Phrase::new("propose_yours_wait").with("count", &MOST_OF_ONE)),
        Proposed::TooMany => Err(Phrase::new("propose_many_wait")),
        Proposed::SlugWaits => Err(Phrase::new("propose_slug_waits")),
    })
}

/// Takes what stands in the form's parts; says why not, with the status for it.
async fn read(mut multipart: Multipart, words: &mut Words) -> Result<(), (StatusCode, Phrase)> {
    let wrong = |error: MultipartError| match error.status() {
        large @ StatusCode::PAYLOAD_TOO_LARGE => {
            (large, Phrase::new("propose_large").with("megabytes", &(LARGEST_FILE >> 20)))
        }
        _ => (StatusCode::BAD_REQUEST, Phrase::new("propose_unreadable")),
    };
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
                if file.is_empty() {
                    continue;
                }
                words.format = ending.chars().take(10).collect();
                let text = String::from_utf8(bytes.to_vec()).ok().filter(|text| !text.contains('\0'));
                let no_text = (StatusCode::BAD_REQUEST, Phrase::new("propose_no_text"));
                words.prompts = Some(text.ok_or(no_text)?);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Looks at the words and the file on a thread of its own; the inner error is what is wrong with them.
async fn looked_at(app: &App, proposal: NewProposal) -> Result<Result<NewProposal, Phrase>, Problem> {
    // Looked for only where it is a name: nobody learns here what else lies on this machine.
    if is_name(&proposal.slug) {
        let folder = app.folder().map(|folder| folder.join(&proposal.slug));
        let has_folder = match folder {
            Some(folder) => tokio::fs::try_exists(folder).await.unwrap_or(true),
            None => false,
        };
        if has_folder || app.store().find_sprint(&proposal.slug).await?.is_some() {
            return Ok(Err(Phrase::new("propose_taken").with("slug", &proposal.slug)));
        }
    }
    let looked_at = tokio::task::spawn_blocking(move || begin::look_at(proposal)).await;
    Ok(looked_at.map_err(|_| Problem::internal("The proposal cannot be looked at."))??)
}

/// The prompts of a proposal that waits, as text: organizers read them before they decide.
pub(crate) async fn prompts(
    State(app): State<App>,
    SignedIn(person): SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    only_organizers(&app, &person).await?;
    let proposal = app.store().proposal(&id).await?.filter(|proposal| proposal.state == "waiting");
    let proposal = proposal.ok_or_else(|| Problem::not_found("No such proposal waits any more."))?;
    let text = app.store().prompts_of_proposal(&proposal.id).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
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
    only_organizers(&app, &person).await?;
    let proposal = app.store().proposal(&id).await?.filter(|proposal| proposal.state == "waiting");
    let proposal = proposal.ok_or_else(|| Problem::not_found("No such proposal waits any more."))?;
    let note: String = decided.note.trim().chars().filter(|c| !c.is_control()).take(500).collect();
    match decided.decision.as_str() {
        "decline" => {
            app.store().decline_proposal(&id, &note, now()).await?;
            Ok(Redirect::to("/propose"))
        }
        "accept" => {
            // There stands what is to be done next.
            let next = format!("/s/{}/organize", proposal.slug);
            to_the_end(async move { accept(&app, &person, &proposal, &note).await }).await?;
            Ok(Redirect::to(&next))
        }
        _ => Err(Problem::bad_request("`decision` must be accept or decline.")),
    }
}

/// Makes the sprint: its folder beside its place, its row with the decision, then the folder in its place, from where
/// this server, and every other that sees the folder, hosts it. Its pictures come with the next `diptych run`.
async fn accept(app: &App, organizer: &Person, proposal: &Proposal, note: &str) -> Result<(), Problem> {
    let server = app.folder().ok_or_else(|| Problem::not_found("This server takes no proposals."))?;
    let folder = server.join(&proposal.slug);
    let taken = || Problem::bad_request(format!("There is a sprint or a folder `{}` by now.", proposal.slug));
    if tokio::fs::try_exists(&folder).await.unwrap_or(true) {
        return Err(taken());
    }
    let chosen: Vec<String> = serde_json::from_str(&proposal.models).unwrap_or_default();
    let engines = engines(app);
    let model = |key: &String| {
        let gone = || Problem::bad_request(format!("The engine `{key}` is no longer in diptych.toml."));
        engines.get(key).cloned().ok_or_else(gone)
    };
    let models = chosen.iter().map(model).collect::<Result<Vec<ModelConfig>, _>>()?;
    let text = begin::sprint_toml(proposal, &models)?;
    let prompts = app.store().prompts_of_proposal(&proposal.id).await?;
    // Of this attempt alone: somebody else may be accepting it at the same moment.
    let part = server.join(format!(".{}-{:08x}.part", proposal.id, rand::random::<u32>()));
    let file = begin::name_of_prompts(&proposal.format);
    let build = {
        let part = part.clone();
        // On the disk before the row says that it is accepted, which keeps the prompts no longer.
        tokio::task::spawn_blocking(move || begin::write_with(&part, &text, &file, &prompts))
    };
    let built = build.await.map_err(|_| Problem::internal("The sprint's folder cannot be written."))?;
    let accepted = match built {
        Ok(()) => app.store().accept_proposal(proposal, &organizer.id, note, now()).await?,
        Err(error) => {
            tokio::fs::remove_dir_all(&part).await.ok();
            return Err(error.into());
        }
    };
    if accepted.is_none() {
        tokio::fs::remove_dir_all(&part).await.ok();
        let waits =
            app.store().proposal(&proposal.id).await?.is_some_and(|proposal| proposal.state == "waiting");
        return Err(if waits { taken() } else { Problem::not_found("No such proposal waits any more.") });
    }
    if let Err(error) = tokio::fs::rename(&part, &folder).await
        // Another server that was just started may have done so.
        && tokio::fs::try_exists(&part).await.unwrap_or(true)
    {
        tracing::error!(%error, from = %part.display(), to = %folder.display(), "rename this folder by hand");
        return Err(Problem::internal(
            "It is accepted, and its folder is not in its place: see the server's log.",
        ));
    }
    app.find_new_sprints().await
}

/// Puts the folders of accepted proposals in their places that were not when a server was stopped between the row and the
/// folder. Where another server has just done so, it is done.
pub(crate) async fn finish_accepted(app: &App) -> Result<(), Problem> {
    let Some(server) = app.folder() else { return Ok(()) };
    let unreadable = |error: std::io::Error| {
        tracing::error!(%error, "the server's folder cannot be read");
        Problem::internal("The server's folder cannot be read.")
    };
    let mut entries = tokio::fs::read_dir(server).await.map_err(unreadable)?;
    while let Some(entry) = entries.next_entry().await.map_err(unreadable)? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part"));
        let Some((id, _)) = id.and_then(|id| id.rsplit_once('-')) else { continue };
        let Some(proposal) = app.store().proposal(id).await? else { continue };
        let (part, folder) = (entry.path(), server.join(&proposal.slug));
        let is_whole = part.join("sprint.toml").is_file()
            && part.join(begin::name_of_prompts(&proposal.format)).is_file();
        if proposal.state != "accepted" || !is_whole || tokio::fs::try_exists(&folder).await.unwrap_or(true) {
            continue;
        }
        match tokio::fs::rename(&part, &folder).await {
            Err(_) if !tokio::fs::try_exists(&part).await.unwrap_or(true) => {}
            Ok(()) => tracing::warn!(slug = proposal.slug, "an accepted proposal got its folder late"),
            Err(error) => {
                tracing::error!(%error, from = %part.display(), to = %folder.display(), "rename this folder by hand");
            }
        }
    }
    Ok(())
}
