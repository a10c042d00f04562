//! Pairs: two images of one variant by two models, and what is left of their overlap.

use std::collections::HashMap;
use std::sync::Arc;

use diptych_core::config::Overlap;
use diptych_core::{Evolution, ImageHash, PairId, PromptIndex, Split, SprintId, UnitKey};
use futures::{StreamExt, TryStreamExt};
use sqlx::{AssertSqlSafe, Row};

use crate::{
    Backend, Connection, Millis, Result, Span, Store, StoreError, padded, places, rows_at_once, value_rows,
};

/// A pair that the sprint wants, made of screened images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPair {
    /// The hash of what it depends on.
    pub key: UnitKey,
    /// The id of its published row.
    pub row_id: String,
    /// Its prompt.
    pub prompt_index: PromptIndex,
    /// Its variant's evolution.
    pub evolution: Evolution,
    /// Its category.
    pub category: String,
    /// Its sub-category.
    pub sub_category: String,
    /// Its variant.
    pub variant: UnitKey,
    /// The variant's text.
    pub prompt: String,
    /// `train` or `test`.
    pub split: Split,
    /// The first model's key, its image's unit and bytes.
    pub first: PairSide,
    /// The second model's key, its image's unit and bytes.
    pub second: PairSide,
    /// Width and height on which both images are shown.
    pub canvas: (u32, u32),
    /// Its place among the pairs of its category, drawn by seed.
    pub draw: i64,
}

/// One half of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairSide {
    /// The model's key.
    pub model: String,
    /// The image's unit.
    pub image_key: UnitKey,
    /// The image's bytes.
    pub image: ImageHash,
    /// The opaque name under which the image is shown.
    pub picture: String,
}

/// A pair's row, for results and publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRow {
    /// The id.
    pub id: PairId,
    /// The hash of what it depends on.
    pub key: UnitKey,
    /// The id of its published row.
    pub row_id: String,
    /// Its prompt.
    pub prompt_index: PromptIndex,
    /// Its variant's evolution.
    pub evolution: Evolution,
    /// Its category.
    pub category: String,
    /// Its sub-category.
    pub sub_category: String,
    /// The variant's text.
    pub prompt: String,
    /// `train` or `test`.
    pub split: Split,
    /// The first model's key.
    pub model_1: String,
    /// The second model's key.
    pub model_2: String,
    /// The first image's unit.
    pub image_1_key: UnitKey,
    /// The second image's unit.
    pub image_2_key: UnitKey,
    /// The first image's bytes.
    pub image_1: ImageHash,
    /// The second image's bytes.
    pub image_2: ImageHash,
    /// How many responses it wants, as they are so far.
    pub overlap: i64,
    /// How many of its responses count.
    pub answered: i64,
}

/// Where a shown picture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The image's bytes.
    pub image: ImageHash,
    /// The canvas to show it on: width and height.
    pub canvas: (u32, u32),
    /// Whether its pair may be seen.
    pub current: bool,
}

/// A picture that somebody will be shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shown {
    /// The image's bytes.
    pub image: ImageHash,
    /// The canvas to show it on: width and height.
    pub canvas: (u32, u32),
}

/// How far a sprint is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Progress {
    /// Pairs.
    pub pairs: i64,
    /// Pairs with all the responses that they want.
    pub completed: i64,
    /// Responses that count.
    pub submitted: i64,
    /// Responses that are wanted in all.
    pub wanted: i64,
    /// Tells the set of pairs from any other, as good as always: a sum over what was drawn for each.
    pub mark: i64,
}

/// How long the logs of a sprint were when something was read, or planned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Logs {
    /// Of reviews.
    pub reviews: i64,
    /// Of settings that were changed from a page.
    pub settings: i64,
}

/// What became of setting pairs; nothing is changed unless it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairsSet {
    /// These are the sprint's pairs.
    Done,
    /// Somebody has reviewed something since they were planned.
    Reviewed,
    /// Somebody has changed a setting since.
    SettingsChanged,
}

