//! Checks: showings that measure a person, kept in a table of their own, outside overlap, results and exports
//! (DESIGN: the words). The page gets them as it gets assignments, and cannot tell them apart.
//!
//! A repeat is a pair that the person has answered, with the sides swapped. A gold one has a known answer: it shows
//! a picture of its prompt beside one of another prompt, of another category where there are any, by the same model.
//! Both are made of pairs that this person will not be asked about: what they have answered, or what others have
//! filled. Their pictures have names of their own, so that no address tells that one was seen before.

use std::collections::HashMap;

use diptych_core::{Answer, AssignmentId, AssignmentState, CheckKind, PersonId, Side, SprintId};
use serde::Deserialize;
use sqlx::AssertSqlSafe;

use crate::assignments::{Held, Take};
use crate::reports;
use crate::responses::{Respond, Responded, SECOND_THOUGHTS, TakenBack, is_over};
use crate::standings::COUNTS;
use crate::{
    Connection, Millis, Result, Store, any, padded_rows, padded_with, places, rows_as_one, rows_at_once,
    rows_in, value_rows,
};

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
    /// So many answers of this person of the same day, UTC, count by then, or there is none.
    pub after: i64,
    /// Where its first image stands; a repeat stands the other way round than before.
    pub side: Side,
    /// Decides what is shown.
    pub lot: u64,
    /// Under which names its pictures are shown: as random as those of a pair, so that none tells which it is.
    pub pictures: [u128; 2],
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

/// A check that is to be written down.
pub(crate) struct NewCheck<'t> {
    pub(crate) take: &'t Take,
    kind: CheckKind,
    pair: String,
    other: String,
    images: [String; 2],
    pictures: [String; 2],
    side: Side,
    expected: Answer,
    pub(crate) shown: Held,
}

const DAY: Millis = 24 * 3600 * 1000;

/// The check that was drawn, under this id, where there is anything to make it of.
pub(crate) async fn draw<'t>(
    connection: &mut Connection,
    take: &'t Take,
    draw: CheckDraw,
    id: &AssignmentId,
) -> Result<Option<NewCheck<'t>>> {
    let query = format!(
        "SELECT COUNT(*) FROM (SELECT id FROM responses WHERE sprint = $1 AND person = $2 \
         AND {COUNTS} AND created_at >= $3 LIMIT $4) AS given"
    );
    let query =
        sqlx::query_scalar(AssertSqlSafe(query)).bind(take.sprint.as_str()).bind(take.person.as_str());
    let today = take.now - take.now.rem_euclid(DAY);
    let answers: i64 = query.bind(today).bind(draw.after).fetch_one(&mut *connection).await?;
    if answers < draw.after {
        return Ok(None);
    }
    match draw.kind {
        CheckKind::Repeat => repeat(connection, take, draw, id).await,
        CheckKind::Gold => gold(connection, take, draw, id).await,
    }
}

