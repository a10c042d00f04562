//! The reference query over 10 k pairs / 30 k responses and 1 M / 3 M, printed as JSON lines.
//!
//! With `DIPTYCH_TEST_PYTHON` set to an interpreter that has `duckdb`, DuckDB answers the same query over
//! the same Parquet file in the same run, and `times_duckdb` says how much longer this took. Each figure is
//! the best of three. `bench_sql [PAIRS]…` takes other sizes.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use datafusion::parquet::arrow::ArrowWriter;
use diptych_tables::RecordBatch;
use diptych_tables::cells::Rows;
use diptych_tables::output::{self, Format};
use diptych_tables::rows::{self, ResultResponse, ResultRow};
use diptych_tables::sql::{Table, query};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

const REPORT: &str = include_str!("../tests/category-report.sql");
const ANSWERS: [&str; 5] = ["image_1", "image_2", "both_good", "both_bad", "toxic_content"];
const CATEGORIES: usize = 12;
const RUNS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let sizes: Vec<u64> = std::env::args().skip(1).map(|size| size.parse()).collect::<Result<_, _>>()?;
    let sizes = if sizes.is_empty() { vec![10_000, 1_000_000] } else { sizes };
    let folder = std::env::temp_dir().join(format!("diptych-bench-sql-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    for pairs in sizes {
        measure(&folder, pairs).await?;
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

async fn measure(folder: &Path, pairs: u64) -> Result<(), Failure> {
    let path = folder.join(format!("results-{pairs}.parquet"));
    write(&path, pairs)?;
    let file = path.to_string_lossy().into_owned();
    let (from_file, answer) = best(|| vec![("train".to_owned(), Table::Files(file.clone()))]).await?;
    let table = Table::of(&rows::results(), (0..pairs).map(pair))?;
    let (from_memory, same) = best(|| vec![("train".to_owned(), table.clone())]).await?;
    if as_json(&answer)? != as_json(&same)? {
        return Err("memory and file give different answers".into());
    }
    let mut line = json!({
        "bench": "sql", "pairs": pairs, "responses": pairs * 3, "seconds": from_file,
        "seconds_in_memory": from_memory, "rows": answer.iter().map(RecordBatch::num_rows).sum::<usize>(),
        "peak_bytes": peak(),
    });
    if let Ok(python) = std::env::var("DIPTYCH_TEST_PYTHON") {
        let (seconds, rows) = duckdb(&python, &file)?;
        if !alike(&rows, &as_json(&answer)?) {
            return Err("DuckDB gives another answer".into());
        }
        line["seconds_duckdb"] = json!(seconds);
        line["times_duckdb"] = json!(from_file / seconds);
    }
    println_json(&line)
}

async fn best(tables: impl Fn() -> Vec<(String, Table)>) -> Result<(f64, Vec<RecordBatch>), Failure> {
    let (mut best, mut answer) = (f64::MAX, Vec::new());
    for _ in 0..RUNS {
        let start = Instant::now();
        answer = query(tables(), REPORT).await?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok((best, answer))
}

/// A pair with three responses. Answers are spread by a fixed mixing of the pair's number.
fn pair(number: u64) -> ResultRow {
    let mixed = |salt: u64| {
        let value = (number * 8 + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        usize::try_from(value >> 40).unwrap_or(0)
    };
    ResultRow {
        id: format!("{number}-quality"),
        completed: true,
        server_id: format!("c2306976-5e44-4ad4-b2ce-{number:012}"),
        image_1: format!("images/{:016x}.jpg", mixed(1)),
        image_2: format!("images/{:016x}.jpg", mixed(2)),
        prompt: format!("a bustling manga street, devoid of vehicles, number {number}"),
        model_1: "dev".into(),
        model_2: "sd".into(),
        evolution: "quality".into(),
        category: Some(format!("Category {}", mixed(3) % CATEGORIES)),
        sub_category: Some("detailed".into()),
        responses: (0..3)
            .map(|place| ResultResponse {
                answer: ANSWERS[mixed(4 + place) % ANSWERS.len()].into(),
                user: format!("50b9a890-173b-4999-bffa-{:012}", mixed(4 + place) % 250),
                status: "submitted".into(),
            })
            .collect(),
    }
}

/// As other people's exports are: row groups of many rows.
fn write(path: &Path, pairs: u64) -> Result<(), Failure> {
    let mut writer = ArrowWriter::try_new(File::create(path)?, rows::results().schema(), None)?;
    let mut table = Rows::new(&rows::results());
    for number in 0..pairs {
        table.push(pair(number))?;
        if table.len() == 8192 {
            writer.write(&table.take()?)?;
        }
    }
    writer.write(&table.take()?)?;
    writer.close()?;
    Ok(())
}

const DUCKDB: &str = r#"
import duckdb, json, sys, time
file, sql, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
best = None
for _ in range(runs):
    start = time.perf_counter()
    connection = duckdb.connect()
    connection.execute("CREATE VIEW train AS SELECT * FROM read_parquet('" + file + "')")
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row)) for row in cursor.fetchall()]
    took = time.perf_counter() - start
    best = took if best is None else min(best, took)
print(json.dumps({"seconds": best, "rows": rows}, default=float))
"#;

fn duckdb(python: &str, file: &str) -> Result<(f64, Value), Failure> {
    let output = Command::new(python).args(["-c", DUCKDB, file, REPORT, &RUNS.to_string()]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let mut told: Value = serde_json::from_slice(&output.stdout)?;
    Ok((told["seconds"].as_f64().ok_or("no time")?, told["rows"].take()))
}

fn as_json(batches: &[RecordBatch]) -> Result<Value, Failure> {
    let mut out = Vec::new();
    output::write(batches, Format::Json, &mut out)?;
    Ok(serde_json::from_slice(&out)?)
}

/// The same rows, numbers within rounding.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        (Value::Number(a), Value::Number(b)) => {
            (a.as_f64().unwrap_or(f64::NAN) - b.as_f64().unwrap_or(f64::NAN)).abs() < 1e-9
        }
        (a, b) => a == b,
    }
}

/// The most memory this process has had, where the system tells.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[allow(clippy::print_stdout, reason = "a benchmark's lines are its output")]
fn println_json(line: &Value) -> Result<(), Failure> {
    println!("{line}");
    Ok(())
}