const COLUMNS: &str = "id, key, row_id, prompt_idx, evolution, category, sub_category, prompt, split, model_1, model_2, \
    image_1_key, image_2_key, image_1, image_2, overlap, answered";

impl Store {
    /// Makes these the pairs of the span's prompts: new ones are added, those that are not among them are
    /// withdrawn with the leases on them, those that come back keep what was answered. Where the
    /// overlap has become smaller than what a pair has, its latest leases are withdrawn and its
    /// latest responses kept as `surplus`, which count again when there is room.
    ///
    /// `planned` is how long the logs were when the pairs were planned. Where one has grown since, nothing is
    /// changed: what somebody has rejected meanwhile, or a new threshold has removed, must not come back.
    ///
    /// # Errors
    /// Where the database fails; nothing is changed then.
    pub async fn set_pairs(
        &self,
        sprint: &SprintId,
        span: Span,
        pairs: Vec<NewPair>,
        overlap: impl Into<Overlap>,
        planned: Logs,
        now: Millis,
    ) -> Result<PairsSet> {
        let (sprint, pairs, backend) = (sprint.clone(), Arc::new(pairs), self.backend());
        let overlap = overlap.into();
        self.write(move |connection| {
            let (sprint, span, pairs) = (sprint.clone(), span.clone(), Arc::clone(&pairs));
            Box::pin(async move {
                let (reviews, settings): (i64, i64) = sqlx::query_as(
                    "SELECT (SELECT COUNT(*) FROM reviews WHERE sprint = $1), \
                     (SELECT COUNT(*) FROM settings WHERE sprint = $1)",
                )
                .bind(sprint.as_str())
                .fetch_one(&mut *connection)
                .await?;
                if settings != planned.settings {
                    return Ok(PairsSet::SettingsChanged);
                }
                if reviews != planned.reviews {
                    return Ok(PairsSet::Reviewed);
                }
                let changes = Changes::between(standing(connection, &sprint, &span).await?, &pairs, overlap);
                insert(connection, &sprint, &changes.new, overlap, now).await?;
                for (id, pair) in &changes.changed {
                    sqlx::query(
                        "UPDATE pairs SET wanted = TRUE, least = $2, most = $3, split = $4, row_id = $5 WHERE id = $1",
                    )
                    .bind(id)
                    .bind(i64::from(overlap.min))
                    .bind(i64::from(overlap.max))
                    .bind(pair.split.as_str())
                    .bind(&pair.row_id)
                    .execute(&mut *connection)
                    .await?;
                }
                for id in &changes.gone {
                    sqlx::query("UPDATE pairs SET wanted = FALSE WHERE id = $1")
                        .bind(id)
                        .execute(&mut *connection)
                        .await?;
                }
                if !changes.changed.is_empty() || !changes.gone.is_empty() {
                    let query = format!(
                        "UPDATE pairs SET current = (wanted AND NOT reported) \
                         WHERE {OF_SPAN} AND current <> (wanted AND NOT reported)"
                    );
                    of_span(&query, &sprint, &span).execute(&mut *connection).await?;
                    // Leases on withdrawn pairs end; then what is left of each overlap follows from the rows.
                    let query = format!(
                        "UPDATE assignments SET state = 'withdrawn', ended_at = $4 WHERE state = 'open' \
                         AND pair IN (SELECT id FROM pairs WHERE {OF_SPAN} AND NOT current)"
                    );
                    of_span(&query, &sprint, &span).bind(now).execute(&mut *connection).await?;
                    fit_overlap(connection, &sprint, &span, now).await?;
                }
                if backend == Backend::Postgres && !changes.new.is_empty() {
                    // Takes begin at once, and without its figures the database goes over all pairs for each.
                    sqlx::query("ANALYZE pairs").execute(connection).await?;
                }
                Ok(PairsSet::Done)
            })
        })
        .await
    }

