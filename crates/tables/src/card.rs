//! The card of a dataset: the `README.md` that Hugging Face reads and people read first.

use std::fmt::Write;

use crate::features::{Features, quoted};

/// What a card says. Texts may hold anything; they are escaped where they stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Card {
    /// The dataset: `preferences`, `results`, `binarized`…
    pub dataset: String,
    /// The sprint's title.
    pub title: String,
    /// The question put to people.
    pub question: String,
    /// The licence, as the sprint names it.
    pub license: String,
    /// What one row is, in one sentence.
    pub row: String,
    /// Figures worth saying, with their names: prompts, pairs, responses, people.
    pub counts: Vec<(String, u64)>,
    /// The image models.
    pub models: Vec<CardModel>,
    /// Names of what screened the texts; none means that they were not screened.
    pub text_screening: Vec<String>,
    /// Names of what screened the images; none means that they were not screened.
    pub image_screening: Vec<String>,
    /// What was removed and who has looked, a sentence each.
    pub reviewing: Vec<String>,
    /// What rewrote the prompts into variants: an engine, and its model where it has one.
    pub rewriting: String,
    /// The name of the rule that decided pairs, where this dataset has decided pairs.
    pub rule: Option<String>,
    /// Hugging Face task categories, such as `text-to-image`.
    pub task_categories: Vec<String>,
    /// Tags beside the ones that are always there.
    pub tags: Vec<String>,
}

/// An image model on a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardModel {
    /// Its key in the columns.
    pub key: String,
    /// Its full repository id.
    pub name: String,
    /// The engine that was called.
    pub engine: String,
}

/// What was written into one split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitFacts {
    /// `train` or `test`.
    pub name: &'static str,
    /// Rows.
    pub rows: u64,
    /// Bytes of values, before packing.
    pub bytes: u64,
    /// Bytes of its Parquet files.
    pub file_bytes: u64,
}

/// The tag by which a folder is known as a dataset that was written here.
pub(crate) const TAG: &str = "diptych";

/// The whole `README.md`.
#[must_use]
pub fn render(card: &Card, features: &Features, splits: &[SplitFacts]) -> String {
    let mut text = String::from("---\n");
    front_matter(card, features, splits, &mut text);
    text.push_str("---\n\n");
    body(card, splits, &mut text);
    text
}

fn front_matter(card: &Card, features: &Features, splits: &[SplitFacts], text: &mut String) {
    let rows: u64 = splits.iter().map(|split| split.rows).sum();
    let bytes: u64 = splits.iter().map(|split| split.bytes).sum();
    let file_bytes: u64 = splits.iter().map(|split| split.file_bytes).sum();
    let _ = writeln!(text, "pretty_name: {}", quoted(&format!("{}: {}", card.title, card.dataset)));
    // The Hub knows licences by their names in lower case.
    let _ = writeln!(text, "license: {}", quoted(&card.license.to_lowercase()));
    let _ = writeln!(text, "size_categories:\n- {}", size_category(rows));
    list("task_categories", card.task_categories.iter().map(String::as_str), text);
    let own = [TAG, "preference"].into_iter();
    list("tags", own.chain(card.tags.iter().map(String::as_str)), text);
    let _ = write!(text, "dataset_info:\n  features:\n{}", features.yaml(2));
    text.push_str("  splits:\n");
    for split in splits {
        let _ = writeln!(
            text,
            "  - name: {}\n    num_bytes: {}\n    num_examples: {}",
            split.name, split.bytes, split.rows
        );
    }
    let _ = writeln!(text, "  download_size: {file_bytes}\n  dataset_size: {bytes}");
    text.push_str("configs:\n- config_name: default\n  data_files:\n");
    for split in splits {
        let _ = writeln!(text, "  - split: {0}\n    path: data/{0}-*", split.name);
    }
}

fn list<'a>(key: &str, values: impl Iterator<Item = &'a str>, text: &mut String) {
    let values: Vec<&str> = values.collect();
    if values.is_empty() {
        return;
    }
    let _ = writeln!(text, "{key}:");
    for value in values {
        let _ = writeln!(text, "- {}", quoted(value));
    }
}

