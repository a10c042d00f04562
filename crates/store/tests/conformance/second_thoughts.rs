//! Second thoughts: an answer or a skip that is replaced or taken back.

use diptych_core::{Answer, Choice, ResponseState};
use diptych_store::EVERY_PROMPT;
use diptych_store::Store;
use diptych_store::responses::{Responded, ResponseRow, SECOND_THOUGHTS, TakenBack};

use crate::sample::{LEASE, MINUTE, NOW, Scene, audit};

async fn one(store: &Store, scene: &Scene<'_>) -> ResponseRow {
    let mut all: Vec<_> =
        store.responses(&scene.sprint, EVERY_PROMPT).await.unwrap().into_values().flatten().collect();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

pub async fn an_answer_is_replaced_within_ten_minutes(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    scene.respond(&scene.ana, &held, Choice::Left, NOW).await;
    let last = NOW + SECOND_THOUGHTS;
    assert_eq!(scene.respond(&scene.ana, &held, Choice::BothBad, NOW + 1).await, Responded::Replaced);
    assert_eq!(scene.respond(&scene.ana, &held, Choice::Right, last).await, Responded::Replaced);
    let kept = one(store, &scene).await;
    assert_eq!((kept.answer, kept.created_at, kept.counts()), (Answer::Image2, NOW, true));
    for choice in [Choice::Left, Choice::Skip] {
        assert_eq!(scene.respond(&scene.ana, &held, choice, last + 1).await, Responded::Settled);
    }
    assert_eq!(scene.take_back(&scene.ana, &held, last + 1).await, TakenBack::Settled);
    assert_eq!(one(store, &scene).await, kept);
}

pub async fn an_answer_is_taken_back_and_given_again(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    scene.respond(&scene.ana, &held, Choice::Left, NOW).await;
    assert_eq!(scene.take_back(&scene.ben, &held, NOW).await, TakenBack::Unknown);
    let back = NOW + MINUTE;
    assert_eq!(scene.take_back(&scene.ana, &held, back).await, TakenBack::Open);
    assert_eq!(scene.take_back(&scene.ana, &held, back).await, TakenBack::Nothing);
    let kept = one(store, &scene).await;
    assert_eq!(kept.state, ResponseState::TakenBack, "it is kept, and does not count");
    assert_eq!(scene.take(&scene.ben, 1, back).await.held, [], "Ana holds it again");
    let again = scene.take_one(&scene.ana, back).await;
    assert_eq!((&again.id, again.expires_at), (&held.id, back + LEASE));
    assert_eq!(scene.respond(&scene.ana, &held, Choice::Right, back + 1).await, Responded::Recorded);
    let kept = one(store, &scene).await;
    assert_eq!((kept.answer, kept.counts(), kept.created_at), (Answer::Image2, true, back + 1));
}

pub async fn a_skip_is_taken_back_where_there_is_room(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    assert_eq!(scene.respond(&scene.ana, &held, Choice::Skip, NOW).await, Responded::Recorded);
    assert_eq!(scene.respond(&scene.ana, &held, Choice::Skip, NOW).await, Responded::Repeated);
    assert_eq!(scene.take_back(&scene.ana, &held, NOW + 1).await, TakenBack::Open);
    assert_eq!(scene.take_one(&scene.ana, NOW + 1).await.id, held.id);
    scene.respond(&scene.ana, &held, Choice::Skip, NOW + 2).await;
    let late = NOW + 2 + SECOND_THOUGHTS;
    assert_eq!(scene.take_back(&scene.ana, &held, late + 1).await, TakenBack::Settled);
    scene.take_one(&scene.ben, NOW + 3).await;
    assert_eq!(scene.take_back(&scene.ana, &held, late).await, TakenBack::Gone, "Ben has the only place");
}

pub async fn an_answer_becomes_a_skip(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    scene.respond(&scene.ana, &held, Choice::Left, NOW).await;
    assert_eq!(scene.respond(&scene.ana, &held, Choice::Skip, NOW + 1).await, Responded::Replaced);
    assert!(!one(store, &scene).await.counts());
    assert_eq!(scene.take(&scene.ana, 1, NOW + 2).await.held, []);
    let bens = scene.take_one(&scene.ben, NOW + 2).await;
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Left, NOW + 3).await, Responded::Recorded);
    assert_eq!(scene.respond(&scene.ana, &held, Choice::Left, NOW + 4).await, Responded::Gone);
}

pub async fn a_surplus_answer_is_taken_back_where_there_is_room(store: &Store) {
    let scene = Scene::new(store, 1, 2).await;
    let anas = scene.take_one(&scene.ana, NOW).await;
    scene.respond(&scene.ana, &anas, Choice::Left, NOW).await;
    let bens = scene.take_one(&scene.ben, NOW + 1).await;
    scene.respond(&scene.ben, &bens, Choice::Left, NOW + 1).await;
    scene.set_pairs(1, NOW + 2).await;
    audit(store, &scene.sprint).await;
    assert_eq!(
        scene.take_back(&scene.ben, &bens, NOW + 3).await,
        TakenBack::Gone,
        "Ana's answer fills the pair"
    );
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Right, NOW + 3).await, Responded::Replaced);
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Skip, NOW + 4).await, Responded::Replaced);
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Left, NOW + 5).await, Responded::Gone);
    assert_eq!(scene.respond(&scene.ana, &anas, Choice::Skip, NOW + 6).await, Responded::Replaced);
    assert_eq!(scene.take_back(&scene.ben, &bens, NOW + 7).await, TakenBack::Open);
}

pub async fn there_is_nothing_to_take_back_from_an_open_hold(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    assert_eq!(scene.take_back(&scene.ana, &held, NOW).await, TakenBack::Nothing);
    scene.take_one(&scene.ben, NOW + LEASE).await;
    assert_eq!(
        scene.take_back(&scene.ana, &held, NOW + LEASE).await,
        TakenBack::Nothing,
        "its lease has ended"
    );
}
