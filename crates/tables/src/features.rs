//! The columns of a table, and what three readers call their types: Arrow, the `huggingface` key of a
//! Parquet file, and the front matter of a dataset card.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::TableError;

/// What a column holds. Every column may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// A 64-bit whole number.
    Int,
    /// True or false.
    Bool,
    /// A moment, in microseconds since 1970, UTC.
    Time,
    /// An image: its encoded bytes, its path, or both.
    Image,
    /// A list of texts.
    Texts,
    /// Named parts.
    Group(Vec<Column>),
}

/// A named column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, which may contain dots.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

impl Column {
    /// A column.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self { name: name.into(), kind }
    }
}

/// The columns of a table, in order, no two of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features(Vec<Column>);

impl Features {
    /// Columns in this order.
    ///
    /// # Errors
    /// Where two have one name.
    pub fn new(columns: Vec<Column>) -> Result<Self, TableError> {
        let mut names = HashSet::new();
        for column in &columns {
            if !names.insert(column.name.as_str()) {
                return Err(TableError::TwiceTheName(column.name.clone()));
            }
        }
        Ok(Self(columns))
    }

    /// For columns that stand in this crate's own text, whose names are known to differ.
    pub(crate) fn known(columns: Vec<Column>) -> Self {
        Self(columns)
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.0
    }

    /// The Arrow schema, with the `huggingface` key that tells `datasets` which columns are images.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let metadata = HashMap::from([("huggingface".to_owned(), self.hugging_face())]);
        Arc::new(Schema::new(fields(&self.0)).with_metadata(metadata))
    }

    /// The value of the `huggingface` key: JSON, with the columns in their order.
    #[must_use]
    pub fn hugging_face(&self) -> String {
        let mut json = String::from("{\"info\":{\"features\":");
        json_group(&self.0, &mut json);
        json.push_str("}}");
        json
    }

    /// The `features` list of a card's front matter, indented by `indent` spaces.
    #[must_use]
    pub fn yaml(&self, indent: usize) -> String {
        let mut yaml = String::new();
        yaml_group(&self.0, indent, &mut yaml);
        yaml
    }
}

/// The Arrow fields of an image. Bytes are views, so that an image's bytes are taken over, not copied.
pub(crate) fn image_fields() -> Fields {
    Fields::from(vec![
        Field::new("bytes", DataType::BinaryView, true),
        Field::new("path", DataType::Utf8, true),
    ])
}

/// The Arrow fields of columns.
pub(crate) fn fields(columns: &[Column]) -> Fields {
    columns.iter().map(|column| Field::new(&column.name, data_type(&column.kind), true)).collect()
}

fn data_type(kind: &Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Int => DataType::Int64,
        Kind::Bool => DataType::Boolean,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Image => DataType::Struct(image_fields()),
        Kind::Texts => DataType::List(Arc::new(list_element())),
        Kind::Group(columns) => DataType::Struct(fields(columns)),
    }
}

/// The field of a list's elements, named as Parquet names it.
pub(crate) fn list_element() -> Field {
    Field::new("element", DataType::Utf8, true)
}

fn json_group(columns: &[Column], json: &mut String) {
    json.push('{');
    for (place, column) in columns.iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        json.push_str(&quoted(&column.name));
        json.push(':');
        match &column.kind {
            Kind::Image => json.push_str(r#"{"_type":"Image"}"#),
            Kind::Texts => {
                json.push_str(r#"{"feature":{"dtype":"string","_type":"Value"},"_type":"List"}"#);
            }
            Kind::Group(parts) => json_group(parts, json),
            value => {
                let _ = write!(json, r#"{{"dtype":"{}","_type":"Value"}}"#, dtype(value));
            }
        }
    }
    json.push('}');
}

fn yaml_group(columns: &[Column], indent: usize, yaml: &mut String) {
    for column in columns {
        let _ = writeln!(yaml, "{:indent$}- name: {}", "", quoted(&column.name));
        match &column.kind {
            Kind::Texts => {
                let _ = writeln!(yaml, "{:indent$}  list: string", "");
            }
            Kind::Group(parts) => {
                let _ = writeln!(yaml, "{:indent$}  struct:", "");
                yaml_group(parts, indent + 2, yaml);
            }
            value => {
                let _ = writeln!(yaml, "{:indent$}  dtype: {}", "", dtype(value));
            }
        }
    }
}

/// What `datasets` calls a type. Lists and groups are written around it.
fn dtype(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Texts | Kind::Group(_) => "string",
        Kind::Int => "int64",
        Kind::Bool => "bool",
        Kind::Time => "timestamp[us, tz=UTC]",
        Kind::Image => "image",
    }
}

/// A text in double quotes that both JSON and YAML read back as it was.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // What YAML refuses or folds as it stands: controls, the other line ends, marks of no meaning.
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn types_are_named_as_hugging_face_names_them_in_column_order() {
        let features = Features::new(vec![
            Column::new("z", Kind::Text),
            Column::new("a", Kind::Image),
            Column::new("g", Kind::Group(vec![Column::new("x", Kind::Int)])),
            Column::new("l.l", Kind::Texts),
        ])
        .unwrap();
        assert_eq!(
            features.hugging_face(),
            r#"{"info":{"features":{"z":{"dtype":"string","_type":"Value"},"a":{"_type":"Image"},"g":{"x":{"dtype":"int64","_type":"Value"}},"l.l":{"feature":{"dtype":"string","_type":"Value"},"_type":"List"}}}}"#
        );
        assert_eq!(
            features.yaml(0),
            "- name: \"z\"\n  dtype: string\n- name: \"a\"\n  dtype: image\n- name: \"g\"\n  struct:\n  - name: \"x\"\n    dtype: int64\n- name: \"l.l\"\n  list: string\n"
        );
    }

    #[test]
    fn a_name_twice_is_refused() {
        let error =
            Features::new(vec![Column::new("a", Kind::Text), Column::new("a", Kind::Int)]).unwrap_err();
        assert!(error.to_string().contains("`a`"));
    }

    proptest! {
        #[test]
        fn quoted_text_reads_back_as_json(text in any::<String>()) {
            let quoted = quoted(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
            prop_assert!(!quoted.contains('\n'));
        }
    }
}
