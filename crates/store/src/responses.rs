//! Responses: what people have answered, and what becomes of an answer that comes late or twice.

use std::collections::HashMap;

use diptych_core::answer::PREFERENCE;
use diptych_core::{
    Answer, AssignmentId, AssignmentState, Choice, PairId, PersonId, ResponseState, Side, SprintId,
    SprintState,
};
use futures::TryStreamExt;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Row};

use crate::assignments::give_back;
use crate::checks::{self, Check};
use crate::pairs::follow_answers;
use crate::people::SIMULATED;
use crate::reports::{self, Reporting};
use crate::{
    Connection, Millis, Result, Span, Store, StoreError, TOGETHER, any, as_one, column_of_rows, padded,
    padded_rows, padded_with, places, rows_as_one, rows_in,
};

/// For how long an answer may be replaced or taken back.
pub const SECOND_THOUGHTS: Millis = 10 * 60 * 1000;

/// An answer as it comes in.
#[derive(Debug, Clone)]
pub struct Respond {
    /// Who answers.
    pub person: PersonId,
    /// To what.
    pub assignment: AssignmentId,
    /// What was pressed.
    pub choice: Choice,
    /// How long the pair was looked at, in milliseconds.
    pub duration_ms: Option<i64>,
    /// What the person adds.
    pub comment: Option<String>,
    /// When an answer `toxic_content` withdraws the pair.
    pub reporting: Reporting,
    /// Now.
    pub now: Millis,
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Responded {
    /// It is on disk, for the first time.
    Recorded,
    /// The same answer is on disk already.
    Repeated,
    /// It has replaced another one.
    Replaced,
    /// Another answer stands, and the time for second thoughts is over, or the sprint is.
    Settled,
    /// The lease has ended and the pair is filled, or it was withdrawn.
    Gone,
    /// There is no such assignment of this person.
    Unknown,
}

/// What becomes of taking an answer back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenBack {
    /// The assignment is open again, with a fresh lease.
    Open,
    /// There is no answer to take back.
    Nothing,
    /// The time for second thoughts is over, or the sprint is.
    Settled,
    /// It was skipped, or did not count, and others have filled the pair; or the pair was withdrawn.
    Gone,
    /// There is no such assignment of this person.
    Unknown,
}

/// A response, for results and publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRow {
    /// Its pair.
    pub pair: PairId,
    /// Who answered: the name under which it is published.
    pub pseudonym: String,
    /// Whether the program made that person up, for the demo.
    pub simulated: bool,
    /// The answer.
    pub answer: Answer,
    /// Where the first image stood.
    pub side: Side,
    /// How long the pair was looked at, in milliseconds.
    pub duration_ms: Option<i64>,
    /// When it was first given.
    pub created_at: Millis,
    /// Whether it counts, or why not.
    pub state: ResponseState,
}

impl ResponseRow {
    /// Whether it counts.
    pub fn counts(&self) -> bool {
        self.state == ResponseState::Submitted
    }
}

/// An assignment, as [`rows`] asks for it.
#[derive(Deserialize)]
struct Assignment {
    id: AssignmentId,
    person: PersonId,
    sprint: SprintId,
    pair: String,
    side: Side,
    state: AssignmentState,
    ended_at: Option<Millis>,
    #[serde(deserialize_with = "any")]
    current: bool,
    /// When the lease ends.
    expires_at: Millis,
    /// Whether the person has a pseudonym in the sprint.
    #[serde(deserialize_with = "any")]
    named: bool,
    /// Whether the pair's overlap follows from its responses.
    #[serde(deserialize_with = "any")]
    flexible: bool,
    /// Whether the sprint asks nobody any more.
    #[serde(deserialize_with = "any")]
    over: bool,
}

impl Assignment {
    /// Whether the sprint and the lease were over when this came.
    fn is_too_late(&self, respond: &Respond) -> bool {
        self.over && self.expires_at <= respond.now
    }
}

/// Whether the sprint with this id asks nobody any more. The database says so, not the server: another one may just have
/// closed it, and shown the results.
pub(crate) fn is_over(sprint: &str) -> String {
    let [closed, archived] = [SprintState::Closed, SprintState::Archived].map(SprintState::as_str);
    format!(
        "(SELECT COUNT(*) FROM sprints s WHERE s.id = {sprint} AND s.state IN ('{closed}', '{archived}'))"
    )
}