/// Writes down what was drawn.
pub(crate) async fn write_down(connection: &mut Connection, checks: &[NewCheck<'_>]) -> Result<()> {
    for checks in checks.chunks(rows_at_once(15)) {
        let query = format!(
            "INSERT INTO checks (id, sprint, person, kind, pair, other, image_1, image_2, picture_1, picture_2, side, \
             expected, state, created_at, expires_at) VALUES {}",
            value_rows(checks.len(), 15)
        );
        let mut query = sqlx::query(AssertSqlSafe(query));
        for check in checks {
            query = query
                .bind(check.shown.id.as_str())
                .bind(check.take.sprint.as_str())
                .bind(check.take.person.as_str())
                .bind(check.kind.as_str())
                .bind(&check.pair)
                .bind(&check.other)
                .bind(&check.images[0])
                .bind(&check.images[1])
                .bind(&check.pictures[0])
                .bind(&check.pictures[1])
                .bind(check.side.as_str())
                .bind(check.expected.as_str())
                .bind(AssignmentState::Open.as_str())
                .bind(check.take.now)
                .bind(check.shown.expires_at);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// A pair that a check may be made of. Its columns are [`OF_PAIR`], and an answer with the side of it, if it is asked for.
#[derive(Deserialize)]
struct Source {
    id: String,
    prompt: String,
    category: String,
    prompt_idx: i64,
    image_1: String,
    image_2: String,
    model_1: String,
    model_2: String,
    canvas_width: i64,
    canvas_height: i64,
    answer: Option<Answer>,
    side: Option<Side>,
}

const OF_PAIR: &str =
    "id, prompt, category, prompt_idx, image_1, image_2, model_1, model_2, canvas_width, canvas_height";

impl Source {
    /// The picture of one place, 0 or 1, and the model that made it.
    fn image(&self, place: usize) -> (&str, &str) {
        match place {
            0 => (&self.image_1, &self.model_1),
            _ => (&self.image_2, &self.model_2),
        }
    }

    /// Whether a picture of the other one may stand beside one of this one: of another prompt, and of another category
    /// where there are any.
    fn fits(&self, other: &Self) -> bool {
        self.canvas_width == other.canvas_width
            && self.canvas_height == other.canvas_height
            && self.prompt_idx != other.prompt_idx
            && (self.category != other.category || self.category.is_empty())
    }
}

/// How many rows are looked at for something to show.
const LOOK_AT: i64 = 16;

/// What this person has answered some time ago, from a moment on that the lot decides.
async fn answered(connection: &mut Connection, take: &Take, lot: u64) -> Result<Vec<Source>> {
    // Those from that moment on come first; where that is near the end, there are those before it.
    let some = |round: u8, which: &str| {
        format!(
            "SELECT * FROM (SELECT {round} AS round, pair, answer, side, created_at FROM responses \
             WHERE sprint = $1 AND person = $2 AND {which} AND state <> 'taken_back' \
             ORDER BY created_at LIMIT {LOOK_AT}) AS some_{round}"
        )
    };
    let from = format!(
        "({} UNION ALL {}) AS past JOIN pairs ON pairs.id = past.pair WHERE pairs.current \
         AND (SELECT COUNT(*) FROM checks WHERE checks.sprint = $1 AND checks.person = $2 \
          AND checks.pair = pairs.id) = 0",
        some(0, "created_at >= (SELECT at FROM start) AND created_at <= $3"),
        some(1, "created_at < (SELECT at FROM start)"),
    );
    let columns = format!("{OF_PAIR}, past.answer, past.side");
    let query = format!(
        "WITH first AS (SELECT MIN(created_at) AS at FROM responses WHERE sprint = $1 AND person = $2), \
         start AS (SELECT CASE WHEN at <= $3 THEN at + $4 % ($3 - at + 1) END AS at FROM first) {}",
        rows_as_one(connection, &columns, "ORDER BY past.round, past.created_at", &from)
    );
    let query =
        sqlx::query_scalar(AssertSqlSafe(query)).bind(take.sprint.as_str()).bind(take.person.as_str());
    let rows: String = query.bind(take.now - REPEAT_AFTER).bind(number_of(lot)).fetch_one(connection).await?;
    rows_in(&rows)
}

async fn repeat<'t>(
    connection: &mut Connection,
    take: &'t Take,
    draw: CheckDraw,
    id: &AssignmentId,
) -> Result<Option<NewCheck<'t>>> {
    for pair in answered(connection, take, draw.lot).await? {
        if let (Some(answer), Some(side)) = (pair.answer, pair.side)
            && answer != Answer::ToxicContent
        {
            let shows = (pair.id.clone(), [pair.image_1.clone(), pair.image_2.clone()]);
            return Ok(Some(made(take, draw, id, pair, shows, side.other(), answer)));
        }
    }
    Ok(None)
}

/// Pairs that others have filled and in which this person has no part, near a prompt that the lot decides.
async fn filled(connection: &mut Connection, take: &Take, lot: u64) -> Result<Vec<Source>> {
    // Those from that prompt on come first, then those half the sprint away: there, too, where the prompt is near the
    // end, and of other categories, where each one's prompts stand together.
    let prompts = "(SELECT COALESCE(MAX(prompt_idx), 0) + 1 FROM pairs WHERE sprint = $1)";
    let some = |round: u8, away: &str| {
        format!(
            "SELECT * FROM (SELECT {round} AS round, pairs.* FROM pairs WHERE sprint = $1 \
             AND prompt_idx >= ($3 % {prompts} + {away}) % {prompts} ORDER BY prompt_idx LIMIT {LOOK_AT}) AS some_{round}"
        )
    };
    let from = format!(
        "({} UNION ALL {}) AS near WHERE current AND answered >= overlap AND held = 0 \
         AND (SELECT COUNT(*) FROM assignments WHERE pair = near.id AND person = $2) = 0 \
         AND (SELECT COUNT(*) FROM checks WHERE checks.sprint = $1 AND checks.person = $2 \
          AND checks.pair = near.id) = 0",
        some(0, "0"),
        some(1, &format!("{prompts} / 2")),
    );
    let columns = format!("{OF_PAIR}, NULL, NULL");
    let query = rows_as_one(connection, &columns, "ORDER BY round, prompt_idx, id", &from);
    let query =
        sqlx::query_scalar(AssertSqlSafe(query)).bind(take.sprint.as_str()).bind(take.person.as_str());
    let rows: String = query.bind(number_of(lot)).fetch_one(connection).await?;
    rows_in(&rows)
}

/// A lot as databases know numbers: without its highest bit, by which [`gold`] goes.
fn number_of(lot: u64) -> i64 {
    (lot & (u64::MAX >> 1)).cast_signed()
}

async fn gold<'t>(
    connection: &mut Connection,
    take: &'t Take,
    draw: CheckDraw,
    id: &AssignmentId,
) -> Result<Option<NewCheck<'t>>> {
    let mut pairs = filled(connection, take, draw.lot).await?;
    let mut found = gold_of(&pairs, draw);
    if found.is_none() {
        pairs.extend(answered(connection, take, draw.lot).await?);
        found = gold_of(&pairs, draw);
    }
    Ok(found.map(|shows| made(take, draw, id, pairs.swap_remove(0), shows, draw.side, Answer::Image1)))
}

