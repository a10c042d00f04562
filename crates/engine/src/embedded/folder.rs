//! Pictures that exist already: a folder stands in for a model.
//!
//! Which file is whose is said by its name, `{prompt_index}-{evolution}.EXT`, or `{prompt_index}.EXT`
//! for every evolution of a prompt (`12-quality.png`, `12.jpg`); or by a manifest in the folder,
//! `manifest.csv` or `manifest.jsonl`, whose rows have `file` (a path inside the folder) and either
//! `prompt_index`, with or without `evolution`, or `prompt`, the text as it is sent. Where there is a
//! manifest, names mean nothing. EXT is jpg, jpeg, png, webp or gif.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::{EngineError, ImageMaker, ImageRequest, ImageSettings, MadeImage, made};

/// The endings of names that are looked at.
const ENDINGS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "gif"];

/// A folder of pictures.
pub(crate) struct Folder {
    who: String,
    path: PathBuf,
    model: String,
    index: OnceCell<Index>,
}

/// What a file can be asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Variant(i64, String),
    Prompt(i64),
    Text(String),
}

type Index = HashMap<Key, PathBuf>;

impl Folder {
    /// Takes the path; looks at it at the first call.
    pub(crate) fn new(settings: &ImageSettings) -> Result<Self, EngineError> {
        let Some(path) = settings.url.as_deref().filter(|path| !path.is_empty()) else {
            return Err(EngineError::setup(format!("{} needs the folder's path as `url`", settings.who())));
        };
        let path = PathBuf::from(path.strip_prefix("file:").unwrap_or(path));
        Ok(Self { who: settings.who(), path, model: settings.model.clone(), index: OnceCell::new() })
    }

    async fn index(&self) -> Result<&Index, EngineError> {
        self.index
            .get_or_try_init(|| async {
                let (who, path) = (self.who.clone(), self.path.clone());
                tokio::task::spawn_blocking(move || read_folder(&path))
                    .await
                    .map_err(|error| {
                        EngineError::unusable(format!("{who}: reading the folder was stopped: {error}"))
                    })?
                    .map_err(|what| EngineError::setup(format!("{}: {what}", self.who)))
            })
            .await
    }
}

#[async_trait]
impl ImageMaker for Folder {
    async fn make(&self, request: &ImageRequest) -> Result<MadeImage, EngineError> {
        let index = self.index().await?;
        let keys = [
            Key::Variant(request.prompt_index, request.evolution.clone()),
            Key::Prompt(request.prompt_index),
            Key::Text(request.prompt.trim().to_owned()),
        ];
        let Some(file) = keys.iter().find_map(|key| index.get(key)) else {
            // Somebody may still bring it: `--retry-failed` looks again.
            return Err(EngineError::unusable(format!(
                "{}: {} has no image for prompt {}, {}",
                self.who,
                self.path.display(),
                request.prompt_index,
                request.evolution
            )));
        };
        let bytes = read_bounded(file)
            .await
            .map_err(|what| EngineError::unusable(format!("{}: {what}", self.who)))?;
        let who = format!("{}: the file {}", self.who, file.display());
        made(&who, "folder", &self.model, bytes.into())
    }

    async fn probe(&self) -> Result<String, EngineError> {
        let files = self.index().await?.len();
        Ok(format!("{} names {files} images", self.path.display()))
    }
}

async fn read_bounded(file: &Path) -> Result<Vec<u8>, String> {
    let most = diptych_picture::Limits::default().bytes as u64;
    let said = |error: std::io::Error| format!("{} cannot be read: {error}", file.display());
    let length = tokio::fs::metadata(file).await.map_err(said)?.len();
    if length > most {
        return Err(format!("{} has {length} bytes; at most {most} are read", file.display()));
    }
    tokio::fs::read(file).await.map_err(said)
}

fn read_folder(folder: &Path) -> Result<Index, String> {
    for (name, read) in [("manifest.csv", read_csv as fn(&Path) -> _), ("manifest.jsonl", read_jsonl)] {
        let manifest = folder.join(name);
        if manifest.is_file() {
            return index_of_manifest(folder, &manifest, read(&manifest)?);
        }
    }
    let said = |error: std::io::Error| format!("the folder {} cannot be read: {error}", folder.display());
    let mut index = Index::new();
    for entry in std::fs::read_dir(folder).map_err(said)? {
        let file = entry.map_err(said)?.path();
        if let Some(key) = key_of_name(&file) {
            add(&mut index, key, file)?;
        }
    }
    if index.is_empty() {
        return Err(format!(
            "the folder {} has neither a manifest nor images named like 12-quality.png or 12.png",
            folder.display()
        ));
    }
    Ok(index)
}

fn add(index: &mut Index, key: Key, file: PathBuf) -> Result<(), String> {
    match index.get(&key) {
        Some(other) if *other != file => {
            Err(format!("{} and {} are both for {key:?}; keep one", other.display(), file.display()))
        }
        _ => {
            index.insert(key, file);
            Ok(())
        }
    }
}

fn key_of_name(file: &Path) -> Option<Key> {
    let ending = file.extension()?.to_str()?.to_ascii_lowercase();
    let stem = file.file_stem()?.to_str()?;
    if !ENDINGS.contains(&ending.as_str()) {
        return None;
    }
    match stem.split_once('-') {
        None => Some(Key::Prompt(stem.parse().ok()?)),
        Some((index, evolution)) => Some(Key::Variant(index.parse().ok()?, evolution.to_owned())),
    }
}

/// A row of a manifest, with the line that it stands on.
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

fn read_csv(manifest: &Path) -> Result<Vec<(u64, Row)>, String> {
    let said = |error: csv::Error| format!("{}: {error}", manifest.display());
    let mut reader = csv::Reader::from_path(manifest).map_err(said)?;
    let headers = reader.headers().map_err(said)?.clone();
    if !headers.iter().any(|name| name == "file") {
        let names: Vec<_> = headers.iter().collect();
        return Err(format!("{} has no column `file` (it has: {})", manifest.display(), names.join(", ")));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(said)?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push((line, record.deserialize(Some(&headers)).map_err(said)?));
    }
    Ok(rows)
}

fn read_jsonl(manifest: &Path) -> Result<Vec<(u64, Row)>, String> {
    let text =
        std::fs::read_to_string(manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if !text.trim().is_empty() {
            let row = serde_json::from_str(text)
                .map_err(|error| format!("{} line {line}: {error}", manifest.display()))?;
            rows.push((line, row));
        }
    }
    Ok(rows)
}

fn index_of_manifest(folder: &Path, manifest: &Path, rows: Vec<(u64, Row)>) -> Result<Index, String> {
    let mut index = Index::new();
    for (line, row) in rows {
        let place = format!("{} line {line}", manifest.display());
        let file = Path::new(&row.file);
        if row.file.is_empty()
            || !file.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(format!("{place}: `{}` is not a path inside the folder", row.file));
        }
        let filled =
            |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let key = match (row.prompt_index, filled(row.evolution), filled(row.prompt)) {
            (Some(prompt), Some(evolution), _) => Key::Variant(prompt, evolution),
            (Some(prompt), None, _) => Key::Prompt(prompt),
            (None, _, Some(text)) => Key::Text(text),
            (None, _, None) => return Err(format!("{place}: give `prompt_index` or `prompt`")),
        };
        add(&mut index, key, folder.join(file)).map_err(|what| format!("{place}: {what}"))?;
    }
    if index.is_empty() {
        return Err(format!("{} has no rows", manifest.display()));
    }
    Ok(index)
}

#[cfg(test)]
mod tests;
