//! Reports: answers `toxic_content`, which withdraw a pair until moderators have looked at it.

use diptych_core::{AssignmentId, PairId, PersonId, SprintId};

use crate::reviews::{NewReview, Verdict};
use crate::{Connection, Millis, Result, Store};

/// When reports withdraw a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reporting {
    /// So many reports do.
    pub needed: u32,
    /// So many of one person's within a day count.
    pub per_day: u32,
    /// So many people who skip a pair bring it to the moderators.
    pub skips: u32,
}

impl Default for Reporting {
    fn default() -> Self {
        Self { needed: 1, per_day: 10, skips: 3 }
    }
}

const DAY: Millis = 24 * 3600 * 1000;

/// From so many overturned reports on, where they are more than the upheld ones, a person's report needs a
/// second one beside it.
const OFTEN_OVERTURNED: i64 = 3;

/// A pair that waits for the moderators.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ReportedPair {
    /// The pair.
    pub pair: String,
    /// Its first image.
    pub image_1: String,
    /// Its second image.
    pub image_2: String,
    /// How many reports of toxic content are open; none where several people have skipped it.
    pub reports: i64,
    /// Since when.
    pub since: Millis,
}

impl Store {
    /// The pairs with reports that no moderator has ended, the oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reported_pairs(&self, sprint: &SprintId) -> Result<Vec<ReportedPair>> {
        Ok(sqlx::query_as(
            "SELECT pairs.id AS pair, image_1, image_2, \
             CAST(SUM(CASE WHEN reports.kind = 'toxic' THEN 1 ELSE 0 END) AS BIGINT) AS reports, MIN(reports.created_at) AS since \
             FROM reports JOIN pairs ON pairs.id = reports.pair \
             WHERE reports.sprint = $1 AND reports.state IN ('open', 'beyond_quota') \
             GROUP BY pairs.id, image_1, image_2 ORDER BY MIN(reports.created_at), pairs.id",
        )
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?)
    }

    /// How many pairs wait for the moderators because of reports.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn waiting_reports(&self, sprint: &SprintId) -> Result<i64> {
        Ok(sqlx::query_scalar(
            "SELECT COUNT(DISTINCT pair) FROM reports WHERE sprint = $1 AND state IN ('open', 'beyond_quota')",
        )
        .bind(sprint.as_str())
        .fetch_one(self.readers())
        .await?)
    }

    /// Whether reports or skips withhold the pair of this assignment.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn is_withheld(&self, assignment: &AssignmentId) -> Result<bool> {
        let query = "SELECT COUNT(*) FROM assignments JOIN pairs ON pairs.id = assignments.pair \
             WHERE assignments.id = $1 AND pairs.reported";
        let one: i64 = sqlx::query_scalar(query).bind(assignment.as_str()).fetch_one(self.lookups()).await?;
        Ok(one > 0)
    }

    /// The keys of pairs that reports withhold.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn withheld_pairs(&self, sprint: &SprintId) -> Result<std::collections::HashSet<String>> {
        let keys: Vec<String> = sqlx::query_scalar("SELECT key FROM pairs WHERE sprint = $1 AND reported")
            .bind(sprint.as_str())
            .fetch_all(self.readers())
            .await?;
        Ok(keys.into_iter().collect())
    }

    /// What became of this person's reports: (open, upheld, overturned).
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn reports_of(&self, sprint: &SprintId, person: &PersonId) -> Result<(i64, i64, i64)> {
        let of = |state: &'static str| async move {
            sqlx::query_scalar(
                "SELECT COUNT(*) FROM reports WHERE sprint = $1 AND person = $2 AND state = $3 AND kind = 'toxic'",
            )
            .bind(sprint.as_str())
            .bind(person.as_str())
            .bind(state)
            .fetch_one(self.readers())
            .await
        };
        Ok((of("open").await?, of("upheld").await?, of("overturned").await?))
    }
}

