//! Screening's decisions.

use std::collections::HashMap;

use diptych_core::Decision;
use diptych_store::Store;
use diptych_store::decisions::{Kind, NewDecision};

use crate::sample::NOW;

fn decision(content: &str, decision: Decision, reason: &str) -> NewDecision {
    NewDecision { content: content.to_owned(), decision, reason: reason.to_owned(), scores: "{}".to_owned() }
}

pub async fn decisions_are_kept_by_kind_and_policy(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    let all: Vec<NewDecision> =
        Decision::ALL.iter().map(|word| decision(word.as_str(), *word, "lexicon")).collect();
    store.record_decisions(&sprint, Kind::Prompt, "strict", all, NOW).await.unwrap();
    let found = store.decisions(&sprint, Kind::Prompt, "strict").await.unwrap();
    let wanted: HashMap<_, _> =
        Decision::ALL.iter().map(|word| (word.as_str().to_owned(), (*word, "lexicon".to_owned()))).collect();
    assert_eq!(found, wanted);
    assert!(store.decisions(&sprint, Kind::Prompt, "lax").await.unwrap().is_empty());
    assert!(store.decisions(&sprint, Kind::Variant, "strict").await.unwrap().is_empty());
    assert!(store.decisions(&sprint, Kind::Image, "strict").await.unwrap().is_empty());
    let other = store.sprint("fish", NOW).await.unwrap();
    assert!(store.decisions(&other, Kind::Prompt, "strict").await.unwrap().is_empty());
}

pub async fn the_first_decision_stands(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    for word in [Decision::Removed, Decision::Passed] {
        let decisions = vec![decision("abc", word, "")];
        store.record_decisions(&sprint, Kind::Image, "strict", decisions, NOW).await.unwrap();
    }
    let found = store.decisions(&sprint, Kind::Image, "strict").await.unwrap();
    assert_eq!(found["abc"].0, Decision::Removed);
}
