//! Every format, whole and broken.

use std::io::Write;

use super::*;

/// The rows of a file that is named so.
fn read_text(file: &str, bytes: &[u8], column: &str) -> Result<Vec<Row>, RowsError> {
    let (file, packing) = match file.rsplit_once('.') {
        Some((file, "gz")) => (file, Some(Packing::Gzip)),
        Some((file, "zst")) => (file, Some(Packing::Zstd)),
        _ => (file, None),
    };
    let format = Format::of(file.rsplit_once('.').unwrap().1).unwrap();
    let mut rows = Vec::new();
    read(unpacked(bytes, packing).map_err(RowsError::Unreadable)?, format, column, &mut |row| {
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
    for file in ["a.txt.gz", "a.txt.zst", "a.csv.gz", "a.json.gz", "a.json.zst"] {
        let error = read_text(file, b"not packed", "prompt").unwrap_err();
        assert!(matches!(error, RowsError::Unreadable(_)), "{file}: {error}");
    }
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
fn other_encodings_and_odd_files_are_refused() {
    let utf16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain("a fox".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert!(read_text("a.txt", &utf16, "prompt").unwrap_err().to_string().contains("UTF-16"));
    assert_eq!(texts(&read_text("a.txt", b"\xEF\xBB\xBFa fox", "prompt").unwrap()), ["a fox"]);
    assert_eq!(reasons(&read_text("a.txt", b"caf\xE9\na fox\n", "prompt").unwrap()), [(1, "encoding")]);
    assert!(read_text("a.json", b"{\"prompt\": 1}", "prompt").unwrap_err().to_string().contains("array"));
}

#[test]
fn what_a_row_says_beyond_its_header_or_a_file_beyond_its_array_is_not_lost() {
    let rows = read_text("a.csv", b"id,prompt\n1,a red fox, in deep snow\n2,\"a, b\"\n", "prompt").unwrap();
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
    // A column of Parquet comes in whole texts.
    let row = |length| field(Some("x".repeat(length)), "prompt").map_err(|(reason, _)| reason);
    assert_eq!(row(LONGEST).map(|text| text.len()), Ok(LONGEST));
    assert_eq!(row(LONGEST + 1), Err("too_large"));
}

#[test]
fn a_mark_of_the_encoding_is_found_however_few_bytes_come_at_once() {
    let mut packed = Vec::new();
    for part in [&b"\xEF"[..], b"\xBB", b"\xBFa fox\n"] {
        let mut gz = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
        gz.write_all(part).unwrap();
        gz.finish().unwrap();
    }
    assert_eq!(texts(&read_text("a.txt.gz", &packed, "prompt").unwrap()), ["a fox"]);
}

#[test]
fn an_element_too_large_is_dropped_and_one_without_end_stops_the_run() {
    let long = "x".repeat(2 * LONGEST);
    let rows = read_text("a.json", format!("[\"{long}\", \"a fox\"]").as_bytes(), "prompt").unwrap();
    assert_eq!(reasons(&rows), [(1, "too_large")]);
    assert_eq!(texts(&rows), ["a fox"]);
    let endless = format!("[\"a fox\", \"{}\"]", "x".repeat(LONGEST_RECORD + LONGEST));
    let error = read_text("a.json", endless.as_bytes(), "prompt").unwrap_err();
    assert!(matches!(error, RowsError::Endless(2)), "{error}");
}

#[test]
fn an_element_that_no_value_can_hold_is_malformed_and_the_others_kept() {
    let deep = format!("[{}{}, 1e999, \"\\ud800\", \"a fox\"]", "[".repeat(500), "]".repeat(500));
    let rows = read_text("a.json", deep.as_bytes(), "prompt").unwrap();
    assert_eq!(reasons(&rows), [(1, "malformed"), (2, "malformed"), (3, "malformed")]);
    assert_eq!(texts(&rows), ["a fox"]);
}

#[test]
fn what_a_row_has_instead_is_told_in_few_words_that_can_be_kept() {
    let fields: Vec<String> = (0..10_000).map(|number| format!("\"f\\u0000{number}\": 1")).collect();
    let row = format!("{{{}}}\n\"a fox\"\n", fields.join(", "));
    let rows = read_text("a.jsonl", row.as_bytes(), "prompt").unwrap();
    let (reason, detail) = rows[0].outcome.as_ref().unwrap_err();
    assert_eq!(*reason, NO_FIELD);
    assert!(detail.contains("(the row has: f0, f1, f10, ") && detail.ends_with(", …)"), "{detail}");
    assert!(detail.len() < 2 * LONGEST_QUOTE && !detail.contains('\0'), "{detail}");
    let header = vec!["a"; 100_000].join(",");
    let text = format!("\"{}\"", "é".repeat(100_000));
    for (file, content) in [("a.csv", header), ("a.json", text)] {
        let error = read_text(file, content.as_bytes(), "prompt").unwrap_err().to_string();
        assert!(error.len() < 2 * LONGEST_QUOTE, "{error}");
    }
}

#[test]
fn nothing_is_given_to_who_wants_no_more() {
    for (format, content) in [
        (Format::Text, "a\nb\nc\n"),
        (Format::JsonLines, "\"a\"\n\"b\"\n\"c\"\n"),
        (Format::Json, "[\"a\", \"b\", \"c\"]"),
        (Format::Commas, "prompt\na\nb\nc\n"),
        (Format::Tabs, "prompt\na\nb\nc\n"),
    ] {
        let mut given = 0;
        read(content.as_bytes(), format, "prompt", &mut |_| {
            given += 1;
            given < 2
        })
        .unwrap();
        assert_eq!(given, 2, "{format:?}");
    }
}
