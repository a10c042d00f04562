//! Group commits: one change's failure is no other's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diptych_store::{Store, StoreError};

use crate::sample::{NOW, everything_in};

const INSERT: &str = "INSERT INTO sprints (id, slug, created_at) VALUES ($1, $2, 0)";

async fn add_sprint(
    store: &Store,
    slug: String,
    fails: bool,
    runs: Arc<AtomicUsize>,
) -> Result<String, StoreError> {
    store
        .write(move |connection| {
            let slug = slug.clone();
            runs.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                sqlx::query(INSERT).bind(&slug).bind(&slug).execute(&mut *connection).await?;
                if fails {
                    sqlx::query("INSERT INTO no_such_table VALUES (1)").execute(connection).await?;
                }
                Ok(slug)
            })
        })
        .await
}

pub async fn a_failing_change_fails_alone(store: &Store) {
    let runs = Arc::new(AtomicUsize::new(0));
    let changes =
        (0..40).map(|number| add_sprint(store, format!("s{number:02}"), number % 10 == 7, Arc::clone(&runs)));
    let outcomes = futures::future::join_all(changes).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        if number % 10 == 7 {
            let failed = matches!(outcome, Err(StoreError::Query(error)) if error.to_string().contains("no_such_table"));
            assert!(failed, "{number}: {outcome:?}");
        } else {
            assert_eq!(
                outcome.as_deref().unwrap(),
                format!("s{number:02}"),
                "each caller gets its own result"
            );
        }
    }
    assert!(
        runs.load(Ordering::Relaxed) > 40,
        "the changes did not share a transaction, so nothing was tried"
    );
    let kept = everything_in(store, "SELECT slug FROM sprints ORDER BY slug").await;
    let wanted: Vec<_> =
        (0..40).filter(|number| number % 10 != 7).map(|number| format!("s{number:02}")).collect();
    assert_eq!(kept.lines().collect::<Vec<_>>(), wanted);
}

pub async fn a_failed_change_leaves_nothing(store: &Store) {
    let runs = Arc::new(AtomicUsize::new(0));
    assert!(add_sprint(store, "birds".to_owned(), true, Arc::clone(&runs)).await.is_err());
    assert_eq!(store.find_sprint("birds").await.unwrap(), None);
    // And the connection is fit for the next one.
    store.sprint("birds", NOW).await.unwrap();
}
