//! Whatever stands in a file of prompts, however it is packed: rows counted from 1, each a prompt that can be kept or
//! a reason, and no more of them than are wanted; or an error that says why in few words.
//!
//! Of an input the first byte chooses the format, the second the packing (`A` none, `B` gzip and `C` Zstandard as
//! they come, `D` and `E` those around what comes), and the third how many rows are wanted (NUL: all).

#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, Read, Write};

use diptych_rows::{Format, Packing, read, unpacked};
use libfuzzer_sys::fuzz_target;

const FORMATS: [Format; 5] = [Format::Text, Format::Commas, Format::Tabs, Format::Json, Format::JsonLines];

/// What unpacks to more is cut off: it takes long and shows nothing new.
const MOST: u64 = 2 << 20;

/// More than the longest message, in bytes.
const LONG: usize = 1_000;

fuzz_target!(|bytes: &[u8]| {
    let [format, packing, wanted, content @ ..] = bytes else { return };
    let (format, wanted) = (FORMATS[usize::from(*format) % FORMATS.len()], i64::from(*wanted));
    let plain = |content: &[u8]| look(content, format, wanted);
    match packing % 5 {
        0 => {
            plain(content);
        }
        1 => packed(content, Packing::Gzip, |reader| {
            look(reader.take(MOST), format, wanted);
        }),
        2 => packed(content, Packing::Zstd, |reader| {
            look(reader.take(MOST), format, wanted);
        }),
        3 => {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(content).expect("memory takes everything");
            let file = gz.finish().expect("memory takes everything");
            packed(&file, Packing::Gzip, |reader| assert_eq!(look(reader, format, wanted), plain(content)));
        }
        _ => {
            let file = zstd::encode_all(content, 1).expect("memory takes everything");
            packed(&file, Packing::Zstd, |reader| assert_eq!(look(reader, format, wanted), plain(content)));
        }
    }
});

fn packed(file: &[u8], packing: Packing, then: impl FnOnce(Box<dyn BufRead + '_>)) {
    if let Ok(reader) = unpacked(file, Some(packing)) {
        then(reader);
    }
}

/// Reads, looking at every row; gives what stands for all of them, and what went wrong.
fn look(reader: impl BufRead, format: Format, wanted: i64) -> (u64, Option<String>) {
    let (mut count, mut rows) = (0, DefaultHasher::new());
    let read = read(reader, format, "prompt", &mut |row| {
        assert!(wanted == 0 || count < wanted, "nobody wants row {}", row.number);
        count += 1;
        assert_eq!(row.number, count, "rows are counted from 1");
        match &row.outcome {
            Ok(text) => {
                assert!(!text.trim().is_empty() && !text.contains('\0'), "{text:?} is no prompt");
                assert!(text.len() <= 1 << 20, "{} bytes are no prompt", text.len());
            }
            Err((reason, detail)) => {
                assert!(!reason.is_empty() && !detail.is_empty(), "row {count} is dropped for a reason");
                assert!(detail.len() < LONG && !detail.contains('\0'), "{detail:?} is no reason");
            }
        }
        row.outcome.hash(&mut rows);
        wanted == 0 || count < wanted
    });
    let error = read.err().map(|error| error.to_string());
    match &error {
        Some(error) => assert!(!error.is_empty() && error.len() < LONG, "{error:?} says why"),
        None => assert!(count > 0, "where there are no rows, that is an error"),
    }
    (rows.finish(), error)
}