/// What else decides about an assignment that is no plain hold.
struct Standing {
    /// Whether one more may join: the overlap is not full, and this person has no other part in the pair.
    room: bool,
    /// Another hold of the same pair that this person got meanwhile; its place is theirs.
    again: Option<AssignmentId>,
    /// Whether it is answered and the answer does not count.
    surplus: bool,
    /// Whether the person's answers do not count.
    excluded: bool,
}

impl Store {
    /// Whether anybody has answered in this sprint, and not taken it back.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_responses(&self, sprint: &SprintId) -> Result<bool> {
        let query = "SELECT id FROM responses WHERE sprint = $1 AND state <> 'taken_back' LIMIT 1";
        let one: Option<String> =
            sqlx::query_scalar(query).bind(sprint.as_str()).fetch_optional(self.readers()).await?;
        Ok(one.is_some())
    }
}

impl Store {
    /// Takes an answer in; it is on disk when this returns.
    ///
    /// # Errors
    /// Where the database fails; the answer is not kept then.
    pub async fn respond(&self, respond: Respond) -> Result<Responded> {
        self.writer().respond(respond).await
    }

    /// Takes an answer, or a skip, back.
    ///
    /// # Errors
    /// Where the database fails; the answer stands then.
    pub async fn take_back(
        &self,
        person: &PersonId,
        assignment: &AssignmentId,
        now: Millis,
        lease: Millis,
    ) -> Result<TakenBack> {
        let (person, assignment) = (person.clone(), assignment.clone());
        self.write(move |connection| {
            let (person, assignment) = (person.clone(), assignment.clone());
            Box::pin(async move { reopen(connection, &person, &assignment, now, lease).await })
        })
        .await
    }

    /// The responses to the current pairs of these prompts, by pair, in the order in which they were given.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn responses(
        &self,
        sprint: &SprintId,
        span: Span,
    ) -> Result<HashMap<PairId, Vec<ResponseRow>>> {
        let mut rows = sqlx::query(
            "SELECT responses.pair, pseudonym, people.kind, answer, side, duration_ms, responses.created_at, state \
             FROM responses JOIN pseudonyms ON pseudonyms.person = responses.person \
             AND pseudonyms.sprint = responses.sprint JOIN pairs ON pairs.id = responses.pair \
             JOIN people ON people.id = responses.person \
             WHERE responses.sprint = $1 AND pairs.current AND pairs.prompt_idx >= $2 AND pairs.prompt_idx < $3 \
             ORDER BY responses.created_at, responses.id",
        )
        .bind(sprint.as_str())
        .bind(span.start)
        .bind(span.end)
        .fetch(self.readers());
        let mut by_pair: HashMap<PairId, Vec<ResponseRow>> = HashMap::new();
        while let Some(row) = rows.try_next().await? {
            let unknown = |word: String| StoreError::UnknownWord { table: "responses", word };
            let answer: String = row.try_get("answer")?;
            let side: String = row.try_get("side")?;
            let state: String = row.try_get("state")?;
            let pair = PairId::from_text(row.try_get::<String, _>("pair")?);
            by_pair.entry(pair.clone()).or_default().push(ResponseRow {
                pair,
                pseudonym: row.try_get("pseudonym")?,
                simulated: row.try_get::<String, _>("kind")? == SIMULATED,
                answer: Answer::from_word(&answer).ok_or_else(|| unknown(answer))?,
                side: Side::from_word(&side).ok_or_else(|| unknown(side))?,
                duration_ms: row.try_get("duration_ms")?,
                created_at: row.try_get("created_at")?,
                state: ResponseState::from_word(&state).ok_or_else(|| unknown(state))?,
            });
        }
        Ok(by_pair)
    }
}

