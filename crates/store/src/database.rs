//! Opening a database: which backend, its settings, its migrations, and what is refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AnyConnection, AnyPool, Connection as _};

use crate::sessions::Sessions;
use crate::writer::Writer;
use crate::{Connection, Result, StoreError, WriteFuture, is_full};

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// The database behind a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file beside the sprints.
    Sqlite,
    /// A server that several programs may share.
    Postgres,
}

/// A server's rows.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    address: String,
    readers: AnyPool,
    /// For what is asked with nearly every request, by a key: planned once.
    lookups: AnyPool,
    sessions: Sessions,
    writer: Writer,
}

impl Store {
    /// Opens the database at `url` (`sqlite:PATH` or `postgres://…`), makes it where it does not
    /// exist, and brings its tables up to date. A relative path starts at `folder`.
    ///
    /// # Errors
    /// Where the database cannot be reached, is not ours, is newer than this program, or is locked.
    pub async fn open(url: &str, folder: &Path) -> Result<Self> {
        sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER, sqlx::postgres::any::DRIVER]).ok();
        let (backend, mut address) = address(url, folder);
        let shown = without_password(url);
        let fail = |error: sqlx::Error| open_error(&shown, &error);

        let setting_up = match backend {
            // Another program's file is left just as it is: not even its journal's mode is changed.
            Backend::Sqlite => {
                Self::probe(url, folder).await?;
                Some(set_up_alone(&sqlite_path(url, folder), &shown).await?)
            }
            // Its migrator holds an advisory lock.
            Backend::Postgres => None,
        };
        // A pool tries again and again, and then only says that it took too long: this says why.
        match connect(backend, &address).await {
            Err(error) if address != url && wants_tls(&error) => {
                address = url.to_owned();
                connect(backend, &address).await.map_err(fail)?;
            }
            tried => tried.map_err(fail)?,
        }
        let (at, named) = (address.clone(), shown.clone());
        let writer = Writer::start(backend, async move {
            let writers = pool(backend, 1, BY_KEYS).connect(&at).await;
            let writers = writers.map_err(|error| open_error(&named, &error))?;
            migrate(backend, &writers, &named).await?;
            drop(setting_up);
            let checkpoints = match backend {
                Backend::Sqlite => {
                    Some(connect_sqlite(&at).await.map_err(|error| open_error(&named, &error))?)
                }
                Backend::Postgres => None,
            };
            Ok((writers, checkpoints))
        })
        .await?;
        let (readers, lookups) = match backend {
            Backend::Sqlite => {
                let readers = pool(backend, 4, "").connect(&address).await.map_err(fail)?;
                (readers.clone(), readers)
            }
            Backend::Postgres => (
                pool(backend, 8, BY_VALUES).connect(&address).await.map_err(fail)?,
                pool(backend, 4, BY_KEYS).connect(&address).await.map_err(fail)?,
            ),
        };
        let sessions = Sessions::start(lookups.clone());
        Ok(Self { backend, address, readers, lookups, sessions, writer })
    }

    /// Looks whether the database at `url` could be opened, and changes nothing: one sentence on it.
    ///
    /// # Errors
    /// Where it could not.
    pub async fn probe(url: &str, folder: &Path) -> Result<String> {
        sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER, sqlx::postgres::any::DRIVER]).ok();
        let (backend, address) = address(url, folder);
        let shown = without_password(url);
        if backend == Backend::Sqlite && !sqlite_path(url, folder).exists() {
            return Ok("does not exist yet; the first run makes it".to_owned());
        }
        let address = address.replace("?mode=rwc", "?mode=ro");
        let fail = |error: sqlx::Error| open_error(&shown, &error);
        let mut connection = glance(url, &address).await.map_err(fail)?;
        refuse_others(backend, &mut connection, &shown).await?;
        connection.close().await.map_err(fail)?;
        Ok("answers".to_owned())
    }

    /// Whether [`Store::open`] has ever made a database at `url`. Changes nothing.
    ///
    /// # Errors
    /// Where it cannot be reached, or is not ours.
    pub async fn exists(url: &str, folder: &Path) -> Result<bool> {
        sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER, sqlx::postgres::any::DRIVER]).ok();
        let (backend, address) = address(url, folder);
        if backend == Backend::Sqlite {
            return Ok(sqlite_path(url, folder).exists());
        }
        let shown = without_password(url);
        let fail = |error: sqlx::Error| open_error(&shown, &error);
        let mut connection = glance(url, &address).await.map_err(fail)?;
        refuse_others(backend, &mut connection, &shown).await?;
        let ours: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'diptych'",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(fail)?;
        connection.close().await.map_err(fail)?;
        Ok(ours > 0)
    }

    /// The backend.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The folder of its file; none where it is elsewhere.
    pub fn folder(&self) -> Option<PathBuf> {
        let path = self.address.strip_prefix("sqlite:")?;
        let path = Path::new(path.split('?').next().unwrap_or(path).trim_start_matches("//"));
        path.parent().map(Path::to_owned)
    }

    /// The address that its connections were made to, with the way that was found to work.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs `change` in a transaction, together with other changes that are waiting, and answers
    /// when that transaction is on disk.
    ///
    /// No other change runs at the same time, in this process or another: on SQLite by its write
    /// lock, on PostgreSQL by an advisory lock. `change` may run twice, where a neighbour in its
    /// group failed; only one of them is kept.
    ///
    /// # Errors
    /// Whatever `change` gives, or the commit; nothing is changed then.
    pub async fn write<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut Connection) -> WriteFuture<'c, T> + Send + Sync + 'static,
    {
        self.writer.write(change).await
    }

    /// The one writer.
    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The pool for what is asked by a key with nearly every request.
    pub(crate) fn lookups(&self) -> &AnyPool {
        &self.lookups
    }

    /// The pool for other reading.
    pub(crate) fn readers(&self) -> &AnyPool {
        &self.readers
    }

    /// Waits for what is being written, then closes all connections.
    pub async fn close(&self) {
        self.writer.stop().await;
        self.readers.close().await;
        self.lookups.close().await;
    }

    /// Whether a row can be written and read right now.
    ///
    /// # Errors
    /// Where it cannot.
    pub async fn ready(&self) -> Result<()> {
        self.write(|connection| {
            Box::pin(async move {
                sqlx::query("UPDATE diptych SET made_by = made_by").execute(connection).await?;
                Ok(())
            })
        })
        .await
    }
}

