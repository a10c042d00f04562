//! Calls: none is made twice, and what they cost adds up.

use diptych_core::UnitKey;
use diptych_store::Store;
use diptych_store::calls::CallRow;
use diptych_store::variants::UnitState;

use crate::sample::NOW;
use crate::variants::image;

fn call(name: &str, reply: &str, cost: f64) -> CallRow {
    CallRow {
        key: UnitKey::of(&[name]).as_str().to_owned(),
        engine: "writer".to_owned(),
        model: "quill-2".to_owned(),
        request: "{\"messages\":[]}".to_owned(),
        reply: reply.to_owned(),
        input_tokens: 120,
        output_tokens: 40,
        cost,
        request_id: None,
    }
}

pub async fn a_call_is_kept_once(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    assert_eq!(store.call(&sprint, &UnitKey::of(&["a"])).await.unwrap(), None);
    let first = CallRow { request_id: Some("req-1".to_owned()), ..call("a", "a heron", 0.25) };
    store.record_call(&sprint, first.clone(), NOW).await.unwrap();
    store.record_call(&sprint, call("a", "a gull", 0.5), NOW).await.unwrap();
    assert_eq!(store.call(&sprint, &UnitKey::of(&["a"])).await.unwrap(), Some(first));
    let other = store.sprint("fish", NOW).await.unwrap();
    assert_eq!(store.call(&other, &UnitKey::of(&["a"])).await.unwrap(), None);
}

pub async fn what_was_spent_adds_up(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    let spent = async || store.spent(&sprint).await.unwrap();
    assert!(spent().await.abs() < 1e-12, "nothing was bought yet");
    store.record_call(&sprint, call("a", "a heron", 0.25), NOW).await.unwrap();
    assert!((spent().await - 0.25).abs() < 1e-12);
    store.record_call(&sprint, call("b", "a gull", 1.0), NOW).await.unwrap();
    store.record_image(&sprint, image(b"one", UnitState::Done, 2.0)).await.unwrap();
    assert!((spent().await - 3.25).abs() < 1e-12);
    let other = store.sprint("fish", NOW).await.unwrap();
    assert!(store.spent(&other).await.unwrap().abs() < 1e-12);
}
