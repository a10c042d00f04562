//! Proposals: sprints that people would like to begin.

use diptych_core::{PersonId, SprintId};

use crate::{Connection, Millis, Result, Store};

/// A sprint that somebody would like to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProposal {
    /// Who.
    pub person: PersonId,
    /// Its name in addresses.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// The question.
    pub question: String,
    /// What the answers are for.
    pub about: String,
    /// The ending of the uploaded file's name: what kind of file it is.
    pub format: String,
    /// The file's text.
    pub prompts: String,
    /// How many prompts stand in it.
    pub prompt_count: i64,
    /// The engines that were chosen, each by its key.
    pub models: Vec<String>,
}

/// A proposal that waits or was decided, without its prompts.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Proposal {
    /// The id.
    pub id: String,
    /// Who.
    pub person: String,
    /// Their name.
    pub name: String,
    /// Its name in addresses.
    pub slug: String,
    /// Its title.
    pub title: String,
    /// The question.
    pub question: String,
    /// What the answers are for.
    pub about: String,
    /// What kind of file the prompts are.
    pub format: String,
    /// How many prompts there are.
    pub prompt_count: i64,
    /// The engines, as a JSON array of their keys.
    pub models: String,
    /// `waiting`, `accepted` or `declined`.
    pub state: String,
    /// What whoever decided says of it.
    pub note: String,
    /// When it was made.
    pub created_at: Millis,
}

/// Whether a proposal was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposed {
    /// It waits.
    Waiting,
    /// Nobody knows who it is: of guests one person may be many.
    Guest,
    /// This person has as many waiting as anybody may.
    TooManyOfYours,
    /// As many wait in all as are kept.
    TooMany,
    /// Another one of this slug waits.
    SlugWaits,
}

/// The most that may wait of one person's.
pub const MOST_OF_ONE: i64 = 3;

/// The most that may wait in all.
pub const MOST: i64 = 200;

const COLUMNS: &str = "proposals.id, person, people.name, slug, title, question, about, format, prompt_count, models, \
    state, note, proposals.created_at";

