//! Checks: showings that measure a person, kept in a table of their own, outside overlap, results and exports
//! (DESIGN: the words). The page gets them as it gets assignments, and cannot tell them apart.
//!
//! A repeat is a pair that the person has answered, with the sides swapped. A gold one has a known answer: it shows
//! a picture of its prompt beside one of another prompt, of another category where there are any, by the same model.
//! Both are made of pairs that this person will not be asked about: what they have answered, or what others have
//! filled. Their pictures have names of their own, so that no address tells that one was seen before.

use diptych_core::{Answer, AssignmentId, AssignmentState, CheckKind, PersonId, Side, SprintId};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::assignments::{Held, Take};
use crate::reports;
use crate::responses::{Respond, Responded, SECOND_THOUGHTS, TakenBack};
use crate::{Connection, Millis, Result, Store, StoreError};

/// Before a pair comes again, in milliseconds: long enough to have seen others meanwhile.
pub const REPEAT_AFTER: Millis = 2 * 60 * 1000;

/// Whether a person is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Checks {
    /// The sprint measures nobody.
    #[default]
    Off,
    /// It does, and not this time.
    NotNow,
    /// This time.
    Now(CheckDraw),
}

/// A check that is to be mixed in, drawn by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckDraw {
    /// Which kind.
    pub kind: CheckKind,
    /// So many new pairs it comes with; with fewer of them there is none.
    pub with: usize,
    /// Where its first image stands; a repeat stands the other way round than before.
    pub side: Side,
    /// Decides what is shown.
    pub lot: u64,
}

/// How a person has done in one kind of check.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct CheckCount {
    /// The name under which the person's answers are published.
    pub pseudonym: String,
    /// A word of [`CheckKind`].
    pub kind: String,
    /// So many times the answer was the expected one.
    pub passed: i64,
    /// So many times it was another that cannot be right: for a gold one, that the other prompt's picture is
    /// better or as good.
    pub failed: i64,
}

impl Store {
    /// How everybody has done in the sprint's checks.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn check_counts(&self, sprint: &SprintId) -> Result<Vec<CheckCount>> {
        Ok(sqlx::query_as(
            "SELECT pseudonym, checks.kind, \
             CAST(SUM(CASE WHEN answer = expected THEN 1 ELSE 0 END) AS BIGINT) AS passed, \
             CAST(SUM(CASE WHEN answer = expected OR answer = 'toxic_content' THEN 0 \
              WHEN checks.kind = 'gold' AND answer = 'both_bad' THEN 0 ELSE 1 END) AS BIGINT) AS failed \
             FROM checks JOIN pseudonyms ON pseudonyms.person = checks.person AND pseudonyms.sprint = checks.sprint \
             WHERE checks.sprint = $1 AND state = 'answered' GROUP BY pseudonym, checks.kind \
             ORDER BY pseudonym, checks.kind",
        )
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?)
    }
}

/// What a check is made of.
struct Made {
    pair: String,
    other: String,
    images: [String; 2],
    pictures: [String; 2],
    side: Side,
    expected: Answer,
    shown: Held,
}

/// Makes the check that was drawn, where there is anything to make it of.
pub(crate) async fn make(connection: &mut Connection, take: &Take, draw: CheckDraw) -> Result<Option<Held>> {
    let made = match draw.kind {
        CheckKind::Repeat => repeat(connection, take, draw).await?,
        CheckKind::Gold => gold(connection, take, draw).await?,
    };
    let Some(made) = made else { return Ok(None) };
    sqlx::query(
        "INSERT INTO checks (id, sprint, person, kind, pair, other, image_1, image_2, picture_1, picture_2, side, \
         expected, state, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'open', $13, $14)",
    )
    .bind(made.shown.id.as_str())
    .bind(take.sprint.as_str())
    .bind(take.person.as_str())
    .bind(draw.kind.as_str())
    .bind(&made.pair)
    .bind(&made.other)
    .bind(&made.images[0])
    .bind(&made.images[1])
    .bind(&made.pictures[0])
    .bind(&made.pictures[1])
    .bind(made.side.as_str())
    .bind(made.expected.as_str())
    .bind(take.now)
    .bind(made.shown.expires_at)
    .execute(connection)
    .await?;
    Ok(Some(made.shown))
}

