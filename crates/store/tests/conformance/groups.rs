//! Takes and answers that share a transaction: each has the end that it would have alone.

use std::time::Duration;

use diptych_core::{AssignmentId, CheckKind, Choice, PersonId, Side};
use diptych_store::assignments::{Held, Take, Taken};
use diptych_store::checks::{CheckDraw, Checks, REPEAT_AFTER};
use diptych_store::responses::Responded;
use diptych_store::{Millis, Store};
use futures::future::join_all;

use crate::sample::{LEASE, NOW, Scene, audit, respond, take};

/// Keeps the writer busy for a moment, so that what comes meanwhile is one group.
async fn while_busy<T>(store: &Store, group: impl Future<Output = T>) -> T {
    let busy = store.write(|_| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(())
        })
    });
    // In this order: the busy one is in the writer's hands before the others come.
    let (busy, outcome) = futures::join!(busy, group);
    busy.unwrap();
    outcome
}

/// Answers in one group, each of which must end as it says.
async fn answer_together(store: &Store, answers: &[(&PersonId, &Held, Choice, Responded)], now: Millis) {
    let calls = answers
        .iter()
        .map(|(person, held, choice, _)| store.respond(respond(person, &held.id, *choice, now)));
    let outcomes: Vec<_> = while_busy(store, join_all(calls)).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes, answers.iter().map(|(.., wanted)| *wanted).collect::<Vec<_>>());
}

pub async fn takes_of_one_group_share_the_places(store: &Store) {
    let scene = Scene::new(store, 4, 2).await;
    let calls = [(&scene.ana, 2), (&scene.ana, 3), (&scene.ben, 4), (&scene.cem, 4), (&scene.ana, 1)];
    let takes = calls.map(|(person, count)| store.take(take(&scene.sprint, person, count, NOW)));
    let taken: Vec<_> =
        while_busy(store, join_all(takes)).await.into_iter().map(|taken| taken.unwrap().held).collect();
    assert_eq!(taken.iter().map(Vec::len).collect::<Vec<_>>(), [2, 3, 4, 1, 1]);
    assert_eq!(taken[1][..2], taken[0], "the second call finds what the first one took");
    assert_eq!(taken[4][..], taken[0][..1]);
    for counters in audit(store, &scene.sprint).await.values() {
        assert_eq!((counters.held, counters.slots), (2, 0));
    }
}

/// Ana has a part in all pairs at the head of the line, so hers are found behind it, and then stand in it.
pub async fn takes_of_one_group_look_beyond_the_head_of_the_line(store: &Store) {
    let scene = Scene::new(store, 200, 3).await;
    let before = scene.take(&scene.ana, 150, NOW).await.held;
    for held in &before {
        scene.respond(&scene.ana, held, Choice::Left, NOW).await;
    }
    let calls = [(&scene.ben, 2), (&scene.ana, 3), (&scene.cem, 4), (&scene.ana, 4)];
    let takes = calls.map(|(person, count)| store.take(take(&scene.sprint, person, count, NOW)));
    let taken: Vec<_> =
        while_busy(store, join_all(takes)).await.into_iter().map(|taken| taken.unwrap().held).collect();
    let prompts = |taken: &[Held]| taken.iter().map(|held| held.prompt.clone()).collect::<Vec<_>>();
    assert_eq!(prompts(&taken[0]), prompts(&before[..2]), "what is begun, in the shuffled order");
    assert_eq!(prompts(&taken[2]), prompts(&before[..4]));
    assert_eq!(
        prompts(&taken[3]),
        ["a heron, number 150", "a heron, number 151", "a heron, number 152", "a heron, number 153"]
    );
    assert_eq!(taken[3][..3], taken[1]);
    audit(store, &scene.sprint).await;
}

/// Whoever finds nothing because of those before it in the group still hears when to come back.
pub async fn who_is_last_in_a_group_hears_when_to_come_back(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let takes = [&scene.ana, &scene.ben].map(|person| store.take(take(&scene.sprint, person, 1, NOW)));
    let taken: Vec<_> = while_busy(store, join_all(takes)).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(taken[0].held.len(), 1);
    assert_eq!(taken[1], Taken { held: Vec::new(), free_at: Some(NOW + LEASE) });
}

