//! How SQLite finds what is asked while somebody waits: by keys, and never by going through a sprint.
//!
//! What goes over all answers, again and again while people wait for theirs, reads an index of them alone.
//!
//! A walk costs nothing in a test's few rows and everything in a crowd's: ending leases once went through all open
//! holds of a sprint, and the choice of a repeat through everybody's answers. So the database is asked how it would
//! find the rows of each statement. It plans alike for few and for many, since nothing of ours counts them for it
//! (`ANALYZE`). PostgreSQL is told to go by keys (`database::BY_KEYS`).

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "conformance/sample.rs"]
mod sample;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex};

use diptych_core::{CheckKind, Choice, Side};
use diptych_store::Store;
use diptych_store::assignments::Take;
use diptych_store::checks::{CheckDraw, Checks, REPEAT_AFTER};
use diptych_store::pairs::NewPair;
use diptych_store::reports::Reporting;
use diptych_store::responses::Respond;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::sample::{LEASE, NOW, Scene, pair, respond, take};

/// Indexes that are read from one end without more than the sprint, and only a few rows of them.
const FROM_ONE_END: [&str; 4] = [
    // Leases that end first.
    "checks_by_lease (sprint=? AND expires_at<?)",
    "assignments_to_expire",
    // The head of the line.
    "pairs_to_take",
    // The last prompt, and the first ones.
    "pairs_of_prompt",
];

/// What statements call rows that they have found by then, or bring.
const FOUND: [&str; 13] = [
    "line", "first", "start", "some_0", "some_1", "past", "near", "given", "times", "holds", "asked", "live",
    "over",
];

/// Every statement that the program has run.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<BTreeSet<String>>>);

