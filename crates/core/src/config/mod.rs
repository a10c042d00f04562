//! `diptych.toml` and `sprint.toml`: from text to checked values, with errors that point at the line.
//!
//! Files and environment variables are handed in as text; this crate opens nothing itself.

mod annotate;
pub mod edit;
mod look;
mod overlap;
mod overrides;
mod screen;
mod server;
mod sprint;
pub mod template;

use std::fmt::Write as _;

use serde::de::DeserializeOwned;

pub use annotate::{AlertsConfig, AnnotateConfig, ChecksConfig, Leaving};
pub use look::{Colour, LookConfig, NoColour};
pub use overlap::Overlap;
pub use overrides::{Overrides, VARIABLE_PREFIX};
pub use screen::{
    ClassifierConfig, ClassifierUse, IMAGE_CLASSIFIERS, Removes, ReviewConfig, ScreenConfig, TEXT_CLASSIFIERS,
};
pub use server::{LimitsConfig, Names, OpenIdConfig, ServeConfig, ServerConfig, SignInConfig, StorageConfig};
pub use sprint::{
    BudgetConfig, ChatConfig, CleanConfig, CollectConfig, EnhanceConfig, LANGUAGES, LengthConfig,
    ModelConfig, ModelPairs, PairConfig, Price, SprintConfig, SprintSection, is_name,
};

/// A configuration that cannot be used. Its text names the file, the line where there is one, and
/// what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

/// A configuration file's own checks, after its shape is right.
pub(crate) trait Checked: DeserializeOwned {
    /// Says what is wrong, each with the key that it is about.
    fn problems(&self) -> Vec<Problem>;
}

/// One thing that is wrong with a value.
pub(crate) struct Problem {
    /// The key's path, for instance `["models", "1", "key"]`.
    path: Vec<String>,
    message: String,
}

impl Problem {
    fn new(path: &[&str], message: impl Into<String>) -> Self {
        Self { path: path.iter().map(ToString::to_string).collect(), message: message.into() }
    }
}

impl SprintConfig {
    /// Reads a `sprint.toml`. `file` is the name used in errors.
    ///
    /// # Errors
    /// Where the text is no TOML, a key is unknown or missing, or a value is out of its range.
    pub fn parse(file: &str, text: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        parse(file, text, overrides)
    }
}

impl ServerConfig {
    /// Reads a `diptych.toml`. `file` is the name used in errors.
    ///
    /// # Errors
    /// Where the text is no TOML, a key is unknown or missing, or a value is out of its range.
    pub fn parse(file: &str, text: &str, overrides: &Overrides) -> Result<Self, ConfigError> {
        parse(file, text, overrides)
    }
}

fn parse<T: Checked>(file: &str, text: &str, overrides: &Overrides) -> Result<T, ConfigError> {
    let mut config: T = toml::from_str(text).map_err(|error| at_line(file, text, &error))?;
    if !overrides.is_empty() {
        let table: toml::Table = toml::from_str(text).map_err(|error| at_line(file, text, &error))?;
        config = overrides.apply(file, table)?;
    }
    let problems = config.problems();
    if problems.is_empty() {
        return Ok(config);
    }
    let mut message = String::new();
    for problem in problems {
        let key = problem.path.join(".");
        let place =
            match (overrides.variable_of(&problem.path, &config_table(text)), line_of(text, &problem.path)) {
                (Some(variable), _) => format!("environment variable {variable}"),
                (None, Some(line)) => format!("{file}:{line}"),
                (None, None) => file.to_owned(),
            };
        let _ = writeln!(message, "{place}: `{key}`: {}", problem.message);
    }
    Err(ConfigError(message.trim_end().to_owned()))
}

/// The text as a table; it was read before, so it is one.
fn config_table(text: &str) -> toml::Table {
    toml::from_str(text).unwrap_or_default()
}

