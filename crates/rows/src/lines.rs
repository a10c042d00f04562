//! Lines: a row each.

use std::io::{BufRead, Read};

use crate::{EMPTY, LONGEST, Outcome, Row, RowsError, Sink, not_utf8, too_large, usable};

/// Lines of text, each read by `parse`.
pub(crate) fn read(
    mut reader: impl BufRead,
    sink: Sink,
    parse: &dyn Fn(&str) -> Outcome,
) -> Result<(), RowsError> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = (&mut reader)
            .take(LONGEST as u64 + 1)
            .read_until(b'\n', &mut line)
            .map_err(RowsError::Unreadable)?;
        if read == 0 {
            break;
        }
        let outcome = if line.len() > LONGEST && !line.ends_with(b"\n") {
            skip_line(&mut reader).map_err(RowsError::Unreadable)?;
            too_large()
        } else {
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match std::str::from_utf8(line) {
                Ok(line) if line.trim().is_empty() => Err((EMPTY, "the row is empty".to_owned())),
                Ok(line) => parse(line).and_then(usable),
                Err(_) => not_utf8(),
            }
        };
        if !sink(Row { number, outcome }) {
            break;
        }
    }
    Ok(())
}

fn skip_line(reader: &mut impl BufRead) -> std::io::Result<()> {
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
