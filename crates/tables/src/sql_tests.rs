//! Queries as people ask them, the reference query among them, and what wrong ones are told.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Float64Type, Int64Type};

use super::*;
use crate::rows::{self, PromptRow, ResponseRow, ResultResponse, ResultRow};

const REPORT: &str = include_str!("../tests/category-report.sql");

fn pair(id: &str, category: &str, answers: &[&str]) -> ResultRow {
    ResultRow {
        id: id.into(),
        completed: true,
        server_id: "s".into(),
        image_1: "images/1.jpg".into(),
        image_2: "images/2.jpg".into(),
        prompt: "a cat".into(),
        model_1: "dev".into(),
        model_2: "sd".into(),
        evolution: "quality".into(),
        category: Some(category.into()),
        sub_category: None,
        responses: answers
            .iter()
            .map(|answer| ResultResponse {
                answer: (*answer).into(),
                user: "u".into(),
                status: "submitted".into(),
            })
            .collect(),
    }
}

pub(crate) fn pairs() -> Vec<ResultRow> {
    vec![
        pair("0-quality", "Anime", &[]),
        pair("1-quality", "Anime", &["image_1", "image_1", "both_good"]),
        pair("2-quality", "Anime", &["image_2"]),
        pair("3-quality", "Manga", &["image_2", "toxic_content"]),
    ]
}

fn train() -> Vec<(String, Table)> {
    vec![
        ("train".to_owned(), Table::of(&rows::results(), pairs()).unwrap()),
        ("prompts".to_owned(), Table::of(&rows::prompts(), [PromptRow { prompt: "a Cat".into() }]).unwrap()),
    ]
}

async fn error(sql: &str) -> String {
    query(train(), sql).await.unwrap_err().to_string()
}

/// Checks the answer of the reference query over [`pairs`].
pub(crate) fn is_report(batches: &[RecordBatch]) {
    let batch = &batches[0];
    let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(
        names,
        ["Category", "Total Responses", "Win Ratio (FLUX dev)", "Win Ratio (Stable Diffusion)"]
    );
    let categories =
        datafusion::arrow::compute::cast(batch.column(0), &datafusion::arrow::datatypes::DataType::Utf8)
            .unwrap();
    assert_eq!(categories.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["Anime", "Manga"]);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().values().to_vec(), [4, 2]);
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().value(0), 0.5);
    assert!(batch.column(2).is_null(1));
    assert_eq!(batch.column(3).as_primitive::<Float64Type>().values().to_vec(), [0.25, 0.5]);
}

#[tokio::test]
async fn the_reference_query_runs_as_it_stands() {
    is_report(&query(train(), REPORT).await.unwrap());
}

#[tokio::test]
async fn nested_and_plain_functions_are_there() {
    let sql = "SELECT round(avg(cardinality(array_distinct(\"preference.responses\"))), 2) AS a, \
               max(length(train.images['prompt'])) AS b FROM train";
    let answer = query(train(), sql).await.unwrap();
    assert_eq!(answer[0].column(0).as_primitive::<Float64Type>().value(0), 1.67);
    let row = ResponseRow {
        pair_id: "1".into(),
        pseudonym: "p".into(),
        answer: "image_1".into(),
        side: "left".into(),
        time: 1_000_000,
        duration_ms: None,
        counts: true,
        why: None,
    };
    let responses = Table::of(&rows::responses(), [row]).unwrap();
    let sql = "SELECT date_trunc('day', time) AS day, count(*) AS n FROM responses WHERE counts GROUP BY day";
    assert_eq!(query(vec![("responses".into(), responses)], sql).await.unwrap()[0].num_rows(), 1);
}

#[tokio::test]
async fn an_empty_answer_has_its_columns() {
    let answer = query(train(), "SELECT id, category FROM train WHERE id = 'none'").await.unwrap();
    assert_eq!(answer[0].num_columns(), 2);
    let empty = Table::of(&rows::results(), Vec::<ResultRow>::new()).unwrap();
    let answer = query(vec![("train".into(), empty)], REPORT).await.unwrap();
    assert_eq!((answer[0].num_rows(), answer[0].num_columns()), (0, 4));
}

#[tokio::test]
async fn reading_statements_are_let_through_and_others_refused() {
    for sql in [
        "SHOW TABLES",
        "DESCRIBE train",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "SHOW COLUMNS FROM train",
    ] {
        assert!(query(train(), sql).await.is_ok(), "{sql}");
    }
    for sql in [
        "DROP TABLE train",
        "DELETE FROM train",
        "UPDATE train SET id = 'x'",
        "INSERT INTO train SELECT * FROM train",
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/tmp/x'",
        "COPY train TO '/tmp/x.parquet'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE INSERT INTO train SELECT * FROM train",
        "EXPLAIN COPY train TO '/tmp/x.parquet'",
    ] {
        let error = query(train(), sql).await.unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, SqlError::NotReading(_) | SqlError::Failed(_)), "{sql}: {told}");
        assert!(told.contains("only reads") || told.contains("not supported"), "{sql}: {told}");
    }
    assert!(error("SELECT 1; SELECT 2").await.starts_with("2 statements"));
    assert!(error("").await.starts_with("0 statements"));
}

#[tokio::test]
async fn files_that_the_query_names_itself_are_not_opened() {
    assert!(error("SELECT * FROM '/etc/passwd'").await.starts_with("there is no table"));
}

#[tokio::test]
async fn errors_name_what_is_wrong_and_what_there_is() {
    assert_eq!(
        error("SELECT * FROM trian").await,
        "there is no table `trian`; the tables are: `train`, `prompts`"
    );
    assert_eq!(
        error("SELECT text FROM prompts").await,
        "there is no column `text`; the columns are: `prompt`"
    );
    let told = error("SELECT train.nothing FROM train").await;
    assert!(told.contains("`nothing`") && told.contains("`preference.responses`"), "{told}");
    let told = error("SELEC 1").await;
    assert!(told.starts_with("the query cannot be read: ") && told.contains("SELEC"), "{told}");
    let told = error("SELECT id FROM train WHERE").await;
    assert!(told.starts_with("the query cannot be read: "), "{told}");
    let told = error("SELECT nofunction(id) FROM train").await;
    assert!(told.starts_with("the query fails: ") && told.contains("nofunction"), "{told}");
}
