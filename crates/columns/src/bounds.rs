//! What a Parquet file says of itself, held against its size before the library believes it: a damaged file of a few
//! hundred bytes can name counts that keep the library busy for minutes, make it take gigabytes, or end the program where
//! no memory has room for them (parquet 59.3.2; for the last one see Arrow's issue 49955).
//!
//! Thrift's compact protocol: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>. Page
//! headers and encodings: <https://github.com/apache/parquet-format>.

use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader as _};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

/// The largest page that is unpacked, in bytes: writers make pages of some megabytes.
const LARGEST_PAGE: i64 = 256 << 20;

/// The longest header of a page, in bytes: it may hold the least and the greatest text.
const LONGEST_HEADER: u64 = 16 << 20;

/// Looks through the footer; where there is none, the library says so.
pub(crate) fn footer(file: &impl ChunkReader) -> Result<()> {
    let Some(end) = file.len().checked_sub(8) else { return Ok(()) };
    let tail = file.get_bytes(end, 4)?;
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    let Some(start) = end.checked_sub(length) else { return Ok(()) };
    let footer = file.get_bytes(start, length as usize)?;
    Thrift(&footer).structure(&[], DEPTH, &mut |_, _| ()).ok_or_else(|| claims("its footer"))
}

/// Looks through the pages of one column, which has no levels of repetition.
pub(crate) fn pages<R: ChunkReader + 'static>(
    file: &Arc<R>,
    metadata: &ParquetMetaData,
    column: usize,
) -> Result<()> {
    for group in metadata.row_groups() {
        let chunk = group.column(column);
        headers(file.as_ref(), chunk)?;
        // What the library says of a damaged page it says again where it comes to it, behind the rows before that.
        let Ok(mut pages) =
            SerializedPageReader::new(Arc::clone(file), chunk, group.num_rows() as usize, None)
        else {
            continue;
        };
        while let Ok(Some(page)) = pages.get_next_page() {
            let levels = chunk.column_descr().max_def_level() > 0;
            if !values_fit(&page, levels) {
                return Err(claims("a page"));
            }
        }
    }
    Ok(())
}

fn claims(what: &str) -> ParquetError {
    ParquetError::General(format!("{what} claims more than there is"))
}

/// Looks through the headers of a column's pages, each of which says how long its page is.
fn headers(file: &impl ChunkReader, chunk: &ColumnChunkMetaData) -> Result<()> {
    let (mut at, length) = chunk.byte_range();
    let end = at.saturating_add(length).min(file.len());
    while at < end {
        let header = file.get_bytes(at, (end - at).min(LONGEST_HEADER) as usize)?;
        let (mut unpacked, mut packed) = (0, 0);
        let mut thrift = Thrift(&header);
        thrift
            .structure(PAGE_HEADER, DEPTH, &mut |field, number| match field {
                2 => unpacked = number,
                3 => packed = number,
                _ => {}
            })
            .ok_or_else(|| claims(&format!("the header of the page at byte {at}")))?;
        if !(0..=LARGEST_PAGE).contains(&unpacked) || !(0..=i64::from(i32::MAX)).contains(&packed) {
            return Err(claims(&format!("the header of the page at byte {at}")));
        }
        at += (header.len() - thrift.0.len()) as u64 + packed.unsigned_abs();
    }
    Ok(())
}

/// Whether a page has no more values than it says, and of a dictionary no more than it has bytes, where its decoder makes
/// room for as many as are claimed.
fn values_fit(page: &Page, levels: bool) -> bool {
    let data = page.buffer();
    if page.is_dictionary_page() && page.num_values() as usize > data.len() {
        return false;
    }
    let values = match page {
        // Four bytes say how long the levels are.
        Page::DataPage { .. } if levels => data
            .first_chunk::<4>()
            .and_then(|length| data.get(4..)?.get(u32::from_le_bytes(*length) as usize..)),
        Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => (*def_levels_byte_len as usize)
            .checked_add(*rep_levels_byte_len as usize)
            .and_then(|at| data.get(at..)),
        Page::DataPage { .. } | Page::DictionaryPage { .. } => Some(&data[..]),
    };
    let (Some(values), most) = (values, u64::from(page.num_values())) else { return false };
    let mut lengths = Thrift(values);
    match page.encoding() {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => lengths.differences(most).is_some(),
        Encoding::DELTA_BYTE_ARRAY => {
            lengths.differences(most).is_some() && lengths.differences(most).is_some()
        }
        _ => true,
    }
}

/// What a field of a struct is, by its place from 1.
enum Field {
    Number,
    Truth,
    Text,
    Of(&'static [Field]),
}

use Field::{Number, Of, Text, Truth};

/// `PageHeader` of parquet.thrift, and what stands in it.
const PAGE_HEADER: &[Field] =
    &[Number, Number, Number, Number, Of(DATA_PAGE), Of(&[]), Of(DICTIONARY_PAGE), Of(DATA_PAGE_2)];
const DATA_PAGE: &[Field] = &[Number, Number, Number, Number, Of(STATISTICS)];
const DICTIONARY_PAGE: &[Field] = &[Number, Number, Truth];
const DATA_PAGE_2: &[Field] = &[Number, Number, Number, Number, Number, Number, Truth, Of(STATISTICS)];
const STATISTICS: &[Field] = &[Text, Text, Number, Number, Text, Text, Truth, Truth];

/// So deep does no header go.
const DEPTH: u8 = 32;

/// What is left of some bytes.
struct Thrift<'b>(&'b [u8]);

