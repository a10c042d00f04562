//! Whatever stands in a Parquet file: the rows of its column `prompt`, counted from 1, or an error that says why.

#![no_main]

use std::path::Path;

use bytes::Bytes;
use diptych_columns::rows;
use libfuzzer_sys::fuzz_target;

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

fuzz_target!(init: forgive_readers(), |bytes: &[u8]| {
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
