//! What people are told before they begin, and agree to.

use diptych_core::UnitKey;
use diptych_core::config::SprintConfig;

/// What people agree to before they answer in a sprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Changes with every word of it.
    pub version: String,
    /// What is said, a paragraph each.
    pub paragraphs: Vec<String>,
    /// The age that people say they have, in years; none where it does not matter.
    pub minimum_age: Option<u8>,
}

impl Terms {
    /// Those of a sprint.
    pub fn of(config: &SprintConfig) -> Self {
        let sprint = &config.sprint;
        let about = match config.annotate.about.trim() {
            "" => {
                "Your answers become an open dataset of what people prefer, for those who make and study image models."
            }
            about => about,
        };
        let mut paragraphs = vec![
            about.to_owned(),
            format!(
                "You give your answers under {}: everybody may use them. They are published under a pseudonym, never under your \
                 name, unless you ask for your name to be shown.",
                sprint.license
            ),
            "The pictures are made by machines from prompts that people wrote. Some may disturb you, even where they \
             were screened: report those that nobody should see, and stop whenever you like."
                .to_owned(),
        ];
        if let Some(age) = config.annotate.minimum_age {
            paragraphs.push(format!("I am at least {age} years old."));
        }
        let whole: Vec<&str> =
            [&sprint.title, &sprint.question].into_iter().chain(&paragraphs).map(String::as_str).collect();
        let version = UnitKey::of(&whole).as_str()[..16].to_owned();
        Self { version, paragraphs, minimum_age: config.annotate.minimum_age }
    }

    /// As one text, which is kept with who has agreed to it.
    pub fn text(&self) -> String {
        self.paragraphs.join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use diptych_core::config::{Overrides, template};

    use super::*;

    #[test]
    fn other_words_are_another_version() {
        let text = template::sprint_toml("birds", "Birds", &["prompts.txt".to_owned()]);
        let of =
            |text: &str| Terms::of(&SprintConfig::parse("sprint.toml", text, &Overrides::none()).unwrap());
        let terms = of(&text);
        assert_eq!(of(&text), terms);
        assert!(terms.text().contains("Apache-2.0"), "{}", terms.text());
        let aged = of(&text.replace("[annotate]", "[annotate]\nminimum_age = 18"));
        assert!(aged.text().ends_with("I am at least 18 years old."), "{}", aged.text());
        assert_ne!(aged.version, terms.version);
        let about = of(&text.replace("[annotate]", "[annotate]\nabout = \"For birds.\""));
        assert!(about.text().starts_with("For birds."));
        assert_ne!(about.version, terms.version);
    }
}
