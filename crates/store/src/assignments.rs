//! Assignments: who holds which pair, with which image on which side, until when.
//!
//! Everything here runs inside [`Store::write`], one change at a time, so what a query finds is
//! still true when the next one acts on it. That, `pairs.slots` and the index `assignments_once`
//! make the overlap exact (DESIGN: invariant 2). Which pairs people get is worked out in [`crate::line`].

use std::collections::{BTreeMap, HashMap};

use diptych_core::{AssignmentId, AssignmentState, PersonId, Side, SprintId};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Row};

use crate::checks::{self, Checks, NewCheck};
use crate::clock::{AHEAD, shorten_leases};
use crate::line::{Line, not_for};
use crate::{
    Connection, Millis, Result, Store, TOGETHER, as_array, as_one, column_of_rows, padded, padded_rows,
    padded_with, places, rows_as_one, rows_in,
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

/// What is shown of a pair, but for who stands where.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Face {
    prompt: String,
    category: String,
    picture_1: String,
    picture_2: String,
    canvas_width: i64,
    canvas_height: i64,
}

impl Face {
    /// As [`as_array`] gets them.
    pub(crate) const COLUMNS: &str = "prompt, category, picture_1, picture_2, canvas_width, canvas_height";

    /// With the first image on this side.
    fn held(self, id: AssignmentId, side: Side, expires_at: Millis) -> Held {
        let (left, right) = match side {
            Side::Left => (self.picture_1, self.picture_2),
            Side::Right => (self.picture_2, self.picture_1),
        };
        let canvas = (self.canvas_width, self.canvas_height);
        Held { id, prompt: self.prompt, category: self.category, left, right, canvas, expires_at }
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
        let (places, takes): (Vec<usize>, Vec<&Take>) = placed.into_iter().unzip();
        all.extend(places.into_iter().zip(take_in(connection, sprint, &takes).await?));
    }
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, taken)| taken).collect())
}

/// [`take_all`] for one sprint. What does not depend on who is first is done for all of them at once.
async fn take_in<'t>(
    connection: &mut Connection,
    sprint: &SprintId,
    takes: &[&'t Take],
) -> Result<Vec<Taken>> {
    // They are milliseconds apart; a skip stays away until it has cooled down for all of them.
    let cooled = takes.iter().map(|take| take.now - take.skip_cooldown).min().unwrap_or(0);
    let mut look = look(connection, sprint, takes, cooled).await?;
    if look.leases_are_over || look.clock_was_ahead {
        renew(connection, sprint, takes).await?;
        end_leases(connection, sprint, latest(takes)).await?;
        if look.clock_was_ahead {
            shorten_leases(connection, sprint, latest(takes), longest(takes)).await?;
        }
        look = self::look(connection, sprint, takes, cooled).await?;
    }
    let Look { excluded, live, mut line, .. } = look;
    // Whose answers would not count is asked for none: to them the sprint is done.
    let counts = |take: &&Take| !excluded.iter().any(|(person,)| *person == take.person);
    let asked: Vec<&Take> = takes.iter().copied().filter(counts).collect();
    let mut held: HashMap<PersonId, Vec<Held>> = HashMap::new();
    for Live { id, person, side, expires_at, face } in live {
        held.entry(person).or_default().push(face.held(id, side, expires_at));
    }

    let (mut new, mut written) = (Vec::new(), 0);
    for take in &asked {
        // Kept for the same person's second call, which finds what the first one took.
        let mine = held.entry(take.person.clone()).or_default();
        let mut sides = take.sides.iter().copied().take(take.count.saturating_sub(mine.len()));
        let mut give = |line: &mut Line, new: &mut Vec<NewHold<'t>>| {
            for ((pair, face), side) in line.give(&take.person, sides.len()).into_iter().zip(&mut sides) {
                let hold = NewHold::of(take, pair, side);
                mine.push(face.held(hold.id.clone(), side, hold.expires_at));
                new.push(hold);
            }
            sides.len()
        };
        let rest = give(&mut line, &mut new);
        if rest > 0 && line.goes_on() {
            write_down(connection, &new[written..]).await?;
            written = new.len();
            line.bring(connection, sprint, cooled, rest, &take.person).await?;
            give(&mut line, &mut new);
        }
    }
    let checks = draw_checks(connection, &asked, &mut new, written, &mut held).await?;
    write_down(connection, &new[written..]).await?;
    checks::write_down(connection, &checks).await?;

    let of_take = |take: &Take| held.get(&take.person).map_or(&[][..], Vec::as_slice);
    let in_vain: Vec<&Take> = asked.iter().copied().filter(|take| of_take(take).is_empty()).collect();
    let free_at = next_free(connection, sprint, &in_vain).await?;
    let taken = |take: &&Take| Taken {
        held: of_take(take).iter().take(take.count).cloned().collect(),
        free_at: free_at.get(&take.person).copied(),
    };
    Ok(takes.iter().map(|take| if counts(take) { taken(take) } else { Taken::default() }).collect())
}

