//! People whose answers do not count: kept, marked, and others are asked in their place; and counted again.

use diptych_core::{PersonId, SprintId};

use crate::pairs::recount;
use crate::{Millis, Result, Store};

/// Somebody whose answers do not count, or did not for a while.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Exclusion {
    /// Their name.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub excluded_at: Millis,
    /// Until when, where they count again.
    pub ended_at: Option<Millis>,
}

impl Store {
    /// Lets a person's answers no longer count: they are kept and marked, their pairs are open for others, what the
    /// person holds goes back, and they get no more. False where that is so already.
    ///
    /// # Errors
    /// Where the database fails; nothing is changed then.
    pub async fn exclude(
        &self,
        sprint: &SprintId,
        person: &PersonId,
        reason: &str,
        now: Millis,
    ) -> Result<bool> {
        let (sprint, person, reason) = (sprint.clone(), person.clone(), reason.to_owned());
        self.write(move |connection| {
            let (sprint, person, reason) = (sprint.clone(), person.clone(), reason.clone());
            Box::pin(async move {
                let added = sqlx::query(
                    "INSERT INTO exclusions (id, sprint, person, reason, excluded_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (sprint, person) WHERE ended_at IS NULL DO NOTHING",
                )
                .bind(uuid::Uuid::now_v7().to_string())
                .bind(sprint.as_str())
                .bind(person.as_str())
                .bind(reason)
                .bind(now)
                .execute(&mut *connection)
                .await?;
                if added.rows_affected() == 0 {
                    return Ok(false);
                }
                let held: Vec<String> = sqlx::query_scalar(
                    "UPDATE assignments SET state = 'withdrawn', ended_at = $3 WHERE sprint = $1 AND person = $2 \
                     AND state = 'open' RETURNING pair",
                )
                .bind(sprint.as_str())
                .bind(person.as_str())
                .bind(now)
                .fetch_all(&mut *connection)
                .await?;
                for pair in held {
                    crate::assignments::give_back(connection, &pair).await?;
                }
                sqlx::query(
                    "UPDATE checks SET state = 'withdrawn', ended_at = $3 WHERE sprint = $1 AND person = $2 \
                     AND state = 'open'",
                )
                .bind(sprint.as_str())
                .bind(person.as_str())
                .bind(now)
                .execute(&mut *connection)
                .await?;
                let pairs: Vec<String> = sqlx::query_scalar(
                    "UPDATE responses SET state = 'excluded' WHERE sprint = $1 AND person = $2 \
                     AND state IN ('submitted', 'surplus') RETURNING pair",
                )
                .bind(sprint.as_str())
                .bind(person.as_str())
                .fetch_all(&mut *connection)
                .await?;
                let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
                recount(connection, &pairs).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Lets a person's answers count again, where others have not filled the pair meanwhile: those are `surplus`.
    /// False where nobody had excluded them.
    ///
    /// # Errors
    /// Where the database fails; nothing is changed then.
    pub async fn include(&self, sprint: &SprintId, person: &PersonId, now: Millis) -> Result<bool> {
        let (sprint, person) = (sprint.clone(), person.clone());
        self.write(move |connection| {
            let (sprint, person) = (sprint.clone(), person.clone());
            Box::pin(async move {
                let ended = sqlx::query(
                    "UPDATE exclusions SET ended_at = $3 WHERE sprint = $1 AND person = $2 AND ended_at IS NULL",
                )
                .bind(sprint.as_str())
                .bind(person.as_str())
                .bind(now)
                .execute(&mut *connection)
                .await?;
                // As surplus they count where there is room.
                let pairs: Vec<String> = sqlx::query_scalar(
                    "UPDATE responses SET state = 'surplus' WHERE sprint = $1 AND person = $2 AND state = 'excluded' \
                     RETURNING pair",
                )
                .bind(sprint.as_str())
                .bind(person.as_str())
                .fetch_all(&mut *connection)
                .await?;
                let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
                recount(connection, &pairs).await?;
                Ok(ended.rows_affected() > 0)
            })
        })
        .await
    }

    /// Everybody who was ever excluded from the sprint, the newest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn exclusions(&self, sprint: &SprintId) -> Result<Vec<Exclusion>> {
        Ok(sqlx::query_as(
            "SELECT name, reason, excluded_at, ended_at FROM exclusions JOIN people ON people.id = exclusions.person \
             WHERE sprint = $1 ORDER BY exclusions.id DESC",
        )
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?)
    }
}