    /// The pairs of these prompts, in their order.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn pairs(&self, sprint: &SprintId, span: Span) -> Result<Vec<PairRow>> {
        let query = format!(
            "SELECT {COLUMNS} FROM pairs WHERE sprint = $1 AND current AND prompt_idx >= $2 AND prompt_idx < $3 \
             ORDER BY prompt_idx, evolution, model_1, model_2"
        );
        sqlx::query(AssertSqlSafe(query))
            .bind(sprint.as_str())
            .bind(span.start)
            .bind(span.end)
            .fetch(self.readers())
            .map(|row| {
                let row = row?;
                let (evolution, split): (String, String) = (row.try_get("evolution")?, row.try_get("split")?);
                let unknown = |word: &str| StoreError::UnknownWord { table: "pairs", word: word.to_owned() };
                let text = |column: &str| row.try_get::<String, _>(column);
                Ok(PairRow {
                    id: PairId::from_text(text("id")?),
                    key: UnitKey::from_text(text("key")?),
                    row_id: text("row_id")?,
                    prompt_index: PromptIndex(row.try_get("prompt_idx")?),
                    evolution: Evolution::from_word(&evolution).ok_or_else(|| unknown(&evolution))?,
                    category: text("category")?,
                    sub_category: text("sub_category")?,
                    prompt: text("prompt")?,
                    split: Split::from_word(&split).ok_or_else(|| unknown(&split))?,
                    model_1: text("model_1")?,
                    model_2: text("model_2")?,
                    image_1_key: UnitKey::from_text(text("image_1_key")?),
                    image_2_key: UnitKey::from_text(text("image_2_key")?),
                    image_1: ImageHash::from_text(text("image_1")?),
                    image_2: ImageHash::from_text(text("image_2")?),
                    overlap: row.try_get("overlap")?,
                    answered: row.try_get("answered")?,
                })
            })
            .try_collect()
            .await
    }

    /// The keys of the pairs of these prompts that the stages want.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn pair_keys(
        &self,
        sprint: &SprintId,
        span: Span,
    ) -> Result<std::collections::HashSet<String>> {
        sqlx::query_scalar(
            "SELECT key FROM pairs WHERE sprint = $1 AND wanted AND prompt_idx >= $2 AND prompt_idx < $3",
        )
        .bind(sprint.as_str())
        .bind(span.start)
        .bind(span.end)
        .fetch(self.readers())
        .map_err(StoreError::from)
        .try_collect()
        .await
    }

    /// The pictures of so many pairs, those first that are next in line.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn next_pictures(&self, sprint: &SprintId, pairs: i64) -> Result<Vec<Shown>> {
        let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
            "SELECT image_1, image_2, canvas_width, canvas_height FROM pairs \
             WHERE sprint = $1 AND current AND slots > 0 ORDER BY begun DESC, shuffle LIMIT $2",
        )
        .bind(sprint.as_str())
        .bind(pairs)
        .fetch_all(self.readers())
        .await?;
        let shown = |(first, second, width, height)| {
            let canvas = (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0));
            [first, second].map(|image: String| Shown { image: ImageHash::from_text(image), canvas })
        };
        Ok(rows.into_iter().flat_map(shown).collect())
    }

    /// Where the picture with this opaque name comes from.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn picture(&self, name: &str) -> Result<Option<Picture>> {
        // sqlx's common driver reads no booleans from SQLite, so this one comes as a number.
        let row: Option<(String, i64, i64, i64)> = sqlx::query_as(
            "SELECT image_1, canvas_width, canvas_height, CASE WHEN current THEN 1 ELSE 0 END FROM pairs \
             WHERE picture_1 = $1 UNION ALL \
             SELECT image_2, canvas_width, canvas_height, CASE WHEN current THEN 1 ELSE 0 END FROM pairs \
             WHERE picture_2 = $1 UNION ALL \
             SELECT checks.image_1, canvas_width, canvas_height, CASE WHEN current THEN 1 ELSE 0 END FROM checks \
             JOIN pairs ON pairs.id = checks.pair WHERE checks.picture_1 = $1 UNION ALL \
             SELECT checks.image_2, canvas_width, canvas_height, CASE WHEN current THEN 1 ELSE 0 END FROM checks \
             JOIN pairs ON pairs.id = checks.other WHERE checks.picture_2 = $1",
        )
        .bind(name)
        .fetch_optional(self.lookups())
        .await?;
        Ok(row.map(|(image, width, height, current)| Picture {
            image: ImageHash::from_text(image),
            canvas: (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0)),
            current: current == 1,
        }))
    }

    /// How far the sprint is.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn progress(&self, sprint: &SprintId) -> Result<Progress> {
        Ok(sqlx::query_as(
            "SELECT COUNT(*) AS pairs, \
             CAST(COALESCE(SUM(CASE WHEN answered >= overlap THEN 1 ELSE 0 END), 0) AS BIGINT) AS completed, \
             CAST(COALESCE(SUM(answered), 0) AS BIGINT) AS submitted, \
             CAST(COALESCE(SUM(overlap), 0) AS BIGINT) AS wanted, \
             CAST(COALESCE(SUM(draw % 1000003 + 1), 0) AS BIGINT) AS mark FROM pairs WHERE sprint = $1 AND current",
        )
        .bind(sprint.as_str())
        .fetch_one(self.readers())
        .await?)
    }
}