/// How many rows are looked at for something to show.
const LOOK_AT: i64 = 32;

/// What this person has answered some time ago, from a moment on that the lot decides.
async fn answered(connection: &mut Connection, take: &Take, lot: u64) -> Result<Vec<AnyRow>> {
    // Those from that moment on come first; where that is near the end, there are those before it.
    let some = |round: u8, which: &str| {
        format!(
            "SELECT * FROM (SELECT {round} AS round, pair, answer, side, created_at FROM responses \
             WHERE sprint = $1 AND person = $2 AND {which} AND state <> 'taken_back' \
             ORDER BY created_at LIMIT {LOOK_AT}) AS some_{round}"
        )
    };
    let query = format!(
        "WITH first AS (SELECT MIN(created_at) AS at FROM responses WHERE sprint = $1 AND person = $2), \
         start AS (SELECT CASE WHEN at <= $3 THEN at + $4 % ($3 - at + 1) END AS at FROM first) \
         SELECT pairs.id, pairs.prompt, pairs.category, pairs.prompt_idx, image_1, image_2, model_1, model_2, canvas_width, \
         canvas_height, mine.answer, mine.side FROM ({} UNION ALL {}) AS mine JOIN pairs ON pairs.id = mine.pair \
         WHERE pairs.current AND (SELECT COUNT(*) FROM checks WHERE checks.sprint = $1 AND checks.person = $2 \
          AND checks.pair = pairs.id) = 0 ORDER BY mine.round, mine.created_at",
        some(0, "created_at >= (SELECT at FROM start) AND created_at <= $3"),
        some(1, "created_at < (SELECT at FROM start)"),
    );
    let query = sqlx::query(AssertSqlSafe(query)).bind(take.sprint.as_str()).bind(take.person.as_str());
    Ok(query.bind(take.now - REPEAT_AFTER).bind(number_of(lot)).fetch_all(connection).await?)
}

async fn repeat(connection: &mut Connection, take: &Take, draw: CheckDraw) -> Result<Option<Made>> {
    for row in answered(connection, take, draw.lot).await? {
        let (answer, side) = (answer(&row, "answer")?, side(&row, "side")?);
        if answer != Answer::ToxicContent {
            let images = [row.try_get("image_1")?, row.try_get("image_2")?];
            return made(take, &row, row.try_get("id")?, images, side.other(), answer).map(Some);
        }
    }
    Ok(None)
}

/// Pairs that others have filled and in which this person has no part, near a prompt that the lot decides.
async fn filled(connection: &mut Connection, take: &Take, lot: u64) -> Result<Vec<AnyRow>> {
    // Those from that prompt on come first; where that is near the end, there are the first ones.
    let some = |round: u8, from: &str| {
        format!(
            "SELECT * FROM (SELECT {round} AS round, pairs.* FROM pairs WHERE sprint = $1 AND prompt_idx >= {from} \
             ORDER BY prompt_idx LIMIT {LOOK_AT}) AS some_{round}"
        )
    };
    let query = format!(
        "SELECT id, prompt, category, prompt_idx, image_1, image_2, model_1, model_2, canvas_width, canvas_height \
         FROM ({} UNION ALL {}) AS near WHERE current AND answered >= overlap AND held = 0 \
         AND (SELECT COUNT(*) FROM assignments WHERE pair = near.id AND person = $2) = 0 \
         AND (SELECT COUNT(*) FROM checks WHERE checks.sprint = $1 AND checks.person = $2 \
          AND checks.pair = near.id) = 0 ORDER BY round, prompt_idx, id",
        some(0, "$3 % (SELECT COALESCE(MAX(prompt_idx), 0) + 1 FROM pairs WHERE sprint = $1)"),
        some(1, "0"),
    );
    let query = sqlx::query(AssertSqlSafe(query)).bind(take.sprint.as_str()).bind(take.person.as_str());
    Ok(query.bind(number_of(lot)).fetch_all(connection).await?)
}

/// A lot as databases know numbers: without its highest bit, by which [`gold`] goes.
fn number_of(lot: u64) -> i64 {
    (lot & (u64::MAX >> 1)).cast_signed()
}

