//! The `sprint.toml` that `diptych new` writes: every section present, commented, and running at
//! once on the embedded engines.

const TEMPLATE: &str = include_str!("template.toml");

/// The text of a new `sprint.toml`.
///
/// `sources` are the files of prompts, one at least.
pub fn sprint_toml(slug: &str, title: &str, sources: &[String]) -> String {
    let list = toml_list(sources);
    TEMPLATE.replace("{{slug}}", slug).replace("{{title}}", &toml_text(title)).replace("{{sources}}", &list)
}

/// The same with two text and two image classifiers switched on.
pub fn screened(sprint_toml: &str) -> String {
    let mut lines = Vec::new();
    for line in sprint_toml.lines() {
        match line
            .strip_prefix("# ")
            .filter(|line| line.starts_with("text = [") || line.starts_with("image = ["))
        {
            Some(on) => lines.push(on),
            None if line.starts_with("text = [") || line.starts_with("image = [") => {}
            None => lines.push(line),
        }
    }
    lines.join("\n") + "\n"
}

fn toml_list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| toml_text(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML basic string. JSON's escapes are a subset of TOML's, but for the escaped solidus, which
/// `serde_json` never writes.
fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, SprintConfig};

    #[test]
    fn the_template_is_a_valid_configuration_with_the_contracts_values() {
        let text =
            sprint_toml("my-sprint", "A \"quoted\" title", &["a b.jsonl".to_owned(), "c\\d.tsv".to_owned()]);
        let config = SprintConfig::parse("sprint.toml", &text, &Overrides::none()).unwrap();
        assert_eq!(config.sprint.title, "A \"quoted\" title");
        assert_eq!(config.collect.sources, ["a b.jsonl", "c\\d.tsv"]);
        assert!(text.contains("\nsources = [\"a b.jsonl\", \"c\\\\d.tsv\"]"), "on one line: {text}");
        let models: Vec<_> = config.models.iter().map(|m| (m.key.as_str(), m.name.as_str())).collect();
        assert_eq!(models, [("dev", "rehearsal/noto"), ("sd", "rehearsal/fluent")]);
        assert_eq!(config.screen.text[0].name, "lexicon");
        assert!(config.screen.image.is_empty());
        let on = SprintConfig::parse("sprint.toml", &screened(&text), &Overrides::none()).unwrap();
        assert_eq!(
            on.screen.text.iter().chain(&on.screen.image).map(|one| one.name.as_str()).collect::<Vec<_>>(),
            ["lexicon", "nsfw-prompt-detector", "open-nsfw", "adamcodd-nsfw"]
        );
        assert_eq!(on.screen.image[0].threshold, Some(0.8));
        for section in [
            "review", "sprint", "collect", "clean", "screen", "enhance", "[models]", "budget", "pair",
            "annotate", "look", "checks", "alerts",
        ] {
            assert!(text.contains(&format!("\n[{section}]")), "{section}");
        }
    }
}