pub async fn answers_of_one_group_end_as_they_would_alone(store: &Store) {
    let scene = Scene::new(store, 4, 3).await;
    let (ana, ben) = (scene.take(&scene.ana, 4, NOW).await.held, scene.take(&scene.ben, 4, NOW).await.held);
    let cem = scene.take(&scene.cem, 4, NOW).await.held;
    let answers = [
        // Three people on one pair.
        (&scene.ana, &ana[0], Choice::Left, Responded::Recorded),
        (&scene.ben, &ben[0], Choice::BothBad, Responded::Recorded),
        (&scene.cem, &cem[0], Choice::Left, Responded::Recorded),
        // One person about one pair, in this order.
        (&scene.ana, &ana[1], Choice::Left, Responded::Recorded),
        (&scene.ana, &ana[1], Choice::Left, Responded::Repeated),
        (&scene.ana, &ana[1], Choice::Right, Responded::Replaced),
        (&scene.ben, &ben[1], Choice::Skip, Responded::Recorded),
        (&scene.ben, &ben[1], Choice::Right, Responded::Recorded),
        (&scene.cem, &ana[2], Choice::Left, Responded::Unknown),
        (&scene.cem, &cem[2], Choice::ToxicContent, Responded::Recorded),
    ];
    answer_together(store, &answers, NOW).await;
    let counters = audit(store, &scene.sprint).await;
    let mut answered: Vec<i64> = counters.values().map(|counters| counters.answered).collect();
    answered.sort_unstable();
    assert_eq!(answered, [0, 1, 2, 3]);
}

/// What is drawn for a person in a group is no pair that was drawn for them in it, and their answers are taken in as
/// others' are.
pub async fn checks_of_one_group_end_as_they_would_alone(store: &Store) {
    let scene = Scene::new(store, 8, 3).await;
    let people = [&scene.ana, &scene.ben, &scene.cem];
    let mut seen = Vec::new();
    for person in people {
        let held = scene.take(person, 2, NOW).await.held;
        for held in &held {
            scene.respond(person, held, Choice::Left, NOW).await;
        }
        seen.push(held.into_iter().map(|held| held.prompt).collect::<Vec<_>>());
    }

    let later = NOW + REPEAT_AFTER + 1;
    let takes =
        [(&scene.ana, 1), (&scene.ben, 1), (&scene.cem, 1), (&scene.ana, 4)].map(|(person, count)| {
            let (kind, pictures) = (CheckKind::Repeat, rand::random());
            let draw = CheckDraw { kind, with: 1, after: 0, side: Side::Right, lot: 0, pictures };
            store.take(Take { checks: Checks::Now(draw), ..take(&scene.sprint, person, count, later) })
        });
    while_busy(store, join_all(takes)).await.into_iter().for_each(|taken| assert!(taken.is_ok()));
    let mut checks = Vec::new();
    for (person, seen) in people.into_iter().zip(&seen) {
        let held = store.take(Take { checks: Checks::NotNow, ..take(&scene.sprint, person, 9, later) });
        let held = held.await.unwrap().held;
        checks.push(held.into_iter().filter(|held| seen.contains(&held.prompt)).collect::<Vec<_>>());
    }
    assert_eq!(checks.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 1]);
    let [ana, ben, cem] = &checks[..] else { panic!("{checks:?}") };
    assert_ne!(ana[0].prompt, ana[1].prompt, "not the same pair twice");

    let nothing = Held { id: AssignmentId::new(), ..cem[0].clone() };
    let answers = [
        (&scene.ana, &ana[0], Choice::Left, Responded::Recorded),
        (&scene.ana, &ana[0], Choice::Right, Responded::Replaced),
        (&scene.ana, &ana[1], Choice::Left, Responded::Recorded),
        (&scene.ben, &cem[0], Choice::Left, Responded::Unknown),
        (&scene.ben, &nothing, Choice::Left, Responded::Unknown),
        (&scene.cem, &cem[0], Choice::Right, Responded::Recorded),
        // It takes the pair from everybody.
        (&scene.ben, &ben[0], Choice::ToxicContent, Responded::Recorded),
    ];
    answer_together(store, &answers, later).await;
    let counts = store.check_counts(&scene.sprint).await.unwrap();
    let mut counts: Vec<_> = counts.iter().map(|count| (count.passed, count.failed)).collect();
    counts.sort_unstable();
    // The image was on the left before, and is on the right now; a report is neither.
    assert_eq!(counts, [(0, 0), (1, 0), (1, 1)]);
    audit(store, &scene.sprint).await;
}
