//! What a person sees of what is kept of them, and what is left when they go.

use diptych_core::{Choice, Name, Role};
use diptych_store::people::PersonKind;
use diptych_store::responses::Responded;
use diptych_store::{Backend, Store};

use crate::sample::{MINUTE, NOW, Scene, audit, everything_in, named};

const DAY: i64 = 24 * 60 * MINUTE;

pub async fn a_person_sees_all_that_is_kept_of_them(store: &Store) {
    let scene = Scene::new(store, 2, 3).await;
    let ana = store.person_of_identity("https://one", "7", &named("Anna"), NOW).await.unwrap().id;
    store.add_token(&ana, "token", NOW).await.unwrap();
    store.agree(&scene.sprint, &ana, "v1", "the terms", NOW).await.unwrap();
    let held = scene.take(&ana, 2, NOW).await.held;
    scene.respond(&ana, &held[0], Choice::Right, NOW).await;
    scene.respond(&scene.ben, &scene.take(&scene.ben, 1, NOW).await.held[0], Choice::Left, NOW).await;
    let own = store.own_data(&ana, NOW).await.unwrap();
    assert_eq!(
        (own.name.as_str(), own.tokens, own.providers.as_slice()),
        ("Anna", 1, &["https://one".to_owned()][..])
    );
    let [sprint] = &own.sprints[..] else { panic!("{own:?}") };
    assert_eq!(sprint.agreed, [("the terms".to_owned(), NOW)]);
    let [response] = &sprint.responses[..] else { panic!("only her own: {sprint:?}") };
    assert_eq!(
        (response.answer.as_str(), response.state.as_str()),
        ("right", "submitted"),
        "as it was pressed"
    );
    assert!(!serde_json::to_string(&own).unwrap().contains("image_"), "which image is which is not told");
}

/// A table that names a person must be looked at where they ask what is kept of them. These are: `sessions` and `tokens` as
/// counts, `identities` as providers, `assignments` as what became of them.
const LOOKED_AT: [&str; 16] = [
    "announcements",
    "assignments",
    "checks",
    "consents",
    "exclusions",
    "identities",
    "proposals",
    "pseudonyms",
    "reports",
    "responses",
    "reviews",
    "roles",
    "sessions",
    "settings",
    "tokens",
    "people",
];

pub async fn nothing_about_a_person_is_kept_from_them(store: &Store) {
    let scene = Scene::new(store, 4, 3).await;
    let ana = &scene.ana;
    let held = scene.take(ana, 4, NOW).await.held;
    scene.respond(ana, &held[0], Choice::Left, NOW).await;
    scene.respond(ana, &held[1], Choice::Skip, NOW + 1).await;
    scene.respond(ana, &held[2], Choice::ToxicContent, NOW + 2).await;
    store.set_role(&scene.sprint, ana, Role::Moderator).await.unwrap();
    store.announce(&scene.sprint, ana, "Half way", NOW + 3).await.unwrap();
    store.exclude(&scene.sprint, ana, "a bot", NOW + 4).await.unwrap();
    let own = store.own_data(ana, NOW).await.unwrap();
    let [sprint] = &own.sprints[..] else { panic!("{own:?}") };
    assert_eq!(sprint.role.as_deref(), Some("moderator"));
    assert_eq!((sprint.excluded.len(), sprint.excluded[0].reason.as_str()), (1, "a bot"));
    let deeds: Vec<&str> = sprint.deeds.iter().map(|deed| deed.what.as_str()).collect();
    assert_eq!(deeds, ["shown", "skip", "report", "announce"]);
    assert_eq!(sprint.deeds[0].about, held[3].prompt);
    assert_eq!((sprint.deeds[2].says.as_str(), sprint.deeds[3].says.as_str()), ("open", "Half way"));
    // Whoever has only a role here sees that, too.
    store.set_role(&scene.sprint, &scene.cem, Role::Organizer).await.unwrap();
    assert_eq!(store.own_data(&scene.cem, NOW).await.unwrap().sprints.len(), 1);
    store.forget(ana, &[], NOW).await.unwrap();
    assert!(!everything_in(store, "SELECT reason FROM exclusions").await.contains("bot"));

    let tables = match store.backend() {
        Backend::Sqlite => {
            "SELECT DISTINCT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE c.name = 'person'"
        }
        Backend::Postgres => {
            "SELECT DISTINCT CAST(table_name AS TEXT) FROM information_schema.columns \
             WHERE column_name = 'person' AND table_schema = current_schema()"
        }
    };
    for table in everything_in(store, tables).await.lines() {
        assert!(LOOKED_AT.contains(&table), "{table} names a person");
    }
}

