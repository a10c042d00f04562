//! What was published where, so that a row that is removed later can be told from where it must go.

use diptych_core::SprintId;

use crate::{Millis, Result, Store};

/// One dataset as it was published once.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Publication {
    /// The folder or repository.
    pub destination: String,
    /// The dataset's name.
    pub dataset: String,
    /// The ids of its rows, as a JSON array.
    pub rows: String,
    /// When.
    pub published_at: Millis,
}

impl Store {
    /// Notes what was published.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn record_publication(&self, sprint: &SprintId, publication: Publication) -> Result<()> {
        let sprint = sprint.clone();
        self.write(move |connection| {
            let (sprint, publication) = (sprint.clone(), publication.clone());
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO publications (id, sprint, destination, dataset, rows, published_at) \
                     VALUES ($1, $2, $3, $4, $5, $6)",
                )
                .bind(uuid::Uuid::now_v7().to_string())
                .bind(sprint.as_str())
                .bind(publication.destination)
                .bind(publication.dataset)
                .bind(publication.rows)
                .bind(publication.published_at)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Everything that was published of the sprint, oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn publications(&self, sprint: &SprintId) -> Result<Vec<Publication>> {
        Ok(sqlx::query_as(
            "SELECT destination, dataset, rows, published_at FROM publications WHERE sprint = $1 ORDER BY id",
        )
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?)
    }
}