/// The Hub's names for sizes, by rows.
fn size_category(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        _ => "10M<n<100M",
    }
}

fn body(card: &Card, splits: &[SplitFacts], text: &mut String) {
    let _ = writeln!(text, "# {}: {}\n", line(&card.title), line(&card.dataset));
    let _ = writeln!(text, "{}\n", line(&card.row));
    let _ = writeln!(text, "The question put to people: *{}*\n", line(&card.question));
    if card.models.iter().any(|model| model.engine == "rehearsal") {
        text.push_str(
            "> **Rehearsal images.** Some of the images were composed from drawings to try the sprint \
             out. No image model made them, and nothing can be concluded about any model.\n\n",
        );
    }
    text.push_str("## Figures\n\n| | |\n|---|---:|\n");
    for (name, count) in &card.counts {
        let _ = writeln!(text, "| {} | {count} |", line(name));
    }
    for split in splits {
        let _ = writeln!(text, "| rows of `{}` | {} |", split.name, split.rows);
    }
    if !card.models.is_empty() {
        text.push_str("\n## Models\n\n| key | model | engine |\n|---|---|---|\n");
        for model in &card.models {
            let _ =
                writeln!(text, "| {} | {} | {} |", line(&model.key), line(&model.name), line(&model.engine));
        }
    }
    text.push_str("\n## How it was made\n\n");
    let _ = writeln!(text, "- Prompts: {}.", screening(&card.text_screening));
    let _ = writeln!(text, "- Images: {}.", screening(&card.image_screening));
    for said in &card.reviewing {
        let _ = writeln!(text, "- {}", line(said));
    }
    let _ = writeln!(text, "- Prompts were rewritten by: {}.", line(&card.rewriting));
    if let Some(rule) = &card.rule {
        let _ = writeln!(text, "- Pairs were decided by the rule `{}`.", line(rule));
    }
    text.push_str(
        "\n## Loading\n\n```python\nfrom datasets import load_dataset\n\n\
         dataset = load_dataset(\"path/to/this/folder\", split=\"train\")\n```\n",
    );
}

fn screening(names: &[String]) -> String {
    if names.is_empty() {
        return "**not screened**".to_owned();
    }
    let names: Vec<String> = names.iter().map(|name| line(name)).collect();
    format!("screened by {}", names.join(", "))
}

/// A text as one line of Markdown that means nothing but itself.
fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            character if character.is_whitespace() || character.is_control() => line.push(' '),
            '|' | '*' | '`' | '<' | '>' | '[' | ']' | '\\' | '#' => {
                line.push('\\');
                line.push(character);
            }
            _ => line.push(character),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows;

    #[test]
    fn a_card_says_what_there_is() {
        let card = Card {
            dataset: "results".into(),
            title: "Cats: \"who\" | wins?\n---".into(),
            question: "Which image is better?".into(),
            license: "Apache-2.0".into(),
            row: "One row is one pair of images, with what people answered.".into(),
            counts: vec![("pairs".into(), 3), ("responses".into(), 7)],
            models: vec![
                CardModel { key: "dev".into(), name: "rehearsal/noto".into(), engine: "rehearsal".into() },
                CardModel { key: "sd".into(), name: "org/model".into(), engine: "openai".into() },
            ],
            text_screening: vec!["lexicon".into()],
            image_screening: Vec::new(),
            reviewing: vec!["Removed at screen-prompts: 3 by lexicon.".into()],
            rewriting: "rules (embedded)".into(),
            rule: Some("majority".into()),
            task_categories: vec!["text-to-image".into()],
            tags: Vec::new(),
        };
        let splits = [SplitFacts { name: "train", rows: 3, bytes: 1200, file_bytes: 900 }];
        insta::assert_snapshot!(render(&card, &rows::results(), &splits));
    }

    #[test]
    fn sizes_have_the_names_of_the_hub() {
        assert_eq!(size_category(0), "n<1K");
        assert_eq!(size_category(1_000), "1K<n<10K");
        assert_eq!(size_category(9_999_999), "1M<n<10M");
    }
}