/// When the last of them came.
fn latest(takes: &[&Take]) -> Millis {
    takes.iter().map(|take| take.now).max().unwrap_or(0)
}

/// The longest of their leases.
fn longest(takes: &[&Take]) -> Millis {
    takes.iter().map(|take| take.lease).max().unwrap_or(0)
}

/// What stands in a sprint before pairs are given.
struct Look {
    /// Those whose answers do not count.
    excluded: Vec<(PersonId,)>,
    /// Whether leases are over that were not ended yet.
    leases_are_over: bool,
    /// Whether there are holds whose leases would not end for long.
    clock_was_ahead: bool,
    live: Vec<Live>,
    line: Line,
}

/// A live hold or check, as [`look`] asks for it.
#[derive(Deserialize)]
struct Live {
    id: AssignmentId,
    person: PersonId,
    side: Side,
    expires_at: Millis,
    face: Face,
}

/// How many more pairs are looked at than are asked for, since not all are for everybody.
const SPARE: usize = 12;

/// Looks at all that these takes depend on, in one question.
async fn look(
    connection: &mut Connection,
    sprint: &SprintId,
    takes: &[&Take],
    cooled: Millis,
) -> Result<Look> {
    let people: Vec<&str> = takes.iter().map(|take| take.person.as_str()).collect();
    let people_of = places(5, people.len());
    let excluded = rows_as_one(
        connection,
        "person",
        "",
        &format!("exclusions WHERE sprint = $1 AND ended_at IS NULL AND person IN ({people_of})"),
    );
    // Each person's oldest first, and among them the checks that are live at the moment for which people are measured.
    // By their ids, which are of their time: no place tells a check from the others. (`+ 0`: they are found by person, not
    // by the end of everybody's leases.)
    let live = rows_as_one(
        connection,
        &format!("id, person, side, expires_at, {}", as_array(connection, Face::COLUMNS)),
        "ORDER BY id",
        &format!(
            "(SELECT assignments.id AS id, person, side, expires_at, {} FROM assignments \
             JOIN pairs ON pairs.id = assignments.pair \
             WHERE assignments.sprint = $1 AND state = 'open' AND person IN ({people_of}) UNION ALL \
             SELECT checks.id, checks.person, checks.side, checks.expires_at, pairs.prompt, pairs.category, \
             checks.picture_1, checks.picture_2, pairs.canvas_width, pairs.canvas_height FROM checks \
             JOIN pairs ON pairs.id = checks.pair JOIN pairs others ON others.id = checks.other \
             WHERE checks.sprint = $1 AND checks.state = 'open' AND checks.expires_at + 0 > $4 AND pairs.current \
             AND others.current AND checks.person IN ({people_of})) AS live",
            Face::COLUMNS
        ),
    );
    // Few different texts, so that the database finds the statement prepared.
    let limit = (takes.iter().map(|take| take.count).sum::<usize>() + SPARE).next_power_of_two();
    let line = Line::ask(connection, limit);
    let query = format!(
        "SELECT ({excluded}), (SELECT COUNT(*) FROM (SELECT id FROM assignments WHERE sprint = $1 AND state = 'open' \
         AND expires_at <= $3 LIMIT 1) AS over) + (SELECT COUNT(*) FROM (SELECT id FROM checks WHERE sprint = $1 \
         AND state = 'open' AND expires_at <= $3 LIMIT 1) AS over), (SELECT COUNT(*) FROM (SELECT id FROM assignments \
         WHERE sprint = $1 AND state = 'open' AND expires_at > $3 + {} LIMIT 1) AS over), ({live}), ({line})",
        AHEAD + longest(takes)
    );
    let measured = takes.iter().filter(|take| take.checks != Checks::Off).map(|take| take.now).max();
    let mut query = sqlx::query_as(AssertSqlSafe(query))
        .bind(sprint.as_str())
        .bind(cooled)
        .bind(latest(takes))
        // Where nobody is measured, no check is live.
        .bind(measured.unwrap_or(Millis::MAX));
    for person in padded(&people) {
        query = query.bind(person);
    }
    let (excluded, over, ahead, live, line): (String, i64, i64, String, String) =
        query.fetch_one(connection).await?;
    Ok(Look {
        excluded: rows_in(&excluded)?,
        leases_are_over: over > 0,
        clock_was_ahead: ahead > 0,
        live: rows_in(&live)?,
        line: Line::of(&line, limit)?,
    })
}

