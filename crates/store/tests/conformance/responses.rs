//! Responses: what is kept of an answer, and of one that comes late, twice or from somebody else.

use diptych_core::{Answer, AssignmentId, Choice, Side, SprintState};
use diptych_store::EVERY_PROMPT;
use diptych_store::Store;
use diptych_store::assignments::{Held, Take};
use diptych_store::pairs::Logs;
use diptych_store::people::{PersonKind, PersonSummary};
use diptych_store::reports::Reporting;
use diptych_store::responses::{Respond, Responded, ResponseRow, TakenBack};
use diptych_store::standings::Standing;

use crate::sample::{LEASE, MINUTE, NOW, Scene, audit, everything_in, named, respond, take};

async fn all(store: &Store, scene: &Scene<'_>) -> Vec<ResponseRow> {
    store.responses(&scene.sprint, EVERY_PROMPT).await.unwrap().into_values().flatten().collect()
}

pub async fn a_choice_is_kept_as_an_answer_about_the_images(store: &Store) {
    let scene = Scene::new(store, 10, 1).await;
    let choices = Choice::ALL.iter().filter(|choice| **choice != Choice::Skip);
    for (choice, side) in choices.flat_map(|choice| Side::ALL.iter().map(move |side| (*choice, *side))) {
        let request = Take { sides: vec![side], ..take(&scene.sprint, &scene.ana, 1, NOW) };
        let held = store.take(request).await.unwrap().held.remove(0);
        let before: Vec<_> = all(store, &scene).await.into_iter().map(|response| response.pair).collect();
        let responded = store
            .respond(Respond {
                comment: Some("neck".to_owned()),
                // One report alone leaves the pair where it is.
                reporting: Reporting { needed: 2, ..Reporting::default() },
                ..respond(&scene.ana, &held.id, choice, NOW)
            })
            .await
            .unwrap();
        assert_eq!(responded, Responded::Recorded);
        let mut after = all(store, &scene).await;
        after.retain(|response| !before.contains(&response.pair));
        let [kept] = after.as_slice() else { panic!("one more response was expected: {after:?}") };
        assert_eq!(
            (Some(kept.answer), kept.side),
            (choice.answer(side), side),
            "{choice} with image 1 {side}"
        );
        assert_eq!((kept.duration_ms, kept.created_at, kept.counts()), (Some(1500), NOW, true));
    }
    let comments = everything_in(store, "SELECT comment FROM responses").await;
    assert_eq!(comments.lines().collect::<Vec<_>>(), ["neck"; 10]);
}

pub async fn the_same_answer_twice_is_one_response(store: &Store) {
    let scene = Scene::new(store, 1, 2).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    assert_eq!(scene.respond(&scene.ana, &held, Choice::Left, NOW).await, Responded::Recorded);
    for later in [0, MINUTE, 3 * LEASE] {
        assert_eq!(scene.respond(&scene.ana, &held, Choice::Left, NOW + later).await, Responded::Repeated);
    }
    assert_eq!(all(store, &scene).await.len(), 1);
    assert_eq!(scene.take(&scene.ana, 1, NOW).await.held, []);
}

pub async fn somebody_elses_assignment_is_unknown(store: &Store) {
    let scene = Scene::new(store, 1, 2).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    assert_eq!(scene.respond(&scene.ben, &held, Choice::Left, NOW).await, Responded::Unknown);
    assert_eq!(scene.respond(&scene.ben, &held, Choice::Skip, NOW).await, Responded::Unknown);
    let nowhere = respond(&scene.ana, &AssignmentId::new(), Choice::Left, NOW);
    assert_eq!(store.respond(nowhere).await.unwrap(), Responded::Unknown);
    assert!(all(store, &scene).await.is_empty());
    assert_eq!(scene.take(&scene.ana, 1, NOW).await.held, [held], "the hold is untouched");
}

