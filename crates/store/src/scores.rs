//! What classifiers say of content: kept by what it is and by the version of the classifier that was asked.

use std::collections::HashMap;
use std::sync::Arc;

use diptych_core::SprintId;
use sqlx::AssertSqlSafe;

use crate::{Millis, Result, Store, padded, places, rows_at_once, value_rows};

/// Items that one statement looks for.
const SOUGHT: usize = 256;

/// What can be looked at. A text is the same whether it is a prompt or a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A prompt's or a variant's text.
    Text,
    /// An image.
    Image,
}

impl Kind {
    /// `text` or `image`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Image => "image",
        }
    }

    /// The kind of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Kind::Text, Kind::Image].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What one classifier says of one item.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Score {
    /// The hash of the text or image.
    pub content: String,
    /// The classifier's version.
    pub classifier: String,
    /// A score per label, as JSON.
    pub labels: String,
    /// Why there are no scores; empty where there are.
    pub error: String,
    /// What else it tells, as JSON.
    pub detail: String,
}

impl Store {
    /// What these classifiers say of the sprint's items of this kind: content → their scores.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn scores(
        &self,
        sprint: &SprintId,
        kind: Kind,
        classifiers: &[String],
    ) -> Result<HashMap<String, Vec<Score>>> {
        let mut found: HashMap<String, Vec<Score>> = HashMap::new();
        for classifier in classifiers {
            let rows: Vec<Score> = sqlx::query_as(
                "SELECT content, classifier, labels, error, detail FROM scores \
                 WHERE sprint = $1 AND kind = $2 AND classifier = $3",
            )
            .bind(sprint.as_str())
            .bind(kind.as_str())
            .bind(classifier)
            .fetch_all(self.readers())
            .await?;
            for score in rows {
                found.entry(score.content.clone()).or_default().push(score);
            }
        }
        Ok(found)
    }

    /// The same, of these items only.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn scores_of(
        &self,
        sprint: &SprintId,
        kind: Kind,
        classifiers: &[String],
        contents: &[&str],
    ) -> Result<HashMap<String, Vec<Score>>> {
        let mut found: HashMap<String, Vec<Score>> = HashMap::new();
        for classifier in classifiers {
            for contents in contents.chunks(SOUGHT) {
                let query = format!(
                    "SELECT content, classifier, labels, error, detail FROM scores \
                     WHERE sprint = $1 AND kind = $2 AND classifier = $3 AND content IN ({})",
                    places(4, contents.len())
                );
                let mut query = sqlx::query_as(AssertSqlSafe(query))
                    .bind(sprint.as_str())
                    .bind(kind.as_str())
                    .bind(classifier);
                for content in padded(contents) {
                    query = query.bind(content);
                }
                let rows: Vec<Score> = query.fetch_all(self.readers()).await?;
                for score in rows {
                    found.entry(score.content.clone()).or_default().push(score);
                }
            }
        }
        Ok(found)
    }

    /// The versions of classifiers that have scored anything in the sprint, the newest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn scored_by(&self, sprint: &SprintId) -> Result<Vec<String>> {
        let query = "SELECT classifier FROM scores WHERE sprint = $1 AND error = '' GROUP BY classifier \
                     ORDER BY MAX(scored_at) DESC, classifier";
        Ok(sqlx::query_scalar(query).bind(sprint.as_str()).fetch_all(self.readers()).await?)
    }

    /// Keeps what a classifier has said. What it said before of the same items is replaced: it is asked
    /// again only where it had failed.
    ///
    /// # Errors
    /// Where the database fails; none is kept then.
    pub async fn record_scores(
        &self,
        sprint: &SprintId,
        kind: Kind,
        scores: Vec<Score>,
        now: Millis,
    ) -> Result<()> {
        let (sprint, scores) = (sprint.clone(), Arc::new(scores));
        self.write(move |connection| {
            let (sprint, scores) = (sprint.clone(), Arc::clone(&scores));
            Box::pin(async move {
                for rows in scores.chunks(rows_at_once(8)) {
                    let query = format!(
                        "INSERT INTO scores (sprint, kind, content, classifier, labels, error, detail, scored_at) \
                         VALUES {} ON CONFLICT (sprint, kind, content, classifier) DO UPDATE SET \
                         labels = excluded.labels, error = excluded.error, detail = excluded.detail, \
                         scored_at = excluded.scored_at",
                        value_rows(rows.len(), 8)
                    );
                    let mut query = sqlx::query(AssertSqlSafe(query));
                    for row in rows {
                        query = query
                            .bind(sprint.as_str())
                            .bind(kind.as_str())
                            .bind(&row.content)
                            .bind(&row.classifier)
                            .bind(&row.labels)
                            .bind(&row.error)
                            .bind(&row.detail)
                            .bind(now);
                    }
                    query.execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .await
    }
}