/// A pair as it stands in the database, as far as `set_pairs` may change it.
#[derive(sqlx::FromRow)]
struct StandingPair {
    id: String,
    key: String,
    /// 1 where the stages want it.
    wanted: i64,
    least: i64,
    most: i64,
    split: String,
    row_id: String,
}

/// The pairs of a span of prompts, in a statement whose first three values [`of_span`] binds.
const OF_SPAN: &str = "pairs.sprint = $1 AND pairs.prompt_idx >= $2 AND pairs.prompt_idx < $3";

fn of_span<'q>(
    query: &'q str,
    sprint: &'q SprintId,
    span: &Span,
) -> sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments> {
    sqlx::query(AssertSqlSafe(query)).bind(sprint.as_str()).bind(span.start).bind(span.end)
}

async fn standing(connection: &mut Connection, sprint: &SprintId, span: &Span) -> Result<Vec<StandingPair>> {
    let query = format!(
        "SELECT id, key, CAST(CASE WHEN wanted THEN 1 ELSE 0 END AS BIGINT) AS wanted, least, most, split, row_id \
         FROM pairs WHERE {OF_SPAN}"
    );
    Ok(sqlx::query_as(AssertSqlSafe(query))
        .bind(sprint.as_str())
        .bind(span.start)
        .bind(span.end)
        .fetch_all(connection)
        .await?)
}

/// What has to be done so that what stands becomes what is wanted.
struct Changes<'p> {
    new: Vec<&'p NewPair>,
    changed: Vec<(String, &'p NewPair)>,
    gone: Vec<String>,
}

impl<'p> Changes<'p> {
    fn between(standing: Vec<StandingPair>, wanted: &'p [NewPair], overlap: Overlap) -> Self {
        let mut standing: HashMap<String, StandingPair> =
            standing.into_iter().map(|pair| (pair.key.clone(), pair)).collect();
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for pair in wanted {
            match standing.remove(pair.key.as_str()) {
                None => new.push(pair),
                Some(known)
                    if known.wanted == 0
                        || (known.least, known.most) != (i64::from(overlap.min), i64::from(overlap.max))
                        || known.split != pair.split.as_str()
                        || known.row_id != pair.row_id =>
                {
                    changed.push((known.id, pair));
                }
                Some(_) => {}
            }
        }
        let gone = standing.into_values().filter(|pair| pair.wanted == 1).map(|pair| pair.id).collect();
        Self { new, changed, gone }
    }
}

