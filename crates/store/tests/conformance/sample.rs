//! Made-up rows, and what must hold of every pair at any time.

use std::collections::BTreeMap;

use diptych_core::config::Overlap;
use diptych_core::{
    AssignmentId, Choice, Evolution, ImageHash, Name, PairId, PersonId, PromptIndex, Side, Split, SprintId,
    UnitKey,
};
use diptych_store::EVERY_PROMPT;
use diptych_store::assignments::{Held, Take, Taken};
use diptych_store::pairs::{Logs, NewPair, PairSide};
use diptych_store::people::PersonKind;
use diptych_store::responses::{Respond, Responded};
use diptych_store::{Millis, Store};
use sqlx::Row;

/// When tests begin.
pub const NOW: Millis = 1_750_000_000_000;
/// One minute.
pub const MINUTE: Millis = 60_000;
/// How long tests hold a pair.
pub const LEASE: Millis = 30 * MINUTE;
/// How long a skipped pair stays away in tests.
pub const COOLDOWN: Millis = 60 * MINUTE;

/// A name.
pub fn named(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Pair number `number`, with picture names that no other pair has.
pub fn pair(number: usize) -> NewPair {
    let side = |model: &str| PairSide {
        model: model.to_owned(),
        image_key: UnitKey::of(&["image", model, &number.to_string()]),
        image: ImageHash::of(format!("{model} {number}").as_bytes()),
        picture: PairId::new().as_str().to_owned(),
    };
    NewPair {
        key: UnitKey::of(&["pair", &number.to_string()]),
        row_id: format!("{number}-simplified-aria-brio"),
        prompt_index: PromptIndex(i64::try_from(number).unwrap()),
        evolution: Evolution::ALL[0],
        category: "Animals".to_owned(),
        sub_category: "Birds".to_owned(),
        variant: UnitKey::of(&["variant", &number.to_string()]),
        prompt: format!("a heron, number {number}"),
        split: Split::Train,
        first: side("aria"),
        second: side("brio"),
        canvas: (1024, 768),
        draw: i64::try_from(number).unwrap(),
    }
}

/// A sprint with pairs and three people.
pub struct Scene<'s> {
    store: &'s Store,
    pub sprint: SprintId,
    pub pairs: Vec<NewPair>,
    pub ana: PersonId,
    pub ben: PersonId,
    pub cem: PersonId,
}

impl<'s> Scene<'s> {
    pub async fn new(store: &'s Store, pairs: usize, overlap: impl Into<Overlap>) -> Scene<'s> {
        let sprint = store.sprint("birds", NOW).await.unwrap();
        let pairs: Vec<NewPair> = (0..pairs).map(pair).collect();
        store.set_pairs(&sprint, EVERY_PROMPT, pairs.clone(), overlap, Logs::default(), NOW).await.unwrap();
        let person = async |name: &str| store.person(&named(name), PersonKind::Person, NOW).await.unwrap().id;
        let (ana, ben, cem) = (person("Ana").await, person("Ben").await, person("Cem").await);
        Scene { store, sprint, pairs, ana, ben, cem }
    }

    pub async fn set_pairs(&self, overlap: impl Into<Overlap>, now: Millis) {
        self.store
            .set_pairs(&self.sprint, EVERY_PROMPT, self.pairs.clone(), overlap, Logs::default(), now)
            .await
            .unwrap();
    }

    /// What a person gets who asks for so many pairs.
    pub async fn take(&self, person: &PersonId, count: usize, now: Millis) -> Taken {
        let taken = self.store.take(take(&self.sprint, person, count, now)).await.unwrap();
        audit(self.store, &self.sprint).await;
        taken
    }

    /// The one pair that a person gets who asks for one.
    pub async fn take_one(&self, person: &PersonId, now: Millis) -> Held {
        let mut held = self.take(person, 1, now).await.held;
        assert_eq!(held.len(), 1, "one pair was expected");
        held.remove(0)
    }

    pub async fn respond(&self, person: &PersonId, held: &Held, choice: Choice, now: Millis) -> Responded {
        let responded = self.store.respond(respond(person, &held.id, choice, now)).await.unwrap();
        audit(self.store, &self.sprint).await;
        responded
    }

    pub async fn take_back(
        &self,
        person: &PersonId,
        held: &Held,
        now: Millis,
    ) -> diptych_store::responses::TakenBack {
        let taken_back = self.store.take_back(person, &held.id, now, LEASE).await.unwrap();
        audit(self.store, &self.sprint).await;
        taken_back
    }
}

pub fn take(sprint: &SprintId, person: &PersonId, count: usize, now: Millis) -> Take {
    Take {
        sprint: sprint.clone(),
        person: person.clone(),
        count,
        sides: vec![Side::Left; count],
        now,
        lease: LEASE,
        skip_cooldown: COOLDOWN,
        checks: diptych_store::checks::Checks::Off,
    }
}

pub fn respond(person: &PersonId, assignment: &AssignmentId, choice: Choice, now: Millis) -> Respond {
    Respond {
        person: person.clone(),
        assignment: assignment.clone(),
        choice,
        duration_ms: Some(1500),
        comment: None,
        reporting: diptych_store::reports::Reporting::default(),
        now,
    }
}

/// What a pair's row says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    pub overlap: i64,
    pub answered: i64,
    pub held: i64,
    pub slots: i64,
}

