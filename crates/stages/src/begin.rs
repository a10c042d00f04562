//! Begin: the folder of a new sprint, and sprints that people propose.

use std::path::Path;

use diptych_core::config::{ModelConfig, Overrides, SprintConfig, edit, is_name, template};
use diptych_core::visible;
use diptych_store::proposals::{NewProposal, Proposal};
use diptych_text::templates;

use crate::collect;
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

/// What somebody would like to begin is looked at before it is kept: its words, and whether its file is what its
/// name says. Gives it with its prompts counted.
///
/// # Errors
/// [`StageError::Refused`] with what is wrong with it.
pub fn look_at(mut proposal: NewProposal) -> Result<NewProposal> {
    let refuse = |why: &str| Err(StageError::Refused(why.to_owned()));
    for text in [&mut proposal.title, &mut proposal.question, &mut proposal.about] {
        *text = visible(text);
    }
    let length = |text: &str| text.chars().count();
    if proposal.title.is_empty() || length(&proposal.title) > 100 {
        return refuse("Give it a title of at most 100 characters.");
    }
    if proposal.question.is_empty() || length(&proposal.question) > 300 {
        return refuse("Write the question that people answer, in at most 300 characters.");
    }
    if length(&proposal.about) > 1000 {
        return refuse("Say what the answers are for in at most 1,000 characters.");
    }
    if !is_name(&proposal.slug) {
        return refuse("The short name may have lower-case letters, digits, - and _, at most 64.");
    }
    proposal.models.sort_unstable();
    proposal.models.dedup();
    if proposal.models.len() < 2 {
        return refuse("Choose at least two image models: people compare one with another.");
    }
    if proposal.models.len() > MOST_MODELS {
        return Err(StageError::Refused(format!("Choose at most {MOST_MODELS} image models.")));
    }
    if !FORMATS.contains(&proposal.format.as_str()) {
        return refuse("The prompts must be a file that ends in .txt, .csv, .tsv, .json or .jsonl.");
    }
    let folder = tempfile::tempdir()
        .map_err(|source| StageError::File { path: "a temporary folder".to_owned(), source })?;
    let file = folder.path().join(format!("prompts.{}", proposal.format));
    std::fs::write(&file, &proposal.prompts)
        .map_err(|source| StageError::File { path: file.display().to_string(), source })?;
    let (prompts, others) = collect::count("the file", &file)
        .map_err(|error| match error {
            StageError::Source { reason, .. } => format!("The file of prompts cannot be read: {reason}."),
            other => format!("The file of prompts cannot be read: {other}."),
        })
        .map_err(StageError::Refused)?;
    if prompts == 0 {
        return refuse(
            "No prompt was found in the file. One with columns or fields needs one that is named `prompt`.",
        );
    }
    if others > prompts {
        return refuse(
            "Most of the file's rows hold no prompt: it may be another kind of file than its name says.",
        );
    }
    if prompts > MOST_PROMPTS {
        return Err(StageError::Refused(format!(
            "There are {prompts} prompts; at most {MOST_PROMPTS} may be proposed."
        )));
    }
    proposal.prompt_count = i64::try_from(prompts).unwrap_or(i64::MAX);
    Ok(proposal)
}

/// The `sprint.toml` of a proposal, with these image models.
///
/// # Errors
/// [`StageError::Refused`] where what comes of it is no configuration.
pub fn sprint_toml(proposal: &Proposal, models: &[ModelConfig]) -> Result<String> {
    let source = format!("prompts.{}", proposal.format);
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
        assert_eq!(look_at(proposal()).unwrap().prompt_count, 2);
        let refused = |change: fn(&mut NewProposal)| {
            let mut proposal = proposal();
            change(&mut proposal);
            look_at(proposal).unwrap_err().to_string()
        };
        assert!(refused(|one| one.title = " ".to_owned()).contains("title"));
        assert!(refused(|one| one.question = "?".repeat(301)).contains("question"));
        assert!(refused(|one| one.slug = "../../etc".to_owned()).contains("short name"));
        assert!(refused(|one| one.models.truncate(1)).contains("two image models"));
        assert!(refused(|one| one.format = "parquet".to_owned()).contains(".jsonl"));
        assert!(refused(|one| one.prompts = String::new()).contains("no rows"));
        assert!(refused(|one| one.prompts = "a prompt\n".repeat(20_001)).contains("at most 20000"));
        // A text that says that it is something else.
        assert!(refused(|one| one.format = "jsonl".to_owned()).contains("No prompt"));
        assert!(
            refused(|one| (one.format, one.prompts) = ("json".to_owned(), "{".to_owned()))
                .contains("cannot be read")
        );
    }

    #[test]
    fn what_is_accepted_is_a_whole_configuration() {
        let text = template::sprint_toml("a", "A", &["p.txt".to_owned()]);
        let models = SprintConfig::parse("sprint.toml", &text, &Overrides::none()).unwrap().models;
        let proposal = look_at(proposal()).unwrap();
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
