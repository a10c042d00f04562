//! Sprints and stage marks.

use diptych_core::Stage;
use diptych_store::Store;
use diptych_store::sprints::StageMark;

use crate::sample::NOW;

pub async fn a_sprint_is_found_by_its_slug(store: &Store) {
    assert_eq!(store.find_sprint("birds").await.unwrap(), None);
    let (one, same) = tokio::join!(store.sprint("birds", NOW), store.sprint("birds", NOW));
    let one = one.unwrap();
    assert_eq!(one, same.unwrap());
    assert_eq!(store.find_sprint("birds").await.unwrap(), Some(one.clone()));
    assert_ne!(store.sprint("fish", NOW).await.unwrap(), one);
}

pub async fn a_stage_mark_is_replaced_by_the_next(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    let mark = |key: &str| StageMark { key: key.to_owned(), report: format!("{{\"of\":\"{key}\"}}") };
    assert_eq!(store.stage_mark(&sprint, Stage::Clean).await.unwrap(), None);
    for key in ["one", "two"] {
        store.mark_stage(&sprint, Stage::Clean, mark(key), NOW).await.unwrap();
        assert_eq!(store.stage_mark(&sprint, Stage::Clean).await.unwrap(), Some(mark(key)));
    }
    assert_eq!(store.stage_mark(&sprint, Stage::Pair).await.unwrap(), None);
}
