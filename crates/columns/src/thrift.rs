//! Walks through Parquet's metadata without taking memory for it, the same way as the library does: what that reads by a
//! field's place, whatever kind the field says it is, has to be of that kind here.
//!
//! Thrift's compact protocol: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>. The structs:
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>.

/// What a field of a struct is, by its place from 1.
pub(crate) enum Field {
    Byte,
    Number,
    Double,
    Truth,
    Text,
    Each(&'static Field),
    Of(&'static [Field]),
}

use Field::{Byte, Double, Each, Number, Of, Text, Truth};

/// `FileMetaData`; the two fields behind these belong to encrypted files.
pub(crate) const FILE: &[Field] = &[
    Number,
    Each(&Of(SCHEMA_ELEMENT)),
    Number,
    Each(&Of(ROW_GROUP)),
    Each(&Of(KEY_VALUE)),
    Text,
    Each(&Of(COLUMN_ORDER)),
];
const SCHEMA_ELEMENT: &[Field] =
    &[Number, Number, Number, Text, Number, Number, Number, Number, Number, Of(LOGICAL_TYPE)];
const LOGICAL_TYPE: &[Field] = &[
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    Of(&[Number, Number]),
    NOTHING,
    TIME,
    TIME,
    NOTHING,
    Of(&[Byte, Truth]),
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    NOTHING,
    Of(&[Byte]),
    Of(&[Text]),
    Of(&[Text, Number]),
];
const NOTHING: Field = Of(&[]);
const TIME: Field = Of(&[Truth, Of(&[NOTHING, NOTHING, NOTHING])]);
const ROW_GROUP: &[Field] =
    &[Each(&Of(COLUMN_CHUNK)), Number, Number, Each(&Of(SORTING_COLUMN)), Number, Number, Number];
const SORTING_COLUMN: &[Field] = &[Number, Truth, Truth];
const COLUMN_CHUNK: &[Field] = &[Text, Number, Of(COLUMN), Number, Number, Number, Number];
const COLUMN: &[Field] = &[
    Number,
    Each(&Number),
    Each(&Text),
    Number,
    Number,
    Number,
    Number,
    Each(&Of(KEY_VALUE)),
    Number,
    Number,
    Number,
    Of(STATISTICS),
    Each(&Of(&[Number, Number, Number])),
    Number,
    Number,
    Of(&[Number, Each(&Number), Each(&Number)]),
    Of(&[Of(BOUNDING_BOX), Each(&Number)]),
];
const BOUNDING_BOX: &[Field] = &[Double, Double, Double, Double, Double, Double, Double, Double];
const KEY_VALUE: &[Field] = &[Text, Text];
const COLUMN_ORDER: &[Field] = &[NOTHING];

/// `PageHeader`.
pub(crate) const PAGE_HEADER: &[Field] =
    &[Number, Number, Number, Number, Of(DATA_PAGE), NOTHING, Of(DICTIONARY_PAGE), Of(DATA_PAGE_2)];
const DATA_PAGE: &[Field] = &[Number, Number, Number, Number, Of(STATISTICS)];
const DICTIONARY_PAGE: &[Field] = &[Number, Number, Truth];
const DATA_PAGE_2: &[Field] = &[Number, Number, Number, Number, Number, Number, Truth, Of(STATISTICS)];
const STATISTICS: &[Field] = &[Text, Text, Number, Number, Text, Text, Truth, Truth];

/// So deep does no metadata go.
pub(crate) const DEPTH: u8 = 32;

/// What is left of some bytes.
pub(crate) struct Thrift<'b>(pub(crate) &'b [u8]);

impl<'b> Thrift<'b> {
    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// So many bytes; none where there are fewer.
    pub(crate) fn take(&mut self, count: u64) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number in seven bits a byte.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// Walks through a struct of these fields, and others behind them; `number` is told each field of its own that is a number.
    pub(crate) fn structure(
        &mut self,
        fields: &[Field],
        depth: u8,
        number: &mut dyn FnMut(i16, i64),
    ) -> Option<()> {
        let mut id = 0_i16;
        loop {
            let header = self.byte()?;
            let kind = header & 0xf;
            if kind == 0 {
                return Some(());
            }
            id = match header >> 4 {
                // The library takes as much of it.
                0 => zigzag(self.varint()?) as i16,
                more => id.checked_add(i16::from(more))?,
            };
            let place = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
            match (place.and_then(|place| fields.get(place)), kind) {
                (None | Some(Number), 4..=6) => number(id, zigzag(self.varint()?)),
                // A field that is true or false says so by its kind.
                (None | Some(Truth), 1 | 2) => {}
                (field, kind) => self.value(field, kind, depth)?,
            }
        }
    }

