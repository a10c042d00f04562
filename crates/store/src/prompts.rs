//! Prompts: as collected, and what clean made of them.

use std::sync::Arc;

use diptych_core::{CleanState, PromptIndex, Split, SprintId};
use futures::StreamExt;
use futures::stream::BoxStream;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::{Result, Span, Store, StoreError, rows_at_once, value_rows};

/// A prompt as it was collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedPrompt {
    /// The source file or address.
    pub source: Arc<str>,
    /// Its row there, counted from 1.
    pub source_row: i64,
    /// The text as it stands there.
    pub text: String,
}

/// A row of a source that did not become a prompt.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SourceDrop {
    /// The source file or address.
    pub source: String,
    /// The row there, counted from 1.
    pub source_row: i64,
    /// One word for counting.
    pub reason: String,
    /// One sentence for people.
    pub detail: String,
}

/// A prompt's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptRow {
    /// Its index.
    pub idx: i64,
    /// The source file or address.
    pub source: String,
    /// Its row there, counted from 1.
    pub source_row: i64,
    /// The text as collected.
    pub text: String,
    /// The text after clean, where it was kept.
    pub clean_text: Option<String>,
    /// What clean said; none before it.
    pub clean_state: Option<CleanState>,
    /// Why it was dropped.
    pub clean_reason: Option<String>,
    /// The index of the prompt that it duplicates.
    pub clean_of: Option<i64>,
    /// Which part of the datasets it belongs to, where it was kept.
    pub split: Option<Split>,
}

/// A prompt that clean has kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanPrompt {
    /// Its index.
    pub index: PromptIndex,
    /// The cleaned text.
    pub text: String,
    /// Which part of the datasets it belongs to.
    pub split: Split,
}

/// What clean says of one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanOutcome {
    /// The prompt.
    pub index: PromptIndex,
    /// Its text and split where it is kept, or why it is dropped and which prompt it duplicates.
    pub outcome: std::result::Result<(String, Split), (&'static str, Option<PromptIndex>)>,
}

const PROMPT: &str = "idx, source, source_row, text, clean_text, clean_state, clean_reason, clean_of, split";

fn prompt_row(row: &AnyRow) -> Result<PromptRow> {
    Ok(PromptRow {
        idx: row.try_get("idx")?,
        source: row.try_get("source")?,
        source_row: row.try_get("source_row")?,
        text: row.try_get("text")?,
        clean_text: row.try_get("clean_text")?,
        clean_state: typed(row.try_get("clean_state")?, CleanState::from_word)?,
        clean_reason: row.try_get("clean_reason")?,
        clean_of: row.try_get("clean_of")?,
        split: typed(row.try_get("split")?, Split::from_word)?,
    })
}

/// What a column's word stands for, where there is one.
fn typed<T>(word: Option<String>, from_word: fn(&str) -> Option<T>) -> Result<Option<T>> {
    word.map(|word| from_word(&word).ok_or_else(|| unknown(&word))).transpose()
}

fn unknown(word: &str) -> StoreError {
    StoreError::UnknownWord { table: "prompts", word: word.to_owned() }
}

