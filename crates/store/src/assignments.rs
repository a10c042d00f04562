//! Assignments: who holds which pair, with which image on which side, until when.
//!
//! Everything here runs inside [`Store::write`], one change at a time, so what a query finds is
//! still true when the next one acts on it. That, `pairs.slots` and the index `assignments_once`
//! make the overlap exact (DESIGN: invariant 2).

use std::collections::{HashMap, HashSet};

use diptych_core::{AssignmentId, PersonId, Side, SprintId};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::{Connection, Millis, Result, Store, StoreError, padded, places, rows_at_once, value_rows};

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

/// Gives pairs to all who ask in one transaction, in their order. What does not depend on who is first
/// is done for all of them at once.
pub(crate) async fn take_all(connection: &mut Connection, takes: &[&Take]) -> Result<Vec<Taken>> {
    let mut held: HashMap<(&SprintId, PersonId), Vec<Held>> = HashMap::new();
    let sprints: HashSet<&SprintId> = takes.iter().map(|take| &take.sprint).collect();
    for sprint in sprints {
        let of_sprint = || takes.iter().filter(|take| take.sprint == *sprint);
        end_leases(connection, sprint, of_sprint().map(|take| take.now).max().unwrap_or(0)).await?;
        let people: Vec<&str> = of_sprint().map(|take| take.person.as_str()).collect();
        for (person, hold) in live(connection, sprint, &people).await? {
            held.entry((sprint, person)).or_default().push(hold);
        }
    }
    let (mut all, mut new, mut served) = (Vec::with_capacity(takes.len()), Vec::new(), HashSet::new());
    for take in takes {
        // Kept for the same person's second call, which finds what the first one took.
        let mine = held.entry((&take.sprint, take.person.clone())).or_default();
        if !served.insert((&take.sprint, &take.person)) {
            insert(connection, &std::mem::take(&mut new)).await?;
        }
        if mine.len() < take.count {
            let wanted = take.count - mine.len();
            let found = reserve_free_pairs(connection, take, wanted).await?;
            mine.extend(found.iter().map(|(hold, ..)| hold.clone()));
            new.extend(found.into_iter().map(|(hold, pair, side)| NewHold {
                id: hold.id,
                sprint: &take.sprint,
                pair,
                person: &take.person,
                side,
                created_at: take.now,
                expires_at: hold.expires_at,
            }));
        }
        let free_at = if mine.is_empty() { next_free(connection, take).await? } else { None };
        all.push(Taken { held: mine.iter().take(take.count).cloned().collect(), free_at });
    }
    insert(connection, &new).await?;
    Ok(all)
}

/// A hold to be written down; its place in the pair is taken already.
struct NewHold<'t> {
    id: AssignmentId,
    sprint: &'t SprintId,
    pair: String,
    person: &'t PersonId,
    side: Side,
    created_at: Millis,
    expires_at: Millis,
}

