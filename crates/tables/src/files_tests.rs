//! The same results from every kind of file give the same report.

use std::io::Write;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::parquet::arrow::ArrowWriter;

use super::*;
use crate::cells::Rows;
use crate::sql::tests::{is_report, pairs};
use crate::sql::{SqlError, Table, query};

const REPORT: &str = include_str!("../tests/category-report.sql");

fn rows_of(from: usize, to: usize) -> Vec<RecordBatch> {
    let mut table = Rows::new(&rows::results());
    for row in pairs().into_iter().take(to).skip(from) {
        table.push(row).unwrap();
    }
    vec![table.take().unwrap()]
}

async fn ask(pattern: &Path, sql: &str) -> Result<Vec<RecordBatch>, SqlError> {
    query(vec![("train".into(), Table::Files(pattern.to_str().unwrap().into()))], sql).await
}

/// The chain of an error, as a command line prints it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

fn json_lines(batches: &[RecordBatch]) -> String {
    let mut out = Vec::new();
    crate::output::write(batches, crate::output::Format::Json, &mut out).unwrap();
    let values: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
    values.iter().map(|value| format!("{value}\n")).collect()
}

#[tokio::test]
async fn parquet_jsonl_json_and_csv_give_the_same_report() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let all = rows_of(0, 4);

    for (name, from, to) in [("a-1.parquet", 0, 2), ("a-2.parquet", 2, 4)] {
        let batch = &rows_of(from, to)[0];
        let mut writer = ArrowWriter::try_new(File::create(at(name)).unwrap(), batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
    }
    is_report(&ask(&at("a-*.parquet"), REPORT).await.unwrap());
    is_report(&ask(folder.path(), REPORT).await.unwrap());

    fs::write(at("b.jsonl"), json_lines(&all)).unwrap();
    is_report(&ask(&at("b.jsonl"), REPORT).await.unwrap());
    // Two files, the first with nothing but null lists.
    fs::write(at("b1[x].jsonl"), json_lines(&rows_of(0, 1))).unwrap();
    fs::write(at("b2[x].jsonl"), json_lines(&rows_of(1, 4))).unwrap();
    is_report(&ask(&at("b?[[]x].jsonl"), REPORT).await.unwrap());
    let columns = ask(&at("b1[x].jsonl"), "SELECT * FROM train").await.unwrap();
    assert_eq!(
        columns[0].schema().fields().iter().map(|field| field.data_type()).collect::<Vec<_>>(),
        rows::results().schema().fields().iter().map(|field| field.data_type()).collect::<Vec<_>>()
    );
    assert_eq!(columns[0].schema().field(0).name(), "id");

    let mut array = Vec::new();
    crate::output::write(&all, crate::output::Format::Json, &mut array).unwrap();
    fs::write(at("c.json"), &array).unwrap();
    is_report(&ask(&at("c.json"), REPORT).await.unwrap());

    let mut csv = Vec::new();
    crate::output::write(&all, crate::output::Format::Csv, &mut csv).unwrap();
    fs::write(at("d.csv"), &csv).unwrap();
    is_report(&ask(&at("d.csv"), REPORT).await.unwrap());
}

#[tokio::test]
async fn the_sample_of_the_reference_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results-sample.jsonl");
    fs::write(&path, include_str!("../tests/results-sample.jsonl")).unwrap();
    let answer = ask(&path, REPORT).await.unwrap();
    assert_eq!(answer[0].column(1).as_primitive::<Int64Type>().values().to_vec(), [3]);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let told = |error: SqlError| chain(&error);
    let sql = "SELECT * FROM train";
    assert!(told(ask(&at("*.parquet"), sql).await.unwrap_err()).contains("no file matches"));
    fs::write(at("a.txt"), "x").unwrap();
    assert!(told(ask(&at("a.txt"), sql).await.unwrap_err()).contains("is no .parquet"));
    fs::write(at("a.parquet"), "PAR1 not really").unwrap();
    let error = told(ask(&at("a.parquet"), sql).await.unwrap_err());
    assert!(error.contains("a.parquet"), "{error}");
    File::create(at("a.jsonl")).unwrap().write_all(b"{\"id\": 1}\n{\"id\": \n").unwrap();
    let error = told(ask(&at("a.jsonl"), sql).await.unwrap_err());
    assert!(error.contains("a.jsonl"), "{error}");
    assert!(told(ask(&at("a.*"), sql).await.unwrap_err()).contains("is no .parquet"));
    assert!(told(ask(&at("a.[jp]*"), sql).await.unwrap_err()).contains("several formats"));
    fs::write(at("a.csv"), "id,preference.responses\n1,\"['image_1']\"\n2,image_1\n").unwrap();
    let error = told(ask(&at("a.csv"), sql).await.unwrap_err());
    assert!(error.contains("row 2 of `preference.responses` is no list: image_1"), "{error}");
}

#[test]
fn lists_are_read_as_json_python_and_numpy_print_them() {
    let two = Some(vec!["image_1".to_owned(), "both_good".to_owned()]);
    assert_eq!(parse_list(r#"["image_1", "both_good"]"#), two);
    assert_eq!(parse_list("['image_1', 'both_good']"), two);
    assert_eq!(parse_list("['image_1' 'both_good']"), two);
    assert_eq!(parse_list("['image_1'\n 'both_good']"), two);
    assert_eq!(parse_list("[]"), Some(Vec::new()));
    assert_eq!(parse_list("['a', b]"), None);
    assert_eq!(parse_list("image_1"), None);
}

/// Readers of Parquet panic on some damaged files: a query says that it fails, and the program goes on.
#[tokio::test]
async fn damaged_parquet_is_an_answer_or_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.parquet");
    let batch = rows_of(0, 2).remove(0);
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let whole = writer.into_inner().unwrap();
    let (mut answered, mut refused) = (0, 0);
    // The end of the file tells what the rest is.
    for place in (whole.len() / 2..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x7F;
        fs::write(&path, damaged).unwrap();
        match ask(&path, "SELECT COUNT(*), MAX(category) FROM train").await {
            Ok(_) => answered += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(answered > 0 && refused > 0, "{answered} are answered, {refused} are not");
}
