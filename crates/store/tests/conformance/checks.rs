//! Showings that measure a person: given out among the pairs, answered like them, counted nowhere.

use diptych_core::{CheckKind, Choice, ImageHash, PersonId, Side, SprintState};
use diptych_store::assignments::{Held, Take};
use diptych_store::checks::{CheckDraw, Checks, REPEAT_AFTER};
use diptych_store::pairs::{Logs, NewPair};
use diptych_store::responses::{Responded, SECOND_THOUGHTS, TakenBack};
use diptych_store::{EVERY_PROMPT, Store};

use crate::sample::{MINUTE, NOW, Scene, audit, pair, take};

const LATER: i64 = NOW + REPEAT_AFTER + MINUTE;

fn draw(kind: CheckKind) -> CheckDraw {
    CheckDraw { kind, with: 1, after: 0, side: Side::Right, lot: 5, pictures: rand::random() }
}

/// What a person holds who is measured this time: so many pairs, and a check that comes in the place of one more, where
/// there is anything to measure them by.
async fn measured(
    scene: &Scene<'_>,
    store: &Store,
    who: &PersonId,
    count: usize,
    kind: CheckKind,
) -> Vec<Held> {
    let take = |checks, count| Take { checks, ..take(&scene.sprint, who, count, LATER) };
    let held = store.take(take(Checks::Now(draw(kind)), count + 1)).await.unwrap().held;
    assert!(held.len() <= count + 1);
    assert!(held.iter().all(|one| one.expires_at == held[0].expires_at), "no lease tells it");
    let again = store.take(take(Checks::NotNow, held.len())).await.unwrap().held;
    assert_eq!(again, held, "it is shown by the take that made it");
    audit(store, &scene.sprint).await;
    assert!(held.is_sorted_by_key(|held| held.id.clone()), "no order tells them apart");
    held
}

pub async fn a_repeat_comes_with_its_sides_swapped_and_counts_nowhere(store: &Store) {
    let scene = Scene::new(store, 3, 2).await;
    let first = scene.take_one(&scene.ana, NOW).await;
    assert_eq!(scene.respond(&scene.ana, &first, Choice::Left, NOW).await, Responded::Recorded);
    let before = store.progress(&scene.sprint).await.unwrap();

    let held = measured(&scene, store, &scene.ana, 1, CheckKind::Repeat).await;
    let [other, check] = &held[..] else { panic!("{held:?}") };
    assert_ne!(other.prompt, first.prompt, "the pairs go on");
    assert_eq!(check.prompt, first.prompt);
    for (swapped, before) in [(&check.left, &first.right), (&check.right, &first.left)] {
        assert_ne!(swapped, before, "no address tells that it was seen before");
        let image = async |name: &str| store.picture(name).await.unwrap().unwrap().image;
        assert_eq!(image(swapped).await, image(before).await);
    }

    assert_eq!(
        scene.respond(&scene.ben, check, Choice::Left, LATER).await,
        Responded::Unknown,
        "it is nobody else's"
    );
    let answer = async |choice, at| scene.respond(&scene.ana, check, choice, at).await;
    assert_eq!(answer(Choice::Left, LATER).await, Responded::Recorded);
    assert_eq!(answer(Choice::Left, LATER).await, Responded::Repeated);
    let counts = async || {
        let counts = store.check_counts(&scene.sprint).await.unwrap();
        counts.iter().map(|count| (count.kind.clone(), count.passed, count.failed)).collect::<Vec<_>>()
    };
    assert_eq!(counts().await, [("repeat".to_owned(), 0, 1)], "it was the other image before");
    assert_eq!(answer(Choice::Right, LATER + MINUTE).await, Responded::Replaced);
    assert_eq!(counts().await, [("repeat".to_owned(), 1, 0)]);
    assert_eq!(store.progress(&scene.sprint).await.unwrap(), before);
    assert_eq!(
        store.responses_of(&scene.sprint, &scene.ana, LATER).await.unwrap(),
        (2, 1),
        "it is in her count"
    );
    let states = async || {
        let own = store.own_data(&scene.ana, NOW).await.unwrap().sprints.remove(0).responses;
        own.into_iter().map(|one| one.state).collect::<Vec<_>>()
    };
    assert_eq!(states().await, ["submitted", "submitted"], "nothing tells them apart while people are asked");
    store.set_sprint_state(&scene.sprint, SprintState::Closed).await.unwrap();
    assert_eq!(states().await, ["submitted", "check"]);
    assert_eq!(answer(Choice::Left, LATER + MINUTE).await, Responded::Settled, "as with any answer");
    assert_eq!(scene.take_back(&scene.ana, check, LATER + MINUTE).await, TakenBack::Settled);
    store.set_sprint_state(&scene.sprint, SprintState::Open).await.unwrap();

    assert_eq!(scene.take_back(&scene.ana, check, LATER + MINUTE).await, TakenBack::Open);
    assert_eq!(scene.take_back(&scene.ana, check, LATER + MINUTE).await, TakenBack::Nothing);
    assert_eq!(answer(Choice::Skip, LATER + MINUTE).await, Responded::Recorded);
    assert_eq!(counts().await, []);
    assert_eq!(answer(Choice::Left, LATER + MINUTE).await, Responded::Recorded, "on second thoughts");
    let late = LATER + MINUTE + SECOND_THOUGHTS + 1;
    assert_eq!(answer(Choice::Right, late).await, Responded::Settled);
    assert_eq!(scene.take_back(&scene.ana, check, late).await, TakenBack::Settled);
    store.forget(&scene.ana, &[], late).await.unwrap();
    assert_eq!(counts().await, [], "what measures a person goes with them");
}

