//! People, tokens and sessions.

use diptych_store::Store;
use diptych_store::people::PersonSummary;

use crate::sample::{NOW, everything_in};

pub async fn names_differ_by_more_than_case(store: &Store) {
    let zoe = store.person(" Zoë ", false, NOW).await.unwrap();
    assert_eq!((zoe.name.as_str(), zoe.simulated), ("Zoë", false));
    assert_eq!(store.person("ZOË", true, NOW).await.unwrap(), zoe, "the first spelling and kind stay");
    let made_up = store.person("annotator 1", true, NOW).await.unwrap();
    assert!(made_up.simulated && made_up.id != zoe.id);
    let summary =
        |name: &str, kind: &str| PersonSummary { name: name.to_owned(), kind: kind.to_owned(), responses: 0 };
    assert_eq!(
        store.people().await.unwrap(),
        [summary("annotator 1", "simulated"), summary("Zoë", "person")]
    );
}

pub async fn a_token_stands_for_its_person(store: &Store) {
    let ana = store.person("Ana", false, NOW).await.unwrap();
    store.add_token(&ana.id, "token one", NOW).await.unwrap();
    store.add_token(&ana.id, "token two", NOW).await.unwrap();
    assert_eq!(store.person_of_token("token one").await.unwrap(), Some(ana.clone()));
    assert_eq!(store.person_of_token("token two").await.unwrap(), Some(ana));
    for unknown in ["", "token", "TOKEN ONE"] {
        assert_eq!(store.person_of_token(unknown).await.unwrap(), None);
    }
    assert_eq!(store.person_of_session("token one", NOW).await.unwrap(), None, "a token is no session");
}

pub async fn a_session_ends(store: &Store) {
    let ana = store.person("Ana", false, NOW).await.unwrap();
    store.add_session(&ana.id, "short", NOW + 10).await.unwrap();
    store.add_session(&ana.id, "long", NOW + 1000).await.unwrap();
    assert_eq!(store.person_of_session("short", NOW + 9).await.unwrap(), Some(ana.clone()));
    assert_eq!(store.person_of_session("short", NOW + 10).await.unwrap(), None);
    assert_eq!(store.person_of_session("long", NOW + 10).await.unwrap(), Some(ana));
    store.end_session("long").await.unwrap();
    assert_eq!(store.person_of_session("long", NOW + 10).await.unwrap(), None);
    assert_eq!(store.person_of_token("short").await.unwrap(), None, "a session is no token");
}

pub async fn secrets_are_not_kept_as_they_are(store: &Store) {
    let ana = store.person("Ana", false, NOW).await.unwrap();
    store.add_token(&ana.id, "open sesame", NOW).await.unwrap();
    store.add_session(&ana.id, "abracadabra", NOW + 10).await.unwrap();
    let kept = everything_in(store, "SELECT hash FROM tokens UNION ALL SELECT hash FROM sessions").await;
    assert_eq!(kept.lines().map(str::len).collect::<Vec<_>>(), [64, 64]);
    for secret in ["open sesame", "abracadabra"] {
        assert!(!kept.contains(secret) && !kept.contains(&hex::encode(secret)), "{kept}");
    }
}
