//! Variants: the texts that are sent to the image models.

use std::sync::Arc;

use diptych_core::{Evolution, PromptIndex, SprintId, UnitKey};
use futures::{StreamExt, TryStreamExt};
use sqlx::{AssertSqlSafe, Row};

use crate::{Millis, Result, Span, Store, StoreError, rows_at_once, value_rows};

/// How a unit that calls an engine has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitState {
    /// It has its outcome.
    Done,
    /// The engine refused it for good; the reason stands beside.
    Dropped,
    /// What came back was of no use; `--retry-failed` tries again.
    Failed,
}

impl UnitState {
    /// The word in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            UnitState::Done => "done",
            UnitState::Dropped => "dropped",
            UnitState::Failed => "failed",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "done" => Some(UnitState::Done),
            "dropped" => Some(UnitState::Dropped),
            "failed" => Some(UnitState::Failed),
            _ => None,
        }
    }
}

/// A variant's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantRow {
    /// The hash of what it depends on.
    pub key: UnitKey,
    /// Its prompt.
    pub prompt: PromptIndex,
    /// How it was rewritten.
    pub evolution: Evolution,
    /// Its category.
    pub category: String,
    /// Its sub-category.
    pub sub_category: String,
    /// How its making ended.
    pub state: UnitState,
    /// Why it was dropped or failed; empty where it is done.
    pub reason: String,
    /// The style prompt that it was made from.
    pub style_prompt: String,
    /// The text as it is sent to the image models.
    pub text: String,
    /// What wrote it: `rules`, or the chat model's name.
    pub engine: String,
}

const COLUMNS: &str =
    "key, prompt_idx, evolution, category, sub_category, state, reason, style_prompt, text, engine";

impl Store {
    /// All variants of these prompts, those of other parameters included.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn variants(&self, sprint: &SprintId, span: Span) -> Result<Vec<VariantRow>> {
        let query = format!(
            "SELECT {COLUMNS} FROM variants WHERE sprint = $1 AND prompt_idx >= $2 AND prompt_idx < $3"
        );
        sqlx::query(AssertSqlSafe(query))
            .bind(sprint.as_str())
            .bind(span.start)
            .bind(span.end)
            .fetch(self.readers())
            .map(|row| {
                let row = row?;
                let evolution: String = row.try_get("evolution")?;
                let state: String = row.try_get("state")?;
                let unknown =
                    |word: &str| StoreError::UnknownWord { table: "variants", word: word.to_owned() };
                Ok(VariantRow {
                    key: UnitKey::from_text(row.try_get::<String, _>("key")?),
                    prompt: PromptIndex(row.try_get("prompt_idx")?),
                    evolution: Evolution::from_word(&evolution).ok_or_else(|| unknown(&evolution))?,
                    category: row.try_get("category")?,
                    sub_category: row.try_get("sub_category")?,
                    state: UnitState::from_word(&state).ok_or_else(|| unknown(&state))?,
                    reason: row.try_get("reason")?,
                    style_prompt: row.try_get("style_prompt")?,
                    text: row.try_get("text")?,
                    engine: row.try_get("engine")?,
                })
            })
            .try_collect()
            .await
    }

    /// Keeps variants; one that is there already (its key says that it is the same) stays, unless it
    /// had failed.
    ///
    /// # Errors
    /// Where the database fails; none is kept then.
    pub async fn record_variants(
        &self,
        sprint: &SprintId,
        variants: Vec<VariantRow>,
        now: Millis,
    ) -> Result<()> {
        let (sprint, variants) = (sprint.clone(), Arc::new(variants));
        self.write(move |connection| {
            let (sprint, variants) = (sprint.clone(), Arc::clone(&variants));
            Box::pin(async move {
                for rows in variants.chunks(rows_at_once(12)) {
                    let query = format!(
                        "INSERT INTO variants (sprint, {COLUMNS}, created_at) VALUES {} \
                         ON CONFLICT (sprint, key) DO UPDATE SET state = excluded.state, reason = excluded.reason, \
                         style_prompt = excluded.style_prompt, text = excluded.text, engine = excluded.engine, \
                         created_at = excluded.created_at WHERE variants.state = 'failed'",
                        value_rows(rows.len(), 12)
                    );
                    let mut query = sqlx::query(AssertSqlSafe(query));
                    for row in rows {
                        query = query
                            .bind(sprint.as_str())
                            .bind(row.key.as_str())
                            .bind(row.prompt.0)
                            .bind(row.evolution.as_str())
                            .bind(&row.category)
                            .bind(&row.sub_category)
                            .bind(row.state.as_str())
                            .bind(&row.reason)
                            .bind(&row.style_prompt)
                            .bind(&row.text)
                            .bind(&row.engine)
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
