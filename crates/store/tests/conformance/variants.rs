//! Variants and images: the same key twice is one unit of work; a failed one may be tried again.

use diptych_core::{Evolution, ImageHash, PromptIndex, UnitKey};
use diptych_store::EVERY_PROMPT;
use diptych_store::Store;
use diptych_store::images::ImageRow;
use diptych_store::variants::{UnitState, VariantRow};

use crate::sample::NOW;

fn variant(text: &str, state: UnitState) -> VariantRow {
    VariantRow {
        key: UnitKey::of(&["variant"]),
        prompt: PromptIndex(4),
        evolution: Evolution::ALL[1],
        category: "Animals".to_owned(),
        sub_category: "Birds".to_owned(),
        state,
        reason: if state == UnitState::Done { String::new() } else { "no_json".to_owned() },
        style_prompt: "oil on canvas".to_owned(),
        text: text.to_owned(),
        engine: "rules".to_owned(),
    }
}

pub fn image(bytes: &[u8], state: UnitState, cost: f64) -> ImageRow {
    ImageRow {
        key: UnitKey::of(&["image"]),
        variant: UnitKey::of(&["variant"]),
        prompt_index: PromptIndex(4),
        evolution: Evolution::ALL[0],
        model: "aria".to_owned(),
        state,
        reason: if state == UnitState::Done { String::new() } else { "not_an_image".to_owned() },
        hash: ImageHash::of(bytes),
        format: "jpeg".to_owned(),
        width: 1024,
        height: 768,
        size: 123_456,
        provider: "rehearsal".to_owned(),
        model_name: "Aria 1".to_owned(),
        revision: None,
        prompt: "a heron".to_owned(),
        seed: u64::MAX.to_string(),
        steps: Some(28),
        guidance: Some(3.5),
        request_id: None,
        cost,
        created_at: NOW,
    }
}

pub async fn a_variant_that_is_there_stays(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    for state in [UnitState::Done, UnitState::Dropped] {
        let mut first = variant("a heron", state);
        first.key = UnitKey::of(&["variant", state.as_str()]);
        let later = VariantRow { text: "another".to_owned(), state: UnitState::Failed, ..first.clone() };
        store.record_variants(&sprint, vec![first.clone()], NOW).await.unwrap();
        store.record_variants(&sprint, vec![later], NOW + 1).await.unwrap();
        assert!(store.variants(&sprint, EVERY_PROMPT).await.unwrap().contains(&first), "{state:?}");
    }
    assert_eq!(store.variants(&sprint, EVERY_PROMPT).await.unwrap().len(), 2);
}

pub async fn a_failed_variant_is_replaced(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    store.record_variants(&sprint, vec![variant("", UnitState::Failed)], NOW).await.unwrap();
    let done = variant("a heron", UnitState::Done);
    store.record_variants(&sprint, vec![done.clone()], NOW + 1).await.unwrap();
    assert_eq!(store.variants(&sprint, EVERY_PROMPT).await.unwrap(), [done]);
}

pub async fn an_image_that_is_there_stays(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    let first = image(b"one", UnitState::Done, 0.5);
    store.record_image(&sprint, first.clone()).await.unwrap();
    store.record_image(&sprint, image(b"two", UnitState::Done, 0.5)).await.unwrap();
    assert_eq!(store.images(&sprint, EVERY_PROMPT).await.unwrap(), [first]);
}

pub async fn a_failed_image_is_replaced_and_both_are_paid(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    store.record_image(&sprint, image(b"", UnitState::Failed, 0.25)).await.unwrap();
    store.record_image(&sprint, image(b"one", UnitState::Done, 0.5)).await.unwrap();
    let paid = ImageRow { cost: 0.75, ..image(b"one", UnitState::Done, 0.5) };
    assert_eq!(store.images(&sprint, EVERY_PROMPT).await.unwrap(), [paid]);
}
