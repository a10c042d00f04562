//! Import: images that exist already become a sprint that runs like any other.
//!
//! Each model's folder is paired with the others by file stem. The sprint that is written collects
//! the prompts as they are, rewrites nothing (`engine = "none"`), and takes its images from the
//! folders, through a manifest each: so import adds no second way for pictures into the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diptych_rows::Listed;
use serde_json::json;

use crate::collect::unreadable;
use crate::{Result, StageError};

/// What will become of the folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Stems that every model has and that have a prompt: (stem, prompt, the file of each model).
    pub rows: Vec<(String, String, BTreeMap<String, PathBuf>)>,
    /// What did not match, in words.
    pub unmatched: Vec<String>,
}

const ENDINGS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "gif"];

/// Pairs the folders by file stem. A prompt comes from the manifest, or from a `.txt` beside an image.
///
/// # Errors
/// Where a folder or the manifest cannot be read, or nothing matches.
pub fn plan(models: &[(String, PathBuf)], manifest: Option<&Path>) -> Result<Plan> {
    let mut images: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut unmatched = Vec::new();
    for (key, folder) in models {
        let entries =
            std::fs::read_dir(folder).map_err(|error| unreadable(&folder.display().to_string(), &error))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.sort();
        for name in ["manifest.csv", "manifest.tsv", "manifest.jsonl"] {
            let manifest = folder.join(name);
            if manifest.is_file() {
                for (stem, prompt) in read_manifest(&manifest)? {
                    note_text(&mut texts, &mut unmatched, &manifest, stem, prompt);
                }
            }
        }
        for file in files {
            if file.is_dir() {
                unmatched.push(format!("{}: a folder; name it with --model by itself", file.display()));
                continue;
            }
            let (Some(stem), Some(ending)) = (file.file_stem(), file.extension()) else { continue };
            let (stem, ending) =
                (stem.to_string_lossy().into_owned(), ending.to_string_lossy().to_lowercase());
            if ENDINGS.contains(&ending.as_str()) {
                if let Some(twin) = images.entry(stem.clone()).or_default().insert(key.clone(), file.clone())
                {
                    unmatched.push(format!(
                        "{}: {} has the same stem; the former is used",
                        file.display(),
                        twin.display()
                    ));
                }
            } else if ending == "txt" {
                let text = std::fs::read_to_string(&file)
                    .map_err(|error| unreadable(&file.display().to_string(), &error))?;
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                if !text.is_empty() {
                    note_text(&mut texts, &mut unmatched, &file, stem, text);
                }
            } else if !file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("manifest.")) {
                unmatched
                    .push(format!("{}: neither an image that is read here nor a prompt", file.display()));
            }
        }
    }
    if let Some(path) = manifest {
        for (stem, prompt) in read_manifest(path)? {
            texts.insert(stem, prompt);
        }
    }
    let mut rows = Vec::new();
    for (stem, files) in &images {
        let missing: Vec<&str> =
            models.iter().filter(|(key, _)| !files.contains_key(key)).map(|(key, _)| key.as_str()).collect();
        match texts.get(stem) {
            _ if !missing.is_empty() => unmatched.push(format!("{stem}: no image of {}", missing.join(", "))),
            None => unmatched.push(format!("{stem}: no prompt")),
            Some(prompt) => rows.push((stem.clone(), prompt.clone(), files.clone())),
        }
    }
    for stem in texts.keys().filter(|stem| !images.contains_key(*stem)) {
        unmatched.push(format!("{stem}: a prompt, but no image"));
    }
    if rows.is_empty() {
        return Err(StageError::Nothing(format!(
            "nothing matches: no file stem has an image of every model and a prompt ({})",
            unmatched.first().map_or("the folders are empty", String::as_str)
        )));
    }
    Ok(Plan { rows, unmatched })
}

/// Keeps a stem's prompt; another one for the same stem is told.
fn note_text(
    texts: &mut BTreeMap<String, String>,
    unmatched: &mut Vec<String>,
    from: &Path,
    stem: String,
    text: String,
) {
    match texts.get(&stem) {
        Some(other) if *other != text => unmatched.push(format!(
            "{}: another prompt for `{stem}` than the one that is used, `{other}`",
            from.display()
        )),
        _ => {
            texts.insert(stem, text);
        }
    }
}

/// `stem` (or `file_name`, or `file`) and `prompt`, from csv, tsv or jsonl.
fn read_manifest(path: &Path) -> Result<Vec<(String, String)>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&name, &error))?;
    let listed = match crate::collect::format_of(path).0.as_str() {
        "jsonl" => Listed::JsonLines,
        "tsv" => Listed::Separated(b'\t'),
        _ => Listed::Separated(b','),
    };
    diptych_rows::manifest(&text, listed).map_err(|reason| StageError::Source { name, reason })
}

/// Writes the sprint: prompts, a manifest a model beside links to its images, and `sprint.toml`.
///
/// # Errors
/// Where the folder holds a sprint already, or the disk refuses.
pub fn write(folder: &Path, slug: &str, models: &[(String, PathBuf)], plan: &Plan) -> Result<()> {
    let config = folder.join("sprint.toml");
    let mut prompts = String::new();
    for (stem, prompt, _) in &plan.rows {
        prompts.push_str(&json!({"prompt": prompt, "stem": stem}).to_string());
        prompts.push('\n');
    }
    save(&folder.join("prompts.jsonl"), prompts.as_bytes())?;
    let mut toml = format!(
        "# A sprint of images that existed already: `diptych import images` wrote this.\n\n\
         [sprint]\nslug = {slug:?}\ntitle = {slug:?}\n\n\
         [collect]\nsources = [\"prompts.jsonl\"]\n\n\
         # Every prompt is kept as it is: whatever its language or length, and one that stands twice as well.\n\
         [clean]\nkeep_all = true\nheld_out = 0.0\n\n\
         [screen]\ntext = [\"lexicon\"]\nimage = []\nremoves = \"row\"\n\n\
         [enhance]\nengine = \"none\"\nevolutions = [\"quality\"]\n\n"
    );
    for (key, _) in models {
        let mut manifest = String::new();
        for (index, (_, _, files)) in plan.rows.iter().enumerate() {
            let Some(file) = files.get(key) else { continue };
            let name =
                format!("{index}.{}", file.extension().unwrap_or_default().to_string_lossy().to_lowercase());
            let target = folder.join("images").join(key).join(&name);
            place(file, &target)?;
            manifest.push_str(&json!({"file": name, "prompt_index": index}).to_string());
            manifest.push('\n');
        }
        save(&folder.join("images").join(key).join("manifest.jsonl"), manifest.as_bytes())?;
        toml.push_str(&format!(
            "[[models]]\nkey = {key:?}\nname = {key:?}                  # its full repository id, for the dataset\nengine = \"folder\"\nurl = \"images/{key}\"\n\n"
        ));
    }
    save(&config, toml.as_bytes())
}

/// A hard link where the disk allows it, a copy elsewhere.
fn place(from: &Path, to: &Path) -> Result<()> {
    let fail = |source| StageError::File { path: to.display().to_string(), source };
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(fail)?;
    }
    if to.exists() {
        std::fs::remove_file(to).map_err(fail)?;
    }
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to).map(|_| ()).map_err(fail)
}

fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |source| StageError::File { path: path.display().to_string(), source };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(fail)?;
    }
    std::fs::write(path, bytes).map_err(fail)
}
