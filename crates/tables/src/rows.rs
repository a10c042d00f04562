//! The tables of a sprint, by name: their columns, and their rows as plain structs.
//!
//! Column names, order and types are those that other people's tools read; see `features` and `row` of
//! each table. Whoever fills them maps its own types onto these.

use std::collections::{BTreeMap, BTreeSet};

use crate::TableError;
use crate::cells::{Cell, Image, Row};
use crate::features::{Column, Features, Kind};

/// A row of `prompts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptRow {
    /// The prompt as it was written.
    pub prompt: String,
}

/// The columns of `prompts`.
#[must_use]
pub fn prompts() -> Features {
    Features::known(texts(&["prompt"]))
}

impl From<PromptRow> for Row {
    fn from(row: PromptRow) -> Self {
        Self(vec![row.prompt.into()])
    }
}

/// A row of `preferences`: one prompt with all its images.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreferenceRow {
    /// The prompt as it was written.
    pub prompt: String,
    /// Its category.
    pub category: Option<String>,
    /// Its sub-category.
    pub subcategory: Option<String>,
    /// The style prompt that the variants were made from.
    pub style_prompt: Option<String>,
    /// The text of each variant, by evolution.
    pub variants: BTreeMap<String, String>,
    /// The images, by evolution and model key.
    pub images: BTreeMap<(String, String), Image>,
}

/// The columns of `preferences`, which depend on the evolutions and models of the sprint.
#[derive(Debug, Clone)]
pub struct Preferences {
    evolutions: Vec<String>,
    models: Vec<String>,
    features: Features,
}

impl Preferences {
    /// For these evolutions and model keys. Evolutions stand in alphabetical order, as they do in the
    /// reference (`quality`, `simplified`), models in the order given.
    ///
    /// # Errors
    /// Where two columns would have one name.
    pub fn new(evolutions: &[String], models: &[String]) -> Result<Self, TableError> {
        let evolutions: Vec<String> =
            evolutions.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let mut columns = texts(&["prompt", "category", "subcategory", "style_prompt"]);
        for evolution in &evolutions {
            columns.push(Column::new(format!("{evolution}_prompt"), Kind::Text));
        }
        for model in models {
            for evolution in &evolutions {
                columns.push(Column::new(format!("image_{evolution}_{model}"), Kind::Image));
            }
        }
        Ok(Self { evolutions, models: models.to_vec(), features: Features::new(columns)? })
    }

    /// The columns.
    #[must_use]
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// A row. A variant or image that is not there is null; one of another evolution or model is left out.
    #[must_use]
    pub fn row(&self, mut row: PreferenceRow) -> Row {
        let mut cells =
            vec![row.prompt.into(), row.category.into(), row.subcategory.into(), row.style_prompt.into()];
        for evolution in &self.evolutions {
            cells.push(row.variants.remove(evolution).into());
        }
        for model in &self.models {
            for evolution in &self.evolutions {
                let image = row.images.remove(&(evolution.clone(), model.clone()));
                cells.push(image.map_or(Cell::Null, Cell::Image));
            }
        }
        Row(cells)
    }
}

/// A response inside a row of `results`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultResponse {
    /// `image_1`, `image_2`, `both_good`, `both_bad` or `toxic_content`.
    pub answer: String,
    /// The person's pseudonymous UUID.
    pub user: String,
    /// `submitted`, `draft` or `discarded`.
    pub status: String,
}

/// A row of `results`: one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// `"{prompt index}-{evolution}"`, with `-{model_1}-{model_2}` where the sprint has more than two models.
    pub id: String,
    /// Whether the pair has all the responses it needs.
    pub completed: bool,
    /// A UUID.
    pub server_id: String,
    /// Path of the first image; when published, `images/{hash}.{ext}`.
    pub image_1: String,
    /// Path of the second image.
    pub image_2: String,
    /// The variant's text as sent to the models.
    pub prompt: String,
    /// Key of the model that made the first image.
    pub model_1: String,
    /// Key of the model that made the second image.
    pub model_2: String,
    /// The variant's evolution.
    pub evolution: String,
    /// The prompt's category.
    pub category: Option<String>,
    /// The prompt's sub-category.
    pub sub_category: Option<String>,
    /// The responses that count. Without any, the three lists are null.
    pub responses: Vec<ResultResponse>,
}