async fn insert(connection: &mut Connection, holds: &[NewHold<'_>]) -> Result<()> {
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
                .bind("open")
                .bind(hold.created_at)
                .bind(hold.expires_at);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes places in up to `count` pairs that are free for the person, without a hold yet.
async fn reserve_free_pairs(
    connection: &mut Connection,
    take: &Take,
    count: usize,
) -> Result<Vec<(Held, String, Side)>> {
    let query = format!(
        "SELECT id, prompt, category, picture_1, picture_2, canvas_width, canvas_height FROM pairs \
         WHERE sprint = $1 AND current AND slots > 0 AND {NOT_MINE} ORDER BY begun DESC, shuffle LIMIT $4"
    );
    let rows = sqlx::query(AssertSqlSafe(query))
        .bind(take.sprint.as_str())
        .bind(take.person.as_str())
        .bind(take.now - take.skip_cooldown)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
    let expires_at = take.now + take.lease;
    let mut found = Vec::with_capacity(rows.len());
    for (row, side) in rows.iter().zip(&take.sides) {
        found.push((shown(row, AssignmentId::new(), *side, expires_at)?, row.try_get("id")?, *side));
    }
    if found.is_empty() {
        return Ok(found);
    }
    let pairs: Vec<&str> = found.iter().map(|(_, pair, _): &(Held, String, Side)| pair.as_str()).collect();
    let update = format!(
        "UPDATE pairs SET held = held + 1, slots = slots - 1, begun = 1 WHERE id IN ({})",
        places(1, pairs.len())
    );
    let mut update = sqlx::query(AssertSqlSafe(update));
    for pair in padded(&pairs) {
        update = update.bind(pair);
    }
    update.execute(connection).await?;
    Ok(found)
}

/// Ends the leases that are over and gives their pairs back.
pub(crate) async fn end_leases(connection: &mut Connection, sprint: &SprintId, now: Millis) -> Result<()> {
    let ended: Vec<String> = sqlx::query_scalar(
        "UPDATE assignments SET state = 'expired', ended_at = $2 \
         WHERE sprint = $1 AND state = 'open' AND expires_at <= $2 RETURNING pair",
    )
    .bind(sprint.as_str())
    .bind(now)
    .fetch_all(&mut *connection)
    .await?;
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
    .execute(connection)
    .await?;
    Ok(())
}

/// The live holds of these people, each person's oldest first.
async fn live(
    connection: &mut Connection,
    sprint: &SprintId,
    people: &[&str],
) -> Result<Vec<(PersonId, Held)>> {
    let query = format!(
        "SELECT assignments.id, person, side, expires_at, prompt, category, picture_1, picture_2, \
         canvas_width, canvas_height FROM assignments JOIN pairs ON pairs.id = assignments.pair \
         WHERE assignments.sprint = $1 AND state = 'open' AND person IN ({}) \
         ORDER BY assignments.created_at, assignments.id",
        places(2, people.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(query)).bind(sprint.as_str());
    for person in padded(people) {
        query = query.bind(person);
    }
    let rows = query.fetch_all(connection).await?;
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

/// What keeps a pair from a person: a hold, an answer, or a skip that has not cooled down.
/// `$1` is the sprint, `$2` the person, `$3` the time before which a skip has cooled down.
///
/// Counted, not `NOT EXISTS`: PostgreSQL makes a join of that, and then looks at all that the person ever
/// did instead of the few pairs that are asked for.
const NOT_MINE: &str = "(SELECT COUNT(*) FROM assignments a WHERE a.pair = pairs.id AND a.person = $2 \
    AND (a.state IN ('open', 'answered') OR (a.state = 'skipped' AND a.ended_at > $3))) = 0";

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
    insert(connection, &[hold]).await?;
    sqlx::query("UPDATE pairs SET held = held + 1, slots = slots - 1, begun = 1 WHERE id = $1")
        .bind(pair)
        .execute(connection)
        .await?;
    Ok(id)
}

/// When the first lease ends on a pair that this person could answer then; skips cool down too.
async fn next_free(connection: &mut Connection, take: &Take) -> Result<Option<Millis>> {
    let query = format!(
        "SELECT MIN(holds.expires_at) FROM assignments holds JOIN pairs ON pairs.id = holds.pair \
         WHERE pairs.sprint = $1 AND pairs.current AND holds.state = 'open' AND {NOT_MINE}"
    );
    let lease: Option<Millis> = sqlx::query_scalar(AssertSqlSafe(query))
        .bind(take.sprint.as_str())
        .bind(take.person.as_str())
        .bind(take.now - take.skip_cooldown)
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
    /// The sprint of an assignment.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn sprint_of_assignment(&self, assignment: &AssignmentId) -> Result<Option<SprintId>> {
        let sprint: Option<String> = sqlx::query_scalar("SELECT sprint FROM assignments WHERE id = $1")
            .bind(assignment.as_str())
            .fetch_optional(self.readers())
            .await?;
        Ok(sprint.map(SprintId::from_text))
    }
}
