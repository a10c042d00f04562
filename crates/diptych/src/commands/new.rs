//! `diptych new`: a folder with a commented `sprint.toml` that runs at once.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use diptych_core::config::template;
use diptych_stages::begin;

use super::demo::PROMPTS;
use super::print;
use crate::Usage;
use crate::args::Template;

/// Makes the folder.
pub fn run(folder: &Path, prompts: &[PathBuf], template: Template) -> Result<()> {
    let file = folder.join("sprint.toml");
    if file.exists() {
        return Err(Usage(format!("{} exists already: nothing was changed", file.display())).into());
    }
    for prompts in prompts {
        let name = prompts.to_string_lossy();
        if !name.contains("://") && !name.contains(['*', '?']) && !prompts.is_file() {
            return Err(Usage(format!("--prompts {name}: there is no such file")).into());
        }
    }
    let name = std::path::absolute(folder)?
        .file_name()
        .map_or_else(|| "sprint".to_owned(), |name| name.to_string_lossy().into_owned());
    let slug = slug_of(&name);
    let title = title_of(&slug);
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut sources: Vec<String> =
        prompts.iter().map(|prompts| source(prompts, folder)).collect::<Result<_>>()?;
    let own = ["prompts.jsonl", "prompts.txt"].into_iter().find(|name| folder.join(name).exists());
    let examples = sources.is_empty() && own.is_none();
    if examples {
        let list = folder.join("prompts.txt");
        std::fs::write(&list, PROMPTS).with_context(|| format!("{} cannot be written", list.display()))?;
    }
    if sources.is_empty() {
        sources.push(own.unwrap_or("prompts.txt").to_owned());
    }
    let plain = template::sprint_toml(&slug, &title, &sources);
    let text = match template {
        Template::Plain => plain,
        Template::Screened => template::screened(&plain),
    };
    begin::write(folder, &text)?;
    let folder = folder.display();
    print(&format!(
        "{} is written; {}.\n{}Next:\n  diptych run -C {folder} --first 10    # and look at the contact sheet\n  diptych run -C {folder}\n  diptych serve -C {folder}\n",
        file.display(),
        match template {
            Template::Plain => "it runs as it is",
            Template::Screened =>
                "bring its classifiers with `diptych models fetch nsfw-prompt-detector open-nsfw adamcodd-nsfw`",
        },
        if examples {
            "Its prompts.txt holds prompts to try it with: put yours in their place.\n"
        } else {
            ""
        },
    ))
}

/// A source as the configuration names it: an address as it is, a file below the sprint's folder by its path
/// from there, so that the folder can be moved, and any other file by its whole path.
fn source(prompts: &Path, folder: &Path) -> Result<String> {
    let name = prompts.to_string_lossy();
    if name.contains("://") {
        return Ok(name.into_owned());
    }
    let (file, folder) = (std::path::absolute(prompts)?, std::path::absolute(folder)?);
    Ok(file.strip_prefix(&folder).unwrap_or(&file).to_string_lossy().into_owned())
}

pub fn slug_of(name: &str) -> String {
    let slug: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "sprint".to_owned() } else { slug.chars().take(64).collect() }
}

fn title_of(slug: &str) -> String {
    let words = slug.replace('-', " ");
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_slugs_and_titles() {
        assert_eq!(slug_of("My Sprint (2)"), "my-sprint--2");
        assert_eq!(slug_of("日本"), "sprint");
        assert_eq!(title_of("my-sprint"), "My sprint");
    }
}
