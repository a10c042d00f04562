//! Publish: the datasets of a sprint, as other people's tools read them; and the same tables for `sql`.
//!
//! Rows are read from the store a span of prompts at a time, image bytes one by one from the blob store
//! on their way into the files, so memory does not grow with the sprint. Only pairs that may be shown today are
//! written.

mod card;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use diptych_core::{Evolution, ImageHash, PairId, ResponseState, Split, UnitKey};
use diptych_store::pairs::PairRow;
use diptych_store::publications::Publication;
use diptych_store::responses::ResponseRow;
use diptych_store::{EVERY_PROMPT, Span};
use diptych_tables::card::Card;
use diptych_tables::cells::{Image, Row};
use diptych_tables::dataset::DatasetWriter;
use diptych_tables::rows::{self, Preferences};
use diptych_tables::{TableError, sql};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use self::card::card;
use crate::results::{self, Chosen};
use crate::safety::Safety;
use crate::{Ctx, Flow, Result, StageError, flow};

/// So many images are read ahead of the writer.
const AHEAD: usize = 16;

/// A dataset that can be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dataset {
    /// One row a prompt, with all its images.
    Preferences,
    /// One row a pair, with its responses.
    Results,
    /// One row a decided pair.
    Binarized,
}

impl Dataset {
    /// All of them.
    pub const ALL: [Dataset; 3] = [Dataset::Preferences, Dataset::Results, Dataset::Binarized];

    /// Its name on the command line and as a folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Dataset::Preferences => "preferences",
            Dataset::Results => "results",
            Dataset::Binarized => "binarized",
        }
    }

    /// The one with this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dataset| dataset.as_str() == word)
    }
}

/// What was written of one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Which.
    pub dataset: Dataset,
    /// Its rows.
    pub rows: u64,
    /// Its Parquet files.
    pub shards: usize,
}

/// Everything about a span of a sprint's prompts that its tables say, but for image bytes.
struct Material {
    pairs: Vec<PairRow>,
    responses: HashMap<PairId, Vec<ResponseRow>>,
    /// The format of each image, by its unit.
    formats: HashMap<UnitKey, String>,
    /// The style prompt of each variant, by prompt and evolution.
    style_prompts: HashMap<(i64, Evolution), String>,
    prompts: HashMap<i64, String>,
}

impl Material {
    async fn load(ctx: &Ctx, span: Span) -> Result<Self> {
        let flow = Flow::load_span(ctx, span.clone()).await?;
        // What screening has withheld since the pairs were made is not published.
        let allowed: HashSet<UnitKey> = flow.pairs.into_iter().map(|pair| pair.key).collect();
        let formats = flow
            .images
            .iter()
            .filter_map(|unit| unit.row.as_ref())
            .map(|row| (row.key.clone(), row.format.clone()))
            .collect();
        drop(flow.images);
        let style_prompts = flow
            .variants
            .into_iter()
            .filter_map(|unit| unit.row)
            .map(|row| ((row.prompt.0, row.evolution), row.style_prompt))
            .collect();
        let mut pairs = ctx.store.pairs(&ctx.sprint, span.clone()).await?;
        pairs.retain(|pair| allowed.contains(&pair.key));
        drop(allowed);
        let prompts = ctx.store.clean_prompts(&ctx.sprint, span.clone()).await?;
        Ok(Self {
            pairs,
            responses: ctx.store.responses(&ctx.sprint, span).await?,
            formats,
            style_prompts,
            prompts: prompts.into_iter().map(|prompt| (prompt.index.0, prompt.text)).collect(),
        })
    }

    fn responses(&self, pair: &PairRow) -> &[ResponseRow] {
        self.responses.get(&pair.id).map(Vec::as_slice).unwrap_or_default()
    }

    /// `{hash}.{ext}`.
    fn file_name(&self, key: &UnitKey, hash: &ImageHash) -> String {
        let extension = self.formats.get(key).map_or("bin", String::as_str);
        format!("{hash}.{extension}")
    }

