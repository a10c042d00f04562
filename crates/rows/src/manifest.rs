//! A list of pictures and the prompts that they were made of, as `metadata.csv` beside a folder of them.

use std::path::Path;

/// How the rows of such a list stand in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Separated by this, under a header.
    Separated(u8),
    /// A JSON object a line.
    JsonLines,
}

/// The stems of the pictures' names (from `stem`, `file_name` or `file`), each with its `prompt`.
///
/// # Errors
/// What is wrong with the list.
pub fn manifest(text: &str, listed: Listed) -> Result<Vec<(String, String)>, String> {
    match listed {
        Listed::JsonLines => {
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(of_json).collect()
        }
        Listed::Separated(by) => separated(text, by),
    }
}

fn of_json((place, line): (usize, &str)) -> Result<(String, String), String> {
    let number = place + 1;
    let row: serde_json::Value =
        serde_json::from_str(line).map_err(|error| format!("row {number} is no JSON: {error}"))?;
    let field = |name: &str| row.get(name).and_then(serde_json::Value::as_str);
    let stem = field("stem")
        .map(ToOwned::to_owned)
        .or_else(|| field("file_name").or_else(|| field("file")).map(stem_of));
    match (stem, field("prompt")) {
        (Some(stem), Some(prompt)) => Ok((stem, prompt.to_owned())),
        _ => Err(format!("row {number} lacks `stem` (or `file_name`) or `prompt`")),
    }
}

fn separated(text: &str, by: u8) -> Result<Vec<(String, String)>, String> {
    let mut csv = csv::ReaderBuilder::new().delimiter(by).from_reader(text.as_bytes());
    let header = csv.headers().map_err(|error| error.to_string())?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let (Some(stem), Some(prompt)) =
        (place("stem").or_else(|| place("file_name")).or_else(|| place("file")), place("prompt"))
    else {
        let columns: Vec<&str> = header.iter().collect();
        let columns = columns.join(", ");
        return Err(format!("it needs the columns `stem` (or `file_name`) and `prompt`; it has: {columns}"));
    };
    let mut rows = Vec::new();
    for record in csv.records() {
        let record = record.map_err(|error| error.to_string())?;
        if let (Some(stem), Some(prompt)) = (record.get(stem), record.get(prompt)) {
            rows.push((stem_of(stem), prompt.to_owned()));
        }
    }
    Ok(rows)
}

fn stem_of(file: &str) -> String {
    Path::new(file).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_the_stems_of_their_names() {
        let rows = [("heron", "a heron, wading"), ("owl", "an owl")]
            .map(|(stem, prompt)| (stem.to_owned(), prompt.to_owned()));
        let commas = "file_name,prompt\nheron.png,\"a heron, wading\"\na/owl.webp,an owl\n";
        assert_eq!(manifest(commas, Listed::Separated(b',')).unwrap(), rows);
        assert_eq!(
            manifest("prompt\tstem\na heron, wading\theron\nan owl\towl\n", Listed::Separated(b'\t'))
                .unwrap(),
            rows
        );
        let lines = "{\"file\": \"heron.png\", \"prompt\": \"a heron, wading\"}\n\n{\"stem\": \"owl\", \"prompt\": \"an owl\"}";
        assert_eq!(manifest(lines, Listed::JsonLines).unwrap(), rows);
    }

    #[test]
    fn what_is_no_such_list_says_why() {
        assert!(manifest("a,b\n1,2\n", Listed::Separated(b',')).unwrap_err().ends_with("it has: a, b"));
        assert!(manifest("stem,prompt\n1\n", Listed::Separated(b',')).unwrap_err().contains("found record"));
        assert!(
            manifest("{\"stem\": \"a\", \"prompt\": 1}", Listed::JsonLines)
                .unwrap_err()
                .starts_with("row 1 lacks")
        );
        assert!(manifest("{}\n{", Listed::JsonLines).unwrap_err().starts_with("row 1 lacks"));
        assert!(manifest("\n{", Listed::JsonLines).unwrap_err().starts_with("row 2 is no JSON"));
    }
}
