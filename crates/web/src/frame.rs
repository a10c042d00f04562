//! What every page has around its own content.

use askama::Template;
use axum::response::Html;
use diptych_core::Role;
use diptych_core::config::SprintConfig;
use diptych_store::people::Person;

use crate::pages::version;
use crate::problem::Problem;
use crate::state::App;
use crate::texts::{self, Reader, Texts};

/// What every page shows around its own content.
pub(crate) struct Frame {
    pub(crate) version: &'static str,
    pub(crate) title: String,
    /// The words of its language.
    pub(crate) t: &'static Texts,
    /// Where it is asked for in another one; empty where there is none.
    pub(crate) address: String,
    pub(crate) person: Option<String>,
    /// The person's id, so that one browser keeps several people's unsent answers apart; empty where nobody is signed in.
    pub(crate) person_id: String,
    /// The address of the sprint's own style sheet, where it has one.
    pub(crate) look: Option<String>,
    /// Which of the header's links is the page itself.
    pub(crate) here: &'static str,
    /// Where this person reviews, and how many reports wait there; for moderators.
    pub(crate) review: Option<(String, i64)>,
    /// The sprint that this person organizes.
    pub(crate) organize: Option<String>,
    /// How many proposals of sprints wait for an organizer's word.
    pub(crate) proposals: usize,
    /// What organizers must hear of at once: of which sprint, or of the whole server, and what.
    pub(crate) alarms: Vec<(Option<String>, String)>,
    /// Whose traces the browser is to forget; empty where nobody leaves.
    pub(crate) forgotten: String,
    /// The style sheet, for a page that is a file by itself.
    pub(crate) inline: Option<&'static str>,
}

impl Frame {
    pub(crate) fn new(title: impl Into<String>, person: Option<&Person>, here: &'static str) -> Self {
        Self {
            version: version(),
            title: title.into(),
            t: &texts::languages()[0],
            address: String::new(),
            person: person.map(|person| person.name.clone()),
            person_id: person.map(|person| person.id.to_string()).unwrap_or_default(),
            look: None,
            here,
            review: None,
            organize: None,
            proposals: 0,
            alarms: Vec::new(),
            forgotten: String::new(),
            inline: None,
        }
    }

    /// In the reader's language.
    pub(crate) fn for_reader(mut self, reader: &Reader) -> Self {
        self.t = reader.t;
        self.address.clone_from(&reader.here);
        self
    }

    /// In the sprint's look.
    pub(crate) fn of_sprint(mut self, config: &SprintConfig) -> Self {
        let of = |accent| format!("/s/{}/look.css?{accent}", config.sprint.slug).replace('#', "");
        self.look = config.look.accent.map(of);
        self
    }

    /// The other languages that it is there in.
    pub(crate) fn others(&self) -> impl Iterator<Item = &'static Texts> {
        let t = (!self.address.is_empty()).then_some(self.t);
        texts::languages().iter().filter(move |other| t.is_some_and(|t| t.code != other.code))
    }

    /// What organizers must hear of; of many things the first ones.
    pub(crate) fn said(&self) -> Vec<String> {
        let said = |(of, what): &(Option<String>, String)| match of {
            Some(slug) => format!("{slug}: {what}"),
            None => what.clone(),
        };
        self.alarms.iter().take(3).map(said).collect()
    }

    /// With the way to review, where this person moderates a sprint: the one where most waits. In the language that
    /// the frame has by then.
    pub(crate) async fn for_moderators(
        mut self,
        app: &App,
        person: Option<&Person>,
    ) -> Result<Self, Problem> {
        let Some(person) = person else { return Ok(self) };
        for (slug, sprint) in app.sprints() {
            let id = &sprint.ctx().sprint;
            let role = app.role(&sprint, person).await?;
            if role == Role::Organizer {
                if self.organize.is_none() {
                    self.proposals = app.store().waiting_proposals().await?.len();
                    let gates = app.gates().alarm();
                    self.alarms.extend(gates.map(|alarm| (None, self.t.alarm(&alarm))));
                }
                let alerts = sprint.alerts();
                self.alarms.extend(alerts.iter().map(|alert| (Some(slug.clone()), self.t.alert(alert))));
                self.organize.get_or_insert_with(|| slug.clone());
            }
            if role != Role::Annotator {
                let waiting = app.store().waiting_reports(id).await?;
                if self.review.as_ref().is_none_or(|(_, most)| waiting > *most) {
                    self.review = Some((slug.clone(), waiting));
                }
            }
        }
        Ok(self)
    }
}

pub(crate) fn page(template: &impl Template) -> Result<Html<String>, Problem> {
    template.render().map(Html).map_err(|error| {
        tracing::error!(%error, "a page cannot be rendered");
        Problem::internal("The page cannot be shown.")
    })
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    frame: Frame,
    heading: String,
    text: String,
    link: String,
    link_text: String,
}

/// A page that says one thing and leads on.
pub(crate) async fn message(
    app: &App,
    person: Option<&Person>,
    reader: &Reader,
    says: [&str; 2],
    link: [&str; 2],
) -> Result<Html<String>, Problem> {
    let frame = Frame::new(says[0], person, "").for_reader(reader).for_moderators(app, person).await?;
    message_in(frame, says, link)
}

/// The same, to somebody who has left, and whose traces the browser is to forget.
pub(crate) fn farewell(
    gone: &Person,
    reader: &Reader,
    says: [&str; 2],
    link: [&str; 2],
) -> Result<Html<String>, Problem> {
    let frame = Frame { forgotten: gone.id.to_string(), ..Frame::new(says[0], None, "").for_reader(reader) };
    message_in(frame, says, link)
}

fn message_in(
    frame: Frame,
    [heading, text]: [&str; 2],
    [link, link_text]: [&str; 2],
) -> Result<Html<String>, Problem> {
    page(&Message {
        frame,
        heading: heading.to_owned(),
        text: text.to_owned(),
        link: link.to_owned(),
        link_text: link_text.to_owned(),
    })
}
