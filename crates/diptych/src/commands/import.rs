//! `diptych import`: what exists already becomes a sprint.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use diptych_core::Stage;
use diptych_stages::ctx::Progress;
use diptych_stages::import;

use super::print;
use crate::Usage;
use crate::args::Import;

/// Takes it in, and runs the sprint to its pairs.
pub async fn run(folder: &Path, what: Import, progress: Arc<dyn Progress>) -> Result<()> {
    let Import::Images { models, prompts } = what;
    let config = folder.join("sprint.toml");
    if config.exists() {
        let config = config.display();
        return Err(Usage(format!(
            "{config} exists already: name a new folder with -C; nothing was changed"
        ))
        .into());
    }
    let mut named: Vec<(String, PathBuf)> = Vec::new();
    for model in &models {
        let (key, dir) = model
            .split_once('=')
            .ok_or_else(|| Usage(format!("--model {model}: write KEY=DIR, for instance dev=images/dev")))?;
        if !diptych_core::config::is_name(key) {
            return Err(Usage(format!(
                "--model {model}: the key `{key}` may have lower-case letters, digits, `-` and `_`, at most 64"
            ))
            .into());
        }
        if named.iter().any(|(known, _)| known == key) {
            return Err(Usage(format!("the model key `{key}` stands twice; give each model its own")).into());
        }
        if !Path::new(dir).is_dir() {
            return Err(Usage(format!("--model {model}: there is no folder {dir}")).into());
        }
        named.push((key.to_owned(), std::path::absolute(dir)?));
    }
    if named.len() < 2 {
        return Err(Usage("a comparison needs at least two models: give --model twice".to_owned()).into());
    }
    let plan = import::plan(&named, prompts.as_deref())?;
    let name = std::path::absolute(folder)?
        .file_name()
        .map_or_else(|| "imported".to_owned(), |name| name.to_string_lossy().into_owned());
    import::write(folder, &super::new::slug_of(&name), &named, &plan)?;
    let mut text = String::new();
    for unmatched in &plan.unmatched {
        text.push_str(&format!("left out: {unmatched}\n"));
    }
    text.push_str(&format!(
        "prompts with an image of each model: {}; left out: {}\n",
        plan.rows.len(),
        plan.unmatched.len()
    ));
    print(&text)?;
    super::run::run(folder, Stage::ALL, None, false, progress).await
}
