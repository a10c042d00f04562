//! Queries over tables: the sprint's, in memory, or files of other people's results.
//!
//! Only what reads is let through. Errors name what is wrong and what there would be.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, SchemaError, TableReference};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::context::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::Statement as Sql;
use futures::FutureExt as _;

use crate::TableError;
use crate::cells::{Row, Rows};
use crate::features::Features;
use crate::files::{self, FilesError};

/// What stands behind a table's name. Clones share the data.
#[derive(Debug, Clone)]
pub enum Table {
    /// Rows in memory.
    Batches(SchemaRef, Vec<RecordBatch>),
    /// Parquet, JSONL, JSON or CSV files: a path, a glob, or a folder that was published.
    Files(String),
}

impl Table {
    /// A table of these rows.
    ///
    /// # Errors
    /// Where a row does not fit the columns.
    pub fn of<R: Into<Row>>(
        features: &Features,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Self, TableError> {
        let (mut builder, mut batches) = (Rows::new(features), Vec::new());
        for row in rows {
            builder.push(row)?;
            if builder.len() == BATCH {
                batches.push(builder.take()?);
            }
        }
        if !builder.is_empty() {
            batches.push(builder.take()?);
        }
        Ok(Self::Batches(features.schema(), batches))
    }
}

/// Rows of a batch in memory; what DataFusion's operators are tuned to.
const BATCH: usize = 8192;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The text is no SQL.
    #[error("the query cannot be read: {0}")]
    Syntax(String),
    /// It would change something.
    #[error("`{0}` is refused: `sql` only reads (SELECT, WITH, EXPLAIN, SHOW, DESCRIBE)")]
    NotReading(String),
    /// Several statements, or none.
    #[error("{0} statements where one is expected")]
    NotOne(usize),
    /// There is no such table.
    #[error("there is no table `{name}`; the tables are: {there}")]
    NoTable {
        /// What was asked for.
        name: String,
        /// What there is.
        there: String,
    },
    /// There is no such column.
    #[error("there is no column `{name}`; {there}")]
    NoColumn {
        /// What was asked for.
        name: String,
        /// What there is, or a hint.
        there: String,
    },
    /// A table's files cannot be read.
    #[error("the files of the table `{table}` cannot be read")]
    Files {
        /// The table.
        table: String,
        /// Why.
        source: FilesError,
    },
    /// What it reads is so damaged that reading it stopped short.
    #[error("the query fails: a file that it reads is damaged, and its reader gave up")]
    GaveUp,
    /// Something else about the query, or its data.
    #[error("the query fails: {0}")]
    Failed(String),
}

/// The answer to a query: batches of one schema, at least one, so that the columns are known without rows.
///
/// # Errors
/// See [`SqlError`].
pub async fn query(tables: Vec<(String, Table)>, sql: &str) -> Result<Vec<RecordBatch>, SqlError> {
    // Some readers panic on damaged files: see `crates/columns`. What they leave half-done is dropped with them.
    let answer = AssertUnwindSafe(answer(tables, sql)).catch_unwind().await;
    answer.unwrap_or_else(|_| Err(SqlError::GaveUp))
}

async fn answer(tables: Vec<(String, Table)>, sql: &str) -> Result<Vec<RecordBatch>, SqlError> {
    only_reads(sql)?;
    let config = SessionConfig::new().with_information_schema(true);
    let partitions = config.options().execution.target_partitions;
    let context = SessionContext::new_with_config(config);
    let mut names = Vec::new();
    for (name, table) in tables {
        let provider: Arc<dyn TableProvider> = match table {
            Table::Batches(schema, batches) => Arc::new(
                MemTable::try_new(schema, spread(batches, partitions)).map_err(|error| failed(&error))?,
            ),
            Table::Files(pattern) => files::open(&context, &pattern)
                .await
                .map_err(|source| SqlError::Files { table: name.clone(), source })?,
        };
        context
            .register_table(TableReference::bare(name.as_str()), provider)
            .map_err(|error| failed(&error))?;
        names.push(name);
    }
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let explain = |error: DataFusionError| explained(&error, &names);
    let frame = context.sql_with_options(sql, reads).await.map_err(explain)?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let mut batches = frame.collect().await.map_err(explain)?;
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    Ok(batches)
}

