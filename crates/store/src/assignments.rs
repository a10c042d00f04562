//! Assignments: who holds which pair, with which image on which side, until when.
//!
//! Everything here runs inside [`Store::write`], one change at a time, so what a query finds is
//! still true when the next one acts on it. That, `pairs.slots` and the index `assignments_once`
//! make the overlap exact (DESIGN: invariant 2). Which pairs people get is worked out in [`crate::line`].

use std::collections::{BTreeMap, HashMap};

use diptych_core::{AssignmentId, AssignmentState, PersonId, Side, SprintId};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::checks::{self, Checks};
use crate::exclusions::excluded;
use crate::line::{Line, free_for_person};
use crate::{
    Connection, Millis, Result, Store, StoreError, by_times, padded, places, rows_at_once, value_rows,
};

/// What a person is shown of a pair: no model, nor anything that tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The assignment.
    pub id: AssignmentId,
    /// The variant's text.
    pub prompt: String,
    /// Its category.
    pub category: String,
    /// The opaque name of the picture on the left.
    pub left: String,
    /// The opaque name of the picture on the right.
    pub right: String,
    /// The canvas of both: width and height, in pixels.
    pub canvas: (i64, i64),
    /// When the hold ends.
    pub expires_at: Millis,
}

/// What a person gets who asks for pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// The live holds, oldest first.
    pub held: Vec<Held>,
    /// Where there is none: when somebody's lease on a pair that this person could answer ends.
    pub free_at: Option<Millis>,
}

/// How a person takes pairs.
#[derive(Debug, Clone)]
pub struct Take {
    /// The sprint.
    pub sprint: SprintId,
    /// Who.
    pub person: PersonId,
    /// How many holds at the most, those that there are included.
    pub count: usize,
    /// The side of the first image for each new hold: as many as `count`, drawn by the caller.
    pub sides: Vec<Side>,
    /// Now.
    pub now: Millis,
    /// How long a new hold lasts.
    pub lease: Millis,
    /// How long a skipped pair stays away from the person who skipped it.
    pub skip_cooldown: Millis,
    /// Whether this person is measured.
    pub checks: Checks,
}

impl Store {
    /// This person's live holds first, then new ones up to the count. Pairs that are begun come first.
    ///
    /// # Errors
    /// Where the database fails; nothing is held then.
    pub async fn take(&self, take: Take) -> Result<Taken> {
        self.writer().take(take).await
    }
}

/// Gives pairs to all who ask in one transaction, in their order.
pub(crate) async fn take_all(connection: &mut Connection, takes: &[&Take]) -> Result<Vec<Taken>> {
    let mut of_sprints: BTreeMap<&SprintId, Vec<(usize, &Take)>> = BTreeMap::new();
    for (place, take) in takes.iter().enumerate() {
        of_sprints.entry(&take.sprint).or_default().push((place, take));
    }
    let mut all = Vec::with_capacity(takes.len());
    for (sprint, placed) in of_sprints {
        // Whose answers would not count is asked for none: to them the sprint is done.
        let people: Vec<&str> = placed.iter().map(|(_, take)| take.person.as_str()).collect();
        let excluded = excluded(connection, sprint, &people).await?;
        let (out, placed): (Vec<_>, Vec<_>) = placed
            .into_iter()
            .partition(|(_, take)| excluded.iter().any(|person| person == take.person.as_str()));
        all.extend(out.into_iter().map(|(place, _)| (place, Taken::default())));
        if placed.is_empty() {
            continue;
        }
        let (places, takes): (Vec<usize>, Vec<&Take>) = placed.into_iter().unzip();
        all.extend(places.into_iter().zip(take_in(connection, sprint, &takes).await?));
    }
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, taken)| taken).collect())
}

/// How many more pairs are looked at than are asked for, since not all are for everybody.
const SPARE: usize = 32;