pub async fn a_late_answer_is_taken_where_there_is_room(store: &Store) {
    let scene = Scene::new(store, 1, 2).await;
    let anas = scene.take_one(&scene.ana, NOW).await;
    let late = NOW + LEASE;
    // Nobody has noticed yet that Ana's lease has ended.
    assert_eq!(scene.respond(&scene.ana, &anas, Choice::Left, late).await, Responded::Recorded);
    let bens = scene.take_one(&scene.ben, NOW).await;
    scene.take(&scene.cem, 1, late).await;
    // Ben's lease has ended and Cem has the place; it comes back when Cem skips.
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Left, late + 1).await, Responded::Gone);
    let cems = scene.take_one(&scene.cem, late + 1).await;
    scene.respond(&scene.cem, &cems, Choice::Skip, late + 2).await;
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Left, late + 3).await, Responded::Recorded);
    assert_eq!(all(store, &scene).await.len(), 2);
}

pub async fn what_comes_after_the_sprint_and_the_lease_is_gone(store: &Store) {
    let scene = Scene::new(store, 3, 2).await;
    let held = scene.take(&scene.ana, 2, NOW).await.held;
    let answer = async |held: &Held, choice: Choice, over: bool, now: i64| {
        let state = if over { SprintState::Closed } else { SprintState::Open };
        store.set_sprint_state(&scene.sprint, state).await.unwrap();
        scene.respond(&scene.ana, held, choice, now).await
    };
    assert_eq!(answer(&held[0], Choice::Left, true, NOW + LEASE - 1).await, Responded::Recorded, "in time");
    for choice in [Choice::Left, Choice::Skip, Choice::ToxicContent] {
        assert_eq!(answer(&held[1], choice, true, NOW + LEASE).await, Responded::Gone);
    }
    // Ended by somebody else's coming, it is the same.
    scene.take(&scene.ben, 1, NOW + LEASE).await;
    assert_eq!(answer(&held[1], Choice::Left, true, NOW + LEASE).await, Responded::Gone);
    assert_eq!(all(store, &scene).await.len(), 1);
    assert_eq!(answer(&held[1], Choice::Left, false, NOW + LEASE).await, Responded::Recorded, "opened again");
    // Results may be known: what was answered stands, and the same again is no other answer.
    assert_eq!(answer(&held[0], Choice::Right, true, NOW + 1).await, Responded::Settled);
    assert_eq!(answer(&held[0], Choice::Skip, true, NOW + 1).await, Responded::Settled);
    assert_eq!(answer(&held[0], Choice::Left, true, NOW + 1).await, Responded::Repeated);
    assert_eq!(scene.take_back(&scene.ana, &held[0], NOW + 1).await, TakenBack::Settled);
    store.set_sprint_state(&scene.sprint, SprintState::Archived).await.unwrap();
    assert_eq!(scene.take_back(&scene.ana, &held[0], NOW + 1).await, TakenBack::Settled);
    store.set_sprint_state(&scene.sprint, SprintState::Paused).await.unwrap();
    assert_eq!(scene.take_back(&scene.ana, &held[0], NOW + 1).await, TakenBack::Open);
}

pub async fn a_late_answer_to_a_filled_pair_is_gone(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let anas = scene.take_one(&scene.ana, NOW).await;
    let bens = scene.take_one(&scene.ben, NOW + LEASE).await;
    assert_eq!(
        scene.respond(&scene.ana, &anas, Choice::Left, NOW + LEASE).await,
        Responded::Gone,
        "Ben holds it"
    );
    scene.respond(&scene.ben, &bens, Choice::Right, NOW + LEASE).await;
    assert_eq!(scene.respond(&scene.ana, &anas, Choice::Left, NOW + LEASE).await, Responded::Gone);
    assert_eq!(all(store, &scene).await.len(), 1);
}

pub async fn an_answer_to_a_withdrawn_pair_is_gone(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    store.set_pairs(&scene.sprint, EVERY_PROMPT, Vec::new(), 1, Logs::default(), NOW).await.unwrap();
    for choice in [Choice::Left, Choice::Skip] {
        assert_eq!(scene.respond(&scene.ana, &held, choice, NOW).await, Responded::Gone);
    }
    scene.set_pairs(1, NOW).await;
    assert_eq!(
        scene.respond(&scene.ana, &held, Choice::Left, NOW).await,
        Responded::Recorded,
        "it came back"
    );
}

