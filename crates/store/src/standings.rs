//! How far a sprint is, and who has done how much of it.

use std::collections::HashMap;

use diptych_core::{PersonId, SprintId};
use sqlx::AssertSqlSafe;

use crate::people::SIMULATED;
use crate::{Millis, Result, Store};

/// One person's place on the leaderboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who it is; never to be shown.
    pub person: PersonId,
    /// Their own name, where they ask for it to be shown.
    pub name: Option<String>,
    /// Whether the program made that person up, for the demo.
    pub simulated: bool,
    /// Responses that count.
    pub responses: i64,
    /// Of these, the ones since the moment that was asked for.
    pub lately: i64,
    /// Days in a row with an answer, up to the day that was asked for or the one before.
    pub streak: i64,
}

/// Somebody who has answered, as the sprint's organizers see them.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Annotator {
    /// The name under which their answers are published.
    pub pseudonym: String,
    /// Their own name.
    pub name: String,
    /// `person`, `guest`, `simulated` or `gone`.
    pub kind: String,
    /// Why their answers do not count; none where they do.
    pub excluded: Option<String>,
}

/// What one person has given lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Their name.
    pub name: String,
    /// Whether the program made that person up, for the demo.
    pub simulated: bool,
    /// How many responses that count, since each of the moments that were asked for.
    pub responses: [i64; 3],
}

/// Whether a response counts, where a person's are asked for: said so that no index of everybody's answers by time can be
/// used. PostgreSQL takes that one, and goes through all of it, as long as nobody has counted the rows for it (`ANALYZE`,
/// by its autovacuum).
pub(crate) const COUNTS: &str = "CASE state WHEN 'submitted' THEN 1 ELSE 0 END = 1";

impl Store {
    /// Everybody who has a pseudonym in the sprint, by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn annotators(&self, sprint: &SprintId) -> Result<Vec<Annotator>> {
        Ok(sqlx::query_as(
            "SELECT pseudonym, people.name, people.kind, exclusions.reason AS excluded FROM pseudonyms \
             JOIN people ON people.id = pseudonyms.person LEFT JOIN exclusions ON exclusions.sprint = pseudonyms.sprint \
             AND exclusions.person = pseudonyms.person AND exclusions.ended_at IS NULL WHERE pseudonyms.sprint = $1 \
             ORDER BY people.handle",
        )
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?)
    }

    /// Who answers in the sprint under this pseudonym.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn person_of_pseudonym(&self, sprint: &SprintId, pseudonym: &str) -> Result<Option<PersonId>> {
        let query = "SELECT person FROM pseudonyms WHERE sprint = $1 AND pseudonym = $2";
        let person: Option<String> = sqlx::query_scalar(query)
            .bind(sprint.as_str())
            .bind(pseudonym)
            .fetch_optional(self.readers())
            .await?;
        Ok(person.map(PersonId::from_text))
    }

    /// How many answers this person has given that count for them, in all and since `since`: responses that count,
    /// and checks, so that no figure on their page tells the two apart.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn responses_of(
        &self,
        sprint: &SprintId,
        person: &PersonId,
        since: Millis,
    ) -> Result<(i64, i64)> {
        Ok(sqlx::query_as(AssertSqlSafe(format!(
            "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN created_at >= $3 THEN 1 ELSE 0 END), 0) AS BIGINT) \
             FROM (SELECT created_at FROM responses WHERE sprint = $1 AND person = $2 AND {COUNTS} UNION ALL \
             SELECT ended_at AS created_at FROM checks WHERE sprint = $1 AND person = $2 AND state = 'answered' \
             AND NOT EXISTS (SELECT 1 FROM exclusions e WHERE e.sprint = $1 AND e.person = $2 AND e.ended_at IS NULL)) \
             AS past"
        )))
        .bind(sprint.as_str())
        .bind(person.as_str())
        .bind(since)
        .fetch_one(self.readers())
        .await?)
    }

    /// Everybody who has responses that count, in no order; of those, how many since midnight (UTC) of the day of `now`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn standings(&self, sprint: &SprintId, now: Millis) -> Result<Vec<Standing>> {
        let today = now - now.rem_euclid(DAY);
        let rows: Vec<(String, String, i64, String, i64, i64)> = sqlx::query_as(
            "SELECT people.id, people.kind, pseudonyms.named, people.name, COUNT(*) AS responses, \
             CAST(SUM(CASE WHEN responses.created_at >= $2 THEN 1 ELSE 0 END) AS BIGINT) FROM responses \
             JOIN pseudonyms ON pseudonyms.person = responses.person AND pseudonyms.sprint = responses.sprint \
             JOIN people ON people.id = responses.person WHERE responses.sprint = $1 AND state = 'submitted' \
             GROUP BY people.id, people.kind, pseudonyms.named, people.name",
        )
        .bind(sprint.as_str())
        .bind(today)
        .fetch_all(self.readers())
        .await?;
        let mut days: HashMap<String, Vec<i64>> = HashMap::new();
        let all: Vec<(String, i64)> = sqlx::query_as(
            "SELECT DISTINCT person, created_at / 86400000 AS day FROM responses WHERE sprint = $1 \
             AND state = 'submitted' ORDER BY day DESC",
        )
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?;
        for (person, day) in all {
            days.entry(person).or_default().push(day);
        }
        let standing = |(person, kind, named, name, responses, lately)| Standing {
            name: (named == 1).then_some(name),
            simulated: String::as_str(&kind) == SIMULATED,
            responses,
            lately,
            streak: days.get::<String>(&person).map_or(0, |days| streak(days, today / DAY)),
            person: PersonId::from_text(person),
        };
        Ok(rows.into_iter().map(standing).collect())
    }

    /// Of each category of the sprint: its pairs, the responses that count, and those that are wanted.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn progress_by_category(&self, sprint: &SprintId) -> Result<Vec<(String, i64, i64, i64)>> {
        Ok(sqlx::query_as(
            "SELECT category, COUNT(*), CAST(SUM(answered) AS BIGINT), CAST(SUM(overlap) AS BIGINT) FROM pairs \
             WHERE sprint = $1 AND current GROUP BY category ORDER BY category",
        )
        .bind(sprint.as_str())
        .fetch_all(self.readers())
        .await?)
    }

    /// How many of the responses that [`Store::progress`] counts were given since `since`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn responses_since(&self, sprint: &SprintId, since: Millis) -> Result<i64> {
        let query = "SELECT COUNT(*) FROM responses JOIN pairs ON pairs.id = responses.pair WHERE responses.sprint = $1 \
             AND state = 'submitted' AND responses.created_at >= $2 AND pairs.current";
        Ok(sqlx::query_scalar(query).bind(sprint.as_str()).bind(since).fetch_one(self.readers()).await?)
    }
}

