//! Comma or tab separated values with a header.

use std::io::Read;

use crate::rationed::{Ration, Rationed};
use crate::{LONGEST, Row, RowsError, Sink, listed, not_utf8, too_large, usable};

/// Records of values; the header says which one is the prompt.
pub(crate) fn read(reader: impl Read, separator: u8, column: &str, sink: Sink) -> Result<(), RowsError> {
    // In TSV a quote is a character like any other; lines of tabs are what exporters write.
    let ration = Ration::new();
    let mut csv = csv::ReaderBuilder::new()
        .delimiter(separator)
        .quoting(separator == b',')
        .flexible(true)
        .from_reader(Rationed { inner: reader, ration: &ration });
    let header = csv.byte_headers().map_err(RowsError::Header)?;
    let width = header.len();
    let place = header
        .iter()
        .position(|name| name == column.as_bytes())
        .or_else(|| header.iter().position(|name| name.eq_ignore_ascii_case(column.as_bytes())))
        .ok_or_else(|| RowsError::NoColumn {
            column: column.to_owned(),
            there: listed(header.iter().map(String::from_utf8_lossy)),
        })?;
    let mut record = csv::ByteRecord::new();
    for number in 1.. {
        ration.renew();
        let outcome = match csv.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) if record.len() > width => Err((
                "malformed",
                format!(
                    "the row has {} fields, the header {width}: a prompt with a {} needs quotes around it",
                    record.len(),
                    if separator == b',' { "comma" } else { "tab" }
                ),
            )),
            Ok(true) if record.as_slice().len() > LONGEST => too_large(),
            Ok(true) => match record.get(place) {
                None => {
                    Err(("malformed", format!("the row has {} fields and none at `{column}`", record.len())))
                }
                Some(field) => match std::str::from_utf8(field) {
                    Ok(text) => usable(text.to_owned()),
                    Err(_) => not_utf8(),
                },
            },
            Err(error) => {
                let said = error.to_string();
                match error.into_kind() {
                    csv::ErrorKind::Io(_) if ration.is_used_up() => {
                        return Err(RowsError::OpenQuote(number));
                    }
                    csv::ErrorKind::Io(error) => return Err(RowsError::Unreadable(error)),
                    _ => Err(("malformed", format!("the row cannot be read: {said}"))),
                }
            }
        };
        if !sink(Row { number, outcome }) {
            break;
        }
    }
    Ok(())
}
