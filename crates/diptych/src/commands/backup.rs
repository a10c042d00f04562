//! `diptych backup` and `diptych restore`: a server in one file, and back.

use std::path::Path;

use anyhow::{Context as _, Result};
use diptych_stages::backup::{self, Label, SprintToml};

use super::print;
use crate::Usage;
use crate::place::Server;

/// Writes the server of this folder into a file, also while it serves.
pub async fn write(folder: &Path, file: &Path, blobs: bool) -> Result<()> {
    let server = Server::find(folder)?;
    if !diptych_store::Store::exists(&server.config.storage.database, &server.folder).await? {
        return Err(
            Usage(format!("there is nothing in {} yet that could be kept", server.folder.display())).into()
        );
    }
    let mut configurations: Vec<SprintToml> = Vec::new();
    for sprint in server.sprints()? {
        let text = std::fs::read_to_string(sprint.folder.join("sprint.toml"))
            .with_context(|| format!("{} cannot be read", sprint.folder.display()))?;
        let name = match sprint.folder == server.folder {
            true => String::new(),
            false => sprint.folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        configurations.push((name, text));
    }
    let (store, images) = server.open().await?;
    let label = backup::write(&store, blobs.then_some(&images), &configurations, file).await?;
    store.close().await;
    print(&format!("{} holds {}\n", file.display(), says(&label)))
}

/// Brings a server back into this folder, which has none yet.
pub async fn read(folder: &Path, file: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let server = Server::find(folder)?;
    let (store, images) = server.open().await?;
    let (label, sprints) = backup::read(&store, &images, file).await?;
    store.close().await;
    let mut text = format!("{} is back: {}\n", server.folder.display(), says(&label));
    // Sprints in folders of their own belong to the server above them, which is one by its file.
    let many = server.folder.join("diptych.toml");
    if !server.hosts_many && sprints.iter().any(|(name, _)| !name.is_empty()) {
        std::fs::write(&many, "").with_context(|| format!("{} cannot be written", many.display()))?;
        text.push_str(&format!("{}, empty: put in it what stood in the one before\n", many.display()));
    }
    for (name, configuration) in sprints {
        let place = server.folder.join(name);
        let path = place.join("sprint.toml");
        // What somebody has put there is theirs.
        if path.exists() {
            text.push_str(&format!("{} was there already and is as it was\n", path.display()));
            continue;
        }
        std::fs::create_dir_all(&place).with_context(|| format!("{} cannot be made", place.display()))?;
        std::fs::write(&path, configuration)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        text.push_str(&format!("{}\n", path.display()));
    }
    print(&text)
}

fn says(label: &Label) -> String {
    let rows = |table: &str| label.rows.get(table).copied().unwrap_or(0);
    format!(
        "{} sprints, {} people, {} pairs, {} responses and {} images",
        rows("sprints"),
        rows("people"),
        rows("pairs"),
        rows("responses"),
        label.images
    )
}
