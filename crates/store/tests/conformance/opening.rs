//! Opening: what becomes a store, and what is refused with what words.

use diptych_store::{Backend, Store, StoreError};
use sqlx::{AnyConnection, Connection};
use tempfile::TempDir;

use crate::place::{self, Place};
use crate::sample::NOW;

pub async fn a_database_is_found_again_as_it_was_left(place: &Place) {
    let sprint = place.sprint("birds", NOW).await.unwrap();
    place.close().await;
    let again = place.open_again().await.unwrap();
    assert_eq!(again.backend(), place.backend());
    assert_eq!(again.find_sprint("birds").await.unwrap(), Some(sprint));
}

pub async fn a_newer_database_is_refused(place: &Place) {
    place.close().await;
    place
        .sql(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 9999, description, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
    let text = refusal(place.open_again().await);
    assert!(text.contains("made by a newer diptych") && text.contains("update the program"), "{text}");
}

pub async fn all_our_tables_are_known_by_name(place: &Place) {
    let query = match place.backend() {
        Backend::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
             AND name <> '_sqlx_migrations' ORDER BY name"
        }
        Backend::Postgres => {
            "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema() \
             AND tablename <> '_sqlx_migrations' ORDER BY tablename"
        }
    };
    assert_eq!(place.texts(query).await, diptych_store::OURS);
}

pub async fn two_that_open_a_new_database_at_once_both_do(place: &Place) {
    place.empty().await;
    let opened = futures::future::join_all((0..4).map(|_| place.open_again())).await;
    for store in opened {
        store.unwrap().close().await;
    }
}

pub async fn a_database_of_another_program_is_refused(place: &Place) {
    place.empty().await;
    place.sql("CREATE TABLE people (shoe_size INTEGER)").await;
    let text = refusal(place.open_again().await);
    assert!(text.contains("belongs to another program") && text.contains("`people`"), "{text}");

    place.empty().await;
    place
        .sql("CREATE TABLE _sqlx_migrations (version BIGINT); INSERT INTO _sqlx_migrations VALUES (1)")
        .await;
    let text = refusal(place.open_again().await);
    assert!(text.contains("belongs to another program"), "{text}");
}

/// Killed between the migrator's own table and the first of ours.
pub async fn a_start_that_was_cut_short_is_finished(place: &Place) {
    place.empty().await;
    place
        .sql(match place.backend() {
            Backend::Sqlite => {
                "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
                 installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, \
                 checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)"
            }
            Backend::Postgres => {
                "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
                 installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, \
                 checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)"
            }
        })
        .await;
    place.open_again().await.unwrap().ready().await.unwrap();
}

pub async fn two_programs_may_start_at_once(place: &Place) {
    place.empty().await;
    if place.backend() == Backend::Sqlite {
        // A file belongs to one program at a time; a second start finds the tables of the first.
        place.open_again().await.unwrap();
    }
    let (one, other) = tokio::join!(place.open_again(), place.open_again());
    let (one, other) = (one.unwrap(), other.unwrap());
    let sprint = one.sprint("birds", NOW).await.unwrap();
    assert_eq!(other.sprint("birds", NOW).await.unwrap(), sprint);
}

pub async fn a_ready_store_says_so(store: &Store) {
    store.ready().await.unwrap();
}

pub async fn a_closed_store_refuses_changes(store: &Store) {
    let (kept, ()) = tokio::join!(store.sprint("birds", NOW), async {
        tokio::task::yield_now().await;
    });
    kept.unwrap();
    store.close().await;
    assert!(matches!(store.ready().await, Err(StoreError::Stopped)));
}