    fn result(&self, pair: &PairRow) -> rows::ResultRow {
        let given = self.responses(pair).iter().filter(|response| response.counts());
        rows::ResultRow {
            id: pair.row_id.clone(),
            completed: pair.answered >= pair.overlap,
            server_id: pair.id.to_string(),
            image_1: format!("images/{}", self.file_name(&pair.image_1_key, &pair.image_1)),
            image_2: format!("images/{}", self.file_name(&pair.image_2_key, &pair.image_2)),
            prompt: pair.prompt.clone(),
            model_1: pair.model_1.clone(),
            model_2: pair.model_2.clone(),
            evolution: pair.evolution.to_string(),
            category: stated(&pair.category),
            sub_category: stated(&pair.sub_category),
            responses: given
                .map(|response| rows::ResultResponse {
                    answer: response.answer.to_string(),
                    user: response.pseudonym.clone(),
                    status: ResponseState::Submitted.to_string(),
                })
                .collect(),
        }
    }

    /// The pairs by prompt, in the order of prompts.
    fn by_prompt(&self) -> BTreeMap<i64, Vec<&PairRow>> {
        let mut prompts: BTreeMap<i64, Vec<&PairRow>> = BTreeMap::new();
        for pair in &self.pairs {
            prompts.entry(pair.prompt_index.0).or_default().push(pair);
        }
        prompts
    }

    /// A prompt's row; `bytes` gives the bytes of an image, or none where only its name is wanted.
    fn preference(
        &self,
        index: i64,
        pairs: &[&PairRow],
        bytes: &dyn Fn(&ImageHash) -> Option<Bytes>,
    ) -> rows::PreferenceRow {
        let mut row = rows::PreferenceRow {
            prompt: self.prompts.get(&index).cloned().unwrap_or_default(),
            category: pairs.first().and_then(|pair| stated(&pair.category)),
            subcategory: pairs.first().and_then(|pair| stated(&pair.sub_category)),
            ..Default::default()
        };
        for pair in pairs {
            let evolution = pair.evolution.to_string();
            if let Some(style_prompt) = self.style_prompts.get(&(index, pair.evolution)) {
                row.style_prompt = Some(style_prompt.clone());
            }
            row.variants.insert(evolution.clone(), pair.prompt.clone());
            for (model, key, hash) in [
                (&pair.model_1, &pair.image_1_key, &pair.image_1),
                (&pair.model_2, &pair.image_2_key, &pair.image_2),
            ] {
                let image = Image { bytes: bytes(hash), path: Some(self.file_name(key, hash)) };
                row.images.insert((evolution.clone(), model.clone()), image);
            }
        }
        row
    }

    /// The pairs of which the answers choose one image.
    fn decided(&self) -> impl Iterator<Item = &PairRow> {
        self.pairs.iter().filter(|pair| results::majority(&results::tally(self.responses(pair))).is_some())
    }

    /// A decided pair's row.
    fn binarized(
        &self,
        ctx: &Ctx,
        pair: &PairRow,
        bytes: &dyn Fn(&ImageHash) -> Option<Bytes>,
    ) -> Option<rows::BinarizedRow> {
        let chosen = results::majority(&results::tally(self.responses(pair)))?;
        let side = |first: bool| {
            let (model, key, hash) = if first {
                (&pair.model_1, &pair.image_1_key, &pair.image_1)
            } else {
                (&pair.model_2, &pair.image_2_key, &pair.image_2)
            };
            let name = ctx.config.model(model).map_or_else(|| model.clone(), |model| model.name.clone());
            (Image { bytes: bytes(hash), path: Some(self.file_name(key, hash)) }, name)
        };
        let first = chosen == Chosen::Image1;
        let ((chosen, chosen_model), (rejected, rejected_model)) = (side(first), side(!first));
        Some(rows::BinarizedRow {
            id: pair.row_id.clone(),
            prompt: pair.prompt.clone(),
            chosen,
            rejected,
            chosen_model,
            rejected_model,
            evolution: pair.evolution.to_string(),
            category: stated(&pair.category),
            sub_category: stated(&pair.sub_category),
        })
    }
}

/// The columns of `preferences`: one a variant, one an image of each model.
fn columns(ctx: &Ctx) -> Result<Preferences> {
    let evolutions: Vec<String> = ctx.config.enhance.evolutions.iter().map(ToString::to_string).collect();
    let models: Vec<String> = ctx.config.models.iter().map(|model| model.key.clone()).collect();
    Preferences::new(&evolutions, &models).map_err(dataset_error)
}