/// How a PostgreSQL server is connected to first: without TLS where it is on this machine and neither the
/// address nor `PGSSLMODE` says otherwise. Nobody is between, and a connection costs 1 ms, not 90. A server
/// that takes nobody without TLS is then connected to by the address as it is.
fn postgres_address(url: &str) -> String {
    let query = url.split_once('?').map(|(_, query)| query);
    let says = |query: &str| query.contains("sslmode=") || query.contains("ssl-mode=");
    let said = query.is_some_and(says) || std::env::var_os("PGSSLMODE").is_some();
    let host = url.parse::<PgConnectOptions>().map(|options| options.get_host().to_owned());
    match host.as_deref() {
        Ok("localhost" | "127.0.0.1" | "[::1]" | "::1") if !said => {
            format!("{url}{}sslmode=disable", if query.is_some() { '&' } else { '?' })
        }
        _ => url.to_owned(),
    }
}

fn sqlite_path(url: &str, folder: &Path) -> PathBuf {
    folder.join(url.trim_start_matches("sqlite:").trim_start_matches("//"))
}

/// Waits until no other process sets this database up: two that begin at once would both make its tables.
/// The lock goes when the file is dropped.
async fn set_up_alone(database: &Path, shown: &str) -> Result<std::fs::File> {
    let mut name = database.as_os_str().to_owned();
    name.push("-setup");
    let refuse = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Open {
            url: shown.to_owned(),
            reason: format!(
                "{} cannot be opened ({error}); check that its folder exists and may be written to",
                name.display()
            ),
        },
    };
    let file = std::fs::File::create(&name).map_err(refuse)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // Another task of this process may hold it, and must be let on.
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(std::fs::TryLockError::Error(error)) => return Err(refuse(error)),
        }
    }
}

fn address(url: &str, folder: &Path) -> (Backend, String) {
    match url.strip_prefix("sqlite:") {
        None => (Backend::Postgres, postgres_address(url)),
        Some(path) => {
            let path = folder.join(path.trim_start_matches("//"));
            // What would mean something in an address.
            let path = path.display().to_string().replace('%', "%25").replace('?', "%3F");
            (Backend::Sqlite, format!("sqlite://{path}?mode=rwc"))
        }
    }
}

