//! A database of one test's own, gone when the test ends.

use std::ops::Deref;
use std::path::Path;

use diptych_core::PairId;
use diptych_store::{Backend, Store};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tempfile::TempDir;

/// A database, opened.
pub struct Place {
    store: Store,
    /// Its address.
    pub url: String,
    folder: TempDir,
    /// Where PostgreSQL's database is dropped from, and its name.
    server: Option<(String, String)>,
}

impl Deref for Place {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Place {
    /// A file in a folder of its own.
    pub async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let url = "sqlite:diptych.db".to_owned();
        let store = Store::open(&url, folder.path()).await.unwrap();
        Self { store, url, folder, server: None }
    }

    /// A database of its own on the server that `DIPTYCH_TEST_POSTGRES` names.
    pub async fn postgres() -> Self {
        let server = std::env::var("DIPTYCH_TEST_POSTGRES")
            .expect("DIPTYCH_TEST_POSTGRES must name a server, as in postgres://USER@HOST:5432/postgres");
        let name = format!("diptych_test_{}", PairId::new().as_str().replace('-', "_"));
        sql(&server, &format!("CREATE DATABASE {name}")).await;
        let (host, _) = server.rsplit_once('/').unwrap();
        let url = format!("{host}/{name}");
        let folder = TempDir::new().unwrap();
        let store = Store::open(&url, folder.path()).await.unwrap();
        Self { store, url, folder, server: Some((server, name)) }
    }

    /// The folder that a relative address starts at.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same database, opened by another program.
    pub async fn open_again(&self) -> diptych_store::Result<Store> {
        Store::open(&self.url, self.folder()).await
    }

    /// Runs statements past the store, as another program would.
    pub async fn sql(&self, statements: &str) {
        sql(&self.address(), statements).await;
    }

    /// The first column of a query past the store.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let mut connection = AnyConnection::connect(&self.address()).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(&mut connection).await.unwrap()
    }

    fn address(&self) -> String {
        match self.store.backend() {
            Backend::Sqlite => format!("sqlite://{}", self.folder().join("diptych.db").display()),
            Backend::Postgres => self.url.clone(),
        }
    }

    /// The database with no tables at all, as it is before the first start.
    pub async fn empty(&self) {
        self.store.close().await;
        match self.store.backend() {
            Backend::Sqlite => {
                for file in std::fs::read_dir(self.folder()).unwrap() {
                    // A connection that is still closing may take its log away first.
                    match std::fs::remove_file(file.unwrap().path()) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                        _ => {}
                    }
                }
                std::fs::File::create(self.folder().join("diptych.db")).unwrap();
            }
            Backend::Postgres => self.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((server, name)) = self.server.take() else { return };
        // A thread of its own: a test that panics is still inside its runtime.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(sql(&server, &format!("DROP DATABASE {name} WITH (FORCE)")));
        });
        dropped.join().ok();
    }
}

/// Runs statements on the database at this address.
pub async fn sql(url: &str, statements: &str) {
    sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER, sqlx::postgres::any::DRIVER]).ok();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
