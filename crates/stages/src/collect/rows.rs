//! The rows of one source file, one by one, whatever its format.
//!
//! A row that cannot be used is a row all the same: it is given with a reason. A file that cannot
//! be read at all is an error that names it.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::Value;

use super::{format_of, unreadable};
use crate::{Result, StageError};

/// A prompt as it stands in its source, or one word and one sentence that say why there is none.
pub type Outcome = Result<String, (&'static str, String)>;

/// A row of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number in the source, counted from 1.
    pub number: i64,
    /// What stands there.
    pub outcome: Outcome,
}

/// The longest row that is read at all, in bytes. A longer one is dropped without being held in memory.
const LONGEST: usize = 1 << 20;

/// Who takes the rows; says whether it wants more.
type Sink<'a> = &'a mut dyn FnMut(Row) -> bool;

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
    let file = File::open(path).map_err(|error| unreadable(name, &error))?;
    let mut reader: Box<dyn BufRead> = match packing {
        Some("gz") => Box::new(BufReader::with_capacity(1 << 16, flate2::read::MultiGzDecoder::new(file))),
        Some(_) => Box::new(BufReader::with_capacity(
            1 << 16,
            zstd::Decoder::new(file).map_err(|error| unreadable(name, &error))?,
        )),
        None => Box::new(BufReader::with_capacity(1 << 16, file)),
    };
    if format == "parquet" {
        // Parquet is read from its end, so it has to be unpacked first.
        let mut unpacked = tempfile::NamedTempFile::new().map_err(|error| unreadable(name, &error))?;
        std::io::copy(&mut reader, &mut unpacked).map_err(|error| unreadable(name, &error))?;
        return parquet(name, unpacked.path(), column, sink);
    }
    let start = reader.fill_buf().map_err(|error| unreadable(name, &error))?;
    if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
        return Err(fail("its text is UTF-16; save it as UTF-8".to_owned()));
    }
    if start.starts_with(&[0xEF, 0xBB, 0xBF]) {
        reader.consume(3);
    }
    let mut seen = Seen::default();
    let mut counted = |row: Row| {
        seen.count(&row);
        sink(row)
    };
    match format.as_str() {
        "txt" => lines(name, reader, &mut counted, &|line| Ok(line.to_owned()))?,
        "jsonl" | "ndjson" => lines(name, reader, &mut counted, &|line| json_line(line, column))?,
        "json" => json(name, reader, column, &mut counted)?,
        "csv" => separated(name, reader, b',', column, &mut counted)?,
        "tsv" => separated(name, reader, b'\t', column, &mut counted)?,
        other => {
            return Err(fail(format!(
                "`.{other}` is no format that is known here (txt, csv, tsv, json, jsonl, parquet, each also .gz or .zst)"
            )));
        }
    }
    if seen.rows == 0 {
        return Err(fail("it has no rows".to_owned()));
    }
    // Where no row that has anything has the column, its name is wrong, not the rows.
    if seen.without_column > 0 && seen.rows == seen.without_column + seen.empty {
        return Err(fail(seen.first_detail));
    }
    Ok(())
}

#[derive(Default)]
struct Seen {
    rows: u64,
    empty: u64,
    without_column: u64,
    first_detail: String,
}

impl Seen {
    fn count(&mut self, row: &Row) {
        self.rows += 1;
        if matches!(row.outcome, Err((EMPTY, _))) {
            self.empty += 1;
        }
        if let Err((NO_COLUMN, detail)) = &row.outcome {
            if self.without_column == 0 {
                self.first_detail.clone_from(detail);
            }
            self.without_column += 1;
        }
    }
}

const NO_COLUMN: &str = "no_prompt";
const EMPTY: &str = "empty";

/// NUL is in no text that people write, and PostgreSQL keeps none.
fn usable(mut text: String) -> Outcome {
    text.retain(|character| character != '\0');
    if text.trim().is_empty() {
        return Err((EMPTY, "the prompt is empty".to_owned()));
    }
    Ok(text)
}