/// A picture of the first of these pairs beside one of the first other that fits: that pair, and both pictures.
fn gold_of(pairs: &[Source], draw: CheckDraw) -> Option<(String, [String; 2])> {
    let (own, others) = pairs.split_first()?;
    let (image, model) = own.image(usize::from(draw.lot >> 63 != 0));
    for other in others.iter().filter(|other| own.fits(other)) {
        // The same model's, so that no style gives the answer away.
        let theirs = [0, 1].into_iter().map(|place| other.image(place)).find(|(_, theirs)| *theirs == model);
        if let Some((theirs, _)) = theirs {
            return Some((other.id.clone(), [image.to_owned(), theirs.to_owned()]));
        }
    }
    None
}

fn made<'t>(
    take: &'t Take,
    CheckDraw { kind, pictures: names, .. }: CheckDraw,
    id: &AssignmentId,
    pair: Source,
    (other, images): (String, [String; 2]),
    side: Side,
    expected: Answer,
) -> NewCheck<'t> {
    let pictures = names.map(|name| format!("{name:032x}"));
    let (left, right) = match side {
        Side::Left => (pictures[0].clone(), pictures[1].clone()),
        Side::Right => (pictures[1].clone(), pictures[0].clone()),
    };
    let shown = Held {
        id: id.clone(),
        prompt: pair.prompt,
        category: pair.category,
        left,
        right,
        canvas: (pair.canvas_width, pair.canvas_height),
        expires_at: take.now + take.lease,
    };
    NewCheck { take, kind, pair: pair.id, other, images, pictures, side, expected, shown }
}

/// A check of a person, as [`rows`] asks for it.
#[derive(Deserialize)]
pub(crate) struct Check {
    pub(crate) id: AssignmentId,
    person: PersonId,
    sprint: SprintId,
    pair: String,
    other: String,
    side: Side,
    state: AssignmentState,
    answer: Option<Answer>,
    ended_at: Option<Millis>,
    expires_at: Millis,
    #[serde(deserialize_with = "any")]
    current: bool,
    /// Whether the person's answers do not count.
    #[serde(deserialize_with = "any")]
    excluded: bool,
    /// Whether the person has a pseudonym in this sprint.
    #[serde(deserialize_with = "any")]
    named: bool,
    /// Whether the sprint asks nobody any more.
    #[serde(deserialize_with = "any")]
    over: bool,
}

/// Asks for the checks `$1`, `$2` and so on, so many.
pub(crate) fn rows(connection: &Connection, count: usize) -> String {
    let columns = format!(
        "checks.id, checks.person, checks.sprint, pair, other, side, state, answer, ended_at, checks.expires_at, \
         CASE WHEN pairs.current AND others.current THEN 1 ELSE 0 END, \
         (SELECT COUNT(*) FROM exclusions e WHERE e.sprint = checks.sprint AND e.person = checks.person \
          AND e.ended_at IS NULL), \
         (SELECT COUNT(*) FROM pseudonyms p WHERE p.sprint = checks.sprint AND p.person = checks.person), {}",
        is_over("checks.sprint")
    );
    let from = "checks JOIN pairs ON pairs.id = checks.pair JOIN pairs others ON others.id = checks.other \
         WHERE checks.id IN";
    rows_as_one(connection, &columns, "", &format!("{from} ({})", places(1, count)))
}

/// The check, where it is this person's.
async fn find_one(
    connection: &mut Connection,
    person: &PersonId,
    id: &AssignmentId,
) -> Result<Option<Check>> {
    let query = sqlx::query_scalar(AssertSqlSafe(rows(connection, 1))).bind(id.as_str());
    let found: String = query.fetch_one(connection).await?;
    Ok(rows_in(&found)?.pop().filter(|check: &Check| check.person == *person))
}