pub async fn nobody_is_measured_before_their_first_answers_of_a_day(store: &Store) {
    let scene = Scene::new(store, 6, 1).await;
    let first = scene.take_one(&scene.ana, NOW).await;
    assert_eq!(scene.respond(&scene.ana, &first, Choice::Left, NOW).await, Responded::Recorded);
    let measured = async |now, after| {
        let draw = CheckDraw { after, ..draw(CheckKind::Repeat) };
        let take = Take { checks: Checks::Now(draw), ..take(&scene.sprint, &scene.ana, 1, now) };
        let held = store.take(take).await.unwrap().held.remove(0);
        assert_eq!(scene.respond(&scene.ana, &held, Choice::Skip, now).await, Responded::Recorded);
        held.prompt == first.prompt
    };
    assert!(!measured(LATER, 2).await, "one is not two");
    assert!(!measured(LATER + 24 * 60 * MINUTE, 1).await, "yesterday's are not today's");
    assert!(measured(LATER, 1).await);
}

pub async fn a_gold_check_shows_a_picture_of_another_prompt(store: &Store) {
    let scene = Scene::new(store, 0, 1).await;
    let category = |number: usize| if number.is_multiple_of(2) { "Animals" } else { "Food" };
    let pairs: Vec<NewPair> =
        (0..6).map(|number| NewPair { category: category(number).to_owned(), ..pair(number) }).collect();
    store.set_pairs(&scene.sprint, EVERY_PROMPT, pairs.clone(), 1, Logs::default(), NOW).await.unwrap();
    // Ben fills four of the pairs: these Ana is not asked about.
    for held in scene.take(&scene.ben, 4, NOW).await.held {
        scene.respond(&scene.ben, &held, Choice::Left, NOW).await;
    }
    let held = measured(&scene, store, &scene.ana, 1, CheckKind::Gold).await;
    let [_, check] = &held[..] else { panic!("{held:?}") };
    let image = async |name: &str| store.picture(name).await.unwrap().unwrap().image;
    let (left, right) = (image(&check.left).await, image(&check.right).await);
    let of = |image: &ImageHash| {
        pairs.iter().find(|pair| [&pair.first.image, &pair.second.image].contains(&image)).unwrap()
    };
    let (own, other) = (of(&right), of(&left));
    assert_eq!(own.prompt, check.prompt, "the prompt's own stands where it was drawn to");
    assert_ne!(own.category, other.category);
    assert_eq!(own.first.image == right, other.first.image == left, "by the same model");
    for (choice, result) in [
        (Choice::Right, (1, 0)),
        (Choice::Left, (0, 1)),
        (Choice::BothGood, (0, 1)),
        (Choice::BothBad, (0, 0)),
    ] {
        scene.respond(&scene.ana, check, choice, LATER).await;
        let counts = store.check_counts(&scene.sprint).await.unwrap();
        assert_eq!((counts[0].passed, counts[0].failed), result, "{choice}");
    }
    // What nobody should be shown is told to the moderators, wherever it is from.
    scene.respond(&scene.ana, check, Choice::ToxicContent, LATER).await;
    assert_eq!(store.reported_pairs(&scene.sprint).await.unwrap().len(), 2);
    scene.respond(&scene.ana, check, Choice::Right, LATER).await;
    assert_eq!(store.reported_pairs(&scene.sprint).await.unwrap().len(), 0);

    store.exclude(&scene.sprint, &scene.ana, "a bot", LATER).await.unwrap();
    assert_eq!(scene.take_back(&scene.ana, check, LATER).await, TakenBack::Gone);
    assert!(measured(&scene, store, &scene.ana, 3, CheckKind::Gold).await.is_empty());
}

pub async fn who_has_nothing_more_to_do_is_not_measured(store: &Store) {
    let scene = Scene::new(store, 2, 1).await;
    for held in scene.take(&scene.ana, 2, NOW).await.held {
        scene.respond(&scene.ana, &held, Choice::Left, NOW).await;
    }
    for kind in CheckKind::ALL {
        assert!(measured(&scene, store, &scene.ana, 3, *kind).await.is_empty());
    }
}

pub async fn a_check_of_a_withdrawn_pair_is_gone(store: &Store) {
    let mut scene = Scene::new(store, 3, 1).await;
    let first = scene.take_one(&scene.ana, NOW).await;
    scene.respond(&scene.ana, &first, Choice::Left, NOW).await;
    let held = measured(&scene, store, &scene.ana, 1, CheckKind::Repeat).await;
    assert_eq!(held[1].prompt, first.prompt);
    scene.pairs.retain(|pair| pair.prompt != first.prompt);
    scene.set_pairs(1, LATER).await;
    assert_eq!(scene.respond(&scene.ana, &held[1], Choice::Left, LATER).await, Responded::Gone);
    let again = measured(&scene, store, &scene.ana, 2, CheckKind::Repeat).await;
    assert!(again.iter().all(|one| one.prompt != first.prompt), "{again:?}");
}