/// Lines of text, each read by `parse`.
fn lines(
    name: &str,
    mut reader: Box<dyn BufRead>,
    sink: Sink,
    parse: &dyn Fn(&str) -> Outcome,
) -> Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut reader)
            .take(LONGEST as u64 + 1)
            .read_until(b'\n', &mut line)
            .map_err(|error| unreadable(name, &error))?;
        if read == 0 {
            break;
        }
        let outcome = if line.len() > LONGEST && !line.ends_with(b"\n") {
            skip_line(&mut reader).map_err(|error| unreadable(name, &error))?;
            Err(("too_large", format!("the row is longer than {LONGEST} bytes")))
        } else {
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match std::str::from_utf8(line) {
                Ok(line) if line.trim().is_empty() => Err((EMPTY, "the row is empty".to_owned())),
                Ok(line) => parse(line).and_then(usable),
                Err(_) => Err(("encoding", "the row is not UTF-8".to_owned())),
            }
        };
        if !sink(Row { number, outcome }) {
            break;
        }
    }
    Ok(())
}

fn skip_line(reader: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            reader.consume(end + 1);
            return Ok(());
        }
        let length = buffer.len();
        reader.consume(length);
    }
}

fn json_line(line: &str, column: &str) -> Outcome {
    let value: Value =
        serde_json::from_str(line).map_err(|error| ("malformed", format!("the row is no JSON: {error}")))?;
    from_json(value, column)
}

/// A prompt is a text by itself, or the column of an object.
fn from_json(value: Value, column: &str) -> Outcome {
    match value {
        Value::String(text) => usable(text),
        Value::Object(mut fields) => match fields.remove(column) {
            Some(Value::String(text)) => usable(text),
            Some(Value::Null) => Err((EMPTY, format!("`{column}` is null"))),
            Some(_) => Err(("malformed", format!("`{column}` is no text"))),
            None => {
                let known: Vec<&str> = fields.keys().map(String::as_str).collect();
                Err((NO_COLUMN, format!("there is no `{column}` (the row has: {})", known.join(", "))))
            }
        },
        _ => Err(("malformed", "the row is neither a text nor an object".to_owned())),
    }
}

/// One JSON array, read element by element.
fn json(name: &str, reader: Box<dyn BufRead>, column: &str, sink: Sink) -> Result<()> {
    struct Elements<'a> {
        column: &'a str,
        sink: Sink<'a>,
    }
    impl<'de> DeserializeSeed<'de> for Elements<'_> {
        type Value = ();
        fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_seq(self)
        }
    }
    impl<'de> Visitor<'de> for Elements<'_> {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array of texts or objects")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
            let mut number = 0;
            let mut wanted = true;
            while let Some(value) = elements.next_element::<Value>()? {
                number += 1;
                // Read to the end even when nobody wants more: an array cannot be left in the middle.
                wanted = wanted && (self.sink)(Row { number, outcome: from_json(value, self.column) });
            }
            Ok(())
        }
    }
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let read = Elements { column, sink }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    read.map_err(|error| StageError::Source {
        name: name.to_owned(),
        reason: format!("it is not one JSON array of texts or objects: {error}"),
    })
}

/// The longest record of separated values that is held at all. A quote that is never closed would
/// otherwise bring the rest of the file into memory.
const LONGEST_RECORD: usize = 16 << 20;

/// A reader that gives no more than is left to be given.
struct Rationed<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.get();
        let most = buffer.len().min(left);
        if most == 0 && !buffer.is_empty() {
            return Err(std::io::Error::other("the record is too long"));
        }
        let read = self.inner.read(&mut buffer[..most])?;
        self.left.set(left - read);
        Ok(read)
    }
}