fn dataset_error(error: TableError) -> StageError {
    StageError::Dataset(Box::new(error))
}

/// A category, where there is one.
fn stated(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What is on its way into the files.
enum Piece {
    Row(Split, Row),
    File(String, Bytes),
    /// All of it was sent. Without this the writer leaves nothing behind.
    End(Box<Card>),
}

/// What a dataset's card and the record of its publication say of all its rows.
#[derive(Default)]
struct Totals {
    prompts: u64,
    pairs: u64,
    responses: u64,
    simulated: u64,
    people: HashSet<String>,
    /// The ids of the pairs that stand in the dataset.
    rows: Vec<String>,
}

impl Totals {
    fn add(&mut self, material: &Material, dataset: Dataset) {
        self.prompts += material.by_prompt().len() as u64;
        self.pairs += material.pairs.len() as u64;
        let responses = material.pairs.iter().flat_map(|pair| material.responses(pair));
        let counting = responses.filter(|response| response.counts());
        for response in counting.clone() {
            self.responses += 1;
            if !self.people.contains(&response.pseudonym) {
                self.people.insert(response.pseudonym.clone());
            }
        }
        self.simulated += results::simulated(counting);
        let ids = |pair: &PairRow| pair.row_id.clone();
        match dataset {
            Dataset::Binarized => self.rows.extend(material.decided().map(ids)),
            _ => self.rows.extend(material.pairs.iter().map(ids)),
        }
    }
}

/// Writes these datasets into `folder`, each into a folder with its name.
///
/// # Errors
/// Where there is nothing to publish, an image cannot be read, or the disk refuses.
pub async fn to_folder(ctx: &Ctx, folder: &Path, datasets: &[Dataset]) -> Result<Vec<Published>> {
    let safety = crate::safety::report(ctx).await?;
    let mut published = Vec::new();
    for dataset in datasets {
        let (written, totals) = write(ctx, &safety, folder, *dataset).await?;
        if totals.pairs == 0 {
            let made = ctx.store.pair_keys(&ctx.sprint, EVERY_PROMPT).await?.len();
            return Err(StageError::Nothing(match made {
                0 => "there are no pairs to publish: run `diptych run` first".to_owned(),
                _ => format!(
                    "none of the {made} pairs may be shown now, so there is nothing to publish: `diptych report \
                     --safety` says what withholds them"
                ),
            }));
        }
        if written.rows > 0 {
            let destination =
                std::path::absolute(folder.join(dataset.as_str())).unwrap_or_else(|_| folder.into());
            let publication = Publication {
                destination: destination.display().to_string(),
                dataset: dataset.as_str().to_owned(),
                rows: serde_json::to_string(&totals.rows).unwrap_or_default(),
                published_at: crate::ctx::now(),
            };
            ctx.store.record_publication(&ctx.sprint, publication).await?;
        }
        published.push(written);
        if ctx.stop.is_cancelled() {
            return Err(StageError::Interrupted);
        }
    }
    Ok(published)
}

/// The ids of the pairs that would be published now.
///
/// # Errors
/// Where the store fails.
pub async fn published_pairs(ctx: &Ctx) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for span in flow::spans(ctx).await? {
        found.extend(Material::load(ctx, span).await?.pairs.into_iter().map(|pair| pair.row_id));
    }
    Ok(found)
}

/// A publication that holds rows which people or classifiers have removed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outdated {
    /// The folder or repository, where nothing newer was published.
    pub destination: String,
    /// When it was published, in milliseconds since 1970.
    pub published_at: i64,
    /// The ids of the removed rows.
    pub rows: Vec<String>,
}

