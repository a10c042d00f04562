//! Pairs: what a new list of pairs does to those that are there.

use diptych_core::{Choice, ResponseState, UnitKey};
use diptych_store::EVERY_PROMPT;
use diptych_store::Store;
use diptych_store::pairs::{Logs, PairsSet};
use diptych_store::pairs::{Picture, Progress};
use diptych_store::responses::Responded;

use crate::sample::{Counters, LEASE, MINUTE, NOW, Scene, audit, pair};

pub async fn pairs_are_added_withdrawn_and_brought_back(store: &Store) {
    let mut scene = Scene::new(store, 2, 2).await;
    let before = store.pairs(&scene.sprint, EVERY_PROMPT).await.unwrap();
    assert_eq!(before.len(), 2);
    let held = scene.take_one(&scene.ana, NOW).await;
    assert_eq!(scene.respond(&scene.ana, &held, Choice::Left, NOW).await, Responded::Recorded);

    // The answered pair is withdrawn and another one added.
    let first = scene.pairs.remove(0);
    scene.pairs.push(pair(2));
    scene.set_pairs(2, NOW + 1).await;
    let keys = store.pair_keys(&scene.sprint, EVERY_PROMPT).await.unwrap();
    assert_eq!(keys.len(), 2);
    assert!(!keys.contains(first.key.as_str()) && keys.contains(UnitKey::of(&["pair", "2"]).as_str()));
    assert!(store.responses(&scene.sprint, EVERY_PROMPT).await.unwrap().is_empty());

    // It comes back with its id and its answer, and with other opaque names it would keep the old ones.
    scene.pairs.insert(0, pair(0));
    scene.set_pairs(2, NOW + 2).await;
    let after = store.pairs(&scene.sprint, EVERY_PROMPT).await.unwrap();
    assert_eq!(after.len(), 3);
    assert_eq!((&after[0].id, after[0].answered), (&before[0].id, 1));
    assert_eq!(store.responses(&scene.sprint, EVERY_PROMPT).await.unwrap()[&before[0].id].len(), 1);
    assert!(store.picture(&first.first.picture).await.unwrap().is_some_and(|picture| picture.current));
    let counters = &audit(store, &scene.sprint).await[first.key.as_str()];
    assert_eq!(*counters, Counters { overlap: 2, answered: 1, held: 0, slots: 1 });

    // The same list again changes nothing.
    scene.set_pairs(2, NOW + 3).await;
    assert_eq!(store.pairs(&scene.sprint, EVERY_PROMPT).await.unwrap(), after);
}

pub async fn a_withdrawn_pair_takes_its_leases_along(store: &Store) {
    let mut scene = Scene::new(store, 2, 2).await;
    let held = scene.take(&scene.ana, 2, NOW).await.held;
    let first = scene.pairs.remove(0);
    scene.set_pairs(2, NOW + 1).await;
    assert_eq!(audit(store, &scene.sprint).await[first.key.as_str()].held, 0);
    let left = scene.take(&scene.ana, 2, NOW + 2).await.held;
    assert_eq!(left, held[1..], "the other hold stays as it was");
    assert_eq!(scene.respond(&scene.ana, &held[0], Choice::Left, NOW + 3).await, Responded::Gone);
}

pub async fn a_higher_overlap_opens_pairs_again(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    scene.respond(&scene.ana, &held, Choice::Left, NOW).await;
    assert_eq!(scene.take(&scene.ben, 1, NOW).await.held, []);
    scene.set_pairs(2, NOW).await;
    scene.take_one(&scene.ben, NOW).await;
    assert_eq!(scene.take(&scene.ana, 1, NOW).await.held, [], "nobody answers a pair twice");
    assert_eq!(scene.take(&scene.cem, 1, NOW).await.held, [], "the overlap is full");
}

pub async fn a_lower_overlap_withdraws_the_leases_that_it_has_no_room_for(store: &Store) {
    let scene = Scene::new(store, 1, 3).await;
    let ana = scene.take_one(&scene.ana, NOW).await;
    let ben = scene.take_one(&scene.ben, NOW + 1).await;
    let cem = scene.take_one(&scene.cem, NOW + 2).await;
    scene.respond(&scene.ben, &ben, Choice::Left, NOW + 3).await;
    scene.set_pairs(2, NOW + 4).await;
    audit(store, &scene.sprint).await;
    assert_eq!(scene.respond(&scene.cem, &cem, Choice::Left, NOW + 5).await, Responded::Gone);
    assert_eq!(scene.respond(&scene.ana, &ana, Choice::Left, NOW + 6).await, Responded::Recorded);
}

