//! Whatever stands in a Parquet file: the rows of its column `prompt`, counted from 1, or an error that says why.

#![no_main]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use diptych_columns::rows;
use libfuzzer_sys::fuzz_target;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Encoding;
use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::serialized_reader::SerializedPageReader;

/// A small file can say that it has as many rows as it likes, all of them nothing; more of them show nothing new.
const MOST: usize = 100_000;

/// Lets `diptych_columns` catch what its reader, and whatever that calls, panics with. Panics of our own end the fuzzing at
/// once, with what they say; any other that nobody catches ends it as well.
fn forgive_readers() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or("", |place| place.file());
        if ["fuzz_targets/", "columns/src/"].iter().any(|own| place.contains(own)) {
            end(panic);
        }
    }));
}

/// Whether a page costs more than it can show. Of some encodings the decoder makes room for as many values as the page says,
/// which may be more than any memory has: that ends a program at once, and nobody can catch it (parquet 59.3.2; Arrow in
/// C++ has the same, its issue 49955). Of others a page of a few bytes may say that it has thousands of millions.
fn costs_too_much(bytes: Bytes) -> bool {
    let look = || -> Result<bool, ParquetError> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let file = ArrowReaderMetadata::load(&bytes, options)?;
        for group in file.metadata().row_groups() {
            for column in group.columns() {
                let (bytes, rows) = (Arc::new(bytes.clone()), group.num_rows() as usize);
                let Ok(mut pages) = SerializedPageReader::new(bytes, column, rows, None) else { continue };
                while let Ok(Some(page)) = pages.get_next_page() {
                    if matches!(
                        page.encoding(),
                        Encoding::DELTA_BYTE_ARRAY | Encoding::DELTA_LENGTH_BYTE_ARRAY
                    ) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    };
    catch_unwind(AssertUnwindSafe(look)).is_ok_and(|looked| looked.unwrap_or(false))
}

fuzz_target!(init: forgive_readers(), |bytes: &[u8]| {
    if costs_too_much(Bytes::copy_from_slice(bytes)) {
        return;
    }
    let rows = match rows(Bytes::copy_from_slice(bytes), Path::new("file.parquet"), "prompt") {
        Ok(rows) => rows,
        Err(error) => return assert!(!error.to_string().is_empty(), "an error says why"),
    };
    let mut failed = false;
    for (row, number) in rows.take(MOST).zip(1..) {
        assert!(!failed, "nothing comes after an error");
        match row {
            Ok((row, _)) => assert_eq!(row, number, "rows are counted from 1"),
            Err(error) => {
                assert!(!error.to_string().is_empty(), "an error says why");
                failed = true;
            }
        }
    }
});
