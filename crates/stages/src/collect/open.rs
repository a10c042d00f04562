//! From the configured `sources` to files: globs are expanded, addresses downloaded once.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use diptych_core::UnitKey;
use diptych_engine::chain;
use futures::StreamExt;
use tokio::io::AsyncWriteExt;

use super::{Source, unreadable};
use crate::{Ctx, Result, StageError};

/// The files behind the configured sources, in their order, each once.
pub(super) async fn find(ctx: &Ctx) -> Result<Vec<Source>> {
    let mut found: Vec<Source> = Vec::new();
    for source in &ctx.config.collect.sources {
        let mut add = |name: String, path: PathBuf| {
            if !found.iter().any(|known| known.path == path) {
                found.push(Source { name: Arc::from(name), path });
            }
        };
        let mut add_file = |path: &Path| {
            let path = plain(&ctx.folder.join(path));
            add(path.strip_prefix(plain(&ctx.folder)).unwrap_or(&path).to_string_lossy().into_owned(), path);
        };
        if source.starts_with("https://") || source.starts_with("http://") {
            add(source.clone(), download(ctx, source).await?);
        } else if ctx.folder.join(source).is_file() || !source.contains(['*', '?', '[']) {
            add_file(Path::new(source));
        } else {
            // The folder's own name is no pattern.
            let pattern = match Path::new(source).is_absolute() {
                true => source.clone(),
                false => format!("{}/{source}", glob::Pattern::escape(&ctx.folder.to_string_lossy())),
            };
            let fail = |reason: String| StageError::Source { name: source.clone(), reason };
            let paths =
                glob::glob(&pattern).map_err(|error| fail(format!("it is no valid pattern: {error}")))?;
            let mut any = false;
            for path in paths {
                let path = path.map_err(|error| fail(format!("it cannot be read: {error}")))?;
                if path.is_file() {
                    any = true;
                    add_file(&path);
                }
            }
            if !any {
                return Err(fail("no file matches this pattern".to_owned()));
            }
        }
    }
    for source in &found {
        let file = std::fs::metadata(&source.path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StageError::Source {
                name: source.name.to_string(),
                reason: format!("there is no such file (looked for it at {})", source.path.display()),
            },
            _ => unreadable(&source.name, &error),
        })?;
        let fail =
            |reason: &str| StageError::Source { name: source.name.to_string(), reason: reason.to_owned() };
        if file.is_dir() {
            return Err(fail("it is a folder; name the files in it, for instance with `*.jsonl`"));
        }
        if file.len() == 0 {
            return Err(fail("it is empty"));
        }
    }
    Ok(found)
}

/// A path without what says nothing, so that `./a` and `a` are one source, and keep their prompts' indexes.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Downloads an address once; a download that breaks off leaves nothing behind that looks whole.
async fn download(ctx: &Ctx, address: &str) -> Result<PathBuf> {
    let fail = |reason: String| StageError::Source { name: address.to_owned(), reason };
    let name = address.split(['?', '#']).next().unwrap_or(address).rsplit('/').next().unwrap_or("source");
    let folder = ctx.folder.join(".diptych").join("downloads");
    let key = UnitKey::of(&[address]);
    let path = folder.join(format!("{}-{name}", &key.as_str()[..12]));
    if path.is_file() {
        return Ok(path);
    }
    ctx.progress.note(&format!("downloading {address}"));
    let reply = client(&fail)?.get(address).send().await.map_err(|error| fail(chain(&error)))?;
    if !reply.status().is_success() {
        return Err(fail(format!("the server answered {}", reply.status())));
    }
    let page = reply
        .headers()
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/html"));
    if page {
        return Err(fail("the server sent a web page, not a file of prompts: check the address".to_owned()));
    }
    let file_error = |path: &Path| {
        let path = path.display().to_string();
        move |source| StageError::File { path, source }
    };
    tokio::fs::create_dir_all(&folder).await.map_err(file_error(&folder))?;
    let part = path.with_extension("part");
    let mut file = tokio::fs::File::create(&part).await.map_err(file_error(&part))?;
    let mut body = reply.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| fail(format!("the download broke off: {}", chain(&error))))?;
        file.write_all(&chunk).await.map_err(file_error(&part))?;
    }
    file.sync_all().await.map_err(file_error(&part))?;
    tokio::fs::rename(&part, &path).await.map_err(file_error(&path))?;
    Ok(path)
}

fn client(fail: &impl Fn(String) -> StageError) -> Result<reqwest::Client> {
    diptych_engine::tls::init();
    reqwest::Client::builder()
        .connect_timeout(std::time::Duration::from_secs(20))
        .read_timeout(std::time::Duration::from_secs(60))
        .build()
        .map_err(|error| fail(chain(&error)))
}