pub async fn standings_count_by_pseudonym(store: &Store) {
    let scene = Scene::new(store, 13, 2).await;
    let robot = store.person(&named("robot"), PersonKind::Simulated, NOW).await.unwrap().id;
    for held in scene.take(&scene.ana, 13, NOW).await.held {
        scene.respond(&scene.ana, &held, Choice::Left, NOW).await;
    }
    let held = scene.take(&robot, 2, NOW).await.held;
    scene.respond(&robot, &held[0], Choice::Left, NOW + 5).await;
    scene.respond(&robot, &held[1], Choice::Left, NOW + 9).await;
    scene.take_back(&robot, &held[1], NOW + 9).await;

    let mut standings = store.standings(&scene.sprint, NOW).await.unwrap();
    standings.sort_by_key(|one| -one.responses);
    let of = |standing: &Standing| (standing.person.clone(), standing.simulated, standing.responses);
    assert_eq!(
        standings.iter().map(of).collect::<Vec<_>>(),
        [(scene.ana.clone(), false, 13), (robot.clone(), true, 1)]
    );
    assert_eq!(store.last_response(&scene.sprint).await.unwrap(), Some(NOW + 5));
    assert_eq!(store.responses_of(&scene.sprint, &scene.ana, NOW + 1).await.unwrap(), (13, 0));
    assert_eq!(store.responses_of(&scene.sprint, &robot, NOW + 5).await.unwrap(), (1, 1));
    assert_eq!(store.responses_of(&scene.sprint, &scene.cem, NOW).await.unwrap(), (0, 0));
    let mut given = store.given_since(&scene.sprint, [NOW + 5, NOW + 1, NOW]).await.unwrap();
    given.sort_by(|one, other| one.name.cmp(&other.name));
    let given: Vec<_> = given.iter().map(|one| (one.name.as_str(), one.simulated, one.responses)).collect();
    assert_eq!(
        given,
        [("Ana", false, [0, 0, 13]), ("robot", true, [1, 1, 1])],
        "what was taken back is none"
    );
    assert_eq!(store.given_since(&scene.sprint, [NOW + 6; 3]).await.unwrap(), []);
    let counts: Vec<_> = store
        .people(&scene.sprint)
        .await
        .unwrap()
        .into_iter()
        .map(|PersonSummary { name, responses, .. }| (name, responses))
        .collect();
    assert_eq!(counts, [("Ana".into(), 13), ("Ben".into(), 0), ("Cem".into(), 0), ("robot".into(), 1)]);
}

pub async fn a_pseudonym_is_stable_and_tells_nothing(store: &Store) {
    let scene = Scene::new(store, 2, 1).await;
    let held = scene.take(&scene.ana, 2, NOW).await.held;
    scene.respond(&scene.ana, &held[0], Choice::Left, NOW).await;
    let first = all(store, &scene).await.remove(0).pseudonym;
    scene.respond(&scene.ana, &held[1], Choice::BothBad, NOW + MINUTE).await;
    let responses = all(store, &scene).await;
    assert_eq!(responses.len(), 2);
    assert!(responses.iter().all(|response| response.pseudonym == first));
    assert!(responses.iter().any(|response| response.answer == Answer::BothBad));
    assert_ne!(first, scene.ana.as_str());
    assert!(!first.to_lowercase().contains("ana"), "{first}");
    assert_eq!(first.as_bytes()[14], b'4', "a version 4 UUID has no time in it: {first}");

    // Another sprint knows the same person under another name.
    let fish = store.sprint("fish", NOW).await.unwrap();
    store
        .set_pairs(&fish, EVERY_PROMPT, vec![crate::sample::pair(0)], 1, Logs::default(), NOW)
        .await
        .unwrap();
    let held = store.take(take(&fish, &scene.ana, 1, NOW)).await.unwrap().held.remove(0);
    store.respond(respond(&scene.ana, &held.id, Choice::Left, NOW)).await.unwrap();
    audit(store, &fish).await;
    assert_ne!(store.annotators(&fish).await.unwrap()[0].pseudonym, first);
}