/// Records the answers of one transaction, and says what became of each.
///
/// Nearly all are first answers to holds, which do not touch each other: these go together, in two
/// statements for up to [`TOGETHER`], or three where somebody is new to the sprint. Checks go together too. The others
/// follow one by one, in their order.
pub(crate) async fn record_all(connection: &mut Connection, answers: &[&Respond]) -> Result<Vec<Responded>> {
    let mut outcomes = Vec::with_capacity(answers.len());
    for answers in answers.chunks(TOGETHER) {
        let assignments: Vec<&AssignmentId> = answers.iter().map(|respond| &respond.assignment).collect();
        let (found, checks) = find(connection, &assignments).await?;
        let mut times: HashMap<&AssignmentId, usize> = HashMap::new();
        for assignment in assignments {
            *times.entry(assignment).or_default() += 1;
        }
        let first: Vec<Option<(&Respond, &Assignment, Answer)>> = answers
            .iter()
            .map(|respond| {
                let mine = found.get(&respond.assignment).filter(|mine| mine.person == respond.person)?;
                // Two about one assignment: the second is about what the first one did.
                let plain = mine.state == AssignmentState::Open
                    && mine.current
                    && !mine.is_too_late(respond)
                    && times.get(&respond.assignment) == Some(&1);
                let answer = plain.then(|| respond.choice.answer(mine.side))??;
                // A report may take the pair from its neighbours in this group.
                (answer != Answer::ToxicContent).then_some((*respond, mine, answer))
            })
            .collect();
        answer_holds(connection, &first.iter().copied().flatten().collect::<Vec<_>>()).await?;
        // What is no assignment is a check, or nothing at all.
        let others: Vec<&Respond> =
            answers.iter().copied().filter(|respond| !found.contains_key(&respond.assignment)).collect();
        let mut of_others = checks::record_all(connection, &others, &checks).await?.into_iter();
        for (respond, first) in answers.iter().zip(first) {
            outcomes.push(match first {
                Some(_) => Responded::Recorded,
                None if found.contains_key(&respond.assignment) => record(connection, respond).await?,
                None => of_others.next().unwrap_or(Responded::Unknown),
            });
        }
    }
    Ok(outcomes)
}

/// Asks for the assignments `$1`, `$2` and so on, so many.
fn rows(connection: &Connection, count: usize) -> String {
    let columns = format!(
        "mine.id, mine.person, mine.sprint, mine.pair, mine.side, mine.state, mine.ended_at, \
         CASE WHEN pairs.current THEN 1 ELSE 0 END, mine.expires_at, \
         (SELECT COUNT(*) FROM pseudonyms p WHERE p.sprint = mine.sprint AND p.person = mine.person), \
         pairs.most - pairs.least, {}",
        is_over("mine.sprint")
    );
    let from = "assignments mine JOIN pairs ON pairs.id = mine.pair WHERE mine.id IN";
    rows_as_one(connection, &columns, "", &format!("{from} ({})", places(1, count)))
}

/// What stands under these ids, whoever they are of: assignments and checks.
async fn find(
    connection: &mut Connection,
    ids: &[&AssignmentId],
) -> Result<(HashMap<AssignmentId, Assignment>, HashMap<AssignmentId, Check>)> {
    let query =
        format!("SELECT ({}), ({})", rows(connection, ids.len()), checks::rows(connection, ids.len()));
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    let mut query = sqlx::query_as(AssertSqlSafe(query));
    for id in padded(&ids) {
        query = query.bind(id);
    }
    let (assignments, checks): (String, String) = query.fetch_one(connection).await?;
    let assignments: Vec<Assignment> = rows_in(&assignments)?;
    let checks: Vec<Check> = rows_in(&checks)?;
    Ok((
        assignments.into_iter().map(|mine| (mine.id.clone(), mine)).collect(),
        checks.into_iter().map(|check| (check.id.clone(), check)).collect(),
    ))
}

async fn standing(connection: &mut Connection, assignment: &AssignmentId) -> Result<Standing> {
    let (slots, answered, again, surplus, excluded): (i64, i64, Option<String>, i64, i64) = sqlx::query_as(
        "SELECT pairs.slots, \
         (SELECT COUNT(*) FROM assignments other WHERE other.pair = mine.pair AND other.person = mine.person \
          AND other.id <> mine.id AND other.state = 'answered'), \
         (SELECT MIN(other.id) FROM assignments other WHERE other.pair = mine.pair AND other.person = mine.person \
          AND other.id <> mine.id AND other.state = 'open'), \
         (SELECT COUNT(*) FROM responses r WHERE r.pair = mine.pair AND r.person = mine.person \
          AND r.state IN ('surplus', 'excluded')), \
         (SELECT COUNT(*) FROM exclusions e WHERE e.sprint = mine.sprint AND e.person = mine.person \
          AND e.ended_at IS NULL) FROM assignments mine JOIN pairs ON pairs.id = mine.pair WHERE mine.id = $1",
    )
    .bind(assignment.as_str())
    .fetch_one(connection)
    .await?;
    Ok(Standing {
        room: slots > 0 && answered == 0 && again.is_none(),
        again: again.map(AssignmentId::from_text),
        surplus: surplus > 0,
        excluded: excluded > 0,
    })
}