/// Mixes in the checks that were drawn, and gives those that are not written down yet. One comes only with new pairs, in
/// the place and under the id of any of them, which stays in the line: so it is shown by the take that made it, nothing
/// tells it from a pair, and nobody is measured who has nothing more to do. What is `written` of the new holds stays.
async fn draw_checks<'t>(
    connection: &mut Connection,
    takes: &[&'t Take],
    new: &mut Vec<NewHold<'t>>,
    written: usize,
    held: &mut HashMap<PersonId, Vec<Held>>,
) -> Result<Vec<NewCheck<'t>>> {
    let mut made: Vec<NewCheck<'t>> = Vec::new();
    for take in takes {
        let Checks::Now(draw) = take.checks else { continue };
        let is_theirs = |hold: &NewHold<'_>| *hold.person == take.person;
        if new.iter().filter(|hold| is_theirs(hold)).count() < draw.with.max(1) {
            continue;
        }
        let places: Vec<usize> = (written..new.len()).filter(|place| is_theirs(&new[*place])).collect();
        let drawn = draw.lot.checked_rem(places.len() as u64);
        let Some(place) = drawn.map(|drawn| places[drawn as usize]) else { continue };
        // What is drawn for a person goes by their checks so far.
        if made.iter().any(|check| check.take.person == take.person) {
            checks::write_down(connection, &std::mem::take(&mut made)).await?;
        }
        if let Some(check) = checks::draw(connection, take, draw, &new[place].id).await? {
            let id = new.remove(place).id;
            if let Some(shown) =
                held.get_mut(&take.person).and_then(|mine| mine.iter_mut().find(|one| one.id == id))
            {
                *shown = check.shown.clone();
            }
            made.push(check);
        }
    }
    Ok(made)
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

