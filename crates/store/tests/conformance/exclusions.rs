//! Somebody's answers stop counting, and count again.

use diptych_core::{Choice, ResponseState};
use diptych_store::Store;
use diptych_store::people::PersonKind;
use diptych_store::responses::{Responded, TakenBack};

use crate::sample::{NOW, Scene, audit, named};

pub async fn what_an_excluded_person_answered_is_kept_and_asked_of_others(store: &Store) {
    let scene = Scene::new(store, 2, 2).await;
    let dan = store.person(&named("Dan"), PersonKind::Person, NOW).await.unwrap().id;
    let held = scene.take(&scene.ana, 2, NOW).await.held;
    assert_eq!(scene.respond(&scene.ana, &held[0], Choice::Left, NOW).await, Responded::Recorded);
    let bens = scene.take(&scene.ben, 1, NOW).await.held.remove(0);
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Left, NOW).await, Responded::Recorded);
    assert_eq!(store.progress(&scene.sprint).await.unwrap().completed, 1);

    assert!(store.exclude(&scene.sprint, &scene.ana, "all left", NOW).await.unwrap());
    assert!(!store.exclude(&scene.sprint, &scene.ana, "again", NOW).await.unwrap());
    audit(store, &scene.sprint).await;
    let progress = store.progress(&scene.sprint).await.unwrap();
    assert_eq!((progress.submitted, progress.completed), (1, 0), "kept, and not counted");
    let taken = scene.take(&scene.ana, 5, NOW).await;
    assert!(taken.held.is_empty() && taken.free_at.is_none(), "to her the sprint is done");
    assert_eq!(
        scene.respond(&scene.ana, &held[1], Choice::Left, NOW).await,
        Responded::Gone,
        "what she held went back"
    );
    assert_eq!(scene.take_back(&scene.ana, &held[0], NOW).await, TakenBack::Gone);
    assert_eq!(store.standings(&scene.sprint, NOW).await.unwrap().len(), 1, "no thanks for these");
    let states = async || {
        let all = store.responses(&scene.sprint, diptych_store::EVERY_PROMPT).await.unwrap();
        let mut states: Vec<ResponseState> = all.values().flatten().map(|response| response.state).collect();
        states.sort_by_key(|state| state.as_str());
        states
    };
    assert_eq!(states().await, [ResponseState::Excluded, ResponseState::Submitted]);

    // Somebody else fills the pair; taken back, her answer is beyond the overlap.
    let dans = scene.take(&dan, 1, NOW).await.held.remove(0);
    assert_eq!(dans.prompt, bens.prompt);
    assert_eq!(scene.respond(&dan, &dans, Choice::Right, NOW).await, Responded::Recorded);
    assert!(store.include(&scene.sprint, &scene.ana, NOW).await.unwrap());
    assert!(!store.include(&scene.sprint, &scene.ana, NOW).await.unwrap());
    audit(store, &scene.sprint).await;
    assert_eq!(states().await, [ResponseState::Submitted, ResponseState::Submitted, ResponseState::Surplus]);
    assert_eq!(scene.take(&scene.ana, 5, NOW).await.held.len(), 1, "she goes on with the other pair");
    // Where one of the others goes, hers counts again.
    assert!(store.exclude(&scene.sprint, &dan, "a mistake", NOW).await.unwrap());
    audit(store, &scene.sprint).await;
    assert_eq!(states().await, [ResponseState::Excluded, ResponseState::Submitted, ResponseState::Submitted]);
    let log = store.exclusions(&scene.sprint).await.unwrap();
    let lines: Vec<_> =
        log.iter().map(|line| (line.name.as_str(), line.reason.as_str(), line.ended_at)).collect();
    assert_eq!(lines, [("Dan", "a mistake", None), ("Ana", "all left", Some(NOW))]);
}
