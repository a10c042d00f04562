//! Taking pairs: who gets which, and when.

use diptych_core::{Choice, Side};
use diptych_store::assignments::{Held, Take, Taken};
use diptych_store::pairs::Logs;
use diptych_store::responses::{Responded, TakenBack};
use diptych_store::{EVERY_PROMPT, Millis, Store};
use futures::future::join_all;

use crate::sample::{COOLDOWN, LEASE, MINUTE, NOW, Scene, audit, everything_in, pair, respond, take};

fn prompts(held: &[Held]) -> Vec<&str> {
    held.iter().map(|held| held.prompt.as_str()).collect()
}

pub async fn a_person_keeps_what_it_holds(store: &Store) {
    let scene = Scene::new(store, 5, 1).await;
    let first = scene.take(&scene.ana, 2, NOW).await.held;
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].expires_at, NOW + LEASE);
    assert_eq!((first[0].category.as_str(), first[0].canvas), ("Animals", (1024, 768)));
    assert_eq!(
        scene.take(&scene.ana, 2, NOW + 1).await.held,
        first,
        "a page that is loaded again shows the same"
    );
    let more = scene.take(&scene.ana, 3, NOW + 2).await;
    assert_eq!(more.held[..2], first[..]);
    assert_eq!((more.held.len(), more.free_at), (3, None));
    assert_eq!(scene.take(&scene.ana, 1, NOW + 3).await.held, first[..1]);
    assert_eq!(scene.take(&scene.ben, 9, NOW + 3).await.held.len(), 2);
    assert_eq!(scene.take(&scene.cem, 0, NOW + 3).await.held, []);
}

pub async fn nobody_holds_more_than_the_overlap(store: &Store) {
    let scene = Scene::new(store, 1, 2).await;
    scene.take_one(&scene.ana, NOW).await;
    scene.take_one(&scene.ben, NOW).await;
    assert_eq!(scene.take(&scene.cem, 1, NOW).await.held, []);
}

pub async fn begun_pairs_come_first(store: &Store) {
    let scene = Scene::new(store, 4, 2).await;
    let held = scene.take(&scene.ana, 3, NOW).await.held;
    assert_eq!(
        prompts(&held),
        ["a heron, number 0", "a heron, number 1", "a heron, number 2"],
        "in shuffled order"
    );
    scene.respond(&scene.ana, &held[2], Choice::Left, NOW).await;
    scene.respond(&scene.ana, &held[0], Choice::Skip, NOW).await;
    // Number 1 is held and number 2 answered: both are begun. Number 0 is as if nobody had seen it.
    let bens = scene.take(&scene.ben, 4, NOW + 1).await.held;
    let mut begun = prompts(&bens[..2]);
    begun.sort_unstable();
    assert_eq!(begun, ["a heron, number 1", "a heron, number 2"]);
}

pub async fn each_picture_stands_on_its_recorded_side(store: &Store) {
    let scene = Scene::new(store, 2, 1).await;
    let sides = vec![Side::Left, Side::Right];
    let taken = store.take(Take { sides, ..take(&scene.sprint, &scene.ana, 2, NOW) }).await.unwrap();
    assert_eq!(taken.held.len(), 2);
    for held in &taken.held {
        let number = if held.prompt.ends_with('0') { 0 } else { 1 };
        let (first, second) = (&scene.pairs[number].first.picture, &scene.pairs[number].second.picture);
        let expected = if number == 0 { (first, second) } else { (second, first) };
        assert_eq!((&held.left, &held.right), expected, "{}", held.prompt);
    }
}

