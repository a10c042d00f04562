//! `DIPTYCH_<SECTION>__<KEY>`: every configured value can be overridden by an environment variable.

use serde::de::DeserializeOwned;

use super::{ConfigError, nearest, nearest_hint};

/// What the names of all our environment variables begin with.
pub const VARIABLE_PREFIX: &str = "DIPTYCH_";

const SPRINT_SECTIONS: &[&str] = &[
    "sprint",
    "collect",
    "clean",
    "screen",
    "enhance",
    "chat",
    "models",
    "budget",
    "pair",
    "annotate",
    "classifiers",
    "review",
    "checks",
    "alerts",
    "look",
];
const SERVER_SECTIONS: &[&str] = &["storage", "serve", "sign_in", "limits", "engines"];

/// The overrides that stand in the environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The variable's whole name, its path in lower case, its value.
    entries: Vec<(String, Vec<String>, String)>,
}

impl Overrides {
    /// None at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those among the environment's variables that are configuration: a name without `__` is not.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut entries: Vec<_> = variables
            .into_iter()
            .filter_map(|(name, value)| {
                let rest = name.strip_prefix(VARIABLE_PREFIX)?;
                let path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
                (path.len() > 1).then_some((name, path, value))
            })
            .collect();
        entries.sort();
        Self { entries }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The variable that has set the value at this path, where one has.
    pub(super) fn variable_of(&self, path: &[String], table: &toml::Table) -> Option<&str> {
        // In `models.1.key`, the variable may say the model's key in place of its number.
        let key = match (path.first().map(String::as_str), path.get(1)) {
            (Some("models"), Some(place)) => table
                .get("models")
                .and_then(|models| models.get(place.parse::<usize>().ok()?)?.get("key")?.as_str()),
            _ => None,
        };
        let same = |(place, (wanted, said)): (usize, (&String, &String))| {
            wanted.eq_ignore_ascii_case(said)
                || (place == 1 && key.is_some_and(|key| key.eq_ignore_ascii_case(said)))
        };
        self.entries
            .iter()
            .find(|(_, said, _)| said.len() <= path.len() && path.iter().zip(said).enumerate().all(same))
            .map(|(name, ..)| name.as_str())
    }

    /// Refuses variables whose section neither file knows.
    ///
    /// # Errors
    /// Names the variable and the nearest section.
    pub fn unknown_sections(&self) -> Result<(), ConfigError> {
        let known: Vec<&str> = SPRINT_SECTIONS.iter().chain(SERVER_SECTIONS).copied().collect();
        for (name, path, _) in &self.entries {
            if !known.contains(&path[0].as_str()) {
                let hint = nearest(&path[0], &known).map_or_else(
                    || format!("sections: {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(ConfigError(format!(
                    "environment variable {name}: there is no section `{}`; {hint}",
                    path[0]
                )));
            }
        }
        Ok(())
    }

    /// Puts the overrides that concern this file into its table and reads it again, one by one so
    /// that an error names its variable.
    pub(super) fn apply<T: DeserializeOwned>(
        &self,
        file: &str,
        mut table: toml::Table,
    ) -> Result<T, ConfigError> {
        let sections = if file.ends_with("diptych.toml") { SERVER_SECTIONS } else { SPRINT_SECTIONS };
        for (name, path, value) in
            self.entries.iter().filter(|(_, path, _)| sections.contains(&path[0].as_str()))
        {
            let refuse = |reason: String| ConfigError(format!("environment variable {name}: {reason}"));
            let before = table.clone();
            set(&mut table, path, literal(value)).map_err(refuse)?;
            let mut read = T::deserialize(table.clone());
            if read.is_err() {
                // A title may be `2024`: what is no value of the wanted kind may be a text of it.
                let mut as_text = before;
                set(&mut as_text, path, toml::Value::String(value.clone())).map_err(refuse)?;
                if let Ok(config) = T::deserialize(as_text.clone()) {
                    (table, read) = (as_text, Ok(config));
                }
            }
            read.map_err(|error: toml::de::Error| {
                let message = error.message();
                ConfigError(format!(
                    "environment variable {name}={value}: {message}{}",
                    nearest_hint(message)
                ))
            })?;
        }
        T::deserialize(table)
            .map_err(|error: toml::de::Error| ConfigError(format!("{file}: {}", error.message())))
    }
}

/// The variable's text as a TOML value (`3`, `true`, `["en"]`) where it is one, else as a string.
fn literal(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn set(table: &mut toml::Table, path: &[String], value: toml::Value) -> Result<(), String> {
    let Some((key, rest)) = path.split_first() else { return Ok(()) };
    // Variables are in capitals, and a name in a file may have some.
    let key = &table.keys().find(|known| known.eq_ignore_ascii_case(key)).unwrap_or(key).clone();
    if rest.is_empty() {
        table.insert(key.clone(), value);
        return Ok(());
    }
    match table.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new())) {
        toml::Value::Table(inner) => set(inner, rest, value),
        // `[[models]]`: the next part of the path is a model's key or its place in the list.
        toml::Value::Array(items) => {
            let place = items
                .iter()
                .position(|item| {
                    item.get("key")
                        .and_then(toml::Value::as_str)
                        .is_some_and(|k| k.eq_ignore_ascii_case(&rest[0]))
                })
                .or_else(|| rest[0].parse().ok())
                .filter(|place| *place < items.len());
            match place.and_then(|place| items[place].as_table_mut()) {
                Some(item) => set(item, &rest[1..], value),
                None => Err(format!("`{key}` has no entry `{}`", rest[0])),
            }
        }
        _ => Err(format!("`{key}` is a value, not a section")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ServerConfig, SprintConfig};
    use super::*;

    /// What a file may hold, as its reader says.
    fn known(error: &ConfigError) -> Vec<String> {
        let text = error.to_string();
        let (_, listed) = text.split_once("expected").unwrap_or_else(|| panic!("{text}"));
        listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_section_of_either_file_can_be_overridden() {
        let nothing = Overrides::none();
        let sprint = SprintConfig::parse("sprint.toml", "[nothing]\n", &nothing).unwrap_err();
        let server = ServerConfig::parse("diptych.toml", "[nothing]\n", &nothing).unwrap_err();
        for (error, sections) in [(sprint, SPRINT_SECTIONS), (server, SERVER_SECTIONS)] {
            let (mut known, mut sections) = (known(&error), sections.to_vec());
            known.sort();
            sections.sort_unstable();
            assert_eq!(known, sections);
        }
    }
}