/// Writes holds down and takes their places in the pairs.
async fn write_down(connection: &mut Connection, holds: &[NewHold<'_>]) -> Result<()> {
    for holds in holds.chunks(TOGETHER) {
        let insert = format!(
            "INSERT INTO assignments (id, sprint, pair, person, side, state, created_at, expires_at) \
             SELECT holds.column1, pairs.sprint, pairs.id, holds.column3, holds.column4, '{}', holds.column5, \
             holds.column6 FROM (VALUES {}) AS holds JOIN pairs ON pairs.id = holds.column2",
            AssignmentState::Open.as_str(),
            padded_rows(holds.len(), 6)
        );
        let count = format!(
            "UPDATE pairs SET held = held + times.number, slots = slots - times.number, begun = 1 FROM \
             (SELECT column1 AS pair, COUNT(*) AS number FROM (VALUES ({})) AS holds GROUP BY column1) AS times \
             WHERE pairs.id = times.pair",
            column_of_rows(2, holds.len(), 6).join("), (")
        );
        let holds: Vec<_> = holds.iter().map(NewHold::columns).collect();
        let mut query = sqlx::query(AssertSqlSafe(as_one(connection, &[&insert, &count])));
        // An empty id is no pair's.
        for (id, pair, person, side, created_at, expires_at) in padded_with(&holds, &("", "", "", "", 0, 0)) {
            query = query.bind(*id).bind(*pair).bind(*person).bind(*side).bind(*created_at).bind(*expires_at);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

const END_CHECKS: &str = "UPDATE checks SET state = 'expired', ended_at = $2 \
     WHERE sprint = $1 AND state = 'open' AND expires_at <= $2";

const END_LEASES: &str = "UPDATE assignments SET state = 'expired', ended_at = $2 \
     WHERE sprint = $1 AND state = 'open' AND expires_at <= $2 RETURNING pair";

/// Renews what those hold who ask, where its lease is over and nobody has ended it: they are there. What measures them
/// lapses and goes on in the same way. Where nothing new is given (a sprint is paused, or closed and its answers may be
/// known), leases end.
async fn renew(connection: &mut Connection, sprint: &SprintId, takes: &[&Take]) -> Result<()> {
    let there: Vec<&&Take> = takes.iter().filter(|take| !take.sides.is_empty()).collect();
    let people: Vec<&str> = there.iter().map(|take| take.person.as_str()).collect();
    let (Some(lease), now) = (there.iter().map(|take| take.lease).max(), latest(takes)) else {
        return Ok(());
    };
    let theirs = places(3, people.len());
    let over = |table: &str| {
        format!(
            "SELECT person, expires_at FROM {table} WHERE sprint = $1 AND state = 'open' AND expires_at <= $2 \
             AND person IN ({theirs})"
        )
    };
    let query = format!(
        "SELECT person, MIN(expires_at) FROM ({} UNION ALL {}) AS over GROUP BY person",
        over("assignments"),
        over("checks")
    );
    let mut query = sqlx::query_as(AssertSqlSafe(query)).bind(sprint.as_str()).bind(now);
    for person in padded(&people) {
        query = query.bind(person);
    }
    let over: Vec<(String, Millis)> = query.fetch_all(&mut *connection).await?;
    for (person, first) in over {
        for table in ["assignments", "checks"] {
            let query = format!(
                "UPDATE {table} SET expires_at = $5 WHERE sprint = $1 AND person = $2 AND state = 'open' \
                 AND expires_at + 0 >= $3 AND expires_at + 0 <= $4"
            );
            let query = sqlx::query(AssertSqlSafe(query)).bind(sprint.as_str()).bind(&person);
            query.bind(first).bind(now).bind(now + lease).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

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
    sqlx::query(END_CHECKS).bind(sprint.as_str()).bind(now).execute(connection).await?;
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
    write_down(connection, &[hold]).await?;
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

/// A hold whose pair is free for others when its lease ends, as [`holds_that_end`] asks for it.
#[derive(Deserialize)]
struct Ending {
    expires_at: Millis,
    /// The people who have a part in the pair, or have just skipped it.
    #[serde(deserialize_with = "crate::line::people")]
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
    let columns = format!("holds.expires_at, {}", not_for("holds.pair"));
    let from =
        format!("({FIRST_TO_END}{length}) AS holds JOIN pairs ON pairs.id = holds.pair WHERE pairs.current");
    let query = rows_as_one(connection, &columns, "ORDER BY holds.expires_at, holds.id", &from);
    let query = sqlx::query_scalar(AssertSqlSafe(query)).bind(sprint.as_str()).bind(cooled);
    let rows: String = query.fetch_one(connection).await?;
    rows_in(&rows)
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
