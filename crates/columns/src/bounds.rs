//! What a Parquet file says of itself, held against its size before the library believes it: a damaged file of a few
//! hundred bytes can name counts that keep the library busy for minutes, make it take gigabytes, or end the program where
//! no memory has room for them (parquet 59.3.2; for the last one see Arrow's issue 49955).
//!
//! Pages and encodings: <https://github.com/apache/parquet-format>.

use std::sync::Arc;

use parquet::arrow::ProjectionMask;
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

/// So long are nearly all of them.
const USUAL_HEADER: u64 = 1 << 10;

/// Looks through the footer; where there is none, the library says so.
pub(crate) fn footer(file: &impl ChunkReader) -> Result<()> {
    let Some(end) = file.len().checked_sub(8) else { return Ok(()) };
    let tail = file.get_bytes(end, 4)?;
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    let Some(start) = end.checked_sub(length) else { return Ok(()) };
    let footer = file.get_bytes(start, length as usize)?;
    Thrift(&footer).structure(FILE, DEPTH, &mut |_, _| ()).ok_or_else(|| claims("its footer"))
}

/// Looks through the pages of these columns, which have no levels of repetition: the size of the largest one unpacked, in
/// bytes. No value is longer than that, but a dictionary's is read as often as it is named.
pub(crate) fn pages<R: ChunkReader + 'static>(
    file: &Arc<R>,
    metadata: &ParquetMetaData,
    columns: &ProjectionMask,
) -> Result<usize> {
    let mut largest = 0;
    for group in metadata.row_groups() {
        let chunks = group.columns().iter().enumerate();
        for (_, chunk) in chunks.filter(|(leaf, _)| columns.leaf_included(*leaf)) {
            headers(file.as_ref(), chunk)?;
            let levels = chunk.column_descr().max_def_level() > 0;
            // What the library says of a damaged page it says again where it comes to it, behind the rows before that.
            let Ok(mut pages) =
                SerializedPageReader::new(Arc::clone(file), chunk, group.num_rows() as usize, None)
            else {
                continue;
            };
            while let Ok(Some(page)) = pages.get_next_page() {
                largest = largest.max(page.buffer().len());
                if !values_fit(&page, levels) {
                    return Err(claims("a page"));
                }
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
        let header = header(file, at, end - at)?;
        let Some(Header { length, unpacked: unpacked @ 0.., packed: packed @ 0..=MOST }) = header else {
            return Err(claims(&format!("the header of the page at byte {at}")));
        };
        if unpacked > LARGEST_PAGE {
            return Err(ParquetError::General(format!(
                "the page at byte {at} has {unpacked} bytes when it is unpacked, and at most {LARGEST_PAGE} are read"
            )));
        }
        at += length + packed.unsigned_abs();
    }
    Ok(())
}

/// The greatest number that the library takes for a length.
const MOST: i64 = i32::MAX as i64;

/// How long a page's header is, and what it says of the length of its page, all in bytes.
struct Header {
    length: u64,
    unpacked: i64,
    packed: i64,
}

/// The header of a page that begins there and has so many bytes left; none where they are no header.
fn header(file: &impl ChunkReader, at: u64, left: u64) -> Result<Option<Header>> {
    let most = left.min(LONGEST_HEADER);
    let mut length = most.min(USUAL_HEADER);
    loop {
        let bytes = file.get_bytes(at, length as usize)?;
        let (mut unpacked, mut packed) = (0, 0);
        let mut thrift = Thrift(&bytes);
        let walked = thrift.structure(PAGE_HEADER, DEPTH, &mut |field, number| match field {
            2 => unpacked = number,
            3 => packed = number,
            _ => {}
        });
        if walked.is_some() {
            let length = (bytes.len() - thrift.0.len()) as u64;
            return Ok(Some(Header { length, unpacked, packed }));
        }
        if length == most {
            return Ok(None);
        }
        length = (16 * length).min(most);
    }
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
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
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

    /// The header of a page with a number of bytes unpacked, and a statistic of so many.
    fn page(unpacked: u32, statistic: usize) -> Bytes {
        let varint = |mut number: usize| {
            let mut bytes = Vec::new();
            while number >= 0x80 {
                bytes.push(number as u8 | 0x80);
                number >>= 7;
            }
            bytes.push(number as u8);
            bytes
        };
        let front = [&[0x15, 0, 0x15][..], &varint(2 * unpacked as usize), &[0x15, 14]].concat();
        let of_data = [0x2c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6, 0x1c, 0x18];
        [&front, &of_data[..], &varint(statistic), &vec![b'a'; statistic], &[0; 3]].concat().into()
    }

    #[test]
    fn a_header_is_found_however_long_it_is_and_a_page_that_is_too_large_is_said() {
        for statistic in [0, 900, 1000, 1100, 20_000, 5_000_000] {
            let bytes = page(9, statistic);
            let behind = [&bytes[..], &[0xff; 100]].concat();
            let Header { length, unpacked, packed } =
                header(&Bytes::from(behind), 0, bytes.len() as u64 + 100).unwrap().unwrap();
            assert_eq!((length, unpacked, packed), (bytes.len() as u64, 9, 7), "{statistic}");
            assert!(header(&bytes, 0, bytes.len() as u64 - 1).unwrap().is_none());
        }
        let some =
            file(&StringArray::from_iter_values(["a fox"]), Encoding::PLAIN, WriterVersion::PARQUET_1_0);
        let some = ArrowReaderMetadata::load(&some, ArrowReaderOptions::new()).unwrap();
        let looked_through = |bytes: &Bytes| {
            let chunk = some.metadata().row_group(0).column(0).clone().into_builder();
            let chunk = chunk.set_data_page_offset(0).set_total_compressed_size(bytes.len() as i64);
            headers(bytes, &chunk.build().unwrap()).map_err(|error| error.to_string())
        };
        let most = LARGEST_PAGE as u32;
        assert_eq!(looked_through(&page(most, 0)), Ok(()));
        let said = looked_through(&page(most + 1, 0)).unwrap_err();
        assert!(said.contains("at byte 0 has 268435457 bytes when it is unpacked"), "{said}");
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
