//! What a Parquet file says of itself, held against its size before the library believes it: a damaged file of a few
//! hundred bytes can name counts that keep the library busy for minutes, make it take gigabytes, or end the program where
//! no memory has room for them (parquet 59.3.2; for the last one see Arrow's issue 49955).
//!
//! Pages and encodings: <https://github.com/apache/parquet-format>.

use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader as _};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::thrift::{DEPTH, FILE, PAGE_HEADER, Thrift};

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
    Thrift(&footer).structure(FILE, DEPTH, &mut |_, _| ()).ok_or_else(|| claims("its footer"))
}

/// Looks through the pages of one column, which has no levels of repetition: the size of the largest one unpacked, in
/// bytes. No value is longer than that, but a dictionary's is read as often as it is named.
pub(crate) fn pages<R: ChunkReader + 'static>(
    file: &Arc<R>,
    metadata: &ParquetMetaData,
    column: usize,
) -> Result<usize> {
    let mut largest = 0;
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
            largest = largest.max(page.buffer().len());
            let levels = chunk.column_descr().max_def_level() > 0;
            if !values_fit(&page, levels) {
                return Err(claims("a page"));
            }
        }
    }
    Ok(largest)
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
        Encoding::DELTA_LENGTH_BYTE_ARRAY => differences(&mut lengths, most).is_some(),
        Encoding::DELTA_BYTE_ARRAY => {
            differences(&mut lengths, most).is_some() && differences(&mut lengths, most).is_some()
        }
        _ => true,
    }
}

/// Walks through numbers in the encoding of differences (`DELTA_BINARY_PACKED`), of which there are `most` at the most.
fn differences(numbers: &mut Thrift, most: u64) -> Option<()> {
    let (block, parts, count) = (numbers.varint()?, numbers.varint()?, numbers.varint()?);
    numbers.varint()?;
    if count > most {
        return None;
    }
    let (mut left, each) = (count.saturating_sub(1), block.checked_div(parts)?);
    while left > 0 {
        numbers.varint()?;
        for width in numbers.take(parts)? {
            if left > 0 {
                numbers.take(u64::from(*width).checked_mul(each)? / 8)?;
                left = left.saturating_sub(each.max(1));
            }
        }
        if parts == 0 {
            return None;
        }
    }
    Some(())
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
        assert_eq!(differences(&mut Thrift(&three), 3), Some(()));
        assert_eq!(differences(&mut Thrift(&three), 2), None, "more than the page says");
        assert_eq!(differences(&mut Thrift(&three[..7]), 3), None, "its data break off");
    }
}
