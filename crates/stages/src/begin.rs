//! Begin: the folder of a new sprint, and sprints that people propose.

use std::path::Path;

use diptych_core::config::{ModelConfig, Overrides, SprintConfig, edit, is_name, template};
use diptych_core::visible;
use diptych_store::proposals::{NewProposal, Proposal};
use diptych_text::templates;

use crate::collect;
use crate::phrase::Phrase;
use crate::{Result, StageError};

/// The most prompts of a proposal.
pub const MOST_PROMPTS: u64 = 20_000;

/// The most models of a proposal: every two of them are compared.
pub const MOST_MODELS: usize = 8;

/// The largest file of a proposal, in bytes.
pub const LARGEST_FILE: usize = 2 << 20;

/// The files that a proposal may bring.
pub const FORMATS: [&str; 5] = ["txt", "csv", "tsv", "json", "jsonl"];

/// Writes a sprint's folder: this `sprint.toml`, and the instructions for chat models, where there are none yet.
///
/// # Errors
/// Where there is a `sprint.toml` already, which stays as it is, or the folder cannot be written.
pub fn write(folder: &Path, sprint_toml: &str) -> Result<()> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |source| StageError::File { path, source }
    };
    let (file, instructions) = (folder.join("sprint.toml"), folder.join("templates"));
    if file.exists() {
        return Err(StageError::Refused(format!("{} exists already: nothing was changed", file.display())));
    }
    std::fs::create_dir_all(&instructions).map_err(at(&instructions))?;
    for (name, text) in
        [("style", templates::STYLE), ("simplified", templates::SIMPLIFIED), ("quality", templates::QUALITY)]
    {
        let file = instructions.join(format!("{name}.txt"));
        if !file.exists() {
            std::fs::write(&file, text).map_err(at(&file))?;
        }
    }
    // Last, so that a folder with one is whole.
    std::fs::write(&file, sprint_toml).map_err(at(&file))
}

/// The same with a file of prompts beside it; all of it is on the disk when this returns.
///
/// # Errors
/// As for [`write`].
pub fn write_with(folder: &Path, sprint_toml: &str, name: &str, prompts: &str) -> Result<()> {
    let list = folder.join(name);
    let file = |path: &Path, source| StageError::File { path: path.display().to_string(), source };
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&list, prompts))
        .map_err(|source| file(&list, source))?;
    write(folder, sprint_toml)?;
    let above = folder.parent().unwrap_or(folder);
    sync_below(folder)
        .and_then(|()| std::fs::File::open(above)?.sync_all())
        .map_err(|source| file(folder, source))
}

/// What the file of a proposal's prompts is called, by its format.
pub fn name_of_prompts(format: &str) -> String {
    format!("prompts.{format}")
}

fn sync_below(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { sync_below(&path)? } else { std::fs::File::open(&path)?.sync_all()? }
    }
    std::fs::File::open(folder)?.sync_all()
}

/// What somebody would like to begin is looked at before it is kept: its words, and whether its file is what its
/// name says. Gives it with its prompts counted, or what is wrong with it.
///
/// # Errors
/// Where no temporary file can be written.
pub fn look_at(mut proposal: NewProposal) -> Result<std::result::Result<NewProposal, Phrase>> {
    for text in [&mut proposal.title, &mut proposal.question, &mut proposal.about] {
        *text = visible(text);
    }
    proposal.models.sort_unstable();
    proposal.models.dedup();
    if let Some(flaw) = flaw_of_words(&proposal) {
        return Ok(Err(flaw));
    }
    let folder = tempfile::tempdir()
        .map_err(|source| StageError::File { path: "a temporary folder".to_owned(), source })?;
    let file = folder.path().join(format!("prompts.{}", proposal.format));
    std::fs::write(&file, &proposal.prompts)
        .map_err(|source| StageError::File { path: file.display().to_string(), source })?;
    let (prompts, others) = match collect::count("the file", &file) {
        Ok(counted) => counted,
        Err(error) => {
            let reason = match error {
                StageError::Source { reason, .. } => reason,
                other => other.to_string(),
            };
            return Ok(Err(Phrase::new("flaw_unreadable").with("reason", &reason)));
        }
    };
    if prompts == 0 {
        return Ok(Err(Phrase::new("flaw_no_prompt")));
    }
    if others > prompts {
        return Ok(Err(Phrase::new("flaw_mostly_others")));
    }
    if prompts > MOST_PROMPTS {
        return Ok(Err(Phrase::new("flaw_many_prompts").with("count", &prompts).with("most", &MOST_PROMPTS)));
    }
    proposal.prompt_count = i64::try_from(prompts).unwrap_or(i64::MAX);
    Ok(Ok(proposal))
}