/// Who asks is there: what they hold goes on, and what they answer late counts, under whichever name they hold it.
pub async fn who_is_there_keeps_what_they_hold(store: &Store) {
    let scene = Scene::new(store, 2, 1).await;
    let first = scene.take_one(&scene.ana, NOW).await;
    let over = NOW + LEASE;
    let again = scene.take_one(&scene.ana, over).await;
    assert_eq!((&again.id, again.expires_at), (&first.id, over + LEASE), "the same hold, with a fresh lease");
    // Somebody else comes after that: it is not theirs.
    assert_ne!(scene.take_one(&scene.ben, over + 1).await.prompt, first.prompt);
    // Away for longer, so that somebody else's coming ends it; and then given the same pair again.
    let later = over + 2 * LEASE;
    let other = scene.take(&scene.cem, 1, later).await;
    scene.respond(&scene.cem, &other.held[0], Choice::Skip, later).await;
    let held: Vec<Held> = scene.take(&scene.ana, 2, later).await.held;
    let anew = held.iter().find(|held| held.prompt == first.prompt).expect("nobody else has it");
    assert_ne!(anew.id, first.id);
    assert_eq!(scene.respond(&scene.ana, &first, Choice::Left, later).await, Responded::Recorded);
    assert_eq!(
        scene.respond(&scene.ana, anew, Choice::Right, later).await,
        Responded::Gone,
        "it is answered"
    );
    // The same of a skip: the pair is not held under the other name.
    let Some(second) = held.iter().find(|held| held.prompt != first.prompt) else { panic!("{held:?}") };
    let away = later + 2 * LEASE;
    scene.take(&scene.ben, 1, away).await;
    let bens = scene.take(&scene.ben, 1, away).await.held;
    scene.respond(&scene.ben, &bens[0], Choice::Skip, away).await;
    let anew = scene.take_one(&scene.ana, away).await;
    assert_ne!(anew.id, second.id);
    assert_eq!(scene.respond(&scene.ana, second, Choice::Skip, away).await, Responded::Recorded);
    assert_eq!(scene.take(&scene.ana, 1, away).await.held, [], "it cools down");
    // Where nothing is given any more, nothing is renewed.
    let cems = scene.take_one(&scene.cem, away + 60 * MINUTE).await;
    let end = away + 60 * MINUTE + LEASE;
    let closed = Take { sides: Vec::new(), ..take(&scene.sprint, &scene.cem, 1, end) };
    assert_eq!(store.take(closed).await.unwrap().held, []);
    assert_eq!(
        scene.respond(&scene.cem, &cems, Choice::Left, end).await,
        Responded::Recorded,
        "there is room"
    );
}

pub async fn what_was_held_while_the_clock_was_ahead_is_free_again(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let ahead = NOW + 2 * 24 * 60 * MINUTE;
    let held = scene.take_one(&scene.ana, NOW).await;
    let renewed = scene.take_one(&scene.ana, ahead).await;
    assert_eq!((&renewed.id, renewed.expires_at), (&held.id, ahead + LEASE));
    let told = scene.take(&scene.ben, 1, NOW + 1).await;
    assert_eq!((told.held.len(), told.free_at), (0, Some(NOW + 1 + LEASE)), "nobody waits two days for it");
    audit(store, &scene.sprint).await;
    assert_eq!(scene.take(&scene.ben, 1, NOW + 2 + LEASE).await.held.len(), 1);
    audit(store, &scene.sprint).await;
}

pub async fn what_was_skipped_while_the_clock_was_ahead_cools_down(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let ahead = NOW + 2 * 24 * 60 * MINUTE;
    let held = scene.take_one(&scene.ana, ahead).await;
    assert_eq!(scene.respond(&scene.ana, &held, Choice::Skip, ahead).await, Responded::Recorded);
    let later = NOW + COOLDOWN;
    assert_eq!(scene.take(&scene.ana, 1, later).await.held, []);
    let bens = scene.take_one(&scene.ben, ahead).await;
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::ToxicContent, ahead).await, Responded::Recorded);
    store.set_back(NOW).await.unwrap();
    assert_eq!(
        everything_in(store, "SELECT CAST(created_at AS TEXT) FROM reports").await.trim(),
        NOW.to_string()
    );
    assert_eq!(scene.take_back(&scene.ben, &bens, ahead).await, TakenBack::Open);
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Skip, NOW).await, Responded::Recorded);
    assert_eq!(scene.take(&scene.ana, 1, later - 1).await.held, []);
    assert_eq!(scene.take(&scene.ana, 1, later).await.held.len(), 1);
}

pub async fn another_servers_clock_may_be_some_minutes_ahead(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    scene.take_one(&scene.ana, NOW + 5 * MINUTE).await;
    assert_eq!(scene.take(&scene.ben, 1, NOW).await.held, []);
}

pub async fn a_lease_ends_and_its_place_is_free(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let first = scene.take_one(&scene.ana, NOW).await;
    assert_eq!(scene.take(&scene.ben, 1, NOW + LEASE - 1).await.held, []);
    let bens = scene.take_one(&scene.ben, NOW + LEASE).await;
    assert_ne!(first.id, bens.id);
    assert_eq!(scene.take(&scene.ana, 1, NOW + LEASE).await.held, []);
    // Who let a lease end may have the pair again.
    scene.take_one(&scene.ana, NOW + 2 * LEASE).await;
}