/// The columns of `results`.
#[must_use]
pub fn results() -> Features {
    let mut columns = texts(&["id", "status", "_server_id"]);
    columns.push(Column::new("images", Kind::Group(texts(&["image_1", "image_2", "prompt"]))));
    columns.extend(texts(&["model_1", "model_2", "evolution", "category", "sub_category"]));
    columns.extend(RESPONSE_LISTS.map(|name| Column::new(name, Kind::Texts)));
    Features::known(columns)
}

/// The three aligned lists of `results`.
pub const RESPONSE_LISTS: [&str; 3] =
    ["preference.responses", "preference.responses.users", "preference.responses.status"];

impl From<ResultRow> for Row {
    fn from(row: ResultRow) -> Self {
        let status = if row.completed { "completed" } else { "pending" };
        let mut cells = vec![
            row.id.into(),
            Cell::Text(status.to_owned()),
            row.server_id.into(),
            Cell::Group(vec![row.image_1.into(), row.image_2.into(), row.prompt.into()]),
            row.model_1.into(),
            row.model_2.into(),
            row.evolution.into(),
            row.category.into(),
            row.sub_category.into(),
        ];
        if row.responses.is_empty() {
            cells.extend([Cell::Null, Cell::Null, Cell::Null]);
            return Self(cells);
        }
        let (mut answers, mut users, mut statuses) = (Vec::new(), Vec::new(), Vec::new());
        for response in row.responses {
            answers.push(response.answer);
            users.push(response.user);
            statuses.push(response.status);
        }
        cells.extend([Cell::Texts(answers), Cell::Texts(users), Cell::Texts(statuses)]);
        Self(cells)
    }
}

/// A row of `binarized`: one decided pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinarizedRow {
    /// The pair's id.
    pub id: String,
    /// The variant's text as sent to the models.
    pub prompt: String,
    /// The image people chose.
    pub chosen: Image,
    /// The other one.
    pub rejected: Image,
    /// Full repository id of the model that made the chosen image.
    pub chosen_model: String,
    /// Full repository id of the other model.
    pub rejected_model: String,
    /// The variant's evolution.
    pub evolution: String,
    /// The prompt's category.
    pub category: Option<String>,
    /// The prompt's sub-category.
    pub sub_category: Option<String>,
}

/// The columns of `binarized`.
#[must_use]
pub fn binarized() -> Features {
    let mut columns = texts(&["id", "prompt"]);
    columns.push(Column::new("chosen", Kind::Image));
    columns.push(Column::new("rejected", Kind::Image));
    columns.extend(texts(&["chosen_model", "rejected_model", "evolution", "category", "sub_category"]));
    Features::known(columns)
}

impl From<BinarizedRow> for Row {
    fn from(row: BinarizedRow) -> Self {
        Self(vec![
            row.id.into(),
            row.prompt.into(),
            Cell::Image(row.chosen),
            Cell::Image(row.rejected),
            row.chosen_model.into(),
            row.rejected_model.into(),
            row.evolution.into(),
            row.category.into(),
            row.sub_category.into(),
        ])
    }
}

/// A row of `responses`: one response as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRow {
    /// The `id` of the pair in `results`.
    pub pair_id: String,
    /// Who, pseudonymously; the UUID of `preference.responses.users`.
    pub pseudonym: String,
    /// What was answered.
    pub answer: String,
    /// The side that `image_1` stood on: `left` or `right`.
    pub side: String,
    /// When, in microseconds since 1970, UTC.
    pub time: i64,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// Whether it is one of the pair's responses in `results`.
    pub counts: bool,
    /// Why it does not count.
    pub why: Option<String>,
}

/// The columns of `responses`.
#[must_use]
pub fn responses() -> Features {
    let mut columns = texts(&["pair_id", "pseudonym", "answer", "side"]);
    columns.push(Column::new("time", Kind::Time));
    columns.push(Column::new("duration_ms", Kind::Int));
    columns.push(Column::new("counts", Kind::Bool));
    columns.extend(texts(&["why"]));
    Features::known(columns)
}

