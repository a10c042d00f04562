//! All rows of a server, out and in again: as one JSON object a row, the same for both backends, so that a backup
//! of one can be brought back on the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;

use crate::{Backend, Connection, Result, Store, StoreError, rows_at_once, value_rows};

/// All tables but the mark of the database itself, each behind those that it refers to.
pub const IN_ORDER: &[&str] = &[
    "sprints",
    "people",
    "terms",
    "stage_marks",
    "prompts",
    "source_drops",
    "variants",
    "calls",
    "images",
    "pairs",
    "tokens",
    "sessions",
    "identities",
    "sign_ins",
    "invitations",
    "consents",
    "roles",
    "pseudonyms",
    "exclusions",
    "assignments",
    "responses",
    "checks",
    "scores",
    "reviews",
    "reports",
    "publications",
    "settings",
    "announcements",
    "proposals",
];

/// One row: its table, and its columns as a JSON object.
pub type RowOfTable = std::io::Result<(String, String)>;

/// Gives all rows, from the first one on, each time that it is called.
pub type Rows = Arc<dyn Fn() -> std::io::Result<Box<dyn Iterator<Item = RowOfTable> + Send>> + Send + Sync>;

/// A column: its name, and what kind of value it holds.
struct Column {
    name: String,
    kind: Kind,
    /// Whether a row may do without: a backup of an older version has no column that came later.
    has_default: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Number,
    Truth,
}

