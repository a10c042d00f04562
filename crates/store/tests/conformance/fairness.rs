//! Who gets which pair: categories keep step, one more is asked where the first disagree, and what several people
//! skip does not linger.

use std::collections::BTreeMap;

use diptych_core::config::Overlap;
use diptych_core::{Choice, PersonId};
use diptych_store::pairs::{Logs, NewPair};
use diptych_store::people::PersonKind;
use diptych_store::reports::Reporting;
use diptych_store::responses::{Respond, Responded, TakenBack};
use diptych_store::{EVERY_PROMPT, Store};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::sample::{COOLDOWN, LEASE, MINUTE, NOW, Scene, audit, named, pair, respond, take};

fn of_categories(sizes: &[(&str, usize)]) -> Vec<NewPair> {
    let mut random = StdRng::seed_from_u64(7);
    let categories = sizes.iter().flat_map(|(category, size)| std::iter::repeat_n(*category, *size));
    categories
        .enumerate()
        .map(|(number, category)| NewPair {
            category: category.to_owned(),
            draw: random.random_range(0..i64::MAX),
            ..pair(number)
        })
        .collect()
}

/// Of each category: pairs, and answers among them that count.
async fn done(store: &Store) -> BTreeMap<String, (i64, i64)> {
    let rows: Vec<(String, i64, i64)> = store
        .write(|connection| {
            Box::pin(async move {
                Ok(sqlx::query_as(
                    "SELECT category, COUNT(*), CAST(SUM(answered) AS BIGINT) FROM pairs WHERE current GROUP BY category",
                )
                .fetch_all(connection)
                .await?)
            })
        })
        .await
        .unwrap();
    rows.into_iter().map(|(category, pairs, answers)| (category, (pairs, answers))).collect()
}

fn keep_step(done: &BTreeMap<String, (i64, i64)>, overlap: i64, when: &str) {
    let share = |(pairs, answers): &(i64, i64)| *answers as f64 / (pairs * overlap) as f64;
    let ahead = done.iter().max_by(|a, b| share(a.1).total_cmp(&share(b.1))).unwrap();
    let behind = done.iter().min_by(|a, b| share(a.1).total_cmp(&share(b.1))).unwrap();
    // One pair of either is what a step is.
    let pair = 1.0 / ahead.1.0.min(behind.1.0) as f64;
    assert!(share(ahead.1) - share(behind.1) <= pair.max(0.05) + 1e-9, "{when}: {done:?}");
}

pub async fn no_category_gets_ahead_of_the_others(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    let sizes = [("Animals", 120), ("Food", 40), ("Anime", 20), ("Pixel Art", 7)];
    let pairs = of_categories(&sizes);
    store.set_pairs(&sprint, EVERY_PROMPT, pairs.clone(), 2, Logs::default(), NOW).await.unwrap();
    store.order_line(&sprint).await.unwrap();
    let mut people = Vec::new();
    for number in 0..8 {
        people.push(
            store.person(&named(&format!("person {number}")), PersonKind::Person, NOW).await.unwrap().id,
        );
    }
    // Whoever comes, in whatever order, holding one pair or several, and skipping now and then.
    let mut random = StdRng::seed_from_u64(11);
    for step in 0..320 {
        let person = &people[random.random_range(0..people.len())];
        let now = NOW + step * MINUTE / 10;
        let taken = store.take(take(&sprint, person, random.random_range(1..4), now)).await.unwrap();
        for held in taken.held {
            let choice = if random.random_range(0..20) == 0 { Choice::Skip } else { Choice::Left };
            assert_eq!(
                store.respond(respond(person, &held.id, choice, now)).await.unwrap(),
                Responded::Recorded
            );
        }
        keep_step(&done(store).await, 2, &format!("step {step}"));
        if step == 60 {
            // More prompts of one category: the others do not wait for it, and it does not run ahead.
            let more: Vec<NewPair> =
                (1000..1020).map(|number| NewPair { category: "Food".to_owned(), ..pair(number) }).collect();
            let all = pairs.iter().cloned().chain(more).collect();
            store.set_pairs(&sprint, EVERY_PROMPT, all, 2, Logs::default(), now).await.unwrap();
            store.order_line(&sprint).await.unwrap();
            let food = |done: BTreeMap<String, (i64, i64)>| done["Food"];
            let (before, mut answers) = (food(done(store).await), 0);
            // It catches up before the others go on: nearly all that is given out is of it.
            while (food(done(store).await).1 as f64) / 120.0 < 0.9 * before.1 as f64 / 80.0 {
                answers += 1;
                assert!(answers < 40, "{:?}", done(store).await);
                let person = &people[answers % people.len()];
                for held in store.take(take(&sprint, person, 1, now)).await.unwrap().held {
                    store.respond(respond(person, &held.id, Choice::Right, now)).await.unwrap();
                }
            }
        }
    }
    audit(store, &sprint).await;
}

