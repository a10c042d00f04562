//! Assignments: who holds which pair, with which image on which side, until when.
//!
//! Everything here runs inside [`Store::write`], one change at a time, so what a query finds is
//! still true when the next one acts on it. That, `pairs.slots` and the index `assignments_once`
//! make the overlap exact (DESIGN: invariant 2). Which pairs people get is worked out in [`crate::line`].

use std::collections::{BTreeMap, HashMap};

use diptych_core::{AssignmentId, AssignmentState, PersonId, Side, SprintId};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::checks::{self, Checks, NewCheck};
use crate::exclusions::excluded;
use crate::line::{Line, kept_out, not_for};
use crate::{
    Connection, Millis, Result, Store, StoreError, TOGETHER, by_times, padded, padded_rows, padded_with,
    places,
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
const SPARE: usize = 12;

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

    draw_checks(connection, takes, &mut held).await?;

    let of_take = |take: &Take| held.get(&take.person).map_or(&[][..], Vec::as_slice);
    let in_vain: Vec<&Take> = takes.iter().copied().filter(|take| of_take(take).is_empty()).collect();
    let free_at = next_free(connection, sprint, &in_vain).await?;
    let shown = |take: &&Take| -> Result<Taken> {
        let held = of_take(take).iter().take(take.count).map(|hold| hold.shown(&new, &rows));
        Ok(Taken { held: held.collect::<Result<_>>()?, free_at: free_at.get(&take.person).copied() })
    };
    takes.iter().map(shown).collect()
}

/// Mixes in the checks that were drawn. One comes only with new pairs, and behind them, so that nobody is measured who
/// has nothing more to do.
async fn draw_checks(
    connection: &mut Connection,
    takes: &[&Take],
    held: &mut HashMap<PersonId, Vec<Hold>>,
) -> Result<()> {
    let mut made: Vec<NewCheck<'_>> = Vec::new();
    for take in takes {
        let Checks::Now(draw) = take.checks else { continue };
        let mine = held.entry(take.person.clone()).or_default();
        if mine.iter().filter(|hold| matches!(hold, Hold::New(_))).count() < draw.with.max(1) {
            continue;
        }
        // What is drawn for a person goes by their checks so far.
        if made.iter().any(|check| check.take.person == take.person) {
            checks::write_down(connection, &std::mem::take(&mut made)).await?;
        }
        if let Some(check) = checks::draw(connection, take, draw).await? {
            mine.push(Hold::Given(check.shown.clone()));
            made.push(check);
        }
    }
    checks::write_down(connection, &made).await
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
            pair,
            person: &take.person,
            side,
            created_at: take.now,
            expires_at: take.now + take.lease,
        }
    }

    fn columns(&self) -> (&str, &str, &str, &str, Millis, Millis) {
        let Self { id, pair, person, side, created_at, expires_at } = self;
        (id.as_str(), pair, person.as_str(), side.as_str(), *created_at, *expires_at)
    }
}

