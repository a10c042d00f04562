//! `diptych sql`: a query over the sprint's tables, or over files of other people's results.

use std::path::Path;

use anyhow::{Context as _, Result};
use diptych_tables::output::{self, Format};
use diptych_tables::sql;

use crate::args::SqlFormat;
use crate::{Usage, place};

/// Answers the query.
pub async fn run(
    folder: &Path,
    query: Option<String>,
    file: Option<&Path>,
    train: Option<&str>,
    format: SqlFormat,
) -> Result<()> {
    let query = match (query, file) {
        (Some(query), None) => query,
        (None, Some(file)) => {
            std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?
        }
        _ => return Err(Usage("give one query: as an argument, or in a file with --file".to_owned()).into()),
    };
    let tables = match train {
        Some(pattern) => vec![("train".to_owned(), sql::Table::Files(pattern.to_owned()))],
        None => {
            let look = place::look(folder).await?;
            diptych_stages::publish::tables(&look.ctx).await?
        }
    };
    let rows = sql::query(tables, &query).await?;
    let format = match format {
        SqlFormat::Table => Format::Table,
        SqlFormat::Csv => Format::Csv,
        SqlFormat::Json => Format::Json,
        SqlFormat::Parquet => Format::Parquet,
    };
    output::write(&rows, format, std::io::stdout())?;
    Ok(())
}