/// Deals batches out to as many partitions as there are threads.
fn spread(batches: Vec<RecordBatch>, partitions: usize) -> Vec<Vec<RecordBatch>> {
    let mut spread = vec![Vec::new(); partitions.clamp(1, batches.len().max(1))];
    let count = spread.len();
    for (place, batch) in batches.into_iter().enumerate() {
        spread[place % count].push(batch);
    }
    spread
}

fn only_reads(sql: &str) -> Result<(), SqlError> {
    let statements =
        DFParser::parse_sql(sql).map_err(|error| SqlError::Syntax(plain(&error.strip_backtrace())))?;
    if statements.len() != 1 {
        return Err(SqlError::NotOne(statements.len()));
    }
    let statement = &statements[0];
    let inner = match statement {
        Statement::Explain(explain) => explain.statement.as_ref(),
        statement => statement,
    };
    let reads = match inner {
        Statement::Statement(sql) => matches!(
            sql.as_ref(),
            Sql::Query(_)
                | Sql::Explain { .. }
                | Sql::ExplainTable { .. }
                | Sql::ShowTables { .. }
                | Sql::ShowColumns { .. }
                | Sql::ShowVariable { .. }
                | Sql::ShowFunctions { .. }
        ),
        _ => false,
    };
    if reads {
        return Ok(());
    }
    let words = inner.to_string();
    Err(SqlError::NotReading(words.split_whitespace().take(3).collect::<Vec<_>>().join(" ")))
}

fn failed(error: &DataFusionError) -> SqlError {
    SqlError::Failed(plain(&error.strip_backtrace()))
}

fn explained(error: &DataFusionError, tables: &[String]) -> SqlError {
    match innermost(error) {
        DataFusionError::SchemaError(schema, _) => {
            if let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref() {
                return no_column(field.name(), valid_fields);
            }
            SqlError::Failed(plain(&schema.to_string()))
        }
        DataFusionError::SQL(parser, _) => SqlError::Syntax(parser.to_string()),
        other => {
            let text = plain(&other.strip_backtrace());
            let missing = text.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found"));
            let Some(name) = missing else {
                return SqlError::Failed(text);
            };
            let name = name.strip_prefix("datafusion.public.").unwrap_or(name).to_owned();
            SqlError::NoTable { name, there: listed(tables.iter().map(String::as_str)) }
        }
    }
}

fn no_column(name: &str, valid: &[Column]) -> SqlError {
    let near = valid.iter().find(|column| column.name().eq_ignore_ascii_case(name) && column.name() != name);
    let there = match near {
        Some(near) => format!("write \"{}\" in double quotes, which keep capitals", near.name()),
        None if valid.is_empty() => "no table with columns is named after FROM".to_owned(),
        None => format!("the columns are: {}", listed(valid.iter().map(Column::name))),
    };
    SqlError::NoColumn { name: name.to_owned(), there }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for name in names {
        let name = format!("`{name}`");
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }
}

/// The error inside its wrappings.
fn innermost(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => innermost(inner),
        DataFusionError::Shared(inner) => innermost(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, innermost),
        error => error,
    }
}

/// Without DataFusion's own names for the kinds of errors.
pub(crate) fn plain(text: &str) -> String {
    let mut text = text.trim();
    while let Some(rest) = KINDS.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    text.to_owned()
}

const KINDS: [&str; 9] = [
    "Error during planning: ",
    "Execution error: ",
    "Arrow error: ",
    "Parquet error: ",
    "Json error: ",
    "Schema error: ",
    "SQL error: ",
    "External error: ",
    "This feature is not implemented: ",
];

#[cfg(test)]
#[path = "sql_tests.rs"]
pub(crate) mod tests;