impl Store {
    /// Takes in prompts of the collect that `collect` names: those whose source row is known keep
    /// their index (and lose what clean said where the text has changed), the others get the next ones.
    ///
    /// # Errors
    /// Where the database fails; nothing is changed then.
    pub async fn collect_prompts(
        &self,
        sprint: &SprintId,
        collect: &str,
        prompts: Vec<CollectedPrompt>,
    ) -> Result<()> {
        let (sprint, collect, prompts) = (sprint.clone(), collect.to_owned(), Arc::new(prompts));
        self.write(move |connection| {
            let (sprint, collect, prompts) = (sprint.clone(), collect.clone(), Arc::clone(&prompts));
            Box::pin(async move {
                let next: Option<i64> = sqlx::query_scalar("SELECT MAX(idx) FROM prompts WHERE sprint = $1")
                    .bind(sprint.as_str())
                    .fetch_one(&mut *connection)
                    .await?;
                let mut next = next.map_or(0, |last| last + 1);
                for rows in prompts.chunks(rows_at_once(7)) {
                    // An index given to a row that turns out to be known is skipped, not reused.
                    let query = format!(
                        "INSERT INTO prompts (sprint, idx, source, source_row, text, current, collect) VALUES {} \
                         ON CONFLICT (sprint, source, source_row) DO UPDATE SET current = excluded.current, \
                         collect = excluded.collect, text = excluded.text, \
                         clean_state = CASE WHEN prompts.text = excluded.text THEN prompts.clean_state END",
                        value_rows(rows.len(), 7)
                    );
                    let mut query = sqlx::query(AssertSqlSafe(query));
                    for row in rows {
                        query = query
                            .bind(sprint.as_str())
                            .bind(next)
                            .bind(&*row.source)
                            .bind(row.source_row)
                            .bind(&row.text)
                            .bind(true)
                            .bind(&collect);
                        next += 1;
                    }
                    query.execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Ends a collect: the sprint's prompts are those that it took in, and no others. Where a collect is
    /// broken off, earlier ones and new ones stand side by side until one is run to its end.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn finish_collect(&self, sprint: &SprintId, collect: &str) -> Result<()> {
        let (sprint, collect) = (sprint.clone(), collect.to_owned());
        self.write(move |connection| {
            let (sprint, collect) = (sprint.clone(), collect.clone());
            Box::pin(async move {
                sqlx::query("UPDATE prompts SET current = $3 WHERE sprint = $1 AND collect <> $2")
                    .bind(sprint.as_str())
                    .bind(collect)
                    .bind(false)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Forgets the rows that the last collect recorded as no prompts.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn forget_source_drops(&self, sprint: &SprintId) -> Result<()> {
        let sprint = sprint.clone();
        self.write(move |connection| {
            let sprint = sprint.clone();
            Box::pin(async move {
                sqlx::query("DELETE FROM source_drops WHERE sprint = $1")
                    .bind(sprint.as_str())
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Records source rows that did not become prompts.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn record_source_drops(&self, sprint: &SprintId, drops: Vec<SourceDrop>) -> Result<()> {
        let (sprint, drops) = (sprint.clone(), Arc::new(drops));
        self.write(move |connection| {
            let (sprint, drops) = (sprint.clone(), Arc::clone(&drops));
            Box::pin(async move {
                for rows in drops.chunks(rows_at_once(5)) {
                    let query = format!(
                        "INSERT INTO source_drops (sprint, source, source_row, reason, detail) VALUES {} \
                         ON CONFLICT (sprint, source, source_row) DO UPDATE SET reason = excluded.reason, \
                         detail = excluded.detail",
                        value_rows(rows.len(), 5)
                    );
                    let mut query = sqlx::query(AssertSqlSafe(query));
                    for row in rows {
                        query = query
                            .bind(sprint.as_str())
                            .bind(&row.source)
                            .bind(row.source_row)
                            .bind(&row.reason)
                            .bind(&row.detail);
                    }
                    query.execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The first `limit` source rows that did not become prompts.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn source_drops(&self, sprint: &SprintId, limit: i64) -> Result<Vec<SourceDrop>> {
        Ok(sqlx::query_as(
            "SELECT source, source_row, reason, detail FROM source_drops WHERE sprint = $1 \
             ORDER BY source, source_row LIMIT $2",
        )
        .bind(sprint.as_str())
        .bind(limit)
        .fetch_all(self.readers())
        .await?)
    }

    /// The wanted prompts, by index.
    pub fn prompts<'a>(&'a self, sprint: &'a SprintId) -> BoxStream<'a, Result<PromptRow>> {
        let query = format!("SELECT {PROMPT} FROM prompts WHERE sprint = $1 AND current ORDER BY idx");
        Box::pin(
            sqlx::query(AssertSqlSafe(query))
                .bind(sprint.as_str())
                .fetch(self.readers())
                .map(|row| prompt_row(&row?)),
        )
    }

    /// Those of these prompts that clean has kept, by index.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn clean_prompts(&self, sprint: &SprintId, span: Span) -> Result<Vec<CleanPrompt>> {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT idx, clean_text, split FROM prompts \
             WHERE sprint = $1 AND current AND clean_state = 'kept' AND idx >= $2 AND idx < $3 ORDER BY idx",
        )
        .bind(sprint.as_str())
        .bind(span.start)
        .bind(span.end)
        .fetch_all(self.readers())
        .await?;
        rows.into_iter()
            .map(|(index, text, word)| {
                let split = Split::from_word(&word).ok_or_else(|| unknown(&word))?;
                Ok(CleanPrompt { index: PromptIndex(index), text, split })
            })
            .collect()
    }

    /// The index after the last one that was ever given.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn prompts_end(&self, sprint: &SprintId) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT COALESCE(MAX(idx) + 1, 0) FROM prompts WHERE sprint = $1")
            .bind(sprint.as_str())
            .fetch_one(self.readers())
            .await?)
    }

    /// How many wanted prompts there are by what clean says: (state, reason, count).
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn clean_counts(
        &self,
        sprint: &SprintId,
    ) -> Result<Vec<(Option<CleanState>, Option<String>, i64)>> {
        let rows: Vec<(Option<String>, Option<String>, i64)> = sqlx::query_as(
            "SELECT clean_state, clean_reason, COUNT(*) FROM prompts WHERE sprint = $1 AND current \
             GROUP BY clean_state, clean_reason",
        )
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?;
        rows.into_iter()
            .map(|(state, reason, count)| Ok((typed(state, CleanState::from_word)?, reason, count)))
            .collect()
    }

    /// Writes what clean says of these prompts.
    ///
    /// # Errors
    /// Where the database fails; nothing is changed then.
    pub async fn record_clean(&self, sprint: &SprintId, outcomes: Vec<CleanOutcome>) -> Result<()> {
        let (sprint, outcomes) = (sprint.clone(), Arc::new(outcomes));
        self.write(move |connection| {
            let (sprint, outcomes) = (sprint.clone(), Arc::clone(&outcomes));
            Box::pin(async move {
                for row in outcomes.iter() {
                    let (text, state, reason, of, split) = match &row.outcome {
                        Ok((text, split)) => {
                            (Some(text.as_str()), CleanState::Kept, None, None, Some(split.as_str()))
                        }
                        Err((reason, of)) => {
                            (None, CleanState::Dropped, Some(*reason), of.map(|index| index.0), None)
                        }
                    };
                    sqlx::query(
                        "UPDATE prompts SET clean_text = $3, clean_state = $4, clean_reason = $5, clean_of = $6, \
                         split = $7 WHERE sprint = $1 AND idx = $2",
                    )
                    .bind(sprint.as_str())
                    .bind(row.index.0)
                    .bind(text)
                    .bind(state.as_str())
                    .bind(reason)
                    .bind(of)
                    .bind(split)
                    .execute(&mut *connection)
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }
}