/// The assignment, where it is this person's.
async fn find_one(
    connection: &mut Connection,
    person: &PersonId,
    assignment: &AssignmentId,
) -> Result<Option<Assignment>> {
    let query = sqlx::query_scalar(AssertSqlSafe(rows(connection, 1))).bind(assignment.as_str());
    let found: String = query.fetch_one(connection).await?;
    Ok(rows_in(&found)?.pop().filter(|mine: &Assignment| mine.person == *person))
}

/// Turns holds into answers. A hold whose lease is over still has its place, as long as nobody took it back.
async fn answer_holds(
    connection: &mut Connection,
    answers: &[(&Respond, &Assignment, Answer)],
) -> Result<()> {
    let Some(now) = answers.iter().map(|(respond, ..)| respond.now).max() else { return Ok(()) };
    let unnamed = answers.iter().filter(|(_, mine, _)| !mine.named);
    let unnamed: Vec<_> = unnamed.map(|(_, mine, _)| (&mine.sprint, &mine.person)).collect();
    Store::pseudonyms(connection, &unnamed).await?;

    let ids = column_of_rows(2, answers.len(), 6);
    let (at, ids) = (ids.len() * 6 + 1, ids.join(", "));
    let end = format!("UPDATE assignments SET state = 'answered', ended_at = ${at} WHERE id IN ({ids})");
    // They are begun already, as whatever is held; saying so again would have its place in the line written anew.
    let count = format!(
        "UPDATE pairs SET held = held - times.number, answered = answered + times.number FROM \
         (SELECT pair, COUNT(*) AS number FROM assignments WHERE id IN ({ids}) GROUP BY pair) AS times \
         WHERE pairs.id = times.pair"
    );
    let insert = format!(
        "INSERT INTO responses (id, assignment, sprint, pair, person, kind, answer, side, duration_ms, comment, \
         state, created_at, updated_at) \
         SELECT given.column1, mine.id, mine.sprint, mine.pair, mine.person, '{PREFERENCE}', given.column3, mine.side, \
         given.column4, given.column5, '{}', given.column6, given.column6 \
         FROM (VALUES {}) AS given JOIN assignments mine ON mine.id = given.column2 WHERE true \
         ON CONFLICT (pair, person) DO UPDATE SET assignment = excluded.assignment, answer = excluded.answer, \
         side = excluded.side, duration_ms = excluded.duration_ms, comment = excluded.comment, \
         state = excluded.state, created_at = excluded.created_at, updated_at = excluded.updated_at",
        ResponseState::Submitted.as_str(),
        padded_rows(answers.len(), 6)
    );
    let rows: Vec<_> = answers
        .iter()
        .map(|(respond, _, answer)| {
            let id = uuid::Uuid::now_v7().to_string();
            let (assignment, comment) = (respond.assignment.as_str(), respond.comment.as_deref());
            (id, assignment, answer.as_str(), respond.duration_ms, comment, respond.now)
        })
        .collect();
    let mut query = sqlx::query(AssertSqlSafe(as_one(connection, &[&end, &count, &insert])));
    // An empty id is no assignment's.
    for (id, assignment, answer, duration_ms, comment, now) in
        padded_with(&rows, &(String::new(), "", "", None, None, 0))
    {
        query = query.bind(id).bind(*assignment).bind(*answer).bind(*duration_ms).bind(*comment).bind(*now);
    }
    query.bind(now).execute(&mut *connection).await?;
    let flexible: Vec<&str> =
        answers.iter().filter(|(_, mine, _)| mine.flexible).map(|(_, mine, _)| mine.pair.as_str()).collect();
    follow_answers(connection, &flexible).await
}