/// The publications, each destination's newest, that hold removed rows.
///
/// # Errors
/// Where the store fails.
pub async fn outdated(ctx: &Ctx) -> Result<Vec<Outdated>> {
    let publications = ctx.store.publications(&ctx.sprint).await?;
    if publications.is_empty() {
        return Ok(Vec::new());
    }
    let now: HashSet<String> = published_pairs(ctx).await?.into_iter().collect();
    let newest: BTreeMap<String, Publication> =
        publications.into_iter().map(|publication| (publication.destination.clone(), publication)).collect();
    let mut outdated = Vec::new();
    for publication in newest.into_values() {
        let rows: Vec<String> = serde_json::from_str(&publication.rows).unwrap_or_default();
        let rows: Vec<String> = rows.into_iter().filter(|row| !now.contains(row)).collect();
        if !rows.is_empty() {
            let Publication { destination, published_at, .. } = publication;
            outdated.push(Outdated { destination, published_at, rows });
        }
    }
    Ok(outdated)
}

async fn write(ctx: &Ctx, safety: &Safety, folder: &Path, dataset: Dataset) -> Result<(Published, Totals)> {
    let target = folder.join(dataset.as_str());
    let columns = columns(ctx)?;
    let features = match dataset {
        Dataset::Preferences => columns.features().clone(),
        Dataset::Results => rows::results(),
        Dataset::Binarized => rows::binarized(),
    };
    let (sender, mut pieces) = mpsc::channel::<Piece>(AHEAD);
    let writer = tokio::task::spawn_blocking(move || -> Result<_, TableError> {
        // `datasets` loads no split without rows, so a dataset without any is not written.
        let mut writer = None;
        while let Some(piece) = pieces.blocking_recv() {
            if let Piece::End(card) = piece {
                return writer.map(|writer: DatasetWriter| writer.finish(&card)).transpose().map(Some);
            }
            let writer = match &mut writer {
                Some(begun) => begun,
                None => writer.insert(DatasetWriter::create(&target, features.clone())?),
            };
            match piece {
                Piece::Row(split, row) => writer.push(split, row)?,
                Piece::File(path, bytes) => writer.add_file(&path, &bytes)?,
                Piece::End(_) => {}
            }
        }
        Ok(None)
    });
    let fed = feed(ctx, safety, dataset, &columns, sender).await;
    // The writer's own error says more than that it stopped listening.
    let written =
        writer.await.map_err(|error| StageError::Dataset(Box::new(error)))?.map_err(dataset_error)?;
    let totals = fed?;
    let Some(written) = written else { return Err(StageError::Interrupted) };
    let (rows, shards) = written
        .map_or((0, 0), |written| (written.splits.iter().map(|split| split.rows).sum(), written.shards));
    Ok((Published { dataset, rows, shards }, totals))
}

/// Sends all rows, then the end, and says what they add up to.
async fn feed(
    ctx: &Ctx,
    safety: &Safety,
    dataset: Dataset,
    columns: &Preferences,
    pieces: mpsc::Sender<Piece>,
) -> Result<Totals> {
    let mut totals = Totals::default();
    for span in flow::spans(ctx).await? {
        let material = Material::load(ctx, span).await?;
        totals.add(&material, dataset);
        if send(ctx, &material, dataset, columns, &pieces).await?.is_break() || ctx.stop.is_cancelled() {
            return Ok(totals);
        }
    }
    let card = Box::new(card(ctx, &totals, safety, dataset));
    pieces.send(Piece::End(card)).await.ok();
    Ok(totals)
}