/// Comma or tab separated values with a header.
fn separated(name: &str, reader: Box<dyn BufRead>, separator: u8, column: &str, sink: Sink) -> Result<()> {
    let fail = |reason: String| StageError::Source { name: name.to_owned(), reason };
    // In TSV a quote is a character like any other; lines of tabs are what exporters write.
    let left = Rc::new(Cell::new(LONGEST_RECORD));
    let mut csv = csv::ReaderBuilder::new()
        .delimiter(separator)
        .quoting(separator == b',')
        .flexible(true)
        .from_reader(Rationed { inner: reader, left: Rc::clone(&left) });
    let header =
        csv.byte_headers().map_err(|error| fail(format!("its header cannot be read: {error}")))?.clone();
    let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let place = names
        .iter()
        .position(|name| name == column)
        .or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(column)))
        .ok_or_else(|| {
            fail(format!(
                "there is no column `{column}` (columns: {}): set `column` in [collect]",
                names.join(", ")
            ))
        })?;
    let mut record = csv::ByteRecord::new();
    for number in 1.. {
        left.set(LONGEST_RECORD);
        let outcome = match csv.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) if record.len() > header.len() => Err((
                "malformed",
                format!(
                    "the row has {} fields, the header {}: a prompt with a {} needs quotes around it",
                    record.len(),
                    header.len(),
                    if separator == b',' { "comma" } else { "tab" }
                ),
            )),
            Ok(true) if record.as_slice().len() > LONGEST => {
                Err(("too_large", format!("the row is longer than {LONGEST} bytes")))
            }
            Ok(true) => match record.get(place) {
                None => {
                    Err(("malformed", format!("the row has {} fields and none at `{column}`", record.len())))
                }
                Some(field) => match std::str::from_utf8(field) {
                    Ok(text) => usable(text.to_owned()),
                    Err(_) => Err(("encoding", "the row is not UTF-8".to_owned())),
                },
            },
            Err(error) => match error.kind() {
                csv::ErrorKind::Io(_) if left.get() == 0 => {
                    return Err(fail(format!(
                        "row {number} goes on for more than {LONGEST_RECORD} bytes: is a quote left open there?"
                    )));
                }
                csv::ErrorKind::Io(error) => return Err(unreadable(name, error)),
                _ => Err(("malformed", format!("the row cannot be read: {error}"))),
            },
        };
        if !sink(Row { number, outcome }) {
            break;
        }
    }
    Ok(())
}