pub async fn responses_beyond_a_lower_overlap_are_kept_but_do_not_count(store: &Store) {
    let scene = Scene::new(store, 1, 2).await;
    for (person, now) in [(&scene.ana, NOW), (&scene.ben, NOW + MINUTE)] {
        let held = scene.take_one(person, now).await;
        scene.respond(person, &held, Choice::Left, now).await;
    }
    let counting = async || {
        audit(store, &scene.sprint).await;
        let responses =
            store.responses(&scene.sprint, EVERY_PROMPT).await.unwrap().into_values().next().unwrap();
        responses.into_iter().map(|response| response.state).collect::<Vec<_>>()
    };
    scene.set_pairs(1, NOW + MINUTE).await;
    assert_eq!(
        counting().await,
        [ResponseState::Submitted, ResponseState::Surplus],
        "the earlier one counts"
    );
    scene.set_pairs(2, NOW + MINUTE).await;
    assert_eq!(counting().await, [ResponseState::Submitted; 2], "and both do where there is room again");
}

pub async fn a_picture_is_found_by_its_opaque_name(store: &Store) {
    let mut scene = Scene::new(store, 2, 1).await;
    let first = scene.pairs[0].clone();
    for side in [&first.first, &first.second] {
        let found = store.picture(&side.picture).await.unwrap();
        assert_eq!(found, Some(Picture { image: side.image.clone(), canvas: (1024, 768), current: true }));
    }
    assert_eq!(store.picture(first.first.image.as_str()).await.unwrap(), None, "a hash is no opaque name");
    scene.pairs.remove(0);
    scene.set_pairs(1, NOW).await;
    assert!(store.picture(&first.first.picture).await.unwrap().is_some_and(|picture| !picture.current));
}

pub async fn progress_counts_what_counts(store: &Store) {
    let other = store.sprint("fish", NOW).await.unwrap();
    assert_eq!(store.progress(&other).await.unwrap(), Progress::default());
    let mut scene = Scene::new(store, 3, 2).await;
    for person in [&scene.ana, &scene.ben] {
        let held = scene.take_one(person, NOW).await;
        scene.respond(person, &held, Choice::Left, NOW).await;
    }
    let held = scene.take_one(&scene.ana, NOW).await;
    scene.respond(&scene.ana, &held, Choice::BothBad, NOW).await;
    let all = store.progress(&scene.sprint).await.unwrap();
    assert_eq!(all, Progress { pairs: 3, completed: 1, submitted: 3, wanted: 6, ..all });
    let first = scene.pairs.remove(0);
    scene.set_pairs(2, NOW + LEASE).await;
    let without = store.progress(&scene.sprint).await.unwrap();
    assert_eq!(without, Progress { pairs: 2, completed: 0, submitted: 1, wanted: 4, ..without });
    // As many, but others: whoever holds a pair notices.
    scene.pairs[0] = first;
    scene.set_pairs(2, NOW + LEASE).await;
    let others = store.progress(&scene.sprint).await.unwrap();
    assert_eq!(others.pairs, without.pairs);
    assert!(others.mark != without.mark && without.mark != all.mark, "{all:?} {without:?} {others:?}");
}

/// A span of prompts gets its pairs, and those of all other prompts stay as they are.
pub async fn other_prompts_keep_their_pairs(store: &Store) {
    let scene = Scene::new(store, 3, 1).await;
    let all = store.pairs(&scene.sprint, EVERY_PROMPT).await.unwrap();
    let of = |pairs: &[diptych_store::pairs::PairRow]| {
        pairs.iter().map(|pair| pair.prompt_index.0).collect::<Vec<_>>()
    };
    let span = all[1].prompt_index.0..all[1].prompt_index.0 + 1;
    assert_eq!(store.pairs(&scene.sprint, span.clone()).await.unwrap(), all[1..2]);
    let none =
        store.set_pairs(&scene.sprint, span.clone(), Vec::new(), 2, Logs::default(), NOW).await.unwrap();
    assert_eq!(none, PairsSet::Done);
    let left = store.pairs(&scene.sprint, EVERY_PROMPT).await.unwrap();
    assert_eq!(left, [all[0].clone(), all[2].clone()], "nor has their overlap changed");
    let again = vec![scene.pairs[1].clone()];
    let back = store.set_pairs(&scene.sprint, span, again, 1, Logs::default(), NOW).await.unwrap();
    assert_eq!(back, PairsSet::Done);
    assert_eq!(of(&store.pairs(&scene.sprint, EVERY_PROMPT).await.unwrap()), of(&all));
}
