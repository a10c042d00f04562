//! Rows that are brought back: all of them, or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use diptych_store::Store;
use diptych_store::backup::Rows;

use crate::sample::NOW;

fn rows(rows: &'static [(&'static str, &'static str)]) -> Rows {
    let owned = |(table, row): &(&str, &str)| Ok(((*table).to_owned(), (*row).to_owned()));
    Arc::new(move || Ok(Box::new(rows.iter().map(owned))))
}

fn wanted(sprints: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([("sprints".to_owned(), sprints)])
}

pub async fn what_does_not_fit_leaves_nothing(store: &Store) {
    const SPRINT: (&str, &str) = ("sprints", r#"{"id": "1", "slug": "birds", "created_at": 5}"#);
    for (given, count, says) in [
        (&[SPRINT][..], 2, "other rows than it says"),
        (&[SPRINT, ("sprints", r#"{"id": "2", "slug": "fish"}"#)], 2, "it has no `created_at`"),
        (&[SPRINT, ("sprints", r#"{"id": "2", "slug": 7, "created_at": 5}"#)], 2, "`slug` is 7"),
        (
            &[SPRINT, ("sprints", r#"{"id": "2", "slug": "fish", "created_at": 5, "new": 1}"#)],
            2,
            "no column `new`",
        ),
        (&[SPRINT, ("secrets", "{}")], 1, "no such table"),
        (&[SPRINT, ("sprints", "[1]")], 2, "no JSON object"),
    ] {
        let error = store.restore(rows(given), wanted(count)).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(store.is_empty().await.unwrap(), "after: {says}");
    }
    store.restore(rows(&[SPRINT]), wanted(1)).await.unwrap();
    assert_eq!(store.sprint("birds", NOW).await.unwrap().as_str(), "1");
}