pub async fn names_are_shown_to_who_asks_for_it(store: &Store) {
    let scene = Scene::new(store, 3, 3).await;
    for (place, held) in scene.take(&scene.ana, 3, NOW).await.held.iter().enumerate() {
        scene.respond(&scene.ana, held, Choice::Left, NOW + place as i64 * DAY).await;
    }
    let standing = async || store.standings(&scene.sprint, NOW + 2 * DAY + 5).await.unwrap().remove(0);
    let first = standing().await;
    assert_eq!((first.name, first.responses, first.lately, first.streak), (None, 3, 1, 3));
    store.show_name(&scene.sprint, &scene.ana, true).await.unwrap();
    assert_eq!(standing().await.name.as_deref(), Some("Ana"));
    store.show_name(&scene.sprint, &scene.ana, false).await.unwrap();
    assert_eq!(standing().await.name, None);
}

pub async fn who_goes_leaves_answers_that_nobody_can_trace(store: &Store) {
    let scene = Scene::new(store, 2, 2).await;
    let held = scene.take(&scene.ana, 2, NOW).await.held;
    scene.respond(&scene.ana, &held[0], Choice::Left, NOW).await;
    store.add_session(&scene.ana, "session", NOW + DAY).await.unwrap();
    store.agree(&scene.sprint, &scene.ana, "v1", "the terms", NOW).await.unwrap();
    store.show_name(&scene.sprint, &scene.ana, true).await.unwrap();
    let before = store.annotators(&scene.sprint).await.unwrap();
    store.forget(&scene.ana, &[], NOW).await.unwrap();
    audit(store, &scene.sprint).await;
    assert_eq!(store.person_of_session("session", NOW).await.unwrap(), None);
    let after = store.standings(&scene.sprint, NOW).await.unwrap();
    assert_eq!((after[0].responses, &after[0].name), (1, &None));
    assert_eq!(store.annotators(&scene.sprint).await.unwrap()[0].pseudonym, before[0].pseudonym);
    let people = everything_in(store, "SELECT name FROM people").await;
    assert!(!people.contains("Ana"), "{people}");
    // Whoever comes under that name is somebody else, and may answer.
    let other = store.person(&Name::parse("Ana").unwrap(), PersonKind::Person, NOW).await.unwrap();
    assert_ne!(other.id, scene.ana);
    assert_eq!(scene.take(&other.id, 5, NOW).await.held.len(), 2, "what she held went back");
}

pub async fn answers_that_are_removed_are_asked_of_others(store: &Store) {
    let scene = Scene::new(store, 1, 2).await;
    let dan = store.person(&named("Dan"), PersonKind::Person, NOW).await.unwrap().id;
    for person in [&scene.ana, &scene.ben] {
        let held = scene.take(person, 1, NOW).await.held.remove(0);
        assert_eq!(scene.respond(person, &held, Choice::Left, NOW).await, Responded::Recorded);
    }
    assert_eq!(store.progress(&scene.sprint).await.unwrap().completed, 1);
    assert!(scene.take(&dan, 1, NOW).await.held.is_empty());
    store.forget(&scene.ana, std::slice::from_ref(&scene.sprint), NOW).await.unwrap();
    audit(store, &scene.sprint).await;
    let progress = store.progress(&scene.sprint).await.unwrap();
    assert_eq!((progress.submitted, progress.completed), (1, 0));
    let held = scene.take(&dan, 1, NOW).await.held.remove(0);
    assert_eq!(scene.respond(&dan, &held, Choice::Right, NOW).await, Responded::Recorded);
    assert_eq!(store.progress(&scene.sprint).await.unwrap().completed, 1);

    // An answer that was beyond the overlap counts where one goes.
    scene.set_pairs(1, NOW).await;
    store.forget(&scene.ben, std::slice::from_ref(&scene.sprint), NOW).await.unwrap();
    audit(store, &scene.sprint).await;
    assert_eq!(store.progress(&scene.sprint).await.unwrap().submitted, 1, "Dan's");
}