impl Statements {
    /// Those that were run since the last time.
    fn taken(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &Event<'_>) {
        let mut said = Said::default();
        event.record(&mut said);
        // A short one is its own summary.
        let statement = if said.statement.is_empty() { said.summary } else { said.statement };
        // Several may have been asked together.
        self.0.lock().unwrap().extend(statement.split("; ").map(|one| one.trim().to_owned()));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Said {
    summary: String,
    statement: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.statement),
            _ => {}
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// How the database would find the rows of a statement, step by step.
async fn plan(folder: &Path, statement: &str) -> Vec<String> {
    let address = format!("sqlite://{}", folder.join("diptych.db").display());
    let mut connection = AnyConnection::connect(&address).await.unwrap();
    let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let steps: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(explained).fetch_all(&mut connection).await.unwrap();
    steps.into_iter().map(|(.., step)| step).collect()
}

/// Whether a step finds its rows by more than the sprint that they are of, as in `SEARCH a USING INDEX b (c=? AND d>?)`.
fn goes_by_keys(step: &str) -> bool {
    if let Some(what) = step.strip_prefix("SCAN ") {
        let what = what.split(' ').next().unwrap_or_default();
        let brought = step.contains("CONSTANT ROW") || step.ends_with("-ROW VALUES CLAUSE");
        return FOUND.contains(&what) || brought;
    }
    if !step.starts_with("SEARCH ") || FROM_ONE_END.iter().any(|index| step.contains(index)) {
        return true;
    }
    let keys = step.rsplit_once('(').map_or("", |(_, keys)| keys).split(')').next().unwrap_or_default();
    keys.split(" AND ").any(|key| key.ends_with("=?") && key != "sprint=?")
}

/// What of a statement finds rows: of an `INSERT` what it selects, since the rest of its plan speaks of foreign keys,
/// which are looked at only where one was left open.
fn what_finds(statement: &str) -> &str {
    let selects = statement.strip_prefix("INSERT").and_then(|_| statement.find(" SELECT "));
    let finds = selects.map_or(statement, |at| &statement[at + 1..]);
    finds.split(" ON CONFLICT").next().unwrap_or(finds)
}

#[test]
fn a_moment_within_a_sprint_is_no_key() {
    for (step, by_keys) in [
        ("SEARCH a USING INDEX assignments_by_pair (pair=?) LEFT-JOIN", true),
        ("SEARCH responses USING INDEX responses_of_person (sprint=? AND person=? AND created_at>?)", true),
        (
            "SEARCH responses USING INDEX responses_by_time (sprint=? AND created_at>? AND created_at<?)",
            false,
        ),
        ("SEARCH assignments USING INDEX assignments_of_person (sprint=?)", false),
        ("SEARCH assignments USING INDEX assignments_to_expire (sprint=? AND expires_at<?)", true),
        ("SEARCH checks USING INDEX checks_by_lease (sprint=? AND expires_at>?)", false),
        ("SCAN pairs", false),
        ("SCAN past", true),
        ("SCAN 4-ROW VALUES CLAUSE", true),
        ("USE TEMP B-TREE FOR ORDER BY", true),
    ] {
        assert_eq!(goes_by_keys(step), by_keys, "{step}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_walk_through_a_sprint() {
    let (folder, statements) = (TempDir::new().unwrap(), Statements::default());
    let store = &Store::open("sqlite:diptych.db", folder.path()).await.unwrap();
    let mut scene = Scene::new(store, 0, 2).await;
    let category = |number: usize| ["Animals", "Food"][number % 2].to_owned();
    scene.pairs = (0..20).map(|number| NewPair { category: category(number), ..pair(number) }).collect();
    scene.set_pairs(2, NOW).await;
    let Scene { sprint, ana, ben, cem, .. } = &scene;
    store.add_session(ana, "session", NOW + LEASE).await.unwrap();
    tracing::subscriber::set_global_default(statements.clone()).unwrap();

    // What comes with every request, and a first pair each way.
    store.person_of_session("session", NOW).await.unwrap().unwrap();
    store.person_of_token("token").await.unwrap();
    store.has_agreed(sprint, ana, "1").await.unwrap();
    store.role(sprint, ana).await.unwrap();
    let reporting = Reporting { needed: 1, per_day: 9, skips: 1 };
    let held = store.take(take(sprint, ana, 6, NOW)).await.unwrap().held;
    store.picture(&held[0].left).await.unwrap().unwrap();
    for (held, choice) in
        held.iter().zip([Choice::Skip, Choice::ToxicContent].into_iter().chain([Choice::Left; 4]))
    {
        store.sprint_of_assignment(&held.id).await.unwrap();
        let given = Respond { reporting, ..respond(ana, &held.id, choice, NOW) };
        for choice in [choice, choice, Choice::Right] {
            store.respond(Respond { choice, ..given.clone() }).await.unwrap();
        }
        store.take_back(ana, &held.id, NOW, LEASE).await.unwrap();
        store.respond(Respond { choice: Choice::Right, ..given }).await.unwrap();
    }
    store.responses_of(sprint, ana, NOW).await.unwrap();
    // Another fills her pairs; a third holds what is left, so that she hears when to come back; leases end.
    for held in store.take(take(sprint, ben, 3, NOW)).await.unwrap().held {
        store.respond(respond(ben, &held.id, Choice::Left, NOW)).await.unwrap();
    }
    for person in [cem, ben, ana, ana] {
        store.take(take(sprint, person, 10, NOW)).await.unwrap();
    }
    store.take(take(sprint, cem, 1, NOW + 2 * LEASE)).await.unwrap();
    // She is measured.
    let now = NOW + 2 * LEASE + REPEAT_AFTER;
    for kind in [CheckKind::Repeat, CheckKind::Gold] {
        let draw = Checks::Now(CheckDraw {
            kind,
            with: 1,
            after: 0,
            side: Side::Right,
            lot: 5,
            pictures: rand::random(),
        });
        store.take(Take { checks: draw, ..take(sprint, ana, 2, now) }).await.unwrap();
        let all = Take { checks: Checks::NotNow, ..take(sprint, ana, 3, now) };
        for held in store.take(all).await.unwrap().held {
            store.respond(respond(ana, &held.id, Choice::Left, now)).await.unwrap();
            store.take_back(ana, &held.id, now, LEASE).await.unwrap();
            store.respond(respond(ana, &held.id, Choice::Left, now)).await.unwrap();
        }
    }

    let seen = statements.taken();
    let measured = store.check_counts(sprint).await.unwrap();
    assert_eq!(measured.len(), 2, "both kinds of checks: {measured:?}");
    let finding = ["SELECT", "UPDATE", "DELETE", "WITH"];
    let asked: Vec<&str> = seen
        .iter()
        .map(|statement| what_finds(statement))
        .filter(|finds| finding.iter().any(|word| finds.starts_with(word)))
        .collect();
    let found_to_insert = |table: &str| {
        let inserts = |seen: &&String| seen.starts_with(&format!("INSERT INTO {table} "));
        seen.iter().filter(inserts).any(|seen| what_finds(seen).starts_with("SELECT"))
    };
    assert!(found_to_insert("assignments") && found_to_insert("responses"), "{seen:#?}");
    assert!(asked.len() > 25, "so much is asked: {asked:#?}");
    // SQLite finds them by the person all the same; PostgreSQL would go by the time, through everybody's.
    let by_time =
        |seen: &&String| seen.contains("responses WHERE sprint = $1 AND person = $2 AND state = 'submitted'");
    assert_eq!(seen.iter().find(by_time), None, "say it as `standings::COUNTS` does");
    let mut walks = Vec::new();
    for statement in asked {
        let steps = plan(folder.path(), statement).await.into_iter().filter(|step| !goes_by_keys(step));
        walks.extend(steps.map(|step| format!("{step}, for {statement}")));
    }
    assert!(walks.is_empty(), "{walks:#?}");

    // Nor does who asks what is kept of them.
    statements.taken();
    store.own_data(ana, now).await.unwrap();
    for statement in statements.taken().iter().filter(|seen| seen.starts_with("SELECT")) {
        for step in plan(folder.path(), statement).await {
            let of_crowds =
                ["pairs", "assignments", "responses", "checks"].iter().any(|table| step.contains(table));
            let walks = !goes_by_keys(&step) || step.contains("pairs_of_prompt");
            assert!(!of_crowds || !walks, "{step}, for {statement}");
        }
    }

    statements.taken();
    store.answer_counts(sprint).await.unwrap();
    store.given_since(sprint, [NOW; 3]).await.unwrap();
    for statement in statements.taken().iter().filter(|seen| seen.starts_with("SELECT")) {
        let plan = plan(folder.path(), statement).await;
        let reads = plan.iter().find(|step| step.contains(" responses ")).unwrap();
        assert!(reads.contains("COVERING INDEX responses_of_person"), "{reads}, for {statement}");
    }
}