pub async fn a_skipped_pair_stays_away_until_it_has_cooled_down(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    scene.respond(&scene.ana, &held, Choice::Skip, NOW).await;
    let nothing = scene.take(&scene.ana, 1, NOW + COOLDOWN - 1).await;
    assert_eq!(nothing, Taken { held: Vec::new(), free_at: Some(NOW + COOLDOWN) });
    let again = scene.take_one(&scene.ana, NOW + COOLDOWN).await;
    assert_ne!(again.id, held.id);
    assert!(store.responses(&scene.sprint, EVERY_PROMPT).await.unwrap().is_empty(), "a skip is no response");
}

pub async fn who_gets_nothing_hears_when_to_come_back(store: &Store) {
    let mut scene = Scene::new(store, 2, 1).await;
    let anas = scene.take_one(&scene.ana, NOW).await;
    let bens = scene.take_one(&scene.ben, NOW + 5).await;
    assert_eq!(scene.take(&scene.cem, 1, NOW + 6).await.free_at, Some(NOW + LEASE), "Ana's lease ends first");
    scene.respond(&scene.ana, &anas, Choice::Left, NOW + 7).await;
    assert_eq!(scene.take(&scene.cem, 1, NOW + 8).await.free_at, Some(NOW + 5 + LEASE));
    assert_eq!(scene.take(&scene.ana, 1, NOW + 8).await.free_at, Some(NOW + 5 + LEASE));
    scene.respond(&scene.ben, &bens, Choice::Left, NOW + 9).await;
    assert_eq!(scene.take(&scene.cem, 1, NOW + 10).await, Taken::default(), "all is done");

    // A skipped pair that others have finished is nothing to wait for.
    scene.pairs.push(pair(2));
    scene.set_pairs(1, NOW + 11).await;
    let cems = scene.take_one(&scene.cem, NOW + 11).await;
    scene.respond(&scene.cem, &cems, Choice::Skip, NOW + 11).await;
    let anas = scene.take_one(&scene.ana, NOW + 12).await;
    scene.respond(&scene.ana, &anas, Choice::Left, NOW + 12).await;
    assert_eq!(scene.take(&scene.cem, 1, NOW + 13).await, Taken::default());
}

pub async fn who_has_a_part_in_what_ends_first_hears_of_what_ends_later(store: &Store) {
    let told = free_behind(store, 70).await;
    assert_eq!(told, NOW + 9 + LEASE, "the one lease on a pair that Ben could answer");
}

pub async fn who_has_a_part_in_very_much_asks_again_when_that_ends(store: &Store) {
    let told = free_behind(store, 1030).await;
    assert_eq!(told, NOW + 1 + LEASE, "the lease on the last pair that was looked at");
}

/// When Ben hears to come back, who has answered so many pairs that Ana holds, and could answer one that is held by two
/// others until later.
async fn free_behind(store: &Store, answered: usize) -> Millis {
    let mut scene = Scene::new(store, answered, 2).await;
    let held = store.take(take(&scene.sprint, &scene.ben, answered, NOW)).await.unwrap().held;
    let answers = held.iter().map(|held| store.respond(respond(&scene.ben, &held.id, Choice::Left, NOW)));
    for responded in join_all(answers).await {
        assert_eq!(responded.unwrap(), Responded::Recorded);
    }
    let anas = store.take(take(&scene.sprint, &scene.ana, answered, NOW + 1)).await.unwrap().held;
    assert_eq!((held.len(), anas.len()), (answered, answered));
    scene.pairs.push(pair(answered));
    scene.set_pairs(2, NOW + 8).await;
    scene.take(&scene.ana, answered + 1, NOW + 9).await;
    scene.take_one(&scene.cem, NOW + 10).await;
    let bens = scene.take(&scene.ben, 1, NOW + 11).await;
    assert_eq!(bens.held, []);
    bens.free_at.unwrap()
}

pub async fn sprints_do_not_share_pairs(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let fish = store.sprint("fish", NOW).await.unwrap();
    store.set_pairs(&fish, EVERY_PROMPT, vec![pair(0)], 1, Logs::default(), NOW).await.unwrap();
    scene.take_one(&scene.ana, NOW).await;
    let taken = store.take(take(&fish, &scene.ana, 5, NOW)).await.unwrap();
    assert_eq!(taken.held.len(), 1, "the same person, the same unit, another sprint");
    store.set_pairs(&fish, EVERY_PROMPT, Vec::new(), 1, Logs::default(), NOW).await.unwrap();
    assert_eq!(scene.take(&scene.ana, 5, NOW).await.held.len(), 1);
}
