//! What organizers have set from a page, for the log: the setting itself stands in `sprint.toml`.

use std::sync::Arc;

use diptych_core::{PersonId, SprintId};
use sqlx::Row;

use crate::{Millis, Result, Store};

/// A setting that somebody has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChange {
    /// Who.
    pub person: PersonId,
    /// Which setting, in words.
    pub what: String,
    /// What it was.
    pub from: String,
    /// What it is since.
    pub to: String,
    /// When.
    pub at: Millis,
}

impl Store {
    /// The sprint's changed settings, oldest first, each with the name of who changed it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn settings(&self, sprint: &SprintId) -> Result<Vec<(String, SettingChange)>> {
        let rows = sqlx::query(
            "SELECT people.name, person, what, was, became, changed_at FROM settings \
             JOIN people ON people.id = settings.person WHERE sprint = $1 ORDER BY settings.id",
        )
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?;
        rows.iter()
            .map(|row| {
                let change = SettingChange {
                    person: PersonId::from_text(row.try_get::<String, _>("person")?),
                    what: row.try_get("what")?,
                    from: row.try_get("was")?,
                    to: row.try_get("became")?,
                    at: row.try_get("changed_at")?,
                };
                Ok((row.try_get("name")?, change))
            })
            .collect()
    }

    /// How many there are.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn settings_count(&self, sprint: &SprintId) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM settings WHERE sprint = $1")
            .bind(sprint.as_str())
            .fetch_one(self.readers())
            .await?)
    }

    /// Keeps a change, and says so; not where there are by now more than `known`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn record_setting(&self, sprint: &SprintId, change: SettingChange, known: i64) -> Result<bool> {
        let (sprint, change) = (sprint.clone(), Arc::new(change));
        self.write(move |connection| {
            let (sprint, change) = (sprint.clone(), Arc::clone(&change));
            Box::pin(async move {
                let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM settings WHERE sprint = $1")
                    .bind(sprint.as_str())
                    .fetch_one(&mut *connection)
                    .await?;
                if count != known {
                    return Ok(false);
                }
                sqlx::query(
                    "INSERT INTO settings (id, sprint, person, what, was, became, changed_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                )
                .bind(uuid::Uuid::now_v7().to_string())
                .bind(sprint.as_str())
                .bind(change.person.as_str())
                .bind(&change.what)
                .bind(&change.from)
                .bind(&change.to)
                .bind(change.at)
                .execute(connection)
                .await?;
                Ok(true)
            })
        })
        .await
    }
}
