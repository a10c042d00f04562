//! A crowd at work: the overlap is exact at any concurrency, and every acknowledged answer is there.

use std::collections::BTreeSet;
use std::time::Duration;

use diptych_core::{Choice, Side, SprintId};
use diptych_store::EVERY_PROMPT;
use diptych_store::Store;
use diptych_store::assignments::Take;
use diptych_store::pairs::Logs;
use diptych_store::people::PersonKind;
use diptych_store::reports::Reporting;
use diptych_store::responses::{Respond, Responded};

use crate::place::Place;
use crate::sample::{NOW, audit, named, pair, respond, take};

const PEOPLE: usize = 32;
const PAIRS: usize = 60;
const OVERLAP: u32 = 3;
const PAUSE: Duration = Duration::from_millis(2);
/// Far more than a crowd needs: a place that nobody may fill must fail the test, not hang it.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn a_crowd_fills_every_pair_exactly(store: &Store) {
    fill(std::slice::from_ref(store)).await;
}

/// On PostgreSQL several servers share a database. A SQLite file has one server, and maybe a command
/// beside it: exact all the same.
pub async fn two_programs_fill_every_pair_exactly(place: &Place) {
    let other = place.open_again().await.unwrap();
    fill(&[Store::clone(place), other]).await;
}

/// One person's whole sprint: takes, skips a little, answers, sends some answers twice.
async fn annotate(store: Store, sprint: SprintId, number: usize) -> BTreeSet<String> {
    let person = store.person(&named(&format!("person {number}")), PersonKind::Person, NOW).await.unwrap().id;
    let mut acknowledged = BTreeSet::new();
    for round in 0.. {
        let sides = vec![if (number + round).is_multiple_of(2) { Side::Left } else { Side::Right }; 2];
        let taken = store.take(Take { sides, ..take(&sprint, &person, 2, NOW) }).await.unwrap();
        if taken.held.is_empty() {
            if taken.free_at.is_none() {
                break;
            }
            // Whoever holds the rest may still skip it, and then somebody must be there to answer.
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        for (place, held) in taken.held.iter().enumerate() {
            if (number + round + place).is_multiple_of(11) {
                // Here no pair is to go to the moderators.
                let reporting = Reporting { skips: 1000, ..Reporting::default() };
                let skip = respond(&person, &held.id, Choice::Skip, NOW);
                store.respond(Respond { reporting, ..skip }).await.unwrap();
                continue;
            }
            let answer = respond(&person, &held.id, Choice::Left, NOW);
            let (one, same) = tokio::join!(store.respond(answer.clone()), store.respond(answer));
            let both = [one.unwrap(), same.unwrap()];
            assert!(both.contains(&Responded::Recorded) && both.contains(&Responded::Repeated), "{both:?}");
            acknowledged.insert(held.id.as_str().to_owned());
        }
    }
    acknowledged
}

async fn fill(stores: &[Store]) {
    let store = &stores[0];
    let sprint = store.sprint("birds", NOW).await.unwrap();
    store
        .set_pairs(&sprint, EVERY_PROMPT, (0..PAIRS).map(pair).collect(), OVERLAP, Logs::default(), NOW)
        .await
        .unwrap();
    let crowd: Vec<_> = (0..PEOPLE)
        .map(|number| tokio::spawn(annotate(stores[number % stores.len()].clone(), sprint.clone(), number)))
        .collect();
    let mut acknowledged = BTreeSet::new();
    let everybody = async {
        for person in crowd {
            acknowledged.extend(person.await.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, everybody).await.expect("the crowd ends");
    for counters in audit(store, &sprint).await.values() {
        assert_eq!((counters.answered, counters.held), (i64::from(OVERLAP), 0), "the crowd was large enough");
    }
    let kept =
        crate::sample::everything_in(store, "SELECT assignment FROM responses WHERE state = 'submitted'")
            .await;
    assert_eq!(kept.lines().map(str::to_owned).collect::<BTreeSet<_>>(), acknowledged);
}