/// An error of the TOML reader with its line, the line's text, and the nearest known key.
fn at_line(file: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let Some(span) = error.span() else {
        return ConfigError(format!("{file}: {}{}", error.message(), nearest_hint(error.message())));
    };
    let start = span.start.min(text.len());
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[..start].matches('\n').count() + 1;
    let line_text = text[line_start..].lines().next().unwrap_or_default();
    let column = text[line_start..start].chars().count();
    let width = text.get(span).map_or(1, |marked| marked.lines().next().unwrap_or_default().chars().count());
    let marker = "^".repeat(width.max(1));
    ConfigError(format!(
        "{file}:{line}: {}{}\n  |\n  | {line_text}\n  | {:column$}{marker}",
        error.message(),
        nearest_hint(error.message()),
        ""
    ))
}

/// `; did you mean …?` for serde's "unknown field `x`, expected one of `a`, `b`".
fn nearest_hint(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, known)) if message.starts_with("unknown ") => {
            nearest(unknown, known).map_or(String::new(), |near| format!("; did you mean `{near}`?"))
        }
        _ => String::new(),
    }
}

/// The known word nearest to `word`, where one is near enough to have been meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The line on which the value at `path` stands, found by reading the text as spanned TOML.
fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let (first, rest) = path.split_first()?;
    let mut value = document.get_ref().get(first.as_str())?;
    for key in rest {
        let next = match value.get_ref() {
            toml::de::DeValue::Table(table) => table.get(key.as_str()),
            toml::de::DeValue::Array(array) => key.parse::<usize>().ok().and_then(|index| array.get(index)),
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => break,
        }
    }
    Some(text[..value.span().start.min(text.len())].matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("testdata/sprint.toml");

    fn error(text: &str) -> String {
        SprintConfig::parse("sprint.toml", text, &Overrides::none()).unwrap_err().to_string()
    }

    #[test]
    fn the_contracts_example_is_read() {
        let config = SprintConfig::parse("sprint.toml", GOOD, &Overrides::none()).unwrap();
        assert_eq!(config.sprint.slug, "open-image-preferences");
        assert_eq!(config.models.len(), 2);
        assert_eq!(config.models[0].guidance[&crate::Evolution::Simplified], 3.5);
        assert_eq!(config.chat["writer"].concurrency, 50);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
        let message = error(&GOOD.replace("limit = 15000", "limt = 15000"));
        assert!(message.contains("sprint.toml:10:"), "{message}");
        assert!(message.contains("unknown field `limt`"), "{message}");
        assert!(message.contains("did you mean `limit`?"), "{message}");
        assert!(message.contains("  | limt = 15000"), "{message}");
    }

    #[test]
    fn a_model_key_that_stands_twice_is_named_with_its_line() {
        let message = error(&GOOD.replace("key = \"sd\"", "key = \"dev\""));
        assert!(message.contains("`models.1.key`"), "{message}");
        assert!(message.contains("stands twice"), "{message}");
        let line = GOOD.lines().position(|line| line.contains("key = \"sd\"")).unwrap() + 1;
        assert!(message.contains(&format!("sprint.toml:{line}:")), "{message}");
    }

    #[test]
    fn a_secret_in_the_file_is_refused() {
        let message = error(&GOOD.replace("api_key_env = \"WRITER_API_KEY\"", "api_key = \"sk-123\""));
        assert!(message.contains("unknown field `api_key`"), "{message}");
        assert!(message.contains("api_key_env"), "{message}");
    }

    #[test]
    fn values_out_of_range_are_all_named_at_once() {
        let message = error(
            &GOOD
                .replace("near_duplicates = 0.8", "near_duplicates = 1.8")
                .replace("overlap = 3", "overlap = 0"),
        );
        assert!(message.contains("`clean.near_duplicates`"), "{message}");
        assert!(message.contains("`annotate.overlap`"), "{message}");
    }

    #[test]
    fn a_language_that_cannot_be_told_is_named_with_its_line() {
        let message = error(&GOOD.replace("languages = [\"en\"]", "languages = [\"en\", \"xx\"]"));
        let line = GOOD.lines().position(|line| line.contains("languages = ")).unwrap() + 1;
        assert!(message.contains(&format!("sprint.toml:{line}: `clean.languages.1`")), "{message}");
        assert!(message.contains("there is no `xx`"), "{message}");
    }

    #[test]
    fn the_environment_overrides_any_value() {
        let overrides = Overrides::from_variables([
            ("DIPTYCH_ANNOTATE__OVERLAP".to_owned(), "5".to_owned()),
            ("DIPTYCH_CLEAN__LENGTH__MAX".to_owned(), "77".to_owned()),
            ("DIPTYCH_MODELS__DEV__STEPS".to_owned(), "4".to_owned()),
            ("DIPTYCH_COLLECT__SOURCES".to_owned(), "[\"a.txt\"]".to_owned()),
            ("DIPTYCH_SPRINT__TITLE".to_owned(), "Plain words".to_owned()),
            ("DIPTYCH_MODELS".to_owned(), "somewhere".to_owned()),
            ("DIPTYCH_STORAGE__DATABASE".to_owned(), "sqlite:x.db".to_owned()),
        ]);
        let config = SprintConfig::parse("sprint.toml", GOOD, &overrides).unwrap();
        assert_eq!(config.annotate.overlap, Overlap::of(5));
        assert_eq!(config.clean.length.max, 77);
        assert_eq!(config.models[0].steps, Some(4));
        assert_eq!(config.collect.sources, ["a.txt"]);
        assert_eq!(config.sprint.title, "Plain words");
    }

    #[test]
    fn a_name_with_capitals_and_a_text_of_digits_can_be_overridden() {
        let overrides = Overrides::from_variables([
            ("DIPTYCH_CHAT__WRITER__MODEL".to_owned(), "other".to_owned()),
            ("DIPTYCH_SPRINT__TITLE".to_owned(), "2024".to_owned()),
        ]);
        let text = GOOD.replace("[chat.writer]", "[chat.Writer]").replace("\"writer\"", "\"Writer\"");
        let config = SprintConfig::parse("sprint.toml", &text, &overrides).unwrap();
        assert_eq!(config.chat["Writer"].model, "other");
        assert_eq!(config.sprint.title, "2024");
    }

    #[test]
    fn a_value_out_of_range_from_the_environment_is_laid_to_its_variable() {
        for (variable, value) in
            [("DIPTYCH_ANNOTATE__OVERLAP", "0"), ("DIPTYCH_MODELS__DEV__CONCURRENCY", "0")]
        {
            let overrides = Overrides::from_variables([(variable.to_owned(), value.to_owned())]);
            let message = SprintConfig::parse("sprint.toml", GOOD, &overrides).unwrap_err().to_string();
            assert!(message.starts_with(&format!("environment variable {variable}")), "{message}");
        }
    }

    #[test]
    fn a_wrong_override_names_its_variable() {
        let overrides =
            Overrides::from_variables([("DIPTYCH_ANNOTATE__OVERLAPP".to_owned(), "5".to_owned())]);
        let message = SprintConfig::parse("sprint.toml", GOOD, &overrides).unwrap_err().to_string();
        assert!(message.contains("DIPTYCH_ANNOTATE__OVERLAPP"), "{message}");
        let overrides = Overrides::from_variables([("DIPTYCH_ANOTATE__OVERLAP".to_owned(), "5".to_owned())]);
        let message = overrides.unknown_sections().unwrap_err().to_string();
        assert!(message.contains("DIPTYCH_ANOTATE__OVERLAP") && message.contains("annotate"), "{message}");
    }

    #[test]
    fn text_that_is_no_toml_is_an_error_with_its_line() {
        assert!(error("[sprint\n").contains("sprint.toml:1:"));
        assert!(error("").contains("missing field `sprint`"));
    }
}
