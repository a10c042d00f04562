//! Reports and reviews: what withdraws a pair, what brings it back, and who is believed.

use diptych_core::{Choice, PersonId};
use diptych_store::EVERY_PROMPT;
use diptych_store::Store;
use diptych_store::pairs::{Logs, PairsSet};
use diptych_store::people::PersonKind;
use diptych_store::reports::Reporting;
use diptych_store::responses::{Responded, TakenBack};
use diptych_store::reviews::{NewReview, Verdict, standing};
use diptych_store::scores::{Kind, Score};
use diptych_store::settings::SettingChange;

use crate::sample::{MINUTE, NOW, Scene, audit, named, respond};

const DAY: i64 = 24 * 60 * MINUTE;

async fn review(store: &Store, scene: &Scene<'_>, images: &[&str], verdict: Verdict, now: i64) {
    let moderator = store.person(&named("Mod"), PersonKind::Person, NOW).await.unwrap().id;
    let review = NewReview {
        kind: Kind::Image,
        contents: images.iter().map(|image| (*image).to_owned()).collect(),
        person: moderator,
        organizer: false,
        verdict,
        reason: "violence".to_owned(),
        note: String::new(),
        whole_row: false,
        prompts: Vec::new(),
        now,
    };
    store.record_review(&scene.sprint, review).await.unwrap();
    audit(store, &scene.sprint).await;
}

async fn current(store: &Store, scene: &Scene<'_>) -> usize {
    store.pairs(&scene.sprint, EVERY_PROMPT).await.unwrap().len()
}

pub async fn a_report_takes_the_pair_from_everybody_until_both_images_are_approved(store: &Store) {
    let scene = Scene::new(store, 1, 3).await;
    let (anas, bens) = (scene.take_one(&scene.ana, NOW).await, scene.take_one(&scene.ben, NOW).await);
    assert_eq!(scene.respond(&scene.ana, &anas, Choice::ToxicContent, NOW + 1).await, Responded::Recorded);
    assert_eq!(current(store, &scene).await, 0);
    assert_eq!(scene.take(&scene.cem, 1, NOW + 2).await.held, []);
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Left, NOW + 2).await, Responded::Gone);
    assert!(!store.picture(&scene.pairs[0].first.picture).await.unwrap().unwrap().current);
    assert_eq!(store.waiting_reports(&scene.sprint).await.unwrap(), 1);

    // What the stages want again stays away as long as somebody's report does.
    scene.set_pairs(3, NOW + 3).await;
    assert_eq!(current(store, &scene).await, 0);

    let (first, second) = (scene.pairs[0].first.image.as_str(), scene.pairs[0].second.image.as_str());
    review(store, &scene, &[first], Verdict::Approve, NOW + 4).await;
    assert_eq!(current(store, &scene).await, 0, "one of two");
    review(store, &scene, &[second], Verdict::Approve, NOW + 5).await;
    assert_eq!(current(store, &scene).await, 1);
    assert_eq!(store.reports_of(&scene.sprint, &scene.ana).await.unwrap(), (0, 0, 1));
    // It goes on where it was: Ana has answered, Ben may.
    assert_eq!(scene.take(&scene.ana, 1, NOW + 6).await.held, []);
    assert_eq!(scene.respond(&scene.ben, &bens, Choice::Left, NOW + 6).await, Responded::Recorded);
    assert_eq!(store.pairs(&scene.sprint, EVERY_PROMPT).await.unwrap()[0].answered, 2);

    review(store, &scene, &[second], Verdict::Undo, NOW + 7).await;
    assert_eq!(current(store, &scene).await, 0, "the approval was taken back");
}