async fn insert(
    connection: &mut Connection,
    sprint: &SprintId,
    pairs: &[&NewPair],
    overlap: Overlap,
    now: Millis,
) -> Result<()> {
    for rows in pairs.chunks(rows_at_once(30)) {
        let query = format!(
            "INSERT INTO pairs (id, sprint, key, row_id, prompt_idx, evolution, category, sub_category, \
             variant_key, prompt, split, model_1, model_2, image_1_key, image_2_key, image_1, image_2, \
             picture_1, picture_2, canvas_width, canvas_height, current, wanted, overlap, least, most, \
             draw, shuffle, slots, created_at) VALUES {}",
            value_rows(rows.len(), 30)
        );
        let mut query = sqlx::query(AssertSqlSafe(query));
        for pair in rows {
            query = query
                .bind(PairId::new().as_str().to_owned())
                .bind(sprint.as_str())
                .bind(pair.key.as_str())
                .bind(&pair.row_id)
                .bind(pair.prompt_index.0)
                .bind(pair.evolution.as_str())
                .bind(&pair.category)
                .bind(&pair.sub_category)
                .bind(pair.variant.as_str())
                .bind(&pair.prompt)
                .bind(pair.split.as_str())
                .bind(&pair.first.model)
                .bind(&pair.second.model)
                .bind(pair.first.image_key.as_str())
                .bind(pair.second.image_key.as_str())
                .bind(pair.first.image.as_str())
                .bind(pair.second.image.as_str())
                .bind(&pair.first.picture)
                .bind(&pair.second.picture)
                .bind(i64::from(pair.canvas.0))
                .bind(i64::from(pair.canvas.1))
                .bind(true)
                .bind(true)
                .bind(i64::from(overlap.min))
                .bind(i64::from(overlap.min))
                .bind(i64::from(overlap.max))
                .bind(pair.draw)
                // Until the line is put in order.
                .bind(pair.draw)
                .bind(i64::from(overlap.min))
                .bind(now);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Shows a pair where the stages want it and no report withholds it, and takes it from everybody where not.
pub(crate) async fn show_as_wanted(connection: &mut Connection, pair: &str, now: Millis) -> Result<()> {
    sqlx::query("UPDATE pairs SET current = (wanted AND NOT reported) WHERE id = $1")
        .bind(pair)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE assignments SET state = 'withdrawn', ended_at = $2 WHERE pair = $1 AND state = 'open' \
         AND pair IN (SELECT id FROM pairs WHERE id = $1 AND NOT current)",
    )
    .bind(pair)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE pairs SET held = (SELECT COUNT(*) FROM assignments WHERE pair = pairs.id AND state = 'open'), \
         slots = overlap - answered - (SELECT COUNT(*) FROM assignments WHERE pair = pairs.id AND state = 'open'), \
         begun = CASE WHEN answered > 0 OR EXISTS (SELECT 1 FROM assignments WHERE pair = pairs.id AND state = 'open') \
         THEN 1 ELSE 0 END WHERE id = $1",
    )
    .bind(pair)
    .execute(&mut *connection)
    .await?;
    follow_answers(connection, &[pair]).await
}

/// The overlap that follows from a pair's responses, as [`Overlap::wanted`] says: one more than there are where no
/// answer has over half of them.
const WANTED: &str = "CASE WHEN answered < least THEN least \
    WHEN answered >= most OR 2 * COALESCE((SELECT COUNT(*) FROM responses WHERE pair = pairs.id \
     AND state = 'submitted' GROUP BY answer ORDER BY COUNT(*) DESC LIMIT 1), 0) > answered THEN answered \
    ELSE answered + 1 END";

/// Lets the overlap of these pairs follow from what was answered, where it is not the same for all: never below
/// what there is of responses and holds.
pub(crate) async fn follow_answers(connection: &mut Connection, pairs: &[&str]) -> Result<()> {
    for some in pairs.chunks(256) {
        let these = places(1, some.len());
        for change in [
            format!("overlap = CASE WHEN {WANTED} > answered + held THEN {WANTED} ELSE answered + held END"),
            "slots = overlap - answered - held".to_owned(),
        ] {
            let query = format!("UPDATE pairs SET {change} WHERE least < most AND id IN ({these})");
            let mut query = sqlx::query(AssertSqlSafe(query));
            for pair in padded(some) {
                query = query.bind(pair);
            }
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Counts anew what stands on these pairs, of which answers have gone: an answer that was beyond the overlap counts
/// in place of one that is gone, and others are asked for the rest.
pub(crate) async fn recount(connection: &mut Connection, pairs: &[&str]) -> Result<()> {
    for pair in pairs {
        let (overlap, counts): (i64, i64) = sqlx::query_as(
            "SELECT CASE WHEN least < most THEN most ELSE overlap END, \
             (SELECT COUNT(*) FROM responses WHERE pair = pairs.id AND state = 'submitted') + held FROM pairs WHERE id = $1",
        )
        .bind(*pair)
        .fetch_one(&mut *connection)
        .await?;
        sqlx::query(
            "UPDATE responses SET state = 'submitted' WHERE id IN (SELECT id FROM responses WHERE pair = $1 \
             AND state = 'surplus' ORDER BY created_at, id LIMIT $2)",
        )
        .bind(*pair)
        .bind((overlap - counts).max(0))
        .execute(&mut *connection)
        .await?;
        for change in [
            "UPDATE pairs SET answered = (SELECT COUNT(*) FROM responses WHERE pair = pairs.id AND state = 'submitted') \
             WHERE id = $1",
            "UPDATE pairs SET slots = overlap - answered - held, \
             begun = CASE WHEN answered + held > 0 THEN 1 ELSE 0 END WHERE id = $1",
        ] {
            sqlx::query(change).bind(*pair).execute(&mut *connection).await?;
        }
    }
    follow_answers(connection, pairs).await
}

/// Makes what stands on each pair fit its overlap, earliest first, and counts it anew: responses that
/// count, then the leases for which those leave room.
async fn fit_overlap(connection: &mut Connection, sprint: &SprintId, span: &Span, now: Millis) -> Result<()> {
    // What was asked for counts, up to the most.
    let query = format!("UPDATE pairs SET overlap = most WHERE {OF_SPAN}");
    of_span(&query, sprint, span).execute(&mut *connection).await?;
    for (from, to, beyond) in [("submitted", "surplus", ">"), ("surplus", "submitted", "<=")] {
        let query = format!(
            "UPDATE responses SET state = '{to}' WHERE state = '{from}' AND id IN \
             (SELECT placed.id FROM (SELECT responses.id, pairs.overlap, ROW_NUMBER() OVER \
              (PARTITION BY responses.pair ORDER BY responses.created_at, responses.id) AS place \
              FROM pairs JOIN responses ON responses.pair = pairs.id \
              WHERE {OF_SPAN} AND responses.state IN ('submitted', 'surplus')) AS placed \
             WHERE placed.place {beyond} placed.overlap)"
        );
        of_span(&query, sprint, span).execute(&mut *connection).await?;
    }
    let query = format!(
        "UPDATE pairs SET answered = (SELECT COUNT(*) FROM responses WHERE pair = pairs.id AND state = 'submitted') \
         WHERE {OF_SPAN}"
    );
    of_span(&query, sprint, span).execute(&mut *connection).await?;
    let query = format!("UPDATE pairs SET overlap = {WANTED} WHERE {OF_SPAN} AND least < most");
    of_span(&query, sprint, span).execute(&mut *connection).await?;
    let query = format!(
        "UPDATE assignments SET state = 'withdrawn', ended_at = $4 WHERE state = 'open' AND id IN \
         (SELECT placed.id FROM (SELECT assignments.id, pairs.overlap - pairs.answered AS room, ROW_NUMBER() OVER \
          (PARTITION BY assignments.pair ORDER BY assignments.created_at, assignments.id) AS place \
          FROM pairs JOIN assignments ON assignments.pair = pairs.id \
          WHERE {OF_SPAN} AND assignments.state = 'open') AS placed WHERE placed.place > placed.room)"
    );
    of_span(&query, sprint, span).bind(now).execute(&mut *connection).await?;
    for counted in [
        "held = (SELECT COUNT(*) FROM assignments WHERE pair = pairs.id AND state = 'open')",
        "slots = overlap - answered - held, begun = CASE WHEN answered + held > 0 THEN 1 ELSE 0 END",
    ] {
        let query = format!("UPDATE pairs SET {counted} WHERE {OF_SPAN}");
        of_span(&query, sprint, span).execute(&mut *connection).await?;
    }
    Ok(())
}
