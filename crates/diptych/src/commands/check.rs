//! `diptych check`: tries what the configuration names, and changes nothing.

use std::path::Path;

use anyhow::Result;
use diptych_store::{Blobs, Store};
use tokio_util::sync::CancellationToken;

use super::print;
use crate::place::Server;
use crate::table;

/// Prints what works and what does not.
pub async fn run(folder: &Path) -> Result<()> {
    let server = Server::find(folder)?;
    let sprint = server.sprint(folder)?;
    let mut rows = vec![row(
        "configuration",
        &sprint.folder.join("sprint.toml").display().to_string(),
        Ok("good".to_owned()),
    )];
    let storage = &server.config.storage;
    let said = |outcome: diptych_store::Result<String>| outcome.map_err(|error| error.to_string());
    rows.push(row(
        "database",
        &diptych_store::without_password(&storage.database),
        said(Store::probe(&storage.database, &server.folder).await),
    ));
    rows.push(row("blobs", &storage.blobs, said(Blobs::probe(&storage.blobs, &server.folder).await)));
    for source in &sprint.config.collect.sources {
        let local = !source.contains("://") && !source.contains(['*', '?', '[']);
        let found = match local {
            true if sprint.folder.join(source).is_file() => Ok("found".to_owned()),
            true => Err("there is no such file".to_owned()),
            false => Ok("not tried".to_owned()),
        };
        rows.push(row("source", source, found));
    }
    if let Some(chat) = sprint.config.chat.get(&sprint.config.enhance.engine) {
        let name = &sprint.config.enhance.engine;
        let outcome = match diptych_stages::engines::chat(name, chat, &CancellationToken::new()) {
            Ok(engine) => engine.probe().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        rows.push(row(&format!("chat {name}"), &diptych_store::without_password(&chat.url), outcome));
    }
    for model in &sprint.config.models {
        let outcome = match diptych_engine::image_maker(&diptych_stages::engines::image_settings(
            &sprint.folder,
            model,
        )) {
            Ok(engine) => engine.probe().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        rows.push(row(&format!("model {}", model.key), &model.name, outcome));
    }
    for (name, outcome) in diptych_stages::screen::probe(&sprint.config, &sprint.folder).await {
        rows.push(row("classifier", &name, outcome));
    }
    let bad = rows.iter().filter(|row| row[2] == "fails").count();
    print(&table::render(&["what", "which", "", "says"], &rows))?;
    if bad > 0 {
        anyhow::bail!("{bad} of {} checks fail", rows.len());
    }
    Ok(())
}

fn row(what: &str, which: &str, outcome: Result<String, String>) -> Vec<String> {
    let (state, says) = match outcome {
        Ok(says) => ("works", says),
        Err(says) => ("fails", says),
    };
    vec![what.to_owned(), which.to_owned(), state.to_owned(), says]
}