pub async fn a_rejected_image_takes_its_pairs_away_for_good(store: &Store) {
    let scene = Scene::new(store, 2, 2).await;
    let held = scene.take(&scene.ana, 2, NOW).await.held;
    review(store, &scene, &[scene.pairs[0].second.image.as_str()], Verdict::Reject, NOW + 1).await;
    assert_eq!(current(store, &scene).await, 1);
    assert_eq!(scene.respond(&scene.ana, &held[0], Choice::Left, NOW + 2).await, Responded::Gone);
    assert_eq!(scene.respond(&scene.ana, &held[1], Choice::Left, NOW + 2).await, Responded::Recorded);
    // Pairs that were planned before the review came do not bring it back.
    let planned_before = store
        .set_pairs(&scene.sprint, EVERY_PROMPT, scene.pairs.clone(), 2, Logs::default(), NOW + 3)
        .await
        .unwrap();
    assert_eq!(planned_before, PairsSet::Reviewed);
    assert_eq!(current(store, &scene).await, 1);
    let log = store.reviews(&scene.sprint).await.unwrap();
    assert_eq!((log.len(), log[0].name.as_str(), log[0].reason.as_str()), (1, "Mod", "violence"));
}

pub async fn pairs_planned_before_a_setting_was_changed_are_not_taken(store: &Store) {
    let scene = Scene::new(store, 2, 2).await;
    let change = SettingChange {
        person: scene.ana.clone(),
        what: "threshold of lexicon".to_owned(),
        from: "0.5".to_owned(),
        to: "0.2".to_owned(),
        at: NOW,
    };
    assert!(store.record_setting(&scene.sprint, change.clone(), 0).await.unwrap());
    assert!(
        !store.record_setting(&scene.sprint, change, 0).await.unwrap(),
        "by somebody who has not seen the first"
    );
    let set = async |planned, pairs| {
        store.set_pairs(&scene.sprint, EVERY_PROMPT, pairs, 2, planned, NOW).await.unwrap()
    };
    assert_eq!(set(Logs::default(), Vec::new()).await, PairsSet::SettingsChanged);
    assert_eq!(current(store, &scene).await, 2, "nothing is changed then");
    let settings = store.settings_count(&scene.sprint).await.unwrap();
    assert_eq!(set(Logs { reviews: 0, settings }, Vec::new()).await, PairsSet::Done);
    assert_eq!(current(store, &scene).await, 0);
}

pub async fn a_report_is_taken_back_with_its_answer(store: &Store) {
    let scene = Scene::new(store, 1, 2).await;
    let held = scene.take_one(&scene.ana, NOW).await;
    scene.respond(&scene.ana, &held, Choice::ToxicContent, NOW).await;
    assert_eq!(current(store, &scene).await, 0);
    assert_eq!(scene.take_back(&scene.ana, &held, NOW + 1).await, TakenBack::Open);
    assert_eq!((current(store, &scene).await, store.waiting_reports(&scene.sprint).await.unwrap()), (1, 0));
    scene.respond(&scene.ana, &held, Choice::ToxicContent, NOW + 2).await;
    assert_eq!(scene.respond(&scene.ana, &held, Choice::BothBad, NOW + 3).await, Responded::Replaced);
    assert_eq!(current(store, &scene).await, 1, "second thoughts bring it back");
    assert_eq!(scene.respond(&scene.ana, &held, Choice::ToxicContent, NOW + 4).await, Responded::Replaced);
    assert_eq!(current(store, &scene).await, 0);
}

pub async fn one_person_cannot_empty_a_sprint(store: &Store) {
    let scene = Scene::new(store, 5, 3).await;
    let report = async |person: &PersonId, count: usize, now: i64| {
        for held in scene.take(person, count, now).await.held {
            let reporting = Reporting { per_day: 2, ..Reporting::default() };
            let answer = respond(person, &held.id, Choice::ToxicContent, now);
            store.respond(diptych_store::responses::Respond { reporting, ..answer }).await.unwrap();
            audit(store, &scene.sprint).await;
        }
    };
    report(&scene.ana, 4, NOW).await;
    assert_eq!(current(store, &scene).await, 3, "two a day");
    assert_eq!(
        store.waiting_reports(&scene.sprint).await.unwrap(),
        4,
        "the others are for the moderators to see"
    );
    report(&scene.ana, 1, NOW + DAY + 1).await;
    assert_eq!(current(store, &scene).await, 2, "a new day");
}