/// Records one answer, whatever has become of its assignment.
async fn record(connection: &mut Connection, respond: &Respond) -> Result<Responded> {
    let Some(mine) = find_one(connection, &respond.person, &respond.assignment).await? else {
        return Ok(Responded::Unknown);
    };
    let standing = standing(connection, &respond.assignment).await?;
    if mine.state == AssignmentState::Answered {
        return replace(connection, respond, &mine, &standing).await;
    }
    // What they held was taken back: it is somebody else's by now.
    if !mine.current || standing.excluded || mine.is_too_late(respond) {
        return Ok(Responded::Gone);
    }
    let Some(answer) = respond.choice.answer(mine.side) else {
        return skip(connection, respond, &mine, &standing).await;
    };
    if mine.state != AssignmentState::Open {
        match &standing.again {
            // Their lease had ended, and they were given the same pair: this is the answer to it.
            Some(again) => end_as_expired(connection, again, respond.now).await?,
            None if !standing.room => return Ok(Responded::Gone),
            // It has given its place back; there still is one.
            None => {
                sqlx::query("UPDATE pairs SET held = held + 1, slots = slots - 1, begun = 1 WHERE id = $1")
                    .bind(&mine.pair)
                    .execute(&mut *connection)
                    .await?;
            }
        }
    }
    answer_holds(connection, &[(respond, &mine, answer)]).await?;
    if answer == Answer::ToxicContent {
        let Respond { reporting, person, now, .. } = respond;
        reports::report(connection, *reporting, &mine.sprint, &mine.pair, person, *now).await?;
    }
    Ok(Responded::Recorded)
}

async fn replace(
    connection: &mut Connection,
    respond: &Respond,
    mine: &Assignment,
    standing: &Standing,
) -> Result<Responded> {
    let (answer, created_at): (String, Millis) =
        sqlx::query_as("SELECT answer, created_at FROM responses WHERE pair = $1 AND person = $2")
            .bind(&mine.pair)
            .bind(respond.person.as_str())
            .fetch_one(&mut *connection)
            .await?;
    let wanted = respond.choice.answer(mine.side);
    if wanted.is_some_and(|wanted| wanted.as_str() == answer) {
        return Ok(Responded::Repeated);
    }
    // Where the sprint is over, results may be known by now.
    if respond.now - created_at > SECOND_THOUGHTS || mine.over {
        return Ok(Responded::Settled);
    }
    if answer == Answer::ToxicContent.as_str() {
        reports::take_back(connection, &mine.sprint, &mine.pair, &respond.person, respond.now).await?;
    }
    let Some(wanted) = wanted else {
        // A skip in place of an answer: the answer is taken back and the pair goes back.
        withdraw_response(connection, &mine.pair, &respond.person, respond.now).await?;
        end_as_skipped(connection, respond).await?;
        // What did not count leaves no place.
        if !standing.surplus {
            sqlx::query(
                "UPDATE pairs SET answered = answered - 1, slots = slots + 1, \
                 begun = CASE WHEN answered + held > 1 THEN 1 ELSE 0 END WHERE id = $1",
            )
            .bind(&mine.pair)
            .execute(&mut *connection)
            .await?;
            follow_answers(connection, &[&mine.pair]).await?;
        }
        weigh_skips(connection, respond, mine).await?;
        return Ok(Responded::Replaced);
    };
    sqlx::query(
        "UPDATE responses SET answer = $3, duration_ms = COALESCE($4, duration_ms), \
         comment = COALESCE($5, comment), updated_at = $6 WHERE pair = $1 AND person = $2",
    )
    .bind(&mine.pair)
    .bind(respond.person.as_str())
    .bind(wanted.as_str())
    .bind(respond.duration_ms)
    .bind(respond.comment.as_deref())
    .bind(respond.now)
    .execute(&mut *connection)
    .await?;
    follow_answers(connection, &[&mine.pair]).await?;
    if wanted == Answer::ToxicContent {
        let Respond { reporting, person, now, .. } = respond;
        reports::report(connection, *reporting, &mine.sprint, &mine.pair, person, *now).await?;
    }
    Ok(Responded::Replaced)
}