pub async fn one_more_is_asked_only_where_the_first_disagree(store: &Store) {
    let scene = Scene::new(store, 1, Overlap { min: 2, max: 3 }).await;
    let dan = store.person(&named("Dan"), PersonKind::Person, NOW).await.unwrap().id;
    let answer = async |person: &PersonId, choice: Choice| {
        let held = scene.take(person, 1, NOW).await.held.remove(0);
        assert_eq!(scene.respond(person, &held, choice, NOW).await, Responded::Recorded);
        held
    };
    let places = async |person: &PersonId| scene.take(person, 1, NOW).await.held.len();
    answer(&scene.ana, Choice::Left).await;
    let bens = answer(&scene.ben, Choice::Left).await;
    assert_eq!(places(&scene.cem).await, 0, "the first two agree");
    assert_eq!(store.progress(&scene.sprint).await.unwrap().completed, 1);
    // Second thoughts make them disagree, and agree again.
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Right, NOW).await, Responded::Replaced);
    let progress = store.progress(&scene.sprint).await.unwrap();
    assert_eq!((progress.completed, progress.wanted), (0, 3));
    let held = scene.take(&scene.cem, 1, NOW).await.held.remove(0);
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Left, NOW).await, Responded::Replaced);
    assert_eq!(places(&dan).await, 0, "no more than three, and the third is held");
    // Who holds it meanwhile may still answer; the place goes when the hold does.
    assert_eq!(scene.respond(&scene.cem, &held, Choice::Skip, NOW).await, Responded::Recorded);
    assert_eq!(store.progress(&scene.sprint).await.unwrap().completed, 1);
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::BothBad, NOW).await, Responded::Replaced);
    answer(&dan, Choice::Right).await;
    assert_eq!(places(&scene.cem).await, 0, "three who disagree are enough");
    // Taken back, the answer leaves room for another one.
    assert_eq!(scene.take_back(&scene.ben, &bens, NOW).await, TakenBack::Open);
    let progress = store.progress(&scene.sprint).await.unwrap();
    assert_eq!((progress.submitted, progress.completed), (2, 0));
    // Fewer are wanted: what was asked for goes on to count up to the most.
    scene.set_pairs(2, NOW).await;
    assert_eq!(store.progress(&scene.sprint).await.unwrap().completed, 1);
    scene.set_pairs(Overlap { min: 2, max: 4 }, NOW).await;
    assert_eq!(store.progress(&scene.sprint).await.unwrap().wanted, 3);
}