async fn gold(connection: &mut Connection, take: &Take, draw: CheckDraw) -> Result<Option<Made>> {
    let mut rows = filled(connection, take, draw.lot).await?;
    rows.extend(answered(connection, take, draw.lot).await?);
    let text = |row: &AnyRow, column: &str| row.try_get::<String, _>(column);
    let fits = |one: &AnyRow, other: &AnyRow| -> Result<bool> {
        let same = |column: &str| Ok::<_, StoreError>(number(one, column)? == number(other, column)?);
        let (category, another) = (text(one, "category")?, text(other, "category")?);
        let apart = category != another || category.is_empty();
        Ok(same("canvas_width")? && same("canvas_height")? && !same("prompt_idx")? && apart)
    };
    let Some(own) = rows.first() else { return Ok(None) };
    let mine = if draw.lot >> 63 == 0 { "1" } else { "2" };
    for other in &rows[1..] {
        if !fits(own, other)? {
            continue;
        }
        for theirs in ["1", "2"] {
            // The same model's, so that no style gives the answer away.
            if text(own, &format!("model_{mine}"))? == text(other, &format!("model_{theirs}"))? {
                let images = [text(own, &format!("image_{mine}"))?, text(other, &format!("image_{theirs}"))?];
                return made(take, own, other.try_get("id")?, images, draw.side, Answer::Image1).map(Some);
            }
        }
    }
    Ok(None)
}

fn made(
    take: &Take,
    row: &AnyRow,
    other: String,
    images: [String; 2],
    side: Side,
    expected: Answer,
) -> Result<Made> {
    let pictures = [(); 2].map(|()| uuid::Uuid::new_v4().simple().to_string());
    let (left, right) = match side {
        Side::Left => (pictures[0].clone(), pictures[1].clone()),
        Side::Right => (pictures[1].clone(), pictures[0].clone()),
    };
    let shown = Held {
        id: AssignmentId::new(),
        prompt: row.try_get("prompt")?,
        category: row.try_get("category")?,
        left,
        right,
        canvas: (number(row, "canvas_width")?, number(row, "canvas_height")?),
        expires_at: take.now + take.lease,
    };
    Ok(Made { pair: row.try_get("id")?, other, images, pictures, side, expected, shown })
}

fn number(row: &AnyRow, column: &str) -> Result<i64> {
    Ok(row.try_get(column)?)
}

fn answer(row: &AnyRow, column: &str) -> Result<Answer> {
    let word: String = row.try_get(column)?;
    Answer::from_word(&word).ok_or(StoreError::UnknownWord { table: "checks", word })
}

fn side(row: &AnyRow, column: &str) -> Result<Side> {
    let word: String = row.try_get(column)?;
    Side::from_word(&word).ok_or(StoreError::UnknownWord { table: "checks", word })
}

/// A check of a person, as its row says.
struct Check {
    sprint: SprintId,
    pair: String,
    other: String,
    side: Side,
    state: AssignmentState,
    answer: Option<Answer>,
    ended_at: Option<Millis>,
    current: bool,
    /// Whether the person's answers do not count.
    excluded: bool,
    /// Whether the person has a pseudonym in this sprint.
    named: bool,
}

async fn find(connection: &mut Connection, person: &PersonId, id: &AssignmentId) -> Result<Option<Check>> {
    let row = sqlx::query(
        "SELECT checks.sprint, pair, other, side, state, COALESCE(answer, '') AS answer, ended_at, \
         CASE WHEN pairs.current AND others.current THEN 1 ELSE 0 END AS current, \
         (SELECT COUNT(*) FROM exclusions e WHERE e.sprint = checks.sprint AND e.person = checks.person \
          AND e.ended_at IS NULL) AS excluded, \
         (SELECT COUNT(*) FROM pseudonyms p WHERE p.sprint = checks.sprint AND p.person = checks.person) AS named \
         FROM checks \
         JOIN pairs ON pairs.id = checks.pair JOIN pairs others ON others.id = checks.other \
         WHERE checks.id = $1 AND person = $2",
    )
    .bind(id.as_str())
    .bind(person.as_str())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let state: String = row.try_get("state")?;
    Ok(Some(Check {
        sprint: SprintId::from_text(row.try_get::<String, _>("sprint")?),
        pair: row.try_get("pair")?,
        other: row.try_get("other")?,
        side: side(&row, "side")?,
        state: AssignmentState::from_word(&state)
            .ok_or(StoreError::UnknownWord { table: "checks", word: state })?,
        answer: Answer::from_word(&row.try_get::<String, _>("answer")?),
        ended_at: row.try_get("ended_at")?,
        current: number(&row, "current")? == 1,
        excluded: number(&row, "excluded")? > 0,
        named: number(&row, "named")? > 0,
    }))
}

