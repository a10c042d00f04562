//! What a dataset folder holds, read back with Parquet itself; `tests/datasets.rs` reads it as people do.

use bytes::Bytes;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::Compression;

use super::*;
use crate::cells::{Cell, Image};

fn features() -> Features {
    Features::new(vec![Column::new("prompt", Kind::Text), Column::new("image", Kind::Image)]).unwrap()
}

fn row(number: usize, bytes: usize) -> Row {
    let image = Image { bytes: Some(Bytes::from(vec![number as u8; bytes])), path: Some("a.jpg".into()) };
    Row(vec![Cell::Text(format!("prompt {number}")), Cell::Image(image)])
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn shards_and_row_groups_stay_within_their_limits() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("preferences");
    let limits = Limits { group_rows: 10, group_bytes: 60_000, shard_bytes: 300_000 };
    let mut writer = DatasetWriter::with_limits(&target, features(), limits).unwrap();
    for number in 0..100 {
        // 0 to 9 are limited by rows, the others by bytes.
        writer.push(Split::Train, row(number, if number < 10 { 10 } else { 9_000 })).unwrap();
    }
    writer.push(Split::Test, row(100, 10)).unwrap();
    let written = writer.finish(&Card::default()).unwrap();
    assert_eq!(names(folder.path()), ["preferences"]);
    assert_eq!(names(&target), ["README.md", "data"]);
    assert_eq!(written.splits.iter().map(|split| split.rows).collect::<Vec<_>>(), [100, 1]);
    let shards = names(&target.join("data"));
    assert_eq!(shards[0], "test-00000-of-00001.parquet");
    assert_eq!(shards[1], format!("train-00000-of-{:05}.parquet", shards.len() - 1));
    assert_eq!(written.shards, shards.len());
    assert!(shards.len() > 3);
    let mut number = 0;
    for shard in &shards[1..] {
        let path = target.join("data").join(shard);
        assert!(fs::metadata(&path).unwrap().len() <= 300_000);
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let metadata = builder.metadata();
        for group in metadata.row_groups() {
            assert!(group.num_rows() <= 10 && group.total_byte_size() <= 61_000);
            assert_eq!(group.column(1).compression(), Compression::UNCOMPRESSED);
            assert!(group.column(1).statistics().is_none());
        }
        let keys = metadata.file_metadata().key_value_metadata().unwrap();
        assert_eq!(keys.iter().map(|key| key.key.as_str()).collect::<Vec<_>>(), ["huggingface"]);
        for batch in builder.build().unwrap() {
            let batch = batch.unwrap();
            let prompts = datafusion::arrow::array::AsArray::as_string::<i32>(batch.column(0));
            for prompt in prompts.iter().flatten() {
                assert_eq!(prompt, format!("prompt {number}"));
                number += 1;
            }
        }
    }
    assert_eq!(number, 100);
}

#[test]
fn only_what_was_written_here_is_replaced_and_a_stopped_writer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("results");
    let write = |rows: usize| -> Result<(), TableError> {
        let mut writer = DatasetWriter::create(&target, features())?;
        for number in 0..rows {
            writer.push(Split::Train, row(number, 10))?;
        }
        writer.finish(&Card::default()).map(|_| ())
    };
    write(1).unwrap();
    write(0).unwrap();
    assert_eq!(names(&target.join("data")), ["train-00000-of-00001.parquet"]);

    let mut stopped = DatasetWriter::create(&target, features()).unwrap();
    stopped.push(Split::Train, row(1, 10)).unwrap();
    drop(stopped);
    assert_eq!(names(folder.path()), ["results"]);

    fs::write(target.join("notes.txt"), "mine").unwrap();
    assert!(write(1).unwrap_err().to_string().contains("holds `notes.txt`"));
    fs::remove_file(target.join("notes.txt")).unwrap();
    fs::write(target.join("README.md"), "---\nlicense: mit\n---\n").unwrap();
    assert!(write(1).unwrap_err().to_string().contains("lacks the tag"));
    fs::remove_dir_all(&target).unwrap();
    fs::write(&target, "a file").unwrap();
    assert!(write(1).unwrap_err().to_string().contains("it is a file"));
    assert_eq!(fs::read_to_string(&target).unwrap(), "a file");
}

#[test]
fn files_go_into_images_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("results");
    let mut writer = DatasetWriter::create(&target, features()).unwrap();
    writer.add_file("images/ab.jpg", b"one").unwrap();
    writer.add_file("images/ab.jpg", b"one").unwrap();
    for path in ["../ab.jpg", "images/../../ab.jpg", "/tmp/ab.jpg", "ab.jpg", "data/ab.jpg", "images"] {
        assert!(matches!(writer.add_file(path, b"two"), Err(TableError::FilePath(_))), "{path}");
    }
    writer.finish(&Card::default()).unwrap();
    assert_eq!(fs::read(target.join("images/ab.jpg")).unwrap(), b"one");
}
