//! Pictures that exist already: a folder stands in for a model.
//!
//! Which file is whose is said by its name, `{prompt_index}-{evolution}.EXT`, or `{prompt_index}.EXT`
//! for every evolution of a prompt (`12-quality.png`, `12.jpg`); or by a manifest in the folder,
//! `manifest.csv` or `manifest.jsonl`, whose rows have `file` (a path inside the folder) and either
//! `prompt_index`, with or without `evolution`, or `prompt`, the text as it is sent. Where there is a
//! manifest, names mean nothing. EXT is jpg, jpeg, png, webp or gif.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use diptych_rows::{Listed, PictureOf, pictures};
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

type Index = HashMap<PictureOf, PathBuf>;

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
            PictureOf::Variant(request.prompt_index, request.evolution.clone()),
            PictureOf::Prompt(request.prompt_index),
            PictureOf::Text(request.prompt.trim().to_owned()),
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
    for (name, listed) in [("manifest.csv", Listed::Separated(b',')), ("manifest.jsonl", Listed::JsonLines)] {
        let manifest = folder.join(name);
        if manifest.is_file() {
            return index_of_manifest(folder, &manifest, listed);
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

fn add(index: &mut Index, key: PictureOf, file: PathBuf) -> Result<(), String> {
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

fn key_of_name(file: &Path) -> Option<PictureOf> {
    let ending = file.extension()?.to_str()?.to_ascii_lowercase();
    let stem = file.file_stem()?.to_str()?;
    if !ENDINGS.contains(&ending.as_str()) {
        return None;
    }
    match stem.split_once('-') {
        None => Some(PictureOf::Prompt(stem.parse().ok()?)),
        Some((index, evolution)) => Some(PictureOf::Variant(index.parse().ok()?, evolution.to_owned())),
    }
}

fn index_of_manifest(folder: &Path, manifest: &Path, listed: Listed) -> Result<Index, String> {
    let said = |what: String| format!("{}: {what}", manifest.display());
    let text = std::fs::read_to_string(manifest).map_err(|error| said(error.to_string()))?;
    let mut index = Index::new();
    for (line, of, file) in pictures(&text, listed).map_err(said)? {
        add(&mut index, of, folder.join(file)).map_err(|what| said(format!("line {line}: {what}")))?;
    }
    Ok(index)
}

#[cfg(test)]
mod tests;
