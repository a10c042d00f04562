//! Sprints and stage marks.

use diptych_core::{Name, PersonId, Role, Stage};
use diptych_store::Store;
use diptych_store::people::PersonKind;
use diptych_store::proposals::{MOST, MOST_OF_ONE, NewProposal, Proposed};
use diptych_store::sprints::StageMark;

use crate::sample::{NOW, named};

pub async fn a_sprint_is_found_by_its_slug(store: &Store) {
    assert_eq!(store.find_sprint("birds").await.unwrap(), None);
    let (one, same) = tokio::join!(store.sprint("birds", NOW), store.sprint("birds", NOW));
    let one = one.unwrap();
    assert_eq!(one, same.unwrap());
    assert_eq!(store.find_sprint("birds").await.unwrap(), Some(one.clone()));
    assert_ne!(store.sprint("fish", NOW).await.unwrap(), one);
}

fn proposal(person: PersonId, slug: &str) -> NewProposal {
    NewProposal {
        person,
        slug: slug.to_owned(),
        title: "Birds".to_owned(),
        question: "Which bird?".to_owned(),
        about: String::new(),
        format: "txt".to_owned(),
        prompts: "a heron".to_owned(),
        prompt_count: 1,
        models: Vec::new(),
    }
}

pub async fn so_many_proposals_wait_and_no_more(store: &Store) {
    let propose_as = async |person: PersonId, number: i64| {
        store.propose(proposal(person, &format!("sprint-{number}")), NOW).await.unwrap()
    };
    let propose = async |person: i64, number: i64| {
        let person =
            store.person(&named(&format!("Person {person}")), PersonKind::Person, NOW).await.unwrap();
        propose_as(person.id, number).await
    };
    let guest = store.new_guest(&Name::guest(), NOW).await.unwrap();
    assert_eq!(propose_as(guest.id, 0).await, Proposed::Guest, "one person may be many");
    for number in 0..MOST {
        assert_eq!(propose(number / MOST_OF_ONE, number).await, Proposed::Waiting);
    }
    assert_eq!(propose(1000, 1000).await, Proposed::TooMany);
    assert_eq!(propose(0, 1000).await, Proposed::TooManyOfYours, "which is said first");
    let first = store.waiting_proposals().await.unwrap().remove(0);
    assert!(store.decline_proposal(&first.id, "", NOW).await.unwrap());
    assert_eq!(propose(1000, 1).await, Proposed::SlugWaits);
    assert_eq!(propose(1000, 1000).await, Proposed::Waiting);
}

pub async fn an_invited_author_moderates_and_stays(store: &Store) {
    let person = async |name: &str, kind| store.person(&named(name), kind, NOW).await.unwrap().id;
    let organizer = person("Org", PersonKind::Person).await;
    for (name, kind, is_moderator) in [("Ina", PersonKind::Invited, true), ("Ned", PersonKind::Person, false)]
    {
        let author = person(name, kind).await;
        store.add_session(&author, name, NOW + 1000).await.unwrap();
        let proposal = proposal(author.clone(), &name.to_lowercase());
        assert_eq!(store.propose(proposal, NOW).await.unwrap(), Proposed::Waiting);
        let waiting = store.waiting_proposals().await.unwrap().remove(0);
        let sprint = store.accept_proposal(&waiting, &organizer, "", NOW).await.unwrap().unwrap();
        let role = store.role(&sprint, &author).await.unwrap();
        assert_eq!(role == Role::Moderator, is_moderator, "{name}");
        let still = store.person_of_session(name, NOW).await.unwrap();
        assert_eq!(still.map(|person| person.id), Some(author), "it is the only way in that there is");
    }
}

pub async fn a_stage_mark_is_replaced_by_the_next(store: &Store) {
    let sprint = store.sprint("birds", NOW).await.unwrap();
    let mark = |key: &str| StageMark { key: key.to_owned(), report: format!("{{\"of\":\"{key}\"}}") };
    assert_eq!(store.stage_mark(&sprint, Stage::Clean).await.unwrap(), None);
    for key in ["one", "two"] {
        store.mark_stage(&sprint, Stage::Clean, mark(key), NOW).await.unwrap();
        assert_eq!(store.stage_mark(&sprint, Stage::Clean).await.unwrap(), Some(mark(key)));
    }
    assert_eq!(store.stage_mark(&sprint, Stage::Pair).await.unwrap(), None);
}