fn parquet(name: &str, path: &Path, column: &str, sink: Sink) -> Result<()> {
    let fail = |reason: String| StageError::Source { name: name.to_owned(), reason };
    let rows =
        diptych_tables::source::read_parquet_column(path, column).map_err(|error| fail(error.to_string()))?;
    for row in rows {
        let (number, text) = row.map_err(|error| fail(error.to_string()))?;
        let outcome = match text {
            Some(text) => usable(text),
            None => Err((EMPTY, format!("`{column}` is null"))),
        };
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        if !sink(Row { number, outcome }) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read_text(file: &str, bytes: &[u8], column: &str) -> Result<Vec<Row>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(file);
        std::fs::write(&path, bytes).unwrap();
        let mut rows = Vec::new();
        read(file, &path, column, &mut |row| {
            rows.push(row);
            true
        })?;
        Ok(rows)
    }

    fn texts(rows: &[Row]) -> Vec<&str> {
        rows.iter().filter_map(|row| row.outcome.as_deref().ok()).collect()
    }

    fn reasons(rows: &[Row]) -> Vec<(i64, &str)> {
        rows.iter()
            .filter_map(|row| row.outcome.as_ref().err().map(|(reason, _)| (row.number, *reason)))
            .collect()
    }

    #[test]
    fn every_format_gives_its_prompts() {
        for (file, content) in [
            ("a.txt", "a fox\r\n\na boat"),
            ("a.jsonl", "{\"prompt\": \"a fox\", \"x\": 1}\n\n\"a boat\"\n"),
            ("a.csv", "id,prompt\n1,a fox\n2,\n3,a boat\n"),
            ("a.tsv", "Prompt\tid\na fox\t1\n \t2\na boat\t3\n"),
            ("a.json", "[{\"prompt\": \"a fox\"}, {\"prompt\": null}, \"a boat\"]"),
        ] {
            let rows = read_text(file, content.as_bytes(), "prompt").unwrap();
            assert_eq!(texts(&rows), ["a fox", "a boat"], "{file}");
            assert_eq!(reasons(&rows), [(2, "empty")], "{file}");
        }
    }

    #[test]
    fn packed_files_are_read_as_they_are() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"a fox\n").unwrap();
        assert_eq!(texts(&read_text("a.txt.gz", &gz.finish().unwrap(), "prompt").unwrap()), ["a fox"]);
        let zst = zstd::encode_all(&b"a boat\n"[..], 1).unwrap();
        assert_eq!(texts(&read_text("a.txt.zst", &zst, "prompt").unwrap()), ["a boat"]);
        assert!(read_text("a.txt.gz", b"not gz", "prompt").unwrap_err().to_string().contains("a.txt.gz"));
        assert!(read_text("a.txt.zst", b"not zst", "prompt").unwrap_err().to_string().contains("a.txt.zst"));
    }

    #[test]
    fn a_wrong_column_names_those_that_there_are() {
        for (file, content) in [
            ("a.csv", "id,text\n1,a\n"),
            ("a.jsonl", "{\"id\": 1, \"text\": \"a\"}"),
            ("a.json", "[{\"id\": 1, \"text\": \"a\"}]"),
        ] {
            let message = read_text(file, content.as_bytes(), "prompt").unwrap_err().to_string();
            assert!(message.contains("no ") && message.contains("`prompt`"), "{message}");
            assert!(message.contains("id, text"), "{message}");
        }
    }

    #[test]
    fn malformed_rows_are_named_and_the_others_kept() {
        let rows = read_text(
            "a.jsonl",
            b"{\"prompt\": \"a\"}\n{oops\n[1]\n{\"prompt\": 3}\n{\"x\": 1}\n\xFF\xFE\x41\n",
            "prompt",
        )
        .unwrap();
        assert_eq!(texts(&rows), ["a"]);
        assert_eq!(
            reasons(&rows),
            [(2, "malformed"), (3, "malformed"), (4, "malformed"), (5, "no_prompt"), (6, "encoding")]
        );
    }

    #[test]
    fn other_encodings_and_odd_files_are_refused_by_name() {
        let utf16: Vec<u8> =
            [0xFF, 0xFE].into_iter().chain("a fox".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert!(read_text("a.txt", &utf16, "prompt").unwrap_err().to_string().contains("UTF-16"));
        assert_eq!(texts(&read_text("a.txt", b"\xEF\xBB\xBFa fox", "prompt").unwrap()), ["a fox"]);
        assert_eq!(reasons(&read_text("a.txt", b"caf\xE9\na fox\n", "prompt").unwrap()), [(1, "encoding")]);
        assert!(read_text("a.docx", b"x", "prompt").unwrap_err().to_string().contains(".docx"));
        assert!(read_text("a.json", b"{\"prompt\": 1}", "prompt").unwrap_err().to_string().contains("array"));
        assert!(
            read_text("a.parquet", b"PAR1 oops", "prompt").unwrap_err().to_string().contains("a.parquet")
        );
    }

    #[test]
    fn what_a_row_says_beyond_its_header_or_a_file_beyond_its_array_is_not_lost() {
        let rows =
            read_text("a.csv", b"id,prompt\n1,a red fox, in deep snow\n2,\"a, b\"\n", "prompt").unwrap();
        assert_eq!(texts(&rows), ["a, b"]);
        assert_eq!(reasons(&rows), [(1, "malformed")]);
        let two = read_text("a.json", b"[\"a\"][\"b\"]", "prompt").unwrap_err().to_string();
        assert!(two.contains("one JSON array"), "{two}");
    }

    #[test]
    fn a_quote_that_is_never_closed_stops_the_run_with_its_row() {
        let mut content = b"id,prompt\n1,a fox\n2,\"never closed\n".to_vec();
        content.extend(b"3,a boat\n".repeat(2_000_000));
        let error = read_text("a.csv", &content, "prompt").unwrap_err().to_string();
        assert!(error.contains("row 2") && error.contains("quote"), "{error}");
    }

    #[test]
    fn a_wrong_column_is_told_even_where_a_row_is_empty() {
        let error = read_text("a.jsonl", b"{\"text\": \"a\"}\n\n", "prompt").unwrap_err().to_string();
        assert!(error.contains("`prompt`") && error.contains("text"), "{error}");
    }

    #[test]
    fn nul_is_left_out() {
        let rows = read_text("a.jsonl", br#"{"prompt": "a bl\u0000ue fox"}"#, "prompt").unwrap();
        assert_eq!(texts(&rows), ["a blue fox"]);
    }

    #[test]
    fn a_row_too_large_to_hold_is_dropped_and_the_next_one_read() {
        let mut content = vec![b'x'; 3 * LONGEST];
        content.extend_from_slice(b"\na fox\n");
        let rows = read_text("a.txt", &content, "prompt").unwrap();
        assert_eq!(reasons(&rows), [(1, "too_large")]);
        assert_eq!(texts(&rows), ["a fox"]);
    }
}