async fn skip(
    connection: &mut Connection,
    respond: &Respond,
    mine: &Assignment,
    standing: &Standing,
) -> Result<Responded> {
    match mine.state {
        AssignmentState::Open => {
            end_as_skipped(connection, respond).await?;
            give_back(connection, &mine.pair).await?;
            weigh_skips(connection, respond, mine).await?;
            Ok(Responded::Recorded)
        }
        AssignmentState::Skipped => Ok(Responded::Repeated),
        // Its lease has ended and its place is given back already; the skip is noted for its cool-down.
        AssignmentState::Expired => {
            end_as_skipped(connection, respond).await?;
            if let Some(again) = &standing.again {
                end_as_expired(connection, again, respond.now).await?;
                give_back(connection, &mine.pair).await?;
            }
            // A pair that others have filled does not linger.
            if standing.room || standing.again.is_some() {
                weigh_skips(connection, respond, mine).await?;
            }
            Ok(Responded::Recorded)
        }
        AssignmentState::Answered | AssignmentState::Withdrawn => Ok(Responded::Gone),
    }
}

/// Brings the pair to the moderators where enough people have skipped it.
async fn weigh_skips(connection: &mut Connection, respond: &Respond, mine: &Assignment) -> Result<()> {
    let Respond { reporting, person, now, .. } = respond;
    reports::skipped(connection, *reporting, &mine.sprint, &mine.pair, person, *now).await
}

async fn end_as_skipped(connection: &mut Connection, respond: &Respond) -> Result<()> {
    sqlx::query("UPDATE assignments SET state = 'skipped', ended_at = $2 WHERE id = $1")
        .bind(respond.assignment.as_str())
        .bind(respond.now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends this hold, whose place goes on to something else.
async fn end_as_expired(connection: &mut Connection, hold: &AssignmentId, now: Millis) -> Result<()> {
    sqlx::query("UPDATE assignments SET state = 'expired', ended_at = $2 WHERE id = $1")
        .bind(hold.as_str())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

async fn withdraw_response(
    connection: &mut Connection,
    pair: &str,
    person: &PersonId,
    now: Millis,
) -> Result<()> {
    sqlx::query("UPDATE responses SET state = 'taken_back', updated_at = $3 WHERE pair = $1 AND person = $2")
        .bind(pair)
        .bind(person.as_str())
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

async fn reopen(
    connection: &mut Connection,
    person: &PersonId,
    assignment: &AssignmentId,
    now: Millis,
    lease: Millis,
) -> Result<TakenBack> {
    let Some(mut mine) = find_one(connection, person, assignment).await? else {
        return checks::reopen(connection, person, assignment, now, lease).await;
    };
    let answered = mine.state == AssignmentState::Answered;
    if !answered && mine.state != AssignmentState::Skipped {
        return Ok(TakenBack::Nothing);
    }
    // Where the sprint is over, results may be known by now.
    if now - mine.ended_at.unwrap_or(0) > SECOND_THOUGHTS || mine.over {
        return Ok(TakenBack::Settled);
    }
    if standing(connection, assignment).await?.excluded {
        return Ok(TakenBack::Gone);
    }
    if answered || !mine.current {
        // A report is taken back with its answer; so is the last skip, where that withholds the pair.
        reports::take_back(connection, &mine.sprint, &mine.pair, person, now).await?;
        match find_one(connection, person, assignment).await? {
            Some(now) => mine = now,
            None => return Ok(TakenBack::Unknown),
        }
    }
    // An answer that counts leaves its own place to the hold; a skip and a surplus answer need a free one.
    let standing = standing(connection, assignment).await?;
    let has_place = answered && !standing.surplus;
    if !mine.current || (!has_place && !standing.room) {
        return Ok(TakenBack::Gone);
    }
    if answered {
        withdraw_response(connection, &mine.pair, person, now).await?;
    }
    let pair_update = if has_place {
        "UPDATE pairs SET answered = answered - 1, held = held + 1 WHERE id = $1"
    } else {
        "UPDATE pairs SET held = held + 1, slots = slots - 1, begun = 1 WHERE id = $1"
    };
    sqlx::query(pair_update).bind(&mine.pair).execute(&mut *connection).await?;
    sqlx::query("UPDATE assignments SET state = 'open', ended_at = NULL, expires_at = $2 WHERE id = $1")
        .bind(assignment.as_str())
        .bind(now + lease)
        .execute(&mut *connection)
        .await?;
    follow_answers(connection, &[&mine.pair]).await?;
    Ok(TakenBack::Open)
}