/// What is wrong with all of it but the file.
fn flaw_of_words(proposal: &NewProposal) -> Option<Phrase> {
    let longer = |text: &str, most: usize| text.chars().count() > most;
    if proposal.title.is_empty() || longer(&proposal.title, 100) {
        return Some(Phrase::new("flaw_title").with("most", &100));
    }
    if proposal.question.is_empty() || longer(&proposal.question, 300) {
        return Some(Phrase::new("flaw_question").with("most", &300));
    }
    if longer(&proposal.about, 1000) {
        return Some(Phrase::new("flaw_about").with("most", &1000));
    }
    if !is_name(&proposal.slug) {
        return Some(Phrase::new("flaw_slug"));
    }
    if proposal.models.len() < 2 {
        return Some(Phrase::new("flaw_few_models"));
    }
    if proposal.models.len() > MOST_MODELS {
        return Some(Phrase::new("flaw_many_models").with("most", &MOST_MODELS));
    }
    (!FORMATS.contains(&proposal.format.as_str())).then(|| Phrase::new("flaw_format"))
}

/// The `sprint.toml` of a proposal, with these image models.
///
/// # Errors
/// [`StageError::Refused`] where what comes of it is no configuration.
pub fn sprint_toml(proposal: &Proposal, models: &[ModelConfig]) -> Result<String> {
    let source = name_of_prompts(&proposal.format);
    let plain = template::sprint_toml(&proposal.slug, "TITLE", &[source]);
    let words = [proposal.title.as_str(), &proposal.question, &proposal.about];
    let text =
        edit::with_words(&plain, words, models).map_err(|error| StageError::Refused(error.to_string()))?;
    SprintConfig::parse("sprint.toml", &text, &Overrides::none())
        .map_err(|error| StageError::Refused(error.to_string()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use diptych_core::PersonId;

    use super::*;

    fn proposal() -> NewProposal {
        NewProposal {
            person: PersonId::new(),
            slug: "birds".to_owned(),
            title: "Birds \u{202e}of\n the \"north\"".to_owned(),
            question: "Which bird?".to_owned(),
            about: String::new(),
            format: "txt".to_owned(),
            prompts: "a heron\na crane\n".to_owned(),
            prompt_count: 0,
            models: vec!["a/dev".to_owned(), "a/sd".to_owned()],
        }
    }

    #[test]
    fn a_proposal_is_looked_at_before_it_is_kept() {
        assert_eq!(look_at(proposal()).unwrap().unwrap().prompt_count, 2);
        let refused = |change: fn(&mut NewProposal)| {
            let mut proposal = proposal();
            change(&mut proposal);
            look_at(proposal).unwrap().unwrap_err()
        };
        for (change, name) in [
            ((|one| one.title = " ".to_owned()) as fn(&mut NewProposal), "flaw_title"),
            (|one| one.question = "?".repeat(301), "flaw_question"),
            (|one| one.about = "!".repeat(1001), "flaw_about"),
            (|one| one.slug = "../../etc".to_owned(), "flaw_slug"),
            (|one| one.models.truncate(1), "flaw_few_models"),
            (|one| one.models = (0..9).map(|n| n.to_string()).collect(), "flaw_many_models"),
            (|one| one.format = "parquet".to_owned(), "flaw_format"),
            (|one| one.prompts = String::new(), "flaw_unreadable"),
            (|one| one.prompts = "a prompt\n".repeat(20_001), "flaw_many_prompts"),
            // A text that says that it is something else.
            (|one| one.format = "jsonl".to_owned(), "flaw_no_prompt"),
            (|one| (one.format, one.prompts) = ("json".to_owned(), "{".to_owned()), "flaw_unreadable"),
        ] {
            assert_eq!(refused(change).name, name);
        }
        let many = refused(|one| one.prompts = "a prompt\n".repeat(20_001));
        assert_eq!(many.blanks, [("count", "20001".to_owned()), ("most", "20000".to_owned())]);
    }

    #[test]
    fn what_is_accepted_is_a_whole_configuration() {
        let text = template::sprint_toml("a", "A", &["p.txt".to_owned()]);
        let models = SprintConfig::parse("sprint.toml", &text, &Overrides::none()).unwrap().models;
        let proposal = look_at(proposal()).unwrap().unwrap();
        let proposal = Proposal {
            id: String::new(),
            person: String::new(),
            name: String::new(),
            slug: proposal.slug,
            title: proposal.title,
            question: proposal.question,
            about: "For everybody's \"good\"".to_owned(),
            format: proposal.format,
            prompt_count: proposal.prompt_count,
            models: String::new(),
            state: String::new(),
            note: String::new(),
            created_at: 0,
        };
        let text = sprint_toml(&proposal, &models).unwrap();
        let config = SprintConfig::parse("sprint.toml", &text, &Overrides::none()).unwrap();
        assert_eq!((config.sprint.slug, config.sprint.title), (proposal.slug, proposal.title));
        assert_eq!((config.annotate.about, config.models), (proposal.about, models));
        assert_eq!(config.collect.sources, ["prompts.txt"]);
        assert!(
            text.contains("# Where prompts come from") || text.contains("# txt, csv"),
            "its comments are kept"
        );
    }
}
