//! A list of pictures and what each is of: the manifest of a folder that stands in for a model.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::Listed;

/// What a picture of a folder can be asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PictureOf {
    /// One evolution of the prompt with this index.
    Variant(i64, String),
    /// Every evolution of the prompt with this index.
    Prompt(i64),
    /// The prompt with this text, trimmed.
    Text(String),
}

/// The rows of such a list: what the picture is of, where it lies inside the folder, and the line that says so,
/// counted from 1.
///
/// # Errors
/// What is wrong with the list, and on which line.
pub fn pictures(text: &str, listed: Listed) -> Result<Vec<(u64, PictureOf, PathBuf)>, String> {
    let rows = match listed {
        Listed::Separated(by) => separated(text, by),
        Listed::JsonLines => json_lines(text),
    }?;
    if rows.is_empty() {
        return Err("it has no rows".to_owned());
    }
    rows.into_iter().map(|(line, row)| listed_at(line, row)).collect()
}

/// A row as it stands there.
#[derive(Deserialize)]
struct Row {
    file: String,
    #[serde(default)]
    prompt_index: Option<i64>,
    #[serde(default)]
    evolution: Option<String>,
    #[serde(default)]
    prompt: Option<String>,
}

fn separated(text: &str, by: u8) -> Result<Vec<(u64, Row)>, String> {
    let said = |error: csv::Error| error.to_string();
    let mut reader = csv::ReaderBuilder::new().delimiter(by).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(said)?.clone();
    if !headers.iter().any(|name| name == "file") {
        let names: Vec<_> = headers.iter().collect();
        return Err(format!("it has no column `file` (it has: {})", names.join(", ")));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(said)?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push((line, record.deserialize(Some(&headers)).map_err(said)?));
    }
    Ok(rows)
}

fn json_lines(text: &str) -> Result<Vec<(u64, Row)>, String> {
    let lines = (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty());
    lines
        .map(|(line, text)| match serde_json::from_str(text) {
            Ok(row) => Ok((line, row)),
            Err(error) => Err(format!("line {line}: {error}")),
        })
        .collect()
}

fn listed_at(line: u64, row: Row) -> Result<(u64, PictureOf, PathBuf), String> {
    let file = Path::new(&row.file);
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if row.file.is_empty() || row.file.contains('\0') || !file.components().all(inside) {
        return Err(format!("line {line}: `{}` is not a path inside the folder", row.file));
    }
    let filled =
        |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let of = match (row.prompt_index, filled(row.evolution), filled(row.prompt)) {
        (Some(prompt), Some(evolution), _) => PictureOf::Variant(prompt, evolution),
        (Some(prompt), None, _) => PictureOf::Prompt(prompt),
        (None, _, Some(text)) => PictureOf::Text(text),
        (None, _, None) => return Err(format!("line {line}: give `prompt_index` or `prompt`")),
    };
    Ok((line, of, file.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<(u64, PictureOf, PathBuf)> {
        vec![
            (2, PictureOf::Variant(12, "quality".to_owned()), "a.png".into()),
            (3, PictureOf::Prompt(12), "sub/b.png".into()),
            (4, PictureOf::Text("A cat, asleep".to_owned()), "c.png".into()),
        ]
    }

    #[test]
    fn a_list_says_what_each_picture_is_of() {
        let commas = "file,prompt_index,evolution,prompt\na.png,12, quality,\nsub/b.png,12,,\nc.png,,,\"A cat, asleep \"\n";
        assert_eq!(pictures(commas, Listed::Separated(b',')), Ok(rows()));
        let lines = "\n{\"file\": \"a.png\", \"prompt_index\": 12, \"evolution\": \"quality\"}\n{\"file\": \"sub/b.png\", \"prompt_index\": 12}\n{\"file\": \"c.png\", \"prompt\": \"A cat, asleep\"}\n";
        assert_eq!(pictures(lines, Listed::JsonLines), Ok(rows()));
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_line() {
        for (text, words) in [
            ("", "it has no column `file`"),
            ("path,prompt\na.png,cat\n", "it has no column `file` (it has: path, prompt)"),
            ("file,prompt\n", "it has no rows"),
            ("file,prompt_index\na.png,twelve\n", "line: 2"),
            ("file,prompt\na.png,cat\n../b.png,cat\n", "line 3: `../b.png` is not a path inside"),
            ("file,prompt\n/a.png,cat\n", "line 2: `/a.png` is not a path inside"),
            ("file,prompt\na\0.png,cat\n", "is not a path inside"),
            ("file,prompt\n,cat\n", "line 2: `` is not a path inside"),
            ("file,prompt\na.png, \n", "line 2: give `prompt_index` or `prompt`"),
        ] {
            let why = pictures(text, Listed::Separated(b',')).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        let why = pictures("{\"file\": \"a.png\", \"prompt\": \"x\"}\n{oops\n", Listed::JsonLines);
        assert!(why.unwrap_err().starts_with("line 2: "));
    }
}