/// [`take_all`] for one sprint. What does not depend on who is first is done for all of them at once.
async fn take_in<'t>(
    connection: &mut Connection,
    sprint: &SprintId,
    takes: &[&'t Take],
) -> Result<Vec<Taken>> {
    end_leases(connection, sprint, takes.iter().map(|take| take.now).max().unwrap_or(0)).await?;
    let people: Vec<&str> = takes.iter().map(|take| take.person.as_str()).collect();
    let measured = takes.iter().filter(|take| take.checks != Checks::Off).map(|take| take.now).max();
    let mut held: HashMap<PersonId, Vec<Hold>> = HashMap::new();
    for (person, hold) in live(connection, sprint, &people, measured).await? {
        held.entry(person).or_default().push(Hold::Given(hold));
    }
    let missing = |take: &Take, held: Option<&Vec<Hold>>| take.count.saturating_sub(held.map_or(0, Vec::len));
    let wanted: usize = takes.iter().map(|take| missing(take, held.get(&take.person))).sum();
    // They are milliseconds apart; a skip stays away until it has cooled down for all of them.
    let cooled = takes.iter().map(|take| take.now - take.skip_cooldown).min().unwrap_or(0);
    let mut line = match wanted {
        0 => Line::default(),
        wanted => Line::head(connection, sprint, cooled, wanted + SPARE).await?,
    };

    let (mut new, mut written, mut rows) = (Vec::new(), 0, HashMap::new());
    for take in takes {
        // Kept for the same person's second call, which finds what the first one took.
        let mine = held.entry(take.person.clone()).or_default();
        let mut sides = take.sides.iter().copied().take(missing(take, Some(mine)));
        let mut give = |line: &mut Line, new: &mut Vec<NewHold<'t>>| {
            let pairs = line.give(&take.person, sides.len());
            for (pair, side) in pairs.into_iter().zip(&mut sides) {
                mine.push(Hold::New(new.len()));
                new.push(NewHold::of(take, pair, side));
            }
            sides.len()
        };
        let rest = give(&mut line, &mut new);
        if rest > 0 && line.goes_on() {
            write_down(connection, &new[written..], &mut rows).await?;
            written = new.len();
            line.bring(connection, sprint, cooled, rest, &take.person).await?;
            give(&mut line, &mut new);
        }
    }
    write_down(connection, &new[written..], &mut rows).await?;

    // A check comes only with new pairs, and behind them, so that nobody is measured who has nothing more to do.
    for take in takes {
        let Checks::Now(draw) = take.checks else { continue };
        let mine = held.entry(take.person.clone()).or_default();
        if mine.iter().filter(|hold| matches!(hold, Hold::New(_))).count() >= draw.with.max(1)
            && let Some(check) = checks::make(connection, take, draw).await?
        {
            mine.push(Hold::Given(check));
        }
    }

    let mut all = Vec::with_capacity(takes.len());
    for take in takes {
        let mine = held.get(&take.person).map_or(&[][..], Vec::as_slice);
        let of_take = mine.iter().take(take.count).map(|hold| hold.shown(&new, &rows));
        let free_at = if mine.is_empty() { next_free(connection, take).await? } else { None };
        all.push(Taken { held: of_take.collect::<Result<_>>()?, free_at });
    }
    Ok(all)
}

/// One of a person's holds while takes are served.
enum Hold {
    /// It is ready to be shown: it was there before, or is a check.
    Given(Held),
    /// It is the one of this number among the new ones.
    New(usize),
}

impl Hold {
    fn shown(&self, new: &[NewHold<'_>], rows: &HashMap<String, AnyRow>) -> Result<Held> {
        match self {
            Self::Given(held) => Ok(held.clone()),
            Self::New(number) => {
                let hold = &new[*number];
                let row = rows.get(&hold.pair).ok_or(sqlx::Error::RowNotFound)?;
                shown(row, hold.id.clone(), hold.side, hold.expires_at)
            }
        }
    }
}

/// A hold to be written down.
struct NewHold<'t> {
    id: AssignmentId,
    sprint: &'t SprintId,
    pair: String,
    person: &'t PersonId,
    side: Side,
    created_at: Millis,
    expires_at: Millis,
}

impl<'t> NewHold<'t> {
    fn of(take: &'t Take, pair: String, side: Side) -> Self {
        Self {
            id: AssignmentId::new(),
            sprint: &take.sprint,
            pair,
            person: &take.person,
            side,
            created_at: take.now,
            expires_at: take.now + take.lease,
        }
    }
}