impl<'b> Thrift<'b> {
    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, count: u64) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number in seven bits a byte.
    fn varint(&mut self) -> Option<u64> {
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
    fn structure(&mut self, fields: &[Field], depth: u8, number: &mut dyn FnMut(i64, i64)) -> Option<()> {
        let mut id = 0_i64;
        loop {
            let header = self.byte()?;
            let kind = header & 0xf;
            if kind == 0 {
                return Some(());
            }
            id = match header >> 4 {
                0 => zigzag(self.varint()?),
                more => id + i64::from(more),
            };
            let place = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
            match (place.and_then(|place| fields.get(place)), kind) {
                (None | Some(Number), 4..=6) => number(id, zigzag(self.varint()?)),
                // A field that is true or false says so by its kind.
                (None | Some(Truth), 1 | 2) => {}
                (Some(Of(fields)), 12) => {
                    self.structure(fields, depth.checked_sub(1)?, &mut |_, _| ())?;
                }
                (None, _) | (Some(Text), 8) => self.value(kind, depth)?,
                // The library reads what it expects there, whatever kind that says it is.
                _ => return None,
            }
        }
    }

    fn value(&mut self, kind: u8, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.take(8).map(drop),
            8 => {
                let length = self.varint()?;
                self.take(length).map(drop)
            }
            9 | 10 => {
                let header = self.byte()?;
                let count = match header >> 4 {
                    15 => self.varint()?,
                    few => u64::from(few),
                };
                self.values(count, &[header & 0xf], depth)
            }
            11 => match self.varint()? {
                0 => Some(()),
                count => {
                    let kinds = self.byte()?;
                    self.values(count, &[kinds >> 4, kinds & 0xf], depth)
                }
            },
            12 => self.structure(&[], depth, &mut |_, _| ()),
            13 => self.take(16).map(drop),
            _ => None,
        }
    }

    /// So many elements, each of these kinds in turn. None that are true or false: Parquet has no lists of them but in
    /// indexes, which are not read, and the library takes them for nothing.
    fn values(&mut self, count: u64, kinds: &[u8], depth: u8) -> Option<()> {
        if kinds.iter().any(|kind| matches!(kind, 1 | 2)) && count > 0 {
            return None;
        }
        for _ in 0..count {
            for kind in kinds {
                self.value(*kind, depth)?;
            }
        }
        Some(())
    }

    /// Walks through numbers in the encoding of differences (`DELTA_BINARY_PACKED`), of which there are `most` at the most.
    fn differences(&mut self, most: u64) -> Option<()> {
        let (block, parts, count) = (self.varint()?, self.varint()?, self.varint()?);
        self.varint()?;
        if count > most {
            return None;
        }
        let (mut left, each) = (count.saturating_sub(1), block.checked_div(parts)?);
        while left > 0 {
            self.varint()?;
            for width in self.take(parts)? {
                if left > 0 {
                    self.take(u64::from(*width).checked_mul(each)? / 8)?;
                    left = left.saturating_sub(each.max(1));
                }
            }
            if parts == 0 {
                return None;
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
    use arrow_array::{RecordBatch, StringArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::{WriterProperties, WriterVersion};

    use super::*;

    /// A file of one column `prompt`, in this encoding.
    fn file(texts: &StringArray, encoding: Encoding, version: WriterVersion) -> Bytes {
        let batch = RecordBatch::try_from_iter([("prompt", Arc::new(texts.clone()) as _)]).unwrap();
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_dictionary_enabled(false)
            .set_encoding(encoding)
            .set_data_page_row_count_limit(300);
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build())).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes.into()
    }

    #[test]
    fn whole_files_claim_no_more_than_there_is_in_whatever_encoding() {
        let some =
            |row: usize| (row % 7 != 3).then(|| format!("{} a heron, {row}", "very ".repeat(row % 40)));
        for count in [0, 1, 2, 129, 5000] {
            let texts: StringArray = (0..count).map(some).collect();
            for encoding in [Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
                for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                    let file = file(&texts, encoding, version);
                    let rows = crate::rows(file, std::path::Path::new("f.parquet"), "prompt").unwrap();
                    let rows: Vec<Option<String>> = rows.map(|row| row.unwrap().1).collect();
                    assert_eq!(
                        rows,
                        (0..count).map(some).collect::<Vec<_>>(),
                        "{count} {encoding} {version:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_count_is_held_against_what_there_is() {
        // A block of 128 in 4 parts, 3 values, the first one 5; the second and third differ by nothing.
        let three = [128, 1, 4, 3, 10, 0, 0, 0, 0, 0];
        assert_eq!(Thrift(&three).differences(3), Some(()));
        assert_eq!(Thrift(&three).differences(2), None, "more than the page says");
        assert_eq!(Thrift(&three[..7]).differences(3), None, "its data break off");
        for (header, fits) in [
            // Field 1, a list of two structs of nothing; of three, which are not there.
            (&[0x19, 0x2c, 0, 0, 0][..], true),
            (&[0x19, 0x3c, 0, 0, 0], false),
            // A list of many truths; a text that is longer than the rest.
            (&[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0], false),
            (&[0x18, 0x7f, b'a', 0], false),
            (&[0x18, 0x01, b'a', 0], true),
        ] {
            assert_eq!(Thrift(header).structure(&[], DEPTH, &mut |_, _| ()).is_some(), fits, "{header:?}");
        }
        let deep = [[0x1c; 40], [0; 40]].concat();
        assert_eq!(Thrift(&deep).structure(&[], DEPTH, &mut |_, _| ()), None);
    }
}
