//! Images: one picture of a variant by one model, with everything that made it.

use std::collections::{BTreeSet, HashSet};

use diptych_core::{Evolution, ImageHash, PromptIndex, SprintId, UnitKey};
use futures::{StreamExt, TryStreamExt};
use sqlx::{AssertSqlSafe, Row};

use crate::variants::UnitState;
use crate::{Millis, Result, Span, Store, StoreError, padded, places, rows_at_once};

/// An image's row.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRow {
    /// The hash of what it depends on.
    pub key: UnitKey,
    /// Its variant.
    pub variant: UnitKey,
    /// Its prompt.
    pub prompt_index: PromptIndex,
    /// Its variant's evolution.
    pub evolution: Evolution,
    /// The model's key.
    pub model: String,
    /// How its making ended.
    pub state: UnitState,
    /// Why it was dropped or failed; empty where it is done.
    pub reason: String,
    /// The name of its bytes; empty unless it is done.
    pub hash: ImageHash,
    /// How its files end: `jpg`, `png`, …
    pub format: String,
    /// In pixels.
    pub width: i64,
    /// In pixels.
    pub height: i64,
    /// In bytes.
    pub size: i64,
    /// Who made it.
    pub provider: String,
    /// The model's full name.
    pub model_name: String,
    /// Its revision, where the provider says so.
    pub revision: Option<String>,
    /// The text as sent.
    pub prompt: String,
    /// The seed, as text: it has 64 bits, and the tables' integers a sign.
    pub seed: String,
    /// Sampling steps.
    pub steps: Option<i64>,
    /// Guidance.
    pub guidance: Option<f64>,
    /// The provider's name for the call.
    pub request_id: Option<String>,
    /// What it cost, in the unit of the configured prices.
    pub cost: f64,
    /// When it was made.
    pub created_at: Millis,
}

/// What the stages ask of an image again and again; the rest of its row is provenance.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageBrief {
    /// The hash of what it depends on.
    pub key: UnitKey,
    /// Its variant.
    pub variant: UnitKey,
    /// Its prompt.
    pub prompt_index: PromptIndex,
    /// The model's key.
    pub model: String,
    /// How its making ended.
    pub state: UnitState,
    /// Why it was dropped or failed; empty where it is done.
    pub reason: String,
    /// The name of its bytes; empty unless it is done.
    pub hash: ImageHash,
    /// How its files end: `jpg`, `png`, …
    pub format: String,
    /// In pixels.
    pub width: i64,
    /// In pixels.
    pub height: i64,
}

fn unknown_word(word: &str) -> StoreError {
    StoreError::UnknownWord { table: "images", word: word.to_owned() }
}

const COLUMNS: &str = "key, variant_key, prompt_idx, evolution, model, state, reason, hash, format, width, height, \
    size, provider, model_name, revision, prompt, seed, steps, guidance, request_id, cost, created_at";