/// Somebody reports a pair: it is withdrawn where the reports on it are enough.
pub(crate) async fn report(
    connection: &mut Connection,
    reporting: Reporting,
    sprint: &SprintId,
    pair: &str,
    person: &PersonId,
    now: Millis,
) -> Result<()> {
    let today: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM reports WHERE sprint = $1 AND person = $2 AND created_at > $3 \
         AND state <> 'taken_back' AND kind = 'toxic' AND pair <> $4",
    )
    .bind(sprint.as_str())
    .bind(person.as_str())
    .bind(now - DAY)
    .bind(pair)
    .fetch_one(&mut *connection)
    .await?;
    let state = if today >= i64::from(reporting.per_day) { "beyond_quota" } else { "open" };
    note(connection, sprint, pair, person, [TOXIC, state], reporting.needed, now).await?;
    weigh(connection, sprint, pair, now).await
}

/// What a report can be of: toxic content, or that several people have skipped the pair.
const TOXIC: &str = "toxic";
const SKIPPED: &str = "skipped";

/// Writes a report down, in place of what the same person has said of the same kind before.
async fn note(
    connection: &mut Connection,
    sprint: &SprintId,
    pair: &str,
    person: &PersonId,
    [kind, state]: [&str; 2],
    needed: u32,
    now: Millis,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO reports (id, sprint, pair, person, kind, state, needed, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (pair, person, kind) DO UPDATE SET \
         state = excluded.state, needed = excluded.needed, created_at = excluded.created_at, ended_at = NULL, \
         ended_by = NULL",
    )
    .bind(PairId::new().as_str())
    .bind(sprint.as_str())
    .bind(pair)
    .bind(person.as_str())
    .bind(kind)
    .bind(state)
    .bind(i64::from(needed))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Somebody has skipped a pair: where as many have since moderators last looked at it, it goes to them, so that no
/// pair lingers that nobody wants to answer.
pub(crate) async fn skipped(
    connection: &mut Connection,
    reporting: Reporting,
    sprint: &SprintId,
    pair: &str,
    person: &PersonId,
    now: Millis,
) -> Result<()> {
    let people: i64 = sqlx::query_scalar(
        "SELECT COUNT(DISTINCT person) FROM assignments WHERE pair = $1 AND state = 'skipped' AND ended_at > \
         COALESCE((SELECT MAX(ended_at) FROM reports WHERE pair = $1 AND kind = 'skipped' AND state <> 'taken_back'), 0)",
    )
    .bind(pair)
    .fetch_one(&mut *connection)
    .await?;
    if people < i64::from(reporting.skips) {
        return Ok(());
    }
    note(connection, sprint, pair, person, [SKIPPED, "open"], 1, now).await?;
    weigh(connection, sprint, pair, now).await
}

/// Somebody takes back what they said of a pair, a report or the last skip that it took: the pair goes on where nothing
/// else withholds it.
pub(crate) async fn take_back(
    connection: &mut Connection,
    sprint: &SprintId,
    pair: &str,
    person: &PersonId,
    now: Millis,
) -> Result<()> {
    let taken_back = sqlx::query(
        "UPDATE reports SET state = 'taken_back', ended_at = $3 \
         WHERE pair = $1 AND person = $2 AND state IN ('open', 'beyond_quota')",
    )
    .bind(pair)
    .bind(person.as_str())
    .bind(now)
    .execute(&mut *connection)
    .await?;
    if taken_back.rows_affected() == 0 {
        return Ok(());
    }
    weigh(connection, sprint, pair, now).await
}

/// Withholds a pair whose open reports are enough, and gives it back where they are not.
async fn weigh(connection: &mut Connection, sprint: &SprintId, pair: &str, now: Millis) -> Result<()> {
    // Who is often overturned, and who is a guest, of whom one person may be many, counts only beside somebody else.
    let (needed, all, trusted): (i64, i64, i64) = sqlx::query_as(
        "SELECT COALESCE(MAX(needed), 1), COUNT(*), CAST(COALESCE(SUM(CASE WHEN kind = 'toxic' AND (guest > 0 OR overturned >= $3 AND overturned > upheld) THEN 0 ELSE 1 END), 0) \
         AS BIGINT) FROM (SELECT needed, mine.kind, \
          (SELECT COUNT(*) FROM people WHERE people.id = mine.person AND people.kind = 'guest') AS guest, \
          (SELECT COUNT(*) FROM reports r WHERE r.sprint = $1 AND r.person = mine.person AND r.kind = 'toxic' AND r.state = 'overturned') \
           AS overturned, \
          (SELECT COUNT(*) FROM reports r WHERE r.sprint = $1 AND r.person = mine.person AND r.kind = 'toxic' AND r.state = 'upheld') \
           AS upheld \
          FROM reports mine WHERE mine.pair = $2 AND mine.state = 'open') AS reporters",
    )
    .bind(sprint.as_str())
    .bind(pair)
    .bind(OFTEN_OVERTURNED)
    .fetch_one(&mut *connection)
    .await?;
    set_reported(connection, pair, trusted >= needed || all > needed, now).await
}

async fn set_reported(connection: &mut Connection, pair: &str, reported: bool, now: Millis) -> Result<()> {
    sqlx::query("UPDATE pairs SET reported = $2 WHERE id = $1")
        .bind(pair)
        .bind(reported)
        .execute(&mut *connection)
        .await?;
    crate::pairs::show_as_wanted(connection, pair, now).await
}

/// A moderator has looked at this image: reports about pairs with it end where that decides them.
///
/// A rejected image upholds them. They are overturned once both images of the pair stand approved since
/// the report came. Where the moderator takes that back, they are open again.
pub(crate) async fn reviewed(
    connection: &mut Connection,
    sprint: &SprintId,
    image: &str,
    review: &NewReview,
) -> Result<()> {
    let pairs: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT DISTINCT pairs.id, image_1, image_2 FROM reports JOIN pairs ON pairs.id = reports.pair \
         WHERE reports.sprint = $1 AND (image_1 = $2 OR image_2 = $2) AND reports.state <> 'taken_back'",
    )
    .bind(sprint.as_str())
    .bind(image)
    .fetch_all(&mut *connection)
    .await?;
    for (pair, image_1, image_2) in pairs {
        match review.verdict {
            Verdict::Reject => end(connection, &pair, "upheld", review).await?,
            Verdict::Approve => {
                let other = if image_1 == image { &image_2 } else { &image_1 };
                if other == image || approved_since_reports(connection, sprint, other, &pair).await? {
                    end(connection, &pair, "overturned", review).await?;
                    set_reported(connection, &pair, false, review.now).await?;
                }
            }
            Verdict::Undo => {
                let reopened = sqlx::query(
                    "UPDATE reports SET state = 'open', ended_at = NULL, ended_by = NULL \
                     WHERE pair = $1 AND ended_by = $2 AND state IN ('upheld', 'overturned')",
                )
                .bind(&pair)
                .bind(review.person.as_str())
                .execute(&mut *connection)
                .await?;
                if reopened.rows_affected() > 0 {
                    set_reported(connection, &pair, true, review.now).await?;
                }
            }
        }
    }
    Ok(())
}