impl Store {
    /// Takes a proposal in.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn propose(&self, proposal: NewProposal, now: Millis) -> Result<Proposed> {
        self.write(move |connection| {
            let proposal = proposal.clone();
            Box::pin(async move {
                let (own, same, all): (i64, i64, i64) = sqlx::query_as(
                    "SELECT CAST(COALESCE(SUM(CASE WHEN person = $1 THEN 1 ELSE 0 END), 0) AS BIGINT), \
                     CAST(COALESCE(SUM(CASE WHEN slug = $2 THEN 1 ELSE 0 END), 0) AS BIGINT), COUNT(*) \
                     FROM proposals WHERE state = 'waiting'",
                )
                .bind(proposal.person.as_str())
                .bind(&proposal.slug)
                .fetch_one(&mut *connection)
                .await?;
                let guest: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM people WHERE id = $1 AND kind = 'guest'")
                    .bind(proposal.person.as_str())
                    .fetch_one(&mut *connection)
                    .await?;
                if guest > 0 {
                    return Ok(Proposed::Guest);
                }
                if own >= MOST_OF_ONE {
                    return Ok(Proposed::TooManyOfYours);
                }
                if all >= MOST {
                    return Ok(Proposed::TooMany);
                }
                if same > 0 {
                    return Ok(Proposed::SlugWaits);
                }
                sqlx::query(
                    "INSERT INTO proposals (id, person, slug, title, question, about, format, prompts, prompt_count, \
                     models, state, note, created_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'waiting', '', $11)",
                )
                .bind(uuid::Uuid::now_v7().to_string())
                .bind(proposal.person.as_str())
                .bind(proposal.slug)
                .bind(proposal.title)
                .bind(proposal.question)
                .bind(proposal.about)
                .bind(proposal.format)
                .bind(proposal.prompts)
                .bind(proposal.prompt_count)
                .bind(serde_json::Value::from(proposal.models).to_string())
                .bind(now)
                .execute(connection)
                .await?;
                Ok(Proposed::Waiting)
            })
        })
        .await
    }

    /// The proposals that wait, the oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn waiting_proposals(&self) -> Result<Vec<Proposal>> {
        self.proposals("state = $1 ORDER BY proposals.id", "waiting").await
    }

    /// A person's own, the newest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn proposals_of(&self, person: &PersonId) -> Result<Vec<Proposal>> {
        self.proposals("person = $1 ORDER BY proposals.id DESC", person.as_str()).await
    }

    async fn proposals(&self, which: &str, value: &str) -> Result<Vec<Proposal>> {
        let query = format!(
            "SELECT {COLUMNS} FROM proposals JOIN people ON people.id = proposals.person WHERE {which}"
        );
        Ok(sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(value).fetch_all(self.readers()).await?)
    }

    /// The proposal with this id.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn proposal(&self, id: &str) -> Result<Option<Proposal>> {
        Ok(self.proposals("proposals.id = $1", id).await?.pop())
    }

    /// The prompts of a proposal: its file's text.
    ///
    /// # Errors
    /// Where the database fails, or there is no such proposal.
    pub async fn prompts_of_proposal(&self, id: &str) -> Result<String> {
        let query = "SELECT prompts FROM proposals WHERE id = $1";
        Ok(sqlx::query_scalar(query).bind(id).fetch_one(self.readers()).await?)
    }

    /// Declines a proposal; false where somebody has decided already. Its prompts are kept no longer.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn decline_proposal(&self, id: &str, note: &str, now: Millis) -> Result<bool> {
        let (id, note) = (id.to_owned(), note.to_owned());
        self.write(move |connection| {
            let (id, note) = (id.clone(), note.clone());
            Box::pin(async move { decide(connection, &id, "declined", &note, now).await })
        })
        .await
    }

    /// Accepts a proposal and makes its sprint, whose organizer this person is, and whose moderator its author, where
    /// they prove who they are by more than a name. None where somebody has decided already, or there is a sprint of
    /// that slug.
    ///
    /// # Errors
    /// Where the database fails; nothing is changed then.
    pub async fn accept_proposal(
        &self,
        proposal: &Proposal,
        organizer: &PersonId,
        note: &str,
        now: Millis,
    ) -> Result<Option<SprintId>> {
        let (proposal, organizer, note) = (proposal.clone(), organizer.clone(), note.to_owned());
        self.end_sessions(move |connection| {
            let (proposal, organizer, note) = (proposal.clone(), organizer.clone(), note.clone());
            Box::pin(async move {
                let sprint = SprintId::new();
                let made = sqlx::query(
                    "INSERT INTO sprints (id, slug, created_at) SELECT $1, $2, $3 WHERE EXISTS \
                     (SELECT 1 FROM proposals WHERE id = $4 AND state = 'waiting') ON CONFLICT (slug) DO NOTHING",
                )
                .bind(sprint.as_str())
                .bind(&proposal.slug)
                .bind(now)
                .bind(&proposal.id)
                .execute(&mut *connection)
                .await?;
                if made.rows_affected() == 0 || !decide(connection, &proposal.id, "accepted", &note, now).await? {
                    return Ok(None);
                }
                let (proofs, invited): (i64, i64) = sqlx::query_as(
                    "SELECT (SELECT COUNT(*) FROM identities WHERE person = $1) + \
                     (SELECT COUNT(*) FROM tokens WHERE person = $1), \
                     (SELECT COUNT(*) FROM people WHERE id = $1 AND kind = 'invited')",
                )
                .bind(&proposal.person)
                .fetch_one(&mut *connection)
                .await?;
                let mut roles = vec![(organizer.as_str(), "organizer")];
                if proofs + invited > 0 && proposal.person != organizer.as_str() {
                    roles.push((&proposal.person, "moderator"));
                    // A name alone may have begun a session of theirs, but where they were invited: that is their only one.
                    if invited == 0 {
                        crate::people::sign_out(&mut *connection, &proposal.person, "").await?;
                    }
                }
                for (person, role) in roles {
                    sqlx::query("INSERT INTO roles (person, sprint, role) VALUES ($1, $2, $3)")
                        .bind(person)
                        .bind(sprint.as_str())
                        .bind(role)
                        .execute(&mut *connection)
                        .await?;
                }
                Ok(Some(sprint))
            })
        })
        .await
    }
}

async fn decide(connection: &mut Connection, id: &str, state: &str, note: &str, now: Millis) -> Result<bool> {
    let decided = sqlx::query(
        "UPDATE proposals SET state = $2, note = $3, decided_at = $4, prompts = '' WHERE id = $1 AND state = 'waiting'",
    )
    .bind(id)
    .bind(state)
    .bind(note)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(decided.rows_affected() == 1)
}