impl Store {
    /// All images of these prompts in brief, those of other parameters included.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn image_briefs(&self, sprint: &SprintId, span: Span) -> Result<Vec<ImageBrief>> {
        type Brief = (String, String, i64, String, String, String, String, String, i64, i64);
        let rows = sqlx::query_as::<_, Brief>(
            "SELECT key, variant_key, prompt_idx, model, state, reason, hash, format, width, height \
             FROM images WHERE sprint = $1 AND prompt_idx >= $2 AND prompt_idx < $3",
        );
        let mut rows = rows.bind(sprint.as_str()).bind(span.start).bind(span.end).fetch(self.readers());
        let mut found = Vec::new();
        while let Some((key, variant, prompt, model, state, reason, hash, format, width, height)) =
            rows.try_next().await?
        {
            found.push(ImageBrief {
                key: UnitKey::from_text(key),
                variant: UnitKey::from_text(variant),
                prompt_index: PromptIndex(prompt),
                model,
                state: UnitState::from_word(&state).ok_or_else(|| unknown_word(&state))?,
                reason,
                hash: ImageHash::from_text(hash),
                format,
                width,
                height,
            });
        }
        Ok(found)
    }

    /// All images of these prompts, those of other parameters included.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn images(&self, sprint: &SprintId, span: Span) -> Result<Vec<ImageRow>> {
        let query = format!(
            "SELECT {COLUMNS} FROM images WHERE sprint = $1 AND prompt_idx >= $2 AND prompt_idx < $3"
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
                Ok(ImageRow {
                    key: UnitKey::from_text(row.try_get::<String, _>("key")?),
                    variant: UnitKey::from_text(row.try_get::<String, _>("variant_key")?),
                    prompt_index: PromptIndex(row.try_get("prompt_idx")?),
                    evolution: Evolution::from_word(&evolution).ok_or_else(|| unknown_word(&evolution))?,
                    model: row.try_get("model")?,
                    state: UnitState::from_word(&state).ok_or_else(|| unknown_word(&state))?,
                    reason: row.try_get("reason")?,
                    hash: ImageHash::from_text(row.try_get::<String, _>("hash")?),
                    format: row.try_get("format")?,
                    width: row.try_get("width")?,
                    height: row.try_get("height")?,
                    size: row.try_get("size")?,
                    provider: row.try_get("provider")?,
                    model_name: row.try_get("model_name")?,
                    revision: row.try_get("revision")?,
                    prompt: row.try_get("prompt")?,
                    seed: row.try_get("seed")?,
                    steps: row.try_get("steps")?,
                    guidance: row.try_get("guidance")?,
                    request_id: row.try_get("request_id")?,
                    cost: row.try_get("cost")?,
                    created_at: row.try_get("created_at")?,
                })
            })
            .try_collect()
            .await
    }

    /// The prompts that these images, by the hashes of their bytes, were made of.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn prompts_of_images(&self, sprint: &SprintId, hashes: &[String]) -> Result<BTreeSet<i64>> {
        let mut found = BTreeSet::new();
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        for hashes in hashes.chunks(rows_at_once(1)) {
            let query = format!(
                "SELECT DISTINCT prompt_idx FROM images WHERE sprint = $1 AND hash IN ({})",
                places(2, hashes.len())
            );
            let mut query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(query)).bind(sprint.as_str());
            for hash in padded(hashes) {
                query = query.bind(hash);
            }
            found.extend(query.fetch_all(self.readers()).await?);
        }
        Ok(found)
    }

    /// Keeps an image's row; its bytes must be in the blob store already. One that is there already
    /// stays, unless it had failed.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn record_image(&self, sprint: &SprintId, image: ImageRow) -> Result<()> {
        let sprint = sprint.clone();
        self.write(move |connection| {
            let (sprint, image) = (sprint.clone(), image.clone());
            Box::pin(async move {
                let query = format!(
                    "INSERT INTO images (sprint, {COLUMNS}) VALUES {} ON CONFLICT (sprint, key) DO UPDATE SET \
                     state = excluded.state, reason = excluded.reason, hash = excluded.hash, \
                     format = excluded.format, width = excluded.width, height = excluded.height, \
                     size = excluded.size, provider = excluded.provider, revision = excluded.revision, \
                     request_id = excluded.request_id, cost = images.cost + excluded.cost, \
                     created_at = excluded.created_at WHERE images.state = 'failed'",
                    crate::value_rows(1, 23)
                );
                sqlx::query(AssertSqlSafe(query))
                    .bind(sprint.as_str())
                    .bind(image.key.as_str())
                    .bind(image.variant.as_str())
                    .bind(image.prompt_index.0)
                    .bind(image.evolution.as_str())
                    .bind(image.model)
                    .bind(image.state.as_str())
                    .bind(image.reason)
                    .bind(image.hash.as_str())
                    .bind(image.format)
                    .bind(image.width)
                    .bind(image.height)
                    .bind(image.size)
                    .bind(image.provider)
                    .bind(image.model_name)
                    .bind(image.revision)
                    .bind(image.prompt)
                    .bind(image.seed)
                    .bind(image.steps)
                    .bind(image.guidance)
                    .bind(image.request_id)
                    .bind(image.cost)
                    .bind(image.created_at)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Those of these hashes that no image of the sprint has.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn unknown_images(&self, sprint: &SprintId, hashes: &[String]) -> Result<Vec<String>> {
        let mut known = HashSet::new();
        let sought: Vec<&str> = hashes.iter().map(String::as_str).collect();
        for some in sought.chunks(256) {
            let query = format!(
                "SELECT DISTINCT hash FROM images WHERE sprint = $1 AND hash IN ({})",
                places(2, some.len())
            );
            let mut query = sqlx::query_scalar(AssertSqlSafe(query)).bind(sprint.as_str());
            for hash in padded(some) {
                query = query.bind(hash);
            }
            known.extend(query.fetch_all(self.readers()).await? as Vec<String>);
        }
        Ok(hashes.iter().filter(|hash| !known.contains(*hash)).cloned().collect())
    }

    /// Whether the sprint has an image with this hash.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_image(&self, sprint: &SprintId, hash: &str) -> Result<bool> {
        let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM images WHERE sprint = $1 AND hash = $2")
            .bind(sprint.as_str())
            .bind(hash)
            .fetch_one(self.readers())
            .await?;
        Ok(found > 0)
    }
}
