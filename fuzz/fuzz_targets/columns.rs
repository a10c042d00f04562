//! Whatever stands in a Parquet file: the rows of its column `prompt`, counted from 1, or an error that says why.

#![no_main]

use std::path::Path;

use bytes::Bytes;
use diptych_columns::rows;
use libfuzzer_sys::fuzz_target;

/// A small file can say that it has as many rows as it likes, all of them nothing; more of them show nothing new.
const MOST: usize = 100_000;

/// Sources whose panics `diptych_columns` catches; any other panic ends the fuzzing.
const READERS: [&str; 2] = ["/parquet-", "/arrow-"];

fn forgive_readers() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or("", |place| place.file());
        if !READERS.iter().any(|reader| place.contains(reader)) {
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