impl From<ResponseRow> for Row {
    fn from(row: ResponseRow) -> Self {
        Self(vec![
            row.pair_id.into(),
            row.pseudonym.into(),
            row.answer.into(),
            row.side.into(),
            Cell::Time(row.time),
            row.duration_ms.map_or(Cell::Null, Cell::Int),
            Cell::Bool(row.counts),
            row.why.into(),
        ])
    }
}

/// A row of `annotators`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotatorRow {
    /// Who, pseudonymously.
    pub pseudonym: String,
    /// How many responses they gave.
    pub responses: i64,
}

/// The columns of `annotators`.
#[must_use]
pub fn annotators() -> Features {
    let mut columns = texts(&["pseudonym"]);
    columns.push(Column::new("responses", Kind::Int));
    Features::known(columns)
}

impl From<AnnotatorRow> for Row {
    fn from(row: AnnotatorRow) -> Self {
        Self(vec![row.pseudonym.into(), Cell::Int(row.responses)])
    }
}

fn texts(names: &[&str]) -> Vec<Column> {
    names.iter().map(|name| Column::new(*name, Kind::Text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::Rows;

    fn names(features: &Features) -> Vec<&str> {
        features.columns().iter().map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn preferences_has_the_columns_of_the_reference() {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let table = Preferences::new(&owned(&["simplified", "quality"]), &owned(&["dev", "sd"])).unwrap();
        assert_eq!(
            names(table.features()).join(", "),
            "prompt, category, subcategory, style_prompt, quality_prompt, simplified_prompt, \
             image_quality_dev, image_simplified_dev, image_quality_sd, image_simplified_sd"
        );
        let row = PreferenceRow {
            prompt: "a cat".into(),
            variants: BTreeMap::from([("quality".into(), "a fine cat".into())]),
            images: BTreeMap::from([(("simplified".into(), "sd".into()), Image::default())]),
            ..PreferenceRow::default()
        };
        let Row(cells) = table.row(row);
        assert_eq!(cells[4], Cell::Text("a fine cat".into()));
        assert_eq!(cells[5..9], [Cell::Null, Cell::Null, Cell::Null, Cell::Null]);
        assert_eq!(cells[9], Cell::Image(Image::default()));
        let clash = Preferences::new(&owned(&["a_b", "a"]), &owned(&["c", "b_c"])).unwrap_err();
        assert!(clash.to_string().contains("`image_a_b_c`"), "{clash}");
    }

    #[test]
    fn every_row_fits_its_columns_and_a_pair_without_responses_has_null_lists() {
        let text = || "x".to_owned();
        let pair = |responses| ResultRow {
            id: text(),
            completed: false,
            server_id: text(),
            image_1: text(),
            image_2: text(),
            prompt: text(),
            model_1: text(),
            model_2: text(),
            evolution: text(),
            category: None,
            sub_category: None,
            responses,
        };
        assert_eq!(
            names(&results()).join(" "),
            "id status _server_id images model_1 model_2 evolution category sub_category \
             preference.responses preference.responses.users preference.responses.status"
        );
        let mut rows = Rows::new(&results());
        rows.push(pair(Vec::new())).unwrap();
        rows.push(pair(vec![ResultResponse { answer: text(), user: text(), status: text() }])).unwrap();
        let batch = rows.take().unwrap();
        for list in RESPONSE_LISTS {
            let lists = batch.column_by_name(list).unwrap();
            assert!(lists.is_null(0) && lists.is_valid(1));
        }
        Rows::new(&prompts()).push(PromptRow { prompt: text() }).unwrap();
        Rows::new(&annotators()).push(AnnotatorRow { pseudonym: text(), responses: 1 }).unwrap();
        let row = ResponseRow {
            pair_id: text(),
            pseudonym: text(),
            answer: text(),
            side: text(),
            time: 0,
            duration_ms: None,
            counts: true,
            why: None,
        };
        Rows::new(&responses()).push(row).unwrap();
        let row = BinarizedRow {
            id: text(),
            prompt: text(),
            chosen: Image::default(),
            rejected: Image::default(),
            chosen_model: text(),
            rejected_model: text(),
            evolution: text(),
            category: None,
            sub_category: None,
        };
        Rows::new(&binarized()).push(row).unwrap();
    }
}