async fn end(connection: &mut Connection, pair: &str, state: &str, review: &NewReview) -> Result<()> {
    sqlx::query(
        "UPDATE reports SET state = $2, ended_at = $3, ended_by = $4 \
         WHERE pair = $1 AND state IN ('open', 'beyond_quota')",
    )
    .bind(pair)
    .bind(state)
    .bind(review.now)
    .bind(review.person.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the last word on the image is an approval that is not older than the pair's open reports.
async fn approved_since_reports(
    connection: &mut Connection,
    sprint: &SprintId,
    image: &str,
    pair: &str,
) -> Result<bool> {
    let last: Option<(String, Millis)> = sqlx::query_as(
        "SELECT verdict, created_at FROM reviews WHERE sprint = $1 AND kind = 'image' AND content = $2 \
         ORDER BY id DESC LIMIT 1",
    )
    .bind(sprint.as_str())
    .bind(image)
    .fetch_optional(&mut *connection)
    .await?;
    let since: Option<Millis> = sqlx::query_scalar(
        "SELECT MAX(created_at) FROM reports WHERE pair = $1 AND state IN ('open', 'beyond_quota')",
    )
    .bind(pair)
    .fetch_one(connection)
    .await?;
    Ok(last.is_some_and(|(verdict, at)| verdict == "approve" && at >= since.unwrap_or(0)))
}