impl Store {
    /// How many responses of each person count.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn answer_counts(&self, sprint: &SprintId) -> Result<HashMap<PersonId, i64>> {
        let query = "SELECT person, COUNT(*) FROM responses WHERE sprint = $1 AND state = 'submitted' GROUP BY person";
        let rows: Vec<(String, i64)> =
            sqlx::query_as(query).bind(sprint.as_str()).fetch_all(self.readers()).await?;
        Ok(rows.into_iter().map(|(person, count)| (PersonId::from_text(person), count)).collect())
    }

    /// When the sprint's first response was given that counts.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn first_response(&self, sprint: &SprintId) -> Result<Option<Millis>> {
        let query = "SELECT MIN(created_at) FROM responses WHERE sprint = $1 AND state = 'submitted'";
        Ok(sqlx::query_scalar(query).bind(sprint.as_str()).fetch_one(self.readers()).await?)
    }

    /// When the sprint's last response was given that counts.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn last_response(&self, sprint: &SprintId) -> Result<Option<Millis>> {
        let query = "SELECT MAX(created_at) FROM responses WHERE sprint = $1 AND state = 'submitted'";
        Ok(sqlx::query_scalar(query).bind(sprint.as_str()).fetch_one(self.readers()).await?)
    }

    /// Who has given responses since the last of these moments that count, and how many since each of them.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn given_since(&self, sprint: &SprintId, moments: [Millis; 3]) -> Result<Vec<Given>> {
        let [first, second, last] = moments;
        let rows: Vec<(String, String, i64, i64, i64)> = sqlx::query_as(
            "SELECT people.name, people.kind, since_first, since_second, since_last FROM (SELECT person, \
              CAST(SUM(CASE WHEN created_at >= $2 THEN 1 ELSE 0 END) AS BIGINT) AS since_first, \
              CAST(SUM(CASE WHEN created_at >= $3 THEN 1 ELSE 0 END) AS BIGINT) AS since_second, \
              COUNT(*) AS since_last FROM responses WHERE sprint = $1 AND created_at >= $4 AND state = 'submitted' \
              GROUP BY person) AS given JOIN people ON people.id = given.person",
        )
        .bind(sprint.as_str())
        .bind(first)
        .bind(second)
        .bind(last)
        .fetch_all(self.readers())
        .await?;
        let given = |(name, kind, first, second, last): (_, String, _, _, _)| Given {
            name,
            simulated: kind == SIMULATED,
            responses: [first, second, last],
        };
        Ok(rows.into_iter().map(given).collect())
    }

    /// How many people have given responses since `since` that count.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn people_since(&self, sprint: &SprintId, since: Millis) -> Result<i64> {
        let query = "SELECT COUNT(DISTINCT person) FROM responses WHERE sprint = $1 AND created_at >= $2 \
                     AND state = 'submitted'";
        Ok(sqlx::query_scalar(query).bind(sprint.as_str()).bind(since).fetch_one(self.readers()).await?)
    }
}

const DAY: Millis = 24 * 3600 * 1000;

/// How many days in a row, of these from the newest on, up to today or yesterday.
fn streak(days: &[i64], today: i64) -> i64 {
    let Some(first) = days.first().filter(|first| today - **first <= 1) else { return 0 };
    let row = days.iter().zip(0..).take_while(|(day, place)| **day == first - place);
    i64::try_from(row.count()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::streak;

    #[test]
    fn a_streak_is_broken_by_a_day_without_answers() {
        assert_eq!(streak(&[], 100), 0);
        assert_eq!(streak(&[100], 100), 1);
        assert_eq!(streak(&[99, 98, 97, 95], 100), 3, "today is not over");
        assert_eq!(streak(&[98, 97], 100), 0);
        assert_eq!(streak(&[100, 98], 100), 1);
    }
}
