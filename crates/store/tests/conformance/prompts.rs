//! Prompts: indexes, what clean said, and what collect left out.

use std::sync::Arc;

use diptych_core::{CleanState, PromptIndex, Split, SprintId};
use diptych_store::EVERY_PROMPT;
use diptych_store::Store;
use diptych_store::prompts::{CleanOutcome, CleanPrompt, CollectedPrompt, PromptRow, SourceDrop};
use futures::TryStreamExt;

use crate::sample::NOW;

fn collected(source_row: i64, text: &str) -> CollectedPrompt {
    CollectedPrompt { source: Arc::from("prompts.csv"), source_row, text: text.to_owned() }
}

async fn rows(store: &Store, sprint: &SprintId) -> Vec<PromptRow> {
    store.prompts(sprint).try_collect().await.unwrap()
}

fn kept(index: i64, text: &str, split: Split) -> CleanOutcome {
    CleanOutcome { index: PromptIndex(index), outcome: Ok((text.to_owned(), split)) }
}

fn dropped(index: i64, reason: &'static str, of: Option<i64>) -> CleanOutcome {
    CleanOutcome { index: PromptIndex(index), outcome: Err((reason, of.map(PromptIndex))) }
}

pub async fn an_index_is_given_once(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    store
        .collect_prompts(&sprint, "first", vec![collected(1, "a heron"), collected(2, "a gull")])
        .await
        .unwrap();
    let first = rows(store, &sprint).await;
    assert_eq!(
        first.iter().map(|row| (row.idx, row.text.as_str())).collect::<Vec<_>>(),
        [(0, "a heron"), (1, "a gull")]
    );
    store
        .collect_prompts(&sprint, "first", vec![collected(2, "a gull"), collected(3, "an owl")])
        .await
        .unwrap();
    let second = rows(store, &sprint).await;
    assert_eq!(second[..2], first[..], "known rows keep their index");
    assert_eq!(second.len(), 3);
    assert!(second[2].idx > 1 && second[2].text == "an owl", "{second:?}");

    // Another sprint counts for itself.
    let other = store.sprint("fish", NOW).await.unwrap();
    store.collect_prompts(&other, "first", vec![collected(1, "a carp")]).await.unwrap();
    assert_eq!(rows(store, &other).await[0].idx, 0);
}

pub async fn a_changed_text_is_to_be_cleaned_again(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    store
        .collect_prompts(&sprint, "first", vec![collected(1, "a heron"), collected(2, "a gull")])
        .await
        .unwrap();
    store
        .record_clean(&sprint, vec![kept(0, "A heron", Split::Train), kept(1, "A gull", Split::Test)])
        .await
        .unwrap();
    store
        .collect_prompts(&sprint, "first", vec![collected(1, "a heron"), collected(2, "two gulls")])
        .await
        .unwrap();
    let rows = rows(store, &sprint).await;
    assert_eq!((rows[0].idx, rows[0].clean_state), (0, Some(CleanState::Kept)));
    assert_eq!((rows[1].idx, rows[1].clean_state), (1, None));
    assert_eq!(
        store.clean_prompts(&sprint, EVERY_PROMPT).await.unwrap(),
        [CleanPrompt { index: PromptIndex(0), text: "A heron".to_owned(), split: Split::Train }]
    );
}

pub async fn forgotten_prompts_come_back_under_their_index(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    store
        .collect_prompts(&sprint, "first", vec![collected(1, "a heron"), collected(2, "a gull")])
        .await
        .unwrap();
    store.finish_collect(&sprint, "first").await.unwrap();
    store
        .record_clean(&sprint, vec![kept(0, "a heron", Split::Train), kept(1, "a gull", Split::Train)])
        .await
        .unwrap();
    store.finish_collect(&sprint, "nothing").await.unwrap();
    assert!(rows(store, &sprint).await.is_empty());
    assert!(store.clean_prompts(&sprint, EVERY_PROMPT).await.unwrap().is_empty());
    store
        .collect_prompts(&sprint, "second", vec![collected(7, "an owl"), collected(2, "a gull")])
        .await
        .unwrap();
    store.finish_collect(&sprint, "second").await.unwrap();
    let rows = rows(store, &sprint).await;
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].idx, rows[0].source_row, rows[0].clean_state), (1, 2, Some(CleanState::Kept)));
    assert!(rows[1].idx > 1, "the index of a forgotten prompt is not given away: {rows:?}");
}

pub async fn source_drops_are_kept_until_the_next_collect(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    let drop = |source_row: i64, reason: &str| SourceDrop {
        source: "prompts.csv".to_owned(),
        source_row,
        reason: reason.to_owned(),
        detail: format!("row {source_row} is {reason}"),
    };
    store.record_source_drops(&sprint, vec![drop(5, "empty"), drop(3, "empty")]).await.unwrap();
    store.record_source_drops(&sprint, vec![drop(3, "too_long")]).await.unwrap();
    assert_eq!(store.source_drops(&sprint, 10).await.unwrap(), [drop(3, "too_long"), drop(5, "empty")]);
    assert_eq!(store.source_drops(&sprint, 1).await.unwrap(), [drop(3, "too_long")]);
    store.record_source_drops(&sprint, Vec::new()).await.unwrap();
    store.forget_source_drops(&sprint).await.unwrap();
    assert_eq!(store.source_drops(&sprint, 10).await.unwrap(), []);
}

pub async fn clean_counts_are_by_state_and_reason(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    let prompts = (1..=5).map(|row| collected(row, "a heron")).collect();
    store.collect_prompts(&sprint, "first", prompts).await.unwrap();
    let outcomes = vec![
        kept(0, "a heron", Split::Train),
        dropped(1, "duplicate", Some(0)),
        dropped(2, "duplicate", Some(0)),
        dropped(3, "short", None),
    ];
    store.record_clean(&sprint, outcomes).await.unwrap();
    let mut counts = store.clean_counts(&sprint).await.unwrap();
    counts.sort();
    let word = |text: &str| Some(text.to_owned());
    assert_eq!(
        counts,
        [
            (None, None, 1),
            (Some(CleanState::Kept), None, 1),
            (Some(CleanState::Dropped), word("duplicate"), 2),
            (Some(CleanState::Dropped), word("short"), 1),
        ]
    );
    let rows = rows(store, &sprint).await;
    assert_eq!((rows[1].clean_of, rows[1].clean_text.as_deref()), (Some(0), None));
    assert_eq!((rows[3].clean_of, rows[3].clean_reason.as_deref()), (None, Some("short")));
}

/// More than fit in one statement.
pub async fn many_prompts_keep_their_order(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    let prompts = (1..=2500).map(|row| collected(row, &format!("heron {row}"))).collect();
    store.collect_prompts(&sprint, "first", prompts).await.unwrap();
    let rows = rows(store, &sprint).await;
    assert_eq!(rows.len(), 2500);
    assert!(rows.iter().all(|row| row.idx + 1 == row.source_row));
}