/// WAL and `synchronous = FULL`: a commit is on disk, through its log, before anybody hears of it. Each connection
/// keeps up to 16 MB of pages, which the system has in its memory once more. The log is brought home beside the writer;
/// the writer does it within a commit where that has come to 64 MB, so that the log begins anew.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; \
    PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -16384; \
    PRAGMA wal_autocheckpoint = 16000; PRAGMA temp_store = MEMORY";

/// Whether a PostgreSQL server has refused us for coming without TLS.
fn wants_tls(error: &sqlx::Error) -> bool {
    error.to_string().contains("no encryption")
}

/// One connection, for a look; as [`Store::open`] makes them.
async fn glance(url: &str, address: &str) -> Result<AnyConnection, sqlx::Error> {
    match AnyConnection::connect(address).await {
        Err(error) if address != url && wants_tls(&error) => AnyConnection::connect(url).await,
        connected => connected,
    }
}

async fn connect_sqlite(address: &str) -> Result<AnyConnection, sqlx::Error> {
    let mut connection = AnyConnection::connect(address).await?;
    sqlx::raw_sql(SQLITE_SETTINGS).execute(&mut connection).await?;
    Ok(connection)
}

async fn connect(backend: Backend, address: &str) -> Result<(), sqlx::Error> {
    let connection = match backend {
        Backend::Sqlite => connect_sqlite(address).await?,
        Backend::Postgres => AnyConnection::connect(address).await?,
    };
    connection.close().await
}

/// How PostgreSQL plans what the writer asks, and what is looked up: once, from key to key by indexes, as these
/// statements are made for. To plan them for their values each time takes longer than to carry them out; and left to
/// itself, it would make a plan for an empty table that goes over all of it once it is full.
const BY_KEYS: &str = "SET lock_timeout = '30s'; SET jit = off; SET plan_cache_mode = force_generic_plan; \
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET enable_material = off";

/// How it plans what reads much: for the values of each call, since a plan for an empty table would be kept.
const BY_VALUES: &str = "SET lock_timeout = '30s'; SET plan_cache_mode = force_custom_plan";

/// Connections to the database; `plans` holds on PostgreSQL.
fn pool(backend: Backend, connections: u32, plans: &'static str) -> AnyPoolOptions {
    let options = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .test_before_acquire(false);
    match backend {
        Backend::Postgres => options
            // A server may have been restarted while nobody asked; asking each time would double the way.
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    Ok(about.idle_for < Duration::from_secs(1) || connection.ping().await.is_ok())
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(plans).execute(connection).await?;
                    Ok(())
                })
            }),
        Backend::Sqlite => options.idle_timeout(None).max_lifetime(None).after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(SQLITE_SETTINGS).execute(connection).await?;
                Ok(())
            })
        }),
    }
}

async fn migrate(backend: Backend, pool: &AnyPool, shown: &str) -> Result<()> {
    let mut connection = pool.acquire().await.map_err(|error| open_error(shown, &error))?;
    refuse_others(backend, &mut connection, shown).await?;
    drop(connection);
    migrations(backend).run(pool).await.map_err(|error| match error {
        full if is_full(&full) => StoreError::Full,
        error => StoreError::Open {
            url: shown.to_owned(),
            reason: format!("its tables cannot be brought up to date: {error}"),
        },
    })
}

fn migrations(backend: Backend) -> &'static Migrator {
    match backend {
        Backend::Sqlite => &SQLITE_MIGRATIONS,
        Backend::Postgres => &POSTGRES_MIGRATIONS,
    }
}

/// All our tables. `conformance/opening.rs` compares them with what the migrations make.
pub const OURS: &[&str] = &[
    "announcements",
    "assignments",
    "calls",
    "checks",
    "consents",
    "diptych",
    "exclusions",
    "identities",
    "images",
    "invitations",
    "pairs",
    "people",
    "prompts",
    "proposals",
    "pseudonyms",
    "publications",
    "reports",
    "responses",
    "reviews",
    "roles",
    "scores",
    "sessions",
    "settings",
    "sign_ins",
    "source_drops",
    "sprints",
    "stage_marks",
    "terms",
    "tokens",
    "variants",
];