impl Store {
    /// Gives every row to `each`, table by table, all as they are at one moment; who writes meanwhile is not kept
    /// waiting. Says how many there were of each table.
    ///
    /// # Errors
    /// Where the database fails, or `each` does.
    pub async fn dump(
        &self,
        mut each: impl FnMut(&'static str, &str) -> std::io::Result<()> + Send,
    ) -> Result<BTreeMap<&'static str, u64>> {
        let mut connection = self.readers().acquire().await?;
        let begin = match self.backend() {
            Backend::Sqlite => "BEGIN",
            Backend::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        sqlx::raw_sql(begin).execute(&mut *connection).await?;
        let mut counts = BTreeMap::new();
        let mut outcome = Ok(());
        for table in IN_ORDER {
            match dump_table(&mut connection, self.backend(), table, &mut each).await {
                Ok(count) => _ = counts.insert(*table, count),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        // A connection with an open transaction would go on to see this moment.
        if sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.is_err() {
            connection.close().await.ok();
        }
        outcome.map(|()| counts)
    }

    /// Whether nothing was ever kept here.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn is_empty(&self) -> Result<bool> {
        let rows: i64 =
            sqlx::query_scalar("SELECT (SELECT COUNT(*) FROM sprints) + (SELECT COUNT(*) FROM people)")
                .fetch_one(self.readers())
                .await?;
        Ok(rows == 0)
    }

    /// Brings rows back into a database that has none; all of them or none. `wanted` says how many there must be of
    /// each table that has any.
    ///
    /// # Errors
    /// Where a row does not fit or is missing, or the database fails; nothing is changed then.
    pub async fn restore(&self, rows: Rows, wanted: BTreeMap<String, u64>) -> Result<()> {
        let (backend, wanted) = (self.backend(), Arc::new(wanted));
        self.write(move |connection| {
            let (rows, wanted) = (Arc::clone(&rows), Arc::clone(&wanted));
            Box::pin(async move {
                let mut counts: BTreeMap<String, u64> = BTreeMap::new();
                let mut some: Vec<Map<String, Value>> = Vec::new();
                let mut of: Option<(String, Vec<Column>)> = None;
                for row in rows()? {
                    let (table, text) = row?;
                    let misfit =
                        |why: String| StoreError::Backup { what: format!("a row of {table}: {why}") };
                    let Value::Object(row) =
                        serde_json::from_str(&text).map_err(|error| misfit(error.to_string()))?
                    else {
                        return Err(misfit("it is no JSON object".to_owned()));
                    };
                    if of.as_ref().is_none_or(|(known, _)| *known != table) {
                        insert(connection, of.as_ref(), &mut some).await?;
                        if !IN_ORDER.contains(&table.as_str()) {
                            return Err(misfit("this program knows no such table".to_owned()));
                        }
                        of = Some((table.clone(), columns(connection, backend, &table).await?));
                    }
                    *counts.entry(table).or_default() += 1;
                    some.push(row);
                    let width = of.as_ref().map_or(1, |(_, columns)| columns.len());
                    if some.len() >= rows_at_once(width) {
                        insert(connection, of.as_ref(), &mut some).await?;
                    }
                }
                insert(connection, of.as_ref(), &mut some).await?;
                if counts != *wanted {
                    let what = format!("it has other rows than it says: {counts:?}, not {wanted:?}");
                    return Err(StoreError::Backup { what });
                }
                Ok(())
            })
        })
        .await
    }
}

async fn dump_table(
    connection: &mut Connection,
    backend: Backend,
    table: &'static str,
    each: &mut (impl FnMut(&'static str, &str) -> std::io::Result<()> + Send),
) -> Result<u64> {
    let query = match backend {
        Backend::Postgres => format!("SELECT CAST(row_to_json(t) AS TEXT) FROM {table} AS t"),
        Backend::Sqlite => {
            let columns = columns(connection, backend, table).await?;
            // Seventeen digits tell every number from its neighbours; JSON's own fifteen do not.
            let value = |column: &Column| match column.kind {
                Kind::Number => format!(
                    "'{0}', CASE WHEN {0} IS NULL THEN NULL ELSE json(printf('%!.17g', {0})) END",
                    column.name
                ),
                _ => format!("'{0}', {0}", column.name),
            };
            let values: Vec<String> = columns.iter().map(value).collect();
            format!("SELECT json_object({}) FROM {table}", values.join(", "))
        }
    };
    let mut rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(query)).fetch(connection);
    let mut count = 0;
    while let Some(row) = rows.next().await {
        each(table, &row?)?;
        count += 1;
    }
    Ok(count)
}

async fn columns(connection: &mut Connection, backend: Backend, table: &str) -> Result<Vec<Column>> {
    let query = match backend {
        Backend::Sqlite => format!(
            "SELECT name, type, CASE WHEN dflt_value IS NULL THEN 0 ELSE 1 END FROM pragma_table_info('{table}') ORDER BY cid"
        ),
        Backend::Postgres => format!(
            "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT), \
             CAST(CASE WHEN column_default IS NULL THEN 0 ELSE 1 END AS BIGINT) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position"
        ),
    };
    let rows: Vec<(String, String, i64)> = sqlx::query_as(AssertSqlSafe(query)).fetch_all(connection).await?;
    let kind = |name: &str| match name.to_lowercase().as_str() {
        "bigint" => Kind::Integer,
        "double precision" => Kind::Number,
        "boolean" => Kind::Truth,
        _ => Kind::Text,
    };
    let column = |(name, of, has_default): (String, String, i64)| Column {
        kind: kind(&of),
        name,
        has_default: has_default == 1,
    };
    Ok(rows.into_iter().map(column).collect())
}

/// Inserts what was gathered of one table, and forgets it.
async fn insert(
    connection: &mut Connection,
    of: Option<&(String, Vec<Column>)>,
    some: &mut Vec<Map<String, Value>>,
) -> Result<()> {
    let (Some((table, columns)), false) = (of, some.is_empty()) else { return Ok(()) };
    let misfit = |what: String| StoreError::Backup { what: format!("a row of {table}: {what}") };
    // All rows of a table are of one version.
    let lacks = |column: &&Column| {
        column.has_default && some.first().is_some_and(|row| !row.contains_key(&column.name))
    };
    let columns: Vec<&Column> = columns.iter().filter(|column| !lacks(column)).collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let query = format!(
        "INSERT INTO {table} ({}) VALUES {}",
        names.join(", "),
        value_rows(some.len(), columns.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(query));
    for mut row in some.drain(..) {
        for Column { name, kind, .. } in &columns {
            let value = row.remove(name).ok_or_else(|| misfit(format!("it has no `{name}`")))?;
            let bad = |value: &Value| misfit(format!("`{name}` is {value}"));
            query = match (kind, value) {
                (Kind::Text, Value::String(text)) => query.bind(Some(text)),
                (Kind::Text, Value::Null) => query.bind(None::<String>),
                (Kind::Integer, Value::Null) => query.bind(None::<i64>),
                (Kind::Integer, value) => query.bind(Some(value.as_i64().ok_or_else(|| bad(&value))?)),
                (Kind::Number, Value::Null) => query.bind(None::<f64>),
                (Kind::Number, value) => query.bind(Some(value.as_f64().ok_or_else(|| bad(&value))?)),
                (Kind::Truth, Value::Bool(truth)) => query.bind(truth),
                (Kind::Truth, Value::Number(number)) if number.as_i64().is_some_and(|n| n == 0 || n == 1) => {
                    query.bind(number.as_i64() == Some(1))
                }
                (_, value) => return Err(bad(&value)),
            };
        }
        if let Some(more) = row.keys().next() {
            return Err(misfit(format!("this program knows no column `{more}`")));
        }
    }
    query.execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_in_the_backup() {
        let mut known: Vec<&str> = IN_ORDER.iter().copied().chain(["diptych"]).collect();
        known.sort_unstable();
        assert_eq!(known, crate::OURS);
    }
}
