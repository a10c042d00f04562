//! Random lives of a few pairs, against a model of what was acknowledged.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diptych_core::config::Overlap;
use diptych_core::{Answer, AssignmentId, CheckKind, Choice, PersonId, Side, SprintId};
use diptych_store::EVERY_PROMPT;
use diptych_store::assignments::{Take, Taken};
use diptych_store::checks::{CheckDraw, Checks, REPEAT_AFTER};
use diptych_store::pairs::Logs;
use diptych_store::pairs::NewPair;
use diptych_store::people::PersonKind;
use diptych_store::responses::{Responded, TakenBack};
use diptych_store::{Millis, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::place::Place;
use crate::sample::{LEASE, MINUTE, NOW, audit, named, pair, respond, take};

const PEOPLE: usize = 4;
const PAIRS: usize = 4;

/// One thing that somebody does to what is there. Indexes are taken modulo what there is.
#[derive(Debug, Clone)]
enum Deed {
    Respond { assignment: usize, choice: Choice },
    TakeBack { assignment: usize },
    Exclude { person: usize, back: bool },
    SetPairs { wanted: [bool; PAIRS], overlap: Overlap },
}

/// What a server said of it.
enum Said {
    Responded(Responded),
    TakenBack(TakenBack),
    Changed(bool),
    Set,
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Do(Deed),
    /// At two servers at the same time.
    Together(Deed, Deed),
    Take {
        person: usize,
        count: usize,
        right: bool,
    },
    /// Somebody answers a pair and is measured a while later, where there is something to measure them by.
    Measure {
        person: usize,
        check: CheckDraw,
    },
    /// Two people at two servers at the same time; it may be one person.
    TakeTogether {
        people: [usize; 2],
        count: usize,
    },
    RespondToCheck {
        check: usize,
        choice: Choice,
    },
    TakeCheckBack {
        check: usize,
    },
    /// The clock of the servers goes on, or jumps: also back.
    Wait {
        minutes: i64,
    },
}

fn deed() -> impl Strategy<Value = Deed> {
    let choice = prop::sample::select(Choice::ALL);
    prop_oneof![
        6 => (any::<usize>(), choice).prop_map(|(assignment, choice)| Deed::Respond { assignment, choice }),
        2 => any::<usize>().prop_map(|assignment| Deed::TakeBack { assignment }),
        1 => (0..PEOPLE, any::<bool>()).prop_map(|(person, back)| Deed::Exclude { person, back }),
        1 => (any::<[bool; PAIRS]>(), 1..=3_u32, 0..=2_u32).prop_map(|(wanted, min, more)| {
            Deed::SetPairs { wanted, overlap: Overlap { min, max: min + more } }
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let choice = prop::sample::select(Choice::ALL);
    let kind = prop::sample::select(vec![CheckKind::Repeat, CheckKind::Gold]);
    let check = (kind, any::<u64>(), any::<[u128; 2]>()).prop_map(|(kind, lot, pictures)| CheckDraw {
        kind,
        with: 1,
        after: 0,
        side: Side::Right,
        lot,
        pictures,
    });
    prop_oneof![
        4 => (0..PEOPLE, 1..=PAIRS, any::<bool>()).prop_map(|(person, count, right)| Step::Take { person, count, right }),
        2 => (0..PEOPLE, check).prop_map(|(person, check)| Step::Measure { person, check }),
        2 => ([0..PEOPLE, 0..PEOPLE], 1..=PAIRS).prop_map(|(people, count)| Step::TakeTogether { people, count }),
        10 => deed().prop_map(Step::Do),
        3 => (deed(), deed()).prop_map(|(one, other)| Step::Together(one, other)),
        2 => (any::<usize>(), choice).prop_map(|(check, choice)| Step::RespondToCheck { check, choice }),
        1 => any::<usize>().prop_map(|check| Step::TakeCheckBack { check }),
        3 => prop::sample::select(vec![3, 3, 9, 11, 31, 61, -1, -45, 600_000, -600_000]).prop_map(|minutes| Step::Wait { minutes }),
    ]
}

/// Somebody's hold as the model knows it.
struct Known {
    id: AssignmentId,
    person: usize,
    pair: String,
    side: Side,
}

/// A showing that measures somebody.
struct KnownCheck {
    id: AssignmentId,
    person: usize,
    answered: bool,
}

/// What has been acknowledged so far.
struct Life<'s> {
    /// The server that takes the next step: several share the database, and take turns.
    store: &'s Store,
    servers: [&'s Store; 2],
    sprint: SprintId,
    people: Vec<PersonId>,
    pairs: Vec<NewPair>,
    known: Vec<Known>,
    checks: Vec<KnownCheck>,
    /// (person, pair) → the answer that stands; it may be a surplus one.
    answers: BTreeMap<(usize, String), Answer>,
    excluded: [bool; PEOPLE],
    now: Millis,
    /// The latest that it ever was: a clock may have gone back since.
    latest: Millis,
}

impl Life<'_> {
    async fn step(&mut self, step: &Step) {
        self.servers.swap(0, 1);
        self.store = self.servers[0];
        match *step {
            Step::Do(ref deed) => {
                let said = self.ask(self.store, deed).await;
                self.said(deed, said);
            }
            Step::Together(ref one, ref other) if self.are_apart(one, other) => {
                let (first, second) =
                    tokio::join!(self.ask(self.servers[0], one), self.ask(self.servers[1], other));
                self.said(one, first);
                self.said(other, second);
            }
            // What came of it depends on which was first.
            Step::Together(ref one, ref other) => {
                for deed in [one, other] {
                    let said = self.ask(self.store, deed).await;
                    self.said(deed, said);
                }
            }
            Step::Wait { minutes } => {
                self.now += minutes * MINUTE;
                self.latest = self.latest.max(self.now);
            }
            Step::Take { person, count, right } => self.take(person, count, right, Checks::NotNow).await,
            Step::Measure { person, check } => {
                self.take(person, 1, false, Checks::NotNow).await;
                if let Some(assignment) = self.known.iter().rposition(|known| known.person == person) {
                    let deed = Deed::Respond { assignment, choice: Choice::Left };
                    let said = self.ask(self.store, &deed).await;
                    self.said(&deed, said);
                }
                self.now += REPEAT_AFTER;
                self.latest = self.latest.max(self.now);
                self.take(person, 1, false, Checks::Now(check)).await;
                self.take(person, PAIRS + 1, false, Checks::NotNow).await;
            }
            Step::TakeTogether { people, count } => {
                let asked = people.map(|person| take(&self.sprint, &self.people[person], count, self.now));
                let [one, other] = asked;
                let (one, other) = tokio::join!(self.servers[0].take(one), self.servers[1].take(other));
                self.taken(people[0], count, one.unwrap());
                self.taken(people[1], count, other.unwrap());
            }
            Step::RespondToCheck { check, choice } if !self.checks.is_empty() => {
                self.respond_to_check(check % self.checks.len(), choice).await;
            }
            Step::TakeCheckBack { check } if !self.checks.is_empty() => {
                self.take_check_back(check % self.checks.len()).await;
            }
            Step::RespondToCheck { .. } | Step::TakeCheckBack { .. } => {}
        }
        self.check().await;
    }

    async fn take(&mut self, person: usize, count: usize, right: bool, checks: Checks) {
        let side = if right { Side::Right } else { Side::Left };
        let request = take(&self.sprint, &self.people[person], count, self.now);
        let taken = self.store.take(Take { sides: vec![side; count], checks, ..request }).await.unwrap();
        self.taken(person, count, taken);
    }

    fn taken(&mut self, person: usize, count: usize, taken: Taken) {
        assert!(taken.held.len() <= count);
        assert!(
            !self.excluded[person] || taken.held.is_empty(),
            "whose answers do not count is asked for none"
        );
        assert!(taken.held.is_empty() || taken.free_at.is_none());
        assert!(taken.free_at.is_none_or(|at| at > self.now), "come back in the past");
        for held in taken.held {
            assert!(held.expires_at > self.now && held.expires_at <= self.latest + LEASE);
            let shows = |pair: &NewPair| held.left == pair.first.picture || held.right == pair.first.picture;
            let Some(pair) = self.pairs.iter().find(|pair| shows(pair)) else {
                match self.checks.iter().find(|check| check.id == held.id) {
                    Some(check) => assert_eq!(check.person, person, "nobody is measured by another's check"),
                    None => self.checks.push(KnownCheck { id: held.id, person, answered: false }),
                }
                continue;
            };
            let side = if held.left == pair.first.picture { Side::Left } else { Side::Right };
            let pair = pair.key.as_str().to_owned();
            assert!(
                !self.answers.contains_key(&(person, pair.clone())),
                "a pair that was answered is shown again"
            );
            match self.known.iter().find(|known| known.id == held.id) {
                Some(known) => assert_eq!((known.person, &known.pair, known.side), (person, &pair, side)),
                None => self.known.push(Known { id: held.id, person, pair, side }),
            }
        }
    }

    /// The hold that a deed is about, where there is any.
    fn known(&self, assignment: usize) -> Option<&Known> {
        self.known.get(assignment.checked_rem(self.known.len())?)
    }

    /// Whether it is the same whichever is first.
    fn are_apart(&self, one: &Deed, other: &Deed) -> bool {
        let place = |deed: &Deed| match *deed {
            Deed::Respond { assignment, .. } | Deed::TakeBack { assignment } => {
                self.known(assignment).map(|known| (known.person, known.pair.clone()))
            }
            Deed::Exclude { person, .. } => Some((person, String::new())),
            Deed::SetPairs { .. } => None,
        };
        place(one) != place(other)
    }

    async fn ask(&self, server: &Store, deed: &Deed) -> Option<Said> {
        Some(match *deed {
            Deed::Respond { assignment, choice } => {
                let Known { id, person, .. } = self.known(assignment)?;
                let responded = server.respond(respond(&self.people[*person], id, choice, self.now)).await;
                Said::Responded(responded.unwrap())
            }
            Deed::TakeBack { assignment } => {
                let Known { id, person, .. } = self.known(assignment)?;
                let taken_back = server.take_back(&self.people[*person], id, self.now, LEASE).await;
                Said::TakenBack(taken_back.unwrap())
            }
            Deed::Exclude { person, back } => {
                let who = &self.people[person];
                let changed = match back {
                    true => server.include(&self.sprint, who, self.now).await,
                    false => server.exclude(&self.sprint, who, "a test", self.now).await,
                };
                Said::Changed(changed.unwrap())
            }
            Deed::SetPairs { wanted, overlap } => {
                let pairs = self.pairs.iter().zip(wanted).filter(|(_, wanted)| *wanted);
                let pairs = pairs.map(|(pair, _)| pair.clone()).collect();
                let (sprint, now) = (&self.sprint, self.now);
                server.set_pairs(sprint, EVERY_PROMPT, pairs, overlap, Logs::default(), now).await.unwrap();
                Said::Set
            }
        })
    }

    /// Compares what a server said with what is known, and notes it.
    fn said(&mut self, deed: &Deed, said: Option<Said>) {
        match (deed, said) {
            (Deed::Respond { assignment, choice }, Some(Said::Responded(said))) => {
                self.responded(*assignment, *choice, said);
            }
            (Deed::TakeBack { assignment }, Some(Said::TakenBack(said))) => {
                assert_ne!(said, TakenBack::Unknown);
                if said == TakenBack::Open
                    && let Some(Known { person, pair, .. }) = self.known(*assignment)
                {
                    self.answers.remove(&(*person, pair.clone()));
                }
            }
            (Deed::Exclude { person, back }, Some(Said::Changed(changed))) => {
                assert_eq!(changed, self.excluded[*person] == *back, "said once");
                self.excluded[*person] = !back;
            }
            _ => {}
        }
    }

    fn responded(&mut self, assignment: usize, choice: Choice, responded: Responded) {
        let Some(Known { person, pair, side, .. }) = self.known(assignment) else { return };
        let place = (*person, pair.clone());
        let answer = choice.answer(*side);
        let before = self.answers.get(&place).copied();
        match responded {
            // A skip may also be noted on an old hold of a pair that was answered through a later one.
            Responded::Recorded => {
                assert!(answer.is_none() || before.is_none(), "one person answers a pair once");
            }
            Responded::Replaced | Responded::Settled => assert!(before.is_some() && before != answer),
            // A skip that is repeated changes nothing; nor does an answer.
            Responded::Repeated => assert!(answer.is_none() || before == answer),
            Responded::Gone => {}
            Responded::Unknown => panic!("a person's own assignment is not known"),
        }
        match (responded, answer) {
            (Responded::Recorded | Responded::Replaced, Some(answer)) => {
                self.answers.insert(place, answer);
            }
            (Responded::Replaced, None) => {
                self.answers.remove(&place);
            }
            _ => {}
        }
    }

    async fn respond_to_check(&mut self, check: usize, choice: Choice) {
        let (now, KnownCheck { id, person, answered }) = (self.now, &mut self.checks[check]);
        let other = &self.people[(*person + 1) % PEOPLE];
        let theirs = self.store.respond(respond(other, id, choice, now)).await.unwrap();
        assert_eq!(theirs, Responded::Unknown, "a check is one person's");
        match self.store.respond(respond(&self.people[*person], id, choice, now)).await.unwrap() {
            Responded::Recorded => {
                assert!(!*answered);
                *answered = choice != Choice::Skip;
            }
            Responded::Replaced => {
                assert!(*answered);
                *answered = choice != Choice::Skip;
            }
            Responded::Settled => assert!(*answered),
            Responded::Repeated => assert_eq!(*answered, choice != Choice::Skip),
            Responded::Gone => {}
            Responded::Unknown => panic!("a person's own check is not known"),
        }
    }

    async fn take_check_back(&mut self, check: usize) {
        let KnownCheck { id, person, answered } = &mut self.checks[check];
        match self.store.take_back(&self.people[*person], id, self.now, LEASE).await.unwrap() {
            TakenBack::Open => *answered = false,
            TakenBack::Unknown => panic!("a person's own check is not known"),
            TakenBack::Nothing | TakenBack::Settled | TakenBack::Gone => {}
        }
    }

    /// The invariants, and that just the acknowledged answers stand.
    async fn check(&self) {
        let counters = audit(self.store, &self.sprint).await;
        let standing = standing(self.store, &self.sprint).await;
        let wanted: BTreeMap<(String, String), String> = self
            .answers
            .iter()
            .map(|((person, pair), answer)| {
                ((self.people[*person].as_str().to_owned(), pair.clone()), answer.as_str().to_owned())
            })
            .collect();
        assert_eq!(standing, wanted, "answers that stand");
        let measured = self.store.check_counts(&self.sprint).await.unwrap();
        let measured: i64 = measured.iter().map(|count| count.passed + count.failed).sum();
        let answered = self.checks.iter().filter(|check| check.answered).count();
        assert!(measured <= i64::try_from(answered).unwrap(), "{measured} checks of {answered} count");
        for (pair, counters) in counters {
            let counts = |(person, answered): &&(usize, String)| *answered == pair && !self.excluded[*person];
            let answers = self.answers.keys().filter(counts).count();
            assert!(counters.answered <= i64::try_from(answers).unwrap());
        }
    }
}

/// The answers that stand, whether there is room for them to count or not.
async fn standing(store: &Store, sprint: &SprintId) -> BTreeMap<(String, String), String> {
    const QUERY: &str = "SELECT person, pairs.key, answer FROM responses JOIN pairs ON pairs.id = responses.pair \
        WHERE responses.sprint = $1 AND state IN ('submitted', 'surplus', 'excluded')";
    let sprint = sprint.clone();
    let rows: Vec<(String, String, String)> = store
        .write(move |connection| {
            let sprint = sprint.clone();
            Box::pin(
                async move { Ok(sqlx::query_as(QUERY).bind(sprint.as_str()).fetch_all(connection).await?) },
            )
        })
        .await
        .unwrap();
    rows.into_iter().map(|(person, pair, answer)| ((person, pair), answer)).collect()
}

/// One life; gives how many checks there were in it.
async fn live(servers: [&Store; 2], case: usize, first: Overlap, steps: &[Step]) -> usize {
    let store = servers[0];
    let sprint = store.sprint(&format!("case {case}"), NOW).await.unwrap();
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(
            store.person(&named(&format!("person {number}")), PersonKind::Person, NOW).await.unwrap().id,
        );
    }
    let pairs: Vec<NewPair> = (0..PAIRS).map(pair).collect();
    store.set_pairs(&sprint, EVERY_PROMPT, pairs.clone(), first, Logs::default(), NOW).await.unwrap();
    let mut life = Life {
        store,
        servers,
        sprint,
        people,
        pairs,
        known: Vec::new(),
        checks: Vec::new(),
        answers: BTreeMap::new(),
        excluded: [false; PEOPLE],
        now: NOW,
        latest: NOW,
    };
    for step in steps {
        life.step(step).await;
    }
    life.checks.len()
}

#[test]
fn any_life_of_a_sprint_keeps_the_overlap_exact() {
    lives(async || Place::sqlite().await);
}

#[test]
#[ignore = "needs PostgreSQL: cargo xtask ci"]
fn any_life_of_a_sprint_on_postgresql_keeps_the_overlap_exact() {
    lives(async || Place::postgres().await);
}

/// Random lives, each on two servers that share one database.
fn lives(place: impl AsyncFnOnce() -> Place) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (place, other) = runtime.block_on(async {
        let place = place().await;
        let other = place.open_again().await.unwrap();
        (place, other)
    });
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let (case, checks, started) = (Cell::new(0), Cell::new(0), Instant::now());
    let lives =
        runner.run(&(1..=2_u32, 0..=2_u32, prop::collection::vec(step(), 1..60)), |(min, more, steps)| {
            // A slow machine gets fewer cases, rather than a slow test; but enough of them to say something.
            let enough = case.get() >= 8 && checks.get() > 0;
            if cases > 64 || !enough || started.elapsed() < Duration::from_secs(8) {
                case.set(case.get() + 1);
                let overlap = Overlap { min, max: min + more };
                let seen = runtime.block_on(live([&place, &other], case.get(), overlap, &steps));
                checks.set(checks.get() + seen);
            }
            Ok(())
        });
    if let Err(failure) = lives {
        panic!("{failure}");
    }
    assert!(case.get() >= 8, "too few cases were tried");
    assert!(checks.get() > 0, "nobody was measured");
    runtime.block_on(async { other.close().await });
}