impl Check {
    /// Whether a first answer to it is taken.
    fn takes(&self, respond: &Respond) -> bool {
        self.current && !self.excluded && !(self.over && self.expires_at <= respond.now)
    }

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

/// Takes answers to checks in, if that is what the ids stand for: by the rules for any others. First answers, which
/// nearly all are, go together. `found` are the checks among them, as they were before.
pub(crate) async fn record_all(
    connection: &mut Connection,
    answers: &[&Respond],
    found: &HashMap<AssignmentId, Check>,
) -> Result<Vec<Responded>> {
    let first: Vec<Option<(&Respond, &Check, Answer)>> = answers
        .iter()
        .map(|respond| {
            let check = found.get(&respond.assignment).filter(|check| check.person == respond.person)?;
            // Two about one check: the second is about what the first one did.
            let once = answers.iter().filter(|other| other.assignment == respond.assignment).count() == 1;
            let plain = check.state == AssignmentState::Open && check.takes(respond);
            let answer = (plain && once).then(|| respond.choice.answer(check.side))??;
            (answer != Answer::ToxicContent).then_some((*respond, check, answer))
        })
        .collect();
    answer_open(connection, &first.iter().copied().flatten().collect::<Vec<_>>()).await?;
    let mut outcomes = Vec::with_capacity(answers.len());
    for (respond, first) in answers.iter().zip(first) {
        outcomes.push(match first {
            Some(_) => Responded::Recorded,
            None if found.contains_key(&respond.assignment) => record(connection, respond).await?,
            None => Responded::Unknown,
        });
    }
    Ok(outcomes)
}

/// Records first answers to checks that are open.
async fn answer_open(connection: &mut Connection, answers: &[(&Respond, &Check, Answer)]) -> Result<()> {
    if answers.is_empty() {
        return Ok(());
    }
    let unnamed = answers.iter().filter(|(_, check, _)| !check.named);
    let unnamed: Vec<_> = unnamed.map(|(_, check, _)| (&check.sprint, &check.person)).collect();
    Store::pseudonyms(connection, &unnamed).await?;

    let query = format!(
        "UPDATE checks SET state = '{}', answer = given.column2, ended_at = given.column5, \
         duration_ms = COALESCE(given.column3, duration_ms), comment = COALESCE(given.column4, comment) \
         FROM (VALUES {}) AS given WHERE checks.id = given.column1",
        AssignmentState::Answered.as_str(),
        padded_rows(answers.len(), 5)
    );
    let rows: Vec<_> = answers
        .iter()
        .map(|(respond, _, answer)| {
            let (id, comment) = (respond.assignment.as_str(), respond.comment.as_deref());
            (id, answer.as_str(), respond.duration_ms, comment, respond.now)
        })
        .collect();
    let mut query = sqlx::query(AssertSqlSafe(query));
    // An empty id is no check's.
    for (id, answer, duration_ms, comment, now) in padded_with(&rows, &("", "", None, None, 0)) {
        query = query.bind(*id).bind(*answer).bind(*duration_ms).bind(*comment).bind(*now);
    }
    query.execute(connection).await?;
    Ok(())
}

/// Records one answer, whatever has become of its check.
async fn record(connection: &mut Connection, respond: &Respond) -> Result<Responded> {
    let Some(check) = find_one(connection, &respond.person, &respond.assignment).await? else {
        return Ok(Responded::Unknown);
    };
    let given = respond.choice.answer(check.side);
    let first = match (check.state, given) {
        (AssignmentState::Withdrawn, _) => return Ok(Responded::Gone),
        (AssignmentState::Answered, given) if given.is_some() && given == check.answer => {
            return Ok(Responded::Repeated);
        }
        (AssignmentState::Skipped, None) => return Ok(Responded::Repeated),
        (AssignmentState::Answered, _)
            if respond.now - check.ended_at.unwrap_or(0) > SECOND_THOUGHTS || check.over =>
        {
            return Ok(Responded::Settled);
        }
        (AssignmentState::Answered, _) => false,
        _ if !check.takes(respond) => return Ok(Responded::Gone),
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
        Store::pseudonyms(connection, &[(&check.sprint, &respond.person)]).await?;
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
    let Some(check) = find_one(connection, person, id).await? else { return Ok(TakenBack::Unknown) };
    if !matches!(check.state, AssignmentState::Answered | AssignmentState::Skipped) {
        return Ok(TakenBack::Nothing);
    }
    if now - check.ended_at.unwrap_or(0) > SECOND_THOUGHTS || check.over {
        return Ok(TakenBack::Settled);
    }
    check.take_report_back(connection, person, now).await?;
    match find_one(connection, person, id).await? {
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