/// Writes holds down and takes their places in the pairs, whose rows are added to `rows` by id.
async fn write_down(
    connection: &mut Connection,
    holds: &[NewHold<'_>],
    rows: &mut HashMap<String, AnyRow>,
) -> Result<()> {
    let update = "UPDATE pairs SET held = held + times.column2, slots = slots - times.column2, begun = 1";
    let shown = "RETURNING id, prompt, category, picture_1, picture_2, canvas_width, canvas_height";
    for row in by_times(connection, update, shown, holds.iter().map(|hold| hold.pair.as_str())).await? {
        rows.insert(row.try_get("id")?, row);
    }
    for holds in holds.chunks(TOGETHER) {
        let query = format!(
            "INSERT INTO assignments (id, sprint, pair, person, side, state, created_at, expires_at) \
             SELECT holds.column1, pairs.sprint, pairs.id, holds.column3, holds.column4, '{}', holds.column5, \
             holds.column6 FROM (VALUES {}) AS holds JOIN pairs ON pairs.id = holds.column2",
            AssignmentState::Open.as_str(),
            padded_rows(holds.len(), 6)
        );
        let holds: Vec<_> = holds.iter().map(NewHold::columns).collect();
        let mut query = sqlx::query(AssertSqlSafe(query));
        // An empty id is no pair's.
        for (id, pair, person, side, created_at, expires_at) in padded_with(&holds, &("", "", "", "", 0, 0)) {
            query = query.bind(*id).bind(*pair).bind(*person).bind(*side).bind(*created_at).bind(*expires_at);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

const END_LEASES: &str = "UPDATE assignments SET state = 'expired', ended_at = $2 \
     WHERE sprint = $1 AND state = 'open' AND expires_at <= $2 RETURNING pair";

/// The sprint's holds whose leases end first; how many follows.
const FIRST_TO_END: &str = "SELECT id, pair, expires_at FROM assignments WHERE sprint = $1 \
     AND state = 'open' ORDER BY expires_at LIMIT ";

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
    person: &PersonId,
    pair: &str,
    side: Side,
    now: Millis,
    expires_at: Millis,
) -> Result<AssignmentId> {
    let id = AssignmentId::new();
    let hold = NewHold { id: id.clone(), pair: pair.to_owned(), person, side, created_at: now, expires_at };
    write_down(connection, &[hold], &mut HashMap::new()).await?;
    Ok(id)
}

/// When each of these people, who have asked in vain, may get something: the first lease ends on a pair that they could
/// answer then, or a skip has cooled down.
async fn next_free(
    connection: &mut Connection,
    sprint: &SprintId,
    takes: &[&Take],
) -> Result<HashMap<PersonId, Millis>> {
    let mut free_at = HashMap::new();
    let Some(cooled) = takes.iter().map(|take| take.now - take.skip_cooldown).min() else {
        return Ok(free_at);
    };
    let mut holds = holds_that_end(connection, sprint, cooled, FEW_HOLDS).await?;
    if holds.len() == FEW_HOLDS && takes.iter().any(|take| first_for(&holds, &take.person).is_none()) {
        holds = holds_that_end(connection, sprint, cooled, MANY_HOLDS).await?;
    }
    for take in takes {
        // Who has a part in all of so many asks again when the last of them ends.
        if let Some(hold) = first_for(&holds, &take.person).or(holds.get(MANY_HOLDS - 1)) {
            free_at.insert(take.person.clone(), hold.expires_at);
        }
    }
    let people: Vec<&str> = takes.iter().map(|take| take.person.as_str()).collect();
    let length = people.len().next_power_of_two();
    // Person by person: with a list of them, PostgreSQL may go through everybody's skips.
    let query = format!(
        "SELECT asked.column1 AS person, (SELECT MIN(skips.ended_at) FROM assignments skips \
         JOIN pairs ON pairs.id = skips.pair WHERE skips.sprint = ${} AND skips.person = asked.column1 \
         AND skips.state = 'skipped' AND skips.ended_at > ${} AND pairs.current AND pairs.answered < pairs.overlap) \
         AS ended_at FROM (VALUES {}) AS asked",
        length + 1,
        length + 2,
        padded_rows(people.len(), 1)
    );
    let mut query = sqlx::query(AssertSqlSafe(query));
    for person in padded(&people) {
        query = query.bind(person);
    }
    for row in query.bind(sprint.as_str()).bind(cooled).fetch_all(connection).await? {
        let Some(ended) = row.try_get::<Option<Millis>, _>("ended_at")? else { continue };
        let person = PersonId::from_text(row.try_get::<String, _>("person")?);
        let Some(take) = takes.iter().find(|take| take.person == person) else { continue };
        let skip = ended + take.skip_cooldown;
        free_at.entry(person).and_modify(|lease: &mut Millis| *lease = skip.min(*lease)).or_insert(skip);
    }
    Ok(free_at)
}

/// A hold whose pair is free for others when its lease ends.
struct Ending {
    expires_at: Millis,
    /// The people who have a part in the pair, or have just skipped it.
    not_for: Vec<String>,
}

/// How many holds are looked at for who has asked in vain. Nearly everybody finds one among a few.
const FEW_HOLDS: usize = 64;
const MANY_HOLDS: usize = 1024;

/// The first of these holds whose pair this person could answer when it ends.
fn first_for<'h>(holds: &'h [Ending], person: &PersonId) -> Option<&'h Ending> {
    holds.iter().find(|hold| !hold.not_for.iter().any(|other| other == person.as_str()))
}

/// So many holds of the sprint, those first that end first.
async fn holds_that_end(
    connection: &mut Connection,
    sprint: &SprintId,
    cooled: Millis,
    length: usize,
) -> Result<Vec<Ending>> {
    let not_for = not_for("holds.pair");
    let query = format!(
        "SELECT holds.expires_at, {not_for} FROM ({FIRST_TO_END}{length}) AS holds \
         JOIN pairs ON pairs.id = holds.pair WHERE pairs.current ORDER BY holds.expires_at, holds.id"
    );
    let query = sqlx::query(AssertSqlSafe(query)).bind(sprint.as_str()).bind(cooled);
    let ending =
        |row| Ok(Ending { expires_at: AnyRow::try_get(row, "expires_at")?, not_for: kept_out(row)? });
    query.fetch_all(connection).await?.iter().map(ending).collect()
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
        let first_to_end = format!("{FIRST_TO_END}64");
        for (query, keys) in [(END_LEASES, "(sprint=? AND expires_at<?)"), (&first_to_end, "(sprint=?)")] {
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