/// The whole text of why a database was not opened.
fn refusal(opened: diptych_store::Result<Store>) -> String {
    match opened {
        Ok(_) => panic!("the database was opened"),
        Err(error @ StoreError::Open { .. }) => error.to_string(),
        Err(other) => panic!("not a refusal: {other}"),
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let text = "a letter to a friend, ".repeat(1000);
    std::fs::write(folder.path().join("letter.db"), &text).unwrap();
    let started = std::time::Instant::now();
    let reason = refusal(Store::open("sqlite:letter.db", folder.path()).await);
    assert!(reason.contains("sqlite:letter.db: the file is not a database"), "{reason}");
    assert!(started.elapsed().as_secs() < 3, "it took {:?} to say so", started.elapsed());
    assert_eq!(std::fs::read_to_string(folder.path().join("letter.db")).unwrap(), text);
}

#[tokio::test]
async fn a_file_that_another_program_has_locked_is_refused() {
    let folder = TempDir::new().unwrap();
    let address = format!("sqlite://{}?mode=rwc", folder.path().join("busy.db").display());
    place::sql(&address, "CREATE TABLE t (x INTEGER)").await;
    let mut other = AnyConnection::connect(&address).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let started = std::time::Instant::now();
    let reason = refusal(Store::open("sqlite:busy.db", folder.path()).await);
    assert!(reason.contains("another program has locked it"), "{reason}");
    // The store waits five seconds for a lock, once.
    assert!(started.elapsed().as_secs() < 9, "it took {:?} to say so", started.elapsed());
}

#[tokio::test]
async fn a_place_that_cannot_be_written_to_is_refused() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    for url in ["sqlite:missing/diptych.db", "sqlite:file/diptych.db"] {
        let reason = refusal(Store::open(url, folder.path()).await);
        assert!(reason.contains("cannot be opened") && reason.contains(url), "{reason}");
    }
    // Permissions stop nobody who is root; where they do, the words are the same.
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    let mut permissions = std::fs::metadata(&closed).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&closed, permissions).unwrap();
    if std::fs::write(closed.join("probe"), "").is_err() {
        let reason = refusal(Store::open("sqlite:closed/diptych.db", folder.path()).await);
        assert!(reason.contains("cannot be opened"), "{reason}");
    }
}

/// Before 3.51.3 a checkpoint beside a writer could spoil a database (<https://sqlite.org/wal.html#walresetbug>).
#[tokio::test]
async fn sqlite_is_one_that_may_have_checkpoints_beside_its_writer() {
    sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER, sqlx::postgres::any::DRIVER]).ok();
    let mut connection = AnyConnection::connect("sqlite::memory:").await.unwrap();
    let version: String =
        sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await.unwrap();
    let numbers: Vec<u32> = version.split('.').map(|number| number.parse().unwrap()).collect();
    assert!(numbers >= vec![3, 51, 3], "{version}");
}

/// `.cargo/config.toml` says how it is built; without that, a fifth fewer answers a second were measured.
#[tokio::test]
async fn sqlite_is_built_so_that_no_connection_waits_for_another_one() {
    sqlx::any::install_drivers(&[sqlx::sqlite::any::DRIVER, sqlx::postgres::any::DRIVER]).ok();
    let mut connection = AnyConnection::connect("sqlite::memory:").await.unwrap();
    let options: Vec<String> = sqlx::query_scalar("SELECT compile_options FROM pragma_compile_options")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"), "{options:?}");
    assert!(options.iter().all(|option| option != "ENABLE_MEMORY_MANAGEMENT"), "{options:?}");
}

#[tokio::test]
async fn what_was_committed_comes_home_while_the_store_is_open() {
    let folder = TempDir::new().unwrap();
    let store = Store::open("sqlite:birds.db", folder.path()).await.unwrap();
    store.sprint("birds", NOW).await.unwrap();
    // The file alone, without its log; one that is just being written to may be no database.
    let sprints_at_home = async || -> Option<i64> {
        let home = TempDir::new().unwrap();
        let copy = home.path().join("birds.db");
        std::fs::copy(folder.path().join("birds.db"), &copy).unwrap();
        let mut alone = AnyConnection::connect(&format!("sqlite://{}", copy.display())).await.ok()?;
        sqlx::query_scalar("SELECT COUNT(*) FROM sprints").fetch_one(&mut alone).await.ok()
    };
    let begun = std::time::Instant::now();
    while sprints_at_home().await != Some(1) {
        assert!(begun.elapsed().as_secs() < 30, "nobody brought it home");
    }
    store.close().await;
}

#[tokio::test]
async fn a_folder_may_have_any_name() {
    let folder = TempDir::new().unwrap();
    let odd = folder.path().join("50%20 of? #3 'ü'");
    std::fs::create_dir(&odd).unwrap();
    let store = Store::open("sqlite:diptych.db", &odd).await.unwrap();
    store.sprint("birds", NOW).await.unwrap();
    store.close().await;
    assert!(odd.join("diptych.db").exists());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let folder = TempDir::new().unwrap();
    // Port 9 is "discard": nothing listens there.
    let reason = refusal(Store::open("postgres://me:secret@127.0.0.1:9/db", folder.path()).await);
    assert!(reason.contains("postgres://me@127.0.0.1:9/db") && reason.contains("check that"), "{reason}");
    assert!(!reason.contains("secret"), "{reason}");
}