    /// Walks through a value of this kind, of which more may be known.
    fn value(&mut self, field: Option<&Field>, kind: u8, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match (field, kind) {
            (None | Some(Byte), 3) => self.byte().map(drop),
            (None | Some(Number), 4..=6) => self.varint().map(drop),
            (None | Some(Double), 7) => self.take(8).map(drop),
            (None | Some(Text), 8) => {
                let length = self.varint()?;
                self.take(length).map(drop)
            }
            (None | Some(Each(_)), 9) | (None, 10) => {
                let header = self.byte()?;
                let count = match header >> 4 {
                    15 => self.varint()?,
                    few => u64::from(few),
                };
                let of = match field {
                    Some(Each(field)) => Some(*field),
                    _ => None,
                };
                self.values(count, &[header & 0xf], of, depth)
            }
            (None, 11) => match self.varint()? {
                0 => Some(()),
                count => {
                    let kinds = self.byte()?;
                    self.values(count, &[kinds >> 4, kinds & 0xf], None, depth)
                }
            },
            (Some(Of(fields)), 12) => self.structure(fields, depth, &mut |_, _| ()),
            (None, 12) => self.structure(&[], depth, &mut |_, _| ()),
            (None, 13) => self.take(16).map(drop),
            _ => None,
        }
    }

    /// So many elements, each of these kinds in turn. None that are true or false: Parquet has no lists of them but in
    /// indexes, which are not read, and the library takes them for nothing.
    fn values(&mut self, count: u64, kinds: &[u8], field: Option<&Field>, depth: u8) -> Option<()> {
        for _ in 0..count {
            for kind in kinds {
                self.value(field, *kind, depth)?;
            }
        }
        Some(())
    }
}

fn zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_held_against_what_there_is() {
        for (fields, bytes, fits) in [
            // Field 1, a list of two structs of nothing; of three, which are not there.
            (&[][..], &[0x19, 0x2c, 0, 0, 0][..], true),
            (&[], &[0x19, 0x3c, 0, 0, 0], false),
            // A list of many truths; a text that is longer than the rest.
            (&[], &[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0], false),
            (&[], &[0x18, 0x7f, b'a', 0], false),
            (&[], &[0x18, 0x01, b'a', 0], true),
            // The version and how many rows; the first one as a text; as a field with a number of its own, which the
            // library cuts off.
            (FILE, &[0x15, 2, 0x26, 2, 0], true),
            (FILE, &[0x18, 2, 0x26, 2, 0], false),
            (FILE, &[0x05, 0x82, 0x80, 0x08, 2, 0], true),
            (FILE, &[0x08, 0x82, 0x80, 0x08, 2, 0, 0, 0], false),
            // Row groups, as a list of one with three columns of nothing, and of numbers.
            (FILE, &[0x49, 0x1c, 0x19, 0x3c, 0, 0, 0, 0, 0], true),
            (FILE, &[0x49, 0x1c, 0x19, 0x35, 0, 0, 0, 0, 0], false),
        ] {
            let walked = Thrift(bytes).structure(fields, DEPTH, &mut |_, _| ());
            assert_eq!(walked.is_some(), fits, "{bytes:?}");
        }
        let deep = [[0x1c; 40], [0; 40]].concat();
        assert_eq!(Thrift(&deep).structure(&[], DEPTH, &mut |_, _| ()), None);
    }
}