/// Reads the images of a span and sends its rows, until the writer stops listening.
async fn send(
    ctx: &Ctx,
    material: &Material,
    dataset: Dataset,
    columns: &Preferences,
    pieces: &mpsc::Sender<Piece>,
) -> Result<ControlFlow<()>> {
    match dataset {
        Dataset::Preferences => {
            let mut rows = stream::iter(material.by_prompt())
                .map(|(index, pairs)| async move {
                    let hashes = pairs.iter().flat_map(|pair| [&pair.image_1, &pair.image_2]);
                    let bytes = read(ctx, hashes).await?;
                    Ok::<_, StageError>((index, pairs, bytes))
                })
                .buffered(AHEAD / 4);
            while let Some(next) = rows.next().await {
                let (index, pairs, bytes) = next?;
                let row = material.preference(index, &pairs, &|hash| bytes.get(hash).cloned());
                let split = pairs.first().map_or(Split::Train, |pair| pair.split);
                if pieces.send(Piece::Row(split, columns.row(row))).await.is_err() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Dataset::Results => {
            let mut rows = stream::iter(&material.pairs)
                .map(|pair| async move {
                    Ok::<_, StageError>((pair, read(ctx, [&pair.image_1, &pair.image_2]).await?))
                })
                .buffered(AHEAD / 2);
            while let Some(next) = rows.next().await {
                let (pair, bytes) = next?;
                let row = material.result(pair);
                for (path, hash) in [(&row.image_1, &pair.image_1), (&row.image_2, &pair.image_2)] {
                    let Some(bytes) = bytes.get(hash) else { continue };
                    if pieces.send(Piece::File(path.clone(), bytes.clone())).await.is_err() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                if pieces.send(Piece::Row(pair.split, row.into())).await.is_err() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Dataset::Binarized => {
            let mut rows = stream::iter(material.decided())
                .map(|pair| async move {
                    Ok::<_, StageError>((pair, read(ctx, [&pair.image_1, &pair.image_2]).await?))
                })
                .buffered(AHEAD / 2);
            while let Some(next) = rows.next().await {
                let (pair, bytes) = next?;
                let Some(row) = material.binarized(ctx, pair, &|hash| bytes.get(hash).cloned()) else {
                    continue;
                };
                if pieces.send(Piece::Row(pair.split, row.into())).await.is_err() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

async fn read<'a>(
    ctx: &Ctx,
    hashes: impl IntoIterator<Item = &'a ImageHash>,
) -> Result<HashMap<ImageHash, Bytes>> {
    let mut found = HashMap::new();
    for hash in hashes {
        if !found.contains_key(hash) {
            found.insert(hash.clone(), ctx.blobs.image(hash).await?);
        }
    }
    Ok(found)
}

/// The tables that `sql` sees. Images are named, their bytes left out.
///
/// # Errors
/// Where the store fails.
pub async fn tables(ctx: &Ctx) -> Result<Vec<(String, sql::Table)>> {
    let material = Material::load(ctx, EVERY_PROMPT).await?;
    let none = |_: &ImageHash| None;
    let columns = columns(ctx)?;
    let preferences: Vec<Row> = material
        .by_prompt()
        .into_iter()
        .map(|(index, pairs)| columns.row(material.preference(index, &pairs, &none)))
        .collect();
    let responses = material.pairs.iter().flat_map(|pair| {
        material.responses(pair).iter().map(|response| rows::ResponseRow {
            pair_id: pair.row_id.clone(),
            pseudonym: response.pseudonym.clone(),
            answer: response.answer.to_string(),
            side: response.side.to_string(),
            time: response.created_at.saturating_mul(1000),
            duration_ms: response.duration_ms,
            counts: response.counts(),
            why: (!response.counts()).then(|| response.state.to_string()),
        })
    });
    let mut annotators: BTreeMap<&str, i64> = BTreeMap::new();
    for response in material.pairs.iter().flat_map(|pair| material.responses(pair)) {
        *annotators.entry(&response.pseudonym).or_default() += i64::from(response.counts());
    }
    let results = sql::Table::of(&rows::results(), material.pairs.iter().map(|pair| material.result(pair)));
    let results = results.map_err(dataset_error)?;
    let prompts: BTreeMap<i64, String> =
        material.prompts.iter().map(|(index, text)| (*index, text.clone())).collect();
    let tables = [
        (
            "prompts",
            sql::Table::of(&rows::prompts(), prompts.into_values().map(|prompt| rows::PromptRow { prompt })),
        ),
        ("preferences", sql::Table::of(columns.features(), preferences)),
        ("train", Ok(results.clone())),
        ("results", Ok(results)),
        (
            "binarized",
            sql::Table::of(
                &rows::binarized(),
                material.pairs.iter().filter_map(|pair| material.binarized(ctx, pair, &none)),
            ),
        ),
        ("responses", sql::Table::of(&rows::responses(), responses)),
        (
            "annotators",
            sql::Table::of(
                &rows::annotators(),
                annotators.into_iter().map(|(pseudonym, responses)| rows::AnnotatorRow {
                    pseudonym: pseudonym.to_owned(),
                    responses,
                }),
            ),
        ),
    ];
    tables.into_iter().map(|(name, table)| Ok((name.to_owned(), table.map_err(dataset_error)?))).collect()
}