/// Writes holds down and takes their places in the pairs, whose rows are added to `rows` by id.
async fn write_down(
    connection: &mut Connection,
    holds: &[NewHold<'_>],
    rows: &mut HashMap<String, AnyRow>,
) -> Result<()> {
    for (people, pairs) in by_times(holds.iter().map(|hold| hold.pair.as_str())) {
        let update = format!(
            "UPDATE pairs SET held = held + {people}, slots = slots - {people}, begun = 1 WHERE id IN ({}) \
             RETURNING id, prompt, category, picture_1, picture_2, canvas_width, canvas_height",
            places(1, pairs.len())
        );
        let mut update = sqlx::query(AssertSqlSafe(update));
        for pair in padded(&pairs) {
            update = update.bind(pair);
        }
        for row in update.fetch_all(&mut *connection).await? {
            rows.insert(row.try_get("id")?, row);
        }
    }
    for holds in holds.chunks(rows_at_once(8)) {
        let query = format!(
            "INSERT INTO assignments (id, sprint, pair, person, side, state, created_at, expires_at) VALUES {}",
            value_rows(holds.len(), 8)
        );
        let mut query = sqlx::query(AssertSqlSafe(query));
        for hold in holds {
            query = query
                .bind(hold.id.as_str())
                .bind(hold.sprint.as_str())
                .bind(&hold.pair)
                .bind(hold.person.as_str())
                .bind(hold.side.as_str())
                .bind(AssignmentState::Open.as_str())
                .bind(hold.created_at)
                .bind(hold.expires_at);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

const END_LEASES: &str = "UPDATE assignments SET state = 'expired', ended_at = $2 \
     WHERE sprint = $1 AND state = 'open' AND expires_at <= $2 RETURNING pair";

/// The sprint's holds whose leases end first.
const FIRST_TO_END: &str = "SELECT pair, expires_at FROM assignments WHERE sprint = $1 \
     AND state = 'open' ORDER BY expires_at LIMIT 1000";

/// Ends the leases that are over and gives their pairs back.
pub(crate) async fn end_leases(connection: &mut Connection, sprint: &SprintId, now: Millis) -> Result<()> {
    let ended: Vec<String> =
        sqlx::query_scalar(END_LEASES).bind(sprint.as_str()).bind(now).fetch_all(&mut *connection).await?;
    for pair in ended {
        give_back(connection, &pair).await?;
    }
    Ok(())
}

/// Takes one hold off a pair.
pub(crate) async fn give_back(connection: &mut Connection, pair: &str) -> Result<()> {
    sqlx::query(
        "UPDATE pairs SET held = held - 1, slots = slots + 1, \
         begun = CASE WHEN answered + held > 1 THEN 1 ELSE 0 END WHERE id = $1",
    )
    .bind(pair)
    .execute(&mut *connection)
    .await?;
    // Where the first ones agreed while somebody held it, it is done.
    crate::pairs::follow_answers(connection, &[pair]).await
}

/// The live holds of these people, each person's oldest first, and among them the checks that are live at the moment
/// for which people are measured. By their ids, which are of their time: no place tells a check from the others.
async fn live(
    connection: &mut Connection,
    sprint: &SprintId,
    people: &[&str],
    measured: Option<Millis>,
) -> Result<Vec<(PersonId, Held)>> {
    let people_of = places(3, people.len());
    let query = format!(
        "SELECT * FROM (SELECT assignments.id AS id, person, side, expires_at, prompt, category, picture_1, picture_2, \
         canvas_width, canvas_height FROM assignments JOIN pairs ON pairs.id = assignments.pair \
         WHERE assignments.sprint = $1 AND state = 'open' AND person IN ({people_of}) UNION ALL \
         SELECT checks.id, checks.person, checks.side, checks.expires_at, pairs.prompt, pairs.category, \
         checks.picture_1, checks.picture_2, pairs.canvas_width, pairs.canvas_height FROM checks \
         JOIN pairs ON pairs.id = checks.pair JOIN pairs others ON others.id = checks.other \
         WHERE checks.sprint = $1 AND checks.state = 'open' AND checks.expires_at > $2 AND pairs.current \
         AND others.current AND checks.person IN ({people_of})) AS live ORDER BY id"
    );
    let mut query = sqlx::query(AssertSqlSafe(query))
        .bind(sprint.as_str())
        // Where nobody is measured, no check is live.
        .bind(measured.unwrap_or(Millis::MAX));
    for person in padded(people) {
        query = query.bind(person);
    }
    of_people(&query.fetch_all(connection).await?)
}

/// What each of these rows shows to whom.
fn of_people(rows: &[AnyRow]) -> Result<Vec<(PersonId, Held)>> {
    rows.iter()
        .map(|row| {
            let side: String = row.try_get("side")?;
            let side =
                Side::from_word(&side).ok_or(StoreError::UnknownWord { table: "assignments", word: side })?;
            let id = AssignmentId::from_text(row.try_get::<String, _>("id")?);
            let person = PersonId::from_text(row.try_get::<String, _>("person")?);
            Ok((person, shown(row, id, side, row.try_get("expires_at")?)?))
        })
        .collect()
}

/// What a person sees of the pair in this row.
fn shown(row: &AnyRow, id: AssignmentId, side: Side, expires_at: Millis) -> Result<Held> {
    let (first, second) = (row.try_get("picture_1")?, row.try_get("picture_2")?);
    let (left, right) = match side {
        Side::Left => (first, second),
        Side::Right => (second, first),
    };
    Ok(Held {
        id,
        prompt: row.try_get("prompt")?,
        category: row.try_get("category")?,
        left,
        right,
        canvas: (row.try_get("canvas_width")?, row.try_get("canvas_height")?),
        expires_at,
    })
}

/// Gives the pair to the person until `expires_at`. The caller has made sure that it may be given.
pub(crate) async fn hold(
    connection: &mut Connection,
    sprint: &SprintId,
    person: &PersonId,
    pair: &str,
    side: Side,
    now: Millis,
    expires_at: Millis,
) -> Result<AssignmentId> {
    let id = AssignmentId::new();
    let hold =
        NewHold { id: id.clone(), sprint, pair: pair.to_owned(), person, side, created_at: now, expires_at };
    write_down(connection, &[hold], &mut HashMap::new()).await?;
    Ok(id)
}

/// When the first lease ends on a pair that this person could answer then; skips cool down too.
async fn next_free(connection: &mut Connection, take: &Take) -> Result<Option<Millis>> {
    // From the holds on, which are few, to their pairs; which way the database would go by itself, it cannot know.
    let query = format!(
        "SELECT MIN(holds.expires_at) FROM ({FIRST_TO_END}) AS holds JOIN pairs ON pairs.id = holds.pair \
         WHERE pairs.current AND {}",
        free_for_person()
    );
    let lease: Option<Millis> = sqlx::query_scalar(AssertSqlSafe(query))
        .bind(take.sprint.as_str())
        .bind(take.now - take.skip_cooldown)
        .bind(take.person.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let skip: Option<Millis> = sqlx::query_scalar(
        "SELECT MIN(skips.ended_at) FROM assignments skips JOIN pairs ON pairs.id = skips.pair \
         WHERE skips.sprint = $1 AND skips.person = $2 AND skips.state = 'skipped' AND skips.ended_at > $3 \
         AND pairs.current AND pairs.answered < pairs.overlap",
    )
    .bind(take.sprint.as_str())
    .bind(take.person.as_str())
    .bind(take.now - take.skip_cooldown)
    .fetch_one(connection)
    .await?;
    let skip = skip.map(|ended| ended + take.skip_cooldown);
    Ok(match (lease, skip) {
        (Some(lease), Some(skip)) => Some(lease.min(skip)),
        (lease, skip) => lease.or(skip),
    })
}

impl Store {
    /// Whether anybody holds a pair of the sprint.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_live_holds(&self, sprint: &SprintId, now: Millis) -> Result<bool> {
        let query =
            "SELECT id FROM assignments WHERE sprint = $1 AND state = 'open' AND expires_at > $2 LIMIT 1";
        let hold: Option<String> =
            sqlx::query_scalar(query).bind(sprint.as_str()).bind(now).fetch_optional(self.readers()).await?;
        Ok(hold.is_some())
    }

    /// The sprint of an assignment.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sprint_of_assignment(&self, assignment: &AssignmentId) -> Result<Option<SprintId>> {
        let query =
            "SELECT sprint FROM assignments WHERE id = $1 UNION ALL SELECT sprint FROM checks WHERE id = $1";
        let sprint: Option<String> =
            sqlx::query_scalar(query).bind(assignment.as_str()).fetch_optional(self.readers()).await?;
        Ok(sprint.map(SprintId::from_text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every take runs these, and a crowd's sprint has tens of thousands of holds.
    #[tokio::test]
    async fn no_take_goes_through_all_holds_of_a_sprint() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite:test.db", folder.path()).await.unwrap();
        for (query, keys) in [(END_LEASES, "(sprint=? AND expires_at<?)"), (FIRST_TO_END, "(sprint=?)")] {
            let explained = format!("EXPLAIN QUERY PLAN {query}");
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(explained))
                .bind("s")
                .bind(0)
                .fetch_all(store.readers())
                .await
                .unwrap();
            let [(.., step)] = &plan[..] else { panic!("{plan:?}") };
            assert!(step.ends_with(&format!("INDEX assignments_to_expire {keys}")), "{step}");
        }
    }
}