impl Check {
    /// The pairs that it shows pictures of.
    fn pairs(&self) -> impl Iterator<Item = &str> {
        let other = (self.other != self.pair).then_some(self.other.as_str());
        std::iter::once(self.pair.as_str()).chain(other)
    }

    /// Takes a report of these pictures back, where the answer was one.
    async fn take_report_back(
        &self,
        connection: &mut Connection,
        person: &PersonId,
        now: Millis,
    ) -> Result<()> {
        if self.answer == Some(Answer::ToxicContent) {
            for pair in self.pairs() {
                reports::take_back(connection, &self.sprint, pair, person, now).await?;
            }
        }
        Ok(())
    }
}

/// Takes an answer to a check in, if that is what the id stands for: by the rules for any other answer.
pub(crate) async fn record(connection: &mut Connection, respond: &Respond) -> Result<Responded> {
    let Some(check) = find(connection, &respond.person, &respond.assignment).await? else {
        return Ok(Responded::Unknown);
    };
    let given = respond.choice.answer(check.side);
    let first = match (check.state, given) {
        (AssignmentState::Withdrawn, _) => return Ok(Responded::Gone),
        (AssignmentState::Answered, given) if given.is_some() && given == check.answer => {
            return Ok(Responded::Repeated);
        }
        (AssignmentState::Skipped, None) => return Ok(Responded::Repeated),
        (AssignmentState::Answered, _) if respond.now - check.ended_at.unwrap_or(0) > SECOND_THOUGHTS => {
            return Ok(Responded::Settled);
        }
        (AssignmentState::Answered, _) => false,
        _ if !check.current || check.excluded => return Ok(Responded::Gone),
        _ => true,
    };
    check.take_report_back(connection, &respond.person, respond.now).await?;
    let state = if given.is_some() { AssignmentState::Answered } else { AssignmentState::Skipped };
    sqlx::query(
        "UPDATE checks SET state = $2, answer = $3, duration_ms = COALESCE($4, duration_ms), \
         ended_at = COALESCE($5, ended_at), comment = COALESCE($6, comment) WHERE id = $1",
    )
    .bind(respond.assignment.as_str())
    .bind(state.as_str())
    .bind(given.map(Answer::as_str))
    .bind(respond.duration_ms)
    .bind(first.then_some(respond.now))
    .bind(respond.comment.as_deref())
    .execute(&mut *connection)
    .await?;
    if first && given.is_some() && !check.named {
        Store::pseudonym(connection, &check.sprint, &respond.person).await?;
    }
    if given == Some(Answer::ToxicContent) {
        let Respond { reporting, person, now, .. } = respond;
        for pair in check.pairs() {
            reports::report(connection, *reporting, &check.sprint, pair, person, *now).await?;
        }
    }
    Ok(if first { Responded::Recorded } else { Responded::Replaced })
}

/// Takes an answer to a check back, if that is what the id stands for.
pub(crate) async fn reopen(
    connection: &mut Connection,
    person: &PersonId,
    id: &AssignmentId,
    now: Millis,
    lease: Millis,
) -> Result<TakenBack> {
    let Some(check) = find(connection, person, id).await? else { return Ok(TakenBack::Unknown) };
    if !matches!(check.state, AssignmentState::Answered | AssignmentState::Skipped) {
        return Ok(TakenBack::Nothing);
    }
    if now - check.ended_at.unwrap_or(0) > SECOND_THOUGHTS {
        return Ok(TakenBack::Settled);
    }
    check.take_report_back(connection, person, now).await?;
    match find(connection, person, id).await? {
        Some(check) if check.current && !check.excluded => {}
        _ => return Ok(TakenBack::Gone),
    }
    sqlx::query(
        "UPDATE checks SET state = 'open', answer = NULL, ended_at = NULL, expires_at = $2 WHERE id = $1",
    )
    .bind(id.as_str())
    .bind(now + lease)
    .execute(connection)
    .await?;
    Ok(TakenBack::Open)
}