/// What must hold of every pair of a sprint at any time (DESIGN: invariant 2); gives the pairs' counters.
pub async fn audit(store: &Store, sprint: &SprintId) -> BTreeMap<String, Counters> {
    const QUERY: &str = "SELECT key, overlap, least, most, answered, held, slots, begun, \
        COALESCE((SELECT COUNT(*) FROM responses r WHERE r.pair = pairs.id AND r.state = 'submitted' \
            GROUP BY answer ORDER BY COUNT(*) DESC LIMIT 1), 0) AS top, \
        (SELECT COUNT(*) FROM responses r WHERE r.pair = pairs.id AND r.state = 'submitted') AS submitted, \
        (SELECT COUNT(*) FROM assignments a WHERE a.pair = pairs.id AND a.state = 'open') AS holds, \
        (SELECT COUNT(*) FROM assignments a WHERE a.pair = pairs.id AND a.state IN ('open', 'answered')) AS parts, \
        (SELECT COUNT(DISTINCT a.person) FROM assignments a WHERE a.pair = pairs.id \
            AND a.state IN ('open', 'answered')) AS people \
        FROM pairs WHERE sprint = $1";
    let sprint = sprint.clone();
    let rows = store
        .write(move |connection| {
            let sprint = sprint.clone();
            Box::pin(async move { Ok(sqlx::query(QUERY).bind(sprint.as_str()).fetch_all(connection).await?) })
        })
        .await
        .unwrap();
    rows.iter()
        .map(|row| {
            let number = |column: &str| row.get::<i64, _>(column);
            let key: String = row.get("key");
            let (overlap, answered, held) = (number("overlap"), number("answered"), number("held"));
            // A majority of all that were given is all that the counts of the others would add.
            let (range, top) =
                (Overlap { min: number("least") as u32, max: number("most") as u32 }, number("top"));
            let counts: Vec<u32> = std::iter::once(top as u32).chain((top..answered).map(|_| 1)).collect();
            let wanted = i64::from(range.wanted(&counts));
            assert_eq!(
                overlap,
                wanted.max(answered + held),
                "{key}: {answered} of {range}, {top} of them alike"
            );
            assert!(overlap <= number("most"), "{key}: {overlap} of at most {}", number("most"));
            assert!(answered <= overlap, "{key}: {answered} responses count, {overlap} are wanted");
            assert_eq!(answered, number("submitted"), "{key}: responses that count");
            assert_eq!(held, number("holds"), "{key}: live holds");
            assert_eq!(number("slots"), overlap - answered - held, "{key}: places left");
            assert!(number("slots") >= 0, "{key}: more holds than places");
            assert_eq!(number("begun"), i64::from(answered + held > 0), "{key}: begun");
            assert_eq!(number("parts"), number("people"), "{key}: somebody is on it twice");
            (key, Counters { overlap, answered, held, slots: number("slots") })
        })
        .collect()
}

/// The names of all tables and, of each, all that stands in it, as one text.
pub async fn everything_in(store: &Store, query: &'static str) -> String {
    let rows: Vec<(String,)> = store
        .write(move |connection| {
            Box::pin(async move { Ok(sqlx::query_as(query).fetch_all(connection).await?) })
        })
        .await
        .unwrap();
    rows.into_iter().map(|(text,)| text).collect::<Vec<_>>().join("\n")
}