pub async fn skips_count_however_they_came_and_can_be_taken_back(store: &Store) {
    let scene = Scene::new(store, 1, 3).await;
    let waiting = async || store.waiting_reports(&scene.sprint).await.unwrap();
    let held = async |person: &PersonId, now| scene.take(person, 1, now).await.held.remove(0);
    let anas = held(&scene.ana, NOW).await;
    assert_eq!(scene.respond(&scene.ana, &anas, Choice::Skip, NOW).await, Responded::Recorded);
    // In place of an answer.
    let bens = held(&scene.ben, NOW).await;
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Left, NOW).await, Responded::Recorded);
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Skip, NOW).await, Responded::Replaced);
    // After the lease, when somebody else has come.
    let cems = held(&scene.cem, NOW).await;
    let dan = store.person(&named("Dan"), PersonKind::Person, NOW).await.unwrap().id;
    let late = NOW + LEASE;
    held(&dan, late).await;
    assert_eq!(waiting().await, 0);
    assert_eq!(scene.respond(&scene.cem, &cems, Choice::Skip, late).await, Responded::Recorded);
    assert_eq!(waiting().await, 1);
    // A slip of the finger: who has skipped it last takes that back, and the others still count.
    assert_eq!(scene.take_back(&scene.cem, &cems, late).await, TakenBack::Open);
    assert_eq!(waiting().await, 0);
    assert_eq!(scene.respond(&scene.cem, &cems, Choice::Skip, late).await, Responded::Recorded);
    assert_eq!(waiting().await, 1);
    assert_eq!(
        scene.take_back(&scene.ana, &anas, NOW + MINUTE).await,
        TakenBack::Gone,
        "it was not the last"
    );
}

pub async fn a_report_goes_with_its_answer(store: &Store) {
    let scene = Scene::new(store, 1, 3).await;
    let reporting = Reporting { needed: 2, ..Reporting::default() };
    let held = scene.take(&scene.ana, 1, NOW).await.held.remove(0);
    let toxic = Respond { reporting, ..respond(&scene.ana, &held.id, Choice::ToxicContent, NOW) };
    assert_eq!(store.respond(toxic).await.unwrap(), Responded::Recorded);
    assert_eq!(store.reports_of(&scene.sprint, &scene.ana).await.unwrap(), (1, 0, 0), "one is not enough");
    assert_eq!(scene.take_back(&scene.ana, &held, NOW).await, TakenBack::Open);
    assert_eq!(store.reports_of(&scene.sprint, &scene.ana).await.unwrap(), (0, 0, 0));
}

pub async fn a_pair_that_others_have_filled_does_not_linger(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    for person in [&scene.ana, &scene.ben] {
        let held = scene.take(person, 1, NOW).await.held.remove(0);
        scene.respond(person, &held, Choice::Skip, NOW).await;
    }
    let cems = scene.take(&scene.cem, 1, NOW).await.held.remove(0);
    let dan = store.person(&named("Dan"), PersonKind::Person, NOW).await.unwrap().id;
    let dans = scene.take(&dan, 1, NOW + LEASE).await.held.remove(0);
    scene.respond(&dan, &dans, Choice::Left, NOW + LEASE).await;
    assert_eq!(scene.respond(&scene.cem, &cems, Choice::Skip, NOW + LEASE).await, Responded::Recorded);
    assert_eq!(store.waiting_reports(&scene.sprint).await.unwrap(), 0);
    assert_eq!(store.progress(&scene.sprint).await.unwrap().completed, 1);
}

pub async fn what_several_people_skip_goes_to_the_moderators(store: &Store) {
    let scene = Scene::new(store, 2, 3).await;
    let people = [&scene.ana, &scene.ben, &scene.cem];
    let skip_first = async |person: &PersonId, now| {
        let held = scene.take(person, 1, now).await.held.remove(0);
        assert_eq!(scene.respond(person, &held, Choice::Skip, now).await, Responded::Recorded);
        held
    };
    for person in &people[..2] {
        skip_first(person, NOW).await;
    }
    // One who skips it again and again is one.
    skip_first(&scene.ana, NOW + COOLDOWN + 1).await;
    assert_eq!(store.waiting_reports(&scene.sprint).await.unwrap(), 0);
    skip_first(&scene.cem, NOW + COOLDOWN + 2).await;
    let waiting = store.reported_pairs(&scene.sprint).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].reports), (1, 0), "no report of toxic content");
    for person in people {
        assert_eq!(
            store.reports_of(&scene.sprint, person).await.unwrap(),
            (0, 0, 0),
            "it is held against nobody"
        );
        let held = scene.take(person, 5, NOW + 3 * COOLDOWN).await.held;
        assert_eq!(held.len(), 1, "only the other pair is given out");
    }
}