/// Refuses a database that is not ours, or newer than this program.
async fn refuse_others(backend: Backend, connection: &mut AnyConnection, shown: &str) -> Result<()> {
    let refuse = |reason: String| StoreError::Open { url: shown.to_owned(), reason };
    let tables_of = async |connection: &mut AnyConnection| -> Result<Vec<String>> {
        sqlx::query_scalar(match backend {
            Backend::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            }
            Backend::Postgres => {
                "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema()"
            }
        })
        .fetch_all(connection)
        .await
        .map_err(|error| open_error(shown, &error))
    };
    // What was applied is read before the tables that it has made: another program may be in the midst of its first
    // start, and a version without its tables would look like somebody else's.
    let applied: i64 = match tables_of(connection).await?.iter().any(|table| table == "_sqlx_migrations") {
        true => sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| open_error(shown, &error))?,
        false => 0,
    };
    let tables = tables_of(connection).await?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    let in_the_way = |table: &str| match (backend, table) {
        // Empty, it is a first start that was cut short, or that another server is in the midst of.
        (_, "_sqlx_migrations") => applied > 0,
        (Backend::Sqlite, _) => true,
        // A PostgreSQL database may hold other programs' tables; only these would be in the way.
        (Backend::Postgres, table) => OURS.contains(&table),
    };
    let example = tables.iter().find(|table| in_the_way(table));
    if let (Some(example), false) = (example, has("diptych")) {
        return Err(refuse(format!(
            "it belongs to another program (it has a table `{example}` and none of ours); name another one in diptych.toml"
        )));
    }
    let newest = migrations(backend).iter().map(|migration| migration.version).max().unwrap_or(0);
    if applied > newest {
        return Err(refuse(format!(
            "it was made by a newer diptych (its tables are at version {applied}, this program knows {newest}); update the program"
        )));
    }
    Ok(())
}

fn open_error(shown: &str, error: &sqlx::Error) -> StoreError {
    if is_full(error) {
        return StoreError::Full;
    }
    let text = error.to_string();
    let reason = if text.contains("file is not a database") {
        "the file is not a database; name another one in diptych.toml".to_owned()
    } else if text.contains("database is locked") {
        "another program has locked it; wait until that one is done, or end it".to_owned()
    } else if text.contains("unable to open database file") {
        "the file cannot be opened; check that its folder exists and may be written to".to_owned()
    } else if wants_tls(error) {
        format!("{text}; if the server wants TLS, add `?sslmode=require` to its address")
    } else if text.contains("readonly") || text.contains("read-only") {
        "it may not be written to; check its permissions".to_owned()
    } else {
        format!("{text}; check that the address is right and that the database runs")
    };
    StoreError::Open { url: shown.to_owned(), reason }
}

/// The address of a database or server as people may see it: without what stands between the user's name
/// and the host, or after `password=`.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => {
            let shown = query.split('&').map(|part| match part.split_once('=') {
                Some((name, _)) if name.to_lowercase().contains("password") => format!("{name}=…"),
                _ => part.to_owned(),
            });
            (rest, format!("?{}", shown.collect::<Vec<_>>().join("&")))
        }
        None => (rest, String::new()),
    };
    // The last one: a password may hold others.
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let name = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{name}@{host}{query}")
        }
        None => format!("{scheme}://{rest}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_left_out_on_this_machine_only() {
        for (url, mode) in [
            ("postgres://me@127.0.0.1:5432/db", "?sslmode=disable"),
            ("postgres://me@[::1]/db", "?sslmode=disable"),
            ("postgres://me@localhost/db?application_name=x", "&sslmode=disable"),
            ("postgres://me@127.0.0.1/db?sslmode=require", ""),
            ("postgres://me@db.example.org/db", ""),
            ("postgres://me@%2Fvar%2Frun/db", ""),
        ] {
            assert_eq!(postgres_address(url), format!("{url}{mode}"));
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(without_password("postgres://me:secret@host/db"), "postgres://me@host/db");
        assert_eq!(without_password("postgres://me:p@ss@host/db"), "postgres://me@host/db");
        assert_eq!(
            without_password("postgres://me:secret@host/db?a=1&password=x"),
            "postgres://me@host/db?a=1&password=…"
        );
        assert_eq!(
            without_password("postgres://host/db?sslmode=disable"),
            "postgres://host/db?sslmode=disable"
        );
        assert_eq!(without_password("sqlite:x.db"), "sqlite:x.db");
    }
}
