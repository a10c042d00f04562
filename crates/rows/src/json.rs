//! JSON: a prompt is a text by itself, or a field of an object.

use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::rationed::{Ration, Rationed};
use crate::{
    LONGEST, LONGEST_QUOTE, NO_FIELD, Outcome, Row, RowsError, Sink, field, listed, too_large, usable,
};

/// The prompt of a row.
pub(crate) fn prompt(row: &str, column: &str) -> Outcome {
    let value: Value =
        serde_json::from_str(row).map_err(|error| ("malformed", format!("the row is no JSON: {error}")))?;
    match value {
        Value::String(text) => usable(text),
        Value::Object(mut fields) => match fields.remove(column) {
            Some(Value::String(text)) => usable(text),
            Some(Value::Null) => field(None, column),
            Some(_) => Err(("malformed", format!("`{column}` is no text"))),
            None => {
                Err((NO_FIELD, format!("there is no `{column}` (the row has: {})", listed(fields.keys()))))
            }
        },
        _ => Err(("malformed", "the row is neither a text nor an object".to_owned())),
    }
}

/// One JSON array, read element by element.
pub(crate) fn read(reader: impl Read, column: &str, sink: Sink) -> Result<(), RowsError> {
    let ration = Ration::new();
    let (mut number, mut wanted) = (0, true);
    let elements = Elements { column, sink, ration: &ration, number: &mut number, wanted: &mut wanted };
    let reader = BufReader::new(Rationed { inner: reader, ration: &ration });
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    match elements.deserialize(&mut deserializer).and_then(|()| deserializer.end()) {
        Ok(()) => Ok(()),
        Err(_) if !wanted => Ok(()),
        Err(error) if error.is_io() && ration.is_used_up() => Err(RowsError::Endless(number + 1)),
        Err(error) if error.is_io() => Err(RowsError::Unreadable(error.into())),
        Err(error) => Err(RowsError::NoArray(beginning(error.to_string()))),
    }
}

/// A message that quotes what it found, which may be long.
fn beginning(mut message: String) -> String {
    if message.len() > LONGEST_QUOTE {
        message.truncate(message.floor_char_boundary(LONGEST_QUOTE));
        message.push('…');
    }
    message
}

struct Elements<'a> {
    column: &'a str,
    sink: Sink<'a>,
    ration: &'a Ration,
    /// How many were read.
    number: &'a mut i64,
    wanted: &'a mut bool,
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
        // Left in the middle, an array is an error to serde, though not to us.
        while *self.wanted
            && let Some(element) = elements.next_element::<Box<RawValue>>()?
        {
            self.ration.renew();
            *self.number += 1;
            // A value takes many times the memory of its text, so what is not used is not made into one.
            let outcome = match element.get() {
                long if long.len() > LONGEST => too_large(),
                row => prompt(row, self.column),
            };
            *self.wanted = (self.sink)(Row { number: *self.number, outcome });
        }
        Ok(())
    }
}
