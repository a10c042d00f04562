//! The rows of one source file: its name says the format, and `diptych_rows` and `diptych_tables` read it.

use std::fs::File;
use std::path::Path;

use diptych_rows::{Format, Row, Sink};

use super::{format_of, unreadable};
use crate::{Result, StageError};

/// Reads a file's rows into `sink`.
///
/// # Errors
/// Where the file as a whole cannot be used.
pub(super) fn read(name: &str, path: &Path, column: &str, sink: Sink) -> Result<()> {
    let fail = |reason: String| StageError::Source { name: name.to_owned(), reason };
    let (format, packing) = format_of(path);
    if format == "parquet" && packing.is_none() {
        return parquet(name, path, column, sink);
    }
    let unpacked = File::open(path).and_then(|file| diptych_rows::unpacked(file, packing));
    let mut unpacked = unpacked.map_err(|error| unreadable(name, &error))?;
    if format == "parquet" {
        // Parquet is read from its end, so it has to be unpacked first.
        let mut file = tempfile::NamedTempFile::new().map_err(|error| unreadable(name, &error))?;
        std::io::copy(&mut unpacked, &mut file).map_err(|error| unreadable(name, &error))?;
        return parquet(name, file.path(), column, sink);
    }
    let format = Format::of(&format).ok_or_else(|| {
        fail(format!(
            "`.{format}` is no format that is known here (txt, csv, tsv, json, jsonl, parquet, each also .gz or .zst)"
        ))
    })?;
    diptych_rows::read(unpacked, format, column, sink).map_err(|error| fail(error.to_string()))
}

fn parquet(name: &str, path: &Path, column: &str, sink: Sink) -> Result<()> {
    let fail = |reason: String| StageError::Source { name: name.to_owned(), reason };
    let rows = diptych_columns::read_parquet_column(path, column).map_err(|error| fail(error.to_string()))?;
    for row in rows {
        let (number, text) = row.map_err(|error| fail(error.to_string()))?;
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        if !sink(Row { number, outcome: diptych_rows::field(text, column) }) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(file: &str, bytes: &[u8]) -> Result<Vec<Row>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        std::fs::write(&path, bytes).unwrap();
        let mut rows = Vec::new();
        read(file, &path, "prompt", &mut |row| {
            rows.push(row);
            true
        })?;
        Ok(rows)
    }

    #[test]
    fn files_are_refused_by_name() {
        for (file, bytes, why) in [
            ("a.txt.gz", &b"not gz"[..], "it cannot be read"),
            ("a.txt.zst", b"not zst", "it cannot be read"),
            ("a.docx", b"x", ".docx"),
            ("a.json", b"{\"prompt\": 1}", "array"),
            ("a.csv", b"id,text\n1,a\n", "no column `prompt` (columns: id, text)"),
            ("a.parquet", b"PAR1 oops", ""),
            ("a.parquet.gz", b"PAR1 oops", "it cannot be read"),
        ] {
            let error = read_text(file, bytes).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains(why), "{error}");
        }
        assert_eq!(read_text("a.TXT", b"a fox\n").unwrap()[0].outcome, Ok("a fox".to_owned()));
    }
}
