//! Changing one value of a `sprint.toml` that people have written: all the rest stays as it stands.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

use super::{ConfigError, ModelConfig};

/// The text with this title, question, and image models; with what the answers are for, where that is said.
///
/// # Errors
/// Where the text is no TOML, or a model cannot be written as such.
pub fn with_words(
    text: &str,
    [title, question, about]: [&str; 3],
    models: &[ModelConfig],
) -> Result<String, ConfigError> {
    let wrong = |error: &dyn std::fmt::Display| ConfigError(format!("sprint.toml: {error}"));
    let mut document: DocumentMut = text.parse().map_err(|error| wrong(&error))?;
    document["sprint"]["title"] = value(title);
    document["sprint"]["question"] = value(question);
    if !about.is_empty() {
        document["annotate"]["about"] = value(about);
    }
    // They stand where the first one stood.
    let place = document["models"].as_array_of_tables().and_then(|tables| tables.get(0)?.position());
    let mut tables = ArrayOfTables::new();
    for model in models {
        let text = toml::to_string(model).map_err(|error| wrong(&error))?;
        let mut table = text.parse::<DocumentMut>().map_err(|error| wrong(&error))?.as_table().clone();
        for (_, item) in table.iter_mut() {
            item.make_value();
        }
        table.decor_mut().set_prefix("\n");
        table.set_position(place.unwrap_or(usize::MAX));
        tables.push(table);
    }
    document["models"] = Item::ArrayOfTables(tables);
    Ok(document.to_string())
}

/// The text with another threshold for this classifier, wherever `[screen]` lists it.
///
/// # Errors
/// Where the text is no TOML, or does not list the classifier.
pub fn with_threshold(text: &str, classifier: &str, threshold: f64) -> Result<String, ConfigError> {
    let mut document: DocumentMut =
        text.parse().map_err(|error| ConfigError(format!("sprint.toml: {error}")))?;
    let mut changed = false;
    if let Some(Item::Table(screen)) = document.get_mut("screen") {
        for kind in ["text", "image"] {
            changed |= match screen.get_mut(kind) {
                Some(Item::Value(Value::Array(listed))) => in_array(listed, classifier, threshold),
                Some(Item::ArrayOfTables(listed)) => {
                    let mut tables = listed.iter_mut();
                    let named =
                        |table: &&mut Table| table.get("use").and_then(Item::as_str) == Some(classifier);
                    tables.find(named).map(|table| table.insert("threshold", value(threshold))).is_some()
                }
                _ => false,
            };
        }
    }
    if changed {
        return Ok(document.to_string());
    }
    Err(ConfigError(format!("`{classifier}` does not stand in [screen] of sprint.toml: name it there first")))
}

fn in_array(listed: &mut Array, classifier: &str, threshold: f64) -> bool {
    for entry in listed.iter_mut() {
        match entry {
            Value::InlineTable(table) if table.get("use").and_then(Value::as_str) == Some(classifier) => {
                table.insert("threshold", threshold.into());
                return true;
            }
            Value::String(name) if name.value() == classifier => {
                let mut table = InlineTable::new();
                table.insert("use", classifier.into());
                table.insert("threshold", threshold.into());
                let around = entry.decor().clone();
                *entry = Value::InlineTable(table);
                *entry.decor_mut() = around;
                return true;
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_threshold_changes_and_nothing_else() {
        let text = "# ours\n[screen]\ntext = [\"lexicon\"] # words\nimage = [\n  { use = \"open-nsfw\", threshold = 0.8 }, # mild\n  \"falconsai-nsfw\",\n]\n";
        let changed = with_threshold(text, "open-nsfw", 0.65).unwrap();
        assert_eq!(changed, text.replace("0.8", "0.65"));
        let changed = with_threshold(text, "falconsai-nsfw", 1.0).unwrap();
        assert_eq!(
            changed,
            text.replace("\"falconsai-nsfw\"", "{ use = \"falconsai-nsfw\", threshold = 1.0 }")
        );
        let tables = "[[screen.image]]\nuse = \"open-nsfw\"\n";
        assert_eq!(with_threshold(tables, "open-nsfw", 0.5).unwrap(), format!("{tables}threshold = 0.5\n"));
        for text in [text, "", "[screen]\n", "[screen"] {
            assert!(with_threshold(text, "unknown", 0.5).is_err());
        }
    }
}