pub async fn who_is_often_overturned_needs_a_second_reporter(store: &Store) {
    let scene = Scene::new(store, 4, 3).await;
    for number in 0..3 {
        let held = scene.take_one(&scene.ana, NOW + number).await;
        scene.respond(&scene.ana, &held, Choice::ToxicContent, NOW + number).await;
    }
    assert_eq!(current(store, &scene).await, 1);
    for pair in &scene.pairs[..3] {
        review(
            store,
            &scene,
            &[pair.first.image.as_str(), pair.second.image.as_str()],
            Verdict::Approve,
            NOW + 9,
        )
        .await;
    }
    assert_eq!(current(store, &scene).await, 4);
    let held = scene.take_one(&scene.ana, NOW + 10).await;
    scene.respond(&scene.ana, &held, Choice::ToxicContent, NOW + 10).await;
    assert_eq!(current(store, &scene).await, 4, "not by Ana alone any more");
    let bens = scene.take(&scene.ben, 4, NOW + 11).await.held;
    let same = bens.iter().find(|bens| bens.prompt == held.prompt).unwrap();
    scene.respond(&scene.ben, same, Choice::ToxicContent, NOW + 11).await;
    assert_eq!(current(store, &scene).await, 3);
}

pub async fn what_stands_of_a_log_is_everybodys_last_word(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let image = scene.pairs[0].first.image.as_str();
    let say = async |person: &PersonId, organizer: bool, verdict: Verdict, now: i64| {
        let review = NewReview {
            kind: Kind::Image,
            contents: vec![image.to_owned()],
            person: person.clone(),
            organizer,
            verdict,
            reason: if verdict == Verdict::Reject { "sexual".to_owned() } else { String::new() },
            note: String::new(),
            whole_row: false,
            prompts: Vec::new(),
            now,
        };
        store.record_review(&scene.sprint, review).await.unwrap();
        let log = store.reviews(&scene.sprint).await.unwrap();
        standing(&log).remove(&(Kind::Image, image.to_owned())).unwrap_or_default()
    };
    assert_eq!(say(&scene.ana, false, Verdict::Approve, NOW).await.approvals, 1);
    let disputed = say(&scene.ben, false, Verdict::Reject, NOW + 1).await;
    assert!(disputed.is_disputed() && disputed.reason == "sexual", "{disputed:?}");
    let changed = say(&scene.ana, false, Verdict::Reject, NOW + 2).await;
    assert_eq!((changed.approvals, changed.rejections), (0, 2), "a person has one word");
    assert_eq!(say(&scene.ben, false, Verdict::Undo, NOW + 3).await.rejections, 1);
    let last = say(&scene.cem, true, Verdict::Approve, NOW + 4).await;
    assert_eq!((last.last_word, last.is_disputed()), (Some(true), false));
    assert_eq!(store.review_count(&scene.sprint).await.unwrap(), 5, "the log keeps everything");
}

pub async fn scores_are_kept_by_classifier_and_replaced(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let score = |classifier: &str, labels: &str, error: &str| Score {
        content: "abc".to_owned(),
        classifier: classifier.to_owned(),
        labels: labels.to_owned(),
        error: error.to_owned(),
        detail: "{}".to_owned(),
    };
    let failed = score("one@1", "{}", "it crashed");
    let other = score("two@1", "{\"nsfw\":0.1}", "");
    store.record_scores(&scene.sprint, Kind::Image, vec![failed.clone(), other.clone()], NOW).await.unwrap();
    let all = ["one@1".to_owned(), "two@1".to_owned()];
    assert_eq!(store.scores(&scene.sprint, Kind::Image, &all).await.unwrap()["abc"], [failed, other.clone()]);
    let well = score("one@1", "{\"nsfw\":0.9}", "");
    store.record_scores(&scene.sprint, Kind::Image, vec![well.clone()], NOW).await.unwrap();
    assert_eq!(store.scores(&scene.sprint, Kind::Image, &all).await.unwrap()["abc"], [well, other]);
    assert!(store.scores(&scene.sprint, Kind::Text, &all).await.unwrap().is_empty(), "a text is no image");
    assert!(store.scores(&scene.sprint, Kind::Image, &["one@2".to_owned()]).await.unwrap().is_empty());
}
