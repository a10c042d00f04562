//! Sprints, and what their in-process stages were last run with.

use std::collections::HashMap;

use diptych_core::{PersonId, SprintId, SprintState, Stage};

use crate::{Millis, Result, Store, StoreError};

/// What an in-process stage was last run with, and what it said.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StageMark {
    /// The hash of everything that its outcome depends on.
    pub key: String,
    /// Its report, as JSON.
    pub report: String,
}

/// How a sprint is run at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Whether people are asked.
    pub state: SprintState,
    /// What its organizers tell everybody, with its id.
    pub announcement: Option<(String, String)>,
}

impl Store {
    /// The slugs of the sprints in which anybody has answered.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn answered_sprints(&self) -> Result<Vec<String>> {
        let query = "SELECT slug FROM sprints WHERE EXISTS (SELECT 1 FROM responses WHERE responses.sprint = sprints.id \
             AND state <> 'taken_back') \
             ORDER BY created_at, id";
        Ok(sqlx::query_scalar(query).fetch_all(self.readers()).await?)
    }

    /// How every sprint is run.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn running(&self) -> Result<HashMap<SprintId, Running>> {
        let rows: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT sprints.id, sprints.state, announcements.id, announcements.text FROM sprints \
             LEFT JOIN announcements ON announcements.sprint = sprints.id AND announcements.id = \
             (SELECT MAX(id) FROM announcements WHERE sprint = sprints.id AND ended_at IS NULL)",
        )
        .fetch_all(self.readers())
        .await?;
        let row = |(sprint, state, id, text): (String, String, Option<String>, Option<String>)| {
            let state = SprintState::from_word(&state)
                .ok_or(StoreError::UnknownWord { table: "sprints", word: state })?;
            Ok((SprintId::from_text(sprint), Running { state, announcement: id.zip(text) }))
        };
        rows.into_iter().map(row).collect()
    }

    /// Says whether people are asked in the sprint.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_sprint_state(&self, sprint: &SprintId, state: SprintState) -> Result<()> {
        let sprint = sprint.clone();
        self.write(move |connection| {
            let sprint = sprint.clone();
            Box::pin(async move {
                sqlx::query("UPDATE sprints SET state = $2 WHERE id = $1")
                    .bind(sprint.as_str())
                    .bind(state.as_str())
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Tells everybody in the sprint something, in place of what was told before; nothing, where the text is empty.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn announce(
        &self,
        sprint: &SprintId,
        person: &PersonId,
        text: &str,
        now: Millis,
    ) -> Result<()> {
        let (sprint, person, text) = (sprint.clone(), person.clone(), text.to_owned());
        self.write(move |connection| {
            let (sprint, person, text) = (sprint.clone(), person.clone(), text.clone());
            Box::pin(async move {
                sqlx::query("UPDATE announcements SET ended_at = $2 WHERE sprint = $1 AND ended_at IS NULL")
                    .bind(sprint.as_str())
                    .bind(now)
                    .execute(&mut *connection)
                    .await?;
                if text.is_empty() {
                    return Ok(());
                }
                sqlx::query(
                    "INSERT INTO announcements (id, sprint, person, text, created_at) VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(uuid::Uuid::now_v7().to_string())
                .bind(sprint.as_str())
                .bind(person.as_str())
                .bind(text)
                .bind(now)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The sprint with this slug, made where there is none.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sprint(&self, slug: &str, now: Millis) -> Result<SprintId> {
        if let Some(id) = self.find_sprint(slug).await? {
            return Ok(id);
        }
        let (new, slug) = (SprintId::new(), slug.to_owned());
        self.write(move |connection| {
            let (new, slug) = (new.clone(), slug.clone());
            Box::pin(async move {
                let id: String = sqlx::query_scalar(
                    "INSERT INTO sprints (id, slug, created_at) VALUES ($1, $2, $3) \
                     ON CONFLICT (slug) DO UPDATE SET slug = excluded.slug RETURNING id",
                )
                .bind(new.as_str())
                .bind(slug)
                .bind(now)
                .fetch_one(connection)
                .await?;
                Ok(SprintId::from_text(id))
            })
        })
        .await
    }

    /// The sprint with this slug.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn find_sprint(&self, slug: &str) -> Result<Option<SprintId>> {
        let id: Option<String> = sqlx::query_scalar("SELECT id FROM sprints WHERE slug = $1")
            .bind(slug)
            .fetch_optional(self.readers())
            .await?;
        Ok(id.map(SprintId::from_text))
    }

    /// What a stage was last run with.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn stage_mark(&self, sprint: &SprintId, stage: Stage) -> Result<Option<StageMark>> {
        Ok(sqlx::query_as("SELECT key, report FROM stage_marks WHERE sprint = $1 AND stage = $2")
            .bind(sprint.as_str())
            .bind(stage.as_str())
            .fetch_optional(self.readers())
            .await?)
    }

    /// Notes that a stage is no longer done. Whoever is about to change a stage's rows says so first: broken
    /// off, they are neither of the old configuration nor of the new one, and the next run begins anew.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn unmark_stage(&self, sprint: &SprintId, stage: Stage) -> Result<()> {
        let sprint = sprint.clone();
        self.write(move |connection| {
            let sprint = sprint.clone();
            Box::pin(async move {
                sqlx::query("DELETE FROM stage_marks WHERE sprint = $1 AND stage = $2")
                    .bind(sprint.as_str())
                    .bind(stage.as_str())
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Notes that a stage is done.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn mark_stage(
        &self,
        sprint: &SprintId,
        stage: Stage,
        mark: StageMark,
        now: Millis,
    ) -> Result<()> {
        let sprint = sprint.clone();
        self.write(move |connection| {
            let (sprint, mark) = (sprint.clone(), mark.clone());
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO stage_marks (sprint, stage, key, report, finished_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (sprint, stage) DO UPDATE SET key = excluded.key, report = excluded.report, \
                     finished_at = excluded.finished_at",
                )
                .bind(sprint.as_str())
                .bind(stage.as_str())
                .bind(mark.key)
                .bind(mark.report)
                .bind(now)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }
}
